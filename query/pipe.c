/*
 * pipe.c - stages compiled, and run on a row.
 *
 * What a stage needs is made once; a row costs no memory from the system, but for buffers that grow to what
 * the largest row needs. Line filters that follow each other become one test. A parser of whose labels nobody
 * behind it needs one is left out, as Loki does, and with it the errors it would have found.
 */
#include "query/pipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "query/exec_int.h"
#include "query/level.h"
#include "query/pipe_int.h"
#include "query/text.h"

#define ROW_BYTES_MAX (64u << 20) /* memory of one row on its way */
#define TEXT_BYTES_MAX (32u << 20)
#define PROG_BYTES_MAX (16u << 20)

/* ------------------------------------------------------------------ compiling */

static lp_rc
spent(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT, "the query is too large");
}

static bool
mention(struct lp_pipe_prog *p, struct lp_str name)
{
    struct lp_pipe_names *m = &p->mentioned;
    for (size_t i = 0; i < m->n; i++) {
        if (lp_str_eq(m->v[i], name)) {
            return true;
        }
    }
    struct lp_str *grown = lp_arena_grow(&p->ar, m->v, &m->cap, m->n + 1, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    m->v = grown;
    m->v[m->n++] = name;
    return true;
}

static lp_rc
new_template(struct lp_pipe_prog *p, const char *name, struct lp_str text, struct lp_template **ret,
             struct lp_err *err)
{
    const struct lp_template **grown =
        lp_arena_grow(&p->ar, p->templates, &p->templates_cap, p->ntemplates + 1, sizeof(*grown));
    if (grown == NULL) {
        return spent(err);
    }
    p->templates = grown;
    lp_rc rc = lp_template_new_named(lp_str_c(name), text, ret, err);
    if (rc == LP_OK) {
        p->templates[p->ntemplates++] = *ret;
    }
    return rc;
}

/* Recursion is bounded by the depth of the tree. */
static lp_rc
new_filter(struct lp_pipe_prog *p, const struct lp_label_filter *f, const struct lp_pipe_filter **ret,
           struct lp_err *err)
{
    struct lp_pipe_filter *c = lp_arena_zalloc(&p->ar, sizeof(*c));
    lp_rc rc = LP_OK;
    if (c == NULL) {
        return spent(err);
    }
    c->f = f;
    *ret = c;
    if (f->kind == LP_LF_AND || f->kind == LP_LF_OR) {
        rc = new_filter(p, f->left, &c->left, err);
        return rc == LP_OK ? new_filter(p, f->right, &c->right, err) : rc;
    }
    if (f->kind == LP_LF_MATCH) {
        rc = lp_matchers_new(&f->match, 1, &c->match, err);
    } else if (f->kind == LP_LF_IP) {
        rc = lp_ip_set_parse(f->text, &c->ip, err);
    }
    if (rc == LP_OK && !mention(p, f->kind == LP_LF_MATCH ? f->match.name : f->name)) {
        rc = spent(err);
    }
    return rc;
}

static void
free_filter(const struct lp_pipe_filter *f)
{
    if (f != NULL) {
        free_filter(f->left);
        free_filter(f->right);
        lp_matchers_free(f->match);
    }
}

static lp_rc
compile_regexp(struct lp_pipe_prog *p, struct lp_pipe_step *s, struct lp_err *err)
{
    struct lp_buf name;
    lp_rc rc = lp_regex_new(s->stage->text, &s->regex, err);
    if (rc != LP_OK) {
        return rc;
    }
    s->groups = lp_regex_groups(s->regex);
    if (s->groups >= LP_REGEX_GROUPS_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "a regexp stage has more than %d groups",
                          LP_REGEX_GROUPS_MAX - 1);
    }
    s->names = lp_arena_array(&p->ar, (size_t)s->groups + 1, sizeof(*s->names));
    lp_buf_init(&name, LP_REGEX_PATTERN_MAX);
    for (int i = 1; i <= s->groups && s->names != NULL && rc == LP_OK; i++) {
        lp_buf_reset(&name);
        lp_field_name(lp_regex_group_name(s->regex, i), &name);
        rc = lp_arena_str(&p->ar, lp_buf_view(&name), &s->names[i]) ? LP_OK : spent(err);
    }
    lp_buf_clear(&name);
    return s->names != NULL ? rc : spent(err);
}

