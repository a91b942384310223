/*
 * test_match.c - oracle: the search on compressed blocks leaves exactly the rows that a search of the lines
 * themselves finds: a million of random (line, needle) pairs, needles being pieces of the
 * lines, or nearly so, in predicates of one to three clauses; over every type of column, plain rows included.
 */
#include "store/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/find.h"
#include "store/block_int.h"
#include "tests/unit/store_fixture.h"

#define ROWS 1500u
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PAIRS_CI 100000u
#else
#define PAIRS_CI 1000000u /* LP_LONG=1: ten times as many */
#endif

struct made {
    struct lp_buf text;
    struct lp_row rows[ROWS];
    struct lp_block_row order[ROWS];
};

static uint64_t seed = 1;

static uint32_t
rnd(uint32_t n)
{
    return (uint32_t)(lp_rand(&seed) % n);
}

static void
put_random(struct lp_buf *b, const char *alphabet, uint32_t n)
{
    uint32_t m = (uint32_t)strlen(alphabet);
    for (uint32_t i = 0; i < n; i++) {
        lp_buf_u8(b, (uint8_t)alphabet[rnd(m)]);
    }
}

/* One token of a kind; kinds are such that every type of column comes about. */
static void
put_token(struct lp_buf *b, uint32_t kind, uint32_t row)
{
    static const char *const words[] = {"error",  "Error", "ERROR", "info", "warn",
                                        "kelvin", "class", "k",     "GET",  "post_id"};
    switch (kind) {
    case 0:
        lp_buf_c(b, "const");
        break;
    case 1:
        lp_buf_c(b, words[rnd(10)]);
        break;
    case 2:
        lp_buf_printf(b, "%u", rnd(100000));
        break;
    case 3:
        lp_buf_printf(b, "%05u", rnd(30000));
        break;
    case 4:
        lp_buf_printf(b, "%u", 1000000 + row * 3 + rnd(2));
        break;
    case 5:
        put_random(b, "0123456789abcdef", 16);
        break;
    case 6:
        put_random(b, "0123456789ABCDEF", 9);
        break;
    case 7:
        put_random(b, "abcXYZ019_", 1 + rnd(20));
        break;
    case 8: /* words with bytes that RE2 folds to ASCII letters, or that are no UTF-8 */
        lp_buf_c(b, rnd(3) ? "erro\xe2\x84\xaa" : rnd(2) ? "cla\xc5\xbf\xc5\xbf" : "\xff\xfe");
        put_random(b, "ek", rnd(3));
        break;
    case 9: /* the same, of too many values for a dictionary */
        put_random(b, "eErs0", rnd(6));
        lp_buf_c(b, rnd(4) ? "\xe2\x84\xaa" : "\xc5\xbf");
        put_random(b, "lasKk1", 1 + rnd(6));
        break;
    default:
        lp_buf_printf(b, "u%u", rnd(700));
        break;
    }
}

static const char *const separators[] = {" ", "=", ": ", "\":\"", ", ", " [",   "] ",
                                         ".", "-", "/",  "  ",    "\n", "\t-- "};

/* A line of one of a few dozen forms; some forms are rare, and some lines are noise, and stay plain. */
static void
put_line(struct lp_buf *b, uint32_t row)
{
    uint32_t form = rnd(100) < 3 ? 100 + rnd(1000) : rnd(24);
    if (form == 5) {
        put_random(b, "abc =.01", rnd(60));
        return;
    }
    uint64_t shape = form * UINT64_C(7919) + 11; /* the form decides separators and kinds */
    uint32_t n = 1 + (uint32_t)(lp_rand(&shape) % 9);
    if (lp_rand(&shape) % 3 == 0) {
        lp_buf_c(b, separators[lp_rand(&shape) % LP_ARRAY_LEN(separators)]);
    }
    for (uint32_t i = 0; i < n; i++) {
        put_token(b, (uint32_t)(lp_rand(&shape) % 11), row);
        if (i + 1 < n || lp_rand(&shape) % 2) {
            lp_buf_c(b, separators[lp_rand(&shape) % LP_ARRAY_LEN(separators)]);
        }
    }
}

