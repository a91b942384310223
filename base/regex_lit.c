/*
 * regex_lit.c - which bytes must a match contain?
 *
 * Reads a pattern that RE2 has accepted and keeps, for each part of it, either the few words that it exactly
 * matches, or clauses: sets of words of which every match contains one. A sequence multiplies the words of
 * its parts for as long as there are few of them; what breaks off (a class, a repetition) closes the set,
 * which becomes a clause. Missing a clause costs speed only; a wrong one would lose lines, so whatever is not
 * certainly understood ends a word, and a pattern with a piece that regex_tok.c does not understand has no
 * clauses at all.
 *
 * A word may stand for both cases of its letters; words of both sorts are not joined. Characters beyond ASCII
 * under (?i) end a word. So does U+FFFD, because it also matches a bad byte.
 */
#include "base/regex_int.h"

#include <stdlib.h>

#include "base/find.h"
#include "base/regex_tok.h"

#define WORD_BYTES LP_REGEX_LITERAL_MAX
#define SET_WORDS LP_REGEX_CLAUSE_MAX
#define PRODUCT_WORDS 8u /* a sequence makes no more of its parts' */
#define MEMBERS_MAX 2u   /* of a class that counts as a choice of characters */
#define CLAUSES_MAX LP_REGEX_CLAUSES_MAX
#define SEARCHED_MAX 4u        /* a regex engine is faster than looking for more */
#define ARENA_BYTES (4u << 20) /* a set for each group and clause of the longest pattern fits in */

enum word_kind {
    WORD_CASELESS,
    WORD_EXACT,
    WORD_ICASE
}; /* caseless: holds no letters, so goes with both others */

struct word {
    enum word_kind kind;
    size_t n;
    char text[WORD_BYTES];
};

struct set {
    struct set *next; /* of the free ones */
    size_t n;
    struct word words[SET_WORDS];
};

/* What is known of a part of the pattern. Sets are owned. */
struct info {
    struct set *exact; /* it matches just these; NULL: no such set is known, and there are clauses */
    size_t nclauses;
    struct set *clauses[CLAUSES_MAX];
    struct word prefix; /* what a match begins with */
};

struct build {
    struct lp_rx rx;
    struct lp_rx_tok tok; /* the one to look at */
    struct lp_arena ar;
    struct set *unused;
    bool failed;   /* nothing may be concluded */
    bool asserted; /* places of empty text matter: no literal is the whole question */
};

/* ------------------------------------------------------------- words, sets */

static struct set *
set_new(struct build *b)
{
    struct set *s = b->unused;
    if (s != NULL) {
        b->unused = s->next;
    } else {
        s = lp_arena_alloc(&b->ar, sizeof(*s));
        LP_ASSERT(s != NULL); /* see ARENA_BYTES */
    }
    s->n = 0;
    return s;
}

static void
set_drop(struct build *b, struct set *s)
{
    if (s != NULL) {
        s->next = b->unused;
        b->unused = s;
    }
}

static struct lp_str
word_str(const struct word *w)
{
    return lp_str_of(w->text, w->n);
}

static bool
words_equal(const struct word *a, const struct word *b)
{
    return a->kind == b->kind && lp_str_eq(word_str(a), word_str(b));
}

static void
set_add(struct set *s, const struct word *w)
{
    for (size_t i = 0; i < s->n; i++) {
        if (words_equal(&s->words[i], w)) {
            return;
        }
    }
    LP_ASSERT(s->n < SET_WORDS);
    s->words[s->n++] = *w;
}

static struct set *
set_empty_word(struct build *b)
{
    static const struct word empty = {.kind = WORD_CASELESS};
    struct set *s = set_new(b);
    set_add(s, &empty);
    return s;
}

static struct set *
set_copy(struct build *b, const struct set *from)
{
    struct set *s = set_new(b);
    s->n = from->n;
    memcpy(s->words, from->words, from->n * sizeof(from->words[0]));
    return s;
}

static size_t
shortest(const struct set *s)
{
    size_t n = WORD_BYTES;
    for (size_t i = 0; i < s->n; i++) {
        n = LP_MIN(n, s->words[i].n);
    }
    return s->n > 0 ? n : 0;
}

