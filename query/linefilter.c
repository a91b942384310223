/*
 * linefilter.c - compiling and running chains of line filters, and what they ask of a line in literals alone.
 *
 * A chain is a conjunction of clauses; a clause holds if any of its atoms matches, or, where it is negative,
 * if none does. Clauses that always hold are left out; one that never can makes the chain `never`. Everything
 * lies in the chain's own arena, but for the regexes. Immutable after lp_linefilter_new.
 */
#include "query/linefilter.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/find.h"
#include "base/regex.h"
#include "query/ip.h"
#include "query/literals.h"
#include "query/pattern.h"

/* A query has at most 10,000 operands of 128 KiB together (parse.h). */
#define ARENA_BYTES (32u << 20)
/* An alternation of up to this many literals is searched for byte by byte; a regex engine is faster on longer
 * ones. */
#define LITERALS_MAX 4
/* The predicate has no more clauses, and a clause no more needles: with many, looking at the line costs less.
 */
#define PRED_CLAUSES_MAX 32
#define NEEDLES_MAX 64

/* In the order of cost. */
enum atom_kind { ATOM_LITERAL, ATOM_PATTERN, ATOM_IP, ATOM_REGEX };

struct atom {
    enum atom_kind kind;
    struct lp_str needle; /* LITERAL: what to find; REGEX: one that every match holds, may be empty */
    union {
        struct lp_pattern pattern;
        struct lp_ip_set ip;
        struct lp_regex *regex;
    };
};

struct clause {
    bool negative;
    size_t natoms;
    struct atom *atoms;
    unsigned cost;
};

struct lp_linefilter {
    struct lp_arena ar;
    struct clause *clauses; /* by cost */
    size_t nclauses;
    bool never;
    struct lp_linepred pred;
};

static lp_rc
spent(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT, "the line filters need more memory than they may have");
}

/* ---------------------------------------------------------------- compiling */

static bool
always_matches(const struct lp_regex *re)
{
    const struct lp_regex_need *need = lp_regex_needs(re);
    return need->exact && need->n == 0;
}

static lp_rc
regex_atom(struct atom *a, struct lp_str text, struct lp_err *err)
{
    a->kind = ATOM_REGEX;
    lp_rc rc = lp_regex_new(text, &a->regex, err);
    if (rc != LP_OK) {
        return rc;
    }
    a->needle = lp_regex_literal(a->regex);
    if (always_matches(a->regex)) {
        lp_regex_free(a->regex);
        *a = (struct atom){.kind = ATOM_LITERAL, .needle = LP_STR_NULL};
    }
    return LP_OK;
}

/* How many atoms an operand becomes: a regex that is a short list of literals becomes one for each. */
static size_t
atoms_of(enum lp_line_op op, const struct lp_line_operand *o)
{
    if (op != LP_LINE_RE && op != LP_LINE_NOT_RE) {
        return 1;
    }
    size_t n = lp_str_eqc(o->text, ".*") ? 1 : lp_literals_count(o->text);
    return n > 0 && (n <= LITERALS_MAX || o->text.n > LP_REGEX_PATTERN_MAX) ? n : 1;
}

static lp_rc
regex_operand(struct lp_linefilter *f, struct clause *c, struct lp_str text, size_t n, struct lp_err *err)
{
    struct atom *atoms = &c->atoms[c->natoms];
    if (lp_str_eqc(text, ".*")) {
        text = LP_STR(""); /* it matches the empty text anywhere */
    }
    size_t literals = lp_literals_count(text);
    if (literals != n) {
        c->natoms++;
        return regex_atom(atoms, text, err);
    }
    struct lp_str *list = lp_arena_array(&f->ar, n, sizeof(*list));
    if (list == NULL || !lp_literals_list(text, &f->ar, list, n)) {
        return spent(err);
    }
    for (size_t i = 0; i < n; i++) {
        atoms[i] = (struct atom){.kind = ATOM_LITERAL, .needle = list[i]};
    }
    c->natoms += n;
    return LP_OK;
}

