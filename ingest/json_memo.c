/*
 * json_memo.c - see json_memo.h. A set-associative cache by the object's first bytes, which name the pod in
 * all agents' order of members; the whole text is compared before it counts. The text of one whole object is
 * never the beginning of another's.
 */
#include "ingest/json_memo.h"

#include <string.h>

#include "base/hash.h"

#define SETS 64
#define WAYS 8
#define TEXT_BYTES_MIN 48
#define TEXT_BYTES_MAX 8192
#define HASHED_BYTES 48 /* no more than TEXT_BYTES_MIN */
#define FIELDS_MAX 256

struct lp_json_memo {
    struct lp_memo_entry entries[SETS][WAYS];
    uint8_t oldest[SETS];
};

struct lp_json_memo *
lp_json_memo_new(void)
{
    return lp_calloc(1, sizeof(struct lp_json_memo));
}

void
lp_json_memo_free(struct lp_json_memo *m)
{
    for (size_t i = 0; m != NULL && i < SETS * WAYS; i++) {
        struct lp_memo_entry *e = &m->entries[i / WAYS][i % WAYS];
        if (e->text.n > 0) {
            lp_arena_clear(&e->ar);
        }
    }
    lp_free(m);
}

static size_t
set_of(struct lp_str text)
{
    return lp_xxh64(text.p, HASHED_BYTES) % SETS;
}

const struct lp_memo_entry *
lp_json_memo_find(const struct lp_json_memo *m, struct lp_str text)
{
    if (text.n < TEXT_BYTES_MIN) {
        return NULL;
    }
    const struct lp_memo_entry *e = m->entries[set_of(text)];
    for (size_t i = 0; i < WAYS; i++) {
        if (e[i].text.n > 0 && e[i].text.n <= text.n && memcmp(e[i].text.p, text.p, e[i].text.n) == 0) {
            return &e[i];
        }
    }
    return NULL;
}

static bool
copy_field(struct lp_arena *ar, const struct lp_memo_field *from, struct lp_memo_field *to)
{
    *to = *from;
    return lp_arena_str(ar, from->path, &to->path) && lp_arena_str(ar, from->value.text, &to->value.text);
}

void
lp_json_memo_keep(struct lp_json_memo *m, struct lp_str text, const struct lp_memo_field *fields, size_t n)
{
    if (text.n < TEXT_BYTES_MIN || text.n > TEXT_BYTES_MAX || n > FIELDS_MAX) {
        return;
    }
    size_t set = set_of(text);
    struct lp_memo_entry *e = &m->entries[set][m->oldest[set]++ % WAYS];
    if (e->text.n > 0) {
        lp_arena_clear(&e->ar);
    }
    *e = (struct lp_memo_entry){.nfields = n};
    lp_arena_init(&e->ar, 8 * TEXT_BYTES_MAX + FIELDS_MAX * sizeof(*fields), 1024);
    e->fields = lp_arena_array(&e->ar, n, sizeof(*fields));
    bool kept = e->fields != NULL;
    for (size_t i = 0; i < n && kept; i++) {
        kept = copy_field(&e->ar, &fields[i], &e->fields[i]);
    }
    if (!kept || !lp_arena_str(&e->ar, text, &e->text)) {
        lp_arena_clear(&e->ar);
        *e = (struct lp_memo_entry){.nfields = 0};
    }
}
