/*
 * fuzz_pipe.c - any bytes as a line that goes through stages; the first byte says through which. Oracle: no
 * crash, no sanitizer report, nothing read outside of the line (it is in memory of its own); labels rise and
 * are there once; a run gives the same twice; with fewer labels needed those that are needed are the same.
 * Built as a libFuzzer target with --enable-fuzzing; elsewhere it is a plain function that tests call.
 */
#include "tests/fuzz/fuzz_pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/parse.h"
#include "query/pipe.h"

static const char *const stages[] = {
    "| json",
    "| logfmt",
    "| logfmt --strict --keep-empty",
    "| json a=\"x.y[0]\", b=\"k\", a_extracted=\"[\\\"q r\\\"]\"",
    "| logfmt a=\"x\", b",
    "| unpack | json",
    "| pattern \"<a> <_> [<b>] <c>\"",
    "| regexp `(?P<a>\\w+)=(?P<b>\\S*)(?P<c>x)?`",
    "| decolorize | logfmt",
    "| json | logfmt | a > 5 or b = ip(\"10.0.0.0/8\") or c < 3s or d >= 1KB | label_format z=a | keep z, b, "
    "a",
    "| json | line_format `{{.a}}{{ __line__ | trunc 20 }}` | logfmt | drop a, b=~`x.*`",
};

static lp_rc
run(const struct lp_pipe_prog *prog, struct lp_pipe *pipe, struct lp_str line, struct lp_pipe_out *out)
{
    static const struct lp_pair labels[] = {{LP_STR("app"), LP_STR("x")}, {LP_STR("b"), LP_STR("of stream")}};
    static const struct lp_pair meta[] = {{LP_STR("c"), LP_STR("of metadata")}};
    const struct lp_pipe_row row = {5, labels, LP_ARRAY_LEN(labels), meta, 1, line};
    (void)prog;
    lp_rc rc = lp_pipe_run(pipe, &row, out, NULL);
    LP_ASSERT(rc == LP_OK || rc == LP_ERR_LIMIT);
    for (size_t i = 1; rc == LP_OK && out->passed && i < out->nlabels; i++) {
        LP_ASSERT(lp_str_cmp(out->labels[i - 1].name, out->labels[i].name) < 0);
    }
    return rc;
}

static const struct lp_label *
label(const struct lp_pipe_out *out, const char *name)
{
    for (size_t i = 0; i < out->nlabels; i++) {
        if (lp_str_eqc(out->labels[i].name, name)) {
            return &out->labels[i];
        }
    }
    return NULL;
}

/* Unless parsing ended early (what it did not see cannot fail), or failed in the one. */
static void
must_agree(const struct lp_pipe_out *all, const struct lp_pipe_out *few, const char *name)
{
    if (!all->passed || !few->passed || all->failed || few->failed) {
        return;
    }
    const struct lp_label *x = label(all, name), *y = label(few, name);
    LP_ASSERT((x == NULL) == (y == NULL) && (x == NULL || lp_str_eq(x->value, y->value)));
}

void
lp_fuzz_pipe(const uint8_t *data, size_t size)
{
    static const struct lp_str two[] = {LP_STR("a"), LP_STR("b_extracted")};
    const struct lp_pipe_need needs[] = {{.all = true}, {.names = two, .n = 2}};
    struct lp_pipe_out outs[2];
    struct lp_pipe *pipes[2];
    struct lp_pipe_prog *progs[2];
    struct lp_arena ar;
    const struct lp_expr *e;
    char query[300], *own = malloc(size > 0 ? size : 1);
    if (size == 0) {
        free(own);
        return;
    }
    memcpy(own, data + 1, size - 1);
    struct lp_str line = lp_str_of(own, size - 1);
    snprintf(query, sizeof(query), "{app=\"x\"} %s", stages[data[0] % LP_ARRAY_LEN(stages)]);
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    lp_rc rc = lp_logql_parse(lp_str_c(query), NULL, &ar, &e, NULL), rcs[2];
    LP_ASSERT(rc == LP_OK);
    for (size_t i = 0; i < 2; i++) {
        rc = lp_pipe_prog_new(&e->log, 0, NULL, &needs[i], &progs[i], NULL);
        LP_ASSERT(rc == LP_OK);
        pipes[i] = lp_pipe_new(progs[i]);
        rcs[i] = run(progs[i], pipes[i], line, &outs[i]);
        bool passed = outs[i].passed;
        LP_ASSERT(run(progs[i], pipes[i], line, &outs[i]) == rcs[i] && outs[i].passed == passed);
    }
    if (rcs[0] == LP_OK && rcs[1] == LP_OK) {
        must_agree(&outs[0], &outs[1], "a");
        must_agree(&outs[0], &outs[1], "b_extracted");
    }
    for (size_t i = 0; i < 2; i++) {
        lp_pipe_free(pipes[i]);
        lp_pipe_prog_free(progs[i]);
    }
    lp_arena_clear(&ar);
    free(own);
}

#ifdef LP_FUZZ_PROGRAM
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_fuzz_pipe(data, size);
    return 0;
}
#endif
