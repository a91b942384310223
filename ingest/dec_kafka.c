/*
 * dec_kafka.c - Kafka messages: JSON records of the agents (contracts B.6), else the value as a line, else
 * the quarantine.
 *
 * The record's own time wins; without one the message's timestamp is taken; without that the time of receipt.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/decode_int.h"
#include "ingest/json_memo.h"
#include "ingest/json_template.h"

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

/* --- JSON records --- */

#define SHARED_KEY "kubernetes"
/* In valid JSON this can only be a key: inside a string quotes are escaped. */
#define SHARED_MARK "\"" SHARED_KEY "\":"
#define BRACES_MAX 8
#define SHARED_FIELDS_MAX 128

/* Where the object of the shared member begins, as agents write it: without blanks, last or nearly so.
 * SIZE_MAX: not seen. */
static size_t
shared_object(struct lp_str value)
{
    size_t mark = sizeof(SHARED_MARK) - 1;
    for (int tries = 0; tries < BRACES_MAX; tries++) {
        size_t at = lp_str_rfind_byte(value, '{');
        if (at == SIZE_MAX || at < mark) {
            return SIZE_MAX;
        }
        if (memcmp(value.p + at - mark, SHARED_MARK, mark) == 0) {
            return at;
        }
        value.n = at;
    }
    return SIZE_MAX;
}

/* The message's text, without `cut` bytes at `at` (0 in their place), where the parser may read beyond its
 * end. */
static lp_rc
copy_without(struct lp_decoder *d, struct lp_str value, size_t at, size_t cut, struct lp_err *err)
{
    lp_buf_reset(&d->content);
    bool ok = lp_buf_str(&d->content, lp_str_sub(value, 0, at));
    if (cut > 0) {
        ok = ok && lp_buf_byte(&d->content, '0');
    }
    ok = ok && lp_buf_str(&d->content, lp_str_sub(value, at + cut, value.n)) &&
         lp_buf_reserve(&d->content, LP_BUF_PAD);
    return ok ? LP_OK : lp_err_set(err, LP_ERR_NOMEM, "no memory for a message of %zu bytes", value.n);
}

/* The record without the member whose fields are remembered. Anything but LP_OK has added nothing. */
static lp_rc
record_known(struct lp_decoder *d, const struct lp_kafka_message *m, size_t at, const struct lp_memo_entry *e,
             struct lp_batch *b, struct lp_err *why)
{
    struct lp_json_doc doc;
    struct lp_json_known known = {LP_STR(SHARED_KEY), e, false};
    lp_rc rc = copy_without(d, m->value, at, e->text.n, why);
    rc = rc == LP_OK ? lp_json_parse(d->json, lp_buf_view(&d->content), &doc, why) : rc;
    return rc == LP_OK ? lp_json_record(d->mapper, &d->kafka, &doc, &known, m->value, m->time_ns, b, why)
                       : rc;
}

/* Remembers the shared member of a document that was read whole. */
static void
learn(struct lp_decoder *d, const struct lp_json_doc *doc)
{
    struct lp_memo_field fields[SHARED_FIELDS_MAX];
    const struct lp_json *v = lp_json_member(doc, 0, LP_STR(SHARED_KEY));
    if (v == NULL || v->type != LP_JSON_OBJECT) {
        return;
    }
    size_t n =
        lp_json_leaves(d->mapper, &d->kafka, doc, (uint32_t)(v - doc->nodes), fields, LP_ARRAY_LEN(fields));
    if (n != SIZE_MAX) {
        lp_json_memo_keep(d->memo, v->text, fields, n);
    }
}

static lp_rc
record_whole(struct lp_decoder *d, const struct lp_kafka_message *m, bool worth_learning, struct lp_batch *b,
             struct lp_err *why)
{
    struct lp_json_doc doc;
    lp_rc rc = copy_without(d, m->value, m->value.n, 0, why);
    rc = rc == LP_OK ? lp_json_parse(d->json, lp_buf_view(&d->content), &doc, why) : rc;
    rc = rc == LP_OK ? lp_json_record(d->mapper, &d->kafka, &doc, NULL, m->value, m->time_ns, b, why) : rc;
    if (rc == LP_OK) {
        lp_json_templates_learn(d->messages, d->mapper, &d->kafka, &doc, lp_buf_view(&d->content), b);
    }
    if (rc == LP_OK && worth_learning) {
        learn(d, &doc);
    }
    return rc;
}

static lp_rc
record(struct lp_decoder *d, const struct lp_kafka_message *m, struct lp_batch *b, struct lp_err *why)
{
    if (lp_json_templates_row(d->messages, m->value, m->time_ns, b)) {
        return LP_OK;
    }
    if (lp_json_templates_wanted(d->messages)) {
        return record_whole(d, m, false, b, why);
    }
    size_t at = shared_object(m->value);
    bool there = at != SIZE_MAX;
    const struct lp_memo_entry *e =
        there ? lp_json_memo_find(d->memo, lp_str_sub(m->value, at, m->value.n)) : NULL;
    if (e != NULL && record_known(d, m, at, e, b, why) == LP_OK) {
        return LP_OK;
    }
    return record_whole(d, m, there && e == NULL, b, why);
}

lp_rc
lp_decode_kafka(struct lp_decoder *d, const struct lp_kafka_message *m, struct lp_batch *b,
                struct lp_err *err)
{
    struct lp_err why;
    if (m->value.n == 0) {
        return LP_OK; /* a tombstone, or an empty line of a raw output */
    }
    lp_err_clear(&why);
    size_t rows = b->nrows;
    lp_rc rc = record(d, m, b, &why);
    if (rc == LP_OK || rc == LP_ERR_NOMEM) {
        return rc == LP_OK ? rc : lp_err_set(err, rc, "%s", why.text);
    }
    return b->nrows == rows ? add_raw(m, b, why.text, err) : lp_err_set(err, rc, "%s", why.text);
}
