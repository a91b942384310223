/*
 * journal_walk.c - reading all journal files: which entries are good, which stretches are bad, what was
 * declared void.
 *
 * A stretch begins where an entry should and no good one is; it ends at the next header, at a 64-byte bound,
 * whose own CRC and file number hold and whose number is higher. Files are read in windows, so memory does
 * not grow with them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ingest/journal_int.h"

#define WINDOW_BYTES (1u << 20)

struct reader {
    const struct lp_io *io;
    int fd;
    uint64_t bytes; /* of the file */
    uint64_t at;    /* of the window */
    size_t n;
    char *window;
};

/* The n <= WINDOW_BYTES bytes at off, from the window; NULL past the end of the file or when reading fails.
 */
static const char *
peek(struct reader *r, uint64_t off, size_t n)
{
    if (off > r->bytes || n > r->bytes - off) {
        return NULL;
    }
    if (off < r->at || off + n > r->at + r->n) {
        r->at = off;
        r->n = (size_t)LP_MIN((uint64_t)WINDOW_BYTES, r->bytes - off);
        if (lp_io_pread(r->io, r->fd, r->window, r->n, off, NULL) != LP_OK) {
            r->n = 0;
            return NULL;
        }
    }
    return r->window + (off - r->at);
}

static bool
payload_good(struct reader *r, uint64_t off, const struct lp_jnl_head *h)
{
    uint64_t left = (uint64_t)h->envelope_bytes + h->body_bytes;
    uint32_t crc = 0;
    for (off += LP_JNL_ENTRY_BYTES; left > 0;) {
        size_t n = (size_t)LP_MIN(left, (uint64_t)WINDOW_BYTES);
        const char *p = peek(r, off, n);
        if (p == NULL) {
            return false;
        }
        crc = lp_crc32c(crc, p, n);
        off += n;
        left -= n;
    }
    return crc == h->payload_crc;
}

static bool
head_good(struct reader *r, uint64_t off, uint64_t file_first, uint64_t last, struct lp_jnl_head *ret)
{
    const char *p = peek(r, off, LP_JNL_ENTRY_BYTES);
    return p != NULL && lp_jnl_get_head(p, ret) && ret->file_first == file_first && ret->number > last;
}

static struct lp_jnl_item *
add_item(struct lp_jnl_walk *w)
{
    if (w->nitems == w->items_cap) {
        w->items_cap = w->items_cap ? w->items_cap * 2 : 256;
        w->items = lp_realloc(w->items, w->items_cap * sizeof(*w->items));
    }
    return &w->items[w->nitems++];
}

static bool
read_voids(struct lp_jnl_walk *w, struct reader *r, uint64_t off, const struct lp_jnl_head *h)
{
    const char *p =
        h->envelope_bytes <= WINDOW_BYTES ? peek(r, off + LP_JNL_ENTRY_BYTES, h->envelope_bytes) : NULL;
    if (p == NULL) {
        return false;
    }
    size_t n = 0;
    w->voids = lp_realloc(w->voids, (w->nvoids + LP_JNL_VOID_RANGES_MAX) * sizeof(*w->voids));
    bool ok = lp_jnl_get_void(lp_str_of(p, h->envelope_bytes), w->voids + w->nvoids, &n);
    w->nvoids += ok ? n : 0;
    return ok;
}

/* Walks one file behind its header. *last: the number of the last good entry so far, over all files. */
static void
walk_entries(struct lp_jnl_walk *w, struct reader *r, uint32_t file, uint64_t *last)
{
    uint64_t first = w->files[file].first, off = LP_JNL_HEADER_BYTES, bad_from = UINT64_MAX;
    while (off < r->bytes) {
        struct lp_jnl_head h;
        bool good = head_good(r, off, first, *last, &h);
        if (good) {
            w->durable = LP_MAX(w->durable, h.durable_before);
            w->highest = LP_MAX(w->highest, h.number);
            good = payload_good(r, off, &h) && (h.kind != LP_JNL_VOID || read_voids(w, r, off, &h));
        }
        if (!good) {
            bad_from = LP_MIN(bad_from, off);
            off += LP_JNL_ALIGN;
            continue;
        }
        if (bad_from != UINT64_MAX) {
            *add_item(w) =
                (struct lp_jnl_item){LP_JNL_BAD, file, bad_from, off - bad_from, {0}, *last, h.number};
            bad_from = UINT64_MAX;
        }
        *add_item(w) = (struct lp_jnl_item){LP_JNL_ENTRY, file, off, lp_jnl_entry_size(&h), h, 0, 0};
        *last = h.number;
        off += lp_jnl_entry_size(&h);
    }
    if (bad_from != UINT64_MAX && bad_from < r->bytes) {
        *add_item(w) =
            (struct lp_jnl_item){LP_JNL_BAD, file, bad_from, r->bytes - bad_from, {0}, *last, UINT64_MAX};
        w->highest = LP_MAX(w->highest, *last + (r->bytes - bad_from) / LP_JNL_ALIGN + 1);
    }
}

