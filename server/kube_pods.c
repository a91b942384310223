/*
 * kube_pods.c - pods, one or many, and events, of which there are none.
 *
 * A list with a limit is one answer, with a token to go on by. One without is found and sent page by page, so
 * that it takes no more memory than one page, however long it is; where one page is not all it goes on on a
 * thread of its own, at the client's pace.
 */
#include "base/clock.h"
#include "server/kube.h"

#define PAGE 500
#define LIMIT_MAX LP_PODS_PAGE_MAX /* clients take what they get, and go on */

static void
put_pod(struct lp_kube_call *c, const struct lp_pod *p)
{
    if (c->table) {
        lp_kube_pod_row(&c->text, p, &c->eye, c->include);
    } else {
        lp_kube_pod_put(&c->text, p, &c->eye, true);
    }
}

static void
put_head(struct lp_kube_call *c, struct lp_str token)
{
    if (c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_PODS, c->eye.now_ns, token);
        return;
    }
    lp_buf_printf(&c->text,
                  "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%lld\"",
                  (long long)c->eye.now_ns);
    if (token.n > 0) {
        lp_kube_put(&c->text, ",\"continue\":", token);
    }
    lp_buf_c(&c->text, "},\"items\":[");
}

static void
put_tail(struct lp_kube_call *c)
{
    lp_buf_c(&c->text, "]}\n");
}

/* *between: what stands before the next pod. */
static void
put_pods(struct lp_kube_call *c, const struct lp_pods *pods, const char **between)
{
    for (size_t i = 0; i < pods->n; i++) {
        if (lp_kube_list_phase(c, &pods->v[i])) {
            lp_buf_c(&c->text, *between);
            put_pod(c, &pods->v[i]);
            *between = ",";
        }
    }
}

static lp_rc
find_page(struct lp_kube_call *c, size_t limit, struct lp_pods *ret)
{
    struct lp_pods_query q = lp_kube_list_query(c);
    q.limit = limit;
    lp_kube_work_begin(c);
    lp_rc rc = lp_pods_find(&q, ret, &c->err);
    lp_kube_work_end(c);
    return rc;
}

/* The place behind a page outlives it. */
static lp_rc
move_on(struct lp_kube_call *c, const struct lp_pods *pods)
{
    struct lp_kube_list *l = &c->list;
    struct lp_str ns, name;
    lp_arena_reset(&c->page);
    if (!lp_arena_str(&c->page, pods->next_ns, &ns) || !lp_arena_str(&c->page, pods->next_name, &name)) {
        return lp_err_set(&c->err, LP_ERR_LIMIT, "a pod's name is too long");
    }
    l->after_ns = ns;
    l->after_name = name;
    return LP_OK;
}

/* The pages behind the first, whose text is in c->text. */
static lp_rc
stream(struct lp_kube_call *c)
{
    bool more = true;
    const char *between = c->list.some ? "," : "";
    lp_rc rc = lp_http_stream_write(c->req, lp_buf_view(&c->text));
    while (rc == LP_OK && more) {
        struct lp_pods pods;
        lp_buf_reset(&c->text);
        rc = find_page(c, PAGE, &pods);
        if (rc == LP_OK) {
            put_pods(c, &pods, &between);
            more = pods.more;
            rc = more ? move_on(c, &pods) : LP_OK;
        }
        lp_pods_clear(&pods);
        if (rc == LP_OK && !more) {
            put_tail(c);
        }
        rc = rc == LP_OK && c->text.failed ? LP_ERR_LIMIT : rc;
        rc = rc == LP_OK ? lp_http_stream_write(c->req, lp_buf_view(&c->text)) : rc;
    }
    return rc;
}

static void
stream_rest(struct lp_kube_call *c)
{
    lp_rc rc = lp_http_stream_begin(c->req, 200, "application/json", NULL);
    rc = rc == LP_OK ? stream(c) : rc;
    if (rc == LP_OK) {
        lp_http_stream_end(c->req, NULL, 0);
    } else {
        lp_http_stream_abort(c->req);
    }
    lp_kube_end(c);
}

static void
put_first(struct lp_kube_call *c, const struct lp_pods *pods)
{
    struct lp_buf token;
    const char *between = "";
    lp_buf_init(&token, 1 << 20);
    if (c->list.limit > 0 && pods->more) {
        lp_kube_token_put(&token, pods->next_ns, pods->next_name);
    }
    put_head(c, lp_buf_view(&token));
    put_pods(c, pods, &between);
    c->list.some = between[0] != 0;
    lp_buf_clear(&token);
}

void
lp_kube_list_pods(struct lp_kube_call *c)
{
    struct lp_pods pods;
    lp_rc rc = find_page(c, c->list.limit > 0 ? LP_MIN(c->list.limit, (size_t)LIMIT_MAX) : PAGE, &pods);
    bool more = false;
    if (rc == LP_OK) {
        put_first(c, &pods);
        more = c->list.limit == 0 && pods.more;
        rc = more ? move_on(c, &pods) : LP_OK;
    }
    lp_pods_clear(&pods);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    } else if (more) {
        lp_kube_go_on(c, stream_rest);
    } else {
        put_tail(c);
        lp_kube_reply(c);
    }
}

void
lp_kube_get_pod(struct lp_kube_call *c)
{
    struct lp_pods pods;
    struct lp_pods_query q = lp_kube_pods_query(c);
    q.name = c->path.name;
    q.uid = lp_kube_param(c, "uid");
    q.exact = true;
    lp_rc rc = lp_pods_find(&q, &pods, &c->err);
    bool found = rc == LP_OK && pods.n > 0;
    if (found && c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_PODS, c->eye.now_ns, LP_STR_NULL);
        lp_kube_pod_row(&c->text, &pods.v[0], &c->eye, c->include);
        lp_kube_table_close(&c->text);
    } else if (found) {
        lp_kube_pod_put(&c->text, &pods.v[0], &c->eye, false);
    }
    lp_buf_byte(&c->text, '\n');
    lp_pods_clear(&pods);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    } else if (found) {
        lp_kube_reply(c);
    } else {
        lp_kube_not_found(c, c->path.resource, c->path.name);
    }
}

void
lp_kube_list_events(struct lp_kube_call *c)
{
    if (c->table) {
        lp_kube_table_open(&c->text, LP_KUBE_EVENTS, c->eye.now_ns, LP_STR_NULL);
        lp_kube_table_close(&c->text);
    } else {
        lp_buf_printf(
            &c->text,
            "{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%lld\"},"
            "\"items\":[]}",
            (long long)c->eye.now_ns);
    }
    lp_buf_byte(&c->text, '\n');
    lp_kube_reply(c);
}
