/*
 * metric_binary.c - operators: between a number and series, and between series of two sides.
 *
 * Series of two sides find each other by the labels that on, ignoring or neither leaves of theirs: those with
 * the same form a group, and only in a group they are looked at. What matches is said of samples, at each
 * step anew, as in an instant query. So two series of one side may match one of the other, as long as they
 * have no sample at the same step.
 *
 * In arithmetic and comparisons one side, the "one", must have at most one sample a group and step; the
 * other, the "many", too, unless group_left or group_right allows more. No two samples of the result have
 * equal labels: either these are what the group's series have in common, or those of the "many", of which
 * labels taken from the "one" could hide a difference; that is refused.
 */
#include <string.h>

#include "query/metric_int.h"

#define NONE UINT32_MAX
#define CHECK_STEPS 256 /* of a group, in which many series may look for others at every step */

bool
lp_binary_filters(const struct lp_binary *b)
{
    return lp_binary_op_kind(b->op) == LP_BINARY_KIND_CMP && !b->return_bool;
}

void
lp_metric_scalar(const struct lp_binary *b, struct lp_matrix *m)
{
    bool before = b->left->kind == LP_EXPR_LITERAL, filters = lp_binary_filters(b);
    double number = before ? b->left->number : b->right->number;
    for (size_t i = 0; i < m->n; i++) {
        struct lp_series *s = &m->series[i];
        for (size_t k = 0; k < m->steps; k++) {
            if (s->has[k]) {
                double v =
                    before ? lp_binary_eval(b->op, number, s->v[k]) : lp_binary_eval(b->op, s->v[k], number);
                s->has[k] = !filters || v != 0;
                s->v[k] = filters ? s->v[k] : v;
            }
        }
    }
}

/* What two series must have in common to match, as the grouping that leaves it. */
static struct lp_grouping
common_labels(const struct lp_matching *m)
{
    return (struct lp_grouping){.kind = m->kind == LP_VMATCH_ON ? LP_GROUP_BY : LP_GROUP_WITHOUT,
                                .names = m->labels,
                                .n = m->nlabels};
}

/* ------------------------------------------------------------------ and, or, unless */

/* Whether a series of the chain has a sample at the step. */
static bool
any(const struct lp_matrix *m, const struct lp_groups *g, uint32_t first, size_t step)
{
    for (uint32_t i = first; i > 0; i = g->next[i - 1]) {
        if (m->series[i - 1].has[step]) {
            return true;
        }
    }
    return false;
}

struct side {
    struct lp_matrix *m;
    struct lp_groups groups;
};

/* Drops samples of a group where the other side has one, or where it has none. */
static void
drop(const struct side *from, const struct side *other, size_t group, bool where_it_has)
{
    uint32_t first = lp_groups_first(&from->groups, group), theirs = lp_groups_first(&other->groups, group);
    for (size_t k = 0; k < from->m->steps; k++) {
        if (first > 0 && any(other->m, &other->groups, theirs, k) == where_it_has) {
            for (uint32_t i = first; i > 0; i = from->groups.next[i - 1]) {
                from->m->series[i - 1].has[k] = false;
            }
        }
    }
}

static bool
copy_labels(struct lp_arena *ar, const struct lp_series *s, struct lp_labels *ret)
{
    struct lp_pair *v = lp_arena_array(ar, s->nlabels, sizeof(*v));
    bool ok = v != NULL && lp_arena_str(ar, s->text, &ret->text);
    for (size_t i = 0; i < s->nlabels && ok; i++) {
        ok = lp_arena_str(ar, s->labels[i].name, &v[i].name) &&
             lp_arena_str(ar, s->labels[i].value, &v[i].value);
    }
    ret->v = v;
    ret->n = s->nlabels;
    return ok;
}

/* Appends what is left of the series. What both sides have of one label set goes by steps. */
static bool
append(struct lp_matrix *to, const struct lp_matrix *from)
{
    struct lp_labels labels;
    for (size_t i = 0; i < from->n; i++) {
        const struct lp_series *s = &from->series[i];
        if (memchr(s->has, true, from->steps) == NULL) {
            continue;
        }
        if (!copy_labels(&to->ar, s, &labels) || !lp_matrix_add(to, &labels)) {
            return false;
        }
        struct lp_series *new = &to->series[to->n - 1];
        memcpy(new->v, s->v, to->steps * sizeof(*new->v));
        memcpy(new->has, s->has, to->steps * sizeof(*new->has));
        to->may_repeat = true;
    }
    return true;
}

