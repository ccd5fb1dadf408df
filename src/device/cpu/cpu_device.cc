#include "device/cpu/cpu_device.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/mutex.h"
#include "device/cpu/thread_pool.h"
#include "device/kv_layout.h"
#include "os/memory.h"
#include "os/topology.h"

namespace baton::device {
namespace {

using kernels::KernelTable;
using kernels::kPanelRows;
using kernels::kTokensPerPass;
using kernels::MatrixKernels;
using kernels::OperandKind;

// Weights of one task of a matrix product: small enough for L2 beside a tile of activations, large
// enough that handing out tasks costs nothing.
constexpr size_t kTaskBytes = 256 << 10;
// What a thread reads of a file before it packs it: stays in L2.
constexpr size_t kReadBytes = 256 << 10;
// Fewer rows than this are not worth waking anyone for.
constexpr size_t kParallelRows = 4;
// Integers of activations share scales within runs of so many (OperandKind).
constexpr size_t kOperandColumns = 256;
// Below so many attention tiles per thread, their keys are split as well; below so many parts of
// gated rows, these wait in memory.
constexpr size_t kTasksPerThread = 4;

size_t DivideUp(size_t a, size_t b) {
  return (a + b - 1) / b;
}

class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(os::LargeMemory memory) : memory_(std::move(memory)) {}
  size_t size_bytes() const override { return memory_.size(); }
  uint8_t* host() override { return memory_.data(); }

 private:
  os::LargeMemory memory_;
};

// A piece of an arena chunk, which lives as long as any piece of it.
struct ArenaPiece {
  std::shared_ptr<os::LargeMemory> chunk;
  uint8_t* data = nullptr;
  size_t size = 0;
};

// Weights side by side in large chunks, so that huge pages cover them whole. One thread at a time.
class WeightArena {
 public:
  Result<ArenaPiece> Allocate(size_t bytes) {
    bytes = DivideUp(bytes, kAlignment) * kAlignment;
    if (chunk_ == nullptr || bytes > chunk_->size() - used_) {
      BATON_ASSIGN_OR_RETURN(os::LargeMemory memory,
                             os::LargeMemory::Allocate(std::max(bytes, kChunkBytes)));
      chunk_ = std::make_shared<os::LargeMemory>(std::move(memory));
      used_ = 0;
    }
    const ArenaPiece piece{chunk_, chunk_->data() + used_, bytes};
    used_ += bytes;
    return piece;
  }

 private:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kChunkBytes = size_t{128} << 20;  // what is not written takes no memory
  std::shared_ptr<os::LargeMemory> chunk_;
  size_t used_ = 0;
};

class CpuMatrix final : public Matrix {
 public:
  CpuMatrix(const MatrixSource& source, const MatrixKernels& kernels, ArenaPiece panels)
      : type_(source.type),
        rows_(source.rows),
        columns_(source.columns),
        kernels_(&kernels),
        panels_(std::move(panels)) {}

  DType type() const override { return type_; }
  size_t rows() const override { return rows_; }
  size_t columns() const override { return columns_; }
  size_t size_bytes() const override { return panels_.size; }

  const MatrixKernels& kernels() const { return *kernels_; }
  size_t panel_bytes() const { return kernels_->panel_bytes(columns_); }
  size_t panel_count() const { return DivideUp(rows_, kPanelRows); }
  uint8_t* panel(size_t index) const { return panels_.data + index * panel_bytes(); }

 private:
  const DType type_;
  const size_t rows_;
  const size_t columns_;
  const MatrixKernels* const kernels_;
  const ArenaPiece panels_;
};

const CpuMatrix& Ours(const Matrix* matrix) {
  return static_cast<const CpuMatrix&>(*matrix);
}

// Memory that grows when a larger step comes and is kept for the next one.
class Scratch {
 public:
  uint8_t* Get(size_t bytes) {
    if (bytes > memory_.size()) {
      auto grown = os::LargeMemory::Allocate(bytes);
      CHECK(grown.ok(), "{}", grown.error().message());
      memory_ = std::move(*grown);
    }
    return memory_.data();
  }
  uint8_t* data() { return memory_.data(); }

 private:
  os::LargeMemory memory_;
};

// Of several threads' failures one.
class FirstFailure {
 public:
  void Set(const Status& status) BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (status_.ok()) status_ = status;
  }
  Status Get() const BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return status_;
  }

 private:
  mutable Mutex mutex_;
  Status status_ BATON_GUARDED_BY(mutex_) = OkStatus();
};

// One product as tasks of some panels each.
struct ProductTasks {
  const CpuMatrix* matrix = nullptr;
  const uint8_t* operands = nullptr;
  Rows into;
  const float* bias = nullptr;
  bool accumulate = false;
  size_t panels_per_task = 0;
  size_t tasks = 0;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(const KernelTable& kernels, const CpuOptions& options)
      : kernels_(kernels),
        pool_(options.threads > 0 ? options.threads
                                  : static_cast<int>(os::ComputeProcessors().size()),
              options.pin_threads) {}

