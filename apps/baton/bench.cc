#include <algorithm>
#include <memory>
#include <numeric>

#include <boost/json.hpp>

#include "apps/baton/local_model.h"
#include "apps/baton/verbs.h"
#include "engine/limits.h"
#include "engine/sampler.h"
#include "os/clock.h"
#include "os/system.h"

namespace baton::app {
namespace {

struct BenchOptions {
  LocalOptions local;
  int prompt_tokens = 512;
  int decode_tokens = 32;
  int repetitions = 3;
  int depth_tokens = 0;
  int batch = 1;
  bool short_warm_up = false;
  bool limits = false;
  bool shares = false;
  bool json = false;
};

// One repetition.
struct Sample {
  double prefill_s = 0;
  double first_token_s = 0;
  double decode_s = 0;
  device::Peaks peaks;  // measured right after it, if wanted
};

double SecondsSince(os::TimePoint begin) {
  return os::SecondsBetween(begin, os::SystemClock().Now());
}

std::vector<TokenId> SomeTokens(int count, int vocab_size) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 7919 + 17) % vocab_size);
  return tokens;
}

// What the repetition that warms up does.
BenchOptions WarmUp(BenchOptions options) {
  if (!options.short_warm_up) return options;
  options.depth_tokens = 0;
  options.prompt_tokens = 1;
  options.decode_tokens = std::min(1, options.decode_tokens);
  return options;
}

Result<TokenId> Greedy(std::span<const float> logits) {
  BATON_ASSIGN_OR_RETURN(const engine::Sampled sampled, engine::Sample(logits, {}, {}, 0));
  return sampled.token;
}

// The next token of each sequence, in one run.
Status DecodeBatch(const engine::Stage& stage, std::span<const std::unique_ptr<kv::Sequence>> all,
                   std::vector<TokenId>& tokens, engine::Workspace& workspace) {
  std::vector<engine::BatchMember> members;
  for (size_t i = 0; i < all.size(); ++i) {
    members.push_back({all[i].get(), all[i]->length(), tokens[i], {}});
  }
  BATON_ASSIGN_OR_RETURN(const engine::StageOutput output,
                         stage.RunBatch({stage.layers(), members, true}, workspace));
  const size_t vocab = output.logits.size() / all.size();
  for (size_t i = 0; i < all.size(); ++i) {
    BATON_ASSIGN_OR_RETURN(tokens[i], Greedy(output.logits.subspan(i * vocab, vocab)));
  }
  return OkStatus();
}

// Prefill and first token of one sequence, then decode_tokens more of it and of all others that
// have the same prompt, behind depth_tokens that are not timed.
Result<Sample> Measure(const engine::Stage& stage, const BenchOptions& options,
                       engine::Workspace& workspace) {
  std::vector<std::unique_ptr<kv::Sequence>> sequences;
  std::vector<TokenId> tokens;
  const int vocab_size = stage.spec().vocab_size;
  const auto depth = SomeTokens(options.depth_tokens, vocab_size);
  const auto prompt = SomeTokens(options.prompt_tokens, vocab_size);
  Sample sample;
  for (int i = 0; i < options.batch; ++i) {
    kv::Sequence& sequence = *sequences.emplace_back(std::make_unique<kv::Sequence>(stage.pool()));
    sequence.SetTextTokens(options.depth_tokens + options.prompt_tokens + options.decode_tokens);
    BATON_RETURN_IF_ERROR(FeedTokens(stage, depth, sequence, workspace).status());
    const auto begin = os::SystemClock().Now();
    BATON_ASSIGN_OR_RETURN(const auto logits, FeedTokens(stage, prompt, sequence, workspace));
    const double prefill_s = SecondsSince(begin);
    BATON_ASSIGN_OR_RETURN(tokens.emplace_back(), Greedy(logits));
    if (i == 0) sample = {.prefill_s = prefill_s, .first_token_s = SecondsSince(begin)};
  }
  const auto decode_begin = os::SystemClock().Now();
  for (int i = 0; i < options.decode_tokens; ++i) {
    BATON_RETURN_IF_ERROR(DecodeBatch(stage, sequences, tokens, workspace));
  }
  sample.decode_s = SecondsSince(decode_begin);
  return sample;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <typename Field>
double MedianOf(const std::vector<Sample>& samples, const Field& field) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(field(sample));
  return Median(std::move(values));
}

