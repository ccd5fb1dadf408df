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

// Upgrades are planned one by one.
constexpr size_t kNodesExplained = 8;
// Who has come is given time to measure its links.
constexpr std::chrono::seconds kSettling{2};

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
                                               const std::set<InstanceId>& replanned) const {
  BATON_ASSIGN_OR_RETURN(const auto opened, host_.OpenModel(model));
  BATON_RETURN_IF_ERROR(CheckSameFile(*opened, model, constraints));
  BATON_RETURN_IF_ERROR(CheckMeasured(constraints));
  return Question{.cluster = ProfileOf(
                      host_.book(), opened->fingerprint(),
                      [this](const NodeId& id) { return host_.IsLive(id); }, replanned),
                  .model = CostOf(*opened, model),
                  .workload = WithinModel(workload, *opened),
                  .constraints = constraints};
}

void Coordinator::Compute(os::Worker& worker, std::function<Result<plan::PlanResult>()> work,
                          Planned done) {
  const bool posted = worker.TryPost([this, work = std::move(work), done] {
    host_.PostToIo([done, result = work()] { done(result); });
  });
  if (!posted) done(Error(Code::kResourceExhausted, "too many plans are being made"));
}

void Coordinator::Plan(const std::string& model, const plan::Workload& workload,
                       const plan::Constraints& constraints, const plan::Addition* added,
                       Planned done) {
  auto asked = Ask(model, workload, constraints, {});
  if (!asked.ok()) return done(asked.error());
  if (added != nullptr) asked->cluster = plan::With(std::move(asked->cluster), *added);
  const auto work = [question = *std::move(asked),
                     self = host_.courier().self()]() -> Result<plan::PlanResult> {
    BATON_ASSIGN_OR_RETURN(plan::PlanResult result,
                           plan::Make(question.cluster, question.model, question.workload, self,
                                      question.constraints));
    result.explanation = plan::Explain(
        question.cluster, question.model, question.workload, self, question.constraints,
        result.chosen, {.upgrades = question.cluster.nodes.size() <= kNodesExplained});
    return result;
  };
  Compute(answering_, work, std::move(done));
}

void Coordinator::Place(const std::string& model, const plan::Workload& workload,
                        const plan::Constraints& constraints, Done done) {
  if (wanted_.size() >= kWantedMax)
    return done(MakeError(Code::kResourceExhausted, "{} placements wait already", kWantedMax));
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
  PlaceEpoch(id);
}

std::vector<InstanceRecord> Coordinator::ActiveOf(uint64_t placement) const {
  std::vector<InstanceRecord> active;
  for (const auto& [id, record] : host_.book().instances()) {
    if (placement != 0 && record.placement() == placement && IsActive(record))
      active.push_back(record);
  }
  return active;
}

// The other active instances of their placement.
std::vector<InstanceRecord> Coordinator::Siblings(
    const std::vector<InstanceRecord>& members) const {
  std::vector<InstanceRecord> siblings = ActiveOf(members.front().placement());
  std::erase_if(siblings, [&](const InstanceRecord& other) {
    return std::any_of(members.begin(), members.end(), [&](const InstanceRecord& member) {
      return member.instance() == other.instance();
    });
  });
  return siblings;
}

// Its share; of all instances, or of one that has become the only one, all.
plan::Workload Coordinator::WorkloadFor(const std::vector<InstanceRecord>& members) const {
  const InstanceRecord& record = members.front();
  const bool all = record.has_whole_workload() && Siblings(members).empty();
  return FromProto(all ? record.whole_workload() : record.plan().workload());
}

