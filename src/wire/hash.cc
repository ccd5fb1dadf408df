#include "wire/hash.h"

#include <xxhash.h>

#include "base/bytes.h"

namespace baton::wire {

uint64_t Hash64(std::span<const uint8_t> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t PrefixHashStart(std::string_view model_fingerprint) {
  return Hash64(AsBytes(model_fingerprint));
}

uint64_t PrefixHashExtend(uint64_t hash, TokenId token) {
  return XXH3_64bits_withSeed(&token, sizeof token, hash);
}

uint64_t PrefixHashExtend(uint64_t hash, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) hash = PrefixHashExtend(hash, token);
  return hash;
}

}  // namespace baton::wire
