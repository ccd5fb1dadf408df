#include "hub/synthetic_shape.h"

#include <algorithm>
#include <charconv>

#include <fmt/ranges.h>

#include "hub/synthetic_vocabulary.h"

namespace baton::hub {
namespace {

const std::vector<SyntheticShape>& Shapes() {
  static const std::vector<SyntheticShape> kShapes = {
      {"tiny", "llama", 4, 256, 4, 2, 64, 512, 512, 4096, 1e4f, false},
      {"tiny-tied", "llama", 4, 256, 4, 2, 64, 512, 512, 4096, 1e4f, true},
      {"small", "llama", 8, 512, 8, 2, 64, 1536, 2048, 8192, 1e4f, false},
      {"medium", "llama", 12, 1024, 16, 4, 64, 2816, 8192, 8192, 1e4f, false},
      {"tinyllama-1.1b", "llama", 22, 2048, 32, 4, 64, 5632, 32000, 2048, 1e4f, false},
      {"llama-3.2-1b", "llama", 16, 2048, 32, 8, 64, 8192, 32000, 131072, 5e5f, true},
      {"llama-3.2-3b", "llama", 28, 3072, 24, 8, 128, 8192, 128256, 131072, 5e5f, true},
      {"llama-3.1-8b", "llama", 32, 4096, 32, 8, 128, 14336, 128256, 131072, 5e5f, false},
      {"llama-3.1-70b", "llama", 80, 8192, 64, 8, 128, 28672, 128256, 131072, 5e5f, false},
      {"mistral-7b", "llama", 32, 4096, 32, 8, 128, 14336, 32768, 32768, 1e6f, false},
      {"qwen-0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6f, true},
      {"qwen-1.5b", "qwen2", 28, 1536, 12, 2, 128, 8960, 151936, 32768, 1e6f, true},
      {"qwen-7b", "qwen2", 28, 3584, 28, 4, 128, 18944, 152064, 32768, 1e6f, false},
      {"qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6f, true},
      {"qwen3-4b", "qwen3", 36, 2560, 32, 8, 128, 9728, 151936, 40960, 1e6f, true},
      {"qwen3-8b", "qwen3", 36, 4096, 32, 8, 128, 12288, 151936, 40960, 1e6f, false},
      {"tiny-moe", "qwen3moe", 4, 256, 4, 2, 64, 512, 512, 4096, 1e4f, false, 8, 2, 256},
      {"qwen3-30b-a3b", "qwen3moe", 48, 2048, 32, 4, 128, 6144, 151936, 40960, 1e6f, false, 128, 8,
       768},
      {"mixtral-8x7b", "llama", 32, 4096, 32, 8, 128, 14336, 32000, 32768, 1e6f, false, 8, 2,
       14336},
      {"tiny-gemma2", "gemma2", 4, 256, 4, 2, 64, 512, 512, 4096, 1e4f, true, 0, 0, 0, 100},
      {"tiny-gemma3", "gemma3", 7, 256, 4, 1, 64, 512, 512, 4096, 1e6f, true, 0, 0, 0, 100},
      {"tiny-gpt-oss", "gpt-oss", 4, 256, 4, 2, 64, 256, 512, 4096, 1.5e5f, false, 8, 2, 256, 100},
      {"gemma-2-2b", "gemma2", 26, 2304, 8, 4, 256, 9216, 256000, 8192, 1e4f, true, 0, 0, 0, 4096},
      {"gemma-2-9b", "gemma2", 42, 3584, 16, 8, 256, 14336, 256000, 8192, 1e4f, true, 0, 0, 0,
       4096},
      {"gemma-3-1b", "gemma3", 26, 1152, 4, 1, 256, 6912, 262144, 32768, 1e6f, true, 0, 0, 0, 512},
      {"gemma-3-4b", "gemma3", 34, 2560, 8, 4, 256, 10240, 262208, 131072, 1e6f, true, 0, 0, 0,
       1024},
      {"gpt-oss-20b", "gpt-oss", 24, 2880, 64, 8, 64, 2880, 201088, 131072, 1.5e5f, false, 32, 4,
       2880, 128},
      {"gpt-oss-120b", "gpt-oss", 36, 2880, 64, 8, 64, 2880, 201088, 131072, 1.5e5f, false, 128, 4,
       2880, 128},
      {"tiny-deepseek",
       "deepseek2",
       4,
       256,
       4,
       4,
       96,
       512,
       512,
       4096,
       1e4f,
       false,
       8,
       2,
       256,
       0,
       128,
       128,
       32,
       64,
       1,
       1,
       4,
       2,
       1},
      {"deepseek-v2-lite",
       "deepseek2",
       27,
       2048,
       16,
       16,
       192,
       10944,
       102400,
       163840,
       1e4f,
       false,
       64,
       6,
       1408,
       0,
       512,
       0,
       64,
       128,
       1,
       2},
      {"deepseek-v2", "deepseek2", 60,   5120, 128, 128,  192, 12288, 102400, 163840, 1e4f, false,
       160,           6,           1536, 0,    512, 1536, 64,  128,   1,      2,      8,    3},
      {"deepseek-v3",
       "deepseek2",
       61,
       7168,
       128,
       128,
       192,
       18432,
       129280,
       163840,
       1e4f,
       false,
       256,
       8,
       2048,
       0,
       512,
       1536,
       64,
       128,
       3,
       1,
       8,
       4,
       1},
  };
  return kShapes;
}

struct ShapeKey {
  std::string_view name;
  int32_t SyntheticShape::*field;
};
constexpr ShapeKey kShapeKeys[] = {{"layers", &SyntheticShape::n_layers},
                                   {"hidden", &SyntheticShape::hidden_width},
                                   {"heads", &SyntheticShape::n_heads},
                                   {"kv_heads", &SyntheticShape::n_kv_heads},
                                   {"head_dim", &SyntheticShape::head_dim},
                                   {"ffn", &SyntheticShape::ffn_width},
                                   {"vocab", &SyntheticShape::vocab_size},
                                   {"context", &SyntheticShape::context_length},
                                   {"experts", &SyntheticShape::n_experts},
                                   {"experts_used", &SyntheticShape::experts_used},
                                   {"expert_ffn", &SyntheticShape::expert_ffn_width},
                                   {"window", &SyntheticShape::window},
                                   {"kv_rank", &SyntheticShape::kv_rank},
                                   {"q_rank", &SyntheticShape::q_rank},
                                   {"rope_dim", &SyntheticShape::rope_dim},
                                   {"value_dim", &SyntheticShape::value_dim},
                                   {"dense_layers", &SyntheticShape::dense_layers},
                                   {"shared_experts", &SyntheticShape::shared_experts},
                                   {"groups", &SyntheticShape::groups},
                                   {"groups_used", &SyntheticShape::groups_used},
                                   {"sigmoid", &SyntheticShape::sigmoid}};

template <typename T>
Result<T> ParseNumber(std::string_view key, std::string_view text, T min, T max) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= min && value <= max))
    return MakeError(Code::kInvalidArgument, "{}={} is not a number from {} to {}", key, text, min,
                     max);
  return value;
}

constexpr std::string_view kArchitectures[] = {"llama",  "qwen2",  "qwen3",   "qwen3moe",
                                               "gemma2", "gemma3", "gpt-oss", "deepseek2"};

Status SetArchitecture(SyntheticShape& shape, std::string_view value) {
  for (const std::string_view known : kArchitectures) {
    if (known != value) continue;
    shape.architecture = known;
    return OkStatus();
  }
  return MakeError(Code::kInvalidArgument, "arch={} is not one of {}", value,
                   fmt::join(kArchitectures, ", "));
}

Status SetKey(SyntheticShape& shape, std::string_view key, std::string_view value) {
  if (key == "arch") return SetArchitecture(shape, value);
  for (const ShapeKey& row : kShapeKeys) {
    if (row.name != key) continue;
    BATON_ASSIGN_OR_RETURN(shape.*row.field, ParseNumber<int32_t>(key, value, 1, 1 << 20));
    return OkStatus();
  }
  if (key == "tied") {
    BATON_ASSIGN_OR_RETURN(const int tied, ParseNumber<int>(key, value, 0, 1));
    shape.tied_embeddings = tied == 1;
    return OkStatus();
  }
  if (key == "rope_base") {
    BATON_ASSIGN_OR_RETURN(shape.rope_base, ParseNumber<float>(key, value, 1.0f, 1e9f));
    return OkStatus();
  }
  return MakeError(
      Code::kInvalidArgument,
      "shape key '{}' is not one of arch, layers, hidden, heads, kv_heads, head_dim, ffn, "
      "vocab, context, rope_base, tied, experts, experts_used, expert_ffn, window, kv_rank, "
      "q_rank, "
      "rope_dim, value_dim, dense_layers, shared_experts, groups, groups_used, sigmoid",
      key);
}

Result<SyntheticShape> ParseCustomShape(std::string_view text) {
  SyntheticShape shape = Shapes().front();
  shape.name = "custom";
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos)
      return MakeError(Code::kInvalidArgument, "'{}' is not key=value", part);
    BATON_RETURN_IF_ERROR(SetKey(shape, part.substr(0, equals), part.substr(equals + 1)));
  }
  BATON_RETURN_IF_ERROR(CheckShape(shape));
  return shape;
}

