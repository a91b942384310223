/*
 * json.cc - the one door to simdjson. Its vectorised first stage finds the tokens; this file checks the
 * grammar and makes nodes.
 *
 * Stage 1 (simdjson, chosen for the processor at run time) proves that the text is UTF-8, that every string
 * is closed and holds no raw control character, and gives the offsets of all tokens: brackets, commas,
 * colons, opening quotes and the first bytes of everything else. So between one token and the next there is
 * that token's text and white space only, and a string ends at the last quote before the next token: nothing
 * has to be searched for.
 *
 * Stage 2 (walk_document) goes over the offsets with an explicit stack of open containers. Strings without
 * escapes and all numbers are slices of the input.
 *
 * JSON lines: stage 1 runs over a window of many lines. A raw newline inside a string makes it refuse the
 * window, so in an accepted window no token crosses a line and each line reads as it would alone. A refused
 * window is cut into its lines, each with a stage 1 of its own. Either way a line reaches exactly one
 * callback, after its last token.
 *
 * Why not simdjson's own second stages: on-demand is compiled for the baseline processor, DOM refuses numbers
 * beyond double and gives no places in the input.
 */
#include "base/json.h"

#include <cstdarg>
#include <memory>
#include <new>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <simdjson.h>

#include "base/bytes.h"
#include "base/str_int.h"

#define LP_WINDOW_BYTES                                                                                      \
    (256u * 1024) /* lines that stage 1 takes at once: what its offsets need fits the cache */
#define LP_KEEP_BYTES (4u * 1024 * 1024) /* larger memory is given back before the next parse */
#define OFFERS_MISSED 16                 /* a line parsed alone costs twice what it costs in a window */
#define LP_TEXT_MAX (UINT32_MAX - 2u * LP_JSON_PAD) /* offsets are 32 bits */

struct lp_json_parser {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1;
    struct lp_json *nodes;
    size_t nodes_cap;
    char *strings; /* unescaped strings of one document */
    size_t strings_cap;
};

/* What stays put while one document is walked, and how the walk ended. */
struct walk {
    struct lp_json_parser *p;
    const char *base;  /* what offsets count from */
    uint32_t end;      /* where the document's text ends */
    const char *slash; /* the first backslash not yet passed; base + end when there is none */
    size_t strings_n;  /* used of p->strings */
    lp_rc rc;          /* on failure: why, where and in words */
    uint32_t bad_at;
    const char *why;
};

/* Where the walk stands. Kept apart, and only ever passed to inlined functions, so that it lives in
 * registers. */
struct cursor {
    const uint32_t *at; /* the next token; behind the last one stands the length of the stage 1 text */
    uint32_t n;         /* nodes so far */
    uint32_t depth;
    uint32_t parent; /* node of the innermost open container, while depth > 0 */
};

#define LP_HOT static inline __attribute__((always_inline))

static bool
refuse(struct walk *w, lp_rc rc, uint32_t where, const char *why)
{
    w->rc = rc;
    w->bad_at = where;
    w->why = why;
    return false;
}

LP_HOT bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The first byte of a token; NUL, which begins no token, at the end of the document. */
LP_HOT char
peek(const struct walk *w, const uint32_t *at)
{
    return *at < w->end ? w->base[*at] : '\0';
}

/* The bytes of a scalar token up to the token behind it, without white space. */
LP_HOT struct lp_str
scalar(const struct walk *w, const uint32_t *at)
{
    const char *from = w->base + at[0];
    const char *to = w->base + at[1];
    while (is_blank(to[-1])) { /* the token itself begins with something else */
        to--;
    }
    return lp_str_of(from, (size_t)(to - from));
}

static const char *
skip_digits(const char *s, const char *end)
{
    while (s < end && *s >= '0' && *s <= '9') {
        s++;
    }
    return s;
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
bool
lp_json_is_number(struct lp_str t)
{
    const char *s = t.p, *end = t.p + t.n;
    s += s < end && *s == '-';
    const char *part = s;
    s = skip_digits(s, end);
    if (s == part || (*part == '0' && s > part + 1)) {
        return false;
    }
    if (s < end && *s == '.') {
        part = ++s;
        s = skip_digits(s, end);
        if (s == part) {
            return false;
        }
    }
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        s += s < end && (*s == '+' || *s == '-');
        part = s;
        s = skip_digits(s, end);
        if (s == part) {
            return false;
        }
    }
    return s == end;
}

