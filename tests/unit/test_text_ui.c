/*
 * test_text_ui.c - numbers in words, options, text that is safe on a terminal. Oracle: by hand.
 */
#include "server/cli.h"
#include "server/text_ui.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static void
says_numbers(void)
{
    char t[LP_UI_TEXT];
    CU_ASSERT_STRING_EQUAL(lp_ui_bytes(0, t), "0 B");
    CU_ASSERT_STRING_EQUAL(lp_ui_bytes(999, t), "999 B");
    CU_ASSERT_STRING_EQUAL(lp_ui_bytes(1024, t), "1.0 KiB");
    CU_ASSERT_STRING_EQUAL(lp_ui_bytes(150u << 20, t), "150 MiB");
    CU_ASSERT_STRING_EQUAL(lp_ui_bytes(UINT64_MAX, t), "16.0 EiB");
    CU_ASSERT_STRING_EQUAL(lp_ui_count(0, t), "0");
    CU_ASSERT_STRING_EQUAL(lp_ui_count(1010593, t), "1,010,593");
    CU_ASSERT_STRING_EQUAL(lp_ui_count(UINT64_MAX, t), "18,446,744,073,709,551,615");
    CU_ASSERT_STRING_EQUAL(lp_ui_duration(-5, t), "0.0 s");
    CU_ASSERT_STRING_EQUAL(lp_ui_duration(59 * LP_NS_PER_S, t), "59 s");
    CU_ASSERT_STRING_EQUAL(lp_ui_duration(185 * LP_NS_PER_S, t), "3 min 05 s");
    CU_ASSERT_STRING_EQUAL(lp_ui_duration(INT64_MAX, t), "106751 days 23 h");
    CU_ASSERT_STRING_EQUAL(lp_ui_time(-1, t), "1969-12-31 23:59:59.999");
    CU_ASSERT_STRING_EQUAL(lp_ui_time(0, t), "1970-01-01 00:00:00.000");
}

static void
disarms_control_characters(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 1000);
    lp_ui_safe(&b, LP_STR("a\tb \x1b[31mred\x07\r\n\x7f \xc3\xa9 \xc2\x9b \xff\xe2\x82"));
    CU_ASSERT(lp_str_eqc(
        lp_buf_view(&b),
        "a\tb \\x1b[31mred\\x07\\x0d\\x0a\\x7f \xc3\xa9 \\x9b \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
    lp_buf_clear(&b);
}

/* A progress that goes nowhere near a terminal writes plain lines and no control characters. */
static void
shows_plain_progress(void)
{
    char *text = NULL;
    size_t n = 0;
    struct lp_progress p;
    FILE *f = open_memstream(&text, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    lp_progress_begin(&p, f, false, 4 << 20);
    lp_progress_at(&p, 1 << 20); /* at once: not worth a line */
    lp_progress_note(&p, "waiting for the server");
    lp_progress_say(&p, "file %d is gone", 7);
    lp_progress_end(&p);
    fclose(f);
    CU_ASSERT_STRING_EQUAL(text, " 25 %  1.0 MiB of 4.0 MiB  waiting for the server\nfile 7 is gone\n");
    free(text);
}

static void
reads_options(void)
{
    static const struct lp_cli_option options[] = {{"limit", 'L', true, 'n'}, {"quiet", 'Q', false, 0}};
    static const struct {
        const char *argv[4];
        int argc, id;
        const char *value;
    } cases[] = {
        {{"x"}, 1, LP_CLI_END, NULL},
        {{"x", "word"}, 2, LP_CLI_ARGUMENT, "word"},
        {{"x", "-"}, 2, LP_CLI_ARGUMENT, "-"},
        {{"x", "--limit", "5"}, 3, 'L', "5"},
        {{"x", "--limit=5=6"}, 2, 'L', "5=6"},
        {{"x", "-n", "5"}, 3, 'L', "5"},
        {{"x", "--quiet"}, 2, 'Q', NULL},
        {{"x", "--quiet=1"}, 2, LP_CLI_WRONG, NULL},
        {{"x", "--limit"}, 2, LP_CLI_WRONG, NULL},
        {{"x", "--lim", "5"}, 3, LP_CLI_WRONG, NULL},
        {{"x", "-x"}, 2, LP_CLI_WRONG, NULL},
        {{"x", "-h"}, 2, LP_CLI_HELP, NULL},
        {{"x", "--", "--limit"}, 3, LP_CLI_ARGUMENT, "--limit"},
        {{"x", "--"}, 2, LP_CLI_END, NULL},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_cli cli = {.argc = cases[i].argc, .argv = (char **)(uintptr_t)cases[i].argv};
        struct lp_err err;
        const char *value = NULL;
        CU_ASSERT_EQUAL(lp_cli_next(&cli, options, LP_ARRAY_LEN(options), &value, &err), cases[i].id);
        CU_ASSERT((value == NULL) == (cases[i].value == NULL));
        CU_ASSERT(value == NULL || cases[i].value == NULL || strcmp(value, cases[i].value) == 0);
    }
}

LP_SUITE(text_ui, {"says numbers", says_numbers}, {"disarms control characters", disarms_control_characters},
         {"shows plain progress", shows_plain_progress}, {"reads options", reads_options});
