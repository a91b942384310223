/*
 * test_split.c - oracle: a cut made one byte at a time, after the definition of a token in FORMAT.md section
 * 2.4. Both ways of cutting must give it, at every length around a step, whatever stands behind the text, and
 * without a look beyond the pad.
 */
#include "store/split.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/store_fixture.h"

#define ROOM (LP_SPLIT_BYTES + 66u)

/* Edges of the text; room for n + 1. */
static size_t
naive(const char *p, size_t n, uint16_t *edges)
{
    size_t k = 0;
    bool inside = false;
    for (size_t i = 0; i <= n; i++) {
        unsigned char c = i < n ? (unsigned char)p[i] : ' ';
        bool token = i < n && (c >= 128 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                               (c >= 'A' && c <= 'Z'));
        if (token != inside) {
            edges[k++] = (uint16_t)i;
        }
        inside = token;
    }
    return k;
}

/* Both ways against the naive one; false where they differ. */
static bool
cuts_right(const char *p, size_t n)
{
    static uint16_t want[ROOM], fast[ROOM], portable[ROOM];
    size_t k = naive(p, n, want);
    return lp_split(p, n, fast, LP_SPLIT_BYTES + 1) == k &&
           lp_split_portable(p, n, portable, LP_SPLIT_BYTES + 1) == k &&
           memcmp(fast, want, k * sizeof(*want)) == 0 && memcmp(portable, want, k * sizeof(*want)) == 0;
}

static void
fill(char *p, size_t n, unsigned how, uint64_t *seed)
{
    static const char mixed[] = "az09AZ_ .-/=\"@[`{:\x7f\x80\xff";
    for (size_t i = 0; i < n; i++) {
        uint64_t r = lp_rand(seed);
        p[i] = how == 0   ? (char)r
               : how == 1 ? mixed[r % (sizeof(mixed) - 1)]
               : how == 2 ? 'x'
               : how == 3 ? ' '
                          : (r % 70 != 0 ? 'x' : ' ');
    }
}

static void
every_length_around_a_step(void)
{
    uint64_t seed = 1;
    char text[400];
    uint32_t wrong = 0;
    for (size_t n = 0; n <= sizeof(text) - LP_SPLIT_PAD - 64; n++) {
        for (unsigned how = 0; how < 5; how++) {
            for (unsigned shift = 0; shift < 8; shift++) {
                fill(text, sizeof(text), how, &seed); /* behind the text too: it must not matter */
                wrong += !cuts_right(text + shift, n);
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void
every_byte_is_what_it_is(void)
{
    char text[256 + LP_SPLIT_PAD] = {0};
    for (unsigned c = 0; c < 256; c++) {
        memset(text, (int)c, 130);
        CU_ASSERT(cuts_right(text, 130));
        uint16_t edges[260];
        size_t k = lp_split(text, 130, edges, 130);
        CU_ASSERT_EQUAL(k, lp_is_token_byte((uint8_t)c) ? 2 : 0);
    }
}

/* The pad ends where the page does, and the next page is not there. */
static void
reads_no_further_than_the_pad(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(mem != MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(mprotect(mem + page, page, PROT_NONE), 0);
    uint64_t seed = 2;
    fill(mem, page, 1, &seed);
    uint32_t wrong = 0;
    for (size_t n = 0; n <= 300; n++) {
        wrong += !cuts_right(mem + page - LP_SPLIT_PAD - n, n);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    munmap(mem, 2 * page);
}

static void
keeps_its_limits(void)
{
    char *text = lp_malloc(LP_SPLIT_BYTES + 1 + LP_SPLIT_PAD);
    uint16_t *edges = lp_malloc(ROOM * sizeof(*edges));
    memset(text, ' ', LP_SPLIT_BYTES + 1 + LP_SPLIT_PAD);
    for (size_t i = 0; i < LP_SPLIT_BYTES; i += 2) {
        text[i] = 'a';
    }
    CU_ASSERT(cuts_right(text, LP_SPLIT_BYTES));
    CU_ASSERT_EQUAL(lp_split(text, LP_SPLIT_BYTES + 1, edges, LP_SPLIT_BYTES + 1), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_split_portable(text, LP_SPLIT_BYTES + 1, edges, LP_SPLIT_BYTES + 1), SIZE_MAX);
    for (size_t n = 100; n < 400; n += 33) { /* (n + 1) / 2 tokens */
        size_t k = (n + 1) / 2 * 2;
        CU_ASSERT_EQUAL(lp_split(text, n, edges, k), k);
        CU_ASSERT_EQUAL(lp_split(text, n, edges, k - 1), SIZE_MAX);
        CU_ASSERT_EQUAL(lp_split_portable(text, n, edges, k), k);
        CU_ASSERT_EQUAL(lp_split_portable(text, n, edges, k - 1), SIZE_MAX);
    }
    edges[40 + 64] = 12345; /* room for max + 64: not one more is written */
    CU_ASSERT_EQUAL(lp_split(text, 1000, edges, 40), SIZE_MAX);
    CU_ASSERT_EQUAL(edges[40 + 64], 12345);
    lp_free(text);
    lp_free(edges);
}

static void
random_text(void)
{
    uint64_t seed = 3;
    char *text = lp_malloc(70000);
    uint32_t wrong = 0;
    for (unsigned i = 0; i < 300; i++) {
        size_t n = lp_rand(&seed) % (i % 10 == 0 ? LP_SPLIT_BYTES : 3000);
        fill(text, n + LP_SPLIT_PAD, i % 5, &seed);
        wrong += !cuts_right(text, n);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    lp_free(text);
}

LP_SUITE(split, {"every length around a step", every_length_around_a_step},
         {"every byte is what it is", every_byte_is_what_it_is},
         {"reads no further than the pad", reads_no_further_than_the_pad},
         {"keeps its limits", keeps_its_limits}, {"random text", random_text});
