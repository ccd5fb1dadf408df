// Every instruction set of this machine against the scalar reference: equal to the last bit.
#include "kernels/table.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <gmock/gmock.h>

#include "base/random.h"
#include "kernels/half.h"
#include "kernels/reference/blocks.h"
#include "kernels/reference/table.h"
#include "kernels/select.h"
#include "os/memory.h"

namespace baton::kernels {
namespace {

constexpr DType kWeightTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0,
                                  DType::kQ4_0, DType::kQ4_K, DType::kQ6_K};

std::vector<uint32_t> BitsOf(std::span<const float> values) {
  std::vector<uint32_t> bits;
  // Zeros compare equal whatever their sign: nothing downstream tells them apart.
  for (const float v : values) bits.push_back(v == 0 ? 0 : std::bit_cast<uint32_t>(v));
  return bits;
}

std::vector<float> Normals(size_t n, uint64_t seed, float scale = 1.0f) {
  Rng rng(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(rng.Normal()) * scale;
  return values;
}

// Random bytes with sensible 16-bit scales wherever a block has one.
std::vector<uint8_t> RandomRows(DType type, size_t rows, size_t columns, uint64_t seed) {
  Rng rng(seed);
  std::vector<uint8_t> bytes(rows * BytesOf(type, columns));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Next());
  const auto scale = [&] { return ToHalf(static_cast<float>(rng.Normal()) * 0.05f); };
  const auto set = [&](size_t at, Half half) { std::memcpy(&bytes[at], &half, sizeof(half)); };
  const size_t block = InfoOf(type).block_bytes;
  for (size_t at = 0; at < bytes.size(); at += block) {
    switch (type) {
      case DType::kF32: {
        const auto value = static_cast<float>(rng.Normal());
        std::memcpy(&bytes[at], &value, sizeof(value));
        break;
      }
      case DType::kF16:
        set(at, scale());
        break;
      case DType::kBF16:
        set(at, std::bit_cast<uint32_t>(FromHalf(scale())) >> 16);
        break;
      case DType::kQ4_K:
        set(at + 2, scale());
        [[fallthrough]];
      case DType::kQ4_0:
      case DType::kQ8_0:
        set(at, scale());
        break;
      case DType::kQ6_K:
        set(at + 208, scale());
        break;
      default:
        break;
    }
  }
  return bytes;
}

os::LargeMemory Memory(size_t bytes) {
  return os::LargeMemory::Allocate(bytes + 64).value();
}

struct Case {
  DType type;
  size_t rows;
  size_t columns;
  size_t tokens;
};

struct Extras {
  std::vector<float> bias;
  bool accumulate = false;
};

// y = x W^T by one table, from the bytes of the file to the floats of the result.
std::vector<float> Multiply(const KernelTable& table, const Case& c, std::span<const uint8_t> rows,
                            std::span<const float> x, const Extras& extras = {}) {
  const MatrixKernels& kernels = *MatrixKernelsOf(table, c.type);
  const size_t panels = (c.rows + kPanelRows - 1) / kPanelRows;
  const size_t panel_bytes = kernels.panel_bytes(c.columns);
  const os::LargeMemory packed = Memory(panels * panel_bytes);
  const size_t row_bytes = BytesOf(c.type, c.columns);
  for (size_t p = 0; p < panels; ++p) {
    kernels.pack(rows.data() + p * kPanelRows * row_bytes,
                 std::min(kPanelRows, c.rows - p * kPanelRows), c.columns,
                 packed.data() + p * panel_bytes);
  }
  const size_t token_bytes = OperandBytes(kernels.operand, c.columns);
  const os::LargeMemory operands = Memory(c.tokens * token_bytes);
  const auto prepare = PrepareOf(table, kernels.operand);
  for (size_t t = 0; t < c.tokens; ++t) {
    const size_t first = t / table.tile_tokens * table.tile_tokens;
    prepare(x.data() + t * c.columns, c.columns, std::min(table.tile_tokens, c.tokens - first),
            t - first, operands.data() + first * token_bytes);
  }
  std::vector<float> y(c.tokens * c.rows, 0.5f);
  kernels.multiply({packed.data(), c.columns, c.rows, operands.data(), c.tokens, y.data(), c.rows,
                    extras.bias.empty() ? nullptr : extras.bias.data(), extras.accumulate});
  return y;
}

class Isa : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Kernels, Isa, testing::ValuesIn(AvailableKernels()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(Isa, ProductsEqualTheReference) {
  uint64_t seed = 1;
  for (const DType type : kWeightTypes) {
    const size_t block = std::max<size_t>(InfoOf(type).block_elements, 1);
    for (const size_t tokens : {1, 2, 3, 4, 5, 7, 11, 12, 13, 17, 25}) {
      for (const size_t rows : {1, 16, 35, 80}) {
        const size_t columns = block == 1 ? 53 : block * 3;
        const Case c{type, rows, columns, tokens};
        const auto weights = RandomRows(type, rows, columns, ++seed);
        const auto x = Normals(tokens * columns, ++seed);
        ASSERT_EQ(BitsOf(Multiply(table(), c, weights, x)),
                  BitsOf(Multiply(kReferenceTable, c, weights, x)))
            << InfoOf(type).name << " rows " << rows << " tokens " << tokens;
      }
    }
  }
}

TEST_P(Isa, BiasAndAccumulation) {
  for (const DType type : {DType::kF16, DType::kQ4_0}) {
    const Case c{type, 37, 96, 14};
    const auto weights = RandomRows(type, c.rows, c.columns, 3);
    const auto x = Normals(c.tokens * c.columns, 4);
    const Extras extras{Normals(c.rows, 5), true};
    EXPECT_EQ(BitsOf(Multiply(table(), c, weights, x, extras)),
              BitsOf(Multiply(kReferenceTable, c, weights, x, extras)));
  }
}

TEST_P(Isa, HostileActivations) {
  std::vector<float> x = Normals(5 * 512, 6);
  for (size_t i = 0; i < 32; ++i) x[i] = 0;
  for (size_t i = 32; i < 64; ++i) x[i] *= 1e-42f;  // denormal
  for (size_t i = 64; i < 96; ++i) x[i] *= 1e30f;
  x[100] = 1e38f;
  x[130] = -3.4e38f;
  x[512] = -0.0f;
  for (const DType type : kWeightTypes) {
    const Case c{type, 19, 512, 5};
    const auto weights = RandomRows(type, c.rows, c.columns, 7);
    EXPECT_EQ(BitsOf(Multiply(table(), c, weights, x)),
              BitsOf(Multiply(kReferenceTable, c, weights, x)))
        << InfoOf(type).name;
  }
}

TEST_P(Isa, ExtremeIntegersDoNotSaturate) {
  for (const DType type : {DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K}) {
    const Case c{type, 16, 256, 4};
    auto weights = RandomRows(type, c.rows, c.columns, 8);
    const size_t block = InfoOf(type).block_bytes;
    for (size_t at = 0; at < weights.size(); ++at) {
      const bool scale =
          type == DType::kQ6_K ? at % block >= 192 : at % block < (type == DType::kQ4_K ? 16u : 2u);
      if (!scale) weights[at] = at / block % 2 == 0 ? 0xff : 0x80;
    }
    for (const float sign : {1.0f, -1.0f}) {
      const std::vector<float> x(c.tokens * c.columns, sign);
      EXPECT_EQ(BitsOf(Multiply(table(), c, weights, x)),
                BitsOf(Multiply(kReferenceTable, c, weights, x)))
          << InfoOf(type).name;
    }
  }
}

TEST_P(Isa, NotANumberIsNeverLost) {
  for (const DType type : kWeightTypes) {
    const Case c{type, 16, 256, 1};
    const auto weights = RandomRows(type, c.rows, c.columns, 9);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> x = Normals(c.columns, 10);
      x[77] = bad;
      for (const float y : Multiply(table(), c, weights, x)) EXPECT_FALSE(std::isfinite(y));
    }
  }
}

// One token's result does not depend on its company.
TEST_P(Isa, ProductsAreBatchInvariant) {
  for (const DType type : kWeightTypes) {
    const Case all{type, 48, 256, 30};
    const auto weights = RandomRows(type, all.rows, all.columns, 11);
    const auto x = Normals(all.tokens * all.columns, 12);
    const auto together = Multiply(table(), all, weights, x);
    for (size_t t = 0; t < all.tokens; ++t) {
      const Case one{type, all.rows, all.columns, 1};
      const auto alone =
          Multiply(table(), one, weights, std::span(x).subspan(t * all.columns, all.columns));
      ASSERT_EQ(BitsOf(alone), BitsOf(std::span(together).subspan(t * all.rows, all.rows)));
    }
  }
}

TEST_P(Isa, UnpackedRowsAreTheFilesWeights) {
  for (const DType type : kWeightTypes) {
    const size_t columns = 512;
    const size_t row_bytes = BytesOf(type, columns);
    const auto weights = RandomRows(type, 16, columns, 13);
    const auto unpack = [&](const KernelTable& t, size_t row) {
      const MatrixKernels& kernels = *MatrixKernelsOf(t, type);
      const os::LargeMemory panel = Memory(kernels.panel_bytes(columns));
      kernels.pack(weights.data(), 16, columns, panel.data());
      std::vector<float> values(columns);
      kernels.unpack_row(panel.data(), row, columns, values.data());
      return BitsOf(values);
    };
    ASSERT_EQ(weights.size(), 16 * row_bytes);
    for (const size_t row : {0, 7, 15}) {
      EXPECT_EQ(unpack(table(), row), unpack(kReferenceTable, row)) << InfoOf(type).name;
    }
  }
}

TEST_P(Isa, RowOperationsEqualTheReference) {
  for (const size_t n : {1, 15, 16, 33, 256, 1000}) {
    const auto x = Normals(n, n, 3.0f);
    const auto w = Normals(n, n + 1);
    std::vector<float> ours(n), theirs(n);
    table().rms_norm(x.data(), w.data(), 1e-5f, n, ours.data());
    kReferenceTable.rms_norm(x.data(), w.data(), 1e-5f, n, theirs.data());
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
    ours = theirs = Normals(n, n + 2, 20.0f);
    table().silu_multiply(ours.data(), w.data(), n);
    kReferenceTable.silu_multiply(theirs.data(), w.data(), n);
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
  }
}

TEST_P(Isa, SiluIsAccurateEverywhere) {
  for (float x = -120; x < 120; x += 0.037f) {
    float gate = x;
    const float up = 1.0f;
    table().silu_multiply(&gate, &up, 1);
    const double exact = x / (1.0 + std::exp(-static_cast<double>(x)));
    ASSERT_NEAR(gate, exact, std::abs(exact) * 4 * 0x1p-23 + 1e-35) << x;
  }
}

TEST_P(Isa, RopeEqualsTheReference) {
  for (const size_t pairs : {8, 12, 32}) {
    const auto angles = Normals(2 * pairs, 1);
    auto ours = Normals(3 * 64, 2);
    auto theirs = ours;
    table().rope(ours.data(), angles.data(), pairs, 64, 3, 0.125f);
    kReferenceTable.rope(theirs.data(), angles.data(), pairs, 64, 3, 0.125f);
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << pairs;
  }
}

TEST_P(Isa, HalvesEqualTheReference) {
  std::vector<uint16_t> all(65536), back(65536), expected(65536);
  std::vector<float> floats(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  table().from_half(all.data(), all.size(), floats.data());
  table().to_half(floats.data(), floats.size(), back.data());
  for (size_t i = 0; i < all.size(); ++i) {
    const bool nan = (i & 0x7fff) > 0x7c00;
    ASSERT_EQ(back[i], nan ? i | 0x200 : i);
    ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]), std::bit_cast<uint32_t>(FromHalf(all[i]))) << i;
  }
  Rng rng(1);
  for (float& f : floats) f = std::bit_cast<float>(static_cast<uint32_t>(rng.Next()));
  table().to_half(floats.data(), 65533, back.data());
  kReferenceTable.to_half(floats.data(), 65533, expected.data());
  EXPECT_EQ(std::vector(back.begin(), back.begin() + 65533),
            std::vector(expected.begin(), expected.begin() + 65533));
}

