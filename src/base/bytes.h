// ByteReader and ByteWriter: little-endian fields with every length checked against the bytes that
// are really there. All binary formats of ours go through them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace baton {

using Bytes = std::vector<uint8_t>;

static_assert(std::endian::native == std::endian::little, "big-endian hosts are not supported");

// Reads from a span it does not own. After the first short read every later one fails too, so a
// caller may read a whole header and test ok() once.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T Read() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (const uint8_t* at = Take(sizeof(T))) std::memcpy(&value, at, sizeof(T));
    return value;
  }
  // `count` raw bytes, empty if they are not there.
  std::span<const uint8_t> ReadBytes(size_t count) {
    const uint8_t* at = Take(count);
    return at == nullptr ? std::span<const uint8_t>() : std::span<const uint8_t>(at, count);
  }

  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

 private:
  const uint8_t* Take(size_t count) {
    if (!ok_ || count > remaining()) {
      ok_ = false;
      return nullptr;
    }
    const uint8_t* at = bytes_.data() + position_;
    position_ += count;
    return at;
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

class ByteWriter {
 public:
  ByteWriter() = default;
  explicit ByteWriter(size_t expected_bytes) { bytes_.reserve(expected_bytes); }

  template <typename T>
  void Write(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    WriteBytes({reinterpret_cast<const uint8_t*>(&value), sizeof(T)});
  }
  void WriteBytes(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  const Bytes& bytes() const& { return bytes_; }
  Bytes&& bytes() && { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace baton
