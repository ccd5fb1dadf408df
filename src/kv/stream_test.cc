#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "base/random.h"
#include "device/cpu/cpu_device.h"
#include "kernels/select.h"
#include "kv/export.h"
#include "kv/import.h"
#include "kv/prefix_cache.h"
#include "kv/transfer.h"
#include "os/clock.h"
#include "os/file.h"
#include "wire/hash.h"

namespace baton::kv {
namespace {

using std::chrono::milliseconds;

const SequenceKey kKey{RequestId(0x0102030405060708), 2};

// --- Codec ---

std::string HexOf(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

// The worked example of docs/formats/kv-stream.md, its white space made one blank.
std::string ExampleInDocument() {
  std::ifstream file(BATON_SOURCE_DIR "/docs/formats/kv-stream.md");
  std::stringstream text;
  text << file.rdbuf();
  std::string document = text.str();
  document.erase(0, document.find("## Worked example"));
  const size_t begin = document.find("```\n") + 4;
  std::istringstream words(document.substr(begin, document.find("```", begin) - begin));
  std::string example, word;
  while (words >> word) example += word + " ";
  return example;
}

Bytes Example() {
  ChunkBuilder builder({.key = kKey,
                        .layer = 3,
                        .first_token = 5,
                        .token_count = 1,
                        .shape = {1, 2},
                        .dtype = KvType::kF16,
                        .last_of_layer = true,
                        .prefix_before = 0x1111111111111111,
                        .prefix_after = 0x2222222222222222});
  const Bytes payload = {0x00, 0x3c, 0x00, 0x40, 0x00, 0xbc, 0x00, 0x38};
  std::copy(payload.begin(), payload.end(), builder.payload().begin());
  return std::move(builder).Finish();
}

TEST(Chunk, WorkedExampleOfTheDocument) {
  EXPECT_EQ(HexOf(Example()), ExampleInDocument());
}

// Kind, latent and payload of latents; what contradicts itself is refused.
TEST(Chunk, OfLatentsHoldsEachRowOnce) {
  ChunkHeader header{.key = kKey, .token_count = 3, .shape = {1, 96, 64}, .dtype = KvType::kQ8_0};
  EXPECT_EQ(PayloadBytes(header), 3u * 96 / 32 * 34);
  const Bytes frame = ChunkBuilder(header).Finish();
  EXPECT_EQ(frame[6], 1);
  const auto decoded = DecodeChunk(frame);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded->header.shape, header.shape);
  for (const KvShape& shape : {KvShape{2, 96, 64}, KvShape{1, 96, 128}, KvShape{1, 96, 40}}) {
    header.shape = shape;
    EXPECT_FALSE(DecodeChunk(ChunkBuilder(header).Finish()).ok()) << shape.latent;
  }
}

TEST(Chunk, OfF32RoundTrips) {
  const ChunkHeader header{.key = kKey, .token_count = 3, .shape = {2, 24}, .dtype = KvType::kF32};
  const Bytes frame = ChunkBuilder(header).Finish();
  EXPECT_EQ(frame.size(), kChunkHeaderBytes + 2u * 3 * 2 * 24 * 4);
  EXPECT_EQ(frame[7], 0) << "the format's number";
  const auto decoded = DecodeChunk(frame);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded->header.dtype, KvType::kF32);
}

TEST(Chunk, EveryFlippedBitAndTruncationIsSeen) {
  const Bytes frame = Example();
  ASSERT_TRUE(DecodeChunk(frame).ok());
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes damaged = frame;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(DecodeChunk(damaged).ok()) << "bit " << bit;
  }
  for (size_t size = 0; size < frame.size(); ++size)
    EXPECT_FALSE(DecodeChunk({frame.data(), size}).ok()) << size;
}

