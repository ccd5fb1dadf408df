#include "device/cpu/cpu_device.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "base/random.h"
#include "device/cpu/thread_pool.h"
#include "kernels/half.h"
#include "kernels/select.h"

namespace baton::device {
namespace {

TEST(ThreadPool, VisitsEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const size_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> visits(count);
      std::atomic<bool> known_workers{true};
      pool.ForEach(count, [&](size_t index, int worker) {
        ++visits[index];
        if (worker < 0 || worker >= threads) known_workers = false;
      });
      EXPECT_TRUE(known_workers);
      for (const auto& visit : visits) EXPECT_EQ(visit, 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsAndParkedWorkers) {
  ThreadPool pool(3);
  std::atomic<int> sum{0};
  for (int round = 0; round < 3000; ++round) {
    pool.ForEach(5, [&](size_t, int) { ++sum; });
    if (round % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(sum, 15000);
}

std::unique_ptr<Device> Cpu() {
  return MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = 2});
}

struct Values {
  std::unique_ptr<Buffer> memory;
  Rows rows;
};

Values Random(Device& device, size_t count, size_t width, uint64_t seed) {
  auto memory = device.Allocate(count * width * sizeof(float)).value();
  const Rows rows{memory.get(), 0, count, width};
  Rng rng(seed);
  for (float& value : rows.values()) value = static_cast<float>(rng.Normal());
  return {std::move(memory), rows};
}

// A matrix of random F32 weights.
std::unique_ptr<Matrix> RandomMatrix(Device& device, size_t rows, size_t columns, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> weights(rows * columns);
  for (float& weight : weights) weight = static_cast<float>(rng.Normal());
  const std::span bytes(reinterpret_cast<const uint8_t*>(weights.data()), 4 * weights.size());
  return device.Pack({DType::kF32, rows, columns, RowsIn(bytes, 4 * columns)}).value();
}

// Gathered rows, in groups that fill several tiles and less than one, get the bits of products of
// their own.
TEST(CpuDevice, ProductsOfGroupsAreThoseOfEachRowAlone) {
  const auto device = Cpu();
  const size_t columns = 40, width = 70;
  const Values x = Random(*device, 9, columns, 1);
  const std::vector<float> norm(columns, 0.7f), bias(width, 0.25f);
  const auto a = RandomMatrix(*device, width, columns, 2);
  const auto b = RandomMatrix(*device, width, columns, 3);
  std::vector<int32_t> gather;
  for (int i = 0; i < 31; ++i) gather.push_back(i * 5 % 9);
  const Values out = Random(*device, 31, width, 4);
  const Input input = Normed(x.rows, norm, 1e-5f);
  const GroupProduct products[] = {{a.get(), 0, 29, out.rows, bias},
                                   {b.get(), 29, 2, out.rows, {}}};
  device->MatMulGroups(input, gather, products);
  const Values alone = Random(*device, 1, width, 5);
  for (size_t i = 0; i < 31; ++i) {
    const bool first = i < 29;
    device->MatMul(Normed(x.rows.Slice(gather[i], 1), norm, 1e-5f),
                   {{(first ? a : b).get(), alone.rows,
                     first ? std::span<const float>(bias) : std::span<const float>()}});
    EXPECT_EQ(std::memcmp(out.rows.Slice(i, 1).host(), alone.rows.host(), width * 4), 0) << i;
  }
}

// Bytes that are small weights of every type.
std::unique_ptr<Matrix> SomeMatrix(Device& device, DType type, size_t rows, size_t columns) {
  Rng rng(9);
  std::vector<uint8_t> bytes(rows * BytesOf(type, columns));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(0x38 + rng.Below(4));
  return device.Pack({type, rows, columns, RowsIn(bytes, BytesOf(type, columns))}).value();
}

// Of few rows, threads take columns each; of more, rows. Widths end within what they take at once.
TEST(CpuDevice, GatedRowsAreThoseOfEachRowAlone) {
  const std::pair<DType, size_t> kinds[] = {{DType::kF32, 2500},
                                            {DType::kBF16, 2501},
                                            {DType::kQ8_0, 2528},
                                            {DType::kQ4_0, 2528},
                                            {DType::kQ4_K, 2560}};
  for (const int threads : {1, 2, 3}) {
    const auto device = MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = threads});
    for (const auto& [type, width] : kinds) {
      const auto weights = SomeMatrix(*device, type, 40, width);
      for (const Gate gate : {Gate::kSilu, Gate::kGelu}) {
        for (const size_t count : {1, 4, 7, 12, 13}) {
          const Values x = Random(*device, count, width, 1), up = Random(*device, count, width, 2);
          const Values out = Random(*device, count, 40, 3), alone = Random(*device, 1, 40, 4);
          device->MatMul(Gated(x.rows, up.rows, gate), {{weights.get(), out.rows}});
          for (size_t i = 0; i < count; ++i) {
            device->MatMul(Gated(x.rows.Slice(i, 1), up.rows.Slice(i, 1), gate),
                           {{weights.get(), alone.rows}});
            EXPECT_EQ(std::memcmp(out.rows.Slice(i, 1).host(), alone.rows.host(), 40 * 4), 0)
                << InfoOf(type).name << ", " << threads << " threads, row " << i << " of " << count;
          }
        }
      }
    }
  }
}

// Whether gated rows wait in memory or not: of operands of all kinds, of widths that end within
// what shares a scale, of more tokens than one thread takes.
TEST(CpuDevice, FeedForwardIsItsProducts) {
  struct Types {
    DType gate, up, down;
    size_t hidden, width;
  };
  const Types cases[] = {{DType::kQ4_0, DType::kQ4_0, DType::kQ6_K, 64, 2560},
                         {DType::kQ8_0, DType::kQ5_1, DType::kQ4_0, 96, 2528},
                         {DType::kQ4_K, DType::kF32, DType::kQ8_0, 256, 2528},
                         {DType::kBF16, DType::kQ4_0, DType::kBF16, 64, 2501},
                         {DType::kF32, DType::kF32, DType::kF32, 33, 2500}};
  for (const int threads : {1, 3}) {
    const auto device = MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = threads});
    for (const Types& types : cases) {
      const auto gate = SomeMatrix(*device, types.gate, types.width, types.hidden);
      const auto up = SomeMatrix(*device, types.up, types.width, types.hidden);
      const auto down = SomeMatrix(*device, types.down, types.hidden, types.width);
      std::vector<float> bias(types.width), norm(types.hidden, 0.5f);
      for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i % 7) - 3;
      for (const size_t count : {1, 12, 13, 150, 301}) {
        const Values x = Random(*device, count, types.hidden, 1);
        const Values gates = Random(*device, count, types.width, 2),
                     ups = Random(*device, count, types.width, 3);
        const Values fused = Random(*device, count, types.hidden, 4),
                     apart = Random(*device, count, types.hidden, 4);
        const auto normed = Normed(x.rows, norm, 1e-5f);
        const Product of_gate{gate.get(), gates.rows, bias}, of_up{up.get(), ups.rows};
        device->FeedForward(normed, of_gate, of_up, Gate::kSilu,
                            {down.get(), fused.rows, {}, true});
        device->MatMul(normed, {of_gate, of_up});
        device->MatMul(Gated(gates.rows, ups.rows, Gate::kSilu),
                       {{down.get(), apart.rows, {}, true}});
        EXPECT_TRUE(std::isfinite(apart.rows.host()[0]));
        EXPECT_EQ(std::memcmp(fused.rows.host(), apart.rows.host(), count * types.hidden * 4), 0)
            << InfoOf(types.down).name << ", " << threads << " threads, " << count << " rows";
      }
    }
  }
}

