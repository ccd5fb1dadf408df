// Perplexity: how well a model foretells a text. Lower is better; the ratio of two models' values
// on one text says what a quantisation costs.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/stage.h"

namespace baton::engine {

struct Perplexity {
  double value = 0;           // exp of the mean of -log p(token | tokens before it in its window)
  double standard_error = 0;  // of value
  int tokens = 0;             // foretold and counted
};

// A text that is read apart from others.
struct PerplexityText {
  std::vector<TokenId> tokens;
  size_t counted_from = 0;  // those before it are read, but not counted
};

struct PerplexityOptions {
  int window = 512;              // tokens that are read together; the last ones may be fewer
  std::optional<TokenId> begin;  // put before each window; without, a window's own first token is
                                 // read but not foretold
};

// So many tokens are read.
using TokenProgress = std::function<void(size_t done)>;

// Each text in windows. `stage` must hold all layers, and room for a window. kInvalidArgument if
// nothing is to be foretold, or a token is outside the vocabulary.
Result<Perplexity> MeasurePerplexity(const Stage& stage, std::span<const PerplexityText> texts,
                                     const PerplexityOptions& options,
                                     const TokenProgress& progress = {});

}  // namespace baton::engine
