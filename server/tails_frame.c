/*
 * tails_frame.c - frames of live tails, the buffer of a feed, and what its clients get of it. Locks and
 * invariants: tails.c.
 */
#include <string.h>

#include "query/result.h"
#include "server/tails_int.h"

#define FRAME_TEXT_MAX ((size_t)256 << 20)

/* --- frames --- */

struct lp_ws_msg *
lp_tail_msg(const struct lp_found *found, bool categorize, const char *cursor, const char *notice,
            struct lp_str dropped)
{
    struct lp_buf text;
    struct lp_ws_msg *m = NULL;
    lp_buf_init(&text, FRAME_TEXT_MAX);
    struct lp_tail_frame frame = {.found = found,
                                  .categorize = categorize,
                                  .dropped = dropped,
                                  .notice = notice != NULL ? lp_str_c(notice) : LP_STR_NULL,
                                  .cursor = cursor != NULL ? lp_str_c(cursor) : LP_STR_NULL};
    if (lp_result_tail(&frame, &text, NULL) == LP_OK) {
        m = lp_ws_msg_text(lp_buf_view(&text));
    }
    lp_buf_clear(&text);
    return m;
}

char *
lp_tail_place_text(const struct lp_tail *t)
{
    struct lp_buf cursor;
    lp_buf_init(&cursor, 1 << 20);
    lp_tail_place(t, &cursor);
    lp_buf_byte(&cursor, 0);
    char *text = lp_strdup(cursor.failed ? "" : cursor.p);
    lp_buf_clear(&cursor);
    return text;
}

static void
frame_clear(struct lp_feed_frame *f)
{
    lp_ws_msg_unref(f->msg);
    lp_free(f->before);
}

static size_t
frame_bytes(const struct lp_feed_frame *f)
{
    return f->msg->n + strlen(f->before) + sizeof(*f) + sizeof(*f->msg);
}

bool
lp_feed_make_frame(struct lp_tail_feed *feed, const struct lp_found *found, const char *notice,
                   struct lp_feed_frame *ret)
{
    char *place = lp_tail_place_text(feed->tail);
    *ret = (struct lp_feed_frame){.msg = lp_tail_msg(found, feed->categorize, place, notice, LP_STR_NULL),
                                  .born_ns = lp_mono_ns()};
    if (ret->msg == NULL) {
        lp_free(place);
        return false;
    }
    ret->before = feed->place;
    feed->place = place;
    return true;
}

/* --- clients of feeds; with the lock held --- */

static struct lp_feed_frame *
frame_at(const struct lp_tail_feed *f, uint64_t number)
{
    return &f->frames[number % f->cap];
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
    for (struct lp_tail_client *c = f->clients, *next; c != NULL; c = next) {
        next = c->next_client;
        if (c->next == f->first) {
            lp_tail_client_alone(c, frame->before);
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