TEST(Seal, RoundTripsAndSeesDamage) {
  const Seal seal{.key = kKey,
                  .layers = {2, 7},
                  .token_count = 99,
                  .prefix_hash = 12345,
                  .chunk_count = 10,
                  .payload_bytes = 1 << 20};
  const Bytes frame = EncodeSeal(seal);
  const auto decoded = DecodeSeal(frame);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->key, kKey);
  EXPECT_EQ(decoded->layers, seal.layers);
  EXPECT_EQ(decoded->token_count, 99);
  EXPECT_EQ(decoded->payload_bytes, seal.payload_bytes);
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    Bytes damaged = frame;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(DecodeSeal(damaged).ok()) << "bit " << bit;
  }
}

// --- From pages to pages ---

class StreamTest : public testing::Test {
 protected:
  static constexpr int kTokens = 150;
  static constexpr LayerRange kLayers{4, 7};

  explicit StreamTest(Windows windows = {}, KvShape shape = {2, 32})
      : shape_(shape), windows_(std::move(windows)) {
    Rng rng(1);
    for (int i = 0; i < kTokens; ++i) tokens_.push_back(static_cast<TokenId>(rng.Below(1000)));
    prefixes_ = HashPrefixes("model", tokens_);
    FillSource(rng);
  }

  std::unique_ptr<PagePool> MakePool() {
    return PagePool::Create(*device_, kLayers, {shape_}, 64 << 20, windows_).value();
  }

  // Random keys and values through the import path: halves of modest size.
  void FillSource(Rng& rng) {
    ASSERT_TRUE(source_.Reserve(kTokens).ok());
    for (int layer = kLayers.first; layer < kLayers.last; ++layer) {
      Bytes wire(WireBytes(shape_, kTokens, KvType::kF16));
      for (size_t i = 0; i < wire.size(); i += 2) {
        wire[i] = static_cast<uint8_t>(rng.Next());
        wire[i + 1] = static_cast<uint8_t>(0x30 + rng.Below(12));
      }
      ASSERT_TRUE(
          ImportKv(*source_pool_, source_.pages(), {layer, 0, kTokens}, KvType::kF16, wire).ok());
    }
  }

  Grant MakeGrant(int first, KvType dtype = KvType::kF16) const {
    return {.key = kKey,
            .layers = kLayers,
            .first_token = first,
            .token_count = kTokens,
            .dtype = dtype,
            .prefix_hashes = prefixes_,
            .patience = milliseconds(200)};
  }

  // Everything an exporter sends for the prompt computed in `step`s.
  std::vector<wire::Frame> Stream(int first, int step, KvType dtype = KvType::kF16) {
    std::vector<wire::Frame> frames;
    Mutex mutex;
    std::optional<Result<ExportStats>> result;
    CondVar finished;
    Exporter exporter(
        [&](const NodeId&, wire::FrameType type, Bytes payload, net::OnSent on_sent) {
          frames.push_back({type, std::move(payload)});
          on_sent(OkStatus());
        },
        clock_);
    auto stream =
        std::make_shared<ExportStream>(exporter, kKey, *source_pool_, nullptr, kLayers,
                                       std::vector<ExportTarget>{{NodeId(), kLayers, first, dtype}},
                                       prefixes_, kTokens, [&](Result<ExportStats> stats) {
                                         MutexLock lock(mutex);
                                         result = std::move(stats);
                                         finished.NotifyAll();
                                       });
    for (int token = 0; token < kTokens; token += step) {
      for (int layer = kLayers.first; layer < kLayers.last; ++layer)
        stream->OnWritten(layer, token, std::min(step, kTokens - token), source_.pages());
    }
    stream->OnPrefillEnd();
    MutexLock lock(mutex);
    while (!result) finished.Wait(mutex);
    EXPECT_TRUE(result->ok());
    stats_ = result->value();
    return frames;
  }

  bool SameKv(const PagePool& pool, const PageTable& pages, int first) {
    for (int layer = kLayers.first; layer < kLayers.last; ++layer) {
      const Slab slab{layer, first, kTokens - first};
      if (ExportKv(pool, pages, slab, KvType::kF16).value() !=
          ExportKv(*source_pool_, source_.pages(), slab, KvType::kF16).value())
        return false;
    }
    return true;
  }

