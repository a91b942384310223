/*
 * regex.cc - the one door to RE2, and which engine searches a text.
 *
 * A line that is not UTF-8 is matched on a copy in which each bad byte is U+FFFD; places in the copy are led
 * back to places in the line, where a bad byte and the three bytes of its U+FFFD correspond. RE2 objects are
 * immutable after construction and lock inside, so lp_regex may be shared.
 *
 * Hyperscan has one compiled form for ASCII texts and one for others, each made by the first thread that
 * finds that enough text was searched; the others go on with RE2 meanwhile.
 */
#include "base/regex.h"

#include <atomic>
#include <new>

#include <re2/re2.h>

#include "base/arena.h"
#include "base/find.h"
#include "base/regex_hs.h"
#include "base/regex_int.h"

#define LP_PROGRAM_BYTES (8 << 20)
/* Of text searched, and for each byte of the pattern: RE2 takes about as long for so much as Hyperscan for
 * compiling. */
#define LP_HS_AFTER_BYTES (512u << 10)
#define LP_HS_AFTER_PATTERN_BYTES (16u << 10)

enum { HS_COUNTING, HS_MAKING, HS_DONE };

struct hs_form {
    std::atomic<struct lp_hs *> hs{nullptr}; /* stays null where Hyperscan refuses the pattern */
    std::atomic<int> state{HS_COUNTING};
    std::atomic<size_t> searched_bytes{0}; /* about */
};

struct lp_regex {
    RE2 re;
    struct lp_regex_lits lits;
    mutable struct hs_form forms[2]; /* for ASCII texts, for others */
    struct lp_str *names;            /* of groups, by number */
    int groups;

