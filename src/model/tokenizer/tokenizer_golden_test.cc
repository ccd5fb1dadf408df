// Small tokenizer.json files in the shapes of the families against the ids that the `tokenizers`
// library gives, and files of SentencePiece's against that library's (tests/golden/tokenizers, made
// by tools/golden/make_tokenizer_golden.py).
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "model/gguf/reader.h"
#include "model/gguf/writer.h"
#include "model/text/utf8.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/sentence_piece_file.h"
#include "model/tokenizer/tokenizer_json.h"
#include "os/file.h"

namespace baton {
namespace {

const std::string kFolder = std::string(BATON_SOURCE_DIR) + "/tests/golden/tokenizers/";

std::string Streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = decoder.Push(id);
    EXPECT_EQ(ValidUtf8Prefix(part), part.size());
    text += part;
  }
  return text + decoder.Finish();
}

struct Cases {
  std::vector<std::string> texts;
  std::vector<std::vector<TokenId>> ids;
  std::vector<std::optional<std::string>> decoded;
  std::string tokenizer;  // name of its file
};

Cases ReadCases(const std::string& name) {
  const boost::json::value file = boost::json::parse(os::ReadFile(kFolder + name).value());
  const boost::json::value texts = boost::json::parse(os::ReadFile(kFolder + "texts.json").value());
  Cases cases;
  cases.tokenizer = file.at("tokenizer").as_string();
  for (const auto& text : texts.as_array()) cases.texts.emplace_back(text.as_string());
  for (const auto& ids : file.at("ids").as_array()) {
    cases.ids.emplace_back();
    for (const auto& id : ids.as_array())
      cases.ids.back().push_back(static_cast<TokenId>(id.as_int64()));
  }
  for (const auto& text : file.at("decoded").as_array())
    cases.decoded.push_back(text.is_null() ? std::nullopt
                                           : std::optional(std::string(text.as_string())));
  CHECK(cases.texts.size() == cases.ids.size() && cases.ids.size() == cases.decoded.size());
  return cases;
}

void Check(const Tokenizer& tokenizer, const Cases& cases, EncodeOptions options) {
  for (size_t i = 0; i < cases.texts.size(); ++i) {
    const std::string name = fmt::format("{} {}: '{}'", cases.tokenizer, i, cases.texts[i]);
    const auto ids = tokenizer.Encode(cases.texts[i], options);
    ASSERT_TRUE(ids.ok()) << name << " " << ids.error().message();
    EXPECT_EQ(*ids, cases.ids[i]) << name;
    // A decoder of whole texts writes invalid parts in its own way, and strips marks of spaces that
    // stood in the text.
    const auto& back = cases.decoded[i];
    if (!back || back->find("\uFFFD") != std::string::npos) continue;
    if (cases.texts[i].find("\u2581") != std::string::npos) continue;
    EXPECT_EQ(tokenizer.Decode(cases.ids[i]), *back) << name;
    EXPECT_THAT(Streamed(tokenizer, cases.ids[i]), testing::EndsWith(*back)) << name;
  }
}

// SentencePiece knows no special tokens in a text.
void CheckCases(const std::string& name) {
  const Cases cases = ReadCases(name);
  const std::string file = os::ReadFile(kFolder + cases.tokenizer).value();
  const bool model = cases.tokenizer.ends_with(".model");
  const auto read = ReadTokenizerFiles(model ? TokenizerFiles{.tokenizer_model = file}
                                             : TokenizerFiles{.tokenizer_json = file});
  ASSERT_TRUE(read.ok()) << cases.tokenizer << ": " << read.error().message();
  Check(read->tokenizer, cases, {.parse_special = !model});
}

TEST(TokenizerGolden, EncodesAndDecodesAsTheLibraryDoes) {
  int files = 0;
  const std::vector<os::DirectoryEntry> entries = os::ListDirectory(kFolder).value();
  for (const os::DirectoryEntry& entry : entries) {
    if (!entry.name.ends_with(".cases.json")) continue;
    CheckCases(entry.name);
    ++files;
  }
  EXPECT_GE(files, 23);
}

TEST(PreTokenizerGolden, CutsAsTheLibraryDoesByThePublishedExpressions) {
  const boost::json::value file =
      boost::json::parse(os::ReadFile(kFolder + "pre_tokenizers.json").value());
  const auto& texts = file.at("texts").as_array();
  ASSERT_GE(file.at("pieces").as_object().size(), 12u);
  for (const auto& [name, all_pieces] : file.at("pieces").as_object()) {
    const auto pre_tokenizer = PreTokenizer::Create(name);
    ASSERT_TRUE(pre_tokenizer.ok()) << name;
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<std::string> expected;
      for (const auto& piece : all_pieces.as_array()[i].as_array())
        expected.emplace_back(piece.as_string());
      const std::string text(texts[i].as_string());
      const auto pieces = pre_tokenizer->Split(text);
      ASSERT_TRUE(pieces.ok()) << name;
      EXPECT_THAT(*pieces, testing::ElementsAreArray(expected)) << name << " '" << text << "'";
    }
  }
}

// What conversions of tokenizer.model write into GGUF.
gguf::HeaderBuilder AsGguf(const SentencePieceFile& file) {
  gguf::HeaderBuilder header;
  header.AddString("tokenizer.ggml.model", file.unigram ? "t5" : "llama");
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  for (TokenId id = 0; id < file.size(); ++id) {
    texts.emplace_back(file.TextOf(id));
    types.push_back(static_cast<int32_t>(file.types[static_cast<size_t>(id)]));
  }
  header.AddStrings("tokenizer.ggml.tokens", texts);
  header.AddFloat32s("tokenizer.ggml.scores", file.scores);
  header.AddInt32s("tokenizer.ggml.token_type", types);
  header.AddBool("tokenizer.ggml.add_space_prefix", file.adds_space);
  header.AddBool("tokenizer.ggml.remove_extra_whitespaces", file.removes_extra_spaces);
  if (!file.character_map.empty())
    header.AddUint8s("tokenizer.ggml.precompiled_charsmap", file.character_map);
  return header;
}

TEST(TokenizerGolden, TheSameOutOfGguf) {
  for (const std::string name : {"sp-llama", "sp-t5"}) {
    const Cases cases = ReadCases(name + ".cases.json");
    const std::string bytes = os::ReadFile(kFolder + cases.tokenizer).value();
    const auto file = ParseSentencePieceFile(AsBytes(bytes));
    ASSERT_TRUE(file.ok()) << file.error().message();
    const Bytes gguf = AsGguf(*file).Build();
    const auto header = gguf::ParseHeader(gguf, gguf.size());
    ASSERT_TRUE(header.ok()) << header.error().message();
    const auto tokenizer = Tokenizer::FromMetadata(header->metadata);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message();
    Check(*tokenizer, cases, {});
    const auto around = *tokenizer->Encode("a", {.add_special = true});
    const Vocabulary& vocabulary = tokenizer->vocabulary();
    if (name == "sp-t5")
      EXPECT_EQ(around.back(), vocabulary.Find("</s>"));
    else
      EXPECT_EQ(around.front(), vocabulary.Find("<s>"));
  }
}

}  // namespace
}  // namespace baton
