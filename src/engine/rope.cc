#include "engine/rope.h"

#include <cmath>

namespace baton::engine {

namespace {

std::vector<double> Frequencies(const RopeSpec& spec, const std::vector<float>& divisors) {
  std::vector<double> frequencies;
  for (int i = 0; i < spec.dimensions / 2; ++i) {
    const double divisor = divisors.empty() ? 1.0 : divisors[static_cast<size_t>(i)];
    frequencies.push_back(std::pow(double{spec.base}, -2.0 * i / spec.dimensions) / divisor);
  }
  return frequencies;
}

}  // namespace

RopeAngles::RopeAngles(const RopeSpec& spec, const QueryGrowth& growth)
    : magnitude_(spec.magnitude), growth_(growth), frequencies_(Frequencies(spec, spec.divisors)) {
  if (spec.short_tokens > 0) long_frequencies_ = Frequencies(spec, spec.long_divisors);
}

double RopeAngles::MagnitudeAt(int position) const {
  if (growth_.factor == 0) return magnitude_;
  return magnitude_ * (1 + growth_.factor * std::log(1.0 + position / growth_.tokens));
}

std::span<const float> RopeAngles::At(std::span<const int> positions,
                                      std::span<const uint8_t> turns_long) {
  angles_.resize(2 * positions.size() * frequencies_.size());
  float* into = angles_.data();
  for (size_t row = 0; row < positions.size(); ++row) {
    const bool is_long = !turns_long.empty() && turns_long[row] != 0;
    const double magnitude = MagnitudeAt(positions[row]);
    for (const double frequency : is_long ? long_frequencies_ : frequencies_) {
      *into++ = static_cast<float>(magnitude * std::cos(positions[row] * frequency));
      *into++ = static_cast<float>(magnitude * std::sin(positions[row] * frequency));
    }
  }
  return angles_;
}

}  // namespace baton::engine
