/*
 * test_needle.c - oracle: needles cut by hand; and for what a column's head says, the cells themselves: where
 * it says none, no cell of the column may match, where it says all, every one does.
 */
#include "store/needle.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/store_fixture.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the forms of cells stand in tables */

struct cut {
    const char *text;
    const char *shape;
    const char *frags; /* ops and texts, joined: "=" equal, "<" suffix, ">" prefix, "*" infix */
};

static void
say(const struct lp_cut_needle *n, struct lp_buf *out)
{
    lp_buf_reset(out);
    for (uint32_t i = 0; i < n->nfrags; i++) {
        lp_buf_printf(out, "%s%c%.*s", i > 0 ? " " : "", "=><*"[n->frags[i].op],
                      LP_STR_ARG(n->frags[i].text));
    }
}

static void
needles_are_cut_as_lines_are(void)
{
    static const struct cut cuts[] = {
        {"error", "A", "*error"},
        {" error", " A", ">error"},
        {"error ", "A ", "<error"},
        {" error ", " A ", "=error"},
        {"a=b", "A=A", "<a >b"},
        {"a=b c", "A=A A", "<a =b >c"},
        {"\"id\":\"x_1\"", "\"A\":\"A\"", "=id =x_1"},
        {"=", "=", ""},
        {" -- ", " -- ", ""},
        {"caf\xc3\xa9 \xff", "A A", "<caf\xc3\xa9 >\xff"},
    };
    struct lp_arena ar;
    struct lp_buf said;
    lp_arena_init(&ar, SIZE_MAX, 0);
    lp_buf_init(&said, SIZE_MAX);
    for (size_t i = 0; i < LP_ARRAY_LEN(cuts); i++) {
        struct lp_needle n = {lp_str_c(cuts[i].text), i % 2 != 0};
        struct lp_cut_needle c;
        CU_ASSERT_FATAL(lp_needle_cut(&n, &ar, &c));
        say(&c, &said);
        CU_ASSERT(lp_str_eq(c.shape, lp_str_c(cuts[i].shape)) && !c.whole && c.icase == n.icase);
        CU_ASSERT(lp_str_eq(lp_buf_view(&said), lp_str_c(cuts[i].frags)));
        CU_ASSERT(lp_str_eq(c.text, n.text));
        for (uint32_t k = 0; k < c.nfrags; k++) {
            CU_ASSERT(c.frags[k].icase == n.icase && c.frags[k].id_hash == lp_id_hash(c.frags[k].text));
        }
    }
    lp_buf_clear(&said);
    lp_arena_clear(&ar);
}

/* The only fragment of a needle. */
static struct lp_fragment
fragment(const char *text, bool icase, struct lp_arena *ar)
{
    struct lp_needle n = {lp_str_c(text), icase};
    struct lp_cut_needle c;
    CU_ASSERT_FATAL(lp_needle_cut(&n, ar, &c) && c.nfrags == 1);
    return c.frags[0];
}

static void
numbers_and_limits(void)
{
    struct lp_arena ar;
    struct lp_cut_needle c;
    lp_arena_init(&ar, SIZE_MAX, 0);
    struct lp_fragment f = fragment(" 999999999999999999 ", false, &ar);
    CU_ASSERT(f.is_number && f.number == UINT64_C(999999999999999999));
    f = fragment("007", false, &ar);
    CU_ASSERT(f.is_number && f.number == 7);
    CU_ASSERT(!fragment("9999999999999999999", false, &ar).is_number); /* 19 digits */
    CU_ASSERT(!fragment("12a", false, &ar).is_number);
    char *many = lp_malloc(70000);
    memset(many, ' ', 70000);
    for (size_t i = 0; i < 2050; i += 2) {
        many[i] = 'a';
    }
    struct lp_needle n = {lp_str_of(many, 2047), false}; /* 1,024 tokens */
    CU_ASSERT(lp_needle_cut(&n, &ar, &c) && !c.whole && c.nfrags == 1024);
    n.text.n = 2049;
    CU_ASSERT(lp_needle_cut(&n, &ar, &c) && c.whole && c.nfrags == 0);
    n.text.n = 65536;
    CU_ASSERT(lp_needle_cut(&n, &ar, &c) && c.whole);
    lp_free(many);
    lp_arena_clear(&ar);
    lp_arena_init(&ar, 100, 0);
    CU_ASSERT(!lp_needle_cut(&n, &ar, &c)); /* no memory */
    lp_arena_clear(&ar);
}

