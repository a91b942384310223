/*
 * cmd_status_usage.c - what `logpond status` says of the namespaces and of how long the disk lasts, from
 * /admin/namespaces.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/cmd_status_int.h"
#include "server/text_ui.h"

#define NAMESPACES_SHOWN 20

static uint64_t
number(const struct lp_json_doc *doc, uint32_t i, const char *name)
{
    return lp_json_u64(lp_json_member(doc, i, lp_str_c(name)));
}

const char *
lp_ui_second(const struct lp_json_doc *doc, uint32_t i, const char *name, char out[LP_UI_TEXT])
{
    const struct lp_json *v = lp_json_member(doc, i, lp_str_c(name));
    int64_t ns;
    if (v == NULL || !lp_str_i64(v->text, &ns)) {
        return "";
    }
    lp_ui_time(ns, out);
    out[LP_MIN(strlen(out), (size_t)19)] = 0;
    return out;
}

void
lp_ui_place(const struct lp_json_doc *doc, uint32_t i, struct lp_buf *out)
{
    const struct lp_json *tenant = lp_json_member(doc, i, LP_STR("tenant"));
    const struct lp_json *ns = lp_json_member(doc, i, LP_STR("namespace"));
    lp_buf_reset(out);
    if (tenant != NULL) {
        lp_ui_safe(out, tenant->text);
        lp_buf_byte(out, '/');
    }
    if (ns != NULL && ns->text.n > 0) {
        lp_ui_safe(out, ns->text);
    } else {
        lp_buf_c(out, "(none)");
    }
}

/* Largest first. */
struct row {
    uint64_t stored;
    uint32_t node;
};

static int
row_cmp(const void *va, const void *vb)
{
    const struct row *a = va, *b = vb;
    return (a->stored < b->stored) - (a->stored > b->stored);
}

static void
show_rows(const struct lp_json_doc *doc, const struct row *rows, size_t n)
{
    char lines[LP_UI_TEXT], bytes[LP_UI_TEXT], stored[LP_UI_TEXT], from[LP_UI_TEXT], to[LP_UI_TEXT];
    struct lp_buf name;
    lp_buf_init(&name, 1 << 16);
    printf("\n%-24s %14s %10s %10s  %-19s  %s\n", "NAMESPACE", "LINES", "BYTES", "STORED", "FIRST", "LAST");
    for (size_t i = 0; i < n && i < NAMESPACES_SHOWN; i++) {
        lp_ui_place(doc, rows[i].node, &name);
        printf("%-24.*s %14s %10s %10s  %-19s  %s\n", (int)name.n, name.p,
               lp_ui_count(number(doc, rows[i].node, "records"), lines),
               lp_ui_bytes(number(doc, rows[i].node, "line_bytes"), bytes),
               lp_ui_bytes(rows[i].stored, stored), lp_ui_second(doc, rows[i].node, "first_ns", from),
               lp_ui_second(doc, rows[i].node, "last_ns", to));
    }
    if (n > NAMESPACES_SHOWN) {
        printf("and %zu smaller ones (all with --json)\n", n - NAMESPACES_SHOWN);
    }
    lp_buf_clear(&name);
}

void
lp_status_show_namespaces(const struct lp_json_doc *doc)
{
    const struct lp_json *list = lp_json_path(doc, "namespaces", NULL);
    if (list == NULL || list->type != LP_JSON_ARRAY || list->count == 0) {
        return;
    }
    struct row *rows = lp_calloc(list->count, sizeof(*rows));
    size_t n = 0;
    for (uint32_t i = (uint32_t)(list - doc->nodes) + 1; i < list->next; i = doc->nodes[i].next) {
        rows[n++] = (struct row){number(doc, i, "stored_bytes"), i};
    }
    if (n > 1) {
        qsort(rows, n, sizeof(*rows), row_cmp);
    }
    show_rows(doc, rows, n);
    lp_free(rows);
}

void
lp_status_show_forecast(const struct lp_json_doc *doc)
{
    char rate[LP_UI_TEXT], over[LP_UI_TEXT], then[LP_UI_TEXT];
    const struct lp_json *growth = lp_json_path(doc, "growth", NULL);
    const struct lp_json *full = lp_json_path(doc, "days_until_full", NULL);
    if (growth == NULL || full == NULL) {
        return;
    }
    uint32_t at = (uint32_t)(growth - doc->nodes);
    uint64_t measured_ns = number(doc, at, "measured_ns");
    if (measured_ns == 0) {
        printf("           how long it lasts is not known yet: nothing was stored for an hour\n");
        return;
    }
    lp_ui_bytes(number(doc, at, "bytes_per_day"), rate);
    lp_ui_duration((int64_t)measured_ns, over);
    if (full->type == LP_JSON_NUMBER) {
        printf("           FULL in " LP_STR_FMT
               " days at %s a day (as in the last %s), retention counted in\n",
               LP_STR_ARG(full->text), rate, over);
    } else {
        printf("           not full within %llu days at %s a day (as in the last %s): then %s are stored\n",
               (unsigned long long)number(doc, 0, "forecast_days"), rate, over,
               lp_ui_bytes(number(doc, 0, "stored_bytes_then"), then));
    }
}