// A KV cache of some pages with random contents, NaN where nothing was written.
struct Cache {
  size_t head_dim;
  size_t width;
  std::vector<int32_t> pages;
  os::LargeMemory bytes;
  size_t page_bytes;

  Cache(size_t dim, size_t tokens, uint64_t seed) : head_dim(dim), width(KvWidth(dim)) {
    const size_t blocks = (tokens + kKeyBlock - 1) / kKeyBlock;
    page_bytes = 4 * kKeyBlock * width;
    bytes = Memory((blocks + 2) * page_bytes);
    std::memset(bytes.data(), 0xff, bytes.size());
    for (size_t i = 0; i < blocks; ++i) pages.push_back(static_cast<int32_t>(blocks + 1 - i));
    const auto values = Normals(2 * tokens * head_dim, seed);
    for (size_t t = 0; t < tokens; ++t) Write(t, &values[2 * t * head_dim]);
  }
  void Write(size_t t, const float* values) {
    auto* page = reinterpret_cast<Half*>(bytes.data() + pages[t / 64] * page_bytes);
    const size_t at = t % 64;
    for (size_t d = 0; d < head_dim; ++d) {
      page[(at / 16 * width + d) * 16 + at % 16] = ToHalf(values[d]);
      page[64 * width + at * width + d] = ToHalf(values[head_dim + d]);
    }
  }
  std::vector<float> Attend(const KernelTable& table, std::span<const float> q, size_t group,
                            size_t first, size_t tokens) const {
    const os::LargeMemory scratch = Memory(AttentionScratchFloats(head_dim) * sizeof(float));
    std::vector<float> into(tokens * group * head_dim);
    table.attend({q.data(), into.data(), group * head_dim, group, head_dim, first, tokens,
                  bytes.data(), bytes.data() + 128 * width, pages.data(), page_bytes,
                  reinterpret_cast<float*>(scratch.data())});
    return into;
  }
};

