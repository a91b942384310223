/*
 * chart.h - numbers over time and tables as text of a fixed width: what `logpond query` shows of metric queries on a terminal.
 *
 * Bars are block characters, eight heights to a cell. Pure functions: no terminal is asked, the caller says how many columns there are.
 * Texts are made safe (lp_ui_safe), and cut with an ellipsis where they are too long; every character counts as one column.
 */
#ifndef LP_SERVER_CHART_H
#define LP_SERVER_CHART_H

#include "base/buf.h"

#define LP_CHART_COLUMNS_MIN 60 /* what is narrower is drawn as if it had so many */
#define LP_CHART_ROWS 8         /* of lp_chart_plot */
#define LP_CHART_SERIES_MAX 50  /* lines of lp_chart_lines; what is beyond is counted in a last line */

struct lp_chart_series {
    struct lp_str name;
    const double *v; /* `steps` of them; what is not finite is no value */
};

struct lp_chart {
    int64_t start_ns, step_ns;
    size_t steps; /* > 0 */
    const struct lp_chart_series *series;
    size_t n;
    bool colour;
    struct lp_str head; /* of the names in lp_chart_lines; empty: SERIES */
};

/* The first series as bars, LP_CHART_ROWS high, on a scale that holds 0, with its axes; below it its name and the smallest, largest and last value. */
void lp_chart_plot(struct lp_buf *out, const struct lp_chart *c, size_t columns);
/* A line a series, each on a scale of its own that holds 0: name, bars, smallest, largest and last value. In the order given. */
void lp_chart_lines(struct lp_buf *out, const struct lp_chart *c, size_t columns);
/* About how many values a chart has room for. */
size_t lp_chart_points(size_t columns);

struct lp_table {
    size_t columns, rows;      /* the last column is aligned to the right */
    const struct lp_str *head; /* `columns` of them */
    const struct lp_str *cell; /* row by row */
};
/* The table with its head, the widest columns cut until it fits; the last one is never cut. */
void lp_table_put(struct lp_buf *out, const struct lp_table *t, size_t columns);

/* "0.25", "1234", "12.3k", "4.56M": at most eight characters. */
#define LP_CHART_NUMBER 32
const char *lp_chart_number(double v, char out[LP_CHART_NUMBER]);
/* How many columns text takes. */
size_t lp_text_columns(struct lp_str text);

#endif
