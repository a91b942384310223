/*
 * test_retain_plan.c - plans of retention over made-up stores. Oracle: a plain evaluation written here, which
 * goes over all streams and entries again and again.
 */
#include "store/retain.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/unit/select_fixture.h"
#include "tests/unit/unit.h"

#define DAY (86400 * LP_NS_PER_S)
#define NOW (INT64_C(20000) * DAY)

/* --- a made-up store --- */

#define STREAMS 60
#define SEGMENTS 12
#define ENTRIES (STREAMS * SEGMENTS)
#define RULES 6

struct stream {
    struct lp_pair labels[4];
    size_t nlabels;
    struct lp_str tenant, ns, app, container;
    struct lp_buf key, group_key;
    uint64_t group;
};

struct rule {
    int tenant, ns, app; /* index into the names below; -1: none */
    int64_t age_ns;
    uint64_t bytes;
};

struct world {
    struct stream streams[STREAMS];
    struct lp_foot_group groups[STREAMS];
    size_t ngroups;
    struct lp_cat_segment segments[SEGMENTS];
    struct lp_cat_entry entries[ENTRIES];
    size_t nentries;
    struct rule rules[RULES];
    size_t nrules;
    struct lp_buf lines;
    struct lp_retain_conf conf;
    struct lp_retain_moment at;
    char free[32];
    uint64_t seed;
};

static const char *const tenants[] = {"", "acme"};
static const char *const spaces[] = {"", "dev-a", "dev-b", "prod", "shop"};
static const char *const patterns[] = {"*", "dev-*", "prod", "*o*", "dev-b"};
static const char *const apps[] = {"", "web", "audit"};
static const char *const containers[] = {"", "main", "side"};

static unsigned
below(struct world *w, unsigned n)
{
    return lp_test_below(&w->seed, n);
}

static void
make_key(struct stream *s)
{
    lp_buf_init(&s->key, 4096);
    lp_buf_init(&s->group_key, 4096);
    lp_buf_lpstr(&s->key, s->tenant);
    lp_buf_varint(&s->key, s->nlabels);
    for (size_t i = 0; i < s->nlabels; i++) {
        lp_buf_lpstr(&s->key, s->labels[i].name);
        lp_buf_lpstr(&s->key, s->labels[i].value);
    }
    lp_buf_lpstr(&s->key, LP_STR_NULL);
    lp_buf_lpstr(&s->key, LP_STR_NULL);
    struct lp_stream_key k = {s->tenant, s->labels, s->nlabels, {LP_STR_NULL, LP_STR_NULL}};
    lp_group_key(&k, &s->group_key);
}

static void
make_streams(struct world *w)
{
    for (size_t i = 0; i < STREAMS; i++) {
        struct stream *s = &w->streams[i];
        *s = (struct stream){.tenant = lp_str_c(tenants[below(w, 4) == 0])};
        bool quarantine = below(w, 12) == 0;
        s->ns = lp_str_c(quarantine ? "" : spaces[below(w, 5)]);
        s->app = lp_str_c(quarantine ? "" : apps[below(w, 3)]);
        s->container = lp_str_c(quarantine ? "" : containers[below(w, 3)]);
        struct lp_pair all[] = {{LP_STR("__quarantine__"), quarantine ? LP_STR("journal") : LP_STR_NULL},
                                {LP_STR("app"), s->app},
                                {LP_STR("container"), s->container},
                                {LP_STR("namespace"), s->ns}};
        for (size_t k = 0; k < LP_ARRAY_LEN(all); k++) {
            if (all[k].value.n > 0) {
                s->labels[s->nlabels++] = all[k];
            }
        }
        make_key(s);
        for (s->group = 0; s->group < w->ngroups; s->group++) {
            if (lp_str_eq(w->groups[s->group].key, lp_buf_view(&s->group_key))) {
                break;
            }
        }
        if (s->group == w->ngroups) {
            w->groups[w->ngroups] = (struct lp_foot_group){w->ngroups * 3 + 5, lp_buf_view(&s->group_key)};
            w->ngroups++;
        }
    }
}

