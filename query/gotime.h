/*
 * gotime.h - times as Go has them: any second of many thousand years, a zone, and layouts that show how the moment 2006-01-02 15:04:05 MST
 * (-07:00) looks.
 *
 * Pure functions.
 */
#ifndef LP_QUERY_GOTIME_H
#define LP_QUERY_GOTIME_H

#include "base/buf.h"
#include "query/zone.h"

struct lp_gotime {
    int64_t sec; /* since 1970 */
    int32_t ns;  /* 0 to 999,999,999 */
    const struct lp_zone *zone; /* NULL: UTC */
};

#define LP_GOTIME_ZERO_S INT64_C(-62135596800) /* 0001-01-01T00:00:00Z, Go's zero time */

struct lp_civil {
    int64_t year;
    int month, day;            /* from 1 */
    int hour, minute, second;
    int yday;                  /* from 1 */
    int weekday;               /* 0: Sunday */
    struct lp_zone_info zone;
};

struct lp_gotime lp_gotime_of_ns(int64_t ns);
/* What clocks in the time's zone show. */
void lp_gotime_civil(const struct lp_gotime *t, struct lp_civil *ret);
extern const char *const lp_month_names[12], *const lp_weekday_names[7];

void lp_gotime_format(struct lp_buf *out, const struct lp_gotime *t, struct lp_str layout);
/* As Go prints a time: 2006-01-02 15:04:05.999999999 -0700 MST. */
void lp_gotime_print(struct lp_buf *out, const struct lp_gotime *t);

/*
 * A text by its layout, in `zone` where it names none itself. False where it does not fit or is no date, or when the arena, which
 * a zone of the text's own lives in, is spent.
 */
bool lp_gotime_parse(struct lp_str layout, struct lp_str text, const struct lp_zone *zone, struct lp_arena *ar, struct lp_gotime *ret);

/* Go's time.ParseDuration: "1h30m", "-1.5s", "0"; no days. False with Go's reason in why. */
#define LP_GOTIME_WHY 200
bool lp_go_duration(struct lp_str s, int64_t *ret_ns, char why[LP_GOTIME_WHY]);

#endif
