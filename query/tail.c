/*
 * tail.c - a tail's place, and what is visible behind it. See tail.h.
 *
 * Invariants.
 * 1. Generations up to at.sealed are behind us. Of those up to `known` each is in `gens`, in the gap, or
 * behind us; `gens` and the gap are read by rising id, so that the tickets of each source come in order.
 * 2. A generation that is in `gens` is read to its end from memory, also when it has left the head meanwhile:
 * our reference keeps it. So only what came and was sealed between two looks is a gap.
 * 3. at.sealed only passes generations that have left the head: those are stored, and keep their numbers. In
 * what is not stored a restart counts anew; there only positions of sources hold.
 */
#include "query/tail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/parse.h"
#include "query/tail_int.h"

/* --- making it --- */

static bool
names_quarantine(const struct lp_log_query *log)
{
    for (size_t i = 0; i < log->nmatchers; i++) {
        if (lp_str_eqc(log->matchers[i].name, LP_QUARANTINE_LABEL)) {
            return true;
        }
    }
    return false;
}

static lp_rc
compile(struct lp_tail *t, struct lp_err *err)
{
    const struct lp_pipe_need need = {.all = !t->cfg.bare};
    const struct lp_expr *e;
    lp_rc rc = lp_logql_parse(t->cfg.query, NULL, &t->ar, &e, err);
    if (rc == LP_OK && e->kind != LP_EXPR_LOG) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "only queries for lines can be followed, and this one counts them");
    }
    if (rc == LP_OK) {
        t->log = &e->log;
        t->quarantine = names_quarantine(t->log);
        rc = lp_matchers_new(t->log->matchers, t->log->nmatchers, &t->matchers, err);
    }
    if (rc == LP_OK) {
        rc = lp_linefilter_new(t->log->stages, lp_linefilter_run(t->log->stages, t->log->nstages), &t->filter,
                               err);
    }
    if (rc == LP_OK) {
        rc = lp_exec_prog(t->log, NULL, &need, &t->prog, err);
    }
    if (rc == LP_OK) {
        t->pipe = lp_pipe_new(t->prog);
    }
    return rc;
}

lp_rc
lp_tail_new(const struct lp_tail_config *cfg, struct lp_tail **ret, struct lp_err *err)
{
    struct lp_tail *t = lp_calloc(1, sizeof(*t));
    t->cfg = *cfg;
    lp_arena_init(&t->ar, LP_LOGQL_ARENA_BYTES, 0);
    bool fits =
        lp_arena_str(&t->ar, cfg->tenant, &t->cfg.tenant) && lp_arena_str(&t->ar, cfg->query, &t->cfg.query);
    lp_rc rc = fits ? compile(t, err) : lp_err_set(err, LP_ERR_LIMIT, "the query is too long");
    if (rc != LP_OK) {
        lp_tail_free(t);
        return rc;
    }
    *ret = t;
    return LP_OK;
}

void
lp_tail_cancel_on(struct lp_tail *t, const _Atomic bool *cancel)
{
    LP_ASSERT(t->stored == NULL);
    t->cfg.cancel = cancel;
}

void
lp_tail_free(struct lp_tail *t)
{
    if (t == NULL) {
        return;
    }
    lp_tail_stored_close(t);
    lp_tail_rest(t);
    lp_tail_cursor_clear(&t->at);
    lp_pipe_free(t->pipe);
    lp_pipe_prog_free(t->prog);
    lp_linefilter_free(t->filter);
    lp_matchers_free(t->matchers);
    lp_arena_clear(&t->ar);
    lp_free(t->gens);
    lp_free(t->hits);
    lp_free(t->meta);
    lp_free(t);
}

/* --- small things that both ways of reading need --- */

void
lp_tail_note(struct lp_tail *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->missed, sizeof(t->missed), fmt, ap);
    va_end(ap);
    t->missed_new = true;
}

const char *
lp_tail_missed(struct lp_tail *t)
{
    bool any = t->missed_new;
    t->missed_new = false;
    return any ? t->missed : NULL;
}

lp_rc
lp_tail_over_budget(const struct lp_tail *t, struct lp_err *err)
{
    if (lp_exec_memory_taken(t->cfg.share, err)) {
        return LP_ERR_BUSY;
    }
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the lines need more than the %zu MiB of memory that a query may have",
                      t->cfg.budget_bytes >> 20);
}

bool
lp_tail_behind(const struct lp_tail_row *a, const struct lp_tail_row *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns > b->time_ns;
    }
    int order = lp_hash128_cmp(a->stream, b->stream);
    return order != 0 ? order > 0 : a->ordinal > b->ordinal;
}

