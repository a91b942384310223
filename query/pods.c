/*
 * pods.c - which pods there are. See pods.h.
 *
 * Two ways lead to them. Where all are asked for, whatever their time, they are walked in order through the
 * catalog's index and the streams of the head, by facts alone, until there are enough that are wanted; then
 * the streams of just these are looked at. So a page costs by the page, however many pods there are. Where
 * the time is bounded (or a name given), the streams that have rows in it tell the pods.
 */
#include "query/pods.h"

#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/pods_int.h"

#define VIEW_BYTES (256u << 20)

struct name {
    struct lp_str ns, name;
};

struct names {
    struct name *v;
    size_t n, cap;
};

/* A question under way. */
struct find {
    const struct lp_pods_query *q;
    struct lp_pods *ret;
    struct lp_arena ar;                     /* names */
    struct lp_arena scratch, names_scratch; /* of one pod at a time */
    size_t limit;
    struct lp_view *view;
    bool chosen; /* names are those of the pods that are looked at, by rising (namespace, name), each once */
    struct names names;
    bool more; /* there are others behind them */
    struct bounds {
        int64_t min_ns, max_ns;    /* min > max: no rows */
        const uint8_t *meta;       /* of a row in the head, or NULL */
    } * bounds;                    /* of the view's streams */
    struct lp_pod_stream *streams; /* with rows, by (namespace, name) */
    size_t nstreams;
    size_t damaged;
    struct lp_cat_txn *txn; /* while facts are read */
};

static lp_rc
over_budget(const struct find *f, struct lp_err *err)
{
    return lp_exec_memory_taken(f->q->share, err)
               ? LP_ERR_BUSY
               : lp_err_set(err, LP_ERR_LIMIT, "so many pods need more memory than a query may have");
}

/* --- which streams --- */

static bool
is_same(const void *arg, struct lp_str value)
{
    return lp_str_eq(*(const struct lp_str *)arg, value);
}

static bool
has_prefix(const void *arg, struct lp_str value)
{
    const struct lp_str *prefix = arg;
    return value.n > 0 && lp_str_starts(value, *prefix);
}

/* Sorted values. */
struct values {
    struct lp_str *v;
    size_t n;
};