static lp_rc
operand(struct lp_linefilter *f, struct clause *c, enum lp_line_op op, const struct lp_line_operand *o,
        struct lp_err *err)
{
    struct lp_str text;
    if (!lp_arena_str(&f->ar, o->text, &text)) {
        return spent(err);
    }
    if (op == LP_LINE_RE || op == LP_LINE_NOT_RE) {
        return regex_operand(f, c, text, atoms_of(op, o), err);
    }
    struct atom *a = &c->atoms[c->natoms++];
    if (o->is_ip) {
        a->kind = ATOM_IP;
        return lp_ip_set_parse(text, &a->ip, err);
    }
    if (op == LP_LINE_PATTERN || op == LP_LINE_NOT_PATTERN) {
        a->kind = ATOM_PATTERN;
        return lp_pattern_parse(text, LP_PATTERN_LINE, &f->ar, &a->pattern, err);
    }
    a->kind = ATOM_LITERAL;
    a->needle = text;
    return LP_OK;
}

/* Does an atom match every line, so that the clause is the same for all? */
static bool
is_constant(const struct clause *c)
{
    for (size_t i = 0; i < c->natoms; i++) {
        if (c->atoms[i].kind == ATOM_LITERAL && c->atoms[i].needle.n == 0) {
            return true;
        }
    }
    return false;
}

static unsigned
atom_cost(const struct atom *a)
{
    if (a->kind != ATOM_REGEX) {
        return (unsigned)a->kind * 2;
    }
    const struct lp_regex_need *need = lp_regex_needs(a->regex);
    return need->exact ? ATOM_LITERAL * 2 + 1 : ATOM_REGEX * 2 + (need->n == 0);
}

static unsigned
clause_cost(const struct clause *c)
{
    unsigned worst = 0;
    for (size_t i = 0; i < c->natoms; i++) {
        worst = LP_MAX(worst, atom_cost(&c->atoms[i]));
    }
    /* a filter that must find something rejects more lines than one that must not */
    return worst * 4 + (c->natoms > 1 ? 2 : 0) + (c->negative ? 1 : 0);
}

static lp_rc
add_clause(struct lp_linefilter *f, const struct lp_line_filter *from, struct lp_err *err)
{
    struct clause *c = &f->clauses[f->nclauses];
    size_t natoms = 0;
    for (size_t i = 0; i < from->noperands; i++) {
        natoms += atoms_of(from->op, &from->operands[i]);
    }
    c->negative = lp_line_op_negative(from->op);
    c->atoms = lp_arena_zalloc(&f->ar, natoms * sizeof(*c->atoms));
    if (c->atoms == NULL) {
        return spent(err);
    }
    f->nclauses++; /* from here on its regexes are freed with f */
    lp_rc rc = LP_OK;
    for (size_t i = 0; rc == LP_OK && i < from->noperands; i++) {
        rc = operand(f, c, from->op, &from->operands[i], err);
    }
    c->cost = clause_cost(c);
    return rc;
}

static void
free_regexes(struct clause *c)
{
    for (size_t i = 0; i < c->natoms; i++) {
        if (c->atoms[i].kind == ATOM_REGEX) {
            lp_regex_free(c->atoms[i].regex);
        }
    }
    c->natoms = 0;
}

/* Takes out the clauses that hold for every line, or notes that one holds for none. */
static void
drop_constant(struct lp_linefilter *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->nclauses; i++) {
        struct clause *c = &f->clauses[i];
        if (is_constant(c)) {
            f->never |= c->negative;
            free_regexes(c);
        } else {
            f->clauses[kept++] = *c;
        }
    }
    f->nclauses = kept;
}

/* Of equal cost: the longer literal is the rarer one. */
static int
compare_clauses(const void *a, const void *b)
{
    const struct clause *x = a, *y = b;
    if (x->cost != y->cost) {
        return x->cost < y->cost ? -1 : 1;
    }
    size_t nx = x->atoms[0].needle.n, ny = y->atoms[0].needle.n;
    return nx > ny ? -1 : nx < ny;
}

