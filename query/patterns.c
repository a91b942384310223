/*
 * patterns.c - see patterns.h.
 *
 * Groups are found by a hash over level and separators; among those with the same the one with the largest
 * share of equal words takes the line. The more groups one form has, the smaller the share that is asked for,
 * so that texts full of names do not make a group each. Words with digits, and those that look like paths or
 * addresses, are no reason to tell lines apart.
 */
#include "query/patterns.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"

#define WORDS_MAX 96u       /* what follows is one word, and varies */
#define LINE_BYTES_MAX 4096 /* likewise */
#define GROUPS_MAX 2000u
#define FORM_GROUPS_MAX 64u /* of one form: then every line of it goes to the most similar one */
#define HOLE "<_>"

/* A line, cut: before each word the separators, and those behind the last. */
struct cut {
    size_t n;
    bool tail; /* the last word is the rest of a line that is too long to be cut */
    struct lp_str words[WORDS_MAX], seps[WORDS_MAX + 1];
};

struct word {
    struct lp_str text; /* p NULL: it varies */
    bool loose;         /* it is no reason to tell lines apart */
};

struct group {
    struct group *next; /* of the same bucket */
    uint64_t form;      /* hash of level and separators */
    struct lp_str level;
    size_t nwords;
    struct word *words;
    struct lp_str *seps;
    size_t seen; /* lines looked at */
    struct lp_pattern_sample *samples;
    size_t nsamples, cap;
    double lines;
};

struct lp_patterns {
    struct lp_arena ar;
    struct group *buckets[1024];
    struct group **groups;
    size_t n, cap;
    struct cut cut; /* of the line at hand */
};

/* ------------------------------------------------------------------ cutting */

static bool
is_separator(char c)
{
    return (unsigned char)c <= ' ' || strchr("=,;()[]{}<>\"'`|!?", c) != NULL;
}

static void
add_word(struct cut *c, struct lp_str word)
{
    c->words[c->n++] = word;
    c->seps[c->n] = LP_STR_NULL;
}

static void
cut_line(struct lp_str line, struct cut *c)
{
    size_t at = 0, end = LP_MIN(line.n, (size_t)LINE_BYTES_MAX);
    c->n = 0;
    for (;;) {
        size_t from = at;
        while (at < end && is_separator(line.p[at])) {
            at++;
        }
        c->seps[c->n] = lp_str_sub(line, from, at);
        from = at;
        while (at < end && !is_separator(line.p[at])) {
            at++;
        }
        c->tail = line.n > from && (c->n + 1 == WORDS_MAX || (at == end && end < line.n));
        if (c->tail) {
            add_word(c, lp_str_sub(line, from, line.n));
            return;
        }
        if (at == from) {
            return;
        }
        add_word(c, lp_str_sub(line, from, at));
    }
}

/* Numbers, ids, paths, addresses. */
static bool
is_loose(struct lp_str word)
{
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        if ((c >= '0' && c <= '9') || c == '/' || c == '@') {
            return true;
        }
    }
    return word.n > 64;
}

static uint64_t
form_of(const struct cut *c, struct lp_str level)
{
    uint64_t form = lp_xxh64_seed(level.p, level.n, c->n * 2 + c->tail);
    for (size_t i = 0; i <= c->n; i++) {
        form = lp_xxh64_seed(c->seps[i].p, c->seps[i].n, form);
    }
    return form;
}

/* ------------------------------------------------------------------ groups */

static bool
same_form(const struct group *g, uint64_t form, struct lp_str level, const struct cut *c)
{
    bool same = g->form == form && g->nwords == c->n && lp_str_eq(g->level, level);
    for (size_t i = 0; i <= c->n && same; i++) {
        same = lp_str_eq(g->seps[i], c->seps[i]);
    }
    return same;
}

/* The share of the group's words that the line has, in thousandths, of those that tell lines apart. */
static unsigned
likeness(const struct group *g, const struct cut *c)
{
    size_t equal = 0, all = 0;
    for (size_t i = 0; i < g->nwords; i++) {
        const struct word *w = &g->words[i];
        if (w->text.p == NULL || w->loose) {
            continue;
        }
        all++;
        equal += lp_str_eq(w->text, c->words[i]);
    }
    return all > 0 ? (unsigned)(equal * 1000 / all) : 1000;
}