/* The higher the rarer, and the cheaper to look for; 0 for a clause that says nothing. */
static size_t
worth(const struct set *s)
{
    size_t n = shortest(s);
    return n > 0 ? n * SET_WORDS + SET_WORDS - s->n : 0;
}

static bool
join_words(const struct word *a, const struct word *b, struct word *ret)
{
    bool mixed = a->kind != b->kind && a->kind != WORD_CASELESS && b->kind != WORD_CASELESS;
    if (mixed || a->n + b->n > WORD_BYTES) {
        return false;
    }
    *ret = *a;
    memcpy(ret->text + a->n, b->text, b->n);
    ret->n = a->n + b->n;
    ret->kind = LP_MAX(a->kind, b->kind);
    return true;
}

/* Every word of a followed by every one of b; NULL when these are too many, too long, or of both sorts. */
static struct set *
set_product(struct build *b, const struct set *x, const struct set *y)
{
    struct word w;
    if (x->n * y->n > PRODUCT_WORDS && x->n > 1 && y->n > 1) {
        return NULL;
    }
    struct set *s = set_new(b);
    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < y->n; k++) {
            if (!join_words(&x->words[i], &y->words[k], &w)) {
                set_drop(b, s);
                return NULL;
            }
            set_add(s, &w);
        }
    }
    return s;
}

/* What all words begin with, or end with; empty where a word is of either case. */
static struct lp_str
common_end(const struct set *s, bool at_front)
{
    struct lp_str common = word_str(&s->words[0]);
    for (size_t i = 0; i < s->n; i++) {
        struct lp_str w = word_str(&s->words[i]);
        size_t n = 0, most = LP_MIN(w.n, common.n);
        while (n < most &&
               (at_front ? w.p[n] == common.p[n] : w.p[w.n - 1 - n] == common.p[common.n - 1 - n])) {
            n++;
        }
        if (s->words[i].kind == WORD_ICASE) {
            n = 0;
        }
        common = at_front ? lp_str_sub(common, 0, n) : lp_str_sub(common, common.n - n, common.n);
    }
    return common;
}

static void
word_set(struct word *w, struct lp_str text)
{
    w->kind = WORD_EXACT;
    w->n = text.n;
    memcpy(w->text, text.n > 0 ? text.p : "", text.n);
}

/* ------------------------------------------------------------------ clauses */

/* Takes over the set; of too many clauses the least worth is dropped. */
static void
add_clause(struct build *b, struct info *to, struct set *clause)
{
    if (worth(clause) == 0) {
        set_drop(b, clause);
        return;
    }
    if (to->nclauses < CLAUSES_MAX) {
        to->clauses[to->nclauses++] = clause;
        return;
    }
    struct set **least = &to->clauses[0];
    for (size_t i = 1; i < CLAUSES_MAX; i++) {
        least = worth(to->clauses[i]) < worth(*least) ? &to->clauses[i] : least;
    }
    if (worth(*least) < worth(clause)) {
        struct set *out = *least;
        *least = clause;
        clause = out;
    }
    set_drop(b, clause);
}

static void
info_clear(struct build *b, struct info *x)
{
    set_drop(b, x->exact);
    for (size_t i = 0; i < x->nclauses; i++) {
        set_drop(b, x->clauses[i]);
    }
    *x = (struct info){.exact = NULL};
}

/* The one set that says most of a part, taken out of it; NULL when nothing is known. */
static struct set *
take_best(struct build *b, struct info *x)
{
    struct set **best = x->exact != NULL ? &x->exact : x->nclauses > 0 ? &x->clauses[0] : NULL;
    struct set *taken = NULL;
    for (size_t i = 1; x->exact == NULL && i < x->nclauses; i++) {
        best = worth(x->clauses[i]) > worth(*best) ? &x->clauses[i] : best;
    }
    if (best != NULL && worth(*best) > 0) {
        taken = set_copy(b, *best);
    }
    return taken;
}

