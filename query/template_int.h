/*
 * template_int.h - Go templates inside: tokens, the tree, values, and what a run carries along.
 *
 * The way of a template: template_lex.c cuts the text into tokens, template_parse.c and template_term.c make the tree of them, which never
 * changes again; template_walk.c runs statements, template_eval.c expressions, by functions that template_func*.c hold in tables.
 *
 * A run that fails says why once, in lp_trun.err, and every function on the way up returns false (or TW_FAIL).
 */
#ifndef LP_QUERY_TEMPLATE_INT_H
#define LP_QUERY_TEMPLATE_INT_H

#include "query/gotime.h"
#include "query/template.h"

/* ---------------------------------------------------------------- tokens */

enum lp_ttoken_type {
    TT_ERROR, /* lp_ttokens.error says what */
    TT_EOF,
    TT_TEXT, /* outside of {{ }} */
    TT_OPEN,
    TT_CLOSE,
    TT_SPACE,
    TT_ASSIGN,  /* = */
    TT_DECLARE, /* := */
    TT_PIPE,
    TT_LPAREN,
    TT_RPAREN,
    TT_BOOL,
    TT_CHAR_CONST,
    TT_NUMBER,
    TT_STRING,
    TT_RAW_STRING,
    TT_FIELD,    /* .name */
    TT_VARIABLE, /* $name */
    TT_NAME,     /* a function's */
    TT_CHAR,     /* any other */
    TT_DOT,
    TT_NIL,
    /* From here on: words of statements. */
    TT_BLOCK,
    TT_BREAK,
    TT_CONTINUE,
    TT_DEFINE,
    TT_ELSE,
    TT_END,
    TT_IF,
    TT_RANGE,
    TT_TEMPLATE,
    TT_WITH,
};

struct lp_ttoken {
    enum lp_ttoken_type type;
    uint32_t pos, n; /* in the text */
    uint32_t line;   /* where it begins, from 1 */
};

struct lp_ttokens {
    struct lp_ttoken *items; /* the last is TT_EOF or TT_ERROR */
    size_t n;
    char error[96];
};

/* All tokens of the text. LP_ERR_LIMIT when the arena is spent; what is no token at all becomes TT_ERROR. */
lp_rc lp_template_lex(struct lp_str text, struct lp_arena *ar, struct lp_ttokens *ret);

/* ---------------------------------------------------------------- values */

enum lp_tkind {
    TV_NONE, /* no value at all: printed as <no value> */
    TV_NIL,  /* a null of JSON, or a literal nil */
    TV_BOOL,
    TV_INT, /* of an lp_ttype */
    TV_FLOAT,
    TV_STRING,
    TV_LIST,
    TV_MAP,    /* of JSON */
    TV_LABELS, /* of the row */
    TV_TIME,
};

enum lp_ttype { TI_INT, TI_INT64, TI_UINT8, TI_MONTH, TI_WEEKDAY, TI_DURATION };

struct lp_tval;

struct lp_tentry; /* a key of a map and its value */

struct lp_tlist {
    const struct lp_tval *items;
    size_t n;
};

struct lp_tmap {
    const struct lp_tentry *entries; /* by rising key, each once */
    size_t n;
};

struct lp_tlabels {
    const struct lp_pair *pairs; /* by rising name, each once */
    size_t n;
};

/* A value. Strings, lists and maps lie in the run's arena, the row or the template. */
struct lp_tval {
    enum lp_tkind kind;
    enum lp_ttype type; /* TV_INT */
    bool boxed;         /* an element of a list or map of anything: error texts call its type "interface {}" */
    union {
        bool b;
        int64_t i;
        double f;
        struct lp_str s;
        struct lp_tlist list;
        struct lp_tmap map;
        struct lp_tlabels labels;
        const struct lp_gotime *time;
    };
};

struct lp_tentry {
    struct lp_str key;
    struct lp_tval value;
};

static inline struct lp_tval
lp_tv_str(struct lp_str s)
{
    return (struct lp_tval){.kind = TV_STRING, .s = s};
}

static inline struct lp_tval
lp_tv_int(enum lp_ttype type, int64_t i)
{
    return (struct lp_tval){.kind = TV_INT, .type = type, .i = i};
}

