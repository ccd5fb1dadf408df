// Coordinator: the instances that this node places, and places anew when a node of theirs is lost.
// A placement is one instance or several, each with a record, an epoch and a life of its own: where
// one loses a node it is placed anew on nodes that the others do not use, or ends and leaves its
// requests to them; the last one left may be placed as several again. An instance whose coordinator
// is gone passes to the lowest live node that has its model, under the next epoch; lower epochs are
// refused everywhere.
//
// Placements follow their devices: when nodes come that had no part in the last planning, new ones
// or such as were lost, an instance that ended for want of them is placed again, and what stands is
// weighed against what could be (plan::Reconsider) and moved, once no request is there.
//
// I/O thread only. Planning may take seconds and is done on other threads, one placement after the
// other, so that each sees what the last one took; what was planned while nodes were lost is
// planned again.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/courier.h"
#include "cluster/presence.h"
#include "cluster/records.h"
#include "os/clock.h"
#include "os/worker.h"

namespace baton::cluster {

class CoordinatorHost {
 public:
  virtual ~CoordinatorHost() = default;
  virtual Courier& courier() = 0;
  virtual const RecordBook& book() const = 0;
  virtual bool IsLive(const NodeId& node) const = 0;
  virtual Result<std::shared_ptr<const Model>> OpenModel(const std::string& model) = 0;
  // Keeps the record and tells everyone.
  virtual void Publish(const InstanceRecord& record) = 0;
  // Any thread: runs `task` on the I/O thread, unless the host is gone by then.
  virtual void PostToIo(std::function<void()> task) = 0;
};

class Coordinator {
 public:
  using Done = std::function<void(Result<InstanceRecord>)>;
  using Planned = std::function<void(Result<plan::PlanResult>)>;

  explicit Coordinator(CoordinatorHost& host) : host_(host) {}

  // What would be placed now, explained; if a device is `added`, with it.
  void Plan(const std::string& model, const plan::Workload& workload,
            const plan::Constraints& constraints, const plan::Addition* added, Planned done);
  // `done` is told when all its instances are loaded or have failed: of those that are ready, one.
  // It may be called before this returns.
  void Place(const std::string& model, const plan::Workload& workload,
             const plan::Constraints& constraints, Done done);
  void Stop(const InstanceId& instance);

  void OnStageReport(const NodeId& from, const StageReport& report);
  // Another's word on an instance, already in the book.
  void OnRecord(const InstanceRecord& record);
  void OnPeerUp(const NodeId& peer);
  void OnPeerDown(const NodeId& peer);
  // Nodes, links or files are other than they were: soon, what runs is looked at.
  void OnNews() { news_ = true; }
  void OnIdleAnswer(const NodeId& from, const IdleAnswer& answer);
  // To be called all the time: looks at what there is to look at.
  void Tick(os::TimePoint now);
  bool Owns(const InstanceId& instance) const { return placed_.count(instance) > 0; }

 private:
  static constexpr size_t kAnswersMax = 64;
  static constexpr size_t kWantedMax = 256;

