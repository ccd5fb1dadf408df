// What an arrangement of stages takes: the one judge of all plans. Pure.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <tuple>

#include "plan/groups.h"
#include "plan/hand_over.h"
#include "plan/plan.h"

namespace baton::plan {

// A group that computes prompts (empty: the decode group does it) and one that generates.
struct Arrangement {
  Group prefill;
  Group decode;
  bool operator==(const Arrangement&) const = default;
};

struct Totals {
  double prefill_s = 0;
  Exposure exposure;
  double ttft_s = 0;
  double decode_step_s = 0;
  double total_s = 0;
  // With `concurrency` requests at once, spread over the stages: seconds per request of the busiest
  // node or link, or of nodes that share processors; or one request's time by all of them, with
  // what others' prompts stop it; whichever is most.
  double request_s = 0;
};

// What is compared, smaller first: nodes (where the objective is to need few), then seconds.
struct Score {
  size_t nodes = 0;
  double seconds = 0;
  friend bool operator<(const Score& a, const Score& b) {
    return std::tie(a.nodes, a.seconds) < std::tie(b.nodes, b.seconds);
  }
};

class Judge {
 public:
  // Both must outlive it. `entry` is the node that the client is connected to.
  Judge(const CostTable& costs, const NodeId& entry);

  // Nothing if a node's memory does not hold its roles together, or if a link is missing.
  std::optional<Totals> TotalsOf(const Arrangement& arrangement) const;
  Score ScoreOf(const Arrangement& arrangement, const Totals& totals) const;
  Plan PlanOf(const Arrangement& arrangement, const Totals& totals) const;
  // Do the entry and the node speak with each other, as it does with all that it uses?
  bool IsInReach(size_t node) const {
    return to_entry_[node] + from_entry_[node] < std::numeric_limits<double>::infinity();
  }
  // Can the last of those who compute prompts send the first token to whoever runs it and to
  // whoever draws the next?
  bool CanHandOver(size_t from, size_t first, size_t last) const;
  // The first token's way from where it is drawn.
  double ToEntry(size_t node) const { return to_entry_[node]; }
  const CostTable& costs() const { return costs_; }

 private:
  bool FitsTogether(const Arrangement& arrangement) const;
  // Can all who have something to say to each other do so? The entry speaks with every node.
  bool IsLinked(const Arrangement& arrangement) const;
  double RequestSeconds(const Arrangement& arrangement, const Totals& totals) const;
  // Where the stages that generate take so many times as long as alone; empty: as long.
  double RequestSeconds(const Arrangement& arrangement, const Totals& totals,
                        std::span<const double> times) const;

  const CostTable& costs_;
  std::vector<double> to_entry_, from_entry_;
};

LayerRange Hull(LayerRange a, LayerRange b);
// Requests that one batch of a pipeline of so many stages has when all requests are spread over it.
double BatchOf(const CostTable& costs, size_t stages);
// Seconds to compute a prompt of which so many tokens' KV is sent to `decode` meanwhile.
double PrefillSecondsBeside(const CostTable& costs, const Group& prefill, const Group& decode,
                            int tokens);
// Seconds of each of these nodes for its stage of a prompt; 0 where it has none.
std::vector<double> PromptSecondsOn(const CostTable& costs, const Group& computing,
                                    const std::vector<size_t>& nodes);
// Seconds per request of a stage that generates for so many, in a pipeline whose nodes spend
// `prompts` on a prompt of so many chunks. Chunks and steps take turns on a node: it is busy with
// both. And while another runs a chunk, the batches of the pipeline soon wait there: this one has a
// pass of all of them to do meanwhile, and no more.
double BusySecondsBeside(const CostTable& costs, std::span<const double> prompts, double chunks,
                         size_t stage, double generating_s);
// The nodes of an arrangement, each once.
size_t NodeCount(const Arrangement& arrangement);

}  // namespace baton::plan
