#include "engine/limits.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/random.h"

namespace baton::engine {
namespace {

using device::Device;
using device::Rows;

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,   DType::kQ8_0,
                            DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,   DType::kQ5_1,
                            DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,   DType::kQ5_K,
                            DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4};
constexpr size_t kColumns = 2048;
constexpr size_t kTokens = 512;
constexpr size_t kMatrixRows = 1024;       // of the product with many tokens
constexpr size_t kReadBytes = 64 << 20;    // of the product with one token
constexpr size_t kFlushBytes = 320 << 20;  // read in between, to drive weights out of the caches
constexpr int kRepetitions = 3;
constexpr int kBatches[] = {4, 16, 64};
constexpr double kPatienceSeconds = 0.3;
// Where many cores share a product this small, waking them and waiting for the last is much of it.
constexpr double kTooShortSeconds = 0.0015;
constexpr device::KvShape kHeads{8, 64};
constexpr size_t kQueryHeads = 32;
constexpr int kContexts[] = {512, 2048, 8192};
constexpr int kUsualKeys = 2048;

// The median of some runs, the lower one of two: what else the machine does, it will do then, too.
// What takes long is not repeated.
double Typical(const os::Clock& clock, const std::function<void()>& run,
               const std::function<void()>& before = {}, int repetitions = kRepetitions) {
  std::vector<double> seconds;
  const auto started = clock.Now();
  for (int i = 0; i < repetitions; ++i) {
    if (i > 0 && os::SecondsBetween(started, clock.Now()) > kPatienceSeconds) break;
    if (before) before();
    const auto begin = clock.Now();
    run();
    seconds.push_back(os::SecondsBetween(begin, clock.Now()));
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[(seconds.size() - 1) / 2];
}

// Bytes that are plausible weights of every type: no denormals, no infinities.
std::vector<uint8_t> SomeWeights(size_t bytes) {
  std::vector<uint8_t> weights(bytes);
  Rng rng(1);
  for (uint8_t& byte : weights) byte = static_cast<uint8_t>(0x38 + rng.Below(4));
  return weights;
}

struct Activations {
  std::unique_ptr<device::Buffer> memory;
  Rows rows;
};

Result<Activations> MakeRows(Device& device, size_t count, size_t width) {
  BATON_ASSIGN_OR_RETURN(auto memory, device.Allocate(count * width * sizeof(float)));
  const Rows rows{memory.get(), 0, count, width};
  Rng rng(2);
  for (float& x : rows.values()) x = static_cast<float>(rng.Uniform() - 0.5);
  return Activations{std::move(memory), rows};
}

class Meter {
 public:
  Meter(Device& device, const os::Clock& clock)
      : device_(device), clock_(clock), weights_(SomeWeights(kReadBytes)) {}

  Result<TypeLimits> MeasureType(DType type, const std::function<void()>& flush) {
    TypeLimits limits{.type = type};
    BATON_ASSIGN_OR_RETURN(const auto some, Pack(type, kMatrixRows));
    // A slow device is asked for a sixteenth of the work first.
    size_t tokens = kTokens / 16;
    BATON_ASSIGN_OR_RETURN(double wide, ProductSeconds(*some, tokens, {}));
    if (16 * wide < kPatienceSeconds) {
      tokens = kTokens;
      BATON_ASSIGN_OR_RETURN(wide, ProductSeconds(*some, tokens, {}));
    }
    limits.matrix_flops_per_s = FlopsOf(kMatrixRows, tokens) / wide;
    const size_t rows = kReadBytes / BytesOf(type, kColumns) / 16 * 16;
    BATON_ASSIGN_OR_RETURN(const auto all, Pack(type, rows));
    if (wide < kTooShortSeconds) {
      BATON_ASSIGN_OR_RETURN(wide, ProductSeconds(*all, tokens, {}));
      limits.matrix_flops_per_s = FlopsOf(rows, tokens) / wide;
    }
    BATON_ASSIGN_OR_RETURN(const double narrow, ProductSeconds(*all, 1, flush));
    limits.read_bytes_per_s = static_cast<double>(rows * BytesOf(type, kColumns)) / narrow;
    for (const int batch : kBatches) {
      BATON_ASSIGN_OR_RETURN(const double seconds, ProductSeconds(*all, batch, flush, 2));
      limits.batches.push_back({batch, FlopsOf(rows, batch) / seconds});
    }
    return limits;
  }

  Result<AttentionLimits> MeasureAttention(KvType type, const std::function<void()>& flush);
  Result<double> LayerOverhead();

 private:
  Result<ContextLimits> MeasureContext(KvType type, int keys, const std::function<void()>& flush);

  static double FlopsOf(size_t rows, size_t tokens) {
    return 2.0 * kColumns * static_cast<double>(rows * tokens);
  }

  Result<std::unique_ptr<device::Matrix>> Pack(DType type, size_t rows) {
    return device_.Pack({type, rows, kColumns, RowsOf(type, kColumns)});
  }

  Result<double> ProductSeconds(const device::Matrix& matrix, size_t tokens,
                                const std::function<void()>& before,
                                int repetitions = kRepetitions) {
    BATON_ASSIGN_OR_RETURN(const Activations x, MakeRows(device_, tokens, kColumns));
    BATON_ASSIGN_OR_RETURN(const Activations y, MakeRows(device_, tokens, matrix.rows()));
    return Typical(
        clock_,
        [&] {
          device_.MatMul(x.rows, {{&matrix, y.rows}});
        },
        before, repetitions);
  }

  device::RowReader RowsOf(DType type, size_t columns) const {
    return device::RowsIn(weights_, BytesOf(type, columns));
  }

  Device& device_;
  const os::Clock& clock_;
  const std::vector<uint8_t> weights_;
};

Result<ContextLimits> Meter::MeasureContext(KvType type, int keys,
                                            const std::function<void()>& flush) {
  const device::KvLayout kv{kHeads, type};
  const int pages = keys / device::kPageTokens;
  BATON_ASSIGN_OR_RETURN(const auto storage, device_.Allocate(pages * kv.layer_bytes()));
  std::vector<int32_t> indices;
  for (int i = 0; i < pages; ++i) indices.push_back(i);
  const device::KvLayer layer{storage.get(), indices, kv.layer_bytes(), 0, kv};
  const size_t width = kQueryHeads * kHeads.head_dim;
  BATON_ASSIGN_OR_RETURN(const Activations q, MakeRows(device_, kTokens, width));
  BATON_ASSIGN_OR_RETURN(const Activations into, MakeRows(device_, kTokens, width));
  const auto attend = [&](size_t queries, const std::function<void()>& before) {
    const auto run = [&] {
      const device::KvRows last{layer, keys - static_cast<int>(queries), queries};
      device_.Attend(q.rows.Slice(0, queries), {&last, 1}, device::AttentionPrecision::kBrain, {},
                     into.rows.Slice(0, queries));
    };
    return Typical(clock_, run, before);
  };
  size_t queries = kTokens / 16;
  double seconds = attend(queries, {});
  if (16 * seconds < kPatienceSeconds) {
    queries = kTokens;
    seconds = attend(queries, {});
  }
  const auto many = static_cast<double>(queries);
  // Between two tokens all weights are read: a decode step finds no K and V in the caches.
  const double one_s = attend(1, flush);
  return ContextLimits{
      .keys = keys,
      .flops_per_s = 4.0 * static_cast<double>(width) * many * (keys - many / 2) / seconds,
      .read_bytes_per_s = static_cast<double>(pages * kv.layer_bytes()) / one_s};
}

Result<AttentionLimits> Meter::MeasureAttention(KvType type, const std::function<void()>& flush) {
  AttentionLimits limits{.type = type};
  for (const int keys : kContexts) {
    BATON_ASSIGN_OR_RETURN(const ContextLimits context, MeasureContext(type, keys, flush));
    limits.contexts.push_back(context);
    if (keys != kUsualKeys) continue;
    limits.flops_per_s = context.flops_per_s;
    limits.read_bytes_per_s = context.read_bytes_per_s;
  }
  return limits;
}

// The ops of one layer of a decode step whose activations are as wide as those of a model of one or
// three billion parameters, with hardly any weights and keys: what is left is what no byte
// explains.
Result<double> Meter::LayerOverhead() {
  constexpr size_t kWidth = kQueryHeads * 64, kFeedForward = 4 * kWidth, kFew = 16;
  constexpr int kLayers = 16;
  BATON_ASSIGN_OR_RETURN(const auto w, Pack(DType::kQ4_0, kFew));
  BATON_ASSIGN_OR_RETURN(const auto down, device_.Pack({DType::kQ4_0, kFew, kFeedForward,
                                                        RowsOf(DType::kQ4_0, kFeedForward)}));
  BATON_ASSIGN_OR_RETURN(const Activations x, MakeRows(device_, 1, kWidth));
  BATON_ASSIGN_OR_RETURN(const Activations attended, MakeRows(device_, 1, kWidth));
  BATON_ASSIGN_OR_RETURN(const Activations kv, MakeRows(device_, 1, kHeads.kv_heads * 64));
  BATON_ASSIGN_OR_RETURN(const Activations gate, MakeRows(device_, 1, kFeedForward));
  BATON_ASSIGN_OR_RETURN(const Activations y, MakeRows(device_, 1, kFew));
  const device::KvLayout layout{kHeads, KvType::kF16};
  BATON_ASSIGN_OR_RETURN(const auto page, device_.Allocate(layout.layer_bytes()));
  const int32_t first_page = 0;
  const device::KvLayer cache{page.get(), {&first_page, 1}, layout.layer_bytes(), 0, layout};
  const device::KvRows last{cache, device::kPageTokens - 1, 1};
  const std::vector<float> norm(kWidth, 1.0f);
  std::vector<float> angles(kHeads.head_dim);  // none: cosine 1, sine 0
  for (size_t i = 0; i < angles.size(); i += 2) angles[i] = 1;
  const device::RopeTable rope{angles, kHeads.head_dim / 2, kHeads.head_dim};
  const auto layer = [&] {
    device_.MatMul(device::Normed(x.rows, norm, 1e-5f),
                   {{w.get(), y.rows}, {w.get(), y.rows}, {w.get(), y.rows}});
    device_.Rope(attended.rows, rope, 1.0f);
    device_.Rope(kv.rows, rope, 1.0f);
    device_.StoreKv(kv.rows, kv.rows, {&last, 1});
    device_.Attend(x.rows, {&last, 1}, device::AttentionPrecision::kBrain, {}, attended.rows);
    device_.MatMul(device::Input{attended.rows}, {{w.get(), y.rows}});
    device_.MatMul(device::Normed(x.rows, norm, 1e-5f), {{w.get(), y.rows}, {w.get(), y.rows}});
    device_.MatMul(device::Gated(gate.rows, gate.rows), {{down.get(), y.rows}});
  };
  const double seconds = Typical(clock_, [&] {
    for (int i = 0; i < kLayers; ++i) layer();
  });
  return seconds / kLayers * 1e6;
}

}  // namespace

Result<Limits> MeasureLimits(Device& device, const os::Clock& clock) {
  Limits limits;
  BATON_ASSIGN_OR_RETURN(const auto flush, device.Allocate(kFlushBytes));
  std::fill_n(flush->host(), flush->size_bytes(), uint8_t{1});
  limits.peaks = device.MeasurePeaks(clock, *flush);
  const auto drive_out = [&] { device.ReadAll(*flush); };
  Meter meter(device, clock);
  for (const DType type : kTypes) {
    BATON_ASSIGN_OR_RETURN(const TypeLimits measured, meter.MeasureType(type, drive_out));
    limits.types.push_back(measured);
  }
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    BATON_ASSIGN_OR_RETURN(const AttentionLimits measured, meter.MeasureAttention(type, drive_out));
    limits.attention.push_back(measured);
  }
  BATON_ASSIGN_OR_RETURN(limits.layer_overhead_us, meter.LayerOverhead());
  return limits;
}

}  // namespace baton::engine