static void
fragments_in_cells(void)
{
    static const struct {
        const char *needle, *cell;
        bool icase, in;
    } asked[] = {
        {" ab ", "ab", false, true},        {" ab ", "abc", false, false},
        {" ab ", "xab", false, false},      {" ab", "abc", false, true},
        {" ab", "xab", false, false},       {"ab ", "xab", false, true},
        {"ab ", "abx", false, false},       {"ab", "xabx", false, true},
        {"ab", "a", false, false},          {" ab ", "AB", true, true},
        {" ab ", "AB", false, false},       {" ab", "aBc", true, true},
        {"ab ", "xAb", true, true},         {"ab", "xABx", true, true},
        {"ab", "xA_x", true, false},        {" a1_ ", "A1_", true, true},
        {" a1_ ", "A1\x7f", true, false},   {"\xc3\xa9", "caf\xc3\xa9", false, true},
        {"abab ", "ab", false, false},      {" abab", "ab", false, false},
        {"\xc3 ", "\xc3\xc3", false, true},
    };
    struct lp_arena ar;
    lp_arena_init(&ar, SIZE_MAX, 0);
    for (size_t i = 0; i < LP_ARRAY_LEN(asked); i++) {
        struct lp_fragment f = fragment(asked[i].needle, asked[i].icase, &ar);
        bool in = lp_fragment_in(&f, lp_str_c(asked[i].cell));
        if (in != asked[i].in) {
            fprintf(stderr, "'%s' in '%s'\n", asked[i].needle, asked[i].cell);
        }
        CU_ASSERT_EQUAL(in, asked[i].in);
    }
    lp_arena_clear(&ar);
}

/* --- what heads say --- */

#define NONE LP_CELLS_NONE
#define SOME LP_CELLS_SOME
#define ALL LP_CELLS_ALL

struct question {
    const char *needle;
    bool icase;
    enum lp_column_says says;
};

static void
ask(const struct lp_column *made, const struct question *q, size_t n)
{
    struct lp_arena ar;
    struct lp_column parsed = *made, *col = &parsed; /* parsing would say how long cells are */
    parsed.cell_max = made->type == LP_COL_INT && made->digits == 0 ? lp_digits_of(made->max)
                      : made->type == LP_COL_INT                    ? made->digits
                                                                    : (uint32_t)made->max;
    lp_arena_init(&ar, SIZE_MAX, 0);
    for (size_t i = 0; i < n; i++) {
        struct lp_fragment f = fragment(q[i].needle, q[i].icase, &ar);
        uint64_t *codes;
        bool equal;
        enum lp_column_says says = lp_column_test(col, &f, false, &ar, &codes, &equal);
        if (says != q[i].says) {
            fprintf(stderr, "type %u, needle '%s': %d\n", col->type, q[i].needle, (int)says);
        }
        CU_ASSERT_EQUAL(says, q[i].says);
        CU_ASSERT(f.op != LP_FRAG_EQUAL || equal);
    }
    lp_arena_clear(&ar);
}

static void
heads_of_numbers(void)
{
    static const struct question plain[] = {
        {" 95 ", false, SOME},   {" 94 ", false, NONE},  {" 1200 ", false, SOME}, {" 1201 ", false, NONE},
        {" 0100 ", false, NONE}, {" 500 ", true, SOME},  {" 9", false, SOME},     {"95 ", false, SOME},
        {"5", false, SOME},      {"12345", false, NONE}, {"1a", false, NONE},     {" a ", false, NONE}};
    static const struct question digits[] = {{" 00095 ", false, SOME}, {" 95 ", false, NONE},
                                             {" 00094 ", false, NONE}, {" 000", false, SOME},
                                             {"000095 ", false, NONE}, {" 01200 ", false, SOME}};
    struct lp_column col = {.type = LP_COL_INT, .planes = 2, .rows = 10, .min = 95, .max = 1200};
    ask(&col, plain, LP_ARRAY_LEN(plain));
    col.digits = 5;
    ask(&col, digits, LP_ARRAY_LEN(digits));
}

