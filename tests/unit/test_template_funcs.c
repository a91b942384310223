/*
 * test_template_funcs.c - values and functions of templates, and templates made at random. Oracle: Go's
 * text/template with the functions of Loki and sprig, asked once and copied here; for random ones the
 * invariants of tests/fuzz/fuzz_template.c.
 */
#include <stdio.h>

#include "base/clock.h"
#include "tests/fuzz/fuzz_template.h"
#include "tests/unit/template_fixture.h"

static const struct lp_test_template values_rows[] = {
    {"{{ . | len }} {{ (fromJson .json).m.a }} {{ (fromJson .json).nope }} {{ (fromJson .json).n }} {{ "
     "(fromJson \"x\").a }}",
     "11 q <no value> <no value> <no value>", NULL},
    {"{{ fromJson \"5\" }} {{ fromJson \"\\\"s\\\"\" }} {{ fromJson \"true\" }} {{ fromJson \"null\" }} {{ "
     "fromJson \"1e400\" }} {{ fromJson \"{\\\"a\\\":1,\\\"a\\\":2}\" }} {{ fromJson \"[1,2\" }} {{ fromJson "
     "\"\" }} {{ fromJson \"12345678901234567890\" }} {{ fromJson \"{} x\" }} {{ fromJson \" [ ] \" }}",
     "5 s true <no value> <no value> map[a:2] <no value> <no value> 1.2345678901234567e+19 <no value> []",
     NULL},
    {"{{ fromJson \"\\\"\\\\u00e9\\\\ud83d\\\\ude00\\\\ud800\\\"\" }} {{ fromJson \"\\\"a\\xffb\\\"\" }}",
     "\303\251\360\237\230\200\357\277\275 a\357\277\275b", NULL},
    {"{{ fromJson .json }}", "map[f:1.5 k:[1 2 map[z:true]] m:map[a:q b:1] n:<nil> s:str]", NULL},
    {"{{ print nil nil 1 2 \"a\" \"b\" 3 nil }} {{ print 1.5 2 true \"x\" 1e21 }} {{ print }}",
     "<nil> <nil> 1 2ab3 <nil> 1.5 2 truex1e+21 ", NULL},
    {"{{ len (fromJson .json) }} {{ len (fromJson .json).k }} {{ len .u }} {{ len .e }}", "5 3 6 0", NULL},
    {"{{ index . \"zz\" }}|{{ index . \"a\" }}|{{ index (fromJson .json) \"k\" 2 \"z\" }}|{{ index (fromJson "
     ".json) \"zz\" }}|{{ index .a 0 }}|{{ index 1 }}|{{ index (fromJson .json).k 0 }}",
     "|x|true|<no value>|120|1|1", NULL},
    {"{{ slice .u 0 2 }} {{ slice .msg 3 }} {{ slice .msg }} {{ slice (fromJson .json).k 1 }} {{ slice "
     "(fromJson .json).k 0 1 2 }}",
     "h\303 ed strings typed strings [2 map[z:true]] [1]", NULL},
    {"{{ eq 1 2 3 1 }} {{ eq \"a\" \"b\" \"a\" }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1.5 1.4 }} {{ "
     "ge \"b\" \"a\" }} {{ eq true true }} {{ le \"a\" \"b\" }} {{ eq __timestamp__ __timestamp__ }}",
     "true true true true true true true true true true", NULL},
    {"{{ eq .a nil }} {{ eq (fromJson .json) nil }} {{ eq (fromJson .json).n nil }} {{ ne nil 1 }} {{ eq "
     "(index .a 0) 120 }} {{ lt (index .a 0) 200 }} {{ eq (add 1 2) 3 }}",
     "false false true true true true true", NULL},
    {"{{ not nil }} {{ not . }} {{ not 0.0 }} {{ not __timestamp__ }}", "true false true false", NULL},
    {"{{ html \"<a&'\\\">\" }} {{ html nil }} {{ html }} {{ html 1 \"a\" }} {{ html \"a\\x00b\" }}",
     "&lt;a&amp;&#39;&#34;&gt; &lt;no value&gt;  1a a\357\277\275b", NULL},
    {"{{ js \"<a&'\\\">=\303\251\\n\" }} {{ js \"\\x00\\x1f\\\\/\\u2028\" }} {{ js 1 \"a\" }} {{ urlquery "
     "\"a b&\" 1 2 }} {{ urlquery \"\303\251/?\" }}",
     "\\u003Ca\\u0026\\'\\\"\\u003E\\u003D\303\251\\u000A \\u0000\\u001F\\\\/\\u2028 1a a+b%261+2 "
     "%C3%A9%2F%3F",
     NULL},
    {"{{ default \"d\" .e }} {{ .msg | default \"x\" }} {{ default 5 0 }} {{ default \"x\" }} {{ default 1 "
     "false }} {{ default \"m\" (fromJson \"{}\") }} {{ default \"z\" nil }} {{ .missing | default \"none\" "
     "}}",
     "d typed strings 5 x 1 m z none", NULL},
    {"{{ __line__ }} {{ __line__ | len }}", "the line 8", NULL},
    {"{{ printf \"%T %T %T %T %T %T\" . (fromJson .json) nil __timestamp__ 1.5 (fromJson .json).k }} {{ "
     "printf \"%T %T %T %T\" (add 1 2) (index .a 0) __timestamp__.Month (__timestamp__.Sub now) }}",
     "map[string]string map[string]interface {} <nil> time.Time float64 []interface {} int64 uint8 "
     "time.Month time.Duration",
     NULL},
};

