/*
 * view_seen.c - labels, their values, and series of a range: which of the selected streams have rows in it.
 *
 * Stream tables say it (smallest and largest time of each run); for most questions the bounds of their pages
 * do. The names and values of labels come from the catalog's postings, and of each one stream with rows is
 * enough: so its cost goes by the values, not by the streams. Only where very many values are asked about,
 * all streams with rows are found first, once. The read transaction is held meanwhile: milliseconds.
 *
 * One thread.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/service.h"
#include "store/view_int.h"

#define MANY_QUESTIONS 1000 /* then every stream is looked at once */
#define VALUES_A_STREAM                                                                                      \
    4 /* more than so many for each selected stream, and some: labels of streams are read */
#define FEW_VALUES 1000

struct run {
    uint64_t first, end;
};

struct seen {
    struct lp_view *v;
    int64_t from_ns, to_ns;
    bool damaged; /* a page was */
    struct lp_err *err;
    lp_rc rc; /* the first error that is not damage */
    /* one question: are there rows of these streams? */
    const struct lp_idset *among; /* NULL: those of runs */
    struct run *runs;
    size_t nruns, runs_cap;
    bool any;
    /* every stream with rows, once so much was asked */
    struct lp_idset *all;
    size_t asked;
    struct lp_cutoff_range cut; /* what has expired of the group in hand */
    /* who wants the answer */
    lp_view_text_fn fn;
    void *arg;
    bool stopped;
};

/* --- streams of segments --- */

/* The first id from `from` on that is asked about; UINT64_MAX: there is none. */
static uint64_t
next_id(const struct seen *s, uint64_t from)
{
    if (s->among != NULL) {
        return lp_idset_next(s->among, from);
    }
    size_t lo = 0, hi = s->nruns;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->runs[mid].end <= from) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < s->nruns ? LP_MAX(from, s->runs[lo].first) : UINT64_MAX;
}

static bool
overlaps(const struct seen *s, int64_t cut_ns, int64_t min_ns, int64_t max_ns)
{
    return max_ns >= LP_MAX(s->from_ns, cut_ns) && LP_MAX(min_ns, cut_ns) < s->to_ns;
}

static bool
has_rows(struct seen *s, const struct lp_seg_page *page, const struct lp_foot_stream *fs)
{
    bool any = false;
    int64_t cut_ns = s->cut.lo_ns;
    if (!overlaps(s, cut_ns, fs->min_ns, fs->max_ns)) {
        return false;
    }
    if (s->cut.lo_ns < s->cut.hi_ns && fs->min_ns < s->cut.hi_ns && s->rc == LP_OK) {
        s->rc = lp_view_stream_cut(s->v, fs->id, &cut_ns, s->err);
    }
    for (uint32_t k = 0; k < fs->runs && !any && s->rc == LP_OK; k++) {
        const struct lp_foot_run *r = &page->runs[fs->first_run + k];
        any = overlaps(s, cut_ns, r->min_ns, r->max_ns);
    }
    return any;
}

/* Looks at the page's streams of `among`: notes those with rows, or that there is one. */
static void
ask_page(struct seen *s, const struct lp_seg_page *page)
{
    uint32_t at = 0;
    uint64_t id = page->nstreams > 0 ? page->streams[0].id : 0;
    while (at < page->nstreams && !(s->all == NULL && s->any) && (id = next_id(s, id)) != UINT64_MAX) {
        at = lp_view_seek(page, at, id);
        if (at == page->nstreams) {
            return;
        }
        if (page->streams[at].id != id) {
            id = page->streams[at].id;
            continue;
        }
        if (has_rows(s, page, &page->streams[at])) {
            s->any = true;
            if (s->all != NULL) {
                lp_idset_add(s->all, id, id + 1);
            }
        }
        at++;
        id++;
    }
}

/* Do the page's bounds say that each stream of it has rows in the range, and which they are? */
static bool
is_told(const struct seen *s, const struct lp_seg_page_head *h)
{
    return h->min_ns >= LP_MAX(s->from_ns, s->cut.hi_ns) && h->max_ns < s->to_ns &&
           h->last_id - h->first_id + 1 == h->nstreams;
}

static void
note_told(struct seen *s, const struct lp_seg_page_head *h)
{
    s->any = true;
    for (uint64_t id = h->first_id; s->all != NULL && (id = next_id(s, id)) <= h->last_id; id++) {
        lp_idset_add(s->all, id, id + 1);
    }
}

