// Devices and links that one need not own: what their makers publish, and by how much programs stay
// below it. For what-if questions and the lab; what is measured is never looked up here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/profile.h"

namespace baton::plan {

// The shares of a device's peaks that a program gets: three, and no more, so that a few published
// figures settle them.
struct Derating {
  std::string of;        // which program, "llama.cpp"
  double matrix = 0;     // of fp16_flops_per_s, in products of many tokens
  double read = 0;       // of read_bytes_per_s, weights and KV
  double attention = 0;  // of fp16_flops_per_s, in prefill
  std::string source;
};

struct CatalogueDevice {
  std::string id;    // "dgx-spark"
  std::string name;  // "NVIDIA DGX Spark"
  double memory_bytes = 0;
  double usable = 0;  // share of it that weights and KV may take
  double fp16_flops_per_s = 0;
  double read_bytes_per_s = 0;
  double layer_overhead_us = 0;
  double element_ns = 0;            // as in DeviceProfile; 0: part of the deratings
  double watts = 0;                 // at work
  std::vector<Derating> deratings;  // at least one, the usual one first
  std::string source;
};

struct CatalogueLink {
  std::string id;          // "10gbe"
  std::string name;        // "10 Gb/s Ethernet"
  double bytes_per_s = 0;  // that programs get
  double rtt_us = 0;
  std::string source;
};

class Catalogue {
 public:
  // What lab/catalogue/ had when the program was built.
  static const Catalogue& Shipped();

  // A file of lab/catalogue/: a device with `id`, and a list of links. Errors name table and key.
  static Result<CatalogueDevice> ParseDevice(std::string_view id, std::string_view text);
  static Result<std::vector<CatalogueLink>> ParseLinks(std::string_view text);

  // Sorted by id.
  const std::vector<CatalogueDevice>& devices() const { return devices_; }
  const std::vector<CatalogueLink>& links() const { return links_; }
  // kNotFound lists those that there are.
  Result<CatalogueDevice> Device(std::string_view id) const;
  Result<CatalogueLink> Link(std::string_view id) const;

 private:
  std::vector<CatalogueDevice> devices_;
  std::vector<CatalogueLink> links_;
};

// `of` empty: the usual one. kNotFound lists those that there are.
Result<Derating> FindDerating(const CatalogueDevice& device, std::string_view of);

// What a node with this device would have measured.
DeviceProfile ProfileOf(const CatalogueDevice& device, const Derating& derating);
// Of "DEVICE" or "DEVICE:DERATING".
Result<DeviceProfile> ParseDeviceProfile(std::string_view text, const Catalogue& catalogue);

// The same device with a clock that runs `speed` times as fast.
DeviceProfile SpedUp(DeviceProfile device, double speed);

}  // namespace baton::plan
