#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace baton::engine {
namespace {

// -log p of `token` under the softmax of `logits`.
double Surprise(std::span<const float> logits, TokenId token) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum) - logits[static_cast<size_t>(token)];
}

// Adds the surprises of window[max(counted_from, 1) ...].
Status ReadWindow(const Stage& stage, std::span<const TokenId> window, size_t counted_from,
                  Workspace& workspace, std::vector<double>& surprises) {
  kv::Sequence sequence(stage.pool());
  sequence.SetTextTokens(static_cast<int>(window.size()));
  NoHooks hooks;
  const auto step =
      static_cast<size_t>(std::min(stage.options().batch_max, stage.options().chunk_tokens_max));
  const auto vocab = static_cast<size_t>(stage.spec().vocab_size);
  // Run() judges all others.
  if (static_cast<size_t>(window.back()) >= vocab) {
    return MakeError(Code::kInvalidArgument, "token {} is outside the vocabulary of {}",
                     window.back(), vocab);
  }
  // What follows the last token is not known.
  for (size_t at = 0; at + 1 < window.size(); at += step) {
    const auto tokens = window.subspan(at, std::min(step, window.size() - 1 - at));
    const StageInput input{.layers = stage.layers(),
                           .first_position = static_cast<int>(at),
                           .tokens = tokens,
                           .logit_rows = static_cast<int>(tokens.size())};
    BATON_ASSIGN_OR_RETURN(const StageOutput output, stage.Run(input, sequence, workspace, hooks));
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (at + i + 1 < counted_from) continue;
      surprises.push_back(Surprise(output.logits.subspan(i * vocab, vocab), window[at + i + 1]));
    }
  }
  return OkStatus();
}

Perplexity Summarize(std::span<const double> surprises) {
  const auto count = static_cast<double>(surprises.size());
  double sum = 0, squares = 0;
  for (const double surprise : surprises) {
    sum += surprise;
    squares += surprise * surprise;
  }
  const double mean = sum / count;
  const double variance = std::max(0.0, squares / count - mean * mean);
  const double value = std::exp(mean);
  return {value, value * std::sqrt(variance / std::max(1.0, count - 1)),
          static_cast<int>(surprises.size())};
}

}  // namespace

Result<Perplexity> MeasurePerplexity(const Stage& stage, std::span<const PerplexityText> texts,
                                     const PerplexityOptions& options,
                                     const TokenProgress& progress) {
  if (options.window < 2) {
    return MakeError(Code::kInvalidArgument, "windows of {} tokens foretell none", options.window);
  }
  BATON_ASSIGN_OR_RETURN(Workspace workspace, stage.NewWorkspace());
  const size_t put_first = options.begin ? 1 : 0;
  const size_t step = static_cast<size_t>(options.window) - put_first;
  std::vector<double> surprises;
  size_t done = 0;
  for (const auto& [tokens, counted_from] : texts) {
    for (size_t at = 0; at < tokens.size(); at += step) {
      const auto own = std::span(tokens).subspan(at, std::min(step, tokens.size() - at));
      std::vector<TokenId> window(own.begin(), own.end());
      if (options.begin) window.insert(window.begin(), *options.begin);
      const size_t counted = counted_from > at ? counted_from - at + put_first : 0;
      BATON_RETURN_IF_ERROR(ReadWindow(stage, window, counted, workspace, surprises));
      if (progress) progress(done += own.size());
    }
  }
  if (surprises.empty()) {
    return MakeError(Code::kInvalidArgument, "no token of the text is foretold");
  }
  return Summarize(surprises);
}

}  // namespace baton::engine
