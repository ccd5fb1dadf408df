// What the headers of chunks, seals and activations share: a magic, their own length, and a hash
// over everything before it in the last eight bytes.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace baton::wire {

// Appends the header hash to `header`.
void SealHeader(ByteWriter& header);

// The header at the start of `frame`: checks that `header_bytes` are there, the magic, the length
// field that follows it, and the hash at the end; kDataLoss or kInvalidArgument name what differs.
Result<std::span<const uint8_t>> OpenHeader(std::span<const uint8_t> frame, std::string_view magic,
                                            size_t header_bytes);

// The payload behind a header, once its length and hash agree with what the header promised.
Result<std::span<const uint8_t>> OpenPayload(std::span<const uint8_t> frame, size_t header_bytes,
                                             uint64_t payload_bytes, uint64_t payload_hash);

}  // namespace baton::wire
