// Whoever is ready shares a run, gets its own results, and nobody starves.
#include "engine/engine.h"

#include <cctype>
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

// --- Whose turn it is ---

// Prompts in chunks of three tokens, and answers, each step a letter of `order`.
class TurnsTest : public EngineTest {
 protected:
  // On the engine's thread. `answers` steps follow the prompt.
  void Begin(char name, int prompt_tokens, int answers = 0) {
    const std::vector<TokenId> prompt(static_cast<size_t>(prompt_tokens), name);
    const auto opened = engine_.Open(stage_, kv::HashPrefixes(model_->fingerprint(), prompt),
                                     prompt_tokens, prompt_tokens + answers);
    CHECK(opened.ok(), "{}", opened.error().message());
    for (int at = 0; at < prompt_tokens; at += kChunk)
      Run(opened->slot, name, at, std::min(kChunk, prompt_tokens - at));
    for (int at = prompt_tokens; at < prompt_tokens + answers; ++at)
      Run(opened->slot, static_cast<char>(std::tolower(name)), at, 1);
  }

  // Ends when so many steps have run.
  std::string OrderOf(size_t steps, const std::function<void()>& begin) {
    steps_ = steps;
    engine_.Post(begin);
    ended_.get_future().wait();
    return order_;
  }

  std::function<void(char)> on_run_ = [](char) {};

 private:
  static constexpr int kChunk = 3;

  void Run(SlotId slot, char letter, int at, int count) {
    Step step;
    step.layers = layers_;
    step.first_position = at;
    step.tokens.assign(static_cast<size_t>(count), letter);
    step.done = [this, letter](const Result<StageOutput>& output) {
      CHECK(output.ok(), "{}", output.error().message());
      order_ += letter;
      on_run_(letter);
      if (order_.size() == steps_) ended_.set_value();
    };
    engine_.Submit(slot, std::move(step));
  }

  size_t steps_ = 0;
  std::string order_;
  std::promise<void> ended_;
  Engine engine_{clock_};
};

TEST_F(TurnsTest, PromptsInOrderOfArrivalAShortOneBefore) {
  const std::string order = OrderOf(9, [&] {
    Begin('A', 12);
    Begin('B', 12);
    Begin('C', 3);
  });
  EXPECT_EQ(order, "CAAAABBBB");
}

TEST_F(TurnsTest, AnswersTakeTurnsWithPrompts) {
  const std::string order = OrderOf(11, [&] {
    Begin('D', 3, 4);
    Begin('A', 9);
    Begin('B', 9);
  });
  EXPECT_EQ(order, "DAdAAdBdBdB") << "two turns of prompts while there are two";
}

// Short ones keep coming: the long one waits for as many of their tokens as it has, and no more.
TEST_F(TurnsTest, NobodyIsOvertakenForEver) {
  int begun = 0;
  on_run_ = [&](char letter) {
    if (letter == 'S' && ++begun < 8) Begin('S', 3);
  };
  const std::string order = OrderOf(12, [&] {
    Begin('L', 12);
    Begin('S', 3);
  });
  EXPECT_EQ(order, "SSSLLLLSSSSS");
}

// --- Windows ---

// One sequence after the other on a stage of a model with windows of 40 tokens.
class WindowEngineTest : public testing::TestWithParam<std::string_view> {
 protected:
  static constexpr int kChunk = 32;

