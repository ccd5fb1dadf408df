#include "model/model.h"

#include <cmath>
#include <filesystem>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "model/chat_template/chat_template.h"
#include "model/gguf/reader.h"
#include "model/spec_reader.h"
#include "model/testing/float_copy.h"
#include "model/testing/hub_folder.h"
#include "model/testing/scratch_file.h"
#include "model/testing/small_model.h"

namespace baton {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const SmallModel& small) {
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  return model.ok() ? "no error" : model.error().message();
}

TEST(Model, OpensAndDescribes) {
  const ScratchFile scratch(SmallModel().File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  const ModelSpec& spec = (*model)->spec();
  EXPECT_EQ(spec.n_layers, 2);
  EXPECT_EQ(spec.head_dim, 8);
  EXPECT_EQ(spec.kv_width(), 16);
  EXPECT_EQ(spec.rope.dimensions, 8);
  EXPECT_TRUE(spec.rope.divisors.empty());
  EXPECT_FALSE(spec.tied_embeddings);
  EXPECT_EQ(spec.KvBytesPerTokenPerLayer(), 64u);
  // Two norms, Q and output, K and V, three of the feed-forward.
  const uint64_t layer = 4 * (32 + 32 + 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64);
  EXPECT_EQ(spec.layer_weight_bytes, (std::vector<uint64_t>{layer, layer}));
  EXPECT_EQ(spec.TotalWeightBytes(), 2 * layer + 2 * 4 * 32 * 260 + 4 * 32);
  EXPECT_EQ(spec.FlopsPerTokenPerLayer(), 2.0 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64));
  EXPECT_EQ(spec.ProjectionFlopsPerToken(), 2.0 * (32 * 32 + 2 * 32 * 16));
  // Inputs of Q, output, feed-forward and its end; Q and K turn; K and V are cached.
  EXPECT_EQ(spec.ElementsPerTokenPerLayer(), 32 + 32 + 32 + 64 + 32 + 16 + 2 * 16);
  EXPECT_EQ((*model)->LayerTensor(1, "attn_k.weight")->rows(), 16);
  EXPECT_THAT((*model)->LayerTensor(2, "attn_k.weight").error().message(),
              HasSubstr("blk.2.attn_k"));
  EXPECT_EQ((*model)->fingerprint().size(), 64u);
}

TEST(Model, TiedHeadIsCountedOnce) {
  SmallModel small;
  small.tied = true;
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  const ModelSpec& spec = (*model)->spec();
  EXPECT_TRUE(spec.tied_embeddings);
  EXPECT_EQ(spec.head_bytes, spec.embedding_bytes + 4 * 32);
  EXPECT_EQ(spec.TotalWeightBytes(),
            2 * spec.layer_weight_bytes[0] + spec.embedding_bytes + 4 * 32);
}

// What it learned from: every mark of a turn is one token.
TEST(Model, TheShippedModelSeesItsControlTokens) {
  const auto model = Model::Open(fmt::format("{}/models/baton-demo.gguf", BATON_SOURCE_DIR));
  ASSERT_TRUE(model.ok()) << model.error().message();
  const auto chat_template = ChatTemplate::Parse((*model)->chat_templates().standard);
  ASSERT_TRUE(chat_template.ok());
  RenderInput input{.bos_token = "<|bos|>"};
  input.variables =
      boost::json::parse(R"({"messages": [{"role": "user", "content": "Hello"}]})").as_object();
  const auto tokens = (*model)->tokenizer().Encode(chat_template->Render(input).value());
  const auto token = [&](std::string_view piece) {
    return (*model)->tokenizer().vocabulary().Find(piece);
  };
  EXPECT_THAT(tokens.value(),
              testing::ElementsAre(token("<|bos|>"), token("<|user|>"), token("Hello"),
                                   token("<|end|>"), token("<|assistant|>")));
}

TEST(Model, SamplingAdviceIsReadWhereItMakesSense) {
  SmallModel small;
  small.more_floats = {{"general.sampling.temp", 0.25f}, {"general.sampling.top_p", 1.5f}};
  small.more_integers = {{"general.sampling.top_k", 20}};
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ((*model)->spec().sampling, (SamplingChoice{.temperature = 0.25f, .top_k = 20}));
}

