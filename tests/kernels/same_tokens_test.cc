// A thousand greedy tokens with every weight type: each instruction set of this machine draws what
// the scalar reference draws, from the same logits to the last bit.
#include <bit>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "engine/sampler.h"
#include "engine/stage.h"
#include "hub/synthetic_model.h"
#include "kernels/select.h"
#include "model/model.h"

namespace baton {
namespace {

constexpr int kPromptTokens = 24;
constexpr int kTokens = 1000;

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> sums;  // of each step's logits, as bits
  bool operator==(const Answer&) const = default;
};

// An answer's step, so that a difference is reported where it begins.
size_t FirstDifference(const Answer& a, const Answer& b) {
  size_t i = 0;
  while (i < a.tokens.size() && a.tokens[i] == b.tokens[i] && a.sums[i] == b.sums[i]) ++i;
  return i;
}

Answer Generate(const Model& model, const kernels::KernelTable& table) {
  const auto device = device::MakeCpuDevice(table, {.threads = 1});
  const LayerRange layers{0, model.spec().n_layers};
  const auto stage = engine::Stage::Load(model, layers, *device, {}).value();
  engine::Workspace workspace = stage->NewWorkspace().value();
  kv::Sequence sequence(stage->pool());
  engine::NoHooks hooks;
  std::vector<TokenId> next;
  for (int i = 0; i < kPromptTokens; ++i) next.push_back((i * 37 + 11) % model.spec().vocab_size);
  std::vector<TokenId> history;
  Answer answer;
  while (answer.tokens.size() < kTokens) {
    const auto output = stage->Run(
        {.layers = layers, .first_position = sequence.length(), .tokens = next, .logit_rows = 1},
        sequence, workspace, hooks);
    CHECK(output.ok(), "{}", output.error().message());
    // Never the same token twice in a row, so that the text does not settle.
    engine::SamplingParams greedy;
    greedy.repeat_penalty = 1.3f;
    const TokenId token =
        engine::Sample(output->logits, greedy, history, answer.tokens.size()).value().token;
    uint32_t sum = 0;
    for (const float logit : output->logits) sum = sum * 31 + std::bit_cast<uint32_t>(logit);
    answer.tokens.push_back(token);
    answer.sums.push_back(sum);
    history.push_back(token);
    next = {token};
  }
  return answer;
}

class SameTokens : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Types, SameTokens, testing::ValuesIn(hub::SyntheticTypes()),
                         [](const auto& info) { return info.param; });

TEST_P(SameTokens, AsTheReferenceWithEveryInstructionSet) {
  const auto path = std::filesystem::path(testing::TempDir()) / (GetParam() + "-same-tokens.gguf");
  hub::SyntheticOptions options;
  options.shape = hub::ParseShape("layers=2,hidden=256,heads=2,kv_heads=1,ffn=256").value();
  options.type = GetParam();
  ASSERT_TRUE(hub::WriteSyntheticModel(path.string(), options).ok());
  const auto model = Model::Open(path.string()).value();
  const Answer expected = Generate(*model, *kernels::SelectKernels("reference").value());
  EXPECT_GT(std::set(expected.tokens.begin(), expected.tokens.end()).size(), 20u) << "it settled";
  for (const auto* table : kernels::AvailableKernels()) {
    const Answer answer = Generate(*model, *table);
    EXPECT_EQ(FirstDifference(answer, expected), size_t{kTokens}) << table->name;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace baton
