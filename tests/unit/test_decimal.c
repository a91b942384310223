/* test_decimal.c - x. */
