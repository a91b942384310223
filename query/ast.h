/*
 * ast.h - the syntax tree of a LogQL query, as the parser leaves it and the evaluator reads it.
 *
 * One query is a tree of `struct lp_expr`. A log query is one LP_EXPR_LOG node: a stream selector and its stages in the
 * order they act. A metric query is a tree whose leaves are LP_EXPR_RANGE_AGG (which holds the log query it counts),
 * LP_EXPR_LITERAL and LP_EXPR_VECTOR.
 *
 * Ownership: every node, array and string lives in the arena given to lp_logql_parse, and goes with it; nothing points
 * into the caller's text. A finished tree is never changed, so any number of threads may read it.
 *
 * What the parser has already done, so that an evaluator need not:
 *   - operations on two literals are folded (1 + 1 is the literal 2; x / 0 and x % 0 are NaN; comparisons give 0 or 1);
 *   - `!= "a" or "b"` is two filters, so a negative line filter has exactly one operand;
 *   - `by ()` on a vector aggregation and `ignoring ()` with nothing behind it are gone: they change nothing;
 *   - strings are decoded, durations are nanoseconds, sizes are bytes, JSON paths are cut into steps;
 *   - all rules of check.c hold: regexes compile, patterns and addresses are well-formed, parameters fit.
 * Regexes stay text: who evaluates compiles them (matcher.h, linefilter.h, base/regex.h).
 *
 * Limits: LP_LOGQL_* in parse.h. The tree is never deeper than LP_LOGQL_DEPTH_MAX, so recursion over it is safe.
 */
#ifndef LP_QUERY_AST_H
#define LP_QUERY_AST_H

#include "base/str.h"

/* 1-based line and column (in characters) where the thing begins in the query text. */
struct lp_pos {
    uint32_t line, col;
};

/* -------------------------------------------------------------- label matchers */

enum lp_match_op { LP_MATCH_EQ, LP_MATCH_NEQ, LP_MATCH_RE, LP_MATCH_NRE };

/* name op "value", in selectors, label filters, drop, keep. A regex matches the whole value; a missing label is "". */
struct lp_label_match {
    struct lp_pos pos;
    enum lp_match_op op;
    struct lp_str name, value;
};

/* --------------------------------------------------------------------- stages */

enum lp_line_op {
    LP_LINE_CONTAINS,     /* |= */
    LP_LINE_NOT_CONTAINS, /* != */
    LP_LINE_RE,           /* |~ somewhere in the line; '.' is not newline */
    LP_LINE_NOT_RE,       /* !~ */
    LP_LINE_PATTERN,      /* |> the whole line, <_> is a wildcard (pattern.h) */
    LP_LINE_NOT_PATTERN,  /* !> */
};

struct lp_line_operand {
    struct lp_pos pos;
    struct lp_str text;
    bool is_ip; /* ip("text"): an address, range or network somewhere in the line (ip.h); only with |= and != */
};

/* The line passes if any operand matches (positive) or the one operand does not (negative). */
struct lp_line_filter {
    enum lp_line_op op;
    struct lp_line_operand *operands;
    size_t noperands; /* >= 1; == 1 for the negative ops */
};

/* One step of a JSON path, or the only step of a logfmt key. */
struct lp_path_step {
    bool is_index;
    uint64_t index;    /* is_index: array element */
    struct lp_str key; /* else: object key */
};

/* name="expr" behind json or logfmt; `name` alone is name="name". */
struct lp_extract {
    struct lp_pos pos;
    struct lp_str name, expr;
    struct lp_path_step *steps; /* expr taken apart, >= 1; logfmt: exactly one key */
    size_t nsteps;
};

/* json and logfmt. Without extracts every field becomes a label. */
struct lp_parser_args {
    struct lp_extract *extracts;
    size_t nextracts;
    bool strict, keep_empty; /* logfmt only */
};

/* label_format name=value: a rename, or a template. The names of one stage differ. */
struct lp_label_fmt {
    struct lp_pos pos;
    struct lp_str name;
    struct lp_str value; /* the other label's name, or the template's text */
    bool is_template;
};

struct lp_label_fmts {
    struct lp_label_fmt *items;
    size_t n;
};

/* An operand of drop or keep: a name, or a matcher that must hold as well. */
struct lp_label_pick {
    struct lp_label_match match; /* only pos and name are set unless has_value */
    bool has_value;
};

struct lp_label_picks {
    struct lp_label_pick *items;
    size_t n;
};

/* ---------------------------------------------------------------- label filters */

enum lp_lf_kind {
    LP_LF_AND,      /* left, right */
    LP_LF_OR,       /* left, right */
    LP_LF_MATCH,    /* match */
    LP_LF_IP,       /* name, text; cmp is EQ or NEQ */
    LP_LF_NUMBER,   /* name, cmp, number */
    LP_LF_DURATION, /* name, cmp, ns */
    LP_LF_SIZE,     /* name, cmp, bytes */
};

