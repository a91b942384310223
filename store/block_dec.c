/*
 * block_dec.c - decoding a block, lazily and with every bound checked: the bytes may be damaged or made up.
 *
 * Invariants after lp_block_open: rows, runs and frame sizes are within the limits of seg_format.h; the
 * frames lie back to back inside the block. Each column is decoded at most once and checked against the
 * number of rows before it is handed out.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/block.h"

struct frame {
    uint8_t kind, codec;
    uint32_t first_row, raw_bytes, stored_bytes, crc;
    uint64_t off;  /* in the block */
    char *decoded; /* LINES: kept until trimmed */
    bool used;     /* LINES: since the last lp_block_trim_unused */
};

struct meta_column {
    struct lp_str name;
    uint32_t n;
    uint32_t *rows;
    struct lp_str *values;
};

struct lp_block {
    struct lp_block_io io;
    struct lp_block_head head;
    struct frame *frames;
    uint32_t first_line_frame, nline_frames;
    int64_t *times;
    struct lp_block_run *runs;
    uint32_t *source;
    bool source_read;
    uint32_t *lengths;
    uint32_t *offsets; /* of each line in its frame */
    struct lp_arena meta_ar;
    char **meta_bytes; /* decoded META frames, which the columns point into */
    uint32_t nmeta_bytes;
    struct meta_column *columns;
    uint32_t ncolumns;
    struct lp_pair *row_meta;
    bool meta_read;
    size_t memory;
};

static lp_rc
parse_head(struct lp_block *b, const char *p, uint32_t *ret_crc, struct lp_err *err)
{
    if (lp_get_u32(p) != LP_BLOCK_MAGIC) {
        return lp_corrupt(err, "block: no magic");
    }
    *ret_crc = lp_get_u32(p + 4);
    b->head = (struct lp_block_head){
        .number = lp_get_u32(p + 8),
        .group = lp_get_u32(p + 12),
        .rows = lp_get_u32(p + 16),
        .runs = lp_get_u32(p + 20),
        .frames = lp_get_u32(p + 24),
        .hash = lp_get_u64(p + 32),
        .line_bytes = lp_get_u64(p + 40),
        .min_ns = (int64_t)lp_get_u64(p + 48),
        .max_ns = (int64_t)lp_get_u64(p + 56),
    };
    const struct lp_block_head *h = &b->head;
    if (h->rows < 1 || h->rows > LP_BLOCK_ROWS_MAX || h->runs < 1 || h->runs > h->rows || h->frames < 3 ||
        h->frames > LP_BLOCK_FRAMES_MAX) {
        return lp_corrupt(err, "block %u: counts out of range", h->number);
    }
    return LP_OK;
}

static lp_rc
parse_frames(struct lp_block *b, const char *p, struct lp_err *err)
{
    uint64_t off = LP_BLOCK_HEAD_BYTES + (uint64_t)b->head.frames * LP_FRAME_ROW_BYTES;
    uint32_t last_row = 0;
    unsigned count[LP_FRAME_KINDS] = {0};
    b->frames = lp_calloc(b->head.frames, sizeof(*b->frames));
    for (uint32_t i = 0; i < b->head.frames; i++, p += LP_FRAME_ROW_BYTES) {
        struct frame *f = &b->frames[i];
        *f = (struct frame){.kind = (uint8_t)p[0],
                            .codec = (uint8_t)p[1],
                            .first_row = lp_get_u32(p + 4),
                            .raw_bytes = lp_get_u32(p + 8),
                            .stored_bytes = lp_get_u32(p + 12),
                            .crc = lp_get_u32(p + 16),
                            .off = off};
        off += f->stored_bytes;
        if (f->raw_bytes > LP_FRAME_BYTES_MAX || off > b->io.bytes || f->kind == 0 ||
            f->kind >= LP_FRAME_KINDS) {
            return lp_corrupt(err, "block %u: frame %u out of range", b->head.number, i);
        }
        if (f->kind == LP_FRAME_LINES) {
            bool first = count[LP_FRAME_LINES] == 0;
            if (f->first_row >= b->head.rows || (first ? f->first_row != 0 : f->first_row <= last_row) ||
                (!first && b->frames[i - 1].kind != LP_FRAME_LINES)) {
                return lp_corrupt(err, "block %u: line frames out of order", b->head.number);
            }
            b->first_line_frame = first ? i : b->first_line_frame;
            last_row = f->first_row;
        }
        count[f->kind]++;
    }
    b->nline_frames = count[LP_FRAME_LINES];
    if (count[LP_FRAME_RUNS] != 1 || count[LP_FRAME_TIMES] != 1 || count[LP_FRAME_LENGTHS] != 1 ||
        count[LP_FRAME_SOURCE] > 1 || off != b->io.bytes) {
        return lp_corrupt(err, "block %u: wrong set of frames", b->head.number);
    }
    return LP_OK;
}