TEST_P(Isa, AttentionEqualsTheReference) {
  for (const size_t head_dim : {16, 24, 64, 80, 128}) {
    for (const size_t group : {1, 3, 4, 8}) {
      const size_t tokens = 6;
      for (const size_t first : {0, 11, 60, 64, 150}) {
        const Cache cache(head_dim, first + tokens, 7 * first + group);
        const auto q = Normals(tokens * group * head_dim, first + 1, 0.3f);
        ASSERT_EQ(BitsOf(cache.Attend(table(), q, group, first, tokens)),
                  BitsOf(cache.Attend(kReferenceTable, q, group, first, tokens)))
            << "head_dim " << head_dim << " group " << group << " first " << first;
      }
    }
  }
}

TEST_P(Isa, AttentionIsChunkInvariant) {
  const size_t head_dim = 32, group = 4, tokens = 12, first = 58;
  const Cache cache(head_dim, first + tokens, 3);
  const auto q = Normals(tokens * group * head_dim, 4);
  const auto together = cache.Attend(table(), q, group, first, tokens);
  const size_t row = group * head_dim;
  for (size_t t = 0; t < tokens; ++t) {
    const auto alone =
        cache.Attend(table(), std::span(q).subspan(t * row, row), group, first + t, 1);
    ASSERT_EQ(BitsOf(alone), BitsOf(std::span(together).subspan(t * row, row)));
  }
}