enum lp_cmp { LP_CMP_EQ, LP_CMP_NEQ, LP_CMP_GT, LP_CMP_GTE, LP_CMP_LT, LP_CMP_LTE };

struct lp_label_filter {
    enum lp_lf_kind kind;
    enum lp_cmp cmp;
    struct lp_pos pos;
    uint32_t depth; /* 1 for a leaf, else one more than the deeper side */
    union {
        struct {
            const struct lp_label_filter *left, *right;
        };
        struct lp_label_match match;
        struct {
            struct lp_str name;
            union {
                struct lp_str text;
                double number;
                int64_t ns;
                uint64_t bytes;
            };
        };
    };
};

enum lp_stage_kind {
    LP_STAGE_LINE_FILTER,  /* line */
    LP_STAGE_LOGFMT,       /* parser */
    LP_STAGE_JSON,         /* parser */
    LP_STAGE_REGEXP,       /* text: has at least one named group, names differ */
    LP_STAGE_PATTERN,      /* text: pattern.h */
    LP_STAGE_UNPACK,
    LP_STAGE_LABEL_FILTER, /* filter */
    LP_STAGE_LINE_FORMAT,  /* text: a template, not looked at by the parser */
    LP_STAGE_LABEL_FORMAT, /* formats */
    LP_STAGE_DECOLORIZE,
    LP_STAGE_DROP, /* picks */
    LP_STAGE_KEEP, /* picks */
};

struct lp_stage {
    enum lp_stage_kind kind;
    struct lp_pos pos;
    union {
        struct lp_line_filter line;
        struct lp_parser_args parser;
        struct lp_str text;
        const struct lp_label_filter *filter;
        struct lp_label_fmts formats;
        struct lp_label_picks picks;
    };
};

/* {selector} stage stage ... */
struct lp_log_query {
    struct lp_label_match *matchers;
    size_t nmatchers; /* 0 only where the caller allowed {} */
    struct lp_stage *stages;
    size_t nstages;
};

/* --------------------------------------------------------------- metric queries */

enum lp_unwrap_conv { LP_CONV_NONE, LP_CONV_BYTES, LP_CONV_DURATION, LP_CONV_DURATION_SECONDS };

/* | unwrap conv(name) | filter | filter ... The filters act after the value was taken. */
struct lp_unwrap {
    struct lp_pos pos;
    enum lp_unwrap_conv conv;
    struct lp_str name;
    const struct lp_label_filter **filters;
    size_t nfilters;
};

/* What a range aggregation looks at: the log query's lines in (t - range - offset, t - offset]. */
struct lp_log_range {
    struct lp_log_query log;
    struct lp_unwrap *unwrap; /* NULL without */
    int64_t range_ns;         /* >= 0 */
    int64_t offset_ns;        /* may be negative */
};

enum lp_group_kind { LP_GROUP_NONE, LP_GROUP_BY, LP_GROUP_WITHOUT };

struct lp_grouping {
    enum lp_group_kind kind;
    struct lp_str *names;
    size_t n;
};

/* Code, name, may it have by/without, unwrap: NEVER, MAYBE, ALWAYS. */
#define LP_RANGE_OPS(X)                                                                         \
    X(RATE, "rate", false, MAYBE)                                                               \
    X(RATE_COUNTER, "rate_counter", false, ALWAYS)                                              \
    X(COUNT, "count_over_time", false, NEVER)                                                   \
    X(BYTES, "bytes_over_time", false, NEVER)                                                   \
    X(BYTES_RATE, "bytes_rate", false, NEVER)                                                   \
    X(SUM, "sum_over_time", false, ALWAYS)                                                      \
    X(AVG, "avg_over_time", true, ALWAYS)                                                       \
    X(MAX, "max_over_time", true, ALWAYS)                                                       \
    X(MIN, "min_over_time", true, ALWAYS)                                                       \
    X(STDVAR, "stdvar_over_time", true, ALWAYS)                                                 \
    X(STDDEV, "stddev_over_time", true, ALWAYS)                                                 \
    X(QUANTILE, "quantile_over_time", true, ALWAYS)                                             \
    X(FIRST, "first_over_time", true, ALWAYS)                                                   \
    X(LAST, "last_over_time", true, ALWAYS)                                                     \
    X(ABSENT, "absent_over_time", false, MAYBE)

enum lp_range_op {
#define X(id, name, grouping, unwrap) LP_RANGE_##id,
    LP_RANGE_OPS(X)
#undef X
};

/* Code, name, has it a count parameter, may it have by/without. */
#define LP_VECTOR_OPS(X)                                                                        \
    X(SUM, "sum", false, true)                                                                  \
    X(AVG, "avg", false, true)                                                                  \
    X(COUNT, "count", false, true)                                                              \
    X(MAX, "max", false, true)                                                                  \
    X(MIN, "min", false, true)                                                                  \
    X(STDDEV, "stddev", false, true)                                                            \
    X(STDVAR, "stdvar", false, true)                                                            \
    X(TOPK, "topk", true, true)                                                                 \
    X(BOTTOMK, "bottomk", true, true)                                                           \
    X(APPROX_TOPK, "approx_topk", true, false)                                                  \
    X(SORT, "sort", false, false)                                                               \
    X(SORT_DESC, "sort_desc", false, false)

