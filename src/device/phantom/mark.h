// Marks: what a phantom keeps instead of activations, keys and values. A mark stands for all that
// an activation depends on: it is a hash of the token, of all tokens before it and of the layers
// that they went through.
//
// It travels as kMarkElements numbers from 0 to 127, one of which is 127: F32, F16 and blocks of
// Q8_0 (whose scale is then one) all keep every bit of that, as pages, between nodes and converted.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace baton::device {

using Mark = uint64_t;

inline constexpr int kMarkDigits = 10;  // of 7 bits
inline constexpr int kMarkElements = kMarkDigits + 1;

// A hash of both, in this order.
inline Mark Mix(Mark a, Mark b) {
  // The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
  // generators", OOPSLA 2014).
  uint64_t z = (a ^ (b * 0x9E3779B97F4A7C15)) + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

using MarkElements = std::array<uint8_t, kMarkElements>;

inline MarkElements ElementsOf(Mark mark) {
  MarkElements elements;
  for (int i = 0; i < kMarkDigits; ++i) elements[i] = static_cast<uint8_t>(mark >> (7 * i) & 127);
  elements[kMarkDigits] = 127;
  return elements;
}

inline Mark MarkOf(const MarkElements& elements) {
  Mark mark = 0;
  for (int i = 0; i < kMarkDigits; ++i) mark |= Mark{elements[i]} << (7 * i);
  return mark;
}

// In the first elements of a row.
inline void WriteMark(Mark mark, std::span<float> row) {
  const MarkElements elements = ElementsOf(mark);
  for (int i = 0; i < kMarkElements; ++i) row[i] = static_cast<float>(elements[i]);
}

inline Mark ReadMark(std::span<const float> row) {
  MarkElements elements{};
  for (int i = 0; i < kMarkElements; ++i)
    elements[i] = row[i] >= 0 && row[i] < 128 ? static_cast<uint8_t>(row[i]) : 0;
  return MarkOf(elements);
}

}  // namespace baton::device
