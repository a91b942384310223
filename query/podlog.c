/*
 * podlog.c - reading the log of containers. See podlog.h.
 *
 * The past is read by searches, each behind the place of the last line (as exports do). With `follow` a tail
 * goes along: after each search it is moved to exactly what that search could see. Of what had arrived since
 * the search before, the lines before the place that had been reached then were in no search and will be in
 * none: they are given from the tail. All others are left to the searches. The last search reaches the end:
 * from then on everything comes from the tail.
 *
 * Why no line is left out or comes twice: let search i see all that had arrived by moment A(i), and give the
 * lines between places P(i-1) and P(i). A line that arrived between A(i-1) and A(i) with a place up to P(i-1)
 * was invisible to the searches that passed there; one behind P(i-1) is seen by search i or a later one. A
 * line with the same time and stream as P(i-1) is of the latter kind: it has a higher ordinal than any that
 * search i-1 saw (exec_place.c).
 */
#include "query/podlog.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/regex.h"
#include "query/parse.h"
#include "query/tail.h"
#include "query/text.h"

#define PAGE_ROWS 65536
#define PAGE_BYTES (1u << 20)
#define PAGE_BYTES_MAX (4u << 20) /* of a reader who was quick with the pages before */
#define LIVE_ROWS 1024
#define LIVE_BYTES (256u << 10)
#define CACHE_BYTES (16u << 20)
#define QUERY_BYTES (1u << 20)

struct lp_podlog {
    struct lp_arena ar; /* what was asked for */
    struct lp_podlog_query q;
    struct lp_select_filter filter;
    struct lp_search search; /* of the past */
    struct lp_block_cache *cache;
    struct lp_place place; /* of the last line of the past */
    bool begun;            /* there is one */
    bool live;             /* the past has been read */
    struct lp_tail *tail;  /* with follow */
    uint64_t seen;         /* by lp_head_await */
    struct late {          /* lines that the past will not have, in order */
        struct late *next;
        struct lp_found found;
    } * late, **late_end;
    uint64_t damaged;
    char damage[LP_ERR_TEXT_BYTES];
    char missed[LP_ERR_TEXT_BYTES], told[LP_ERR_TEXT_BYTES];
};

/* --- which streams --- */

static bool
is_or_any(struct lp_str wanted, struct lp_str value)
{
    return wanted.n == 0 || lp_str_eq(wanted, value);
}

static bool
want_fits(const struct lp_podlog_want *w, struct lp_str pod, struct lp_str container,
          const struct lp_instance *inst)
{
    return is_or_any(w->pod, pod) && is_or_any(w->container, container) &&
           (is_or_any(w->uid, inst->uid) || (w->uid_or_none && inst->uid.n == 0)) &&
           is_or_any(w->run, inst->incarnation) &&
           !lp_str_among(inst->incarnation, w->not_runs, w->nnot_runs);
}

static bool
wants(const void *arg, const struct lp_stream_key *key)
{
    const struct lp_podlog_query *q = arg;
    struct lp_str pod = lp_stream_key_label(key, LP_STR("pod"));
    struct lp_str container = lp_stream_key_label(key, LP_STR("container"));
    bool any = false;
    if (!is_or_any(q->stream, lp_stream_key_label(key, LP_STR("stream")))) {
        return false;
    }
    for (size_t i = 0; i < q->nwants && !any; i++) {
        any = want_fits(&q->wants[i], pod, container, &key->inst);
    }
    return any;
}

/* --- the query --- */

/* A literal among the alternatives of a regular expression. */
static void
put_literal(struct lp_buf *out, struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("\\.+*?()|[]{}^$", s.p[i]) != NULL && s.p[i] != 0) {
            lp_buf_byte(out, '\\');
        }
        lp_buf_byte(out, (uint8_t)s.p[i]);
    }
}

