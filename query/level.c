/*
 * level.c - the level of a line, by the rules that Loki follows when a line is pushed.
 *
 * In this order: a `detected_level` that came with the line; a label that names a level; metadata that does;
 * OpenTelemetry's number for the severity; a field of the line; the first word of the line that is a level.
 * Names are tried in a fixed order, because a stream may have two of them; in JSON the order is the line's.
 *
 * This runs once per line: a quick search tells most lines that hold no name, or no word, of a level; others
 * are read once for their field, up to the first that counts, and once more for words where there was none.
 * Nothing is copied or unescaped: no level is written with escapes.
 */
#include "query/level.h"

#include "base/find.h"

#define JSON_DEPTH 2 /* objects that may hold the field: the line's, and those in it */

/* Names of fields, the first that is there counts. */
const struct lp_str lp_level_fields[] = {
    {"level", 5},
    {"LEVEL", 5},
    {"Level", 5},
    {"log.level", 9},
    {"severity", 8},
    {"SEVERITY", 8},
    {"Severity", 8},
    {"SeverityText", 12},
    {"lvl", 3},
    {"LVL", 3},
    {"Lvl", 3},
    {"severity_text", 13},
    {"Severity_Text", 13},
    {"SEVERITY_TEXT", 13},
};
#define NFIELDS LP_ARRAY_LEN(lp_level_fields)
const size_t lp_level_nfields = NFIELDS;
#define FIELD_BYTES_MAX 15 /* severity_number */

#define TRACE                                                                                                \
    {                                                                                                        \
        "trace", 5                                                                                           \
    }
#define DEBUG                                                                                                \
    {                                                                                                        \
        "debug", 5                                                                                           \
    }
#define INFO                                                                                                 \
    {                                                                                                        \
        "info", 4                                                                                            \
    }
#define WARN                                                                                                 \
    {                                                                                                        \
        "warn", 4                                                                                            \
    }
#define ERROR                                                                                                \
    {                                                                                                        \
        "error", 5                                                                                           \
    }
#define CRITICAL                                                                                             \
    {                                                                                                        \
        "critical", 8                                                                                        \
    }
#define FATAL                                                                                                \
    {                                                                                                        \
        "fatal", 5                                                                                           \
    }

struct word {
    struct lp_str text, level;
};

/* How values spell levels. */
static const struct word values[] = {
    {TRACE, TRACE},
    {{"trc", 3}, TRACE},
    {DEBUG, DEBUG},
    {{"dbg", 3}, DEBUG},
    {INFO, INFO},
    {{"inf", 3}, INFO},
    {{"information", 11}, INFO},
    {WARN, WARN},
    {{"wrn", 3}, WARN},
    {{"warning", 7}, WARN},
    {ERROR, ERROR},
    {{"err", 3}, ERROR},
    {CRITICAL, CRITICAL},
    {FATAL, FATAL},
};

/* Words of a text that are levels, by their first letter. */
static const struct word words[] = {
    {CRITICAL, CRITICAL}, {DEBUG, DEBUG}, {ERROR, ERROR},         {{"err", 3}, ERROR}, {FATAL, FATAL},
    {INFO, INFO},         {TRACE, TRACE}, {{"warning", 7}, WARN}, {WARN, WARN},
};

/* Where the words with a first letter begin in that list, counted from 1. */
#define FIRST(lower, upper, at) [lower] = (at), [upper] = (at)
static const uint8_t first_words[256] = {
    FIRST('c', 'C', 1), FIRST('d', 'D', 2), FIRST('e', 'E', 3), FIRST('f', 'F', 5),
    FIRST('i', 'I', 6), FIRST('t', 'T', 7), FIRST('w', 'W', 8),
};

static const struct lp_str unknown = {"unknown", 7};

/* The level that a value spells; {NULL,0}: none. */
static struct lp_str
level_of(struct lp_str value)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(values) && value.n <= 11; i++) {
        if (lp_str_ieq(value, values[i].text)) {
            return values[i].level;
        }
    }
    return LP_STR_NULL;
}

