#include "model/family/llama.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace baton {
namespace {

using gguf::Metadata;
using gguf::TensorInfo;

constexpr int64_t kLayersMax = 4096;
constexpr int64_t kWidthMax = 1 << 20;
constexpr int64_t kHeadsMax = 1 << 14;
constexpr int64_t kHeadDimMax = 1 << 12;
constexpr int64_t kContextMax = 1 << 30;
constexpr std::string_view kLayerPrefix = "blk.";

// One tensor of a layer: its extents, and which flag of the spec says that it is there.
struct LayerTensorRow {
  std::string_view name;
  int32_t cols;
  int32_t rows;
  bool ModelSpec::*optional = nullptr;
};

std::array<LayerTensorRow, 16> LayerTensors(const ModelSpec& s) {
  const int32_t q = s.q_width();
  const int32_t kv = s.kv_width();
  return {{{"attn_norm.weight", s.hidden_width, 1},
           {"attn_q.weight", s.hidden_width, q},
           {"attn_k.weight", s.hidden_width, kv},
           {"attn_v.weight", s.hidden_width, kv},
           {"attn_output.weight", q, s.hidden_width},
           {"ffn_norm.weight", s.hidden_width, 1},
           {"ffn_gate.weight", s.hidden_width, s.ffn_width},
           {"ffn_up.weight", s.hidden_width, s.ffn_width},
           {"ffn_down.weight", s.ffn_width, s.hidden_width},
           {"attn_q.bias", q, 1, &ModelSpec::qkv_bias},
           {"attn_k.bias", kv, 1, &ModelSpec::qkv_bias},
           {"attn_v.bias", kv, 1, &ModelSpec::qkv_bias},
           {"attn_output.bias", s.hidden_width, 1, &ModelSpec::attention_output_bias},
           {"ffn_gate.bias", s.ffn_width, 1, &ModelSpec::ffn_bias},
           {"ffn_up.bias", s.ffn_width, 1, &ModelSpec::ffn_bias},
           {"ffn_down.bias", s.hidden_width, 1, &ModelSpec::ffn_bias}}};
}

// Reads one file. A class only so that the steps share `file_` and `spec_`.
class LlamaReader {
 public:
  explicit LlamaReader(const gguf::File& file) : file_(file), metadata_(file.metadata()) {}

  Result<ModelSpec> Read() {
    BATON_RETURN_IF_ERROR(ReadWidths());
    BATON_RETURN_IF_ERROR(ReadHeads());
    BATON_RETURN_IF_ERROR(RefuseExperts());
    BATON_RETURN_IF_ERROR(ReadEnds());
    BATON_RETURN_IF_ERROR(ReadRope());
    BATON_RETURN_IF_ERROR(ReadLayers());
    BATON_RETURN_IF_ERROR(CountParameters());
    return std::move(spec_);
  }

 private:
  Result<int32_t> Integer(std::string_view key, int64_t max) const {
    BATON_ASSIGN_OR_RETURN(const int64_t value, metadata_.Integer(key, 1, max));
    return static_cast<int32_t>(value);
  }
  Result<int32_t> IntegerOr(std::string_view key, int64_t max, int32_t otherwise) const {
    BATON_ASSIGN_OR_RETURN(const int64_t value, metadata_.IntegerOr(key, 1, max, otherwise));
    return static_cast<int32_t>(value);
  }

  Status ReadWidths() {
    BATON_ASSIGN_OR_RETURN(spec_.n_layers, Integer("llama.block_count", kLayersMax));
    BATON_ASSIGN_OR_RETURN(spec_.hidden_width, Integer("llama.embedding_length", kWidthMax));
    BATON_ASSIGN_OR_RETURN(spec_.ffn_width, Integer("llama.feed_forward_length", kWidthMax));
    BATON_ASSIGN_OR_RETURN(spec_.context_length, Integer("llama.context_length", kContextMax));
    constexpr std::string_view kEpsilonKey = "llama.attention.layer_norm_rms_epsilon";
    BATON_ASSIGN_OR_RETURN(const double epsilon, metadata_.Number(kEpsilonKey));
    if (epsilon < 0 || epsilon >= 1)
      return MakeError(Code::kInvalidArgument, "key '{}' is {}, outside [0, 1)", kEpsilonKey,
                       epsilon);
    spec_.rms_epsilon = static_cast<float>(epsilon);
    return OkStatus();
  }

