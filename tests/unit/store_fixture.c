/*
 * store_fixture.c - see store_fixture.h.
 */
#include "tests/unit/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t
lp_rand(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct lp_batch *
lp_make_batch(const char *tag, size_t n, int64_t base_ns, uint64_t seed)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * n);
    b->received_ns = base_ns;
    for (size_t i = 0; i < n; i++) {
        char pod[32], line[160], id[32];
        uint64_t r = lp_rand(&seed);
        snprintf(pod, sizeof(pod), "pod-%u", (unsigned)(r % 5));
        snprintf(line, sizeof(line), "%s row %zu %016llx%.*s", tag, i, (unsigned long long)r, (int)(r % 60),
                 "............................................................");
        snprintf(id, sizeof(id), "%llx", (unsigned long long)(r >> 40));
        struct lp_pair labels[] = {{LP_STR("namespace"), LP_STR("shop")},
                                   {LP_STR("container"), r % 3 ? LP_STR("api") : LP_STR("db")},
                                   {LP_STR("pod"), lp_str_c(pod)}};
        struct lp_pair meta[] = {{LP_STR("trace_id"), lp_str_c(id)}, {LP_STR("level"), LP_STR("info")}};
        uint32_t stream;
        lp_rc rc = lp_batch_stream(b, labels, LP_ARRAY_LEN(labels), NULL, &stream, NULL);
        LP_ASSERT(rc == LP_OK);
        rc = lp_batch_add(b, stream, base_ns + (int64_t)(r % 1000) * 1000, lp_str_c(line), false, meta,
                          i % 3 ? 0 : 2, NULL);
        LP_ASSERT(rc == LP_OK);
    }
    lp_batch_finish(b);
    return b;
}

lp_rc
lp_open_store(const char *dir, const struct lp_io *io, size_t seal_bytes, struct lp_store **ret,
              struct lp_err *err)
{
    struct lp_store_config cfg = {.io = io,
                                  .dir = dir,
                                  .seal_bytes = seal_bytes,
                                  .largest_bytes = 64u << 20,
                                  .seal_after_ns = 3600 * LP_NS_PER_S,
                                  .seal_workers = 2,
                                  .reserve_bytes = 1u << 20,
                                  .min_free_bytes = 1u << 20};
    return lp_store_open(&cfg, ret, err);
}

struct lp_store *
lp_must_open(const char *dir)
{
    struct lp_store *st;
    struct lp_err err;
    lp_err_clear(&err);
    if (lp_open_store(dir, NULL, 1 << 20, &st, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        CU_FAIL_FATAL("the store does not open");
    }
    return st;
}

lp_rc
lp_put(struct lp_store *st, struct lp_batch *b, uint64_t first)
{
    struct lp_head *h = lp_store_head(st);
    size_t room = lp_batch_room(b);
    lp_rc rc = lp_head_room(h, room, lp_mono_ns() + 20 * LP_NS_PER_S, NULL);
    if (rc != LP_OK) {
        lp_batch_free(b);
        return rc;
    }
    struct lp_ticket *t = lp_head_ticket(h, lp_head_source(h, "journal", 0), first, first + 1, 0, room);
    lp_head_end(h, t, LP_STORED, b);
    return LP_OK;
}

static int
line_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
    char **v;
    size_t n, cap;
};

static bool
read_part(const struct lp_view *v, const struct lp_part *part, struct lp_codec *codec, struct lines *out)
{
    struct lp_scan *s;
    struct lp_scan_row row;
    struct lp_str line;
    bool ok = true;
    if (lp_scan_open(v, part, codec, LP_TIME_MIN, LP_TIME_MAX, false, &s, NULL) != LP_OK) {
        return false;
    }
    ok = lp_scan_start(s, NULL, NULL, NULL, NULL) == LP_OK;
    while (ok && lp_scan_next(s, &row)) {
        const struct lp_pair *meta;
        size_t nmeta;
        ok = lp_scan_line(s, &line, NULL) == LP_OK && lp_scan_meta(s, &meta, &nmeta, NULL) == LP_OK;
        if (!ok) {
            break;
        }
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 1024;
            out->v = lp_realloc(out->v, out->cap * sizeof(char *));
        }
        char *text = lp_malloc(line.n + 64);
        /* stream, time and metadata are part of what must come back */
        snprintf(text, line.n + 64, "%.*s|%lld|%zu", (int)line.n, line.p, (long long)row.time_ns, nmeta);
        out->v[out->n++] = text;
    }
    lp_scan_close(s);
    return ok;
}

char *
lp_read_all(struct lp_store *st, size_t *ret_rows, size_t *ret_damaged)
{
    struct lp_view *v;
    struct lp_selector sel = {.n = 0};
    const struct lp_part *parts;
    struct lines all = {NULL, 0, 0};
    size_t n = 0, damaged = 0, bytes = 1;
    struct lp_codec *codec = lp_codec_new();
    bool ok = lp_view_open(st, LP_STR_NULL, &v, NULL) == LP_OK;
    LP_ASSERT(ok);
    ok = lp_view_select(v, &sel, 1 << 20, NULL) == LP_OK &&
         lp_view_parts(v, LP_TIME_MIN, LP_TIME_MAX, false, &parts, &n, &damaged, NULL) == LP_OK;
    for (size_t i = 0; i < n && ok; i++) {
        damaged += !read_part(v, &parts[i], codec, &all);
    }
    lp_view_free(v);
    lp_codec_free(codec);
    if (all.n > 1) {
        qsort(all.v, all.n, sizeof(char *), line_cmp);
    }
    for (size_t i = 0; i < all.n; i++) {
        bytes += strlen(all.v[i]) + 1;
    }
    char *out = lp_malloc(bytes), *p = out;
    for (size_t i = 0; i < all.n; i++) {
        size_t k = strlen(all.v[i]);
        memcpy(p, all.v[i], k);
        p[k] = 10;
        p += k + 1;
        lp_free(all.v[i]);
    }
    *p = 0;
    lp_free(all.v);
    *ret_rows = all.n;
    *ret_damaged = damaged;
    if (!ok) {
        lp_free(out);
        return NULL;
    }
    return out;
}

lp_rc
lp_read_buf(void *ctx, void *dst, size_t n, uint64_t off, struct lp_err *err)
{
    const struct lp_buf *b = ctx;
    if (off > b->n || n > b->n - off) {
        return lp_corrupt(err, "short");
    }
    memcpy(dst, b->p + off, n);
    return LP_OK;
}