static lp_rc
ask_group(void *arg, struct lp_seg *seg, const struct lp_view_group *g, const struct lp_seg_group *sg,
          struct lp_err *err)
{
    struct seen *s = arg;
    s->cut = lp_view_cut(s->v, seg, g);
    for (uint32_t i = sg->first_page; i < sg->first_page + sg->npages && !(s->all == NULL && s->any); i++) {
        const struct lp_seg_page_head *h = &seg->pages[i];
        const struct lp_seg_page *page;
        struct lp_seg_page *own = NULL;
        if (!overlaps(s, s->cut.lo_ns, h->min_ns, h->max_ns) || next_id(s, h->first_id) > h->last_id) {
            continue;
        }
        if (is_told(s, h)) {
            note_told(s, h);
            continue;
        }
        lp_rc rc =
            s->all != NULL ? lp_seg_page_once(seg, i, &page, &own, err) : lp_seg_page(seg, i, &page, err);
        if (rc == LP_OK) {
            ask_page(s, page);
            rc = s->rc;
            lp_free(own);
        }
        if (rc == LP_OK) {
            continue;
        }
        if (lp_view_is_damage(rc)) {
            s->damaged = true;
        } else {
            return rc;
        }
    }
    return LP_OK;
}

static void
ask_segments(struct seen *s, const struct lp_idset *among)
{
    s->among = among;
    s->any = false;
    for (size_t i = s->v->nsegs; i > 0 && s->rc == LP_OK && !(s->all == NULL && s->any); i--) {
        s->rc = lp_view_each_group(s->v, s->v->segs[i - 1], ask_group, s, s->err);
    }
}

/* Finds every selected stream with rows. */
static void
ask_all(struct seen *s, struct lp_idset *all)
{
    lp_idset_init(all, s->v->ids.limit);
    s->all = all;
    ask_segments(s, &s->v->ids);
}

static lp_rc
begin(struct seen *s, struct lp_view *v, int64_t from_ns, int64_t to_ns, size_t *ret_damaged,
      struct lp_err *err)
{
    *s = (struct seen){.v = v, .from_ns = from_ns, .to_ns = to_ns, .err = err};
    return lp_view_segments(v, from_ns, to_ns, ret_damaged, err);
}

/* --- one name or value --- */

struct runs_seen {
    struct seen *s;
    const struct lp_idset *among;
    bool any;
};

static void
ask_run(void *arg, uint64_t first, uint64_t end)
{
    struct runs_seen *r = arg;
    for (uint64_t id = first; !r->any && (id = lp_idset_next(r->s->all, id)) < end; id++) {
        r->any = lp_idset_has(r->among, id);
    }
}

static void
add_run(struct seen *s, uint64_t first, uint64_t end)
{
    if (s->nruns == s->runs_cap) {
        s->runs_cap = s->runs_cap ? s->runs_cap * 2 : 64;
        s->runs = lp_realloc(s->runs, s->runs_cap * sizeof(*s->runs));
    }
    s->runs[s->nruns++] = (struct run){first, end};
}

/* Keeps of the run what is in `among`: mostly all of it, or nothing. */
static void
keep_run(void *arg, uint64_t first, uint64_t end)
{
    struct runs_seen *r = arg;
    uint64_t left = lp_idset_rank(r->among, end) - lp_idset_rank(r->among, first);
    if (left == end - first) {
        add_run(r->s, first, end);
        return;
    }
    while (left > 0) {
        uint64_t id = lp_idset_next(r->among, first), to = id + 1;
        while (--left > 0 && lp_idset_has(r->among, to)) {
            to++;
        }
        add_run(r->s, id, to);
        first = to;
    }
}

/* Has a stream of the posting (NULL: any) that is in `among` rows in the range? `among` is selected, and
 * numbered. */
static bool
ask(struct seen *s, struct lp_idset *store, const struct lp_cat_posting *p, const struct lp_idset *among)
{
    struct runs_seen r = {s, among, false};
    lp_rc rc = LP_OK;
    if (s->all == NULL && ++s->asked > MANY_QUESTIONS) {
        ask_all(s, store);
    }
    if (s->all != NULL) {
        if (p == NULL) {
            return lp_idset_meets(s->all, among);
        }
        rc = lp_cat_posting_runs(s->v->txn, p, among->limit, ask_run, &r, s->err);
        s->rc = s->rc == LP_OK ? rc : s->rc;
        return r.any;
    }
    s->nruns = 0;
    if (p != NULL) {
        rc = lp_cat_posting_runs(s->v->txn, p, among->limit, keep_run, &r, s->err);
        s->rc = s->rc == LP_OK ? rc : s->rc;
    }
    ask_segments(s, p != NULL ? NULL : among);
    return s->any;
}

/* --- the head --- */

/* Calls fn with the key of each selected stream of the head that has rows in the range. */
typedef bool (*head_fn)(void *arg, uint32_t index, struct lp_str key);

