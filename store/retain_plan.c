/*
 * retain_plan.c - what goes: the plan of a run of retention. See retain.h. Pure: reads its input, changes
 * nothing.
 *
 * Steps: each group gets its rule (or, where its streams differ, the set of their rules); ages give cutoffs;
 * then bytes of namespaces; then the limits of the disk, over all. After each step an entry goes if and only
 * if its largest time lies before its group's cutoff and its segment is old enough: the same that hides rows.
 *
 * An entry's size on disk is its share of the file: by stored bytes where all entries of the file have them,
 * else by lines. Shares of one file add up to the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/retain_int.h"

#define FRAME_BYTES                                                                                          \
    700u /* of a file that is left when all its rows are: header, directory, trailer and the like */
#define ROW_BYTES 8u /* what a row weighs beyond its line, where stored bytes are not known */

static int64_t
minus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_sub_overflow(a, b, &r) || r < LP_TIME_MIN ? LP_TIME_MIN : r;
}

static int64_t
behind(int64_t ns)
{
    return ns == LP_TIME_MAX ? ns : ns + 1;
}

/* --- groups, namespaces and their rules --- */

static int
group_by_id(const void *va, const void *vb)
{
    const struct lp_plan_group *a = va, *b = vb;
    return (a->id > b->id) - (a->id < b->id);
}

static int
ns_cmp(const void *va, const void *vb)
{
    const struct lp_retain_ns *a = va, *b = vb;
    int order = lp_str_cmp(a->tenant, b->tenant);
    return order != 0 ? order : lp_str_cmp(a->ns, b->ns);
}

static lp_rc
read_groups(struct lp_planner *p, struct lp_err *err)
{
    p->groups = lp_calloc(p->in->ngroups, sizeof(*p->groups));
    for (size_t i = 0; i < p->in->ngroups; i++) {
        struct lp_plan_group *g = &p->groups[p->ngroups];
        struct lp_str key = p->in->groups[i].key;
        struct lp_rd rd = lp_rd_of(key);
        *g = (struct lp_plan_group){.id = p->in->groups[i].id, .key = key, .tenant = lp_rd_lpstr(&rd)};
        g->name = lp_rd_lpstr(&rd);
        p->ngroups += !rd.bad; /* one that cannot be read stays as it is: nothing of it goes */
    }
    if (p->ngroups > 1) {
        qsort(p->groups, p->ngroups, sizeof(*p->groups), group_by_id);
    }
    struct lp_retain_plan *plan = p->plan;
    plan->namespaces = lp_calloc(p->ngroups, sizeof(*plan->namespaces));
    for (size_t i = 0; i < p->ngroups; i++) {
        struct lp_retain_ns *ns = &plan->namespaces[i];
        *ns = (struct lp_retain_ns){p->groups[i].tenant, p->groups[i].name, {0}, {0}};
        ns->all.first_ns = ns->goes.first_ns = LP_TIME_MAX;
        ns->all.last_ns = ns->goes.last_ns = LP_TIME_MIN;
    }
    if (p->ngroups > 1) {
        qsort(plan->namespaces, p->ngroups, sizeof(*plan->namespaces), ns_cmp);
    }
    for (size_t i = 0; i < p->ngroups; i++) {
        if (i == 0 || ns_cmp(&plan->namespaces[i], &plan->namespaces[plan->nnamespaces - 1]) != 0) {
            plan->namespaces[plan->nnamespaces++] = plan->namespaces[i];
        }
    }
    for (size_t i = 0; i < plan->nnamespaces; i++) { /* the plan outlives the catalog's transaction */
        struct lp_retain_ns *ns = &plan->namespaces[i];
        if (!lp_arena_str(&plan->ar, ns->tenant, &ns->tenant) || !lp_arena_str(&plan->ar, ns->ns, &ns->ns)) {
            return lp_err_set(err, LP_ERR_NOMEM, "no memory for a plan of retention");
        }
    }
    for (size_t i = 0; i < p->ngroups; i++) {
        struct lp_retain_ns key = {.tenant = p->groups[i].tenant, .ns = p->groups[i].name};
        const struct lp_retain_ns *ns =
            bsearch(&key, plan->namespaces, plan->nnamespaces, sizeof(key), ns_cmp);
        p->groups[i].ns = (uint32_t)(ns - plan->namespaces);
    }
    return LP_OK;
}

