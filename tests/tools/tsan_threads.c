/*
 * tsan_threads.c - C11 threads on top of POSIX threads, linked into the program by --enable-tsan only.
 *
 * librdkafka begins its threads with thrd_create; gcc 12's thread sanitizer knows only pthread_create, and crashes in threads
 * that it never saw begin. The library's own locks stay unseen, like all it does (tsan.supp).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "C11 and POSIX threads have one layout");

struct start {
    thrd_start_t fn;
    void *arg;
};

static void *
run(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)s.fn(s.arg);
}

static int
code(int rc)
{
    return rc == 0 ? thrd_success : thrd_error;
}

int
thrd_create(thrd_t *thr, thrd_start_t fn, void *arg)
{
    struct start *s = malloc(sizeof(*s));
    if (s == NULL) {
        return thrd_nomem;
    }
    *s = (struct start){fn, arg};
    return code(pthread_create((pthread_t *)thr, NULL, run, s));
}

int
thrd_join(thrd_t thr, int *res)
{
    void *value = NULL;
    int rc = pthread_join((pthread_t)thr, &value);
    if (res != NULL) {
        *res = (int)(intptr_t)value;
    }
    return code(rc);
}

int
thrd_detach(thrd_t thr)
{
    return code(pthread_detach((pthread_t)thr));
}
