// RecordBook: what this node knows of the others. A pure state: records go in, the newer one stays.
//
// A node's record is written by itself alone: (boot, revision) orders it. An instance's record is
// written by its coordinator alone: (epoch, revision) orders it, so that a successor, who takes the
// next epoch, wins over whatever the old coordinator still says. Of two successors with the same
// epoch the lower node id wins.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "cluster/convert.h"

namespace baton::cluster {

class RecordBook {
 public:
  static constexpr size_t kInstancesMax = 1024;

  // True if the record was news. Malformed ones never are. `direct`: it came from the node itself;
  // only then is another boot believed, since boots have no order and hearsay may be old.
  bool Merge(const NodeRecord& record, bool direct);
  bool Merge(const InstanceRecord& record);

  const NodeRecord* FindNode(const NodeId& node) const;
  const InstanceRecord* FindInstance(const InstanceId& instance) const;
  const std::map<NodeId, NodeRecord>& nodes() const { return nodes_; }
  const std::map<InstanceId, InstanceRecord>& instances() const { return instances_; }

 private:
  std::map<NodeId, NodeRecord> nodes_;
  std::map<InstanceId, InstanceRecord> instances_;
};

// Holds memory on its nodes: loads or runs.
bool IsActive(const InstanceRecord& record);

// The cluster as the planner sees it: measured nodes that `is_live` says are there, with memory
// less what instances other than those `replanned` take, for the model with `fingerprint`.
plan::ClusterProfile ProfileOf(const RecordBook& book, const std::string& fingerprint,
                               const std::function<bool(const NodeId&)>& is_live,
                               const std::set<InstanceId>& replanned);

// Counted from the model's own tensors.
plan::ModelCost CostOf(const Model& model, const std::string& name);

// Nodes that hold a stage of the plan.
std::vector<NodeId> NodesOf(const plan::Plan& plan);

}  // namespace baton::cluster
