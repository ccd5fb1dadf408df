// LinkMeter: what is known of one direction of a link, and when it is worth a probe again. Pure.
//
// Round trips come from heartbeats: the least of the last minutes, since a queue only ever adds to
// one. Bandwidth comes from probes, which are repeated while the link is idle and take less than a
// hundredth of it; what a busy link was seen to carry is a floor until then.
#pragma once

#include <cstdint>

#include "os/clock.h"

namespace baton::net {

// Links of one node share its port, and probes at once would measure one another: the node's probes
// together keep to the share of one link.
class ProbeBudget {
 public:
  bool Free(os::TimePoint now) const { return now >= free_; }
  // A probe begins, of some bytes on a link of that rate.
  void Take(os::TimePoint now, double bytes, double bytes_per_s);

 private:
  os::TimePoint free_{};
};

class LinkMeter {
 public:
  // Of the time, what probes may take; and how long they wait for one another at least.
  static constexpr double kProbeShare = 0.005;
  static constexpr std::chrono::seconds kProbeInterval{60};
  static constexpr std::chrono::seconds kSecondProbe{3};
  // A link is idle if nothing but probes was sent for so long.
  static constexpr std::chrono::seconds kIdle{2};
  static constexpr std::chrono::seconds kRttWindow{120};
  // After the first probe that met others; doubles until it is kProbeInterval.
  static constexpr std::chrono::milliseconds kCrowdedPause{1000};

  // Somebody knows the bandwidth: no probe is ever due. What the link is seen to carry is a floor.
  void Tell(double bytes_per_s);
  void OnRoundTrip(os::TimePoint now, double rtt_us);
  // A probe that nothing disturbed gave this rate and took this long in all. Of two the better
  // counts: a lost packet makes one slow, and nothing makes one fast. So the first is soon followed
  // by another, and so is one that differs from the last. Both it and OnSent() return true if there
  // is news: the bandwidth is more than a tenth, or the round trip more than a quarter off what was
  // news before.
  bool OnProbed(os::TimePoint now, double bytes_per_s, double seconds);
  // Others sent to the same peer meanwhile: the link carries that much at least, and is probed
  // again soon, each time later than the last; `jitter` from 0 to 1 keeps them from meeting again.
  // True if that is news.
  bool OnCrowded(os::TimePoint now, double bytes_per_s, double jitter);
  // False until a probe had the link for itself.
  bool settled() const { return settled_; }
  // Called every now and then while there is no probe: what the link has sent in all, and whether
  // more waits. Where it waits twice in a row, all that it could carry was sent in between.
  bool OnSent(os::TimePoint now, uint64_t sent_bytes, bool more_waits);

  bool ProbeDue(os::TimePoint now) const;
  // Of several that are due, the one that has waited longest is next.
  os::TimePoint due_since() const { return next_probe_; }
  // A probe was disturbed by others.
  void Postpone(os::TimePoint now) { next_probe_ = now + kProbeInterval; }

  // 0: not measured yet.
  double rtt_min_us() const;
  double rtt_ewma_us() const { return rtt_ewma_us_; }
  double bytes_per_s() const;

 private:
  bool IsNews();

  // The least round trip of two halves of a window, the one that runs and the one before.
  double rtt_now_us_ = 0;
  double rtt_before_us_ = 0;
  os::TimePoint half_began_{};
  double rtt_ewma_us_ = 0;

  double last_probe_bytes_per_s_ = 0;
  double probed_bytes_per_s_ = 0;  // of the last two
  double observed_bytes_per_s_ = 0;
  double told_bytes_per_s_ = 0;
  double told_rtt_us_ = 0;
  os::TimePoint next_probe_{};
  os::Duration crowded_pause_ = kCrowdedPause;
  bool settled_ = false;

  uint64_t sent_bytes_ = 0;
  bool more_waited_ = false;
  os::TimePoint looked_at_{};
  os::TimePoint busy_at_{};
};

}  // namespace baton::net
