// Measures how fast large frames cross a link in one direction: the sender announces some bytes,
// sends them, and the receiver reports how long the last three quarters took (the first quarter
// lets windows and shapers settle). The amount grows until the time is long enough to trust.
#pragma once

#include <cstdint>
#include <optional>

#include "net/link.pb.h"
#include "os/clock.h"

namespace baton::net {

constexpr uint64_t kProbeFrameBytes = 64 << 10;

// The sender's side: how many bytes next, and when it is enough.
class ProbePlan {
 public:
  static constexpr uint64_t kFirstBytes = 1 << 20;
  static constexpr uint64_t kMostBytes = 128 << 20;
  static constexpr uint64_t kEnoughUs = 60'000;

  // Of a link that nothing is known of, or of one that was measured before.
  ProbePlan() = default;
  explicit ProbePlan(double bytes_per_s);

  uint64_t bytes() const { return bytes_; }
  // Digests a report; the rate once it is trustworthy, nothing if a larger probe should follow.
  std::optional<double> OnReport(const ProbeReport& report);

 private:
  uint64_t bytes_ = kFirstBytes;
};

// The receiver's side.
class ProbeMeter {
 public:
  void OnStart(const ProbeStart& start);
  // The report, when the announced bytes are complete.
  std::optional<ProbeReport> OnBytes(uint64_t count, os::TimePoint now);
  // Bytes of an announced probe come in.
  bool Busy(os::TimePoint now) const { return expected_bytes_ > 0 && now - last_at_ < kPause; }
  // So do those of another: the report will say so.
  void Crowd() { crowded_ = true; }

 private:
  static constexpr std::chrono::seconds kPause{1};

  uint64_t probe_id_ = 0;
  uint64_t expected_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  uint64_t counted_from_ = 0;
  os::TimePoint quarter_at_{};
  os::TimePoint last_at_{};
  bool crowded_ = false;
};

}  // namespace baton::net