// As llama.cpp's converter writes Ministral 3's.
TEST(Model, QueriesOfFarPositionsGrow) {
  SmallModel small;
  small.architecture = "mistral3";
  small.more_strings = {{"mistral3.rope.scaling.type", "yarn"}};
  small.more_integers = {{"mistral3.rope.scaling.original_context_length", 16}};
  small.more_floats = {{"mistral3.rope.scaling.factor", 16.0f},
                       {"mistral3.rope.scaling.yarn_log_multiplier", 1.0f},
                       {"mistral3.attention.temperature_scale", 0.1f}};
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ((*model)->spec().query_growth, (QueryGrowth{.factor = 0.1f, .tokens = 16}));
  EXPECT_FLOAT_EQ((*model)->spec().rope.magnitude, 1.0f);
  small.more_integers.emplace_back("mistral3.rope.dimension_count", 4);
  EXPECT_THAT(ErrorOf(small), HasSubstr("attention.temperature_scale': 4 of 8 elements turn"));
}

TEST(ModelHostile, SaysWhatIsWrong) {
  const auto with = [](auto change) {
    SmallModel small;
    change(small);
    return ErrorOf(small);
  };
  EXPECT_THAT(with([](auto& m) { m.architecture = "gemma"; }),
              HasSubstr("architecture 'gemma' is not supported; supported: llama"));
  EXPECT_THAT(with([](auto& m) { m.n_layers = 0; }), HasSubstr("llama.block_count' is 0"));
  EXPECT_THAT(with([](auto& m) { m.n_layers = 3; }),
              HasSubstr("'blk.2.attn_norm.weight' is missing"));
  EXPECT_THAT(with([](auto& m) { m.n_layers = 1; }), HasSubstr("llama of 1 layers"));
  EXPECT_THAT(with([](auto& m) { m.kv_heads = 3; }),
              HasSubstr("not a multiple of head_count_kv 3"));
  EXPECT_THAT(with([](auto& m) { m.ffn = 65; }), HasSubstr("blk.0.ffn_gate.weight' is 32x64x1x1"));
  EXPECT_THAT(with([](auto& m) { m.skip_tensor = "output_norm.weight"; }),
              HasSubstr("'output_norm.weight' is missing"));
  EXPECT_THAT(with([](auto& m) { m.extra_tensor = "blk.0.attn_q_norm.weight"; }),
              HasSubstr("'blk.0.attn_q_norm.weight' is not part of"));
  EXPECT_THAT(with([](auto& m) { m.extra_tensor = "blk.0.attn_q.bias"; }),
              HasSubstr("'blk.0.attn_k.bias' is missing"));
  EXPECT_THAT(with([](auto& m) {
                m.more_integers = {{"llama.expert_count", 8}};
              }),
              HasSubstr("llama.expert_used_count"));
  EXPECT_THAT(with([](auto& m) {
                m.more_integers = {{"llama.vocab_size", 8}};
              }),
              HasSubstr("llama.vocab_size is 8"));
  EXPECT_THAT(with([](auto& m) {
                m.more_strings = {{"llama.rope.scaling.type", "mystery"}};
              }),
              HasSubstr("'mystery' is not supported"));
  EXPECT_THAT(with([](auto& m) {
                m.more_integers = {{"llama.rope.dimension_count", 10}};
              }),
              HasSubstr("rope.dimension_count 10"));
  EXPECT_THAT(with([](auto& m) {
                m.more_integers = {{"tokenizer.ggml.eos_token_id", 260}};
              }),
              HasSubstr("eos_token_id' is 260, outside [0, 259]"));
  EXPECT_THAT(with([](auto& m) {
                m.more_integers = {{"tokenizer.ggml.bos_token_id", ~0u}};
              }),
              HasSubstr("bos_token_id' is 4294967295"));
}

TEST(Model, FingerprintFollowsMetadataAndWeights) {
  Bytes bytes = SmallModel().File();
  const auto fingerprint = [](const Bytes& file) {
    const ScratchFile scratch(file);
    return (*Model::Open(scratch.path()))->fingerprint();
  };
  const std::string original = fingerprint(bytes);
  EXPECT_EQ(fingerprint(bytes), original);
  bytes.back() ^= 1;  // past the first 4 KiB of the last tensor
  EXPECT_EQ(fingerprint(bytes), original);
  SmallModel renamed;
  renamed.more_strings = {{"tokenizer.chat_template", "{{ x }}"}};
  EXPECT_NE(fingerprint(renamed.File()), original);
  Bytes retrained = SmallModel().File();
  const ScratchFile scratch(retrained);
  const auto file = gguf::File::Open(scratch.path());
  retrained[file->header().Find("blk.1.ffn_up.weight")->file_offset] ^= 1;
  EXPECT_NE(fingerprint(retrained), original);
}

