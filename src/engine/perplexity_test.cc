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
  std::vector<PerplexityText> texts(2);
  for (int i = 0; i < 70; ++i) texts[i % 3 / 2].tokens.push_back(i * 31 % 97);
  // Windows of 40: the first text is cut in two, of 40 and 7 tokens.
  const std::span<const TokenId> first = texts[0].tokens, second = texts[1].tokens;
  ASSERT_EQ(first.size(), 47u);
  const double sum = ByDefinition(*golden.stage, first.first(40)) +
                     ByDefinition(*golden.stage, first.subspan(40)) +
                     ByDefinition(*golden.stage, second);
  const auto measured = MeasurePerplexity(*golden.stage, texts, {.window = 40});
  ASSERT_TRUE(measured.ok()) << measured.error().message();
  EXPECT_EQ(measured->tokens, 39 + 6 + 22);
  EXPECT_NEAR(std::log(measured->value), sum / measured->tokens, 1e-9);
  // With a token put first, every token of the text is foretold.
  const auto begun = MeasurePerplexity(*golden.stage, texts, {.window = 40, .begin = 1});
  EXPECT_EQ(begun->tokens, 70);
  // What is only read counts for nothing, across windows too.
  texts[0].counted_from = 43;
  texts[1].counted_from = 10;
  const double after = ByDefinition(*golden.stage, first.subspan(40)) -
                       ByDefinition(*golden.stage, first.subspan(40, 3)) +
                       ByDefinition(*golden.stage, second) -
                       ByDefinition(*golden.stage, second.first(10));
  const auto counted = MeasurePerplexity(*golden.stage, texts, {.window = 40}).value();
  EXPECT_EQ(counted.tokens, 4 + 13);
  EXPECT_NEAR(std::log(counted.value), after / counted.tokens, 1e-9);
  const auto with_begin = MeasurePerplexity(*golden.stage, texts, {.window = 40, .begin = 1});
  EXPECT_EQ(with_begin->tokens, 4 + 13);
}

TEST(Perplexity, RefusesWhatForetellsNothing) {
  const Loaded golden = Load(kGolden);
  const auto code = [&](PerplexityText text, int window) {
    return MeasurePerplexity(*golden.stage, {&text, 1}, {.window = window}).error().code();
  };
  EXPECT_EQ(code({{1}}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{}}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{1, 2}, 2}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{1, 2}}, 1), Code::kInvalidArgument);
  EXPECT_EQ(code({{1, 1 << 30}}, 40), Code::kInvalidArgument);
  EXPECT_EQ(code({{-1, 1}}, 40), Code::kInvalidArgument);
}

// Of each line, what stands behind its tab counts.
std::vector<PerplexityText> LinesOf(std::string_view path, const Tokenizer& tokenizer) {
  std::ifstream file{std::string(path)};
  std::vector<PerplexityText> texts;
  for (std::string line; std::getline(file, line);) {
    const size_t tab = line.find('\t');
    CHECK(tab != std::string::npos, "no tab: {}", line);
    auto tokens = tokenizer.Encode(line.substr(0, tab), {.parse_special = true}).value();
    const size_t counted_from = tokens.size();
    const auto rest = tokenizer.Encode(line.substr(tab + 1), {.parse_special = true}).value();
    tokens.insert(tokens.end(), rest.begin(), rest.end());
    texts.push_back({std::move(tokens), counted_from});
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
  auto texts = LinesOf(kText, exact.model->tokenizer());
  ASSERT_GT(texts.size(), 100u);
  texts.resize(32);  // sanitizers take their time; bench/perplexity reads all
  const PerplexityOptions options{.begin = exact.model->tokenizer().vocabulary().bos()};
  const double expected = MeasurePerplexity(*exact.stage, texts, options).value().value;
  EXPECT_LT(expected, 3) << "the model knows such texts";
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    const Loaded quantised = Load(kShipped, type);
    const double value = MeasurePerplexity(*quantised.stage, texts, options).value().value;
    EXPECT_NEAR(value / expected, 1, 0.005) << NameOf(type);
    EXPECT_NE(value, expected);
  }
}

}  // namespace
}  // namespace baton::engine