static void
heads_of_digits_and_bytes(void)
{
    static const struct question lower[] = {{" deadbeef ", false, SOME}, {" DEADBEEF ", false, NONE},
                                            {" deadbee ", false, NONE},  {" deadbeef0 ", false, NONE},
                                            {"dead", false, SOME},       {" g", false, NONE},
                                            {" deadbeef ", true, SOME},  {"0", false, SOME}};
    static const struct question upper[] = {{" deadbeef ", true, SOME},
                                            {" deadbeef ", false, NONE},
                                            {" DEADBEEF ", false, SOME},
                                            {"ab", true, SOME}};
    static const struct question bytes[] = {
        {" abc ", false, SOME}, {" ab ", false, NONE}, {" abcabc ", false, NONE}, {"abcab", false, SOME},
        {"c", false, SOME},     {"C", false, NONE},    {"z", true, SOME},         {"abx", false, NONE}};
    struct lp_column col = {.type = LP_COL_HEX, .rows = 10, .digits = 8, .min = 8, .max = 8};
    uint8_t set[32] = {0};
    ask(&col, lower, LP_ARRAY_LEN(lower));
    col.flags = LP_COL_UPPER;
    ask(&col, upper, LP_ARRAY_LEN(upper));
    lp_set_add(set, LP_STR("abcZ"));
    col = (struct lp_column){.type = LP_COL_BYTES, .rows = 10, .min = 3, .max = 5, .set = set};
    ask(&col, bytes, LP_ARRAY_LEN(bytes));
}

static void
heads_of_constants_and_dictionaries(void)
{
    static const struct question constant[] = {{" GET ", false, ALL},
                                               {" get ", true, ALL},
                                               {" get ", false, NONE},
                                               {"ET ", false, ALL},
                                               {" ET", false, NONE}};
    static const struct question dict[] = {{"er", false, ALL},    {"error ", false, SOME},
                                           {" err", false, SOME}, {"x", false, NONE},
                                           {"warn", false, NONE}, {"r", true, ALL},
                                           {"ore", false, NONE} /* of two values behind each other */};
    struct lp_column col = {.type = LP_COL_CONST, .rows = 10, .value = LP_STR("GET"), .min = 3, .max = 3};
    char head[64] = "\1\200\3\5error\6errors\2er\0\0";
    struct lp_arena ar, spent;
    struct lp_fragment f;
    uint64_t *codes;
    bool equal;
    ask(&col, constant, LP_ARRAY_LEN(constant));
    lp_arena_init(&ar, SIZE_MAX, 0);
    struct lp_rd rd = lp_rd_of(lp_str_of(head, 21));
    CU_ASSERT_FATAL(lp_column_parse(&rd, 10, &ar, &col) && lp_rd_left(&rd) == 0);
    ask(&col, dict, LP_ARRAY_LEN(dict));
    f = fragment("error", false, &ar);
    CU_ASSERT(lp_column_test(&col, &f, false, &ar, &codes, &equal) == SOME && codes != NULL &&
              codes[0] == 3 && !equal);
    f = fragment(" er ", false, &ar);
    CU_ASSERT(lp_column_test(&col, &f, false, &ar, &codes, &equal) == SOME && codes[0] == 4 && equal);
    f = fragment("errors", false, &ar); /* as long as the longest: who holds it is it */
    CU_ASSERT(lp_column_test(&col, &f, false, &ar, &codes, &equal) == SOME && codes[0] == 2 && equal);
    lp_arena_init(&spent, 1, 0); /* each cell is asked then */
    CU_ASSERT(lp_column_test(&col, &f, false, &spent, &codes, &equal) == SOME && codes == NULL);
    lp_arena_clear(&spent);
    lp_arena_clear(&ar);
}

