/*
 * handlers_query_export.c - /api/v1/export: every row of a query, streamed, to be resumed at any row. Runs on
 * a pool of its own, because it goes at the client's pace.
 *
 * The rows go out in pages. Each page is a search of its own behind the place of the last row sent (lp_place:
 * time, stream, ordinal among equal rows), over a fresh view, so that neither heads nor read transactions are
 * held while a client reads slowly; what was decoded is kept from page to page.
 *
 * Why no row is repeated or left out while others arrive: a place keeps its meaning for ever (exec_place.c),
 * and rows are sent in the strict order of their places. A row that arrives late either lies behind the place
 * reached, and is sent when its turn comes, or before it, and is not sent by this export; it shifts nothing,
 * because nothing is counted from the beginning of the range. The same holds for a client that comes back
 * with a cursor, whatever happened between.
 *
 * The cursor of the last row comes with the end: as a trailer, in jsonl also as a last object. With
 * marks=true a jsonl export has such an object, a mark, behind every page, so that a client whose connection
 * breaks can go on.
 *
 * Compressed, it is one gzip member or zstd frame, flushed where a page ends: who gets only the beginning of
 * it can read every page that was sent.
 */
#include <stdio.h>

#include "query/parse.h"
#include "query/result.h"
#include "query/turn.h"
#include "server/handlers_query.h"

#define PAGE_ROWS 65536
#define PAGE_BYTES (16u << 20)
#define CACHE_BYTES (64u << 20)
#define PAGE_TEXT_MAX (1u << 30) /* a page and one more line, every byte of them escaped */
#define WRITE_BYTES (256u << 10)

struct export
{
    struct lp_query_call c;
    struct lp_turn turn;
    struct lp_search q;
    bool jsonl;
    bool marks; /* in jsonl: a mark behind every page, and what was looked at in each */
    enum lp_pack_kind packing;
    bool file;   /* a compressed file was asked for, not a compressed transfer */
    size_t left; /* rows that may still be sent */
    size_t page_rows;
    struct lp_place place;
    bool has_place;
    struct lp_search_stats looked; /* of the pages so far */
    uint64_t damaged;
    char damage[LP_ERR_TEXT_BYTES];
    struct lp_buf text;   /* one page */
    struct lp_pack *pack; /* NULL: rows are sent as they are */
    struct lp_buf packed; /* of one piece of it */
};

static lp_rc
parse_format(struct export *e)
{
    struct lp_str v = lp_query_param(&e->c, "format");
    e->jsonl = lp_str_eqc(v, "jsonl");
    e->marks = e->jsonl && lp_str_eqc(lp_query_param(&e->c, "marks"), "true");
    if (v.n == 0 || e->jsonl || lp_str_eqc(v, "raw")) {
        return LP_OK;
    }
    return lp_err_set(&e->c.err, LP_ERR_PARSE, "format must be raw or jsonl");
}

/* `compress` asks for a file; without it the client may take the transfer compressed. */
static lp_rc
parse_compress(struct export *e)
{
    struct lp_str v = lp_query_param(&e->c, "compress");
    e->file = v.n > 0;
    if (!e->file) {
        e->packing = lp_http_encoding(lp_http_header(e->c.req, "Accept-Encoding"));
        return LP_OK;
    }
    e->packing = lp_str_eqc(v, "gzip") ? LP_PACK_GZIP : lp_str_eqc(v, "zstd") ? LP_PACK_ZSTD : LP_PACK_NONE;
    return e->packing != LP_PACK_NONE ? LP_OK
                                      : lp_err_set(&e->c.err, LP_ERR_PARSE, "compress must be gzip or zstd");
}