// Products with matrices of as many rows each take turns; with others they do not.
TEST(CpuDevice, ProductsOfOneInputAreThoseOfEachAlone) {
  const auto device = Cpu();
  const Values x = Random(*device, 5, 64, 1);
  const auto a = RandomMatrix(*device, 1100, 64, 2), b = RandomMatrix(*device, 1100, 64, 3),
             c = RandomMatrix(*device, 70, 64, 4);
  const auto alone = [&](const Matrix& weights) {
    Values out = Random(*device, 5, weights.rows(), 5);
    device->MatMul(Input{x.rows}, {{&weights, out.rows}});
    return out;
  };
  const auto same = [](const Values& one, const Values& other) {
    return std::memcmp(one.rows.host(), other.rows.host(),
                       one.rows.count * one.rows.width * sizeof(float)) == 0;
  };
  const Values of_a = Random(*device, 5, 1100, 6), of_b = Random(*device, 5, 1100, 7),
               of_c = Random(*device, 5, 70, 8);
  device->MatMul(Input{x.rows}, {{a.get(), of_a.rows}, {b.get(), of_b.rows}});
  EXPECT_TRUE(same(of_a, alone(*a)) && same(of_b, alone(*b)));
  device->MatMul(Input{x.rows}, {{b.get(), of_a.rows}, {c.get(), of_c.rows}, {a.get(), of_b.rows}});
  EXPECT_TRUE(same(of_a, alone(*b)) && same(of_c, alone(*c)) && same(of_b, alone(*a)));
}