static struct lp_plan_group *
find_group(const struct lp_planner *p, uint64_t id)
{
    struct lp_plan_group key = {.id = id};
    return p->ngroups > 0 ? bsearch(&key, p->groups, p->ngroups, sizeof(key), group_by_id) : NULL;
}

/* Notes a stream's rule with its group, where the group's key did not tell. */
static bool
note_stream(void *arg, uint64_t id, uint64_t group, struct lp_str key)
{
    struct lp_planner *p = arg;
    struct lp_plan_group *g = find_group(p, group);
    struct lp_stream_key k;
    (void)id;
    if (g == NULL || g->rule != LP_RULE_UNDECIDED) {
        return true;
    }
    lp_arena_reset(&p->scratch);
    uint32_t rule = LP_RULE_NONE; /* what cannot be read is kept */
    if (lp_stream_key_parse(key, &p->scratch, &k, NULL) == LP_OK) {
        rule = lp_cutoffs_stream_rule(p->plan->cutoffs, &k);
    }
    for (uint32_t i = 0; i < g->nrules; i++) {
        if (g->rules[i] == rule) {
            return true;
        }
    }
    g->rules = lp_realloc(g->rules, (g->nrules + 1) * sizeof(*g->rules));
    g->rules[g->nrules++] = rule;
    return true;
}

static lp_rc
find_rules(struct lp_planner *p, struct lp_err *err)
{
    bool undecided = false;
    for (size_t i = 0; i < p->ngroups; i++) {
        p->groups[i].rule = lp_cutoffs_group_rule(p->plan->cutoffs, p->groups[i].key);
        undecided = undecided || p->groups[i].rule == LP_RULE_UNDECIDED;
    }
    if (!undecided) {
        return LP_OK;
    }
    lp_arena_init(&p->scratch, 1 << 20, 0);
    lp_rc rc = p->in->streams(p->in->arg, note_stream, p, err);
    lp_arena_clear(&p->scratch);
    for (size_t i = 0; i < p->ngroups; i++) {
        struct lp_plan_group *g = &p->groups[i];
        if (g->rule == LP_RULE_UNDECIDED && g->nrules == 1) {
            g->rule = g->rules[0];
        }
    }
    return rc;
}

/* --- entries and their sizes --- */

static int
segment_cmp(const void *key, const void *item)
{
    uint64_t id = *(const uint64_t *)key;
    const struct lp_plan_segment *s = item;
    return (id > s->row->id) - (id < s->row->id);
}

static uint64_t
weight(const struct lp_plan_segment *s, const struct lp_cat_entry *e)
{
    return s->by_lines ? e->bytes + e->rows * ROW_BYTES : e->stored;
}

/* The part of the file that stands behind `from` and before `to` of its weight. */
static uint64_t
share(const struct lp_plan_segment *s, uint64_t from, uint64_t to)
{
    if (s->weight == 0) {
        return 0;
    }
    unsigned __int128 bytes = s->row->file_bytes;
    return (uint64_t)(bytes * to / s->weight) - (uint64_t)(bytes * from / s->weight);
}

static void
read_entries(struct lp_planner *p)
{
    const struct lp_retain_input *in = p->in;
    p->segments = lp_calloc(in->nsegments, sizeof(*p->segments));
    for (size_t i = 0; i < in->nsegments; i++) {
        p->segments[i].row = &in->segments[i];
        p->segments[i].old = lp_cutoffs_reach(p->plan->cutoffs, in->segments[i].created_ns);
        p->plan->all.stored_bytes += in->segments[i].file_bytes;
    }
    p->entries = lp_calloc(in->nentries, sizeof(*p->entries));
    for (size_t i = 0; i < in->nentries; i++) {
        const struct lp_cat_entry *e = &in->entries[i];
        const struct lp_plan_group *g = find_group(p, e->group);
        struct lp_plan_segment *s = in->nsegments > 0 ? bsearch(&e->segment, p->segments, in->nsegments,
                                                                sizeof(*p->segments), segment_cmp)
                                                      : NULL;
        if (g == NULL || s == NULL) {
            continue;
        }
        p->entries[p->nentries++] = (struct lp_plan_entry){
            .row = e, .group = (uint32_t)(g - p->groups), .segment = (uint32_t)(s - p->segments)};
        s->by_lines = s->by_lines || e->stored == 0;
        s->nentries++;
    }
    for (size_t i = 0; i < p->nentries; i++) {
        struct lp_plan_segment *s = &p->segments[p->entries[i].segment];
        s->weight += weight(s, p->entries[i].row);
    }
    for (size_t i = 0; i < p->nentries; i++) {
        struct lp_plan_segment *s = &p->segments[p->entries[i].segment];
        uint64_t w = weight(s, p->entries[i].row);
        p->entries[i].size = share(s, s->so_far, s->so_far + w);
        s->so_far += w;
    }
}

