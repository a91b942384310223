/*
 * selectors.h - LogQL's selectors for the rules of retention: what store/retain_rules.h asks for, over query/matcher.h.
 */
#ifndef LP_SERVER_SELECTORS_H
#define LP_SERVER_SELECTORS_H

#include "store/retain_rules.h"

extern const struct lp_select_ops lp_selectors;

#endif
