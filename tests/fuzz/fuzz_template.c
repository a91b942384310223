/* fuzz_template.c - x. */
