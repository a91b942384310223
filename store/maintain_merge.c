/*
 * maintain_merge.c - one merge from the choice of its inputs to the catalog; and the same for what has
 * expired.
 *
 * Order of effects: the files are written and synced under their final names; one transaction names them and
 * takes the inputs' rows away; then the inputs' files go (maintain_files.c). Before the transaction nothing
 * has changed; files that it does not reach are removed here, or by the next start.
 */
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "store/hooks.h"
#include "store/maintain_int.h"

#define PAUSE_NS (LP_NS_PER_S / 50)
#define PAUSES_MAX 50 /* in a row: debt must not grow for ever */
#define DROP_AT_ONCE 64u

static int
u64_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* ------------------------------------------------------------------ the merge, on the background thread */

struct job {
    struct lp_maintain *m;
    const struct lp_expire_rewrite *leaving; /* groups that stay behind; NULL: none */
    struct lp_merge_spec spec;
    struct lp_merged merged;
    lp_rc rc;
    struct lp_err err;
    bool done;
};

/* Seals and intake go first: while generations wait for the seal, the merge waits too, though not for ever.
 */
static bool
go_on(void *arg)
{
    struct lp_maintain *m = ((const struct job *)arg)->m;
    struct lp_head_stats head;
    lp_hook("merge-block");
    for (int i = 0; i < PAUSES_MAX; i++) {
        lp_head_stats(m->st->head, &head);
        if (head.generations < 3 || lp_maintain_stopping(m)) {
            break;
        }
        lp_lock(&m->mu);
        (void)lp_cond_wait_until(&m->wake, &m->mu, lp_mono_ns() + PAUSE_NS);
        lp_unlock(&m->mu);
    }
    return !lp_maintain_stopping(m);
}

static bool
stays_behind(void *arg, uint64_t segment, uint64_t group)
{
    const struct lp_expire_rewrite *r = ((const struct job *)arg)->leaving;
    (void)segment;
    return r != NULL && bsearch(&group, r->groups, r->ngroups, sizeof(uint64_t), u64_cmp) != NULL;
}

static void
run_job(void *arg)
{
    struct job *j = arg;
    lp_thread_background();
    j->rc = lp_merge(j->m->st, &j->spec, &j->merged, &j->err);
    lp_lock(&j->m->mu);
    j->done = true;
    lp_cond_broadcast(&j->m->done);
    lp_unlock(&j->m->mu);
}

static lp_rc
merge_in_background(struct lp_maintain *m, struct job *j, struct lp_err *err)
{
    j->m = m;
    j->spec.go_on = go_on;
    j->spec.leave_out = stays_behind;
    j->spec.arg = j;
    lp_err_clear(&j->err);
    lp_rc rc = lp_pool_run(m->pool, run_job, j, INT64_MAX);
    if (rc != LP_OK) {
        return lp_err_set(err, LP_ERR_SHUTDOWN, "stopping");
    }
    lp_lock(&m->mu);
    m->stats.running = true;
    m->stats.inputs = j->spec.ninputs;
    m->stats.running_since_ns = lp_mono_ns();
    while (!j->done) {
        lp_cond_wait(&m->done, &m->mu);
    }
    m->stats.running = false;
    lp_unlock(&m->mu);
    if (j->rc != LP_OK && err != NULL) {
        *err = j->err;
    }
    return j->rc;
}

/* ------------------------------------------------------------------ the replacement */

struct totals {
    int64_t segments, rows, bytes, file_bytes;
};

static void
count(struct totals *t, const struct lp_cat_segment *s, int sign)
{
    t->segments += sign;
    t->rows += sign * (int64_t)s->rows;
    t->bytes += sign * (int64_t)s->bytes;
    t->file_bytes += sign * (int64_t)s->file_bytes;
}

static void
note_totals(struct lp_store *st, const struct totals *t)
{
    lp_lock(&st->mu);
    st->stats.segments += (uint64_t)t->segments;
    st->stats.rows += (uint64_t)t->rows;
    st->stats.bytes += (uint64_t)t->bytes;
    st->stats.file_bytes += (uint64_t)t->file_bytes;
    lp_store_show_totals(st);
    lp_unlock(&st->mu);
}

/* Rows as the catalog has them now; LP_ERR_NOT_FOUND when one is gone. */
static lp_rc
read_rows(struct lp_maintain *m, const uint64_t *ids, size_t n, struct lp_cat_segment *ret,
          struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(m->st->cat, &t, err);
    if (rc != LP_OK) {
        return rc;
    }
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = lp_cat_segment(t, ids[i], &ret[i], err);
    }
    lp_cat_end(t);
    return rc;
}

