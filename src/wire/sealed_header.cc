#include "wire/sealed_header.h"

#include "wire/hash.h"

namespace baton::wire {

void SealHeader(ByteWriter& header) {
  header.Write<uint64_t>(Hash64(header.bytes()));
}

Result<std::span<const uint8_t>> OpenHeader(std::span<const uint8_t> frame, std::string_view magic,
                                            size_t header_bytes) {
  if (frame.size() < header_bytes)
    return MakeError(Code::kInvalidArgument, "{} header of {} bytes, not {}", magic, frame.size(),
                     header_bytes);
  const auto header = frame.first(header_bytes);
  ByteReader reader(header);
  if (AsText(reader.ReadBytes(magic.size())) != magic)
    return MakeError(Code::kInvalidArgument, "frame does not begin with {}", magic);
  const auto stated = reader.Read<uint16_t>();
  if (stated != header_bytes)
    return MakeError(Code::kInvalidArgument, "{} header states {} bytes, not {}", magic, stated,
                     header_bytes);
  ByteReader tail(header.last(8));
  if (tail.Read<uint64_t>() != Hash64(header.first(header_bytes - 8)))
    return MakeError(Code::kDataLoss, "{} header hash mismatch", magic);
  return header;
}

Result<std::span<const uint8_t>> OpenPayload(std::span<const uint8_t> frame, size_t header_bytes,
                                             uint64_t payload_bytes, uint64_t payload_hash) {
  const auto payload = frame.subspan(header_bytes);
  if (payload.size() != payload_bytes)
    return MakeError(Code::kDataLoss, "payload of {} bytes, header states {}", payload.size(),
                     payload_bytes);
  if (Hash64(payload) != payload_hash) return MakeError(Code::kDataLoss, "payload hash mismatch");
  return payload;
}

}  // namespace baton::wire
