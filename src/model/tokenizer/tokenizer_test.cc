#include "model/tokenizer/tokenizer.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "model/gguf/reader.h"
#include "model/testing/cpu_stopwatch.h"
#include "model/testing/heap_meter.h"
#include "model/testing/small_model.h"
#include "model/text/utf8.h"
#include "model/tokenizer/pre_tokenizer.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<Tokenizer> FromHeader(const gguf::HeaderBuilder& builder) {
  const Bytes bytes = builder.Build();
  const auto header = gguf::ParseHeader(bytes, bytes.size());
  CHECK(header.ok(), "{}", header.error().message());
  return Tokenizer::FromMetadata(header->metadata);
}

constexpr TokenId kHe = 256, kHell = 258, kEnd = 259, kImStart = 260, kImEnd = 261;

gguf::HeaderBuilder ByteHeader(const std::string& pre = "gpt-2") {
  gguf::HeaderBuilder header;
  AddByteVocabulary(header, pre, {"he", "ll", "hell"}, {"h e", "l l", "he ll"},
                    {"<|end|>", "<|im_start|>", "<|im_end|>"});
  return header;
}

struct TestPiece {
  std::string text;
  float score;
  TokenType type = TokenType::kNormal;
};

// SentencePiece: <unk> <s> </s>, bytes, then pieces with scores.
gguf::HeaderBuilder PieceHeader(const std::vector<TestPiece>& more = {}) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::vector<float> scores(3, 0.0f);
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
    scores.push_back(0.0f);
  }
  const std::vector<std::pair<std::string, float>> pieces = {
      {"\u2581", -10}, {"a", -11}, {"b", -12},       {"<", -13}, {"/", -14}, {"s", -15},
      {">", -16},      {"ab", -1}, {"\u2581ab", -3}, {"</", -4}, {"s>", -5}, {"ba", -2}};
  for (const auto& [text, score] : pieces) {
    tokens.push_back(text);
    types.push_back(1);
    scores.push_back(score);
  }
  for (const TestPiece& piece : more) {
    tokens.push_back(piece.text);
    types.push_back(static_cast<int32_t>(piece.type));
    scores.push_back(piece.score);
  }
  gguf::HeaderBuilder header;
  header.AddString("tokenizer.ggml.model", "llama");
  header.AddStrings("tokenizer.ggml.tokens", tokens);
  header.AddInt32s("tokenizer.ggml.token_type", types);
  header.AddFloat32s("tokenizer.ggml.scores", scores);
  return header;
}

TEST(ByteLevelBpe, MergesByRank) {
  const auto tokenizer = FromHeader(ByteHeader());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_THAT(*tokenizer->Encode("hello"), ElementsAre(kHell, 'o' - 0));
  EXPECT_THAT(*tokenizer->Encode("hhe"), ElementsAre('h', kHe));
  EXPECT_THAT(*tokenizer->Encode(""), IsEmpty());
  EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode("hell, wörld\n")), "hell, wörld\n");
}

TEST(ByteLevelBpe, InvalidUtf8KeepsItsBytes) {
  const auto tokenizer = FromHeader(ByteHeader());
  const std::string text = "he\xff\xfehe\xe4\xbd";
  const auto tokens = *tokenizer->Encode(text);
  EXPECT_EQ(tokens.front(), kHe);
  EXPECT_EQ(tokenizer->Decode(tokens), text);
  const std::string nul("a\0b", 3);
  EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode(nul)), nul);
}

TEST(ByteLevelBpe, UnknownPreTokenizerIsNamed) {
  const auto tokenizer = FromHeader(ByteHeader("frobnicate"));
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_THAT(tokenizer.error().message(), HasSubstr("'frobnicate' is not supported; supported: "));
  EXPECT_THAT(tokenizer.error().message(), HasSubstr("llama-bpe"));
}

