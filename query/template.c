/*
 * template.c - the door to templates: making one, asking what it reads, running it.
 *
 * A template is immutable but for one thing: `json`, a parser that a run takes out and puts back, both
 * atomically, so that rows need not make one each.
 */
#include "base/json.h"
#include "base/regex.h"
#include "query/template_int.h"

#define ARENA_BYTES (16u << 20) /* of the tree */

/* ------------------------------------------------------------------ making */

lp_rc
lp_template_new_named(struct lp_str name, struct lp_str text, struct lp_template **ret, struct lp_err *err)
{
    if (text.n > LP_TEMPLATE_BYTES_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "the template is longer than %u bytes", LP_TEMPLATE_BYTES_MAX);
    }
    struct lp_template *t = lp_calloc(1, sizeof(*t));
    lp_arena_init(&t->ar, ARENA_BYTES, 0);
    lp_rc rc = lp_arena_str(&t->ar, text, &t->text) && lp_arena_str(&t->ar, name, &t->name)
                   ? lp_template_parse(t, err)
                   : lp_err_set(err, LP_ERR_LIMIT, "no memory for a template");
    if (rc != LP_OK) {
        lp_template_free(t);
        return rc;
    }
    *ret = t;
    return LP_OK;
}

lp_rc
lp_template_new(struct lp_str text, struct lp_template **ret, struct lp_err *err)
{
    return lp_template_new_named(LP_STR("line"), text, ret, err);
}

void
lp_template_free(struct lp_template *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->nowners; i++) {
        lp_regex_free(t->owners[i]->regex);
        lp_zone_free(t->owners[i]->zone);
    }
    lp_json_parser_free(t->json);
    lp_arena_clear(&t->ar);
    lp_free(t);
}

struct lp_json_parser *
lp_template_json(const struct lp_template *t)
{
    struct lp_template *shared = (struct lp_template *)(uintptr_t)t;
    struct lp_json_parser *p = __atomic_exchange_n(&shared->json, NULL, __ATOMIC_ACQ_REL);
    return p != NULL ? p : lp_json_parser_new();
}

void
lp_template_json_done(const struct lp_template *t, struct lp_json_parser *p)
{
    struct lp_template *shared = (struct lp_template *)(uintptr_t)t;
    lp_json_parser_free(__atomic_exchange_n(&shared->json, p, __ATOMIC_ACQ_REL));
}

/* ------------------------------------------------------------------ asking */

bool
lp_template_reads(const struct lp_template *t, struct lp_str label)
{
    size_t low = 0, high = t->nreads;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = lp_str_cmp(t->reads[mid], label);
        if (cmp == 0) {
            return true;
        }
        low = cmp < 0 ? mid + 1 : low;
        high = cmp < 0 ? high : mid;
    }
    return t->reads_all;
}

bool
lp_template_is_const(const struct lp_template *t, struct lp_str *ret)
{
    const struct lp_tnode *body = t->main->body;
    if (body != NULL && (body->kind != TN_TEXT || body->next != NULL)) {
        return false;
    }
    *ret = body != NULL ? body->text : LP_STR("");
    return true;
}

/* ------------------------------------------------------------------ running */

lp_rc
lp_template_run(const struct lp_template *t, const struct lp_template_row *row, struct lp_arena *scratch,
                struct lp_buf *out, struct lp_err *err)
{
    const struct lp_tval labels = {.kind = TV_LABELS, .labels = {row->labels, row->nlabels}};
    struct lp_trun x; /* not cleared as a whole: it is large, and most of it often unused */
    x.t = t;
    x.row = row;
    x.ar = scratch;
    x.out = out;
    x.err = err;
    x.rc = LP_OK;
    x.def = t->main;
    x.at = NULL;
    x.slots = x.first_slots;
    x.slots_cap = LP_TRUN_SLOTS;
    x.nslots = x.base = 0;
    x.depth = 0;
    x.steps = LP_TEMPLATE_STEPS_MAX;
    x.nregexes = x.nzones = 0;
    if (lp_trun_push(&x, LP_TVAR_ROOT, &labels)) {
        lp_trun_walk(&x, &labels, t->main->body);
    }
    for (size_t i = 0; i < x.nregexes; i++) {
        lp_regex_free(x.regexes[i].re);
    }
    for (size_t i = 0; i < x.nzones; i++) {
        lp_zone_free(x.zones[i].zone);
    }
    return x.rc;
}
