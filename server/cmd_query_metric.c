/*
 * cmd_query_metric.c - metric queries: a chart or a table on a terminal, elsewhere a line a sample.
 *
 * The samples stay where the parsed answer holds them; only a chart copies its values, onto the grid of the
 * steps.
 */
#include <math.h>
#include <stdlib.h>

#include "query/parse.h"
#include "query/text.h"
#include "server/chart.h"
#include "server/cmd_query_int.h"
#include "server/text_ui.h"

#define RANGE_NS (3600 * LP_NS_PER_S)
#define OUT_BYTES ((size_t)1 << 20) /* written when there is as much */
#define OUT_BYTES_MAX ((size_t)64 << 20)
#define POINTS_MAX 11000 /* of a series in an answer */
#define VALUES_MAX ((size_t)64 << 20)

struct metric {
    const struct lp_query *q;
    struct lp_query_server server;
    int64_t start_ns, end_ns, step_ns; /* none is open */
};

/* --- asking --- */

int64_t
lp_query_round_step(int64_t range_ns, size_t points)
{
    static const int64_t seconds[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                      600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    int64_t least = range_ns / (int64_t)points;
    for (size_t i = 0; i < LP_ARRAY_LEN(seconds); i++) {
        if (seconds[i] * LP_NS_PER_S >= least) {
            return seconds[i] * LP_NS_PER_S;
        }
    }
    int64_t day_ns = 86400 * LP_NS_PER_S;
    return least / day_ns * day_ns + (least % day_ns != 0 ? day_ns : 0);
}

/* What was left open: the hour before the end, the end now, a step by the terminal. */
static void
complete(struct metric *m)
{
    const struct lp_query *q = m->q;
    int64_t range_ns;
    m->end_ns = q->end_ns != LP_TIME_NONE ? q->end_ns : q->now_ns;
    m->start_ns = q->start_ns;
    if (q->start_ns == LP_TIME_NONE && __builtin_sub_overflow(m->end_ns, RANGE_NS, &m->start_ns)) {
        m->start_ns = LP_TIME_MIN;
    }
    if (__builtin_sub_overflow(m->end_ns, m->start_ns, &range_ns)) {
        range_ns = INT64_MAX;
    }
    m->step_ns = q->step_ns > 0
                     ? q->step_ns
                     : lp_query_round_step(LP_MAX(range_ns, 0), lp_chart_points(lp_ui_columns(stdout)));
    if (q->end_ns == LP_TIME_NONE && q->step_ns == 0 && !q->instant) {
        m->end_ns -=
            m->end_ns %
            m->step_ns; /* the server would go on to the next: a last value of what has not been yet */
    }
}

static bool
ask(struct metric *m)
{
    struct lp_buf target;
    char step[40];
    lp_buf_init(&target, 1 << 20);
    lp_buf_c(&target, m->q->instant ? "/loki/api/v1/query" : "/loki/api/v1/query_range");
    lp_client_param(&target, "query", m->q->text);
    if (m->q->instant) {
        lp_query_put_time(&target, "time", m->end_ns);
    } else {
        lp_query_put_time(&target, "start", m->start_ns);
        lp_query_put_time(&target, "end", m->end_ns);
        snprintf(step, sizeof(step), "%lld.%09lld", (long long)(m->step_ns / LP_NS_PER_S),
                 (long long)(m->step_ns % LP_NS_PER_S));
        lp_client_param(&target, "step", lp_str_c(step));
    }
    bool good = lp_query_get(&m->server, &target, m->q->text);
    lp_buf_clear(&target);
    return good;
}

/* --- the answer --- */

static const struct lp_json *
result_of(const struct lp_json_doc *doc)
{
    const struct lp_json *v = lp_json_path(doc, "data", "result", NULL);
    return v != NULL && v->type == LP_JSON_ARRAY ? v : NULL;
}

static bool
is_scalar(const struct lp_json_doc *doc)
{
    const struct lp_json *type = lp_json_path(doc, "data", "resultType", NULL);
    return type != NULL && lp_str_eqc(type->text, "scalar");
}

struct sample {
    int64_t ns;
    struct lp_str value;
};

/* Node i: [TIME, "VALUE"]. */
static bool
read_sample(const struct lp_json_doc *doc, uint32_t i, struct sample *ret)
{
    const struct lp_json *v = &doc->nodes[i];
    if (v->type != LP_JSON_ARRAY || v->count != 2 || doc->nodes[i + 1].type != LP_JSON_NUMBER ||
        doc->nodes[i + 2].type != LP_JSON_STRING) {
        return false;
    }
    ret->value = doc->nodes[i + 2].text;
    return lp_time_decimal(doc->nodes[i + 1].text, LP_NS_PER_S, &ret->ns);
}

/* The node of a series' labels; 0 where there are none. */
static uint32_t
labels_of(const struct lp_json_doc *doc, uint32_t series)
{
    const struct lp_json *v = lp_json_member(doc, series, LP_STR("metric"));
    return v != NULL && v->type == LP_JSON_OBJECT ? (uint32_t)(v - doc->nodes) : 0;
}

/* --- a line a sample --- */

static void
put_labels(struct lp_buf *out, const struct lp_json_doc *doc, uint32_t labels, bool jsonl)
{
    if (labels == 0) {
        lp_buf_c(out, "{}");
    } else if (jsonl) {
        lp_buf_str(out, doc->nodes[labels].text);
    } else {
        lp_query_put_labels(out, doc, labels);
    }
}

/* False when nobody reads any more. */
static bool
put_sample(struct metric *m, const struct sample *s, uint32_t labels, struct lp_buf *out)
{
    char time[LP_TIME_TEXT];
    struct lp_str when = lp_str_of(time, lp_time_text(s->ns, time));
    if (m->q->output == LP_QUERY_JSONL) {
        bool number = lp_json_is_number(s->value);
        lp_buf_printf(out, "{\"time\":\"" LP_STR_FMT "\",\"labels\":", LP_STR_ARG(when));
        put_labels(out, &m->server.doc, labels, true);
        lp_buf_c(out, ",\"value\":");
        if (number) {
            lp_buf_str(out, s->value);
        } else { /* NaN, +Inf */
            lp_buf_json(out, s->value);
        }
        lp_buf_c(out, "}\n");
    } else {
        lp_buf_printf(out, LP_STR_FMT "\t", LP_STR_ARG(when));
        lp_ui_safe(out, s->value);
        lp_buf_byte(out, '\t');
        put_labels(out, &m->server.doc, labels, false);
        lp_buf_byte(out, '\n');
    }
    return out->n < OUT_BYTES || lp_query_flush(out);
}

static bool
put_series(struct metric *m, uint32_t i, struct lp_buf *out)
{
    const struct lp_json_doc *doc = &m->server.doc;
    const struct lp_json *one = lp_json_member(doc, i, LP_STR("value")),
                         *many = lp_json_member(doc, i, LP_STR("values"));
    uint32_t labels = labels_of(doc, i);
    struct sample s;
    if (one != NULL) {
        return !read_sample(doc, (uint32_t)(one - doc->nodes), &s) || put_sample(m, &s, labels, out);
    }
    for (uint32_t k = many != NULL ? (uint32_t)(many - doc->nodes) + 1 : 0; many != NULL && k < many->next;
         k = doc->nodes[k].next) {
        if (read_sample(doc, k, &s) && !put_sample(m, &s, labels, out)) {
            return false;
        }
    }
    return true;
}

static bool
put_samples(struct metric *m, struct lp_buf *out)
{
    const struct lp_json_doc *doc = &m->server.doc;
    const struct lp_json *result = result_of(doc);
    if (is_scalar(doc)) {
        struct sample s;
        bool good = read_sample(doc, (uint32_t)(result - doc->nodes), &s);
        s.ns = m->end_ns; /* the answer's own is in another unit */
        return !good || put_sample(m, &s, 0, out);
    }
    for (uint32_t i = (uint32_t)(result - doc->nodes) + 1; i < result->next; i = doc->nodes[i].next) {
        if (doc->nodes[i].type == LP_JSON_OBJECT && !put_series(m, i, out)) {
            return false;
        }
    }
    return true;
}

/* --- charts --- */

struct line {
    struct lp_str name; /* owned */
    double *v;          /* within the grid */
    double sum;
};

/* The most there is first, then by name. */
static int
line_cmp(const void *va, const void *vb)
{
    const struct line *a = va, *b = vb;
    if (a->sum != b->sum) {
        return a->sum < b->sum ? 1 : -1;
    }
    int c = memcmp(a->name.p, b->name.p, LP_MIN(a->name.n, b->name.n));
    return c != 0 ? c : (a->name.n > b->name.n) - (a->name.n < b->name.n);
}

/* The steps of the answer: the server takes the range to multiples of the step. */
struct grid {
    int64_t start_ns, step_ns;
    size_t steps;
};

static struct grid
grid_of(const struct metric *m)
{
    int64_t past = m->start_ns % m->step_ns, start_ns;
    if (__builtin_sub_overflow(m->start_ns, past < 0 ? past + m->step_ns : past, &start_ns)) {
        start_ns = LP_TIME_MIN;
    }
    uint64_t range = (uint64_t)m->end_ns - (uint64_t)start_ns, step = (uint64_t)m->step_ns;
    return (struct grid){start_ns, m->step_ns, (size_t)(range / step + (range % step != 0) + 1)};
}

/* "namespace/pod", where all series have these labels and no others; else empty: whole label sets tell them
 * apart. */
static void
put_head(const struct lp_json_doc *doc, const struct lp_json *result, struct lp_buf *out)
{
    uint32_t first = labels_of(doc, (uint32_t)(result - doc->nodes) + 1);
    for (uint32_t i = (uint32_t)(result - doc->nodes) + 1; i < result->next; i = doc->nodes[i].next) {
        uint32_t other = labels_of(doc, i), a = first + 1, b = other + 1;
        bool same = first != 0 && other != 0 && doc->nodes[first].count == doc->nodes[other].count;
        for (uint32_t k = 0; same && k < doc->nodes[first].count; k++) {
            same = lp_str_eq(doc->nodes[a].key, doc->nodes[b].key);
            a = doc->nodes[a].next;
            b = doc->nodes[b].next;
        }
        if (!same) {
            return;
        }
    }
    for (uint32_t k = first + 1; k < doc->nodes[first].next; k = doc->nodes[k].next) {
        lp_buf_c(out, k > first + 1 ? "/" : "");
        lp_buf_str(out, doc->nodes[k].key);
    }
}

/* Owned by the caller. */
static struct lp_str
name_of(const struct lp_json_doc *doc, uint32_t labels, bool values_only)
{
    struct lp_buf name;
    lp_buf_init(&name, SIZE_MAX);
    if (!values_only) {
        put_labels(&name, doc, labels, false);
    }
    for (uint32_t k = labels + 1; values_only && k < doc->nodes[labels].next; k = doc->nodes[k].next) {
        lp_buf_c(&name, k > labels + 1 ? "/" : "");
        lp_buf_str(&name, doc->nodes[k].text);
    }
    return lp_buf_view(&name);
}

static void
fill_line(const struct lp_json_doc *doc, uint32_t series, const struct grid *g, struct line *l)
{
    const struct lp_json *many = lp_json_member(doc, series, LP_STR("values"));
    struct sample s;
    for (size_t i = 0; i < g->steps; i++) {
        l->v[i] = NAN;
    }
    for (uint32_t k = many != NULL ? (uint32_t)(many - doc->nodes) + 1 : 0; many != NULL && k < many->next;
         k = doc->nodes[k].next) {
        double v;
        if (read_sample(doc, k, &s) && s.ns >= g->start_ns && lp_str_f64(s.value, &v) && isfinite(v)) {
            uint64_t at = ((uint64_t)s.ns - (uint64_t)g->start_ns) / (uint64_t)g->step_ns;
            if (at < g->steps) {
                l->v[at] = v;
                l->sum += v;
            }
        }
    }
}

/* "2026-01-02 03:00:00 to 2026-01-02 04:00:00, every 1m" */
static void
put_range(struct lp_buf *out, const struct grid *g)
{
    char a[LP_UI_TEXT], b[LP_UI_TEXT];
    int64_t end_ns = (int64_t)((uint64_t)g->start_ns + (uint64_t)(g->steps - 1) * (uint64_t)g->step_ns);
    lp_buf_printf(out, "%.19s to %.19s, every ", lp_ui_time(g->start_ns, a), lp_ui_time(end_ns, b));
    lp_text_range(out, g->step_ns);
    lp_buf_byte(out, '\n');
}

static void
put_chart(struct metric *m, const struct line *lines, size_t n, const struct grid *g, struct lp_str head,
          struct lp_buf *out)
{
    struct lp_chart_series *series = lp_calloc(n, sizeof(*series));
    struct lp_chart c = {g->start_ns, g->step_ns, g->steps, series, n, m->q->colour, head};
    size_t columns = lp_ui_columns(stdout);
    for (size_t i = 0; i < n; i++) {
        series[i] = (struct lp_chart_series){lines[i].name, lines[i].v};
    }
    put_range(out, g);
    if (n == 1) {
        lp_chart_plot(out, &c, columns);
    } else {
        lp_chart_lines(out, &c, columns);
        lp_buf_c(out, "(each on a scale of its own; numbers with --output raw)\n");
    }
    lp_free(series);
}

static void
show_matrix(struct metric *m, struct lp_buf *out)
{
    const struct lp_json_doc *doc = &m->server.doc;
    const struct lp_json *result = result_of(doc);
    struct grid g = grid_of(m);
    if (g.steps > POINTS_MAX + 2 || result->count > VALUES_MAX / g.steps) { /* no honest answer has so many */
        return;
    }
    struct lp_buf head;
    lp_buf_init(&head, SIZE_MAX);
    put_head(doc, result, &head);
    struct line *lines = lp_calloc(result->count, sizeof(*lines));
    double *values = lp_calloc(result->count * g.steps, sizeof(*values));
    size_t n = 0;
    for (uint32_t i = (uint32_t)(result - doc->nodes) + 1; i < result->next; i = doc->nodes[i].next) {
        lines[n].v = values + n * g.steps;
        lines[n].name = name_of(doc, labels_of(doc, i), head.n > 0 && result->count > 1);
        fill_line(doc, i, &g, &lines[n++]);
    }
    if (n > 1) {
        qsort(lines, n, sizeof(*lines), line_cmp);
    }
    put_chart(m, lines, n, &g, lp_buf_view(&head), out);
    for (size_t i = 0; i < n; i++) {
        lp_free((char *)(uintptr_t)lines[i].name.p);
    }
    lp_buf_clear(&head);
    lp_free(values);
    lp_free(lines);
}

/* --- tables --- */

struct row {
    uint32_t labels;
    struct lp_str value;
    double v;
};

/* The largest first; what is no number last. Equal ones stay as the server sorted them. */
static int
row_cmp(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    if (isnan(a->v) || isnan(b->v) || a->v == b->v) {
        int nan = (int)isnan(a->v) - (int)isnan(b->v);
        return nan != 0 ? nan : (a->labels > b->labels) - (a->labels < b->labels);
    }
    return a->v < b->v ? 1 : -1;
}

static int
name_cmp(const void *va, const void *vb)
{
    const struct lp_str *a = va, *b = vb;
    int c = memcmp(a->p, b->p, LP_MIN(a->n, b->n));
    return c != 0 ? c : (a->n > b->n) - (a->n < b->n);
}

/* The names of all labels of the rows, by name, and behind them the head of the values. Owned by the caller.
 */
static struct lp_str *
heads_of(const struct lp_json_doc *doc, const struct row *rows, size_t n, size_t *ret_n)
{
    size_t all = 0, kept = 0;
    for (size_t r = 0; r < n; r++) {
        all += rows[r].labels != 0 ? doc->nodes[rows[r].labels].count : 0;
    }
    struct lp_str *names = lp_calloc(all + 1, sizeof(*names));
    all = 0;
    for (size_t r = 0; r < n; r++) {
        uint32_t at = rows[r].labels;
        for (uint32_t k = at + 1; at != 0 && k < doc->nodes[at].next; k = doc->nodes[k].next) {
            names[all++] = doc->nodes[k].key;
        }
    }
    if (all > 1) {
        qsort(names, all, sizeof(*names), name_cmp);
    }
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || name_cmp(&names[kept - 1], &names[i]) != 0) {
            names[kept++] = names[i];
        }
    }
    names[kept] = LP_STR("VALUE");
    *ret_n = kept + 1;
    return names;
}

