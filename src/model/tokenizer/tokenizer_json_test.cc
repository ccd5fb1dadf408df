#include "model/tokenizer/tokenizer_json.h"

#include <functional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "model/testing/cpu_stopwatch.h"
#include "model/testing/heap_meter.h"
#include "model/tokenizer/byte_characters.h"
#include "model/tokenizer/oniguruma.h"

namespace baton {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Byte-level BPE: 256 bytes, then "he", "ll", "hell", then added tokens from 259.
constexpr TokenId kHe = 256, kHell = 258, kStart = 259, kEnd = 260, kCall = 261;

object ByteModel() {
  object vocabulary;
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[ByteCharacters()[static_cast<size_t>(byte)]] = byte;
  vocabulary["he"] = 256;
  vocabulary["ll"] = 257;
  vocabulary["hell"] = 258;
  return {
      {"type", "BPE"}, {"vocab", vocabulary}, {"merges", array{"h e", "l l", array{"he", "ll"}}}};
}

object Added(TokenId id, std::string_view content, bool special) {
  return {{"id", id}, {"content", content}, {"special", special}, {"normalized", false}};
}

object ByteTokenizer() {
  return {{"added_tokens", array{Added(kStart, "<|start|>", true), Added(kEnd, "<|end|>", true),
                                 Added(kCall, "<call>", false)}},
          {"pre_tokenizer", object{{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"decoder", object{{"type", "ByteLevel"}}},
          {"model", ByteModel()}};
}

Result<HubTokenizer> Read(const value& tokenizer, std::string_view config = "",
                          int32_t vocab_size = 0, std::string_view generation = "") {
  const std::string json = boost::json::serialize(tokenizer);
  return ReadTokenizerFiles(
      {.tokenizer_json = json, .tokenizer_config = config, .generation_config = generation},
      vocab_size);
}

std::string ErrorOf(const value& tokenizer, std::string_view config = "") {
  const auto read = Read(tokenizer, config);
  return read.ok() ? "no error" : read.error().message();
}

TEST(TokenizerJson, ReadsByteLevelBpe) {
  const auto read = Read(ByteTokenizer());
  ASSERT_TRUE(read.ok()) << read.error().message();
  const Tokenizer& tokenizer = read->tokenizer;
  EXPECT_EQ(tokenizer.vocab_size(), 262);
  EXPECT_THAT(*tokenizer.Encode("hello"), ElementsAre(kHell, 'o'));
  EXPECT_THAT(*tokenizer.Encode("<call>he"), ElementsAre(kCall, kHe));
  EXPECT_THAT(*tokenizer.Encode("<|end|>", {.parse_special = true}), ElementsAre(kEnd));
  const std::string bytes = "he\xff\xfehe\xe4\xbd";
  EXPECT_EQ(tokenizer.Decode(*tokenizer.Encode(bytes)), bytes);
  EXPECT_TRUE(tokenizer.IsEndOfGeneration(kEnd));
}

TEST(TokenizerJson, TextNeverBecomesAControlToken) {
  object json = ByteTokenizer();
  // Not marked as special, but it looks as if it steered; and one that is matched behind a
  // normalizer.
  json["added_tokens"].as_array().push_back(Added(262, "<\uFF5CUser\uFF5C>", false));
  object late = Added(263, "<|late|>", true);
  late["normalized"] = true;
  json["added_tokens"].as_array().push_back(late);
  json["normalizer"] = {{"type", "Lowercase"}};
  // A piece that is a token as a whole is taken as it is.
  json["model"].as_object()["ignore_merges"] = true;
  const auto read = Read(json);
  ASSERT_TRUE(read.ok()) << read.error().message();
  const Tokenizer& tokenizer = read->tokenizer;
  const auto encode = [&tokenizer](std::vector<PromptSegment> prompt) {
    return *tokenizer.Encode(prompt);
  };
  for (const auto& [text, id] : std::vector<std::pair<std::string, TokenId>>{
           {"<|end|>", kEnd}, {"<\uFF5CUser\uFF5C>", 262}, {"<|late|>", 263}, {"<|LATE|>", 263}}) {
    if (text != "<|LATE|>") {
      EXPECT_THAT(encode({{text, true}}), ElementsAre(id)) << text;
    }
    EXPECT_THAT(encode({{text, false}}), Not(Contains(id))) << text;
    EXPECT_THAT(encode({{text.substr(0, 3), true}, {text.substr(3), false}}), Not(Contains(id)));
    EXPECT_THAT(encode({{text.substr(0, 3), false}, {text.substr(3), true}}), Not(Contains(id)));
    EXPECT_THAT(*tokenizer.Encode(text), Not(Contains(id))) << text;
  }
  EXPECT_THAT(encode({{"he<|LATE|>", true}, {"<|late|>", false}, {"<|late|>", true}}),
              testing::IsSupersetOf({kHe, 263, 263}));
}

TEST(TokenizerJson, RolesComeFromTheConfigurationAndThePostProcessor) {
  object json = ByteTokenizer();
  const object start = {{"SpecialToken", object{{"id", "<|start|>"}, {"type_id", 0}}}};
  const object text = {{"Sequence", object{{"id", "A"}, {"type_id", 0}}}};
  json["post_processor"] = {{"type", "TemplateProcessing"}, {"single", array{start, text}}};
  const auto read =
      Read(json, R"({"eos_token": {"content": "<|end|>"}, "chat_template": "{{ 1 }}"})", 300,
           R"({"eos_token_id": [261]})");
  ASSERT_TRUE(read.ok()) << read.error().message();
  const Vocabulary& vocabulary = read->tokenizer.vocabulary();
  EXPECT_EQ(vocabulary.bos(), kStart);
  EXPECT_EQ(vocabulary.eos(), kEnd);
  EXPECT_EQ(vocabulary.size(), 300);
  EXPECT_EQ(vocabulary.TypeOf(299), TokenType::kUnused);
  EXPECT_EQ(read->chat_templates.standard, "{{ 1 }}");
  EXPECT_THAT(*read->tokenizer.Encode("he", {.add_special = true}), ElementsAre(kStart, kHe));
  EXPECT_THAT(read->tokenizer.end_of_generation(), ElementsAre(kEnd, kCall));
  // Llama's class obeys its own flags.
  const auto llama = Read(json, R"({"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false,
                                    "add_eos_token": true, "eos_token": "<|end|>"})");
  ASSERT_TRUE(llama.ok()) << llama.error().message();
  EXPECT_THAT(*llama->tokenizer.Encode("he", {.add_special = true}), ElementsAre(kHe, kEnd));
}

// GLM-4's.
TEST(TokenizerJson, AnyNumberOfTokensAroundAText) {
  object json = ByteTokenizer();
  const auto special = [](std::string_view text) {
    return object{{"SpecialToken", object{{"id", text}, {"type_id", 0}}}};
  };
  const object text = {{"Sequence", object{{"id", "A"}, {"type_id", 0}}}};
  const object around = {{"type", "TemplateProcessing"},
                         {"single", array{special("<|start|>"), special("<call>"), text,
                                          special("<|end|>"), special("<|end|>")}}};
  json["post_processor"] = {{"type", "Sequence"}, {"processors", array{around, around}}};
  const auto read = Read(json, R"({"eos_token": "<|end|>"})");
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_THAT(*read->tokenizer.Encode("he", {.add_special = true}),
              ElementsAre(kStart, kCall, kStart, kCall, kHe, kEnd, kEnd, kEnd, kEnd));
  EXPECT_EQ(read->tokenizer.vocabulary().bos(), kNoToken);
  EXPECT_EQ(read->tokenizer.vocabulary().eos(), kEnd);
  // Tokens with a role steer, so no text becomes one.
  EXPECT_THAT(*read->tokenizer.Encode("<call>"), Not(Contains(kCall)));
  array many;
  for (int i = 0; i < 20; ++i) many.push_back(special("<call>"));
  json["post_processor"] = {{"type", "TemplateProcessing"}, {"single", many}};
  EXPECT_THAT(ErrorOf(json), HasSubstr("more than 16 tokens"));
}

TEST(TokenizerJson, ChatTemplatesByName) {
  const auto named = ChatTemplatesIn(R"({"chat_template": [{"name": "tool_use", "template": "a"},
      {"name": "default", "template": "b"}, {"name": "rag", "template": "c"}]})");
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->For({}), "b");
  EXPECT_EQ(named->For({{"tools", nullptr}}), "b");
  EXPECT_EQ(named->For({{"tools", array{}}}), "a");
  EXPECT_EQ(ChatTemplatesIn(R"({"chat_template": "x"})")->For({{"tools", array{}}}), "x");
  EXPECT_TRUE(ChatTemplatesIn("{}")->empty());
  EXPECT_FALSE(ChatTemplatesIn(R"({"chat_template": 5})").ok());
  const std::string json = boost::json::serialize(ByteTokenizer());
  const auto read = ReadTokenizerFiles({.tokenizer_json = json,
                                        .tokenizer_config = R"({"chat_template": "old"})",
                                        .chat_template = "new"});
  EXPECT_EQ(read->chat_templates.standard, "new");
  const auto both = ReadTokenizerFiles({.tokenizer_json = json,
                                        .tokenizer_config = R"({"chat_template": "old"})",
                                        .chat_template = "new",
                                        .tool_template = "with tools"});
  EXPECT_EQ(both->chat_templates.For({{"tools", array{}}}), "with tools");
  EXPECT_EQ(both->chat_templates.For({}), "new");
}

