// SpecBuilder: what all families read from a checkpoint in the same way. A family calls the steps
// it wants, in order, and fills in what is its own. Every step fails with a sentence that names the
// key, tensor or value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace baton {

// A tensor that every model of a family must hold in a layer: "blk.N.NAME".
struct LayerTensor {
  std::string_view name;
  int64_t cols;
  int64_t rows = 1;  // 1: a vector, of F32
  int64_t experts = 1;
  bool vectors = false;  // each row is a vector, of F32
  bool heads = false;    // not experts, but heads: every token reads all of them
};
using LayerTensors = std::vector<LayerTensor>;

// What families take for granted where a file does not say it.
struct RopeDefaults {
  double base = 10000;
  bool whole_ramp = true;  // YaRN's ramp begins and ends at whole pairs
};

class SpecBuilder {
 public:
  // Keys are those of `architecture`. `checkpoint` must outlive the builder.
  SpecBuilder(const Checkpoint& checkpoint, std::string_view architecture)
      : checkpoint_(checkpoint), architecture_(architecture) {}

  ModelSpec& spec() { return spec_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const gguf::Metadata& metadata() const { return checkpoint_.metadata(); }
  // "llama.block_count" of "block_count".
  std::string Key(std::string_view rest) const;

  Result<int32_t> Integer(std::string_view rest, int64_t max) const;
  Result<int32_t> IntegerOr(std::string_view rest, int64_t max, int32_t otherwise) const;
  Result<double> NumberOr(std::string_view rest, double otherwise) const;
  // In (0, 1e9].
  Result<double> PositiveOr(std::string_view rest, double otherwise) const;
  bool HasTensor(std::string_view name) const { return checkpoint_.Find(name) != nullptr; }
  bool HasLayerTensor(int layer, std::string_view name) const;

  // Layers, widths, context, epsilon.
  Status ReadWidths();
  // Query and KV heads, and their dimension.
  Status ReadHeads();
  // Embedding, last norm and head, which may be tied to the embedding.
  Status ReadEnds();
  // Rotary embedding, scaled by nothing, a factor, Llama 3's rule or YaRN.
  Status ReadRope(RopeDefaults defaults = {});
  // The sliding window, and which layers have it: all but each `period`-th, or all where that is 1,
  // unless the file says which. A window as long as the context is none.
  Status ReadWindow(int32_t period);
  // That the layers hold exactly the tensors that `tensors(spec, layer)` lists, and their bytes.
  Status CheckLayers(LayerTensors (*tensors)(const ModelSpec& spec, int layer));
  // The experts of every layer, where there are any. Refuses routers that choose or weigh in any
  // other way than by the softmax over those chosen.
  Status ReadExperts();
  // Their counts and width alone.
  Status ReadExpertCounts();
  // The spec, with its parameters counted.
  Result<ModelSpec> Finish();

 private:
  Status ReadHeadDim();
  Result<std::vector<bool>> ReadWindowPattern(int32_t period) const;
  Status CheckVocabularyKey() const;
  Status ReadRopeScaling(const RopeDefaults& defaults);
  Status ReadExpertLayers();
  Status ReadLinear(std::string_view rest);
  Status ReadLlama3();
  Status ReadYarn(bool whole_ramp);
  Status ReadRopeFactors();
  Result<const TensorInfo*> CheckLayerTensor(int layer, const LayerTensor& tensor) const;
  Status RefuseOthers(LayerTensors (*tensors)(const ModelSpec& spec, int layer)) const;
  Result<const TensorInfo*> Require(std::string_view name) const;

  const Checkpoint& checkpoint_;
  const std::string architecture_;
  ModelSpec spec_;
};

}  // namespace baton