static void
each_of_head(struct lp_view *v, int64_t from_ns, int64_t to_ns, head_fn fn, void *arg)
{
    bool *given = lp_calloc(v->nhead, sizeof(*given)), more = true;
    for (size_t g = v->first_gen; g < v->head.ngens && more; g++) {
        const struct lp_head_view_gen *vg = &v->head.gens[g];
        struct lp_batch *b = vg->nbatches > 0 ? vg->gen->first : NULL; /* the first may be entering now */
        for (size_t i = 0; i < vg->nbatches && more; i++) {
            for (size_t k = 0; k < b->nstreams && more && !b->dropped; k++) {
                const struct lp_batch_stream *bs = &b->streams[k];
                uint32_t at = v->gen_map[g][b->gen_streams[k]];
                if (at != LP_NO_STREAM && bs->rows > 0 && bs->max_ns >= from_ns && bs->min_ns < to_ns &&
                    !given[at - v->nstored]) {
                    given[at - v->nstored] = true;
                    more = fn(arg, at, v->heads[at - v->nstored].key);
                }
            }
            b = i + 1 < vg->nbatches ? b->next : NULL;
        }
    }
    lp_free(given);
}

/* --- series --- */

struct each {
    lp_view_stream_fn fn;
    void *arg;
    bool stopped;
};

static bool
give_stream(void *arg, uint32_t index, struct lp_str key)
{
    struct each *e = arg;
    (void)key;
    e->stopped = !e->fn(e->arg, index);
    return !e->stopped;
}

lp_rc
lp_view_seen(struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_stream_fn fn, void *arg,
             size_t *ret_damaged, struct lp_err *err)
{
    struct seen s;
    struct lp_idset all;
    struct each e = {fn, arg, false};
    lp_rc rc = begin(&s, v, from_ns, to_ns, ret_damaged, err);
    if (rc == LP_OK) {
        ask_all(&s, &all);
        rc = s.rc;
    }
    lp_cat_end(v->txn); /* who is given streams may take his time */
    v->txn = NULL;
    if (s.all != NULL) {
        for (uint64_t id = 0; rc == LP_OK && !e.stopped && (id = lp_idset_next(&all, id)) != UINT64_MAX;
             id++) {
            (void)give_stream(&e, (uint32_t)lp_idset_rank(&v->ids, id), LP_STR_NULL);
        }
        lp_idset_clear(&all);
    }
    if (rc == LP_OK && !e.stopped) {
        each_of_head(v, from_ns, to_ns, give_stream, &e);
    }
    *ret_damaged += s.damaged;
    return rc;
}

/* --- names --- */

struct names {
    struct seen s;
    struct lp_idset store; /* for s.all */
    uint32_t tenant;
    struct lp_str name; /* whose values are asked for */
    uint64_t visited;   /* values */
    struct lp_str given[256];
    bool too_many; /* far more than streams that are selected: these are looked at instead */
};

static void
give(struct names *n, struct lp_str text)
{
    n->s.stopped = n->s.stopped || !n->s.fn(n->s.arg, text);
}

static bool
ask_name(void *arg, struct lp_str name, uint32_t label)
{
    struct names *n = arg;
    struct lp_idset set;
    lp_idset_init(&set, n->s.v->ids.limit);
    lp_rc rc = lp_cat_label_ids(n->s.v->txn, n->tenant, label, &set, n->s.err);
    lp_idset_and(&set, &n->s.v->ids);
    if (rc == LP_OK && ask(&n->s, &n->store, NULL, &set)) {
        give(n, name);
    }
    n->s.rc = n->s.rc == LP_OK ? rc : n->s.rc;
    lp_idset_clear(&set);
    return n->s.rc == LP_OK && !n->s.stopped;
}

/* Streams of the head are many and alike: what was given lately is not given again. Texts stay as long as the
 * view. */
static void
give_once(struct names *n, struct lp_str text)
{
    struct lp_str *known = &n->given[lp_xxh64(text.p, text.n) & (LP_ARRAY_LEN(n->given) - 1)];
    if (known->p == NULL || !lp_str_eq(*known, text)) {
        *known = text;
        give(n, text);
    }
}

static bool
give_stream_names(void *arg, uint32_t index, struct lp_str key)
{
    struct names *n = arg;
    struct lp_rd rd = lp_rd_of(key);
    (void)index;
    (void)lp_rd_lpstr(&rd);
    for (uint64_t left = lp_rd_varint(&rd); left > 0 && !rd.bad && !n->s.stopped; left--) {
        give_once(n, lp_rd_lpstr(&rd));
        (void)lp_rd_lpstr(&rd);
    }
    give_once(n, LP_STR(LP_SERVICE_LABEL));
    return !n->s.stopped;
}

