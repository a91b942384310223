/*
 * exec_detect.c - which labels of a range are worth offering: those whose values are not all ids.
 */
#include <string.h>

#include "query/detect.h"
#include "query/exec_int.h"

static bool
is_always_kept(struct lp_str name)
{
    static const char *const kept[] = {"cluster", "namespace", "instance", "pod"};
    bool found = false;
    for (size_t i = 0; i < LP_ARRAY_LEN(kept) && !found; i++) {
        found = lp_str_eqc(name, kept[i]);
    }
    return found;
}

/* 32 hexadecimal digits, or with hyphens; in braces, or behind urn:uuid: */
static bool
is_uuid(struct lp_str s)
{
    if (s.n == 45 && lp_str_ieq(lp_str_sub(s, 0, 9), LP_STR("urn:uuid:"))) {
        s = lp_str_sub(s, 9, s.n);
    } else if (s.n == 38 && s.p[0] == '{' && s.p[37] == '}') {
        s = lp_str_sub(s, 1, 37);
    }
    bool hyphens = s.n == 36, ok = hyphens || s.n == 32;
    for (size_t i = 0; i < s.n && ok; i++) {
        bool hyphen = hyphens && (i == 8 || i == 13 || i == 18 || i == 23);
        ok = hyphen ? s.p[i] == '-' : lp_hex_digit(s.p[i]) >= 0;
    }
    return ok;
}

static bool
is_id(struct lp_str value)
{
    const char *type = lp_field_type(value);
    return strcmp(type, "int") == 0 || strcmp(type, "float") == 0 || is_uuid(value);
}

/* Are all values ids? 0 and 1 alone are a choice. */
static bool
are_ids(const struct lp_names *values)
{
    bool choice = values->n <= 2, ids = true;
    for (size_t i = 0; i < values->n && ids; i++) {
        ids = is_id(values->v[i]);
        choice = choice && (lp_str_eqc(values->v[i], "0") || lp_str_eqc(values->v[i], "1"));
    }
    return ids && !choice;
}

lp_rc
lp_detect_labels(const struct lp_streams_query *q, struct lp_detected_labels *ret, struct lp_err *err)
{
    memset(ret, 0, sizeof(*ret));
    lp_rc rc = lp_streams_names(q, NULL, &ret->names, err);
    if (rc != LP_OK) {
        return rc;
    }
    ret->v = lp_calloc(ret->names.n, sizeof(*ret->v));
    for (size_t i = 0; i < ret->names.n && rc == LP_OK; i++) {
        struct lp_names values;
        rc = lp_streams_names(q, &ret->names.v[i], &values, err);
        if (rc == LP_OK) {
            ret->v[ret->n] = (struct lp_detected_label){ret->names.v[i], values.n};
            ret->n += values.n > 0 && (is_always_kept(ret->names.v[i]) || !are_ids(&values));
            lp_names_clear(&values);
        }
    }
    if (rc != LP_OK) {
        lp_detected_labels_clear(ret);
    }
    return rc;
}

void
lp_detected_labels_clear(struct lp_detected_labels *d)
{
    lp_names_clear(&d->names);
    lp_free(d->v);
    d->v = NULL;
    d->n = 0;
}
