/*
 * test_exec_filters.c - chains of line filters, regular expressions among them, over lines that are half in
 * segments and half in the head. Oracle: each filter by itself on each line, with RE2 and memmem. The
 * expressions are made of pieces of the lines, so that they often match; a million (line, chain) pairs are
 * looked at, ten million with LP_LONG=1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regex.h"
#include "tests/unit/exec_fixture.h"

#define LINES 4000u
#define LINE_BYTES 160u
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHAINS 30u
#else
#define CHAINS 250u
#endif

static char lines[LINES][LINE_BYTES];

static uint32_t
rnd(struct lp_world *w, uint32_t n)
{
    return (uint32_t)(lp_rand(&w->random) % n);
}

static void
make_line(struct lp_world *w, char *out)
{
    static const char *const words[] = {"error",
                                        "Error",
                                        "timeout",
                                        "kelvin",
                                        "class",
                                        "\xe2\x84\xaa"
                                        "elvin",
                                        "caf\xc3\xa9",
                                        "ok"};
    switch (rnd(w, 5)) {
    case 0:
        snprintf(out, LINE_BYTES, "GET /api/v%u/items/%u?token=%08x%08x %u", rnd(w, 3), rnd(w, 90000),
                 rnd(w, UINT32_MAX), rnd(w, UINT32_MAX), 200 + rnd(w, 4) * 100);
        break;
    case 1:
        snprintf(out, LINE_BYTES, "level=%s user=u%u duration: %u.%03u ms", words[rnd(w, 8)], rnd(w, 500),
                 rnd(w, 2000), rnd(w, 1000));
        break;
    case 2:
        snprintf(out, LINE_BYTES, "{\"id\":\"%08X\",\"msg\":\"%s %s\"}", rnd(w, UINT32_MAX), words[rnd(w, 8)],
                 words[rnd(w, 8)]);
        break;
    case 3:
        snprintf(out, LINE_BYTES, "%s-%u: \xff %s", words[rnd(w, 8)], rnd(w, 30), rnd(w, 2) ? "done" : "");
        break;
    default:
        snprintf(out, LINE_BYTES, "%.*s", (int)rnd(w, 40), "noise (here) [and] there, that has no shape");
        break;
    }
}

static void
put_lines(struct lp_world *w)
{
    for (uint32_t half = 0; half < 2; half++) {
        struct lp_batch *b = lp_batch_new(LP_STR_NULL, SIZE_MAX, 0);
        for (uint32_t i = half * LINES / 2; i < (half + 1) * LINES / 2; i++) {
            struct lp_pair label = {LP_STR("app"), i % 3 ? LP_STR("x") : LP_STR("y")};
            uint32_t stream;
            make_line(w, lines[i]);
            CU_ASSERT_EQUAL_FATAL(lp_batch_stream(b, &label, 1, NULL, &stream, NULL), LP_OK);
            CU_ASSERT_EQUAL_FATAL(
                lp_batch_add(b, stream, (int64_t)i, lp_str_c(lines[i]), false, NULL, 0, NULL), LP_OK);
        }
        lp_batch_finish(b);
        CU_ASSERT_EQUAL_FATAL(lp_put(w->st, b, half), LP_OK);
        if (half == 0) {
            lp_world_seal(w);
        }
    }
}

/* A piece of a line of plain ASCII without quotes; as an expression its special characters are escaped or
 * made classes. */
