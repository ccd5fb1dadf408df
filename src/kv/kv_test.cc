#include <cstring>
#include <limits>
#include <thread>

#include <gmock/gmock.h>

#include "device/cpu/cpu_device.h"
#include "kernels/select.h"
#include "kv/page_pool.h"
#include "kv/sequence.h"
#include "kv/transfer.h"

namespace baton::kv {
namespace {

constexpr KvShape kShape{2, 32};
constexpr KvLayout kLayout{kShape};
constexpr LayerRange kLayers{3, 6};

class Pool : public testing::Test {
 protected:
  std::unique_ptr<device::Device> device_ =
      device::MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 1});
  std::unique_ptr<PagePool> pool_ =
      PagePool::Create(*device_, kLayers, kLayout, 4 * kLayout.layer_bytes() * 3).value();
};

TEST_F(Pool, CountsPagesAndRefusesWhenFull) {
  EXPECT_EQ(pool_->frames_total(), 12);
  std::vector<PagePart> pages;
  for (int i = 0; i < 4; ++i) pages.push_back(pool_->Allocate(LayerKind::kFull).value());
  EXPECT_EQ(pool_->Allocate(LayerKind::kFull).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(pool_->Allocate(LayerKind::kWindowed).value(), nullptr) << "no layer has a window";
  const PagePart copy = pages[1];
  pages.clear();
  EXPECT_EQ(pool_->frames_free(), 9);
  EXPECT_FALSE(PagePool::Create(*device_, kLayers, kLayout, 100).ok());
}

TEST_F(Pool, NobodyReadsWhatAnotherLeft) {
  for (int round = 0; round < 9; ++round) {
    const Page page{pool_->Allocate(LayerKind::kFull).value(), nullptr};
    for (int layer = kLayers.first; layer < kLayers.last; ++layer) {
      uint8_t* bytes = pool_->BytesOf(page, layer);
      for (size_t i = 0; i < kLayout.layer_bytes(); ++i) ASSERT_EQ(bytes[i], 0);
      std::memset(bytes, 0xee, kLayout.layer_bytes());
    }
  }
}

TEST_F(Pool, HandlesMayCrossThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        const auto part = pool_->Allocate(LayerKind::kFull);
        if (part.ok()) const PagePart copy = *part;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool_->frames_free(), 12);
}

TEST_F(Pool, SequenceGrantsAllOrNothing) {
  Sequence sequence(*pool_);
  ASSERT_TRUE(sequence.Reserve(130).ok());
  EXPECT_EQ(sequence.capacity(), 192);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_FALSE(sequence.Reserve(64 * 5).ok());
  EXPECT_EQ(sequence.capacity(), 192);
  EXPECT_EQ(pool_->frames_free(), 3);
}

// Frames that are cleared for a sequence that then does not get all would be cleared again for each
// page that a cache gives up: work that grows with the square of the context.
TEST_F(Pool, WhatIsNotGrantedIsNotCleared) {
  Sequence holder(*pool_);
  ASSERT_TRUE(holder.Reserve(2 * kPageTokens).ok());
  const uint8_t* left = nullptr;
  {
    const Page page{pool_->Allocate(LayerKind::kFull).value(), nullptr};
    std::memset(pool_->BytesOf(page, kLayers.first), 0xee, kLayout.layer_bytes());
    left = pool_->BytesOf(page, kLayers.first);
  }
  Sequence sequence(*pool_);
  EXPECT_EQ(sequence.Reserve(3 * kPageTokens).error().code(), Code::kResourceExhausted);
  EXPECT_EQ(*left, 0xee);
  EXPECT_EQ(pool_->frames_free(), 6);
}

TEST_F(Pool, TruncateKeepsSharedPagesWhole) {
  Sequence sequence(*pool_);
  ASSERT_TRUE(sequence.Reserve(192).ok());
  sequence.SetLength(180);
  const PageTable shared = sequence.SharePrefix(130);
  EXPECT_EQ(shared.size(), 2u);
  EXPECT_EQ(sequence.first_writable(), 128);
  EXPECT_EQ(sequence.Truncate(150), 150);
  EXPECT_EQ(sequence.Truncate(100), 64) << "page 1 is shared: it cannot be written from 100 on";
  EXPECT_EQ(pool_->frames_free(), 6) << "the other holder still has page 1";
  Sequence other(*pool_, shared);
  EXPECT_EQ(other.length(), 128);
  EXPECT_EQ(other.Truncate(0), 0);
}

