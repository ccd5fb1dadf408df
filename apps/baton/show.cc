#include <memory>

#include <boost/json.hpp>

#include "apps/baton/models.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "base/log.h"
#include "model/model.h"

namespace baton::app {
namespace {

struct ShowOptions {
  std::string model;
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

void Print(const Model& model, bool verbose) {
  const ModelSpec& spec = model.spec();
  const Vocabulary& vocabulary = model.tokenizer().vocabulary();
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
  if (spec.window > 0) Row("window", fmt::format("{} tokens", spec.window));
  Row("quantization", spec.quantization);
  Row("weights", HumanBytes(spec.TotalWeightBytes()));
  Row("KV cache",
      fmt::format("{} per token in F16", HumanBytes(spec.KvBytesPerTokenPerLayer() *
                                                    static_cast<uint64_t>(spec.n_layers))));
  Row("fingerprint", model.fingerprint());
  fmt::print("\n  Vocabulary\n");
  Row("kind", fmt::format("{} {}", model.tokenizer().kind(), model.tokenizer().pre_tokenizer()));
  Row("tokens", fmt::format("{}", vocabulary.size()));
  std::string ends;
  for (const TokenId id : model.tokenizer().end_of_generation())
    ends += (ends.empty() ? "" : " ") + std::string(vocabulary.TextOf(id));
  Row("ends of generation", ends);
  fmt::print("\n  Capabilities\n    completion\n");
  if (!model.chat_template().empty()) fmt::print("    chat\n");
  if (model.chat_template().find("tools") != std::string::npos) fmt::print("    tools\n");
  if (verbose) PrintTensors(model);
}

void PrintJson(const Model& model) {
  const ModelSpec& spec = model.spec();
  const boost::json::object object = {
      {"name", spec.name},
      {"architecture", spec.architecture},
      {"path", model.path()},
      {"parameters", spec.parameters},
      {"active_parameters", spec.active_parameters},
      {"experts", spec.experts.count},
      {"experts_used", spec.experts.used},
      {"experts_shared_width", spec.experts.shared_width},
      {"latent", spec.latent.kv_rank},
      {"kv_bytes_per_token", spec.KvBytesPerTokenPerLayer() * uint64_t(spec.n_layers)},
      {"window", spec.window},
      {"context_length", spec.context_length},
      {"embedding_length", spec.hidden_width},
      {"layers", spec.n_layers},
      {"heads", spec.n_heads},
      {"kv_heads", spec.n_kv_heads},
      {"head_dim", spec.head_dim},
      {"vocab_size", spec.vocab_size},
      {"quantization", spec.quantization},
      {"weight_bytes", spec.TotalWeightBytes()},
      {"fingerprint", model.fingerprint()},
      {"chat_template", model.chat_template()}};
  fmt::print("{}\n", boost::json::serialize(object));
}

Status Run(const Environment& environment, const ShowOptions& options) {
  BATON_ASSIGN_OR_RETURN(const std::string path, FindModel(environment, options.model));
  BATON_ASSIGN_OR_RETURN(const auto model, Model::Open(path));
  if (options.chat_template)
    fmt::print("{}\n", model->chat_template());
  else if (options.json)
    PrintJson(*model);
  else
    Print(*model, options.verbose);
  return OkStatus();
}

}  // namespace

void AddShow(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* verb = root.add_subcommand("show", "what a model is");
  verb->add_option("MODEL", options->model, "a name or a path")->required();
  verb->add_flag("--template", options->chat_template, "only the chat template's source");
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
