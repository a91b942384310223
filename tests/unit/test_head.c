/*
 * test_head.c - oracle: head.h. Tickets enter in order per source, generations are whole, room is bounded and
 * first come first served.
 */
#include "store/head.h"

#include "base/thread.h"
#include "tests/unit/store_fixture.h"

static struct lp_head *
fresh(size_t seal_bytes)
{
    struct lp_head_config cfg = {seal_bytes, 1 << 20, 1};
    return lp_head_new(&cfg);
}

static struct lp_ticket *
ticket(struct lp_head *h, const struct lp_batch *b, uint64_t n)
{
    size_t room = lp_batch_room(b);
    lp_rc rc = lp_head_room(h, room, 0, NULL);
    LP_ASSERT(rc == LP_OK);
    return lp_head_ticket(h, lp_head_source(h, "journal", 0), n, n + 1, 0, room);
}

static size_t
visible(struct lp_head *h)
{
    struct lp_head_view v;
    size_t rows = 0;
    lp_head_view(h, &v);
    for (size_t g = 0; g < v.ngens; g++) {
        const struct lp_batch *b = v.gens[g].gen->first;
        for (size_t i = 0; i < v.gens[g].nbatches; i++) {
            rows += b->dropped ? 0 : b->nrows;
            b = i + 1 < v.gens[g].nbatches ? b->next : NULL;
        }
    }
    lp_head_view_clear(&v);
    return rows;
}

static void
rows_enter_in_ticket_order(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct lp_batch *b1 = lp_make_batch("one", 10, 0, 1), *b2 = lp_make_batch("two", 5, 0, 2);
    struct lp_ticket *t1 = ticket(h, b1, 1), *t2 = ticket(h, b2, 2), *t3 = ticket(h, b2, 3);
    lp_head_end(h, t2, LP_STORED, b2);
    CU_ASSERT_EQUAL(visible(h), 0); /* the second waits for the first */
    lp_head_end(h, t1, LP_STORED, b1);
    CU_ASSERT_EQUAL(visible(h), 15);
    lp_head_end(h, t3, LP_FAILED, NULL);
    CU_ASSERT_EQUAL(visible(h), 15);
    lp_head_free(h);
}

static void
a_generation_waits_for_its_tickets(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct lp_batch *b1 = lp_make_batch("one", 10, 0, 1);
    struct lp_ticket *t1 = ticket(h, b1, 1);
    struct lp_gen *g;
    CU_ASSERT_EQUAL(lp_head_close(h), 1);
    CU_ASSERT_EQUAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_ERR_TIMEOUT);
    lp_head_end(h, t1, LP_STORED, b1);
    CU_ASSERT_EQUAL_FATAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_OK);
    CU_ASSERT_EQUAL(g->nrows, 10);
    lp_head_drop(h, g);
    CU_ASSERT_EQUAL(visible(h), 0);
    struct lp_head_stats st;
    lp_head_stats(h, &st);
    CU_ASSERT_EQUAL(st.bytes, 0);
    lp_head_free(h);
}

static void
generations_are_sealed_in_order(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct lp_batch *b1 = lp_make_batch("one", 10, 0, 1), *b2 = lp_make_batch("two", 5, 0, 2);
    struct lp_gen *g;
    struct lp_ticket *t1 = ticket(h, b1, 1);
    CU_ASSERT_EQUAL(lp_head_close(h), 1);
    size_t room = lp_batch_room(b2);
    CU_ASSERT_EQUAL(lp_head_room(h, room, 0, NULL), LP_OK);
    lp_head_end(h, lp_head_ticket(h, lp_head_source(h, "other", 0), 1, 2, 0, room), LP_STORED, b2);
    CU_ASSERT_EQUAL(lp_head_close(h), 2);
    /* the second is ready, but must not overtake the first */
    CU_ASSERT_EQUAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_ERR_TIMEOUT);
    lp_head_end(h, t1, LP_STORED, b1);
    for (uint64_t id = 1; id <= 2; id++) {
        CU_ASSERT_EQUAL_FATAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_OK);
        CU_ASSERT_EQUAL(g->id, id);
        lp_head_drop(h, g);
    }
    lp_head_free(h);
}

static void
a_batch_that_does_not_fit_begins_a_generation(void)
{
    struct lp_head *h = fresh(64 << 10);
    struct lp_gen *g;
    for (uint64_t n = 1; n <= 3; n++) {
        struct lp_batch *b = lp_make_batch("x", 300, 0, n); /* about 45 KiB each */
        lp_head_end(h, ticket(h, b, n), LP_STORED, b);
    }
    for (uint64_t id = 1; id <= 2; id++) { /* two closed by the batch behind them, the third is open */
        CU_ASSERT_EQUAL_FATAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_OK);
        CU_ASSERT_EQUAL(g->id, id);
        CU_ASSERT_EQUAL(g->ntickets, 1);
        lp_head_drop(h, g);
    }
    CU_ASSERT_EQUAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_ERR_TIMEOUT);
    lp_head_free(h);
}