/* The pods that are wanted, or any. */
static void
put_pods(const struct lp_podlog_query *q, struct lp_buf *out)
{
    struct lp_buf names;
    bool any = false;
    lp_buf_init(&names, QUERY_BYTES);
    for (size_t i = 0; i < q->nwants; i++) {
        bool again = i > 0 && lp_str_eq(q->wants[i].pod, q->wants[i - 1].pod);
        any = any || q->wants[i].pod.n == 0;
        if (!again) {
            lp_buf_c(&names, names.n > 0 ? "|" : "");
            put_literal(&names, q->wants[i].pod);
        }
    }
    lp_buf_c(out, ",pod=~");
    lp_text_quote(out, any ? LP_STR(".+") : lp_buf_view(&names));
    out->failed = out->failed || names.failed;
    lp_buf_clear(&names);
}

static void
put_filters(const char *operator, const struct lp_str * v, size_t n, struct lp_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        lp_buf_c(out, operator);
        lp_text_quote(out, v[i]);
    }
}

/* The same question in LogQL, but for what filter tells. Lives in l->ar. */
static lp_rc
write_query(struct lp_podlog *l, struct lp_str *ret, struct lp_err *err)
{
    const struct lp_podlog_query *q = &l->q;
    struct lp_buf text;
    lp_buf_init(&text, QUERY_BYTES);
    lp_buf_c(&text, "{namespace=");
    lp_text_quote(&text, q->ns);
    put_pods(q, &text);
    lp_buf_c(&text, "}");
    put_filters(" |= ", q->contains, q->ncontains, &text);
    put_filters(" |~ ", q->regexes, q->nregexes, &text);
    bool ok = !text.failed && lp_arena_str(&l->ar, lp_buf_view(&text), ret);
    lp_buf_clear(&text);
    return ok ? LP_OK : lp_err_set(err, LP_ERR_LIMIT, "too many pods, or too long filters");
}

/* What the keys of all wanted streams hold (FORMAT.md section 5): label and value of the pod, if there is but
 * one. */
static bool
make_hint(struct lp_podlog *l, struct lp_str *ret)
{
    struct lp_buf b;
    for (size_t i = 0; i < l->q.nwants; i++) {
        if (l->q.wants[i].pod.n == 0 || !lp_str_eq(l->q.wants[i].pod, l->q.wants[0].pod)) {
            *ret = LP_STR_NULL;
            return true;
        }
    }
    lp_buf_init(&b, SIZE_MAX);
    lp_buf_lpstr(&b, LP_STR("pod"));
    lp_buf_lpstr(&b, l->q.wants[0].pod);
    bool ok = lp_arena_str(&l->ar, lp_buf_view(&b), ret);
    lp_buf_clear(&b);
    return ok;
}

/* --- opening --- */

static bool
copy_list(struct lp_arena *ar, const struct lp_str **v, size_t n)
{
    struct lp_str *to = lp_arena_array(ar, n, sizeof(*to));
    bool ok = to != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        ok = lp_arena_str(ar, (*v)[i], &to[i]);
    }
    *v = to;
    return ok;
}

static bool
copy_want(struct lp_arena *ar, struct lp_podlog_want *w)
{
    return lp_arena_str(ar, w->pod, &w->pod) && lp_arena_str(ar, w->container, &w->container) &&
           lp_arena_str(ar, w->uid, &w->uid) && lp_arena_str(ar, w->run, &w->run) &&
           copy_list(ar, &w->not_runs, w->nnot_runs);
}

static bool
copy_query(struct lp_podlog *l, const struct lp_podlog_query *q)
{
    struct lp_podlog_want *w = lp_arena_array(&l->ar, q->nwants, sizeof(*w));
    l->q = *q;
    l->q.wants = w;
    l->q.page_rows = q->page_rows > 0 ? q->page_rows : PAGE_ROWS;
    bool ok = w != NULL && lp_arena_str(&l->ar, q->tenant, &l->q.tenant) &&
              lp_arena_str(&l->ar, q->ns, &l->q.ns) && lp_arena_str(&l->ar, q->stream, &l->q.stream) &&
              copy_list(&l->ar, &l->q.contains, q->ncontains) &&
              copy_list(&l->ar, &l->q.regexes, q->nregexes);
    for (size_t i = 0; i < q->nwants && ok; i++) {
        w[i] = q->wants[i];
        ok = copy_want(&l->ar, &w[i]);
    }
    return ok;
}

