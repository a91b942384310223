/*
 * cmd_push.c - `logpond push`: sends files, folders of container logs and standard input to a server.
 *
 * Ctrl-C ends it after the request under way (a second one at once). What was stored stays stored; the same
 * command run again within ten minutes goes over it without storing anything twice.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/cli.h"
#include "server/cmd_push_int.h"
#include "server/server.h"

#define RETRY_FOR_NS (120 * LP_NS_PER_S)
#define PIPE_GRACE_NS (2 * LP_NS_PER_S)
#define EXIT_INTERRUPTED 130

static const char help[] =
    "usage: logpond push [OPTIONS] [FILE|FOLDER|PATTERN|-]...\n"
    "\n"
    "Sends log files to a server, each line one record. Without arguments, or for -, standard input.\n"
    "\n"
    "  Folders        all files below them, gzip and zstd too; binary files are passed over\n"
    "  Labels         /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log and /var/log/containers/*.log: "
    "namespace,\n"
    "                 pod, container, stream; other files: filename, node (this host) and job=\"push\"\n"
    "  Times          that of container log lines (CRI, Docker's json-file); else the time that a line "
    "begins\n"
    "                 with (2026-01-02 03:04:05 or Jan  2 03:04:05; local time where it names no zone), else "
    "that\n"
    "                 of the line before, else now\n"
    "  Running again  stores nothing twice within ten minutes; later it does\n"
    "\n"
    "  --server URL         the server (default $LOGPOND_SERVER, else http://127.0.0.1:3100)\n"
    "  --label NAME=VALUE   one more label for all lines, or another value for one; empty drops it; may be "
    "repeated\n"
    "  --tenant NAME        for servers that keep tenants apart\n"
    "  --retry-for TIME     how long a busy or missing server is waited for (default 2m)\n"
    "  -q, --quiet          no progress and no summary\n"
    "\n"
    "Exit status: 0 all is stored, 1 something is not, 2 wrong usage, 130 interrupted.\n";

enum { OPT_SERVER = 'S', OPT_LABEL = 'L', OPT_TENANT = 'T', OPT_RETRY = 'R', OPT_QUIET = 'Q' };

static const struct lp_cli_option options[] = {
    {"server", OPT_SERVER, true, 0},   {"label", OPT_LABEL, true, 0},    {"tenant", OPT_TENANT, true, 0},
    {"retry-for", OPT_RETRY, true, 0}, {"quiet", OPT_QUIET, false, 'q'},
};

struct push {
    const char *server, *tenant;
    bool quiet;
    int64_t retry_for_ns;
    struct lp_pair own[LP_PUSH_LABELS_MAX]; /* --label */
    size_t nown;
    struct lp_push_files files;
    char node[256];
    struct lp_client *client;
    struct lp_progress progress;
    struct lp_push_sender sender;
    struct lp_push_batch batch;
    uint64_t read_before; /* bytes of the files that are done */
    uint64_t lines, bytes, stored_files, binary, failed, cut;
    int64_t grace_until_ns; /* once interrupted: how long a pipe is still read; 0: not yet */
    bool fatal;             /* no use in going on */
};

/* --- command line --- */

static bool
is_label_name(struct lp_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char b = s.p[i];
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_';
        if (!letter && (i == 0 || b < '0' || b > '9')) {
            return false;
        }
    }
    return s.n > 0;
}

static lp_rc
take_label(struct push *p, const char *text, struct lp_err *err)
{
    struct lp_str value = lp_str_c(text);
    bool equals = lp_str_find_byte(value, '=') != SIZE_MAX;
    struct lp_str name = lp_str_cut(&value, '=');
    if (!equals || !is_label_name(name)) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "--label %s: NAME=VALUE is expected, NAME of letters, digits and _", text);
    }
    if (p->nown == LP_PUSH_LABELS_MAX / 2) {
        return lp_err_set(err, LP_ERR_LIMIT, "more than %d labels", LP_PUSH_LABELS_MAX / 2);
    }
    p->own[p->nown++] = (struct lp_pair){name, value};
    return LP_OK;
}

static lp_rc
take_option(struct push *p, int id, const char *value, struct lp_err *err)
{
    switch (id) {
    case OPT_SERVER:
        p->server = value;
        break;
    case OPT_TENANT:
        p->tenant = value;
        break;
    case OPT_QUIET:
        p->quiet = true;
        break;
    case OPT_LABEL:
        return take_label(p, value, err);
    case OPT_RETRY:
        if (!lp_duration(lp_str_c(value), &p->retry_for_ns) || p->retry_for_ns < 0) {
            return lp_err_set(err, LP_ERR_PARSE, "--retry-for %s: a time like 30s or 5m is expected", value);
        }
        break;
    default:
        LP_ASSERT(false);
    }
    return LP_OK;
}

