// A whole cluster in one process: real meshes over loopback, real engines, tiny models.
#include "cluster/cluster.h"

#include <filesystem>
#include <list>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "base/random.h"
#include "cluster/records.h"
#include "os/file.h"

namespace baton::cluster {
namespace {

using std::chrono::milliseconds;

const std::string kGolden = BATON_SOURCE_DIR "/tests/golden/";

LocalModel GoldenModel(const std::string& name) {
  const std::string path = kGolden + name + ".gguf";
  const auto model = Model::Open(path);
  CHECK(model.ok(), "{}", model.error().message());
  return {name, path, (*model)->fingerprint(), std::filesystem::file_size(path)};
}

plan::DeviceProfile Device(double speed) {
  return {.name = "test",
          .memory_bytes = 1ull << 30,
          .rates = {{DType::kF32, speed * 1e11, speed * 1e10}},
          .attention_flops_per_s = speed * 1e11,
          .kv_read_bytes_per_s = speed * 1e10,
          .layer_overhead_us = 10};
}

struct Answer {
  std::vector<TokenId> tokens;
  std::optional<FinishReason> finish;
  std::optional<Error> error;
  RequestStats stats;
  bool ended() const { return finish || error; }
};

class ClusterTest : public testing::Test {
 protected:
  struct Node {
    Node(ClusterTest& test, const net::Identity& identity, const net::Roster& roster, int number)
        : cluster(std::make_unique<Cluster>(
              test.io_, test.clock_,
              ClusterOptions{.name = fmt::format("n{}", number),
                             .device = Device(1),
                             .models = {GoldenModel("gqa-untied"), GoldenModel("tied-head64"),
                                        GoldenModel("gpt-oss"), GoldenModel("phi3-long")},
                             .threads = 1,
                             .workload = {.prompt_tokens = 64,
                                          .answer_tokens = 32,
                                          .context_tokens = 512,
                                          .slots = 4,
                                          .chunk_tokens = 64}})),
          mesh(std::make_unique<net::Mesh>(test.io_, identity, roster,
                                           net::MeshOptions{.name = fmt::format("n{}", number)},
                                           test.clock_, *cluster)) {
      CHECK(mesh->Listen("127.0.0.1", 0).ok());
      mesh->Start();
      cluster->Start(*mesh);
    }
    ~Node() {
      cluster->Stop();
      mesh->Stop();
      cluster.reset();
    }
    std::unique_ptr<Cluster> cluster;
    std::unique_ptr<net::Mesh> mesh;
  };

  ~ClusterTest() override { nodes_.clear(); }

  // `count` nodes that know each other, in the order of their ids.
  void StartNodes(int count) {
    for (int i = 0; i < count; ++i) identities_.push_back(net::Identity::Create());
    std::sort(identities_.begin(), identities_.end(),
              [](const auto& a, const auto& b) { return a.id() < b.id(); });
    roster_ = net::Roster::Found(identities_[0], "n0");
    for (int i = 1; i < count; ++i)
      roster_.Admit(identities_[0], identities_[i].id(), fmt::format("n{}", i));
    StartUpTo(count);
  }

  // Those that do not run, up to the last of so many, which then know each other.
  void StartUpTo(int count) {
    while (static_cast<int>(nodes_.size()) < count) {
      const auto number = nodes_.size();
      nodes_.push_back(
          std::make_unique<Node>(*this, identities_[number], roster_, static_cast<int>(number)));
    }
    for (const auto& a : nodes_) {
      for (const auto& b : nodes_) a->mesh->AddAddress(b->mesh->id(), "127.0.0.1", b->mesh->port());
    }
    const auto all = static_cast<size_t>(count);
    ASSERT_TRUE(RunUntil([&] {
      return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
        return node->cluster->View().links.size() == all * (all - 1);
      });
    }));
  }

  NodeId Id(int node) const { return identities_[static_cast<size_t>(node)].id(); }

  bool RunUntil(const std::function<bool()>& done, milliseconds most = milliseconds(10000)) {
    const auto deadline = std::chrono::steady_clock::now() + most;
    while (!done() && std::chrono::steady_clock::now() < deadline) io_.run_one_for(milliseconds(2));
    return done();
  }

  Result<InstanceView> Place(int on, const std::string& model, const plan::Constraints& told) {
    return Place(on, model, told, nodes_[on]->cluster->default_workload());
  }
  Result<InstanceView> Place(int on, const std::string& model, const plan::Constraints& told,
                             const plan::Workload& workload) {
    std::optional<Result<InstanceView>> placed;
    nodes_[on]->cluster->Place(model, workload, told,
                               [&](Result<InstanceView> view) { placed = std::move(view); });
    RunUntil([&] { return placed.has_value(); });
    if (!placed) return Error(Code::kDeadlineExceeded, "placement did not end");
    return *placed;
  }

  std::vector<TokenId> Prompt(size_t length, uint64_t seed) const {
    Rng rng(seed);
    std::vector<TokenId> prompt;
    for (size_t i = 0; i < length; ++i) prompt.push_back(static_cast<TokenId>(rng.Below(200)));
    return prompt;
  }

