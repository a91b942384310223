/*
 * fuzz_template.h - what fuzz_template.c does with an input, for unit tests: a program has but one LLVMFuzzerTestOneInput.
 */
#ifndef LP_FUZZ_TEMPLATE_H
#define LP_FUZZ_TEMPLATE_H

#include "base/lp.h"

void lp_fuzz_template(const uint8_t *data, size_t size);

#endif
