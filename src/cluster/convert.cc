#include "cluster/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "plan/feedback.h"

namespace baton::cluster {
namespace {

bool IsRate(double value) {
  return std::isfinite(value) && value > 0;
}

}  // namespace

std::optional<NodeId> ToNodeId(std::string_view bytes) {
  if (bytes.size() != NodeId::kBytes) return std::nullopt;
  std::array<uint8_t, NodeId::kBytes> key;
  std::memcpy(key.data(), bytes.data(), key.size());
  return NodeId(key);
}

std::string ToBytes(const NodeId& id) {
  return {reinterpret_cast<const char*>(id.key().data()), id.key().size()};
}

pb::SequenceKey ToProto(const kv::SequenceKey& key) {
  pb::SequenceKey proto;
  proto.set_request(key.request.value());
  proto.set_epoch(key.epoch);
  return proto;
}

kv::SequenceKey FromProto(const pb::SequenceKey& key) {
  return {RequestId(key.request()), key.epoch()};
}

Sensor ToProto(const os::SensorReading& reading) {
  Sensor sensor;
  sensor.set_device(reading.device);
  if (reading.temperature_c) sensor.set_temperature_c(*reading.temperature_c);
  if (reading.power_w) sensor.set_power_w(*reading.power_w);
  if (reading.clock_mhz) sensor.set_clock_mhz(*reading.clock_mhz);
  if (reading.throttled) sensor.set_throttled(*reading.throttled);
  if (reading.memory_used_bytes) sensor.set_memory_used_bytes(*reading.memory_used_bytes);
  if (reading.memory_total_bytes) sensor.set_memory_total_bytes(*reading.memory_total_bytes);
  return sensor;
}

os::SensorReading FromProto(const Sensor& sensor) {
  os::SensorReading reading{.device = sensor.device()};
  // A peer may say anything; what follows are numbers to show.
  const auto finite = [](double value) {
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  };
  if (sensor.has_temperature_c()) reading.temperature_c = finite(sensor.temperature_c());
  if (sensor.has_power_w()) reading.power_w = finite(sensor.power_w());
  if (sensor.has_clock_mhz()) reading.clock_mhz = finite(sensor.clock_mhz());
  if (sensor.has_throttled()) reading.throttled = sensor.throttled();
  if (sensor.has_memory_used_bytes()) reading.memory_used_bytes = sensor.memory_used_bytes();
  if (sensor.has_memory_total_bytes()) reading.memory_total_bytes = sensor.memory_total_bytes();
  return reading;
}

pb::DeviceProfile ToProto(const plan::DeviceProfile& device) {
  pb::DeviceProfile proto;
  proto.set_name(device.name);
  proto.set_memory_bytes(device.memory_bytes);
  for (const plan::TypeRate& rate : device.rates) {
    TypeRate* item = proto.add_rates();
    item->set_type(static_cast<uint32_t>(rate.type));
    item->set_matmul_flops_per_s(rate.matmul_flops_per_s);
    item->set_read_bytes_per_s(rate.read_bytes_per_s);
    item->set_cached_bytes_per_s(rate.cached_bytes_per_s);
    for (const plan::BatchRate& batch : rate.batches) {
      BatchRate* one = item->add_batches();
      one->set_tokens(batch.tokens);
      one->set_flops_per_s(batch.flops_per_s);
    }
  }
  for (const plan::ContextRate& context : device.contexts) {
    ContextRate* item = proto.add_contexts();
    item->set_keys(context.keys);
    item->set_flops_per_s(context.flops_per_s);
    item->set_read_bytes_per_s(context.read_bytes_per_s);
    item->set_query_flops_per_s(context.query_flops_per_s);
  }
  for (const plan::Correction& correction : device.corrections) {
    Correction* item = proto.add_corrections();
    item->set_type(static_cast<uint32_t>(correction.type));
    item->set_prefill(correction.prefill);
    item->set_decode(correction.decode);
    item->set_fine_prefill(correction.fine_prefill);
  }
  proto.set_watts(device.watts);
  proto.set_attention_flops_per_s(device.attention_flops_per_s);
  proto.set_kv_read_bytes_per_s(device.kv_read_bytes_per_s);
  proto.set_layer_overhead_us(device.layer_overhead_us);
  proto.set_element_ns(device.element_ns);
  proto.set_send_ns(device.send_ns);
  proto.set_reading_bytes_per_s(device.reading_bytes_per_s);
  proto.set_cache_bytes(device.cache_bytes);
  const plan::Processors& processors = device.processors;
  proto.mutable_processors()->set_machine(processors.machine);
  for (const int core : processors.cores)
    proto.mutable_processors()->add_cores(static_cast<uint32_t>(core));
  proto.mutable_processors()->set_threads(static_cast<uint32_t>(processors.threads));
  proto.mutable_processors()->set_shared_reading_bytes_per_s(processors.shared_reading_bytes_per_s);
  return proto;
}

namespace {

plan::Processors FromProto(const pb::Processors& proto) {
  constexpr uint32_t kMost = 1 << 14;  // cores, and threads
  plan::Processors processors{.machine = proto.machine()};
  std::set<uint32_t> cores(proto.cores().begin(), proto.cores().end());
  const bool sane =
      !cores.empty() && *cores.rbegin() < kMost && proto.threads() > 0 && proto.threads() <= kMost;
  if (!sane) return {};
  processors.cores.assign(cores.begin(), cores.end());
  processors.threads = static_cast<int>(proto.threads());
  if (IsRate(proto.shared_reading_bytes_per_s()))
    processors.shared_reading_bytes_per_s = proto.shared_reading_bytes_per_s();
  return processors;
}

}  // namespace

plan::DeviceProfile FromProto(const pb::DeviceProfile& proto) {
  plan::DeviceProfile device;
  device.name = proto.name();
  device.memory_bytes = proto.memory_bytes();
  for (const TypeRate& item : proto.rates()) {
    const auto type = FindDType(item.type());
    if (!type) continue;
    plan::TypeRate& rate = device.rates.emplace_back();
    rate = {type->type, item.matmul_flops_per_s(), item.read_bytes_per_s()};
    if (IsRate(item.cached_bytes_per_s())) rate.cached_bytes_per_s = item.cached_bytes_per_s();
    for (const BatchRate& batch : item.batches()) {
      const int before = rate.batches.empty() ? 1 : rate.batches.back().tokens;
      if (batch.tokens() > before && IsRate(batch.flops_per_s()))
        rate.batches.push_back({batch.tokens(), batch.flops_per_s()});
    }
  }
  for (const ContextRate& context : proto.contexts()) {
    const int before = device.contexts.empty() ? 0 : device.contexts.back().keys;
    const double query = context.query_flops_per_s();
    if (context.keys() > before && IsRate(context.flops_per_s()) &&
        IsRate(context.read_bytes_per_s()))
      device.contexts.push_back({context.keys(), context.flops_per_s(), context.read_bytes_per_s(),
                                 IsRate(query) ? query : 0});
  }
  for (const Correction& item : proto.corrections()) {
    const auto type = FindDType(item.type());
    if (!type || !IsRate(item.prefill()) || !IsRate(item.decode())) continue;
    const auto bounded = [](double times) {
      return std::clamp(times, plan::Feedback::kLeast, plan::Feedback::kMost);
    };
    const double fine = IsRate(item.fine_prefill()) ? item.fine_prefill() : item.prefill();
    device.corrections.push_back(
        {type->type, bounded(item.prefill()), bounded(item.decode()), bounded(fine)});
  }
  if (IsRate(proto.watts())) device.watts = proto.watts();
  device.attention_flops_per_s = proto.attention_flops_per_s();
  device.kv_read_bytes_per_s = proto.kv_read_bytes_per_s();
  device.layer_overhead_us = proto.layer_overhead_us();
  if (IsRate(proto.element_ns())) device.element_ns = proto.element_ns();
  if (IsRate(proto.send_ns())) device.send_ns = proto.send_ns();
  device.cache_bytes = proto.cache_bytes();
  if (IsRate(proto.reading_bytes_per_s())) device.reading_bytes_per_s = proto.reading_bytes_per_s();
  device.processors = FromProto(proto.processors());
  return device;
}

namespace {

void AddStages(const std::vector<plan::StagePlan>& stages,
               google::protobuf::RepeatedPtrField<StageAssignment>& into) {
  for (const plan::StagePlan& stage : stages) {
    StageAssignment& item = *into.Add();
    item.set_node(ToBytes(stage.node));
    item.set_first_layer(stage.layers.first);
    item.set_last_layer(stage.layers.last);
    item.set_memory_bytes(stage.memory_bytes);
    item.set_prefill_s(stage.prefill_s);
    item.set_decode_s(stage.decode_s);
    item.set_energy_j(stage.energy_j);
  }
}

std::vector<plan::StagePlan> StagesOf(
    const google::protobuf::RepeatedPtrField<StageAssignment>& items) {
  std::vector<plan::StagePlan> stages;
  for (const StageAssignment& item : items) {
    stages.push_back({.node = ToNodeId(item.node()).value_or(NodeId()),
                      .layers = {item.first_layer(), item.last_layer()},
                      .memory_bytes = item.memory_bytes(),
                      .prefill_s = item.prefill_s(),
                      .decode_s = item.decode_s(),
                      .energy_j = item.energy_j()});
  }
  return stages;
}

}  // namespace

PlanRecord ToProto(const plan::Plan& plan, const plan::Workload& workload) {
  PlanRecord record;
  AddStages(plan.prefill, *record.mutable_prefill());
  AddStages(plan.decode, *record.mutable_decode());
  record.set_prefill_s(plan.prefill_s);
  record.set_exposed_s(plan.exposed_s);
  record.set_kv_hidden(plan.kv_hidden);
  record.set_ttft_s(plan.ttft_s);
  record.set_decode_step_s(plan.decode_step_s);
  record.set_total_s(plan.total_s);
  record.set_reason(plan.reason);
  *record.mutable_workload() = ToProto(workload);
  return record;
}

pb::Workload ToProto(const plan::Workload& workload) {
  pb::Workload proto;
  proto.set_prompt_tokens(workload.prompt_tokens);
  proto.set_answer_tokens(workload.answer_tokens);
  proto.set_context_tokens(workload.context_tokens);
  proto.set_slots(workload.slots);
  proto.set_concurrency(workload.concurrency);
  proto.set_chunk_tokens(workload.chunk_tokens);
  proto.set_kv_type(ToProto(workload.kv_type));
  proto.set_kv_wire_type(ToProto(workload.kv_wire_type));
  proto.set_objective(static_cast<uint32_t>(workload.objective));
  return proto;
}

plan::Plan FromProto(const PlanRecord& record) {
  plan::Plan plan;
  plan.prefill = StagesOf(record.prefill());
  plan.decode = StagesOf(record.decode());
  plan.prefill_s = record.prefill_s();
  plan.exposed_s = record.exposed_s();
  plan.kv_hidden = record.kv_hidden();
  plan.ttft_s = record.ttft_s();
  plan.decode_step_s = record.decode_step_s();
  plan.total_s = record.total_s();
  plan.reason = record.reason();
  plan.concurrency = std::max(1, record.workload().concurrency());
  plan.slots = std::max(1, record.workload().slots());
  return plan;
}

constexpr uint32_t kProtoF32 = 255;

uint32_t ToProto(KvType type) {
  return type == KvType::kF32 ? kProtoF32 : static_cast<uint32_t>(type);
}

KvType KvTypeFromProto(uint32_t number) {
  if (number == kProtoF32) return KvType::kF32;
  if (number == static_cast<uint32_t>(KvType::kF32)) return KvType::kF16;
  return FindKvType(static_cast<uint8_t>(std::min(number, 255u))).value_or(KvType::kF16);
}

plan::Objective ObjectiveFromProto(uint32_t number) {
  return number <= static_cast<uint32_t>(plan::Objective::kFit)
             ? static_cast<plan::Objective>(number)
             : plan::Objective::kLatency;
}

plan::Workload FromProto(const pb::Workload& proto) {
  return {.prompt_tokens = proto.prompt_tokens(),
          .answer_tokens = proto.answer_tokens(),
          .context_tokens = proto.context_tokens(),
          .slots = proto.slots(),
          .concurrency = std::max(1, proto.concurrency()),
          .chunk_tokens = proto.chunk_tokens(),
          .kv_type = KvTypeFromProto(proto.kv_type()),
          .kv_wire_type = KvTypeFromProto(proto.kv_wire_type()),
          .objective = ObjectiveFromProto(proto.objective())};
}

pb::Constraints ToProto(const plan::Constraints& constraints) {
  pb::Constraints proto;
  for (const NodeId& id : constraints.nodes) proto.add_nodes(ToBytes(id));
  for (const NodeId& id : constraints.prefill_on) proto.add_prefill_on(ToBytes(id));
  for (const NodeId& id : constraints.decode_on) proto.add_decode_on(ToBytes(id));
  for (const int layers : constraints.split) proto.add_split(layers);
  proto.set_one_instance(constraints.one_instance);
  return proto;
}

plan::Constraints FromProto(const pb::Constraints& proto) {
  const auto ids = [](const google::protobuf::RepeatedPtrField<std::string>& items) {
    std::vector<NodeId> result;
    for (const std::string& item : items) result.push_back(ToNodeId(item).value_or(NodeId()));
    return result;
  };
  return {.nodes = ids(proto.nodes()),
          .prefill_on = ids(proto.prefill_on()),
          .decode_on = ids(proto.decode_on()),
          .split = {proto.split().begin(), proto.split().end()},
          .one_instance = proto.one_instance()};
}

Sampling ToProto(const engine::SamplingParams& params) {
  Sampling proto;
  proto.set_temperature(params.temperature);
  proto.set_top_k(params.top_k);
  proto.set_top_p(params.top_p);
  proto.set_min_p(params.min_p);
  proto.set_repeat_penalty(params.repeat_penalty);
  proto.set_presence_penalty(params.presence_penalty);
  proto.set_frequency_penalty(params.frequency_penalty);
  proto.set_penalty_tokens(params.penalty_tokens);
  for (const auto& [token, bias] : params.logit_bias) {
    proto.add_bias_token(token);
    proto.add_bias(bias);
  }
  proto.set_seed(params.seed);
  proto.set_logprob(params.logprob);
  proto.set_top_logprobs(params.top_logprobs);
  return proto;
}

engine::SamplingParams FromProto(const Sampling& proto) {
  engine::SamplingParams params;
  params.temperature = proto.temperature();
  params.top_k = proto.top_k();
  params.top_p = proto.top_p();
  params.min_p = proto.min_p();
  params.repeat_penalty = proto.repeat_penalty();
  params.presence_penalty = proto.presence_penalty();
  params.frequency_penalty = proto.frequency_penalty();
  params.penalty_tokens = proto.penalty_tokens();
  for (int i = 0; i < std::min(proto.bias_token_size(), proto.bias_size()); ++i)
    params.logit_bias.emplace_back(proto.bias_token(i), proto.bias(i));
  params.seed = proto.seed();
  params.logprob = proto.logprob();
  params.top_logprobs = proto.top_logprobs();
  return params;
}

Result<Pipeline> FromProto(const google::protobuf::RepeatedPtrField<StageRef>& stages,
                           int n_layers) {
  constexpr int kStagesMax = 1024;
  if (stages.empty() || stages.size() > kStagesMax)
    return MakeError(Code::kInvalidArgument, "a pipeline of {} stages", stages.size());
  Pipeline pipeline;
  int next = 0;
  for (const StageRef& stage : stages) {
    const auto node = ToNodeId(stage.node());
    if (!node || stage.first_layer() != next || stage.last_layer() <= next)
      return MakeError(Code::kInvalidArgument, "a stage of layers [{}, {}) behind layer {}",
                       stage.first_layer(), stage.last_layer(), next);
    pipeline.push_back({*node, {stage.first_layer(), stage.last_layer()}});
    next = stage.last_layer();
  }
  if (n_layers != 0 && next != n_layers)
    return MakeError(Code::kInvalidArgument, "a pipeline of {} layers for a model of {}", next,
                     n_layers);
  return pipeline;
}

StageRef ToProto(const PipelineStage& stage) {
  StageRef proto;
  proto.set_node(ToBytes(stage.node));
  proto.set_first_layer(stage.layers.first);
  proto.set_last_layer(stage.layers.last);
  return proto;
}

Pipeline PipelineOf(const std::vector<plan::StagePlan>& stages) {
  Pipeline pipeline;
  for (const plan::StagePlan& stage : stages) pipeline.push_back({stage.node, stage.layers});
  return pipeline;
}

}  // namespace baton::cluster
