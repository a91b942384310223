/*
 * pod_runs.c - the runs of a container: which came before which.
 *
 * Restart numbers say it. Container ids are random: those runs go by their first lines, of which stream tables know bounds. That does where a run ends
 * before the next one begins for certain. A crash loop has its runs within seconds: then the first line of each is looked up.
 */
#include <stdlib.h>

#include "query/pods_int.h"

#define LOOKED_UP 128 /* of more runs that lie so close, the later ones */

static int
by_first(const void *va, const void *vb)
{
    const struct lp_pod_run *a = va, *b = vb;
    return a->first_ns != b->first_ns ? (a->first_ns > b->first_ns) - (a->first_ns < b->first_ns)
                                      : lp_str_cmp(a->id, b->id);
}

static int
by_number(const void *va, const void *vb)
{
    const struct lp_pod_run *a = va, *b = vb;
    return (a->number > b->number) - (a->number < b->number);
}

static bool
is_number(struct lp_str id, uint32_t *ret)
{
    uint64_t number;
    bool is = id.n <= 9 && lp_str_u64(id, &number);
    *ret = is ? (uint32_t)number : 0;
    return is;
}

/* Are all of them restart numbers? Then they are set. */
static bool
take_numbers(struct lp_pod_run *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_number(v[i].id, &v[i].number)) {
            return false;
        }
    }
    return true;
}

void
lp_pod_number_runs(struct lp_pod_run *v, size_t n)
{
    if (take_numbers(v, n)) {
        qsort(v, n, sizeof(*v), by_number);
        return;
    }
    qsort(v, n, sizeof(*v), by_first);
    for (size_t i = 0; i < n; i++) {
        v[i].number = (uint32_t)i;
    }
}

/* --- by the lines themselves --- */

struct run_of {
    struct lp_str uid, run;
};

static bool
wants(const void *arg, const struct lp_stream_key *key)
{
    const struct run_of *r = arg;
    return lp_str_eq(key->inst.incarnation, r->run) &&
           (key->inst.uid.n == 0 || lp_str_eq(key->inst.uid, r->uid));
}

/* When the first line of the run was. */
static lp_rc
look_up(const struct lp_pods_query *q, const struct lp_pod *p, const struct lp_pod_container *c,
        struct lp_pod_run *run, struct lp_err *err)
{
    struct lp_label_match m[] = {{.name = LP_STR("namespace"), .value = p->ns, .op = LP_MATCH_EQ},
                                 {.name = LP_STR("pod"), .value = p->name, .op = LP_MATCH_EQ},
                                 {.name = LP_STR("container"), .value = c->name, .op = LP_MATCH_EQ}};
    const struct lp_log_query log = {.matchers = m, .nmatchers = LP_ARRAY_LEN(m)};
    const struct run_of of = {p->uid, run->id};
    const struct lp_select_filter filter = {wants, &of};
    const struct lp_search s = {.store = q->store,
                                .tenant = q->tenant,
                                .log = &log,
                                .filter = &filter,
                                .from_ns = q->from_ns,
                                .to_ns = q->to_ns,
                                .limit = 1,
                                .deadline_ns = q->deadline_ns,
                                .cancel = q->cancel,
                                .share = q->share,
                                .budget_bytes = q->budget_bytes};
    struct lp_found f;
    lp_rc rc = lp_search(&s, &f, err);
    if (rc != LP_OK) {
        return rc;
    }
    run->first_ns = f.n > 0 ? f.rows[0].time_ns : run->first_ns;
    lp_found_clear(&f);
    return LP_OK;
}

/* Does the order of each two follow from their bounds? */
static bool
is_told(const struct lp_pod_run *v, size_t n)
{
    bool numbers = true, apart = true;
    for (size_t i = 0; i < n; i++) {
        uint32_t number;
        numbers = numbers && is_number(v[i].id, &number);
        apart = apart && (i == 0 || v[i - 1].last_ns < v[i].first_ns);
    }
    return numbers || apart;
}

lp_rc
lp_pod_order_runs(const struct lp_pods_query *q, const struct lp_pod *p, const struct lp_pod_container *c,
                  struct lp_err *err)
{
    struct lp_pod_run *v = (struct lp_pod_run *)(uintptr_t)c->runs; /* the pod is being made */
    lp_rc rc = LP_OK;
    if (is_told(v, c->nruns)) {
        return LP_OK;
    }
    for (size_t i = c->nruns > LOOKED_UP ? c->nruns - LOOKED_UP : 0; i < c->nruns && rc == LP_OK; i++) {
        rc = look_up(q, p, c, &v[i], err);
    }
    if (rc == LP_OK) {
        lp_pod_number_runs(v, c->nruns);
    }
    return rc;
}
