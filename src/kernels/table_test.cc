// Every instruction set of this machine against the scalar reference: equal to the last bit.
#include "kernels/table.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include <gmock/gmock.h>

#include "base/random.h"
#include "kernels/half.h"
#include "kernels/reference/blocks.h"
#include "kernels/reference/table.h"
#include "kernels/select.h"
#include "os/file.h"
#include "os/memory.h"

namespace baton::kernels {
namespace {

// Where a block has what: its F16 scales, and the integers of its weights.
struct Anatomy {
  DType type;
  std::vector<size_t> halves;
  size_t integers_begin = 0;
  size_t integers_end = 0;
  std::vector<size_t> brains = {};  // BF16 scales
};

const std::vector<Anatomy>& QuantisedTypes() {
  static const std::vector<Anatomy> kTypes = {
      {DType::kQ8_0, {0}, 2, 34},        {DType::kQ4_0, {0}, 2, 18},
      {DType::kQ4_1, {0, 2}, 4, 20},     {DType::kQ5_0, {0}, 2, 22},
      {DType::kQ5_1, {0, 2}, 4, 24},     {DType::kQ2_K, {80, 82}, 16, 80},
      {DType::kQ3_K, {108}, 0, 96},      {DType::kQ4_K, {0, 2}, 16, 144},
      {DType::kQ5_K, {0, 2}, 16, 176},   {DType::kQ6_K, {208}, 0, 192},
      {DType::kIQ4_NL, {0}, 2, 18},      {DType::kIQ4_XS, {0}, 8, 136},
      {DType::kMXFP4, {}, 1, 17},        {DType::kMlx4, {}, 4, 20, {0, 2}},
      {DType::kMlx8, {}, 4, 36, {0, 2}}, {DType::kMlx8Half, {0, 2}, 4, 36},
  };
  return kTypes;
}

std::vector<DType> WeightTypes() {
  std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBF16};
  for (const Anatomy& anatomy : QuantisedTypes()) types.push_back(anatomy.type);
  return types;
}

using Bits = std::vector<uint32_t>;

Bits BitsOf(std::span<const float> values) {
  Bits bits;
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
    if (type == DType::kF32) {
      const auto value = static_cast<float>(rng.Normal());
      std::memcpy(&bytes[at], &value, sizeof(value));
    }
    if (type == DType::kF16) set(at, scale());
    if (type == DType::kBF16) set(at, std::bit_cast<uint32_t>(FromHalf(scale())) >> 16);
    if (type == DType::kMXFP4) bytes[at] = static_cast<uint8_t>(118 + rng.Below(8));
    for (const Anatomy& anatomy : QuantisedTypes()) {
      if (anatomy.type != type) continue;
      for (const size_t half : anatomy.halves) set(at + half, scale());
      for (const size_t brain : anatomy.brains) set(at + brain, ToBrain(FromHalf(scale())));
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

// An odd number of floats; of integers, a group of 256 and, where it can be, the beginning of
// another.
size_t SomeColumns(DType type) {
  const size_t block = std::max<size_t>(InfoOf(type).block_elements, 1);
  return block == 1 ? 53 : block == 256 ? 768 : 256 + 3 * block;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Isa, testing::ValuesIn(AvailableKernels()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(Isa, ProductsEqualTheReference) {
  uint64_t seed = 1;
  for (const DType type : WeightTypes()) {
    for (const size_t tokens : {1, 2, 3, 4, 5, 7, 11, 12, 13, 17, 25}) {
      for (const size_t rows : {1, 16, 35, 80}) {
        const size_t columns = SomeColumns(type);
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

// As many as are worth preparing weights for, and columns that do not stay close all at once.
TEST_P(Isa, ProductsOfManyTokensEqualTheReference) {
  uint64_t seed = 1000;
  for (const DType type : WeightTypes()) {
    for (const size_t tokens : {26, 43, 149}) {
      const size_t columns = tokens == 26 ? 4096 + 512 : SomeColumns(type);
      const Case c{type, 35, columns, tokens};
      const auto weights = RandomRows(type, c.rows, columns, ++seed);
      const auto x = Normals(tokens * columns, ++seed);
      ASSERT_EQ(BitsOf(Multiply(table(), c, weights, x)),
                BitsOf(Multiply(kReferenceTable, c, weights, x)))
          << InfoOf(type).name << " tokens " << tokens;
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
  std::vector<float> x = Normals(11 * 512, 6);
  for (size_t i = 0; i < 32; ++i) x[i] = 0;
  for (size_t i = 32; i < 64; ++i) x[i] *= 1e-42f;  // denormal
  for (size_t i = 64; i < 96; ++i) x[i] *= 1e30f;
  x[100] = 1e38f;
  x[130] = -3.4e38f;
  x[512] = -0.0f;
  for (const DType type : WeightTypes()) {
    const Case c{type, 19, 512, 11};
    const auto weights = RandomRows(type, c.rows, c.columns, 7);
    EXPECT_EQ(BitsOf(Multiply(table(), c, weights, x)),
              BitsOf(Multiply(kReferenceTable, c, weights, x)))
        << InfoOf(type).name;
  }
}

// Whatever signs meet, and wherever in a group of columns.
TEST_P(Isa, ExtremeIntegersDoNotSaturate) {
  const std::vector<std::pair<uint8_t, uint8_t>> pairs = {{0xff, 0x80}, {0x00, 0xff}, {0x0f, 0xf0}};
  for (const Anatomy& anatomy : QuantisedTypes()) {
    const DType type = anatomy.type;
    const size_t block = InfoOf(type).block_bytes;
    for (const auto& [even, odd] : pairs) {
      for (const size_t tokens : {4, 11, 40}) {  // as they are, by sums, and prepared
        const Case c{type, 16, 256, tokens};
        auto weights = RandomRows(type, c.rows, c.columns, 8);
        for (size_t at = 0; at < weights.size(); ++at) {
          const bool integer =
              at % block >= anatomy.integers_begin && at % block < anatomy.integers_end;
          if (integer) weights[at] = at / block % 2 == 0 ? even : odd;
        }
        for (const size_t run : {1, 4, 8, 256}) {  // columns of one sign
          std::vector<float> x(c.tokens * c.columns);
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = (i / run + i / c.columns) % 2 == 0 ? 1.0f : -1.0f;
          ASSERT_EQ(BitsOf(Multiply(table(), c, weights, x)),
                    BitsOf(Multiply(kReferenceTable, c, weights, x)))
              << InfoOf(type).name << " tokens " << tokens << " signs of " << run;
        }
      }
    }
  }
}

// Row r has the scale r, and a minimum where there is one: integers times scales reach both ends of
// a byte, and their sums those of 256 columns.
TEST_P(Isa, EveryScaleMeetsEveryInteger) {
  for (const DType type : {DType::kQ2_K, DType::kQ3_K}) {
    const bool with_minimum = type == DType::kQ2_K;
    const size_t bytes = InfoOf(type).block_bytes;
    for (const uint8_t integers : {0x00, 0xff, 0x1b, 0xe4}) {
      for (const size_t tokens : {1, 3, 11, 40}) {
        const Case c{type, with_minimum ? 256u : 64u, 256, tokens};
        auto weights = RandomRows(type, c.rows, c.columns, 18);
        for (size_t row = 0; row < c.rows; ++row) {
          uint8_t* block = weights.data() + row * bytes;
          std::fill_n(block + (with_minimum ? 16 : 0), with_minimum ? 64 : 96, integers);
          if (with_minimum) {
            std::fill_n(block, 16, static_cast<uint8_t>(row));
          } else {  // low nibbles of all scales, then their high bits
            std::fill_n(block + 96, 8, static_cast<uint8_t>((row & 15) * 0x11));
            std::fill_n(block + 104, 4, static_cast<uint8_t>((row >> 4) * 0x55));
          }
        }
        for (const size_t run : {1, 256}) {  // columns of one sign
          std::vector<float> x(c.tokens * c.columns);
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = (i / run + i / c.columns) % 2 == 0 ? 1.0f : -1.0f;
          ASSERT_EQ(BitsOf(Multiply(table(), c, weights, x)),
                    BitsOf(Multiply(kReferenceTable, c, weights, x)))
              << InfoOf(type).name << " integers " << int{integers} << " tokens " << tokens;
        }
      }
    }
  }
}

// Row r has the exponent r: denormal scales, and products that overflow.
TEST_P(Isa, EveryExponentOfMXFP4) {
  const Case c{DType::kMXFP4, 256, 64, 3};
  auto weights = RandomRows(c.type, c.rows, c.columns, 16);
  for (size_t block = 0; block < c.rows * 2; ++block) {
    weights[block * sizeof(BlockMXFP4)] = static_cast<uint8_t>(block / 2);
  }
  for (const float scale : {1e-3f, 1.0f, 1e20f}) {
    const auto x = Normals(c.tokens * c.columns, 17, scale);
    EXPECT_EQ(BitsOf(Multiply(table(), c, weights, x)),
              BitsOf(Multiply(kReferenceTable, c, weights, x)));
  }
}

TEST_P(Isa, NotANumberIsNeverLost) {
  for (const DType type : WeightTypes()) {
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
  for (const DType type : WeightTypes()) {
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
  for (const DType type : WeightTypes()) {
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

// tools/golden/make_block_golden.py: what the gguf package makes of the same bytes, bit for bit; of
// F16, rounded to BF16.
TEST_P(Isa, UnpackedRowsAreWhatTheFormatPublishes) {
  const std::string file = *os::ReadFile(BATON_SOURCE_DIR "/tests/golden/blocks.bin");
  std::span rest(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  const auto take = [&](size_t bytes) {
    const auto taken = rest.first(bytes);
    rest = rest.subspan(bytes);
    return taken;
  };
  std::vector<DType> seen;
  while (!rest.empty()) {
    uint32_t head[2];
    std::memcpy(head, take(sizeof(head)).data(), sizeof(head));
    const auto [number, columns] = head;
    const DType type = FindDType(number)->type;
    const auto row = take(BytesOf(type, columns));
    const auto floats = take(columns * sizeof(float));
    const MatrixKernels& kernels = *MatrixKernelsOf(table(), type);
    const os::LargeMemory panel = Memory(kernels.panel_bytes(columns));
    std::vector<uint8_t> rows;
    for (size_t r = 0; r < kPanelRows; ++r) rows.insert(rows.end(), row.begin(), row.end());
    kernels.pack(rows.data(), kPanelRows, columns, panel.data());
    for (const size_t r : {0, 9, 15}) {
      std::vector<float> values(columns);
      kernels.unpack_row(panel.data(), r, columns, values.data());
      for (size_t k = 0; k < columns; ++k) {
        uint32_t expected;
        std::memcpy(&expected, &floats[k * sizeof(float)], sizeof(expected));
        if (type == DType::kF16) {
          const auto exact = std::bit_cast<float>(expected);
          expected = std::bit_cast<uint32_t>(FromBrain(ToBrainFactor(exact)));
        }
        ASSERT_EQ(std::bit_cast<uint32_t>(values[k]), expected)
            << InfoOf(type).name << " row " << r << " column " << k;
      }
    }
    seen.push_back(type);
  }
  std::vector<DType> of_files = WeightTypes();
  std::erase_if(of_files, [](DType type) { return static_cast<uint32_t>(type) >= kOurTypes; });
  EXPECT_THAT(seen, testing::UnorderedElementsAreArray(of_files));
}

// Against double precision on the published weights and the activations as they were: what is left
// is the rounding of activations to int8, in each of them uniform within half a step, so that their
// sum stays within six of its standard deviations; and F32's own in the sum.
TEST_P(Isa, ProductsAreAsCloseAsInt8ActivationsAllow) {
  const size_t rows = 20, tokens = 3;
  for (const Anatomy& anatomy : QuantisedTypes()) {
    const DType type = anatomy.type;
    const size_t columns = SomeColumns(type);
    const auto x = Normals(tokens * columns, 14);
    const auto weights = RandomRows(type, rows, columns, 15);
    const auto y = Multiply(table(), {type, rows, columns, tokens}, weights, x);
    const MatrixKernels& reference = *MatrixKernelsOf(kReferenceTable, type);
    const size_t row_bytes = BytesOf(type, columns);
    for (size_t r = 0; r < rows; ++r) {
      std::vector<float> w(columns);
      reference.unpack_row(weights.data() + r * row_bytes, 0, columns, w.data());
      for (size_t t = 0; t < tokens; ++t) {
        double exact = 0, variance = 0, magnitude = 0;
        const size_t share = reference.operand == OperandKind::kSuperInt8 ? 256 : 32;
        const double largest = LargestInteger(reference.operand);
        for (size_t b = 0; b < columns; b += share) {
          const size_t scaled = std::min(share, columns - b);
          const auto block = std::span(x).subspan(t * columns + b, scaled);
          double amax = 0, wmax = 0;
          for (const float v : block) amax = std::max<double>(amax, std::abs(v));
          for (size_t i = 0; i < scaled; ++i) {
            exact += double{w[b + i]} * block[i];
            variance += std::pow(w[b + i] * amax / largest, 2) / 12;
            wmax = std::max<double>(wmax, std::abs(w[b + i]));
          }
          magnitude += static_cast<double>(scaled) * wmax * amax;
        }
        ASSERT_NEAR(y[t * rows + r], exact, 6 * std::sqrt(variance) + magnitude * 0x1p-22)
            << InfoOf(type).name << " row " << r << " token " << t;
      }
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
    table().silu_multiply(ours.data(), w.data(), n, ours.data());
    kReferenceTable.silu_multiply(theirs.data(), w.data(), n, theirs.data());
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
    for (const auto gate : {&KernelTable::gelu_multiply, &KernelTable::clamped_swiglu}) {
      ours = theirs = Normals(n, n + 3, 6.0f);
      (table().*gate)(ours.data(), x.data(), n, ours.data());
      (kReferenceTable.*gate)(theirs.data(), x.data(), n, theirs.data());
      EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
    }
    ours = theirs = Normals(n, n + 4, 40.0f);
    table().soft_cap(ours.data(), 30.0f, n);
    kReferenceTable.soft_cap(theirs.data(), 30.0f, n);
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
    table().add_scaled(x.data(), 0.3f, n, ours.data());
    kReferenceTable.add_scaled(x.data(), 0.3f, n, theirs.data());
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << n;
  }
}

TEST_P(Isa, SiluIsAccurateEverywhere) {
  for (float x = -120; x < 120; x += 0.037f) {
    float gate = x;
    const float up = 1.0f;
    table().silu_multiply(&gate, &up, 1, &gate);
    const double exact = x / (1.0 + std::exp(-static_cast<double>(x)));
    ASSERT_NEAR(gate, exact, std::abs(exact) * 4 * 0x1p-23 + 1e-35) << x;
  }
}

// Against the formulas in double precision; the exponent's rounding costs as many units of the last
// place as it has bits before the point.
TEST_P(Isa, GeluAndClampedSwigluAreAccurateEverywhere) {
  for (float x = -60; x < 60; x += 0.0137f) {
    const double wide = x;
    const float one = 1.0f;
    float gelu = 0;
    table().gelu_multiply(&x, &one, 1, &gelu);
    const double bent = std::sqrt(2 / std::numbers::pi) * (wide + 0.044715 * wide * wide * wide);
    const double exact = wide / (1 + std::exp(-2 * bent));
    ASSERT_NEAR(gelu, exact, std::abs(exact) * 200 * 0x1p-23 + 1e-35) << x;
    float glu = 0;
    const float up = x / 3;
    table().clamped_swiglu(&x, &up, 1, &glu);
    const double gate = std::min(wide, 7.0);
    const double swiglu =
        gate / (1 + std::exp(-1.702 * gate)) * (std::clamp<double>(up, -7, 7) + 1);
    ASSERT_NEAR(glu, swiglu, std::abs(swiglu) * 200 * 0x1p-23 + 1e-6) << x;
    float capped = 10 * x;
    table().soft_cap(&capped, 30, 1);
    ASSERT_NEAR(capped, 30 * std::tanh(10 * wide / 30), 1e-5) << x;
  }
}

TEST_P(Isa, RopeEqualsTheReference) {
  for (const auto& [first, pairs] : {std::pair<size_t, size_t>(0, 8), {0, 32}, {20, 12}, {48, 8}}) {
    const auto angles = Normals(2 * pairs, 1);
    auto ours = Normals(3 * 64, 2);
    auto theirs = ours;
    table().rope(ours.data(), angles.data(), first, pairs, 64, 3, 0.125f);
    kReferenceTable.rope(theirs.data(), angles.data(), first, pairs, 64, 3, 0.125f);
    EXPECT_EQ(BitsOf(ours), BitsOf(theirs)) << first << ' ' << pairs;
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
  KvType type;
  std::vector<int32_t> pages;
  os::LargeMemory bytes;
  size_t half_bytes;
  size_t page_bytes;

  Cache(size_t dim, size_t tokens, uint64_t seed, KvType kv_type = KvType::kF16)
      : head_dim(dim), width(KvWidth(dim)), type(kv_type) {
    const size_t blocks = (tokens + kKeyBlock - 1) / kKeyBlock;
    half_bytes = KvBytesOf(type, kKeyBlock * width);
    page_bytes = 2 * half_bytes;
    bytes = Memory((blocks + 2) * page_bytes);
    std::memset(bytes.data(), 0xff, bytes.size());
    for (size_t i = 0; i < blocks; ++i) pages.push_back(static_cast<int32_t>(blocks + 1 - i));
    const auto values = Normals(2 * tokens * head_dim, seed);
    for (size_t t = 0; t < tokens; ++t) Write(t, &values[2 * t * head_dim]);
  }
  void Write(size_t t, const float* values) {
    uint8_t* bytes_of_page = bytes.data() + pages[t / 64] * page_bytes;
    if (type == KvType::kQ8_0) return WriteQ8(t, values, bytes_of_page);
    if (type == KvType::kF32)
      return WriteFloats(t, values, reinterpret_cast<float*>(bytes_of_page),
                         [](float x) { return x; });
    WriteFloats(t, values, reinterpret_cast<Half*>(bytes_of_page), ToHalf);
  }
  template <typename T, typename Convert>
  void WriteFloats(size_t t, const float* values, T* page, const Convert& convert) const {
    const size_t at = t % 64;
    for (size_t d = 0; d < head_dim; ++d) {
      page[(at / 16 * width + d) * 16 + at % 16] = convert(values[d]);
      page[64 * width + at * width + d] = convert(values[head_dim + d]);
    }
  }
  // Scales differ from block to block and token to token, and are no powers of two.
  void WriteQ8(size_t t, const float* values, uint8_t* page) const {
    const size_t blocks = head_dim / 32;
    auto* keys = reinterpret_cast<KeyBlockQ8_0*>(page) + t % 64 / 16 * blocks;
    auto* rows = reinterpret_cast<BlockQ8_0*>(page + half_bytes) + t % 64 * blocks;
    const auto scale_of = [](const float* x) {
      return ToHalf(std::abs(*std::max_element(
                        x, x + 32, [](float a, float b) { return std::abs(a) < std::abs(b); })) /
                    127);
    };
    const auto quantized = [](float x, Half scale) {
      return static_cast<int8_t>(std::clamp(std::nearbyint(x / FromHalf(scale)), -127.0f, 127.0f));
    };
    for (size_t b = 0; b < blocks; ++b) {
      const float* key = values + b * 32;
      const float* value = values + head_dim + b * 32;
      keys[b].d[t % 16] = scale_of(key);
      rows[b].d = scale_of(value);
      for (size_t i = 0; i < 32; ++i) {
        keys[b].q[i][t % 16] = quantized(key[i], keys[b].d[t % 16]);
        rows[b].q[i] = quantized(value[i], rows[b].d);
      }
    }
  }
  // What a tile asks for besides.
  size_t window = 0;
  float softcap = 0;
  std::vector<float> sinks;
  size_t latent = 0;

  template <typename Run>
  std::vector<float> With(std::span<const float> q, size_t group, size_t first, size_t tokens,
                          const Run& run) const {
    const size_t floats = std::max(AttentionScratchFloats(head_dim), BrainScratchFloats(head_dim));
    const os::LargeMemory scratch = Memory(floats * sizeof(float));
    std::vector<float> into(tokens * group * ValueDim(head_dim, latent));
    run({q.data(), into.data(), group * head_dim, group, head_dim, first, tokens, bytes.data(),
         latent > 0 ? nullptr : bytes.data() + half_bytes, pages.data(), page_bytes,
         reinterpret_cast<float*>(scratch.data()), type, window, softcap,
         sinks.empty() ? nullptr : sinks.data(), latent});
    return into;
  }
  std::vector<float> Attend(const KernelTable& table, std::span<const float> q, size_t group,
                            size_t first, size_t tokens) const {
    return With(q, group, first, tokens, table.attend);
  }
  std::vector<float> AttendBrain(const KernelTable& table, std::span<const float> q, size_t group,
                                 size_t first, size_t tokens) const {
    return With(q, group, first, tokens, table.attend_brain);
  }
  // Segment by segment, the last one first.
  std::vector<float> AttendInSegments(const KernelTable& table, std::span<const float> q,
                                      size_t group, size_t first, size_t tokens) const {
    return With(q, group, first, tokens, [&](const AttentionTile& tile) {
      const size_t segments = (first + tokens - 1) / kSegmentKeys + 1;
      const size_t stride = tokens * group * PartialFloats(ValueDim(head_dim, latent));
      std::vector<float> partials(segments * stride);
      for (size_t s = segments; s-- > 0;) table.attend_segment(tile, s, &partials[s * stride]);
      table.merge_segments(tile, partials.data(), stride);
    });
  }
};

TEST_P(Isa, AttentionEqualsTheReference) {
  const std::pair<size_t, KvType> shapes[] = {
      {16, KvType::kF16}, {24, KvType::kF16},  {64, KvType::kF16},
      {80, KvType::kF16}, {128, KvType::kF16}, {16, KvType::kF32},
      {24, KvType::kF32}, {80, KvType::kF32},  {128, KvType::kF32}};
  for (const auto& [head_dim, type] : shapes) {
    for (const size_t group : {1, 3, 4, 8}) {
      const size_t tokens = 6;
      for (const size_t first : {0, 11, 60, 64, 150}) {
        const Cache cache(head_dim, first + tokens, 7 * first + group, type);
        const auto q = Normals(tokens * group * head_dim, first + 1, 0.3f);
        ASSERT_EQ(BitsOf(cache.Attend(table(), q, group, first, tokens)),
                  BitsOf(cache.Attend(kReferenceTable, q, group, first, tokens)))
            << NameOf(type) << " head_dim " << head_dim << " group " << group << " first " << first;
      }
    }
  }
}

// Windows that begin within a block, at its edge, within a segment, and before everything; sinks
// above and below the scores.
TEST_P(Isa, WindowsCapsAndSinksEqualTheReference) {
  const size_t group = 3, tokens = 9;
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    for (const size_t head_dim : {32, 64}) {
      for (const size_t first : {0, 61, 130, 1020}) {
        for (const size_t window : {0, 1, 2, 64, 100, 129, 600, 5000}) {
          Cache cache(head_dim, first + tokens, 7 * first + window, type);
          cache.window = window;
          cache.softcap = window % 2 == 0 ? 2.5f : 0.0f;
          if (window % 3 != 0) cache.sinks = {0.7f, -3.0f, 20.0f};
          const auto q = Normals(tokens * group * head_dim, first + 1, 0.3f);
          if (type != KvType::kF32) {
            const auto brain = BitsOf(cache.AttendBrain(kReferenceTable, q, group, first, tokens));
            ASSERT_EQ(BitsOf(cache.AttendBrain(table(), q, group, first, tokens)), brain)
                << NameOf(type) << " first " << first << " window " << window;
            ASSERT_EQ(BitsOf(cache.AttendInSegments(table(), q, group, first, tokens)), brain)
                << NameOf(type) << " first " << first << " window " << window;
          }
          if (type == KvType::kQ8_0) continue;
          ASSERT_EQ(BitsOf(cache.Attend(table(), q, group, first, tokens)),
                    BitsOf(cache.Attend(kReferenceTable, q, group, first, tokens)))
              << NameOf(type) << " first " << first << " window " << window;
        }
      }
    }
  }
}

// Against the formulas in double precision.
class ReferenceKv : public testing::TestWithParam<KvType> {};
INSTANTIATE_TEST_SUITE_P(Types, ReferenceKv, testing::Values(KvType::kF32, KvType::kF16),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

TEST_P(ReferenceKv, WindowsCapsAndSinksAreWhatTheyAreCalled) {
  const size_t head_dim = 16, first = 90, window = 40;
  const float softcap = 1.5f, sink = 0.4f;
  const bool whole = GetParam() == KvType::kF32;
  Cache cache(head_dim, first + 1, 3, GetParam());
  cache.window = window;
  cache.softcap = softcap;
  cache.sinks = {sink};
  const auto q = Normals(head_dim, 4);
  const auto values = Normals(2 * (first + 1) * head_dim, 3);
  const auto half = [&](size_t t, size_t d) {
    const float value = values[2 * t * head_dim + d];
    return static_cast<double>(whole ? value : FromHalf(ToHalf(value)));
  };
  double total = std::exp(static_cast<double>(sink));
  std::vector<double> expected(head_dim);
  for (size_t t = first + 1 - window; t <= first; ++t) {
    double score = 0;
    for (size_t d = 0; d < head_dim; ++d) score += q[d] * half(t, d);
    const double weight = std::exp(softcap * std::tanh(score / softcap));
    total += weight;
    for (size_t d = 0; d < head_dim; ++d) expected[d] += weight * half(t, head_dim + d);
  }
  const auto exact = cache.Attend(kReferenceTable, q, 1, first, 1);
  for (size_t d = 0; d < head_dim; ++d) EXPECT_NEAR(exact[d], expected[d] / total, 1e-5);
  if (whole) return;
  const auto brain = cache.AttendBrain(kReferenceTable, q, 1, first, 1);
  for (size_t d = 0; d < head_dim; ++d) {
    EXPECT_NEAR(brain[d], expected[d] / total, 2e-2);
  }
}

// What lies before the window may be anything: pages that hold nothing any more.
TEST_P(Isa, KeysBeforeTheWindowAreNotRead) {
  const size_t head_dim = 64, group = 2, tokens = 5, first = 700, window = 70;
  Cache whole(head_dim, first + tokens, 5);
  Cache rest(head_dim, first + tokens, 5);
  whole.window = rest.window = window;
  const std::vector<float> nothing(2 * head_dim, std::nanf(""));
  for (size_t t = 0; t + window < first + 1; ++t) rest.Write(t, nothing.data());
  const auto q = Normals(tokens * group * head_dim, 6, 0.3f);
  EXPECT_EQ(BitsOf(rest.Attend(table(), q, group, first, tokens)),
            BitsOf(whole.Attend(table(), q, group, first, tokens)));
  EXPECT_EQ(BitsOf(rest.AttendBrain(table(), q, group, first, tokens)),
            BitsOf(whole.AttendBrain(table(), q, group, first, tokens)));
}

TEST_P(Isa, AttentionIsChunkInvariant) {
  const size_t head_dim = 32, group = 4, tokens = 12, first = 58;
  Cache cache(head_dim, first + tokens, 3);
  cache.window = 20;  // the first rows begin in another block than the last
  const auto q = Normals(tokens * group * head_dim, 4);
  const auto together = cache.Attend(table(), q, group, first, tokens);
  const size_t row = group * head_dim;
  for (size_t t = 0; t < tokens; ++t) {
    const auto alone =
        cache.Attend(table(), std::span(q).subspan(t * row, row), group, first + t, 1);
    ASSERT_EQ(BitsOf(alone), BitsOf(std::span(together).subspan(t * row, row)));
  }
}

// At once, and in segments.
void ExpectTheReferencesBits(const KernelTable& table, size_t head_dim, size_t group, size_t first,
                             KvType type) {
  const size_t tokens = 7;
  const Cache cache(head_dim, first + tokens, 7 * first + group, type);
  const auto q = Normals(tokens * group * head_dim, first + 1, 0.3f);
  const Bits expected = BitsOf(cache.AttendBrain(kReferenceTable, q, group, first, tokens));
  ASSERT_EQ(BitsOf(cache.AttendBrain(table, q, group, first, tokens)), expected)
      << NameOf(type) << " head_dim " << head_dim << " group " << group << " first " << first;
  ASSERT_EQ(BitsOf(cache.AttendInSegments(table, q, group, first, tokens)), expected)
      << NameOf(type) << " head_dim " << head_dim << " group " << group << " first " << first;
}

TEST_P(Isa, BrainAttentionEqualsTheReference) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    for (const size_t head_dim : {2, 16, 24, 32, 64, 80, 96, 128}) {
      if (!CheckHeads(type, static_cast<int>(head_dim)).ok()) continue;
      for (const size_t group : {1, 3, 4, 8}) {
        for (const size_t first : {0, 11, 60, 64, 150, 508, 1100}) {
          ExpectTheReferencesBits(table(), head_dim, group, first, type);
        }
      }
    }
  }
}

struct LatentCase {
  size_t head_dim;
  size_t latent;
  KvType type;
};
constexpr LatentCase kLatentCases[] = {{48, 32, KvType::kF16},   {24, 20, KvType::kF16},
                                       {576, 512, KvType::kF16}, {96, 64, KvType::kQ8_0},
                                       {64, 64, KvType::kF16},   {576, 512, KvType::kQ8_0}};

TEST_P(Isa, LatentAttentionEqualsTheReference) {
  const size_t tokens = 3, group = 16;
  for (const LatentCase& each : kLatentCases) {
    for (const size_t first : {0, 62, 130, 510}) {
      Cache cache(each.head_dim, first + tokens, first + 1, each.type);
      cache.latent = each.latent;
      const auto q = Normals(tokens * group * each.head_dim, first + 1, 0.1f);
      const Bits expected = BitsOf(cache.AttendBrain(kReferenceTable, q, group, first, tokens));
      EXPECT_EQ(BitsOf(cache.AttendBrain(table(), q, group, first, tokens)), expected);
      EXPECT_EQ(BitsOf(cache.AttendInSegments(table(), q, group, first, tokens)), expected);
      if (each.type != KvType::kF16) continue;
      EXPECT_EQ(BitsOf(cache.Attend(table(), q, group, first, tokens)),
                BitsOf(cache.Attend(kReferenceTable, q, group, first, tokens)));
    }
  }
}

// Values of their own that repeat the keys come to the same.
TEST_P(Isa, LatentsAreValues) {
  const size_t tokens = 5, group = 3, first = 140;
  for (const LatentCase& each : kLatentCases) {
    Cache cache(each.head_dim, first + tokens, 1, each.type);
    for (size_t t = 0; t < first + tokens; ++t) {
      const auto key = Normals(each.head_dim, t);
      std::vector<float> twice(key);
      twice.insert(twice.end(), key.begin(), key.end());
      cache.Write(t, twice.data());
    }
    const auto q = Normals(tokens * group * each.head_dim, 2, 0.1f);
    const auto whole = cache.AttendBrain(table(), q, group, first, tokens);
    std::vector<float> expected;
    for (size_t row = 0; row < tokens * group; ++row) {
      const auto head = std::span(whole).subspan(row * each.head_dim, each.latent);
      expected.insert(expected.end(), head.begin(), head.end());
    }
    cache.latent = each.latent;
    EXPECT_EQ(BitsOf(cache.AttendBrain(table(), q, group, first, tokens)), BitsOf(expected));
  }
}

// What a step of 1/127 of the largest of 32 costs, against the same keys and values in F16.
TEST_P(Isa, AttentionToQ8_0IsCloseToF16) {
  const size_t head_dim = 64, group = 4, tokens = 12, first = 700;
  const Cache halves(head_dim, first + tokens, 5);
  const Cache blocks(head_dim, first + tokens, 5, KvType::kQ8_0);
  const auto q = Normals(tokens * group * head_dim, 6, 0.3f);
  const auto expected = halves.AttendBrain(table(), q, group, first, tokens);
  const auto result = blocks.AttendBrain(table(), q, group, first, tokens);
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(result[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  EXPECT_LT(std::sqrt(error / norm), 0.02);
  EXPECT_GT(error, 0);
}

TEST_P(Isa, BrainAttentionIsChunkInvariant) {
  const size_t head_dim = 32, group = 4, tokens = 24, first = 500;
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    Cache cache(head_dim, first + tokens, 3, type);
    cache.window = 508;  // the first rows see one segment more than the last
    const auto q = Normals(tokens * group * head_dim, 4);
    const auto together = cache.AttendBrain(table(), q, group, first, tokens);
    const size_t row = group * head_dim;
    for (size_t t = 0; t < tokens; ++t) {
      const auto alone =
          cache.AttendBrain(table(), std::span(q).subspan(t * row, row), group, first + t, 1);
      ASSERT_EQ(BitsOf(alone), BitsOf(std::span(together).subspan(t * row, row)));
    }
  }
}

// Against attention in F32, which has no BF16 and no segments: what rounding may cost.
TEST_P(Isa, BrainAttentionIsCloseToExactAttention) {
  const size_t head_dim = 64, group = 4, tokens = 12, first = 1300;
  const Cache cache(head_dim, first + tokens, 5);
  for (const float sharpness : {0.05f, 0.3f, 1.0f}) {
    const auto q = Normals(tokens * group * head_dim, 6, sharpness);
    const auto exact = cache.Attend(kReferenceTable, q, group, first, tokens);
    const auto brain = cache.AttendBrain(table(), q, group, first, tokens);
    double error = 0, norm = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(brain[i] - exact[i], 2);
      norm += std::pow(exact[i], 2);
    }
    EXPECT_LT(std::sqrt(error / norm), 4e-3 + 6e-3 * sharpness) << sharpness;
    EXPECT_GT(error, 0);
  }
}

TEST_P(Isa, BrainAttentionTakesWeightsFarBelowTheLargest) {
  // One key outweighs all others by more than 2^50: exactly its value comes out.
  const size_t head_dim = 16;
  Cache cache(head_dim, 130, 9);
  std::vector<float> key(2 * head_dim, 1.0f);
  key[0] = 100.0f;
  cache.Write(70, key.data());
  std::vector<float> q(head_dim);
  q[0] = 1.0f;
  const auto result = cache.AttendBrain(table(), q, 1, 129, 1);
  EXPECT_THAT(result, testing::Each(1.0f));
}

// FNV-1a over BitsOf().
uint32_t HashOf(std::span<const float> values) {
  uint32_t hash = 2166136261u;
  for (const uint32_t bits : BitsOf(values)) {
    for (int shift = 0; shift < 32; shift += 8) hash = (hash ^ (bits >> shift & 255)) * 16777619u;
  }
  return hash;
}

// The tables of one processor agree; these are the bits that all processors agree on. They come
// from an x86-64; a table that was changed together with the reference shows here.
TEST_P(Isa, BitsAreThoseOfOtherProcessors) {
  const std::vector<std::pair<DType, uint32_t>> products = {
      {DType::kF32, 0x59aed337},      {DType::kF16, 0x4808b68f},    {DType::kBF16, 0xa09f0b15},
      {DType::kQ8_0, 0xa941442a},     {DType::kQ4_0, 0x9928bce8},   {DType::kQ4_1, 0x0c64e2a6},
      {DType::kQ5_0, 0xa2da07a6},     {DType::kQ5_1, 0xb812137b},   {DType::kQ2_K, 0xab53ca56},
      {DType::kQ3_K, 0x09496877},     {DType::kQ4_K, 0xce50c54c},   {DType::kQ5_K, 0x3fa87b7d},
      {DType::kQ6_K, 0x84a1a93f},     {DType::kIQ4_NL, 0x1145ecdb}, {DType::kIQ4_XS, 0xc4e4fd39},
      {DType::kMXFP4, 0xed468cb6},    {DType::kMlx4, 0x3df82f4f},   {DType::kMlx8, 0x13be3772},
      {DType::kMlx8Half, 0x96e15b67},
  };
  for (const auto& [type, expected] : products) {
    const size_t columns = SomeColumns(type);
    const Case c{type, 35, columns, 7};
    const auto y =
        Multiply(table(), c, RandomRows(type, c.rows, columns, 1), Normals(c.tokens * columns, 2));
    EXPECT_EQ(HashOf(y), expected) << InfoOf(type).name;
  }
  const auto x = Normals(1000, 3, 3.0f);
  auto y = Normals(1000, 4);
  table().silu_multiply(y.data(), x.data(), y.size(), y.data());
  EXPECT_EQ(HashOf(y), 0x8bf04142u);
  table().rms_norm(x.data(), y.data(), 1e-5f, y.size(), y.data());
  EXPECT_EQ(HashOf(y), 0xa367d964u);
  table().rope(y.data(), x.data(), 0, 16, 40, 25, 0.125f);
  EXPECT_EQ(HashOf(y), 0x47be5a25u);
  const Cache cache(64, 150, 5);
  EXPECT_EQ(HashOf(cache.Attend(table(), Normals(4 * 8 * 64, 6, 0.3f), 8, 146, 4)), 0xddbb6aadu);
  const Cache longer(64, 600, 7);
  const auto q = Normals(4 * 8 * 64, 8, 0.3f);
  EXPECT_EQ(HashOf(longer.AttendBrain(table(), q, 8, 596, 4)), 0x094e51a4u);
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
  EXPECT_EQ(QuantOf(q4, 3), 5);
  EXPECT_EQ(QuantOf(q4, 19), 10);

  BlockQ5_1 q5{};
  q5.q[3] = 0xa5;
  q5.qh[2] = 0b1000;  // weight 19
  EXPECT_EQ(QuantOf(q5, 3), 5);
  EXPECT_EQ(QuantOf(q5, 19), 10 + 16);

  BlockQ2_K q2{};
  q2.q[32 + 5] = 0b11'01'10'00;
  EXPECT_EQ(QuantOf(q2, 128 + 64 + 5), 0b01);

  BlockQ3_K q3{};
  q3.q[32 + 5] = 0b11'01'10'00;
  q3.qh[5] = 1 << 6;
  EXPECT_EQ(QuantOf(q3, 128 + 64 + 5), 0b101);
  q3.scales[1] = 0x4b;  // low bits of scales 1 and 9
  q3.scales[9] = 0b00'11'00'10;
  EXPECT_EQ(ScaleOf(q3, 1), 0xb + 32 - 32);
  EXPECT_EQ(ScaleOf(q3, 9), 0x4 + 48 - 32);

  BlockQ4_K q4k{};
  q4k.scales[1] = 0xff;  // sub-block 1: scale 63; top bits go to the scale of sub-block 5
  q4k.scales[9] = 0x2c;  // sub-block 5: low scale bits 12, low min bits 2
  EXPECT_EQ(ScaleAndMinOf(q4k.scales, 1).scale, 63);
  EXPECT_EQ(ScaleAndMinOf(q4k.scales, 5).scale, 12 + 48);
  EXPECT_EQ(ScaleAndMinOf(q4k.scales, 5).min, 2);
  q4k.q[32 + 7] = 0x93;
  EXPECT_EQ(QuantOf(q4k, 2 * 32 + 7), 3);
  EXPECT_EQ(QuantOf(q4k, 3 * 32 + 7), 9);

  BlockQ6_K q6{};
  q6.ql[64 + 32 + 5] = 0x4b;
  q6.qh[32 + 5] = 0b11'01'10'00;
  EXPECT_EQ(QuantOf(q6, 128 + 32 + 5), 0xb + (0b10 << 4));
  EXPECT_EQ(QuantOf(q6, 128 + 96 + 5), 0x4 + (0b11 << 4));

  BlockIQ4_XS iq4{};
  iq4.scales_low[2] = 0x4b;  // of sub-blocks 4 and 5
  iq4.scales_high = 0b01 << 10;
  EXPECT_EQ(ScaleOf(iq4, 4), 0xb - 32);
  EXPECT_EQ(ScaleOf(iq4, 5), 0x4 + 16 - 32);
  EXPECT_EQ(IntegerOf<BlockIQ4_XS>(15), 113);

  EXPECT_EQ(PowerOfExponent(0), 0x1p-128f);
  EXPECT_EQ(PowerOfExponent(1), 0x1p-127f);
  EXPECT_EQ(PowerOfExponent(2), 0x1p-126f);
  EXPECT_EQ(PowerOfExponent(255), 0x1p127f);
  EXPECT_EQ(IntegerOf<BlockMXFP4>(15), -12);
}

TEST(Reference, GroupsOfMlxMeanWhatMlxSays) {
  BlockMlx8 mlx8{};
  mlx8.q[21] = 200;
  mlx8.d = ToBrain(0x1p-30f);  // which F16 cannot hold
  mlx8.m = ToBrain(-3.0f);
  EXPECT_EQ(WeightOf<BlockMlx8>(ScalingOf(mlx8, 0), QuantOf(mlx8, 21)), 200 * 0x1p-30f - 3.0f);
  BlockMlx8Half half{};
  half.q[21] = 200;
  half.d = ToHalf(0.5f);
  EXPECT_EQ(WeightOf<BlockMlx8Half>(ScalingOf(half, 0), QuantOf(half, 21)), 100.0f);
  BlockMlx4 mlx4{};
  mlx4.q[3] = 0xa5;
  EXPECT_EQ(QuantOf(mlx4, 3), 5);
  EXPECT_EQ(QuantOf(mlx4, 19), 10);
}

}  // namespace
}  // namespace baton::kernels
