/*
 * cutoffs.c - which lines have expired: asking by group and by stream, making the next snapshot, its bytes.
 * See cutoffs.h.
 *
 * A group's key tells tenant, namespace and one label of its streams, and that labels of higher rank are not
 * there (record.h): often enough to decide a selector for all of them. Where it is not, the streams are
 * asked.
 */
#include "store/cutoffs.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"

#define VERSION 1u
#define GROUPS_MAX (UINT64_C(1) << 24) /* ids are given one after the other: a larger one is damage */

struct lp_cutoffs *
lp_cutoffs_new(struct lp_rules *rules)
{
    struct lp_cutoffs *c = lp_calloc(1, sizeof(*c));
    c->rules = rules;
    c->rule_ns = lp_malloc((rules->n + 1) * sizeof(*c->rule_ns));
    for (size_t i = 0; i < rules->n; i++) {
        c->rule_ns[i] = LP_TIME_MIN;
    }
    c->quarantine_ns = c->all_ns = c->received_before_ns = c->made_ns = LP_TIME_MIN;
    lp_arena_init(&c->ar, SIZE_MAX, 0);
    atomic_init(&c->refs, 1);
    return c;
}

struct lp_cutoffs *
lp_cutoffs_ref(struct lp_cutoffs *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void
lp_cutoffs_unref(struct lp_cutoffs *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1) {
        return;
    }
    lp_rules_unref(c->rules);
    lp_free(c->rule_ns);
    lp_free(c->bytes);
    lp_free(c->ranges);
    lp_arena_clear(&c->ar);
    lp_free(c);
}

/* --- bytes of namespaces --- */

static int
bytes_cmp(const void *va, const void *vb)
{
    const struct lp_cutoff_bytes *a = va, *b = vb;
    if (a->rule != b->rule) {
        return a->rule < b->rule ? -1 : 1;
    }
    int order = lp_str_cmp(a->tenant, b->tenant);
    return order != 0 ? order : lp_str_cmp(a->ns, b->ns);
}

static struct lp_cutoff_bytes *
find_bytes(const struct lp_cutoffs *c, uint32_t rule, struct lp_str tenant, struct lp_str ns)
{
    struct lp_cutoff_bytes key = {rule, tenant, ns, 0};
    return c->nbytes > 0 ? bsearch(&key, c->bytes, c->nbytes, sizeof(*c->bytes), bytes_cmp) : NULL;
}

static struct lp_str
keep_str(struct lp_cutoffs *c, struct lp_str s)
{
    struct lp_str kept;
    bool ok = lp_arena_str(&c->ar, s, &kept);
    LP_ASSERT(ok); /* the arena has no budget: names of namespaces */
    return kept;
}

void
lp_cutoffs_add_bytes(struct lp_cutoffs *c, uint32_t rule, struct lp_str tenant, struct lp_str ns,
                     int64_t before_ns)
{
    struct lp_cutoff_bytes *have = find_bytes(c, rule, tenant, ns);
    if (have != NULL) {
        have->before_ns = LP_MAX(have->before_ns, before_ns);
        return;
    }
    c->bytes = lp_realloc(c->bytes, (c->nbytes + 1) * sizeof(*c->bytes));
    struct lp_cutoff_bytes added = {rule, keep_str(c, tenant), keep_str(c, ns), before_ns};
    size_t at = c->nbytes++;
    for (; at > 0 && bytes_cmp(&c->bytes[at - 1], &added) > 0; at--) {
        c->bytes[at] = c->bytes[at - 1];
    }
    c->bytes[at] = added;
}

void
lp_cutoffs_set_disk(struct lp_cutoffs *c, struct lp_str disk)
{
    c->disk = keep_str(c, disk);
}

/* The rule of the same text; of several equal ones the first, which is the one that counts. */
static uint32_t
same_rule(const struct lp_rules *rules, struct lp_str text)
{
    for (size_t i = 0; i < rules->n; i++) {
        if (lp_str_eq(rules->v[i].text, text)) {
            return (uint32_t)i;
        }
    }
    return LP_RULE_NONE;
}

void
lp_cutoffs_keep(struct lp_cutoffs *c, const struct lp_cutoffs *before, int64_t now_ns)
{
    if (before == NULL) {
        return;
    }
    for (size_t i = 0; i < before->rules->n; i++) {
        uint32_t k = same_rule(c->rules, before->rules->v[i].text);
        if (k != LP_RULE_NONE) {
            c->rule_ns[k] = LP_MAX(c->rule_ns[k], before->rule_ns[i]);
        }
    }
    for (size_t i = 0; i < before->nbytes; i++) {
        const struct lp_cutoff_bytes *b = &before->bytes[i];
        uint32_t k = same_rule(c->rules, before->rules->v[b->rule].text);
        if (k != LP_RULE_NONE) {
            lp_cutoffs_add_bytes(c, k, b->tenant, b->ns, b->before_ns);
        }
    }
    if (c->quarantine_age_ns == before->quarantine_age_ns) {
        c->quarantine_ns = LP_MAX(c->quarantine_ns, before->quarantine_ns);
    }
    if (lp_str_eq(c->disk, before->disk)) {
        c->all_ns = LP_MAX(c->all_ns, before->all_ns);
    }
    /* one from the future is a clock's mistake, and would reach lines younger than a day */
    if (before->received_before_ns <= now_ns) {
        c->received_before_ns = LP_MAX(c->received_before_ns, before->received_before_ns);
    }
}

