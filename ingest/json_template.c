/*
 * json_template.c - see json_template.h. Shapes are tried one after the other, the last one met first;
 * endings stand in a set-associative cache by their hash. The whole text is compared before anything counts.
 */
#include "ingest/json_template.h"

#include <string.h>

#include "base/hash.h"

#define SHAPES 4
#define SLOTS_MAX 2
#define WAYS 8
#define SETS (LP_TEMPLATE_ENDINGS / WAYS)
#define LEARNED_TEXT_BYTES_MAX (64u << 10) /* of a whole record: the line counts too */
#define NUMBER_BYTES_MAX 64
#define MISSES_MAX 512 /* learned and not met again, before learning rests */
#define REST_RECORDS 8192

struct slot {
    struct lp_str before; /* the text up to the value; a string's opening quote included */
    bool is_line, is_string;
};

struct shape {
    uint32_t id; /* 0: free */
    struct slot slots[SLOTS_MAX];
    size_t nslots;
    bool cut_newline; /* the newline at the line's end is the runtime's */
    struct lp_arena ar;
};

struct ending {
    uint32_t shape; /* 0: free */
    struct lp_str text;
    struct lp_pair *labels, *meta;
    size_t nlabels, nmeta;
    struct lp_instance inst;
    struct lp_arena ar; /* of all the above */
    /* in the batch of this serial */
    uint64_t serial;
    uint32_t stream;
    const uint8_t *blob;
};

struct lp_json_templates {
    struct shape shapes[SHAPES];
    unsigned last, oldest; /* shapes: met last, to be replaced next */
    uint32_t next_id;
    uint64_t hashes[SETS][WAYS]; /* of the endings' texts: a set's stand in one line of the cache */
    struct ending endings[SETS][WAYS];
    uint8_t oldest_way[SETS];
    unsigned misses, rest;
    char *scratch; /* of learning */
};

/* The values of a record's slots. The line is unescaped where the caller said. */
struct values {
    int64_t time_ns;
    struct lp_str line;
    struct lp_str ending;
};

struct lp_json_templates *
lp_json_templates_new(void)
{
    struct lp_json_templates *t = lp_calloc(1, sizeof(*t));
    t->scratch = lp_malloc(LEARNED_TEXT_BYTES_MAX + LP_JSON_PAD);
    return t;
}

void
lp_json_templates_clear(struct lp_json_templates *t)
{
    char *scratch = t->scratch;
    for (size_t i = 0; i < SHAPES; i++) {
        if (t->shapes[i].id != 0) {
            lp_arena_clear(&t->shapes[i].ar);
        }
    }
    for (size_t i = 0; i < LP_TEMPLATE_ENDINGS; i++) {
        if (t->endings[i / WAYS][i % WAYS].shape != 0) {
            lp_arena_clear(&t->endings[i / WAYS][i % WAYS].ar);
        }
    }
    *t = (struct lp_json_templates){.scratch = scratch};
}

void
lp_json_templates_free(struct lp_json_templates *t)
{
    if (t != NULL) {
        lp_json_templates_clear(t);
        lp_free(t->scratch);
        lp_free(t);
    }
}

/* --- reading --- */

/* A time's text: digits and what stands between them, so a string that holds an escape is none. */
static const char *
read_time(const struct slot *s, const char *p, const char *end, int64_t *ret)
{
    const char *last = p + LP_MIN((size_t)(end - p), (size_t)NUMBER_BYTES_MAX), *to = p;
    while (to < last && (s->is_string ? *to != '"' : *to != ',' && *to != '}')) {
        to++;
    }
    struct lp_str text = lp_str_of(p, (size_t)(to - p));
    if (to == last || (!s->is_string && !lp_json_is_number(text)) || !lp_time_any(text, ret)) {
        return NULL;
    }
    return to;
}

/* Reads a record by a shape; the line goes to line_out, which has text.n + LP_JSON_PAD bytes. False: it has
 * another shape. */
static bool
read_slots(const struct shape *shape, struct lp_str text, char *line_out, struct values *ret)
{
    const char *p = text.p, *end = text.p + text.n;
    ret->time_ns = LP_TIME_NONE;
    for (size_t i = 0; i < shape->nslots && p != NULL; i++) {
        const struct slot *s = &shape->slots[i];
        if ((size_t)(end - p) <= s->before.n || memcmp(p, s->before.p, s->before.n) != 0) {
            return false;
        }
        p += s->before.n;
        if (s->is_line) {
            ret->line.p = line_out;
            p = lp_json_string(p, end, line_out, &ret->line.n);
        } else {
            p = read_time(s, p, end, &ret->time_ns);
        }
    }
    if (p == NULL) {
        return false;
    }
    ret->ending = lp_str_of(p, (size_t)(end - p));
    ret->line.n -= shape->cut_newline && ret->line.n > 0 && line_out[ret->line.n - 1] == '\n';
    return true;
}

