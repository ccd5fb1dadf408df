// Real vocabularies against the token ids that their own tools give (shared data, see its README).
#include <sstream>

#include <gmock/gmock.h>

#include "model/gguf/reader.h"
#include "model/testing/shared_data.h"
#include "model/tokenizer/tokenizer.h"

namespace baton {
namespace {

constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";

std::vector<std::string> SplitTexts(const std::string& all) {
  std::vector<std::string> texts;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find(kSeparator, at);
    if (end == std::string::npos) break;
    texts.push_back(all.substr(at, end - at));
    at = end + kSeparator.size();
  }
  return texts;
}

std::vector<TokenId> ParseIds(const std::string& line) {
  std::istringstream stream(line);
  std::vector<TokenId> ids;
  for (TokenId id; stream >> id;) ids.push_back(id);
  return ids;
}

TEST(Vocabularies, EncodeAsTheirOwnToolsDo) {
  const std::string folder = SharedDataFolder();
  if (folder.empty()) GTEST_SKIP() << "no shared test data on this machine";
  const std::vector<os::DirectoryEntry> entries = os::ListDirectory(folder + "/vocab").value();
  for (const os::DirectoryEntry& entry : entries) {
    if (!entry.name.ends_with(".gguf")) continue;
    const std::string path = folder + "/vocab/" + entry.name;
    const auto file = gguf::File::Open(path);
    ASSERT_TRUE(file.ok()) << file.error().ToString();
    const auto tokenizer = Tokenizer::FromMetadata(file->metadata());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
    const auto texts = SplitTexts(os::ReadFile(path + ".inp").value());
    std::istringstream expected(os::ReadFile(path + ".out").value());
    EXPECT_GT(texts.size(), 40u);
    for (const std::string& text : texts) {
      std::string line;
      ASSERT_TRUE(std::getline(expected, line));
      const auto ids = tokenizer->Encode(text);
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(*ids, ParseIds(line)) << entry.name << ": '" << text << "'";
      EXPECT_EQ(tokenizer->Decode(*ids), text) << entry.name;
    }
  }
}

}  // namespace
}  // namespace baton
