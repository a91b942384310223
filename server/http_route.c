/*
 * http_route.c - which handler a target belongs to, and the parameters it brings. Pure but for the request it
 * fills; the targets are hostile.
 *
 * A path is cut at its raw slashes and each segment decoded by itself, so an encoded slash never makes a new
 * segment.
 */
#include "server/http_int.h"

#include <stdio.h>

#define SEGMENTS_MAX 64u

struct segments {
    struct lp_str seg[SEGMENTS_MAX]; /* decoded; slices of path, in order */
    unsigned n;
    struct lp_str path; /* decoded, from its first slash */
};

/* Path and query of "/p?q" and "http://host/p?q"; "*" stays a path. False for other forms. */
static bool
split_target(struct lp_str target, struct lp_str *path, struct lp_str *query)
{
    struct lp_str rest = target;
    struct lp_str scheme = lp_str_sub(target, 0, 7);
    if (lp_str_ieq(scheme, LP_STR("http://")) || lp_str_ieq(lp_str_sub(target, 0, 8), LP_STR("https://"))) {
        struct lp_str host = lp_str_sub(target, lp_str_find(target, LP_STR("//")) + 2, target.n);
        size_t slash = lp_str_find_byte(host, '/');
        if (slash == SIZE_MAX) {
            return false;
        }
        rest = lp_str_sub(host, slash, host.n);
    }
    *path = lp_str_cut(&rest, '?');
    *query = rest;
    return path->n > 0 && (path->p[0] == '/' || lp_str_eqc(*path, "*"));
}

/* Decodes one segment to the end of the joined path. */
static bool
add_segment(struct lp_arena *ar, struct lp_str raw, struct segments *sg, char *out, size_t *n)
{
    struct lp_str seg = raw;
    if (sg->n == SEGMENTS_MAX) {
        return false;
    }
    if (lp_str_find_byte(raw, '%') != SIZE_MAX && !lp_url_decode(ar, raw, false, &seg)) {
        return false;
    }
    if (lp_str_find_byte(seg, 0) != SIZE_MAX) {
        return false;
    }
    out[(*n)++] = '/';
    if (seg.n > 0) {
        memcpy(out + *n, seg.p, seg.n);
    }
    sg->seg[sg->n++] = lp_str_of(out + *n, seg.n);
    *n += seg.n;
    return true;
}

/* raw begins with a slash. False on a bad escape, a NUL byte or too many segments. */
static bool
cut_path(struct lp_arena *ar, struct lp_str raw, struct segments *sg)
{
    sg->n = 0;
    char *out = lp_arena_bytes(ar, raw.n + 1);
    if (out == NULL) {
        return false;
    }
    size_t n = 0;
    struct lp_str rest = lp_str_sub(raw, 1, raw.n);
    do {
        if (!add_segment(ar, lp_str_cut(&rest, '/'), sg, out, &n)) {
            return false;
        }
    } while (rest.p != NULL);
    LP_ASSERT(n <= raw.n);
    sg->path = lp_str_of(out, n);
    return true;
}

/* From the i-th segment to the end of the path. */
static struct lp_str
rest_from(const struct segments *sg, unsigned i)
{
    return lp_str_of(sg->seg[i].p, (size_t)(sg->path.p + sg->path.n - sg->seg[i].p));
}

static bool
matches(const char *pattern, const struct segments *sg, struct lp_str *wilds, unsigned *nwilds)
{
    struct lp_str rest = lp_str_c(pattern + 1);
    *nwilds = 0;
    for (unsigned i = 0; i < sg->n; i++) {
        struct lp_str want = lp_str_cut(&rest, '/');
        bool last = rest.p == NULL;
        if (lp_str_eqc(want, "**") && last) {
            wilds[(*nwilds)++] = rest_from(sg, i);
            return true;
        }
        if (lp_str_eqc(want, "*")) {
            if (sg->seg[i].n == 0) {
                return false;
            }
            wilds[(*nwilds)++] = sg->seg[i];
        } else if (!lp_str_eq(want, sg->seg[i])) {
            return false;
        }
        if (last) {
            return i + 1 == sg->n;
        }
    }
    return false;
}

static unsigned
methods_served(const struct lp_http_route *r)
{
    return r->methods | ((r->methods & LP_GET) ? LP_HEAD : 0u) | LP_OPTIONS;
}

static bool
serves(const struct lp_http_route *r, enum lp_http_method m)
{
    return (r->methods & m) != 0 || (m == LP_HEAD && (r->methods & LP_GET) != 0);
}