  std::string Describe() const override {
    return fmt::format("cpu/{}, {} threads", kernels_.name, pool_.threads());
  }
  Result<std::unique_ptr<Buffer>> Allocate(size_t bytes) override;
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
  void StoreKv(Rows k, Rows v, std::span<const KvRows> sequences) override;
  void Attend(Rows q, std::span<const KvRows> sequences, AttentionPrecision precision,
              const AttentionForm& form, Rows into) override;
  Peaks MeasurePeaks(const os::Clock& clock, Buffer& memory) override;
  void ReadAll(Buffer& memory) override;
  void ExportKv(const KvLayer& layer, int first, int count, KvType type,
                std::span<uint8_t> into) const override {
    ExportSlab(kernels_, layer, first, count, type, into);
  }
  void ImportKv(const KvLayer& layer, int first, int count, KvType type,
                std::span<const uint8_t> wire) const override {
    ImportSlab(kernels_, layer, first, count, type, wire);
  }
  void ClearKv(const KvLayout&, std::span<uint8_t> frame) const override {
    std::memset(frame.data(), 0, frame.size());
  }

 private:
  // Calls body(row, worker), in parallel if there are enough rows.
  template <typename Body>
  void ForEachRow(size_t rows, const Body& body) {
    if (rows < kParallelRows) {
      for (size_t row = 0; row < rows; ++row) body(row, 0);
      return;
    }
    const size_t share = std::max<size_t>(1, rows / (4 * pool_.threads()));
    pool_.ForEach(DivideUp(rows, share), [&](size_t task, int worker) {
      const size_t end = std::min(rows, (task + 1) * share);
      for (size_t row = task * share; row < end; ++row) body(row, worker);
    });
  }
  const float* RowOf(const Input& input, size_t row, float* scratch) const;
  // Rows [first, first + count) that one matrix multiplies.
  struct RowGroup {
    size_t first = 0;
    size_t count = 0;
  };
  // Where a row of an input goes among the operands, and its group there.
  struct Place {
    size_t at = 0;
    RowGroup group;
  };
  const uint8_t* Prepare(const Input& input, OperandKind kind);
  // The first `columns` elements of rows; fewer than all of plain rows alone.
  template <typename PlaceOf>
  const uint8_t* PrepareRows(const Input& input, size_t columns, OperandKind kind,
                             const PlaceOf& place_of);
  const uint8_t* PrepareColumns(const Input& input, OperandKind kind);
  const uint8_t* GateProducts(const Input& input, const Product& gate, const Product& up, Gate by,
                              OperandKind kind);
  const uint8_t* PrepareAlone(const Input& input, OperandKind kind);
  const uint8_t* Gather(const uint8_t* rows, OperandKind kind, size_t columns,
                        std::span<const int32_t> gather);
  ProductTasks TasksOf(const Product& product, const Rows& x, const uint8_t* operands) const;
  void RunProducts(std::span<const ProductTasks> products);
  void RunSideBySide(std::span<const ProductTasks> products);

  // What all tiles of one Attend() share.
  struct AttentionCall {
    Rows q;
    Rows into;
    std::span<const KvRows> sequences;
    const AttentionForm& form;
    size_t group;          // query heads per KV head
    size_t parts;          // into which a group is cut, so that each fits a tile
    size_t scratch_bytes;  // of one worker

    size_t part_heads() const { return DivideUp(group, parts); }
    size_t kv_heads() const { return sequences.front().layer.layout.shape.kv_heads; }
  };
  void FindBegins(std::span<const KvRows> sequences, size_t rows);
  kernels::AttentionTile TileOf(const AttentionCall& call, size_t sequence, size_t part,
                                size_t token, size_t tokens, int worker);
  void AttendInSegments(const AttentionCall& call);

  const KernelTable& kernels_;
  ThreadPool pool_;
  WeightArena arena_;
  Scratch operands_[kernels::kOperandKinds];
  Scratch gated_;
  Scratch gathered_[kernels::kOperandKinds];
  Scratch attention_;
  Scratch partials_;
  Scratch staging_;
  Scratch rows_;
  std::vector<size_t> row_begins_;
  std::vector<RowGroup> row_groups_;
  std::vector<ProductTasks> group_tasks_;
};

Result<std::unique_ptr<Buffer>> CpuDevice::Allocate(size_t bytes) {
  BATON_ASSIGN_OR_RETURN(os::LargeMemory memory, os::LargeMemory::Allocate(bytes));
  return std::unique_ptr<Buffer>(std::make_unique<CpuBuffer>(std::move(memory)));
}

Status CheckSource(const MatrixSource& source, const MatrixKernels* kernels) {
  if (kernels == nullptr) {
    return MakeError(Code::kInvalidArgument, "no kernels for weights of type {}",
                     InfoOf(source.type).name);
  }
  const size_t unit =
      kernels::IsIntegers(kernels->operand) ? InfoOf(source.type).block_elements : 1;
  if (source.rows == 0 || source.columns == 0 || source.columns % unit != 0) {
    return MakeError(Code::kInvalidArgument, "{} weights of {} rows and {} columns",
                     InfoOf(source.type).name, source.rows, source.columns);
  }
  return OkStatus();
}

