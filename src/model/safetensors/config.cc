#include "model/safetensors/config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/json.hpp>

#include "base/log.h"
#include "model/tokenizer/pipeline/tokenizer_document.h"

namespace baton::safetensors {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Far more than any configuration has; each takes 24 bytes.
constexpr size_t kValuesMax = 16 << 10;

// nullptr where the field is absent or null.
const value* Find(const object& config, std::string_view field) {
  const value* found = config.if_contains(field);
  return found == nullptr || found->is_null() ? nullptr : found;
}

// A value as an error shows it.
std::string Shown(const value& wrong) {
  constexpr size_t kShownMax = 64;
  if (wrong.is_object() || wrong.is_array()) return wrong.is_object() ? "an object" : "an array";
  return log::Escape(boost::json::serialize(wrong).substr(0, kShownMax));
}

Error Wrong(std::string_view field, const value& found, std::string_view wanted) {
  return MakeError(Code::kInvalidArgument, "config.json: field '{}' is {}, not {}", field,
                   Shown(found), wanted);
}

Error Unsupported(std::string_view field, const value& found, std::string_view wanted) {
  return MakeError(Code::kUnimplemented, "config.json: field '{}' is {}; supported: {}", field,
                   Shown(found), wanted);
}

// What a GGUF key of 32 bits holds.
Result<std::optional<int64_t>> IntegerIn(const object& config, std::string_view field) {
  const value* found = Find(config, field);
  if (found == nullptr) return std::optional<int64_t>();
  if (!found->is_int64() || found->get_int64() < 0 ||
      found->get_int64() > std::numeric_limits<uint32_t>::max())
    return Wrong(field, *found, "a whole number below 2^32");
  return std::optional(found->get_int64());
}

Result<std::optional<double>> NumberIn(const object& config, std::string_view field) {
  const value* found = Find(config, field);
  if (found == nullptr) return std::optional<double>();
  boost::system::error_code error;
  const auto number = found->to_number<double>(error);
  if (error || !(std::abs(number) <= std::numeric_limits<float>::max()))
    return Wrong(field, *found, "a number");
  return std::optional(number);
}

Result<std::string_view> TextOr(const object& config, std::string_view field,
                                std::string_view otherwise) {
  const value* found = Find(config, field);
  if (found == nullptr) return otherwise;
  if (!found->is_string()) return Wrong(field, *found, "a string");
  return std::string_view(found->get_string());
}

Result<bool> BoolIn(const object& config, std::string_view field, bool otherwise) {
  const value* found = Find(config, field);
  if (found == nullptr) return otherwise;
  if (!found->is_bool()) return Wrong(field, *found, "true or false");
  return found->get_bool();
}

Result<const object*> ObjectIn(const object& config, std::string_view field) {
  const value* found = Find(config, field);
  if (found == nullptr) return static_cast<const object*>(nullptr);
  if (!found->is_object()) return Wrong(field, *found, "an object");
  return &found->get_object();
}

Result<object> ParseObject(std::string_view text, std::string_view file) {
  if (text.size() > kConfigBytesMax)
    return MakeError(Code::kInvalidArgument, "{} has {} bytes, more than {}", file, text.size(),
                     kConfigBytesMax);
  return ParseBoundedObject(text, file, {.values_max = kValuesMax});
}

// "architectures": ["LlamaForCausalLM"].
Result<const Architecture*> ArchitectureOf(const object& config) {
  const value* names = Find(config, "architectures");
  if (names == nullptr || !names->is_array() || names->get_array().size() != 1 ||
      !names->get_array()[0].is_string())
    return MakeError(Code::kInvalidArgument,
                     "config.json: field 'architectures' is {}, not a list of one name",
                     names == nullptr ? "missing" : Shown(*names));
  return FindArchitecture(std::string_view(names->get_array()[0].get_string()));
}

// Of a wrapper's config.json what its text model's would say: the fields of text_config, how
// weights are stored, and whether the head is tied.
Result<object> WithinText(const object& config, const char* defaults) {
  BATON_ASSIGN_OR_RETURN(const object* text, ObjectIn(config, "text_config"));
  if (text == nullptr)
    return MakeError(Code::kInvalidArgument, "config.json: field 'text_config' is missing");
  object merged = *text;
  for (const std::string_view field :
       {"quantization", "quantization_config", "tie_word_embeddings"}) {
    const value* found = Find(config, field);
    if (found != nullptr && Find(*text, field) == nullptr) merged[field] = *found;
  }
  const bool newer = Find(*text, "rope_parameters") != nullptr;
  const bool listed = Find(*text, "layer_types") != nullptr;
  const value defaulted = boost::json::parse(defaults);
  for (const auto& field : defaulted.get_object()) {
    const bool replaced = (newer && field.key().starts_with("rope_")) ||
                          (listed && field.key() == "sliding_window_pattern");
    if (!replaced && merged.find(field.key()) == merged.end()) merged[field.key()] = field.value();
  }
  return merged;
}

// ---- how weights are stored ----

Result<MlxGroups> ReadMlxGroups(const object& groups, MlxGroups otherwise) {
  BATON_ASSIGN_OR_RETURN(const auto bits, IntegerIn(groups, "bits"));
  BATON_ASSIGN_OR_RETURN(const auto size, IntegerIn(groups, "group_size"));
  BATON_ASSIGN_OR_RETURN(const auto mode, TextOr(groups, "mode", "affine"));
  const MlxGroups read = {bits.value_or(otherwise.bits), size.value_or(otherwise.size),
                          mode == "mxfp4"};
  const bool affine = mode == "affine" && (read.bits == 4 || read.bits == 8) &&
                      (read.size == 32 || read.size == 64 || read.size == 128);
  if (!affine && !(read.mxfp4 && read.bits == 4 && read.size == 32))
    return MakeError(Code::kUnimplemented,
                     "config.json: quantization by {} bits in groups of {}, mode '{}', is not "
                     "supported; supported: 4 or 8 bits in groups of 32, 64 or 128, affine, and 4 "
                     "bits in groups of 32, mxfp4",
                     read.bits, read.size, log::Escape(mode.substr(0, 32)));
  return read;
}

Result<Quantization> ReadMlx(const object& groups) {
  Quantization quantization{.method = Quantization::Method::kMlx};
  BATON_ASSIGN_OR_RETURN(quantization.mlx, ReadMlxGroups(groups, {}));
  for (const auto& member : groups) {
    if (!member.value().is_object()) continue;  // or false: then its scales are absent
    BATON_ASSIGN_OR_RETURN(quantization.mlx_modules[std::string(member.key())],
                           ReadMlxGroups(member.value().get_object(), quantization.mlx));
  }
  return quantization;
}

// ---- FP8: one scale for a block, a row or all of a matrix ----

Quantization OfF8(const F8Scales& f8) {
  return {.method = Quantization::Method::kF8, .f8 = f8};
}

// [rows, columns].
Result<F8Scales> ReadF8Block(std::string_view field, const value& block) {
  constexpr int64_t kSideMax = 1 << 16;
  const auto* sides = block.if_array();
  const auto side = [&](size_t i) {
    const auto* extent = (*sides)[i].if_int64();
    return extent == nullptr || *extent > kSideMax ? 0 : *extent;
  };
  if (sides == nullptr || sides->size() != 2 || side(0) < 1 || side(1) < 1)
    return MakeError(Code::kUnimplemented,
                     "config.json: fp8 with a {} of {} is not supported, only [128, 128] and other "
                     "blocks up to {} on a side",
                     field, log::Escape(boost::json::serialize(block).substr(0, 64)), kSideMax);
  return F8Scales{.block_rows = side(0), .block_columns = side(1)};
}

// Without blocks there is one scale for each matrix. Not to mention blocks means 128 x 128 to
// transformers and no blocks to others: the scales tell.
Result<Quantization> ReadF8(const object& config) {
  BATON_ASSIGN_OR_RETURN(const auto format, TextOr(config, "fmt", "e4m3"));
  if (format != "e4m3") return Unsupported("fmt", *Find(config, "fmt"), "e4m3");
  constexpr std::string_view kBlock = "weight_block_size";
  const value* block = Find(config, kBlock);
  if (block != nullptr) {
    BATON_ASSIGN_OR_RETURN(const F8Scales f8, ReadF8Block(kBlock, *block));
    return OfF8(f8);
  }
  const int64_t usual = config.contains(kBlock) ? 0 : 128;
  return OfF8({.block_rows = usual, .block_columns = usual, .whole = true});
}

// Of compressed-tensors' QuantizationScheme: format, and the type of weights.
Status RequireF8(const object& weights, std::string_view format) {
  BATON_ASSIGN_OR_RETURN(const auto type, TextOr(weights, "type", "int"));
  BATON_ASSIGN_OR_RETURN(const auto bits, IntegerIn(weights, "num_bits"));
  BATON_ASSIGN_OR_RETURN(const bool symmetric, BoolIn(weights, "symmetric", true));
  const bool floats = format == "float-quantized" || format == "naive-quantized";
  if (floats && type == "float" && bits.value_or(8) == 8 && symmetric) return OkStatus();
  return MakeError(Code::kUnimplemented,
                   "config.json: compressed-tensors of format '{}' with {} {}bits of type '{}' is "
                   "not supported; supported: 'float-quantized' with 8 bits of type 'float'",
                   log::Escape(format.substr(0, 32)), bits.value_or(8),
                   symmetric ? "" : "asymmetric ", log::Escape(type.substr(0, 32)));
}

// One of config_groups; with nothing where it has no weights.
Result<F8Scales> ReadCompressedGroup(const object& group, std::string_view usual_format) {
  BATON_ASSIGN_OR_RETURN(const object* weights, ObjectIn(group, "weights"));
  if (weights == nullptr) return F8Scales{};
  BATON_ASSIGN_OR_RETURN(const auto format, TextOr(group, "format", usual_format));
  BATON_RETURN_IF_ERROR(RequireF8(*weights, format));
  BATON_ASSIGN_OR_RETURN(const auto strategy, TextOr(*weights, "strategy", "tensor"));
  if (strategy == "tensor" || strategy == "channel") return F8Scales{.whole = true};
  if (strategy != "block")
    return Unsupported("strategy", *Find(*weights, "strategy"), "tensor, channel, block");
  const value* block = Find(*weights, "block_structure");
  return ReadF8Block("block_structure", block == nullptr ? value() : *block);
}

Result<F8Scales> Both(const F8Scales& a, const F8Scales& b) {
  const bool differ = a.block_rows != b.block_rows || a.block_columns != b.block_columns;
  if (a.block_rows > 0 && b.block_rows > 0 && differ)
    return MakeError(Code::kUnimplemented,
                     "config.json: blocks of {}x{} in one of 'config_groups' and of {}x{} in "
                     "another are not supported",
                     a.block_rows, a.block_columns, b.block_rows, b.block_columns);
  return F8Scales{std::max(a.block_rows, b.block_rows), std::max(a.block_columns, b.block_columns),
                  a.whole || b.whole};
}

Result<Quantization> ReadCompressed(const object& config) {
  BATON_ASSIGN_OR_RETURN(const object* sparsity, ObjectIn(config, "sparsity_config"));
  const object none;
  BATON_ASSIGN_OR_RETURN(const auto sparse,
                         TextOr(sparsity == nullptr ? none : *sparsity, "format", "dense"));
  if (sparse != "dense") return Unsupported("sparsity_config", *Find(*sparsity, "format"), "dense");
  BATON_ASSIGN_OR_RETURN(const auto format, TextOr(config, "format", ""));
  BATON_ASSIGN_OR_RETURN(const object* groups, ObjectIn(config, "config_groups"));
  F8Scales f8;
  for (const auto& member : groups == nullptr ? none : *groups) {
    BATON_ASSIGN_OR_RETURN(const object* group, ObjectIn(*groups, member.key()));
    BATON_ASSIGN_OR_RETURN(const F8Scales read,
                           ReadCompressedGroup(group == nullptr ? none : *group, format));
    BATON_ASSIGN_OR_RETURN(f8, Both(f8, read));
  }
  if (f8.block_rows == 0 && !f8.whole)
    return MakeError(Code::kInvalidArgument, "config.json: field 'config_groups' names no weights");
  return OfF8(f8);
}

Result<Quantization> ReadQuantization(const object& config) {
  BATON_ASSIGN_OR_RETURN(const object* mlx, ObjectIn(config, "quantization"));
  if (mlx != nullptr) return ReadMlx(*mlx);
  BATON_ASSIGN_OR_RETURN(const object* other, ObjectIn(config, "quantization_config"));
  if (other == nullptr) return Quantization{};
  BATON_ASSIGN_OR_RETURN(const auto method, TextOr(*other, "quant_method", ""));
  if (method == "fp8") return ReadF8(*other);
  if (method == "fbgemm_fp8") return OfF8({.whole = true});
  if (method == "compressed-tensors") return ReadCompressed(*other);
  if (method == "modelopt") {
    BATON_ASSIGN_OR_RETURN(const auto algorithm, TextOr(*other, "quant_algo", ""));
    if (algorithm == "FP8") return OfF8({.whole = true});
    return MakeError(Code::kUnimplemented,
                     "config.json: field 'quant_algo' is '{}'; supported: FP8",
                     log::Escape(algorithm.substr(0, 64)));
  }
  if (method == "mxfp4") return Quantization{.method = Quantization::Method::kMxfp4};
  if (method.empty() && Find(*other, "group_size") != nullptr) return ReadMlx(*other);
  return MakeError(Code::kUnimplemented,
                   "config.json: weights quantised by '{}' are not supported; supported: fp8, "
                   "fbgemm_fp8, compressed-tensors and modelopt of fp8, mxfp4, MLX",
                   log::Escape(method.substr(0, 64)));
}

// ---- generation_config.json: how its author would draw tokens ----

Status AddSampling(std::string_view text, gguf::HeaderBuilder& header) {
  if (text.empty()) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const object config, ParseObject(text, "generation_config.json"));
  const auto sample = BoolIn(config, "do_sample", true);
  if (!sample.ok() || !*sample) return OkStatus();
  struct Row {
    std::string_view field;
    std::string_view key;
  };
  for (const Row& row :
       {Row{"temperature", "general.sampling.temp"}, Row{"top_p", "general.sampling.top_p"},
        Row{"min_p", "general.sampling.min_p"}}) {
    const auto number = NumberIn(config, row.field);  // advice: what is no number is none
    if (number.ok() && number->has_value())
      header.AddFloat32(row.key, static_cast<float>(**number));
  }
  const auto top_k = IntegerIn(config, "top_k");
  if (top_k.ok() && top_k->has_value())
    header.AddUint32("general.sampling.top_k", static_cast<uint32_t>(**top_k));
  return OkStatus();
}

