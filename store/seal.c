/*
 * seal.c - the seal: generation after generation into segments and the catalog (design: order of effects).
 *
 * Order: plan; encode and write blocks; footer; sync; rename; folder sync; ONE catalog transaction; drop the
 * head; tell the log. Nothing here is undone halfway: a failure before the commit leaves a file that no row
 * names, the head stays, and the next try writes a new file under a new id. A failure of the commit for want
 * of space is tried again; any other failure of it ends the process (the catalog's pages may not be what LMDB
 * believes).
 *
 * Threads: lp_seal_main runs on the seal thread; encoders run on the seal pool and write in block order.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "store/entries.h"
#include "store/hooks.h"
#include "store/seal_plan.h"
#include "store/store_int.h"

#define TICK_NS (LP_NS_PER_S / 2)
#define RETRY_NS LP_NS_PER_S
#define CRASHES_MAX 2u /* of the process in one generation's seal, before it is stored as plain text */
#define IDS_KEPT_NS (600 * LP_NS_PER_S) /* batch ids live as long after their batch was received */

/* --- encoding, in parallel --- */

struct encode {
    struct lp_seal_plan *plan;
    struct lp_seg_writer *writer;
    struct lp_mutex mu;
    struct lp_cond turn_changed, all_done;
    size_t next; /* block to encode next */
    size_t turn; /* block to write next */
    unsigned working;
    bool plain;
    lp_rc rc;
    struct lp_err err;
};

/* Takes the number of a block to encode; false when there is none or another worker failed. */
static bool
take_block(struct encode *e, size_t *ret)
{
    lp_lock(&e->mu);
    bool ok = e->rc == LP_OK && e->next < e->plan->foot.nblocks;
    *ret = e->next;
    e->next += ok;
    lp_unlock(&e->mu);
    return ok;
}

/* Waits for this block's turn and writes it. */
static void
write_in_turn(struct encode *e, const struct lp_block_encoder *enc, size_t block, lp_rc rc,
              struct lp_str encoded, struct lp_err *err)
{
    lp_lock(&e->mu);
    while (e->turn != block && e->rc == LP_OK) {
        lp_cond_wait(&e->turn_changed, &e->mu);
    }
    if (e->rc == LP_OK && rc == LP_OK) {
        struct lp_foot_block *fb = &e->plan->foot.blocks[block];
        fb->bytes = encoded.n;
        fb->tokens = lp_block_encoder_tokens(enc);
        rc = lp_seg_writer_block(e->writer, encoded, &fb->off, err);
        size_t n;
        const uint64_t *ids = lp_block_encoder_ids(enc, &n);
        lp_footer_note_ids(&e->plan->foot, (uint32_t)block, ids, n);
    }
    if (e->rc == LP_OK && rc != LP_OK) {
        e->rc = rc;
        e->err = *err;
    }
    e->turn++;
    lp_cond_broadcast(&e->turn_changed);
    lp_unlock(&e->mu);
}

static void
encode_worker(void *arg)
{
    struct encode *e = arg;
    struct lp_block_encoder *enc = lp_block_encoder_new();
    struct lp_buf out;
    struct lp_err err;
    size_t block;
    lp_buf_init(&out, SIZE_MAX);
    if (e->plain) {
        lp_block_encoder_plain(enc);
    }
    while (take_block(e, &block)) {
        lp_buf_reset(&out);
        lp_err_clear(&err);
        lp_rc rc = lp_block_encode(enc, &e->plan->blocks[block], &out, &err);
        if (rc == LP_ERR_CORRUPT && !e->plain) {
            /* the codec's bug costs bytes, not lines */
            lp_metric_add(LP_M_SEAL_CODEC_FALLBACK, 1);
            lp_block_encoder_plain(enc);
            rc = lp_block_encode(enc, &e->plan->blocks[block], &out, &err);
        }
        write_in_turn(e, enc, block, rc, lp_buf_view(&out), &err);
    }
    lp_buf_clear(&out);
    lp_block_encoder_free(enc);
    lp_lock(&e->mu);
    e->working--;
    lp_cond_broadcast(&e->all_done);
    lp_unlock(&e->mu);
}

