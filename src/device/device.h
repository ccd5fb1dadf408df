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
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "os/clock.h"
#include "tensor/dtype.h"
#include "tensor/kv_type.h"

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

// Copies rows [first, first + count) as a file stores them into memory of exactly their size.
// Called by several threads at once.
using RowReader = std::function<Status(size_t first, size_t count, std::span<uint8_t> into)>;
// Of rows in memory, which must live as long as the reader. kInvalidArgument behind its end.
RowReader RowsIn(std::span<const uint8_t> bytes, size_t row_bytes);

// A weight matrix W[rows][columns]. Every row is read once.
struct MatrixSource {
  DType type = DType::kF32;
  size_t rows = 0;
  size_t columns = 0;
  RowReader read;
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

// What a feed-forward makes of its gate and up rows (kernels/table.h has the formulas).
enum class Gate : uint8_t {
  kSilu,           // silu(gate) * up
  kGelu,           // gelu(gate) * up, approximated with tanh
  kClampedSwiglu,  // gpt-oss
};

// What products multiply: rows as they are, or what becomes of them on their way into the operands'
// format, which saves a pass over memory.
struct Input {
  Rows x;
  std::span<const float> norm;  // unless empty: x / sqrt(mean(x^2) + epsilon) * norm, per row
  float epsilon = 0;
  Rows up;  // where it has a buffer: x is the gate of these
  Gate gate = Gate::kSilu;

  Input(Rows rows) : x(rows) {}  // NOLINT(google-explicit-constructor): plain rows are the rule
};
inline Input Normed(Rows x, std::span<const float> weight, float epsilon) {
  Input input(x);
  input.norm = weight;
  input.epsilon = epsilon;
  return input;
}
inline Input Gated(Rows gate, Rows up, Gate kind = Gate::kSilu) {
  Input input(gate);
  input.up = up;
  input.gate = kind;
  return input;
}

// One product of MatMul(): into = x W^T + bias, or into += that.
struct Product {
  const Matrix* weights = nullptr;
  Rows into;
  std::span<const float> bias;  // one per row of W, or empty
  bool accumulate = false;
};

// One product of MatMulGroups(): rows [first, first + count) of `into` = those of the gathered
// input times W^T, plus bias.
struct GroupProduct {
  const Matrix* weights = nullptr;
  size_t first = 0;
  size_t count = 0;
  Rows into;
  std::span<const float> bias;  // one per row of W, or empty
};

using baton::kPageTokens;

// What attention is built for: elements of a head, and query heads that share one KV head.
inline constexpr int kHeadDimMax = 1024;
inline constexpr int kQueryGroupMax = 256;

// The shape of one layer's K and V. With latents (MLA) there is one KV head, whose values are the
// first `latent` elements of its keys; they are neither stored nor sent a second time.
struct KvShape {
  int kv_heads = 0;
  int head_dim = 0;  // of keys and, without latents, of values
  int latent = 0;    // 0: values of their own

  int value_dim() const { return latent > 0 ? latent : head_dim; }
  // K and V, or K alone.
  int halves() const { return latent > 0 ? 1 : 2; }
  bool operator==(const KvShape&) const = default;
};
// kInvalidArgument where keys or values are not whole blocks of `type`.
Status CheckShape(KvType type, const KvShape& shape);

// How a page holds the K and, without latents, V of one layer, one after the other:
//   f16   K  [kv head][16-token block][width][16 tokens]   so that q.k has lanes = tokens
//         V  [kv head][token][width]                       so that p.v has lanes = head dim
//   f32   as f16
//   q8_0  K  [kv head][16-token block][width / 32] kernels::KeyBlockQ8_0
//         V  [kv head][token][width / 32] BlockQ8_0
// where width is head_dim rounded up to 16; what lies beyond head_dim stays zero. Q8_0 takes whole
// blocks alone: CheckShape().
struct KvLayout {
  KvShape shape;
  KvType type = KvType::kF16;

  size_t width() const { return static_cast<size_t>(shape.head_dim + 15) / 16 * 16; }
  size_t head_bytes() const { return KvBytesOf(type, width() * kPageTokens); }
  size_t half_bytes() const { return head_bytes() * static_cast<size_t>(shape.kv_heads); }
  size_t layer_bytes() const { return half_bytes() * static_cast<size_t>(shape.halves()); }
};

// One layer of one sequence's KV cache: token t lies in page pages[t / kPageTokens], whose bytes of
// this layer begin at pages[...] * page_bytes + layer_offset of `storage`.
struct KvLayer {
  Buffer* storage = nullptr;
  std::span<const int32_t> pages;
  size_t page_bytes = 0;
  size_t layer_offset = 0;
  KvLayout layout;
};

// Rows that are the tokens [first, first + count) of one sequence. Where an op takes several of
// these, their rows follow one another.
struct KvRows {
  KvLayer layer;
  int first = 0;
  size_t count = 0;
};

// What the products of attention are made of; the sums are F32. A property of the model and its
// KvType, so that all nodes agree (kernels/table.h has the exact orders).
enum class AttentionPrecision : uint8_t { kFloat, kBrain };

// How a layer attends, where not as most do.
struct AttentionForm {
  int window = 0;                // a token sees so many, itself the last of them; 0: all before it
  float softcap = 0;             // scores s become softcap * tanh(s / softcap); 0: they stay
  std::span<const float> sinks;  // per query head a score that has no value; empty: none
};

// The angles of some rows: the pairs (first + 2i, first + 2i + 1) of every head turn, the rest of a
// head stays.
struct RopeTable {
  std::span<const float> cos_sin;  // [row][pair][cos, sin]
  int pairs = 0;                   // first + 2 * pairs is at most head_dim
  int head_dim = 0;
  int first = 0;
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
  // kInvalidArgument if the device cannot multiply by such a matrix; or what reading fails with.
  virtual Result<std::unique_ptr<Matrix>> Pack(const MatrixSource& source) = 0;