/* The groups of both sides, numbered together. */
static bool
group_sides(const struct lp_binary *b, struct side *left, struct side *right, struct lp_label_index *keys)
{
    struct lp_grouping by = common_labels(&b->match);
    return lp_groups_make(&left->groups, &by, left->m, keys, keys->ar) &&
           lp_groups_make(&right->groups, &by, right->m, keys, keys->ar);
}

lp_rc
lp_metric_combine(const struct lp_metric_query *q, const struct lp_binary *b, struct lp_matrix *left,
                  struct lp_matrix *right, struct lp_err *err)
{
    struct side l = {.m = left}, r = {.m = right};
    struct lp_metric_query beside = lp_metric_beside(q, right);
    struct lp_metric_query both = lp_metric_beside(&beside, left);
    struct lp_arena scratch;
    struct lp_label_index keys;
    lp_rc rc = LP_OK;
    lp_arena_init(&scratch, lp_metric_rest(&both), 1 << 12);
    lp_arena_join(&scratch, q->share);
    lp_label_index_init(&keys, &scratch);
    if (!group_sides(b, &l, &r, &keys)) {
        rc = lp_metric_over_budget(q, err);
    }
    for (size_t g = 0; g < keys.n && rc == LP_OK; g++) {
        if (b->op == LP_BINARY_OR) {
            drop(&r, &l, g, true);
        } else {
            drop(&l, &r, g, b->op == LP_BINARY_UNLESS);
        }
        rc = lp_metric_check(q, err);
    }
    lp_label_index_clear(&keys);
    lp_arena_clear(&scratch);
    if (rc == LP_OK && b->op == LP_BINARY_OR) {
        left->ar.budget = lp_metric_rest(&beside);
        rc = append(left, right) ? LP_OK : lp_metric_over_budget(q, err);
    }
    return rc;
}

/* ------------------------------------------------------------------ arithmetic and comparisons */

struct join {
    const struct lp_metric_query *q;
    const struct lp_binary *b;
    bool filters;
    struct side many, one;
    struct lp_label_index keys; /* labels that groups have in common */
    struct lp_label_index sets; /* with group_left, group_right: labels of the result's series */
    struct lp_matrix *ret;
    struct lp_pair *labels; /* room for those of a series, and for those it takes from the other side */
    uint32_t result;        /* the series of the group at hand, one to one; NONE: there is none yet */
    struct known {
        uint32_t one, result; /* by series of the "many": what it matched at last, and 1; what that gave */
    } * known;
    uint32_t *last; /* by series of the result: the step, and 1, of its last match in the group at hand */
    size_t last_cap;
};

static lp_rc
duplicate_one(const struct join *j, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE,
                      "found duplicate series on the %s hand-side;many-to-many matching not allowed: "
                      "matching labels must be unique on one side",
                      j->b->match.card == LP_CARD_ONE_TO_MANY ? "left" : "right");
}

static lp_rc
duplicate_many(const struct join *j, struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_PARSE, "multiple matches for labels: %s",
                      j->b->match.card == LP_CARD_ONE_TO_ONE
                          ? "many-to-one matching must be explicit (group_left/group_right)"
                          : "grouping labels must ensure unique matches");
}

/* Adds a series to the result. NONE when the memory is spent. */
static uint32_t
add_result(struct join *j, const struct lp_labels *labels)
{
    uint32_t *last = lp_arena_zgrow(&j->ret->ar, j->last, &j->last_cap, j->ret->n + 1, sizeof(*last));
    if (last == NULL || !lp_matrix_add(j->ret, labels)) {
        return NONE;
    }
    j->last = last;
    return (uint32_t)j->ret->n - 1;
}

/* The series of one of the "many" with labels from its match. */
static uint32_t
wide_result(struct join *j, const struct lp_series *many, const struct lp_series *one)
{
    const struct lp_matching *m = &j->b->match;
    size_t n = many->nlabels;
    if (n > 0) {
        memcpy(j->labels, many->labels, n * sizeof(*j->labels));
    }
    for (size_t i = 0; i < m->ninclude; i++) {
        n = lp_labels_set(j->labels, n, m->include[i],
                          lp_labels_get(one->labels, one->nlabels, m->include[i]));
    }
    uint32_t at = lp_label_index_add(&j->sets, j->labels, n);
    if (at == LP_LABELS_NONE) {
        return NONE;
    }
    return at < j->ret->n ? at : add_result(j, &j->sets.v[at]);
}