static lp_rc
parse_query(struct export *e)
{
    static const struct lp_logql_opts any = {.allow_empty_selector = true};
    struct lp_str text = lp_query_param(&e->c, "query");
    const struct lp_expr *expr;
    lp_rc rc = lp_logql_parse(text.n > 0 ? text : LP_STR("{}"), &any, &e->c.ar, &expr, &e->c.err);
    if (rc == LP_OK && expr->kind != LP_EXPR_LOG) {
        rc = lp_err_set(&e->c.err, LP_ERR_PARSE, "only log queries can be exported");
    }
    if (rc == LP_OK) {
        e->q.log = &expr->log;
    }
    return rc;
}

static lp_rc
parse_cursor(struct export *e)
{
    struct lp_str v = lp_query_param(&e->c, "cursor");
    e->has_place = v.n > 0;
    if (v.n == 0 || lp_place_parse(v, &e->place)) {
        return LP_OK;
    }
    return lp_err_set(&e->c.err, LP_ERR_PARSE, "the cursor is not one that an export gave");
}

static lp_rc
parse(struct export *e)
{
    struct lp_query_call *c = &e->c;
    lp_rc rc = parse_query(e);
    if (rc == LP_OK) {
        rc = parse_format(e);
    }
    rc = rc == LP_OK ? parse_compress(e) : rc;
    if (rc == LP_OK) {
        rc = parse_cursor(e);
    }
    if (rc == LP_OK) {
        rc = lp_query_time(c, "start", LP_TIME_MIN, &e->q.from_ns);
    }
    if (rc == LP_OK) {
        rc = lp_query_time(c, "end", LP_TIME_MAX, &e->q.to_ns);
    }
    if (rc == LP_OK && e->q.to_ns < e->q.from_ns) {
        rc = lp_err_set(&c->err, LP_ERR_PARSE, "end timestamp must not be before or equal to start time");
    }
    if (rc == LP_OK) {
        rc = lp_query_limit(c, SIZE_MAX / 2, SIZE_MAX / 2, &e->left);
    }
    rc = rc == LP_OK ? lp_query_context(c, &e->q.context_before, &e->q.context_after) : rc;
    return rc == LP_OK ? lp_query_direction(c, false, &e->q.backward) : rc;
}

/* A page with context has so few rows found that it has about as many rows in all; its bytes are known too
 * late to cut it. */
static void
size_pages(struct export *e)
{
    size_t context = e->q.context_before + e->q.context_after;
    e->page_rows = PAGE_ROWS / (1 + context);
    e->q.page_bytes = context == 0 ? PAGE_BYTES : 0;
}

static lp_rc
search_page(struct export *e, struct lp_found *ret)
{
    e->q.limit = LP_MIN(e->left, e->page_rows);
    e->q.deadline_ns = lp_mono_ns() + LP_SETTING(&e->c.s->set, query_timeout);
    return lp_search(&e->q, ret, &e->c.err);
}

static void
note_damage(struct export *e, const struct lp_found *f)
{
    e->damaged = LP_MAX(e->damaged, f->stats.damaged);
    if (e->damage[0] == 0) {
        memcpy(e->damage, f->damage, sizeof(e->damage));
    }
}

static void
note_looked(struct lp_search_stats *sum, const struct lp_search_stats *st)
{
    sum->stored_lines += st->head_lines + st->stored_lines;
    sum->stored_bytes += st->head_bytes + st->stored_bytes;
    sum->passed_lines += st->passed_lines;
    sum->blocks += st->blocks;
    sum->streams = LP_MAX(sum->streams, st->streams);
    sum->duration_ns += st->duration_ns;
}

/* {"cursor":"...","stats":{...}} without its end, appended to the page. */
static void
put_mark(struct export *e, const char *cursor)
{
    const struct lp_search_stats *st = &e->looked;
    lp_buf_printf(&e->text, "{\"cursor\":\"%s\"", cursor);
    if (e->marks) {
        lp_buf_printf(&e->text,
                      ",\"stats\":{\"lines\":%llu,\"bytes\":%llu,\"passed\":%llu,\"blocks\":%llu,"
                      "\"streams\":%llu,\"ns\":%lld}",
                      (unsigned long long)st->stored_lines, (unsigned long long)st->stored_bytes,
                      (unsigned long long)st->passed_lines, (unsigned long long)st->blocks,
                      (unsigned long long)st->streams, (long long)st->duration_ns);
    }
}

