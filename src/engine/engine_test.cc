// Whoever is ready shares a run, gets its own results, and nobody starves.
#include "engine/engine.h"

#include <future>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "engine/sampler.h"
#include "kernels/select.h"
#include "model/model.h"

namespace baton::engine {
namespace {

constexpr int kPrompt = 20;
constexpr int kAnswer = 12;

class EngineTest : public testing::Test {
 protected:
  EngineTest()
      : model_(Model::Open(BATON_SOURCE_DIR "/tests/golden/gqa-untied.gguf").value()),
        layers_{0, model_->spec().n_layers} {
    auto device = device::MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 2});
    StageOptions options;
    options.batch_max = 4;
    auto stage = Stage::Load(*model_, layers_, *device, options).value();
    stage_ = LoadedStage::Create(std::move(device), std::move(stage)).value();
  }

  std::vector<TokenId> Prompt(int seed) const {
    std::vector<TokenId> tokens;
    for (int i = 0; i < kPrompt; ++i) {
      tokens.push_back((i * 31 + seed * 977 + 5) % model_->spec().vocab_size);
    }
    return tokens;
  }

  // One sequence that answers greedily, each step submitted by the one before.
  struct Answer {
    SlotId slot = 0;
    std::vector<TokenId> tokens;
    std::promise<void> finished;
  };
  void Submit(Engine& engine, Answer& answer, int position, std::vector<TokenId> tokens) {
    Step step;
    step.layers = layers_;
    step.first_position = position;
    const int end = position + static_cast<int>(tokens.size());
    step.tokens = std::move(tokens);
    step.want_logits = true;
    step.done = [this, &engine, &answer, end](Result<StageOutput> output) {
      CHECK(output.ok(), "{}", output.error().message());
      const TokenId next = Sample(output->logits, {}, {}, 0).value().token;
      answer.tokens.push_back(next);
      if (answer.tokens.size() == kAnswer) return answer.finished.set_value();
      Submit(engine, answer, end, {next});
    };
    engine.Submit(answer.slot, std::move(step));
  }
  void Start(Engine& engine, Answer& answer, int seed) {
    const auto prompt = Prompt(seed);
    const auto opened = engine.Open(stage_, kv::HashPrefixes(model_->fingerprint(), prompt),
                                    kPrompt, kPrompt + kAnswer);
    CHECK(opened.ok(), "{}", opened.error().message());
    answer.slot = opened->slot;
    Submit(engine, answer, 0, prompt);
  }
  std::vector<std::vector<TokenId>> Run(const std::vector<int>& seeds, int* largest_batch) {
    std::vector<Answer> answers(seeds.size());
    Engine engine(clock_);
    engine.Post([&] {
      for (size_t i = 0; i < seeds.size(); ++i) Start(engine, answers[i], seeds[i]);
    });
    std::vector<std::vector<TokenId>> tokens;
    for (Answer& answer : answers) {
      answer.finished.get_future().wait();
      tokens.push_back(answer.tokens);
    }
    *largest_batch = engine.largest_batch();
    return tokens;
  }

  const os::SystemClock clock_;
  const std::shared_ptr<const Model> model_;
  const LayerRange layers_;
  std::shared_ptr<LoadedStage> stage_;
};

TEST_F(EngineTest, SequencesShareRunsAndGetTheTokensTheyWouldGetAlone) {
  const std::vector<int> seeds = {1, 2, 3, 4, 5, 6};
  int largest = 0;
  std::vector<std::vector<TokenId>> alone;
  for (const int seed : seeds) {
    alone.push_back(Run({seed}, &largest).front());
    EXPECT_EQ(largest, 0);
  }
  EXPECT_EQ(Run(seeds, &largest), alone);
  EXPECT_EQ(largest, 4);  // as many as the stage takes
}

TEST_F(EngineTest, AMemberThatCannotRunHarmsNobodyElse) {
  int largest = 0;
  const auto alone = Run({7}, &largest).front();
  Answer good;
  std::promise<Error> refused;
  Engine engine(clock_);
  engine.Post([&] {
    Start(engine, good, 7);
    const auto prompt = Prompt(8);
    const SlotId bad =
        engine.Open(stage_, kv::HashPrefixes(model_->fingerprint(), prompt), kPrompt, kPrompt)
            ->slot;
    Step step;
    step.layers = layers_;
    step.first_position = 3;  // nothing comes before it
    step.tokens = {1};
    step.want_logits = true;
    step.done = [&](Result<StageOutput> output) { refused.set_value(output.error()); };
    engine.Submit(bad, std::move(step));
  });
  EXPECT_EQ(refused.get_future().get().code(), Code::kInvalidArgument);
  good.finished.get_future().wait();
  EXPECT_EQ(good.tokens, alone);
}

}  // namespace
}  // namespace baton::engine
