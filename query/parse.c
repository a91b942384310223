/*
 * parse.c - the LogQL parser's entry and tools. The rules are in parse_metric.c (expressions), parse_log.c
 * (selectors, line filters, label filters) and parse_stage.c (parsers, formats); what they leave to be
 * checked is in check.c.
 *
 * Invariants: 1. once ps->rc is set it stays, and no function succeeds any more; 2. recursion only between
 * lp_ps_enter and lp_ps_leave; 3. the tree borrows from the arena's own copy of the text.
 */
#include "query/parse.h"

#include <stdarg.h>
#include <stdio.h>

#include "query/parse_int.h"
#include "query/text.h"

/* ------------------------------------------------------------------ errors */

bool
lp_ps_fail(struct lp_parser *ps, struct lp_pos pos, const char *fmt, ...)
{
    if (ps->rc == LP_OK) {
        char text[LP_ERR_TEXT_BYTES];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        ps->rc = lp_lex_fail(ps->err, pos, "%s", text);
    }
    return false;
}

bool
lp_ps_limit(struct lp_parser *ps, const char *what)
{
    if (ps->rc == LP_OK) {
        ps->rc = lp_err_set(ps->err, LP_ERR_LIMIT, "parse error : %s", what);
    }
    return false;
}

/* The token in hand as the user wrote it. */
static const char *
found(const struct lp_token *t, char room[96])
{
    char clip[64];
    if (t->kind == LP_TOK_EOF) {
        return lp_tok_name(LP_TOK_EOF);
    }
    const char *what = "";
    if (t->kind == LP_TOK_IDENT) {
        what = "name ";
    } else if (t->kind == LP_TOK_STRING) {
        what = "string ";
    } else if (t->kind >= LP_TOK_BY && t->kind <= LP_TOK_UNWRAP) {
        what = "keyword ";
    }
    snprintf(room, 96, "%s%s", what, lp_text_clip(t->text, 48, clip));
    return room;
}

bool
lp_ps_unexpected(struct lp_parser *ps, const char *expected)
{
    char room[96];
    const struct lp_token *t = &ps->tok;
    bool function = t->kind == LP_TOK_IDENT && lp_lex_is_function(t->text);
    return lp_ps_fail(ps, t->pos, "unexpected %s, expected %s%s", found(t, room), expected,
                      function ? " (to be a function it needs brackets behind it)" : "");
}

/* ------------------------------------------------------------------ tokens */

bool
lp_ps_next(struct lp_parser *ps)
{
    if (ps->rc == LP_OK) {
        ps->rc = lp_lex_next(&ps->lex, &ps->tok, ps->err);
    }
    return ps->rc == LP_OK;
}

bool
lp_ps_accept(struct lp_parser *ps, enum lp_tok kind)
{
    return ps->rc == LP_OK && ps->tok.kind == kind && lp_ps_next(ps);
}

bool
lp_ps_expect(struct lp_parser *ps, enum lp_tok kind, const char *expected)
{
    if (ps->tok.kind != kind) {
        return lp_ps_unexpected(ps, expected != NULL ? expected : lp_tok_name(kind));
    }
    return lp_ps_next(ps);
}

bool
lp_ps_name(struct lp_parser *ps, struct lp_str *ret)
{
    *ret = ps->tok.text;
    return lp_ps_expect(ps, LP_TOK_IDENT, "a label name");
}

bool
lp_ps_string(struct lp_parser *ps, struct lp_str *ret)
{
    *ret = ps->tok.str;
    return lp_ps_expect(ps, LP_TOK_STRING, NULL);
}

enum lp_tok
lp_ps_peek(const struct lp_parser *ps)
{
    struct lp_lexer ahead = ps->lex;
    struct lp_token t;
    return lp_lex_next(&ahead, &t, NULL) == LP_OK ? t.kind : LP_TOK_EOF;
}

/* ------------------------------------------------------------------ limits */

bool
lp_ps_enter(struct lp_parser *ps)
{
    if (++ps->depth > LP_LOGQL_DEPTH_MAX) {
        return lp_ps_limit(ps, "the query is nested too deeply");
    }
    return ps->rc == LP_OK;
}

void
lp_ps_leave(struct lp_parser *ps)
{
    ps->depth--;
}

bool
lp_ps_count(struct lp_parser *ps)
{
    if (++ps->nodes > LP_LOGQL_NODES_MAX) {
        return lp_ps_limit(ps, "the query has too many parts");
    }
    return true;
}

void *
lp_ps_alloc(struct lp_parser *ps, size_t bytes)
{
    void *p = lp_arena_zalloc(ps->ar, bytes);
    if (p == NULL) {
        (void)lp_ps_limit(ps, "the query needs more memory than it may have");
    }
    return p;
}

void *
lp_ps_grow(struct lp_parser *ps, void *items, size_t *cap, size_t n, size_t size)
{
    if (ps->rc != LP_OK || !lp_ps_count(ps)) {
        return NULL;
    }
    void *p = lp_arena_grow(ps->ar, items, cap, n + 1, size);
    if (p == NULL) {
        (void)lp_ps_limit(ps, "the query needs more memory than it may have");
    }
    return p;
}

/* ------------------------------------------------------------------- entry */

/* The rules for the text as a whole, so that the lexer may rely on them. */
static lp_rc
check_text(struct lp_str text, struct lp_err *err)
{
    if (text.n > LP_LOGQL_INPUT_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "parse error : input size too long (%zu > %u)", text.n,
                          LP_LOGQL_INPUT_MAX);
    }
    if (!lp_utf8_valid(text) || lp_str_find_byte(text, 0) != SIZE_MAX) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "parse error : the query is not valid UTF-8 text (write other bytes as \\xNN)");
    }
    return LP_OK;
}

lp_rc
lp_logql_parse(struct lp_str text, const struct lp_logql_opts *opts, struct lp_arena *ar,
               const struct lp_expr **ret, struct lp_err *err)
{
    static const struct lp_logql_opts defaults = {.allow_empty_selector = false};
    struct lp_parser ps = {.ar = ar, .err = err};
    lp_rc rc = check_text(text, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str copy;
    if (!lp_arena_str(ar, text, &copy)) {
        (void)lp_ps_limit(&ps, "the query needs more memory than it may have");
        return ps.rc;
    }
    lp_lex_init(&ps.lex, copy, ar);
    struct lp_expr *expr = lp_ps_next(&ps) ? lp_ps_expr(&ps, 0) : NULL;
    if (expr != NULL && ps.tok.kind != LP_TOK_EOF) {
        (void)lp_ps_unexpected(&ps, expr->kind == LP_EXPR_LOG ? "a stage, or the end of the query"
                                                              : "an operator, or the end of the query");
    }
    if (ps.rc != LP_OK) {
        return ps.rc;
    }
    rc = lp_logql_check(expr, opts != NULL ? opts : &defaults, ar, err);
    if (rc == LP_OK) {
        *ret = expr;
    }
    return rc;
}

lp_rc
lp_logql_parse_selector(struct lp_str text, const struct lp_logql_opts *opts, struct lp_arena *ar,
                        const struct lp_log_query **ret, struct lp_err *err)
{
    const struct lp_expr *expr;
    lp_rc rc = lp_logql_parse(text, opts, ar, &expr, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (expr->kind != LP_EXPR_LOG || expr->log.nstages > 0) {
        return lp_err_set(err, LP_ERR_PARSE, "only label matchers are supported");
    }
    *ret = &expr->log;
    return LP_OK;
}
