#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

#include "base/random.h"
#include "model/checkpoint.h"
#include "model/gguf/reader.h"
#include "model/safetensors/decode.h"
#include "model/safetensors/folder.h"
#include "model/safetensors/header.h"
#include "model/safetensors/json_scanner.h"
#include "model/safetensors/model_card.h"
#include "model/safetensors/row_reader.h"
#include "model/safetensors/tensor_map.h"
#include "model/spec_reader.h"
#include "model/testing/hub_folder.h"
#include "model/testing/scratch_file.h"
#include "tensor/blocks.h"
#include "tensor/half.h"

namespace baton::safetensors {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// ---- headers ----

std::string ErrorOfFile(std::string_view bytes) {
  const ScratchFile scratch(AsBytes(bytes));
  const auto file = File::Open(scratch.path());
  return file.ok() ? "no error" : file.error().message();
}

std::string ErrorOfHeader(const std::string& json, size_t data_bytes = 8) {
  return ErrorOfFile(WithLength(json, std::string(data_bytes, '\0')));
}

// One tensor "t" with these fields.
std::string Fields(const std::string& fields) {
  return R"({"t":{)" + fields + "}}";
}
std::string Field(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return Fields(fmt::format(R"("dtype":{},"shape":{},"data_offsets":{})", dtype, shape, offsets));
}

TEST(Header, IsReadAsItWasWritten) {
  const ScratchFile scratch(AsBytes(SafetensorsFile({{"b", "BF16", {2, 3}, std::string(12, 'x')},
                                                     {"a", "U8", {}, "y"},
                                                     {"c", "F8_E4M3", {0}, ""}})));
  const auto file = File::Open(scratch.path());
  ASSERT_TRUE(file.ok()) << file.error().message();
  ASSERT_EQ(file->tensors().size(), 3u);
  const StoredTensor& first = file->tensors()[0];
  EXPECT_EQ(first.name, "b");
  EXPECT_EQ(first.type, StoredType::kBF16);
  EXPECT_EQ(Describe(first), "2x3 BF16");
  EXPECT_EQ(first.offset, 8 + file->header_bytes().size());
  EXPECT_EQ(first.size_bytes, 12u);
  EXPECT_EQ(file->tensors()[1].dimensions, 0);
}

TEST(HeaderHostile, EveryFieldInTurn) {
  EXPECT_EQ(ErrorOfHeader(Field(R"("F32")", "[2]", "[0,8]")), "no error");
  EXPECT_EQ(ErrorOfHeader(Field(R"("F32")", "[1, 2]", "[0, 8]") + "   "), "no error");
  const auto is = [](const std::string& json, const std::string& what) {
    EXPECT_THAT(ErrorOfHeader(json), HasSubstr(what)) << json;
  };
  is("", "the JSON ends");
  is("[]", "'[' at byte 0 where '{' should be");
  is("{}", "the tensors end at 0, but there are 8 bytes");
  is("{} x", "'x' at byte 3 where the end");
  is(Field(R"("F33")", "[2]", "[0,8]"), "tensor 't': its type 'F33' is not supported");
  is(Field("7", "[2]", "[0,8]"), "where a string should be");
  is(Field(R"("F32")", "[3]", "[0,8]"), "3 elements of F32 do not make its 8 bytes");
  is(Field(R"("F32")", "[-2]", "[0,8]"), "'-' at byte");
  is(Field(R"("F32")", "[2.0]", "[0,8]"), "is not whole");
  is(Field(R"("F32")", "[2e0]", "[0,8]"), "is not whole");
  is(Field(R"("F32")", "2", "[0,8]"), "where '[' should be");
  is(Field(R"("F32")", "[18446744073709551616]", "[0,8]"), "above 2^64");
  is(Field(R"("F32")", "[4294967296,4294967296]", "[0,8]"), "too many elements");
  is(Field(R"("F32")", "[4611686018427387904]", "[0,8]"), "do not make its 8 bytes");
  is(Field(R"("F32")", "[2,1,1,1,1,1,1,1,1]", "[0,8]"), "more than 8 dimensions");
  is(Field(R"("F32")", "[2]", "[0,12]"), "ends at 12, but the file has only 8 bytes");
  is(Field(R"("F32")", "[2]", "[8,0]"), "data_offsets are 2 numbers, 8 and 0");
  is(Field(R"("F32")", "[2]", "[0]"), "data_offsets are 1 numbers");
  is(Field(R"("F32")", "[2]", "[0,8,8]"), "data_offsets are 3 numbers");
  is(Field(R"("F32")", "[1]", "[0,4]"), "the tensors end at 4, but there are 8 bytes");
  is(Field(R"("F32")", "[1]", "[4,8]"), "there is a gap");
  is(Fields(R"("dtype":"F32","shape":[2])"), "lacks dtype, shape or data_offsets");
  is(Fields(R"("dtype":"F32","dtype":"F32")"), "field 'dtype' is there twice");
  is(Fields(R"("color":3)"), "field 'color' is unknown");
  is(R"({"t":7})", "where '{' should be");
  is(R"({"":{}})", "a tensor name of 0 bytes");
  is(R"({"a\u0041":{}})", "has a backslash");
  is(R"({"a)", "does not end");
  is("{\"" + std::string(300, 'n') + "\":{}}", "a tensor name of 300 bytes");
  is(R"({"__metadata__":["a"]})", "where '{' should be");
  is(R"({"__metadata__":{"a":1}})", "where a string should be");
  is(R"({"__metadata__":{"a":"b\"c)", "the end of a string");
  const auto two = [](int begin, const std::string& name) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)"
                       R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},8]}}}})",
                       name, 8 - begin, begin);
  };
  EXPECT_EQ(ErrorOfHeader(two(4, "b")), "no error");
  is(two(2, "b"), "it overlaps another");
  is(two(6, "b"), "there is a gap");
  is(two(4, "a"), "'a' appears twice");
}

TEST(HeaderHostile, TheLengthOfTheHeader) {
  EXPECT_THAT(ErrorOfFile(""), HasSubstr("0 bytes are no safetensors file"));
  EXPECT_THAT(ErrorOfFile("1234567"), HasSubstr("7 bytes"));
  for (const uint64_t length : {uint64_t{9}, uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string bytes = WithLength("{}", "123456");
    std::memcpy(bytes.data(), &length, sizeof(length));
    EXPECT_THAT(ErrorOfFile(bytes), HasSubstr(fmt::format("a header of {} bytes", length)));
  }
}

TEST(HeaderHostile, FlippedBytesNeverCrash) {
  const std::string whole = SafetensorsFile(HubModel().Tensors());
  const size_t header_bytes = whole.find("} ") + 2;
  Rng rng(12);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i)
      damaged[8 + rng.Below(header_bytes - 8)] = static_cast<char>(rng.Below(256));
    (void)ParseHeader(std::string_view(damaged).substr(8, header_bytes - 8), damaged.size()).ok();
  }
}

// ---- folders ----