static inline struct lp_tval
lp_tv_float(double f)
{
    return (struct lp_tval){.kind = TV_FLOAT, .f = f};
}

static inline struct lp_tval
lp_tv_bool(bool b)
{
    return (struct lp_tval){.kind = TV_BOOL, .b = b};
}

/* Go's name of its type. Static. */
const char *lp_tv_type(const struct lp_tval *v);
/* Is it true for `if`? */
bool lp_tv_true(const struct lp_tval *v);
/* Elements of a list, map, labels; bytes of a string; else 0. */
size_t lp_tv_len(const struct lp_tval *v);

/* The label, "" where there is none. */
struct lp_str lp_tlabels_get(const struct lp_tlabels *labels, struct lp_str name);
/* The value of a key; NULL without. */
const struct lp_tval *lp_tmap_get(const struct lp_tmap *map, struct lp_str key);

/* ---------------------------------------------------------------- the tree */

enum lp_tnode_kind {
    TN_TEXT,
    TN_ACTION,
    TN_IF,
    TN_WITH,
    TN_RANGE,
    TN_TEMPLATE,
    TN_BREAK,
    TN_CONTINUE,
    /* expressions */
    TN_PIPE,
    TN_COMMAND,
    TN_DOT,
    TN_NIL,
    TN_BOOL,
    TN_NUMBER,
    TN_STRING,
    TN_FIELD,
    TN_VARIABLE,
    TN_CHAIN,
    TN_FUNCTION,
};

struct lp_tfunc;
struct lp_tdef;

#define LP_TVAR_ROOT 0 /* the number of $ */

struct lp_tvar {
    uint32_t id; /* equal names have one number */
    struct lp_str name;
};

struct lp_tnode {
    enum lp_tnode_kind kind;
    uint32_t pos;          /* what error texts point at */
    struct lp_tnode *next; /* in a list of statements, commands or arguments */
    union {
        struct lp_str text; /* TEXT */
        struct {            /* ACTION, IF, WITH, RANGE, TEMPLATE */
            struct lp_tnode *pipe; /* TEMPLATE: may be NULL */
            struct lp_tnode *body, *otherwise;
            struct lp_str name;         /* TEMPLATE */
            const struct lp_tdef *def;  /* TEMPLATE: NULL where nothing of this name is defined */
        };
        struct { /* PIPE */
            struct lp_tnode *commands;
            struct lp_tvar vars[2];
            unsigned nvars;
            bool assigns; /* else it declares */
        };
        struct { /* COMMAND: what is called or taken, and its arguments */
            struct lp_tnode *args;
            uint32_t nargs; /* with the first */
        };
        struct { /* BOOL, NUMBER, STRING */
            struct lp_str source;
            struct lp_tval value; /* NUMBER: what it is where any type will do; TV_NONE: it fits no int */
            bool is_int;          /* NUMBER: it may stand for an int */
            int64_t as_int;
            double as_float;
        };
        struct { /* FIELD, VARIABLE, CHAIN, FUNCTION */
            struct lp_str *names; /* of fields, in their order */
            uint32_t nnames;
            struct lp_tvar var;     /* VARIABLE */
            struct lp_tnode *term;  /* CHAIN: what the fields are of */
            const struct lp_tfunc *func; /* FUNCTION */
            struct lp_regex *regex; /* FUNCTION: made of a constant argument */
            struct lp_zone *zone;   /* likewise */
        };
    };
};

/* A template of the text: its own, or one of {{define}}. */
struct lp_tdef {
    struct lp_str name;
    struct lp_tnode *body;
    struct lp_tdef *next;
};

struct lp_json_parser;

struct lp_template {
    struct lp_arena ar; /* everything but regexes, zones and the parser */
    struct lp_str name, text;
    const struct lp_tdef *main;
    struct lp_tdef *defs;
    struct lp_tnode **owners; /* FUNCTION nodes that have a regex or a zone */
    size_t nowners, owners_cap;
    struct lp_str *reads; /* names of fields, rising */
    size_t nreads, reads_cap;
    bool reads_all;
    struct lp_json_parser *json; /* one that nobody uses now, or NULL; taken and given back atomically */
};

