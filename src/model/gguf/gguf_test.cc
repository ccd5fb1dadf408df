#include <gmock/gmock.h>

#include "base/random.h"
#include "model/gguf/reader.h"
#include "model/gguf/writer.h"
#include "model/testing/scratch_file.h"
#include "model/testing/small_model.h"

namespace baton::gguf {
namespace {

using testing::HasSubstr;

// A header made by hand, so that every field can lie.
class RawHeader {
 public:
  RawHeader(uint64_t n_tensors, uint64_t n_entries, uint32_t version = 3) {
    Put(kMagic);
    Put(version);
    Put(n_tensors);
    Put(n_entries);
  }
  template <typename T>
  RawHeader& Put(T value) {
    writer_.Write(value);
    return *this;
  }
  RawHeader& Text(std::string_view text) {
    Put<uint64_t>(text.size());
    writer_.WriteBytes(AsBytes(text));
    return *this;
  }
  RawHeader& Key(std::string_view key, uint32_t type) { return Text(key).Put(type); }
  // A tensor of one dimension.
  RawHeader& Tensor(std::string_view name, uint64_t extent, uint32_t type, uint64_t offset) {
    return Text(name).Put<uint32_t>(1).Put(extent).Put(type).Put(offset);
  }
  RawHeader& Data(size_t count) {
    Bytes padded = writer_.bytes();
    padded.resize((padded.size() + 31) / 32 * 32 + count);
    writer_ = ByteWriter();
    writer_.WriteBytes(padded);
    return *this;
  }
  const Bytes& bytes() const { return writer_.bytes(); }

 private:
  ByteWriter writer_;
};

Result<Header> Parse(const Bytes& bytes) {
  return ParseHeader(bytes, bytes.size());
}

std::string ErrorOf(const Bytes& bytes) {
  const auto header = Parse(bytes);
  return header.ok() ? "no error" : header.error().message();
}

TEST(Gguf, WriterAndReaderAgree) {
  HeaderBuilder builder;
  builder.AddUint32("a.u32", 7);
  builder.AddInt32("a.i32", -7);
  builder.AddFloat32("a.f32", 0.5f);
  builder.AddBool("a.bool", true);
  builder.AddString("a.text", "héllo");
  builder.AddStrings("a.texts", std::vector<std::string>{"x", "", "yz"});
  builder.AddTensor("one", DType::kF32, {3, 2, 1, 1});
  builder.AddTensor("two", DType::kQ4_0, {64, 1, 1, 1});
  const ScratchFile scratch;
  auto writer = Writer::Create(scratch.path(), builder);
  ASSERT_TRUE(writer.ok());
  EXPECT_FALSE(writer->Close().ok()) << "tensors are missing";
  auto again = Writer::Create(scratch.path(), builder);
  ASSERT_TRUE(again->Append(Bytes(10, 1)).ok());
  ASSERT_TRUE(again->Append(Bytes(14, 2)).ok());
  ASSERT_TRUE(again->Append(Bytes(36, 3)).ok());
  ASSERT_TRUE(again->Close().ok());

  const auto file = File::Open(scratch.path());
  ASSERT_TRUE(file.ok()) << file.error().message();
  const Metadata& metadata = file->metadata();
  EXPECT_EQ(metadata.Integer("a.u32", 0, 100).value(), 7);
  EXPECT_EQ(metadata.Integer("a.i32", -10, 100).value(), -7);
  EXPECT_THAT(metadata.Integer("a.i32", 0, 100).error().message(), HasSubstr("-7"));
  EXPECT_EQ(metadata.Number("a.f32").value(), 0.5);
  EXPECT_EQ(metadata.BoolOr("a.bool", false).value(), true);
  EXPECT_EQ(metadata.String("a.text").value(), "héllo");
  EXPECT_THAT(metadata.String("a.bool").error().message(), HasSubstr("of type bool"));
  EXPECT_THAT(metadata.String("nope").error().message(), HasSubstr("no key 'nope'"));
  StringCursor cursor(metadata.Array("a.texts", ValueType::kString).value());
  EXPECT_EQ(cursor.Next(), "x");
  EXPECT_EQ(cursor.Next(), "");
  EXPECT_EQ(cursor.Next(), "yz");
  const TensorView one = file->View(*file->header().Find("one"));
  EXPECT_EQ(one.rows(), 2);
  EXPECT_EQ(one.bytes()[9], 1);
  EXPECT_EQ(one.bytes()[10], 2);
  EXPECT_EQ(file->View(*file->header().Find("two")).bytes()[35], 3);
  EXPECT_EQ(file->header().Find("three"), nullptr);
}

TEST(GgufHostile, EveryFieldInTurn) {
  constexpr uint64_t kHuge = ~uint64_t{0};
  constexpr uint32_t kU32 = 4, kString = 8, kArray = 9;
  EXPECT_THAT(ErrorOf({'G', 'G', 'U', 'F'}), HasSubstr("the version"));
  EXPECT_THAT(ErrorOf({'G', 'G'}), HasSubstr("the magic"));
  EXPECT_THAT(ErrorOf(Bytes(64, 'x')), HasSubstr("not a GGUF file"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 0, 1).bytes()), HasSubstr("version 1"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 0, 77).bytes()), HasSubstr("version 77"));
  EXPECT_THAT(ErrorOf(RawHeader(kHuge, 0).bytes()), HasSubstr("tensors"));
  EXPECT_THAT(ErrorOf(RawHeader(0, kHuge).bytes()), HasSubstr("keys"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 4000).bytes()), HasSubstr("do not fit"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 1).Put(kHuge).Data(64).bytes()), HasSubstr("a key of"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 1).Key("k", 13).Data(64).bytes()), HasSubstr("value type 13"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 1).Key("k", kString).Put(kHuge).Data(64).bytes()),
              HasSubstr("key 'k': a string of"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 1).Key("k", kString).Put<uint64_t>(1000).Data(64).bytes()),
              HasSubstr("needs 1000 bytes"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 1).Key("k", kArray).Put(kU32).Put(kHuge).Data(64).bytes()),
              HasSubstr("does not fit"));
  EXPECT_THAT(
      ErrorOf(RawHeader(0, 1).Key("k", kArray).Put(kArray).Put<uint64_t>(1).Data(64).bytes()),
      HasSubstr("array of arrays"));
  EXPECT_THAT(ErrorOf(RawHeader(0, 2).Key("k", kU32).Put(1).Key("k", kU32).Put(2).bytes()),
              HasSubstr("'k' appears twice"));
  for (const uint32_t alignment : {0u, 3u, 1u << 21}) {
    const RawHeader header = RawHeader(0, 1).Key("general.alignment", kU32).Put(alignment);
    EXPECT_THAT(ErrorOf(header.bytes()), HasSubstr("general.alignment")) << alignment;
  }
}