boost::json::object Summary(const BenchOptions& options, const std::vector<Sample>& samples,
                            double load_s) {
  const double prefill =
      MedianOf(samples, [&](const Sample& s) { return options.prompt_tokens / s.prefill_s; });
  const double decode = MedianOf(samples, [&](const Sample& s) {
    return options.decode_tokens > 0 ? options.decode_tokens * options.batch / s.decode_s : 0.0;
  });
  const double ttft_s = MedianOf(samples, [](const Sample& s) { return s.first_token_s; });
  return {{"prefill_tokens_per_s", prefill},
          {"decode_tokens_per_s", decode},
          {"ttft_ms", ttft_s * 1e3},
          {"load_ms", load_s * 1e3},
          {"peak_rss_bytes", os::PeakResidentBytes()}};
}

boost::json::object Summary(const engine::Limits& limits) {
  boost::json::array types;
  for (const engine::TypeLimits& type : limits.types) {
    boost::json::array batches;
    for (const engine::BatchLimits& batch : type.batches) {
      batches.push_back(
          boost::json::object{{"tokens", batch.tokens}, {"flops_per_s", batch.flops_per_s}});
    }
    types.push_back(boost::json::object{{"type", InfoOf(type.type).name},
                                        {"matrix_flops_per_s", type.matrix_flops_per_s},
                                        {"read_bytes_per_s", type.read_bytes_per_s},
                                        {"cached_bytes_per_s", type.cached_bytes_per_s},
                                        {"reading_bytes_per_s", type.reading_bytes_per_s},
                                        {"batches", std::move(batches)}});
  }
  boost::json::array attention;
  for (const engine::AttentionLimits& of : limits.attention) {
    boost::json::array contexts;
    for (const engine::ContextLimits& context : of.contexts) {
      contexts.push_back(boost::json::object{{"keys", context.keys},
                                             {"flops_per_s", context.flops_per_s},
                                             {"read_bytes_per_s", context.read_bytes_per_s},
                                             {"query_flops_per_s", context.query_flops_per_s}});
    }
    attention.push_back(boost::json::object{{"kv_type", NameOf(of.type)},
                                            {"flops_per_s", of.flops_per_s},
                                            {"read_bytes_per_s", of.read_bytes_per_s},
                                            {"contexts", std::move(contexts)}});
  }
  return {{"int8_ops_per_s", limits.peaks.int8_ops_per_s},
          {"float_ops_per_s", limits.peaks.float_ops_per_s},
          {"bf16_ops_per_s", limits.peaks.brain_ops_per_s},
          {"read_bytes_per_s", limits.peaks.read_bytes_per_s},
          {"reading_bytes_per_s", limits.reading_bytes_per_s},
          {"attention", attention},
          {"layer_overhead_us", limits.layer_overhead_us},
          {"element_ns", limits.element_ns},
          {"types", types}};
}

// The peak of the products that a type's kernel is made of.
double PeakOf(DType type, const device::Peaks& peaks) {
  switch (type) {
    case DType::kF32:
      return peaks.float_ops_per_s;
    case DType::kF16:
    case DType::kBF16:
      return peaks.brain_ops_per_s;
    default:
      return peaks.int8_ops_per_s;
  }
}

// Seconds that the prompt's operations take at the peaks: those of each matrix at its type's, the
// head's for one token, and attention, 4 per (query width, key), at the faster of the float peaks.
double PrefillLimitSeconds(const Model& model, const BenchOptions& options,
                           const device::Peaks& peaks) {
  const ModelSpec& spec = model.spec();
  const double prompt = options.prompt_tokens;
  double seconds = 0;
  for (const TensorInfo& tensor : model.tensors()) {
    const bool embedding = tensor.name == "token_embd.weight";
    if (tensor.shape[1] == 1 || (embedding && !spec.tied_embeddings)) continue;
    const double tokens = embedding || tensor.name == "output.weight" ? 1 : prompt;
    const auto weights = static_cast<double>(tensor.shape[0] * tensor.shape[1]);
    const int experts = tensor.shape[2] > 1 ? spec.experts.used : 1;
    seconds += 2 * weights * experts * tokens / PeakOf(tensor.type, peaks);
  }
  const double before = options.depth_tokens;
  double keys = 0;
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    const double window = spec.WindowOf(layer);
    const double whole = prompt * before + prompt * (prompt + 1) / 2;
    keys += window > 0 ? std::min(whole, prompt * window) : whole;
  }
  const double attention = 4.0 * spec.q_width() * keys;
  return seconds + attention / std::max(peaks.float_ops_per_s, peaks.brain_ops_per_s);
}