static lp_rc
open_tail(struct lp_podlog *l, struct lp_str text, struct lp_err *err)
{
    struct lp_found none;
    struct lp_tail_config cfg = {.store = l->q.store,
                                 .tenant = l->q.tenant,
                                 .query = text,
                                 .filter = &l->filter,
                                 .bare = true,
                                 .pool = l->q.pool,
                                 .share = l->q.share,
                                 .budget_bytes = l->q.budget_bytes,
                                 .cancel = l->q.cancel};
    if (!make_hint(l, &cfg.hint)) {
        return lp_err_set(err, LP_ERR_LIMIT, "too many pods");
    }
    lp_rc rc = lp_tail_new(&cfg, &l->tail, err);
    if (rc == LP_OK) {
        rc = lp_tail_begin(l->tail, LP_TIME_MIN, 0, INT64_MAX, &none, err);
        lp_found_clear(&none);
    }
    return rc;
}

/* In words that do not speak of a query, which nobody has written. */
static lp_rc
check_regexes(const struct lp_podlog_query *q, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    for (size_t i = 0; i < q->nregexes && rc == LP_OK; i++) {
        struct lp_regex *re = NULL;
        rc = lp_regex_new(q->regexes[i], &re, err);
        lp_regex_free(re);
    }
    return rc;
}

static lp_rc
open_search(struct lp_podlog *l, struct lp_str text, struct lp_err *err)
{
    const struct lp_podlog_query *q = &l->q;
    const struct lp_expr *e;
    lp_rc rc = check_regexes(q, err);
    rc = rc == LP_OK ? lp_logql_parse(text, NULL, &l->ar, &e, err) : rc;
    if (rc != LP_OK) {
        return rc;
    }
    LP_ASSERT(e->kind == LP_EXPR_LOG);
    l->cache = lp_block_cache_new(CACHE_BYTES);
    l->search = (struct lp_search){.store = q->store,
                                   .tenant = q->tenant,
                                   .log = &e->log,
                                   .filter = &l->filter,
                                   .from_ns = q->from_ns,
                                   .to_ns = q->to_ns,
                                   .cache = l->cache,
                                   .pool = q->pool,
                                   .cancel = q->cancel,
                                   .share = q->share,
                                   .budget_bytes = q->budget_bytes,
                                   .page_bytes = PAGE_BYTES,
                                   .want_last = true};
    return LP_OK;
}

lp_rc
lp_podlog_open(const struct lp_podlog_query *q, struct lp_podlog **ret, struct lp_err *err)
{
    struct lp_podlog *l = lp_calloc(1, sizeof(*l));
    struct lp_str text = LP_STR_NULL;
    LP_ASSERT(q->nwants > 0);
    l->late_end = &l->late;
    lp_arena_init(&l->ar, LP_LOGQL_ARENA_BYTES, 0);
    lp_rc rc = copy_query(l, q) ? LP_OK : lp_err_set(err, LP_ERR_LIMIT, "too many pods, or too long filters");
    l->filter = (struct lp_select_filter){wants, &l->q};
    rc = rc == LP_OK ? write_query(l, &text, err) : rc;
    rc = rc == LP_OK ? open_search(l, text, err) : rc;
    if (rc == LP_OK && q->follow) {
        rc = open_tail(l, text, err);
    }
    if (rc != LP_OK) {
        lp_podlog_close(l);
        return rc;
    }
    *ret = l;
    return LP_OK;
}

void
lp_podlog_close(struct lp_podlog *l)
{
    if (l == NULL) {
        return;
    }
    for (struct late *a = l->late, *next; a != NULL; a = next) {
        next = a->next;
        lp_found_clear(&a->found);
        lp_free(a);
    }
    lp_tail_free(l->tail);
    lp_block_cache_free(l->cache);
    lp_arena_clear(&l->ar);
    lp_free(l);
}

/* --- the past --- */

