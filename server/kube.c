/*
 * kube.c - the routes of the Kubernetes API, and what its handlers have in common.
 */
#include "server/kube.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "server/kube_review.h"
#include "server/podlogs.h"

#define ARENA_BYTES (4u << 20)
#define JSON "application/json"

/* --- answers --- */

static void
answer_fault(struct lp_http_req *req, const struct lp_kube_fault *f)
{
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_kube_status_put(&b, f);
    if (f->code == 429 || f->code == 503) {
        lp_http_add_header(req, "Retry-After", LP_STR("1"));
    }
    lp_http_reply_buf(req, f->code, JSON, &b);
    lp_buf_clear(&b);
}

void
lp_kube_fault(struct lp_kube_call *c, const struct lp_kube_fault *f)
{
    lp_kube_end_state(c);
    answer_fault(c->req, f);
    lp_kube_end(c);
}

void
lp_kube_refuse(struct lp_http_req *req, int status, const char *text)
{
    struct lp_kube_fault f = {.code = status, .message = lp_str_c(text)};
    answer_fault(req, &f);
}

static int
code_of(lp_rc rc)
{
    switch ((int)rc) {
    case LP_ERR_PARSE:
    case LP_ERR_LIMIT:
    case LP_ERR_UNSUPPORTED:
        return 400;
    case LP_ERR_NOT_FOUND:
        return 404;
    case LP_ERR_BUSY:
        return 429;
    case LP_ERR_TIMEOUT:
        return 504;
    case LP_ERR_SHUTDOWN:
    case LP_ERR_CANCELED:
    case LP_ERR_IO:
    case LP_ERR_DISK_FULL:
        return 503;
    default:
        return 500;
    }
}

void
lp_kube_fail(struct lp_kube_call *c, lp_rc rc)
{
    const char *text = c->err.text[0] != 0 ? c->err.text : lp_rc_name(rc);
    lp_kube_fault(c, &(struct lp_kube_fault){.code = code_of(rc), .message = lp_str_c(text)});
}

/* Pods that live and have no lines here yet may be known to a live cluster's API server. */
static bool
redirect(struct lp_kube_call *c)
{
    struct lp_str to = lp_str_c(LP_SETTING(&c->s->set, kube_api));
    struct lp_buf target;
    if (to.n == 0) {
        return false;
    }
    while (to.n > 0 && to.p[to.n - 1] == '/') {
        to.n--;
    }
    lp_buf_init(&target, 1 << 20);
    lp_buf_str(&target, to);
    lp_buf_str(&target, lp_http_target(c->req));
    lp_http_add_header(c->req, "Location", lp_buf_view(&target));
    lp_buf_clear(&target);
    lp_kube_end_state(c);
    lp_http_reply(c->req, 307, NULL, LP_STR_NULL);
    lp_kube_end(c);
    return true;
}

void
lp_kube_not_found(struct lp_kube_call *c, const struct lp_kube_resource *r, struct lp_str name)
{
    if (r->id == LP_KUBE_PODS && c->path.what != LP_KUBE_LOG && redirect(c)) {
        return;
    }
    struct lp_buf b;
    lp_buf_init(&b, 1 << 20);
    lp_buf_printf(&b, "%s%s%s \"", r->name, r->group[0] != 0 ? "." : "", r->group);
    lp_buf_str(&b, name);
    lp_buf_c(&b, "\" not found");
    lp_kube_end_state(c);
    answer_fault(c->req, &(struct lp_kube_fault){.code = 404,
                                                 .message = lp_buf_view(&b),
                                                 .kind = lp_str_c(r->name),
                                                 .group = lp_str_c(r->group),
                                                 .name = name});
    lp_buf_clear(&b);
    lp_kube_end(c);
}

void
lp_kube_no_path(struct lp_kube_call *c)
{
    lp_kube_fault(c, &(struct lp_kube_fault){
                         .code = 404, .message = LP_STR("the server could not find the requested resource")});
}

void
lp_kube_reply(struct lp_kube_call *c)
{
    if (c->text.failed) {
        lp_kube_fail(c, lp_err_set(&c->err, LP_ERR_LIMIT, "the answer is over %zu bytes", c->text.limit));
        return;
    }
    lp_http_reply_buf(c->req, 200, JSON, &c->text);
    lp_kube_end(c);
}

/* --- calls --- */

void
lp_kube_end_state(struct lp_kube_call *c)
{
    if (c->state != NULL) {
        c->free_state(c->state);
        c->state = NULL;
    }
}

void
lp_kube_end(struct lp_kube_call *c)
{
    lp_kube_end_state(c);
    lp_buf_clear(&c->text);
    lp_arena_clear(&c->page);
    lp_arena_clear(&c->ar);
    lp_free(c);
}

static void
run_alone(void *arg)
{
    struct lp_kube_call *c = arg;
    c->go_on(c);
}

void
lp_kube_go_on(struct lp_kube_call *c, lp_kube_fn *fn)
{
    c->go_on = fn;
    lp_rc rc = lp_podlogs_start(c->s->podlogs, run_alone, c, &c->err);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    }
}

