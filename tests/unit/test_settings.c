/*
 * test_settings.c - settings. Oracle: settings_tbl.h, and that what is printed reads back as the same
 * settings.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/settings.h"

static struct lp_settings s;

static lp_rc
set(const char *name, const char *value)
{
    return lp_settings_set(&s, lp_str_c(name), lp_str_c(value), NULL);
}

static lp_rc
yaml(const char *text, struct lp_err *err)
{
    return lp_settings_yaml(&s, lp_str_c(text), err);
}

static bool
holds(const struct lp_buf *b, const char *text)
{
    return lp_str_find(lp_buf_view(b), lp_str_c(text)) != SIZE_MAX;
}

static void
values_are_checked(void)
{
    lp_settings_init(&s);
    CU_ASSERT_STRING_EQUAL(s.listen, "127.0.0.1:3100");
    CU_ASSERT(s.seal_bytes == 64 << 20 && s.seal_after == 600 * LP_NS_PER_S && !s.tenants &&
              s.kafka_set[0] == 0);

    static const struct {
        const char *name, *value;
        lp_rc rc;
    } cases[] = {
        {"seal-bytes", "2MiB", LP_OK},
        {"seal-bytes", "1", LP_ERR_LIMIT},
        {"seal-bytes", "5GiB", LP_ERR_LIMIT},
        {"seal-bytes", "much", LP_ERR_PARSE},
        {"seal-bytes", "", LP_ERR_PARSE},
        {"min-free", "1EiB", LP_OK},
        {"min-free", "15EiB", LP_ERR_PARSE},
        {"query-timeout", "1m30s", LP_OK},
        {"query-timeout", "90", LP_ERR_PARSE},
        {"query-timeout", "-1s", LP_ERR_PARSE},
        {"http-threads", "64", LP_OK},
        {"http-threads", "65", LP_ERR_LIMIT},
        {"http-threads", "2.5", LP_ERR_PARSE},
        {"tenants", "yes", LP_OK},
        {"tenants", "maybe", LP_ERR_PARSE},
        {"log-level", "debug", LP_OK},
        {"log-level", "loud", LP_ERR_PARSE},
        {"listen", "[::]:0", LP_OK},
        {"listen", "localhost", LP_ERR_PARSE},
        {"listen", "h:70000", LP_ERR_PARSE},
        {"data", "/a\nb", LP_ERR_PARSE},
        {"kafka-set", "a=b=c", LP_OK},
        {"kafka-set", "d=", LP_OK},
        {"kafka-set", "=x", LP_ERR_PARSE},
        {"nonsense", "1", LP_ERR_NOT_FOUND},
        {"seal_bytes", "2MiB", LP_ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        CU_ASSERT_EQUAL(set(cases[i].name, cases[i].value), cases[i].rc);
    }
    /* what was refused has changed nothing */
    CU_ASSERT(s.seal_bytes == 2 << 20 && s.query_timeout == 90 * LP_NS_PER_S && s.http_threads == 64 &&
              s.tenants);
    CU_ASSERT_STRING_EQUAL(s.log_level, "debug");
    CU_ASSERT_STRING_EQUAL(s.data, "./data");
    CU_ASSERT_STRING_EQUAL(s.kafka_set, "a=b=c\nd=");

    struct lp_err err;
    CU_ASSERT_EQUAL(lp_settings_set(&s, LP_STR("seal-bytes"), LP_STR("1"), &err), LP_ERR_LIMIT);
    CU_ASSERT_STRING_EQUAL(err.text, "seal-bytes: not in the range 64KiB to 4GiB");
    lp_settings_clear(&s);
}

static void
names_and_flags(void)
{
    CU_ASSERT(lp_settings_known(LP_STR("kafka-group")) && !lp_settings_known(LP_STR("kafka")));
    CU_ASSERT(lp_settings_is_flag(LP_STR("tenants")) && !lp_settings_is_flag(LP_STR("data")));
    CU_ASSERT_FALSE(lp_settings_is_flag(LP_STR("nonsense")));
}

