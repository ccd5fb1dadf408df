// tokenizer.model: what its folder's files say about it, and what it must not be.
#include "model/tokenizer/sentence_piece_model.h"

#include <bit>

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "model/testing/heap_meter.h"
#include "model/tokenizer/sentence_piece_file.h"

namespace baton {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string IntegerField(uint32_t number, uint64_t value) {
  return Varint(number << 3) + Varint(value);
}
std::string BytesField(uint32_t number, std::string_view bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + std::string(bytes);
}
std::string FloatField(uint32_t number, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return Varint(number << 3 | 5) + std::string(reinterpret_cast<const char*>(&bits), sizeof(bits));
}
std::string Piece(std::string_view text, float score, TokenType type = TokenType::kNormal) {
  return BytesField(
      1, BytesField(1, text) + FloatField(2, score) + IntegerField(3, static_cast<uint64_t>(type)));
}

// <unk> <s> </s> <mask>, then pieces from 4: U+2581 a b ab U+2581ab, then user-defined ones.
constexpr TokenId kMask = 3, kSpace = 4, kA = 5, kB = 6, kAb = 7, kSpaceAb = 8, kTag = 9,
                  kTurn = 10;
std::string Pieces() {
  return Piece("<unk>", 0, TokenType::kUnknown) + Piece("<s>", 0, TokenType::kControl) +
         Piece("</s>", 0, TokenType::kControl) + Piece("<mask>", 0, TokenType::kControl) +
         Piece("\u2581", -3) + Piece("a", -4) + Piece("b", -5) + Piece("ab", -1) +
         Piece("\u2581ab", -2) + Piece("<b>", 0, TokenType::kUserDefined) +
         Piece("<start_of_turn>", 0, TokenType::kUserDefined);
}
constexpr uint64_t kBpe = 2;
std::string Model(const std::string& pieces = Pieces()) {
  return pieces + BytesField(2, IntegerField(3, kBpe)) + BytesField(3, IntegerField(4, 0));
}

struct Folder {
  std::string model = Model();
  std::string config;
  std::string added_tokens;
  std::string roles;
};

Result<Tokenizer> Read(const Folder& folder, int32_t vocab_size = 0) {
  auto read = ReadTokenizerFiles({.tokenizer_config = folder.config,
                                  .tokenizer_model = folder.model,
                                  .added_tokens = folder.added_tokens,
                                  .special_tokens_map = folder.roles},
                                 vocab_size);
  if (!read.ok()) return read.error();
  return std::move(read->tokenizer);
}

std::string ErrorOf(const Folder& folder) {
  const auto read = Read(folder);
  return read.ok() ? "no error" : read.error().message();
}

TEST(SentencePieceModel, StandsAlone) {
  const auto tokenizer = Read({});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_THAT(*tokenizer->Encode("ab", {.add_special = true}), ElementsAre(1, kSpaceAb));
  EXPECT_THAT(*tokenizer->Encode("ba<b>ab"), ElementsAre(kSpace, kB, kA, kTag, kAb));
  EXPECT_THAT(*tokenizer->Encode("a??b"), ElementsAre(kSpace, kA, 0, kB));
  EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode("ab <b> a")), "ab <b> a");
  EXPECT_EQ(tokenizer->vocabulary().eos(), 2);
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(2));
  EXPECT_EQ(tokenizer->vocab_size(), 11);
}

TEST(SentencePieceModel, TextNeverBecomesAControlToken) {
  const auto tokenizer = Read({.added_tokens = R"({"<|end|>": 11})"});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  // The last two steer although the files do not say so.
  for (const auto& [text, id] : std::vector<std::pair<std::string, TokenId>>{
           {"</s>", 2}, {"<mask>", kMask}, {"<start_of_turn>", kTurn}, {"<|end|>", 11}}) {
    EXPECT_THAT(*tokenizer->Encode(text), Not(Contains(id))) << text;
    EXPECT_THAT(*tokenizer->Encode(text, {.parse_special = true}), ElementsAre(id)) << text;
    const std::vector<PromptSegment> halves = {{text.substr(0, 2), true}, {text.substr(2), false}};
    EXPECT_THAT(*tokenizer->Encode(halves), Not(Contains(id))) << text;
  }
}

