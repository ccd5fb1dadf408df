// KvType: what K and V are kept as in pages, and sent as between nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace baton {

// The numbers are those of a KV chunk's dtype (docs/formats/kv-stream.md).
enum class KvType : uint8_t {
  kF32 = 0,  // attention to it is exact, whatever the model's weights
  kF16 = 1,
  kQ8_0 = 3,  // blocks of 32 along head dim: tensor/blocks.h BlockQ8_0
};

std::optional<KvType> FindKvType(uint8_t number);
std::optional<KvType> FindKvTypeByName(std::string_view name);
// "f32", "f16", "q8_0".
std::string_view NameOf(KvType type);

// kInvalidArgument where heads of so many elements are not whole blocks of `type`.
Status CheckHeads(KvType type, int head_dim);
// Do pages of `kept` give and take `type` on the wire? Their own always; F16 also Q8_0.
bool TravelsAs(KvType kept, KvType type);
// Bytes of `elements` of one head.
size_t KvBytesOf(KvType type, size_t elements);

// Tokens per page of KV cache. On the wire and in every node: never changes.
inline constexpr int kPageTokens = 64;

// Pages that `tokens` tokens of a sequence hold, at most at any time, in a layer of which a token
// sees `window` tokens (0: all before it), when they are computed in chunks of up to
// `chunk_tokens`: what the first token of the page sees in which a chunk begins (so that the
// sequence can be gone on from there), and the chunk.
int PagesHeld(int tokens, int window, int chunk_tokens);

}  // namespace baton