    lp_regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

static lp_rc
compile_failed(const RE2 &re, struct lp_err *err)
{
    if (re.error_code() == RE2::ErrorPatternTooLarge) {
        return lp_err_set(err, LP_ERR_LIMIT, "the regular expression is too complex");
    }
    return lp_err_set(err, LP_ERR_PARSE, "bad regular expression: %s", re.error().c_str());
}

/* Fills names; they borrow from re. */
static void
collect_names(struct lp_regex *re)
{
    re->names = (struct lp_str *)lp_calloc((size_t)re->groups + 1, sizeof(re->names[0]));
    for (const auto &entry : re->re.CapturingGroupNames()) {
        re->names[entry.first] = lp_str_of(entry.second.data(), entry.second.size());
    }
}

lp_rc
lp_regex_new(struct lp_str pattern, struct lp_regex **ret, struct lp_err *err)
{
    if (pattern.n > LP_REGEX_PATTERN_MAX) {
        return lp_err_set(err, LP_ERR_LIMIT, "the regular expression is longer than %d bytes",
                          LP_REGEX_PATTERN_MAX);
    }
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(LP_PROGRAM_BYTES);
    struct lp_regex *re =
        new (lp_malloc(sizeof(*re))) lp_regex(re2::StringPiece(pattern.p, pattern.n), options);
    lp_regex_lits_init(&re->lits, re->re.ok() ? pattern : LP_STR_NULL);
    re->names = nullptr;
    re->groups = 0;
    if (!re->re.ok()) {
        lp_rc rc = compile_failed(re->re, err);
        lp_regex_free(re);
        return rc;
    }
    re->groups = re->re.NumberOfCapturingGroups();
    collect_names(re);
    *ret = re;
    return LP_OK;
}

void
lp_regex_free(struct lp_regex *re)
{
    if (re == nullptr) {
        return;
    }
    lp_regex_lits_clear(&re->lits);
    for (const struct hs_form &form : re->forms) {
        lp_hs_free(form.hs);
    }
    lp_free(re->names);
    re->~lp_regex();
    lp_free(re);
}

/* Matches valid UTF-8. */
static bool
match_valid(const struct lp_regex *re, struct lp_str text, RE2::Anchor anchor, re2::StringPiece *groups,
            int n)
{
    return re->re.Match(re2::StringPiece(text.p, text.n), 0, text.n, anchor, groups, n);
}

/* The place in `text` of byte `at` of its copy with replacements. */
static size_t
place_in_text(struct lp_str text, size_t at)
{
    size_t i = 0, copied = 0;
    while (i < text.n && copied < at) {
        size_t len = lp_utf8_len(text.p + i, text.n - i);
        copied += len > 0 ? len : 3;
        i += len > 0 ? len : 1;
    }
    return i;
}

/* Matches bytes that are not UTF-8, on a copy. */
static bool
match_replaced(const struct lp_regex *re, struct lp_str text, RE2::Anchor anchor, re2::StringPiece *groups,
               int n)
{
    struct lp_arena ar;
    lp_arena_init(&ar, SIZE_MAX, 0);
    struct lp_str copy = lp_utf8_replace(&ar, text);
    if (copy.p == nullptr) {
        copy = text; /* no memory for a copy: then a bad byte matches nothing */
    }
    bool found = match_valid(re, copy, anchor, groups, n);
    for (int i = 0; found && copy.p != text.p && i < n; i++) {
        if (groups[i].data() != nullptr) {
            size_t from = (size_t)(groups[i].data() - copy.p), to = from + groups[i].size();
            from = place_in_text(text, from);
            to = place_in_text(text, to);
            groups[i] = re2::StringPiece(text.p + from, to - from);
        }
    }
    lp_arena_clear(&ar);
    return found;
}

static bool
match(const struct lp_regex *re, struct lp_str text, RE2::Anchor anchor, re2::StringPiece *groups, int n)
{
    if (text.p == nullptr) {
        text.p = ""; /* so that an empty group is not taken for an unmatched one */
    }
    return LP_LIKELY(lp_utf8_valid(text)) ? match_valid(re, text, anchor, groups, n)
                                          : match_replaced(re, text, anchor, groups, n);
}

bool
lp_regex_search_re2(const struct lp_regex *re, struct lp_str text)
{
    return match(re, text, RE2::UNANCHORED, nullptr, 0);
}

static void
make_form(const struct lp_regex *re, bool utf8)
{
    struct hs_form *form = &re->forms[utf8];
    int counting = HS_COUNTING;
    if (form->state.compare_exchange_strong(counting, HS_MAKING)) {
        const std::string &pattern = re->re.pattern();
        form->hs.store(lp_hs_new(lp_str_of(pattern.data(), pattern.size()), utf8), std::memory_order_release);
        form->state.store(HS_DONE);
    }
}

void
lp_regex_prepare(const struct lp_regex *re)
{
    make_form(re, false);
    make_form(re, true);
}

bool
lp_regex_uses_hs(const struct lp_regex *re, bool utf8)
{
    return re->forms[utf8].hs.load() != nullptr;
}

/* Hyperscan's form for such texts, if there is one yet. */
static const struct lp_hs *
hs_form_for(const struct lp_regex *re, bool utf8, size_t bytes)
{
    struct hs_form *form = &re->forms[utf8];
    struct lp_hs *hs = form->hs.load(std::memory_order_acquire);
    if (LP_LIKELY(hs != nullptr) || form->state.load(std::memory_order_relaxed) != HS_COUNTING) {
        return hs;
    }
    /* threads that add at once may lose some: it need not be exact */
    size_t searched = form->searched_bytes.load(std::memory_order_relaxed) + bytes;
    form->searched_bytes.store(searched, std::memory_order_relaxed);
    if (searched >= LP_HS_AFTER_BYTES + re->re.pattern().size() * LP_HS_AFTER_PATTERN_BYTES) {
        make_form(re, utf8);
    }
    return form->hs.load(std::memory_order_acquire);
}

bool
lp_regex_search_engine(const struct lp_regex *re, struct lp_str text)
{
    bool ascii = lp_all_ascii(text);
    if (text.n == 0 || (!ascii && !lp_utf8_valid(text))) {
        return lp_regex_search_re2(re, text);
    }
    const struct lp_hs *hs = hs_form_for(re, !ascii, text.n);
    int found = hs != nullptr ? lp_hs_search(hs, text) : -1;
    if (found == 0 || (found > 0 && lp_hs_decides(hs))) {
        return found > 0;
    }
    return match_valid(re, text, RE2::UNANCHORED, nullptr, 0);
}

bool
lp_regex_search(const struct lp_regex *re, struct lp_str text)
{
    int literals = lp_regex_need_test(&re->lits.need, text);
    return literals != 0 ? literals > 0 : lp_regex_search_engine(re, text);
}

bool
lp_regex_full(const struct lp_regex *re, struct lp_str text)
{
    return match(re, text, RE2::ANCHOR_BOTH, nullptr, 0);
}

struct lp_str
lp_regex_prefix(const struct lp_regex *re)
{
    return re->lits.prefix;
}

struct lp_str
lp_regex_literal(const struct lp_regex *re)
{
    return re->lits.literal;
}

const struct lp_regex_need *
lp_regex_needs(const struct lp_regex *re)
{
    return &re->lits.need;
}

int
lp_regex_groups(const struct lp_regex *re)
{
    return re->groups;
}

struct lp_str
lp_regex_group_name(const struct lp_regex *re, int i)
{
    return i >= 1 && i <= re->groups ? re->names[i] : LP_STR_NULL;
}

bool
lp_regex_captures(const struct lp_regex *re, struct lp_str text, struct lp_str *groups, int n)
{
    re2::StringPiece found[LP_REGEX_GROUPS_MAX];
    n = LP_MIN(n, LP_REGEX_GROUPS_MAX);
    if (!match(re, text, RE2::UNANCHORED, found, n)) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        groups[i] = lp_str_of(found[i].data(), found[i].size());
    }
    return true;
}

bool
lp_regex_captures_from(const struct lp_regex *re, struct lp_str text, size_t from, struct lp_str *groups,
                       int n)
{
    re2::StringPiece found[LP_REGEX_GROUPS_MAX];
    n = LP_MIN(n, LP_REGEX_GROUPS_MAX);
    const re2::StringPiece all(text.p != nullptr ? text.p : "", text.n);
    if (from > text.n || !re->re.Match(all, from, text.n, RE2::UNANCHORED, found, n)) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        groups[i] = lp_str_of(found[i].data(), found[i].size());
    }
    return true;
}