// That of opening a folder and reading what it means.
std::string ErrorOf(const ScratchFolder& folder) {
  const auto checkpoint = Checkpoint::Open(folder.path());
  if (!checkpoint.ok()) return checkpoint.error().message();
  const auto spec = ReadSpec(**checkpoint);
  return spec.ok() ? "no error" : spec.error().message();
}
std::string ErrorOf(const HubModel& model) {
  const ScratchFolder folder;
  model.WriteTo(folder);
  return ErrorOf(folder);
}
std::string ErrorWith(const std::string& more_config, const std::string& instead_of = "") {
  return ErrorOf(HubModel{.more_config = more_config, .skip_field = instead_of});
}

ModelSpec SpecWith(const std::string& more_config, const std::string& instead_of = "") {
  const ScratchFolder folder;
  HubModel{.more_config = more_config, .skip_field = instead_of}.WriteTo(folder);
  const auto checkpoint = Checkpoint::Open(folder.path());
  CHECK(checkpoint.ok(), "{}", checkpoint.error().message());
  const auto spec = ReadSpec(**checkpoint);
  CHECK(spec.ok(), "{}", spec.error().message());
  return *spec;
}

TEST(Folder, OpensByItsPathOrAFileInIt) {
  const ScratchFolder folder;
  HubModel().WriteTo(folder);
  for (const std::string end : {"", "/", "/config.json", "/model.safetensors"}) {
    const auto checkpoint = Checkpoint::Open(folder.path() + end);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message();
    EXPECT_EQ(ReadSpec(**checkpoint)->n_layers, 1);
  }
}

TEST(Folder, AChatTemplateMayBeInAnObject) {
  const ScratchFolder folder;
  HubModel().WriteTo(folder);
  const auto source = [&] {
    return std::string(Checkpoint::Open(folder.path()).value()->tokenizer_files()->chat_template);
  };
  EXPECT_EQ(source(), "");
  folder.Write("chat_template.json", R"({"chat_template": "{{ a }}"})");
  EXPECT_EQ(source(), "{{ a }}");
  folder.Write("chat_template.jinja", "{{ b }}");
  EXPECT_EQ(source(), "{{ b }}") << "the newer file goes first";
  folder.Write("chat_template.jinja", "");
  folder.Write("chat_template.json", R"({"chat_template": )");
  const auto broken = Checkpoint::Open(folder.path());
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.error().message(), HasSubstr("chat_template.json"));
}

TEST(Folder, ATemplateForToolsLiesInAFolderOfItsOwn) {
  const ScratchFolder folder;
  HubModel().WriteTo(folder);
  folder.Write("chat_template.jinja", "{{ a }}");
  const auto fingerprint = [&] { return Checkpoint::Open(folder.path()).value()->Fingerprint(); };
  const std::string without = fingerprint().value();
  ASSERT_TRUE(std::filesystem::create_directory(folder.path() + "/additional_chat_templates"));
  folder.Write("additional_chat_templates/tool_use.jinja", "{{ b }}");
  folder.Write("additional_chat_templates/rag.jinja", "{{ c }}");
  const auto files = Checkpoint::Open(folder.path()).value()->tokenizer_files();
  EXPECT_EQ(files->chat_template, "{{ a }}");
  EXPECT_EQ(files->tool_template, "{{ b }}");
  EXPECT_NE(fingerprint().value(), without);
}

TEST(FolderHostile, TruncatedAtEveryPercent) {
  const std::string config = HubModel().Config();
  const std::string weights = SafetensorsFile(HubModel().Tensors());
  for (size_t percent = 0; percent < 100; ++percent) {
    const ScratchFolder folder;
    folder.Write("config.json", config.substr(0, config.size() * percent / 100));
    folder.Write("model.safetensors", weights);
    EXPECT_NE(ErrorOf(folder), "no error") << percent << " % of config.json";
    folder.Write("config.json", config);
    folder.Write("model.safetensors", weights.substr(0, weights.size() * percent / 100));
    EXPECT_NE(ErrorOf(folder), "no error") << percent << " % of the weights";
  }
}

TEST(FolderHostile, FlippedBytesOfConfigNeverCrash) {
  const std::string config =
      HubModel{.more_config = R"("rope_scaling": {"type": "yarn", "factor": 4},
      "quantization": {"bits": 4, "group_size": 64, "a": {"bits": 8}}, )"}
          .Config();
  Rng rng(13);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = config;
    for (int i = 0; i < 2; ++i)
      damaged[rng.Below(damaged.size())] = static_cast<char>(rng.Below(256));
    (void)ReadConfig(damaged, damaged, "x").ok();
  }
}

