// The forward pass on the golden models: right (against transformers) and the same to the last bit
// however a prompt is cut, wherever layers are split, with any threads and instruction set.
#include "engine/stage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "engine/sampler.h"
#include "kernels/select.h"
#include "kv/transfer.h"
#include "model/model.h"
#include "model/testing/scratch_file.h"
#include "os/file.h"

namespace baton::engine {
namespace {

std::string GoldenPath(std::string_view name) {
  return fmt::format("{}/tests/golden/{}", BATON_SOURCE_DIR, name);
}

constexpr std::string_view kModels[] = {
    "gqa-untied",     "tied-head64",    "llama3-rope", "biased-mha", "linear-rope-head24",
    "qwen2",          "qwen2-yarn",     "qwen3",       "qwen3moe",   "mixtral",
    "mistral-window", "phi3",           "phi3-long",   "gemma2",     "gemma3",
    "gpt-oss",        "deepseek2-lite", "deepseek2",   "deepseek3"};

std::shared_ptr<const Model> OpenGolden(std::string_view name) {
  auto model = Model::Open(GoldenPath(fmt::format("{}.gguf", name)));
  CHECK(model.ok(), "{}", model.error().message());
  return *model;
}

std::unique_ptr<device::Device> Cpu(std::string_view kernels = "", int threads = 2) {
  return device::MakeCpuDevice(*kernels::SelectKernels(kernels).value(), {.threads = threads});
}

using Bits = std::vector<uint32_t>;
Bits BitsOf(std::span<const float> values) {
  Bits bits;
  for (const float v : values) bits.push_back(v == 0 ? 0 : std::bit_cast<uint32_t>(v));
  return bits;
}

// One stage with one sequence, driven token by token or chunk by chunk.
class Runner {
 public:
  Runner(const Model& model, LayerRange layers, device::Device& device, StageOptions options = {})
      : stage_(Stage::Load(model, layers, device, options).value()),
        workspace_(stage_->NewWorkspace().value()),
        sequence_(std::make_unique<kv::Sequence>(stage_->pool())) {
    sequence_->SetTextTokens(model.spec().context_length);
  }
  Runner(const Model& model, device::Device& device)
      : Runner(model, {0, model.spec().n_layers}, device) {}

  Result<StageOutput> Try(const StageInput& input, LayerHooks& hooks) {
    return stage_->Run(input, *sequence_, workspace_, hooks);
  }
  StageOutput Run(StageInput input) {
    NoHooks hooks;
    input.first_position = sequence_->length();
    const auto output = Try(input, hooks);
    CHECK(output.ok(), "{}", output.error().message());
    return *output;
  }
  // Logits after `tokens`, fed in chunks.
  std::span<const float> Feed(std::span<const TokenId> tokens, size_t chunk) {
    StageOutput output;
    for (size_t at = 0; at < tokens.size(); at += chunk) {
      const auto part = tokens.subspan(at, std::min(chunk, tokens.size() - at));
      output = Run({.layers = stage_->layers(),
                    .tokens = part,
                    .logit_rows = at + part.size() == tokens.size() ? 1 : 0});
    }
    return output.logits;
  }

  Stage& stage() { return *stage_; }
  kv::Sequence& sequence() { return *sequence_; }

 private:
  std::unique_ptr<Stage> stage_;
  Workspace workspace_;
  std::unique_ptr<kv::Sequence> sequence_;
};

std::vector<TokenId> Prompt(const Model& model, int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 7919 + 13) % model.spec().vocab_size);
  return tokens;
}

template <typename T>
std::vector<T> Numbers(const boost::json::value& array) {
  return boost::json::value_to<std::vector<T>>(array);
}

class Golden : public testing::TestWithParam<std::tuple<std::string_view, std::string>> {};

std::vector<std::string> KernelNames() {
  std::vector<std::string> names;
  for (const auto* table : kernels::AvailableKernels()) names.push_back(table->name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::ValuesIn(KernelNames())),
                         [](const auto& info) {
                           std::string name(std::get<0>(info.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name + "_" + std::get<1>(info.param);
                         });

// Relative error of the whole vector, by norms.
double RelativeError(std::span<const float> ours, const std::vector<double>& theirs) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
    norm += theirs[i] * theirs[i];
  }
  return std::sqrt(difference / norm);
}

// Transformers keeps F32 keys and values, we keep F16 ones: each rounds by up to 2^-11, twice per
// layer and independently; the softmax and the norms behind may double that.
double Tolerance(const ModelSpec& spec) {
  return 2 * std::sqrt(2.0 * spec.n_layers) * 0x1p-11;
}

