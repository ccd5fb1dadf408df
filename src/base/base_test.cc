#include <thread>

#include <gmock/gmock.h>

#include "base/bounded_queue.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"

namespace baton {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return MakeError(Code::kInvalidArgument, "{} is odd", value);
  return value / 2;
}

Result<int> Quarter(int value) {
  BATON_ASSIGN_OR_RETURN(const int half, Half(value));
  return Half(half);
}

TEST(Result, CarriesValueOrError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().ToString(), "invalid_argument: 3 is odd");
  EXPECT_EQ(Quarter(6).error().Within("quarter").message(), "quarter: 3 is odd");
}

TEST(Result, EveryCodeHasItsRow) {
  for (int number = 0; number <= 12; ++number) {
    EXPECT_EQ(static_cast<int>(InfoOf(static_cast<Code>(number)).code), number);
  }
  EXPECT_EQ(CodeFromWire(99), Code::kInternal);
  EXPECT_EQ(CodeFromWire(0), Code::kInternal) << "a peer cannot send an ok error";
}

TEST(Philox, PublishedVectors) {
  // From the Random123 distribution's known-answer file.
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}),
              testing::ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(
      Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      testing::ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      testing::ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Philox, UniformDependsOnSeedAndPosition) {
  EXPECT_EQ(UniformAt(1, 2), UniformAt(1, 2));
  EXPECT_NE(UniformAt(1, 2), UniformAt(1, 3));
  EXPECT_NE(UniformAt(1, 2), UniformAt(2, 2));
  double sum = 0;
  for (int i = 0; i < 100000; ++i) sum += UniformAt(8, i);
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(Ids, NodeIdRoundTrips) {
  std::array<uint8_t, 32> key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i * 37 + 5);
  const NodeId id(key);
  EXPECT_EQ(id.ToString().size(), 52u);
  EXPECT_EQ(NodeId::Parse(id.ToString()), id);
  EXPECT_EQ(NodeId::Parse(id.Short()), std::nullopt);
  EXPECT_EQ(NodeId::Parse("A" + id.ToString().substr(1)), std::nullopt);
}

TEST(Ids, Base32RefusesTrailingBits) {
  const uint8_t one = 0xff;
  EXPECT_EQ(Base32(&one, 1), "74");
  EXPECT_EQ(FromBase32("74"), std::string("\xff"));
  EXPECT_EQ(FromBase32("75"), std::nullopt);
}

TEST(Bytes, ShortReadLatches) {
  ByteWriter writer;
  writer.Write<uint32_t>(0x04030201);
  writer.Write<uint16_t>(7);
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.Read<uint32_t>(), 0x04030201u);
  EXPECT_EQ(reader.Read<uint32_t>(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Read<uint16_t>(), 0u) << "once short, always short";
}

TEST(BoundedQueue, RefusesWhenFullAndDrainsAfterClose) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  queue.Close();
  EXPECT_FALSE(queue.Push(4));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueue, PushWaitsForRoom) {
  BoundedQueue<int> queue(1);
  ASSERT_TRUE(queue.TryPush(1));
  std::thread producer([&] { EXPECT_TRUE(queue.Push(2)); });
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  producer.join();
}

TEST(Log, EscapesControlCharacters) {
  EXPECT_EQ(log::Escape("a\r\n\x1b[31mb"), "a\\x0d\\x0a\\x1b[31mb");
}

}  // namespace
}  // namespace baton
