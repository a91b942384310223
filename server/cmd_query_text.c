/*
 * cmd_query_text.c - what a person typed, as LogQL and times; where the server found it wrong.
 */
#include "server/cmd_query_int.h"

#include "query/parse.h"
#include "query/text.h"
#include "server/cmd_push_int.h"
#include "server/text_ui.h"

/* Names that can begin a metric query; a search for such a word alone has no bracket and no selector behind
 * it. */
static const char *const metric_names[] = {
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "topk",
    "bottomk",
    "stddev",
    "stdvar",
    "sort",
    "sort_desc",
    "approx_topk",
    "rate",
    "rate_counter",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "first_over_time",
    "last_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "absent_over_time",
    "label_replace",
    "vector",
};

static void
join_words(const char *const *words, size_t n, struct lp_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? " " : "");
        lp_buf_c(out, words[i]);
    }
}

static bool
metric_form(struct lp_str s)
{
    size_t n = 0;
    while (n < s.n && lp_text_name_byte(s.p[n], n == 0)) {
        n++;
    }
    if (lp_str_find_byte(s, '(') == SIZE_MAX || lp_str_find_byte(s, '{') == SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(metric_names); i++) {
        if (lp_str_eqc(lp_str_sub(s, 0, n), metric_names[i])) {
            return true;
        }
    }
    return false;
}

/* Whether it parses, and as what. */
static bool
parsed_as(struct lp_str text, bool *ret_metric)
{
    static const struct lp_logql_opts any = {.allow_empty_selector = true};
    const struct lp_expr *e;
    struct lp_arena ar;
    struct lp_err err;
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    bool parsed = lp_logql_parse(text, &any, &ar, &e, &err) == LP_OK;
    *ret_metric = parsed && e->kind != LP_EXPR_LOG;
    lp_arena_clear(&ar);
    return parsed;
}

bool
lp_query_is_metric(struct lp_str text)
{
    struct lp_str s = lp_str_trim(text);
    bool metric;
    return parsed_as(s, &metric) ? metric : s.n > 0 && s.p[0] != '{';
}

/* "(rate(...))", "100 * rate(...)": metric queries that begin with no function. */
static bool
whole_metric_query(struct lp_str s)
{
    bool metric;
    return lp_str_find_byte(s, '(') != SIZE_MAX && lp_str_find_byte(s, '{') != SIZE_MAX &&
           parsed_as(s, &metric) && metric;
}

bool
lp_query_is_logql(const char *const *words, size_t n)
{
    struct lp_buf all;
    lp_buf_init(&all, SIZE_MAX);
    join_words(words, n, &all);
    struct lp_str text = lp_str_trim(lp_buf_view(&all));
    bool logql = text.n > 0 && (text.p[0] == '{' || metric_form(text) || whole_metric_query(text));
    lp_buf_clear(&all);
    return logql;
}

/* A regular expression that means the word itself. */
static void
put_ignoring_case(struct lp_str word, struct lp_buf *out)
{
    struct lp_buf re;
    lp_buf_init(&re, SIZE_MAX);
    lp_buf_c(&re, "(?i)");
    for (size_t i = 0; i < word.n; i++) {
        if (strchr("\\.+*?()|[]{}^$", word.p[i]) != NULL && word.p[i] != 0) {
            lp_buf_byte(&re, '\\');
        }
        lp_buf_byte(&re, (uint8_t)word.p[i]);
    }
    lp_buf_c(out, " |~ ");
    lp_text_quote(out, lp_buf_view(&re));
    lp_buf_clear(&re);
}

void
lp_query_build(const char *const *words, size_t n, bool logql, bool ignore_case, struct lp_buf *out)
{
    if (logql) {
        join_words(words, n, out);
        return;
    }
    lp_buf_c(out, "{}");
    for (size_t i = 0; i < n; i++) {
        struct lp_str word = lp_str_c(words[i]);
        if (ignore_case) {
            put_ignoring_case(word, out);
        } else {
            lp_buf_c(out, " |= ");
            lp_text_quote(out, word);
        }
    }
}

