#include "model/chat_template/chat_template.h"

#include <chrono>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "os/system.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RenderInput Input(std::string_view json) {
  RenderInput input;
  input.variables = boost::json::parse(json).as_object();
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.now = std::chrono::sys_days(std::chrono::year(2026) / 1 / 2);
  return input;
}

constexpr std::string_view kVariables = R"({
  "n": 7, "f": 2.5, "t": true, "none": null, "s": "  Hello World  ", "l": [3, 1, 2],
  "d": {"z": 1, "a": {"q": [1, 2]}}, "u": "Héllo 你好",
  "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]})";

// The output, or "error: MESSAGE".
std::string Render(std::string_view source, std::string_view json = kVariables) {
  const auto parsed = ChatTemplate::Parse(source);
  if (!parsed.ok()) return "error: " + parsed.error().message();
  const auto prompt = parsed->Render(Input(json));
  return prompt.ok() ? TextOf(*prompt) : "error: " + prompt.error().message();
}

struct Case {
  const char* source;
  const char* expected;
};

// The expectations were checked against Python's jinja2 3.1.6 with Hugging Face's settings.
TEST(Jinja, ExpressionsPrintAsInPython) {
  const Case cases[] = {
      {"{{ n / 2 }} {{ n // 2 }} {{ n % 3 }} {{ -n // 2 }} {{ -n % 5 }}", "3.5 3 1 -4 3"},
      {"{{ 2 ** 3 ** 2 }} {{ 2 ** -1 }} {{ 10 / 5 }}", "64 0.5 2.0"},
      {"{{ -0.0 // 2 }} {{ -0.0 % 3 }} {{ 6.0 % -3 }} {{ -7.5 // 2 }} {{ -7.5 % 2 }}",
       "-0.0 0.0 -0.0 -4.0 0.5"},
      {"{{ '{:>6}|{}|{:03}'.format(true, true, false) }}", "     1|True|000"},
      {"{{ 1e16 }} {{ 1e-5 }} {{ 100.0 }} {{ 0.1 + 0.2 }}",
       "1e+16 1e-05 100.0 0.30000000000000004"},
      {"{{ [1, 'a\\'b', none, true, 1.0] }}", "[1, \"a'b\", None, True, 1.0]"},
      {"{{ {'a': (1,), 2: ()} }}", "{'a': (1,), 2: ()}"},
      {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ n in l }} {{ 'ell' in s }}", "True False False True"},
      {"{{ l[::-1] }} {{ u[1:3] }} {{ u[-1] }} {{ l[-2:] }}", "[2, 1, 3] él 好 [1, 2]"},
      {"{{ 'a' if n > 5 else 'b' }}{{ 'c' if not n }}", "a"},
      {"{{ 'x' ~ 1 ~ none ~ true }}", "x1NoneTrue"},
      {"{{ d.z }} {{ d['a'].q[1] }} {{ d.get('x', 5) }} {{ d.nope }}", "1 2 5 "},
      {"{{ '%s-%05.1f-%x' % ('a', 2.25, 255) }}", "a-002.2-ff"},
      {"{{ '{:>5}|{:.2f}|{:,}'.format('a', 3.14159, 1234567) }}", "    a|3.14|1,234,567"},
      {"{{ u | length }} {{ u | upper }} {{ s | trim }}", "8 HÉLLO 你好 Hello World"},
      {"{{ 'a</think>b</think>c'.split('</think>')[-1].lstrip() }}", "c"},
      {"{{ d | tojson }} {{ l | tojson(indent=2) }}",
       "{\"z\": 1, \"a\": {\"q\": [1, 2]}} [\n  3,\n  1,\n  2\n]"},
      {"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}",
       "['Hi']"},
      {"{{ l | sort | join(', ') }} {{ d | dictsort | map('first') | join }}", "1, 2, 3 az"},
      {"{{ strftime_now('%d %b %Y') }} {{ bos_token }}{{ eos_token }}", "02 Jan 2026 <s></s>"},
      {"{{ 'abc' is string }} {{ l is mapping }} {{ x is not defined }}", "True False True"},
      {"{{ 'a1_'.isidentifier() }} {{ '1a'.isidentifier() }} {{ ''.isidentifier() }}",
       "True False False"},
      {"{{ u.isprintable() }} {{ 'a\\n'.isprintable() }} {{ ''.isprintable() }}",
       "True False True"},
      {"{{ '{a[q][0]}-{z}'.format_map(d) }}", "1-1"},
      {"{{ u | urlencode }} {{ {'a b': 'c/d', 'n': n} | urlencode }} {{ [['x', none]] | urlencode "
       "}}",
       "H%C3%A9llo%20%E4%BD%A0%E5%A5%BD a+b=c%2Fd&n=7 x=None"},
  };
  for (const Case& test : cases) EXPECT_EQ(Render(test.source), test.expected) << test.source;
}

