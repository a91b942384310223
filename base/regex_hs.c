/*
 * regex_hs.c - the one door to Hyperscan.
 *
 * Hyperscan reads PCRE's syntax, which differs from RE2's in small things. So nothing is handed on as it was
 * written: the pattern is taken apart (regex_tok.c) and written anew with what means the same in both:
 * characters and sets by number, with the other cases that RE2 matches listed; groups without captures; \A
 * and \z for ^ and $. Refused are (?m), \pN and the like, \C, word boundaries in other than ASCII texts,
 * repeated groups with an assertion, large counts (they take long to compile).
 *
 * What this leaves is the same language. Nevertheless a match is believed without RE2 only where little can
 * be wrong: in ASCII texts, of patterns without assertions. A "no" is believed always.
 *
 * Scratch space: each thread has one, which grows to the largest need; it remembers for which of the last
 * expressions that was done. They are told apart by numbers that are never used again.
 */
#include "base/regex_hs.h"

#ifdef LP_HAVE_HYPERSCAN

#include <pthread.h>
#include <stdatomic.h>
#include <hs/hs.h>

#include "base/buf.h"
#include "base/regex_tok.h"

#define PATTERN_BYTES_MAX (64u << 10)
/* Characters and sets, repetitions written out. At these many Hyperscan takes some 40 ms; time grows with the
 * square. */
#define WEIGHT_MAX 256u
#define REPEATED_WEIGHT_MAX 200u
#define KNOWN 16u /* a power of two */

struct lp_hs {
    hs_database_t *db;
    uint64_t id;
    bool decides;
};

/* ------------------------------------------------------------- translation */

/* A group being read. */
struct level {
    uint64_t weight;
    bool asserts;
};

struct translation {
    struct lp_rx rx;
    struct lp_rx_tok tok;
    struct lp_buf out;
    bool utf8, refused;
    uint64_t repeated; /* weight */
    bool asserts;      /* somewhere */
    struct level atom; /* the last one, which a repetition is of */
    size_t depth;
    struct level levels[LP_RX_DEPTH_MAX + 1];
};

/* One character, inside brackets or not. Letters and digits stand for themselves: Hyperscan's limit is on the
 * text. */
