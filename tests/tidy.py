#!/usr/bin/env python3
"""tidy.py - reads the source tree and complains about what a reviewer would have to find by eye.

    tests/tidy.py [ROOT]        from the root of the tree; prints "file:line: message", exits 1 if there is any
    tests/tidy.py --self-test   checks itself on made-up trees

It works on text, not on a compiler's view: comments and literals are blanked out first, so that a word in them is not
taken for code. Rules and exceptions stand in the tables at the top; each exception says why, and is itself reported
once nothing needs it any more.
"""
import fnmatch
import os
import re
import sys
import tempfile

# A folder includes itself and these.
LAYERS = {
    "base": {"base"},
    "store": {"base", "store"},
    "ingest": {"base", "store", "ingest"},
    "query": {"base", "store", "query"},
    "server": {"base", "store", "ingest", "query", "server"},
}

# Third-party header -> the only files that may include it (tests may include anything).
DOORS = [
    ("simdjson*", ["base/json.cc"]),
    ("re2/*", ["base/regex.cc"]),
    ("hs/*", ["base/regex_hs.c"]),
    ("yaml.h", ["base/settings*.c"]),
    ("xxhash.h", ["base/hash*.c"]),
    ("lmdb.h", ["store/catalog*.c", "store/catalog_int.h"]),
    ("zstd*.h", ["store/codec*.c", "ingest/content*.c", "server/pack.c"]),
    ("wslay/wslay.h", ["server/ws.c", "server/http_ws.c", "server/cmd_query_tail.c", "tests/fuzz/fuzz_http.c"]),
    ("zlib.h", ["ingest/content*.c", "server/pack.c"]),
    ("snappy*", ["ingest/content*.c"]),
    ("librdkafka/*", ["ingest/kafka*.c", "ingest/kafka*_int.h"]),
    ("event2/*", ["server/http*.c", "server/http*_int.h"]),
]

# (functions, where they are banned, where not, what to do instead)
EVERYWHERE = ["*"]
PRODUCT = ["base/*", "store/*", "ingest/*", "query/*", "server/*"]
BANNED = [
    ("strcpy strcat sprintf vsprintf gets strtok strncpy strncat alloca", EVERYWHERE, [], "lp_str, lp_buf or snprintf"),
    ("localtime gmtime ctime asctime", EVERYWHERE, [], "base/clock.h"),
    ("atoi atol atoll atof", EVERYWHERE, [], "lp_str_i64() and the like"),
    ("system popen", EVERYWHERE, [], "no shell"),
    ("sleep usleep", EVERYWHERE, [], "a wait for a condition"),
    ("malloc free calloc realloc strdup strndup", PRODUCT, ["base/rc.c"], "lp_malloc() and the like"),
    ("open openat creat fopen freopen mkstemp write pwrite writev pwritev rename renameat unlink unlinkat remove rmdir "
     "mkdir fsync fdatasync truncate ftruncate posix_fallocate sync_file_range", PRODUCT, ["base/io_posix.c"],
     "base/io.h"),
]

# (file pattern, function, reason): calls that BANNED does not mean.
EXCEPTIONS = [
    ("server/logger.c", "write", "the log is standard error, no file of the store"),
    ("server/http_reply.c", "write", "wakes a thread through an eventfd"),
    ("store/hooks.c", "fopen", "a test hook's own signal, in no release build"),
]

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 900
TOP_FOLDERS = ["base", "store", "ingest", "query", "server", "tests", "bench", "deploy", "docs"]
C_SUFFIXES = (".c", ".cc", ".h")
TEXT_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".md", ".yaml", ".yml", ".am", ".ac", ".html", ".js", ".css")
LISTED = re.compile(r"(?:^|[\s=])((?:%s)/[\w./+-]+\.\w+|[\w.-]+\.(?:md|sh|py))(?=\s|$)" % "|".join(TOP_FOLDERS))


class Tree:
    """The files below a root, and the complaints about them."""

    def __init__(self, root, exceptions=None):
        self.root = root
        self.exceptions = EXCEPTIONS if exceptions is None else exceptions
        self.used = set()
        self.found = []
        self.paths = sorted(self.walk())

    def walk(self):
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)):
                yield name
        for top in TOP_FOLDERS:
            for folder, subs, names in os.walk(os.path.join(self.root, top)):
                subs[:] = [s for s in subs if not s.startswith((".", "__")) and s != "node_modules"]
                for name in names:
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace", newline="") as f:
            return f.read()

    def complain(self, path, line, message):
        self.found.append((path, line, message))


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, p) for p in patterns)


