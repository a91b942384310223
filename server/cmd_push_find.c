/*
 * cmd_push_find.c - arguments of `logpond push` to files: patterns, folders, one path a file.
 *
 * Folders are walked with a list, not by recursion, and never through links, so that no tree can loop or
 * overflow it.
 */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "server/cmd_push_int.h"

struct paths {
    char **all;
    size_t n, cap;
};

struct search {
    struct lp_push_files *files;
    struct paths folders; /* still to be read, from next on */
    size_t next;
    lp_push_complain complain;
    void *arg;
    size_t failed;
};

static void
failed(struct search *s, const char *path, const char *why)
{
    s->failed++;
    s->complain(s->arg, path, why);
}

static void
paths_add(struct paths *p, char *path)
{
    if (p->n == p->cap) {
        p->cap = p->cap > 0 ? 2 * p->cap : 16;
        p->all = lp_realloc(p->all, p->cap * sizeof(*p->all));
    }
    p->all[p->n++] = path;
}

static void
paths_clear(struct paths *p)
{
    for (size_t i = 0; i < p->n; i++) {
        lp_free(p->all[i]);
    }
    lp_free(p->all);
}

static void
add_file(struct lp_push_files *files, const char *path, const struct stat *st)
{
    if (files->n == files->cap) {
        files->cap = files->cap > 0 ? 2 * files->cap : 16;
        files->all = lp_realloc(files->all, files->cap * sizeof(*files->all));
    }
    struct lp_push_file f = {.path = path != NULL ? lp_strdup(path) : NULL, .changed_ns = lp_now_ns()};
    if (st != NULL && S_ISREG(st->st_mode)) {
        f.regular = true;
        f.bytes = (uint64_t)st->st_size;
        f.dev = st->st_dev;
        f.ino = st->st_ino;
        f.changed_ns = (int64_t)st->st_mtim.tv_sec * LP_NS_PER_S + st->st_mtim.tv_nsec;
    }
    files->all[files->n++] = f;
}

static char *
join(const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    a -= a > 1 && folder[a - 1] == '/';
    char *path = lp_malloc(a + b + 2);
    memcpy(path, folder, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    return path;
}

/* An entry of a folder: files at once, folders onto the list. Sockets, pipes and devices are passed over. */
static void
visit(struct search *s, char *path)
{
    struct stat st;
    bool link = false;
    int rc = lstat(path, &st);
    if (rc == 0 && S_ISLNK(st.st_mode)) {
        link = true;
        rc = stat(path, &st);
    }
    if (rc != 0 && !link) {
        failed(s, path, strerror(errno));
    } else if (rc == 0 && S_ISDIR(st.st_mode) && !link) {
        paths_add(&s->folders, path);
        return;
    } else if (rc == 0 && S_ISREG(st.st_mode)) {
        add_file(s->files, path, &st);
    }
    lp_free(path);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
read_folder(struct search *s, const char *path)
{
    DIR *d = opendir(path);
    struct paths found = {NULL, 0, 0};
    if (d == NULL) {
        failed(s, path, strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            paths_add(&found, join(path, e->d_name));
        }
    }
    closedir(d);
    if (found.n > 0) {
        qsort(found.all, found.n, sizeof(*found.all), by_text);
    }
    for (size_t i = 0; i < found.n; i++) {
        visit(s, found.all[i]);
    }
    found.n = 0; /* each was taken over */
    paths_clear(&found);
}

static void
take_path(struct search *s, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        failed(s, path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        paths_add(&s->folders, lp_strdup(path));
    } else if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        add_file(s->files, path, &st);
    } else {
        failed(s, path, "is no file that can be read");
    }
}

static void
take_pattern(struct search *s, const char *pattern)
{
    glob_t g;
    int rc = glob(pattern, 0, NULL, &g);
    if (rc != 0) {
        failed(s, pattern, rc == GLOB_NOMATCH ? "no file matches" : "cannot be searched");
        return;
    }
    for (size_t i = 0; i < g.gl_pathc; i++) {
        take_path(s, g.gl_pathv[i]);
    }
    globfree(&g);
}

size_t
lp_push_find(struct lp_push_files *files, const char *argument, lp_push_complain complain, void *arg)
{
    struct search s = {.files = files, .complain = complain, .arg = arg};
    struct stat st;
    if (strcmp(argument, "-") == 0) {
        add_file(files, NULL, NULL);
    } else if (lstat(argument, &st) != 0 && strpbrk(argument, "*?[") != NULL) {
        take_pattern(&s, argument);
    } else {
        take_path(&s, argument);
    }
    while (s.next < s.folders.n) {
        read_folder(&s, s.folders.all[s.next++]);
    }
    paths_clear(&s.folders);
    return s.failed;
}

/* How much a path tells: a pod with its uid, a pod, nothing. */
static int
worth(const struct lp_push_file *f)
{
    struct lp_pod_path pod;
    if (!lp_pod_path_parse(lp_str_c(f->path), &pod)) {
        return 0;
    }
    return pod.inst.uid.n > 0 ? 2 : 1;
}

static bool
same_file(const struct lp_push_file *a, const struct lp_push_file *b)
{
    return a->regular && b->regular && a->dev == b->dev && a->ino == b->ino;
}

/* Files by identity; of one identity the path worth most first, then the one found first. */
static int
by_identity(const void *pa, const void *pb)
{
    const struct lp_push_file *a = *(struct lp_push_file *const *)pa, *b = *(struct lp_push_file *const *)pb;
    if (a->regular != b->regular) {
        return a->regular ? -1 : 1;
    }
    if (a->regular && a->dev != b->dev) {
        return a->dev < b->dev ? -1 : 1;
    }
    if (a->regular && a->ino != b->ino) {
        return a->ino < b->ino ? -1 : 1;
    }
    int by_worth = a->regular ? worth(b) - worth(a) : 0;
    return by_worth != 0 ? by_worth : a < b ? -1 : a > b;
}

void
lp_push_files_once(struct lp_push_files *files)
{
    if (files->n < 2) {
        return;
    }
    struct lp_push_file **order = lp_calloc(files->n, sizeof(struct lp_push_file *));
    bool *twice = lp_calloc(files->n, sizeof(*twice));
    for (size_t i = 0; i < files->n; i++) {
        order[i] = &files->all[i];
    }
    qsort(order, files->n, sizeof(struct lp_push_file *), by_identity);
    for (size_t i = 1; i < files->n; i++) {
        twice[order[i] - files->all] = same_file(order[i - 1], order[i]);
    }
    size_t kept = 0;
    for (size_t i = 0; i < files->n; i++) {
        if (twice[i]) {
            lp_free(files->all[i].path);
        } else {
            files->all[kept++] = files->all[i];
        }
    }
    files->n = kept;
    lp_free(twice);
    lp_free(order);
}

void
lp_push_files_clear(struct lp_push_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        lp_free(files->all[i].path);
    }
    lp_free(files->all);
    *files = (struct lp_push_files){NULL, 0, 0};
}
