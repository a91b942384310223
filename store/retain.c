/*
 * retain.c - a run of retention: plan, ledger, cutoffs, drops and rewrites, ledger. See retain.h for the
 * order, which is what makes a run that was killed safe to run again.
 *
 * The store's current cutoffs are replaced under st->mu once they are in the catalog; readers hold
 * references. With a full disk the reserve is given up first: to delete needs a few pages and a few bytes of
 * ledger.
 */
#include "store/retain.h"

#include "store/hooks.h"
#include "store/ledger.h"
#include "store/maintain.h"
#include "store/store_int.h"

#define PLANS_MAX 8u /* made again for one run */

struct lp_cutoffs *
lp_store_cutoffs(struct lp_store *st)
{
    lp_lock(&st->mu);
    struct lp_cutoffs *c = st->cutoffs != NULL ? lp_cutoffs_ref(st->cutoffs) : NULL;
    lp_unlock(&st->mu);
    return c;
}

static bool
note_group(void *arg, uint64_t id, struct lp_str key)
{
    lp_cutoffs_note_group(arg, id, key);
    return true;
}

/*
 * Readers ask by group id. A group that comes after this has nothing that could have expired: its segments
 * are younger than the snapshot's received_before_ns.
 */
static lp_rc
note_groups(struct lp_store *st, struct lp_cutoffs *c, struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(st->cat, &t, err);
    if (rc == LP_OK) {
        rc = lp_cat_group_keys(t, note_group, c, err);
        lp_cat_end(t);
    }
    return rc;
}

void
lp_retain_load(struct lp_store *st)
{
    struct lp_cat_txn *t;
    struct lp_str bytes;
    struct lp_err err;
    lp_err_clear(&err);
    lp_rc rc = lp_cat_begin(st->cat, &t, &err);
    if (rc == LP_OK) {
        rc = lp_cat_cutoffs(t, &bytes, &err);
        rc = rc == LP_OK ? lp_cutoffs_decode(bytes, st->cfg.select, &st->cutoffs, &err) : rc;
        lp_cat_end(t);
    }
    rc = rc == LP_OK ? note_groups(st, st->cutoffs, &err) : rc;
    if (rc != LP_OK && rc != LP_ERR_NOT_FOUND) {
        lp_store_say(st, LP_EVENT_ERROR,
                     "what has expired is not known, so lines that had gone and are not yet removed can be "
                     "seen until retention runs again: %s",
                     err.text);
    }
}

/* --- a run --- */

struct run {
    struct lp_store *st;
    const struct lp_retain_ask *ask;
    struct lp_retain_report *rep;
};

static lp_rc
plan_for(struct lp_store *st, const struct lp_retain_conf *conf, const struct lp_retain_moment *at,
         struct lp_retain_plan **ret, struct lp_err *err)
{
    struct lp_cat_txn *t;
    lp_rc rc = lp_cat_begin(st->cat, &t, err);
    if (rc == LP_OK) {
        rc = lp_retain_plan(t, conf, at, ret, err);
        lp_cat_end(t);
    }
    return rc;
}

/* Bytes of files that are removed but not yet unlinked, since a query may still read them: soon free. */
static uint64_t
waiting_bytes(struct lp_store *st)
{
    struct lp_ids ids = {NULL, 0, 0};
    struct lp_cat_txn *t;
    uint64_t sum = 0, bytes;
    if (lp_cat_begin(st->cat, &t, NULL) != LP_OK) {
        return 0;
    }
    lp_rc rc = lp_cat_removed(t, &ids, NULL);
    lp_cat_end(t);
    for (size_t i = 0; i < ids.n && rc == LP_OK; i++) {
        char path[LP_SEG_PATH_BYTES];
        int fd;
        lp_seg_path(st->seg_dir, ids.v[i], false, path);
        if (lp_io_open(st->cfg.io, path, LP_IO_READ, &fd, NULL) == LP_OK) {
            sum += lp_io_size(st->cfg.io, fd, &bytes, NULL) == LP_OK ? bytes : 0;
            lp_io_close(st->cfg.io, fd);
        }
    }
    lp_ids_clear(&ids);
    return sum;
}