TEST(Model, ReadingAFileThatShrankFails) {
  const ScratchFile scratch(SmallModel().File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok());
  const TensorInfo tensor = (*model)->Tensor("output.weight").value();
  Bytes row(tensor.row_bytes());
  EXPECT_TRUE((*model)->ReadRows(tensor, 259, 1, row).ok());
  std::filesystem::resize_file(scratch.path(), 1000);
  const Status status = (*model)->ReadRows(tensor, 259, 1, row);
  EXPECT_EQ(status.error().code(), Code::kDataLoss);
}

TEST(Model, GoldenFilesOpenAsTheyWereMade) {
  const std::string folder = std::string(BATON_SOURCE_DIR) + "/tests/golden/";
  const auto spec = [&folder](const std::string& name) {
    const auto model = Model::Open(folder + name + ".gguf");
    CHECK(model.ok(), "{}", model.error().message());
    return (*model)->spec();
  };
  EXPECT_EQ(spec("gqa-untied").n_kv_heads, 2);
  EXPECT_TRUE(spec("tied-head64").tied_embeddings);
  EXPECT_EQ(spec("tied-head64").head_dim, 64);
  EXPECT_TRUE(spec("biased-mha").qkv_bias);
  EXPECT_TRUE(spec("biased-mha").attention_output_bias);
  EXPECT_TRUE(spec("biased-mha").ffn_bias);
  EXPECT_EQ(spec("linear-rope-head24").rope.divisors, std::vector<float>(12, 4.0f));
  // The stored divisors are those that the rule from metadata gives.
  const RopeSpec stored = spec("llama3-rope").rope;
  ASSERT_EQ(stored.divisors.size(), 8u);
  EXPECT_EQ(stored.divisors.front(), 1.0f);
  EXPECT_NEAR(stored.divisors.back(), 8.0f, 1e-5f);
}

TEST(Model, FamiliesDifferInWhatTheirFilesSay) {
  const auto spec = [](const std::string& name) {
    const auto model = Model::Open(std::string(BATON_SOURCE_DIR) + "/tests/golden/" + name);
    CHECK(model.ok(), "{}", model.error().message());
    return (*model)->spec();
  };
  EXPECT_TRUE(spec("qwen2.gguf").qkv_bias);
  EXPECT_TRUE(spec("qwen2.gguf").rope.halves);
  EXPECT_TRUE(spec("qwen3.gguf").qk_norm);
  EXPECT_EQ(spec("mistral-window.gguf").WindowOf(0), 40);
  EXPECT_EQ(spec("gqa-untied.gguf").WindowOf(0), 0);
  EXPECT_TRUE(spec("phi3.gguf").fused_qkv);
  EXPECT_EQ(spec("phi3.gguf").rope.dimensions, 12);
  const ModelSpec mixture = spec("mixtral.gguf");
  EXPECT_EQ(mixture.experts, (ExpertSpec{.count = 4, .used = 2, .ffn_width = 48}));
  EXPECT_EQ(mixture.FlopsPerTokenPerLayer(), 2.0 * 64 * (2 * 64 + 2 * 32 + 4 + 3 * 2 * 48));
  // Both experts of a token take its row and give one; and the router's input is another format.
  EXPECT_EQ(mixture.ElementsPerTokenPerLayer(),
            (64 + 64 + 2 * 32 + 64 + 32) + 2 * 64 + 2 * (2 * 64 + 48));
  const RopeSpec yarn = spec("qwen2-yarn.gguf").rope;
  EXPECT_FLOAT_EQ(yarn.magnitude, 1.0f + 0.1f * std::log(4.0f));
  EXPECT_FLOAT_EQ(yarn.divisors.front(), 1.0f);
  EXPECT_FLOAT_EQ(yarn.divisors.back(), 4.0f);
}