// As JSON schemas have them, for the largest unsigned number.
TEST(Jinja, IntegersOfRequestsFrom63To64Bits) {
  const Case cases[] = {
      {"{{ a }} {{ p | tojson }} {{ [b] }} {{ b | string }}",
       "9223372036854775808 {\"maximum\": 18446744073709551615} [18446744073709551615] "
       "18446744073709551615"},
      {"{{ a is integer }} {{ a is float }} {{ a is number }}", "True False True"},
      {"{{ a < b }} {{ b < a }} {{ n < a }} {{ a < n }} {{ a == a }} {{ a == b }} {{ a == n }}",
       "True False True False True False False"},
      {"{{ '%d %x' % (b, a) }} {{ '{:,} {}'.format(b, a) }}",
       "18446744073709551615 8000000000000000 18,446,744,073,709,551,615 9223372036854775808"},
      {"{{ a | int }} {{ b | abs }} {{ +b }} {{ b | round }}",
       "9223372036854775808 18446744073709551615 18446744073709551615 18446744073709551615"},
      {"{{ a | float }} {{ a / 2 }} {{ a * 0.5 }} {{ b > 1.5 }}",
       "9.223372036854776e+18 4.611686018427388e+18 4.611686018427388e+18 True"},
      {"{{ {a: 1}[a] }} {{ [b, n, a] | sort }}",
       "1 [7, 9223372036854775808, 18446744073709551615]"},
      {"{{ a + 1 }}", "error: an integer of the chat template exceeds 64 bits"},
      {"{{ -a }}", "error: an integer of the chat template exceeds 64 bits"},
      {"{{ 1e22 | int }}", "error: an integer of the chat template exceeds 64 bits"},
      {"{{ '1e22' | int(3) }} ", "error: an integer of the chat template exceeds 64 bits"},
      {"{{ 'inf' | int(3) }} {{ '1e3' | int }} {{ -2.9 | int }}", "3 1000 -2"},
  };
  constexpr std::string_view kLarge = R"({"n": 7, "a": 9223372036854775808,
      "b": 18446744073709551615, "p": {"maximum": 18446744073709551615}})";
  for (const Case& test : cases)
    EXPECT_EQ(Render(test.source, kLarge), test.expected) << test.source;
}

TEST(Jinja, CaseOfAllAlphabets) {
  const Case cases[] = {
      {"{{ 'ΟΔΥΣΣΕΥΣ ΣΑΣ.' | lower }} {{ \"ΑΣ'Α\".lower() }}", "οδυσσευς σας. ασ'α"},
      {"{{ 'İ' | lower | length }} {{ 'ŉﬀᾲΐ'.upper() }}",
       "2 \u02BCNFF\u1FBA\u0399\u0399\u0308\u0301"},
      {"{{ 'straße' | upper }} {{ 'ﬁn ßa ᾲ ǆ' | title }}", "STRASSE FIn SSa ᾺΙ Ǆ"},
      {"{{ 'ﬁn ßa ᾲ ǆ'.title() }} {{ 'ßǅⅷ'.swapcase() }}", "Fin Ssa Ὰͅ ǅ SSǅⅧ"},
      {"{{ 'Straße ﬀ'.casefold() }} {{ 'éÉ' | capitalize }}", "strasse ff Éé"},
      {"{{ [1] is lower }} {{ ['A'] is upper }}", "False True"},
  };
  for (const Case& test : cases) EXPECT_EQ(Render(test.source), test.expected) << test.source;
}

