/*
 * fuzz_journal.c - any bytes as a journal file. An even first byte: the rest is the file. An odd one: the
 * rest is a script of entries with right checksums, garbage and flipped bytes, so that the walk is reached
 * behind them. Oracle: no crash, no sanitizer report; what the walk finds lies in the file, in order, without
 * gaps but for padding, and its numbers rise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "ingest/journal_int.h"

#define FILE_BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void
remove_dir(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/0000000000000001.jnl", dir);
    unlink(path);
    rmdir(dir);
}

static void
make_dir(void)
{
    if (dir[0] == 0) {
        snprintf(dir, sizeof(dir), "%s/lp-fuzz-jnl.XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        LP_ASSERT(mkdtemp(dir) != NULL);
        atexit(remove_dir);
    }
}

/* One step of a script: an entry whose checksums hold. op bit 0: a void entry; bits 1-2: how far the number
 * jumps. */
static void
put_entry(struct lp_rd *rd, uint8_t op, uint64_t *number, struct lp_buf *out)
{
    struct lp_str payload = lp_rd_lpstr(rd);
    char head[LP_JNL_ENTRY_BYTES];
    *number += 1 + (op >> 1 & 3);
    struct lp_jnl_head h = {.number = *number,
                            .durable_before = *number - (op >> 3 & 3),
                            .file_first = 1,
                            .envelope_bytes = (uint32_t)payload.n,
                            .payload_crc = lp_crc32c(0, payload.p, payload.n),
                            .kind = op & 1 ? LP_JNL_VOID : LP_JNL_REQUEST};
    lp_jnl_put_head(&h, head);
    lp_buf_add(out, head, sizeof(head));
    lp_buf_str(out, payload);
    while (out->n % LP_JNL_ALIGN != 0) {
        lp_buf_byte(out, 0);
    }
}

static void
run_script(struct lp_str script, const struct lp_uuid *uuid, struct lp_buf *out)
{
    struct lp_rd rd = lp_rd_of(script);
    char head[LP_JNL_HEADER_BYTES];
    uint64_t number = 0;
    lp_jnl_put_file_head(uuid, 1, 0, head);
    lp_buf_add(out, head, sizeof(head));
    while (lp_rd_left(&rd) > 0 && !rd.bad && out->n < FILE_BYTES_MAX) {
        uint8_t op = lp_rd_u8(&rd);
        if (op < 0xc0) {
            put_entry(&rd, op, &number, out);
        } else if (op < 0xe0) {
            lp_buf_str(out, lp_rd_lpstr(&rd));
        } else {
            out->p[lp_rd_u32(&rd) % out->n] ^= (char)(1 << (op & 7));
        }
    }
}

static void
check_walk(const struct lp_jnl_walk *w, uint64_t bytes)
{
    uint64_t at = LP_JNL_HEADER_BYTES, last = 0;
    for (size_t i = 0; i < w->nitems; i++) {
        const struct lp_jnl_item *it = &w->items[i];
        LP_ASSERT(it->file == 0 && it->off == at && it->bytes > 0 && it->off < bytes);
        at = it->off + it->bytes;
        if (it->find == LP_JNL_ENTRY) {
            LP_ASSERT(it->head.number > last && it->head.number <= w->highest);
            last = it->head.number;
            (void)lp_jnl_is_void(w, last);
        } else {
            LP_ASSERT(it->after == last && it->before > it->after && at <= bytes);
            (void)lp_jnl_is_damage(w, it);
        }
    }
}

static void
write_file(const struct lp_buf *bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/0000000000000001.jnl", dir);
    FILE *f = fopen(path, "wb");
    LP_ASSERT(f != NULL && fwrite(bytes->p, 1, bytes->n, f) == bytes->n);
    LP_ASSERT(fclose(f) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_uuid uuid = {{0}};
    struct lp_jnl_walk w;
    struct lp_buf file;
    uint64_t first;
    if (size < 2 || size > FILE_BYTES_MAX) {
        return 0;
    }
    make_dir();
    lp_buf_init(&file, SIZE_MAX / 2);
    if (data[0] & 1) {
        run_script(lp_str_of((const char *)data + 1, size - 1), &uuid, &file);
    } else {
        lp_buf_add(&file, data + 1, size - 1);
        if (file.n >= LP_JNL_HEADER_BYTES) { /* any store's journal, not only that of uuid 0 */
            (void)lp_jnl_get_file_head(file.p, &uuid, &first);
        }
    }
    write_file(&file);
    LP_ASSERT(lp_jnl_walk(lp_io_posix(), dir, (struct lp_jnl_stores){&uuid, 1}, &w, NULL) == LP_OK);
    check_walk(&w, file.n);
    lp_jnl_walk_clear(&w);
    lp_buf_clear(&file);
    return 0;
}
