/*
 * chart.c - see chart.h.
 *
 * A chart of n columns for m values: with m <= n each value is as many cells wide as fit; with more values
 * than cells a cell shows the largest of its values, because a spike that a person does not see is worse than
 * a hole.
 */
#include "server/chart.h"

#include <math.h>
#include <stdio.h>

#include "server/text_ui.h"

#define CYAN "\033[36m"
#define PLAIN "\033[0m"
#define NUMBER_COLUMNS 8
#define BLOCK_BYTES 4
#define CELL_MIN 8 /* columns that a column of a table keeps */

/* --- numbers and texts --- */

const char *
lp_chart_number(double v, char out[LP_CHART_NUMBER])
{
    static const char units[] = {'k', 'M', 'G', 'T', 'P', 'E'};
    double size = fabs(v);
    if (!isfinite(v)) {
        snprintf(out, LP_CHART_NUMBER, "%s", isnan(v) ? "-" : v > 0 ? "+Inf" : "-Inf");
    } else if (size < 99999.5 && size == floor(size)) {
        snprintf(out, LP_CHART_NUMBER, "%.0f", v);
    } else if (size < 9999.5) {
        snprintf(out, LP_CHART_NUMBER, "%.3g", v);
        if (size >= 999.5) { /* not as 1e+03 */
            snprintf(out, LP_CHART_NUMBER, "%.0f", v);
        }
    } else {
        size_t u = 0;
        for (v /= 1000; fabs(v) >= 999.5 && u + 1 < sizeof(units); u++) {
            v /= 1000;
        }
        snprintf(out, LP_CHART_NUMBER, fabs(v) < 999.5 ? "%.3g%c" : "%.1e%c", v, units[u]);
    }
    return out;
}

size_t
lp_text_columns(struct lp_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80; /* the bytes that begin a character */
    }
    return n;
}

/* The first `columns` characters of a text. */
static struct lp_str
head_of(struct lp_str text, size_t columns)
{
    size_t n = 0, i = 0;
    for (; i < text.n; i++) {
        if (((unsigned char)text.p[i] & 0xc0) != 0x80 && n++ == columns) {
            break;
        }
    }
    return lp_str_sub(text, 0, i);
}

static void
put_blanks(struct lp_buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lp_buf_byte(out, ' ');
    }
}

/* Exactly `columns` wide. `safe` is used for it. */
static void
put_cell(struct lp_buf *out, struct lp_buf *safe, struct lp_str text, size_t columns, bool right)
{
    lp_buf_reset(safe);
    lp_ui_safe(safe, text);
    for (size_t i = 0; i < safe->n; i++) {
        safe->p[i] = safe->p[i] == '\t' ? ' ' : safe->p[i];
    }
    struct lp_str shown = lp_buf_view(safe);
    size_t n = lp_text_columns(shown);
    put_blanks(out, right && n < columns ? columns - n : 0);
    if (n <= columns) {
        lp_buf_str(out, shown);
    } else if (columns > 0) {
        lp_buf_str(out, head_of(shown, columns - 1));
        lp_buf_c(out, "\xe2\x80\xa6");
    }
    put_blanks(out, !right && n < columns ? columns - n : 0);
}

/* How wide a cell is once it is safe. */
static size_t
cell_columns(struct lp_buf *safe, struct lp_str text)
{
    lp_buf_reset(safe);
    lp_ui_safe(safe, text);
    return lp_text_columns(lp_buf_view(safe));
}

/* Blanks at the end of the last line are of no use. */
static void
end_line(struct lp_buf *out)
{
    while (out->n > 0 && out->p[out->n - 1] == ' ') {
        out->n--;
    }
    lp_buf_byte(out, '\n');
}

/* --- scales --- */

struct extent {
    double min, max, last; /* of the values; NAN: there is none */
    double low, high;      /* of the scale, which holds 0; low < high */
};

static struct extent
extent_of(const struct lp_chart *c, const double *v)
{
    struct extent e = {NAN, NAN, NAN, 0, 0};
    for (size_t i = 0; i < c->steps; i++) {
        if (isfinite(v[i])) {
            e.min = isnan(e.min) || v[i] < e.min ? v[i] : e.min;
            e.max = isnan(e.max) || v[i] > e.max ? v[i] : e.max;
            e.last = v[i];
        }
    }
    e.low = e.min < 0 ? e.min : 0;
    e.high = e.max > 0 ? e.max : 0;
    e.high = e.low < e.high ? e.high : e.low + 1;
    return e;
}

/* How many cells the values take of `columns`. */
static size_t
used_columns(const struct lp_chart *c, size_t columns)
{
    return c->steps <= columns ? c->steps * (columns / c->steps) : columns;
}