// Of more rows than a tile has, and of one.
TEST(CpuDevice, ProductsOfHeadsAreThoseOfEachHeadAlone) {
  const auto device = Cpu();
  const size_t heads = 3, columns = 24, tail = 10, width = 40;
  std::vector<std::shared_ptr<const Matrix>> weights;
  for (size_t head = 0; head < heads; ++head)
    weights.push_back(RandomMatrix(*device, width, columns, head));
  for (const size_t count : {1, 37}) {
    const Values x = Random(*device, count, heads * (columns + tail), 4);
    const Values out = Random(*device, count, heads * (width + tail), 5);
    device->MatMulHeads(x.rows, weights, out.rows);
    for (size_t i = 0; i < count * heads; ++i) {
      const float* from = x.rows.host() + i * (columns + tail);
      const float* made = out.rows.host() + i * (width + tail);
      const Values head = Random(*device, 1, columns, 6), alone = Random(*device, 1, width, 7);
      std::copy_n(from, columns, head.rows.host());
      device->MatMul(head.rows, {{weights[i % heads].get(), alone.rows}});
      EXPECT_EQ(std::memcmp(made, alone.rows.host(), width * 4), 0) << i;
      EXPECT_EQ(std::memcmp(made + width, from + columns, tail * 4), 0) << i;
    }
  }
}

// As of one token that several experts take: the row is shared as it is.
TEST(CpuDevice, ProductsOfSingleRowsAreThoseOfEachRowAlone) {
  const auto device = Cpu();
  const Values x = Random(*device, 3, 40, 1), out = Random(*device, 4, 70, 4);
  const auto a = RandomMatrix(*device, 70, 40, 2);
  const std::vector<int32_t> gather = {2, 2, 0, 1};
  std::vector<GroupProduct> products;
  for (size_t i = 0; i < gather.size(); ++i) products.push_back({a.get(), i, 1, out.rows, {}});
  device->MatMulGroups(x.rows, gather, products);
  const Values alone = Random(*device, 1, 70, 5);
  for (size_t i = 0; i < gather.size(); ++i) {
    device->MatMul(x.rows.Slice(gather[i], 1), {{a.get(), alone.rows}});
    EXPECT_EQ(std::memcmp(out.rows.Slice(i, 1).host(), alone.rows.host(), 70 * 4), 0) << i;
  }
}

TEST(CpuDevice, AddWeightedSumsThenAdds) {
  const auto device = Cpu();
  const Values from = Random(*device, 6, 33, 1);
  const Values x = Random(*device, 5, 33, 2);
  const std::vector<float> before(x.rows.values().begin(), x.rows.values().end());
  const std::vector<int32_t> places = {0, 5, 1, 1, 3, 2, 4, 0, 2, 5};
  const std::vector<float> weights = {1, 2, 0.5f, 0.25f, -1, 3, 0, 1, 7, 0.125f};
  device->AddWeighted(from.rows, places, weights, x.rows);
  for (size_t r = 0; r < 5; ++r) {
    for (size_t c = 0; c < 33; ++c) {
      float sum = 0;
      for (size_t j = 2 * r; j < 2 * r + 2; ++j)
        sum = std::fma(from.rows.Slice(places[j], 1).host()[c], weights[j], sum);
      EXPECT_EQ(x.rows.Slice(r, 1).host()[c], before[r * 33 + c] + sum);
    }
  }
}