TEST(FolderHostile, EveryFieldOfConfig) {
  EXPECT_EQ(ErrorOf(HubModel()), "no error");
  EXPECT_THAT(ErrorOf(HubModel{.architecture = "BertModel"}),
              AllOf(HasSubstr("architecture 'BertModel' is not supported"),
                    HasSubstr("LlamaForCausalLM, MistralForCausalLM")));
  EXPECT_THAT(ErrorWith("", "architectures"), HasSubstr("'architectures' is missing"));
  EXPECT_THAT(ErrorWith(R"("architectures": [], )", "architectures"), HasSubstr("an array"));
  EXPECT_THAT(ErrorWith(R"("architectures": ["a", "b"], )", "architectures"),
              HasSubstr("an array"));
  for (const std::string field : {"num_hidden_layers", "hidden_size", "intermediate_size",
                                  "max_position_embeddings", "num_attention_heads"}) {
    for (const std::string value : {"-1", "1.5", "\"x\"", "[]", "{}", "true", "4294967296", "1e3"})
      EXPECT_THAT(ErrorWith(fmt::format("\"{}\": {}, ", field, value), field),
                  HasSubstr(fmt::format("field '{}' is", field)))
          << value;
    EXPECT_NE(ErrorWith(fmt::format("\"{}\": 0, ", field), field), "no error");
    EXPECT_NE(ErrorWith("", field), "no error") << field;
  }
  EXPECT_THAT(ErrorWith("\"rms_norm_eps\": \"x\", ", "rms_norm_eps"), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(ErrorWith("\"rms_norm_eps\": 1e300, ", "rms_norm_eps"), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(ErrorWith("\"num_key_value_heads\": 3, ", "num_key_value_heads"), HasSubstr("3"));
  EXPECT_THAT(ErrorWith("\"vocab_size\": 300, ", "vocab_size"), HasSubstr("vocab_size is 300"));
  EXPECT_THAT(ErrorWith("\"hidden_act\": \"gelu\", ", "hidden_act"),
              HasSubstr("field 'hidden_act' is \"gelu\"; supported: silu"));
  EXPECT_THAT(ErrorWith("\"partial_rotary_factor\": 1.5, "), HasSubstr("1.5, outside (0, 1]"));
  EXPECT_THAT(ErrorWith("\"tie_word_embeddings\": 1, "), HasSubstr("not true or false"));
  EXPECT_THAT(ErrorWith("\"num_experts\": 4, \"num_local_experts\": 5, "),
              HasSubstr("'num_experts' is 4, but 5 by another name"));
  EXPECT_THAT(ErrorWith("\"quantization_config\": {\"quant_method\": \"gptq\"}, "),
              HasSubstr("quantised by 'gptq' are not supported; supported: fp8, fbgemm_fp8, "
                        "compressed-tensors and modelopt of fp8, mxfp4, MLX"));
  EXPECT_THAT(ErrorWith("\"quantization\": {\"bits\": 3, \"group_size\": 64}, "),
              HasSubstr("by 3 bits in groups of 64"));
  EXPECT_THAT(ErrorWith("\"quantization\": {\"bits\": 4, \"group_size\": 48}, "),
              HasSubstr("by 4 bits in groups of 48"));
  EXPECT_THAT(
      ErrorWith("\"quantization\": {\"bits\": 4, \"group_size\": 32, \"mode\": \"nvfp4\"}, "),
      HasSubstr("mode 'nvfp4'"));
  EXPECT_THAT(
      ErrorWith("\"quantization\": {\"bits\": 4, \"group_size\": 64, \"mode\": \"mxfp4\"}, "),
      HasSubstr("in groups of 64, mode 'mxfp4'"));
}

TEST(FolderHostile, F8InConfig) {
  const auto with = [](const std::string& fields) {
    return ErrorWith("\"quantization_config\": {" + fields + "}, ");
  };
  EXPECT_EQ(with(R"("quant_method": "fp8")"), "no error");
  EXPECT_EQ(with(R"("quant_method": "fp8", "weight_block_size": null)"), "no error");
  EXPECT_EQ(with(R"("quant_method": "fp8", "weight_block_size": [1, 64])"), "no error");
  for (const std::string block : {"[]", "[128]", "[0, 128]", "[128, -1]", "[128, 65537]",
                                  "[1.5, 2]", "[1, 2, 3]", "7", "{}", "\"128x128\""})
    EXPECT_THAT(with(R"("quant_method": "fp8", "weight_block_size": )" + block),
                HasSubstr("fp8 with a weight_block_size of "))
        << block;
  EXPECT_THAT(with(R"("quant_method": "fp8", "fmt": "e5m2")"), HasSubstr("'fmt' is \"e5m2\""));
  EXPECT_EQ(with(R"("quant_method": "fbgemm_fp8")"), "no error");
  EXPECT_EQ(with(R"("quant_method": "modelopt", "quant_algo": "FP8")"), "no error");
  EXPECT_THAT(with(R"("quant_method": "modelopt", "quant_algo": "NVFP4")"),
              HasSubstr("'quant_algo' is 'NVFP4'; supported: FP8"));
}

TEST(FolderHostile, CompressedTensorsInConfig) {
  const auto groups = [](const std::string& groups, const std::string& more = "") {
    return ErrorWith(R"("quantization_config": {"quant_method": "compressed-tensors", )" + more +
                     R"("format": "float-quantized", "config_groups": )" + groups + "}, ");
  };
  const auto weights = [&](const std::string& fields) {
    return groups(R"({"group_0": {"weights": {)" + fields + "}}}");
  };
  const std::string f8 = R"("type": "float", "num_bits": 8)";
  EXPECT_EQ(weights(f8), "no error");
  EXPECT_EQ(weights(f8 + R"(, "strategy": "tensor", "symmetric": true)"), "no error");
  EXPECT_EQ(weights(f8 + R"(, "strategy": "channel")"), "no error");
  EXPECT_EQ(weights(f8 + R"(, "strategy": "block", "block_structure": [128, 128])"), "no error");
  EXPECT_THAT(weights(f8 + R"(, "strategy": "block")"), HasSubstr("a block_structure of null"));
  EXPECT_THAT(weights(f8 + R"(, "strategy": "group")"), HasSubstr("'strategy' is \"group\""));
  EXPECT_THAT(weights(f8 + R"(, "symmetric": false)"), HasSubstr("with 8 asymmetric bits"));
  EXPECT_THAT(weights(R"("num_bits": 8)"), HasSubstr("with 8 bits of type 'int'"));
  EXPECT_THAT(weights(R"("type": "float", "num_bits": 4)"), HasSubstr("with 4 bits"));
  EXPECT_THAT(groups("{}"), HasSubstr("'config_groups' names no weights"));
  EXPECT_THAT(groups("7"), HasSubstr("'config_groups' is 7, not an object"));
  EXPECT_THAT(groups(R"({"a": {"weights": null}})"), HasSubstr("names no weights"));
  EXPECT_THAT(groups(R"({"a": {"format": "pack-quantized", "weights": {)" + f8 + "}}}"),
              HasSubstr("of format 'pack-quantized'"));
  EXPECT_THAT(groups("{}", R"("sparsity_config": {"format": "sparse-24-bitmask"}, )"),
              HasSubstr("'sparsity_config' is \"sparse-24-bitmask\"; supported: dense"));
  const std::string block = R"("strategy": "block", "block_structure": )";
  EXPECT_THAT(groups(R"({"a": {"weights": {)" + f8 + ", " + block + R"([128, 128]}},
                         "b": {"weights": {)" +
                     f8 + ", " + block + "[64, 128]}}}"),
              HasSubstr("blocks of 128x128 in one of 'config_groups' and of 64x128"));
}

TEST(Config, Positions) {
  EXPECT_THAT(ErrorWith(R"("rope_scaling": {"rope_type": "mystery"}, )"),
              HasSubstr("rope type 'mystery' is not supported"));
  EXPECT_EQ(SpecWith(R"("rope_scaling": {"type": "dynamic", "factor": 2.0}, )").rope,
            SpecWith("").rope)
      << "the same up to max_position_embeddings";
  EXPECT_THAT(ErrorWith(R"("rope_scaling": [], )"), HasSubstr("'rope_scaling' is an array"));
  EXPECT_EQ(SpecWith(R"("rope_scaling": {"type": "linear", "factor": 4.0}, )").rope.divisors,
            std::vector<float>(4, 4.0f));
  EXPECT_EQ(
      SpecWith(R"("rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}, )").rope.base,
      5e5f);
  EXPECT_EQ(SpecWith("\"partial_rotary_factor\": 0.5, ").rope.dimensions, 4);
  EXPECT_TRUE(SpecWith("").rope.halves);
  const auto yarn = [](const std::string& more) {
    return SpecWith(R"("rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                        "original_max_position_embeddings": 32)" +
                    more + "}, ")
        .rope.magnitude;
  };
  EXPECT_FLOAT_EQ(yarn(""), 1 + 0.1f * std::log(4.0f));
  EXPECT_FLOAT_EQ(yarn(R"(, "attention_factor": 1.25)"), 1.25f);
  EXPECT_FLOAT_EQ(yarn(R"(, "mscale": 0.5, "mscale_all_dim": 1.0)"),
                  (1 + 0.05f * std::log(4.0f)) / (1 + 0.1f * std::log(4.0f)));
}

// What transformers makes of folders that say little, which differs from family to family.
TEST(Config, PositionsLeftOut) {
  const auto with = [](const std::string& architecture, const std::string& more) {
    const HubConfig read =
        ReadConfig(fmt::format(R"({{"architectures": ["{}"], {}"max_position_embeddings": 256}})",
                               architecture, more),
                   "", "")
            .value();
    const auto header = gguf::ParseHeader(read.metadata, read.metadata.size()).value();
    const std::string prefix = std::string(read.architecture->gguf) + ".rope.";
    return fmt::format(
        "{} {} {} {}", header.metadata.StringOr(prefix + "scaling.type", "none").value(),
        header.metadata.NumberOr(prefix + "scaling.factor", 1).value(),
        header.metadata.NumberOr(prefix + "scaling.original_context_length", 0).value(),
        header.metadata.NumberOr(prefix + "freq_base", 0).value());
  };
  EXPECT_EQ(with("GptOssForCausalLM", ""), "yarn 32 4096 0");
  EXPECT_EQ(with("GptOssForCausalLM", R"("rope_theta": 1e5, "rope_scaling": null, )"),
            "yarn 32 4096 100000");
  EXPECT_EQ(with("GptOssForCausalLM", R"("rope_parameters": {"rope_theta": 1e5}, )"),
            "none 1 0 100000");
  EXPECT_EQ(with("MixtralForCausalLM", ""), "none 1 0 1000000");
  EXPECT_EQ(with("LlamaForCausalLM", ""), "none 1 0 0");
  const std::string older = R"("rope_scaling": {"type": "linear", "factor": 8}, )";
  EXPECT_EQ(with("LlamaForCausalLM", older), "linear 8 0 0");
  EXPECT_EQ(with("Gemma2ForCausalLM", older), "linear 8 0 0");
  EXPECT_EQ(with("Gemma3ForCausalLM", older), "none 1 0 0");
  EXPECT_EQ(with("Gemma3ForCausalLM", R"("rope_scaling": {"rope_type": "linear", "factor": 8}, )"),
            "linear 8 0 0");
}

TEST(Config, WhatIsLeftOutIsWhatTransformersTakesForGranted) {
  const auto with = [](const std::string& architecture, std::string_view key,
                       const std::string& more = "") {
    const auto read =
        ReadConfig(fmt::format(R"({{"architectures": ["{}ForCausalLM"], "hidden_size": 32,
                                    "num_hidden_layers": 30, "qk_nope_head_dim": 8,
                                    "qk_rope_head_dim": 8, {} "x": 0}})",
                               architecture, more),
                   "", "")
            .value();
    const auto header = gguf::ParseHeader(read.metadata, read.metadata.size()).value();
    return header.metadata.NumberOr(fmt::format("{}.{}", read.architecture->gguf, key), 0).value();
  };
  const std::string window = "attention.sliding_window";
  EXPECT_EQ(with("Llama", window), 0);
  EXPECT_EQ(with("Mistral", window), 4096);
  EXPECT_EQ(with("Mistral", window, R"("sliding_window": null, )"), 0);
  EXPECT_EQ(with("Mistral", window, R"("sliding_window": 7, )"), 7);
  EXPECT_EQ(with("Mixtral", window), 0);
  EXPECT_EQ(with("Qwen2", window), 0);
  EXPECT_EQ(with("Qwen2", window, R"("use_sliding_window": true, )"), 4096);
  EXPECT_EQ(with("Qwen3Moe", window, R"("use_sliding_window": true, )"), 4096);
  EXPECT_EQ(with("Gemma2", window), 4096);
  EXPECT_EQ(with("Gemma3", window), 4096);
  EXPECT_EQ(with("Gemma3", "attention.scale"), 1.0 / 16);
  EXPECT_EQ(with("GptOss", window), 128);
  EXPECT_EQ(with("DeepseekV3", "expert_weights_scale"), 2.5);
  EXPECT_EQ(with("DeepseekV3", "expert_group_used_count"), 4);
  EXPECT_EQ(with("DeepseekV3", "expert_weights_scale", R"("routed_scaling_factor": 1.5, )"), 1.5);
  EXPECT_EQ(with("DeepseekV2", "expert_weights_scale"), 0);
}