static lp_rc
plan(struct lp_store *st, const struct lp_retain_conf *conf, const struct lp_retain_ask *ask,
     struct lp_retain_plan **ret, struct lp_err *err)
{
    struct lp_retain_moment at = {.now_ns = lp_now_ns()};
    if (ask->dry && ask->at_ns != LP_TIME_NONE) {
        at.now_ns = ask->at_ns;
    }
    lp_rc rc = lp_io_space(st->cfg.io, st->dir, &at.disk_free, &at.disk_total, err);
    if (rc == LP_OK) {
        at.disk_free += waiting_bytes(st);
        rc = plan_for(st, conf, &at, ret, err);
    }
    return rc;
}

static lp_rc
write_ledger(struct run *r, enum lp_ledger_kind kind, uint64_t *ret_number, struct lp_err *err)
{
    struct lp_buf b;
    lp_buf_init(&b, LP_LEDGER_PAYLOAD_MAX);
    if (kind == LP_LEDGER_RETAIN_BEGUN) {
        lp_retain_report_json(r->rep, &b);
    }
    if (kind != LP_LEDGER_RETAIN_BEGUN || b.failed) { /* too long: the sums are better than no run */
        lp_buf_clear(&b);
        lp_buf_init(&b, LP_LEDGER_PAYLOAD_MAX);
        lp_retain_end_json(r->rep, &b);
    }
    lp_rc rc = lp_ledger_append(r->st->ledger, kind, lp_now_ns(), lp_buf_view(&b), ret_number, err);
    if (rc == LP_ERR_DISK_FULL && lp_store_give_reserve(r->st)) {
        rc = lp_ledger_append(r->st->ledger, kind, lp_now_ns(), lp_buf_view(&b), ret_number, err);
    }
    lp_buf_clear(&b);
    return rc;
}

static lp_rc
store_cutoffs(struct run *r, struct lp_err *err)
{
    struct lp_store *st = r->st;
    struct lp_buf b;
    lp_buf_init(&b, SIZE_MAX);
    lp_cutoffs_encode(r->rep->cutoffs, &b);
    lp_lock(&st->cutoffs_mu);
    lp_rc rc = lp_catalog_put_cutoffs(st->cat, lp_buf_view(&b), err);
    if (rc == LP_ERR_DISK_FULL && lp_store_give_reserve(st)) {
        rc = lp_catalog_put_cutoffs(st->cat, lp_buf_view(&b), err);
    }
    lp_buf_clear(&b);
    if (rc != LP_OK && rc != LP_ERR_DISK_FULL) {
        st->cfg.on_fatal(st->cfg.ctx, err); /* as for every failed commit: seal.c */
    }
    if (rc == LP_OK) {
        lp_lock(&st->mu);
        struct lp_cutoffs *old = st->cutoffs;
        st->cutoffs = lp_cutoffs_ref(r->rep->cutoffs);
        lp_unlock(&st->mu);
        lp_cutoffs_unref(old);
    }
    lp_unlock(&st->cutoffs_mu);
    return rc;
}

/* The plan's cutoffs, none of them earlier than what held for the same rule. */
static lp_rc
next_cutoffs(struct run *r, struct lp_err *err)
{
    struct lp_buf b;
    struct lp_cutoffs *before = lp_store_cutoffs(r->st);
    lp_buf_init(&b, SIZE_MAX);
    lp_cutoffs_encode(r->rep->plan->cutoffs, &b); /* a copy: the plan's own stay what the report says */
    lp_rc rc = lp_cutoffs_decode(lp_buf_view(&b), r->rep->plan->cutoffs->rules->ops, &r->rep->cutoffs, err);
    if (rc == LP_OK) {
        lp_cutoffs_keep(r->rep->cutoffs, before, r->rep->plan->at.now_ns);
        rc = note_groups(r->st, r->rep->cutoffs, err);
    }
    lp_cutoffs_unref(before);
    lp_buf_clear(&b);
    return rc;
}

/* What a plan names, as maintenance takes it. */
static lp_rc
maintain(struct lp_store *st, const struct lp_retain_plan *p, struct lp_retain_done *ret, struct lp_err *err)
{
    uint64_t *drop = lp_calloc(p->nsegments, sizeof(*drop));
    uint64_t *groups = lp_calloc(p->nentries, sizeof(*groups));
    struct lp_expire_rewrite *rewrite = lp_calloc(p->nsegments, sizeof(*rewrite));
    struct lp_expire what = {.drop = drop, .rewrite = rewrite};
    struct lp_expired done = {.dropped = 0};
    for (size_t i = 0; i < p->nentries; i++) {
        groups[i] = p->entries[i].group;
    }
    for (size_t i = 0; i < p->nsegments; i++) {
        const struct lp_retain_segment *s = &p->segments[i];
        if (s->whole) {
            drop[what.ndrop++] = s->id;
        } else {
            const uint64_t *first = groups + (s->entries - p->entries);
            rewrite[what.nrewrite++] = (struct lp_expire_rewrite){s->id, first, s->nentries};
        }
    }
    lp_rc rc = lp_maintain_expire(st->maintain, &what, &done, err);
    *ret = (struct lp_retain_done){(uint64_t)LP_MAX(done.freed_bytes, 0), done.dropped, done.rewritten,
                                   done.stale};
    lp_free(rewrite);
    lp_free(groups);
    lp_free(drop);
    return rc;
}