lp_rc
lp_block_open(const struct lp_block_io *io, struct lp_block **ret, struct lp_err *err)
{
    struct lp_block *b = lp_calloc(1, sizeof(*b));
    b->io = *io;
    lp_arena_init(&b->meta_ar, SIZE_MAX, 0);
    char head[LP_BLOCK_HEAD_BYTES], *table = NULL;
    uint32_t crc = 0;
    lp_rc rc = io->read(io->ctx, head, sizeof(head), 0, err);
    if (rc == LP_OK) {
        rc = parse_head(b, head, &crc, err);
    }
    if (rc == LP_OK) {
        size_t bytes = (size_t)b->head.frames * LP_FRAME_ROW_BYTES;
        table = lp_malloc(bytes);
        rc = io->read(io->ctx, table, bytes, sizeof(head), err);
        if (rc == LP_OK && lp_crc32c(lp_crc32c(0, head + 8, sizeof(head) - 8), table, bytes) != crc) {
            rc = lp_corrupt(err, "block %u: checksum of head and frame table differs", b->head.number);
        }
    }
    if (rc == LP_OK) {
        rc = parse_frames(b, table, err);
    }
    lp_free(table);
    if (rc != LP_OK) {
        lp_block_free(b);
        return rc;
    }
    b->memory = sizeof(*b) + b->head.frames * sizeof(*b->frames);
    *ret = b;
    return LP_OK;
}

void
lp_block_free(struct lp_block *b)
{
    if (b == NULL) {
        return;
    }
    if (b->frames != NULL) {
        lp_block_trim(b, UINT32_MAX);
    }
    for (uint32_t i = 0; i < b->nmeta_bytes; i++) {
        lp_free(b->meta_bytes[i]);
    }
    lp_free(b->meta_bytes);
    lp_arena_clear(&b->meta_ar);
    lp_free(b->frames);
    lp_free(b->times);
    lp_free(b->runs);
    lp_free(b->source);
    lp_free(b->lengths);
    lp_free(b->offsets);
    lp_free(b->row_meta);
    lp_free(b->columns);
    if (b->io.free_ctx != NULL) {
        b->io.free_ctx(b->io.ctx);
    }
    lp_free(b);
}

const struct lp_block_head *
lp_block_head(const struct lp_block *b)
{
    return &b->head;
}

size_t
lp_block_memory(const struct lp_block *b)
{
    return b->memory + b->meta_ar.reserved;
}

/* Reads, checks and decodes one frame into fresh memory. */
/* Decodes a frame into dst, which has room for its raw_bytes. */
static lp_rc
read_frame(struct lp_block *b, struct lp_codec *c, const struct frame *f, char *dst, struct lp_err *err)
{
    char *stored = lp_codec_scratch(c, LP_SLOT_STORED, f->stored_bytes);
    lp_rc rc = b->io.read(b->io.ctx, stored, f->stored_bytes, f->off, err);
    if (rc == LP_OK && lp_crc32c(0, stored, f->stored_bytes) != f->crc) {
        rc = lp_corrupt(err, "block %u: checksum of frame at %llu differs", b->head.number,
                        (unsigned long long)f->off);
    }
    return rc == LP_OK
               ? lp_codec_decode(c, f->codec, lp_str_of(stored, f->stored_bytes), dst, f->raw_bytes, err)
               : rc;
}

