// One row of a scenario, run through a node's HTTP API.
#pragma once

#include <string>
#include <vector>

#include "apps/baton/lab/cluster.h"
#include "plan/scenario.h"

namespace baton::app {

// A bar of a picture. Times are seconds after the row's last request began, as the scenario has
// them.
struct LabEvent {
  std::string node;
  std::string what;  // "prefill", "decode", "kv"
  std::string to;    // "kv"
  double begin_s = 0;
  double end_s = 0;
  int first_layer = 0;
  int last_layer = 0;
  int first_token = 0;
  int tokens = 0;
  double bytes = 0;
};

struct LabRun {
  plan::RequestTimes times;  // medians
  std::vector<std::string> texts;
  std::vector<LabEvent> events;
  double speed = 1;      // of its clock
  double kv_bytes = 0;   // handed over, of the last request
  double overrun_s = 0;  // by how much phantoms were slower than they pretend to be
  std::string stages;    // "spark 0-31, mac 0-31": who runs what
  int instances = 1;
  // The same, as a row would ask for it, of one instance.
  std::vector<std::string> prefill_on, decode_on;
  std::vector<int> split;
};

Result<LabRun> RunRow(LabCluster& cluster, const plan::Scenario& scenario,
                      const plan::ScenarioRow& row, double speed);

}  // namespace baton::app
