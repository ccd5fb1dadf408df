// What brain_attention.h asks of a set without BF16 instructions: pairs are two rounded F32 values
// each, of which the second is multiplied and added first, as the instructions do. Included by
// brain.h of such a set, after its vec.h.

constexpr size_t kPairBytes = 128;  // sixteen seconds, sixteen firsts
constexpr size_t kParts = 2;

struct FactorPair {
  float first;
  float second;
};
using PairPart = F32x16;

inline PairPart LoadPart(const uint8_t* at, size_t part) {
  return Load(reinterpret_cast<const float*>(at) + 16 * part);
}
inline PairPart BroadcastPart(const FactorPair& x, size_t part) {
  return Broadcast(part == 0 ? x.second : x.first);
}
inline F32x16 AddProduct(PairPart a, PairPart b, F32x16 sum) {
  return Fma(a, b, sum);
}
// Of values that are zero or at least 2^-50.
inline void StorePairs(F32x16 first, F32x16 second, uint8_t* at) {
  auto* floats = reinterpret_cast<float*>(at);
  Store(RoundToBrain(second), floats);
  Store(RoundToBrain(first), floats + 16);
}
// The same; returns them rounded.
inline F32x16 StoreFactors(F32x16 x, FactorPair* into) {
  const F32x16 rounded = RoundToBrain(x);
  Store(rounded, &into->first);
  return rounded;
}
// As ToBrainFactor() of half.h.
inline void StoreQueryFactors(F32x16 x, FactorPair* into) {
  const Mask small = Less(Max(x, Negate(x)), Broadcast(0x1p-50f));
  StoreFactors(Select(small, Zero(), x), into);
}
