// What is said about a plan besides its numbers. Plain values; explain.h makes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "plan/sharding.h"

namespace baton::plan {

enum class Part { kCompute, kMemoryBandwidth, kOverhead, kLink, kMemory };
// "compute", "memory bandwidth", "overhead", "link", "memory".
std::string_view NameOf(Part part);

// What most of a stage's time goes into, or of the way to the next stage.
struct StageBound {
  NodeId node;
  NodeId to;  // of a link, else empty
  bool prefill = false;
  Part part = Part::kCompute;
  double seconds = 0;      // of the whole prompt, or of one token
  double share = 0;        // of these, that go into that part
  bool slowest = false;    // of this phase of its instance
  double bytes_per_s = 0;  // of a link
  bool hand_over = false;  // the KV stream's; share is 0 where prefill hides it
};

// One part of one device, or a link in both directions, twice as good; planned anew.
struct Upgrade {
  NodeId node;
  NodeId to;  // of a link, else empty
  Part part = Part::kCompute;
  double ttft_s = 0;
  double decode_tokens_per_s = 0;
  double total_s = 0;
  double request_s = 0;
  double gain = 1;  // times as good, by the objective
  std::string words;
};

struct Explanation {
  std::vector<StageBound> bounds;     // of each instance prefill first, stages in their order
  std::vector<Upgrade> upgrades;      // what gains most first; what gains nothing is left out
  std::vector<ShardedGroup> sharded;  // only where asked
};

}  // namespace baton::plan