static lp_rc
expire_once(struct run *r, const struct lp_retain_plan *p, struct lp_err *err)
{
    struct lp_retain_done done = {.stale = 0}, *sum = &r->rep->done;
    lp_rc rc =
        r->ask->expire != NULL ? r->ask->expire(r->ask->arg, p, &done, err) : maintain(r->st, p, &done, err);
    sum->freed_bytes += done.freed_bytes;
    sum->dropped += done.dropped;
    sum->rewritten += done.rewritten;
    sum->stale = done.stale;
    return rc;
}

/*
 * Compaction may have replaced a segment since it was planned for: then what goes of it is in another one,
 * and a new plan for the same moment finds it.
 */
static lp_rc
expire(struct run *r, const struct lp_retain_conf *conf, struct lp_err *err)
{
    if (r->rep->plan->nsegments == 0) {
        return LP_OK;
    }
    lp_hook("expire");
    lp_rc rc = expire_once(r, r->rep->plan, err);
    for (unsigned again = 0; again < PLANS_MAX && rc == LP_OK && r->rep->done.stale > 0; again++) {
        struct lp_retain_plan *p;
        struct lp_retain_moment at = r->rep->plan->at;
        at.disk_free += r->rep->done.freed_bytes;
        rc = plan_for(r->st, conf, &at, &p, err);
        if (rc == LP_OK) {
            r->rep->done.stale = 0;
            rc = p->nsegments > 0 ? expire_once(r, p, err) : LP_OK;
            lp_retain_plan_free(p);
        }
    }
    return rc;
}

static lp_rc
execute(struct run *r, const struct lp_retain_conf *conf, struct lp_err *err)
{
    struct lp_err later;
    bool noted = r->ask->asked || r->rep->plan->nsegments > 0;
    lp_rc rc = next_cutoffs(r, err);
    if (rc == LP_OK && noted) {
        rc = write_ledger(r, LP_LEDGER_RETAIN_BEGUN, &r->rep->begun, err);
    }
    lp_hook("begun");
    rc = rc == LP_OK ? store_cutoffs(r, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    rc = expire(r, conf, err);
    lp_hook("expired");
    r->rep->error = rc == LP_OK ? LP_STR_NULL : lp_str_c(err->text);
    if (noted) {
        lp_rc also = write_ledger(r, LP_LEDGER_RETAIN_ENDED, &r->rep->ended, &later);
        if (rc == LP_OK && also != LP_OK) {
            rc = lp_err_set(err, also, "retention has run, but the ledger could not be written: %s",
                            later.text);
        }
    }
    return rc;
}

lp_rc
lp_retain_run(struct lp_store *st, const struct lp_retain_conf *conf, const struct lp_retain_ask *ask,
              struct lp_retain_report *ret, struct lp_err *err)
{
    struct lp_err local;
    struct run r = {st, ask, ret};
    err = err != NULL ? err : &local;
    lp_err_clear(err);
    if (!ask->dry && atomic_exchange(&st->retaining, true)) {
        return lp_err_set(err, LP_ERR_BUSY, "another run of retention is under way");
    }
    *ret = (struct lp_retain_report){.dry = ask->dry, .by = ask->by};
    lp_rc rc = plan(st, conf, ask, &ret->plan, err);
    if (rc == LP_OK && !ask->dry) {
        rc = execute(&r, conf, err);
    }
    if (!ask->dry) {
        atomic_store(&st->retaining, false);
    }
    ret->error = LP_STR_NULL; /* it is in err */
    if (rc != LP_OK) {
        lp_retain_report_clear(ret);
    }
    return rc;
}

void
lp_retain_report_clear(struct lp_retain_report *r)
{
    lp_retain_plan_free(r->plan);
    lp_cutoffs_unref(r->cutoffs);
    *r = (struct lp_retain_report){.plan = NULL};
}
