/*
 * pipe_int.h - inside the running of stages: shared by pipe*.c.
 *
 * pipe.c compiles and runs; pipe_labels.c is the set of labels that a row has on its way; pipe_parse.c, pipe_filter.c and pipe_format.c are the stages, each a function
 * from the row to the row.
 */
#ifndef LP_QUERY_PIPE_INT_H
#define LP_QUERY_PIPE_INT_H

#include "base/buf.h"
#include "base/regex.h"
#include "query/fields.h"
#include "query/ip.h"
#include "query/linefilter.h"
#include "query/matcher.h"
#include "query/pattern.h"
#include "query/pipe.h"
#include "query/template.h"
#include "store/service.h"

/* --- pipe_labels.c: the labels of the row that is under way --- */

/* Names are unique among those that are not gone. Texts are borrowed from the row, the program, or the pipe's arena. */
struct lp_row_labels {
    const struct lp_pair *base; /* of the stream, by rising name */
    size_t nbase;
    uint64_t gone[(LP_STREAM_LABELS_MAX + 63) / 64]; /* of the base: deleted, or replaced */
    struct lp_label *own;                          /* metadata and what stages set, in no order */
    size_t nown, cap;
    struct lp_str error, details; /* p NULL: none */
    struct lp_arena *ar;
    bool failed; /* the arena is spent */
};

struct lp_pipe_prog;

void lp_row_labels_begin(struct lp_row_labels *l, const struct lp_pipe_row *row);
bool lp_row_labels_get(const struct lp_row_labels *l, struct lp_str name, struct lp_str *ret_value, enum lp_label_origin *ret_origin);
/* The value, or "" ; of the error and its details, too. */
struct lp_str lp_row_labels_value(const struct lp_row_labels *l, struct lp_str name);
/* Parsed labels take the place of all others, metadata that of the stream's; what comes from a stream takes no other's. */
void lp_row_labels_set(struct lp_row_labels *l, enum lp_label_origin origin, struct lp_str name, struct lp_str value);
/*
 * What a parser found: a name that the stream or the metadata has gets "_extracted"; one that was parsed before is written over, or left. name is copied where it
 * is new and `fresh` says that its bytes will go; value must last.
 */
void lp_row_labels_parsed(struct lp_row_labels *l, const struct lp_pipe_prog *prog, struct lp_str name, bool fresh, bool overwrite,
                          struct lp_str value);
void lp_row_labels_drop(struct lp_row_labels *l, struct lp_str name);
void lp_row_labels_fail(struct lp_row_labels *l, struct lp_str error, const struct lp_err *details);
/* All of them by rising name, the error included; in the arena. */
const struct lp_label *lp_row_labels_sorted(struct lp_row_labels *l, size_t *ret_n);
const struct lp_pair *lp_row_labels_pairs(struct lp_row_labels *l, size_t *ret_n);
/* A copy in the arena. */
struct lp_str lp_row_labels_keep(struct lp_row_labels *l, struct lp_str text);

/* --- the program --- */

struct lp_pipe_names {
    struct lp_str *v;
    size_t n, cap;
};

struct lp_pipe_format {
    struct lp_str name, from;      /* from: the label that is renamed */
    struct lp_template *text;      /* NULL: a rename */
};

struct lp_pipe_pick {
    struct lp_str name;
    struct lp_matchers *match; /* of one matcher; NULL: by name */
};

/* A label filter's leaf or node, as in the tree, with what is compiled of it. */
struct lp_pipe_filter {
    const struct lp_label_filter *f;
    const struct lp_pipe_filter *left, *right;
    struct lp_matchers *match; /* LP_LF_MATCH */
    struct lp_ip_set ip;       /* LP_LF_IP */
};

struct lp_pipe_step {
    const struct lp_stage *stage;
    struct lp_linefilter *line; /* a run of line filters */
    struct lp_regex *regex;     /* regexp */
    struct lp_str *names;       /* of regexp's groups, from 1; of pattern's captures */
    int groups;
    struct lp_pattern pattern;
    const struct lp_pipe_filter *filter;
    struct lp_template *text; /* line_format */
    struct lp_pipe_format *formats;
    struct lp_pipe_pick *picks;
    size_t n; /* formats, picks */
};

struct lp_pipe_prog {
    struct lp_arena ar; /* what it consists of */
    struct lp_pipe_step *steps;
    size_t nsteps;
    const struct lp_unwrap *unwrap;
    const struct lp_pipe_filter **unwrap_filters;
    struct lp_pipe_need need;       /* its own copy, by rising name */
    struct lp_pipe_names mentioned; /* by stages and unwrap, each once */
    const struct lp_template **templates; /* all that are run */
    size_t ntemplates, templates_cap;
    bool counted; /* parsers may stop once so many labels were set: */
    size_t ncounted;
    bool filters, needs_level;
};

struct lp_pipe {
    const struct lp_pipe_prog *prog;
    struct lp_arena ar; /* of the row */
    struct lp_buf keys, text, line;
    struct lp_row_labels labels;
    int64_t now_ns;
    /* the row under way */
    const struct lp_pipe_row *row;
    struct lp_str at; /* its line */
};

/* Does anybody behind the parsers look at this label? */
bool lp_pipe_wants(const struct lp_pipe_prog *p, struct lp_str name);
/* May somebody look at the label that this parsed name becomes? */
bool lp_pipe_may_want(const struct lp_pipe_prog *p, struct lp_str name);
#define LP_EXTRACTED "_extracted"

/* --- stages. They change pipe->labels and pipe->at; false: the row is left out. --- */

void lp_pipe_json(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_logfmt(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_regexp(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_pattern(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_unpack(struct lp_pipe *p);
bool lp_pipe_label_filter(struct lp_pipe *p, const struct lp_pipe_filter *f);
void lp_pipe_line_format(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_label_format(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_decolorize(struct lp_pipe *p);
void lp_pipe_drop(struct lp_pipe *p, const struct lp_pipe_step *s);
void lp_pipe_keep(struct lp_pipe *p, const struct lp_pipe_step *s);

/* --- pipe_value.c: numbers in the values of labels, as Go reads them --- */

bool lp_value_float(struct lp_str s, double *ret);
/* 1h15m30.9s, -3ms, 0; units ns us ms s m h. */
bool lp_value_duration(struct lp_str s, int64_t *ret);

#endif
