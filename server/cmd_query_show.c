/*
 * cmd_query_show.c - rows as a person reads them: time, where it came from, the line.
 *
 * On a terminal control characters are shown, not obeyed. Elsewhere lines go out byte for byte.
 */
#include "server/cmd_query_int.h"

#include "base/hash.h"
#include "server/text_ui.h"

#define ROW_BYTES_MAX (256u << 20)
#define DIM "\033[2m"
#define CYAN "\033[36m"
#define RED "\033[31m"
#define MARK "\033[1;31m"
#define PLAIN "\033[0m"

void
lp_query_show_init(struct lp_query_show *s, FILE *out, enum lp_query_output output)
{
    *s = (struct lp_query_show){.out = out,
                                .output = output,
                                .terminal = lp_ui_terminal(out),
                                .colour = lp_ui_colour(out),
                                .json = lp_json_parser_new()};
    lp_buf_init(&s->text, ROW_BYTES_MAX);
    lp_buf_init(&s->safe, ROW_BYTES_MAX);
    lp_buf_init(&s->origin, ROW_BYTES_MAX);
}

void
lp_query_show_begin(struct lp_query_show *s, const struct lp_query *q)
{
    lp_query_show_init(s, stdout, q->output);
    s->colour = q->colour;
    s->ignore_case = q->ignore_case;
    s->words = q->words;
    s->nwords = q->logql ? 0 : q->nwords;
}

void
lp_query_show_clear(struct lp_query_show *s)
{
    lp_json_parser_free(s->json);
    lp_buf_clear(&s->text);
    lp_buf_clear(&s->safe);
    lp_buf_clear(&s->origin);
}

bool
lp_query_is_row(struct lp_str json)
{
    return lp_str_starts(json, LP_STR("{\"time\":"));
}

bool
lp_query_show_put(struct lp_query_show *s, struct lp_str bytes)
{
    s->failed = s->failed || (bytes.n > 0 && fwrite(bytes.p, 1, bytes.n, s->out) != bytes.n);
    return !s->failed;
}

/* --- what stands in a row --- */

/* Base64 with padding; false when it is none. */
static bool
decode_base64(struct lp_str in, struct lp_buf *out)
{
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
        char b = in.p[i];
        int d = b >= 'A' && b <= 'Z'   ? b - 'A'
                : b >= 'a' && b <= 'z' ? b - 'a' + 26
                : b >= '0' && b <= '9' ? b - '0' + 52
                : b == '+'             ? 62
                : b == '/'             ? 63
                                       : -1;
        if (d < 0) {
            return false;
        }
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            lp_buf_byte(out, (uint8_t)(v >> bits));
        }
    }
    return !out->failed;
}

static struct lp_str
text_of(const struct lp_json *v)
{
    return v != NULL && v->type == LP_JSON_STRING ? v->text : LP_STR_NULL;
}

struct lp_str
lp_query_show_line(struct lp_query_show *s, const struct lp_json_doc *doc)
{
    struct lp_str coded = text_of(lp_json_path(doc, "line_b64", NULL));
    lp_buf_reset(&s->text);
    if (coded.n > 0 && decode_base64(coded, &s->text)) {
        return lp_buf_view(&s->text);
    }
    return text_of(lp_json_path(doc, "line", NULL));
}

/* --- the default form --- */

/* As it may go to this output. */
static void
put_text(struct lp_query_show *s, struct lp_str text)
{
    if (s->terminal || s->colour) {
        lp_ui_safe(&s->safe, text);
    } else {
        lp_buf_str(&s->safe, text);
    }
}

static void
put_colour(struct lp_query_show *s, const char *code)
{
    if (s->colour) {
        lp_buf_c(&s->safe, code);
    }
}

/* namespace/pod/container, a file's name, or all labels; into s->origin. */
static void
put_origin(struct lp_query_show *s, const struct lp_json_doc *doc)
{
    static const char *const of_pod[] = {"namespace", "pod", "container"};
    const struct lp_json *labels = lp_json_path(doc, "labels", NULL);
    struct lp_str pod = text_of(lp_json_path(doc, "labels", "pod", NULL));
    struct lp_str file = text_of(lp_json_path(doc, "labels", "filename", NULL));
    const char *between = "";
    for (size_t i = 0; i < LP_ARRAY_LEN(of_pod) && pod.n > 0; i++) {
        struct lp_str v = text_of(lp_json_path(doc, "labels", of_pod[i], NULL));
        if (v.n > 0) {
            lp_buf_c(&s->origin, between);
            lp_buf_str(&s->origin, v);
            between = "/";
        }
    }
    if (pod.n == 0 && file.n > 0) {
        lp_buf_str(&s->origin, file);
    }
    if (pod.n > 0 || file.n > 0 || labels == NULL || labels->type != LP_JSON_OBJECT) {
        return;
    }
    uint32_t at = (uint32_t)(labels - doc->nodes);
    for (uint32_t i = at + 1; i < labels->next; i = doc->nodes[i].next) {
        lp_buf_c(&s->origin, between);
        lp_buf_str(&s->origin, doc->nodes[i].key);
        lp_buf_byte(&s->origin, '=');
        lp_buf_str(&s->origin, doc->nodes[i].text);
        between = " ";
    }
}