/* --- asking --- */

int64_t
lp_cutoffs_rule_ns(const struct lp_cutoffs *c, uint32_t rule, struct lp_str tenant, struct lp_str ns)
{
    int64_t before_ns = c->all_ns;
    if (rule == LP_RULE_QUARANTINE) {
        before_ns = LP_MAX(before_ns, c->quarantine_ns);
    } else if (rule < c->rules->n) {
        const struct lp_cutoff_bytes *b = find_bytes(c, rule, tenant, ns);
        before_ns = LP_MAX(before_ns, c->rule_ns[rule]);
        before_ns = b != NULL ? LP_MAX(before_ns, b->before_ns) : before_ns;
    }
    return before_ns;
}

static bool
place_fits(const struct lp_rule *r, struct lp_str tenant, struct lp_str ns)
{
    return lp_str_glob(r->tenant, tenant) && (r->any_ns || lp_str_glob(r->ns, ns));
}

/* Labels that put a stream into a group, highest rank first: as lp_group_key() looks for them. */
static const struct lp_str ranks[] = {
    {"container", 9}, {"app", 3}, {"service_name", 12}, {"job", 3}, {"filename", 8}};

struct group {
    struct lp_str tenant, ns, kind, value;
};

static bool
read_group(struct lp_str key, struct group *ret)
{
    struct lp_rd rd = lp_rd_of(key);
    *ret = (struct group){.tenant = lp_rd_lpstr(&rd)};
    ret->ns = lp_rd_lpstr(&rd);
    ret->kind = lp_rd_lpstr(&rd);
    ret->value = lp_rd_lpstr(&rd);
    return !rd.bad && lp_rd_left(&rd) == 0;
}

static bool
in_quarantine(const struct lp_cutoffs *c, struct lp_str ns, struct lp_str kind)
{
    return c->quarantine_age_ns > 0 && ns.n == 0 && lp_str_eqc(kind, LP_QUARANTINE_LABEL);
}

/* What is known of every stream of the group. Returns how many pairs. */
static size_t
known_labels(const struct group *g, struct lp_pair out[LP_ARRAY_LEN(ranks) + 1])
{
    size_t n = 0;
    out[n++] = (struct lp_pair){LP_STR("namespace"), g->ns};
    for (size_t i = 0; i < LP_ARRAY_LEN(ranks); i++) {
        bool own = lp_str_eq(ranks[i], g->kind);
        if (own && lp_str_eqc(g->kind, "filename")) {
            break; /* the group has the folder only */
        }
        out[n++] = (struct lp_pair){ranks[i], own ? g->value : LP_STR_NULL};
        if (own) {
            break;
        }
    }
    return n;
}

/* Calls fn for each rule that streams of the group can go by; false from fn ends it. */
typedef bool (*rule_fn)(void *arg, const struct group *g, uint32_t rule);

static void
each_rule(const struct lp_cutoffs *c, const struct group *g, rule_fn fn, void *arg)
{
    struct lp_pair known[LP_ARRAY_LEN(ranks) + 1];
    size_t n = known_labels(g, known);
    if (in_quarantine(c, g->ns, g->kind)) {
        (void)fn(arg, g, LP_RULE_QUARANTINE);
        return;
    }
    /* the quarantine shared the group without a name with others in earlier versions */
    if (c->quarantine_age_ns > 0 && g->ns.n == 0 && g->kind.n == 0 && !fn(arg, g, LP_RULE_QUARANTINE)) {
        return;
    }
    for (uint32_t i = 0; i < c->rules->n; i++) {
        const struct lp_rule *r = &c->rules->v[i];
        enum lp_decided d = LP_DECIDED_NO;
        if (place_fits(r, g->tenant, g->ns)) {
            d = r->select != NULL ? c->rules->ops->decide(r->select, known, n) : LP_DECIDED_YES;
        }
        if (d != LP_DECIDED_NO && (!fn(arg, g, i) || d == LP_DECIDED_YES)) {
            return;
        }
    }
    (void)fn(arg, g, LP_RULE_NONE);
}

struct only {
    uint32_t rule;
    bool any;
};

