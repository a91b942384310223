/*
 * exec_pipe.c - stages run on the row that a scan is at.
 *
 * Rows come run by run, so the labels of a row's stream are mostly those of the row before.
 */
#include "query/exec_int.h"

void
lp_row_pipe_begin(struct lp_row_pipe *p, const struct lp_pipe_prog *prog)
{
    p->pipe = prog != NULL ? lp_pipe_new(prog) : NULL;
    p->excerpts = prog != NULL ? lp_excerpts_new(prog) : NULL;
    p->stream = LP_NO_STREAM;
    p->n = 0;
}

void
lp_row_pipe_end(struct lp_row_pipe *p)
{
    lp_pipe_free(p->pipe);
    lp_excerpts_free(p->excerpts);
    p->pipe = NULL;
    p->excerpts = NULL;
}

void
lp_row_pipe_part(struct lp_row_pipe *p)
{
    lp_excerpts_begin(p->excerpts);
}

lp_rc
lp_row_pipe_excerpt(struct lp_row_pipe *p, struct lp_scan *s, struct lp_str *ret, struct lp_err *err)
{
    *ret = LP_STR_NULL;
    return p->excerpts != NULL ? lp_excerpts_line(p->excerpts, s, ret, err) : LP_OK;
}

static lp_rc
find_labels(struct lp_exec *x, struct lp_row_pipe *p, uint32_t stream, struct lp_err *err)
{
    const struct lp_vstream *s;
    if (p->stream == stream) {
        return LP_OK;
    }
    lp_rc rc = lp_view_stream(x->view, stream, &s, err);
    if (rc == LP_OK) {
        p->n = lp_stream_labels(s->key.labels, s->key.nlabels, p->labels);
        p->stream = stream;
    }
    return rc;
}

lp_rc
lp_row_pipe_run(struct lp_exec *x, struct lp_row_pipe *p, struct lp_scan *s, int64_t time_ns, uint32_t stream,
                struct lp_str line, uint64_t *meta_bytes, struct lp_pipe_out *ret, struct lp_err *err)
{
    struct lp_pipe_row row = {.time_ns = time_ns, .labels = p->labels, .line = line};
    lp_rc rc = find_labels(x, p, stream, err);
    row.nlabels = p->n;
    if (rc == LP_OK) {
        rc = lp_scan_meta(s, &row.meta, &row.nmeta, err);
    }
    for (size_t i = 0; i < row.nmeta && rc == LP_OK && meta_bytes != NULL; i++) {
        *meta_bytes += row.meta[i].name.n + row.meta[i].value.n;
    }
    return rc == LP_OK ? lp_pipe_run(p->pipe, &row, ret, err) : rc;
}