  RequestId Ask(int entry, Answer& answer, const std::vector<TokenId>& prompt, int max_tokens,
                engine::SamplingParams sampling = {}, const std::string& model = "gqa-untied") {
    return nodes_[entry]->cluster->Submit(
        {.model = model,
         .prompt = prompt,
         .sampling = sampling,
         .max_tokens = max_tokens,
         .ignore_end = true},
        {.on_token = [&answer](const TokenEvent& event) { answer.tokens.push_back(event.token); },
         .on_done =
             [&answer](FinishReason reason, const RequestStats& stats) {
               answer.finish = reason;
               answer.stats = stats;
             },
         .on_error = [&answer](const Error& error) { answer.error = error; }});
  }

  Answer AskAndWait(int entry, const std::vector<TokenId>& prompt, int max_tokens,
                    engine::SamplingParams sampling = {}, const std::string& model = "gqa-untied") {
    Answer answer;
    Ask(entry, answer, prompt, max_tokens, sampling, model);
    EXPECT_TRUE(RunUntil([&] { return answer.ended(); }, milliseconds(30000)));
    return answer;
  }

  // Where this thread is not run in time, it sees whole answers at once: then they are asked for
  // again, until `ask` says that it has caught them under way.
  static void CatchUnderWay(const std::function<bool()>& ask) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!ask() && std::chrono::steady_clock::now() < deadline) continue;
  }

  net::asio::io_context io_;
  os::SystemClock clock_;
  std::vector<net::Identity> identities_;
  net::Roster roster_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

constexpr int kShapes = 6;

// The ways to lay a model of 3 layers over three nodes.
plan::Constraints Shape(int shape, const std::function<NodeId(int)>& id) {
  switch (shape) {
    case 0:
      return {.decode_on = {id(0), id(1)}, .split = {1, 2}};
    case 1:
      return {.decode_on = {id(2), id(0), id(1)}, .split = {1, 1, 1}};
    case 2:
      return {.prefill_on = {id(0)}, .decode_on = {id(1)}};
    case 3:
      return {.prefill_on = {id(2), id(1)}, .decode_on = {id(0)}};
    case 4:
      return {.prefill_on = {id(2)}, .decode_on = {id(0), id(1)}, .split = {2, 1}};
    default:
      return {.prefill_on = {id(0), id(1)}, .decode_on = {id(1), id(0)}, .split = {1, 2}};
  }
}

class ModelTest : public ClusterTest, public testing::WithParamInterface<std::string> {};
// All that attention sees, and windows of 40 tokens in two layers of three.
INSTANTIATE_TEST_SUITE_P(Models, ModelTest, testing::Values("gqa-untied", "gpt-oss"),
                         [](const auto& info) {
                           return std::string(info.param == "gpt-oss" ? "windows" : "none");
                         });

TEST_P(ModelTest, EveryWayToSplitGivesTheSameTokens) {
  const std::string model = GetParam();
  StartNodes(3);
  struct Case {
    std::vector<TokenId> prompt;
    engine::SamplingParams sampling;
    Answer expected;
  };
  std::vector<Case> cases;
  for (const size_t length : {1, 2, 63, 64, 65, 150, 300}) {
    engine::SamplingParams sampling;
    if (length % 2 == 1) {
      sampling = {.temperature = 0.9f, .top_k = 50, .presence_penalty = 0.5f, .seed = 7};
    }
    cases.push_back({Prompt(length, length), sampling, {}});
  }
  ASSERT_TRUE(Place(0, model, {.nodes = {Id(0)}}).ok());
  for (Case& each : cases) {
    each.expected = AskAndWait(0, each.prompt, 24, each.sampling, model);
    ASSERT_FALSE(each.expected.error) << each.expected.error->message();
    ASSERT_EQ(each.expected.tokens.size(), 24u);
  }
  ASSERT_TRUE(nodes_[0]->cluster->StopModel(model).ok());
  for (int shape = 0; shape < kShapes; ++shape) {
    const auto placed = Place(shape % 3, model, Shape(shape, [&](int n) { return Id(n); }));
    ASSERT_TRUE(placed.ok()) << placed.error().message();
    for (const Case& each : cases) {
      const int entry = static_cast<int>(each.prompt.size()) % 3;
      ASSERT_TRUE(RunUntil([&] { return !nodes_[entry]->cluster->View().instances.empty(); }));
      const Answer answer = AskAndWait(entry, each.prompt, 24, each.sampling, model);
      ASSERT_FALSE(answer.error) << answer.error->message();
      EXPECT_EQ(answer.tokens, each.expected.tokens)
          << "shape " << shape << ", prompt of " << each.prompt.size();
      EXPECT_EQ(answer.finish, FinishReason::kLength);
      EXPECT_EQ(answer.stats.attempts, 1);
      EXPECT_EQ(answer.stats.remote_prefill, shape >= 2);
    }
    ASSERT_TRUE(nodes_[shape % 3]->cluster->StopModel(model).ok());
    ASSERT_TRUE(RunUntil([&] {
      return std::all_of(nodes_.begin(), nodes_.end(),
                         [](const auto& node) { return node->cluster->View().instances.empty(); });
    }));
  }
}