void
lp_kube_work_begin(struct lp_kube_call *c)
{
    if (lp_turn_current() == NULL) {
        lp_turn_begin(&c->turn, c->s->turns);
    }
}

void
lp_kube_work_end(struct lp_kube_call *c)
{
    if (lp_turn_current() == &c->turn) {
        lp_turn_end(&c->turn);
    }
}

struct lp_str
lp_kube_param(const struct lp_kube_call *c, const char *name)
{
    for (size_t i = 0; i < c->nparams; i++) {
        if (lp_str_eqc(c->params[i].name, name)) {
            return c->params[i].value;
        }
    }
    return LP_STR_NULL;
}

struct lp_pods_query
lp_kube_pods_query(struct lp_kube_call *c)
{
    struct lp_server *s = c->s;
    return (struct lp_pods_query){
        .store = s->store,
        .tenant = c->tenant,
        .ns = c->path.ns,
        .from_ns = LP_TIME_MIN,
        .to_ns = LP_TIME_MAX,
        .limit = 1,
        .share = &s->query_memory,
        .budget_bytes = (size_t)LP_SETTING(&s->set, query_bytes),
        .deadline_ns = lp_mono_ns() + LP_SETTING(&s->set, query_timeout),
        .cancel = lp_http_gone_flag(c->req),
    };
}

/* --- which handler --- */

/* The first media range that we can answer decides. */
static bool
wants_table(struct lp_str accept)
{
    while (accept.n > 0) {
        struct lp_str range = lp_str_trim(lp_str_cut(&accept, ','));
        bool table = lp_str_find(range, LP_STR("as=Table")) != SIZE_MAX;
        struct lp_str type = lp_str_trim(lp_str_cut(&range, ';'));
        if (table) {
            return true;
        }
        if (range.n == 0 && (lp_str_ieq(type, LP_STR(JSON)) || lp_str_eqc(type, "*/*"))) {
            return false;
        }
    }
    return false;
}

static enum lp_kube_include
include_of(struct lp_str v)
{
    return lp_str_eqc(v, "Object") ? LP_KUBE_OBJECT
           : lp_str_eqc(v, "None") ? LP_KUBE_NO_OBJECT
                                   : LP_KUBE_METADATA;
}

/* Names that API servers refuse before they look for them. */
static bool
refuse_name(struct lp_kube_call *c)
{
    struct lp_str name = c->path.name;
    const char *why = lp_str_eqc(name, ".")                     ? "may not be '.'"
                      : lp_str_eqc(name, "..")                  ? "may not be '..'"
                      : lp_str_find_byte(name, '%') != SIZE_MAX ? "may not contain '%'"
                                                                : NULL;
    if (why == NULL) {
        return false;
    }
    lp_kube_fail(c, lp_err_set(&c->err, LP_ERR_PARSE, "Name parameter invalid: \"" LP_STR_FMT "\": %s",
                               LP_STR_ARG(lp_str_sub(name, 0, 100)), why));
    return true;
}

static void
discovery(struct lp_kube_call *c)
{
    bool both = c->path.what == LP_KUBE_API || c->path.what == LP_KUBE_APIS;
    enum lp_kube_discovery form =
        both ? lp_kube_discovery_form(lp_http_header(c->req, "Accept")) : LP_KUBE_PLAIN;
    lp_kube_discovery_put(&c->text, &c->path, form);
    if (both) {
        lp_http_add_header(c->req, "Vary", LP_STR("Accept"));
    }
    lp_http_reply_buf(c->req, 200, lp_kube_discovery_type(form), &c->text);
    lp_kube_end(c);
}

static lp_kube_fn *
list_handler(enum lp_kube_kind kind)
{
    return kind == LP_KUBE_PODS         ? lp_kube_list_pods
           : kind == LP_KUBE_NAMESPACES ? lp_kube_list_namespaces
           : kind == LP_KUBE_EVENTS     ? lp_kube_list_events
                                        : lp_kube_list_owners;
}

/* Clients list and then watch where a server says this. */
static void
refuse_initial_events(struct lp_kube_call *c)
{
#define WHY "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    lp_kube_fault(c, &(struct lp_kube_fault){.code = 422,
                                             .message = LP_STR("ListOptions.meta.k8s.io \"\" is invalid: "
                                                               "sendInitialEvents: " WHY),
                                             .kind = LP_STR("ListOptions"),
                                             .group = LP_STR("meta.k8s.io"),
                                             .field = LP_STR("sendInitialEvents"),
                                             .cause = LP_STR(WHY),
                                             .cause_reason = "FieldValueForbidden"});
#undef WHY
}

static void
list(struct lp_kube_call *c)
{
    enum lp_kube_kind kind = c->path.resource->id;
    lp_rc rc = lp_kube_list_params(c);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
    } else if (c->list.watch && lp_kube_param(c, "sendInitialEvents").n > 0) {
        refuse_initial_events(c);
    } else if (c->list.watch) {
        lp_kube_go_on(c, kind == LP_KUBE_PODS ? lp_kube_watch_pods : lp_kube_watch_nothing);
    } else {
        list_handler(kind)(c);
    }
}

