#include "os/process.h"

#include <signal.h>

#include <thread>

#include <gmock/gmock.h>

namespace baton::os {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(RunTool, GivesWhatItPrinted) {
  EXPECT_EQ(RunTool({"sh", "-c", "echo one; echo two"}).value(), "one\ntwo\n");
  const auto failed = RunTool({"sh", "-c", "echo 'no such link' >&2; exit 3"});
  EXPECT_EQ(failed.error().code(), Code::kFailedPrecondition);
  EXPECT_THAT(failed.error().message(), HasSubstr("no such link"));
  const auto absent = RunTool({"no-such-tool"});
  EXPECT_EQ(absent.error().code(), Code::kNotFound);
  EXPECT_THAT(absent.error().message(), HasSubstr("'no-such-tool'"));
}

TEST(Process, EndsWithItsHandle) {
  int id = 0;
  {
    auto process = Process::Start({.arguments = {"sleep", "600"}});
    ASSERT_TRUE(process.ok()) << process.error().message();
    EXPECT_TRUE(process->running());
    id = process->id();
    EXPECT_EQ(::kill(id, 0), 0);
  }
  EXPECT_NE(::kill(id, 0), 0);
}

TEST(Process, StopsWhenAsked) {
  auto process = Process::Start({.arguments = {"sleep", "600"}}).value();
  process.Stop(std::chrono::seconds(10));
  EXPECT_FALSE(process.running());
}

TEST(Process, WhatDoesNotStopIsKilled) {
  auto process =
      Process::Start({.arguments = {"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}})
          .value();
  std::this_thread::sleep_for(milliseconds(100));  // for the trap
  process.Stop(milliseconds(50));
  EXPECT_FALSE(process.running());
}

TEST(Process, HasTheEnvironmentThatIsSaid) {
  const std::string log = testing::TempDir() + "process_test.log";
  auto process = Process::Start({.arguments = {"sh", "-c", "echo $BATON_TEST"},
                                 .environment = {"BATON_TEST=said"},
                                 .log_path = log})
                     .value();
  while (process.running()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(RunTool({"cat", log}).value(), "said\n");
  (void)RunTool({"rm", log});
}

// Where the system lets us: a child alone in its network until it is let go.
TEST(Process, ANetworkOfItsOwn) {
  const std::string log = testing::TempDir() + "process_network_test.log";
  auto process = Process::Start(
      {.arguments = {"sh", "-c", "cat /proc/net/dev"}, .log_path = log, .own_network = true});
  if (!process.ok()) GTEST_SKIP() << process.error().message();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_TRUE(process->running());
  process->Go();
  while (process->running()) std::this_thread::sleep_for(milliseconds(1));
  const std::string devices = RunTool({"cat", log}).value();
  (void)RunTool({"rm", log});
  EXPECT_THAT(devices, HasSubstr("lo:"));
  EXPECT_THAT(devices, testing::Not(HasSubstr("eth")));
}

}  // namespace
}  // namespace baton::os
