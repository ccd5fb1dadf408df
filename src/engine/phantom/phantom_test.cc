// A phantom's tokens depend on all of a text and on nothing else, and its steps take the time that
// the cost model says.
#include <gmock/gmock.h>

#include "device/phantom/mark.h"
#include "device/phantom/phantom_device.h"
#include "engine/phantom/pace.h"
#include "engine/sampler.h"
#include "engine/stage.h"
#include "kernels/select.h"
#include "kv/transfer.h"
#include "model/model.h"
#include "plan/cost.h"
#include "plan/model_cost.h"

namespace baton::engine {
namespace {

using std::chrono::milliseconds;

constexpr int kPrompt = 150;
constexpr int kAnswer = 12;

std::shared_ptr<const plan::DeviceProfile> Pretended() {
  plan::DeviceProfile device{.name = "a box"};
  device.rates = {{DType::kF16, 4e9, 2e8}};
  device.attention_flops_per_s = 1e9;
  device.kv_read_bytes_per_s = 1e8;
  device.layer_overhead_us = 40;
  return std::make_shared<plan::DeviceProfile>(device);
}

// All that a run needs, with time that passes only where the phantom waits.
struct Lab {
  explicit Lab(std::string_view name)
      : model(Model::Open(fmt::format("{}/tests/golden/{}.gguf", BATON_SOURCE_DIR, name)).value()) {
  }

  std::vector<TokenId> Prompt(int seed = 1) const {
    std::vector<TokenId> tokens;
    for (int i = 0; i < kPrompt; ++i)
      tokens.push_back((i * 7919 + seed * 13) % model->spec().vocab_size);
    return tokens;
  }
  LayerRange all() const { return {0, model->spec().n_layers}; }

  os::FakeClock clock;
  os::FakeWaiter waiter{clock};
  device::PhantomDevice device{*kernels::SelectKernels("").value(), waiter};
  std::shared_ptr<const Model> model;
};

// Stages in a row with a sequence at each.
class Runner {
 public:
  Runner(Lab& lab, std::vector<int> cuts, KvType kv_type = KvType::kF16) : lab_(lab) {
    cuts.push_back(lab.model->spec().n_layers);
    int first = 0;
    for (const int last : cuts) {
      const StageOptions options{.kv_type = kv_type, .phantom = Pretended()};
      auto stage = Stage::Load(*lab.model, {first, last}, lab.device, options).value();
      workspaces_.push_back(stage->NewWorkspace().value());
      sequences_.push_back(std::make_unique<kv::Sequence>(stage->pool()));
      sequences_.back()->SetTextTokens(lab.model->spec().context_length);
      stages_.push_back(std::move(stage));
      first = last;
    }
  }

  // The token behind these.
  TokenId Run(int first, std::span<const TokenId> tokens) {
    std::vector<float> rows;
    TokenId next = -1;
    for (size_t i = 0; i < stages_.size(); ++i) {
      NoHooks hooks;
      const bool last = i + 1 == stages_.size();
      const auto output = stages_[i]->Run({.layers = stages_[i]->layers(),
                                           .first_position = first,
                                           .tokens = i == 0 ? tokens : std::span<const TokenId>(),
                                           .activations = rows,
                                           .logit_rows = last ? 1 : 0},
                                          *sequences_[i], workspaces_[i], hooks);
      CHECK(output.ok(), "{}", output.error().message());
      rows.assign(output->activations.begin(), output->activations.end());
      if (last) next = Sample(output->logits, {}, {}, 0).value().token;
    }
    return next;
  }

  // The prompt in chunks, then an answer.
  std::vector<TokenId> Answer(std::span<const TokenId> prompt, size_t chunk) {
    TokenId next = -1;
    for (size_t at = 0; at < prompt.size(); at += chunk)
      next = Run(static_cast<int>(at), prompt.subspan(at, std::min(chunk, prompt.size() - at)));
    return Continue(static_cast<int>(prompt.size()), next);
  }
  std::vector<TokenId> Continue(int position, TokenId next) {
    std::vector<TokenId> answer = {next};
    while (answer.size() < kAnswer) answer.push_back(Run(position++, std::span(&answer.back(), 1)));
    return answer;
  }

  // Takes over the first `tokens` tokens of `from`, which has one stage as this has.
  void TakeOver(Runner& from, int tokens, KvType wire, int skipped_layer = -1) {
    const auto& [theirs, ours] = std::pair(from.sequences_.front().get(), sequences_.front().get());
    CHECK(ours->Reserve(tokens + kAnswer).ok());
    for (int layer = 0; layer < lab_.model->spec().n_layers; ++layer) {
      if (layer == skipped_layer) continue;
      const kv::PagePool& pool = from.stages_.front()->pool();
      const int wanted = kv::FirstWanted(tokens, pool.WindowOf(layer));
      const kv::Slab slab{layer, wanted, tokens - wanted};
      const auto bytes = kv::ExportKv(pool, theirs->pages(), slab, wire).value();
      CHECK(kv::ImportKv(stages_.front()->pool(), ours->pages(), slab, wire, bytes).ok());
    }
    ours->SetLength(tokens);
  }

