/*
 * seal_memo.c - see seal_memo.h. Open addressing; a place with id 0 is free (ids begin at 1).
 */
#include "store/seal_memo.h"

#include "base/lp.h"

#define ENTRIES_LEAST 1024u
#define ENTRIES_MOST (1u << 19) /* of each table: 16 MiB */

struct entry {
    struct lp_hash128 hash;
    uint64_t id, group;
};

struct table {
    struct entry *v;
    size_t cap, n; /* cap: a power of two, or 0 */
};

struct lp_seal_memo {
    struct table young, old;
};

struct lp_seal_memo *
lp_seal_memo_new(void)
{
    return lp_calloc(1, sizeof(struct lp_seal_memo));
}

void
lp_seal_memo_clear(struct lp_seal_memo *m)
{
    lp_free(m->young.v);
    lp_free(m->old.v);
    *m = (struct lp_seal_memo){{NULL, 0, 0}, {NULL, 0, 0}};
}

void
lp_seal_memo_free(struct lp_seal_memo *m)
{
    if (m != NULL) {
        lp_seal_memo_clear(m);
        lp_free(m);
    }
}

/* Where the hash stands, or would. */
static struct entry *
place_of(const struct table *t, struct lp_hash128 hash)
{
    size_t at = hash.lo & (t->cap - 1);
    while (t->v[at].id != 0 && !lp_hash128_eq(t->v[at].hash, hash)) {
        at = (at + 1) & (t->cap - 1);
    }
    return &t->v[at];
}

void
lp_seal_memo_expect(const struct lp_seal_memo *m, struct lp_hash128 stream)
{
    const struct table *const tables[] = {&m->young, &m->old};
    for (size_t i = 0; i < LP_ARRAY_LEN(tables); i++) {
        if (tables[i]->cap > 0) {
            __builtin_prefetch(&tables[i]->v[stream.lo & (tables[i]->cap - 1)]);
        }
    }
}

static void
grow(struct table *t)
{
    struct table larger = {NULL, t->cap ? t->cap * 2 : ENTRIES_LEAST, t->n};
    larger.v = lp_calloc(larger.cap, sizeof(*larger.v));
    for (size_t i = 0; i < t->cap; i++) {
        if (t->v[i].id != 0) {
            *place_of(&larger, t->v[i].hash) = t->v[i];
        }
    }
    lp_free(t->v);
    *t = larger;
}

void
lp_seal_memo_note(struct lp_seal_memo *m, struct lp_hash128 stream, uint64_t id, uint64_t group)
{
    struct table *t = &m->young;
    LP_ASSERT(id != 0);
    if (t->n >= t->cap / 4 * 3) {
        if (t->cap < ENTRIES_MOST) {
            grow(t);
        } else {
            lp_free(m->old.v);
            m->old = *t;
            *t = (struct table){lp_calloc(ENTRIES_MOST, sizeof(*t->v)), ENTRIES_MOST, 0};
        }
    }
    struct entry *e = place_of(t, stream);
    t->n += e->id == 0;
    *e = (struct entry){stream, id, group};
}

bool
lp_seal_memo_find(struct lp_seal_memo *m, struct lp_hash128 stream, uint64_t *ret_id, uint64_t *ret_group)
{
    const struct entry *e = m->young.cap > 0 ? place_of(&m->young, stream) : NULL;
    if (e == NULL || e->id == 0) {
        e = m->old.cap > 0 ? place_of(&m->old, stream) : NULL;
        if (e == NULL || e->id == 0) {
            return false;
        }
        struct entry found = *e; /* the table may go now */
        lp_seal_memo_note(m, stream, found.id, found.group);
        *ret_id = found.id;
        *ret_group = found.group;
        return true;
    }
    *ret_id = e->id;
    *ret_group = e->group;
    return true;
}