static lp_rc
load_frame(struct lp_block *b, struct lp_codec *c, const struct frame *f, char **ret, struct lp_err *err)
{
    char *raw = lp_malloc(f->raw_bytes);
    lp_rc rc = read_frame(b, c, f, raw, err);
    if (rc != LP_OK) {
        lp_free(raw);
        return rc;
    }
    *ret = raw;
    return LP_OK;
}

static struct frame *
find_frame(struct lp_block *b, enum lp_frame_kind kind)
{
    for (uint32_t i = 0; i < b->head.frames; i++) {
        if (b->frames[i].kind == kind) {
            return &b->frames[i];
        }
    }
    return NULL;
}

static lp_rc
load_kind(struct lp_block *b, struct lp_codec *c, enum lp_frame_kind kind, char **ret, struct lp_rd *rd,
          struct lp_err *err)
{
    struct frame *f = find_frame(b, kind);
    LP_ASSERT(f != NULL); /* parse_frames saw to it */
    lp_rc rc = load_frame(b, c, f, ret, err);
    if (rc == LP_OK) {
        *rd = lp_rd_of(lp_str_of(*ret, f->raw_bytes));
    }
    return rc;
}

static lp_rc
column_bad(const struct lp_block *b, const char *what, struct lp_err *err)
{
    return lp_corrupt(err, "block %u: column %s does not hold what its head says", b->head.number, what);
}