void
lp_tail_step(struct lp_tail_row *run, int64_t time_ns, struct lp_hash128 stream)
{
    bool same = run->ordinal > 0 && run->time_ns == time_ns && lp_hash128_eq(run->stream, stream);
    run->ordinal = same ? run->ordinal + 1 : 1;
    run->time_ns = time_ns;
    run->stream = stream;
}

enum lp_tail_ticket
lp_tail_judge(struct lp_tail *t, uint64_t source, uint64_t first, uint64_t next, struct lp_tail_row *ret_skip)
{
    const struct lp_tail_source *s = lp_tail_cursor_of(&t->at, source);
    ret_skip->ordinal = 0;
    if (s == NULL || (s->next <= first && (!s->inside || s->row.first < first || s->row.first >= next))) {
        return LP_TAIL_NEW;
    }
    if (s->next >= next) {
        return LP_TAIL_BEHIND;
    }
    if (s->inside && s->row.first == first) {
        *ret_skip = s->row;
        return LP_TAIL_PART;
    }
    /* read again from the log, and cut otherwise than before */
    lp_tail_note(t, "some lines may come a second time: the log was read again after a restart");
    return LP_TAIL_NEW;
}

/* --- places --- */

static void
gen_free(struct lp_tail_gen *g)
{
    lp_gen_unref(g->gen);
    lp_free(g->wanted);
    lp_free(g);
}

void
lp_tail_rest(struct lp_tail *t)
{
    for (size_t i = 0; i < t->ngens; i++) {
        gen_free(t->gens[i]);
    }
    t->ngens = 0;
    t->of = NULL;
    t->batch = NULL;
    t->nhits = t->hit = 0;
    t->labels_of = NULL;
    if (t->stored == NULL) {
        t->gap_last = 0;
        t->known = t->at.sealed;
    } else { /* it goes on with that */
        t->known = t->gap_last;
    }
}

/* Lets go of everything. */
static void
forget(struct lp_tail *t)
{
    lp_tail_stored_close(t);
    lp_tail_rest(t);
}

static struct lp_tail_gen *
add_gen(struct lp_tail *t, struct lp_gen *gen)
{
    if (t->ngens == t->gens_cap) {
        t->gens_cap = t->gens_cap ? t->gens_cap * 2 : 8;
        t->gens = lp_realloc(t->gens, t->gens_cap * sizeof(struct lp_tail_gen *));
    }
    struct lp_tail_gen *g = lp_calloc(1, sizeof(*g));
    LP_ASSERT(t->ngens == 0 || t->gens[t->ngens - 1]->gen->id < gen->id);
    g->gen = lp_gen_ref(gen);
    t->gens[t->ngens++] = g;
    return g;
}

/* All that the view has is behind us. */
static void
stand_behind(struct lp_tail *t, const struct lp_head_view *v, uint64_t sealed)
{
    lp_tail_cursor_clear(&t->at);
    t->at.sealed = t->known = sealed;
    for (size_t i = 0; i < v->ngens; i++) {
        struct lp_gen *gen = v->gens[i].gen;
        if (gen->id <= sealed) {
            continue;
        }
        struct lp_tail_gen *g = add_gen(t, gen);
        t->known = gen->id;
        g->done = g->visible = v->gens[i].nbatches;
        for (size_t k = 0; k < g->done; k++) {
            g->last = g->last == NULL ? gen->first : g->last->next;
            lp_tail_cursor_put(&t->at, g->last->source->hash, g->last->next_position, gen->id);
        }
    }
}

static lp_rc
begin_now(struct lp_tail *t, struct lp_err *err)
{
    struct lp_head_view v;
    struct lp_cat_txn *txn;
    struct lp_cat_counters n;
    lp_head_view(lp_store_head(t->cfg.store), &v);
    lp_rc rc = lp_cat_begin(lp_store_catalog(t->cfg.store), &txn, err);
    if (rc == LP_OK) {
        rc = lp_cat_counters(txn, &n, err);
        lp_cat_end(txn);
    }
    if (rc == LP_OK) {
        stand_behind(t, &v, n.sealed);
    }
    lp_head_view_clear(&v);
    return rc;
}

