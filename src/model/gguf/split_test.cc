#include "model/gguf/split.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "model/model.h"
#include "model/testing/float_copy.h"
#include "model/testing/scratch_file.h"
#include "model/testing/scratch_folder.h"
#include "model/testing/small_model.h"

namespace baton::gguf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(PartName, IsReadFromTheEndOfThePath) {
  const auto name = ParsePartName("/a/b-c-00002-of-00010.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "/a/b-c");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 10);
  EXPECT_EQ(name->PathOf(1), "/a/b-c-00001-of-00010.gguf");
  for (const std::string_view path :
       {"m.gguf", "m-00001-of-00002", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-1-of-2.gguf", "-00001-of-00002.gguf", "m-00001-of-99999.gguf", "m00001-of-00002.gguf"})
    EXPECT_FALSE(ParsePartName(path)) << path;
}

struct Split {
  uint32_t count = 3;
  uint32_t said_count = 3;
  uint32_t said_tensors = 0;  // 0: as many as there are
  int skip_part = 0;
  uint32_t number_of_second = 1;
  bool twice = false;  // a tensor in two parts
};

// The small model cut as llama.cpp cuts: all metadata in the first part, tensors in turns.
void WriteParts(const std::string& folder, const Split& split) {
  const Bytes whole = SmallModel().File();
  const auto header = ParseHeader(whole, whole.size());
  for (uint32_t part = 0; part < split.count; ++part) {
    HeaderBuilder builder;
    if (part == 0) {
      for (const auto& entry : header->metadata.entries()) CopyEntry(entry, builder);
    }
    builder.AddUint32("split.no", part == 1 ? split.number_of_second : part);
    builder.AddUint32("split.count", split.said_count);
    builder.AddInt32("split.tensors.count",
                     static_cast<int32_t>(split.said_tensors != 0 ? split.said_tensors
                                                                  : header->tensors.size()));
    std::vector<const TensorInfo*> mine;
    for (size_t i = 0; i < header->tensors.size(); ++i) {
      if (i % split.count != part && !(split.twice && i == 0)) continue;
      mine.push_back(&header->tensors[i]);
      builder.AddTensor(mine.back()->name, mine.back()->type, mine.back()->shape);
    }
    const std::string path = fmt::format("{}/m-{:05}-of-{:05}.gguf", folder, part + 1, split.count);
    if (static_cast<int>(part) + 1 == split.skip_part) continue;
    auto writer = Writer::Create(path, builder);
    for (const TensorInfo* info : mine) {
      // Every tensor tells itself apart.
      const Bytes bytes(info->size_bytes, static_cast<uint8_t>(info->file_offset >> 6));
      CHECK(writer->Append(bytes).ok());
    }
    CHECK(writer->Close().ok());
  }
}

std::string ErrorOf(const Split& split) {
  const ScratchFolder folder;
  WriteParts(folder.path(), split);
  const auto model =
      Model::Open(fmt::format("{}/m-00001-of-{:05}.gguf", folder.path(), split.count));
  return model.ok() ? "no error" : model.error().message();
}

TEST(Split, AnyPartOpensAll) {
  const ScratchFolder folder;
  WriteParts(folder.path(), {});
  const Bytes whole_bytes = SmallModel().File();
  const ScratchFile whole_file(whole_bytes);
  const auto whole = Model::Open(whole_file.path()).value();
  std::string fingerprint;
  for (const int part : {1, 2, 3}) {
    const auto model = Model::Open(fmt::format("{}/m-{:05}-of-00003.gguf", folder.path(), part));
    ASSERT_TRUE(model.ok()) << model.error().message();
    EXPECT_EQ((*model)->spec(), whole->spec());
    EXPECT_TRUE(part == 1 || (*model)->fingerprint() == fingerprint);
    fingerprint = (*model)->fingerprint();
    for (const baton::TensorInfo& tensor : whole->tensors()) {
      const auto ours = (*model)->Tensor(tensor.name).value();
      Bytes row(ours.row_bytes());
      ASSERT_TRUE((*model)->ReadRows(ours, ours.rows() - 1, 1, row).ok());
      const auto header = ParseHeader(whole_bytes, whole_bytes.size());
      EXPECT_EQ(row.back(), static_cast<uint8_t>(header->Find(tensor.name)->file_offset >> 6));
    }
  }
}

TEST(Split, EveryPartCountsForTheFingerprint) {
  const ScratchFolder folder;
  WriteParts(folder.path(), {});
  const std::string first = folder.path() + "/m-00001-of-00003.gguf";
  const std::string before = (*Model::Open(first))->fingerprint();
  const std::string last = folder.path() + "/m-00003-of-00003.gguf";
  const auto file = File::Open(last).value();
  const std::string text = os::ReadFile(last).value();
  Bytes bytes(text.begin(), text.end());
  bytes[file.header().tensors[0].file_offset] ^= 1;
  ASSERT_TRUE(os::WriteFileAtomically(last, bytes).ok());
  EXPECT_NE((*Model::Open(first))->fingerprint(), before);
}

TEST(SplitHostile, SaysWhichPartIsWrong) {
  EXPECT_EQ(ErrorOf({}), "no error");
  EXPECT_THAT(ErrorOf({.skip_part = 2}),
              AllOf(HasSubstr("part 2 of 3"), HasSubstr("m-00002-of-00003.gguf")));
  EXPECT_THAT(ErrorOf({.number_of_second = 2}),
              AllOf(HasSubstr("m-00002-of-00003.gguf"), HasSubstr("part 3 of 3, not 2 of 3")));
  EXPECT_THAT(ErrorOf({.said_count = 4}), HasSubstr("one of 4 files"));
  EXPECT_THAT(ErrorOf({.said_count = 0}), HasSubstr("missing"));
  EXPECT_THAT(ErrorOf({.said_count = 1u << 30}), HasSubstr("split.count"));
  EXPECT_THAT(ErrorOf({.said_tensors = 5}), HasSubstr("split.tensors.count' is 5"));
  EXPECT_THAT(ErrorOf({.twice = true}), HasSubstr("two of its files have tensor"));
}

TEST(SplitHostile, ARenamedPartNamesThePattern) {
  const ScratchFolder folder;
  WriteParts(folder.path(), {});
  const std::string renamed = folder.path() + "/renamed.gguf";
  std::filesystem::rename(folder.path() + "/m-00001-of-00003.gguf", renamed);
  EXPECT_THAT(Model::Open(renamed).error().message(), HasSubstr("-00001-of-00003.gguf"));
}

}  // namespace
}  // namespace baton::gguf
