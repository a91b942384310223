/*
 * settings_int.h - what settings.c shares with settings_yaml.c.
 */
#ifndef LP_BASE_SETTINGS_INT_H
#define LP_BASE_SETTINGS_INT_H

#include "base/settings.h"

enum lp_setting_type {
    LP_SETTING_STRING,
    LP_SETTING_LIST,
    LP_SETTING_BYTES,
    LP_SETTING_DURATION,
    LP_SETTING_NUMBER,
    LP_SETTING_FLAG
};

/* Numbers the settings in the table's order; by name it is -1 where there is none. */
int lp_settings_index(struct lp_str name);
enum lp_setting_type lp_settings_type(int i);

#endif
