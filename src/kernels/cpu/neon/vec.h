// Sixteen lanes as four NEON registers. Included by table.cc alone, inside its anonymous namespace:
// nothing here may have a symbol that another translation unit could pick up.

struct F32x16 {
  float32x4_t a, b, c, d;
};
struct I32x16 {
  int32x4_t a, b, c, d;
};
struct U32x16 {
  uint32x4_t a, b, c, d;
};
// All bits of a lane set or none. NEON loads and stores know no masks: those are of the first
// `count` lanes, so they take FirstLanes() alone.
struct Mask {
  uint32x4_t a, b, c, d;
  size_t count;
};

inline Mask FirstLanes(size_t n) {
  const size_t count = n > 16 ? 16 : n;
  const uint32x4_t all = vdupq_n_u32(static_cast<uint32_t>(count));
  const uint32x4_t a = {0, 1, 2, 3}, b = {4, 5, 6, 7}, c = {8, 9, 10, 11}, d = {12, 13, 14, 15};
  return {vcgtq_u32(all, a), vcgtq_u32(all, b), vcgtq_u32(all, c), vcgtq_u32(all, d), count};
}

inline F32x16 Broadcast(float x) {
  const float32x4_t four = vdupq_n_f32(x);
  return {four, four, four, four};
}
inline F32x16 Zero() {
  return Broadcast(0);
}
inline F32x16 Load(const float* from) {
  return {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
}
inline void Store(F32x16 x, float* into) {
  vst1q_f32(into, x.a);
  vst1q_f32(into + 4, x.b);
  vst1q_f32(into + 8, x.c);
  vst1q_f32(into + 12, x.d);
}
inline F32x16 Load(const float* from, Mask mask) {
  if (mask.count == 16) return Load(from);
  float lanes[16] = {};
  __builtin_memcpy(lanes, from, mask.count * sizeof(float));
  return Load(lanes);
}
inline void Store(F32x16 x, float* into, Mask mask) {
  if (mask.count == 16) return Store(x, into);
  float lanes[16];
  Store(x, lanes);
  __builtin_memcpy(into, lanes, mask.count * sizeof(float));
}

inline F32x16 Add(F32x16 x, F32x16 y) {
  return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)};
}
inline F32x16 Subtract(F32x16 x, F32x16 y) {
  return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)};
}
inline F32x16 Times(F32x16 x, F32x16 y) {
  return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
}
inline F32x16 Divide(F32x16 x, F32x16 y) {
  return {vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)};
}
// x * y + sum.
inline F32x16 Fma(F32x16 x, F32x16 y, F32x16 sum) {
  return {vfmaq_f32(sum.a, x.a, y.a), vfmaq_f32(sum.b, x.b, y.b), vfmaq_f32(sum.c, x.c, y.c),
          vfmaq_f32(sum.d, x.d, y.d)};
}
// Where one is NaN, y: NEON's own maximum would be NaN.
inline float32x4_t Max4(float32x4_t x, float32x4_t y) {
  return vbslq_f32(vcgtq_f32(x, y), x, y);
}
inline float32x4_t Min4(float32x4_t x, float32x4_t y) {
  return vbslq_f32(vcltq_f32(x, y), x, y);
}
inline F32x16 Max(F32x16 x, F32x16 y) {
  return {Max4(x.a, y.a), Max4(x.b, y.b), Max4(x.c, y.c), Max4(x.d, y.d)};
}
inline F32x16 Min(F32x16 x, F32x16 y) {
  return {Min4(x.a, y.a), Min4(x.b, y.b), Min4(x.c, y.c), Min4(x.d, y.d)};
}
inline F32x16 Negate(F32x16 x) {
  return {vnegq_f32(x.a), vnegq_f32(x.b), vnegq_f32(x.c), vnegq_f32(x.d)};
}
inline F32x16 Round(F32x16 x) {
  return {vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c), vrndnq_f32(x.d)};
}
// x where the mask is set, else `otherwise`.
inline F32x16 Select(Mask mask, F32x16 x, F32x16 otherwise) {
  return {vbslq_f32(mask.a, x.a, otherwise.a), vbslq_f32(mask.b, x.b, otherwise.b),
          vbslq_f32(mask.c, x.c, otherwise.c), vbslq_f32(mask.d, x.d, otherwise.d)};
}
inline Mask Less(F32x16 x, F32x16 y) {
  return {vcltq_f32(x.a, y.a), vcltq_f32(x.b, y.b), vcltq_f32(x.c, y.c), vcltq_f32(x.d, y.d), 0};
}
inline bool Any(Mask mask) {
  const uint32x4_t some = vorrq_u32(vorrq_u32(mask.a, mask.b), vorrq_u32(mask.c, mask.d));
  return vmaxvq_u32(some) != 0;
}
inline float32x4_t PowerOfTwo4(float32x4_t n) {
  const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
  return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
}
// 2^n for whole n in [-126, 127].
inline F32x16 PowerOfTwo(F32x16 n) {
  return {PowerOfTwo4(n.a), PowerOfTwo4(n.b), PowerOfTwo4(n.c), PowerOfTwo4(n.d)};
}
// x * 2^n for whole n; where the result is no normal number, anything but a NaN for a number.
inline F32x16 TimesPowerOfTwo(F32x16 x, F32x16 n) {
  return Times(x, PowerOfTwo(n));
}

