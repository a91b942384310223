/*
 * test_template_query.c - the language of templates: what compiles, what it gives, how it fails, its limits.
 * (test_template.c is of another kind of template.) Oracle: Go's text/template with Loki's functions, asked
 * once and copied here, down to the texts of errors; limits are Logpond's own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/template_fixture.h"

static const struct lp_test_template syntax_rows[] = {
    {"plain text", "plain text", NULL},
    {"{{.a}}{{ .a }}{{- .a -}}", "xxx", NULL},
    {"  {{- .a }}  x  {{ .a -}}   y {{- /* c */}} z", "x  x  xy z", NULL},
    {"{{- \" a \" -}}  b  {{- /* comment */ -}}  c {{ \"d\" }}\n{{ `raw` }}", " a bc d\nraw", NULL},
    {"x {{/* a comment with }} in it */}} y", "x  y", NULL},
    {"{{`raw \"x\" \\n`}}", "raw \"x\" \\n", NULL},
    {"{{ 'a' }} {{ '\\'' }} {{ '\"' }} {{ '\303\251' }} {{ '\\x41' }} {{ '\\u00e9' }} {{ '\\n' }} {{ '\\101' "
     "}}",
     "97 39 34 233 65 233 10 65", NULL},
    {"{{ 0x1F }} {{ 1e3 }} {{ 1_000 }} {{ 017 }} {{ 0o17 }} {{ 0b11 }} {{ .5 }} {{ -3 }} {{ +3 }} {{ 1.e3 }} "
     "{{ 0x1p-2 }} {{ 1.0 }}",
     "31 1000 1000 15 15 3 0.5 -3 3 1000 0.25 1", NULL},
    {"{{ \"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\x41\\101\\u00e9\\U0001F600\" }}",
     "\007\010\014\n\015\011\013\\\"AA\303\251\360\237\230\200", NULL},
    {"{{ true }} {{ false }} {{ (.a) }} {{ ((.a)) }} {{ (.a | len) }} {{ len (printf \"%s\" (printf \"%s\" "
     ".u)) }}",
     "true false x x 1 6", NULL},
    {"{{ $.a }} {{ $.a | len }} {{ $ | len }} {{ len . }} {{ .nope }}|{{ $.nope }}|", "x 1 11 11 ||", NULL},
    {"{{ $x:=1 }}{{ $x }} {{$y:= .a}}{{$y}}", "1 x", NULL},
    {"{{ $a := 1 }}{{ $a = 2 }}{{ $a }} {{ if true }}{{ $a := 9 }}{{ $a = 10 }}{{ $a }}{{ end }}{{ $a }}",
     "2 102", NULL},
    {"{{ .a | }}", "x", NULL},
    {"{{ .a | printf \"%s-%s\" \"q\" }} {{ \"x\" | print \"a\" 1 }} {{ println .a .u }}",
     "q-x a1x x h\303\251llo\n", NULL},
    {"{{ break_ := 1 }}", NULL, "template: line:1: function \"break_\" not defined"},
    {"{", "{", NULL},
    {"}} { { .a }", "}} { { .a }", NULL},
};

static void
syntax(void)
{
    lp_test_templates(syntax_rows, LP_ARRAY_LEN(syntax_rows));
}