static void
make_rows(struct made *m)
{
    uint32_t at[ROWS + 1];
    lp_buf_init(&m->text, SIZE_MAX);
    for (uint32_t i = 0; i < ROWS; i++) {
        at[i] = (uint32_t)m->text.n;
        put_line(&m->text, i);
    }
    at[ROWS] = (uint32_t)m->text.n;
    for (uint32_t i = 0; i < ROWS; i++) {
        m->rows[i] =
            (struct lp_row){.time_ns = i, .line = m->text.p + at[i], .line_bytes = at[i + 1] - at[i]};
        m->order[i] = (struct lp_block_row){&m->rows[i], 0};
    }
}

/* A piece of a line, sometimes with a byte changed; of an icase needle in lower case. */
static struct lp_needle
draw_needle(const struct made *m, char *text)
{
    const struct lp_row *r;
    do {
        r = &m->rows[rnd(ROWS)];
    } while (r->line_bytes == 0);
    uint32_t from = rnd(r->line_bytes), most = 1 + rnd(30);
    most = LP_MIN(most, r->line_bytes - from);
    struct lp_needle n = {{text, most}, rnd(3) == 0};
    memcpy(text, r->line + from, most);
    if (rnd(4) == 0) {
        text[rnd(most)] = "e0k/ Az"[rnd(7)];
    }
    for (uint32_t i = 0; i < most && n.icase; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i] & 0x7f);
        text[i] = text[i] == 0 ? 'k' : text[i];
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    }
    return n;
}

struct asked {
    char text[9][64];
    struct lp_needle needles[9];
    struct lp_clause clauses[3];
    struct lp_linepred pred;
};

static void
draw_pred(const struct made *m, struct asked *a)
{
    uint32_t k = 0;
    a->pred = (struct lp_linepred){a->clauses, 1 + (rnd(3) == 0) + (rnd(5) == 0), rnd(4) != 0};
    for (size_t i = 0; i < a->pred.n; i++) {
        struct lp_clause *c = &a->clauses[i];
        *c = (struct lp_clause){&a->needles[k], 1 + (rnd(4) == 0), a->pred.exact && rnd(4) == 0};
        for (size_t j = 0; j < c->n; j++, k++) {
            a->needles[k] = draw_needle(m, a->text[k]);
        }
    }
}

static bool
bit(const uint64_t *v, uint32_t i)
{
    return v != NULL && (v[i / 64] >> (i % 64) & 1) != 0;
}

/* The ranges: the whole block, or some of it. */
static size_t
draw_ranges(struct lp_row_range ranges[3])
{
    if (rnd(2)) {
        ranges[0] = (struct lp_row_range){0, ROWS};
        return 1;
    }
    uint32_t at = 0;
    size_t n = 1 + rnd(3);
    for (size_t i = 0; i < n; i++) {
        uint32_t first = at + rnd((ROWS - at) / 2 + 1), end = first + 1 + rnd(600);
        end = LP_MIN(end, ROWS);
        if (first >= end) {
            return i;
        }
        ranges[i] = (struct lp_row_range){first, end};
        at = end;
    }
    return n;
}

