/*
 * test_kube_select.c - label and field selectors. Oracle: by hand.
 */
#include "server/kube_select.h"
#include "tests/unit/unit.h"

static struct lp_str
look_up(const void *arg, struct lp_str key)
{
    (void)arg;
    return lp_str_eqc(key, "app")                         ? LP_STR("api")
           : lp_str_eqc(key, "app.kubernetes.io/part-of") ? LP_STR("shop")
           : lp_str_eqc(key, "empty")                     ? LP_STR("")
                                                          : LP_STR_NULL;
}

/* 1: fits, 0: does not, -1: cannot be read. */
static int
fits(const char *selector)
{
    struct lp_arena ar;
    struct lp_kube_labels l;
    struct lp_err err;
    int ret = -1;
    lp_err_clear(&err);
    lp_arena_init(&ar, 1 << 16, 0);
    if (lp_kube_labels_parse(lp_str_c(selector), &ar, &l, &err) == LP_OK) {
        ret = lp_kube_labels_match(&l, look_up, NULL);
    } else {
        CU_ASSERT_EQUAL(err.rc, LP_ERR_PARSE);
        CU_ASSERT(strlen(err.text) > 20);
    }
    lp_arena_clear(&ar);
    return ret;
}

static void
selects_by_labels(void)
{
    static const char *const yes[] = {"",
                                      " ",
                                      "app=api",
                                      "app==api",
                                      " app = api ",
                                      "app!=web",
                                      "none!=web",
                                      "app",
                                      "!none",
                                      "! none",
                                      "app in (web, api)",
                                      "app in(api)",
                                      "app notin (web,db)",
                                      "none notin (web)",
                                      "empty=",
                                      "empty in ()",
                                      "empty in (a,)",
                                      "app=api,app.kubernetes.io/part-of=shop,!none",
                                      "app in (api),empty"};
    static const char *const no[] = {"app=web",         "app!=api",        "none",         "!app",
                                     "none=x",          "app in (web,db)", "app=",         "none in (a)",
                                     "app notin (api)", "app,none",        "app=api,!app", "none="};
    for (size_t i = 0; i < LP_ARRAY_LEN(yes); i++) {
        CU_ASSERT_EQUAL(fits(yes[i]), 1);
    }
    for (size_t i = 0; i < LP_ARRAY_LEN(no); i++) {
        CU_ASSERT_EQUAL(fits(no[i]), 0);
    }
}

static void
refuses_labels(void)
{
    static const char *const bad[] = {
        "=", "app in", "app in api", "app in (api",  "app api", "app=a b",  ",",      "app=api,",
        "!", "!app=x", "app>5",      "app in (a b)", "(app)",   "app===x=", "app=(x)"};
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        CU_ASSERT_EQUAL(fits(bad[i]), -1);
    }
}

static void
keeps_to_its_memory(void)
{
    struct lp_arena ar;
    struct lp_kube_labels l;
    char text[4000];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 0 ? 'a' : ',';
    }
    lp_arena_init(&ar, 4096, 0);
    CU_ASSERT_EQUAL(lp_kube_labels_parse(lp_str_of(text, sizeof(text) - 1), &ar, &l, NULL), LP_ERR_LIMIT);
    lp_arena_clear(&ar);
}

static void
selects_by_fields(void)
{
    struct lp_arena ar;
    struct lp_kube_fields f;
    lp_arena_init(&ar, 1 << 16, 0);
    CU_ASSERT_EQUAL(lp_kube_fields_parse(LP_STR("metadata.name=x, spec.nodeName!=n1,status.phase==Running"),
                                         true, &ar, &f, NULL),
                    LP_OK);
    CU_ASSERT_EQUAL(f.n, 3);
    CU_ASSERT(lp_kube_fields_match(&f, LP_KUBE_FIELD_NAME, LP_STR("x")));
    CU_ASSERT_FALSE(lp_kube_fields_match(&f, LP_KUBE_FIELD_NAME, LP_STR("y")));
    CU_ASSERT(lp_kube_fields_match(&f, LP_KUBE_FIELD_NODE, LP_STR("n2")));
    CU_ASSERT_FALSE(lp_kube_fields_match(&f, LP_KUBE_FIELD_NODE, LP_STR("n1")));
    CU_ASSERT_FALSE(lp_kube_fields_match(&f, LP_KUBE_FIELD_PHASE, LP_STR("Unknown")));
    CU_ASSERT(lp_kube_fields_match(&f, LP_KUBE_FIELD_NAMESPACE, LP_STR("any")));
    CU_ASSERT(lp_str_eqc(lp_kube_fields_exact(&f, LP_KUBE_FIELD_NAME), "x"));
    CU_ASSERT_PTR_NULL(lp_kube_fields_exact(&f, LP_KUBE_FIELD_NODE).p);
    CU_ASSERT_EQUAL(lp_kube_fields_parse(LP_STR_NULL, false, &ar, &f, NULL), LP_OK);
    CU_ASSERT_EQUAL(f.n, 0);
    lp_arena_clear(&ar);
}

static void
refuses_fields(void)
{
    static const struct {
        const char *text;
        bool pods;
        const char *why;
    } bad[] = {
        {"spec.foo=x", true, "field label not supported: spec.foo"},
        {"spec.nodeName=x", false, "field label not supported: spec.nodeName"},
        {"metadata.name", true,
         "invalid field selector: \"metadata.name\"; can't understand \"metadata.name\""},
        {"=x", true, "invalid field selector: \"=x\"; can't understand \"=x\""},
        {"!=x", true, "field label not supported: "},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(bad); i++) {
        struct lp_arena ar;
        struct lp_kube_fields f;
        struct lp_err err;
        lp_err_clear(&err);
        lp_arena_init(&ar, 1 << 16, 0);
        CU_ASSERT_EQUAL(lp_kube_fields_parse(lp_str_c(bad[i].text), bad[i].pods, &ar, &f, &err),
                        LP_ERR_PARSE);
        CU_ASSERT_STRING_EQUAL(err.text, bad[i].why);
        lp_arena_clear(&ar);
    }
}

LP_SUITE(kube_select, {"selects by labels", selects_by_labels}, {"refuses labels", refuses_labels},
         {"keeps to its memory", keeps_to_its_memory}, {"selects by fields", selects_by_fields},
         {"refuses fields", refuses_fields});
