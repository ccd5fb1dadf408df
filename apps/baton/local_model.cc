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
  engine::StageOptions stage_options;
  stage_options.kv_type = options.kv_type;
  stage_options.kv_bytes_max =
      static_cast<size_t>(options.sequences) *
      engine::KvBytesOf(spec, {0, spec.n_layers}, options.kv_type,
                        std::max(options.context_tokens, 1), stage_options.chunk_tokens_max);
  int percent = -1;
  const engine::Progress progress = [&](uint64_t done, uint64_t total) {
    const auto now = static_cast<int>(100 * done / total);
    if (now != percent) fmt::print(stderr, "\rloading {} %", percent = now);
  };
  auto stage = engine::Stage::Load(*local.model, {0, spec.n_layers}, *local.device, stage_options,
                                   options.show_progress ? progress : nullptr);
  if (percent >= 0) fmt::print(stderr, "\r\x1b[K");
  BATON_ASSIGN_OR_RETURN(local.stage, std::move(stage));
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
                                   .logit_rows = at + part.size() == tokens.size() ? 1 : 0};
    BATON_ASSIGN_OR_RETURN(const engine::StageOutput output,
                           stage.Run(input, sequence, workspace, hooks));
    logits = output.logits;
  }
  return logits;
}

}  // namespace baton::app