TEST_P(ModelTest, TheSecondRequestSendsOnlyWhatIsMissing) {
  const std::string model = GetParam();
  StartNodes(2);
  ASSERT_TRUE(Place(0, model, {.prefill_on = {Id(0)}, .decode_on = {Id(1)}}).ok());
  const auto prompt = Prompt(200, 1);
  const Answer first = AskAndWait(1, prompt, 8, {}, model);
  auto longer = prompt;
  longer.insert(longer.end(), first.tokens.begin(), first.tokens.end());
  const auto more = Prompt(40, 2);
  longer.insert(longer.end(), more.begin(), more.end());
  const Answer second = AskAndWait(1, longer, 8, {}, model);
  ASSERT_FALSE(second.error);
  EXPECT_EQ(second.stats.cached_tokens, 192) << "three full pages of 64";
  if (model == "gqa-untied") {
    EXPECT_LT(second.stats.kv_bytes, first.stats.kv_bytes / 2);
  }
  ASSERT_TRUE(nodes_[0]->cluster->StopModel(model).ok());
  ASSERT_TRUE(Place(0, model, {.nodes = {Id(0)}}).ok());
  EXPECT_EQ(AskAndWait(0, longer, 8, {}, model).tokens, second.tokens);
}

// Windows have passed where the third prompt leaves the first one's path: what they held there is
// in the prefix caches still.
TEST_F(ClusterTest, APromptThatForksIsNotComputedWholeWhereLayersHaveWindows) {
  StartNodes(2);
  for (const plan::Constraints& told :
       {plan::Constraints{.nodes = {Id(0)}},
        plan::Constraints{.decode_on = {Id(0), Id(1)}, .split = {1, 2}}}) {
    ASSERT_TRUE(Place(0, "gpt-oss", told).ok());
    auto forked = Prompt(300, 1);
    for (size_t i = 130; i < forked.size(); ++i) forked[i] ^= 1;
    const Answer alone = AskAndWait(0, forked, 8, {}, "gpt-oss");
    ASSERT_TRUE(nodes_[0]->cluster->StopModel("gpt-oss").ok());
    ASSERT_TRUE(Place(0, "gpt-oss", told).ok());
    AskAndWait(0, Prompt(300, 1), 8, {}, "gpt-oss");
    const Answer answer = AskAndWait(0, forked, 8, {}, "gpt-oss");
    EXPECT_EQ(answer.tokens, alone.tokens);
    EXPECT_EQ(answer.stats.cached_tokens, 128);
    EXPECT_EQ(answer.stats.attempts, 1);
    ASSERT_TRUE(nodes_[0]->cluster->StopModel("gpt-oss").ok());
  }
}

// Behind 64 tokens of text all positions are other ones: the answer goes on as transformers' does.
TEST_F(ClusterTest, AnAnswerGrowsBeyondWhereItsPositionsChange) {
  StartNodes(2);
  const auto golden = boost::json::parse(os::ReadFile(kGolden + "phi3-long.json").value());
  for (const plan::Constraints& told :
       {plan::Constraints{.nodes = {Id(0)}},
        plan::Constraints{.decode_on = {Id(0), Id(1)}, .split = {1, 1}},
        plan::Constraints{.prefill_on = {Id(0)}, .decode_on = {Id(1)}}}) {
    ASSERT_TRUE(Place(0, "phi3-long", told).ok());
    for (const auto& each : golden.at("cases").as_array()) {
      const auto prompt = boost::json::value_to<std::vector<TokenId>>(each.at("prompt"));
      const auto greedy = boost::json::value_to<std::vector<TokenId>>(each.at("greedy"));
      const Answer answer = AskAndWait(0, prompt, static_cast<int>(greedy.size()), {}, "phi3-long");
      ASSERT_FALSE(answer.error) << answer.error->message();
      EXPECT_EQ(answer.tokens, greedy) << prompt.size();
      const bool crosses = prompt.size() <= 64 && prompt.size() + greedy.size() - 1 > 64;
      EXPECT_EQ(answer.stats.attempts, crosses ? 2 : 1) << prompt.size();
    }
    ASSERT_TRUE(nodes_[0]->cluster->StopModel("phi3-long").ok());
  }
}

TEST_F(ClusterTest, ManyRequestsAtOnceAllEndRight) {
  StartNodes(2);
  ASSERT_TRUE(Place(0, "gqa-untied", {.nodes = {Id(0)}}).ok());
  std::vector<Answer> expected;
  for (int i = 0; i < 12; ++i) expected.push_back(AskAndWait(0, Prompt(20 + i * 13, i), 16));
  ASSERT_TRUE(nodes_[0]->cluster->StopModel("gqa-untied").ok());
  ASSERT_TRUE(Place(0, "gqa-untied", {.prefill_on = {Id(0)}, .decode_on = {Id(1)}}).ok());
  std::vector<Answer> answers(12);
  for (int i = 0; i < 12; ++i) Ask(0, answers[i], Prompt(20 + i * 13, i), 16);
  ASSERT_TRUE(RunUntil(
      [&] {
        return std::all_of(answers.begin(), answers.end(), [](auto& a) { return a.ended(); });
      },
      milliseconds(30000)));
  for (int i = 0; i < 12; ++i) {
    ASSERT_FALSE(answers[i].error) << answers[i].error->message();
    EXPECT_EQ(answers[i].tokens, expected[i].tokens) << i;
  }
  // An answer ends before its request is taken off the list.
  EXPECT_TRUE(RunUntil([&] { return nodes_[0]->cluster->Counters().requests_running == 0; }));
}

