/*
 * kube_owners.c - what made pods, gathered from all pods of a namespace; one namespace after the other, so
 * that no more than one is in memory.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "server/kube.h"

#define PAGE 1000
#define CONTAINERS_MAX 32 /* of one object: all that a template needs to look right */
#define NAMESPACE_BYTES (64u << 20)

struct gather {
    struct lp_kube_call *c;
    enum lp_kube_kind kind;
    struct lp_str name; /* the one that is asked for; empty: all */
    struct lp_arena ar; /* of one namespace: everything below */
    struct lp_str ns;
    struct lp_kube_owner *v; /* by rising name */
    size_t n, cap;
    const char *between; /* in the answer */
    bool found;
};

static lp_rc
spent(struct gather *g)
{
    return lp_err_set(&g->c->err, LP_ERR_LIMIT, "a namespace has too many %s",
                      lp_kube_resource(g->kind)->name);
}

/* The place of a name: of the first that is not before it. */
static size_t
place_of(const struct gather *g, struct lp_str name)
{
    size_t from = 0, to = g->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (lp_str_cmp(g->v[mid].name, name) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static lp_rc
owner_named(struct gather *g, struct lp_str name, struct lp_str key, const struct lp_pod *p,
            struct lp_kube_owner **ret)
{
    size_t at = place_of(g, name);
    if (at == g->n || !lp_str_eq(g->v[at].name, name)) {
        struct lp_kube_owner *v = lp_arena_grow(&g->ar, g->v, &g->cap, g->n + 1, sizeof(*v));
        struct lp_kube_owner o = {.resource = lp_kube_resource(g->kind),
                                  .ns = g->ns,
                                  .select_key = key, /* static */
                                  .first_ns = p->first_ns,
                                  .last_ns = p->last_ns};
        if (v == NULL || !lp_arena_str(&g->ar, name, &o.name)) {
            return spent(g);
        }
        memmove(v + at + 1, v + at, (g->n - at) * sizeof(*v));
        v[at] = o;
        g->v = v;
        g->n++;
    }
    *ret = &g->v[at];
    return LP_OK;
}

static bool
has_container(const struct lp_kube_owner *o, struct lp_str name)
{
    for (size_t i = 0; i < o->ncontainers; i++) {
        if (lp_str_eq(o->containers[i], name)) {
            return true;
        }
    }
    return false;
}

static lp_rc
add_containers(struct gather *g, struct lp_kube_owner *o, const struct lp_pod *p)
{
    for (size_t i = 0; i < p->ncontainers && o->ncontainers < CONTAINERS_MAX; i++) {
        if (has_container(o, p->containers[i].name)) {
            continue;
        }
        struct lp_str *v = lp_arena_array(&g->ar, o->ncontainers + 1, sizeof(*v));
        if (v == NULL || !lp_arena_str(&g->ar, p->containers[i].name, &v[o->ncontainers])) {
            return spent(g);
        }
        if (o->ncontainers > 0) {
            memcpy(v, o->containers, o->ncontainers * sizeof(*v));
        }
        o->containers = v;
        o->ncontainers++;
    }
    return LP_OK;
}

/* What made it, where pods tell: they have it as the first of two. */
static lp_rc
note_maker(struct gather *g, struct lp_kube_owner *o, const struct lp_pod *p)
{
    bool first = lp_str_eqc(p->owner.kind, o->resource->kind) && lp_str_eq(p->owner.name, o->name);
    bool two = !lp_str_eq(p->owner.kind, p->top.kind) || !lp_str_eq(p->owner.name, p->top.name);
    if (!first || !two) {
        return LP_OK;
    }
    return lp_arena_str(&g->ar, p->top.kind, &o->by.kind) && lp_arena_str(&g->ar, p->top.name, &o->by.name)
               ? LP_OK
               : spent(g);
}

static lp_rc
add_pod(struct gather *g, const struct lp_pod *p)
{
    struct lp_kube_owner *o = NULL;
    struct lp_str name, key;
    if (!lp_kube_owner_of(p, g->kind, g->name, &name, &key)) {
        return LP_OK;
    }
    lp_rc rc = owner_named(g, name, key, p, &o);
    if (rc != LP_OK) {
        return rc;
    }
    if (o->by.name.n == 0) {
        rc = note_maker(g, o, p);
    }
    o->first_ns = LP_MIN(o->first_ns, p->first_ns);
    o->last_ns = LP_MAX(o->last_ns, p->last_ns);
    o->pods++;
    o->alive += lp_kube_alive(&g->c->eye, p->last_ns);
    return rc == LP_OK ? add_containers(g, o, p) : rc;
}

/* --- the answer --- */

static struct lp_str
label_of(const void *owner, struct lp_str key)
{
    const struct lp_kube_owner *o = owner;
    return lp_pod_label_same(key, o->select_key) ? o->name : LP_STR_NULL;
}

static void
put_owner(struct lp_kube_call *c, const struct lp_kube_owner *o, bool in_list)
{
    if (c->table) {
        lp_kube_owner_row(&c->text, o, &c->eye, c->include);
    } else {
        lp_kube_owner_put(&c->text, o, in_list);
    }
}

/* The namespace is done. */
static void
put_namespace(struct gather *g)
{
    struct lp_kube_call *c = g->c;
    for (size_t i = 0; i < g->n; i++) {
        const struct lp_kube_owner *o = &g->v[i];
        bool wanted =
            g->name.n > 0 || (lp_kube_fields_match(&c->list.fields, LP_KUBE_FIELD_NAME, o->name) &&
                              lp_kube_fields_match(&c->list.fields, LP_KUBE_FIELD_NAMESPACE, o->ns) &&
                              lp_kube_labels_match(&c->list.labels, label_of, o));
        if (wanted) {
            lp_buf_c(&c->text, g->between);
            put_owner(c, o, g->name.n == 0);
            g->between = ",";
            g->found = true;
        }
    }
    lp_arena_clear(&g->ar);
    g->v = NULL;
    g->n = g->cap = 0;
    g->ns = LP_STR_NULL;
}

static lp_rc
add_pods(struct gather *g, const struct lp_pods *pods)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < pods->n && rc == LP_OK; i++) {
        if (!lp_str_eq(pods->v[i].ns, g->ns)) {
            put_namespace(g);
            rc = lp_arena_str(&g->ar, pods->v[i].ns, &g->ns) ? LP_OK : spent(g);
        }
        rc = rc == LP_OK ? add_pod(g, &pods->v[i]) : rc;
    }
    return rc == LP_OK && g->c->text.failed
               ? lp_err_set(&g->c->err, LP_ERR_LIMIT, "the answer is too large; ask for one namespace")
               : rc;
}

