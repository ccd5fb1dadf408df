#include "hub/synthetic_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <thread>

#include <fmt/ranges.h>

#include "base/random.h"
#include "model/gguf/writer.h"
#include "model/tokenizer/byte_characters.h"
#include "os/system.h"
#include "tensor/blocks.h"

namespace baton::hub {
namespace {

constexpr int32_t kControlTokens = 5;
constexpr int32_t kVocabularyMin = 256 + kControlTokens;
constexpr size_t kChunkBlocks = 1 << 16;  // blocks per chunk of work; part of the seed's meaning

// Gains over 1 / sqrt(inputs): attention must be peaked enough to depend on the context, and layers
// must outweigh the small embedding, or a tied head would repeat the last token.
constexpr float kMatrixGain = 1.5f;
constexpr float kEmbeddingDeviation = 0.05f;

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
  };
  return kShapes;
}

// --- shapes from text -----------------------------------------------------------------------

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
                                   {"expert_ffn", &SyntheticShape::expert_ffn_width}};

template <typename T>
Result<T> ParseNumber(std::string_view key, std::string_view text, T min, T max) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= min && value <= max))
    return MakeError(Code::kInvalidArgument, "{}={} is not a number from {} to {}", key, text, min,
                     max);
  return value;
}

constexpr std::string_view kArchitectures[] = {"llama", "qwen2", "qwen3", "qwen3moe"};

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
      "vocab, context, rope_base, tied, experts, experts_used, expert_ffn",
      key);
}

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
      (shape.n_experts == 0 && shape.architecture == "qwen3moe"))
    return MakeError(Code::kInvalidArgument, "arch={} with experts={}, expert_ffn={}",
                     shape.architecture, shape.n_experts, shape.expert_ffn_width);
  return OkStatus();
}

Status CheckType(const std::string& type) {
  const std::vector<std::string>& known = SyntheticTypes();
  if (std::find(known.begin(), known.end(), type) != known.end()) return OkStatus();
  return MakeError(Code::kInvalidArgument, "type '{}' is not one of {}", type,
                   fmt::join(known, ", "));
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

// --- random blocks --------------------------------------------------------------------------

Half ToHalf(float value) {
  // Round to nearest even; the values here are normal numbers in range.
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude < 0x38800000) {  // below the normal range: through a fixed-point addition
    float small;
    std::memcpy(&small, &magnitude, sizeof(small));
    return static_cast<Half>(sign | static_cast<uint32_t>(std::lrint(small * 16777216.0f)));
  }
  const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return static_cast<Half>(sign | (rounded - 0x38000000) >> 13);
}

uint16_t ToBrainFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

template <size_t n>
void FillRandom(uint8_t (&into)[n], Rng& rng) {
  for (size_t at = 0; at < n; at += 8) {
    const uint64_t bits = rng.Next();
    std::memcpy(into + at, &bits, std::min<size_t>(8, n - at));
  }
}

// A factor around 1, so that blocks differ.
float Jitter(Rng& rng) {
  return 0.75f + 0.5f * static_cast<float>(rng.Uniform());
}

// The same with a random sign. The integers of a block have a mean of -0.5; were the scales all
// positive, every row would share that offset and layers would amplify it until nothing else is
// left.
float SignedJitter(Rng& rng) {
  const float jitter = Jitter(rng);
  return rng.Next() >> 63 == 0 ? jitter : -jitter;
}

// One maker per type: a block of weights with the given standard deviation and mean near zero.

// The deviation of uniform integers of n bits.
template <int kBits>
constexpr float kDeviation = kBits == 2   ? 1.118f
                             : kBits == 3 ? 2.291f
                             : kBits == 4 ? 4.610f
                             : kBits == 5 ? 9.233f
                             : kBits == 6 ? 18.473f
                                          : 73.9f;
constexpr float kDeviationIQ4 = 67.18f;  // of the codebooks
constexpr float kDeviationMXFP4 = 5.852f;

