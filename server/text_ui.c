/*
 * text_ui.c - see text_ui.h.
 */
#include "server/text_ui.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_NS (100 * LP_NS_PER_MS)
#define PLAIN_NS (5 * LP_NS_PER_S)
#define BAR_COLUMNS 30
#define RATE_AFTER_NS (500 * LP_NS_PER_MS) /* before that, a rate is noise */

/* --- words for numbers --- */

const char *
lp_ui_bytes(uint64_t bytes, char out[LP_UI_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1000 && u + 1 < LP_ARRAY_LEN(units)) {
        v /= 1024;
        u++;
    }
    snprintf(out, LP_UI_TEXT, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

const char *
lp_ui_count(uint64_t n, char out[LP_UI_TEXT])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

const char *
lp_ui_duration(int64_t ns, char out[LP_UI_TEXT])
{
    long long s = (long long)(ns / LP_NS_PER_S);
    if (s < 10) {
        snprintf(out, LP_UI_TEXT, "%.1f s", (double)LP_MAX(ns, 0) / 1e9);
    } else if (s < 60) {
        snprintf(out, LP_UI_TEXT, "%lld s", s);
    } else if (s < 3600) {
        snprintf(out, LP_UI_TEXT, "%lld min %02lld s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(out, LP_UI_TEXT, "%lld h %02lld min", s / 3600, s / 60 % 60);
    } else {
        snprintf(out, LP_UI_TEXT, "%lld day%s %lld h", s / 86400, s < 2 * 86400 ? "" : "s", s / 3600 % 24);
    }
    return out;
}

const char *
lp_ui_time(int64_t ns, char out[LP_UI_TEXT])
{
    int64_t ms = ns / LP_NS_PER_MS - (ns % LP_NS_PER_MS < 0);
    time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;
    char date[LP_UI_TEXT - 8];
    if (localtime_r(&s, &tm) == NULL || strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        snprintf(out, LP_UI_TEXT, "%lld ns", (long long)ns);
    } else {
        snprintf(out, LP_UI_TEXT, "%s.%03d", date, (int)(ms - (int64_t)s * 1000));
    }
    return out;
}

/* --- terminals --- */

bool
lp_ui_terminal(FILE *f)
{
    const char *term = getenv("TERM");
    return isatty(fileno(f)) == 1 && term != NULL && term[0] != 0 && strcmp(term, "dumb") != 0;
}

bool
lp_ui_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    return lp_ui_terminal(f) && (no == NULL || no[0] == 0);
}

size_t
lp_ui_columns(FILE *f)
{
    struct winsize w;
    return ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

void
lp_ui_safe(struct lp_buf *out, struct lp_str text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.n;) {
        unsigned char b = (unsigned char)text.p[i];
        size_t n = b < 0x80 ? 1 : lp_utf8_len(text.p + i, text.n - i);
        bool c1 =
            n == 2 && b == 0xc2 && (unsigned char)text.p[i + 1] < 0xa0; /* control characters above ASCII */
        if (n > 0 && !c1 && b != 0x7f && (b >= ' ' || b == '\t')) {
            i += n;
            continue;
        }
        lp_buf_str(out, lp_str_sub(text, from, i));
        if (n == 0) {
            lp_buf_c(out, "\xef\xbf\xbd");
        } else {
            lp_buf_printf(out, "\\x%02x", c1 ? (unsigned char)text.p[i + 1] : b);
        }
        i += LP_MAX(n, (size_t)1);
        from = i;
    }
    lp_buf_str(out, lp_str_sub(text, from, text.n));
}

/* --- progress --- */

/* How far it is, 0 to 1; 0 where that is not known. */
static double
part_of(const struct lp_progress *p)
{
    return p->total_bytes > 0 ? (double)LP_MIN(p->done_bytes, p->total_bytes) / (double)p->total_bytes
                              : LP_MIN(LP_MAX(p->part, 0.0), 1.0);
}

/* "42 %  12 MiB of 30 MiB  3.1 MiB/s  6 s left" */
static void
describe(const struct lp_progress *p, int64_t now_ns, struct lp_buf *out)
{
    char t[LP_UI_TEXT];
    uint64_t done = LP_MIN(p->done_bytes, p->total_bytes > 0 ? p->total_bytes : UINT64_MAX);
    int64_t ran_ns = now_ns - p->begun_ns;
    double rate = ran_ns > RATE_AFTER_NS ? (double)done * 1e9 / (double)ran_ns : 0;
    if (p->total_bytes > 0 || p->part > 0) {
        lp_buf_printf(out, "%3u %%  ", (unsigned)(100.0 * part_of(p)));
    }
    lp_buf_c(out, lp_ui_bytes(done, t));
    if (p->total_bytes > 0) {
        lp_buf_printf(out, " of %s", lp_ui_bytes(p->total_bytes, t));
    }
    if (p->note != NULL) {
        lp_buf_printf(out, "  %s", p->note);
    } else if (rate > 0) {
        lp_buf_printf(out, "  %s/s", lp_ui_bytes((uint64_t)rate, t));
        if (p->total_bytes > 0) {
            lp_buf_printf(out, "  %s left",
                          lp_ui_duration((int64_t)((double)(p->total_bytes - done) / rate * 1e9), t));
        }
    }
}

static void
draw_bar(const struct lp_progress *p, struct lp_buf *out)
{
    size_t full = (size_t)(part_of(p) * BAR_COLUMNS);
    lp_buf_byte(out, '[');
    for (size_t i = 0; i < BAR_COLUMNS; i++) {
        lp_buf_byte(out, i < full ? '=' : i == full && full > 0 ? '>' : ' ');
    }
    lp_buf_c(out, "] ");
}

static void
wipe(struct lp_progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", p->out);
        p->drawn = false;
    }
}

static void
show(struct lp_progress *p, int64_t now_ns)
{
    struct lp_buf line;
    lp_buf_init(&line, 4096);
    p->shown_ns = now_ns;
    size_t text = p->part > 0 && p->note != NULL ? 22 + strlen(p->note) : 50; /* of describe(), about */
    if (p->terminal && (p->total_bytes > 0 || p->part > 0) && lp_ui_columns(p->out) >= BAR_COLUMNS + text) {
        draw_bar(p, &line);
    }
    describe(p, now_ns, &line);
    if (p->terminal) {
        wipe(p);
        fprintf(p->out, "%.*s", (int)LP_MIN(line.n, lp_ui_columns(p->out) - 1),
                line.p); /* a line that wraps cannot be wiped */
        p->drawn = true;
    } else {
        fprintf(p->out, "%.*s\n", (int)line.n, line.p);
    }
    fflush(p->out);
    lp_buf_clear(&line);
}

void
lp_progress_begin(struct lp_progress *p, FILE *out, bool quiet, uint64_t total_bytes)
{
    int64_t now_ns = lp_mono_ns();
    *p = (struct lp_progress){.out = out,
                              .quiet = quiet,
                              .terminal = lp_ui_terminal(out),
                              .total_bytes = total_bytes,
                              .begun_ns = now_ns,
                              .shown_ns = now_ns};
}

void
lp_progress_at(struct lp_progress *p, uint64_t done_bytes)
{
    int64_t now_ns = lp_mono_ns();
    p->done_bytes = done_bytes;
    if (!p->quiet && now_ns - p->shown_ns >= (p->terminal ? DRAW_NS : PLAIN_NS)) {
        show(p, now_ns);
    }
}

void
lp_progress_say(struct lp_progress *p, const char *fmt, ...)
{
    va_list ap;
    wipe(p);
    va_start(ap, fmt);
    vfprintf(p->out, fmt, ap);
    va_end(ap);
    fputc('\n', p->out);
    fflush(p->out);
}

void
lp_progress_note(struct lp_progress *p, const char *note)
{
    bool changed = p->note != note;
    p->note = note;
    if (changed && !p->quiet) {
        show(p, lp_mono_ns());
    }
}

void
lp_progress_end(struct lp_progress *p)
{
    wipe(p);
    fflush(p->out);
}
