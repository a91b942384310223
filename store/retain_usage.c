/*
 * retain_usage.c - what each namespace has, and how long the disk will last. Pure, over the planner's tables.
 *
 * Growth is what the segments of the last week (or of all the time since the first, where that is shorter)
 * take on the disk by day, group by group: bytes that came in, whatever times their lines have, as they are
 * stored now. The forecast goes on day by day: what is there goes when its age is reached, what comes in
 * stays for the age of its rule, a namespace never has more than its bytes and the store never more than its
 * limit. So a store whose growth and retention are in balance is not said to fill up.
 */
#include <string.h>

#include "store/retain_int.h"

#define DAY_NS (86400 * LP_NS_PER_S)
#define GROWTH_NS (7 * DAY_NS)
#define KNOWN_NS (3600 * LP_NS_PER_S) /* less than that tells nothing */
#define DAYS LP_FORECAST_DAYS

/* One namespace on its way through the days. */
struct course {
    double stays[DAYS + 1]; /* of what is there now: what goes in the course of day i, negative */
    double grows[DAYS + 1]; /* bytes a day that come in addition, as a difference to the day before */
    uint64_t most;          /* bytes= of its rule; 0: no limit */
};

/* Days from now on, rounded up; DAYS + 1: later than is looked at. */
static size_t
days_until(int64_t now_ns, int64_t ns)
{
    if (ns <= now_ns) {
        return 0;
    }
    uint64_t days = ((uint64_t)ns - (uint64_t)now_ns + DAY_NS - 1) / DAY_NS;
    return days > DAYS ? DAYS + 1 : (size_t)days;
}

static int64_t
plus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? LP_TIME_MAX : r;
}

/* How long a group's lines are kept: by the longest of its rules. */
static int64_t
age_of(const struct lp_planner *p, const struct lp_plan_group *g)
{
    int64_t longest = 0;
    for (uint32_t i = 0; i < LP_MAX(g->nrules, 1u); i++) {
        uint32_t rule = g->rule != LP_RULE_UNDECIDED ? g->rule : g->nrules > 0 ? g->rules[i] : LP_RULE_NONE;
        int64_t age = LP_AGE_FOREVER;
        if (rule == LP_RULE_QUARANTINE) {
            age = p->plan->cutoffs->quarantine_age_ns;
        } else if (rule < p->plan->cutoffs->rules->n && p->plan->cutoffs->rules->v[rule].age_ns > 0) {
            age = p->plan->cutoffs->rules->v[rule].age_ns;
        }
        longest = LP_MAX(longest, age);
    }
    return LP_MAX(longest, LP_RETAIN_RECEIVED_NS);
}

/* Since when growth is measured; now or later: nothing is known. */
static int64_t
measured_since(const struct lp_planner *p)
{
    int64_t now_ns = p->plan->at.now_ns, first_ns = now_ns;
    for (size_t i = 0; i < p->in->nsegments; i++) {
        first_ns = LP_MIN(first_ns, p->in->segments[i].created_ns);
    }
    return LP_MAX(first_ns, now_ns - GROWTH_NS);
}

static void
add_entry(const struct lp_planner *p, const struct lp_plan_entry *e, double per_day, struct course *c)
{
    const struct lp_plan_group *g = &p->groups[e->group];
    const struct lp_cat_segment *s = p->segments[e->segment].row;
    int64_t age_ns = age_of(p, g), now_ns = p->plan->at.now_ns;
    if (per_day > 0 && s->created_ns > now_ns - GROWTH_NS) {
        size_t kept = days_until(0, age_ns);
        c->grows[0] += (double)e->size * per_day;
        if (kept <= DAYS) {
            c->grows[kept] -= (double)e->size * per_day;
        }
    }
    if (e->goes) {
        return;
    }
    int64_t gone_ns = LP_MAX(plus(e->row->max_ns, age_ns), plus(s->created_ns, LP_RETAIN_RECEIVED_NS));
    size_t gone = days_until(now_ns, age_ns == LP_AGE_FOREVER ? LP_TIME_MAX : gone_ns);
    c->stays[0] += (double)e->size;
    if (gone <= DAYS) {
        c->stays[gone] -= (double)e->size;
    }
    if (g->rule < p->plan->cutoffs->rules->n) {
        c->most = p->plan->cutoffs->rules->v[g->rule].bytes;
    }
}

/* Adds what the namespace takes on each day. */
static void
follow(const struct course *c, double total[DAYS + 1])
{
    double stays = 0, came = 0, rate = 0;
    for (size_t d = 0; d <= DAYS; d++) {
        stays += c->stays[d];
        double now = stays + came;
        total[d] += c->most > 0 && now > (double)c->most ? (double)c->most : now;
        rate += c->grows[d];
        came += rate;
    }
}

