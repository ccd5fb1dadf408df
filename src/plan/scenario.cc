#include "plan/scenario.h"

#include <algorithm>
#include <cmath>

#include "plan/simulator.h"
#include "plan/toml_table.h"

namespace baton::plan {
namespace {

constexpr int kTokensMax = 1 << 20;
constexpr double kSecondsMax = 1e6;
constexpr int kUsualChunkTokens = 2048;

const NodeProfile* FindByName(const ClusterProfile& cluster, std::string_view name) {
  for (const NodeProfile& node : cluster.nodes) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

class ScenarioReader {
 public:
  ScenarioReader(const Catalogue& catalogue, const ReadText& read)
      : catalogue_(catalogue), read_(read) {}

  Result<Scenario> Read(const toml::table& table) {
    TomlTable fields(table, "the scenario");
    scenario_.title = fields.Text("title");
    scenario_.model = fields.Text("model");
    if (fields.Has("speed")) scenario_.speed = fields.Number("speed", 1e-3, 1e3);
    BATON_RETURN_IF_ERROR(ReadCluster(fields));
    for (const std::string& id : fields.Texts("links")) {
      BATON_ASSIGN_OR_RETURN(CatalogueLink link, catalogue_.Link(id));
      scenario_.links.push_back(std::move(link));
    }
    scenario_.entry = fields.Text("entry", scenario_.cluster.cluster.nodes.front().name);
    CheckNode(fields, "entry", scenario_.entry);
    for (const toml::table* row : fields.Tables("row")) BATON_RETURN_IF_ERROR(ReadRow(*row));
    for (const toml::table* ratio : fields.Tables("ratio"))
      BATON_RETURN_IF_ERROR(ReadRatio(*ratio));
    if (scenario_.rows.empty()) fields.Fail("there is no [[row]]");
    BATON_RETURN_IF_ERROR(fields.Done());
    return std::move(scenario_);
  }

 private:
  // A table of its own, or the name of a file.
  Status ReadCluster(TomlTable& fields) {
    if (const toml::table* own = fields.FindTable("cluster")) {
      BATON_ASSIGN_OR_RETURN(scenario_.cluster, ReadClusterFile(*own, catalogue_));
      return OkStatus();
    }
    const std::string path = fields.Text("cluster");
    if (path.empty()) return fields.Done();
    BATON_ASSIGN_OR_RETURN(const std::string text, read_(path));
    auto cluster = ParseClusterFile(text, catalogue_);
    if (!cluster.ok()) return cluster.error().Within(path);
    scenario_.cluster = *std::move(cluster);
    return OkStatus();
  }

  void CheckNode(TomlTable& fields, std::string_view key, const std::string& name) {
    if (FindByName(scenario_.cluster.cluster, name) == nullptr)
      fields.Fail("'{}' names '{}', which is no device of the cluster", key, name);
  }

  std::vector<std::string> Nodes(TomlTable& fields, std::string_view key) {
    std::vector<std::string> names = fields.Texts(key);
    for (const std::string& name : names) CheckNode(fields, key, name);
    return names;
  }

  static RequestTimes ReadPublished(TomlTable& fields) {
    const auto number = [&](std::string_view key) { return fields.Number(key, 0, kSecondsMax, 0); };
    return {.ttft_s = number("published_ttft_s"),
            .decode_s = number("published_decode_s"),
            .total_s = number("published_total_s"),
            .tokens_per_s = number("published_tokens_per_s")};
  }

  Status ReadRow(const toml::table& table) {
    TomlTable fields(table, "a row");
    ScenarioRow row;
    row.name = fields.Text("name");
    fields.Rename(fmt::format("row '{}'", row.name));
    row.prompt_tokens = fields.Integer("prompt", 1, kTokensMax);
    row.answer_tokens = fields.Integer("answer", 2, kTokensMax);
    row.concurrency = fields.Integer("concurrency", 1, 1024, 1);
    row.repeat = fields.Integer("repeat", 1, 1000, 1);
    row.nodes = Nodes(fields, "nodes");
    row.prefill_on = Nodes(fields, "prefill_on");
    row.decode_on = Nodes(fields, "decode_on");
    row.split = fields.Integers("split", 1, 1 << 16);
    row.published = ReadPublished(fields);
    const auto same = [&](const ScenarioRow& other) { return other.name == row.name; };
    if (std::any_of(scenario_.rows.begin(), scenario_.rows.end(), same))
      fields.Fail("there are two of this name");
    if (scenario_.rows.size() >= kScenarioRowsMax)
      fields.Fail("there are more than {} rows", kScenarioRowsMax);
    scenario_.rows.push_back(std::move(row));
    return fields.Done();
  }

  Status ReadRatio(const toml::table& table) {
    TomlTable fields(table, "a ratio");
    ScenarioRatio ratio;
    ratio.name = fields.Text("name");
    fields.Rename(fmt::format("ratio '{}'", ratio.name));
    ratio.slow = fields.Text("slow");
    ratio.fast = fields.Text("fast");
    ratio.published = fields.Number("published", 0, 1e6, 0);
    for (const std::string& name : {ratio.slow, ratio.fast}) {
      const auto named = [&](const ScenarioRow& row) { return row.name == name; };
      if (!name.empty() && std::none_of(scenario_.rows.begin(), scenario_.rows.end(), named))
        fields.Fail("no [[row]] is called '{}'", name);
    }
    scenario_.ratios.push_back(std::move(ratio));
    return fields.Done();
  }

  const Catalogue& catalogue_;
  const ReadText& read_;
  Scenario scenario_;
};

}  // namespace

Result<Scenario> ParseScenario(std::string_view text, const Catalogue& catalogue,
                               const ReadText& read) {
  BATON_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text));
  return ScenarioReader(catalogue, read).Read(table);
}