boost::json::value ReadGolden(std::string_view name) {
  return boost::json::parse(os::ReadFile(GoldenPath(fmt::format("{}.json", name))).value());
}

// The logits behind a text that grows. Where it becomes a long one (ModelSpec::TurnsLong), all of
// it is computed anew, as transformers does.
class Text {
 public:
  Text(const Model& model, device::Device& device, StageOptions options = {})
      : model_(model), runner_(model, {0, model.spec().n_layers}, device, options) {
    runner_.sequence().SetTextTokens(0);
  }
  std::span<const float> Add(std::span<const TokenId> more) {
    tokens_.insert(tokens_.end(), more.begin(), more.end());
    const ModelSpec& spec = model_.spec();
    kv::Sequence& sequence = runner_.sequence();
    const int length = static_cast<int>(tokens_.size());
    if (spec.TurnsLong(length) == spec.TurnsLong(sequence.text_tokens()))
      return runner_.Feed(more, 512);
    NoHooks hooks;
    const StageInput one{.layers = {0, spec.n_layers},
                         .first_position = sequence.length(),
                         .tokens = std::span(tokens_).subspan(sequence.length())};
    EXPECT_EQ(runner_.Try(one, hooks).error().code(), Code::kAborted);
    sequence = kv::Sequence(runner_.stage().pool());
    sequence.SetTextTokens(length);
    return runner_.Feed(tokens_, 512);
  }

 private:
  const Model& model_;
  Runner runner_;
  std::vector<TokenId> tokens_;
};

TEST_P(Golden, LogitsAndGreedyTokensAreThoseOfTransformers) {
  const auto& [name, kernels] = GetParam();
  const auto model = OpenGolden(name);
  const auto device = Cpu(kernels);
  const boost::json::value parsed = ReadGolden(name);
  for (const auto& golden : parsed.at("cases").as_array()) {
    Text text(*model, *device);
    const auto prompt = Numbers<TokenId>(golden.at("prompt"));
    std::span<const float> logits = text.Add(prompt);
    const auto expected = Numbers<double>(golden.at("logits"));
    ASSERT_EQ(logits.size(), expected.size());
    EXPECT_LT(RelativeError(logits, expected), Tolerance(model->spec()));
    // With their keys and values rounded like ours, little is left to differ: sums in another
    // order, and the odd value that lies on the edge between two halves.
    EXPECT_LT(RelativeError(logits, Numbers<double>(golden.at("logits_f16_kv"))), 2e-4);
    for (const TokenId expected_token : Numbers<TokenId>(golden.at("greedy"))) {
      const Sampled sampled = Sample(logits, {}, {}, 0).value();
      ASSERT_EQ(sampled.token, expected_token);
      logits = text.Add(std::span(&sampled.token, 1));
    }
  }
}

// With keys and values of F32, as transformers keeps them, nothing differs but the order of sums.
TEST_P(Golden, WithKvOfF32NothingButRoundingDiffers) {
  const auto& [name, kernels] = GetParam();
  const auto model = OpenGolden(name);
  const auto device = Cpu(kernels);
  const boost::json::value parsed = ReadGolden(name);
  for (const auto& golden : parsed.at("cases").as_array()) {
    Text text(*model, *device, {.kv_type = KvType::kF32});
    std::span<const float> logits = text.Add(Numbers<TokenId>(golden.at("prompt")));
    EXPECT_LT(RelativeError(logits, Numbers<double>(golden.at("logits"))), 2e-5);
    for (const TokenId expected_token : Numbers<TokenId>(golden.at("greedy"))) {
      const Sampled sampled = Sample(logits, {}, {}, 0).value();
      ASSERT_EQ(sampled.token, expected_token);
      logits = text.Add(std::span(&sampled.token, 1));
    }
  }
}

// The golden models are F32 throughout, so their attention is too; the shipped one is quantised.
constexpr std::string_view kShipped = "shipped";

std::shared_ptr<const Model> OpenNamed(std::string_view name) {
  if (name != kShipped) return OpenGolden(name);
  return Model::Open(BATON_SOURCE_DIR "/models/baton-demo.gguf").value();
}

using ModelAndKv = std::pair<std::string_view, KvType>;

