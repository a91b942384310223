/*
 * settings_yaml.c - the one door to libyaml: a configuration file's text into settings.
 *
 * The file is a mapping of names to scalars, or to sequences of scalars for lists. Everything else that YAML
 * can say (anchors, tags, nesting, several documents) is refused with its place. Works on libyaml's events,
 * so depth costs nothing.
 */
#include <yaml.h>

#include "base/settings_int.h"

/* One event at a time; `event` is valid until the next call. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct lp_err *err;
};

static lp_rc
fail(struct reader *r, lp_rc rc, const char *what)
{
    const yaml_mark_t *at = &r->event.start_mark;
    return lp_err_at(r->err, rc, (uint32_t)at->line + 1, (uint32_t)at->column + 1, "%s", what);
}

static lp_rc
next(struct reader *r)
{
    if (r->has_event) {
        yaml_event_delete(&r->event);
    }
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (!r->has_event) {
        const yaml_mark_t *at = &r->parser.problem_mark;
        return lp_err_at(r->err, LP_ERR_PARSE, (uint32_t)at->line + 1, (uint32_t)at->column + 1,
                         "not YAML: %s", r->parser.problem != NULL ? r->parser.problem : "no memory");
    }
    return LP_OK;
}

/* The event's scalar; false when it is something else. */
static bool
scalar(const struct reader *r, struct lp_str *ret)
{
    if (r->event.type != YAML_SCALAR_EVENT) {
        return false;
    }
    *ret = lp_str_of((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
    return true;
}

/* Copies a key with '_' as '-', since its event goes away before its values come. */
static struct lp_str
key_name(struct lp_str key, char *out, size_t room)
{
    size_t n = LP_MIN(key.n, room);
    for (size_t i = 0; i < n; i++) {
        out[i] = key.p[i] == '_' ? '-' : key.p[i];
    }
    return lp_str_of(out, n);
}

static lp_rc
set_one(struct reader *r, struct lp_settings *s, struct lp_str name, struct lp_str value)
{
    struct lp_err why;
    lp_rc rc = lp_settings_set(s, name, value, &why);
    return rc == LP_OK ? rc : fail(r, rc, why.text);
}

/* The current event begins the value of the setting `name`. */
static lp_rc
read_value(struct reader *r, struct lp_settings *s, struct lp_str name, bool list)
{
    struct lp_str value;
    if (scalar(r, &value)) {
        return set_one(r, s, name, value);
    }
    if (!list || r->event.type != YAML_SEQUENCE_START_EVENT) {
        return fail(r, LP_ERR_PARSE, list ? "expected a scalar or a list of scalars" : "expected a scalar");
    }
    lp_rc rc = next(r);
    while (rc == LP_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        rc = scalar(r, &value) ? set_one(r, s, name, value) : fail(r, LP_ERR_PARSE, "expected a scalar");
        rc = rc == LP_OK ? next(r) : rc;
    }
    return rc;
}

/* Names and values up to the mapping's end. */
static lp_rc
read_mapping(struct reader *r, struct lp_settings *s)
{
    uint64_t seen = 0;
    lp_rc rc = next(r);
    while (rc == LP_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        char name_text[64];
        struct lp_str key;
        if (!scalar(r, &key)) {
            return fail(r, LP_ERR_PARSE, "expected the name of a setting");
        }
        struct lp_str name = key_name(key, name_text, sizeof(name_text));
        int i = lp_settings_index(name);
        if (i < 0) {
            return set_one(r, s, key, LP_STR_NULL); /* says that there is none */
        }
        if ((seen >> i & 1) != 0) {
            return fail(r, LP_ERR_PARSE, "the setting is here a second time");
        }
        seen |= UINT64_C(1) << i;
        rc = next(r);
        rc = rc == LP_OK ? read_value(r, s, name, lp_settings_type(i) == LP_SETTING_LIST) : rc;
        rc = rc == LP_OK ? next(r) : rc;
    }
    return rc;
}

/* Stream start, then at most one document with one mapping in it, or nothing. */
static lp_rc
read_stream(struct reader *r, struct lp_settings *s)
{
    lp_rc rc = next(r);
    rc = rc == LP_OK ? next(r) : rc;
    if (rc != LP_OK || r->event.type == YAML_STREAM_END_EVENT) {
        return rc;
    }
    rc = next(r); /* what stands in the document */
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str empty;
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        rc = read_mapping(r, s);
    } else if (!scalar(r, &empty) || empty.n > 0) {
        rc = fail(r, LP_ERR_PARSE, "expected a mapping of settings");
    }
    rc = rc == LP_OK ? next(r) : rc; /* document end */
    rc = rc == LP_OK ? next(r) : rc;
    if (rc == LP_OK && r->event.type != YAML_STREAM_END_EVENT) {
        rc = fail(r, LP_ERR_PARSE, "expected one document only");
    }
    return rc;
}

lp_rc
lp_settings_yaml(struct lp_settings *s, struct lp_str text, struct lp_err *err)
{
    struct reader r = {.err = err};
    if (yaml_parser_initialize(&r.parser) == 0) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory to read YAML");
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    lp_rc rc = read_stream(&r, s);
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    return rc;
}