/* The likeness that is asked for, where a form has so many groups already. */
static unsigned
needed(size_t groups)
{
    return groups < 16 ? 700 : groups < FORM_GROUPS_MAX ? 400 : 0;
}

/* The group that takes the line; NULL: a new one is to be made. */
static struct group *
find_group(struct lp_patterns *p, uint64_t form, struct lp_str level)
{
    struct group *best = NULL;
    unsigned most = 0;
    size_t groups = 0;
    for (struct group *g = p->buckets[form % LP_ARRAY_LEN(p->buckets)]; g != NULL; g = g->next) {
        if (!same_form(g, form, level, &p->cut)) {
            continue;
        }
        groups++;
        unsigned like = likeness(g, &p->cut);
        if (best == NULL || like > most) {
            best = g;
            most = like;
        }
    }
    return best != NULL && (most >= needed(groups) || p->n >= GROUPS_MAX) ? best : NULL;
}

static struct group *
new_group(struct lp_patterns *p, uint64_t form, struct lp_str level)
{
    const struct cut *c = &p->cut;
    struct group **grown = lp_arena_grow(&p->ar, p->groups, &p->cap, p->n + 1, sizeof(struct group *));
    struct group *g = lp_arena_zalloc(&p->ar, sizeof(*g));
    if (p->n >= GROUPS_MAX || grown == NULL || g == NULL) {
        return NULL;
    }
    g->words = lp_arena_array(&p->ar, c->n, sizeof(*g->words));
    g->seps = lp_arena_array(&p->ar, c->n + 1, sizeof(*g->seps));
    bool ok = g->words != NULL && g->seps != NULL;
    for (size_t i = 0; i <= c->n && ok; i++) {
        ok = lp_arena_str(&p->ar, c->seps[i], &g->seps[i]);
    }
    for (size_t i = 0; i < c->n && ok; i++) {
        bool varies = c->tail && i + 1 == c->n;
        g->words[i] = (struct word){.loose = varies || is_loose(c->words[i])};
        ok = varies || lp_arena_str(&p->ar, c->words[i], &g->words[i].text);
    }
    if (!ok) {
        return NULL;
    }
    g->form = form;
    g->level = level;
    g->nwords = c->n;
    g->next = p->buckets[form % LP_ARRAY_LEN(p->buckets)];
    p->buckets[form % LP_ARRAY_LEN(p->buckets)] = g;
    p->groups = grown;
    p->groups[p->n++] = g;
    return g;
}

static void
count_line(struct lp_patterns *p, struct group *g, uint32_t step, double lines)
{
    if (g->nsamples == 0 || g->samples[g->nsamples - 1].step != step) {
        struct lp_pattern_sample *grown =
            lp_arena_grow(&p->ar, g->samples, &g->cap, g->nsamples + 1, sizeof(*grown));
        if (grown == NULL) {
            return;
        }
        g->samples = grown;
        g->samples[g->nsamples++] = (struct lp_pattern_sample){step, 0};
    }
    g->samples[g->nsamples - 1].lines += lines;
    g->lines += lines;
}

struct lp_patterns *
lp_patterns_new(size_t budget_bytes, struct lp_arena_share *share)
{
    struct lp_patterns *p = lp_calloc(1, sizeof(*p));
    lp_arena_init(&p->ar, budget_bytes, 1 << 16);
    lp_arena_join(&p->ar, share);
    return p;
}

void
lp_patterns_free(struct lp_patterns *p)
{
    if (p != NULL) {
        lp_arena_clear(&p->ar);
        lp_free(p);
    }
}

void
lp_patterns_add(struct lp_patterns *p, struct lp_str level, struct lp_str line, uint32_t step, double lines)
{
    cut_line(line, &p->cut);
    if (p->cut.n == 0) {
        return; /* nothing but blanks and signs */
    }
    uint64_t form = form_of(&p->cut, level);
    struct group *g = find_group(p, form, level);
    g = g != NULL ? g : new_group(p, form, level);
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < g->nwords; i++) {
        if (!lp_str_eq(g->words[i].text, p->cut.words[i])) {
            g->words[i].text = LP_STR_NULL;
        }
    }
    g->seen++;
    count_line(p, g, step, lines);
}

