/*
 * tail_stored.c - the rows of generations that were sealed before a tail saw them, from their segments.
 *
 * Segment by segment in the order of generations: all rows that the query wants are found and put into the
 * order of their tickets (of a segment that was merged: of their times), then their lines are read a page at
 * a time.
 *
 * A merged segment does not say which rows came with which ticket. It is read as a whole where nothing of it
 * is behind the cursor for certain, in an order of its own; where some of it may be, its lines are left out,
 * and that is said.
 */
#include <stdlib.h>
#include <string.h>

#include "query/tail_int.h"

#define CHECK_ROWS 1024
#define CACHE_BYTES (8u << 20)

/* A row that the query wants. */
struct stored_hit {
    struct lp_hit hit;
    struct lp_hash128 stream;
    uint32_t ticket;
    uint32_t ordinal; /* in its ticket, time and stream */
};

struct ticket {
    uint64_t source, first, next, generation;
    enum lp_tail_ticket where;
    struct lp_tail_row skip;
};

struct lp_tail_stored {
    struct lp_search q;
    struct lp_exec x;
    struct lp_arena ar; /* tickets and hits of the segment in hand */
    uint32_t *parts;    /* by generation and segment */
    size_t part, next;  /* the segment in hand is of parts [part, next) */
    uint64_t base;      /* the cursor's `sealed` when this began */
    bool exact;         /* the cursor says nothing about what is inside of it */
    bool open;          /* a segment is in hand */
    bool merged;
    struct ticket *tickets;
    uint32_t ntickets;
    struct stored_hit *hits;
    size_t nhits, hits_cap, at;
    uint32_t passed; /* tickets that are behind the cursor */
};

static const struct lp_seg *
seg_of(const struct lp_tail_stored *s, size_t i)
{
    return s->x.parts[s->parts[i]].seg;
}

static int
by_generation(const void *va, const void *vb, void *arg)
{
    const struct lp_part *parts = arg;
    const struct lp_part *a = &parts[*(const uint32_t *)va], *b = &parts[*(const uint32_t *)vb];
    if (a->seg->generation != b->seg->generation) {
        return a->seg->generation < b->seg->generation ? -1 : 1;
    }
    if (a->seg->id != b->seg->id) {
        return a->seg->id < b->seg->id ? -1 : 1;
    }
    return (a->block > b->block) - (a->block < b->block);
}

/* --- the gap --- */

void
lp_tail_stored_close(struct lp_tail *t)
{
    struct lp_tail_stored *s = t->stored;
    if (s == NULL) {
        return;
    }
    lp_view_free(s->x.view);
    lp_exec_end(&s->x);
    lp_block_cache_free(s->x.cache);
    lp_arena_clear(&s->ar);
    lp_free(s->parts);
    lp_free(s);
    t->stored = NULL;
}

/* The cursor stands inside a merged segment: what comes before it is behind us. */
static void
pass_segments(struct lp_tail *t, struct lp_tail_stored *s)
{
    const struct lp_tail_source *m = lp_tail_cursor_of(&t->at, LP_TAIL_MERGED);
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < s->x.nparts; i++) {
        if (seg_of(s, i)->id == m->row.first) {
            s->part = s->next = i;
            return;
        }
    }
}

lp_rc
lp_tail_stored_open(struct lp_tail *t, struct lp_err *err)
{
    struct lp_tail_stored *s = lp_calloc(1, sizeof(*s));
    s->q = (struct lp_search){
        .store = t->cfg.store,
        .tenant = t->cfg.tenant,
        .log = t->log,
        .filter = t->cfg.filter,
        .from_ns = LP_TIME_MIN,
        .to_ns = LP_TIME_MAX,
        .limit = SIZE_MAX,
        .deadline_ns = INT64_MAX,
        .cancel = t->cfg.cancel,
        .share = t->cfg.share,
        .budget_bytes = t->cfg.budget_bytes,
        .want_labels = !t->cfg.bare,
        .first_generation = t->gap_first,
        .last_generation = t->gap_last,
    };
    s->x = (struct lp_exec){.q = &s->q, .cache = lp_block_cache_new(CACHE_BYTES)};
    s->base = t->at.sealed;
    s->exact = t->at.n == (lp_tail_cursor_of(&t->at, LP_TAIL_MERGED) != NULL);
    lp_arena_init(&s->ar, t->cfg.budget_bytes, 1 << 16);
    lp_arena_join(&s->ar, t->cfg.share);
    t->stored = s;
    lp_rc rc = lp_exec_begin(&s->x, LP_TIME_MIN, LP_TIME_MAX, err);
    rc = rc == LP_OK ? lp_exec_pass(&s->x, err) : rc;
    if (rc != LP_OK) {
        lp_tail_stored_close(t);
        return rc;
    }
    if (s->x.stats.damaged > 0) {
        lp_tail_note(t, "lines are missing that cannot be read: %.150s", s->x.damage);
    }
    s->parts = lp_malloc(s->x.nparts * sizeof(*s->parts));
    for (size_t i = 0; i < s->x.nparts; i++) {
        s->parts[i] = (uint32_t)i;
    }
    if (s->x.nparts > 1) {
        qsort_r(s->parts, s->x.nparts, sizeof(*s->parts), by_generation, (void *)(uintptr_t)s->x.parts);
    }
    pass_segments(t, s);
    return LP_OK;
}

