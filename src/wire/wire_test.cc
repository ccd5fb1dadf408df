#include <gmock/gmock.h>

#include "base/random.h"
#include "wire/activation.h"
#include "wire/frame.h"
#include "wire/hash.h"

namespace baton::wire {
namespace {

using HeaderBytes = std::array<uint8_t, kFrameHeaderBytes>;

TEST(Frame, WorkedExampleOfTheDocument) {
  const HeaderBytes expected = {3, 0, 0, 0, 2, 0, 0, 0};
  EXPECT_EQ(EncodeFrameHeader({FrameType::kCluster, 3}), expected);
  const auto header = DecodeFrameHeader(expected, true);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->type, FrameType::kCluster);
  EXPECT_EQ(header->payload_bytes, 3u);
}

TEST(Frame, RefusesWhatTheDocumentRefuses) {
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{3, 0, 0, 0, 0, 0, 0, 0}, true).ok());
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{3, 0, 0, 0, 9, 0, 0, 0}, true).ok());
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{3, 0, 0, 0, 2, 1, 0, 0}, true).ok());
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0}, true).ok());
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{3, 0, 0, 0, 2, 0, 0, 0}, false).ok())
      << "a cluster frame before the hello";
  EXPECT_FALSE(DecodeFrameHeader(HeaderBytes{1, 0x10, 0, 0, 1, 0, 0, 0}, false).ok());
  EXPECT_TRUE(DecodeFrameHeader(HeaderBytes{0, 0x10, 0, 0, 1, 0, 0, 0}, false).ok());
}

TEST(PrefixHash, RollsTokenByToken) {
  const uint64_t start = PrefixHashStart("abc");
  const std::vector<TokenId> tokens = {1, 2, 3};
  EXPECT_EQ(PrefixHashExtend(start, tokens),
            PrefixHashExtend(PrefixHashExtend(PrefixHashExtend(start, 1), 2), 3));
  EXPECT_NE(PrefixHashExtend(start, tokens), PrefixHashExtend(PrefixHashStart("abd"), tokens));
}

class ActivationTest : public testing::Test {
 protected:
  ActivationHeader header_{.request = RequestId(7),
                           .epoch = 2,
                           .layer = 5,
                           .first_token = 9,
                           .token_count = 2,
                           .width = 3,
                           .last_of_prompt = true,
                           .prefix_before = 11,
                           .prefix_after = 12};
  std::vector<float> rows_ = {1, 2, 3, 4, 5, 6};
};

TEST_F(ActivationTest, RoundTrips) {
  const Bytes frame = EncodeActivation(header_, rows_);
  const auto decoded = DecodeActivation(frame);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(decoded->header.request, header_.request);
  EXPECT_EQ(decoded->header.layer, 5);
  EXPECT_EQ(decoded->header.first_token, 9);
  EXPECT_TRUE(decoded->header.last_of_prompt);
  EXPECT_EQ(decoded->header.prefix_after, 12u);
  EXPECT_THAT(decoded->rows, testing::ElementsAreArray(rows_));
}

TEST_F(ActivationTest, EveryFlippedBitIsSeen) {
  const Bytes frame = EncodeActivation(header_, rows_);
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes damaged = frame;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(DecodeActivation(damaged).ok()) << "bit " << bit;
  }
}

TEST_F(ActivationTest, EveryTruncationIsSeen) {
  const Bytes frame = EncodeActivation(header_, rows_);
  for (size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(DecodeActivation({frame.data(), size}).ok()) << size;
  }
}

}  // namespace
}  // namespace baton::wire
