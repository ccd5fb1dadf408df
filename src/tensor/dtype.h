// DType: the element types of tensors, with their block layouts. Data only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace baton {

// The numbers below this one are GGUF's own (ggml_type); from it on no file names them.
inline constexpr uint32_t kOurTypes = 1000;
enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kI32 = 26,
  kBF16 = 30,
  kMXFP4 = 39,
  kMlx4 = 1001,
  kMlx8 = 1002,
  kMlx8Half = 1003,
};

// Elements come in blocks; a row of a tensor is a whole number of blocks.
struct DTypeInfo {
  DType type;
  std::string_view name;  // as GGUF tools print it: "Q4_K"
  size_t block_elements;
  size_t block_bytes;
};

// Nothing if baton does not know the type, or GGUF does not.
std::optional<DTypeInfo> FindDType(uint32_t gguf_number);
std::optional<DTypeInfo> FindDTypeByName(std::string_view name);
const DTypeInfo& InfoOf(DType type);

// Bytes of `elements` consecutive elements; `elements` must be a whole number of blocks.
size_t BytesOf(DType type, size_t elements);

}  // namespace baton
