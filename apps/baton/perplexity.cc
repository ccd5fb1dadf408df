#include "engine/perplexity.h"

#include <algorithm>
#include <memory>

#include <boost/json.hpp>

#include "apps/baton/local_model.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "os/file.h"

namespace baton::app {
namespace {

struct PerplexityVerb {
  LocalOptions local;
  std::string text;
  int window = 512;
  bool by_line = false;
  bool parse_special = false;
  bool json = false;
};

// The whole text, or its lines but for empty ones.
std::vector<std::string_view> PartsOf(std::string_view text, bool by_line) {
  if (!by_line) return {text};
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.empty()) lines.push_back(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

// Of a line with a tab, what stands before it is read only.
Result<engine::PerplexityText> TokensOf(const Tokenizer& tokenizer, std::string_view text,
                                        const PerplexityVerb& options) {
  const EncodeOptions encode{.parse_special = options.parse_special};
  const size_t tab = options.by_line ? text.rfind('\t') : std::string_view::npos;
  engine::PerplexityText result;
  if (tab != std::string_view::npos) {
    BATON_ASSIGN_OR_RETURN(result.tokens, tokenizer.Encode(text.substr(0, tab), encode));
    result.counted_from = result.tokens.size();
    text.remove_prefix(tab + 1);
  }
  BATON_ASSIGN_OR_RETURN(const auto counted, tokenizer.Encode(text, encode));
  result.tokens.insert(result.tokens.end(), counted.begin(), counted.end());
  return result;
}

Status Run(const Environment& environment, PerplexityVerb options) {
  BATON_ASSIGN_OR_RETURN(options.local.path, FindModel(environment, options.local.path));
  options.local.context_tokens = options.window;
  BATON_ASSIGN_OR_RETURN(const std::string text, os::ReadFile(options.text));
  BATON_ASSIGN_OR_RETURN(const LocalModel local, LoadLocalModel(options.local));
  const ModelSpec& spec = local.model->spec();
  if (options.window > spec.context_length) {
    return MakeError(Code::kInvalidArgument, "windows of {} tokens, the model's context has {}",
                     options.window, spec.context_length);
  }
  const Tokenizer& tokenizer = local.model->tokenizer();
  std::vector<engine::PerplexityText> texts;
  size_t total = 0;
  for (const std::string_view part : PartsOf(text, options.by_line)) {
    BATON_ASSIGN_OR_RETURN(engine::PerplexityText tokens, TokensOf(tokenizer, part, options));
    total += tokens.tokens.size();
    texts.push_back(std::move(tokens));
  }
  engine::PerplexityOptions measuring{.window = options.window};
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  if (vocabulary.adds_bos() && vocabulary.bos() != kNoToken) measuring.begin = vocabulary.bos();
  const auto progress = [&](size_t done) {
    if (environment.colour) fmt::print(stderr, "\r{} of {} tokens", done, total);
  };
  const auto measured = engine::MeasurePerplexity(*local.stage, texts, measuring, progress);
  if (environment.colour) fmt::print(stderr, "\r\x1b[K");
  BATON_RETURN_IF_ERROR(measured.status());
  if (options.json) {
    fmt::print("{}\n", boost::json::serialize(
                           boost::json::object{{"perplexity", measured->value},
                                               {"standard_error", measured->standard_error},
                                               {"tokens", measured->tokens},
                                               {"window", options.window},
                                               {"kv_type", NameOf(options.local.kv_type)}}));
  } else {
    fmt::print("perplexity {:.6g} (standard error {:.2g}) of {} tokens in windows of {}\n",
               measured->value, measured->standard_error, measured->tokens, options.window);
  }
  return OkStatus();
}

}  // namespace

void AddPerplexity(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<PerplexityVerb>();
  options->local.kernels = environment.kernels;
  options->local.show_progress = environment.colour;
  CLI::App* verb = root.add_subcommand("perplexity", "how well a model foretells a text");
  verb->add_option("-m,--model", options->local.path, "GGUF file or model name")->required();
  verb->add_option("-f,--file", options->text, "the text, UTF-8")->required();
  verb->add_option("--window", options->window, "tokens that are read together")
      ->check(CLI::Range(2, 1 << 20));
  verb->add_flag("--by-line", options->by_line,
                 "every line is a text of its own; what stands before a tab is not counted");
  verb->add_flag("--parse-special", options->parse_special,
                 "text that spells a control token becomes that token");
  AddKvType(*verb, "--kv-type", options->local.kv_type, "KV cache: f32, f16 (the default), q8_0");
  verb->add_option("--threads", options->local.threads, "compute threads (0: one per core)")
      ->check(CLI::Range(0, 1024));
  verb->add_flag("--json", options->json, "one JSON object");
  verb->callback([options, environment, &chosen] {
    chosen = [options, environment] {
      const Status status = Run(environment, *options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
