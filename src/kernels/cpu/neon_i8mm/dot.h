// Dot products of four unsigned bytes with four signed ones (FEAT_I8MM). Included by table.cc
// alone, inside its anonymous namespace.

// Bytes are q + 128.
inline I32x16 StartOfBytes(const OperandBlock& x) {
  return BroadcastInt(x.offset128);
}
// Bytes are q.
inline I32x16 StartOfUnsignedBytes(const OperandBlock&) {
  return BroadcastInt(0);
}
template <int kMax>
inline Bytes FactorsOf(Bytes x) {
  return x;
}

// sum += weights times the four activations kLane of x.
template <int kLane>
inline int32x4_t AddDots(int32x4_t sum, uint8x16_t weights, int8x16_t x) {
  return vusdotq_laneq_s32(sum, weights, x, kLane);
}