static lp_rc
walk_file(const struct lp_io *io, struct lp_jnl_walk *w, uint32_t file, struct lp_jnl_stores stores,
          uint64_t *last, struct lp_err *err)
{
    struct reader r = {.io = io, .fd = -1};
    struct lp_uuid have;
    uint64_t first;
    lp_rc rc = lp_io_open(io, w->files[file].path, LP_IO_READ, &r.fd, err);
    if (rc == LP_OK) {
        rc = lp_io_size(io, r.fd, &r.bytes, err);
    }
    if (rc != LP_OK) {
        lp_io_close(io, r.fd);
        return rc;
    }
    w->files[file].bytes = r.bytes;
    r.window = lp_malloc(WINDOW_BYTES);
    const char *h = peek(&r, 0, LP_JNL_HEADER_BYTES);
    if (h != NULL && lp_jnl_get_file_head(h, &have, &first) &&
        !lp_uuid_among(stores.uuids, stores.n, &have)) {
        rc = lp_err_set(err, LP_ERR_CORRUPT, "journal file %s belongs to another store", w->files[file].path);
    } else {
        /* a damaged file header costs nothing: each entry carries the file's number, which is also its name
         */
        walk_entries(w, &r, file, last);
    }
    lp_free(r.window);
    lp_io_close(io, r.fd);
    return rc;
}

struct listing {
    struct lp_jnl_walk *w;
    const char *dir;
};

static bool
note_file(void *arg, const char *name)
{
    struct listing *l = arg;
    char *end;
    uint64_t first = strtoull(name, &end, 16);
    if (end != name + 16 || strcmp(end, ".jnl") != 0) {
        return true;
    }
    struct lp_jnl_walk *w = l->w;
    w->files = lp_realloc(w->files, (w->nfiles + 1) * sizeof(*w->files));
    size_t n = strlen(l->dir) + strlen(name) + 2;
    w->files[w->nfiles] = (struct lp_jnl_file){first, 0, lp_malloc(n)};
    snprintf(w->files[w->nfiles++].path, n, "%s/%s", l->dir, name);
    return true;
}

static int
file_cmp(const void *va, const void *vb)
{
    const struct lp_jnl_file *a = va, *b = vb;
    return (a->first > b->first) - (a->first < b->first);
}

/* A bad stretch at the end of a file is followed, over all files, by the next good entry of a later one. */
static void
join_stretches(struct lp_jnl_walk *w)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = w->nitems; i-- > 0;) {
        if (w->items[i].find == LP_JNL_ENTRY) {
            next = w->items[i].head.number;
        } else if (w->items[i].before == UINT64_MAX) {
            w->items[i].before = next;
        }
    }
}

lp_rc
lp_jnl_walk(const struct lp_io *io, const char *dir, struct lp_jnl_stores stores, struct lp_jnl_walk *ret,
            struct lp_err *err)
{
    *ret = (struct lp_jnl_walk){.files = NULL};
    struct listing l = {ret, dir};
    uint64_t last = 0;
    lp_rc rc = lp_io_list(io, dir, note_file, &l, err);
    if (ret->nfiles > 1) {
        qsort(ret->files, ret->nfiles, sizeof(*ret->files), file_cmp);
    }
    for (uint32_t i = 0; i < ret->nfiles && rc == LP_OK; i++) {
        rc = walk_file(io, ret, i, stores, &last, err);
    }
    if (rc != LP_OK) {
        lp_jnl_walk_clear(ret);
        return rc;
    }
    join_stretches(ret);
    return LP_OK;
}

void
lp_jnl_walk_clear(struct lp_jnl_walk *w)
{
    for (size_t i = 0; i < w->nfiles; i++) {
        lp_free(w->files[i].path);
    }
    lp_free(w->files);
    lp_free(w->items);
    lp_free(w->voids);
    *w = (struct lp_jnl_walk){.files = NULL};
}

bool
lp_jnl_is_void(const struct lp_jnl_walk *w, uint64_t number)
{
    for (size_t i = 0; i < w->nvoids; i++) {
        if (number >= w->voids[i].first && number < w->voids[i].next) {
            return true;
        }
    }
    return false;
}

bool
lp_jnl_is_damage(const struct lp_jnl_walk *w, const struct lp_jnl_item *bad)
{
    uint64_t n = bad->after + 1, end = LP_MIN(bad->before, w->durable);
    while (n < end) {
        uint64_t to = n;
        for (size_t i = 0; i < w->nvoids; i++) { /* jump over what is void */
            if (to >= w->voids[i].first && to < w->voids[i].next) {
                to = w->voids[i].next;
            }
        }
        if (to == n) {
            return true;
        }
        n = to;
    }
    return false;
}
