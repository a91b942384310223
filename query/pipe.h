/*
 * pipe.h - the stages of a log query, compiled once and run row by row: line and labels as the query leaves them.
 *
 * A row's labels are those of its stream, its metadata (with `detected_level`, level.h), and what stages add; each name once, and each with where it comes from. What a
 * stage cannot do is no error of the query: the row then has `__error__` and `__error_details__` (metric queries refuse such rows).
 *
 * A program is immutable and may be run by any number of threads, each with a pipe of its own.
 */
#ifndef LP_QUERY_PIPE_H
#define LP_QUERY_PIPE_H

#include "base/arena.h"
#include "base/err.h"
#include "query/ast.h"

enum lp_label_origin { LP_LABEL_STREAM, LP_LABEL_META, LP_LABEL_PARSED };

struct lp_label {
    struct lp_str name, value;
    enum lp_label_origin origin;
};

#define LP_ERROR_LABEL "__error__"
#define LP_ERROR_DETAILS_LABEL "__error_details__"
#define LP_JSON_ERROR "JSONParserErr"
#define LP_LOGFMT_ERROR "LogfmtParserErr"

/* Which labels the caller looks at behind the last stage: what nobody looks at need not be found. */
struct lp_pipe_need {
    bool all;
    const struct lp_str *names; /* unless all: these, and the error */
    size_t n;
};

struct lp_pipe_prog;

/*
 * Compiles the stages from `from` on (those before are the caller's: leading line filters) and, where it is not NULL, the unwrap behind them. The
 * tree must outlive the program. LP_ERR_PARSE: a template, a regex; LP_ERR_LIMIT.
 */
lp_rc lp_pipe_prog_new(const struct lp_log_query *log, size_t from, const struct lp_unwrap *unwrap,
                       const struct lp_pipe_need *need, struct lp_pipe_prog **ret, struct lp_err *err) LP_MUST_USE;
void lp_pipe_prog_free(struct lp_pipe_prog *p);

/* May a row be left out? */
bool lp_pipe_filters(const struct lp_pipe_prog *p);
/* Are labels and line those of the row, and no level is needed: nothing to run? */
bool lp_pipe_idle(const struct lp_pipe_prog *p);
struct lp_pipe_row {
    int64_t time_ns;
    const struct lp_pair *labels; /* of the stream (lp_stream_labels), by rising name */
    size_t nlabels;
    const struct lp_pair *meta; /* as stored, by rising name */
    size_t nmeta;
    struct lp_str line;
};

struct lp_pipe_out {
    bool passed; /* false: the row is left out, the rest is not set */
    bool failed; /* it has LP_ERROR_LABEL */
    struct lp_str line;
    const struct lp_label *labels; /* by rising name, each once */
    size_t nlabels;
    double value; /* with unwrap */
};

struct lp_pipe;
struct lp_pipe *lp_pipe_new(const struct lp_pipe_prog *p);
void lp_pipe_free(struct lp_pipe *p);

/* What out holds borrows from the row, the program and the pipe, until the next run. LP_ERR_LIMIT: the row takes more memory than a row may. */
lp_rc lp_pipe_run(struct lp_pipe *p, const struct lp_pipe_row *row, struct lp_pipe_out *out, struct lp_err *err) LP_MUST_USE;

#endif