/* Four hexadecimal digits; -1 when they are not. */
static int32_t
hex4(const char *s, const char *end)
{
    int32_t v = 0;
    if (end - s < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)s[i];
        unsigned char low = c | 0x20;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        v = v << 4 | digit;
    }
    return v;
}

/* The code point of a \u escape whose digits begin at *s, its low surrogate included; -1 when it is
 * malformed. */
static int32_t
unicode_escape(const char **s, const char *end)
{
    int32_t cp = hex4(*s, end);
    if (cp < 0) {
        return -1;
    }
    *s += 4;
    if (cp >= 0xd800 && cp < 0xdc00 && end - *s >= 6 && (*s)[0] == '\\' && (*s)[1] == 'u') {
        int32_t low = hex4(*s + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *s += 6;
            return 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return cp; /* a lone surrogate is written as U+FFFD */
}

/* What the byte behind a backslash stands for; NUL where it is no simple escape. */
struct simple_escapes {
    char of[256];
    constexpr simple_escapes() : of()
    {
        of['"'] = '"';
        of['\\'] = '\\';
        of['/'] = '/';
        of['b'] = '\b';
        of['f'] = '\f';
        of['n'] = '\n';
        of['r'] = '\r';
        of['t'] = '\t';
    }
};

static constexpr struct simple_escapes simple;

/* Where text is read, and where it is written without its escapes. By value, so that it stays in registers.
 */
struct copying {
    const char *at;
    char *to;
};

/* A \u escape; at == nullptr: it is none, or not whole. */
static struct copying
unescape_unicode(struct copying c, const char *end)
{
    c.at += 2;
    int32_t cp = unicode_escape(&c.at, end);
    if (cp < 0) {
        return copying{nullptr, c.to};
    }
    c.to += lp_utf8_put((uint32_t)cp, c.to);
    return c;
}

/* Unescapes what begins at the backslash c.at; at == nullptr: it is no escape, or not whole. */
LP_HOT struct copying
unescape_one(struct copying c, const char *end)
{
    if (LP_UNLIKELY(end - c.at < 2)) {
        return copying{nullptr, c.to};
    }
    char plain = simple.of[(unsigned char)c.at[1]];
    if (LP_LIKELY(plain != '\0')) {
        *c.to = plain;
        return copying{c.at + 2, c.to + 1};
    }
    return c.at[1] == 'u' ? unescape_unicode(c, end) : copying{nullptr, c.to};
}

#if defined(__SSE2__)
#define BLOCK 64

LP_HOT __m128i
load16(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

LP_HOT void
copy16(char *to, const char *from)
{
    _mm_storeu_si128((__m128i *)(void *)to, load16(from));
}

/* Copies BLOCK bytes to `to`; returns which of them are quotes, backslashes or control characters. */
LP_HOT uint64_t
copy_block(const char *from, char *to, __m128i *seen)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), last = _mm_set1_epi8(0x1f);
    uint64_t special = 0;
    for (int i = 0; i < BLOCK; i += 16) {
        __m128i v = load16(from + i);
        __m128i is = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        is = _mm_or_si128(is, _mm_cmpeq_epi8(_mm_min_epu8(v, last), v));
        special |= (uint64_t)(unsigned)_mm_movemask_epi8(is) << i;
        *seen = _mm_or_si128(*seen, v);
        _mm_storeu_si128((__m128i *)(void *)(to + i), v);
    }
    return special;
}

/*
 * Copies blocks without their escapes, as long as BLOCK + 16 bytes are left, up to what the caller must look
 * at: a closing quote, a control character, an escape that is not simple. All escapes of a block come from
 * one mask: from load to load, each cost 14 cycles more (JSON within JSON has one in eight bytes: 35 ns of
 * 170 a line).
 */
LP_HOT struct copying
copy_blocks(struct copying c, const char *end, int *high)
{
    __m128i seen = _mm_setzero_si128();
    bool stop = false;
    while (!stop && end - c.at >= BLOCK + 16) {
        uint64_t special = copy_block(c.at, c.to, &seen);
        unsigned from = 0;
        while (special != 0) {
            unsigned k = (unsigned)__builtin_ctzll(special);
            for (unsigned i = from == 0 ? k : from; i < k; i += 16) { /* the first stretch is in place */
                copy16(c.to + (i - from), c.at + i);
            }
            c.to += k - from;
            from = k;
            char plain = c.at[k] == '\\' ? simple.of[(unsigned char)c.at[k + 1]] : '\0';
            if (LP_UNLIKELY(plain == '\0')) {
                stop = true;
                break;
            }
            *c.to++ = plain;
            from = k + 2;
            special &= ~(UINT64_C(3) << k);
        }
        unsigned to = stop ? from : LP_MAX(from, (unsigned)BLOCK);
        for (unsigned i = from == 0 ? to : from; i < to; i += 16) {
            copy16(c.to + (i - from), c.at + i);
        }
        c.to += to - from;
        c.at += to;
    }
    *high |= _mm_movemask_epi8(seen); /* of bytes behind the end too: a needless look at UTF-8, no harm */
    return c;
}
#else
LP_HOT struct copying
copy_blocks(struct copying c, const char *end, int *high)
{
    (void)end;
    (void)high;
    return c;
}
#endif

/* Copies up to the string's closing quote, or to end; at == nullptr: a control character, a bad escape. */
LP_HOT struct copying
copy_string(const char *p, const char *end, char *out, int *high)
{
    struct copying c = {p, out};
    for (;;) {
        c = copy_blocks(c, end, high);
        while (c.at < end && *c.at != '"' && *c.at != '\\' && (unsigned char)*c.at >= 0x20) {
            *high |= (unsigned char)*c.at & 0x80;
            *c.to++ = *c.at++;
        }
        if (c.at == end || *c.at == '"') {
            return c;
        }
        c = *c.at == '\\' ? unescape_one(c, end) : copying{nullptr, c.to};
        if (LP_UNLIKELY(c.at == nullptr)) {
            return c;
        }
    }
}

const char *
lp_json_string(const char *p, const char *end, char *out, size_t *ret_n)
{
    int high = 0;
    struct copying c = copy_string(p, end, out, &high);
    if (c.at == nullptr || c.at == end || (high != 0 && !simdjson::validate_utf8(p, (size_t)(c.at - p)))) {
        return nullptr;
    }
    *ret_n = (size_t)(c.to - out);
    return c.at;
}

/* A place for `bytes` of unescaped text. The memory never moves while a document is walked: it is as large as
 * the document. */
static char *
strings_room(struct walk *w, size_t bytes)
{
    struct lp_json_parser *p = w->p;
    if (w->strings_n == 0 && p->strings_cap < w->end) {
        size_t cap = LP_MAX((size_t)w->end, (size_t)4096);
        lp_free(p->strings);
        p->strings = (char *)lp_try_malloc(cap + LP_JSON_PAD);
        p->strings_cap = p->strings != nullptr ? cap : 0;
    }
    return p->strings_cap - w->strings_n >= bytes ? p->strings + w->strings_n : nullptr;
}

/* Unescapes the inner bytes of a string that begins at offset `where`. */
static bool
escaped_string(struct walk *w, struct lp_str raw, uint32_t where, struct lp_str *ret)
{
    char *out = strings_room(w, raw.n);
    if (out == nullptr) {
        return refuse(w, LP_ERR_NOMEM, where, "no memory for a string");
    }
    int high = 0;
    /* stage 1 has seen the closing quote: the copy ends there, and may look as far as the document goes */
    struct copying c = copy_string(raw.p, w->base + w->end, out, &high);
    if (c.at == nullptr) {
        return refuse(w, LP_ERR_PARSE, where, "a bad escape in a string");
    }
    *ret = lp_str_of(out, (size_t)(c.to - out));
    w->strings_n += ret->n;
    return true;
}

/* Moves w->slash to the first backslash at or behind `from`. */
static void
find_slash(struct walk *w, const char *from)
{
    const char *end = w->base + w->end;
    const char *slash = (const char *)memchr(from, '\\', (size_t)(end - from));
    w->slash = slash != nullptr ? slash : end;
}

/* The value of a string token. */
LP_HOT bool
string(struct walk *w, const uint32_t *at, struct lp_str *ret)
{
    struct lp_str raw = scalar(w, at);
    raw = lp_str_of(raw.p + 1, raw.n - 2); /* stage 1 says that the closing quote is there */
    if (LP_UNLIKELY(w->slash < raw.p)) {
        find_slash(w, raw.p);
    }
    if (LP_UNLIKELY(w->slash < raw.p + raw.n)) {
        return escaped_string(w, raw, *at, ret);
    }
    *ret = raw;
    return true;
}

/* The value of a token that is true, false, null or a number. */
static bool
plain(struct walk *w, const uint32_t *at, struct lp_json *node)
{
    node->text = scalar(w, at);
    if (lp_json_is_number(node->text)) {
        node->type = LP_JSON_NUMBER;
    } else if (lp_str_eq(node->text, LP_STR("true"))) {
        node->type = LP_JSON_BOOL;
        node->is_true = true;
    } else if (lp_str_eq(node->text, LP_STR("false"))) {
        node->type = LP_JSON_BOOL;
    } else if (lp_str_eq(node->text, LP_STR("null"))) {
        node->type = LP_JSON_NULL;
    } else {
        return refuse(w, LP_ERR_PARSE, *at, "not a value");
    }
    return true;
}

static bool
grow_nodes(struct walk *w, uint32_t where)
{
    struct lp_json_parser *p = w->p;
    if (p->nodes_cap >= LP_JSON_NODES_MAX) {
        return refuse(w, LP_ERR_LIMIT, where, "too many values");
    }
    size_t cap = LP_MAX(p->nodes_cap * 2, (size_t)256);
    void *grown = lp_try_realloc(p->nodes, cap * sizeof(p->nodes[0]));
    if (grown == nullptr) {
        return refuse(w, LP_ERR_NOMEM, where, "no memory for values");
    }
    p->nodes = (struct lp_json *)grown;
    p->nodes_cap = cap;
    return true;
}

/*
 * Takes a scalar, or a container's opening bracket, as the next node. While a container is open, its node's
 * text.n holds the node of the container around it.
 */
LP_HOT bool
take_value(struct walk *w, struct cursor *c, struct lp_str key)
{
    if (LP_UNLIKELY(c->n == w->p->nodes_cap) && !grow_nodes(w, *c->at)) {
        return false;
    }
    uint32_t i = c->n++;
    struct lp_json *node = &w->p->nodes[i];
    *node = lp_json{LP_JSON_STRING, false, i + 1, 0, key, LP_STR_NULL};
    char first = peek(w, c->at);
    if (LP_LIKELY(first == '"')) {
        return string(w, c->at++, &node->text);
    }
    if (first != '{' && first != '[') {
        return first != '\0' ? plain(w, c->at++, node)
                             : refuse(w, LP_ERR_PARSE, w->end, "a value is missing");
    }
    if (c->depth == LP_JSON_DEPTH_MAX) {
        return refuse(w, LP_ERR_LIMIT, *c->at, "nested too deeply");
    }
    node->type = first == '{' ? LP_JSON_OBJECT : LP_JSON_ARRAY;
    node->text = lp_str_of(w->base + *c->at++, c->parent);
    c->parent = i;
    c->depth++;
    return true;
}

/* Takes the closing bracket of the innermost container, if that is the next token. */
LP_HOT bool
take_close(struct walk *w, struct cursor *c)
{
    struct lp_json *node = &w->p->nodes[c->parent];
    if (peek(w, c->at) != (node->type == LP_JSON_OBJECT ? '}' : ']')) {
        return false;
    }
    c->parent = (uint32_t)node->text.n;
    c->depth--;
    node->next = c->n;
    node->text.n = (size_t)(w->base + *c->at++ - node->text.p) + 1;
    return true;
}

/* Takes `"key" :`. */
LP_HOT bool
take_key(struct walk *w, struct cursor *c, struct lp_str *ret)
{
    if (LP_UNLIKELY(peek(w, c->at) != '"')) {
        return refuse(w, LP_ERR_PARSE, *c->at, "a key is missing");
    }
    if (LP_UNLIKELY(peek(w, c->at + 1) != ':')) {
        return refuse(w, LP_ERR_PARSE, c->at[1], "a colon is missing");
    }
    c->at += 2;
    return string(w, c->at - 2, ret);
}

/*
 * Takes one document and requires that nothing stands behind it before w->end; *n becomes its number of
 * nodes, *at moves behind its last token. Each round takes one value: either what an opening bracket begins
 * with, or what follows a comma; brackets that close in between are taken in the inner loop.
 */
static bool
walk_document(struct walk *w, const uint32_t **at, uint32_t *n)
{
    struct cursor c = {*at, 0, 0, 0};
    struct lp_str key = LP_STR_NULL;
    for (;;) {
        uint32_t outside = c.depth;
        if (!take_value(w, &c, key)) {
            return false;
        }
        bool opened = c.depth > outside;
        while (c.depth > 0 && take_close(w, &c)) {
            opened = false;
        }
        if (c.depth == 0) {
            break;
        }
        if (!opened && peek(w, c.at++) != ',') {
            return refuse(w, LP_ERR_PARSE, c.at[-1], "a comma or a closing bracket is missing");
        }
        struct lp_json *parent = &w->p->nodes[c.parent];
        parent->count++;
        key = LP_STR_NULL;
        if (parent->type == LP_JSON_OBJECT && !take_key(w, &c, &key)) {
            return false;
        }
    }
    *n = c.n;
    *at = c.at;
    return *c.at >= w->end || refuse(w, LP_ERR_PARSE, *c.at, "something stands behind the document");
}

static lp_rc
stage1_failed(struct lp_err *err, simdjson::error_code code)
{
    static const struct {
        simdjson::error_code code;
        const char *why;
    } known[] = {
        {simdjson::UTF8_ERROR, "not UTF-8"},
        {simdjson::UNCLOSED_STRING, "a string does not end"},
        {simdjson::UNESCAPED_CHARS, "a control character in a string"},
        {simdjson::EMPTY, "empty"},
    };
    if (code == simdjson::MEMALLOC) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory to parse JSON");
    }
    const char *why = simdjson::error_message(code);
    for (size_t i = 0; i < LP_ARRAY_LEN(known); i++) {
        why = known[i].code == code ? known[i].why : why;
    }
    return lp_err_set(err, LP_ERR_PARSE, "malformed JSON: %s", why);
}

