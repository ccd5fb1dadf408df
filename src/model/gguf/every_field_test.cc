// Every field of a GGUF file wrong in turn: what it says is refused or harmless, at once, and for
// little memory.
#include <cstring>
#include <set>

#include <gmock/gmock.h>

#include "model/gguf/reader.h"
#include "model/model.h"
#include "model/testing/cpu_stopwatch.h"
#include "model/testing/heap_meter.h"
#include "model/testing/scratch_file.h"
#include "model/testing/small_model.h"

namespace baton::gguf {
namespace {

// A number in the header.
struct Field {
  size_t offset = 0;
  size_t bytes = 0;
  std::string what;       // "length", "count", ...
  std::string of;         // the key or the tensor that it belongs to
  bool harmless = false;  // another value may be right as well
  bool element = false;   // of an array
};

// Walks a header that is right, by the specification.
class FieldWalk {
 public:
  explicit FieldWalk(std::span<const uint8_t> file) : file_(file) {}

  std::vector<Field> Walk() {
    Take(4, "magic", "");
    Take(4, "version", "", true);
    const uint64_t tensors = Take(8, "count", "tensors");
    const uint64_t entries = Take(8, "count", "keys");
    for (uint64_t i = 0; i < entries; ++i) WalkEntry();
    for (uint64_t i = 0; i < tensors; ++i) WalkTensor();
    return std::move(fields_);
  }

 private:
  uint64_t Take(size_t bytes, std::string what, std::string of, bool harmless = false) {
    uint64_t value = 0;
    std::memcpy(&value, file_.data() + at_, bytes);
    fields_.push_back({at_, bytes, std::move(what), std::move(of), harmless});
    at_ += bytes;
    return value;
  }
  std::string TakeText(std::string what, const std::string& of) {
    const uint64_t length = Take(8, std::move(what), of);
    const std::string text(AsText(file_.subspan(at_, length)));
    at_ += length;
    return text;
  }
  void WalkEntry() {
    const std::string key = TakeText("length of a key", "key");
    WalkValue(key, static_cast<ValueType>(Take(4, "type", key, true)), "value");
  }
  void WalkValue(const std::string& key, ValueType type, const std::string& what) {
    if (type == ValueType::kString) {
      TakeText("length of a string", key);
    } else if (type == ValueType::kArray) {
      const auto element = static_cast<ValueType>(Take(4, "element type", key, true));
      const uint64_t count = Take(8, "array count", key);
      const size_t first = fields_.size();
      for (uint64_t i = 0; i < count; ++i) WalkValue(key, element, "element");
      for (size_t i = first; i < fields_.size(); ++i) fields_[i].element = true;
    } else {
      Take(SizeOf(type), what, key, true);
    }
  }
  void WalkTensor() {
    const std::string name = TakeText("length of a name", "tensor");
    const uint64_t dims = Take(4, "dimensions", name);
    for (uint64_t i = 0; i < dims; ++i) Take(8, "dimension", name);
    Take(4, "type", name);
    Take(8, "offset", name);
  }

  const std::span<const uint8_t> file_;
  size_t at_ = 0;
  std::vector<Field> fields_;
};

// An array has hundreds of elements: each is wrong in two ways only.
std::set<uint64_t> WrongValues(uint64_t right, const Field& field) {
  const uint64_t mask = field.bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * field.bytes)) - 1;
  if (field.element) return {(right + 1) & mask, ~right & mask};
  std::set<uint64_t> wrong;
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{1}, right + 1, right - 1, right * 2, right ^ 0x80, uint64_t{1} << 31,
        (uint64_t{1} << 32) - 1, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0}})
    wrong.insert(value & mask);
  wrong.erase(right);
  return wrong;
}

struct Outcome {
  std::string error;  // empty: it is a model
  double seconds = 0;
  size_t peak_bytes = 0;
};

Outcome OpenAsModel(std::span<const uint8_t> bytes) {
  const ScratchFile scratch(bytes);
  const CpuStopwatch watch;
  const HeapMeter meter;
  const auto model = Model::Open(scratch.path());
  Outcome outcome;
  outcome.peak_bytes = meter.peak_bytes();
  outcome.seconds = watch.Seconds();
  if (!model.ok()) {
    outcome.error = model.error().message();
    EXPECT_THAT(outcome.error, testing::StartsWith(scratch.path()));
    outcome.error.erase(0, scratch.path().size());
  }
  return outcome;
}

// What opening takes whatever the file: expressions, tables, first buffers.
constexpr size_t kFixedBytes = 1 << 20;

TEST(GgufEveryField, WrongInTurn) {
  const Bytes right = SmallModel().File();
  ASSERT_EQ(OpenAsModel(right).error, "");
  const std::vector<Field> fields = FieldWalk(right).Walk();
  ASSERT_GT(fields.size(), 600u);
  for (const Field& field : fields) {
    uint64_t value = 0;
    std::memcpy(&value, right.data() + field.offset, field.bytes);
    for (const uint64_t wrong : WrongValues(value, field)) {
      Bytes damaged = right;
      std::memcpy(damaged.data() + field.offset, &wrong, field.bytes);
      const Outcome outcome = OpenAsModel(damaged);
      const std::string name = fmt::format("{} of '{}' at byte {}: {} for {}: {}", field.what,
                                           field.of, field.offset, wrong, value, outcome.error);
      EXPECT_TRUE(field.harmless || !outcome.error.empty()) << name;
      // It names a value, a key or a tensor.
      if (!outcome.error.empty()) {
        EXPECT_THAT(outcome.error, testing::ContainsRegex("[0-9]|'")) << name;
      }
      EXPECT_LT(outcome.seconds, 1.0) << name;
      EXPECT_LT(outcome.peak_bytes, 2 * damaged.size() + kFixedBytes) << name;
    }
  }
}

TEST(GgufEveryField, OfATensorIsNamed) {
  const Bytes right = SmallModel().File();
  for (const Field& field : FieldWalk(right).Walk()) {
    const bool of_tensor = field.of.find(".weight") != std::string::npos;
    if (!of_tensor && field.what != "count") continue;
    uint64_t value = 0;
    std::memcpy(&value, right.data() + field.offset, field.bytes);
    for (const uint64_t wrong : WrongValues(value, field)) {
      // Fewer or more dimensions or tensors, and the fields behind them are others.
      const bool shifts = wrong <= 65536 && (field.what == "dimensions" || field.what == "count");
      if (shifts) continue;
      Bytes damaged = right;
      std::memcpy(damaged.data() + field.offset, &wrong, field.bytes);
      const auto header = ParseHeader(damaged, damaged.size());
      const std::string message =
          header.ok() ? OpenAsModel(damaged).error : header.error().message();
      EXPECT_THAT(message,
                  testing::HasSubstr(field.what == "count" ? std::to_string(wrong) : field.of))
          << field.what << " " << wrong << " for " << value;
    }
  }
}

TEST(GgufEveryField, TruncatedInEveryField) {
  const Bytes right = SmallModel().File();
  for (const Field& field : FieldWalk(right).Walk()) {
    for (const size_t size : {field.offset, field.offset + field.bytes / 2}) {
      const std::span<const uint8_t> part(right.data(), size);
      const auto header = ParseHeader(part, part.size());
      ASSERT_FALSE(header.ok()) << size;
      EXPECT_THAT(header.error().message(), testing::ContainsRegex("[0-9]|'")) << size;
    }
  }
}

}  // namespace
}  // namespace baton::gguf