TEST(Model, LayersOfGemmaAndGptOssDiffer) {
  const auto spec = [](const std::string& name) {
    return Model::Open(BATON_SOURCE_DIR "/tests/golden/" + name + ".gguf").value()->spec();
  };
  const ModelSpec second = spec("gemma2");
  EXPECT_EQ(second.WindowOf(0), 40);
  EXPECT_EQ(second.WindowOf(1), 0);
  EXPECT_FLOAT_EQ(second.query_scale, 1 / std::sqrt(24.0f));
  EXPECT_EQ(second.embedding_scale, 8.0f);
  EXPECT_EQ(second.attention_softcap, 4.0f);
  const ModelSpec third = spec("gemma3");
  EXPECT_EQ(third.WindowOf(4), 36);
  EXPECT_EQ(third.WindowOf(5), 0);
  EXPECT_EQ(third.RopeOf(4).base, 1e4f);
  EXPECT_TRUE(third.RopeOf(4).divisors.empty());
  EXPECT_EQ(third.RopeOf(5).base, 1e6f);
  EXPECT_EQ(third.RopeOf(5).divisors, std::vector<float>(16, 8.0f));
  EXPECT_EQ(third.logit_softcap, 0.0f);
  const ModelSpec oss = spec("gpt-oss");
  EXPECT_EQ(oss.WindowOf(2), 40);
  EXPECT_EQ(oss.WindowOf(1), 0);
  EXPECT_EQ(oss.experts, (ExpertSpec{.count = 6, .used = 3, .ffn_width = 32}));
  // Once in 64 positions turns pair 3.115 of 16: the ramp from pair 0 ends there, not at pair 4.
  EXPECT_NEAR(oss.rope.divisors[1], 1 / (1 - (1 - 1 / 8.0) / 3.115), 1e-3);
}

TEST(Model, LatentsAndRoutersOfDeepSeek) {
  const auto spec = [](const std::string& name) {
    return Model::Open(BATON_SOURCE_DIR "/tests/golden/" + name + ".gguf").value()->spec();
  };
  const ModelSpec lite = spec("deepseek2-lite");
  EXPECT_EQ(lite.family, Family::kDeepSeek);
  EXPECT_EQ(
      lite.latent,
      (LatentSpec{
          .kv_rank = 32, .q_rank = 0, .unturned = 24, .value_dim = 20, .split_heads = false}));
  EXPECT_EQ(lite.head_dim, 32 + 16);
  EXPECT_EQ(lite.KvBytesPerTokenPerLayer(), 2u * (32 + 16));
  EXPECT_EQ(lite.experts.groups, 1);
  EXPECT_EQ(lite.experts.shared_width, 2 * 24);
  EXPECT_FALSE(lite.HasExperts(0));
  EXPECT_TRUE(lite.HasExperts(1));
  // Queries, latents and keys, two matrices of heads, output; one dense layer of three.
  const double attention = 64 * 4 * 40 + 64 * 48 + 4 * 32 * (24 + 20) + 4 * 20 * 64;
  const double dense = 3 * 64 * 80, mixed = 64 * (6 + 3 * 48 + 3 * 2 * 24);
  EXPECT_NEAR(lite.FlopsPerTokenPerLayer(), 2 * (attention + dense / 3 + mixed * 2 / 3), 1e-6);
  EXPECT_EQ(lite.ProjectionFlopsPerToken(), 2.0 * (64 * 4 * 40 + 64 * 48));
  const double around = 64 + 2 * 4 * 40 + 48 + 48 + 4 * 32 + 4 * 20;
  const double chosen = 2 * 64 + 2 * (2 * 64 + 24) + 48;
  EXPECT_NEAR(lite.ElementsPerTokenPerLayer(), around + (64 + 80) / 3.0 + chosen * 2 / 3, 1e-6);
  // Scores grow by the square of YaRN's magnitude, what turns by nothing.
  const double magnitude = 1 + 0.0707 * std::log(8.0);
  EXPECT_NEAR(lite.query_scale, magnitude * magnitude / std::sqrt(40.0), 1e-6);
  EXPECT_EQ(lite.rope.magnitude, 1.0f);
  const ModelSpec second = spec("deepseek2");
  EXPECT_TRUE(second.latent.split_heads);
  EXPECT_EQ(second.latent.q_rank, 40);
  EXPECT_FALSE(second.experts.normalized);
  EXPECT_EQ(second.experts.groups_used, 2);
  EXPECT_EQ(second.experts.scale, 2.5f);
  EXPECT_LT(second.active_parameters, second.parameters);
  const ModelSpec third = spec("deepseek3");
  EXPECT_EQ(third.experts.score, ExpertScore::kSigmoid);
  EXPECT_TRUE(third.experts.biased);
  EXPECT_TRUE(third.experts.normalized);
  EXPECT_FALSE(third.CheckKvType(KvType::kQ8_0).ok());
  EXPECT_TRUE(second.CheckKvType(KvType::kQ8_0).ok());
}

