/*
 * cmd_push_send.c - batches of records as Loki pushes (protobuf in a snappy block: lines stay byte for byte),
 * tried again while there is hope.
 *
 * Tried again: no connection, a broken one, 429, 408 and 5xx. The Idempotency-Key makes that safe, also where
 * the server had stored the batch and only its answer was lost.
 */
#include <errno.h>
#include <stdio.h>

#include "ingest/content.h"
#include "server/cmd_push_int.h"

#define PAUSE_FIRST_NS (250 * LP_NS_PER_MS)
#define PAUSE_MAX_NS (5 * LP_NS_PER_S)
#define ENTRIES_BYTES_MAX (64u << 20)
#define BODY_BYTES_MAX (128u << 20)

/* --- labels and batches --- */

bool
lp_push_label(struct lp_push_labels *l, struct lp_str name, struct lp_str value)
{
    size_t i = 0;
    while (i < l->n && !lp_str_eq(l->pairs[i].name, name)) {
        i++;
    }
    if (i == LP_PUSH_LABELS_MAX) {
        return false;
    }
    l->n += i == l->n;
    l->pairs[i] = (struct lp_pair){name, value};
    if (value.n == 0) {
        l->pairs[i] = l->pairs[--l->n];
    }
    return true;
}

void
lp_push_batch_init(struct lp_push_batch *b)
{
    *b = (struct lp_push_batch){.from = 0};
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        lp_buf_init(&b->entries[i], ENTRIES_BYTES_MAX);
    }
}

void
lp_push_batch_clear(struct lp_push_batch *b)
{
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        lp_buf_clear(&b->entries[i]);
    }
}

bool
lp_push_batch_add(struct lp_push_batch *b, const struct lp_push_record *r)
{
    lp_loki_put_entry(&b->entries[r->stream], r->time_ns, r->line);
    b->lines++;
    return !b->entries[r->stream].failed;
}

size_t
lp_push_batch_bytes(const struct lp_push_batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        n += b->entries[i].n;
    }
    return n;
}

static void
batch_empty(struct lp_push_batch *b, uint64_t from)
{
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        lp_buf_reset(&b->entries[i]);
    }
    b->from = from;
    b->lines = 0;
}

/* --- one request --- */

void
lp_push_sender_init(struct lp_push_sender *s, struct lp_client *client, struct lp_progress *progress)
{
    *s = (struct lp_push_sender){.client = client, .progress = progress};
    lp_client_answer_init(&s->answer);
    lp_buf_init(&s->request, BODY_BYTES_MAX);
    lp_buf_init(&s->body, BODY_BYTES_MAX);
    lp_buf_init(&s->labels, 1 << 20);
    lp_buf_init(&s->key, 1024);
}

void
lp_push_sender_clear(struct lp_push_sender *s)
{
    lp_client_answer_clear(&s->answer);
    lp_buf_clear(&s->request);
    lp_buf_clear(&s->body);
    lp_buf_clear(&s->labels);
    lp_buf_clear(&s->key);
}

static lp_rc
make_body(struct lp_push_sender *s, const struct lp_push_batch *b, const struct lp_push_labels *labels,
          struct lp_err *err)
{
    static const struct lp_str names[LP_PUSH_STREAMS] = {{"", 0}, {"stdout", 6}, {"stderr", 6}};
    lp_buf_reset(&s->request);
    lp_buf_reset(&s->body);
    for (size_t i = 0; i < LP_PUSH_STREAMS; i++) {
        struct lp_push_labels of_stream = *labels;
        if (b->entries[i].n == 0) {
            continue;
        }
        if (names[i].n > 0 && !lp_push_label(&of_stream, LP_STR("stream"), names[i])) {
            return lp_err_set(err, LP_ERR_LIMIT, "more than %d labels", LP_PUSH_LABELS_MAX);
        }
        lp_buf_reset(&s->labels);
        lp_loki_put_labels(&s->labels, of_stream.pairs, of_stream.n, &of_stream.inst);
        lp_loki_put_stream(&s->request, lp_buf_view(&s->labels), lp_buf_view(&b->entries[i]));
    }
    if (s->request.failed || s->labels.failed) {
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a batch");
    }
    return lp_snappy_encode(lp_buf_view(&s->request), &s->body, err);
}

static lp_rc
post(struct lp_push_sender *s, struct lp_err *err)
{
    struct lp_pair headers[] = {
        {LP_STR("Content-Type"), LP_STR("application/x-protobuf")},
        {LP_STR("Idempotency-Key"), lp_buf_view(&s->key)},
        {LP_STR("X-Scope-OrgID"), s->tenant != NULL ? lp_str_c(s->tenant) : LP_STR_NULL},
    };
    struct lp_client_request req = {.method = "POST",
                                    .target = LP_STR("/loki/api/v1/push"),
                                    .headers = headers,
                                    .nheaders = LP_ARRAY_LEN(headers) - (s->tenant == NULL),
                                    .body = lp_buf_view(&s->body)};
    return lp_client_call(s->client, &req, &s->answer, err);
}