/* ---------------------------------------------------------------- predicate */

/* How many clauses an atom requires of a line. */
static size_t
required_clauses(const struct atom *a)
{
    switch (a->kind) {
    case ATOM_LITERAL:
        return 1;
    case ATOM_PATTERN:
        return a->pattern.nparts;
    case ATOM_IP:
        return 0;
    case ATOM_REGEX:
        return lp_regex_needs(a->regex)->n;
    }
    return 0;
}

/* Fills in the needles of the i-th one and returns how many; 0 for one that requires nothing after all. */
static size_t
required_needles(const struct atom *a, size_t i, struct lp_needle needles[LP_REGEX_CLAUSE_MAX])
{
    if (a->kind == ATOM_REGEX) {
        const struct lp_regex_clause *c = &lp_regex_needs(a->regex)->clauses[i];
        for (size_t k = 0; k < c->n; k++) {
            needles[k] = (struct lp_needle){.text = c->lits[k].text, .icase = c->lits[k].icase};
        }
        return c->n;
    }
    struct lp_str text = a->kind == ATOM_LITERAL          ? a->needle
                         : a->pattern.parts[i].is_capture ? LP_STR_NULL
                                                          : a->pattern.parts[i].text;
    needles[0] = (struct lp_needle){.text = text};
    return text.n > 0;
}

/* Are the clauses that it requires the whole question? */
static bool
atom_exact(const struct atom *a)
{
    return a->kind == ATOM_LITERAL || (a->kind == ATOM_REGEX && lp_regex_needs(a->regex)->exact);
}

/* The required clause that says most: a regex's first, a pattern's longest. */
static size_t
best_needles(const struct atom *a, struct lp_needle needles[LP_REGEX_CLAUSE_MAX])
{
    size_t best = 0;
    for (size_t i = 1; a->kind == ATOM_PATTERN && i < a->pattern.nparts; i++) {
        const struct lp_pattern_part *part = &a->pattern.parts[i], *old = &a->pattern.parts[best];
        best = !part->is_capture && (old->is_capture || part->text.n > old->text.n) ? i : best;
    }
    return required_clauses(a) > 0 ? required_needles(a, best, needles) : 0;
}

/* The predicate under construction. */
struct pred {
    struct lp_arena *ar;
    struct lp_clause *clauses;
    size_t n, cap;
    bool exact, spent;
};

static void
add_needles(struct pred *p, const struct lp_needle *needles, size_t n, bool negative)
{
    if (n == 0 || p->n == PRED_CLAUSES_MAX) {
        p->exact = false;
        return;
    }
    struct lp_clause *clauses = lp_arena_grow(p->ar, p->clauses, &p->cap, p->n + 1, sizeof(*clauses));
    struct lp_needle *copy = lp_arena_array(p->ar, n, sizeof(*copy));
    if (clauses == NULL || copy == NULL) {
        p->spent = true;
        return;
    }
    memcpy(copy, needles, n * sizeof(*copy));
    p->clauses = clauses;
    p->clauses[p->n++] = (struct lp_clause){.needles = copy, .n = n, .negative = negative};
}

/* A clause of several atoms, or a negative one: of each atom what says most, in one list. */
static void
add_union(struct pred *p, const struct clause *c)
{
    struct lp_needle needles[NEEDLES_MAX + LP_REGEX_CLAUSE_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->natoms; i++) {
        size_t more = best_needles(&c->atoms[i], &needles[n]);
        n += more;
        if (more == 0 || n > NEEDLES_MAX) {
            p->exact = false;
            return;
        }
    }
    add_needles(p, needles, n, c->negative);
}