TEST(Model, NonsensicalLatentsAreRefused) {
  SmallModel small;
  small.architecture = "deepseek2";
  EXPECT_THAT(ErrorOf(small), HasSubstr("attention.kv_lora_rank"));
  small.more_integers = {{"deepseek2.attention.kv_lora_rank", 16},
                         {"deepseek2.attention.key_length", 8},
                         {"deepseek2.attention.value_length", 8},
                         {"deepseek2.rope.dimension_count", 8}};
  EXPECT_THAT(ErrorOf(small), HasSubstr("rope.dimension_count 8"));
  small.more_integers.back().second = 4;
  EXPECT_THAT(ErrorOf(small), HasSubstr("expert_count"));
  const size_t counted = small.more_integers.size();
  small.more_integers.insert(small.more_integers.end(), {{"deepseek2.expert_count", 6},
                                                         {"deepseek2.expert_used_count", 4},
                                                         {"deepseek2.expert_group_count", 3},
                                                         {"deepseek2.expert_group_used_count", 1}});
  EXPECT_THAT(ErrorOf(small), HasSubstr("expert_group_count 3"));
  small.more_integers.resize(counted + 2);
  EXPECT_THAT(ErrorOf(small), HasSubstr("blk.0.attn_"));
  small.more_integers.push_back({"deepseek2.expert_gating_func", 3});
  EXPECT_THAT(ErrorOf(small), HasSubstr("expert_gating_func 3"));
}

TEST(Model, WhichLayersHaveAWindowTheFileMaySay) {
  SmallModel small;
  small.more_integers = {{"llama.attention.sliding_window", 40},
                         {"llama.attention.sliding_window_pattern", 2}};
  const ScratchFile scratch(small.File());
  const ModelSpec spec = Model::Open(scratch.path()).value()->spec();
  EXPECT_EQ(spec.WindowOf(0), 40);
  EXPECT_EQ(spec.WindowOf(1), 0);
  small.more_integers.back().second = 0;
  EXPECT_THAT(ErrorOf(small), HasSubstr("sliding_window_pattern"));
}

TEST(Model, YarnThatStretchesNothingChangesNothing) {
  SmallModel small;
  small.more_strings = {{"llama.rope.scaling.type", "yarn"}};
  small.more_floats = {{"llama.rope.scaling.factor", 1e-9f}};
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ((*model)->spec().rope.magnitude, 1.0f);
}

TEST(Model, WhatYarnGrowsByMayBeSaid) {
  SmallModel small;
  small.more_strings = {{"llama.rope.scaling.type", "yarn"}};
  small.more_floats = {{"llama.rope.scaling.factor", 4.0f},
                       {"llama.rope.scaling.yarn_attn_factor", 1.25f}};
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ((*model)->spec().rope.magnitude, 1.25f);
}

// A golden model without one of its keys, all weights zero.
ModelSpec SpecWithout(std::string_view golden, std::string_view key) {
  const auto file =
      gguf::File::Open(fmt::format("{}/tests/golden/{}.gguf", BATON_SOURCE_DIR, golden)).value();
  gguf::HeaderBuilder header;
  for (const auto& entry : file.metadata().entries()) {
    if (entry.key != key) CopyEntry(entry, header);
  }
  for (const gguf::TensorInfo& info : file.header().tensors)
    header.AddTensor(info.name, info.type, info.shape);
  Bytes bytes = header.Build();
  const auto tensors = header.Tensors();
  bytes.resize(tensors.back().file_offset + tensors.back().size_bytes);
  const ScratchFile scratch(bytes);
  return ReadSpec(**Checkpoint::Open(scratch.path())).value();
}

// Files that were made of what transformers saves do not say it.
TEST(Model, ABiasForChoosingExpertsMeansSigmoids) {
  const ModelSpec spec = SpecWithout("deepseek3", "deepseek2.expert_gating_func");
  EXPECT_EQ(spec.experts.score, ExpertScore::kSigmoid);
  EXPECT_TRUE(spec.experts.biased);
  EXPECT_EQ(SpecWithout("deepseek2", "deepseek2.expert_gating_func").experts.score,
            ExpertScore::kSoftmax);
}

TEST(Model, WithoutAWindowNoLayerTurnsAsIfItHadOne) {
  EXPECT_TRUE(SpecWithout("gemma3", "x").IsWindowed(0));
  const ModelSpec spec = SpecWithout("gemma3", "gemma3.attention.sliding_window");
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    EXPECT_EQ(spec.WindowOf(layer), 0);
    EXPECT_EQ(spec.RopeOf(layer), spec.rope);
  }
}