static void
values(void)
{
    lp_test_templates(values_rows, LP_ARRAY_LEN(values_rows));
}

static const struct lp_test_template formats_rows[] = {
    {"{{ printf \"%s|%15s|%-15s|%q|%v|%05d|%6.2f|%x|%t|%%\" .msg .msg .msg .msg .num 42 3.14159 \"hi\" true "
     "}}",
     "typed strings|  typed strings|typed strings  |\"typed strings\"|12.5|00042|  3.14|6869|true|%", NULL},
    {"{{ printf \"%t %05s|%-5d|%+d|%x|%X|%o|%O|%b|%c|%q|%U|%#U\" 1 \"ab\" 3 4 255 255 8 8 5 65 65 65 8984 }}",
     "%!t(int=1) 000ab|3    |+4|ff|FF|10|0o10|101|A|'A'|U+0041|U+2318 '\342\214\230'", NULL},
    {"{{ printf \"%e %E %g %G %f %.3f %8.2f|%-8.2f|%08.2f|%+.1f|% f\" 1e6 1e6 1e6 1e-7 2.5 2.5 2.5 2.5 -2.5 "
     "2.5 2.5 }}",
     "1.000000e+06 1.000000E+06 1e+06 1E-07 2.500000 2.500     2.50|2.50    |-0002.50|+2.5| 2.500000", NULL},
    {"{{ printf \"%x %X %b %x %x\" 1.5 -1.5 1.5 0.1 0.0 }}",
     "0x1.8p+00 -0X1.8P+00 6755399441055744p-52 0x1.999999999999ap-04 0x0p+00", NULL},
    {"{{ printf \"%#g %#v %#v %+v %#v %#x\" 1.0 \"a\" 1 .a (fromJson \"[1,\\\"b\\\",null]\") 255 }}",
     "1.00000 \"a\" 1 x []interface {}{1, \"b\", interface {}(nil)} 0xff", NULL},
    {"{{ printf \"%[2]d %[1]d %d\" 1 2 }} {{ printf \"%[5]d %[x]d %*d|%-*d|%.*f\" 1 2 5 3 5 3 2 1.234 }} {{ "
     "printf \"%*d|%-*d|%.*f\" 5 3 5 3 2 1.234 }}",
     "2 1 2 5 %!d(BADINDEX)   2|%!(BADWIDTH)%!d(MISSING)|%!(BADPREC)%!f(MISSING)     3|3    |1.23", NULL},
    {"{{ printf \"%d\" }} {{ printf \"%d\" 1 2 \"x\" nil }} {{ printf \"%\" }} {{ printf \"%5\" 3}} {{ "
     "printf \"100%%\" }} {{ printf \"%!\" 1 }}",
     "%!d(MISSING) 1%!(EXTRA int=2, string=x, <nil>) %!(NOVERB) %!(NOVERB)%!(EXTRA int=3) 100% %!!(int=1)",
     NULL},
    {"{{ printf \"%d %s %z\" .a 1 2 }} {{ printf \"%s %v %d %t\" nil nil nil nil }}",
     "%!d(string=x) %!s(int=1) %!z(int=2) %!s(<nil>) <nil> %!d(<nil>) %!t(<nil>)", NULL},
    {"{{ printf \"%s\" __timestamp__ }} {{ printf \"%q|%40v|%.4s\" __timestamp__ __timestamp__ __timestamp__ "
     "}}",
     "2026-11-20 00:35:25.025000075 +0000 UTC \"2026-11-20 00:35:25.025000075 +0000 UTC\"| 2026-11-20 "
     "00:35:25.025000075 +0000 UTC|2026",
     NULL},
    {"{{ printf \"%t %s %d|%5v|%x\" __timestamp__.Month __timestamp__.Month __timestamp__.Month "
     "__timestamp__.Weekday __timestamp__.Month}}",
     "%!t(time.Month=11) November 11|Friday|4e6f76656d626572", NULL},
    {"{{ printf \"%s|%d|%v\" (fromJson .json) (fromJson .json).k (fromJson .json).m }}",
     "map[f:%!s(float64=1.5) k:[%!s(float64=1) %!s(float64=2) map[z:%!s(bool=true)]] m:map[a:q "
     "b:%!s(float64=1)] n:<nil> s:str]|[%!d(float64=1) %!d(float64=2) "
     "map[%!d(string=z):%!d(bool=true)]]|map[a:q b:1]",
     NULL},
    {"{{ printf \"%x % x %#x %# x %X|%.2x|%8x|%-8x|%08x|%5x|\" \"hi!\" \"hi!\" \"hi!\" \"hi!\" \"hi!\" "
     "\"hi!\" \"hi\" \"hi\" \"hi\" \"\" }}",
     "686921 68 69 21 0x686921 0x68 0x69 0x21 686921|6869|    6869|6869    |00006869|     |", NULL},
    {"{{ printf \"%q %+q %#q %#q %.3q\" \"a\\\"\303\251\\n\" \"a\\\"\303\251\\n\" \"abc\" \"a`b\" \"abcdef\" "
     "}}",
     "\"a\\\"\303\251\\n\" \"a\\\"\\u00e9\\n\" `abc` \"a`b\" \"abc\"", NULL},
    {"{{ printf \"%6.2f%% %v %v %v %v\" 12.345 1e21 1e20 123456789.0 1e-5 }}",
     " 12.35% 1e+21 1e+20 1.23456789e+08 1e-05", NULL},
    {"{{ printf \"%5t|%-7t|%q|%q|%q\" true false 'x' '\\'' '\\n' }} {{ printf \"%w %z\" \"a\" 1 }} {{ printf "
     "\"%\303\251\" 1 }}",
     " true|false  |'x'|'\\''|'\\n' %!w(string=a) %!z(int=1) %!\303\251(int=1)", NULL},
    {"{{ printf \"%010d|%+05d|%-05d|%x|%#x|%#o|%#b|% d|%05d\" 42 42 42 -255 255 8 5 7 -42 }}",
     "0000000042|+0042|42   |-ff|0xff|010|0b101| 7|-0042", NULL},
    {"{{ printf \"%.3d|%5.3d|%05.3d|%.0d|%3c|%-3c|%05.1f|%+05d\" 5 5 5 0 'x' 'y' 2.25 3 }}",
     "005|  005|  005||  x|y  |002.2|+0003", NULL},
    {"{{ printf \"%5s|%-5s|%.2s|%5.1s|%s\" \"\303\251\" \"\303\251\" \"\303\251\303\240\303\274\" "
     "\"\303\251\303\240\" \"\" }}",
     "    \303\251|\303\251    |\303\251\303\240|    \303\251|", NULL},
    {"{{ printf \"%v %v %v\" (float64 \"nan\") (float64 \"inf\") (float64 \"-inf\") }} {{ printf "
     "\"%6v|%06.1f|%+v\" (float64 \"inf\") (float64 \"inf\") (float64 \"nan\") }}",
     "NaN +Inf -Inf   +Inf|  +Inf|NaN", NULL},
    {"{{ printf \"%c%c\" 128512 1114112 }} {{ printf \"%U %#U %.6U\" -1 10 65 }}",
     "\360\237\230\200\357\277\275 U+FFFFFFFFFFFFFFFF U+000A U+000041", NULL},
    {"{{ printf \"%d %v\" 9223372036854775807 -9223372036854775808 }}",
     "9223372036854775807 -9223372036854775808", NULL},
};