  const KvShape shape_;
  const os::SystemClock clock_;
  const Windows windows_;
  const std::unique_ptr<device::Device> device_ =
      device::MakeCpuDevice(*kernels::SelectKernels("reference").value(), {.threads = 1});
  const std::unique_ptr<PagePool> source_pool_ = MakePool();
  Sequence source_{*source_pool_};
  std::vector<TokenId> tokens_;
  PrefixHashes prefixes_;
  ExportStats stats_;
};

class ReceiverTest : public StreamTest {
 protected:
  using StreamTest::StreamTest;
  void Receive(int first, KvType dtype = KvType::kF16) {
    ASSERT_TRUE(target_.Reserve(kTokens).ok());
    import_ = std::make_unique<Import>(MakeGrant(first, dtype), *target_pool_, nullptr,
                                       target_.pages(), clock_);
  }
  Status Deliver(const wire::Frame& frame) {
    return frame.type == wire::FrameType::kKvSeal ? import_->OnSeal(frame.payload)
                                                  : import_->OnChunk(frame.payload);
  }

  const std::unique_ptr<PagePool> target_pool_ = MakePool();
  Sequence target_{*target_pool_};
  std::unique_ptr<Import> import_;
};

TEST_F(ReceiverTest, EveryChunkSizeArrivesBitForBit) {
  for (const int step : {1, 7, 64, 100, kTokens}) {
    Receive(0);
    for (const wire::Frame& frame : Stream(0, step)) ASSERT_TRUE(Deliver(frame).ok());
    EXPECT_TRUE(import_->Complete());
    EXPECT_TRUE(SameKv(*target_pool_, target_.pages(), 0)) << step;
    EXPECT_EQ(import_->received_bytes(), stats_.payload_bytes);
  }
}

class LatentReceiverTest : public ReceiverTest {
 protected:
  LatentReceiverTest() : ReceiverTest({}, {1, 96, 64}) {}
};

TEST_F(LatentReceiverTest, EveryChunkSizeArrivesBitForBitAndOnce) {
  for (const int step : {7, 64, kTokens}) {
    Receive(0);
    for (const wire::Frame& frame : Stream(0, step)) ASSERT_TRUE(Deliver(frame).ok());
    EXPECT_TRUE(import_->Complete());
    EXPECT_TRUE(SameKv(*target_pool_, target_.pages(), 0)) << step;
    EXPECT_EQ(stats_.payload_bytes, 3u * kTokens * 96 * 2);
  }
}

TEST_F(ReceiverTest, OnlyTheUncachedSuffixTravels) {
  Receive(64);
  const auto frames = Stream(64, 50);
  for (const wire::Frame& frame : frames) ASSERT_TRUE(Deliver(frame).ok());
  EXPECT_TRUE(import_->Complete());
  EXPECT_TRUE(SameKv(*target_pool_, target_.pages(), 64));
  EXPECT_EQ(stats_.payload_bytes, 3 * WireBytes(shape_, kTokens - 64, KvType::kF16));
}

TEST_F(ReceiverTest, Q8OnTheWireIsNearlyHalf) {
  Receive(0, KvType::kQ8_0);
  for (const wire::Frame& frame : Stream(0, 64, KvType::kQ8_0)) ASSERT_TRUE(Deliver(frame).ok());
  EXPECT_TRUE(import_->Complete());
  EXPECT_EQ(stats_.payload_bytes * 32 * 2, 3 * WireBytes(shape_, kTokens, KvType::kF16) * 34);
}

TEST_F(ReceiverTest, AGapIsAFaultAndKeepsTheValidPrefix) {
  Receive(0);
  const auto frames = Stream(0, 50);  // 3 chunks x 3 layers, seal
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Deliver(frames[i]).ok());
  EXPECT_EQ(Deliver(frames[7]).error().code(), Code::kDataLoss);  // layer 5, third chunk
  EXPECT_TRUE(import_->failed());
  EXPECT_EQ(import_->ValidTokens(), 50);
  EXPECT_FALSE(Deliver(frames[4]).ok()) << "after a fault nothing is written";
  EXPECT_EQ(import_->WaitForLayer(6).error().code(), Code::kDataLoss);
}

