/*
 * test_chart.c - charts and tables of a fixed width. Oracle: drawn by hand.
 */
#include "server/chart.h"
#include "base/clock.h"
#include "tests/unit/unit.h"

#include <math.h>

#define MIN_NS (60 * LP_NS_PER_S)
#define WIDE LP_CHART_COLUMNS_MIN

static struct lp_buf out;

static void
begin(void)
{
    lp_buf_init(&out, 1 << 20);
}

static void
is(const char *want)
{
    if (!lp_str_eqc(lp_buf_view(&out), want)) {
        fprintf(stderr, "got:\n%.*s\nwant:\n%s\n", (int)out.n, out.p, want);
        CU_FAIL("not the text that was wanted");
    }
    lp_buf_clear(&out);
}

static void
says_numbers_shortly(void)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {1, "1"},
                 {-3, "-3"},
                 {0.25, "0.25"},
                 {1.0 / 3, "0.333"},
                 {1234.5, "1234"},
                 {999.7, "1000"},
                 {99999, "99999"},
                 {100000, "100k"},
                 {12345.6, "12.3k"},
                 {999999, "1M"},
                 {4560000, "4.56M"},
                 {-1.5e9, "-1.5G"},
                 {1e-9, "1e-09"},
                 {1e300, "1.0e+282E"},
                 {INFINITY, "+Inf"},
                 {NAN, "-"},
                 {-INFINITY, "-Inf"},
                 {-12345.6, "-12.3k"}};
    char t[LP_CHART_NUMBER];
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_STRING_EQUAL(lp_chart_number(cases[i].v, t), cases[i].text);
    }
}

static void
draws_lines(void)
{
    const double a[] = {0, 1, 2, 3, 4, 5, 6, 8}, b[] = {NAN, 0, NAN, 100, 0, 0, 0, INFINITY},
                 none[] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN}, down[] = {-8, -4, -1, 0, 0, 0, 0, 8};
    const struct lp_chart_series series[] = {{LP_STR("app=a"), a},
                                             {LP_STR("app=a long name that does not fit"), b},
                                             {LP_STR("\x1b[31m\t\xc3\xbc"), none},
                                             {LP_STR("down"), down}};
    struct lp_chart c = {0, MIN_NS, 8, series, 4, false, {NULL, 0}};
    begin();
    lp_chart_lines(&out, &c, WIDE);
    is("SERIES                          MIN      MAX     LAST\n"
       "app=a             ▁▁▂▃▄▅▆█        0        8        8\n"
       "app=a long name…   ▁ █▁▁▁         0      100        0\n"
       "\\x1b[31m ü                        -        -        -\n"
       "down              ▁▂▄▄▄▄▄█       -8        8        8\n");
}

static void
names_what_series_are_told_apart_by(void)
{
    const double v[] = {1, 2};
    const struct lp_chart_series series[] = {{LP_STR("shop/web"), v}, {LP_STR("db/0"), v}};
    const struct lp_chart c = {0, MIN_NS, 2, series, 2, false, LP_STR("namespace/pod")};
    begin();
    lp_chart_lines(&out, &c, WIDE);
    is("namespace/pod                          MIN      MAX     LAST\n"
       "shop/web       ▄▄▄▄▄▄▄▄▄█████████        1        2        2\n"
       "db/0           ▄▄▄▄▄▄▄▄▄█████████        1        2        2\n");
}

/* More values than cells: the largest of a cell is seen. Fewer: each takes several cells. */
static void
fits_values_to_cells(void)
{
    double many[1000];
    for (size_t i = 0; i < 1000; i++) {
        many[i] = i == 501 ? 9 : 0;
    }
    const struct lp_chart_series spike = {LP_STR("spike"), many};
    struct lp_chart c = {0, MIN_NS, 1000, &spike, 1, false, {NULL, 0}};
    begin();
    lp_chart_lines(&out, &c, 1);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("▁▁█▁▁")) != SIZE_MAX);
    struct lp_str text = lp_buf_view(&out);
    while (text.n > 0) {
        CU_ASSERT(lp_text_columns(lp_str_cut(&text, '\n')) <= LP_CHART_COLUMNS_MIN);
    }
    lp_buf_clear(&out);
    const double two[] = {1, 2};
    const struct lp_chart_series pair = {LP_STR("x"), two};
    c = (struct lp_chart){0, MIN_NS, 2, &pair, 1, true, {NULL, 0}};
    begin();
    lp_chart_lines(&out, &c, WIDE);
    is("SERIES                                MIN      MAX     LAST\n"
       "x       \033[36m▄▄▄▄▄▄▄▄▄▄▄▄████████████\033[0m        1        2        2\n");
}

