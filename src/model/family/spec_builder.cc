#include "model/family/spec_builder.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

namespace baton {
namespace {

constexpr int64_t kLayersMax = 4096;
constexpr int64_t kVocabularyMax = 4 << 20;  // as tokenizers have it
constexpr int64_t kWidthMax = 1 << 20;
constexpr int64_t kHeadsMax = 1 << 14;
constexpr int64_t kExpertsMax = 1 << 12;
constexpr int64_t kHeadDimMax = 1 << 12;
constexpr int64_t kContextMax = 1 << 30;
constexpr std::string_view kLayerPrefix = "blk.";

std::string LayerName(int layer, std::string_view name) {
  return fmt::format("{}{}.{}", kLayerPrefix, layer, name);
}

Status CheckShape(const TensorInfo& info, const Shape& wanted) {
  if (info.shape == wanted) return OkStatus();
  return MakeError(Code::kInvalidArgument, "tensor '{}' is {}, not {}", info.name,
                   fmt::join(info.shape, "x"), fmt::join(wanted, "x"));
}

Status CheckMatrix(const TensorInfo& info, int64_t cols, int64_t rows, int64_t experts = 1) {
  BATON_RETURN_IF_ERROR(CheckShape(info, {cols, rows, experts, 1}));
  if (info.type == DType::kI32)
    return MakeError(Code::kInvalidArgument, "tensor '{}' holds integers", info.name);
  return OkStatus();
}

Status CheckVector(const TensorInfo& info, int64_t elements) {
  BATON_RETURN_IF_ERROR(CheckShape(info, {elements, 1, 1, 1}));
  if (info.type != DType::kF32)
    return MakeError(Code::kInvalidArgument, "tensor '{}' is {}, not F32", info.name,
                     InfoOf(info.type).name);
  return OkStatus();
}

}  // namespace

std::string SpecBuilder::Key(std::string_view rest) const {
  return fmt::format("{}.{}", architecture_, rest);
}

Result<int32_t> SpecBuilder::Integer(std::string_view rest, int64_t max) const {
  BATON_ASSIGN_OR_RETURN(const int64_t value, metadata().Integer(Key(rest), 1, max));
  return static_cast<int32_t>(value);
}

Result<int32_t> SpecBuilder::IntegerOr(std::string_view rest, int64_t max,
                                       int32_t otherwise) const {
  BATON_ASSIGN_OR_RETURN(const int64_t value, metadata().IntegerOr(Key(rest), 1, max, otherwise));
  return static_cast<int32_t>(value);
}

Result<double> SpecBuilder::NumberOr(std::string_view rest, double otherwise) const {
  return metadata().NumberOr(Key(rest), otherwise);
}

Result<double> SpecBuilder::PositiveOr(std::string_view rest, double otherwise) const {
  BATON_ASSIGN_OR_RETURN(const double value, NumberOr(rest, otherwise));
  if (!(value > 0) || value > 1e9)
    return MakeError(Code::kInvalidArgument, "key '{}' is {}, outside (0, 1e9]", Key(rest), value);
  return value;
}

bool SpecBuilder::HasLayerTensor(int layer, std::string_view name) const {
  return HasTensor(LayerName(layer, name));
}

Status SpecBuilder::ReadWidths() {
  BATON_ASSIGN_OR_RETURN(spec_.n_layers, Integer("block_count", kLayersMax));
  BATON_ASSIGN_OR_RETURN(spec_.hidden_width, Integer("embedding_length", kWidthMax));
  BATON_ASSIGN_OR_RETURN(spec_.ffn_width, Integer("feed_forward_length", kWidthMax));
  BATON_ASSIGN_OR_RETURN(spec_.context_length, Integer("context_length", kContextMax));
  const std::string key = Key("attention.layer_norm_rms_epsilon");
  BATON_ASSIGN_OR_RETURN(const double epsilon, metadata().Number(key));
  if (epsilon < 0 || epsilon >= 1)
    return MakeError(Code::kInvalidArgument, "key '{}' is {}, outside [0, 1)", key, epsilon);
  spec_.rms_epsilon = static_cast<float>(epsilon);
  return OkStatus();
}

Status SpecBuilder::ReadHeads() {
  BATON_ASSIGN_OR_RETURN(spec_.n_heads, Integer("attention.head_count", kHeadsMax));
  BATON_ASSIGN_OR_RETURN(spec_.n_kv_heads,
                         IntegerOr("attention.head_count_kv", kHeadsMax, spec_.n_heads));
  if (spec_.n_heads % spec_.n_kv_heads != 0)
    return MakeError(Code::kInvalidArgument, "{} {} is not a multiple of head_count_kv {}",
                     Key("attention.head_count"), spec_.n_heads, spec_.n_kv_heads);
  return ReadHeadDim();
}

Status SpecBuilder::ReadHeadDim() {
  constexpr std::string_view kKeyLength = "attention.key_length";
  if (!metadata().Has(Key(kKeyLength)) && spec_.hidden_width % spec_.n_heads != 0)
    return MakeError(Code::kInvalidArgument, "{} {} is not a multiple of attention.head_count {}",
                     Key("embedding_length"), spec_.hidden_width, spec_.n_heads);
  BATON_ASSIGN_OR_RETURN(spec_.head_dim,
                         IntegerOr(kKeyLength, kHeadDimMax, spec_.hidden_width / spec_.n_heads));
  if (spec_.head_dim > kHeadDimMax || spec_.head_dim % 2 != 0)
    return MakeError(Code::kInvalidArgument, "head dimension {} is not an even number up to {}",
                     spec_.head_dim, kHeadDimMax);
  BATON_ASSIGN_OR_RETURN(const int32_t value_length,
                         IntegerOr("attention.value_length", kHeadDimMax, spec_.head_dim));
  if (value_length != spec_.head_dim)
    return MakeError(Code::kUnimplemented, "{} {} is not key_length {}",
                     Key("attention.value_length"), value_length, spec_.head_dim);
  spec_.query_scale = 1.0f / std::sqrt(static_cast<float>(spec_.head_dim));
  return OkStatus();
}

// The embedding decides the vocabulary's size; the head may be tied to it.
Status SpecBuilder::ReadEnds() {
  BATON_ASSIGN_OR_RETURN(const TensorInfo* embedding, Require("token_embd.weight"));
  if (embedding->shape[1] > kVocabularyMax)
    return MakeError(Code::kInvalidArgument, "tensor 'token_embd.weight' has {} rows, more than {}",
                     embedding->shape[1], kVocabularyMax);
  spec_.vocab_size = static_cast<int32_t>(embedding->shape[1]);
  BATON_RETURN_IF_ERROR(CheckMatrix(*embedding, spec_.hidden_width, spec_.vocab_size));
  BATON_RETURN_IF_ERROR(CheckVocabularyKey());
  BATON_ASSIGN_OR_RETURN(const TensorInfo* norm, Require("output_norm.weight"));
  BATON_RETURN_IF_ERROR(CheckVector(*norm, spec_.hidden_width));
  const TensorInfo* output = checkpoint_.Find("output.weight");
  spec_.tied_embeddings = output == nullptr;
  if (output == nullptr) output = embedding;
  BATON_RETURN_IF_ERROR(CheckMatrix(*output, spec_.hidden_width, spec_.vocab_size));
  spec_.embedding_bytes = embedding->size_bytes;
  spec_.head_bytes = norm->size_bytes + output->size_bytes;
  return OkStatus();
}

Status SpecBuilder::CheckVocabularyKey() const {
  BATON_ASSIGN_OR_RETURN(const int32_t said, IntegerOr("vocab_size", INT32_MAX, spec_.vocab_size));
  if (said != spec_.vocab_size)
    return MakeError(Code::kInvalidArgument, "{} is {}, but token_embd.weight has {} rows",
                     Key("vocab_size"), said, spec_.vocab_size);
  return OkStatus();
}

Status SpecBuilder::ReadRope(RopeDefaults defaults) {
  RopeSpec& rope = spec_.rope;
  BATON_ASSIGN_OR_RETURN(rope.dimensions,
                         IntegerOr("rope.dimension_count", kHeadDimMax, spec_.head_dim));
  if (rope.dimensions > spec_.head_dim || rope.dimensions % 2 != 0)
    return MakeError(Code::kInvalidArgument, "{} {} is not an even number up to {}",
                     Key("rope.dimension_count"), rope.dimensions, spec_.head_dim);
  BATON_ASSIGN_OR_RETURN(const double base, NumberOr("rope.freq_base", defaults.base));
  if (!(base >= 1) || base > 1e12)
    return MakeError(Code::kInvalidArgument, "{} is {}, outside [1, 1e12]", Key("rope.freq_base"),
                     base);
  rope.base = static_cast<float>(base);
  BATON_RETURN_IF_ERROR(ReadRopeScaling(defaults));
  return ReadRopeFactors();
}

Status SpecBuilder::ReadRopeScaling(const RopeDefaults& defaults) {
  const std::string key = Key("rope.scaling.type");
  BATON_ASSIGN_OR_RETURN(const auto kind, metadata().StringOr(key, "none"));
  if (kind == "none") return ReadLinear("rope.scale_linear");
  if (kind == "linear") return ReadLinear("rope.scaling.factor");
  if (kind == "llama3") return ReadLlama3();
  if (kind == "yarn") {
    BATON_ASSIGN_OR_RETURN(const bool whole, metadata().BoolOr(Key("rope.scaling.yarn_whole_ramp"),
                                                               defaults.whole_ramp));
    return ReadYarn(whole);
  }
  return MakeError(Code::kUnimplemented,
                   "{} '{}' is not supported; supported: none, linear, llama3, yarn", key, kind);
}

Status SpecBuilder::ReadLinear(std::string_view rest) {
  BATON_ASSIGN_OR_RETURN(const double factor, PositiveOr(rest, 1.0));
  if (factor == 1.0) return OkStatus();
  spec_.rope.divisors.assign(static_cast<size_t>(spec_.rope.dimensions / 2),
                             static_cast<float>(factor));
  return OkStatus();
}

// Llama 3.1's rule, as its model card publishes it: long wavelengths are stretched by `factor`,
// short ones stay, those between are blended.
Status SpecBuilder::ReadLlama3() {
  BATON_ASSIGN_OR_RETURN(const double factor, PositiveOr("rope.scaling.factor", 8.0));
  BATON_ASSIGN_OR_RETURN(const double low, PositiveOr("rope.scaling.low_freq_factor", 1.0));
  BATON_ASSIGN_OR_RETURN(const double high, PositiveOr("rope.scaling.high_freq_factor", 4.0));
  BATON_ASSIGN_OR_RETURN(const double context,
                         PositiveOr("rope.scaling.original_context_length", 8192.0));
  if (low >= high)
    return MakeError(Code::kInvalidArgument, "{} {} is not below high_freq_factor {}",
                     Key("rope.scaling.low_freq_factor"), low, high);
  for (int32_t i = 0; i < spec_.rope.dimensions / 2; ++i) {
    const double frequency = std::pow(spec_.rope.base, -2.0 * i / spec_.rope.dimensions);
    const double wavelengths = context * frequency / (2 * std::numbers::pi);
    const double blend = std::clamp((wavelengths - low) / (high - low), 0.0, 1.0);
    spec_.rope.divisors.push_back(static_cast<float>(1 / ((1 - blend) / factor + blend)));
  }
  return OkStatus();
}

// YaRN (Peng et al. 2023, section 3.2): pairs that turn less than `slow` times within the original
// context are stretched by `factor`, those that turn more than `fast` times stay, and a ramp over
// the pairs' numbers blends those between; all grow by a magnitude.
Status SpecBuilder::ReadYarn(bool whole_ramp) {
  BATON_ASSIGN_OR_RETURN(const double factor, PositiveOr("rope.scaling.factor", 1.0));
  BATON_ASSIGN_OR_RETURN(const double context, PositiveOr("rope.scaling.original_context_length",
                                                          double(spec_.context_length)));
  BATON_ASSIGN_OR_RETURN(const double fast, PositiveOr("rope.scaling.yarn_beta_fast", 32.0));
  BATON_ASSIGN_OR_RETURN(const double slow, PositiveOr("rope.scaling.yarn_beta_slow", 1.0));
  BATON_ASSIGN_OR_RETURN(const double attention, PositiveOr("rope.scaling.attn_factor", 1.0));
  const double dimensions = spec_.rope.dimensions;
  const auto pair_that_turns = [&](double times) {
    const double wavelengths = context / (times * 2 * std::numbers::pi);
    return dimensions * std::log(wavelengths) / (2 * std::log(double{spec_.rope.base}));
  };
  double first = pair_that_turns(fast), last = pair_that_turns(slow);
  if (whole_ramp) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(0.0, first);
  last = std::min(dimensions - 1, last);
  for (int32_t i = 0; i < spec_.rope.dimensions / 2; ++i) {
    const double ramp = std::clamp((i - first) / std::max(last - first, 1e-3), 0.0, 1.0);
    spec_.rope.divisors.push_back(static_cast<float>(1 / (ramp / factor + 1 - ramp)));
  }
  // Converters write what config.json has as attention_factor, which replaces the usual growth.
  BATON_ASSIGN_OR_RETURN(
      const double growth,
      PositiveOr("rope.scaling.yarn_attn_factor", factor > 1 ? 1 + 0.1 * std::log(factor) : 1.0));
  spec_.rope.magnitude = static_cast<float>(attention * growth);
  return OkStatus();
}

Status SpecBuilder::ReadWindow(int32_t period) {
  constexpr std::string_view kWindow = "attention.sliding_window";
  BATON_ASSIGN_OR_RETURN(const int64_t window, metadata().IntegerOr(Key(kWindow), 0, INT64_MAX, 0));
  // Without a window no layer is of the kind that has one, whatever is usual with the family.
  spec_.windowed.assign(static_cast<size_t>(spec_.n_layers), false);
  if (window == 0) return OkStatus();
  BATON_ASSIGN_OR_RETURN(spec_.windowed, ReadWindowPattern(period));
  const auto& windowed = spec_.windowed;
  const bool any =
      windowed.empty() || std::find(windowed.begin(), windowed.end(), true) != windowed.end();
  if (any && window < spec_.context_length) spec_.window = static_cast<int32_t>(window);
  return OkStatus();
}

// A number p (all layers but each p-th), or a truth value for each layer.
Result<std::vector<bool>> SpecBuilder::ReadWindowPattern(int32_t period) const {
  const std::string key = Key("attention.sliding_window_pattern");
  const gguf::Value* value = metadata().Find(key);
  std::vector<bool> windowed;
  if (value != nullptr && value->type == gguf::ValueType::kArray) {
    BATON_ASSIGN_OR_RETURN(const gguf::Value flags, metadata().Array(key, gguf::ValueType::kBool));
    if (flags.count != static_cast<uint64_t>(spec_.n_layers))
      return MakeError(Code::kInvalidArgument, "key '{}' has {} elements for {} layers", key,
                       flags.count, spec_.n_layers);
    for (const uint8_t flag : flags.bytes) windowed.push_back(flag != 0);
    return windowed;
  }
  BATON_ASSIGN_OR_RETURN(const int64_t each, metadata().IntegerOr(key, 1, kLayersMax, period));
  for (int32_t layer = 0; each > 1 && layer < spec_.n_layers; ++layer)
    windowed.push_back((layer + 1) % each != 0);
  return windowed;
}

// Converters of Llama 3.1 and later store the divisors as a tensor.
Status SpecBuilder::ReadRopeFactors() {
  const TensorInfo* info = checkpoint_.Find("rope_freqs.weight");
  if (info == nullptr) return OkStatus();
  const int32_t count = spec_.rope.dimensions / 2;
  BATON_RETURN_IF_ERROR(CheckVector(*info, count));
  std::vector<float> factors(static_cast<size_t>(count));
  BATON_RETURN_IF_ERROR(checkpoint_.ReadRows(
      *info, 0, 1, {reinterpret_cast<uint8_t*>(factors.data()), factors.size() * sizeof(float)}));
  if (spec_.rope.divisors.empty()) spec_.rope.divisors.assign(factors.size(), 1.0f);
  for (size_t i = 0; i < factors.size(); ++i) {
    if (!(factors[i] > 0) || !std::isfinite(factors[i]))
      return MakeError(Code::kInvalidArgument, "tensor 'rope_freqs.weight' holds {} at {}",
                       factors[i], i);
    spec_.rope.divisors[i] *= factors[i];
  }
  return OkStatus();
}

Status SpecBuilder::ReadExpertCounts() {
  ExpertSpec& experts = spec_.experts;
  BATON_ASSIGN_OR_RETURN(const int64_t count,
                         metadata().IntegerOr(Key("expert_count"), 0, kExpertsMax, 0));
  if (count == 0) return OkStatus();
  experts.count = static_cast<int32_t>(count);
  BATON_ASSIGN_OR_RETURN(experts.used, Integer("expert_used_count", count));
  BATON_ASSIGN_OR_RETURN(experts.ffn_width,
                         IntegerOr("expert_feed_forward_length", kWidthMax, spec_.ffn_width));
  return ReadExpertLayers();
}

// Which layers have experts, where not all do; no GGUF file says it, config.json may.
Status SpecBuilder::ReadExpertLayers() {
  const std::string key = Key("expert_layers");
  if (!metadata().Has(key)) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const gguf::Value flags, metadata().Array(key, gguf::ValueType::kBool));
  if (flags.count != static_cast<uint64_t>(spec_.n_layers))
    return MakeError(Code::kInvalidArgument, "key '{}' has {} elements for {} layers", key,
                     flags.count, spec_.n_layers);
  spec_.experts.in_layer.assign(flags.bytes.begin(), flags.bytes.end());
  return OkStatus();
}

