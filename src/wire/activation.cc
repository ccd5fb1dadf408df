#include "wire/activation.h"

#include "wire/hash.h"
#include "wire/sealed_header.h"

namespace baton::wire {
namespace {

constexpr std::string_view kMagic = "BAC1";
constexpr uint16_t kHeaderBytes = 80;
constexpr uint32_t kTokensMax = 1u << 24;
constexpr uint32_t kWidthMax = 1u << 17;
constexpr uint32_t kLayersMax = 4096;

}  // namespace

Bytes EncodeActivation(const ActivationHeader& header, std::span<const float> rows) {
  CHECK(rows.size() == static_cast<size_t>(header.token_count) * static_cast<size_t>(header.width));
  const std::span<const uint8_t> payload(reinterpret_cast<const uint8_t*>(rows.data()),
                                         rows.size_bytes());
  ByteWriter writer(kHeaderBytes + payload.size());
  writer.WriteBytes(AsBytes(kMagic));
  writer.Write<uint16_t>(kHeaderBytes);
  writer.Write<uint16_t>(0);  // dtype f32, zero
  writer.Write<uint64_t>(header.request.value());
  writer.Write<uint32_t>(header.epoch);
  writer.Write<int32_t>(header.layer);
  writer.Write<int32_t>(header.first_token);
  writer.Write<int32_t>(header.token_count);
  writer.Write<int32_t>(header.width);
  writer.Write<uint32_t>(header.last_of_prompt ? 1 : 0);
  writer.Write<uint64_t>(header.prefix_before);
  writer.Write<uint64_t>(header.prefix_after);
  writer.Write<uint64_t>(payload.size());
  writer.Write<uint64_t>(Hash64(payload));
  SealHeader(writer);
  writer.WriteBytes(payload);
  return std::move(writer).bytes();
}

Result<Activation> DecodeActivation(std::span<const uint8_t> frame) {
  BATON_ASSIGN_OR_RETURN(const auto bytes, OpenHeader(frame, kMagic, kHeaderBytes));
  ByteReader reader(bytes);
  reader.ReadBytes(6);
  const auto dtype = reader.Read<uint16_t>();
  ActivationHeader header;
  header.request = RequestId(reader.Read<uint64_t>());
  header.epoch = reader.Read<uint32_t>();
  const auto layer = reader.Read<uint32_t>();
  const auto first = reader.Read<uint32_t>();
  const auto count = reader.Read<uint32_t>();
  const auto width = reader.Read<uint32_t>();
  const auto flags = reader.Read<uint32_t>();
  header.prefix_before = reader.Read<uint64_t>();
  header.prefix_after = reader.Read<uint64_t>();
  const auto payload_bytes = reader.Read<uint64_t>();
  const auto payload_hash = reader.Read<uint64_t>();
  if (dtype != 0) return MakeError(Code::kInvalidArgument, "activation dtype {}", dtype);
  if (flags > 1) return MakeError(Code::kInvalidArgument, "activation flags {}", flags);
  if (layer > kLayersMax) return MakeError(Code::kInvalidArgument, "activation layer {}", layer);
  if (first >= kTokensMax || count == 0 || count > kTokensMax - first)
    return MakeError(Code::kInvalidArgument, "activation tokens {} + {}", first, count);
  if (width == 0 || width > kWidthMax)
    return MakeError(Code::kInvalidArgument, "activation width {}", width);
  if (payload_bytes != uint64_t{count} * width * sizeof(float))
    return MakeError(Code::kInvalidArgument, "activation of {} x {} with {} bytes", count, width,
                     payload_bytes);
  BATON_ASSIGN_OR_RETURN(const auto payload,
                         OpenPayload(frame, kHeaderBytes, payload_bytes, payload_hash));
  header.layer = static_cast<int32_t>(layer);
  header.first_token = static_cast<int32_t>(first);
  header.token_count = static_cast<int32_t>(count);
  header.width = static_cast<int32_t>(width);
  header.last_of_prompt = flags == 1;
  static_assert(kHeaderBytes % alignof(float) == 0);
  return Activation{header,
                    {reinterpret_cast<const float*>(payload.data()), uint64_t{count} * width}};
}

}  // namespace baton::wire