lp_rc
lp_block_runs(struct lp_block *b, struct lp_codec *c, const struct lp_block_run **ret, struct lp_err *err)
{
    if (b->runs == NULL) {
        char *raw;
        struct lp_rd rd;
        lp_rc rc = load_kind(b, c, LP_FRAME_RUNS, &raw, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_block_run *runs = lp_calloc(b->head.runs, sizeof(*runs));
        uint64_t first = 0;
        for (uint32_t i = 0; i < b->head.runs; i++) {
            uint64_t stream = lp_rd_varint(&rd), rows = lp_rd_varint(&rd);
            rd.bad = rd.bad || stream > UINT32_MAX || rows < 1 || rows > b->head.rows - first;
            if (rd.bad) {
                break;
            }
            runs[i] = (struct lp_block_run){
                .stream = (uint32_t)stream, .first = (uint32_t)first, .rows = (uint32_t)rows};
            first += rows;
        }
        bool bad = rd.bad || lp_rd_left(&rd) != 0 || first != b->head.rows;
        lp_free(raw);
        if (bad) {
            lp_free(runs);
            return column_bad(b, "runs", err);
        }
        b->runs = runs;
        b->memory += b->head.runs * sizeof(*runs);
    }
    *ret = b->runs;
    return LP_OK;
}

/* Times of all runs; also fills the runs' smallest and largest times. */
static bool
parse_times(struct lp_block *b, struct lp_rd *rd, int64_t *times)
{
    uint64_t f = lp_rd_varint(rd);
    for (uint32_t k = 0; k < b->head.runs; k++) {
        struct lp_block_run *run = &b->runs[k];
        int64_t t = lp_rd_svarint(rd);
        times[run->first] = run->min_ns = t;
        for (uint32_t i = 1; i < run->rows; i++) {
            int64_t next = (int64_t)((uint64_t)t + lp_rd_varint(rd) * f);
            rd->bad = rd->bad || next < t;
            times[run->first + i] = t = next;
        }
        run->max_ns = t;
    }
    return !rd->bad && f != 0 && lp_rd_left(rd) == 0;
}

lp_rc
lp_block_times(struct lp_block *b, struct lp_codec *c, const int64_t **ret, struct lp_err *err)
{
    if (b->times == NULL) {
        const struct lp_block_run *runs;
        char *raw;
        struct lp_rd rd;
        lp_rc rc = lp_block_runs(b, c, &runs, err);
        if (rc == LP_OK) {
            rc = load_kind(b, c, LP_FRAME_TIMES, &raw, &rd, err);
        }
        if (rc != LP_OK) {
            return rc;
        }
        int64_t *times = lp_malloc(b->head.rows * sizeof(*times));
        bool ok = parse_times(b, &rd, times);
        lp_free(raw);
        if (!ok) {
            lp_free(times);
            return column_bad(b, "times", err);
        }
        b->times = times;
        b->memory += b->head.rows * sizeof(*times);
    }
    *ret = b->times;
    return LP_OK;
}

lp_rc
lp_block_source(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err)
{
    if (!b->source_read && find_frame(b, LP_FRAME_SOURCE) != NULL) {
        char *raw;
        struct lp_rd rd;
        lp_rc rc = load_kind(b, c, LP_FRAME_SOURCE, &raw, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        uint32_t *source = lp_malloc(b->head.rows * sizeof(*source));
        uint64_t at = 0;
        while (at < b->head.rows && !rd.bad) {
            uint64_t ticket = lp_rd_varint(&rd), n = lp_rd_varint(&rd);
            rd.bad = rd.bad || n < 1 || n > b->head.rows - at || ticket > UINT32_MAX;
            for (uint64_t i = 0; i < n && !rd.bad; i++) {
                source[at + i] = (uint32_t)ticket;
            }
            at += n;
        }
        bool bad = rd.bad || lp_rd_left(&rd) != 0;
        lp_free(raw);
        if (bad) {
            lp_free(source);
            return column_bad(b, "source", err);
        }
        b->source = source;
        b->memory += b->head.rows * sizeof(*source);
    }
    b->source_read = true;
    *ret = b->source;
    return LP_OK;
}

/* Lengths into the array; the sum over each line frame must be its decoded size. */
static bool
parse_lengths(struct lp_block *b, struct lp_rd *rd, uint32_t *lengths, uint32_t *offsets)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->head.rows; i++) {
        uint64_t n = lp_rd_varint(rd);
        if (n > LP_FRAME_BYTES_MAX) {
            return false;
        }
        lengths[i] = (uint32_t)n;
    }
    for (uint32_t k = 0; k < b->nline_frames; k++) {
        const struct frame *f = &b->frames[b->first_line_frame + k];
        uint32_t end = k + 1 < b->nline_frames ? f[1].first_row : b->head.rows;
        uint64_t sum = 0;
        for (; at < end; at++) {
            offsets[at] = (uint32_t)sum;
            sum += lengths[at];
            if (sum > f->raw_bytes) {
                return false;
            }
        }
        if (sum != f->raw_bytes) {
            return false;
        }
    }
    for (; at < b->head.rows; at++) { /* only where no line has a byte */
        if (lengths[at] != 0) {
            return false;
        }
        offsets[at] = 0;
    }
    return !rd->bad && lp_rd_left(rd) == 0;
}

lp_rc
lp_block_lengths(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err)
{
    if (b->lengths == NULL) {
        char *raw;
        struct lp_rd rd;
        lp_rc rc = load_kind(b, c, LP_FRAME_LENGTHS, &raw, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        uint32_t *lengths = lp_malloc(b->head.rows * sizeof(*lengths));
        uint32_t *offsets = lp_malloc(b->head.rows * sizeof(*offsets));
        bool ok = parse_lengths(b, &rd, lengths, offsets);
        lp_free(raw);
        if (!ok) {
            lp_free(lengths);
            lp_free(offsets);
            return column_bad(b, "lengths", err);
        }
        b->lengths = lengths;
        b->offsets = offsets;
        b->memory += b->head.rows * 2 * sizeof(*lengths);
    }
    *ret = b->lengths;
    return LP_OK;
}

static struct frame *
line_frame_of(struct lp_block *b, uint32_t row)
{
    uint32_t lo = 0, hi = b->nline_frames;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->frames[b->first_line_frame + mid].first_row <= row) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return &b->frames[b->first_line_frame + lo];
}

