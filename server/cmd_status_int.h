/*
 * cmd_status_int.h - inside `logpond status`: the part about namespaces.
 */
#ifndef LP_SERVER_CMD_STATUS_INT_H
#define LP_SERVER_CMD_STATUS_INT_H

#include "base/buf.h"
#include "base/json.h"

/* Both show what /admin/namespaces answered. */
void lp_status_show_forecast(const struct lp_json_doc *doc);
void lp_status_show_namespaces(const struct lp_json_doc *doc);
/* "acme/prod", "prod", or "(none)" for lines without a namespace: members tenant and namespace of node i, as they may be shown. */
void lp_ui_place(const struct lp_json_doc *doc, uint32_t i, struct lp_buf *out);

#endif