static lp_rc
search_page(struct lp_podlog *l, size_t limit, bool backward, struct lp_found *ret, struct lp_err *err)
{
    struct lp_search *q = &l->search;
    q->limit = limit;
    q->backward = backward;
    q->after = l->begun ? &l->place : NULL;
    q->deadline_ns = lp_mono_ns() + l->q.page_timeout_ns;
    lp_rc rc = lp_search(q, ret, err);
    if (rc != LP_OK) {
        return rc;
    }
    l->damaged = LP_MAX(l->damaged, ret->stats.damaged);
    if (l->damage[0] == 0) {
        memcpy(l->damage, ret->damage, sizeof(l->damage));
    }
    return LP_OK;
}

/*
 * The newest l->q.tail lines: the oldest page of them, oldest line first. *ret_more: the others are to be
 * read forward behind its last line.
 */
static lp_rc
find_newest(struct lp_podlog *l, struct lp_found *ret, bool *ret_more, struct lp_err *err)
{
    size_t left = l->q.tail;
    bool again = true;
    *ret_more = false;
    l->search.want_first = true;
    lp_rc rc = search_page(l, LP_MIN(left, l->q.page_rows), true, ret, err);
    while (rc == LP_OK && again) {
        struct lp_found older;
        left -= ret->used;
        again = ret->more && ret->used > 0 && left > 0;
        if (!again) {
            break;
        }
        l->place = ret->last;
        l->begun = true;
        rc = search_page(l, LP_MIN(left, l->q.page_rows), true, &older, err);
        again = rc == LP_OK && older.used > 0;
        if (again) {
            lp_found_clear(ret);
            *ret = older;
            *ret_more = true;
        } else if (rc == LP_OK) {
            lp_found_clear(&older);
        }
    }
    l->search.want_first = false;
    if (rc != LP_OK) {
        lp_found_clear(ret);
        return rc;
    }
    lp_found_reverse(ret);
    l->begun = ret->used > 0;
    l->place = ret->first;
    return LP_OK;
}

static bool
comes_before(const struct lp_found_row *row, struct lp_hash128 stream, const struct lp_place *place)
{
    if (row->time_ns != place->time_ns) {
        return row->time_ns < place->time_ns;
    }
    return stream.hi != place->stream.hi ? stream.hi < place->stream.hi : stream.lo < place->stream.lo;
}

/* Leaves of the rows those that the past has gone by. */
static void
keep_passed(struct lp_found *f, const struct lp_place *place)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (comes_before(&f->rows[i], f->streams[f->rows[i].stream]->hash, place)) {
            f->rows[n++] = f->rows[i];
        }
    }
    f->n = n;
}

static void
note_missed(struct lp_podlog *l)
{
    const char *text = lp_tail_missed(l->tail);
    if (text != NULL) {
        snprintf(l->missed, sizeof(l->missed), "%s", text);
    }
}

/* Reads what the tail has noted. Lines that the past had gone by (passed; NULL: none) are put aside. */
static lp_rc
put_aside(struct lp_podlog *l, const struct lp_place *passed, struct lp_err *err)
{
    bool more = true;
    lp_rc rc = LP_OK;
    while (rc == LP_OK && more) {
        struct late *a = lp_calloc(1, sizeof(*a));
        rc = lp_tail_next(l->tail, LIVE_ROWS, LIVE_BYTES, &a->found, err);
        more = rc == LP_OK && a->found.n > 0;
        if (more && passed != NULL) {
            keep_passed(&a->found, passed);
        }
        if (more && passed != NULL && a->found.n > 0) {
            *l->late_end = a;
            l->late_end = &a->next;
        } else {
            lp_found_clear(&a->found);
            lp_free(a);
        }
    }
    return rc;
}

/* Moves the tail to what the view shows. */
static lp_rc
pass_arrived(struct lp_podlog *l, const struct lp_view *view, const struct lp_place *passed,
             struct lp_err *err)
{
    bool there = false;
    lp_rc rc = LP_OK;
    while (rc == LP_OK && !there) {
        there = lp_tail_look_at(l->tail, view); /* else there is something left of a try that failed */
        rc = put_aside(l, passed, err);
    }
    lp_tail_rest(l->tail);
    note_missed(l);
    return rc;
}