/* The line as RE2 folds it, as far as ASCII needles can tell: KELVIN SIGN is a k, LONG S an s. */
static void
fold(struct lp_str line, struct lp_buf *out)
{
    lp_buf_reset(out);
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        if (lp_str_starts(lp_str_sub(line, i, line.n), LP_STR("\xe2\x84\xaa"))) {
            lp_buf_u8(out, 'k');
            i += 2;
        } else if (lp_str_starts(lp_str_sub(line, i, line.n), LP_STR("\xc5\xbf"))) {
            lp_buf_u8(out, 's');
            i += 1;
        } else {
            lp_buf_u8(out, (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
        }
    }
}

/* Naively: is the needle in the line? */
static bool
holds(const struct lp_needle *n, struct lp_str line, struct lp_str folded)
{
    struct lp_str text = n->icase ? folded : line;
    return text.n >= n->text.n && memmem(text.p, text.n, n->text.p, n->text.n) != NULL;
}

static bool
passes(const struct lp_linepred *p, struct lp_str line, struct lp_str folded)
{
    for (size_t i = 0; i < p->n; i++) {
        bool any = false;
        for (size_t k = 0; k < p->clauses[i].n; k++) {
            any = any || holds(&p->clauses[i].needles[k], line, folded);
        }
        if (any == p->clauses[i].negative) {
            return false;
        }
    }
    return true;
}

/* Compares; returns the pairs looked at. */
static uint32_t
compare(struct lp_block *b, struct lp_codec *c, const struct made *m)
{
    struct asked a;
    struct lp_match match;
    struct lp_row_range ranges[3];
    draw_pred(m, &a);
    size_t nranges = draw_ranges(ranges);
    struct lp_match_plan *plan = lp_match_plan_new(&a.pred);
    lp_match_plan_bind(plan, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(lp_block_match(b, c, plan, 0, ranges, nranges, NULL, NULL, &match, NULL), LP_OK);
    uint32_t pairs = 0, wrong = 0, unsure = 0, found = 0;
    bool any_icase = false;
    struct lp_buf folded;
    lp_buf_init(&folded, SIZE_MAX);
    for (size_t i = 0; i < a.pred.n; i++) {
        for (size_t k = 0; k < a.clauses[i].n; k++) {
            any_icase = any_icase || a.clauses[i].needles[k].icase;
        }
    }
    for (size_t k = 0; k < nranges; k++) {
        for (uint32_t i = ranges[k].first; i < ranges[k].end; i++, pairs++) {
            struct lp_str line = lp_str_of(m->rows[i].line, m->rows[i].line_bytes);
            fold(line, &folded);
            bool left = bit(match.rows, i), sure = bit(match.sure, i), ascii = lp_all_ascii(line);
            bool passed = passes(&a.pred, line, lp_buf_view(&folded));
            wrong += passed ? !left : sure;
            wrong += sure && (!left || !a.pred.exact);
            found += left;
            wrong += !any_icase && !passed && left; /* exact where nothing is folded */
            unsure += ascii && passed && a.pred.exact &&
                      !sure; /* allowed, but rare: other rows of its table are not ASCII */
        }
    }
    for (uint32_t i = 0; i < ROWS; i++) { /* nothing but what was asked for */
        found -= bit(match.rows, i);
    }
    wrong += found != 0;
    if (wrong > 0) {
        fprintf(stderr, "needle '%.*s' icase %d n %zu exact %d\n", LP_STR_ARG(a.needles[0].text),
                a.needles[0].icase, a.pred.n, a.pred.exact);
    }
    CU_ASSERT_EQUAL_FATAL(wrong, 0);
    CU_ASSERT(unsure <= pairs / 2);
    lp_buf_clear(&folded);
    lp_match_clear(&match);
    lp_match_plan_free(plan);
    return pairs;
}

static void
leaves_what_a_search_of_the_lines_finds(void)
{
    const char *longer = getenv("LP_LONG");
    uint64_t most = longer != NULL && longer[0] == '1' ? 10u * PAIRS_CI : PAIRS_CI, pairs = 0;
    struct made *m = lp_malloc(sizeof(*m));
    while (pairs < most) {
        struct lp_block_encoder *e = lp_block_encoder_new();
        struct lp_codec *c = lp_codec_new();
        struct lp_buf out;
        struct lp_block *b;
        make_rows(m);
        lp_buf_init(&out, SIZE_MAX);
        struct lp_block_run run = {0, 0, ROWS, 0, ROWS - 1};
        struct lp_block_src src = {0, 0, m->order, ROWS, &run, 1, false};
        CU_ASSERT_EQUAL_FATAL(lp_block_encode(e, &src, &out, NULL), LP_OK);
        struct lp_block_io io = {lp_read_buf, &out, out.n, NULL};
        CU_ASSERT_EQUAL_FATAL(lp_block_open(&io, NULL, &b, NULL), LP_OK);
        for (int i = 0; i < 100; i++) {
            pairs += compare(b, c, m);
        }
        lp_block_free(b);
        lp_buf_clear(&out);
        lp_buf_clear(&m->text);
        lp_codec_free(c);
        lp_block_encoder_free(e);
    }
    lp_free(m);
}

LP_SUITE(match, {"leaves what a search of the lines finds", leaves_what_a_search_of_the_lines_finds});