/* Runs stage 1 over text; the offsets stand in p->stage1 until the next run. */
static simdjson::error_code
run_stage1(struct lp_json_parser *p, struct lp_str text)
{
    if (p->stage1 == nullptr || p->stage1->capacity() < text.n) {
        size_t cap = LP_MAX(text.n, (size_t)LP_WINDOW_BYTES);
        p->stage1.reset();
        simdjson::error_code code =
            simdjson::get_active_implementation()->create_dom_parser_implementation(cap, 1, p->stage1);
        if (code != simdjson::SUCCESS) {
            return code;
        }
    }
    return p->stage1->stage1((const uint8_t *)text.p, text.n, simdjson::stage1_mode::regular);
}

/* Gives back what an exceptionally large text made necessary. */
static void
trim_parser(struct lp_json_parser *p)
{
    if (p->stage1 != nullptr && p->stage1->capacity() > LP_KEEP_BYTES / sizeof(uint32_t)) {
        p->stage1.reset();
    }
    if (p->nodes_cap > LP_KEEP_BYTES / sizeof(p->nodes[0])) {
        lp_free(p->nodes);
        p->nodes = nullptr;
        p->nodes_cap = 0;
    }
    if (p->strings_cap > LP_KEEP_BYTES) {
        lp_free(p->strings);
        p->strings = nullptr;
        p->strings_cap = 0;
    }
}

