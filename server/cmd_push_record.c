/*
 * cmd_push_record.c - lines of CRI files, Docker's json-file and anything else as records. Pure.
 *
 * The first line of a file tells its format; a later line that does not fit is kept as it stands. A line in
 * pieces has the time of its first piece; joined text over LP_PUSH_LINE_MAX is handed out in pieces of that
 * size.
 */
#include "server/cmd_push_int.h"

void
lp_push_records_init(struct lp_push_records *r, int64_t latest_ns)
{
    *r = (struct lp_push_records){.format = LP_PUSH_UNKNOWN, .last_ns = LP_TIME_NONE};
    lp_line_clock_init(&r->clock, latest_ns);
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        lp_buf_init(&r->partial[i].text, SIZE_MAX);
    }
    lp_buf_init(&r->joined, SIZE_MAX);
}

void
lp_push_records_clear(struct lp_push_records *r)
{
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        lp_buf_clear(&r->partial[i].text);
    }
    lp_buf_clear(&r->joined);
    lp_json_parser_free(r->json);
    r->json = NULL;
}

static enum lp_push_stream
stream_of(struct lp_str name)
{
    return lp_str_eqc(name, "stdout")   ? LP_PUSH_STDOUT
           : lp_str_eqc(name, "stderr") ? LP_PUSH_STDERR
                                        : LP_PUSH_UNNAMED;
}

/* What one line of a container's log says, in either format. */
struct piece {
    int64_t time_ns;
    enum lp_push_stream stream;
    struct lp_str text;
    bool partial;
};

static bool
read_cri(struct lp_str line, struct piece *ret)
{
    struct lp_cri_line cri;
    if (!lp_cri_parse(line, &cri)) {
        return false;
    }
    *ret = (struct piece){cri.time_ns, stream_of(cri.stream), cri.text, cri.partial};
    return true;
}

static bool
read_docker(struct lp_push_records *r, struct lp_str line, struct piece *ret)
{
    struct lp_json_doc doc;
    if (line.n == 0 || line.p[0] != '{') {
        return false;
    }
    r->json = r->json != NULL ? r->json : lp_json_parser_new();
    if (lp_json_parse(r->json, line, &doc, NULL) != LP_OK || doc.nodes[0].type != LP_JSON_OBJECT) {
        return false;
    }
    const struct lp_json *log = lp_json_member(&doc, 0, LP_STR("log"));
    const struct lp_json *stream = lp_json_member(&doc, 0, LP_STR("stream"));
    const struct lp_json *time = lp_json_member(&doc, 0, LP_STR("time"));
    if (log == NULL || log->type != LP_JSON_STRING || time == NULL || time->type != LP_JSON_STRING ||
        !lp_time_rfc3339(time->text, &ret->time_ns)) {
        return false;
    }
    ret->stream =
        stream != NULL && stream->type == LP_JSON_STRING ? stream_of(stream->text) : LP_PUSH_UNNAMED;
    ret->text = log->text;
    ret->partial = log->text.n == 0 || log->text.p[log->text.n - 1] != '\n';
    ret->text.n -= !ret->partial;
    return true;
}

static enum lp_push_format
tell_format(struct lp_push_records *r, struct lp_str line)
{
    struct piece p;
    return read_cri(line, &p) ? LP_PUSH_CRI : read_docker(r, line, &p) ? LP_PUSH_DOCKER : LP_PUSH_PLAIN;
}

/* The joined text becomes the record's line; the next pieces begin anew. */
static void
hand_out(struct lp_push_records *r, struct lp_push_partial *part, struct lp_push_record *ret)
{
    struct lp_buf t = r->joined;
    r->joined = part->text;
    part->text = t;
    lp_buf_reset(&part->text);
    part->begun = false;
    *ret = (struct lp_push_record){part->time_ns, (enum lp_push_stream)(part - r->partial),
                                   lp_buf_view(&r->joined)};
}

static bool
join(struct lp_push_records *r, const struct piece *p, struct lp_push_record *ret)
{
    struct lp_push_partial *part = &r->partial[p->stream];
    if (!part->begun && !p->partial) {
        *ret = (struct lp_push_record){p->time_ns, p->stream, p->text};
        return true;
    }
    part->time_ns = part->begun ? part->time_ns : p->time_ns;
    part->begun = true;
    if (!lp_buf_str(&part->text, p->text) || !p->partial || part->text.n >= LP_PUSH_LINE_MAX) {
        hand_out(r, part, ret);
        return true;
    }
    return false;
}

bool
lp_push_records_line(struct lp_push_records *r, struct lp_str line, struct lp_push_record *ret)
{
    struct piece p;
    int64_t t;
    if (r->format == LP_PUSH_UNKNOWN) {
        r->format = tell_format(r, line);
    }
    if ((r->format == LP_PUSH_CRI && read_cri(line, &p)) ||
        (r->format == LP_PUSH_DOCKER && read_docker(r, line, &p))) {
        r->last_ns = p.time_ns;
        return join(r, &p, ret);
    }
    if (lp_line_time(&r->clock, line, &t)) {
        r->last_ns = t;
    }
    *ret = (struct lp_push_record){r->last_ns, LP_PUSH_UNNAMED, line};
    return true;
}

bool
lp_push_records_rest(struct lp_push_records *r, struct lp_push_record *ret)
{
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        if (r->partial[i].begun) {
            hand_out(r, &r->partial[i], ret);
            return true;
        }
    }
    return false;
}
