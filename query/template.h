/*
 * template.h - Go templates: what line_format and label_format write.
 *
 * The language is that of Go's text/template, with the functions that Loki gives to it (contracts.md B.2, "Template functions"). The data
 * is the row's labels as a map of strings: a missing one is "". What fails while it runs does not end a query: the row says so
 * (`__error__`), so errors here are texts for `__error_details__`.
 *
 * A compiled template is immutable and borrows nothing; any number of threads may run it, each with its own arena.
 */
#ifndef LP_QUERY_TEMPLATE_H
#define LP_QUERY_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define LP_TEMPLATE_BYTES_MAX (64u * 1024) /* of its text */
#define LP_TEMPLATE_DEPTH_MAX 100u         /* of nested actions, brackets and calls of templates */
#define LP_TEMPLATE_STEPS_MAX (1u << 20)   /* of one run: an expression or an iteration is one, and long texts that are looked at cost more */

struct lp_template;

/* LP_ERR_PARSE with Go's reason where it is short enough; LP_ERR_LIMIT. */
lp_rc lp_template_new(struct lp_str text, struct lp_template **ret, struct lp_err *err) LP_MUST_USE;
/* The same with a name, which error texts tell: "label" for label_format; lp_template_new() says "line". */
lp_rc lp_template_new_named(struct lp_str name, struct lp_str text, struct lp_template **ret, struct lp_err *err) LP_MUST_USE;
void lp_template_free(struct lp_template *t);

/* May running it look at this label? True where it cannot be told (it ranges over all of them). */
bool lp_template_reads(const struct lp_template *t, struct lp_str label);
/* Is it this text, whatever the row? False also where that is not plain to see. */
bool lp_template_is_const(const struct lp_template *t, struct lp_str *ret);

struct lp_template_row {
    const struct lp_pair *labels; /* by rising name, each once */
    size_t nlabels;
    struct lp_str line;           /* __line__ */
    int64_t time_ns;              /* __timestamp__ */
    int64_t now_ns;               /* now */
};

/*
 * Appends to out. scratch holds values on their way, and may be reset behind the call. LP_ERR_PARSE: it failed, as Go says; LP_ERR_LIMIT: over
 * the arena's or the buffer's budget, or too many steps. What was written before the failure stays in out.
 */
lp_rc lp_template_run(const struct lp_template *t, const struct lp_template_row *row, struct lp_arena *scratch,
                      struct lp_buf *out, struct lp_err *err) LP_MUST_USE;

#endif
