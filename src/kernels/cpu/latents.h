// The values of latent pages: the first elements of their keys, which lie in columns of 16 tokens,
// brought into rows. Included by body.h alone.

using Halves8 = uint16_t __attribute__((vector_size(16)));
using Bytes16 = uint8_t __attribute__((vector_size(16)));

template <typename Vector>
inline Vector LoadVector(const void* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(vector));
  return vector;
}

inline Halves8 InterleaveLow(Halves8 a, Halves8 b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
inline Halves8 InterleaveHigh(Halves8 a, Halves8 b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
inline Bytes16 InterleaveLow(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline Bytes16 InterleaveHigh(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// A square of kSize vectors of kSize elements: shuffling its halves like two stacks of cards, as
// often as 2 goes into kSize, turns rows into columns.
template <size_t kSize, typename Vector>
inline void Transpose(Vector (&square)[kSize]) {
#pragma GCC unroll 4
  for (size_t round = 1; round < kSize; round *= 2) {
    Vector shuffled[kSize];
#pragma GCC unroll 8
    for (size_t i = 0; i < kSize / 2; ++i) {
      shuffled[2 * i] = InterleaveLow(square[i], square[i + kSize / 2]);
      shuffled[2 * i + 1] = InterleaveHigh(square[i], square[i + kSize / 2]);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < kSize; ++i) square[i] = shuffled[i];
  }
}

// keys [4][key_width][16] -> rows [64][width], where width <= key_width, both whole sixteens.
inline void ToRows(const uint16_t* keys, size_t key_width, size_t width, uint16_t* rows) {
  for (size_t line = 0; line < kKeyBlock; line += 16, keys += key_width * 16) {
    for (size_t d = 0; d < width; d += 8) {
      for (size_t lane = 0; lane < 16; lane += 8) {
        Halves8 square[8];
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; ++i) {
          square[i] = LoadVector<Halves8>(keys + (d + i) * 16 + lane);
        }
        Transpose(square);
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; ++i) {
          __builtin_memcpy(rows + (line + lane + i) * width + d, &square[i], sizeof(square[i]));
        }
      }
    }
  }
}

// The same of F32, for which speed is no matter.
inline void ToRows(const float* keys, size_t key_width, size_t width, float* rows) {
  for (size_t line = 0; line < kKeyBlock; line += 16, keys += key_width * 16) {
    for (size_t d = 0; d < width; ++d) {
      for (size_t i = 0; i < 16; ++i) rows[(line + i) * width + d] = keys[d * 16 + i];
    }
  }
}

// keys [4][key_blocks] of 16 tokens -> rows [64][blocks], where blocks <= key_blocks.
inline void BlocksToRows(const KeyBlockQ8_0* keys, size_t key_blocks, size_t blocks,
                         BlockQ8_0* rows) {
  for (size_t line = 0; line < kKeyBlock; line += 16, keys += key_blocks) {
    for (size_t b = 0; b < blocks; ++b) {
      BlockQ8_0* into = rows + line * blocks + b;
      for (size_t lane = 0; lane < 16; ++lane) into[lane * blocks].d = keys[b].d[lane];
      for (size_t half = 0; half < 32; half += 16) {
        Bytes16 square[16];
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; ++i) square[i] = LoadVector<Bytes16>(keys[b].q[half + i]);
        Transpose(square);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; ++i) {
          __builtin_memcpy(into[i * blocks].q + half, &square[i], sizeof(square[i]));
        }
      }
    }
  }
}
