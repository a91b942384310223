/*
 * tails_frame.c - frames of live tails, the buffer of a feed, and what its clients get of it. Locks and
 * invariants: tails.c.
 */
#include <stdio.h>

#include "base/metrics.h"
#include "query/result.h"
#include "server/tails_int.h"

#define FRAME_TEXT_MAX ((size_t)256 << 20)
#define DROPPED_TOLD 1000

/* --- frames --- */

/* Behind the frame's head. */
static struct lp_str
payload_of(const struct lp_ws_msg *m)
{
    size_t head = (uint8_t)m->p[1] == 127 ? 10 : (uint8_t)m->p[1] == 126 ? 4 : 2;
    return lp_str_of(m->p + head, m->n - head);
}

struct lp_ws_msg *
lp_tail_msg(const struct lp_found *found, bool categorize, const struct lp_tail *place, const char *notice,
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
frame_clear(struct lp_feed_frame *f)
{
    lp_ws_msg_unref(f->msg);
    lp_free(f->lines);
}

static size_t
frame_bytes(const struct lp_feed_frame *f)
{
    return f->msg->n + f->nlines * sizeof(struct lp_feed_line) + sizeof(*f);
}

bool
lp_feed_make_frame(const struct lp_tail_feed *feed, const struct lp_found *found, const char *notice,
                   struct lp_feed_frame *ret)
{
    size_t offs[LP_TAIL_FRAME_LINES][2];
    LP_ASSERT(found->n <= LP_TAIL_FRAME_LINES);
    *ret = (struct lp_feed_frame){
        .msg = lp_tail_msg(found, feed->categorize, feed->tail, notice, LP_STR_NULL, offs),
        .born_ns = lp_mono_ns(),
        .nlines = found->n};
    if (ret->msg == NULL) {
        return false;
    }
    ret->lines = lp_malloc(found->n * sizeof(*ret->lines));
    for (size_t i = 0; i < found->n; i++) {
        ret->lines[i] = (struct lp_feed_line){found->rows[i].time_ns, offs[i][0], offs[i][1]};
    }
    return true;
}

/* --- clients of feeds; with the lock held --- */

static struct lp_feed_frame *
frame_at(const struct lp_tail_feed *f, uint64_t number)
{
    return &f->frames[number % f->cap];
}

static void
note_dropped(struct lp_tail_client *c, const struct lp_feed_frame *f)
{
    struct lp_str text = payload_of(f->msg);
    c->ndropped += f->nlines;
    lp_metric_add(LP_M_TAIL_DROPPED, (int64_t)f->nlines);
    for (size_t i = 0; i < f->nlines && c->told < DROPPED_TOLD && c->dropped.n < LP_TAIL_DROPPED_BYTES_MAX;
         i++) {
        lp_buf_printf(&c->dropped, "%s{\"timestamp\":\"%lld\",\"labels\":", c->told > 0 ? "," : "",
                      (long long)f->lines[i].time_ns);
        lp_buf_add(&c->dropped, text.p + f->lines[i].labels, f->lines[i].bytes);
        lp_buf_byte(&c->dropped, '}');
        c->told++;
    }
}

/* What the client missed, before it gets more. */
static void
tell_dropped(struct lp_tail_client *c)
{
    char notice[128];
    if (c->ndropped == 0) {
        return;
    }
    snprintf(notice, sizeof(notice), "%llu lines were left out: they came faster than you took them",
             (unsigned long long)c->ndropped);
    struct lp_ws_msg *m = lp_tail_msg(NULL, c->ask.categorize, NULL, notice, lp_buf_view(&c->dropped), NULL);
    if (m != NULL) {
        lp_ws_send(c->ws, m);
        lp_ws_msg_unref(m);
    }
    lp_buf_clear(&c->dropped);
    c->ndropped = c->told = 0;
}

void
lp_feed_pump(struct lp_tail_client *c, int64_t now_ns)
{
    struct lp_tail_feed *f = c->feed;
    while (c->next < f->end && !c->asked && !atomic_load(&c->gone)) {
        const struct lp_feed_frame *frame = frame_at(f, c->next);
        if (frame->born_ns + c->ask.delay_ns > now_ns) {
            return;
        }
        if (lp_ws_unsent(c->ws) >= LP_TAIL_UNSENT_MAX) {
            c->asked = lp_ws_want_room(c->ws);
            continue;
        }
        tell_dropped(c);
        lp_ws_send(c->ws, frame->msg);
        c->next++;
    }
}

static void
count_memory(const struct lp_tail_feed *f, size_t more, size_t less)
{
    size_t *used = &f->ts->s->query_memory.used;
    __atomic_add_fetch(used, more, __ATOMIC_RELAXED);
    __atomic_sub_fetch(used, less, __ATOMIC_RELAXED);
}

void
lp_feed_evict(struct lp_tail_feed *f)
{
    struct lp_feed_frame *frame = frame_at(f, f->first);
    for (struct lp_tail_client *c = f->clients; c != NULL; c = c->next_client) {
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
grow(struct lp_tail_feed *f)
{
    size_t cap = f->cap ? f->cap * 2 : 64;
    struct lp_feed_frame *v = lp_malloc(cap * sizeof(*v));
    for (uint64_t i = f->first; i < f->end; i++) {
        v[i % cap] = *frame_at(f, i);
    }
    lp_free(f->frames);
    f->frames = v;
    f->cap = cap;
}

void
lp_feed_publish(struct lp_tail_feed *f, struct lp_feed_frame frame)
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
    for (struct lp_tail_client *c = f->clients; c != NULL; c = c->next_client) {
        lp_feed_pump(c, now_ns);
    }
    while (f->bytes > most && f->end - f->first > 1) {
        lp_feed_evict(f);
    }
    lp_unlock(&f->ts->mu);
}
