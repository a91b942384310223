/*
 * test_exclude.c - blocks that a search need not open: what the footer says of their tokens never costs a
 * line.
 */
#include <stdio.h>
#include <string.h>

#include "store/match.h"
#include "tests/unit/store_fixture.h"

#define ROWS 3000
#define BATCHES 6
#define SOON (lp_mono_ns() + 60 * LP_NS_PER_S)

struct lines {
    char *v[ROWS * BATCHES];
    uint8_t batch[ROWS * BATCHES];
    size_t n;
};

static char
hex_digit(uint64_t *seed)
{
    return "0123456789abcdef"[lp_test_below(seed, 16)];
}

/* Batch k has ids of 8 k digits, those of odd ones some rows with longer words. */
static struct lp_batch *
make_rows(unsigned k, uint64_t *seed, struct lines *lines)
{
    struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 64 * ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        char line[256], id[64];
        uint32_t stream, n = 8 * k;
        for (uint32_t d = 0; d < n; d++) {
            id[d] = hex_digit(seed);
        }
        int bytes = i % 500 == 7 && k % 2 ? snprintf(line, sizeof(line), "odd %u: %.*s_%u!", i, (int)n, id, i)
                                          : snprintf(line, sizeof(line), "request id=%.*s took %u ms at %s",
                                                     (int)n, id, i % 997, i % 2 ? "reconciliation" : "here");
        struct lp_pair label = {LP_STR("app"), LP_STR("a")};
        LP_ASSERT(lp_batch_stream(b, &label, 1, NULL, &stream, NULL) == LP_OK);
        LP_ASSERT(lp_batch_add(b, stream, i, lp_str_of(line, (size_t)bytes), false, NULL, 0, NULL) == LP_OK);
        lines->batch[lines->n] = (uint8_t)k;
        lines->v[lines->n++] = lp_strdup(line);
    }
    lp_batch_finish(b);
    return b;
}

/* A needle that is a piece of a line, or hex digits that are in none, most likely. */
static size_t
draw_needle(const struct lines *lines, uint64_t *seed, char *out, bool icase)
{
    size_t n = 1 + lp_test_below(seed, 50);
    if (lp_test_below(seed, 3) == 0) {
        for (size_t i = 0; i < n; i++) {
            out[i] = hex_digit(seed);
        }
        return n;
    }
    const char *line = lines->v[lp_test_below(seed, (unsigned)lines->n)];
    size_t at = lp_test_below(seed, (unsigned)strlen(line)), left = strlen(line) - at;
    n = LP_MIN(n, left);
    memcpy(out, line + at, n);
    for (size_t i = 0; i < n && icase; i++) {
        out[i] = (char)(out[i] >= 'A' && out[i] <= 'Z' ? out[i] | 0x20 : out[i]);
    }
    return n;
}

static void
no_line_is_in_a_block_that_is_passed_over(void)
{
    struct lines *lines = lp_calloc(1, sizeof(*lines));
    struct lp_seg *segs[BATCHES];
    struct lp_store *st;
    uint64_t seed = 12345, excluded = 0;
    CU_ASSERT_EQUAL_FATAL(lp_open_store(lp_test_dir(), NULL, 1 << 20, &st, NULL), LP_OK);
    for (unsigned k = 0; k < BATCHES; k++) {
        CU_ASSERT_EQUAL_FATAL(lp_put(st, make_rows(k, &seed, lines), k + 1), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_store_seal(st, SOON, NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(lp_store_segment(st, k + 1, &segs[k], NULL), LP_OK);
        CU_ASSERT_EQUAL_FATAL(segs[k]->nblocks, 1);
        CU_ASSERT_TRUE(segs[k]->blocks[0].tokens.known);
    }
    for (unsigned t = 0; t < 4000; t++) {
        char text[64];
        bool icase = t % 2 != 0, holds[BATCHES] = {false};
        struct lp_needle needle = {lp_str_of(text, draw_needle(lines, &seed, text, icase)), icase};
        struct lp_clause clause = {&needle, 1, false};
        struct lp_linepred pred = {&clause, 1, true};
        struct lp_match_plan *plan = lp_match_plan_new(&pred);
        lp_match_plan_bind(plan, segs, BATCHES);
        for (size_t i = 0; i < lines->n; i++) {
            holds[lines->batch[i]] =
                holds[lines->batch[i]] || lp_linepred_test(&pred, lp_str_c(lines->v[i])) != LP_NO;
        }
        for (unsigned k = 0; k < BATCHES; k++) {
            bool out = lp_match_plan_excludes(plan, k, segs[k], 0);
            CU_ASSERT_FALSE(out && holds[k]);
            excluded += out;
        }
        lp_match_plan_free(plan);
    }
    CU_ASSERT_TRUE(excluded > 4000);
    for (unsigned k = 0; k < BATCHES; k++) {
        lp_seg_unref(segs[k]);
    }
    for (size_t i = 0; i < lines->n; i++) {
        lp_free(lines->v[i]);
    }
    lp_free(lines);
    lp_store_free(st);
}

LP_SUITE(exclude, {"no line is in a block that is passed over", no_line_is_in_a_block_that_is_passed_over});
