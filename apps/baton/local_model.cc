#include "apps/baton/local_model.h"

#include <algorithm>

#include "device/cpu/cpu_device.h"
#include "kernels/select.h"

namespace baton::app {

Result<std::unique_ptr<device::Device>> OpenCpu(const LocalOptions& options) {
  BATON_ASSIGN_OR_RETURN(const kernels::KernelTable* table,
                         kernels::SelectKernels(options.kernels));
  return device::MakeCpuDevice(*table, {options.threads, options.pin_threads});
}

Result<LocalModel> LoadLocalModel(const LocalOptions& options) {
  LocalModel local;
  BATON_ASSIGN_OR_RETURN(local.model, Model::Open(options.path));
  BATON_ASSIGN_OR_RETURN(local.device, OpenCpu(options));
  const ModelSpec& spec = local.model->spec();
  const size_t pages = kv::PagesFor(std::max(options.context_tokens, 1));
  const device::KvShape shape{spec.n_kv_heads, spec.head_dim};
  engine::StageOptions stage_options;
  stage_options.kv_bytes_max = pages * shape.layer_bytes() * spec.n_layers;
  BATON_ASSIGN_OR_RETURN(local.stage, engine::Stage::Load(*local.model, {0, spec.n_layers},
                                                          *local.device, stage_options));
  return local;
}

Result<std::span<const float>> FeedTokens(const engine::Stage& stage,
                                          std::span<const TokenId> tokens, kv::Sequence& sequence,
                                          engine::Workspace& workspace) {
  engine::NoHooks hooks;
  std::span<const float> logits;
  const size_t chunk = stage.options().chunk_tokens_max;
  for (size_t at = 0; at < tokens.size(); at += chunk) {
    const auto part = tokens.subspan(at, std::min(chunk, tokens.size() - at));
    const engine::StageInput input{.layers = stage.layers(),
                                   .first_position = sequence.length(),
                                   .tokens = part,
                                   .want_logits = at + part.size() == tokens.size()};
    BATON_ASSIGN_OR_RETURN(const engine::StageOutput output,
                           stage.Run(input, sequence, workspace, hooks));
    logits = output.logits;
  }
  return logits;
}

}  // namespace baton::app
