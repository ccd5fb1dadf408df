#include "device/phantom/phantom_device.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "device/kv_layout.h"
#include "device/phantom/mark.h"
#include "os/memory.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace baton::device {
namespace {

// Before a text's first token.
constexpr Mark kNothing = 0x6261746F6E;
// Keys that are made at a time.
constexpr size_t kSomeTokens = 64;

class LazyBuffer final : public Buffer {
 public:
  explicit LazyBuffer(os::LargeMemory memory) : memory_(std::move(memory)) {}
  size_t size_bytes() const override { return memory_.size(); }
  uint8_t* host() override { return memory_.data(); }

 private:
  os::LargeMemory memory_;
};

// Element i of a row of `type`, a number from 0 to 127. Every block of a row has one that is 127.
void SetElement(KvType type, size_t i, uint8_t value, uint8_t* row) {
  switch (type) {
    case KvType::kF32: {
      const auto x = static_cast<float>(value);
      std::memcpy(row + i * sizeof(x), &x, sizeof(x));
      return;
    }
    case KvType::kF16: {
      const Half x = ToHalf(value);
      std::memcpy(row + i * sizeof(x), &x, sizeof(x));
      return;
    }
    case KvType::kQ8_0:
      break;
  }
  const Half one = ToHalf(1.0f);
  uint8_t* block = row + i / BlockQ8_0::kElements * sizeof(BlockQ8_0);
  std::memcpy(block, &one, sizeof(one));
  block[sizeof(one) + i % BlockQ8_0::kElements] = value;
}

uint8_t ElementAt(KvType type, size_t i, const uint8_t* row) {
  switch (type) {
    case KvType::kF32: {
      float x;
      std::memcpy(&x, row + i * sizeof(x), sizeof(x));
      return static_cast<uint8_t>(std::clamp(x, 0.0f, 127.0f));
    }
    case KvType::kF16: {
      Half x;
      std::memcpy(&x, row + i * sizeof(x), sizeof(x));
      return static_cast<uint8_t>(std::clamp(FromHalf(x), 0.0f, 127.0f));
    }
    case KvType::kQ8_0:
      break;
  }
  return row[i / BlockQ8_0::kElements * sizeof(BlockQ8_0) + sizeof(Half) +
             i % BlockQ8_0::kElements];
}

void SetMark(KvType type, Mark mark, uint8_t* row) {
  const MarkElements elements = ElementsOf(mark);
  for (size_t i = 0; i < elements.size(); ++i) SetElement(type, i, elements[i], row);
}

Mark MarkIn(KvType type, const uint8_t* row) {
  MarkElements elements;
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = ElementAt(type, i, row);
  return MarkOf(elements);
}

// A row of numbers that are no hash of anything.
void FillRow(const KvLayout& layout, uint8_t* row) {
  for (int i = 0; i < layout.shape.head_dim; ++i)
    SetElement(layout.type, i, static_cast<uint8_t>(127 - i * 37 % 32), row);
}

size_t RowBytes(const KvLayout& layout) {
  return KvBytesOf(layout.type, layout.shape.head_dim);
}

}  // namespace

Status PhantomDevice::CheckShape(const KvShape& shape) {
  if (shape.head_dim >= kMarkElements) return OkStatus();
  return MakeError(Code::kInvalidArgument, "a phantom needs heads of at least {} elements, not {}",
                   kMarkElements, shape.head_dim);
}

Result<std::unique_ptr<Buffer>> PhantomDevice::Allocate(size_t bytes) {
  BATON_ASSIGN_OR_RETURN(os::LargeMemory memory, os::LargeMemory::Allocate(bytes));
  return std::unique_ptr<Buffer>(std::make_unique<LazyBuffer>(std::move(memory)));
}

void PhantomDevice::MakeRows(const KvLayout& layout) {
  const bool same = !plain_.empty() && layout_.shape == layout.shape && layout_.type == layout.type;
  if (same) return;
  layout_ = layout;
  plain_.resize(kSomeTokens * RowBytes(layout));
  for (size_t t = 0; t < kSomeTokens; ++t) FillRow(layout, plain_.data() + t * RowBytes(layout));
  rows_ = plain_;
}

void PhantomDevice::StoreKv(Rows k, Rows, std::span<const KvRows> sequences) {
  stored_at_ = waiter_.Now();
  MakeRows(sequences.front().layer.layout);
  const float* rows = k.host();
  for (const KvRows& sequence : sequences) {
    Store(rows, k.width, sequence);
    rows += sequence.count * k.width;
  }
}

