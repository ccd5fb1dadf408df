#include "node/profile.h"

#include <algorithm>

#include <boost/json.hpp>

#include "base/log.h"
#include "device/cpu/cpu_device.h"
#include "engine/limits.h"
#include "kernels/select.h"
#include "os/file.h"
#include "os/sensors.h"
#include "os/system.h"
#include "os/topology.h"

namespace baton::node {
namespace {

namespace json = boost::json;

// What of the free memory models may take: the rest is for the system and for us.
constexpr double kUsableShare = 0.9;
// How it is measured: what was measured in another way is measured anew.
constexpr int kMethod = 7;

json::object ToJson(const plan::DeviceProfile& device, const std::string& key) {
  json::array rates, contexts;
  for (const plan::TypeRate& rate : device.rates) {
    json::array batches;
    for (const plan::BatchRate& batch : rate.batches)
      batches.push_back({{"tokens", batch.tokens}, {"flops_per_s", batch.flops_per_s}});
    rates.push_back({{"type", json::string(InfoOf(rate.type).name)},
                     {"matmul_flops_per_s", rate.matmul_flops_per_s},
                     {"read_bytes_per_s", rate.read_bytes_per_s},
                     {"cached_bytes_per_s", rate.cached_bytes_per_s},
                     {"batches", std::move(batches)}});
  }
  for (const plan::ContextRate& context : device.contexts) {
    contexts.push_back({{"keys", context.keys},
                        {"flops_per_s", context.flops_per_s},
                        {"read_bytes_per_s", context.read_bytes_per_s},
                        {"query_flops_per_s", context.query_flops_per_s}});
  }
  return {{"key", key},
          {"rates", std::move(rates)},
          {"attention_flops_per_s", device.attention_flops_per_s},
          {"kv_read_bytes_per_s", device.kv_read_bytes_per_s},
          {"reading_bytes_per_s", device.reading_bytes_per_s},
          {"contexts", std::move(contexts)},
          {"layer_overhead_us", device.layer_overhead_us},
          {"element_ns", device.element_ns},
          {"watts", device.watts}};
}

double NumberIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code failed;
  const double number = value == nullptr ? 0 : value->to_number<double>(failed);
  return failed || !(number > 0) ? 0 : number;
}

// Calls read(object), which says whether it is whole, for every item of a list that must be there.
template <typename Read>
bool ForEachIn(const json::object& object, const char* name, const Read& read) {
  const json::value* list = object.if_contains(name);
  if (list == nullptr || !list->is_array()) return false;
  return std::all_of(
      list->get_array().begin(), list->get_array().end(),
      [&](const json::value& item) { return item.is_object() && read(item.get_object()); });
}

bool ReadRate(const json::object& object, plan::DeviceProfile& device) {
  const json::value* type = object.if_contains("type");
  const auto info = type != nullptr && type->is_string()
                        ? FindDTypeByName(std::string_view(type->get_string()))
                        : std::nullopt;
  if (!info) return false;
  plan::TypeRate rate = {info->type, NumberIn(object, "matmul_flops_per_s"),
                         NumberIn(object, "read_bytes_per_s")};
  const bool whole = ForEachIn(object, "batches", [&](const json::object& batch) {
    rate.batches.push_back(
        {static_cast<int>(NumberIn(batch, "tokens")), NumberIn(batch, "flops_per_s")});
    return rate.batches.back().tokens > 0 && rate.batches.back().flops_per_s > 0;
  });
  rate.cached_bytes_per_s = NumberIn(object, "cached_bytes_per_s");
  device.rates.push_back(rate);
  return whole && rate.matmul_flops_per_s > 0 && rate.read_bytes_per_s > 0;
}

bool ReadContext(const json::object& object, plan::DeviceProfile& device) {
  const plan::ContextRate rate = {
      static_cast<int>(NumberIn(object, "keys")), NumberIn(object, "flops_per_s"),
      NumberIn(object, "read_bytes_per_s"), NumberIn(object, "query_flops_per_s")};
  device.contexts.push_back(rate);
  return rate.keys > 0 && rate.flops_per_s > 0 && rate.read_bytes_per_s > 0;
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
  if (cached_key == nullptr || *cached_key != json::string(key)) return std::nullopt;
  plan::DeviceProfile device;
  const auto read_rate = [&](const json::object& rate) { return ReadRate(rate, device); };
  const auto read_context = [&](const json::object& each) { return ReadContext(each, device); };
  if (!ForEachIn(*object, "rates", read_rate) || !ForEachIn(*object, "contexts", read_context))
    return std::nullopt;
  device.attention_flops_per_s = NumberIn(*object, "attention_flops_per_s");
  device.kv_read_bytes_per_s = NumberIn(*object, "kv_read_bytes_per_s");
  device.reading_bytes_per_s = NumberIn(*object, "reading_bytes_per_s");
  device.layer_overhead_us = NumberIn(*object, "layer_overhead_us");
  device.element_ns = NumberIn(*object, "element_ns");
  device.watts = NumberIn(*object, "watts");
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
  machine.key = fmt::format("{} | {} | {}", machine.name, options.software_version, kMethod);
  return machine;
}

// Memory may have become faster or slower while the rates were measured, one after the other: all
// are told as they are where it is as it was at the end.
plan::DeviceProfile FromLimits(const engine::Limits& limits) {
  plan::DeviceProfile profile;
  for (const engine::TypeLimits& type : limits.types) {
    plan::TypeRate& rate = profile.rates.emplace_back();
    rate = {type.type, type.matrix_flops_per_s, type.read_bytes_per_s};
    rate.cached_bytes_per_s = type.cached_bytes_per_s;
    for (const engine::BatchLimits& batch : type.batches)
      rate.batches.push_back({batch.tokens, batch.flops_per_s});
    rate.FollowReading(type.reading_bytes_per_s, limits.reading_bytes_per_s);
  }
  profile.reading_bytes_per_s = limits.reading_bytes_per_s;
  const engine::AttentionLimits& attention = limits.attention.front();
  profile.attention_flops_per_s = attention.flops_per_s;
  profile.kv_read_bytes_per_s = attention.read_bytes_per_s;
  for (const engine::ContextLimits& context : attention.contexts)
    profile.contexts.push_back(
        {context.keys, context.flops_per_s, context.read_bytes_per_s, context.query_flops_per_s});
  profile.layer_overhead_us = limits.layer_overhead_us;
  profile.element_ns = limits.element_ns;
  return profile;
}

// Of the processor, since the reading before; 0 if it does not say.
double PowerOf(const std::vector<os::SensorReading>& readings) {
  for (const os::SensorReading& reading : readings) {
    if (reading.device == "cpu") return reading.power_w.value_or(0);
  }
  return 0;
}

// Packing, encrypting and the kernel's work for a byte of KV take so much of one core, and of each
// of several their share. Where there are cores that compute nothing, those do it.
double SendNs(int threads) {
  constexpr double kOfOneCore = 2;  // 1.4 to 3 (bench/RESULTS.md, "Predictions")
  const auto cores = static_cast<int>(os::ComputeProcessors().size());
  return cores > threads ? 0 : kOfOneCore / threads;
}

int ThreadsOf(const ProfileOptions& options) {
  return options.threads > 0 ? options.threads : static_cast<int>(os::ComputeProcessors().size());
}

plan::DeviceProfile WithWhatIsKnown(plan::DeviceProfile profile, const Machine& machine,
                                    const ProfileOptions& options) {
  profile.name = machine.name;
  const int threads = ThreadsOf(options);
  profile.send_ns = SendNs(threads);
  profile.cache_bytes = os::CacheBytes();
  profile.processors = {os::MachineId(), os::AllowedCores(), threads};
  profile.memory_bytes =
      static_cast<uint64_t>(static_cast<double>(os::SystemMemory().available_bytes) * kUsableShare);
  return profile;
}

}  // namespace

