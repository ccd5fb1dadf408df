#include "plan/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace baton::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTokenMessageBytes = 64;

const GroupStage* StageOn(const Group& group, size_t node) {
  for (const GroupStage& stage : group) {
    if (stage.node == node) return &stage;
  }
  return nullptr;
}

// Work of one request, of those that share each step.
double BusySeconds(const StageCost& cost, const Workload& workload, bool prompts, bool answers) {
  const double steps = std::max(0, workload.answer_tokens - 1);
  return (prompts ? cost.prefill_whole_s : 0) +
         (answers ? steps * cost.decode_step_s / std::max(1, workload.concurrency) : 0);
}

// The stages of one group of an arrangement, whose other group is `other`; `answers`: it decodes.
std::vector<StagePlan> ToStages(const CostTable& costs, const Group& group, const Group& other,
                                bool answers) {
  const bool prompts = !answers || other.empty();
  std::vector<StagePlan> stages;
  for (const GroupStage& stage : group) {
    const GroupStage* twin = StageOn(other, stage.node);
    const LayerRange held = twin ? Hull(stage.layers, twin->layers) : stage.layers;
    const StageCost cost = costs.At(stage.node, stage.layers, group.size());
    const NodeProfile& node = costs.cluster().nodes[stage.node];
    const double busy_s = BusySeconds(cost, costs.workload(), prompts, answers);
    stages.push_back({.node = node.id,
                      .layers = stage.layers,
                      .memory_bytes = costs.MemoryOf(held),
                      .prefill_s = cost.prefill_whole_s,
                      .decode_s = cost.decode_step_s,
                      .energy_j = node.device.watts * busy_s,
                      .memory_share = answers && !costs.memory_pools().empty()
                                          ? costs.MemoryShareOf(stage.node, costs.concurrency())
                                          : 0});
  }
  return stages;
}

}  // namespace

LayerRange Hull(LayerRange a, LayerRange b) {
  return {std::min(a.first, b.first), std::max(a.last, b.last)};
}

double BatchOf(const CostTable& costs, size_t stages) {
  const double batches = std::min<double>(costs.concurrency(), static_cast<double>(stages));
  return costs.concurrency() / batches;
}

namespace {

// Of a prompt's first `tokens`, in some layers.
double SentTokensOf(const CostTable& costs, LayerRange layers, int tokens) {
  return tokens == costs.workload().prompt_tokens ? costs.SentTokens(layers)
                                                  : costs.model().SeenTokens(layers, tokens);
}

// What a stage computes longer because it sends KV; nothing to itself. Who receives takes as much
// of a processor, which counts where the sender leaves none of those that both share.
double SendingSeconds(const CostTable& costs, const GroupStage& from, const Group& decode,
                      int tokens) {
  double sent = 0;
  for (const GroupStage& to : decode) {
    const LayerRange layers = Overlap(from.layers, to.layers);
    if (layers.size() > 0 && from.node != to.node)
      sent +=
          SentTokensOf(costs, layers, tokens) * (costs.pools().Fills(from.node, to.node) ? 2 : 1);
  }
  return sent * costs.SentTokenBytes() * costs.cluster().nodes[from.node].device.send_ns * 1e-9;
}

}  // namespace

double PrefillSecondsBeside(const CostTable& costs, const Group& prefill, const Group& decode,
                            int tokens) {
  double sending_s = 0;  // of stages that compute side by side
  for (const GroupStage& stage : prefill)
    sending_s = std::max(sending_s, SendingSeconds(costs, stage, decode, tokens));
  return PrefillSeconds(costs, prefill, HopTimes(costs, prefill, decode, tokens)) + sending_s;
}

size_t NodeCount(const Arrangement& arrangement) {
  size_t count = arrangement.decode.size();
  for (const GroupStage& stage : arrangement.prefill)
    count += StageOn(arrangement.decode, stage.node) == nullptr ? 1 : 0;
  return count;
}

Judge::Judge(const CostTable& costs, const NodeId& entry) : costs_(costs) {
  for (const NodeProfile& node : costs.cluster().nodes) {
    to_entry_.push_back(TransferSeconds(costs.cluster(), node.id, entry, kTokenMessageBytes));
    from_entry_.push_back(TransferSeconds(costs.cluster(), entry, node.id, kTokenMessageBytes));
  }
}

bool Judge::CanHandOver(size_t from, size_t first, size_t last) const {
  return costs_.TokenHop(from, first) + costs_.TokenHop(from, last) < kInfinity;
}

