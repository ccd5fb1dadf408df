// Counter-based randomness: a draw is a pure function of (seed, stream, counter), so a replayed
// request draws the same tokens on whichever node it continues.
#pragma once

#include <array>
#include <cstdint>

namespace baton {

// Philox 4x32 with 10 rounds. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011; the test holds the vectors published with it.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// A uniform number in [0, 1) for (seed, position), with 53 random bits.
double UniformAt(uint64_t seed, uint64_t position);

// A small sequential generator on top (SplitMix64), for tests, jitter and synthetic weights.
// Not for keys: those come from the operating system.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Uniform in [0, bound), bound > 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1).
  double Uniform();
  // Standard normal (Box-Muller).
  double Normal();

 private:
  uint64_t state_;
};

}  // namespace baton