Status CheckDeepSeek(const SyntheticShape& shape) {
  if (shape.kv_rank == 0 || shape.value_dim == 0 || shape.rope_dim % 2 != 0 ||
      shape.rope_dim == 0 || shape.rope_dim >= shape.head_dim)
    return MakeError(Code::kInvalidArgument,
                     "arch=deepseek2 with head_dim={}, kv_rank={}, rope_dim={}, value_dim={}",
                     shape.head_dim, shape.kv_rank, shape.rope_dim, shape.value_dim);
  const int32_t in_group = shape.n_experts / shape.groups;
  if (shape.n_experts == 0 || shape.n_experts % shape.groups != 0 || shape.sigmoid > 1 ||
      in_group < 1 + shape.sigmoid || shape.groups_used > shape.groups ||
      shape.experts_used > in_group * shape.groups_used || shape.dense_layers > shape.n_layers)
    return MakeError(Code::kInvalidArgument,
                     "arch=deepseek2 with experts={}, experts_used={}, groups={}, groups_used={}, "
                     "sigmoid={}, dense_layers={}",
                     shape.n_experts, shape.experts_used, shape.groups, shape.groups_used,
                     shape.sigmoid, shape.dense_layers);
  return OkStatus();
}

}  // namespace

Status CheckShape(const SyntheticShape& shape) {
  if (shape.vocab_size < kVocabularyMin)
    return MakeError(Code::kInvalidArgument, "vocab={} is below {} (bytes and control tokens)",
                     shape.vocab_size, kVocabularyMin);
  if (shape.n_heads % shape.n_kv_heads != 0)
    return MakeError(Code::kInvalidArgument, "heads={} is not a multiple of kv_heads={}",
                     shape.n_heads, shape.n_kv_heads);
  if (shape.head_dim % 2 != 0)
    return MakeError(Code::kInvalidArgument, "head_dim={} is odd", shape.head_dim);
  if (shape.experts_used > shape.n_experts || (shape.experts_used == 0) != (shape.n_experts == 0))
    return MakeError(Code::kInvalidArgument, "experts_used={} of experts={}", shape.experts_used,
                     shape.n_experts);
  if ((shape.n_experts > 0 && shape.expert_ffn_width == 0) ||
      (shape.n_experts == 0 && (shape.architecture == "qwen3moe" || shape.IsGptOss())) ||
      (shape.n_experts > 0 && shape.IsGemma()))
    return MakeError(Code::kInvalidArgument, "arch={} with experts={}, expert_ffn={}",
                     shape.architecture, shape.n_experts, shape.expert_ffn_width);
  return shape.IsDeepSeek() ? CheckDeepSeek(shape) : OkStatus();
}

std::vector<SyntheticShape> KnownShapes() {
  return Shapes();
}

Result<SyntheticShape> ParseShape(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return ParseCustomShape(text);
  std::string known;
  for (const SyntheticShape& shape : Shapes()) {
    if (shape.name == text) return shape;
    known += (known.empty() ? "" : ", ") + shape.name;
  }
  return MakeError(Code::kInvalidArgument, "shape '{}' is not one of {}, or key=value,...", text,
                   known);
}

}  // namespace baton::hub