constexpr int64_t kLayersMax = 4096;  // as SpecBuilder has it
constexpr size_t kFactorsMax = 4096;

double YarnGrowth(double factor, double scale = 1) {
  return factor > 1 ? 0.1 * scale * std::log(factor) + 1 : 1;
}

}  // namespace

const MlxGroups& Quantization::MlxOf(std::string_view module) const {
  const auto at = mlx_modules.find(module);
  return at == mlx_modules.end() ? mlx : at->second;
}

std::string ConfigReader::Key(std::string_view rest) const {
  return fmt::format("{}.{}", architecture_.gguf, rest);
}

Result<std::optional<int64_t>> ConfigReader::Integer(std::string_view field) const {
  return IntegerIn(config_, field);
}

Result<bool> ConfigReader::BoolOr(std::string_view field, bool otherwise) const {
  return BoolIn(config_, field, otherwise);
}

Result<std::string> ConfigReader::Text(std::string_view field, std::string_view otherwise) const {
  BATON_ASSIGN_OR_RETURN(const auto text, TextOr(config_, field, otherwise));
  return std::string(text);
}

Status ConfigReader::AddFields() {
  std::map<std::string_view, int64_t> added;  // of some keys there are several names
  for (const FieldRow& row : architecture_.fields) {
    if (row.kind == FieldKind::kNumber) {
      BATON_ASSIGN_OR_RETURN(const auto number, NumberIn(config_, row.hub));
      if (number) header_.AddFloat32(Key(row.gguf), static_cast<float>(*number));
      continue;
    }
    BATON_ASSIGN_OR_RETURN(const auto integer, Integer(row.hub));
    if (!integer) continue;
    const auto [at, is_new] = added.emplace(row.gguf, *integer);
    if (is_new) header_.AddUint32(Key(row.gguf), static_cast<uint32_t>(*integer));
    if (at->second != *integer)
      return MakeError(Code::kInvalidArgument,
                       "config.json: field '{}' is {}, but {} by another name", row.hub, *integer,
                       at->second);
  }
  return OkStatus();
}