/* --- trying again --- */

struct patience {
    int64_t until_ns, pause_ns;
    char note[160];
};

static bool
may_pass(lp_rc rc, int status)
{
    return rc == LP_OK ? status == 429 || status == 408 || status >= 500
                       : rc == LP_ERR_IO || rc == LP_ERR_TIMEOUT;
}

/* Waits before the next try; false when patience or the person has had enough. */
static bool
pause_for(struct lp_push_sender *s, struct patience *p, const char *why)
{
    uint64_t after;
    int64_t now_ns = lp_mono_ns();
    if (p->until_ns == 0) {
        *p = (struct patience){.until_ns = now_ns + s->retry_for_ns, .pause_ns = PAUSE_FIRST_NS};
    }
    int64_t wait_ns = p->pause_ns;
    if (lp_str_u64(lp_client_header(&s->answer, "Retry-After"), &after) && after < 3600) {
        wait_ns = LP_MAX(wait_ns, (int64_t)after * LP_NS_PER_S);
    }
    if (now_ns + wait_ns > p->until_ns || (s->stop != NULL && *s->stop)) {
        return false;
    }
    snprintf(p->note, sizeof(p->note), "waiting for the server: %.110s", why);
    lp_progress_note(s->progress, NULL); /* the text may have changed in place */
    lp_progress_note(s->progress, p->note);
    lp_client_pause(wait_ns, s->stop);
    p->pause_ns = LP_MIN(2 * p->pause_ns, PAUSE_MAX_NS);
    return s->stop == NULL || !*s->stop;
}

/* An answer other than 2xx as an error. */
static lp_rc
refused(const struct lp_push_sender *s, struct lp_err *err)
{
    int status = s->answer.status;
    struct lp_str why = lp_client_reason(&s->answer);
    lp_rc rc = status == 400 ? LP_ERR_PARSE : status == 413 ? LP_ERR_LIMIT : LP_ERR_BUSY;
    return lp_err_set(err, rc, "the server answers %d: " LP_STR_FMT, status, LP_STR_ARG(why));
}

/* One call, whose connection failures are errors of ours and whose statuses are turned into them. */
static lp_rc
judge(const struct lp_push_sender *s, lp_rc rc, struct lp_err *err)
{
    return rc != LP_OK ? rc : s->answer.status >= 300 ? refused(s, err) : LP_OK;
}

lp_rc
lp_push_reach(struct lp_push_sender *s, struct lp_err *err)
{
    struct lp_client_request req = {.method = "GET", .target = LP_STR("/ready")};
    struct patience p = {.until_ns = 0};
    lp_rc rc;
    for (;;) {
        rc = lp_client_call(s->client, &req, &s->answer, err);
        bool starting = rc == LP_OK && s->answer.status == 503;
        rc = judge(s, rc, err);
        if (!starting || !pause_for(s, &p, "it is starting")) {
            break;
        }
    }
    lp_progress_note(s->progress, NULL);
    if (rc == LP_ERR_PARSE || (rc == LP_ERR_BUSY && s->answer.status < 500)) {
        rc =
            lp_err_set(err, LP_ERR_UNSUPPORTED, "what answers at %s is no Logpond", lp_client_url(s->client));
    }
    return rc;
}

lp_rc
lp_push_send(struct lp_push_sender *s, struct lp_push_batch *b, const struct lp_push_labels *labels,
             struct lp_str identity, uint64_t to, struct lp_err *err)
{
    struct patience p = {.until_ns = 0};
    lp_buf_reset(&s->key);
    lp_buf_printf(&s->key, "push-" LP_STR_FMT "-%llu-%llu", LP_STR_ARG(identity), (unsigned long long)b->from,
                  (unsigned long long)to);
    lp_rc rc = make_body(s, b, labels, err);
    while (rc == LP_OK) {
        rc = post(s, err);
        bool again = may_pass(rc, s->answer.status);
        rc = judge(s, rc, err);
        if (!again || !pause_for(s, &p, err->text)) {
            break;
        }
        rc = LP_OK;
    }
    lp_progress_note(s->progress, NULL);
    if (rc == LP_OK && lp_client_header(&s->answer, "X-Logpond-Duplicate").n > 0) {
        s->repeated += b->lines;
    }
    batch_empty(b, to);
    return rc;
}