Status SpecBuilder::ReadExperts() {
  BATON_RETURN_IF_ERROR(ReadExpertCounts());
  if (spec_.experts.count == 0) return OkStatus();
  constexpr int64_t kSoftmax = 1;
  BATON_ASSIGN_OR_RETURN(const int64_t gate,
                         metadata().IntegerOr(Key("expert_gating_func"), 0, INT32_MAX, kSoftmax));
  BATON_ASSIGN_OR_RETURN(spec_.experts.normalized,
                         metadata().BoolOr(Key("expert_weights_norm"), true));
  BATON_ASSIGN_OR_RETURN(const double scale, NumberOr("expert_weights_scale", 1.0));
  if (gate != kSoftmax || scale != 1.0)
    return MakeError(Code::kUnimplemented,
                     "{} {} and expert_weights_scale {}: only softmax (1) and 1 are supported",
                     Key("expert_gating_func"), gate, scale);
  BATON_ASSIGN_OR_RETURN(const int64_t groups,
                         metadata().IntegerOr(Key("expert_group_count"), 0, INT32_MAX, 1));
  if (groups > 1)
    return MakeError(Code::kUnimplemented, "{} {}: only 1 is supported", Key("expert_group_count"),
                     groups);
  return OkStatus();
}

Status SpecBuilder::CheckLayers(LayerTensors (*tensors)(const ModelSpec& spec, int layer)) {
  spec_.exact_attention = true;
  for (int32_t layer = 0; layer < spec_.n_layers; ++layer) {
    uint64_t bytes = 0;
    uint64_t active = 0;
    for (const LayerTensor& tensor : tensors(spec_, layer)) {
      BATON_ASSIGN_OR_RETURN(const TensorInfo* info, CheckLayerTensor(layer, tensor));
      bytes += info->size_bytes;
      active += tensor.experts == 1 || tensor.heads
                    ? info->size_bytes
                    : info->size_bytes / tensor.experts * spec_.experts.used;
      spec_.exact_attention = spec_.exact_attention && info->type == DType::kF32;
    }
    spec_.layer_weight_bytes.push_back(bytes);
    spec_.layer_active_bytes.push_back(active);
  }
  return RefuseOthers(tensors);
}

