/*
 * arena.h - memory that is freed in one call: one arena per ingest batch, query, request.
 *
 * An arena has a byte budget over everything it takes from the system, its own chunk headers included. When the budget
 * is spent, or the system has no memory, allocation returns NULL and the arena stays usable. One thread at a time.
 * Never store an arena pointer in a longer-lived object.
 */
#ifndef LP_BASE_ARENA_H
#define LP_BASE_ARENA_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lp_arena_chunk;

/* A budget over all arenas that have joined it: what they take from the system, together. Any thread; used and most are read and written atomically. */
struct lp_arena_share {
    size_t used, most;
};

struct lp_arena {
    struct lp_arena_chunk *chunks; /* newest first */
    char *at, *end;                /* free space of the newest chunk */
    size_t first_chunk;            /* what next_chunk begins with */
    size_t next_chunk;             /* bytes of the next ordinary chunk; doubles up to LP_ARENA_CHUNK_MAX */
    size_t reserved;               /* bytes taken from the system so far */
    size_t budget;
    struct lp_arena_share *share; /* NULL: none */
};

#define LP_ARENA_CHUNK_MIN 1024u
#define LP_ARENA_CHUNK_MAX (32u * 1024) /* half of one is free at the end, on average: with 256 KiB a seventh of a batch was */

/* Takes no memory yet. first_chunk: a guess of the need, 0 = LP_ARENA_CHUNK_MIN. */
void lp_arena_init(struct lp_arena *ar, size_t budget, size_t first_chunk);
/* From now on the arena counts against the share, too, which outlives it. It has allocated nothing yet. */
void lp_arena_join(struct lp_arena *ar, struct lp_arena_share *share);
/* Frees everything; the arena is as after lp_arena_init (and lp_arena_join). */
void lp_arena_clear(struct lp_arena *ar);
/* Frees what was allocated for use again; the first chunk is kept where it is the only one. */
void lp_arena_reset(struct lp_arena *ar);
/* Moves all memory of `from` to `to` (initialised and empty; it keeps its own budget); `from` becomes empty. Neither has joined a share. */
void lp_arena_move(struct lp_arena *to, struct lp_arena *from);

/* 8-byte (or 16 for >= 16) aligned, not cleared; NULL when spent. bytes == 0 gives a valid pointer. */
void *lp_arena_alloc(struct lp_arena *ar, size_t bytes) LP_MUST_USE;
/* As above, cleared. */
void *lp_arena_zalloc(struct lp_arena *ar, size_t bytes) LP_MUST_USE;
/* count * size with an overflow check. */
void *lp_arena_array(struct lp_arena *ar, size_t count, size_t size) LP_MUST_USE;
/* Unaligned bytes, for text. */
char *lp_arena_bytes(struct lp_arena *ar, size_t bytes) LP_MUST_USE;
/* Bytes that lp_arena_bytes() can give without more memory. */
static inline size_t
lp_arena_left(const struct lp_arena *ar)
{
    return (size_t)(ar->end - ar->at);
}
/* The end of the chunk that p lies in: what stands from p to there, apart from bytes not yet allocated, is the arena's. NULL: p is not in it. */
const char *lp_arena_chunk_end(const struct lp_arena *ar, const char *p);
/* Of `bytes` at p, which were allocated last (lp_arena_bytes), only the first `used` stay; else nothing happens. */
void lp_arena_trim(struct lp_arena *ar, const char *p, size_t bytes, size_t used);
/* Copies; false when spent. The copy is followed by a NUL that n does not count. */
bool lp_arena_str(struct lp_arena *ar, struct lp_str s, struct lp_str *ret) LP_MUST_USE;

/*
 * A growing array inside an arena: returns `items` or a moved, larger place with room for need items, doubling *cap.
 * NULL when spent. What it grew out of stays allocated until the arena goes.
 */
void *lp_arena_grow(struct lp_arena *ar, void *items, size_t *cap, size_t need, size_t size) LP_MUST_USE;
/* The same; new items are zero. */
void *lp_arena_zgrow(struct lp_arena *ar, void *items, size_t *cap, size_t need, size_t size) LP_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif
