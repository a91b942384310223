/*
 * template_value.c - values of templates: what kind they are, whether they are true, keys of maps, and Go's
 * plain way to print them.
 */
#include "query/gotime.h"
#include "query/template_int.h"
#include "query/text.h"

const char *
lp_tv_type(const struct lp_tval *v)
{
    static const char *const ints[] = {
        [TI_INT] = "int",          [TI_INT64] = "int64",          [TI_UINT8] = "uint8",
        [TI_MONTH] = "time.Month", [TI_WEEKDAY] = "time.Weekday", [TI_DURATION] = "time.Duration",
    };
    static const char *const kinds[] = {
        [TV_NONE] = "<nil>",
        [TV_NIL] = "interface {}",
        [TV_BOOL] = "bool",
        [TV_INT] = "int",
        [TV_FLOAT] = "float64",
        [TV_STRING] = "string",
        [TV_LIST] = "[]interface {}",
        [TV_MAP] = "map[string]interface {}",
        [TV_LABELS] = "map[string]string",
        [TV_TIME] = "time.Time",
    };
    return v->kind == TV_INT ? ints[v->type] : kinds[v->kind];
}

size_t
lp_tv_len(const struct lp_tval *v)
{
    switch ((int)v->kind) {
    case TV_STRING:
        return v->s.n;
    case TV_LIST:
        return v->list.n;
    case TV_MAP:
        return v->map.n;
    case TV_LABELS:
        return v->labels.n;
    default:
        return 0;
    }
}

bool
lp_tv_true(const struct lp_tval *v)
{
    switch ((int)v->kind) {
    case TV_NONE:
    case TV_NIL:
        return false;
    case TV_BOOL:
        return v->b;
    case TV_INT:
        return v->i != 0;
    case TV_FLOAT:
        return v->f != 0;
    case TV_TIME:
        return true;
    default:
        return lp_tv_len(v) > 0;
    }
}

struct lp_str
lp_tlabels_get(const struct lp_tlabels *labels, struct lp_str name)
{
    size_t low = 0, high = labels->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = lp_str_cmp(labels->pairs[mid].name, name);
        if (cmp == 0) {
            return labels->pairs[mid].value;
        }
        low = cmp < 0 ? mid + 1 : low;
        high = cmp < 0 ? high : mid;
    }
    return LP_STR("");
}

const struct lp_tval *
lp_tmap_get(const struct lp_tmap *map, struct lp_str key)
{
    size_t low = 0, high = map->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = lp_str_cmp(map->entries[mid].key, key);
        if (cmp == 0) {
            return &map->entries[mid].value;
        }
        low = cmp < 0 ? mid + 1 : low;
        high = cmp < 0 ? high : mid;
    }
    return NULL;
}

void
lp_tv_print(struct lp_buf *out, const struct lp_tval *v)
{
    if (v->kind == TV_STRING) { /* nearly all of them */
        lp_buf_str(out, v->s);
    } else if (v->kind == TV_NONE) {
        lp_buf_c(out, "<no value>");
    } else {
        lp_tv_print_all(out, v, 1, false);
    }
}
