/* test_template_query.c - x. */
