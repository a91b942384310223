// regexp_golden.go - records what Go's regexp package says, for tests/unit/test_regex_engines.c.
//
//	go run tests/tools/regexp_golden.go > tests/data/regexp/golden.txt
//
// Lines of the output: "L" and a text; "P", a pattern, a tab, and the answers in hex, four texts a digit, the first
// one in the highest bit: does the pattern match somewhere in the text? Bytes outside 0x20..0x7e, and the backslash, are \xHH.
// Texts and patterns come from lists and a fixed seed, so a run with the same Go gives the same file.
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"runtime"
	"strings"
)

const seed = 20261122

// What texts are made of.
var parts = []string{
	"a", "a", "b", "b", "c", "k", "K", "s", "S", "1", "12", " ", " ", "_", "-", ".", "\n", "\t", "\r", "\v", "\x00", "\x7f",
	"ab", "aaa", "foo", "Foo", "FOO", "bar", "error", "ERROR", "Error", "task", "TASK", "GET /a/b 200", "status=503", "level=warn",
	"\u00e9", "\u00c9", "\u212a", "\u017f", "\u03b1", "\u0391", "\u03c3", "\u03c2", "\u4e2d\u6587", "\u0661", "\u2028", "\u00a0",
	"\ufffd", "\U0001f600", "\u0301", "\u0080", "\U0010ffff", "\xff", "\xc3", "\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x84",
	"2026-11-22T07:43:05Z", "10.2.117.43", "user@example.com", "[x]", "(y)", "{z}", "*", "+", "?", "|", "^", "$", "\\",
}

var patterns = []string{
	"", "a", "ab", "a|b", "foo|bar|error", "a.b", "a.c", "(?s)a.c", "a*", "a+b", "a?b", "ab*c", "a{2}", "a{2,}", "a{3}b", "a{0,2}b", "(ab)+", "(?:ab|ba)+1",
	"^a", "a$", "^a$", "^$", "^", "$", "\\Aa", "a\\z", "(?m)^a", "(?m)a$", "(?m)^$", "(?m)^\\s*$", "(?m)^.$", "^\\n", "\\n$", "(?s)^.*$", "^.*$", "^.+$",
	"\\ba", "a\\b", "\\bfoo\\b", "\\Ba", "a\\B", "\\B", "\\b", "\\b\\d+\\b", "\\b.\\b", "\\b_", "\\b\\x{e9}", "\\x{e9}\\b", "\\Bk\\B",
	"\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "^\\d+$", "^\\w+$", "^\\W+$", "^\\S+$", "\\s\\S", "\\d\\D\\d", "[\\d\\s]{2}", "[^\\d\\s]{3}", "[\\W]a", "[^\\W]1", "[\\D]", "[^\\D]",
	"(?i)a", "(?i)foo", "(?i)ERROR", "(?i)error|task", "(?i)k", "(?i)s", "(?i)task", "(?i)TASK", "(?i)[k]", "(?i)[s-t]", "(?i)[^k]", "(?i)^[^s]+$", "(?i)\\x{212a}", "(?i)\\x{17f}",
	"(?i)\\x{e9}", "(?i)\\x{c9}", "(?i)\\x{3c3}", "(?i)\\x{3c2}", "(?i)\\x{3b1}", "(?i)\\w\\x{301}", "(?i)^\\w+$", "(?i)^\\W+$", "(?i)[[:alpha:]]1", "(?i)[^[:upper:]]", "(?i)\\pL", "(?i)\\p{Lu}", "(?i)\\p{Greek}",
	"f(?i)OO", "(?i:f)oo", "(?i)f(?-i)oo", "(?i:fo)O|bar", "(?i)a(?-i:B)", "a(?i)b|c", "(a(?i)b|c)K", "(?is)a.b", "(?i-s)a.b", "(?U)a+", "(?U)a+?b", "(?im)^K$", "(?i)fo{2}",
	"[abc]", "[^abc]", "[a-c]1", "[^a-c]1", "[]a]", "[^]a]", "[a\\]]", "[-a]", "[a-]", "[a\\-c]", "[\\[x]", "[.]", "[*+?]", "[$^]", "[|]", "[\\\\]", "[\\x00-\\x1f]", "[^\\x00-\\x7f]", "[\\x{80}-\\x{ff}]", "[\\x{e9}\\x{c9}]",
	"[[:alnum:]]", "[[:alpha:]]$", "[[:ascii:]]$", "[[:blank:]]", "[[:cntrl:]]", "[[:digit:]]", "[[:graph:]]\\z", "[[:lower:]]", "[[:print:]]\\z", "[[:punct:]]", "[[:space:]]", "[[:upper:]]", "[[:word:]]\\z", "[[:xdigit:]]{3}",
	"[[:^alnum:]]", "[[:^alpha:]]$", "[[:^ascii:]]", "[[:^space:]]$", "[^[:word:]]", "[a[:digit:]]{2}", "[[:word:]-]+$",
	"\\pL", "\\PL", "\\pN", "\\p{Nd}", "\\p{L}\\p{N}", "^\\p{L}+$", "\\p{Greek}", "\\P{Greek}", "\\p{^Greek}", "\\p{Han}", "\\p{Latin}", "\\p{Lu}", "\\p{Ll}", "\\p{Zs}", "\\pM", "\\p{Cc}", "\\p{So}", "[\\p{Han}a]", "[^\\pL]", "[\\PL]", "[^\\PL]",
	"\\x61", "\\x{61}", "\\141", "\\07", "\\x00", "\\a", "\\f", "\\t", "\\n", "\\r", "\\v", "\\x7f", "\\.", "\\*", "\\+\\?", "\\|", "\\^", "\\$", "\\\\", "\\[x\\]", "\\(y\\)", "\\{z\\}", "\\-", "\\_?", "\\@",
	"\\Qa.b\\E", "\\Q[x]\\E", "\\Q(y)\\E|\\Q{z}\\E", "\\Qab\\E+", "\\Q\\\\E", "a\\Qb", "\\Q|",
	"\\x{e9}", "\\x{c9}", ".\\x{e9}", "\\x{e9}.", "^.\\x{e9}", "\\x{4e2d}\\x{6587}", "\\x{4e2d}.", "\\x{1f600}", "\\x{10ffff}", "\\x{2028}", "\\x{a0}", "\\x{80}", "\\x{301}",
	"\\x{fffd}", "[\\x{fffd}]", "[^\\x{fffd}]", "^[^\\x{fffd}]*$", "\\x{fffd}{2}", "\\x{fffd}{3}", "a\\x{fffd}", "\\x{fffd}a", ".\\x{fffd}.", "(?i)\\x{fffd}", "a.", "a..", "^.$", "^..$", "^...$", "^.{4}$", "^.{5,7}$", "^(?s:.){3}$",
	"(a)(b)", "(a|b)(c|k)", "(a(b(c)))", "((a)|(b))+", "(?P<x>a)(?P<y>b)", "(?:a|b|)c", "(|a)b", "(a|)k", "()", "(?:)", "(a*)*b", "(a+)+b", "(a|ab)(c|bcd)?", "(^a|b$)", "(^|a)b", "(a|$)b?", "(?:^a)+b", "(?:\\ba)+", "(\\ba|\\Bb)1?",
	"a*?b", "a+?", "a??b", "a{1,2}?b", ".*?b", "a.*b", "a.*?b.*c", "^a.*b$", "a[^b]*b", "k.{0,3}s", "(?s)k.{0,3}s", "[^ ]+ [^ ]+", "^[^ ]* ", "\\S+\\s+\\S+",
	"[0-9]{3}", "[0-9]{4}-[0-9]{2}-[0-9]{2}T", "\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}", "status=5\\d\\d", "level=(warn|error)", "(GET|POST) /\\S+ [0-9]+", "\\w+@\\w+\\.com", "[a-z]+\\.com\\b", "=[a-z]+$", "(?i)status=[4-5]\\d{2}", "T\\d\\d:.*Z",
	"x{0}a", "a{,2}", "a{x", "{z}", "a{1", "}", "]", "a]", "{", "{1", "-", "a-b",
}

