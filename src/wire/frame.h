// Frames: the unit of every connection between nodes. Format: docs/formats/wire.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace baton::wire {

constexpr int kWireVersion = 1;

// Numbers are on the wire: never renumber.
enum class FrameType : uint8_t {
  kLink = 1,
  kCluster = 2,
  kKvChunk = 3,
  kKvSeal = 4,
  kActivation = 5,
  kProbe = 6,
};

constexpr size_t kFrameHeaderBytes = 8;
constexpr uint32_t kUnprovenPayloadMax = 4 << 10;  // until the peer's hello was accepted

// The largest payload of a type.
uint32_t PayloadMaxOf(FrameType type);

struct FrameHeader {
  FrameType type = FrameType::kLink;
  uint32_t payload_bytes = 0;
};

std::array<uint8_t, kFrameHeaderBytes> EncodeFrameHeader(const FrameHeader& header);

// Judges a header before a byte of its payload is read: unknown type, non-zero reserved bytes, or
// more than the type's limit (and, where `proven` is false, more than kUnprovenPayloadMax or
// another type than kLink) is kInvalidArgument.
Result<FrameHeader> DecodeFrameHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes,
                                      bool proven);

struct Frame {
  FrameType type = FrameType::kLink;
  Bytes payload;
};

}  // namespace baton::wire
