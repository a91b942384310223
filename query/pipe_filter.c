/*
 * pipe_filter.c - label filters.
 *
 * Strings compare the label's text, a missing one being "". Numbers, durations and sizes leave a row out
 * where the label is missing, and keep it, with an error, where its text is none; a row that has an error
 * passes them.
 */
#include <string.h>

#include "query/pipe_int.h"
#include "query/text.h"

static bool
holds(enum lp_cmp cmp, double a, double b)
{
    switch (cmp) {
    case LP_CMP_EQ:
        return a == b;
    case LP_CMP_NEQ:
        return a != b;
    case LP_CMP_GT:
        return a > b;
    case LP_CMP_GTE:
        return a >= b;
    case LP_CMP_LT:
        return a < b;
    case LP_CMP_LTE:
        return a <= b;
    }
    return false;
}

/* The same for whole numbers, which may be larger than a double holds: order is -1, 0 or 1. */
static bool
holds_order(enum lp_cmp cmp, int order)
{
    return holds(cmp, order, 0);
}

static bool
no_number(struct lp_pipe *p, const char *what, struct lp_str value)
{
    struct lp_err why;
    char room[64];
    (void)lp_err_set(&why, LP_ERR_PARSE, "\"%s\" is not %s", lp_text_clip(value, 40, room), what);
    lp_row_labels_fail(&p->labels, LP_STR("LabelFilterErr"), &why);
    return true;
}

static bool
number_filter(struct lp_pipe *p, const struct lp_label_filter *f)
{
    struct lp_str value;
    enum lp_label_origin origin;
    double number;
    int64_t ns;
    uint64_t bytes;
    if (p->labels.error.p != NULL) {
        return true;
    }
    if (!lp_row_labels_get(&p->labels, f->name, &value, &origin)) {
        return false;
    }
    switch ((int)f->kind) {
    case LP_LF_NUMBER:
        return lp_value_float(value, &number) ? holds(f->cmp, number, f->number)
                                              : no_number(p, "a number", value);
    case LP_LF_DURATION:
        return lp_value_duration(value, &ns) ? holds_order(f->cmp, (ns > f->ns) - (ns < f->ns))
                                             : no_number(p, "a duration", value);
    default:
        return lp_text_parse_size(value, &bytes)
                   ? holds_order(f->cmp, (bytes > f->bytes) - (bytes < f->bytes))
                   : no_number(p, "a size", value);
    }
}

static bool
ip_filter(struct lp_pipe *p, const struct lp_pipe_filter *f)
{
    struct lp_str value;
    enum lp_label_origin origin;
    if (p->labels.error.p != NULL) {
        return true;
    }
    if (!lp_row_labels_get(&p->labels, f->f->name, &value, &origin)) {
        return false;
    }
    return lp_ip_set_find(&f->ip, value) == (f->f->cmp == LP_CMP_EQ);
}

/* Recursion is bounded by the depth of the tree. */
bool
lp_pipe_label_filter(struct lp_pipe *p, const struct lp_pipe_filter *f)
{
    bool left, right;
    switch (f->f->kind) {
    case LP_LF_AND: /* both are asked: each may leave an error */
        left = lp_pipe_label_filter(p, f->left);
        right = lp_pipe_label_filter(p, f->right);
        return left && right;
    case LP_LF_OR:
        return lp_pipe_label_filter(p, f->left) || lp_pipe_label_filter(p, f->right);
    case LP_LF_MATCH:
        return lp_matcher_value(lp_matchers_at(f->match, 0),
                                lp_row_labels_value(&p->labels, f->f->match.name));
    case LP_LF_IP:
        return ip_filter(p, f);
    case LP_LF_NUMBER:
    case LP_LF_DURATION:
    case LP_LF_SIZE:
        break;
    }
    return number_filter(p, f->f);
}
