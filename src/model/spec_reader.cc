#include "model/spec_reader.h"

#include <map>

#include "model/family/deepseek.h"
#include "model/family/gemma.h"
#include "model/family/gpt_oss.h"
#include "model/family/llama.h"

namespace baton {
namespace {

struct ArchitectureRow {
  std::string_view name;  // general.architecture
  Result<ModelSpec> (*read)(const Checkpoint& checkpoint, std::string_view architecture);
};
constexpr ArchitectureRow kArchitectures[] = {
    {"llama", ReadLlamaSpec},        {"mistral3", ReadLlamaSpec}, {"qwen2", ReadLlamaSpec},
    {"qwen3", ReadLlamaSpec},        {"qwen3moe", ReadLlamaSpec}, {"phi3", ReadLlamaSpec},
    {"gemma2", ReadGemmaSpec},       {"gemma3", ReadGemmaSpec},   {"gpt-oss", ReadGptOssSpec},
    {"deepseek2", ReadDeepSeekSpec},
};

std::string KnownArchitectures() {
  std::string names;
  for (const ArchitectureRow& row : kArchitectures)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

// The names that people give to mixtures, by general.file_type of the GGUF specification.
std::string_view NameOfFileType(int64_t number) {
  struct Row {
    int64_t number;
    std::string_view name;
  };
  constexpr Row kRows[] = {
      {0, "F32"},     {1, "F16"},     {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},
      {8, "Q5_0"},    {9, "Q5_1"},    {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"},
      {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"},
      {18, "Q6_K"},   {21, "Q2_K_S"}, {25, "IQ4_NL"}, {30, "IQ4_XS"}, {32, "BF16"},
      {38, "MXFP4"},
  };
  for (const Row& row : kRows) {
    if (row.number == number) return row.name;
  }
  return {};
}

std::string QuantizationOf(const Checkpoint& checkpoint) {
  const auto file_type = checkpoint.metadata().IntegerOr("general.file_type", 0, 1 << 20, -1);
  const std::string_view known = file_type.ok() ? NameOfFileType(*file_type) : "";
  if (!known.empty()) return std::string(known);
  std::map<DType, uint64_t> bytes_by_type;
  for (const TensorInfo& info : checkpoint.tensors()) bytes_by_type[info.type] += info.size_bytes;
  DType most = DType::kF32;
  for (const auto& [type, bytes] : bytes_by_type) {
    if (bytes > bytes_by_type[most]) most = type;
  }
  return std::string(InfoOf(most).name);
}

// A number of the file within [0, most]; anything else is no advice.
std::optional<double> AdviceIn(const Checkpoint& checkpoint, std::string_view key, double most) {
  const auto number = checkpoint.metadata().NumberOr(key, -1);
  if (!number.ok() || !(*number >= 0 && *number <= most)) return std::nullopt;
  return *number;
}

SamplingChoice ReadSampling(const Checkpoint& checkpoint) {
  const auto as_float = [&](std::string_view key, double most) -> std::optional<float> {
    const auto number = AdviceIn(checkpoint, key, most);
    return number ? std::optional(static_cast<float>(*number)) : std::nullopt;
  };
  const auto top_k = checkpoint.metadata().IntegerOr("general.sampling.top_k", 0, 1 << 24, -1);
  return {.temperature = as_float("general.sampling.temp", 2),
          .top_k = top_k.ok() && *top_k >= 0 ? std::optional(static_cast<int32_t>(*top_k))
                                             : std::nullopt,
          .top_p = as_float("general.sampling.top_p", 1),
          .min_p = as_float("general.sampling.min_p", 1)};
}

}  // namespace

Result<ModelSpec> ReadSpec(const Checkpoint& checkpoint) {
  BATON_ASSIGN_OR_RETURN(const auto architecture,
                         checkpoint.metadata().String("general.architecture"));
  BATON_ASSIGN_OR_RETURN(const auto name, checkpoint.metadata().StringOr("general.name", ""));
  BATON_ASSIGN_OR_RETURN(const auto license, checkpoint.metadata().StringOr("general.license", ""));
  for (const ArchitectureRow& row : kArchitectures) {
    if (row.name != architecture) continue;
    BATON_ASSIGN_OR_RETURN(ModelSpec spec, row.read(checkpoint, architecture));
    spec.architecture = architecture;
    spec.name = name;
    spec.license = license;
    spec.quantization = QuantizationOf(checkpoint);
    spec.sampling = ReadSampling(checkpoint);
    return spec;
  }
  return MakeError(Code::kUnimplemented, "architecture '{}' is not supported; supported: {}",
                   architecture, KnownArchitectures());
}

}  // namespace baton