static lp_rc
compile_pattern(struct lp_pipe_prog *p, struct lp_pipe_step *s, struct lp_err *err)
{
    size_t n = 0;
    lp_rc rc = lp_pattern_parse(s->stage->text, LP_PATTERN_STAGE, &p->ar, &s->pattern, err);
    if (rc != LP_OK) {
        return rc;
    }
    s->names = lp_arena_array(&p->ar, s->pattern.nnames, sizeof(*s->names));
    for (size_t i = 0; i < s->pattern.nparts && s->names != NULL; i++) {
        const struct lp_pattern_part *part = &s->pattern.parts[i];
        if (part->is_capture && !lp_str_eqc(part->text, "_")) {
            s->names[n++] = part->text;
        }
    }
    return s->names != NULL ? LP_OK : spent(err);
}

static lp_rc
compile_formats(struct lp_pipe_prog *p, struct lp_pipe_step *s, struct lp_err *err)
{
    const struct lp_label_fmts *f = &s->stage->formats;
    lp_rc rc = LP_OK;
    s->formats = lp_arena_zalloc(&p->ar, f->n * sizeof(*s->formats));
    if (s->formats == NULL) {
        return spent(err);
    }
    for (; s->n < f->n && rc == LP_OK; s->n += rc == LP_OK) {
        const struct lp_label_fmt *from = &f->items[s->n];
        struct lp_pipe_format *to = &s->formats[s->n];
        to->name = from->name;
        if (from->is_template) {
            rc = new_template(p, "label", from->value, &to->text, err);
        } else {
            to->from = from->value;
            rc = mention(p, from->value) ? LP_OK : spent(err);
        }
    }
    return rc;
}

static lp_rc
compile_picks(struct lp_pipe_prog *p, struct lp_pipe_step *s, struct lp_err *err)
{
    const struct lp_label_picks *f = &s->stage->picks;
    lp_rc rc = LP_OK;
    s->picks = lp_arena_zalloc(&p->ar, f->n * sizeof(*s->picks));
    if (s->picks == NULL) {
        return spent(err);
    }
    for (; s->n < f->n && rc == LP_OK; s->n += rc == LP_OK) {
        const struct lp_label_pick *from = &f->items[s->n];
        s->picks[s->n].name = from->match.name;
        if (from->has_value) {
            rc = lp_matchers_new(&from->match, 1, &s->picks[s->n].match, err);
            rc = rc == LP_OK && !mention(p, from->match.name) ? spent(err) : rc;
        }
    }
    return rc;
}

static lp_rc
compile_step(struct lp_pipe_prog *p, struct lp_pipe_step *s, struct lp_err *err)
{
    switch (s->stage->kind) {
    case LP_STAGE_REGEXP:
        return compile_regexp(p, s, err);
    case LP_STAGE_PATTERN:
        return compile_pattern(p, s, err);
    case LP_STAGE_LABEL_FILTER:
        p->filters = true;
        return new_filter(p, s->stage->filter, &s->filter, err);
    case LP_STAGE_LINE_FORMAT:
        return new_template(p, "line", s->stage->text, &s->text, err);
    case LP_STAGE_LABEL_FORMAT:
        return compile_formats(p, s, err);
    case LP_STAGE_DROP:
    case LP_STAGE_KEEP:
        return compile_picks(p, s, err);
    case LP_STAGE_LINE_FILTER:
    case LP_STAGE_LOGFMT:
    case LP_STAGE_JSON:
    case LP_STAGE_UNPACK:
    case LP_STAGE_DECOLORIZE:
        break;
    }
    return LP_OK;
}

/* What a template or another text of a stage says of itself, with where the stage is. */
static lp_rc
say_where(lp_rc rc, const struct lp_stage *stage, struct lp_err *err)
{
    return rc == LP_ERR_PARSE
               ? lp_err_prefix(err, rc, "parse error at line %u, col %u", stage->pos.line, stage->pos.col)
               : rc;
}

static lp_rc
compile_stages(struct lp_pipe_prog *p, const struct lp_log_query *log, size_t from, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    p->steps = lp_arena_zalloc(&p->ar, (log->nstages - from) * sizeof(*p->steps));
    if (p->steps == NULL) {
        return spent(err);
    }
    for (size_t i = from, run; i < log->nstages && rc == LP_OK; i += LP_MAX(run, (size_t)1)) {
        struct lp_pipe_step *s = &p->steps[p->nsteps++];
        s->stage = &log->stages[i];
        run = lp_linefilter_run(log->stages + i, log->nstages - i);
        if (run > 0) {
            p->filters = true;
            rc = lp_linefilter_new(log->stages + i, run, &s->line, err);
        } else {
            rc = say_where(compile_step(p, s, err), s->stage, err);
        }
    }
    return rc;
}

