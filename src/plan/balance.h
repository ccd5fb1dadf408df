// Is a device balanced for a model? Prefill asks for arithmetic, decode for memory: a workload asks
// for so many operations per byte, and a device has so many to give.
#pragma once

#include <vector>

#include "plan/catalogue.h"
#include "plan/profile.h"

namespace baton::plan {

struct Balance {
  const CatalogueDevice* device = nullptr;
  bool fits = false;                // the whole model, with its context
  uint64_t memory_bytes = 0;        // that this takes
  double prefill_tokens_per_s = 0;  // of the workload's prompt; as if it fitted
  double decode_tokens_per_s = 0;
  double flops_per_byte = 0;  // that the device gives, as programs get them
  double prefill_share = 0;   // of the request's time
  double kv_bytes_per_s = 0;  // what its prefill makes: a link that hides the hand-over
};

// What the workload asks for: operations of the prompt per byte that decoding the answer reads. A
// device that gives as many spends as long on one as on the other; with fewer, arithmetic binds it,
// with more, memory.
double NeededFlopsPerByte(const ModelCost& model, const Workload& workload);

// Each device of the catalogue alone, those that hold the model first, then the fastest.
std::vector<Balance> BalanceOf(const Catalogue& catalogue, const ModelCost& model,
                               const Workload& workload);

}  // namespace baton::plan
