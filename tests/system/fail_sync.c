/*
 * fail_sync.c - LD_PRELOAD: chosen fdatasync calls on files of a suffix fail with EIO, as a disk that loses a
 * write does once.
 *
 * LP_FAIL_SYNC="SUFFIX:N[,N...]": which of the calls on such files fail, counted from 1 (N+ = from there on).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_ulong calls;

/* Whether fd is open on a file whose name ends as asked for; *ret_list: the numbers. */
static bool
meant(int fd, const char **ret_list)
{
    char link[64], path[4096];
    const char *want = getenv("LP_FAIL_SYNC");
    const char *colon = want == NULL ? NULL : strchr(want, ':');
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path));
    if (colon == NULL || n <= 0) {
        return false;
    }
    size_t suffix = (size_t)(colon - want);
    *ret_list = colon + 1;
    return (size_t)n >= suffix && memcmp(path + n - suffix, want, suffix) == 0;
}

static bool
fails(int fd)
{
    const char *list;
    if (!meant(fd, &list)) {
        return false;
    }
    unsigned long call = atomic_fetch_add(&calls, 1) + 1;
    while (*list != 0) {
        char *end;
        unsigned long n = strtoul(list, &end, 10);
        if (end == list) {
            break;
        }
        if (call == n || (*end == '+' && call > n)) {
            return true;
        }
        list = end + strspn(end, "+,");
    }
    return false;
}

int
fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int
fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
