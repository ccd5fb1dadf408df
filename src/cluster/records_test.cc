#include "cluster/records.h"

#include <gtest/gtest.h>

#include "cluster/convert.h"

namespace baton::cluster {
namespace {

NodeId Id(uint8_t n) {
  std::array<uint8_t, NodeId::kBytes> key{};
  key[0] = n;
  return NodeId(key);
}

// A node of one machine that has seen fine chunks take half as long again.
NodeRecord Measured(uint8_t n, const plan::Processors& processors) {
  plan::DeviceProfile device{.memory_bytes = 1 << 30, .processors = processors};
  device.rates = {{DType::kQ8_0, 1e11, 1e10}};
  device.corrections = {{DType::kQ8_0, 1.1, 1.2, 1.5}};
  NodeRecord record;
  record.set_node(ToBytes(Id(n)));
  record.set_boot_id(1);
  record.set_revision(1);
  *record.mutable_device() = ToProto(device);
  return record;
}

// What pipelines took of nodes that share cores, they took beside each other.
TEST(ProfileOf, LearnsNoFineChunksWhereCoresAreShared) {
  const auto all_live = [](const NodeId&) { return true; };
  for (const bool shared : {false, true}) {
    RecordBook book;
    ASSERT_TRUE(book.Merge(Measured(1, {"machine", {0, 1}, 2}), true));
    ASSERT_TRUE(book.Merge(Measured(2, {shared ? "machine" : "another", {1}, 1}), true));
    const plan::ClusterProfile profile = ProfileOf(book, "", all_live, {});
    ASSERT_EQ(profile.nodes.size(), 2u);
    for (const plan::NodeProfile& node : profile.nodes) {
      const plan::Correction& learnt = node.device.corrections.at(0);
      EXPECT_EQ(learnt.fine_prefill, shared ? 1.1 : 1.5);
      EXPECT_EQ(learnt.decode, 1.2);
    }
  }
}

}  // namespace
}  // namespace baton::cluster