// Bytes of the file that one token reads: the layers' and the head's, of experts those it uses.
uint64_t ActiveBytes(const ModelSpec& spec) {
  return std::accumulate(spec.layer_active_bytes.begin(), spec.layer_active_bytes.end(),
                         spec.head_bytes);
}

// Seconds that reading takes per decoded token: the weights, which a batch reads once (of experts
// those of one token), and K and V of the tokens before it that attention sees, on average.
double DecodeLimitSeconds(const ModelSpec& spec, const BenchOptions& options,
                          const device::Peaks& peaks) {
  const double before =
      options.depth_tokens + options.prompt_tokens + (options.decode_tokens + 1) / 2.0;
  double keys = 0;
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    const double window = spec.WindowOf(layer);
    keys += window > 0 ? std::min(window, before) : before;
  }
  const auto kv_per_key = static_cast<double>(spec.KvBytesPerTokenPerLayer(options.local.kv_type));
  return (static_cast<double>(ActiveBytes(spec)) / options.batch + kv_per_key * keys) /
         peaks.read_bytes_per_s;
}

// The machine's best, measured right after each repetition, and the tokens per second that it
// would allow.
void AddLimits(const Model& model, const BenchOptions& options, const std::vector<Sample>& samples,
               boost::json::object& summary) {
  const auto of_peaks = [&](const auto& field) {
    return MedianOf(samples, [&](const Sample& s) { return field(s.peaks); });
  };
  using device::Peaks;
  summary["int8_ops_per_s"] = of_peaks([](const Peaks& p) { return p.int8_ops_per_s; });
  summary["float_ops_per_s"] = of_peaks([](const Peaks& p) { return p.float_ops_per_s; });
  summary["bf16_ops_per_s"] = of_peaks([](const Peaks& p) { return p.brain_ops_per_s; });
  summary["read_bytes_per_s"] = of_peaks([](const Peaks& p) { return p.read_bytes_per_s; });
  summary["prefill_limit_tokens_per_s"] = of_peaks([&](const Peaks& p) {
    return options.prompt_tokens / PrefillLimitSeconds(model, options, p);
  });
  summary["decode_limit_tokens_per_s"] =
      of_peaks([&](const Peaks& p) { return 1 / DecodeLimitSeconds(model.spec(), options, p); });
}

// How much of the machine's best, measured around it, the model's own work takes. Operations and
// bytes are those of the layers' and the head's weights, of experts those that a token uses;
// attention comes on top.
void AddShares(const ModelSpec& spec, const BenchOptions& options,
               const std::vector<Sample>& samples, boost::json::object& summary) {
  const double layer_flops = spec.FlopsPerTokenPerLayer() * spec.n_layers * options.prompt_tokens;
  summary["prefill_share_of_int8_peak"] = MedianOf(
      samples, [&](const Sample& s) { return layer_flops / s.prefill_s / s.peaks.int8_ops_per_s; });
  const double read_bytes = static_cast<double>(ActiveBytes(spec)) * options.decode_tokens;
  summary["decode_share_of_read_peak"] = MedianOf(
      samples, [&](const Sample& s) { return read_bytes / s.decode_s / s.peaks.read_bytes_per_s; });
}

void Print(const boost::json::object& object, bool json) {
  if (json) {
    fmt::print("{}\n", boost::json::serialize(object));
    return;
  }
  for (const auto& [key, value] : object) {
    if (!value.is_array()) fmt::print("{:24} {:.6g}\n", key, value.to_number<double>());
    if (!value.is_array()) continue;
    for (const auto& row : value.as_array()) fmt::print("  {}\n", boost::json::serialize(row));
  }
}

