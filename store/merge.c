/*
 * merge.c - a merge from its inputs to its files: which days there are, then file after file, group after
 * group.
 *
 * Blocks that are full already are taken over as they are, once they were proved against their hash; the
 * others are merged. Among equal times of a stream rows keep their order, which readers take from the block's
 * number: so the blocks that wait to be merged are written before a full one that overlaps them in time.
 */
#include "store/merge.h"

#include <stdlib.h>
#include <string.h>

#include "store/merge_int.h"

#define FULL_ROWS (LP_BLOCK_ROWS_MAX / 2)
#define FULL_BYTES (LP_BLOCK_BYTES_MAX / 2)
#define BLOCKS_MAX 96u                  /* that are merged at once: each is open */
#define IDS_KEPT_NS (600 * LP_NS_PER_S) /* batch ids are known for so long */

struct pass {
    struct lp_store *st;
    const struct lp_merge_spec *spec;
    struct lp_merge_names names;
    struct lp_merge_out out;
    struct lp_arena ar; /* lists that footers borrow */
    int64_t *days;      /* rising: those with a file of their own */
    size_t ndays;
    bool strays; /* there are further days */
};

/* What has expired of a group in this input. */
static struct lp_cutoff_range
cut_of(const struct pass *p, const struct lp_seg *seg, uint64_t group)
{
    return lp_cutoffs_in(p->spec->cutoffs, seg->created_ns, group);
}

/* ------------------------------------------------------------------ days */

struct day_rows {
    int64_t day;
    uint64_t rows;
};

struct day_list {
    struct day_rows *v;
    size_t n, cap;
};

static int
by_day(const void *va, const void *vb)
{
    const struct day_rows *a = va, *b = vb;
    return (a->day > b->day) - (a->day < b->day);
}

static int
by_rows(const void *va, const void *vb)
{
    const struct day_rows *a = va, *b = vb;
    return (a->rows < b->rows) - (a->rows > b->rows);
}

static void
join_equal(struct day_list *l)
{
    size_t kept = 0;
    if (l->n > 1) {
        qsort(l->v, l->n, sizeof(*l->v), by_day);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (kept > 0 && l->v[kept - 1].day == l->v[i].day) {
            l->v[kept - 1].rows += l->v[i].rows;
        } else {
            l->v[kept++] = l->v[i];
        }
    }
    l->n = kept;
}

static void
note_day(struct day_list *l, int64_t day, uint64_t rows)
{
    if (l->n > 0 && l->v[l->n - 1].day == day) {
        l->v[l->n - 1].rows += rows;
        return;
    }
    if (l->n == l->cap) {
        join_equal(l);
        if (l->n * 2 >= l->cap) {
            l->cap = l->cap ? l->cap * 2 : 256;
            l->v = lp_realloc(l->v, l->cap * sizeof(*l->v));
        }
    }
    l->v[l->n++] = (struct day_rows){day, rows};
}

/* A block over midnight: its times tell. */
static lp_rc
count_block(struct pass *p, struct lp_seg *seg, uint32_t block, struct day_list *l, struct lp_err *err)
{
    const int64_t *times;
    struct lp_block *b;
    lp_rc rc = lp_seg_block(seg, block, &b, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_block_times(b, p->out.codec, &times, err);
    for (uint32_t i = 0; rc == LP_OK && i < seg->blocks[block].rows; i++) {
        note_day(l, lp_day_of(times[i]), 1);
    }
    lp_block_free(b);
    return rc;
}

static lp_rc
count_days(struct pass *p, struct day_list *l, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < p->spec->ninputs; i++) {
        struct lp_seg *seg = p->spec->inputs[i];
        for (uint32_t b = 0; b < seg->nblocks && rc == LP_OK; b++) {
            const struct lp_foot_block *fb = &seg->blocks[b];
            int64_t day = lp_day_of(fb->min_ns);
            if (fb->max_ns < cut_of(p, seg, seg->groups[fb->group].id).lo_ns) {
                continue;
            }
            if (day == lp_day_of(fb->max_ns)) {
                note_day(l, day, fb->rows);
            } else {
                rc = count_block(p, seg, b, l, err);
            }
        }
    }
    join_equal(l);
    return rc;
}

/* The days with most rows get files of their own. */
static lp_rc
choose_days(struct pass *p, struct lp_err *err)
{
    struct day_list l = {NULL, 0, 0};
    lp_rc rc = count_days(p, &l, err);
    p->strays = l.n > LP_MERGE_FILES_MAX;
    if (p->strays) {
        qsort(l.v, l.n, sizeof(*l.v), by_rows);
        l.n = LP_MERGE_FILES_MAX - 1;
        qsort(l.v, l.n, sizeof(*l.v), by_day);
    }
    p->days = lp_malloc(l.n * sizeof(*p->days));
    for (size_t i = 0; i < l.n; i++) {
        p->days[p->ndays++] = l.v[i].day;
    }
    lp_free(l.v);
    return rc;
}

