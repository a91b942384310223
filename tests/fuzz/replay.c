/*
 * replay.c - main() for fuzz targets outside the fuzzer: gives every file of tests/data/fuzz/NAME to the
 * target, where the program is called replay-NAME; or the files named on the command line.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        if (f != NULL) {
            fclose(f);
        }
        return 1;
    }
    size_t size = (size_t)ftell(f);
    uint8_t *data = malloc(size + 1);
    rewind(f);
    int failed = data == NULL || fread(data, 1, size, f) != size;
    fclose(f);
    if (!failed) {
        LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    return failed;
}

int
main(int argc, char **argv)
{
    const char *root = getenv("LP_TEST_DATA"), *name = strrchr(argv[0], '-');
    char folder[2048], path[4096];
    unsigned passed = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        replay(argv[i]) == 0 ? passed++ : failed++;
    }
    if (argc < 2 && name != NULL) {
        snprintf(folder, sizeof(folder), "%s/fuzz/%s", root ? root : "tests/data", name + 1);
        DIR *d = opendir(folder);
        for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
            if (e->d_name[0] != '.') {
                snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
                replay(path) == 0 ? passed++ : failed++;
            }
        }
        if (d != NULL) {
            closedir(d);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