Result<device::Peaks> MeasurePeaks(device::Device& device) {
  BATON_ASSIGN_OR_RETURN(const auto memory, device.Allocate(size_t{512} << 20));
  std::fill_n(memory->host(), memory->size_bytes(), uint8_t{1});
  return device.MeasurePeaks(os::SystemClock(), *memory);
}

Status RunModel(BenchOptions options) {
  options.local.context_tokens =
      options.depth_tokens + options.prompt_tokens + options.decode_tokens;
  options.local.sequences = options.batch;
  const auto begin = os::SystemClock().Now();
  BATON_ASSIGN_OR_RETURN(const LocalModel local, LoadLocalModel(options.local));
  const double load_s = SecondsSince(begin);
  BATON_ASSIGN_OR_RETURN(engine::Workspace workspace, local.stage->NewWorkspace());
  std::vector<Sample> samples;
  for (int i = 0; i <= options.repetitions; ++i) {
    const bool warms_up = i == 0;
    BATON_ASSIGN_OR_RETURN(Sample sample,
                           Measure(*local.stage, warms_up ? WarmUp(options) : options, workspace));
    if (warms_up) continue;
    if (options.shares) {
      BATON_ASSIGN_OR_RETURN(sample.peaks, MeasurePeaks(*local.device));
    }
    samples.push_back(sample);
  }
  boost::json::object summary = Summary(options, samples, load_s);
  if (options.shares) {
    AddShares(local.stage->spec(), options, samples, summary);
    AddLimits(*local.model, options, samples, summary);
  }
  Print(summary, options.json);
  return OkStatus();
}

Status RunLimits(const BenchOptions& options) {
  BATON_ASSIGN_OR_RETURN(const auto device, OpenCpu(options.local));
  fmt::print(stderr, "{}\n", device->Describe());
  BATON_ASSIGN_OR_RETURN(const engine::Limits limits,
                         engine::MeasureLimits(*device, os::SystemClock()));
  Print(Summary(limits), options.json);
  return OkStatus();
}

Status Run(const BenchOptions& options) {
  return options.limits ? RunLimits(options) : RunModel(options);
}

}  // namespace

void AddBench(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<BenchOptions>();
  options->local.kernels = environment.kernels;
  options->local.show_progress = environment.colour;
  CLI::App* verb = root.add_subcommand("bench", "measure a model, or what the machine can do");
  auto* model = verb->add_option("-m,--model", options->local.path, "GGUF file");
  auto* limits = verb->add_flag("--limits", options->limits, "measure the machine, no model");
  model->excludes(limits);
  verb->add_option("-p", options->prompt_tokens, "prompt tokens")->check(CLI::Range(1, 1 << 20));
  verb->add_option("-n", options->decode_tokens, "decoded tokens")->check(CLI::Range(0, 1 << 20));
  verb->add_option("--batch", options->batch, "sequences decoded together")
      ->check(CLI::Range(1, engine::StageOptions{}.batch_max));
  verb->add_option("-r", options->repetitions, "repetitions")->check(CLI::Range(1, 1000));
  verb->add_option("--depth", options->depth_tokens, "tokens in the cache before the prompt")
      ->check(CLI::Range(0, 1 << 20));
  verb->add_flag("--short-warm-up", options->short_warm_up,
                 "warm up with one token instead of a whole repetition");
  AddKvType(*verb, "--kv-type", options->local.kv_type, "KV cache: f32, f16 (the default), q8_0");
  verb->add_option("--threads", options->local.threads, "compute threads (0: one per core)")
      ->check(CLI::Range(0, 1024));
  verb->add_flag("--pin", options->local.pin_threads, "bind compute threads to processors");
  verb->add_flag("--shares", options->shares,
                 "also the machine's measured peaks, shares of them, and what they would allow");
  verb->add_flag("--json", options->json, "one JSON object");
  verb->callback([options, &chosen] {
    if (!options->limits && options->local.path.empty()) {
      throw CLI::RequiredError("bench takes --model FILE or --limits");
    }
    chosen = [options] {
      const Status status = Run(*options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
