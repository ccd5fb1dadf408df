#include "net/link_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace baton::net {
namespace {

constexpr double kRttWeight = 0.2;
constexpr double kObservedWeight = 0.3;
constexpr double kNews = 0.1;
constexpr double kRttNews = 0.25;
constexpr double kRttNewsUs = 20;

double LeastKnown(double a, double b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// After a probe of so many seconds.
os::Duration PauseAfter(double seconds) {
  const std::chrono::duration<double> pause(seconds / LinkMeter::kProbeShare);
  return std::chrono::duration_cast<os::Duration>(pause);
}

}  // namespace

void ProbeBudget::Take(os::TimePoint now, double bytes, double bytes_per_s) {
  free_ = now + PauseAfter(bytes / bytes_per_s);
}

void LinkMeter::Tell(double bytes_per_s) {
  probed_bytes_per_s_ = bytes_per_s;
  next_probe_ = os::TimePoint::max();
  settled_ = true;
}

void LinkMeter::OnRoundTrip(os::TimePoint now, double rtt_us) {
  if (now - half_began_ >= kRttWindow / 2) {
    rtt_before_us_ = rtt_now_us_;
    rtt_now_us_ = 0;
    half_began_ = now;
  }
  rtt_now_us_ = LeastKnown(rtt_now_us_, rtt_us);
  rtt_ewma_us_ = rtt_ewma_us_ == 0 ? rtt_us : rtt_ewma_us_ + kRttWeight * (rtt_us - rtt_ewma_us_);
}

double LinkMeter::rtt_min_us() const {
  return LeastKnown(rtt_now_us_, rtt_before_us_);
}

double LinkMeter::bytes_per_s() const {
  return std::max(probed_bytes_per_s_, observed_bytes_per_s_);
}

bool LinkMeter::IsNews() {
  const bool same_rate = std::abs(bytes_per_s() - told_bytes_per_s_) <= kNews * told_bytes_per_s_;
  const bool same_rtt =
      std::abs(rtt_min_us() - told_rtt_us_) <= std::max(kRttNewsUs, kRttNews * told_rtt_us_);
  if (same_rate && same_rtt) return false;
  told_bytes_per_s_ = bytes_per_s();
  told_rtt_us_ = rtt_min_us();
  return true;
}

bool LinkMeter::OnProbed(os::TimePoint now, double bytes_per_s, double seconds) {
  const double last = std::exchange(last_probe_bytes_per_s_, bytes_per_s);
  const bool is_first = last == 0;
  const bool is_steady = std::abs(bytes_per_s - last) <= kNews * last;
  probed_bytes_per_s_ = std::max(bytes_per_s, last);
  observed_bytes_per_s_ = 0;
  os::Duration pause = PauseAfter(seconds);
  if (is_first) pause = kSecondProbe;
  if (is_steady) pause = std::max<os::Duration>(kProbeInterval, pause);
  next_probe_ = now + pause;
  crowded_pause_ = kCrowdedPause;
  settled_ = true;
  return IsNews();
}

bool LinkMeter::OnCrowded(os::TimePoint now, double bytes_per_s, double jitter) {
  probed_bytes_per_s_ = std::max(probed_bytes_per_s_, bytes_per_s);
  next_probe_ = now + std::chrono::duration_cast<os::Duration>(crowded_pause_ * (0.5 + jitter / 2));
  crowded_pause_ = std::min<os::Duration>(crowded_pause_ * 2, kProbeInterval);
  return IsNews();
}

bool LinkMeter::OnSent(os::TimePoint now, uint64_t sent_bytes, bool more_waits) {
  const double seconds = os::SecondsBetween(looked_at_, now);
  const auto sent = static_cast<double>(sent_bytes - sent_bytes_);
  const bool full = more_waited_ && more_waits && seconds > 0;
  if (sent_bytes != sent_bytes_ || more_waits) busy_at_ = now;
  sent_bytes_ = sent_bytes;
  more_waited_ = more_waits;
  looked_at_ = now;
  if (full) {
    const double rate = sent / seconds;
    observed_bytes_per_s_ =
        observed_bytes_per_s_ == 0
            ? rate
            : observed_bytes_per_s_ + kObservedWeight * (rate - observed_bytes_per_s_);
  }
  return probed_bytes_per_s_ > 0 && IsNews();
}

bool LinkMeter::ProbeDue(os::TimePoint now) const {
  return probed_bytes_per_s_ > 0 && now >= next_probe_ && now - busy_at_ >= kIdle;
}

}  // namespace baton::net