// With what is there now; or what stands, where that is nearly as good. Of instances that are
// placed together: one, or all.
void Coordinator::Decide(const std::vector<InstanceRecord>& members,
                         const plan::ReconsiderOptions& options, Planned done) {
  const InstanceRecord& record = members.front();
  std::set<NodeId> barred;
  if (const auto found = placements_.find(record.placement()); found != placements_.end())
    barred = found->second.refused;
  plan::Constraints constraints = WithoutTheLost(
      FromProto(record.constraints()),
      [&](const NodeId& node) { return host_.IsLive(node) && !barred.contains(node); });
  const std::vector<InstanceRecord> siblings = Siblings(members);
  constraints.one_instance = constraints.one_instance || !siblings.empty();
  std::set<InstanceId> replanned;
  std::vector<plan::Plan> standing;
  for (const InstanceRecord& member : members) {
    replanned.insert(InstanceId(member.instance()));
    standing.push_back(FromProto(member.plan()));
  }
  auto asked = Ask(record.model(), WorkloadFor(members), constraints, replanned);
  if (!asked.ok()) return done(asked.error());
  for (const InstanceRecord& sibling : siblings) {
    const std::vector<NodeId> theirs = NodesOf(FromProto(sibling.plan()));
    barred.insert(theirs.begin(), theirs.end());
  }
  for (plan::NodeProfile& node : asked->cluster.nodes)
    node.has_model = node.has_model && !barred.contains(node.id);
  std::string where_else;
  if (!siblings.empty())
    where_else = fmt::format(
        "a node of it is lost and no other is free for it: its requests go to the other {} of '{}'",
        siblings.size() == 1 ? "instance" : "instances", record.model());
  const auto work = [question = *std::move(asked), self = host_.courier().self(), options,
                     stands = plan::SideBySide(std::move(standing)),
                     where_else]() -> Result<plan::PlanResult> {
    auto result = plan::Reconsider(question.cluster, question.model, question.workload, self,
                                   question.constraints, stands, options);
    if (!result.ok() && !where_else.empty()) return Error(result.error().code(), where_else);
    return result;
  };
  Compute(placing_, work, std::move(done));
}

// Plans an instance anew.
void Coordinator::PlaceEpoch(const InstanceId& instance) {
  placed_.at(instance).replanned = true;
  Want({Wanted::Why::kPlace, {instance}});
}

void Coordinator::Want(Wanted wanted) {
  if (std::find(wanted_.begin(), wanted_.end(), wanted) == wanted_.end())
    wanted_.push_back(std::move(wanted));
  PlanNext();
}

// Is there still what it is for? It may have been stopped, or have another coordinator now.
bool Coordinator::Holds(const Wanted& wanted) const {
  return std::all_of(wanted.members.begin(), wanted.members.end(), [&](const InstanceId& id) {
    if (wanted.why == Wanted::Why::kBringBack)
      return ended_.contains(id) && !IsReplaced(ended_.at(id));
    const auto found = placed_.find(id);
    return found != placed_.end() && (wanted.why == Wanted::Why::kPlace || Runs(found->second));
  });
}

void Coordinator::PlanNext() {
  while (!planning_ && !wanted_.empty()) {
    const Wanted wanted = std::move(wanted_.front());
    wanted_.pop_front();
    if (!Holds(wanted)) continue;
    const std::vector<InstanceRecord> records = wanted.why == Wanted::Why::kBringBack
                                                    ? std::vector{ended_.at(wanted.members.front())}
                                                    : RecordsOf(wanted.members);
    // Where a node was lost, requests wait.
    const bool has_run = wanted.why == Wanted::Why::kPlace && records.front().revision() > 0;
    planning_ = true;
    Decide(records, {.briefly = has_run},
           [this, wanted, losses = losses_](const Result<plan::PlanResult>& decided) {
             planning_ = false;
             if (losses == losses_)
               OnPlanned(wanted, decided);
             else if (wanted.why == Wanted::Why::kPlace)
               Want(wanted);
             PlanNext();
           });
  }
}

void Coordinator::OnPlanned(const Wanted& wanted, const Result<plan::PlanResult>& decided) {
  if (!Holds(wanted)) return;
  if (wanted.why == Wanted::Why::kPlace) return RollOut(wanted.members, decided);
  const InstanceId first = wanted.members.front();
  const bool runs = wanted.why == Wanted::Why::kMove;
  const InstanceRecord record = runs ? placed_.at(first).record : ended_.at(first);
  if (!decided.ok() || (runs && decided->stands)) {
    placements_[record.placement()].weighed = Usable(record.fingerprint());
    return;
  }
  log::Info("'{}' is placed {}, as nodes have come: {}", record.model(), runs ? "anew" : "again",
            decided->chosen.reason);
  if (!runs) {
    ended_.erase(first);
    placed_[first].record = record;
  }
  for (const InstanceId& id : wanted.members) placed_.at(id).moved = runs;
  RollOut(wanted.members, decided);
}

std::vector<InstanceRecord> Coordinator::RecordsOf(const std::vector<InstanceId>& members) const {
  std::vector<InstanceRecord> records;
  for (const InstanceId& id : members) records.push_back(placed_.at(id).record);
  return records;
}

