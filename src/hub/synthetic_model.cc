#include "hub/synthetic_model.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include <fmt/ranges.h>

#include "base/random.h"
#include "hub/random_blocks.h"
#include "hub/synthetic_vocabulary.h"
#include "model/fingerprint.h"
#include "model/gguf/reader.h"
#include "model/gguf/writer.h"
#include "model/open_tokenizer.h"
#include "model/spec_reader.h"
#include "os/system.h"

namespace baton::hub {
namespace {

constexpr size_t kChunkBlocks = 1 << 16;  // blocks per chunk of work; part of the seed's meaning

// Gains over 1 / sqrt(inputs): attention must be peaked enough to depend on the context, and layers
// must outweigh the small embedding, or a tied head would repeat the last token.
constexpr float kMatrixGain = 1.5f;
constexpr float kEmbeddingDeviation = 0.05f;
constexpr float kBiasDeviation = 0.1f;

Status CheckType(const std::string& type) {
  const std::vector<std::string>& known = SyntheticTypes();
  if (std::find(known.begin(), known.end(), type) != known.end()) return OkStatus();
  return MakeError(Code::kInvalidArgument, "type '{}' is not one of {}", type,
                   fmt::join(known, ", "));
}

struct PlannedTensor {
  std::string name;
  DType type;
  Shape shape;
  float deviation;  // 0: a norm, all ones
};

class SyntheticModel {
 public:
  explicit SyntheticModel(const SyntheticOptions& options)
      : options_(options), shape_(options.shape) {}

  Status Write(const std::string& path) {
    BATON_RETURN_IF_ERROR(PlanHeader());
    BATON_ASSIGN_OR_RETURN(gguf::Writer writer, gguf::Writer::Create(path, header_));
    for (size_t i = 0; i < tensors_.size(); ++i)
      BATON_RETURN_IF_ERROR(WriteTensor(writer, tensors_[i], i));
    return writer.Close();
  }

  // What the file would begin with.
  Result<gguf::HeaderBuilder> Header() {
    BATON_RETURN_IF_ERROR(PlanHeader());
    return header_;
  }

 private:
  Status PlanHeader() {
    BATON_RETURN_IF_ERROR(PlanTensors());
    AddMetadata();
    AddSyntheticVocabulary(shape_.vocab_size, header_);
    for (const PlannedTensor& tensor : tensors_)
      header_.AddTensor(tensor.name, tensor.type, tensor.shape);
    return OkStatus();
  }

  // The mixtures give some V and down projections, and the head, six bits.
  bool WantsMoreBits(int32_t layer) const {
    const int32_t n = shape_.n_layers;
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
  }

  Result<DType> TypeFor(std::string_view role, int32_t layer, int64_t cols) const {
    std::string wanted = options_.type;
    // As gpt-oss is published: nothing but experts has four bits.
    if (shape_.IsGptOss() && wanted == "MXFP4" && !role.ends_with("_exps")) wanted = "Q8_0";
    if (wanted.ends_with("_M")) {
      const bool head = role == "output" || (role == "token_embd" && shape_.tied_embeddings);
      const bool layer_more =
          (role == "attn_v" || role.starts_with("ffn_down")) && WantsMoreBits(layer);
      wanted = head || layer_more ? "Q6_K" : wanted.substr(0, wanted.size() - 2);
    }
    const auto type = FindDTypeByName(wanted);
    CHECK(type && type->type != DType::kI32, "{}", wanted);  // as CheckType() has made sure
    if (cols % static_cast<int64_t>(type->block_elements) == 0) return type->type;
    return cols % 32 == 0 ? DType::kQ8_0 : DType::kF16;  // rows that are no whole blocks
  }

  Status Matrix(std::string_view role, int32_t layer, int64_t cols, int64_t rows, float deviation,
                int64_t experts = 1) {
    BATON_ASSIGN_OR_RETURN(const DType type, TypeFor(role, layer, cols));
    const std::string prefix = layer < 0 ? "" : fmt::format("blk.{}.", layer);
    tensors_.push_back(
        {fmt::format("{}{}.weight", prefix, role), type, {cols, rows, experts, 1}, deviation});
    return OkStatus();
  }
  void Norm(std::string name) { Vector(std::move(name), shape_.hidden_width, 0.0f); }
  // Ones where `deviation` is zero.
  void Vector(std::string name, int64_t elements, float deviation) {
    tensors_.push_back({std::move(name), DType::kF32, {elements, 1, 1, 1}, deviation});
  }

