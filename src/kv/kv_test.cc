#include <cstring>
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
  EXPECT_EQ(pool_->pages_total(), 4);
  std::vector<Page> pages;
  for (int i = 0; i < 4; ++i) pages.push_back(pool_->Allocate().value());
  EXPECT_EQ(pool_->Allocate().error().code(), Code::kResourceExhausted);
  const Page copy = pages[1];
  pages.clear();
  EXPECT_EQ(pool_->pages_free(), 3);
  EXPECT_FALSE(PagePool::Create(*device_, kLayers, kLayout, 100).ok());
}

TEST_F(Pool, NobodyReadsWhatAnotherLeft) {
  for (int round = 0; round < 9; ++round) {
    const Page page = pool_->Allocate().value();
    for (int layer = kLayers.first; layer < kLayers.last; ++layer) {
      const uint8_t* bytes = page.Layer(layer);
      for (size_t i = 0; i < kLayout.layer_bytes(); ++i) ASSERT_EQ(bytes[i], 0);
      std::memset(page.Layer(layer), 0xee, kLayout.layer_bytes());
    }
  }
}

TEST_F(Pool, HandlesMayCrossThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        auto page = pool_->Allocate();
        if (page.ok()) const Page copy = *page;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool_->pages_free(), 4);
}

TEST_F(Pool, SequenceGrantsAllOrNothing) {
  Sequence sequence(*pool_);
  ASSERT_TRUE(sequence.Reserve(130).ok());
  EXPECT_EQ(sequence.capacity(), 192);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_FALSE(sequence.Reserve(64 * 5).ok());
  EXPECT_EQ(sequence.capacity(), 192);
  EXPECT_EQ(pool_->pages_free(), 1);
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
  EXPECT_EQ(pool_->pages_free(), 2) << "the other holder still has page 1";
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

TEST_F(Pool, OfQ8_0TakesWholeBlocksAndTravelsAsItIs) {
  const auto create = [&](int head_dim) {
    return PagePool::Create(*device_, kLayers, {{2, head_dim}, KvType::kQ8_0}, 1 << 20);
  };
  EXPECT_EQ(create(24).error().code(), Code::kInvalidArgument);
  const auto pool = create(32).value();
  EXPECT_EQ(pool->page_bytes() * 64, pool_->page_bytes() * 34);
  Sequence sequence(*pool);
  ASSERT_TRUE(sequence.Reserve(1).ok());
  EXPECT_TRUE(ExportKv(*pool, sequence.pages(), {3, 0, 1}, KvType::kQ8_0).ok());
  EXPECT_EQ(ExportKv(*pool, sequence.pages(), {3, 0, 1}, KvType::kF16).error().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace baton::kv
