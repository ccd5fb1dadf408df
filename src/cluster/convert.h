// Between the protobuf messages of cluster.proto and the values that the rest works with. What
// comes from outside is checked here: a bad size or number is an error, never a surprise further
// in.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "cluster/cluster.pb.h"
#include "engine/sampler.h"
#include "kv/chunk.h"
#include "plan/planner.h"

namespace baton::cluster {

// The message names collide with those of the values they carry.
namespace pb {
using Constraints = ::baton::cluster::Constraints;
using DeviceProfile = ::baton::cluster::DeviceProfile;
using Processors = ::baton::cluster::Processors;
using SequenceKey = ::baton::cluster::SequenceKey;
using Workload = ::baton::cluster::Workload;
}  // namespace pb

std::optional<NodeId> ToNodeId(std::string_view bytes);
std::string ToBytes(const NodeId& id);

pb::SequenceKey ToProto(const kv::SequenceKey& key);
kv::SequenceKey FromProto(const pb::SequenceKey& key);

Sensor ToProto(const os::SensorReading& reading);
os::SensorReading FromProto(const Sensor& sensor);

pb::DeviceProfile ToProto(const plan::DeviceProfile& device);
plan::DeviceProfile FromProto(const pb::DeviceProfile& device);

PlanRecord ToProto(const plan::Plan& plan, const plan::Workload& workload);
plan::Plan FromProto(const PlanRecord& record);
plan::Workload FromProto(const pb::Workload& workload);
pb::Workload ToProto(const plan::Workload& workload);
// The number of a KV chunk's dtype, but for F32's, which an absent field would read as. F16 where
// it is none.
uint32_t ToProto(KvType type);
KvType KvTypeFromProto(uint32_t number);

pb::Constraints ToProto(const plan::Constraints& constraints);
plan::Constraints FromProto(const pb::Constraints& constraints);

Sampling ToProto(const engine::SamplingParams& params);
engine::SamplingParams FromProto(const Sampling& sampling);

// Who holds which layers, in order. Refused unless the layers follow each other without a gap from
// 0 to `n_layers` (any end where it is 0).
struct PipelineStage {
  NodeId node;
  LayerRange layers;
};
using Pipeline = std::vector<PipelineStage>;
Result<Pipeline> FromProto(const google::protobuf::RepeatedPtrField<StageRef>& stages,
                           int n_layers);
StageRef ToProto(const PipelineStage& stage);
Pipeline PipelineOf(const std::vector<plan::StagePlan>& stages);

}  // namespace baton::cluster