TEST(Config, LayersOfExperts) {
  const auto with = [](const std::string& more) {
    const auto read = ReadConfig(R"({"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 32,
                                     "num_hidden_layers": 4, )" +
                                     more + R"("x": 0})",
                                 "", "");
    if (!read.ok()) return read.error().message();
    const auto header = gguf::ParseHeader(read->metadata, read->metadata.size()).value();
    const auto flags = header.metadata.Array("qwen3moe.expert_layers", gguf::ValueType::kBool);
    std::string text;
    for (size_t i = 0; flags.ok() && i < flags->bytes.size(); ++i)
      text += flags->bytes[i] != 0 ? 'e' : 'd';
    return text;
  };
  EXPECT_EQ(with(""), "");
  EXPECT_EQ(with(R"("mlp_only_layers": [], "decoder_sparse_step": 1, )"), "");
  EXPECT_EQ(with(R"("decoder_sparse_step": 2, )"), "dede");
  EXPECT_EQ(with(R"("mlp_only_layers": [0, 3, 99], )"), "deed");
  EXPECT_EQ(with(R"("mlp_only_layers": [3], "decoder_sparse_step": 2, )"), "dedd");
  EXPECT_THAT(with(R"("mlp_only_layers": 1, )"), HasSubstr("'mlp_only_layers' is 1"));
  EXPECT_THAT(with(R"("mlp_only_layers": [-1], )"), HasSubstr("'mlp_only_layers' is -1"));
  EXPECT_THAT(with(R"("mlp_only_layers": ["0"], )"), HasSubstr("'mlp_only_layers' is \"0\""));
}

TEST(ModelCard, License) {
  EXPECT_EQ(LicenseIn("---\nlanguage: en\nlicense: apache-2.0\n---\n# A\n"), "apache-2.0");
  EXPECT_EQ(LicenseIn("---\r\nlicense: \"mit\"\r\n---\r\n"), "mit");
  EXPECT_EQ(LicenseIn("---\nlicense: other\nlicense_name: deepseek\n---\n"), "deepseek");
  EXPECT_EQ(LicenseIn("---\nlicense: other\n---\n"), "other");
  EXPECT_EQ(LicenseIn("# A\n---\nlicense: mit\n---\n"), "") << "not in front";
  EXPECT_EQ(LicenseIn("---\nlicense: mit\n"), "") << "never ends";
  EXPECT_EQ(LicenseIn("---\nlicense: [mit, gpl]\n---\n"), "");
  EXPECT_EQ(LicenseIn("---\nlicense: " + std::string(65, 'a') + "\n---\n"), "");
  EXPECT_EQ(LicenseIn(""), "");
  const ScratchFolder folder;
  HubModel().WriteTo(folder);
  folder.Write("README.md", "---\nlicense: llama3.2\n---\n");
  EXPECT_EQ(ReadSpec(**Checkpoint::Open(folder.path()))->license, "llama3.2");
}

