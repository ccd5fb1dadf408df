#include "plan/balance.h"

#include <algorithm>
#include <tuple>

#include "plan/cost.h"

namespace baton::plan {
namespace {

LayerRange AllOf(const ModelCost& model) {
  return {0, model.n_layers()};
}

}  // namespace

double NeededFlopsPerByte(const ModelCost& model, const Workload& workload) {
  // Seconds of a device of one FLOP/s that reads for nothing, and of one byte/s that computes for
  // nothing.
  DeviceProfile one;
  constexpr double kFree = 1e30;
  one.rates = {{model.weight_type, 1, kFree}};
  one.attention_flops_per_s = 1;
  one.kv_read_bytes_per_s = kFree;
  Workload alone = workload;
  alone.concurrency = 1;
  const double flops = CostOf(one, model, AllOf(model), alone).prefill_whole_s;
  one.rates = {{model.weight_type, kFree, 1}};
  one.attention_flops_per_s = kFree;
  one.kv_read_bytes_per_s = 1;
  const double bytes =
      CostOf(one, model, AllOf(model), alone).decode_step_s * std::max(1, workload.answer_tokens);
  return flops / bytes;
}

std::vector<Balance> BalanceOf(const Catalogue& catalogue, const ModelCost& model,
                               const Workload& workload) {
  std::vector<Balance> all;
  const CostModel costs(model, workload);
  for (const CatalogueDevice& device : catalogue.devices()) {
    const DeviceProfile profile = ProfileOf(device, device.deratings.front());
    const StageCost cost = costs.CostOf(profile, AllOf(model));
    const double answer_s = cost.decode_step_s * std::max(1, workload.answer_tokens);
    Balance balance;
    balance.device = &device;
    balance.fits = cost.memory_bytes <= profile.memory_bytes;
    balance.memory_bytes = cost.memory_bytes;
    balance.prefill_tokens_per_s = workload.prompt_tokens / cost.prefill_whole_s;
    balance.decode_tokens_per_s = std::max(1, workload.concurrency) / cost.decode_step_s;
    balance.flops_per_byte =
        profile.rates.front().matmul_flops_per_s / profile.rates.front().read_bytes_per_s;
    balance.prefill_share = cost.prefill_whole_s / (cost.prefill_whole_s + answer_s);
    balance.kv_bytes_per_s =
        balance.prefill_tokens_per_s *
        static_cast<double>(model.KvBytesPerTokenPerLayer(workload.TravelType())) *
        model.SeenTokens(AllOf(model), workload.prompt_tokens) /
        std::max(1, workload.prompt_tokens);
    all.push_back(balance);
  }
  const auto total = [&](const Balance& each) {
    return workload.prompt_tokens / each.prefill_tokens_per_s +
           workload.answer_tokens / each.decode_tokens_per_s;
  };
  std::stable_sort(all.begin(), all.end(), [&](const Balance& a, const Balance& b) {
    return std::tuple(!a.fits, total(a)) < std::tuple(!b.fits, total(b));
  });
  return all;
}

}  // namespace baton::plan
