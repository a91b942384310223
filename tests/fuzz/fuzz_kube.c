/*
 * fuzz_kube.c - what clients of the Kubernetes API send: the first byte chooses paths, selectors, places in
 * lists, parameters of logs, or reviews. Oracles: no crash, no sanitizer report; what is refused is refused
 * with a reason; a place that was read reads the same when it is written again.
 */
#include <string.h>

#include "server/kube_log.h"
#include "server/kube_resources.h"
#include "server/kube_review.h"
#include "server/kube_select.h"
#include "server/kube_status.h"
#include "server/kube_token.h"

#define ARENA_BYTES (1u << 20)
#define PARAMS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- paths --- */

static void
path(struct lp_str s)
{
    struct lp_kube_path p;
    struct lp_buf out;
    lp_kube_path_parse(s, &p);
    bool named = p.what == LP_KUBE_LIST || p.what == LP_KUBE_GET || p.what == LP_KUBE_POD_LOG;
    LP_ASSERT(!named || p.resource != NULL);
    LP_ASSERT(p.what != LP_KUBE_GET || p.name.n > 0);
    lp_buf_init(&out, 1 << 20);
    if (p.what >= LP_KUBE_API && p.what <= LP_KUBE_VERSION) {
        lp_kube_discovery_put(&out, &p, lp_kube_discovery_form(s));
        LP_ASSERT(!out.failed && out.n > 0);
    }
    lp_buf_clear(&out);
}

/* --- selectors --- */

static struct lp_str
value_of(const void *arg, struct lp_str key)
{
    const struct lp_str *text = arg;
    return lp_str_find(*text, key) % 2 == 0 ? LP_STR("value") : LP_STR_NULL;
}

static void
selectors(struct lp_str s, struct lp_arena *ar)
{
    struct lp_kube_labels labels;
    struct lp_kube_fields fields;
    struct lp_err err;
    lp_err_clear(&err);
    if (lp_kube_labels_parse(s, ar, &labels, &err) == LP_OK) {
        (void)lp_kube_labels_match(&labels, value_of, &s);
    } else {
        LP_ASSERT(err.text[0] != 0);
    }
    lp_err_clear(&err);
    if (lp_kube_fields_parse(s, true, ar, &fields, &err) == LP_OK) {
        for (int f = 0; f < LP_KUBE_NFIELDS; f++) {
            struct lp_str exact = lp_kube_fields_exact(&fields, (enum lp_kube_field)f);
            LP_ASSERT(exact.n <= s.n);
            (void)lp_kube_fields_match(&fields, (enum lp_kube_field)f, exact);
        }
    } else {
        LP_ASSERT(err.text[0] != 0);
    }
}

/* --- places --- */

static void
token(struct lp_str s, struct lp_arena *ar)
{
    struct lp_str ns, name, ns_2, name_2;
    struct lp_buf out;
    if (!lp_kube_token_parse(s, ar, &ns, &name)) {
        return;
    }
    lp_buf_init(&out, 1 << 20);
    lp_kube_token_put(&out, ns, name);
    bool again = lp_kube_token_parse(lp_buf_view(&out), ar, &ns_2, &name_2);
    LP_ASSERT(again && lp_str_eq(ns, ns_2) && lp_str_eq(name, name_2));
    lp_buf_clear(&out);
}

/* --- parameters of logs: name=value, a line each --- */

static void
log_params(struct lp_str s, struct lp_arena *ar)
{
    struct lp_pair params[PARAMS_MAX];
    size_t n = 0;
    struct lp_kube_log_ask ask;
    struct lp_kube_fault fault;
    while (s.n > 0 && n < PARAMS_MAX) {
        struct lp_str line = lp_str_cut(&s, '\n');
        params[n].name = lp_str_cut(&line, '=');
        params[n++].value = line;
    }
    for (int several = 0; several < 2; several++) {
        fault = (struct lp_kube_fault){.code = 0};
        if (lp_kube_log_params(params, n, LP_STR("pod"), several, 1, ar, &ask, &fault)) {
            LP_ASSERT(ask.ntargets <= n && ask.ncontains <= n && ask.nregexes <= n);
        } else {
            struct lp_buf out;
            LP_ASSERT(fault.code >= 400 && fault.message.n > 0);
            lp_buf_init(&out, 1 << 20);
            lp_kube_status_put(&out, &fault);
            LP_ASSERT(!out.failed);
            lp_buf_clear(&out);
        }
    }
}

/* --- reviews --- */

static void
review(struct lp_str s)
{
    struct lp_buf body, out;
    struct lp_err err;
    lp_err_clear(&err);
    lp_buf_init(&body, SIZE_MAX); /* with readable bytes behind it */
    lp_buf_init(&out, 1 << 20);
    lp_buf_str(&body, s);
    lp_rc rc = lp_kube_review_put(&out, lp_buf_view(&body), &err);
    LP_ASSERT(rc == LP_OK ? out.n > 0 : err.text[0] != 0);
    lp_buf_clear(&out);
    lp_buf_clear(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_arena ar;
    if (size == 0) {
        return 0;
    }
    struct lp_str s = lp_str_of((const char *)data + 1, size - 1);
    lp_arena_init(&ar, ARENA_BYTES, 0);
    switch (data[0] % 5) {
    case 0:
        path(s);
        break;
    case 1:
        selectors(s, &ar);
        break;
    case 2:
        token(s, &ar);
        break;
    case 3:
        log_params(s, &ar);
        break;
    default:
        review(s);
        break;
    }
    lp_arena_clear(&ar);
    return 0;
}