/* Sets the walk's failure, with the 1-based line and column of bad_at in doc, which begins at offset `from`.
 */
static lp_rc
walk_failed(const struct walk *w, uint32_t from, struct lp_err *err)
{
    uint32_t line = 1, col = 1;
    if (err == nullptr) {
        return w->rc;
    }
    for (uint32_t i = from; i < w->bad_at && i < w->end; i++) {
        bool newline = w->base[i] == '\n';
        line += newline;
        col = newline ? 1 : col + 1;
    }
    return lp_err_at(err, w->rc, line, col, "%s: %s", w->rc == LP_ERR_PARSE ? "malformed JSON" : "JSON",
                     w->why);
}

/* Walks the document in [from, to) of the stage 1 text at base, whose first token is *at; *at moves behind
 * its last. */
static lp_rc
parse_range(struct lp_json_parser *p, const char *base, uint32_t from, uint32_t to, const uint32_t **at,
            struct lp_json_doc *ret, struct lp_err *err)
{
    struct walk w;
    w.p = p;
    w.base = base;
    w.end = to;
    w.slash = base + from;
    w.strings_n = 0;
    find_slash(&w, w.slash);
    uint32_t n;
    if (!walk_document(&w, at, &n)) {
        while (**at < to) {
            ++*at;
        }
        return walk_failed(&w, from, err);
    }
    *ret = lp_json_doc{p->nodes, n};
    return LP_OK;
}