/* --- a segment: its tickets --- */

static lp_rc
read_tickets(struct lp_tail *t, struct lp_seg *seg, struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    struct lp_foot_ticket *v;
    size_t n;
    lp_rc rc = lp_seg_tickets(seg, false, &s->ar, &v, &n, err);
    if (rc != LP_OK) {
        return rc;
    }
    s->tickets = lp_arena_array(&s->ar, n, sizeof(*s->tickets));
    if (s->tickets == NULL) {
        return lp_tail_over_budget(t, err);
    }
    s->ntickets = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct ticket *k = &s->tickets[i];
        k->source = lp_source_hash(v[i].log, v[i].partition);
        k->first = v[i].first;
        k->next = v[i].next;
        k->generation = v[i].generation;
        k->where = lp_tail_judge(t, k->source, k->first, k->next, &k->skip);
    }
    return LP_OK;
}

/* A merged segment counts as one ticket. False: some of it may be behind the cursor, and nobody can tell
 * what. */
static bool
take_merged(struct lp_tail *t, const struct lp_seg *seg, struct ticket *k)
{
    const struct lp_tail_stored *s = t->stored;
    const struct lp_tail_source *m = lp_tail_cursor_of(&t->at, LP_TAIL_MERGED);
    bool inside = m != NULL && m->inside && m->row.first == seg->id;
    *k = (struct ticket){
        .source = LP_TAIL_MERGED, .first = seg->id, .generation = seg->generation, .where = LP_TAIL_NEW};
    if (inside && m->row.ordinal > 0) {
        k->where = LP_TAIL_PART;
        k->skip = m->row;
    }
    return inside || (s->exact && seg->first_generation > s->base && seg->generation <= t->gap_last);
}

/* --- a segment: its rows --- */

