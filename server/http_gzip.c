/*
 * http_gzip.c - answers as gzip, for clients that say they take it. The HTTP layer's door to zlib. Pure
 * functions.
 */
#include "server/http_int.h"

#include <zlib.h>

#define LEVEL 1 /* answers are sent once: a higher level costs more than it saves */
#define GZIP_WINDOW_BITS 31

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

bool
lp_http_gzip(struct lp_str body, struct lp_buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n};
    if (body.n > UINT32_MAX / 2 ||
        deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    size_t room = deflateBound(&z, (uLong)body.n);
    char *packed = lp_try_malloc(room);
    bool ok = packed != NULL;
    if (ok) {
        z.next_out = (Bytef *)packed;
        z.avail_out = (uInt)room;
        ok = deflate(&z, Z_FINISH) == Z_STREAM_END && lp_buf_add(out, packed, z.total_out);
    }
    lp_free(packed);
    deflateEnd(&z);
    return ok;
}