static void
formats(void)
{
    lp_test_templates(formats_rows, LP_ARRAY_LEN(formats_rows));
}

static const struct lp_test_template texts_rows[] = {
    {"{{ToUpper .msg}} {{.msg | ToLower}} {{ .msg | upper | lower | title }} {{ title \"hello wOrld foo-bar "
     "it's \303\251lan\" }} {{ upper \"\303\237 stra\303\237e\" }} {{ lower \"\303\200\303\211\303\216 "
     "\316\221\316\222\316\243\" }} {{ upper \"\303\261\303\247\305\276\320\266\321\217\" }}",
     "TYPED STRINGS typed strings Typed Strings Hello WOrld Foo-Bar It'S \303\211lan \303\237 STRA\303\237E "
     "\303\240\303\251\303\256 \316\261\316\262\317\203 \303\221\303\207\305\275\320\226\320\257",
     NULL},
    {"{{ Replace .msg \"t\" \"T\" -1 }} {{ Replace .msg \"t\" \"T\" 1 }} {{ .msg | replace \"s\" \"$\" }} {{ "
     "Replace \"abc\" \"\" \"-\" 2 }} {{ Replace \"abc\" \"\" \"-\" -1 }} {{ Replace \"aaa\" \"a\" \"b\" 0 "
     "}} {{ replace \"\" \"-\" \"\303\251\" }} {{ replace \"aa\" \"b\" \"aaaaa\" }}",
     "Typed sTrings Typed strings typed $tring$ -a-bc -a-b-c- aaa -\303\251- bba", NULL},
    {"{{ Trim .msg \"tysg\" }}|{{ TrimLeft .msg \"typ\" }}|{{ TrimRight .msg \"sg\" }}|{{ TrimPrefix .msg "
     "\"typed\" }}|{{ TrimSuffix .msg \"ings\" }}|{{ TrimSpace \"  x \" }}|{{ Trim \"\303\251a\303\251\" "
     "\"\303\251\" }}|{{ Trim \"\" \"x\" }}|{{ Trim \"abc\" \"\" }}|{{ TrimRight \"a\303\251\303\240\" "
     "\"\303\240\303\251\" }}",
     "ped strin|ed strings|typed strin| strings|typed str|x|a||abc|a", NULL},
    {"{{ trim \"  y  \" }}|{{ trimAll \"t\" .msg }}|{{ trimPrefix \"ty\" .msg }}|{{ trimSuffix \"gs\" .msg "
     "}}|{{ TrimSpace \"\\u00a0\\u3000x\\u2003\" }}",
     "y|yped strings|ped strings|typed strin|x", NULL},
    {"{{ contains \"ype\" .msg }} {{ hasPrefix \"ty\" .msg }} {{ hasSuffix \"gs\" .msg }} {{ contains \"\" "
     "\"\" }} {{ contains \"q\" .msg }}",
     "true true true true false", NULL},
    {"{{ trunc 2 \"h\303\251llo\" }}|{{ trunc -2 \"h\303\251ll\303\263\" }}|{{ trunc -9 \"abc\" }}|{{ trunc "
     "9 \"abc\" }}|{{ trunc 0 \"abc\" }}|{{ trunc -3 \"abc\" }}|",
     "h\303\251|l\303\263|abc|abc||abc|", NULL},
    {"{{ substr 0 2 \"h\303\251llo\" | printf \"%q\" }} {{ substr 1 -1 \"abc\" }} {{ substr -1 2 \"abc\" }} "
     "{{ substr 2 9 \"abc\" }} {{ substr 3 3 \"abc\" }}|",
     "\"h\\xc3\" bc ab c |", NULL},
    {"{{ alignLeft 5 \"abc\" }}|{{ alignRight 5 \"abc\" }}|{{ alignLeft 2 \"abc\" }}|{{ alignRight 2 \"abc\" "
     "}}|{{ alignRight 2 \"h\303\251\303\251\" }}|{{ alignLeft -1 \"abc\" }}|{{ alignLeft 3 \"\303\251\" }}|",
     "abc  |  abc|ab|bc|\303\251\303\251|abc|\303\251  |", NULL},
    {"{{ repeat 3 \"ab\" }} {{ repeat 0 \"x\" }}|{{ indent 2 \"a\\nb\" }}|{{ nindent 2 \"a\\nb\" }}|{{ "
     "indent 0 \"\" }}|{{ indent 1 \"a\\n\" }}|",
     "ababab |  a\n  b|\n  a\n  b|| a\n |", NULL},
    {"{{ b64enc .msg }} {{ b64enc \"a\" }} {{ b64enc \"ab\" }} {{ b64enc \"\" }} {{ b64enc \"\303\251\" }}",
     "dHlwZWQgc3RyaW5ncw== YQ== YWI=  w6k=", NULL},
    {"{{ b64dec \"aMOpbGxvIGJhc2U2NA==\" }}|{{ b64dec \"aGk\" }}|{{ b64dec \"aG k=\" }}|{{ b64dec "
     "\"aGk=\\n\" }}|{{ b64dec \"aGkx!\" }}|{{ b64dec \"aGkxa\" }}|{{ b64dec \"aGk=aGk=\" }}|{{ b64dec \"=\" "
     "}}|{{ b64dec \"aG==\" }}|{{ b64dec \"aG=\" }}|{{ b64dec \"aGkxaGk\" }}|{{ b64dec \"!!\" }}",
     "h\303\251llo base64|hi|illegal base64 data at input byte 2|hi|illegal base64 data at input byte "
     "4|illegal base64 data at input byte 4|illegal base64 data at input byte 4|illegal base64 data at input "
     "byte 0|h|illegal base64 data at input byte 3|hi1hi|illegal base64 data at input byte 0",
     NULL},
    {"{{ .url | urldecode }} {{ \"a b&c=\303\251\" | urlencode }} {{ urldecode \"a+b\" }} {{ urlencode "
     "\"-_.~/\" }}",
     "a b/c a+b%26c%3D%C3%A9 a b -_.~%2F", NULL},
    {"{{ count \"s\" .msg }} {{ .msg | count \"[st]\" }} {{ count \"\" \"abc\" }} {{ count \"a*\" \"baac\" "
     "}} {{ count \"^\" \"a\\nb\" }} {{ count \"(?m)^\" \"a\\nb\" }} {{ count \"\303\251*\" "
     "\"\303\251a\303\251\" }} {{ count .a \"xyx\" }}",
     "2 4 4 3 1 2 2 2", NULL},
    {"{{ regexReplaceAll \"a*\" \"baaac\" \"x\" }} {{ regexReplaceAll \"\" \"abc\" \"-\" }} {{ "
     "regexReplaceAll \"^a\" \"aaa\" \"b\" }} {{ regexReplaceAll \"(\\\\w)(\\\\w)\" \"abcde\" \"$2$1\" }} {{ "
     "regexReplaceAll \"(?P<x>b)\" \"abc\" \"<${x}$x $1 $01 $y $$ $> ${ $0\" }}",
     "xbxcx -a-b-c- baa badce a<bb b   $ $> ${ bc", NULL},
    {"{{ regexReplaceAll \"b\" \"abc\" \"$1x\" }} {{ regexReplaceAllLiteral \"b\" \"abc\" \"$0\" }} {{ "
     "regexReplaceAll \"\\\\b\" \"ab cd\" \"|\" }} {{ regexReplaceAll \"x*$\" \"axx\" \"_\" }} {{ "
     "regexReplaceAll \"\303\251|$\" \"\303\251a\303\251\" \"-\" }} {{ regexReplaceAll .a \"axxb\" \"[$0]\" "
     "}}",
     "ac a$0c |ab| |cd| a_ -a- a[x][x]b", NULL},
    {"{{ printf \"%x\" (trunc 3 \"h\\xff\\xfeo\") }} {{ printf \"%x\" (alignLeft 2 \"\\xffab\") }} {{ printf "
     "\"%x\" (upper \"\\xff\303\251\") }}",
     "68efbfbdefbfbd efbfbd61 efbfbdc389", NULL},
};