LITERALS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """The text with comments and literals blanked out, each line where it was."""
    return LITERALS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_includes(tree, path, text):
    top = path.split("/")[0]
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', text, re.M):
        kind, name, line = m.group(1), m.group(2), line_of(text, m.start())
        if kind == '"':
            other = name.split("/")[0]
            if "/" not in name and name != "config.h":
                tree.complain(path, line, 'include "%s" from the root: "folder/%s"' % (name, name))
            elif top in LAYERS and other in LAYERS and other not in LAYERS[top]:
                tree.complain(path, line, "%s/ must not include %s" % (top, name))
            elif name.endswith("_int.h") and other != top and top != "tests":
                tree.complain(path, line, "%s is for %s/ alone" % (name, other))
            elif top in LAYERS and other in ("tests", "bench"):
                tree.complain(path, line, "product code must not include %s" % name)
        for header, doors in DOORS:
            if fnmatch.fnmatch(name, header) and top != "tests" and not matches(path, doors):
                tree.complain(path, line, "%s may be included by %s only" % (name, ", ".join(doors)))


def allowed(tree, path, function):
    for i, (pattern, name, _reason) in enumerate(tree.exceptions):
        if name == function and fnmatch.fnmatch(path, pattern):
            tree.used.add(i)
            return True
    return False


def check_banned(tree, path, code):
    for functions, where, but, instead in BANNED:
        if not matches(path, where) or matches(path, but):
            continue
        call = r"(?<![\w.>])(%s)\s*\(" % "|".join(functions.split())
        for m in re.finditer(call, code):
            if not allowed(tree, path, m.group(1)):
                tree.complain(path, line_of(code, m.start()), "%s() is banned here: %s" % (m.group(1), instead))


def check_functions(tree, path, text, code):
    """A function is what stands between braces in the first column; its head begins behind the line before it that
    is empty, a directive, or the end of something else."""
    lines, raw = code.split("\n"), text.split("\n")
    begin = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            begin = i
        elif line.startswith("}") and begin is not None:
            head = begin
            while head > 0 and lines[head - 1].strip() and not re.match(r"[#}]|.*;\s*$", lines[head - 1]):
                head -= 1
            above = head - 1
            while above >= 0 and raw[above].strip() and not lines[above].strip():
                above -= 1
            long_why = "long:" in "\n".join(raw[above + 1:head])
            if i - head + 1 > FUNCTION_LINES_MAX and not long_why:
                tree.complain(path, head + 1, "a function of %d lines, over %d (a comment with \"long: why\" excuses it)"
                              % (i - head + 1, FUNCTION_LINES_MAX))
            begin = None


def check_opening(tree, path, text):
    name = os.path.basename(path)
    if not re.match(r"/\*\s*(\* )?%s - \S" % re.escape(name), text):
        tree.complain(path, 1, "must begin with a comment \"%s - what it is\"" % name)


def check_guard(tree, path, text, guards):
    first_comment = text[:text.find("*/") + 2]
    if "No include guard" in first_comment:
        return
    m = re.search(r"^#ifndef (\w+_H)\n#define \1$", text, re.M)
    if not m or m.start() != re.search(r"^#|\Z", text, re.M).start() or not text.rstrip().split("\n")[-1].startswith("#endif"):
        tree.complain(path, 1, "has no include guard around it")
    elif guards.setdefault(m.group(1), path) != path:
        tree.complain(path, line_of(text, m.start()), "include guard %s is that of %s" % (m.group(1), guards[m.group(1)]))


def check_text(tree, path, text):
    lines = text.split("\n")
    for i, line in enumerate(lines, 1):
        if line.rstrip() != line:
            tree.complain(path, i, "trailing white space")
        if "\t" in line and not path.endswith((".am", ".ac")):
            tree.complain(path, i, "a tab")
    if text and not text.endswith("\n"):
        tree.complain(path, len(lines), "no newline at the end")
    if len(lines) - 1 > FILE_LINES_MAX:
        tree.complain(path, 1, "a file of %d lines, over %d" % (len(lines) - 1, FILE_LINES_MAX))


def check_todo(tree, path, text):
    for m in re.finditer(r"\b(TODO|FIXME|XXX)\b", text):
        tree.complain(path, line_of(text, m.start()), "%s: do it, or open an issue" % m.group(1))


