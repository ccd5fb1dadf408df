// What x86 processors want of software where a few tokens read weights from one end to the other.
// Included by table.cc of its sets alone, inside its anonymous namespace.

// How far ahead to ask for weights, in bytes; 0: not at all. What of reading alone one core gets of
// Q4_0 (`products_bench 0`):
//   ahead                    0   1024   2048   4096   6144   8192  16384
//   Emerald Rapids (Intel)  60     65     74     90            90         %
//   Zen 4                   98     60 where requests leave the page       %
//   Zen 5                   52     83     87     94     97     93     85  %
inline size_t StreamAhead() {
  if (__builtin_cpu_is("intel")) return 8192;
  return __builtin_cpu_supports("avx512vp2intersect") ? 6144 : 0;  // Zen 5 and on, of AMD's
}