TEST(Model, NumbersThatAreNotTrainedAreNoParameters) {
  const auto model = Model::Open(BATON_SOURCE_DIR "/tests/golden/llama3-rope.gguf");
  ASSERT_TRUE(model.ok()) << model.error().message();
  const ModelSpec& spec = (*model)->spec();
  const uint64_t layer = 64 + 2 * 64 * 64 + 2 * 64 * 16 + 64 + 3 * 64 * 64;
  EXPECT_EQ(spec.parameters, 4 * layer + 2 * 64 * 272 + 64);
}

TEST(Model, WithoutATokenizerItHasNoTexts) {
  const ScratchFolder folder;
  HubModel().WriteTo(folder);
  const auto model = Model::Open(folder.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  const Tokenizer& tokenizer = (*model)->tokenizer();
  EXPECT_EQ(tokenizer.kind(), "none");
  const auto encoded = tokenizer.Encode("a");
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(encoded.error().message(),
              HasSubstr("there is no tokenizer.json or tokenizer.model beside"));
  const std::vector<TokenId> tokens = {1, 2};
  EXPECT_EQ(tokenizer.Decode(tokens), "");
  EXPECT_FALSE(tokenizer.IsEndOfGeneration(1));
}

// As converters write Phi-3 with 128k tokens.
TEST(Model, PositionsOfLongTextsComeAsTensors) {
  const auto golden = Model::Open(BATON_SOURCE_DIR "/tests/golden/phi3-long.gguf");
  ASSERT_TRUE(golden.ok()) << golden.error().message();
  const ModelSpec& spec = (*golden)->spec();
  EXPECT_EQ(spec.rope.short_tokens, 64);
  EXPECT_EQ(spec.rope.divisors.size(), 6u);
  EXPECT_FLOAT_EQ(spec.rope.long_divisors[5], 7.5f);
  EXPECT_FLOAT_EQ(spec.rope.magnitude, std::sqrt(1 + std::log(8.0f) / std::log(64.0f)));
  EXPECT_FALSE(spec.TurnsLong(64));
  EXPECT_TRUE(spec.TurnsLong(65));
  SmallModel small;
  small.more_strings = {{"llama.rope.scaling.type", "longrope"}};
  EXPECT_THAT(ErrorOf(small), HasSubstr("rope.scaling.original_context_length"));
  small.more_integers = {{"llama.rope.scaling.original_context_length", 64}};
  EXPECT_THAT(ErrorOf(small), HasSubstr("rope.scaling.short_factors"));
}

TEST(Model, NonsensicalExpertsAreRefused) {
  SmallModel small;
  small.more_integers = {{"llama.expert_count", 4}, {"llama.expert_used_count", 5}};
  EXPECT_THAT(ErrorOf(small), HasSubstr("llama.expert_used_count"));
  small.more_integers = {{"llama.expert_count", 4}, {"llama.expert_used_count", 2}};
  EXPECT_THAT(ErrorOf(small), HasSubstr("blk.0.ffn_gate_inp.weight"));
  small.more_integers.push_back({"llama.expert_gating_func", 2});
  EXPECT_THAT(ErrorOf(small), HasSubstr("llama.expert_gating_func 2"));
  small.more_integers.back() = {"llama.expert_group_count", 2};
  EXPECT_THAT(ErrorOf(small), HasSubstr("llama.expert_group_count 2"));
}

TEST(Model, Llama3ScalingFromKeysMatchesItsRule) {
  SmallModel small;
  small.more_strings = {{"llama.rope.scaling.type", "llama3"}};
  small.more_integers = {{"llama.rope.scaling.original_context_length", 64}};
  const ScratchFile scratch(small.File());
  const auto model = Model::Open(scratch.path());
  ASSERT_TRUE(model.ok()) << model.error().message();
  const std::vector<float>& divisors = (*model)->spec().rope.divisors;
  ASSERT_EQ(divisors.size(), 4u);
  EXPECT_FLOAT_EQ(divisors[0], 1.0f) << "64 / 2 pi is 10.2 wavelengths: above 4, kept";
  // 1.0186 wavelengths fit: blended by (1.0186 - 1) / 3.
  EXPECT_NEAR(divisors[1], 1 / ((1 - 0.0062) / 8 + 0.0062), 0.01);
  EXPECT_FLOAT_EQ(divisors[3], 8.0f);
}

}  // namespace
}  // namespace baton
