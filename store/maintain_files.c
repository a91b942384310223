/*
 * maintain_files.c - removing files of segments that the catalog does not name any more.
 *
 * A query looks segments up in a read transaction and opens their files before it ends. So a file may go once
 * no read transaction is older than the one that took its row away; who has it open keeps reading it. Only
 * then, and once the folder is synced, is the id taken out of `removed`: a crash in between leaves it there,
 * and the next start unlinks the file. A start looks at no other names, so a file that came back after its id
 * was forgotten would take its space for ever.
 */
#include "store/hooks.h"
#include "store/maintain_int.h"

void
lp_maintain_note_gone(struct lp_maintain *m, const uint64_t *ids, size_t n, uint64_t txn)
{
    for (size_t i = 0; i < n; i++) {
        lp_store_forget_segment(m->st, ids[i]);
        if (m->ngone == m->gone_cap) {
            m->gone_cap = m->gone_cap ? m->gone_cap * 2 : 64;
            m->gone = lp_realloc(m->gone, m->gone_cap * sizeof(*m->gone));
        }
        m->gone[m->ngone++] = (struct lp_gone_file){ids[i], txn};
    }
}

static bool
unlink_file(struct lp_maintain *m, uint64_t id)
{
    char path[LP_SEG_PATH_BYTES];
    struct lp_err err;
    lp_err_clear(&err);
    lp_seg_path(m->st->seg_dir, id, false, path);
    lp_store_forget_segment(m->st, id); /* a query may have opened it meanwhile */
    lp_rc rc = lp_io_unlink(m->st->cfg.io, path, &err);
    if (rc != LP_OK && rc != LP_ERR_NOT_FOUND) {
        lp_store_say(m->st, LP_EVENT_WARN,
                     "a file that is not needed any more stays until the next start: %s", err.text);
    }
    return rc == LP_OK || rc == LP_ERR_NOT_FOUND;
}

void
lp_maintain_reap(struct lp_maintain *m)
{
    struct lp_ids gone = {NULL, 0, 0};
    size_t kept = 0;
    if (m->ngone == 0) {
        return;
    }
    uint64_t oldest = lp_catalog_oldest_reader(m->st->cat);
    lp_hook("unlink");
    for (size_t i = 0; i < m->ngone; i++) {
        if (m->gone[i].txn > oldest) {
            m->gone[kept++] = m->gone[i];
        } else if (unlink_file(m, m->gone[i].id)) {
            lp_ids_add(&gone, m->gone[i].id);
        }
    }
    m->ngone = kept;
    lp_hook("forget");
    if (gone.n > 0 && lp_io_sync_dir(m->st->cfg.io, m->st->seg_dir, NULL) == LP_OK) {
        (void)!lp_catalog_forget(m->st->cat, NULL, &gone, NULL);
    } /* what is not forgotten now the next start forgets */
    lp_ids_clear(&gone);
    lp_lock(&m->mu);
    m->stats.waiting_files = kept;
    lp_unlock(&m->mu);
}
