/*
 * block_dec.c - runs, times and sources of a block, and the proof that a block decodes to the rows it was
 * made from. Every column is decoded at most once and checked against the number of rows before it is handed
 * out.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/block_int.h"
#include "store/split.h"

lp_rc
lp_block_runs(struct lp_block *b, struct lp_codec *c, const struct lp_block_run **ret, struct lp_err *err)
{
    const struct lp_block_head *head = &b->info->head;
    if (b->runs == NULL) {
        char *raw;
        struct lp_rd rd;
        bool ids = b->info->has_ids;
        lp_rc rc = lp_block_load_kind(b, c, ids ? LP_FRAME_STREAMS : LP_FRAME_RUNS, &raw, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        struct lp_block_run *runs = lp_calloc(head->runs, sizeof(*runs));
        uint64_t first = 0, stream = 0;
        for (uint32_t i = 0; i < head->runs; i++) {
            uint64_t n = lp_rd_varint(&rd), rows = lp_rd_varint(&rd);
            rd.bad = rd.bad || (ids ? n > UINT64_MAX - stream || (n == 0 && i > 0) : n > UINT32_MAX) ||
                     rows < 1 || rows > head->rows - first;
            stream = ids ? stream + n : n;
            if (rd.bad) {
                break;
            }
            runs[i] =
                (struct lp_block_run){.stream = stream, .first = (uint32_t)first, .rows = (uint32_t)rows};
            first += rows;
        }
        bool bad = rd.bad || lp_rd_left(&rd) != 0 || first != head->rows;
        lp_free(raw);
        if (bad) {
            lp_free(runs);
            return lp_block_column_bad(b, "runs", err);
        }
        b->runs = runs;
        b->memory += head->runs * sizeof(*runs);
    }
    *ret = b->runs;
    return LP_OK;
}

lp_rc
lp_block_name_runs(struct lp_block *b, struct lp_codec *c, const uint64_t *ids, size_t n,
                   const struct lp_block_run **ret, struct lp_err *err)
{
    const struct lp_block_run *runs;
    uint32_t nruns = b->info->head.runs;
    lp_rc rc = lp_block_runs(b, c, &runs, err);
    if (rc == LP_OK && b->info->has_ids != (ids == NULL)) {
        rc = lp_block_column_bad(b, "runs", err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    if (ids == NULL) {
        *ret = runs;
        return LP_OK;
    }
    if (b->named == NULL) {
        b->named = lp_malloc(nruns * sizeof(*b->named));
        b->memory += nruns * sizeof(*b->named);
    }
    for (uint32_t i = 0; i < nruns; i++) {
        if (runs[i].stream >= n) {
            return lp_block_column_bad(b, "runs", err);
        }
        b->named[i] = runs[i];
        b->named[i].stream = ids[runs[i].stream];
        if (i > 0 && b->named[i - 1].stream >= b->named[i].stream) { /* merging relies on their order */
            return lp_block_column_bad(b, "runs", err);
        }
    }
    *ret = b->named;
    return LP_OK;
}

/* --- times --- */

