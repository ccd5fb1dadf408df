// What the cost model and the catalogue predict, against what others published.
#include <gtest/gtest.h>

#include "hub/synthetic_model.h"
#include "os/file.h"
#include "plan/catalogue.h"
#include "plan/cluster_file.h"
#include "plan/cost.h"
#include "plan/model_cost.h"
#include "plan/planner.h"
#include "plan/scenario.h"
#include "plan/simulator.h"

namespace baton::plan {
namespace {

ModelCost ModelOf(const char* shape, const char* type) {
  const auto outline = hub::OutlineOf({.shape = hub::ParseShape(shape).value(), .type = type});
  EXPECT_TRUE(outline.ok()) << outline.error().message();
  return CostOfModel(outline->spec, outline->tensors, shape);
}

struct Prediction {
  double prefill_tokens_per_s = 0;
  double decode_tokens_per_s = 0;
};

Prediction Predict(const char* device, const char* derating, const ModelCost& model, int context) {
  const CatalogueDevice found = Catalogue::Shipped().Device(device).value();
  const DeviceProfile profile = ProfileOf(found, FindDerating(found, derating).value());
  const Workload workload{.prompt_tokens = context,
                          .answer_tokens = 32,
                          .context_tokens = context + 32,
                          .chunk_tokens = 2048};
  const StageCost cost = CostOf(profile, model, {0, model.n_layers()}, workload);
  return {context / cost.prefill_whole_s, 1 / cost.decode_step_s};
}

struct Published {
  const char* device;
  int context;
  double prefill;
  double decode;
};

TEST(Predictions, GptOss120b) {
  const ModelCost model = ModelOf("gpt-oss-120b", "MXFP4");
  for (const Published& each :
       {Published{"dgx-spark", 2048, 1689, 52.9}, Published{"dgx-spark", 8192, 1706, 48.5},
        Published{"dgx-spark", 32768, 1221, 38.8}, Published{"m4-max", 2048, 871, 62.9},
        Published{"m4-max", 32768, 236, 40.2}}) {
    SCOPED_TRACE(fmt::format("{} at {}", each.device, each.context));
    const Prediction predicted = Predict(each.device, "llama.cpp", model, each.context);
    EXPECT_NEAR(predicted.prefill_tokens_per_s / each.prefill, 1, 0.1);
    EXPECT_NEAR(predicted.decode_tokens_per_s / each.decode, 1, 0.1);
  }
}

// DESIGN section 1, live in `baton plan`: 4.34 s on the Spark, 6.42 s on the Mac, 2.32 s on both.
TEST(Predictions, ThePublishedPair) {
  const ModelCost model = ModelOf("llama-3.1-8b", "F16");
  const auto file = os::ReadFile(BATON_SOURCE_DIR "/lab/clusters/spark-and-mac.toml");
  ASSERT_TRUE(file.ok());
  const auto pair = ParseClusterFile(*file, Catalogue::Shipped());
  ASSERT_TRUE(pair.ok()) << pair.error().message();
  const Workload workload{.prompt_tokens = 8192,
                          .answer_tokens = 32,
                          .context_tokens = 8704,
                          .chunk_tokens = pair->chunk_tokens};
  const NodeId spark = pair->cluster.nodes[0].id, mac = pair->cluster.nodes[1].id;
  const auto total = [&](const Constraints& constraints) {
    return Make(pair->cluster, model, workload, mac, constraints).value().chosen.total_s;
  };
  const double on_spark = total({.nodes = {spark}}), on_mac = total({.nodes = {mac}});
  const double on_both = total({.prefill_on = {spark}, .decode_on = {mac}});
  EXPECT_NEAR(on_spark / 4.34, 1, 0.05);
  EXPECT_NEAR(on_mac / 6.42, 1, 0.05);
  EXPECT_NEAR(on_both / 2.32, 1, 0.05);
  EXPECT_NEAR(on_spark / on_both / (4.34 / 2.32), 1, 0.03);
  EXPECT_NEAR(on_mac / on_both / (6.42 / 2.32), 1, 0.03);
}

// Prompts in chunks of 4,096 tokens over two equal devices: what the formula S C / (C + S - 1)
// says, which counts a prompt's last chunk as whole, and what others measured.
TEST(Predictions, PipelinedPrefill) {
  struct Case {
    int prompt;
    double theory;
    double measured;
  };
  ModelCost model = ModelOf("llama-3.1-8b", "F16");
  model.last_layer_flops_per_token = 0;  // the formula does not know that it ends early
  const auto pair = ParseClusterFile(
      "[[device]]\nis = \"dgx-spark\"\ncount = 2\n[[link]]\ngbit_per_s = 1000\nrtt_us = 0\n",
      Catalogue::Shipped());
  ASSERT_TRUE(pair.ok()) << pair.error().message();
  ClusterProfile cluster = pair->cluster;
  for (NodeProfile& node : cluster.nodes) node.device.attention_flops_per_s = 1e18;
  const std::vector<NodeId> both = {cluster.nodes[0].id, cluster.nodes[1].id};
  for (const Case& each : {Case{9400, 1.50, 1.38}, {28700, 1.78, 1.66}, {63800, 1.88, 1.85}}) {
    SCOPED_TRACE(each.prompt);
    const Workload workload{.prompt_tokens = each.prompt,
                            .answer_tokens = 1,
                            .context_tokens = each.prompt + 64,
                            .chunk_tokens = 4096,
                            .fine_pipelines = false};
    const auto prompt_s = [&](const Constraints& constraints, bool simulated) {
      const Plan plan = Make(cluster, model, workload, both[0], constraints).value().chosen;
      if (!simulated) return plan.ttft_s;
      return Simulate(cluster, model, workload, plan, both[0], {.requests = 1}).value().ttft_s.mean;
    };
    const Constraints one{.nodes = {both[0]}}, two{.decode_on = both, .split = {16, 16}};
    EXPECT_NEAR(prompt_s(one, false) / prompt_s(two, false) / each.theory, 1, 0.02);
    EXPECT_NEAR(prompt_s(one, true) / prompt_s(two, true) / each.measured, 1, 0.07);
  }
}

// Every file that is shipped can be planned with.
TEST(Predictions, ShippedClusters) {
  const ModelCost model = ModelOf("llama-3.2-1b", "Q4_0");
  for (const char* name : {"spark-and-mac", "home", "eight-phones", "four-m3-ultra", "rack"}) {
    const auto text = os::ReadFile(fmt::format("{}/lab/clusters/{}.toml", BATON_SOURCE_DIR, name));
    ASSERT_TRUE(text.ok()) << text.error().message();
    const auto file = ParseClusterFile(*text, Catalogue::Shipped());
    ASSERT_TRUE(file.ok()) << name << ": " << file.error().message();
    const NodeId entry = file->cluster.nodes[0].id;
    EXPECT_TRUE(Make(file->cluster, model, {}, entry).ok()) << name;
  }
}

// Every scenario that is shipped can be played: its rows have plans, its devices ports.
TEST(Predictions, ShippedScenarios) {
  const std::string folder = BATON_SOURCE_DIR "/lab/scenarios/";
  for (const char* name :
       {"spark-and-mac", "spark-and-mac-links", "four-m3-ultra", "home", "eight-phones", "rack"}) {
    SCOPED_TRACE(name);
    const auto text = os::ReadFile(fmt::format("{}{}.toml", folder, name));
    ASSERT_TRUE(text.ok()) << text.error().message();
    const auto scenario = ParseScenario(*text, Catalogue::Shipped(), [&](const std::string& path) {
      return os::ReadFile(folder + path);
    });
    ASSERT_TRUE(scenario.ok()) << scenario.error().message();
    const auto shape = hub::ParseShapeAndType(scenario->model);
    ASSERT_TRUE(shape.ok()) << shape.error().message();
    const auto outline = hub::OutlineOf(*shape);
    const ModelCost model = CostOfModel(outline->spec, outline->tensors, scenario->model);
    EXPECT_TRUE(PortRates(scenario->cluster.cluster).ok());
    for (const ScenarioRow& row : scenario->rows) {
      const auto predicted = Predict(scenario->cluster.cluster, model, *scenario, row);
      EXPECT_TRUE(predicted.ok()) << row.name << ": " << predicted.error().message();
    }
  }
}

}  // namespace
}  // namespace baton::plan
