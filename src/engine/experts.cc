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

}  // namespace

void Routing::Choose(const ExpertSpec& experts, Rows logits) {
  chosen_.clear();
  weights_.clear();
  for (size_t row = 0; row < logits.count; ++row)
    ChooseOfRow(experts, logits.Slice(row, 1).values());
  GroupRows(experts, logits.count);
}

void Routing::ChooseOfRow(const ExpertSpec& experts, std::span<const float> logits) {
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  const auto rank = [&](int32_t expert) {
    return std::isnan(logits[expert]) ? -std::numeric_limits<float>::infinity() : logits[expert];
  };
  const auto better = [&](int32_t a, int32_t b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a < b;
  };
  std::partial_sort(order_.begin(), order_.begin() + experts.used, order_.end(), better);
  const double largest = logits[order_.front()];
  std::sort(order_.begin(), order_.begin() + experts.used);
  double total = 0;
  for (int32_t i = 0; i < experts.used; ++i) total += std::exp(logits[order_[i]] - largest);
  for (int32_t i = 0; i < experts.used; ++i) {
    chosen_.push_back(order_[i]);
    weights_.push_back(static_cast<float>(std::exp(logits[order_[i]] - largest) / total));
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

Result<ExpertWeights> LoadExperts(WeightLoader& loader, int layer) {
  ExpertWeights experts;
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
  routing.Choose(spec, logits);
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
