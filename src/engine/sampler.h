// Sampler: from logits to a token. A pure function of its arguments: the random number is drawn by
// (seed, position), so a replayed request draws the same tokens on whichever node it continues.
//
// Order: logit bias, penalties, then greedy if temperature is 0, else temperature, top-k, top-p,
// min-p, draw. Ties go to the lower token id. Reported log probabilities are those of the model:
// softmax of the logits as given.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace baton::engine {

struct SamplingParams {
  float temperature = 0.0f;        // 0 is greedy
  int top_k = 0;                   // 0: all
  float top_p = 1.0f;              // (0, 1]
  float min_p = 0.0f;              // [0, 1): relative to the most likely token
  float repeat_penalty = 1.0f;     // > 0; divides positive and multiplies negative logits
  float presence_penalty = 0.0f;   // subtracted once from a token that occurred
  float frequency_penalty = 0.0f;  // subtracted per occurrence
  int penalty_tokens = 64;         // how much of the history counts; -1: all
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;
  bool logprob = false;  // report the chosen token's log probability
  int top_logprobs = 0;  // and those of the N most likely tokens, at most 20
};

// kInvalidArgument naming the first value out of range.
Status Validate(const SamplingParams& params);

// kInternal where a logit is no number, or none is finite: weights can be anything.
Status CheckLogits(std::span<const float> logits);

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
  bool operator==(const TokenLogprob&) const = default;
};

struct Sampled {
  TokenId token = 0;
  float logprob = 0;              // 0 unless asked for
  std::vector<TokenLogprob> top;  // most likely first
};

// `history` is the prompt and the tokens so far; `position` that of the token being drawn.
// kInternal if a logit is NaN or none is finite: broken weights never become garbage text.
Result<Sampled> Sample(std::span<const float> logits, const SamplingParams& params,
                       std::span<const TokenId> history, uint64_t position);

}  // namespace baton::engine
