/*
 * lex.h - LogQL's tokens, one at a time.
 *
 * Keywords ignore case and are never names. Names of functions are function tokens only before "(", or before by or
 * without and "("; elsewhere they are plain names, so that a label may be called `rate`. '#' begins a comment, to the
 * end of the line.
 *
 * A lexer is a small value: copying it is how one looks further ahead. The text must be valid UTF-8 without NUL (the
 * parser checks that once) and must outlive the tokens; decoded strings go to the arena.
 */
#ifndef LP_QUERY_LEX_H
#define LP_QUERY_LEX_H

#include "base/arena.h"
#include "base/err.h"
#include "query/ast.h"

/* Code and what error texts call it. Those from BY on are keywords. */
#define LP_TOKENS(X)                                                                            \
    X(EOF, "the end of the query")                                                              \
    X(IDENT, "a name")                                                                          \
    X(STRING, "a quoted string")                                                                \
    X(NUMBER, "a number")                                                                       \
    X(DURATION, "a duration")                                                                   \
    X(SIZE, "a size in bytes")                                                                  \
    X(RANGE, "a range like [5m]")                                                               \
    X(STRICT, "--strict")                                                                       \
    X(KEEP_EMPTY, "--keep-empty")                                                               \
    X(LBRACE, "{")                                                                              \
    X(RBRACE, "}")                                                                              \
    X(LPAREN, "(")                                                                              \
    X(RPAREN, ")")                                                                              \
    X(COMMA, ",")                                                                               \
    X(DOT, ".")                                                                                 \
    X(PIPE, "|")                                                                                \
    X(PIPE_EXACT, "|=")                                                                         \
    X(PIPE_MATCH, "|~")                                                                         \
    X(PIPE_PATTERN, "|>")                                                                       \
    X(EQ, "=")                                                                                  \
    X(NEQ, "!=")                                                                                \
    X(RE, "=~")                                                                                 \
    X(NRE, "!~")                                                                                \
    X(NPAT, "!>")                                                                               \
    X(EQEQ, "==")                                                                               \
    X(GT, ">")                                                                                  \
    X(GTE, ">=")                                                                                \
    X(LT, "<")                                                                                  \
    X(LTE, "<=")                                                                                \
    X(ADD, "+")                                                                                 \
    X(SUB, "-")                                                                                 \
    X(MUL, "*")                                                                                 \
    X(DIV, "/")                                                                                 \
    X(MOD, "%")                                                                                 \
    X(POW, "^")                                                                                 \
    X(BY, "by")                                                                                 \
    X(WITHOUT, "without")                                                                       \
    X(BOOL, "bool")                                                                             \
    X(OFFSET, "offset")                                                                         \
    X(ON, "on")                                                                                 \
    X(IGNORING, "ignoring")                                                                     \
    X(GROUP_LEFT, "group_left")                                                                 \
    X(GROUP_RIGHT, "group_right")                                                               \
    X(OR, "or")                                                                                 \
    X(AND, "and")                                                                               \
    X(UNLESS, "unless")                                                                         \
    X(JSON, "json")                                                                             \
    X(LOGFMT, "logfmt")                                                                         \
    X(REGEXP, "regexp")                                                                         \
    X(PATTERN, "pattern")                                                                       \
    X(UNPACK, "unpack")                                                                         \
    X(LINE_FORMAT, "line_format")                                                               \
    X(LABEL_FORMAT, "label_format")                                                             \
    X(DECOLORIZE, "decolorize")                                                                 \
    X(DROP, "drop")                                                                             \
    X(KEEP, "keep")                                                                             \
    X(UNWRAP, "unwrap")                                                                         \
    X(RANGE_OP, "a range aggregation")                                                          \
    X(VECTOR_OP, "an aggregation")                                                              \
    X(VECTOR, "vector")                                                                         \
    X(LABEL_REPLACE, "label_replace")                                                           \
    X(CONV, "a conversion")                                                                     \
    X(IP, "ip")

enum lp_tok {
#define X(id, text) LP_TOK_##id,
    LP_TOKENS(X)
#undef X
};

struct lp_token {
    enum lp_tok kind;
    struct lp_pos pos;
    struct lp_str text; /* as written; borrowed from the query text */
    int arg;            /* RANGE_OP: enum lp_range_op; VECTOR_OP: enum lp_vector_op; CONV: enum lp_unwrap_conv */
    union {
        struct lp_str str; /* STRING, decoded; borrowed from the text or the arena */
        double number;     /* NUMBER */
        int64_t ns;        /* DURATION, RANGE */
        uint64_t bytes;    /* SIZE */
    };
};

struct lp_lexer {
    struct lp_str text;
    size_t at;
    /* the place up to which lines and columns are counted */
    size_t mark;
    struct lp_pos mark_pos;
    struct lp_arena *ar;
};

void lp_lex_init(struct lp_lexer *lex, struct lp_str text, struct lp_arena *ar);
/* The next token; EOF again and again at the end. LP_ERR_PARSE with the finished text and its place, LP_ERR_LIMIT. */
lp_rc lp_lex_next(struct lp_lexer *lex, struct lp_token *ret, struct lp_err *err) LP_MUST_USE;
/* What error texts call a kind. Static string. */
const char *lp_tok_name(enum lp_tok kind);
/* True when s is the name of a function or aggregation (any case): "sum", "rate" ... */
bool lp_lex_is_function(struct lp_str s);

/* Fills err with "parse error at line L, col C: text" and the place. Returns LP_ERR_PARSE. */
lp_rc lp_lex_fail(struct lp_err *err, struct lp_pos pos, const char *fmt, ...) LP_PRINTF(3, 4);

#endif
