// Perplexity against its definition, and what 8 bits cost the shipped model: against its own
// weights in F32 with exact attention. (That all instruction sets give the reference's bits, other
// tests say.)
#include "engine/perplexity.h"

#include <cmath>
#include <fstream>
#include <string>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "kernels/select.h"
#include "kernels/to_floats.h"
#include "model/model.h"
#include "model/testing/float_copy.h"
#include "model/testing/scratch_file.h"

namespace baton::engine {
namespace {

constexpr std::string_view kShipped = BATON_SOURCE_DIR "/models/baton-demo.gguf";
constexpr std::string_view kGolden = BATON_SOURCE_DIR "/tests/golden/tied-head64.gguf";
constexpr std::string_view kText = BATON_SOURCE_DIR "/bench/perplexity.txt";

struct Loaded {
  std::shared_ptr<const Model> model;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<Stage> stage;
};

Loaded Load(std::string_view path, KvType kv_type = KvType::kF16) {
  Loaded loaded;
  loaded.model = Model::Open(std::string(path)).value();
  loaded.device = device::MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 2});
  loaded.stage = Stage::Load(*loaded.model, {0, loaded.model->spec().n_layers}, *loaded.device,
                             {.kv_type = kv_type})
                     .value();
  return loaded;
}

// One token at a time, as the definition has it.
double ByDefinition(const Stage& stage, std::span<const TokenId> window) {
  Workspace workspace = stage.NewWorkspace().value();
  kv::Sequence sequence(stage.pool());
  NoHooks hooks;
  double sum = 0;
  for (size_t i = 0; i + 1 < window.size(); ++i) {
    const StageInput input{.layers = stage.layers(),
                           .first_position = static_cast<int>(i),
                           .tokens = window.subspan(i, 1),
                           .logit_rows = 1};
    const auto logits = stage.Run(input, sequence, workspace, hooks).value().logits;
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    sum -= std::log(std::exp(static_cast<double>(logits[window[i + 1]])) / total);
  }
  return sum;
}

TEST(Perplexity, IsThatOfItsDefinition) {
  const Loaded golden = Load(kGolden);
  std::vector<std::vector<TokenId>> texts(2);
  for (int i = 0; i < 70; ++i) texts[i % 3 / 2].push_back(i * 31 % 97);
  // Windows of 40: the first text is cut in two, of 40 and 7 tokens.
  ASSERT_EQ(texts[0].size(), 47u);
  const double sum = ByDefinition(*golden.stage, std::span(texts[0]).first(40)) +
                     ByDefinition(*golden.stage, std::span(texts[0]).subspan(40)) +
                     ByDefinition(*golden.stage, texts[1]);
  const auto measured = MeasurePerplexity(*golden.stage, texts, {.window = 40});
  ASSERT_TRUE(measured.ok()) << measured.error().message();
  EXPECT_EQ(measured->tokens, 39 + 6 + 22);
  EXPECT_NEAR(std::log(measured->value), sum / measured->tokens, 1e-9);
  // With a token put first, every token of the text is foretold.
  const auto begun = MeasurePerplexity(*golden.stage, texts, {.window = 40, .begin = 1});
  EXPECT_EQ(begun->tokens, 70);
}

TEST(Perplexity, RefusesWhatForetellsNothing) {
  const Loaded golden = Load(kGolden);
  const auto code = [&](std::vector<std::vector<TokenId>> texts, int window) {
    return MeasurePerplexity(*golden.stage, texts, {.window = window}).error().code();
  };
  EXPECT_EQ(code({{1}, {}}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{1, 2}}, 1), Code::kInvalidArgument);
  EXPECT_EQ(code({{1, 1 << 30}}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{-1, 1}}, 40), Code::kInvalidArgument);
}

std::vector<std::vector<TokenId>> LinesOf(std::string_view path, const Tokenizer& tokenizer) {
  std::ifstream file{std::string(path)};
  std::vector<std::vector<TokenId>> texts;
  for (std::string line; std::getline(file, line);) {
    texts.push_back(tokenizer.Encode(line, {.parse_special = true}).value());
  }
  return texts;
}

TEST(Perplexity, EightBitsCostTheShippedModelLessThanHalfAPercent) {
  const ScratchFile file;
  WriteFloatCopy(std::string(kShipped), file.path(), [](const TensorView& tensor) {
    return kernels::ToFloats(*kernels::SelectKernels("reference").value(), tensor);
  });
  const Loaded exact = Load(file.path());
  ASSERT_TRUE(exact.model->spec().exact_attention);
  const auto texts = LinesOf(kText, exact.model->tokenizer());
  ASSERT_GT(texts.size(), 100u);
  const PerplexityOptions options{.begin = exact.model->tokenizer().vocabulary().bos()};
  const double expected = MeasurePerplexity(*exact.stage, texts, options).value().value;
  // The prompts among them surprise: only answers were learnt.
  EXPECT_LT(expected, 0.02 * exact.model->spec().vocab_size);
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    const Loaded quantised = Load(kShipped, type);
    const double value = MeasurePerplexity(*quantised.stage, texts, options).value().value;
    EXPECT_NEAR(value / expected, 1, 0.005) << NameOf(type);
    EXPECT_NE(value, expected);
  }
}

}  // namespace
}  // namespace baton::engine
