// The bytes of the KV stream: chunks and seals. Format: docs/formats/kv-stream.md.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "device/device.h"

namespace baton::kv {

// Identifies one attempt at one request: a retry has a higher epoch, and whoever still speaks of a
// lower one is refused.
struct SequenceKey {
  RequestId request;
  uint32_t epoch = 0;
  auto operator<=>(const SequenceKey&) const = default;
};

struct ChunkHeader {
  SequenceKey key;
  int32_t layer = 0;
  int32_t first_token = 0;
  int32_t token_count = 0;
  device::KvShape shape;
  KvType dtype = KvType::kF16;
  bool last_of_layer = false;
  uint64_t prefix_before = 0;
  uint64_t prefix_after = 0;
};

struct Chunk {
  ChunkHeader header;
  std::span<const uint8_t> payload;  // inside the decoded frame, which it borrows
};

constexpr size_t kChunkHeaderBytes = 80;

// Bytes of the payload that `header` describes.
size_t PayloadBytes(const ChunkHeader& header);

// A frame with room for the payload behind a header still blank: fill the payload, then seal.
class ChunkBuilder {
 public:
  explicit ChunkBuilder(const ChunkHeader& header);
  std::span<uint8_t> payload() { return std::span<uint8_t>(frame_).subspan(kChunkHeaderBytes); }
  // Computes the hashes and gives the frame away.
  Bytes Finish() &&;

 private:
  ChunkHeader header_;
  Bytes frame_;
};

// Every field is checked against the limits of the format and the bytes that are there; the payload
// against its hash.
Result<Chunk> DecodeChunk(std::span<const uint8_t> frame);

// Sent once by each prefill stage behind its last chunk.
struct Seal {
  SequenceKey key;
  LayerRange layers;
  int32_t token_count = 0;
  uint64_t prefix_hash = 0;
  uint32_t chunk_count = 0;
  uint64_t payload_bytes = 0;
};
Bytes EncodeSeal(const Seal& seal);
Result<Seal> DecodeSeal(std::span<const uint8_t> frame);

}  // namespace baton::kv