// Has every stage loaded, under the next epoch. Each instance goes on where most of it was; there
// may be more of them than before, or fewer.
void Coordinator::RollOut(const std::vector<InstanceId>& members,
                          const Result<plan::PlanResult>& decided) {
  for (const InstanceId& id : members) {
    Placed& placed = placed_.at(id);
    placed.record.set_epoch(placed.record.epoch() + 1);
    placed.replanned = false;
  }
  const std::vector<InstanceRecord> records = RecordsOf(members);
  const InstanceRecord& pattern = records.front();
  const auto model = host_.OpenModel(pattern.model());
  if (!decided.ok() || !model.ok())
    return End(members, decided.ok() ? model.error() : decided.error());
  Placement& placement = placements_[pattern.placement()];
  placement.unheard.clear();
  placement.weighed = Usable((*model)->fingerprint());
  const plan::Plan& plan = decided->chosen;
  const plan::Workload workload = WithinModel(WorkloadFor(records), **model);
  const std::vector<const plan::Plan*> instances = plan::InstancesOf(plan);
  const std::vector<InstanceId> ids = Assign(members, instances);
  for (const InstanceId& id : members) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) Supersede(id);
  }
  for (size_t i = 0; i < instances.size(); ++i) {
    plan::Plan its = *instances[i];
    if (instances.size() > 1) its.reason = plan.reason;
    Placed& placed = placed_[ids[i]];
    if (placed.record.instance() == 0) {
      placed.record = pattern;
      placed.record.set_instance(ids[i].value());
      placed.record.set_revision(0);
      placed.record.clear_plan();
    }
    Load(placed, **model, its,
         instances.size() > 1 ? plan::ShareOf(workload, its.concurrency) : workload);
  }
}

// There is nothing for these. What has run may come back.
void Coordinator::End(const std::vector<InstanceId>& members, const Error& why) {
  for (const InstanceId& id : members) {
    Placed& placed = placed_.at(id);
    const bool has_run = placed.record.revision() > 0;
    Conclude(placed, InstanceRecord::FAILED, why.message(), why.code());
    if (has_run) ended_[id] = *host_.book().FindInstance(id);
  }
}

// An instance for each plan: of `members` the one that has most of its nodes, or a new one.
std::vector<InstanceId> Coordinator::Assign(std::vector<InstanceId> members,
                                            const std::vector<const plan::Plan*>& plans) const {
  std::vector<InstanceId> assigned;
  for (const plan::Plan* plan : plans) {
    if (members.empty()) {
      assigned.emplace_back(os::RandomU64() | 1);
      continue;
    }
    const std::vector<NodeId> nodes = NodesOf(*plan);
    const auto shared = [&](const InstanceId& id) {
      const std::vector<NodeId> has = NodesOf(FromProto(placed_.at(id).record.plan()));
      return std::count_if(has.begin(), has.end(), [&](const NodeId& node) {
        return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
      });
    };
    const auto nearest = std::max_element(
        members.begin(), members.end(),
        [&](const InstanceId& a, const InstanceId& b) { return shared(a) < shared(b); });
    assigned.push_back(*nearest);
    members.erase(nearest);
  }
  return assigned;
}

void Coordinator::Supersede(const InstanceId& instance) {
  Placed& placed = placed_.at(instance);
  placed.record.set_superseded(true);
  Conclude(placed, InstanceRecord::STOPPED, "others have taken its place");
}

void Coordinator::Load(Placed& placed, const Model& model, const plan::Plan& plan,
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
  const bool loads = placed.record.state() == InstanceRecord::LOADING && !placed.replanned;
  if (!loads || placed.loading.erase(from) == 0) return;
  if (!report.loaded()) {
    const NodeRecord* node = host_.book().FindNode(from);
    const std::string words =
        fmt::format("node '{}': {}", node ? node->name() : from.Short(), report.message());
    if (!placed.moved)
      return Conclude(placed, InstanceRecord::FAILED, words,
                      CodeFromWire(static_cast<int>(report.code())));
    log::Warning("'{}' is placed without it: {}", placed.record.model(), words);
    placements_[placed.record.placement()].refused.insert(from);
    return PlaceEpoch(found->first);
  }
  if (placed.loading.empty()) Conclude(placed, InstanceRecord::READY, {});
}