static const struct lp_test_template refused_rows[] = {
    {"{{ \"unclosed }}", NULL, "template: line:1: unterminated quoted string"},
    {"{{ `a", NULL, "template: line:1: unterminated raw quoted string"},
    {"{{ 'a", NULL, "template: line:1: unterminated character constant"},
    {"{{ .a", NULL, "template: line:1: unclosed action"},
    {"{{ $x }}", NULL, "template: line:1: undefined variable \"$x\""},
    {"{{ if }}{{end}}", NULL, "template: line:1: missing value for if"},
    {"{{ 1 | 2 }}", NULL, "template: line:1: non executable command in pipeline stage 2"},
    {"{{ (1).a }} {{ \"a\".b }}", NULL, "template: line:1: unexpected . after term \"\\\"a\\\"\""},
    {"{{ \"a\".b }}", NULL, "template: line:1: unexpected . after term \"\\\"a\\\"\""},
    {"{{ break }}", NULL, "template: line:1: {{break}} outside {{range}}"},
    {"{{ continue }}", NULL, "template: line:1: {{continue}} outside {{range}}"},
    {"{{ if .a }}{{ break }}{{ end }}", NULL, "template: line:1: {{break}} outside {{range}}"},
    {"{{ break 1 }}", NULL, "template: line:1: unexpected \"1\" in {{break}}"},
    {"{{/* a */}}x{{/* b", NULL, "template: line:1: unclosed comment"},
    {"{{/* a */ }}", NULL, "template: line:1: comment ends before closing delimiter"},
    {"{{ \"\\q\" }}", NULL, "template: line:1: invalid syntax"},
    {"{{ \"\\'\" }}", NULL, "template: line:1: invalid syntax"},
    {"{{ \"\\xq\" }}", NULL, "template: line:1: invalid syntax"},
    {"{{ 'ab' }}", NULL, "template: line:1: malformed character constant: 'ab'"},
    {"{{ '' }}", NULL, "template: line:1: invalid syntax"},
    {"{{ 0x }}", NULL, "template: line:1: illegal number syntax: \"0x\""},
    {"{{ 08 }}", NULL, "template: line:1: integer overflow: \"08\""},
    {"{{ 1x }}", NULL, "template: line:1: bad number syntax: \"1x\""},
    {"{{ 1_ }}", NULL, "template: line:1: illegal number syntax: \"1_\""},
    {"{{ 123456789012345678901 }}", NULL, "template: line:1: integer overflow: \"123456789012345678901\""},
    {"{{ .a.1 }}", NULL, "template: line:1: unexpected \".1\" in operand"},
    {"{{ .. }}", NULL, "template: line:1: unexpected <.> in operand"},
    {"{{ .a-b }}", NULL, "template: line:1: bad character U+002D '-'"},
    {"{{ .a, }}", NULL, "template: line:1: unexpected \",\" in operand"},
    {"{{ .a + 1 }}", NULL, "template: line:1: illegal number syntax: \"+\""},
    {"{{ a }}", NULL, "template: line:1: function \"a\" not defined"},
    {"{{ nosuch .a }}", NULL, "template: line:1: function \"nosuch\" not defined"},
    {"{{ .a | env }}", NULL, "template: line:1: function \"env\" not defined"},
    {"{{ .a=1 }}", NULL, "template: line:1: bad character U+003D '='"},
    {"{{ $x , $y := 1 }}", NULL, "template: line:1: too many declarations in command"},
    {"{{ range $x, 1 := .a }}{{ end }}", NULL, "template: line:1: range can only initialize variables"},
    {"{{ range $a, $b, $c := .a }}{{ end }}", NULL, "template: line:1: too many declarations in range"},
    {"{{ ( .a }}", NULL, "template: line:1: unclosed left paren"},
    {"{{ .a ) }}", NULL, "template: line:1: unexpected right paren"},
    {"{{ () }}", NULL, "template: line:1: missing value for parenthesized pipeline"},
    {"{{ | .a }}", NULL, "template: line:1: unexpected \"|\" in command"},
    {"{{ .a | | .a }}", NULL, "template: line:1: unexpected \"|\" in command"},
    {"{{ else }}", NULL, "template: line:1: unexpected {{else}}"},
    {"{{ end }}", NULL, "template: line:1: unexpected {{end}}"},
    {"{{ if .a }}", NULL, "template: line:1: unexpected EOF"},
    {"{{ if .a }}1{{ else }}2{{ else }}3{{ end }}", NULL, "template: line:1: expected end; found {{else}}"},
    {"{{ range .a }}{{ else if .b }}{{ end }}", NULL, "template: line:1: unexpected <if> in input"},
    {"{{ template }}", NULL, "template: line:1: unexpected \"}}\" in template clause"},
    {"{{ template .a }}", NULL, "template: line:1: unexpected \".a\" in template clause"},
    {"{{ template \"x\" .a .b }}", "",
     "template: line:1:12: executing \"line\" at <{{template \"x\" .a .b}}>: template \"x\" not defined"},
    {"{{ define }}{{ end }}", NULL, "template: line:1: unexpected \"}}\" in define clause"},
    {"{{ define \"x\" .a }}{{ end }}", NULL, "template: line:1: unexpected \".a\" in define clause"},
    {"{{ block \"x\" }}{{ end }}", NULL, "template: line:1: missing value for block clause"},
    {"{{ define \"A\" }}1{{ end }}{{ define \"A\" }}2{{ end }}", NULL,
     "template: line:1: template: multiple definition of template \"A\""},
    {"{{ if .a }}{{ define \"x\" }}{{ end }}{{ end }}", NULL,
     "template: line:1: unexpected <define> in command"},
    {"{{ range 2 }}{{ template \"x\" }}{{ end }}{{ define \"x\" }}{{ break }}{{ end }}", NULL,
     "template: line:1: {{break}} outside {{range}}"},
    {"{{ range 2 }}{{ block \"x\" . }}{{ continue }}{{ end }}{{ end }}", NULL,
     "template: line:1: {{continue}} outside {{range}}"},
    {"{{ \"x\" }}\n\n{{ .a | nosuch }}", NULL, "template: line:3: function \"nosuch\" not defined"},
    {"{{\n\n.a\n\"unclosed }}", NULL,
     "template: line:4: unterminated quoted string in action started at line:1"},
    {"{{\n .a", NULL, "template: line:2: unclosed action started at line:1"},
    {"{{ \"a\nb\" }}", NULL, "template: line:1: unterminated quoted string"},
    {"{{ .a : 1 }}", NULL, "template: line:1: expected :="},
    {"{{ .a # }}", NULL, "template: line:1: unexpected \"#\" in operand"},
    {"{{ \303\251 }}", NULL, "template: line:1: function \"\303\251\" not defined"},
    {"{{ if $x := 1 }}{{ end }}{{ $x }}", NULL, "template: line:1: undefined variable \"$x\""},
    {"{{ define \"d\" }}{{ $x }}{{ end }}{{ $x := 1 }}", NULL, "template: line:1: undefined variable \"$x\""},
};

static void
refused(void)
{
    lp_test_templates(refused_rows, LP_ARRAY_LEN(refused_rows));
}

