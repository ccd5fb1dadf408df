#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace baton::engine {
namespace {

constexpr int kTopLogprobsMax = 20;
// exp() of less is treated as zero: below what 53 random bits can tell apart.
constexpr double kExponentMin = -40.0;

struct Range {
  const char* name;
  double value;
  double min;
  double max;
};

// The first of the largest; none is a NaN.
TokenId Largest(std::span<const float> logits) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> largest;
  largest.fill(-std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      largest[lane] = logits[i + lane] > largest[lane] ? logits[i + lane] : largest[lane];
  }
  for (; i < logits.size(); ++i) largest[0] = std::max(largest[0], logits[i]);
  const float max = *std::max_element(largest.begin(), largest.end());
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), max) - logits.begin());
}

bool ChangesLogits(const SamplingParams& params) {
  return params.repeat_penalty != 1.0f || params.presence_penalty != 0.0f ||
         params.frequency_penalty != 0.0f || !params.logit_bias.empty();
}

void Penalize(const SamplingParams& params, int occurrences, float& logit) {
  logit = logit > 0 ? logit / params.repeat_penalty : logit * params.repeat_penalty;
  logit -= params.presence_penalty + params.frequency_penalty * static_cast<float>(occurrences);
}

std::vector<float> AdjustedLogits(std::span<const float> logits, const SamplingParams& params,
                                  std::span<const TokenId> history) {
  std::vector<float> adjusted(logits.begin(), logits.end());
  for (const auto& [token, bias] : params.logit_bias) {
    if (token >= 0 && static_cast<size_t>(token) < adjusted.size()) adjusted[token] += bias;
  }
  const size_t window = params.penalty_tokens < 0
                            ? history.size()
                            : std::min<size_t>(history.size(), params.penalty_tokens);
  std::vector<TokenId> recent(history.end() - static_cast<ptrdiff_t>(window), history.end());
  std::sort(recent.begin(), recent.end());
  for (size_t i = 0; i < recent.size();) {
    size_t next = i;
    while (next < recent.size() && recent[next] == recent[i]) ++next;
    const TokenId token = recent[i];
    if (token >= 0 && static_cast<size_t>(token) < adjusted.size()) {
      Penalize(params, static_cast<int>(next - i), adjusted[token]);
    }
    i = next;
  }
  return adjusted;
}

// A heap of the tokens that can be drawn, most likely on top.
class Candidates {
 public:
  Candidates(std::span<const float> logits, float temperature) {
    const double max = logits[Largest(logits)];
    for (size_t i = 0; i < logits.size(); ++i) {
      const double exponent = (logits[i] - max) / temperature;
      if (exponent < kExponentMin) continue;
      const double weight = std::exp(exponent);
      heap_.push_back({weight, static_cast<TokenId>(i)});
      total_ += weight;
    }
    std::make_heap(heap_.begin(), heap_.end(), LessLikely);
  }

  struct Candidate {
    double weight;
    TokenId token;
  };
  bool empty() const { return heap_.empty(); }
  double total() const { return total_; }
  const Candidate& top() const { return heap_.front(); }
  Candidate Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), LessLikely);
    const Candidate candidate = heap_.back();
    heap_.pop_back();
    return candidate;
  }

 private:
  static bool LessLikely(const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.token > b.token;
  }
  std::vector<Candidate> heap_;
  double total_ = 0;
};

struct Survivors {
  std::vector<Candidates::Candidate> kept;  // most likely first; at least one
  double total = 0;
};

// What top-k, top-p and min-p leave.
Survivors Truncate(Candidates candidates, const SamplingParams& params) {
  Survivors survivors;
  auto& [kept, total] = survivors;
  const double enough = params.top_p * candidates.total();
  const double least = params.min_p * candidates.top().weight;
  const size_t most = params.top_k > 0 ? params.top_k : std::numeric_limits<size_t>::max();
  while (!candidates.empty() && kept.size() < most) {
    if (!kept.empty() && (total >= enough || candidates.top().weight < least)) break;
    kept.push_back(candidates.Pop());
    total += kept.back().weight;
  }
  return survivors;
}