  static float Gain(int64_t inputs) { return kMatrixGain / std::sqrt(static_cast<float>(inputs)); }

  Status PlanFeedForward(int32_t layer) {
    const int64_t hidden = shape_.hidden_width;
    const int64_t experts = shape_.n_experts;
    if (experts == 0 || layer < shape_.dense_layers) return PlanDense(layer, "", shape_.ffn_width);
    const int64_t width = shape_.expert_ffn_width;
    tensors_.push_back({fmt::format("blk.{}.ffn_gate_inp.weight", layer),
                        DType::kF32,
                        {hidden, experts, 1, 1},
                        Gain(hidden)});
    BATON_RETURN_IF_ERROR(Matrix("ffn_gate_exps", layer, hidden, width, Gain(hidden), experts));
    BATON_RETURN_IF_ERROR(Matrix("ffn_up_exps", layer, hidden, width, Gain(hidden), experts));
    BATON_RETURN_IF_ERROR(Matrix("ffn_down_exps", layer, width, hidden, Gain(width), experts));
    if (shape_.IsGptOss()) PlanExpertBiases(layer);
    if (shape_.sigmoid == 1)
      Vector(fmt::format("blk.{}.exp_probs_b.bias", layer), experts, kBiasDeviation);
    if (shape_.shared_experts == 0) return OkStatus();
    return PlanDense(layer, "_shexp", width * shape_.shared_experts);
  }
  Status PlanDense(int32_t layer, std::string_view kind, int64_t width) {
    const int64_t hidden = shape_.hidden_width;
    const auto role = [&](std::string_view part) { return fmt::format("ffn_{}{}", part, kind); };
    BATON_RETURN_IF_ERROR(Matrix(role("gate"), layer, hidden, width, Gain(hidden)));
    BATON_RETURN_IF_ERROR(Matrix(role("up"), layer, hidden, width, Gain(hidden)));
    return Matrix(role("down"), layer, width, hidden, Gain(width));
  }
  void PlanExpertBiases(int32_t layer) {
    const int64_t experts = shape_.n_experts;
    const auto bias = [&](std::string_view part, int64_t elements, int64_t rows) {
      tensors_.push_back({fmt::format("blk.{}.ffn_{}.bias", layer, part),
                          DType::kF32,
                          {elements, rows, 1, 1},
                          kBiasDeviation});
    };
    bias("gate_inp", experts, 1);
    bias("gate_exps", shape_.expert_ffn_width, experts);
    bias("up_exps", shape_.expert_ffn_width, experts);
    bias("down_exps", shape_.hidden_width, experts);
  }

  Status PlanTensors() {
    const int64_t hidden = shape_.hidden_width;
    const int64_t q_width = int64_t{shape_.n_heads} * shape_.head_dim;
    const int64_t kv_width = int64_t{shape_.n_kv_heads} * shape_.head_dim;
    const float embedding = shape_.IsGemma()  // which multiplies by the root of the width
                                ? kEmbeddingDeviation / std::sqrt(static_cast<float>(hidden))
                                : kEmbeddingDeviation;
    BATON_RETURN_IF_ERROR(Matrix("token_embd", -1, hidden, shape_.vocab_size, embedding));
    for (int32_t layer = 0; layer < shape_.n_layers; ++layer) {
      Norm(fmt::format("blk.{}.attn_norm.weight", layer));
      BATON_RETURN_IF_ERROR(shape_.IsDeepSeek() ? PlanLatents(layer)
                                                : PlanAttention(layer, q_width, kv_width));
      PlanExtras(layer, q_width, kv_width);
      Norm(fmt::format("blk.{}.{}.weight", layer,
                       shape_.IsGptOss() ? "post_attention_norm" : "ffn_norm"));
      BATON_RETURN_IF_ERROR(PlanFeedForward(layer));
    }
    Norm("output_norm.weight");
    if (shape_.tied_embeddings) return OkStatus();
    return Matrix("output", -1, hidden, shape_.vocab_size, Gain(hidden));
  }

  Status PlanAttention(int32_t layer, int64_t q_width, int64_t kv_width) {
    const int64_t hidden = shape_.hidden_width;
    BATON_RETURN_IF_ERROR(Matrix("attn_q", layer, hidden, q_width, Gain(hidden)));
    BATON_RETURN_IF_ERROR(Matrix("attn_k", layer, hidden, kv_width, Gain(hidden)));
    BATON_RETURN_IF_ERROR(Matrix("attn_v", layer, hidden, kv_width, Gain(hidden)));
    return Matrix("attn_output", layer, q_width, hidden, Gain(q_width));
  }