// Phi-3's field names, old and new.
TEST(Config, PositionsOfLongTexts) {
  const auto rope = [](const std::string& outside, const std::string& inside) {
    return outside + R"("rope_scaling": {"type": "longrope", "short_factor": [1, 1.5, 2, 3],
                         "long_factor": [2.0, 4, 6, 8])" +
           inside + "}, ";
  };
  const std::string original = R"("original_max_position_embeddings": 16)";
  const RopeSpec read = SpecWith(rope(original + ", ", "")).rope;
  EXPECT_EQ(read.short_tokens, 16);
  EXPECT_EQ(read.divisors, (std::vector<float>{1, 1.5f, 2, 3}));
  EXPECT_EQ(read.long_divisors, (std::vector<float>{2, 4, 6, 8}));
  EXPECT_FLOAT_EQ(read.magnitude, std::sqrt(1 + std::log(8.0f) / std::log(16.0f)));
  EXPECT_EQ(SpecWith(rope("", ", " + original)).rope, read);
  EXPECT_FLOAT_EQ(SpecWith(rope(original + ", ", R"(, "attention_factor": 1.5)")).rope.magnitude,
                  1.5f);
  EXPECT_FALSE(SpecWith(rope(original + ", ", "")).TurnsLong(16));
  EXPECT_TRUE(SpecWith(rope(original + ", ", "")).TurnsLong(17));

  EXPECT_THAT(ErrorWith(rope("", "")), HasSubstr("'original_max_position_embeddings' is missing"));
  EXPECT_THAT(ErrorWith(rope(R"("original_max_position_embeddings": 1, )", "")),
              HasSubstr("'original_max_position_embeddings' is 1"));
  const auto with = [&](const std::string& factors) {
    return original + R"(, "rope_scaling": {"type": "longrope", "long_factor": [1, 1, 1, 1])" +
           factors + "}, ";
  };
  EXPECT_THAT(ErrorWith(with("")), HasSubstr("'short_factor' is missing"));
  EXPECT_THAT(ErrorWith(with(R"(, "short_factor": 3)")), HasSubstr("'short_factor' is 3"));
  EXPECT_THAT(ErrorWith(with(R"(, "short_factor": [1, "2", 1, 1])")),
              HasSubstr("not a list of numbers"));
  EXPECT_THAT(ErrorWith(with(R"(, "short_factor": [1, 1, 1])")),
              HasSubstr("has 3 elements for 4 pairs"));
  EXPECT_THAT(ErrorWith(with(R"(, "short_factor": [1, 0, 1, 1])")), HasSubstr("holds 0 at 1"));
}

// A text model in a wrapper is the text model, whatever else the wrapper has.
TEST(Config, TextModelsInWrappers) {
  const auto open = [](const std::string& config, const std::string& prefix,
                       bool head_outside) -> Result<ModelSpec> {
    const ScratchFolder folder;
    HubModel text{.more = {{"vision_tower.encoder.weight", "F16", {2}, std::string(4, '\0')}}};
    std::vector<StoredSpec> tensors = text.Tensors();
    for (StoredSpec& tensor : tensors) {
      if (tensor.name.starts_with("vision")) continue;
      const bool head = tensor.name.starts_with("lm_head");
      if (prefix == "language_model.")
        tensor.name = prefix + tensor.name;
      else if (!head || !head_outside)
        tensor.name = prefix + tensor.name.substr(head ? 0 : 6);
    }
    folder.Write("config.json", config);
    folder.Write("model.safetensors", SafetensorsFile(tensors));
    BATON_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(folder.path()));
    return ReadSpec(*checkpoint);
  };
  const auto wrapped = [](const std::string& text_config) {
    return R"({"architectures": ["Mistral3ForConditionalGeneration"], "vision_config": {},)" +
           text_config + "}";
  };
  const std::string text = "\"text_config\": " + HubModel().Config();
  const ModelSpec plain = SpecWith("");
  for (const auto& [prefix, outside] :
       {std::pair("language_model.", false), std::pair("model.language_model.", true)}) {
    auto spec = open(wrapped(text), prefix, outside);
    ASSERT_TRUE(spec.ok()) << spec.error().message();
    spec->name = plain.name;
    EXPECT_EQ(*spec, plain) << prefix;
  }
  EXPECT_THAT(open(wrapped("\"hidden_size\": 32"), "language_model.", false).error().message(),
              HasSubstr("'text_config' is missing"));
  EXPECT_THAT(open(wrapped("\"text_config\": 3"), "language_model.", false).error().message(),
              HasSubstr("'text_config' is 3"));
  EXPECT_THAT(open(wrapped(text), "audio_tower.", false).error().message(),
              HasSubstr("'audio_tower."));
}

TEST(Config, Windows) {
  EXPECT_EQ(SpecWith("").window, 0);
  EXPECT_EQ(SpecWith("\"sliding_window\": 16, ").window, 16);
  EXPECT_EQ(SpecWith("\"sliding_window\": null, ").window, 0);
  EXPECT_EQ(SpecWith("\"sliding_window\": 16, \"use_sliding_window\": false, ").window, 0);
  EXPECT_EQ(SpecWith("\"sliding_window\": 16, \"use_sliding_window\": true, "
                     "\"max_window_layers\": 1, ")
                .window,
            0);
  EXPECT_EQ(SpecWith(R"("sliding_window": 16, "layer_types": ["full_attention"], )").window, 0);
  EXPECT_EQ(SpecWith(R"("sliding_window": 16, "layer_types": ["sliding_attention"], )").window, 16);
  const std::string mixed =
      R"("sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"], )";
  EXPECT_THAT(ErrorWith(mixed), HasSubstr("not a list with an entry for each layer"));
  EXPECT_THAT(ErrorWith(R"("sliding_window": 16, "layer_types": ["chunked_attention"], )"),
              HasSubstr("\"chunked_attention\""));
}

