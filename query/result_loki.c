/*
 * result_loki.c - found rows as Loki's `streams`: grouped by label set (instances with the same labels are
 * one stream), with structured metadata folded into the labels, or, where the client asked for categories,
 * beside the line.
 */
#include <stdlib.h>
#include <string.h>

#include "query/exec_int.h"
#include "query/result.h"
#include "query/result_int.h"

#define NONE LP_LABELS_NONE
#define CONTEXT_LABEL "context"

/* The rows with one set of labels, linked by `next`; those of set i are in lists[i]. */
struct list {
    uint32_t first, last;
};

#define KNOWN 64 /* a power of two */

struct grouping {
    const struct lp_found *f;
    struct {
        const struct lp_label *labels;
        enum lp_context context;
        uint32_t set;
    } known[KNOWN]; /* rows share labels */
    bool categorize;
    struct lp_arena ar, scratch;
    struct lp_label_index sets;
    struct list *lists;
    size_t lists_cap;
    uint32_t *next; /* row -> next row of its set */
};

static lp_rc
over_budget(struct lp_err *err)
{
    return lp_err_set(err, LP_ERR_LIMIT,
                      "the answer needs more memory than a query may have; ask for fewer lines (limit)");
}

/* ------------------------------------------------------------------ groups */

static struct lp_str
context_name(enum lp_context c)
{
    return c == LP_CONTEXT_BEFORE ? LP_STR("before") : LP_STR("after");
}

/* The labels that tell the row's stream: all of them, and whether it is context; or with categories those of
 * the stream alone. By rising name. */
static size_t
stream_labels(const struct grouping *g, const struct lp_found_row *row, struct lp_pair *out)
{
    const struct lp_str mark = LP_STR(CONTEXT_LABEL);
    size_t n = 0;
    bool marked = g->categorize || row->context == LP_CONTEXT_NONE;
    for (size_t i = 0; i <= row->nlabels; i++) {
        const struct lp_label *l = i < row->nlabels ? &row->labels[i] : NULL;
        int order = l != NULL ? lp_str_cmp(l->name, mark) : 1;
        if (!marked && order >= 0) {
            out[n++] = (struct lp_pair){mark, context_name(row->context)};
            marked = true;
            if (order == 0) { /* takes the place of a label that has this name */
                continue;
            }
        }
        if (l != NULL && (!g->categorize || l->origin == LP_LABEL_STREAM)) {
            out[n++] = (struct lp_pair){l->name, l->value};
        }
    }
    return n;
}

static uint32_t
set_of_row(struct grouping *g, const struct lp_found_row *row)
{
    size_t at = ((uintptr_t)row->labels / sizeof(*row->labels) + row->context) & (KNOWN - 1);
    LP_ASSERT(row->labels != NULL);
    if (g->known[at].labels == row->labels && g->known[at].context == row->context) {
        return g->known[at].set;
    }
    lp_arena_reset(&g->scratch);
    struct lp_pair *pairs = lp_arena_array(&g->scratch, row->nlabels + 1, sizeof(*pairs));
    uint32_t set = pairs != NULL ? lp_label_index_add(&g->sets, pairs, stream_labels(g, row, pairs)) : NONE;
    g->known[at].labels = set != NONE ? row->labels : NULL;
    g->known[at].context = row->context;
    g->known[at].set = set;
    return set;
}

static bool
make_lists(struct grouping *g)
{
    for (size_t i = 0; i < g->f->n; i++) {
        size_t known = g->sets.n;
        uint32_t at = set_of_row(g, &g->f->rows[i]);
        if (at == NONE) {
            return false;
        }
        g->lists = lp_arena_grow(&g->ar, g->lists, &g->lists_cap, g->sets.n, sizeof(*g->lists));
        if (g->lists == NULL) {
            return false;
        }
        *(at == known ? &g->lists[at].first : &g->next[g->lists[at].last]) = (uint32_t)i;
        g->lists[at].last = (uint32_t)i;
        g->next[i] = NONE;
    }
    return true;
}

static int
by_text(const void *a, const void *b, void *arg)
{
    const struct lp_labels *sets = arg;
    return lp_str_cmp(sets[*(const uint32_t *)a].text, sets[*(const uint32_t *)b].text);
}

/* ------------------------------------------------------------------ writing */

void
lp_result_pairs(const struct lp_pair *pairs, size_t n, struct lp_buf *out)
{
    lp_buf_byte(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            lp_buf_byte(out, ',');
        }
        lp_buf_json(out, pairs[i].name);
        lp_buf_byte(out, ':');
        lp_buf_json(out, pairs[i].value);
    }
    lp_buf_byte(out, '}');
}

/* "key":{labels of this origin}; nothing where there are none. Returns whether there were. */
static bool
write_category(const struct lp_found_row *row, enum lp_label_origin origin, const char *key, bool first,
               struct lp_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < row->nlabels; i++) {
        const struct lp_label *l = &row->labels[i];
        if (l->origin != origin) {
            continue;
        }
        if (!any) {
            lp_buf_printf(out, "%s\"%s\":{", first ? "" : ",", key);
        }
        lp_buf_c(out, any ? "," : "");
        lp_buf_json(out, l->name);
        lp_buf_byte(out, ':');
        lp_buf_json(out, l->value);
        any = true;
    }
    lp_buf_c(out, any ? "}" : "");
    return any;
}

