// Coordinator: the instances that this node places, and places anew when a node of theirs is lost.
// A placement is one instance or several, each with a record, an epoch and a life of its own: where
// one loses a node it is placed anew on nodes that the others do not use, or ends and leaves its
// requests to them; the last one left may be placed as several again. An instance whose coordinator
// is gone passes to the lowest live node that has its model, under the next epoch; lower epochs are
// refused everywhere. I/O thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/courier.h"
#include "cluster/records.h"

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
};

class Coordinator {
 public:
  using Done = std::function<void(Result<InstanceRecord>)>;

  explicit Coordinator(CoordinatorHost& host) : host_(host) {}

  // What would be placed now, explained; if a device is `added`, with it.
  Result<plan::PlanResult> Plan(const std::string& model, const plan::Workload& workload,
                                const plan::Constraints& constraints, const plan::Addition* added);
  // `done` is told when all its instances are loaded or have failed: of those that are ready, one.
  // It may be called before this returns.
  void Place(const std::string& model, const plan::Workload& workload,
             const plan::Constraints& constraints, Done done);
  void Stop(const InstanceId& instance);

  void OnStageReport(const NodeId& from, const StageReport& report);
  // Another's word on an instance, already in the book.
  void OnRecord(const InstanceRecord& record);
  void OnPeerDown(const NodeId& peer);
  bool Owns(const InstanceId& instance) const { return placed_.count(instance) > 0; }

 private:
  struct Placed {
    InstanceRecord record;
    std::set<NodeId> loading;
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
  };
  Result<Question> Ask(const std::string& model, const plan::Workload& workload,
                       const plan::Constraints& constraints, const InstanceId& replanned) const;
  std::vector<InstanceRecord> Siblings(const InstanceRecord& record) const;
  plan::Workload WorkloadFor(const InstanceRecord& record) const;
  Result<plan::Plan> Decide(const InstanceRecord& record) const;
  void PlaceEpoch(Placed& placed);
  void RollOut(Placed& placed, const Model& model, const plan::Plan& plan,
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

  CoordinatorHost& host_;
  std::map<InstanceId, Placed> placed_;
  std::map<uint64_t, Waiting> waiting_;  // by placement
};

}  // namespace baton::cluster
