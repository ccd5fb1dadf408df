// As kernels/cpu/x86/stream.h, where it also has what was measured. Panels of floats, one after the
// other: 100 % of what reading alone gets; four side by side and 1,024 bytes ahead, 90 %. Q4_0 from
// memory, one core, panel by panel and two at a time, Gop/s: 4 tokens 528 and 421, 8 tokens 730 and
// 705, 12 tokens 647 and 804.
constexpr size_t StreamAhead() {
  return 6144;
}
constexpr size_t kFloatsAhead = 4096;
constexpr size_t kFloatPanelsOfOne = 1;
constexpr size_t kTokensOfOnePanel = 8;
