// Logits with every weight type, against the same weights in F32 with exact attention: what
// rounding activations and keys costs stays within what their norms explain.
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "engine/stage.h"
#include "hub/synthetic_model.h"
#include "kernels/select.h"
#include "kernels/to_floats.h"
#include "model/model.h"
#include "model/testing/float_copy.h"
#include "model/testing/scratch_file.h"

namespace baton {
namespace {

constexpr int kPromptTokens = 150;

std::vector<float> LogitsOf(const std::string& path, const kernels::KernelTable& table,
                            KvType kv_type) {
  const auto model = Model::Open(path).value();
  const auto device = device::MakeCpuDevice(table, {.threads = 2});
  const LayerRange layers{0, model->spec().n_layers};
  const auto stage = engine::Stage::Load(*model, layers, *device, {.kv_type = kv_type}).value();
  engine::Workspace workspace = stage->NewWorkspace().value();
  kv::Sequence sequence(stage->pool());
  engine::NoHooks hooks;
  std::vector<TokenId> prompt;
  for (int i = 0; i < kPromptTokens; ++i) {
    prompt.push_back((i * 37 + 11) % model->spec().vocab_size);
  }
  const engine::StageInput input{.layers = layers, .tokens = prompt, .logit_rows = 1};
  const auto output = stage->Run(input, sequence, workspace, hooks).value();
  return {output.logits.begin(), output.logits.end()};
}

// Relative error, by norms, of one product's operands: x is rounded, the weights are what they are.
// Of 32 values, the largest is some 2.5 times their root mean square, of 256 some 3 times; a step
// is 1/127 of it, and an error is spread evenly over a step. BF16 keeps 8 bits: no error is above
// 2^-9, and where weights of F16 are rounded as well, both together are below it by root mean
// square.
double OperandError(kernels::OperandKind kind) {
  switch (kind) {
    case kernels::OperandKind::kInt8:
      return 2.5 / 127 / std::sqrt(12.0);
    case kernels::OperandKind::kSuperInt8:
      return 3.0 / 127 / std::sqrt(12.0);
    case kernels::OperandKind::kBrain:
      return 0x1p-9;
    case kernels::OperandKind::kFloat:
      break;
  }
  return 0x1p-20;
}

// Queries, keys, weights and values in BF16; keys and values of Q8_0 before that.
double AttentionError(KvType type) {
  return 0x1p-8 + (type == KvType::kQ8_0 ? 2 * OperandError(kernels::OperandKind::kInt8) : 0);
}

// Errors of a layer's four products on the way, of its attention and of the head are independent. A
// softmax moves its weights by as much as the scores move, which are some units large: what arrives
// there may be tripled.
double Bound(int layers, kernels::OperandKind kind, KvType type) {
  const double products = std::sqrt(4.0 * layers + 1) * OperandError(kind);
  return 3 * (products + std::sqrt(2.0 * layers) * AttentionError(type));
}

double RelativeError(std::span<const float> ours, std::span<const float> exact) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    difference += std::pow(static_cast<double>(ours[i]) - exact[i], 2);
    norm += std::pow(static_cast<double>(exact[i]), 2);
  }
  return std::sqrt(difference / norm);
}

class Logits : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Types, Logits, testing::ValuesIn(hub::SyntheticTypes()),
                         [](const auto& info) { return info.param; });

TEST_P(Logits, AreNearThoseOfTheSameWeightsInF32) {
  const ScratchFile file, copy;
  hub::SyntheticOptions options;
  options.shape = hub::ParseShape("layers=3,hidden=512,heads=8,kv_heads=2,ffn=512").value();
  options.type = GetParam();
  ASSERT_TRUE(hub::WriteSyntheticModel(file.path(), options).ok());
  const kernels::KernelTable& reference = *kernels::SelectKernels("reference").value();
  const kernels::KernelTable& best = *kernels::SelectKernels("").value();
  WriteFloatCopy(file.path(), copy.path(),
                 [&](const TensorView& tensor) { return kernels::ToFloats(reference, tensor); });
  const auto exact = LogitsOf(copy.path(), best, KvType::kF16);
  kernels::OperandKind kind = kernels::OperandKind::kSuperInt8;  // of the mixtures
  if (const auto type = FindDTypeByName(GetParam())) {
    kind = kernels::MatrixKernelsOf(best, type->type)->operand;
  }
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    const double error = RelativeError(LogitsOf(file.path(), best, type), exact);
    EXPECT_LT(error, Bound(3, kind, type)) << NameOf(type);
    RecordProperty(std::string(NameOf(type)), fmt::format("{}", error));
  }
}

}  // namespace
}  // namespace baton
