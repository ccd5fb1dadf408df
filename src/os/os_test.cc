#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/pause.h"
#include "os/system.h"

namespace baton::os {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/baton-os-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::system(("rm -rf " + directory_).c_str()); }
  std::string directory_;
};

TEST_F(FileTest, AtomicWriteIsReadBackAndLeavesNothingElse) {
  const std::string path = directory_ + "/key";
  ASSERT_TRUE(WriteFileAtomically(path, AsBytes("one"), 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(path, AsBytes("two"), 0600).ok());
  EXPECT_EQ(ReadFile(path).value(), "two");
  EXPECT_EQ(ListDirectory(directory_).value().size(), 1u);
}

TEST_F(FileTest, FailuresNameThePath) {
  const auto missing = MappedFile::Open(directory_ + "/none");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_THAT(missing.error().message(), testing::HasSubstr(directory_ + "/none"));
  EXPECT_EQ(MappedFile::Open(directory_).error().code(), Code::kInvalidArgument);
}

TEST_F(FileTest, ReadAtPastTheEndIsDataLoss) {
  const std::string path = directory_ + "/short";
  ASSERT_TRUE(WriteFileAtomically(path, AsBytes("12345")).ok());
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  uint8_t into[4];
  EXPECT_TRUE(file->ReadAt(1, into).ok());
  EXPECT_EQ(file->ReadAt(2, into).error().code(), Code::kDataLoss);
}

TEST_F(FileTest, EmptyFileMapsToNothing) {
  const std::string path = directory_ + "/empty";
  ASSERT_TRUE(WriteFileAtomically(path, {}).ok());
  EXPECT_EQ(MappedFile::Open(path).value().bytes().size(), 0u);
}

TEST_F(FileTest, WriterAppends) {
  const std::string path = directory_ + "/big";
  auto writer = FileWriter::Create(path);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->Append(AsBytes("ab")).ok());
  ASSERT_TRUE(writer->Append(AsBytes("c")).ok());
  EXPECT_EQ(writer->position(), 3u);
  ASSERT_TRUE(writer->Close().ok());
  EXPECT_EQ(ReadFile(path).value(), "abc");
}

TEST(System, KnowsItself) {
  EXPECT_GT(SystemMemory().total_bytes, 0u);
  EXPECT_LE(SystemMemory().available_bytes, SystemMemory().total_bytes);
  EXPECT_FALSE(AllowedProcessors().empty());
  EXPECT_GT(PeakResidentBytes(), 0u);
  EXPECT_NE(RandomU64(), RandomU64());
}

TEST(Clock, FakeTimeMovesOnlyWhenTold) {
  FakeClock clock;
  const TimePoint before = clock.Now();
  clock.Advance(std::chrono::milliseconds(1500));
  EXPECT_DOUBLE_EQ(SecondsBetween(before, clock.Now()), 1.5);
}

TEST(System, AMachineThatWorksIsBusy) {
  const double before = MachineBusySeconds();
  const SystemClock clock;
  const auto begin = clock.Now();
  volatile uint64_t sink = 0;
  while (SecondsBetween(begin, clock.Now()) < 0.2) sink = sink + 1;
  EXPECT_GE(MachineBusySeconds() - before, 0.02) << "at least of this thread, to a hundredth";
  EXPECT_GE(Preemptions(), 0);
}

TEST(UndeliveredBytes, AreThoseThatThePeersKernelHasNot) {
  EXPECT_EQ(UndeliveredBytes(-1), 0u);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener, where, size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, where, &size), 0);
  const int from = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(from, where, size), 0);
  const int to = ::accept(listener, nullptr, nullptr);
  EXPECT_EQ(UndeliveredBytes(from), 0u);
  // What nobody reads fills the peer's kernel, then ours.
  std::vector<char> bytes(1 << 16);
  ssize_t sent = 0;
  for (ssize_t count = 0; count >= 0;) {
    sent += count;
    count = ::send(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
  }
  EXPECT_GT(UndeliveredBytes(from), 0u);
  while (sent > 0) sent -= ::recv(to, bytes.data(), bytes.size(), 0);
  for (int i = 0; i < 1000 && UndeliveredBytes(from) > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(UndeliveredBytes(from), 0u);
  for (const int each : {from, to, listener}) ::close(each);
}

TEST(Company, IsThereWhereMoreIsAtWorkThanThisProcess) {
  Company company;
  int asked = 0;
  const auto is_there = [&](double now_s, double busy_s, int threads) {
    return company.IsThere(now_s, threads, [&] {
      ++asked;
      return busy_s;
    });
  };
  EXPECT_FALSE(is_there(100, 50, 1)) << "nothing is known yet";
  EXPECT_FALSE(is_there(101, 51, 1)) << "one at a time";
  EXPECT_TRUE(is_there(102, 52.8, 1));
  EXPECT_TRUE(is_there(102.1, 52.8, 1)) << "too short a time to say";
  EXPECT_EQ(asked, 3);
  EXPECT_FALSE(is_there(103, 53.9, 1));
  EXPECT_FALSE(is_there(104, 55.9, 2)) << "both are our own threads";
}

TEST(Pause, IsEndedOnceAndForAll) {
  Pause pause;
  EXPECT_TRUE(pause.For(std::chrono::milliseconds(1)));
  std::thread other([&] { pause.End(); });
  EXPECT_FALSE(pause.For(std::chrono::minutes(1)));
  EXPECT_FALSE(pause.For(std::chrono::minutes(1)));
  other.join();
}

}  // namespace
}  // namespace baton::os
