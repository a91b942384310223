/*
 * kafka_message.c - headers, identity and anchor of a message: the table of docs/kafka.md. Pure but for
 * librdkafka's accessors.
 *
 * Headers come from whoever may produce to the topic: a message whose headers are not exactly ours is treated
 * as an agent's.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "ingest/kafka_int.h"
#include "ingest/otlp.h"

#define VERSION "1"
#define ID_BYTES_MAX 64
#define TENANT_BYTES_MAX 1024

static struct lp_str
header(const rd_kafka_headers_t *hs, const char *name)
{
    const void *value;
    size_t n;
    if (rd_kafka_header_get_last(hs, name, &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL) {
        return LP_STR_NULL;
    }
    return lp_str_of(value, n);
}

void
lp_kafka_read_headers(const rd_kafka_message_t *m, struct lp_kafka_headers *ret)
{
    rd_kafka_headers_t *hs;
    uint64_t received = 0;
    *ret = (struct lp_kafka_headers){.records = 1};
    if (m->key_len != LP_OTLP_KEY_BYTES) { /* reading headers costs more than the rest of taking a message */
        return;
    }
    if (rd_kafka_message_headers(m, &hs) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        !lp_str_eqc(header(hs, "logpond"), VERSION)) {
        return;
    }
    ret->ours = lp_str_u64(header(hs, "received"), &received) && received <= INT64_MAX &&
                lp_str_u64(header(hs, "records"), &ret->records) && ret->records <= m->len &&
                header(hs, "tenant").n <= TENANT_BYTES_MAX;
    if (!ret->ours) {
        ret->records = 1;
        return;
    }
    ret->received_ns = (int64_t)received;
    ret->tenant = header(hs, "tenant");
    ret->id = header(hs, "id");
}

static void
add(rd_kafka_headers_t *hs, const char *name, const char *value, size_t n)
{
    rd_kafka_resp_err_t rc = rd_kafka_header_add(hs, name, -1, value, (ssize_t)n);
    LP_ASSERT(rc == RD_KAFKA_RESP_ERR_NO_ERROR); /* fails for read-only headers only */
}

rd_kafka_headers_t *
lp_kafka_write_headers(struct lp_str tenant, int64_t received_ns, uint32_t records, const char *id_text)
{
    char number[24];
    rd_kafka_headers_t *hs = rd_kafka_headers_new(5);
    add(hs, "logpond", VERSION, strlen(VERSION));
    add(hs, "received", number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)received_ns));
    add(hs, "records", number, (size_t)snprintf(number, sizeof(number), "%u", records));
    if (tenant.n > 0) {
        add(hs, "tenant", tenant.p, tenant.n);
    }
    if (id_text != NULL) {
        add(hs, "id", id_text, strlen(id_text));
    }
    return hs;
}

int64_t
lp_kafka_time(const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    int64_t ms = rd_kafka_message_timestamp(m, &type), ns;
    bool there = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && !__builtin_mul_overflow(ms, LP_NS_PER_MS, &ns);
    return there ? ns : LP_TIME_NONE;
}

/* A clock far ahead would drop all other ids of the partition (the window follows the newest). */
static bool
is_untimely(const rd_kafka_message_t *m, int64_t received_ns)
{
    int64_t ns = lp_kafka_time(m);
    return ns != LP_TIME_NONE && received_ns > ns &&
           (uint64_t)received_ns - (uint64_t)ns > (uint64_t)LP_IDS_WINDOW_NS;
}

bool
lp_kafka_identity(const rd_kafka_message_t *m, const struct lp_kafka_headers *h, struct lp_batch_id *ret)
{
    if (!h->ours || h->id.n == 0 || h->id.n > ID_BYTES_MAX || is_untimely(m, h->received_ns)) {
        return false;
    }
    struct lp_hasher *x = lp_hasher_new();
    uint64_t sizes[3] = {h->tenant.n, h->id.n, m->len};
    lp_hasher_reset(x);
    lp_hasher_add(x, sizes, sizeof(sizes));
    lp_hasher_add(x, h->tenant.p, h->tenant.n);
    lp_hasher_add(x, h->id.p, h->id.n);
    lp_hasher_add(x, m->payload, m->len);
    *ret = (struct lp_batch_id){h->received_ns, lp_hasher_u128(x)};
    lp_hasher_free(x);
    return true;
}

uint64_t
lp_kafka_anchor(const rd_kafka_message_t *m)
{
    uint64_t hash = lp_xxh64(m->payload, m->len);
    return hash != 0 ? hash : 1;
}
