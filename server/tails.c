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
 * in [first, end]: what left the buffer before it was sent is in its `dropped`.
 */
#include "server/tails.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "query/result.h"
#include "server/server.h"
#include "server/ws.h"

#define THREADS 4
#define QUEUE (1u << 17)
#define NICE 5
#define LOOK_NS (50 * LP_NS_PER_MS)
#define FRAME_LINES 100
#define FRAME_LINE_BYTES (256u << 10)
#define FRAME_TEXT_MAX ((size_t)256 << 20)
#define UNSENT_MAX (1u << 20) /* of one client, in its connection's buffer */
#define DROPPED_TOLD 1000
#define DROPPED_BYTES_MAX (1u << 20)
#define CLOSE_INTERNAL 1011

/* A line of a frame, for when it is dropped: its labels are these bytes of the message. */
struct line {
    int64_t time_ns;
    size_t labels, bytes;
};

struct frame {
    struct lp_ws_msg *msg;
    int64_t born_ns;
    size_t nlines;
    struct line *lines;
};

struct client {
    struct client *next_client;
    struct lp_tails *ts;
    struct feed *feed; /* NULL: on its own */
    struct lp_ws *ws;
    atomic_bool gone;
    bool busy, begun, asked; /* asked: the HTTP thread will call when there is room */
    char *tenant, *query, *cursor;
    struct lp_tail_ask ask;
    struct lp_tail *own;
    uint64_t next;         /* the frame to be sent next */
    struct lp_buf dropped; /* elements of dropped_entries */
    uint64_t ndropped, told;
};

struct feed {
    struct feed *next_feed;
    struct lp_tails *ts;
    char *tenant, *query;
    bool categorize, busy;
    bool failed; /* its reader cannot go on: it ends with its clients */
    struct lp_tail *tail;
    struct client *clients, *joiners;
    struct frame *frames; /* ring: number modulo cap */
    size_t cap;
    uint64_t first, end;
    size_t bytes;
};

struct lp_tails {
    struct lp_server *s;
    struct lp_pool *pool;
    pthread_t thread;
    struct lp_mutex mu; /* LP_LOCK_TAILS: what follows, and what the invariants say */
    struct lp_cond changed;
    bool stopping;
    size_t nclients;
    struct feed *feeds;
    struct client *alone; /* on their own */
};

static void run_client(void *arg);
static void run_feed(void *arg);

/* --- lists --- */

static void
add_to(struct client **list, struct client *c)
{
    c->next_client = *list;
    *list = c;
}

static bool
take_from(struct client **list, struct client *c)
{
    for (struct client **at = list; *at != NULL; at = &(*at)->next_client) {
        if (*at == c) {
            *at = c->next_client;
            return true;
        }
    }
    return false;
}

/* --- frames --- */

/* Behind the frame's head. */
static struct lp_str
payload_of(const struct lp_ws_msg *m)
{
    size_t head = (uint8_t)m->p[1] == 127 ? 10 : (uint8_t)m->p[1] == 126 ? 4 : 2;
    return lp_str_of(m->p + head, m->n - head);
}

/* A message of the rows, with the reader's place unless place is NULL; NULL: it is too large. */
static struct lp_ws_msg *
make_msg(const struct lp_found *found, bool categorize, const struct lp_tail *place, const char *notice,
         struct lp_str dropped, size_t (*offs)[2])
{
    struct lp_buf text, cursor;
    struct lp_ws_msg *m = NULL;
    lp_buf_init(&text, FRAME_TEXT_MAX);
    lp_buf_init(&cursor, 1 << 20);
    if (place != NULL) {
        lp_tail_place(place, &cursor);
    }
    struct lp_tail_frame frame = {.found = found,
                                  .categorize = categorize,
                                  .dropped = dropped,
                                  .notice = notice != NULL ? lp_str_c(notice) : LP_STR_NULL,
                                  .cursor = lp_buf_view(&cursor)};
    if (lp_result_tail(&frame, offs, &text, NULL) == LP_OK) {
        m = lp_ws_msg_text(lp_buf_view(&text));
    }
    lp_buf_clear(&text);
    lp_buf_clear(&cursor);
    return m;
}

