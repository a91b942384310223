/*
 * tail_mark.c - DATA/tails: when somebody followed what arrives last. While that is not long ago young
 * segments are not merged (maintain.c), because a tail that was cut off goes on by what merging forgets; a
 * restart is such a cut, so the time outlives the process.
 *
 * A hint only: written once a minute at most, not synced; what cannot be read or written counts as none.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "store/store_int.h"

#define MARK_BYTES 12u
#define PATH_BYTES 4200
#define WRITE_NS (60 * LP_NS_PER_S)

void
lp_tail_mark_read(struct lp_store *st)
{
    char path[PATH_BYTES];
    struct lp_arena ar;
    struct lp_str mark;
    snprintf(path, sizeof(path), "%s/tails", st->dir);
    lp_arena_init(&ar, 4096, 0);
    if (lp_io_read_file(st->cfg.io, path, MARK_BYTES, &ar, &mark, NULL) == LP_OK && mark.n == MARK_BYTES &&
        lp_crc32c(0, mark.p, 8) == lp_get_u32(mark.p + 8)) {
        atomic_store(&st->tail_ns, LP_MIN((int64_t)lp_get_u64(mark.p), lp_now_ns()));
    }
    lp_arena_clear(&ar);
}

static void
write_mark(const struct lp_store *st, int64_t now_ns)
{
    char path[PATH_BYTES], mark[MARK_BYTES];
    int fd;
    snprintf(path, sizeof(path), "%s/tails", st->dir);
    lp_put_u64(mark, (uint64_t)now_ns);
    lp_put_u32(mark + 8, lp_crc32c(0, mark, 8));
    (void)!lp_io_unlink(st->cfg.io, path, NULL);
    if (lp_io_open(st->cfg.io, path, LP_IO_CREATE, &fd, NULL) == LP_OK) {
        (void)!lp_io_pwrite(st->cfg.io, fd, mark, sizeof(mark), 0, NULL);
        lp_io_close(st->cfg.io, fd);
    }
}

void
lp_store_note_tail(struct lp_store *st)
{
    int64_t now_ns = lp_now_ns(), written_ns = atomic_load(&st->tail_mark_ns);
    atomic_store(&st->tail_ns, now_ns);
    if ((written_ns == 0 || now_ns - written_ns >= WRITE_NS || now_ns < written_ns) &&
        atomic_compare_exchange_strong(&st->tail_mark_ns, &written_ns, now_ns)) {
        write_mark(st, now_ns);
    }
}