lp_rc
lp_block_line(struct lp_block *b, struct lp_codec *c, uint32_t row, struct lp_str *ret, struct lp_err *err)
{
    LP_ASSERT(row < b->head.rows);
    const uint32_t *lengths;
    lp_rc rc = lp_block_lengths(b, c, &lengths, err);
    if (rc != LP_OK) {
        return rc;
    }
    if (b->nline_frames == 0) {
        *ret = LP_STR("");
        return LP_OK;
    }
    struct frame *f = line_frame_of(b, row);
    f->used = true;
    if (f->decoded == NULL) {
        rc = load_frame(b, c, f, &f->decoded, err);
        if (rc != LP_OK) {
            return rc;
        }
        b->memory += f->raw_bytes;
    }
    *ret = lp_str_of(f->decoded + b->offsets[row], lengths[row]);
    return LP_OK;
}

/* The row of [lo, hi), all of one frame, in whose line the byte at this offset of the frame lies. */
static uint32_t
row_at(const struct lp_block *b, uint32_t lo, uint32_t hi, size_t off)
{
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->offsets[mid] <= off) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Lines lie back to back, so a hit may reach into the next line: then its row is named all the same. */
static uint32_t
find_rows(const struct lp_block *b, struct lp_str text, uint32_t lo, uint32_t hi, struct lp_str literal,
          uint32_t *ret_rows)
{
    size_t end = (size_t)b->offsets[hi - 1] + b->lengths[hi - 1];
    uint32_t n = 0;
    while (lo < hi) {
        size_t at = b->offsets[lo], hit = lp_str_find(lp_str_sub(text, at, end), literal);
        if (hit == SIZE_MAX) {
            break;
        }
        lo = row_at(b, lo, hi, at + hit);
        ret_rows[n++] = lo++;
    }
    return n;
}

lp_rc
lp_block_find(struct lp_block *b, struct lp_codec *c, uint32_t from, uint32_t to, bool backward,
              struct lp_str literal, uint32_t *ret_rows, uint32_t *ret_n, uint32_t *ret_edge,
              struct lp_err *err)
{
    LP_ASSERT(from < to && to <= b->head.rows && literal.n > 0);
    const uint32_t *lengths;
    lp_rc rc = lp_block_lengths(b, c, &lengths, err);
    if (rc != LP_OK) {
        return rc;
    }
    *ret_n = 0;
    *ret_edge = backward ? from : to;
    if (b->nline_frames == 0) {
        return LP_OK;
    }
    struct frame *f = line_frame_of(b, backward ? to - 1 : from);
    bool last = f == &b->frames[b->first_line_frame + b->nline_frames - 1];
    uint32_t lo = LP_MAX(from, f->first_row), hi = last ? to : LP_MIN(to, f[1].first_row);
    const char *raw = f->decoded;
    if (raw == NULL) {
        char *scratch = lp_codec_scratch(c, LP_SLOT_DECODED, f->raw_bytes);
        rc = read_frame(b, c, f, scratch, err);
        raw = scratch;
    }
    if (rc != LP_OK) {
        return rc;
    }
    *ret_n = find_rows(b, lp_str_of(raw, f->raw_bytes), lo, hi, literal, ret_rows);
    *ret_edge = backward ? lo : hi;
    if (*ret_n > 0 && f->decoded == NULL) { /* its lines will be asked for */
        f->decoded = lp_malloc(f->raw_bytes);
        memcpy(f->decoded, raw, f->raw_bytes);
        b->memory += f->raw_bytes;
    }
    return LP_OK;
}

void
lp_block_trim(struct lp_block *b, uint32_t keep_row)
{
    struct frame *keep = keep_row == UINT32_MAX || b->nline_frames == 0 ? NULL : line_frame_of(b, keep_row);
    for (uint32_t i = 0; i < b->nline_frames; i++) {
        struct frame *f = &b->frames[b->first_line_frame + i];
        if (f != keep && f->decoded != NULL) {
            lp_free(f->decoded);
            f->decoded = NULL;
            b->memory -= f->raw_bytes;
        }
    }
}

