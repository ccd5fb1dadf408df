// Planning for devices that are not here: a cluster of a file, one device more, the catalogue.
#pragma once

#include <string>
#include <vector>

#include <boost/json.hpp>

#include "apps/baton/command.h"
#include "plan/planner.h"

namespace baton::app {

struct WhatIfOptions {
  std::string model;         // one that is here, or a shape of `baton synth`: NAME[:TYPE]
  std::string cluster_path;  // empty: there is no cluster
  std::vector<std::string> additions;
  plan::Workload workload;
  bool chunk_said = false;  // workload.chunk_tokens is the owner's word
  std::vector<std::string> nodes;
  std::vector<std::string> prefill_on;
  std::vector<std::string> decode_on;
  std::vector<int> split;
  bool one_instance = false;
  bool sharded = false;  // weigh also groups that this program cannot run yet
  bool json = false;
};

// Plans for the file's cluster, and once more with what is added.
int PlanWhatIf(const Environment& environment, const WhatIfOptions& options);
// What `answer`, a plan, has "with" devices added, against its "chosen".
int ShowAdditions(const boost::json::object& answer, bool json);
// Each device of the catalogue alone.
int ShowBalance(const Environment& environment, const WhatIfOptions& options);
// What there is to name.
int ShowCatalogue(bool json);

}  // namespace baton::app