static struct ending *
find_ending(struct lp_json_templates *t, uint32_t shape, struct lp_str text)
{
    if (text.n > LP_TEMPLATE_BYTES_MAX) {
        return NULL;
    }
    uint64_t hash = lp_xxh64(text.p, text.n);
    size_t set = hash % SETS;
    for (size_t i = 0; i < WAYS; i++) {
        struct ending *e = &t->endings[set][i];
        if (t->hashes[set][i] == hash && e->shape == shape && lp_str_eq(e->text, text)) {
            return e;
        }
    }
    return NULL;
}

/* The ending's stream and metadata in this batch. False when its memory is spent. */
static bool
bind(struct ending *e, struct lp_batch *b)
{
    if (e->serial == b->serial) {
        return true;
    }
    if (lp_batch_stream(b, e->labels, e->nlabels, &e->inst, &e->stream, NULL) != LP_OK ||
        lp_batch_meta(b, e->stream, e->meta, e->nmeta, &e->blob, NULL) != LP_OK) {
        return false;
    }
    e->serial = b->serial;
    return true;
}

static bool
row_of_shape(struct lp_json_templates *t, const struct shape *shape, struct lp_str text, int64_t default_ns,
             struct lp_batch *b)
{
    struct values v;
    size_t most = text.n + LP_JSON_PAD;
    bool in_place = lp_arena_left(&b->ar) >= most; /* what is not used of it goes back */
    char *line = in_place ? lp_arena_bytes(&b->ar, most) : t->scratch;
    bool read = read_slots(shape, text, line, &v);
    struct ending *e = read ? find_ending(t, shape->id, v.ending) : NULL;
    if (in_place) {
        lp_arena_trim(&b->ar, line, most, e != NULL ? v.line.n : 0);
    }
    if (e == NULL || !bind(e, b) || (!in_place && !lp_arena_str(&b->ar, v.line, &v.line))) {
        return false;
    }
    int64_t time_ns = v.time_ns != LP_TIME_NONE ? v.time_ns : default_ns;
    return lp_batch_add_row(b, e->stream, time_ns, v.line, e->blob, NULL) == LP_OK;
}

bool
lp_json_templates_row(struct lp_json_templates *t, struct lp_str text, int64_t default_ns, struct lp_batch *b)
{
    t->rest -= t->rest > 0;
    for (unsigned i = 0; i < SHAPES; i++) {
        unsigned k = (t->last + i) % SHAPES;
        if (t->shapes[k].id != 0 && t->rest == 0 && text.n <= LEARNED_TEXT_BYTES_MAX &&
            row_of_shape(t, &t->shapes[k], text, default_ns, b)) {
            t->last = k;
            t->misses -= t->misses > 0;
            return true;
        }
    }
    return false;
}

/* --- learning --- */

bool
lp_json_templates_wanted(const struct lp_json_templates *t)
{
    return t->rest == 0;
}

/* Where the value of a member begins in the text, as agents write it: without blanks, the key without
 * escapes. NULL otherwise. */
static const char *
value_place(const struct lp_json *v, struct lp_str text)
{
    const char *behind = v->key.p + v->key.n; /* its closing quote */
    uintptr_t at = (uintptr_t)v->key.p - (uintptr_t)text.p;
    bool is_string = v->type == LP_JSON_STRING;
    if (at >= text.n || text.n - at < v->key.n + 4 ||
        memcmp(behind, is_string ? "\":\"" : "\":", is_string ? 3 : 2) != 0) {
        return NULL;
    }
    return behind + (is_string ? 3 : 2);
}

/* The slots of a record, as slices of text. False: it has none that can be told from the rest. */
static bool
find_slots(const struct lp_json_map *m, const struct lp_json_doc *doc, struct lp_str text, char *scratch,
           struct shape *ret)
{
    const char *from = text.p, *end = text.p + text.n;
    size_t n;
    for (uint32_t i = 1; i < doc->nodes[0].next; i = doc->nodes[i].next) {
        const struct lp_json *v = &doc->nodes[i];
        const struct lp_field_rule *r = lp_json_map_rule(m, v->key);
        bool is_line = r != NULL && r->kind == LP_FIELD_LINE, is_time = r != NULL && r->kind == LP_FIELD_TIME;
        if (!is_line && !is_time) {
            continue;
        }
        const char *at = value_place(v, text);
        bool is_string = v->type == LP_JSON_STRING;
        if (at == NULL || ret->nslots == SLOTS_MAX ||
            (!is_string && (is_line || v->type != LP_JSON_NUMBER))) {
            return false;
        }
        ret->slots[ret->nslots++] = (struct slot){lp_str_of(from, (size_t)(at - from)), is_line, is_string};
        from = is_string ? lp_json_string(at, end, scratch, &n) : at + v->text.n;
        if (from == NULL) {
            return false;
        }
    }
    return true;
}

