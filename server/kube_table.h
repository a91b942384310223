/*
 * kube_table.h - lists as tables, whose columns the server chooses (`kubectl get` asks for them). Pure.
 *
 * A table is opened, gets rows, and is closed; whoever writes the rows puts commas between them.
 */
#ifndef LP_SERVER_KUBE_TABLE_H
#define LP_SERVER_KUBE_TABLE_H

#include "server/kube_object.h"

/* What a row brings of its object. */
enum lp_kube_include { LP_KUBE_METADATA, LP_KUBE_OBJECT, LP_KUBE_NO_OBJECT };

/* Up to the list of rows. go_on: the continue token; empty: none. */
void lp_kube_table_open(struct lp_buf *out, enum lp_kube_kind kind, int64_t version, struct lp_str go_on);
/* Without a newline behind it. */
void lp_kube_table_close(struct lp_buf *out);

void lp_kube_pod_row(struct lp_buf *out, const struct lp_pod *p, const struct lp_kube_eye *eye, enum lp_kube_include include);
void lp_kube_namespace_row(struct lp_buf *out, struct lp_str name, enum lp_kube_include include);
void lp_kube_owner_row(struct lp_buf *out, const struct lp_kube_owner *o, const struct lp_kube_eye *eye, enum lp_kube_include include);

/* How long ago something was, as kubectl says it: "3d4h", "5m". */
#define LP_KUBE_AGE_TEXT 32
void lp_kube_age(int64_t now_ns, int64_t then_ns, char out[LP_KUBE_AGE_TEXT]);

#endif
