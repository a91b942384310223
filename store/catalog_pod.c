/*
 * catalog_pod.c - which pods there are, and what is known of each (FORMAT.md section 4.5).
 *
 * A map (catalog_pack.c) by tenant, namespace, name and uid. Most of what is known is the same for all pods
 * of a deployment: it is kept once in `podfacts`, under its hash, and never taken away; with the pod stays
 * what is its own (lp_pod_fact_is_own).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "store/catalog_int.h"

#define PREFIX 4u /* tenant */

static void
put_part(struct lp_cat_key *k, struct lp_str part)
{
    if (part.n > 0) {
        memcpy(k->b + k->n, part.p, part.n);
    }
    k->n += part.n;
}

/* A uid is mostly a UUID, which takes 17 bytes instead of 36: 01, then its bytes. */
static void
put_uid(struct lp_cat_key *k, struct lp_str uid)
{
    struct lp_uuid u;
    if (lp_uuid_parse(uid, &u)) {
        k->b[k->n++] = 1;
        uid = lp_str_of((const char *)u.b, sizeof(u.b));
    }
    put_part(k, uid);
}

/* tenant, then namespace 00 name 00 uid. Namespace and name hold no 00 (lp_pod_id_of). */
static void
pod_key(struct lp_cat_key *k, uint32_t tenant, const struct lp_pod_id *id)
{
    k->n = 0;
    lp_key_u32(k, tenant);
    put_part(k, id->ns);
    k->b[k->n++] = 0;
    put_part(k, id->name);
    k->b[k->n++] = 0;
    put_uid(k, id->uid);
}

/* uid: room for one that is a UUID. */
static bool
read_key(struct lp_str key, struct lp_pod_id *ret, char uid[LP_UUID_TEXT + 1])
{
    struct lp_str rest = key;
    struct lp_uuid u;
    ret->ns = lp_str_cut(&rest, 0);
    ret->name = lp_str_cut(&rest, 0);
    ret->uid = rest;
    if (rest.n == 1 + sizeof(u.b) && rest.p[0] == 1) {
        memcpy(u.b, rest.p + 1, sizeof(u.b));
        lp_uuid_text(&u, uid);
        ret->uid = lp_str_c(uid);
    }
    return ret->ns.n > 0 && ret->name.n > 0;
}

/* --- facts that pods share --- */

static lp_rc
read_shared(MDB_txn *txn, struct lp_catalog *cat, uint64_t hash, struct lp_str *ret, struct lp_err *err)
{
    struct lp_cat_key k = {.n = 0};
    *ret = LP_STR_NULL;
    if (hash == 0) {
        return LP_OK;
    }
    lp_key_u64(&k, hash);
    return lp_cat_get(txn, cat, LP_DB_PODFACTS, &k, ret, err);
}

/* Where the bytes stand; they are put there if they are new. Others with the same hash move them on. */
static int
put_shared(MDB_txn *txn, struct lp_catalog *cat, struct lp_str bytes, uint64_t *ret, struct lp_err *err)
{
    uint64_t hash = bytes.n > 0 ? lp_xxh64(bytes.p, bytes.n) : 0;
    *ret = 0;
    while (bytes.n > 0) {
        struct lp_str there;
        hash = LP_MAX(hash, UINT64_C(1));
        lp_rc rc = read_shared(txn, cat, hash, &there, err);
        *ret = hash;
        if (rc == LP_ERR_NOT_FOUND) {
            struct lp_cat_key k = {.n = 0};
            lp_err_clear(err); /* lp_cat_write's own */
            lp_key_u64(&k, hash);
            return lp_cat_put(txn, cat, LP_DB_PODFACTS, &k, bytes);
        }
        if (rc != LP_OK || lp_str_eq(there, bytes)) {
            return rc == LP_OK ? 0 : MDB_CORRUPTED;
        }
        hash++;
    }
    return 0;
}

/* What a row says. Borrows from the map. */
static lp_rc
read_facts(MDB_txn *txn, struct lp_catalog *cat, struct lp_str value, struct lp_pod_facts *ret,
           struct lp_err *err)
{
    struct lp_rd rd = lp_rd_of(value);
    struct lp_str shared;
    ret->n = 0;
    uint64_t hash = value.n > 0 ? lp_rd_u64(&rd) : 0;
    lp_rc rc = read_shared(txn, cat, hash, &shared, err);
    if (rc != LP_OK || rd.bad || !lp_pod_facts_read(shared, ret) ||
        !lp_pod_facts_read(lp_str_of((const char *)rd.p, lp_rd_left(&rd)), ret)) {
        return lp_corrupt(err, "catalog: facts of a pod are malformed, or missing");
    }
    return LP_OK;
}

/* --- writing --- */

