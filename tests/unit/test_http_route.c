/*
 * test_http_route.c - routes and parameters, without sockets. Oracle: the rules in server/http.h, by hand.
 */
#include "server/http_int.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static void
nothing(struct lp_http_req *req, void *ctx)
{
    (void)req, (void)ctx;
}

static const struct lp_http_route routes[] = {
    {LP_GET, "/", nothing, NULL, 0},
    {LP_GET | LP_POST, "/loki/api/v1/labels", nothing, NULL, 0},
    {LP_GET, "/loki/api/v1/label/*/values", nothing, NULL, 0},
    {LP_POST, "/push", nothing, NULL, 0},
    {LP_DELETE, "/push", nothing, NULL, 0},
    {LP_GET, "/ns/*/pods/*/log", nothing, NULL, 0},
    {LP_GET, "/web/**", nothing, NULL, 0},
    {LP_OPTIONS, "/own-options", nothing, NULL, 0},
};
static const struct lp_http_config cfg = {.routes = routes, .nroutes = LP_ARRAY_LEN(routes)};

/* A request as far as routing needs one; the caller clears the arena. */
static void
find(struct lp_http_req *req, enum lp_http_method method, const char *target)
{
    *req = (struct lp_http_req){0};
    lp_arena_init(&req->arena, 1 << 20, 0);
    req->head.method = method;
    req->head.target = lp_str_c(target);
    lp_http_route_find(&cfg, req);
}

/* The pattern that takes it, or NULL. */
static const char *
route_of(enum lp_http_method method, const char *target, char wilds[64])
{
    struct lp_http_req req;
    find(&req, method, target);
    size_t n = 0;
    wilds[0] = 0;
    for (unsigned i = 0; i < req.nwilds; i++) {
        struct lp_str w = lp_http_wild(&req, i);
        n += (size_t)snprintf(wilds + n, 64 - n, "[" LP_STR_FMT "]", LP_STR_ARG(w));
    }
    lp_arena_clear(&req.arena);
    return req.route != NULL ? req.route->pattern : NULL;
}

static void
check(enum lp_http_method method, const char *target, const char *pattern, const char *wilds)
{
    char got[64];
    const char *found = route_of(method, target, got);
    bool ok = (found == NULL) == (pattern == NULL) && (found == NULL || strcmp(found, pattern) == 0) &&
              strcmp(got, wilds) == 0;
    CU_ASSERT(ok);
    if (!ok) {
        printf("%s: %s %s\n", target, found != NULL ? found : "none", got);
    }
}

static void
finds_routes(void)
{
    check(LP_GET, "/", "/", "");
    check(LP_GET, "/?a=b", "/", "");
    check(LP_POST, "/loki/api/v1/labels?x", "/loki/api/v1/labels", "");
    check(LP_GET, "/lok%69/api/v1/labels", "/loki/api/v1/labels", "");
    check(LP_GET, "/loki/api/v1/labels/", NULL, "");
    check(LP_GET, "//loki/api/v1/labels", NULL, "");
    check(LP_GET, "/loki/api/v1/label/app/values", "/loki/api/v1/label/*/values", "[app]");
    check(LP_GET, "/loki/api/v1/label/a%2Fb%20c/values", "/loki/api/v1/label/*/values", "[a/b c]");
    check(LP_GET, "/loki/api/v1/label/a+b/values", "/loki/api/v1/label/*/values", "[a+b]");
    check(LP_GET, "/loki/api/v1/label//values", NULL, "");
    check(LP_GET, "/loki/api/v1/label/a/b/values", NULL, "");
    check(LP_GET, "/ns/x/pods/y/log", "/ns/*/pods/*/log", "[x][y]");
    check(LP_GET, "/web/", "/web/**", "[]");
    check(LP_GET, "/web/a/b%2Fc", "/web/**", "[a/b/c]");
    check(LP_GET, "/web", NULL, "");
    check(LP_DELETE, "/push", "/push", "");
    check(LP_HEAD, "/loki/api/v1/labels", "/loki/api/v1/labels", "");
    check(LP_HEAD, "/push", NULL, "");
    check(LP_OPTIONS, "/own-options", "/own-options", "");
    check(LP_GET, "http://host:1/push", NULL, "");
    check(LP_POST, "http://host:1/push?a", "/push", "");
}

static int
status_of(enum lp_http_method method, const char *target, const char *allow)
{
    struct lp_http_req req;
    char text[LP_HTTP_ALLOW_BYTES];
    find(&req, method, target);
    lp_http_allow_text(req.allow, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, allow);
    lp_arena_clear(&req.arena);
    return req.route_status;
}