/* --- steps --- */

/* What a group's cutoff is now; entries before it go. */
static void
mark(struct lp_planner *p)
{
    const struct lp_cutoffs *c = p->plan->cutoffs;
    for (size_t i = 0; i < p->ngroups; i++) {
        struct lp_plan_group *g = &p->groups[i];
        if (g->rule != LP_RULE_UNDECIDED) {
            g->before_ns = lp_cutoffs_rule_ns(c, g->rule, g->tenant, g->name);
            continue;
        }
        g->before_ns = g->nrules > 0 ? LP_TIME_MAX : LP_TIME_MIN;
        for (uint32_t k = 0; k < g->nrules; k++) {
            int64_t ns = lp_cutoffs_rule_ns(c, g->rules[k], g->tenant, g->name);
            g->before_ns = LP_MIN(g->before_ns, ns);
        }
    }
    for (size_t i = 0; i < p->nentries; i++) {
        struct lp_plan_entry *e = &p->entries[i];
        e->goes = p->segments[e->segment].old && e->row->max_ns < p->groups[e->group].before_ns;
    }
}

static void
step_ages(struct lp_planner *p)
{
    struct lp_cutoffs *c = p->plan->cutoffs;
    int64_t now_ns = p->plan->at.now_ns;
    for (size_t i = 0; i < c->rules->n; i++) {
        int64_t age_ns = c->rules->v[i].age_ns;
        if (age_ns > 0 && age_ns != LP_AGE_FOREVER) {
            c->rule_ns[i] = minus(now_ns, age_ns);
        }
    }
    c->quarantine_age_ns = p->conf->quarantine_ns;
    if (c->quarantine_age_ns > 0) {
        c->quarantine_ns = minus(now_ns, c->quarantine_age_ns);
    }
    c->made_ns = now_ns;
    c->received_before_ns = minus(now_ns, LP_RETAIN_RECEIVED_NS);
}

/* By namespace, then oldest first. */
static int
order_cmp(const void *va, const void *vb, void *arg)
{
    const struct lp_planner *p = arg;
    const struct lp_plan_entry *a = &p->entries[*(const uint32_t *)va],
                               *b = &p->entries[*(const uint32_t *)vb];
    uint32_t na = p->groups[a->group].ns, nb = p->groups[b->group].ns;
    if (na != nb) {
        return na < nb ? -1 : 1;
    }
    return (a->row->max_ns > b->row->max_ns) - (a->row->max_ns < b->row->max_ns);
}

static int
oldest_cmp(const void *va, const void *vb, void *arg)
{
    const struct lp_planner *p = arg;
    int64_t a = p->entries[*(const uint32_t *)va].row->max_ns,
            b = p->entries[*(const uint32_t *)vb].row->max_ns;
    return (a > b) - (a < b);
}

/* Takes the oldest of order[from, to) until `need` bytes are gone; those of the same time go together. The
 * time before which they lie. */
static int64_t
take_oldest(const struct lp_planner *p, size_t from, size_t to, uint64_t need)
{
    int64_t last_ns = LP_TIME_MIN;
    uint64_t gone = 0;
    for (size_t i = from; i < to; i++) {
        const struct lp_plan_entry *e = &p->entries[p->order[i]];
        if (gone >= need && e->row->max_ns > last_ns) {
            break;
        }
        gone += e->size;
        last_ns = e->row->max_ns;
    }
    return behind(last_ns);
}

