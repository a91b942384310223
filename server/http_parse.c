/*
 * http_parse.c - judging request heads and the chunked coding, reading query strings. Pure; the bytes are hostile.
 *
 * Strictness (RFC 9112, where it leaves a choice): lines of a head may end in a bare LF, those of the chunked
 * coding may not; no blank before a header's colon, no folded lines, no control bytes; exactly one Host in
 * HTTP/1.1; Content-Length at most once and in digits only, never together with Transfer-Encoding; the only
 * transfer coding is chunked.
 */
#include "server/http_parse.h"

#include <stdio.h>

#define PARAMS_MAX 1000u
#define CHUNK_SIZE_DIGITS_MAX 15u /* hex digits of a chunk size: fits 60 bits */
#define CHUNK_FRAMING_FREE (64u * 1024)
#define CHUNK_FRAMING_RATIO 16u
#define CHUNK_TRAILER_LINE_MAX 8192u

static const struct {
    const char *name;
    enum lp_http_method method;
} methods[] = {
    {"GET", LP_GET},   {"POST", LP_POST},       {"PUT", LP_PUT},     {"DELETE", LP_DELETE},
    {"HEAD", LP_HEAD}, {"OPTIONS", LP_OPTIONS}, {"PATCH", LP_PATCH},
};

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *
lp_http_method_name(enum lp_http_method method)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(methods); i++) {
        if (methods[i].method == method) {
            return methods[i].name;
        }
    }
    return "-";
}

const char *
lp_http_reason(int status)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return status < 400 ? "OK" : "Error";
}

bool
lp_http_token_byte(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
        return true;
    }
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool
lp_http_value_ok(struct lp_str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == 0) {
            return false;
        }
    }
    return true;
}

size_t
lp_http_head_end(struct lp_str s, size_t *scanned)
{
    size_t i = *scanned;
    while (i < s.n) {
        const char *nl = memchr(s.p + i, '\n', s.n - i);
        if (nl == NULL) {
            *scanned = s.n;
            return 0;
        }
        size_t next = (size_t)(nl - s.p) + 1;
        if (next < s.n && s.p[next] == '\n') {
            return next + 1;
        }
        if (next + 1 < s.n && s.p[next] == '\r' && s.p[next + 1] == '\n') {
            return next + 2;
        }
        if (next + 1 >= s.n) { /* what follows the line end is not all there yet */
            *scanned = next - 1;
            return 0;
        }
        i = next;
    }
    *scanned = i;
    return 0;
}

/* Cuts the next line off *rest, without its line end. */
static struct lp_str
cut_line(struct lp_str *rest)
{
    struct lp_str line = lp_str_cut(rest, '\n');
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static bool
all_token(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!lp_http_token_byte((unsigned char)s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

/* No control bytes; tabs where they may stand. Bytes >= 0x80 pass. */
static bool
no_controls(struct lp_str s, bool tabs)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && !(tabs && c == '\t')) || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static int
parse_version(struct lp_str v, struct lp_http_head *ret, const char **why)
{
    bool form = v.n == 8 && lp_str_starts(v, LP_STR("HTTP/")) && v.p[5] >= '0' && v.p[5] <= '9' &&
                v.p[6] == '.' && v.p[7] >= '0' && v.p[7] <= '9';
    if (!form) {
        *why = "the request line does not end in HTTP/1.0 or HTTP/1.1";
        return 400;
    }
    if (v.p[5] != '1') {
        *why = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return 505;
    }
    ret->minor = v.p[7] == '0' ? 0 : 1;
    ret->keep_alive = ret->minor >= 1;
    return 0;
}

static int
parse_request_line(struct lp_str line, struct lp_http_head *ret, const char **why)
{
    struct lp_str method = lp_str_cut(&line, ' ');
    struct lp_str target = lp_str_cut(&line, ' ');
    if (!all_token(method) || target.n == 0 || !no_controls(target, false)) {
        *why = "malformed request line";
        return 400;
    }
    int status = parse_version(line, ret, why);
    if (status != 0) {
        return status;
    }
    ret->target = target;
    for (size_t i = 0; i < LP_ARRAY_LEN(methods); i++) {
        if (lp_str_eqc(method, methods[i].name)) {
            ret->method = methods[i].method;
            return 0;
        }
    }
    *why = "unknown method";
    return 501;
}

/* Headers that steer the framing may come once; this counts them. */
struct seen {
    unsigned length, coding, host;
    bool coding_ok, expect_other;
};

static void
read_connection(struct lp_str value, struct lp_http_head *ret)
{
    bool close = false, keep = false;
    while (value.p != NULL) {
        struct lp_str token = lp_str_trim(lp_str_cut(&value, ','));
        close = close || lp_str_ieq(token, LP_STR("close"));
        keep = keep || lp_str_ieq(token, LP_STR("keep-alive"));
    }
    if (close) {
        ret->keep_alive = false;
    } else if (keep && ret->minor == 0) {
        ret->keep_alive = true;
    }
}

static bool
read_length(struct lp_str value, struct lp_http_head *ret)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9') {
            return false;
        }
    }
    return lp_str_u64(value, &ret->body_bytes) && ret->body_bytes <= INT64_MAX;
}