lp_rc
lp_tail_begin(struct lp_tail *t, int64_t from_ns, size_t limit, int64_t deadline_ns, struct lp_found *ret,
              struct lp_err *err)
{
    struct lp_search q = {
        .store = t->cfg.store,
        .tenant = t->cfg.tenant,
        .log = t->log,
        .filter = t->cfg.filter,
        .from_ns = from_ns,
        .to_ns = LP_TIME_MAX,
        .limit = limit,
        .backward = true,
        .pool = t->cfg.pool,
        .deadline_ns = deadline_ns,
        .cancel = t->cfg.cancel,
        .share = t->cfg.share,
        .budget_bytes = t->cfg.budget_bytes,
        .want_labels = !t->cfg.bare,
    };
    uint64_t sealed;
    forget(t);
    if (limit == 0) {
        memset(ret, 0, sizeof(*ret));
        return begin_now(t, err);
    }
    lp_rc rc = lp_search(&q, ret, err);
    if (rc == LP_OK) {
        const struct lp_head_view *v = lp_view_head(ret->view, &sealed);
        stand_behind(t, v, sealed);
        lp_found_reverse(ret);
    }
    return rc;
}

lp_rc
lp_tail_resume(struct lp_tail *t, struct lp_str cursor, struct lp_err *err)
{
    struct lp_store_stats stats;
    struct lp_tail_cursor c;
    lp_store_stats(t->cfg.store, &stats);
    lp_rc rc = lp_tail_cursor_parse(cursor, lp_catalog_uuid(lp_store_catalog(t->cfg.store)), &c, err);
    if (rc == LP_OK && c.sealed > stats.sealed) {
        rc = lp_err_set(err, LP_ERR_PARSE, "the cursor is ahead of what is stored here");
    }
    if (rc != LP_OK) {
        lp_tail_cursor_clear(&c);
        return rc;
    }
    lp_tail_cursor_clear(&t->at);
    t->at = c;
    forget(t);
    return LP_OK;
}

void
lp_tail_place(const struct lp_tail *t, struct lp_buf *out)
{
    lp_tail_cursor_text(&t->at, lp_catalog_uuid(lp_store_catalog(t->cfg.store)), out);
}

/* --- what is visible --- */

static struct lp_tail_gen *
find_gen(const struct lp_tail *t, const struct lp_gen *gen)
{
    for (size_t i = 0; i < t->ngens; i++) {
        if (t->gens[i]->gen == gen) {
            return t->gens[i];
        }
    }
    return NULL;
}

/* Generations that came and left the head unseen. */
static void
note_gap(struct lp_tail *t, uint64_t last)
{
    if (last <= t->known) {
        return;
    }
    LP_ASSERT(t->stored == NULL && t->gap_last == 0);
    t->gap_first = t->known + 1;
    t->gap_last = t->known = last;
}

/* Positions of which nobody told in which generation they are: in none that is newer than what is seen now.
 */
static void
date_positions(struct lp_tail *t)
{
    for (size_t i = 0; i < t->at.n; i++) {
        t->at.v[i].generation = LP_MIN(t->at.v[i].generation, t->known);
    }
}

/* What has left the head is all visible. */
static void
show_final(struct lp_tail *t)
{
    for (size_t i = 0; i < t->ngens; i++) {
        if (t->gens[i]->final) {
            t->gens[i]->visible = t->gens[i]->gen->nbatches;
        }
    }
}

/* What the head shows is visible, and all of the generations up to `sealed`. */
static void
note_visible(struct lp_tail *t, const struct lp_head_view *v, uint64_t sealed)
{
    for (size_t i = 0; i < t->ngens; i++) {
        t->gens[i]->final = true;
    }
    note_gap(t, v->ngens > 0 ? v->gens[0].gen->id - 1 : sealed);
    for (size_t i = 0; i < v->ngens; i++) {
        struct lp_gen *gen = v->gens[i].gen;
        struct lp_tail_gen *g = find_gen(t, gen);
        if (g == NULL && gen->id > t->known) {
            g = add_gen(t, gen);
            t->known = gen->id;
        }
        if (g != NULL) {
            g->final = gen->id <= sealed;
            g->visible = v->gens[i].nbatches;
        }
    }
    show_final(t);
    date_positions(t);
}

void
lp_tail_look(struct lp_tail *t)
{
    struct lp_head_view v;
    struct lp_store_stats stats;
    if (t->gap_last > 0) { /* first that is read */
        return;
    }
    lp_head_view(lp_store_head(t->cfg.store), &v);
    lp_store_stats(t->cfg.store, &stats);
    note_visible(t, &v, v.ngens > 0 ? 0 : stats.sealed);
    lp_head_view_clear(&v);
}

bool
lp_tail_look_at(struct lp_tail *t, const struct lp_view *v)
{
    uint64_t sealed;
    const struct lp_head_view *head = lp_view_head(v, &sealed);
    if (t->gap_last > 0) {
        return false;
    }
    note_visible(t, head, sealed);
    return true;
}