static const struct lp_test_template flow_rows[] = {
    {"{{ if .a }}1{{ else if .b }}2{{ else }}3{{ end }}{{ if .b }}1{{ else if .a }}2{{ else }}3{{ end }}{{ "
     "if .b }}1{{ else if .c }}2{{ else }}3{{ end }}",
     "123", NULL},
    {"{{ if .e }}n{{ end }}{{ if 0 }}n{{ end }}{{ if 0.0 }}n{{ end }}{{ if nil }}n{{ end }}{{ if false }}n{{ "
     "end }}{{ if fromJson \"[]\" }}n{{ end }}{{ if fromJson \"{}\" }}n{{ end }}{{ if __timestamp__ }}y{{ "
     "end }}{{ if . }}y{{ end }}",
     "", "template: line:1:69: executing \"line\" at <nil>: nil is not a command"},
    {"{{ with .a }}{{ . }}{{ $ | len }}{{ end }}{{ with .e }}n{{ else }}{{ .a }}{{ end }}", "x11x", NULL},
    {"{{ with $x := .a }}{{$x}}{{else}}n{{end}}{{ with .e }}{{else with .u}}{{.}}{{end}}", "xh\303\251llo",
     NULL},
    {"{{ range $k, $v := . }}{{$k}}={{$v}};{{end}}",
     "a=x;d=1h30m;e=;json={\"k\":[1,2,{\"z\":true}],\"n\":null,\"s\":\"str\",\"f\":1.5,\"m\":{\"b\":1,\"a\":"
     "\"q\"}};lines=a\nb\n\nc;msg=typed "
     "strings;num=12.5;sz=4.2MB;t=2026-11-20T00:00:00.5Z;u=h\303\251llo;url=a%20b%2Fc;",
     NULL},
    {"{{ range . }}{{ . }}{{ break }}{{ end }}", "x", NULL},
    {"{{ range $i, $v := (fromJson .json).k }}{{ if $i }},{{ end }}{{ $v }}{{ else }}none{{ end }}",
     "1,2,map[z:true]", NULL},
    {"{{ range $i, $v := fromJson \"[]\" }}x{{ else }}none {{ $v }}{{ end }}", "none []", NULL},
    {"{{ range (fromJson .json).k }}{{ if eq (printf \"%v\" .) \"2\" }}{{ break }}{{ end }}{{ . }}{{ end }}",
     "1", NULL},
    {"{{ range $i := (fromJson \"[1,2,3,4]\") }}{{ if eq $i 2.0 }}{{ continue }}{{ end }}{{ $i }}{{ end }}",
     "134", NULL},
    {"{{ range $k, $v := (fromJson .json).m }}{{ $k }}={{ $v }},{{ end }}", "a=q,b=1,", NULL},
    {"{{ $x := 0 }}{{ range $x = fromJson \"[1,2]\" }}{{ $x }}{{ end }}{{ $x }}", "122", NULL},
    {"{{ $i := 0 }}{{ $x := 0 }}{{ range $i, $x = fromJson \"[5,6]\" }}{{ $i }}{{ $x }}{{ end }}{{ $i }}{{ "
     "$x }}",
     "051616", NULL},
    {"{{ range $x := fromJson \"[[1,2],[3]]\" }}{{ range $x }}{{ . }}{{ if eq . 1.0 }}{{ break }}{{ end }}{{ "
     "end }};{{ end }}",
     "1;3;", NULL},
    {"{{ range nil }}x{{ else }}e{{ end }} {{ range 3 }}{{.}}{{end}} {{range $i := 3}}{{$i}}{{end}} {{ range "
     "-3 }}x{{ else }}none{{ end }}",
     "", "template: line:1:9: executing \"line\" at <nil>: nil is not a command"},
    {"{{ range fromJson \"[null,1]\" }}{{ . }},{{ end }}", "<no value>,1,", NULL},
    {"{{ define \"T\" }}[{{ . }}{{ $ }}]{{ end }}{{ template \"T\" .a }}{{ template \"T\" }}{{ template "
     "\"T\" 1 }}",
     "[xx][<no value><no value>][11]", NULL},
    {"{{ define \"T\" }}{{ .a }}{{ $.u }}{{ end }}{{ template \"T\" . }}", "xh\303\251llo", NULL},
    {"{{ block \"B\" .msg }}<{{ . }}>{{ end }}{{ template \"B\" 5 }}", "<typed strings><5>", NULL},
    {"{{ define \"A\" }} {{ end }}{{ define \"A\" }}2{{ end }}{{template \"A\"}}", "2", NULL},
    {"{{ define \"line\" }}main{{ end }}", "main", NULL},
    {"{{ template \"later\" .a }}{{ define \"later\" }}({{ . }}){{ end }}", "(x)", NULL},
    {"{{ and 1 0 (index .a 99) }} {{ or 1 (index .a 99) }} {{ .a | and 1 }} {{ .a | or 0 }} {{ 0 | and }} {{ "
     "and }}",
     "0 1 x x 0 ",
     "template: line:1:103: executing \"line\" at <and>: wrong number of args for and: want at least 1 got "
     "0"},
    {"{{ if and .a .u }}y{{end}}{{ if and .a .e }}n{{else}}N{{end}}{{ or .e .a }}{{ or .e \"\" }}{{ not .e "
     "}}",
     "yNxtrue", NULL},
    {"{{ $x := 1 }}{{ with 2 }}{{ $x = . }}{{ end }}{{ $x }}", "2", NULL},
    {"{{ and false ($q := 1) }}{{ $q }}", "false",
     "template: line:1:28: executing \"line\" at <$q>: undefined variable: $q"},
    {"{{ if $x := .a }}{{ $x }}{{ else if $y := .b }}{{ $y }}{{ end }}", "x", NULL},
};

static void
flow(void)
{
    lp_test_templates(flow_rows, LP_ARRAY_LEN(flow_rows));
}