  // DeepSeek's attention.
  Status PlanLatents(int32_t layer) {
    const int64_t hidden = shape_.hidden_width, heads = shape_.n_heads;
    const int64_t queries = heads * shape_.head_dim, values = heads * shape_.value_dim;
    const int64_t rank = shape_.kv_rank, q_rank = shape_.q_rank;
    const int64_t unturned = shape_.head_dim - shape_.rope_dim;
    if (q_rank == 0) {
      BATON_RETURN_IF_ERROR(Matrix("attn_q", layer, hidden, queries, Gain(hidden)));
    } else {
      BATON_RETURN_IF_ERROR(Matrix("attn_q_a", layer, hidden, q_rank, Gain(hidden)));
      Vector(fmt::format("blk.{}.attn_q_a_norm.weight", layer), q_rank, 0.0f);
      BATON_RETURN_IF_ERROR(Matrix("attn_q_b", layer, q_rank, queries, Gain(q_rank)));
    }
    BATON_RETURN_IF_ERROR(
        Matrix("attn_kv_a_mqa", layer, hidden, rank + shape_.rope_dim, Gain(hidden)));
    Vector(fmt::format("blk.{}.attn_kv_a_norm.weight", layer), rank, 0.0f);
    BATON_RETURN_IF_ERROR(Matrix("attn_k_b", layer, unturned, rank, Gain(rank), heads));
    BATON_RETURN_IF_ERROR(Matrix("attn_v_b", layer, rank, shape_.value_dim, Gain(rank), heads));
    return Matrix("attn_output", layer, values, hidden, Gain(values));
  }

  // What an architecture has in a layer besides what llama has.
  void PlanExtras(int32_t layer, int64_t q_width, int64_t kv_width) {
    if (shape_.architecture == "qwen2" || shape_.IsGptOss()) {
      Vector(fmt::format("blk.{}.attn_q.bias", layer), q_width, kBiasDeviation);
      Vector(fmt::format("blk.{}.attn_k.bias", layer), kv_width, kBiasDeviation);
      Vector(fmt::format("blk.{}.attn_v.bias", layer), kv_width, kBiasDeviation);
    }
    if (shape_.IsGptOss()) {
      Vector(fmt::format("blk.{}.attn_output.bias", layer), shape_.hidden_width, kBiasDeviation);
      Vector(fmt::format("blk.{}.attn_sinks.weight", layer), shape_.n_heads, 1.0f);
    }
    if (shape_.IsGemma()) {
      Norm(fmt::format("blk.{}.post_attention_norm.weight", layer));
      Norm(fmt::format("blk.{}.post_ffw_norm.weight", layer));
    }
    if (shape_.architecture.starts_with("qwen3") || shape_.architecture == "gemma3") {
      Vector(fmt::format("blk.{}.attn_q_norm.weight", layer), shape_.head_dim, 0.0f);
      Vector(fmt::format("blk.{}.attn_k_norm.weight", layer), shape_.head_dim, 0.0f);
    }
  }

  void AddMetadata() {
    const auto key = [this](std::string_view rest) {
      return fmt::format("{}.{}", shape_.architecture, rest);
    };
    const auto u32 = [this](std::string_view name, int64_t value) {
      header_.AddUint32(name, static_cast<uint32_t>(value));
    };
    header_.AddString("general.architecture", shape_.architecture);
    header_.AddString("general.name", "synthetic " + shape_.name);
    u32(key("block_count"), shape_.n_layers);
    u32(key("context_length"), shape_.context_length);
    u32(key("embedding_length"), shape_.hidden_width);
    u32(key("feed_forward_length"), shape_.ffn_width);
    u32(key("attention.head_count"), shape_.n_heads);
    u32(key("vocab_size"), shape_.vocab_size);
    if (shape_.IsDeepSeek()) {
      AddDeepSeek();
    } else {
      u32(key("attention.head_count_kv"), shape_.n_kv_heads);
      u32(key("attention.key_length"), shape_.head_dim);
      u32(key("attention.value_length"), shape_.head_dim);
      u32(key("rope.dimension_count"), shape_.head_dim);
    }
    if (shape_.n_experts > 0) {
      u32(key("expert_count"), shape_.n_experts);
      u32(key("expert_used_count"), shape_.experts_used);
      u32(key("expert_feed_forward_length"), shape_.expert_ffn_width);
    }
    if (shape_.window > 0) u32(key("attention.sliding_window"), shape_.window);
    header_.AddFloat32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    header_.AddFloat32(key("rope.freq_base"), shape_.rope_base);
    AddRopeScaling();
    if (options_.type == "Q4_K_M") u32("general.file_type", 15);
    if (options_.type == "Q5_K_M") u32("general.file_type", 17);
  }