static void
texts(void)
{
    lp_test_templates(texts_rows, LP_ARRAY_LEN(texts_rows));
}

static const struct lp_test_template maths_rows[] = {
    {"{{ .num | int }} {{ .num | float64 }} {{ int \"12\" }} {{ \"abc\" | int }} {{ float64 \"1e3\" }} {{ "
     "int 7.9 }} {{ int true }} {{ int nil }} {{ int . }} {{ int \"-12.9\" }} {{ int \".5\" }} {{ int "
     "\"1e3\" }} {{ int \"1.5.5\" }}",
     "12 12.5 12 0 1000 7 1 0 0 -12 0 0 0", NULL},
    {"{{ float64 \"1_000\" }} {{ float64 \"0x_1p4\" }} {{ int \"1_000\" }} {{ int \"010\" }} {{ int \"0x1F\" "
     "}} {{float64 \"inf\"}} {{float64 \"1e400\"}} {{float64 \" 1\"}} {{ float64 \"\" }} {{ float64 \"x\" }} "
     "{{ float64 3 }}",
     "1000 16 1000 8 31 +Inf 0 0 0 0 3", NULL},
    {"{{ add 1 2 3 }} {{ sub 10 3 }} {{ mul 2 3 4 }} {{ div 7 2 }} {{ div -7 2 }} {{ mod 7 3 }} {{ mod -7 3 "
     "}} {{ add .num 1 }} {{ mul .num 2 }} {{ add }} {{ add 1 \"2\" 3.9 true nil }} {{ mul 2 }} {{ sub \"9\" "
     "1 }}",
     "6 7 24 3 -3 1 -1 13 24 0 7 2 8", NULL},
    {"{{ div -9223372036854775808 -1 }} {{ mod -9223372036854775808 -1 }} {{ add 9223372036854775807 1 }} {{ "
     "mul 9223372036854775807 2 }} {{ int 1e30 }} {{ int -1e30 }}",
     "-9223372036854775808 0 -9223372036854775808 -2 -9223372036854775808 -9223372036854775808", NULL},
    {"{{ max 1 5 3 }} {{ min 4 2 9 }} {{ maxf 1.5 .num }} {{ minf 1.5 .num }} {{ max \"a\" }} {{ maxf "
     "\"nan\" 1 }}",
     "5 2 12.5 1.5 0 NaN", NULL},
    {"{{ ceil .num }} {{ floor .num }} {{ round .num 0 }} {{ round 3.14159 2 }} {{ round -2.5 0 }} {{ round "
     "2.5 0 }} {{ round 1234.5 -2 }} {{ round 2.3 0 0.2 }} {{ floor -1.5 }} {{ ceil \"x\" }}",
     "13 12 13 3.14 -3 3 1200 3 -2 0", NULL},
    {"{{ addf 0.1 0.2 }} {{ divf 1 3 }} {{ mulf 1.1 1.1 }} {{ subf 0.3 0.1 }} {{ divf 10 4 }} {{ divf 2 3 }} "
     "{{ divf 1 3e20 }} {{ addf }} {{ subf 5 }} {{ addf .num 1 }} {{ addf \"x\" 1 }}",
     "0.3 0.3333333333333333 1.21 0.2 2.5 0.6666666666666667 0 0 5 13.5 1", NULL},
    {"{{ addf 1e308 1e308 }} {{ mulf 1e-300 1e-300 }} {{ addf 1e300 1e-300 }} {{ subf 1 \"0.9\" 0.1 }} {{ "
     "divf 22 7 }} {{ divf -1 3 }} {{ divf 1e300 7 }} {{ divf 1 1e-300 }} {{ mulf 1.1 2.2 3.3 }} {{ divf 2 3 "
     "3 }} {{ mulf 0 5 }} {{ divf 123456789.123456789 0.000123456789 }} {{ divf 5 9007199254740993 }}",
     "+Inf 0 1e+300 0 3.142857142857143 -0.3333333333333333 1.4285714285714286e+299 1e+300 7.986 "
     "0.2222222222222222 0 1.000000001e+12 6e-16",
     NULL},
    {"{{ bytes .sz }} {{ bytes \"1KiB\" }} {{ bytes \"12\" }} {{ bytes \"1.5 gb\" }} {{ bytes \"1,000 kb\" "
     "}} {{ bytes \"1e3\" }}",
     "4.2e+06 1024 12 1.5e+09 1e+06 ",
     "template: line:1:99: executing \"line\" at <bytes \"1e3\">: error calling bytes: unhandled size name: "
     "e3"},
    {"{{ duration .d }} {{ duration \"1.5s\" }} {{ duration \"-1ms\" }} {{ duration \"1h2m3.5s\" }} {{ "
     "duration_seconds \"100us\" }} {{ duration \"0\" }} {{ duration \"1\302\265s\" }}",
     "5400 1.5 -0.001 3723.5 0.0001 0 1e-06", NULL},
};