Result<std::unique_ptr<Matrix>> CpuDevice::Pack(const MatrixSource& source) {
  const MatrixKernels* kernels = kernels::MatrixKernelsOf(kernels_, source.type);
  BATON_RETURN_IF_ERROR(CheckSource(source, kernels));
  const size_t panels = DivideUp(source.rows, kPanelRows);
  const size_t panel_bytes = kernels->panel_bytes(source.columns);
  BATON_ASSIGN_OR_RETURN(ArenaPiece piece, arena_.Allocate(panels * panel_bytes));
  auto matrix = std::make_unique<CpuMatrix>(source, *kernels, std::move(piece));
  const size_t row_bytes = BytesOf(source.type, source.columns);
  const size_t panels_at_once = std::max<size_t>(1, kReadBytes / (kPanelRows * row_bytes));
  const size_t bytes_at_once = panels_at_once * kPanelRows * row_bytes;
  staging_.Get(pool_.threads() * bytes_at_once);
  FirstFailure failure;
  pool_.ForEach(DivideUp(panels, panels_at_once), [&](size_t task, int worker) {
    const size_t begin = task * panels_at_once;
    const size_t first = begin * kPanelRows;
    const size_t rows = std::min(source.rows - first, panels_at_once * kPanelRows);
    uint8_t* bytes = staging_.data() + worker * bytes_at_once;
    const Status read = source.read(first, rows, {bytes, rows * row_bytes});
    if (!read.ok()) return failure.Set(read);
    for (size_t at = 0; at < rows; at += kPanelRows) {
      kernels->pack(bytes + at * row_bytes, std::min(kPanelRows, rows - at), source.columns,
                    matrix->panel(begin + at / kPanelRows));
    }
  });
  BATON_RETURN_IF_ERROR(failure.Get());
  return std::unique_ptr<Matrix>(std::move(matrix));
}

void CpuDevice::Embed(const Matrix& table, std::span<const TokenId> tokens, float scale,
                      Rows into) {
  const CpuMatrix& matrix = Ours(&table);
  ForEachRow(tokens.size(), [&](size_t row, int) {
    const auto token = static_cast<size_t>(tokens[row]);
    CHECK(token < matrix.rows(), "token {}", token);
    float* values = into.host() + row * into.width;
    matrix.kernels().unpack_row(matrix.panel(token / kPanelRows), token % kPanelRows, into.width,
                                values);
    if (scale == 1.0f) return;
    for (size_t i = 0; i < into.width; ++i) values[i] *= scale;
  });
}

auto GateOf(const KernelTable& kernels, Gate gate) {
  switch (gate) {
    case Gate::kGelu:
      return kernels.gelu_multiply;
    case Gate::kClampedSwiglu:
      return kernels.clamped_swiglu;
    case Gate::kSilu:
      break;
  }
  return kernels.silu_multiply;
}

// One row of an input, made in `scratch` where it is not there already.
const float* CpuDevice::RowOf(const Input& input, size_t row, float* scratch) const {
  const Rows& x = input.x;
  const float* from = x.host() + row * x.width;
  if (input.up.buffer != nullptr) {
    GateOf(kernels_, input.gate)(from, input.up.host() + row * x.width, x.width, scratch);
    return scratch;
  }
  if (input.norm.empty()) return from;
  kernels_.rms_norm(from, input.norm.data(), input.epsilon, x.width, scratch);
  return scratch;
}

// Brings the input into operand tiles of `kind`.
const uint8_t* CpuDevice::Prepare(const Input& input, OperandKind kind) {
  const size_t count = input.x.count;
  if (input.up.buffer != nullptr && count >= kParallelRows && count <= kernels_.tile_tokens)
    return PrepareColumns(input, kind);
  const RowGroup all{0, count};
  return PrepareRows(input, input.x.width, kind, [&](size_t row) { return Place{row, all}; });
}

// One tile of gated rows. Each thread takes columns of all rows, mostly those that it computed
// itself (MatMul), so that few floats travel between cores that share no cache.
const uint8_t* CpuDevice::PrepareColumns(const Input& input, OperandKind kind) {
  const Rows& x = input.x;
  const Rows& up = input.up;
  const size_t tile = x.count;
  uint8_t* operands =
      operands_[static_cast<int>(kind)].Get(tile * kernels::OperandBytes(kind, x.width));
  const auto prepare = kernels::PrepareOf(kernels_, kind);
  const auto gate = GateOf(kernels_, input.gate);
  const size_t share = DivideUp(x.width, 4 * static_cast<size_t>(pool_.threads()));
  const size_t columns = DivideUp(share, kOperandColumns) * kOperandColumns;
  const size_t row_bytes = columns * sizeof(float);
  rows_.Get(pool_.threads() * row_bytes);
  pool_.ForEach(DivideUp(x.width, columns), [&](size_t task, int worker) {
    auto* scratch = reinterpret_cast<float*>(rows_.data() + worker * row_bytes);
    const size_t begin = task * columns;
    const size_t count = std::min(columns, x.width - begin);
    uint8_t* into = operands + tile * kernels::OperandBytes(kind, begin);
    for (size_t row = 0; row < tile; ++row) {
      const size_t at = row * x.width + begin;
      gate(x.host() + at, up.host() + at, count, scratch);
      prepare(scratch, count, tile, row, into);
    }
  });
  return operands;
}

// Each row by itself, as a tile of one.
const uint8_t* CpuDevice::PrepareAlone(const Input& input, OperandKind kind) {
  return PrepareRows(input, input.x.width, kind, [](size_t row) { return Place{row, {row, 1}}; });
}