TEST_F(Pool, TransferRefusesWhatIsOutside) {
  Sequence sequence(*pool_);
  ASSERT_TRUE(sequence.Reserve(64).ok());
  const auto refused = [&](Slab slab, KvType type) {
    return ExportKv(*pool_, sequence.pages(), slab, type).error().code();
  };
  EXPECT_EQ(refused({2, 0, 1}, KvType::kF16), Code::kInvalidArgument);
  EXPECT_EQ(refused({3, 0, 65}, KvType::kF16), Code::kInvalidArgument);
  EXPECT_EQ(refused({3, -1, 2}, KvType::kF16), Code::kInvalidArgument);
  EXPECT_EQ(refused({3, 0, 0}, KvType::kF16), Code::kInvalidArgument);
  EXPECT_EQ(refused({3, 1 << 30, 1 << 30}, KvType::kF16), Code::kInvalidArgument);
  EXPECT_EQ(refused({3, 0, 1}, static_cast<KvType>(9)), Code::kInvalidArgument);
  const Bytes wire(WireBytes(kShape, 4, KvType::kQ8_0) - 1);
  EXPECT_FALSE(ImportKv(*pool_, sequence.pages(), {3, 0, 4}, KvType::kQ8_0, wire).ok());
}

TEST_F(Pool, OfF32TravelsAsItIsAndNothingElseDoesSo) {
  const auto pool = PagePool::Create(*device_, kLayers, {{2, 24}, KvType::kF32}, 1 << 20).value();
  Sequence floats(*pool), halves(*pool_);
  ASSERT_TRUE(floats.Reserve(1).ok() && halves.Reserve(1).ok());
  EXPECT_EQ(ExportKv(*pool, floats.pages(), {3, 0, 1}, KvType::kF32)->size(), 2u * 2 * 24 * 4);
  EXPECT_FALSE(ExportKv(*pool, floats.pages(), {3, 0, 1}, KvType::kF16).ok());
  EXPECT_FALSE(ExportKv(*pool, floats.pages(), {3, 0, 1}, KvType::kQ8_0).ok());
  EXPECT_FALSE(ExportKv(*pool_, halves.pages(), {3, 0, 1}, KvType::kF32).ok());
}

TEST_F(Pool, OfQ8_0TakesWholeBlocksAndTravelsAsItIs) {
  const auto create = [&](int head_dim) {
    return PagePool::Create(*device_, kLayers, {{2, head_dim}, KvType::kQ8_0}, 1 << 20);
  };
  EXPECT_EQ(create(24).error().code(), Code::kInvalidArgument);
  const auto pool = create(32).value();
  EXPECT_EQ(pool->frame_bytes() * 64, pool_->frame_bytes() * 34);
  Sequence sequence(*pool);
  ASSERT_TRUE(sequence.Reserve(1).ok());
  EXPECT_TRUE(ExportKv(*pool, sequence.pages(), {3, 0, 1}, KvType::kQ8_0).ok());
  EXPECT_EQ(ExportKv(*pool, sequence.pages(), {3, 0, 1}, KvType::kF16).error().code(),
            Code::kInvalidArgument);
}

// --- Windows ---

// Of any chunks, what one writes and the first token of its page sees never lies in more pages than
// that, and some need all.
TEST(PagesHeld, IsTheMostThatAChunkNeeds) {
  for (const int window : {1, 2, 40, 64, 65, 66, 128, 200}) {
    for (const int chunk : {1, 2, 64, 65, 100, 512}) {
      int most = 0;
      for (int first = 0; first < 1024; ++first) {
        const int seen = FirstSeen(first / kPageTokens * kPageTokens, window) / kPageTokens;
        most = std::max(most, PagesFor(first + chunk) - seen);
      }
      EXPECT_EQ(PagesHeld(1 << 20, window, chunk), most) << window << ", " << chunk;
    }
  }
  EXPECT_EQ(PagesHeld(1000, 0, 512), 16);
  EXPECT_EQ(PagesHeld(100, 40, 512), 2) << "no more than all";
  EXPECT_EQ(PagesHeld(1 << 20, std::numeric_limits<int>::max(), 512), 1 << 14);
}

// Layers 3 and 5 see all, layer 4 sees 100 tokens.
class WindowPool : public Pool {
 protected:
  static constexpr int kWindow = 100;
  static constexpr int kChunk = 64;
  std::unique_ptr<PagePool> Create(int frames) {
    return PagePool::Create(*device_, kLayers, kLayout, frames * kLayout.layer_bytes(),
                            {0, kWindow, 0}, kChunk)
        .value();
  }
  // Computes tokens up to `end` as a stage would.
  static void Grow(Sequence& sequence, int end, int chunk) {
    for (int first = sequence.length(); first < end; first += chunk) {
      const int count = std::min(chunk, end - first);
      ASSERT_TRUE(sequence.Slide(first, count).ok()) << first;
      sequence.SetLength(first + count);
    }
  }
};

