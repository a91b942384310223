/*
 * test_logger.c - the server's log, read back from a file in stderr's place. Oracle: the format in
 * server/logger.h.
 */
#include "server/logger.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs fn with stderr going to a file; returns what it wrote (static buffer). */
static const char *
captured(void (*fn)(void))
{
    static char text[65536];
    char path[256];
    snprintf(path, sizeof(path), "%s/log", lp_test_dir());
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    dup2(fd, STDERR_FILENO);
    fn();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static unsigned
lines(const char *text, const char *needle)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, needle)) != NULL; p += strlen(needle)) {
        n++;
    }
    return n;
}

static void
log_one(void)
{
    lp_warn("http", "port %d\x1b[31m is\ttaken\nreally %s", 3100, "\xc3\xa4");
}

static void
writes_one_line_a_message(void)
{
    const char *text = captured(log_one);
    CU_ASSERT_EQUAL(lines(text, "\n"), 1);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "Z warn http: port 3100\\x1b[31m is\\x09taken\\x0areally \xc3\xa4\n"));
    /* 2026-11-22T09:45:57.123Z */
    CU_ASSERT(strlen(text) > 24 && text[4] == '-' && text[10] == 'T' && text[19] == '.' && text[23] == 'Z' &&
              text[24] == ' ');
}

static void
log_levels(void)
{
    lp_debug("a", "quiet");
    lp_info("a", "shown");
    lp_log_set_level(LP_LOG_ERROR);
    lp_warn("a", "quiet");
    lp_error("a", "shown");
    lp_log_set_level(LP_LOG_DEBUG);
    lp_debug("a", "shown");
    lp_log_set_level(LP_LOG_INFO);
}

static void
obeys_the_level(void)
{
    enum lp_log_level level;
    const char *text = captured(log_levels);
    CU_ASSERT_EQUAL(lines(text, "shown"), 3);
    CU_ASSERT_EQUAL(lines(text, "quiet"), 0);
    CU_ASSERT(lp_log_level_parse(LP_STR("debug"), &level) && level == LP_LOG_DEBUG);
    CU_ASSERT_FALSE(lp_log_level_parse(LP_STR("loud"), &level));
}

static void
log_many(void)
{
    for (unsigned i = 0; i < 25; i++) {
        lp_info("flood", "one of many");
    }
    for (unsigned i = 0; i < 10; i++) {
        lp_info("other", "another site");
    }
    lp_log_tick(true);
    lp_log_tick(true);
}

static void
leaves_out_and_says_so(void)
{
    const char *text = captured(log_many);
    CU_ASSERT_EQUAL(lines(text, "one of many"), 10);
    CU_ASSERT_EQUAL(lines(text, "info flood: 15 more messages like this were left out\n"), 1);
    CU_ASSERT_EQUAL(lines(text, "another site"), 10);
    CU_ASSERT_EQUAL(lines(text, "left out"), 1);
}

/* After its second, a site speaks again and says first what was left out. */
static void
log_in_a_later_second(void)
{
    static struct lp_log_site site;
    for (unsigned i = 0; i < 12; i++) {
        lp_log_at(&site, LP_LOG_WARN, "late", "message");
    }
    site.window_ns -= 2000000000; /* as if that were two seconds ago */
    lp_log_at(&site, LP_LOG_WARN, "late", "again");
}

static void
a_site_speaks_again(void)
{
    const char *text = captured(log_in_a_later_second);
    const char *left = strstr(text, "warn late: 2 more messages");
    const char *again = strstr(text, "warn late: again\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(left);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT(left < again);
    CU_ASSERT_EQUAL(lines(text, "late: message"), 10);
}

static void
log_long(void)
{
    char large[3 * LP_LOG_LINE_BYTES];
    memset(large, 1, sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    lp_info("long", "%s", large);
}

static void
cuts_long_lines(void)
{
    const char *text = captured(log_long);
    CU_ASSERT(strlen(text) <= LP_LOG_LINE_BYTES);
    CU_ASSERT_EQUAL(lines(text, "\n"), 1);
    CU_ASSERT(text[strlen(text) - 1] == '\n');
}

static void *
log_from_thread(void *arg)
{
    for (unsigned i = 0; i < 10; i++) {
        static struct lp_log_site site; /* one limit over all threads */
        lp_log_at(&site, LP_LOG_INFO, "threads", "0123456789");
    }
    return arg;
}

static void
log_from_threads(void)
{
    pthread_t t[4];
    for (unsigned i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, log_from_thread, NULL);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    lp_log_tick(true);
}

static void
threads_do_not_mix(void)
{
    const char *text = captured(log_from_threads);
    CU_ASSERT_EQUAL(lines(text, "info threads: 0123456789\n"), 10);
    CU_ASSERT_EQUAL(lines(text, "info threads: 30 more messages like this were left out\n"), 1);
}

LP_SUITE(logger, {"writes one line a message", writes_one_line_a_message},
         {"obeys the level", obeys_the_level}, {"leaves out and says so", leaves_out_and_says_so},
         {"a site speaks again", a_site_speaks_again}, {"cuts long lines", cuts_long_lines},
         {"threads do not mix", threads_do_not_mix});