// Rows of one group make tiles of their own.
template <typename PlaceOf>
const uint8_t* CpuDevice::PrepareRows(const Input& input, size_t columns, OperandKind kind,
                                      const PlaceOf& place_of) {
  const Rows& x = input.x;
  const size_t count = x.count;
  const size_t token_bytes = kernels::OperandBytes(kind, columns);
  uint8_t* operands = operands_[static_cast<int>(kind)].Get(count * token_bytes);
  const auto prepare = kernels::PrepareOf(kernels_, kind);
  const size_t row_bytes = DivideUp(x.width * sizeof(float), 64) * 64;
  rows_.Get(pool_.threads() * row_bytes);
  ForEachRow(count, [&](size_t i, int worker) {
    auto* scratch = reinterpret_cast<float*>(rows_.data() + worker * row_bytes);
    const auto [at, group] = place_of(i);
    const size_t in_group = at - group.first;
    const size_t in_tile = in_group % kernels_.tile_tokens;
    const size_t tile = in_group - in_tile;
    prepare(RowOf(input, i, scratch), columns, std::min(kernels_.tile_tokens, group.count - tile),
            in_tile, operands + (group.first + tile) * token_bytes);
  });
  return operands;
}

// Element i of a row that is alone becomes element i * tile of one that shares its tile.
template <size_t kBytes>
void Spread(const uint8_t* from, size_t bytes, size_t tile, uint8_t* into) {
  for (size_t at = 0; at < bytes; at += kBytes) std::memcpy(into + at * tile, from + at, kBytes);
}

// The rows of each group side by side in tiles, from rows that are alone: those that several groups
// take were brought into their format once.
const uint8_t* CpuDevice::Gather(const uint8_t* rows, OperandKind kind, size_t columns,
                                 std::span<const int32_t> gather) {
  const size_t token_bytes = kernels::OperandBytes(kind, columns);
  uint8_t* into = gathered_[static_cast<int>(kind)].Get(gather.size() * token_bytes);
  const bool blocks = kernels::IsIntegers(kind);
  const size_t element = blocks ? sizeof(kernels::OperandBlock) : sizeof(float);
  ForEachRow(gather.size(), [&](size_t i, int) {
    const RowGroup group = row_groups_[i];
    const size_t in_tile = (i - group.first) % kernels_.tile_tokens;
    const size_t tile = i - in_tile;
    const size_t tokens = std::min(kernels_.tile_tokens, group.first + group.count - tile);
    const uint8_t* from = rows + static_cast<size_t>(gather[i]) * token_bytes;
    uint8_t* to = into + tile * token_bytes + in_tile * element;
    blocks ? Spread<sizeof(kernels::OperandBlock)>(from, token_bytes, tokens, to)
           : Spread<sizeof(float)>(from, token_bytes, tokens, to);
  });
  return into;
}

void CheckShapes(const Product& product, const Rows& x) {
  const CpuMatrix& matrix = Ours(product.weights);
  CHECK(matrix.columns() == x.width && matrix.rows() == product.into.width, "shapes disagree");
}

size_t PanelsAtOnce(const CpuMatrix& matrix, size_t at_most) {
  const size_t fitting = std::max<size_t>(1, kTaskBytes / matrix.panel_bytes());
  return DivideUp(std::min(at_most, fitting), 4) * 4;
}

void SplitIntoTasks(ProductTasks& product, size_t panels_at_most) {
  const CpuMatrix& matrix = *product.matrix;
  product.panels_per_task = PanelsAtOnce(matrix, panels_at_most);
  product.tasks = DivideUp(matrix.panel_count(), product.panels_per_task);
}

void RunProductTask(const ProductTasks& product, size_t task) {
  const CpuMatrix& matrix = *product.matrix;
  const size_t panel = task * product.panels_per_task;
  const size_t row = panel * kPanelRows;
  const size_t rows = std::min(matrix.rows() - row, product.panels_per_task * kPanelRows);
  matrix.kernels().multiply({matrix.panel(panel), matrix.columns(), rows, product.operands,
                             product.into.count, product.into.host() + row, product.into.width,
                             product.bias == nullptr ? nullptr : product.bias + row,
                             product.accumulate});
}

void CpuDevice::RunProducts(std::span<const ProductTasks> products) {
  size_t tasks = 0;
  for (const ProductTasks& product : products) tasks += product.tasks;
  pool_.ForEach(tasks, [&](size_t task, int) {
    const ProductTasks* at = products.data();
    while (task >= at->tasks) task -= at++->tasks;
    RunProductTask(*at, task);
  });
}

// The same for products of as many tasks each, which take turns: who computes some rows of one
// computes about those of the others, too.
void CpuDevice::RunSideBySide(std::span<const ProductTasks> products) {
  const size_t count = products.size();
  pool_.ForEach(count * products.front().tasks,
                [&](size_t task, int) { RunProductTask(products[task % count], task / count); });
}

// Of rows x, which are at `operands`.
ProductTasks CpuDevice::TasksOf(const Product& product, const Rows& x,
                                const uint8_t* operands) const {
  CheckShapes(product, x);
  const CpuMatrix& matrix = Ours(product.weights);
  ProductTasks tasks{&matrix, operands, product.into.Slice(0, x.count),
                     product.bias.empty() ? nullptr : product.bias.data(), product.accumulate};
  SplitIntoTasks(tasks, std::max<size_t>(1, matrix.panel_count() / (16 * pool_.threads())));
  return tasks;
}

