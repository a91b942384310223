/*
 * clock.h - time is int64_t nanoseconds since 1970-01-01T00:00:00Z, everywhere. It spans 1677-09-21 to 2262-04-11.
 */
#ifndef LP_BASE_CLOCK_H
#define LP_BASE_CLOCK_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LP_NS_PER_S INT64_C(1000000000)
#define LP_NS_PER_MS INT64_C(1000000)
#define LP_TIME_NONE INT64_MIN /* "the record brought no time" */
#define LP_TIME_MIN (INT64_MIN + 1)
#define LP_TIME_MAX INT64_MAX

int64_t lp_now_ns(void);  /* wall clock; with --enable-test-hooks LP_CLOCK_OFFSET=SECONDS in the environment shifts it */
int64_t lp_mono_ns(void); /* monotonic, for deadlines and durations */

/* Days since 1970-01-01 of a date in the Gregorian calendar, and back; how many days a month (1 to 12) has. */
int64_t lp_date_days(int64_t year, int month, int day);
void lp_date_of_days(int64_t days, int64_t *year, int *month, int *day);
int lp_date_month_days(int64_t year, int month);

/* RFC 3339 with any fraction, 'T' or blank, 'Z' or an offset (a missing zone is UTC). False on anything else or out of range. */
bool lp_time_rfc3339(struct lp_str s, int64_t *ret);
/* Decimal epoch text "1795132800.123456789" in units of unit_ns (LP_NS_PER_S for seconds), exact to 1 ns, exponent allowed. */
bool lp_time_decimal(struct lp_str s, int64_t unit_ns, int64_t *ret);
/* An epoch integer of unknown unit: by magnitude seconds, milliseconds, microseconds or nanoseconds. */
bool lp_time_epoch_guess(struct lp_str s, int64_t *ret);
/* A time in any of the above forms (RFC 3339, or an epoch of unknown unit with or without a fraction). */
bool lp_time_any(struct lp_str s, int64_t *ret);
/* "2026-01-02T03:04:05.000000006Z", always 9 decimals; returns length (30). out holds LP_TIME_TEXT bytes. */
#define LP_TIME_TEXT 40
size_t lp_time_text(int64_t ns, char out[LP_TIME_TEXT]);
/* Prometheus ("1h30m", y w d h m s ms) or Go durations (fractions, ns us µs ms s m h, sign), also bare "0". */
bool lp_duration(struct lp_str s, int64_t *ret);

#ifdef __cplusplus
}
#endif

#endif