bool Judge::IsLinked(const Arrangement& arrangement) const {
  for (const Group* group : {&arrangement.prefill, &arrangement.decode}) {
    for (const GroupStage& stage : *group) {
      if (!IsInReach(stage.node)) return false;
    }
    // Credits of chunks, and tokens, go round.
    const bool round =
        group->empty() || costs_.TokenHop(group->back().node, group->front().node) < kInfinity;
    if (!round) return false;
  }
  const Group& decode = arrangement.decode;
  return arrangement.prefill.empty() ||
         CanHandOver(arrangement.prefill.back().node, decode.front().node, decode.back().node);
}

bool Judge::FitsTogether(const Arrangement& arrangement) const {
  const auto fits = [&](const GroupStage& stage, const Group& other) {
    const GroupStage* twin = StageOn(other, stage.node);
    return costs_.Fits(stage.node, twin ? Hull(stage.layers, twin->layers) : stage.layers);
  };
  for (const GroupStage& stage : arrangement.decode) {
    if (!fits(stage, arrangement.prefill)) return false;
  }
  for (const GroupStage& stage : arrangement.prefill) {
    if (!fits(stage, arrangement.decode)) return false;
  }
  return true;
}

std::vector<double> PromptSecondsOn(const CostTable& costs, const Group& computing,
                                    const std::vector<size_t>& nodes) {
  std::vector<double> seconds;
  for (const size_t node : nodes) {
    const GroupStage* twin = StageOn(computing, node);
    seconds.push_back(twin == nullptr ? 0 : costs.PrefillOf(node, twin->layers, computing.size()));
  }
  return seconds;
}

double BusySecondsBeside(const CostTable& costs, std::span<const double> prompts, double chunks,
                         size_t stage, double generating_s) {
  const double pass_s =
      generating_s * costs.concurrency() / std::max(1, costs.workload().answer_tokens);
  double beside_s = prompts[stage];
  for (size_t other = 0; other < prompts.size(); ++other) {
    if (other != stage) beside_s = std::max(beside_s, prompts[other] - chunks * pass_s);
  }
  return generating_s + beside_s;
}

namespace {

// Seconds from one request to the next, if each of `all` is somewhere all the time: with R from one
// to the next, each takes all x R. While it generates, others begin, each of which stops it:
// all x R = first + rest / (1 - stops / R).
double SecondsAround(double all, double first, double rest, double stops) {
  const double sum = all * stops + first + rest;
  const double apart = std::max(0.0, sum * sum - 4 * all * stops * first);  // but for rounding
  return (sum + std::sqrt(apart)) / (2 * all);
}

}  // namespace

double Judge::RequestSeconds(const Arrangement& arrangement, const Totals& totals,
                             std::span<const double> times) const {
  const Group& decode = arrangement.decode;
  const Group& computing = arrangement.prefill.empty() ? decode : arrangement.prefill;
  const double batch = BatchOf(costs_, decode.size());
  const double answer = std::max(1, costs_.workload().answer_tokens);
  std::vector<size_t> nodes;
  for (const GroupStage& stage : decode) nodes.push_back(stage.node);
  const std::vector<double> prompts = PromptSecondsOn(costs_, computing, nodes);
  const double chunks = costs_.ChunksOf(computing.size());
  double busiest = 0;
  double step = 0;
  double hops = 0;
  double stops = 0;  // of answers, by the prompt's stage that takes longest
  Pools::Load shared(costs_.pools());
  for (size_t i = 0; i < decode.size(); ++i) {
    const double stage = costs_.DecodeBatch(decode[i].node, decode[i].layers, batch) *
                         (times.empty() ? 1 : times[i]);
    step += stage;
    if (decode.size() > 1) {
      const size_t next = decode[(i + 1) % decode.size()].node;
      hops += i + 1 < decode.size() ? costs_.StepHop(decode[i].node, next)
                                    : costs_.TokenHop(decode[i].node, next);
    }
    const double generating = answer * stage / batch;
    shared.Add(decode[i].node, generating);
    busiest = std::max(busiest, BusySecondsBeside(costs_, prompts, chunks, i, generating));
    stops = std::max(stops, prompts[i]);
  }
  // Where steps are run, each chunk waits for one, of a stage as they are on average.
  const double chunks_wait = stops > 0 ? chunks * step / static_cast<double>(decode.size()) : 0;
  for (size_t i = 0; i < computing.size(); ++i) {
    const double busy =
        costs_.PrefillOf(computing[i].node, computing[i].layers, computing.size()) +
        SendingSeconds(costs_, computing[i], decode, costs_.workload().prompt_tokens);
    busiest = std::max(busiest, busy);
    shared.Add(computing[i].node, busy);
  }
  busiest = std::max({busiest, shared.Seconds(), BusiestSending(costs_, computing, decode)});
  const double others = 1 - 1.0 / costs_.concurrency();
  const double first = totals.ttft_s + totals.exposure.seconds + others * chunks_wait;
  const double rest = costs_.later_tokens() * (step + hops);
  return std::max(busiest, SecondsAround(costs_.concurrency(), first, rest, others * stops));
}

