#include "kernels/cpu/layout.h"

#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/reference/blocks.h"

namespace baton::kernels::panel {
namespace {

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
void Store(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

// Value of lane `row` in the x16 array at `at`.
template <typename T>
T Lane(const uint8_t* at, size_t row) {
  return Load<T>(at + row * sizeof(T));
}
template <typename T>
void SetLane(uint8_t* at, size_t row, T value) {
  Store(at + row * sizeof(T), value);
}

// Nibbles of 32 weights at 4-byte groups: byte j = weight j | weight j + 16 << 4.
void SetNibbles(uint8_t* block, size_t row, const uint8_t* pairs) {
  for (size_t g = 0; g < 4; ++g) std::memcpy(block + g * 64 + row * 4, pairs + g * 4, 4);
}
uint8_t Nibble(const uint8_t* block, size_t row, size_t i) {
  const uint8_t pair = block[i % 16 / 4 * 64 + row * 4 + i % 4];
  return i < 16 ? pair & 15 : pair >> 4;
}

template <typename T>
void PackFloats(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  std::memset(panel, 0, columns * kPanelRows * sizeof(T));
  constexpr size_t kStripe = 16;  // columns at a time, so that the panel's lines stay in L1
  for (size_t begin = 0; begin < columns; begin += kStripe) {
    const size_t end = begin + kStripe < columns ? begin + kStripe : columns;
    for (size_t r = 0; r < count; ++r) {
      const uint8_t* row = rows + r * columns * sizeof(T);
      for (size_t k = begin; k < end; ++k) {
        SetLane(panel + k * kPanelRows * sizeof(T), r, Load<T>(row + k * sizeof(T)));
      }
    }
  }
}

// Calls visit(row, block index, block) for every block that the file holds.
template <typename Block, size_t kElements, typename Visit>
void ForEachBlock(const uint8_t* rows, size_t count, size_t columns, const Visit& visit) {
  const size_t blocks = columns / kElements;
  for (size_t b = 0; b < blocks; ++b) {
    for (size_t r = 0; r < count; ++r) {
      visit(r, b, Load<Block>(rows + (r * blocks + b) * sizeof(Block)));
    }
  }
}

void SetSubBlock(const BlockQ4_K& block, size_t s, size_t row, uint8_t* nibbles) {
  uint8_t pairs[16];
  for (size_t i = 0; i < 16; ++i) {
    pairs[i] = static_cast<uint8_t>(NibbleOf(block, s, i) | (NibbleOf(block, s, i + 16) << 4));
  }
  SetNibbles(nibbles, row, pairs);
}

void SetSubBlock(const BlockQ6_K& block, size_t s, size_t row, uint8_t* nibbles, uint8_t* high) {
  uint8_t pairs[16];
  for (size_t i = 0; i < 16; ++i) {
    const uint8_t a = SixBitsOf(block, s * 32 + i);
    const uint8_t b = SixBitsOf(block, s * 32 + 16 + i);
    pairs[i] = static_cast<uint8_t>((a & 15) | (b << 4));
    const size_t at = row * 4 + i % 4;
    const size_t shift = i / 4 * 2;
    high[at] = static_cast<uint8_t>(high[at] | (a >> 4 << shift));
    high[64 + at] = static_cast<uint8_t>(high[64 + at] | (b >> 4 << shift));
  }
  SetNibbles(nibbles, row, pairs);
}

uint8_t SixBits(const uint8_t* nibbles, const uint8_t* high, size_t row, size_t i) {
  const uint8_t bits = high[i / 16 * 64 + row * 4 + i % 4] >> (i % 16 / 4 * 2) & 3;
  return static_cast<uint8_t>(Nibble(nibbles, row, i) | (bits << 4));
}

}  // namespace

size_t BytesF32(size_t columns) {
  return columns * kPanelRows * sizeof(float);
}
size_t BytesF16(size_t columns) {
  return RoundUpToLine(columns * kPanelRows * sizeof(Half));
}
size_t BytesBF16(size_t columns) {
  return BrainPanelBytes(columns);
}
size_t BytesQ8_0(size_t columns) {
  return PartsQ8_0(columns).total;
}
size_t BytesQ4_0(size_t columns) {
  return PartsQ4_0(columns).total;
}
size_t BytesQ4_K(size_t columns) {
  return PartsQ4_K(columns).total;
}
size_t BytesQ6_K(size_t columns) {
  return PartsQ6_K(columns).total;
}

void PackF32(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  PackFloats<uint32_t>(rows, count, columns, panel);
}

void PackF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  PackFloats<uint16_t>(rows, count, columns, panel);
}

void PackBF16(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  std::memset(panel, 0, BrainPanelBytes(columns));
  constexpr size_t kStripe = 16;  // pairs at a time, so that the panel's lines stay in L1
  const size_t pairs = (columns + 1) / 2;
  for (size_t begin = 0; begin < pairs; begin += kStripe) {
    const size_t end = begin + kStripe < pairs ? begin + kStripe : pairs;
    for (size_t r = 0; r < count; ++r) {
      const uint8_t* row = rows + r * columns * sizeof(uint16_t);
      for (size_t k = 2 * begin; k < 2 * end && k < columns; ++k)
        Store(panel + k / 2 * 64 + r * 4 + k % 2 * 2,
              BrainFactor(Load<uint16_t>(row + k * sizeof(uint16_t))));
    }
  }
}

void PackQ8_0(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const Parts parts = PartsQ8_0(columns);
  std::memset(panel, 128, parts.second);  // absent rows: q = 0, d = 0
  std::memset(panel + parts.second, 0, parts.total - parts.second);
  ForEachBlock<BlockQ8_0, 32>(rows, count, columns, [&](size_t r, size_t b, const BlockQ8_0& w) {
    for (size_t g = 0; g < 8; ++g) {
      const auto four = Load<uint32_t>(reinterpret_cast<const uint8_t*>(w.q) + g * 4);
      SetLane(panel + b * 512 + g * 64, r, four ^ 0x80808080u);
    }
    SetLane(panel + parts.second + b * 32, r, w.d);
  });
}

void PackQ4_0(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const Parts parts = PartsQ4_0(columns);
  std::memset(panel, 0, parts.total);
  ForEachBlock<BlockQ4_0, 32>(rows, count, columns, [&](size_t r, size_t b, const BlockQ4_0& w) {
    SetNibbles(panel + b * 256, r, w.q);
    SetLane(panel + parts.second + b * 32, r, w.d);
  });
}

void PackQ4_K(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const Parts parts = PartsQ4_K(columns);
  std::memset(panel, 0, parts.total);
  ForEachBlock<BlockQ4_K, 256>(rows, count, columns, [&](size_t r, size_t b, const BlockQ4_K& w) {
    for (size_t s = 0; s < 8; ++s) {
      SetSubBlock(w, s, r, panel + (b * 8 + s) * 256);
      const auto [scale, min] = ScaleAndMinOf(w, s);
      uint8_t* scales = panel + parts.second + (b * 8 + s) * 32;
      SetLane(scales, r, scale);
      SetLane(scales + 16, r, min);
    }
    SetLane(panel + parts.third + b * 64, r, w.d);
    SetLane(panel + parts.third + b * 64 + 32, r, w.dmin);
  });
}

void PackQ6_K(const uint8_t* rows, size_t count, size_t columns, uint8_t* panel) {
  const Parts parts = PartsQ6_K(columns);
  std::memset(panel, 0, parts.total);
  ForEachBlock<BlockQ6_K, 256>(rows, count, columns, [&](size_t r, size_t b, const BlockQ6_K& w) {
    for (size_t s = 0; s < 8; ++s) {
      const size_t at = b * 8 + s;
      SetSubBlock(w, s, r, panel + at * 256, panel + parts.second + at * 128);
      SetLane(panel + parts.third + at * 32, r, w.scales[2 * s]);
      SetLane(panel + parts.third + at * 32 + 16, r, w.scales[2 * s + 1]);
    }
    SetLane(panel + parts.fourth + b * 32, r, w.d);
  });
}

void UnpackF32(const uint8_t* panel, size_t row, size_t columns, float* into) {
  for (size_t k = 0; k < columns; ++k) into[k] = Lane<float>(panel + k * 64, row);
}

void UnpackF16(const uint8_t* panel, size_t row, size_t columns, float* into) {
  for (size_t k = 0; k < columns; ++k) into[k] = FromHalf(Lane<Half>(panel + k * 32, row));
}

void UnpackBF16(const uint8_t* panel, size_t row, size_t columns, float* into) {
  for (size_t k = 0; k < columns; ++k)
    into[k] = FromBrain(Load<uint16_t>(panel + k / 2 * 64 + row * 4 + k % 2 * 2));
}

void UnpackQ8_0(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const Parts parts = PartsQ8_0(columns);
  for (size_t k = 0; k < columns; ++k) {
    const size_t b = k / 32;
    const int q = panel[b * 512 + k % 32 / 4 * 64 + row * 4 + k % 4] - 128;
    into[k] = FromHalf(Lane<Half>(panel + parts.second + b * 32, row)) * static_cast<float>(q);
  }
}

void UnpackQ4_0(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const Parts parts = PartsQ4_0(columns);
  for (size_t k = 0; k < columns; ++k) {
    const size_t b = k / 32;
    const int q = Nibble(panel + b * 256, row, k % 32) - 8;
    into[k] = FromHalf(Lane<Half>(panel + parts.second + b * 32, row)) * static_cast<float>(q);
  }
}

void UnpackQ4_K(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const Parts parts = PartsQ4_K(columns);
  for (size_t k = 0; k < columns; ++k) {
    const size_t b = k / 32;
    const uint8_t* scales = panel + parts.second + b * 32;
    const uint8_t* super = panel + parts.third + b / 8 * 64;
    const float scale = FromHalf(Lane<Half>(super, row)) * static_cast<float>(scales[row]);
    const float min = FromHalf(Lane<Half>(super + 32, row)) * static_cast<float>(scales[16 + row]);
    into[k] = std::fma(scale, static_cast<float>(Nibble(panel + b * 256, row, k % 32)), -min);
  }
}

void UnpackQ6_K(const uint8_t* panel, size_t row, size_t columns, float* into) {
  const Parts parts = PartsQ6_K(columns);
  for (size_t k = 0; k < columns; ++k) {
    const size_t b = k / 32;
    const int q = SixBits(panel + b * 256, panel + parts.second + b * 128, row, k % 32) - 32;
    const auto step = Lane<int8_t>(panel + parts.third + b * 32 + k % 32 / 16 * 16, row);
    const float d = FromHalf(Lane<Half>(panel + parts.fourth + b / 8 * 32, row));
    into[k] = d * static_cast<float>(step) * static_cast<float>(q);
  }
}

}  // namespace baton::kernels::panel
