#include "plan/candidates.h"

#include <algorithm>
#include <utility>

namespace baton::plan {
namespace {

bool SameNodes(const Arrangement& a, const Arrangement& b) {
  const auto same = [](const Group& x, const Group& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const GroupStage& s, const GroupStage& t) { return s.node == t.node; });
  };
  return same(a.prefill, b.prefill) && same(a.decode, b.decode);
}

// The one of the same nodes in the same roles, if there is one.
std::vector<Candidate>::iterator TwinIn(std::vector<Candidate>& candidates, const Candidate& of) {
  return std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& other) {
    return SameNodes(other.arrangement, of.arrangement);
  });
}

}  // namespace

bool Better(const CostTable& costs, const Candidate& a, const Candidate& b) {
  if (a.score < b.score) return true;
  if (b.score < a.score) return false;
  const size_t nodes_a = NodeCount(a.arrangement);
  const size_t nodes_b = NodeCount(b.arrangement);
  if (nodes_a != nodes_b) return nodes_a < nodes_b;
  const auto key = [&](const Arrangement& arrangement) {
    std::vector<std::pair<NodeId, int>> stages;
    for (const Group* group : {&arrangement.prefill, &arrangement.decode}) {
      for (const GroupStage& stage : *group)
        stages.emplace_back(costs.cluster().nodes[stage.node].id, stage.layers.last);
    }
    return stages;
  };
  return key(a.arrangement) < key(b.arrangement);
}

std::vector<Candidate> Merged(const CostTable& costs, std::vector<Candidate> candidates,
                              const std::vector<Candidate>& more) {
  for (const Candidate& candidate : more) {
    const auto twin = TwinIn(candidates, candidate);
    if (twin == candidates.end())
      candidates.push_back(candidate);
    else if (Better(costs, candidate, *twin))
      *twin = candidate;
  }
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& a, const Candidate& b) { return Better(costs, a, b); });
  return candidates;
}

void BestCandidates::Add(Candidate candidate) {
  if (NodeCount(candidate.arrangement) == 1 && TwinIn(singles_, candidate) == singles_.end())
    singles_.push_back(candidate);
  if (kept_.size() >= kKept && !Better(costs_, candidate, kept_.back())) return;
  const auto twin = TwinIn(kept_, candidate);
  if (twin != kept_.end()) {
    if (!Better(costs_, candidate, *twin)) return;
    kept_.erase(twin);
  }
  const auto place = std::find_if(kept_.begin(), kept_.end(), [&](const Candidate& other) {
    return Better(costs_, candidate, other);
  });
  kept_.insert(place, std::move(candidate));
  if (kept_.size() > kKept) kept_.pop_back();
}

}  // namespace baton::plan
