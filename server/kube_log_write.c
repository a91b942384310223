/*
 * kube_log_write.c - lines of logs: as they are, or as JSON objects.
 */
#include "base/clock.h"
#include "query/result.h"
#include "server/kube_log.h"

/* What is the same for all lines of a stream. */
struct source {
    struct lp_str ns, pod, container, stream, node, uid;
    const struct lp_pod_run *run; /* NULL: not known */
};

static const struct lp_pod *
pod_named(const struct lp_pods *pods, struct lp_str name, struct lp_str uid)
{
    const struct lp_pod *p = lp_pods_named(pods, name);
    return p != NULL && (uid.n == 0 || lp_str_eq(p->uid, uid)) ? p : NULL;
}

static const struct lp_pod_run *
run_of(const struct lp_pod *p, struct lp_str container, struct lp_str id)
{
    for (size_t i = 0; p != NULL && i < p->ncontainers; i++) {
        const struct lp_pod_container *c = &p->containers[i];
        for (size_t k = 0; lp_str_eq(c->name, container) && k < c->nruns; k++) {
            if (lp_str_eq(c->runs[k].id, id)) {
                return &c->runs[k];
            }
        }
    }
    return NULL;
}

static struct source
source_of(const struct lp_vstream *s, const struct lp_pods *pods)
{
    struct source src = {.ns = lp_stream_key_label(&s->key, LP_STR("namespace")),
                         .pod = lp_stream_key_label(&s->key, LP_STR("pod")),
                         .container = lp_stream_key_label(&s->key, LP_STR("container")),
                         .stream = lp_stream_key_label(&s->key, LP_STR("stream")),
                         .node = lp_stream_key_label(&s->key, LP_STR("node")),
                         .uid = s->key.inst.uid};
    const struct lp_pod *p = pod_named(pods, src.pod, src.uid);
    src.uid = src.uid.n == 0 && p != NULL ? p->uid : src.uid;
    src.run = run_of(p, src.container, s->key.inst.incarnation);
    return src;
}

static void
put_raw(struct lp_buf *out, const struct lp_kube_log_ask *ask, const struct source *src,
        const struct lp_found_row *row)
{
    char time[LP_TIME_TEXT];
    if (ask->prefix) {
        lp_buf_c(out, "[pod/");
        lp_buf_str(out, src->pod);
        lp_buf_byte(out, '/');
        lp_buf_str(out, src->container);
        lp_buf_c(out, "] ");
    }
    if (ask->timestamps) {
        lp_buf_add(out, time, lp_time_text(row->time_ns, time));
        lp_buf_byte(out, ' ');
    }
    lp_buf_str(out, row->line);
    lp_buf_byte(out, '\n');
}

static void
put_member(struct lp_buf *out, const char *key, struct lp_str value)
{
    if (value.n > 0) {
        lp_buf_c(out, key);
        lp_buf_json(out, value);
    }
}

static void
put_json(struct lp_buf *out, const struct source *src, const struct lp_found_row *row)
{
    char time[LP_TIME_TEXT];
    lp_time_text(row->time_ns, time);
    lp_buf_printf(out, "{\"time\":\"%s\"", time);
    put_member(out, ",\"namespace\":", src->ns);
    put_member(out, ",\"pod\":", src->pod);
    put_member(out, ",\"uid\":", src->uid);
    put_member(out, ",\"container\":", src->container);
    if (src->run != NULL) {
        lp_buf_printf(out, ",\"restart\":%u", src->run->number);
    }
    put_member(out, ",\"stream\":", src->stream);
    put_member(out, ",\"node\":", src->node);
    lp_result_line(row->line, out);
    lp_buf_c(out, "}\n");
}

bool
lp_kube_log_has(const struct lp_pods *pods, struct lp_str name, struct lp_str uid)
{
    return pod_named(pods, name, uid) != NULL;
}

bool
lp_kube_log_knows(const struct lp_found *page, const struct lp_pods *pods)
{
    bool all = true;
    for (size_t i = 0; i < page->n && all; i++) {
        bool same = i > 0 && page->rows[i].stream == page->rows[i - 1].stream;
        all = same || source_of(page->streams[page->rows[i].stream], pods).run != NULL;
    }
    return all;
}

void
lp_kube_log_lines(struct lp_buf *out, const struct lp_kube_log_ask *ask, const struct lp_found *page,
                  const struct lp_pods *pods)
{
    struct source src = {.run = NULL};
    uint32_t last = UINT32_MAX;
    bool plain = !ask->json && !ask->prefix;
    for (size_t i = 0; i < page->n; i++) {
        const struct lp_found_row *row = &page->rows[i];
        if (!plain && row->stream != last) {
            src = source_of(page->streams[row->stream], pods);
            last = row->stream;
        }
        if (ask->json) {
            put_json(out, &src, row);
        } else {
            put_raw(out, ask, &src, row);
        }
    }
}

void
lp_kube_log_warning(struct lp_buf *out, const char *text)
{
    lp_buf_c(out, "{\"warning\":");
    lp_buf_json(out, lp_str_c(text));
    lp_buf_c(out, "}\n");
}
