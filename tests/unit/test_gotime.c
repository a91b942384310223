/* test_gotime.c - x. */
