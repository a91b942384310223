/*
 * pod_runs.c - the runs of a container: which came before which.
 *
 * Restart numbers say it. Container ids are random: those runs go by their first lines, of which stream
 * tables know bounds. That does where a run ends before the next one begins for certain. A crash loop has its
 * runs within seconds: then the first line of each is looked up.
 *
 * When the last line of all was is looked up, too, where somebody asks for it.
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

/* Lines of a pod; with a container, of one run of it. */
struct lines_of {
    const struct lp_pod *pod;
    bool nameless;                            /* lines without a uid, too */
    const struct lp_pod_container *container; /* NULL: any */
    struct lp_str run;
};

static bool
wants(const void *arg, const struct lp_stream_key *key)
{
    const struct lines_of *of = arg;
    return (of->container == NULL ||
            (lp_str_eq(key->inst.incarnation, of->run) &&
             lp_str_eq(lp_stream_key_label(key, LP_STR("container")), of->container->name))) &&
           (lp_str_eq(key->inst.uid, of->pod->uid) || (of->nameless && key->inst.uid.n == 0));
}

/* When the first of the lines was, or the last; *ret stays where there is none. */
static lp_rc
look_up(const struct lp_pods_query *q, const struct lines_of *of, bool last, int64_t *ret, struct lp_err *err)
{
    struct lp_label_match m[] = {{.name = LP_STR("namespace"), .value = of->pod->ns, .op = LP_MATCH_EQ},
                                 {.name = LP_STR("pod"), .value = of->pod->name, .op = LP_MATCH_EQ}};
    const struct lp_log_query log = {.matchers = m, .nmatchers = LP_ARRAY_LEN(m)};
    const struct lp_select_filter filter = {wants, of};
    const struct lp_search s = {.store = q->store,
                                .tenant = q->tenant,
                                .log = &log,
                                .filter = &filter,
                                .from_ns = q->from_ns,
                                .to_ns = q->to_ns,
                                .limit = 1,
                                .backward = last,
                                .deadline_ns = q->deadline_ns,
                                .cancel = q->cancel,
                                .share = q->share,
                                .budget_bytes = q->budget_bytes};
    struct lp_found f;
    lp_rc rc = lp_search(&s, &f, err);
    if (rc != LP_OK) {
        return rc;
    }
    *ret = f.n > 0 ? f.rows[0].time_ns : *ret;
    lp_found_clear(&f);
    return LP_OK;
}

lp_rc
lp_pod_last_line(const struct lp_pods_query *q, struct lp_pod *p, struct lp_err *err)
{
    const struct lines_of of = {.pod = p, .nameless = q->uid.n == 0};
    lp_rc rc = look_up(q, &of, true, &p->last_ns, err);
    for (size_t i = 0; i < p->ncontainers; i++) {
        struct lp_pod_run *v =
            (struct lp_pod_run *)(uintptr_t)p->containers[i].runs; /* the pod is being made */
        for (size_t k = 0; k < p->containers[i].nruns; k++) {
            v[k].last_ns = LP_MIN(v[k].last_ns, p->last_ns);
        }
    }
    return rc;
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
        const struct lines_of of = {p, q->uid.n == 0, c, v[i].id};
        rc = look_up(q, &of, false, &v[i].first_ns, err);
    }
    if (rc == LP_OK) {
        lp_pod_number_runs(v, c->nruns);
    }
    return rc;
}
