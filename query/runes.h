/*
 * runes.h - characters beyond ASCII: what they are, and their other case. By the C library's tables for UTF-8, whatever the process' locale;
 * without them only ASCII has letters. Any thread.
 */
#ifndef LP_QUERY_RUNES_H
#define LP_QUERY_RUNES_H

#include "base/buf.h"

bool lp_rune_is_letter(uint32_t cp);
bool lp_rune_is_digit(uint32_t cp);
/* White space of Unicode. */
bool lp_rune_is_space(uint32_t cp);
/* Seen when printed: no control, no format character, of spaces only U+0020. */
bool lp_rune_is_print(uint32_t cp);
uint32_t lp_rune_upper(uint32_t cp);
/* As at the beginning of a word: mostly the upper case. */
uint32_t lp_rune_title(uint32_t cp);
uint32_t lp_rune_lower(uint32_t cp);

/* Characters of a text; a bad byte is one. */
size_t lp_rune_count(struct lp_str s);
/* The character as UTF-8; U+FFFD for what is none. */
void lp_rune_put(struct lp_buf *out, uint32_t cp);

#endif