static void
make_segments(struct world *w)
{
    for (size_t i = 0; i < SEGMENTS; i++) {
        struct lp_cat_segment *s = &w->segments[i];
        *s = (struct lp_cat_segment){.id = i * 7 + 3,
                                     .file_bytes = 1000 + below(w, 100000),
                                     .created_ns = NOW - (int64_t)below(w, 48) * DAY / 16};
        bool known = below(w, 3) > 0;
        for (size_t g = 0; g < w->ngroups; g++) {
            if (below(w, 3) == 0) {
                continue;
            }
            struct lp_cat_entry *e = &w->entries[w->nentries++];
            int64_t max_ns = NOW - (int64_t)below(w, 60) * DAY / 2;
            *e = (struct lp_cat_entry){.group = w->groups[g].id,
                                       .segment = s->id,
                                       .rows = 1 + below(w, 100),
                                       .bytes = below(w, 10000),
                                       .stored = known ? 1 + below(w, 5000) : 0,
                                       .min_ns = max_ns - (int64_t)below(w, 3) * DAY,
                                       .max_ns = max_ns};
            s->rows += e->rows;
        }
    }
}

static void
make_rules(struct world *w)
{
    lp_buf_init(&w->lines, 1 << 16);
    w->nrules = below(w, RULES + 1);
    for (size_t i = 0; i < w->nrules; i++) {
        struct rule *r = &w->rules[i];
        *r = (struct rule){-1, -1, -1, 0, 0};
        r->tenant = below(w, 4) == 0 ? 1 : 0;
        r->ns = below(w, 4) == 0 ? -1 : (int)below(w, LP_ARRAY_LEN(patterns));
        r->app = below(w, 4) == 0 ? (int)below(w, 3) : -1;
        r->bytes = r->app < 0 && below(w, 3) == 0 ? 1000 + below(w, 60000) : 0;
        r->age_ns = r->bytes > 0 && below(w, 2) ? 0
                    : below(w, 6) == 0          ? LP_AGE_FOREVER
                                                : (int64_t)(1 + below(w, 40)) * DAY / 2;
        if (r->tenant > 0) {
            lp_buf_printf(&w->lines, "tenant=%s ", tenants[r->tenant]);
        }
        if (r->ns >= 0) {
            lp_buf_printf(&w->lines, "namespace=%s ", patterns[r->ns]);
        }
        if (r->app >= 0) {
            lp_buf_printf(&w->lines, "selector={app=\"%s\"} ", apps[r->app]);
        }
        if (r->bytes > 0) {
            lp_buf_printf(&w->lines, "bytes=%llu ", (unsigned long long)r->bytes);
        }
        if (r->age_ns == LP_AGE_FOREVER) {
            lp_buf_c(&w->lines, "age=forever");
        } else if (r->age_ns > 0) {
            lp_buf_printf(&w->lines, "age=%lldh", (long long)(r->age_ns / (3600 * LP_NS_PER_S)));
        }
        lp_buf_byte(&w->lines, '\n');
    }
}

static struct world *
make_world(uint64_t seed)
{
    struct world *w = lp_calloc(1, sizeof(*w));
    w->seed = seed * 77777 + 1;
    make_streams(w);
    make_segments(w);
    make_rules(w);
    lp_buf_byte(&w->lines, 0);
    w->conf.rules = lp_test_rules(w->lines.p);
    w->conf.total_bytes = below(w, 4) == 0 ? 1000 + below(w, 300000) : 0;
    w->at = (struct lp_retain_moment){NOW, below(w, 100000), 1000000};
    snprintf(w->free, sizeof(w->free), below(w, 2) ? "%u%%" : "%u", below(w, 2) ? below(w, 30) : 0);
    w->conf.free = lp_str_c(w->free);
    w->conf.quarantine_ns = below(w, 3) == 0 ? 0 : (int64_t)(1 + below(w, 40)) * DAY / 2;
    return w;
}