static void
write_categories(const struct lp_found_row *row, struct lp_buf *out)
{
    lp_buf_c(out, ",{");
    bool meta = write_category(row, LP_LABEL_META, "structuredMetadata", true, out);
    bool parsed = write_category(row, LP_LABEL_PARSED, "parsed", !meta, out);
    if (row->context != LP_CONTEXT_NONE) {
        lp_buf_c(out, meta || parsed ? "," : "");
        lp_buf_c(out, "\"" CONTEXT_LABEL "\":");
        lp_buf_json(out, context_name(row->context));
    }
    lp_buf_byte(out, '}');
}

static void
write_set(struct grouping *g, uint32_t set, struct lp_buf *out)
{
    uint32_t first = g->lists[set].first;
    lp_buf_c(out, "{\"stream\":");
    lp_result_pairs(g->sets.v[set].v, g->sets.v[set].n, out);
    lp_buf_c(out, ",\"values\":[");
    for (uint32_t i = first; i != NONE; i = g->next[i]) {
        const struct lp_found_row *row = &g->f->rows[i];
        lp_buf_printf(out, "%s[\"%lld\",", i != first ? "," : "", (long long)row->time_ns);
        lp_buf_json(out, row->line);
        if (g->categorize) {
            write_categories(row, out);
        }
        lp_buf_byte(out, ']');
    }
    lp_buf_c(out, "]}");
}

/* All sets, between the brackets. */
static bool
write_sets(struct grouping *g, struct lp_buf *out)
{
    size_t n = g->sets.n;
    uint32_t *order = lp_arena_array(&g->ar, n, sizeof(*order));
    if (order == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    if (n > 1) {
        qsort_r(order, n, sizeof(*order), by_text, g->sets.v);
    }
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, i > 0 ? "," : "");
        write_set(g, order[i], out);
    }
    return true;
}

static bool
write_answer(struct grouping *g, const void *arg, struct lp_buf *out)
{
    (void)arg;
    const struct lp_result_notes notes = {g->f->damage, g->f->stats.damaged, g->f->cut};
    lp_result_begin("streams", &notes, g->categorize, out);
    bool ok = write_sets(g, out);
    lp_result_end(&g->f->stats, g->f->n, out);
    return ok;
}

/* Groups the rows, and writes what they are part of. */
static lp_rc
write_grouped(struct grouping *g, bool (*fn)(struct grouping *g, const void *arg, struct lp_buf *out),
              const void *arg, struct lp_buf *out, struct lp_err *err)
{
    lp_arena_init(&g->ar, out->limit, 1 << 14);
    lp_arena_init(&g->scratch, out->limit, 1 << 14);
    lp_label_index_init(&g->sets, &g->ar);
    g->next = lp_malloc(g->f->n * sizeof(*g->next));
    bool ok = make_lists(g) && fn(g, arg, out);
    lp_free(g->next);
    lp_label_index_clear(&g->sets);
    lp_arena_clear(&g->ar);
    lp_arena_clear(&g->scratch);
    return ok && !out->failed ? LP_OK : over_budget(err);
}

lp_rc
lp_result_streams(const struct lp_found *f, bool categorize, struct lp_buf *out, struct lp_err *err)
{
    struct grouping g = {.f = f, .categorize = categorize};
    return write_grouped(&g, write_answer, NULL, out, err);
}

/* ------------------------------------------------------------------ frames of a tail */

static bool
write_frame(struct grouping *g, const void *arg, struct lp_buf *out)
{
    const struct lp_tail_frame *frame = arg;
    lp_buf_c(out, "{\"streams\":[");
    bool ok = write_sets(g, out);
    lp_buf_byte(out, ']');
    if (frame->dropped.n > 0) {
        lp_buf_c(out, ",\"dropped_entries\":[");
        lp_buf_str(out, frame->dropped);
        lp_buf_byte(out, ']');
    }
    if (frame->categorize) {
        lp_buf_c(out, ",\"encodingFlags\":[\"categorize-labels\"]");
    }
    if (frame->notice.n > 0) {
        lp_buf_c(out, ",\"notice\":");
        lp_buf_json(out, frame->notice);
    }
    if (frame->cursor.n > 0) {
        lp_buf_c(out, ",\"cursor\":");
        lp_buf_json(out, frame->cursor);
    }
    lp_buf_byte(out, '}');
    return ok;
}

lp_rc
lp_result_tail(const struct lp_tail_frame *frame, struct lp_buf *out, struct lp_err *err)
{
    static const struct lp_found nothing;
    struct grouping g = {.f = frame->found != NULL ? frame->found : &nothing,
                         .categorize = frame->categorize};
    return write_grouped(&g, write_frame, frame, out, err);
}

lp_rc
lp_result_dropped(const struct lp_found *f, struct lp_buf *out, struct lp_err *err)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct lp_found_row *row = &f->rows[i];
        lp_buf_printf(out, "%s{\"timestamp\":\"%lld\",\"labels\":{", out->n > 0 ? "," : "",
                      (long long)row->time_ns);
        for (size_t k = 0; k < row->nlabels; k++) {
            lp_buf_c(out, k > 0 ? "," : "");
            lp_buf_json(out, row->labels[k].name);
            lp_buf_byte(out, ':');
            lp_buf_json(out, row->labels[k].value);
        }
        lp_buf_c(out, "}}");
    }
    return out->failed ? over_budget(err) : LP_OK;
}