/* Runs both stages over text alone. */
static lp_rc
parse_alone(struct lp_json_parser *p, struct lp_str text, struct lp_json_doc *ret, struct lp_err *err)
{
    if (text.n > LP_TEXT_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "JSON: over 4 GiB");
    }
    simdjson::error_code code = text.n > 0 ? run_stage1(p, text) : simdjson::EMPTY;
    if (code != simdjson::SUCCESS) {
        return stage1_failed(err, code);
    }
    const uint32_t *at = p->stage1->structural_indexes.get();
    return parse_range(p, text.p, 0, (uint32_t)text.n, &at, ret, err);
}

lp_rc
lp_json_parse(struct lp_json_parser *p, struct lp_str text, struct lp_json_doc *ret, struct lp_err *err)
{
    trim_parser(p);
    return parse_alone(p, text, ret, err);
}

/* Cuts the first line off *rest, which is not empty; the newline goes, a CR before it stays. */
static struct lp_str
cut_line(struct lp_str *rest)
{
    const char *newline = (const char *)memchr(rest->p, '\n', rest->n);
    size_t n = newline != nullptr ? (size_t)(newline - rest->p) : rest->n;
    struct lp_str line = lp_str_of(rest->p, n);
    *rest = lp_str_sub(*rest, n + 1, rest->n);
    return line;
}