Status ConfigReader::RequireText(std::string_view field, std::string_view required) const {
  BATON_ASSIGN_OR_RETURN(const auto text, TextOr(config_, field, required));
  return text == required ? OkStatus()
                          : Status(Unsupported(field, *Find(config_, field), required));
}

Status ConfigReader::RequireInteger(std::string_view field, int64_t required) const {
  BATON_ASSIGN_OR_RETURN(const auto integer, Integer(field));
  if (integer.value_or(required) == required) return OkStatus();
  return Unsupported(field, *Find(config_, field), fmt::format("{}", required));
}

Status ConfigReader::RequireNumber(std::string_view field, double required) const {
  BATON_ASSIGN_OR_RETURN(const auto number, NumberIn(config_, field));
  if (number.value_or(required) == required) return OkStatus();
  return Unsupported(field, *Find(config_, field), fmt::format("{}", required));
}

Status ConfigReader::RequireBool(std::string_view field, bool required, bool otherwise) const {
  BATON_ASSIGN_OR_RETURN(const bool found, BoolOr(field, otherwise));
  if (found == required) return OkStatus();
  return MakeError(Code::kUnimplemented, "config.json: field '{}' is {}; supported: {}", field,
                   found, required);
}

void ConfigReader::AddHalves() {
  header_.AddBool(Key("rope.halves"), true);
}