static const struct lp_test_template failing_rows[] = {
    {"{{ .a.b }}", "",
     "template: line:1:5: executing \"line\" at <.a.b>: can't evaluate field b in type string"},
    {"{{ .a.b.c }}", "",
     "template: line:1:5: executing \"line\" at <.a.b.c>: can't evaluate field b in type string"},
    {"{{ $x := fromJson .json }}{{ $x.k.q }}", "",
     "template: line:1:31: executing \"line\" at <$x.k.q>: can't evaluate field q in type interface {}"},
    {"{{ $x := fromJson .json }}{{ $x.n.q }}", "",
     "template: line:1:31: executing \"line\" at <$x.n.q>: nil pointer evaluating interface {}.q"},
    {"{{ range (fromJson .json).k }}{{.q}}{{end}}", "",
     "template: line:1:32: executing \"line\" at <.q>: can't evaluate field q in type interface {}"},
    {"{{ range .a }}{{end}}", "",
     "template: line:1:9: executing \"line\" at <.a>: range can't iterate over x"},
    {"{{ range 1.5 }}{{ end }}", "",
     "template: line:1:9: executing \"line\" at <1.5>: range can't iterate over 1.5"},
    {"{{ range true }}{{ end }}", "",
     "template: line:1:9: executing \"line\" at <true>: range can't iterate over true"},
    {"{{ range $i, $j := 3 }}{{.}}{{end}}", "",
     "template: line:1:19: executing \"line\" at <3>: can't use 3 to iterate over more than one variable"},
    {"{{ template \"x\" }}", "",
     "template: line:1:12: executing \"line\" at <{{template \"x\"}}>: template \"x\" not defined"},
    {"{{ template \"x\" .a }}", "",
     "template: line:1:12: executing \"line\" at <{{template \"x\" .a}}>: template \"x\" not defined"},
    {"{{ define \"R\" }}{{ .x.y }}{{ end }}a{{ template \"R\" . }}", "a",
     "template: line:1:21: executing \"R\" at <.x.y>: can't evaluate field y in type string"},
    {"{{ trunc \"x\" .a }}", "",
     "template: line:1:9: executing \"line\" at <\"x\">: expected integer; found \"x\""},
    {"{{ trunc .a .a }}", "",
     "template: line:1:9: executing \"line\" at <.a>: wrong type for value; expected int; got string"},
    {"{{ trunc (add 1 2) .a }}", "",
     "template: line:1:16: executing \"line\" at <2>: wrong type for value; expected int; got int64"},
    {"{{ ToUpper 5 }}", "", "template: line:1:11: executing \"line\" at <5>: expected string; found 5"},
    {"{{ ToUpper true }}", "",
     "template: line:1:11: executing \"line\" at <true>: expected string; found true"},
    {"{{ ToUpper nil }}", "",
     "template: line:1:11: executing \"line\" at <nil>: cannot assign nil to string"},
    {"{{ ToUpper (fromJson .json).n }}", "",
     "template: line:1:21: executing \"line\" at <.json>: wrong type for value; expected string; got "
     "interface {}"},
    {"{{ ToUpper (fromJson .json).f }}", "",
     "template: line:1:21: executing \"line\" at <.json>: wrong type for value; expected string; got "
     "float64"},
    {"{{ ToUpper . }}", "",
     "template: line:1:11: executing \"line\" at <.>: wrong type for value; expected string; got "
     "map[string]string"},
    {"{{ round 1 2 \"x\" }}", "",
     "template: line:1:13: executing \"line\" at <\"x\">: expected float; found \"x\""},
    {"{{ ToUpper }}", "",
     "template: line:1:3: executing \"line\" at <ToUpper>: wrong number of args for ToUpper: want 1 got 0"},
    {"{{ ToUpper .a .a }}", "",
     "template: line:1:3: executing \"line\" at <ToUpper>: wrong number of args for ToUpper: want 1 got 2"},
    {"{{ .a | ToUpper .a }}", "",
     "template: line:1:8: executing \"line\" at <ToUpper>: wrong number of args for ToUpper: want 1 got 2"},
    {"{{ default }}", "",
     "template: line:1:3: executing \"line\" at <default>: wrong number of args for default: want at least 1 "
     "got 0"},
    {"{{ printf 5 }}", "", "template: line:1:10: executing \"line\" at <5>: expected string; found 5"},
    {"{{ len nil }}", "",
     "template: line:1:3: executing \"line\" at <len nil>: error calling len: reflect: call of "
     "reflect.Value.Type on zero Value"},
    {"{{ len 5 }}", "",
     "template: line:1:3: executing \"line\" at <len 5>: error calling len: len of type int"},
    {"{{ len (fromJson .json).f }}", "",
     "template: line:1:3: executing \"line\" at <len (fromJson .json).f>: error calling len: len of type "
     "float64"},
    {"{{ index nil 1 }}", "",
     "template: line:1:3: executing \"line\" at <index nil 1>: error calling index: index of untyped nil"},
    {"{{ index (fromJson .json).n 1 }}", "",
     "template: line:1:3: executing \"line\" at <index (fromJson .json).n 1>: error calling index: index of "
     "untyped nil"},
    {"{{ index .a 5 }}", "",
     "template: line:1:3: executing \"line\" at <index .a 5>: error calling index: index out of range: 5"},
    {"{{ index .a 1 }}", "",
     "template: line:1:3: executing \"line\" at <index .a 1>: error calling index: reflect: string index out "
     "of range"},
    {"{{ index (fromJson .json).k 3 }}", "",
     "template: line:1:3: executing \"line\" at <index (fromJson .json).k 3>: error calling index: reflect: "
     "slice index out of range"},
    {"{{ index (fromJson .json).k -1 }}", "",
     "template: line:1:3: executing \"line\" at <index (fromJson .json).k -1>: error calling index: index "
     "out of range: -1"},
    {"{{ index 5 1 }}", "",
     "template: line:1:3: executing \"line\" at <index 5 1>: error calling index: can't index item of type "
     "int"},
    {"{{ index . 1 }}", "",
     "template: line:1:3: executing \"line\" at <index . 1>: error calling index: value has type int; should "
     "be string"},
    {"{{ index . nil }}", "",
     "template: line:1:3: executing \"line\" at <index . nil>: error calling index: value is nil; should be "
     "of type string"},
    {"{{ index .a nil }}", "",
     "template: line:1:3: executing \"line\" at <index .a nil>: error calling index: cannot index "
     "slice/array with nil"},
    {"{{ index .a \"x\" }}", "",
     "template: line:1:3: executing \"line\" at <index .a \"x\">: error calling index: cannot index "
     "slice/array with type string"},
    {"{{ slice .a 3 1 }}", "",
     "template: line:1:3: executing \"line\" at <slice .a 3 1>: error calling slice: index out of range: 3"},
    {"{{ slice .msg 3 1 }}", "",
     "template: line:1:3: executing \"line\" at <slice .msg 3 1>: error calling slice: invalid slice index: "
     "3 > 1"},
    {"{{ slice .msg 1 2 3 }}", "",
     "template: line:1:3: executing \"line\" at <slice .msg 1 2 3>: error calling slice: cannot 3-index "
     "slice a string"},
    {"{{ slice 5 1 }}", "",
     "template: line:1:3: executing \"line\" at <slice 5 1>: error calling slice: can't slice item of type "
     "int"},
    {"{{ slice nil }}", "",
     "template: line:1:3: executing \"line\" at <slice nil>: error calling slice: slice of untyped nil"},
    {"{{ eq .a 1 }}", "",
     "template: line:1:3: executing \"line\" at <eq .a 1>: error calling eq: incompatible types for "
     "comparison: string and int"},
    {"{{ eq 1 }}", "",
     "template: line:1:3: executing \"line\" at <eq 1>: error calling eq: missing argument for comparison"},
    {"{{ eq }}", "",
     "template: line:1:3: executing \"line\" at <eq>: wrong number of args for eq: want at least 1 got 0"},
    {"{{ eq .a __timestamp__ }}", "",
     "template: line:1:3: executing \"line\" at <eq .a __timestamp__>: error calling eq: incompatible types "
     "for comparison: string and time.Time"},
    {"{{ lt 1 }}", "",
     "template: line:1:3: executing \"line\" at <lt>: wrong number of args for lt: want 2 got 1"},
    {"{{ lt .a nil }}", "",
     "template: line:1:3: executing \"line\" at <lt .a nil>: error calling lt: invalid type for comparison"},
    {"{{ lt true false }}", "",
     "template: line:1:3: executing \"line\" at <lt true false>: error calling lt: invalid type for "
     "comparison"},
    {"{{ lt . 1 }}", "",
     "template: line:1:3: executing \"line\" at <lt . 1>: error calling lt: invalid type for comparison"},
    {"{{ gt .num 12 }}", "",
     "template: line:1:3: executing \"line\" at <gt .num 12>: error calling gt: incompatible types for "
     "comparison: string and int"},
    {"{{ call .a }}", "",
     "template: line:1:3: executing \"line\" at <call .a>: error calling call: non-function .a of type "
     "string"},
    {"{{ call nil }}", "",
     "template: line:1:3: executing \"line\" at <call nil>: error calling call: call of nil"},
    {"{{ .a \"x\" }}", "",
     "template: line:1:3: executing \"line\" at <.a>: a is not a method but has arguments"},
    {"{{ .a | .b }}", "",
     "template: line:1:8: executing \"line\" at <.b>: b is not a method but has arguments"},
    {"{{ 1 2 }}", "", "template: line:1:3: executing \"line\" at <1>: can't give argument to non-function 1"},
    {"{{ (.a) 1 }}", "",
     "template: line:1:3: executing \"line\" at <(.a) 1>: can't give argument to non-function .a"},
    {"{{ .a | len .u }}", "",
     "template: line:1:8: executing \"line\" at <len>: wrong number of args for len: want 1 got 2"},
    {"{{ nil }}", "", "template: line:1:3: executing \"line\" at <nil>: nil is not a command"},
    {"{{ 18446744073709551615 }}", "",
     "template: line:1:3: executing \"line\" at <18446744073709551615>: 18446744073709551615 overflows int"},
    {"{{ div 1 0 }}", "",
     "template: line:1:3: executing \"line\" at <div 1 0>: error calling div: runtime error: integer divide "
     "by zero"},
    {"{{ mod 1 0 }}", "",
     "template: line:1:3: executing \"line\" at <mod 1 0>: error calling mod: runtime error: integer divide "
     "by zero"},
    {"{{ divf 1 0 }}", "",
     "template: line:1:3: executing \"line\" at <divf 1 0>: error calling divf: decimal division by 0"},
    {"{{ addf \"inf\" 1 }}", "",
     "template: line:1:3: executing \"line\" at <addf \"inf\" 1>: error calling addf: Cannot create a "
     "Decimal from +Inf"},
    {"{{ substr -1 20 \"abc\" }}", "",
     "template: line:1:3: executing \"line\" at <substr -1 20 \"abc\">: error calling substr: runtime error: "
     "slice bounds out of range [:20] with length 3"},
    {"{{ substr -1 -2 \"abc\" }}", "",
     "template: line:1:3: executing \"line\" at <substr -1 -2 \"abc\">: error calling substr: runtime error: "
     "slice bounds out of range [:-2]"},
    {"{{ substr 5 -1 \"abc\" }}", "",
     "template: line:1:3: executing \"line\" at <substr 5 -1 \"abc\">: error calling substr: runtime error: "
     "slice bounds out of range [5:3]"},
    {"{{ substr 2 1 \"abc\" }}", "",
     "template: line:1:3: executing \"line\" at <substr 2 1 \"abc\">: error calling substr: runtime error: "
     "slice bounds out of range [2:1]"},
    {"{{ repeat -1 \"x\" }}", "",
     "template: line:1:3: executing \"line\" at <repeat -1 \"x\">: error calling repeat: strings: negative "
     "Repeat count"},
    {"{{ indent -1 \"x\" }}", "",
     "template: line:1:3: executing \"line\" at <indent -1 \"x\">: error calling indent: strings: negative "
     "Repeat count"},
    {"{{ regexReplaceAll \"(\" .msg \"\" }}", "",
     "template: line:1:3: executing \"line\" at <regexReplaceAll \"(\" .msg \"\">: error calling "
     "regexReplaceAll: error parsing regexp: missing closing ): `(`"},
    {"{{ regexReplaceAll .lines .msg \"\" }}{{ count \"[a\" .msg }}", "typed strings",
     "template: line:1:39: executing \"line\" at <count \"[a\" .msg>: error calling count: error parsing "
     "regexp: missing closing ]: `[a`"},
    {"{{ regexReplaceAllLiteral \"a**\" .msg \"\" }}", "",
     "template: line:1:3: executing \"line\" at <regexReplaceAllLiteral \"a**\" .msg \"\">: error calling "
     "regexReplaceAllLiteral: error parsing regexp: invalid nested repetition operator: `**`"},
    {"{{ count \"*a\" .msg }}", "",
     "template: line:1:3: executing \"line\" at <count \"*a\" .msg>: error calling count: error parsing "
     "regexp: missing argument to repetition operator: `*`"},
    {"{{ count \"\\\\\" .msg }}", "",
     "template: line:1:3: executing \"line\" at <count \"\\\\\" .msg>: error calling count: error parsing "
     "regexp: trailing backslash at end of expression: ``"},
    {"{{ count \"\\\\q\" .msg }}", "",
     "template: line:1:3: executing \"line\" at <count \"\\\\q\" .msg>: error calling count: error parsing "
     "regexp: invalid escape sequence: `\\q`"},
    {"{{ .url | urldecode }} {{ \"%zz\" | urldecode }}", "a b/c ",
     "template: line:1:34: executing \"line\" at <urldecode>: error calling urldecode: invalid URL escape "
     "\"%zz\""},
    {"{{ \"ab%4\" | urldecode }}", "",
     "template: line:1:12: executing \"line\" at <urldecode>: error calling urldecode: invalid URL escape "
     "\"%4\""},
    {"{{ duration \"2d\" }}", "",
     "template: line:1:3: executing \"line\" at <duration \"2d\">: error calling duration: time: unknown "
     "unit \"d\" in duration \"2d\""},
    {"{{ duration \"\" }}", "",
     "template: line:1:3: executing \"line\" at <duration \"\">: error calling duration: time: invalid "
     "duration \"\""},
    {"{{ duration \"5\" }}", "",
     "template: line:1:3: executing \"line\" at <duration \"5\">: error calling duration: time: missing unit "
     "in duration \"5\""},
    {"{{ duration \"x\" }}", "",
     "template: line:1:3: executing \"line\" at <duration \"x\">: error calling duration: time: invalid "
     "duration \"x\""},
    {"{{ bytes \"\" }}", "",
     "template: line:1:3: executing \"line\" at <bytes \"\">: error calling bytes: strconv.ParseFloat: "
     "parsing \"\": invalid syntax"},
    {"{{ bytes \"12 xx\" }}", "",
     "template: line:1:3: executing \"line\" at <bytes \"12 xx\">: error calling bytes: unhandled size name: "
     "xx"},
    {"{{ bytes \"12.\" }}{{ bytes \"12 .\" }}", "12",
     "template: line:1:20: executing \"line\" at <bytes \"12 .\">: error calling bytes: unhandled size name: "
     "."},
    {"{{ bytes \"99999999999999 EB\" }}", "",
     "template: line:1:3: executing \"line\" at <bytes \"99999999999999 EB\">: error calling bytes: too "
     "large: 99999999999999 EB"},
    {"{{ unixToTime \"12\" }}", "",
     "template: line:1:3: executing \"line\" at <unixToTime \"12\">: error calling unixToTime: unable to "
     "parse time '12': %!w(<nil>)"},
    {"{{ unixToTime \"xx\" }}", "",
     "template: line:1:3: executing \"line\" at <unixToTime \"xx\">: error calling unixToTime: unable to "
     "parse time 'xx': strconv.ParseInt: parsing \"xx\": invalid syntax"},
    {"{{ unixEpoch .a }}", "",
     "template: line:1:13: executing \"line\" at <.a>: wrong type for value; expected time.Time; got string"},
    {"{{ unixEpoch 5 }}", "",
     "template: line:1:13: executing \"line\" at <5>: can't handle 5 for arg of type time.Time"},
    {"{{ __timestamp__.Foo }}", "",
     "template: line:1:3: executing \"line\" at <__timestamp__>: can't evaluate field Foo in type time.Time"},
    {"{{ __timestamp__.Format 5 }}", "",
     "template: line:1:24: executing \"line\" at <5>: expected string; found 5"},
    {"{{ __timestamp__.Format }}", "",
     "template: line:1:3: executing \"line\" at <__timestamp__>: wrong number of args for Format: want 1 got "
     "0"},
    {"{{ __timestamp__.Year 1 }}", "",
     "template: line:1:3: executing \"line\" at <__timestamp__>: wrong number of args for Year: want 0 got "
     "1"},
    {"{{ __line__ 1 }}", "",
     "template: line:1:3: executing \"line\" at <__line__>: wrong number of args for __line__: want 0 got 1"},
    {"a\nb{{ .x.y.z }}", "a\nb",
     "template: line:2:6: executing \"line\" at <.x.y.z>: can't evaluate field y in type string"},
    {"a\nbcd {{ div 1 0 }}", "a\nbcd ",
     "template: line:2:7: executing \"line\" at <div 1 0>: error calling div: runtime error: integer divide "
     "by zero"},
    {"written {{ div 1 0 }} not", "written ",
     "template: line:1:11: executing \"line\" at <div 1 0>: error calling div: runtime error: integer divide "
     "by zero"},
    {"{{ trunc 2 (printf \"%s\" .a | len) }}", "",
     "template: line:1:29: executing \"line\" at <len>: wrong type for value; expected string; got int"},
};