/* Layout text: times of all runs; also fills the runs' smallest and largest times. */
static bool
parse_times(struct lp_block *b, struct lp_rd *rd, int64_t *times)
{
    uint64_t f = lp_rd_varint(rd);
    for (uint32_t k = 0; k < b->info->head.runs; k++) {
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

/* Layout columns: the first time of each run, then the differences of all other rows as one column of
 * numbers. */
static bool
parse_numbers(struct lp_block *b, struct lp_rd *rd, int64_t *times)
{
    const struct lp_block_head *head = &b->info->head;
    uint64_t f = lp_rd_varint(rd), *d = (uint64_t *)(void *)times;
    uint32_t ndiffs = head->rows - head->runs, at = head->runs;
    for (uint32_t k = 0; k < head->runs; k++) {
        b->runs[k].min_ns = lp_rd_svarint(rd);
    }
    /* differences are decoded to the end of the array and overtaken by the times, which are never ahead of
     * them */
    if (rd->bad || f == 0 || !lp_numbers_decode(rd, ndiffs, d + head->runs)) {
        return false;
    }
    bool ok = true;
    for (uint32_t k = 0; k < head->runs; k++) {
        struct lp_block_run *run = &b->runs[k];
        int64_t t = run->min_ns;
        times[run->first] = t;
        for (uint32_t i = 1; i < run->rows; i++) {
            int64_t next = (int64_t)((uint64_t)t + d[at++] * f);
            ok &= next >= t;
            times[run->first + i] = t = next;
        }
        run->max_ns = t;
    }
    return ok;
}

lp_rc
lp_block_times(struct lp_block *b, struct lp_codec *c, const int64_t **ret, struct lp_err *err)
{
    const struct lp_block_head *head = &b->info->head;
    if (b->times == NULL) {
        const struct lp_block_run *runs;
        char *raw;
        struct lp_rd rd;
        bool text = head->layout == LP_BLOCK_LAYOUT_TEXT;
        lp_rc rc = lp_block_runs(b, c, &runs, err);
        if (rc == LP_OK) {
            rc = lp_block_load_kind(b, c, text ? LP_FRAME_TIMES : LP_FRAME_NUMBERS, &raw, &rd, err);
        }
        if (rc != LP_OK) {
            return rc;
        }
        int64_t *times = lp_malloc(head->rows * sizeof(*times));
        bool ok = text ? parse_times(b, &rd, times) : parse_numbers(b, &rd, times);
        lp_free(raw);
        if (!ok) {
            lp_free(times);
            return lp_block_column_bad(b, "times", err);
        }
        b->times = times;
        b->memory += head->rows * sizeof(*times);
    }
    *ret = b->times;
    return LP_OK;
}

lp_rc
lp_block_source(struct lp_block *b, struct lp_codec *c, const uint32_t **ret, struct lp_err *err)
{
    uint32_t rows = b->info->head.rows;
    if (!b->source_read && lp_block_frame(b, LP_FRAME_SOURCE) != NULL) {
        char *raw;
        struct lp_rd rd;
        lp_rc rc = lp_block_load_kind(b, c, LP_FRAME_SOURCE, &raw, &rd, err);
        if (rc != LP_OK) {
            return rc;
        }
        uint32_t *source = lp_malloc(rows * sizeof(*source));
        uint64_t at = 0;
        while (at < rows && !rd.bad) {
            uint64_t ticket = lp_rd_varint(&rd), n = lp_rd_varint(&rd);
            rd.bad = rd.bad || n < 1 || n > rows - at || ticket > UINT32_MAX;
            for (uint64_t i = 0; i < n && !rd.bad; i++) {
                source[at + i] = (uint32_t)ticket;
            }
            at += n;
        }
        bool bad = rd.bad || lp_rd_left(&rd) != 0;
        lp_free(raw);
        if (bad) {
            lp_free(source);
            return lp_block_column_bad(b, "source", err);
        }
        b->source = source;
        b->memory += rows * sizeof(*source);
    }
    b->source_read = true;
    *ret = b->source;
    return LP_OK;
}

/* --- the proof --- */

#define HASH_BYTES (64u << 10) /* lines are gathered before they are hashed: the hash is slow to begin */

struct gather {
    struct lp_hasher *h;
    char *p;
    size_t n, cap;
};

/* Room for one more line of at most `bytes`. */
static void
make_room(struct gather *g, size_t bytes)
{
    if (g->n + bytes > HASH_BYTES) {
        lp_hasher_add(g->h, g->p, g->n);
        g->n = 0;
    }
    if (g->cap < bytes) {
        lp_free(g->p);
        g->cap = LP_MAX(bytes, (size_t)HASH_BYTES);
        g->p = lp_malloc(g->cap);
    }
}

/* The line of a row behind those gathered; *ret its length. */
static lp_rc
gather_line(struct lp_block *b, struct lp_codec *c, const struct lp_schema *s, uint32_t row, struct gather *g,
            uint32_t *ret, struct lp_err *err)
{
    struct lp_str line;
    size_t n = 0;
    lp_rc rc;
    if (s != NULL && b->row_table[row] != 0) {
        make_room(g, lp_block_line_room(s, b->row_table[row] - 1u));
        rc = lp_block_rebuild(b, c, s, b->row_table[row] - 1u, b->row_pos[row], g->p + g->n, &n, err);
    } else {
        rc = lp_block_line(b, c, row, &line, err);
        if (rc == LP_OK) {
            make_room(g, line.n);
            memcpy(g->p + g->n, line.p, line.n);
            n = line.n;
        }
    }
    g->n += rc == LP_OK ? n : 0;
    *ret = (uint32_t)n;
    return rc;
}

/* Hashes all lines behind each other, and all their lengths. */
static lp_rc
hash_lines(struct lp_block *b, struct lp_codec *c, uint64_t *ret_lines, uint64_t *ret_lengths,
           struct lp_err *err)
{
    uint32_t rows = b->info->head.rows, *lengths = lp_malloc(rows * sizeof(*lengths));
    struct gather g = {.h = lp_hasher_new()};
    const struct lp_schema *s = NULL;
    lp_rc rc = LP_OK;
    make_room(&g, HASH_BYTES);
    if (b->info->head.layout == LP_BLOCK_LAYOUT_COLUMNS) {
        rc = lp_block_schema(b, c, &s, err);
        rc = rc == LP_OK ? lp_block_places(b, c, err) : rc;
    }
    for (uint32_t i = 0; i < rows && rc == LP_OK; i++) {
        rc = gather_line(b, c, s, i, &g, &lengths[i], err);
    }
    lp_hasher_add(g.h, g.p, g.n);
    if (rc == LP_OK) {
        *ret_lines = lp_hasher_u64(g.h);
        *ret_lengths = lp_xxh64(lengths, rows * sizeof(*lengths));
    }
    lp_hasher_free(g.h);
    lp_free(g.p);
    lp_free(lengths);
    return rc;
}

/* --- bounds that searches rely on: rows that come back right do not show whether these are --- */

static bool
within(const uint8_t seen[256], const uint8_t set[32])
{
    bool ok = true;
    for (unsigned i = 0; i < 256; i++) {
        ok = ok && (seen[i] == 0 || lp_set_has(set, (uint8_t)i));
    }
    return ok;
}

/* The bytes of a BYTES column, all of whose chunks are decoded. */
static bool
column_within(const struct lp_column *col, const struct lp_column_data *d)
{
    uint8_t seen[256] = {0};
    for (uint32_t k = 0; col->type == LP_COL_BYTES && k < d->nchunks; k++) {
        const struct lp_chunk *ch = &d->chunks[k];
        for (uint32_t i = 0; ch->rows > 0 && i < ch->offsets[ch->rows]; i++) {
            seen[ch->p[i]] = 1;
        }
    }
    return col->type != LP_COL_BYTES || within(seen, col->set);
}

/* What the schema says of plain rows. */
static lp_rc
prove_plain(struct lp_block *b, struct lp_codec *c, const struct lp_schema *s, bool *ret_ok,
            struct lp_err *err)
{
    uint8_t seen[256] = {0};
    size_t longest = 0;
    for (uint32_t i = 0; i < s->plain_rows; i++) {
        struct lp_str line;
        lp_rc rc = lp_block_plain_line(b, c, i, &line, err);
        if (rc != LP_OK) {
            return rc;
        }
        for (size_t k = 0, token = 0; k < line.n; k++) {
            seen[(uint8_t)line.p[k]] = 1;
            token = lp_is_token_byte((uint8_t)line.p[k]) ? token + 1 : 0;
            longest = LP_MAX(longest, token);
        }
    }
    *ret_ok = s->plain_rows == 0 || (longest <= s->token_max && within(seen, s->plain_set));
    return LP_OK;
}

/* The head's times, which queries, days of merging and retention go by. */
static bool
times_within(const struct lp_block *b)
{
    const struct lp_block_head *head = &b->info->head;
    int64_t min_ns = LP_TIME_MAX, max_ns = LP_TIME_MIN;
    for (uint32_t i = 0; i < head->runs; i++) {
        min_ns = LP_MIN(min_ns, b->runs[i].min_ns);
        max_ns = LP_MAX(max_ns, b->runs[i].max_ns);
    }
    return min_ns == head->min_ns && max_ns == head->max_ns;
}

/* After all lines and metadata were decoded. */
static lp_rc
prove_bounds(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    const struct lp_schema *s;
    bool ok;
    if (!times_within(b)) {
        return lp_corrupt(err, "block %u says of its times what is not so", b->info->head.number);
    }
    if (b->info->head.layout == LP_BLOCK_LAYOUT_TEXT) {
        return LP_OK;
    }
    lp_rc rc = lp_block_schema(b, c, &s, err);
    rc = rc == LP_OK ? prove_plain(b, c, s, &ok, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    for (uint32_t t = 0; t < s->ntables && ok; t++) {
        const struct lp_column_data *data = lp_block_table_data(b, s, t);
        for (uint32_t i = 0; i < s->tables[t].ncols && ok; i++) {
            ok = column_within(&s->tables[t].cols[i], &data[i]);
        }
    }
    for (uint32_t i = 0; i < b->ncolumns && ok; i++) {
        ok = b->columns[i].key == NULL || column_within(&b->columns[i].key->col, b->columns[i].data);
    }
    return ok ? LP_OK : lp_corrupt(err, "block %u says of its columns what is not so", b->info->head.number);
}

static uint64_t
hash_runs(const struct lp_block *b)
{
    struct lp_buf buf;
    uint64_t before = 0;
    lp_buf_init(&buf, SIZE_MAX);
    for (uint32_t i = 0; i < b->info->head.runs; i++) {
        lp_buf_varint(&buf, b->runs[i].stream - before);
        before = b->info->has_ids ? b->runs[i].stream : 0;
        lp_buf_varint(&buf, b->runs[i].rows);
    }
    uint64_t h = lp_xxh64(buf.p, buf.n);
    lp_buf_clear(&buf);
    return h;
}

lp_rc
lp_block_prove(struct lp_block *b, struct lp_codec *c, struct lp_err *err)
{
    const struct lp_block_head *head = &b->info->head;
    const int64_t *times;
    const uint32_t *source;
    uint64_t parts[8] = {head->rows};
    lp_rc rc = lp_block_times(b, c, &times, err);
    if (rc == LP_OK) {
        rc = lp_block_source(b, c, &source, err);
    }
    if (rc == LP_OK) {
        rc = hash_lines(b, c, &parts[4], &parts[3], err);
    }
    if (rc == LP_OK) {
        rc = lp_block_hash_meta(b, c, &parts[5], err);
    }
    if (rc != LP_OK) {
        return rc;
    }
    /* little endian arrays, as the format says; the machines we build for are */
    parts[1] = hash_runs(b);
    parts[2] = lp_xxh64(times, head->rows * sizeof(*times));
    parts[6] = source ? lp_xxh64(source, head->rows * sizeof(*source)) : 0;
    if (lp_xxh64(parts, sizeof(parts)) != head->hash) {
        return lp_corrupt(err, "block %u does not decode to the rows it was made from", head->number);
    }
    return prove_bounds(b, c, err);
}