static void
put_cp(struct translation *t, uint32_t cp)
{
    bool plain = (cp >= '0' && cp <= '9') || (cp < 0x80 && (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z');
    lp_buf_printf(&t->out, plain ? "%c" : "\\x{%x}", cp);
}

static void
put_range(struct translation *t, uint32_t from, uint32_t to)
{
    if (!t->utf8 && from >= 0x80) {
        return; /* not in these texts */
    }
    to = t->utf8 ? to : LP_MIN(to, 0x7fu);
    put_cp(t, from);
    if (to > from) {
        lp_buf_c(&t->out, "-");
        put_cp(t, to);
    }
}

/* The runs of bits as ranges. */
static void
put_low(struct translation *t, const struct lp_rx_set *set)
{
    for (unsigned c = 0; c < 0x80; c++) {
        unsigned from = c;
        while (c < 0x80 && lp_rx_has_low(set, c)) {
            c++;
        }
        if (c > from) {
            put_range(t, from, c - 1);
        }
    }
}

static void
put_set(struct translation *t, const struct lp_rx_set *set)
{
    size_t high = t->utf8 ? set->nhigh : 0;
    bool none = (set->low[0] | set->low[1]) == 0 && high == 0;
    if (none) {
        t->refused = t->refused || !set->negated; /* an empty class cannot be written */
        lp_buf_c(&t->out, "(?s:.)");
        return;
    }
    lp_buf_c(&t->out, set->negated ? "[^" : "[");
    put_low(t, set);
    for (size_t i = 0; i < high; i++) {
        put_range(t, set->high[i][0], set->high[i][1]);
    }
    lp_buf_c(&t->out, "]");
}

static void
put_char(struct translation *t)
{
    uint32_t cp = t->tok.cp;
    bool letter = cp < 0x80 && ((cp | 0x20) >= 'a' && (cp | 0x20) <= 'z');
    if (cp >= 0x80 && (t->tok.icase || !t->utf8)) {
        t->refused = true;
    } else if (!letter || !t->tok.icase) {
        put_cp(t, cp);
    } else {
        uint32_t lower = cp | 0x20;
        const char *other = !t->utf8 ? "" : lower == 'k' ? "\\x{212a}" : lower == 's' ? "\\x{17f}" : "";
        lp_buf_printf(&t->out, "[%c%c%s]", lower & ~0x20u, lower, other);
    }
}

static void
put_assert(struct translation *t)
{
    static const char *const texts[] = {
        [LP_RX_TEXT_BEGIN] = "\\A", [LP_RX_TEXT_END] = "\\z", [LP_RX_LINE_BEGIN] = "",
        [LP_RX_LINE_END] = "",      [LP_RX_WORD] = "\\b",     [LP_RX_NOT_WORD] = "\\B",
    };
    enum lp_rx_assert a = t->tok.assert;
    bool word = a == LP_RX_WORD || a == LP_RX_NOT_WORD;
    t->refused = t->refused || a == LP_RX_LINE_BEGIN || a == LP_RX_LINE_END || (word && t->utf8);
    t->asserts = true;
    lp_buf_c(&t->out, texts[a]);
}

static void
put_repeat(struct translation *t)
{
    uint32_t min = t->tok.min, max = t->tok.max;
    struct level *level = &t->levels[t->depth];
    uint64_t times = max == LP_RX_INF ? (uint64_t)min + 1 : max;
    level->weight += t->atom.weight * times;
    t->repeated += t->atom.weight * times;
    t->refused = t->refused || t->atom.asserts || max == 0 || t->repeated > REPEATED_WEIGHT_MAX;
    if (max == LP_RX_INF) {
        lp_buf_printf(&t->out, "{%u,}", min);
    } else {
        lp_buf_printf(&t->out, "{%u,%u}", min, max);
    }
    t->atom = (struct level){.weight = 0};
}

/* An atom ended: what it weighs is added by and by, since a repetition may follow. */
static void
end_atom(struct translation *t, struct level atom)
{
    struct level *level = &t->levels[t->depth];
    level->weight += atom.weight;
    level->asserts = level->asserts || atom.asserts;
    t->atom = atom;
    t->refused = t->refused || level->weight > WEIGHT_MAX;
}

static void
put_group(struct translation *t)
{
    if (t->tok.kind == LP_RX_OPEN) {
        lp_buf_c(&t->out, "(?:");
        t->levels[++t->depth] = (struct level){.weight = 0};
    } else {
        lp_buf_c(&t->out, ")");
        struct level group = t->levels[t->depth--];
        end_atom(t, group);
    }
}

static void
put_token(struct translation *t)
{
    switch (t->tok.kind) {
    case LP_RX_CHAR:
        put_char(t);
        end_atom(t, (struct level){.weight = 1});
        break;
    case LP_RX_SET:
        put_set(t, &t->tok.set);
        end_atom(t, (struct level){.weight = 1});
        break;
    case LP_RX_EMPTY:
        put_assert(t);
        end_atom(t, (struct level){.asserts = true});
        break;
    case LP_RX_OPEN:
    case LP_RX_CLOSE:
        put_group(t);
        break;
    case LP_RX_OR:
        lp_buf_c(&t->out, "|");
        break;
    case LP_RX_REPEAT:
        put_repeat(t);
        break;
    case LP_RX_ODD:
    case LP_RX_BAD:
    case LP_RX_END:
        t->refused = true;
        break;
    }
}

/* False when the pattern is refused. Depth is bounded by the tokens'. */
static bool
translate(struct translation *t, struct lp_str pattern)
{
    lp_rx_init(&t->rx, pattern);
    lp_rx_next(&t->rx, &t->tok);
    while (!t->refused && t->tok.kind != LP_RX_END) {
        put_token(t);
        lp_rx_next(&t->rx, &t->tok);
    }
    return !t->refused && lp_buf_byte(&t->out, 0) && !t->out.failed;
}

/* --------------------------------------------------------------- expressions */

static struct lp_hs *
compile(const struct translation *t)
{
    hs_database_t *db = NULL;
    hs_compile_error_t *error = NULL;
    unsigned flags = HS_FLAG_SINGLEMATCH | (t->utf8 ? HS_FLAG_UTF8 : 0);
    if (hs_compile(t->out.p, flags, HS_MODE_BLOCK, NULL, &db, &error) != HS_SUCCESS) {
        hs_free_compile_error(error);
        return NULL;
    }
    static atomic_uint_fast64_t last_id;
    struct lp_hs *hs = lp_malloc(sizeof(*hs));
    *hs = (struct lp_hs){.db = db, .decides = !t->utf8 && !t->asserts};
    hs->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    return hs;
}

struct lp_hs *
lp_hs_new(struct lp_str pattern, bool utf8)
{
    struct lp_hs *hs = NULL;
    if (hs_valid_platform() != HS_SUCCESS) {
        return NULL;
    }
    struct translation *t = lp_calloc(1, sizeof(*t));
    t->utf8 = utf8;
    lp_buf_init(&t->out, PATTERN_BYTES_MAX);
    if (translate(t, pattern)) {
        hs = compile(t);
    }
    lp_buf_clear(&t->out);
    lp_free(t);
    return hs;
}

void
lp_hs_free(struct lp_hs *hs)
{
    if (hs != NULL) {
        hs_free_database(hs->db);
        lp_free(hs);
    }
}

bool
lp_hs_decides(const struct lp_hs *hs)
{
    return hs->decides;
}

/* ------------------------------------------------------------------- scratch */

static _Thread_local struct {
    hs_scratch_t *scratch;
    uint64_t known[KNOWN]; /* expressions that it is large enough for, at their number modulo KNOWN */
} mine;

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

/* At a thread's end. */
static void
free_scratch(void *scratch)
{
    hs_free_scratch(scratch);
    mine.scratch = NULL;
    memset(mine.known, 0, sizeof(mine.known));
}

static void
make_key(void)
{
    LP_ASSERT(pthread_key_create(&key, free_scratch) == 0);
}

/* The thread's scratch space, large enough for hs; NULL when there is no memory. */
static hs_scratch_t *
scratch_for(const struct lp_hs *hs)
{
    uint64_t *known = &mine.known[hs->id % KNOWN];
    if (LP_LIKELY(*known == hs->id)) {
        return mine.scratch;
    }
    pthread_once(&key_once, make_key);
    bool good = hs_alloc_scratch(hs->db, &mine.scratch) == HS_SUCCESS;
    LP_ASSERT(pthread_setspecific(key, mine.scratch) == 0);
    if (!good) {
        memset(mine.known, 0, sizeof(mine.known)); /* the old one may be gone */
        return NULL;
    }
    *known = hs->id;
    return mine.scratch;
}

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *found)
{
    *(bool *)found = true;
    return 1; /* one is enough */
}

int
lp_hs_search(const struct lp_hs *hs, struct lp_str text)
{
    bool found = false;
    hs_scratch_t *scratch = scratch_for(hs);
    if (scratch == NULL || text.n > UINT32_MAX) {
        return -1;
    }
    hs_error_t e = hs_scan(hs->db, text.p, (unsigned)text.n, 0, scratch, on_match, &found);
    return found ? 1 : e == HS_SUCCESS ? 0 : -1;
}

#else

struct lp_hs *
lp_hs_new(struct lp_str pattern, bool utf8)
{
    return NULL;
}

void
lp_hs_free(struct lp_hs *hs)
{
}

int
lp_hs_search(const struct lp_hs *hs, struct lp_str text)
{
    return -1;
}

bool
lp_hs_decides(const struct lp_hs *hs)
{
    return false;
}

#endif