  void AddDeepSeek() {
    const auto u32 = [this](std::string_view rest, int64_t value) {
      header_.AddUint32(fmt::format("{}.{}", shape_.architecture, rest),
                        static_cast<uint32_t>(value));
    };
    u32("attention.head_count_kv", 1);
    u32("attention.kv_lora_rank", shape_.kv_rank);
    if (shape_.q_rank > 0) u32("attention.q_lora_rank", shape_.q_rank);
    u32("attention.key_length", shape_.kv_rank + shape_.rope_dim);
    u32("attention.value_length", shape_.kv_rank);
    u32("attention.key_length_mla", shape_.head_dim);
    u32("attention.value_length_mla", shape_.value_dim);
    u32("rope.dimension_count", shape_.rope_dim);
    u32("leading_dense_block_count", shape_.dense_layers);
    u32("expert_shared_count", shape_.shared_experts);
    u32("expert_group_count", shape_.groups);
    u32("expert_group_used_count", shape_.groups_used);
    u32("expert_gating_func", 1 + shape_.sigmoid);
    header_.AddBool(shape_.architecture + ".expert_weights_norm", shape_.sigmoid == 1);
    header_.AddFloat32(shape_.architecture + ".expert_weights_scale",
                       shape_.sigmoid == 1 ? 2.5f : 1.0f);
  }

  // The larger models of these families reach their context by it.
  void AddRopeScaling() {
    const bool yarn = shape_.IsGptOss() || shape_.IsDeepSeek();
    const bool linear = shape_.architecture == "gemma3" && shape_.context_length >= 131072;
    if (!yarn && !linear) return;
    const std::string prefix = shape_.architecture + ".rope.scaling.";
    const int32_t yarn_factor = shape_.IsDeepSeek() ? 40 : 32;
    header_.AddString(prefix + "type", yarn ? "yarn" : "linear");
    header_.AddFloat32(prefix + "factor", yarn ? static_cast<float>(yarn_factor) : 8.0f);
    if (shape_.IsDeepSeek()) {
      header_.AddFloat32(prefix + "yarn_log_multiplier", shape_.sigmoid == 1 ? 0.1f : 0.0707f);
    }
    if (yarn) {
      header_.AddUint32(prefix + "original_context_length",
                        static_cast<uint32_t>(std::max(1, shape_.context_length / yarn_factor)));
    }
  }

  Status WriteTensor(gguf::Writer& writer, const PlannedTensor& tensor, size_t index) const {
    if (tensor.deviation == 0.0f) {
      const std::vector<float> ones(static_cast<size_t>(tensor.shape[0]), 1.0f);
      return writer.Append({reinterpret_cast<const uint8_t*>(ones.data()), 4 * ones.size()});
    }
    const DTypeInfo& info = InfoOf(tensor.type);
    const auto elements =
        static_cast<uint64_t>(tensor.shape[0] * tensor.shape[1] * tensor.shape[2]);
    const uint64_t total = elements / info.block_elements * info.block_bytes;
    const uint64_t chunk = kChunkBlocks * info.block_bytes;
    const uint64_t batch = chunk * std::max<size_t>(1, os::AllowedProcessors().size());
    Bytes buffer(std::min(total, batch));
    for (uint64_t at = 0; at < total; at += batch) {
      const auto part = std::span(buffer).first(std::min(batch, total - at));
      FillBatch(part, chunk, tensor, (uint64_t{index} << 32) + at / chunk);
      BATON_RETURN_IF_ERROR(writer.Append(part));
    }
    return OkStatus();
  }