class SameBits : public testing::TestWithParam<ModelAndKv> {
 protected:
  SameBits()
      : model_(OpenNamed(GetParam().first)),
        options_{.kv_type = GetParam().second},
        device_(Cpu()),
        prompt_(Prompt(*model_, 150)) {}
  std::unique_ptr<Runner> NewRunner(device::Device& device) const {
    return NewRunner({0, model_->spec().n_layers}, device);
  }
  std::unique_ptr<Runner> NewRunner(LayerRange layers, device::Device& device) const {
    return std::make_unique<Runner>(*model_, layers, device, options_);
  }
  Bits Whole() { return BitsOf(NewRunner(*device_)->Feed(prompt_, 512)); }

  const std::shared_ptr<const Model> model_;
  const StageOptions options_;
  const std::unique_ptr<device::Device> device_;
  const std::vector<TokenId> prompt_;
};

std::vector<ModelAndKv> AllModels() {
  std::vector<ModelAndKv> all;
  std::vector<std::string_view> names(std::begin(kModels), std::end(kModels));
  names.push_back(kShipped);
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const std::string_view name : names) {
      // Of F32, what it is about: heads that no vector width divides, windows, latents.
      const bool few =
          name == "mistral-window" || name == "gpt-oss" || name == "deepseek3" || name == kShipped;
      if (type == KvType::kF32 && !few) continue;
      if (OpenNamed(name)->spec().CheckKvType(type).ok()) all.emplace_back(name, type);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, SameBits, testing::ValuesIn(AllModels()), [](const auto& info) {
  std::string name = fmt::format("{}_{}", info.param.first, NameOf(info.param.second));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(AllModels, HaveBothKindsOfKv) {
  EXPECT_GE(AllModels().size(), std::size(kModels) + 3);
}

TEST_P(SameBits, InAnyChunks) {
  const Bits whole = Whole();
  for (const size_t chunk : {1, 7, 64}) {
    EXPECT_EQ(BitsOf(NewRunner(*device_)->Feed(prompt_, chunk)), whole) << "chunks of " << chunk;
  }
}

TEST_P(SameBits, OnAnyKernelsAndThreads) {
  const Bits whole = Whole();
  for (const std::string& kernels : KernelNames()) {
    for (const int threads : {1, 3}) {
      const auto device = Cpu(kernels, threads);
      EXPECT_EQ(BitsOf(NewRunner(*device)->Feed(prompt_, 50)), whole) << kernels << ", " << threads;
    }
  }
}

// Feeds one chunk through consecutive stages.
std::span<const float> RunThrough(std::vector<std::unique_ptr<Runner>>& stages,
                                  std::span<const TokenId> tokens) {
  StageOutput output;
  for (auto& runner : stages) {
    const LayerRange layers = runner->stage().layers();
    const bool ends = layers.last == runner->stage().spec().n_layers;
    StageInput input{.layers = layers, .logit_rows = ends ? 1 : 0};
    if (layers.first == 0) input.tokens = tokens;
    input.activations = output.activations;
    output = runner->Run(input);
  }
  return output.logits;
}

TEST_P(SameBits, SplitIntoStages) {
  const Bits whole = Whole();
  const int n = model_->spec().n_layers;
  for (int first = 1; first < n; ++first) {
    for (int second = first; second < n; ++second) {
      std::vector<std::unique_ptr<Runner>> stages;
      int begin = 0;
      for (const int end : {first, second, n}) {
        if (end == begin) continue;
        stages.push_back(NewRunner({begin, end}, *device_));
        begin = end;
      }
      std::span<const float> logits;
      for (size_t at = 0; at < prompt_.size(); at += 75) {
        logits = RunThrough(stages, std::span(prompt_).subspan(at, 75));
      }
      EXPECT_EQ(BitsOf(logits), whole) << "cut before layers " << first << ", " << second;
    }
  }
}

// Prefill here, K and V over the wire layer by layer, decode there. Of layers with a window, only
// what the next token or one from the last whole page on sees.
TEST_P(SameBits, HandedFromPrefillToDecode) {
  const Bits whole = Whole();
  const int known = static_cast<int>(prompt_.size()) - 1;
  const auto prefill = NewRunner(*device_);
  const auto decode = NewRunner(*device_);
  prefill->Feed(std::span(prompt_).first(known), 64);
  ASSERT_TRUE(decode->sequence().Reserve(known + 1).ok());
  const kv::PageTable from = prefill->sequence().pages();
  const kv::PageTable to = decode->sequence().pages();
  const KvType type = options_.kv_type;
  for (int layer = 0; layer < model_->spec().n_layers; ++layer) {
    const int wanted = kv::FirstWanted(known, prefill->stage().pool().WindowOf(layer));
    const int middle = std::max(wanted, 70);
    for (const auto& [first, end] : {std::pair(wanted, middle), std::pair(middle, known)}) {
      if (first == end) continue;
      const kv::Slab slab{layer, first, end - first};
      const auto wire = kv::ExportKv(prefill->stage().pool(), from, slab, type).value();
      ASSERT_TRUE(kv::ImportKv(decode->stage().pool(), to, slab, type, wire).ok());
    }
  }
  decode->sequence().SetLength(known);
  EXPECT_EQ(BitsOf(decode->Feed(std::span(prompt_).last(1), 1)), whole);
}

// Keys in more than one segment, which one token's attention takes side by side.
TEST(Stage, ALongPromptGivesTheSameBitsInAnyChunksAndThreads) {
  const auto model = OpenNamed(kShipped);
  ASSERT_FALSE(model->spec().exact_attention);
  const auto prompt = Prompt(*model, 700);
  const auto run = [&](int threads, size_t chunk) {
    const auto device = Cpu("", threads);
    Runner runner(*model, *device);
    runner.Feed(std::span(prompt).first(690), chunk);
    return BitsOf(runner.Feed(std::span(prompt).subspan(690), 1));
  };
  const Bits whole = run(2, 512);
  EXPECT_EQ(run(1, 64), whole);
  EXPECT_EQ(run(3, 345), whole);
}

// The same prompt with both caches: another result, but a near one. Keys and values carry errors of
// up to half of 1/127 of the largest of 32, which a random direction of head and layers averages.
TEST(Stage, AKvCacheOfQ8_0CostsLittle) {
  const auto model = OpenGolden("tied-head64");
  const auto device = Cpu();
  const auto prompt = Prompt(*model, 150);
  const LayerRange all{0, model->spec().n_layers};
  Runner halves(*model, all, *device);
  Runner blocks(*model, all, *device, {.kv_type = KvType::kQ8_0});
  const auto expected = halves.Feed(prompt, 64);
  const double error = RelativeError(blocks.Feed(prompt, 64), {expected.begin(), expected.end()});
  EXPECT_GT(error, 0);
  EXPECT_LT(error, std::sqrt(2.0 * model->spec().n_layers) / 127);
}

TEST(Stage, AttentionIsExactWhereAllWeightsAre) {
  EXPECT_TRUE(OpenNamed("gqa-untied")->spec().exact_attention);
  EXPECT_FALSE(OpenNamed(kShipped)->spec().exact_attention);
}

// Sequences of different lengths share a run; what each gets is what it would get alone.
TEST_P(SameBits, InABatch) {
  const Bits whole = Whole();
  const int n = model_->spec().n_layers;
  const auto stage = Stage::Load(*model_, {0, n}, *device_, options_).value();
  Workspace workspace = stage->NewWorkspace().value();
  NoHooks hooks;
  std::vector<std::unique_ptr<kv::Sequence>> sequences;
  const int known = static_cast<int>(prompt_.size()) - 1;
  // The second one is fed what comes before the last token; the others other prompts.
  for (const int length : {1, known, 70}) {
    sequences.push_back(std::make_unique<kv::Sequence>(stage->pool()));
    sequences.back()->SetTextTokens(model_->spec().context_length);
    const auto tokens = length == known ? prompt_ : Prompt(*model_, length + 1);
    ASSERT_TRUE(stage
                    ->Run({.layers = {0, n}, .tokens = std::span(tokens).first(length)},
                          *sequences.back(), workspace, hooks)
                    .ok());
  }
  std::vector<BatchMember> members;
  for (const auto& sequence : sequences) {
    members.push_back({sequence.get(), sequence->length(), prompt_.back(), {}});
  }
  const auto first_half = stage->RunBatch({{0, 1}, members, false}, workspace);
  ASSERT_TRUE(first_half.ok()) << first_half.error().message();
  const std::vector<float> rows(first_half->activations.begin(), first_half->activations.end());
  const size_t width = model_->spec().hidden_width;
  ASSERT_EQ(rows.size(), 3 * width);
  for (size_t i = 0; i < 3; ++i) {
    members[i].activation = std::span(rows).subspan(i * width, width);
    members[i].position = i == 0 ? 1 : i == 1 ? known : 70;
    EXPECT_EQ(sequences[i]->length(), members[i].position + 1);
  }
  const auto output = stage->RunBatch({{1, n}, members, true}, workspace);
  ASSERT_TRUE(output.ok()) << output.error().message();
  const size_t vocab = model_->spec().vocab_size;
  ASSERT_EQ(output->logits.size(), 3 * vocab);
  EXPECT_EQ(BitsOf(output->logits.subspan(vocab, vocab)), whole);
}

TEST_P(SameBits, AfterTruncation) {
  const Bits whole = Whole();
  const auto runner = NewRunner(*device_);
  runner->Feed(prompt_, 512);
  EXPECT_EQ(runner->sequence().Truncate(97), 97);
  EXPECT_EQ(BitsOf(runner->Feed(std::span(prompt_).subspan(97), 20)), whole);
  // The last chunk began at 137: what a token at 80 sees is gone where layers have windows.
  const int left = runner->sequence().Truncate(80);
  const int window = model_->spec().window;
  EXPECT_EQ(left, window > 0 && window < 80 ? 0 : 80);
  EXPECT_EQ(BitsOf(runner->Feed(std::span(prompt_).subspan(left), 50)), whole);
}

// A pool with room for one sequence and no more: what windows have passed is used again.
TEST_P(SameBits, InAPoolThatIsJustLargeEnough) {
  const Bits whole = Whole();
  const LayerRange all{0, model_->spec().n_layers};
  const int tokens = static_cast<int>(prompt_.size());
  for (const int chunk : {1, 64}) {
    StageOptions options = options_;
    options.chunk_tokens_max = chunk;
    options.kv_bytes_max = KvBytesOf(model_->spec(), all, options.kv_type, tokens, chunk);
    Runner runner(*model_, all, *device_, options);
    EXPECT_EQ(BitsOf(runner.Feed(prompt_, static_cast<size_t>(chunk))), whole) << chunk;
    EXPECT_LE(runner.stage().pool().frames_free(), model_->spec().n_layers) << "too much room";
  }
}

// Whatever is not held is made unusable before each chunk.
TEST_P(SameBits, WithoutReadingWhatWasGivenUp) {
  const Bits whole = Whole();
  const auto runner = NewRunner(*device_);
  kv::PagePool& pool = runner->stage().pool();
  const LayerRange layers = runner->stage().layers();
  std::span<const float> logits;
  for (size_t at = 0; at < prompt_.size(); at += 10) {
    {
      kv::PageTable taken;
      for (int i = 0; i < 8; ++i) {
        taken.push_back({pool.Allocate(kv::LayerKind::kFull).value(),
                         pool.Allocate(kv::LayerKind::kWindowed).value()});
        for (int layer = layers.first; layer < layers.last; ++layer)
          std::memset(pool.BytesOf(taken.back(), layer), 0x7f, pool.frame_bytes());
      }
    }
    logits = runner->Feed(std::span(prompt_).subspan(at, 10), 10);
  }
  EXPECT_EQ(BitsOf(logits), whole);
}

TEST_P(SameBits, OnASharedPrefix) {
  const Bits whole = Whole();
  const auto runner = NewRunner(*device_);
  runner->Feed(prompt_, 64);
  kv::Sequence other(runner->stage().pool(), runner->sequence().SharePrefix(128));
  ASSERT_EQ(other.length(), 128);
  other.SetTextTokens(model_->spec().context_length);
  std::swap(other, runner->sequence());
  EXPECT_EQ(BitsOf(runner->Feed(std::span(prompt_).subspan(128), 64)), whole);
}

// Records the order of hooks and fails where told to.
struct RecordingHooks final : LayerHooks {
  int fail_at = -1;
  std::vector<std::string> events;
  Status BeforeAttention(int layer) override {
    events.push_back(fmt::format("before {}", layer));
    if (layer == fail_at) return MakeError(Code::kDeadlineExceeded, "no KV of layer {}", layer);
    return OkStatus();
  }
  void AfterKvWritten(int layer) override { events.push_back(fmt::format("written {}", layer)); }
};

TEST(Stage, HooksSeeEveryLayerInOrder) {
  const auto model = OpenGolden("gqa-untied");
  const auto device = Cpu();
  Runner runner(*model, *device);
  RecordingHooks hooks;
  const auto tokens = Prompt(*model, 3);
  const int n = model->spec().n_layers;
  ASSERT_TRUE(runner.Try({.layers = {0, n}, .tokens = tokens}, hooks).ok());
  std::vector<std::string> expected;
  for (int layer = 0; layer < n; ++layer) {
    expected.push_back(fmt::format("before {}", layer));
    expected.push_back(fmt::format("written {}", layer));
  }
  EXPECT_EQ(hooks.events, expected);
}

TEST(Stage, AHookThatFailsEndsTheRun) {
  const auto model = OpenGolden("gqa-untied");
  const auto device = Cpu();
  Runner runner(*model, *device);
  RecordingHooks hooks;
  hooks.fail_at = 1;
  const auto tokens = Prompt(*model, 3);
  const auto output = runner.Try({.layers = {0, model->spec().n_layers}, .tokens = tokens}, hooks);
  ASSERT_FALSE(output.ok());
  EXPECT_EQ(output.error().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(runner.sequence().length(), 0);
}

TEST(Stage, RefusesWhatMakesNoSense) {
  const auto model = OpenGolden("gqa-untied");
  const auto device = Cpu();
  Runner runner(*model, *device);
  NoHooks hooks;
  const int n = model->spec().n_layers;
  const std::vector<TokenId> good = {1, 2};
  const std::vector<TokenId> bad = {1, model->spec().vocab_size};
  const std::vector<float> activations(model->spec().hidden_width + 1);
  const auto code = [&](const StageInput& input) {
    return runner.Try(input, hooks).error().code();
  };
  EXPECT_EQ(code({.layers = {0, n}}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {0, n}, .tokens = bad}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {0, n + 1}, .tokens = good}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {0, n}, .first_position = 1, .tokens = good}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {1, n}, .tokens = good}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {1, n}, .activations = activations}), Code::kInvalidArgument);
  EXPECT_EQ(code({.layers = {0, 1}, .tokens = good, .logit_rows = 1}), Code::kInvalidArgument);
  EXPECT_FALSE(Stage::Load(*model, {1, n + 1}, *device, {}).ok());
  EXPECT_FALSE(Stage::Load(*model, {2, 2}, *device, {}).ok());
}