static void
yaml_is_read(void)
{
    struct lp_err err;
    lp_settings_init(&s);
    CU_ASSERT_EQUAL(yaml("# a comment\nseal_bytes: 1MiB\n\"log-level\": 'warn'\ntenants: on\n"
                         "kafka-set:\n  - a=1\n  - \"b=x y\"\nkafka-brokers: \"\"\n",
                         &err),
                    LP_OK);
    CU_ASSERT(s.seal_bytes == 1 << 20 && s.tenants);
    CU_ASSERT_STRING_EQUAL(s.log_level, "warn");
    CU_ASSERT_STRING_EQUAL(s.kafka_set, "a=1\nb=x y");
    CU_ASSERT_EQUAL(yaml("", &err), LP_OK);
    CU_ASSERT_EQUAL(yaml("---\n# nothing\n", &err), LP_OK);
    CU_ASSERT_EQUAL(yaml("kafka-set: c=2", &err), LP_OK); /* a scalar is a list of one; lists append */
    CU_ASSERT_STRING_EQUAL(s.kafka_set, "a=1\nb=x y\nc=2");
    lp_settings_clear(&s);
}

static void
yaml_is_refused_with_its_place(void)
{
    static const struct {
        const char *text;
        lp_rc rc;
        unsigned line, col;
    } cases[] = {
        {"data: x\nnonsense: 1\n", LP_ERR_NOT_FOUND, 2, 1},
        {"data: x\nseal-bytes: 12\n", LP_ERR_LIMIT, 2, 13},
        {"data: [a, b]\n", LP_ERR_PARSE, 1, 7},
        {"kafka-set:\n  - {a: b}\n", LP_ERR_PARSE, 2, 5},
        {"data:\n  sub: 1\n", LP_ERR_PARSE, 2, 3},
        {"data: a\ndata: b\n", LP_ERR_PARSE, 2, 1},
        {"- data\n", LP_ERR_PARSE, 1, 1},
        {"just text\n", LP_ERR_PARSE, 1, 1},
        {"? [a]\n: b\n", LP_ERR_PARSE, 1, 3},
        {"data: a\n---\ndata: b\n", LP_ERR_PARSE, 2, 1},
        {"data: *x\n", LP_ERR_PARSE, 1, 7},
    };
    struct lp_err err;
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        lp_settings_init(&s);
        CU_ASSERT_EQUAL(yaml(cases[i].text, &err), cases[i].rc);
        CU_ASSERT_EQUAL(err.line, cases[i].line);
        CU_ASSERT_EQUAL(err.col, cases[i].col);
        lp_settings_clear(&s);
    }
    lp_settings_init(&s);
    CU_ASSERT_EQUAL(yaml("data: \"open\n", &err), LP_ERR_PARSE);
    CU_ASSERT(err.line > 0 && err.text[0] != 0);
    CU_ASSERT_EQUAL(yaml("data: \xff\n", &err), LP_ERR_PARSE);
    lp_settings_clear(&s);
}

