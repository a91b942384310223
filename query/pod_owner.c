/*
 * pod_owner.c - who made a pod: told by its sender, by the labels that controllers give, or by its name. Pure
 * but for the arena.
 *
 * Names that controllers make: a ReplicaSet's is its Deployment's with "-" and a hash; its pods have "-" and
 * five letters or digits behind that. Pods of a StatefulSet end in their ordinal, those of DaemonSets and
 * Jobs in five letters or digits; Jobs of a CronJob in the minute they are of.
 */
#include <string.h>

#include "query/pods_int.h"

#define SUFFIX 5
#define HASH_LEAST 6
#define HASH_MOST 10
#define MINUTE_LEAST 8 /* digits: minutes since 1970, or seconds in older versions */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Letters that controllers use are consonants, so that no words come about; others are taken too where there
 * is a digit. */
static bool
is_random(struct lp_str s)
{
    bool digit = false, plain = true;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z')) {
            return false;
        }
        digit = digit || is_digit(c);
        plain = plain && strchr("aeiou", c) == NULL;
    }
    return s.n > 0 && (digit || plain);
}

/* Letters and digits, whatever they look like. */
static bool
is_suffix(struct lp_str s)
{
    bool is = s.n == SUFFIX;
    for (size_t i = 0; i < s.n && is; i++) {
        is = is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'z');
    }
    return is;
}

static bool
is_number(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

/* Cuts the part behind the last '-'; false without one. */
static bool
cut_part(struct lp_str *name, struct lp_str *ret)
{
    size_t dash = lp_str_rfind_byte(*name, '-');
    if (dash == SIZE_MAX || dash == 0) {
        return false;
    }
    *ret = lp_str_sub(*name, dash + 1, name->n);
    *name = lp_str_sub(*name, 0, dash);
    return true;
}

static struct lp_pod_owner
owner(const char *kind, struct lp_str name)
{
    return (struct lp_pod_owner){lp_str_c(kind), name};
}

/* What made a ReplicaSet or a Job, told by its name; else itself. */
static struct lp_pod_owner
top_of(struct lp_pod_owner o)
{
    struct lp_str rest = o.name, part;
    if (lp_str_eqc(o.kind, "ReplicaSet") && cut_part(&rest, &part) && is_random(part)) {
        return owner("Deployment", rest);
    }
    if (lp_str_eqc(o.kind, "Job") && cut_part(&rest, &part) && part.n >= MINUTE_LEAST && is_number(part)) {
        return owner("CronJob", rest);
    }
    return o;
}

static struct lp_pod_owner
by_labels(const struct lp_pod *p)
{
    struct lp_str hash = lp_pod_label(p, LP_STR("pod-template-hash"));
    struct lp_str job = lp_pod_label(p, LP_STR("job-name"));
    struct lp_str rest = p->name, part;
    job = job.n > 0 ? job : lp_pod_label(p, LP_STR("batch.kubernetes.io/job-name"));
    if (job.n > 0) {
        return owner("Job", job);
    }
    if (!cut_part(&rest, &part)) {
        return owner("", LP_STR_NULL);
    }
    if (hash.n > 0) {
        return owner("ReplicaSet", rest);
    }
    if (lp_pod_label(p, LP_STR("statefulset.kubernetes.io/pod-name")).n > 0) {
        return owner("StatefulSet", rest);
    }
    if (lp_pod_label(p, LP_STR("controller-revision-hash")).n > 0) {
        return owner(is_number(part) ? "StatefulSet" : "DaemonSet", rest);
    }
    return owner("", LP_STR_NULL);
}

static struct lp_pod_owner
by_name(struct lp_str name)
{
    struct lp_str rest = name, part, hash;
    if (!cut_part(&rest, &part)) {
        return owner("", LP_STR_NULL);
    }
    if (part.n < SUFFIX && is_number(part)) {
        return owner("StatefulSet", rest);
    }
    struct lp_str base = rest;
    if (is_suffix(part) && cut_part(&base, &hash)) {
        if (hash.n >= MINUTE_LEAST && is_number(hash)) {
            return owner("Job", rest);
        }
        if (hash.n >= HASH_LEAST && hash.n <= HASH_MOST && is_random(hash)) {
            return owner("ReplicaSet", rest);
        }
    }
    return is_suffix(part) && is_random(part) ? owner("DaemonSet", rest) : owner("", LP_STR_NULL);
}

static bool
copy_owner(struct lp_arena *ar, struct lp_pod_owner o, struct lp_pod_owner *ret)
{
    return lp_arena_str(ar, o.kind, &ret->kind) && lp_arena_str(ar, o.name, &ret->name);
}

/* "Kind/name". */
static struct lp_pod_owner
parse(struct lp_str told)
{
    size_t slash = lp_str_find_byte(told, '/');
    return slash == SIZE_MAX
               ? owner("", LP_STR_NULL)
               : (struct lp_pod_owner){lp_str_sub(told, 0, slash), lp_str_sub(told, slash + 1, told.n)};
}

bool
lp_pod_owners(struct lp_str told, struct lp_str told_top, struct lp_arena *ar, struct lp_pod *p)
{
    struct lp_pod_owner o = parse(told), top = parse(told_top);
    o = o.name.n > 0 ? o : by_labels(p);
    o = o.name.n > 0 ? o : top.name.n > 0 ? top : by_name(p->name);
    top = top.name.n > 0 ? top : top_of(o);
    return copy_owner(ar, o, &p->owner) && copy_owner(ar, top, &p->top);
}
