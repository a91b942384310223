/*
 * fuzz_pipe.h - what fuzz_pipe.c does with an input, for unit tests: a program has but one LLVMFuzzerTestOneInput.
 */
#ifndef LP_FUZZ_PIPE_H
#define LP_FUZZ_PIPE_H

#include "base/lp.h"

void lp_fuzz_pipe(const uint8_t *data, size_t size);

#endif
