/*
 * arena.c - chunks of growing size, cut from the front; a request that would waste much of a chunk gets its
 * own.
 *
 * Invariants: chunks[0] is the one that `at` and `end` point into (both NULL while there is none); reserved
 * is the sum of the chunks' bytes, headers included, and never grows beyond budget. No locks: one thread at a
 * time.
 */
#include "base/arena.h"

/* Under the address sanitizer, what has not been allocated yet must not be touched. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define CLOSE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define OPEN(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define CLOSE(p, n) ((void)(p), (void)(n))
#define OPEN(p, n) ((void)(p), (void)(n))
#endif

#define LP_CHUNK_ALIGN 16u

struct lp_arena_chunk {
    struct lp_arena_chunk *next;
    size_t bytes; /* with this header */
};

_Static_assert(sizeof(struct lp_arena_chunk) % LP_CHUNK_ALIGN == 0, "what follows the header is aligned");

void
lp_arena_init(struct lp_arena *ar, size_t budget, size_t first_chunk)
{
    size_t first = LP_MAX(first_chunk, LP_ARENA_CHUNK_MIN);
    *ar = (struct lp_arena){.first_chunk = first, .next_chunk = first, .budget = budget};
}

static void
give_share(struct lp_arena_share *share, size_t bytes)
{
    if (share != NULL) {
        __atomic_fetch_sub(&share->used, bytes, __ATOMIC_RELAXED);
    }
}

static bool
take_share(struct lp_arena_share *share, size_t bytes)
{
    if (share == NULL) {
        return true;
    }
    size_t used = __atomic_fetch_add(&share->used, bytes, __ATOMIC_RELAXED);
    size_t most = __atomic_load_n(&share->most, __ATOMIC_RELAXED);
    if (used > most || bytes > most - used) {
        give_share(share, bytes);
        return false;
    }
    return true;
}

void
lp_arena_join(struct lp_arena *ar, struct lp_arena_share *share)
{
    LP_ASSERT(ar->chunks == NULL);
    ar->share = share;
}

void
lp_arena_clear(struct lp_arena *ar)
{
    struct lp_arena_chunk *c = ar->chunks;
    struct lp_arena_share *share = ar->share;
    give_share(share, ar->reserved);
    while (c != NULL) {
        struct lp_arena_chunk *next = c->next;
        OPEN(c + 1, c->bytes - sizeof(*c));
        lp_free(c);
        c = next;
    }
    lp_arena_init(ar, ar->budget, ar->first_chunk);
    ar->share = share;
}

void
lp_arena_reset(struct lp_arena *ar)
{
    if (ar->chunks == NULL || ar->chunks->next != NULL) {
        lp_arena_clear(ar);
        return;
    }
    ar->at = (char *)(ar->chunks + 1);
    CLOSE(ar->at, (size_t)(ar->end - ar->at));
}

void
lp_arena_move(struct lp_arena *to, struct lp_arena *from)
{
    LP_ASSERT(to->chunks == NULL && to->share == NULL && from->share == NULL);
    size_t budget = to->budget;
    *to = *from;
    to->budget = budget;
    lp_arena_init(from, from->budget, from->first_chunk);
}

/* Takes a chunk of `bytes` from the system and counts it; the caller links it. */
static struct lp_arena_chunk *
chunk_new(struct lp_arena *ar, size_t bytes)
{
    if (!take_share(ar->share, bytes)) {
        return NULL;
    }
    struct lp_arena_chunk *c = lp_try_malloc(bytes);
    if (c != NULL) {
        c->bytes = bytes;
        ar->reserved += bytes;
    } else {
        give_share(ar->share, bytes);
    }
    return c;
}

/* A chunk for one large request, behind the newest, whose free space stays in use. */
static char *
alloc_own_chunk(struct lp_arena *ar, size_t bytes)
{
    struct lp_arena_chunk *c = chunk_new(ar, sizeof(*c) + bytes);
    if (c == NULL) {
        return NULL;
    }
    c->next = ar->chunks->next;
    ar->chunks->next = c;
    return (char *)(c + 1);
}

