/*
 * template_print.c - expressions back to text, as Go's error texts show where they happened.
 */
#include "query/template_int.h"
#include "query/text.h"

static void
print_list(struct lp_buf *out, const struct lp_tnode *list, const char *between)
{
    for (const struct lp_tnode *n = list; n != NULL; n = n->next) {
        bool parens = n->kind == TN_PIPE;
        lp_buf_c(out, n != list ? between : "");
        lp_buf_c(out, parens ? "(" : "");
        lp_tnode_print(out, n);
        lp_buf_c(out, parens ? ")" : "");
    }
}

static void
print_pipe(struct lp_buf *out, const struct lp_tnode *n)
{
    for (unsigned i = 0; i < n->nvars; i++) {
        lp_buf_c(out, i > 0 ? ", " : "");
        lp_buf_str(out, n->vars[i].name);
    }
    if (n->nvars > 0) {
        lp_buf_c(out, n->assigns ? " = " : " := ");
    }
    print_list(out, n->commands, " | ");
}

static void
print_fields(struct lp_buf *out, const struct lp_tnode *n)
{
    if (n->kind == TN_VARIABLE) {
        lp_buf_str(out, n->var.name);
    } else if (n->kind == TN_CHAIN) {
        print_list(out, n->term, "");
    } else if (n->kind == TN_FUNCTION) {
        lp_buf_c(out, n->func->name);
    }
    for (uint32_t i = 0; i < n->nnames; i++) {
        lp_buf_byte(out, '.');
        lp_buf_str(out, n->names[i]);
    }
}

static void
print_template(struct lp_buf *out, const struct lp_tnode *n)
{
    lp_buf_c(out, "{{template ");
    lp_text_quote(out, n->name);
    if (n->pipe != NULL) {
        lp_buf_byte(out, ' ');
        lp_tnode_print(out, n->pipe);
    }
    lp_buf_c(out, "}}");
}

/* Parsing bounds the depth of what it goes down into. */
void
lp_tnode_print(struct lp_buf *out, const struct lp_tnode *n)
{
    switch (n->kind) {
    case TN_PIPE:
        print_pipe(out, n);
        break;
    case TN_COMMAND:
        print_list(out, n->args, " ");
        break;
    case TN_DOT:
        lp_buf_byte(out, '.');
        break;
    case TN_NIL:
        lp_buf_c(out, "nil");
        break;
    case TN_BOOL:
    case TN_NUMBER:
    case TN_STRING:
        lp_buf_str(out, n->source);
        break;
    case TN_FIELD:
    case TN_VARIABLE:
    case TN_CHAIN:
    case TN_FUNCTION:
        print_fields(out, n);
        break;
    case TN_TEMPLATE:
        print_template(out, n);
        break;
    case TN_TEXT:
    case TN_ACTION:
    case TN_IF:
    case TN_WITH:
    case TN_RANGE:
    case TN_BREAK:
    case TN_CONTINUE:
        break; /* no error stands at one of these */
    }
}
