#include "plan/scenario.h"

#include <gmock/gmock.h>

namespace baton::plan {
namespace {

using testing::HasSubstr;

constexpr const char* kScenario = R"(
title = "two"
model = "llama-3.1-8b:F16"
entry = "mac"
[cluster]
chunk_tokens = 1024
[[cluster.device]]
is = "dgx-spark"
name = "spark"
derating = "exo"
[[cluster.device]]
is = "m3-ultra"
name = "mac"
[[cluster.link]]
is = "10gbe"
[[row]]
name = "both"
prefill_on = ["spark"]
decode_on = ["mac"]
prompt = 8000
answer = 32
published_ttft_s = 1.5
[[row]]
name = "alone"
nodes = ["mac"]
prompt = 8000
answer = 32
[[ratio]]
name = "gain"
slow = "alone"
fast = "both"
published = 2.5
)";

Result<Scenario> Parse(std::string_view text) {
  return ParseScenario(text, Catalogue::Shipped(), [](const std::string& path) {
    return Result<std::string>(MakeError(Code::kNotFound, "'{}' is not there", path));
  });
}

std::string ErrorWith(const std::string& from, const std::string& to) {
  std::string text = kScenario;
  const size_t at = text.find(from);
  CHECK(at != std::string::npos, "{}", from);
  text.replace(at, from.size(), to);
  const auto parsed = Parse(text);
  return parsed.ok() ? "" : parsed.error().message();
}

TEST(Scenario, IsRead) {
  const auto scenario = Parse(kScenario);
  ASSERT_TRUE(scenario.ok()) << scenario.error().message();
  EXPECT_EQ(scenario->entry, "mac");
  EXPECT_THAT(scenario->cluster.devices, testing::ElementsAre("dgx-spark:exo", HasSubstr("m3")));
  EXPECT_EQ(scenario->rows.size(), 2u);
  EXPECT_EQ(scenario->rows[0].published.ttft_s, 1.5);
  EXPECT_EQ(scenario->ratios[0].published, 2.5);
  const Workload workload = WorkloadOf(scenario->rows[0], *scenario);
  EXPECT_EQ(workload.chunk_tokens, 1024);
  EXPECT_GE(workload.context_tokens, 8032);
  const Constraints constraints = ConstraintsOf(scenario->rows[0], scenario->cluster.cluster);
  EXPECT_EQ(constraints.prefill_on.front(), scenario->cluster.cluster.nodes[0].id);
}

TEST(Scenario, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(ErrorWith("entry = \"mac\"", "entry = \"pc\""), HasSubstr("'pc'"));
  EXPECT_THAT(ErrorWith("[\"spark\"]", "[\"sparc\"]"), HasSubstr("'sparc'"));
  EXPECT_THAT(ErrorWith("prompt = 8000", "prompt = -3"), HasSubstr("'prompt' is -3"));
  EXPECT_THAT(ErrorWith("prompt = 8000", "promt = 8000"), HasSubstr("'prompt' is missing"));
  EXPECT_THAT(ErrorWith("answer = 32", "answer = 32\nfoo = 1"), HasSubstr("'foo'"));
  EXPECT_THAT(ErrorWith("\"alone\"\nnodes", "\"both\"\nnodes"), HasSubstr("row 'both'"));
  EXPECT_THAT(ErrorWith("slow = \"alone\"", "slow = \"along\""), HasSubstr("'along'"));
  EXPECT_THAT(ErrorWith("is = \"m3-ultra\"", "is = \"m9\""), HasSubstr("'m9'"));
  EXPECT_THAT(ErrorWith("title = \"two\"", "title = \"two\"\nspeed = 0"), HasSubstr("'speed'"));
  EXPECT_THAT(ErrorWith("title = \"two\"", "title = \"two\"\nlinks = [\"5gbe\"]"),
              HasSubstr("'5gbe'"));
  EXPECT_THAT(ErrorWith("nodes = [\"mac\"]", "nodes = [\"mac\"]\nsplit = [0]"),
              HasSubstr("'split'"));
  EXPECT_THAT(ErrorWith("title = \"two\"", "title = "), HasSubstr("line 2"));
}

// Of a model of 8 layers, as any spec would do.
ModelCost SmallModel() {
  ModelCost model;
  model.layer_weight_bytes.assign(8, 400'000'000);
  model.layer_flops_per_token = 400e6;
  model.embedding_bytes = model.head_bytes = 500'000'000;
  model.head_flops_per_token = 500e6;
  model.kv_elements = 2048;
  model.q_width = model.hidden_width = 4096;
  return model;
}

TEST(Scenario, RequestsAtOnceWaitForEachOthersPrompts) {
  const auto scenario = Parse(kScenario);
  ASSERT_TRUE(scenario.ok()) << scenario.error().message();
  ScenarioRow row = scenario->rows[1];
  const auto predict = [&] {
    return Predict(scenario->cluster.cluster, SmallModel(), *scenario, row);
  };
  const auto alone = predict();
  row.concurrency = 4;
  const auto together = predict();
  ASSERT_TRUE(alone.ok() && together.ok());
  // One engine computes the four prompts: whoever is in the middle waits for half of them or more,
  // and nobody for longer than all of them and what others generate meanwhile.
  const RequestTimes& one = alone->times;
  const RequestTimes& four = together->times;
  EXPECT_GT(four.ttft_s, 2 * one.ttft_s);
  EXPECT_LT(four.ttft_s, 4 * one.ttft_s + one.decode_s);
  EXPECT_GE(four.decode_s, one.decode_s * (1 - 1e-9));
  EXPECT_GT(four.total_s, 3 * one.ttft_s);
  EXPECT_NEAR(four.tokens_per_s, 4 * 31 / four.decode_s, 1e-9);
}

TEST(Scenario, AClusterFileThatIsNotThereIsNamed) {
  const auto parsed = Parse("title = \"t\"\nmodel = \"m\"\ncluster = \"../x.toml\"\n");
  EXPECT_THAT(parsed.error().message(), HasSubstr("../x.toml"));
}

TEST(Scenario, PortsGiveEveryPairItsRate) {
  const auto home = Parse(R"(
title = "home"
model = "m"
[[cluster.device]]
is = "m4-max"
name = "mac"
[[cluster.device]]
is = "rtx-4090"
name = "pc"
[[cluster.device]]
is = "laptop"
name = "laptop"
count = 2
[[cluster.link]]
is = "wifi-6"
[[cluster.link]]
is = "2.5gbe"
between = ["mac", "pc"]
[[row]]
name = "r"
prompt = 10
answer = 2
)");
  ASSERT_TRUE(home.ok()) << home.error().message();
  ClusterProfile cluster = home->cluster.cluster;
  const auto rates = PortRates(cluster);
  ASSERT_TRUE(rates.ok()) << rates.error().message();
  const Catalogue& catalogue = Catalogue::Shipped();
  EXPECT_DOUBLE_EQ(rates->front(), catalogue.Link("2.5gbe")->bytes_per_s);
  EXPECT_DOUBLE_EQ(rates->back(), catalogue.Link("wifi-6")->bytes_per_s);
  // Two fast ends with a slow link between them.
  for (LinkProfile& link : cluster.links) {
    const bool laptops = link.from == cluster.nodes[2].id && link.to == cluster.nodes[3].id;
    if (laptops) link.bytes_per_s /= 2;
  }
  EXPECT_THAT(PortRates(cluster).error().message(), HasSubstr("'laptop-1' and 'laptop-2'"));
  cluster = home->cluster.cluster;
  cluster.links[1].port = "thunderbolt";
  EXPECT_THAT(PortRates(cluster).error().message(), HasSubstr("'thunderbolt'"));
}

}  // namespace
}  // namespace baton::plan
