/*
 * suites_ingest.c - the suites of unit-ingest.
 */
#include "tests/unit/unit.h"

extern const struct lp_suite lp_suite_ids, lp_suite_journal, lp_suite_decode, lp_suite_kafka_memo, lp_suite_template, lp_suite_content, lp_suite_otlp;

const struct lp_suite *const lp_suites[] = {&lp_suite_ids, &lp_suite_journal, &lp_suite_decode, &lp_suite_kafka_memo, &lp_suite_template, &lp_suite_content, &lp_suite_otlp, NULL};
