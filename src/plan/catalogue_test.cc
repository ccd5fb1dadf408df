#include <gmock/gmock.h>

#include "plan/balance.h"
#include "plan/cluster_file.h"
#include "plan/planner.h"

namespace baton::plan {
namespace {

using testing::HasSubstr;

constexpr const char* kDevice = R"(
name = "Box"
memory_gb = 100
usable = 0.5
fp16_tflops = 10
memory_gb_per_s = 200
watts = 50
source = "its box"
[[derating]]
of = "us"
matrix = 0.5
read = 0.25
attention = 0.1
source = "us"
)";

TEST(Catalogue, EveryShippedDeviceHasSources) {
  const Catalogue& catalogue = Catalogue::Shipped();
  EXPECT_GE(catalogue.devices().size(), 10u);
  EXPECT_GE(catalogue.links().size(), 5u);
  for (const CatalogueDevice& device : catalogue.devices()) {
    EXPECT_FALSE(device.source.empty()) << device.id;
    for (const Derating& derating : device.deratings) EXPECT_FALSE(derating.source.empty());
    EXPECT_EQ(catalogue.Device(device.id)->name, device.name);
  }
  const auto none = catalogue.Device("commodore-64");
  EXPECT_EQ(none.error().code(), Code::kNotFound);
  EXPECT_THAT(none.error().message(), HasSubstr("'commodore-64'"));
  EXPECT_THAT(none.error().message(), HasSubstr("dgx-spark"));
}

TEST(Catalogue, ADeviceIsItsPeaksTimesItsShares) {
  const auto device = Catalogue::ParseDevice("box", kDevice);
  ASSERT_TRUE(device.ok()) << device.error().message();
  const DeviceProfile profile = ProfileOf(*device, device->deratings.front());
  EXPECT_EQ(profile.memory_bytes, 50'000'000'000u);
  EXPECT_DOUBLE_EQ(profile.RateFor(DType::kQ4_K).matmul_flops_per_s, 5e12);
  EXPECT_DOUBLE_EQ(profile.RateFor(DType::kQ4_K).read_bytes_per_s, 50e9);
  EXPECT_DOUBLE_EQ(profile.attention_flops_per_s, 1e12);
  EXPECT_DOUBLE_EQ(profile.kv_read_bytes_per_s, 50e9);
  EXPECT_THAT(FindDerating(*device, "them").error().message(), HasSubstr("'them', but of us"));
}

TEST(Catalogue, WhatElementsTakeMayBeAbsent) {
  const auto profile_of = [](const std::string& text) {
    const CatalogueDevice device = Catalogue::ParseDevice("box", text).value();
    return ProfileOf(device, device.deratings.front());
  };
  EXPECT_EQ(profile_of(kDevice).element_ns, 0);
  const DeviceProfile said = profile_of("element_ns = 0.5\n" + std::string(kDevice));
  EXPECT_EQ(said.element_ns, 0.5);
  EXPECT_EQ(SpedUp(said, 2).element_ns, 0.25);
}

std::string DeviceError(const std::string& from, const std::string& to) {
  std::string text = kDevice;
  text.replace(text.find(from), from.size(), to);
  const auto device = Catalogue::ParseDevice("box", text);
  return device.ok() ? "" : device.error().message();
}

TEST(Catalogue, SaysWhatIsWrongWithADevice) {
  EXPECT_THAT(DeviceError("usable = 0.5", "usable = 1.5"), HasSubstr("'usable' is 1.5"));
  EXPECT_THAT(DeviceError("usable = 0.5", ""), HasSubstr("'usable' is missing"));
  EXPECT_THAT(DeviceError("usable = 0.5", "usable = 0.5\nsuable = 1"), HasSubstr("'suable'"));
  EXPECT_THAT(DeviceError("name = \"Box\"", "name = 7"), HasSubstr("'name' is a text"));
  EXPECT_THAT(DeviceError("matrix = 0.5", "matrix = \"all\""), HasSubstr("'matrix' is a number"));
  EXPECT_THAT(DeviceError("[[derating]]", "[derating]"), HasSubstr("[[derating]]"));
  EXPECT_THAT(DeviceError("[[derating]]", "]"), HasSubstr("line "));
}

Result<ClusterFile> Parse(const std::string& text) {
  return ParseClusterFile(text, Catalogue::Shipped());
}

TEST(ClusterFile, NamesCountsAndLinks) {
  const auto file = Parse(R"(
chunk_tokens = 1024
[[device]]
is = "dgx-spark"
name = "spark"
[[device]]
is = "phone"
count = 2
memory_gb = 3
[[link]]
is = "wifi-6"
[[link]]
between = ["spark", "phone"]
gbit_per_s = 8
rtt_us = 10
port = "cable"
)");
  ASSERT_TRUE(file.ok()) << file.error().message();
  const ClusterProfile& cluster = file->cluster;
  EXPECT_EQ(file->chunk_tokens, 1024);
  ASSERT_EQ(cluster.nodes.size(), 3u);
  EXPECT_EQ(cluster.nodes[0].name, "spark");
  EXPECT_EQ(cluster.nodes[2].name, "phone-2");
  EXPECT_EQ(cluster.nodes[2].device.memory_bytes, 3'000'000'000u);
  EXPECT_EQ(cluster.links.size(), 6u) << "each pair once in each direction";
  for (const LinkProfile& link : cluster.links) {
    EXPECT_EQ(link.bytes_per_s, 1e9);
    EXPECT_EQ(link.port, "cable");
  }
}

TEST(ClusterFile, SaysWhatIsWrong) {
  const auto error = [](const std::string& text) { return Parse(text).error().message(); };
  EXPECT_THAT(error(""), HasSubstr("no [[device]]"));
  EXPECT_THAT(error("[[device]]\nis = \"zx81\""), HasSubstr("'zx81' is not in the catalogue"));
  EXPECT_THAT(error("[[device]]\nis = \"phone\"\ncount = 0"), HasSubstr("'count' is 0"));
  EXPECT_THAT(error("[[device]]\nis = \"phone\"\ncount = 1.5"), HasSubstr("1.5"));
  EXPECT_THAT(error("[[device]]\nis = \"phone\"\n[[device]]\nis = \"phone\""),
              HasSubstr("two of this name"));
  EXPECT_THAT(error("[[device]]\nis = \"phone\"\n[[link]]\nis = \"string\""),
              HasSubstr("link 'string'"));
  EXPECT_THAT(
      error("[[device]]\nis = \"phone\"\n[[link]]\nis = \"1gbe\"\nbetween = [\"phone\", \"x\"]"),
      HasSubstr("'x'"));
  EXPECT_THAT(error("[[device]]\nis = \"phone\"\ncount = 1024\n[[device]]\nis = \"laptop\""),
              HasSubstr("more than 1024"));
}

ModelCost SmallModel() {
  ModelCost model;
  model.name = "small";
  model.layer_weight_bytes.assign(8, 100'000'000);
  model.layer_flops_per_token = 2e8;
  model.embedding_bytes = model.head_bytes = 10'000'000;
  model.kv_elements = 1024;
  model.q_width = 2048;
  model.hidden_width = 2048;
  return model;
}

TEST(ClusterFile, ADeviceMoreNeverMakesThePlanWorse) {
  const auto file = Parse("[[device]]\nis = \"laptop\"");
  ASSERT_TRUE(file.ok());
  const Workload workload{.prompt_tokens = 2000, .answer_tokens = 100};
  const auto before = Make(file->cluster, SmallModel(), workload, file->cluster.nodes[0].id);
  for (const CatalogueDevice& device : Catalogue::Shipped().devices()) {
    const auto addition = ParseAddition(device.id + ":1gbe", Catalogue::Shipped());
    const ClusterProfile more = With(file->cluster, *addition);
    const auto after = Make(more, SmallModel(), workload, file->cluster.nodes[0].id);
    EXPECT_LE(after->chosen.total_s, before->chosen.total_s) << device.id;
  }
  EXPECT_FALSE(ParseAddition("phone:string", Catalogue::Shipped()).ok());
}

TEST(Balance, IsHalfWhereADeviceGivesWhatTheModelNeeds) {
  const Workload workload{.prompt_tokens = 2000, .answer_tokens = 100, .chunk_tokens = 2000};
  const ModelCost model = SmallModel();
  const double needed = NeededFlopsPerByte(model, workload);
  // Operations of the prompt and its attention over the weights and KV that 100 tokens read.
  const double flops = 1999 * 8 * 2e8 + 8 * 2000 * 1000.0 * 4 * 2048;
  const double bytes = 100 * (810e6 + 8 * 2050 * 1024 * 2);
  EXPECT_NEAR(needed, flops / bytes, needed * 1e-3);
  const auto balances = BalanceOf(Catalogue::Shipped(), model, workload);
  EXPECT_EQ(balances.size(), Catalogue::Shipped().devices().size());
  for (const Balance& balance : balances) {
    EXPECT_TRUE(balance.fits);
    EXPECT_GT(balance.prefill_tokens_per_s, 0);
    EXPECT_TRUE(balance.flops_per_byte > needed / 4 || balance.prefill_share > 0.5);
  }
}

TEST(ModelCost, StepsOfManyTokensReadMoreExperts) {
  ModelCost model = SmallModel();
  model.experts = 10;
  model.experts_used = 2;
  model.layer_active_bytes.assign(8, 36'000'000);  // 20 MB shared, experts of 8 MB
  EXPECT_NEAR(model.SharedBytes(0), 20e6, 1);
  EXPECT_NEAR(model.ExpertBytes(0, 1), 16e6, 1);
  EXPECT_NEAR(model.ExpertBytes(0, 2), 10 * (1 - 0.8 * 0.8) * 8e6, 1);
  EXPECT_NEAR(model.ExpertBytes(0, 1000), 80e6, 1);
  EXPECT_EQ(model.ExpertBytes(0, 0), 0);
}

}  // namespace
}  // namespace baton::plan