TEST_F(WindowPool, AGrowingSequenceHoldsItsWindowAndNoMore) {
  const auto pool = Create(1000);
  const int held = PagesHeld(1 << 20, kWindow, kChunk);
  ASSERT_EQ(held, 4);
  for (const int chunk : {1, 50, kChunk}) {
    Sequence sequence(*pool);
    Grow(sequence, 1000, chunk);
    const int used = pool->frames_total() - pool->frames_free();
    EXPECT_LE(used, 2 * PagesFor(1000) + held) << chunk;
    EXPECT_GE(sequence.window_from(), 1000 - kWindow - kChunk - 2 * kPageTokens) << chunk;
    // Enough for the next token, and for going on behind the last whole page.
    EXPECT_LE(sequence.window_from(), FirstWanted(1000, kWindow)) << chunk;
    for (int page = sequence.window_from() / kPageTokens; page < PagesFor(1000); ++page)
      EXPECT_GE(pool->FrameOf(sequence.pages()[static_cast<size_t>(page)], 4), 0);
  }
  EXPECT_EQ(pool->frames_free(), 1000);
}

TEST_F(WindowPool, WhatWasGivenUpIsClearedForTheNext) {
  const auto pool = Create(4 * 2 + 4 + 3);
  Sequence sequence(*pool);
  Grow(sequence, 64, 64);
  std::memset(pool->BytesOf(sequence.pages()[0], 4), 0xee, pool->frame_bytes());
  Grow(sequence, 192, 64);
  std::memset(pool->BytesOf(sequence.pages()[1], 4), 0xee, pool->frame_bytes());
  ASSERT_TRUE(sequence.Slide(191, 1).ok());
  EXPECT_GE(pool->FrameOf(sequence.pages()[0], 4), 0) << "token 128 sees those from 29 on";
  ASSERT_TRUE(sequence.Slide(192, 1).ok());
  EXPECT_LT(pool->FrameOf(sequence.pages()[0], 4), 0) << "token 192 sees those from 93 on";
  EXPECT_GE(pool->FrameOf(sequence.pages()[1], 4), 0);
  for (int i = 0; pool->frames_free() > 0; ++i) {
    const PagePart part = pool->Allocate(LayerKind::kWindowed).value();
    const uint8_t* bytes = pool->BytesOf({nullptr, part}, 4);
    for (size_t b = 0; b < pool->frame_bytes(); ++b) ASSERT_EQ(bytes[b], 0) << i;
    if (i == 20) break;
  }
}

TEST_F(WindowPool, APartialGrantIsNone) {
  const auto pool = Create(7);
  Sequence sequence(*pool);
  EXPECT_FALSE(sequence.Reserve(3 * kPageTokens).ok());
  EXPECT_EQ(sequence.capacity(), 0);
  EXPECT_EQ(pool->frames_free(), 7);
  EXPECT_TRUE(sequence.Reserve(2 * kPageTokens).ok());
  EXPECT_EQ(pool->frames_free(), 1);
}

// An import may fail: until then what was complete before it stays usable.
TEST_F(WindowPool, AwaitingATokenWindowCanBeCalledOff) {
  const auto pool = Create(100);
  Sequence first(*pool);
  Grow(first, 256, 64);
  Sequence sequence(*pool, first.SharePrefix(256), first.window_from());
  ASSERT_TRUE(sequence.Reserve(1000).ok());
  sequence.Await(1000);
  ASSERT_TRUE(sequence.Reserve(1000).ok());
  EXPECT_EQ(sequence.window_from(), FirstWanted(1000, kWindow));
  EXPECT_EQ(sequence.complete(), 256);
  for (int page = sequence.window_from() / kPageTokens; page < PagesFor(1000); ++page)
    EXPECT_GE(pool->FrameOf(sequence.pages()[static_cast<size_t>(page)], 4), 0) << page;
  EXPECT_LT(pool->FrameOf(sequence.pages()[5], 4), 0) << "nobody wants that";
  EXPECT_EQ(sequence.Truncate(256), 256);
  EXPECT_EQ(sequence.window_from(), first.window_from());
  EXPECT_GE(pool->FrameOf(sequence.pages()[3], 4), 0);
  Grow(sequence, 300, 64);
}

// Where memory does not suffice for both, what was complete goes, and is computed again if need be.
TEST_F(WindowPool, AwaitingMayTakeThePlaceOfWhatIsComplete) {
  const auto pool = Create(2 * PagesFor(1000) + PagesHeld(1000, kWindow, kChunk));
  Sequence sequence(*pool);
  Grow(sequence, 256, 64);
  ASSERT_TRUE(sequence.Reserve(1000).ok());
  sequence.Await(1000);
  EXPECT_EQ(sequence.Reserve(1000).error().code(), Code::kResourceExhausted);
  sequence.ForgetCompleteWindow();
  EXPECT_TRUE(sequence.Reserve(1000).ok());
  EXPECT_EQ(sequence.Truncate(256), 0);
  Grow(sequence, 300, 64);
}

}  // namespace
}  // namespace baton::kv
