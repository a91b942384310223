/*
 * loki_write.c - see loki_write.h. Field numbers are those at the top of dec_loki_protobuf.c.
 */
#include "ingest/loki_write.h"

#include "ingest/wire.h"

void
lp_loki_put_entry(struct lp_buf *entries, int64_t time_ns, struct lp_str line)
{
    bool timed = time_ns != LP_TIME_NONE;
    int64_t seconds = time_ns / LP_NS_PER_S, nanos = time_ns % LP_NS_PER_S;
    if (nanos < 0) { /* nanos count forward, also before 1970 */
        seconds--;
        nanos += LP_NS_PER_S;
    }
    size_t time_bytes = lp_wire_varint_bytes((uint64_t)seconds) + lp_wire_varint_bytes((uint64_t)nanos);
    size_t line_bytes = lp_wire_varint_bytes(line.n) + line.n;
    lp_wire_put_head(entries, 2, (timed ? lp_wire_varint_bytes(time_bytes) + time_bytes : 0) + line_bytes);
    if (timed) {
        lp_wire_put_head(entries, 1, time_bytes);
        lp_wire_put_varint(entries, 1, (uint64_t)seconds);
        lp_wire_put_varint(entries, 2, (uint64_t)nanos);
    }
    lp_wire_put_bytes(entries, 2, line);
}

void
lp_loki_put_stream(struct lp_buf *request, struct lp_str labels, struct lp_str entries)
{
    lp_wire_put_head(request, 1, lp_wire_varint_bytes(labels.n) + labels.n + entries.n);
    lp_wire_put_bytes(request, 1, labels);
    lp_buf_str(request, entries);
}

static void
put_pair(struct lp_buf *out, struct lp_str name, struct lp_str value, const char **comma)
{
    if (value.n == 0) {
        return;
    }
    lp_buf_c(out, *comma);
    *comma = ",";
    lp_buf_str(out, name);
    lp_buf_c(out, "=\"");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\n') {
            lp_buf_c(out, "\\n");
        } else {
            if (value.p[i] == '"' || value.p[i] == '\\') {
                lp_buf_byte(out, '\\');
            }
            lp_buf_byte(out, (uint8_t)value.p[i]);
        }
    }
    lp_buf_byte(out, '"');
}

void
lp_loki_put_labels(struct lp_buf *out, const struct lp_pair *labels, size_t n, const struct lp_instance *inst)
{
    const char *comma = "";
    lp_buf_byte(out, '{');
    for (size_t i = 0; i < n; i++) {
        put_pair(out, labels[i].name, labels[i].value, &comma);
    }
    if (inst != NULL) {
        put_pair(out, LP_STR(LP_LABEL_POD_UID), inst->uid, &comma);
        put_pair(out, LP_STR(LP_LABEL_INCARNATION), inst->incarnation, &comma);
    }
    lp_buf_byte(out, '}');
}
