/*
 * result_meta.c - see result_meta.h.
 */
#include "query/result_meta.h"

#include <math.h>

#include "query/result_int.h"

static lp_rc
finished(const struct lp_buf *out, struct lp_err *err)
{
    return !out->failed ? LP_OK
                        : lp_err_set(err, LP_ERR_LIMIT, "the answer needs more memory than a query may have");
}

/* ------------------------------------------------------------------ volumes */

static size_t
samples_of(const struct lp_volumes *v, const struct lp_volume *x)
{
    size_t n = 0;
    for (size_t b = 0; b < v->buckets; b++) {
        n += x->bytes[b] > 0;
    }
    return n;
}

static size_t
put_samples(const struct lp_volumes *v, const struct lp_volume *x, struct lp_buf *out)
{
    size_t n = 0;
    for (size_t b = 0; b < v->buckets; b++) {
        if (x->bytes[b] > 0) {
            lp_buf_c(out, n++ > 0 ? "," : "");
            lp_result_sample(v->ends[b], (double)x->bytes[b], out);
        }
    }
    return n;
}

lp_rc
lp_result_volumes(const struct lp_volumes *v, struct lp_buf *out, struct lp_err *err)
{
    const struct lp_search_stats none = {.streams = v->n};
    bool matrix = false;
    size_t n = 0;
    for (size_t i = 0; i < v->n && !matrix; i++) {
        matrix = samples_of(v, &v->v[i]) > 1;
    }
    const struct lp_result_notes notes = {v->damage, v->damaged, NULL};
    lp_result_begin(matrix ? "matrix" : "vector", &notes, false, out);
    for (size_t i = 0; i < v->n && !out->failed; i++) {
        lp_buf_c(out, i > 0 ? ",{\"metric\":" : "{\"metric\":");
        lp_result_pairs(v->v[i].labels, v->v[i].nlabels, out);
        lp_buf_c(out, matrix ? ",\"values\":[" : ",\"value\":");
        n += put_samples(v, &v->v[i], out);
        lp_buf_c(out, matrix ? "]}" : "}");
    }
    lp_result_end(&none, n, out);
    return finished(out, err);
}

/* ------------------------------------------------------------------ detected labels and fields */

lp_rc
lp_result_detected_labels(const struct lp_detected_labels *d, struct lp_buf *out, struct lp_err *err)
{
    for (size_t i = 0; i < d->n; i++) {
        lp_buf_c(out, i == 0 ? "{\"detectedLabels\":[{\"label\":" : ",{\"label\":");
        lp_buf_json(out, d->v[i].name);
        lp_buf_printf(out, ",\"cardinality\":%zu}", d->v[i].cardinality);
    }
    lp_buf_c(out, d->n > 0 ? "]}\n" : "{}\n");
    return finished(out, err);
}

static void
put_strings(const struct lp_str *v, size_t n, struct lp_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? "," : "[");
        lp_buf_json(out, v[i]);
    }
    lp_buf_c(out, n > 0 ? "]" : "[]");
}

static void
put_field(const struct lp_detected_field *f, struct lp_buf *out)
{
    static const struct lp_str parsers[] = {{"json", 4}, {"logfmt", 6}};
    bool json = (f->parsers & LP_DETECT_JSON) != 0, logfmt = (f->parsers & LP_DETECT_LOGFMT) != 0;
    lp_buf_c(out, "{\"label\":");
    lp_buf_json(out, f->name);
    lp_buf_printf(out, ",\"type\":\"%s\",\"cardinality\":%zu,\"parsers\":", f->type, f->cardinality);
    if (f->parsers == 0) {
        lp_buf_c(out, "null");
    } else {
        put_strings(json ? &parsers[0] : &parsers[1], (size_t)json + logfmt, out);
    }
    if (f->npath > 0) {
        lp_buf_c(out, ",\"jsonPath\":");
        put_strings(f->path, f->npath, out);
    }
    lp_buf_byte(out, '}');
}

lp_rc
lp_result_detected_fields(const struct lp_detected_fields *d, size_t limit, struct lp_buf *out,
                          struct lp_err *err)
{
    for (size_t i = 0; i < d->n; i++) {
        lp_buf_c(out, i == 0 ? "{\"fields\":[" : ",");
        put_field(&d->v[i], out);
    }
    if (d->n > 0) {
        lp_buf_printf(out, "],\"limit\":%zu}\n", limit);
    } else {
        lp_buf_c(out, "{}\n");
    }
    return finished(out, err);
}

lp_rc
lp_result_detected_values(const struct lp_names *values, size_t limit, struct lp_buf *out, struct lp_err *err)
{
    if (values->n > 0) {
        lp_buf_c(out, "{\"values\":");
        put_strings(values->v, values->n, out);
        lp_buf_printf(out, ",\"limit\":%zu}\n", limit);
    } else {
        lp_buf_c(out, "{}\n");
    }
    return finished(out, err);
}

/* ------------------------------------------------------------------ patterns */

static void
put_pattern(const struct lp_pattern_set *set, const struct lp_pattern *p, struct lp_buf *out)
{
    lp_buf_c(out, "{\"pattern\":");
    lp_buf_json(out, p->text);
    lp_buf_c(out, ",\"level\":");
    lp_buf_json(out, p->level);
    lp_buf_c(out, ",\"samples\":[");
    for (size_t i = 0; i < p->nsamples; i++) {
        int64_t ns = (int64_t)((uint64_t)set->start_ns + p->samples[i].step * (uint64_t)set->step_ns);
        lp_buf_printf(out, "%s[%lld,%.0f]", i > 0 ? "," : "", (long long)(ns / LP_NS_PER_S),
                      round(p->samples[i].lines));
    }
    lp_buf_c(out, "]}");
}

lp_rc
lp_result_patterns(const struct lp_pattern_set *p, struct lp_buf *out, struct lp_err *err)
{
    lp_buf_c(out, "{\"status\":\"success\",\"data\":[");
    for (size_t i = 0; i < p->n && !out->failed; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        put_pattern(p, &p->v[i], out);
    }
    lp_buf_c(out, "]}\n");
    return finished(out, err);
}