void CpuDevice::MatMul(const Input& input, std::initializer_list<Product> products) {
  const Rows& x = input.x;
  if (x.count == 0) return;
  CHECK(input.norm.empty() || input.norm.size() == x.width, "shapes disagree");
  constexpr size_t kProductsMax = 4;
  CHECK(products.size() <= kProductsMax, "{} products", products.size());
  const uint8_t* operands[kernels::kOperandKinds] = {};
  ProductTasks split[kProductsMax];
  size_t count = 0;
  for (const Product& product : products) {
    const OperandKind kind = Ours(product.weights).kernels().operand;
    const uint8_t*& prepared = operands[static_cast<int>(kind)];
    if (prepared == nullptr) prepared = Prepare(input, kind);
    split[count++] = TasksOf(product, x, prepared);
  }
  const bool alike = std::all_of(split, split + count, [&](const ProductTasks& tasks) {
    return tasks.tasks == split[0].tasks;
  });
  alike ? RunSideBySide({split, count}) : RunProducts({split, count});
}

// Rows [row, row + rows) of a product, for some tokens, side by side at `into`.
void MultiplyRows(const Product& product, const uint8_t* operands, size_t tokens, size_t row,
                  size_t rows, float* into) {
  const CpuMatrix& matrix = Ours(product.weights);
  const size_t at_once = PanelsAtOnce(matrix, kOperandColumns / kPanelRows) * kPanelRows;
  for (size_t i = 0; i < rows; i += at_once) {
    matrix.kernels().multiply({matrix.panel((row + i) / kPanelRows), matrix.columns(),
                               std::min(at_once, rows - i), operands, tokens, into + i, rows,
                               product.bias.empty() ? nullptr : product.bias.data() + row + i,
                               false});
  }
}

// The gated rows of two products as operands of `kind`. What is multiplied is gated before it
// leaves the thread's cache: of some tokens, as many columns as operands share a scale.
const uint8_t* CpuDevice::GateProducts(const Input& input, const Product& gate, const Product& up,
                                       Gate by, OperandKind kind) {
  const size_t count = input.x.count, width = gate.into.width;
  const OperandKind kinds[] = {Ours(gate.weights).kernels().operand,
                               Ours(up.weights).kernels().operand};
  const uint8_t* of_gate = Prepare(input, kinds[0]);
  const uint8_t* of_up = kinds[1] == kinds[0] ? of_gate : Prepare(input, kinds[1]);
  const size_t token_bytes = kernels::OperandBytes(kind, width);
  uint8_t* operands = gated_.Get(count * token_bytes);
  const auto multiply_up = GateOf(kernels_, by);
  const auto prepare = kernels::PrepareOf(kernels_, kind);
  const size_t part_floats = kTokensPerPass * kOperandColumns;
  rows_.Get(pool_.threads() * 2 * part_floats * sizeof(float));
  const size_t parts = DivideUp(count, kTokensPerPass);
  pool_.ForEach(parts * DivideUp(width, kOperandColumns), [&](size_t task, int worker) {
    float* gates = reinterpret_cast<float*>(rows_.data()) + worker * 2 * part_floats;
    float* ups = gates + part_floats;
    const size_t first = task % parts * kTokensPerPass;
    const size_t tokens = std::min(kTokensPerPass, count - first);
    const size_t begin = task / parts * kOperandColumns;
    const size_t columns = std::min(kOperandColumns, width - begin);
    const auto at_token = [&](const uint8_t* of, OperandKind its) {
      return of + first * kernels::OperandBytes(its, input.x.width);
    };
    MultiplyRows(gate, at_token(of_gate, kinds[0]), tokens, begin, columns, gates);
    MultiplyRows(up, at_token(of_up, kinds[1]), tokens, begin, columns, ups);
    multiply_up(gates, ups, tokens * columns, gates);
    for (size_t t = 0; t < tokens; ++t) {
      const size_t in_tile = t % kernels_.tile_tokens;
      const size_t tile = first + t - in_tile;
      const size_t tile_tokens = std::min(kernels_.tile_tokens, count - tile);
      prepare(gates + t * columns, columns, tile_tokens, in_tile,
              operands + tile * token_bytes + tile_tokens * kernels::OperandBytes(kind, begin));
    }
  });
  return operands;
}

void CpuDevice::FeedForward(const Input& input, const Product& gate, const Product& up, Gate kind,
                            const Product& down) {
  CHECK(!gate.accumulate && !up.accumulate, "rows that are gated are not added to");
  const size_t count = input.x.count, width = gate.into.width;
  const size_t parts = DivideUp(count, kTokensPerPass) * DivideUp(width, kOperandColumns);
  if (count <= kernels_.tile_tokens ||
      parts < kTasksPerThread * static_cast<size_t>(pool_.threads())) {
    MatMul(input, {gate, up});
    return MatMul(Gated(gate.into.Slice(0, count), up.into.Slice(0, count), kind), {down});
  }
  CheckShapes(gate, input.x);
  CheckShapes(up, input.x);
  CHECK(up.into.width == width, "shapes disagree");
  const OperandKind gated = Ours(down.weights).kernels().operand;
  const ProductTasks tasks =
      TasksOf(down, gate.into.Slice(0, count), GateProducts(input, gate, up, kind, gated));
  RunProducts({&tasks, 1});
}

