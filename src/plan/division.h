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
// more layers that search is brief; of more nodes families.h has what is weighed, besides a brief
// partition of the six that promise most; and each instance of the best few divisions is searched
// once more among its own nodes and those that are free. That instances on nodes of one machine may
// share its processors is seen once they are chosen: what is divided may lose by it.
#pragma once

#include <vector>

#include "plan/plan.h"

namespace baton::plan {

// The best plan for each number of instances that was found, best first; each has two or more.
// Empty where nothing can be divided: one request, one node, or the objective is to need few.
// `nodes` are those that may be used, `whole` plans of one instance on them, best first.
std::vector<Plan> Divide(const ClusterProfile& cluster, const ModelCost& model,
                         const Workload& workload, const NodeId& entry,
                         const std::vector<size_t>& nodes, const std::vector<Plan>& whole);

// Of each number of instances the better one; best first.
std::vector<Plan> Merged(std::vector<Plan> plans, std::vector<Plan> more, Objective objective);

// The same, where instances have nodes that share processors: they take longer side by side.
Plan InTurns(const ClusterProfile& cluster, Plan plan);

// What an instance that takes `requests` of the workload's is planned for.
Workload ShareOf(const Workload& workload, int requests);

}  // namespace baton::plan