TEST(FolderHostile, Tensors) {
  EXPECT_THAT(ErrorOf(HubModel{.skip_tensor = "lm_head.weight"}),
              HasSubstr("'lm_head.weight' is missing, and config.json does not tie it"));
  EXPECT_EQ(ErrorOf(HubModel{.more_config = "\"tie_word_embeddings\": true, ",
                             .skip_tensor = "lm_head.weight"}),
            "no error");
  EXPECT_EQ(ErrorWith("\"tie_word_embeddings\": true, "), "no error");
  EXPECT_THAT(ErrorOf(HubModel{.skip_tensor = "model.layers.0.self_attn.k_proj.weight"}),
              HasSubstr("'blk.0.attn_k.weight' is missing"));
  const auto with = [](StoredSpec spec) { return ErrorOf(HubModel{.more = {std::move(spec)}}); };
  const std::string four(4, '\0');
  EXPECT_THAT(with({"vision.weight", "F32", {1}, four}),
              HasSubstr("tensor 'vision.weight' is not part of a LlamaForCausalLM"));
  EXPECT_THAT(with({"model.layers.1.mlp.up_proj.weight", "F32", {1}, four}),
              HasSubstr("'model.layers.1.mlp.up_proj.weight' is not part of"));
  EXPECT_THAT(with({"model.layers.00.mlp.up_proj.weight", "F32", {1}, four}),
              HasSubstr("layers.00"));
  EXPECT_EQ(with({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}, four}), "no error");
  EXPECT_THAT(with({"model.layers.0.mlp.up_proj.scales", "F32", {1}, four}),
              HasSubstr("has scales or biases that its type does not"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.scales", "F32", {1}, four}),
              HasSubstr("belongs to no weight"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.weight", "I32", {1, 1}, four}),
              HasSubstr("(1x1 I32) is of a type that weights do not have"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.weight", "F8_E4M3", {2, 2}, four}),
              HasSubstr("has no weight_scale or weight_scale_inv"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.weight", "U32", {1, 1}, four}),
              HasSubstr("has no scales and biases"));
  EXPECT_THAT(with({"model.layers.0.mlp.experts.1.up_proj.weight", "F32", {1, 1}, four}),
              HasSubstr("has no expert 0 before it"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.weight", "F32", {1, 1, 1, 1}, four}),
              HasSubstr("is no matrix"));
  EXPECT_THAT(with({"model.layers.0.mlp.gate.weight", "F32", {0, 4}, ""}),
              HasSubstr("is not whole"));
  EXPECT_THAT(with({"model.layers.0.mlp.up_proj.bias", "F32", {64}, std::string(256, '\0')}),
              HasSubstr("'blk.0.ffn_up.bias' is not part of such a model"));
}

TEST(FolderHostile, NormsOfSixteenBitsBecomeFloats) {
  EXPECT_EQ(ErrorOf(HubModel{.dtype = "BF16"}), "no error");
  EXPECT_EQ(ErrorOf(HubModel{.dtype = "F16"}), "no error");
}

TEST(Index, NamesFilesOfItsFolderAlone) {
  const auto names = ShardNamesIn(
      R"({"metadata": {"total_size": 5},
          "weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors",
                         "c": "m-2.safetensors"}})");
  ASSERT_TRUE(names.ok()) << names.error().message();
  EXPECT_THAT(*names, ElementsAre("m-1.safetensors", "m-2.safetensors"));
  for (const std::string name : {"../m.safetensors", "/etc/passwd", "a/b.safetensors", "m.bin",
                                 ".safetensors", "a b.safetensors"})
    EXPECT_THAT(
        ShardNamesIn(fmt::format(R"({{"weight_map": {{"a": "{}"}}}})", name)).error().message(),
        HasSubstr("no file name of weights"))
        << name;
  EXPECT_THAT(ShardNamesIn("{}").error().message(), HasSubstr("names no file"));
  EXPECT_FALSE(ShardNamesIn(R"({"weight_map": {"a": 7}})").ok());
  EXPECT_FALSE(ShardNamesIn(R"({"weight_map": [)").ok());
  EXPECT_THAT(ShardNamesIn(R"({"a":)" + std::string(100, '[') + "}").error().message(),
              HasSubstr("nests more than"));
  EXPECT_THAT(ShardNamesIn(R"({"a":{"b":]}})").error().message(),
              HasSubstr("where a value should be"));
}

TEST(Folder, ShardsAreAllNeeded) {
  const ScratchFolder folder;
  folder.Write("config.json", HubModel().Config());
  std::string map;
  const auto tensors = HubModel().Tensors();
  for (size_t shard = 0; shard < 3; ++shard) {
    std::vector<StoredSpec> mine;
    for (size_t i = shard; i < tensors.size(); i += 3) {
      mine.push_back(tensors[i]);
      map += fmt::format(R"({}"{}": "m-{}.safetensors")", map.empty() ? "" : ",", tensors[i].name,
                         shard);
    }
    folder.Write(fmt::format("m-{}.safetensors", shard), SafetensorsFile(mine));
  }
  folder.Write("model.safetensors.index.json", R"({"weight_map": {)" + map + "}}");
  EXPECT_EQ(ErrorOf(folder), "no error");
  std::filesystem::rename(folder.path() + "/m-1.safetensors", folder.path() + "/other.safetensors");
  EXPECT_THAT(ErrorOf(folder), HasSubstr("m-1.safetensors"));
  folder.Write("m-1.safetensors",
               SafetensorsFile({tensors[0], tensors[1], tensors[4], tensors[7]}));
  EXPECT_THAT(ErrorOf(folder), HasSubstr("and another are the same to us"));
}

// ---- stored types ----

TEST(Decode, F8) {
  EXPECT_EQ(FromF8E4M3(0x00), 0.0f);
  EXPECT_EQ(FromF8E4M3(0x01), 0x1p-9f);
  EXPECT_EQ(FromF8E4M3(0x08), 0x1p-6f);
  EXPECT_EQ(FromF8E4M3(0x38), 1.0f);
  EXPECT_EQ(FromF8E4M3(0xb9), -1.125f);
  EXPECT_EQ(FromF8E4M3(0x7e), 448.0f);
  EXPECT_TRUE(std::isnan(FromF8E4M3(0x7f)));
  EXPECT_TRUE(std::isnan(FromF8E4M3(0xff)));
}

TEST(Decode, Mxfp4KeepsNumbersWhereGgufPutsThem) {
  Bytes blocks(16), into(sizeof(BlockMXFP4));
  for (size_t j = 0; j < 16; ++j) blocks[j] = static_cast<uint8_t>((2 * j & 15) | (2 * j + 1) << 4);
  DecodeMxfp4(blocks, Bytes{122}, into);
  BlockMXFP4 block;
  std::memcpy(&block, into.data(), sizeof(block));
  EXPECT_EQ(block.e, 122);
  for (size_t i = 0; i < 32; ++i) {
    const int nibble = i < 16 ? block.q[i] & 15 : block.q[i - 16] >> 4;
    EXPECT_EQ(nibble, static_cast<int>(i & 15)) << i;
  }
}

TEST(Decode, MlxScalesOfBf16StayAsTheyAre) {
  const MlxFormat format{.bits = 4, .group_size = 64, .scales = ScaleType::kBF16};
  Bytes words(64, 0x21), scales(4), biases(4), into(4 * sizeof(BlockMlx4));
  const uint16_t tiny = ToBrain(0x1p-40f), huge = ToBrain(0x1p40f);
  std::memcpy(scales.data(), &tiny, 2);
  std::memcpy(scales.data() + 2, &huge, 2);
  DecodeMlx(format, words, scales, biases, into);
  BlockMlx4 blocks[4];
  std::memcpy(blocks, into.data(), sizeof(blocks));
  EXPECT_EQ(blocks[1].d, tiny);
  EXPECT_EQ(blocks[2].d, huge);
  EXPECT_EQ(blocks[0].q[0], 0x11);  // weights 0 and 16
  EXPECT_EQ(blocks[0].q[1], 0x22);
}

// DeepSeek's blocks of 128 x 128, with a part of one at both edges.
TEST(Folder, F8InBlocksOf128) {
  constexpr int64_t kRows = 260, kColumns = 160;
  HubModel model{.more_config = R"("quantization_config": {"quant_method": "fp8", "fmt": "e4m3",
                                    "weight_block_size": [128, 128]}, )"};
  std::string weights, scales;
  for (int64_t i = 0; i < kRows * kColumns; ++i) weights.push_back(static_cast<char>(i * 7 % 126));
  for (const float scale : {0.5f, 0.25f, 3.0f, 1.5f, 0.1f, 7.0f})
    scales.append(reinterpret_cast<const char*>(&scale), sizeof(scale));
  const std::string name = "model.layers.0.mlp.gate.weight";
  model.more = {{name, "F8_E4M3", {kRows, kColumns}, weights},
                {name + "_scale_inv", "F32", {3, 2}, scales}};
  const ScratchFolder folder;
  model.WriteTo(folder);
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message();
  const TensorInfo& tensor = *(*checkpoint)->Find("blk.0.ffn_gate_inp.weight");
  EXPECT_EQ(tensor.type, DType::kBF16);
  std::vector<uint16_t> values(kRows * kColumns);
  ASSERT_TRUE((*checkpoint)
                  ->ReadRows(tensor, 0, kRows,
                             {reinterpret_cast<uint8_t*>(values.data()), values.size() * 2})
                  .ok());
  const auto expect = [&](int64_t row, int64_t column, float scale) {
    const int64_t at = row * kColumns + column;
    const float exact = FromF8E4M3(static_cast<uint8_t>(weights[static_cast<size_t>(at)])) * scale;
    EXPECT_EQ(values[static_cast<size_t>(at)], ToBrain(exact)) << row << " " << column;
  };
  expect(0, 0, 0.5f);
  expect(127, 127, 0.5f);
  expect(127, 128, 0.25f);
  expect(128, 127, 3.0f);
  expect(255, 159, 1.5f);
  expect(256, 1, 0.1f);
  expect(259, 159, 7.0f);
  model.more[1].shape = {2, 3};
  const ScratchFolder wrong;
  model.WriteTo(wrong);
  EXPECT_THAT(ErrorOf(wrong), HasSubstr("(2x3 F32) does not scale a 260x160 F8_E4M3 as config.json "
                                        "says: blocks of 128x128"));
}

// A matrix of 3 x 32 with a scale of its own or three, by whatever name and shape.
struct WholeScales {
  std::string config = R"("quant_method": "fp8", "activation_scheme": "static")";
  std::string ending = "_scale";
  std::string type = "F32";
  std::vector<int64_t> shape;
  std::vector<float> scales;

  static constexpr int64_t kRows = 3, kColumns = 32;
  static constexpr const char* kName = "model.layers.0.mlp.gate.weight";

  static std::string Weights() {
    std::string weights;
    for (int64_t i = 0; i < kRows * kColumns; ++i)
      weights.push_back(static_cast<char>(i * 5 % 126 + i % 2 * 128));
    return weights;
  }

  HubModel Model() const {
    std::string bytes;
    for (const float scale : scales) {
      const uint16_t narrow = type == "BF16" ? ToBrain(scale) : ToHalf(scale);
      bytes += type.ends_with("32") ? std::string(reinterpret_cast<const char*>(&scale), 4)
                                    : std::string(reinterpret_cast<const char*>(&narrow), 2);
    }
    const std::string one(4, '\x3f');
    HubModel model{.more_config =
                       config.empty() ? "" : "\"quantization_config\": {" + config + "}, "};
    model.more = {{kName, "F8_E4M3", {kRows, kColumns}, Weights()},
                  {kName + ending, type, shape, bytes},
                  {"model.layers.0.mlp.gate.input_scale", "F32", {}, one},
                  {"model.layers.0.mlp.gate.activation_scale", "F32", {}, one},
                  {"model.layers.0.self_attn.k_scale", "F32", {1}, one},
                  {"model.layers.0.self_attn.v_proj.v_scale", "F32", {1}, one}};
    return model;
  }

  // Why the matrix cannot be opened or read, or "no error" if it is what it should be.
  std::string Fault() const {
    const ScratchFolder folder;
    Model().WriteTo(folder);
    const auto checkpoint = Checkpoint::Open(folder.path());
    if (!checkpoint.ok()) return checkpoint.error().message();
    const TensorInfo& tensor = *(*checkpoint)->Find("blk.0.ffn_gate_inp.weight");
    for (const int64_t first : {int64_t{0}, kRows - 1}) {
      std::vector<uint16_t> values(static_cast<size_t>((kRows - first) * kColumns));
      const auto status =
          (*checkpoint)
              ->ReadRows(tensor, first, kRows - first,
                         {reinterpret_cast<uint8_t*>(values.data()), values.size() * 2});
      if (!status.ok()) return status.error().message();
      for (size_t i = 0; i < values.size(); ++i) {
        const size_t at = i + static_cast<size_t>(first * kColumns);
        const float scale = scales.size() == 1 ? scales[0] : scales[at / kColumns];
        const float exact = FromF8E4M3(static_cast<uint8_t>(Weights()[at])) * scale;
        if (values[i] != ToBrain(exact)) return fmt::format("weight {} is {}", at, values[i]);
      }
    }
    return "no error";
  }
};

TEST(Folder, F8WithOneScaleForAMatrixOrARow) {
  const std::vector<float> one = {0.375f}, three = {0.375f, 0.0625f, 7.0f};
  const std::string compressed = R"("quant_method": "compressed-tensors",
      "format": "float-quantized", "config_groups": {"group_0": {"weights": {
      "num_bits": 8, "strategy": "channel", "symmetric": true, "type": "float"}}})";
  const std::string no_blocks = R"("quant_method": "fp8", "weight_block_size": null)";
  const std::string fbgemm = R"("quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0)";
  for (const std::string type : {"F32", "BF16", "F16"}) {
    EXPECT_EQ((WholeScales{.type = type, .shape = {}, .scales = one}).Fault(), "no error");
    EXPECT_EQ((WholeScales{no_blocks, "_scale_inv", type, {1}, one}).Fault(), "no error");
    EXPECT_EQ((WholeScales{compressed, "_scale", type, {1, 1}, one}).Fault(), "no error");
    EXPECT_EQ((WholeScales{compressed, "_scale", type, {3, 1}, three}).Fault(), "no error");
    EXPECT_EQ((WholeScales{fbgemm, "_scale", type, {3, 1}, three}).Fault(), "no error");
    EXPECT_EQ((WholeScales{no_blocks, "_scale_inv", type, {3}, three}).Fault(), "no error");
  }
}