TEST(SentencePieceModel, ASpaceInFrontAsTheClassPutsIt) {
  const EncodeOptions trusted{.parse_special = true};
  EXPECT_THAT(*Read({})->Encode("ab</s>ab", trusted), ElementsAre(kSpaceAb, 2, kSpaceAb));
  EXPECT_THAT(*Read({.config = R"({"legacy": false})"})->Encode("ab</s>ab", trusted),
              ElementsAre(kSpaceAb, 2, kAb));
  EXPECT_THAT(*Read({.config = R"({"add_prefix_space": false})"})->Encode("ab", trusted),
              ElementsAre(kAb));
}

TEST(SentencePieceModel, OtherFilesSayWhatIsAddedAndWhatHasARole) {
  const Folder folder = {
      .config = R"({"add_bos_token": false, "add_eos_token": true, "added_tokens_decoder": {
                 "11": {"content": "<x>", "rstrip": true, "special": true}}})",
      .added_tokens = R"({"<x>": 11, "<y>": 12})",
      .roles = R"({"eos_token": {"content": "<x>"}, "additional_special_tokens": ["<y>"]})"};
  const auto tokenizer = Read(folder, 20);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_EQ(tokenizer->vocab_size(), 20);
  EXPECT_EQ(tokenizer->vocabulary().TypeOf(12), TokenType::kControl);
  EXPECT_EQ(tokenizer->vocabulary().TypeOf(19), TokenType::kUnused);
  EXPECT_THAT(*tokenizer->Encode("<x>  ab", {.parse_special = true, .add_special = true}),
              ElementsAre(11, kSpaceAb, 11));
  EXPECT_THAT(ErrorOf({.roles = R"({"bos_token": "<nothing>"})"}), HasSubstr("'<nothing>'"));
  EXPECT_THAT(ErrorOf({.added_tokens = R"({"<x>": -4})"}), HasSubstr("'<x>' has no id below"));
  EXPECT_THAT(ErrorOf({.added_tokens = R"({"<x>": 5})"}),
              HasSubstr("'a' and '<x>' have one id, 5"));
  EXPECT_THAT(ErrorOf({.config = R"({"added_tokens_decoder": {"1x": {}}})"}), HasSubstr("'1x'"));
}

TEST(SentencePieceModel, UnigramAloneEndsWithEos) {
  const std::string pieces = Piece("<pad>", 0, TokenType::kControl) +
                             Piece("</s>", 0, TokenType::kControl) +
                             Piece("<unk>", 0, TokenType::kUnknown) + Piece("\u2581a", -1) +
                             Piece("\u2581", -2) + Piece("b", -2);
  const auto tokenizer = Read({.model = pieces + BytesField(2, "") + BytesField(3, "")});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
  EXPECT_THAT(*tokenizer->Encode("  a   b ", {.add_special = true}), ElementsAre(3, 4, 5, 1));
  EXPECT_EQ(tokenizer->kind(), "sentencepiece unigram");
}

// A field of a message, and of what its bytes hold if they are a message.
struct WireField {
  size_t begin = 0;
  size_t end = 0;
};
void WalkFields(std::string_view all, size_t begin, size_t end, int depth,
                std::vector<WireField>& fields) {
  for (size_t at = begin; at < end;) {
    const size_t field_begin = at;
    const auto varint = [&] {
      uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        const auto byte = static_cast<uint8_t>(all[at++]);
        value |= uint64_t{byte & 0x7Fu} << shift;
        if (byte < 0x80) return value;
      }
    };
    const uint64_t kind = varint() & 7;
    if (kind == 0) varint();
    if (kind == 5) at += 4;
    if (kind == 2) {
      const uint64_t length = varint();
      if (depth == 0) WalkFields(all, at, at + length, 1, fields);
      at += length;
    }
    fields.push_back({field_begin, at});
  }
}

// Every field's tag, length and value wrong in turn, byte by byte.
TEST(SentencePieceModelHostile, EveryFieldInTurn) {
  const std::string right = Model();
  std::vector<WireField> fields;
  WalkFields(right, 0, right.size(), 0, fields);
  ASSERT_GT(fields.size(), 40u);
  for (const WireField& field : fields) {
    for (size_t at = field.begin; at < std::min(field.begin + 8, field.end); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string damaged = right;
        damaged[at] = static_cast<char>(byte);
        const HeapMeter meter;
        const auto read = Read({.model = damaged});
        EXPECT_LT(meter.peak_bytes(), 2 * damaged.size() + (64 << 10)) << at << " " << byte;
        if (!read.ok()) {
          EXPECT_THAT(read.error().message(),
                      testing::ContainsRegex("tokenizer.model: .*([0-9]|')"));
        }
      }
    }
    std::string without = right;
    without.erase(field.begin, field.end - field.begin);
    (void)Read({.model = without}).ok();
  }
}