def check_lists(tree):
    """Every file that a Makefile.am or include.am names exists; every C file is named in one."""
    listed = set()
    for path in tree.paths:
        if not path.endswith(".am"):
            continue
        text = re.sub(r"\$\((?:abs_)?(?:top_)?srcdir\)/", "", tree.read(path))
        for i, line in enumerate(text.split("\n"), 1):
            code = line.split("#")[0]
            for name in LISTED.findall(code):
                listed.add(name)
                recipe = code.startswith("\t") and not re.match(r"\t[\w./ -]+(\\\s*)?$", code)
                if not recipe and not code.startswith("include") and name not in tree.paths:
                    tree.complain(path, i, "%s does not exist" % name)
    for path in tree.paths:
        if path.endswith(C_SUFFIXES) and "/" in path and path not in listed and not path.startswith("tests/data/"):
            tree.complain(path, 1, "is in no include.am")


def check_tree(tree):
    guards = {}
    for path in tree.paths:
        if not path.endswith(TEXT_SUFFIXES) or path.startswith("tests/data/"):
            continue
        if "/" not in path and path.endswith((".h", ".c")):
            continue  # what configure leaves behind
        text = tree.read(path)
        check_text(tree, path, text)
        if path.endswith(C_SUFFIXES):
            code = code_only(text)
            check_opening(tree, path, text)
            check_includes(tree, path, text)
            check_banned(tree, path, code)
            check_functions(tree, path, text, code)
            check_todo(tree, path, text)
            if path.endswith(".h"):
                check_guard(tree, path, text, guards)
    check_lists(tree)
    for i, (pattern, function, _reason) in enumerate(tree.exceptions):
        if i not in tree.used:
            tree.complain("tests/tidy.py", 1, "the exception for %s in %s is not needed" % (function, pattern))
    return sorted(tree.found)


def source(name, body="", head=""):
    """A clean C file for the self-test."""
    return "/*\n * %s - made up.\n */\n%s%s" % (os.path.basename(name), head, body)


def function(lines, comment=""):
    return "%sstatic void\nlong_one(void)\n{\n%s}\n" % (comment, "    x();\n" * (lines - 4))


def am(*names):
    return "libx_a_SOURCES = \\\n\t%s\n" % " \\\n\t".join(names)