inline float Sum(F32x16 x) {
  const float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
inline float Largest(F32x16 x) {
  const float32x4_t four = Max4(Max4(x.a, x.c), Max4(x.b, x.d));
  const float32x4_t two = Max4(four, vextq_f32(four, four, 2));
  return vgetq_lane_f32(Max4(two, vextq_f32(two, two, 1)), 0);
}

inline F32x16 LoadHalf(const uint16_t* from) {
  const float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(from));
  const float16x8_t high = vreinterpretq_f16_u16(vld1q_u16(from + 8));
  return {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
          vcvt_high_f32_f16(high)};
}
inline float32x4_t FromBrains4(uint16x4_t brains) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(brains), 16));
}
inline F32x16 LoadBrains(const uint16_t* from) {
  return {FromBrains4(vld1_u16(from)), FromBrains4(vld1_u16(from + 4)),
          FromBrains4(vld1_u16(from + 8)), FromBrains4(vld1_u16(from + 12))};
}
inline F32x16 BroadcastHalf(uint16_t half) {
  const float32x4_t x = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
  return {x, x, x, x};
}
inline const uint16_t* HalvesAt(const uint8_t* at) {
  return reinterpret_cast<const uint16_t*>(at);
}
inline void StoreHalf(F32x16 x, uint16_t* into) {
  const float16x8_t low = vcvt_high_f16_f32(vcvt_f16_f32(x.a), x.b);
  const float16x8_t high = vcvt_high_f16_f32(vcvt_f16_f32(x.c), x.d);
  vst1q_u16(into, vreinterpretq_u16_f16(low));
  vst1q_u16(into + 8, vreinterpretq_u16_f16(high));
}
// The nearest BF16, ties to even, in the high 16 bits of each lane; below it is rubbish.
inline uint32x4_t BrainBits4(uint32x4_t bits) {
  const uint32x4_t magnitude = vandq_u32(bits, vdupq_n_u32(0x7fffffff));
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vbslq_u32(vcgtq_u32(magnitude, vdupq_n_u32(0x7f800000)), quiet, rounded);
}
// As ToBrainFactor() of half.h.
inline uint16x4_t BrainFactors4(float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x);
  const uint32x4_t magnitude = vandq_u32(bits, vdupq_n_u32(0x7fffffff));
  const uint32x4_t large = vcgeq_u32(magnitude, vdupq_n_u32(kBrainFactorMin));
  return vshrn_n_u32(vandq_u32(BrainBits4(bits), large), 16);
}
// 16 values as 8 pairs.
inline void StoreBrainFactors(F32x16 x, uint32_t* pairs) {
  const uint16x8_t low = vcombine_u16(BrainFactors4(x.a), BrainFactors4(x.b));
  const uint16x8_t high = vcombine_u16(BrainFactors4(x.c), BrainFactors4(x.d));
  vst1q_u32(pairs, vreinterpretq_u32_u16(low));
  vst1q_u32(pairs + 4, vreinterpretq_u32_u16(high));
}
inline F32x16 ToFloat(I32x16 x) {
  return {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)};
}
inline U32x16 Widen(uint8x16_t bytes) {
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes));
  const uint16x8_t high = vmovl_high_u8(bytes);
  return {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)),
          vmovl_high_u16(high)};
}
inline F32x16 FloatsOfBytes(uint8x16_t bytes) {
  const U32x16 x = Widen(bytes);
  return {vcvtq_f32_u32(x.a), vcvtq_f32_u32(x.b), vcvtq_f32_u32(x.c), vcvtq_f32_u32(x.d)};
}
inline F32x16 LoadU8(const uint8_t* from) {
  return FloatsOfBytes(vld1q_u8(from));
}
inline I32x16 Widen(int8x16_t bytes) {
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
  const int16x8_t high = vmovl_high_s8(bytes);
  return {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
          vmovl_high_s16(high)};
}
inline F32x16 LoadS8(const uint8_t* from) {
  return ToFloat(Widen(vreinterpretq_s8_u8(vld1q_u8(from))));
}
inline float32x4_t PowersOfExponents(uint32x4_t exponents) {
  const int32x4_t e = vreinterpretq_s32_u32(exponents);
  const int32x4_t one = vdupq_n_s32(1);
  const int32x4_t normal = vshlq_n_s32(vsubq_s32(e, one), 23);
  const int32x4_t denormal = vshlq_s32(vdupq_n_s32(1 << 21), vandq_s32(e, one));
  return vreinterpretq_f32_s32(vmaxq_s32(normal, denormal));
}
// 2^(e - 128) of bytes e. (e - 1) << 23 is right from 2 on and smaller than the denormal below.
inline F32x16 LoadExponents(const uint8_t* from) {
  const U32x16 e = Widen(vld1q_u8(from));
  return {PowersOfExponents(e.a), PowersOfExponents(e.b), PowersOfExponents(e.c),
          PowersOfExponents(e.d)};
}