/* What cell i of `used` shows; NAN: nothing. */
static double
cell_value(const struct lp_chart *c, const double *v, size_t i, size_t used)
{
    size_t from = i * c->steps / used, to = LP_MAX((i + 1) * c->steps / used, from + 1);
    double most = NAN;
    for (size_t k = from; k < to && k < c->steps; k++) {
        if (isfinite(v[k]) && !(v[k] <= most)) {
            most = v[k];
        }
    }
    return most;
}

/* The height of a value in eighths of a cell, of `most` at the top of the scale; what is there is seen: at
 * least 1. */
static size_t
height_of(const struct extent *e, double v, size_t most)
{
    double range = e->high - e->low, part = (v - e->low) / range;
    if (isinf(range)) { /* of the largest doubles the halves */
        part = (v / 2 - e->low / 2) / (e->high / 2 - e->low / 2);
    }
    long h = lround(part * (double)most);
    return h < 1 ? 1 : LP_MIN((size_t)h, most);
}

/* A block of 0 to 8 eighths. */
static void
put_block(struct lp_buf *out, size_t eighths)
{
    static const char blocks[9][BLOCK_BYTES] = {" ",
                                                "\xe2\x96\x81",
                                                "\xe2\x96\x82",
                                                "\xe2\x96\x83",
                                                "\xe2\x96\x84",
                                                "\xe2\x96\x85",
                                                "\xe2\x96\x86",
                                                "\xe2\x96\x87",
                                                "\xe2\x96\x88"};
    lp_buf_c(out, blocks[eighths]);
}

/* Row `row` (0 is the lowest) of the bars of a chart that is `rows` high. */
static void
put_bars(struct lp_buf *out, const struct lp_chart *c, const double *v, const struct extent *e, size_t used,
         size_t row, size_t rows)
{
    lp_buf_c(out, c->colour ? CYAN : "");
    for (size_t i = 0; i < used; i++) {
        double value = cell_value(c, v, i, used);
        size_t h = isnan(value) ? 0 : height_of(e, value, rows * 8);
        put_block(out, h <= row * 8 ? 0 : LP_MIN(h - row * 8, (size_t)8));
    }
    lp_buf_c(out, c->colour ? PLAIN : "");
}

/* --- one series --- */

/* A time of the axis: what a person reads it by, over less than a day without the date. */
static void
put_time(struct lp_buf *out, int64_t ns, bool dates)
{
    char text[LP_UI_TEXT];
    struct lp_str s = lp_str_c(lp_ui_time(ns, text));
    lp_buf_str(out, dates ? lp_str_sub(s, 0, LP_MIN(s.n, (size_t)16))
                          : lp_str_sub(s, LP_MIN(s.n, (size_t)11), LP_MIN(s.n, (size_t)19)));
}

static void
put_time_axis(struct lp_buf *out, const struct lp_chart *c, size_t used)
{
    uint64_t span_ns = (uint64_t)(c->steps - 1) * (uint64_t)c->step_ns;
    bool dates = span_ns >= (uint64_t)(86400 * LP_NS_PER_S);
    size_t text = dates ? 16 : 8;
    put_blanks(out, NUMBER_COLUMNS + 2);
    put_time(out, c->start_ns, dates);
    if (c->steps > 1) {
        put_blanks(out, used > 2 * text + 2 ? used - 2 * text : 2);
        put_time(out, (int64_t)((uint64_t)c->start_ns + span_ns), dates);
    }
    lp_buf_byte(out, '\n');
}

void
lp_chart_plot(struct lp_buf *out, const struct lp_chart *c, size_t columns)
{
    const double *v = c->series[0].v;
    struct extent e = extent_of(c, v);
    char a[LP_CHART_NUMBER], b[LP_CHART_NUMBER], d[LP_CHART_NUMBER];
    size_t used = used_columns(c, LP_MAX(columns, (size_t)LP_CHART_COLUMNS_MIN) - NUMBER_COLUMNS - 3);
    for (size_t row = LP_CHART_ROWS; row-- > 0;) {
        const char *mark = row == LP_CHART_ROWS - 1       ? lp_chart_number(e.high, a)
                           : row == LP_CHART_ROWS / 2 - 1 ? lp_chart_number(e.high / 2 + e.low / 2, a)
                           : row == 0                     ? lp_chart_number(e.low, a)
                                                          : "";
        lp_buf_printf(out, "%*s %s", NUMBER_COLUMNS, mark, mark[0] != 0 ? "\xe2\x94\xa4" : "\xe2\x94\x82");
        put_bars(out, c, v, &e, used, row, LP_CHART_ROWS);
        end_line(out);
    }
    put_time_axis(out, c, used);
    put_blanks(out, NUMBER_COLUMNS + 2);
    lp_ui_safe(out, c->series[0].name);
    lp_buf_printf(out, "  min %s  max %s  last %s\n", lp_chart_number(e.min, a), lp_chart_number(e.max, b),
                  lp_chart_number(e.last, d));
}