/* ------------------------------------------------------------------ groups */

/* The blocks of a group that wait to be merged, and what they span. */
struct waiting {
    struct lp_merge_block v[BLOCKS_MAX];
    size_t n;
    int64_t min_ns, max_ns;
};

static lp_rc
merge_waiting(struct pass *p, struct waiting *w, const struct lp_merge_span *span, struct lp_err *err)
{
    lp_rc rc = w->n > 0 ? lp_merge_rows(&p->out, w->v, w->n, span, err) : LP_OK;
    w->n = 0;
    return rc;
}

static void
wait_for_merge(struct waiting *w, struct lp_seg *seg, uint32_t block, struct lp_cutoff_range cut)
{
    const struct lp_foot_block *fb = &seg->blocks[block];
    w->min_ns = w->n > 0 ? LP_MIN(w->min_ns, fb->min_ns) : fb->min_ns;
    w->max_ns = w->n > 0 ? LP_MAX(w->max_ns, fb->max_ns) : fb->max_ns;
    w->v[w->n++] = (struct lp_merge_block){seg, block, cut};
}

static bool
is_full(const struct lp_seg *seg, const struct lp_foot_block *fb)
{
    return seg->version == LP_SEG_VERSION && (fb->rows > FULL_ROWS || fb->line_bytes > FULL_BYTES);
}

static lp_rc
copy_block(struct pass *p, struct lp_seg *seg, uint32_t block, struct lp_err *err)
{
    const struct lp_block_run *runs;
    uint32_t nruns;
    struct lp_block *b;
    lp_rc rc = lp_seg_block(seg, block, &b, err);
    if (rc != LP_OK) {
        return rc;
    }
    rc = lp_block_prove(b, p->out.codec, err);
    if (rc == LP_OK) {
        rc = lp_seg_block_runs(seg, block, b, p->out.codec, &runs, &nruns, err);
    }
    if (rc == LP_OK) {
        rc = lp_merge_out_copy(&p->out, seg, block, b, runs, nruns, err);
    }
    lp_block_free(b);
    return rc;
}

/* One block of the group. */
static lp_rc
take_block(struct pass *p, struct waiting *w, struct lp_seg *seg, uint32_t block,
           const struct lp_merge_span *span, struct lp_err *err)
{
    const struct lp_foot_block *fb = &seg->blocks[block];
    struct lp_cutoff_range cut = cut_of(p, seg, seg->groups[fb->group].id);
    enum lp_span_part part = lp_merge_span_of(span, fb->min_ns, fb->max_ns);
    lp_rc rc = LP_OK;
    if (part == LP_SPAN_NONE || fb->max_ns < cut.lo_ns) {
        return LP_OK;
    }
    if (part == LP_SPAN_ALL && fb->min_ns >= cut.hi_ns && is_full(seg, fb)) {
        if (w->n > 0 && fb->min_ns <= w->max_ns && fb->max_ns >= w->min_ns) {
            rc = merge_waiting(p, w, span, err);
        }
        return rc == LP_OK ? copy_block(p, seg, block, err) : rc;
    }
    if (w->n == BLOCKS_MAX) {
        rc = merge_waiting(p, w, span, err);
    }
    wait_for_merge(w, seg, block, cut);
    return rc;
}

static bool
left_out(const struct pass *p, const struct lp_seg *seg, uint64_t group)
{
    return p->spec->leave_out != NULL && p->spec->leave_out(p->spec->arg, seg->id, group);
}

static lp_rc
merge_group(struct pass *p, uint64_t group, const struct lp_merge_span *span, struct lp_err *err)
{
    struct waiting w = {.n = 0};
    lp_rc rc = LP_OK;
    lp_merge_out_group(&p->out, group);
    for (size_t i = 0; i < p->spec->ninputs && rc == LP_OK; i++) {
        struct lp_seg *seg = p->spec->inputs[i];
        uint32_t at = lp_seg_find_group(seg, group);
        if (at == UINT32_MAX || left_out(p, seg, group)) {
            continue;
        }
        const struct lp_seg_group *g = &seg->groups[at];
        for (uint32_t b = 0; b < g->nblocks && rc == LP_OK; b++) {
            rc = take_block(p, &w, seg, g->first_block + b, span, err);
        }
    }
    if (rc == LP_OK) {
        rc = merge_waiting(p, &w, span, err);
    }
    return rc == LP_OK ? lp_merge_out_end_group(&p->out, err) : rc;
}

