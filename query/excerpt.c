/*
 * excerpt.c - see excerpt.h. A table's skeleton is its line with a digit for each cell; the parser walks it
 * once, and says where the fields are that somebody wants.
 *
 * What it must not do is give other labels, or another error, than the whole line: so a cell may stand in a
 * value only, and outside of quotes only where it surely begins a number.
 */
#include "query/excerpt.h"

#include <string.h>

#include "query/fields.h"
#include "query/pipe_int.h"
#include "store/schema.h"
#include "store/split.h"

#define TABLES 64              /* of a part that are remembered; a power of two */
#define ARENA_BYTES (4u << 20) /* of all excerpts of a part; what is beyond is read whole */
#define CELL '0'

struct plan {
    const struct lp_table *table;
    const struct lp_piece *pieces; /* NULL: there is no excerpt */
    size_t room;
};

struct lp_excerpts {
    const struct lp_pipe_prog *prog;
    struct lp_arena ar;
    struct lp_buf skeleton, keys, text, out;
    uint32_t *cells; /* of the skeleton's bytes: the column + 1, or 0 */
    size_t cells_cap;
    struct plan plans[TABLES];
};

/* ------------------------------------------------------------------ which programs */

/* json as the first step, of which so many labels are needed and no more, and nobody behind it who looks at
 * the line. */
static bool
suits(const struct lp_pipe_prog *prog)
{
    if (prog->nsteps == 0 || !prog->counted || prog->needs_level || prog->steps[0].line != NULL ||
        prog->steps[0].stage->kind != LP_STAGE_JSON) {
        return false;
    }
    const struct lp_parser_args *args = &prog->steps[0].stage->parser;
    for (size_t i = 0; i < args->nextracts; i++) {
        const struct lp_extract *e = &args->extracts[i];
        bool plain = e->nsteps == 1 && !e->steps[0].is_index;
        for (size_t k = 0; k < e->steps[0].key.n && plain; k++) {
            plain = lp_is_token_byte((uint8_t)e->steps[0].key.p[k]);
        }
        if (!plain) {
            return false;
        }
    }
    for (size_t i = 1; i < prog->nsteps; i++) {
        enum lp_stage_kind kind = prog->steps[i].stage->kind;
        bool labels_alone =
            prog->steps[i].line == NULL && (kind == LP_STAGE_LABEL_FILTER || kind == LP_STAGE_LABEL_FORMAT ||
                                            kind == LP_STAGE_DROP || kind == LP_STAGE_KEEP);
        if (!labels_alone) {
            return false;
        }
    }
    return true;
}

struct lp_excerpts *
lp_excerpts_new(const struct lp_pipe_prog *prog)
{
    if (!suits(prog)) {
        return NULL;
    }
    struct lp_excerpts *x = lp_calloc(1, sizeof(*x));
    x->prog = prog;
    lp_arena_init(&x->ar, ARENA_BYTES, 1 << 14);
    lp_buf_init(&x->skeleton, 1 << 20);
    lp_buf_init(&x->keys, 1 << 20);
    lp_buf_init(&x->text, 4 << 20);
    lp_buf_init(&x->out, 16 << 20);
    return x;
}

void
lp_excerpts_free(struct lp_excerpts *x)
{
    if (x != NULL) {
        lp_buf_clear(&x->skeleton);
        lp_buf_clear(&x->keys);
        lp_buf_clear(&x->text);
        lp_buf_clear(&x->out);
        lp_arena_clear(&x->ar);
        lp_free(x->cells);
        lp_free(x);
    }
}

void
lp_excerpts_begin(struct lp_excerpts *x)
{
    if (x != NULL) {
        lp_arena_reset(&x->ar);
        memset(x->plans, 0, sizeof(x->plans));
    }
}

/* ------------------------------------------------------------------ a table */

static bool
begins_number(const struct lp_column *col)
{
    bool digit = col->type == LP_COL_INT;
    if (col->type == LP_COL_DICT) {
        digit = true;
        for (uint32_t i = 0; i < col->nvalues && digit; i++) {
            digit = col->values[i].n > 0 && col->values[i].p[0] >= '0' && col->values[i].p[0] <= '9';
        }
    }
    return digit;
}

static bool
make_skeleton(struct lp_excerpts *x, const struct lp_table *t)
{
    lp_buf_reset(&x->skeleton);
    for (uint32_t i = 0; i < t->npieces; i++) {
        lp_buf_str(&x->skeleton, t->pieces[i].text);
        if (t->pieces[i].col != LP_PIECE_END) {
            lp_buf_byte(&x->skeleton, CELL);
        }
    }
    if (x->skeleton.failed) {
        return false;
    }
    if (x->cells_cap < x->skeleton.n) {
        lp_free(x->cells);
        x->cells_cap = x->skeleton.n;
        x->cells = lp_malloc(x->cells_cap * sizeof(*x->cells));
    }
    memset(x->cells, 0, x->skeleton.n * sizeof(*x->cells));
    size_t at = 0;
    for (uint32_t i = 0; i < t->npieces; i++) {
        at += t->pieces[i].text.n;
        if (t->pieces[i].col != LP_PIECE_END) {
            x->cells[at++] = t->pieces[i].col + 1;
        }
    }
    return true;
}

/* A cell inside of quotes is in a value, not in a key; one outside of them begins a number, or is inside of
 * one. */
