/*
 * pattern.c - parsing and matching capture patterns. Pure but for the arena; no recursion, no backtracking.
 */
#include "query/pattern.h"

#include "query/text.h"

/* Bytes of the capture <name> at the start of s, 0 if there is none. */
static size_t
capture_at(struct lp_str s)
{
    if (s.n < 3 || s.p[0] != '<') {
        return 0;
    }
    size_t n = 1;
    while (n < s.n && lp_text_name_byte(s.p[n], n == 1)) {
        n++;
    }
    return n > 1 && n < s.n && s.p[n] == '>' ? n + 1 : 0;
}

static bool
is_named(const struct lp_pattern_part *part)
{
    return part->is_capture && !lp_str_eqc(part->text, "_");
}

static struct lp_pattern_part
next_part(struct lp_str *rest)
{
    size_t n = capture_at(*rest);
    struct lp_pattern_part part = {.is_capture = n > 0};
    if (part.is_capture) {
        part.text = lp_str_sub(*rest, 1, n - 1);
    } else {
        for (n = 1; n < rest->n && (rest->p[n] != '<' || capture_at(lp_str_sub(*rest, n, rest->n)) == 0);
             n++) {
        }
        part.text = lp_str_sub(*rest, 0, n);
    }
    *rest = lp_str_sub(*rest, n, rest->n);
    return part;
}

static lp_rc
check_parts(const struct lp_pattern *p, enum lp_pattern_use use, struct lp_err *err)
{
    char room[64], room2[64];
    if (use == LP_PATTERN_STAGE && p->nnames == 0) {
        return lp_err_set(err, LP_ERR_PARSE, "at least one capture is required, like <name>");
    }
    for (size_t i = 0; i < p->nparts; i++) {
        const struct lp_pattern_part *a = &p->parts[i];
        const char *name = lp_text_clip(a->text, 40, room);
        if (use == LP_PATTERN_LINE && is_named(a)) {
            return lp_err_set(err, LP_ERR_PARSE, "named captures are not allowed here, write <_> for <%s>",
                              name);
        }
        if (i > 0 && a->is_capture && p->parts[i - 1].is_capture) {
            return lp_err_set(err, LP_ERR_PARSE,
                              "found consecutive captures '<%s><%s>': put text between them",
                              lp_text_clip(p->parts[i - 1].text, 40, room2), name);
        }
    }
    return LP_OK;
}

/* Names are few; a pattern of 128 KiB holds some thousands at most. */
static lp_rc
check_names(const struct lp_pattern *p, struct lp_err *err)
{
    char room[64];
    for (size_t i = 0; i < p->nparts; i++) {
        for (size_t k = 0; is_named(&p->parts[i]) && k < i; k++) {
            if (is_named(&p->parts[k]) && lp_str_eq(p->parts[i].text, p->parts[k].text)) {
                return lp_err_set(err, LP_ERR_PARSE, "duplicate capture name <%s>",
                                  lp_text_clip(p->parts[i].text, 40, room));
            }
        }
    }
    return LP_OK;
}

#define PARTS_MAX 2000

lp_rc
lp_pattern_parse(struct lp_str text, enum lp_pattern_use use, struct lp_arena *ar, struct lp_pattern *ret,
                 struct lp_err *err)
{
    struct lp_pattern p = {.parts = NULL};
    size_t cap = 0;
    while (text.n > 0) {
        struct lp_pattern_part part = next_part(&text);
        if (p.nparts >= PARTS_MAX) {
            return lp_err_set(err, LP_ERR_LIMIT, "a pattern has more than %d parts", PARTS_MAX);
        }
        struct lp_pattern_part *grown = lp_arena_grow(ar, p.parts, &cap, p.nparts + 1, sizeof(*grown));
        if (grown == NULL) {
            return lp_err_set(err, LP_ERR_LIMIT, "the query needs more memory than it may have");
        }
        p.parts = grown;
        p.parts[p.nparts++] = part;
        p.nnames += is_named(&part);
    }
    lp_rc rc = check_parts(&p, use, err);
    if (rc == LP_OK) {
        rc = check_names(&p, err);
    }
    if (rc == LP_OK) {
        *ret = p;
    }
    return rc;
}

bool
lp_pattern_test(const struct lp_pattern *p, struct lp_str line)
{
    if (line.n == 0 || p->nparts == 0) {
        return line.n == 0 && p->nparts == 0;
    }
    struct lp_str rest = line;
    for (size_t i = 0; i < p->nparts; i++) {
        if (p->parts[i].is_capture) {
            continue;
        }
        struct lp_str literal = p->parts[i].text;
        size_t at = i == 0 ? (lp_str_starts(rest, literal) ? 0 : SIZE_MAX) : lp_str_find(rest, literal);
        if (at == SIZE_MAX || (i > 0 && at == 0)) {
            return false; /* not there, or nothing left for the capture before it */
        }
        rest = lp_str_sub(rest, at + literal.n, rest.n);
    }
    return p->parts[p->nparts - 1].is_capture == (rest.n > 0);
}

size_t
lp_pattern_captures(const struct lp_pattern *p, struct lp_str line, struct lp_str *values)
{
    size_t n = 0, i = 0;
    struct lp_str rest = line;
    if (line.n == 0 || p->nparts == 0) {
        return 0;
    }
    if (!p->parts[0].is_capture) {
        if (!lp_str_starts(rest, p->parts[0].text)) {
            return 0;
        }
        rest = lp_str_sub(rest, p->parts[0].text.n, rest.n);
        i = 1;
    }
    for (; i < p->nparts; i += 2) { /* a capture, and the literal behind it unless it is the last */
        bool last = i + 1 == p->nparts;
        size_t at = last ? SIZE_MAX : lp_str_find(rest, p->parts[i + 1].text);
        if (is_named(&p->parts[i])) {
            values[n++] = lp_str_sub(rest, 0, at);
        }
        if (at == SIZE_MAX) {
            break;
        }
        rest = lp_str_sub(rest, at + p->parts[i + 1].text.n, rest.n);
    }
    return n;
}