void CpuDevice::MatMulGroups(const Input& input, std::span<const int32_t> gather,
                             std::span<const GroupProduct> products) {
  const size_t count = gather.empty() ? input.x.count : gather.size();
  if (count == 0) return;
  row_groups_.assign(count, {});
  for (const GroupProduct& product : products) {
    CHECK(product.count > 0 && product.first + product.count <= count, "rows disagree");
    for (size_t i = 0; i < product.count; ++i)
      row_groups_[product.first + i] = {product.first, product.count};
  }
  // Of one token, experts take the same row: it need not even be copied.
  const bool alone = !gather.empty() &&
                     std::all_of(products.begin(), products.end(),
                                 [](const GroupProduct& product) { return product.count == 1; });
  const auto prepare = [&](OperandKind kind) {
    if (alone) return PrepareAlone(input, kind);
    if (!gather.empty()) return Gather(PrepareAlone(input, kind), kind, input.x.width, gather);
    return PrepareRows(input, input.x.width, kind, [&](size_t row) {
      return Place{row, row_groups_[row]};
    });
  };
  const uint8_t* operands[kernels::kOperandKinds] = {};
  group_tasks_.clear();
  for (const GroupProduct& product : products) {
    const CpuMatrix& matrix = Ours(product.weights);
    CHECK(matrix.columns() == input.x.width && matrix.rows() == product.into.width,
          "shapes disagree");
    const OperandKind kind = matrix.kernels().operand;
    const uint8_t*& prepared = operands[static_cast<int>(kind)];
    if (prepared == nullptr) prepared = prepare(kind);
    const size_t row = alone ? static_cast<size_t>(gather[product.first]) : product.first;
    const size_t offset = row * kernels::OperandBytes(kind, input.x.width);
    ProductTasks& tasks = group_tasks_.emplace_back();
    tasks = {&matrix, prepared + offset, product.into.Slice(product.first, product.count),
             product.bias.empty() ? nullptr : product.bias.data()};
    SplitIntoTasks(tasks, matrix.panel_count());
  }
  RunProducts(group_tasks_);
}

void CpuDevice::MatMulHeads(Rows x, std::span<const std::shared_ptr<const Matrix>> weights,
                            Rows into) {
  if (x.count == 0) return;
  const size_t heads = weights.size();
  const size_t from_dim = x.width / heads, into_dim = into.width / heads;
  const CpuMatrix& first = Ours(weights.front().get());
  const size_t columns = first.columns(), rows = first.rows();
  CHECK(x.width == heads * from_dim && into.width == heads * into_dim && columns <= from_dim &&
            into_dim - rows == from_dim - columns && into.count == x.count,
        "shapes disagree");
  const OperandKind kind = first.kernels().operand;
  const size_t count = x.count;
  const Rows as_heads{x.buffer, x.offset, count * heads, from_dim};
  const uint8_t* operands = PrepareRows(as_heads, columns, kind, [&](size_t row) {
    const size_t begin = row % heads * count;
    return Place{begin + row / heads, {begin, count}};
  });
  group_tasks_.clear();
  for (size_t head = 0; head < heads; ++head) {
    const CpuMatrix& matrix = Ours(weights[head].get());
    CHECK(matrix.type() == first.type() && matrix.columns() == columns && matrix.rows() == rows,
          "heads differ");
    ProductTasks& tasks = group_tasks_.emplace_back();
    tasks = {&matrix,
             operands + head * count * kernels::OperandBytes(kind, columns),
             {into.buffer, into.offset + head * into_dim, count, into.width}};
    SplitIntoTasks(tasks, matrix.panel_count());
  }
  RunProducts(group_tasks_);
  if (columns == from_dim) return;
  ForEachRow(count * heads, [&](size_t i, int) {
    std::copy_n(x.host() + i * from_dim + columns, from_dim - columns,
                into.host() + i * into_dim + rows);
  });
}

void CpuDevice::AddWeighted(Rows from, std::span<const int32_t> places,
                            std::span<const float> weights, Rows x) {
  CHECK(from.width == x.width && places.size() == weights.size(), "shapes disagree");
  if (x.count == 0) return;
  const size_t each = places.size() / x.count;
  const size_t row_bytes = DivideUp(x.width * sizeof(float), 64) * 64;
  rows_.Get(pool_.threads() * row_bytes);
  ForEachRow(x.count, [&](size_t row, int worker) {
    auto* sum = reinterpret_cast<float*>(rows_.data() + worker * row_bytes);
    std::fill_n(sum, x.width, 0.0f);
    for (size_t i = row * each; i < (row + 1) * each; ++i)
      kernels_.add_scaled(from.host() + places[i] * from.width, weights[i], x.width, sum);
    kernels_.add_scaled(sum, 1.0f, x.width, x.host() + row * x.width);
  });
}

void CpuDevice::AddNormed(Rows from, std::span<const float> weight, float epsilon, Rows x) {
  CHECK(weight.size() == x.width && from.width == x.width, "shapes disagree");
  const size_t row_bytes = DivideUp(x.width * sizeof(float), 64) * 64;
  rows_.Get(pool_.threads() * row_bytes);
  ForEachRow(x.count, [&](size_t row, int worker) {
    auto* normed = reinterpret_cast<float*>(rows_.data() + worker * row_bytes);
    kernels_.rms_norm(from.host() + row * x.width, weight.data(), epsilon, x.width, normed);
    kernels_.add_scaled(normed, 1.0f, x.width, x.host() + row * x.width);
  });
}

void CpuDevice::SoftCap(Rows x, float cap) {
  ForEachRow(x.count,
             [&](size_t row, int) { kernels_.soft_cap(x.host() + row * x.width, cap, x.width); });
}