static lp_rc
finish(struct names *n, lp_rc rc, head_fn fn, size_t *ret_damaged)
{
    struct lp_view *v = n->s.v;
    rc = rc == LP_OK ? n->s.rc : rc;
    if (n->s.all != NULL) {
        lp_idset_clear(n->s.all);
    }
    lp_free(n->s.runs);
    if (rc == LP_OK && !n->s.stopped) {
        each_of_head(v, n->s.from_ns, n->s.to_ns, fn, n);
    }
    lp_cat_end(v->txn);
    v->txn = NULL;
    *ret_damaged += n->s.damaged;
    return rc;
}

lp_rc
lp_view_names(struct lp_view *v, int64_t from_ns, int64_t to_ns, lp_view_text_fn fn, void *arg,
              size_t *ret_damaged, struct lp_err *err)
{
    struct names n = {.visited = 0};
    lp_rc rc = begin(&n.s, v, from_ns, to_ns, ret_damaged, err);
    n.s.fn = fn;
    n.s.arg = arg;
    if (rc == LP_OK && v->nstored > 0) {
        rc = lp_cat_tenant(v->txn, v->tenant, &n.tenant, err);
        rc = rc == LP_OK ? lp_cat_labels(v->txn, n.tenant, ask_name, &n, err) : rc;
        if (rc == LP_OK && n.s.rc == LP_OK && ask(&n.s, &n.store, NULL, &v->ids)) {
            give(&n, LP_STR(LP_SERVICE_LABEL)); /* every stream has it */
        }
    }
    return finish(&n, rc, give_stream_names, ret_damaged);
}

/* --- values --- */

static bool
ask_value(void *arg, struct lp_str value, const struct lp_cat_posting *p, const struct lp_idset *among)
{
    struct names *n = arg;
    n->too_many = n->visited++ > VALUES_A_STREAM * (uint64_t)n->s.v->nstored + FEW_VALUES;
    if (!n->too_many && ask(&n->s, &n->store, p, among)) {
        give(n, value);
    }
    return n->s.rc == LP_OK && !n->s.stopped && !n->too_many;
}

/* The stream's value of the label that is asked about; empty: it has none. */
static struct lp_str
value_of_key(const struct names *n, struct lp_str key)
{
    struct lp_pair labels[LP_LABELS_MAX];
    struct lp_str tenant;
    size_t nlabels;
    if (!lp_key_own_labels(key, &tenant, labels, &nlabels)) {
        return LP_STR_NULL;
    }
    return lp_str_eqc(n->name, LP_SERVICE_LABEL) ? lp_service_name(labels, nlabels)
                                                 : lp_labels_get(labels, nlabels, n->name);
}

static bool
give_head_value(void *arg, uint32_t index, struct lp_str key)
{
    struct names *n = arg;
    struct lp_str value = value_of_key(n, key);
    (void)index;
    if (value.n > 0) {
        give_once(n, value);
    }
    return !n->s.stopped;
}

/* The values of the selected streams with rows, from their labels. */
static lp_rc
values_of_streams(struct names *n, struct lp_err *err)
{
    struct lp_cat_pack pack;
    if (n->s.all == NULL) {
        ask_all(&n->s, &n->store);
    }
    lp_cat_pack_init(&pack);
    lp_rc rc = n->s.rc;
    for (uint64_t id = 0; rc == LP_OK && !n->s.stopped && (id = lp_idset_next(n->s.all, id)) != UINT64_MAX;
         id++) {
        uint64_t group;
        struct lp_str key;
        rc = lp_cat_stream(n->s.v->txn, id, &pack, &group, &key, err);
        struct lp_str value = rc == LP_OK ? value_of_key(n, key) : LP_STR_NULL;
        if (value.n > 0) {
            give(n, value);
        }
    }
    lp_cat_pack_clear(&pack);
    return rc;
}

lp_rc
lp_view_values(struct lp_view *v, struct lp_str name, int64_t from_ns, int64_t to_ns, lp_view_text_fn fn,
               void *arg, size_t *ret_damaged, struct lp_err *err)
{
    struct names n = {.visited = 0};
    lp_rc rc = begin(&n.s, v, from_ns, to_ns, ret_damaged, err);
    n.s.fn = fn;
    n.s.arg = arg;
    n.name = name;
    if (rc == LP_OK && v->nstored > 0) {
        rc = lp_select_values(v->txn, v->tenant, name, &v->ids, ask_value, &n, err);
        rc = rc == LP_OK && n.too_many ? values_of_streams(&n, err) : rc;
    }
    return finish(&n, rc, give_head_value, ret_damaged);
}
