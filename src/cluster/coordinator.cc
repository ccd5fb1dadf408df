#include "cluster/coordinator.h"

#include <algorithm>

#include "base/log.h"
#include "engine/stage.h"
#include "os/system.h"
#include "plan/cluster_file.h"
#include "plan/division.h"
#include "plan/explain.h"

namespace baton::cluster {
namespace {

// Upgrades are planned one by one, on the thread that also moves tokens.
constexpr size_t kNodesExplained = 8;

bool Names(const plan::Constraints& constraints, const NodeId& node) {
  for (const auto* list : {&constraints.nodes, &constraints.prefill_on, &constraints.decode_on}) {
    if (std::find(list->begin(), list->end(), node) != list->end()) return true;
  }
  return false;
}

// More context than the model has is of no use to anyone.
plan::Workload WithinModel(plan::Workload workload, const Model& model) {
  workload.context_tokens = std::min(workload.context_tokens, model.spec().context_length);
  for (KvType* type : {&workload.kv_type, &workload.kv_wire_type}) {
    if (!model.spec().CheckKvType(*type).ok()) *type = KvType::kF16;
  }
  return workload;
}

// A word of the owner that names a node which is gone cannot be kept.
plan::Constraints WithoutTheLost(plan::Constraints constraints,
                                 const std::function<bool(const NodeId&)>& is_live) {
  const auto any_lost = [&](const std::vector<NodeId>& nodes) {
    return !std::all_of(nodes.begin(), nodes.end(), is_live);
  };
  if (any_lost(constraints.nodes)) constraints.nodes.clear();
  if (any_lost(constraints.prefill_on)) constraints.prefill_on.clear();
  if (any_lost(constraints.decode_on)) {
    constraints.decode_on.clear();
    constraints.split.clear();
  }
  if (constraints.nodes.empty() && constraints.decode_on.empty()) constraints.split.clear();
  return constraints;
}

LayerRange HullAt(const plan::Plan& plan, const NodeId& node) {
  LayerRange hull{0, 0};
  for (const auto* stages : {&plan.prefill, &plan.decode}) {
    for (const plan::StagePlan& stage : *stages) {
      if (stage.node != node) continue;
      if (hull.size() == 0) hull = stage.layers;
      hull = {std::min(hull.first, stage.layers.first), std::max(hull.last, stage.layers.last)};
    }
  }
  return hull;
}

// Stages at a node: two, if it computes prompts for a group that it also generates in.
uint64_t StagesAt(const plan::Plan& plan, const NodeId& node) {
  uint64_t count = 0;
  for (const auto* stages : {&plan.prefill, &plan.decode}) {
    for (const plan::StagePlan& stage : *stages) count += stage.node == node ? 1 : 0;
  }
  return count;
}

}  // namespace

Status Coordinator::CheckSameFile(const Model& model, const std::string& name,
                                  const plan::Constraints& constraints) const {
  for (const auto& [id, node] : host_.book().nodes()) {
    if (!host_.IsLive(id)) continue;
    bool same = false;
    std::string other;
    for (const ModelOnDisk& file : node.models()) {
      same = same || file.fingerprint() == model.fingerprint();
      if (file.name() == name && file.fingerprint() != model.fingerprint())
        other = file.fingerprint();
    }
    if (same || other.empty()) continue;
    const std::string words = fmt::format(
        "node '{}' has another file called '{}' (fingerprint {}..., here {}...): copy the same "
        "file to both",
        node.name(), name, other.substr(0, 12), model.fingerprint().substr(0, 12));
    if (Names(constraints, id)) return Error(Code::kFailedPrecondition, words);
    log::Warning("{}; it is left out", words);
  }
  return OkStatus();
}

Status Coordinator::CheckMeasured(const plan::Constraints& constraints) const {
  for (const auto& [id, node] : host_.book().nodes()) {
    const bool needed = id == host_.courier().self() || Names(constraints, id);
    if (needed && host_.IsLive(id) && node.device().rates().empty())
      return MakeError(Code::kUnavailable, "node '{}' is still measuring its device", node.name());
  }
  return OkStatus();
}

Result<Coordinator::Question> Coordinator::Ask(const std::string& model,
                                               const plan::Workload& workload,
                                               const plan::Constraints& constraints,
                                               const InstanceId& replanned) const {
  BATON_ASSIGN_OR_RETURN(const auto opened, host_.OpenModel(model));
  BATON_RETURN_IF_ERROR(CheckSameFile(*opened, model, constraints));
  BATON_RETURN_IF_ERROR(CheckMeasured(constraints));
  return Question{.cluster = ProfileOf(
                      host_.book(), opened->fingerprint(),
                      [this](const NodeId& id) { return host_.IsLive(id); }, replanned),
                  .model = CostOf(*opened, model),
                  .workload = WithinModel(workload, *opened)};
}

Result<plan::PlanResult> Coordinator::Plan(const std::string& model, const plan::Workload& workload,
                                           const plan::Constraints& constraints,
                                           const plan::Addition* added) {
  BATON_ASSIGN_OR_RETURN(Question question, Ask(model, workload, constraints, {}));
  if (added != nullptr) question.cluster = plan::With(std::move(question.cluster), *added);
  const NodeId& self = host_.courier().self();
  BATON_ASSIGN_OR_RETURN(plan::PlanResult result, plan::Make(question.cluster, question.model,
                                                             question.workload, self, constraints));
  result.explanation =
      plan::Explain(question.cluster, question.model, question.workload, self, constraints,
                    result.chosen, {.upgrades = question.cluster.nodes.size() <= kNodesExplained});
  return result;
}

void Coordinator::Place(const std::string& model, const plan::Workload& workload,
                        const plan::Constraints& constraints, Done done) {
  const InstanceId id(os::RandomU64() | 1);
  Placed& placed = placed_[id];
  placed.record.set_instance(id.value());
  placed.record.set_placement(id.value());
  placed.record.set_model(model);
  placed.record.set_coordinator(ToBytes(host_.courier().self()));
  *placed.record.mutable_constraints() = ToProto(constraints);
  *placed.record.mutable_plan() = ToProto(plan::Plan(), workload);
  *placed.record.mutable_whole_workload() = ToProto(workload);
  Waiting& waiting = waiting_[id.value()];
  waiting.unsettled.insert(id);
  waiting.told.push_back(std::move(done));
  PlaceEpoch(placed);
}

// The other active instances of its placement.
std::vector<InstanceRecord> Coordinator::Siblings(const InstanceRecord& record) const {
  std::vector<InstanceRecord> siblings;
  for (const auto& [id, other] : host_.book().instances()) {
    const bool together = record.placement() != 0 && other.placement() == record.placement();
    if (together && other.instance() != record.instance() && IsActive(other))
      siblings.push_back(other);
  }
  return siblings;
}

// Its share; all, where it has become the only instance.
plan::Workload Coordinator::WorkloadFor(const InstanceRecord& record) const {
  const bool alone = record.has_whole_workload() && Siblings(record).empty();
  return FromProto(alone ? record.whole_workload() : record.plan().workload());
}

// With what is there now; or what stands, where that is nearly as good.
Result<plan::Plan> Coordinator::Decide(const InstanceRecord& record) const {
  plan::Constraints constraints = WithoutTheLost(
      FromProto(record.constraints()), [this](const NodeId& node) { return host_.IsLive(node); });
  const std::vector<InstanceRecord> siblings = Siblings(record);
  constraints.one_instance = !siblings.empty();
  BATON_ASSIGN_OR_RETURN(Question question, Ask(record.model(), WorkloadFor(record), constraints,
                                                InstanceId(record.instance())));
  for (const InstanceRecord& sibling : siblings) {
    const std::vector<NodeId> theirs = NodesOf(FromProto(sibling.plan()));
    for (plan::NodeProfile& node : question.cluster.nodes) {
      if (std::find(theirs.begin(), theirs.end(), node.id) != theirs.end()) node.has_model = false;
    }
  }
  auto result = plan::Reconsider(question.cluster, question.model, question.workload,
                                 host_.courier().self(), constraints, FromProto(record.plan()));
  if (!result.ok() && !siblings.empty())
    return MakeError(result.error().code(),
                     "a node of it is lost and no other is free for it: its requests go to the "
                     "other {} of '{}'",
                     siblings.size() == 1 ? "instance" : "instances", record.model());
  if (!result.ok()) return result.error();
  return std::move(result->chosen);
}

// Plans, and has every stage loaded, under the next epoch. What was one instance may become
// several, the first of which goes on under its name.
void Coordinator::PlaceEpoch(Placed& placed) {
  InstanceRecord& record = placed.record;
  record.set_epoch(record.epoch() + 1);
  const auto plan = Decide(record);
  if (!plan.ok())
    return Conclude(placed, InstanceRecord::FAILED, plan.error().message(), plan.error().code());
  const auto model = host_.OpenModel(record.model());
  if (!model.ok())
    return Conclude(placed, InstanceRecord::FAILED, model.error().message(), model.error().code());
  const plan::Workload workload = WithinModel(WorkloadFor(record), **model);
  const InstanceRecord pattern = record;
  for (const plan::Plan* instance : plan::InstancesOf(*plan)) {
    const bool several = !plan->instances.empty();
    plan::Plan its = *instance;
    if (several) its.reason = plan->reason;
    Placed* at = &placed;
    if (several && instance != &plan->instances.front()) {
      const InstanceId id(os::RandomU64() | 1);
      at = &placed_[id];
      at->record = pattern;
      at->record.set_instance(id.value());
      at->record.set_revision(0);
      at->record.clear_plan();
    }
    RollOut(*at, **model, its, several ? plan::ShareOf(workload, instance->concurrency) : workload);
  }
}

void Coordinator::RollOut(Placed& placed, const Model& model, const plan::Plan& plan,
                          const plan::Workload& workload) {
  InstanceRecord& record = placed.record;
  const plan::Plan old_plan = FromProto(record.plan());
  waiting_[record.placement()].unsettled.insert(InstanceId(record.instance()));
  record.set_fingerprint(model.fingerprint());
  record.set_state(InstanceRecord::LOADING);
  record.clear_message();
  *record.mutable_plan() = ToProto(plan, workload);
  PublishRecord(placed);
  UnloadElsewhere(placed, old_plan);
  SendLoads(placed, model, plan, workload);
}

void Coordinator::SendLoads(Placed& placed, const Model& model, const plan::Plan& plan,
                            const plan::Workload& workload) {
  const std::vector<NodeId> nodes = NodesOf(plan);
  placed.loading = {nodes.begin(), nodes.end()};
  for (const NodeId& node : nodes) {
    const LayerRange hull = HullAt(plan, node);
    ClusterMessage message;
    LoadStage& load = *message.mutable_load_stage();
    load.set_instance(placed.record.instance());
    load.set_epoch(placed.record.epoch());
    load.set_model(placed.record.model());
    load.set_fingerprint(placed.record.fingerprint());
    load.set_first_layer(hull.first);
    load.set_last_layer(hull.last);
    load.set_kv_type(ToProto(workload.kv_type));
    // A request has a seat at each stage, and pages of the whole hull for each.
    load.set_kv_bytes(StagesAt(plan, node) * static_cast<uint64_t>(workload.slots) *
                      engine::KvBytesOf(model.spec(), hull, workload.kv_type,
                                        workload.context_tokens + kv::kPageTokens,
                                        workload.chunk_tokens));
    load.set_chunk_tokens(workload.chunk_tokens);
    host_.courier().Send(node, message);
  }
}

void Coordinator::UnloadElsewhere(const Placed& placed, const plan::Plan& old_plan) {
  const std::vector<NodeId> kept = NodesOf(FromProto(placed.record.plan()));
  for (const NodeId& node : NodesOf(old_plan)) {
    if (std::find(kept.begin(), kept.end(), node) != kept.end() || !host_.IsLive(node)) continue;
    ClusterMessage message;
    message.mutable_unload_stage()->set_instance(placed.record.instance());
    message.mutable_unload_stage()->set_epoch(placed.record.epoch());
    host_.courier().Send(node, message);
  }
}

void Coordinator::OnStageReport(const NodeId& from, const StageReport& report) {
  const auto found = placed_.find(InstanceId(report.instance()));
  if (found == placed_.end() || found->second.record.epoch() != report.epoch()) return;
  Placed& placed = found->second;
  if (placed.record.state() != InstanceRecord::LOADING || placed.loading.erase(from) == 0) return;
  if (!report.loaded()) {
    const NodeRecord* node = host_.book().FindNode(from);
    return Conclude(
        placed, InstanceRecord::FAILED,
        fmt::format("node '{}': {}", node ? node->name() : from.Short(), report.message()),
        CodeFromWire(static_cast<int>(report.code())));
  }
  if (placed.loading.empty()) Conclude(placed, InstanceRecord::READY, {});
}

void Coordinator::Conclude(Placed& placed, InstanceRecord::State state, const std::string& message,
                           Code code) {
  placed.record.set_state(state);
  placed.record.set_message(message);
  PublishRecord(placed);
  const InstanceRecord record = placed.record;
  if (state != InstanceRecord::READY) {
    ReleaseStages(record);
    placed_.erase(InstanceId(record.instance()));
  }
  Settle(record, code);
}

// Tells those who wait for its placement, if it was the last to be settled.
void Coordinator::Settle(const InstanceRecord& record, Code code) {
  const auto found = waiting_.find(record.placement());
  if (found == waiting_.end()) return;
  Waiting& waiting = found->second;
  waiting.unsettled.erase(InstanceId(record.instance()));
  if (record.state() == InstanceRecord::READY)
    waiting.ready = record;
  else
    waiting.failed = Error(code, record.message());
  if (!waiting.unsettled.empty()) return;
  const Waiting settled = std::exchange(waiting, {});
  waiting_.erase(found);
  for (const Done& done : settled.told) {
    if (settled.ready)
      done(*settled.ready);
    else
      done(*settled.failed);
  }
}

void Coordinator::ReleaseStages(const InstanceRecord& record) {
  for (const NodeId& node : NodesOf(FromProto(record.plan()))) {
    if (!host_.IsLive(node)) continue;
    ClusterMessage message;
    message.mutable_unload_stage()->set_instance(record.instance());
    message.mutable_unload_stage()->set_epoch(record.epoch());
    host_.courier().Send(node, message);
  }
}

void Coordinator::Stop(const InstanceId& instance) {
  const auto found = placed_.find(instance);
  if (found == placed_.end()) return;
  Conclude(found->second, InstanceRecord::STOPPED, "stopped by its owner", Code::kCancelled);
}

void Coordinator::PublishRecord(Placed& placed) {
  placed.record.set_revision(placed.record.revision() + 1);
  host_.Publish(placed.record);
}

void Coordinator::OnRecord(const InstanceRecord& record) {
  const InstanceId id(record.instance());
  const bool says_ours = record.coordinator() == ToBytes(host_.courier().self());
  if (!says_ours) {
    placed_.erase(id);  // a successor with a higher epoch, or a lower id, has it now
  } else if (!Owns(id) && IsActive(record)) {
    Adopt(record);  // we coordinated it before we were restarted
  }
}

void Coordinator::Adopt(const InstanceRecord& record) {
  Placed& placed = placed_[InstanceId(record.instance())];
  placed.record = record;
  placed.record.set_coordinator(ToBytes(host_.courier().self()));
  PlaceEpoch(placed);
}

void Coordinator::OnPeerDown(const NodeId& peer) {
  const NodeId& self = host_.courier().self();
  std::vector<InstanceId> hit;
  for (const auto& [id, placed] : placed_) {
    const auto nodes = NodesOf(FromProto(placed.record.plan()));
    const bool uses = std::find(nodes.begin(), nodes.end(), peer) != nodes.end();
    if (IsActive(placed.record) && uses) hit.push_back(id);
  }
  for (const InstanceId& id : hit) PlaceEpoch(placed_.at(id));

  std::vector<InstanceRecord> orphans;
  for (const auto& [id, record] : host_.book().instances()) {
    if (record.coordinator() != ToBytes(peer) || !IsActive(record)) continue;
    const plan::ClusterProfile profile = ProfileOf(
        host_.book(), record.fingerprint(),
        [this](const NodeId& node) { return host_.IsLive(node); }, id);
    NodeId heir;
    for (const plan::NodeProfile& node : profile.nodes) {
      if (node.has_model && (heir.empty() || node.id < heir)) heir = node.id;
    }
    if (heir == self) orphans.push_back(record);
  }
  for (const InstanceRecord& record : orphans) Adopt(record);
}

}  // namespace baton::cluster