/* x becomes "x or y"; y is spent. */
static void
unite(struct build *b, struct info *x, struct info *y)
{
    bool exact = x->exact != NULL && y->exact != NULL && x->exact->n + y->exact->n <= SET_WORDS;
    struct set *a = exact ? x->exact : take_best(b, x), *c = exact ? y->exact : take_best(b, y);
    if (exact) {
        x->exact = y->exact = NULL;
    }
    info_clear(b, x);
    if (a != NULL && c != NULL && a->n + c->n <= SET_WORDS) {
        for (size_t i = 0; i < c->n; i++) {
            set_add(a, &c->words[i]);
        }
        if (exact) {
            x->exact = a;
        } else {
            add_clause(b, x, a);
        }
        a = NULL;
    }
    set_drop(b, a);
    set_drop(b, c);
    info_clear(b, y);
}

/* ---------------------------------------------------------------- sequences */

/* A sequence so far: `run` are the words that end where it ends. */
struct sequence {
    struct info info; /* its clauses */
    struct set *run;
    bool broken; /* something stands before the run */
};

/* Closes the run: what follows does not touch it. The run is then the set given. */
static void
break_run(struct build *b, struct sequence *seq, struct set *run)
{
    if (!seq->broken) {
        word_set(&seq->info.prefix, common_end(seq->run, true));
        seq->broken = true;
    }
    add_clause(b, &seq->info, seq->run);
    seq->run = run;
}

static void
append(struct build *b, struct sequence *seq, const struct set *words)
{
    struct set *product = set_product(b, seq->run, words);
    if (product != NULL) {
        set_drop(b, seq->run);
        seq->run = product;
    } else {
        break_run(b, seq, set_copy(b, words));
    }
}

/* Appends words that are repeated. */
static void
append_repeated(struct build *b, struct sequence *seq, struct set *words, uint32_t min, uint32_t max)
{
    static const struct word empty = {.kind = WORD_CASELESS};
    if (min == 0 && max == 1 && words->n < SET_WORDS) {
        set_add(words, &empty);
        append(b, seq, words);
        return;
    }
    /* beyond this many nothing is learned: the run was broken in between */
    for (uint32_t i = 0; i < LP_MIN(min, 2 * WORD_BYTES); i++) {
        append(b, seq, words);
    }
    if (min > 2 * WORD_BYTES || max != min) {
        break_run(b, seq, min > 0 ? set_copy(b, words) : set_empty_word(b)); /* the last one */
    }
}

/* Appends what matched `atom`, min to max times; the atom is spent. */
static void
append_atom(struct build *b, struct sequence *seq, struct info *atom, uint32_t min, uint32_t max)
{
    if (atom->exact != NULL) {
        append_repeated(b, seq, atom->exact, min, max);
    } else {
        break_run(b, seq, set_empty_word(b));
        for (size_t i = 0; min > 0 && i < atom->nclauses; i++) {
            add_clause(b, &seq->info, set_copy(b, atom->clauses[i]));
        }
    }
    info_clear(b, atom);
}

static void
next(struct build *b)
{
    lp_rx_next(&b->rx, &b->tok);
    b->failed = b->failed || b->tok.kind == LP_RX_BAD;
}

static void
char_word(uint32_t cp, bool icase, struct word *ret)
{
    bool upper = cp >= 'A' && cp <= 'Z', letter = upper || (cp >= 'a' && cp <= 'z');
    ret->n = lp_utf8_put(icase && upper ? cp | 0x20 : cp, ret->text);
    ret->kind = cp >= 0x80 || (letter && !icase) ? WORD_EXACT : letter ? WORD_ICASE : WORD_CASELESS;
}

static struct set *
char_set(struct build *b, uint32_t cp, bool icase)
{
    struct word w;
    if (cp == 0xfffd || (cp >= 0xd800 && cp <= 0xdfff) || (cp >= 0x80 && icase)) {
        return NULL;
    }
    struct set *s = set_new(b);
    char_word(cp, icase, &w);
    set_add(s, &w);
    return s;
}

