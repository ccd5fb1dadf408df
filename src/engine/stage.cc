#include "engine/stage.h"

#include <algorithm>

#include "base/check.h"
#include "engine/families/llama.h"
#include "engine/forward_pass.h"
#include "engine/weights.h"
#include "os/system.h"

namespace baton::engine {
namespace {

uint64_t BytesToLoad(const ModelSpec& spec, LayerRange layers) {
  uint64_t bytes = 0;
  for (int layer = layers.first; layer < layers.last; ++layer) {
    bytes += spec.layer_weight_bytes[layer];
  }
  const bool begins = layers.first == 0;
  const bool ends = layers.last == spec.n_layers;
  if (begins) bytes += spec.embedding_bytes;
  if (ends && !(begins && spec.tied_embeddings)) bytes += spec.head_bytes;
  return bytes;
}

Status CheckHeads(const ModelSpec& spec) {
  const int group = spec.n_heads / spec.n_kv_heads;
  if (spec.head_dim <= device::kHeadDimMax && group <= device::kQueryGroupMax) return OkStatus();
  return MakeError(Code::kInvalidArgument,
                   "heads of {} elements, {} to a KV head: at most {} and {} are supported",
                   spec.head_dim, group, device::kHeadDimMax, device::kQueryGroupMax);
}

Status CheckMemory(uint64_t bytes) {
  const uint64_t available = os::SystemMemory().available_bytes;
  if (bytes <= available) return OkStatus();
  return MakeError(Code::kResourceExhausted, "the weights take {} MiB of memory, {} MiB are free",
                   bytes >> 20, available >> 20);
}

Result<std::unique_ptr<ForwardPass>> LoadFamily(const ModelSpec& spec, LayerRange layers,
                                                WeightLoader& loader) {
  switch (spec.family) {
    case Family::kLlama:
      return LoadLlama(spec, layers, loader);
  }
  return MakeError(Code::kUnimplemented, "no forward pass for '{}'", spec.architecture);
}

// Tokens of this run; nothing if the input does not say so consistently.
Result<int> CountTokens(const StageInput& input, const ModelSpec& spec) {
  const size_t width = spec.hidden_width;
  const bool begins = input.layers.first == 0;
  const size_t count = begins ? input.tokens.size() : input.activations.size() / width;
  const bool consistent = begins ? input.activations.empty()
                                 : input.tokens.empty() && input.activations.size() % width == 0;
  if (!consistent || count == 0) {
    return MakeError(Code::kInvalidArgument,
                     "layers from {} on take {}, not {} tokens and {} activations",
                     input.layers.first, begins ? "tokens" : "activations", input.tokens.size(),
                     input.activations.size());
  }
  return static_cast<int>(std::min<size_t>(count, 1 << 30));
}

Status CheckTokens(std::span<const TokenId> tokens, int vocab_size) {
  for (const TokenId token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return MakeError(Code::kInvalidArgument, "token {} is outside the vocabulary of {}", token,
                       vocab_size);
    }
  }
  return OkStatus();
}

}  // namespace

Workspace::Workspace(std::unique_ptr<Scratch> scratch) : scratch_(std::move(scratch)) {}
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace::~Workspace() = default;

Stage::Stage(device::Device& device, const ModelSpec& spec, LayerRange layers,
             const StageOptions& options, std::unique_ptr<ForwardPass> pass,
             std::unique_ptr<kv::PagePool> pool)
    : device_(&device),
      spec_(spec),
      layers_(layers),
      options_(options),
      pass_(std::move(pass)),
      pool_(std::move(pool)) {}

Stage::~Stage() = default;

Result<std::unique_ptr<Stage>> Stage::Load(const Model& model, LayerRange layers,
                                           device::Device& device, const StageOptions& options,
                                           const Progress& progress) {
  const ModelSpec& spec = model.spec();
  if (layers.first < 0 || layers.size() <= 0 || layers.last > spec.n_layers) {
    return MakeError(Code::kInvalidArgument, "layers [{}, {}) of a model with {}", layers.first,
                     layers.last, spec.n_layers);
  }
  BATON_RETURN_IF_ERROR(CheckHeads(spec));
  const uint64_t bytes = BytesToLoad(spec, layers);
  BATON_RETURN_IF_ERROR(CheckMemory(bytes));
  WeightLoader loader(model, device, bytes, progress);
  BATON_ASSIGN_OR_RETURN(auto pass, LoadFamily(spec, layers, loader));
  BATON_ASSIGN_OR_RETURN(
      auto pool,
      kv::PagePool::Create(device, layers, {spec.n_kv_heads, spec.head_dim}, options.kv_bytes_max));
  return std::unique_ptr<Stage>(
      new Stage(device, spec, layers, options, std::move(pass), std::move(pool)));
}

Result<Workspace> Stage::NewWorkspace() const {
  BATON_ASSIGN_OR_RETURN(auto scratch, pass_->NewScratch(*device_, options_.chunk_tokens_max));
  return Workspace(std::move(scratch));
}

uint64_t Stage::weight_bytes() const {
  return pass_->weight_bytes();
}

Status Stage::CheckInput(const StageInput& input, const kv::Sequence& sequence, int count) const {
  const LayerRange run = input.layers;
  if (run.size() <= 0 || run.first < layers_.first || run.last > layers_.last) {
    return MakeError(Code::kInvalidArgument, "layers [{}, {}) are not within [{}, {})", run.first,
                     run.last, layers_.first, layers_.last);
  }
  if (count > options_.chunk_tokens_max) {
    return MakeError(Code::kInvalidArgument, "{} tokens in one run, at most {}", count,
                     options_.chunk_tokens_max);
  }
  if (input.first_position < sequence.first_writable() ||
      input.first_position > sequence.length()) {
    return MakeError(Code::kInvalidArgument, "tokens from position {} on do not follow {} tokens",
                     input.first_position, sequence.length());
  }
  if (input.want_logits && run.last != spec_.n_layers) {
    return MakeError(Code::kInvalidArgument, "layer {} makes no logits", run.last - 1);
  }
  CHECK(&sequence.pool() == pool_.get(), "a sequence of another stage");
  return CheckTokens(input.tokens, spec_.vocab_size);
}

Result<StageOutput> Stage::Run(const StageInput& input, kv::Sequence& sequence,
                               Workspace& workspace, LayerHooks& hooks) const {
  BATON_ASSIGN_OR_RETURN(const int count, CountTokens(input, spec_));
  BATON_RETURN_IF_ERROR(CheckInput(input, sequence, count));
  const int end = input.first_position + count;
  BATON_RETURN_IF_ERROR(sequence.Reserve(end));
  CachedAttention attention(*device_, sequence, input.first_position, hooks);
  BATON_ASSIGN_OR_RETURN(const StageOutput output,
                         pass_->Run(input, *device_, attention, workspace.scratch()));
  sequence.SetLength(std::max(sequence.length(), end));
  return output;
}

}  // namespace baton::engine