static void
failing(void)
{
    lp_test_templates(failing_rows, LP_ARRAY_LEN(failing_rows));
}

/* ------------------------------------------------------------------ names, reads, constants */

static void
names_in_errors(void)
{
    struct lp_template *t;
    struct lp_err err;
    struct lp_arena ar;
    struct lp_buf out;
    CU_ASSERT(lp_template_new_named(LP_STR("label"), LP_STR("{{ end }}"), &t, &err) == LP_ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text, "template: label:1: unexpected {{end}}");
    CU_ASSERT_FATAL(lp_template_new_named(LP_STR("label"), LP_STR("{{ div 1 0 }}"), &t, &err) == LP_OK);
    lp_arena_init(&ar, 65536, 0);
    lp_buf_init(&out, 65536);
    CU_ASSERT(lp_template_run(t, &lp_test_row, &ar, &out, &err) == LP_ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "template: label:1:3: executing \"label\" at <div 1 0>: error calling div: "
                           "runtime error: integer divide by zero");
    CU_ASSERT(lp_template_run(t, &lp_test_row, &ar, &out, NULL) == LP_ERR_PARSE);
    lp_buf_clear(&out);
    lp_arena_clear(&ar);
    lp_template_free(t);
    lp_template_free(NULL);
}

static void
what_is_read(void)
{
    static const struct {
        const char *text;
        bool a, other;
    } cases[] = {
        {"text", false, false},
        {"{{.a}}", true, false},
        {"{{.b}}{{$.a}}", true, false},
        {"{{if .c}}{{ToUpper (print .a)}}{{end}}", true, false},
        {"{{(fromJson .b).a}}", true, false},
        {"{{__line__}}", false, false},
        {"{{.}}", true, true},
        {"{{$}}", true, true},
        {"{{range $k, $v := .}}{{$k}}{{end}}", true, true},
        {"{{index . \"a\"}}", true, true},
        {"{{with .b}}{{.}}{{end}}", false, false},
        {"{{with .b}}{{.}}{{else}}{{.}}{{end}}", true, true},
        {"{{range fromJson .b}}{{.}}{{end}}", false, false},
        {"{{if .b}}{{.}}{{end}}", true, true},
        {"{{define \"x\"}}{{.}}{{end}}{{template \"x\" .b}}", false, false},
        {"{{define \"x\"}}{{.a}}{{end}}{{template \"x\" .}}", true, true},
        {"{{define \"line\"}}{{.}}{{end}}", true, true},
        {"{{$x := .b}}{{$x}}", false, false},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_template *t;
        CU_ASSERT_FATAL(lp_template_new(lp_str_c(cases[i].text), &t, NULL) == LP_OK);
        CU_ASSERT_EQUAL(lp_template_reads(t, LP_STR("a")), cases[i].a);
        CU_ASSERT_EQUAL(lp_template_reads(t, LP_STR("other")), cases[i].other);
        lp_template_free(t);
    }
}