  // One thread per chunk; what a chunk holds depends on its number alone.
  void FillBatch(std::span<uint8_t> into, uint64_t chunk, const PlannedTensor& tensor,
                 uint64_t first_chunk) const {
    std::vector<std::thread> threads;
    for (uint64_t at = 0; at < into.size(); at += chunk) {
      const auto part = into.subspan(at, std::min<uint64_t>(chunk, into.size() - at));
      const uint64_t seed =
          Rng(options_.seed ^ (first_chunk + at / chunk) * 0x9E3779B97F4A7C15).Next();
      threads.emplace_back([part, seed, &tensor] {
        FillWithRandomBlocks(tensor.type, part, seed, tensor.deviation);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  const SyntheticOptions& options_;
  const SyntheticShape& shape_;
  gguf::HeaderBuilder header_;
  std::vector<PlannedTensor> tensors_;
};

}  // namespace

namespace {

// A file's header alone: it has names, shapes and sizes, and nothing to read.
class HeaderAlone final : public Checkpoint {
 public:
  static Result<std::unique_ptr<HeaderAlone>> Create(const SyntheticOptions& options) {
    BATON_ASSIGN_OR_RETURN(const gguf::HeaderBuilder builder, SyntheticModel(options).Header());
    Bytes bytes = builder.Build();
    const gguf::TensorInfo last = builder.Tensors().back();
    BATON_ASSIGN_OR_RETURN(const gguf::Header header,
                           gguf::ParseHeader(bytes, last.file_offset + last.size_bytes));
    std::vector<TensorInfo> tensors;
    for (const gguf::TensorInfo& info : header.tensors)
      tensors.push_back({info.name, info.type, info.shape, info.size_bytes});
    return std::unique_ptr<HeaderAlone>(
        new HeaderAlone(options.shape.name, header.metadata, std::move(tensors), std::move(bytes)));
  }

  void WillNeed(const TensorInfo&, int64_t, int64_t) const override {}
  Result<std::string> Fingerprint() const override {
    Fingerprinter fingerprint;
    fingerprint.Add(bytes_);
    return std::move(fingerprint).Finish();
  }

 private:
  // `bytes` are those that `metadata` points into.
  HeaderAlone(std::string name, gguf::Metadata metadata, std::vector<TensorInfo> tensors,
              Bytes bytes)
      : Checkpoint(std::move(name), std::move(metadata), std::move(tensors)),
        bytes_(std::move(bytes)) {}

  Status Read(const TensorInfo&, int64_t, int64_t, std::span<uint8_t>) const override {
    return MakeError(Code::kFailedPrecondition, "'{}' is a shape: it has no weights", path());
  }
  void DropHeaders() override { bytes_ = {}; }

  Bytes bytes_;
};

Status Check(const SyntheticOptions& options) {
  BATON_RETURN_IF_ERROR(CheckShape(options.shape));
  return CheckType(options.type);
}

}  // namespace

const std::vector<std::string>& SyntheticTypes() {
  static const std::vector<std::string> kTypes = {
      "F32",  "F16",  "BF16", "Q8_0", "Q4_0",   "Q4_1",   "Q5_0",  "Q5_1",   "Q2_K",
      "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "Q4_K_M", "Q5_K_M"};
  return kTypes;
}

Result<SyntheticOptions> ParseShapeAndType(std::string_view text) {
  const size_t colon = text.find(':');
  SyntheticOptions options;
  BATON_ASSIGN_OR_RETURN(options.shape, ParseShape(text.substr(0, colon)));
  options.type = colon != std::string_view::npos ? std::string(text.substr(colon + 1))
                 : options.shape.IsGptOss()      ? "MXFP4"
                                                 : "F16";
  BATON_RETURN_IF_ERROR(CheckType(options.type));
  return options;
}

Status WriteSyntheticModel(const std::string& path, const SyntheticOptions& options) {
  BATON_RETURN_IF_ERROR(Check(options));
  return SyntheticModel(options).Write(path);
}

Result<SyntheticOutline> OutlineOf(const SyntheticOptions& options) {
  BATON_RETURN_IF_ERROR(Check(options));
  BATON_ASSIGN_OR_RETURN(const auto checkpoint, HeaderAlone::Create(options));
  BATON_ASSIGN_OR_RETURN(ModelSpec spec, ReadSpec(*checkpoint));
  return SyntheticOutline{std::move(spec), checkpoint->tensors()};
}

Result<std::shared_ptr<const Model>> OpenShape(const SyntheticOptions& options) {
  BATON_RETURN_IF_ERROR(Check(options));
  BATON_ASSIGN_OR_RETURN(auto checkpoint, HeaderAlone::Create(options));
  BATON_ASSIGN_OR_RETURN(ModelSpec spec, ReadSpec(*checkpoint));
  BATON_ASSIGN_OR_RETURN(HubTokenizer tokenizer, OpenTokenizer(*checkpoint, spec.vocab_size));
  return Model::Create(std::move(checkpoint), std::move(spec), std::move(tokenizer));
}

}  // namespace baton::hub
