/*
 * test_find.c - searching bytes for bytes. Oracle: a search written down here, byte by byte; for the rule
 * that nothing outside the slices is read, pages without access on both sides of them.
 */
#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/find.h"
#include "base/find_int.h"

static uint64_t seed = 88172645463325252u;

static unsigned
below(unsigned n)
{
    return lp_test_below(&seed, n);
}

static char
lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
}

static size_t
naive(struct lp_str hay, struct lp_str needle, bool icase)
{
    for (size_t i = 0; i + needle.n <= hay.n; i++) {
        size_t k = 0;
        while (k < needle.n && (icase ? lower(hay.p[i + k]) : hay.p[i + k]) == needle.p[k]) {
            k++;
        }
        if (k == needle.n) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void
check(struct lp_str hay, struct lp_str needle)
{
    const struct lp_find_way *ways[LP_FIND_WAYS_MAX];
    size_t n = lp_find_ways(ways), at = naive(hay, needle, false), at_icase = naive(hay, needle, true);
    bool ascii = true;
    for (size_t i = 0; i < hay.n; i++) {
        ascii = ascii && (unsigned char)hay.p[i] < 0x80;
    }
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(ways[i]->find(hay, needle), at);
        CU_ASSERT_EQUAL(ways[i]->find_icase(hay, needle), at_icase);
        CU_ASSERT_EQUAL(ways[i]->all_ascii(hay), ascii);
    }
}

static void
plain_cases(void)
{
    check(LP_STR(""), LP_STR(""));
    check(LP_STR_NULL, LP_STR_NULL);
    check(LP_STR_NULL, LP_STR("a"));
    check(LP_STR("a"), LP_STR_NULL);
    check(LP_STR("abc"), LP_STR("abcd"));
    check(LP_STR("a\0b"), LP_STR("\0b"));
    CU_ASSERT_EQUAL(lp_find(LP_STR("an Error"), LP_STR("error")), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("an Error"), LP_STR("error")), 3);
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("an eRROR 42!"), LP_STR("error 42!")), 3);
    /* bytes that differ in bit 0x20 and are no letters, or not ASCII, are not the same */
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("@[\\]^\x10\xc3\x89"), LP_STR("`")), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("@[\\]^\x10\xc3\x89"), LP_STR("0")), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("@[\\]^\x10\xc3\x89"), LP_STR("\xc3\xa9")), SIZE_MAX);
    CU_ASSERT_EQUAL(lp_find_icase(LP_STR("@[\\]^\x10\xc3\x89"), LP_STR("{")), SIZE_MAX);
}

/* A page that may be touched between two that may not. */
static char *
guarded_page(size_t bytes)
{
    char *p = mmap(NULL, 3 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(p != MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(mprotect(p + bytes, bytes, PROT_READ | PROT_WRITE), 0);
    return p + bytes;
}

/* Fills in text of few letters, so that beginnings of the needle overlap and are often found. */
static void
fill(char *p, size_t n, const char *letters, unsigned nletters)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = letters[below(nletters)];
    }
}

static void
random_texts_at_the_ends_of_pages(void)
{
    static const char *const letters[] = {"aaaaaaab", "abAB", "ab",
                                          "abcdefghijklmnopqrstuvwxyzERROR \xc3\xa9@`["};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *hay_page = guarded_page(page), *needle_page = guarded_page(page);
    for (unsigned round = 0; round < 30000; round++) {
        const char *set = letters[below(LP_ARRAY_LEN(letters))];
        unsigned nset = (unsigned)strlen(set);
        size_t n = below(round % 64 == 0 ? 4096 : round % 2 == 0 ? 300 : 70);
        size_t m = below(round % 128 == 0 ? 600 : round % 2 == 0 ? 12 : 40);
        char *hay = below(2) == 0 ? hay_page : hay_page + page - n;
        char *needle = below(2) == 0 ? needle_page : needle_page + page - m;
        fill(hay, n, set, nset);
        if (m <= n && below(2) == 0) {
            memcpy(needle, hay + (n - m > 0 ? below((unsigned)(n - m)) : 0), m);
        } else {
            fill(needle, m, set, nset);
        }
        for (size_t i = 0; i < m; i++) {
            needle[i] = lower(needle[i]);
        }
        check(lp_str_of(hay, n), lp_str_of(needle, m));
    }
    munmap(hay_page - page, 3 * page);
    munmap(needle_page - page, 3 * page);
}

/* Every length of the haystack up to a few steps, the needle at each place in turn, and cut off by the end.
 */
static void
every_place(void)
{
    char hay[150];
    for (size_t n = 0; n < sizeof(hay); n++) {
        for (size_t at = 0; at < n; at++) {
            memset(hay, 'x', sizeof(hay));
            memcpy(hay + at, "NEEdle", LP_MIN((size_t)6, sizeof(hay) - at));
            check(lp_str_of(hay, n), LP_STR("needle"));
            CU_ASSERT_EQUAL(lp_find(lp_str_of(hay, n), LP_STR("NEEdle")), at + 6 <= n ? at : SIZE_MAX);
            check(lp_str_of(hay, n), LP_STR("n"));
            check(lp_str_of(hay, n), LP_STR("le"));
        }
    }
}

LP_SUITE(find, {"plain cases", plain_cases}, {"every place", every_place},
         {"random texts at the ends of pages", random_texts_at_the_ends_of_pages});