/* The newest chunk has no room for `bytes`: takes another. */
static char *
alloc_slow(struct lp_arena *ar, size_t bytes)
{
    struct lp_arena_chunk *c;
    size_t left = ar->budget > ar->reserved ? ar->budget - ar->reserved : 0;
    if (left < sizeof(*c) || bytes > left - sizeof(*c)) {
        return NULL;
    }
    if (ar->chunks != NULL && bytes > ar->next_chunk / 4) {
        return alloc_own_chunk(ar, bytes);
    }
    size_t want = LP_MIN(LP_MAX(ar->next_chunk, sizeof(*c) + bytes), left);
    c = chunk_new(ar, want);
    if (c == NULL) {
        return NULL;
    }
    c->next = ar->chunks;
    ar->chunks = c;
    ar->at = (char *)(c + 1) + bytes;
    ar->end = (char *)c + want;
    CLOSE(ar->at, (size_t)(ar->end - ar->at));
    ar->next_chunk = LP_MAX(ar->next_chunk, LP_MIN(ar->next_chunk * 2, (size_t)LP_ARENA_CHUNK_MAX));
    return (char *)(c + 1);
}

static char *
alloc_aligned(struct lp_arena *ar, size_t bytes, size_t align)
{
    size_t skip = -(uintptr_t)ar->at & (align - 1);
    size_t room = (size_t)(ar->end - ar->at);
    if (LP_LIKELY(ar->at != NULL && skip <= room && bytes <= room - skip)) {
        char *p = ar->at + skip;
        OPEN(ar->at, skip + bytes);
        ar->at = p + bytes;
        return p;
    }
    return alloc_slow(ar, bytes);
}

void *
lp_arena_alloc(struct lp_arena *ar, size_t bytes)
{
    return alloc_aligned(ar, bytes, bytes >= 16 ? 16 : 8);
}

void *
lp_arena_zalloc(struct lp_arena *ar, size_t bytes)
{
    void *p = lp_arena_alloc(ar, bytes);
    if (p != NULL) {
        memset(p, 0, bytes);
    }
    return p;
}

void *
lp_arena_array(struct lp_arena *ar, size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : lp_arena_alloc(ar, bytes);
}

char *
lp_arena_bytes(struct lp_arena *ar, size_t bytes)
{
    return alloc_aligned(ar, bytes, 1);
}

const char *
lp_arena_chunk_end(const struct lp_arena *ar, const char *p)
{
    for (const struct lp_arena_chunk *c = ar->chunks; c != NULL; c = c->next) {
        const char *from = (const char *)(c + 1), *end = (const char *)c + c->bytes;
        if ((uintptr_t)p >= (uintptr_t)from && (uintptr_t)p < (uintptr_t)end) {
            return end;
        }
    }
    return NULL;
}

void
lp_arena_trim(struct lp_arena *ar, const char *p, size_t bytes, size_t used)
{
    LP_ASSERT(used <= bytes);
    if (p + bytes == ar->at) {
        ar->at -= bytes - used;
        CLOSE(ar->at, bytes - used);
    }
}

bool
lp_arena_str(struct lp_arena *ar, struct lp_str s, struct lp_str *ret)
{
    char *p = s.n < SIZE_MAX ? lp_arena_bytes(ar, s.n + 1) : NULL;
    if (p == NULL) {
        return false;
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = 0;
    *ret = lp_str_of(p, s.n);
    return true;
}

void *
lp_arena_grow(struct lp_arena *ar, void *items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap && items != NULL) {
        return items;
    }
    size_t more = *cap > SIZE_MAX / 2 ? SIZE_MAX : *cap * 2;
    more = LP_MAX(LP_MAX(more, need), (size_t)8);
    void *moved = lp_arena_array(ar, more, size);
    if (moved == NULL && more > need) {
        /* near the end of the budget, exactly what is needed may still fit */
        more = need;
        moved = lp_arena_array(ar, more, size);
    }
    if (moved == NULL) {
        return NULL;
    }
    if (items != NULL && *cap > 0) {
        memcpy(moved, items, *cap * size);
    }
    *cap = more;
    return moved;
}

void *
lp_arena_zgrow(struct lp_arena *ar, void *items, size_t *cap, size_t need, size_t size)
{
    size_t known = *cap;
    char *grown = lp_arena_grow(ar, items, cap, need, size);
    if (grown != NULL && *cap > known) {
        memset(grown + known * size, 0, (*cap - known) * size);
    }
    return grown;
}
