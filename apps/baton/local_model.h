// A whole model on this machine's processor, for the verbs that run without a node.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/device.h"
#include "engine/stage.h"
#include "kv/sequence.h"
#include "model/model.h"

namespace baton::app {

struct LocalOptions {
  std::string path;
  std::string kernels;  // empty: the best
  int threads = 0;      // 0: one per core
  bool pin_threads = false;
  int context_tokens = 0;  // room for so many tokens of KV cache...
  int sequences = 1;       // ...in each of so many sequences
  KvType kv_type = KvType::kF16;
  bool show_progress = false;  // of loading, on standard error
};

// Members are in the order in which they depend on each other.
struct LocalModel {
  std::shared_ptr<const Model> model;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<engine::Stage> stage;
};

Result<std::unique_ptr<device::Device>> OpenCpu(const LocalOptions& options);
Result<LocalModel> LoadLocalModel(const LocalOptions& options);

// Runs `tokens` behind what `sequence` holds, in chunks; returns the logits of the last one, valid
// until `workspace` runs again. The stage must hold all layers, and the sequence know the text's
// length.
Result<std::span<const float>> FeedTokens(const engine::Stage& stage,
                                          std::span<const TokenId> tokens, kv::Sequence& sequence,
                                          engine::Workspace& workspace);

}  // namespace baton::app