inline I32x16 LoadInts(const uint8_t* from) {
  const auto* at = reinterpret_cast<const int32_t*>(from);
  return {vld1q_s32(at), vld1q_s32(at + 4), vld1q_s32(at + 8), vld1q_s32(at + 12)};
}
inline void StoreInts(I32x16 x, uint8_t* into) {
  auto* at = reinterpret_cast<int32_t*>(into);
  vst1q_s32(at, x.a);
  vst1q_s32(at + 4, x.b);
  vst1q_s32(at + 8, x.c);
  vst1q_s32(at + 12, x.d);
}
inline I32x16 BroadcastInt(int32_t x) {
  const int32x4_t four = vdupq_n_s32(x);
  return {four, four, four, four};
}
inline I32x16 Twice(I32x16 x) {
  return {vaddq_s32(x.a, x.a), vaddq_s32(x.b, x.b), vaddq_s32(x.c, x.c), vaddq_s32(x.d, x.d)};
}
inline I32x16 Eighth(I32x16 x) {  // of multiples of eight
  return {vshrq_n_s32(x.a, 3), vshrq_n_s32(x.b, 3), vshrq_n_s32(x.c, 3), vshrq_n_s32(x.d, 3)};
}

// Of pairs (c, s): c and s twice each; and x with the elements of each pair exchanged.
inline F32x16 TwiceEven(F32x16 x) {
  return {vtrn1q_f32(x.a, x.a), vtrn1q_f32(x.b, x.b), vtrn1q_f32(x.c, x.c), vtrn1q_f32(x.d, x.d)};
}
inline F32x16 TwiceOdd(F32x16 x) {
  return {vtrn2q_f32(x.a, x.a), vtrn2q_f32(x.b, x.b), vtrn2q_f32(x.c, x.c), vtrn2q_f32(x.d, x.d)};
}
inline F32x16 SwapPairs(F32x16 x) {
  return {vrev64q_f32(x.a), vrev64q_f32(x.b), vrev64q_f32(x.c), vrev64q_f32(x.d)};
}
inline float32x4_t NegateEven4(float32x4_t x) {
  const uint32x4_t signs = vreinterpretq_u32_u64(vdupq_n_u64(0x80000000));
  return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), signs));
}
inline F32x16 NegateEven(F32x16 x) {
  return {NegateEven4(x.a), NegateEven4(x.b), NegateEven4(x.c), NegateEven4(x.d)};
}