static bool
note_rule(void *arg, const struct group *g, uint32_t rule)
{
    struct only *o = arg;
    (void)g;
    o->rule = o->any ? LP_RULE_UNDECIDED : rule;
    o->any = true;
    return o->rule != LP_RULE_UNDECIDED;
}

uint32_t
lp_cutoffs_group_rule(const struct lp_cutoffs *c, struct lp_str group_key)
{
    struct group g;
    struct only o = {LP_RULE_UNDECIDED, false};
    if (read_group(group_key, &g)) {
        each_rule(c, &g, note_rule, &o);
    }
    return o.rule;
}

struct widen {
    const struct lp_cutoffs *c;
    struct lp_cutoff_range range;
};

static bool
widen(void *arg, const struct group *g, uint32_t rule)
{
    struct widen *w = arg;
    int64_t ns = lp_cutoffs_rule_ns(w->c, rule, g->tenant, g->ns);
    w->range.lo_ns = LP_MIN(w->range.lo_ns, ns);
    w->range.hi_ns = LP_MAX(w->range.hi_ns, ns);
    return true;
}

void
lp_cutoffs_note_group(struct lp_cutoffs *c, uint64_t id, struct lp_str group_key)
{
    struct group g;
    struct widen w = {c, {LP_TIME_MAX, LP_TIME_MIN}};
    if (!read_group(group_key, &g) || id > GROUPS_MAX) {
        return; /* nothing of it is hidden */
    }
    each_rule(c, &g, widen, &w);
    if (id >= c->nranges) {
        size_t n = LP_MAX((size_t)id + 1, c->nranges * 2);
        c->ranges = lp_realloc(c->ranges, n * sizeof(*c->ranges));
        for (; c->nranges < n; c->nranges++) {
            c->ranges[c->nranges] = (struct lp_cutoff_range){LP_TIME_MIN, LP_TIME_MIN};
        }
    }
    c->ranges[id] = w.range;
}

struct lp_cutoff_range
lp_cutoffs_range(const struct lp_cutoffs *c, uint64_t group)
{
    return group < c->nranges ? c->ranges[group] : (struct lp_cutoff_range){LP_TIME_MIN, LP_TIME_MIN};
}

bool
lp_cutoffs_reach(const struct lp_cutoffs *c, int64_t created_ns)
{
    return c != NULL && created_ns <= c->received_before_ns;
}

struct lp_cutoff_range
lp_cutoffs_in(const struct lp_cutoffs *c, int64_t created_ns, uint64_t group)
{
    return lp_cutoffs_reach(c, created_ns) ? lp_cutoffs_range(c, group)
                                           : (struct lp_cutoff_range){LP_TIME_MIN, LP_TIME_MIN};
}

bool
lp_cutoffs_group(const struct lp_cutoffs *c, struct lp_str group_key, int64_t *ret_ns)
{
    struct group g;
    uint32_t rule = lp_cutoffs_group_rule(c, group_key);
    if (rule == LP_RULE_UNDECIDED || !read_group(group_key, &g)) {
        return false;
    }
    *ret_ns = lp_cutoffs_rule_ns(c, rule, g.tenant, g.ns);
    return true;
}

/* A line that could not be decoded has this label and nothing that names a place. */
static bool
quarantined(const struct lp_cutoffs *c, const struct lp_stream_key *k, struct lp_str ns)
{
    bool named = ns.n > 0;
    for (size_t i = 0; i < LP_ARRAY_LEN(ranks) && !named; i++) {
        named = lp_stream_key_label(k, ranks[i]).n > 0;
    }
    return c->quarantine_age_ns > 0 && !named && lp_stream_key_label(k, LP_STR(LP_QUARANTINE_LABEL)).n > 0;
}

uint32_t
lp_cutoffs_stream_rule(const struct lp_cutoffs *c, const struct lp_stream_key *k)
{
    struct lp_str ns = lp_stream_key_label(k, LP_STR("namespace"));
    if (quarantined(c, k, ns)) {
        return LP_RULE_QUARANTINE;
    }
    for (uint32_t i = 0; i < c->rules->n; i++) {
        const struct lp_rule *r = &c->rules->v[i];
        if (place_fits(r, k->tenant, ns) &&
            (r->select == NULL || c->rules->ops->match(r->select, k->labels, k->nlabels))) {
            return i;
        }
    }
    return LP_RULE_NONE;
}

int64_t
lp_cutoffs_stream(const struct lp_cutoffs *c, const struct lp_stream_key *k)
{
    return lp_cutoffs_rule_ns(c, lp_cutoffs_stream_rule(c, k), k->tenant,
                              lp_stream_key_label(k, LP_STR("namespace")));
}

/* --- bytes --- */

