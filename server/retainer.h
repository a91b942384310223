/*
 * retainer.h - retention in the running server: the rules of the settings, runs that somebody asks for, and runs by itself.
 *
 * Runs go on two threads of their own, so that a dry run does not wait for a long run; the store lets one real run through at a time.
 */
#ifndef LP_SERVER_RETAINER_H
#define LP_SERVER_RETAINER_H

#include "base/settings.h"
#include "server/http.h"
#include "store/retain.h"

struct lp_retainer;

/* What the settings say of retention; rules are parsed. The conf borrows texts of the settings and owns its rules. */
lp_rc lp_retain_conf_of(const struct lp_settings *set, struct lp_retain_conf *ret, struct lp_err *err) LP_MUST_USE;

/* set and st must outlive it. */
lp_rc lp_retainer_new(const struct lp_settings *set, struct lp_store *st, struct lp_retainer **ret, struct lp_err *err) LP_MUST_USE;
/* After the settings were reloaded: takes the rules again. */
void lp_retainer_reload(struct lp_retainer *r);
/* Ends what it began: runs under way come to an end first. */
void lp_retainer_stop(struct lp_retainer *r);
/* NULL is fine. */
void lp_retainer_free(struct lp_retainer *r);

/* Once a second or so, from one thread: begins a run when one is due, or the disk is too full. */
void lp_retainer_tick(struct lp_retainer *r);
/* What each namespace has, and how long the disk lasts by the rules of now. Any thread; reads the catalog. */
lp_rc lp_retainer_usage(struct lp_retainer *r, struct lp_retain_usage *ret, struct lp_err *err) LP_MUST_USE;
/* POST /admin/retain: answered when the run has ended. On an HTTP thread; does not block. */
void lp_retainer_handle(struct lp_retainer *r, struct lp_http_req *req);

#endif
