/*
 * ast.c - names and properties of LogQL's operators, and their arithmetic. Pure functions.
 */
#include "query/ast.h"

#include <math.h>

const char *
lp_range_op_name(enum lp_range_op op)
{
    static const char *const names[] = {
#define X(id, name, grouping, unwrap) name,
        LP_RANGE_OPS(X)
#undef X
    };
    return names[op];
}

const char *
lp_vector_op_name(enum lp_vector_op op)
{
    static const char *const names[] = {
#define X(id, name, param, grouping) name,
        LP_VECTOR_OPS(X)
#undef X
    };
    return names[op];
}

static const struct binary_info {
    const char *text;
    int prec;
    enum lp_binary_kind kind;
} binary_infos[] = {
#define X(id, text, prec, kind) {text, prec, LP_BINARY_KIND_##kind},
    LP_BINARY_OPS(X)
#undef X
};

const char *
lp_binary_op_text(enum lp_binary_op op)
{
    return binary_infos[op].text;
}

int
lp_binary_op_prec(enum lp_binary_op op)
{
    return binary_infos[op].prec;
}

enum lp_binary_kind
lp_binary_op_kind(enum lp_binary_op op)
{
    return binary_infos[op].kind;
}

const char *
lp_match_op_text(enum lp_match_op op)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[op];
}

const char *
lp_line_op_text(enum lp_line_op op)
{
    static const char *const texts[] = {"|=", "!=", "|~", "!~", "|>", "!>"};
    return texts[op];
}

bool
lp_line_op_negative(enum lp_line_op op)
{
    return op == LP_LINE_NOT_CONTAINS || op == LP_LINE_NOT_RE || op == LP_LINE_NOT_PATTERN;
}

const char *
lp_cmp_text(enum lp_cmp cmp)
{
    static const char *const texts[] = {"==", "!=", ">", ">=", "<", "<="};
    return texts[cmp];
}

double
lp_binary_eval(enum lp_binary_op op, double left, double right)
{
    switch (op) {
    case LP_BINARY_EQ:
        return left == right;
    case LP_BINARY_NEQ:
        return left != right;
    case LP_BINARY_GT:
        return left > right;
    case LP_BINARY_GTE:
        return left >= right;
    case LP_BINARY_LT:
        return left < right;
    case LP_BINARY_LTE:
        return left <= right;
    case LP_BINARY_ADD:
        return left + right;
    case LP_BINARY_SUB:
        return left - right;
    case LP_BINARY_MUL:
        return left * right;
    case LP_BINARY_DIV:
        return right == 0 ? (double)NAN : left / right;
    case LP_BINARY_MOD:
        return right == 0 ? (double)NAN : fmod(left, right);
    case LP_BINARY_POW:
        return pow(left, right);
    case LP_BINARY_OR:
    case LP_BINARY_AND:
    case LP_BINARY_UNLESS:
        break;
    }
    return NAN;
}
