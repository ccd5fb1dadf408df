#include "apps/baton/lab/simulation.h"

#include "apps/baton/answers.h"
#include "apps/baton/command.h"

namespace baton::app {
namespace {

namespace json = boost::json;

json::object ToJson(const plan::Spread& spread) {
  return {{"mean", spread.mean}, {"p50", spread.p50}, {"p90", spread.p90}, {"p99", spread.p99}};
}

json::object ToJson(const std::string& name, const plan::SimulationResult& result) {
  return {{"name", name},
          {"completed", result.completed},
          {"generated_tokens", result.generated_tokens},
          {"failures", result.failures},
          {"restarts", result.restarts},
          {"end_s", result.end_s},
          {"tokens_per_s", result.tokens_per_s()},
          {"requests_inside", result.requests_inside},
          {"busy_share", result.busy_share},
          {"wait_s", ToJson(result.wait_s)},
          {"ttft_s", ToJson(result.ttft_s)},
          {"total_s", ToJson(result.total_s)},
          {"token_s", ToJson(result.token_s)}};
}

std::vector<std::string> Cells(const char* name, const plan::Spread& spread) {
  const auto seconds = [](double value) { return fmt::format("{:.3f} s", value); };
  return {name, seconds(spread.mean), seconds(spread.p50), seconds(spread.p90),
          seconds(spread.p99)};
}

void Show(const std::string& name, size_t nodes, const plan::SimulationResult& result) {
  fmt::print(
      "{}, on {} nodes: {} requests in {:.0f} s, {:.1f} tokens/s, {:.1f} requests inside, nodes "
      "busy {:.0f} % of the time",
      name, nodes, result.completed, result.end_s, result.tokens_per_s(), result.requests_inside,
      result.busy_share * 100);
  if (result.failures > 0)
    fmt::print("; {} failures, {} requests began again", result.failures, result.restarts);
  fmt::print("\n\n");
  PrintTable({{"", "MEAN", "P50", "P90", "P99"},
              Cells("until a slot is free", result.wait_s),
              Cells("TTFT", result.ttft_s),
              Cells("between two tokens", result.token_s),
              Cells("in all", result.total_s)});
  fmt::print("\n");
}

Result<plan::SimulationResult> Simulated(const plan::Scenario& scenario,
                                         const plan::ModelCost& model,
                                         const plan::SimulationOptions& options,
                                         const plan::ScenarioRow& row) {
  const plan::ClusterProfile& cluster = scenario.cluster.cluster;
  BATON_ASSIGN_OR_RETURN(const plan::Prediction predicted,
                         plan::Predict(cluster, model, scenario, row));
  NodeId entry;
  for (const plan::NodeProfile& node : cluster.nodes) {
    if (node.name == scenario.entry) entry = node.id;
  }
  return plan::Simulate(cluster, model, plan::WorkloadOf(row, scenario), predicted.plan, entry,
                        options);
}

}  // namespace

int SimulateRows(const plan::Scenario& scenario, const plan::ModelCost& model,
                 const plan::SimulationOptions& options, const std::string& only, bool as_json) {
  json::array simulated;
  for (const plan::ScenarioRow& row : scenario.rows) {
    if (!only.empty() && row.name != only) continue;
    const auto result = Simulated(scenario, model, options, row);
    if (!result.ok()) return Fail(result.error().Within(fmt::format("row '{}'", row.name)));
    if (as_json) {
      simulated.push_back(ToJson(row.name, *result));
    } else {
      Show(row.name, scenario.cluster.cluster.nodes.size() * static_cast<size_t>(options.replicas),
           *result);
    }
  }
  if (!as_json) return 0;
  return PrintJson(json::object{
      {"title", scenario.title}, {"model", scenario.model}, {"simulated", std::move(simulated)}});
}

}  // namespace baton::app
