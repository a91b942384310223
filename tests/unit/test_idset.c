/*
 * test_idset.c - oracle: the same sets as plain arrays of bytes.
 */
#include "store/idset.h"

#include <string.h>

#include "tests/unit/unit.h"

#define LIMIT 200000u

/* Runs of all kinds: single ids, long ones, over chunks; whole words, to the very end. */
static void
fill(struct lp_idset *s, uint8_t *plain, uint64_t *seed)
{
    unsigned n = lp_test_below(seed, 40);
    memset(plain, 0, LIMIT);
    lp_idset_init(s, LIMIT);
    for (unsigned i = 0; i < n; i++) {
        unsigned most[] = {1, 70, 3000, LIMIT};
        unsigned len = 1 + lp_test_below(seed, most[lp_test_below(seed, 4)]),
                 first = lp_test_below(seed, LIMIT);
        first = lp_test_below(seed, 4) == 0 ? first & ~63u : first;
        len = LP_MIN(len, LIMIT - first);
        lp_idset_add(s, first, first + len);
        memset(plain + first, 1, len);
    }
}

static void
check(const struct lp_idset *s, const uint8_t *plain)
{
    uint64_t id = 0;
    for (uint64_t i = 0; i < LIMIT; i++) {
        if (plain[i]) {
            CU_ASSERT_EQUAL_FATAL(lp_idset_next(s, id), i);
            id = i + 1;
        }
        if ((i % 61 == 0 || plain[i]) && lp_idset_has(s, i) != plain[i]) {
            CU_FAIL_FATAL("has");
        }
    }
    CU_ASSERT_EQUAL(lp_idset_next(s, id), UINT64_MAX);
}

static void
operations_are_those_of_sets(void)
{
    static uint8_t a[LIMIT], b[LIMIT];
    uint64_t seed = 11;
    for (int round = 0; round < 60; round++) {
        struct lp_idset s, t;
        fill(&s, a, &seed);
        fill(&t, b, &seed);
        bool within = true, meets = false, empty = true;
        for (size_t i = 0; i < LIMIT; i++) {
            within = within && (!a[i] || b[i]);
            meets = meets || (a[i] && b[i]);
            empty = empty && !a[i];
        }
        CU_ASSERT_EQUAL(lp_idset_within(&s, &t), within);
        CU_ASSERT_EQUAL(lp_idset_meets(&s, &t), meets);
        CU_ASSERT_EQUAL(lp_idset_is_empty(&s), empty);
        int op = round % 3;
        (op == 0 ? lp_idset_or : op == 1 ? lp_idset_and : lp_idset_without)(&s, &t);
        for (size_t i = 0; i < LIMIT; i++) {
            a[i] = op == 0 ? a[i] | b[i] : op == 1 ? a[i] & b[i] : a[i] & !b[i];
        }
        check(&s, a);
        CU_ASSERT_TRUE(lp_idset_within(&s, &s));
        lp_idset_clear(&s);
        lp_idset_clear(&t);
    }
}

static void
numbers_go_by_rising_id(void)
{
    static uint8_t a[LIMIT];
    uint64_t seed = 5;
    for (int round = 0; round < 20; round++) {
        struct lp_idset s;
        uint64_t n = 0;
        fill(&s, a, &seed);
        lp_idset_number(&s);
        for (uint64_t i = 0; i < LIMIT; i++) {
            if (lp_idset_rank(&s, i) != n || (a[i] && lp_idset_at(&s, n) != i)) {
                CU_FAIL_FATAL("number");
            }
            n += a[i];
        }
        CU_ASSERT_EQUAL(lp_idset_count(&s), n);
        lp_idset_clear(&s);
    }
}

LP_SUITE(idset, {"operations are those of sets", operations_are_those_of_sets},
         {"numbers go by rising id", numbers_go_by_rising_id});
