// Stage: some layers of a model on one device, ready to run. Whoever holds layer 0 also embeds;
// whoever holds the last layer also projects to logits.
//
// A Stage is immutable and const to run: all state is in the Sequence and the Workspace passed in.
// One thread at a time runs a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "device/device.h"
#include "kv/sequence.h"
#include "model/model.h"
#include "plan/profile.h"

namespace baton::engine {

// The seam between a forward pass and the KV stream. Called on the engine's thread for every layer,
// in order, in one place that no family can forget (engine/forward_pass.h).
class LayerHooks {
 public:
  virtual ~LayerHooks() = default;
  // Returns when the K and V of all earlier tokens of `layer` are in the pages; an error ends the
  // run before anything is computed from incomplete KV.
  virtual Status BeforeAttention(int layer) = 0;
  // K and V of this run's tokens at `layer` are in the pages and will not change: send them now,
  // while attention, the rest of this layer and all later ones are computed. Must not block.
  virtual void AfterKvWritten(int layer) = 0;
};

// For sequences that are whole on this node.
class NoHooks final : public LayerHooks {
 public:
  Status BeforeAttention(int) override { return OkStatus(); }
  void AfterKvWritten(int) override {}
};

struct StageOptions {
  size_t kv_bytes_max = size_t{1} << 30;
  KvType kv_type = KvType::kF16;
  int chunk_tokens_max = 512;  // most tokens of one Run()
  int batch_max = 32;          // most members of one RunBatch(), and most rows of logits
  // Set: the device is a PhantomDevice, and this is how fast it pretends to be.
  std::shared_ptr<const plan::DeviceProfile> phantom;
};

// How a model's K and V lie in pages of `type`.
kv::KvLayout KvLayoutOf(const ModelSpec& spec, KvType type);
// Bytes of all pages that a sequence of `tokens` holds in `layers` at most at any time, computed in
// chunks of up to `chunk_tokens`.
size_t KvBytesOf(const ModelSpec& spec, LayerRange layers, KvType type, int tokens,
                 int chunk_tokens);

// `done` of `total` bytes of weights are packed. Called on the loading thread.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

// One run: `layers` within the stage's range, for tokens at positions first_position and on.
struct StageInput {
  LayerRange layers;
  int first_position = 0;
  std::span<const TokenId> tokens;     // where layers.first == 0, else empty
  std::span<const float> activations;  // [token][hidden] where layers.first > 0, else empty
  int logit_rows = 0;  // logits of so many of the last tokens, at most batch_max; only where
                       // layers end the model
};

// Views into the workspace, valid until its next run.
struct StageOutput {
  std::span<const float> activations;  // [token][hidden]; empty where layers end the model
  std::span<const float> logits;       // [wanted row][vocab]; [member][vocab] of a batch
};

// The next token of one of several sequences.
struct BatchMember {
  kv::Sequence* sequence = nullptr;
  int position = 0;
  TokenId token = 0;                  // where layers.first == 0
  std::span<const float> activation;  // [hidden] where layers.first > 0, else empty
};

// One token each of several sequences, so that weights are read once for all of them.
struct StageBatch {
  LayerRange layers;
  std::span<const BatchMember> members;  // at most batch_max, of different sequences
  bool want_logits = false;              // of all
};

class ForwardPass;
struct Scratch;

// Scratch memory of one run at a time. Reused, so that a decode step allocates nothing.
class Workspace {
 public:
  explicit Workspace(std::unique_ptr<Scratch> scratch);
  Workspace(Workspace&&) noexcept;
  ~Workspace();
  Scratch& scratch() { return *scratch_; }

 private:
  std::unique_ptr<Scratch> scratch_;
};

class Stage {
 public:
  // Packs the weights of `layers` and nothing else. kInvalidArgument for a range outside the model
  // or a family or shape that baton does not run; kResourceExhausted if memory does not suffice.
  // `device` must outlive the stage; `model` may go once this returns.
  static Result<std::unique_ptr<Stage>> Load(const Model& model, LayerRange layers,
                                             device::Device& device, const StageOptions& options,
                                             const Progress& progress = {});
  ~Stage();

  Result<Workspace> NewWorkspace() const;
  // Runs `input` and extends `sequence` (of this stage's pool()) by its tokens, giving up what no
  // later token sees. On failure the sequence's length is unchanged; kAborted where the text has
  // become so long that its positions are others (ModelSpec::TurnsLong).
  Result<StageOutput> Run(const StageInput& input, kv::Sequence& sequence, Workspace& workspace,
                          LayerHooks& hooks) const;
  // The same bits as one Run() for each member. Where one of them fails, nothing is computed.
  Result<StageOutput> RunBatch(const StageBatch& batch, Workspace& workspace) const;

  LayerRange layers() const { return layers_; }
  const ModelSpec& spec() const { return spec_; }
  const StageOptions& options() const { return options_; }
  kv::PagePool& pool() const { return *pool_; }
  device::Device& device() const { return *device_; }
  // Bytes of packed weights.
  uint64_t weight_bytes() const;

 private:
  Stage(device::Device& device, const ModelSpec& spec, LayerRange layers,
        const StageOptions& options, std::unique_ptr<ForwardPass> pass,
        std::unique_ptr<kv::PagePool> pool);
  Status CheckInput(const StageInput& input, const kv::Sequence& sequence, int count) const;
  device::AttentionPrecision precision() const;

  device::Device* const device_;
  const ModelSpec spec_;
  const LayerRange layers_;
  const StageOptions options_;
  const std::unique_ptr<ForwardPass> pass_;
  const std::unique_ptr<kv::PagePool> pool_;
};

}  // namespace baton::engine
