/*
 * cmd_kubeconfig.c - `logpond kubeconfig`: prints the configuration with which kubectl reads logs from a
 * server. Asks no server.
 */
#include "server/cli.h"
#include "server/cmd_logs_int.h"
#include "server/server.h"

static const char help[] = "usage: logpond kubeconfig [OPTIONS]\n"
                           "\n"
                           "Prints a kubeconfig with one context, for kubectl, stern, k9s and others:\n"
                           "\n"
                           "  logpond kubeconfig --server http://logs.example:3100 > ~/.kube/logpond\n"
                           "  export KUBECONFIG=~/.kube/config:~/.kube/logpond\n"
                           "  kubectl --context logpond -n shop logs deploy/api\n"
                           "\n"
                           "      --server URL    the server (default $LOGPOND_SERVER, else "
                           "http://127.0.0.1:3100); also https, for one "
                           "behind a\n"
                           "                      proxy\n"
                           "      --name NAME     of the context, cluster and user (default logpond)\n"
                           "\n"
                           "Exit status: 0 printed, 2 trouble.\n";

enum { OPT_SERVER = 'S', OPT_NAME = 'N' };

static const struct lp_cli_option options[] = {{"server", OPT_SERVER, true, 0}, {"name", OPT_NAME, true, 0}};

/* What needs no quotes in YAML, whatever reads it. */
static bool
plain_name(struct lp_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char b = name.p[i];
        bool letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
        if (!letter && (i == 0 || strchr("0123456789-_.", b) == NULL)) {
            return false;
        }
    }
    return name.n > 0 && name.n <= 253;
}

/* The server's address with its scheme. */
static lp_rc
put_address(const char *server, struct lp_buf *out, struct lp_err *err)
{
    static const char https[] = "https://";
    bool secure = server != NULL && strncmp(server, https, strlen(https)) == 0;
    struct lp_client *c = NULL;
    lp_rc rc = lp_client_new(secure ? server + strlen(https) : server, &c, err);
    if (rc != LP_OK) {
        return rc;
    }
    struct lp_str url = lp_str_c(lp_client_url(c));
    lp_buf_c(out, secure ? https : "http://");
    lp_buf_str(out, lp_str_sub(url, strlen("http://"), url.n));
    lp_client_free(c);
    return LP_OK;
}

lp_rc
lp_kubeconfig_put(struct lp_buf *out, const char *server, const char *name, struct lp_err *err)
{
    struct lp_buf address;
    if (!plain_name(lp_str_c(name))) {
        return lp_err_set(err, LP_ERR_PARSE,
                          "--name %s: a letter is expected, then letters, digits, '.', '-' and '_'", name);
    }
    lp_buf_init(&address, 1 << 16);
    lp_rc rc = put_address(server, &address, err);
    if (rc == LP_OK) {
        lp_buf_printf(out,
                      "# Logs from Logpond with kubectl, also of pods that are gone. Save this as a file, "
                      "and name it behind "
                      "your own:\n"
                      "#\n"
                      "#   export KUBECONFIG=~/.kube/config:FILE\n"
                      "#   kubectl --context %s logs POD\n"
                      "#\n"
                      "# Or make one file of both:\n"
                      "#\n"
                      "#   KUBECONFIG=~/.kube/config:FILE kubectl config view --flatten > both\n"
                      "#\n"
                      "# The context that is current stays the one of your own file, which stands first.\n"
                      "apiVersion: v1\nkind: Config\ncurrent-context: %s\n"
                      "clusters:\n- name: %s\n  cluster:\n    server: ",
                      name, name, name);
        lp_buf_json(out, lp_buf_view(&address));
        lp_buf_printf(out,
                      "\ncontexts:\n- name: %s\n  context:\n    cluster: %s\n    user: %s\n"
                      "users:\n- name: %s\n  user: {}\n",
                      name, name, name, name);
    }
    lp_buf_clear(&address);
    return rc == LP_OK && out->failed ? lp_err_set(err, LP_ERR_LIMIT, "the address is too long") : rc;
}

struct asked {
    const char *server, *name;
};

static lp_rc
take_option(void *arg, int id, const char *value)
{
    struct asked *a = arg;
    *(id == OPT_SERVER ? &a->server : &a->name) = value;
    return LP_OK;
}

int
lp_cmd_kubeconfig(int argc, char **argv)
{
    static const struct lp_cli_command command = {"kubeconfig",          help,  options,
                                                  LP_ARRAY_LEN(options), false, take_option};
    struct asked asked = {.name = "logpond"};
    struct lp_buf out;
    struct lp_err err;
    lp_err_clear(&err);
    int status = lp_cli_read(&command, argc, argv, &asked, &err);
    if (status >= 0) {
        return status;
    }
    lp_buf_init(&out, 1 << 16);
    bool good = lp_kubeconfig_put(&out, asked.server, asked.name, &err) == LP_OK;
    if (good) {
        good = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    } else {
        lp_cli_complain("kubeconfig", &err);
    }
    lp_buf_clear(&out);
    return good ? 0 : LP_LOGS_WRONG;
}
