// Dot products of four signed bytes (FEAT_DotProd). Included by table.cc alone, inside its
// anonymous namespace.

// Bytes are q + 128 and are brought back to q first: the instruction takes all for signed.
inline I32x16 StartOfBytes(const OperandBlock&) {
  return BroadcastInt(0);
}
// Bytes are q, and 128 of them are missing then.
inline I32x16 StartOfUnsignedBytes(const OperandBlock& x) {
  return BroadcastInt(-x.offset128);
}
template <int kMax>
inline Bytes FactorsOf(Bytes x) {
  return kMax == 255 ? Flipped(x) : x;
}

// sum += weights times the four activations kLane of x.
template <int kLane>
inline int32x4_t AddDots(int32x4_t sum, uint8x16_t weights, int8x16_t x) {
  return vdotq_laneq_s32(sum, vreinterpretq_s8_u8(weights), x, kLane);
}
