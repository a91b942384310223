/*
 * settings.c - the settings by table: setting from text with checks, printing, help, reloading.
 *
 * Values live in struct lp_settings at offsets that the table gives. Texts are always owned and never NULL
 * after lp_settings_init. Nothing here reads files: the caller brings the text.
 */
#include "base/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/settings_int.h"

static const struct setting {
    const char *name;
    enum lp_setting_type type;
    size_t offset;
    const char *def;
    int64_t min, max;
    bool reload;
    const char *text;
} table[] = {
#define X(id, name, type, def, min, max, reload, text)                                                       \
    {name, LP_SETTING_##type, offsetof(struct lp_settings, id), def, min, max, reload, text},
#include "base/settings_tbl.h"
#undef X
};

_Static_assert(LP_ARRAY_LEN(table) <= 64, "settings_yaml.c keeps a bit for each");

/* A text that a reload has replaced. */
struct lp_settings_old {
    struct lp_settings_old *next;
    char *text;
};

/* Words of librdkafka property names whose values are not shown. */
static const char *const secret_words[] = {"password", "secret",  "token",
                                           "jaas",     "key.pem", "oauthbearer.config"};

static char **
text_of(const struct lp_settings *s, const struct setting *set)
{
    return (char **)(uintptr_t)((const char *)s + set->offset);
}

static int64_t *
int_of(const struct lp_settings *s, const struct setting *set)
{
    return (int64_t *)(uintptr_t)((const char *)s + set->offset);
}

static bool *
flag_of(const struct lp_settings *s, const struct setting *set)
{
    return (bool *)(uintptr_t)((const char *)s + set->offset);
}

static bool
is_text(const struct setting *set)
{
    return set->type == LP_SETTING_STRING || set->type == LP_SETTING_LIST;
}

int
lp_settings_index(struct lp_str name)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        if (lp_str_eqc(name, table[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

enum lp_setting_type
lp_settings_type(int i)
{
    return table[i].type;
}

bool
lp_settings_known(struct lp_str name)
{
    return lp_settings_index(name) >= 0;
}

bool
lp_settings_is_flag(struct lp_str name)
{
    int i = lp_settings_index(name);
    return i >= 0 && table[i].type == LP_SETTING_FLAG;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* Appends a number of bytes or a duration exactly, in the largest unit that leaves no fraction. */
static void
put_int(struct lp_buf *out, enum lp_setting_type type, int64_t v)
{
    static const struct unit bytes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
    static const struct unit times[] = {{"h", 3600 * LP_NS_PER_S},
                                        {"m", 60 * LP_NS_PER_S},
                                        {"s", LP_NS_PER_S},
                                        {"ms", LP_NS_PER_MS},
                                        {"ns", 1}};
    static const struct unit plain[] = {{"", 1}};
    const struct unit *u = type == LP_SETTING_BYTES ? bytes : type == LP_SETTING_DURATION ? times : plain;
    while (v % u->factor != 0) {
        u++;
    }
    lp_buf_printf(out, "%" PRId64 "%s", v / u->factor, v != 0 ? u->name : "");
}

static lp_rc
check_level(struct lp_str v, struct lp_err *err)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < LP_ARRAY_LEN(levels); i++) {
        if (lp_str_eqc(v, levels[i])) {
            return LP_OK;
        }
    }
    return lp_err_set(err, LP_ERR_PARSE, "not one of error, warn, info, debug");
}

static lp_rc
check_address(struct lp_str v, struct lp_err *err)
{
    uint64_t port;
    size_t colon = lp_str_rfind_byte(v, ':');
    if (colon == SIZE_MAX || !lp_str_u64(lp_str_sub(v, colon + 1, v.n), &port) || port > UINT16_MAX) {
        return lp_err_set(err, LP_ERR_PARSE, "not ADDRESS:PORT");
    }
    return LP_OK;
}

static lp_rc
check_property(struct lp_str v, struct lp_err *err)
{
    size_t equals = lp_str_find_byte(v, '=');
    return equals != SIZE_MAX && equals > 0 ? LP_OK : lp_err_set(err, LP_ERR_PARSE, "not NAME=VALUE");
}

static lp_rc
check_share(struct lp_str v, struct lp_err *err)
{
    uint64_t bytes;
    return lp_str_share(v, 0, &bytes)
               ? LP_OK
               : lp_err_set(err, LP_ERR_PARSE, "not a size such as 20GiB, or a share such as 10%%");
}

/* Texts that must have a form. */
static const struct {
    const char *name;
    lp_rc (*check)(struct lp_str v, struct lp_err *err);
} forms[] = {
    {"listen", check_address},
    {"kafka-set", check_property},
    {"log-level", check_level},
    {"retention-free", check_share},
};

static lp_rc
check_text(const struct setting *set, struct lp_str v, struct lp_err *err)
{
    if (lp_str_find_byte(v, '\0') != SIZE_MAX || lp_str_find_byte(v, '\n') != SIZE_MAX) {
        return lp_err_set(err, LP_ERR_PARSE, "a line break or NUL in it");
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(forms); i++) {
        if (strcmp(forms[i].name, set->name) == 0) {
            return forms[i].check(v, err);
        }
    }
    return LP_OK;
}

/* Replaces a string, or appends to a list. */
static void
set_text(char **text, const struct setting *set, struct lp_str v)
{
    size_t kept = set->type == LP_SETTING_LIST && *text != NULL ? strlen(*text) : 0;
    char *all = lp_malloc(kept + v.n + 2);
    if (kept > 0) {
        memcpy(all, *text, kept);
        all[kept++] = '\n';
    }
    if (v.n > 0) {
        memcpy(all + kept, v.p, v.n);
    }
    all[kept + v.n] = 0;
    lp_free(*text);
    *text = all;
}

static bool
parse_flag(struct lp_str v, bool *ret)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};
    for (size_t i = 0; i < LP_ARRAY_LEN(words); i++) {
        if (lp_str_ieq(v, lp_str_c(words[i]))) {
            *ret = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* Says which values the setting takes. */
static lp_rc
out_of_bounds(const struct setting *set, struct lp_err *err)
{
    struct lp_buf b;
    lp_buf_init(&b, 100);
    put_int(&b, set->type, set->min);
    lp_buf_c(&b, " to ");
    put_int(&b, set->type, set->max);
    lp_err_set(err, LP_ERR_LIMIT, "not in the range %.*s", (int)b.n, b.p);
    lp_buf_clear(&b);
    return LP_ERR_LIMIT;
}

static lp_rc
parse_int(const struct setting *set, struct lp_str v, int64_t *ret, struct lp_err *err)
{
    bool ok;
    int64_t value = 0;
    uint64_t bytes = 0;
    if (set->type == LP_SETTING_BYTES) {
        ok = lp_str_bytes(v, &bytes) && bytes <= INT64_MAX;
        value = (int64_t)bytes;
    } else {
        ok = set->type == LP_SETTING_DURATION ? lp_duration(v, &value) && value >= 0 : lp_str_i64(v, &value);
    }
    if (!ok) {
        static const char *const what[] = {
            [LP_SETTING_BYTES] = "a size such as 64MiB",
            [LP_SETTING_DURATION] = "a duration such as 90s or 1h30m",
            [LP_SETTING_NUMBER] = "a whole number",
        };
        return lp_err_set(err, LP_ERR_PARSE, "not %s", what[set->type]);
    }
    bool bounded = set->min != 0 || set->max != 0;
    if (bounded && (value < set->min || value > set->max)) {
        return out_of_bounds(set, err);
    }
    *ret = value;
    return LP_OK;
}

static lp_rc
set_value(struct lp_settings *s, const struct setting *set, struct lp_str v, struct lp_err *err)
{
    lp_rc rc;
    switch (set->type) {
    case LP_SETTING_STRING:
    case LP_SETTING_LIST:
        rc = check_text(set, v, err);
        if (rc == LP_OK) {
            set_text(text_of(s, set), set, v);
        }
        return rc;
    case LP_SETTING_FLAG:
        return parse_flag(v, flag_of(s, set)) ? LP_OK : lp_err_set(err, LP_ERR_PARSE, "not on or off");
    case LP_SETTING_BYTES:
    case LP_SETTING_DURATION:
    case LP_SETTING_NUMBER:
        break;
    }
    return parse_int(set, v, int_of(s, set), err);
}

lp_rc
lp_settings_set(struct lp_settings *s, struct lp_str name, struct lp_str value, struct lp_err *err)
{
    int i = lp_settings_index(name);
    if (i < 0) {
        return lp_err_set(err, LP_ERR_NOT_FOUND, "there is no setting " LP_STR_FMT, LP_STR_ARG(name));
    }
    lp_rc rc = set_value(s, &table[i], value, err);
    return rc == LP_OK ? rc : lp_err_prefix(err, rc, "%s", table[i].name);
}

void
lp_settings_init(struct lp_settings *s)
{
    *s = (struct lp_settings){.old = NULL};
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        if (table[i].type == LP_SETTING_LIST) {
            LP_ASSERT(table[i].def[0] == 0);
            *text_of(s, &table[i]) = lp_strdup("");
        } else {
            lp_rc rc = set_value(s, &table[i], lp_str_c(table[i].def), NULL);
            LP_ASSERT(rc == LP_OK); /* the table's own defaults */
        }
    }
}

void
lp_settings_clear(struct lp_settings *s)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        if (is_text(&table[i])) {
            lp_free(*text_of(s, &table[i]));
        }
    }
    while (s->old != NULL) {
        struct lp_settings_old *old = s->old;
        s->old = old->next;
        lp_free(old->text);
        lp_free(old);
    }
    *s = (struct lp_settings){.old = NULL};
}

static bool
same(const struct lp_settings *a, const struct lp_settings *b, const struct setting *set)
{
    if (is_text(set)) {
        return strcmp(*text_of(a, set), *text_of(b, set)) == 0;
    }
    return set->type == LP_SETTING_FLAG ? *flag_of(a, set) == *flag_of(b, set)
                                        : *int_of(a, set) == *int_of(b, set);
}

/* A list's item NAME=VALUE whose name says that the value is a secret, without the value. */
static struct lp_str
shown_part(struct lp_str item, bool *ret_masked)
{
    size_t equals = lp_str_find_byte(item, '=');
    struct lp_str name = lp_str_sub(item, 0, equals);
    for (size_t i = 0; equals != SIZE_MAX && i < LP_ARRAY_LEN(secret_words); i++) {
        if (lp_str_find(name, lp_str_c(secret_words[i])) != SIZE_MAX) {
            *ret_masked = true;
            return lp_str_sub(item, 0, equals + 1);
        }
    }
    *ret_masked = false;
    return item;
}

static void
print_list(struct lp_buf *out, struct lp_str items)
{
    if (items.n == 0) {
        lp_buf_c(out, " []");
    }
    while (items.n > 0) {
        bool masked;
        char text[256];
        struct lp_str item = shown_part(lp_str_cut(&items, '\n'), &masked);
        lp_buf_c(out, "\n  - ");
        if (masked) {
            snprintf(text, sizeof(text), "%.*s********", (int)LP_MIN(item.n, (size_t)200), item.p);
            item = lp_str_c(text);
        }
        lp_buf_json(out, item); /* YAML takes JSON's strings */
    }
}

/* Atomic loads: /config prints while SIGHUP may reload. */
static void
print_value(const struct lp_settings *s, const struct setting *set, struct lp_buf *out)
{
    switch (set->type) {
    case LP_SETTING_LIST:
        print_list(out, lp_str_c(*text_of(s, set)));
        return;
    case LP_SETTING_STRING:
        lp_buf_byte(out, ' ');
        lp_buf_json(out, lp_str_c(__atomic_load_n(text_of(s, set), __ATOMIC_ACQUIRE)));
        return;
    case LP_SETTING_FLAG:
        lp_buf_c(out, __atomic_load_n(flag_of(s, set), __ATOMIC_ACQUIRE) ? " on" : " off");
        return;
    case LP_SETTING_BYTES:
    case LP_SETTING_DURATION:
    case LP_SETTING_NUMBER:
        break;
    }
    lp_buf_byte(out, ' ');
    put_int(out, set->type, __atomic_load_n(int_of(s, set), __ATOMIC_ACQUIRE));
}

void
lp_settings_print(const struct lp_settings *s, bool only_changed, struct lp_buf *out)
{
    struct lp_settings defaults;
    lp_settings_init(&defaults);
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        if (!only_changed || !same(s, &defaults, &table[i])) {
            lp_buf_printf(out, "# %s%s\n%s:", table[i].text, table[i].reload ? " Reloadable." : "",
                          table[i].name);
            print_value(s, &table[i], out);
            lp_buf_byte(out, '\n');
        }
    }
    lp_settings_clear(&defaults);
}

