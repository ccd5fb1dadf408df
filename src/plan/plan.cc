#include "plan/plan.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace baton::plan {

std::vector<const Plan*> InstancesOf(const Plan& plan) {
  if (plan.instances.empty()) return {&plan};
  std::vector<const Plan*> instances;
  for (const Plan& instance : plan.instances) instances.push_back(&instance);
  return instances;
}

Plan SideBySide(std::vector<Plan> instances) {
  CHECK(!instances.empty());
  if (instances.size() == 1) return std::move(instances.front());
  std::sort(instances.begin(), instances.end(), [](const Plan& a, const Plan& b) {
    return NodesUsed(a).front() < NodesUsed(b).front();
  });
  Plan all;
  all.kv_hidden = true;
  all.concurrency = all.slots = 0;
  double requests_per_s = 0;
  for (const Plan& each : instances) {
    for (double Plan::*seconds :
         {&Plan::prefill_s, &Plan::exposed_s, &Plan::ttft_s, &Plan::decode_step_s, &Plan::total_s})
      all.*seconds = std::max(all.*seconds, each.*seconds);
    all.kv_hidden = all.kv_hidden && (each.kv_hidden || !each.disaggregated());
    requests_per_s += 1 / each.request_s;
    all.concurrency += each.concurrency;
    all.slots += each.slots;
  }
  all.request_s = 1 / requests_per_s;
  all.answer_tokens = instances.front().answer_tokens;
  all.kv_type = instances.front().kv_type;
  all.kv_wire_type = instances.front().kv_wire_type;
  all.activation_type = instances.front().activation_type;
  all.instances = std::move(instances);
  return all;
}

double SecondsOf(const Plan& plan, Objective objective) {
  return objective == Objective::kThroughput ? plan.request_s : plan.total_s;
}

std::vector<NodeId> NodesUsed(const Plan& plan) {
  std::set<NodeId> nodes;
  for (const Plan* instance : InstancesOf(plan)) {
    for (const auto* stages : {&instance->prefill, &instance->decode}) {
      for (const StagePlan& stage : *stages) nodes.insert(stage.node);
    }
  }
  return {nodes.begin(), nodes.end()};
}

}  // namespace baton::plan