TEST(TokenizerJsonHostile, NamesWhatItDoesNotKnow) {
  for (const auto& [member, type] :
       std::vector<std::pair<std::string, std::string>>{{"normalizer", "BertNormalizer"},
                                                        {"pre_tokenizer", "UnicodeScripts"},
                                                        {"decoder", "WordPiece"},
                                                        {"post_processor", "BertProcessing"},
                                                        {"model", "WordPiece"}}) {
    object json = ByteTokenizer();
    json[member].emplace_object() = {{"type", type}, {"vocab", object{{"a", 0}}}};
    EXPECT_THAT(ErrorOf(json), HasSubstr("'" + type + "'")) << member;
    EXPECT_THAT(ErrorOf(json), HasSubstr("not supported")) << member;
    json[member] = 5;
    EXPECT_THAT(ErrorOf(json), HasSubstr("is a number, not an object")) << member;
    json[member].emplace_object() = {{"type", array()}};
    EXPECT_THAT(ErrorOf(json), HasSubstr("'type' is an array")) << member;
  }
}

TEST(TokenizerJsonHostile, RefusesIdsThatDoNotHoldTogether) {
  const auto with_vocab = [](const std::string& vocabulary, const std::string& merges = "[]") {
    return boost::json::parse(R"({"model": {"type": "BPE", "vocab": )" + vocabulary +
                              R"(, "merges": )" + merges + "}}");
  };
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0, "b": 0})")), HasSubstr("'a' and 'b' have one id, 0"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": -1})")), HasSubstr("'a' has id -1"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 4000000})")), HasSubstr("id 4000000, but there are 1"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 99999999999})")), HasSubstr("'a' has id 99999999999"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 1.5})")), HasSubstr("'a'"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": "x"})")), HasSubstr("'a' is a string"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": {}})")), HasSubstr("'a'"));
  EXPECT_THAT(ErrorOf(with_vocab(R"([["a", 1]])")), HasSubstr("not one of model 'BPE'"));
  EXPECT_THAT(ErrorOf(with_vocab("{}")), HasSubstr("no vocabulary"));
  EXPECT_THAT(ErrorOf(with_vocab("null")), HasSubstr("no vocabulary"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", R"(["a b"])")), HasSubstr("merge 0 names 'b'"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", R"(["a"])")), HasSubstr("merge 0 is 'a'"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", R"([["a"]])")), HasSubstr("merge 0 is not a pair"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", R"([["a","a","a"]])")), HasSubstr("not a pair"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", "[5]")), HasSubstr("a merge is a number"));
  EXPECT_THAT(ErrorOf(with_vocab(R"({"a": 0})", "{}")), HasSubstr("'merges' is an object"));

  object json = ByteTokenizer();
  json["added_tokens"].as_array().push_back(Added(5, "<x>", true));
  EXPECT_THAT(ErrorOf(json), HasSubstr("and '<x>' have one id, 5"));
  json = ByteTokenizer();
  json["added_tokens"].as_array().push_back(Added(270, "he", true));
  EXPECT_THAT(ErrorOf(json), HasSubstr("'he' has two ids, 256 and 270"));
  EXPECT_THAT(ErrorOf(ByteTokenizer(), R"({"bos_token": "<s>"})"), HasSubstr("'<s>'"));
  const auto small = Read(ByteTokenizer(), "", 100);
  ASSERT_FALSE(small.ok());
  EXPECT_THAT(small.error().message(), HasSubstr("id 258, but the model's embedding has 100 rows"));
  // An added token for which the embedding has no row cannot be used.
  EXPECT_EQ(Read(ByteTokenizer(), "", 261)->tokenizer.vocab_size(), 261);
}

