#include "tensor/dtype.h"

#include "base/check.h"

namespace baton {
namespace {

constexpr DTypeInfo kTypes[] = {
    {DType::kF32, "F32", 1, 4},         {DType::kF16, "F16", 1, 2},
    {DType::kQ4_0, "Q4_0", 32, 18},     {DType::kQ4_1, "Q4_1", 32, 20},
    {DType::kQ5_0, "Q5_0", 32, 22},     {DType::kQ5_1, "Q5_1", 32, 24},
    {DType::kQ8_0, "Q8_0", 32, 34},     {DType::kQ2_K, "Q2_K", 256, 84},
    {DType::kQ3_K, "Q3_K", 256, 110},   {DType::kQ4_K, "Q4_K", 256, 144},
    {DType::kQ5_K, "Q5_K", 256, 176},   {DType::kQ6_K, "Q6_K", 256, 210},
    {DType::kIQ4_NL, "IQ4_NL", 32, 18}, {DType::kIQ4_XS, "IQ4_XS", 256, 136},
    {DType::kI32, "I32", 1, 4},         {DType::kBF16, "BF16", 1, 2},
    {DType::kMXFP4, "MXFP4", 32, 17},   {DType::kMlx4, "MLX4", 32, 20},
    {DType::kMlx8, "MLX8", 32, 36},     {DType::kMlx8Half, "MLX8_F16", 32, 36},
};

}  // namespace

std::optional<DTypeInfo> FindDType(uint32_t gguf_number) {
  if (gguf_number >= kOurTypes) return std::nullopt;
  for (const DTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == gguf_number) return info;
  }
  return std::nullopt;
}

std::optional<DTypeInfo> FindDTypeByName(std::string_view name) {
  for (const DTypeInfo& info : kTypes) {
    if (info.name == name) return info;
  }
  return std::nullopt;
}

const DTypeInfo& InfoOf(DType type) {
  for (const DTypeInfo& info : kTypes) {
    if (info.type == type) return info;
  }
  CheckFailed(__FILE__, __LINE__, "known dtype", "");
}

size_t BytesOf(DType type, size_t elements) {
  const DTypeInfo& info = InfoOf(type);
  CHECK(elements % info.block_elements == 0, "{} elements of {}", elements, info.name);
  return elements / info.block_elements * info.block_bytes;
}

}  // namespace baton
