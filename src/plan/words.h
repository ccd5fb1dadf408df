// How plans are put into words. Pure.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace baton::plan {

std::string Bytes(double bytes);   // "4.2 GB", "310 MB"
std::string Time(double seconds);  // "2.31 s", "48.5 ms"
std::string NamesOf(const ClusterProfile& cluster, const std::vector<StagePlan>& stages);
// "prefill on a, decode on b", "all on a", "layers split over a + b"; of several instances
// "2 instances: all on a for 3 requests, all on b for 1".
std::string Describe(const ClusterProfile& cluster, const Plan& plan);

}  // namespace baton::plan