/* Each origin has its colour, handed out in the order of their first lines; what went to standard error is
 * red. */
static const char *
colour_of(struct lp_query_show *s, struct lp_str origin)
{
    static const char *const colours[] = {CYAN, "\033[33m", "\033[32m", "\033[35m", "\033[34m", "\033[96m"};
    uint64_t hash = lp_xxh64(origin.p, origin.n);
    size_t i = 0;
    while (i < s->norigins && s->origins[i] != hash) {
        i++;
    }
    if (i == s->norigins && i < LP_QUERY_ORIGINS) {
        s->origins[s->norigins++] = hash;
    }
    return colours[(i < LP_QUERY_ORIGINS ? i : hash) % LP_ARRAY_LEN(colours)];
}

static bool
begins_with(struct lp_str s, struct lp_str word, bool ignore_case)
{
    struct lp_str head = lp_str_sub(s, 0, word.n);
    return ignore_case ? lp_str_ieq(head, word) : lp_str_eq(head, word);
}

/* How many bytes from here on are a word to be marked; 0: none. */
static size_t
marked(const struct lp_query_show *s, struct lp_str rest)
{
    size_t most = 0;
    for (size_t i = 0; i < s->nwords; i++) {
        struct lp_str word = lp_str_c(s->words[i]);
        if (word.n > most && begins_with(rest, word, s->ignore_case)) {
            most = word.n;
        }
    }
    return most;
}

/* One line of a record, its found words marked. */
static void
put_marked(struct lp_query_show *s, struct lp_str line)
{
    size_t from = 0;
    for (size_t i = 0; s->colour && i < line.n;) {
        size_t n = marked(s, lp_str_sub(line, i, line.n));
        if (n > 0) {
            put_text(s, lp_str_sub(line, from, i));
            lp_buf_c(&s->safe, MARK);
            put_text(s, lp_str_sub(line, i, i + n));
            lp_buf_c(&s->safe, PLAIN);
            from = i + n;
        }
        i += LP_MAX(n, (size_t)1);
    }
    put_text(s, lp_str_sub(line, from, line.n));
}

/* A record of several lines goes on indented below its first. */
static void
put_lines(struct lp_query_show *s, struct lp_str text)
{
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r')) {
        text.n--;
    }
    bool first = true;
    do {
        struct lp_str line = lp_str_cut(&text, '\n');
        lp_buf_c(&s->safe, first ? "" : "\n    ");
        put_marked(s, line);
        first = false;
    } while (text.p != NULL);
    lp_buf_byte(&s->safe, '\n');
}

void
lp_query_show_time(struct lp_query_show *s, struct lp_str time)
{
    put_colour(s, DIM);
    put_text(s, time);
    put_colour(s, PLAIN);
    lp_buf_byte(&s->safe, ' ');
}

void
lp_query_show_origin(struct lp_query_show *s, struct lp_str origin, struct lp_str key, bool error)
{
    put_colour(s, error ? RED : colour_of(s, key));
    put_text(s, origin);
    put_colour(s, PLAIN);
    lp_buf_byte(&s->safe, ' ');
}

bool
lp_query_show_rest(struct lp_query_show *s, struct lp_str line)
{
    put_lines(s, line);
    (void)lp_query_show_put(s, lp_buf_view(&s->safe)); /* s->failed keeps it */
    lp_buf_reset(&s->safe);
    return !s->failed;
}

static void
show_default(struct lp_query_show *s, const struct lp_json_doc *doc)
{
    char text[LP_UI_TEXT];
    int64_t t = 0;
    struct lp_str time = text_of(lp_json_path(doc, "time", NULL));
    if (lp_time_rfc3339(time, &t)) {
        time = lp_str_c(lp_ui_time(t, text));
    }
    lp_buf_reset(&s->origin);
    put_origin(s, doc);
    lp_query_show_time(s, time);
    lp_query_show_origin(s, lp_buf_view(&s->origin), lp_buf_view(&s->origin),
                         lp_str_eqc(text_of(lp_json_path(doc, "labels", "stream", NULL)), "stderr"));
    (void)lp_query_show_rest(s, lp_query_show_line(s, doc)); /* s->failed keeps it */
}

/* --- rows --- */

bool
lp_query_show_row(struct lp_query_show *s, struct lp_str json)
{
    struct lp_json_doc doc;
    bool row = lp_query_is_row(json);
    s->rows += row;
    if (row && s->output == LP_QUERY_JSONL) {
        return lp_query_show_put(s, json) && lp_query_show_put(s, LP_STR("\n"));
    }
    if (!row || lp_json_parse(s->json, json, &doc, NULL) != LP_OK) {
        return true;
    }
    if (s->output == LP_QUERY_RAW) {
        (void)lp_query_show_put(s, lp_query_show_line(s, &doc)); /* s->failed keeps both */
        (void)lp_query_show_put(s, LP_STR("\n"));
    } else {
        show_default(s, &doc);
    }
    return !s->failed;
}