bool
lp_tail_follow(struct lp_tail *t, const struct lp_tail *other)
{
    uint64_t known = t->known;
    if (t->gap_last > 0 || other->gap_last > 0 || t->of != NULL || other->of != NULL) {
        return false;
    }
    for (size_t i = 0; i < other->ngens; i++) { /* what t does not know must follow on what it knows */
        uint64_t id = other->gens[i]->gen->id;
        const struct lp_tail_gen *mine = find_gen(t, other->gens[i]->gen);
        known += id == known + 1;
        if (mine != NULL && mine->done > other->gens[i]->done) {
            return false; /* it is ahead */
        }
    }
    if (known != other->known) {
        return false;
    }
    for (size_t i = 0; i < t->ngens; i++) {
        t->gens[i]->final = find_gen(other, t->gens[i]->gen) == NULL;
    }
    for (size_t i = 0; i < other->ngens; i++) {
        struct lp_tail_gen *g = find_gen(t, other->gens[i]->gen);
        if (g == NULL && other->gens[i]->gen->id > t->known) {
            g = add_gen(t, other->gens[i]->gen);
        }
        if (g != NULL) {
            g->visible = other->gens[i]->done;
        }
    }
    show_final(t);
    t->known = known;
    return true;
}

/* --- rows --- */

/* Lets go of generations that are read to their end and stored. */
static void
release(struct lp_tail *t)
{
    size_t n = 0;
    while (n < t->ngens && t->gens[n]->final && t->gens[n]->done == t->gens[n]->visible &&
           (t->gap_last == 0 || t->gens[n]->gen->id < t->gap_first)) {
        lp_tail_cursor_seal(&t->at, t->gens[n]->gen->id);
        t->labels_of = NULL; /* it may have been of this one */
        gen_free(t->gens[n++]);
    }
    t->ngens -= n;
    if (n > 0 && t->ngens > 0) {
        memmove(t->gens, t->gens + n, t->ngens * sizeof(struct lp_tail_gen *));
    }
}

/* The generation with the next batch. NULL: there is none before the gap, or at all. */
static struct lp_tail_gen *
next_gen(const struct lp_tail *t)
{
    for (size_t i = 0; i < t->ngens; i++) {
        if (t->gap_last > 0 && t->gens[i]->gen->id > t->gap_first) {
            return NULL;
        }
        if (t->gens[i]->done < t->gens[i]->visible) {
            return t->gens[i];
        }
    }
    return NULL;
}

static void
init_found(const struct lp_tail *t, struct lp_found *ret)
{
    memset(ret, 0, sizeof(*ret));
    lp_arena_init(&ret->ar, t->cfg.budget_bytes, 1 << 14);
    lp_arena_join(&ret->ar, t->cfg.share);
}

/* From memory until the rows are full, or there is no batch before the gap. */
static lp_rc
rows_of_head(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    size_t bytes = 0;
    ret->rows = lp_arena_array(&ret->ar, limit, sizeof(*ret->rows));
    if (ret->rows == NULL) {
        return lp_tail_over_budget(t, err);
    }
    while (rc == LP_OK && ret->n < limit && bytes < page_bytes) {
        size_t before = ret->n;
        if (t->of == NULL) {
            struct lp_tail_gen *g = next_gen(t);
            if (g == NULL) {
                break;
            }
            rc = lp_tail_head_take(t, g, err);
        }
        rc = rc == LP_OK ? lp_tail_head_rows(t, limit, page_bytes - bytes, ret, err) : rc;
        for (size_t i = before; i < ret->n; i++) {
            bytes += ret->rows[i].line.n;
        }
    }
    return ret->n > 0 ? LP_OK : rc; /* what failed is asked again, and fails again */
}

lp_rc
lp_tail_next(struct lp_tail *t, size_t limit, size_t page_bytes, struct lp_found *ret, struct lp_err *err)
{
    init_found(t, ret);
    lp_rc rc = LP_OK;
    do {
        if (t->stored == NULL) {
            rc = rows_of_head(t, limit, page_bytes, ret, err);
            release(t);
        }
        if (rc == LP_OK && ret->n == 0 && t->stored == NULL && t->gap_last > 0 && next_gen(t) == NULL &&
            t->of == NULL) {
            rc = lp_tail_stored_open(t, err);
        }
        if (rc == LP_OK && ret->n == 0 && t->stored != NULL) {
            rc = lp_tail_stored_rows(t, limit, page_bytes, ret, err);
        }
    } while (rc == LP_OK && ret->n == 0 && (t->stored != NULL || t->gap_last > 0 || next_gen(t) != NULL));
    if (rc != LP_OK) {
        lp_found_clear(ret);
    }
    return rc;
}
