#include "engine/experts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace baton::engine {

using device::Rows;

namespace {

// Of one expert, nothing where none has any.
std::span<const float> BiasOf(const Vector& biases, const device::Matrix& matrix, int expert) {
  if (biases.empty()) return {};
  return std::span(biases).subspan(expert * matrix.rows(), matrix.rows());
}

void AddProducts(const std::vector<MatrixPtr>& matrices, const Vector& biases, Rows into,
                 Routing& routing) {
  for (const Routing::Group& group : routing.groups()) {
    const device::Matrix& matrix = *matrices[group.expert];
    routing.products().push_back(
        {&matrix, group.first, group.count, into, BiasOf(biases, matrix, group.expert)});
  }
}

constexpr float kNever = -std::numeric_limits<float>::infinity();

double Sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// Brings the places of the `count` largest, of equal ones the first, to the front of `order`.
void BestOf(std::span<const float> ranks, int32_t count, std::vector<int32_t>& order) {
  order.resize(ranks.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](int32_t a, int32_t b) {
    return ranks[a] != ranks[b] ? ranks[a] > ranks[b] : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + count, order.end(), better);
}

}  // namespace

void Routing::Choose(const ExpertSpec& experts, Rows logits, std::span<const float> bias) {
  chosen_.clear();
  weights_.clear();
  for (size_t row = 0; row < logits.count; ++row)
    ChooseOfRow(experts, logits.Slice(row, 1).values(), bias);
  GroupRows(experts, logits.count);
}

void Routing::ChooseOfRow(const ExpertSpec& experts, std::span<const float> logits,
                          std::span<const float> bias) {
  RankExperts(experts, logits, bias);
  if (experts.groups > 1) LeaveGroups(experts);
  BestOf(ranks_, experts.used, order_);
  const float largest = logits[order_.front()];
  std::sort(order_.begin(), order_.begin() + experts.used);
  Weigh(experts, logits, largest);
}

// Softmax keeps the order of logits.
void Routing::RankExperts(const ExpertSpec& experts, std::span<const float> logits,
                          std::span<const float> bias) {
  ranks_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    float rank = logits[i];
    if (experts.score == ExpertScore::kSigmoid) {
      rank = static_cast<float>(Sigmoid(rank)) + (bias.empty() ? 0.0f : bias[i]);
    }
    ranks_[i] = std::isnan(rank) ? kNever : rank;
  }
}

// Whoever is not in one of the best groups is not chosen.
void Routing::LeaveGroups(const ExpertSpec& experts) {
  const size_t size = ranks_.size() / experts.groups;
  const size_t best = experts.score == ExpertScore::kSigmoid ? 2 : 1;
  group_ranks_.clear();
  for (size_t begin = 0; begin < ranks_.size(); begin += size) {
    float top[2] = {kNever, kNever};
    for (size_t i = begin; i < begin + size; ++i) {
      top[1] = std::max(top[1], std::min(top[0], ranks_[i]));
      top[0] = std::max(top[0], ranks_[i]);
    }
    group_ranks_.push_back(best == 2 ? top[0] + top[1] : top[0]);
  }
  BestOf(group_ranks_, experts.groups_used, order_);
  for (size_t i = experts.groups_used; i < group_ranks_.size(); ++i)
    std::fill_n(ranks_.begin() + static_cast<std::ptrdiff_t>(order_[i] * size), size, kNever);
}

// Of those chosen, in ascending order.
void Routing::Weigh(const ExpertSpec& experts, std::span<const float> logits, float largest) {
  const bool softmax = experts.score == ExpertScore::kSoftmax;
  const auto score = [&](float logit) {
    return softmax ? std::exp(double{logit} - largest) : Sigmoid(logit);
  };
  double total = softmax || experts.normalized ? 0 : 1;
  for (int32_t i = 0; experts.normalized && i < experts.used; ++i)
    total += score(logits[order_[i]]);
  for (size_t i = 0; softmax && !experts.normalized && i < logits.size(); ++i)
    total += score(logits[i]);
  for (int32_t i = 0; i < experts.used; ++i) {
    chosen_.push_back(order_[i]);
    weights_.push_back(static_cast<float>(score(logits[order_[i]]) / total * experts.scale));
  }
}

// Counts, begins, places: one pass over all choices each.
void Routing::GroupRows(const ExpertSpec& experts, size_t rows) {
  begins_.assign(experts.count + 1, 0);
  for (const int32_t expert : chosen_) ++begins_[expert + 1];
  groups_.clear();
  for (int32_t expert = 0; expert < experts.count; ++expert) {
    const size_t count = begins_[expert + 1];
    begins_[expert + 1] += begins_[expert];
    if (count > 0) groups_.push_back({expert, begins_[expert], count});
  }
  gather_.resize(chosen_.size());
  places_.resize(chosen_.size());
  for (size_t i = 0; i < rows * experts.used; ++i) {
    const size_t place = begins_[chosen_[i]]++;
    places_[i] = static_cast<int32_t>(place);
    gather_[place] = static_cast<int32_t>(i / experts.used);
  }
}

Result<ExpertWeights> LoadExperts(const ExpertSpec& spec, WeightLoader& loader, int layer) {
  ExpertWeights experts;
  if (spec.biased) {
    BATON_ASSIGN_OR_RETURN(experts.choice_bias, loader.LoadLayerVector(layer, "exp_probs_b.bias"));
  }
  BATON_ASSIGN_OR_RETURN(experts.router, loader.LoadLayerMatrix(layer, "ffn_gate_inp.weight"));
  BATON_ASSIGN_OR_RETURN(experts.gate, loader.LoadLayerExperts(layer, "ffn_gate_exps.weight"));
  BATON_ASSIGN_OR_RETURN(experts.up, loader.LoadLayerExperts(layer, "ffn_up_exps.weight"));
  BATON_ASSIGN_OR_RETURN(experts.down, loader.LoadLayerExperts(layer, "ffn_down_exps.weight"));
  return experts;
}

void PlanExpertRows(const ModelSpec& spec, size_t rows_max, ExpertRows& rows, RowPlan& plan) {
  const ExpertSpec& experts = spec.experts;
  plan.Add(rows.logits, rows_max, experts.count);
  plan.Add(rows.gate, rows_max * experts.used, experts.ffn_width);
  plan.Add(rows.up, rows_max * experts.used, experts.ffn_width);
  plan.Add(rows.out, rows_max * experts.used, spec.hidden_width);
}

void RunExperts(const ExpertSpec& spec, const ExpertWeights& weights, const device::Input& input,
                const ExpertRows& rows, Routing& routing, device::Device& device, Rows x) {
  if (x.count == 0) return;
  const Rows logits = rows.logits.Slice(0, x.count);
  device.MatMul(input, {{weights.router.get(), logits, weights.router_bias}});
  routing.Choose(spec, logits, weights.choice_bias);
  const size_t gathered = routing.gather().size();
  const Rows gate = rows.gate.Slice(0, gathered), up = rows.up.Slice(0, gathered),
             out = rows.out.Slice(0, gathered);
  routing.products().clear();
  AddProducts(weights.gate, weights.gate_bias, gate, routing);
  AddProducts(weights.up, weights.up_bias, up, routing);
  device.MatMulGroups(input, routing.gather(), routing.products());
  routing.products().clear();
  AddProducts(weights.down, weights.down_bias, out, routing);
  device.MatMulGroups(Gated(gate, up, weights.kind), {}, routing.products());
  device.AddWeighted(out, routing.places(), routing.weights(), x);
}

}  // namespace baton::engine
