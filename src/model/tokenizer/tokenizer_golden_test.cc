// Small tokenizer.json files in the shapes of the families against the ids that the `tokenizers`
// library gives (tests/golden/tokenizers, made by tools/golden/make_tokenizer_golden.py).
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "model/text/utf8.h"
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

void CheckCases(const std::string& name) {
  const boost::json::value file = boost::json::parse(os::ReadFile(kFolder + name).value());
  const auto& cases = file.as_object();
  const std::string path = kFolder + std::string(cases.at("tokenizer").as_string());
  const std::string json = os::ReadFile(path).value();
  const auto read = ReadTokenizerFiles({.tokenizer_json = json});
  ASSERT_TRUE(read.ok()) << path << ": " << read.error().message();
  const Tokenizer& tokenizer = read->tokenizer;
  const boost::json::value parsed =
      boost::json::parse(os::ReadFile(kFolder + "texts.json").value());
  const auto& texts = parsed.as_array();
  const auto& all_ids = cases.at("ids").as_array();
  const auto& decoded = cases.at("decoded").as_array();
  ASSERT_EQ(texts.size(), all_ids.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text(texts[i].as_string());
    std::vector<TokenId> expected;
    for (const auto& id : all_ids[i].as_array())
      expected.push_back(static_cast<TokenId>(id.as_int64()));
    const auto ids = tokenizer.Encode(text, {.parse_special = true});
    ASSERT_TRUE(ids.ok()) << name << " " << i << ": " << ids.error().message();
    EXPECT_EQ(*ids, expected) << name << " " << i << ": '" << text << "'";
    if (decoded[i].is_null()) continue;
    // A decoder of whole texts writes invalid parts in its own way.
    const std::string back(decoded[i].as_string());
    if (back.find("\uFFFD") == std::string::npos) {
      EXPECT_EQ(tokenizer.Decode(expected), back) << name << " " << i;
      EXPECT_THAT(Streamed(tokenizer, expected), testing::EndsWith(back)) << name << " " << i;
    }
  }
}

TEST(TokenizerGolden, EncodesAndDecodesAsTheLibraryDoes) {
  int files = 0;
  const std::vector<os::DirectoryEntry> entries = os::ListDirectory(kFolder).value();
  for (const os::DirectoryEntry& entry : entries) {
    if (!entry.name.ends_with(".cases.json")) continue;
    CheckCases(entry.name);
    ++files;
  }
  EXPECT_GE(files, 18);
}

}  // namespace
}  // namespace baton