inline uint32x4_t LargestMagnitudes(const float* x) {
  const uint32x4_t magnitude = vdupq_n_u32(0x7fffffff);
  return vmaxq_u32(vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x)), magnitude),
                   vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + 4)), magnitude));
}
// Of 32 floats: the largest magnitude as bits (orders NaN above infinity above numbers).
inline uint32_t LargestMagnitude32(const float* x) {
  const uint32x4_t first = vmaxq_u32(LargestMagnitudes(x), LargestMagnitudes(x + 8));
  const uint32x4_t second = vmaxq_u32(LargestMagnitudes(x + 16), LargestMagnitudes(x + 24));
  return vmaxvq_u32(vmaxq_u32(first, second));
}
inline int16x8_t Rounded8(const float* x, float inverse) {
  const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse));
  const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4), inverse));
  return vcombine_s16(vmovn_s32(low), vmovn_s32(high));
}
// q[i] = round(x[i] * inverse) for 16 values within int8; returns their sum.
inline int32_t Quantize16(const float* x, float inverse, int8_t* q) {
  const int16x8_t low = Rounded8(x, inverse);
  const int16x8_t high = Rounded8(x + 8, inverse);
  vst1q_s8(q, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  return vaddvq_s16(vaddq_s16(low, high));
}

inline void Prefetch(const void* at) {
  __builtin_prefetch(at);
}
inline void PrefetchToL2(const void* at) {
  __builtin_prefetch(at, 0, 2);
}
// As kernels/cpu/x86/stream.h.
constexpr size_t StreamAhead() {
  return 0;
}
constexpr size_t kFloatsAhead = 1024;
constexpr size_t kFloatPanelsOfOne = 4;
constexpr size_t kTokensOfOnePanel = 0;

// 16 rows x 4 bytes.
struct Bytes {
  uint8x16_t a, b, c, d;
};
inline Bytes Flipped(Bytes x) {  // q + 128 of q, and the way back
  const uint8x16_t flip = vdupq_n_u8(0x80);
  return {veorq_u8(x.a, flip), veorq_u8(x.b, flip), veorq_u8(x.c, flip), veorq_u8(x.d, flip)};
}
inline Bytes LoadBytes(const uint8_t* from) {
  return {vld1q_u8(from), vld1q_u8(from + 16), vld1q_u8(from + 32), vld1q_u8(from + 48)};
}
inline Bytes ShiftRight(Bytes x, size_t bits) {
  const auto n = static_cast<uint8_t>(bits);
  return {x.a >> n, x.b >> n, x.c >> n, x.d >> n};
}
inline Bytes ShiftLeft(Bytes x, size_t bits) {
  const auto n = static_cast<uint8_t>(bits);
  return {x.a << n, x.b << n, x.c << n, x.d << n};
}
inline Bytes And(Bytes x, uint8_t mask) {
  const uint8x16_t bits = vdupq_n_u8(mask);
  return {vandq_u8(x.a, bits), vandq_u8(x.b, bits), vandq_u8(x.c, bits), vandq_u8(x.d, bits)};
}
// (low & mask) | high, where high has none of the mask's bits.
inline Bytes Join(Bytes low, uint8_t mask, Bytes high) {
  const uint8x16_t bits = vdupq_n_u8(mask);
  return {vbslq_u8(bits, low.a, high.a), vbslq_u8(bits, low.b, high.b),
          vbslq_u8(bits, low.c, high.c), vbslq_u8(bits, low.d, high.d)};
}
inline Bytes LoadTable(const int8_t (&table)[16], int offset) {
  const uint8x16_t values = vreinterpretq_u8_s8(vld1q_s8(table));
  const uint8x16_t moved = vaddq_u8(values, vdupq_n_u8(static_cast<uint8_t>(offset)));
  return {moved, moved, moved, moved};
}
// Bytes of `table` by indices below 16.
inline Bytes LookUp(Bytes table, Bytes index) {
  return {vqtbl1q_u8(table.a, index.a), vqtbl1q_u8(table.b, index.b), vqtbl1q_u8(table.c, index.c),
          vqtbl1q_u8(table.d, index.d)};
}

// A group's bytes as products take them, here and in memory; what these are, FactorsOf() says.
template <int>
using Factors = Bytes;
template <int>
constexpr size_t kFactorBytes = 64;
template <int>
inline Bytes LoadFactors(const uint8_t* from) {
  return LoadBytes(from);
}
template <int>
inline void StoreFactors(const Bytes& x, uint8_t* into) {
  vst1q_u8(into, x.a);
  vst1q_u8(into + 16, x.b);
  vst1q_u8(into + 32, x.c);
  vst1q_u8(into + 48, x.d);
}

// ---- scales that are small: integers ----

inline I32x16 Signed(const U32x16& x) {
  return {vreinterpretq_s32_u32(x.a), vreinterpretq_s32_u32(x.b), vreinterpretq_s32_u32(x.c),
          vreinterpretq_s32_u32(x.d)};
}
inline I32x16 ScalesOfNibbles(const uint8_t* from) {
  return Signed(Widen(vandq_u8(vld1q_u8(from), vdupq_n_u8(15))));
}
inline I32x16 ScalesOfBytes(const uint8_t* from) {
  return Widen(vreinterpretq_s8_u8(vld1q_u8(from)));
}
// dot * scale + sum.
inline I32x16 MultiplyAdd(const I32x16& dot, const I32x16& scale, const I32x16& sum) {
  return {vmlaq_s32(sum.a, dot.a, scale.a), vmlaq_s32(sum.b, dot.b, scale.b),
          vmlaq_s32(sum.c, dot.c, scale.c), vmlaq_s32(sum.d, dot.d, scale.d)};
}

// Of both halves of a block of 32: the high nibbles of 2 x 16 bytes, 16 bits each, half by half.
inline I32x16 MinimaOfNibbles(const uint8_t* from) {
  const uint8x16_t first = vshrq_n_u8(vld1q_u8(from), 4);
  const uint8x16_t second = vshrq_n_u8(vld1q_u8(from + 16), 4);
  return {vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(first))),
          vreinterpretq_s32_u16(vmovl_high_u8(first)),
          vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(second))),
          vreinterpretq_s32_u16(vmovl_high_u8(second))};
}
// sum + minima of eight rows times lane kHalf of `by`.
template <int kHalf>
inline void AddMinima(int32x4_t& low, int32x4_t& high, int32x4_t minima, int16x4_t by) {
  const int16x8_t words = vreinterpretq_s16_s32(minima);
  low = vmlal_lane_s16(low, vget_low_s16(words), by, kHalf);
  high = vmlal_high_lane_s16(high, words, by, kHalf);
}
// sum - the sums of both halves of x times their minima.
inline I32x16 SubtractMinima(I32x16 sum, const I32x16& minima, const OperandBlock& x) {
  const int32x2_t offsets = vld1_s32(x.offset32);  // -32 times each sum
  const int16x4_t by = vmovn_s32(vshrq_n_s32(vcombine_s32(offsets, offsets), 5));
  AddMinima<0>(sum.a, sum.b, minima.a, by);
  AddMinima<0>(sum.c, sum.d, minima.b, by);
  AddMinima<1>(sum.a, sum.b, minima.c, by);
  AddMinima<1>(sum.c, sum.d, minima.d, by);
  return sum;
}