/* Goes through the table: the first route for path and method, and what the path takes otherwise. */
static void
search(const struct lp_http_config *cfg, const struct segments *sg, struct lp_http_req *req)
{
    struct lp_str wilds[LP_HTTP_WILDS_MAX];
    unsigned nwilds;
    for (size_t i = 0; i < cfg->nroutes && req->route == NULL; i++) {
        const struct lp_http_route *r = &cfg->routes[i];
        if (!matches(r->pattern, sg, wilds, &nwilds)) {
            continue;
        }
        req->allow |= methods_served(r);
        if (serves(r, req->head.method)) {
            req->route = r;
            req->nwilds = nwilds;
            memcpy(req->wilds, wilds, nwilds * sizeof(wilds[0]));
        }
    }
}

void
lp_http_route_find(const struct lp_http_config *cfg, struct lp_http_req *req)
{
    struct segments sg;
    struct lp_str raw;
    req->route_status = 0;
    if (!split_target(req->head.target, &raw, &req->query)) {
        req->route_status = 400;
        return;
    }
    if (lp_str_eqc(raw, "*")) {
        req->path = raw;
        req->allow = LP_GET | LP_HEAD | LP_POST | LP_PUT | LP_PATCH | LP_DELETE | LP_OPTIONS;
        req->route_status = req->head.method == LP_OPTIONS ? 204 : 400;
        return;
    }
    if (!cut_path(&req->arena, raw, &sg)) {
        req->route_status = 400;
        return;
    }
    req->path = sg.path;
    search(cfg, &sg, req);
    if (req->route == NULL && req->allow == 0) {
        req->route_status = 404;
    } else if (req->route == NULL) {
        req->route_status = req->head.method == LP_OPTIONS ? 204 : 405;
    }
}

void
lp_http_allow_text(unsigned methods, char *out, size_t bytes)
{
    static const enum lp_http_method order[] = {LP_GET,   LP_HEAD,   LP_POST,   LP_PUT,
                                                LP_PATCH, LP_DELETE, LP_OPTIONS};
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < LP_ARRAY_LEN(order) && n < bytes; i++) {
        if (methods & order[i]) {
            int more = snprintf(out + n, bytes - n, "%s%s", n > 0 ? ", " : "", lp_http_method_name(order[i]));
            n += (size_t)more;
        }
    }
}

/* What a browser asks before a page of another origin may send a request that is not of the simplest kind. */
static void
add_preflight(struct lp_http_req *req)
{
    char methods[LP_HTTP_ALLOW_BYTES];
    lp_http_allow_text(req->allow & (LP_GET | LP_HEAD | LP_POST | LP_OPTIONS), methods, sizeof(methods));
    lp_http_add_header(req, "Access-Control-Allow-Methods", lp_str_c(methods));
    lp_http_add_header(
        req, "Access-Control-Allow-Headers",
        LP_STR("Accept, Authorization, Cache-Control, Content-Type, X-Loki-Response-Encoding-Flags, "
               "X-Query-Tags, X-Scope-OrgID"));
    lp_http_add_header(req, "Access-Control-Max-Age", LP_STR("86400"));
}

void
lp_http_route_refuse(struct lp_http_req *req)
{
    char allow[LP_HTTP_ALLOW_BYTES];
    if (req->allow != 0) {
        lp_http_allow_text(req->allow, allow, sizeof(allow));
        lp_http_add_header(req, "Allow", lp_str_c(allow));
    }
    switch (req->route_status) {
    case 204:
        if (req->h->cfg.cors_origin != NULL) {
            add_preflight(req);
        }
        lp_http_reply(req, 204, NULL, LP_STR_NULL);
        return;
    case 404:
        lp_http_error(req, 404, "no such path: " LP_STR_FMT, LP_STR_ARG(req->path));
        return;
    case 405:
        lp_http_error(req, 405, "%s is not taken here, but %s", lp_http_method_name(req->head.method), allow);
        return;
    default:
        lp_http_error(req, 400, "malformed request target");
        return;
    }
}

static bool
has_form(const struct lp_http_req *req)
{
    struct lp_str type = lp_http_header(req, "Content-Type");
    type = lp_str_trim(lp_str_cut(&type, ';'));
    return req->head.method == LP_POST && lp_str_ieq(type, LP_STR("application/x-www-form-urlencoded"));
}

lp_rc
lp_http_params(struct lp_http_req *req, const struct lp_pair **ret, size_t *ret_n, struct lp_err *err)
{
    if (!req->params_read) {
        struct lp_http_pairs ps = {0};
        lp_rc rc = lp_http_pairs_add(&req->arena, req->query, &ps, err);
        if (rc == LP_OK && has_form(req)) {
            rc = lp_http_pairs_add(&req->arena, lp_http_body(req), &ps, err);
        }
        if (rc != LP_OK) {
            return rc;
        }
        req->params = ps.v;
        req->nparams = ps.n;
        req->params_read = true;
    }
    *ret = req->params;
    *ret_n = req->nparams;
    return LP_OK;
}