/* The words of a small class of ASCII characters; NULL for another. Both cases of a letter are one word. */
static struct set *
class_set(struct build *b, const struct lp_rx_set *set, bool icase)
{
    struct word w;
    unsigned members = (unsigned)(__builtin_popcountll(set->low[0]) + __builtin_popcountll(set->low[1]));
    if (set->negated || members == 0 || members > 2 * MEMBERS_MAX || (set->nhigh > 0 && !icase)) {
        return NULL; /* under (?i) what is high are other forms of ASCII letters */
    }
    struct set *s = set_new(b);
    for (unsigned c = 0; c < 0x80; c++) {
        bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
        bool both = (upper || lower) && lp_rx_has_low(set, c ^ 0x20);
        if (lp_rx_has_low(set, c) && !(both && upper)) {
            char_word(c, both, &w);
            set_add(s, &w);
        }
    }
    if (s->n > MEMBERS_MAX) {
        set_drop(b, s);
        return NULL;
    }
    return s;
}

static void read_alternatives(struct build *b, struct info *ret);

/* Reads one atom; leaves the token behind it. Groups are at most LP_RX_DEPTH_MAX deep. */
static void
read_atom(struct build *b, struct info *ret)
{
    *ret = (struct info){.exact = NULL};
    switch (b->tok.kind) {
    case LP_RX_CHAR:
        ret->exact = char_set(b, b->tok.cp, b->tok.icase);
        break;
    case LP_RX_SET:
        ret->exact = class_set(b, &b->tok.set, b->tok.icase);
        break;
    case LP_RX_EMPTY:
        ret->exact = set_empty_word(b);
        b->asserted = true;
        break;
    case LP_RX_OPEN:
        next(b);
        read_alternatives(b, ret);
        break;
    case LP_RX_REPEAT:
        b->failed = true; /* of nothing */
        break;
    case LP_RX_ODD:
    case LP_RX_CLOSE:
    case LP_RX_OR:
    case LP_RX_END:
    case LP_RX_BAD:
        break;
    }
    next(b);
}

static bool
ends_sequence(const struct build *b)
{
    enum lp_rx_kind k = b->tok.kind;
    return b->failed || k == LP_RX_END || k == LP_RX_CLOSE || k == LP_RX_OR;
}

static void
read_sequence(struct build *b, struct info *ret)
{
    struct sequence seq = {.run = set_empty_word(b)};
    struct info atom;
    while (!ends_sequence(b)) {
        uint32_t min = 1, max = 1;
        read_atom(b, &atom);
        if (b->tok.kind == LP_RX_REPEAT) {
            min = b->tok.min;
            max = b->tok.max;
            next(b);
        }
        append_atom(b, &seq, &atom, min, max);
    }
    if (seq.broken) {
        add_clause(b, &seq.info, seq.run);
    } else {
        word_set(&seq.info.prefix, common_end(seq.run, true));
        seq.info.exact = seq.run;
    }
    *ret = seq.info;
}

/* To the closing parenthesis or the end, which stays the token. */
static void
read_alternatives(struct build *b, struct info *ret)
{
    struct info other;
    read_sequence(b, ret);
    while (!b->failed && b->tok.kind == LP_RX_OR) {
        next(b);
        read_sequence(b, &other);
        unite(b, ret, &other);
        ret->prefix.n = 0;
        if (ret->exact != NULL) {
            word_set(&ret->prefix, common_end(ret->exact, true));
        }
    }
}

/* ------------------------------------------------------------------ results */

/* Is a text that holds a sure to hold b? */
static bool
implies(const struct word *a, const struct word *b)
{
    if (b->kind == WORD_ICASE) {
        return lp_find_icase(word_str(a), word_str(b)) != SIZE_MAX;
    }
    return (a->kind != WORD_ICASE || b->kind == WORD_CASELESS) &&
           lp_find(word_str(a), word_str(b)) != SIZE_MAX;
}

/* Takes out words that are in the set only where another one is, too. */
static void
simplify(struct set *s)
{
    for (size_t i = 0; i < s->n;) {
        bool needless = false;
        for (size_t k = 0; k < s->n && !needless; k++) {
            needless = k != i && implies(&s->words[i], &s->words[k]);
        }
        if (needless) {
            s->words[i] = s->words[--s->n];
        } else {
            i++;
        }
    }
}

