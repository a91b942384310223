/*
 * kube_table.c - see kube_table.h.
 */
#include "server/kube_table.h"

#include <stdio.h>

#include "base/clock.h"

/* --- ages --- */

/* "3d4h", and "3d" where the smaller unit is 0. */
static void
two_units(char out[LP_KUBE_AGE_TEXT], int64_t large, char large_unit, int64_t small, char small_unit)
{
    if (small == 0) {
        snprintf(out, LP_KUBE_AGE_TEXT, "%lld%c", (long long)large, large_unit);
    } else {
        snprintf(out, LP_KUBE_AGE_TEXT, "%lld%c%lld%c", (long long)large, large_unit, (long long)small,
                 small_unit);
    }
}

/* The smaller the age, the finer: kubectl's own steps. */
void
lp_kube_age(int64_t now_ns, int64_t then_ns, char out[LP_KUBE_AGE_TEXT])
{
    int64_t ns;
    if (__builtin_sub_overflow(now_ns, then_ns, &ns)) {
        ns = LP_TIME_MAX;
    }
    int64_t s = LP_MAX(ns, INT64_C(0)) / LP_NS_PER_S, m = s / 60, h = m / 60, d = h / 24;
    if (s < 120) {
        two_units(out, s, 's', 0, 0);
    } else if (m < 10) {
        two_units(out, m, 'm', s % 60, 's');
    } else if (m < 180) {
        two_units(out, m, 'm', 0, 0);
    } else if (h < 8) {
        two_units(out, h, 'h', m % 60, 'm');
    } else if (h < 48) {
        two_units(out, h, 'h', 0, 0);
    } else if (d < 8) {
        two_units(out, d, 'd', h % 24, 'h');
    } else if (d < 730) {
        two_units(out, d, 'd', 0, 0);
    } else if (d < 2920) {
        two_units(out, d / 365, 'y', d % 365, 'd');
    } else {
        two_units(out, d / 365, 'y', 0, 0);
    }
}

/* --- columns --- */

struct column {
    const char *name;
    bool wide; /* shown by -o wide alone */
};

static const struct column pod_columns[] = {
    {"Name", false}, {"Ready", false}, {"Status", false},   {"Restarts", false}, {"Age", false},
    {"IP", true},    {"Node", true},   {"Last Line", true}, {"Owner", true},     {"UID", true}};
static const struct column namespace_columns[] = {{"Name", false}, {"Status", false}, {"Age", false}};
static const struct column owner_columns[] = {{"Name", false},     {"Ready", false},     {"Age", false},
                                              {"Last Line", true}, {"Containers", true}, {"Selector", true}};
static const struct column event_columns[] = {
    {"Last Seen", false}, {"Type", false}, {"Reason", false}, {"Object", false}, {"Message", false}};

static void
put_columns(struct lp_buf *out, const struct column *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lp_buf_printf(out,
                      "%s{\"name\":\"%s\",\"type\":\"string\",\"format\":\"%s\",\"description\":\"\","
                      "\"priority\":%d}",
                      i > 0 ? "," : "", c[i].name, strcmp(c[i].name, "Name") == 0 ? "name" : "", c[i].wide);
    }
}

void
lp_kube_table_open(struct lp_buf *out, enum lp_kube_kind kind, int64_t version, struct lp_str go_on)
{
    lp_buf_printf(out,
                  "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
                  "\"resourceVersion\":\"%lld\"",
                  (long long)version);
    if (go_on.n > 0) {
        lp_kube_put(out, ",\"continue\":", go_on);
    }
    lp_buf_c(out, "},\"columnDefinitions\":[");
    switch ((int)kind) {
    case LP_KUBE_PODS:
        put_columns(out, pod_columns, LP_ARRAY_LEN(pod_columns));
        break;
    case LP_KUBE_NAMESPACES:
        put_columns(out, namespace_columns, LP_ARRAY_LEN(namespace_columns));
        break;
    case LP_KUBE_EVENTS:
        put_columns(out, event_columns, LP_ARRAY_LEN(event_columns));
        break;
    default:
        put_columns(out, owner_columns, LP_ARRAY_LEN(owner_columns));
        break;
    }
    lp_buf_c(out, "],\"rows\":[");
}

void
lp_kube_table_close(struct lp_buf *out)
{
    lp_buf_c(out, "]}");
}

/* --- rows --- */

static void
put_ready(struct lp_buf *out, size_t ready, size_t all)
{
    lp_buf_printf(out, ",\"%zu/%zu\"", ready, all);
}