/* --- several --- */

size_t
lp_chart_points(size_t columns)
{
    return LP_MAX(columns, (size_t)LP_CHART_COLUMNS_MIN) * 3 / 4 - NUMBER_COLUMNS - 2;
}

void
lp_chart_lines(struct lp_buf *out, const struct lp_chart *c, size_t columns)
{
    struct lp_buf safe;
    char a[LP_CHART_NUMBER], b[LP_CHART_NUMBER], d[LP_CHART_NUMBER];
    struct lp_str head = c->head.n > 0 ? c->head : LP_STR("SERIES");
    size_t all = LP_MAX(columns, (size_t)LP_CHART_COLUMNS_MIN),
           shown = LP_MIN(c->n, (size_t)LP_CHART_SERIES_MAX);
    lp_buf_init(&safe, SIZE_MAX);
    size_t name = cell_columns(&safe, head);
    for (size_t i = 0; i < shown; i++) {
        name = LP_MAX(name, cell_columns(&safe, c->series[i].name));
    }
    name = LP_MIN(name, LP_MAX(all / 3, (size_t)10) - 4);
    size_t rest = all - name - 2 - 3 * (NUMBER_COLUMNS + 1), used = used_columns(c, LP_MIN(rest, all));
    put_cell(out, &safe, head, name, false);
    put_blanks(out, used + 2);
    lp_buf_printf(out, " %*s %*s %*s\n", NUMBER_COLUMNS, "MIN", NUMBER_COLUMNS, "MAX", NUMBER_COLUMNS,
                  "LAST");
    for (size_t i = 0; i < shown; i++) {
        struct extent e = extent_of(c, c->series[i].v);
        put_cell(out, &safe, c->series[i].name, name, false);
        put_blanks(out, 2);
        put_bars(out, c, c->series[i].v, &e, used, 0, 1);
        lp_buf_printf(out, " %*s %*s %*s\n", NUMBER_COLUMNS, lp_chart_number(e.min, a), NUMBER_COLUMNS,
                      lp_chart_number(e.max, b), NUMBER_COLUMNS, lp_chart_number(e.last, d));
    }
    if (shown < c->n) {
        lp_buf_printf(out, "and %zu smaller ones (all with --output raw)\n", c->n - shown);
    }
    lp_buf_clear(&safe);
}

/* --- tables --- */

/* Takes from the widest columns until the table fits, or nothing is left to take. */
static void
fit(size_t *width, size_t n, size_t columns)
{
    for (;;) {
        size_t total = 2 * (n - 1), widest = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
            total += width[i];
            if (i + 1 < n && width[i] > CELL_MIN && (widest == SIZE_MAX || width[i] > width[widest])) {
                widest = i;
            }
        }
        if (total <= columns || widest == SIZE_MAX) {
            return;
        }
        width[widest]--;
    }
}

static void
put_row(struct lp_buf *out, struct lp_buf *safe, const struct lp_str *cells, const size_t *width, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_blanks(out, i > 0 ? 2 : 0);
        put_cell(out, safe, cells[i], width[i], i + 1 == n);
    }
    end_line(out);
}

void
lp_table_put(struct lp_buf *out, const struct lp_table *t, size_t columns)
{
    struct lp_buf safe;
    size_t *width = lp_calloc(t->columns, sizeof(*width));
    lp_buf_init(&safe, SIZE_MAX);
    for (size_t i = 0; i < t->columns; i++) {
        width[i] = cell_columns(&safe, t->head[i]);
        for (size_t r = 0; r < t->rows; r++) {
            width[i] = LP_MAX(width[i], cell_columns(&safe, t->cell[r * t->columns + i]));
        }
        width[i] = LP_MIN(width[i], LP_MAX(columns, (size_t)LP_CHART_COLUMNS_MIN));
    }
    fit(width, t->columns, LP_MAX(columns, (size_t)LP_CHART_COLUMNS_MIN));
    put_row(out, &safe, t->head, width, t->columns);
    for (size_t r = 0; r < t->rows; r++) {
        put_row(out, &safe, t->cell + r * t->columns, width, t->columns);
    }
    lp_free(width);
    lp_buf_clear(&safe);
}