static void
put_rows(const struct lp_json_doc *doc, const struct row *rows, size_t n, struct lp_buf *out)
{
    struct lp_table t = {.rows = n};
    struct lp_str *heads = heads_of(doc, rows, n, &t.columns);
    struct lp_str *cells = lp_calloc(n * t.columns, sizeof(*cells));
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; i + 1 < t.columns && rows[r].labels != 0; i++) {
            const struct lp_json *v = lp_json_member(doc, rows[r].labels, heads[i]);
            cells[r * t.columns + i] = v != NULL ? v->text : LP_STR("");
        }
        cells[(r + 1) * t.columns - 1] = rows[r].value;
    }
    t.head = heads;
    t.cell = cells;
    lp_table_put(out, &t, lp_ui_columns(stdout));
    lp_free(cells);
    lp_free(heads);
}

/* sort() and sort_desc() say an order themselves. */
static bool
ordered(struct lp_str text)
{
    const struct lp_expr *e;
    struct lp_arena ar;
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    bool is = lp_logql_parse(text, NULL, &ar, &e, NULL) == LP_OK && e->kind == LP_EXPR_VECTOR_AGG &&
              lp_str_starts(lp_str_c(lp_vector_op_name(e->vector_agg.op)), LP_STR("sort"));
    lp_arena_clear(&ar);
    return is;
}