Status ConfigReader::AddQueryScale(std::string_view field) {
  BATON_ASSIGN_OR_RETURN(const auto scalar, NumberIn(config_, field));
  if (!scalar) return OkStatus();
  if (!(*scalar > 0)) return Wrong(field, *Find(config_, field), "a positive number");
  header_.AddFloat32(Key("attention.scale"), static_cast<float>(1 / std::sqrt(*scalar)));
  return OkStatus();
}

void ConfigReader::AddInteger(std::string_view key, int64_t value) {
  header_.AddUint32(Key(key), static_cast<uint32_t>(value));
}

void ConfigReader::AddBool(std::string_view key, bool value) {
  header_.AddBool(Key(key), value);
}

Status ConfigReader::AddSum(std::string_view field, std::string_view other, std::string_view key) {
  int64_t sum = 0;
  for (const std::string_view each : {field, other}) {
    BATON_ASSIGN_OR_RETURN(const auto integer, Integer(each));
    if (!integer)
      return MakeError(Code::kInvalidArgument, "config.json: field '{}' is missing", each);
    sum += *integer;
  }
  AddInteger(key, sum);
  return OkStatus();
}

Status ConfigReader::AddGroups() {
  BATON_ASSIGN_OR_RETURN(const auto groups, Integer("n_group"));
  BATON_ASSIGN_OR_RETURN(const auto used, Integer("topk_group"));
  AddInteger("expert_group_count", groups.value_or(1));
  AddInteger("expert_group_used_count", used.value_or(groups.value_or(1)));
  return OkStatus();
}

