#include "plan/catalogue.h"

#include <algorithm>

#include "plan/catalogue_data.h"
#include "plan/toml_table.h"

namespace baton::plan {
namespace {

constexpr std::string_view kLinks = "links";

Result<Derating> ReadDerating(const toml::table& table, const std::string& device) {
  TomlTable fields(table, fmt::format("derating of {}", device));
  Derating derating;
  derating.of = fields.Text("of");
  derating.matrix = fields.Number("matrix", 1e-4, 1);
  derating.read = fields.Number("read", 1e-4, 1);
  derating.attention = fields.Number("attention", 1e-4, 1);
  derating.source = fields.Text("source");
  BATON_RETURN_IF_ERROR(fields.Done());
  return derating;
}

template <typename T>
Result<T> FindById(const std::vector<T>& all, std::string_view id, const char* what) {
  std::string known;
  for (const T& each : all) {
    if (each.id == id) return each;
    known += (known.empty() ? "" : ", ") + each.id;
  }
  return MakeError(Code::kNotFound, "{} '{}' is not in the catalogue: {}", what, id, known);
}

}  // namespace

Result<CatalogueDevice> Catalogue::ParseDevice(std::string_view id, std::string_view text) {
  BATON_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text));
  TomlTable fields(table, fmt::format("device '{}'", id));
  CatalogueDevice device;
  device.id = id;
  device.name = fields.Text("name");
  device.memory_bytes = fields.Number("memory_gb", 0.1, 1e6) * 1e9;
  device.usable = fields.Number("usable", 0.01, 1);
  device.fp16_flops_per_s = fields.Number("fp16_tflops", 1e-3, 1e5) * 1e12;
  device.read_bytes_per_s = fields.Number("memory_gb_per_s", 0.1, 1e5) * 1e9;
  device.layer_overhead_us = fields.Number("layer_overhead_us", 0, 1e6, 0);
  device.element_ns = fields.Number("element_ns", 0, 1e6, 0);
  device.watts = fields.Number("watts", 0.1, 1e5);
  device.source = fields.Text("source");
  for (const toml::table* each : fields.Tables("derating")) {
    BATON_ASSIGN_OR_RETURN(Derating derating, ReadDerating(*each, device.name));
    device.deratings.push_back(std::move(derating));
  }
  if (device.deratings.empty()) fields.Fail("there is no [[derating]]");
  BATON_RETURN_IF_ERROR(fields.Done());
  return device;
}

Result<std::vector<CatalogueLink>> Catalogue::ParseLinks(std::string_view text) {
  BATON_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text));
  TomlTable file(table, "links");
  std::vector<CatalogueLink> links;
  for (const toml::table* each : file.Tables("link")) {
    TomlTable fields(*each, "a link");
    CatalogueLink link;
    link.id = fields.Text("id");
    fields.Rename(fmt::format("link '{}'", link.id));
    link.name = fields.Text("name");
    link.bytes_per_s =
        fields.Number("gbit_per_s", 1e-3, 1e5) * 1e9 / 8 * fields.Number("efficiency", 0.01, 1);
    link.rtt_us = fields.Number("rtt_us", 0, 1e7);
    link.source = fields.Text("source");
    BATON_RETURN_IF_ERROR(fields.Done());
    links.push_back(std::move(link));
  }
  BATON_RETURN_IF_ERROR(file.Done());
  return links;
}

const Catalogue& Catalogue::Shipped() {
  static const Catalogue catalogue = [] {
    Catalogue read;
    for (const CatalogueText& file : CatalogueTexts()) {
      if (file.id == kLinks) {
        read.links_ = ParseLinks(file.text).value();
      } else {
        read.devices_.push_back(ParseDevice(file.id, file.text).value());
      }
    }
    const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
    std::sort(read.devices_.begin(), read.devices_.end(), by_id);
    std::sort(read.links_.begin(), read.links_.end(), by_id);
    return read;
  }();
  return catalogue;
}

Result<CatalogueDevice> Catalogue::Device(std::string_view id) const {
  return FindById(devices_, id, "device");
}

Result<CatalogueLink> Catalogue::Link(std::string_view id) const {
  return FindById(links_, id, "link");
}

Result<Derating> FindDerating(const CatalogueDevice& device, std::string_view of) {
  if (of.empty()) return device.deratings.front();
  std::string known;
  for (const Derating& each : device.deratings) {
    if (each.of == of) return each;
    known += (known.empty() ? "" : ", ") + each.of;
  }
  return MakeError(Code::kNotFound, "device '{}' has no derating of '{}', but of {}", device.id, of,
                   known);
}

DeviceProfile ProfileOf(const CatalogueDevice& device, const Derating& derating) {
  DeviceProfile profile;
  profile.name = device.name;
  profile.memory_bytes = static_cast<uint64_t>(device.memory_bytes * device.usable);
  profile.rates = {{DType::kF16, device.fp16_flops_per_s * derating.matrix,
                    device.read_bytes_per_s * derating.read}};
  profile.attention_flops_per_s = device.fp16_flops_per_s * derating.attention;
  profile.kv_read_bytes_per_s = device.read_bytes_per_s * derating.read;
  profile.layer_overhead_us = device.layer_overhead_us;
  profile.element_ns = device.element_ns;
  profile.watts = device.watts;
  return profile;
}

Result<DeviceProfile> ParseDeviceProfile(std::string_view text, const Catalogue& catalogue) {
  const size_t colon = text.find(':');
  BATON_ASSIGN_OR_RETURN(const CatalogueDevice device, catalogue.Device(text.substr(0, colon)));
  const std::string_view of = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  BATON_ASSIGN_OR_RETURN(const Derating derating, FindDerating(device, of));
  return ProfileOf(device, derating);
}

DeviceProfile SpedUp(DeviceProfile device, double speed) {
  for (TypeRate& rate : device.rates) {
    rate.matmul_flops_per_s *= speed;
    rate.read_bytes_per_s *= speed;
  }
  device.attention_flops_per_s *= speed;
  device.kv_read_bytes_per_s *= speed;
  device.layer_overhead_us /= speed;
  device.element_ns /= speed;
  device.send_ns /= speed;
  return device;
}

}  // namespace baton::plan