static void
plots_one_series(void)
{
    const double v[] = {0, 4, 8, 16, 64, NAN, 32, 1};
    const struct lp_chart_series s = {LP_STR("{app=\"x\"}"), v};
    const struct lp_chart c = {0, MIN_NS, 8, &s, 1, false, {NULL, 0}};
    begin();
    lp_chart_plot(&out, &c, WIDE);
    is("      64 ┤                        ██████\n"
       "         │                        ██████\n"
       "         │                        ██████\n"
       "         │                        ██████\n"
       "      32 ┤                        ██████      ██████\n"
       "         │                        ██████      ██████\n"
       "         │                  ████████████      ██████\n"
       "       0 ┤▁▁▁▁▁▁▄▄▄▄▄▄██████████████████      ██████▁▁▁▁▁▁\n"
       "          00:00:00                                00:07:00\n"
       "          {app=\"x\"}  min 0  max 64  last 1\n");
}

static void
plots_the_odd(void)
{
    const double none[] = {NAN}, far[] = {-1.7e308, 1.7e308}, tiny[] = {0, 5e-324};
    const struct lp_chart_series a = {LP_STR("a"), none}, b = {LP_STR("b"), far}, d = {LP_STR("d"), tiny};
    struct lp_chart c = {0, MIN_NS, 1, &a, 1, false, {NULL, 0}};
    begin();
    lp_chart_plot(&out, &c, 0);
    CU_ASSERT(
        lp_str_ends(lp_buf_view(&out), LP_STR("          00:00:00\n          a  min -  max -  last -\n")));
    lp_buf_clear(&out);
    c = (struct lp_chart){0, 86400 * LP_NS_PER_S, 2, &b, 1, false, {NULL, 0}};
    begin();
    lp_chart_plot(&out, &c, 60);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("1970-01-01 00:00")) != SIZE_MAX);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("1970-01-02 00:00")) != SIZE_MAX);
    lp_buf_clear(&out);
    c.series = &d;
    c.start_ns = LP_TIME_MIN;
    c.step_ns = INT64_MAX;
    begin();
    lp_chart_lines(&out, &c, 60);
    CU_ASSERT(lp_str_find(lp_buf_view(&out), LP_STR("\xe2\x96\x81\xe2\x96\x88")) != SIZE_MAX);
    lp_chart_plot(&out, &c, 60);
    lp_buf_clear(&out);
}

static void
puts_tables(void)
{
    static const struct lp_str head[] = {{"app", 3}, {"pod", 3}, {"VALUE", 5}};
    static const struct lp_str cells[] = {{"shop", 4}, {"web-1", 5}, {"12345.25", 8},
                                          {"db", 2},   {"", 0},      {"7", 1}};
    struct lp_table t = {3, 2, head, cells};
    begin();
    lp_table_put(&out, &t, 80);
    is("app   pod       VALUE\n"
       "shop  web-1  12345.25\n"
       "db                  7\n");
    static const struct lp_str names[] = {{"a", 1}, {"VALUE", 5}};
    static const struct lp_str wide[] = {
        {"0123456789012345678901234567890123456789012345678901234567890123456789", 70}, {"1", 1}};
    t = (struct lp_table){2, 1, names, wide};
    begin();
    lp_table_put(&out, &t, WIDE);
    is("a                                                      VALUE\n"
       "0123456789012345678901234567890123456789012345678901…      1\n");
    static const struct lp_str value = {"VALUE", 5}, one = {"42", 2};
    t = (struct lp_table){1, 1, &value, &one};
    begin();
    lp_table_put(&out, &t, 0);
    is("VALUE\n   42\n");
}

LP_SUITE(chart, {"says numbers shortly", says_numbers_shortly}, {"draws lines", draws_lines},
         {"names what series are told apart by", names_what_series_are_told_apart_by},
         {"fits values to cells", fits_values_to_cells}, {"plots one series", plots_one_series},
         {"plots the odd", plots_the_odd}, {"puts tables", puts_tables});