static void
cannot_read(void *arg, const char *path, const char *why)
{
    struct push *p = arg;
    p->failed++;
    lp_progress_say(&p->progress, "logpond push: %s: %s", path, why);
}

/* Options, and the files that the arguments name. -1 to go on, else the exit status. */
static int
read_arguments(struct push *p, int argc, char **argv)
{
    struct lp_cli cli = {.argc = argc, .argv = argv};
    struct lp_err err;
    size_t arguments = 0;
    lp_err_clear(&err);
    for (;;) {
        const char *value;
        int id = lp_cli_next(&cli, options, LP_ARRAY_LEN(options), &value, &err);
        if (id == LP_CLI_END) {
            break;
        }
        if (id == LP_CLI_HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (id == LP_CLI_ARGUMENT) {
            arguments++;
            (void)lp_push_find(&p->files, value, cannot_read, p); /* counted by cannot_read */
        } else if (id == LP_CLI_WRONG || take_option(p, id, value, &err) != LP_OK) {
            lp_cli_complain("push", &err);
            return 2;
        }
    }
    if (arguments == 0 && isatty(STDIN_FILENO)) {
        fputs(help, stderr);
        return 2;
    }
    if (arguments == 0) {
        (void)lp_push_find(&p->files, "-", cannot_read, p);
    }
    lp_push_files_once(&p->files);
    return -1;
}

/* --- one file --- */

struct names {
    char resolved[PATH_MAX], folder[PATH_MAX], filename[2 * PATH_MAX];
};

/* The path from the root, links in its folders resolved, the name itself as it was given. */
static const char *
full_name(const char *path, struct names *n)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof(n->folder)) {
        return path;
    }
    memcpy(n->folder, slash == NULL ? "." : path, len);
    n->folder[len] = 0;
    if (realpath(n->folder, n->resolved) == NULL) {
        return path;
    }
    snprintf(n->filename, sizeof(n->filename), "%s/%s", strcmp(n->resolved, "/") == 0 ? "" : n->resolved,
             base);
    return n->filename;
}

/* Slices borrow from the file, n and p. */
static void
make_labels(const struct push *p, const struct lp_push_file *f, struct names *n, struct lp_push_labels *l)
{
    struct lp_pod_path pod;
    const char *name = f->path == NULL ? "stdin" : full_name(f->path, n);
    bool told = f->path != NULL && lp_pod_path_parse(lp_str_c(name), &pod);
    *l = (struct lp_push_labels){.n = 0};
    if (f->path != NULL && (!told || pod.inst.uid.n == 0) && realpath(f->path, n->resolved) != NULL) {
        told = lp_pod_path_parse(lp_str_c(n->resolved), &pod) ||
               told; /* /var/log/containers links to /var/log/pods */
    }
    if (told) {
        (void)lp_push_label(l, LP_STR("namespace"), pod.namespace); /* an empty table has room */
        (void)lp_push_label(l, LP_STR("pod"), pod.pod);
        (void)lp_push_label(l, LP_STR("container"), pod.container);
        l->inst = pod.inst;
    } else {
        (void)lp_push_label(l, LP_STR("filename"), lp_str_c(name));
        (void)lp_push_label(l, LP_STR("node"), lp_str_c(p->node));
        (void)lp_push_label(l, LP_STR("job"), LP_STR("push"));
    }
    for (size_t i = 0; i < p->nown; i++) {
        (void)lp_push_label(l, p->own[i].name, p->own[i].value); /* at most half of the table */
    }
}

struct one_file {
    const struct lp_push_file *file;
    struct lp_lines *lines;
    struct lp_push_records records;
    struct lp_push_labels labels;
    struct lp_buf identity;
    uint64_t end; /* offset behind the lines read so far */
};

