/*
 * exec_place.c - lasting places of rows.
 *
 * Inside a view a row has a key; its generation stays, but its arrival number is another one once the
 * generation is sealed. What stays too is the order. So a place counts the rows of the same stream and time
 * before the row, which only looks at times. New rows of a stream and time get higher ordinals, never lower
 * ones: a place keeps its meaning while rows arrive. (A lost Kafka partition takes rows out again; they then
 * come back by another way, and may move.)
 */
#include <stdio.h>
#include <stdlib.h>

#include "query/exec_int.h"

size_t
lp_place_text(const struct lp_place *p, char out[LP_PLACE_TEXT])
{
    return (size_t)snprintf(out, LP_PLACE_TEXT, "%lld-%016llx%016llx-%llu", (long long)p->time_ns,
                            (unsigned long long)p->stream.hi, (unsigned long long)p->stream.lo,
                            (unsigned long long)p->ordinal);
}

bool
lp_place_parse(struct lp_str text, struct lp_place *ret)
{
    struct lp_place p;
    size_t last = lp_str_rfind_byte(text, '-');
    if (last == SIZE_MAX || last < 34) {
        return false;
    }
    struct lp_str time = lp_str_sub(text, 0, last - 33), hash = lp_str_sub(text, last - 32, last);
    if (text.p[last - 33] != '-' || !lp_str_i64(time, &p.time_ns) ||
        !lp_str_hex(lp_str_sub(hash, 0, 16), &p.stream.hi) ||
        !lp_str_hex(lp_str_sub(hash, 16, 32), &p.stream.lo) ||
        !lp_str_u64(lp_str_sub(text, last + 1, text.n), &p.ordinal)) {
        return false;
    }
    *ret = p;
    return true;
}

/* Walks the rows of one stream and time in a part, in arrival order; fn returns false to stop. */
struct walk {
    struct lp_exec *x;
    struct lp_codec *codec;
    uint32_t streams[2]; /* its indexes in the view */
    int64_t time_ns;
    bool (*fn)(void *arg, const struct lp_scan_row *row);
    void *arg;
    bool stopped;
};

static lp_rc
walk_rows(struct walk *w, const struct lp_part *p, uint32_t stream, struct lp_err *err)
{
    struct lp_scan *s;
    struct lp_block *block;
    struct lp_scan_row row;
    int64_t end = w->time_ns == LP_TIME_MAX ? LP_TIME_MAX : w->time_ns + 1;
    lp_rc rc = lp_exec_open(w->x, p, w->codec, w->time_ns, end, false, &s, &block, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_scan_start(s, NULL, NULL, NULL, err);
    while (rc == LP_OK && !w->stopped && lp_scan_next(s, &row)) {
        w->stopped = row.stream == stream && !w->fn(w->arg, &row);
    }
    lp_exec_close(w->x, p, s, block);
    return rc;
}

struct arrival_order {
    uint64_t generation;
    uint32_t number, part;
};

static int
by_arrival(const void *va, const void *vb)
{
    const struct arrival_order *a = va, *b = vb;
    if (a->generation != b->generation) {
        return a->generation < b->generation ? -1 : 1;
    }
    return (a->number > b->number) - (a->number < b->number);
}

/* All rows of the stream and time, in order. Damaged parts are passed over, as everywhere. */
static lp_rc
walk_all(struct walk *w, struct lp_err *err)
{
    const struct lp_exec *x = w->x;
    if (w->streams[0] == LP_NO_STREAM && w->streams[1] == LP_NO_STREAM) {
        return LP_OK;
    }
    struct arrival_order *v = lp_malloc(x->nparts * sizeof(*v));
    size_t n = 0;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < x->nparts; i++) {
        const struct lp_part *p = &x->parts[i];
        if (p->min_ns <= w->time_ns && p->max_ns >= w->time_ns) {
            v[n++] = (struct arrival_order){p->generation, p->number, (uint32_t)i};
        }
    }
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_arrival);
    }
    w->codec = lp_codec_new();
    for (size_t i = 0; i < n && rc == LP_OK && !w->stopped; i++) {
        const struct lp_part *p = &x->parts[v[i].part];
        uint32_t stream = w->streams[p->seg == NULL];
        struct lp_part part;
        bool any;
        rc = lp_view_part_of(x->view, p, stream, &part, &any, err);
        if (rc == LP_OK && any) {
            rc = walk_rows(w, &part, stream, err);
        }
        rc = lp_exec_is_damage(rc) ? LP_OK : rc;
    }
    lp_codec_free(w->codec);
    lp_free(v);
    return rc;
}

struct counter {
    uint64_t left; /* rows to pass */
    struct lp_key key;
    bool found;
};

static bool
count_down(void *arg, const struct lp_scan_row *row)
{
    struct counter *c = arg;
    if (c->left-- > 0) {
        return true;
    }
    c->key.generation = row->generation;
    c->key.arrival = row->arrival;
    c->found = true;
    return false;
}

lp_rc
lp_exec_place_key(struct lp_exec *x, const struct lp_place *place, struct lp_key *ret, struct lp_err *err)
{
    struct counter c = {place->ordinal, {.time_ns = place->time_ns, .stream = place->stream}, false};
    struct walk w = {.x = x, .time_ns = place->time_ns, .fn = count_down, .arg = &c};
    lp_rc rc = lp_view_find(x->view, place->stream, w.streams, err);
    rc = rc == LP_OK ? walk_all(&w, err) : rc;
    if (rc == LP_OK &&
        !c.found) { /* fewer rows than were counted before: those that are left are all before it */
        c.key.generation = c.key.arrival = UINT64_MAX;
    }
    *ret = c.key;
    return rc;
}

struct before {
    const struct lp_hit *hit;
    uint64_t rows;
};

static bool
count_before(void *arg, const struct lp_scan_row *row)
{
    struct before *b = arg;
    if (row->generation == b->hit->generation && row->arrival == b->hit->arrival) {
        return false;
    }
    b->rows++;
    return true;
}

lp_rc
lp_exec_hit_place(struct lp_exec *x, const struct lp_hit *h, struct lp_place *ret, struct lp_err *err)
{
    struct before b = {h, 0};
    struct walk w = {.x = x, .time_ns = h->time_ns, .fn = count_before, .arg = &b};
    struct lp_key key;
    lp_rc rc = lp_hit_key(x, h, &key, err);
    rc = rc == LP_OK ? lp_view_find(x->view, key.stream, w.streams, err) : rc;
    rc = rc == LP_OK ? walk_all(&w, err) : rc;
    if (rc == LP_OK) {
        *ret = (struct lp_place){h->time_ns, key.stream, b.rows};
    }
    return rc;
}
