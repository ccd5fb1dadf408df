// The hash of every checksum and prefix on the wire: xxh3-64.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"

namespace baton::wire {

uint64_t Hash64(std::span<const uint8_t> bytes, uint64_t seed = 0);

// The rolling prefix hash of docs/formats/kv-stream.md.
uint64_t PrefixHashStart(std::string_view model_fingerprint);
uint64_t PrefixHashExtend(uint64_t hash, TokenId token);
uint64_t PrefixHashExtend(uint64_t hash, std::span<const TokenId> tokens);

}  // namespace baton::wire
