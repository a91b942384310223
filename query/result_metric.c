/*
 * result_metric.c - the series of a metric query as Loki's `matrix`, `vector` and `scalar`.
 */
#include "query/result_int.h"
#include "query/text.h"

static void
begin(const char *type, const struct lp_matrix *m, struct lp_buf *out)
{
    const struct lp_result_notes notes = {m->damage, m->stats.damaged, NULL};
    lp_result_begin(type, &notes, false, out);
}

static lp_rc
end(const struct lp_matrix *m, size_t samples, struct lp_buf *out, struct lp_err *err)
{
    lp_result_end(&m->stats, samples, out);
    return !out->failed ? LP_OK
                        : lp_err_set(err, LP_ERR_LIMIT,
                                     "the answer needs more memory than a query may have; ask for fewer "
                                     "series, or a larger step");
}

static void
put_metric(const struct lp_series *s, bool first, struct lp_buf *out)
{
    lp_buf_c(out, first ? "{\"metric\":" : ",{\"metric\":");
    lp_result_pairs(s->labels, s->nlabels, out);
}

/* The product alone may leave 64 bits. */
static int64_t
time_of(const struct lp_matrix *m, size_t step)
{
    return (int64_t)((uint64_t)m->start_ns + step * (uint64_t)m->step_ns);
}

static void
put_scalar(const struct lp_matrix *m, struct lp_buf *out)
{
    lp_buf_printf(out, "%lld,\"", (long long)(m->start_ns / LP_NS_PER_MS));
    lp_text_plain(out, m->series[0].v[0]);
    lp_buf_byte(out, '"');
}

lp_rc
lp_result_series_vector(const struct lp_matrix *m, struct lp_buf *out, struct lp_err *err)
{
    begin(m->scalar ? "scalar" : "vector", m, out);
    if (m->scalar) {
        put_scalar(m, out);
        return end(m, m->n, out, err);
    }
    for (size_t i = 0; i < m->n; i++) {
        put_metric(&m->series[i], i == 0, out);
        lp_buf_c(out, ",\"value\":");
        lp_result_sample(m->start_ns, m->series[i].v[0], out);
        lp_buf_byte(out, '}');
    }
    return end(m, m->n, out, err);
}

lp_rc
lp_result_series_matrix(const struct lp_matrix *m, struct lp_buf *out, struct lp_err *err)
{
    size_t n = 0;
    begin("matrix", m, out);
    for (size_t i = 0; i < m->n && !out->failed; i++) {
        const struct lp_series *s = &m->series[i];
        const char *comma = "";
        put_metric(s, i == 0, out);
        lp_buf_c(out, ",\"values\":[");
        for (size_t k = 0; k < m->steps; k++) {
            if (s->has[k]) {
                lp_buf_c(out, comma);
                lp_result_sample(time_of(m, k), s->v[k], out);
                comma = ",";
                n++;
            }
        }
        lp_buf_c(out, "]}");
    }
    return end(m, n, out, err);
}