Status ConfigReader::AddMagnitudeOfScores() {
  BATON_ASSIGN_OR_RETURN(const object* rope, RopeObject());
  if (rope == nullptr) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const auto all, NumberIn(*rope, "mscale_all_dim"));
  if (all.value_or(0) != 0)
    header_.AddFloat32(Key("rope.scaling.yarn_log_multiplier"), static_cast<float>(0.1 * *all));
  return OkStatus();
}

Status ConfigReader::AddQueryGrowth() {
  BATON_ASSIGN_OR_RETURN(const object* rope, RopeObject());
  const bool there = rope != nullptr && Find(*rope, "llama_4_scaling_beta") != nullptr;
  if (!there)
    return MakeError(Code::kInvalidArgument,
                     "config.json: field 'llama_4_scaling_beta' of rope_parameters is missing");
  BATON_ASSIGN_OR_RETURN(const auto beta, NumberIn(*rope, "llama_4_scaling_beta"));
  if (*beta != 0) header_.AddFloat32(Key("attention.temperature_scale"), static_cast<float>(*beta));
  return OkStatus();
}

void ConfigReader::AddHeadDimOr(int64_t otherwise) {
  if (config_.if_contains("head_dim") != nullptr) return;
  AddInteger("attention.key_length", otherwise);
  AddInteger("attention.value_length", otherwise);
}

// Older files have rope_theta and rope_scaling, newer ones all of it in rope_parameters, where
// kinds of layers may have their own.
Result<const object*> ConfigReader::RopeObject() {
  BATON_ASSIGN_OR_RETURN(const object* newer, ObjectIn(config_, "rope_parameters"));
  if (newer == nullptr) return ObjectIn(config_, "rope_scaling");
  BATON_ASSIGN_OR_RETURN(const object* full, ObjectIn(*newer, "full_attention"));
  BATON_ASSIGN_OR_RETURN(const object* sliding, ObjectIn(*newer, "sliding_attention"));
  if (full == nullptr && sliding == nullptr) return newer;
  if (full == nullptr || sliding == nullptr)
    return Wrong("rope_parameters", *Find(config_, "rope_parameters"), "for both kinds of layers");
  BATON_ASSIGN_OR_RETURN(const auto kind, TextOr(*sliding, "rope_type", "default"));
  if (kind != "default") return Unsupported("rope_type", *Find(*sliding, "rope_type"), "default");
  BATON_RETURN_IF_ERROR(AddRopeNumber(*sliding, "rope_theta", "rope.freq_base_swa"));
  return full;
}