static lp_rc
send_batch(struct push *p, struct one_file *o, struct lp_err *err)
{
    uint64_t lines = p->batch.lines, bytes = o->end - p->batch.from;
    if (lines == 0) {
        return LP_OK;
    }
    lp_buf_reset(&o->identity);
    lp_lines_identity(o->lines, &o->identity);
    lp_rc rc = lp_push_send(&p->sender, &p->batch, &o->labels, lp_buf_view(&o->identity), o->end, err);
    if (rc == LP_OK) {
        p->lines += lines;
        p->bytes += bytes;
        lp_progress_at(&p->progress, p->read_before + lp_lines_read_bytes(o->lines));
    }
    p->fatal = rc != LP_OK && rc != LP_ERR_PARSE && rc != LP_ERR_LIMIT;
    return rc;
}

static lp_rc
add_record(struct push *p, const struct lp_push_record *r, struct lp_err *err)
{
    if (!lp_push_batch_add(&p->batch, r)) {
        p->fatal = true;
        return lp_err_set(err, LP_ERR_NOMEM, "no memory for a batch");
    }
    return LP_OK;
}

/* Whether an interruption ends the reading: a file at once, it can be read again; a pipe when it ends, soon
 * after. */
static bool
stop_reading(struct push *p, const struct one_file *o)
{
    if (!lp_cli_interrupted || o->file->regular) {
        return lp_cli_interrupted;
    }
    p->grace_until_ns = p->grace_until_ns > 0 ? p->grace_until_ns : lp_mono_ns() + PIPE_GRACE_NS;
    return lp_mono_ns() > p->grace_until_ns;
}

static lp_rc
send_lines(struct push *p, struct one_file *o, struct lp_err *err)
{
    struct lp_push_record r;
    lp_rc rc = LP_OK;
    bool more = true;
    while (rc == LP_OK && !stop_reading(p, o)) {
        struct lp_line line;
        rc = lp_lines_next(o->lines, &line, &more, err);
        if (rc == LP_ERR_TIMEOUT) { /* a pipe rests: what came of it so far need not wait */
            rc = send_batch(p, o, err);
            continue;
        }
        if (rc != LP_OK || !more) {
            break;
        }
        o->end = line.end;
        p->cut += line.cut;
        if (lp_push_records_line(&o->records, line.text, &r)) {
            rc = add_record(p, &r, err);
        }
        if (rc == LP_OK && lp_push_batch_bytes(&p->batch) >= LP_PUSH_BATCH_BYTES) {
            rc = send_batch(p, o, err);
        }
    }
    while (rc == LP_OK && !more && lp_push_records_rest(&o->records, &r)) {
        rc = add_record(p, &r, err);
    }
    return rc;
}

/*
 * What is left at the end of the lines, in the range that it will always have. After an interruption a file's
 * last batch is not whole: under another range it would be stored once more by the next run. A pipe has no
 * next run, and loses nothing.
 */
static lp_rc
send_rest(struct push *p, struct one_file *o, lp_rc rc, struct lp_err *err)
{
    struct lp_err last;
    if (p->fatal || (rc != LP_OK && rc != LP_ERR_PARSE) || (lp_cli_interrupted && o->file->regular)) {
        return rc;
    }
    lp_err_clear(&last);
    lp_rc sent = send_batch(p, o, &last);
    if (rc != LP_OK || sent == LP_OK) {
        return rc; /* what stands before damaged compressed data is good, the data is still damaged */
    }
    *err = last;
    return sent;
}

static void
report(struct push *p, const char *name, lp_rc rc, const struct lp_err *err, bool nothing_sent)
{
    if (rc == LP_OK) {
        p->stored_files += !lp_cli_interrupted;
    } else if (rc == LP_ERR_UNSUPPORTED && nothing_sent) {
        p->binary++;
    } else if (rc != LP_ERR_CANCELED) {
        p->failed++;
        lp_progress_say(&p->progress, "logpond push: %s: %s", name, err->text);
    }
}

static void
push_file(struct push *p, const struct lp_push_file *f)
{
    struct names *names = lp_malloc(sizeof(*names));
    struct one_file o = {.file = f};
    struct lp_err err;
    p->sender.stop =
        f->regular ? &lp_cli_interrupted : NULL; /* what came out of a pipe is sent: it cannot be read again */
    lp_client_stop_on(p->client, p->sender.stop);
    lp_err_clear(&err);
    lp_push_records_init(&o.records, f->changed_ns);
    lp_buf_init(&o.identity, 256);
    make_labels(p, f, names, &o.labels);
    lp_push_batch_clear(&p->batch);
    lp_push_batch_init(&p->batch);
    lp_rc rc = lp_lines_open(f, &o.lines, &err);
    if (rc == LP_OK) {
        rc = send_lines(p, &o, &err);
        rc = send_rest(p, &o, rc, &err);
    }
    report(p, f->path != NULL ? f->path : "standard input", rc, &err, o.end == 0);
    p->read_before += f->bytes;
    lp_progress_at(&p->progress, p->read_before);
    lp_lines_free(o.lines);
    lp_push_records_clear(&o.records);
    lp_buf_clear(&o.identity);
    lp_free(names);
}

