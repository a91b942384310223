/*
 * test_corpus.c - oracle: the lines themselves. Every line of ../shared/corpus, and random bytes, go through
 * blocks and come back byte for byte. The corpus is skipped, with a word, where it is absent; under a
 * sanitizer the first part of each file must do, unless LP_LONG=1.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/block.h"
#include "tests/unit/store_fixture.h"

#define LINES_MAX 20000u
#define BYTES_MAX (8u << 20)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILE_BYTES_MAX (2u << 20) /* decoded */
#else
#define FILE_BYTES_MAX UINT64_MAX
#endif

struct gathered {
    struct lp_block_encoder *e;
    struct lp_codec *c;
    struct lp_buf text;
    uint32_t at[LINES_MAX + 1], n;
    struct lp_row rows[LINES_MAX];
    struct lp_block_row order[LINES_MAX];
    uint64_t lines, wrong;
};

static struct gathered *
new_gathered(void)
{
    struct gathered *g = lp_calloc(1, sizeof(*g));
    g->e = lp_block_encoder_new();
    g->c = lp_codec_new();
    lp_buf_init(&g->text, SIZE_MAX);
    return g;
}

static void
free_gathered(struct gathered *g)
{
    lp_block_encoder_free(g->e);
    lp_codec_free(g->c);
    lp_buf_clear(&g->text);
    lp_free(g);
}

static void
check_block(struct gathered *g, struct lp_block *b)
{
    for (uint32_t i = 0; i < g->n; i++) {
        struct lp_str line;
        uint32_t bytes;
        bool ok = lp_block_line(b, g->c, i, &line, NULL) == LP_OK &&
                  lp_block_line_bytes(b, g->c, i, &bytes, NULL) == LP_OK;
        g->wrong +=
            !ok || bytes != line.n || !lp_str_eq(line, lp_str_of(g->rows[i].line, g->rows[i].line_bytes));
    }
}

/* Puts what was gathered through a block, all of it in one run. */
static void
flush(struct gathered *g)
{
    struct lp_block_run run = {0, 0, g->n, 0, g->n - 1};
    struct lp_block_src src = {0, 0, g->order, g->n, &run, 1, false};
    struct lp_buf out;
    struct lp_block *b;
    if (g->n == 0) {
        return;
    }
    lp_buf_init(&out, SIZE_MAX);
    g->at[g->n] = (uint32_t)g->text.n;
    for (uint32_t i = 0; i < g->n; i++) {
        g->rows[i] = (struct lp_row){
            .time_ns = i, .line = g->text.p + g->at[i], .line_bytes = g->at[i + 1] - g->at[i]};
        g->order[i] = (struct lp_block_row){&g->rows[i], 0};
    }
    CU_ASSERT_EQUAL_FATAL(lp_block_encode(g->e, &src, &out, NULL), LP_OK);
    struct lp_block_io io = {lp_read_buf, &out, out.n, NULL};
    CU_ASSERT_EQUAL_FATAL(lp_block_open(&io, NULL, &b, NULL), LP_OK);
    check_block(g, b);
    lp_block_free(b);
    lp_buf_clear(&out);
    g->lines += g->n;
    g->n = 0;
    lp_buf_reset(&g->text);
}

static void
add_line(struct gathered *g, const char *p, size_t n)
{
    if (g->n == LINES_MAX || (g->n > 0 && g->text.n + n > BYTES_MAX)) {
        flush(g);
    }
    g->at[g->n++] = (uint32_t)g->text.n;
    lp_buf_add(&g->text, p, n);
}

/* Cuts off the whole lines of what was decoded so far. */
static void
take_lines(struct gathered *g, struct lp_buf *text)
{
    size_t from = 0;
    for (const char *nl; from < text->n && (nl = memchr(text->p + from, '\n', text->n - from)) != NULL;) {
        add_line(g, text->p + from, (size_t)(nl - text->p) - from);
        from = (size_t)(nl - text->p) + 1;
    }
    if (from > 0) {
        memmove(text->p, text->p + from, text->n - from);
        text->n -= from;
    }
}

static bool
read_file(struct gathered *g, const char *path, uint64_t most)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return false;
    }
    ZSTD_DStream *z = ZSTD_createDStream();
    char in[1 << 16], out[1 << 16];
    struct lp_buf text;
    uint64_t decoded = 0;
    bool ok = true;
    lp_buf_init(&text, SIZE_MAX);
    for (size_t n; ok && decoded < most && (n = fread(in, 1, sizeof(in), f)) > 0;) {
        ZSTD_inBuffer from = {in, n, 0};
        while (ok && from.pos < from.size) {
            ZSTD_outBuffer to = {out, sizeof(out), 0};
            ok = !ZSTD_isError(ZSTD_decompressStream(z, &to, &from));
            lp_buf_add(&text, out, to.pos);
            decoded += to.pos;
        }
        take_lines(g, &text);
    }
    add_line(g, text.p, text.n);
    flush(g);
    lp_buf_clear(&text);
    ZSTD_freeDStream(z);
    fclose(f);
    return ok;
}

static void
every_line_of_the_corpus(void)
{
    const char *longer = getenv("LP_LONG");
    bool all = longer != NULL && longer[0] == '1';
    char folder[2048], path[4096];
    snprintf(folder, sizeof(folder), "%s/../../../shared/corpus", lp_test_data());
    DIR *d = opendir(folder);
    if (d == NULL) {
        printf("skipped: no ../shared/corpus beside the source ");
        return;
    }
    struct gathered *g = new_gathered();
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, ".log.zst") != NULL) {
            snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
            CU_ASSERT(read_file(g, path, all ? UINT64_MAX : FILE_BYTES_MAX));
        }
    }
    closedir(d);
    CU_ASSERT_EQUAL(g->wrong, 0);
    CU_ASSERT(g->lines > 10000);
    free_gathered(g);
}

/* Bytes of some alphabets, so that there are tables, many shapes, and text that is no text. */
static void
random_bytes(void)
{
    static const char *const alphabets[] = {"ab 1=", "0123456789 ", "abcdef0123456789:", "\xc3\xa9 z", "a-"};
    struct gathered *g = new_gathered();
    uint64_t seed = 12;
    char line[20000];
    for (unsigned round = 0; round < 40; round++) {
        const char *letters = alphabets[round % LP_ARRAY_LEN(alphabets)];
        size_t m = strlen(letters);
        for (unsigned i = 0; i < 500; i++) {
            size_t n = lp_rand(&seed) % (i % 100 == 0 ? sizeof(line) : 1 + round * 4);
            for (size_t k = 0; k < n; k++) {
                line[k] = round % 8 == 7 ? (char)lp_rand(&seed) : letters[lp_rand(&seed) % m];
            }
            add_line(g, line, n);
        }
        flush(g);
    }
    CU_ASSERT_EQUAL(g->wrong, 0);
    CU_ASSERT_EQUAL(g->lines, 40 * 500);
    free_gathered(g);
}

LP_SUITE(corpus, {"every line of the corpus", every_line_of_the_corpus}, {"random bytes", random_bytes});