void CpuDevice::NormHeads(Rows x, std::span<const float> weight, float epsilon) {
  CHECK(!weight.empty() && x.width % weight.size() == 0, "shapes disagree");
  ForEachRow(x.count, [&](size_t row, int) {
    float* heads = x.host() + row * x.width;
    for (size_t at = 0; at < x.width; at += weight.size())
      kernels_.rms_norm(heads + at, weight.data(), epsilon, weight.size(), heads + at);
  });
}

void CpuDevice::Rope(Rows x, const RopeTable& table, float scale) {
  ForEachRow(x.count, [&](size_t row, int) {
    kernels_.rope(x.host() + row * x.width, table.cos_sin.data() + row * 2 * table.pairs,
                  table.first, table.pairs, table.head_dim, x.width / table.head_dim, scale);
  });
}

void CpuDevice::StoreKv(Rows k, Rows v, std::span<const KvRows> sequences) {
  const KvShape& shape = sequences.front().layer.layout.shape;
  const size_t heads = shape.kv_heads;
  const size_t key_width = shape.latent > 0 ? k.width + v.width : k.width;
  CHECK(key_width == heads * shape.head_dim && v.width == heads * shape.value_dim() &&
            (shape.latent == 0 || heads == 1),
        "shapes disagree");
  FindBegins(sequences, k.count);
  const auto store = [&](size_t task, int) {
    const KvRows& sequence = sequences[task / heads];
    const size_t begin = row_begins_[task / heads];
    const int head = static_cast<int>(task % heads);
    if (shape.latent > 0) {
      return StoreLatents(kernels_, sequence.layer, sequence.first, v.Slice(begin, sequence.count),
                          k.Slice(begin, sequence.count));
    }
    StoreKeys(kernels_, sequence.layer, head, sequence.first, k.Slice(begin, sequence.count));
    StoreValues(kernels_, sequence.layer, head, sequence.first, v.Slice(begin, sequence.count));
  };
  const size_t tasks = heads * sequences.size();
  if (k.count < kParallelRows) {
    for (size_t task = 0; task < tasks; ++task) store(task, 0);
  } else {
    pool_.ForEach(tasks, store);
  }
}

// Where each sequence's rows begin.
void CpuDevice::FindBegins(std::span<const KvRows> sequences, size_t rows) {
  row_begins_.clear();
  size_t begin = 0;
  for (const KvRows& sequence : sequences) {
    row_begins_.push_back(begin);
    begin += sequence.count;
  }
  CHECK(begin == rows, "{} rows of {}", begin, rows);
}

// Tokens [token, token + tokens) of a sequence at one part of the query heads of one KV head;
// `part` counts the parts of all KV heads.
kernels::AttentionTile CpuDevice::TileOf(const AttentionCall& call, size_t sequence, size_t part,
                                         size_t token, size_t tokens, int worker) {
  const KvRows& rows = call.sequences[sequence];
  const KvLayout& layout = rows.layer.layout;
  const size_t head = part / call.parts;
  const size_t in_group = part % call.parts * call.part_heads();
  const size_t query_head = head * call.group + in_group;
  const uint8_t* keys =
      rows.layer.storage->host() + rows.layer.layer_offset + head * layout.head_bytes();
  const size_t row = row_begins_[sequence] + token;
  return {call.q.host() + row * call.q.width + query_head * layout.shape.head_dim,
          call.into.host() + row * call.into.width + query_head * layout.shape.value_dim(),
          call.q.width,
          std::min(call.part_heads(), call.group - in_group),
          static_cast<size_t>(layout.shape.head_dim),
          static_cast<size_t>(rows.first) + token,
          tokens,
          keys,
          layout.shape.latent > 0 ? nullptr : keys + layout.half_bytes(),
          rows.layer.pages.data(),
          rows.layer.page_bytes,
          reinterpret_cast<float*>(attention_.data() + worker * call.scratch_bytes),
          layout.type,
          static_cast<size_t>(call.form.window),
          call.form.softcap,
          call.form.sinks.empty() ? nullptr : call.form.sinks.data() + query_head,
          static_cast<size_t>(layout.shape.latent)};
}

void CpuDevice::Attend(Rows q, std::span<const KvRows> sequences, AttentionPrecision precision,
                       const AttentionForm& form, Rows into) {
  if (q.count == 0) return;
  const KvLayout& layout = sequences.front().layer.layout;
  const KvShape& shape = layout.shape;
  const size_t heads = shape.kv_heads;
  const size_t group = q.width / shape.head_dim / heads;
  CHECK(group > 0 && group <= kQueryGroupMax, "{} query heads per KV head", group);
  CHECK(into.width == heads * group * shape.value_dim(), "shapes disagree");
  const bool brain = precision == AttentionPrecision::kBrain;
  CHECK(layout.type != (brain ? KvType::kF32 : KvType::kQ8_0), "attention to {} in {}",
        NameOf(layout.type), brain ? "BF16" : "F32");
  const size_t rows_max = brain ? kernels::kBrainRowsMax : kernels::kAttentionRowsMax;
  const size_t floats = brain ? kernels::BrainScratchFloats(shape.head_dim)
                              : kernels::AttentionScratchFloats(shape.head_dim);
  CHECK(form.sinks.empty() || form.sinks.size() == heads * group, "{} sinks", form.sinks.size());
  const AttentionCall call{q,
                           into,
                           sequences,
                           form,
                           group,
                           DivideUp(group, rows_max),
                           DivideUp(floats * sizeof(float), 64) * 64};
  attention_.Get(pool_.threads() * call.scratch_bytes);
  FindBegins(sequences, q.count);

  const size_t tokens = rows_max / call.part_heads();
  const size_t parts = heads * call.parts;
  size_t tiles = 0;
  for (const KvRows& sequence : sequences) tiles += DivideUp(sequence.count, tokens);
  if (brain && tiles == sequences.size() &&
      tiles * parts < kTasksPerThread * static_cast<size_t>(pool_.threads())) {
    return AttendInSegments(call);
  }
  const auto attend = brain ? kernels_.attend_brain : kernels_.attend;
  // Heads outermost, so that a thread stays with the same keys; late tokens first: they take
  // longest. Of one tile each, sequences are outermost: a page's heads lie side by side.
  const bool by_sequence = tiles == sequences.size();
  pool_.ForEach(tiles * parts, [&](size_t task, int worker) {
    size_t tile = by_sequence ? task / parts : task % tiles;
    const size_t part = by_sequence ? task % parts : task / tiles;
    size_t sequence = 0;
    for (;; ++sequence) {
      const size_t own = DivideUp(sequences[sequence].count, tokens);
      if (tile < own) {
        tile = own - 1 - tile;
        break;
      }
      tile -= own;
    }
    const size_t token = tile * tokens;
    attend(TileOf(call, sequence, part, token, std::min(tokens, sequences[sequence].count - token),
                  worker));
  });
}