static bool
all_blank(struct lp_str line)
{
    size_t i = 0;
    while (i < line.n && is_blank(line.p[i])) {
        i++;
    }
    return i == line.n;
}

/* Hands a line to the callback that its result calls for. */
static lp_rc
deliver(const struct lp_json_lines_cb *cb, struct lp_str line, lp_rc rc, const struct lp_json_doc *doc,
        const struct lp_err *why, struct lp_err *err)
{
    if (rc == LP_ERR_NOMEM) {
        return lp_err_set(err, rc, "%s", why->text);
    }
    line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
    bool more = rc == LP_OK ? cb->on_doc(cb->arg, doc, line) : cb->on_bad(cb->arg, line, why);
    return more ? LP_OK : lp_err_set(err, LP_ERR_CANCELED, "stopped by the caller");
}

/* The lines of a window that stage 1 has accepted. */
static lp_rc
accepted_window(struct lp_json_parser *p, struct lp_str window, const struct lp_json_lines_cb *cb,
                struct lp_err *err)
{
    const uint32_t *at = p->stage1->structural_indexes.get();
    struct lp_str rest = window;
    while (rest.n > 0) {
        struct lp_str line = cut_line(&rest);
        uint32_t from = (uint32_t)(line.p - window.p), to = from + (uint32_t)line.n;
        if (*at >= to) {
            continue; /* no token: a blank line */
        }
        struct lp_json_doc doc;
        struct lp_err why;
        lp_rc rc = parse_range(p, window.p, from, to, &at, &doc, &why);
        rc = deliver(cb, line, rc, &doc, &why, err);
        if (rc != LP_OK) {
            return rc;
        }
    }
    return LP_OK;
}

/* A line by itself. */
static lp_rc
lone_line(struct lp_json_parser *p, struct lp_str line, const struct lp_json_lines_cb *cb, struct lp_err *err)
{
    struct lp_json_doc doc;
    struct lp_err why;
    if (all_blank(line)) {
        return LP_OK;
    }
    lp_rc rc = parse_alone(p, line, &doc, &why);
    return deliver(cb, line, rc, &doc, &why, err);
}