static void
maths(void)
{
    lp_test_templates(maths_rows, LP_ARRAY_LEN(maths_rows));
}

static const struct lp_test_template times_rows[] = {
    {"{{ __timestamp__ }} {{ __timestamp__ | date \"2006-01-02T15:04:05.000000000Z07:00\" }} {{ "
     "__timestamp__ | unixEpoch }} {{ __timestamp__ | unixEpochMillis }} {{ __timestamp__ | unixEpochNanos "
     "}}",
     "2026-11-20 00:35:25.025000075 +0000 UTC 2026-11-20T00:35:25.025000075Z 1795134925 1795134925025 "
     "1795134925025000075",
     NULL},
    {"{{ __timestamp__ | date \"Mon Jan _2 3:04PM 06\" }}|{{ __timestamp__ | date \"Monday 02-Jan-2006 15h\" "
     "}}|{{ __timestamp__.Year }}|{{ date \"2006-01-02\" 0 }}|{{ date \"2006\" (unixToTime \"1795132800\") "
     "}}|{{ date \"2006\" -99999999999 }}",
     "Fri Nov 20 12:35AM 26|Friday 20-Nov-2026 00h|2026|1970-01-01|2026|-1199", NULL},
    {"{{ __timestamp__.Format \"2006-01-02T15:04:05.000000000Z07:00 .999 ,000 -0700 -07:00 Z0700 -07 MST __2 "
     "002 pm 1 01 2 _2 3 03 4 04 5 05 January Jan Monday Mon Month _2006 20060102 150405 .0000000000 .9999 "
     ".09\" }}",
     "2026-11-20T00:35:25.025000075Z .025 ,025 +0000 +00:00 Z +00 UTC 324 324 am 11 11 20 20 12 12 35 35 25 "
     "25 November Nov Friday Fri Month _2026 20261120 003525 .025000075 .025 .09",
     NULL},
    {"{{ toDate \"2006-01-02T15:04:05Z07:00\" .t | unixEpochMillis }} {{ toDate \"2006-01-02\" "
     "\"2026-11-20\" | unixEpoch }} {{ toDate \"2006\" \"bad\" | unixEpoch }} {{ toDate \"2006\" \"bad\" }}",
     "1795132800500 1795132800 -62135596800 0001-01-01 00:00:00 +0000 UTC", NULL},
    {"{{ toDate \"2006-01-02 15:04:05\" \"2026-11-20 01:02:03.5\" }} {{ toDate \"2006-01-02 15:04:05.000\" "
     "\"2026-11-20 01:02:03.5\" }} {{ toDate \"2006-01-02 3:04PM\" \"2026-11-20 12:30AM\" }} {{ toDate \"Jan "
     "_2 2006\" \"Feb  3 2024\" }} {{ toDate \"2006 002\" \"2024 060\" }} {{ toDate \"02/Jan/2006:15:04:05 "
     "-0700\" \"20/Nov/2026:01:02:03 +0130\" }} {{ toDate \"2006-01-02\" \"2023-02-29\" }}",
     "2026-11-20 01:02:03.5 +0000 UTC 0001-01-01 00:00:00 +0000 UTC 2026-11-20 00:30:00 +0000 UTC 2024-02-03 "
     "00:00:00 +0000 UTC 2024-02-29 00:00:00 +0000 UTC 2026-11-20 01:02:03 +0130 +0130 0001-01-01 00:00:00 "
     "+0000 UTC",
     NULL},
    {"{{ toDate \"2006-01-02 MST\" \"2026-11-20 EST\" }} {{ toDate \"2006-01-02 MST\" \"2026-11-20 GMT+3\" "
     "}} {{ toDate \"06-1-2\" \"70-2-3\" }} {{ toDate \"06-1-2\" \"68-2-3\" }} {{ toDate \"Mon, 02 Jan "
     "2006\" \"Tue, 20 Nov 2026\" }} {{ toDate \"2006-01-02T15:04:05Z\" \"2026-11-20T24:00:00Z\" }}",
     "2026-11-20 00:00:00 +0000 EST 2026-11-20 03:00:00 +0300 GMT+3 1970-02-03 00:00:00 +0000 UTC 2068-02-03 "
     "00:00:00 +0000 UTC 2026-11-20 00:00:00 +0000 UTC 0001-01-01 00:00:00 +0000 UTC",
     NULL},
    {"{{ unixToTime \"20777\" | unixEpoch }} {{ unixToTime \"1795132800\" | unixEpochMillis }} {{ unixToTime "
     "\"1795132800123\" | unixEpochMillis }} {{ unixToTime \"1795132800123456\" | unixEpochNanos }} {{ "
     "unixToTime \"1795132800123456789\" | unixEpochNanos }} {{ unixToTime \"-1234\" }}",
     "1795132800 1795132800000 1795132800123 1795132800123456000 1795132800123456789 1966-08-16 00:00:00 "
     "+0000 UTC",
     NULL},
    {"{{ __timestamp__.Unix }} {{ __timestamp__.UnixNano }} {{ __timestamp__.UnixMilli }} {{ "
     "__timestamp__.UnixMicro }} {{ __timestamp__.Day }} {{ __timestamp__.Hour }}:{{ __timestamp__.Minute "
     "}}:{{ __timestamp__.Second }}.{{ __timestamp__.Nanosecond }} {{ __timestamp__.YearDay }} {{ "
     "__timestamp__.IsZero }} {{ __timestamp__.UTC }} {{ __timestamp__.String }} {{ __timestamp__.Month }} "
     "{{ __timestamp__.Weekday }} {{ __timestamp__.Month.String }}",
     "1795134925 1795134925025000075 1795134925025 1795134925025000 20 0:35:25.25000075 324 false 2026-11-20 "
     "00:35:25.025000075 +0000 UTC 2026-11-20 00:35:25.025000075 +0000 UTC November Friday November",
     NULL},
    {"{{ (__timestamp__.Add 1000000000) }} {{ __timestamp__.AddDate 0 3 15 }} {{ __timestamp__.AddDate 0 -12 "
     "0 }} {{ __timestamp__.Sub (unixToTime \"1795132800\") }} {{ (__timestamp__.Sub (unixToTime "
     "\"1795132800\")).Hours }} {{ (__timestamp__.Sub (unixToTime \"1795132800\")).Milliseconds }} {{ "
     "__timestamp__.Truncate 3600000000000 }} {{ __timestamp__.Round 3600000000000 }}",
     "2026-11-20 00:35:26.025000075 +0000 UTC 2027-03-07 00:35:25.025000075 +0000 UTC 2025-11-20 "
     "00:35:25.025000075 +0000 UTC 35m25.025000075s 0.5902847222430555 2125025 2026-11-20 00:00:00 +0000 UTC "
     "2026-11-20 01:00:00 +0000 UTC",
     NULL},
    {"{{ __timestamp__.Before now }} {{ __timestamp__.After now }} {{ __timestamp__.Equal now }} {{ "
     "__timestamp__.Compare now }} {{ ((__timestamp__.Sub now).Round 3600000000000) }} {{ "
     "((__timestamp__.Sub now).Truncate 3600000000000).String }} {{ (now.Sub __timestamp__).Abs }} {{ "
     "(now.Sub __timestamp__).Seconds }} {{ (now.Sub __timestamp__).Minutes }} {{ (now.Sub "
     "__timestamp__).Microseconds }} {{ (now.Sub __timestamp__).Nanoseconds }}",
     "false true false 1 26426h0m0s 26426h0m0s 26426h22m5.025000075s -9.513492502500008e+07 "
     "-1.5855820837500012e+06 -95134925025000 -95134925025000075",
     NULL},
    {"{{ toDateInZone \"2006-01-02\" \"UTC\" \"2026-11-20\" }} {{ toDateInZone \"2006-01-02\" \"Not/AZone\" "
     "\"2026-11-20\" | unixEpoch }} {{ toDateInZone \"2006-01-02\" \"../../etc/passwd\" \"2026-11-20\" }} {{ "
     "toDateInZone \"2006-01-02\" \"\" \"2026-11-20\" }} {{ toDateInZone \"2006-01-02\" .a \"2026-11-20\" }}",
     "2026-11-20 00:00:00 +0000 UTC 1795132800 2026-11-20 00:00:00 +0000 UTC 2026-11-20 00:00:00 +0000 UTC "
     "2026-11-20 00:00:00 +0000 UTC",
     NULL},
};

