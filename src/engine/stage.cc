#include "engine/stage.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "engine/families/deepseek.h"
#include "engine/families/gemma.h"
#include "engine/families/gpt_oss.h"
#include "engine/families/llama.h"
#include "engine/forward_pass.h"
#include "engine/phantom/phantom_pass.h"
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

kv::Windows WindowsOf(const ModelSpec& spec, LayerRange layers) {
  kv::Windows windows;
  for (int layer = layers.first; layer < layers.last; ++layer)
    windows.push_back(spec.WindowOf(layer));
  return windows;
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
    case Family::kGemma:
      return LoadGemma(spec, layers, loader);
    case Family::kGptOss:
      return LoadGptOss(spec, layers, loader);
    case Family::kDeepSeek:
      return LoadDeepSeek(spec, layers, loader);
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

kv::KvLayout KvLayoutOf(const ModelSpec& spec, KvType type) {
  return {{spec.n_kv_heads, spec.head_dim, spec.latent.kv_rank}, type};
}

size_t KvBytesOf(const ModelSpec& spec, LayerRange layers, KvType type, int tokens,
                 int chunk_tokens) {
  size_t pages = 0;
  for (int layer = layers.first; layer < layers.last; ++layer) {
    pages += static_cast<size_t>(PagesHeld(tokens, spec.WindowOf(layer), chunk_tokens));
  }
  return pages * KvLayoutOf(spec, type).layer_bytes();
}

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
  if (options.phantom == nullptr) {
    BATON_RETURN_IF_ERROR(CheckMemory(bytes));
  }
  const kv::KvLayout layout = KvLayoutOf(spec, options.kv_type);
  BATON_ASSIGN_OR_RETURN(auto pool,
                         kv::PagePool::Create(device, layers, layout, options.kv_bytes_max,
                                              WindowsOf(spec, layers), options.chunk_tokens_max));
  WeightLoader loader(model, device, bytes, progress);
  BATON_ASSIGN_OR_RETURN(auto pass, options.phantom != nullptr
                                        ? MakePhantomPass(model, layers, options, bytes)
                                        : LoadFamily(spec, layers, loader));
  return std::unique_ptr<Stage>(
      new Stage(device, spec, layers, options, std::move(pass), std::move(pool)));
}

Result<Workspace> Stage::NewWorkspace() const {
  BATON_ASSIGN_OR_RETURN(
      auto scratch,
      pass_->NewScratch(*device_, std::max(options_.chunk_tokens_max, options_.batch_max),
                        options_.batch_max));
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
  if (spec_.TurnsLong(input.first_position + count) && !spec_.TurnsLong(sequence.text_tokens())) {
    return MakeError(Code::kAborted,
                     "positions of texts of more than {} tokens are other ones: this text must be "
                     "computed anew",
                     spec_.rope.short_tokens);
  }
  if (kv::FirstSeen(input.first_position, pool_->window_max()) < sequence.window_from()) {
    return MakeError(Code::kInvalidArgument,
                     "token {} sees tokens before {}, which layers with a window no longer have",
                     input.first_position, sequence.window_from());
  }
  if (input.logit_rows != 0 && run.last != spec_.n_layers) {
    return MakeError(Code::kInvalidArgument, "layer {} makes no logits", run.last - 1);
  }
  if (input.logit_rows < 0 || input.logit_rows > std::min(count, options_.batch_max)) {
    return MakeError(Code::kInvalidArgument, "logits of {} tokens of {}, at most {}",
                     input.logit_rows, count, options_.batch_max);
  }
  CHECK(&sequence.pool() == pool_.get(), "a sequence of another stage");
  return CheckTokens(input.tokens, spec_.vocab_size);
}

Result<StageOutput> Stage::Run(const StageInput& input, kv::Sequence& sequence,
                               Workspace& workspace, LayerHooks& hooks) const {
  BATON_ASSIGN_OR_RETURN(const int count, CountTokens(input, spec_));
  BATON_RETURN_IF_ERROR(CheckInput(input, sequence, count));
  const int end = input.first_position + count;
  BATON_RETURN_IF_ERROR(sequence.Slide(input.first_position, count));
  std::vector<int> positions(static_cast<size_t>(count));
  std::iota(positions.begin(), positions.end(), input.first_position);
  std::vector<uint8_t> turns_long;
  if (spec_.rope.short_tokens > 0)
    turns_long.assign(positions.size(), spec_.TurnsLong(sequence.text_tokens()) ? 1 : 0);
  const CachedAttention::Part part{&sequence, input.first_position, positions.size()};
  CachedAttention attention(*device_, precision(), {&part, 1}, hooks);
  BATON_ASSIGN_OR_RETURN(const StageOutput output,
                         pass_->Run({input.layers, positions, input.tokens, input.activations,
                                     static_cast<size_t>(input.logit_rows), turns_long},
                                    *device_, attention, workspace.scratch()));
  sequence.SetLength(std::max(sequence.length(), end));
  return output;
}

Result<StageOutput> Stage::RunBatch(const StageBatch& batch, Workspace& workspace) const {
  const size_t count = batch.members.size();
  if (count == 0 || count > static_cast<size_t>(options_.batch_max)) {
    return MakeError(Code::kInvalidArgument, "a batch of {}, at most {}", count,
                     options_.batch_max);
  }
  std::vector<int> positions;
  std::vector<TokenId> tokens;
  std::vector<float> activations;
  std::vector<CachedAttention::Part> parts;
  std::vector<uint8_t> turns_long;
  for (const BatchMember& member : batch.members) {
    StageInput input{.layers = batch.layers,
                     .first_position = member.position,
                     .activations = member.activation,
                     .logit_rows = batch.want_logits ? 1 : 0};
    if (batch.layers.first == 0) input.tokens = {&member.token, 1};
    BATON_ASSIGN_OR_RETURN(const int rows, CountTokens(input, spec_));
    if (rows != 1) return MakeError(Code::kInvalidArgument, "{} tokens of one member", rows);
    BATON_RETURN_IF_ERROR(CheckInput(input, *member.sequence, 1));
    BATON_RETURN_IF_ERROR(member.sequence->Slide(member.position, 1));
    positions.push_back(member.position);
    tokens.insert(tokens.end(), input.tokens.begin(), input.tokens.end());
    activations.insert(activations.end(), member.activation.begin(), member.activation.end());
    parts.push_back({member.sequence, member.position, 1});
    turns_long.push_back(spec_.TurnsLong(member.sequence->text_tokens()) ? 1 : 0);
  }
  NoHooks hooks;
  CachedAttention attention(*device_, precision(), parts, hooks);
  BATON_ASSIGN_OR_RETURN(const StageOutput output,
                         pass_->Run({batch.layers, positions, tokens, activations,
                                     batch.want_logits ? count : 0, turns_long},
                                    *device_, attention, workspace.scratch()));
  for (const BatchMember& member : batch.members) {
    member.sequence->SetLength(std::max(member.sequence->length(), member.position + 1));
  }
  return output;
}

device::AttentionPrecision Stage::precision() const {
  const bool exact = options_.kv_type == KvType::kF32 ||
                     (spec_.exact_attention && options_.kv_type == KvType::kF16);
  return exact ? device::AttentionPrecision::kFloat : device::AttentionPrecision::kBrain;
}

}  // namespace baton::engine