/* lp_pack_value_fn: adds name the pod by `first`. */
static int
merge_pod(void *arg, MDB_txn *txn, struct lp_catalog *cat, struct lp_str have, const struct lp_pack_add *adds,
          size_t n, struct lp_buf *out, struct lp_err *err)
{
    const struct lp_cat_pod *pods = arg;
    struct lp_pod_facts f = {.n = 0};
    struct lp_buf shared, old; /* what is read must not move while others are written */
    const struct lp_pod_id *id = &pods[adds->first].id;
    uint64_t hash = 0;
    lp_buf_init(&shared, SIZE_MAX);
    lp_buf_init(&old, SIZE_MAX);
    lp_buf_str(&old, have);
    int rc = have.n == 0 || read_facts(txn, cat, lp_buf_view(&old), &f, err) == LP_OK ? 0 : MDB_CORRUPTED;
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool well = lp_pod_facts_read(pods[adds[i].first].facts, &f);
        LP_ASSERT(well); /* our own */
    }
    if (rc == 0) {
        lp_pod_facts_write(id, &f, LP_POD_FACTS_SHARED, &shared);
        size_t at = out->n;
        lp_buf_u64(out, 0);
        lp_pod_facts_write(id, &f, LP_POD_FACTS_OWN, out);
        rc = put_shared(txn, cat, lp_buf_view(&shared), &hash, err);
        if (rc == 0) {
            lp_put_u64(out->p + at, hash);
            out->n = hash == 0 && out->n == at + 8 ? at : out->n;
        }
    }
    lp_buf_clear(&old);
    lp_buf_clear(&shared);
    return rc;
}

static int
by_key(const void *va, const void *vb)
{
    return lp_str_cmp(((const struct lp_pack_add *)va)->key, ((const struct lp_pack_add *)vb)->key);
}

