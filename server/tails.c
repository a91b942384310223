/*
 * tails.c - see tails.h.
 *
 * Invariants, all under ts->mu:
 * 1. A client is `busy` while a task has it, or it waits to join a feed; only then its own reader is touched,
 * without the lock. Who ends the task frees it if it has gone; the HTTP thread frees one that is not busy.
 * 2. A feed is `busy` while a task reads with its reader. Its clients' places in the buffer, and the buffer,
 * are under the lock.
 * 3. A client is in exactly one list: on its own, waiting to join, or of a feed.
 * 4. Frames are numbered by feed without gaps; the buffer holds [first, end). A client of a feed has a `next`
 * in [first, end]: what falls out of the buffer before it was sent takes the client with it, which then reads
 * by itself behind its last frame, at its own pace, until it has come up to the feed again.
 * 5. A client that took nothing for longer than --tail-patience when it reads by itself skips what came.
 */
#include "server/tails_int.h"

#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "query/result.h"

#define THREADS 4
#define QUEUE (1u << 17)
#define NICE 5
#define LOOK_NS (50 * LP_NS_PER_MS)
#define CLOSE_INTERNAL 1011
#define DROPPED_TOLD 1000
#define DROPPED_BYTES (1u << 20)

static void run_client(void *arg);
static void run_feed(void *arg);

/* --- lists --- */

static void
add_to(struct lp_tail_client **list, struct lp_tail_client *c)
{
    c->next_client = *list;
    *list = c;
}

static bool
take_from(struct lp_tail_client **list, struct lp_tail_client *c)
{
    for (struct lp_tail_client **at = list; *at != NULL; at = &(*at)->next_client) {
        if (*at == c) {
            *at = c->next_client;
            return true;
        }
    }
    return false;
}

/* --- the ends of clients and feeds --- */

static void
client_free(struct lp_tail_client *c)
{
    lp_found_clear(&c->past);
    lp_tail_free(c->own);
    if (c->ws != NULL) {
        lp_ws_unref(c->ws);
    }
    lp_free(c->tenant);
    lp_free(c->query);
    lp_free(c->cursor);
    lp_free(c);
}

static void
feed_free(struct lp_tail_feed *f)
{
    while (f->first < f->end) {
        lp_feed_evict(f);
    }
    lp_tail_free(f->tail);
    lp_free(f->frames);
    lp_free(f->place);
    lp_free(f->tenant);
    lp_free(f->query);
    lp_free(f);
}

/* With the lock held: out of all lists. */
static void
forget(struct lp_tail_client *c)
{
    struct lp_tails *ts = c->ts;
    if (c->feed != NULL) {
        take_from(&c->feed->clients, c);
    } else {
        take_from(&ts->alone, c);
    }
    ts->nclients--;
    lp_metric_set(LP_M_TAILS, (int64_t)ts->nclients);
}

/* A task is done with the client; frees it if it has gone. True: it is still there. */
static bool
let_go(struct lp_tail_client *c)
{
    lp_lock(&c->ts->mu);
    bool gone = atomic_load(&c->gone);
    c->busy = false;
    if (gone) {
        forget(c);
    }
    lp_unlock(&c->ts->mu);
    if (gone) {
        client_free(c);
    }
    return !gone;
}

static void
on_gone(void *ctx)
{
    struct lp_tail_client *c = ctx;
    lp_lock(&c->ts->mu);
    atomic_store(&c->gone, true);
    bool mine = !c->busy;
    if (mine) {
        forget(c);
    }
    lp_unlock(&c->ts->mu);
    if (mine) {
        client_free(c);
    }
}

/* With the lock held, and busy set. The queue has room for all there can be; a pool that stops runs nothing
 * new. */
static void
submit(struct lp_tails *ts, void (*fn)(void *arg), void *arg, bool *busy)
{
    *busy = lp_pool_try(ts->pool, fn, arg) == LP_OK;
}

static void
on_room(void *ctx, int64_t stalled_ns)
{
    struct lp_tail_client *c = ctx;
    lp_lock(&c->ts->mu);
    c->asked = false;
    c->late = c->feed == NULL && stalled_ns > LP_SETTING(&c->ts->s->set, tail_patience);
    if (c->feed != NULL) {
        lp_feed_pump(c, lp_mono_ns());
    } else if (!c->busy && !atomic_load(&c->gone)) {
        submit(c->ts, run_client, c, &c->busy);
    }
    lp_unlock(&c->ts->mu);
}

void
lp_tail_client_alone(struct lp_tail_client *c, const char *cursor)
{
    take_from(&c->feed->clients, c);
    add_to(&c->ts->alone, c);
    c->feed = NULL;
    lp_free(c->cursor);
    c->cursor = lp_strdup(cursor);
    if (!c->asked && !atomic_load(&c->gone)) {
        submit(c->ts, run_client, c, &c->busy);
    }
}

static const struct lp_ws_ops ops = {.room = on_room, .gone = on_gone};

/* --- a client on its own --- */

/* False: it is too large. */
static bool
send_msg(struct lp_tail_client *c, const struct lp_found *found, bool place, const char *notice,
         struct lp_str dropped)
{
    char *cursor = place ? lp_tail_place_text(c->own) : NULL;
    struct lp_ws_msg *m = lp_tail_msg(found, c->ask.categorize, cursor, notice, dropped);
    if (m != NULL) {
        lp_ws_send(c->ws, m);
        lp_ws_msg_unref(m);
    }
    lp_free(cursor);
    return m != NULL;
}

static bool
send_rows(struct lp_tail_client *c, const struct lp_found *found, bool place)
{
    return send_msg(c, found, place, lp_tail_missed(c->own), LP_STR_NULL);
}

/* Frames of the past; only the last has a cursor, because the place is behind all of them. */
static lp_rc
send_past(struct lp_tail_client *c, struct lp_err *err)
{
    struct lp_found f = c->past;
    lp_rc rc = LP_OK;
    for (size_t at = 0; at < c->past.n && rc == LP_OK; at += f.n) {
        size_t bytes = 0;
        f.rows = c->past.rows + at;
        for (f.n = 0;
             at + f.n < c->past.n && f.n < LP_TAIL_FRAME_LINES && bytes < LP_TAIL_FRAME_LINE_BYTES; f.n++) {
            bytes += f.rows[f.n].line.n;
        }
        if (!send_rows(c, &f, at + f.n == c->past.n)) {
            rc = lp_err_set(err, LP_ERR_LIMIT, "a line is too large for a frame");
        }
    }
    lp_found_clear(&c->past);
    return rc;
}

static lp_rc
make_own(struct lp_tail_client *c, struct lp_err *err)
{
    struct lp_server *s = c->ts->s;
    struct lp_tail_config cfg = {.store = s->store,
                                 .tenant = lp_str_c(c->tenant),
                                 .query = lp_str_c(c->query),
                                 .pool = s->queries,
                                 .share = &s->query_memory,
                                 .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
                                 .cancel = &c->gone};
    return lp_tail_new(&cfg, &c->own, err);
}

/* Up to DROPPED_TOLD of the next lines, as dropped. */
static lp_rc
gather_dropped(struct lp_tail_client *c, struct lp_buf *out, size_t *ret_n, struct lp_err *err)
{
    struct lp_found f;
    lp_rc rc = LP_OK;
    bool more = true;
    *ret_n = 0;
    lp_tail_look(c->own);
    while (rc == LP_OK && more && *ret_n < DROPPED_TOLD && out->n < DROPPED_BYTES) {
        rc = lp_tail_next(c->own, LP_TAIL_FRAME_LINES, LP_TAIL_FRAME_LINE_BYTES, &f, err);
        if (rc != LP_OK) {
            break;
        }
        more = f.n > 0;
        *ret_n += f.n;
        rc = lp_result_dropped(&f, out, err);
        lp_found_clear(&f);
    }
    return rc;
}

/* The client took nothing for so long that it goes on with what is new, and is told what it missed. */
static lp_rc
skip(struct lp_tail_client *c, struct lp_err *err)
{
    struct lp_buf dropped;
    struct lp_found none;
    size_t n;
    char notice[128];
    lp_buf_init(&dropped, 64 << 20);
    lp_rc rc = gather_dropped(c, &dropped, &n, err);
    rc = rc == LP_OK && n >= DROPPED_TOLD ? lp_tail_begin(c->own, LP_TIME_MIN, 0, INT64_MAX, &none, err) : rc;
    if (rc == LP_OK && n > 0) {
        snprintf(notice, sizeof(notice), "%s%zu lines were left out: they came faster than you took them",
                 n >= DROPPED_TOLD ? "more than " : "", n);
        lp_metric_add(LP_M_TAIL_DROPPED, (int64_t)n);
        (void)send_msg(c, NULL, true, notice, lp_buf_view(&dropped));
    }
    lp_buf_clear(&dropped);
    return rc;
}

