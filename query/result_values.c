/*
 * result_values.c - samples, label names and values, series.
 */
#include <stdio.h>

#include "query/matcher.h"
#include "query/result_int.h"
#include "query/text.h"

static lp_rc
finished(const struct lp_buf *out, struct lp_err *err)
{
    return !out->failed ? LP_OK
                        : lp_err_set(err, LP_ERR_LIMIT, "the answer needs more memory than a query may have");
}

static void
put_whole(struct lp_buf *out, uint64_t n)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    lp_buf_add(out, text + at, sizeof(text) - at);
}

void
lp_result_seconds(int64_t ns, struct lp_buf *out)
{
    int64_t ms = ns / LP_NS_PER_MS;
    if (ms < 0) {
        lp_buf_byte(out, '-');
        ms = -ms;
    }
    put_whole(out, (uint64_t)ms / 1000);
    if (ms % 1000 != 0) {
        char text[8];
        int n = snprintf(text, sizeof(text), ".%03d", (int)(ms % 1000));
        while (text[n - 1] == '0') {
            n--;
        }
        lp_buf_add(out, text, (size_t)n);
    }
}

void
lp_result_sample(int64_t ns, double v, struct lp_buf *out)
{
    lp_buf_byte(out, '[');
    lp_result_seconds(ns, out);
    lp_buf_add(out, ",\"", 2);
    if (v >= 1 && v < 1e15 && v == (double)(uint64_t)v) { /* a count, mostly */
        put_whole(out, (uint64_t)v);
    } else {
        lp_text_plain(out, v);
    }
    lp_buf_add(out, "\"]", 2);
}

lp_rc
lp_result_series(const struct lp_label_sets *sets, struct lp_buf *out, struct lp_err *err)
{
    lp_buf_c(out, "{\"status\":\"success\",\"data\":[");
    for (size_t i = 0; i < sets->n; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        lp_result_pairs(sets->v[i].labels, sets->v[i].n, out);
    }
    lp_buf_c(out, "]}\n");
    return finished(out, err);
}

lp_rc
lp_result_names(const struct lp_names *names, struct lp_buf *out, struct lp_err *err)
{
    lp_buf_c(out, "{\"status\":\"success\"");
    for (size_t i = 0; i < names->n; i++) {
        lp_buf_c(out, i == 0 ? ",\"data\":[" : ",");
        lp_buf_json(out, names->v[i]);
    }
    lp_buf_c(out, names->n > 0 ? "]}\n" : "}\n");
    return finished(out, err);
}