/* As above; what spells none stays as it is. */
static struct lp_str
normal(struct lp_str value)
{
    struct lp_str level = level_of(value);
    return level.n > 0 ? level : value;
}

/* The first place of any of the words, in any case; SIZE_MAX: of none. */
static size_t
first_of(struct lp_str line, const struct lp_str *lower, size_t n)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t at = lp_find_icase(line, lower[i]);
        if (at < best) {
            best = at;
            line = lp_str_sub(line, 0, at + 8); /* behind it there is nothing better */
        }
    }
    return best;
}

/* ---------------------------------------------------------------- labels and metadata */

/* Most names can be told by their length and first byte. */
static bool
may_be_field(struct lp_str name)
{
    static const uint32_t lengths = 1u << 3 | 1u << 5 | 1u << 8 | 1u << 9 | 1u << 12 | 1u << 13;
    char first = name.n < 32 && (lengths >> name.n & 1) != 0 ? name.p[0] | 0x20 : 0;
    return first == 'l' || first == 's';
}

/* The place of a name in the order of names; NFIELDS: it is none of them. */
static size_t
field_of(struct lp_str name)
{
    size_t i = may_be_field(name) ? 0 : NFIELDS;
    while (i < NFIELDS && !lp_str_eq(name, lp_level_fields[i])) {
        i++;
    }
    return i;
}

/* A metadata name as a label's, where it is short enough to be looked for; {NULL,0} otherwise. */
static struct lp_str
clean(struct lp_str name, char room[FIELD_BYTES_MAX])
{
    if (name.n > FIELD_BYTES_MAX) {
        return LP_STR_NULL;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        room[i] = keep ? c : '_';
    }
    return lp_str_of(room, name.n);
}

/* The value of the metadata that is called this as a label; {NULL,0}: none, or empty. */
static struct lp_str
meta_value(const struct lp_pair *meta, size_t nmeta, struct lp_str name)
{
    char room[FIELD_BYTES_MAX];
    for (size_t i = 0; i < nmeta; i++) {
        if (meta[i].name.n == name.n && meta[i].name.p[0] == name.p[0] && meta[i].value.n > 0 &&
            lp_str_eq(clean(meta[i].name, room), name)) {
            return meta[i].value;
        }
    }
    return LP_STR_NULL;
}

static struct lp_str
label_level(const struct lp_pair *labels, size_t nlabels)
{
    size_t best = NFIELDS;
    struct lp_str value = LP_STR_NULL;
    for (size_t i = 0; i < nlabels; i++) {
        size_t field = field_of(labels[i].name);
        if (field < best && labels[i].value.n > 0) {
            best = field;
            value = labels[i].value;
        }
    }
    return value;
}

static struct lp_str
meta_level(const struct lp_pair *meta, size_t nmeta)
{
    size_t best = NFIELDS;
    struct lp_str value = LP_STR_NULL;
    char room[FIELD_BYTES_MAX];
    for (size_t i = 0; i < nmeta; i++) {
        size_t field = may_be_field(meta[i].name) ? field_of(clean(meta[i].name, room)) : NFIELDS;
        if (field < best && meta[i].value.n > 0) {
            best = field;
            value = meta[i].value;
        }
    }
    return value;
}

/* OpenTelemetry's severity_number: four numbers a level, 0 is not given. */
static struct lp_str
severity_level(struct lp_str number)
{
    static const struct lp_str bands[] = {TRACE, DEBUG, INFO, WARN, ERROR, FATAL};
    int64_t n;
    if (!lp_str_i64(number, &n)) {
        return bands[2];
    }
    if (n == 0 || n > 24) {
        return unknown;
    }
    return n < 0 ? bands[0] : bands[(n - 1) / 4];
}

/* ---------------------------------------------------------------- JSON */

struct cursor {
    const char *p, *end;
};

static void
skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) {
        c->p++;
    }
}

/* Moves behind a string, which begins at the cursor; what stands between its quotes. False where it has no
 * end. */