/* Finds the next lines. *ret_more: there may be others behind them. */
static lp_rc
find_page(struct lp_podlog *l, struct lp_found *ret, bool *ret_more, struct lp_err *err)
{
    if (!l->begun && l->q.tail != LP_PODLOG_ALL) {
        return find_newest(l, ret, ret_more, err);
    }
    lp_rc rc = search_page(l, l->q.page_rows, false, ret, err);
    if (rc == LP_OK) {
        l->search.page_bytes = LP_MIN(2 * l->search.page_bytes, (size_t)PAGE_BYTES_MAX);
        *ret_more = ret->more;
        l->place = ret->used > 0 ? ret->last : l->place;
        l->begun = l->begun || ret->used > 0;
    }
    return rc;
}

/* After an error the place is the one before: what the tail has gone by since is put aside, or is ahead of
 * that place still. */
static lp_rc
past_page(struct lp_podlog *l, struct lp_found *ret, struct lp_err *err)
{
    const struct lp_place place = l->place;
    bool passed = l->begun, more;
    lp_rc rc = find_page(l, ret, &more, err);
    if (rc == LP_OK && l->tail != NULL) {
        rc = pass_arrived(l, ret->view, passed ? &place : NULL, err);
    }
    if (rc == LP_OK) {
        l->live = !more;
        return LP_OK;
    }
    l->place = place;
    l->begun = passed;
    lp_found_clear(ret);
    return rc;
}

/* --- what comes --- */

static bool
take_late(struct lp_podlog *l, struct lp_found *ret)
{
    struct late *a = l->late;
    if (a == NULL) {
        return false;
    }
    lp_found_clear(ret); /* it may be a page without lines */
    *ret = a->found;
    l->late = a->next;
    l->late_end = l->late == NULL ? &l->late : l->late_end;
    lp_free(a);
    return true;
}

static lp_rc
live_rows(struct lp_podlog *l, struct lp_found *ret, struct lp_err *err)
{
    lp_rc rc = lp_tail_next(l->tail, LIVE_ROWS, LIVE_BYTES, ret, err);
    if (rc == LP_OK && ret->n == 0) {
        lp_found_clear(ret);
        lp_tail_look(l->tail);
        rc = lp_tail_next(l->tail, LIVE_ROWS, LIVE_BYTES, ret, err);
    }
    if (rc != LP_OK || ret->n == 0) {
        lp_tail_rest(l->tail);
    }
    note_missed(l);
    return rc;
}

lp_rc
lp_podlog_next(struct lp_podlog *l, struct lp_found *ret, struct lp_err *err)
{
    lp_rc rc = LP_OK;
    memset(ret, 0, sizeof(*ret));
    l->live = l->live || l->q.tail == 0;
    while (rc == LP_OK && ret->n == 0 && !take_late(l, ret)) {
        lp_found_clear(ret);
        if (l->live) {
            return l->tail != NULL ? live_rows(l, ret, err) : LP_OK;
        }
        rc = past_page(l, ret, err);
    }
    return rc;
}

void
lp_podlog_rest(struct lp_podlog *l)
{
    if (l->tail != NULL) {
        lp_tail_rest(l->tail);
    }
    lp_block_cache_free(l->cache);
    l->search.cache = l->cache = lp_block_cache_new(CACHE_BYTES);
    l->search.page_bytes = PAGE_BYTES;
}

bool
lp_podlog_live(const struct lp_podlog *l)
{
    return l->live && l->late == NULL;
}

void
lp_podlog_wait(struct lp_podlog *l, int64_t deadline_ns)
{
    l->seen = lp_head_await(lp_store_head(l->q.store), l->seen, deadline_ns);
}

const char *
lp_podlog_missed(struct lp_podlog *l)
{
    if (l->missed[0] == 0) {
        return NULL;
    }
    memcpy(l->told, l->missed, sizeof(l->told));
    l->missed[0] = 0;
    return l->told;
}

uint64_t
lp_podlog_damaged(const struct lp_podlog *l, const char **ret_first)
{
    *ret_first = l->damage;
    return l->damaged;
}
