/*
 * dec_kafka.c - Kafka messages: JSON records of the agents (contracts B.6), else the value as a line, else
 * the quarantine.
 *
 * The record's own time wins; without one the message's timestamp is taken; without that the time of receipt.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/decode_int.h"

/* Text without control bytes other than blanks: something a person may have written. */
static bool
is_text(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0x1b) {
            return false;
        }
    }
    return lp_utf8_valid(s);
}

lp_rc
lp_kafka_quarantine(struct lp_batch *b, const struct lp_kafka_message *m, const char *why, struct lp_err *err)
{
    char place[320];
    snprintf(place, sizeof(place), "%.*s/%u/%llu", (int)LP_MIN(m->topic.n, (size_t)249), m->topic.p,
             m->partition, (unsigned long long)m->offset);
    return lp_batch_quarantine(b, LP_STR("kafka"), m->value, lp_str_c(why), lp_str_c(place), err);
}

static lp_rc
add_raw(const struct lp_kafka_message *m, struct lp_batch *b, const char *why, struct lp_err *err)
{
    uint32_t stream;
    if (!is_text(m->value)) {
        return lp_kafka_quarantine(b, m, why, err);
    }
    struct lp_pair label = {LP_STR("topic"), m->topic};
    lp_rc rc = lp_batch_stream(b, &label, 1, NULL, &stream, err);
    return rc == LP_OK ? lp_batch_add(b, stream, m->time_ns, m->value, false, NULL, 0, err) : rc;
}

lp_rc
lp_decode_kafka(struct lp_decoder *d, const struct lp_kafka_message *m, struct lp_batch *b,
                struct lp_err *err)
{
    struct lp_json_doc doc;
    struct lp_err why;
    if (m->value.n == 0) {
        return LP_OK; /* a tombstone, or an empty line of a raw output */
    }
    lp_err_clear(&why);
    lp_buf_reset(&d->content);
    if (!lp_buf_str(&d->content, m->value) || !lp_buf_reserve(&d->content, LP_BUF_PAD)) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a message of %zu bytes", m->value.n);
    }
    struct lp_str value = lp_buf_view(&d->content);
    lp_rc rc = lp_json_parse(d->json, value, &doc, &why);
    size_t rows = b->nrows;
    if (rc == LP_OK) {
        rc = lp_json_record(d->mapper, &d->kafka, &doc, value, m->time_ns, b, &why);
    }
    if (rc == LP_OK) {
        return LP_OK;
    }
    return b->nrows == rows ? add_raw(m, b, why.text, err) : lp_err_set(err, rc, "%s", why.text);
}
