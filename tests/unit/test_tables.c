/*
 * test_tables.c - oracle: FORMAT.md section 2.4 - a line's shape is the line with each token replaced; rows
 * of one shape stand in one table in row order, rare shapes and what is too large for a table stay plain -
 * and the lines themselves, put together again from shapes and cells.
 */
#include "store/tables.h"

#include <stdio.h>
#include <string.h>

#include "store/split.h"
#include "tests/unit/store_fixture.h"

struct made {
    struct lp_buf text;
    uint32_t *at; /* where each line begins; n + 1 of them */
    struct lp_row *rows;
    struct lp_block_row *order;
    uint32_t n, cap;
};

static void
init(struct made *m)
{
    *m = (struct made){.n = 0};
    lp_buf_init(&m->text, SIZE_MAX);
}

static void
add(struct made *m, const char *p, size_t n)
{
    if (m->n + 1 >= m->cap) {
        m->cap = m->cap ? m->cap * 2 : 64;
        m->at = lp_realloc(m->at, m->cap * sizeof(*m->at));
    }
    m->at[m->n++] = (uint32_t)m->text.n;
    lp_buf_add(&m->text, p, n);
    m->at[m->n] = (uint32_t)m->text.n;
}

static void
add_text(struct made *m, const char *text)
{
    add(m, text, strlen(text));
}

static void
fill(struct made *m, struct lp_tables *t, bool all_plain)
{
    m->rows = lp_realloc(m->rows, m->n * sizeof(*m->rows));
    m->order = lp_realloc(m->order, m->n * sizeof(*m->order));
    for (uint32_t i = 0; i < m->n; i++) {
        m->rows[i] = (struct lp_row){.line = m->text.p + m->at[i], .line_bytes = m->at[i + 1] - m->at[i]};
        m->order[i] = (struct lp_block_row){&m->rows[i], 0};
    }
    lp_tables_begin(t, m->n);
    lp_tables_add(t, m->order, 0, m->n / 3, all_plain);
    lp_tables_add(t, m->order, m->n / 3, m->n, all_plain);
    lp_tables_end(t);
}

static void
clear(struct made *m)
{
    lp_buf_clear(&m->text);
    lp_free(m->at);
    lp_free(m->rows);
    lp_free(m->order);
}

static const struct lp_shape_table *
table_of(const struct lp_tables *t, uint32_t number)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->v[i].number == number) {
            return &t->v[i];
        }
    }
    return NULL;
}

/* The next cell of a column: read[] holds how many rows and bytes were read of it. */
static struct lp_str
next_cell(const struct lp_cells *c, uint32_t row, size_t *read)
{
    if (!c->varied) {
        return lp_str_of(c->p, c->n);
    }
    struct lp_str s = lp_str_of(c->p + *read, c->lens[row]);
    *read += c->lens[row];
    return s;
}

/* Puts every row together again from its table; returns how many rows are not what they were. */
static uint32_t
check(const struct made *m, const struct lp_tables *t)
{
    size_t(*read)[LP_SHAPE_TOKENS_MAX] = lp_calloc(t->nkept + 1, sizeof(*read));
    uint32_t *have = lp_calloc(t->nkept + 1, sizeof(*have)), wrong = 0;
    struct lp_buf line;
    lp_buf_init(&line, SIZE_MAX);
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t k = t->row_table[i];
        const struct lp_shape_table *s = k > 0 ? table_of(t, k) : NULL;
        if (s == NULL) {
            wrong += k != 0;
            have[0]++;
            continue;
        }
        struct lp_str shape = lp_tables_shape(t, s);
        uint32_t col = 0;
        lp_buf_reset(&line);
        for (size_t b = 0; b < shape.n; b++) {
            if (shape.p[b] == LP_SHAPE_MARK) {
                lp_buf_str(&line, next_cell(&s->cols[col], have[k], &read[k][col]));
                col++;
            } else {
                lp_buf_u8(&line, (uint8_t)shape.p[b]);
            }
        }
        have[k]++;
        wrong += col != s->ncols ||
                 !lp_str_eq(lp_buf_view(&line), lp_str_of(m->rows[i].line, m->rows[i].line_bytes));
    }
    wrong += have[0] != t->nplain;
    for (uint32_t k = 1; k <= t->nkept; k++) {
        wrong += table_of(t, k)->rows != have[k] || have[k] < LP_TABLE_ROWS_MIN;
    }
    lp_buf_clear(&line);
    lp_free(read);
    lp_free(have);
    return wrong;
}

static void
rare_shapes_stay_plain(void)
{
    struct made m;
    struct lp_tables *t = lp_tables_new();
    init(&m);
    for (unsigned i = 0; i < LP_TABLE_ROWS_MIN; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "id=%u, x", i);
        add_text(&m, text); /* just enough of them */
        if (i > 0) {
            (void)snprintf(text, sizeof(text), "id=%u; x", i);
            add_text(&m, text); /* one too few */
        }
    }
    fill(&m, t, false);
    CU_ASSERT_EQUAL(t->nkept, 1);
    CU_ASSERT_EQUAL(t->nplain, LP_TABLE_ROWS_MIN - 1);
    CU_ASSERT(lp_str_eq(lp_tables_shape(t, table_of(t, 1)), LP_STR("A=A, A")));
    CU_ASSERT_EQUAL(table_of(t, 1)->rows, LP_TABLE_ROWS_MIN);
    CU_ASSERT_EQUAL(check(&m, t), 0);
    CU_ASSERT(!table_of(t, 1)->cols[0].varied && table_of(t, 1)->cols[1].varied);
    clear(&m);
    lp_tables_free(t);
}

