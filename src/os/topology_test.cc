// Which processors are chosen on machines that this one is not.
#include "os/topology.h"

#include <numeric>

#include <gmock/gmock.h>
#include <hwloc.h>

#include "os/system.h"

namespace baton::os {
namespace {

using testing::ElementsAre;

class Machine {
 public:
  // hwloc's description of a machine: "package:1 core:4 pu:2".
  explicit Machine(const char* description) {
    CHECK(hwloc_topology_init(&topology_) == 0, "hwloc");
    CHECK(hwloc_topology_set_synthetic(topology_, description) == 0, "{}", description);
    CHECK(hwloc_topology_load(topology_) == 0, "{}", description);
  }
  ~Machine() { hwloc_topology_destroy(topology_); }
  // Processors [first, last] are of a kind; a higher speed is a faster one.
  void AddKind(unsigned first, unsigned last, int speed) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    hwloc_bitmap_set_range(set, first, static_cast<int>(last));
    CHECK(hwloc_cpukinds_register(topology_, set, speed, 0, nullptr, 0) == 0, "kind");
    hwloc_bitmap_free(set);
  }
  std::vector<int> Choose(size_t most = 0) {
    std::vector<int> all(hwloc_get_nbobjs_by_type(topology_, HWLOC_OBJ_PU));
    std::iota(all.begin(), all.end(), 0);
    return ChooseProcessors(topology_, all, most);
  }
  hwloc_topology_t topology() { return topology_; }

 private:
  hwloc_topology_t topology_;
};

TEST(ChooseProcessors, OneThreadOfEachCore) {
  Machine machine("package:1 core:4 pu:2");
  EXPECT_THAT(machine.Choose(), ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(ChooseProcessors(machine.topology(), {1, 2, 3, 7}, 0), ElementsAre(1, 2, 7));
}

TEST(ChooseProcessors, WithoutTheSlowestKind) {
  Machine machine("package:1 core:6 pu:1");
  machine.AddKind(0, 1, 10);
  machine.AddKind(2, 3, 5);
  machine.AddKind(4, 5, 1);
  EXPECT_THAT(machine.Choose(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(ChooseProcessors(machine.topology(), {4, 5}, 0), ElementsAre(4, 5))
      << "better than none";
}

TEST(CacheBytes, AreOfTheLastCachesEachOnce) {
  Machine machine("package:2 l3:1(size=32MB) l2:2(size=1MB) core:1 pu:2");
  constexpr uint64_t kMegabyte = 1'000'000;
  EXPECT_EQ(CacheBytesOf(machine.topology(), {0, 1, 2}), 32 * kMegabyte) << "one package";
  EXPECT_EQ(CacheBytesOf(machine.topology(), {0, 4, 6}), 64 * kMegabyte);
  EXPECT_EQ(CacheBytesOf(machine.topology(), {}), 0U);
  EXPECT_EQ(CacheBytesOf(nullptr, {0}), 0U) << "nothing is known";
  Machine none("core:2 pu:1");
  EXPECT_EQ(CacheBytesOf(none.topology(), {0, 1}), 0U);
}

TEST(CoresOf, ThreadsOfOneCoreAreOne) {
  Machine machine("package:1 core:4 pu:2");
  EXPECT_THAT(CoresOf(machine.topology(), {1, 2, 3, 7}), ElementsAre(0, 2, 6));
  EXPECT_THAT(CoresOf(machine.topology(), {5}), ElementsAre(4)) << "whichever of its processors";
  EXPECT_THAT(CoresOf(machine.topology(), {0, 77}), ElementsAre(0, 77));
  EXPECT_THAT(CoresOf(nullptr, {3, 5}), ElementsAre(3, 5));
}

TEST(ChooseProcessors, AsManyAsArePaidFor) {
  Machine machine("package:2 core:8 pu:1");
  EXPECT_THAT(machine.Choose(3), ElementsAre(0, 1, 2));
  EXPECT_EQ(machine.Choose(100).size(), 16u);
}

TEST(ChooseProcessors, AllThatAreAllowedWhereNothingIsKnown) {
  EXPECT_THAT(ChooseProcessors(nullptr, {3, 5}, 0), ElementsAre(3, 5));
  Machine machine("package:1 core:2 pu:1");
  EXPECT_THAT(ChooseProcessors(machine.topology(), {0, 1, 77}, 0), ElementsAre(0, 1, 77));
}

TEST(ComputeProcessors, AreAllowed) {
  EXPECT_FALSE(ComputeProcessors().empty());
  EXPECT_THAT(AllowedProcessors(), testing::IsSupersetOf(ComputeProcessors()));
}

}  // namespace
}  // namespace baton::os
