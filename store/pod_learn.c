/*
 * pod_learn.c - see pod_learn.h. The memo is a hash table that grows up to SLOTS_MOST; once that is full it
 * begins anew.
 */
#include "store/pod_learn.h"

#include <string.h>

#define SLOTS_FIRST 1024u
#define SLOTS_MOST (1u << 20) /* 24 MiB */

struct lp_pod_memo {
    struct lp_pod_told *v; /* stream 0: free */
    size_t slots, n;
};

struct lp_pod_memo *
lp_pod_memo_new(void)
{
    struct lp_pod_memo *m = lp_calloc(1, sizeof(*m));
    m->slots = SLOTS_FIRST;
    m->v = lp_calloc(m->slots, sizeof(*m->v));
    return m;
}

void
lp_pod_memo_free(struct lp_pod_memo *m)
{
    if (m != NULL) {
        lp_free(m->v);
        lp_free(m);
    }
}

/* The slot of a stream, or the free one where it would stand. */
static struct lp_pod_told *
slot_of(const struct lp_pod_memo *m, uint64_t stream)
{
    size_t at = stream & (m->slots - 1);
    while (m->v[at].stream != 0 && m->v[at].stream != stream) {
        at = (at + 1) & (m->slots - 1);
    }
    return &m->v[at];
}

static void
make_room(struct lp_pod_memo *m)
{
    struct lp_pod_told *old = m->v;
    size_t slots = m->slots;
    if ((m->n + 1) * 4 <= m->slots * 3) {
        return;
    }
    m->n = 0;
    m->slots = LP_MIN(slots * 2, (size_t)SLOTS_MOST);
    m->v = lp_calloc(m->slots, sizeof(*m->v));
    for (size_t i = 0; i < slots && m->slots > slots; i++) {
        if (old[i].stream != 0) {
            *slot_of(m, old[i].stream) = old[i];
            m->n++;
        }
    }
    lp_free(old);
}

void
lp_pod_memo_note(struct lp_pod_memo *m, const struct lp_pod_news *news)
{
    for (size_t i = 0; i < news->ntold; i++) {
        make_room(m);
        struct lp_pod_told *t = slot_of(m, news->told[i].stream);
        m->n += t->stream == 0;
        *t = news->told[i];
    }
}

/* --- what is new --- */

void
lp_pod_news_init(struct lp_pod_news *news, size_t streams)
{
    *news = (struct lp_pod_news){.pods = lp_malloc(streams * sizeof(*news->pods)),
                                 .told = lp_malloc(streams * sizeof(*news->told))};
    lp_arena_init(&news->ar, SIZE_MAX, LP_ARENA_CHUNK_MAX);
    lp_arena_init(&news->scratch, SIZE_MAX, 0);
    lp_buf_init(&news->text, SIZE_MAX);
}

/* Writes facts into the news' memory, which is not bounded by a budget, but by what the streams are. */
static struct lp_str
keep_facts(struct lp_pod_news *news, const struct lp_pod_id *id, const struct lp_pod_facts *f)
{
    struct lp_str kept;
    lp_buf_reset(&news->text);
    lp_pod_facts_write(id, f, LP_POD_FACTS_ALL, &news->text);
    bool ok = lp_arena_str(&news->ar, lp_buf_view(&news->text), &kept);
    LP_ASSERT(ok);
    return kept;
}

void
lp_pod_news_add(struct lp_pod_news *news, struct lp_str key, const uint8_t *meta, int64_t first_ns)
{
    struct lp_stream_key k;
    struct lp_pod_id id;
    struct lp_pod_facts f = {.n = 0};
    lp_arena_reset(&news->scratch);
    lp_rc rc = lp_stream_key_parse(key, &news->scratch, &k, NULL);
    LP_ASSERT(rc == LP_OK); /* our own */
    if (!lp_pod_id_of(&k, &id)) {
        return;
    }
    bool ok = lp_pod_facts_learn(&k, meta, &news->scratch, &f) &&
              (first_ns == LP_TIME_NONE || lp_pod_facts_line(&f, first_ns, &news->scratch));
    LP_ASSERT(ok);
    news->pods[news->npods++] =
        (struct lp_cat_pod){.tenant = k.tenant, .id = id, .facts = keep_facts(news, &id, &f)};
}

static void
look_at(const struct lp_pod_memo *m, const struct lp_gen_stream *s, const struct lp_row *row,
        int64_t first_ns, struct lp_pod_news *ret)
{
    struct lp_pod_told told = {LP_MAX(s->hash.lo, UINT64_C(1)), lp_pod_facts_hash(row->meta), first_ns};
    const struct lp_pod_told *known = slot_of(m, told.stream);
    if (known->stream == 0 || known->facts != told.facts || first_ns < known->first_ns) {
        told.first_ns = known->stream != 0 ? LP_MIN(first_ns, known->first_ns) : first_ns;
        ret->told[ret->ntold++] = told;
        lp_pod_news_add(ret, s->key, row->meta, first_ns);
    }
}

/* When the first line of each stream was. */
static int64_t *
first_times(const struct lp_gen *g)
{
    int64_t *v = lp_malloc(g->nstreams * sizeof(*v));
    for (uint32_t i = 0; i < g->nstreams; i++) {
        v[i] = LP_TIME_MAX;
    }
    for (const struct lp_batch *b = g->first; b != NULL; b = b->next) {
        for (size_t i = 0; i < b->nstreams && !b->dropped; i++) {
            const struct lp_batch_stream *s = &b->streams[i];
            v[b->gen_streams[i]] =
                s->rows > 0 ? LP_MIN(v[b->gen_streams[i]], s->min_ns) : v[b->gen_streams[i]];
        }
    }
    return v;
}

void
lp_pod_learn(const struct lp_pod_memo *m, const struct lp_gen *g, struct lp_pod_news *ret)
{
    const struct lp_row **rows = lp_calloc(g->nstreams, sizeof(*rows));
    int64_t *first_ns = first_times(g);
    lp_pod_news_init(ret, g->nstreams);
    lp_gen_first_rows(g, g->nbatches, rows);
    for (uint32_t i = 0; i < g->nstreams; i++) {
        if (rows[i] != NULL) {
            look_at(m, lp_gen_stream(g, i), rows[i], first_ns[i], ret);
        }
    }
    lp_free(first_ns);
    lp_free(rows);
}

void
lp_pod_news_clear(struct lp_pod_news *news)
{
    lp_arena_clear(&news->ar);
    lp_arena_clear(&news->scratch);
    lp_buf_clear(&news->text);
    lp_free(news->pods);
    lp_free(news->told);
    memset(news, 0, sizeof(*news));
}