TEST(FolderHostile, F8Scales) {
  const float nan = std::nanf("");
  EXPECT_THAT((WholeScales{.shape = {}, .scales = {nan}}).Fault(),
              AllOf(HasSubstr("ffn_gate_inp"), HasSubstr("scale 0 of stored row 0 is nan")));
  EXPECT_THAT((WholeScales{.shape = {3, 1}, .scales = {1, 2, HUGE_VALF}}).Fault(),
              HasSubstr("scale 0 of stored row 2 is inf"));
  const auto shaped = [](std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    return WholeScales{.shape = std::move(shape),
                       .scales = std::vector<float>(static_cast<size_t>(count), 1.0f)}
        .Fault();
  };
  const std::string says =
      "does not scale a 3x32 F8_E4M3 as config.json says: blocks of 128x128, "
      "all of it or each row";
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {2}, {0}, {32}, {1, 3}, {1, 32}, {3, 2}, {3, 1, 1}, {4, 1}})
    EXPECT_THAT(shaped(shape), HasSubstr(says)) << fmt::format("{}", fmt::join(shape, "x"));
  EXPECT_THAT((WholeScales{.ending = "_scale", .type = "I32", .shape = {}, .scales = {1}}).Fault(),
              HasSubstr("is of a type that scales do not have"));
  EXPECT_THAT((WholeScales{.config = "", .shape = {}, .scales = {1}}).Fault(),
              HasSubstr("as config.json says: no fp8"));
  HubModel model = (WholeScales{.shape = {}, .scales = {1}}).Model();
  model.more.push_back(model.more[1]);
  model.more.back().name += "_inv";
  EXPECT_THAT(ErrorOf(model), HasSubstr("and another are the same to us"));
  model.more.pop_back();
  model.more[0] = {WholeScales::kName, "BF16", {3, 32}, std::string(192, '\0')};
  EXPECT_THAT(ErrorOf(model), HasSubstr("scales a weight whose type has no scale"));
  model.more[0] = {WholeScales::kName, "F8_E4M3", {1, 3, 32}, std::string(96, '\0')};
  EXPECT_THAT(ErrorOf(model), HasSubstr("is no matrix of rows and columns"));
  model.more.erase(model.more.begin());
  EXPECT_THAT(ErrorOf(model), HasSubstr("belongs to no weight"));
}

