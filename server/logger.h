/*
 * logger.h - the server's log: one line a message on stderr, "2026-11-22T09:45:57.123Z warn http: text".
 *
 * Only server/ and thread mains log; the libraries below return errors. Every call site is limited to 10 lines a second;
 * how many were left out is said once that second is over: by the site's next message, or by lp_log_tick().
 * All functions may be called on any thread, not from signal handlers. Never colours. Control bytes in the text (a
 * client's, perhaps) are written as \xNN, so a message is always one line.
 */
#ifndef LP_SERVER_LOGGER_H
#define LP_SERVER_LOGGER_H

#include "base/str.h"

enum lp_log_level { LP_LOG_ERROR, LP_LOG_WARN, LP_LOG_INFO, LP_LOG_DEBUG };

#define LP_LOG_PER_SECOND 10u
#define LP_LOG_LINE_BYTES 2048u /* longer lines are cut */

/* One call site's count. Static, zeroed; owned by the logger. */
struct lp_log_site {
    int64_t window_ns; /* when its second began, lp_mono_ns; 0: never used */
    unsigned lines;    /* written in this second */
    unsigned left_out; /* and not written */
    enum lp_log_level level;
    const char *area;
    struct lp_log_site *next; /* of those that lp_log_tick looks at */
    bool listed;
};

/* "warn" -> LP_LOG_WARN; false on other words. */
bool lp_log_level_parse(struct lp_str name, enum lp_log_level *ret);
/* Messages above it are not written. At first LP_LOG_INFO. */
void lp_log_set_level(enum lp_log_level level);
bool lp_log_enabled(enum lp_log_level level);
/* The name of the present level. Static string. */
const char *lp_log_level_name(void);

/* area: a short static word ("http", "kafka"). Through the macros, which bring the site. */
void lp_log_at(struct lp_log_site *site, enum lp_log_level level, const char *area, const char *fmt, ...) LP_PRINTF(4, 5);

/* Says how many messages were left out at sites that have gone quiet. Once a second or so, and at the end (at_end: without waiting for the second to pass). */
void lp_log_tick(bool at_end);

#define LP_LOG(level, area, ...)                                                                \
    do {                                                                                        \
        static struct lp_log_site lp_log_site_;                                                 \
        if (lp_log_enabled(level)) {                                                            \
            lp_log_at(&lp_log_site_, level, area, __VA_ARGS__);                                 \
        }                                                                                       \
    } while (0)

#define lp_error(area, ...) LP_LOG(LP_LOG_ERROR, area, __VA_ARGS__)
#define lp_warn(area, ...) LP_LOG(LP_LOG_WARN, area, __VA_ARGS__)
#define lp_info(area, ...) LP_LOG(LP_LOG_INFO, area, __VA_ARGS__)
#define lp_debug(area, ...) LP_LOG(LP_LOG_DEBUG, area, __VA_ARGS__)

#endif
