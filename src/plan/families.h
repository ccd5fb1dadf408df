// Divisions of more nodes than can be partitioned in full: families of instances on disjoint nodes,
// each dealt the requests one by one. Pure.
//
// A family has every node that holds the model alone, and packs the others into groups that just
// hold it, along a few fixed sequences of nodes; or it begins with one of the best plans of one
// instance, and has the rest likewise. A request goes to whichever instance does most with it.
#pragma once

#include <memory>
#include <vector>

#include "plan/plan.h"

namespace baton::plan {

class Families {
 public:
  // All must outlive it.
  Families(const ClusterProfile& cluster, const ModelCost& model, const Workload& workload,
           const NodeId& entry);
  ~Families();

  // The best of each number of instances, best first. `nodes` ascend by identity, `whole` are plans
  // of one instance on them, best first.
  std::vector<Plan> Best(const std::vector<size_t>& nodes, const std::vector<Plan>& whole);
  // What one node more adds to the best few of these divisions: alone; or with the others of the
  // best, if the best plan of one instance has it.
  std::vector<Plan> With(size_t newest, const std::vector<Plan>& divided,
                         const std::vector<Plan>& whole);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::plan
