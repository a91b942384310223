/*
 * harness.c - main() of every unit test program: runs the suites (all, or those named as arguments) and ends
 * with "N passed, N failed" counted in tests.
 */
#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dirs[256][128];
static unsigned ndirs;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void
remove_dirs(void)
{
    for (unsigned i = 0; i < ndirs; i++) {
        nftw(dirs[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

const char *
lp_test_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    LP_ASSERT(ndirs < LP_ARRAY_LEN(dirs));
    char *d = dirs[ndirs];
    snprintf(d, sizeof(dirs[0]), "%s/lp-unit.XXXXXX", tmp ? tmp : "/tmp");
    if (mkdtemp(d) == NULL) {
        perror(d);
        exit(1);
    }
    if (ndirs++ == 0) {
        atexit(remove_dirs);
    }
    return d;
}

const char *
lp_test_data(void)
{
    const char *d = getenv("LP_TEST_DATA");
    return d ? d : "tests/data";
}

/* Arguments are suites to run, all without any; -NAME leaves one out. */
static bool
wanted(const char *name, int argc, char **argv)
{
    bool named = false, found = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            named = true;
            found = found || strcmp(argv[i], name) == 0;
        } else if (strcmp(argv[i] + 1, name) == 0) {
            return false;
        }
    }
    return found || !named;
}

int
main(int argc, char **argv)
{
    CU_initialize_registry();
    for (size_t i = 0; lp_suites[i] != NULL; i++) {
        const struct lp_suite *s = lp_suites[i];
        if (!wanted(s->name, argc, argv)) {
            continue;
        }
        CU_pSuite cs = CU_add_suite(s->name, NULL, NULL);
        for (size_t k = 0; k < s->ntests; k++) {
            CU_add_test(cs, s->tests[k].name, s->tests[k].fn);
        }
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    CU_basic_show_failures(CU_get_failure_list());
    unsigned failed = CU_get_number_of_tests_failed();
    printf("\n%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
    CU_cleanup_registry();
    return failed > 0;
}