  struct Placed {
    InstanceRecord record;
    std::set<NodeId> loading;
    bool replanned = false;  // it waits for a plan: what its stages report is of the past
    bool moved = false;      // what it has left still ran
  };
  // What a plan may be made of.
  struct Resources {
    std::set<NodeId> nodes;
    size_t links = 0;  // between them, one direction each
    // Has it something that `before` had not?
    bool Surpasses(const Resources& before) const;
  };
  // What is known of instances that were placed together.
  struct Placement {
    Resources weighed;         // when it was last planned
    std::set<NodeId> refused;  // could not load what a move gave them; until they are lost
    // Of a move that waits: who has not yet said whether requests are there, and does one say so?
    std::set<NodeId> unheard;
    bool busy = false;
  };
  // Who waits for a placement, until its last instance is settled.
  struct Waiting {
    std::set<InstanceId> unsettled;
    std::vector<Done> told;
    std::optional<InstanceRecord> ready;
    std::optional<Error> failed;
  };
  // What the planner is asked.
  struct Question {
    plan::ClusterProfile cluster;
    plan::ModelCost model;
    plan::Workload workload;
    plan::Constraints constraints;
  };
  // Instances that wait for a plan: one, or all of a placement.
  struct Wanted {
    enum class Why { kPlace, kMove, kBringBack } why = Why::kPlace;
    std::vector<InstanceId> members;
    bool operator==(const Wanted&) const = default;
  };
  static bool Runs(const Placed& placed) {
    return placed.record.state() == InstanceRecord::READY && !placed.replanned;
  }
  Result<Question> Ask(const std::string& model, const plan::Workload& workload,
                       const plan::Constraints& constraints,
                       const std::set<InstanceId>& replanned) const;
  std::vector<InstanceRecord> ActiveOf(uint64_t placement) const;
  std::vector<InstanceRecord> Siblings(const std::vector<InstanceRecord>& members) const;
  plan::Workload WorkloadFor(const std::vector<InstanceRecord>& members) const;
  void Decide(const std::vector<InstanceRecord>& members, const plan::ReconsiderOptions& options,
              Planned done);
  void Compute(os::Worker& worker, std::function<Result<plan::PlanResult>()> work, Planned done);
  std::vector<InstanceRecord> RecordsOf(const std::vector<InstanceId>& members) const;
  void PlaceEpoch(const InstanceId& instance);
  void Want(Wanted wanted);
  bool Holds(const Wanted& wanted) const;
  void PlanNext();
  void OnPlanned(const Wanted& wanted, const Result<plan::PlanResult>& decided);
  void RollOut(const std::vector<InstanceId>& members, const Result<plan::PlanResult>& decided);
  void End(const std::vector<InstanceId>& members, const Error& why);
  std::vector<InstanceId> Assign(std::vector<InstanceId> members,
                                 const std::vector<const plan::Plan*>& plans) const;
  void Supersede(const InstanceId& instance);
  void Load(Placed& placed, const Model& model, const plan::Plan& plan,
            const plan::Workload& workload);
  void Settle(const InstanceRecord& record, Code code);
  void Adopt(const InstanceRecord& record);
  void SendLoads(Placed& placed, const Model& model, const plan::Plan& plan,
                 const plan::Workload& workload);
  void UnloadElsewhere(const Placed& placed, const plan::Plan& old_plan);
  void Conclude(Placed& placed, InstanceRecord::State state, const std::string& message,
                Code code = Code::kInternal);
  void ReleaseStages(const InstanceRecord& record);
  void PublishRecord(Placed& placed);
  Status CheckMeasured(const plan::Constraints& constraints) const;
  Status CheckSameFile(const Model& model, const std::string& name,
                       const plan::Constraints& constraints) const;

  Resources Usable(const std::string& fingerprint) const;
  bool SomeCame(const InstanceRecord& record) const;
  void Look();
  void BringBack();
  bool IsReplaced(const InstanceRecord& ended) const;
  void LookAt(uint64_t placement, const std::vector<InstanceId>& members);
  std::map<uint64_t, std::vector<InstanceId>> Placements() const;

  CoordinatorHost& host_;
  std::map<InstanceId, Placed> placed_;
  std::map<InstanceId, InstanceRecord> ended_;  // for want of nodes that may come again
  std::map<uint64_t, Waiting> waiting_;         // by placement
  std::map<uint64_t, Placement> placements_;
  Presence presence_;
  std::deque<Wanted> wanted_;  // in this order
  bool planning_ = false;
  uint64_t losses_ = 0;
  os::TimePoint now_;  // of the last tick
  bool news_ = false;
  std::optional<os::TimePoint> look_at_;
  os::Worker placing_{"planner", 1};
  os::Worker answering_{"plan-answers", kAnswersMax};  // to those who only ask
};

}  // namespace baton::cluster
