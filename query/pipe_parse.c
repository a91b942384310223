/*
 * pipe_parse.c - json, logfmt, regexp, pattern and unpack: what they add to the labels of a row.
 *
 * A name that the stream or the metadata has gets "_extracted". Of equal names, in a line or from parser to
 * parser, json, logfmt and unpack leave the first one; regexp and pattern write over it.
 */
#include "query/pipe_int.h"

static bool
is_within(struct lp_str part, struct lp_str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* A text that a parser gave: a slice of the line is as good as the line, all else is copied. */
static struct lp_str
keep(struct lp_pipe *p, struct lp_str text)
{
    return is_within(text, p->at) ? text : lp_row_labels_keep(&p->labels, text);
}

static void
fail(struct lp_pipe *p, const char *error, const struct lp_err *why)
{
    lp_row_labels_fail(&p->labels, lp_str_c(error), why);
}

/* ------------------------------------------------------------------ every field */

struct fields {
    struct lp_pipe *p;
    bool keep_empty;
    size_t left; /* of the names that are needed; SIZE_MAX: not counted */
};

static bool
wants_field(void *arg, struct lp_str key)
{
    const struct fields *f = arg;
    return lp_pipe_may_want(f->p->prog, key);
}

static bool
set_field(void *arg, struct lp_str key, struct lp_str value)
{
    struct fields *f = arg;
    struct lp_pipe *p = f->p;
    size_t known = p->labels.nown;
    if (value.n > 0 || f->keep_empty) {
        lp_row_labels_parsed(&p->labels, p->prog, key, true, false, keep(p, value));
    }
    f->left -= f->left != SIZE_MAX && p->labels.nown > known;
    return !p->labels.failed && f->left > 0;
}

/* How many names are needed behind the parsers, where that is known. */
static size_t
needed(const struct lp_pipe_prog *prog)
{
    return prog->counted ? prog->ncounted : SIZE_MAX;
}

/* ------------------------------------------------------------------ name="expression" */

static void
json_extracts(struct lp_pipe *p, const struct lp_parser_args *args)
{
    struct lp_str line = lp_str_trim(p->at);
    struct lp_err why;
    if (p->at.n == 0) {
        return;
    }
    if (line.n == 0 || memchr("{[\"", line.p[0], 3) == NULL) {
        fail(p, LP_JSON_ERROR, NULL);
        return;
    }
    for (size_t i = 0; i < args->nextracts; i++) {
        const struct lp_extract *e = &args->extracts[i];
        struct lp_str value = LP_STR("");
        lp_err_clear(&why);
        lp_rc rc = lp_fields_json_path(p->at, e->steps, e->nsteps, &p->text, &value, &why);
        if (rc == LP_ERR_PARSE) {
            fail(p, LP_JSON_ERROR, &why);
        }
        lp_row_labels_parsed(&p->labels, p->prog, e->name, false, true,
                             rc == LP_OK ? keep(p, value) : LP_STR(""));
    }
}

struct logfmt_extracts {
    struct lp_pipe *p;
    const struct lp_parser_args *args;
};

/* Later pairs write over earlier ones. */
static bool
set_extract(void *arg, struct lp_str key, struct lp_str value)
{
    struct logfmt_extracts *x = arg;
    for (size_t i = 0; i < x->args->nextracts; i++) {
        const struct lp_extract *e = &x->args->extracts[i];
        if (lp_str_eq(e->steps[0].key, key)) {
            lp_row_labels_parsed(&x->p->labels, x->p->prog, e->name, false, true, keep(x->p, value));
        }
    }
    return !x->p->labels.failed;
}

static lp_rc
logfmt_extracts(struct lp_pipe *p, const struct lp_parser_args *args, struct lp_err *err)
{
    struct logfmt_extracts x = {p, args};
    for (size_t i = 0; i < args->nextracts; i++) {
        lp_row_labels_parsed(&p->labels, p->prog, args->extracts[i].name, false, false, LP_STR(""));
    }
    return lp_fields_logfmt(p->at, args->strict, false, &p->keys, &p->text, NULL, set_extract, &x, err);
}

/* ------------------------------------------------------------------ stages */

void
lp_pipe_json(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    struct fields f = {p, true, needed(p->prog)};
    struct lp_err why;
    if (s->stage->parser.nextracts > 0) {
        json_extracts(p, &s->stage->parser);
        return;
    }
    lp_err_clear(&why);
    if (lp_fields_json(p->at, &p->keys, &p->text, wants_field, set_field, &f, &why) != LP_OK) {
        fail(p, LP_JSON_ERROR, &why);
    }
}

void
lp_pipe_logfmt(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    const struct lp_parser_args *args = &s->stage->parser;
    struct fields f = {p, args->keep_empty, needed(p->prog)};
    struct lp_err why;
    if (p->at.n == 0) {
        return;
    }
    lp_err_clear(&why);
    lp_rc rc = args->nextracts > 0 ? logfmt_extracts(p, args, &why)
                                   : lp_fields_logfmt(p->at, args->strict, true, &p->keys, &p->text,
                                                      wants_field, set_field, &f, &why);
    if (rc != LP_OK) {
        fail(p, LP_LOGFMT_ERROR, &why);
    }
}

void
lp_pipe_regexp(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    struct lp_str *groups = lp_arena_array(&p->ar, (size_t)s->groups + 1, sizeof(*groups));
    if (groups == NULL) {
        p->labels.failed = true;
        return;
    }
    if (!lp_regex_captures(s->regex, p->at, groups, s->groups + 1)) {
        return;
    }
    for (int i = 1; i <= s->groups; i++) {
        if (s->names[i].n > 0) {
            lp_row_labels_parsed(&p->labels, p->prog, s->names[i], false, true,
                                 groups[i].p != NULL ? keep(p, groups[i]) : LP_STR(""));
        }
    }
}

void
lp_pipe_pattern(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    struct lp_str *values = lp_arena_array(&p->ar, s->pattern.nnames, sizeof(*values));
    if (values == NULL) {
        p->labels.failed = true;
        return;
    }
    size_t n = lp_pattern_captures(&s->pattern, p->at, values);
    for (size_t i = 0; i < n; i++) {
        lp_row_labels_parsed(&p->labels, p->prog, s->names[i], false, true, values[i]);
    }
}

/* ------------------------------------------------------------------ unpack */

#define ENTRY_KEY "_entry"

struct packed {
    struct lp_pipe *p;
    struct lp_pair *v;
    size_t n, cap;
    struct lp_str entry; /* p NULL: none */
};

static bool
take_packed(void *arg, struct lp_str key, struct lp_str value)
{
    struct packed *k = arg;
    struct lp_pipe *p = k->p;
    if (lp_str_eqc(key, ENTRY_KEY)) {
        k->entry = keep(p, value);
        return true;
    }
    struct lp_pair *grown = lp_arena_grow(&p->ar, k->v, &k->cap, k->n + 1, sizeof(*grown));
    if (grown == NULL) {
        p->labels.failed = true;
        return false;
    }
    k->v = grown;
    k->v[k->n++] = (struct lp_pair){lp_row_labels_keep(&p->labels, key), keep(p, value)};
    return true;
}

void
lp_pipe_unpack(struct lp_pipe *p)
{
    struct packed k = {.p = p};
    struct lp_err why;
    if (p->at.n == 0) {
        return;
    }
    lp_err_clear(&why);
    if (lp_fields_json_strings(p->at, &p->keys, &p->text, take_packed, &k, &why) != LP_OK) {
        fail(p, LP_JSON_ERROR, &why);
        return;
    }
    if (k.entry.p == NULL) {
        return;
    }
    for (size_t i = 0; i < k.n; i++) {
        lp_row_labels_parsed(&p->labels, p->prog, k.v[i].name, false, true, k.v[i].value);
    }
    p->at = k.entry;
}