static bool
take_string(struct cursor *c, struct lp_str *ret)
{
    const char *from = c->p + 1;
    for (const char *p = from; (p = memchr(p, '"', (size_t)(c->end - p))) != NULL; p++) {
        const char *back = p;
        while (back > from && back[-1] == '\\') {
            back--;
        }
        if ((p - back) % 2 == 0) {
            *ret = lp_str_of(from, (size_t)(p - from));
            c->p = p + 1;
            return true;
        }
    }
    return false;
}

/* Moves behind an array or object, whatever is in it. */
static bool
skip_block(struct cursor *c, char open, char close)
{
    size_t depth = 0;
    struct lp_str text;
    while (c->p < c->end) {
        if (*c->p == '"') {
            if (!take_string(c, &text)) {
                return false;
            }
            continue;
        }
        depth += *c->p == open;
        if (*c->p++ == close && --depth == 0) {
            return true;
        }
    }
    return false;
}

static void
skip_literal(struct cursor *c)
{
    while (c->p < c->end && *c->p != ',' && *c->p != '}' && *c->p > ' ') {
        c->p++;
    }
}

/* "key": of a member, up to its value. */
static bool
take_key(struct cursor *c, struct lp_str *ret)
{
    if (c->p == c->end || *c->p != '"' || !take_string(c, ret)) {
        return false;
    }
    skip_blanks(c);
    if (c->p == c->end || *c->p++ != ':') {
        return false;
    }
    skip_blanks(c);
    return c->p < c->end;
}

/* Moves behind a value that is no string, or into an object that may hold the field. */
static bool
pass_value(struct cursor *c, unsigned *depth)
{
    if (*c->p == '{' && *depth < JSON_DEPTH) {
        ++*depth;
        c->p++;
        return true;
    }
    if (*c->p == '{' || *c->p == '[') {
        return skip_block(c, *c->p, *c->p == '{' ? '}' : ']');
    }
    skip_literal(c);
    return true;
}

/* The first string whose key names a level. What follows it may be broken. */
static struct lp_str
json_level(struct lp_str line)
{
    struct cursor c = {line.p + lp_str_find_byte(line, '{') + 1, line.p + line.n};
    struct lp_str key, value;
    for (unsigned depth = 1; depth > 0;) {
        skip_blanks(&c);
        if (c.p < c.end && (*c.p == '}' || *c.p == ',')) {
            depth -= *c.p++ == '}';
            continue;
        }
        if (!take_key(&c, &key)) {
            break;
        }
        if (*c.p != '"') {
            if (!pass_value(&c, &depth)) {
                break;
            }
        } else if (!take_string(&c, &value)) {
            break;
        } else if (field_of(key) < NFIELDS) {
            return value;
        }
    }
    return LP_STR_NULL;
}

/* ---------------------------------------------------------------- logfmt */

/* One pair; false where the line ends, or breaks: nothing behind that counts. */
static bool
take_pair(struct cursor *c, struct lp_str *key, struct lp_str *value)
{
    *value = LP_STR_NULL;
    while (c->p < c->end && (unsigned char)*c->p <= ' ') {
        c->p++;
    }
    const char *from = c->p;
    while (c->p < c->end && (unsigned char)*c->p > ' ' && *c->p != '=' && *c->p != '"') {
        c->p++;
    }
    *key = lp_str_of(from, (size_t)(c->p - from));
    if (key->n == 0 || (c->p < c->end && *c->p == '"')) {
        return false;
    }
    if (c->p == c->end || *c->p != '=') {
        return true;
    }
    if (++c->p < c->end && *c->p == '"') {
        return take_string(c, value);
    }
    from = c->p;
    while (c->p < c->end && (unsigned char)*c->p > ' ') {
        if (*c->p == '=' || *c->p == '"') {
            return false;
        }
        c->p++;
    }
    *value = lp_str_of(from, (size_t)(c->p - from));
    return true;
}