/* Looks at one header; false with *why when it is bad by itself. */
static bool
read_header(struct lp_pair h, struct seen *seen, struct lp_http_head *ret, const char **why)
{
    if (lp_str_ieq(h.name, LP_STR("Content-Length"))) {
        seen->length++;
        if (!read_length(h.value, ret)) {
            *why = "malformed Content-Length";
            return false;
        }
    } else if (lp_str_ieq(h.name, LP_STR("Transfer-Encoding"))) {
        seen->coding++;
        seen->coding_ok = lp_str_ieq(h.value, LP_STR("chunked"));
    } else if (lp_str_ieq(h.name, LP_STR("Host"))) {
        seen->host++;
    } else if (lp_str_ieq(h.name, LP_STR("Connection"))) {
        read_connection(h.value, ret);
    } else if (lp_str_ieq(h.name, LP_STR("Expect"))) {
        bool cont = lp_str_ieq(h.value, LP_STR("100-continue"));
        ret->expect_continue = ret->expect_continue || cont;
        seen->expect_other = seen->expect_other || !cont;
    }
    return true;
}

/* What the headers say together. */
static int
judge(const struct seen *seen, struct lp_http_head *ret, const char **why)
{
    if (seen->length > 1) {
        *why = "more than one Content-Length";
        return 400;
    }
    if (seen->coding > 0 && (seen->length > 0 || seen->coding > 1 || ret->minor == 0)) {
        *why = "Transfer-Encoding must come once, without Content-Length, in HTTP/1.1";
        return 400;
    }
    if (seen->coding > 0 && !seen->coding_ok) {
        *why = "the only Transfer-Encoding understood is chunked";
        return 501;
    }
    if (seen->host > 1 || (seen->host == 0 && ret->minor > 0)) {
        *why = "HTTP/1.1 wants exactly one Host header";
        return 400;
    }
    if (seen->expect_other && ret->minor > 0) {
        *why = "the only Expect understood is 100-continue";
        return 417;
    }
    ret->chunked = seen->coding > 0;
    ret->expect_continue = ret->expect_continue && ret->minor > 0;
    return 0;
}

static bool
split_header(struct lp_str line, struct lp_pair *ret, const char **why)
{
    struct lp_str name = lp_str_cut(&line, ':');
    if (line.p == NULL || !all_token(name)) {
        *why = "malformed header name";
        return false;
    }
    ret->name = name;
    ret->value = lp_str_trim(line);
    if (!no_controls(ret->value, true)) {
        *why = "control byte in a header";
        return false;
    }
    return true;
}

static size_t
count_lines(struct lp_str s)
{
    size_t n = 0;
    while (s.p != NULL && s.n > 0) {
        n += cut_line(&s).n > 0;
    }
    return n;
}

int
lp_http_head_parse(struct lp_arena *ar, struct lp_str bytes, struct lp_http_head *ret, const char **why)
{
    *ret = (struct lp_http_head){0};
    struct lp_str rest = bytes;
    int status = parse_request_line(cut_line(&rest), ret, why);
    if (status != 0) {
        return status;
    }
    size_t max = count_lines(rest);
    if (max > LP_HTTP_HEADERS_MAX) {
        *why = "too many headers";
        return 431;
    }
    struct lp_pair *headers = lp_arena_array(ar, max, sizeof(*headers));
    if (headers == NULL) {
        *why = "no memory for the headers";
        return 503;
    }
    struct seen seen = {0};
    while (rest.n > 0) {
        struct lp_str line = cut_line(&rest);
        if (line.n == 0) {
            break;
        }
        struct lp_pair h;
        if (!split_header(line, &h, why) || !read_header(h, &seen, ret, why)) {
            return 400;
        }
        LP_ASSERT(ret->nheaders < max);
        headers[ret->nheaders++] = h;
    }
    ret->headers = headers;
    return judge(&seen, ret, why);
}

static enum lp_http_chunk_state
after_size(struct lp_http_chunks *ch)
{
    ch->line_bytes = 0;
    return ch->left > 0 ? LP_HTTP_CHUNK_DATA : LP_HTTP_CHUNK_TRAILER;
}

/* One byte of a size line: hex digits, then perhaps blanks and an extension, which is ignored, then CR LF. */
static enum lp_http_chunk_state
size_byte(struct lp_http_chunks *ch, char c)
{
    if (ch->cr) {
        ch->cr = false;
        return c == '\n' && ch->digits > 0 ? after_size(ch) : LP_HTTP_CHUNK_BAD;
    }
    if (c == '\r') {
        ch->cr = true;
        return LP_HTTP_CHUNK_SIZE;
    }
    if (ch->extension) {
        return (unsigned char)c >= 0x20 || c == '\t' ? LP_HTTP_CHUNK_SIZE : LP_HTTP_CHUNK_BAD;
    }
    int v = lp_hex_digit(c);
    if (v < 0) {
        ch->extension = ch->digits > 0 && (c == ';' || c == ' ' || c == '\t');
        return ch->extension ? LP_HTTP_CHUNK_SIZE : LP_HTTP_CHUNK_BAD;
    }
    ch->left = ch->left << 4 | (unsigned)v;
    return ++ch->digits > CHUNK_SIZE_DIGITS_MAX ? LP_HTTP_CHUNK_BAD : LP_HTTP_CHUNK_SIZE;
}

