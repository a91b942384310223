/*
 * test_push_lines.c - lines of files: plain, gzip, zstd, binary, endless lines. Oracle: the bytes that were
 * written.
 */
#include "server/cmd_push_int.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static struct lp_push_file
file_with(const char *name, struct lp_str bytes)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/%s", lp_test_dir(), name);
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    fclose(f);
    struct stat st;
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    return (struct lp_push_file){path, true, bytes.n, st.st_dev, st.st_ino, 0};
}

/* All lines, each behind its end offset: "3:ab|7:c..|"; the result of the last call. */
static lp_rc
read_all(const struct lp_push_file *f, struct lp_buf *out, struct lp_buf *identity)
{
    struct lp_lines *l = NULL;
    struct lp_err err;
    lp_err_clear(&err);
    lp_rc rc = lp_lines_open(f, &l, &err);
    bool more = true;
    while (rc == LP_OK && more) {
        struct lp_line line;
        rc = lp_lines_next(l, &line, &more, &err);
        if (rc == LP_OK && more) {
            lp_buf_printf(out, "%llu%s:", (unsigned long long)line.end, line.cut ? "+" : "");
            lp_buf_str(out, line.text.n > 1000 ? LP_STR("long") : line.text);
            lp_buf_byte(out, '|');
        }
    }
    if (rc == LP_OK && identity != NULL) {
        lp_lines_identity(l, identity);
    }
    lp_lines_free(l);
    return rc;
}

static void
expect(struct lp_str bytes, lp_rc rc, const char *lines)
{
    struct lp_push_file f = file_with("x.log", bytes);
    struct lp_buf out;
    lp_buf_init(&out, 1 << 20);
    CU_ASSERT_EQUAL(read_all(&f, &out, NULL), rc);
    lp_buf_byte(&out, 0);
    CU_ASSERT_STRING_EQUAL(out.p, lines);
    lp_buf_clear(&out);
}

static void
cuts_at_newlines(void)
{
    expect(LP_STR(""), LP_OK, "");
    expect(LP_STR("a"), LP_OK, "1:a|");
    expect(LP_STR("a\n"), LP_OK, "2:a|");
    expect(LP_STR("a\n\nb\r\n\xff\xfe"), LP_OK, "2:a|3:|6:b\r|8:\xff\xfe|");
    expect(LP_STR("a\0b\n"), LP_ERR_UNSUPPORTED, "");
    expect(LP_STR("\x1f\x8b not gzip"), LP_ERR_PARSE, "");
}

static void
reads_lines_longer_than_any_buffer(void)
{
    size_t n = 2 * LP_PUSH_LINE_MAX + 5;
    char *big = lp_malloc(n + 7);
    memset(big, 'x', n);
    memcpy(big + n, "\nlast\n", 7);
    expect(lp_str_of(big, n + 6), LP_OK, "8388608+:long|16777216+:long|16777222:xxxxx|16777227:last|");
    /* exactly the limit is a whole line */
    memcpy(big + LP_PUSH_LINE_MAX, "\nb", 2);
    expect(lp_str_of(big, LP_PUSH_LINE_MAX + 2), LP_OK, "8388609:long|8388610:b|");
    lp_free(big);
}

static size_t
gzip(const char *text, char *out, size_t cap)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)strlen(text)};
    CU_ASSERT_EQUAL_FATAL(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    CU_ASSERT_EQUAL(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return cap - z.avail_out;
}

static void
reads_compressed_files(void)
{
    char z[1000];
    size_t n = gzip("one\ntw", z, sizeof(z));
    n += gzip("o\nthree", z + n, sizeof(z) - n); /* two members are one content */
    expect(lp_str_of(z, n), LP_OK, "4:one|8:two|13:three|");
    expect(lp_str_of(z, n - 5), LP_ERR_PARSE, "4:one|8:two|"); /* what was whole came */
    n = ZSTD_compress(z, sizeof(z), "one\ntw", 6, 3);
    n += ZSTD_compress(z + n, sizeof(z) - n, "o\n", 2, 3);
    expect(lp_str_of(z, n), LP_OK, "4:one|8:two|");
    expect(lp_str_of(z, n - 3), LP_ERR_PARSE, "4:one|");
}

static void
reads_pipes_with_pauses(void)
{
    int fds[2];
    char path[64];
    struct lp_push_file f = {.path = path, .changed_ns = 1};
    struct lp_lines *l;
    struct lp_line line;
    struct lp_err err;
    bool more;
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    CU_ASSERT_EQUAL_FATAL(lp_lines_open(&f, &l, &err), LP_OK);
    CU_ASSERT_EQUAL(write(fds[1], "a\nb", 3), 3);
    /* fewer bytes than tell a format may come first */
    CU_ASSERT_EQUAL(lp_lines_next(l, &line, &more, &err), LP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(write(fds[1], "c\nd", 3), 3);
    CU_ASSERT_EQUAL(lp_lines_next(l, &line, &more, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(line.text, "a"));
    CU_ASSERT_EQUAL(lp_lines_next(l, &line, &more, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(line.text, "bc"));
    CU_ASSERT_EQUAL(lp_lines_next(l, &line, &more, &err), LP_ERR_TIMEOUT); /* "d" waits for its end */
    close(fds[1]);
    CU_ASSERT_EQUAL(lp_lines_next(l, &line, &more, &err), LP_OK);
    CU_ASSERT(lp_str_eqc(line.text, "d") && line.end == 6);
    CU_ASSERT(lp_lines_next(l, &line, &more, &err) == LP_OK && !more);
    lp_lines_free(l);
    close(fds[0]);
}

/* The identity is of the content: the same after the file has grown, another for another file. */
static void
names_the_content(void)
{
    struct lp_buf out, first, second;
    char text[3000];
    memset(text, 'a', sizeof(text));
    lp_buf_init(&out, 1 << 20);
    lp_buf_init(&first, 1 << 10);
    lp_buf_init(&second, 1 << 10);
    struct lp_push_file f = file_with("grows.log", lp_str_of(text, 2000));
    CU_ASSERT_EQUAL(read_all(&f, &out, &first), LP_OK);
    FILE *more = fopen(f.path, "ab");
    CU_ASSERT_PTR_NOT_NULL_FATAL(more);
    fputs("more\n", more);
    fclose(more);
    CU_ASSERT_EQUAL(read_all(&f, &out, &second), LP_OK);
    CU_ASSERT(lp_str_eq(lp_buf_view(&first), lp_buf_view(&second)));
    lp_buf_reset(&second);
    struct lp_push_file other = file_with("other.log", lp_str_of(text, 2000));
    CU_ASSERT_EQUAL(read_all(&other, &out, &second), LP_OK);
    CU_ASSERT(!lp_str_eq(lp_buf_view(&first), lp_buf_view(&second)));
    lp_buf_clear(&out);
    lp_buf_clear(&first);
    lp_buf_clear(&second);
}

LP_SUITE(push_lines, {"cuts at newlines", cuts_at_newlines},
         {"reads lines longer than any buffer", reads_lines_longer_than_any_buffer},
         {"reads compressed files", reads_compressed_files},
         {"reads pipes with pauses", reads_pipes_with_pauses}, {"names the content", names_the_content});
