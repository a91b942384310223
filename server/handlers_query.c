/*
 * handlers_query.c - searches over HTTP. Each runs on a query worker.
 */
#include "server/server.h"

const struct lp_work_route lp_query_routes[] = {{0, NULL, NULL, false}};
const size_t lp_query_nroutes = 0;
