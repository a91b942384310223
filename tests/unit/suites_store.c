/*
 * suites_store.c - the suites of unit-store.
 */
#include "tests/unit/unit.h"

extern const struct lp_suite lp_suite_record, lp_suite_codec, lp_suite_split, lp_suite_column,
    lp_suite_tables, lp_suite_idindex, lp_suite_needle, lp_suite_block, lp_suite_corpus, lp_suite_head,
    lp_suite_linepred, lp_suite_match, lp_suite_page, lp_suite_idset, lp_suite_catalog, lp_suite_catalog_pod,
    lp_suite_seg_cache, lp_suite_seal_memo, lp_suite_store, lp_suite_merge, lp_suite_exclude, lp_suite_ledger,
    lp_suite_retain, lp_suite_retain_plan, lp_suite_retain_view;

const struct lp_suite *const lp_suites[] = {&lp_suite_record,      &lp_suite_codec,
                                            &lp_suite_split,       &lp_suite_column,
                                            &lp_suite_tables,      &lp_suite_idindex,
                                            &lp_suite_needle,      &lp_suite_block,
                                            &lp_suite_corpus,      &lp_suite_head,
                                            &lp_suite_linepred,    &lp_suite_match,
                                            &lp_suite_page,        &lp_suite_idset,
                                            &lp_suite_catalog,     &lp_suite_catalog_pod,
                                            &lp_suite_seg_cache,   &lp_suite_seal_memo,
                                            &lp_suite_store,       &lp_suite_merge,
                                            &lp_suite_ledger,      &lp_suite_retain,
                                            &lp_suite_retain_plan, &lp_suite_exclude,
                                            &lp_suite_retain_view, NULL};