void
lp_cutoffs_encode(const struct lp_cutoffs *c, struct lp_buf *out)
{
    lp_buf_varint(out, VERSION);
    lp_buf_u64(out, (uint64_t)c->made_ns);
    lp_buf_u64(out, (uint64_t)c->received_before_ns);
    lp_buf_u64(out, (uint64_t)c->all_ns);
    lp_buf_lpstr(out, c->disk);
    lp_buf_u64(out, (uint64_t)c->quarantine_ns);
    lp_buf_u64(out, (uint64_t)c->quarantine_age_ns);
    lp_buf_varint(out, c->rules->n);
    for (size_t i = 0; i < c->rules->n; i++) {
        lp_buf_lpstr(out, c->rules->v[i].text);
        lp_buf_u64(out, (uint64_t)c->rule_ns[i]);
    }
    lp_buf_varint(out, c->nbytes);
    for (size_t i = 0; i < c->nbytes; i++) {
        lp_buf_varint(out, c->bytes[i].rule);
        lp_buf_lpstr(out, c->bytes[i].tenant);
        lp_buf_lpstr(out, c->bytes[i].ns);
        lp_buf_u64(out, (uint64_t)c->bytes[i].before_ns);
    }
}

static lp_rc
bad(struct lp_err *err)
{
    return lp_corrupt(err, "catalog: the cutoffs of retention cannot be read");
}

/* The rules' texts as lines; their times go to *ret_ns. */
static bool
read_rules(struct lp_rd *rd, struct lp_buf *lines, int64_t *ret_ns, size_t *ret_n)
{
    uint64_t n = lp_rd_varint(rd);
    *ret_n = (size_t)LP_MIN(n, (uint64_t)LP_RULES_MAX);
    for (size_t i = 0; i < *ret_n && !rd->bad; i++) {
        struct lp_str text = lp_rd_lpstr(rd);
        ret_ns[i] = (int64_t)lp_rd_u64(rd);
        lp_buf_str(lines, text);
        lp_buf_byte(lines, '\n');
    }
    return !rd->bad && n <= LP_RULES_MAX && !lines->failed;
}

static bool
read_bytes(struct lp_rd *rd, struct lp_cutoffs *c)
{
    uint64_t n = lp_rd_varint(rd);
    for (uint64_t i = 0; i < n && !rd->bad; i++) {
        uint64_t rule = lp_rd_varint(rd);
        struct lp_str tenant = lp_rd_lpstr(rd), ns = lp_rd_lpstr(rd);
        int64_t before_ns = (int64_t)lp_rd_u64(rd);
        if (rd->bad || rule >= c->rules->n) {
            return false;
        }
        lp_cutoffs_add_bytes(c, (uint32_t)rule, tenant, ns, before_ns);
    }
    return !rd->bad && lp_rd_left(rd) == 0;
}

lp_rc
lp_cutoffs_decode(struct lp_str bytes, const struct lp_select_ops *ops, struct lp_cutoffs **ret,
                  struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(bytes);
    if (lp_rd_varint(&rd) > VERSION) {
        return lp_err_set(err, LP_ERR_UNSUPPORTED,
                          "the cutoffs of retention are of a later version of Logpond");
    }
    struct lp_cutoffs head = {.made_ns = (int64_t)lp_rd_u64(&rd)};
    head.received_before_ns = (int64_t)lp_rd_u64(&rd);
    head.all_ns = (int64_t)lp_rd_u64(&rd);
    head.disk = lp_rd_lpstr(&rd);
    head.quarantine_ns = (int64_t)lp_rd_u64(&rd);
    head.quarantine_age_ns = (int64_t)lp_rd_u64(&rd);
    struct lp_buf lines;
    lp_buf_init(&lines, LP_RULES_MAX * (LP_RULE_BYTES_MAX + 1));
    int64_t *times = lp_malloc(LP_RULES_MAX * sizeof(*times));
    size_t n;
    struct lp_rules *rules;
    lp_rc rc = read_rules(&rd, &lines, times, &n) ? LP_OK : bad(err);
    rc = rc == LP_OK ? lp_rules_parse(lp_buf_view(&lines), ops, &rules, err) : rc;
    if (rc == LP_OK) {
        struct lp_cutoffs *c = lp_cutoffs_new(rules);
        c->made_ns = head.made_ns;
        c->received_before_ns = head.received_before_ns;
        c->all_ns = head.all_ns;
        c->quarantine_ns = head.quarantine_ns;
        c->quarantine_age_ns = head.quarantine_age_ns;
        lp_cutoffs_set_disk(c, head.disk);
        if (rules->n == n && read_bytes(&rd, c)) {
            memcpy(c->rule_ns, times, n * sizeof(*times));
            *ret = c;
        } else {
            lp_cutoffs_unref(c);
            rc = bad(err);
        }
    }
    lp_free(times);
    lp_buf_clear(&lines);
    return rc;
}