# Files, then what is to be found: (path, line, piece of the message). Files named in no list are added to base/include.am.
SELF_TESTS = [
    ({"base/a.c": source("a.c", function(70))}, []),
    ({"base/a.c": source("a.c", function(71))}, [("base/a.c", 4, "71 lines")]),
    ({"base/a.c": source("a.c", function(90, "/*\n * long: a table\n */\n"))}, []),
    ({"base/a.c": source("a.c", function(5) + "\n" + function(80) + function(90))},
     [("base/a.c", 10, "80 lines"), ("base/a.c", 90, "90 lines")]),
    ({"base/a.c": source("a.c", '#include "store/x.h"\n')}, [("base/a.c", 4, "must not include store/x.h")]),
    ({"ingest/a.c": source("a.c", '#include "query/x.h"\n#include "store/x.h"\n')}, [("ingest/a.c", 4, "query/x.h")]),
    ({"server/a.c": source("a.c", '#include "query/x.h"\n#include "x.h"\n')}, [("server/a.c", 5, "from the root")]),
    ({"server/a.c": source("a.c", '#include "base/io_int.h"\n')}, [("server/a.c", 4, "for base/ alone")]),
    ({"store/a.c": source("a.c", '#include "tests/unit/unit.h"\n')}, [("store/a.c", 4, "product code")]),
    ({"tests/unit/t.c": source("t.c", '#include "query/x.h"\n#include "base/io_int.h"\n#include <lmdb.h>\n')}, []),
    ({"store/a.c": source("a.c", "#include <lmdb.h>\n"), "store/catalog_x.c": source("catalog_x.c", "#include <lmdb.h>\n")},
     [("store/a.c", 4, "store/catalog*.c")]),
    ({"server/http_x.c": source("http_x.c", "#include <event2/http.h>\n"), "server/b.c": source("b.c", "#include <event2/http.h>\n")},
     [("server/b.c", 4, "server/http*.c")]),
    ({"base/a.c": source("a.c", 'int x = f("strcpy(a)"); /* strcpy(a) */ // strcpy(a)\nint y = my_strcpy(a), z = o.free(a), p->open(a);\n')}, []),
    ({"base/a.c": source("a.c", "int x = strcpy (a, b);\nint y = free(a);\n")},
     [("base/a.c", 4, "strcpy() is banned"), ("base/a.c", 5, "free() is banned")]),
    ({"base/rc.c": source("rc.c", "int y = free(a);\n"), "base/io_posix.c": source("io_posix.c", "int y = open(a);\n")}, []),
    ({"tests/unit/t.c": source("t.c", "int y = free(a) + open(b) + usleep(1);\n")}, [("tests/unit/t.c", 4, "usleep() is banned")]),
    ({"server/push.c": source("push.c", "int y = fopen(a);\n")}, [("server/push.c", 4, "fopen() is banned")]),
    ({"base/a.c": "int x;\n"}, [("base/a.c", 1, "must begin with a comment")]),
    ({"base/a.c": source("b.c")}, [("base/a.c", 1, '"a.c - what it is"')]),
    ({"base/a.h": source("a.h", "#ifndef LP_A_H\n#define LP_A_H\n\n#endif\n")}, []),
    ({"base/a.h": source("a.h", "int x;\n")}, [("base/a.h", 1, "no include guard")]),
    ({"base/a.h": source("a.h", "#include <x.h>\n#ifndef LP_A_H\n#define LP_A_H\n#endif\n")}, [("base/a.h", 1, "no include guard")]),
    ({"base/a_tbl.h": "/* a_tbl.h - rows. No include guard: an X-macro table. */\nX(a)\n"}, []),
    ({"base/a.h": source("a.h", "#ifndef LP_A_H\n#define LP_A_H\n#endif\n"), "base/b.h": source("b.h", "#ifndef LP_A_H\n#define LP_A_H\n#endif\n")},
     [("base/b.h", 4, "that of base/a.h")]),
    ({"base/include.am": am("base/gone.c")}, [("base/include.am", 2, "base/gone.c does not exist")]),
    ({"Makefile.am": "EXTRA_DIST = README.md\n"}, [("Makefile.am", 1, "README.md does not exist")]),
    ({"store/include.am": "# nothing\n", "store/a.c": source("a.c"), "base/include.am": "# nothing\n"}, [("store/a.c", 1, "in no include.am")]),
    ({"base/a.c": source("a.c", "int x; \n\tint y;\nint z;")},
     [("base/a.c", 4, "trailing"), ("base/a.c", 5, "a tab"), ("base/a.c", 6, "no newline")]),
    ({"base/a.c": source("a.c", "int x;\n" * 897)}, []),
    ({"base/a.c": source("a.c", "int x;\n" * 898)}, [("base/a.c", 1, "901 lines")]),
    ({"base/a.c": source("a.c", "int x; /* TODO */\n")}, [("base/a.c", 4, "TODO")]),
    ({"docs/a.md": "text \n", "tests/data/x.md": "text \n"}, [("docs/a.md", 1, "trailing")]),
]


def check_made_up(files, exceptions=()):
    with tempfile.TemporaryDirectory() as root:
        files = dict(files)
        named = [p for p in files if p.endswith(C_SUFFIXES) and not any(p in t for n, t in files.items() if n.endswith(".am"))]
        files.setdefault("base/include.am", am(*named) if named else "# nothing\n")
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8", newline="") as f:
                f.write(text)
        return check_tree(Tree(root, list(exceptions)))


def self_test():
    failed = 0
    call = source("push.c", "int y = fopen(a);\n")
    cases = [(files, (), want) for files, want in SELF_TESTS]
    cases.append(({"server/push.c": call}, [("server/pu*.c", "fopen", "the user's file")], []))
    cases.append(({"base/a.c": source("a.c")}, [("base/a.c", "fopen", "none")], [("tests/tidy.py", 1, "not needed")]))
    for files, exceptions, want in cases:
        got = check_made_up(files, exceptions)
        same = len(got) == len(want) and all(g[0] == w[0] and g[1] == w[1] and w[2] in g[2] for g, w in zip(got, want))
        if not same:
            failed += 1
            print("self-test: in %s\n  wanted %s\n  got    %s" % (sorted(files), want, got))
    print("self-test: %d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed else 0


def main(args):
    if args == ["--self-test"]:
        return self_test()
    root = args[0] if args else "."
    if len(args) > 1 or not os.path.exists(os.path.join(root, "base", "lp.h")):
        print(__doc__, file=sys.stderr)
        return 2
    found = check_tree(Tree(root))
    for path, line, message in found:
        print("%s:%d: %s" % (path, line, message))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