TEST_F(ClusterTest, ALostNodeDoesNotLoseTheAnswer) {
  StartNodes(3);
  ASSERT_TRUE(Place(0, "gqa-untied", {.nodes = {Id(0)}}).ok());
  const auto prompt = Prompt(100, 9);
  engine::SamplingParams sampling{.temperature = 1.0f, .frequency_penalty = 0.2f, .seed = 5};
  const Answer expected = AskAndWait(0, prompt, 200, sampling);
  ASSERT_TRUE(nodes_[0]->cluster->StopModel("gqa-untied").ok());

  ASSERT_TRUE(Place(0, "gqa-untied", {.prefill_on = {Id(1)}, .decode_on = {Id(2)}}).ok());
  Answer answer;
  CatchUnderWay([&] {
    answer = Answer();
    Ask(0, answer, prompt, 200, sampling);
    return RunUntil([&] { return answer.tokens.size() >= 17; }) && !answer.ended();
  });
  ASSERT_FALSE(answer.ended()) << "too fast to be interrupted";
  nodes_[2].reset();
  nodes_.pop_back();
  ASSERT_TRUE(RunUntil([&] { return answer.ended(); }));
  ASSERT_FALSE(answer.error) << answer.error->message();
  EXPECT_EQ(answer.tokens, expected.tokens) << "none lost, none repeated, none wrong";
  EXPECT_GT(answer.stats.attempts, 1);
  EXPECT_EQ(AskAndWait(0, prompt, 50, sampling).tokens,
            std::vector<TokenId>(expected.tokens.begin(), expected.tokens.begin() + 50));
}

TEST_F(ClusterTest, ALostCoordinatorIsSucceeded) {
  StartNodes(3);
  const auto prompt = Prompt(80, 3);
  ASSERT_TRUE(Place(2, "gqa-untied", {.decode_on = {Id(1), Id(2)}, .split = {2, 1}}).ok());
  ASSERT_TRUE(RunUntil([&] { return !nodes_[0]->cluster->View().instances.empty(); }));
  const Answer before = AskAndWait(0, prompt, 20);
  ASSERT_FALSE(before.error);
  nodes_[2].reset();
  nodes_.pop_back();
  ASSERT_TRUE(RunUntil([&] {
    const auto instances = nodes_[0]->cluster->View().instances;
    return instances.size() == 1 && instances[0].state == InstanceState::kReady &&
           instances[0].coordinator != Id(2);
  }));
  EXPECT_GT(nodes_[0]->cluster->View().instances[0].epoch, 1u);
  EXPECT_EQ(AskAndWait(0, prompt, 20).tokens, before.tokens);
}

// --- Placements follow their devices ---

TEST_F(ClusterTest, WhatANodeHadIsBroughtBackWithIt) {
  StartNodes(3);
  const auto prompt = Prompt(100, 9);
  ASSERT_TRUE(Place(0, "gqa-untied", {.prefill_on = {Id(1)}, .decode_on = {Id(2)}}).ok());
  const Answer expected = AskAndWait(0, prompt, 40);
  const InstanceView before = nodes_[0]->cluster->View().instances.front();
  nodes_.pop_back();
  const auto runs_as = [&](auto is_right) {
    const auto instances = nodes_[0]->cluster->View().instances;
    return instances.size() == 1 && instances[0].state == InstanceState::kReady &&
           is_right(instances[0]);
  };
  ASSERT_TRUE(RunUntil([&] {
    return runs_as([&](const InstanceView& view) { return view.epoch > before.epoch; });
  }));
  EXPECT_EQ(AskAndWait(0, prompt, 40).tokens, expected.tokens);
  StartUpTo(3);
  const auto is_as_told = [&] {
    return runs_as([&](const InstanceView& view) {
      return view.id == before.id && view.plan.disaggregated() &&
             view.plan.prefill.front().node == Id(1) && view.plan.decode.front().node == Id(2);
    });
  };
  // While there is always a request, it stays as it is.
  std::list<Answer> answers;
  const auto keep_busy = [&] {
    const auto is_young = [](const Answer& answer) { return answer.tokens.size() < 200; };
    if (std::none_of(answers.begin(), answers.end(), is_young))
      Ask(0, answers.emplace_back(), prompt, 380);
    return is_as_told();
  };
  EXPECT_FALSE(RunUntil(keep_busy, milliseconds(5000)));
  ASSERT_TRUE(RunUntil(is_as_told));
  for (const Answer& answer : answers) {
    ASSERT_FALSE(answer.error) << answer.error->message();
    ASSERT_TRUE(answer.ended());
    EXPECT_EQ(answer.stats.attempts, 1);
  }
  EXPECT_EQ(AskAndWait(0, prompt, 40).tokens, expected.tokens);
}