/* The shape among those that are known, or kept in the place of the oldest; NULL when it is too large. */
static const struct shape *
keep_shape(struct lp_json_templates *t, const struct shape *found)
{
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &t->shapes[i];
        bool same = s->id != 0 && s->nslots == found->nslots && s->cut_newline == found->cut_newline;
        for (size_t k = 0; k < found->nslots && same; k++) {
            const struct slot *a = &s->slots[k], *b = &found->slots[k];
            same =
                a->is_line == b->is_line && a->is_string == b->is_string && lp_str_eq(a->before, b->before);
        }
        if (same) {
            return s;
        }
    }
    struct shape *s = &t->shapes[t->oldest++ % SHAPES];
    if (s->id != 0) {
        lp_arena_clear(&s->ar);
    }
    *s = *found;
    lp_arena_init(&s->ar, SLOTS_MAX * (LP_TEMPLATE_BYTES_MAX + 64), 0);
    bool kept = true;
    for (size_t k = 0; k < s->nslots; k++) {
        kept = kept && s->slots[k].before.n <= LP_TEMPLATE_BYTES_MAX &&
               lp_arena_str(&s->ar, found->slots[k].before, &s->slots[k].before);
    }
    if (!kept) {
        lp_arena_clear(&s->ar);
        *s = (struct shape){.id = 0};
        return NULL;
    }
    s->id = ++t->next_id;
    return s;
}

static bool
copy_pairs(struct lp_arena *ar, const struct lp_pair *from, size_t n, struct lp_pair **ret)
{
    struct lp_pair *to = *ret = lp_arena_array(ar, n, sizeof(*to));
    bool ok = to != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        ok = lp_arena_str(ar, from[i].name, &to[i].name) && lp_arena_str(ar, from[i].value, &to[i].value);
    }
    return ok;
}

static void
keep_ending(struct lp_json_templates *t, uint32_t shape, struct lp_str text,
            const struct lp_json_parts *parts)
{
    uint64_t hash = lp_xxh64(text.p, text.n);
    size_t set = hash % SETS;
    size_t way = t->oldest_way[set]++ % WAYS;
    struct ending *e = &t->endings[set][way];
    if (e->shape != 0) {
        lp_arena_clear(&e->ar);
    }
    t->hashes[set][way] = hash;
    *e = (struct ending){.shape = shape, .nlabels = parts->nlabels, .nmeta = parts->nmeta};
    /* what it copies stands in the record, unescaped, but for names and paths of nested members */
    lp_arena_init(&e->ar,
                  8 * LP_TEMPLATE_BYTES_MAX + (parts->nlabels + parts->nmeta) * sizeof(struct lp_pair), 1024);
    if (!lp_arena_str(&e->ar, text, &e->text) ||
        !copy_pairs(&e->ar, parts->labels, parts->nlabels, &e->labels) ||
        !copy_pairs(&e->ar, parts->meta, parts->nmeta, &e->meta) ||
        !lp_arena_str(&e->ar, parts->inst.uid, &e->inst.uid) ||
        !lp_arena_str(&e->ar, parts->inst.incarnation, &e->inst.incarnation)) {
        lp_arena_clear(&e->ar);
        *e = (struct ending){.shape = 0};
    }
}

/* Whether nothing but the slots' values may differ from record to record, and they decide nothing but time
 * and line. */
static bool
can_be_learned(const struct lp_json_parts *parts, struct lp_str text, const struct lp_batch *b)
{
    const struct lp_row *row = &b->rows[b->nrows - 1];
    return text.n <= LEARNED_TEXT_BYTES_MAX && parts->nlines == 1 && parts->ntimes <= 1 && parts->chosen &&
           parts->demoted == 0 && b->streams[row->stream].nextra == 0;
}

void
lp_json_templates_learn(struct lp_json_templates *t, const struct lp_json_mapper *x,
                        const struct lp_json_map *m, const struct lp_json_doc *doc, struct lp_str text,
                        const struct lp_batch *b)
{
    struct lp_json_parts parts;
    const struct lp_row *row = &b->rows[b->nrows - 1];
    lp_json_parts(x, &parts);
    if (t->rest == 0 && ++t->misses >= MISSES_MAX) {
        t->misses = 0;
        t->rest = REST_RECORDS;
    }
    if (t->rest > 0 || !can_be_learned(&parts, text, b)) {
        return;
    }
    struct shape found = {.cut_newline = parts.line_is_log};
    struct values v = {.line = LP_STR_NULL};
    /* a nested line or time makes fewer slots here than were counted */
    if (!find_slots(m, doc, text, t->scratch, &found) || found.nslots != parts.nlines + parts.ntimes ||
        !read_slots(&found, text, t->scratch, &v) || v.ending.n > LP_TEMPLATE_BYTES_MAX) {
        return;
    }
    if ((parts.ntimes == 1 && v.time_ns != row->time_ns) ||
        !lp_str_eq(v.line, lp_str_of(row->line, row->line_bytes))) {
        return;
    }
    const struct shape *shape = keep_shape(t, &found);
    if (shape != NULL) {
        keep_ending(t, shape->id, v.ending, &parts);
    }
}
