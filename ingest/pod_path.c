/*
 * pod_path.c - namespace, pod, container and instance out of a log file's path; lines of CRI files (contracts
 * B.6). Pure.
 */
#include "ingest/decode.h"

/* The part behind the last '/', which is cut off. */
static struct lp_str
take_last(struct lp_str *path)
{
    size_t slash = lp_str_rfind_byte(*path, '/');
    struct lp_str name = slash == SIZE_MAX ? *path : lp_str_sub(*path, slash + 1, path->n);
    *path = slash == SIZE_MAX ? LP_STR_NULL : lp_str_sub(*path, 0, slash);
    return name;
}

static bool
all_of(struct lp_str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr(set, s.p[i]) == NULL || s.p[i] == 0) {
            return false;
        }
    }
    return s.n > 0;
}

/* The name up to ".log" (rotated files have more behind it); false without one. */
static bool
cut_log(struct lp_str *file)
{
    size_t end = lp_str_find(*file, LP_STR(".log"));
    file->n = end == SIZE_MAX ? 0 : end;
    return file->n > 0;
}

/* .../pods/<ns>_<pod>_<uid>/<container>/<restart>.log */
static bool
pods_path(struct lp_str path, struct lp_pod_path *ret)
{
    struct lp_str restart = take_last(&path), container = take_last(&path), uid = take_last(&path);
    struct lp_str namespace = lp_str_cut(&uid, '_'), pod = lp_str_cut(&uid, '_');
    if (!lp_str_eqc(take_last(&path), "pods") || !cut_log(&restart) || !all_of(restart, "0123456789") ||
        container.n == 0 || namespace.n == 0 || pod.n == 0 || uid.n == 0) {
        return false;
    }
    *ret = (struct lp_pod_path){namespace, pod, container, {uid, restart}};
    return true;
}

/* .../<pod>_<ns>_<container>-<64 hex>.log */
static bool
containers_path(struct lp_str path, struct lp_pod_path *ret)
{
    struct lp_str container = take_last(&path);
    if (!cut_log(&container)) {
        return false;
    }
    struct lp_str pod = lp_str_cut(&container, '_'), namespace = lp_str_cut(&container, '_');
    size_t dash = lp_str_rfind_byte(container, '-');
    if (dash == SIZE_MAX || dash == 0 || pod.n == 0 || namespace.n == 0) {
        return false;
    }
    struct lp_str id = lp_str_sub(container, dash + 1, container.n);
    if (id.n != 64 || !all_of(id, "0123456789abcdef")) {
        return false;
    }
    *ret = (struct lp_pod_path){namespace, pod, lp_str_sub(container, 0, dash), {LP_STR_NULL, id}};
    return true;
}

bool
lp_pod_path_parse(struct lp_str path, struct lp_pod_path *ret)
{
    return pods_path(path, ret) || containers_path(path, ret);
}

bool
lp_cri_parse(struct lp_str line, struct lp_cri_line *ret)
{
    struct lp_str rest = line;
    struct lp_str time = lp_str_cut(&rest, ' '), stream = lp_str_cut(&rest, ' '),
                  tag = lp_str_cut(&rest, ' ');
    if ((!lp_str_eqc(stream, "stdout") && !lp_str_eqc(stream, "stderr")) || tag.n == 0 ||
        (tag.p[0] != 'F' && tag.p[0] != 'P') || (tag.n > 1 && tag.p[1] != ':') ||
        !lp_time_rfc3339(time, &ret->time_ns)) {
        return false;
    }
    ret->stream = stream;
    ret->text = rest.p != NULL ? rest : LP_STR("");
    ret->partial = tag.p[0] == 'P';
    return true;
}