  Status ReadHeads() {
    BATON_ASSIGN_OR_RETURN(spec_.n_heads, Integer("llama.attention.head_count", kHeadsMax));
    BATON_ASSIGN_OR_RETURN(spec_.n_kv_heads,
                           IntegerOr("llama.attention.head_count_kv", kHeadsMax, spec_.n_heads));
    if (spec_.n_heads % spec_.n_kv_heads != 0)
      return MakeError(Code::kInvalidArgument,
                       "llama.attention.head_count {} is not a multiple of head_count_kv {}",
                       spec_.n_heads, spec_.n_kv_heads);
    return ReadHeadDim();
  }

  Status ReadHeadDim() {
    constexpr std::string_view kKey = "llama.attention.key_length";
    if (!metadata_.Has(kKey) && spec_.hidden_width % spec_.n_heads != 0)
      return MakeError(Code::kInvalidArgument,
                       "llama.embedding_length {} is not a multiple of attention.head_count {}",
                       spec_.hidden_width, spec_.n_heads);
    BATON_ASSIGN_OR_RETURN(spec_.head_dim,
                           IntegerOr(kKey, kHeadDimMax, spec_.hidden_width / spec_.n_heads));
    if (spec_.head_dim > kHeadDimMax || spec_.head_dim % 2 != 0)
      return MakeError(Code::kInvalidArgument, "head dimension {} is not an even number up to {}",
                       spec_.head_dim, kHeadDimMax);
    BATON_ASSIGN_OR_RETURN(const int32_t value_length,
                           IntegerOr("llama.attention.value_length", kHeadDimMax, spec_.head_dim));
    if (value_length != spec_.head_dim)
      return MakeError(Code::kUnimplemented, "llama.attention.value_length {} is not key_length {}",
                       value_length, spec_.head_dim);
    return OkStatus();
  }

  Status RefuseExperts() const {
    BATON_ASSIGN_OR_RETURN(const int64_t experts,
                           metadata_.IntegerOr("llama.expert_count", 0, kWidthMax, 0));
    if (experts > 0)
      return MakeError(Code::kUnimplemented, "llama.expert_count {}: experts are not supported",
                       experts);
    return OkStatus();
  }

  // The embedding decides the vocabulary's size; the head may be tied to it.
  Status ReadEnds() {
    BATON_ASSIGN_OR_RETURN(const TensorInfo* embedding, Require("token_embd.weight"));
    if (embedding->shape[1] > INT32_MAX)
      return MakeError(Code::kInvalidArgument, "tensor 'token_embd.weight' has {} rows",
                       embedding->shape[1]);
    spec_.vocab_size = static_cast<int32_t>(embedding->shape[1]);
    BATON_RETURN_IF_ERROR(CheckMatrix(*embedding, spec_.hidden_width, spec_.vocab_size));
    BATON_RETURN_IF_ERROR(CheckVocabularyKey());
    BATON_ASSIGN_OR_RETURN(const TensorInfo* norm, Require("output_norm.weight"));
    BATON_RETURN_IF_ERROR(CheckVector(*norm, spec_.hidden_width));
    const TensorInfo* output = file_.header().Find("output.weight");
    spec_.tied_embeddings = output == nullptr;
    if (output == nullptr) output = embedding;
    BATON_RETURN_IF_ERROR(CheckMatrix(*output, spec_.hidden_width, spec_.vocab_size));
    spec_.embedding_bytes = embedding->size_bytes;
    spec_.head_bytes = norm->size_bytes + output->size_bytes;
    return OkStatus();
  }

  Status CheckVocabularyKey() const {
    BATON_ASSIGN_OR_RETURN(const int32_t said,
                           IntegerOr("llama.vocab_size", INT32_MAX, spec_.vocab_size));
    if (said != spec_.vocab_size)
      return MakeError(Code::kInvalidArgument,
                       "llama.vocab_size is {}, but token_embd.weight has {} rows", said,
                       spec_.vocab_size);
    return OkStatus();
  }

  Status ReadRope() {
    RopeSpec& rope = spec_.rope;
    BATON_ASSIGN_OR_RETURN(rope.dimensions,
                           IntegerOr("llama.rope.dimension_count", kHeadDimMax, spec_.head_dim));
    if (rope.dimensions > spec_.head_dim || rope.dimensions % 2 != 0)
      return MakeError(Code::kInvalidArgument,
                       "llama.rope.dimension_count {} is not an even number up to {}",
                       rope.dimensions, spec_.head_dim);
    BATON_ASSIGN_OR_RETURN(const double base, metadata_.NumberOr("llama.rope.freq_base", 10000.0));
    if (!(base >= 1) || base > 1e12)
      return MakeError(Code::kInvalidArgument, "llama.rope.freq_base is {}, outside [1, 1e12]",
                       base);
    rope.base = static_cast<float>(base);
    BATON_RETURN_IF_ERROR(ReadRopeScaling());
    return ReadRopeFactors();
  }