static void
constants(void)
{
    static const struct {
        const char *text, *is; /* NULL: not constant */
    } cases[] = {
        {"", ""},
        {"just text", "just text"},
        {"{{/* c */}}", ""},
        {"  {{- /* c */ -}}  x", "x"},
        {"{{define \"x\"}}y{{end}}", ""},
        {"{{.a}}", NULL},
        {"x{{\"y\"}}", NULL},
        {"{{define \"line\"}}z{{end}}", "z"},
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(cases); i++) {
        struct lp_template *t;
        struct lp_str s;
        CU_ASSERT_FATAL(lp_template_new(lp_str_c(cases[i].text), &t, NULL) == LP_OK);
        bool is = lp_template_is_const(t, &s);
        CU_ASSERT_EQUAL(is, cases[i].is != NULL);
        CU_ASSERT(!is || lp_str_eqc(s, cases[i].is));
        lp_template_free(t);
    }
}

/* ------------------------------------------------------------------ limits */

/* `n` times a, then middle, then n times b. */
static const char *
nested(const char *a, const char *middle, const char *b, int n)
{
    static char text[8192];
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", a);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", middle);
    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", b);
    }
    return text;
}

static void
nesting_is_bounded(void)
{
    lp_rc rc;
    CU_ASSERT_STRING_EQUAL(lp_test_template_run(nested("{{if .a}}", "x", "{{end}}", 90), 65536, &rc), "x");
    lp_test_template_run(nested("{{if .a}}", "x", "{{end}}", 120), 65536, &rc);
    CU_ASSERT_EQUAL(rc, LP_ERR_LIMIT);
    char text[8192 + 8];
    snprintf(text, sizeof(text), "{{%s}}", nested("(", ".a", ")", 90));
    CU_ASSERT_STRING_EQUAL(lp_test_template_run(text, 65536, &rc), "x");
    snprintf(text, sizeof(text), "{{%s}}", nested("(", ".a", ")", 120));
    lp_test_template_run(text, 65536, &rc);
    CU_ASSERT_EQUAL(rc, LP_ERR_LIMIT);
    CU_ASSERT_STRING_EQUAL(
        lp_test_template_run("{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\" .}}", 65536, &rc),
        "template: line:1:25: executing \"r\" at <{{template \"r\" .}}>: exceeded maximum template depth "
        "(100)");
    CU_ASSERT_EQUAL(rc, LP_ERR_PARSE);
}

