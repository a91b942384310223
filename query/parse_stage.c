/*
 * parse_stage.c - what stands behind "|" in a pipeline: parsers, formats, drop and keep. Label filters are in
 * parse_log.c.
 */
#include "query/parse_int.h"
#include "query/path.h"
#include "query/text.h"

/* name="expr" or name */
static bool
extract_item(struct lp_parser *ps, bool json, struct lp_extract *x)
{
    *x = (struct lp_extract){.pos = ps->tok.pos};
    if (!lp_ps_name(ps, &x->name)) {
        return false;
    }
    x->expr = x->name;
    if (lp_ps_accept(ps, LP_TOK_EQ) && !lp_ps_string(ps, &x->expr)) {
        return false;
    }
    if (ps->rc != LP_OK) {
        return false;
    }
    struct lp_err err;
    lp_err_clear(&err);
    lp_rc rc = json ? lp_path_json(x->expr, ps->ar, &x->steps, &x->nsteps, &err)
                    : lp_path_logfmt(x->expr, ps->ar, &x->steps, &x->nsteps, &err);
    if (rc == LP_ERR_PARSE) {
        char room[64];
        return lp_ps_fail(ps, x->pos, "cannot parse the expression of %s: %s",
                          lp_text_clip(x->name, 48, room), err.text);
    }
    return rc == LP_OK || lp_ps_limit(ps, err.text);
}

static bool
extracts(struct lp_parser *ps, bool json, struct lp_parser_args *args)
{
    size_t cap = 0;
    do {
        struct lp_extract *x = lp_ps_grow(ps, args->extracts, &cap, args->nextracts, sizeof(*x));
        if (x == NULL || !extract_item(ps, json, &x[args->nextracts])) {
            return false;
        }
        args->extracts = x;
        args->nextracts++;
    } while (lp_ps_accept(ps, LP_TOK_COMMA));
    return ps->rc == LP_OK;
}

static bool
json_or_logfmt(struct lp_parser *ps, struct lp_stage *s)
{
    bool json = ps->tok.kind == LP_TOK_JSON;
    s->kind = json ? LP_STAGE_JSON : LP_STAGE_LOGFMT;
    if (!lp_ps_next(ps)) {
        return false;
    }
    while (!json && (ps->tok.kind == LP_TOK_STRICT || ps->tok.kind == LP_TOK_KEEP_EMPTY)) {
        s->parser.strict |= ps->tok.kind == LP_TOK_STRICT;
        s->parser.keep_empty |= ps->tok.kind == LP_TOK_KEEP_EMPTY;
        if (!lp_ps_next(ps)) {
            return false;
        }
    }
    return ps->tok.kind != LP_TOK_IDENT || extracts(ps, json, &s->parser);
}

/* A keyword and its string. */
static bool
text_stage(struct lp_parser *ps, struct lp_stage *s, enum lp_stage_kind kind)
{
    s->kind = kind;
    return lp_ps_next(ps) && lp_ps_string(ps, &s->text);
}

static bool
word_stage(struct lp_parser *ps, struct lp_stage *s, enum lp_stage_kind kind)
{
    s->kind = kind;
    return lp_ps_next(ps);
}

static bool
label_format_item(struct lp_parser *ps, struct lp_label_fmt *f)
{
    *f = (struct lp_label_fmt){.pos = ps->tok.pos};
    if (!lp_ps_name(ps, &f->name) || !lp_ps_expect(ps, LP_TOK_EQ, NULL)) {
        return false;
    }
    f->is_template = ps->tok.kind == LP_TOK_STRING;
    f->value = f->is_template ? ps->tok.str : ps->tok.text;
    if (!f->is_template && ps->tok.kind != LP_TOK_IDENT) {
        return lp_ps_unexpected(ps, "another label's name or a quoted template");
    }
    return lp_ps_next(ps);
}

static bool
label_format(struct lp_parser *ps, struct lp_stage *s)
{
    size_t cap = 0;
    s->kind = LP_STAGE_LABEL_FORMAT;
    if (!lp_ps_next(ps)) {
        return false;
    }
    do {
        struct lp_label_fmt *f = lp_ps_grow(ps, s->formats.items, &cap, s->formats.n, sizeof(*f));
        if (f == NULL || !label_format_item(ps, &f[s->formats.n])) {
            return false;
        }
        s->formats.items = f;
        s->formats.n++;
    } while (lp_ps_accept(ps, LP_TOK_COMMA));
    return ps->rc == LP_OK;
}

/* A name, or a name with a matcher; the name is in hand. */
static bool
pick_item(struct lp_parser *ps, struct lp_label_pick *p)
{
    enum lp_tok behind = lp_ps_peek(ps);
    *p = (struct lp_label_pick){.match.pos = ps->tok.pos};
    p->has_value = behind == LP_TOK_EQ || behind == LP_TOK_NEQ || behind == LP_TOK_RE || behind == LP_TOK_NRE;
    return p->has_value ? lp_ps_matcher(ps, &p->match) : lp_ps_name(ps, &p->match.name);
}

static bool
drop_or_keep(struct lp_parser *ps, struct lp_stage *s)
{
    size_t cap = 0;
    s->kind = ps->tok.kind == LP_TOK_DROP ? LP_STAGE_DROP : LP_STAGE_KEEP;
    if (!lp_ps_next(ps)) {
        return false;
    }
    do {
        struct lp_label_pick *p = lp_ps_grow(ps, s->picks.items, &cap, s->picks.n, sizeof(*p));
        if (p == NULL || !pick_item(ps, &p[s->picks.n])) {
            return false;
        }
        s->picks.items = p;
        s->picks.n++;
    } while (lp_ps_accept(ps, LP_TOK_COMMA));
    return ps->rc == LP_OK;
}

bool
lp_ps_stage(struct lp_parser *ps, struct lp_stage *s)
{
    switch ((int)ps->tok.kind) {
    case LP_TOK_JSON:
    case LP_TOK_LOGFMT:
        return json_or_logfmt(ps, s);
    case LP_TOK_REGEXP:
        return text_stage(ps, s, LP_STAGE_REGEXP);
    case LP_TOK_PATTERN:
        return text_stage(ps, s, LP_STAGE_PATTERN);
    case LP_TOK_UNPACK:
        return word_stage(ps, s, LP_STAGE_UNPACK);
    case LP_TOK_LINE_FORMAT:
        return text_stage(ps, s, LP_STAGE_LINE_FORMAT);
    case LP_TOK_LABEL_FORMAT:
        return label_format(ps, s);
    case LP_TOK_DECOLORIZE:
        return word_stage(ps, s, LP_STAGE_DECOLORIZE);
    case LP_TOK_DROP:
    case LP_TOK_KEEP:
        return drop_or_keep(ps, s);
    case LP_TOK_IDENT:
    case LP_TOK_LPAREN:
        s->kind = LP_STAGE_LABEL_FILTER;
        s->filter = lp_ps_label_filter(ps, 0);
        return s->filter != NULL;
    default:
        return lp_ps_unexpected(
            ps, "a stage: json, logfmt, regexp, pattern, unpack, line_format, label_format, decolorize, "
                "drop, keep or a label filter");
    }
}