static lp_rc
merge_file(struct pass *p, uint8_t level, const struct lp_merge_span *span, struct lp_err *err)
{
    lp_rc rc = lp_merge_out_file(&p->out, level, err);
    for (size_t i = 0; i < p->names.ngroups && rc == LP_OK; i++) {
        rc = merge_group(p, p->names.groups[i].id, span, err);
    }
    return rc;
}

/* ------------------------------------------------------------------ files */

static struct lp_merge_span
span_of_day(int64_t day)
{
    struct lp_merge_span s = {.from_ns = LP_TIME_MIN, .to_ns = LP_TIME_MAX};
    int64_t from, to;
    if (!__builtin_mul_overflow(day, LP_DAY_NS, &from)) {
        s.from_ns = from;
    }
    if (!__builtin_mul_overflow(day + 1, LP_DAY_NS, &to)) {
        s.to_ns = to;
    }
    return s;
}

static lp_rc
merge_files(struct pass *p, struct lp_err *err)
{
    const struct lp_merge_spec *spec = p->spec;
    struct lp_merge_span all = {.from_ns = LP_TIME_MIN, .to_ns = LP_TIME_MAX};
    if (spec->one_file) {
        return merge_file(p, spec->level, &all, err);
    }
    lp_rc rc = choose_days(p, err);
    for (size_t i = 0; i < p->ndays && rc == LP_OK; i++) {
        struct lp_merge_span span = span_of_day(p->days[i]);
        bool own = spec->every_day || p->days[i] == spec->day;
        rc = merge_file(p, own ? spec->level : LP_LEVEL_MERGED, &span, err);
    }
    if (rc == LP_OK && p->strays) {
        all.not_days = p->days;
        all.nnot_days = p->ndays;
        rc = merge_file(p, LP_LEVEL_STRAY, &all, err);
    }
    return rc;
}

/* ------------------------------------------------------------------ what all files say */

static int
by_place(const void *va, const void *vb)
{
    const struct lp_foot_ticket *a = va, *b = vb;
    int order = strcmp(a->log, b->log);
    if (order != 0) {
        return order;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return (a->first > b->first) - (a->first < b->first);
}

/* Intervals that meet become one, where one owner stored both. */
static size_t
join_intervals(struct lp_foot_ticket *v, size_t n)
{
    size_t kept = 0;
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_place);
    }
    for (size_t i = 0; i < n; i++) {
        struct lp_foot_ticket *last = kept > 0 ? &v[kept - 1] : NULL;
        if (last != NULL && strcmp(last->log, v[i].log) == 0 && last->partition == v[i].partition &&
            last->next == v[i].first && last->epoch == v[i].epoch) {
            last->next = v[i].next;
        } else {
            v[kept++] = v[i];
        }
    }
    return kept;
}

static lp_rc
gather_positions(struct pass *p, struct lp_footer *f, struct lp_err *err)
{
    size_t cap = 0;
    for (size_t i = 0; i < p->spec->ninputs; i++) {
        struct lp_foot_ticket *v;
        size_t n;
        lp_rc rc = lp_seg_tickets(p->spec->inputs[i], true, &p->ar, &v, &n, err);
        if (rc != LP_OK) {
            return rc;
        }
        f->positions = lp_arena_grow(&p->ar, f->positions, &cap, f->npositions + n, sizeof(*v));
        memcpy(f->positions + f->npositions, v, n * sizeof(*v));
        f->npositions += n;
    }
    f->npositions = join_intervals(f->positions, f->npositions);
    return LP_OK;
}

/* Batch ids that a retry may still ask for, should the catalog have to be made again. */
static lp_rc
gather_ids(struct pass *p, struct lp_footer *f, struct lp_err *err)
{
    struct lp_batch_id *all = NULL;
    size_t nall = 0, cap = 0, kept = 0;
    int64_t newest_ns = LP_TIME_MIN;
    for (size_t i = 0; i < p->spec->ninputs; i++) {
        struct lp_batch_id *v;
        size_t n;
        lp_rc rc = lp_seg_ids(p->spec->inputs[i], &p->ar, &v, &n, err);
        if (rc != LP_OK) {
            return rc;
        }
        all = lp_arena_grow(&p->ar, all, &cap, nall + n, sizeof(*v));
        for (size_t k = 0; k < n; k++) {
            newest_ns = LP_MAX(newest_ns, v[k].received_ns);
            all[nall++] = v[k];
        }
    }
    for (size_t i = 0; i < nall; i++) {
        if (all[i].received_ns >= newest_ns - IDS_KEPT_NS || newest_ns < LP_TIME_MIN + IDS_KEPT_NS) {
            all[kept++] = all[i];
        }
    }
    f->ids = all;
    f->nids = kept;
    return LP_OK;
}