static void
times(void)
{
    lp_test_templates(times_rows, LP_ARRAY_LEN(times_rows));
}

static const struct lp_test_template zone_rows[] = {
    {"{{ toDateInZone \"2006-01-02T15:04:05\" \"America/New_York\" \"2026-11-20T00:00:00\" | unixEpoch }} {{ "
     "toDateInZone \"2006-01-02T15:04:05\" \"America/New_York\" \"2026-07-20T00:00:00\" }} {{ toDateInZone "
     "\"2006-01-02T15:04:05\" \"Europe/Berlin\" \"2045-07-20T00:00:00\" }}",
     "1795150800 2026-07-20 00:00:00 -0400 EDT 2045-07-20 00:00:00 +0200 CEST", NULL},
    {"{{ toDateInZone \"2006-01-02 MST\" \"Europe/Berlin\" \"2045-07-20 CEST\" }} {{ toDateInZone "
     "\"2006-01-02 MST\" \"Europe/Berlin\" \"2045-07-20 EST\" }} {{ toDateInZone \"2006-01-02 -0700\" "
     "\"Europe/Berlin\" \"2045-07-20 +0200\" }} {{ toDateInZone \"2006-01-02 -0700\" \"Europe/Berlin\" "
     "\"2045-07-20 +0300\" }}",
     "2045-07-20 00:00:00 +0200 CEST 2045-07-20 00:00:00 +0000 EST 2045-07-20 00:00:00 +0200 CEST 2045-07-20 "
     "00:00:00 +0300 +0300",
     NULL},
    {"{{ toDateInZone \"2006-01-02 15:04\" \"Europe/Berlin\" \"2026-03-29 02:30\" }} {{ toDateInZone "
     "\"2006-01-02 15:04\" \"Europe/Berlin\" \"2026-10-25 02:30\" }} {{ toDateInZone \"2006-01-02\" "
     "\"Australia/Sydney\" \"2060-01-01\" }} {{ toDateInZone \"2006-01-02\" \"Asia/Kolkata\" \"1900-01-01\" "
     "}} {{ toDateInZone \"2006-01-02\" \"America/Sao_Paulo\" \"1500-01-01\" }}",
     "2026-03-29 03:30:00 +0200 CEST 2026-10-25 02:30:00 +0100 CET 2060-01-01 00:00:00 +1100 AEDT 1900-01-01 "
     "00:00:00 +0521 MMT 1500-01-01 00:00:00 -0306 LMT",
     NULL},
};