static void
get(struct lp_kube_call *c)
{
    enum lp_kube_kind kind = c->path.resource->id;
    if (kind == LP_KUBE_PODS) {
        lp_kube_get_pod(c);
    } else if (kind == LP_KUBE_NAMESPACES) {
        lp_kube_get_namespace(c);
    } else if (kind == LP_KUBE_EVENTS) {
        lp_kube_not_found(c, c->path.resource, c->path.name);
    } else {
        lp_kube_get_owner(c);
    }
}

static void
route(struct lp_kube_call *c)
{
    if (refuse_name(c)) {
        return;
    }
    switch (c->path.what) {
    case LP_KUBE_API:
    case LP_KUBE_APIS:
    case LP_KUBE_GROUP:
    case LP_KUBE_VERSION:
        discovery(c);
        return;
    case LP_KUBE_LIST:
        list(c);
        return;
    case LP_KUBE_GET:
        get(c);
        return;
    case LP_KUBE_POD_LOG:
    case LP_KUBE_LOG:
        lp_kube_log(c);
        return;
    case LP_KUBE_NOTHING:
        break;
    }
    lp_kube_no_path(c);
}

static void
refuse_method(struct lp_kube_call *c)
{
    const struct lp_kube_resource *r = c->path.resource;
    lp_http_add_header(c->req, "Allow", LP_STR("GET, HEAD, OPTIONS"));
    lp_kube_fault(c, &(struct lp_kube_fault){
                         .code = 405,
                         .message = LP_STR("the server does not allow this method on the requested resource"),
                         .kind = r != NULL ? lp_str_c(r->name) : LP_STR_NULL,
                         .group = r != NULL ? lp_str_c(r->group) : LP_STR_NULL,
                         .name = c->path.name});
}

/* A question that comes as a POST, and changes nothing. */
static bool
is_review(const struct lp_kube_call *c)
{
    return lp_http_method(c->req) == LP_POST && lp_str_eqc(lp_http_path(c->req), LP_KUBE_REVIEW_PATH);
}

static void
review(struct lp_kube_call *c)
{
    lp_rc rc = lp_kube_review_put(&c->text, lp_http_body(c->req), &c->err);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
        return;
    }
    lp_http_reply_buf(c->req, 201, JSON, &c->text);
    lp_kube_end(c);
}

static struct lp_kube_call *
call_new(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_kube_call *c = lp_calloc(1, sizeof(*c));
    c->req = req;
    c->s = s;
    c->table = wants_table(lp_http_header(req, "Accept"));
    c->eye = (struct lp_kube_eye){lp_now_ns(), LP_SETTING(&s->set, pod_silence)};
    lp_arena_init(&c->ar, ARENA_BYTES, 0);
    lp_arena_init(&c->page, ARENA_BYTES, 0);
    lp_buf_init(&c->text, (size_t)LP_SETTING(&s->set, query_bytes));
    lp_err_clear(&c->err);
    lp_kube_path_parse(lp_http_path(req), &c->path);
    return c;
}

static void
work(struct lp_http_req *req, struct lp_server *s)
{
    struct lp_kube_call *c = call_new(req, s);
    enum lp_http_method m = lp_http_method(req);
    if (m != LP_GET && m != LP_HEAD && !is_review(c)) {
        refuse_method(c);
        return;
    }
    c->tenant = s->set.tenants ? lp_http_header(req, "X-Scope-OrgID") : LP_STR_NULL;
    if (s->set.tenants && c->tenant.n == 0) {
        lp_kube_fault(c, &(struct lp_kube_fault){.code = 401, .message = LP_STR("no org id")});
        return;
    }
    lp_rc rc = lp_http_params(req, &c->params, &c->nparams, &c->err);
    if (rc != LP_OK) {
        lp_kube_fail(c, rc);
        return;
    }
    if (is_review(c)) {
        review(c);
        return;
    }
    c->include = include_of(lp_kube_param(c, "includeObject"));
    route(c);
}

/* Loki's old API lives below /api, too: what it does not have is answered as elsewhere. */
static void
work_prom(struct lp_http_req *req, struct lp_server *s)
{
    (void)s;
    lp_http_error(req, 404, "no such path: " LP_STR_FMT, LP_STR_ARG(lp_http_path(req)));
}

#define ANY (LP_GET | LP_POST | LP_PUT | LP_PATCH | LP_DELETE)

/* Behind all others: what is left of /api is of this kind. */
const struct lp_work_route lp_kube_routes[] = {
    {LP_GET, "/api/prom/**", work_prom, false},
    {ANY, "/api", work, false},
    {ANY, "/api/**", work, false},
    {ANY, "/apis", work, false},
    {ANY, "/apis/**", work, false},
    {ANY, "/openapi/**", work, false},
};
const size_t lp_kube_nroutes = LP_ARRAY_LEN(lp_kube_routes);
