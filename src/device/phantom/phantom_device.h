// Phantom: a device that keeps, sends and takes KV caches as others do, and computes nothing. Rows
// are marks (device/phantom/mark.h), and so are keys: that of a token is a hash of its row and of
// the key before it, read where attention would read it. So whoever runs on KV that is not there,
// or not whole, draws other tokens.
//
// Memory is taken when it is first written: a phantom of 128 GB fits anywhere.
#pragma once

#include <memory>
#include <vector>

#include "device/device.h"
#include "kernels/table.h"
#include "os/waiter.h"

namespace baton::device {

class PhantomDevice final : public Device {
 public:
  // Both must outlive it; `kernels` converts KV between types.
  PhantomDevice(const kernels::KernelTable& kernels, os::Waiter& waiter)
      : kernels_(kernels), waiter_(waiter) {}

  // kInvalidArgument where heads are too small for a mark.
  static Status CheckShape(const KvShape& shape);

  os::Waiter& waiter() const { return waiter_; }
  // When StoreKv() was last called: all that an engine waits for before it is over.
  os::TimePoint stored_at() const { return stored_at_; }

  std::string Describe() const override { return "phantom"; }
  Result<std::unique_ptr<Buffer>> Allocate(size_t bytes) override;
  // Whole rows of the sequences' K and V; the marks of `k` go into the first elements of the keys
  // of the first head, all others are the same everywhere. `v` is not looked at.
  void StoreKv(Rows k, Rows v, std::span<const KvRows> sequences) override;
  // The marks of those keys. `q` is not looked at.
  void Attend(Rows q, std::span<const KvRows> sequences, AttentionPrecision precision,
              const AttentionForm& form, Rows into) override;
  void ExportKv(const KvLayer& layer, int first, int count, KvType type,
                std::span<uint8_t> into) const override;
  void ImportKv(const KvLayer& layer, int first, int count, KvType type,
                std::span<const uint8_t> wire) const override;
  // The marks: all else is the same whoever wrote it.
  void ClearKv(const KvLayout& layout, std::span<uint8_t> frame) const override;

  // What a phantom has no use for: stops the program.
  Result<std::unique_ptr<Matrix>> Pack(const MatrixSource& source) override;
  void Embed(const Matrix& table, std::span<const TokenId> tokens, float scale, Rows into) override;
  void MatMul(const Input& input, std::initializer_list<Product> products) override;
  void FeedForward(const Input& input, const Product& gate, const Product& up, Gate kind,
                   const Product& down) override;
  void MatMulGroups(const Input& input, std::span<const int32_t> gather,
                    std::span<const GroupProduct> products) override;
  void MatMulHeads(Rows x, std::span<const std::shared_ptr<const Matrix>> weights,
                   Rows into) override;
  void AddWeighted(Rows from, std::span<const int32_t> places, std::span<const float> weights,
                   Rows x) override;
  void AddNormed(Rows from, std::span<const float> weight, float epsilon, Rows x) override;
  void SoftCap(Rows x, float cap) override;
  void NormHeads(Rows x, std::span<const float> weight, float epsilon) override;
  void Rope(Rows x, const RopeTable& table, float scale) override;
  Peaks MeasurePeaks(const os::Clock& clock, Buffer& memory) override;
  void ReadAll(Buffer& memory) override;

 private:
  void MakeRows(const KvLayout& layout);
  void Store(const float* rows, size_t width, const KvRows& sequence);

  const kernels::KernelTable& kernels_;
  os::Waiter& waiter_;
  os::TimePoint stored_at_{};
  KvLayout layout_;             // of the rows below
  std::vector<uint8_t> plain_;  // kSomeTokens of them, without marks
  std::vector<uint8_t> rows_;
};

}  // namespace baton::device
