/*
 * selectors.c - see selectors.h. Compiled selectors are immutable; any number of threads may ask them.
 */
#include "server/selectors.h"

#include "query/matcher.h"
#include "query/parse.h"

static lp_rc
compile(struct lp_str text, void **ret, struct lp_err *err)
{
    struct lp_arena ar;
    const struct lp_log_query *q;
    struct lp_matchers *m;
    lp_arena_init(&ar, LP_LOGQL_ARENA_BYTES, 0);
    lp_rc rc = lp_logql_parse_selector(text, NULL, &ar, &q, err);
    rc = rc == LP_OK ? lp_matchers_new(q->matchers, q->nmatchers, &m, err) : rc;
    lp_arena_clear(&ar);
    if (rc == LP_OK) {
        *ret = m;
    }
    return rc;
}

static void
release(void *select)
{
    lp_matchers_free(select);
}

static bool
match(const void *select, const struct lp_pair *labels, size_t n)
{
    return lp_matchers_match(select, labels, n);
}

/* No, as soon as one matcher says so of a known label; yes, when all are about known ones. */
static enum lp_decided
decide(const void *select, const struct lp_pair *known, size_t n)
{
    const struct lp_matchers *m = select;
    enum lp_decided all = LP_DECIDED_YES;
    for (size_t i = 0; i < lp_matchers_count(m); i++) {
        const struct lp_matcher *one = lp_matchers_at(m, i);
        size_t k = 0;
        while (k < n && !lp_str_eq(known[k].name, one->name)) {
            k++;
        }
        if (k == n) {
            all = LP_DECIDED_NOT;
        } else if (!lp_matcher_value(one, known[k].value)) {
            return LP_DECIDED_NO;
        }
    }
    return all;
}

const struct lp_select_ops lp_selectors = {compile, release, match, decide};
