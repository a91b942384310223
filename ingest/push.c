/*
 * push.c - looking at a request. Pure.
 */
#include "ingest/push.h"

bool
lp_push_header_kept(struct lp_str name)
{
    return lp_str_ieq(name, LP_STR("content-type")) || lp_str_ieq(name, LP_STR("content-encoding"));
}

struct lp_str
lp_push_header(const struct lp_push *p, const char *name)
{
    for (size_t i = 0; i < p->nheaders; i++) {
        if (lp_str_ieq(p->headers[i].name, lp_str_c(name))) {
            return p->headers[i].value;
        }
    }
    return LP_STR_NULL;
}

struct lp_str
lp_push_path(const struct lp_push *p)
{
    struct lp_str rest = p->target;
    return lp_str_cut(&rest, '?');
}