TokenId Draw(std::span<const float> logits, const SamplingParams& params, double uniform) {
  const auto [kept, total] = Truncate(Candidates(logits, params.temperature), params);
  double left = uniform * total;
  for (const auto& candidate : kept) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  return kept.back().token;
}

double LogOfTotal(std::span<const float> logits) {
  const double max = logits[Largest(logits)];
  double total = 0;
  for (const float logit : logits) total += std::exp(logit - max);
  return max + std::log(total);
}

std::vector<TokenLogprob> MostLikely(std::span<const float> logits, int count, double log_total) {
  std::vector<TokenId> tokens(logits.size());
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i);
  const size_t n = std::min<size_t>(count, tokens.size());
  std::partial_sort(
      tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(n), tokens.end(),
      [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  std::vector<TokenLogprob> top;
  for (size_t i = 0; i < n; ++i) {
    top.push_back({tokens[i], static_cast<float>(logits[tokens[i]] - log_total)});
  }
  return top;
}

}  // namespace

// Every token's logits pass here, so these loops are such that compilers make vectors of them.
Status CheckLogits(std::span<const float> logits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  unsigned too_large = 0, finite = 0;
  for (const float logit : logits) {
    too_large |= static_cast<unsigned>(!(logit < kInfinity));
    finite |= static_cast<unsigned>(logit > -kInfinity);
  }
  if (too_large != 0) {
    const auto at = std::find_if(logits.begin(), logits.end(),
                                 [](float logit) { return !(logit < kInfinity); });
    return MakeError(Code::kInternal, "the model computed {} as a logit", *at);
  }
  if (finite == 0) return MakeError(Code::kInternal, "no token of {} is possible", logits.size());
  return OkStatus();
}

Status Validate(const SamplingParams& params) {
  const double inf = std::numeric_limits<double>::max();
  const Range ranges[] = {
      {"temperature", params.temperature, 0, 100},
      {"top_k", static_cast<double>(params.top_k), 0, inf},
      {"top_p", params.top_p, std::numeric_limits<float>::min(), 1},
      {"min_p", params.min_p, 0, 1},
      {"repeat_penalty", params.repeat_penalty, 1e-3, 1e3},
      {"presence_penalty", params.presence_penalty, -100, 100},
      {"frequency_penalty", params.frequency_penalty, -100, 100},
      {"penalty_tokens", static_cast<double>(params.penalty_tokens), -1, inf},
      {"top_logprobs", static_cast<double>(params.top_logprobs), 0, kTopLogprobsMax},
  };
  for (const Range& range : ranges) {
    if (!(range.value >= range.min && range.value <= range.max)) {
      return MakeError(Code::kInvalidArgument, "{} is {}, not from {} to {}", range.name,
                       range.value, range.min, range.max);
    }
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (!std::isfinite(bias)) {
      return MakeError(Code::kInvalidArgument, "logit_bias of token {} is {}", token, bias);
    }
  }
  return OkStatus();
}

Result<Sampled> Sample(std::span<const float> logits, const SamplingParams& params,
                       std::span<const TokenId> history, uint64_t position) {
  BATON_RETURN_IF_ERROR(CheckLogits(logits));
  std::vector<float> adjusted;
  std::span<const float> scores = logits;
  if (ChangesLogits(params)) {
    adjusted = AdjustedLogits(logits, params, history);
    scores = adjusted;
    BATON_RETURN_IF_ERROR(CheckLogits(scores));
  }
  Sampled sampled;
  sampled.token = params.temperature == 0.0f
                      ? Largest(scores)
                      : Draw(scores, params, UniformAt(params.seed, position));
  if (params.logprob || params.top_logprobs > 0) {
    const double log_total = LogOfTotal(logits);
    sampled.logprob = static_cast<float>(logits[sampled.token] - log_total);
    sampled.top = MostLikely(logits, params.top_logprobs, log_total);
  }
  return sampled;
}

}  // namespace baton::engine