Constraints ConstraintsOf(const ScenarioRow& row, const ClusterProfile& cluster) {
  const auto ids = [&](const std::vector<std::string>& names) {
    std::vector<NodeId> list;
    for (const std::string& name : names) list.push_back(FindByName(cluster, name)->id);
    return list;
  };
  return {.nodes = ids(row.nodes),
          .prefill_on = ids(row.prefill_on),
          .decode_on = ids(row.decode_on),
          .split = row.split};
}

Workload WorkloadOf(const ScenarioRow& row, const Scenario& scenario) {
  const int chunk = scenario.cluster.chunk_tokens;
  // Whole pages, and one more for the token behind the last.
  const int context =
      (row.prompt_tokens + row.answer_tokens) / kPageTokens * kPageTokens + 2 * kPageTokens;
  return {.prompt_tokens = row.prompt_tokens,
          .answer_tokens = row.answer_tokens,
          .context_tokens = context,
          .slots = row.concurrency,
          .concurrency = row.concurrency,
          .chunk_tokens = chunk > 0 ? chunk : kUsualChunkTokens};
}

ClusterProfile WithLinks(ClusterProfile cluster, const CatalogueLink& link) {
  for (LinkProfile& each : cluster.links) {
    each.rtt_us = link.rtt_us;
    each.bytes_per_s = link.bytes_per_s;
  }
  return cluster;
}

namespace {

// Requests that all come at once wait for each other's prompts, which a plan's seconds, those of a
// steady stream, do not count.
Result<RequestTimes> TogetherTimes(const ClusterProfile& cluster, const ModelCost& model,
                                   const Workload& workload, const Plan& plan,
                                   const NodeId& entry) {
  constexpr double kAtOnce = 1e9;
  BATON_ASSIGN_OR_RETURN(const SimulationResult result,
                         Simulate(cluster, model, workload, plan, entry,
                                  {.requests = workload.concurrency, .requests_per_s = kAtOnce}));
  return RequestTimes{
      .ttft_s = result.ttft_s.p50, .decode_s = result.decode_s.p50, .total_s = result.total_s.p50};
}

}  // namespace

Result<Prediction> Predict(const ClusterProfile& cluster, const ModelCost& model,
                           const Scenario& scenario, const ScenarioRow& row) {
  const NodeId entry = FindByName(cluster, scenario.entry)->id;
  const Workload workload = WorkloadOf(row, scenario);
  BATON_ASSIGN_OR_RETURN(PlanResult result,
                         Make(cluster, model, workload, entry, ConstraintsOf(row, cluster)));
  Prediction prediction{.plan = std::move(result.chosen)};
  RequestTimes& times = prediction.times;
  if (row.concurrency == 1) {
    times.ttft_s = prediction.plan.ttft_s;
    times.total_s = prediction.plan.total_s;
    times.decode_s = times.total_s - times.ttft_s;
  } else {
    BATON_ASSIGN_OR_RETURN(times, TogetherTimes(cluster, model, workload, prediction.plan, entry));
  }
  times.tokens_per_s = row.concurrency * (row.answer_tokens - 1) / times.decode_s;
  return prediction;
}

Result<std::vector<double>> PortRates(const ClusterProfile& cluster) {
  std::vector<double> rates;
  const auto rate_between = [&](const NodeProfile& a, const NodeProfile& b) {
    const LinkProfile* link = cluster.FindLink(a.id, b.id);
    return link == nullptr ? 0 : link->bytes_per_s;
  };
  for (const LinkProfile& link : cluster.links) {
    if (link.port.empty()) continue;
    return MakeError(Code::kInvalidArgument,
                     "'{}' and '{}' are linked by port '{}': the lab gives every device one port",
                     cluster.FindNode(link.from)->name, cluster.FindNode(link.to)->name, link.port);
  }
  for (const NodeProfile& node : cluster.nodes) {
    double most = 0;
    for (const NodeProfile& other : cluster.nodes) {
      if (other.id != node.id) most = std::max(most, rate_between(node, other));
    }
    rates.push_back(most);
  }
  for (size_t i = 0; i < rates.size(); ++i) {
    for (size_t j = i + 1; j < rates.size(); ++j) {
      const double wanted = rate_between(cluster.nodes[i], cluster.nodes[j]);
      if (std::abs(wanted - std::min(rates[i], rates[j])) <= 1e-9 * wanted) continue;
      return MakeError(Code::kInvalidArgument,
                       "'{}' and '{}' are linked at {} Mb/s, but each of them is faster elsewhere: "
                       "the lab gives every device one port",
                       cluster.nodes[i].name, cluster.nodes[j].name, wanted * 8 / 1e6);
    }
  }
  return rates;
}

}  // namespace baton::plan