TEST_F(ReceiverTest, ARepetitionIsDropped) {
  Receive(0);
  const auto frames = Stream(0, 50);
  for (const wire::Frame& frame : frames) {
    ASSERT_TRUE(Deliver(frame).ok());
    ASSERT_TRUE(Deliver(frame).ok());
  }
  EXPECT_TRUE(import_->Complete());
  EXPECT_TRUE(SameKv(*target_pool_, target_.pages(), 0));
}

TEST_F(ReceiverTest, AFlippedBitAnywhereIsAFault) {
  Rng rng(2);
  const auto frames = Stream(0, 50);
  for (int round = 0; round < 200; ++round) {
    Receive(0);
    wire::Frame damaged = frames[0];
    damaged.payload[rng.Below(damaged.payload.size())] ^= static_cast<uint8_t>(1u << rng.Below(8));
    EXPECT_FALSE(Deliver(damaged).ok());
    EXPECT_EQ(import_->ValidTokens(), 0);
  }
}

TEST_F(ReceiverTest, AnotherEpochOrPromptIsRefused) {
  Grant grant = MakeGrant(0);
  grant.key.epoch = 3;
  ASSERT_TRUE(target_.Reserve(kTokens).ok());
  Import later(grant, *target_pool_, nullptr, target_.pages(), clock_);
  const auto frames = Stream(0, 50);
  EXPECT_EQ(later.OnChunk(frames[0].payload).error().code(), Code::kAborted);
  grant = MakeGrant(0);
  std::vector<TokenId> other = tokens_;
  other[3] ^= 1;
  grant.prefix_hashes = HashPrefixes("model", other);
  Import another(grant, *target_pool_, nullptr, target_.pages(), clock_);
  EXPECT_EQ(another.OnChunk(frames[0].payload).error().code(), Code::kDataLoss);
}

TEST_F(ReceiverTest, ASealBeforeItsChunksIsAFault) {
  Receive(0);
  const auto frames = Stream(0, 50);
  ASSERT_EQ(frames.back().type, wire::FrameType::kKvSeal);
  EXPECT_FALSE(Deliver(frames.back()).ok());
}

TEST_F(ReceiverTest, WaitingEndsWithTheLayerTheDeadlineOrTheFault) {
  Receive(0);
  const auto frames = Stream(0, kTokens);
  std::thread sender([&] {
    for (const wire::Frame& frame : frames) (void)Deliver(frame);
  });
  for (int layer = kLayers.first; layer < kLayers.last; ++layer)
    EXPECT_TRUE(import_->WaitForLayer(layer).ok());
  sender.join();

  Receive(0);
  EXPECT_EQ(import_->WaitForLayer(4).error().code(), Code::kDeadlineExceeded);

  Receive(0);
  std::thread reaper([&] { import_->Fail(Error(Code::kUnavailable, "the prefill node is gone")); });
  EXPECT_EQ(import_->WaitForLayer(4).error().code(), Code::kUnavailable);
  reaper.join();
}

// Layer 5 has a window: of 150 tokens it wants those from 89 on, so that the sequence can go on
// from token 128, the end of its last whole page.
class WindowTest : public ReceiverTest {
 protected:
  static constexpr int kWindow = 40;
  static constexpr int kFirst = 89;
  WindowTest() : ReceiverTest({0, kWindow, 0}) {}

  bool Same(int layer, int first) {
    const Slab slab{layer, first, kTokens - first};
    return ExportKv(*target_pool_, target_.pages(), slab, KvType::kF16).value() ==
           ExportKv(*source_pool_, source_.pages(), slab, KvType::kF16).value();
  }
};

TEST(Window, WhatIsWantedOfIt) {
  EXPECT_EQ(FirstWanted(150, 0), 0);
  EXPECT_EQ(FirstWanted(150, 40), 89);
  EXPECT_EQ(FirstWanted(128, 40), 89);
  EXPECT_EQ(FirstWanted(30, 40), 0);
  EXPECT_EQ(FirstWanted(127, 1000), 0);
  EXPECT_EQ(FirstWanted(128, 1), 127) << "no layer is left without a chunk";
}