static void
put_age(struct lp_buf *out, const struct lp_kube_eye *eye, int64_t then_ns)
{
    char age[LP_KUBE_AGE_TEXT];
    lp_kube_age(eye->now_ns, then_ns, age);
    lp_buf_printf(out, ",\"%s\"", age);
}

/* As a cell; what is not known is said so, as kubectl does. */
static void
put_known(struct lp_buf *out, struct lp_str s)
{
    lp_kube_put(out, ",", s.n > 0 ? s : LP_STR("<none>"));
}

static void
put_restarts(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye)
{
    int64_t at_ns;
    char age[LP_KUBE_AGE_TEXT];
    uint32_t n = lp_kube_restarts(p, &at_ns);
    if (n == 0) {
        lp_buf_c(out, ",\"0\"");
        return;
    }
    lp_kube_age(eye->now_ns, at_ns, age);
    lp_buf_printf(out, ",\"%u (%s ago)\"", n, age);
}

static void
put_pod_owner(struct lp_buf *out, const struct lp_pod *p)
{
    const struct lp_pod_owner *o = p->top.name.n > 0 ? &p->top : &p->owner;
    struct lp_buf text;
    lp_buf_init(&text, 4096);
    if (o->name.n > 0) {
        lp_buf_str(&text, o->kind);
        lp_buf_byte(&text, '/');
        lp_buf_str(&text, o->name);
    }
    put_known(out, lp_buf_view(&text));
    lp_buf_clear(&text);
}

void
lp_kube_pod_row(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye,
                enum lp_kube_include include)
{
    bool alive = lp_kube_alive(eye, p->last_ns);
    lp_kube_put(out, "{\"cells\":[", p->name);
    put_ready(out, alive ? p->ncontainers : 0, p->ncontainers);
    lp_buf_c(out, alive ? ",\"Running\"" : ",\"Gone\"");
    put_restarts(out, p, eye);
    put_age(out, eye, p->first_ns);
    put_known(out, p->ip);
    put_known(out, p->node);
    put_age(out, eye, p->last_ns);
    put_pod_owner(out, p);
    put_known(out, p->uid);
    lp_buf_byte(out, ']');
    if (include != LP_KUBE_NO_OBJECT) {
        lp_buf_c(out, ",\"object\":");
        if (include == LP_KUBE_OBJECT) {
            lp_kube_pod_put(out, p, eye, false);
        } else {
            lp_kube_pod_partial_put(out, p);
        }
    }
    lp_buf_byte(out, '}');
}

void
lp_kube_namespace_row(struct lp_buf *out, struct lp_str name, enum lp_kube_include include)
{
    lp_kube_put(out, "{\"cells\":[", name);
    lp_buf_c(out, ",\"Active\",\"<unknown>\"]");
    if (include != LP_KUBE_NO_OBJECT) {
        lp_buf_c(out, ",\"object\":");
        if (include == LP_KUBE_OBJECT) {
            lp_kube_namespace_put(out, name, false);
        } else {
            lp_kube_namespace_partial_put(out, name);
        }
    }
    lp_buf_byte(out, '}');
}

static void
put_containers(struct lp_buf *out, const struct lp_kube_owner *o)
{
    struct lp_buf text;
    lp_buf_init(&text, 1 << 16);
    for (size_t i = 0; i < o->ncontainers; i++) {
        lp_buf_c(&text, i > 0 ? "," : "");
        lp_buf_str(&text, o->containers[i]);
    }
    put_known(out, lp_buf_view(&text));
    lp_buf_clear(&text);
}

void
lp_kube_owner_row(struct lp_buf *out, const struct lp_kube_owner *o, const struct lp_kube_eye *eye,
                  enum lp_kube_include include)
{
    struct lp_buf selector;
    lp_buf_init(&selector, 1 << 16);
    lp_buf_str(&selector, o->select_key);
    lp_buf_byte(&selector, '=');
    lp_buf_str(&selector, o->name);
    lp_kube_put(out, "{\"cells\":[", o->name);
    put_ready(out, o->alive, o->pods);
    put_age(out, eye, o->first_ns);
    put_age(out, eye, o->last_ns);
    put_containers(out, o);
    put_known(out, lp_buf_view(&selector));
    lp_buf_byte(out, ']');
    if (include != LP_KUBE_NO_OBJECT) {
        lp_buf_c(out, ",\"object\":");
        if (include == LP_KUBE_OBJECT) {
            lp_kube_owner_put(out, o, false);
        } else {
            lp_kube_owner_partial_put(out, o);
        }
    }
    lp_buf_byte(out, '}');
    lp_buf_clear(&selector);
}