Status ConfigReader::AddRope(const RopeHabits& habits) {
  BATON_ASSIGN_OR_RETURN(const object* found, RopeObject());
  const value usual = boost::json::parse(habits.parameters);
  const object& rope = found != nullptr ? *found : usual.get_object();
  const bool newer = Find(config_, "rope_parameters") != nullptr;
  if (!newer)
    BATON_RETURN_IF_ERROR(AddRopeNumber(config_, "rope_local_base_freq", "rope.freq_base_swa"));
  const auto number = [&](std::string_view field) {
    return NumberIn(Find(rope, field) != nullptr ? rope : config_, field);
  };
  BATON_ASSIGN_OR_RETURN(const auto theta, number("rope_theta"));
  if (theta || habits.theta)
    header_.AddFloat32(Key("rope.freq_base"), static_cast<float>(theta ? *theta : *habits.theta));
  BATON_ASSIGN_OR_RETURN(const auto part, number("partial_rotary_factor"));
  if (part && *part != 1) {
    BATON_ASSIGN_OR_RETURN(const auto hidden, Integer("hidden_size"));
    BATON_ASSIGN_OR_RETURN(const auto heads, Integer("num_attention_heads"));
    BATON_ASSIGN_OR_RETURN(const auto head_dim, Integer("head_dim"));
    const int64_t dimensions =
        head_dim.value_or(hidden.value_or(0) / std::max<int64_t>(heads.value_or(1), 1));
    if (!(*part > 0 && *part <= 1))
      return MakeError(Code::kInvalidArgument,
                       "config.json: field 'partial_rotary_factor' is {}, outside (0, 1]", *part);
    header_.AddUint32(Key("rope.dimension_count"),
                      static_cast<uint32_t>(static_cast<double>(dimensions) * *part));
  }
  return AddRopeScaling(rope, newer || habits.older_type);
}

Status ConfigReader::AddRopeNumber(const object& rope, std::string_view field,
                                   std::string_view key) {
  BATON_ASSIGN_OR_RETURN(const auto number, NumberIn(rope, field));
  if (number) header_.AddFloat32(Key(key), static_cast<float>(*number));
  return OkStatus();
}

Status ConfigReader::AddRopeScaling(const object& rope, bool older_type) {
  BATON_ASSIGN_OR_RETURN(const auto older, TextOr(rope, "type", "default"));
  BATON_ASSIGN_OR_RETURN(const auto kind,
                         TextOr(rope, "rope_type", older_type ? older : "default"));
  // NTK scaling that is dynamic turns as if there were none up to max_position_embeddings, which is
  // as far as we go.
  if (kind == "default" || kind == "dynamic") return OkStatus();
  if (kind == "longrope" || kind == "su") return AddLongRope(rope);
  if (kind != "linear" && kind != "llama3" && kind != "yarn")
    return MakeError(Code::kUnimplemented,
                     "config.json: rope type '{}' is not supported; supported: default, linear, "
                     "llama3, yarn, longrope, dynamic",
                     log::Escape(kind.substr(0, 64)));
  header_.AddString(Key("rope.scaling.type"), kind);
  if (kind == "yarn") return AddYarn(rope);
  BATON_RETURN_IF_ERROR(AddRopeNumber(rope, "factor", "rope.scaling.factor"));
  if (kind == "linear") return OkStatus();
  BATON_RETURN_IF_ERROR(AddRopeNumber(rope, "low_freq_factor", "rope.scaling.low_freq_factor"));
  BATON_RETURN_IF_ERROR(AddRopeNumber(rope, "high_freq_factor", "rope.scaling.high_freq_factor"));
  return AddRopeNumber(rope, "original_max_position_embeddings",
                       "rope.scaling.original_context_length");
}

