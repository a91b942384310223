/*
 * cmd_status_int.h - what `logpond status` and `logpond retain` show of namespaces.
 */
#ifndef LP_SERVER_CMD_STATUS_INT_H
#define LP_SERVER_CMD_STATUS_INT_H

#include "base/buf.h"
#include "base/json.h"
#include "server/text_ui.h"

/* Both show what /admin/namespaces answered. */
void lp_status_show_forecast(const struct lp_json_doc *doc);
void lp_status_show_namespaces(const struct lp_json_doc *doc);
/* "acme/prod", "prod", or "(none)" for lines without a namespace: members tenant and namespace of node i, as
 * they may be shown. */
void lp_ui_place(const struct lp_json_doc *doc, uint32_t i, struct lp_buf *out);
/* Member `name` of node i, nanoseconds, as a time to the second; "" where there is none. */
const char *lp_ui_second(const struct lp_json_doc *doc, uint32_t i, const char *name, char out[LP_UI_TEXT]);

#endif