static void
show_vector(struct metric *m, struct lp_buf *out)
{
    const struct lp_json_doc *doc = &m->server.doc;
    const struct lp_json *result = result_of(doc);
    struct row *rows = lp_calloc(result->count, sizeof(*rows));
    size_t n = 0;
    for (uint32_t i = (uint32_t)(result - doc->nodes) + 1; i < result->next; i = doc->nodes[i].next) {
        const struct lp_json *v = lp_json_member(doc, i, LP_STR("value"));
        struct sample s;
        if (v != NULL && read_sample(doc, (uint32_t)(v - doc->nodes), &s)) {
            rows[n] = (struct row){labels_of(doc, i), s.value, NAN};
            (void)lp_str_f64(s.value, &rows[n].v); /* NAN stays where it is none */
            n++;
        }
    }
    if (n > 1 && !ordered(m->q->text)) {
        qsort(rows, n, sizeof(*rows), row_cmp);
    }
    put_rows(doc, rows, n, out);
    lp_free(rows);
}

/* --- all of it --- */

static bool
show(struct metric *m)
{
    struct lp_buf out;
    const struct lp_json_doc *doc = &m->server.doc;
    const struct lp_json *type = lp_json_path(doc, "data", "resultType", NULL);
    bool good = true;
    lp_buf_init(&out, OUT_BYTES_MAX);
    if (m->q->output != LP_QUERY_DEFAULT || !lp_ui_terminal(stdout) || is_scalar(doc)) {
        good = put_samples(m, &out);
    } else if (type != NULL && lp_str_eqc(type->text, "matrix")) {
        show_matrix(m, &out);
    } else {
        show_vector(m, &out);
    }
    good = good && lp_query_flush(&out) && fflush(stdout) == 0;
    lp_buf_clear(&out);
    return good;
}