static void
free_world(struct world *w)
{
    for (size_t i = 0; i < STREAMS; i++) {
        lp_buf_clear(&w->streams[i].key);
        lp_buf_clear(&w->streams[i].group_key);
    }
    lp_buf_clear(&w->lines);
    lp_rules_unref(w->conf.rules);
    lp_free(w);
}

static lp_rc
each_stream(void *arg, lp_cat_stream_fn fn, void *fn_arg, struct lp_err *err)
{
    struct world *w = arg;
    (void)err;
    for (size_t i = 0; i < STREAMS; i++) {
        if (!fn(fn_arg, i + 1, w->groups[w->streams[i].group].id, lp_buf_view(&w->streams[i].key))) {
            break;
        }
    }
    return LP_OK;
}

/* --- the plain evaluation --- */

#define NONE (-1)
#define QUARANTINE (-2)

/* A pattern of the table above on a name. */
static bool
fits_pattern(int pattern, struct lp_str ns)
{
    switch (pattern) {
    case 0:
        return true;
    case 1:
        return lp_str_starts(ns, LP_STR("dev-"));
    case 3:
        return lp_str_find_byte(ns, 'o') != SIZE_MAX;
    default:
        return lp_str_eqc(ns, patterns[pattern]);
    }
}

static int
plain_rule(const struct world *w, const struct stream *s)
{
    if (s->nlabels == 1 && lp_str_eqc(s->labels[0].name, "__quarantine__") && w->conf.quarantine_ns > 0) {
        return QUARANTINE;
    }
    for (size_t i = 0; i < w->nrules; i++) {
        const struct rule *r = &w->rules[i];
        if (lp_str_eqc(s->tenant, tenants[r->tenant]) && (r->ns < 0 || fits_pattern(r->ns, s->ns)) &&
            (r->app < 0 || lp_str_eqc(s->app, apps[r->app]))) {
            return (int)i;
        }
    }
    return NONE;
}

struct plain {
    bool goes[ENTRIES];
    uint64_t freed[ENTRIES];
    uint64_t size[ENTRIES];
    int64_t bytes_ns[RULES][STREAMS]; /* of a rule for a group's namespace; by group */
    int64_t all_ns;
};

static size_t
segment_of(const struct world *w, size_t entry)
{
    size_t s = 0;
    while (w->segments[s].id != w->entries[entry].segment) {
        s++;
    }
    return s;
}

static size_t
group_of(const struct world *w, size_t entry)
{
    size_t g = 0;
    while (w->groups[g].id != w->entries[entry].group) {
        g++;
    }
    return g;
}

static int64_t
plain_cutoff(const struct world *w, const struct plain *p, const struct stream *s)
{
    int rule = plain_rule(w, s);
    int64_t ns = p->all_ns;
    if (rule == QUARANTINE) {
        ns = LP_MAX(ns, NOW - w->conf.quarantine_ns);
    } else if (rule >= 0) {
        int64_t age_ns = w->rules[rule].age_ns;
        ns = age_ns > 0 && age_ns != LP_AGE_FOREVER ? LP_MAX(ns, NOW - age_ns) : ns;
        ns = LP_MAX(ns, p->bytes_ns[rule][s->group]);
    }
    return ns;
}

static bool
old_enough(const struct world *w, size_t entry)
{
    return w->segments[segment_of(w, entry)].created_ns + DAY <= NOW;
}

/* Goes over everything: an entry goes when it is behind every stream of its group. */
static void
plain_mark(const struct world *w, struct plain *p)
{
    for (size_t i = 0; i < w->nentries; i++) {
        p->goes[i] = old_enough(w, i);
        for (size_t k = 0; k < STREAMS; k++) {
            const struct stream *s = &w->streams[k];
            if (w->groups[s->group].id == w->entries[i].group) {
                p->goes[i] = p->goes[i] && w->entries[i].max_ns < plain_cutoff(w, p, s);
            }
        }
    }
}