// What random patterns are made of.
var pieces = []string{
	"a", "b", "k", "s", "1", " ", "foo", "error", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{0,2}", ".", ".*", "[ab]", "[^a]", "[^k-s]", "^", "$", "\\b", "\\B",
	"(?i)", "(?-i)", "(?s)", "(?m)", "(?i:", "\\w", "\\W", "\\s", "\\S", "\\d", "\\pL", "\\PL", "\\x{e9}", "\\x{212a}", "\\x{fffd}", "[[:alpha:]]", "\\n", "\\A", "\\z", "\\Q.\\E", "(?P<n>",
}

func pick(r *rand.Rand, from []string, most int) string {
	var b strings.Builder
	for i := r.Intn(most + 1); i > 0; i-- {
		b.WriteString(from[r.Intn(len(from))])
	}
	return b.String()
}

func texts(r *rand.Rand) []string {
	all := append([]string{""}, parts...)
	for len(all) < 400 {
		all = append(all, pick(r, parts, 1+r.Intn(8)))
	}
	return all
}

func allPatterns(r *rand.Rand) []string {
	all := patterns
	for len(all) < len(patterns)+500 {
		p := pick(r, pieces, 7)
		if _, err := regexp.Compile(p); err == nil && len(p) > 1 {
			all = append(all, p)
		}
	}
	return all
}

func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\' {
			fmt.Fprintf(&b, "\\x%02x", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func main() {
	r := rand.New(rand.NewSource(seed))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := texts(r)
	fmt.Fprintf(out, "# answers of Go's regexp, %s; made by tests/tools/regexp_golden.go\n", runtime.Version())
	for _, l := range lines {
		fmt.Fprintf(out, "L%s\n", escape(l))
	}
	for _, p := range allPatterns(r) {
		re, err := regexp.Compile(p)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", p, err)
			continue
		}
		fmt.Fprintf(out, "P%s\t", escape(p))
		for i := 0; i < len(lines); i += 4 {
			digit := 0
			for k := i; k < i+4; k++ {
				digit <<= 1
				if k < len(lines) && re.MatchString(lines[k]) {
					digit |= 1
				}
			}
			fmt.Fprintf(out, "%x", digit)
		}
		fmt.Fprintln(out)
	}
}