static void
frame_clear(struct frame *f)
{
    lp_ws_msg_unref(f->msg);
    lp_free(f->lines);
}

static size_t
frame_bytes(const struct frame *f)
{
    return f->msg->n + f->nlines * sizeof(struct line) + sizeof(*f);
}

/* False: it is too large. */
static bool
make_frame(const struct feed *feed, const struct lp_found *found, const char *notice, struct frame *ret)
{
    size_t offs[FRAME_LINES][2];
    LP_ASSERT(found->n <= FRAME_LINES);
    *ret = (struct frame){.msg = make_msg(found, feed->categorize, feed->tail, notice, LP_STR_NULL, offs),
                          .born_ns = lp_mono_ns(),
                          .nlines = found->n};
    if (ret->msg == NULL) {
        return false;
    }
    ret->lines = lp_malloc(found->n * sizeof(*ret->lines));
    for (size_t i = 0; i < found->n; i++) {
        ret->lines[i] = (struct line){found->rows[i].time_ns, offs[i][0], offs[i][1]};
    }
    return true;
}

/* --- clients of feeds; with the lock held --- */

static struct frame *
frame_at(const struct feed *f, uint64_t number)
{
    return &f->frames[number % f->cap];
}

static void
note_dropped(struct client *c, const struct frame *f)
{
    struct lp_str text = payload_of(f->msg);
    c->ndropped += f->nlines;
    lp_metric_add(LP_M_TAIL_DROPPED, (int64_t)f->nlines);
    for (size_t i = 0; i < f->nlines && c->told < DROPPED_TOLD && c->dropped.n < DROPPED_BYTES_MAX; i++) {
        lp_buf_printf(&c->dropped, "%s{\"timestamp\":\"%lld\",\"labels\":", c->told > 0 ? "," : "",
                      (long long)f->lines[i].time_ns);
        lp_buf_add(&c->dropped, text.p + f->lines[i].labels, f->lines[i].bytes);
        lp_buf_byte(&c->dropped, '}');
        c->told++;
    }
}

/* What the client missed, before it gets more. */
static void
tell_dropped(struct client *c)
{
    char notice[128];
    if (c->ndropped == 0) {
        return;
    }
    snprintf(notice, sizeof(notice), "%llu lines were left out: they came faster than you took them",
             (unsigned long long)c->ndropped);
    struct lp_ws_msg *m = make_msg(NULL, c->ask.categorize, NULL, notice, lp_buf_view(&c->dropped), NULL);
    if (m != NULL) {
        lp_ws_send(c->ws, m);
        lp_ws_msg_unref(m);
    }
    lp_buf_clear(&c->dropped);
    c->ndropped = c->told = 0;
}

/* Sends what the client may have now. */
static void
pump(struct client *c, int64_t now_ns)
{
    struct feed *f = c->feed;
    while (c->next < f->end && !c->asked && !atomic_load(&c->gone)) {
        const struct frame *frame = frame_at(f, c->next);
        if (frame->born_ns + c->ask.delay_ns > now_ns) {
            return;
        }
        if (lp_ws_unsent(c->ws) >= UNSENT_MAX) {
            c->asked = lp_ws_want_room(c->ws);
            continue;
        }
        tell_dropped(c);
        lp_ws_send(c->ws, frame->msg);
        c->next++;
    }
}

static void
count_memory(const struct feed *f, size_t more, size_t less)
{
    size_t *used = &f->ts->s->query_memory.used;
    __atomic_add_fetch(used, more, __ATOMIC_RELAXED);
    __atomic_sub_fetch(used, less, __ATOMIC_RELAXED);
}

