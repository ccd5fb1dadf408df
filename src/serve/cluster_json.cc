#include "serve/cluster_json.h"

#include <map>

namespace baton::serve {
namespace {

json::array StagesOf(const std::vector<plan::StagePlan>& stages, const char* role,
                     const NameOf& name_of) {
  json::array list;
  for (const plan::StagePlan& stage : stages) {
    list.push_back({{"node", name_of(stage.node)},
                    {"node_id", stage.node.ToString()},
                    {"role", role},
                    {"first_layer", stage.layers.first},
                    {"last_layer", stage.layers.last - 1},
                    {"memory_bytes", stage.memory_bytes},
                    {"prefill_ms", stage.prefill_s * 1e3},
                    {"decode_ms", stage.decode_s * 1e3},
                    {"energy_j", stage.energy_j}});
  }
  return list;
}

json::value NameOrNull(const NodeId& id, const NameOf& name_of) {
  if (id.empty()) return nullptr;
  return json::value(json::string(name_of(id)));
}

const char* NameOfState(cluster::InstanceState state) {
  switch (state) {
    case cluster::InstanceState::kLoading:
      return "loading";
    case cluster::InstanceState::kReady:
      return "ready";
    case cluster::InstanceState::kFailed:
      return "failed";
    case cluster::InstanceState::kStopped:
      break;
  }
  return "stopped";
}

json::object ToJson(const plan::DeviceProfile& device) {
  json::array rates;
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
  json::array contexts;
  for (const plan::ContextRate& context : device.contexts) {
    contexts.push_back({{"keys", context.keys},
                        {"flops_per_s", context.flops_per_s},
                        {"read_bytes_per_s", context.read_bytes_per_s},
                        {"query_flops_per_s", context.query_flops_per_s}});
  }
  const json::object processors = {
      {"machine", device.processors.machine},
      {"cores", json::array(device.processors.cores.begin(), device.processors.cores.end())},
      {"threads", device.processors.threads},
      {"shared_reading_bytes_per_s", device.processors.shared_reading_bytes_per_s}};
  json::array corrections;
  for (const plan::Correction& correction : device.corrections) {
    corrections.push_back({{"type", json::string(InfoOf(correction.type).name)},
                           {"prefill", correction.prefill},
                           {"decode", correction.decode},
                           {"fine_prefill", correction.fine_prefill}});
  }
  return {{"name", device.name},
          {"memory_bytes", device.memory_bytes},
          {"measured", device.measured()},
          {"rates", std::move(rates)},
          {"attention_flops_per_s", device.attention_flops_per_s},
          {"kv_read_bytes_per_s", device.kv_read_bytes_per_s},
          {"contexts", std::move(contexts)},
          {"corrections", std::move(corrections)},
          {"layer_overhead_us", device.layer_overhead_us},
          {"element_ns", device.element_ns},
          {"send_ns", device.send_ns},
          {"reading_bytes_per_s", device.reading_bytes_per_s},
          {"cache_bytes", device.cache_bytes},
          {"processors", processors},
          {"watts", device.watts}};
}

// What is not known is absent.
json::object ToJson(const os::SensorReading& reading) {
  json::object sensor = {{"device", reading.device}};
  const auto set = [&](const char* key, const auto& value) {
    if (value) sensor[key] = *value;
  };
  set("temperature_c", reading.temperature_c);
  set("power_w", reading.power_w);
  set("clock_mhz", reading.clock_mhz);
  set("throttled", reading.throttled);
  set("memory_used_bytes", reading.memory_used_bytes);
  set("memory_total_bytes", reading.memory_total_bytes);
  if (std::string text = Describe(reading); !text.empty()) sensor["text"] = std::move(text);
  return sensor;
}

json::object ToJson(const cluster::NodeView& node) {
  json::array models;
  for (const cluster::LocalModel& model : node.models)
    models.push_back(
        {{"name", model.name}, {"fingerprint", model.fingerprint}, {"bytes", model.bytes}});
  json::array addresses;
  for (const std::string& address : node.addresses) addresses.emplace_back(address);
  json::array sensors;
  for (const os::SensorReading& reading : node.sensors) sensors.push_back(ToJson(reading));
  return {{"id", node.id.ToString()},
          {"name", node.name},
          {"version", node.software_version},
          {"self", node.self},
          {"live", node.linked},
          {"addresses", std::move(addresses)},
          {"mesh_port", node.mesh_port},
          {"device", ToJson(node.device)},
          {"sensors", std::move(sensors)},
          {"models", std::move(models)}};
}

// Of all instances, each stage with the number of its own where there are several.
json::array StagesOf(const plan::Plan& plan, const NameOf& name_of) {
  json::array all;
  for (const plan::Plan* each : plan::InstancesOf(plan)) {
    json::array stages = StagesOf(each->prefill, "prefill", name_of);
    const char* role = each->disaggregated() ? "decode" : "both";
    for (json::value& stage : StagesOf(each->decode, role, name_of))
      stages.push_back(std::move(stage));
    for (json::value& stage : stages) {
      if (each != &plan) stage.get_object()["instance"] = each - plan.instances.data();
      all.push_back(std::move(stage));
    }
  }
  return all;
}

}  // namespace

json::object ToJson(const plan::Plan& plan, const NameOf& name_of) {
  json::object object = {{"ttft_ms", plan.ttft_s * 1e3},
                         {"decode_tokens_per_s", plan.decode_tokens_per_s()},
                         {"prefill_ms", plan.prefill_s * 1e3},
                         {"exposed_ms", plan.exposed_s * 1e3},
                         {"total_ms", plan.total_s * 1e3},
                         {"kv_hidden", plan.kv_hidden},
                         {"reason", plan.reason},
                         {"concurrency", plan.concurrency},
                         {"slots", plan.slots},
                         {"stages", StagesOf(plan, name_of)}};
  if (!plan.instances.empty()) {
    json::array instances;
    for (const plan::Plan& each : plan.instances) instances.push_back(ToJson(each, name_of));
    object["instances"] = std::move(instances);
  }
  if (plan.request_s <= 0) return object;  // of a record, which does not have what follows
  object["throughput_tokens_per_s"] = plan.throughput_tokens_per_s();
  object["kv_type"] = baton::NameOf(plan.kv_type);
  object["kv_wire_type"] = baton::NameOf(plan.kv_wire_type);
  return object;
}

json::object ToJson(const plan::Explanation& explanation, const NameOf& name_of) {
  json::array bounds, upgrades, sharded;
  for (const plan::StageBound& bound : explanation.bounds) {
    bounds.push_back({{"node", name_of(bound.node)},
                      {"to", NameOrNull(bound.to, name_of)},
                      {"phase", bound.prefill ? "prefill" : "decode"},
                      {"part", plan::NameOf(bound.part)},
                      {"ms", bound.seconds * 1e3},
                      {"share", bound.share},
                      {"slowest", bound.slowest},
                      {"hand_over", bound.hand_over},
                      {"bytes_per_s", bound.bytes_per_s}});
  }
  for (const plan::Upgrade& upgrade : explanation.upgrades) {
    upgrades.push_back({{"node", name_of(upgrade.node)},
                        {"to", NameOrNull(upgrade.to, name_of)},
                        {"part", plan::NameOf(upgrade.part)},
                        {"ttft_ms", upgrade.ttft_s * 1e3},
                        {"decode_tokens_per_s", upgrade.decode_tokens_per_s},
                        {"total_ms", upgrade.total_s * 1e3},
                        {"gain", upgrade.gain},
                        {"words", upgrade.words}});
  }
  for (const plan::ShardedGroup& group : explanation.sharded) {
    json::array nodes;
    for (size_t i = 0; i < group.nodes.size(); ++i)
      nodes.push_back({{"node", name_of(group.nodes[i])},
                       {"units", group.units[i]},
                       {"memory_bytes", group.memory_bytes[i]}});
    sharded.push_back({{"kind", group.kind == plan::Sharding::kTensor ? "tensor" : "expert"},
                       {"nodes", std::move(nodes)},
                       {"prefill_ms", group.prefill_s * 1e3},
                       {"decode_tokens_per_s", 1 / group.decode_step_s},
                       {"total_ms", group.total_s * 1e3},
                       {"pays_in_prefill", group.pays_in_prefill},
                       {"pays_in_decode", group.pays_in_decode},
                       {"runs", false},
                       {"words", group.words}});
  }
  return {{"bounds", std::move(bounds)},
          {"upgrades", std::move(upgrades)},
          {"sharded", std::move(sharded)}};
}

json::object ToJson(const plan::PlanResult& result, const NameOf& name_of) {
  json::array alternatives;
  for (const plan::Alternative& other : result.alternatives) {
    json::object item = ToJson(other.plan, name_of);
    item["why"] = other.why;
    alternatives.push_back(std::move(item));
  }
  return {{"chosen", ToJson(result.chosen, name_of)},
          {"alternatives", std::move(alternatives)},
          {"explanation", ToJson(result.explanation, name_of)}};
}

json::object ToJson(const cluster::InstanceView& instance, const NameOf& name_of) {
  return {{"id", instance.id.ToString()},
          {"placement", InstanceId(instance.placement).ToString()},
          {"epoch", instance.epoch},
          {"model", instance.model},
          {"fingerprint", instance.fingerprint},
          {"coordinator", name_of(instance.coordinator)},
          {"state", NameOfState(instance.state)},
          {"message", instance.message},
          {"context_tokens", instance.workload.context_tokens},
          {"slots", instance.workload.slots},
          {"concurrency", instance.workload.concurrency},
          {"kv_type", baton::NameOf(instance.workload.kv_type)},
          {"requests_running", instance.requests_running},
          {"plan", ToJson(instance.plan, name_of)}};
}

json::object ToJson(const cluster::ClusterView& view) {
  std::map<NodeId, std::string> names;
  for (const cluster::NodeView& node : view.nodes) names[node.id] = node.name;
  const NameOf name_of = [&](const NodeId& id) {
    const auto found = names.find(id);
    return found == names.end() ? id.Short() : found->second;
  };
  json::array nodes, links, instances;
  for (const cluster::NodeView& node : view.nodes) nodes.push_back(ToJson(node));
  for (const cluster::LinkView& link : view.links) {
    links.push_back({{"from", name_of(link.from)},
                     {"to", name_of(link.to)},
                     {"from_id", link.from.ToString()},
                     {"to_id", link.to.ToString()},
                     {"rtt_us", link.rtt_us},
                     {"bytes_per_s", link.bytes_per_s},
                     {"interface", link.interface}});
  }
  for (const cluster::InstanceView& instance : view.instances)
    instances.push_back(ToJson(instance, name_of));
  return {{"nodes", std::move(nodes)},
          {"links", std::move(links)},
          {"instances", std::move(instances)}};
}

json::array ToJson(const std::vector<TimelineEvent>& events, const NameOf& name_of) {
  const auto us = [](std::chrono::steady_clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  };
  json::array list;
  for (const TimelineEvent& event : events) {
    const bool sends = event.activity == Activity::kKvSend;
    json::object item = {{"what", sends                                  ? "kv"
                                  : event.activity == Activity::kPrefill ? "prefill"
                                                                         : "decode"},
                         {"begin_us", us(event.begin)},
                         {"end_us", us(event.end)},
                         {"first_layer", event.layers.first},
                         {"last_layer", event.layers.last - 1},
                         {"first_token", event.first_token},
                         {"tokens", event.tokens}};
    if (sends) {
      item["to"] = name_of(event.to);
      item["bytes"] = event.bytes;
    }
    list.push_back(std::move(item));
  }
  return list;
}

Result<NodeId> FindNode(const cluster::ClusterView& view, std::string_view text) {
  std::vector<NodeId> found;
  std::string names;
  for (const cluster::NodeView& node : view.nodes) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", node.name, node.id.Short());
    const std::string id = node.id.ToString();
    constexpr size_t kPrefixMin = 4;
    const bool by_id = text.size() >= kPrefixMin && id.compare(0, text.size(), text) == 0;
    if (by_id || node.name == text) found.push_back(node.id);
  }
  if (found.size() == 1) return found.front();
  return MakeError(Code::kInvalidArgument, "{} node is called '{}'; there are: {}",
                   found.empty() ? "no" : "more than one", text, names);
}

}  // namespace baton::serve
