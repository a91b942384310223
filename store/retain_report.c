/*
 * retain_report.c - a run of retention as JSON, for who asked for it and for the ledger. Pure.
 *
 * Members: by, dry_run, at_ns, begun, error; rules and what each says (before_ns); received_before_ns;
 * namespaces with what goes and what is there; totals; segments dropped and rewritten; done. Names that are
 * not UTF-8 have U+FFFD.
 */
#include "store/retain.h"

static void
put_time(struct lp_buf *b, const char *name, int64_t ns)
{
    if (ns == LP_TIME_MIN) {
        lp_buf_printf(b, "\"%s\":null", name);
    } else {
        lp_buf_printf(b, "\"%s\":%lld", name, (long long)ns);
    }
}

static void
put_sum(struct lp_buf *b, const struct lp_retain_sum *s)
{
    lp_buf_printf(b, "{\"rows\":%llu,\"line_bytes\":%llu,\"stored_bytes\":%llu", (unsigned long long)s->rows,
                  (unsigned long long)s->line_bytes, (unsigned long long)s->stored_bytes);
    if (s->first_ns <= s->last_ns) {
        lp_buf_printf(b, ",\"first_ns\":%lld,\"last_ns\":%lld", (long long)s->first_ns,
                      (long long)s->last_ns);
    }
    lp_buf_byte(b, '}');
}

static void
put_place(struct lp_buf *b, struct lp_str tenant, struct lp_str ns)
{
    if (tenant.n > 0) {
        lp_buf_c(b, "\"tenant\":");
        lp_buf_json(b, tenant);
        lp_buf_byte(b, ',');
    }
    lp_buf_c(b, "\"namespace\":");
    lp_buf_json(b, ns);
}

static void
put_cutoffs(struct lp_buf *b, const struct lp_cutoffs *c)
{
    lp_buf_c(b, "\"rules\":[");
    for (size_t i = 0; i < c->rules->n; i++) {
        lp_buf_c(b, i > 0 ? ",{\"rule\":" : "{\"rule\":");
        lp_buf_json(b, c->rules->v[i].text);
        lp_buf_byte(b, ',');
        put_time(b, "before_ns", c->rule_ns[i]);
        lp_buf_byte(b, '}');
    }
    lp_buf_c(b, "],\"bytes\":[");
    for (size_t i = 0; i < c->nbytes; i++) {
        lp_buf_printf(b, "%s{\"rule\":%u,", i > 0 ? "," : "", c->bytes[i].rule + 1);
        put_place(b, c->bytes[i].tenant, c->bytes[i].ns);
        lp_buf_byte(b, ',');
        put_time(b, "before_ns", c->bytes[i].before_ns);
        lp_buf_byte(b, '}');
    }
    lp_buf_c(b, "],\"quarantine\":{");
    put_time(b, "before_ns", c->quarantine_ns);
    lp_buf_c(b, "},\"disk\":{\"limit\":");
    lp_buf_json(b, c->disk);
    lp_buf_byte(b, ',');
    put_time(b, "before_ns", c->all_ns);
    lp_buf_c(b, "},");
    put_time(b, "received_before_ns", c->received_before_ns);
}

static void
put_namespaces(struct lp_buf *b, const struct lp_retain_plan *p)
{
    bool first = true;
    lp_buf_c(b, "\"namespaces\":[");
    for (size_t i = 0; i < p->nnamespaces; i++) {
        const struct lp_retain_ns *ns = &p->namespaces[i];
        if (ns->goes.rows == 0) {
            continue;
        }
        lp_buf_c(b, first ? "{" : ",{");
        put_place(b, ns->tenant, ns->ns);
        lp_buf_c(b, ",\"goes\":");
        put_sum(b, &ns->goes);
        lp_buf_c(b, ",\"of\":");
        put_sum(b, &ns->all);
        lp_buf_byte(b, '}');
        first = false;
    }
    lp_buf_c(b, "],\"goes\":");
    put_sum(b, &p->goes);
    lp_buf_c(b, ",\"of\":");
    put_sum(b, &p->all);
}

static void
put_segments(struct lp_buf *b, const struct lp_retain_plan *p, bool whole, const char *name)
{
    bool first = true;
    lp_buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < p->nsegments; i++) {
        if (p->segments[i].whole == whole) {
            lp_buf_printf(b, "%s\"%016llx\"", first ? "" : ",", (unsigned long long)p->segments[i].id);
            first = false;
        }
    }
    lp_buf_byte(b, ']');
}

/* Who, when, and what became of it. */
static void
put_end(struct lp_buf *out, const struct lp_retain_report *r)
{
    if (r->begun > 0) {
        lp_buf_printf(out, ",\"begun\":%llu", (unsigned long long)r->begun);
    }
    if (r->ended > 0) {
        lp_buf_printf(out, ",\"ended\":%llu", (unsigned long long)r->ended);
    }
    if (!r->dry) {
        lp_buf_printf(out, ",\"done\":{\"freed_bytes\":%llu,\"dropped\":%llu,\"rewritten\":%llu}",
                      (unsigned long long)r->done.freed_bytes, (unsigned long long)r->done.dropped,
                      (unsigned long long)r->done.rewritten);
    }
    if (r->error.n > 0) {
        lp_buf_c(out, ",\"error\":");
        lp_buf_json(out, r->error);
    }
    lp_buf_byte(out, '}');
}

static void
put_begin(struct lp_buf *out, const struct lp_retain_report *r)
{
    lp_buf_c(out, "{\"by\":");
    lp_buf_json(out, r->by);
    lp_buf_printf(out, ",\"dry_run\":%s,\"at_ns\":%lld", r->dry ? "true" : "false",
                  (long long)r->plan->at.now_ns);
}

void
lp_retain_end_json(const struct lp_retain_report *r, struct lp_buf *out)
{
    put_begin(out, r);
    lp_buf_c(out, ",\"goes\":");
    put_sum(out, &r->plan->goes);
    put_end(out, r);
}

void
lp_retain_report_json(const struct lp_retain_report *r, struct lp_buf *out)
{
    put_begin(out, r);
    lp_buf_byte(out, ',');
    put_cutoffs(out, r->cutoffs != NULL ? r->cutoffs : r->plan->cutoffs);
    lp_buf_byte(out, ',');
    put_namespaces(out, r->plan);
    put_segments(out, r->plan, true, "drop");
    put_segments(out, r->plan, false, "rewrite");
    put_end(out, r);
}