static int
answer(struct metric *m)
{
    struct lp_query_stats st;
    const struct lp_json *result = result_of(&m->server.doc);
    bool good = result != NULL && (result->count == 0 || show(m));
    if (m->q->stats) {
        lp_query_stats_of(&m->server.doc, &st);
        lp_query_stats_show(stderr, &st);
    }
    if (result == NULL || !good) {
        return LP_QUERY_WRONG;
    }
    if (result->count == 0) {
        char from[LP_UI_TEXT], to[LP_UI_TEXT];
        fprintf(stderr, "no values for " LP_STR_FMT "\n", LP_STR_ARG(m->q->text));
        if (m->q->instant) {
            fprintf(stderr, "asked for %s; --end TIME asks for another time\n", lp_ui_time(m->end_ns, to));
        } else {
            fprintf(stderr, "asked for %s to %s; --since 7d goes further back\n",
                    lp_ui_time(m->start_ns, from), lp_ui_time(m->end_ns, to));
        }
        return LP_QUERY_NOTHING;
    }
    return 0;
}

int
lp_query_metric(const struct lp_query *q)
{
    struct metric m = {.q = q, .server = {.command = "query", .url = q->server, .tenant = q->tenant}};
    complete(&m);
    bool good = lp_query_server_open(&m.server) && ask(&m);
    int status = good ? answer(&m) : LP_QUERY_WRONG;
    lp_query_server_close(&m.server);
    return status;
}
