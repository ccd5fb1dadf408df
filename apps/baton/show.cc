#include <algorithm>
#include <memory>

#include <boost/json.hpp>

#include "apps/baton/models.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "base/log.h"
#include "cluster/records.h"
#include "model/model.h"
#include "plan/cost.h"

namespace baton::app {
namespace {

struct ShowOptions {
  std::string model;
  int context_tokens = 8192;
  bool chat_template = false;
  bool verbose = false;
  bool json = false;
};

void Row(std::string_view name, const std::string& value) {
  fmt::print("    {:<20}  {}\n", name, log::Escape(value));
}

void PrintTensors(const Model& model) {
  fmt::print("\n  Tensors\n");
  for (const TensorInfo& info : model.tensors())
    fmt::print("    {:<32}  {:<5}  {}\n", log::Escape(info.name), InfoOf(info.type).name,
               fmt::join(info.shape, " x "));
}

// What one request with so much context takes.
struct Memory {
  int context_tokens = 0;
  uint64_t kv_bytes_per_token = 0;  // where no layer has a window
  uint64_t kv_bytes = 0;            // the pages of so much context
  uint64_t total_bytes = 0;
};

Memory MemoryOf(const Model& model, int wanted_tokens) {
  const ModelSpec& spec = model.spec();
  const plan::ModelCost cost = cluster::CostOf(model, spec.name);
  const LayerRange layers{0, spec.n_layers};
  const int tokens = std::min(wanted_tokens, spec.context_length);
  const plan::Workload workload{.context_tokens = tokens};
  const uint64_t in_layer = spec.KvBytesPerTokenPerLayer(workload.kv_type);
  return {.context_tokens = tokens,
          .kv_bytes_per_token = in_layer * static_cast<uint64_t>(spec.n_layers),
          .kv_bytes = in_layer * cost.HeldTokens(layers, workload),
          .total_bytes = plan::MemoryFor(cost, layers, workload)};
}

int WindowedLayers(const ModelSpec& spec) {
  int count = 0;
  for (int layer = 0; layer < spec.n_layers; ++layer) count += spec.WindowOf(layer) > 0 ? 1 : 0;
  return count;
}

void PrintTokenizer(const Tokenizer& tokenizer) {
  fmt::print("\n  Tokenizer\n");
  Row("kind", fmt::format("{} {}", tokenizer.kind(), tokenizer.pre_tokenizer()));
  Row("tokens", fmt::format("{}", tokenizer.vocabulary().size()));
  std::string ends;
  for (const TokenId id : tokenizer.end_of_generation())
    ends += (ends.empty() ? "" : " ") + std::string(tokenizer.vocabulary().TextOf(id));
  Row("ends of generation", ends);
}

void PrintMemory(const Model& model, const Memory& memory) {
  const ModelSpec& spec = model.spec();
  fmt::print("\n  Memory\n");
  Row("weights", HumanBytes(spec.TotalWeightBytes()));
  Row("KV cache", fmt::format("{} per token in F16", HumanBytes(memory.kv_bytes_per_token)));
  if (spec.window > 0)
    Row("windows", fmt::format("{} of {} layers see {} tokens", WindowedLayers(spec), spec.n_layers,
                               spec.window));
  Row(fmt::format("at {} tokens", memory.context_tokens),
      fmt::format("{} of KV, {} in all", HumanBytes(memory.kv_bytes),
                  HumanBytes(memory.total_bytes)));
}

void Print(const Model& model, const Memory& memory, bool verbose) {
  const ModelSpec& spec = model.spec();
  fmt::print("  Model\n");
  Row("name", spec.name);
  Row("architecture", spec.architecture);
  const ExpertSpec& experts = spec.experts;
  Row("parameters", experts.count == 0
                        ? HumanCount(spec.parameters)
                        : fmt::format("{}, {} of them active", HumanCount(spec.parameters),
                                      HumanCount(spec.active_parameters)));
  Row("context length", fmt::format("{}", spec.context_length));
  Row("embedding length", fmt::format("{}", spec.hidden_width));
  Row("layers", fmt::format("{}", spec.n_layers));
  Row("heads", fmt::format("{} ({} for keys and values) of {}", spec.n_heads, spec.n_kv_heads,
                           spec.head_dim));
  if (experts.count > 0)
    Row("experts", fmt::format("{}, {} for each token", experts.count, experts.used));
  if (experts.shared_width > 0)
    Row("shared experts", fmt::format("width {}, of all tokens", experts.shared_width));
  if (experts.groups > 1)
    Row("expert groups", fmt::format("{}, {} for each token", experts.groups, experts.groups_used));
  if (spec.latent.kv_rank > 0)
    Row("latents",
        fmt::format("{} and a key of {} for all heads", spec.latent.kv_rank, spec.rope.dimensions));
  Row("quantization", spec.quantization);
  Row("license", spec.license.empty() ? "the file does not say" : spec.license);
  Row("chat template", model.chat_templates().standard.empty()
                           ? "none"
                           : fmt::format("{} characters (--template prints it)",
                                         model.chat_templates().standard.size()));
  Row("fingerprint", model.fingerprint());
  PrintMemory(model, memory);
  PrintTokenizer(model.tokenizer());
  fmt::print("\n  Capabilities\n    completion\n");
  if (!model.chat_templates().standard.empty()) fmt::print("    chat\n");
  if (model.chat_templates().standard.find("tools") != std::string::npos) fmt::print("    tools\n");
  if (verbose) PrintTensors(model);
}

void PrintJson(const Model& model, const Memory& memory) {
  const ModelSpec& spec = model.spec();
  const boost::json::object object = {{"name", spec.name},
                                      {"architecture", spec.architecture},
                                      {"path", model.path()},
                                      {"parameters", spec.parameters},
                                      {"active_parameters", spec.active_parameters},
                                      {"experts", spec.experts.count},
                                      {"experts_used", spec.experts.used},
                                      {"experts_shared_width", spec.experts.shared_width},
                                      {"latent", spec.latent.kv_rank},
                                      {"window", spec.window},
                                      {"windowed_layers", WindowedLayers(spec)},
                                      {"context_length", spec.context_length},
                                      {"embedding_length", spec.hidden_width},
                                      {"layers", spec.n_layers},
                                      {"heads", spec.n_heads},
                                      {"kv_heads", spec.n_kv_heads},
                                      {"head_dim", spec.head_dim},
                                      {"vocab_size", spec.vocab_size},
                                      {"quantization", spec.quantization},
                                      {"license", spec.license},
                                      {"tokenizer", model.tokenizer().kind()},
                                      {"kv_bytes_per_token", memory.kv_bytes_per_token},
                                      {"memory_context", memory.context_tokens},
                                      {"kv_bytes_at_context", memory.kv_bytes},
                                      {"memory_bytes_at_context", memory.total_bytes},
                                      {"weight_bytes", spec.TotalWeightBytes()},
                                      {"fingerprint", model.fingerprint()},
                                      {"chat_template", model.chat_templates().standard}};
  fmt::print("{}\n", boost::json::serialize(object));
}

Status Run(const Environment& environment, const ShowOptions& options) {
  BATON_ASSIGN_OR_RETURN(const std::string path, FindModel(environment, options.model));
  BATON_ASSIGN_OR_RETURN(const auto model, Model::Open(path));
  if (options.chat_template)
    fmt::print("{}\n", model->chat_templates().standard);
  else if (options.json)
    PrintJson(*model, MemoryOf(*model, options.context_tokens));
  else
    Print(*model, MemoryOf(*model, options.context_tokens), options.verbose);
  return OkStatus();
}

}  // namespace

void AddShow(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* verb = root.add_subcommand("show", "what a model is");
  verb->add_option("MODEL", options->model, "a name or a path")->required();
  verb->add_flag("--template", options->chat_template, "only the chat template's source");
  verb->add_option("--context", options->context_tokens,
                   "tokens to say the memory for (8192, or the model's context)")
      ->check(CLI::Range(1, 1 << 30));
  verb->add_flag("--verbose", options->verbose, "the tensors, too");
  verb->add_flag("--json", options->json, "one JSON object");
  verb->callback([options, environment, &chosen] {
    chosen = [options, environment] {
      const Status status = Run(environment, *options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