/* The value of the key that comes first in the order of names, in any case. */
static struct lp_str
logfmt_level(struct lp_str line)
{
    static const struct lp_str parts[] = {{"level", 5}, {"lvl", 3}, {"severity", 8}}; /* of all names */
    if (first_of(line, parts, LP_ARRAY_LEN(parts)) == SIZE_MAX) {
        return LP_STR_NULL;
    }
    struct cursor c = {line.p, line.p + line.n};
    struct lp_str key, value, best = LP_STR_NULL;
    size_t field = NFIELDS;
    while (field > 0 && take_pair(&c, &key, &value)) {
        for (size_t i = 0; i < field && may_be_field(key); i++) {
            if (lp_str_ieq(key, lp_level_fields[i])) {
                field = i;
                best = value;
            }
        }
    }
    return best;
}

/* ---------------------------------------------------------------- words */

/* What may stand before a word, and behind it: not the same, so that in "misc:error x" there is none, and in
 * "error: x" one. */
enum { BEFORE = 1, BEHIND = 2, BOTH = 3 };
static const uint8_t edges[256] = {
    [' '] = BOTH,   ['\t'] = BOTH,  ['\n'] = BOTH,  ['['] = BOTH,   ['('] = BOTH,
    ['{'] = BOTH,   ['"'] = BOTH,   ['='] = BOTH,   [']'] = BEHIND, [')'] = BEHIND,
    ['}'] = BEHIND, [':'] = BEHIND, [','] = BEHIND, ['!'] = BEHIND,
};

/* The level of the word at p, which has n bytes from there to the end of the line; {NULL,0}: none. */
static struct lp_str
word_at(const char *p, size_t n)
{
    for (size_t i = first_words[(uint8_t)*p] - 1u;
         i < LP_ARRAY_LEN(words) && (*p | 0x20) == words[i].text.p[0]; i++) {
        const struct lp_str *w = &words[i].text;
        if (n >= w->n && (n == w->n || (edges[(uint8_t)p[w->n]] & BEHIND) != 0) &&
            lp_str_ieq(lp_str_of(p, w->n), *w)) {
            return words[i].level;
        }
    }
    return LP_STR_NULL;
}

/* The first word that is a level. No word begins before the first place where one could. */
static struct lp_str
text_level(struct lp_str line)
{
    static const struct lp_str begins[] = {{"err", 3},   {"info", 4},  {"warn", 4},    {"debug", 5},
                                           {"trace", 5}, {"fatal", 5}, {"critical", 8}};
    struct lp_str level = LP_STR_NULL;
    size_t i = first_of(line, begins, LP_ARRAY_LEN(begins));
    unsigned before = i > 0 && i < line.n ? edges[(uint8_t)line.p[i - 1]] : BEFORE;
    for (; i < line.n && level.n == 0; i++) {
        uint8_t c = (uint8_t)line.p[i];
        if ((before & BEFORE) != 0 && first_words[c] != 0) {
            level = word_at(line.p + i, line.n - i);
        }
        before = edges[c];
    }
    return level.n > 0 ? level : unknown;
}

/* ---------------------------------------------------------------- a line */

static struct lp_str
line_level(struct lp_str line)
{
    struct lp_str value = LP_STR_NULL, all = lp_str_trim(line);
    if (all.n >= 2 && all.p[0] == '{' && all.p[all.n - 1] == '}') {
        value = json_level(all);
    } else if (lp_str_find_byte(line, '=') != SIZE_MAX) {
        value = logfmt_level(line);
    }
    struct lp_str level = level_of(value);
    return level.n > 0 ? level : text_level(line);
}

struct lp_str
lp_level_detect(const struct lp_pair *labels, size_t nlabels, const struct lp_pair *meta, size_t nmeta,
                struct lp_str line)
{
    struct lp_str value = meta_value(meta, nmeta, LP_STR(LP_LEVEL_LABEL));
    if (value.n == 0) {
        value = label_level(labels, nlabels);
    }
    if (value.n == 0) {
        value = meta_level(meta, nmeta);
    }
    if (value.n > 0) {
        return normal(value);
    }
    value = meta_value(meta, nmeta, LP_STR("severity_number"));
    return value.n > 0 ? severity_level(value) : line_level(line);
}