TEST(CpuDevice, NormHeadsNormsEachHead) {
  const auto device = Cpu();
  const Values x = Random(*device, 6, 48, 1);
  const std::vector<float> before(x.rows.values().begin(), x.rows.values().end());
  std::vector<float> weight(16);
  std::iota(weight.begin(), weight.end(), 0.5f);
  device->NormHeads(x.rows, weight, 0.01f);
  for (size_t at = 0; at < before.size(); at += 16) {
    double squares = 0;
    for (size_t i = 0; i < 16; ++i) squares += std::pow(before[at + i], 2);
    for (size_t i = 0; i < 16; ++i)
      EXPECT_NEAR(x.rows.values()[at + i],
                  before[at + i] / std::sqrt(squares / 16 + 0.01) * weight[i], 1e-4);
  }
}

TEST(CpuDevice, AddNormedAddsTheNormOfEachRow) {
  const auto device = Cpu();
  for (const size_t count : {1, 9}) {
    const Values from = Random(*device, count, 40, 1), x = Random(*device, count, 40, 2);
    const std::vector<float> weight(40, 0.5f);
    const std::vector<float> before(x.rows.values().begin(), x.rows.values().end());
    device->AddNormed(from.rows, weight, 1e-5f, x.rows);
    for (size_t row = 0; row < count; ++row) {
      double squares = 0;
      for (size_t i = 0; i < 40; ++i) squares += std::pow(from.rows.values()[row * 40 + i], 2);
      const double scale = 0.5 / std::sqrt(squares / 40 + 1e-5);
      for (size_t i = row * 40; i < (row + 1) * 40; ++i)
        EXPECT_NEAR(x.rows.values()[i], before[i] + from.rows.values()[i] * scale, 1e-5);
    }
  }
}

TEST(CpuDevice, EmbedScales) {
  const auto device = Cpu();
  const auto table = RandomMatrix(*device, 20, 40, 1);
  const Values plain = Random(*device, 3, 40, 2), scaled = Random(*device, 3, 40, 3);
  const std::vector<TokenId> tokens = {19, 0, 7};
  device->Embed(*table, tokens, 1.0f, plain.rows);
  device->Embed(*table, tokens, 6.5f, scaled.rows);
  for (size_t i = 0; i < 120; ++i)
    EXPECT_EQ(scaled.rows.values()[i], plain.rows.values()[i] * 6.5f);
}

TEST(CpuDevice, PackRefusesWhatItCannotMultiply) {
  const auto device = Cpu();
  const std::vector<uint8_t> bytes(1000);
  const auto code = [&](DType type, size_t rows, size_t columns) {
    const RowReader read = RowsIn(bytes, 128);
    return device->Pack({type, rows, columns, read}).error().code();
  };
  EXPECT_EQ(code(DType::kI32, 1, 32), Code::kInvalidArgument);
  EXPECT_EQ(code(DType::kQ4_0, 1, 33), Code::kInvalidArgument);
  EXPECT_EQ(code(DType::kQ4_0, 0, 32), Code::kInvalidArgument);
  EXPECT_EQ(code(DType::kF32, 16, 32), Code::kInvalidArgument) << "too few bytes";
}

// Larger than what is read at once, in rows that do not fill the last panel.
TEST(CpuDevice, PackReadsEveryRowOnceOrFails) {
  const auto device = Cpu();
  constexpr size_t kRows = 1000, kColumns = 512;
  std::vector<std::atomic<int>> reads(kRows);
  const auto read_until = [&](size_t end) {
    return [&reads, end](size_t first, size_t count, std::span<uint8_t> into) -> Status {
      if (first + count > end) return MakeError(Code::kDataLoss, "row {} is gone", end);
      for (size_t row = first; row < first + count; ++row) {
        ++reads[row];
        auto* values = reinterpret_cast<float*>(into.data()) + (row - first) * kColumns;
        std::fill_n(values, kColumns, static_cast<float>(row));
      }
      return OkStatus();
    };
  };
  const auto matrix = device->Pack({DType::kF32, kRows, kColumns, read_until(kRows)}).value();
  for (const auto& count : reads) EXPECT_EQ(count, 1);
  const Values rows = Random(*device, kRows, kColumns, 1);
  std::vector<TokenId> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  device->Embed(*matrix, all, 1.0f, rows.rows);
  for (size_t row = 0; row < kRows; ++row) {
    EXPECT_EQ(rows.rows.host()[row * kColumns], static_cast<float>(row));
    EXPECT_EQ(rows.rows.host()[(row + 1) * kColumns - 1], static_cast<float>(row));
  }
  const auto failed = device->Pack({DType::kF32, kRows, kColumns, read_until(900)});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), Code::kDataLoss);
}