TEST_F(ClusterTest, ANodeThatComesIsUsedIfThatGains) {
  StartNodes(3);
  nodes_.pop_back();
  plan::DeviceProfile slow = Device(0.001);
  for (const auto& node : nodes_) node->cluster->SetDevice(slow);
  // Ten times as fast as what is there, or only a twentieth faster.
  for (const double speed : {0.00105, 0.01}) {
    ASSERT_TRUE(Place(0, "gqa-untied", {}).ok());
    const auto prompt = Prompt(60, 1);
    const Answer expected = AskAndWait(0, prompt, 20);
    StartUpTo(3);
    nodes_[2]->cluster->SetDevice(Device(speed));
    const auto uses_it = [&] {
      const auto instances = nodes_[0]->cluster->View().instances;
      if (instances.size() != 1 || instances[0].state != InstanceState::kReady) return false;
      const auto used = plan::NodesUsed(instances[0].plan);
      return std::find(used.begin(), used.end(), Id(2)) != used.end();
    };
    EXPECT_EQ(RunUntil(uses_it, milliseconds(speed > 0.002 ? 20000 : 5000)), speed > 0.002);
    EXPECT_EQ(AskAndWait(0, prompt, 20).tokens, expected.tokens);
    ASSERT_TRUE(nodes_[0]->cluster->StopModel("gqa-untied").ok());
    nodes_.pop_back();
    ASSERT_TRUE(RunUntil([&] { return !nodes_[0]->cluster->View().nodes.back().linked; }));
  }
}

// Its file is gone, which it has not noticed: what ran goes on without it.
TEST_F(ClusterTest, ANodeThatCannotLoadIsDoneWithout) {
  StartNodes(3);
  nodes_.pop_back();
  for (const auto& node : nodes_) node->cluster->SetDevice(Device(0.001));
  ASSERT_TRUE(Place(0, "gqa-untied", {}).ok());
  const auto prompt = Prompt(60, 1);
  const Answer expected = AskAndWait(0, prompt, 20);
  StartUpTo(3);
  LocalModel gone = GoldenModel("gqa-untied");
  gone.path = "/no/such/file.gguf";
  nodes_[2]->cluster->SetLocalModels({gone});
  nodes_[2]->cluster->SetDevice(Device(0.1));
  const auto uses_it = [&] {
    const auto used = plan::NodesUsed(nodes_[0]->cluster->View().instances.front().plan);
    return std::find(used.begin(), used.end(), Id(2)) != used.end();
  };
  // The second epoch is the move, the third does without, and so do others.
  ASSERT_TRUE(RunUntil([&] {
    const auto instances = nodes_[0]->cluster->View().instances;
    return instances.size() == 1 && instances[0].epoch >= 3 &&
           instances[0].state == InstanceState::kReady && !uses_it();
  }));
  EXPECT_EQ(AskAndWait(0, prompt, 20).tokens, expected.tokens);
  EXPECT_FALSE(RunUntil(uses_it, milliseconds(4500)));
}

TEST_F(ClusterTest, WhatEndedWithItsOnlyNodeComesBackWithIt) {
  StartNodes(2);
  ASSERT_TRUE(Place(0, "gqa-untied", {.decode_on = {Id(1)}}).ok());
  const auto only = [&] { return nodes_[0]->cluster->View().instances.front(); };
  const InstanceView before = only();
  // Node 0 has no memory for it.
  plan::DeviceProfile small = Device(1);
  small.memory_bytes = 1;
  nodes_[0]->cluster->SetDevice(small);
  nodes_.pop_back();
  ASSERT_TRUE(RunUntil([&] { return only().state == InstanceState::kFailed; }));
  StartUpTo(2);
  ASSERT_TRUE(RunUntil([&] { return only().state == InstanceState::kReady; }));
  EXPECT_EQ(only().id, before.id);
  EXPECT_FALSE(AskAndWait(0, Prompt(60, 1), 20).error);
  // The owner's word ends it for good.
  nodes_.pop_back();
  ASSERT_TRUE(RunUntil([&] { return only().state == InstanceState::kFailed; }));
  ASSERT_TRUE(nodes_[0]->cluster->StopModel("gqa-untied").ok());
  StartUpTo(2);
  EXPECT_FALSE(
      RunUntil([&] { return !nodes_[0]->cluster->View().instances.empty(); }, milliseconds(4000)));
  EXPECT_FALSE(nodes_[0]->cluster->StopModel("gqa-untied").ok());
}

// --- Several instances ---

class InstancesTest : public ClusterTest {
 protected:
  static constexpr const char* kModel = "gqa-untied";

  std::vector<InstanceView> Ready(int on) const {
    std::vector<InstanceView> ready = nodes_[on]->cluster->View().instances;
    std::erase_if(ready,
                  [](const InstanceView& view) { return view.state != InstanceState::kReady; });
    return ready;
  }

  // As many instances as nodes, for two requests each on average: what a node's steps have taken
  // since it measured itself counts, so that shares may differ.
  void PlaceOnAll(int on) {
    plan::Workload workload = nodes_[on]->cluster->default_workload();
    workload.concurrency = workload.slots = 2 * static_cast<int>(nodes_.size());
    workload.objective = plan::Objective::kThroughput;
    // Long answers: what the links are measured to be decides nothing.
    workload.prompt_tokens = 16;
    workload.answer_tokens = 400;
    const auto placed = Place(on, kModel, {}, workload);
    ASSERT_TRUE(placed.ok()) << placed.error().message();
    EXPECT_EQ(placed->plan.instances.size(), nodes_.size()) << placed->plan.reason;
    EXPECT_EQ(placed->workload.concurrency, workload.concurrency);
    const std::vector<InstanceView> ready = Ready(on);
    ASSERT_EQ(ready.size(), nodes_.size());
    int planned = 0;
    for (const InstanceView& view : ready) {
      EXPECT_EQ(view.placement, ready.front().placement);
      EXPECT_GE(view.workload.concurrency, 1);
      planned += view.workload.concurrency;
    }
    EXPECT_EQ(planned, workload.concurrency);
  }

