/*
 * cmd_logs_seen.c - which lines of a follow were shown, so that one that broke goes on without a line lost or
 * shown twice.
 *
 * Lines arrive later than they were written, and those of one pod later than those of another. So what is
 * asked for again begins some minutes before the newest line that was shown, and each line of it that was
 * shown is taken out once: two equal lines are two lines.
 *
 * Where no more lines can be remembered, it begins behind those that were forgotten. What was not wanted the
 * first time is not wanted now: a container's lines before the first of it that was shown are those of
 * earlier runs, or were cut off by --tail.
 *
 * Times far in the future (a sender whose clock is wrong) do not move the place where it begins.
 */
#include "base/hash.h"
#include "server/cmd_logs_int.h"

#define BACK_NS (300 * LP_NS_PER_S)
#define SHOWN_FIRST 1024u
#define SHOWN_MAX (1u << 20) /* 16 MiB */
#define CONTAINERS_MAX (1u << 16)

struct shown {
    int64_t time_ns;
    uint64_t hash;
};

/* Hashes, and a number of each: open addressing, at most half full. A key is not 0. */
struct map {
    struct map_entry {
        uint64_t key;
        int64_t value;
    } * v;
    size_t n, cap; /* cap 0, or a power of two */
};

struct lp_logs_seen {
    struct shown *ring; /* the newest cap of them; shown number i is at i % cap */
    size_t cap, n;
    int64_t floor_ns, newest_ns, forgotten_ns; /* of all lines shown; LP_TIME_NONE: none */
    struct map firsts;                         /* of each container, the time of the first line shown */
    /* after a break */
    bool again;
    int64_t since_ns;
    struct map due; /* lines that come again, and how often */
};

/* --- map --- */

/* Where the key is, or would be. */
static struct map_entry *
place(const struct map *m, uint64_t key)
{
    size_t i = key & (m->cap - 1);
    while (m->v[i].key != 0 && m->v[i].key != key) {
        i = (i + 1) & (m->cap - 1);
    }
    return &m->v[i];
}

/* NULL: it is not there. */
static struct map_entry *
find(const struct map *m, uint64_t key)
{
    struct map_entry *e = m->cap > 0 ? place(m, key) : NULL;
    return e != NULL && e->key != 0 ? e : NULL;
}

/* The key's entry, made with this value where there is none. */
static struct map_entry *
find_or_add(struct map *m, uint64_t key, int64_t value)
{
    if (2 * (m->n + 1) > m->cap) {
        struct map grown = {.n = m->n, .cap = m->cap > 0 ? 2 * m->cap : 64};
        grown.v = lp_calloc(grown.cap, sizeof(*grown.v));
        for (size_t i = 0; i < m->cap; i++) {
            if (m->v[i].key != 0) {
                *place(&grown, m->v[i].key) = m->v[i];
            }
        }
        lp_free(m->v);
        *m = grown;
    }
    struct map_entry *e = place(m, key);
    if (e->key == 0) {
        *e = (struct map_entry){key, value};
        m->n++;
    }
    return e;
}

static void
map_clear(struct map *m)
{
    lp_free(m->v);
    *m = (struct map){.n = 0};
}

/* --- lines --- */

static uint64_t
hash_of(const struct lp_str *parts, size_t n, uint64_t seed)
{
    uint64_t h = seed;
    for (size_t i = 0; i < n; i++) {
        h = lp_xxh64_seed(parts[i].p, parts[i].n, h);
    }
    return h + (h == 0);
}

static uint64_t
hash_of_container(const struct lp_logs_line *l)
{
    const struct lp_str parts[] = {l->pod, l->container};
    return hash_of(parts, LP_ARRAY_LEN(parts), 1);
}

static uint64_t
hash_of_line(const struct lp_logs_line *l)
{
    const struct lp_str parts[] = {l->pod, l->container, l->stream, l->line};
    return hash_of(parts, LP_ARRAY_LEN(parts), (uint64_t)l->time_ns);
}

/* In whole while there is room, then in the place of the oldest. */
static void
remember(struct lp_logs_seen *s, int64_t time_ns, uint64_t hash)
{
    if (s->n == s->cap && s->cap < SHOWN_MAX) {
        s->cap = LP_MAX(2 * s->cap, (size_t)SHOWN_FIRST);
        s->ring = lp_realloc(s->ring, s->cap * sizeof(*s->ring));
    }
    struct shown *at = &s->ring[s->n % s->cap];
    if (s->n >= s->cap) {
        s->forgotten_ns = LP_MAX(s->forgotten_ns, at->time_ns);
    }
    *at = (struct shown){time_ns, hash};
    s->n++;
    s->newest_ns = LP_MAX(s->newest_ns, time_ns);
}

bool
lp_logs_seen_take(struct lp_logs_seen *s, const struct lp_logs_line *l)
{
    uint64_t hash = hash_of_line(l), container = hash_of_container(l);
    struct map_entry *due = find(&s->due, hash), *first = find(&s->firsts, container);
    if (due != NULL && due->value > 0) {
        due->value--;
        return false;
    }
    if (s->again && first != NULL && l->time_ns >= s->since_ns && l->time_ns < first->value) {
        return false;
    }
    if (first == NULL && s->firsts.n < CONTAINERS_MAX) {
        (void)find_or_add(&s->firsts, container, l->time_ns);
    }
    if (s->n == 0) {
        s->floor_ns = s->floor_ns == LP_TIME_NONE ? l->time_ns : LP_MIN(s->floor_ns, l->time_ns);
    }
    remember(s, l->time_ns, hash);
    return true;
}

int64_t
lp_logs_seen_broke(struct lp_logs_seen *s, int64_t now_ns)
{
    if (s->n == 0) {
        return s->floor_ns;
    }
    int64_t since_ns = LP_MAX(LP_MIN(s->newest_ns, now_ns), LP_TIME_MIN + BACK_NS) - BACK_NS;
    since_ns = LP_MAX(since_ns, s->floor_ns);
    if (s->forgotten_ns >= since_ns && s->forgotten_ns < now_ns) {
        since_ns = s->forgotten_ns + 1;
    }
    map_clear(&s->due);
    for (size_t i = s->n > s->cap ? s->n - s->cap : 0; i < s->n; i++) {
        const struct shown *shown = &s->ring[i % s->cap];
        if (shown->time_ns >= since_ns) {
            find_or_add(&s->due, shown->hash, 0)->value++;
        }
    }
    s->again = true;
    s->since_ns = since_ns;
    return since_ns;
}

struct lp_logs_seen *
lp_logs_seen_new(int64_t floor_ns)
{
    struct lp_logs_seen *s = lp_calloc(1, sizeof(*s));
    s->floor_ns = floor_ns;
    s->newest_ns = s->forgotten_ns = LP_TIME_NONE;
    return s;
}

void
lp_logs_seen_free(struct lp_logs_seen *s)
{
    if (s != NULL) {
        lp_free(s->ring);
        map_clear(&s->firsts);
        map_clear(&s->due);
        lp_free(s);
    }
}
