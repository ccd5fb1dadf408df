#include "engine/families/ends.h"

#include <cstring>

namespace baton::engine {

using device::Rows;

Status ModelEnds::Load(WeightLoader& loader) {
  const bool ends = layers_.last == spec_.n_layers;
  if (layers_.first == 0 || (ends && spec_.tied_embeddings)) {
    BATON_ASSIGN_OR_RETURN(embedding_, loader.LoadMatrix("token_embd.weight"));
  }
  if (!ends) return OkStatus();
  BATON_ASSIGN_OR_RETURN(final_norm_, loader.LoadVector("output_norm.weight"));
  head_ = embedding_;
  if (!spec_.tied_embeddings) {
    BATON_ASSIGN_OR_RETURN(head_, loader.LoadMatrix("output.weight"));
  }
  return OkStatus();
}

size_t ModelEnds::RowsNeeded(const PassInput& input, int layer) const {
  return layer + 1 < spec_.n_layers ? input.positions.size() : input.logit_rows;
}

void ModelEnds::Begin(const PassInput& input, device::Device& device, Rows x) const {
  if (input.layers.first == 0) {
    device.Embed(*embedding_, input.tokens, spec_.embedding_scale, x);
  } else {
    std::memcpy(x.host(), input.activations.data(), input.activations.size_bytes());
  }
}

StageOutput ModelEnds::Finish(const PassInput& input, device::Device& device, Rows x,
                              Rows logits) const {
  if (input.layers.last < spec_.n_layers) return StageOutput{x.values(), {}};
  if (input.logit_rows == 0) return StageOutput{};
  logits = logits.Slice(0, input.logit_rows);
  device.MatMul(Normed(x, final_norm_, spec_.rms_epsilon), {{head_.get(), logits}});
  if (spec_.logit_softcap > 0) device.SoftCap(logits, spec_.logit_softcap);
  return StageOutput{{}, logits.values()};
}

}  // namespace baton::engine
