// What x86 processors want of software where a few tokens read weights from one end to the other.
// Included by table.cc of its sets alone, inside its anonymous namespace.

// How far ahead to ask for weights, in bytes; 0: not at all. What one core then gets of Q4_0, in
// percent of reading alone (`products_bench 0`):
//   ahead                     0  1024  2048  4096  6144  8192  16384
//   Emerald Rapids (Intel)   60    63    75    90     -    91     91
//   Zen 4                    98    98  less with requests that leave the page, down to 60
//   Zen 5                    52    83    87    94    97    93     85
inline size_t StreamAhead() {
  if (__builtin_cpu_is("intel")) return 8192;
  return __builtin_cpu_supports("avx512vp2intersect") ? 6144 : 0;  // Zen 5 and on, of AMD's
}
// The same for floats, where nearer and farther are slower.
constexpr size_t kFloatsAhead = 1024;
// Panels of floats that one token reads side by side.
constexpr size_t kFloatPanelsOfOne = 4;
// So few tokens, of those that could share two panels' loads, take blocks panel by panel: what
// comes from memory comes faster then.
constexpr size_t kTokensOfOnePanel = 0;