/* On a machine without the database every zone is UTC. */
static void
zones(void)
{
    lp_rc rc;
    const char *t = lp_test_template_run("{{toDateInZone \"2006\" \"Europe/Berlin\" \"2026\"}}", 65536, &rc);
    CU_ASSERT_EQUAL(rc, LP_OK);
    if (strcmp(t, "2026-01-01 00:00:00 +0000 UTC") != 0) {
        lp_test_templates(zone_rows, LP_ARRAY_LEN(zone_rows));
    }
}

/* ------------------------------------------------------------------ at random */

static uint64_t seed = 20261120;

static const char *const pieces[] = {
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{end}}",
    "{{else}}",
    "{{if .a}}",
    "{{range .}}",
    "{{with .v}}",
    "(",
    ")",
    "|",
    " . ",
    "$",
    "$x",
    " := ",
    " = ",
    ".a",
    ".v",
    ".json",
    "\"a\"",
    "`b`",
    "'c'",
    "1",
    "-2.5",
    "0x1F",
    "nil",
    "true",
    "printf \"%5.2f|%v\" ",
    "fromJson .v",
    "{{break}}",
    "{{template \"t\" .}}",
    "{{define \"t\"}}",
    "/*",
    "*/",
    "\n",
    "\\",
    "\xff",
    "regexReplaceAll \"(.)\" ",
    "date \"2006 Jan\" ",
    "toDate \"2006\" ",
    "addf ",
    "divf ",
    "index ",
    "slice ",
    "eq ",
    "default ",
    "range 3",
    "%[1]d",
};