static enum lp_http_chunk_state
crlf_byte(struct lp_http_chunks *ch, char c)
{
    if (!ch->cr) {
        ch->cr = c == '\r';
        return ch->cr ? LP_HTTP_CHUNK_CRLF : LP_HTTP_CHUNK_BAD;
    }
    ch->cr = false;
    ch->digits = 0;
    ch->extension = false;
    return c == '\n' ? LP_HTTP_CHUNK_SIZE : LP_HTTP_CHUNK_BAD;
}

/* Trailers are read over: nothing here needs them, and they must never count as headers. */
static enum lp_http_chunk_state
trailer_byte(struct lp_http_chunks *ch, char c)
{
    if (ch->cr) {
        ch->cr = false;
        if (c != '\n') {
            return LP_HTTP_CHUNK_BAD;
        }
        bool last = ch->line_bytes == 0;
        ch->line_bytes = 0;
        return last ? LP_HTTP_CHUNK_DONE : LP_HTTP_CHUNK_TRAILER;
    }
    if (c == '\r') {
        ch->cr = true;
        return LP_HTTP_CHUNK_TRAILER;
    }
    return c == '\n' || ++ch->line_bytes > CHUNK_TRAILER_LINE_MAX ? LP_HTTP_CHUNK_BAD : LP_HTTP_CHUNK_TRAILER;
}

void
lp_http_chunks_skip(struct lp_http_chunks *ch, size_t n)
{
    LP_ASSERT(ch->state == LP_HTTP_CHUNK_DATA && n <= ch->left);
    ch->left -= n;
    ch->data_bytes += n;
    if (ch->left == 0) {
        ch->state = LP_HTTP_CHUNK_CRLF;
    }
}

size_t
lp_http_chunks_step(struct lp_http_chunks *ch, struct lp_str in, struct lp_str *data)
{
    *data = LP_STR_NULL;
    if (ch->state == LP_HTTP_CHUNK_DATA) {
        size_t n = (size_t)LP_MIN(ch->left, (uint64_t)in.n);
        *data = lp_str_of(in.p, n);
        lp_http_chunks_skip(ch, n);
        return n;
    }
    size_t i = 0;
    while (i < in.n && ch->state != LP_HTTP_CHUNK_DATA && ch->state < LP_HTTP_CHUNK_DONE) {
        char c = in.p[i++];
        if (ch->state == LP_HTTP_CHUNK_SIZE) {
            ch->state = size_byte(ch, c);
        } else if (ch->state == LP_HTTP_CHUNK_CRLF) {
            ch->state = crlf_byte(ch, c);
        } else {
            ch->state = trailer_byte(ch, c);
        }
    }
    ch->framing += i;
    if (ch->framing > CHUNK_FRAMING_FREE + CHUNK_FRAMING_RATIO * ch->data_bytes) {
        ch->state = LP_HTTP_CHUNK_BAD;
    }
    return i;
}

/* --- query strings and forms --- */

static bool
decode(struct lp_arena *ar, struct lp_str raw, struct lp_str *ret)
{
    if (lp_str_find_byte(raw, '%') == SIZE_MAX && lp_str_find_byte(raw, '+') == SIZE_MAX) {
        *ret = raw;
        return true;
    }
    return lp_url_decode(ar, raw, true, ret);
}

lp_rc
lp_http_pairs_add(struct lp_arena *ar, struct lp_str text, struct lp_http_pairs *ps, struct lp_err *err)
{
    while (text.p != NULL) {
        struct lp_str value = lp_str_cut(&text, '&');
        if (value.n == 0) {
            continue;
        }
        struct lp_str name = lp_str_cut(&value, '=');
        if (ps->n == PARAMS_MAX) {
            return lp_err_set(err, LP_ERR_LIMIT, "more than %u parameters", PARAMS_MAX);
        }
        ps->v = lp_arena_grow(ar, ps->v, &ps->cap, ps->n + 1, sizeof(ps->v[0]));
        if (ps->v == NULL) {
            return lp_err_set(err, LP_ERR_NOMEM, "no memory for the parameters");
        }
        struct lp_pair *pair = &ps->v[ps->n];
        if (!decode(ar, name, &pair->name) || !decode(ar, value, &pair->value)) {
            return lp_err_set(err, LP_ERR_PARSE, "bad escape in parameter " LP_STR_FMT, LP_STR_ARG(name));
        }
        ps->n++;
    }
    return LP_OK;
}
