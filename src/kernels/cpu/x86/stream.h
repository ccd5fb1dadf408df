// What x86 processors want of software where a few tokens read weights from one end to the other.
// Included by table.cc of its sets alone, inside its anonymous namespace.

// How far ahead to ask for weights, in bytes; 0: not at all. The prefetchers of AMD's processors do
// better alone (Zen 4: 98 % of what reading alone gets; 60 % with requests that leave the page),
// those of Intel's servers leave a core waiting (Emerald Rapids: 60 % alone, 65 at 1024, 74 at
// 2048, 90 from 4096 on; `products_bench 0`).
inline size_t StreamAhead() {
  return __builtin_cpu_is("intel") ? 8192 : 0;
}
