/*
 * test_push_find.c - arguments to files: folders, links, patterns, each file once. Oracle: the tree that was
 * made.
 */
#include "server/cmd_push_int.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root;

static const char *
path(const char *name)
{
    static char out[4][600];
    static unsigned turn;
    char *p = out[turn++ % 4];
    snprintf(p, sizeof(out[0]), "%s/%s", root, name);
    return p;
}

static void
make(const char *name)
{
    char p[600];
    snprintf(p, sizeof(p), "%s", path(name));
    for (char *slash = p + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        (void)mkdir(p, 0700);
        *slash = '/';
    }
    FILE *f = fopen(p, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("x\n", f);
    fclose(f);
}

static void
count(void *arg, const char *name, const char *why)
{
    CU_ASSERT(name[0] != 0 && why[0] != 0);
    ++*(unsigned *)arg;
}

/* What the arguments find, without the root: "a.log b/c.log"; returns how many complaints there were. */
static size_t
find(const char *const *arguments, size_t n, char *out, size_t bytes)
{
    struct lp_push_files files = {NULL, 0, 0};
    unsigned complaints = 0;
    size_t failed = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        failed += lp_push_find(&files, path(arguments[i]), count, &complaints);
    }
    CU_ASSERT_EQUAL(failed, complaints);
    lp_push_files_once(&files);
    out[0] = 0;
    for (size_t i = 0; i < files.n; i++) {
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", i > 0 ? " " : "",
                               files.all[i].path + strlen(root) + 1);
    }
    lp_push_files_clear(&files);
    return failed;
}

static void
walks_folders(void)
{
    char out[2000];
    root = lp_test_dir();
    make("logs/b.log");
    make("logs/a.log");
    make("logs/deep/er/c.log");
    make("elsewhere/d.log");
    CU_ASSERT_EQUAL(symlink("../elsewhere/d.log", path("logs/link.log")), 0);
    CU_ASSERT_EQUAL(symlink(".", path("logs/loop")), 0);
    CU_ASSERT_EQUAL(symlink("gone", path("logs/dangling")), 0);
    CU_ASSERT_EQUAL(mkfifo(path("logs/pipe"), 0600), 0);
    CU_ASSERT_EQUAL(find((const char *[]){"logs"}, 1, out, sizeof(out)), 0);
    CU_ASSERT_STRING_EQUAL(out, "logs/a.log logs/b.log logs/link.log logs/deep/er/c.log");
    CU_ASSERT_EQUAL(find((const char *[]){"logs/?.log", "logs/a.log"}, 2, out, sizeof(out)), 0);
    CU_ASSERT_STRING_EQUAL(out, "logs/a.log logs/b.log");
    CU_ASSERT_EQUAL(find((const char *[]){"logs/*.gz", "gone", "logs/b.log"}, 3, out, sizeof(out)), 2);
    CU_ASSERT_STRING_EQUAL(out, "logs/b.log");
}

/* Of a container's log, the path that names the pod's uid is kept, whichever came first. */
static void
keeps_the_path_that_tells_most(void)
{
    char out[2000], name[200];
    root = lp_test_dir();
    make("pods/ns_web-1_0a1b-uid/app/0.log");
    make("containers/other.txt");
    snprintf(name, sizeof(name), "containers/web-1_ns_app-%064d.log", 1);
    CU_ASSERT_EQUAL(symlink("../pods/ns_web-1_0a1b-uid/app/0.log", path(name)), 0);
    CU_ASSERT_EQUAL(find((const char *[]){"containers", "pods"}, 2, out, sizeof(out)), 0);
    CU_ASSERT_STRING_EQUAL(out, "containers/other.txt pods/ns_web-1_0a1b-uid/app/0.log");
    CU_ASSERT_EQUAL(find((const char *[]){"containers/*"}, 1, out, sizeof(out)), 0);
    CU_ASSERT(strstr(out, name) != NULL);
}

LP_SUITE(push_find, {"walks folders", walks_folders},
         {"keeps the path that tells most", keeps_the_path_that_tells_most});