enum lp_vector_op {
#define X(id, name, param, grouping) LP_VECTOR_##id,
    LP_VECTOR_OPS(X)
#undef X
};

/* Code, text, precedence (higher binds tighter; only ^ goes right to left), kind: SET, CMP, ARITH. */
#define LP_BINARY_OPS(X)                                                                        \
    X(OR, "or", 1, SET)                                                                         \
    X(AND, "and", 2, SET)                                                                       \
    X(UNLESS, "unless", 2, SET)                                                                 \
    X(EQ, "==", 3, CMP)                                                                         \
    X(NEQ, "!=", 3, CMP)                                                                        \
    X(GT, ">", 3, CMP)                                                                          \
    X(GTE, ">=", 3, CMP)                                                                        \
    X(LT, "<", 3, CMP)                                                                          \
    X(LTE, "<=", 3, CMP)                                                                        \
    X(ADD, "+", 4, ARITH)                                                                       \
    X(SUB, "-", 4, ARITH)                                                                       \
    X(MUL, "*", 5, ARITH)                                                                       \
    X(DIV, "/", 5, ARITH)                                                                       \
    X(MOD, "%", 5, ARITH)                                                                       \
    X(POW, "^", 6, ARITH)

enum lp_binary_op {
#define X(id, text, prec, kind) LP_BINARY_##id,
    LP_BINARY_OPS(X)
#undef X
};

enum lp_binary_kind { LP_BINARY_KIND_SET, LP_BINARY_KIND_CMP, LP_BINARY_KIND_ARITH };

enum lp_vector_match { LP_VMATCH_ALL, LP_VMATCH_ON, LP_VMATCH_IGNORING };
enum lp_vector_card { LP_CARD_ONE_TO_ONE, LP_CARD_MANY_TO_ONE /* group_left */, LP_CARD_ONE_TO_MANY /* group_right */ };

/* How the series of the two sides find each other. */
struct lp_matching {
    enum lp_vector_match kind;
    enum lp_vector_card card; /* ONE_TO_ONE unless on or ignoring was given */
    struct lp_str *labels;    /* of on / ignoring */
    size_t nlabels;
    struct lp_str *include; /* of group_left / group_right */
    size_t ninclude;
};

struct lp_expr;

struct lp_range_agg {
    enum lp_range_op op;
    double param; /* the quantile; unused otherwise */
    struct lp_log_range range;
    struct lp_grouping by;
};

struct lp_vector_agg {
    enum lp_vector_op op;
    int64_t param; /* topk, bottomk, approx_topk: > 0; else 0 */
    const struct lp_expr *inner;
    struct lp_grouping by;
};

struct lp_binary {
    enum lp_binary_op op;
    bool return_bool; /* comparison gives 0 or 1 instead of filtering */
    const struct lp_expr *left, *right; /* never both literals */
    struct lp_matching match;
};

struct lp_label_replace {
    const struct lp_expr *inner;
    struct lp_str dst, replacement, src, regex;
};

enum lp_expr_kind {
    LP_EXPR_LOG,
    LP_EXPR_RANGE_AGG,
    LP_EXPR_VECTOR_AGG,
    LP_EXPR_BINARY,
    LP_EXPR_LABEL_REPLACE,
    LP_EXPR_LITERAL, /* a scalar */
    LP_EXPR_VECTOR,  /* vector(number) */
};

struct lp_expr {
    enum lp_expr_kind kind;
    struct lp_pos pos;
    uint32_t depth; /* 1 for a leaf, else one more than the deepest child */
    union {
        struct lp_log_query log;
        struct lp_range_agg range_agg;
        struct lp_vector_agg vector_agg;
        struct lp_binary binary;
        struct lp_label_replace label_replace;
        double number; /* LITERAL and VECTOR */
    };
};

/* Names and properties of the operators above (ast.c). Static strings. */
const char *lp_range_op_name(enum lp_range_op op);
const char *lp_vector_op_name(enum lp_vector_op op);
const char *lp_binary_op_text(enum lp_binary_op op);
int lp_binary_op_prec(enum lp_binary_op op);
enum lp_binary_kind lp_binary_op_kind(enum lp_binary_op op);
const char *lp_match_op_text(enum lp_match_op op);
const char *lp_line_op_text(enum lp_line_op op);
bool lp_line_op_negative(enum lp_line_op op);
const char *lp_cmp_text(enum lp_cmp cmp); /* "==" for EQ */

/* left op right as LogQL defines it: x / 0 and x % 0 are NaN; comparisons give 0 or 1. Not for and, or, unless. */
double lp_binary_eval(enum lp_binary_op op, double left, double right);

#endif