// So few tiles that threads would idle: each goes through its keys in segments, side by side.
void CpuDevice::AttendInSegments(const AttentionCall& call) {
  const size_t value_dim = call.sequences.front().layer.layout.shape.value_dim();
  const size_t parts = call.kv_heads() * call.parts;
  size_t segments = 0;
  size_t rows = 0;
  for (const KvRows& sequence : call.sequences) {
    const size_t keys = sequence.first + sequence.count;
    segments = std::max(segments, DivideUp(keys, kernels::kSegmentKeys));
    rows = std::max(rows, sequence.count * call.part_heads());
  }
  const size_t stride = rows * kernels::PartialFloats(value_dim);
  const size_t tiles = call.sequences.size() * parts;
  auto* partials =
      reinterpret_cast<float*>(partials_.Get(tiles * segments * stride * sizeof(float)));
  const auto tile_of = [&](size_t tile, int worker) {
    const size_t sequence = tile / parts;
    return TileOf(call, sequence, tile % parts, 0, call.sequences[sequence].count, worker);
  };
  pool_.ForEach(tiles * segments, [&](size_t task, int worker) {
    const kernels::AttentionTile tile = tile_of(task / segments, worker);
    const size_t segment = task % segments;
    const size_t hidden = tile.window == 0 || tile.first + 1 < tile.window
                              ? 0
                              : tile.first + 1 - tile.window;  // keys that no row sees
    if (segment * kernels::kSegmentKeys < tile.first + tile.tokens &&
        (segment + 1) * kernels::kSegmentKeys > hidden) {
      kernels_.attend_segment(tile, segment, partials + task * stride);
    }
  });
  pool_.ForEach(tiles, [&](size_t tile, int worker) {
    kernels_.merge_segments(tile_of(tile, worker), partials + tile * segments * stride, stride);
  });
}

void CpuDevice::ReadAll(Buffer& memory) {
  constexpr size_t kPiece = 1 << 20;
  const size_t size = memory.size_bytes() / 512 * 512;
  std::atomic<uint64_t> sum{0};
  pool_.ForEach(DivideUp(size, kPiece), [&](size_t piece, int) {
    const size_t bytes = std::min(kPiece, size - piece * kPiece);
    sum.fetch_xor(kernels_.peaks.read(memory.host() + piece * kPiece, bytes),
                  std::memory_order_relaxed);
  });
}

Peaks CpuDevice::MeasurePeaks(const os::Clock& clock, Buffer& memory) {
  constexpr size_t kIterations = 200'000;
  constexpr size_t kTasks = 64;
  std::atomic<int64_t> sink{0};
  const kernels::PeakProbes& probes = kernels_.peaks;
  // The best of some rounds of work that is shared as everything else is.
  const auto rate = [&](double amount, const auto& work) {
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const auto begin = clock.Now();
      work();
      best = std::max(best, amount / os::SecondsBetween(begin, clock.Now()));
    }
    return best;
  };
  const auto share = [&](const auto& probe) {
    pool_.ForEach(kTasks, [&](size_t, int) {
      sink.fetch_add(static_cast<int64_t>(probe(kIterations / kTasks)), std::memory_order_relaxed);
    });
  };
  const auto ops = [](size_t per_iteration) {
    return static_cast<double>(kIterations / kTasks * kTasks * per_iteration);
  };
  Peaks peaks;
  peaks.int8_ops_per_s = rate(ops(probes.int8_ops_per_iteration), [&] { share(probes.int8); });
  peaks.float_ops_per_s = rate(ops(probes.float_ops_per_iteration), [&] { share(probes.fused); });
  peaks.brain_ops_per_s = rate(ops(probes.brain_ops_per_iteration), [&] { share(probes.brain); });
  peaks.read_bytes_per_s = rate(static_cast<double>(memory.size_bytes()), [&] { ReadAll(memory); });
  return peaks;
}

}  // namespace

std::unique_ptr<Device> MakeCpuDevice(const KernelTable& kernels, const CpuOptions& options) {
  return std::make_unique<CpuDevice>(kernels, options);
}

}  // namespace baton::device