  // With room for all of so many tokens, or for one sequence of them and no more.
  enum class Room { kAll, kHeld };
  void Load(int room_tokens, Room room) {
    auto device = device::MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 2});
    const LayerRange layers{0, model_->spec().n_layers};
    const int chunk = room == Room::kAll ? room_tokens : kChunk;
    const StageOptions options{
        .kv_bytes_max = KvBytesOf(model_->spec(), layers, KvType::kF16, room_tokens, chunk),
        .chunk_tokens_max = kChunk};
    auto stage = Stage::Load(*model_, layers, *device, options).value();
    stage_ = LoadedStage::Create(std::move(device), std::move(stage)).value();
  }

  std::vector<TokenId> Prompt(int seed, int count) const {
    std::vector<TokenId> tokens;
    for (int i = 0; i < count; ++i)
      tokens.push_back((i * 31 + seed * 977 + 5) % model_->spec().vocab_size);
    return tokens;
  }

  // On the engine's thread: the next chunk, then what comes after it.
  void Submit(Engine& engine, SlotId slot, int at) {
    Step step;
    step.layers = {0, model_->spec().n_layers};
    step.first_position = at;
    const int end = std::min(at + kChunk, static_cast<int>(tokens_.size()));
    step.tokens = {tokens_.begin() + at, tokens_.begin() + end};
    step.want_logits = end == static_cast<int>(tokens_.size());
    step.done = [this, &engine, slot, end](Result<StageOutput> output) {
      CHECK(output.ok(), "{}", output.error().message());
      if (end < static_cast<int>(tokens_.size())) return Submit(engine, slot, end);
      logits_.assign(output->logits.begin(), output->logits.end());
      const auto prefixes = kv::HashPrefixes(model_->fingerprint(), tokens_);
      engine.Close(slot, prefixes, static_cast<int>(tokens_.size()));
      finished_.set_value();
    };
    engine.Submit(slot, std::move(step));
  }

  // Logits behind `prompt`; says in cached_ what the cache had of it.
  std::vector<float> Run(Engine& engine, std::vector<TokenId> prompt) {
    finished_ = {};
    tokens_ = std::move(prompt);
    engine.Post([&] {
      const auto prefixes = kv::HashPrefixes(model_->fingerprint(), tokens_);
      const int count = static_cast<int>(tokens_.size());
      const auto opened = engine.Open(stage_, prefixes, count, count);
      CHECK(opened.ok(), "{}", opened.error().message());
      cached_ = opened->cached_tokens;
      Submit(engine, opened->slot, cached_);
    });
    finished_.get_future().wait();
    return logits_;
  }

  const os::SystemClock clock_;
  const std::shared_ptr<const Model> model_ =
      Model::Open(fmt::format(BATON_SOURCE_DIR "/tests/golden/{}.gguf", GetParam())).value();
  std::shared_ptr<LoadedStage> stage_;
  std::vector<TokenId> tokens_;
  std::vector<float> logits_;
  std::promise<void> finished_;
  int cached_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Models, WindowEngineTest,
                         testing::Values("mistral-window", "gemma3", "gpt-oss"),
                         [](const auto& info) {
                           std::string name(info.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(WindowEngineTest, APromptThatForksWhereAWindowHasPassedIsStillFound) {
  auto forked = Prompt(1, 300);
  for (size_t i = 130; i < forked.size(); ++i) forked[i] ^= 1;
  Load(4000, Room::kAll);
  std::vector<float> alone;
  {
    Engine engine(clock_);
    alone = Run(engine, forked);
    EXPECT_EQ(cached_, 0);
  }
  Load(4000, Room::kAll);
  Engine engine(clock_);
  Run(engine, Prompt(1, 300));
  EXPECT_EQ(Run(engine, Prompt(1, 300)), logits_);
  EXPECT_EQ(cached_, 256);
  EXPECT_EQ(Run(engine, forked), alone);
  EXPECT_EQ(cached_, 128);
}

// As before, in a pool that has hardly room for one: what is not there is computed again.
TEST_P(WindowEngineTest, NothingIsWrongWhereMemoryIsShort) {
  auto forked = Prompt(1, 300);
  for (size_t i = 130; i < forked.size(); ++i) forked[i] ^= 1;
  Load(4000, Room::kAll);
  std::vector<std::vector<float>> expected;
  for (const auto& prompt : {Prompt(1, 300), forked, Prompt(2, 290)}) {
    Engine engine(clock_);
    expected.push_back(Run(engine, prompt));
    Load(4000, Room::kAll);
  }
  Load(300, Room::kHeld);
  Engine engine(clock_);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Run(engine, Prompt(1, 300)), expected[0]) << round;
    EXPECT_EQ(Run(engine, forked), expected[1]) << round << ", cached " << cached_;
    EXPECT_EQ(Run(engine, Prompt(2, 290)), expected[2]) << round;
  }
}

}  // namespace
}  // namespace baton::engine