static lp_rc
end_page(struct export *e, bool more)
{
    char cursor[LP_PLACE_TEXT] = "";
    if (!e->marks || !more || !e->has_place) {
        return LP_OK; /* the last mark comes with finish() */
    }
    lp_place_text(&e->place, cursor);
    put_mark(e, cursor);
    lp_buf_c(&e->text, "}\n");
    return !e->text.failed ? LP_OK : lp_err_set(&e->c.err, LP_ERR_LIMIT, "a page of the export is too large");
}

static lp_rc
find_page(struct export *e, bool *ret_more)
{
    struct lp_found f;
    e->q.after = e->has_place ? &e->place : NULL;
    lp_rc rc = search_page(e, &f);
    while (rc == LP_ERR_LIMIT && e->q.page_bytes == 0 && e->page_rows > 1) { /* lines are long */
        e->page_rows /= 2;
        lp_err_clear(&e->c.err);
        rc = search_page(e, &f);
    }
    if (rc != LP_OK) {
        return rc;
    }
    lp_buf_reset(&e->text);
    rc = e->jsonl ? lp_export_jsonl(&f, &e->text, &e->c.err) : lp_export_raw(&f, &e->text, &e->c.err);
    if (f.used > 0) {
        e->place = f.last;
        e->has_place = true;
    }
    e->left -= f.used;
    *ret_more = f.more && e->left > 0;
    note_damage(e, &f);
    note_looked(&e->looked, &f.stats);
    lp_found_clear(&f);
    return rc == LP_OK ? end_page(e, *ret_more) : rc;
}

/* Finds the next page and writes it into e->text. *ret_more: there may be another. A place among queries is
 * taken for that alone, not while the client reads. */
static lp_rc
next_page(struct export *e, bool *ret_more)
{
    lp_turn_begin(&e->turn, e->c.s->turns);
    lp_rc rc = find_page(e, ret_more);
    lp_turn_end(&e->turn);
    return rc;
}

static lp_rc
send_piece(struct export *e, struct lp_str piece, enum lp_pack_step step)
{
    if (e->pack != NULL) {
        lp_buf_reset(&e->packed);
        if (!lp_pack_add(e->pack, piece, step, &e->packed)) {
            return lp_err_set(&e->c.err, LP_ERR_NOMEM, "no memory to compress the export");
        }
        piece = lp_buf_view(&e->packed);
    }
    return piece.n > 0 ? lp_http_stream_write(e->c.req, piece) : LP_OK;
}

/* step: what is behind e->text. */
static lp_rc
send(struct export *e, enum lp_pack_step step)
{
    struct lp_str rest = lp_buf_view(&e->text);
    lp_rc rc;
    do {
        struct lp_str piece = lp_str_sub(rest, 0, WRITE_BYTES);
        rest = lp_str_sub(rest, WRITE_BYTES, rest.n);
        rc = send_piece(e, piece, rest.n > 0 ? LP_PACK_MORE : step);
    } while (rc == LP_OK && rest.n > 0);
    return rc;
}

/* The trailers, and in jsonl a last object that says the same. */
static void
finish(struct export *e)
{
    char cursor[LP_PLACE_TEXT] = "", warning[LP_ERR_TEXT_BYTES + 64] = "";
    if (e->has_place) {
        lp_place_text(&e->place, cursor);
    }
    if (e->damage[0] != 0) {
        snprintf(warning, sizeof(warning), "%llu damaged parts of the store were left out; the first: %s",
                 (unsigned long long)e->damaged, e->damage);
    }
    lp_buf_reset(&e->text);
    if (e->jsonl) {
        put_mark(e, cursor);
        if (warning[0] != 0) {
            lp_buf_c(&e->text, ",\"warnings\":[");
            lp_buf_json(&e->text, lp_str_c(warning));
            lp_buf_byte(&e->text, ']');
        }
        lp_buf_c(&e->text, "}\n");
    }
    if (send(e, LP_PACK_END) != LP_OK) { /* the client has gone, or would miss the end */
        lp_http_stream_abort(e->c.req);
        return;
    }
    struct lp_pair trailers[] = {{LP_STR("X-Logpond-Cursor"), lp_str_c(cursor)},
                                 {LP_STR("X-Logpond-Warning"), lp_str_c(warning)}};
    lp_http_stream_end(e->c.req, trailers, warning[0] != 0 ? 2 : 1);
}

