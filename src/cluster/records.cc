#include "cluster/records.h"

#include <algorithm>
#include <map>

#include "plan/model_cost.h"
#include "plan/pools.h"

namespace baton::cluster {
namespace {

bool Newer(const NodeRecord& incoming, const NodeRecord& present, bool direct) {
  if (incoming.boot_id() != present.boot_id()) return direct;
  return incoming.revision() > present.revision();
}

bool Newer(const InstanceRecord& incoming, const InstanceRecord& present) {
  if (incoming.epoch() != present.epoch()) return incoming.epoch() > present.epoch();
  if (incoming.coordinator() != present.coordinator())
    return incoming.coordinator() < present.coordinator();
  return incoming.revision() > present.revision();
}

}  // namespace

bool RecordBook::Merge(const NodeRecord& record, bool direct) {
  const auto id = ToNodeId(record.node());
  if (!id || id->empty()) return false;
  const auto [at, fresh] = nodes_.try_emplace(*id, record);
  if (fresh) return true;
  if (!Newer(record, at->second, direct)) return false;
  at->second = record;
  return true;
}

bool RecordBook::Merge(const InstanceRecord& record) {
  const InstanceId id(record.instance());
  if (id.empty() || !ToNodeId(record.coordinator())) return false;
  const auto present = instances_.find(id);
  if (present == instances_.end()) {
    if (instances_.size() >= kInstancesMax) return false;
    instances_[id] = record;
    return true;
  }
  if (!Newer(record, present->second)) return false;
  present->second = record;
  return true;
}

const NodeRecord* RecordBook::FindNode(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

const InstanceRecord* RecordBook::FindInstance(const InstanceId& instance) const {
  const auto found = instances_.find(instance);
  return found == instances_.end() ? nullptr : &found->second;
}

std::vector<NodeId> NodesOf(const plan::Plan& plan) {
  std::vector<NodeId> nodes;
  for (const auto* stages : {&plan.prefill, &plan.decode}) {
    for (const plan::StagePlan& stage : *stages) {
      if (std::find(nodes.begin(), nodes.end(), stage.node) == nodes.end())
        nodes.push_back(stage.node);
    }
  }
  return nodes;
}

bool IsActive(const InstanceRecord& record) {
  return record.state() == InstanceRecord::LOADING || record.state() == InstanceRecord::READY;
}

namespace {

// Fine chunks are those of pipelines. Where a pipeline's nodes share processors, what they took was
// seen beside each other and says nothing of the device: the planner counts the turns itself.
void LeaveTurnsOut(plan::ClusterProfile& profile) {
  const plan::Pools pools(profile);
  for (size_t node = 0; node < profile.nodes.size(); ++node) {
    if (pools.ShareOf(node) == 0) continue;
    for (plan::Correction& correction : profile.nodes[node].device.corrections)
      correction.fine_prefill = correction.prefill;
  }
}

}  // namespace

plan::ClusterProfile ProfileOf(const RecordBook& book, const std::string& fingerprint,
                               const std::function<bool(const NodeId&)>& is_live,
                               const std::set<InstanceId>& replanned) {
  std::map<NodeId, uint64_t> taken;
  for (const auto& [id, record] : book.instances()) {
    if (replanned.contains(id) || !IsActive(record)) continue;
    const plan::Plan plan = FromProto(record.plan());
    std::map<NodeId, uint64_t> of_instance;  // a node's roles share one stage
    for (const auto* stages : {&plan.prefill, &plan.decode}) {
      for (const plan::StagePlan& stage : *stages)
        of_instance[stage.node] = std::max(of_instance[stage.node], stage.memory_bytes);
    }
    for (const auto& [node, bytes] : of_instance) taken[node] += bytes;
  }
  plan::ClusterProfile profile;
  for (const auto& [id, record] : book.nodes()) {
    if (!is_live(id) || record.device().rates().empty()) continue;
    plan::NodeProfile node{.id = id, .name = record.name(), .device = FromProto(record.device())};
    node.device.memory_bytes -= std::min(node.device.memory_bytes, taken[id]);
    node.has_model =
        std::any_of(record.models().begin(), record.models().end(),
                    [&](const ModelOnDisk& model) { return model.fingerprint() == fingerprint; });
    profile.nodes.push_back(std::move(node));
    for (const MeasuredLink& link : record.links()) {
      const auto peer = ToNodeId(link.peer());
      if (peer && is_live(*peer))
        profile.links.push_back({id, *peer, link.rtt_us(), link.bytes_per_s(), link.interface()});
    }
  }
  LeaveTurnsOut(profile);
  return profile;
}

plan::ModelCost CostOf(const Model& model, const std::string& name) {
  return plan::CostOfModel(model.spec(), model.tensors(), name);
}

}  // namespace baton::cluster
