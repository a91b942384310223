/*
 * otlp_int.h - field numbers of OTLP logs (contracts B.4), for otlp_write.c and otlp_read.c.
 */
#ifndef LP_INGEST_OTLP_INT_H
#define LP_INGEST_OTLP_INT_H

enum lp_otlp_field {
    LP_OTLP_REQUEST_RESOURCE_LOGS = 1,
    LP_OTLP_RESOURCE_LOGS_RESOURCE = 1,
    LP_OTLP_RESOURCE_LOGS_SCOPE_LOGS = 2,
    LP_OTLP_RESOURCE_ATTRIBUTES = 1,
    LP_OTLP_SCOPE_LOGS_RECORDS = 2,
    LP_OTLP_RECORD_TIME = 1,
    LP_OTLP_RECORD_BODY = 5,
    LP_OTLP_RECORD_ATTRIBUTES = 6,
    LP_OTLP_PAIR_KEY = 1,
    LP_OTLP_PAIR_VALUE = 2,
    LP_OTLP_ANY_STRING = 1,
    LP_OTLP_ANY_BYTES = 7,
    LP_OTLP_ANY_LAST = 8, /* 2..6 and 8: what is neither of the two */
};

#endif