/* Eight lines of n bytes, with this many tokens of one byte; the rest is separators. */
static uint32_t
plain_of(size_t n, uint32_t tokens)
{
    struct made m;
    struct lp_tables *t = lp_tables_new();
    char *line = lp_malloc(n + 1);
    init(&m);
    memset(line, ' ', n);
    for (uint32_t i = 0; i < tokens; i++) {
        line[2 * i] = 'a';
    }
    for (unsigned i = 0; i < 8; i++) {
        add(&m, line, n);
    }
    fill(&m, t, false);
    uint32_t plain = t->nplain;
    CU_ASSERT_EQUAL(check(&m, t), 0);
    CU_ASSERT(plain != 0 || table_of(t, 1)->ncols == tokens);
    clear(&m);
    lp_free(line);
    lp_tables_free(t);
    return plain;
}

static void
what_is_too_large_stays_plain(void)
{
    CU_ASSERT_EQUAL(plain_of(LP_TABLE_LINE_MAX, 3), 0);
    CU_ASSERT_EQUAL(plain_of(LP_TABLE_LINE_MAX + 1, 3), 8);
    CU_ASSERT_EQUAL(plain_of(3000, LP_SHAPE_TOKENS_MAX), 0);
    CU_ASSERT_EQUAL(plain_of(3000, LP_SHAPE_TOKENS_MAX + 1), 8);
    CU_ASSERT_EQUAL(plain_of(LP_TABLE_LINE_MAX, LP_SHAPE_TOKENS_MAX), 0);
    CU_ASSERT_EQUAL(plain_of(0, 0), 8);
    CU_ASSERT_EQUAL(plain_of(10, 0), 8);
    CU_ASSERT_EQUAL(plain_of(1, 1), 0);
}

static void
a_shape_keeps_every_separator(void)
{
    static const char *const twins[] = {"a b",
                                        "a  b",
                                        " a b",
                                        "a b ",
                                        "a\tb",
                                        "a b\n",
                                        "a_b",
                                        "a-b",
                                        "a.b",
                                        "a\x01"
                                        "b",
                                        "[a b]",
                                        "                                        a b",
                                        "a                                        b"};
    struct made m;
    struct lp_tables *t = lp_tables_new();
    init(&m);
    for (unsigned i = 0; i < 8; i++) {
        for (size_t k = 0; k < LP_ARRAY_LEN(twins); k++) {
            add_text(&m, twins[k]);
        }
    }
    fill(&m, t, false);
    CU_ASSERT_EQUAL(t->nkept, LP_ARRAY_LEN(twins));
    CU_ASSERT_EQUAL(t->nplain, 0);
    CU_ASSERT_EQUAL(check(&m, t), 0);
    clear(&m);
    lp_tables_free(t);
}

/* Line k of its own shape: bits of k as separators. */
static void
add_shape(struct made *m, uint32_t k, uint32_t row)
{
    char text[64];
    size_t n = (size_t)snprintf(text, sizeof(text), "t%u", row);
    for (unsigned b = 0; b < 13; b++) {
        text[n++] = k >> b & 1 ? '-' : ' ';
        text[n++] = 'x';
    }
    add(m, text, n);
}

static void
more_shapes_than_tables(void)
{
    struct made m;
    struct lp_tables *t = lp_tables_new();
    init(&m);
    for (uint32_t i = 0; i < 8; i++) {
        for (uint32_t k = 0; k < LP_TABLES_MAX + 5; k++) {
            add_shape(&m, k, i);
        }
    }
    fill(&m, t, false);
    CU_ASSERT_EQUAL(t->n, LP_TABLES_MAX);
    CU_ASSERT_EQUAL(t->nkept, LP_TABLES_MAX);
    CU_ASSERT_EQUAL(t->nplain, 8 * 5);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < m.n; i++) { /* those shapes stay plain that came last */
        wrong += (t->row_table[i] == 0) != (i % (LP_TABLES_MAX + 5) >= LP_TABLES_MAX);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    clear(&m);
    lp_tables_free(t);
}

static void
blocks_do_not_see_each_other(void)
{
    struct lp_tables *t = lp_tables_new();
    uint64_t seed = 1;
    for (unsigned round = 0; round < 30; round++) {
        struct made m;
        uint32_t n = 1 + (uint32_t)(lp_rand(&seed) % 800);
        init(&m);
        for (uint32_t i = 0; i < n; i++) {
            char text[2000];
            size_t len = 0, most = lp_rand(&seed) % 40 == 0 ? 1900 : lp_rand(&seed) % 30;
            while (len < most) {
                text[len++] =
                    lp_rand(&seed) % 40 == 0 ? (char)lp_rand(&seed) : "ab1 =_\xc3"[lp_rand(&seed) % 7];
            }
            if (lp_rand(&seed) % 2) {
                add_shape(&m, (uint32_t)(lp_rand(&seed) % 9), i);
            } else {
                add(&m, text, len);
            }
        }
        fill(&m, t, round % 10 == 9);
        CU_ASSERT_EQUAL(check(&m, t), 0);
        CU_ASSERT(round % 10 != 9 || (t->nkept == 0 && t->nplain == n));
        clear(&m);
    }
    lp_tables_free(t);
}

LP_SUITE(tables, {"rare shapes stay plain", rare_shapes_stay_plain},
         {"what is too large stays plain", what_is_too_large_stays_plain},
         {"a shape keeps every separator", a_shape_keeps_every_separator},
         {"more shapes than tables", more_shapes_than_tables},
         {"blocks do not see each other", blocks_do_not_see_each_other});
