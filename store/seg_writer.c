/*
 * seg_writer.c - writing a segment file.
 *
 * Crash argument: until the rename the file is ID.seg.tmp of a reserved id, which start-up removes; between
 * the rename and the catalog's commit it is ID.seg without a row, which start-up moves to lost+found. The
 * rename is only done after a successful sync, the commit only after the folder's sync. A failed sync is
 * never repeated: the writer gives up and the seal begins a new file under a new id.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/hooks.h"
#include "store/segment.h"

struct lp_seg_writer {
    const struct lp_io *io;
    char *folder;
    int fd;
    uint64_t id, at;
    bool renamed;
};

void
lp_seg_path(const char *folder, uint64_t id, bool tmp, char buf[LP_SEG_PATH_BYTES])
{
    snprintf(buf, LP_SEG_PATH_BYTES, "%s/%016llx.seg%s", folder, (unsigned long long)id, tmp ? ".tmp" : "");
}

static lp_rc
write_header(struct lp_seg_writer *w, const struct lp_uuid *uuid, int64_t created_ns, struct lp_err *err)
{
    char h[LP_SEG_HEADER_BYTES] = {0};
    memcpy(h, LP_SEG_MAGIC, 8);
    lp_put_u16(h + 8, LP_SEG_VERSION);
    lp_put_u16(h + 10, LP_SEG_HEADER_BYTES);
    memcpy(h + 24, uuid->b, sizeof(uuid->b));
    lp_put_u64(h + 40, w->id);
    lp_put_u64(h + 48, (uint64_t)created_ns);
    lp_put_u32(h + 20, lp_crc32c(lp_crc32c(0, h, 20), h + 24, sizeof(h) - 24));
    w->at = sizeof(h);
    return lp_io_pwrite(w->io, w->fd, h, sizeof(h), 0, err);
}

lp_rc
lp_seg_writer_new(const struct lp_io *io, const char *folder, const struct lp_uuid *uuid, uint64_t id,
                  int64_t created_ns, struct lp_seg_writer **ret, struct lp_err *err)
{
    struct lp_seg_writer *w = lp_calloc(1, sizeof(*w));
    *w = (struct lp_seg_writer){.io = io, .folder = lp_strdup(folder), .fd = -1, .id = id};
    char path[LP_SEG_PATH_BYTES];
    lp_seg_path(folder, id, true, path);
    lp_rc rc = lp_io_open(io, path, LP_IO_CREATE, &w->fd, err);
    if (rc == LP_OK) {
        rc = write_header(w, uuid, created_ns, err);
    }
    if (rc != LP_OK) {
        lp_seg_writer_free(w);
        return rc;
    }
    *ret = w;
    return LP_OK;
}

lp_rc
lp_seg_writer_block(struct lp_seg_writer *w, struct lp_str encoded, uint64_t *ret_off, struct lp_err *err)
{
    lp_rc rc = lp_io_pwrite(w->io, w->fd, encoded.p, encoded.n, w->at, err);
    if (rc == LP_OK) {
        *ret_off = w->at;
        w->at += encoded.n;
    }
    return rc;
}

static lp_rc
publish(struct lp_seg_writer *w, struct lp_err *err)
{
    char tmp[LP_SEG_PATH_BYTES], path[LP_SEG_PATH_BYTES];
    lp_seg_path(w->folder, w->id, true, tmp);
    lp_seg_path(w->folder, w->id, false, path);
    lp_rc rc = lp_io_sync(w->io, w->fd, err);
    lp_hook("seal-rename");
    if (rc == LP_OK) {
        rc = lp_io_rename(w->io, tmp, path, err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    w->renamed = true;
    lp_hook("seal-folder");
    return lp_io_sync_dir(w->io, w->folder, err);
}

lp_rc
lp_seg_writer_finish(struct lp_seg_writer *w, const struct lp_footer *f, struct lp_codec *c,
                     uint64_t *ret_bytes, uint32_t *ret_dir_crc, struct lp_err *err)
{
    struct lp_buf out;
    lp_buf_init(&out, SIZE_MAX);
    lp_hook("seal-footer");
    lp_rc rc = lp_footer_encode(f, c, w->at, &out, ret_dir_crc, err);
    if (rc == LP_OK) {
        rc = lp_io_pwrite(w->io, w->fd, out.p, out.n, w->at, err);
    }
    if (rc == LP_OK) {
        w->at += out.n;
        rc = publish(w, err);
    }
    if (rc == LP_OK) {
        *ret_bytes = w->at;
    }
    lp_buf_clear(&out);
    return rc;
}

void
lp_seg_writer_free(struct lp_seg_writer *w)
{
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0 && !w->renamed) {
        char path[LP_SEG_PATH_BYTES];
        lp_seg_path(w->folder, w->id, true, path);
        /* best effort: start-up removes what stays */
        (void)!lp_io_unlink(w->io, path, NULL);
    }
    lp_io_close(w->io, w->fd);
    lp_free(w->folder);
    lp_free(w);
}