TEST(Stage, AFileThatShrinksAfterItWasOpenedIsAnError) {
  const std::string bytes = os::ReadFile(GoldenPath("gqa-untied.gguf")).value();
  const ScratchFile file({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  const auto model = Model::Open(file.path()).value();
  std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
  const auto device = Cpu();
  const auto stage = Stage::Load(*model, {0, model->spec().n_layers}, *device, {});
  ASSERT_FALSE(stage.ok());
  EXPECT_THAT(stage.error().message(), testing::HasSubstr(file.path()));
}

TEST(Stage, AFullCacheIsAnErrorAndChangesNothing) {
  const auto model = OpenGolden("gqa-untied");
  const auto device = Cpu();
  const auto& spec = model->spec();
  StageOptions options;
  options.kv_bytes_max = spec.KvBytesPerTokenPerLayer() * spec.n_layers * 64 * 2;
  Runner runner(*model, {0, spec.n_layers}, *device, options);
  const int pages = runner.stage().pool().frames_total() / spec.n_layers;
  runner.Feed(Prompt(*model, 64 * pages), 64);
  NoHooks hooks;
  const auto one = Prompt(*model, 1);
  const auto output = runner.Try(
      {.layers = {0, spec.n_layers}, .first_position = 64 * pages, .tokens = one}, hooks);
  ASSERT_FALSE(output.ok());
  EXPECT_EQ(output.error().code(), Code::kResourceExhausted);
  EXPECT_EQ(runner.sequence().length(), 64 * pages);
}

TEST(StageHostile, NormsAndBiasesAreNumbers) {
  const auto model = OpenGolden("qwen3");
  const TensorInfo norm = model->LayerTensor(1, "ffn_norm.weight").value();
  Bytes stored(norm.size_bytes);
  ASSERT_TRUE(model->ReadRows(norm, 0, 1, stored).ok());
  const std::string file = os::ReadFile(GoldenPath("qwen3.gguf")).value();
  Bytes bytes(file.begin(), file.end());
  const auto at = std::search(bytes.begin(), bytes.end(), stored.begin(), stored.end());
  ASSERT_NE(at, bytes.end());
  const float wrong = std::numeric_limits<float>::infinity();
  std::memcpy(&at[8], &wrong, sizeof(wrong));
  const ScratchFile scratch(bytes);
  const auto broken = Model::Open(scratch.path()).value();
  const auto device = Cpu();
  const auto stage = Stage::Load(*broken, {0, broken->spec().n_layers}, *device, {});
  ASSERT_FALSE(stage.ok());
  EXPECT_THAT(stage.error().message(),
              testing::HasSubstr("tensor 'blk.1.ffn_norm.weight' holds inf at 2"));
}

}  // namespace
}  // namespace baton::engine
