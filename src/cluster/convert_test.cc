#include "cluster/convert.h"

#include <limits>

#include <gtest/gtest.h>

namespace baton::cluster {
namespace {

plan::DeviceProfile Device() {
  plan::DeviceProfile device{.name = "test", .memory_bytes = 1 << 30};
  device.rates = {{DType::kQ4_K, 1e11, 1e10, {{4, 5e10}}}};
  device.attention_flops_per_s = 1e11;
  device.kv_read_bytes_per_s = 1e10;
  device.contexts = {{512, 1e11, 2e10, 3e10}};
  device.layer_overhead_us = 10;
  device.element_ns = 0.5;
  device.send_ns = 0.25;
  device.reading_bytes_per_s = 5e10;
  device.cache_bytes = 32 << 20;
  device.rates[0].cached_bytes_per_s = 2e10;
  device.processors = {"machine", {0, 2, 3}, 2, 1.5e10};
  device.corrections = {{DType::kQ4_K, 1.25, 0.75, 1.5}};
  return device;
}

TEST(Convert, ADeviceArrivesAsItWasMeasured) {
  const plan::DeviceProfile sent = Device();
  const plan::DeviceProfile came = FromProto(ToProto(sent));
  EXPECT_EQ(came.rates, sent.rates);
  EXPECT_EQ(came.contexts, sent.contexts);
  EXPECT_EQ(came.layer_overhead_us, sent.layer_overhead_us);
  EXPECT_EQ(came.element_ns, sent.element_ns);
  EXPECT_EQ(came.send_ns, sent.send_ns);
  EXPECT_EQ(came.reading_bytes_per_s, sent.reading_bytes_per_s);
  EXPECT_EQ(came.cache_bytes, sent.cache_bytes);
  EXPECT_EQ(came.corrections, sent.corrections);
  EXPECT_EQ(came.processors, sent.processors);
}

// What a node of an earlier version does not say costs nothing, and its one factor is of all
// chunks.
TEST(Convert, AnEarlierNodeSaysLess) {
  pb::DeviceProfile proto = ToProto(Device());
  proto.clear_element_ns();
  proto.clear_send_ns();
  proto.clear_reading_bytes_per_s();
  proto.clear_processors();
  proto.mutable_contexts(0)->clear_query_flops_per_s();
  proto.mutable_corrections(0)->clear_fine_prefill();
  const plan::DeviceProfile came = FromProto(proto);
  EXPECT_EQ(came.element_ns, 0);
  EXPECT_EQ(came.send_ns, 0);
  EXPECT_EQ(came.processors, plan::Processors());
  EXPECT_EQ(came.contexts[0].query_flops_per_s, 0);
  EXPECT_EQ(came.corrections[0].fine_prefill, 1.25);
}

TEST(Convert, NoNonsenseIsBelieved) {
  for (const double nonsense :
       {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    pb::DeviceProfile proto = ToProto(Device());
    proto.set_element_ns(nonsense);
    proto.set_send_ns(nonsense);
    proto.set_reading_bytes_per_s(nonsense);
    proto.mutable_processors()->set_shared_reading_bytes_per_s(nonsense);
    proto.mutable_rates(0)->set_cached_bytes_per_s(nonsense);
    proto.mutable_contexts(0)->set_query_flops_per_s(nonsense);
    EXPECT_EQ(FromProto(proto).element_ns, 0) << nonsense;
    EXPECT_EQ(FromProto(proto).send_ns, 0) << nonsense;
    EXPECT_EQ(FromProto(proto).reading_bytes_per_s, 0) << nonsense;
    EXPECT_EQ(FromProto(proto).processors.shared_reading_bytes_per_s, 0) << nonsense;
    EXPECT_EQ(FromProto(proto).rates[0].cached_bytes_per_s, 0) << nonsense;
    EXPECT_EQ(FromProto(proto).contexts[0].query_flops_per_s, 0) << nonsense;
  }
  pb::DeviceProfile proto = ToProto(Device());
  proto.mutable_corrections(0)->set_fine_prefill(100);
  EXPECT_EQ(FromProto(proto).corrections[0].fine_prefill, 2);
  pb::Processors& processors = *proto.mutable_processors();
  processors.set_threads(std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(FromProto(proto).processors, plan::Processors());
  processors.set_threads(2);
  processors.clear_cores();
  for (const uint32_t core : {7, 1, 7}) processors.add_cores(core);
  EXPECT_EQ(FromProto(proto).processors, (plan::Processors{"machine", {1, 7}, 2, 1.5e10}));
  processors.add_cores(std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(FromProto(proto).processors, plan::Processors());
}

}  // namespace
}  // namespace baton::cluster
