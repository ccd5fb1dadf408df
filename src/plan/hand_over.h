// Hand-over: what a prompt that some nodes compute sends to those that go on with it, and what of
// that is left when it is computed. Pure.
//
// A chunk's KV leaves layer by layer. What leaves a node's port, or arrives there, shares its rate:
// KV for several nodes, KV of several, and the rows that the next stage waits for, which go first.
#pragma once

#include <vector>

#include "plan/groups.h"

namespace baton::plan {

struct Exposure {
  double seconds = 0;   // after the prompt is computed, until all of its KV has arrived
  bool hidden = false;  // only the last unit remains, if anything
};

// Empty where they have none in common.
LayerRange Overlap(LayerRange a, LayerRange b);

// What goes through ports, each of which is in use from when its first byte is there.
class Traffic {
 public:
  explicit Traffic(const CostTable& costs) : costs_(costs) {}
  // From one node to another, which are linked.
  void Add(size_t from, size_t to, double bytes, double begin_s = 0);
  // Until the last port is done, and what the busiest has to do.
  double End() const;
  double BusiestSeconds() const;
  // What a link of these leaves of its rate to `bytes` of what goes through it.
  double RateOf(size_t from, size_t to, double bytes) const;

 private:
  struct Port {
    uint32_t id;
    double bytes_per_s, bytes, begin_s;
  };
  void Add(CostTable::PortOf port, double bytes, double begin_s);

  const CostTable& costs_;
  std::vector<Port> ports_;
};

// The KV that one stage sends another.
struct KvStream {
  LayerRange layers;
  double bytes_per_s = 0;  // its part of the ports' rates, where it leaves something of its link's
  double one_way_s = 0;
  double begin_part = 0;  // of the time that the prompt takes, before it begins
};

class HandOver {
 public:
  // Of `tokens` of a prompt, the last of which is computed after `prefill_s`. Both must outlive it.
  HandOver(const CostTable& costs, const Group& prefill, double prefill_s, int tokens);

  Exposure To(const Group& decode) const;
  std::vector<KvStream> StreamsTo(const Group& decode) const;
  // What remains of what one stage gets, as far as it does not depend on what the others are.
  double ExposedAt(const GroupStage& to) const;
  // What remains whatever generates on these nodes.
  double LeastExposed(const std::vector<size_t>& decode) const;
  // Seconds that a link to this stage or a port of its node is taken, likewise.
  double SendingAt(const GroupStage& to) const;

 private:
  struct Flow {
    double end_s = 0;  // of the last byte but for those of the last unit, if the link is idle else
    double begin_s = 0;
    double left_s = 0;  // of the last unit, when the prompt is computed
    double bytes = 0;
  };
  double SentTokensOf(LayerRange layers) const;
  // Nothing to a stage of the same node, or without layers of this one's.
  Flow FlowOf(size_t place, const GroupStage& to) const;
  void AddRows(Traffic& traffic) const;
  // Of a node that also generates `kept`: what it sends takes its only port so long, and remains.
  double SendingFrom(size_t place, LayerRange kept) const;
  double ExposedFrom(size_t place, LayerRange kept) const;

  const CostTable& costs_;
  const Group& prefill_;
  const double prefill_s_;
  const int tokens_;
  double rows_bytes_;  // from a stage to the next
  double unit_bytes_;  // of one layer and the last chunk
  // Of each stage: a chunk; when its first begins, and what is left to do after its last.
  std::vector<double> chunk_s_, begin_s_, after_s_;
};

// By how much longer rows take from each stage of `prefill` to the next than alone, where other
// stages' KV of so many tokens arrives by the same port: neither goes first there, and while both
// come each has half of it. Empty: nowhere.
std::vector<double> HopTimes(const CostTable& costs, const Group& prefill, const Group& decode,
                             int tokens);
// Seconds that the busiest link or port is taken for a prompt: its KV, and rows between stages.
double BusiestSending(const CostTable& costs, const Group& prefill, const Group& decode);

}  // namespace baton::plan