TEST(SentencePieceModelHostile, TruncatedAtEveryByte) {
  const std::string right = Model();
  for (size_t size = 0; size < right.size(); ++size)
    EXPECT_THAT(ErrorOf({.model = right.substr(0, size)}), HasSubstr("tokenizer")) << size;
}

TEST(SentencePieceModelHostile, ManyTinyPiecesCostLittle) {
  std::string pieces = Pieces();
  for (uint32_t i = 0; i < 200'000; ++i) pieces += Piece(fmt::format("x{:x}", i), 0);
  const std::string model = Model(pieces);
  const HeapMeter meter;
  const auto read = Read({.model = model});
  EXPECT_TRUE(read.ok());
  EXPECT_LT(meter.peak_bytes() - model.size(), 2 * model.size()) << "beside the file's own bytes";
}

TEST(SentencePieceModelHostile, TinierPiecesThanAnyFileHas) {
  std::string pieces = Pieces();
  for (uint32_t i = 0; i < 100'000; ++i) pieces += BytesField(1, BytesField(1, "ab"));
  const std::string model = Model(pieces);
  const HeapMeter meter;
  EXPECT_THAT(ErrorOf({.model = model}), HasSubstr("in all, less than 10 each"));
  EXPECT_LT(meter.peak_bytes() - model.size(), 64u << 10);
  const std::string longer =
      Model(Pieces() + BytesField(1, BytesField(1, std::string(65536, 'a'))));
  EXPECT_THAT(ErrorOf({.model = longer}), HasSubstr("has 65536 bytes, more than 65535"));
}

TEST(SentencePieceModelHostile, NamesWhatIsWrong) {
  const auto with_trainer = [](const std::string& fields) {
    return ErrorOf({.model = Pieces() + BytesField(2, fields) + BytesField(3, "")});
  };
  const auto with_piece = [](const std::string& piece) {
    return ErrorOf({.model = Model(Pieces() + piece)});
  };
  EXPECT_THAT(ErrorOf({.model = "x"}), HasSubstr("tokenizer.model: "));
  EXPECT_THAT(ErrorOf({.model = BytesField(4, "")}), HasSubstr("it has 0 pieces"));
  EXPECT_THAT(ErrorOf({.model = Model(Piece("a", 0))}),
              HasSubstr("0 pieces stand for what is unknown"));
  EXPECT_THAT(with_trainer(IntegerField(3, 3)), HasSubstr("model type 3 is not supported"));
  EXPECT_THAT(with_trainer(FloatField(3, 3)), HasSubstr("field 3 has wire type 5"));
  EXPECT_THAT(with_trainer(IntegerField(24, 1)), HasSubstr("'treat_whitespace_as_suffix' is true"));
  EXPECT_THAT(with_trainer(IntegerField(35, 1)), HasSubstr("has 0 pieces for them"));
  EXPECT_THAT(ErrorOf({.model = Model() + BytesField(3, IntegerField(5, 0))}),
              HasSubstr("'escape_whitespaces' is false"));
  EXPECT_THAT(ErrorOf({.model = Model() + BytesField(5, BytesField(2, "x"))}),
              HasSubstr("denormalizer"));
  EXPECT_THAT(ErrorOf({.model = Model() + BytesField(3, BytesField(2, "xxxxx"))}),
              HasSubstr("'precompiled_charsmap' of 5 bytes"));
  EXPECT_THAT(with_piece(Piece("", 0)), HasSubstr("piece 11 is empty"));
  EXPECT_THAT(with_piece(Piece("\xff", 0)), HasSubstr("piece 11 is not UTF-8"));
  EXPECT_THAT(with_piece(Piece("ab", 0)), HasSubstr("token 'ab' has two ids, 7 and 11"));
  EXPECT_THAT(with_piece(Piece("q", std::bit_cast<float>(0x7FC00000))),
              HasSubstr("score of piece 11"));
  EXPECT_THAT(with_piece(Piece("q", 0, static_cast<TokenType>(7))),
              HasSubstr("piece 11 has type 7"));
  EXPECT_THAT(with_piece(Piece("q", 0, TokenType::kByte)), HasSubstr("is 'q'"));
  EXPECT_THAT(with_piece(BytesField(1, Varint(1 << 3 | 2) + Varint(uint64_t{1} << 60))),
              HasSubstr("has 1152921504606846976 bytes, but 0 are left"));
}

}  // namespace
}  // namespace baton
