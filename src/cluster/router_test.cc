#include "cluster/router.h"

#include <vector>

#include <gtest/gtest.h>

namespace baton::cluster {
namespace {

const InstanceId kA(1), kB(2);

TEST(Router, SharesInProportionToWhatEachIsPlannedFor) {
  const Router router;
  std::vector<RouteOption> options = {{kA, 1, 0, 6}, {kB, 1, 0, 3}};
  for (int i = 0; i < 9; ++i) ++options[router.Choose(options, {})].running;
  EXPECT_EQ(options[0].running, 6);
  EXPECT_EQ(options[1].running, 3);
}

TEST(Router, AConversationGoesBackToItsPages) {
  Router router;
  const std::vector<uint64_t> first = {11, 12};
  const std::vector<uint64_t> longer = {11, 12, 13};
  router.Note(kB, 1, first);
  std::vector<RouteOption> options = {{kA, 1, 0, 4}, {kB, 1, 2, 4}};
  EXPECT_EQ(router.PagesAt(kB, 1, longer), 2u);
  EXPECT_EQ(router.Choose(options, longer), 1u);
  EXPECT_EQ(router.Choose(options, std::vector<uint64_t>{21, 12}), 0u) << "another beginning";
  options[1].running = 3;
  EXPECT_EQ(router.Choose(options, longer), 0u) << "busier by more than half of its share";
  options[0].running = 2;
  EXPECT_EQ(router.Choose(options, longer), 1u);
  router.Note(kA, 1, longer);
  EXPECT_EQ(router.Choose(options, longer), 0u) << "who has more of it";
}

TEST(Router, WhatIsPlacedAnewHasNothing) {
  Router router;
  const std::vector<uint64_t> pages = {11};
  router.Note(kB, 1, pages);
  EXPECT_EQ(router.PagesAt(kB, 2, pages), 0u);
  router.Note(kB, 2, pages);
  EXPECT_EQ(router.PagesAt(kB, 2, pages), 1u);
}

TEST(Router, RemembersSoMuchAndNoMore) {
  Router router;
  std::vector<uint64_t> pages;
  for (uint64_t i = 0; i < Router::kPagesMax; ++i) pages.push_back(i);
  router.Note(kA, 1, pages);
  EXPECT_EQ(router.PagesAt(kA, 1, pages), pages.size());
  router.Note(kB, 1, std::vector<uint64_t>{7, 8});
  EXPECT_EQ(router.PagesAt(kB, 1, std::vector<uint64_t>{7, 8}), 2u);
  EXPECT_EQ(router.PagesAt(kA, 1, pages), pages.size() - 2) << "the end makes room";
}

}  // namespace
}  // namespace baton::cluster