static lp_rc
encode_blocks(struct lp_store *st, struct lp_seal_plan *plan, struct lp_seg_writer *w, bool plain,
              struct lp_err *err)
{
    struct encode e = {.plan = plan, .writer = w, .plain = plain, .rc = LP_OK};
    unsigned n = (unsigned)LP_MIN((size_t)lp_pool_threads(st->pool), plan->foot.nblocks);
    lp_mutex_init(&e.mu, LP_LOCK_STORE);
    lp_cond_init(&e.turn_changed);
    lp_cond_init(&e.all_done);
    e.working = n;
    for (unsigned i = 0; i < n; i++) {
        /* the pool is the seal's own and outlives it: a refusal is a bug */
        lp_rc rc = lp_pool_run(st->pool, encode_worker, &e, INT64_MAX);
        LP_ASSERT(rc == LP_OK);
    }
    lp_lock(&e.mu);
    while (e.working > 0) {
        lp_cond_wait(&e.all_done, &e.mu);
    }
    lp_unlock(&e.mu);
    if (e.rc != LP_OK && err != NULL) {
        *err = e.err;
    }
    lp_cond_destroy(&e.turn_changed);
    lp_cond_destroy(&e.all_done);
    lp_mutex_destroy(&e.mu);
    return e.rc;
}

/* --- one generation --- */

static lp_rc
write_segment(struct lp_store *st, struct lp_seal_plan *plan, bool plain, struct lp_cat_segment *row,
              struct lp_err *err)
{
    struct lp_seg_writer *w = NULL;
    struct lp_codec *codec = NULL;
    uint64_t id;
    lp_rc rc = lp_store_take_id(st, &id, err);
    if (rc != LP_OK) {
        return rc;
    }
    plan->foot.segment = id;
    const struct lp_uuid *known = lp_catalog_uuids(st->cat, &plan->foot.nearlier);
    plan->foot.uuid = known[0];
    plan->foot.earlier = known + 1;
    plan->foot.nearlier--;
    rc = lp_seg_writer_new(st->cfg.io, st->seg_dir, &plan->foot.uuid, id, row->created_ns, &w, err);
    lp_hook("encode");
    plan->foot.ncell_ids = 0; /* of a try before */
    if (rc == LP_OK && plan->foot.nblocks > 0) {
        rc = encode_blocks(st, plan, w, plain, err);
    }
    if (rc == LP_OK) {
        codec = lp_codec_new();
        rc = lp_seg_writer_finish(w, &plan->foot, codec, &row->file_bytes, &row->dir_crc, err);
    }
    lp_codec_free(codec);
    lp_seg_writer_free(w);
    row->id = id;
    return rc;
}

static lp_rc
commit(struct lp_store *st, const struct lp_seal_plan *plan, const struct lp_cat_segment *row,
       const struct lp_entries *entries, const struct lp_pod_news *news, struct lp_err *err)
{
    int64_t oldest_ns = LP_TIME_MIN + IDS_KEPT_NS;
    for (size_t i = 0; i < plan->foot.nids; i++) {
        int64_t t = plan->foot.ids[i].received_ns;
        oldest_ns = i == 0 ? t : LP_MIN(oldest_ns, t);
    }
    struct lp_cat_commit c = {
        .segment = *row,
        .streams = plan->new_streams,
        .nstreams = plan->nnew_streams,
        .groups = plan->new_groups,
        .ngroups = plan->nnew_groups,
        .entries = entries->v,
        .nentries = entries->n,
        .positions = plan->foot.positions,
        .npositions = plan->foot.npositions,
        .ids = plan->foot.ids,
        .nids = plan->foot.nids,
        .pods = news->pods,
        .npods = news->npods,
        .ids_before_ns = oldest_ns < LP_TIME_MIN + IDS_KEPT_NS ? LP_TIME_MIN : oldest_ns - IDS_KEPT_NS,
    };
    return lp_catalog_commit(st->cat, &c, err);
}

/* The log is told before those who wait for the generation: a revoke that waited must find the new positions.
 */
static void
note_stored(struct lp_store *st, const struct lp_seal_plan *plan, const struct lp_cat_segment *row)
{
    lp_hook("release");
    if (st->cfg.on_stored != NULL) {
        st->cfg.on_stored(st->stored_ctx, row->generation, plan->foot.positions, plan->foot.npositions);
    }
    lp_metric_add(LP_M_SEALS, 1);
    lp_metric_add(LP_M_SEALED_BYTES, (int64_t)row->file_bytes);
    lp_lock(&st->mu);
    st->sealed = row->generation;
    st->stats.segments++;
    st->stats.rows += row->rows;
    st->stats.bytes += row->bytes;
    st->stats.file_bytes += row->file_bytes;
    st->stats.last_seal_ns = lp_now_ns();
    lp_cond_broadcast(&st->changed);
    lp_store_show_totals(st);
    lp_metric_set(LP_M_LAST_SEAL_TIME, st->stats.last_seal_ns / LP_NS_PER_S);
    lp_unlock(&st->mu);
}