static lp_rc
add_hit(struct lp_tail *t, const struct lp_scan_row *row, uint32_t part, uint32_t ticket, struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    const struct lp_vstream *vs;
    lp_rc rc = lp_view_stream(s->x.view, row->stream, &vs, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct stored_hit *v = lp_arena_grow(&s->ar, s->hits, &s->hits_cap, s->nhits + 1, sizeof(*v));
    if (v == NULL) {
        return lp_tail_over_budget(t, err);
    }
    s->hits = v;
    v[s->nhits++] =
        (struct stored_hit){.hit = {row->time_ns, row->generation, row->arrival, part, row->stream},
                            .stream = vs->hash,
                            .ticket = ticket};
    return LP_OK;
}

/* Does the row pass what the block could not tell? */
static lp_rc
passes(struct lp_tail_stored *s, struct lp_row_pipe *pipe, struct lp_scan *scan,
       const struct lp_scan_row *row, bool *ret, struct lp_err *err)
{
    bool filtered = !s->x.unfiltered && !row->sure;
    struct lp_str line;
    *ret = true;
    if (!filtered && s->x.pass == NULL) {
        return LP_OK;
    }
    lp_rc rc = lp_scan_line(scan, &line, err);
    if (rc == LP_OK && filtered && !lp_linefilter_match(s->x.filter, line)) {
        *ret = false;
        return LP_OK;
    }
    if (rc == LP_OK && s->x.pass != NULL) {
        struct lp_pipe_out out;
        rc = lp_row_pipe_run(&s->x, pipe, scan, row->time_ns, row->stream, line, NULL, &out, err);
        *ret = rc == LP_OK && out.passed;
    }
    return rc;
}

static lp_rc
scan_rows(struct lp_tail *t, struct lp_scan *scan, uint32_t part, struct lp_row_pipe *pipe,
          struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    struct lp_scan_row row;
    lp_rc rc = lp_exec_start(&s->x, scan, err);
    for (size_t n = 1; rc == LP_OK && lp_scan_next(scan, &row); n++) {
        uint32_t ticket = 0;
        bool passed;
        rc = n % CHECK_ROWS == 0 ? lp_exec_check(INT64_MAX, s->q.cancel, err) : LP_OK;
        if (rc == LP_OK && !s->merged) {
            rc = lp_scan_ticket(scan, &ticket, err);
            if (rc == LP_OK && ticket >= s->ntickets) {
                rc = lp_corrupt(err, "a row names a ticket that its segment does not have");
            }
        }
        if (rc != LP_OK || s->tickets[ticket].where == LP_TAIL_BEHIND) {
            continue;
        }
        rc = passes(s, pipe, scan, &row, &passed, err);
        if (rc == LP_OK && passed) {
            rc = add_hit(t, &row, part, ticket, err);
        }
    }
    return rc;
}

static int
by_place(const void *va, const void *vb)
{
    const struct stored_hit *a = va, *b = vb;
    if (a->ticket != b->ticket) {
        return a->ticket < b->ticket ? -1 : 1;
    }
    if (a->hit.time_ns != b->hit.time_ns) {
        return a->hit.time_ns < b->hit.time_ns ? -1 : 1;
    }
    int order = lp_hash128_cmp(a->stream, b->stream);
    return order != 0 ? order : (a->hit.arrival > b->hit.arrival) - (a->hit.arrival < b->hit.arrival);
}

/* Sorts, numbers, and takes out what is behind the cursor. */
static void
arrange(struct lp_tail_stored *s)
{
    struct lp_tail_row run = {.ordinal = 0};
    size_t kept = 0;
    if (s->nhits > 1) {
        qsort(s->hits, s->nhits, sizeof(*s->hits), by_place);
    }
    for (size_t i = 0; i < s->nhits; i++) {
        struct stored_hit *h = &s->hits[i];
        const struct ticket *k = &s->tickets[h->ticket];
        if (i > 0 && h->ticket != s->hits[i - 1].ticket) {
            run.ordinal = 0;
        }
        lp_tail_step(&run, h->hit.time_ns, h->stream);
        h->ordinal = (uint32_t)run.ordinal;
        if (k->where != LP_TAIL_PART || lp_tail_behind(&run, &k->skip)) {
            s->hits[kept++] = *h;
        }
    }
    s->nhits = kept;
}

static lp_rc
find_hits(struct lp_tail *t, struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    struct lp_codec *codec = lp_codec_new();
    struct lp_row_pipe pipe;
    lp_rc rc = LP_OK;
    lp_row_pipe_begin(&pipe, s->x.pass);
    for (size_t i = s->part; i < s->next && rc == LP_OK; i++) {
        const struct lp_part *p = &s->x.parts[s->parts[i]];
        struct lp_scan *scan;
        struct lp_block *block;
        rc = lp_exec_open(&s->x, p, codec, LP_TIME_MIN, LP_TIME_MAX, false, &scan, &block, err);
        if (rc == LP_OK) {
            rc = scan_rows(t, scan, s->parts[i], &pipe, err);
            lp_exec_close(&s->x, p, scan, block);
        }
        if (lp_exec_is_damage(rc)) {
            lp_tail_note(t, "lines are missing that cannot be read: %.150s", err != NULL ? err->text : "");
            rc = LP_OK;
        }
    }
    lp_row_pipe_end(&pipe);
    lp_codec_free(codec);
    arrange(s);
    return rc;
}

/* --- going through segments --- */

/* The next segment comes in hand; false where there is none. */
static lp_rc
next_segment(struct lp_tail *t, bool *ret_any, struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    *ret_any = s->next < s->x.nparts;
    if (!*ret_any) {
        return LP_OK;
    }
    s->part = s->next;
    struct lp_seg *seg = s->x.parts[s->parts[s->part]].seg;
    while (s->next < s->x.nparts && seg_of(s, s->next) == seg) {
        s->next++;
    }
    lp_arena_reset(&s->ar);
    s->hits = NULL;
    s->nhits = s->hits_cap = s->at = 0;
    s->passed = 0;
    s->open = true;
    s->merged = seg->level > 0;
    if (!s->merged) {
        lp_rc rc = read_tickets(t, seg, err);
        return rc == LP_OK ? find_hits(t, err) : rc;
    }
    s->tickets = lp_arena_alloc(&s->ar, sizeof(*s->tickets));
    s->ntickets = 1;
    if (s->tickets == NULL) {
        return lp_tail_over_budget(t, err);
    }
    if (!take_merged(t, seg, s->tickets)) {
        lp_tail_note(t, "lines may be missing: the cursor is so old that what came after it was merged with "
                        "what came before");
        return LP_OK;
    }
    if (s->tickets->where == LP_TAIL_NEW) {
        const struct lp_tail_row begin = {.first = seg->id, .time_ns = LP_TIME_MIN};
        lp_tail_cursor_inside(&t->at, LP_TAIL_MERGED, &begin, seg->generation);
    }
    return find_hits(t, err);
}

/* Tickets before this one have no more rows. */
static void
pass_tickets(struct lp_tail *t, uint32_t ticket)
{
    struct lp_tail_stored *s = t->stored;
    for (; s->passed < ticket && !s->merged; s->passed++) {
        const struct ticket *k = &s->tickets[s->passed];
        lp_tail_cursor_put(&t->at, k->source, k->next, k->generation);
    }
}

/* All rows of the segment in hand were given. */
static void
end_segment(struct lp_tail *t)
{
    struct lp_tail_stored *s = t->stored;
    uint64_t generation = seg_of(s, s->part)->generation;
    bool last = s->next == s->x.nparts || seg_of(s, s->next)->generation > generation;
    pass_tickets(t, s->ntickets);
    s->open = false;
    lp_tail_cursor_leave(&t->at);
    if (last && generation <= t->gap_last) {
        lp_tail_cursor_seal(&t->at, generation);
    }
}

/* The streams of the result, which are the view's, become its own. */
static bool
own_streams(struct lp_found *f)
{
    for (size_t i = 0; i < f->nstreams; i++) {
        const struct lp_vstream *from = f->streams[i];
        struct lp_vstream *s = lp_arena_zalloc(&f->ar, sizeof(*s));
        if (s == NULL || !lp_stream_key_copy(&from->key, &f->ar, &s->key)) {
            return false;
        }
        s->hash = from->hash;
        f->streams[i] = s;
    }
    return true;
}

/* The next hits as rows; the cursor moves behind them. */
static lp_rc
give(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    size_t n = LP_MIN(s->nhits - s->at, limit);
    struct lp_hit *hits = lp_malloc(n * sizeof(*hits));
    uint64_t damaged = s->x.stats.damaged;
    for (size_t i = 0; i < n; i++) {
        hits[i] = s->hits[s->at + i].hit;
    }
    s->q.page_bytes = page_bytes;
    const struct lp_around rows = {.v = hits, .n = n};
    lp_rc rc = lp_exec_fetch(&s->x, &rows, ret, &ret->used, err);
    lp_free(hits);
    if (rc == LP_OK && t->cfg.bare && !own_streams(ret)) {
        rc = lp_tail_over_budget(t, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    if (s->x.stats.damaged > damaged) {
        lp_tail_note(t, "lines are missing that cannot be read: %.150s", s->x.damage);
    }
    s->at += ret->used;
    const struct stored_hit *h = &s->hits[s->at - 1];
    const struct ticket *k = &s->tickets[h->ticket];
    pass_tickets(t, h->ticket);
    const struct lp_tail_row row = {k->first, h->hit.time_ns, h->stream, h->ordinal};
    lp_tail_cursor_inside(&t->at, k->source, &row, k->generation);
    return LP_OK;
}

lp_rc
lp_tail_stored_rows(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret,
                    struct lp_err *err)
{
    struct lp_tail_stored *s = t->stored;
    while (ret->n == 0) {
        if (s->open && s->at < s->nhits) {
            lp_rc rc = give(t, limit, page_bytes, ret, err);
            if (rc != LP_OK || ret->n > 0) {
                return rc;
            }
            continue;
        }
        if (s->open) {
            end_segment(t);
        }
        bool any;
        lp_rc rc = next_segment(t, &any, err);
        if (rc != LP_OK) { /* it is begun anew next time */
            s->next = s->part;
            s->open = false;
            return rc;
        }
        if (!any) {
            lp_tail_cursor_seal(&t->at, t->gap_last);
            lp_tail_cursor_leave(&t->at);
            t->gap_last = 0;
            lp_tail_stored_close(t);
            return LP_OK;
        }
    }
    return LP_OK;
}