  // On a node of its own: what its steps take is to decide nothing about where others run.
  std::vector<Answer> Alone(int count, int tokens) {
    StartNodes(1);
    EXPECT_TRUE(Place(0, kModel, {.nodes = {Id(0)}}).ok());
    std::vector<Answer> answers;
    for (int i = 0; i < count; ++i) answers.push_back(AskAndWait(0, Prompt(70 + i, i), tokens));
    nodes_.clear();
    identities_.clear();
    return answers;
  }

  static bool AllEnded(const std::vector<Answer>& answers) {
    return std::all_of(answers.begin(), answers.end(), [](auto& a) { return a.ended(); });
  }
};

TEST_F(InstancesTest, ShareTheRequestsAndGiveTheSameTokens) {
  const std::vector<Answer> expected = Alone(6, 120);
  StartNodes(3);
  PlaceOnAll(0);
  std::vector<Answer> answers(6);
  for (int i = 0; i < 6; ++i) Ask(0, answers[i], Prompt(70 + i, i), 120);
  // Where they are sent is settled before the first of them ends.
  ASSERT_TRUE(RunUntil([&] {
    const auto ready = Ready(0);
    return std::all_of(ready.begin(), ready.end(), [](const InstanceView& view) {
      return view.requests_running == view.workload.concurrency;
    });
  }));
  ASSERT_TRUE(RunUntil([&] { return AllEnded(answers); }, milliseconds(30000)));
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_FALSE(answers[i].error) << answers[i].error->message();
    EXPECT_EQ(answers[i].tokens, expected[i].tokens) << i;
  }
  for (const auto& node : nodes_) EXPECT_GT(node->cluster->Counters().engine_busy_s, 0);
}

TEST_F(InstancesTest, AConversationGoesBackToItsKv) {
  StartNodes(3);
  PlaceOnAll(0);
  std::vector<std::vector<TokenId>> prompts;
  std::vector<Answer> first(3);
  for (int i = 0; i < 3; ++i) prompts.push_back(Prompt(130, 40 + i));
  for (int i = 0; i < 3; ++i) Ask(0, first[i], prompts[i], 70);
  ASSERT_TRUE(RunUntil([&] { return AllEnded(first); }, milliseconds(30000)));
  // In another order, one after the other: each finds prompt and answer, but for its last page.
  for (const int i : {2, 0, 1}) {
    std::vector<TokenId> longer = prompts[i];
    longer.insert(longer.end(), first[i].tokens.begin(), first[i].tokens.end());
    const auto more = Prompt(20, 50 + i);
    longer.insert(longer.end(), more.begin(), more.end());
    EXPECT_EQ(AskAndWait(0, longer, 4).stats.cached_tokens, 192);
  }
}

TEST_F(InstancesTest, ALostNodeEndsItsInstanceAndNoAnswer) {
  const std::vector<Answer> expected = Alone(6, 300);
  StartNodes(3);
  PlaceOnAll(0);
  std::vector<Answer> answers;
  CatchUnderWay([&] {
    // Those of the attempt before are over.
    RunUntil([&] { return AllEnded(answers); }, milliseconds(30000));
    answers = std::vector<Answer>(6);
    for (int i = 0; i < 6; ++i) Ask(0, answers[i], Prompt(70 + i, i), 300);
    const bool begun = RunUntil([&] {
      return std::all_of(answers.begin(), answers.end(),
                         [](auto& a) { return a.tokens.size() >= 5; });
    });
    return begun && std::none_of(answers.begin(), answers.end(), [](auto& a) { return a.ended(); });
  });
  ASSERT_TRUE(std::none_of(answers.begin(), answers.end(), [](auto& a) { return a.ended(); }))
      << "too fast to be interrupted";
  int lost = 0;
  for (const InstanceView& view : Ready(0)) {
    if (view.plan.decode.front().node == Id(2)) lost = view.requests_running;
  }
  EXPECT_GT(lost, 0);
  nodes_.pop_back();
  // The others are full: those of the lost one wait for their turn.
  ASSERT_TRUE(RunUntil([&] { return AllEnded(answers); }, milliseconds(30000)));
  int resumed = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_FALSE(answers[i].error) << answers[i].error->message();
    EXPECT_EQ(answers[i].tokens, expected[i].tokens) << i;
    resumed += answers[i].stats.attempts > 1 ? 1 : 0;
  }
  EXPECT_EQ(resumed, lost);
  const std::vector<InstanceView> left = Ready(0);
  ASSERT_EQ(left.size(), 2u);
  for (const InstanceView& view : left) EXPECT_EQ(view.epoch, 1u) << "untouched";
  // It comes back with its node.
  StartUpTo(3);
  ASSERT_TRUE(RunUntil([&] { return Ready(0).size() == 3; }));
  int planned = 0;
  for (const InstanceView& view : Ready(0)) {
    EXPECT_EQ(view.placement, left.front().placement);
    EXPECT_EQ(view.epoch, view.plan.decode.front().node == Id(2) ? 3u : 1u);
    planned += view.workload.concurrency;
  }
  EXPECT_EQ(planned, 6);
  EXPECT_EQ(nodes_[2]->cluster->View().instances.size(), 3u);
  answers = std::vector<Answer>(6);
  for (int i = 0; i < 6; ++i) Ask(0, answers[i], Prompt(70 + i, i), 300);
  ASSERT_TRUE(RunUntil([&] { return AllEnded(answers); }, milliseconds(30000)));
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i].tokens, expected[i].tokens);
  nodes_.pop_back();
  // The last one is placed anew for all requests, where it can be.
  nodes_.pop_back();
  ASSERT_TRUE(RunUntil([&] { return Ready(0).size() == 1; }));
  EXPECT_EQ(AskAndWait(0, Prompt(70, 0), 300).tokens, expected[0].tokens);
}