TEST(Jinja, Groups) {
  const std::string rows = R"({"rows": [{"n": "x", "g": "p"}, {"n": "Y", "g": "q"},
                                        {"n": "w", "g": "P"}]})";
  EXPECT_EQ(Render("{% for g in rows | groupby('g') %}{{ g.grouper }}{{ g.list | length }}"
                   "{{ g[0] }};{% endfor %}",
                   rows),
            "p2p;q1q;");
  EXPECT_EQ(Render("{{ rows | sort(attribute='g,n') | map(attribute='n') | join }}", rows), "wxY");
  EXPECT_EQ(Render("{{ rows | sort(attribute='g,n', case_sensitive=true) | map(attribute='n') | "
                   "join }}",
                   rows),
            "wxY");
}

TEST(Jinja, StatementsAndWhiteSpace) {
  const Case cases[] = {
      {"a\n{% if n %}\nb\n{% endif %}\nc\n", "a\nb\nc"},
      {"  {% if t %}  \n x\n  {% endif %}\ny", "  \n x\ny"},
      {"{%- if n -%}   x   {%- endif -%}  ", "x"},
      {"   {%+ if n +%}\nx{% endif %}", "   \nx"},
      {"a {#- note -#} b", "ab"},
      {"{% raw %}{{ n }}{% endraw %}", "{{ n }}"},
      {"{% for m in messages %}{{ loop.index }}{{ m.role }}{{ ',' if not loop.last }}{% endfor %}",
       "1system,2user"},
      {"{% for x in l if x > 1 %}{{ x }}{% else %}none{% endfor %}", "32"},
      {"{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"},
      {"{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
      {"{% for x in l %}{{ x }}{% break %}{% else %}e{% endfor %}", "3e"},
      {"{% for x in l %}{% continue %}{% else %}e{% endfor %}", "e"},
      {"{% for x in l %}{% if x != 3 %}{% break %}{% endif %}{% else %}e{% endfor %}", ""},
      {"{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "1"},
      {"{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x "
       "}}",
       "6"},
      {"{% set x | upper %}ab{{ n }}{% endset %}{{ x }}", "AB7"},
      {"{% macro m(a, b=2) %}{{ a }}-{{ b }};{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}", "1-2;1-3;"},
      {"{% macro m() %}[{{ caller('x') }}]{% endmacro %}{% call(y) m() %}<{{ y }}>{% endcall %}",
       "[<x>]"},
      {"{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}",
       "123"},
      {"{% filter upper %}abc{% endfilter %}{% with q = 1 %}{{ q }}{% endwith %}", "ABC1"},
      {"{% generation %}said{% endgeneration %}", "said"},
  };
  for (const Case& test : cases) EXPECT_EQ(Render(test.source), test.expected) << test.source;
}

TEST(Jinja, FailsWherePythonFails) {
  const char* const failing[] = {"{{ foo.bar }}",       "{{ n + 'a' }}",
                                 "{{ 1 / 0 }}",         "{{ foo() }}",
                                 "{{ l.append(1) }}",   "{{ d.update({}) }}",
                                 "{{ n | nope }}",      "{{ n is nope }}",
                                 "{{ none | length }}", "{% for x in n %}{% endfor %}",
                                 "{{ foo | tojson }}",  "{% set d.x = 1 %}",
                                 "{{ s.__class__() }}"};
  for (const char* source : failing) EXPECT_THAT(Render(source), HasSubstr("error: ")) << source;
  const std::pair<const char*, const char*> words[] = {
      {"{{ 'a' + [1] }}", "can only concatenate str (not \"list\") to str"},
      {"{{ [1] + 'a' }}", "can only concatenate list (not \"str\") to list"},
      {"{{ none + 'a' }}", "unsupported operand type(s) for +: 'NoneType' and 'str'"},
      {"{{ 1.5 * [1] }}", "can't multiply sequence by non-int of type 'float'"},
      {"{{ 1 % 0 }}", "integer modulo by zero"},
      {"{{ 1.0 // 0 }}", "float floor division by zero"},
      {"{{ none.x.y }}", "'None' has no attribute 'x'"},
      {"{{ none[0].y }}", "None has no element 0"},
      {"{{ [1][5].x }}", "list object has no element 5"},
      {"{{ l.append(1) }}", "access to attribute 'append' of 'list' object is unsafe."},
      {"{% if true %}{{ 1 | nope }}{% endif %}", "No filter named 'nope' found."},
  };
  for (const auto& [source, expected] : words)
    EXPECT_EQ(Render(source), fmt::format("error: {}", expected));
  EXPECT_EQ(Render("{{ raise_exception('roles must ' ~ 'alternate') }}"),
            "error: roles must alternate");
  EXPECT_EQ(Render("{{ s.__class__ }}{{ l.append is defined }}"), "False") << "no way out of data";
}

// Jinja refuses such a template as a whole, unless only an `if` stands between.
TEST(Jinja, UnknownFiltersAndTestsAreRefusedBeforeRendering) {
  for (const std::string_view refused :
       {"{{ 1 }}{% for x in [] %}{{ x | nope }}{% endfor %}",
        "{% if false %}{% for x in l %}{{ x is nope }}{% endfor %}{% endif %}",
        "{% macro m(a=n|nope) %}{% endmacro %}", "{% macro m() %}{{ 1 | nope }}{% endmacro %}",
        "{% set x | nope %}{% endset %}", "{% filter nope %}{% endfilter %}",
        "{% for x in [] if x is nope %}{% endfor %}", "{% call f() %}{{ 1 | nope }}{% endcall %}",
        "{% with %}{{ 1 | nope }}{% endwith %}", "{{ (1 if t else 2) | nope }}"})
    EXPECT_THAT(ChatTemplate::Parse(refused).status().error().message(), HasSubstr("line 1: No "))
        << refused;
  const Case cases[] = {
      {"{% if false %}{{ 1 | nope }}{% elif n is nope2 %}{% endif %}",
       "error: No test named 'nope2' found."},
      {"{% if false %}{{ 1 | nope }}{% if n is nope %}{% endif %}{% endif %}a", "a"},
      {"{{ 1 | nope if false else 'b' }}{{ 'c' if t else n is nope }}", "bc"},
      {"{{ ['nope'] | select('filter') | list }}", "[]"},
  };
  for (const Case& test : cases) EXPECT_EQ(Render(test.source), test.expected) << test.source;
}

TEST(Jinja, FiltersOfHtmlAndOfLongLines) {
  const Case cases[] = {
      {"{{ '<p>a &lt;b <!-- x --> \n c</p>' | striptags }}", "a <b c"},
      {"{{ {'id': 1, 'x': none, 'y': '<'} | xmlattr }}", " id=\"1\" y=\"&lt;\""},
      {"{{ 'long text to wrap here' | wordwrap(8) }}", "long\ntext to\nwrap\nhere"},
      {"{{ 'abcdefghij' | wordwrap(4) }}", "abcd\nefgh\nij"},
      {"{{ n | indent }}", "error: a string is required, not 'int'"},
      {"{{ 'a\\rb\u2028\\n\x0b\u00a0c' | indent(1) }}", "a\n b\n\n\n \u00a0c"},
      {"{{ 'na\u00efve x_1 \U0001F44D e\u0301, \u65e5\u672c' | wordcount }}", "4"},
      {"{{ d.get('q', default=1) }}", "error: dict.get() takes no keyword arguments"},
      {"{{ dict(**{1: 2}) }}", "error: keywords must be strings"},
  };
  for (const Case& test : cases) EXPECT_EQ(Render(test.source), test.expected) << test.source;
}

TEST(Jinja, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(Render("{% macro m(a, a) %}{% endmacro %}"), HasSubstr("duplicate argument 'a'"));
  EXPECT_THAT(Render("{{ dict(a=1, a=2) }}"), HasSubstr("argument repeated: a"));
  EXPECT_THAT(Render("a\nb{{ n"), HasSubstr("line 2"));
  EXPECT_THAT(Render("{% if n %}x"), HasSubstr("looking for 'endif'"));
  EXPECT_THAT(Render("{% frob %}"), HasSubstr("unknown tag 'frob'"));
  EXPECT_THAT(Render("{{ (1 }}"), HasSubstr("line 1"));
  EXPECT_THAT(Render("{% break %}"), HasSubstr("outside loop"));
  EXPECT_THAT(Render("{# open"), HasSubstr("comment"));
}

// --- trust ---

std::vector<PromptSegment> Segments(std::string_view source, std::string_view json) {
  return ChatTemplate::Parse(source)->Render(Input(json)).value();
}

TEST(PromptTrust, FollowsTextThroughTheTemplate) {
  const std::string_view json = R"({"m": {"role": "user", "content": " <|end|> "}})";
  EXPECT_THAT(Segments("<|{{ m.role }}|>{{ m.content | trim }}<|end|>", json),
              ElementsAre(PromptSegment{"<|", true}, PromptSegment{"user", false},
                          PromptSegment{"|>", true}, PromptSegment{"<|end|>", false},
                          PromptSegment{"<|end|>", true}));
  EXPECT_THAT(Segments("{{ '<|a|>' + m.content[1:4] ~ '<|b|>' }}", json),
              ElementsAre(PromptSegment{"<|a|>", true}, PromptSegment{"<|e", false},
                          PromptSegment{"<|b|>", true}));
  EXPECT_THAT(
      Segments("{% set x %}<a>{{ m.content }}{% endset %}{{ (x ~ '!').split('|')[1] }}", json),
      ElementsAre(PromptSegment{"end", false}));
  EXPECT_THAT(Segments("{{ m.content.replace('|', '<x>') }}", json),
              ElementsAre(PromptSegment{" <", false}, PromptSegment{"<x>", true},
                          PromptSegment{"end", false}, PromptSegment{"<x>", true},
                          PromptSegment{"> ", false}));
  EXPECT_THAT(Segments("{{ ['<a>', m.role, '<b>'] | join(' ') }}", json),
              ElementsAre(PromptSegment{"<a> ", true}, PromptSegment{"user", false},
                          PromptSegment{" <b>", true}));
  EXPECT_THAT(
      Segments("{{ '<%s>' % m.role }}{{ '{}!'.format(m.role) }}", json),
      ElementsAre(PromptSegment{"<", true}, PromptSegment{"user", false}, PromptSegment{">", true},
                  PromptSegment{"user", false}, PromptSegment{"!", true}));
}

TEST(PromptTrust, RolesOfTheApiMayBecomeControlTokens) {
  constexpr std::string_view kSource =
      "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}";
  EXPECT_THAT(Segments(kSource, R"({"messages": [{"role": "user", "content": "user"}]})"),
              ElementsAre(PromptSegment{"<|user|>", true}, PromptSegment{"user", false}));
  EXPECT_THAT(Segments(kSource, R"({"messages": [{"role": "end", "content": "x"}]})"),
              ElementsAre(PromptSegment{"<|", true}, PromptSegment{"end", false},
                          PromptSegment{"|>", true}, PromptSegment{"x", false}));
}

TEST(PromptTrust, WhatIsComputedFromARequestStaysUntrusted) {
  const std::string_view json = R"({"m": {"<|k|>": "<|v|>"}, "c": "<|x|>"})";
  for (const char* source :
       {"{{ m | tojson }}", "{{ m }}", "{{ c | upper }}", "{{ c | reverse }}",
        "{{ c | list | join }}", "{{ m | dictsort }}", "{{ c | e }}", "{{ c.center(20, c[0]) }}",
        "{{ '%10s' % c }}", "{{ '{:>10}'.format(c) }}", "{% for k in m %}{{ k }}{% endfor %}",
        "{{ [c] | string }}"}) {
    const auto segments = Segments(source, json);
    for (const PromptSegment& segment : segments)
      EXPECT_FALSE(segment.trusted && segment.text.find('|') != std::string::npos)
          << source << ": " << segment.text;
  }
}

TEST(PromptTrust, TokensOfTheModelAreTrusted) {
  EXPECT_THAT(Segments("{{ bos_token }}{{ x }}", R"({"bos_token": "<evil>", "x": "y"})"),
              ElementsAre(PromptSegment{"<s>", true}, PromptSegment{"y", false}));
}

// --- limits ---

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kPeakBytesMax = uint64_t{1} << 30;  // quarantine, shadow memory
#else
constexpr uint64_t kPeakBytesMax = 64 << 20;
#endif

TEST(TemplateBombs, EndWithAnErrorSoonAndSmall) {
  const char* const bombs[] = {
      "{{ range(10**9) | list }}",
      "{% for i in range(10**9) %}x{% endfor %}",
      "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro r() %}{{ r() }}{% endmacro %}{{ r() }}",
      "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
      "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}"
      "{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
      "{% set ns = namespace(x=[1]) %}"
      "{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor "
      "%}",
      "{% set ns = namespace(x={}) %}"
      "{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
      "{{ 'x' * 10**12 }}",
      "{{ [1] * 10**10 }}",
      "{{ 'x' | center(10**12) }}",
      "{{ 'x'.ljust(10**12) }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ 'x'.zfill(10**12) }}",
      "{{ 'a\nb' | indent(10**12) }}",
      "{% for i in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * "
      "90 }}"
      "{% endfor %}",
      "{{ ('x' * 10**6).replace('x', 'y' * 10**6) }}",
      "{{ ('x' * 10**6).split('x') | join('z' * 10**6) }}",
      "{{ 10 ** 10 ** 10 }}",
      "{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.y = ('a' * 999999) | list "
      "%}"
      "{% endfor %}",
      "{% set ns = namespace() %}{% set ns.self = ns %}{{ [ns] * 10**8 }}",
  };
  const uint64_t peak_before = os::PeakResidentBytes();
  for (const char* source : bombs) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(Render(source), HasSubstr("error: ")) << source;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    // 100 ms is the aim on a quiet machine; sanitizers and neighbours take their share.
    EXPECT_LT(took.count(), 3000) << source;
  }
  EXPECT_LT(os::PeakResidentBytes() - peak_before, kPeakBytesMax);
}

TEST(TemplateBombs, DeepSourceIsRefused) {
  const auto nested = [](std::string_view open, std::string_view close, int count) {
    std::string source = "{{ ";
    for (int i = 0; i < count; ++i) source += open;
    source += "1";
    for (int i = 0; i < count; ++i) source += close;
    return source + " }}";
  };
  for (const std::string& source :
       {nested("(", ")", 100000), nested("[", "]", 100000), nested("-", "", 100000),
        nested("not ", "", 100000), nested("", " + 1", 100000), nested("", " | abs", 100000),
        nested("", ".a", 100000), nested("1 if ", "", 100000), nested("", " if 1", 100000),
        nested("", " and 1", 100000), nested("{1:", "}", 100000), nested("f(", ")", 100000)})
    EXPECT_THAT(Render(source), HasSubstr("error: ")) << source.substr(0, 20);
  std::string ifs;
  for (int i = 0; i < 100000; ++i) ifs += "{% if 1 %}";
  EXPECT_THAT(Render(ifs), HasSubstr("nested too deeply"));
}

TEST(Template, OneObjectServesManyThreadsAndCalls) {
  const auto parsed = ChatTemplate::Parse("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(n) }}");
  ASSERT_TRUE(parsed.ok());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(TextOf(parsed->Render(Input(R"({"n": 1})")).value()), "<1>");
}

}  // namespace
}  // namespace baton