static lp_rc
begin_answer(struct export *e)
{
    static const char *const files[] = {NULL, "application/gzip", "application/zstd"};
    static const char *const encodings[] = {NULL, "gzip", "zstd"};
    const char *type = e->file ? files[e->packing] : e->jsonl ? "application/x-ndjson" : "text/plain";
    if (!e->file) {
        lp_http_add_header(e->c.req, "Vary", LP_STR("Accept-Encoding"));
    }
    if (!e->file && e->packing != LP_PACK_NONE) {
        lp_http_add_header(e->c.req, "Content-Encoding", lp_str_c(encodings[e->packing]));
    }
    return lp_http_stream_begin(e->c.req, 200, type, "X-Logpond-Cursor, X-Logpond-Warning");
}

static lp_rc
begin_pack(struct export *e)
{
    e->pack = e->packing != LP_PACK_NONE ? lp_pack_new(e->packing) : NULL;
    return e->pack != NULL || e->packing == LP_PACK_NONE
               ? LP_OK
               : lp_err_set(&e->c.err, LP_ERR_NOMEM, "no memory to compress the export");
}

/* The first page is found before anything is sent: what is wrong with the query is a plain answer then. */
static void
run(struct export *e)
{
    bool more;
    lp_rc rc = parse(e);
    if (rc == LP_OK) {
        size_pages(e);
        rc = next_page(e, &more);
    }
    rc = rc == LP_OK ? begin_pack(e) : rc;
    if (rc != LP_OK) {
        lp_query_fail(&e->c, rc);
        return;
    }
    rc = begin_answer(e);
    if (rc == LP_OK) {
        rc = send(e, LP_PACK_FLUSH);
    }
    while (rc == LP_OK && more) {
        rc = next_page(e, &more);
        if (rc == LP_OK) {
            rc = send(e, LP_PACK_FLUSH);
        }
    }
    if (rc == LP_OK) {
        finish(e);
    } else {
        lp_http_stream_abort(e->c.req);
    }
}

static void
export_main(void *arg)
{
    struct export *e = arg;
    struct lp_server *s = e->c.s;
    e->q.store = s->store;
    e->q.tenant = e->c.tenant;
    e->q.pool = s->queries;
    e->q.cancel = lp_http_gone_flag(e->c.req);
    e->q.share = &s->query_memory;
    e->q.budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes);
    e->q.want_last = true;
    e->q.cache = lp_block_cache_new(CACHE_BYTES);
    lp_buf_init(&e->text, PAGE_TEXT_MAX);
    lp_buf_init(&e->packed, PAGE_TEXT_MAX);
    run(e);
    lp_pack_free(e->pack);
    lp_buf_clear(&e->packed);
    lp_buf_clear(&e->text);
    lp_block_cache_free(e->q.cache);
    lp_query_end(&e->c);
    lp_free(e);
}

void
lp_query_work_export(struct lp_http_req *req, struct lp_server *s)
{
    struct export *e = lp_calloc(1, sizeof(*e));
    if (!lp_query_begin(&e->c, req, s)) {
        lp_free(e);
        return;
    }
    if (lp_pool_try(s->exports, export_main, e) != LP_OK) {
        lp_query_end(&e->c);
        lp_free(e);
        lp_http_error(req, 429, "too many exports are running; try again");
    }
}
