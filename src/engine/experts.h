// Experts: a layer's feed-forward as many small ones, of which each token takes a few that a router
// chooses. Only the weights of experts that somebody chose are read, each once for all its rows.
#pragma once

#include <span>
#include <vector>

#include "device/device.h"
#include "engine/row_plan.h"
#include "engine/weights.h"
#include "model/spec.h"

namespace baton::engine {

// Which rows go to which experts, and with what weight they come back. Reused from pass to pass.
class Routing {
 public:
  // The rows of one expert among the gathered ones.
  struct Group {
    int expert = 0;
    size_t first = 0;
    size_t count = 0;
  };

  // Each row takes the `used` experts with the best scores (of equal ones the first) out of the
  // groups with the best: that of a group is its best one, of sigmoid scores the sum of its two
  // best. `bias`, one for each expert or empty, joins the scores while choosing.
  void Choose(const ExpertSpec& experts, device::Rows logits, std::span<const float> bias = {});

  // In ascending order of experts; within one, of rows.
  std::span<const Group> groups() const { return groups_; }
  // Gathered row -> row.
  std::span<const int32_t> gather() const { return gather_; }
  // [row][used] gathered rows, ascending, and their weights.
  std::span<const int32_t> places() const { return places_; }
  std::span<const float> weights() const { return weights_; }
  // Kept here so that a decode step allocates nothing.
  std::vector<device::GroupProduct>& products() { return products_; }

 private:
  void ChooseOfRow(const ExpertSpec& experts, std::span<const float> logits,
                   std::span<const float> bias);
  void RankExperts(const ExpertSpec& experts, std::span<const float> logits,
                   std::span<const float> bias);
  void LeaveGroups(const ExpertSpec& experts);
  void Weigh(const ExpertSpec& experts, std::span<const float> logits, float largest);
  void GroupRows(const ExpertSpec& experts, size_t rows);

  std::vector<int32_t> chosen_;  // [row][used], ascending
  std::vector<int32_t> order_;   // of one row's experts
  std::vector<float> ranks_;     // of one row's experts: by these it chooses
  std::vector<float> group_ranks_;
  std::vector<size_t> begins_;  // of each expert's gathered rows
  std::vector<Group> groups_;
  std::vector<int32_t> gather_;
  std::vector<int32_t> places_;
  std::vector<float> weights_;
  std::vector<device::GroupProduct> products_;
};

struct ExpertWeights {
  MatrixPtr router;
  std::vector<MatrixPtr> gate, up, down;  // per expert
  Vector router_bias;
  Vector choice_bias;                    // of each expert, or empty
  Vector gate_bias, up_bias, down_bias;  // [expert][row of its matrix], or empty
  device::Gate kind = device::Gate::kSilu;
};
// Those of a layer, without biases of matrices.
Result<ExpertWeights> LoadExperts(const ExpertSpec& spec, WeightLoader& loader, int layer);

// Memory of one pass: rows for `used` experts of each of its rows.
struct ExpertRows {
  device::Rows logits, gate, up, out;
};

void PlanExpertRows(const ModelSpec& spec, size_t rows_max, ExpertRows& rows, RowPlan& plan);

// x += what the experts make of `input`, whose rows are x's.
void RunExperts(const ExpertSpec& spec, const ExpertWeights& weights, const device::Input& input,
                const ExpertRows& rows, Routing& routing, device::Device& device, device::Rows x);

}  // namespace baton::engine
