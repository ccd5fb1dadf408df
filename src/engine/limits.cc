#include "engine/limits.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <span>
#include <thread>
#include <utility>

#include "base/random.h"
#include "model/spec.h"
#include "os/system.h"
#include "os/topology.h"

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
constexpr size_t kMatrixRows = 4096;        // of the product with many tokens: as a layer's have
constexpr size_t kFewRows = 16;             // of products that hardly compute
constexpr size_t kReadBytes = 64 << 20;     // of the product with one token
constexpr size_t kCachedBytes = 4 << 20;    // of that whose weights are to stay in the caches
constexpr size_t kFlushBytes = 320 << 20;   // read in between, to drive weights out of the caches
constexpr size_t kSharedBytes = 128 << 20;  // likewise, at least, where several nodes read at once
constexpr int kRepetitions = 3;
constexpr int kReadRepetitions = 5;   // these are short, and what decoding is predicted by
constexpr size_t kDisturbedMost = 3;  // times as many runs that others disturbed
constexpr int kWarmRepetitions = 5;   // the first of which fills the caches
constexpr int kBatches[] = {4, 8, 16, 64};
constexpr double kPatienceSeconds = 0.3;
// Where many cores share a product this small, waking them and waiting for the last is much of it.
constexpr double kTooShortSeconds = 0.0015;
constexpr device::KvShape kHeads{8, 64};
constexpr size_t kQueryHeads = 32;
constexpr int kContexts[] = {512, 2048, 8192};
constexpr int kUsualKeys = 2048;

// By how much others may have disturbed a run, as a share of it, if each took one of our threads'
// processor for a time slice.
double DisturbedShare(int64_t preemptions, double seconds) {
  constexpr double kSliceSeconds = 0.003;
  return static_cast<double>(preemptions) * kSliceSeconds / seconds;
}

// The median of some runs that nobody disturbed, the lower one of two; where there is none, the
// shortest. What takes long is not repeated.
double Typical(const os::Clock& clock, const std::function<void()>& run,
               const std::function<void()>& before = {}, int repetitions = kRepetitions) {
  constexpr double kDisturbed = 0.05;
  std::vector<double> seconds, disturbed;
  const auto started = clock.Now();
  const auto wanted = static_cast<size_t>(repetitions);
  while (seconds.size() < wanted && disturbed.size() < kDisturbedMost * wanted) {
    const bool first = seconds.empty() && disturbed.empty();
    if (!first && os::SecondsBetween(started, clock.Now()) > kPatienceSeconds) break;
    if (before) before();
    const int64_t preemptions = os::Preemptions();
    const auto begin = clock.Now();
    run();
    const double taken = os::SecondsBetween(begin, clock.Now());
    const bool calm = DisturbedShare(os::Preemptions() - preemptions, taken) <= kDisturbed;
    (calm ? seconds : disturbed).push_back(taken);
  }
  if (seconds.empty()) return *std::min_element(disturbed.begin(), disturbed.end());
  std::sort(seconds.begin(), seconds.end());
  return seconds[(seconds.size() - 1) / 2];
}

// Drives everything out of the caches, and watches how fast memory is while it does.
class Flush {
 public:
  Flush(Device& device, const os::Clock& clock, device::Buffer& memory)
      : device_(device), clock_(clock), memory_(memory) {}
  void operator()() {
    const auto begin = clock_.Now();
    device_.ReadAll(memory_);
    const double seconds = os::SecondsBetween(begin, clock_.Now());
    best_ = std::max(best_, static_cast<double>(memory_.size_bytes()) / seconds);
  }
  // The best that reading got since the last call, bytes per second: others can make it slow for a
  // moment, and nothing fast.
  double TakeRate() { return std::exchange(best_, 0); }

 private:
  Device& device_;
  const os::Clock& clock_;
  device::Buffer& memory_;
  double best_ = 0;
};

// Bytes that are plausible weights, or keys and values, of every type: no denormals, no infinities.
void FillPlausibly(std::span<uint8_t> bytes) {
  Rng rng(1);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(0x38 + rng.Below(4));
}