// Stages of one machine that generate at once take longer, and the longer they take, the more often
// they do.
double Judge::RequestSeconds(const Arrangement& arrangement, const Totals& totals) const {
  constexpr int kRounds = 3;
  double seconds = RequestSeconds(arrangement, totals, {});
  const Group& decode = arrangement.decode;
  if (costs_.memory_pools().empty() || decode.size() < 2) return seconds;
  const double batch = BatchOf(costs_, decode.size());
  const double answer = std::max(1, costs_.workload().answer_tokens);
  std::vector<double> times(decode.size(), 1);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<MemoryPools::Part> parts;
    for (size_t i = 0; i < decode.size(); ++i) {
      const double step = costs_.DecodeBatch(decode[i].node, decode[i].layers, batch);
      parts.push_back({decode[i].node, costs_.MemoryShareOf(decode[i].node, batch),
                       std::min(1.0, times[i] * answer * step / batch / seconds)});
    }
    times = costs_.memory_pools().Stretch(parts);
    seconds = RequestSeconds(arrangement, totals, times);
  }
  return seconds;
}

std::optional<Totals> Judge::TotalsOf(const Arrangement& arrangement) const {
  if (!FitsTogether(arrangement) || !IsLinked(arrangement)) return std::nullopt;
  const Group& computing = arrangement.prefill.empty() ? arrangement.decode : arrangement.prefill;
  Totals totals;
  totals.prefill_s =
      PrefillSecondsBeside(costs_, computing, arrangement.decode, costs_.workload().prompt_tokens);
  totals.exposure =
      HandOver(costs_, arrangement.prefill, totals.prefill_s, costs_.workload().prompt_tokens)
          .To(arrangement.decode);
  totals.ttft_s = totals.prefill_s + to_entry_[computing.back().node];
  totals.decode_step_s = DecodeSeconds(costs_, arrangement.decode);
  totals.total_s =
      totals.ttft_s + totals.exposure.seconds + costs_.later_tokens() * totals.decode_step_s;
  totals.request_s = RequestSeconds(arrangement, totals);
  if (!std::isfinite(totals.total_s) || !std::isfinite(totals.request_s)) return std::nullopt;
  return totals;
}

Score Judge::ScoreOf(const Arrangement& arrangement, const Totals& totals) const {
  switch (costs_.workload().objective) {
    case Objective::kThroughput:
      return {0, totals.request_s};
    case Objective::kFit:
      return {NodeCount(arrangement), totals.total_s};
    case Objective::kLatency:
      break;
  }
  return {0, totals.total_s};
}

Plan Judge::PlanOf(const Arrangement& arrangement, const Totals& totals) const {
  const Workload& workload = costs_.workload();
  Plan plan;
  plan.prefill = ToStages(costs_, arrangement.prefill, arrangement.decode, false);
  plan.decode = ToStages(costs_, arrangement.decode, arrangement.prefill, true);
  plan.prefill_s = totals.prefill_s;
  plan.exposed_s = totals.exposure.seconds;
  plan.kv_hidden = !arrangement.prefill.empty() && totals.exposure.hidden;
  plan.ttft_s = totals.ttft_s;
  plan.decode_step_s = totals.decode_step_s;
  plan.total_s = totals.total_s;
  plan.request_s = totals.request_s;
  plan.answer_tokens = std::max(1, workload.answer_tokens);
  plan.concurrency = std::max(1, workload.concurrency);
  plan.slots = std::max(1, workload.slots);
  plan.kv_type = workload.kv_type;
  plan.kv_wire_type = workload.TravelType();
  plan.activation_type = workload.activation_type;
  return plan;
}

}  // namespace baton::plan