static lp_rc
compile_unwrap(struct lp_pipe_prog *p, const struct lp_unwrap *u, struct lp_err *err)
{
    lp_rc rc = mention(p, u->name) ? LP_OK : spent(err);
    p->unwrap = u;
    p->filters = true;
    p->unwrap_filters = lp_arena_zalloc(&p->ar, u->nfilters * sizeof(const struct lp_pipe_filter *));
    if (p->unwrap_filters == NULL) {
        return spent(err);
    }
    for (size_t i = 0; i < u->nfilters && rc == LP_OK; i++) {
        rc = new_filter(p, u->filters[i], &p->unwrap_filters[i], err);
    }
    return rc;
}

static int
by_text(const void *a, const void *b)
{
    return lp_str_cmp(*(const struct lp_str *)a, *(const struct lp_str *)b);
}

static bool
copy_need(struct lp_pipe_prog *p, const struct lp_pipe_need *need)
{
    struct lp_str *names = lp_arena_array(&p->ar, need->n, sizeof(*names));
    if (names == NULL) {
        return false;
    }
    for (size_t i = 0; i < need->n; i++) {
        names[i] = need->names[i];
    }
    if (need->n > 1) {
        qsort(names, need->n, sizeof(*names), by_text);
    }
    p->need = (struct lp_pipe_need){need->all, names, need->n};
    return true;
}

static bool
is_listed(const struct lp_str *names, size_t n, struct lp_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (lp_str_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

bool
lp_pipe_wants(const struct lp_pipe_prog *p, struct lp_str name)
{
    bool wants = p->need.all || is_listed(p->need.names, p->need.n, name) ||
                 is_listed(p->mentioned.v, p->mentioned.n, name);
    for (size_t i = 0; i < p->ntemplates && !wants; i++) {
        wants = lp_template_reads(p->templates[i], name);
    }
    return wants;
}

bool
lp_pipe_may_want(const struct lp_pipe_prog *p, struct lp_str name)
{
    char longer[256 + sizeof(LP_EXTRACTED)];
    if (p->need.all || name.n > 256 || lp_pipe_wants(p, name)) {
        return true;
    }
    memcpy(longer, name.p, name.n);
    memcpy(longer + name.n, LP_EXTRACTED, sizeof(LP_EXTRACTED) - 1);
    return lp_pipe_wants(p, lp_str_of(longer, name.n + sizeof(LP_EXTRACTED) - 1));
}

static bool
is_parser(const struct lp_pipe_step *s)
{
    enum lp_stage_kind kind = s->stage->kind;
    return s->line == NULL && (kind == LP_STAGE_JSON || kind == LP_STAGE_LOGFMT || kind == LP_STAGE_REGEXP ||
                               kind == LP_STAGE_PATTERN || kind == LP_STAGE_UNPACK);
}

/* Nobody needs a label: takes the parsers out. unpack stays: it gives another line. */
static void
leave_out_parsers(struct lp_pipe_prog *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->nsteps; i++) {
        if (is_parser(&p->steps[i]) && p->steps[i].stage->kind != LP_STAGE_UNPACK) {
            lp_regex_free(p->steps[i].regex);
        } else {
            p->steps[kept++] = p->steps[i];
        }
    }
    p->nsteps = kept;
}

/* What follows from who looks at what. */
static void
settle(struct lp_pipe_prog *p)
{
    p->counted = !p->need.all && p->ntemplates == 0;
    p->ncounted = p->mentioned.n;
    for (size_t i = 0; i < p->need.n; i++) {
        p->ncounted += !is_listed(p->mentioned.v, p->mentioned.n, p->need.names[i]);
    }
    if (p->counted && p->ncounted == 0) {
        leave_out_parsers(p);
    }
    p->needs_level = lp_pipe_may_want(p, LP_STR(LP_LEVEL_LABEL));
}

lp_rc
lp_pipe_prog_new(const struct lp_log_query *log, size_t from, const struct lp_unwrap *unwrap,
                 const struct lp_pipe_need *need, struct lp_pipe_prog **ret, struct lp_err *err)
{
    struct lp_pipe_prog *p = lp_calloc(1, sizeof(*p));
    lp_arena_init(&p->ar, PROG_BYTES_MAX, 0);
    lp_rc rc = copy_need(p, need) ? LP_OK : spent(err);
    if (rc == LP_OK) {
        rc = compile_stages(p, log, from, err);
    }
    if (rc == LP_OK && unwrap != NULL) {
        rc = compile_unwrap(p, unwrap, err);
    }
    if (rc != LP_OK) {
        lp_pipe_prog_free(p);
        return rc;
    }
    settle(p);
    *ret = p;
    return LP_OK;
}

static void
free_step(struct lp_pipe_step *s)
{
    lp_linefilter_free(s->line);
    lp_regex_free(s->regex);
    free_filter(s->filter);
    lp_template_free(s->text);
    for (size_t i = 0; s->formats != NULL && i < s->stage->formats.n; i++) {
        lp_template_free(s->formats[i].text);
    }
    for (size_t i = 0; s->picks != NULL && i < s->stage->picks.n; i++) {
        lp_matchers_free(s->picks[i].match);
    }
}

void
lp_pipe_prog_free(struct lp_pipe_prog *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->nsteps; i++) {
        free_step(&p->steps[i]);
    }
    for (size_t i = 0; p->unwrap_filters != NULL && i < p->unwrap->nfilters; i++) {
        free_filter(p->unwrap_filters[i]);
    }
    lp_arena_clear(&p->ar);
    lp_free(p);
}

