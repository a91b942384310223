/*
 * kafka_conf.c - the settings of the two clients: ours, then those of the configuration, which win. What
 * librdkafka has to say goes to the server's log.
 */
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "ingest/kafka_int.h"

#define FAIL_EVERY_NS (30 * LP_NS_PER_S)

struct property {
    const char *name, *value;
};

static const struct property for_both[] = {
    {"client.id", "logpond"},
    {"log.connection.close", "false"},
    {"topic.metadata.refresh.interval.ms", "10000"}, /* new partitions, new topics of a pattern */
    {"reconnect.backoff.max.ms", "2000"},
};

static const struct property for_consumer[] = {
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "2000"},
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"}, /* a gap is recorded, never jumped over */
    {"check.crcs", "true"},
    {"isolation.level", "read_committed"},
    {"queued.max.messages.kbytes", "8192"}, /* of bytes; each message takes as much again in librdkafka */
    {"fetch.message.max.bytes", "524288"}, /* of a partition at a time, packed: several times that once unpacked */
    {"fetch.wait.max.ms", "200"},
    {"enable.partition.eof", "false"},
};

static const struct property for_producer[] = {
    {"enable.idempotence", "true"}, /* includes acks=all */
    {"compression.codec", "lz4"},
    {"linger.ms", "5"},
    {"message.timeout.ms", "10000"},   /* the push is answered by then */
    {"partitioner", "murmur2_random"}, /* as Java producers do */
    {"queue.buffering.max.kbytes", "262144"},
    {"queue.buffering.max.messages", "1000000"},
};

/* What Logpond's promises rest on: positions are the catalog's, gaps are told, an answer means that all
 * brokers have it. */
static const char *const fixed[] = {
    "enable.auto.commit",    "enable.auto.offset.store", "auto.offset.reset",
    "enable.partition.eof",  "enable.idempotence",       "acks",
    "request.required.acks", "isolation.level",
};

static bool
is_fixed(struct lp_str name)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(fixed); i++) {
        if (lp_str_eqc(name, fixed[i])) {
            return true;
        }
    }
    return false;
}

static lp_rc
set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct lp_err *err)
{
    char text[200];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        return lp_err_set(err, LP_ERR_PARSE, "kafka-set %s: %s", name, text);
    }
    return LP_OK;
}

static lp_rc
set_table(rd_kafka_conf_t *conf, const struct property *p, size_t n, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = set_property(conf, p[i].name, p[i].value, err);
    }
    return rc;
}

/* "name=value" lines of the settings. */
static lp_rc
set_lines(rd_kafka_conf_t *conf, const char *lines, struct lp_err *err)
{
    struct lp_str rest = lp_str_c(lines);
    lp_rc rc = LP_OK;
    while (rest.p != NULL && rest.n > 0 && rc == LP_OK) {
        struct lp_str value = lp_str_cut(&rest, '\n');
        struct lp_str name = lp_str_cut(&value, '=');
        char n[256], v[8192];
        if (value.p == NULL || name.n >= sizeof(n) || value.n >= sizeof(v)) {
            return lp_err_set(err, LP_ERR_PARSE, "kafka-set " LP_STR_FMT ": NAME=VALUE is expected",
                              LP_STR_ARG(name));
        }
        if (is_fixed(name)) {
            return lp_err_set(err, LP_ERR_MISUSE,
                              "kafka-set " LP_STR_FMT ": this property is not free: nothing lost and nothing "
                              "twice rests on it",
                              LP_STR_ARG(name));
        }
        snprintf(n, sizeof(n), LP_STR_FMT, LP_STR_ARG(name));
        snprintf(v, sizeof(v), LP_STR_FMT, LP_STR_ARG(value));
        rc = set_property(conf, n, v, err);
    }
    return rc;
}

static lp_rc
configure(rd_kafka_conf_t *conf, rd_kafka_type_t type, const struct lp_kafka_config *cfg, struct lp_err *err)
{
    lp_rc rc = set_property(conf, "bootstrap.servers", cfg->brokers, err);
    rc = rc == LP_OK ? set_table(conf, for_both, LP_ARRAY_LEN(for_both), err) : rc;
    if (rc == LP_OK && type == RD_KAFKA_CONSUMER) {
        rc = set_property(conf, "group.id", cfg->group, err);
        rc = rc == LP_OK ? set_table(conf, for_consumer, LP_ARRAY_LEN(for_consumer), err) : rc;
    } else if (rc == LP_OK) {
        rc = set_table(conf, for_producer, LP_ARRAY_LEN(for_producer), err);
    }
    return rc == LP_OK ? set_lines(conf, cfg->set, err) : rc;
}

/* A broker that is away is said by each connection of each client, several times a second. */
static bool
is_repeat(struct lp_kafka *k, const char *facility)
{
    if (strcmp(facility, "FAIL") != 0 && strcmp(facility, "ERROR") != 0) {
        return false;
    }
    int64_t now_ns = lp_mono_ns(), last_ns = atomic_load(&k->said_fail_ns);
    return (last_ns != 0 && now_ns - last_ns < FAIL_EVERY_NS) ||
           !atomic_compare_exchange_strong(&k->said_fail_ns, &last_ns, now_ns);
}

/* librdkafka's own threads. */
static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct lp_kafka *k = rd_kafka_opaque(rk);
    bool both = strcmp(facility, "CONFWARN") == 0; /* the configuration is one for consumer and producer */
    if (both || is_repeat(k, facility)) {
        return;
    }
    const char *words = strncmp(text, "[thrd:", 6) == 0 ? strstr(text, "]: ") : NULL;
    lp_kafka_say(k, level <= 3 ? LP_EVENT_WARN : LP_EVENT_INFO, "%s", words != NULL ? words + 3 : text);
}

static void
on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t rc, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct lp_kafka *k = opaque;
    (void)rk;
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];
        struct lp_kafka_partition *p = lp_kafka_partition(k, tp->topic, tp->partition, false);
        bool failed = rc != RD_KAFKA_RESP_ERR_NO_ERROR || tp->err != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (p != NULL && failed) {
            p->committed = -1;                          /* tried again */
            lp_metric_add(LP_M_KAFKA_COMMIT_FAILED, 1); /* a hint only: the catalog has the position */
        }
    }
}

lp_rc
lp_kafka_client(struct lp_kafka *k, rd_kafka_type_t type, rd_kafka_t **ret, struct lp_err *err)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    lp_rc rc = configure(conf, type, &k->cfg, err);
    if (rc != LP_OK) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_opaque(conf, k);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (type == RD_KAFKA_CONSUMER) {
        rd_kafka_conf_set_rebalance_cb(conf, lp_kafka_rebalance);
        rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    } else {
        rd_kafka_conf_set_dr_msg_cb(conf, lp_kafka_delivered);
    }
    *ret = rd_kafka_new(type, conf, text, sizeof(text));
    if (*ret == NULL) {
        rd_kafka_conf_destroy(conf);
        return lp_err_set(err, LP_ERR_PARSE, "kafka: %s", text);
    }
    return LP_OK;
}
