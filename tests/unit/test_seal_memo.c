/*
 * test_seal_memo.c - oracle: what it finds is what was noted last for that very hash; what is in use is
 * found, however many came and went; what was forgotten is not.
 */
#include "store/seal_memo.h"

#include "tests/unit/store_fixture.h"

#define MANY 2000000u
#define KEPT 393216u /* of the newest at least: a table three quarters full */

static struct lp_hash128
hash_of(uint64_t i)
{
    uint64_t seed = i / 2; /* two each share the half by which places are found */
    return (struct lp_hash128){lp_rand(&seed), i};
}

static bool
knows(struct lp_seal_memo *m, uint64_t i)
{
    uint64_t id, group;
    bool found = lp_seal_memo_find(m, hash_of(i), &id, &group);
    CU_ASSERT(!found || (id == i + 1 && group == i % 7));
    return found;
}

static void
what_was_noted_is_found(void)
{
    struct lp_seal_memo *m = lp_seal_memo_new();
    uint64_t id, group;
    CU_ASSERT(!knows(m, 3));
    for (uint64_t i = 0; i < 100000; i++) {
        lp_seal_memo_note(m, hash_of(i), i + 1, i % 7);
    }
    size_t missed = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        missed += !knows(m, i) + knows(m, i + 100000);
    }
    CU_ASSERT_EQUAL(missed, 0);
    lp_seal_memo_note(m, hash_of(5), 77, 8);
    CU_ASSERT(lp_seal_memo_find(m, hash_of(5), &id, &group) && id == 77 && group == 8);
    lp_seal_memo_clear(m);
    CU_ASSERT(!knows(m, 6));
    lp_seal_memo_free(m);
}

static void
the_newest_and_those_in_use_stay(void)
{
    struct lp_seal_memo *m = lp_seal_memo_new();
    for (uint64_t i = 0; i < MANY; i++) {
        lp_seal_memo_note(m, hash_of(i), i + 1, i % 7);
        if (i % 1000 == 999) {
            CU_ASSERT(knows(m, 42));
        }
    }
    size_t old = 0, missed = 0;
    for (uint64_t i = MANY; i-- > 0;) {
        bool found = knows(m, i);
        missed += !found && i >= MANY - KEPT;
        old += found && i < MANY - 3 * KEPT;
    }
    CU_ASSERT_EQUAL(missed, 0);
    CU_ASSERT_EQUAL(old, 1); /* 42: memory is bounded */
    lp_seal_memo_free(m);
}

LP_SUITE(seal_memo, {"what was noted is found", what_was_noted_is_found},
         {"the newest and those in use stay", the_newest_and_those_in_use_stay});