bool
lp_pipe_filters(const struct lp_pipe_prog *p)
{
    return p->filters;
}

bool
lp_pipe_idle(const struct lp_pipe_prog *p)
{
    return p->nsteps == 0 && p->unwrap == NULL && !p->needs_level;
}

/* ------------------------------------------------------------------ running */

struct lp_pipe *
lp_pipe_new(const struct lp_pipe_prog *prog)
{
    struct lp_pipe *p = lp_calloc(1, sizeof(*p));
    p->prog = prog;
    p->now_ns = lp_now_ns();
    p->labels.ar = &p->ar;
    lp_arena_init(&p->ar, ROW_BYTES_MAX, LP_ARENA_CHUNK_MAX);
    lp_buf_init(&p->keys, TEXT_BYTES_MAX);
    lp_buf_init(&p->text, TEXT_BYTES_MAX);
    return p;
}

void
lp_pipe_free(struct lp_pipe *p)
{
    if (p == NULL) {
        return;
    }
    lp_buf_clear(&p->keys);
    lp_buf_clear(&p->text);
    lp_arena_clear(&p->ar);
    lp_free(p);
}

static bool
run_step(struct lp_pipe *p, const struct lp_pipe_step *s)
{
    if (s->line != NULL) {
        return lp_linefilter_match(s->line, p->at);
    }
    switch (s->stage->kind) {
    case LP_STAGE_LABEL_FILTER:
        return lp_pipe_label_filter(p, s->filter);
    case LP_STAGE_JSON:
        lp_pipe_json(p, s);
        break;
    case LP_STAGE_LOGFMT:
        lp_pipe_logfmt(p, s);
        break;
    case LP_STAGE_REGEXP:
        lp_pipe_regexp(p, s);
        break;
    case LP_STAGE_PATTERN:
        lp_pipe_pattern(p, s);
        break;
    case LP_STAGE_UNPACK:
        lp_pipe_unpack(p);
        break;
    case LP_STAGE_LINE_FORMAT:
        lp_pipe_line_format(p, s);
        break;
    case LP_STAGE_LABEL_FORMAT:
        lp_pipe_label_format(p, s);
        break;
    case LP_STAGE_DECOLORIZE:
        lp_pipe_decolorize(p);
        break;
    case LP_STAGE_DROP:
        lp_pipe_drop(p, s);
        break;
    case LP_STAGE_KEEP:
        lp_pipe_keep(p, s);
        break;
    case LP_STAGE_LINE_FILTER:
        break;
    }
    return true;
}