/* The oldest frame leaves the buffer. */
static void
evict(struct feed *f)
{
    struct frame *frame = frame_at(f, f->first);
    for (struct client *c = f->clients; c != NULL; c = c->next_client) {
        if (c->next == f->first) {
            note_dropped(c, frame);
            c->next++;
        }
    }
    f->bytes -= frame_bytes(frame);
    count_memory(f, 0, frame_bytes(frame));
    frame_clear(frame);
    f->first++;
}

static void
grow(struct feed *f)
{
    size_t cap = f->cap ? f->cap * 2 : 64;
    struct frame *v = lp_malloc(cap * sizeof(*v));
    for (uint64_t i = f->first; i < f->end; i++) {
        v[i % cap] = *frame_at(f, i);
    }
    lp_free(f->frames);
    f->frames = v;
    f->cap = cap;
}

static void
publish(struct feed *f, struct frame frame)
{
    size_t most = (size_t)LP_SETTING(&f->ts->s->set, tail_buffer);
    int64_t now_ns = lp_mono_ns();
    lp_lock(&f->ts->mu);
    if (f->end - f->first == f->cap) {
        grow(f);
    }
    f->end++;
    *frame_at(f, f->end - 1) = frame;
    f->bytes += frame_bytes(&frame);
    count_memory(f, frame_bytes(&frame), 0);
    for (struct client *c = f->clients; c != NULL; c = c->next_client) {
        pump(c, now_ns);
    }
    while (f->bytes > most && f->end - f->first > 1) {
        evict(f);
    }
    lp_unlock(&f->ts->mu);
}

/* --- the ends of clients and feeds --- */

static void
client_free(struct client *c)
{
    lp_tail_free(c->own);
    if (c->ws != NULL) {
        lp_ws_unref(c->ws);
    }
    lp_buf_clear(&c->dropped);
    lp_free(c->tenant);
    lp_free(c->query);
    lp_free(c->cursor);
    lp_free(c);
}

static void
feed_free(struct feed *f)
{
    while (f->first < f->end) {
        evict(f);
    }
    lp_tail_free(f->tail);
    lp_free(f->frames);
    lp_free(f->tenant);
    lp_free(f->query);
    lp_free(f);
}

/* With the lock held: out of all lists. */
static void
forget(struct client *c)
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
let_go(struct client *c)
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
    struct client *c = ctx;
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
on_room(void *ctx)
{
    struct client *c = ctx;
    lp_lock(&c->ts->mu);
    c->asked = false;
    if (c->feed != NULL) {
        pump(c, lp_mono_ns());
    } else if (!c->busy && !atomic_load(&c->gone)) {
        submit(c->ts, run_client, c, &c->busy);
    }
    lp_unlock(&c->ts->mu);
}

static const struct lp_ws_ops ops = {.room = on_room, .gone = on_gone};

/* --- a client on its own --- */

static bool
send_rows(struct client *c, const struct lp_found *found, bool place)
{
    struct lp_ws_msg *m =
        make_msg(found, c->ask.categorize, place ? c->own : NULL, lp_tail_missed(c->own), LP_STR_NULL, NULL);
    if (m != NULL) {
        lp_ws_send(c->ws, m);
        lp_ws_msg_unref(m);
    }
    return m != NULL;
}