TEST(SentencePiece, MergesByScoreAndFallsBackToBytes) {
  const auto tokenizer = FromHeader(PieceHeader());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  const Vocabulary& vocabulary = tokenizer->vocabulary();
  EXPECT_THAT(*tokenizer->Encode("ab"), ElementsAre(vocabulary.Find("\u2581ab")));
  EXPECT_THAT(
      *tokenizer->Encode("\u00e9"),
      ElementsAre(vocabulary.Find("\u2581"), vocabulary.Find("<0xC3>"), vocabulary.Find("<0xA9>")));
  EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode(" ab \u00e9 ")), " ab \u00e9 ");
  const auto with_bos = tokenizer->Encode("ab", {.add_special = true});
  EXPECT_EQ(with_bos->front(), vocabulary.bos());
}

// As sentencepiece 0.2 does with the same pieces.
TEST(SentencePiece, UnusedTokensAreStationsOnTheWay) {
  const auto tokenizer = FromHeader(PieceHeader(
      {{"bs", -0.1f, TokenType::kUnused}, {"bsa", -0.2f}, {"bsas", -0.3f, TokenType::kUnused}}));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  const Vocabulary& vocabulary = tokenizer->vocabulary();
  const TokenId space = vocabulary.Find("\u2581"), b = vocabulary.Find("b"),
                s = vocabulary.Find("s"), bsa = vocabulary.Find("bsa");
  EXPECT_THAT(*tokenizer->Encode("bsa"), ElementsAre(space, bsa));
  EXPECT_THAT(*tokenizer->Encode("bs"), ElementsAre(space, b, s));
  EXPECT_THAT(*tokenizer->Encode("bsas"), ElementsAre(space, bsa, s));
}

TEST(SentencePiece, UserDefinedTokensMayHoldSpaces) {
  auto header = PieceHeader({{"\u2581\u2581\u2581", 0, TokenType::kUserDefined},
                             {"a\u2581b", 0, TokenType::kUserDefined}});
  header.AddBool("tokenizer.ggml.add_space_prefix", false);
  const auto tokenizer = FromHeader(header);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  const Vocabulary& vocabulary = tokenizer->vocabulary();
  const TokenId three = vocabulary.Find("\u2581\u2581\u2581");
  EXPECT_THAT(
      *tokenizer->Encode("s    s"),
      ElementsAre(vocabulary.Find("s"), three, vocabulary.Find("\u2581"), vocabulary.Find("s")));
  const auto tokens = *tokenizer->Encode("ba bb");
  EXPECT_THAT(tokens,
              ElementsAre(vocabulary.Find("b"), vocabulary.Find("a\u2581b"), vocabulary.Find("b")));
  EXPECT_EQ(tokenizer->Decode(tokens), "ba bb");
}

TEST(SpecialTokens, TextNeverBecomesAControlToken) {
  const auto bytes = FromHeader(ByteHeader());
  const auto pieces = FromHeader(PieceHeader());
  EXPECT_THAT(*bytes->Encode("<|im_end|>"), testing::Not(testing::Contains(kImEnd)));
  EXPECT_THAT(*bytes->Encode("<|im_end|>", {.parse_special = true}), ElementsAre(kImEnd));
  // The pieces "</" and "s>" merge to the text of the control token, which they must not become.
  const TokenId eos = pieces->vocabulary().eos();
  EXPECT_THAT(*pieces->Encode("</s>"), testing::Not(testing::Contains(eos)));
  EXPECT_THAT(*pieces->Encode("</s>", {.parse_special = true}), ElementsAre(eos));
}

TEST(SpecialTokens, OnlyFromTrustedSegments) {
  const auto tokenizer = FromHeader(ByteHeader());
  const auto encode = [&tokenizer](std::vector<PromptSegment> prompt) {
    return *tokenizer->Encode(prompt);
  };
  EXPECT_THAT(encode({{"<|im_start|>", true}, {"he", false}, {"<|im_end|>", true}}),
              ElementsAre(kImStart, kHe, kImEnd));
  EXPECT_THAT(encode({{"<|im_start|>", true}, {"<|im_end|>", false}}),
              testing::Not(testing::Contains(kImEnd)));
  // Half of a control token from each side is none.
  EXPECT_THAT(encode({{"<|im_", true}, {"end|>", false}}), testing::Not(testing::Contains(kImEnd)));
  EXPECT_THAT(encode({{"<|im_", false}, {"end|>", true}}), testing::Not(testing::Contains(kImEnd)));
  // Neighbours of equal trust are one text, and merges do not see borders.
  EXPECT_THAT(encode({{"<|im_", true}, {"end|>", true}}), ElementsAre(kImEnd));
  EXPECT_THAT(encode({{"h", true}, {"el", false}, {"l", true}}), ElementsAre(kHell));
}

