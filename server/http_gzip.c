/*
 * http_gzip.c - compressed answers, for clients that say they take them. Pure functions.
 */
#include "server/http_int.h"

/* "q=0", "q=0.000": refused. */
static bool
is_refused(struct lp_str params)
{
    while (params.n > 0) {
        struct lp_str p = lp_str_trim(lp_str_cut(&params, ';'));
        double q;
        if (lp_str_ieq(lp_str_sub(p, 0, 2), LP_STR("q="))) {
            return lp_str_f64(lp_str_sub(p, 2, p.n), &q) && q <= 0;
        }
    }
    return false;
}

bool
lp_http_takes_gzip(struct lp_str accept)
{
    bool any = false;
    while (accept.n > 0) {
        struct lp_str params = lp_str_cut(&accept, ',');
        struct lp_str name = lp_str_trim(lp_str_cut(&params, ';'));
        if (lp_str_ieq(name, LP_STR("gzip")) || lp_str_ieq(name, LP_STR("x-gzip"))) {
            return !is_refused(params);
        }
        any = any || (lp_str_eqc(name, "*") && !is_refused(params));
    }
    return any;
}

/* By its name alone: those who say "*" mean what everybody knows. */
static bool
takes_zstd(struct lp_str accept)
{
    while (accept.n > 0) {
        struct lp_str params = lp_str_cut(&accept, ',');
        if (lp_str_ieq(lp_str_trim(lp_str_cut(&params, ';')), LP_STR("zstd"))) {
            return !is_refused(params);
        }
    }
    return false;
}

enum lp_pack_kind
lp_http_encoding(struct lp_str accept)
{
    return takes_zstd(accept) ? LP_PACK_ZSTD : lp_http_takes_gzip(accept) ? LP_PACK_GZIP : LP_PACK_NONE;
}

bool
lp_http_gzip(struct lp_str body, struct lp_buf *out)
{
    struct lp_pack *p = lp_pack_new(LP_PACK_GZIP);
    bool ok = p != NULL && lp_pack_add(p, body, LP_PACK_END, out);
    lp_pack_free(p);
    return ok;
}
