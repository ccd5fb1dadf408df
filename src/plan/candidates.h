// Candidates: arrangements that were weighed, and the best of them. Pure, and the same on every
// machine.
#pragma once

#include <vector>

#include "plan/evaluate.h"

namespace baton::plan {

struct Candidate {
  Arrangement arrangement;
  Totals totals;
  Score score;
};

// A total order: score, then fewer nodes, then the nodes and the boundaries themselves.
bool Better(const CostTable& costs, const Candidate& a, const Candidate& b);

// Both, each arrangement of nodes and roles once, as it is better; best first.
std::vector<Candidate> Merged(const CostTable& costs, std::vector<Candidate> candidates,
                              const std::vector<Candidate>& more);

// The best few of different nodes or roles, each as it is best; and every node alone.
class BestCandidates {
 public:
  static constexpr size_t kKept = 24;

  // Must outlive it.
  explicit BestCandidates(const CostTable& costs) : costs_(costs) {}

  void Add(Candidate candidate);
  bool empty() const { return kept_.empty(); }
  const Candidate& best() const { return kept_.front(); }
  const std::vector<Candidate>& kept() const { return kept_; }  // best first
  // With those of one node that are not among the best few; best first.
  std::vector<Candidate> WithSingles() const { return Merged(costs_, kept_, singles_); }

 private:
  const CostTable& costs_;
  std::vector<Candidate> kept_;
  std::vector<Candidate> singles_;
};

}  // namespace baton::plan