TEST(TokenizerJsonHostile, RefusesWhatIsNoJson) {
  const auto error_of = [](std::string_view json) {
    const auto read = ReadTokenizerFiles({.tokenizer_json = json});
    return read.ok() ? "no error" : read.error().message();
  };
  for (const std::string_view bad :
       {"", "{", "[]", "5", "{} {}", "\"\xff\"", "{\"a\":\"\xed\xa0\x80\"}", "null", "nul"})
    EXPECT_THAT(error_of(bad), HasSubstr("tokenizer.json")) << bad;
  EXPECT_THAT(error_of("{}"), HasSubstr("'model' is missing"));
  EXPECT_NE(error_of(std::string(100'000, '[')), "no error");
  std::string nested = "{\"normalizer\":";
  for (int i = 0; i < 40; ++i) nested += R"({"type":"Sequence","normalizers":[)";
  EXPECT_NE(error_of(nested), "no error");
  std::string many = "{\"x\":[0";
  for (int i = 0; i < 1'200'000; ++i) many += ",0";
  EXPECT_THAT(error_of(many + "]}"), HasSubstr("more than"));
}

// Each file is small; none may take long or give a wrong answer.
TEST(TokenizerJsonHostile, ExpressionsCannotHang) {
  for (const std::string_view bomb :
       {"(a+)+$", "(a*)*b", "(a|aa)+$", "(a|a)*c", "a*b", "(?:a*){1000}b", "(?=(a+)+b)", "(.*)*x",
        "((a{0,1000}){0,1000}){0,1000}b", "(?<=a)(a+)+c"}) {
    object json = ByteTokenizer();
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         array{
             object{
                 {"type", "Split"}, {"pattern", object{{"Regex", bomb}}}, {"behavior", "Isolated"}},
             object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
    const CpuStopwatch watch;
    const auto read = Read(json);
    if (read.ok()) {
      for (const size_t length : {40u, 20'000u}) {
        const std::string text(length, 'a');
        const auto ids = read->tokenizer.Encode(text);
        if (ids.ok()) {
          EXPECT_EQ(read->tokenizer.Decode(*ids), text);
        } else {
          EXPECT_THAT(ids.error().message(), HasSubstr("gave up"));
        }
      }
    }
    EXPECT_LT(watch.Seconds(), 1.0) << bomb;
  }
}

TEST(TokenizerJsonHostile, NormalizersCannotGrowATextWithoutEnd) {
  object json = ByteTokenizer();
  array steps;
  for (int i = 0; i < 12; ++i)
    steps.push_back(object{{"type", "Replace"},
                           {"pattern", object{{"String", "a"}}},
                           {"content", "aaaaaaaaaaaaaaaa"}});
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto read = Read(json);
  ASSERT_TRUE(read.ok());
  const auto ids = read->tokenizer.Encode("aaaa");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().code(), Code::kResourceExhausted);
}

// 128,000 tokens and 280,000 merges, written as Llama 3's are, but of shorter texts.
std::string LargeTokenizer() {
  constexpr size_t kTokens = 128'000, kMerges = 280'000;
  std::vector<std::string> tokens;
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  for (size_t i = 0; tokens.size() < kTokens; ++i) {
    for (char c = 'a'; c <= 'z' && tokens.size() < kTokens; ++c) tokens.push_back(tokens[i] + c);
  }
  std::string vocabulary, merges;
  size_t n_merges = 0;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    vocabulary += fmt::format("{}\n      \"{}\": {}", id == 0 ? "" : ",", token, id);
    for (size_t cut = 1; cut < token.size() && n_merges < kMerges; ++cut, ++n_merges)
      merges += fmt::format("{}\n      \"{} {}\"", n_merges == 0 ? "" : ",", token.substr(0, cut),
                            token.substr(cut));
  }
  CHECK(n_merges == kMerges);
  return fmt::format(R"({{"model": {{"type": "BPE", "vocab": {{{}}}, "merges": [{}]}}}})",
                     vocabulary, merges);
}

TEST(TokenizerJson, OfTheSizeOfLlama3sTakesTwiceTheFile) {
  const std::string json = LargeTokenizer();
  const HeapMeter meter;
  const auto read = ReadTokenizerFiles({.tokenizer_json = json});
  const size_t peak_bytes = meter.peak_bytes();
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->tokenizer.vocab_size(), 128'000);
  EXPECT_LT(peak_bytes, 2 * json.size()) << "beside the file's own bytes";
}

// --- what hostile files cost ---

constexpr size_t kHostileBytes = 6 << 20;
constexpr size_t kFixedBytes = 1 << 20;

// `entry(i)`s with commas between, `bytes` in all.
std::string Listed(const std::function<std::string(size_t)>& entry, size_t bytes = kHostileBytes) {
  std::string list = entry(0);
  for (size_t i = 1; list.size() < bytes; ++i) list += "," + entry(i);
  return list;
}

std::string Same(const std::string& entry) {
  return Listed([&entry](size_t) { return entry; });
}

std::string Name(size_t number, size_t length) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ<>#%&/()";
  std::string name(length, ' ');
  for (char& letter : name) {
    letter = kLetters[number % kLetters.size()];
    number /= kLetters.size();
  }
  return name;
}

std::string Bpe(const std::string& vocabulary, const std::string& merges = "",
                const std::string& rest = "") {
  return fmt::format(R"({{{}"model": {{"type": "BPE", "vocab": {{{}}}, "merges": [{}]}}}})", rest,
                     vocabulary, merges);
}

std::string Unigram(const std::string& pieces) {
  return fmt::format(R"({{"model": {{"type": "Unigram", "vocab": [{}]}}}})", pieces);
}

TEST(TokenizerJson, MergesAreWrittenInManyWays) {
  const std::string json = Bpe(
      R"("a": 0, "\"": 1, "\\": 2, "]": 3, "[": 4, "b": 5, "a\"": 6, "\\]": 7, "[b": 8, "é": 9,
         "\u00e9a": 10, "][": 11, "a\"\\]": 12)",
      "\n\t[ \"a\" ,\r\n\"\\\"\" ] , \"\\\\ ]\",[\"[\",\"b\"],\"\\u00e9\\u0020a\" , \"] [\",\n"
      "[\"a\\\"\", \"\\\\]\"] ");
  const auto read = ReadTokenizerFiles({.tokenizer_json = json}, 0);
  ASSERT_TRUE(read.ok()) << read.error().message();
  const Tokenizer& tokenizer = read->tokenizer;
  EXPECT_THAT(*tokenizer.Encode("a\""), ElementsAre(6));
  EXPECT_THAT(*tokenizer.Encode("[b\\]"), ElementsAre(8, 7));
  EXPECT_THAT(*tokenizer.Encode("éa]["), ElementsAre(10, 11));
  EXPECT_THAT(*tokenizer.Encode("a\"\\]"), ElementsAre(12));
}

// Tokens of `length` bytes, and each way to make them of two.
std::string AllSplits(size_t length) {
  std::string merges;
  std::string vocabulary =
      Listed([](size_t i) { return fmt::format(R"("{}":{})", Name(i, 1), i); }, 400);
  size_t id = 1000;
  const auto add = [&](const std::string& text) {
    if (text.size() > 1) vocabulary += fmt::format(R"(,"{}":{})", text, id++);
    for (size_t cut = 1; cut < text.size(); ++cut)
      merges += fmt::format(R"({}"{} {}")", merges.empty() ? "" : ",", text.substr(0, cut),
                            text.substr(cut));
  };
  for (size_t i = 0; i < 60 * 60 && length > 2; ++i) add(Name(i, 2));
  for (size_t i = 0; i < 60 * 60 * 60 && length > 3; ++i) add(Name(i, 3));
  for (size_t i = 0; merges.size() + vocabulary.size() < kHostileBytes; ++i) add(Name(i, length));
  return Bpe(vocabulary, merges);
}

// What reading takes beside the text itself.
size_t PeakBytes(const TokenizerFiles& files) {
  const HeapMeter meter;
  const CpuStopwatch watch;
  (void)ReadTokenizerFiles(files).ok();
  EXPECT_LT(watch.Seconds(), 2.0);
  return meter.peak_bytes();
}

TEST(TokenizerJsonHostile, NoFileCostsMoreThanTwiceItself) {
  const auto numbered = [](const char* format, size_t length) {
    return Listed([=](size_t i) { return fmt::format(fmt::runtime(format), Name(i, length), i); });
  };
  const std::string few = R"("a":0,"b":1,"ab":2)";
  const std::string long_text = Same("\\n.........");
  const auto with = [&few](const std::string& name, const std::string& value) {
    return Bpe(few, "", fmt::format(R"("{}": {}, )", name, value));
  };
  const std::pair<const char*, std::string> files[] = {
      {"merges", Bpe(few, Same(R"("a b")"))},
      {"merges of nothing", Bpe(few, Same(R"(" ")"))},
      {"pairs", Bpe(few, Same(R"(["a","b"])"))},
      {"pairs of nothing", Bpe(few, Same(R"(["",""])"))},
      {"one token", Bpe(Same(R"("a":1)"))},
      {"tokens of 3 bytes", Bpe(numbered(R"("{}":{})", 3))},
      {"tokens of 40 bytes", Bpe(numbered(R"("{}":{})", 40))},
      {"escaped tokens", Bpe(numbered(R"("\n{}":{})", 3))},
      {"one piece", Unigram(Same(R"(["a",0])"))},
      {"pieces of 4 bytes", Unigram(numbered(R"(["{}",0])", 4))},
      {"pieces of 9 bytes", Unigram(numbered(R"(["{}",0])", 9))},
      {"pieces with scores", Unigram(numbered(R"(["{}",-12.3456])", 4))},
      {"merges of 3 bytes", AllSplits(3)},
      {"merges of 4 bytes", AllSplits(4)},
      {"merges of 6 bytes", AllSplits(6)},
      {"a long token", Bpe("\"" + long_text + "\":0")},
      {"a long merge", Bpe(few, "\"" + long_text + "\"")},
      {"a long text", with("x", "\"" + long_text + "\"")},
      {"a long key", with(long_text, "0")},
      {"added nothing", with("added_tokens", "[" + Same("{}") + "]")},
      {"added numbers", with("added_tokens", "[" + Same("0") + "]")},
      {"added lists", with("added_tokens", "[" + Same("[[],[[]]]") + "]")},
      {"added tokens", with("added_tokens", "[" + Same(R"({"id":0,"content":"a"})") + "]")},
      {"more added tokens",
       with("added_tokens",
            "[" +
                numbered(R"({{"content": "{}", "id": {}, "special": true, "single_word": false}})",
                         5) +
                "]")},
      {"names", with("x", "{" + numbered(R"("{}":{})", 4) + "}")},
      {"normalizers",
       with("normalizer", R"({"type": "Sequence", "normalizers": [)" +
                              Same(R"({"type": "NFC"}                    )") + "]}")},
      {"around",
       with("post_processor", R"({"type": "TemplateProcessing", "single": [)" +
                                  Same(R"({"SpecialToken": {"id": "a"}}       )") + "]}")},
  };
  for (const auto& [name, json] : files)
    EXPECT_LT(PeakBytes({.tokenizer_json = json}), 2 * json.size() + kFixedBytes) << name;
}

TEST(TokenizerJsonHostile, NoConfigurationCostsMoreThanTwiceItself) {
  const std::string tokenizer = Bpe(R"("a":0)");
  for (const std::string& entry : {std::string("{}"), std::string("0"), std::string(R"({"":[]})"),
                                   std::string(R"({"content":"a"})")}) {
    for (const char* name : {"x", "added_tokens_decoder", "chat_template", "eos_token_id"}) {
      const std::string json = fmt::format(R"({{"{}": [{}]}})", name, Same(entry));
      EXPECT_LT(PeakBytes({.tokenizer_json = tokenizer, .tokenizer_config = json}),
                2 * json.size() + kFixedBytes)
          << name << " " << entry;
      EXPECT_LT(PeakBytes({.tokenizer_json = tokenizer, .generation_config = json}),
                2 * json.size() + kFixedBytes)
          << name << " " << entry;
    }
  }
}

// As models for speech have: nearly all of the file is there twice.
TEST(TokenizerJson, TakesThousandsOfAddedTokens) {
  std::string added, decoder;
  for (int i = 1; i <= 30'000; ++i) {
    const std::string fields = fmt::format(
        R"("content": "<sound_{}>", "single_word": false, "lstrip": false, "rstrip": false, )"
        R"("normalized": false, "special": false)",
        i);
    added += fmt::format(R"({}{{"id": {}, {}}})", i == 1 ? "" : ", ", i, fields);
    decoder += fmt::format(R"({}"{}": {{{}}})", i == 1 ? "" : ", ", i, fields);
  }
  std::string padding(24 << 20, ' ');  // where a real file has its vocabulary
  const std::string json =
      Bpe(R"("a":0)" + padding, "", fmt::format(R"("added_tokens": [{}], )", added));
  const std::string config =
      fmt::format(R"({{"added_tokens_decoder": {{{}}}, "chat_template": "x"}})", decoder);
  const auto read = ReadTokenizerFiles({.tokenizer_json = json, .tokenizer_config = config});
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->tokenizer.vocab_size(), 30'001);
  EXPECT_EQ(read->chat_templates.standard, "x");
  EXPECT_THAT(*read->tokenizer.Encode("a<sound_29999>"), ElementsAre(0, 29'999));
}

TEST(TokenizerJsonHostile, NamesWhatIsTooSmallOrTooLarge) {
  const auto error = [](const std::string& json) {
    const auto read = ReadTokenizerFiles({.tokenizer_json = json});
    return read.ok() ? "no error" : read.error().message();
  };
  const std::string few = R"("a":0,"b":1,"ab":2)";
  EXPECT_THAT(error(Bpe(few, Same(R"("a b")"))), HasSubstr("less than 3 each"));
  EXPECT_THAT(error(Unigram(Same(R"(["a",0])"))), HasSubstr("less than 18 bytes for each"));
  EXPECT_THAT(error(Bpe("\"" + std::string(70'000, 'x') + "\":0")),
              HasSubstr("has 70000 bytes, more than 65535"));
  EXPECT_THAT(error(Bpe(few, "", "\"" + std::string(2 << 20, 'x') + "\":0, ")),
              HasSubstr("a text has more than 1048576 bytes"));
  EXPECT_THAT(error(Bpe(few + R"(}, "vocab": {"c": 3)")), HasSubstr("'vocab' is there twice"));
  EXPECT_THAT(error(Bpe(few, R"("a b"], "merges": ["a b")")), HasSubstr("'merges' is there twice"));
  EXPECT_THAT(error(Bpe(few, "", R"("x": [)" + Same("{}") + "], ")),
              HasSubstr("its values take more than"));
}

TEST(TokenizerJson, OfTwoMergesOfOnePairTheLastCounts) {
  const object vocabulary = {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}};
  const auto tokens = [&](array merges) {
    const object model = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", std::move(merges)}};
    return Read(object{{"model", model}}).value().tokenizer.Encode("abc").value();
  };
  EXPECT_THAT(tokens({"a b", "b c"}), ElementsAre(3, 2));
  EXPECT_THAT(tokens({"a b", "b c", "a b"}), ElementsAre(0, 4));
}

TEST(TokenizerJsonHostile, MarksInBadOrderTakeLinearTime) {
  object json = ByteTokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  const auto read = Read(json);
  ASSERT_TRUE(read.ok());
  std::string text = "a";
  for (int i = 0; i < 100'000; ++i) text += "\u0301\u0316";
  const CpuStopwatch watch;
  EXPECT_TRUE(read->tokenizer.Encode(text).ok());
  EXPECT_LT(watch.Seconds(), 3.0);
}

TEST(Unigram, TakesTheBestWay) {
  const value json = boost::json::parse(R"({"model": {"type": "Unigram", "unk_id": 0,
      "vocab": [["<unk>", 0], ["a", -1], ["b", -2], ["ab", -2.5], ["abc", -9], ["bc", -1]]}})");
  const auto read = Read(json);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_THAT(*read->tokenizer.Encode("ab"), ElementsAre(3));
  EXPECT_THAT(*read->tokenizer.Encode("abc"), ElementsAre(1, 5));
  EXPECT_THAT(*read->tokenizer.Encode("axya"), ElementsAre(1, 0, 1));
  EXPECT_THAT(ErrorOf(boost::json::parse(
                  R"({"model": {"type": "Unigram", "unk_id": 9, "vocab": [["a", 1]]}})")),
              HasSubstr("'unk_id' is 9"));
  EXPECT_THAT(ErrorOf(boost::json::parse(R"({"model": {"type": "Unigram", "vocab": [["a"]]}})")),
              HasSubstr("not [text, score]"));
}

TEST(Oniguruma, TranslatesOrRefuses) {
  EXPECT_EQ(*OnigurumaToPcre2("a{,3}b{2}c{1,}"), "a{0,3}b{2}c{1,}");
  EXPECT_EQ(*OnigurumaToPcre2("a{x}"), "a\\{x}");
  EXPECT_EQ(*OnigurumaToPcre2("\\p{Han}\\p{^Lu}\\u4e00"), "\\p{sc:Han}\\P{Lu}\\x{4e00}");
  for (const std::string_view refused :
       {"[a&&b]", "[a[bc]]", "(?~a)", "(?<name>a)", "a{1,2}+", "a{2000}", "\\xff", "\\g<1>", "\\1",
        "(?m:a)", "[]", "[a", "(*FAIL)", "\\p{", "\\", "\\u12"})
    EXPECT_FALSE(OnigurumaToPcre2(refused).ok()) << refused;
}

}  // namespace
}  // namespace baton
