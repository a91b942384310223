/*
 * exec_const.c - metric queries that look at no logs. Clients send them to see whether a server understands
 * LogQL: Grafana's health check is vector(1)+vector(1).
 */
#include "query/exec_int.h"

struct value {
    double v;
    bool scalar, empty; /* empty: a vector without its one element */
};

static lp_rc
binary(const struct lp_binary *b, struct value left, struct value right, struct value *ret,
       struct lp_err *err)
{
    enum lp_binary_kind kind = lp_binary_op_kind(b->op);
    if (kind == LP_BINARY_KIND_SET) { /* both vectors have the same, empty label set */
        bool both = !left.empty && !right.empty;
        *ret = left;
        if (b->op == LP_BINARY_OR) {
            *ret = left.empty ? right : left;
        } else {
            ret->empty = b->op == LP_BINARY_AND ? !both : left.empty || !right.empty;
        }
        return LP_OK;
    }
    ret->scalar = left.scalar && right.scalar;
    ret->empty = left.empty || right.empty;
    ret->v = lp_binary_eval(b->op, left.v, right.v);
    if (kind == LP_BINARY_KIND_CMP && !b->return_bool &&
        !ret->scalar) { /* a filter: the vector's own value stays */
        ret->empty = ret->empty || ret->v == 0;
        ret->v = left.scalar ? right.v : left.v;
    }
    (void)err;
    return LP_OK;
}

/* Recursion is bounded by the depth of the tree. */
static lp_rc
eval(const struct lp_expr *e, struct value *ret, struct lp_err *err)
{
    struct value left, right;
    lp_rc rc;
    switch (e->kind) {
    case LP_EXPR_LITERAL:
    case LP_EXPR_VECTOR:
        *ret = (struct value){e->number, e->kind == LP_EXPR_LITERAL, false};
        return LP_OK;
    case LP_EXPR_BINARY:
        rc = eval(e->binary.left, &left, err);
        if (rc == LP_OK) {
            rc = eval(e->binary.right, &right, err);
        }
        return rc == LP_OK ? binary(&e->binary, left, right, ret, err) : rc;
    case LP_EXPR_RANGE_AGG:
        return lp_exec_unsupported(lp_range_op_name(e->range_agg.op), e->pos, err);
    case LP_EXPR_VECTOR_AGG:
        return lp_exec_unsupported(lp_vector_op_name(e->vector_agg.op), e->pos, err);
    case LP_EXPR_LABEL_REPLACE:
        return lp_exec_unsupported("label_replace", e->pos, err);
    case LP_EXPR_LOG:
        break;
    }
    return lp_err_set(err, LP_ERR_UNSUPPORTED, "a log query has no value");
}

lp_rc
lp_const_eval(const struct lp_expr *e, double *ret, bool *ret_empty, bool *ret_scalar, struct lp_err *err)
{
    struct value v;
    lp_rc rc = eval(e, &v, err);
    if (rc == LP_OK) {
        *ret = v.v;
        *ret_empty = v.empty;
        *ret_scalar = v.scalar;
    }
    return rc;
}
