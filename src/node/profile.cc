#include "node/profile.h"

#include <boost/json.hpp>

#include "base/log.h"
#include "device/cpu/cpu_device.h"
#include "engine/limits.h"
#include "kernels/select.h"
#include "os/file.h"
#include "os/system.h"

namespace baton::node {
namespace {

namespace json = boost::json;

// What of the free memory models may take: the rest is for the system and for us.
constexpr double kUsableShare = 0.9;

json::object ToJson(const plan::DeviceProfile& device, const std::string& key) {
  json::array rates;
  for (const plan::TypeRate& rate : device.rates) {
    rates.push_back({{"type", json::string(InfoOf(rate.type).name)},
                     {"matmul_flops_per_s", rate.matmul_flops_per_s},
                     {"read_bytes_per_s", rate.read_bytes_per_s}});
  }
  return {{"key", key},
          {"rates", std::move(rates)},
          {"attention_flops_per_s", device.attention_flops_per_s},
          {"kv_read_bytes_per_s", device.kv_read_bytes_per_s},
          {"layer_overhead_us", device.layer_overhead_us}};
}

double NumberIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  const double number = value == nullptr ? 0 : value->to_number<double>(failed);
  return failed || !(number > 0) ? 0 : number;
}

// Nothing if the cache is absent, of another machine or program, or damaged.
std::optional<plan::DeviceProfile> FromCache(const std::string& path, const std::string& key) {
  const auto text = path.empty() ? Result<std::string>(Error(Code::kNotFound, "no cache"))
                                 : os::ReadFile(path, 1 << 20);
  if (!text.ok()) return std::nullopt;
  boost::system::error_code failed;
  const json::value parsed = json::parse(*text, failed);
  const json::object* object = failed ? nullptr : parsed.if_object();
  if (object == nullptr) return std::nullopt;
  const json::value* cached_key = object->if_contains("key");
  const json::value* rates = object->if_contains("rates");
  if (cached_key == nullptr || *cached_key != json::string(key) || rates == nullptr ||
      !rates->is_array())
    return std::nullopt;
  plan::DeviceProfile device;
  for (const json::value& item : rates->get_array()) {
    const json::object* rate = item.if_object();
    const json::value* type = rate == nullptr ? nullptr : rate->if_contains("type");
    const auto info = type != nullptr && type->is_string()
                          ? FindDTypeByName(std::string_view(type->get_string()))
                          : std::nullopt;
    if (!info) return std::nullopt;
    device.rates.push_back(
        {info->type, NumberIn(*rate, "matmul_flops_per_s"), NumberIn(*rate, "read_bytes_per_s")});
    if (device.rates.back().matmul_flops_per_s == 0 || device.rates.back().read_bytes_per_s == 0)
      return std::nullopt;
  }
  device.attention_flops_per_s = NumberIn(*object, "attention_flops_per_s");
  device.kv_read_bytes_per_s = NumberIn(*object, "kv_read_bytes_per_s");
  device.layer_overhead_us = NumberIn(*object, "layer_overhead_us");
  const bool whole =
      !device.rates.empty() && device.attention_flops_per_s > 0 && device.kv_read_bytes_per_s > 0;
  return whole ? std::optional(device) : std::nullopt;
}

struct Machine {
  std::unique_ptr<device::Device> device;
  std::string name;
  std::string key;
};

Result<Machine> ThisMachine(const ProfileOptions& options) {
  BATON_ASSIGN_OR_RETURN(const kernels::KernelTable* kernels,
                         kernels::SelectKernels(options.kernels));
  Machine machine{.device = device::MakeCpuDevice(*kernels, {.threads = options.threads})};
  machine.name = fmt::format("{}, {}", os::ProcessorName(), machine.device->Describe());
  machine.key = fmt::format("{} | {}", machine.name, options.software_version);
  return machine;
}

plan::DeviceProfile WithNameAndMemory(plan::DeviceProfile profile, const Machine& machine) {
  profile.name = machine.name;
  profile.memory_bytes =
      static_cast<uint64_t>(static_cast<double>(os::SystemMemory().available_bytes) * kUsableShare);
  return profile;
}

}  // namespace

Result<plan::DeviceProfile> KnownProfile(const ProfileOptions& options) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  auto cached = FromCache(options.cache_path, machine.key);
  return WithNameAndMemory(cached ? *std::move(cached) : plan::DeviceProfile(), machine);
}

Result<plan::DeviceProfile> MeasureProfile(const ProfileOptions& options, const os::Clock& clock) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  BATON_ASSIGN_OR_RETURN(const engine::Limits limits,
                         engine::MeasureLimits(*machine.device, clock));
  plan::DeviceProfile profile;
  for (const engine::TypeLimits& type : limits.types)
    profile.rates.push_back({type.type, type.matrix_flops_per_s, type.read_bytes_per_s});
  profile.attention_flops_per_s = limits.attention.front().flops_per_s;
  profile.kv_read_bytes_per_s = limits.attention.front().read_bytes_per_s;
  profile.layer_overhead_us = limits.layer_overhead_us;
  if (!options.cache_path.empty()) {
    const std::string text = json::serialize(ToJson(profile, machine.key));
    const Status saved = os::WriteFileAtomically(options.cache_path, AsBytes(text));
    if (!saved.ok()) log::Warning("profile cache: {}", saved.error().message());
  }
  return WithNameAndMemory(std::move(profile), machine);
}

}  // namespace baton::node