template <typename Block>
Block SymmetricBlock(Rng& rng, float unit) {
  Block block;
  block.d = ToHalf(unit * SignedJitter(rng));
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_0 MakeBlock(Rng& rng, float deviation, BlockQ4_0) {
  return SymmetricBlock<BlockQ4_0>(rng, deviation / kDeviation<4>);
}
BlockIQ4_NL MakeBlock(Rng& rng, float deviation, BlockIQ4_NL) {
  return SymmetricBlock<BlockIQ4_NL>(rng, deviation / kDeviationIQ4);
}
BlockQ5_0 MakeBlock(Rng& rng, float deviation, BlockQ5_0) {
  auto block = SymmetricBlock<BlockQ5_0>(rng, deviation / kDeviation<5>);
  FillRandom(block.qh, rng);
  return block;
}

BlockQ8_0 MakeBlock(Rng& rng, float deviation, BlockQ8_0) {
  BlockQ8_0 block;
  block.d = ToHalf(deviation / kDeviation<8> * SignedJitter(rng));
  uint8_t bytes[32];
  FillRandom(bytes, rng);
  std::memcpy(block.q, bytes, sizeof(bytes));
  return block;
}

// The minimum is the mean of the integers below zero.
template <typename Block>
Block BlockWithMinimum(Rng& rng, float unit, float mean) {
  Block block;
  const float d = unit * Jitter(rng);
  block.d = ToHalf(d);
  block.m = ToHalf(-mean * d);
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_1 MakeBlock(Rng& rng, float deviation, BlockQ4_1) {
  return BlockWithMinimum<BlockQ4_1>(rng, deviation / kDeviation<4>, 7.5f);
}
BlockQ5_1 MakeBlock(Rng& rng, float deviation, BlockQ5_1) {
  auto block = BlockWithMinimum<BlockQ5_1>(rng, deviation / kDeviation<5>, 15.5f);
  FillRandom(block.qh, rng);
  return block;
}

// A power of two: one of the two around the scale wanted, at random.
BlockMXFP4 MakeBlock(Rng& rng, float deviation, BlockMXFP4) {
  BlockMXFP4 block;
  const float exponent = std::log2(deviation / kDeviationMXFP4) + static_cast<float>(rng.Uniform());
  block.e = static_cast<uint8_t>(std::clamp(std::floor(exponent) + 128, 0.0f, 254.0f));
  FillRandom(block.q, rng);
  return block;
}

// All eight scales and minima are 48, and dmin is the integers' mean times d.
template <typename Block>
Block KBlockWithMinima(Rng& rng, float unit, float mean) {
  constexpr int kScale = 48;
  Block block;
  const float d = unit / kScale * Jitter(rng);
  block.d = ToHalf(d);
  block.dmin = ToHalf(mean * d);
  // Bytes 0-3 and 4-7: six bits of the first four scales and minima, and the top two bits of the
  // last four; bytes 8-11: the low nibbles of the last four.
  constexpr uint8_t kFirst = kScale | (kScale >> 4) << 6;
  constexpr uint8_t kLast = (kScale & 15) | (kScale & 15) << 4;
  std::memset(block.scales, kFirst, 8);
  std::memset(block.scales + 8, kLast, 4);
  FillRandom(block.q, rng);
  return block;
}
BlockQ4_K MakeBlock(Rng& rng, float deviation, BlockQ4_K) {
  return KBlockWithMinima<BlockQ4_K>(rng, deviation / kDeviation<4>, 7.5f);
}
BlockQ5_K MakeBlock(Rng& rng, float deviation, BlockQ5_K) {
  auto block = KBlockWithMinima<BlockQ5_K>(rng, deviation / kDeviation<5>, 15.5f);
  FillRandom(block.qh, rng);
  return block;
}

// All scales and minima are 12.
BlockQ2_K MakeBlock(Rng& rng, float deviation, BlockQ2_K) {
  constexpr int kScale = 12;
  BlockQ2_K block;
  const float d = deviation / (kDeviation<2> * kScale) * Jitter(rng);
  block.d = ToHalf(d);
  block.dmin = ToHalf(1.5f * d);
  std::memset(block.scales, kScale | kScale << 4, sizeof(block.scales));
  FillRandom(block.q, rng);
  return block;
}

// All scales are 16, which six bits hold as 48: low nibbles 0, high bits 3.
BlockQ3_K MakeBlock(Rng& rng, float deviation, BlockQ3_K) {
  constexpr int kScale = 16;
  auto block = SymmetricBlock<BlockQ3_K>(rng, deviation / (kDeviation<3> * kScale));
  FillRandom(block.qh, rng);
  std::memset(block.scales, 0, 8);
  std::memset(block.scales + 8, 0xff, 4);
  return block;
}
BlockIQ4_XS MakeBlock(Rng& rng, float deviation, BlockIQ4_XS) {
  constexpr int kScale = 16;
  auto block = SymmetricBlock<BlockIQ4_XS>(rng, deviation / (kDeviationIQ4 * kScale));
  std::memset(block.scales_low, 0, sizeof(block.scales_low));
  block.scales_high = 0xffff;
  return block;
}

BlockQ6_K MakeBlock(Rng& rng, float deviation, BlockQ6_K) {
  constexpr int kScale = 64;
  BlockQ6_K block;
  block.d = ToHalf(deviation / (kDeviation<6> * kScale) * SignedJitter(rng));
  std::memset(block.scales, kScale, sizeof(block.scales));
  FillRandom(block.ql, rng);
  FillRandom(block.qh, rng);
  return block;
}

// The sum of four uniform bytes-and-a-half: close to normal, and cheap.
float Bell(uint64_t bits) {
  const auto sum = static_cast<int32_t>((bits & 0xFFF) + (bits >> 12 & 0xFFF) +
                                        (bits >> 24 & 0xFFF) + (bits >> 36 & 0xFFF));
  return static_cast<float>(sum - 8190) * (1.0f / 2364.8f);
}

struct F32Block {
  float w;
};
struct F16Block {
  Half w;
};
struct Bf16Block {
  uint16_t w;
};
F32Block MakeBlock(Rng& rng, float deviation, F32Block) {
  return {deviation * Bell(rng.Next())};
}
F16Block MakeBlock(Rng& rng, float deviation, F16Block) {
  return {ToHalf(deviation * Bell(rng.Next()))};
}
Bf16Block MakeBlock(Rng& rng, float deviation, Bf16Block) {
  return {ToBrainFloat(deviation * Bell(rng.Next()))};
}

template <typename Block>
void MakeChunk(std::span<uint8_t> into, uint64_t seed, float deviation) {
  Rng rng(seed);
  for (size_t at = 0; at < into.size(); at += sizeof(Block)) {
    const Block block = MakeBlock(rng, deviation, Block{});
    std::memcpy(into.data() + at, &block, sizeof(Block));
  }
}

void MakeChunkOf(DType type, std::span<uint8_t> into, uint64_t seed, float deviation) {
  switch (type) {
    case DType::kF32:
      return MakeChunk<F32Block>(into, seed, deviation);
    case DType::kF16:
      return MakeChunk<F16Block>(into, seed, deviation);
    case DType::kBF16:
      return MakeChunk<Bf16Block>(into, seed, deviation);
    case DType::kQ4_0:
      return MakeChunk<BlockQ4_0>(into, seed, deviation);
    case DType::kQ8_0:
      return MakeChunk<BlockQ8_0>(into, seed, deviation);
    case DType::kQ4_K:
      return MakeChunk<BlockQ4_K>(into, seed, deviation);
    case DType::kQ6_K:
      return MakeChunk<BlockQ6_K>(into, seed, deviation);
    case DType::kQ4_1:
      return MakeChunk<BlockQ4_1>(into, seed, deviation);
    case DType::kQ5_0:
      return MakeChunk<BlockQ5_0>(into, seed, deviation);
    case DType::kQ5_1:
      return MakeChunk<BlockQ5_1>(into, seed, deviation);
    case DType::kQ2_K:
      return MakeChunk<BlockQ2_K>(into, seed, deviation);
    case DType::kQ3_K:
      return MakeChunk<BlockQ3_K>(into, seed, deviation);
    case DType::kQ5_K:
      return MakeChunk<BlockQ5_K>(into, seed, deviation);
    case DType::kIQ4_NL:
      return MakeChunk<BlockIQ4_NL>(into, seed, deviation);
    case DType::kIQ4_XS:
      return MakeChunk<BlockIQ4_XS>(into, seed, deviation);
    case DType::kMXFP4:
      return MakeChunk<BlockMXFP4>(into, seed, deviation);
    default:
      break;
  }
  CHECK(false, "weights of type {}", InfoOf(type).name);
}

// --- the file -------------------------------------------------------------------------------

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
    BATON_RETURN_IF_ERROR(PlanTensors());
    AddMetadata();
    AddVocabulary();
    for (const PlannedTensor& tensor : tensors_)
      header_.AddTensor(tensor.name, tensor.type, tensor.shape);
    BATON_ASSIGN_OR_RETURN(gguf::Writer writer, gguf::Writer::Create(path, header_));
    for (size_t i = 0; i < tensors_.size(); ++i)
      BATON_RETURN_IF_ERROR(WriteTensor(writer, tensors_[i], i));
    return writer.Close();
  }

 private:
  // The mixtures give some V and down projections, and the head, six bits.
  bool WantsMoreBits(int32_t layer) const {
    const int32_t n = shape_.n_layers;
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
  }

  Result<DType> TypeFor(std::string_view role, int32_t layer, int64_t cols) const {
    std::string wanted = options_.type;
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
    if (experts == 0) {
      const int64_t width = shape_.ffn_width;
      BATON_RETURN_IF_ERROR(Matrix("ffn_gate", layer, hidden, width, Gain(hidden)));
      BATON_RETURN_IF_ERROR(Matrix("ffn_up", layer, hidden, width, Gain(hidden)));
      return Matrix("ffn_down", layer, width, hidden, Gain(width));
    }
    const int64_t width = shape_.expert_ffn_width;
    tensors_.push_back({fmt::format("blk.{}.ffn_gate_inp.weight", layer),
                        DType::kF32,
                        {hidden, experts, 1, 1},
                        Gain(hidden)});
    BATON_RETURN_IF_ERROR(Matrix("ffn_gate_exps", layer, hidden, width, Gain(hidden), experts));
    BATON_RETURN_IF_ERROR(Matrix("ffn_up_exps", layer, hidden, width, Gain(hidden), experts));
    return Matrix("ffn_down_exps", layer, width, hidden, Gain(width), experts);
  }

  Status PlanTensors() {
    const int64_t hidden = shape_.hidden_width;
    const int64_t q_width = int64_t{shape_.n_heads} * shape_.head_dim;
    const int64_t kv_width = int64_t{shape_.n_kv_heads} * shape_.head_dim;
    BATON_RETURN_IF_ERROR(Matrix("token_embd", -1, hidden, shape_.vocab_size, kEmbeddingDeviation));
    for (int32_t layer = 0; layer < shape_.n_layers; ++layer) {
      Norm(fmt::format("blk.{}.attn_norm.weight", layer));
      BATON_RETURN_IF_ERROR(Matrix("attn_q", layer, hidden, q_width, Gain(hidden)));
      BATON_RETURN_IF_ERROR(Matrix("attn_k", layer, hidden, kv_width, Gain(hidden)));
      BATON_RETURN_IF_ERROR(Matrix("attn_v", layer, hidden, kv_width, Gain(hidden)));
      BATON_RETURN_IF_ERROR(Matrix("attn_output", layer, q_width, hidden, Gain(q_width)));
      PlanExtras(layer, q_width, kv_width);
      Norm(fmt::format("blk.{}.ffn_norm.weight", layer));
      BATON_RETURN_IF_ERROR(PlanFeedForward(layer));
    }
    Norm("output_norm.weight");
    if (shape_.tied_embeddings) return OkStatus();
    return Matrix("output", -1, hidden, shape_.vocab_size, Gain(hidden));
  }

  // What an architecture has in a layer besides what llama has.
  void PlanExtras(int32_t layer, int64_t q_width, int64_t kv_width) {
    constexpr float kBiasDeviation = 0.1f;
    if (shape_.architecture == "qwen2") {
      Vector(fmt::format("blk.{}.attn_q.bias", layer), q_width, kBiasDeviation);
      Vector(fmt::format("blk.{}.attn_k.bias", layer), kv_width, kBiasDeviation);
      Vector(fmt::format("blk.{}.attn_v.bias", layer), kv_width, kBiasDeviation);
    }
    if (shape_.architecture.starts_with("qwen3")) {
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
    u32(key("attention.head_count_kv"), shape_.n_kv_heads);
    u32(key("attention.key_length"), shape_.head_dim);
    u32(key("attention.value_length"), shape_.head_dim);
    u32(key("rope.dimension_count"), shape_.head_dim);
    u32(key("vocab_size"), shape_.vocab_size);
    if (shape_.n_experts > 0) {
      u32(key("expert_count"), shape_.n_experts);
      u32(key("expert_used_count"), shape_.experts_used);
      u32(key("expert_feed_forward_length"), shape_.expert_ffn_width);
    }
    header_.AddFloat32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    header_.AddFloat32(key("rope.freq_base"), shape_.rope_base);
    if (options_.type == "Q4_K_M") u32("general.file_type", 15);
    if (options_.type == "Q5_K_M") u32("general.file_type", 17);
  }

  // Bytes, so that any text can be encoded, words that nothing encodes to, and control tokens.
  void AddVocabulary() {
    constexpr std::array<std::string_view, kControlTokens> kControl = {
        "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
        "<|end_header_id|>"};
    std::vector<std::string> tokens(ByteCharacters().begin(), ByteCharacters().end());
    const int32_t first_control = shape_.vocab_size - kControlTokens;
    for (int32_t id = 256; id < first_control; ++id)
      tokens.push_back(fmt::format("{}w{}", ByteCharacters()[' '], id));
    tokens.insert(tokens.end(), kControl.begin(), kControl.end());
    std::vector<int32_t> types(tokens.size(), 1);
    std::fill(types.end() - kControlTokens, types.end(), 3);
    header_.AddString("tokenizer.ggml.model", "gpt2");
    header_.AddString("tokenizer.ggml.pre", "llama-bpe");
    header_.AddStrings("tokenizer.ggml.tokens", tokens);
    header_.AddInt32s("tokenizer.ggml.token_type", types);
    header_.AddStrings("tokenizer.ggml.merges", {});
    header_.AddUint32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(first_control));
    header_.AddUint32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(first_control + 2));
    header_.AddBool("tokenizer.ggml.add_bos_token", true);
    header_.AddString(
        "tokenizer.chat_template",
        "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message.role + "
        "'<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' "
        "}}{%- endif %}");
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
      threads.emplace_back(
          [part, seed, &tensor] { MakeChunkOf(tensor.type, part, seed, tensor.deviation); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  const SyntheticOptions& options_;
  const SyntheticShape& shape_;
  gguf::HeaderBuilder header_;
  std::vector<PlannedTensor> tensors_;
};

}  // namespace

std::vector<SyntheticShape> KnownShapes() {
  return Shapes();
}

const std::vector<std::string>& SyntheticTypes() {
  static const std::vector<std::string> kTypes = {
      "F32",  "F16",  "BF16", "Q8_0", "Q4_0",   "Q4_1",   "Q5_0",  "Q5_1",   "Q2_K",
      "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "Q4_K_M", "Q5_K_M"};
  return kTypes;
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

Status WriteSyntheticModel(const std::string& path, const SyntheticOptions& options) {
  BATON_RETURN_IF_ERROR(CheckShape(options.shape));
  BATON_RETURN_IF_ERROR(CheckType(options.type));
  return SyntheticModel(options).Write(path);
}

}  // namespace baton::hub