/* The series of the result that a match gives a sample to. NONE when the memory is spent. */
static uint32_t
result_of(struct join *j, size_t group, uint32_t many, uint32_t one)
{
    if (j->b->match.card == LP_CARD_ONE_TO_ONE) {
        if (j->result == NONE) {
            j->result = add_result(j, &j->keys.v[group]);
        }
        return j->result;
    }
    struct known *known = &j->known[many];
    if (known->one != one + 1) {
        known->result = wide_result(j, &j->many.m->series[many], &j->one.m->series[one]);
        known->one = one + 1;
    }
    return known->result;
}

static lp_rc
match(struct join *j, size_t group, uint32_t many, uint32_t one, size_t step, struct lp_err *err)
{
    uint32_t at = result_of(j, group, many, one), mark = (uint32_t)step + 1;
    if (at == NONE) {
        return lp_metric_over_budget(j->q, err);
    }
    if (j->last[at] == mark) {
        return duplicate_many(j, err);
    }
    j->last[at] = mark;
    bool swapped = j->b->match.card == LP_CARD_ONE_TO_MANY;
    double x = j->many.m->series[many].v[step], y = j->one.m->series[one].v[step];
    double left = swapped ? y : x, right = swapped ? x : y;
    double v = lp_binary_eval(j->b->op, left, right);
    if (!j->filters || v != 0) {
        j->ret->series[at].v[step] = j->filters ? left : v;
        j->ret->series[at].has[step] = true;
    }
    return LP_OK;
}

static lp_rc
join_step(struct join *j, size_t group, size_t step, struct lp_err *err)
{
    const struct side *one = &j->one, *many = &j->many;
    uint32_t found = NONE;
    lp_rc rc = LP_OK;
    for (uint32_t i = lp_groups_first(&one->groups, group); i > 0; i = one->groups.next[i - 1]) {
        if (one->m->series[i - 1].has[step]) {
            if (found != NONE) {
                return duplicate_one(j, err);
            }
            found = i - 1;
        }
    }
    uint32_t first = found != NONE ? lp_groups_first(&many->groups, group) : 0;
    for (uint32_t i = first; i > 0 && rc == LP_OK; i = many->groups.next[i - 1]) {
        if (many->m->series[i - 1].has[step]) {
            rc = match(j, group, i - 1, found, step, err);
        }
    }
    return rc;
}

static lp_rc
join_groups(struct join *j, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t g = 0; g < j->keys.n && rc == LP_OK; g++) {
        j->result = NONE;
        for (size_t k = 0; k < j->ret->steps && rc == LP_OK; k++) {
            rc = k % CHECK_STEPS == 0 ? lp_metric_check(j->q, err) : LP_OK;
            if (rc == LP_OK) {
                rc = join_step(j, g, k, err);
            }
        }
    }
    return rc;
}

/* What is needed on the way lives beside the result: it is small, and of use until the end. */
static bool
prepare(struct join *j)
{
    size_t most = 0;
    for (size_t i = 0; i < j->many.m->n; i++) {
        most = LP_MAX(most, j->many.m->series[i].nlabels);
    }
    j->labels = lp_arena_array(&j->ret->ar, most + j->b->match.ninclude, sizeof(*j->labels));
    j->known = lp_arena_zalloc(&j->ret->ar, j->many.m->n * sizeof(*j->known));
    return j->labels != NULL && j->known != NULL && group_sides(j->b, &j->many, &j->one, &j->keys);
}

lp_rc
lp_metric_join(const struct lp_metric_query *q, const struct lp_binary *b, struct lp_matrix *left,
               struct lp_matrix *right, struct lp_matrix *ret, struct lp_err *err)
{
    struct join j = {.q = q, .b = b, .filters = lp_binary_filters(b), .ret = ret};
    bool swapped = b->match.card == LP_CARD_ONE_TO_MANY;
    j.many.m = swapped ? right : left;
    j.one.m = swapped ? left : right;
    lp_matrix_init_all(ret, q);
    lp_label_index_init(&j.keys, &ret->ar);
    lp_label_index_init(&j.sets, &ret->ar);
    lp_rc rc = prepare(&j) ? join_groups(&j, err) : lp_metric_over_budget(q, err);
    lp_label_index_clear(&j.keys);
    lp_label_index_clear(&j.sets);
    return rc;
}
