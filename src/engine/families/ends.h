// What all families have before their first layer and behind their last one.
#pragma once

#include "engine/forward_pass.h"
#include "engine/weights.h"
#include "model/spec.h"

namespace baton::engine {

// Embedding, last norm and head of a model, as far as a range of layers has them.
class ModelEnds {
 public:
  ModelEnds(const ModelSpec& spec, LayerRange layers) : spec_(spec), layers_(layers) {}
  // The embedding only with layer 0, the norm and the head only with the last layer; a tied head is
  // the embedding.
  Status Load(WeightLoader& loader);

  // Rows whose activations anyone reads behind `layer`: behind the model's last one only those that
  // are asked for logits.
  size_t RowsNeeded(const PassInput& input, int layer) const;
  // Rows of logits that a pass may be asked for.
  int LogitRows(int logit_rows_max) const {
    return layers_.last == spec_.n_layers ? logit_rows_max : 0;
  }
  // x: the rows of the input, embedded where they are tokens.
  void Begin(const PassInput& input, device::Device& device, device::Rows x) const;
  // What becomes of x, the rows that the last layer of the input left.
  StageOutput Finish(const PassInput& input, device::Device& device, device::Rows x,
                     device::Rows logits) const;

 private:
  const ModelSpec spec_;
  const LayerRange layers_;
  MatrixPtr embedding_;
  Vector final_norm_;
  MatrixPtr head_;
};

inline device::Rows Last(device::Rows rows, size_t count) {
  return rows.Slice(rows.count - count, count);
}

}  // namespace baton::engine