void Coordinator::Conclude(Placed& placed, InstanceRecord::State state, const std::string& message,
                           Code code) {
  placed.record.set_state(state);
  placed.record.set_message(message);
  placed.moved = false;
  OnNews();
  PublishRecord(placed);
  const InstanceRecord record = placed.record;
  if (state != InstanceRecord::READY) {
    placements_[record.placement()].unheard.clear();
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
  const char* const words = "stopped by its owner";
  const auto found = placed_.find(instance);
  if (found != placed_.end())
    return Conclude(found->second, InstanceRecord::STOPPED, words, Code::kCancelled);
  // One that has failed: it shall neither be shown nor come back.
  const InstanceRecord* known = host_.book().FindInstance(instance);
  const bool ours = known != nullptr && known->coordinator() == ToBytes(host_.courier().self());
  if (!ours || known->state() != InstanceRecord::FAILED) return;
  ended_.erase(instance);
  Placed stopped{.record = *known};
  stopped.record.set_state(InstanceRecord::STOPPED);
  stopped.record.set_message(words);
  PublishRecord(stopped);
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
    ended_.erase(id);
  } else if (!Owns(id) && IsActive(record)) {
    Adopt(record);  // we coordinated it before we were restarted
  }
}

void Coordinator::Adopt(const InstanceRecord& record) {
  Placed& placed = placed_[InstanceId(record.instance())];
  placed.record = record;
  placed.record.set_coordinator(ToBytes(host_.courier().self()));
  placed.record.set_epoch(record.epoch() + 1);
  placed.record.set_state(InstanceRecord::LOADING);
  PublishRecord(placed);  // before there is a plan: whoever comes after us must know
  PlaceEpoch(InstanceId(record.instance()));
}

void Coordinator::OnPeerUp(const NodeId& peer) {
  presence_.OnUp(peer, now_);
  OnNews();
}

void Coordinator::OnPeerDown(const NodeId& peer) {
  presence_.OnDown(peer, now_);
  const NodeId& self = host_.courier().self();
  OnNews();
  ++losses_;
  for (auto& [id, placement] : placements_) {
    placement.weighed.nodes.erase(peer);
    placement.refused.erase(peer);
    placement.unheard.clear();
  }
  std::vector<InstanceId> hit;
  for (const auto& [id, placed] : placed_) {
    const auto nodes = NodesOf(FromProto(placed.record.plan()));
    const bool uses = std::find(nodes.begin(), nodes.end(), peer) != nodes.end();
    if (IsActive(placed.record) && uses) hit.push_back(id);
  }
  for (const InstanceId& id : hit) PlaceEpoch(id);

  std::vector<InstanceRecord> orphans;
  for (const auto& [id, record] : host_.book().instances()) {
    if (record.coordinator() != ToBytes(peer) || !IsActive(record)) continue;
    const plan::ClusterProfile profile =
        ProfileOf(host_.book(), record.fingerprint(),
                  [this](const NodeId& node) { return host_.IsLive(node); }, {id});
    NodeId heir;
    for (const plan::NodeProfile& node : profile.nodes) {
      if (node.has_model && (heir.empty() || node.id < heir)) heir = node.id;
    }
    if (heir == self) orphans.push_back(record);
  }
  for (const InstanceRecord& record : orphans) Adopt(record);
}

// --- Placements follow their devices ---

void Coordinator::Tick(os::TimePoint now) {
  now_ = now;
  if (std::exchange(news_, false) && !look_at_) look_at_ = now + kSettling;
  if (!look_at_ || now < *look_at_) return;
  look_at_.reset();
  Look();
}

bool Coordinator::Resources::Surpasses(const Resources& before) const {
  return links > before.links ||
         !std::includes(before.nodes.begin(), before.nodes.end(), nodes.begin(), nodes.end());
}

// Nodes that are measured, have the file and are spoken with; by and by, if not steady.
Coordinator::Resources Coordinator::Usable(const std::string& fingerprint) const {
  const NodeId& self = host_.courier().self();
  const plan::ClusterProfile profile = ProfileOf(
      host_.book(), fingerprint, [this](const NodeId& node) { return host_.IsLive(node); }, {});
  Resources usable;
  for (const plan::NodeProfile& node : profile.nodes) {
    const bool linked = node.id == self || (profile.FindLink(self, node.id) != nullptr &&
                                            profile.FindLink(node.id, self) != nullptr);
    if (node.has_model && linked && presence_.IsSteady(node.id, now_)) usable.nodes.insert(node.id);
  }
  for (const plan::LinkProfile& link : profile.links)
    usable.links += usable.nodes.contains(link.from) && usable.nodes.contains(link.to) ? 1 : 0;
  return usable;
}