TEST_F(WindowTest, OnlyTheWindowTravels) {
  for (const int step : {1, 7, 64, 100, kTokens}) {
    Receive(0);
    for (const wire::Frame& frame : Stream(0, step)) ASSERT_TRUE(Deliver(frame).ok()) << step;
    EXPECT_TRUE(import_->Complete());
    EXPECT_EQ(import_->ValidTokens(), kTokens);
    EXPECT_EQ(import_->window_from(), kFirst);
    EXPECT_TRUE(Same(4, 0) && Same(5, kFirst) && Same(6, 0)) << step;
    EXPECT_FALSE(Same(5, kFirst - 1)) << "nobody wants that";
    EXPECT_EQ(stats_.payload_bytes, 2 * WireBytes(shape_, kTokens, KvType::kF16) +
                                        WireBytes(shape_, kTokens - kFirst, KvType::kF16));
    ASSERT_EQ(target_.Truncate(0), 0);
  }
}

TEST_F(WindowTest, BehindACachedPrefixTheUncachedPartOfIt) {
  Receive(128);
  for (const wire::Frame& frame : Stream(128, 50)) ASSERT_TRUE(Deliver(frame).ok());
  EXPECT_TRUE(import_->Complete());
  EXPECT_EQ(import_->window_from(), 128) << "nothing was left out";
  EXPECT_EQ(stats_.payload_bytes, 3 * WireBytes(shape_, kTokens - 128, KvType::kF16));
}

TEST_F(WindowTest, APartOfItIsOfNoUse) {
  Receive(0);
  const auto frames =
      Stream(0, 50);  // layers 4, 5, 6 by turns; nothing of layer 5 in the first turn
  for (size_t i = 0; i < 2; ++i) ASSERT_TRUE(Deliver(frames[i]).ok());  // 4 and 6 up to 50
  for (size_t i = 2; i < 5; ++i) ASSERT_TRUE(Deliver(frames[i]).ok());  // up to 100
  EXPECT_EQ(import_->ValidTokens(), 0);
  EXPECT_EQ(import_->MissingTokens(), 50);
  EXPECT_FALSE(import_->Complete());
}

TEST_F(WindowTest, ASenderThatLeavesOutMoreIsAtFault) {
  Receive(0);
  ChunkBuilder chunk({.key = kKey,
                      .layer = 5,
                      .first_token = kFirst + 1,
                      .token_count = kTokens - kFirst - 1,
                      .shape = shape_,
                      .dtype = KvType::kF16,
                      .last_of_layer = true,
                      .prefix_before = (*prefixes_)[kFirst + 1],
                      .prefix_after = prefixes_->back()});
  EXPECT_EQ(import_->OnChunk(std::move(chunk).Finish()).error().code(), Code::kDataLoss);
}

// --- Prefix cache ---

class CacheTest : public StreamTest {};

TEST_F(CacheTest, FindsTheLongestPrefixAndEvictsTheOldest) {
  PrefixCache cache;
  const auto hashes = PageHashes(prefixes_, kTokens);
  ASSERT_EQ(hashes.size(), 2u);
  cache.Insert(hashes, source_.pages(), 0);
  EXPECT_EQ(cache.Find(hashes, 0).pages.size(), 2u);
  std::vector<TokenId> forked = tokens_;
  forked[70] ^= 1;
  EXPECT_EQ(cache.Find(PageHashes(HashPrefixes("model", forked), kTokens), 0).pages.size(), 1u);
  EXPECT_EQ(cache.Find(PageHashes(HashPrefixes("other", tokens_), kTokens), 0).pages.size(), 0u);
  EXPECT_TRUE(cache.EvictOne());
  EXPECT_EQ(cache.size(), 1u);
}

