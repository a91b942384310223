/*
 * exec_fixture.c - see exec_fixture.h.
 */
#include "tests/unit/exec_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEAL_BYTES (8u << 20) /* never reached: the tests say when to seal */
#define BATCH_ROWS 100

int
lp_rec_cmp(const struct lp_rec *a, const struct lp_rec *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    if (a->stream.hi != b->stream.hi) {
        return a->stream.hi < b->stream.hi ? -1 : 1;
    }
    if (a->stream.lo != b->stream.lo) {
        return a->stream.lo < b->stream.lo ? -1 : 1;
    }
    return (a->seq > b->seq) - (a->seq < b->seq);
}

void
lp_world_open(struct lp_world *w)
{
    memset(w, 0, sizeof(*w));
    w->random = 7;
    snprintf(w->dir, sizeof(w->dir), "%s", lp_test_dir());
    lp_rc rc = lp_open_store(w->dir, NULL, SEAL_BYTES, &w->st, NULL);
    CU_ASSERT_EQUAL_FATAL(rc, LP_OK);
    w->pool = lp_pool_new("test", 3, 16);
}

void
lp_world_make(struct lp_world *w, size_t n, enum lp_layout layout)
{
    lp_world_open(w);
    for (size_t i = 0; i < n; i += BATCH_ROWS) {
        lp_world_put(w, LP_MIN(n - i, (size_t)BATCH_ROWS), 1000, 500);
        bool last_third = i >= n - n / 3;
        if (layout == LP_SEALED ? i / BATCH_ROWS % 7 == 6
                                : layout == LP_MIXED && !last_third && i / BATCH_ROWS % 5 == 4) {
            lp_world_seal(w);
        }
    }
    if (layout == LP_SEALED) {
        lp_world_seal(w);
    }
}

void
lp_world_close(struct lp_world *w)
{
    lp_pool_free(w->pool);
    lp_store_free(w->st);
    lp_free(w->v);
}

void
lp_world_seal(struct lp_world *w)
{
    CU_ASSERT_EQUAL_FATAL(lp_store_seal(w->st, lp_mono_ns() + 60 * LP_NS_PER_S, NULL), LP_OK);
}

void
lp_world_damage(const struct lp_world *w)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/segments", w->dir);
    DIR *d = opendir(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, "1.seg") != NULL) {
            snprintf(path, sizeof(path), "%s/segments/%s", w->dir, e->d_name);
        }
    }
    closedir(d);
    FILE *f = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fseek(f, 0, SEEK_END);
    long at = ftell(f) / 4;
    fseek(f, at, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(byte ^ 0x40, f);
    fclose(f);
}

static void
make_rec(struct lp_world *w, struct lp_rec *r, int64_t base_ns, int64_t span_ns, struct lp_instance *inst)
{
    static const char *const words[] = {"alpha", "beta", "gamma", "delta alpha"};
    uint64_t random = lp_rand(&w->random);
    unsigned stream = (unsigned)(random % 6);
    memset(r, 0, sizeof(*r));
    *inst = (struct lp_instance){LP_STR_NULL, LP_STR_NULL};
    if (stream >= 4) {
        inst->uid = stream == 4 ? LP_STR("uid-4") : LP_STR("uid-5");
    }
    r->seq = w->n;
    r->time_ns = base_ns + (int64_t)(random >> 8) % span_ns;
    snprintf(r->app, sizeof(r->app), "app-%u", stream % 3);
    snprintf(r->pod, sizeof(r->pod), "pod-%u", stream >= 4 ? 4 : stream);
    snprintf(r->line, sizeof(r->line), "%llu %s", (unsigned long long)w->n, words[(random >> 40) % 4]);
}

void
lp_world_put(struct lp_world *w, size_t n, int64_t base_ns, int64_t span_ns)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * n);
    b->received_ns = base_ns;
    for (size_t i = 0; i < n; i++) {
        if (w->n == w->cap) {
            w->cap = w->cap ? w->cap * 2 : 1024;
            w->v = lp_realloc(w->v, w->cap * sizeof(*w->v));
        }
        struct lp_rec *r = &w->v[w->n];
        struct lp_instance inst;
        uint32_t stream;
        make_rec(w, r, base_ns, span_ns, &inst);
        struct lp_pair labels[] = {{LP_STR("app"), lp_str_c(r->app)}, {LP_STR("pod"), lp_str_c(r->pod)}};
        CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, labels, 2, &inst, &stream, NULL), LP_OK);
        r->stream = b->streams[stream].hash;
        struct lp_pair meta = {LP_STR("seq"), lp_str_c(r->line)};
        CU_ASSERT_EQUAL_FATAL(
            lp_batch_add(b, stream, r->time_ns, lp_str_c(r->line), false, &meta, w->n % 2, NULL), LP_OK);
        w->n++;
    }
    lp_batch_finish(b);
    CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, w->next_position++), LP_OK);
}

struct lp_search
lp_world_search(const struct lp_world *w, const struct lp_test_query *q)
{
    CU_ASSERT_EQUAL_FATAL(q->rc, LP_OK);
    return (struct lp_search){.store = w->st,
                              .tenant = LP_STR_NULL,
                              .log = &q->expr->log,
                              .from_ns = LP_TIME_MIN,
                              .to_ns = LP_TIME_MAX,
                              .limit = 1000000,
                              .pool = w->pool,
                              .deadline_ns = INT64_MAX,
                              .budget_bytes = 64u << 20};
}

static int
forward_order(const void *a, const void *b, void *arg)
{
    const struct lp_rec *v = arg;
    return lp_rec_cmp(&v[*(const size_t *)a], &v[*(const size_t *)b]);
}

static int
backward_order(const void *a, const void *b, void *arg)
{
    return forward_order(b, a, arg);
}

size_t *
lp_world_answer(const struct lp_world *w, const struct lp_search *q, bool (*want)(const struct lp_rec *r),
                size_t *ret_n)
{
    size_t *v = lp_malloc(w->n * sizeof(*v)), n = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct lp_rec *r = &w->v[i];
        if (r->time_ns >= q->from_ns && r->time_ns < q->to_ns && (want == NULL || want(r))) {
            v[n++] = i;
        }
    }
    qsort_r(v, n, sizeof(*v), q->backward ? backward_order : forward_order, w->v);
    *ret_n = LP_MIN(n, q->limit);
    return v;
}

bool
lp_world_same(const struct lp_world *w, const struct lp_found *f, const size_t *want, size_t n)
{
    bool same = f->n == n;
    for (size_t i = 0; i < n && same; i++) {
        const struct lp_rec *r = &w->v[want[i]];
        const struct lp_found_row *row = &f->rows[i];
        same = row->time_ns == r->time_ns && lp_str_eqc(row->line, r->line) && row->nmeta == r->seq % 2 &&
               (row->nmeta == 0 || lp_str_eqc(row->meta[0].value, r->line)) &&
               lp_hash128_eq(f->streams[row->stream]->hash, r->stream);
    }
    return same;
}