/* Makes the tree of t->text into t. LP_ERR_PARSE with Go's reason; LP_ERR_LIMIT. */
lp_rc lp_template_parse(struct lp_template *t, struct lp_err *err);
/* Takes and gives back the parser of JSON. */
struct lp_json_parser *lp_template_json(const struct lp_template *t);
void lp_template_json_done(const struct lp_template *t, struct lp_json_parser *p);

/* The tree back to text, as error texts show it. */
void lp_tnode_print(struct lp_buf *out, const struct lp_tnode *n);

/* ---------------------------------------------------------------- the parser */

struct lp_tparser {
    struct lp_template *t;
    struct lp_arena scratch; /* tokens and names of variables */
    struct lp_ttokens tokens;
    size_t at;   /* the next token */
    size_t seen; /* behind the last one looked at, whose line errors name */
    struct lp_tvar *vars; /* that may be used now */
    size_t nvars, vars_cap;
    struct lp_str *var_names; /* by number */
    size_t nvar_names, var_names_cap;
    struct lp_tnode **calls; /* TEMPLATE nodes */
    size_t ncalls, calls_cap;
    uint32_t action_line; /* where the action began that is being read; 0: none */
    unsigned depth, range_depth;
    bool dot_is_root; /* may `.` be the labels here? */
    lp_rc rc;
    struct lp_err *err;
};

/* These set the error and return NULL or false. */
void *lp_tparser_fail(struct lp_tparser *p, const char *fmt, ...) LP_PRINTF(2, 3);
void *lp_tparser_spent(struct lp_tparser *p);
void *lp_tparser_unexpected(struct lp_tparser *p, const struct lp_ttoken *tok, const char *context);
bool lp_tparser_deeper(struct lp_tparser *p);

const struct lp_ttoken *lp_tparser_next(struct lp_tparser *p);
const struct lp_ttoken *lp_tparser_peek(struct lp_tparser *p);
const struct lp_ttoken *lp_tparser_next_nonspace(struct lp_tparser *p);
const struct lp_ttoken *lp_tparser_peek_nonspace(struct lp_tparser *p);
void lp_tparser_back(struct lp_tparser *p);
struct lp_str lp_tparser_text(const struct lp_tparser *p, const struct lp_ttoken *tok);
struct lp_tnode *lp_tparser_node(struct lp_tparser *p, enum lp_tnode_kind kind, uint32_t pos);

/* A pipeline up to `end`, which is taken. context: what it stands in, for error texts ("if", "range", "command" ...). */
struct lp_tnode *lp_tparser_pipeline(struct lp_tparser *p, const char *context, enum lp_ttoken_type end);
/* What a string token says. */
bool lp_tparser_string(struct lp_tparser *p, const struct lp_ttoken *tok, struct lp_str *ret);
/* NUMBER and CHAR_CONST into a node. */
bool lp_tparser_number(struct lp_tparser *p, const struct lp_ttoken *tok, struct lp_tnode *n);

/* ---------------------------------------------------------------- a run */

struct lp_tslot {
    uint32_t id;
    struct lp_tval value;
};

#define LP_TRUN_SLOTS 8 /* variables without memory of the arena */
#define LP_TRUN_REGEX_MAX 8
#define LP_TRUN_ZONES_MAX 8

struct lp_tregex {
    struct lp_str pattern;
    struct lp_regex *re;
};

struct lp_tzone {
    struct lp_str name;
    struct lp_zone *zone; /* NULL: there is none of the name */
};

struct lp_trun {
    const struct lp_template *t;
    const struct lp_template_row *row;
    struct lp_arena *ar;
    struct lp_buf *out;
    struct lp_err *err;
    lp_rc rc;
    const struct lp_tdef *def;   /* that is running */
    const struct lp_tnode *at;   /* what error texts show */
    struct lp_tslot *slots;      /* of variables; those of the running template begin at `base` */
    size_t nslots, slots_cap, base;
    unsigned depth;
    uint32_t steps; /* left */
    struct lp_tregex regexes[LP_TRUN_REGEX_MAX]; /* not known before the run */
    size_t nregexes;
    struct lp_tzone zones[LP_TRUN_ZONES_MAX];
    size_t nzones;
    struct lp_tslot first_slots[LP_TRUN_SLOTS];
};

