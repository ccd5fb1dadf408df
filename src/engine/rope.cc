#include "engine/rope.h"

#include <cmath>

namespace baton::engine {

RopeAngles::RopeAngles(const RopeSpec& spec) : magnitude_(spec.magnitude) {
  for (int i = 0; i < spec.dimensions / 2; ++i) {
    const double divisor = spec.divisors.empty() ? 1.0 : spec.divisors[i];
    frequencies_.push_back(std::pow(double{spec.base}, -2.0 * i / spec.dimensions) / divisor);
  }
}

std::span<const float> RopeAngles::At(std::span<const int> positions) {
  angles_.resize(2 * positions.size() * frequencies_.size());
  float* into = angles_.data();
  for (const int position : positions) {
    for (const double frequency : frequencies_) {
      *into++ = static_cast<float>(magnitude_ * std::cos(position * frequency));
      *into++ = static_cast<float>(magnitude_ * std::sin(position * frequency));
    }
  }
  return angles_;
}

}  // namespace baton::engine
