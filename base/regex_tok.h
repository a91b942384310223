/*
 * regex_tok.h - RE2's syntax taken apart: what regex_lit.c and regex_hs.c read a pattern with.
 *
 * For patterns that RE2 has accepted; it is no check of them. Flags are worked into the tokens: who reads them need not know
 * (?i), (?s), (?m), nor in which of the ways a character was written. What is not certainly understood is LP_RX_BAD, and
 * nothing may be concluded from the pattern then.
 */
#ifndef LP_BASE_REGEX_TOK_H
#define LP_BASE_REGEX_TOK_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lp_rx_kind {
    LP_RX_END,
    LP_RX_BAD,    /* not understood; nothing follows */
    LP_RX_CHAR,   /* cp; icase */
    LP_RX_SET,    /* one character of (or not of) a set; icase is worked in */
    LP_RX_ODD,    /* one character of a set that is not told, or \C */
    LP_RX_EMPTY,  /* matches the empty text at some places; assert */
    LP_RX_OPEN,   /* a group, of whatever sort */
    LP_RX_CLOSE,
    LP_RX_OR,
    LP_RX_REPEAT, /* the atom before it, min to max times */
};

enum lp_rx_assert { LP_RX_TEXT_BEGIN, LP_RX_TEXT_END, LP_RX_LINE_BEGIN, LP_RX_LINE_END, LP_RX_WORD, LP_RX_NOT_WORD };

#define LP_RX_HIGH_MAX 16u /* ranges beyond ASCII in a set; one with more is LP_RX_ODD */
#define LP_RX_DEPTH_MAX 64u
#define LP_RX_INF UINT32_MAX

struct lp_rx_set {
    bool negated;    /* all but these */
    uint64_t low[2]; /* bits of the ASCII members */
    size_t nhigh;
    uint32_t high[LP_RX_HIGH_MAX][2]; /* first and last, from 0x80 on; in no order */
};

struct lp_rx_tok {
    enum lp_rx_kind kind;
    enum lp_rx_assert assert;
    bool icase;
    uint32_t cp;
    uint32_t min, max; /* max: LP_RX_INF for no end */
    struct lp_rx_set set;
};

struct lp_rx_flags {
    bool i, s, m;
};

struct lp_rx {
    struct lp_str rest;
    bool quoted;    /* between \Q and \E */
    bool no_repeat; /* a repetition here would be of something further back */
    size_t depth;
    struct lp_rx_flags flags[LP_RX_DEPTH_MAX + 1];
};

/* The pattern is borrowed. */
void lp_rx_init(struct lp_rx *rx, struct lp_str pattern);
void lp_rx_next(struct lp_rx *rx, struct lp_rx_tok *ret);

static inline bool
lp_rx_has_low(const struct lp_rx_set *set, unsigned c)
{
    return (set->low[c / 64] >> (c % 64) & 1) != 0;
}

#ifdef __cplusplus
}
#endif

#endif