TEST(GgufHostile, EveryFieldOfATensor) {
  constexpr uint64_t kHuge = ~uint64_t{0};
  const auto dims = [](uint32_t count) {
    RawHeader header(1, 0);
    header.Text("t").Put(count);
    for (uint32_t i = 0; i < std::min(count, 8u); ++i) header.Put<uint64_t>(uint64_t{1} << 40);
    return header.Put<uint32_t>(0).Put<uint64_t>(0).Data(64).bytes();
  };
  EXPECT_THAT(ErrorOf(dims(0)), HasSubstr("0 dimensions"));
  EXPECT_THAT(ErrorOf(dims(5)), HasSubstr("5 dimensions"));
  EXPECT_THAT(ErrorOf(dims(4)), HasSubstr("overflow"));
  EXPECT_THAT(ErrorOf(dims(1)), HasSubstr("more than the file"));
  const auto tensor = [](uint64_t extent, uint32_t type, uint64_t offset) {
    return RawHeader(1, 0).Tensor("t", extent, type, offset).Data(128).bytes();
  };
  EXPECT_TRUE(Parse(tensor(32, 0, 0)).ok());
  EXPECT_THAT(ErrorOf(tensor(0, 0, 0)), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(ErrorOf(tensor(kHuge, 0, 0)), HasSubstr("dimension 0"));
  EXPECT_THAT(ErrorOf(tensor(33, 2, 0)), HasSubstr("not whole Q4_0 blocks"));
  EXPECT_THAT(ErrorOf(tensor(32, 17, 0)), HasSubstr("tensor 't': its type IQ2_XS (17)"));
  EXPECT_THAT(ErrorOf(tensor(32, 999, 0)), HasSubstr("number 999"));
  EXPECT_THAT(ErrorOf(tensor(32, 0, 7)), HasSubstr("offset 7"));
  EXPECT_THAT(ErrorOf(tensor(32, 0, 32)), HasSubstr("'t', the first, has offset 32"));
  EXPECT_THAT(ErrorOf(tensor(40, 0, 0)), HasSubstr("download complete"));
  EXPECT_THAT(ErrorOf(tensor(16, 0, 0)), HasSubstr("'t', the last, ends at byte"));
  EXPECT_THAT(ErrorOf(tensor(32, 0, kHuge - 31)), HasSubstr("the first, has offset"));
  const RawHeader twins = RawHeader(2, 0).Tensor("t", 4, 0, 0).Tensor("t", 4, 0, 32).Data(64);
  EXPECT_THAT(ErrorOf(twins.bytes()), HasSubstr("'t' appears twice"));
  const RawHeader overlap = RawHeader(2, 0).Tensor("a", 16, 0, 0).Tensor("b", 4, 0, 32).Data(64);
  EXPECT_THAT(ErrorOf(overlap.bytes()), HasSubstr("overlap"));
  EXPECT_THAT(ErrorOf(RawHeader(1, 0).Text(std::string(300, 'n')).Data(64).bytes()),
              HasSubstr("a tensor name of 300"));
}

TEST(GgufHostile, TruncatedAtEveryPercent) {
  const Bytes whole = SmallModel().File();
  ASSERT_TRUE(Parse(whole).ok());
  for (size_t percent = 0; percent < 100; ++percent) {
    const Bytes part(whole.begin(),
                     whole.begin() + static_cast<ptrdiff_t>(whole.size() * percent / 100));
    EXPECT_FALSE(Parse(part).ok()) << percent << " %";
    const ScratchFile scratch(part);
    EXPECT_FALSE(File::Open(scratch.path()).ok()) << percent << " %";
  }
}

TEST(GgufHostile, FlippedBytesNeverCrash) {
  const Bytes whole = SmallModel().File();
  const size_t header_bytes = Parse(whole)->data_offset;
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    Bytes damaged = whole;
    for (int i = 0; i < 3; ++i)
      damaged[rng.Below(header_bytes)] = static_cast<uint8_t>(rng.Below(256));
    (void)Parse(damaged).ok();
  }
}

TEST(Gguf, HeaderLongerThanTheFirstRead) {
  HeaderBuilder builder;
  builder.AddString("long", std::string(5 << 20, 'x'));
  const ScratchFile scratch(builder.Build());
  const auto file = File::Open(scratch.path());
  ASSERT_TRUE(file.ok()) << file.error().message();
  EXPECT_EQ(file->metadata().String("long")->size(), 5u << 20);
}

}  // namespace
}  // namespace baton::gguf
