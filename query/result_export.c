/*
 * result_export.c - rows of an export: raw bytes, or one JSON object a line.
 */
#include "query/result_int.h"

static lp_rc
finished(const struct lp_buf *out, struct lp_err *err)
{
    return !out->failed ? LP_OK
                        : lp_err_set(err, LP_ERR_LIMIT, "a page of the export is over %zu bytes", out->limit);
}

lp_rc
lp_export_raw(const struct lp_found *f, struct lp_buf *out, struct lp_err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        lp_buf_str(out, f->rows[i].line);
        lp_buf_byte(out, '\n');
    }
    return finished(out, err);
}

void
lp_result_line(struct lp_str line, struct lp_buf *out)
{
    lp_buf_c(out, ",\"line\":");
    lp_buf_json(out, line);
    if (!lp_utf8_valid(line)) {
        lp_buf_c(out, ",\"line_b64\":\"");
        lp_buf_base64(out, line);
        lp_buf_byte(out, '"');
    }
}

static void
put_instance(struct lp_buf *out, const struct lp_instance *inst)
{
    if (inst->uid.n == 0 && inst->incarnation.n == 0) {
        return;
    }
    lp_buf_c(out, ",\"instance\":{\"uid\":");
    lp_buf_json(out, inst->uid);
    lp_buf_c(out, ",\"incarnation\":");
    lp_buf_json(out, inst->incarnation);
    lp_buf_byte(out, '}');
}

/* The part of a row's object that all rows of its stream share, written once: where it stands in `texts`. */
struct shared {
    struct lp_buf texts;
    struct span {
        size_t at, n; /* n 0: not written yet */
    } * of_stream;
};

static struct lp_str
stream_text(struct shared *sh, const struct lp_found *f, uint32_t stream)
{
    const struct lp_stream_key *k = &f->streams[stream]->key;
    struct span *span = &sh->of_stream[stream];
    if (span->n == 0) {
        span->at = sh->texts.n;
        lp_buf_c(&sh->texts, "\",\"labels\":");
        lp_result_pairs(k->labels, k->nlabels, &sh->texts);
        put_instance(&sh->texts, &k->inst);
        span->n = sh->texts.n - span->at;
    }
    return lp_str_of(sh->texts.p + span->at, span->n);
}

/* ,"key":{labels of this origin}; nothing where there are none. */
static void
put_labels(const struct lp_found_row *r, enum lp_label_origin origin, const char *key, struct lp_buf *out)
{
    const char *before = NULL;
    for (size_t i = 0; i < r->nlabels; i++) {
        const struct lp_label *l = &r->labels[i];
        if (l->origin == origin) {
            if (before == NULL) {
                lp_buf_printf(out, ",\"%s\":", key);
            }
            lp_buf_c(out, before != NULL ? before : "{");
            lp_buf_json(out, l->name);
            lp_buf_byte(out, ':');
            lp_buf_json(out, l->value);
            before = ",";
        }
    }
    lp_buf_c(out, before != NULL ? "}" : "");
}

static void
put_row(struct shared *sh, const struct lp_found *f, const struct lp_found_row *r, struct lp_buf *out)
{
    char time[LP_TIME_TEXT];
    size_t n = lp_time_text(r->time_ns, time);
    lp_buf_c(out, "{\"time\":\"");
    lp_buf_add(out, time, n);
    lp_buf_str(out, stream_text(sh, f, r->stream));
    if (r->labels != NULL) {
        put_labels(r, LP_LABEL_PARSED, "parsed", out);
    }
    if (r->nmeta > 0) {
        lp_buf_c(out, ",\"metadata\":");
        lp_result_pairs(r->meta, r->nmeta, out);
    }
    if (r->context != LP_CONTEXT_NONE) {
        lp_buf_printf(out, ",\"context\":\"%s\"", r->context == LP_CONTEXT_BEFORE ? "before" : "after");
    }
    lp_result_line(r->line, out);
    lp_buf_c(out, "}\n");
}

lp_rc
lp_export_jsonl(const struct lp_found *f, struct lp_buf *out, struct lp_err *err)
{
    struct shared sh;
    lp_buf_init(&sh.texts, out->limit);
    sh.of_stream = lp_calloc(f->nstreams, sizeof(*sh.of_stream));
    for (size_t i = 0; i < f->n; i++) {
        put_row(&sh, f, &f->rows[i], out);
    }
    out->failed = out->failed || sh.texts.failed;
    lp_buf_clear(&sh.texts);
    lp_free(sh.of_stream);
    return finished(out, err);
}