  Status ReadRopeScaling() {
    BATON_ASSIGN_OR_RETURN(const auto kind, metadata_.StringOr("llama.rope.scaling.type", "none"));
    if (kind == "none") return ReadLinear("llama.rope.scale_linear");
    if (kind == "linear") return ReadLinear("llama.rope.scaling.factor");
    if (kind == "llama3") return ReadLlama3();
    return MakeError(Code::kUnimplemented,
                     "llama.rope.scaling.type '{}' is not supported; supported: none, linear, "
                     "llama3",
                     kind);
  }

  Result<double> Factor(std::string_view key, double otherwise) const {
    BATON_ASSIGN_OR_RETURN(const double value, metadata_.NumberOr(key, otherwise));
    if (!(value > 0) || value > 1e9)
      return MakeError(Code::kInvalidArgument, "key '{}' is {}, outside (0, 1e9]", key, value);
    return value;
  }

  Status ReadLinear(std::string_view key) {
    BATON_ASSIGN_OR_RETURN(const double factor, Factor(key, 1.0));
    if (factor == 1.0) return OkStatus();
    spec_.rope.divisors.assign(static_cast<size_t>(spec_.rope.dimensions / 2),
                               static_cast<float>(factor));
    return OkStatus();
  }

  // Llama 3.1's rule, as its model card publishes it: long wavelengths are stretched by `factor`,
  // short ones stay, those between are blended.
  Status ReadLlama3() {
    BATON_ASSIGN_OR_RETURN(const double factor, Factor("llama.rope.scaling.factor", 8.0));
    BATON_ASSIGN_OR_RETURN(const double low, Factor("llama.rope.scaling.low_freq_factor", 1.0));
    BATON_ASSIGN_OR_RETURN(const double high, Factor("llama.rope.scaling.high_freq_factor", 4.0));
    BATON_ASSIGN_OR_RETURN(const double context,
                           Factor("llama.rope.scaling.original_context_length", 8192.0));
    if (low >= high)
      return MakeError(Code::kInvalidArgument,
                       "llama.rope.scaling.low_freq_factor {} is not below high_freq_factor {}",
                       low, high);
    for (int32_t i = 0; i < spec_.rope.dimensions / 2; ++i) {
      const double frequency = std::pow(spec_.rope.base, -2.0 * i / spec_.rope.dimensions);
      const double wavelengths = context * frequency / (2 * std::numbers::pi);
      const double blend = std::clamp((wavelengths - low) / (high - low), 0.0, 1.0);
      spec_.rope.divisors.push_back(static_cast<float>(1 / ((1 - blend) / factor + blend)));
    }
    return OkStatus();
  }

  // Converters of Llama 3.1 and later store the divisors as a tensor.
  Status ReadRopeFactors() {
    const TensorInfo* info = file_.header().Find("rope_freqs.weight");
    if (info == nullptr) return OkStatus();
    const int32_t count = spec_.rope.dimensions / 2;
    BATON_RETURN_IF_ERROR(CheckVector(*info, count));
    std::vector<float> factors(static_cast<size_t>(count));
    BATON_RETURN_IF_ERROR(file_.mapping().ReadAt(
        info->file_offset,
        {reinterpret_cast<uint8_t*>(factors.data()), factors.size() * sizeof(float)}));
    if (spec_.rope.divisors.empty()) spec_.rope.divisors.assign(factors.size(), 1.0f);
    for (size_t i = 0; i < factors.size(); ++i) {
      if (!(factors[i] > 0) || !std::isfinite(factors[i]))
        return MakeError(Code::kInvalidArgument, "tensor 'rope_freqs.weight' holds {} at {}",
                         factors[i], i);
      spec_.rope.divisors[i] *= factors[i];
    }
    return OkStatus();
  }