/* else if is no nesting: neither compiling nor running goes deeper for it. */
static void
long_chains(void)
{
    char *text = malloc(60000);
    size_t at = (size_t)snprintf(text, 60000, "{{if .e}}");
    while (at < 50000) {
        at += (size_t)snprintf(text + at, 60000 - at, "{{else if .e}}");
    }
    snprintf(text + at, 60000 - at, "{{else}}last{{end}}");
    lp_rc rc;
    CU_ASSERT_STRING_EQUAL(lp_test_template_run(text, 65536, &rc), "last");
    free(text);
}

static void
work_is_bounded(void)
{
    static const char *const texts[] = {
        "{{range 2000000}}{{end}}",
        "{{range 2000}}{{range 2000}}{{end}}{{end}}",
        "{{range 100000}}{{$x := repeat 100 $.msg}}{{end}}",
        "{{range 1000}}{{repeat 1000 $.msg}}{{end}}",
        "{{repeat 1000000000 .msg}}",
        "{{repeat 4611686018427387904 .msg}}",
        "{{printf \"%1000000d\" 1}}",
        "{{printf \"%.1000000f\" 1.5}}",
        "{{indent 1000000 .lines}}",
        "{{alignLeft 1000000000 .a}}",
        "{{$x := .msg}}{{range 40}}{{$x = print $x $x}}{{end}}",
        "{{range 20}}{{$r := count (print .) $.msg}}{{end}}",
        "{{range 20}}{{$t := toDateInZone \"2006\" (print .) \"2026\"}}{{end}}",
        "{{$s := repeat 100 .msg}}{{range 300000}}{{$b := contains \"q\" $s}}{{end}}",
        "{{$s := repeat 200 .msg}}{{range 10000}}{{$n := count \"[a-z]\" $s}}{{end}}",
        "{{$x := 1.1}}{{mulf 1e300 1e300 1e300}}{{range 100000}}{{$x = addf $x 1e-300}}{{end}}",
        "{{html (repeat 3000 \"<\")}}",
    };
    for (size_t i = 0; i < LP_ARRAY_LEN(texts); i++) {
        lp_rc rc;
        lp_test_template_run(texts[i], 1u << 20, &rc);
        if (rc != LP_ERR_LIMIT) {
            fprintf(stderr, "\n%s: %d\n", texts[i], (int)rc);
        }
        CU_ASSERT_EQUAL(rc, LP_ERR_LIMIT);
    }
}

