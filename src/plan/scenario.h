// Scenarios of the laboratory, as a TOML file describes them: a cluster (plan/cluster_file.h), a
// model's shape, what is asked of them, and what others published (lab/README.md has the keys).
// Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/catalogue.h"
#include "plan/cluster_file.h"
#include "plan/planner.h"

namespace baton::plan {

inline constexpr int kScenarioRowsMax = 256;

// Times of one request, as its client sees them.
struct RequestTimes {
  double ttft_s = 0;
  double decode_s = 0;  // from the first token to the last
  double total_s = 0;
  double tokens_per_s = 0;  // of all requests that run together, from the first token on
};

// What is asked of the cluster, once the model is placed for it.
struct ScenarioRow {
  std::string name;
  int prompt_tokens = 0;
  int answer_tokens = 0;
  int concurrency = 1;
  int repeat = 1;  // the median counts
  // Names of nodes; empty: the planner decides.
  std::vector<std::string> nodes, prefill_on, decode_on;
  std::vector<int> split;
  RequestTimes published;  // 0: not
};

// How many times as fast one row is as another, in total_s.
struct ScenarioRatio {
  std::string name;
  std::string slow, fast;  // rows
  double published = 0;    // 0: not
};

struct Scenario {
  std::string title;
  std::string model;  // SHAPE[:TYPE]
  std::string entry;  // the node that clients are connected to
  ClusterFile cluster;
  std::vector<CatalogueLink> links;  // one after the other instead of the cluster's; empty: those
  std::optional<double> speed;       // of the clock; none: what the machine carries
  std::vector<ScenarioRow> rows;
  std::vector<ScenarioRatio> ratios;
};

// Reads the text of the cluster file that the scenario names.
using ReadText = std::function<Result<std::string>(const std::string& path)>;
// Errors name the table, the key and the value.
Result<Scenario> ParseScenario(std::string_view text, const Catalogue& catalogue,
                               const ReadText& read);

Constraints ConstraintsOf(const ScenarioRow& row, const ClusterProfile& cluster);
Workload WorkloadOf(const ScenarioRow& row, const Scenario& scenario);
// All links of `cluster` as `link` is.
ClusterProfile WithLinks(ClusterProfile cluster, const CatalogueLink& link);

struct Prediction {
  Plan plan;
  RequestTimes times;
};
// What the planner expects of a row; of several requests at once, medians.
Result<Prediction> Predict(const ClusterProfile& cluster, const ModelCost& model,
                           const Scenario& scenario, const ScenarioRow& row);

// Rates at which each node has to send and to take, in bytes per second, so that every pair has the
// rate of its link: that of the slower end. kInvalidArgument names a pair that this cannot give.
Result<std::vector<double>> PortRates(const ClusterProfile& cluster);

}  // namespace baton::plan
