// The cost model: seconds as a function of bytes, FLOPs and rates (DESIGN section 8). Pure.
#pragma once

#include <vector>

#include "plan/profile.h"

namespace baton::plan {

// Seconds of one device for some layers of a model, with what belongs to its first or last layer.
//
// The matrices of a step of T tokens take max(shared bytes / B, T x FLOPs / F) + bytes of experts /
// B: large products hide their reading, an expert's few tokens do not. Where products of few tokens
// were measured, an expert's take what those do. Beside them come attention, the passes over
// activations between them, and what a layer takes whatever its size.
struct StageCost {
  double prefill_chunk_s = 0;  // one chunk at the middle of the prompt
  double prefill_whole_s = 0;  // all chunks of the prompt, one after the other
  double decode_step_s = 0;    // a token of each request, with the KV of prompt and half the answer
  double decode_one_s = 0;     // likewise, of one request alone
  uint64_t memory_bytes = 0;
};

// Its share of the prompt alone.
struct PromptCost {
  double chunk_s = 0;
  double whole_s = 0;
};

// What stages of a model cost under a workload. Any of them costs a few divisions: sums over layers
// are made once.
class CostModel {
 public:
  // How fast one device multiplies, and TypeRate::Excess() of the steps that there are.
  struct Speed {
    double matmul_flops_per_s = 0;
    double read_bytes_per_s = 0;
    struct Excess {
      double shared = 1;
      double experts = 1;
    };
    bool knows_few_tokens = false;  // products of them were measured
    Excess chunk, rest, decode;
    Correction correction;
  };
  // Both must outlive it.
  CostModel(const ModelCost& model, const Workload& workload);
  StageCost CostOf(const DeviceProfile& device, LayerRange layers) const;
  // The same for many ranges of one device, whose rates are looked up once.
  class OnDevice {
   public:
    OnDevice(const CostModel& model, const DeviceProfile& device)
        : model_(model), device_(device), speed_(model.SpeedOf(device)) {}
    StageCost CostOf(LayerRange layers) const { return model_.CostOf(device_, speed_, layers); }
    PromptCost PromptOf(LayerRange layers) const {
      return model_.PromptOf(device_, speed_, layers);
    }

   private:
    const CostModel& model_;
    const DeviceProfile& device_;
    const Speed speed_;
  };
  // That a step which generates for so many requests reads from memory.
  double DecodeBytes(const DeviceProfile& device, LayerRange layers, double requests) const;
  // Weights, KV of all slots, activations, reserve.
  uint64_t MemoryOf(LayerRange layers) const;

 private:
  // Over the first n layers.
  struct Sums {
    std::vector<uint64_t> weight_bytes;
    std::vector<uint64_t> held_tokens;  // of one request, at most
    std::vector<double> shared_bytes;
    std::vector<double> prompt_layers;  // as far as a prompt takes them
    std::vector<double> prompt_bytes;   // shared bytes, likewise
    std::vector<double> expert_layers;  // as far as they are experts
    std::vector<double> prompt_expert_layers;
    std::vector<double> chunk_bytes;   // of experts, that a full chunk reads
    std::vector<double> rest_bytes;    // of experts, that the prompt's last, shorter chunk reads
    std::vector<double> decode_bytes;  // of experts, that a decode step reads
    std::vector<double> one_bytes;     // of experts, that a decode step of one request reads
    std::vector<double> prompt_keys;   // that all tokens of a prompt attend to
    std::vector<double> seen_tokens;   // that a decoded token attends to
  };
  Speed SpeedOf(const DeviceProfile& device) const;
  StageCost CostOf(const DeviceProfile& device, const Speed& speed, LayerRange layers) const;
  PromptCost PromptOf(const DeviceProfile& device, const Speed& speed, LayerRange layers) const;
  // A token of each of `requests`.
  double DecodeStep(const DeviceProfile& device, const Speed& speed, LayerRange layers,
                    double requests, double expert_bytes) const;
  // What lies between the products of so many tokens, times layers.
  double ElementSeconds(const DeviceProfile& device, double token_layers) const;
  // Matrices that are multiplied in a step.
  struct Products {
    double bytes = 0;
    double token_layers = 0;
  };
  double StepSeconds(const Speed& speed, const Products& shared, const Products& experts,
                     const Speed::Excess& excess) const;

  const ModelCost& model_;
  const Workload& workload_;
  double prompt_;
  double chunk_;
  double full_chunks_;
  double rest_;  // tokens of the last chunk, if it is shorter
  Sums sums_;
};

uint64_t MemoryFor(const ModelCost& model, LayerRange layers, const Workload& workload);
StageCost CostOf(const DeviceProfile& device, const ModelCost& model, LayerRange layers,
                 const Workload& workload);

// One-way seconds for `bytes` on a link, software included.
double LinkSeconds(const LinkProfile& link, double bytes);
// One-way seconds for `bytes` from one node to another, software included; nothing between a node
// and itself. Infinite where there is no link.
double TransferSeconds(const ClusterProfile& cluster, const NodeId& from, const NodeId& to,
                       double bytes);

}  // namespace baton::plan
