/*
 * seal_mark.c - DATA/sealing: which generation is being encoded, and how many processes have begun to and did
 * not end it. Two such crashes on one generation, and it is stored as plain text: a bug in the codec then
 * costs bytes, and not a server that never comes up again.
 *
 * A hint only: it is not synced, and what cannot be read or written counts as none. Seal thread only.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/store_int.h"

#define MARK_BYTES 16u
#define PATH_BYTES 4200

static void
mark_path(const struct lp_store *st, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/sealing", st->dir);
}

/* How many processes began this generation before. */
static uint32_t
read_mark(const struct lp_store *st, const char *path, uint64_t generation)
{
    struct lp_arena ar;
    struct lp_str mark;
    uint32_t tries = 0;
    lp_arena_init(&ar, 4096, 0);
    if (lp_io_read_file(st->cfg.io, path, MARK_BYTES, &ar, &mark, NULL) == LP_OK && mark.n == MARK_BYTES &&
        lp_crc32c(0, mark.p, 12) == lp_get_u32(mark.p + 12) && lp_get_u64(mark.p) == generation) {
        tries = lp_get_u32(mark.p + 8);
    }
    lp_arena_clear(&ar);
    return tries;
}

uint32_t
lp_seal_mark_begin(struct lp_store *st, uint64_t generation)
{
    char path[PATH_BYTES], mark[MARK_BYTES];
    int fd;
    mark_path(st, path);
    uint32_t before = read_mark(st, path, generation);
    lp_put_u64(mark, generation);
    lp_put_u32(mark + 8, before + 1);
    lp_put_u32(mark + 12, lp_crc32c(0, mark, 12));
    (void)!lp_io_unlink(st->cfg.io, path, NULL);
    if (lp_io_open(st->cfg.io, path, LP_IO_CREATE, &fd, NULL) == LP_OK) {
        (void)!lp_io_pwrite(st->cfg.io, fd, mark, sizeof(mark), 0, NULL);
        lp_io_close(st->cfg.io, fd);
    }
    return before;
}

void
lp_seal_mark_end(struct lp_store *st)
{
    char path[PATH_BYTES];
    mark_path(st, path);
    (void)!lp_io_unlink(st->cfg.io, path, NULL);
}