/* Behind the cursor of the feed that it has left. */
static lp_rc
go_on(struct lp_tail_client *c, struct lp_err *err)
{
    LP_ASSERT(c->own == NULL); /* the feed has it */
    lp_rc rc = make_own(c, err);
    rc = rc == LP_OK ? lp_tail_resume(c->own, lp_str_c(c->cursor), err) : rc;
    lp_free(c->cursor);
    c->cursor = NULL;
    return rc;
}

enum step { STEP_MORE, STEP_LEVEL, STEP_ERROR };

/* One frame, if there is one. */
static enum step
step(struct lp_tail_client *c, struct lp_err *err)
{
    struct lp_found f;
    if (c->cursor != NULL) {
        return go_on(c, err) == LP_OK ? STEP_MORE : STEP_ERROR;
    }
    if (c->past.n > 0) {
        return send_past(c, err) == LP_OK ? STEP_MORE : STEP_ERROR;
    }
    if (c->late) {
        c->late = false;
        return skip(c, err) == LP_OK ? STEP_MORE : STEP_ERROR;
    }
    lp_rc rc = lp_tail_next(c->own, LP_TAIL_FRAME_LINES, LP_TAIL_FRAME_LINE_BYTES, &f, err);
    if (rc == LP_OK && f.n == 0) {
        lp_found_clear(&f);
        lp_tail_look(c->own);
        rc = lp_tail_next(c->own, LP_TAIL_FRAME_LINES, LP_TAIL_FRAME_LINE_BYTES, &f, err);
    }
    if (rc != LP_OK) {
        return STEP_ERROR;
    }
    size_t n = f.n;
    bool sent = n == 0 || send_rows(c, &f, true);
    lp_found_clear(&f);
    return sent && n > 0 ? STEP_MORE : n == 0 ? STEP_LEVEL : STEP_ERROR;
}

/* With the lock held: is it full, and will there be a call? Then the client is not busy any more. */
static bool
park(struct lp_tail_client *c)
{
    if (lp_ws_unsent(c->ws) < LP_TAIL_UNSENT_MAX) {
        return false;
    }
    c->busy = false;
    c->asked = lp_ws_want_room(c->ws);
    c->busy = !c->asked;
    return c->asked;
}

static void
rest(const struct lp_tail_client *c)
{
    if (c->own != NULL) {
        lp_tail_rest(c->own);
    }
}

static void
give_up(struct lp_tail_client *c, const struct lp_err *err)
{
    rest(c);
    lp_ws_close(c->ws, CLOSE_INTERNAL, err->text[0] != 0 ? err->text : "the tail cannot go on");
    (void)let_go(c);
}

static struct lp_tail_feed *
find_feed(struct lp_tails *ts, const struct lp_tail_client *c)
{
    for (struct lp_tail_feed *f = ts->feeds; f != NULL; f = f->next_feed) {
        if (strcmp(f->tenant, c->tenant) == 0 && strcmp(f->query, c->query) == 0 &&
            f->categorize == c->ask.categorize && !f->failed) {
            return f;
        }
    }
    return NULL;
}

/* With the lock held: the client's reader becomes that of a new feed. */
static struct lp_tail_feed *
found_feed(struct lp_tail_client *c)
{
    struct lp_tails *ts = c->ts;
    struct lp_tail_feed *f = lp_calloc(1, sizeof(*f));
    f->ts = ts;
    f->tenant = lp_strdup(c->tenant);
    f->query = lp_strdup(c->query);
    f->categorize = c->ask.categorize;
    f->tail = c->own;
    f->place = lp_tail_place_text(f->tail);
    lp_tail_cancel_on(f->tail, NULL);
    c->own = NULL;
    f->next_feed = ts->feeds;
    ts->feeds = f;
    return f;
}

