// Models as Hugging Face's hub has them, against what transformers computes from the same weights
// (tests/golden/hub, tools/golden/make_hub_golden.py).
#include <bit>
#include <cmath>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "engine/stage.h"
#include "kernels/reference/table.h"
#include "kernels/select.h"
#include "kernels/to_floats.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "os/file.h"

namespace baton::engine {
namespace {

std::string FolderOf(std::string_view name) {
  return fmt::format("{}/tests/golden/hub/{}", BATON_SOURCE_DIR, name);
}

// What products with the stored weights cost: nothing in F32, the rounding of activations to BF16
// where weights are 16 bits, and to 8 bits where they are fewer. The latter are norms of errors
// that differ from sum to sum; twice what the models show.
struct Named {
  std::string_view name;
  double tolerance;
};
constexpr double kFloat = 3e-4, kBrain = 1.5e-2, kInt8 = 9e-2;
constexpr Named kModels[] = {
    {"llama-f32-sharded", kFloat},
    {"llama-f32-biased", kFloat},
    {"mistral-f32-window", kFloat},
    {"mixtral-f32", kFloat},
    {"qwen2-bf16-yarn", kBrain},
    {"qwen3-f16", kBrain},
    {"qwen3moe-bf16", kBrain},
    {"qwen3moe-f32", kFloat},
    {"phi3-f32", kFloat},
    {"gemma2-f32", kFloat},
    {"gemma3-bf16", kBrain},
    {"gpt-oss-mxfp4", kInt8},
    {"mistral-fp8", kBrain},
    {"llama-mlx4", kInt8},
    {"qwen3-mlx8", kInt8},
    {"qwen3moe-mlx4", kInt8},
    {"deepseek2-f32", kFloat},
    {"deepseek3-fp8", kBrain},
    {"qwen3moe-f32-mixed", kFloat},
    {"gemma2-f32-biased", kFloat},
    {"gemma3-f32-wide", kFloat},
    {"gpt-oss-f32", kFloat},
    {"deepseek3-f32-halves", kFloat},
    {"gemma3-wrapped", kFloat},
    {"mistral3-wrapped", kBrain},
    {"phi3-f32-long", kFloat},
    {"mixtral-mlx4", kInt8},
    {"qwen3moe-fp8", kBrain},
    {"gpt-oss-mlx", kInt8},
    {"ministral3-f32", kFloat},
    {"deepseek3-mlx4", kInt8},
    {"ministral3-fp8-tensor", kBrain},
    {"qwen3moe-fp8-rows", kBrain},
};

class Hub : public testing::TestWithParam<Named> {
 protected:
  void SetUp() override {
    const std::string folder = FolderOf(GetParam().name);
    auto opened = Model::Open(folder);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    model_ = *opened;
    golden_ = boost::json::parse(os::ReadFile(folder + "/golden.json").value());
  }
  std::shared_ptr<const Model> model_;
  boost::json::value golden_;
};

INSTANTIATE_TEST_SUITE_P(Models, Hub, testing::ValuesIn(kModels), [](const auto& info) {
  std::string name(info.param.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

template <typename T>
std::vector<T> Numbers(const boost::json::value& array) {
  return boost::json::value_to<std::vector<T>>(array);
}

// Logits of the last of `tokens`, computed by stages that are cut at `cuts`.
std::vector<float> Logits(const Model& model, std::span<const TokenId> tokens,
                          std::vector<int> cuts) {
  cuts.push_back(model.spec().n_layers);
  const auto device = device::MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 2});
  std::vector<float> activations;
  int first = 0;
  for (const int last : cuts) {
    const auto stage = Stage::Load(model, {first, last}, *device, {}).value();
    Workspace workspace = stage->NewWorkspace().value();
    kv::Sequence sequence(stage->pool());
    sequence.SetTextTokens(static_cast<int>(tokens.size()));
    NoHooks hooks;
    const bool is_last = last == model.spec().n_layers;
    const auto output = stage->Run({.layers = {first, last},
                                    .first_position = 0,
                                    .tokens = first == 0 ? tokens : std::span<const TokenId>(),
                                    .activations = activations,
                                    .logit_rows = is_last ? 1 : 0},
                                   sequence, workspace, hooks);
    CHECK(output.ok(), "{}", output.error().message());
    const auto values = is_last ? output->logits : output->activations;
    activations.assign(values.begin(), values.end());
    first = last;
  }
  return activations;
}

double RelativeError(std::span<const float> ours, const std::vector<double>& theirs) {
  CHECK(ours.size() == theirs.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
    norm += theirs[i] * theirs[i];
  }
  return std::sqrt(difference / norm);
}

TEST_P(Hub, LogitsAreThoseOfTransformers) {
  for (const auto& golden : golden_.at("cases").as_array()) {
    const auto logits = Logits(*model_, Numbers<TokenId>(golden.at("prompt")), {});
    const double error = RelativeError(logits, Numbers<double>(golden.at("logits_f16_kv")));
    EXPECT_LT(error, GetParam().tolerance);
  }
}

TEST_P(Hub, StagesCutAnywhereGiveTheSameBits) {
  const auto prompt = Numbers<TokenId>(golden_.at("cases").at(1).at("prompt"));
  const auto whole = Logits(*model_, prompt, {});
  for (int cut = 1; cut < model_->spec().n_layers; ++cut)
    EXPECT_EQ(Logits(*model_, prompt, {cut}), whole) << cut;
}

// ---- every module's last row, to the last bit ----

struct Renamed {
  std::string_view hub, gguf;
};
// Written down again, as the models' papers and converters have it, not as architectures.cc does.
constexpr Renamed kNames[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"input_layernorm.weight", "attn_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.qkv_proj.weight", "attn_qkv.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"mlp.gate_proj.bias", "ffn_gate.bias"},
    {"mlp.up_proj.bias", "ffn_up.bias"},
    {"mlp.down_proj.bias", "ffn_down.bias"},
    {"mlp.gate_up_proj.weight", "ffn_up.weight"},
    {"mlp.gate.weight", "ffn_gate_inp.weight"},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight"},
    {"gate_proj.weight", "ffn_gate_exps.weight"},
    {"up_proj.weight", "ffn_up_exps.weight"},
    {"down_proj.weight", "ffn_down_exps.weight"},
    {"w1.weight", "ffn_gate_exps.weight"},
    {"w3.weight", "ffn_up_exps.weight"},
    {"w2.weight", "ffn_down_exps.weight"},
};

// Of Gemma and gpt-oss, where they differ.
constexpr Renamed kOwnNames[] = {
    {"post_attention_layernorm.weight", "post_attention_norm.weight"},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
    {"mlp.router.weight", "ffn_gate_inp.weight"},
    {"mlp.router.bias", "ffn_gate_inp.bias"},
    {"self_attn.sinks", "attn_sinks.weight"},
};
constexpr Renamed kDeepSeekNames[] = {
    {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
    {"self_attn.kv_b_proj.weight", "attn_kv_b.weight"},
    {"self_attn.q_a_proj.bias", "attn_q_a.bias"},
    {"self_attn.kv_a_proj_with_mqa.bias", "attn_kv_a_mqa.bias"},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
};

struct OursAndExpert {
  std::string name;
  int64_t expert = 0;
};
OursAndExpert OursOf(std::string name, Family family) {
  OursAndExpert ours;
  constexpr std::string_view kLayer = "model.layers.";
  std::string prefix;
  if (name.starts_with(kLayer)) {  // all have one digit
    prefix = fmt::format("blk.{}.", name[kLayer.size()]);
    name = name.substr(kLayer.size() + 2);
  }
  const size_t experts = name.find(".experts.");
  if (experts != std::string::npos) {
    ours.expert = name[experts + 9] - '0';
    name = name.substr(experts + 11);
  }
  for (const Renamed& renamed : kNames) {
    if (renamed.hub == name) ours.name = prefix + std::string(renamed.gguf);
  }
  for (const Renamed& renamed : kDeepSeekNames) {
    if (family == Family::kDeepSeek && renamed.hub == name)
      ours.name = prefix + std::string(renamed.gguf);
  }
  for (const Renamed& renamed : kOwnNames) {
    if (family != Family::kLlama && family != Family::kDeepSeek && renamed.hub == name)
      ours.name = prefix + std::string(renamed.gguf);
  }
  return ours;
}

TEST_P(Hub, RowsAreWhatTheFilesMean) {
  size_t seen = 0;
  for (const auto& member : golden_.at("rows").as_object()) {
    OursAndExpert ours = OursOf(std::string(member.key()), model_->spec().family);
    const LatentSpec& latent = model_->spec().latent;
    if (latent.split_heads && ours.name.ends_with("attn_kv_b.weight"))  // its last row
      ours = {ours.name.replace(ours.name.find("kv_b"), 4, "v_b"), model_->spec().n_heads - 1};
    if (ours.name == "output.weight" && model_->spec().tied_embeddings) continue;
    const auto tensor = model_->Tensor(ours.name);
    ASSERT_TRUE(tensor.ok()) << member.key();
    const int64_t row = (ours.expert + 1) * tensor->shape[1] - 1;
    Bytes bytes(tensor->row_bytes());
    ASSERT_TRUE(model_->ReadRows(*tensor, row, 1, bytes).ok());
    const TensorView view{tensor->type, {tensor->cols(), 1, 1, 1}, bytes.data(), 0, bytes.size()};
    const auto floats = kernels::ToFloats(kernels::kReferenceTable, view);
    const auto expected = Numbers<double>(member.value());
    ASSERT_EQ(floats.size(), expected.size()) << member.key();
    const bool offset =
        model_->spec().family == Family::kGemma && ours.name.find("norm.") != std::string::npos;
    for (size_t i = 0; i < floats.size(); ++i)
      ASSERT_EQ(floats[i], static_cast<float>(expected[i]) + (offset ? 1.0f : 0.0f))
          << member.key() << " column " << i;
    ++seen;
  }
  EXPECT_GT(seen, 8u);
}

// Reading all rows at once, and across experts, gives what reading them one by one gives.
TEST_P(Hub, RowsAreTheSameHoweverTheyAreRead) {
  for (const TensorInfo& tensor : model_->tensors()) {
    Bytes whole(tensor.size_bytes), single(tensor.size_bytes);
    ASSERT_TRUE(model_->ReadRows(tensor, 0, tensor.rows(), whole).ok());
    for (int64_t row = 0; row < tensor.rows(); ++row) {
      const auto into = std::span(single).subspan(static_cast<size_t>(row) * tensor.row_bytes(),
                                                  tensor.row_bytes());
      ASSERT_TRUE(model_->ReadRows(tensor, row, 1, into).ok());
    }
    EXPECT_EQ(whole, single) << tensor.name;
  }
}

TEST_P(Hub, TokenizerTemplateAndSamplingComeFromTheFolder) {
  const Tokenizer& tokenizer = model_->tokenizer();
  const auto tokens = tokenizer.Encode("the rain and the sun");
  ASSERT_TRUE(tokens.ok()) << tokens.error().message();
  EXPECT_EQ(tokenizer.Decode(*tokens), "the rain and the sun");
  EXPECT_EQ(tokenizer.end_of_generation().size(), 2u);
  EXPECT_THAT(model_->chat_templates().standard, testing::HasSubstr("m.role"));
  EXPECT_EQ(model_->spec().sampling,
            (SamplingChoice{.temperature = 0.7f, .top_k = 40, .top_p = 0.9f}));
  EXPECT_EQ(model_->fingerprint().size(), 64u);
}

}  // namespace
}  // namespace baton::engine
