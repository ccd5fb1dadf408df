#include "model/gguf/checkpoint.h"

#include <algorithm>

#include "model/fingerprint.h"
#include "model/gguf/reader.h"
#include "model/gguf/split.h"

namespace baton::gguf {
namespace {

constexpr std::string_view kNumberKey = "split.no";
constexpr std::string_view kCountKey = "split.count";
constexpr std::string_view kTensorsKey = "split.tensors.count";

// Where a tensor begins.
struct Place {
  size_t part;
  uint64_t offset;
};

class GgufCheckpoint final : public Checkpoint {
 public:
  GgufCheckpoint(std::string path, std::vector<File> parts, std::vector<baton::TensorInfo> tensors,
                 std::vector<Place> places)
      : Checkpoint(std::move(path), parts[0].metadata(), std::move(tensors)),
        parts_(std::move(parts)),
        places_(std::move(places)) {}

  void WillNeed(const baton::TensorInfo& tensor, int64_t first, int64_t count) const override {
    const Place& place = places_[tensor.place];
    parts_[place.part].mapping().WillNeed(
        place.offset + static_cast<uint64_t>(first) * tensor.row_bytes(),
        static_cast<uint64_t>(count) * tensor.row_bytes());
  }

  Result<std::string> Fingerprint() const override {
    Fingerprinter fingerprint;
    for (const File& part : parts_) fingerprint.Add(part.header_bytes());
    for (const File& part : parts_) BATON_RETURN_IF_ERROR(AddSamples(part, fingerprint));
    return std::move(fingerprint).Finish();
  }

 private:
  static Status AddSamples(const File& part, Fingerprinter& fingerprint) {
    std::vector<const TensorInfo*> in_file_order;
    for (const TensorInfo& info : part.header().tensors) in_file_order.push_back(&info);
    std::sort(in_file_order.begin(), in_file_order.end(),
              [](const auto* a, const auto* b) { return a->file_offset < b->file_offset; });
    for (const TensorInfo* info : in_file_order)
      BATON_RETURN_IF_ERROR(
          fingerprint.AddSample(part.mapping(), info->file_offset, info->size_bytes));
    return OkStatus();
  }

  Status Read(const baton::TensorInfo& tensor, int64_t first, int64_t,
              std::span<uint8_t> into) const override {
    const Place& place = places_[tensor.place];
    return parts_[place.part].mapping().ReadAt(
        place.offset + static_cast<uint64_t>(first) * tensor.row_bytes(), into);
  }

  void DropHeaders() override {
    for (File& part : parts_) part.DropHeader();
  }

  std::vector<File> parts_;
  const std::vector<Place> places_;  // by TensorInfo::place
};

Result<int64_t> PartCount(const File& file) {
  return file.metadata().IntegerOr(kCountKey, 0, kPartsMax, 1);
}

// What one part says against what it is among `count`.
Status CheckPart(const File& file, int number, int64_t count) {
  BATON_ASSIGN_OR_RETURN(const int64_t said_count, PartCount(file));
  BATON_ASSIGN_OR_RETURN(const int64_t said_number,
                         file.metadata().Integer(kNumberKey, 0, kPartsMax));
  if (said_count == count && said_number + 1 == number) return OkStatus();
  return MakeError(Code::kInvalidArgument, "says that it is part {} of {}, not {} of {}",
                   said_number + 1, said_count, number, count);
}

Result<std::vector<File>> OpenParts(const std::string& path, File opened, int64_t count) {
  const auto name = ParsePartName(path);
  if (!name || name->count != count)
    return MakeError(Code::kInvalidArgument,
                     "'{}' is one of {} files, but its name does not end in -00001-of-{:05}.gguf, "
                     "by which the others would be found",
                     path, count, count);
  std::vector<File> parts;
  for (int number = 1; number <= count; ++number) {
    if (number == name->number) continue;
    const std::string part = name->PathOf(number);
    auto file = File::Open(part);
    if (!file.ok())
      return file.error().Within(fmt::format("part {} of {} of the model", number, count));
    const Status status = CheckPart(*file, number, count);
    if (!status.ok()) return status.error().Within(part);
    parts.push_back(*std::move(file));
  }
  const Status status = CheckPart(opened, name->number, count);
  if (!status.ok()) return status.error().Within(path);
  parts.insert(parts.begin() + (name->number - 1), std::move(opened));
  return parts;
}

// A tensor that two parts have would be read from either.
Status CheckTensors(const std::string& path, const std::vector<File>& parts,
                    std::vector<std::string_view> names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return MakeError(Code::kInvalidArgument, "{}: two of its files have tensor '{}'", path, *twice);
  if (parts.size() == 1) return OkStatus();
  const auto all = static_cast<int64_t>(names.size());
  for (const File& part : parts) {
    const auto said = part.metadata().IntegerOr(kTensorsKey, 0, INT64_MAX, all);
    if (!said.ok()) return said.error().Within(part.mapping().path());
    if (*said != all)
      return MakeError(Code::kInvalidArgument, "{}: key '{}' is {}, but all files have {} tensors",
                       part.mapping().path(), kTensorsKey, *said, all);
  }
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(File file, File::Open(path));
  const auto count = PartCount(file);
  if (!count.ok()) return count.error().Within(path);
  std::vector<File> parts;
  if (*count > 1) {
    BATON_ASSIGN_OR_RETURN(parts, OpenParts(path, std::move(file), *count));
  } else {
    parts.push_back(std::move(file));
  }
  std::vector<baton::TensorInfo> tensors;
  std::vector<Place> places;
  std::vector<std::string_view> names;
  for (size_t part = 0; part < parts.size(); ++part) {
    for (const TensorInfo& info : parts[part].header().tensors) {
      tensors.push_back({info.name, info.type, info.shape, info.size_bytes, places.size()});
      places.push_back({part, info.file_offset});
      names.push_back(info.name);
    }
  }
  BATON_RETURN_IF_ERROR(CheckTensors(path, parts, std::move(names)));
  return std::unique_ptr<Checkpoint>(std::make_unique<GgufCheckpoint>(
      path, std::move(parts), std::move(tensors), std::move(places)));
}

}  // namespace baton::gguf