 private:
  Lab& lab_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Workspace> workspaces_;
  std::vector<std::unique_ptr<kv::Sequence>> sequences_;
};

class Phantom : public testing::TestWithParam<std::string_view> {};

INSTANTIATE_TEST_SUITE_P(Models, Phantom,
                         testing::Values("gqa-untied", "gpt-oss", "gemma2", "deepseek2"),
                         [](const auto& info) {
                           std::string name(info.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Phantom, TheSameTokensInAnyChunksAndStages) {
  Lab lab(GetParam());
  const auto prompt = lab.Prompt();
  const auto expected = Runner(lab, {}).Answer(prompt, kPrompt);
  EXPECT_EQ(Runner(lab, {}).Answer(prompt, 64), expected);
  EXPECT_EQ(Runner(lab, {}).Answer(prompt, 7), expected);
  EXPECT_EQ(Runner(lab, {1}).Answer(prompt, 32), expected);
  EXPECT_EQ(Runner(lab, {}, KvType::kF32).Answer(prompt, 64), expected);
}

TEST_P(Phantom, TokensDependOnAllOfTheText) {
  Lab lab(GetParam());
  const auto expected = Runner(lab, {}).Answer(lab.Prompt(), 64);
  for (const size_t changed : {0, 70, kPrompt - 1}) {
    auto prompt = lab.Prompt();
    prompt[changed] = (prompt[changed] + 1) % lab.model->spec().vocab_size;
    EXPECT_NE(Runner(lab, {}).Answer(prompt, 64), expected) << changed;
  }
}

TEST_P(Phantom, AHandOverKeepsTheTokensAndALostLayerDoesNot) {
  Lab lab(GetParam());
  const auto prompt = lab.Prompt();
  const auto expected = Runner(lab, {}).Answer(prompt, 64);
  const int known = kPrompt - 1;
  Runner prefill(lab, {});
  prefill.Run(0, std::span(prompt).first(known));
  Runner decode(lab, {});
  decode.TakeOver(prefill, known, KvType::kF16);
  EXPECT_EQ(decode.Continue(kPrompt, decode.Run(known, std::span(prompt).last(1))), expected);
  Runner torn(lab, {});
  torn.TakeOver(prefill, known, KvType::kF16, /*skipped_layer=*/1);
  EXPECT_NE(torn.Continue(kPrompt, torn.Run(known, std::span(prompt).last(1))), expected);
}

TEST(PhantomKv, BlocksOfQ8_0KeepTheTokensAsPagesAndOnTheWire) {
  Lab lab("tied-head64");
  const auto prompt = lab.Prompt();
  const auto expected = Runner(lab, {}).Answer(prompt, 64);
  EXPECT_EQ(Runner(lab, {}, KvType::kQ8_0).Answer(prompt, 64), expected);
  Runner prefill(lab, {});
  prefill.Run(0, std::span(prompt).first(kPrompt - 1));
  Runner decode(lab, {});
  decode.TakeOver(prefill, kPrompt - 1, KvType::kQ8_0);
  EXPECT_EQ(decode.Continue(kPrompt, decode.Run(kPrompt - 1, std::span(prompt).last(1))), expected);
}

// Of a page whose tokens have marks: those of each, as attention reads them.
TEST(PhantomKv, AClearedFrameHasNoMarks) {
  Lab lab("gqa-untied");
  constexpr size_t kWidth = 128;
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    const device::KvLayout layout{{2, 64}, type};
    const auto storage = lab.device.Allocate(layout.layer_bytes()).value();
    const auto memory = lab.device.Allocate(2 * kPageTokens * kWidth * sizeof(float)).value();
    const device::Rows rows{memory.get(), 0, kPageTokens, kWidth};
    const device::Rows into{memory.get(), kPageTokens * kWidth, kPageTokens, kWidth};
    const int32_t page = 0;
    const device::KvRows tokens{
        {storage.get(), std::span(&page, 1), layout.layer_bytes(), 0, layout}, 0, kPageTokens};
    const auto marks = [&] {
      lab.device.Attend(rows, std::span(&tokens, 1), {}, {}, into);
      std::vector<device::Mark> list;
      for (size_t t = 0; t < kPageTokens; ++t)
        list.push_back(device::ReadMark({into.host() + t * kWidth, kWidth}));
      return list;
    };
    lab.device.StoreKv(rows, rows, std::span(&tokens, 1));
    EXPECT_THAT(marks(), testing::Each(testing::Ne(device::Mark{0})));
    lab.device.ClearKv(layout, {storage->host(), layout.layer_bytes()});
    EXPECT_THAT(marks(), testing::Each(device::Mark{0})) << NameOf(type);
  }
}

TEST(PhantomTime, APromptTakesWhatTheCostModelSays) {
  Lab lab("gqa-untied");
  const plan::ModelCost model =
      plan::CostOfModel(lab.model->spec(), lab.model->tensors(), "golden");
  for (const int chunk : {kPrompt, 64, 50}) {
    Runner runner(lab, {});
    const auto prompt = lab.Prompt();
    const os::TimePoint begin = lab.clock.Now();
    for (int at = 0; at < kPrompt; at += chunk)
      runner.Run(at, std::span(prompt).subspan(at, std::min(chunk, kPrompt - at)));
    const plan::Workload workload{.prompt_tokens = kPrompt, .chunk_tokens = chunk};
    const int chunks = (kPrompt + chunk - 1) / chunk;
    plan::DeviceProfile device = *Pretended();
    // Runner asks for logits after every chunk, the cost model has them once.
    const double head_s = static_cast<double>(model.head_bytes) / device.rates[0].read_bytes_per_s;
    const double expected =
        plan::CostOf(device, model, lab.all(), workload).prefill_whole_s + (chunks - 1) * head_s;
    EXPECT_NEAR(os::SecondsBetween(begin, lab.clock.Now()), expected, 1e-6) << chunk;
  }
}

TEST(PhantomTime, ATokenTakesWhatTheCostModelSays) {
  Lab lab("gqa-untied");
  const plan::ModelCost model =
      plan::CostOfModel(lab.model->spec(), lab.model->tensors(), "golden");
  Runner runner(lab, {});
  TokenId next = runner.Run(0, lab.Prompt());
  for (int position = kPrompt; position < kPrompt + 5; ++position) {
    const os::TimePoint begin = lab.clock.Now();
    next = runner.Run(position, std::span(&next, 1));
    const plan::Workload workload{.prompt_tokens = position, .answer_tokens = 0};
    EXPECT_NEAR(os::SecondsBetween(begin, lab.clock.Now()),
                plan::CostOf(*Pretended(), model, lab.all(), workload).decode_step_s, 1e-6);
  }
}

// Two sequences that decode together, against each of them alone.
TEST(PhantomTime, ABatchReadsItsWeightsOnce) {
  Lab lab("gqa-untied");
  const StageOptions options{.phantom = Pretended()};
  auto stage = Stage::Load(*lab.model, lab.all(), lab.device, options).value();
  Workspace workspace = stage->NewWorkspace().value();
  std::vector<std::unique_ptr<kv::Sequence>> sequences;
  std::vector<BatchMember> members;
  NoHooks hooks;
  const auto prompt = lab.Prompt();
  for (int i = 0; i < 2; ++i) {
    sequences.push_back(std::make_unique<kv::Sequence>(stage->pool()));
    sequences.back()->SetTextTokens(kPrompt);
    ASSERT_TRUE(
        stage->Run({.layers = lab.all(), .tokens = prompt}, *sequences.back(), workspace, hooks)
            .ok());
    members.push_back({sequences.back().get(), kPrompt, i});
  }
  const os::TimePoint begin = lab.clock.Now();
  ASSERT_TRUE(stage->RunBatch({lab.all(), members, true}, workspace).ok());
  const plan::ModelCost model =
      plan::CostOfModel(lab.model->spec(), lab.model->tensors(), "golden");
  plan::Workload workload{.prompt_tokens = kPrompt, .answer_tokens = 0, .concurrency = 2};
  const double together = plan::CostOf(*Pretended(), model, lab.all(), workload).decode_step_s;
  EXPECT_NEAR(os::SecondsBetween(begin, lab.clock.Now()), together, 1e-6);
  workload.concurrency = 1;
  EXPECT_LT(together, 1.9 * plan::CostOf(*Pretended(), model, lab.all(), workload).decode_step_s);
}

// A waiter that oversleeps.
class Late final : public os::Waiter {
 public:
  os::TimePoint Now() const override { return now; }
  void SleepUntil(os::TimePoint when) override { now = std::max(now, when) + late; }
  void ReachExactly(os::TimePoint when) override { SleepUntil(when); }
  os::TimePoint now{std::chrono::seconds(5)};
  os::Duration late{};
};

TEST(Pace, LateWakeUpsDoNotAddUp) {
  Late waiter;
  waiter.late = milliseconds(1);
  Pace pace(waiter);
  const os::TimePoint begin = waiter.now;
  for (int i = 0; i < 100; ++i) {
    pace.Begin();
    pace.Reach(0.004);
    pace.End(0.010);
  }
  EXPECT_EQ(waiter.now - begin, milliseconds(1001));
}

// Whoever is too slow for what it pretends to be does not make up for it later.
TEST(Pace, AnOverloadedMachineShows) {
  Late waiter;
  Pace pace(waiter);
  pace.Begin();
  waiter.now += milliseconds(500);
  pace.End(0.010);
  const os::TimePoint after = waiter.now;
  pace.Begin();
  pace.End(0.010);
  EXPECT_GE(waiter.now - after, milliseconds(7));
}

TEST(Pace, WaitingForOthersIsNoWork) {
  Late waiter;
  Pace pace(waiter);
  const os::TimePoint begin = waiter.now;
  pace.Begin();
  waiter.now += milliseconds(300);
  pace.Pause(milliseconds(300));
  pace.End(0.010);
  EXPECT_EQ(waiter.now - begin, milliseconds(310));
}

}  // namespace
}  // namespace baton::engine