// KV of one layer in pages out of order.
struct Cache {
  KvLayout layout;
  std::vector<int32_t> pages;
  std::unique_ptr<Buffer> storage;
  KvLayer layer;

  Cache(Device& device, KvLayout kv, int tokens = 2 * kPageTokens) : layout(kv) {
    const size_t page_bytes = 2 * kv.layer_bytes();
    const int count = (tokens + kPageTokens - 1) / kPageTokens;
    for (int i = 0; i < count; ++i) pages.push_back(count - i);
    storage = device.Allocate((count + 1) * page_bytes).value();
    layer = {storage.get(), pages, page_bytes, kv.layer_bytes(), kv};
  }
  size_t WireBytes(int count, KvType type) const {
    const KvShape& shape = layout.shape;
    const size_t elements = size_t{1} * shape.halves() * shape.kv_heads * shape.head_dim * count;
    return type == KvType::kF32   ? elements * 4
           : type == KvType::kF16 ? elements * 2
                                  : elements / 32 * 34;
  }
};

Half HalfAt(const Bytes& wire, size_t index) {
  Half half;
  std::memcpy(&half, &wire[index * sizeof(half)], sizeof(half));
  return half;
}

void Store(Device& device, Rows k, Rows v, const KvLayer& layer, int first) {
  const KvRows rows{layer, first, k.count};
  device.StoreKv(k, v, {&rows, 1});
}

// Sequences of different lengths in one call: as each alone, split over threads or not.
TEST(Attention, OfSeveralSequencesAtOnceIsThatOfEachAlone) {
  const size_t heads = 6;
  const int lengths[] = {3, 700, 64, 1100};
  for (const auto& [precision, type] : {std::pair(AttentionPrecision::kFloat, KvType::kF16),
                                        std::pair(AttentionPrecision::kFloat, KvType::kF32),
                                        std::pair(AttentionPrecision::kBrain, KvType::kF16),
                                        std::pair(AttentionPrecision::kBrain, KvType::kQ8_0)}) {
    for (const int threads : {1, 2, 7}) {
      const auto device = MakeCpuDevice(*kernels::SelectKernels("").value(), {.threads = threads});
      std::vector<Cache> caches;
      std::vector<KvRows> together;
      for (const int length : lengths) {
        caches.emplace_back(*device, KvLayout{{2, 32}, type}, length);
        const Values k = Random(*device, length, 64, length);
        Store(*device, k.rows, k.rows, caches.back().layer, 0);
        together.push_back({caches.back().layer, length - 1, 1});
      }
      const Values q = Random(*device, 4, heads * 32, 8);
      const Values all = Random(*device, 4, heads * 32, 9);
      const Values alone = Random(*device, 4, heads * 32, 10);
      const std::vector<float> sinks = {0.5f, -1, 2, 0, 0.1f, -7};
      for (const AttentionForm& form :
           {AttentionForm{}, AttentionForm{.window = 600, .softcap = 3, .sinks = sinks}}) {
        device->Attend(q.rows, together, precision, form, all.rows);
        for (size_t i = 0; i < 4; ++i) {
          device->Attend(q.rows.Slice(i, 1), {&together[i], 1}, precision, form,
                         alone.rows.Slice(i, 1));
        }
        EXPECT_EQ(std::memcmp(all.rows.host(), alone.rows.host(), 4 * heads * 32 * 4), 0);
      }
    }
  }
}

// More query heads than a tile has rows are cut into several tiles.
TEST(Attention, OfManyQueryHeadsIsThatOfEachAlone) {
  const auto device = Cpu();
  const int tokens = 70;
  const size_t heads = 130, head_dim = 40, latent = 24;
  for (const auto& [precision, type] : {std::pair(AttentionPrecision::kFloat, KvType::kF16),
                                        std::pair(AttentionPrecision::kFloat, KvType::kF32),
                                        std::pair(AttentionPrecision::kBrain, KvType::kF16)}) {
    Cache cache(*device, KvLayout{{1, head_dim, latent}, type}, tokens);
    const Values k = Random(*device, tokens, head_dim - latent, 1);
    const Values v = Random(*device, tokens, latent, 2);
    Store(*device, k.rows, v.rows, cache.layer, 0);
    const Values q = Random(*device, tokens, heads * head_dim, 3);
    const Values all = Random(*device, tokens, heads * latent, 4);
    const KvRows rows{cache.layer, 0, tokens};
    device->Attend(q.rows, {&rows, 1}, precision, {}, all.rows);
    const Values one = Random(*device, tokens, head_dim, 5),
                 alone = Random(*device, tokens, latent, 6);
    for (const size_t head : {0, 43, 47, 48, 64, 65, 129}) {
      for (size_t t = 0; t < tokens; ++t)
        std::copy_n(q.rows.host() + (t * heads + head) * head_dim, head_dim,
                    one.rows.host() + t * head_dim);
      device->Attend(one.rows, {&rows, 1}, precision, {}, alone.rows);
      for (size_t t = 0; t < tokens; ++t)
        EXPECT_EQ(std::memcmp(all.rows.host() + (t * heads + head) * latent,
                              alone.rows.host() + t * latent, latent * 4),
                  0)
            << head << ' ' << t;
    }
  }
}