// Whether bytes are multiplied by their scales as blocks are prepared.
constexpr bool kBytesTakeScales = false;  // those of Q3_K would need all eight bits

// ---- peaks, and what a tile takes ----

inline float PeakFused(size_t iterations) {
  F32x16 sums[6];
  for (size_t i = 0; i < 6; ++i) sums[i] = Broadcast(static_cast<float>(i));
  const F32x16 half = Broadcast(0.5f + 1e-9f * static_cast<float>(iterations));
  for (size_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 6
    for (F32x16& sum : sums) sum = Fma(half, half, sum);
  }
  float total = 0;
#pragma GCC unroll 6
  for (const F32x16& sum : sums) total += Sum(sum);
  return total;
}

inline uint64_t PeakRead(const uint8_t* bytes, size_t count) {
  uint8x16_t sums[8];
  for (uint8x16_t& sum : sums) sum = vdupq_n_u8(0);
  for (size_t i = 0; i < count; i += 128) {
    PrefetchToL2(bytes + i + 1024);
    PrefetchToL2(bytes + i + 1024 + 64);
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) sums[j] = veorq_u8(sums[j], vld1q_u8(bytes + i + j * 16));
  }
  uint64_t total = 0;
  for (const uint8x16_t sum : sums) total ^= vgetq_lane_u64(vreinterpretq_u64_u8(sum), 0);
  return total;
}

constexpr size_t kTileTokens = 4;
constexpr size_t kAttentionRows = 4;
constexpr size_t kVectors = 1;  // of 16 lanes beside kAttentionRows rows
constexpr size_t kPeakFusedOps = 6 * 32;