std::vector<uint8_t> SomeWeights(size_t bytes) {
  std::vector<uint8_t> weights(bytes);
  FillPlausibly(weights);
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

  Result<TypeLimits> MeasureType(DType type, Flush& flush) {
    TypeLimits limits{.type = type};
    BATON_ASSIGN_OR_RETURN(const auto some, Pack(type, kMatrixRows));
    // A slow device is asked for a sixteenth of the work first.
    size_t tokens = kTokens / 16;
    BATON_ASSIGN_OR_RETURN(double wide, ProductSeconds(*some, tokens, {}));
    if (16 * wide < kPatienceSeconds) {
      tokens = kTokens;
      BATON_ASSIGN_OR_RETURN(wide, ProductSeconds(*some, tokens, {}));
    }
    // What all rows share, the input's conversion, is in both.
    BATON_ASSIGN_OR_RETURN(const auto few, Pack(type, kFewRows));
    BATON_ASSIGN_OR_RETURN(const double shared, ProductSeconds(*few, tokens, {}));
    const double rows_s = std::max(wide - shared, wide / 2);
    limits.matrix_flops_per_s = FlopsOf(kMatrixRows - kFewRows, tokens) / rows_s;
    const size_t rows = RowsIn(kReadBytes, type);
    BATON_ASSIGN_OR_RETURN(const auto all, Pack(type, rows));
    if (wide < kTooShortSeconds) {
      BATON_ASSIGN_OR_RETURN(wide, ProductSeconds(*all, tokens, {}));
      limits.matrix_flops_per_s = FlopsOf(rows, tokens) / wide;
    }
    const auto drive_out = [&] { flush(); };
    BATON_ASSIGN_OR_RETURN(const double narrow,
                           ProductSeconds(*all, 1, drive_out, kReadRepetitions));
    limits.read_bytes_per_s = WeightBytes(type, rows) / narrow;
    for (const int batch : kBatches) {
      BATON_ASSIGN_OR_RETURN(const double seconds, ProductSeconds(*all, batch, drive_out, 2));
      limits.batches.push_back({batch, FlopsOf(rows, batch) / seconds});
    }
    limits.reading_bytes_per_s = flush.TakeRate();
    const size_t warm_rows = RowsIn(kCachedBytes, type);
    BATON_ASSIGN_OR_RETURN(const auto warm, Pack(type, warm_rows));
    BATON_ASSIGN_OR_RETURN(const double warm_s, ProductSeconds(*warm, 1, {}, kWarmRepetitions));
    limits.cached_bytes_per_s = WeightBytes(type, warm_rows) / warm_s;
    return limits;
  }

  Result<AttentionLimits> MeasureAttention(KvType type, Flush& flush);
  Result<double> ElementNs();
  Result<double> LayerOverheadUs(double element_ns);

 private:
  Result<double> ChainSeconds(size_t tokens, size_t few, bool attends);
  Result<ContextLimits> MeasureContext(KvType type, int keys, Flush& flush);

  static size_t RowsIn(size_t bytes, DType type) {
    return bytes / BytesOf(type, kColumns) / 16 * 16;
  }
  static double WeightBytes(DType type, size_t rows) {
    return static_cast<double>(rows * BytesOf(type, kColumns));
  }
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

Result<ContextLimits> Meter::MeasureContext(KvType type, int keys, Flush& flush) {
  const device::KvLayout kv{kHeads, type};
  const int pages = keys / device::kPageTokens;
  BATON_ASSIGN_OR_RETURN(const auto storage, device_.Allocate(pages * kv.layer_bytes()));
  // What nobody ever wrote is one page of zeros, which never leaves the caches.
  FillPlausibly({storage->host(), storage->size_bytes()});
  std::vector<int32_t> indices;
  for (int i = 0; i < pages; ++i) indices.push_back(i);
  const device::KvLayer layer{storage.get(), indices, kv.layer_bytes(), 0, kv};
  const size_t width = kQueryHeads * kHeads.head_dim;
  const size_t narrow = kHeads.kv_heads * kHeads.head_dim;
  BATON_ASSIGN_OR_RETURN(const Activations q, MakeRows(device_, kTokens, width));
  BATON_ASSIGN_OR_RETURN(const Activations into, MakeRows(device_, kTokens, width));
  const auto attend = [&](size_t queries, size_t wide, const std::function<void()>& before) {
    const auto rows_of = [&](const Activations& of) {
      return Rows{of.memory.get(), 0, queries, wide};
    };
    const auto run = [&] {
      const device::KvRows last{layer, keys - static_cast<int>(queries), queries};
      device_.Attend(rows_of(q), {&last, 1}, device::AttentionPrecision::kBrain, {}, rows_of(into));
    };
    return Typical(clock_, run, before);
  };
  size_t queries = kTokens / 16;
  double seconds = attend(queries, width, {});
  if (16 * seconds < kPatienceSeconds) {
    queries = kTokens;
    seconds = attend(queries, width, {});
  }
  const auto many = static_cast<double>(queries);
  // Between two tokens all weights are read: a decode step finds no K and V in the caches.
  const auto drive_out = [&] { flush(); };
  const double narrow_s = attend(1, narrow, drive_out);
  const double wider_s = std::clamp(attend(1, width, drive_out) - narrow_s, 0.0, narrow_s);
  const auto flops = [&](size_t of) { return 4.0 * static_cast<double>(of) * keys; };
  ContextLimits limits{
      .keys = keys,
      .flops_per_s = 4.0 * static_cast<double>(width) * many * (keys - many / 2) / seconds};
  if (wider_s > 0) limits.query_flops_per_s = flops(width - narrow) / wider_s;
  const double read_s = narrow_s - wider_s * flops(narrow) / flops(width - narrow);
  limits.read_bytes_per_s = static_cast<double>(pages * kv.layer_bytes()) / read_s;
  return limits;
}

Result<AttentionLimits> Meter::MeasureAttention(KvType type, Flush& flush) {
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

// A model of one or three billion parameters, but for the rows of its matrices.
ModelSpec ChainSpec() {
  ModelSpec spec;
  spec.hidden_width = static_cast<int32_t>(kQueryHeads) * kHeads.head_dim;
  spec.n_heads = static_cast<int32_t>(kQueryHeads);
  spec.n_kv_heads = kHeads.kv_heads;
  spec.head_dim = kHeads.head_dim;
  spec.ffn_width = 4 * spec.hidden_width;
  return spec;
}

// The ops of one layer for some tokens whose activations are as wide as ChainSpec() says, by
// matrices of a few rows or columns.
class LayerChain {
 public:
  using PackFew =
      std::function<Result<std::unique_ptr<device::Matrix>>(size_t rows, size_t columns)>;
  static Result<std::unique_ptr<LayerChain>> Make(Device& device, size_t tokens, size_t few,
                                                  const PackFew& pack);
  void Run(bool attends);

 private:
  explicit LayerChain(Device& device) : device_(device) {}

  Device& device_;
  std::unique_ptr<device::Matrix> w_, gate_w_, down_;
  Activations x_, attended_, kv_, narrow_, gate_, up_, y_;
  std::unique_ptr<device::Buffer> storage_;
  std::vector<int32_t> pages_;
  std::vector<float> norm_, angles_;
};

Result<std::unique_ptr<LayerChain>> LayerChain::Make(Device& device, size_t tokens, size_t few,
                                                     const PackFew& pack) {
  const ModelSpec spec = ChainSpec();
  const auto width = static_cast<size_t>(spec.hidden_width);
  const auto ffn_width = static_cast<size_t>(spec.ffn_width);
  std::unique_ptr<LayerChain> chain(new LayerChain(device));
  const size_t few_columns = 2 * few;  // whole blocks
  BATON_ASSIGN_OR_RETURN(chain->w_, pack(few, width));
  BATON_ASSIGN_OR_RETURN(chain->gate_w_, pack(ffn_width, few_columns));
  BATON_ASSIGN_OR_RETURN(chain->down_, pack(few, ffn_width));
  BATON_ASSIGN_OR_RETURN(chain->narrow_, MakeRows(device, tokens, few_columns));
  BATON_ASSIGN_OR_RETURN(chain->x_, MakeRows(device, tokens, width));
  BATON_ASSIGN_OR_RETURN(chain->attended_, MakeRows(device, tokens, width));
  BATON_ASSIGN_OR_RETURN(chain->kv_, MakeRows(device, tokens, spec.kv_width()));
  BATON_ASSIGN_OR_RETURN(chain->gate_, MakeRows(device, tokens, ffn_width));
  BATON_ASSIGN_OR_RETURN(chain->up_, MakeRows(device, tokens, ffn_width));
  BATON_ASSIGN_OR_RETURN(chain->y_, MakeRows(device, tokens, few));
  const size_t pages = (tokens + device::kPageTokens - 1) / device::kPageTokens;
  const device::KvLayout layout{kHeads, KvType::kF16};
  BATON_ASSIGN_OR_RETURN(chain->storage_, device.Allocate(pages * layout.layer_bytes()));
  for (size_t page = 0; page < pages; ++page) chain->pages_.push_back(static_cast<int32_t>(page));
  chain->norm_.assign(width, 1.0f);
  chain->angles_.assign(tokens * kHeads.head_dim, 0.0f);  // none: cosine 1, sine 0
  for (size_t i = 0; i < chain->angles_.size(); i += 2) chain->angles_[i] = 1;
  return chain;
}

void LayerChain::Run(bool attends) {
  const device::KvLayout layout{kHeads, KvType::kF16};
  const device::KvLayer cache{storage_.get(), pages_, layout.layer_bytes(), 0, layout};
  const size_t tokens = x_.rows.count;
  const auto keys = static_cast<int>(pages_.size()) * device::kPageTokens;
  const device::KvRows last{cache, keys - static_cast<int>(tokens), tokens};
  const device::RopeTable rope{angles_, kHeads.head_dim / 2, kHeads.head_dim};
  const Rows y = y_.rows;
  device_.MatMul(device::Normed(x_.rows, norm_, 1e-5f),
                 {{w_.get(), y}, {w_.get(), y}, {w_.get(), y}});
  device_.Rope(attended_.rows, rope, 1.0f);
  device_.Rope(kv_.rows, rope, 1.0f);
  device_.StoreKv(kv_.rows, kv_.rows, {&last, 1});
  if (attends) {
    device_.Attend(x_.rows, {&last, 1}, device::AttentionPrecision::kBrain, {}, attended_.rows);
  }
  device_.MatMul(device::Input{attended_.rows}, {{w_.get(), y}});
  device_.MatMul(device::Normed(x_.rows, norm_, 1e-5f), {{w_.get(), y}, {w_.get(), y}});
  // Gated rows of one token are read from memory; those of many come out of their products.
  if (tokens == 1) return device_.MatMul(device::Gated(gate_.rows, up_.rows), {{down_.get(), y}});
  device_.FeedForward(narrow_.rows, {gate_w_.get(), gate_.rows}, {gate_w_.get(), up_.rows},
                      device::Gate::kSilu, {down_.get(), y});
}

Result<double> Meter::ChainSeconds(size_t tokens, size_t few, bool attends) {
  BATON_ASSIGN_OR_RETURN(
      const auto chain, LayerChain::Make(device_, tokens, few, [&](size_t rows, size_t columns) {
        return device_.Pack({DType::kQ4_0, rows, columns, RowsOf(DType::kQ4_0, columns)});
      }));
  const int layers = tokens == 1 ? 16 : 2;
  const double seconds = Typical(clock_, [&] {
    for (int i = 0; i < layers; ++i) chain->Run(attends);
  });
  return seconds / layers;
}

// What a layer of many tokens takes as its matrices have ever fewer rows, or columns.
Result<double> Meter::ElementNs() {
  BATON_ASSIGN_OR_RETURN(const double few_s, ChainSeconds(kTokens, kFewRows, false));
  BATON_ASSIGN_OR_RETURN(const double more_s, ChainSeconds(kTokens, 3 * kFewRows, false));
  const double products_s = std::clamp((more_s - few_s) / 2, 0.0, few_s / 2);
  return (few_s - products_s) / (kTokens * ChainSpec().ElementsPerTokenPerLayer()) * 1e9;
}

// A layer of a decode step, with hardly any weights and keys, less what its elements take among
// many.
Result<double> Meter::LayerOverheadUs(double element_ns) {
  BATON_ASSIGN_OR_RETURN(const double seconds, ChainSeconds(1, kFewRows, true));
  return std::max(0.0, seconds * 1e6 - element_ns * 1e-3 * ChainSpec().ElementsPerTokenPerLayer());
}

Result<std::unique_ptr<device::Buffer>> MemoryToFlushWith(Device& device) {
  BATON_ASSIGN_OR_RETURN(auto memory, device.Allocate(kFlushBytes));
  std::fill_n(memory->host(), memory->size_bytes(), uint8_t{1});
  return memory;
}

}  // namespace

Result<double> MeasureReading(Device& device, const os::Clock& clock) {
  BATON_ASSIGN_OR_RETURN(const auto memory, MemoryToFlushWith(device));
  Flush flush(device, clock, *memory);
  for (int i = 0; i < kRepetitions; ++i) flush();
  return flush.TakeRate();
}

Result<double> MeasureReading(Device& device, const os::Clock& clock, os::TimePoint begin,
                              os::TimePoint end) {
  // In parts, of which many fit in between; all of them together the caches do not hold.
  constexpr size_t kPartBytes = 16 << 20;
  const size_t count =
      std::clamp<size_t>(4 * os::CacheBytes(), kSharedBytes, kFlushBytes) / kPartBytes;
  std::vector<std::unique_ptr<device::Buffer>> parts(count);
  for (auto& part : parts) {
    BATON_ASSIGN_OR_RETURN(part, device.Allocate(kPartBytes));
    std::fill_n(part->host(), part->size_bytes(), uint8_t{1});
  }
  device.ReadAll(*parts[0]);  // wakes its threads
  std::this_thread::sleep_for(begin - clock.Now());
  const os::TimePoint began = clock.Now();
  os::TimePoint done = began;
  double bytes = 0;
  for (size_t next = 0;; next = (next + 1) % count) {
    device.ReadAll(*parts[next]);
    const os::TimePoint now = clock.Now();
    if (now > end) break;  // others may be done
    bytes += static_cast<double>(parts[next]->size_bytes());
    done = now;
  }
  if (bytes == 0) return MakeError(Code::kDeadlineExceeded, "no time was left to read in");
  return bytes / os::SecondsBetween(began, done);
}

Result<Limits> MeasureLimits(Device& device, const os::Clock& clock) {
  Limits limits;
  BATON_ASSIGN_OR_RETURN(const auto memory, MemoryToFlushWith(device));
  limits.peaks = device.MeasurePeaks(clock, *memory);
  Flush flush(device, clock, *memory);
  Meter meter(device, clock);
  for (const DType type : kTypes) {
    BATON_ASSIGN_OR_RETURN(const TypeLimits measured, meter.MeasureType(type, flush));
    limits.types.push_back(measured);
  }
  limits.reading_bytes_per_s = limits.types.back().reading_bytes_per_s;
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    BATON_ASSIGN_OR_RETURN(const AttentionLimits measured, meter.MeasureAttention(type, flush));
    limits.attention.push_back(measured);
  }
  BATON_ASSIGN_OR_RETURN(limits.element_ns, meter.ElementNs());
  BATON_ASSIGN_OR_RETURN(limits.layer_overhead_us, meter.LayerOverheadUs(limits.element_ns));
  return limits;
}

}  // namespace baton::engine