static void
enter_feed(struct lp_tail_client *c, struct lp_tail_feed *f)
{
    take_from(&c->ts->alone, c);
    c->feed = f;
    c->next = f->end;
    c->busy = false;
    add_to(&f->clients, c);
}

/* The client has come up to what there is. It waits for the feed to take it at its next pass; it stays busy.
 */
static void
join(struct lp_tail_client *c)
{
    struct lp_tails *ts = c->ts;
    lp_lock(&ts->mu);
    struct lp_tail_feed *f = find_feed(ts, c);
    if (f == NULL) {
        enter_feed(c, found_feed(c));
        if (atomic_load(&c->gone)) {
            c->busy = true; /* let_go frees it */
        }
    } else {
        take_from(&ts->alone, c);
        add_to(&f->joiners, c);
        if (!f->busy) {
            submit(ts, run_feed, f, &f->busy);
        }
    }
    bool gone = f == NULL && c->busy;
    lp_cond_broadcast(&ts->changed);
    lp_unlock(&ts->mu);
    if (gone) {
        (void)let_go(c);
    }
}

static void
run_client(void *arg)
{
    struct lp_tail_client *c = arg;
    struct lp_err err;
    lp_err_clear(&err);
    for (;;) {
        if (lp_ws_unsent(c->ws) >= LP_TAIL_UNSENT_MAX) {
            rest(c); /* it may be long until it goes on */
        }
        lp_lock(&c->ts->mu);
        bool gone = atomic_load(&c->gone), parked = !gone && park(c);
        lp_unlock(&c->ts->mu);
        if (parked) {
            return;
        }
        if (gone) {
            (void)let_go(c);
            return;
        }
        enum step s = step(c, &err);
        if (s == STEP_ERROR) {
            give_up(c, &err);
            return;
        }
        if (s == STEP_LEVEL) {
            join(c);
            return;
        }
    }
}

/* --- feeds --- */

/* Reads what is new, and gives it to the clients. */
static lp_rc
read_feed(struct lp_tail_feed *f, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    bool more = true;
    lp_tail_look(f->tail);
    while (rc == LP_OK && more) {
        struct lp_found found;
        struct lp_feed_frame frame;
        rc = lp_tail_next(f->tail, LP_TAIL_FRAME_LINES, LP_TAIL_FRAME_LINE_BYTES, &found, err);
        if (rc != LP_OK) {
            break;
        }
        const char *notice = lp_tail_missed(f->tail);
        more = found.n > 0;
        if (more || notice != NULL) {
            if (lp_feed_make_frame(f, &found, notice, &frame)) {
                lp_feed_publish(f, frame);
            } else {
                rc = lp_err_set(err, LP_ERR_LIMIT, "a line is too large for a frame");
            }
        }
        lp_found_clear(&found);
    }
    if (rc == LP_ERR_BUSY) { /* memory is short: at the next pass, perhaps */
        lp_tail_rest(f->tail);
        rc = LP_OK;
    }
    return rc;
}

/* The client gets what lies between it and the feed. False: it is too far behind, or ahead. */
static bool
catch_up(struct lp_tail_client *c, const struct lp_tail_feed *f)
{
    struct lp_found found;
    bool more = true;
    if (!lp_tail_follow(c->own, f->tail)) {
        return false;
    }
    while (more) {
        if (lp_tail_next(c->own, LP_TAIL_FRAME_LINES, LP_TAIL_FRAME_LINE_BYTES, &found, NULL) != LP_OK) {
            return false;
        }
        more = found.n > 0 && send_rows(c, &found, true);
        lp_found_clear(&found);
    }
    return true;
}

static void
settle(struct lp_tail_client *c, struct lp_tail_feed *f)
{
    bool level = !atomic_load(&c->gone) && !f->failed && catch_up(c, f);
    struct lp_tail *own = level ? c->own : NULL;
    lp_lock(&f->ts->mu);
    bool gone = atomic_load(&c->gone);
    add_to(&f->ts->alone, c);
    if (level) {
        c->own = NULL;
    }
    if (!gone && level) {
        enter_feed(c, f);
    } else if (!gone) {
        submit(f->ts, run_client, c, &c->busy);
    }
    lp_unlock(&f->ts->mu);
    lp_tail_free(own);
    if (gone) {
        (void)let_go(c);
    }
}