// As _compute_yarn_parameters of transformers (modeling_rope_utils.py) reads the fields; the rest
// of the rule is SpecBuilder::ReadYarn.
Status ConfigReader::AddYarn(const object& rope) {
  BATON_ASSIGN_OR_RETURN(const auto context, NumberIn(config_, "max_position_embeddings"));
  BATON_ASSIGN_OR_RETURN(const auto original, NumberIn(rope, "original_max_position_embeddings"));
  BATON_ASSIGN_OR_RETURN(const auto said, NumberIn(rope, "factor"));
  BATON_ASSIGN_OR_RETURN(const auto attention, NumberIn(rope, "attention_factor"));
  BATON_ASSIGN_OR_RETURN(const bool whole, BoolIn(rope, "truncate", true));
  header_.AddBool(Key("rope.scaling.yarn_whole_ramp"), whole);
  BATON_ASSIGN_OR_RETURN(const auto scale, NumberIn(rope, "mscale"));
  BATON_ASSIGN_OR_RETURN(const auto scale_all, NumberIn(rope, "mscale_all_dim"));
  const double unscaled = original.value_or(context.value_or(0));
  const double factor = said.value_or(context.value_or(0) / unscaled);
  double growth = attention.value_or(YarnGrowth(factor));
  if (!attention && scale.value_or(0) != 0 && scale_all.value_or(0) != 0)
    growth = YarnGrowth(factor, *scale) / YarnGrowth(factor, *scale_all);
  header_.AddFloat32(Key("rope.scaling.factor"), static_cast<float>(factor));
  header_.AddFloat32(Key("rope.scaling.original_context_length"), static_cast<float>(unscaled));
  header_.AddFloat32(Key("rope.scaling.attn_factor"),
                     static_cast<float>(growth / YarnGrowth(factor)));
  BATON_RETURN_IF_ERROR(AddRopeNumber(rope, "beta_fast", "rope.scaling.yarn_beta_fast"));
  return AddRopeNumber(rope, "beta_slow", "rope.scaling.yarn_beta_slow");
}

// As _compute_longrope_parameters of transformers (modeling_rope_utils.py) has it; older files have
// the original context outside.
Status ConfigReader::AddLongRope(const object& rope) {
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  BATON_ASSIGN_OR_RETURN(const auto context, NumberIn(config_, "max_position_embeddings"));
  BATON_ASSIGN_OR_RETURN(const auto original,
                         IntegerIn(Find(rope, kOriginal) != nullptr ? rope : config_, kOriginal));
  BATON_ASSIGN_OR_RETURN(const auto said, NumberIn(rope, "factor"));
  BATON_ASSIGN_OR_RETURN(const auto attention, NumberIn(rope, "attention_factor"));
  if (original.value_or(0) < 2)
    return MakeError(Code::kInvalidArgument,
                     "config.json: field '{}' is {}, which longrope takes a number of tokens from",
                     kOriginal, original ? fmt::format("{}", *original) : "missing");
  const auto short_tokens = static_cast<double>(*original);
  const double factor = said.value_or(context.value_or(0) / short_tokens);
  const double growth = factor > 1 ? std::sqrt(1 + std::log(factor) / std::log(short_tokens)) : 1;
  header_.AddString(Key("rope.scaling.type"), "longrope");
  AddInteger("rope.scaling.original_context_length", *original);
  header_.AddFloat32(Key("rope.scaling.attn_factor"),
                     static_cast<float>(attention.value_or(growth)));
  for (const auto& [field, key] : {std::pair("short_factor", "rope.scaling.short_factors"),
                                   std::pair("long_factor", "rope.scaling.long_factors")}) {
    const value* found = Find(rope, field);
    const array* list = found == nullptr ? nullptr : found->if_array();
    if (list == nullptr || list->size() > kFactorsMax)
      return MakeError(Code::kInvalidArgument, "config.json: field '{}' is {}, not a list", field,
                       found == nullptr ? "missing" : Shown(*found));
    std::vector<float> factors;
    for (const value& each : *list) {
      boost::system::error_code error;
      factors.push_back(static_cast<float>(each.to_number<double>(error)));
      if (error) return Wrong(field, each, "a list of numbers");
    }
    header_.AddFloat32s(Key(key), factors);
  }
  return OkStatus();
}

// Newer files say of each layer what it is. Of older ones Qwen2's have the window behind the first
// max_window_layers, and Gemma 3 all but each sliding_window_pattern-th. Empty: what is usual with
// the family.
Result<std::vector<bool>> ConfigReader::WindowedLayers() const {
  BATON_ASSIGN_OR_RETURN(const auto layers, Integer("num_hidden_layers"));
  BATON_ASSIGN_OR_RETURN(const auto first, Integer("max_window_layers"));
  const value* types = Find(config_, "layer_types");
  std::vector<bool> windowed;
  if (types == nullptr) {
    BATON_ASSIGN_OR_RETURN(const auto period, Integer("sliding_window_pattern"));
    const bool behind = first && Find(config_, "use_sliding_window") != nullptr;
    const int64_t count = behind || period.value_or(0) > 0 ? layers.value_or(0) : 0;
    for (int64_t i = 0; i < std::min(count, kLayersMax); ++i)
      windowed.push_back(behind ? i >= *first : (i + 1) % *period != 0);
    return windowed;
  }
  const auto* list = types->if_array();
  if (list == nullptr || static_cast<int64_t>(list->size()) != layers.value_or(0))
    return Wrong("layer_types", *types, "a list with an entry for each layer");
  for (const value& type : *list) {
    const bool is_window = type == "sliding_attention";
    if (!is_window && type != "full_attention")
      return Unsupported("layer_types", type, "sliding_attention, full_attention");
    windowed.push_back(is_window);
  }
  return windowed;
}