lp_rc
lp_seal_generation(struct lp_store *st, struct lp_gen *g, bool plain, struct lp_err *err)
{
    struct lp_seal_plan *plan;
    int64_t start_ns = lp_mono_ns();
    lp_rc rc = lp_seal_plan_new(st->cat, st->memo, g, &plan, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_cat_segment row = {.first_generation = g->id, .generation = g->id, .created_ns = lp_now_ns()};
    struct lp_entries entries = {NULL, 0, 0};
    struct lp_pod_news news = {.npods = 0};
    uint32_t crashes = lp_seal_mark_begin(st, g->id);
    if (crashes >= CRASHES_MAX) {
        lp_metric_add(LP_M_SEAL_PLAIN, 1);
        lp_store_say(st, LP_EVENT_ERROR,
                     "generation %llu is stored as plain text: %u processes ended while they sealed it",
                     (unsigned long long)g->id, crashes);
    }
    rc = write_segment(st, plan, plain || crashes >= CRASHES_MAX, &row, err);
    lp_seal_mark_end(st);
    if (rc == LP_OK) {
        lp_entries_of_footer(&entries, &plan->foot);
        lp_entries_sum(&entries, 0, &row);
        lp_pod_learn(st->pods, g, &news);
        rc = commit(st, plan, &row, &entries, &news, err);
        if (rc != LP_OK && rc != LP_ERR_DISK_FULL) {
            /* LMDB may believe what the disk does not hold: only a new process reads what is there */
            st->cfg.on_fatal(st->cfg.ctx, err);
        }
    }
    if (rc == LP_OK) {
        lp_seal_plan_learn(plan, st->memo);
        lp_pod_memo_note(st->pods, &news);
        lp_hook("drop");
        lp_head_drop(st->head, g);
        note_stored(st, plan, &row);
        lp_metric_observe(LP_M_SEAL_DURATION, lp_mono_ns() - start_ns);
    }
    lp_pod_news_clear(&news);
    lp_entries_clear(&entries);
    lp_seal_plan_free(plan);
    return rc;
}

/* --- the thread --- */

static bool
abandoned(struct lp_store *st)
{
    lp_lock(&st->mu);
    bool a = st->abandon;
    lp_unlock(&st->mu);
    return a;
}

static void
wait_retry(struct lp_store *st)
{
    lp_lock(&st->mu);
    if (!st->abandon) {
        (void)lp_cond_wait_until(&st->changed, &st->mu, lp_mono_ns() + RETRY_NS);
    }
    lp_unlock(&st->mu);
}

/* Seals g, again and again until it is stored or the store is given up; generations are never overtaken. */
static void
seal_until_stored(struct lp_store *st, struct lp_gen *g)
{
    struct lp_err err;
    for (unsigned tries = 1; !abandoned(st); tries++) {
        lp_err_clear(&err);
        lp_rc rc = lp_seal_generation(st, g, tries > 2, &err);
        if (rc == LP_OK) {
            atomic_store(&st->seal_failing, false);
            return;
        }
        lp_metric_add(LP_M_SEAL_FAILED, 1);
        lp_store_check_space(st);
        bool full = rc == LP_ERR_DISK_FULL || (rc == LP_ERR_IO && atomic_load(&st->disk_full));
        if (full && lp_store_give_reserve(st)) {
            continue;
        }
        lp_store_say(st, LP_EVENT_ERROR, "seal of generation %llu failed (try %u): %s",
                     (unsigned long long)g->id, tries, err.text);
        atomic_store(&st->seal_failing, !full && tries >= 2);
        if (tries > 1 || full) {
            wait_retry(st);
        }
    }
}

void
lp_seal_main(void *arg)
{
    struct lp_store *st = arg;
    lp_rc rc;
    do {
        struct lp_gen *g;
        rc = lp_head_sealable(st->head, lp_mono_ns() + TICK_NS, &g);
        if (rc == LP_OK) {
            seal_until_stored(st, g);
            if (abandoned(st)) {
                break;
            }
        }
        lp_head_close_older(st->head, lp_mono_ns() - atomic_load(&st->seal_after_ns));
        lp_store_check_space(st);
        lp_seg_cache_trim(st->segments); /* of what a query held that has ended */
    } while (rc != LP_ERR_SHUTDOWN);
    lp_lock(&st->mu);
    st->seal_running = false;
    lp_cond_broadcast(&st->changed);
    lp_unlock(&st->mu);
}