enum lp_tflow { TW_ON, TW_BREAK, TW_CONTINUE, TW_FAIL };

/* Runs statements; dot is `.`. */
enum lp_tflow lp_trun_walk(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *list);
bool lp_trun_pipe(struct lp_trun *x, const struct lp_tval *dot, const struct lp_tnode *pipe, struct lp_tval *ret);

/* Where the run stands now fails: Go's text around the reason. False. */
bool lp_trun_fail(struct lp_trun *x, const char *fmt, ...) LP_PRINTF(2, 3);
/* It costs too much. False. */
bool lp_trun_limit(struct lp_trun *x, const char *what);
/* Takes steps for one more piece of work that looks at so many bytes. */
bool lp_trun_charge(struct lp_trun *x, size_t bytes);
/* One level deeper; to be undone by x->depth--. */
bool lp_trun_deeper(struct lp_trun *x);
bool lp_trun_push(struct lp_trun *x, uint32_t id, const struct lp_tval *v);
bool lp_trun_assign(struct lp_trun *x, const struct lp_tvar *var, const struct lp_tval *v);

/*
 * Text is written behind what out holds, and then taken from there: x->out->n before is the mark. False: over a limit.
 */
bool lp_trun_take(struct lp_trun *x, size_t mark, struct lp_tval *ret);

/* ---------------------------------------------------------------- functions */

struct lp_tcall {
    struct lp_trun *x;
    const struct lp_tfunc *func;
    const struct lp_tval *args;
    size_t nargs;
    const struct lp_tnode *node; /* of the call, for errors */
    const struct lp_tnode *name; /* the FUNCTION node, NULL for a method */
};

/*
 * A function: `params` has a letter for the type of each parameter: s string, i int, f float64, a anything, v anything or no value, t a time,
 * d a duration; a '+' behind the last one: any number of it. `which` tells functions apart that share code. The arguments given to fn fit.
 */
struct lp_tfunc {
    const char *name;
    const char *params;
    bool (*fn)(const struct lp_tcall *c, struct lp_tval *ret);
    int which;
};

enum { LP_TFUNC_AND = 1, LP_TFUNC_OR }; /* `which` of what does not evaluate all of its arguments; fn is NULL */

/* Tables, ended by a NULL name. */
extern const struct lp_tfunc lp_tfuncs_builtin[], lp_tfuncs_text[], lp_tfuncs_regex[], lp_tfuncs_math[], lp_tfuncs_time[], lp_tfuncs_json[];

const struct lp_tfunc *lp_tfunc_find(struct lp_str name);
/* A method of a time or a named int; args[0] of its call is the receiver, which `params` does not count. */
const struct lp_tfunc *lp_tmethod_find(const struct lp_tval *receiver, struct lp_str name);
/* Which argument of the function is a regex or a zone's name; -1: none. */
int lp_tfunc_regex_arg(const struct lp_tfunc *f);
int lp_tfunc_zone_arg(const struct lp_tfunc *f);

/* The function fails: "error calling NAME: reason". False. */
bool lp_tcall_fail(const struct lp_tcall *c, const char *fmt, ...) LP_PRINTF(2, 3);

/* ---------------------------------------------------------------- text of values */

/* As Go's %v. */
void lp_tv_print(struct lp_buf *out, const struct lp_tval *v);
/* As fmt.Sprint and fmt.Sprintln. */
void lp_tv_print_all(struct lp_buf *out, const struct lp_tval *args, size_t n, bool line);
/* As fmt.Sprintf. False: it does not fit. */
void lp_tv_printf(struct lp_buf *out, struct lp_str format, const struct lp_tval *args, size_t n);
/* As Go's url.QueryEscape. */
void lp_turl_encode(struct lp_buf *out, struct lp_str s);
/* A rune as Go's %#U shows it: U+0041 'A'. */
void lp_trune_print(struct lp_buf *out, uint32_t cp);

#endif