static bool
convert(enum lp_unwrap_conv conv, struct lp_str text, double *ret)
{
    uint64_t bytes;
    int64_t ns;
    switch (conv) {
    case LP_CONV_BYTES:
        if (!lp_text_parse_size(text, &bytes)) {
            return false;
        }
        *ret = (double)bytes;
        return true;
    case LP_CONV_DURATION:
    case LP_CONV_DURATION_SECONDS:
        if (!lp_value_duration(text, &ns)) {
            return false;
        }
        *ret = (double)(ns / LP_NS_PER_S) + (double)(ns % LP_NS_PER_S) / 1e9;
        return true;
    case LP_CONV_NONE:
        break;
    }
    return lp_value_float(text, ret);
}

/* The sample of the row; false: it has none. */
static bool
unwrap(struct lp_pipe *p, double *ret)
{
    const struct lp_unwrap *u = p->prog->unwrap;
    struct lp_str text = lp_row_labels_value(&p->labels, u->name);
    *ret = 0;
    if (text.n == 0) {
        return false;
    }
    if (!convert(u->conv, text, ret)) {
        struct lp_err why;
        char room[64];
        (void)lp_err_set(&why, LP_ERR_PARSE, "\"%s\" cannot be unwrapped", lp_text_clip(text, 40, room));
        lp_row_labels_fail(&p->labels, LP_STR("SampleExtractionErr"), &why);
    }
    for (size_t i = 0; i < u->nfilters; i++) {
        if (!lp_pipe_label_filter(p, p->prog->unwrap_filters[i])) {
            return false;
        }
    }
    if (p->prog->need.all) {
        lp_row_labels_drop(&p->labels, u->name);
    }
    return true;
}

/* The labels that are needed, by name; of a row with an error all, unless who needs them asks for the error.
 */
static const struct lp_label *
needed_labels(struct lp_pipe *p, size_t *ret_n)
{
    const struct lp_pipe_need *need = &p->prog->need;
    bool failed = p->labels.error.p != NULL;
    if (need->all || (failed && !is_listed(need->names, need->n, LP_STR(LP_ERROR_LABEL)))) {
        return lp_row_labels_sorted(&p->labels, ret_n);
    }
    struct lp_label *v = lp_arena_array(&p->ar, need->n, sizeof(*v));
    *ret_n = 0;
    if (v == NULL) {
        p->labels.failed = true;
        return NULL;
    }
    for (size_t i = 0; i < need->n; i++) {
        struct lp_label *l = &v[*ret_n];
        l->name = need->names[i];
        if (lp_str_eqc(l->name, LP_ERROR_LABEL) && failed) {
            l->value = p->labels.error;
            l->origin = LP_LABEL_PARSED;
            ++*ret_n;
        } else {
            *ret_n += lp_row_labels_get(&p->labels, l->name, &l->value, &l->origin);
        }
    }
    return v;
}

static void
add_level(struct lp_pipe *p)
{
    const struct lp_pipe_row *r = p->row;
    struct lp_str name;
    if (!lp_labels_meta_name(&p->ar, r->labels, r->nlabels, LP_STR(LP_LEVEL_LABEL), &name)) {
        p->labels.failed = true;
        return;
    }
    lp_row_labels_set(&p->labels, LP_LABEL_META, name,
                      lp_level_detect(r->labels, r->nlabels, r->meta, r->nmeta, r->line));
}

lp_rc
lp_pipe_run(struct lp_pipe *p, const struct lp_pipe_row *row, struct lp_pipe_out *out, struct lp_err *err)
{
    const struct lp_pipe_prog *prog = p->prog;
    lp_arena_reset(&p->ar);
    p->row = row;
    p->at = row->line;
    *out = (struct lp_pipe_out){.passed = true};
    lp_row_labels_begin(&p->labels, row);
    if (prog->needs_level) {
        add_level(p);
    }
    for (size_t i = 0; i < prog->nsteps && out->passed && !p->labels.failed; i++) {
        out->passed = run_step(p, &prog->steps[i]);
    }
    if (out->passed && prog->unwrap != NULL) {
        out->passed = unwrap(p, &out->value);
    }
    if (out->passed) {
        out->failed = p->labels.error.p != NULL;
        out->line = p->at;
        out->labels = needed_labels(p, &out->nlabels);
    }
    return p->labels.failed || p->keys.failed || p->text.failed
               ? lp_err_set(err, LP_ERR_LIMIT,
                            "a line takes more than %u MiB of memory on its way through the query",
                            ROW_BYTES_MAX >> 20)
               : LP_OK;
}