/* Ignoring case, cells with other letters count as matching whatever they hold: RE2 folds some. */
static void
cells_with_other_letters(void)
{
    char head[64] = "\1\200\3\1k\3\xe2\x84\xaa\1x\0\0";
    uint8_t set[32] = {0};
    struct lp_arena ar;
    struct lp_column col;
    uint64_t *codes;
    bool equal;
    lp_arena_init(&ar, SIZE_MAX, 0);
    struct lp_fragment f = fragment(" k ", true, &ar), g = fragment("qqqqqqqq", true, &ar);
    struct lp_rd rd = lp_rd_of(lp_str_of(head, 13));
    CU_ASSERT_FATAL(lp_column_parse(&rd, 10, &ar, &col) && lp_rd_left(&rd) == 0);
    CU_ASSERT(lp_column_test(&col, &f, true, &ar, &codes, &equal) == SOME && codes[0] == 3);
    CU_ASSERT(lp_column_test(&col, &f, false, &ar, &codes, &equal) == SOME && codes[0] == 1);
    CU_ASSERT(lp_column_test(&col, &g, true, &ar, &codes, &equal) == SOME && codes[0] == 2);
    CU_ASSERT(lp_column_test(&col, &g, false, &ar, &codes, &equal) == NONE);
    lp_set_add(set, LP_STR("abc\xe2"));
    col = (struct lp_column){.type = LP_COL_BYTES, .rows = 10, .min = 3, .max = 5, .set = set};
    CU_ASSERT(lp_column_test(&col, &g, true, &ar, &codes, &equal) == SOME && !equal);
    CU_ASSERT(lp_column_test(&col, &f, true, &ar, &codes, &equal) == SOME && !equal);
    CU_ASSERT(lp_column_test(&col, &g, false, &ar, &codes, &equal) == NONE);
    col = (struct lp_column){
        .type = LP_COL_CONST, .rows = 10, .value = LP_STR("\xe2\x84\xaa"), .min = 3, .max = 3};
    CU_ASSERT(lp_column_test(&col, &g, true, &ar, &codes, &equal) == ALL);
    CU_ASSERT(lp_column_test(&col, &g, false, &ar, &codes, &equal) == NONE);
    CU_ASSERT(lp_has_high(LP_STR("a\xe2")) && !lp_has_high(LP_STR("az\x7f")) && !lp_has_high(LP_STR("")));
    lp_arena_clear(&ar);
}

static void
sets_of_bytes(void)
{
    struct lp_arena ar;
    struct lp_cut_needle c;
    uint8_t set[32] = {0};
    struct lp_needle n = {LP_STR("get /a"), true}, exact = {LP_STR("GET /a"), false};
    lp_set_add(set, LP_STR("GET /a"));
    lp_arena_init(&ar, SIZE_MAX, 0);
    CU_ASSERT(lp_needle_cut(&n, &ar, &c) && lp_needle_in_set(&c, set));
    CU_ASSERT(lp_needle_cut(&exact, &ar, &c) && lp_needle_in_set(&c, set));
    n.icase = false;
    CU_ASSERT(lp_needle_cut(&n, &ar, &c) && !lp_needle_in_set(&c, set));
    set['/' / 8] &= (uint8_t) ~(1u << '/' % 8);
    CU_ASSERT(lp_needle_cut(&exact, &ar, &c) && !lp_needle_in_set(&c, set));
    lp_arena_clear(&ar);
}

/* --- heads against the cells that they were made for --- */

static lp_rc
sink_own(void *ctx, const struct lp_buf *content, const uint32_t *part_ends, size_t nparts,
         struct lp_err *err)
{
    (void)ctx, (void)content, (void)part_ends, (void)nparts, (void)err;
    return LP_OK;
}

static lp_rc
sink_shared(void *ctx, struct lp_str content, uint32_t *ret_frame, uint32_t *ret_offset, struct lp_err *err)
{
    (void)ctx, (void)content, (void)err;
    *ret_frame = *ret_offset = 0;
    return LP_OK;
}

