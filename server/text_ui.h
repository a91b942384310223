/*
 * text_ui.h - what the commands show a person: numbers, sizes and durations in words, colours, a progress bar.
 *
 * Colours and the bar only on a terminal (TERM other than "dumb"); colours not where NO_COLOR is set. One thread.
 */
#ifndef LP_SERVER_TEXT_UI_H
#define LP_SERVER_TEXT_UI_H

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"

#define LP_UI_TEXT 48 /* room for any of the texts below */

/* "812 B", "4.2 MiB". Each returns out. */
const char *lp_ui_bytes(uint64_t bytes, char out[LP_UI_TEXT]);
/* "1,010,593" */
const char *lp_ui_count(uint64_t n, char out[LP_UI_TEXT]);
/* "0.8 s", "42 s", "3 min 05 s", "2 h 10 min", "5 days 3 h" */
const char *lp_ui_duration(int64_t ns, char out[LP_UI_TEXT]);
/* Local time, "2026-01-02 03:04:05.123". */
const char *lp_ui_time(int64_t ns, char out[LP_UI_TEXT]);

bool lp_ui_terminal(FILE *f);
bool lp_ui_colour(FILE *f);
/* How wide it is; 80 where that is not known. */
size_t lp_ui_columns(FILE *f);

/*
 * Appends text as it may be shown on a terminal: control characters (escape sequences, too) as \x1b and the like, bytes that are not UTF-8 as
 * U+FFFD. Tabs stay. A log line must not steer the reader's terminal.
 */
void lp_ui_safe(struct lp_buf *out, struct lp_str text);

/* A progress display on `out`: one line drawn over on a terminal, else a plain line every few seconds. */
struct lp_progress {
    FILE *out;
    bool quiet, terminal, drawn;
    uint64_t total_bytes, done_bytes;
    int64_t begun_ns, shown_ns;
    const char *note; /* shown in place of the rate, NULL: none; borrowed */
    double part;      /* where total_bytes is not known: how far it is, 0 to 1; 0: not known either */
};

/* total_bytes 0: not known. */
void lp_progress_begin(struct lp_progress *p, FILE *out, bool quiet, uint64_t total_bytes);
/* Shows where it stands, as often as a person can read. */
void lp_progress_at(struct lp_progress *p, uint64_t done_bytes);
/* A line of its own above the bar ("logpond push: ..."). Shown also when quiet. */
void lp_progress_say(struct lp_progress *p, const char *fmt, ...) LP_PRINTF(2, 3);
/* What holds it up just now (NULL: nothing any more), shown at once. */
void lp_progress_note(struct lp_progress *p, const char *note);
/* Takes the bar away. */
void lp_progress_end(struct lp_progress *p);

#endif