/* Frames of the past; only the last has a cursor, because the place is behind all of them. */
static lp_rc
send_past(struct client *c, struct lp_err *err)
{
    struct lp_found f;
    int64_t deadline_ns = lp_mono_ns() + LP_SETTING(&c->ts->s->set, query_timeout);
    lp_rc rc = lp_tail_begin(c->own, c->ask.from_ns, c->ask.limit, deadline_ns, &f, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_found_row *rows = f.rows;
    size_t n = f.n;
    for (size_t at = 0; at < n && rc == LP_OK; at += f.n) {
        size_t bytes = 0;
        f.rows = rows + at;
        for (f.n = 0; at + f.n < n && f.n < FRAME_LINES && bytes < FRAME_LINE_BYTES; f.n++) {
            bytes += f.rows[f.n].line.n;
        }
        if (!send_rows(c, &f, at + f.n == n)) {
            rc = lp_err_set(err, LP_ERR_LIMIT, "a line is too large for a frame");
        }
    }
    lp_found_clear(&f);
    return rc;
}

enum step { STEP_MORE, STEP_LEVEL, STEP_ERROR };

/* One frame, if there is one. */
static enum step
step(struct client *c, struct lp_err *err)
{
    struct lp_found f;
    if (!c->begun) {
        c->begun = true;
        return c->cursor == NULL && send_past(c, err) != LP_OK ? STEP_ERROR : STEP_MORE;
    }
    lp_rc rc = lp_tail_next(c->own, FRAME_LINES, FRAME_LINE_BYTES, &f, err);
    if (rc == LP_OK && f.n == 0) {
        lp_found_clear(&f);
        rc = lp_tail_look(c->own, err);
        rc = rc == LP_OK ? lp_tail_next(c->own, FRAME_LINES, FRAME_LINE_BYTES, &f, err) : rc;
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
park(struct client *c)
{
    if (lp_ws_unsent(c->ws) < UNSENT_MAX) {
        return false;
    }
    c->busy = false;
    c->asked = lp_ws_want_room(c->ws);
    c->busy = !c->asked;
    return c->asked;
}

static void
give_up(struct client *c, const struct lp_err *err)
{
    lp_tail_rest(c->own);
    lp_ws_close(c->ws, CLOSE_INTERNAL, err->text[0] != 0 ? err->text : "the tail cannot go on");
    (void)let_go(c);
}

static struct feed *
find_feed(struct lp_tails *ts, const struct client *c)
{
    for (struct feed *f = ts->feeds; f != NULL; f = f->next_feed) {
        if (strcmp(f->tenant, c->tenant) == 0 && strcmp(f->query, c->query) == 0 &&
            f->categorize == c->ask.categorize && !f->failed) {
            return f;
        }
    }
    return NULL;
}

/* With the lock held: the client's reader becomes that of a new feed. */
static struct feed *
found_feed(struct client *c)
{
    struct lp_tails *ts = c->ts;
    struct feed *f = lp_calloc(1, sizeof(*f));
    f->ts = ts;
    f->tenant = lp_strdup(c->tenant);
    f->query = lp_strdup(c->query);
    f->categorize = c->ask.categorize;
    f->tail = c->own;
    lp_tail_cancel_on(f->tail, NULL);
    c->own = NULL;
    f->next_feed = ts->feeds;
    ts->feeds = f;
    return f;
}

static void
enter_feed(struct client *c, struct feed *f)
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
join(struct client *c)
{
    struct lp_tails *ts = c->ts;
    lp_lock(&ts->mu);
    struct feed *f = find_feed(ts, c);
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
    struct client *c = arg;
    struct lp_err err;
    lp_err_clear(&err);
    for (;;) {
        if (lp_ws_unsent(c->ws) >= UNSENT_MAX) {
            lp_tail_rest(c->own); /* it may be long until it goes on */
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
read_feed(struct feed *f, struct lp_err *err)
{
    lp_rc rc = lp_tail_look(f->tail, err);
    bool more = true;
    while (rc == LP_OK && more) {
        struct lp_found found;
        struct frame frame;
        rc = lp_tail_next(f->tail, FRAME_LINES, FRAME_LINE_BYTES, &found, err);
        if (rc != LP_OK) {
            break;
        }
        const char *notice = lp_tail_missed(f->tail);
        more = found.n > 0;
        if (more || notice != NULL) {
            if (make_frame(f, &found, notice, &frame)) {
                publish(f, frame);
            } else {
                rc = lp_err_set(err, LP_ERR_LIMIT, "a line is too large for a frame");
            }
        }
        lp_found_clear(&found);
    }
    return rc == LP_ERR_BUSY ? LP_OK : rc; /* memory is short; at the next pass, perhaps */
}

/* The client gets what lies between it and the feed. False: it is too far behind, or ahead. */
static bool
catch_up(struct client *c, const struct feed *f)
{
    struct lp_found found;
    bool more = true;
    if (!lp_tail_follow(c->own, f->tail)) {
        return false;
    }
    while (more) {
        if (lp_tail_next(c->own, FRAME_LINES, FRAME_LINE_BYTES, &found, NULL) != LP_OK) {
            return false;
        }
        more = found.n > 0 && send_rows(c, &found, true);
        lp_found_clear(&found);
    }
    return true;
}

static void
settle(struct client *c, struct feed *f)
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
close_feed(struct feed *f, const struct lp_err *err)
{
    lp_tail_rest(f->tail);
    lp_lock(&f->ts->mu);
    f->failed = true;
    for (struct client *c = f->clients; c != NULL; c = c->next_client) {
        c->next = f->end;
        lp_ws_close(c->ws, CLOSE_INTERNAL, err->text);
    }
    lp_unlock(&f->ts->mu);
}

/* With the lock held. */
static void
remove_feed(struct feed *f)
{
    struct feed **at = &f->ts->feeds;
    while (*at != f) {
        at = &(*at)->next_feed;
    }
    *at = f->next_feed;
}

/* Is the pass the last for now? *ret_dead: the feed is nobody's any more, and in no list. */
static bool
end_pass(struct feed *f, bool *ret_dead)
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
    struct feed *f = arg;
    bool dead = false;
    if (!lowered) {
        lp_thread_nice(NICE);
        lowered = true;
    }
    do {
        struct lp_err err;
        lp_err_clear(&err);
        lp_lock(&f->ts->mu);
        struct client *joiners =
            f->joiners; /* those that came before this look: none of them is ahead of it */
        f->joiners = NULL;
        lp_unlock(&f->ts->mu);
        if (!f->failed && read_feed(f, &err) != LP_OK) {
            close_feed(f, &err);
        }
        for (struct client *c = joiners, *next; c != NULL; c = next) {
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
    for (struct feed *f = ts->feeds; f != NULL; f = f->next_feed) {
        for (struct client *c = f->clients; c != NULL; c = c->next_client) {
            if (c->ask.delay_ns > 0) {
                pump(c, now_ns);
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
free_all(struct client *list)
{
    while (list != NULL) {
        struct client *next = list->next_client;
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
    for (struct feed *f = ts->feeds, *next; f != NULL; f = next) {
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

static char *
copy(struct lp_str s)
{
    char *p = lp_malloc(s.n + 1);
    memcpy(p, s.n > 0 ? s.p : "", s.n);
    p[s.n] = 0;
    return p;
}

static struct client *
client_new(struct lp_tails *ts, const struct lp_tail_ask *ask)
{
    struct client *c = lp_calloc(1, sizeof(*c));
    c->ts = ts;
    c->ask = *ask;
    c->tenant = copy(ask->tenant);
    c->query = copy(ask->query);
    c->cursor = ask->cursor.n > 0 ? copy(ask->cursor) : NULL;
    c->busy = true;
    lp_buf_init(&c->dropped, 2 * DROPPED_BYTES_MAX);
    return c;
}

static lp_rc
count_in(struct lp_tails *ts, struct client *c, struct lp_err *err)
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

lp_rc
lp_tails_add(struct lp_tails *ts, struct lp_http_req *req, const struct lp_tail_ask *ask, struct lp_err *err)
{
    struct lp_server *s = ts->s;
    struct client *c = client_new(ts, ask);
    struct lp_tail_config cfg = {.store = s->store,
                                 .tenant = ask->tenant,
                                 .query = ask->query,
                                 .pool = s->queries,
                                 .share = &s->query_memory,
                                 .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
                                 .cancel = &c->gone};
    lp_rc rc = memchr(c->query, 0, ask->query.n) == NULL && memchr(c->tenant, 0, ask->tenant.n) == NULL
                   ? lp_tail_new(&cfg, &c->own, err)
                   : lp_err_set(err, LP_ERR_PARSE, "a query holds no NUL byte");
    if (rc == LP_OK && c->cursor != NULL) {
        rc = lp_tail_resume(c->own, ask->cursor, err);
    }
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
