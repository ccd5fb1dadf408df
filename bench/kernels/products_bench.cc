// products_bench [TOKENS [ISA...]]: what the matrix products of each weight type reach with TOKENS
// tokens (default 512), on one thread and by its CPU time, against the peaks of the same
// instruction set. Each repetition measures peak and product in turns; printed are medians.
//
// Weights stay in the L2 cache, as the tasks of a device do: this is about arithmetic. With 0
// tokens it is about memory: one token, and weights that no cache holds, against reading alone.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <time.h>

#include "fmt/format.h"
#include "kernels/select.h"
#include "kernels/table.h"
#include "os/memory.h"
#include "tensor/dtype.h"

namespace baton::kernels {
namespace {

constexpr size_t kColumns = 2048;
constexpr size_t kCachedBytes = 256 << 10;
constexpr size_t kMemoryBytes = 512 << 20;
constexpr int kRepetitions = 9;
constexpr double kEnoughSeconds = 0.03;

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Times per second that `work` can be done.
template <typename Work>
double RateOf(const Work& work) {
  const double begin = CpuSeconds();
  double now = begin;
  int times = 0;
  for (; now - begin < kEnoughSeconds; ++times, now = CpuSeconds()) work();
  return times / (now - begin);
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

os::LargeMemory Memory(size_t bytes) {
  return os::LargeMemory::Allocate(bytes + 64).value();
}

// A matrix as large as a device's tasks, and operands of some tokens.
class Product {
 public:
  Product(const KernelTable& table, DType type, size_t tokens, size_t weight_bytes)
      : kernels_(*MatrixKernelsOf(table, type)),
        panels_(std::max<size_t>(2, weight_bytes / kernels_.panel_bytes(kColumns))),
        tokens_(tokens),
        packed_(Memory(panels_ * kernels_.panel_bytes(kColumns))),
        operands_(Memory(tokens * OperandBytes(kernels_.operand, kColumns))),
        into_(tokens * panels_ * kPanelRows) {
    const std::vector<uint8_t> rows(kPanelRows * BytesOf(type, kColumns), 0x31);
    for (size_t p = 0; p < panels_; ++p)
      kernels_.pack(rows.data(), kPanelRows, kColumns,
                    packed_.data() + p * kernels_.panel_bytes(kColumns));
    Prepare(table);
  }

  double operations() const {
    return 2.0 * static_cast<double>(panels_ * kPanelRows * kColumns * tokens_);
  }
  OperandKind operand() const { return kernels_.operand; }
  size_t weight_bytes() const { return packed_.size(); }
  void Run() {
    kernels_.multiply({packed_.data(), kColumns, panels_ * kPanelRows, operands_.data(), tokens_,
                       into_.data(), panels_ * kPanelRows, nullptr, false});
  }
  // Bytes per second that come from memory if something reads all weights and does nothing else.
  double PeakOfReading(const KernelTable& table) const {
    volatile uint64_t sink = 0;
    const size_t bytes = packed_.size() / 512 * 512;
    return RateOf([&] { sink = table.peaks.read(packed_.data(), bytes); }) *
           static_cast<double>(bytes);
  }

 private:
  void Prepare(const KernelTable& table) {
    std::vector<float> x(kColumns);
    for (size_t i = 0; i < kColumns; ++i) x[i] = static_cast<float>(i % 255) - 127.0f;
    const size_t tile = table.tile_tokens;
    const size_t token_bytes = OperandBytes(kernels_.operand, kColumns);
    for (size_t t = 0; t < tokens_; ++t) {
      const size_t first = t / tile * tile;
      PrepareOf(table, kernels_.operand)(x.data(), kColumns, std::min(tile, tokens_ - first),
                                         t - first, operands_.data() + first * token_bytes);
    }
  }

  const MatrixKernels& kernels_;
  const size_t panels_;
  const size_t tokens_;
  const os::LargeMemory packed_;
  const os::LargeMemory operands_;
  std::vector<float> into_;
};

double PeakOf(const KernelTable& table, OperandKind kind) {
  constexpr size_t kIterations = 100'000;
  const PeakProbes& peaks = table.peaks;
  volatile double sink = 0;
  switch (kind) {
    case OperandKind::kFloat:
      return RateOf([&] { sink = peaks.fused(kIterations); }) * kIterations *
             static_cast<double>(peaks.float_ops_per_iteration);
    case OperandKind::kBrain:
      return RateOf([&] { sink = peaks.brain(kIterations); }) * kIterations *
             static_cast<double>(peaks.brain_ops_per_iteration);
    case OperandKind::kInt8:
    case OperandKind::kSuperInt8:
      break;
  }
  return RateOf([&] { sink = static_cast<double>(peaks.int8(kIterations)); }) * kIterations *
         static_cast<double>(peaks.int8_ops_per_iteration);
}

void PrintReading(const KernelTable& table, DType type) {
  Product product(table, type, 1, kMemoryBytes);
  product.Run();
  std::vector<double> rates, shares;
  for (int i = 0; i < kRepetitions; ++i) {
    const double peak = product.PeakOfReading(table);
    rates.push_back(RateOf([&] { product.Run(); }) * static_cast<double>(product.weight_bytes()));
    shares.push_back(rates.back() / peak);
  }
  fmt::print("{:<12} {:<7} from memory {:>6.1f} GB/s {:>4.0f} % of reading\n", table.name,
             InfoOf(type).name, MedianOf(rates) / 1e9, MedianOf(shares) * 100);
}

void Print(const KernelTable& table, DType type, size_t tokens) {
  Product product(table, type, tokens, kCachedBytes);
  product.Run();
  std::vector<double> rates, shares;
  for (int i = 0; i < kRepetitions; ++i) {
    const double peak = PeakOf(table, product.operand());
    rates.push_back(RateOf([&] { product.Run(); }) * product.operations());
    shares.push_back(rates.back() / peak);
  }
  fmt::print("{:<12} {:<7} {:>4} tokens {:>7.1f} Gop/s {:>4.0f} % of peak\n", table.name,
             InfoOf(type).name, tokens, MedianOf(rates) / 1e9, MedianOf(shares) * 100);
}

int Main(int argc, char** argv) {
  char* end = nullptr;
  const size_t tokens = argc > 1 ? std::strtoul(argv[1], &end, 10) : 512;
  if (tokens > 1 << 16 || (end != nullptr && (end == argv[1] || *end != 0))) {
    fmt::print(stderr, "'{}' is no number of tokens from 0 to 65536\n", argv[1]);
    return 2;
  }
  for (int i = 2; i < argc; ++i) {
    if (const auto table = SelectKernels(argv[i]); !table.ok()) {
      fmt::print(stderr, "{}\n", table.error().message());
      return 2;
    }
  }
  const std::vector<DType> types = {DType::kF32,  DType::kF16,    DType::kBF16,   DType::kQ8_0,
                                    DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,   DType::kQ5_1,
                                    DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,   DType::kQ5_K,
                                    DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4};
  for (const KernelTable* table : AvailableKernels()) {
    const bool chosen = std::any_of(argv + std::min(argc, 2), argv + argc, [&](const char* name) {
      return std::strcmp(name, table->name) == 0;
    });
    if (argc > 2 ? !chosen : std::strcmp(table->name, "reference") == 0) continue;
    for (const DType type : types) {
      if (tokens == 0) {
        PrintReading(*table, type);
      } else {
        Print(*table, type, tokens);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace baton::kernels

int main(int argc, char** argv) {
  return baton::kernels::Main(argc, argv);
}