Result<const TensorInfo*> SpecBuilder::CheckLayerTensor(int layer,
                                                        const LayerTensor& tensor) const {
  BATON_ASSIGN_OR_RETURN(const TensorInfo* info, Require(LayerName(layer, tensor.name)));
  BATON_RETURN_IF_ERROR(tensor.rows == 1
                            ? CheckVector(*info, tensor.cols)
                            : CheckMatrix(*info, tensor.cols, tensor.rows, tensor.experts));
  if (tensor.vectors && info->type != DType::kF32)
    return MakeError(Code::kInvalidArgument, "tensor '{}' is {}, not F32", info->name,
                     InfoOf(info->type).name);
  return info;
}

// A tensor that the forward pass would not read means that its result would be wrong.
Status SpecBuilder::RefuseOthers(LayerTensors (*tensors)(const ModelSpec& spec, int layer)) const {
  std::set<std::string, std::less<>> read;
  for (int layer = 0; layer < spec_.n_layers; ++layer) {
    for (const LayerTensor& tensor : tensors(spec_, layer))
      read.insert(LayerName(layer, tensor.name));
  }
  for (const TensorInfo& info : checkpoint_.tensors()) {
    if (info.name.starts_with(kLayerPrefix) && !read.contains(info.name))
      return MakeError(Code::kUnimplemented,
                       "tensor '{}' is not part of such a model: {} of {} layers", info.name,
                       architecture_, spec_.n_layers);
  }
  return OkStatus();
}

Result<ModelSpec> SpecBuilder::Finish() {
  for (const TensorInfo& info : checkpoint_.tensors()) {
    // Numbers that nobody trains by their gradient are no parameters.
    if (info.name.ends_with("exp_probs_b.bias") || info.name.starts_with("rope_f")) continue;
    uint64_t elements = 1;
    for (const int64_t extent : info.shape) elements *= static_cast<uint64_t>(extent);
    spec_.parameters += elements;
    const bool expert = spec_.experts.count > 0 && info.shape[2] == spec_.experts.count &&
                        info.name.find("_exps.") != std::string::npos;
    spec_.active_parameters +=
        expert ? elements / spec_.experts.count * spec_.experts.used : elements;
  }
  return std::move(spec_);
}

Result<const TensorInfo*> SpecBuilder::Require(std::string_view name) const {
  const TensorInfo* info = checkpoint_.Find(name);
  if (info == nullptr) return MakeError(Code::kInvalidArgument, "tensor '{}' is missing", name);
  return info;
}

}  // namespace baton
