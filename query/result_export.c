/*
 * result_export.c - rows of an export: raw bytes, or one JSON object a line.
 */
#include "query/result_int.h"

bool
lp_export_raw(const struct lp_found *f, size_t row, struct lp_buf *out)
{
    struct lp_str line = f->rows[row].line;
    return lp_buf_str(out, line) && lp_buf_byte(out, '\n');
}

static void
put_base64(struct lp_buf *out, struct lp_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = LP_MIN((size_t)3, s.n - i);
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) {
            v = v << 8 | (k < n ? (uint8_t)s.p[i + k] : 0);
        }
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                        n > 2 ? digits[v & 63] : '='};
        lp_buf_add(out, four, 4);
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

bool
lp_export_jsonl(const struct lp_found *f, size_t row, struct lp_buf *out)
{
    const struct lp_found_row *r = &f->rows[row];
    const struct lp_stream_key *k = &f->streams[r->stream].key;
    char time[LP_TIME_TEXT];
    lp_time_text(r->time_ns, time);
    lp_buf_c(out, "{\"time\":\"");
    lp_buf_c(out, time);
    lp_buf_c(out, "\",\"labels\":");
    lp_result_pairs(k->labels, k->nlabels, out);
    put_instance(out, &k->inst);
    if (r->nmeta > 0) {
        lp_buf_c(out, ",\"metadata\":");
        lp_result_pairs(r->meta, r->nmeta, out);
    }
    lp_buf_c(out, ",\"line\":");
    lp_buf_json(out, r->line);
    if (!lp_utf8_valid(r->line)) {
        lp_buf_c(out, ",\"line_b64\":\"");
        put_base64(out, r->line);
        lp_buf_byte(out, '"');
    }
    return lp_buf_c(out, "}\n");
}