// The pages of a sequence that got only a window of 40 from token 89 on.
TEST_F(CacheTest, APrefixIsFoundWhereItsWindowIsWhole) {
  PrefixCache cache;
  const auto hashes = PageHashes(prefixes_, kTokens);  // two pages
  cache.Insert(hashes, source_.pages(), 89);
  const auto found = cache.Find(hashes, 40);
  EXPECT_EQ(found.pages.size(), 2u) << "token 128 sees those from 89 on";
  EXPECT_EQ(found.window_from, 89);
  EXPECT_EQ(cache.Find(hashes, 41).pages.size(), 0u);
  EXPECT_EQ(cache.Find(std::span(hashes).first(1), 40).pages.size(), 0u) << "64 sees 25 and on";
  // Whoever has them whole completes the cache, and nobody takes anything away.
  cache.Insert(hashes, source_.pages(), 64);
  EXPECT_EQ(cache.Find(hashes, 41).pages.size(), 2u);
  EXPECT_EQ(cache.Find(std::span(hashes).first(1), 40).pages.size(), 0u);
  cache.Insert(hashes, source_.pages(), 0);
  cache.Insert(hashes, source_.pages(), 140);
  EXPECT_EQ(cache.Find(std::span(hashes).first(1), 40).pages.size(), 1u);
  EXPECT_EQ(cache.Find(hashes, 1000).window_from, 0);
}

TEST_F(WindowTest, ASequenceIsNotCutWithinAnIncompleteWindow) {
  Sequence sequence(*target_pool_);
  ASSERT_TRUE(sequence.Reserve(kTokens).ok());
  ASSERT_TRUE(sequence.Slide(128, 22).ok());
  sequence.SetLength(kTokens);
  EXPECT_EQ(sequence.window_from(), 64);
  EXPECT_EQ(sequence.Truncate(140), 140);
  EXPECT_EQ(sequence.Truncate(103), 103) << "token 103 sees 64";
  EXPECT_EQ(sequence.Truncate(102), 0);
  EXPECT_EQ(sequence.window_from(), 0);
}

// A prefix takes along what its next token sees; windowed parts that were passed by go before
// anything else, those that somebody went on from do not.
TEST_F(WindowTest, TheCacheGivesUpPassedWindowsFirst) {
  PrefixCache cache;
  const auto hashes = PageHashes(prefixes_, kTokens);
  cache.Insert(hashes, source_.pages(), 0, /*passed=*/true);
  const auto both = cache.Find(hashes, kWindow);
  ASSERT_EQ(both.pages.size(), 2u);
  EXPECT_EQ(both.window_from, 64);
  EXPECT_EQ(both.pages[0].windowed, nullptr);
  EXPECT_NE(both.pages[1].windowed, nullptr);
  ASSERT_TRUE(cache.EvictOne());
  EXPECT_EQ(cache.size(), 2u) << "only the window of the first page is gone";
  EXPECT_EQ(cache.Find(std::span(hashes).first(1), kWindow).pages.size(), 0u);
  EXPECT_EQ(cache.Find(hashes, kWindow).pages.size(), 2u);
  ASSERT_TRUE(cache.EvictOne());
  EXPECT_EQ(cache.size(), 1u);
  // Whoever computes it again completes it.
  cache.Insert(hashes, source_.pages(), 0);
  EXPECT_EQ(cache.Find(std::span(hashes).first(1), kWindow).pages.size(), 1u);
}

TEST_F(CacheTest, GivesItsPagesUpWhenThePoolIsDry) {
  auto pool =
      PagePool::Create(*device_, kLayers, {shape_}, 3 * 3 * KvLayout{shape_}.layer_bytes()).value();
  ASSERT_EQ(pool->frames_total(), 9);
  PrefixCache cache;
  {
    Sequence first(*pool);
    ASSERT_TRUE(first.Reserve(2 * kPageTokens).ok());
    cache.Insert(PageHashes(prefixes_, 2 * kPageTokens), first.pages(), 0);
  }
  EXPECT_EQ(pool->frames_free(), 3);
  Sequence second(*pool);
  EXPECT_TRUE(ReserveEvicting(second, 3 * kPageTokens, cache).ok());
  EXPECT_EQ(cache.size(), 0u);
  Sequence third(*pool);
  EXPECT_EQ(ReserveEvicting(third, 1, cache).error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace baton::kv