static bool
cells_are_values(const struct lp_excerpts *x, const struct lp_table *t)
{
    struct lp_str s = lp_buf_view(&x->skeleton);
    bool quoted = false, cell = false; /* in the last string, or behind it */
    for (size_t i = 0; i < s.n; i++) {
        if (x->cells[i] != 0) {
            bool begins = i == 0 || memchr(":,[{ \t\r\n", s.p[i - 1], 8) != NULL;
            cell = true;
            if (!quoted && begins && !begins_number(&t->cols[x->cells[i] - 1])) {
                return false;
            }
        } else if (quoted && s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            cell = cell && quoted;
            quoted = !quoted;
        } else if (!quoted && s.p[i] == ':' && cell) {
            return false;
        }
    }
    return true;
}

struct making {
    struct lp_excerpts *x;
    struct lp_buf text; /* the excerpt's skeleton, and of its bytes the columns */
    struct lp_buf cols;
    size_t n;
};

static void
put(struct making *m, struct lp_str s, const uint32_t *cells)
{
    static const uint32_t none = 0;
    lp_buf_str(&m->text, s);
    for (size_t i = 0; i < s.n; i++) {
        lp_buf_add(&m->cols, cells != NULL ? &cells[i] : &none, sizeof(none));
    }
}

/* The value as it stands in the skeleton, quotes included. */
static bool
put_field(void *arg, struct lp_str key, struct lp_str raw)
{
    struct making *m = arg;
    put(m, m->n++ > 0 ? LP_STR(",\"") : LP_STR("{\""), NULL);
    put(m, key, NULL);
    put(m, LP_STR("\":"), NULL);
    put(m, raw, m->x->cells + (raw.p - m->x->skeleton.p));
    return true;
}

static bool
is_wanted(void *arg, struct lp_str key)
{
    const struct making *m = arg;
    return lp_pipe_may_want(m->x->prog, key);
}

/* Extracts are of keys as they stand. */
static bool
is_extracted(void *arg, struct lp_str key)
{
    const struct making *m = arg;
    const struct lp_parser_args *args = &m->x->prog->steps[0].stage->parser;
    for (size_t i = 0; i < args->nextracts; i++) {
        if (lp_str_eq(args->extracts[i].steps[0].key, key)) {
            return true;
        }
    }
    return false;
}

/* Text and columns as pieces. */
static const struct lp_piece *
cut_pieces(struct lp_excerpts *x, const struct making *m, const struct lp_table *t, size_t *ret_room)
{
    const uint32_t *cols = (const uint32_t *)(const void *)m->cols.p;
    size_t n = m->text.n, ncells = 0, from = 0, k = 0;
    for (size_t i = 0; i < n; i++) {
        ncells += cols[i] != 0;
    }
    char *text = lp_arena_bytes(&x->ar, n + LP_CONTENT_PAD);
    struct lp_piece *pieces = lp_arena_array(&x->ar, ncells + 1, sizeof(*pieces));
    if (text == NULL || pieces == NULL) {
        return NULL;
    }
    memcpy(text, m->text.p, n);
    memset(text + n, 0, LP_CONTENT_PAD);
    for (size_t i = 0; i < n; i++) {
        if (cols[i] != 0) {
            pieces[k++] = (struct lp_piece){lp_str_of(text + from, i - from), cols[i] - 1};
            from = i + 1;
        }
    }
    pieces[k] = (struct lp_piece){lp_str_of(text + from, n - from), LP_PIECE_END};
    *ret_room = n + ncells * t->cell_max + 2 * LP_CONTENT_PAD;
    return pieces;
}

static void
make_plan(struct lp_excerpts *x, const struct lp_table *t, struct plan *ret)
{
    struct making m = {.x = x};
    *ret = (struct plan){.table = t};
    if (!make_skeleton(x, t) || !cells_are_values(x, t)) {
        return;
    }
    lp_buf_init(&m.text, 1 << 20);
    lp_buf_init(&m.cols, 4 << 20);
    bool extracts = x->prog->steps[0].stage->parser.nextracts > 0;
    struct lp_str line = lp_buf_view(&x->skeleton);
    lp_rc rc = extracts ? lp_fields_json_members(line, &x->text, is_extracted, put_field, &m, NULL)
                        : lp_fields_json_raw(line, &x->keys, &x->text, is_wanted, put_field, &m, NULL);
    put(&m, m.n > 0 ? LP_STR("}") : LP_STR("{}"), NULL);
    if (rc == LP_OK && !m.text.failed && !m.cols.failed) {
        ret->pieces = cut_pieces(x, &m, t, &ret->room);
    }
    lp_buf_clear(&m.text);
    lp_buf_clear(&m.cols);
}

lp_rc
lp_excerpts_line(struct lp_excerpts *x, struct lp_scan *s, struct lp_str *ret, struct lp_err *err)
{
    const struct lp_table *t;
    *ret = LP_STR_NULL;
    lp_rc rc = lp_scan_table(s, &t, err);
    if (rc != LP_OK || t == NULL) {
        return rc;
    }
    struct plan *p = &x->plans[((uintptr_t)t / sizeof(*t)) & (TABLES - 1)];
    if (p->table != t) {
        make_plan(x, t, p);
    }
    if (p->pieces == NULL) {
        return LP_OK;
    }
    lp_buf_reset(&x->out);
    if (!lp_buf_reserve(&x->out, p->room)) {
        return LP_OK;
    }
    rc = lp_scan_excerpt(s, p->pieces, x->out.p, &ret->n, err);
    ret->p = rc == LP_OK ? x->out.p : NULL;
    return rc;
}
