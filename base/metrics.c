/*
 * metrics.c - the values behind metrics_tbl.h and their text form.
 *
 * Values are atomics, updated relaxed from any thread; a scrape is not a snapshot across metrics. The list of
 * collectors is under one lock, which is not held while they run, so that they may take locks of their own;
 * who removes one waits until no scrape runs any more.
 */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/lock.h"

#define LP_COLLECTORS_MAX 16

/* Upper bounds of the buckets and their text in seconds. */
static const struct {
    int64_t ns;
    const char *le;
} bounds[] = {
    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},    {2500000, "0.0025"},
    {5000000, "0.005"},  {10000000, "0.01"},  {25000000, "0.025"}, {50000000, "0.05"},    {100000000, "0.1"},
    {250000000, "0.25"}, {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"},   {5000000000, "5"},
    {10000000000, "10"}, {25000000000, "25"}, {50000000000, "50"}, {100000000000, "100"},
};

#define NBOUNDS LP_ARRAY_LEN(bounds)

static const struct {
    enum lp_metric_kind kind;
    const char *name, *text;
} table[LP_M_COUNT] = {
#define X(id, kind, name, text) {kind, name, text},
#include "base/metrics_tbl.h"
#undef X
};

/* A counter or gauge uses value; a histogram the buckets (the last is +Inf) and value as the sum in ns. */
static struct {
    _Atomic int64_t value;
    _Atomic uint64_t buckets[NBOUNDS + 1];
} cells[LP_M_COUNT];

struct collector {
    void (*fn)(void *arg, struct lp_buf *out);
    void *arg;
};

static struct {
    struct lp_mutex mu; /* all below */
    struct lp_cond idle;
    unsigned scrapes; /* running now */
    size_t n;
    struct collector list[LP_COLLECTORS_MAX];
} collectors;

static pthread_once_t collectors_once = PTHREAD_ONCE_INIT;

static void
collectors_init(void)
{
    lp_mutex_init(&collectors.mu, LP_LOCK_METRICS);
    lp_cond_init(&collectors.idle);
}

static void
collectors_lock(void)
{
    pthread_once(&collectors_once, collectors_init);
    lp_lock(&collectors.mu);
}

void
lp_metric_add(enum lp_metric m, int64_t by)
{
    LP_DEBUG_ASSERT(m < LP_M_COUNT && table[m].kind != LP_HISTOGRAM);
    atomic_fetch_add_explicit(&cells[m].value, by, memory_order_relaxed);
}

void
lp_metric_set(enum lp_metric m, int64_t value)
{
    LP_DEBUG_ASSERT(m < LP_M_COUNT && table[m].kind == LP_GAUGE);
    atomic_store_explicit(&cells[m].value, value, memory_order_relaxed);
}

int64_t
lp_metric_get(enum lp_metric m)
{
    return atomic_load_explicit(&cells[m].value, memory_order_relaxed);
}

void
lp_metric_observe(enum lp_metric m, int64_t duration_ns)
{
    LP_DEBUG_ASSERT(m < LP_M_COUNT && table[m].kind == LP_HISTOGRAM);
    size_t i = 0;
    while (i < NBOUNDS && duration_ns > bounds[i].ns) {
        i++;
    }
    duration_ns = LP_MAX(duration_ns, INT64_C(0));
    atomic_fetch_add_explicit(&cells[m].buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[m].value, duration_ns, memory_order_relaxed);
}

void
lp_metrics_collector(void (*fn)(void *arg, struct lp_buf *out), void *arg)
{
    collectors_lock();
    LP_ASSERT(collectors.n < LP_COLLECTORS_MAX);
    collectors.list[collectors.n++] = (struct collector){fn, arg};
    lp_unlock(&collectors.mu);
}

void
lp_metrics_collector_remove(void *arg)
{
    collectors_lock();
    size_t kept = 0;
    for (size_t i = 0; i < collectors.n; i++) {
        if (collectors.list[i].arg != arg) {
            collectors.list[kept++] = collectors.list[i];
        }
    }
    collectors.n = kept;
    while (collectors.scrapes > 0) {
        lp_cond_wait(&collectors.idle, &collectors.mu);
    }
    lp_unlock(&collectors.mu);
}

void
lp_metric_totals(enum lp_metric m, int64_t *ret_n, int64_t *ret_sum_ns)
{
    *ret_n = 0;
    for (size_t i = 0; i <= NBOUNDS; i++) {
        *ret_n += (int64_t)atomic_load_explicit(&cells[m].buckets[i], memory_order_relaxed);
    }
    *ret_sum_ns = lp_metric_get(m);
}

static void
histogram_text(enum lp_metric m, struct lp_buf *out)
{
    const char *name = table[m].name;
    uint64_t count = 0;
    for (size_t i = 0; i <= NBOUNDS; i++) {
        count += atomic_load_explicit(&cells[m].buckets[i], memory_order_relaxed);
        lp_buf_printf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, i < NBOUNDS ? bounds[i].le : "+Inf",
                      count);
    }
    int64_t sum_ns = lp_metric_get(m);
    lp_buf_printf(out, "%s_sum %" PRId64 ".%09" PRId64 "\n", name, sum_ns / LP_NS_PER_S,
                  sum_ns % LP_NS_PER_S);
    lp_buf_printf(out, "%s_count %" PRIu64 "\n", name, count);
}

static void
run_collectors(struct lp_buf *out)
{
    struct collector list[LP_COLLECTORS_MAX];
    collectors_lock();
    size_t n = collectors.n;
    memcpy(list, collectors.list, n * sizeof(list[0]));
    collectors.scrapes++;
    lp_unlock(&collectors.mu);

    for (size_t i = 0; i < n; i++) {
        list[i].fn(list[i].arg, out);
    }

    lp_lock(&collectors.mu);
    if (--collectors.scrapes == 0) {
        lp_cond_broadcast(&collectors.idle);
    }
    lp_unlock(&collectors.mu);
}

void
lp_metrics_text(struct lp_buf *out)
{
    static const char *const kinds[] = {
        [LP_COUNTER] = "counter", [LP_GAUGE] = "gauge", [LP_HISTOGRAM] = "histogram"};
    for (unsigned m = 0; m < LP_M_COUNT; m++) {
        lp_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[m].name, table[m].text, table[m].name,
                      kinds[table[m].kind]);
        if (table[m].kind == LP_HISTOGRAM) {
            histogram_text((enum lp_metric)m, out);
        } else {
            lp_buf_printf(out, "%s %" PRId64 "\n", table[m].name, lp_metric_get((enum lp_metric)m));
        }
    }
    run_collectors(out);
}
