#include "engine/phantom/phantom_pass.h"

#include <algorithm>
#include <cstring>

#include "device/phantom/mark.h"
#include "device/phantom/phantom_device.h"
#include "engine/phantom/pace.h"
#include "engine/row_plan.h"
#include "plan/model_cost.h"
#include "plan/step_cost.h"

namespace baton::engine {
namespace {

using device::Device;
using device::Mark;
using device::PhantomDevice;
using device::Rows;

// Nearly always drawn, at any temperature that people use.
constexpr float kChosenLogit = 100;

struct PhantomScratch final : Scratch {
  explicit PhantomScratch(os::Waiter& waiter) : pace(waiter) {}
  std::unique_ptr<device::Buffer> memory;
  Rows x, logits;
  std::vector<size_t> chosen;  // of each row of logits, what is not zero
  Pace pace;
};

std::span<float> RowOf(Rows rows, size_t i) {
  return {rows.host() + i * rows.width, rows.width};
}

class PhantomPass final : public ForwardPass {
 public:
  PhantomPass(const ModelSpec& spec, LayerRange layers, plan::StepCosts costs,
              uint64_t weight_bytes)
      : spec_(spec), layers_(layers), costs_(std::move(costs)), weight_bytes_(weight_bytes) {}

  uint64_t weight_bytes() const override { return weight_bytes_; }
  Result<std::unique_ptr<Scratch>> NewScratch(Device& device, int rows_max,
                                              int logit_rows_max) const override;
  Result<StageOutput> Run(const PassInput& input, Device& device, CachedAttention& attention,
                          Scratch& scratch) const override;

 private:
  std::vector<double> SecondsOf(const PassInput& input, size_t sequences) const;
  StageOutput Finish(const PassInput& input, PhantomScratch& s, Rows x) const;

  const ModelSpec spec_;
  const LayerRange layers_;
  const plan::StepCosts costs_;
  const uint64_t weight_bytes_;
};

Result<std::unique_ptr<Scratch>> PhantomPass::NewScratch(Device& device, int rows_max,
                                                         int logit_rows_max) const {
  auto scratch = std::make_unique<PhantomScratch>(static_cast<PhantomDevice&>(device).waiter());
  const bool ends = layers_.last == spec_.n_layers;
  RowPlan plan;
  plan.Add(scratch->x, static_cast<size_t>(rows_max), spec_.hidden_width);
  plan.Add(scratch->logits, ends ? static_cast<size_t>(logit_rows_max) : 0, spec_.vocab_size);
  scratch->chosen.resize(scratch->logits.count, 0);
  BATON_ASSIGN_OR_RETURN(scratch->memory, plan.Allocate(device));
  return std::unique_ptr<Scratch>(std::move(scratch));
}

// When each layer is done, after the beginning.
std::vector<double> PhantomPass::SecondsOf(const PassInput& input, size_t sequences) const {
  const int count = static_cast<int>(input.positions.size());
  const bool logits = input.logit_rows > 0;
  if (count > 1 && sequences == 1)
    return costs_.OfChunk(input.layers, input.positions.front(), count, logits);
  return costs_.OfTokens(input.layers, input.positions, logits);
}

Result<StageOutput> PhantomPass::Run(const PassInput& input, Device& device,
                                     CachedAttention& attention, Scratch& scratch) const {
  auto& s = static_cast<PhantomScratch&>(scratch);
  auto& phantom = static_cast<PhantomDevice&>(device);
  s.pace.Begin();
  const std::vector<double> seconds = SecondsOf(input, attention.sequences());
  const Rows x = s.x.Slice(0, input.positions.size());
  if (input.layers.first == 0) {
    for (size_t i = 0; i < x.count; ++i)
      device::WriteMark(static_cast<Mark>(input.tokens[i]), RowOf(x, i));
  } else {
    std::memcpy(x.host(), input.activations.data(), input.activations.size_bytes());
  }
  for (int layer = input.layers.first; layer < input.layers.last; ++layer) {
    for (size_t i = 0; i < x.count; ++i) {
      const std::span<float> row = RowOf(x, i);
      device::WriteMark(device::Mix(device::ReadMark(row), static_cast<Mark>(layer)), row);
    }
    const auto place = static_cast<size_t>(layer - input.layers.first);
    if (place > 0) s.pace.Reach(seconds[place - 1]);
    const os::TimePoint before = phantom.waiter().Now();
    BATON_RETURN_IF_ERROR(attention.Run(layer, x, x, x, x, {.window = spec_.WindowOf(layer)}));
    s.pace.Pause(phantom.stored_at() - before);
  }
  const StageOutput output = Finish(input, s, x);
  s.pace.End(seconds.back());
  return output;
}

StageOutput PhantomPass::Finish(const PassInput& input, PhantomScratch& s, Rows x) const {
  if (input.layers.last < spec_.n_layers) return StageOutput{x.values(), {}};
  const Rows logits = s.logits.Slice(0, input.logit_rows);
  for (size_t i = 0; i < input.logit_rows; ++i) {
    const std::span<float> row = RowOf(logits, i);
    const Mark mark = device::ReadMark(RowOf(x, x.count - input.logit_rows + i));
    row[s.chosen[i]] = 0;
    s.chosen[i] = mark % row.size();
    row[s.chosen[i]] = kChosenLogit;
  }
  return StageOutput{{}, logits.values()};
}

}  // namespace

Result<std::unique_ptr<ForwardPass>> MakePhantomPass(const Model& model, LayerRange layers,
                                                     const StageOptions& options,
                                                     uint64_t weight_bytes) {
  const ModelSpec& spec = model.spec();
  BATON_RETURN_IF_ERROR(PhantomDevice::CheckShape(
      {.kv_heads = spec.n_kv_heads, .head_dim = spec.head_dim, .latent = spec.latent.kv_rank}));
  if (spec.hidden_width < device::kMarkElements) {
    return MakeError(Code::kInvalidArgument, "a phantom needs activations of at least {} elements",
                     device::kMarkElements);
  }
  plan::StepCosts costs(*options.phantom, plan::CostOfModel(spec, model.tensors(), model.path()),
                        options.kv_type);
  return std::unique_ptr<ForwardPass>(
      std::make_unique<PhantomPass>(spec, layers, std::move(costs), weight_bytes));
}

}  // namespace baton::engine
