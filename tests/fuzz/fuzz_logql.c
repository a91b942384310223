/*
 * fuzz_logql.c - any bytes as a LogQL query. Oracle: no crash, no sanitizer report; what parses prints to
 * text that parses to the same canonical text, from the canonical and from the pretty form; filters and
 * matchers of what parses compile. Built as a libFuzzer target with --enable-fuzzing; elsewhere it is a plain
 * function that tests call.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "query/linefilter.h"
#include "query/matcher.h"
#include "query/parse.h"
#include "query/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parses text again and requires it to print as `canonical`. */
static void
must_mean(struct lp_str text, struct lp_str canonical)
{
    static const struct lp_logql_opts opts = {.allow_empty_selector = true};
    struct lp_arena ar;
    struct lp_buf out;
    const struct lp_expr *expr;
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    lp_buf_init(&out, 64u << 20);
    lp_rc rc = text.n <= LP_LOGQL_INPUT_MAX ? lp_logql_parse(text, &opts, &ar, &expr, NULL) : LP_ERR_LIMIT;
    if (rc != LP_ERR_LIMIT) { /* brackets and escapes can take a text over a limit */
        LP_ASSERT(rc == LP_OK);
        LP_ASSERT(lp_logql_print(expr, &out));
        LP_ASSERT(lp_str_eq(lp_buf_view(&out), canonical));
    }
    lp_buf_clear(&out);
    lp_arena_clear(&ar);
}

static void
must_compile(const struct lp_log_query *log)
{
    struct lp_matchers *m;
    struct lp_linefilter *f;
    static const char line[] = "level=error \xff ip=10.0.0.1 msg=\"some line\"";
    LP_ASSERT(lp_matchers_new(log->matchers, log->nmatchers, &m, NULL) == LP_OK);
    (void)lp_matchers_match(m, NULL, 0);
    lp_matchers_free(m);
    LP_ASSERT(lp_linefilter_new(log->stages, lp_linefilter_run(log->stages, log->nstages), &f, NULL) ==
              LP_OK);
    (void)lp_linefilter_match(f, lp_str_of(line, sizeof(line) - 1));
    lp_linefilter_free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct lp_logql_opts opts = {.allow_empty_selector = true};
    struct lp_arena ar;
    struct lp_buf canonical, pretty;
    struct lp_err err;
    const struct lp_expr *expr;
    lp_err_clear(&err);
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    lp_buf_init(&canonical, 64u << 20);
    lp_buf_init(&pretty, 64u << 20);
    lp_rc rc = lp_logql_parse(lp_str_of((const char *)data, size), &opts, &ar, &expr, &err);
    if (rc == LP_OK) {
        LP_ASSERT(lp_logql_print(expr, &canonical) && lp_logql_pretty(expr, &pretty));
        must_mean(lp_buf_view(&canonical), lp_buf_view(&canonical));
        must_mean(lp_buf_view(&pretty), lp_buf_view(&canonical));
        if (expr->kind == LP_EXPR_LOG) {
            must_compile(&expr->log);
        }
    } else {
        LP_ASSERT(err.rc == rc && err.text[0] != 0);
    }
    lp_buf_clear(&pretty);
    lp_buf_clear(&canonical);
    lp_arena_clear(&ar);
    return 0;
}
