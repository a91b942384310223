/*
 * fuzz_json.c - any bytes as JSON lines. Oracle: no crash, no sanitizer report; every line that is not blank
 * reaches exactly one callback, in order, and reads there as it does alone; the nodes of a document fit
 * together, and written out again they parse to the same nodes. Built as a libFuzzer target with
 * --enable-fuzzing; elsewhere it is a plain function that tests call.
 */
#include "base/buf.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct lp_json_parser *alone; /* a second parser, for lines by themselves */
    struct lp_str rest;           /* what has not been delivered */
};

/* The children of container i fill its range, and there are as many as it says. Depth is limited, so this may
 * recurse. */
static void
check_container(const struct lp_json_doc *doc, uint32_t i, unsigned depth)
{
    const struct lp_json *n = &doc->nodes[i];
    bool container = n->type == LP_JSON_ARRAY || n->type == LP_JSON_OBJECT;
    uint32_t children = 0, k = i + 1;
    LP_ASSERT(depth <= LP_JSON_DEPTH_MAX && n->next > i && n->next <= doc->count);
    while (container && k < n->next) {
        LP_ASSERT(n->type == LP_JSON_OBJECT || doc->nodes[k].key.n == 0);
        check_container(doc, k, depth + 1);
        k = doc->nodes[k].next;
        children++;
    }
    LP_ASSERT(k == n->next && children == n->count);
}

static void
write_node(const struct lp_json_doc *doc, uint32_t i, struct lp_buf *out)
{
    const struct lp_json *n = &doc->nodes[i];
    bool object = n->type == LP_JSON_OBJECT;
    if (n->type == LP_JSON_STRING) {
        lp_buf_json(out, n->text);
        return;
    }
    if (!object && n->type != LP_JSON_ARRAY) {
        lp_buf_str(out, n->text);
        return;
    }
    lp_buf_byte(out, object ? '{' : '[');
    for (uint32_t k = i + 1; k < n->next; k = doc->nodes[k].next) {
        lp_buf_c(out, k > i + 1 ? "," : "");
        if (object) {
            lp_buf_json(out, doc->nodes[k].key);
            lp_buf_byte(out, ':');
        }
        write_node(doc, k, out);
    }
    lp_buf_byte(out, object ? '}' : ']');
}

static void
must_be_same(const struct lp_json_doc *a, const struct lp_json_doc *b)
{
    LP_ASSERT(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct lp_json *x = &a->nodes[i], *y = &b->nodes[i];
        bool raw = x->type == LP_JSON_ARRAY || x->type == LP_JSON_OBJECT;
        LP_ASSERT(x->type == y->type && x->next == y->next && x->count == y->count &&
                  x->is_true == y->is_true);
        LP_ASSERT(lp_str_eq(x->key, y->key) && (raw || lp_str_eq(x->text, y->text)));
    }
}

/* The next line of the input that is not blank, as lp_json_lines should hand it over. */
static struct lp_str
next_line(struct run *run)
{
    struct lp_str line;
    size_t i;
    do {
        LP_ASSERT(run->rest.n > 0);
        line = lp_str_cut(&run->rest, '\n');
        for (i = 0; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t' || line.p[i] == '\r'); i++) {
        }
    } while (i == line.n);
    line.n -= line.p[line.n - 1] == '\r';
    return line;
}

static bool
on_doc(void *arg, const struct lp_json_doc *doc, struct lp_str raw)
{
    struct run *run = arg;
    struct lp_json_doc again;
    struct lp_buf out;
    struct lp_str line = next_line(run);
    LP_ASSERT(line.p == raw.p && line.n == raw.n);
    LP_ASSERT(lp_json_parse(run->alone, raw, &again, NULL) == LP_OK);
    must_be_same(doc, &again);
    check_container(doc, 0, 0);

    lp_buf_init(&out, SIZE_MAX / 2);
    write_node(doc, 0, &out);
    LP_ASSERT(lp_json_parse(run->alone, lp_buf_view(&out), &again, NULL) == LP_OK);
    must_be_same(doc, &again);
    lp_buf_clear(&out);
    return true;
}

static bool
on_bad(void *arg, struct lp_str raw, const struct lp_err *why)
{
    struct run *run = arg;
    struct lp_json_doc doc;
    struct lp_str line = next_line(run);
    LP_ASSERT(line.p == raw.p && line.n == raw.n);
    LP_ASSERT(lp_json_parse(run->alone, raw, &doc, NULL) == why->rc);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_buf in;
    struct run run = {.alone = lp_json_parser_new()};
    struct lp_json_lines_cb cb = {on_doc, on_bad, &run, NULL};
    struct lp_json_parser *p = lp_json_parser_new();
    lp_buf_init(&in, SIZE_MAX / 2);
    LP_ASSERT(lp_buf_add(&in, data, size)); /* with the pad */
    run.rest = lp_buf_view(&in);
    LP_ASSERT(lp_json_lines(p, run.rest, &cb, NULL) == LP_OK);
    while (run.rest.n > 0) { /* what was not delivered is blank */
        struct lp_str line = lp_str_cut(&run.rest, '\n');
        LP_ASSERT(lp_str_trim(line).n == 0 && lp_str_find_byte(line, '\v') == SIZE_MAX &&
                  lp_str_find_byte(line, '\f') == SIZE_MAX);
    }
    lp_buf_clear(&in);
    lp_json_parser_free(p);
    lp_json_parser_free(run.alone);
    return 0;
}
