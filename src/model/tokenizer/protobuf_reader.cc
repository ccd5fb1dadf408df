#include "model/tokenizer/protobuf_reader.h"

#include <bit>

namespace baton {
namespace {

constexpr int kVarintBytesMax = 10;

}  // namespace

Error ProtobufField::WrongKind(std::string_view wanted) const {
  return MakeError(Code::kInvalidArgument, "field {} has wire type {}, not that of {}", number_,
                   static_cast<uint32_t>(kind_), wanted);
}

Result<uint64_t> ProtobufField::Integer() const {
  if (kind_ != Kind::kVarint) return WrongKind("an integer");
  return value_;
}

Result<bool> ProtobufField::Bool() const {
  if (kind_ != Kind::kVarint) return WrongKind("a boolean");
  return value_ != 0;
}

Result<float> ProtobufField::Float() const {
  if (kind_ != Kind::kFixed32) return WrongKind("a float");
  return std::bit_cast<float>(static_cast<uint32_t>(value_));
}

Result<std::span<const uint8_t>> ProtobufField::Bytes() const {
  if (kind_ != Kind::kBytes) return WrongKind("bytes");
  return bytes_;
}

Result<std::string_view> ProtobufField::Text() const {
  if (kind_ != Kind::kBytes) return WrongKind("a text");
  return AsText(bytes_);
}

Result<uint64_t> ProtobufReader::ReadVarint() {
  uint64_t value = 0;
  for (int i = 0; i < kVarintBytesMax; ++i) {
    const auto byte = reader_.Read<uint8_t>();
    if (!reader_.ok())
      return MakeError(Code::kInvalidArgument, "a message of {} bytes ends inside a number",
                       reader_.position());
    if (i == kVarintBytesMax - 1 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) return value;
  }
  return MakeError(Code::kInvalidArgument, "a number at byte {} has more than 64 bits",
                   reader_.position());
}

Result<std::optional<ProtobufField>> ProtobufReader::Next() {
  if (reader_.remaining() == 0) return std::optional<ProtobufField>();
  BATON_ASSIGN_OR_RETURN(const uint64_t tag, ReadVarint());
  ProtobufField field;
  field.number_ = static_cast<uint32_t>(tag >> 3);
  field.kind_ = static_cast<ProtobufField::Kind>(tag & 7);
  if (tag >> 32 != 0 || field.number_ == 0)
    return MakeError(Code::kInvalidArgument, "a field has the tag {}", tag);
  switch (field.kind_) {
    case ProtobufField::Kind::kVarint: {
      BATON_ASSIGN_OR_RETURN(field.value_, ReadVarint());
      return std::optional(field);
    }
    case ProtobufField::Kind::kFixed64:
      field.value_ = reader_.Read<uint64_t>();
      break;
    case ProtobufField::Kind::kFixed32:
      field.value_ = reader_.Read<uint32_t>();
      break;
    case ProtobufField::Kind::kBytes: {
      BATON_ASSIGN_OR_RETURN(const uint64_t length, ReadVarint());
      if (length > reader_.remaining())
        return MakeError(Code::kInvalidArgument, "field {} has {} bytes, but {} are left",
                         field.number_, length, reader_.remaining());
      field.bytes_ = reader_.ReadBytes(length);
      break;
    }
    default:
      return MakeError(Code::kInvalidArgument, "field {} has wire type {}", field.number_, tag & 7);
  }
  if (!reader_.ok())
    return MakeError(Code::kInvalidArgument, "it ends inside field {}", field.number_);
  return std::optional(field);
}

}  // namespace baton
