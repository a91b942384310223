/*
 * test_logql_random.c - queries changed at random. Oracle: the invariants in tests/fuzz/fuzz_logql.c (no
 * crash, print and pretty mean the same tree, filters compile). Seeded, so a failure repeats; about two
 * seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/unit/test_logql.h"

#define RUN_NS (2 * LP_NS_PER_S)

static uint64_t state = 20261120;

/* xorshift64*: the same row of numbers on every machine */
static uint64_t
next_random(uint64_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(2685821657736338717) >> 11) % below;
}

/* Pieces that grammars care about, so that changes often stay meaningful. */
static const char *const pieces[] = {
    "(",
    ")",
    "{",
    "}",
    "[5m]",
    "|",
    "|=",
    "!=",
    "|~",
    "!~",
    "|>",
    "!>",
    "=",
    "=~",
    "==",
    ">",
    "<=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    ",",
    " or ",
    " and ",
    " unless ",
    " by ",
    " without ",
    " on ",
    " bool ",
    "\"x\"",
    "`y`",
    "5",
    "1h30m",
    "2.5KiB",
    "-3",
    "1e3",
    "rate(",
    "sum(",
    "topk(",
    "ip(",
    "json",
    "logfmt",
    "unwrap",
    "offset ",
    "drop ",
    "keep ",
    "a",
    "group_left",
    "label_format a=b",
    "#",
    "\n",
    "\"(\"",
    "vector(1)",
    "\\",
    "\xff",
    "\xc3\xa9",
    "quantile_over_time(0.5,",
    "label_replace(",
    "--strict",
    " ignoring (a) ",
    "0/0",
};

static void
change(struct lp_buf *b, struct lp_str from)
{
    size_t at = next_random(from.n + 1);
    size_t cut = next_random(3) == 0 ? next_random(12) : 0;
    lp_buf_reset(b);
    lp_buf_str(b, lp_str_sub(from, 0, at));
    switch (next_random(4)) {
    case 0:
        lp_buf_byte(b, (uint8_t)next_random(256));
        break;
    case 1: { /* repeat a part of itself */
        size_t a = next_random(from.n + 1);
        lp_buf_str(b, lp_str_sub(from, a, a + next_random(40)));
        break;
    }
    default:
        lp_buf_c(b, pieces[next_random(LP_ARRAY_LEN(pieces))]);
        break;
    }
    lp_buf_str(b, lp_str_sub(from, at + cut, from.n));
}

static void
changed_queries(void)
{
    struct lp_test_texts t;
    lp_test_texts_read(&t, "accepted.txt");
    struct lp_buf bufs[2];
    lp_buf_init(&bufs[0], LP_LOGQL_INPUT_MAX);
    lp_buf_init(&bufs[1], LP_LOGQL_INPUT_MAX);
    int64_t end_ns = lp_mono_ns() + RUN_NS;
    size_t runs = 0;
    for (; lp_mono_ns() < end_ns; runs++) {
        struct lp_str text = t.items[next_random(t.n)];
        for (uint64_t i = 0, n = 1 + next_random(4); i < n; i++) {
            change(&bufs[i % 2], text);
            text = lp_buf_view(&bufs[i % 2]);
        }
        LLVMFuzzerTestOneInput((const uint8_t *)text.p, text.n);
    }
    CU_ASSERT(runs > 100);
    lp_buf_clear(&bufs[0]);
    lp_buf_clear(&bufs[1]);
    lp_test_texts_clear(&t);
}

/* Everything recorded, whole and cut off at every byte. */
static void
cut_queries(void)
{
    static const char *const files[] = {"accepted.txt", "refused.txt", "pretty.txt"};
    for (size_t f = 0; f < LP_ARRAY_LEN(files); f++) {
        struct lp_test_texts t;
        lp_test_texts_read(&t, files[f]);
        for (size_t i = 0; i < t.n; i++) {
            for (size_t n = i % 7; n < t.items[i].n; n += 7) {
                LLVMFuzzerTestOneInput((const uint8_t *)t.items[i].p, n);
            }
            LLVMFuzzerTestOneInput((const uint8_t *)t.items[i].p, t.items[i].n);
        }
        lp_test_texts_clear(&t);
    }
    CU_PASS("no invariant broke");
}

LP_SUITE(logql_random, {"queries cut off anywhere", cut_queries},
         {"queries changed at random", changed_queries});
