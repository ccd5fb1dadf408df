#include "kv/chunk.h"

#include "tensor/blocks.h"
#include "wire/hash.h"
#include "wire/sealed_header.h"

namespace baton::kv {
namespace {

constexpr std::string_view kChunkMagic = "BKV1";
constexpr std::string_view kSealMagic = "BKS1";
constexpr uint16_t kSealBytes = 64;
constexpr uint8_t kKindGqa = 0;
constexpr uint8_t kKindMla = 1;
constexpr uint32_t kLayersMax = 4096;
constexpr uint32_t kTokensMax = 1u << 24;
constexpr int kHeadsMax = 1024;
constexpr int kHeadDimMax = 1024;

Bytes EncodeChunkHeader(const ChunkHeader& header, std::span<const uint8_t> payload) {
  ByteWriter writer(kChunkHeaderBytes);
  writer.WriteBytes(AsBytes(kChunkMagic));
  writer.Write<uint16_t>(kChunkHeaderBytes);
  writer.Write<uint8_t>(header.shape.latent > 0 ? kKindMla : kKindGqa);
  writer.Write(static_cast<uint8_t>(header.dtype));
  writer.Write<uint64_t>(header.key.request.value());
  writer.Write<uint32_t>(header.key.epoch);
  writer.Write<int32_t>(header.layer);
  writer.Write<int32_t>(header.first_token);
  writer.Write<int32_t>(header.token_count);
  writer.Write<uint16_t>(static_cast<uint16_t>(header.shape.kv_heads));
  writer.Write<uint16_t>(static_cast<uint16_t>(header.shape.head_dim));
  writer.Write<uint8_t>(1);  // keys carry their rotation
  writer.Write<uint8_t>(header.last_of_layer ? 1 : 0);
  writer.Write<uint16_t>(static_cast<uint16_t>(header.shape.latent));
  writer.Write<uint64_t>(header.prefix_before);
  writer.Write<uint64_t>(header.prefix_after);
  writer.Write<uint64_t>(payload.size());
  writer.Write<uint64_t>(wire::Hash64(payload));
  wire::SealHeader(writer);
  return std::move(writer).bytes();
}

Status CheckShape(uint8_t kind, const device::KvShape& shape, KvType dtype) {
  const bool latents =
      kind == kKindMla ? shape.kv_heads == 1 && shape.latent > 0 && shape.latent <= shape.head_dim
                       : shape.latent == 0;
  if (!latents || shape.kv_heads == 0 || shape.kv_heads > kHeadsMax || shape.head_dim == 0 ||
      shape.head_dim > kHeadDimMax || !device::CheckShape(dtype, shape).ok())
    return MakeError(Code::kInvalidArgument, "KV chunk of {} heads of {}, latents of {}",
                     shape.kv_heads, shape.head_dim, shape.latent);
  return OkStatus();
}

}  // namespace

size_t PayloadBytes(const ChunkHeader& header) {
  const auto elements =
      static_cast<size_t>(header.shape.halves()) * static_cast<size_t>(header.token_count) *
      static_cast<size_t>(header.shape.kv_heads) * static_cast<size_t>(header.shape.head_dim);
  return KvBytesOf(header.dtype, elements);
}

ChunkBuilder::ChunkBuilder(const ChunkHeader& header)
    : header_(header), frame_(kChunkHeaderBytes + PayloadBytes(header)) {}

Bytes ChunkBuilder::Finish() && {
  const Bytes header = EncodeChunkHeader(header_, payload());
  std::copy(header.begin(), header.end(), frame_.begin());
  return std::move(frame_);
}

Result<Chunk> DecodeChunk(std::span<const uint8_t> frame) {
  BATON_ASSIGN_OR_RETURN(const auto bytes, wire::OpenHeader(frame, kChunkMagic, kChunkHeaderBytes));
  ByteReader reader(bytes);
  reader.ReadBytes(6);
  const auto kind = reader.Read<uint8_t>();
  const auto dtype_number = reader.Read<uint8_t>();
  ChunkHeader header;
  header.key.request = RequestId(reader.Read<uint64_t>());
  header.key.epoch = reader.Read<uint32_t>();
  const auto layer = reader.Read<uint32_t>();
  const auto first = reader.Read<uint32_t>();
  const auto count = reader.Read<uint32_t>();
  const auto kv_heads = reader.Read<uint16_t>();
  const auto head_dim = reader.Read<uint16_t>();
  const auto rope_applied = reader.Read<uint8_t>();
  const auto flags = reader.Read<uint8_t>();
  const auto latent = reader.Read<uint16_t>();
  header.prefix_before = reader.Read<uint64_t>();
  header.prefix_after = reader.Read<uint64_t>();
  const auto payload_bytes = reader.Read<uint64_t>();
  const auto payload_hash = reader.Read<uint64_t>();

  if (kind > kKindMla || rope_applied != 1)
    return MakeError(Code::kUnimplemented, "KV chunk of kind {}, rope {}", kind, rope_applied);
  const std::optional<KvType> dtype = FindKvType(dtype_number);
  if (!dtype) return MakeError(Code::kUnimplemented, "KV chunk of dtype {}", dtype_number);
  if (flags > 1) return MakeError(Code::kInvalidArgument, "KV chunk with flags {}", flags);
  if (layer >= kLayersMax) return MakeError(Code::kInvalidArgument, "KV chunk of layer {}", layer);
  if (first >= kTokensMax || count == 0 || count > kTokensMax - first)
    return MakeError(Code::kInvalidArgument, "KV chunk of tokens {} + {}", first, count);
  header.dtype = *dtype;
  header.shape = {kv_heads, head_dim, latent};
  BATON_RETURN_IF_ERROR(CheckShape(kind, header.shape, header.dtype));
  header.layer = static_cast<int32_t>(layer);
  header.first_token = static_cast<int32_t>(first);
  header.token_count = static_cast<int32_t>(count);
  header.last_of_layer = flags == 1;
  if (payload_bytes != PayloadBytes(header))
    return MakeError(Code::kInvalidArgument, "KV chunk of {} tokens with {} bytes", count,
                     payload_bytes);
  BATON_ASSIGN_OR_RETURN(const auto payload,
                         wire::OpenPayload(frame, kChunkHeaderBytes, payload_bytes, payload_hash));
  return Chunk{header, payload};
}

Bytes EncodeSeal(const Seal& seal) {
  ByteWriter writer(kSealBytes);
  writer.WriteBytes(AsBytes(kSealMagic));
  writer.Write<uint16_t>(kSealBytes);
  writer.Write<uint16_t>(0);
  writer.Write<uint64_t>(seal.key.request.value());
  writer.Write<uint32_t>(seal.key.epoch);
  writer.Write<int32_t>(seal.layers.first);
  writer.Write<int32_t>(seal.layers.size());
  writer.Write<int32_t>(seal.token_count);
  writer.Write<uint64_t>(seal.prefix_hash);
  writer.Write<uint32_t>(seal.chunk_count);
  writer.Write<uint32_t>(0);
  writer.Write<uint64_t>(seal.payload_bytes);
  wire::SealHeader(writer);
  return std::move(writer).bytes();
}

Result<Seal> DecodeSeal(std::span<const uint8_t> frame) {
  BATON_ASSIGN_OR_RETURN(const auto bytes, wire::OpenHeader(frame, kSealMagic, kSealBytes));
  if (frame.size() != kSealBytes)
    return MakeError(Code::kInvalidArgument, "seal of {} bytes", frame.size());
  ByteReader reader(bytes);
  reader.ReadBytes(8);
  Seal seal;
  seal.key.request = RequestId(reader.Read<uint64_t>());
  seal.key.epoch = reader.Read<uint32_t>();
  const auto first = reader.Read<uint32_t>();
  const auto count = reader.Read<uint32_t>();
  const auto tokens = reader.Read<uint32_t>();
  seal.prefix_hash = reader.Read<uint64_t>();
  seal.chunk_count = reader.Read<uint32_t>();
  reader.Read<uint32_t>();
  seal.payload_bytes = reader.Read<uint64_t>();
  if (first >= kLayersMax || count == 0 || count > kLayersMax - first || tokens == 0 ||
      tokens > kTokensMax)
    return MakeError(Code::kInvalidArgument, "seal of layers {} + {}, {} tokens", first, count,
                     tokens);
  seal.layers = {static_cast<int32_t>(first), static_cast<int32_t>(first + count)};
  seal.token_count = static_cast<int32_t>(tokens);
  return seal;
}

}  // namespace baton::kv