/* Does the head say something false of these cells and a fragment? */
static bool
lies(const struct lp_column *col, char (*cells)[24], uint32_t n, const struct lp_fragment *f,
     struct lp_arena *ar)
{
    uint64_t *codes;
    bool equal, wrong = false;
    uint32_t hits = 0;
    enum lp_column_says says = lp_column_test(col, f, false, ar, &codes, &equal);
    for (uint32_t i = 0; i < n; i++) {
        struct lp_str cell = lp_str_c(cells[i]);
        bool in = lp_fragment_in(f, cell);
        hits += in;
        wrong = wrong || (in && equal && cell.n != f->text.n);
    }
    for (uint32_t k = 0; codes != NULL && k < col->nvalues; k++) {
        wrong = wrong || (codes[k / 64] >> (k % 64) & 1) != lp_fragment_in(f, col->values[k]);
    }
    return wrong || (says == NONE && hits > 0) || (says == ALL && hits < n);
}

static void
heads_tell_no_lies(void)
{
    static const char *const formats[] = {"%lu", "%03lu", "%lx", "%06lX", "w%lu", "x%lxY", "%.0lu", "A"};
    static const uint64_t masks[] = {7, 0xff, 0xffff, 0xffffffff};
    struct lp_column_encoder *e = lp_column_encoder_new();
    uint64_t seed = 11;
    uint32_t wrong = 0, types[LP_COL_TYPES] = {0};
    for (unsigned round = 0; round < 2000; round++) {
        char cells[200][24], text[64];
        struct lp_chunk_sink sink = {.own = sink_own, .shared = sink_shared};
        struct lp_cells c = {0};
        struct lp_buf heads;
        struct lp_arena ar;
        struct lp_column col;
        uint32_t n = 2 + (uint32_t)(lp_rand(&seed) % 198);
        const char *format = formats[lp_rand(&seed) % LP_ARRAY_LEN(formats)];
        uint64_t mask = masks[lp_rand(&seed) % LP_ARRAY_LEN(masks)];
        lp_arena_init(&ar, SIZE_MAX, 0);
        lp_buf_init(&heads, SIZE_MAX);
        for (uint32_t i = 0; i < n; i++) {
            memset(text, 0, sizeof(text));
            (void)snprintf(cells[i], sizeof(cells[i]), format, lp_rand(&seed) & mask);
            memcpy(text, cells[i], sizeof(cells[i]));
            lp_cells_add(&c, text, strlen(cells[i]));
        }
        CU_ASSERT_EQUAL_FATAL(lp_column_encode(e, &c, &sink, &heads, NULL), LP_OK);
        lp_buf_reserve(&heads, LP_CONTENT_PAD);
        struct lp_rd rd = lp_rd_of(lp_buf_view(&heads));
        CU_ASSERT_FATAL(lp_column_parse(&rd, n, &ar, &col));
        types[col.type]++;
        for (unsigned k = 0; k < 40; k++) {
            const char *cell = cells[lp_rand(&seed) % n];
            size_t len = strlen(cell), from = len > 0 && k % 2 ? lp_rand(&seed) % len : 0,
                   take = 1 + lp_rand(&seed) % 8;
            (void)snprintf(text, sizeof(text), "%s%.*s%s%s", k % 3 ? " " : "", k % 5 ? 20 : (int)take,
                           cell + from, k % 7 == 0 ? "0" : "", k % 4 > 1 ? " " : "");
            struct lp_needle needle = {lp_str_c(text), false};
            struct lp_cut_needle cut;
            if (strspn(text, " ") < strlen(text) && lp_needle_cut(&needle, &ar, &cut)) {
                wrong += lies(&col, cells, n, &cut.frags[0], &ar);
            }
        }
        lp_cells_clear(&c);
        lp_buf_clear(&heads);
        lp_arena_clear(&ar);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (unsigned i = 0; i < LP_COL_TYPES; i++) {
        CU_ASSERT(types[i] > 20);
    }
    lp_column_encoder_free(e);
}

LP_SUITE(needle, {"needles are cut as lines are", needles_are_cut_as_lines_are},
         {"numbers and limits", numbers_and_limits}, {"fragments in cells", fragments_in_cells},
         {"heads of numbers", heads_of_numbers}, {"heads of digits and bytes", heads_of_digits_and_bytes},
         {"heads of constants and dictionaries", heads_of_constants_and_dictionaries},
         {"cells with other letters", cells_with_other_letters}, {"sets of bytes", sets_of_bytes},
         {"heads tell no lies", heads_tell_no_lies});