/* One rule's bytes, in every namespace that has too many. */
static void
step_bytes_of(struct lp_planner *p, uint32_t rule, const uint64_t *usage)
{
    uint64_t most = p->plan->cutoffs->rules->v[rule].bytes;
    p->norder = 0;
    for (size_t i = 0; i < p->nentries; i++) {
        const struct lp_plan_entry *e = &p->entries[i];
        const struct lp_plan_group *g = &p->groups[e->group];
        if (!e->goes && g->rule == rule && usage[g->ns] > most && p->segments[e->segment].old) {
            p->order[p->norder++] = (uint32_t)i;
        }
    }
    if (p->norder > 1) {
        qsort_r(p->order, p->norder, sizeof(*p->order), order_cmp, p);
    }
    for (size_t from = 0, to; from < p->norder; from = to) {
        const struct lp_plan_group *g = &p->groups[p->entries[p->order[from]].group];
        to = from + 1;
        while (to < p->norder && p->groups[p->entries[p->order[to]].group].ns == g->ns) {
            to++;
        }
        int64_t before_ns = take_oldest(p, from, to, usage[g->ns] - most);
        lp_cutoffs_add_bytes(p->plan->cutoffs, rule, g->tenant, g->name, before_ns);
    }
}

/*
 * A namespace's bytes are all that it has, whichever rules its lines go by; what goes for them is what the
 * rule itself is about.
 */
static void
step_bytes(struct lp_planner *p)
{
    const struct lp_rules *rules = p->plan->cutoffs->rules;
    uint64_t *usage = lp_malloc((p->plan->nnamespaces + 1) * sizeof(*usage));
    for (uint32_t r = 0; r < rules->n; r++) {
        if (rules->v[r].bytes == 0) {
            continue;
        }
        memset(usage, 0, p->plan->nnamespaces * sizeof(*usage));
        for (size_t i = 0; i < p->nentries; i++) {
            usage[p->groups[p->entries[i].group].ns] += p->entries[i].goes ? 0 : p->entries[i].size;
        }
        step_bytes_of(p, r, usage);
        mark(p);
    }
    lp_free(usage);
}

/* What the disk needs beyond what goes already. */
static uint64_t
disk_need(const struct lp_planner *p)
{
    uint64_t goes = 0, free_bytes = 0, need = 0;
    for (size_t i = 0; i < p->nentries; i++) {
        goes += p->entries[i].goes ? p->entries[i].size : 0;
    }
    uint64_t stays = p->plan->all.stored_bytes - goes, disk_free = p->plan->at.disk_free + goes;
    if (p->conf->total_bytes > 0 && stays > p->conf->total_bytes) {
        need = stays - p->conf->total_bytes;
    }
    if (lp_str_share(p->conf->free, p->plan->at.disk_total, &free_bytes) && disk_free < free_bytes) {
        need = LP_MAX(need, free_bytes - disk_free);
    }
    return need;
}

static void
step_disk(struct lp_planner *p)
{
    struct lp_buf disk;
    lp_buf_init(&disk, 256);
    lp_buf_printf(&disk, "total=%llu free=" LP_STR_FMT, (unsigned long long)p->conf->total_bytes,
                  LP_STR_ARG(p->conf->free));
    lp_cutoffs_set_disk(p->plan->cutoffs, lp_buf_view(&disk));
    lp_buf_clear(&disk);
    uint64_t need = disk_need(p);
    p->norder = 0;
    for (size_t i = 0; i < p->nentries && need > 0; i++) {
        if (!p->entries[i].goes && p->segments[p->entries[i].segment].old) {
            p->order[p->norder++] = (uint32_t)i;
        }
    }
    if (p->norder == 0) {
        return;
    }
    if (p->norder > 1) {
        qsort_r(p->order, p->norder, sizeof(*p->order), oldest_cmp, p);
    }
    p->plan->cutoffs->all_ns = take_oldest(p, 0, p->norder, need);
    mark(p);
}

/* --- the result --- */

