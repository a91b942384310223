/*
 * test_arena.c - arenas. Oracle: arena.h: alignment, the byte budget over all that was taken, and use after a
 * refusal.
 */
#include "tests/unit/unit.h"

#include "base/arena.h"

static void
pieces_are_aligned_and_apart(void)
{
    struct lp_arena ar;
    struct {
        unsigned char *p;
        size_t n;
    } piece[2000];
    lp_arena_init(&ar, 16 << 20, 0);
    for (unsigned i = 0; i < LP_ARRAY_LEN(piece); i++) {
        piece[i].n = i % 7 == 0 ? i * 13 % 5000 : i % 40;
        piece[i].p =
            i % 3 == 0 ? (unsigned char *)lp_arena_bytes(&ar, piece[i].n) : lp_arena_alloc(&ar, piece[i].n);
        CU_ASSERT_PTR_NOT_NULL_FATAL(piece[i].p);
        if (i % 3 != 0) {
            CU_ASSERT_EQUAL((uintptr_t)piece[i].p % (piece[i].n >= 16 ? 16 : 8), 0);
        }
        memset(piece[i].p, (int)(i & 0xff), piece[i].n);
    }
    for (unsigned i = 0; i < LP_ARRAY_LEN(piece); i++) {
        for (size_t k = 0; k < piece[i].n; k++) {
            CU_ASSERT_EQUAL_FATAL(piece[i].p[k], i & 0xff);
        }
    }
    lp_arena_clear(&ar);
}

static void
the_budget_holds(void)
{
    for (size_t budget = 0; budget < 20000; budget += 613) {
        struct lp_arena ar;
        size_t got = 0;
        lp_arena_init(&ar, budget, 0);
        CU_ASSERT_EQUAL(ar.reserved, 0);
        while (lp_arena_alloc(&ar, 48) != NULL) {
            got += 48;
            CU_ASSERT_FATAL(ar.reserved <= budget && got <= ar.reserved);
        }
        /* all but headers, and less than a piece a chunk, could be used */
        CU_ASSERT(budget < 200 || got + 500 > budget);
        CU_ASSERT_PTR_NULL(lp_arena_alloc(&ar, SIZE_MAX));
        CU_ASSERT_PTR_NULL(lp_arena_array(&ar, SIZE_MAX / 2, 3));
        lp_arena_clear(&ar);
        CU_ASSERT_EQUAL(ar.reserved, 0);
    }
}

static void
a_refusal_leaves_it_usable(void)
{
    struct lp_arena ar;
    struct lp_str s;
    lp_arena_init(&ar, 4096, 0);
    CU_ASSERT_PTR_NULL(lp_arena_alloc(&ar, 5000));
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&ar, 3000));
    CU_ASSERT_PTR_NULL(lp_arena_alloc(&ar, 2000));
    CU_ASSERT_FATAL(lp_arena_str(&ar, LP_STR("a\0b"), &s));
    CU_ASSERT(lp_str_eq(s, LP_STR("a\0b")));
    CU_ASSERT_EQUAL(s.p[3], 0);
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&ar, 0));
    lp_arena_clear(&ar);
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&ar, 4000)); /* the whole budget is back */
    lp_arena_clear(&ar);
}

static void
arrays_grow(void)
{
    struct lp_arena ar;
    uint32_t *items = NULL;
    size_t cap = 0, n = 0;
    lp_arena_init(&ar, 1 << 20, 0);
    for (;;) {
        uint32_t *more = lp_arena_grow(&ar, items, &cap, n + 1, sizeof(*items));
        if (more == NULL) {
            break;
        }
        items = more;
        items[n] = (uint32_t)n;
        n++;
    }
    CU_ASSERT(n >= 64 * 1024); /* 256 KiB of the MiB at least, in spite of what doubling left behind */
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL_FATAL(items[i], i);
    }
    const unsigned char *zeros = lp_arena_zalloc(&ar, 10);
    for (size_t i = 0; zeros != NULL && i < 10; i++) {
        CU_ASSERT_EQUAL(zeros[i], 0);
    }
    lp_arena_clear(&ar);
}

static void
memory_can_move(void)
{
    struct lp_arena from, to;
    struct lp_str s;
    lp_arena_init(&from, 10000, 0);
    lp_arena_init(&to, 2000, 0);
    CU_ASSERT_FATAL(lp_arena_str(&from, LP_STR("moves along"), &s));
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&from, 5000));
    lp_arena_move(&to, &from);
    CU_ASSERT_EQUAL(from.reserved, 0);
    CU_ASSERT(to.reserved > 5000);
    CU_ASSERT_EQUAL(to.budget, 2000);
    CU_ASSERT_PTR_NULL(lp_arena_alloc(&to, 5000)); /* over its own budget */
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&from, 5000));
    lp_arena_clear(&from);
    CU_ASSERT(lp_str_eqc(s, "moves along"));
    lp_arena_clear(&to);
}

static void
what_is_not_used_goes_back(void)
{
    struct lp_arena ar;
    lp_arena_init(&ar, SIZE_MAX, 4096);
    char *a = lp_arena_bytes(&ar, 1000);
    size_t left = lp_arena_left(&ar);
    lp_arena_trim(&ar, a, 1000, 10);
    CU_ASSERT_EQUAL(lp_arena_left(&ar), left + 990);
    CU_ASSERT_PTR_EQUAL(lp_arena_bytes(&ar, 5), a + 10);
    lp_arena_trim(&ar, a, 10, 0); /* no longer the last */
    CU_ASSERT_PTR_EQUAL(lp_arena_bytes(&ar, 1), a + 15);
    char *large = lp_arena_bytes(&ar, 100000);
    lp_arena_trim(&ar, large, 100000, 1);
    CU_ASSERT_PTR_EQUAL(lp_arena_bytes(&ar, 1), a + 16);
    lp_arena_clear(&ar);
}

static void
arenas_share_a_budget(void)
{
    struct lp_arena_share share = {0, 100000};
    struct lp_arena a, b;
    lp_arena_init(&a, SIZE_MAX, 0);
    lp_arena_init(&b, SIZE_MAX, 0);
    lp_arena_join(&a, &share);
    lp_arena_join(&b, &share);
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&a, 60000));
    CU_ASSERT_PTR_NULL(lp_arena_alloc(&b, 60000));
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&b, 30000)); /* what still fits does */
    CU_ASSERT_EQUAL(share.used, a.reserved + b.reserved);
    lp_arena_clear(&a);
    CU_ASSERT_EQUAL(share.used, b.reserved);
    CU_ASSERT_PTR_NOT_NULL(lp_arena_alloc(&a, 60000)); /* it still belongs to the share */
    CU_ASSERT_EQUAL(share.used, a.reserved + b.reserved);
    lp_arena_reset(&b);
    lp_arena_clear(&a);
    lp_arena_clear(&b);
    CU_ASSERT_EQUAL(share.used, 0);
}

LP_SUITE(arena, {"pieces are aligned and apart", pieces_are_aligned_and_apart},
         {"the budget holds", the_budget_holds}, {"a refusal leaves it usable", a_refusal_leaves_it_usable},
         {"arrays grow", arrays_grow}, {"memory can move", memory_can_move},
         {"what is not used goes back", what_is_not_used_goes_back},
         {"arenas share a budget", arenas_share_a_budget});