void
lp_block_trim_unused(struct lp_block *b)
{
    for (uint32_t i = 0; i < b->nline_frames; i++) {
        struct frame *f = &b->frames[b->first_line_frame + i];
        if (!f->used && f->decoded != NULL) {
            lp_free(f->decoded);
            f->decoded = NULL;
            b->memory -= f->raw_bytes;
        }
        f->used = false;
    }
}

/* --- metadata --- */

static bool
parse_column(struct lp_block *b, struct lp_rd *rd, struct meta_column *col)
{
    col->name = lp_rd_lpstr(rd);
    uint64_t n = lp_rd_varint(rd);
    if (rd->bad || n < 1 || n > b->head.rows) {
        return false;
    }
    col->n = (uint32_t)n;
    col->rows = lp_arena_array(&b->meta_ar, n, sizeof(*col->rows));
    col->values = lp_arena_array(&b->meta_ar, n, sizeof(*col->values));
    if (col->rows == NULL || col->values == NULL) {
        return false;
    }
    uint64_t row = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t d = lp_rd_varint(rd);
        row = i == 0 ? d : row + d;
        if (rd->bad || d >= b->head.rows || row >= b->head.rows || (i > 0 && d == 0)) {
            return false;
        }
        col->rows[i] = (uint32_t)row;
    }
    for (uint64_t i = 0; i < n; i++) {
        col->values[i].n = (size_t)lp_rd_varint(rd);
    }
    for (uint64_t i = 0; i < n; i++) {
        col->values[i] = lp_rd_bytes(rd, col->values[i].n);
    }
    return !rd->bad;
}

static bool
parse_meta_frame(struct lp_block *b, struct lp_rd rd)
{
    while (lp_rd_left(&rd) > 0) {
        struct meta_column col;
        if (!parse_column(b, &rd, &col)) {
            return false;
        }
        if (b->ncolumns > 0 && lp_str_cmp(b->columns[b->ncolumns - 1].name, col.name) >= 0) {
            return false; /* keys rise over all frames */
        }
        b->columns = lp_realloc(b->columns, (b->ncolumns + 1) * sizeof(col));
        b->columns[b->ncolumns++] = col;
    }
    return !rd.bad;
}

static void
drop_meta(struct lp_block *b)
{
    for (uint32_t i = 0; i < b->nmeta_bytes; i++) {
        lp_free(b->meta_bytes[i]);
    }
    b->nmeta_bytes = 0;
    b->ncolumns = 0;
    lp_free(b->columns);
    b->columns = NULL;
    lp_arena_clear(&b->meta_ar);
}

static lp_rc
read_meta(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    for (uint32_t i = 0; i < b->head.frames; i++) {
        struct frame *f = &b->frames[i];
        if (f->kind != LP_FRAME_META) {
            continue;
        }
        char *raw;
        lp_rc rc = load_frame(b, c, f, &raw, err);
        if (rc != LP_OK) {
            drop_meta(b);
            return rc;
        }
        b->meta_bytes = lp_realloc(b->meta_bytes, (b->nmeta_bytes + 1) * sizeof(char *));
        b->meta_bytes[b->nmeta_bytes++] = raw;
        b->memory += f->raw_bytes;
        if (!parse_meta_frame(b, lp_rd_of(lp_str_of(raw, f->raw_bytes)))) {
            drop_meta(b);
            return column_bad(b, "metadata", err);
        }
    }
    b->row_meta = lp_malloc(b->ncolumns * sizeof(*b->row_meta));
    b->meta_read = true;
    return LP_OK;
}

static const struct lp_str *
column_value(const struct meta_column *col, uint32_t row)
{
    uint32_t lo = 0, hi = col->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (col->rows[mid] < row) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < col->n && col->rows[lo] == row ? &col->values[lo] : NULL;
}