struct entries_of {
    const struct lp_ids *segments;
    struct lp_entries *out;
};

static bool
take_entry(void *arg, const struct lp_cat_entry *e)
{
    struct entries_of *w = arg;
    if (bsearch(&e->segment, w->segments->v, w->segments->n, sizeof(uint64_t), u64_cmp) != NULL) {
        if (w->out->n == w->out->cap) {
            w->out->cap = w->out->cap ? w->out->cap * 2 : 64;
            w->out->v = lp_realloc(w->out->v, w->out->cap * sizeof(*w->out->v));
        }
        w->out->v[w->out->n++] = *e;
    }
    return true;
}

/* All entries that name one of the segments. Costs a walk over all entries: a merge is rare. */
static lp_rc
entries_of(struct lp_maintain *m, const uint64_t *ids, size_t n, struct lp_entries *ret, struct lp_err *err)
{
    struct lp_ids sorted = {NULL, 0, 0};
    struct lp_cat_txn *t;
    for (size_t i = 0; i < n; i++) {
        lp_ids_add(&sorted, ids[i]);
    }
    lp_ids_sort(&sorted);
    lp_rc rc = lp_cat_begin(m->st->cat, &t, err);
    if (rc == LP_OK) {
        struct entries_of w = {&sorted, ret};
        rc = lp_cat_entries_all(t, take_entry, &w, err);
        lp_cat_end(t);
    }
    lp_ids_clear(&sorted);
    return rc;
}

/* Segments `gone` for those of `merged` (NULL: for nothing). */
static lp_rc
replace(struct lp_maintain *m, const uint64_t *gone, size_t ngone, const struct lp_merged *merged,
        struct totals *ret_change, struct lp_err *err)
{
    struct lp_entries entries = {NULL, 0, 0};
    struct lp_cat_segment *rows = lp_calloc(ngone, sizeof(*rows));
    uint64_t txn;
    *ret_change = (struct totals){0, 0, 0, 0};
    lp_rc rc = read_rows(m, gone, ngone, rows, err);
    rc = rc == LP_OK ? entries_of(m, gone, ngone, &entries, err) : rc;
    if (rc == LP_OK) {
        struct lp_cat_replace r = {.gone = gone,
                                   .ngone = ngone,
                                   .gone_entries = entries.v,
                                   .ngone_entries = entries.n,
                                   .now_ns = lp_now_ns()};
        if (merged != NULL) {
            r.added = merged->segments;
            r.nadded = merged->n;
            r.added_entries = merged->entries.v;
            r.nadded_entries = merged->entries.n;
        }
        lp_hook("replace");
        rc = lp_catalog_replace(m->st->cat, &r, &txn, err);
        if (rc != LP_OK && rc != LP_ERR_DISK_FULL && rc != LP_ERR_NOT_FOUND) {
            m->st->cfg.on_fatal(m->st->cfg.ctx, err); /* as after a seal: LMDB may not be believed any more */
        }
    }
    if (rc == LP_OK) {
        for (size_t i = 0; i < ngone; i++) {
            count(ret_change, &rows[i], -1);
        }
        for (size_t i = 0; merged != NULL && i < merged->n; i++) {
            count(ret_change, &merged->segments[i], 1);
        }
        note_totals(m->st, ret_change);
        lp_maintain_note_gone(m, gone, ngone, txn);
    }
    lp_entries_clear(&entries);
    lp_free(rows);
    return rc;
}

static void
unlink_merged(struct lp_maintain *m, const struct lp_merged *merged)
{
    char path[LP_SEG_PATH_BYTES];
    for (size_t i = 0; i < merged->n; i++) {
        lp_seg_path(m->st->seg_dir, merged->segments[i].id, false, path);
        (void)!lp_io_unlink(m->st->cfg.io, path, NULL); /* best effort: the next start removes what stays */
    }
}

/* Is there room for another copy, and what intake needs? */
static lp_rc
check_room(struct lp_maintain *m, uint64_t bytes, struct lp_err *err)
{
    struct lp_store_stats st;
    lp_store_stats(m->st, &st);
    uint64_t need = lp_store_keeps_free(st.disk_total, m->st->cfg.min_free_bytes);
    return st.disk_free > need + bytes
               ? LP_OK
               : lp_err_set(err, LP_ERR_DISK_FULL, "merging needs %llu MiB more than is free",
                            (unsigned long long)((need + bytes - st.disk_free) >> 20));
}