/* Whether all streams of the group go by the rule. */
static bool
all_by(const struct world *w, size_t group, int rule)
{
    for (size_t k = 0; k < STREAMS; k++) {
        if (w->streams[k].group == group && plain_rule(w, &w->streams[k]) != rule) {
            return false;
        }
    }
    return true;
}

static const struct stream *
any_of(const struct world *w, size_t group)
{
    size_t k = 0;
    while (w->streams[k].group != group) {
        k++;
    }
    return &w->streams[k];
}

static bool
same_space(const struct world *w, size_t a, size_t b)
{
    const struct stream *x = any_of(w, a), *y = any_of(w, b);
    return lp_str_eq(x->tenant, y->tenant) && lp_str_eq(x->ns, y->ns);
}

static void
plain_bytes(const struct world *w, struct plain *p, int rule, size_t group)
{
    for (;;) {
        uint64_t usage = 0;
        int64_t oldest_ns = LP_TIME_MAX;
        for (size_t i = 0; i < w->nentries; i++) {
            size_t g = group_of(w, i);
            if (p->goes[i] || !same_space(w, g, group)) {
                continue;
            }
            usage += p->size[i];
            if (old_enough(w, i) && all_by(w, g, rule)) {
                oldest_ns = LP_MIN(oldest_ns, w->entries[i].max_ns);
            }
        }
        if (usage <= w->rules[rule].bytes || oldest_ns == LP_TIME_MAX) {
            return;
        }
        for (size_t g = 0; g < w->ngroups; g++) {
            if (same_space(w, g, group)) {
                p->bytes_ns[rule][g] = oldest_ns + 1;
            }
        }
        /* of mixed groups nothing goes before the step is over */
        for (size_t i = 0; i < w->nentries; i++) {
            size_t g = group_of(w, i);
            p->goes[i] = p->goes[i] || (old_enough(w, i) && same_space(w, g, group) && all_by(w, g, rule) &&
                                        w->entries[i].max_ns <= oldest_ns);
        }
    }
}

static void
plain_disk(const struct world *w, struct plain *p)
{
    uint64_t want = 0;
    bool ok = lp_str_share(w->conf.free, w->at.disk_total, &want);
    CU_ASSERT(ok);
    for (;;) {
        uint64_t stays = 0, freed = 0;
        int64_t oldest_ns = LP_TIME_MAX;
        for (size_t i = 0; i < SEGMENTS; i++) {
            stays += w->segments[i].file_bytes;
        }
        for (size_t i = 0; i < w->nentries; i++) {
            freed += p->goes[i] ? p->size[i] : 0;
            if (!p->goes[i] && old_enough(w, i)) {
                oldest_ns = LP_MIN(oldest_ns, w->entries[i].max_ns);
            }
        }
        stays -= freed;
        bool over = w->conf.total_bytes > 0 && stays > w->conf.total_bytes;
        if ((!over && w->at.disk_free + freed >= want) || oldest_ns == LP_TIME_MAX) {
            return;
        }
        p->all_ns = oldest_ns + 1;
        plain_mark(w, p);
    }
}

/* Shares of the files, cut so that they add up. */
static void
plain_sizes(const struct world *w, struct plain *p)
{
    for (size_t s = 0; s < SEGMENTS; s++) {
        double total = 0, so_far = 0;
        bool known = true;
        for (size_t i = 0; i < w->nentries; i++) {
            known = known && (segment_of(w, i) != s || w->entries[i].stored > 0);
        }
        for (int pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < w->nentries; i++) {
                const struct lp_cat_entry *e = &w->entries[i];
                double weight = known ? (double)e->stored : (double)(e->bytes + 8 * e->rows);
                if (segment_of(w, i) != s) {
                    continue;
                }
                if (pass == 0) {
                    total += weight;
                    continue;
                }
                uint64_t from = (uint64_t)((double)w->segments[s].file_bytes * so_far / total);
                so_far += weight;
                p->size[i] = (uint64_t)((double)w->segments[s].file_bytes * so_far / total) - from;
            }
        }
    }
}