/* Nothing more will come of it: its clients are told why. */
static void
close_feed(struct lp_tail_feed *f, const struct lp_err *err)
{
    lp_tail_rest(f->tail);
    lp_lock(&f->ts->mu);
    f->failed = true;
    for (struct lp_tail_client *c = f->clients; c != NULL; c = c->next_client) {
        c->next = f->end;
        lp_ws_close(c->ws, CLOSE_INTERNAL, err->text);
    }
    lp_unlock(&f->ts->mu);
}

/* With the lock held. */
static void
remove_feed(struct lp_tail_feed *f)
{
    struct lp_tail_feed **at = &f->ts->feeds;
    while (*at != f) {
        at = &(*at)->next_feed;
    }
    *at = f->next_feed;
}

/* Is the pass the last for now? *ret_dead: the feed is nobody's any more, and in no list. */
static bool
end_pass(struct lp_tail_feed *f, bool *ret_dead)
{
    lp_lock(&f->ts->mu);
    bool again = f->joiners != NULL;
    *ret_dead = !again && f->clients == NULL;
    f->busy = again;
    if (*ret_dead) {
        remove_feed(f);
    }
    lp_unlock(&f->ts->mu);
    return !again;
}

static void
run_feed(void *arg)
{
    static _Thread_local bool lowered;
    struct lp_tail_feed *f = arg;
    bool dead = false;
    if (!lowered) {
        lp_thread_nice(NICE);
        lowered = true;
    }
    do {
        struct lp_err err;
        lp_err_clear(&err);
        lp_lock(&f->ts->mu);
        struct lp_tail_client *joiners =
            f->joiners; /* those that came before this look: none of them is ahead of it */
        f->joiners = NULL;
        lp_unlock(&f->ts->mu);
        if (!f->failed && read_feed(f, &err) != LP_OK) {
            close_feed(f, &err);
        }
        for (struct lp_tail_client *c = joiners, *next; c != NULL; c = next) {
            next = c->next_client;
            settle(c, f);
        }
    } while (!end_pass(f, &dead));
    if (dead) {
        feed_free(f);
    }
}

/* --- the thread that looks --- */

/* With the lock held: every feed reads what is new. Whether somebody waits for time to pass. */
static bool
wake_feeds(struct lp_tails *ts)
{
    int64_t now_ns = lp_mono_ns();
    bool delayed = false;
    for (struct lp_tail_feed *f = ts->feeds; f != NULL; f = f->next_feed) {
        for (struct lp_tail_client *c = f->clients; c != NULL; c = c->next_client) {
            if (c->ask.delay_ns > 0) {
                lp_feed_pump(c, now_ns);
                delayed = delayed || c->next < f->end;
            }
        }
        if (!f->busy && (!f->failed || f->clients == NULL)) {
            submit(ts, run_feed, f, &f->busy);
        }
    }
    return delayed;
}

static void
watch(void *arg)
{
    struct lp_tails *ts = arg;
    struct lp_head *head = lp_store_head(ts->s->store);
    uint64_t seen = 0;
    lp_lock(&ts->mu);
    while (!ts->stopping) {
        if (ts->nclients == 0 && ts->feeds == NULL) {
            lp_cond_wait(&ts->changed, &ts->mu);
            continue;
        }
        bool delayed = wake_feeds(ts);
        lp_unlock(&ts->mu);
        lp_store_note_tail(ts->s->store);
        int64_t now_ns = lp_mono_ns();
        seen = lp_head_await(head, seen, now_ns + (delayed ? LOOK_NS : LP_NS_PER_S / 4));
        lp_lock(&ts->mu);
        while (!ts->stopping && lp_cond_wait_until(&ts->changed, &ts->mu, now_ns + LOOK_NS)) {
        }
    }
    lp_unlock(&ts->mu);
}

/* --- for the server --- */

struct lp_tails *
lp_tails_new(struct lp_server *s)
{
    struct lp_tails *ts = lp_calloc(1, sizeof(*ts));
    ts->s = s;
    lp_mutex_init(&ts->mu, LP_LOCK_TAILS);
    lp_cond_init(&ts->changed);
    ts->pool = lp_pool_new("tail", THREADS, QUEUE);
    ts->thread = lp_thread_start("tails", watch, ts);
    return ts;
}

