// The angles by which rotary position embedding turns queries and keys, from a ModelSpec.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/spec.h"

namespace baton::engine {

// Computes cos and sin in double precision and rounds once, so that position 100,000 is as exact as
// position 1. Keeps the angles of the last rows asked for; one thread.
class RopeAngles {
 public:
  // With `growth` for queries: what turns grows by it.
  explicit RopeAngles(const RopeSpec& spec, const QueryGrowth& growth = {});

  int pairs() const { return static_cast<int>(frequencies_.size()); }
  // [row][pair][cos, sin], valid until the next call. `turns_long` says of each row whether its
  // text is a long one (RopeSpec::short_tokens); empty: none is.
  std::span<const float> At(std::span<const int> positions,
                            std::span<const uint8_t> turns_long = {});

 private:
  double MagnitudeAt(int position) const;

  const double magnitude_;
  const QueryGrowth growth_;
  std::vector<double> frequencies_;       // radians per position
  std::vector<double> long_frequencies_;  // of long texts, where they have their own
  std::vector<float> angles_;
};

}  // namespace baton::engine