/* The longest text known that each match holds. */
static void
keep_literal(struct lp_regex_lits *ret, const struct set *s)
{
    for (int end = 0; end < 2; end++) {
        struct lp_str common = common_end(s, end == 0);
        if (common.n > ret->literal.n) {
            LP_ASSERT(lp_arena_str(&ret->ar, common, &ret->literal));
        }
    }
}

static bool
stands_for_others(const struct word *w)
{
    return w->kind == WORD_ICASE &&
           (memchr(w->text, 'k', w->n) != NULL || memchr(w->text, 's', w->n) != NULL);
}

static void
keep_clause(struct lp_regex_lits *ret, const struct set *s)
{
    struct lp_regex_clause *c = &ret->clauses[ret->need.n++];
    struct lp_regex_lit *lits = lp_arena_array(&ret->ar, s->n, sizeof(*lits));
    LP_ASSERT(lits != NULL);
    for (size_t i = 0; i < s->n; i++) {
        const struct word *w = &s->words[i];
        lits[i] = (struct lp_regex_lit){.icase = w->kind == WORD_ICASE, .folds = stands_for_others(w)};
        LP_ASSERT(lp_arena_str(&ret->ar, word_str(w), &lits[i].text));
    }
    *c = (struct lp_regex_clause){.lits = lits, .n = s->n};
}

static int
compare_worth(const void *a, const void *b)
{
    size_t x = worth(*(const struct set *const *)a), y = worth(*(const struct set *const *)b);
    return x > y ? -1 : x < y;
}

static void
keep_clauses(struct lp_regex_lits *ret, struct info *found)
{
    for (size_t i = 0; i < found->nclauses; i++) {
        keep_literal(ret, found->clauses[i]);
        simplify(found->clauses[i]);
    }
    qsort(found->clauses, found->nclauses, sizeof(found->clauses[0]), compare_worth);
    for (size_t i = 0; i < found->nclauses; i++) {
        /* single bytes rule out few lines that a word does not */
        if (i == 0 || shortest(found->clauses[i]) > 1 || shortest(found->clauses[0]) < 3) {
            keep_clause(ret, found->clauses[i]);
        }
    }
}

static void
keep(struct lp_regex_lits *ret, struct build *b, struct info *found)
{
    LP_ASSERT(lp_arena_str(&ret->ar, word_str(&found->prefix), &ret->prefix));
    if (found->exact != NULL) {
        ret->need.exact = !b->asserted;
        found->clauses[0] = found->exact;
        found->nclauses = worth(found->exact) > 0;
    }
    keep_clauses(ret, found);
}

void
lp_regex_lits_init(struct lp_regex_lits *ret, struct lp_str pattern)
{
    struct build b = {.unused = NULL};
    struct info found;
    *ret = (struct lp_regex_lits){.need = {.clauses = NULL}};
    ret->need.clauses = ret->clauses;
    lp_arena_init(&ret->ar, SIZE_MAX, 0);
    lp_arena_init(&b.ar, ARENA_BYTES, 0);
    lp_rx_init(&b.rx, pattern);
    next(&b);
    read_alternatives(&b, &found);
    if (!b.failed && b.tok.kind == LP_RX_END) {
        keep(ret, &b, &found);
    }
    lp_arena_clear(&b.ar);
}

void
lp_regex_lits_clear(struct lp_regex_lits *lits)
{
    lp_arena_clear(&lits->ar);
}

/* --------------------------------------------------------------------- test */

static int
clause_test(const struct lp_regex_clause *c, struct lp_str text)
{
    bool unsure = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct lp_regex_lit *lit = &c->lits[i];
        if ((lit->icase ? lp_find_icase(text, lit->text) : lp_find(text, lit->text)) != SIZE_MAX) {
            return 1;
        }
        unsure = unsure || lit->folds;
    }
    return unsure && !lp_all_ascii(text) ? 0 : -1;
}

int
lp_regex_need_test(const struct lp_regex_need *need, struct lp_str text)
{
    int all = need->exact ? 1 : 0;
    for (size_t i = 0; i < need->n; i++) {
        int one = need->clauses[i].n <= SEARCHED_MAX ? clause_test(&need->clauses[i], text) : 0;
        if (one < 0) {
            return -1;
        }
        all = LP_MIN(all, one);
    }
    return all;
}