TEST(Folder, MlxScalesOfF32BecomeF32Weights) {
  HubModel model{.more_config = R"("quantization": {"bits": 4, "group_size": 32}, )"};
  const float scale = 0.1f, bias = -0.7f;
  const auto bytes = [](float value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  model.more = {{"model.layers.0.mlp.gate.weight", "U32", {1, 4}, std::string(16, '\x53')},
                {"model.layers.0.mlp.gate.scales", "F32", {1, 1}, bytes(scale)},
                {"model.layers.0.mlp.gate.biases", "F32", {1, 1}, bytes(bias)}};
  const ScratchFolder folder;
  model.WriteTo(folder);
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message();
  const TensorInfo& tensor = *(*checkpoint)->Find("blk.0.ffn_gate_inp.weight");
  EXPECT_EQ(tensor.type, DType::kF32);
  float values[32];
  ASSERT_TRUE((*checkpoint)
                  ->ReadRows(tensor, 0, 1, {reinterpret_cast<uint8_t*>(values), sizeof(values)})
                  .ok());
  EXPECT_EQ(values[0], std::fma(scale, 3.0f, bias));
  EXPECT_EQ(values[1], std::fma(scale, 5.0f, bias));
  model.more[1].shape = {1, 2};
  model.more[1].data += bytes(scale);
  const ScratchFolder wrong;
  model.WriteTo(wrong);
  EXPECT_THAT(ErrorOf(wrong), HasSubstr("does not go with scales 1x2 F32"));
}

// MLX's other mode, which its copies of gpt-oss have for the experts alone.
TEST(Folder, MlxModeMxfp4) {
  HubModel model{.more_config = R"("quantization": {"bits": 8, "group_size": 64,
      "model.layers.0.mlp.gate": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, )"};
  model.more = {{"model.layers.0.mlp.gate.weight", "U32", {1, 4}, std::string(16, '\x53')},
                {"model.layers.0.mlp.gate.scales", "U8", {1, 1}, "\x7f"}};
  const ScratchFolder folder;
  model.WriteTo(folder);
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message();
  const TensorInfo& tensor = *(*checkpoint)->Find("blk.0.ffn_gate_inp.weight");
  EXPECT_EQ(tensor.type, DType::kMXFP4);
  EXPECT_EQ(tensor.shape, (Shape{32, 1, 1, 1}));
  BlockMXFP4 block;
  ASSERT_TRUE((*checkpoint)
                  ->ReadRows(tensor, 0, 1, {reinterpret_cast<uint8_t*>(&block), sizeof(block)})
                  .ok());
  EXPECT_EQ(block.e, 0x7f);
  EXPECT_EQ(block.q[0], 0x33) << "weights 0 and 16";
  EXPECT_EQ(block.q[1], 0x55) << "weights 1 and 17";

  const auto error = [&](std::vector<StoredSpec> more) {
    const ScratchFolder wrong;
    HubModel changed = model;
    changed.more = std::move(more);
    changed.WriteTo(wrong);
    return ErrorOf(wrong);
  };
  const auto& [weight, scales] = std::pair(model.more[0], model.more[1]);
  EXPECT_THAT(error({weight}), HasSubstr("of mode mxfp4 has no scales U8, or biases"));
  EXPECT_THAT(error({weight, scales, {"model.layers.0.mlp.gate.biases", "U8", {1, 1}, "x"}}),
              HasSubstr("of mode mxfp4 has no scales U8, or biases"));
  EXPECT_THAT(error({weight, {scales.name, "U8", {1, 2}, "ab"}}),
              HasSubstr("of mode mxfp4 does not go with scales 1x2 U8"));
}

// As gpt-oss lays out its experts: gate and up in turns, blocks and exponents apart.
TEST(TensorMap, Mxfp4RowsInTurns) {
  static constexpr ModuleRow kModules[] = {
      {"mlp.experts.gate_up_proj", "ffn_gate_exps", RowChoice::kEven},
      {"mlp.experts.gate_up_proj", "ffn_up_exps", RowChoice::kOdd}};
  const Architecture architecture{"X", "x", kModules, {}, nullptr};
  HubConfig config{.architecture = &architecture, .layers = {1, 0}};
  std::string blocks, scales, bias;
  for (int row = 0; row < 2 * 6; ++row) {  // of two experts
    blocks += std::string(2 * 16, static_cast<char>(row));
    scales += std::string(2, static_cast<char>(100 + row));
    const uint16_t brain = ToBrain(static_cast<float>(row));
    bias.append(reinterpret_cast<const char*>(&brain), sizeof(brain));
  }
  const std::string name = "model.layers.0.mlp.experts.gate_up_proj";
  const ScratchFile scratch(
      AsBytes(SafetensorsFile({{name + "_blocks", "U8", {2, 6, 2, 16}, blocks},
                               {name + "_scales", "U8", {2, 6, 2}, scales},
                               {name + "_bias", "BF16", {2, 6}, bias}})));
  const std::vector<File> files = [&] {
    std::vector<File> opened;
    opened.push_back(File::Open(scratch.path()).value());
    return opened;
  }();
  const auto map = MapTensors(config, std::vector<TensorsOfFile>{files[0].tensors()});
  ASSERT_TRUE(map.ok()) << map.error().message();
  ASSERT_EQ(map->tensors.size(), 4u);
  const auto find = [&](std::string_view wanted) {
    for (const TensorInfo& info : map->tensors) {
      if (info.name == wanted) return info;
    }
    return TensorInfo{};
  };
  const TensorInfo up = find("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(up.type, DType::kMXFP4);
  EXPECT_EQ(up.shape, (Shape{64, 3, 2, 1}));
  EXPECT_EQ(map->places[up.place].row_first, 1);
  EXPECT_EQ(map->places[up.place].row_step, 2);
  const TensorInfo gate_bias = find("blk.0.ffn_gate_exps.bias");
  EXPECT_EQ(gate_bias.type, DType::kF32);
  EXPECT_EQ(gate_bias.shape, (Shape{3, 2, 1, 1}));
  Bytes rows(up.size_bytes);
  const RowReader reader(files, map->places[up.place]);
  ASSERT_TRUE(reader.Read(0, up.rows(), rows).ok());
  for (size_t row = 0; row < 6; ++row) {  // stored rows 1, 3, 5, 7, 9, 11
    EXPECT_EQ(rows[row * 2 * sizeof(BlockMXFP4)], 100 + 2 * row + 1);
    EXPECT_EQ(rows[row * 2 * sizeof(BlockMXFP4) + 1] & 15, 2 * row + 1);
  }
  float biases[6];
  const RowReader bias_reader(files, map->places[gate_bias.place]);
  ASSERT_TRUE(bias_reader.Read(0, 2, {reinterpret_cast<uint8_t*>(biases), sizeof(biases)}).ok());
  EXPECT_THAT(biases, ElementsAre(0, 2, 4, 6, 8, 10));
}

}  // namespace
}  // namespace baton::safetensors