static void
note_merge(struct lp_maintain *m, size_t inputs, uint64_t bytes, const struct lp_merged *merged,
           int64_t took_ns)
{
    lp_metric_add(LP_M_COMPACTIONS, 1);
    lp_metric_add(LP_M_COMPACTION_BYTES, (int64_t)merged->written_bytes);
    lp_lock(&m->mu);
    m->stats.merges++;
    m->stats.merged_segments += inputs;
    m->stats.copied_blocks += merged->copied_blocks;
    m->stats.written_bytes += merged->written_bytes;
    lp_unlock(&m->mu);
    lp_store_say(m->st, LP_EVENT_INFO, "merged %zu segments of %.1f MiB into %zu of %.1f MiB in %.1f s",
                 inputs, (double)bytes / (1 << 20), merged->n, (double)merged->written_bytes / (1 << 20),
                 (double)took_ns / 1e9);
}

/* A handle of the merge's own: what it reads once must not push out what queries use. */
static lp_rc
open_input(struct lp_maintain *m, uint64_t id, struct lp_seg **ret, struct lp_err *err)
{
    char path[LP_SEG_PATH_BYTES];
    lp_seg_path(m->st->seg_dir, id, false, path);
    lp_rc rc = lp_seg_open(m->st->cfg.io, path, ret, err);
    if (rc == LP_OK && (*ret)->id != id) {
        lp_seg_unref(*ret);
        *ret = NULL;
        rc = lp_corrupt(err, "segment file %s has another id inside", path);
    }
    return rc;
}

/*
 * Whether rows that the merge took along have expired since it began. In a file that is old enough they are
 * hidden all the same; in one that is younger than their own they would be seen again.
 */
static bool
hides_more(const struct lp_merge_spec *spec, const struct lp_cutoffs *now)
{
    bool more = false;
    int64_t created_ns = LP_TIME_MIN;
    for (size_t i = 0; i < spec->ninputs; i++) {
        created_ns = LP_MAX(created_ns, spec->inputs[i]->created_ns);
    }
    if (now == spec->cutoffs || now == NULL || lp_cutoffs_reach(now, created_ns)) {
        return false;
    }
    for (size_t i = 0; i < spec->ninputs; i++) {
        const struct lp_seg *seg = spec->inputs[i];
        for (size_t b = 0; b < seg->nblocks && !more; b++) {
            uint64_t group = seg->groups[seg->blocks[b].group].id;
            struct lp_cutoff_range was = lp_cutoffs_in(spec->cutoffs, seg->created_ns, group);
            struct lp_cutoff_range is = lp_cutoffs_in(now, seg->created_ns, group);
            more = seg->blocks[b].min_ns < is.hi_ns && (was.lo_ns != is.lo_ns || was.hi_ns != is.hi_ns);
        }
    }
    return more;
}

/* Replaces, unless what has expired is no longer what the merge went by: it cannot change meanwhile. */
static lp_rc
replace_merged(struct lp_maintain *m, const uint64_t *ids, size_t n, const struct job *j,
               struct totals *ret_change, struct lp_err *err)
{
    lp_lock(&m->st->cutoffs_mu);
    struct lp_cutoffs *now = lp_store_cutoffs(m->st);
    lp_rc rc = hides_more(&j->spec, now)
                   ? lp_err_set(err, LP_ERR_BUSY, "more has expired since the merge began")
                   : replace(m, ids, n, &j->merged, ret_change, err);
    lp_unlock(&m->st->cutoffs_mu);
    lp_cutoffs_unref(now);
    return rc;
}

/* Merges and replaces; the spec's inputs are opened here. LP_ERR_BUSY: nothing has changed, do it again. */
static lp_rc
merge_ids(struct lp_maintain *m, const uint64_t *ids, size_t n, struct job *j, struct totals *ret_change,
          struct lp_err *err)
{
    struct lp_seg **inputs = lp_calloc(n, sizeof(struct lp_seg *));
    int64_t begin_ns = lp_mono_ns();
    uint64_t bytes = 0;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = open_input(m, ids[i], &inputs[i], err);
        bytes += rc == LP_OK ? inputs[i]->file_bytes : 0;
    }
    j->spec.inputs = inputs;
    j->spec.ninputs = n;
    rc = rc == LP_OK ? check_room(m, bytes, err) : rc;
    rc = rc == LP_OK ? merge_in_background(m, j, err) : rc;
    if (rc == LP_OK) {
        rc = replace_merged(m, ids, n, j, ret_change, err);
        if (rc != LP_OK) {
            unlink_merged(m, &j->merged);
        }
    }
    if (rc == LP_OK) {
        note_merge(m, n, bytes, &j->merged, lp_mono_ns() - begin_ns);
    }
    lp_merged_clear(&j->merged);
    for (size_t i = 0; i < n; i++) {
        lp_seg_unref(inputs[i]);
    }
    lp_free(inputs);
    return rc;
}