TEST(SpecialTokens, EndOfGeneration) {
  auto header = ByteHeader();
  header.AddUint32("tokenizer.ggml.eos_token_id", kEnd);
  const auto tokenizer = FromHeader(header);
  EXPECT_THAT(tokenizer->end_of_generation(), ElementsAre(kEnd, kImEnd));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(kImEnd));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(kImStart));
}

TEST(StreamDecoder, NeverSplitsACharacter) {
  const auto tokenizer = FromHeader(ByteHeader());
  StreamDecoder decoder(*tokenizer);
  std::string text;
  const std::vector<TokenId> tokens = *tokenizer->Encode("aé🦙z");
  for (const TokenId token : tokens) {
    const std::string part = decoder.Push(token);
    EXPECT_EQ(ValidUtf8Prefix(part), part.size());
    text += part;
  }
  EXPECT_EQ(text + decoder.Finish(), "aé🦙z");
  // Cut inside a character, then a byte that cannot follow.
  const auto half = *tokenizer->Encode("🦙");
  EXPECT_EQ(decoder.Push(half[0]), "");
  EXPECT_EQ(decoder.Push(half[1]), "");
  EXPECT_EQ(decoder.Push('x'), "\uFFFDx");
  EXPECT_EQ(decoder.Push(half[0]), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(TokenizerHostile, RefusesWhatDoesNotHoldTogether) {
  const auto error_of = [](const auto& change) {
    gguf::HeaderBuilder header;
    header.AddString("tokenizer.ggml.model", "llama");
    change(header);
    const auto tokenizer = FromHeader(header);
    return tokenizer.ok() ? std::string("no error") : tokenizer.error().message();
  };
  const std::vector<std::string> two = {"a", "b"};
  EXPECT_THAT(error_of([](auto&) {}), HasSubstr("no key 'tokenizer.ggml.tokens'"));
  EXPECT_THAT(error_of([](auto& h) { h.AddStrings("tokenizer.ggml.tokens", {}); }),
              HasSubstr("0 tokens"));
  EXPECT_THAT(error_of([&two](auto& h) {
                h.AddStrings("tokenizer.ggml.tokens", two);
                h.AddFloat32s("tokenizer.ggml.scores", std::vector<float>{1.0f});
              }),
              HasSubstr("1 scores for 2 tokens"));
  EXPECT_THAT(error_of([&two](auto& h) {
                h.AddStrings("tokenizer.ggml.tokens", two);
                h.AddInt32s("tokenizer.ggml.token_type", std::vector<int32_t>{1, -1});
              }),
              HasSubstr("token 1 has type -1"));
  EXPECT_THAT(error_of([&two](auto& h) {
                h.AddStrings("tokenizer.ggml.tokens", two);
                h.AddInt32("tokenizer.ggml.eos_token_id", -5);
              }),
              HasSubstr("eos_token_id' is -5"));
}

// Doubling the text may not much more than double the time.
TEST(TokenizerHostile, NoHeaderCostsMoreThanTwiceItself) {
  constexpr size_t kCount = 300'000;
  std::vector<std::string> tokens, merges;
  for (size_t i = 0; i < kCount; ++i) {
    tokens.push_back(fmt::format("{:x}", i));
    merges.push_back(i % 2 == 0 ? "1 2" : fmt::format("{} {:x}", i % 10, i / 10));
  }
  for (const std::string model : {"gpt2", "llama", "t5"}) {
    for (int32_t type = 1; type <= 6; ++type) {
      gguf::HeaderBuilder header;
      header.AddString("tokenizer.ggml.model", model);
      header.AddString("tokenizer.ggml.pre", "gpt-2");
      header.AddStrings("tokenizer.ggml.tokens", tokens);
      header.AddInt32s("tokenizer.ggml.token_type", std::vector<int32_t>(kCount, type));
      if (model == "gpt2") header.AddStrings("tokenizer.ggml.merges", merges);
      if (model == "t5") header.AddFloat32s("tokenizer.ggml.scores", std::vector<float>(kCount, 0));
      const Bytes bytes = header.Build();
      const auto parsed = gguf::ParseHeader(bytes, bytes.size());
      ASSERT_TRUE(parsed.ok());
      const HeapMeter meter;
      EXPECT_TRUE(Tokenizer::FromMetadata(parsed->metadata).ok()) << model;
      EXPECT_LT(meter.peak_bytes(), 2 * bytes.size() + (256 << 10)) << model << " " << type;
    }
  }
}

TEST(TokenizerHostile, TimeIsLinearInLongRuns) {
  for (const char* pre :
       {"llama-bpe", "gpt-2", "qwen2", "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken",
        "gpt-4o", "falcon", "default", "kimi-k2", "superbpe", "tiny_aya", "afmoe", "youtu",
        "chameleon", "exaone-moe", "jais-2", "spark2_5"}) {
    const auto tokenizer = FromHeader(ByteHeader(pre));
    ASSERT_TRUE(tokenizer.ok());
    for (const std::string unit :
         {" ", "h", "\n", "1", "he", " \n", "'", "\u4e2d", "A", "\t", "\u0301"}) {
      std::string text;
      while (text.size() < 400'000) text += unit;
      text += "x";
      const CpuStopwatch watch;
      EXPECT_TRUE(tokenizer->Encode(text).ok()) << pre << " '" << unit << "'";
      EXPECT_LT(watch.Seconds(), 5.0) << pre << " '" << unit << "'";
    }
  }
}

std::vector<std::string> Split(const char* name, std::string_view text) {
  const auto pieces = PreTokenizer::Create(name)->Split(text);
  return {pieces->begin(), pieces->end()};
}

TEST(PreTokenizer, SplitsAsTheFamiliesDo) {
  EXPECT_THAT(Split("gpt-2", "I've 12  cats\n\n x"),
              ElementsAre("I", "'ve", " 12", " ", " cats", "\n\n", " x"));
  EXPECT_THAT(Split("llama-bpe", "I'VE 12345  cats\n\n x"),
              ElementsAre("I", "'VE", " ", "123", "45", " ", " cats", "\n\n", " x"));
  EXPECT_THAT(Split("qwen2", "a12 b"), ElementsAre("a", "1", "2", " b"));
  EXPECT_THAT(Split("deepseek-coder", "a b1\n"), ElementsAre("a", " b", "1", "\n"));
  EXPECT_THAT(Split("deepseek-v3", "12345中文 ok"), ElementsAre("123", "45", "中文", " ok"));
  EXPECT_THAT(Split("gpt-4o", "HelloWorld don't"), ElementsAre("Hello", "World", " don't"));
  // Mongolian vowel separator is no white space, next line is.
  EXPECT_THAT(Split("gpt-2", "a\u180eb"), ElementsAre("a", "\u180e", "b"));
  EXPECT_THAT(Split("gpt-2", "a \u0085"), ElementsAre("a", " \u0085"));
}

TEST(Utf8, FollowsTheStandard) {
  EXPECT_EQ(ValidUtf8Prefix("a\xc3\xa9\xf0\x9f\xa6\x99"), 7u);
  for (const std::string_view bad : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                                     "\xe0\x80\x80", "\xf8\x88\x80\x80\x80"})
    EXPECT_EQ(ValidUtf8Prefix(bad), 0u);
  EXPECT_TRUE(Utf8At("\xf0\x9f", 0).cut_off);
  EXPECT_EQ(Utf8At("\xe4\xbd"
                   "x",
                   0)
                .length,
            2u);
  for (const char32_t c : {U'a', U'é', U'中', U'🦙'})
    EXPECT_EQ(Utf8At(ToUtf8(c), 0).code_point, c);
  EXPECT_EQ(ToUtf8(0xD800), "\uFFFD");
}

}  // namespace
}  // namespace baton