static bool
wants(void *arg, const struct lp_pod *p)
{
    const struct gather *g = arg;
    struct lp_str name, key;
    return lp_kube_owner_of(p, g->kind, g->name, &name, &key);
}

static lp_rc
gather(struct gather *g)
{
    struct lp_pods_query q = lp_kube_pods_query(g->c);
    struct lp_arena place;
    bool more = true;
    lp_rc rc = LP_OK;
    q.limit = PAGE;
    q.wants = wants;
    q.arg = g;
    lp_arena_init(&place, 1 << 20, 0);
    while (rc == LP_OK && more) {
        struct lp_pods pods;
        rc = lp_pods_find(&q, &pods, &g->c->err);
        rc = rc == LP_OK ? add_pods(g, &pods) : rc;
        more = rc == LP_OK && pods.more;
        lp_arena_reset(&place);
        if (more && (!lp_arena_str(&place, pods.next_ns, &q.after_ns) ||
                     !lp_arena_str(&place, pods.next_name, &q.after_name))) {
            rc = spent(g);
        }
        lp_pods_clear(&pods);
    }
    lp_arena_clear(&place);
    if (rc == LP_OK) {
        put_namespace(g);
    }
    lp_arena_clear(&g->ar);
    return rc;
}

static lp_rc
gather_all(struct lp_kube_call *c, struct lp_str name, bool *ret_found)
{
    struct gather g = {.c = c, .kind = c->path.resource->id, .name = name, .between = ""};
    lp_arena_init(&g.ar, NAMESPACE_BYTES, 0);
    lp_rc rc = gather(&g);
    *ret_found = g.found;
    return rc;
}

void
lp_kube_list_owners(struct lp_kube_call *c)
{
    const struct lp_kube_resource *r = c->path.resource;
    bool found;
    if (c->table) {
        lp_kube_table_open(&c->text, r->id, c->eye.now_ns, LP_STR_NULL);
    } else {
        lp_buf_printf(
            &c->text,
            "{\"kind\":\"%sList\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%lld\"},"
            "\"items\":[",
            r->kind, lp_kube_api_version(r), (long long)c->eye.now_ns);
    }
    lp_rc rc = gather_all(c, LP_STR_NULL, &found);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
        return;
    }
    lp_buf_c(&c->text, "]}\n");
    lp_kube_reply(c);
}

void
lp_kube_get_owner(struct lp_kube_call *c)
{
    bool found;
    if (c->table) {
        lp_kube_table_open(&c->text, c->path.resource->id, c->eye.now_ns, LP_STR_NULL);
    }
    lp_rc rc = gather_all(c, c->path.name, &found);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    } else if (!found) {
        lp_kube_not_found(c, c->path.resource, c->path.name);
    } else {
        lp_buf_c(&c->text, c->table ? "]}\n" : "\n");
        lp_kube_reply(c);
    }
}
