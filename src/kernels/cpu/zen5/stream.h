// As kernels/cpu/x86/stream.h, where it also has what was measured. Panels of floats, one after the
// other: 100 % of what reading alone gets; four side by side and 1,024 bytes ahead, 90 %.
constexpr size_t StreamAhead() {
  return 6144;
}
constexpr size_t kFloatsAhead = 4096;
constexpr size_t kFloatPanelsOfOne = 1;