static void
add_required(struct pred *p, const struct clause *c)
{
    struct lp_needle needles[LP_REGEX_CLAUSE_MAX];
    for (size_t i = 0; i < c->natoms; i++) {
        p->exact = p->exact && atom_exact(&c->atoms[i]);
    }
    if (c->negative || c->natoms > 1) {
        add_union(p, c);
        return;
    }
    for (size_t i = 0; i < required_clauses(&c->atoms[0]); i++) {
        size_t n = required_needles(&c->atoms[0], i, needles);
        if (n > 0) {
            add_needles(p, needles, n, false);
        }
    }
}

/* False when the arena is spent. */
static bool
make_pred(struct lp_linefilter *f)
{
    struct pred p = {.ar = &f->ar, .exact = !f->never};
    for (size_t i = 0; i < f->nclauses; i++) {
        add_required(&p, &f->clauses[i]);
    }
    size_t kept = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (p.exact || !p.clauses[i].negative) { /* a negative one says nothing unless all is said */
            p.clauses[kept++] = p.clauses[i];
        }
    }
    f->pred = (struct lp_linepred){.clauses = p.clauses, .n = kept, .exact = p.exact};
    return !p.spent;
}

const struct lp_linepred *
lp_linefilter_pred(const struct lp_linefilter *f)
{
    return &f->pred;
}

size_t
lp_linefilter_run(const struct lp_stage *stages, size_t n)
{
    size_t i = 0;
    while (i < n && stages[i].kind == LP_STAGE_LINE_FILTER) {
        i++;
    }
    return i;
}

lp_rc
lp_linefilter_new(const struct lp_stage *stages, size_t n, struct lp_linefilter **ret, struct lp_err *err)
{
    struct lp_linefilter *f = lp_calloc(1, sizeof(*f));
    lp_arena_init(&f->ar, ARENA_BYTES, 0);
    lp_rc rc = LP_OK;
    f->clauses = lp_arena_zalloc(&f->ar, n * sizeof(*f->clauses));
    if (f->clauses == NULL) {
        rc = spent(err);
    }
    for (size_t i = 0; rc == LP_OK && i < n; i++) {
        LP_ASSERT(stages[i].kind == LP_STAGE_LINE_FILTER);
        rc = add_clause(f, &stages[i].line, err);
    }
    if (rc != LP_OK) {
        lp_linefilter_free(f);
        return rc;
    }
    drop_constant(f);
    qsort(f->clauses, f->nclauses, sizeof(*f->clauses), compare_clauses);
    if (!make_pred(f)) {
        lp_linefilter_free(f);
        return spent(err);
    }
    *ret = f;
    return LP_OK;
}

void
lp_linefilter_free(struct lp_linefilter *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->nclauses; i++) {
        free_regexes(&f->clauses[i]);
    }
    lp_arena_clear(&f->ar);
    lp_free(f);
}

/* ------------------------------------------------------------------ running */

static bool
atom_matches(const struct atom *a, struct lp_str line)
{
    switch (a->kind) {
    case ATOM_LITERAL:
        return lp_find(line, a->needle) != SIZE_MAX;
    case ATOM_PATTERN:
        return lp_pattern_test(&a->pattern, line);
    case ATOM_IP:
        return lp_ip_set_find(&a->ip, line);
    case ATOM_REGEX:
        return lp_regex_search(a->regex, line); /* which asks for its literals first */
    }
    return false;
}

static bool
clause_holds(const struct clause *c, struct lp_str line)
{
    for (size_t i = 0; i < c->natoms; i++) {
        if (atom_matches(&c->atoms[i], line)) {
            return !c->negative;
        }
    }
    return c->negative;
}

bool
lp_linefilter_match(const struct lp_linefilter *f, struct lp_str line)
{
    if (f->never) {
        return false;
    }
    for (size_t i = 0; i < f->nclauses; i++) {
        if (!clause_holds(&f->clauses[i], line)) {
            return false;
        }
    }
    return true;
}

bool
lp_linefilter_passes_all(const struct lp_linefilter *f)
{
    return f->nclauses == 0 && !f->never;
}

bool
lp_linefilter_passes_none(const struct lp_linefilter *f)
{
    return f->never;
}
