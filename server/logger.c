/*
 * logger.c - lines on stderr, limited per call site.
 *
 * One mutex (LP_LOCK_DIAG, the innermost class) guards the sites and the list of those that left something
 * out. A line is composed outside of it and written with one write(2), so lines of several threads never mix.
 */
#include "server/logger.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int max_level = LP_LOG_INFO;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct lp_mutex mu;
static struct lp_log_site *sites; /* under mu: those that ever left something out */

static void
init(void)
{
    lp_mutex_init(&mu, LP_LOCK_DIAG);
}

bool
lp_log_level_parse(struct lp_str name, enum lp_log_level *ret)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(level_names); i++) {
        if (lp_str_eqc(name, level_names[i])) {
            *ret = (enum lp_log_level)i;
            return true;
        }
    }
    return false;
}

void
lp_log_set_level(enum lp_log_level level)
{
    atomic_store(&max_level, (int)level);
}

bool
lp_log_enabled(enum lp_log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

const char *
lp_log_level_name(void)
{
    return level_names[atomic_load(&max_level)];
}

/* Copies text behind line[n) with its control bytes escaped, up to `max` bytes in all. */
static size_t
put_text(char *line, size_t n, size_t max, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (const char *p = text; *p != 0 && n + 4 <= max; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c != 0x7f) {
            line[n++] = *p;
            continue;
        }
        line[n++] = '\\';
        line[n++] = 'x';
        line[n++] = hex[c >> 4];
        line[n++] = hex[c & 15];
    }
    return n;
}

static void
write_line(enum lp_log_level level, const char *area, const char *text)
{
    char line[LP_LOG_LINE_BYTES];
    char when[LP_TIME_TEXT];
    lp_time_text(lp_now_ns(), when);
    int n = snprintf(line, sizeof(line), "%.23sZ %s %.32s: ", when, level_names[level], area);
    LP_ASSERT(n > 0 && (size_t)n < sizeof(line));
    size_t end = put_text(line, (size_t)n, sizeof(line) - 1, text);
    line[end++] = '\n';
    ssize_t rc;
    do {
        rc = write(STDERR_FILENO, line, end);
    } while (rc < 0 && errno == EINTR); /* other failures: there is no place to report them */
}

static void
write_left_out(enum lp_log_level level, const char *area, unsigned left_out)
{
    if (left_out > 0) {
        char text[64];
        snprintf(text, sizeof(text), "%u more messages like this were left out", left_out);
        write_line(level, area, text);
    }
}

/* Under mu. Begins a new second where the last one is over; returns what that one left out. */
static unsigned
turn_window(struct lp_log_site *site, int64_t now_ns, bool force)
{
    if (site->window_ns != 0 && now_ns - site->window_ns < LP_NS_PER_S && !force) {
        return 0;
    }
    unsigned left_out = site->left_out;
    site->window_ns = now_ns;
    site->lines = 0;
    site->left_out = 0;
    return left_out;
}

/* Counts one message; false when it must be left out. */
static bool
admit(struct lp_log_site *site, enum lp_log_level level, const char *area, unsigned *ret_left_out)
{
    pthread_once(&once, init);
    lp_lock(&mu);
    site->level = level;
    site->area = area;
    *ret_left_out = turn_window(site, lp_mono_ns(), false);
    bool ok = site->lines < LP_LOG_PER_SECOND;
    if (ok) {
        site->lines++;
    } else {
        site->left_out++;
    }
    if (!ok && !site->listed) {
        site->listed = true;
        site->next = sites;
        sites = site;
    }
    lp_unlock(&mu);
    return ok;
}

void
lp_log_at(struct lp_log_site *site, enum lp_log_level level, const char *area, const char *fmt, ...)
{
    unsigned left_out;
    if (!admit(site, level, area, &left_out)) {
        return;
    }
    write_left_out(level, area, left_out);
    char text[LP_LOG_LINE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    write_line(level, area, text);
}

void
lp_log_tick(bool at_end)
{
    pthread_once(&once, init);
    lp_lock(&mu);
    for (struct lp_log_site *site = sites; site != NULL; site = site->next) {
        if (site->left_out > 0) {
            write_left_out(site->level, site->area, turn_window(site, lp_mono_ns(), at_end));
        }
    }
    lp_unlock(&mu);
}
