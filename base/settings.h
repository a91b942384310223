/*
 * settings.h - the settings: one table (settings_tbl.h) feeds YAML, command-line flags and --print-config.
 *
 * Precedence: default < configuration file < flag. Names are the same everywhere ("seal-bytes"); in YAML '_' may stand
 * for '-'. Values are checked when they are set. Reading is lock-free: SIGHUP builds a new struct and the server copies
 * only reloadable values, each a naturally aligned word, with atomics; where a reload can happen meanwhile, read them
 * with LP_SETTING(). One thread sets, reloads and clears.
 */
#ifndef LP_BASE_SETTINGS_H
#define LP_BASE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Storage of each type: string and list as owned char* (list: newline-separated), bytes/duration(ns)/number as int64_t, flag as bool. */
struct lp_settings {
#define LP_T_STRING char *
#define LP_T_LIST char *
#define LP_T_BYTES int64_t
#define LP_T_DURATION int64_t
#define LP_T_NUMBER int64_t
#define LP_T_FLAG bool
#define X(id, name, type, def, min, max, reload, text) LP_T_##type id;
#include "base/settings_tbl.h"
#undef X
    struct lp_settings_old *old; /* texts that a reload replaced: readers may still hold them, so they live until the end */
};

/* The value of a reloadable setting, from any thread. A text stays valid until lp_settings_clear. */
#define LP_SETTING(s, field) __atomic_load_n(&(s)->field, __ATOMIC_ACQUIRE)

/* All defaults. */
void lp_settings_init(struct lp_settings *s);
void lp_settings_clear(struct lp_settings *s);
/* Sets one by name from text; lists append. LP_ERR_NOT_FOUND unknown name, LP_ERR_PARSE or LP_ERR_LIMIT bad value; then nothing changed. */
lp_rc lp_settings_set(struct lp_settings *s, struct lp_str name, struct lp_str value, struct lp_err *err) LP_MUST_USE;
/* True when the named setting is a flag, which takes no value on the command line. */
bool lp_settings_is_flag(struct lp_str name);
bool lp_settings_known(struct lp_str name);
/* A YAML mapping of names to scalars or lists of scalars (libyaml). On failure err has line and column, and s what stood before them. */
lp_rc lp_settings_yaml(struct lp_settings *s, struct lp_str text, struct lp_err *err) LP_MUST_USE;
/* As YAML with each text as a comment; only_changed leaves out defaults. Secrets (kafka-set ...password...) are masked. */
void lp_settings_print(const struct lp_settings *s, bool only_changed, struct lp_buf *out);
/* One line a setting for --help. */
void lp_settings_help(struct lp_buf *out);
/* Copies the reloadable values of `from` into `to` (atomically each); names of changed ones that need a restart go to *ret_restart, comma-separated. */
void lp_settings_reload(struct lp_settings *to, const struct lp_settings *from, struct lp_buf *ret_restart);

#ifdef __cplusplus
}
#endif

#endif