static void
note(struct lp_retain_sum *sum, const struct lp_planner *p, const struct lp_plan_entry *e)
{
    const struct lp_plan_group *g = &p->groups[e->group];
    int64_t first_ns = e->row->min_ns;
    if (p->segments[e->segment].old && g->before_ns > first_ns) {
        first_ns = g->before_ns; /* what lies before it is not to be seen any more */
    }
    sum->rows += e->row->rows;
    sum->line_bytes += e->row->bytes;
    sum->stored_bytes += e->size;
    sum->first_ns = LP_MIN(sum->first_ns, first_ns);
    sum->last_ns = LP_MAX(sum->last_ns, e->row->max_ns);
}

/* Entries by namespace into `order`, by counting. starts has a place for each namespace and one more. */
static void
by_namespace(struct lp_planner *p, size_t nspaces, size_t *starts)
{
    memset(starts, 0, (nspaces + 1) * sizeof(*starts));
    for (size_t i = 0; i < p->nentries; i++) {
        starts[p->groups[p->entries[i].group].ns + 1]++;
    }
    for (size_t i = 0; i < nspaces; i++) {
        starts[i + 1] += starts[i];
    }
    size_t *at = lp_malloc((nspaces + 1) * sizeof(*at));
    memcpy(at, starts, nspaces * sizeof(*at));
    for (size_t i = 0; i < p->nentries; i++) {
        p->order[at[p->groups[p->entries[i].group].ns]++] = (uint32_t)i;
    }
    lp_free(at);
}

static void
forecast(struct lp_planner *p, const size_t *starts, size_t nspaces, uint64_t keep_free,
         struct lp_retain_usage *ret)
{
    int64_t over_ns = p->plan->at.now_ns - measured_since(p);
    bool known = over_ns >= KNOWN_NS;
    double per_day = known ? (double)DAY_NS / (double)over_ns : 0;
    double *total = lp_calloc(DAYS + 1, sizeof(*total));
    struct course *c = lp_malloc(sizeof(*c));
    for (size_t n = 0; n < nspaces; n++) {
        memset(c, 0, sizeof(*c));
        for (size_t i = starts[n]; i < starts[n + 1]; i++) {
            add_entry(p, &p->entries[p->order[i]], per_day, c);
        }
        ret->growth_bytes += c->grows[0];
        follow(c, total);
    }
    double most = p->conf->total_bytes > 0 ? (double)p->conf->total_bytes : 1e300;
    double room = (double)p->plan->at.disk_free - (double)keep_free;
    ret->growth_over_ns = known ? over_ns : 0;
    ret->days_until_full = -1;
    for (size_t d = 0; d <= DAYS && ret->days_until_full < 0; d++) {
        if (known && LP_MIN(total[d], most) - LP_MIN(total[0], most) > room) {
            ret->days_until_full = (int32_t)d;
        }
    }
    ret->stored_then = (uint64_t)LP_MIN(total[DAYS], most);
    lp_free(c);
    lp_free(total);
}

lp_rc
lp_retain_usage_of(const struct lp_retain_input *in, const struct lp_retain_conf *conf,
                   const struct lp_retain_moment *at, uint64_t keep_free, struct lp_retain_usage *ret,
                   struct lp_err *err)
{
    struct lp_planner p;
    lp_rc rc = lp_planner_run(&p, in, conf, at, err);
    if (rc != LP_OK) {
        lp_planner_clear(&p);
        lp_retain_plan_free(p.plan);
        return rc;
    }
    size_t nspaces = 0, kept = 0;
    for (size_t i = 0; i < p.ngroups; i++) {
        nspaces = LP_MAX(nspaces, (size_t)p.groups[i].ns + 1);
    }
    size_t *starts = lp_malloc((nspaces + 1) * sizeof(*starts));
    by_namespace(&p, nspaces, starts);
    *ret = (struct lp_retain_usage){.plan = p.plan};
    forecast(&p, starts, nspaces, keep_free, ret);
    for (size_t n = 0; n < nspaces; n++) { /* the plan has those with rows, in the same order */
        if (starts[n] < starts[n + 1]) {
            struct lp_retain_sum *sum = &p.plan->namespaces[kept++].all;
            *sum = (struct lp_retain_sum){.first_ns = LP_TIME_MAX, .last_ns = LP_TIME_MIN};
            for (size_t i = starts[n]; i < starts[n + 1]; i++) {
                note(sum, &p, &p.entries[p.order[i]]);
            }
        }
    }
    lp_free(starts);
    lp_planner_clear(&p);
    return LP_OK;
}

lp_rc
lp_retain_usage(struct lp_cat_txn *t, const struct lp_retain_conf *conf, const struct lp_retain_moment *at,
                uint64_t keep_free, struct lp_retain_usage *ret, struct lp_err *err)
{
    struct lp_retain_loaded l;
    lp_rc rc = lp_retain_load_input(t, &l, err);
    rc = rc == LP_OK ? lp_retain_usage_of(&l.in, conf, at, keep_free, ret, err) : rc;
    lp_retain_loaded_clear(&l);
    return rc;
}

void
lp_retain_usage_clear(struct lp_retain_usage *u)
{
    lp_retain_plan_free(u->plan);
    *u = (struct lp_retain_usage){.plan = NULL};
}