/* The lines of a window that stage 1 has refused, each by itself. */
static lp_rc
refused_window(struct lp_json_parser *p, struct lp_str window, const struct lp_json_lines_cb *cb,
               struct lp_err *err)
{
    lp_rc rc = LP_OK;
    while (window.n > 0 && rc == LP_OK) {
        rc = lone_line(p, cut_line(&window), cb, err);
    }
    return rc;
}

/* Offers lines to the caller, as long as it takes most of them; *rest moves behind those that are done. */
static lp_rc
offered_lines(struct lp_json_parser *p, struct lp_str *rest, const struct lp_json_lines_cb *cb,
              struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t n = 0, missed = 0; rest->n > 0 && rc == LP_OK && missed <= OFFERS_MISSED + n / 8; n++) {
        struct lp_str line = cut_line(rest), raw = line;
        raw.n -= raw.n > 0 && raw.p[raw.n - 1] == '\r';
        if (!cb->on_line(cb->arg, raw)) {
            missed++;
            rc = lone_line(p, line, cb, err);
        }
    }
    return rc;
}

/* Cuts whole lines of at most LP_WINDOW_BYTES off *rest; a longer line comes alone. */
static struct lp_str
cut_window(struct lp_str *rest)
{
    size_t n = rest->n;
    if (n > LP_WINDOW_BYTES) {
        const char *last = (const char *)memrchr(rest->p, '\n', LP_WINDOW_BYTES);
        if (last == nullptr) {
            last = (const char *)memchr(rest->p + LP_WINDOW_BYTES, '\n', n - LP_WINDOW_BYTES);
        }
        n = last != nullptr ? (size_t)(last - rest->p) + 1 : n;
    }
    struct lp_str window = lp_str_sub(*rest, 0, n);
    *rest = lp_str_sub(*rest, n, rest->n);
    return window;
}

lp_rc
lp_json_lines(struct lp_json_parser *p, struct lp_str text, const struct lp_json_lines_cb *cb,
              struct lp_err *err)
{
    lp_rc rc = LP_OK;
    trim_parser(p);
    while (text.n > 0 && rc == LP_OK) {
        rc = cb->on_line != nullptr ? offered_lines(p, &text, cb, err) : LP_OK;
        if (rc != LP_OK || text.n == 0) {
            break;
        }
        struct lp_str window = cut_window(&text);
        bool accepted = window.n <= LP_TEXT_MAX && run_stage1(p, window) == simdjson::SUCCESS;
        rc = accepted ? accepted_window(p, window, cb, err) : refused_window(p, window, cb, err);
    }
    return rc;
}

struct lp_json_parser *
lp_json_parser_new(void)
{
    return new (lp_calloc(1, sizeof(struct lp_json_parser))) lp_json_parser();
}

void
lp_json_parser_free(struct lp_json_parser *p)
{
    if (p == nullptr) {
        return;
    }
    lp_free(p->nodes);
    lp_free(p->strings);
    p->~lp_json_parser();
    lp_free(p);
}

const struct lp_json *
lp_json_member(const struct lp_json_doc *doc, uint32_t i, struct lp_str key)
{
    const struct lp_json *object = &doc->nodes[i], *found = nullptr;
    if (object->type != LP_JSON_OBJECT) {
        return nullptr;
    }
    for (uint32_t k = i + 1; k < object->next; k = doc->nodes[k].next) {
        if (lp_str_eq(doc->nodes[k].key, key)) {
            found = &doc->nodes[k];
        }
    }
    return found;
}

const struct lp_json *
lp_json_path(const struct lp_json_doc *doc, ...)
{
    const struct lp_json *node = doc->count > 0 ? doc->nodes : nullptr;
    va_list ap;
    va_start(ap, doc);
    for (const char *key; node != nullptr && (key = va_arg(ap, const char *)) != nullptr;) {
        node = lp_json_member(doc, (uint32_t)(node - doc->nodes), lp_str_c(key));
    }
    va_end(ap);
    return node;
}

uint64_t
lp_json_u64(const struct lp_json *v)
{
    uint64_t n = 0;
    return v != nullptr && v->type == LP_JSON_NUMBER && lp_str_u64(v->text, &n) ? n : 0;
}

bool
lp_utf8_valid_vector(struct lp_str s)
{
    return simdjson::validate_utf8(s.p, s.n);
}
