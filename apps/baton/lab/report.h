// What the lab found: predicted, measured and published, side by side, and a picture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "apps/baton/lab/workload.h"

namespace baton::app {

struct LabLine {
  std::string name;  // "row, what"
  std::string unit;
  double predicted = 0;
  std::optional<double> measured;
  std::optional<double> published;
  std::string note;
};

// A row, its prediction and, where it ran, what came of it. `prefix` is of its name.
struct LabResult {
  std::string prefix;
  const plan::ScenarioRow* row = nullptr;
  plan::RequestTimes predicted;
  std::optional<LabRun> run;
  std::string note;
};

std::vector<LabLine> LinesOf(const plan::Scenario& scenario, const std::vector<LabResult>& results);
// Did equal prompts get equal answers in all rows?
bool TokensAgree(const std::vector<LabResult>& results);

void ShowLines(const std::vector<LabLine>& lines);
boost::json::object ToJson(const plan::Scenario& scenario, const std::vector<LabLine>& lines,
                           const std::vector<LabResult>& results);

// One picture per row, one below the other: a lane for each node and for each link that KV went
// over, time from left to right.
std::string DrawTimelines(const plan::Scenario& scenario, const std::vector<LabResult>& results);

}  // namespace baton::app