/* --- all of them --- */

static uint64_t
total_bytes(const struct lp_push_files *files)
{
    uint64_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        n += files->all[i].bytes;
    }
    return n;
}

static void
summary(const struct push *p, int64_t took_ns)
{
    char lines[LP_UI_TEXT], bytes[LP_UI_TEXT], took[LP_UI_TEXT];
    printf("stored %s line%s (%s) of %llu file%s in %s", lp_ui_count(p->lines, lines),
           p->lines == 1 ? "" : "s", lp_ui_bytes(p->bytes, bytes), (unsigned long long)p->stored_files,
           p->stored_files == 1 ? "" : "s", lp_ui_duration(took_ns, took));
    if (p->sender.repeated > 0) {
        printf("; %s of them had been stored before, and are there once",
               lp_ui_count(p->sender.repeated, lines));
    }
    if (p->binary > 0) {
        printf("; %llu binary file%s passed over", (unsigned long long)p->binary, p->binary == 1 ? "" : "s");
    }
    if (p->cut > 0) {
        printf("; %llu piece%s of lines over %s", (unsigned long long)p->cut, p->cut == 1 ? "" : "s",
               lp_ui_bytes(LP_PUSH_LINE_MAX, bytes));
    }
    if (p->failed > 0) {
        printf("; %llu NOT stored", (unsigned long long)p->failed);
    }
    putchar('\n');
}

static int
push_all(struct push *p)
{
    struct lp_err err;
    int64_t begun_ns = lp_mono_ns();
    lp_err_clear(&err);
    lp_progress_begin(&p->progress, stderr, p->quiet, total_bytes(&p->files));
    lp_push_sender_init(&p->sender, p->client, &p->progress);
    lp_push_batch_init(&p->batch);
    p->sender.stop = &lp_cli_interrupted;
    p->sender.tenant = p->tenant;
    p->sender.retry_for_ns = p->retry_for_ns;
    lp_rc rc = lp_push_reach(&p->sender, &err);
    for (size_t i = 0; i < p->files.n && rc == LP_OK && !p->fatal && !lp_cli_interrupted; i++) {
        push_file(p, &p->files.all[i]);
    }
    lp_progress_end(&p->progress);
    if (rc != LP_OK && !lp_cli_interrupted) {
        lp_cli_complain("push", &err);
    } else if (!p->quiet) {
        summary(p, lp_mono_ns() - begun_ns);
    }
    if (rc == LP_OK && (lp_cli_interrupted || p->fatal)) {
        fprintf(stderr,
                "logpond push: %s; run the same command again to go on, nothing is stored twice within ten "
                "minutes\n",
                lp_cli_interrupted ? "interrupted" : "gave up");
    }
    lp_push_batch_clear(&p->batch);
    lp_push_sender_clear(&p->sender);
    if (lp_cli_interrupted) {
        return EXIT_INTERRUPTED;
    }
    return rc != LP_OK || p->fatal || p->failed > 0 || (p->stored_files == 0 && p->binary > 0) ? 1 : 0;
}

int
lp_cmd_push(int argc, char **argv)
{
    struct push *p = lp_calloc(1, sizeof(*p));
    struct lp_err err;
    lp_err_clear(&err);
    p->retry_for_ns = RETRY_FOR_NS;
    p->progress.out = stderr;
    int status = read_arguments(p, argc, argv);
    if (status < 0 && p->files.n == 0) {
        fprintf(stderr, "logpond push: there is nothing to send\n");
        status = 1;
    }
    if (status < 0 && lp_client_new(p->server, &p->client, &err) != LP_OK) {
        lp_cli_complain("push", &err);
        status = 2;
    }
    if (status < 0) {
        (void)gethostname(p->node, sizeof(p->node) - 1); /* without a name the label stays away */
        lp_cli_catch_interrupts(false);
        lp_client_stop_on(p->client, &lp_cli_interrupted);
        status = push_all(p);
    }
    lp_client_free(p->client);
    lp_push_files_clear(&p->files);
    lp_free(p);
    return status;
}
