/*
 * retainer.c - see retainer.h.
 *
 * By itself it runs when retention-every has passed since the cutoffs were made (which a restart does not
 * forget), and when less of the disk is free than retention-free says. After a run that freed nothing, or
 * failed, it waits a minute before it looks at the disk again.
 *
 * Locks: mu (LP_LOCK_SERVER) guards the rules only, and is not held while anything runs.
 */
#include "server/retainer.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/lock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "server/logger.h"
#include "server/selectors.h"
#include "server/server.h"
#include "store/ledger.h"

#define THREADS 2
#define QUEUE 8
#define SOON_NS (5 * LP_NS_PER_S)   /* after a run that freed something */
#define LATER_NS (60 * LP_NS_PER_S) /* after one that did not */

struct lp_retainer {
    const struct lp_settings *set;
    struct lp_store *st;
    struct lp_pool *pool;
    struct lp_mutex mu;
    struct lp_rules *rules;
    atomic_bool by_itself;         /* such a run is queued or under way */
    _Atomic int64_t not_before_ns; /* lp_mono_ns clock: of the next run by itself */
};

lp_rc
lp_retain_conf_of(const struct lp_settings *set, struct lp_retain_conf *ret, struct lp_err *err)
{
    *ret = (struct lp_retain_conf){
        .total_bytes = (uint64_t)LP_SETTING(set, retention_total_bytes),
        .free = lp_str_c(LP_SETTING(set, retention_free)),
        .quarantine_ns = LP_SETTING(set, retention_quarantine),
    };
    return lp_rules_parse(lp_str_c(LP_SETTING(set, retention)), &lp_selectors, &ret->rules, err);
}