TEST_F(ClusterTest, CancelStopsTheWorkEverywhere) {
  StartNodes(2);
  ASSERT_TRUE(Place(0, "gqa-untied", {.prefill_on = {Id(0)}, .decode_on = {Id(1)}}).ok());
  Answer answer;
  const RequestId id = Ask(0, answer, Prompt(100, 4), 380);
  ASSERT_TRUE(RunUntil([&] { return answer.tokens.size() >= 5; }));
  nodes_[0]->cluster->Cancel(id);
  const size_t at_cancel = answer.tokens.size();
  RunUntil([] { return false; }, milliseconds(200));
  EXPECT_EQ(answer.tokens.size(), at_cancel);
  EXPECT_FALSE(answer.ended());
  const double busy = nodes_[1]->cluster->Counters().engine_busy_s;
  RunUntil([] { return false; }, milliseconds(200));
  EXPECT_EQ(nodes_[1]->cluster->Counters().engine_busy_s, busy);
}

// Planning may take seconds; tokens are not to wait for it.
TEST_F(ClusterTest, PlansAreMadeOnAnotherThread) {
  StartNodes(2);
  std::optional<Result<plan::PlanResult>> planned;
  nodes_[0]->cluster->Plan("gqa-untied", nodes_[0]->cluster->default_workload(), {}, nullptr,
                           [&](Result<plan::PlanResult> result) { planned = std::move(result); });
  EXPECT_FALSE(planned);
  ASSERT_TRUE(RunUntil([&] { return planned.has_value(); }));
  ASSERT_TRUE(planned->ok()) << planned->error().message();
  EXPECT_FALSE((*planned)->explanation.bounds.empty());
}

TEST_F(ClusterTest, PlacesOnDemandAndExplainsRefusals) {
  StartNodes(1);
  const Answer answer = AskAndWait(0, Prompt(10, 1), 4, {}, "tied-head64");
  EXPECT_FALSE(answer.error) << answer.error->message();
  EXPECT_EQ(AskAndWait(0, Prompt(10, 1), 4, {}, "nope").error->code(), Code::kNotFound);
  EXPECT_EQ(AskAndWait(0, {}, 4).error->code(), Code::kInvalidArgument);
  EXPECT_EQ(AskAndWait(0, Prompt(5000, 1), 4).error->code(), Code::kInvalidArgument);
  EXPECT_EQ(AskAndWait(0, Prompt(10, 1), 4, {.temperature = -1}).error->code(),
            Code::kInvalidArgument);
  EXPECT_EQ(nodes_[0]->cluster->StopModel("nope").error().code(), Code::kNotFound);
}

TEST_F(ClusterTest, ANodeThatStillMeasuresIsWaitedForOrLeftOut) {
  StartNodes(2);
  nodes_[1]->cluster->SetDevice({});
  ASSERT_TRUE(RunUntil([&] { return nodes_[0]->cluster->Measuring(); }));
  EXPECT_EQ(Place(0, "gqa-untied", {.decode_on = {Id(1)}}).error().code(), Code::kUnavailable);
  const auto alone = Place(0, "gqa-untied", {});
  ASSERT_TRUE(alone.ok());
  ASSERT_EQ(alone->plan.decode.size(), 1U);
  EXPECT_EQ(alone->plan.decode[0].node, Id(0));
  // A request does not settle for less.
  Answer answer;
  Ask(0, answer, Prompt(10, 1), 4, {}, "tied-head64");
  RunUntil([] { return false; }, milliseconds(300));
  EXPECT_TRUE(answer.tokens.empty());
  nodes_[1]->cluster->SetDevice(Device(1));
  EXPECT_TRUE(RunUntil([&] { return answer.ended(); }));
  EXPECT_EQ(answer.tokens.size(), 4U);
}

TEST_F(ClusterTest, EverybodyHearsHowFastMemoryIsNow) {
  StartNodes(2);
  plan::DeviceProfile device = Device(1);
  device.reading_bytes_per_s = 2e10;
  nodes_[1]->cluster->SetRates(device.AtReading(1e10));
  EXPECT_TRUE(RunUntil([&] {
    for (const NodeView& node : nodes_[0]->cluster->View().nodes) {
      if (node.id == Id(1) && node.device.reading_bytes_per_s == 1e10)
        return node.device.rates.at(0).read_bytes_per_s == device.rates[0].read_bytes_per_s / 2;
    }
    return false;
  }));
}