static int
compare_values(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static bool
is_in(const void *arg, struct lp_str value)
{
    const struct values *s = arg;
    return s->n > 0 && bsearch(&value, s->v, s->n, sizeof(*s->v), compare_values) != NULL;
}

/* One that has the value, or where that is empty begins with the prefix, or where that is empty has any. */
static struct lp_select_matcher
matcher(const char *name, const struct lp_str *value, const struct lp_str *prefix)
{
    if (value->n > 0) {
        return (struct lp_select_matcher){
            .name = lp_str_c(name), .passes = is_same, .arg = value, .values = value, .nvalues = 1};
    }
    return (struct lp_select_matcher){.name = lp_str_c(name),
                                      .passes = has_prefix,
                                      .arg = prefix,
                                      .every = prefix->n == 0,
                                      .prefix = *prefix};
}

static struct lp_select_matcher
set_matcher(const char *name, const struct values *set)
{
    return (struct lp_select_matcher){
        .name = lp_str_c(name), .passes = is_in, .arg = set, .values = set->v, .nvalues = set->n};
}

static lp_rc
open_view(struct find *f, const struct lp_select_matcher m[2], struct lp_err *err)
{
    const struct lp_select_all all = {m, 2};
    const struct lp_selector sel = {.any = &all, .n = 1};
    lp_rc rc = lp_view_open(f->q->store, f->q->tenant, &f->view, err);
    return rc == LP_OK ? lp_view_select(f->view, &sel, LP_MIN(f->q->budget_bytes, (size_t)VIEW_BYTES), err)
                       : rc;
}

/* The streams of all pods in question. */
static lp_rc
select_all(struct find *f, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    const struct lp_str none = LP_STR_NULL;
    const struct lp_select_matcher m[2] = {matcher("namespace", &q->ns, &none),
                                           matcher("pod", &q->name, &q->prefix)};
    return open_view(f, m, err);
}

/* Those of the chosen names; and of pods that have the one's namespace and the other's name. */
static lp_rc
select_chosen(struct find *f, struct lp_err *err)
{
    struct values ns = {lp_malloc(f->names.n * sizeof(struct lp_str)), 0};
    struct values names = {lp_malloc(f->names.n * sizeof(struct lp_str)), f->names.n};
    for (size_t i = 0; i < f->names.n; i++) {
        names.v[i] = f->names.v[i].name;
        if (i == 0 || !lp_str_eq(f->names.v[i].ns, f->names.v[i - 1].ns)) {
            ns.v[ns.n++] = f->names.v[i].ns;
        }
    }
    qsort(names.v, names.n, sizeof(*names.v), compare_values);
    const struct lp_select_matcher m[2] = {set_matcher("namespace", &ns), set_matcher("pod", &names)};
    lp_rc rc = open_view(f, m, err);
    lp_free(ns.v);
    lp_free(names.v);
    return rc;
}

/* --- candidates, in order --- */

static int
compare_pods(struct lp_str ns_a, struct lp_str name_a, struct lp_str ns_b, struct lp_str name_b)
{
    int order = lp_str_cmp(ns_a, ns_b);
    return order != 0 ? order : lp_str_cmp(name_a, name_b);
}

static bool
is_behind(const struct lp_pods_query *q, struct lp_str ns, struct lp_str name)
{
    return compare_pods(ns, name, q->after_ns, q->after_name) > 0;
}

/* Is it wanted, as far as facts tell? scratch is used up. */
static bool
is_wanted(struct find *f, const struct lp_pod_id *id, const struct lp_pod_facts *facts, bool *ret_spent)
{
    const struct lp_pods_query *q = f->q;
    struct lp_pod p = {.ns = id->ns, .name = id->name, .uid = id->uid};
    if (!lp_str_starts(id->name, q->prefix) || !is_behind(q, id->ns, id->name)) {
        return false;
    }
    if (q->wants == NULL) {
        return true;
    }
    lp_arena_reset(&f->scratch);
    *ret_spent = !lp_pod_describe(facts, &f->scratch, &p);
    return !*ret_spent && q->wants(q->arg, &p);
}

/* Appends the name, unless it is the last one. */
static bool
add_name(struct find *f, struct names *names, const struct lp_pod_id *id)
{
    const struct name *last = names->n > 0 ? &names->v[names->n - 1] : NULL;
    if (last != NULL && compare_pods(last->ns, last->name, id->ns, id->name) == 0) {
        return true;
    }
    struct name *v = lp_arena_grow(&f->ar, names->v, &names->cap, names->n + 1, sizeof(*v));
    if (v == NULL || !lp_arena_str(&f->ar, id->ns, &v[names->n].ns) ||
        !lp_arena_str(&f->ar, id->name, &v[names->n].name)) {
        return false;
    }
    names->v = v;
    names->n++;
    return true;
}

struct gather {
    struct find *f;
    struct names names;
    size_t most;
    size_t looked;
    bool spent;
    lp_rc rc; /* time is up */
    struct lp_err *err;
};

static void
note_head(void *arg, uint32_t stream, const uint8_t *meta)
{
    struct gather *g = arg;
    const struct lp_vstream *s;
    struct lp_pod_facts facts = {.n = 0};
    struct lp_pod_id id;
    g->spent = g->spent || lp_view_stream(g->f->view, stream, &s, NULL) != LP_OK;
    if (g->spent || !lp_pod_id_of(&s->key, &id)) {
        return;
    }
    lp_arena_reset(&g->f->names_scratch);
    g->spent = !lp_pod_facts_learn(&s->key, meta, &g->f->names_scratch, &facts) ||
               (is_wanted(g->f, &id, &facts, &g->spent) && !add_name(g->f, &g->names, &id));
}

static bool
note_stored(void *arg, const struct lp_pod_id *id, const struct lp_pod_facts *facts)
{
    struct gather *g = arg;
    if (++g->looked % 4096 == 0) {
        g->rc = lp_exec_check(g->f->q->deadline_ns, g->f->q->cancel, g->err);
    }
    if (g->rc == LP_OK && is_wanted(g->f, id, facts, &g->spent)) {
        g->spent = g->spent || !add_name(g->f, &g->names, id);
    }
    return g->rc == LP_OK && !g->spent && g->names.n <= g->most;
}

static int
by_names(const void *va, const void *vb)
{
    const struct name *a = va, *b = vb;
    return compare_pods(a->ns, a->name, b->ns, b->name);
}

/* The first of both, each once. a: of the head, in no order; b: of the catalog, cut behind `most` of them. */
static bool
merge_names(struct find *f, struct names *a, const struct names *b)
{
    size_t i = 0, k = 0;
    f->names.v = lp_arena_array(&f->ar, f->limit, sizeof(*f->names.v));
    if (f->names.v == NULL) {
        return false;
    }
    if (a->n > 1) {
        qsort(a->v, a->n, sizeof(*a->v), by_names);
    }
    while ((i < a->n || k < b->n) && f->names.n < f->limit) {
        int order = i == a->n ? 1 : k == b->n ? -1 : by_names(&a->v[i], &b->v[k]);
        struct name next = order <= 0 ? a->v[i] : b->v[k];
        while (i < a->n && by_names(&a->v[i], &next) == 0) {
            i++;
        }
        k += order >= 0;
        f->names.v[f->names.n++] = next;
    }
    f->more = i < a->n || k < b->n;
    return true;
}

/* Chooses the next pods by what is known of them. */
static lp_rc
choose(struct find *f, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    struct gather head = {.f = f, .err = err}, stored = {.f = f, .most = f->limit, .err = err};
    struct lp_cat_txn *t;
    lp_rc rc = select_all(f, err);
    if (rc != LP_OK) {
        return rc;
    }
    lp_view_head_metas(f->view, note_head, &head);
    lp_view_free(f->view); /* before the catalog is read: what leaves the head meanwhile is there */
    f->view = NULL;
    rc = lp_cat_begin(lp_store_catalog(q->store), &t, err);
    if (rc == LP_OK) {
        const struct lp_cat_pods_query all = {q->tenant,     q->ns,    q->after_ns,
                                              q->after_name, q->facts, q->nfacts};
        rc = lp_cat_pods(t, &all, note_stored, &stored, err);
        lp_cat_end(t);
    }
    rc = rc == LP_OK ? stored.rc : rc;
    if (rc == LP_OK && (head.spent || stored.spent || !merge_names(f, &head.names, &stored.names))) {
        rc = over_budget(f, err);
    }
    return rc;
}

/* --- streams --- */

static void
note_times(void *arg, uint32_t stream, int64_t min_ns, int64_t max_ns)
{
    struct bounds *b = &((struct find *)arg)->bounds[stream];
    b->min_ns = LP_MIN(b->min_ns, min_ns);
    b->max_ns = LP_MAX(b->max_ns, max_ns);
}

static void
note_meta(void *arg, uint32_t stream, const uint8_t *meta)
{
    ((struct find *)arg)->bounds[stream].meta = meta;
}

static lp_rc
find_times(struct find *f, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    const struct lp_part *parts;
    size_t nparts, n = lp_view_nstreams(f->view);
    struct lp_err damage;
    lp_err_clear(&damage);
    f->bounds = lp_malloc(n * sizeof(*f->bounds));
    for (size_t i = 0; i < n; i++) {
        f->bounds[i] = (struct bounds){LP_TIME_MAX, LP_TIME_MIN, NULL};
    }
    lp_rc rc = lp_view_parts(f->view, q->from_ns, q->to_ns, true, &parts, &nparts, &f->damaged, &damage);
    if (rc != LP_OK) {
        return lp_err_set(err, rc, "%s", damage.text);
    }
    lp_view_times(f->view, q->from_ns, q->to_ns, note_times, f);
    lp_view_head_metas(f->view, note_meta, f);
    return LP_OK;
}

static int
by_name(const void *va, const void *vb)
{
    const struct lp_pod_stream *a = va, *b = vb;
    return compare_pods(a->ns, a->name, b->ns, b->name);
}

/* Chosen ones only, where there was a choice. */
static bool
is_in_question(const struct find *f, const struct lp_pod_stream *p)
{
    const struct name key = {p->ns, p->name};
    if (!f->chosen) {
        return is_behind(f->q, p->ns, p->name);
    }
    return bsearch(&key, f->names.v, f->names.n, sizeof(key), by_names) != NULL;
}

/* The streams with rows, in the order of their pods. */
static lp_rc
read_streams(struct find *f, struct lp_err *err)
{
    uint32_t n = lp_view_nstreams(f->view);
    f->streams = lp_malloc(n * sizeof(*f->streams));
    for (uint32_t i = 0; i < n; i++) {
        const struct lp_vstream *s;
        struct lp_pod_id id;
        if (f->bounds[i].min_ns > f->bounds[i].max_ns) {
            continue;
        }
        lp_rc rc = i % 1024 == 0 ? lp_exec_check(f->q->deadline_ns, f->q->cancel, err) : LP_OK;
        rc = rc == LP_OK ? lp_view_stream(f->view, i, &s, err) : rc;
        if (rc != LP_OK) {
            return rc;
        }
        if (!lp_pod_id_of(&s->key, &id)) {
            continue;
        }
        struct lp_pod_stream p = {.ns = id.ns,
                                  .name = id.name,
                                  .uid = id.uid,
                                  .container = lp_stream_key_label(&s->key, LP_STR("container")),
                                  .run = s->key.inst.incarnation,
                                  .key = &s->key,
                                  .meta = f->bounds[i].meta,
                                  .min_ns = f->bounds[i].min_ns,
                                  .max_ns = f->bounds[i].max_ns};
        if (is_in_question(f, &p)) {
            f->streams[f->nstreams++] = p;
        }
    }
    if (f->nstreams > 1) {
        qsort(f->streams, f->nstreams, sizeof(*f->streams), by_name);
    }
    return LP_OK;
}

/* --- pods of them --- */

/* What the catalog knows of the pod: with its uid, and without where those streams are its own. */
struct known {
    struct lp_str uid;
    bool nameless;
    struct lp_arena *ar;
    struct lp_pod_facts *facts;
    bool spent;
};

static bool
take_known(void *arg, const struct lp_pod_id *id, const struct lp_pod_facts *facts)
{
    struct known *k = arg;
    if (!lp_str_eq(id->uid, k->uid) && !(k->nameless && id->uid.n == 0)) {
        return true;
    }
    for (size_t i = 0; i < facts->n && !k->spent; i++) {
        struct lp_pair p;
        k->spent = !lp_arena_str(k->ar, facts->v[i].name, &p.name) ||
                   !lp_arena_str(k->ar, facts->v[i].value, &p.value);
        if (!k->spent) {
            lp_pod_facts_put(k->facts, p.name, p.value);
        }
    }
    return !k->spent;
}

/* All that is known of the pod of v[0..n), the latest last. */
static lp_rc
find_facts(struct find *f, const struct lp_pod *p, const struct lp_pod_stream *v, size_t n,
           struct lp_pod_facts *ret, struct lp_err *err)
{
    struct known k = {.uid = p->uid, .ar = &f->scratch, .facts = ret};
    lp_arena_reset(&f->scratch);
    ret->n = 0;
    for (size_t i = 0; i < n; i++) {
        k.nameless = k.nameless || v[i].uid.n == 0;
    }
    lp_rc rc = lp_cat_pods_named(f->txn, f->q->tenant, p->ns, p->name, take_known, &k, err);
    for (size_t i = 0; i < n && rc == LP_OK && !k.spent; i++) {
        k.spent = !lp_pod_facts_learn(v[i].key, v[i].meta, &f->scratch, ret);
    }
    return rc == LP_OK && k.spent ? over_budget(f, err) : rc;
}

/* Adds the pod of v[0..n), if it is wanted. */
static lp_rc
add_pod(struct find *f, struct lp_pod_stream *v, size_t n, struct lp_err *err)
{
    const struct lp_pods_query *q = f->q;
    struct lp_arena *ar = &f->ret->ar;
    struct lp_pod *p = &f->ret->v[f->ret->n];
    struct lp_pod_facts facts;
    bool any;
    size_t own;
    if (!lp_pod_build(v, n, q->uid, ar, p, &own, &any)) {
        return over_budget(f, err);
    }
    if (!any) {
        return LP_OK;
    }
    lp_rc rc = find_facts(f, p, v, own, &facts, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (!lp_pod_describe(&facts, ar, p)) {
        return over_budget(f, err);
    }
    if (q->wants != NULL && !q->wants(q->arg, p)) {
        return LP_OK;
    }
    if (!lp_pod_containers(v, own, &facts, ar, p)) {
        return over_budget(f, err);
    }
    f->ret->n++;
    return LP_OK;
}

/* What bounds do not tell well enough. No transaction is open: this reads segments. */
static lp_rc
look_up_times(const struct find *f, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < f->ret->n && rc == LP_OK; i++) {
        struct lp_pod *p = &f->ret->v[i];
        rc = f->q->exact ? lp_pod_last_line(f->q, p, err) : LP_OK;
        for (size_t k = 0; k < p->ncontainers && rc == LP_OK; k++) {
            rc = lp_pod_order_runs(f->q, p, &p->containers[k], err);
        }
    }
    return rc;
}

/* Where to go on: behind the last pod that was looked at. */
static bool
set_next(struct find *f, struct lp_str ns, struct lp_str name)
{
    return lp_arena_str(&f->ret->ar, ns, &f->ret->next_ns) &&
           lp_arena_str(&f->ret->ar, name, &f->ret->next_name);
}

static lp_rc
add_pods(struct find *f, struct lp_err *err)
{
    struct lp_pods *ret = f->ret;
    size_t cap = 0, i = 0, end;
    lp_rc rc = lp_cat_begin(lp_store_catalog(f->q->store), &f->txn, err);
    for (; rc == LP_OK && i < f->nstreams && ret->n < f->limit; i = end) {
        for (end = i + 1; end < f->nstreams && by_name(&f->streams[i], &f->streams[end]) == 0; end++) {
        }
        struct lp_pod *v = lp_arena_grow(&ret->ar, ret->v, &cap, ret->n + 1, sizeof(*ret->v));
        ret->v = v != NULL ? v : ret->v;
        rc = v != NULL ? add_pod(f, f->streams + i, end - i, err) : over_budget(f, err);
    }
    lp_cat_end(f->txn);
    if (rc != LP_OK) {
        return rc;
    }
    const struct lp_pod_stream *last = i > 0 ? &f->streams[i - 1] : NULL;
    const struct name *chosen = f->names.n > 0 ? &f->names.v[f->names.n - 1] : NULL;
    ret->more = f->chosen ? f->more : i < f->nstreams;
    bool ok = f->chosen ? chosen == NULL || set_next(f, chosen->ns, chosen->name)
                        : last == NULL || set_next(f, last->ns, last->name);
    return ok ? LP_OK : over_budget(f, err);
}

static void
begin(struct find *f)
{
    struct lp_arena *const arenas[] = {&f->ret->ar, &f->ar, &f->scratch, &f->names_scratch};
    memset(f->ret, 0, sizeof(*f->ret));
    for (size_t i = 0; i < LP_ARRAY_LEN(arenas); i++) {
        lp_arena_init(arenas[i], f->q->budget_bytes, i == 0 ? 1 << 16 : 0);
        lp_arena_join(arenas[i], f->q->share);
    }
}

static void
end(struct find *f)
{
    lp_arena_clear(&f->ar);
    lp_arena_clear(&f->scratch);
    lp_arena_clear(&f->names_scratch);
    lp_free(f->streams);
    lp_free(f->bounds);
    lp_view_free(f->view);
}

lp_rc
lp_pods_find(const struct lp_pods_query *q, struct lp_pods *ret, struct lp_err *err)
{
    struct find f = {.q = q, .ret = ret, .limit = LP_MIN(q->limit, (size_t)LP_PODS_PAGE_MAX)};
    f.chosen = q->name.n == 0 && q->from_ns == LP_TIME_MIN;
    begin(&f);
    lp_rc rc = lp_exec_check(q->deadline_ns, q->cancel, err);
    rc = rc == LP_OK && f.chosen ? choose(&f, err) : rc;
    bool none = f.chosen && f.names.n == 0;
    if (rc == LP_OK && !none) {
        rc = f.chosen ? select_chosen(&f, err) : select_all(&f, err);
        rc = rc == LP_OK ? find_times(&f, err) : rc;
        rc = rc == LP_OK ? read_streams(&f, err) : rc;
        rc = rc == LP_OK ? add_pods(&f, err) : rc;
        rc = rc == LP_OK ? look_up_times(&f, err) : rc;
    }
    ret->damaged = f.damaged;
    end(&f);
    return rc;
}

const struct lp_pod *
lp_pods_named(const struct lp_pods *p, struct lp_str name)
{
    size_t from = 0, to = p->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (lp_str_cmp(p->v[mid].name, name) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from < p->n && lp_str_eq(p->v[from].name, name) ? &p->v[from] : NULL;
}

void
lp_pods_clear(struct lp_pods *p)
{
    lp_arena_clear(&p->ar);
    memset(p, 0, sizeof(*p));
}

/* --- namespaces --- */

lp_rc
lp_pods_namespaces(const struct lp_pods_query *q, struct lp_names *ret, struct lp_err *err)
{
    static const struct lp_label_match has_pod = {.name = {"pod", 3}, .op = LP_MATCH_NEQ};
    const struct lp_log_query any = {.matchers = (struct lp_label_match *)(uintptr_t)&has_pod,
                                     .nmatchers = 1};
    const struct lp_log_query *const selectors[] = {&any};
    const struct lp_str name = LP_STR("namespace");
    const struct lp_streams_query s = {.store = q->store,
                                       .tenant = q->tenant,
                                       .selectors = selectors,
                                       .nselectors = 1,
                                       .from_ns = q->from_ns,
                                       .to_ns = q->to_ns,
                                       .share = q->share,
                                       .budget_bytes = q->budget_bytes,
                                       .deadline_ns = q->deadline_ns,
                                       .cancel = q->cancel};
    return lp_streams_names(&s, &name, ret, err);
}
