/* test_template_funcs.c - x. */