static void
texts_are_bounded(void)
{
    struct lp_template *t;
    char *text = malloc(LP_TEMPLATE_BYTES_MAX + 1);
    memset(text, 'x', LP_TEMPLATE_BYTES_MAX + 1);
    CU_ASSERT(lp_template_new(lp_str_of(text, LP_TEMPLATE_BYTES_MAX + 1), &t, NULL) == LP_ERR_LIMIT);
    CU_ASSERT_FATAL(lp_template_new(lp_str_of(text, LP_TEMPLATE_BYTES_MAX), &t, NULL) == LP_OK);
    lp_template_free(t);
    for (size_t i = 0; i + 6 <= LP_TEMPLATE_BYTES_MAX; i += 6) {
        memcpy(text + i, "{{.a}}", 6);
    }
    CU_ASSERT_FATAL(lp_template_new(lp_str_of(text, LP_TEMPLATE_BYTES_MAX / 6 * 6), &t, NULL) == LP_OK);
    lp_template_free(t);
    free(text);
    lp_rc rc;
    lp_test_template_run(nested("{{count \"a\" .a}}", "", "", 70), 65536, &rc);
    CU_ASSERT_EQUAL(rc, LP_ERR_LIMIT); /* regexes that are made with the template */
}

/* Whatever an arena or a buffer has room for, running out is an error, and what was written before stays. */
static void
budgets(void)
{
    static const char text[] =
        "out {{$x := fromJson .json}}{{range $k, $v := $x}}{{printf \"%s=%v;\" $k $v}}{{end}}"
        "{{addf .num 0.1 1e30}}{{regexReplaceAll \"[a-z]\" .msg \"<$0>\"}}{{toDate \"2006 MST\" \"2026 "
        "XYZ\"}}";
    struct lp_template *t;
    CU_ASSERT_FATAL(lp_template_new(lp_str_c(text), &t, NULL) == LP_OK);
    for (size_t budget = 0; budget < 8192; budget += 61) {
        struct lp_arena ar;
        struct lp_buf out;
        struct lp_err err;
        lp_arena_init(&ar, budget, 64);
        lp_buf_init(&out, 4 + budget);
        lp_rc rc = lp_template_run(t, &lp_test_row, &ar, &out, &err);
        CU_ASSERT(rc == LP_OK || rc == LP_ERR_LIMIT);
        CU_ASSERT(lp_str_starts(lp_buf_view(&out), LP_STR("out ")));
        lp_buf_clear(&out);
        lp_arena_clear(&ar);
    }
    lp_template_free(t);
}

LP_SUITE(template_query, {"syntax", syntax}, {"what is refused", refused}, {"statements", flow},
         {"failing runs", failing}, {"names in errors", names_in_errors}, {"what is read", what_is_read},
         {"constant templates", constants}, {"nesting is bounded", nesting_is_bounded},
         {"long chains of else if", long_chains}, {"work is bounded", work_is_bounded},
         {"texts are bounded", texts_are_bounded}, {"budgets", budgets});