static struct plain *
plain_plan(const struct world *w)
{
    struct plain *p = lp_calloc(1, sizeof(*p));
    p->all_ns = LP_TIME_MIN;
    for (size_t r = 0; r < RULES; r++) {
        for (size_t g = 0; g < STREAMS; g++) {
            p->bytes_ns[r][g] = LP_TIME_MIN;
        }
    }
    plain_sizes(w, p);
    plain_mark(w, p);
    for (size_t r = 0; r < w->nrules; r++) {
        for (size_t g = 0; g < w->ngroups && w->rules[r].bytes > 0; g++) {
            plain_bytes(w, p, (int)r, g);
        }
        plain_mark(w, p);
    }
    plain_disk(w, p);
    return p;
}

static struct lp_retain_plan *
plan_of(struct world *w)
{
    struct lp_retain_input in = {w->groups,  w->ngroups,  w->segments, SEGMENTS,
                                 w->entries, w->nentries, each_stream, w};
    struct lp_retain_plan *plan;
    CU_ASSERT_EQUAL_FATAL(lp_retain_plan_of(&in, &w->conf, &w->at, &plan, NULL), LP_OK);
    return plan;
}

/* --- comparing --- */

/* Of a file that is written again 700 bytes stay, and are taken off by size. */
static void
plain_freed(const struct world *w, struct plain *p)
{
    for (size_t i = 0; i < w->nentries; i++) {
        bool whole = true;
        for (size_t k = 0; k < w->nentries; k++) {
            whole = whole && (p->goes[k] || w->entries[k].segment != w->entries[i].segment);
        }
        uint64_t file = w->segments[segment_of(w, i)].file_bytes;
        p->freed[i] = whole ? p->size[i] : p->size[i] * (file - 700) / file;
    }
}

static bool
planned(const struct lp_retain_plan *plan, const struct lp_cat_entry *e)
{
    for (size_t i = 0; i < plan->nentries; i++) {
        if (plan->entries[i].segment == e->segment && plan->entries[i].group == e->group) {
            return true;
        }
    }
    return false;
}

static void
compare_segments(const struct world *w, const struct plain *p, const struct lp_retain_plan *plan)
{
    size_t at = 0;
    for (size_t s = 0; s < SEGMENTS; s++) {
        size_t all = 0, gone = 0;
        uint64_t freed = 0;
        for (size_t i = 0; i < w->nentries; i++) {
            if (segment_of(w, i) == s) {
                all++;
                gone += p->goes[i];
                freed += p->goes[i] ? p->freed[i] : 0;
            }
        }
        if (gone == 0) {
            continue;
        }
        CU_ASSERT_FATAL(at < plan->nsegments);
        const struct lp_retain_segment *have = &plan->segments[at++];
        CU_ASSERT(have->id == w->segments[s].id && have->whole == (gone == all) && have->nentries == gone);
        CU_ASSERT(have->freed_bytes == freed && (!have->whole || freed == w->segments[s].file_bytes));
        for (size_t i = 0; i < have->nentries; i++) {
            CU_ASSERT_EQUAL(have->entries[i].segment, have->id);
        }
    }
    CU_ASSERT_EQUAL(at, plan->nsegments);
}