/* A text with one or two changes. */
static size_t
change(char *text, size_t n, size_t cap)
{
    size_t at = lp_test_below(&seed, (unsigned)n + 1), cut = lp_test_below(&seed, 8);
    struct lp_str piece = lp_str_c(pieces[lp_test_below(&seed, LP_ARRAY_LEN(pieces))]);
    cut = lp_test_below(&seed, 3) > 0 ? 0 : LP_MIN(cut, n - at);
    if (n - cut + piece.n > cap) {
        return n;
    }
    memmove(text + at + piece.n, text + at + cut, n - at - cut);
    memcpy(text + at, piece.p, piece.n);
    return n - cut + piece.n;
}

static const struct {
    const struct lp_test_template *rows;
    size_t n;
} tables[] = {
    {values_rows, LP_ARRAY_LEN(values_rows)}, {formats_rows, LP_ARRAY_LEN(formats_rows)},
    {texts_rows, LP_ARRAY_LEN(texts_rows)},   {maths_rows, LP_ARRAY_LEN(maths_rows)},
    {times_rows, LP_ARRAY_LEN(times_rows)},   {zone_rows, LP_ARRAY_LEN(zone_rows)},
};

static void
at_random(void)
{
    int64_t end_ns = lp_mono_ns() + 2 * LP_NS_PER_S;
    size_t runs = 0;
    for (; lp_mono_ns() < end_ns; runs++) {
        char text[2048];
        size_t k = lp_test_below(&seed, LP_ARRAY_LEN(tables));
        struct lp_str from = lp_str_c(tables[k].rows[lp_test_below(&seed, (unsigned)tables[k].n)].text);
        size_t n = LP_MIN(from.n, sizeof(text));
        memcpy(text, from.p, n);
        for (unsigned i = 0, m = 1 + lp_test_below(&seed, 4); i < m; i++) {
            n = change(text, n, sizeof(text));
        }
        lp_fuzz_template((const uint8_t *)text, n);
    }
    CU_ASSERT(runs > 100);
}

static void
cut_off(void)
{
    for (size_t k = 0; k < LP_ARRAY_LEN(tables); k++) {
        for (size_t i = 0; i < tables[k].n; i++) {
            size_t all = strlen(tables[k].rows[i].text);
            for (size_t n = i % 7; n < all; n += 7) {
                lp_fuzz_template((const uint8_t *)tables[k].rows[i].text, n);
            }
        }
    }
    CU_PASS("no invariant broke");
}

LP_SUITE(template_funcs, {"values", values}, {"printf", formats}, {"texts", texts}, {"numbers", maths},
         {"times", times}, {"time zones", zones}, {"templates cut off anywhere", cut_off},
         {"templates changed at random", at_random});
