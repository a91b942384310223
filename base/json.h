/*
 * json.h - the one door to simdjson: JSON documents as flat arrays of nodes.
 *
 * A document becomes its nodes in document order (preorder). Node 0 is the root. Strings are unescaped slices of the
 * input or of the parser's memory, valid until its next parse and as long as the input; numbers keep their exact text,
 * however large they are. A lone surrogate escape becomes U+FFFD. Equal keys are all kept, in order.
 * Input bytes must be followed by at least LP_JSON_PAD readable bytes (struct lp_buf guarantees them). Depth is limited
 * to LP_JSON_DEPTH_MAX, values in one document to LP_JSON_NODES_MAX; no recursion on input.
 * A parser belongs to one thread at a time; it keeps at most a few MiB between parses.
 */
#ifndef LP_BASE_JSON_H
#define LP_BASE_JSON_H

#include "base/err.h"
#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LP_JSON_PAD 64
#define LP_JSON_DEPTH_MAX 64
#define LP_JSON_NODES_MAX (UINT32_C(1) << 22) /* 192 MiB of nodes */

enum lp_json_type { LP_JSON_NULL, LP_JSON_BOOL, LP_JSON_NUMBER, LP_JSON_STRING, LP_JSON_ARRAY, LP_JSON_OBJECT };

struct lp_json {
    enum lp_json_type type;
    bool is_true;       /* LP_JSON_BOOL */
    uint32_t next;      /* index of the node behind this one and all its children (a sibling, or where the parent ends) */
    uint32_t count;     /* ARRAY, OBJECT: direct children */
    struct lp_str key;  /* in an object: the unescaped key; else empty */
    struct lp_str text; /* STRING: unescaped value. NUMBER: exact text. ARRAY/OBJECT: the raw JSON in the input. BOOL/NULL: its literal */
};

struct lp_json_doc {
    const struct lp_json *nodes; /* nodes[0] is the root */
    uint32_t count;
};

struct lp_json_parser;

struct lp_json_parser *lp_json_parser_new(void);
void lp_json_parser_free(struct lp_json_parser *p);

/*
 * One document, which must be all of `text` but for white space. LP_ERR_PARSE (malformed, not UTF-8, trailing bytes; with
 * line and column where they are known), LP_ERR_LIMIT (depth, values, 4 GiB), LP_ERR_NOMEM.
 */
lp_rc lp_json_parse(struct lp_json_parser *p, struct lp_str text, struct lp_json_doc *ret, struct lp_err *err) LP_MUST_USE;

/*
 * Documents separated by newlines (JSON lines). Calls on_doc for each, in order, with its raw line (no newline, no CR);
 * a line that is not one whole JSON document is handed to on_bad with the reason instead, and the others still count. Blank lines
 * are skipped. Either callback returns false to stop: the function then returns LP_ERR_CANCELED. A document that
 * on_doc gets has been proven whole and valid. LP_ERR_NOMEM is the only other failure.
 * Fast path: many lines in one pass; a refused stretch is parsed again line by line, so one bad byte costs one line.
 */
struct lp_json_lines_cb {
    bool (*on_doc)(void *arg, const struct lp_json_doc *doc, struct lp_str raw);
    bool (*on_bad)(void *arg, struct lp_str raw, const struct lp_err *why);
    void *arg;
    /* NULL, or what sees every line first, in order: true when it took it, and then the line is not parsed. It must take none that is not one valid document. */
    bool (*on_line)(void *arg, struct lp_str raw);
};
lp_rc lp_json_lines(struct lp_json_parser *p, struct lp_str text, const struct lp_json_lines_cb *cb, struct lp_err *err) LP_MUST_USE;

/*
 * Reads a string from behind its opening quote up to its closing one, which must stand before end, and writes it unescaped to out, which has
 * room for end - p bytes and LP_JSON_PAD more. Returns the place of the closing quote; NULL when the string is not whole and valid.
 * Reads nothing at or behind end.
 */
const char *lp_json_string(const char *p, const char *end, char *out, size_t *ret_n);
/* Whether text is a JSON number and nothing else. */
bool lp_json_is_number(struct lp_str text);

/* The member of an object node by key (the last one of equal keys, as Go and Python take it); NULL when absent. i: index of the object. */
const struct lp_json *lp_json_member(const struct lp_json_doc *doc, uint32_t i, struct lp_str key);
/* Walks keys from the root: lp_json_path(doc, "kubernetes", "pod_name", NULL). */
const struct lp_json *lp_json_path(const struct lp_json_doc *doc, ...) __attribute__((sentinel));
/* What a number node says; 0 for NULL, for other nodes, and for numbers that are no uint64_t. */
uint64_t lp_json_u64(const struct lp_json *v);

#ifdef __cplusplus
}
#endif

#endif