void PhantomDevice::Store(const float* rows, size_t width, const KvRows& sequence) {
  const KvLayer& layer = sequence.layer;
  const KvLayout& layout = layer.layout;
  const size_t row_bytes = RowBytes(layout);
  Mark before = kNothing;
  if (sequence.first > 0) {
    LoadKeyRows(layer, 0, sequence.first - 1, std::span(rows_).first(row_bytes));
    before = MarkIn(layout.type, rows_.data());
  }
  for (size_t at = 0; at < sequence.count; at += kSomeTokens) {
    const size_t count = std::min(kSomeTokens, sequence.count - at);
    const int first = sequence.first + static_cast<int>(at);
    const auto plain = std::span(plain_).first(count * row_bytes);
    for (int head = 0; head < layout.shape.kv_heads; ++head) {
      if (layout.shape.latent == 0) StoreValueRows(layer, head, first, plain);
      if (head > 0) StoreKeyRows(layer, head, first, plain);
    }
    for (size_t t = 0; t < count; ++t) {
      before = Mix(before, ReadMark({rows + (at + t) * width, width}));
      SetMark(layout.type, before, rows_.data() + t * row_bytes);
    }
    StoreKeyRows(layer, 0, first, std::span(rows_).first(count * row_bytes));
  }
}

void PhantomDevice::Attend(Rows, std::span<const KvRows> sequences, AttentionPrecision,
                           const AttentionForm&, Rows into) {
  MakeRows(sequences.front().layer.layout);
  float* row = into.host();
  for (const KvRows& sequence : sequences) {
    const KvLayout& layout = sequence.layer.layout;
    const size_t row_bytes = RowBytes(layout);
    for (size_t at = 0; at < sequence.count; at += kSomeTokens) {
      const size_t count = std::min(kSomeTokens, sequence.count - at);
      LoadKeyRows(sequence.layer, 0, sequence.first + static_cast<int>(at),
                  std::span(rows_).first(count * row_bytes));
      for (size_t t = 0; t < count; ++t, row += into.width)
        WriteMark(MarkIn(layout.type, rows_.data() + t * row_bytes), {row, into.width});
    }
  }
}

void PhantomDevice::ExportKv(const KvLayer& layer, int first, int count, KvType type,
                             std::span<uint8_t> into) const {
  ExportSlab(kernels_, layer, first, count, type, into);
}

void PhantomDevice::ImportKv(const KvLayer& layer, int first, int count, KvType type,
                             std::span<const uint8_t> wire) const {
  ImportSlab(kernels_, layer, first, count, type, wire);
}

void PhantomDevice::ClearKv(const KvLayout& layout, std::span<uint8_t> frame) const {
  ClearKeyElements(layout, 0, kMarkElements, frame);
}

namespace {

constexpr const char* kNoArithmetic = "a phantom computes nothing";

}  // namespace

Result<std::unique_ptr<Matrix>> PhantomDevice::Pack(const MatrixSource&) {
  CHECK(false, "{}", kNoArithmetic);
  return std::unique_ptr<Matrix>();
}
void PhantomDevice::Embed(const Matrix&, std::span<const TokenId>, float, Rows) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::MatMul(const Input&, std::initializer_list<Product>) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::FeedForward(const Input&, const Product&, const Product&, Gate,
                                const Product&) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::MatMulGroups(const Input&, std::span<const int32_t>,
                                 std::span<const GroupProduct>) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::MatMulHeads(Rows, std::span<const std::shared_ptr<const Matrix>>, Rows) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::AddWeighted(Rows, std::span<const int32_t>, std::span<const float>, Rows) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::AddNormed(Rows, std::span<const float>, float, Rows) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::SoftCap(Rows, float) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::NormHeads(Rows, std::span<const float>, float) {
  CHECK(false, "{}", kNoArithmetic);
}
void PhantomDevice::Rope(Rows, const RopeTable&, float) {
  CHECK(false, "{}", kNoArithmetic);
}
Peaks PhantomDevice::MeasurePeaks(const os::Clock&, Buffer&) {
  CHECK(false, "{}", kNoArithmetic);
  return {};
}
void PhantomDevice::ReadAll(Buffer&) {
  CHECK(false, "{}", kNoArithmetic);
}

}  // namespace baton::device