TEST(Select, UnknownNameListsWhatThereIs) {
  EXPECT_STREQ(SelectKernels("").value()->name, AvailableKernels().front()->name);
  EXPECT_STREQ(SelectKernels("reference").value()->name, "reference");
  EXPECT_THAT(SelectKernels("sse9").error().message(),
              testing::AllOf(testing::HasSubstr("sse9"), testing::HasSubstr("reference")));
}

// Worked by hand from the description of each block in tensor/blocks.h.
TEST(Reference, BlocksMeanWhatTheFormatSays) {
  BlockQ4_0 q4{};
  q4.q[3] = 0xa5;
  EXPECT_EQ(NibbleOf(q4, 3), 5);
  EXPECT_EQ(NibbleOf(q4, 19), 10);

  BlockQ4_K q4k{};
  q4k.scales[1] = 0xff;  // sub-block 1: scale 63; top bits go to the scale of sub-block 5
  q4k.scales[9] = 0x2c;  // sub-block 5: low scale bits 12, low min bits 2
  EXPECT_EQ(ScaleAndMinOf(q4k, 1).scale, 63);
  EXPECT_EQ(ScaleAndMinOf(q4k, 5).scale, 12 + 48);
  EXPECT_EQ(ScaleAndMinOf(q4k, 5).min, 2);
  q4k.q[32 + 7] = 0x93;
  EXPECT_EQ(NibbleOf(q4k, 2, 7), 3);
  EXPECT_EQ(NibbleOf(q4k, 3, 7), 9);

  BlockQ6_K q6{};
  q6.ql[64 + 32 + 5] = 0x4b;
  q6.qh[32 + 5] = 0b11'01'10'00;
  EXPECT_EQ(SixBitsOf(q6, 128 + 32 + 5), 0xb + (0b10 << 4));
  EXPECT_EQ(SixBitsOf(q6, 128 + 96 + 5), 0x4 + (0b11 << 4));
}

}  // namespace
}  // namespace baton::kernels
