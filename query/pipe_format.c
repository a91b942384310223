/*
 * pipe_format.c - stages that write: line_format, label_format, decolorize; and drop and keep.
 */
#include <string.h>

#include "query/pipe_int.h"

/* ------------------------------------------------------------------ templates */

/* Runs the template on the labels as they are in `pairs`; false: the row has an error now. */
static bool
run(struct lp_pipe *p, const struct lp_template *t, const struct lp_pair *pairs, size_t n, struct lp_str *ret)
{
    struct lp_err why;
    const struct lp_template_row row = {pairs, n, p->at, p->row->time_ns, p->now_ns};
    lp_err_clear(&why);
    lp_buf_reset(&p->text);
    if (p->labels.failed) {
        return false;
    }
    lp_rc rc = lp_template_run(t, &row, &p->ar, &p->text, &why);
    if (rc != LP_OK) {
        lp_row_labels_fail(&p->labels, LP_STR("TemplateFormatErr"), &why);
        return false;
    }
    *ret = lp_row_labels_keep(&p->labels, lp_buf_view(&p->text));
    return true;
}

void
lp_pipe_line_format(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    size_t n;
    struct lp_str line;
    const struct lp_pair *pairs = lp_row_labels_pairs(&p->labels, &n);
    if (run(p, s->text, pairs, n, &line)) {
        p->at = line;
    }
}

static void
rename_label(struct lp_pipe *p, const struct lp_pipe_format *f)
{
    struct lp_str value;
    enum lp_label_origin origin;
    if (lp_row_labels_get(&p->labels, f->from, &value, &origin)) {
        lp_row_labels_set(&p->labels, origin, f->name, value);
        lp_row_labels_drop(&p->labels, f->from);
    }
}

/* Renames act at once; templates all see the labels as the first of them found them. */
void
lp_pipe_label_format(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    const struct lp_pair *pairs = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct lp_pipe_format *f = &s->formats[i];
        struct lp_str value;
        if (f->text == NULL) {
            rename_label(p, f);
            continue;
        }
        if (pairs == NULL) {
            pairs = lp_row_labels_pairs(&p->labels, &n);
        }
        if (run(p, f->text, pairs, n, &value)) {
            lp_row_labels_set(&p->labels, LP_LABEL_PARSED, f->name, value);
        }
    }
}

/* ------------------------------------------------------------------ drop and keep */

/* Does the operand name this label, and, where it has one, its matcher hold? */
static bool
picks(const struct lp_pipe_pick *k, struct lp_str name, struct lp_str value)
{
    return lp_str_eq(k->name, name) &&
           (k->match == NULL || lp_matcher_value(lp_matchers_at(k->match, 0), value));
}

void
lp_pipe_drop(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct lp_pipe_pick *k = &s->picks[i];
        if (picks(k, k->name, lp_row_labels_value(&p->labels, k->name))) {
            lp_row_labels_drop(&p->labels, k->name);
        }
    }
}

/* The error stays in any case. */
void
lp_pipe_keep(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    size_t n;
    const struct lp_pair *pairs = lp_row_labels_pairs(&p->labels, &n);
    for (size_t i = 0; i < n; i++) {
        bool kept =
            lp_str_eqc(pairs[i].name, LP_ERROR_LABEL) || lp_str_eqc(pairs[i].name, LP_ERROR_DETAILS_LABEL);
        for (size_t k = 0; k < s->n && !kept; k++) {
            kept = picks(&s->picks[k], pairs[i].name, pairs[i].value);
        }
        if (!kept) {
            lp_row_labels_drop(&p->labels, pairs[i].name);
        }
    }
}

/* ------------------------------------------------------------------ decolorize */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_final(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'P') || (c >= 'f' && c <= 'n') ||
           (c != 0 && strchr("RZcqrty=><~", c) != NULL);
}

static bool
is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ';';
}

/* Numbers with semicolons between them: where they end. */
static const char *
parameters(const char *p, const char *end)
{
    size_t digits = 0;
    if (p == end || !is_digit(*p)) {
        return p;
    }
    while (p < end && (is_digit(*p) || *p == ';')) {
        digits = *p == ';' ? 0 : digits + 1;
        if (digits > 4) {
            break;
        }
        p++;
    }
    return p;
}

/*
 * Behind the byte or bytes that introduce a sequence of ECMA-48: where it ends; NULL: it is none. A text that
 * ends with BEL, or parameters and a final byte, which may be the last digit of them.
 */
static const char *
sequence_end(const char *p, const char *end)
{
    while (p < end && *p != 0 && strchr("[]()#;?", *p) != NULL) {
        p++;
    }
    const char *word = p;
    while (word < end && is_word(*word)) {
        word++;
    }
    if (word < end && *word == '\a') {
        return word + 1;
    }
    for (const char *at = parameters(p, end); at >= p; at--) {
        if (at < end && is_final(*at)) {
            return at + 1;
        }
    }
    return NULL;
}

void
lp_pipe_decolorize(struct lp_pipe *p)
{
    const char *at = p->at.p, *end = at + p->at.n, *copied = at;
    lp_buf_reset(&p->text);
    while (at < end) {
        size_t intro = *at == '\033' ? 1 : end - at >= 2 && at[0] == '\302' && at[1] == '\233' ? 2 : 0;
        const char *behind = intro > 0 ? sequence_end(at + intro, end) : NULL;
        if (behind == NULL) {
            at++;
            continue;
        }
        lp_buf_add(&p->text, copied, (size_t)(at - copied));
        at = copied = behind;
    }
    if (copied != p->at.p) {
        lp_buf_add(&p->text, copied, (size_t)(end - copied));
        p->at = lp_row_labels_keep(&p->labels, lp_buf_view(&p->text));
    }
}