static lp_rc
gather(struct pass *p, struct lp_err *err)
{
    const struct lp_merge_spec *spec = p->spec;
    struct lp_footer *f = &p->out.all;
    const struct lp_uuid *uuids = lp_catalog_uuids(p->st->cat, &f->nearlier);
    uint64_t *replaced = lp_arena_array(&p->ar, spec->ninputs, sizeof(*replaced));
    f->uuid = uuids[0];
    f->earlier = uuids + 1;
    f->nearlier--;
    f->first_generation = UINT64_MAX;
    for (size_t i = 0; i < spec->ninputs; i++) {
        const struct lp_seg *s = spec->inputs[i];
        replaced[i] = s->id;
        f->first_generation = LP_MIN(f->first_generation, s->first_generation);
        f->generation = LP_MAX(f->generation, s->generation);
        p->out.created_ns = LP_MAX(p->out.created_ns, s->created_ns);
    }
    f->replaced = replaced;
    f->nreplaced = spec->ninputs;
    lp_rc rc = gather_positions(p, f, err);
    return rc == LP_OK ? gather_ids(p, f, err) : rc;
}

/*
 * Days and cutoffs go by what footers say of blocks. A row whose time lies outside of its block's bounds
 * would be in no day's file and be gone with its input, so rows are counted: where nothing can have expired,
 * as many come out as went in.
 */
static lp_rc
check_rows(const struct pass *p, struct lp_err *err)
{
    uint64_t least = 0, most = 0, have = 0;
    for (size_t i = 0; i < p->spec->ninputs; i++) {
        const struct lp_seg *seg = p->spec->inputs[i];
        for (uint32_t g = 0; g < seg->ngroups; g++) {
            const struct lp_seg_group *sg = &seg->groups[g];
            struct lp_cutoff_range cut = cut_of(p, seg, sg->id);
            for (uint32_t b = 0; b < sg->nblocks && !left_out(p, seg, sg->id); b++) {
                const struct lp_foot_block *fb = &seg->blocks[sg->first_block + b];
                most += fb->max_ns >= cut.lo_ns ? fb->rows : 0;
                least += fb->min_ns >= cut.hi_ns ? fb->rows : 0;
            }
        }
    }
    for (size_t i = 0; i < p->out.ret->n; i++) {
        have += p->out.ret->segments[i].rows;
    }
    return have >= least && have <= most
               ? LP_OK
               : lp_corrupt(err, "%llu rows of %llu would be left: times lie outside of their block's bounds",
                            (unsigned long long)have, (unsigned long long)least);
}

static void
unlink_files(struct lp_store *st, const struct lp_merged *m)
{
    char path[LP_SEG_PATH_BYTES];
    for (size_t i = 0; i < m->n; i++) {
        lp_seg_path(st->seg_dir, m->segments[i].id, false, path);
        (void)!lp_io_unlink(st->cfg.io, path, NULL); /* best effort: the next start removes what stays */
    }
}

lp_rc
lp_merge(struct lp_store *st, const struct lp_merge_spec *spec, struct lp_merged *ret, struct lp_err *err)
{
    struct pass p = {.st = st, .spec = spec};
    LP_ASSERT(spec->ninputs > 0);
    *ret = (struct lp_merged){.n = 0};
    lp_arena_init(&p.ar, SIZE_MAX, 0);
    lp_merge_out_init(&p.out, st);
    p.out.names = &p.names;
    p.out.go_on = spec->go_on;
    p.out.cutoffs = spec->cutoffs;
    p.out.arg = spec->arg;
    p.out.ret = ret;
    lp_rc rc = lp_merge_names_load(&p.names, spec->inputs, spec->ninputs, err);
    rc = rc == LP_OK ? gather(&p, err) : rc;
    rc = rc == LP_OK ? merge_files(&p, err) : rc;
    rc = rc == LP_OK ? lp_merge_out_end(&p.out, err) : rc;
    rc = rc == LP_OK ? check_rows(&p, err) : rc;
    lp_merge_out_clear(&p.out);
    lp_merge_names_clear(&p.names);
    lp_arena_clear(&p.ar);
    lp_free(p.days);
    if (rc != LP_OK) {
        unlink_files(st, ret);
        lp_merged_clear(ret);
    }
    return rc;
}

void
lp_merged_clear(struct lp_merged *m)
{
    lp_free(m->segments);
    lp_entries_clear(&m->entries);
    *m = (struct lp_merged){.n = 0};
}