void
lp_tails_stop(struct lp_tails *ts)
{
    if (ts == NULL || ts->stopping) {
        return;
    }
    lp_lock(&ts->mu);
    ts->stopping = true;
    lp_cond_broadcast(&ts->changed);
    lp_unlock(&ts->mu);
    lp_thread_join(ts->thread);
    lp_pool_stop(ts->pool);
}

/* When nobody else has them any more. */
static void
free_all(struct lp_tail_client *list)
{
    while (list != NULL) {
        struct lp_tail_client *next = list->next_client;
        client_free(list);
        list = next;
    }
}

void
lp_tails_free(struct lp_tails *ts)
{
    if (ts == NULL) {
        return;
    }
    lp_tails_stop(ts);
    lp_pool_free(ts->pool);
    for (struct lp_tail_feed *f = ts->feeds, *next; f != NULL; f = next) {
        next = f->next_feed;
        free_all(f->joiners); /* what came to be there after the pool had stopped */
        free_all(f->clients);
        f->clients = NULL;
        feed_free(f);
    }
    free_all(ts->alone);
    lp_cond_destroy(&ts->changed);
    lp_mutex_destroy(&ts->mu);
    lp_free(ts);
}

static struct lp_tail_client *
client_new(struct lp_tails *ts, const struct lp_tail_ask *ask)
{
    struct lp_tail_client *c = lp_calloc(1, sizeof(*c));
    c->ts = ts;
    c->ask = *ask;
    c->tenant = lp_str_dup(ask->tenant);
    c->query = lp_str_dup(ask->query);
    c->busy = true;
    return c;
}

static lp_rc
count_in(struct lp_tails *ts, struct lp_tail_client *c, struct lp_err *err)
{
    lp_lock(&ts->mu);
    bool full = ts->nclients >= (size_t)LP_SETTING(&ts->s->set, tails);
    if (!full) {
        ts->nclients++;
        add_to(&ts->alone, c);
        lp_metric_set(LP_M_TAILS, (int64_t)ts->nclients);
    }
    lp_cond_broadcast(&ts->changed);
    lp_unlock(&ts->mu);
    return full ? lp_err_set(err, LP_ERR_BUSY,
                             "there are as many live tails as --tails allows; end one of them")
                : LP_OK;
}

/* The place where it begins, which is taken before the client hears that it has: what comes from then on comes to it. */
static lp_rc
take_place(struct lp_tail_client *c, const struct lp_http_req *req, struct lp_err *err)
{
    int64_t deadline_ns = lp_mono_ns() + LP_SETTING(&c->ts->s->set, query_timeout);
    if (c->ask.cursor.n > 0) {
        return lp_tail_resume(c->own, c->ask.cursor, err);
    }
    lp_tail_cancel_on(c->own, lp_http_gone_flag(req));
    lp_rc rc = lp_tail_begin(c->own, c->ask.from_ns, c->ask.limit, deadline_ns, &c->past, err);
    lp_tail_cancel_on(c->own, &c->gone);
    if (rc == LP_OK && c->past.n == 0) {
        lp_found_clear(&c->past);
    }
    return rc;
}

lp_rc
lp_tails_add(struct lp_tails *ts, struct lp_http_req *req, const struct lp_tail_ask *ask, struct lp_err *err)
{
    struct lp_server *s = ts->s;
    struct lp_tail_client *c = client_new(ts, ask);
    lp_rc rc = memchr(c->query, 0, ask->query.n) == NULL && memchr(c->tenant, 0, ask->tenant.n) == NULL
                   ? make_own(c, err)
                   : lp_err_set(err, LP_ERR_PARSE, "a query holds no NUL byte");
    rc = rc == LP_OK ? take_place(c, req, err) : rc;
    if (rc == LP_OK) {
        rc = count_in(ts, c, err);
    }
    if (rc != LP_OK) {
        client_free(c);
        return rc;
    }
    lp_store_note_tail(s->store);
    lp_http_upgrade(req, &ops, c, &c->ws);
    lp_lock(&ts->mu);
    bool started = lp_pool_try(ts->pool, run_client, c) == LP_OK;
    lp_unlock(&ts->mu);
    if (!started) { /* the server stops */
        (void)let_go(c);
    }
    return LP_OK;
}