// Since its placement was last planned.
bool Coordinator::SomeCame(const InstanceRecord& record) const {
  const auto known = placements_.find(record.placement());
  return known == placements_.end() ||
         Usable(record.fingerprint()).Surpasses(known->second.weighed);
}

std::map<uint64_t, std::vector<InstanceId>> Coordinator::Placements() const {
  std::map<uint64_t, std::vector<InstanceId>> placements;
  for (const auto& [id, placed] : placed_) placements[placed.record.placement()].push_back(id);
  return placements;
}

void Coordinator::Look() {
  BringBack();
  const auto placements = Placements();
  for (const auto& [placement, members] : placements) LookAt(placement, members);
  std::erase_if(placements_, [&](const auto& item) {
    return !placements.contains(item.first) &&
           std::none_of(ended_.begin(), ended_.end(),
                        [&](const auto& ended) { return ended.second.placement() == item.first; });
  });
  const auto& nodes = host_.book().nodes();
  const bool all_steady = std::all_of(nodes.begin(), nodes.end(), [&](const auto& item) {
    return !host_.IsLive(item.first) || presence_.IsSteady(item.first, now_);
  });
  if (!all_steady) OnNews();
}

// Has its placement given its share to others, or has the owner, or a request, had the model placed
// anew?
bool Coordinator::IsReplaced(const InstanceRecord& ended) const {
  int taken = 0;
  for (const auto& [id, other] : host_.book().instances()) {
    if (!IsActive(other) || other.fingerprint() != ended.fingerprint()) continue;
    if (other.placement() != ended.placement()) return true;
    taken += other.plan().workload().concurrency();
  }
  return taken > 0 &&
         taken + ended.plan().workload().concurrency() > ended.whole_workload().concurrency();
}

void Coordinator::BringBack() {
  std::vector<InstanceId> wanted;
  for (const auto& [id, ended] : ended_) {
    if (SomeCame(ended) && !IsReplaced(ended)) wanted.push_back(id);
  }
  for (const InstanceId& id : wanted) Want({Wanted::Why::kBringBack, {id}});
}

// Might there be something better for these, which run? Then their nodes are asked whether they may
// be moved, before anything is planned on cores that they compute with.
void Coordinator::LookAt(uint64_t number, const std::vector<InstanceId>& members) {
  const bool run = std::all_of(members.begin(), members.end(),
                               [&](const InstanceId& id) { return Runs(placed_.at(id)); });
  if (!run) return;  // then there will be news
  const std::vector<InstanceRecord> records = RecordsOf(members);
  int concurrency = 0;
  for (const InstanceRecord& record : records)
    concurrency += record.plan().workload().concurrency();
  const bool all = ActiveOf(number).size() == members.size() &&
                   concurrency >= records.front().whole_workload().concurrency();
  Placement& placement = placements_[number];
  if (!all || !SomeCame(records.front())) {
    placement.weighed = Usable(records.front().fingerprint());
    return;
  }
  placement.busy = false;
  placement.unheard.clear();
  for (const InstanceRecord& record : records) {
    for (const NodeId& node : NodesOf(FromProto(record.plan()))) {
      placement.unheard.insert(node);
      ClusterMessage message;
      message.mutable_idle_question()->set_instance(record.instance());
      host_.courier().Send(node, message);
    }
  }
}

void Coordinator::OnIdleAnswer(const NodeId& from, const IdleAnswer& answer) {
  const auto found = placed_.find(InstanceId(answer.instance()));
  if (found == placed_.end()) return;
  const uint64_t number = found->second.record.placement();
  Placement& placement = placements_[number];
  if (placement.unheard.erase(from) == 0) return;
  placement.busy = placement.busy || answer.seats() > 0;
  if (!placement.unheard.empty()) return;
  if (placement.busy) return OnNews();  // to be looked at again
  Want({Wanted::Why::kMove, Placements().at(number)});
}

}  // namespace baton::cluster
