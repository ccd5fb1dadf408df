// Device: what computes. A family's forward pass is written against this interface and knows
// nothing of instruction sets, threads or queues.
//
// Ops run in the order of the calls and write the rows they are given; what they read is complete
// when the next op starts. One thread at a time calls Pack and ops; Allocate may be called
// from any thread. All activations are F32, row-major, one row per token.
//
// Same tokens: the value of every output element depends on its own inputs alone, never on how many
// rows share the call, so a prompt computed in chunks gives the same bits as one computed at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "os/clock.h"
#include "tensor/dtype.h"

namespace baton::device {

// Memory of one device, zeroed, 64-byte aligned. Owned by whoever allocated it.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual size_t size_bytes() const = 0;
  // The bytes as the host sees them. A device without shared memory maps them.
  virtual uint8_t* host() = 0;
};

// F32 rows inside a buffer: `count` rows of `width` elements from element `offset` on.
struct Rows {
  Buffer* buffer = nullptr;
  size_t offset = 0;
  size_t count = 0;
  size_t width = 0;

  float* host() const { return reinterpret_cast<float*>(buffer->host()) + offset; }
  std::span<float> values() const { return {host(), count * width}; }
  // Rows [first, first + n) of these.
  Rows Slice(size_t first, size_t n) const { return {buffer, offset + first * width, n, width}; }
};

// A weight matrix W[rows][columns] as a file stores it. `bytes` must live until Pack() returns.
struct MatrixSource {
  DType type = DType::kF32;
  size_t rows = 0;
  size_t columns = 0;
  std::span<const uint8_t> bytes;
};

// A weight matrix in the layout its device wants. Immutable.
class Matrix {
 public:
  virtual ~Matrix() = default;
  virtual DType type() const = 0;
  virtual size_t rows() const = 0;
  virtual size_t columns() const = 0;
  virtual size_t size_bytes() const = 0;
};

// One product of MatMul(): into = x W^T + bias, or into += that.
struct Product {
  const Matrix* weights = nullptr;
  Rows into;
  std::span<const float> bias;  // one per row of W, or empty
  bool accumulate = false;
};

// Tokens per page of KV cache. On the wire and in every node: never changes.
inline constexpr int kPageTokens = 64;

// What attention is built for: elements of a head, and query heads that share one KV head.
inline constexpr int kHeadDimMax = 1024;
inline constexpr int kQueryGroupMax = 48;

// The shape of one layer's K and V. In a page they lie one after the other, F16:
//   K  [kv head][16-token block][width][16 tokens]   so that q.k has lanes = tokens
//   V  [kv head][token][width]                        so that p.v has lanes = head dim
// where width is head_dim rounded up to 16; what lies beyond head_dim stays zero.
struct KvShape {
  int kv_heads = 0;
  int head_dim = 0;

  int width() const { return (head_dim + 15) / 16 * 16; }
  size_t half_bytes() const { return size_t{2} * kv_heads * width() * kPageTokens; }
  size_t layer_bytes() const { return 2 * half_bytes(); }
  bool operator==(const KvShape&) const = default;
};

// One layer of one sequence's KV cache: token t lies in page pages[t / kPageTokens], whose bytes of
// this layer begin at pages[...] * page_bytes + layer_offset of `storage`.
struct KvLayer {
  Buffer* storage = nullptr;
  std::span<const int32_t> pages;
  size_t page_bytes = 0;
  size_t layer_offset = 0;
  KvShape shape;
};

// Rows that are the tokens [first, first + count) of one sequence. Where an op takes several of
// these, their rows follow one another.
struct KvRows {
  KvLayer layer;
  int first = 0;
  size_t count = 0;
};

// What the products of attention are made of; the sums are F32. A property of the model, so that
// all nodes agree (kernels/table.h has the exact orders).
enum class AttentionPrecision : uint8_t { kFloat, kBrain };

// How K and V travel between nodes (docs/formats/kv-stream.md): K then V, each
// [kv head][token][head dim], little endian.
enum class KvWireType : uint8_t {
  kF16 = 1,   // bit for bit what the pages hold
  kQ8_0 = 2,  // blocks of 32 along head dim as tensor/blocks.h BlockQ8_0
};

// The angles of some rows: the pairs (2i, 2i + 1) of every head turn, the rest of a head stays.
struct RopeTable {
  std::span<const float> cos_sin;  // [row][pair][cos, sin]
  int pairs = 0;                   // at most head_dim / 2
  int head_dim = 0;
};

// What a device does at best, measured by loops that do nothing else.
struct Peaks {
  double int8_ops_per_s = 0;  // multiplications and additions
  double float_ops_per_s = 0;
  double brain_ops_per_s = 0;  // products of BF16, sums in F32
  double read_bytes_per_s = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  // "cpu/avx512, 2 threads".
  virtual std::string Describe() const = 0;
  virtual Result<std::unique_ptr<Buffer>> Allocate(size_t bytes) = 0;
  // kInvalidArgument if the device cannot multiply by such a matrix or `bytes` is too short.
  virtual Result<std::unique_ptr<Matrix>> Pack(const MatrixSource& source) = 0;

  // Row i of `into` = row tokens[i] of `table`. Tokens are within the table.
  virtual void Embed(const Matrix& table, std::span<const TokenId> tokens, Rows into) = 0;
  // into = x / sqrt(mean(x^2) + epsilon) * weight, per row.
  virtual void RmsNorm(Rows x, std::span<const float> weight, float epsilon, Rows into) = 0;
  // All products share x, which is brought into the weights' operand format once.
  virtual void MatMul(Rows x, std::initializer_list<Product> products) = 0;
  // Turns every head of every row and multiplies all of it by `scale`.
  virtual void Rope(Rows x, const RopeTable& table, float scale) = 0;
  // Writes K and V rows into the pages of their sequences, converted to F16.
  virtual void StoreKv(Rows k, Rows v, std::span<const KvRows> sequences) = 0;
  // Causal attention of queries, already scaled, over tokens [0, own position] of their sequence.
  // Query heads share KV heads evenly; all sequences have one shape.
  virtual void Attend(Rows q, std::span<const KvRows> sequences, AttentionPrecision precision,
                      Rows into) = 0;
  // gate = silu(gate) * up.
  virtual void SiluMultiply(Rows gate, Rows up) = 0;

  // Takes about half a second. `memory` is read: larger than the caches, written before.
  virtual Peaks MeasurePeaks(const os::Clock& clock, Buffer& memory) = 0;
  // Reads every byte, which leaves nothing else in the caches.
  virtual void ReadAll(Buffer& memory) = 0;

  // Tokens [first, first + count) of `layer` in wire format. Any thread, also while ops run, for
  // (page, layer)s that nobody writes meanwhile. `into` has exactly the bytes of the slab.
  virtual void ExportKv(const KvLayer& layer, int first, int count, KvWireType type,
                        std::span<uint8_t> into) const = 0;
  // The way back, under the same rules for (page, layer)s that nobody touches meanwhile.
  virtual void ImportKv(const KvLayer& layer, int first, int count, KvWireType type,
                        std::span<const uint8_t> wire) const = 0;
};

}  // namespace baton::device