static void
what_is_printed_reads_back(void)
{
    struct lp_buf first, second;
    struct lp_err err;
    lp_buf_init(&first, 1 << 16);
    lp_buf_init(&second, 1 << 16);
    lp_settings_init(&s);
    CU_ASSERT_EQUAL(set("data", "/with \"quotes\" and: colons #x"), LP_OK);
    CU_ASSERT_EQUAL(set("query-timeout", "1m1ms"), LP_OK);
    CU_ASSERT_EQUAL(set("push-wait", "0"), LP_OK);
    CU_ASSERT_EQUAL(set("seal-bytes", "65537"), LP_OK);
    CU_ASSERT_EQUAL(set("kafka-set", "client.id=x"), LP_OK);
    lp_settings_print(&s, false, &first);
    CU_ASSERT(holds(&first, "# Folder of the store.\ndata: "));
    CU_ASSERT(holds(&first, "\nbody-bytes: 16MiB\n") && holds(&first, "\nseal-after: 10m\n"));
    CU_ASSERT(holds(&first, "\nquery-timeout: 60001ms\n") && holds(&first, "\nseal-bytes: 65537\n"));
    lp_settings_clear(&s);

    lp_settings_init(&s);
    CU_ASSERT_EQUAL(lp_settings_yaml(&s, lp_buf_view(&first), &err), LP_OK);
    lp_settings_print(&s, false, &second);
    CU_ASSERT(lp_str_eq(lp_buf_view(&first), lp_buf_view(&second)));

    lp_buf_reset(&second);
    lp_settings_print(&s, true, &second);
    CU_ASSERT(holds(&second, "data: ") && holds(&second, "push-wait: 0\n") && !holds(&second, "listen"));
    lp_settings_clear(&s);
    lp_buf_clear(&first);
    lp_buf_clear(&second);
}

static void
secrets_are_masked(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 1 << 16);
    lp_settings_init(&s);
    CU_ASSERT_EQUAL(set("kafka-set", "sasl.password=hunter2"), LP_OK);
    CU_ASSERT_EQUAL(set("kafka-set", "ssl.key.password=hunter2=x"), LP_OK);
    CU_ASSERT_EQUAL(set("kafka-set", "client.id=password"), LP_OK);
    lp_settings_print(&s, true, &b);
    CU_ASSERT_FALSE(holds(&b, "hunter2"));
    CU_ASSERT(holds(&b, "\"sasl.password=********\"") && holds(&b, "\"client.id=password\""));
    lp_settings_clear(&s);
    lp_buf_clear(&b);
}

static void
help_names_every_setting(void)
{
    struct lp_buf b;
    lp_buf_init(&b, 1 << 16);
    lp_settings_help(&b);
#define X(id, name, type, def, min, max, reload, text) CU_ASSERT(holds(&b, "  --" name) && holds(&b, text));
#include "base/settings_tbl.h"
#undef X
    CU_ASSERT(holds(&b, "--tenants ") && holds(&b, "--seal-bytes BYTES") && holds(&b, "[64MiB]"));
    lp_buf_clear(&b);
}

static void
reload_takes_what_can_be_taken(void)
{
    struct lp_settings now;
    struct lp_buf restart;
    lp_buf_init(&restart, 1000);
    lp_settings_init(&now);
    lp_settings_init(&s);
    const char *before = LP_SETTING(&now, log_level);
    CU_ASSERT_EQUAL(set("log-level", "debug"), LP_OK);
    CU_ASSERT_EQUAL(set("max-entries", "77"), LP_OK);
    CU_ASSERT_EQUAL(set("data", "/elsewhere"), LP_OK);
    CU_ASSERT_EQUAL(set("tenants", "on"), LP_OK);
    lp_settings_reload(&now, &s, &restart);
    CU_ASSERT_STRING_EQUAL(LP_SETTING(&now, log_level), "debug");
    CU_ASSERT_EQUAL(LP_SETTING(&now, max_entries), 77);
    CU_ASSERT_STRING_EQUAL(now.data, "./data");
    CU_ASSERT_FALSE(now.tenants);
    CU_ASSERT(lp_str_eqc(lp_buf_view(&restart), "data,tenants"));
    CU_ASSERT_STRING_EQUAL(before, "info"); /* a reader may still hold it */
    lp_settings_clear(&now);
    lp_settings_clear(&s);
    lp_buf_clear(&restart);
}

LP_SUITE(settings, {"values are checked", values_are_checked}, {"names and flags", names_and_flags},
         {"YAML is read", yaml_is_read}, {"YAML is refused with its place", yaml_is_refused_with_its_place},
         {"what is printed reads back", what_is_printed_reads_back},
         {"secrets are masked", secrets_are_masked}, {"help names every setting", help_names_every_setting},
         {"reload takes what can be taken", reload_takes_what_can_be_taken});