  Status ReadLayers() {
    spec_.qkv_bias = file_.header().Find("blk.0.attn_q.bias") != nullptr;
    spec_.attention_output_bias = file_.header().Find("blk.0.attn_output.bias") != nullptr;
    spec_.ffn_bias = file_.header().Find("blk.0.ffn_gate.bias") != nullptr;
    spec_.layer_weight_bytes.reserve(static_cast<size_t>(spec_.n_layers));
    size_t counted = 0;
    spec_.exact_attention = true;
    for (int32_t layer = 0; layer < spec_.n_layers; ++layer) {
      uint64_t bytes = 0;
      for (const LayerTensorRow& row : LayerTensors(spec_)) {
        if (row.optional != nullptr && !(spec_.*row.optional)) continue;
        BATON_ASSIGN_OR_RETURN(const TensorInfo* info, CheckLayerTensor(layer, row));
        bytes += info->size_bytes;
        spec_.exact_attention = spec_.exact_attention && info->type == DType::kF32;
        ++counted;
      }
      spec_.layer_weight_bytes.push_back(bytes);
    }
    return RefuseOthers(counted);
  }

  Result<const TensorInfo*> CheckLayerTensor(int32_t layer, const LayerTensorRow& row) const {
    BATON_ASSIGN_OR_RETURN(const TensorInfo* info,
                           Require(fmt::format("{}{}.{}", kLayerPrefix, layer, row.name)));
    BATON_RETURN_IF_ERROR(row.rows == 1 ? CheckVector(*info, row.cols)
                                        : CheckMatrix(*info, row.cols, row.rows));
    return info;
  }

  // A tensor that the forward pass would not read means that its result would be wrong.
  Status RefuseOthers(size_t counted) const {
    size_t in_layers = 0;
    for (const TensorInfo& info : file_.header().tensors) {
      if (!info.name.starts_with(kLayerPrefix)) continue;
      ++in_layers;
      if (!IsKnownLayerTensor(info.name))
        return MakeError(Code::kUnimplemented, "tensor '{}' is not part of the llama family",
                         info.name);
    }
    if (in_layers != counted)
      return MakeError(Code::kInvalidArgument,
                       "the file has {} layer tensors where {} layers of this model have {}",
                       in_layers, spec_.n_layers, counted);
    return OkStatus();
  }

  bool IsKnownLayerTensor(std::string_view name) const {
    const size_t dot = name.find('.', kLayerPrefix.size());
    if (dot == std::string_view::npos) return false;
    const std::string_view rest = name.substr(dot + 1);
    for (const LayerTensorRow& row : LayerTensors(spec_)) {
      if (row.name == rest) return true;
    }
    return false;
  }

  Status CountParameters() {
    for (const TensorInfo& info : file_.header().tensors) {
      uint64_t elements = 1;
      for (const int64_t extent : info.shape) elements *= static_cast<uint64_t>(extent);
      spec_.parameters += elements;
    }
    spec_.active_parameters = spec_.parameters;
    return OkStatus();
  }

  Result<const TensorInfo*> Require(std::string_view name) const {
    const TensorInfo* info = file_.header().Find(name);
    if (info == nullptr) return MakeError(Code::kInvalidArgument, "tensor '{}' is missing", name);
    return info;
  }

  static Status CheckShape(const TensorInfo& info, int64_t cols, int64_t rows) {
    if (info.shape == Shape{cols, rows, 1, 1}) return OkStatus();
    return MakeError(Code::kInvalidArgument, "tensor '{}' is {}x{}x{}x{}, not {}x{}", info.name,
                     info.shape[0], info.shape[1], info.shape[2], info.shape[3], cols, rows);
  }

  static Status CheckMatrix(const TensorInfo& info, int64_t cols, int64_t rows) {
    BATON_RETURN_IF_ERROR(CheckShape(info, cols, rows));
    if (info.type == DType::kI32)
      return MakeError(Code::kInvalidArgument, "tensor '{}' holds integers", info.name);
    return OkStatus();
  }

  static Status CheckVector(const TensorInfo& info, int64_t elements) {
    BATON_RETURN_IF_ERROR(CheckShape(info, elements, 1));
    if (info.type != DType::kF32)
      return MakeError(Code::kInvalidArgument, "tensor '{}' is {}, not F32", info.name,
                       InfoOf(info.type).name);
    return OkStatus();
  }

  const gguf::File& file_;
  const Metadata& metadata_;
  ModelSpec spec_;
};

}  // namespace

Result<ModelSpec> ReadLlamaSpec(const gguf::File& file) {
  return LlamaReader(file).Read();
}

}  // namespace baton