/* ------------------------------------------------------------------ patterns */

/* Does the word vary, as far as is known? Of one line alone what looks like a number or an id does. */
static bool
is_hole(const struct group *g, const struct word *w)
{
    return w->text.p == NULL || (g->seen == 1 && w->loose);
}

/* Writes the pattern; false where it says nothing, or there is no room. */
static bool
write_text(struct lp_patterns *p, const struct group *g, struct lp_buf *room, struct lp_str *ret)
{
    bool says = false;
    lp_buf_reset(room);
    for (size_t i = 0; i < g->nwords; i++) {
        bool hole = is_hole(g, &g->words[i]);
        lp_buf_str(room, g->seps[i]);
        lp_buf_str(room, hole ? LP_STR(HOLE) : g->words[i].text);
        says = says || !hole;
    }
    lp_buf_str(room, g->seps[g->nwords]);
    return says && !room->failed && lp_arena_str(&p->ar, lp_buf_view(room), ret);
}

static int
by_text(const void *a, const void *b)
{
    const struct lp_pattern *x = a, *y = b;
    int order = lp_str_cmp(x->text, y->text);
    return order != 0 ? order : lp_str_cmp(x->level, y->level);
}

static int
by_lines(const void *a, const void *b)
{
    const struct lp_pattern *x = a, *y = b;
    return x->lines != y->lines ? (x->lines < y->lines) - (x->lines > y->lines) : by_text(a, b);
}

/* Both samples as one list, by step. */
static bool
merge_samples(struct lp_patterns *p, struct lp_pattern *to, const struct lp_pattern *from)
{
    struct lp_pattern_sample *v = lp_arena_array(&p->ar, to->nsamples + from->nsamples, sizeof(*v));
    size_t n = 0, i = 0, k = 0;
    while (v != NULL && (i < to->nsamples || k < from->nsamples)) {
        bool left = i < to->nsamples && (k == from->nsamples || to->samples[i].step <= from->samples[k].step);
        bool right =
            k < from->nsamples && (i == to->nsamples || from->samples[k].step <= to->samples[i].step);
        v[n].step = left ? to->samples[i].step : from->samples[k].step;
        v[n].lines = (left ? to->samples[i].lines : 0) + (right ? from->samples[k].lines : 0);
        i += left;
        k += right;
        n++;
    }
    to->samples = v;
    to->nsamples = n;
    to->lines += from->lines;
    return v != NULL;
}

/* Groups that came to the same pattern are one. */
static bool
merge_equal(struct lp_patterns *p, struct lp_pattern *v, size_t n, size_t *ret_n)
{
    size_t kept = 0;
    bool ok = true;
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_text);
    }
    for (size_t i = 0; i < n && ok; i++) {
        if (kept > 0 && by_text(&v[kept - 1], &v[i]) == 0) {
            ok = merge_samples(p, &v[kept - 1], &v[i]);
        } else {
            v[kept++] = v[i];
        }
    }
    *ret_n = kept;
    return ok;
}

bool
lp_patterns_finish(struct lp_patterns *p, size_t limit, const struct lp_pattern **ret, size_t *ret_n)
{
    struct lp_pattern *v = lp_arena_array(&p->ar, p->n, sizeof(*v));
    struct lp_buf room;
    size_t n = 0;
    lp_buf_init(&room, 2 * LINE_BYTES_MAX);
    for (size_t i = 0; i < p->n && v != NULL; i++) {
        const struct group *g = p->groups[i];
        v[n] = (struct lp_pattern){LP_STR_NULL, g->level, g->samples, g->nsamples, g->lines};
        n += write_text(p, g, &room, &v[n].text);
    }
    lp_buf_clear(&room);
    if (v == NULL || !merge_equal(p, v, n, &n)) {
        return false;
    }
    if (n > 1) {
        qsort(v, n, sizeof(*v), by_lines);
    }
    *ret = v;
    *ret_n = LP_MIN(n, limit);
    return true;
}