// A latent and what lies behind it are one row, which is there once.
TEST(KvPages, OfLatentsHoldEachRowOnce) {
  const auto device = Cpu();
  const KvShape shape{1, 96, 64};
  const int count = 100;
  const Values rest = Random(*device, count, 32, 3);
  const Values latents = Random(*device, count, 64, 4);
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    Cache from(*device, {shape, type}), to(*device, {shape, type});
    EXPECT_EQ(from.layout.layer_bytes(), KvBytesOf(type, 96 * kPageTokens));
    Store(*device, rest.rows, latents.rows, from.layer, 0);
    for (const auto& [first, tokens] : {std::pair(0, 5), std::pair(5, 70), std::pair(75, 25)}) {
      Bytes wire(from.WireBytes(tokens, type));
      device->ExportKv(from.layer, first, tokens, type, wire);
      device->ImportKv(to.layer, first, tokens, type, wire);
      for (int i = 0; type == KvType::kF16 && i < tokens * 96; ++i) {
        const size_t t = first + i / 96, d = i % 96;
        const float value =
            d < 64 ? latents.rows.host()[t * 64 + d] : rest.rows.host()[t * 32 + d - 64];
        ASSERT_EQ(HalfAt(wire, i), kernels::ToHalf(value)) << i;
      }
    }
    EXPECT_EQ(std::memcmp(from.storage->host(), to.storage->host(), from.storage->size_bytes()), 0);
  }
}

class KvTransfer : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(HeadDims, KvTransfer, testing::Values(24, 32, 64, 128));

TEST_P(KvTransfer, WireHoldsKThenVHeadMajor) {
  const auto device = Cpu();
  const KvShape shape{3, GetParam()};
  const size_t width = shape.kv_heads * shape.head_dim;
  const int count = 50, first = 29;
  Cache cache(*device, {shape});
  const Values k = Random(*device, count, width, 1);
  const Values v = Random(*device, count, width, 2);
  Store(*device, k.rows, v.rows, cache.layer, first);
  Bytes wire(cache.WireBytes(count, KvType::kF16));
  device->ExportKv(cache.layer, first, count, KvType::kF16, wire);
  size_t at = 0;
  for (const Rows& rows : {k.rows, v.rows}) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (int t = 0; t < count; ++t) {
        for (int d = 0; d < shape.head_dim; ++d, ++at) {
          const float value = rows.host()[t * width + head * shape.head_dim + d];
          ASSERT_EQ(HalfAt(wire, at), kernels::ToHalf(value)) << at;
        }
      }
    }
  }
}

TEST_P(KvTransfer, F16RoundTripsBitForBitInAnyPieces) {
  const auto device = Cpu();
  const KvShape shape{2, GetParam()};
  Cache from(*device, {shape}), to(*device, {shape});
  const size_t width = shape.kv_heads * shape.head_dim;
  const Values k = Random(*device, 100, width, 3);
  const Values v = Random(*device, 100, width, 4);
  Store(*device, k.rows, v.rows, from.layer, 0);
  for (const auto& [first, count] : {std::pair(0, 5), std::pair(5, 70), std::pair(75, 25)}) {
    Bytes wire(from.WireBytes(count, KvType::kF16));
    device->ExportKv(from.layer, first, count, KvType::kF16, wire);
    device->ImportKv(to.layer, first, count, KvType::kF16, wire);
  }
  EXPECT_EQ(std::memcmp(from.storage->host(), to.storage->host(), from.storage->size_bytes()), 0);
}

