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

// What others sent or received meanwhile changes a probe's rate by no more than it is trusted for.
inline bool IsDisturbed(uint64_t probe_bytes, uint64_t bytes_of_others) {
  return bytes_of_others > probe_bytes / 20;
}

// The receiver's side. `elsewhere`: bytes that have come in on all other links so far. If there
// were many meanwhile, the report says so.
class ProbeMeter {
 public:
  void OnStart(const ProbeStart& start, uint64_t elsewhere);
  // The report, when the announced bytes are complete.
  std::optional<ProbeReport> OnBytes(uint64_t count, uint64_t elsewhere, os::TimePoint now);

 private:
  uint64_t probe_id_ = 0;
  uint64_t expected_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  uint64_t counted_from_ = 0;
  os::TimePoint quarter_at_{};
  uint64_t elsewhere_at_first_ = 0;
};

}  // namespace baton::net