static void
draw_text(struct lp_world *w, bool is_regex, struct lp_buf *out)
{
    const char *line;
    size_t n;
    do {
        line = lines[rnd(w, LINES)];
        n = strlen(line);
    } while (n == 0);
    size_t from = rnd(w, (uint32_t)n), to = from + 1 + rnd(w, 14);
    lp_buf_reset(out);
    lp_buf_c(out, is_regex && rnd(w, 3) == 0 ? "(?i)" : "");
    for (size_t i = from; i < LP_MIN(to, n); i++) {
        char c = line[i];
        if ((uint8_t)c >= 0x80 || c == '"' || c == '\\') {
            break;
        }
        if (is_regex && c >= '0' && c <= '9' && rnd(w, 2)) {
            lp_buf_c(out, rnd(w, 3) ? "[0-9]" : "[0-9]+");
        } else if (is_regex && strchr(".+*?()[]{}|^$", c) != NULL) {
            lp_buf_printf(out, "[%s%c]", c == '^' ? "\\" : "", c);
        } else if (is_regex && rnd(w, 8) == 0) {
            lp_buf_c(out, rnd(w, 2) ? "." : ".*");
        } else {
            lp_buf_byte(out, (uint8_t)c);
        }
    }
    if (is_regex && rnd(w, 6) == 0) {
        lp_buf_c(out, rnd(w, 2) ? "|timeout" : "|[a-f]{3}9");
    }
}

struct filter {
    const char *op;
    struct lp_buf text;
    struct lp_regex *re; /* NULL: a literal */
};

static bool
passes(const struct filter *f, const char *line)
{
    struct lp_str s = lp_str_c(line);
    bool found = f->re != NULL ? lp_regex_search(f->re, s) : memmem(s.p, s.n, f->text.p, f->text.n) != NULL;
    return found == (f->op[0] == '|');
}

/* One chain of one or two filters: the same lines come as by the oracle. */
static void
check_chain(struct lp_world *w)
{
    static const char *const ops[] = {"|=", "|~", "!=", "!~"};
    struct filter f[2];
    struct lp_test_query q;
    struct lp_found found;
    struct lp_buf text;
    uint32_t n = 1 + rnd(w, 2), at = 0;
    lp_buf_init(&text, SIZE_MAX);
    lp_buf_c(&text, "{app=~\"x|y\"}");
    for (uint32_t k = 0; k < n; k++) {
        uint32_t op = rnd(w, 4) ? rnd(w, 2) : 2 + rnd(w, 2);
        f[k] = (struct filter){.op = ops[op]};
        lp_buf_init(&f[k].text, SIZE_MAX);
        draw_text(w, op % 2 == 1, &f[k].text);
        if (op % 2 == 1) {
            CU_ASSERT_EQUAL_FATAL(lp_regex_new(lp_buf_view(&f[k].text), &f[k].re, NULL), LP_OK);
        }
        lp_buf_printf(&text, " %s `%.*s`", f[k].op, LP_STR_ARG(lp_buf_view(&f[k].text)));
    }
    lp_test_query_parse(&q, lp_buf_view(&text), true);
    struct lp_search s = lp_world_search(w, &q);
    CU_ASSERT_EQUAL_FATAL(lp_search(&s, &found, NULL), LP_OK);
    bool same = true;
    for (uint32_t i = 0; i < LINES; i++) {
        bool in = passes(&f[0], lines[i]) && (n < 2 || passes(&f[1], lines[i]));
        if (in) {
            same = same && at < found.n && lp_str_eqc(found.rows[at].line, lines[i]);
            at++;
        }
    }
    lp_test_check(same && found.n == at, "other lines came", lp_buf_view(&text));
    for (uint32_t k = 0; k < n; k++) {
        lp_regex_free(f[k].re);
        lp_buf_clear(&f[k].text);
    }
    lp_buf_clear(&text);
    lp_found_clear(&found);
    lp_test_query_clear(&q);
}

static void
chains_of_filters_find_the_same_lines(void)
{
    const char *longer = getenv("LP_LONG");
    uint32_t chains = longer != NULL && longer[0] == '1' ? 10 * CHAINS : CHAINS;
    struct lp_world w;
    lp_world_open(&w);
    put_lines(&w);
    for (uint32_t i = 0; i < chains; i++) {
        check_chain(&w);
    }
    lp_world_close(&w);
}

LP_SUITE(exec_filters, {"chains of filters find the same lines", chains_of_filters_find_the_same_lines});