lp_rc
lp_maintain_merge(struct lp_maintain *m, const struct lp_compact_pass *pass, struct lp_err *err)
{
    struct totals change;
    lp_rc rc;
    do {
        struct lp_cutoffs *cutoffs = lp_store_cutoffs(m->st);
        struct job j = {.spec = {.one_file = pass->level == LP_LEVEL_STRAY,
                                 .every_day = pass->every_day,
                                 .level = pass->level,
                                 .day = pass->level == LP_LEVEL_FINAL ? pass->day : INT64_MIN,
                                 .cutoffs = cutoffs}};
        lp_err_clear(err);
        rc = merge_ids(m, pass->inputs.v, pass->inputs.n, &j, &change, err);
        lp_cutoffs_unref(cutoffs);
    } while (rc == LP_ERR_BUSY && !lp_maintain_stopping(m)); /* runs of retention are minutes apart */
    return rc;
}

/* ------------------------------------------------------------------ what has expired */

static void
note_expired(struct lp_expired *ret, const struct totals *change)
{
    ret->rows += (uint64_t)-change->rows;
    ret->freed_bytes -= change->file_bytes;
}

static lp_rc
rewrite(struct lp_maintain *m, const struct lp_expire_rewrite *r, struct lp_expired *ret, struct lp_err *err)
{
    struct lp_cat_segment row;
    struct totals change;
    lp_rc rc = read_rows(m, &r->segment, 1, &row, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct job j = {.leaving = r,
                    .spec = {.one_file = row.level == LP_LEVEL_STRAY,
                             .every_day = true,
                             .level = LP_MAX(row.level, LP_LEVEL_MERGED)}};
    rc = merge_ids(m, &r->segment, 1, &j, &change, err);
    if (rc == LP_OK) {
        ret->rewritten++;
        note_expired(ret, &change);
    }
    return rc;
}

/* Takes away those of the segments that are still there. */
static lp_rc
drop(struct lp_maintain *m, const uint64_t *ids, size_t n, struct lp_expired *ret, struct lp_err *err)
{
    struct lp_ids there = {NULL, 0, 0};
    struct lp_cat_segment row;
    struct totals change;
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < n && rc == LP_OK; i++) {
        rc = read_rows(m, &ids[i], 1, &row, err);
        if (rc == LP_OK) {
            lp_ids_add(&there, ids[i]);
        } else if (rc == LP_ERR_NOT_FOUND) {
            ret->stale++;
            rc = LP_OK;
        }
    }
    if (rc == LP_OK && there.n > 0) {
        rc = replace(m, there.v, there.n, NULL, &change, err);
        if (rc == LP_OK) {
            ret->dropped += there.n;
            note_expired(ret, &change);
        }
    }
    lp_ids_clear(&there);
    return rc;
}

lp_rc
lp_maintain_do_expire(struct lp_maintain *m, const struct lp_expire *what, struct lp_expired *ret,
                      struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < what->ndrop && rc == LP_OK; i += DROP_AT_ONCE) {
        rc = lp_maintain_stopping(m)
                 ? lp_err_set(err, LP_ERR_SHUTDOWN, "stopping")
                 : drop(m, what->drop + i, LP_MIN(what->ndrop - i, (size_t)DROP_AT_ONCE), ret, err);
        lp_maintain_reap(m); /* space comes back as it goes on */
    }
    for (size_t i = 0; i < what->nrewrite && rc == LP_OK; i++) {
        rc = lp_maintain_stopping(m) ? lp_err_set(err, LP_ERR_SHUTDOWN, "stopping")
                                     : rewrite(m, &what->rewrite[i], ret, err);
        ret->stale += rc == LP_ERR_NOT_FOUND;
        rc = rc == LP_ERR_NOT_FOUND ? LP_OK : rc;
        lp_maintain_reap(m);
    }
    return rc;
}
