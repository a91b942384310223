/*
 * handlers_common.c - what handlers share: tenants, errors as HTTP statuses, decoders at rest.
 */
#include "server/server.h"

bool
lp_server_tenant(const struct lp_server *s, struct lp_http_req *req, struct lp_str *ret)
{
    *ret = LP_STR_NULL;
    if (!s->set.tenants) {
        return true;
    }
    *ret = lp_http_header(req, "X-Scope-OrgID");
    if (ret->n == 0) {
        lp_http_error(req, 401, "no org id");
        return false;
    }
    return true;
}

static int
status_of(lp_rc rc)
{
    switch (rc) {
    case LP_ERR_PARSE:
    case LP_ERR_UNSUPPORTED:
    case LP_ERR_MISUSE:
        return 400;
    case LP_ERR_NOT_FOUND:
        return 404;
    case LP_ERR_LIMIT:
        return 413;
    case LP_ERR_BUSY:
    case LP_ERR_TIMEOUT:
        return 429;
    case LP_ERR_DISK_FULL:
    case LP_ERR_IO:
    case LP_ERR_SHUTDOWN:
        return 503;
    case LP_ERR_CANCELED:
        return 499;
    case LP_OK:
    case LP_ERR_NOMEM:
    case LP_ERR_CORRUPT:
    case LP_ERR_EXISTS:
        break;
    }
    return 500;
}

void
lp_server_error(struct lp_http_req *req, lp_rc rc, const struct lp_err *err)
{
    lp_http_error(req, status_of(rc), "%s", err->text[0] ? err->text : lp_rc_name(rc));
}

struct lp_decoder *
lp_server_decoder(struct lp_server *s)
{
    struct lp_decoder *d = NULL;
    lp_lock(&s->mu);
    if (s->ndecoders > 0) {
        d = s->decoders[--s->ndecoders];
    }
    lp_unlock(&s->mu);
    return d != NULL ? d : lp_decoder_new();
}

void
lp_server_decoder_back(struct lp_server *s, struct lp_decoder *d)
{
    lp_lock(&s->mu);
    if (s->ndecoders < LP_ARRAY_LEN(s->decoders)) {
        s->decoders[s->ndecoders++] = d;
        d = NULL;
    }
    lp_unlock(&s->mu);
    lp_decoder_free(d);
}

bool
lp_server_open(const struct lp_server *s)
{
    return !atomic_load(&s->stopping) && s->log->ops->open(s->log);
}

bool
lp_server_ready(const struct lp_server *s)
{
    return !atomic_load(&s->stopping) && s->log->ops->ready(s->log);
}
