#include "net/probe.h"

#include <algorithm>

namespace baton::net {

ProbePlan::ProbePlan(double bytes_per_s) {
  // The meter counts three quarters: a half more is enough, and a little.
  const double enough = bytes_per_s * kEnoughUs * 1e-6 * 1.5;
  const auto frames =
      static_cast<uint64_t>(std::min<double>(enough, kMostBytes)) / kProbeFrameBytes;
  bytes_ = std::clamp<uint64_t>((frames + 1) * kProbeFrameBytes, 4 * kProbeFrameBytes, kMostBytes);
}

std::optional<double> ProbePlan::OnReport(const ProbeReport& report) {
  const bool enough = report.elapsed_us() >= kEnoughUs || bytes_ >= kMostBytes;
  if (!enough) {
    bytes_ = std::min(kMostBytes, bytes_ * 4);
    return std::nullopt;
  }
  return static_cast<double>(report.bytes()) * 1e6 /
         static_cast<double>(std::max<uint64_t>(1, report.elapsed_us()));
}

void ProbeMeter::OnStart(const ProbeStart& start, uint64_t elsewhere) {
  *this = ProbeMeter();
  probe_id_ = start.probe_id();
  expected_bytes_ = std::min(start.bytes(), ProbePlan::kMostBytes);
  elsewhere_at_first_ = elsewhere;
}

std::optional<ProbeReport> ProbeMeter::OnBytes(uint64_t count, uint64_t elsewhere,
                                               os::TimePoint now) {
  if (expected_bytes_ == 0) return std::nullopt;
  received_bytes_ += count;
  if (counted_from_ == 0 && received_bytes_ * 4 >= expected_bytes_) {
    counted_from_ = received_bytes_;
    quarter_at_ = now;
  }
  if (received_bytes_ < expected_bytes_) return std::nullopt;
  ProbeReport report;
  report.set_probe_id(probe_id_);
  report.set_bytes(received_bytes_ - counted_from_);
  report.set_elapsed_us(static_cast<uint64_t>(os::SecondsBetween(quarter_at_, now) * 1e6));
  report.set_crowded(IsDisturbed(received_bytes_, elsewhere - elsewhere_at_first_));
  *this = ProbeMeter();
  return report;
}

}  // namespace baton::net
