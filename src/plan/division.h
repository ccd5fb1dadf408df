// Division: several instances of the model side by side on different nodes, and how many of the
// workload's requests each of them takes. Pure.
//
// A share of the requests has that share of the slots, and with it less KV memory. Shares are whole
// requests, chosen with the nodes: for throughput those with the largest sum, for latency those
// under which the slowest instance is quickest, so that each gets what it can do.
//
// Of up to six nodes and sixteen layers every partition is weighed with every division of up to
// sixteen requests (of more, in sixteenths): dynamic programming over sets of nodes and requests,
// in which a set is searched as one instance only for what beats the best of its own divisions. Of
// more layers that search is brief; of more nodes families.h has what is weighed, besides, of up to
// sixteen, a brief partition of the six that promise most; and each instance of the best few
// divisions is searched once more among its own nodes and those that are free. That instances on
// nodes of one machine may share its processors, or read its memory at once, is seen once they are
// chosen: what is divided may lose by it.
#pragma once

#include <memory>
#include <vector>

#include "plan/plan.h"

namespace baton::plan {

class Families;

// The best divisions of the nodes that it is told of, one set after the other, each with all nodes
// of those before. None where nothing can be divided: one request, one node, or the objective is to
// need few.
class Division {
 public:
  // All must outlive it.
  Division(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
           const NodeId& entry);
  ~Division();

  // `nodes`, and the plans of one instance on them, best first.
  void Weigh(const std::vector<size_t>& nodes, const std::vector<Plan>& whole);
  // What one node more adds to the best so far. `whole` are plans with it, too.
  void WeighNewest(size_t node, const std::vector<Plan>& whole);
  // For each number of instances, of two or more, that was found; best first.
  const std::vector<Plan>& Best() const { return best_; }

 private:
  class Slices;
  class Partitions;
  class Polish;
  bool MayDivide() const;
  void Add(std::vector<Plan> plans);

  const ClusterProfile& cluster_;
  const ModelCost& model_;
  const Workload& workload_;
  const NodeId& entry_;
  const bool with_care_;
  std::unique_ptr<Slices> slices_;
  std::unique_ptr<Families> families_;
  std::vector<Plan> best_;
};

// The same, where instances have nodes that share processors or memory: they take longer side by
// side.
Plan InTurns(const ClusterProfile& cluster, Plan plan);

// What an instance that takes `requests` of the workload's is planned for.
Workload ShareOf(const Workload& workload, int requests);

}  // namespace baton::plan