  // Row i of `into` = row tokens[i] of `table` * scale. Tokens are within the table.
  virtual void Embed(const Matrix& table, std::span<const TokenId> tokens, float scale,
                     Rows into) = 0;
  // All products share the input, which is brought into the weights' operand format once. The
  // input is read whole before anything is written.
  virtual void MatMul(const Input& input, std::initializer_list<Product> products) = 0;
  // down of the gated rows of gate and up, as MatMul(input, {gate, up}) and then
  // MatMul(Gated(gate.into, up.into, kind), {down}); but what becomes of the rows of gate and up is
  // the device's affair. These two do not accumulate.
  virtual void FeedForward(const Input& input, const Product& gate, const Product& up, Gate kind,
                           const Product& down) = 0;
  // Products of some rows each: gathered row i is row gather[i] of the input, or row i where
  // `gather` is empty. Rows of two products are the same or have none in common.
  virtual void MatMulGroups(const Input& input, std::span<const int32_t> gather,
                            std::span<const GroupProduct> products) = 0;
  // A product for each head, which is a run of x.width / weights.size() elements of a row: its
  // first elements, as many as W has columns, become W times those, and what lies behind them comes
  // behind the product. Rows of all W are as many, columns too. `x` and `into` are apart.
  virtual void MatMulHeads(Rows x, std::span<const std::shared_ptr<const Matrix>> weights,
                           Rows into) = 0;
  // Row r of `x` += the sum over j < k of weights[r * k + j] * row places[r * k + j] of `from`, in
  // that order, where k is places.size() / x.count.
  virtual void AddWeighted(Rows from, std::span<const int32_t> places,
                           std::span<const float> weights, Rows x) = 0;
  // x += from / sqrt(mean(from^2) + epsilon) * weight, per row.
  virtual void AddNormed(Rows from, std::span<const float> weight, float epsilon, Rows x) = 0;
  // x = cap * tanh(x / cap).
  virtual void SoftCap(Rows x, float cap) = 0;
  // Every head, which is a run of weight.size() elements of a row, becomes
  // head / sqrt(mean(head^2) + epsilon) * weight.
  virtual void NormHeads(Rows x, std::span<const float> weight, float epsilon) = 0;
  // Turns every head of every row and multiplies all of it by `scale`.
  virtual void Rope(Rows x, const RopeTable& table, float scale) = 0;
  // Writes K and V rows into the pages of their sequences, converted to what those hold. A key of a
  // layout with latents is the row of V, then the row of K.
  virtual void StoreKv(Rows k, Rows v, std::span<const KvRows> sequences) = 0;
  // Causal attention of queries, already scaled, over tokens [0, own position] of their sequence,
  // or the window's. Query heads share KV heads evenly; all sequences have one layout. kFloat takes
  // F32 and F16, kBrain F16 and Q8_0. Heads of `into` have value_dim() elements.
  virtual void Attend(Rows q, std::span<const KvRows> sequences, AttentionPrecision precision,
                      const AttentionForm& form, Rows into) = 0;

  // A page's bytes of one layer, which another sequence used: from here on nothing of that can be
  // read. Any thread, for (page, layer)s that nobody touches meanwhile.
  virtual void ClearKv(const KvLayout& layout, std::span<uint8_t> frame) const = 0;

  // Takes about half a second. `memory` is read: larger than the caches, written before.
  virtual Peaks MeasurePeaks(const os::Clock& clock, Buffer& memory) = 0;
  // Reads every byte, which leaves nothing else in the caches.
  virtual void ReadAll(Buffer& memory) = 0;

  // Tokens [first, first + count) of `layer` as they travel between nodes
  // (docs/formats/kv-stream.md): K then V, each [kv head][token][head dim], little endian; with
  // latents K alone. Where `type` is that of the pages, both ways keep every bit; others are
  // TravelsAs(). Any thread, also while ops run, for (page, layer)s that nobody writes meanwhile.
  // `into` has exactly the bytes of the slab.
  virtual void ExportKv(const KvLayer& layer, int first, int count, KvType type,
                        std::span<uint8_t> into) const = 0;
  // The way back, under the same rules for (page, layer)s that nobody touches meanwhile.
  virtual void ImportKv(const KvLayer& layer, int first, int count, KvType type,
                        std::span<const uint8_t> wire) const = 0;
};

}  // namespace baton::device