/* Those of one tenant. */
static int
put_pods(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_pod *pods, size_t n, struct lp_err *err)
{
    struct lp_arena ar; /* keys */
    struct lp_pack_add *adds = lp_malloc(n * sizeof(*adds));
    uint32_t tenant;
    lp_arena_init(&ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
    int rc = lp_cat_intern_tenant(txn, cat, pods->tenant, &tenant, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct lp_cat_key k;
        pod_key(&k, tenant, &pods[i].id);
        adds[i] = (struct lp_pack_add){.first = i, .end = i + 1};
        bool copied = lp_arena_str(&ar, lp_str_of((const char *)k.b, k.n), &adds[i].key);
        LP_ASSERT(copied);
    }
    if (rc == 0) {
        qsort(adds, n, sizeof(*adds), by_key); /* uids stand in keys otherwise than as text */
        rc = lp_pack_merge(txn, cat, LP_DB_PODS, PREFIX, adds, n, merge_pod, (void *)(uintptr_t)pods, err);
    }
    lp_arena_clear(&ar);
    lp_free(adds);
    return rc;
}

int
lp_cat_put_pods(MDB_txn *txn, struct lp_catalog *cat, const struct lp_cat_pod *pods, size_t n,
                struct lp_err *err)
{
    int rc = 0;
    for (size_t i = 0, end; i < n && rc == 0; i = end) {
        for (end = i; end < n && lp_str_eq(pods[end].tenant, pods[i].tenant); end++) {
        }
        rc = put_pods(txn, cat, pods + i, end - i, err);
    }
    return rc;
}

/* --- reading --- */

/* Which of the facts that are looked for some shared ones hold. */
struct verdict {
    uint64_t hash; /* 0: none */
    uint32_t holds;
};

#define VERDICTS 1024u

struct walk {
    struct lp_cat_txn *t;
    lp_cat_pod_fn fn;
    void *arg;
    struct lp_str facts[LP_CAT_POD_FACTS]; /* as they are written */
    size_t nfacts;
    struct verdict *verdicts; /* with facts */
};

/* A bit for each of the facts whose bytes occur. */
static uint32_t
facts_in(const struct walk *w, struct lp_str bytes)
{
    uint32_t holds = 0;
    for (size_t i = 0; i < w->nfacts; i++) {
        holds |= lp_str_find(bytes, w->facts[i]) != SIZE_MAX ? 1u << i : 0;
    }
    return holds;
}

static lp_rc
shared_facts_in(struct walk *w, uint64_t hash, uint32_t *ret, struct lp_err *err)
{
    struct verdict *v = &w->verdicts[hash % VERDICTS];
    struct lp_str bytes;
    lp_rc rc = LP_OK;
    if (v->hash != hash) {
        rc = read_shared(w->t->txn, w->t->cat, hash, &bytes, err);
        *v = (struct verdict){hash, rc == LP_OK ? facts_in(w, bytes) : 0};
    }
    *ret = v->holds;
    return rc;
}

/* May the pod have all of the facts? */
static lp_rc
may_have(struct walk *w, struct lp_str value, bool *ret, struct lp_err *err)
{
    uint32_t all = (1u << w->nfacts) - 1, shared = 0;
    uint32_t own = facts_in(w, lp_str_sub(value, 8, value.n));
    lp_rc rc = LP_OK;
    if (own != all && value.n >= 8) {
        rc = shared_facts_in(w, lp_get_u64(value.p), &shared, err);
    }
    *ret = (own | shared) == all;
    return rc;
}

static lp_rc
visit(void *arg, struct lp_str key, struct lp_str value, bool *stop, struct lp_err *err)
{
    struct walk *w = arg;
    struct lp_pod_id id;
    struct lp_pod_facts f;
    char uid[LP_UUID_TEXT + 1];
    bool may = true;
    lp_rc rc = w->nfacts > 0 ? may_have(w, value, &may, err) : LP_OK;
    if (rc != LP_OK || !may) {
        return rc;
    }
    if (!read_key(key, &id, uid)) {
        return lp_pack_bad(LP_DB_PODS, err);
    }
    rc = read_facts(w->t->txn, w->t->cat, value, &f, err);
    *stop = rc == LP_OK && !w->fn(w->arg, &id, &f);
    return rc;
}

/* From the key on, as long as the first bytes are the same. */
static lp_rc
run_walk(struct walk *w, struct lp_str tenant, struct lp_cat_key *k, size_t within, struct lp_err *err)
{
    struct lp_cat_txn *t = w->t;
    uint32_t number = 0;
    lp_rc rc = tenant.n > 0 ? lp_cat_tenant(t, tenant, &number, err) : LP_OK;
    if (rc != LP_OK) {
        return rc == LP_ERR_NOT_FOUND ? LP_OK : rc; /* nothing was stored for it yet */
    }
    lp_put_be32(k->b, number);
    return lp_pack_walk_from(t->txn, t->cat, LP_DB_PODS, lp_str_of((const char *)k->b, k->n), within, PREFIX,
                             visit, w, err);
}

static bool
is_name(struct lp_str s, size_t max)
{
    return s.n <= max && lp_str_find_byte(s, 0) == SIZE_MAX;
}

/* The facts as they stand in rows. They live in b. */
static void
write_facts(const struct lp_cat_pods_query *q, struct walk *w, struct lp_buf *b)
{
    size_t ends[LP_CAT_POD_FACTS];
    w->nfacts = LP_MIN(q->nfacts, (size_t)LP_CAT_POD_FACTS);
    for (size_t i = 0; i < w->nfacts; i++) {
        lp_buf_lpstr(b, q->facts[i].name);
        lp_buf_lpstr(b, q->facts[i].value);
        ends[i] = b->n;
    }
    for (size_t i = 0; i < w->nfacts; i++) {
        w->facts[i] = lp_str_sub(lp_buf_view(b), i > 0 ? ends[i - 1] : 0, ends[i]);
    }
    w->verdicts = w->nfacts > 0 ? lp_calloc(VERDICTS, sizeof(*w->verdicts)) : NULL;
}

lp_rc
lp_cat_pods(struct lp_cat_txn *t, const struct lp_cat_pods_query *q, lp_cat_pod_fn fn, void *arg,
            struct lp_err *err)
{
    struct walk w = {.t = t, .fn = fn, .arg = arg};
    struct lp_cat_key k;
    struct lp_buf facts;
    struct lp_pod_id from = {q->after_ns, q->after_name, LP_STR("\xff")};
    bool after = q->after_ns.n > 0 && (q->ns.n == 0 || lp_str_cmp(q->after_ns, q->ns) >= 0);
    if (!is_name(q->ns, LP_POD_NS_MAX) || !is_name(q->after_ns, LP_POD_NS_MAX) ||
        !is_name(q->after_name, LP_POD_NAME_MAX) ||
        (after && q->ns.n > 0 && !lp_str_eq(q->ns, q->after_ns))) { /* none is so called, or all lie before */
        return LP_OK;
    }
    size_t within = q->ns.n > 0 ? PREFIX + q->ns.n + 1 : PREFIX;
    if (after) {
        pod_key(&k, 0, &from);
    } else {
        pod_key(&k, 0, &(struct lp_pod_id){.ns = q->ns});
        k.n = within;
    }
    lp_buf_init(&facts, SIZE_MAX);
    write_facts(q, &w, &facts);
    lp_rc rc = run_walk(&w, q->tenant, &k, within, err);
    lp_free(w.verdicts);
    lp_buf_clear(&facts);
    return rc;
}

lp_rc
lp_cat_pods_named(struct lp_cat_txn *t, struct lp_str tenant, struct lp_str ns, struct lp_str name,
                  lp_cat_pod_fn fn, void *arg, struct lp_err *err)
{
    struct walk w = {.t = t, .fn = fn, .arg = arg};
    struct lp_cat_key k;
    if (ns.n == 0 || name.n == 0 || !is_name(ns, LP_POD_NS_MAX) || !is_name(name, LP_POD_NAME_MAX)) {
        return LP_OK;
    }
    pod_key(&k, 0, &(struct lp_pod_id){.ns = ns, .name = name});
    return run_walk(&w, tenant, &k, k.n, err);
}
