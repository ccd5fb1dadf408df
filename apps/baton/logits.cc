#include <memory>

#include <boost/json.hpp>

#include "apps/baton/local_model.h"
#include "apps/baton/verbs.h"
#include "engine/sampler.h"

namespace baton::app {
namespace {

struct LogitsOptions {
  LocalOptions local;
  std::vector<TokenId> tokens;
  bool json = false;
};

void Print(std::span<const float> logits, bool json) {
  if (json) {
    boost::json::array values;
    for (const float logit : logits) values.emplace_back(logit);
    fmt::print("{}\n", boost::json::serialize(boost::json::object{{"logits", values}}));
    return;
  }
  for (const float logit : logits) fmt::print("{:.9g}\n", logit);
}

Status Run(LogitsOptions options) {
  options.local.context_tokens = static_cast<int>(options.tokens.size());
  BATON_ASSIGN_OR_RETURN(const LocalModel local, LoadLocalModel(options.local));
  BATON_ASSIGN_OR_RETURN(engine::Workspace workspace, local.stage->NewWorkspace());
  kv::Sequence sequence(local.stage->pool());
  sequence.SetTextTokens(options.local.context_tokens);
  BATON_ASSIGN_OR_RETURN(const std::span<const float> logits,
                         FeedTokens(*local.stage, options.tokens, sequence, workspace));
  BATON_RETURN_IF_ERROR(engine::CheckLogits(logits));
  Print(logits, options.json);
  return OkStatus();
}

}  // namespace

void AddLogits(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<LogitsOptions>();
  options->local.kernels = environment.kernels;
  options->local.show_progress = environment.colour;
  CLI::App* verb = root.add_subcommand("logits", "logits of the last position, full precision");
  verb->add_option("-m,--model", options->local.path, "GGUF file")->required();
  verb->add_option("--tokens", options->tokens, "token ids: 1,2,3")->delimiter(',')->required();
  options->local.kv_type = KvType::kF32;
  AddKvType(*verb, "--kv-type,--kv", options->local.kv_type,
            "KV cache: f32 (the default), or f16 or q8_0 as others see it");
  verb->add_option("--threads", options->local.threads, "compute threads (0: all)")
      ->check(CLI::Range(0, 1024));
  verb->add_flag("--json", options->json, "one JSON object");
  verb->callback([options, &chosen] {
    chosen = [options] {
      const Status status = Run(*options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