static void
room_is_bounded(void)
{
    struct lp_head *h = fresh(1 << 20); /* budget 4 MiB */
    struct lp_err err;
    CU_ASSERT_EQUAL(lp_head_room(h, 5 << 20, 0, &err), LP_ERR_LIMIT);
    CU_ASSERT_EQUAL(lp_head_room(h, 3 << 20, 0, &err), LP_OK);
    CU_ASSERT_EQUAL(lp_head_room(h, 2 << 20, 0, &err), LP_ERR_BUSY);
    CU_ASSERT_EQUAL(lp_head_room(h, 2 << 20, lp_mono_ns() + 5 * LP_NS_PER_MS, &err), LP_ERR_BUSY);
    CU_ASSERT_EQUAL(lp_head_room(h, 1 << 20, 0, &err), LP_OK);
    lp_head_unroom(h, 4 << 20);
    lp_head_stop(h);
    CU_ASSERT_EQUAL(lp_head_room(h, 1, 0, &err), LP_ERR_SHUTDOWN);
    lp_head_free(h);
}

struct waiter {
    struct lp_head *h;
    size_t bytes;
    lp_rc rc;
};

static void
wait_for_room(void *arg)
{
    struct waiter *w = arg;
    w->rc = lp_head_room(w->h, w->bytes, lp_mono_ns() + 20 * LP_NS_PER_S, NULL);
}

static void
room_that_comes_back_wakes_those_who_wait(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct waiter w[3] = {
        {h, 3 << 20, LP_ERR_MISUSE}, {h, 1 << 19, LP_ERR_MISUSE}, {h, 1 << 19, LP_ERR_MISUSE}};
    pthread_t t[3];
    CU_ASSERT_EQUAL_FATAL(lp_head_room(h, 4 << 20, 0, NULL), LP_OK);
    for (int i = 0; i < 3; i++) {
        t[i] = lp_thread_start("waiter", wait_for_room, &w[i]);
    }
    for (int i = 0; i < 8; i++) {
        lp_head_unroom(h, 1 << 19);
    }
    for (int i = 0; i < 3; i++) {
        lp_thread_join(t[i]);
        CU_ASSERT_EQUAL_FATAL(w[i].rc, LP_OK);
        lp_head_unroom(h, w[i].bytes);
    }
    lp_head_free(h);
}

static void
a_lost_partition_leaves_whole(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct lp_source *keep = lp_head_source(h, "kafka/c/t", 0), *lose = lp_head_source(h, "kafka/c/t", 1);
    struct lp_batch *b[3];
    struct lp_ticket *t[3];
    struct lp_gen *g;
    for (uint64_t i = 0; i < 3; i++) {
        b[i] = lp_make_batch("x", 10, 0, i);
        size_t room = lp_batch_room(b[i]);
        CU_ASSERT_EQUAL_FATAL(lp_head_room(h, room, 0, NULL), LP_OK);
        t[i] = lp_head_ticket(h, i == 0 ? keep : lose, i * 10, i * 10 + 10, 0, room);
    }
    lp_head_end(h, t[0], LP_STORED, b[0]);
    lp_head_end(h, t[1], LP_STORED, b[1]);
    CU_ASSERT_EQUAL(lp_head_source_next(h, lose), 30);
    CU_ASSERT_EQUAL(lp_head_drop_source(h, lose), 2); /* one entered, one still decoding */
    CU_ASSERT_EQUAL(lp_head_source_next(h, lose), -1);
    CU_ASSERT_EQUAL(lp_head_source_next(h, keep), 10);
    lp_head_end(h, t[2], LP_STORED, b[2]);
    CU_ASSERT_EQUAL(visible(h), 10);
    lp_head_close(h);
    CU_ASSERT_EQUAL_FATAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_OK);
    CU_ASSERT_EQUAL(g->nrows, 10);
    lp_head_free(h);
}

static void
a_view_stays_as_it_was(void)
{
    struct lp_head *h = fresh(1 << 20);
    struct lp_head_view v;
    struct lp_gen *g;
    struct lp_batch *b1 = lp_make_batch("one", 10, 0, 1), *b2 = lp_make_batch("two", 10, 0, 2);
    lp_head_end(h, ticket(h, b1, 1), LP_STORED, b1);
    lp_head_view(h, &v);
    lp_head_end(h, ticket(h, b2, 2), LP_STORED, b2);
    lp_head_close(h);
    CU_ASSERT_EQUAL_FATAL(lp_head_sealable(h, lp_mono_ns(), &g), LP_OK);
    lp_head_drop(h, g);
    CU_ASSERT_EQUAL_FATAL(v.ngens, 1);
    CU_ASSERT_EQUAL(v.gens[0].nbatches, 1);
    CU_ASSERT_EQUAL(v.gens[0].gen->first->nrows, 10); /* alive although the head dropped it */
    lp_head_view_clear(&v);
    lp_head_free(h);
}

LP_SUITE(head, {"rows enter in ticket order", rows_enter_in_ticket_order},
         {"a generation waits for its tickets", a_generation_waits_for_its_tickets},
         {"generations are sealed in order", generations_are_sealed_in_order},
         {"a batch that does not fit begins a generation", a_batch_that_does_not_fit_begins_a_generation},
         {"room is bounded", room_is_bounded},
         {"room that comes back wakes those who wait", room_that_comes_back_wakes_those_who_wait},
         {"a lost partition leaves whole", a_lost_partition_leaves_whole},
         {"a view stays as it was", a_view_stays_as_it_was});