Status ConfigReader::AddWindow() {
  BATON_ASSIGN_OR_RETURN(const auto window, Integer("sliding_window"));
  const bool usual = !architecture_.gguf.starts_with("qwen");
  BATON_ASSIGN_OR_RETURN(const bool used, BoolOr("use_sliding_window", usual));
  if (!window || !used) return OkStatus();
  BATON_ASSIGN_OR_RETURN(const std::vector<bool> windowed, WindowedLayers());
  header_.AddUint32(Key("attention.sliding_window"), static_cast<uint32_t>(*window));
  if (!windowed.empty()) header_.AddBools(Key("attention.sliding_window_pattern"), windowed);
  return OkStatus();
}

Status ConfigReader::AddLayersWithExperts(std::string_view step_field,
                                          std::string_view dense_field) {
  BATON_ASSIGN_OR_RETURN(const auto layers, Integer("num_hidden_layers"));
  BATON_ASSIGN_OR_RETURN(const auto step, Integer(step_field));
  std::vector<bool> flags;
  for (int64_t i = 0; i < std::min(layers.value_or(0), kLayersMax); ++i)
    flags.push_back(step.value_or(1) > 0 && (i + 1) % step.value_or(1) == 0);
  const value* dense = Find(config_, dense_field);
  const auto* list = dense == nullptr ? nullptr : dense->if_array();
  if (dense != nullptr && list == nullptr) return Wrong(dense_field, *dense, "a list of layers");
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto* layer = (*list)[i].if_int64();
    if (layer == nullptr || *layer < 0) return Wrong(dense_field, (*list)[i], "layers");
    if (*layer < static_cast<int64_t>(flags.size())) flags[static_cast<size_t>(*layer)] = false;
  }
  const bool all = std::find(flags.begin(), flags.end(), false) == flags.end();
  if (!all) header_.AddBools(Key("expert_layers"), flags);
  return OkStatus();
}

void ConfigReader::AddNoneWhereNull(std::string_view field) {
  const value* found = config_.if_contains(field);
  if (found != nullptr && found->is_null()) header_.AddFloat32(Key(field), 0);
}

Result<HubConfig> ReadConfig(std::string_view config, std::string_view generation_config,
                             std::string_view name, std::string_view license) {
  BATON_ASSIGN_OR_RETURN(object parsed, ParseObject(config, "config.json"));
  HubConfig read;
  BATON_ASSIGN_OR_RETURN(read.architecture, ArchitectureOf(parsed));
  if (read.architecture->text_defaults != nullptr) {
    BATON_ASSIGN_OR_RETURN(parsed, WithinText(parsed, read.architecture->text_defaults));
  }
  const value usual = boost::json::parse(read.architecture->usual);
  for (const auto& field : usual.get_object()) {
    if (!parsed.contains(field.key())) parsed[field.key()] = field.value();
  }
  BATON_ASSIGN_OR_RETURN(read.quantization, ReadQuantization(parsed));
  BATON_ASSIGN_OR_RETURN(read.tied,
                         BoolIn(parsed, "tie_word_embeddings", read.architecture->tied_by_default));
  gguf::HeaderBuilder header;
  header.AddString("general.architecture", read.architecture->gguf);
  header.AddString("general.name", name);
  if (!license.empty()) header.AddString("general.license", license);
  ConfigReader reader(*read.architecture, parsed, header);
  BATON_ASSIGN_OR_RETURN(const auto layers, reader.Integer("num_hidden_layers"));
  BATON_ASSIGN_OR_RETURN(const auto predict, reader.Integer("num_nextn_predict_layers"));
  read.layers = {layers.value_or(0), predict.value_or(0)};
  BATON_RETURN_IF_ERROR(reader.AddFields());
  BATON_RETURN_IF_ERROR(read.architecture->more(reader));
  BATON_RETURN_IF_ERROR(AddSampling(generation_config, header));
  read.metadata = header.Build();
  return read;
}

}  // namespace baton::safetensors