// On the wire are the very floats, head by head, and they come back to the last bit.
TEST_P(KvTransfer, F32RoundTripsBitForBitInAnyPieces) {
  const auto device = Cpu();
  const KvShape shape{2, GetParam()};
  Cache from(*device, {shape, KvType::kF32}), to(*device, {shape, KvType::kF32});
  const size_t width = shape.kv_heads * shape.head_dim;
  const Values k = Random(*device, 100, width, 3);
  const Values v = Random(*device, 100, width, 4);
  Store(*device, k.rows, v.rows, from.layer, 0);
  for (const auto& [first, count] : {std::pair(0, 5), std::pair(5, 70), std::pair(75, 25)}) {
    Bytes wire(from.WireBytes(count, KvType::kF32));
    device->ExportKv(from.layer, first, count, KvType::kF32, wire);
    device->ImportKv(to.layer, first, count, KvType::kF32, wire);
    const auto* floats = reinterpret_cast<const float*>(wire.data());
    for (int t = 0; t < count; ++t) {
      const float* row = k.rows.host() + (first + t) * width;
      EXPECT_EQ(std::memcmp(floats + t * shape.head_dim, row, 4 * shape.head_dim), 0);
    }
  }
  EXPECT_EQ(std::memcmp(from.storage->host(), to.storage->host(), from.storage->size_bytes()), 0);
}

// Pages of Q8_0 say on the wire what pages of F16 hold, quantised, and keep every bit of it.
TEST(KvPages, OfQ8_0RoundTripBitForBitInAnyPieces) {
  const auto device = Cpu();
  const KvShape shape{3, 64};
  Cache halves(*device, {shape});
  Cache from(*device, {shape, KvType::kQ8_0}), to(*device, {shape, KvType::kQ8_0});
  Values k = Random(*device, 100, 192, 3);
  Values v = Random(*device, 100, 192, 4);
  for (const Rows& rows : {k.rows, v.rows}) {
    for (float& x : rows.values()) x = kernels::FromHalf(kernels::ToHalf(x));
  }
  for (const Cache* cache : {&halves, &from}) Store(*device, k.rows, v.rows, cache->layer, 0);
  for (const auto& [first, count] : {std::pair(0, 5), std::pair(5, 70), std::pair(75, 25)}) {
    Bytes wire(from.WireBytes(count, KvType::kQ8_0)), expected(wire.size());
    device->ExportKv(halves.layer, first, count, KvType::kQ8_0, expected);
    device->ExportKv(from.layer, first, count, KvType::kQ8_0, wire);
    EXPECT_EQ(wire, expected);
    device->ImportKv(to.layer, first, count, KvType::kQ8_0, wire);
  }
  EXPECT_EQ(std::memcmp(from.storage->host(), to.storage->host(), from.storage->size_bytes()), 0);
}

TEST(KvWire, Q8_0IsWithinHalfAStep) {
  const auto device = Cpu();
  const KvLayout layout{{2, 64}};
  Cache from(*device, layout), to(*device, layout);
  const Values k = Random(*device, 40, 128, 5);
  Store(*device, k.rows, k.rows, from.layer, 10);
  Bytes wire(from.WireBytes(40, KvType::kQ8_0));
  device->ExportKv(from.layer, 10, 40, KvType::kQ8_0, wire);
  device->ImportKv(to.layer, 10, 40, KvType::kQ8_0, wire);
  Bytes before(from.WireBytes(40, KvType::kF16)), after(before.size());
  device->ExportKv(from.layer, 10, 40, KvType::kF16, before);
  device->ExportKv(to.layer, 10, 40, KvType::kF16, after);
  for (size_t block = 0; block < before.size() / 64; ++block) {
    float amax = 0;
    for (size_t i = 0; i < 32; ++i) {
      amax = std::max(amax, std::abs(kernels::FromHalf(HalfAt(before, block * 32 + i))));
    }
    for (size_t i = block * 32; i < block * 32 + 32; ++i) {
      // Half a step, and the F16 roundings of the scale and of the result.
      const float bound = amax / 127 * 0.5f + amax * 0x1p-10f;
      ASSERT_NEAR(kernels::FromHalf(HalfAt(after, i)), kernels::FromHalf(HalfAt(before, i)), bound);
    }
  }
}

}  // namespace
}  // namespace baton::device