Result<plan::DeviceProfile> KnownProfile(const ProfileOptions& options) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  auto cached = FromCache(options.cache_path, machine.key);
  return WithWhatIsKnown(cached ? *std::move(cached) : plan::DeviceProfile(), machine, options);
}

Result<plan::DeviceProfile> MeasureProfile(const ProfileOptions& options, const os::Clock& clock) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  os::Sensors sensors(clock);
  sensors.Read();
  BATON_ASSIGN_OR_RETURN(const engine::Limits limits,
                         engine::MeasureLimits(*machine.device, clock));
  const double watts = PowerOf(sensors.Read());
  plan::DeviceProfile profile = FromLimits(limits);
  profile.watts = watts;
  if (!options.cache_path.empty()) {
    const std::string text = json::serialize(ToJson(profile, machine.key));
    const Status saved = os::WriteFileAtomically(options.cache_path, AsBytes(text));
    if (!saved.ok()) log::Warning("profile cache: {}", saved.error().message());
  }
  return WithWhatIsKnown(std::move(profile), machine, options);
}

Result<double> ReadingNow(const ProfileOptions& options, const os::Clock& clock) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  return engine::MeasureReading(*machine.device, clock);
}

Result<double> ReadingBetween(const ProfileOptions& options, const os::Clock& clock,
                              os::TimePoint begin, os::TimePoint end) {
  BATON_ASSIGN_OR_RETURN(const Machine machine, ThisMachine(options));
  return engine::MeasureReading(*machine.device, clock, begin, end);
}

}  // namespace baton::node