TEST_F(ClusterTest, NodesOfOneMachineKnowOfEachOther) {
  StartNodes(3);
  EXPECT_EQ(nodes_[0]->cluster->OthersOnThisMachine(), 0);
  plan::DeviceProfile device[] = {Device(0), Device(1)};
  for (size_t i = 0; i < 2; ++i) {
    device[i].processors = {"here", {static_cast<int>(i)}, 1};
    nodes_[i]->cluster->SetDevice(device[i]);
  }
  ASSERT_TRUE(RunUntil([&] { return nodes_[0]->cluster->OthersOnThisMachine() == 1; }));
  EXPECT_EQ(nodes_[2]->cluster->OthersOnThisMachine(), 0);
  // What it reads beside the other stays, whatever becomes of its own rates.
  nodes_[1]->cluster->SetSharedReading(7e9);
  nodes_[1]->cluster->SetRates(device[1]);
  EXPECT_TRUE(RunUntil([&] {
    const std::vector<NodeView> nodes = nodes_[2]->cluster->View().nodes;
    return std::any_of(nodes.begin(), nodes.end(), [this](const NodeView& node) {
      return node.id == Id(1) && node.device.processors.shared_reading_bytes_per_s == 7e9;
    });
  }));
}

TEST_F(ClusterTest, EverybodySeesWhatSensorsSay) {
  StartNodes(2);
  const std::vector<os::SensorReading> readings = {
      {.device = "cpu", .temperature_c = 71, .throttled = false},
      {.device = "NVIDIA GB10",
       .power_w = 35.5,
       .clock_mhz = 2400,
       .memory_used_bytes = 10,
       .memory_total_bytes = 24}};
  nodes_[1]->cluster->SetSensors(readings);
  const auto seen = [&] {
    for (const NodeView& node : nodes_[0]->cluster->View().nodes) {
      if (node.id == Id(1)) return node.sensors;
    }
    return std::vector<os::SensorReading>();
  };
  EXPECT_TRUE(RunUntil([&] { return seen() == readings; }));
}

TEST_F(ClusterTest, AnInstanceGivesItsOwnContext) {
  StartNodes(2);
  plan::Workload narrow = nodes_[0]->cluster->default_workload();
  narrow.context_tokens = 100;
  ASSERT_TRUE(Place(0, "gqa-untied", {}, narrow).ok());
  EXPECT_EQ(AskAndWait(0, Prompt(90, 1), 50).tokens.size(), 10U);
  EXPECT_EQ(AskAndWait(0, Prompt(200, 1), 4).error->code(), Code::kInvalidArgument);
  plan::Workload roomy = narrow;
  roomy.context_tokens = 100'000;  // more than the model has
  const auto placed = Place(0, "gqa-untied", {}, roomy);
  ASSERT_TRUE(placed.ok());
  EXPECT_EQ(placed->workload.context_tokens, 512);
  EXPECT_EQ(AskAndWait(0, Prompt(400, 1), 50).tokens.size(), 50U) << "goes to the roomier one";
}

// --- Records ---

NodeRecord NodeRecordOf(uint64_t boot, uint64_t revision) {
  NodeRecord record;
  record.set_node(std::string(32, 'n'));
  record.set_boot_id(boot);
  record.set_revision(revision);
  return record;
}

TEST(RecordBook, TheNewerNodeRecordStaysAndHearsayHasNoBoot) {
  RecordBook book;
  EXPECT_TRUE(book.Merge(NodeRecordOf(1, 5), true));
  EXPECT_FALSE(book.Merge(NodeRecordOf(1, 5), true));
  EXPECT_FALSE(book.Merge(NodeRecordOf(1, 4), true));
  EXPECT_TRUE(book.Merge(NodeRecordOf(2, 1), true)) << "a restart";
  EXPECT_FALSE(book.Merge(NodeRecordOf(1, 9), false)) << "hearsay from before the restart";
  NodeRecord nameless = NodeRecordOf(1, 1);
  nameless.set_node("short");
  EXPECT_FALSE(book.Merge(nameless, true));
}

InstanceRecord InstanceRecordOf(uint64_t epoch, char coordinator, uint64_t revision) {
  InstanceRecord record;
  record.set_instance(1);
  record.set_epoch(epoch);
  record.set_coordinator(std::string(32, coordinator));
  record.set_revision(revision);
  return record;
}

TEST(RecordBook, EpochBeatsRevisionAndTheLowerHeirWins) {
  RecordBook book;
  EXPECT_TRUE(book.Merge(InstanceRecordOf(1, 'c', 9)));
  EXPECT_TRUE(book.Merge(InstanceRecordOf(2, 'b', 1)));
  EXPECT_FALSE(book.Merge(InstanceRecordOf(1, 'c', 99))) << "the old coordinator is fenced";
  EXPECT_FALSE(book.Merge(InstanceRecordOf(2, 'c', 99)));
  EXPECT_TRUE(book.Merge(InstanceRecordOf(2, 'a', 1)));
  EXPECT_TRUE(book.Merge(InstanceRecordOf(2, 'a', 2)));
}

}  // namespace
}  // namespace baton::cluster