bool
lp_query_time_text(struct lp_str s, int64_t now_ns, int64_t *ret)
{
    static const char midnight[] = " 00:00:00";
    char full[40];
    struct lp_line_clock clock;
    int64_t ago_ns;
    lp_line_clock_init(&clock, now_ns);
    if (s.n == 10 || s.n == 16) { /* a date, or one with hours and minutes */
        size_t from = s.n == 10 ? 0 : 6;
        memcpy(full, s.p, s.n);
        memcpy(full + s.n, midnight + from, sizeof(midnight) - from);
        if (lp_line_time(&clock, lp_str_c(full), ret)) {
            return true;
        }
    }
    if (lp_line_time(&clock, s, ret) || lp_time_any(s, ret)) {
        return true;
    }
    if (!lp_duration(s, &ago_ns)) {
        return false;
    }
    return !__builtin_sub_overflow(now_ns, ago_ns, ret);
}

lp_rc
lp_query_take_since(const char *value, int64_t now_ns, int64_t *ret_start_ns, struct lp_err *err)
{
    int64_t ns;
    if (!lp_duration(lp_str_c(value), &ns) || ns < 0) {
        return lp_err_set(err, LP_ERR_PARSE, "--since %s: a duration like 30m, 12h or 7d is expected", value);
    }
    *ret_start_ns = LP_MAX(now_ns - ns, 0);
    return LP_OK;
}

lp_rc
lp_query_take_time(const char *name, const char *value, int64_t now_ns, int64_t *ret, struct lp_err *err)
{
    if (lp_query_time_text(lp_str_c(value), now_ns, ret)) {
        return LP_OK;
    }
    return lp_err_set(
        err, LP_ERR_PARSE,
        "--%s %s: a time like 2026-01-02, \"2026-01-02 15:04\", 2026-01-02T15:04:05Z or 2h is expected", name,
        value);
}

lp_rc
lp_query_take_output(const char *value, enum lp_query_output *ret, struct lp_err *err)
{
    static const char *const names[] = {"default", "raw", "jsonl"};
    for (size_t i = 0; i < LP_ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret = (enum lp_query_output)i;
            return LP_OK;
        }
    }
    return lp_err_set(err, LP_ERR_PARSE, "--output %s: default, raw or jsonl is expected", value);
}

lp_rc
lp_query_take_colour(const char *value, bool *ret, struct lp_err *err)
{
    if (strcmp(value, "auto") == 0) {
        *ret = lp_ui_colour(stdout);
    } else if (strcmp(value, "always") == 0 || strcmp(value, "never") == 0) {
        *ret = value[0] == 'a';
    } else {
        return lp_err_set(err, LP_ERR_PARSE, "--color %s: auto, always or never is expected", value);
    }
    return LP_OK;
}

/* The number behind a word of the text; false without. */
static bool
number_behind(struct lp_str text, struct lp_str word, uint64_t *ret)
{
    size_t at = lp_str_find(text, word), n = 0;
    if (at == SIZE_MAX) {
        return false;
    }
    struct lp_str rest = lp_str_sub(text, at + word.n, text.n);
    while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9') {
        n++;
    }
    return lp_str_u64(lp_str_sub(rest, 0, n), ret);
}

void
lp_query_point_at(FILE *out, struct lp_str query, struct lp_str error)
{
    uint64_t line, col;
    if (!number_behind(error, LP_STR(" at line "), &line) || !number_behind(error, LP_STR(", col "), &col) ||
        line != 1 || col == 0 || col > query.n + 1 || lp_str_find_byte(query, '\n') != SIZE_MAX) {
        return;
    }
    fprintf(out, "  " LP_STR_FMT "\n  %*s\n", LP_STR_ARG(query), (int)col, "^");
}