static void
compare_sums(const struct world *w, const struct plain *p, const struct lp_retain_plan *plan)
{
    uint64_t rows = 0, freed = 0, by_name = 0;
    for (size_t i = 0; i < w->nentries; i++) {
        rows += p->goes[i] ? w->entries[i].rows : 0;
        freed += p->goes[i] ? p->freed[i] : 0;
    }
    CU_ASSERT(plan->goes.rows == rows && plan->goes.stored_bytes == freed);
    for (size_t i = 0; i < plan->nnamespaces; i++) {
        const struct lp_retain_ns *ns = &plan->namespaces[i];
        struct lp_retain_sum goes = {.first_ns = LP_TIME_MAX, .last_ns = LP_TIME_MIN};
        for (size_t k = 0; k < w->nentries; k++) {
            const struct stream *s = any_of(w, group_of(w, k));
            if (p->goes[k] && lp_str_eq(s->tenant, ns->tenant) && lp_str_eq(s->ns, ns->ns)) {
                goes.rows += w->entries[k].rows;
                goes.line_bytes += w->entries[k].bytes;
                goes.stored_bytes += p->freed[k];
                goes.first_ns = LP_MIN(goes.first_ns, w->entries[k].min_ns);
                goes.last_ns = LP_MAX(goes.last_ns, w->entries[k].max_ns);
            }
        }
        CU_ASSERT(memcmp(&goes, &ns->goes, sizeof(goes)) == 0);
        by_name += ns->all.rows;
    }
    CU_ASSERT_EQUAL(by_name, plan->all.rows);
}

/* The published cutoffs say of every stream what the plain evaluation does; of a group only what holds for
 * all of its streams. */
static void
compare_cutoffs(const struct world *w, const struct plain *p, const struct lp_cutoffs *c)
{
    struct lp_arena ar;
    lp_arena_init(&ar, 1 << 20, 0);
    for (size_t i = 0; i < STREAMS; i++) {
        const struct stream *s = &w->streams[i];
        struct lp_stream_key k;
        int64_t group_ns, want_ns = plain_cutoff(w, p, s);
        CU_ASSERT_EQUAL_FATAL(lp_stream_key_parse(lp_buf_view(&s->key), &ar, &k, NULL), LP_OK);
        CU_ASSERT_EQUAL(lp_cutoffs_stream(c, &k), want_ns);
        CU_ASSERT(!lp_cutoffs_group(c, lp_buf_view(&s->group_key), &group_ns) || group_ns == want_ns);
    }
    lp_arena_clear(&ar);
}

static void
plans_are_what_a_plain_evaluation_says(void)
{
    size_t dropped = 0, rewritten = 0, bytes = 0, disk = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct world *w = make_world(seed);
        struct plain *p = plain_plan(w);
        plain_freed(w, p);
        struct lp_retain_plan *plan = plan_of(w);
        for (size_t i = 0; i < w->nentries; i++) {
            CU_ASSERT_EQUAL(planned(plan, &w->entries[i]), p->goes[i]);
        }
        compare_segments(w, p, plan);
        compare_sums(w, p, plan);
        compare_cutoffs(w, p, plan->cutoffs);
        dropped += plan->ndropped;
        rewritten += plan->nsegments - plan->ndropped;
        bytes += plan->cutoffs->nbytes;
        disk += plan->cutoffs->all_ns != LP_TIME_MIN;
        lp_retain_plan_free(plan);
        lp_free(p);
        free_world(w);
    }
    CU_ASSERT(dropped > 50 && rewritten > 500 && bytes > 50 && disk > 50);
}

/* --- the forecast --- */

#define MIB (UINT64_C(1) << 20)