void
lp_settings_help(struct lp_buf *out)
{
    static const char *const values[] = {
        [LP_SETTING_STRING] = " TEXT",       [LP_SETTING_LIST] = " TEXT",     [LP_SETTING_BYTES] = " BYTES",
        [LP_SETTING_DURATION] = " DURATION", [LP_SETTING_NUMBER] = " NUMBER", [LP_SETTING_FLAG] = ""};
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s%s", table[i].name, values[table[i].type]);
        lp_buf_printf(out, "  %-28s %s", flag, table[i].text);
        if (table[i].def[0] != 0 && table[i].type != LP_SETTING_FLAG) {
            lp_buf_printf(out, " [%s]", table[i].def);
        }
        lp_buf_byte(out, '\n');
    }
}

/* Puts a new text in place; the old one stays for those who are reading it. */
static void
replace_text(struct lp_settings *to, char **text, const char *now)
{
    struct lp_settings_old *old = lp_malloc(sizeof(*old));
    *old = (struct lp_settings_old){.next = to->old, .text = *text};
    to->old = old;
    __atomic_store_n(text, lp_strdup(now), __ATOMIC_RELEASE);
}

static void
reload_one(struct lp_settings *to, const struct lp_settings *from, const struct setting *set)
{
    if (is_text(set)) {
        replace_text(to, text_of(to, set), *text_of(from, set));
    } else if (set->type == LP_SETTING_FLAG) {
        __atomic_store_n(flag_of(to, set), *flag_of(from, set), __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(int_of(to, set), *int_of(from, set), __ATOMIC_RELEASE);
    }
}

void
lp_settings_reload(struct lp_settings *to, const struct lp_settings *from, struct lp_buf *ret_restart)
{
    for (size_t i = 0; i < LP_ARRAY_LEN(table); i++) {
        if (same(to, from, &table[i])) {
            continue;
        }
        if (table[i].reload) {
            reload_one(to, from, &table[i]);
        } else {
            lp_buf_printf(ret_restart, "%s%s", ret_restart->n > 0 ? "," : "", table[i].name);
        }
    }
}
