#include "plan/routes.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "plan/oracle.h"
#include "plan/random_cluster.h"

namespace baton::plan {
namespace {

using namespace baton::plan::drawn;  // NOLINT
using testing::ElementsAre;

constexpr int kSteps = 8;

std::vector<size_t> AllOf(const ClusterProfile& cluster) {
  std::vector<size_t> nodes;
  for (size_t node = 0; node < cluster.nodes.size(); ++node) nodes.push_back(node);
  return nodes;
}

TEST(Routes, CoverAllLayersOnceOnNodesThatHoldThem) {
  Rng rng(62);
  size_t routes = 0;
  size_t longest = 0;
  for (int round = 0; round < 60; ++round) {
    Case drawn = Draw(rng, Between(rng, 2, 30), Between(rng, 2, 60), kObjectives[round % 3]);
    const CostTable costs(drawn.cluster, drawn.model, drawn.workload);
    const Judge judge(costs, drawn.cluster.nodes[0].id);
    const std::vector<size_t> nodes = AllOf(drawn.cluster);
    std::vector<Group> groups;
    for (const Arrangement& found : BestRoutes(judge, nodes, kSteps)) {
      for (const Group* group : {&found.prefill, &found.decode}) {
        if (!group->empty()) groups.push_back(*group);
      }
    }
    for (const Group& group : groups) {
      ++routes;
      longest = std::max(longest, group.size());
      std::set<size_t> seen;
      int layer = 0;
      for (const GroupStage& stage : group) {
        EXPECT_EQ(stage.layers.first, layer);
        EXPECT_GT(stage.layers.size(), 0);
        EXPECT_TRUE(costs.Fits(stage.node, stage.layers));
        EXPECT_TRUE(seen.insert(stage.node).second) << "node " << stage.node << " twice";
        layer = stage.layers.last;
      }
      EXPECT_EQ(layer, drawn.model.n_layers());
    }
  }
  EXPECT_GT(routes, 100u);
  EXPECT_GT(longest, 3u);
}

// Pairs of roles share no node; routes beside a group leave its nodes room for what it gives them.
TEST(Routes, KeepTheOtherRoleInMind) {
  Rng rng(64);
  size_t pairs = 0;
  size_t beside = 0;
  size_t shared = 0;
  for (int round = 0; round < 60; ++round) {
    Case drawn = Draw(rng, Between(rng, 3, 20), Between(rng, 2, 40), kObjectives[round % 3]);
    const CostTable costs(drawn.cluster, drawn.model, drawn.workload);
    const Judge judge(costs, drawn.cluster.nodes[0].id);
    const std::vector<size_t> nodes = AllOf(drawn.cluster);
    const auto expect_room = [&](const Group& group, const Group& other) {
      ++beside;
      for (const GroupStage& stage : group) {
        const auto twin =
            std::find_if(other.begin(), other.end(),
                         [&](const GroupStage& candidate) { return candidate.node == stage.node; });
        if (twin == other.end()) continue;
        ++shared;
        EXPECT_TRUE(costs.Fits(stage.node, Hull(stage.layers, twin->layers)));
      }
    };
    for (const Arrangement& found : BestRoutes(judge, nodes, kSteps)) {
      if (found.prefill.empty()) continue;
      ++pairs;
      EXPECT_EQ(NodeCount(found), found.prefill.size() + found.decode.size());
      for (const Group& group : RoutesToCompute(judge, nodes, found.decode, kSteps))
        expect_room(group, found.decode);
      for (const Group& group : RoutesToGenerate(judge, nodes, found.prefill, kSteps))
        expect_room(group, found.prefill);
    }
  }
  EXPECT_GT(pairs, 50u);
  EXPECT_GT(beside, 100u);
  EXPECT_GT(shared, 50u);
}

// Three nodes that hold a third each, whose links are quick only from the last to the first to the
// second: whatever the order of the list, that is the way.
TEST(Routes, FollowQuickLinks) {
  Rng rng(63);
  const ModelCost model = RandomModel(rng, 6);
  const Workload workload{.prompt_tokens = 1000, .answer_tokens = 100, .context_tokens = 2000};
  const auto third = static_cast<double>(MemoryFor(model, {0, 2}, workload));
  ClusterProfile cluster;
  for (int i = 0; i < 3; ++i) AddNode(rng, cluster, third);
  const auto most = static_cast<uint64_t>(1.01 * third);
  for (NodeProfile& node : cluster.nodes) {
    node.device = cluster.nodes[0].device;
    node.device.memory_bytes =
        std::max({most, MemoryFor(model, {2, 4}, workload), MemoryFor(model, {4, 6}, workload)});
    node.has_model = true;
  }
  cluster.links.clear();
  for (size_t from = 0; from < 3; ++from) {
    for (size_t to = 0; to < 3; ++to) {
      if (from == to) continue;
      const bool quick = to == (from + 1) % 3 && from != 1;
      cluster.links.push_back({cluster.nodes[from].id, cluster.nodes[to].id,
                               quick ? 100.0 : 20000.0, quick ? 1e9 : 1e7});
    }
  }
  const CostTable costs(cluster, model, workload);
  const Judge judge(costs, cluster.nodes[0].id);
  const std::vector<Arrangement> routes = BestRoutes(judge, AllOf(cluster), kSteps);
  ASSERT_FALSE(routes.empty());
  std::vector<size_t> order;
  for (const GroupStage& stage : routes.front().decode) order.push_back(stage.node);
  EXPECT_THAT(order, ElementsAre(2, 0, 1));
}

}  // namespace
}  // namespace baton::plan