lp_rc
lp_block_meta(struct lp_block *b, struct lp_codec *c, uint32_t row, const struct lp_pair **ret, size_t *ret_n,
              struct lp_err *err)
{
    LP_ASSERT(row < b->head.rows);
    if (!b->meta_read) {
        lp_rc rc = read_meta(b, c, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    size_t n = 0;
    for (uint32_t i = 0; i < b->ncolumns; i++) {
        const struct lp_str *v = column_value(&b->columns[i], row);
        if (v != NULL) {
            b->row_meta[n++] = (struct lp_pair){b->columns[i].name, *v};
        }
    }
    *ret = b->row_meta;
    *ret_n = n;
    return LP_OK;
}

/* --- the proof --- */

static lp_rc
hash_lines(struct lp_block *b, struct lp_codec *c, uint64_t *ret, struct lp_err *err)
{
    struct lp_hasher *h = lp_hasher_new();
    lp_hasher_reset(h);
    lp_rc rc = LP_OK;
    for (uint32_t i = 0; i < b->nline_frames && rc == LP_OK; i++) {
        const struct frame *f = &b->frames[b->first_line_frame + i];
        char *raw;
        rc = load_frame(b, c, f, &raw, err);
        if (rc == LP_OK) {
            lp_hasher_add(h, raw, f->raw_bytes);
            lp_free(raw);
        }
    }
    *ret = lp_hasher_u64(h);
    lp_hasher_free(h);
    return rc;
}

static lp_rc
hash_meta(struct lp_block *b, struct lp_codec *c, uint64_t *ret, struct lp_err *err)
{
    lp_rc rc = b->meta_read ? LP_OK : read_meta(b, c, err);
    if (rc != LP_OK) {
        return rc;
    }
    uint64_t sum = 0;
    struct lp_buf buf;
    lp_buf_init(&buf, SIZE_MAX);
    for (uint32_t k = 0; k < b->ncolumns; k++) {
        const struct meta_column *col = &b->columns[k];
        for (uint32_t i = 0; i < col->n; i++) {
            lp_buf_reset(&buf);
            lp_buf_u32(&buf, col->rows[i]);
            lp_buf_lpstr(&buf, col->name);
            lp_buf_lpstr(&buf, col->values[i]);
            sum += lp_xxh64(buf.p, buf.n);
        }
    }
    lp_buf_clear(&buf);
    *ret = sum;
    return LP_OK;
}

static uint64_t
hash_runs(const struct lp_block *b)
{
    struct lp_buf buf;
    lp_buf_init(&buf, SIZE_MAX);
    for (uint32_t i = 0; i < b->head.runs; i++) {
        lp_buf_varint(&buf, b->runs[i].stream);
        lp_buf_varint(&buf, b->runs[i].rows);
    }
    uint64_t h = lp_xxh64(buf.p, buf.n);
    lp_buf_clear(&buf);
    return h;
}

lp_rc
lp_block_prove(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    const int64_t *times;
    const uint32_t *lengths, *source;
    uint64_t parts[8] = {b->head.rows};
    lp_rc rc = lp_block_times(b, c, &times, err);
    if (rc == LP_OK) {
        rc = lp_block_lengths(b, c, &lengths, err);
    }
    if (rc == LP_OK) {
        rc = lp_block_source(b, c, &source, err);
    }
    if (rc == LP_OK) {
        rc = hash_lines(b, c, &parts[4], err);
    }
    if (rc == LP_OK) {
        rc = hash_meta(b, c, &parts[5], err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    /* little endian arrays, as the format says; the machines we build for are */
    parts[1] = hash_runs(b);
    parts[2] = lp_xxh64(times, b->head.rows * sizeof(*times));
    parts[3] = lp_xxh64(lengths, b->head.rows * sizeof(*lengths));
    parts[6] = source ? lp_xxh64(source, b->head.rows * sizeof(*source)) : 0;
    if (lp_xxh64(parts, sizeof(parts)) != b->head.hash) {
        return lp_corrupt(err, "block %u does not decode to the rows it was made from", b->head.number);
    }
    return LP_OK;
}
