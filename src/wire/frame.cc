#include "wire/frame.h"

namespace baton::wire {

uint32_t PayloadMaxOf(FrameType type) {
  switch (type) {
    case FrameType::kLink:
      return 1 << 20;
    case FrameType::kCluster:
      return 8 << 20;
    case FrameType::kKvChunk:
      return 64 << 20;
    case FrameType::kKvSeal:
      return 128;
    case FrameType::kActivation:
      return 64 << 20;
    case FrameType::kProbe:
      return 1 << 20;
  }
  return 0;
}

std::array<uint8_t, kFrameHeaderBytes> EncodeFrameHeader(const FrameHeader& header) {
  CHECK(header.payload_bytes <= PayloadMaxOf(header.type), "{} bytes of frame type {}",
        header.payload_bytes, static_cast<int>(header.type));
  std::array<uint8_t, kFrameHeaderBytes> bytes{};
  std::memcpy(bytes.data(), &header.payload_bytes, 4);
  bytes[4] = static_cast<uint8_t>(header.type);
  return bytes;
}

Result<FrameHeader> DecodeFrameHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes,
                                      bool proven) {
  ByteReader reader(bytes);
  FrameHeader header;
  header.payload_bytes = reader.Read<uint32_t>();
  const auto type = reader.Read<uint8_t>();
  const bool reserved_zero = bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0;
  if (!reserved_zero) return MakeError(Code::kInvalidArgument, "frame with reserved bytes set");
  header.type = static_cast<FrameType>(type);
  const uint32_t limit = PayloadMaxOf(header.type);
  if (limit == 0) return MakeError(Code::kInvalidArgument, "frame of unknown type {}", type);
  const bool first_frame_fits =
      header.type == FrameType::kLink && header.payload_bytes <= kUnprovenPayloadMax;
  if (!proven && !first_frame_fits)
    return MakeError(Code::kPermissionDenied, "frame of type {} with {} bytes before a hello", type,
                     header.payload_bytes);
  if (header.payload_bytes > limit)
    return MakeError(Code::kInvalidArgument, "frame of type {} with {} bytes, more than {}", type,
                     header.payload_bytes, limit);
  return header;
}

}  // namespace baton::wire