/* A store to which `mib` came in each of so many days up to now, one segment a day, in prod and dev. */
static struct lp_retain_usage
usage_of(const char *rules, unsigned days, uint64_t mib, uint64_t free_mib, uint64_t total_mib)
{
    static struct lp_buf keys[2];
    static struct lp_foot_group groups[2];
    static struct lp_cat_segment segments[400];
    static struct lp_cat_entry entries[800];
    for (size_t i = 0; i < 2; i++) {
        struct lp_pair label = {LP_STR("namespace"), i == 0 ? LP_STR("prod") : LP_STR("dev")};
        struct lp_stream_key k = {LP_STR_NULL, &label, 1, {LP_STR_NULL, LP_STR_NULL}};
        lp_buf_init(&keys[i], 4096);
        lp_group_key(&k, &keys[i]);
        groups[i] = (struct lp_foot_group){i + 1, lp_buf_view(&keys[i])};
    }
    for (size_t i = 0; i < days; i++) {
        int64_t end_ns = NOW - (int64_t)(days - 1 - i) * DAY;
        segments[i] =
            (struct lp_cat_segment){.id = i + 1, .rows = 2, .file_bytes = mib * MIB, .created_ns = end_ns};
        for (size_t g = 0; g < 2; g++) {
            entries[2 * i + g] = (struct lp_cat_entry){.group = g + 1,
                                                       .segment = i + 1,
                                                       .rows = 1,
                                                       .bytes = 1,
                                                       .stored = 1,
                                                       .min_ns = end_ns - DAY,
                                                       .max_ns = end_ns};
        }
    }
    struct lp_retain_input in = {groups, 2, segments, days, entries, 2 * (size_t)days, NULL, NULL};
    struct lp_retain_conf conf = {.rules = lp_test_rules(rules), .total_bytes = total_mib * MIB};
    struct lp_retain_moment at = {NOW, free_mib * MIB, 100000 * MIB};
    struct lp_retain_usage u;
    CU_ASSERT_EQUAL_FATAL(lp_retain_usage_of(&in, &conf, &at, 0, &u, NULL), LP_OK);
    CU_ASSERT_EQUAL(u.plan->nnamespaces, 2);
    lp_rules_unref(conf.rules);
    lp_buf_clear(&keys[0]);
    lp_buf_clear(&keys[1]);
    return u;
}

static int32_t
full_in(const char *rules, unsigned days, uint64_t mib, uint64_t free_mib, uint64_t total_mib)
{
    struct lp_retain_usage u = usage_of(rules, days, mib, free_mib, total_mib);
    int32_t full = u.days_until_full;
    lp_retain_usage_clear(&u);
    return full;
}

static void
the_disk_lasts_as_long_as_is_said(void)
{
    CU_ASSERT_EQUAL(full_in("", 100, 10, 405, 0), 41); /* 10 MiB a day for ever */
    CU_ASSERT_EQUAL(full_in("", 100, 10, 9, 0), 1);
    CU_ASSERT_EQUAL(full_in("age=30d", 30, 10, 50, 0), -1);  /* what comes in is what goes */
    CU_ASSERT_EQUAL(full_in("age=30d", 10, 10, 195, 0), 20); /* for 20 days more comes in than goes */
    CU_ASSERT_EQUAL(full_in("age=30d", 10, 10, 250, 0), -1);
    CU_ASSERT_EQUAL(full_in("namespace=dev age=10d", 10, 10, 104, 0), 21); /* half of it stays */
    CU_ASSERT_EQUAL(full_in("", 100, 10, 500, 1200), -1);                  /* the limit comes first */
    CU_ASSERT_EQUAL(full_in("namespace=* bytes=600MiB", 100, 10, 250, 0), -1);
    CU_ASSERT_EQUAL(full_in("namespace=* bytes=700MiB", 100, 10, 250, 0), 26);
    struct lp_retain_usage u = usage_of("age=30d", 100, 10, 1, 0);
    CU_ASSERT(u.growth_bytes > 9.9 * (double)MIB && u.growth_bytes < 10.1 * (double)MIB);
    CU_ASSERT_EQUAL(u.growth_over_ns, 7 * DAY);
    CU_ASSERT(u.stored_then > 289 * MIB && u.stored_then < 311 * MIB);
    CU_ASSERT_EQUAL(u.plan->namespaces[0].all.last_ns, NOW);
    lp_retain_usage_clear(&u);
    u = usage_of("", 1, 10, 1, 0); /* all of it came just now */
    CU_ASSERT(u.growth_over_ns == 0 && u.days_until_full == -1);
    lp_retain_usage_clear(&u);
}

LP_SUITE(retain_plan, {"plans are what a plain evaluation says", plans_are_what_a_plain_evaluation_says},
         {"the disk lasts as long as is said", the_disk_lasts_as_long_as_is_said});