static void
add_up(struct lp_retain_sum *sum, const struct lp_plan_entry *e, uint64_t bytes)
{
    sum->rows += e->row->rows;
    sum->line_bytes += e->row->bytes;
    sum->stored_bytes += bytes;
    sum->first_ns = LP_MIN(sum->first_ns, e->row->min_ns);
    sum->last_ns = LP_MAX(sum->last_ns, e->row->max_ns);
}

static int
entry_by_segment(const void *va, const void *vb)
{
    const struct lp_cat_entry *a = va, *b = vb;
    if (a->segment != b->segment) {
        return a->segment < b->segment ? -1 : 1;
    }
    return (a->group > b->group) - (a->group < b->group);
}

/* What is free once the entry is gone: of a file that is written again the frame stays. */
static uint64_t
freed(const struct lp_plan_segment *s, const struct lp_plan_entry *e)
{
    uint64_t file = s->row->file_bytes, frame = LP_MIN(file, (uint64_t)FRAME_BYTES);
    return s->whole || file == 0 ? e->size : (uint64_t)((unsigned __int128)e->size * (file - frame) / file);
}

static void
sum_up(struct lp_planner *p)
{
    struct lp_retain_plan *plan = p->plan;
    uint64_t stored = plan->all.stored_bytes;
    for (size_t i = 0; i < p->nentries; i++) {
        struct lp_plan_segment *s = &p->segments[p->entries[i].segment];
        s->ngo += p->entries[i].goes;
        s->rows_go += p->entries[i].goes ? p->entries[i].row->rows : 0;
        s->whole = s->ngo == s->nentries && s->rows_go == s->row->rows;
    }
    for (size_t i = 0; i < p->nentries; i++) {
        const struct lp_plan_entry *e = &p->entries[i];
        struct lp_plan_segment *s = &p->segments[e->segment];
        struct lp_retain_ns *ns = &plan->namespaces[p->groups[e->group].ns];
        add_up(&ns->all, e, e->size);
        add_up(&plan->all, e, e->size);
        if (e->goes) {
            uint64_t bytes = freed(s, e);
            add_up(&ns->goes, e, bytes);
            add_up(&plan->goes, e, bytes);
            s->freed += bytes;
            plan->entries[plan->nentries++] = *e->row;
        }
    }
    plan->all.stored_bytes = stored; /* files without entries count as well */
    if (plan->nentries > 1) {
        qsort(plan->entries, plan->nentries, sizeof(*plan->entries), entry_by_segment);
    }
}

static void
list_segments(struct lp_planner *p)
{
    struct lp_retain_plan *plan = p->plan;
    size_t at = 0, kept = 0;
    for (size_t i = 0; i < p->in->nsegments; i++) {
        const struct lp_plan_segment *s = &p->segments[i];
        if (s->ngo == 0) {
            continue;
        }
        plan->segments[plan->nsegments++] =
            (struct lp_retain_segment){s->row->id, s->whole, &plan->entries[at], s->ngo, s->freed};
        plan->ndropped += s->whole;
        at += s->ngo;
    }
    for (size_t i = 0; i < plan->nnamespaces; i++) {
        if (plan->namespaces[i].all.first_ns <= plan->namespaces[i].all.last_ns) {
            plan->namespaces[kept++] = plan->namespaces[i];
        }
    }
    plan->nnamespaces = kept;
}

void
lp_planner_clear(struct lp_planner *p)
{
    for (size_t i = 0; i < p->ngroups; i++) {
        lp_free(p->groups[i].rules);
    }
    lp_free(p->groups);
    lp_free(p->segments);
    lp_free(p->entries);
    lp_free(p->order);
}

lp_rc
lp_planner_run(struct lp_planner *p, const struct lp_retain_input *in, const struct lp_retain_conf *conf,
               const struct lp_retain_moment *at, struct lp_err *err)
{
    struct lp_retain_plan *plan = lp_calloc(1, sizeof(*plan));
    *p = (struct lp_planner){.in = in, .conf = conf, .plan = plan};
    plan->at = *at;
    plan->cutoffs = lp_cutoffs_new(lp_rules_ref(conf->rules));
    lp_arena_init(&plan->ar, SIZE_MAX, 0);
    plan->all.first_ns = plan->goes.first_ns = LP_TIME_MAX;
    plan->all.last_ns = plan->goes.last_ns = LP_TIME_MIN;
    step_ages(p);
    lp_rc rc = read_groups(p, err);
    rc = rc == LP_OK ? find_rules(p, err) : rc;
    if (rc == LP_OK) {
        read_entries(p);
        p->order = lp_malloc((p->nentries + 1) * sizeof(*p->order));
        plan->entries = lp_malloc((p->nentries + 1) * sizeof(*plan->entries));
        plan->segments = lp_malloc((in->nsegments + 1) * sizeof(*plan->segments));
        mark(p);
        step_bytes(p);
        step_disk(p);
        sum_up(p);
        list_segments(p);
    }
    return rc;
}

