#include "plan/words.h"

#include <fmt/format.h>

namespace baton::plan {

std::string Bytes(double bytes) {
  return bytes >= 1e9 ? fmt::format("{:.1f} GB", bytes / 1e9)
                      : fmt::format("{:.0f} MB", bytes / 1e6);
}

std::string Time(double seconds) {
  return seconds >= 1 ? fmt::format("{:.2f} s", seconds) : fmt::format("{:.1f} ms", seconds * 1e3);
}

std::string NamesOf(const ClusterProfile& cluster, const std::vector<StagePlan>& stages) {
  std::string names;
  for (const StagePlan& stage : stages) {
    if (!names.empty()) names += " + ";
    names += cluster.FindNode(stage.node)->name;
  }
  return names;
}

std::string Describe(const ClusterProfile& cluster, const Plan& plan) {
  std::string instances;
  for (const Plan& each : plan.instances)
    instances += fmt::format("{}{} for {}{}", instances.empty() ? "" : ", ",
                             Describe(cluster, each), each.concurrency,
                             !instances.empty()      ? ""
                             : each.concurrency == 1 ? " request"
                                                     : " requests");
  if (!instances.empty()) return fmt::format("{} instances: {}", plan.instances.size(), instances);
  if (plan.disaggregated())
    return fmt::format("prefill on {}, decode on {}", NamesOf(cluster, plan.prefill),
                       NamesOf(cluster, plan.decode));
  if (plan.decode.size() == 1) return fmt::format("all on {}", NamesOf(cluster, plan.decode));
  return fmt::format("layers split over {}", NamesOf(cluster, plan.decode));
}

}  // namespace baton::plan