static void
says_what_is_wrong(void)
{
    CU_ASSERT_EQUAL(status_of(LP_GET, "/nothing", ""), 404);
    CU_ASSERT_EQUAL(status_of(LP_GET, "/push", "POST, DELETE, OPTIONS"), 405);
    CU_ASSERT_EQUAL(status_of(LP_OPTIONS, "/push", "POST, DELETE, OPTIONS"), 204);
    CU_ASSERT_EQUAL(status_of(LP_PUT, "/", "GET, HEAD, OPTIONS"), 405);
    CU_ASSERT_EQUAL(status_of(LP_OPTIONS, "*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"), 204);
    CU_ASSERT_EQUAL(status_of(LP_GET, "/a%", ""), 400);
    CU_ASSERT_EQUAL(status_of(LP_GET, "/a%zz", ""), 400);
    CU_ASSERT_EQUAL(status_of(LP_GET, "/a%00b", ""), 400);
    CU_ASSERT_EQUAL(status_of(LP_GET, "push", ""), 400);
    CU_ASSERT_EQUAL(status_of(LP_GET, "http://host", ""), 400);
    char many[400] = "";
    for (unsigned i = 0; i < 199; i++) {
        memcpy(many + 2 * i, "/a", 3);
    }
    CU_ASSERT_EQUAL(status_of(LP_GET, many, ""), 400);
}

static lp_rc
params_of(const char *target, enum lp_http_method method, const char *type, const char *body, char *out,
          size_t bytes)
{
    struct lp_http_req req;
    struct lp_pair header = {LP_STR("content-type"), lp_str_c(type)};
    find(&req, method, target);
    req.head.headers = &header;
    req.head.nheaders = 1;
    lp_buf_init(&req.body, 1 << 20);
    lp_buf_c(&req.body, body);
    const struct lp_pair *p;
    size_t n, used = 0;
    lp_rc rc = lp_http_params(&req, &p, &n, NULL);
    out[0] = 0;
    for (size_t i = 0; rc == LP_OK && i < n && used < bytes; i++) {
        used += (size_t)snprintf(out + used, bytes - used, LP_STR_FMT "=" LP_STR_FMT ";",
                                 LP_STR_ARG(p[i].name), LP_STR_ARG(p[i].value));
    }
    lp_buf_clear(&req.body);
    lp_arena_clear(&req.arena);
    return rc;
}

static void
reads_parameters(void)
{
    char out[256];
    CU_ASSERT_EQUAL(params_of("/?a=1&b=%7Bx%3D%22y%22%7D+z&&c&=d&a=2", LP_GET, "", "", out, sizeof(out)),
                    LP_OK);
    CU_ASSERT_STRING_EQUAL(out, "a=1;b={x=\"y\"} z;c=;=d;a=2;");
    CU_ASSERT_EQUAL(params_of("/?a=1", LP_POST, "Application/X-www-form-urlencoded; charset=utf-8",
                              "b=2&c=%26", out, sizeof(out)),
                    LP_OK);
    CU_ASSERT_STRING_EQUAL(out, "a=1;b=2;c=&;");
    CU_ASSERT_EQUAL(params_of("/?a=1", LP_POST, "application/json", "b=2", out, sizeof(out)), LP_OK);
    CU_ASSERT_STRING_EQUAL(out, "a=1;");
    CU_ASSERT_EQUAL(params_of("/?a=1", LP_PUT, "application/x-www-form-urlencoded", "b=2", out, sizeof(out)),
                    LP_OK);
    CU_ASSERT_STRING_EQUAL(out, "a=1;");
    CU_ASSERT_EQUAL(params_of("/", LP_GET, "", "", out, sizeof(out)), LP_OK);
    CU_ASSERT_STRING_EQUAL(out, "");
    CU_ASSERT_EQUAL(params_of("/?a=%4", LP_GET, "", "", out, sizeof(out)), LP_ERR_PARSE);
}

static void
limits_parameters(void)
{
    char target[2100] = "/?";
    char out[8192];
    size_t n = 2;
    for (unsigned i = 0; i < 1000; i++, n += 2) {
        memcpy(target + n, "a&", 3);
    }
    CU_ASSERT_EQUAL(params_of(target, LP_GET, "", "", out, sizeof(out)), LP_OK);
    memcpy(target + n, "a", 2);
    CU_ASSERT_EQUAL(params_of(target, LP_GET, "", "", out, sizeof(out)), LP_ERR_LIMIT);
}

LP_SUITE(http_route, {"finds routes", finds_routes}, {"says what is wrong", says_what_is_wrong},
         {"reads parameters", reads_parameters}, {"limits parameters", limits_parameters});