lp_rc
lp_retainer_new(const struct lp_settings *set, struct lp_store *st, struct lp_retainer **ret,
                struct lp_err *err)
{
    struct lp_retain_conf conf;
    lp_rc rc = lp_retain_conf_of(set, &conf, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_retainer *r = lp_calloc(1, sizeof(*r));
    r->set = set;
    r->st = st;
    r->rules = conf.rules;
    lp_mutex_init(&r->mu, LP_LOCK_SERVER);
    r->pool = lp_pool_new("retain", THREADS, QUEUE);
    *ret = r;
    return LP_OK;
}

/* The settings of this moment, with a reference on the rules. */
static struct lp_retain_conf
conf_now(struct lp_retainer *r)
{
    struct lp_retain_conf conf = {
        .total_bytes = (uint64_t)LP_SETTING(r->set, retention_total_bytes),
        .free = lp_str_c(LP_SETTING(r->set, retention_free)),
        .quarantine_ns = LP_SETTING(r->set, retention_quarantine),
    };
    lp_lock(&r->mu);
    conf.rules = lp_rules_ref(r->rules);
    lp_unlock(&r->mu);
    return conf;
}

void
lp_retainer_reload(struct lp_retainer *r)
{
    struct lp_retain_conf conf;
    struct lp_err err;
    if (lp_retain_conf_of(r->set, &conf, &err) != LP_OK) { /* they were read before the reload, too */
        lp_error("retain", "the rules of before stay: %s", err.text);
        return;
    }
    lp_lock(&r->mu);
    struct lp_rules *old = r->rules;
    r->rules = conf.rules;
    lp_unlock(&r->mu);
    lp_rules_unref(old);
}

void
lp_retainer_stop(struct lp_retainer *r)
{
    if (r != NULL) {
        lp_pool_stop(r->pool);
    }
}

void
lp_retainer_free(struct lp_retainer *r)
{
    if (r == NULL) {
        return;
    }
    lp_pool_free(r->pool);
    lp_rules_unref(r->rules);
    lp_mutex_destroy(&r->mu);
    lp_free(r);
}

/* A line of the server's log for each run that took something away. */
static void
say_done(const struct lp_retain_report *rep)
{
    lp_info("retain",
            LP_STR_FMT ": %llu lines went, %llu bytes are free; segments: %llu dropped, %llu written again",
            LP_STR_ARG(rep->by), (unsigned long long)rep->plan->goes.rows,
            (unsigned long long)rep->done.freed_bytes, (unsigned long long)rep->done.dropped,
            (unsigned long long)rep->done.rewritten);
}

static lp_rc
run(struct lp_retainer *r, const struct lp_retain_ask *ask, struct lp_retain_report *ret, struct lp_err *err)
{
    struct lp_retain_conf conf = conf_now(r);
    lp_rc rc = lp_retain_run(r->st, &conf, ask, ret, err);
    lp_rules_unref(conf.rules);
    if (rc == LP_OK && !ask->dry) {
        lp_metric_add(LP_M_RETAIN_RUNS, 1);
        lp_metric_add(LP_M_RETAIN_ROWS, (int64_t)ret->plan->goes.rows);
        lp_metric_add(LP_M_RETAIN_FREED, (int64_t)ret->done.freed_bytes);
        lp_metric_set(LP_M_RETAIN_LAST, ret->plan->at.now_ns / LP_NS_PER_S);
        if (ret->plan->nsegments > 0) {
            say_done(ret);
        }
    } else if (rc != LP_OK && rc != LP_ERR_BUSY) {
        lp_metric_add(LP_M_RETAIN_FAILED, 1);
        lp_error("retain", LP_STR_FMT ": %s", LP_STR_ARG(ask->by), err->text);
    }
    return rc;
}

lp_rc
lp_retainer_usage(struct lp_retainer *r, struct lp_retain_usage *ret, struct lp_err *err)
{
    struct lp_retain_conf conf = conf_now(r);
    struct lp_retain_moment at = {.now_ns = lp_now_ns()};
    struct lp_store_stats st;
    struct lp_cat_txn *t;
    lp_store_stats(r->st, &st);
    at.disk_free = st.disk_free;
    at.disk_total = st.disk_total;
    lp_rc rc = lp_cat_begin(lp_store_catalog(r->st), &t, err);
    if (rc == LP_OK) {
        uint64_t keep_free =
            lp_store_keeps_free(st.disk_total, (uint64_t)r->set->min_free); /* then it is full */
        rc = lp_retain_usage(t, &conf, &at, keep_free, ret, err);
        lp_cat_end(t);
    }
    lp_rules_unref(conf.rules);
    return rc;
}

/* --- by itself --- */

struct own_run {
    struct lp_retainer *r;
    char by[96];
};

static void
run_by_itself(void *arg)
{
    struct own_run *own = arg;
    struct lp_retainer *r = own->r;
    struct lp_retain_ask ask = {.by = lp_str_c(own->by), .at_ns = LP_TIME_NONE};
    struct lp_retain_report rep;
    struct lp_err err;
    bool freed = false;
    if (run(r, &ask, &rep, &err) == LP_OK) {
        freed = rep.plan->nsegments > 0;
        lp_retain_report_clear(&rep);
    }
    atomic_store(&r->not_before_ns, lp_mono_ns() + (freed ? SOON_NS : LATER_NS));
    atomic_store(&r->by_itself, false);
    lp_free(own);
}

static void
begin_by_itself(struct lp_retainer *r, const char *why, const char *setting)
{
    struct own_run *own = lp_malloc(sizeof(*own));
    own->r = r;
    snprintf(own->by, sizeof(own->by), "server: %s %s", why, setting);
    atomic_store(&r->by_itself, true);
    if (lp_pool_try(r->pool, run_by_itself, own) != LP_OK) {
        atomic_store(&r->by_itself, false);
        lp_free(own);
    }
}

/* Whether retention-every has passed since the last run; a last run in the future is a clock's mistake. */
static bool
due(struct lp_retainer *r)
{
    int64_t every_ns = LP_SETTING(r->set, retention_every), now_ns = lp_now_ns(), made_ns = LP_TIME_MIN;
    if (every_ns <= 0) {
        return false;
    }
    struct lp_cutoffs *c = lp_store_cutoffs(r->st);
    if (c != NULL) {
        made_ns = c->made_ns;
        lp_cutoffs_unref(c);
    }
    return made_ns > now_ns || made_ns < now_ns - every_ns;
}

static bool
disk_low(struct lp_retainer *r, const char *want)
{
    struct lp_store_stats st;
    uint64_t bytes;
    lp_store_stats(r->st, &st);
    return st.disk_total > 0 && lp_str_share(lp_str_c(want), st.disk_total, &bytes) && st.disk_free < bytes;
}

void
lp_retainer_tick(struct lp_retainer *r)
{
    const char *want = LP_SETTING(r->set, retention_free);
    if (atomic_load(&r->by_itself) || lp_mono_ns() < atomic_load(&r->not_before_ns)) {
        return;
    }
    if (disk_low(r, want)) {
        begin_by_itself(r, "less is free than retention-free", want);
    } else if (due(r)) {
        begin_by_itself(r, "retention-every", "has passed");
    }
}

/* --- asked for --- */

struct asked {
    struct lp_retainer *r;
    struct lp_http_req *req;
    struct lp_retain_ask ask;
};

static void
run_asked(void *arg)
{
    struct asked a = *(struct asked *)arg;
    struct lp_retain_report rep;
    struct lp_err err;
    struct lp_buf b;
    lp_free(arg);
    lp_rc rc = run(a.r, &a.ask, &rep, &err);
    if (rc == LP_ERR_BUSY) {
        lp_http_error(a.req, 409, "%s", err.text);
        return;
    }
    if (rc != LP_OK) {
        lp_server_error(a.req, rc, &err);
        return;
    }
    lp_buf_init(&b, LP_LEDGER_PAYLOAD_MAX);
    lp_retain_report_json(&rep, &b);
    lp_buf_byte(&b, '\n');
    lp_retain_report_clear(&rep);
    if (b.failed) {
        lp_buf_clear(&b);
        lp_http_error(a.req, 500, "the report is too long to be sent; what it tells was done");
        return;
    }
    lp_http_reply_buf(a.req, 200, "application/json", &b);
}

static bool
truth(struct lp_str v)
{
    return lp_str_eqc(v, "1") || lp_str_eqc(v, "true") || lp_str_eqc(v, "yes");
}

static lp_rc
read_ask(struct lp_http_req *req, struct lp_retain_ask *ask, struct lp_err *err)
{
    const struct lp_pair *p;
    size_t n;
    *ask = (struct lp_retain_ask){.by = lp_http_peer(req), .asked = true, .at_ns = LP_TIME_NONE};
    lp_rc rc = lp_http_params(req, &p, &n, err);
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        if (lp_str_eqc(p[i].name, "dry_run")) {
            ask->dry = truth(p[i].value);
        } else if (lp_str_eqc(p[i].name, "at") && !lp_time_any(p[i].value, &ask->at_ns)) {
            rc = lp_err_set(err, LP_ERR_PARSE, "at: a time is expected");
        }
    }
    if (rc == LP_OK && ask->at_ns != LP_TIME_NONE && !ask->dry) {
        rc = lp_err_set(err, LP_ERR_PARSE, "at= is for dry runs: what goes for good goes by the clock");
    }
    return rc;
}

void
lp_retainer_handle(struct lp_retainer *r, struct lp_http_req *req)
{
    struct lp_err err;
    struct asked *a = lp_malloc(sizeof(*a));
    *a = (struct asked){.r = r, .req = req};
    lp_rc rc = read_ask(req, &a->ask, &err);
    if (rc != LP_OK) {
        lp_free(a);
        lp_server_error(req, rc, &err);
    } else if (lp_pool_try(r->pool, run_asked, a) != LP_OK) {
        lp_free(a);
        lp_http_error(req, 409, "other runs of retention are under way and waiting");
    }
}