lp_rc
lp_retain_plan_of(const struct lp_retain_input *in, const struct lp_retain_conf *conf,
                  const struct lp_retain_moment *at, struct lp_retain_plan **ret, struct lp_err *err)
{
    struct lp_planner p;
    lp_rc rc = lp_planner_run(&p, in, conf, at, err);
    lp_planner_clear(&p);
    if (rc != LP_OK) {
        lp_retain_plan_free(p.plan);
        return rc;
    }
    *ret = p.plan;
    return LP_OK;
}

void
lp_retain_plan_free(struct lp_retain_plan *p)
{
    if (p == NULL) {
        return;
    }
    lp_cutoffs_unref(p->cutoffs);
    lp_free(p->namespaces);
    lp_free(p->segments);
    lp_free(p->entries);
    lp_arena_clear(&p->ar);
    lp_free(p);
}

/* --- from the catalog --- */

/* Room for one more of `size` bytes. */
static void *
grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return items;
    }
    *cap = *cap ? *cap * 2 : 256;
    return lp_realloc(items, *cap * size);
}

static bool
load_group(void *arg, uint64_t id, struct lp_str key)
{
    struct lp_retain_loaded *l = arg;
    l->groups = grow(l->groups, l->in.ngroups, &l->groups_cap, sizeof(*l->groups));
    l->groups[l->in.ngroups++] = (struct lp_foot_group){id, key}; /* in the map: good for the transaction */
    return true;
}

static bool
load_segment(void *arg, const struct lp_cat_segment *s)
{
    struct lp_retain_loaded *l = arg;
    l->segments = grow(l->segments, l->in.nsegments, &l->segments_cap, sizeof(*l->segments));
    l->segments[l->in.nsegments++] = *s;
    return true;
}

static bool
load_entry(void *arg, const struct lp_cat_entry *e)
{
    struct lp_retain_loaded *l = arg;
    l->entries = grow(l->entries, l->in.nentries, &l->entries_cap, sizeof(*l->entries));
    l->entries[l->in.nentries++] = *e;
    return true;
}

static lp_rc
walk_streams(void *arg, lp_cat_stream_fn fn, void *fn_arg, struct lp_err *err)
{
    return lp_cat_streams(arg, fn, fn_arg, err);
}

lp_rc
lp_retain_load_input(struct lp_cat_txn *t, struct lp_retain_loaded *ret, struct lp_err *err)
{
    *ret = (struct lp_retain_loaded){.in = {.streams = walk_streams, .arg = t}};
    lp_rc rc = lp_cat_group_keys(t, load_group, ret, err);
    rc = rc == LP_OK ? lp_cat_segments(t, load_segment, ret, err) : rc;
    rc = rc == LP_OK ? lp_cat_entries_all(t, load_entry, ret, err) : rc;
    ret->in.groups = ret->groups;
    ret->in.segments = ret->segments;
    ret->in.entries = ret->entries;
    return rc;
}

void
lp_retain_loaded_clear(struct lp_retain_loaded *l)
{
    lp_free(l->groups);
    lp_free(l->segments);
    lp_free(l->entries);
}

lp_rc
lp_retain_plan(struct lp_cat_txn *t, const struct lp_retain_conf *conf, const struct lp_retain_moment *at,
               struct lp_retain_plan **ret, struct lp_err *err)
{
    struct lp_retain_loaded l;
    lp_rc rc = lp_retain_load_input(t, &l, err);
    rc = rc == LP_OK ? lp_retain_plan_of(&l.in, conf, at, ret, err) : rc;
    lp_retain_loaded_clear(&l);
    return rc;
}
