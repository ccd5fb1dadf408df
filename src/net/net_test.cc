#include <cstdlib>
#include <map>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "base/random.h"
#include "net/identity.h"
#include "net/invitation.h"
#include "net/link_meter.h"
#include "net/mesh.h"
#include "net/probe.h"
#include "net/roster.h"
#include "os/clock.h"
#include "os/file.h"

namespace baton::net {
namespace {

using asio::ip::tcp;
using std::chrono::milliseconds;
using wire::FrameType;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char path[] = "/tmp/baton-net-XXXXXX";
    CHECK(::mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~TemporaryFolder() { CHECK(std::system(("rm -rf " + path_).c_str()) == 0); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(Identity, IsKeptOnDiskForItsOwnerOnly) {
  const TemporaryFolder folder;
  const auto first = Identity::LoadOrCreate(folder / "identity.pem");
  const auto second = Identity::LoadOrCreate(folder / "identity.pem");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->id(), second->id());
  ASSERT_TRUE(os::WriteFileAtomically(folder / "identity.pem", AsBytes("garbage")).ok());
  EXPECT_EQ(Identity::LoadOrCreate(folder / "identity.pem").error().code(), Code::kInvalidArgument);
}

TEST(Identity, SignaturesHoldForTheirMessageAndKeyOnly) {
  const Identity a = Identity::Create();
  const Identity b = Identity::Create();
  const Signature signature = a.Sign(AsBytes("hello"));
  EXPECT_TRUE(VerifySignature(a.id(), AsBytes("hello"), signature));
  EXPECT_FALSE(VerifySignature(a.id(), AsBytes("hellp"), signature));
  EXPECT_FALSE(VerifySignature(b.id(), AsBytes("hello"), signature));
}

class RosterTest : public testing::Test {
 protected:
  static std::vector<RosterEntry> EntriesOf(const Roster& roster) {
    std::vector<RosterEntry> entries;
    for (const auto& [node, entry] : roster.entries()) entries.push_back(entry);
    return entries;
  }
  const Identity a_ = Identity::Create();
  const Identity b_ = Identity::Create();
  const Identity c_ = Identity::Create();
  Roster roster_ = Roster::Found(a_, "a");
};

TEST_F(RosterTest, MembersAdmitAndRevoke) {
  roster_.Admit(a_, b_.id(), "b");
  EXPECT_TRUE(roster_.IsMember(b_.id()));
  ASSERT_TRUE(roster_.Revoke(a_, b_.id()).ok());
  EXPECT_FALSE(roster_.IsMember(b_.id()));
  EXPECT_EQ(roster_.Revoke(a_, c_.id()).error().code(), Code::kNotFound);
  EXPECT_FALSE(roster_.Revoke(a_, a_.id()).ok());
}

TEST_F(RosterTest, AStrangersEntryIsIgnored) {
  const RosterEntry forged = SignEntry(c_, c_.id(), "c", 1, false);
  EXPECT_FALSE(roster_.Merge({&forged, 1}));
  RosterEntry altered = SignEntry(a_, c_.id(), "c", 1, false);
  altered.name = "d";
  EXPECT_FALSE(roster_.Merge({&altered, 1}));
  EXPECT_FALSE(roster_.IsMember(c_.id()));
}

TEST_F(RosterTest, ARevokedNodeAdmitsNobody) {
  roster_.Admit(a_, b_.id(), "b");
  ASSERT_TRUE(roster_.Revoke(a_, b_.id()).ok());
  const RosterEntry entry = SignEntry(b_, c_.id(), "c", 1, false);
  EXPECT_FALSE(roster_.Merge({&entry, 1}));
}

TEST_F(RosterTest, RevocationWinsWhateverTheOrder) {
  Roster other = roster_;
  const RosterEntry admitted = roster_.Admit(a_, b_.id(), "b");
  const RosterEntry revoked = roster_.Revoke(a_, b_.id()).value();
  const std::vector<RosterEntry> backwards = {revoked, admitted};
  EXPECT_TRUE(other.Merge(backwards));
  EXPECT_EQ(other, roster_);
  EXPECT_FALSE(other.Merge(backwards)) << "nothing new the second time";
}

TEST_F(RosterTest, ABatchMayHoldASignerBeforeItsOwnEntry) {
  Roster other = roster_;
  roster_.Admit(a_, b_.id(), "b");
  roster_.Admit(b_, c_.id(), "c");
  std::vector<RosterEntry> entries = EntriesOf(roster_);
  std::sort(entries.begin(), entries.end(),
            [](const auto& x, const auto& y) { return x.name > y.name; });
  EXPECT_TRUE(other.Merge(entries));
  EXPECT_TRUE(other.IsMember(c_.id()));
}

TEST_F(RosterTest, ComesBackAfterARevocationByANewInvitation) {
  roster_.Admit(a_, b_.id(), "b");
  ASSERT_TRUE(roster_.Revoke(a_, b_.id()).ok());
  EXPECT_EQ(roster_.Admit(a_, b_.id(), "b").generation, 2u);
  EXPECT_TRUE(roster_.IsMember(b_.id()));
}

TEST_F(RosterTest, SurvivesTheDiskAndRefusesDamage) {
  const TemporaryFolder folder;
  roster_.Admit(a_, b_.id(), "b");
  ASSERT_TRUE(SaveRoster(folder / "roster.json", roster_).ok());
  EXPECT_EQ(LoadRoster(folder / "roster.json").value(), roster_);
  std::string text = os::ReadFile(folder / "roster.json").value();
  text.replace(text.find("\"b\""), 3, "\"x\"");
  ASSERT_TRUE(os::WriteFileAtomically(folder / "roster.json", AsBytes(text)).ok());
  EXPECT_FALSE(LoadRoster(folder / "roster.json").ok());
}

TEST(Invitation, CodeRoundTripsThroughHumanHands) {
  os::FakeClock clock;
  InvitationBook book(clock);
  const Identity inviter = Identity::Create();
  const Invitation made = book.Open(inviter.id(), {{{192, 168, 1, 7}, 7412}}).value();
  std::string code = made.ToCode();
  std::transform(code.begin(), code.end(), code.begin(), ::toupper);
  const auto parsed = Invitation::Parse(" " + code);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(parsed->secret, made.secret);
  EXPECT_EQ(parsed->addresses, made.addresses);
  EXPECT_FALSE(Invitation::Parse("hello").ok());
  EXPECT_FALSE(Invitation::Parse(code.substr(0, code.size() - 3)).ok());
  EXPECT_FALSE(Invitation::Parse(std::string(10000, 'a')).ok());
}

TEST(Invitation, AdmitsOnceAndDies) {
  os::FakeClock clock;
  InvitationBook book(clock);
  const Invitation made = book.Open(Identity::Create().id(), {}).value();
  const Bytes exporter(32, 7);
  const auto proof = Hmac(made.secret, exporter);
  EXPECT_FALSE(book.Redeem(Bytes(32, 8), proof)) << "a proof made for another connection";
  EXPECT_TRUE(book.Redeem(exporter, proof));
  EXPECT_FALSE(book.Redeem(exporter, proof)) << "used";
  const Invitation late = book.Open(Identity::Create().id(), {}).value();
  clock.Advance(InvitationBook::kLifetime);
  EXPECT_FALSE(book.Redeem(exporter, Hmac(late.secret, exporter)));
  EXPECT_FALSE(book.AnyOpen());
}

TEST(Invitation, GuessingClosesTheBook) {
  os::FakeClock clock;
  InvitationBook book(clock);
  const Invitation made = book.Open(Identity::Create().id(), {}).value();
  const Bytes exporter(32, 7);
  for (int i = 0; i < InvitationBook::kFailuresMax; ++i)
    EXPECT_FALSE(book.Redeem(exporter, Bytes(32, static_cast<uint8_t>(i))));
  EXPECT_FALSE(book.Redeem(exporter, Hmac(made.secret, exporter)));
}

TEST(Probe, GrowsUntilTheTimeIsTrustworthy) {
  ProbePlan plan;
  ProbeReport report;
  report.set_bytes(1'500'000);
  report.set_elapsed_us(1500);
  EXPECT_EQ(plan.OnReport(report), std::nullopt);
  EXPECT_GT(plan.bytes(), ProbePlan::kFirstBytes);
  report.set_elapsed_us(100'000);
  EXPECT_DOUBLE_EQ(plan.OnReport(report).value(), 15e6);
}

TEST(Probe, MeterCountsTheLastThreeQuarters) {
  ProbeMeter meter;
  ProbeStart start;
  start.set_probe_id(9);
  start.set_bytes(400);
  meter.OnStart(start, 0);
  os::TimePoint now{};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(meter.OnBytes(100, 0, now += milliseconds(10)), std::nullopt);
  const auto report = meter.OnBytes(100, 0, now += milliseconds(10));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->bytes(), 300u);
  EXPECT_EQ(report->elapsed_us(), 30'000u);
  EXPECT_EQ(meter.OnBytes(100, 0, now), std::nullopt) << "bytes that nobody announced";
}

TEST(Probe, SaysThatItMetOthers) {
  ProbeMeter meter;
  ProbeStart start;
  start.set_bytes(2000);
  const os::TimePoint now{std::chrono::hours(1)};
  const auto crowded = [&](uint64_t before, uint64_t after) {
    meter.OnStart(start, before);
    EXPECT_EQ(meter.OnBytes(1000, (before + after) / 2, now), std::nullopt);
    return meter.OnBytes(1000, after, now)->crowded();
  };
  EXPECT_FALSE(crowded(0, 0));
  EXPECT_FALSE(crowded(5000, 5000)) << "that was before";
  EXPECT_FALSE(crowded(5000, 5100)) << "a twentieth is not many";
  EXPECT_TRUE(crowded(5000, 5101));
}

TEST(Probe, OfAKnownLinkLastsLongEnoughToTrust) {
  EXPECT_EQ(ProbePlan(1e3).bytes(), 4 * kProbeFrameBytes);
  const uint64_t bytes = ProbePlan(1e9).bytes();
  EXPECT_EQ(bytes % kProbeFrameBytes, 0U);
  ProbeReport report;  // the last three quarters
  report.set_bytes(bytes * 3 / 4);
  report.set_elapsed_us(report.bytes() / 1000);
  EXPECT_TRUE(ProbePlan(1e9).OnReport(report).has_value());
  EXPECT_EQ(ProbePlan(1e15).bytes(), ProbePlan::kMostBytes);
}

TEST(LinkMeter, TheLeastRoundTripOfTheLastMinutes) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::hours(1)};
  EXPECT_EQ(meter.rtt_min_us(), 0);
  meter.OnRoundTrip(now, 80);
  meter.OnRoundTrip(now, 300);
  EXPECT_EQ(meter.rtt_min_us(), 80);
  EXPECT_GT(meter.rtt_ewma_us(), 80);
  // The way has become longer, for good.
  for (int i = 0; i < 300; ++i) meter.OnRoundTrip(now += std::chrono::seconds(1), 500);
  EXPECT_EQ(meter.rtt_min_us(), 500);
}

// The first round trips are those of a link that sets itself up and is probed.
TEST(LinkMeter, AShorterRoundTripIsNews) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::hours(1)};
  meter.OnRoundTrip(now, 1200);
  EXPECT_FALSE(meter.OnSent(now, 0, false)) << "nothing is known of the bandwidth yet";
  EXPECT_TRUE(meter.OnProbed(now, 1e9, 0.1));
  EXPECT_FALSE(meter.OnSent(now, 0, false));
  meter.OnRoundTrip(now, 1000);
  EXPECT_FALSE(meter.OnSent(now, 0, false));
  meter.OnRoundTrip(now, 200);
  EXPECT_TRUE(meter.OnSent(now, 0, false));
  EXPECT_FALSE(meter.OnSent(now, 0, false)) << "told";
  meter.OnRoundTrip(now, 185);
  EXPECT_FALSE(meter.OnSent(now, 0, false));
}

TEST(LinkMeter, ProbesTakeLessThanAHundredthOfEveryLink) {
  for (const double bytes_per_s : {1e5, 1e7, 1e9, 1e10}) {
    LinkMeter meter;
    os::TimePoint now{std::chrono::hours(1)};
    const os::TimePoint began = now;
    double probing_s = 0;
    int probes = 0;
    EXPECT_FALSE(meter.ProbeDue(now)) << "the first is not the meter's to ask for";
    meter.OnProbed(now, bytes_per_s, 0.1);
    while (now < began + std::chrono::hours(24)) {
      now += std::chrono::seconds(1);
      meter.OnSent(now, 0, false);
      if (!meter.ProbeDue(now)) continue;
      const double seconds = static_cast<double>(ProbePlan(bytes_per_s).bytes()) / bytes_per_s;
      probing_s += seconds;
      ++probes;
      meter.OnProbed(now, bytes_per_s, seconds);
    }
    EXPECT_GT(probes, 10) << bytes_per_s;
    EXPECT_LT(probing_s / os::SecondsBetween(began, now), 0.01) << bytes_per_s;
  }
}

TEST(LinkMeter, WhatIsToldIsNotProbedAndWhatIsSeenCountsMore) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::seconds(5)};
  meter.Tell(1e8);
  EXPECT_TRUE(meter.settled());
  EXPECT_TRUE(meter.OnSent(now, 0, false)) << "news for those who do not know it yet";
  EXPECT_EQ(meter.bytes_per_s(), 1e8);
  for (int i = 1; i <= 5; ++i) {
    now += std::chrono::hours(1);
    EXPECT_FALSE(meter.ProbeDue(now));
  }
  now += std::chrono::seconds(1);
  meter.OnSent(now, 0, true);
  now += std::chrono::seconds(1);
  EXPECT_TRUE(meter.OnSent(now, 200'000'000, true));
  EXPECT_EQ(meter.bytes_per_s(), 2e8);
}

TEST(LinkMeter, ACrowdedProbeIsAFloorAndRepeatedSoon) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::hours(1)};
  EXPECT_TRUE(meter.OnCrowded(now, 3e7, 0.5));
  EXPECT_EQ(meter.bytes_per_s(), 3e7);
  std::vector<double> pauses;
  for (int i = 0; i < 12; ++i) {
    const os::TimePoint before = now;
    while (!meter.ProbeDue(now)) now += milliseconds(10);
    pauses.push_back(os::SecondsBetween(before, now));
    EXPECT_FALSE(meter.OnCrowded(now, 1e7, 0.5)) << "less than it is known to carry";
  }
  EXPECT_LT(pauses.front(), 1);
  EXPECT_GT(pauses.back(), 30) << "who always meets others does not insist";
  EXPECT_EQ(meter.bytes_per_s(), 3e7);
  EXPECT_FALSE(meter.settled());
  EXPECT_TRUE(meter.OnProbed(now, 9e7, 0.06));
  EXPECT_TRUE(meter.settled());
  EXPECT_EQ(meter.bytes_per_s(), 9e7);
}

TEST(ProbeBudget, ManyLinksOfANodeTakeNoMoreThanOne) {
  ProbeBudget budget;
  std::vector<LinkMeter> links(31);
  os::TimePoint now{std::chrono::hours(1)};
  const os::TimePoint began = now;
  for (LinkMeter& link : links) link.OnProbed(now, 1e9, 0.1);
  double probing_s = 0;
  std::vector<int> probes(links.size());
  while (now < began + std::chrono::hours(24)) {
    now += std::chrono::seconds(1);
    LinkMeter* next = nullptr;
    for (LinkMeter& link : links) {
      link.OnSent(now, 0, false);
      if (!link.ProbeDue(now) || !budget.Free(now)) continue;
      if (next == nullptr || link.due_since() < next->due_since()) next = &link;
    }
    if (next == nullptr) continue;
    const auto bytes = static_cast<double>(ProbePlan(1e9).bytes());
    budget.Take(now, bytes, 1e9);
    next->OnProbed(now, 1e9, bytes / 1e9);
    probing_s += bytes / 1e9;
    ++probes[static_cast<size_t>(next - links.data())];
  }
  EXPECT_LT(probing_s / os::SecondsBetween(began, now), 0.01);
  EXPECT_THAT(probes, testing::Each(testing::Gt(90))) << "each some hundred times a day";
}

TEST(LinkMeter, ABusyLinkIsLeftAloneAndTellsWhatItCarries) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::hours(1)};
  EXPECT_TRUE(meter.OnProbed(now, 1e8, 0.06));
  EXPECT_FALSE(meter.OnProbed(now, 1.05e8, 0.06)) << "no news";
  uint64_t sent = 0;
  int news = 0;
  for (int i = 0; i < 1000; ++i) {
    now += milliseconds(100);
    news += meter.OnSent(now, sent += 20'000'000, true);
    EXPECT_FALSE(meter.ProbeDue(now));
  }
  EXPECT_NEAR(meter.bytes_per_s(), 2e8, 1);
  EXPECT_EQ(news, 1);
  // A trickle is no measure of a link.
  for (int i = 0; i < 10; ++i) meter.OnSent(now += milliseconds(100), sent += 1000, false);
  EXPECT_NEAR(meter.bytes_per_s(), 2e8, 1);
  EXPECT_FALSE(meter.ProbeDue(now + milliseconds(500)));
  EXPECT_TRUE(meter.ProbeDue(now + std::chrono::seconds(3)));
  EXPECT_TRUE(meter.OnProbed(now, 0.5e8, 0.06)) << "as fast as it was, at most";
  EXPECT_NEAR(meter.bytes_per_s(), 1.05e8, 1);
  EXPECT_TRUE(meter.OnProbed(now, 0.5e8, 0.06)) << "it has become slower";
  EXPECT_NEAR(meter.bytes_per_s(), 0.5e8, 1);
}

TEST(LinkMeter, OneSlowProbeIsRepeatedBeforeItIsBelieved) {
  LinkMeter meter;
  os::TimePoint now{std::chrono::hours(1)};
  const auto pause = [&] {
    const os::TimePoint before = now;
    while (!meter.ProbeDue(now)) now += milliseconds(100);
    return os::SecondsBetween(before, now);
  };
  EXPECT_TRUE(meter.OnProbed(now, 0.6e8, 0.06));
  EXPECT_NEAR(pause(), 3, 0.2);
  EXPECT_TRUE(meter.OnProbed(now, 1e8, 0.06)) << "the first had lost a packet";
  EXPECT_NEAR(meter.bytes_per_s(), 1e8, 1);
  EXPECT_NEAR(pause(), 0.06 / LinkMeter::kProbeShare, 0.2) << "they differ";
  EXPECT_FALSE(meter.OnProbed(now, 0.98e8, 0.06));
  EXPECT_NEAR(pause(), 60, 0.2);
  EXPECT_FALSE(meter.OnProbed(now, 0.7e8, 0.06));
  EXPECT_NEAR(meter.bytes_per_s(), 0.98e8, 1);
  EXPECT_LT(pause(), 20);
  EXPECT_TRUE(meter.OnProbed(now, 0.7e8, 0.06)) << "twice: it is so";
  EXPECT_NEAR(meter.bytes_per_s(), 0.7e8, 1);
}

TEST(HostPort, ParsesWhatPeopleWrite) {
  EXPECT_EQ(ParseHostPort("10.0.0.1", 7412)->port, 7412);
  EXPECT_EQ(ParseHostPort("mac.local:99", 7412)->host, "mac.local");
  EXPECT_EQ(ParseHostPort("[fe80::1%eth0]:99", 7412)->host, "fe80::1%eth0");
  EXPECT_EQ(ParseHostPort("fe80::1", 7412)->host, "fe80::1");
  for (const char* bad : {"", ":1", "a:", "a:0", "a:70000", "a:1x", "[::1", "[::1]x"})
    EXPECT_FALSE(ParseHostPort(bad, 7412).ok()) << bad;
}

// A mesh and what it told.
struct TestNode : MeshEvents {
  TestNode(asio::io_context& io, Identity identity, Roster roster, const std::string& name,
           std::map<std::string, double> told_bytes_per_s = {})
      : mesh(io, std::move(identity), std::move(roster),
             {.name = name, .told_bytes_per_s = std::move(told_bytes_per_s)}, clock, *this) {
    CHECK(mesh.Listen("127.0.0.1", 0).ok());
    mesh.Start();
  }
  void OnPeerUp(const PeerInfo& peer) override { ups.push_back(peer.name); }
  void OnPeerDown(const NodeId&, const Error& reason) override { downs.push_back(reason); }
  void OnFrame(const NodeId&, wire::Frame frame) override { frames.push_back(std::move(frame)); }
  void OnLinkMeasured(const NodeId&) override { ++measured; }

  os::SystemClock clock;
  std::vector<std::string> ups;
  std::vector<Error> downs;
  std::vector<wire::Frame> frames;
  int measured = 0;
  Mesh mesh;
};

class MeshTest : public testing::Test {
 protected:
  MeshTest() : roster_(Roster::Found(ia_, "a")) { roster_.Admit(ia_, ib_.id(), "b"); }
  ~MeshTest() override {
    a_.reset();
    b_.reset();
  }

  void StartBoth() {
    a_ = std::make_unique<TestNode>(io_, ia_, roster_, "a");
    b_ = std::make_unique<TestNode>(io_, ib_, roster_, "b");
  }
  void Introduce() { a_->mesh.AddAddress(ib_.id(), "127.0.0.1", b_->mesh.port()); }

  // Runs the loop until `done` or for `most`; true if done.
  bool RunUntil(const std::function<bool()>& done, milliseconds most = milliseconds(5000)) {
    const auto deadline = std::chrono::steady_clock::now() + most;
    while (!done() && std::chrono::steady_clock::now() < deadline) io_.run_for(milliseconds(10));
    return done();
  }

  asio::io_context io_;
  const Identity ia_ = Identity::Create();
  const Identity ib_ = Identity::Create();
  Roster roster_;
  std::unique_ptr<TestNode> a_;
  std::unique_ptr<TestNode> b_;
};

TEST_F(MeshTest, MembersLinkMeasureAndExchangeFrames) {
  StartBoth();
  Introduce();
  ASSERT_TRUE(RunUntil([&] { return a_->measured > 0 && b_->measured > 0; }));
  EXPECT_THAT(a_->ups, testing::ElementsAre("b"));
  EXPECT_THAT(b_->ups, testing::ElementsAre("a"));
  const LinkStats stats = a_->mesh.StatsOf(ib_.id());
  EXPECT_GT(stats.send_bytes_per_s, 1e6);
  EXPECT_GT(stats.rtt_min_us, 0);

  Bytes large(9 << 20);
  Rng rng(1);
  for (uint8_t& byte : large) byte = static_cast<uint8_t>(rng.Next());
  int sent = 0;
  a_->mesh.Send(ib_.id(), FrameType::kKvChunk, large, [&](const Status& s) { sent += s.ok(); });
  a_->mesh.Send(ib_.id(), FrameType::kCluster, {1, 2, 3}, [&](const Status& s) { sent += s.ok(); });
  ASSERT_TRUE(RunUntil([&] { return b_->frames.size() == 2 && sent == 2; }));
  EXPECT_EQ(b_->frames[0].payload, Bytes({1, 2, 3})) << "small frames overtake large ones";
  EXPECT_EQ(b_->frames[1].payload, large);
}

// What a stage waits for overtakes what has time, but does not starve it; each kind stays in order.
TEST_F(MeshTest, ActivationsOvertakeChunks) {
  StartBoth();
  Introduce();
  ASSERT_TRUE(RunUntil([&] { return a_->measured > 0 && b_->measured > 0; }));
  constexpr uint8_t kChunks = 3, kActivations = 24;
  const auto send = [&](FrameType type, uint8_t number) {
    Bytes payload(1 << 20);
    payload[0] = number;
    a_->mesh.Send(ib_.id(), type, std::move(payload), nullptr);
  };
  for (uint8_t i = 0; i < kChunks; ++i) send(FrameType::kKvChunk, i);
  for (uint8_t i = 0; i < kActivations; ++i) send(FrameType::kActivation, i);
  ASSERT_TRUE(RunUntil([&] { return b_->frames.size() == kChunks + kActivations; }));
  std::vector<size_t> places;  // of the chunks
  uint8_t activations = 0;
  for (size_t i = 0; i < b_->frames.size(); ++i) {
    const wire::Frame& frame = b_->frames[i];
    if (frame.type == FrameType::kKvChunk) {
      EXPECT_EQ(frame.payload[0], places.size());
      places.push_back(i);
    } else {
      EXPECT_EQ(frame.payload[0], activations++);
    }
  }
  ASSERT_EQ(places.size(), kChunks);
  // The first chunk may have left before there was anything to overtake it.
  EXPECT_THAT(places[0], testing::Le(7U));
  EXPECT_EQ(places[1] - places[0], 8U);
  EXPECT_EQ(places[2] - places[1], 8U);
}

// Rows for one node go before chunks for another, of which one byte in eight leaves nevertheless.
TEST_F(MeshTest, ActivationsOvertakeChunksOfOtherLinks) {
  const Identity ic = Identity::Create();
  roster_.Admit(ia_, ic.id(), "c");
  StartBoth();
  TestNode c(io_, ic, roster_, "c");
  a_ = std::make_unique<TestNode>(io_, ia_, roster_, "a",
                                  std::map<std::string, double>{{"b", 1e9}, {"c", 1e9}});
  Introduce();
  a_->mesh.AddAddress(ic.id(), "127.0.0.1", c.mesh.port());
  ASSERT_TRUE(RunUntil([&] { return a_->ups.size() == 2; }));
  RunUntil([] { return false; }, milliseconds(300));  // what was told is looked at now and then
  EXPECT_EQ(a_->mesh.StatsOf(ib_.id()).interface, a_->mesh.StatsOf(ic.id()).interface);
  EXPECT_NE(a_->mesh.StatsOf(ic.id()).interface, "");
  constexpr size_t kChunks = 6, kActivations = 24;
  std::string sent;
  const auto send = [&](const NodeId& to, FrameType type, size_t bytes) {
    a_->mesh.Send(to, type, Bytes(bytes), [&sent, type](const Status& status) {
      ASSERT_TRUE(status.ok());
      sent += type == FrameType::kKvChunk ? 'c' : 'a';
    });
  };
  // The first may have begun to leave before there was anything to wait for.
  for (size_t i = 0; i < kChunks; ++i) send(ic.id(), FrameType::kKvChunk, 1 << 20);
  for (size_t i = 0; i < kActivations; ++i) send(ib_.id(), FrameType::kActivation, 1 << 20);
  ASSERT_TRUE(RunUntil([&] { return sent.size() == kChunks + kActivations; }));
  EXPECT_TRUE(
      RunUntil([&] { return b_->frames.size() == kActivations && c.frames.size() == kChunks; }));
  size_t activations = 0, chunks = 0;
  for (const char each : sent) {
    activations += each == 'a' ? 1 : 0;
    if (each != 'c') continue;
    EXPECT_GE(activations, std::min<size_t>(7 * chunks, 3 * 7)) << sent;
    ++chunks;
  }
  // A token's row holds nobody back.
  sent.clear();
  send(ib_.id(), FrameType::kActivation, 8 << 10);
  send(ic.id(), FrameType::kKvChunk, 1 << 10);
  EXPECT_TRUE(RunUntil([&] { return sent.size() == 2; }));
}

// A link that is slow by itself leaves the port to others, however long its rows are under way.
TEST_F(MeshTest, ASlowLinksActivationsHoldNobodyBack) {
  const Identity ic = Identity::Create();
  roster_.Admit(ia_, ic.id(), "c");
  StartBoth();
  TestNode c(io_, ic, roster_, "c");
  a_ = std::make_unique<TestNode>(io_, ia_, roster_, "a",
                                  std::map<std::string, double>{{"b", 1e6}, {"c", 1e9}});
  Introduce();
  a_->mesh.AddAddress(ic.id(), "127.0.0.1", c.mesh.port());
  ASSERT_TRUE(RunUntil([&] { return a_->ups.size() == 2; }));
  RunUntil([] { return false; }, milliseconds(300));  // what was told is looked at now and then
  size_t activations = 0, chunks = 0, before_the_last_chunk = 0;
  for (int i = 0; i < 6; ++i) {
    a_->mesh.Send(ic.id(), FrameType::kKvChunk, Bytes(1 << 20), [&](const Status&) {
      ++chunks;
      before_the_last_chunk = activations;
    });
  }
  for (int i = 0; i < 24; ++i)
    a_->mesh.Send(ib_.id(), FrameType::kActivation, Bytes(1 << 20),
                  [&](const Status&) { ++activations; });
  ASSERT_TRUE(RunUntil([&] { return activations == 24 && chunks == 6; }));
  EXPECT_LT(before_the_last_chunk, 3 * 7U);
}

TEST_F(MeshTest, BothDialAndOneLinkStays) {
  StartBoth();
  Introduce();
  b_->mesh.AddAddress(ia_.id(), "127.0.0.1", a_->mesh.port());
  ASSERT_TRUE(RunUntil([&] { return a_->measured > 0 && b_->measured > 0; }));
  EXPECT_EQ(a_->mesh.Peers().size(), 1u);
  EXPECT_EQ(b_->mesh.Peers().size(), 1u);
}

TEST_F(MeshTest, ADeadPeerIsNoticedAndFoundAgain) {
  StartBoth();
  Introduce();
  ASSERT_TRUE(RunUntil([&] { return !a_->ups.empty(); }));
  const uint16_t port = b_->mesh.port();
  b_.reset();
  ASSERT_TRUE(RunUntil([&] { return !a_->downs.empty(); }, milliseconds(2000)));
  Status refused;
  a_->mesh.Send(ib_.id(), FrameType::kCluster, {}, [&](const Status& s) { refused = s; });
  RunUntil([&] { return !refused.ok(); });
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
  b_ = std::make_unique<TestNode>(io_, ib_, roster_, "b");
  ASSERT_TRUE(b_->mesh.Listen("127.0.0.1", port).ok());
  EXPECT_TRUE(RunUntil([&] { return a_->ups.size() == 2; }, milliseconds(8000)));
}

TEST_F(MeshTest, AForeignKeyIsRefusedAndNothingChanges) {
  StartBoth();
  const Identity stranger = Identity::Create();
  Roster own = Roster::Found(stranger, "s");
  const RosterEntry a_entry = roster_.entries().at(ia_.id());
  std::vector<RosterEntry> entries = {own.entries().begin()->second, a_entry};
  TestNode intruder(io_, stranger, Roster::Adopt(entries).value(), "s");
  intruder.mesh.AddAddress(ia_.id(), "127.0.0.1", a_->mesh.port());
  RunUntil([] { return false; }, milliseconds(700));
  EXPECT_TRUE(a_->ups.empty());
  EXPECT_TRUE(intruder.ups.empty());
  EXPECT_EQ(a_->mesh.roster(), roster_);
}

TEST_F(MeshTest, RandomBytesOnThePortAreHarmless) {
  StartBoth();
  Rng rng(5);
  for (int i = 0; i < 50; ++i) {
    tcp::socket socket(io_);
    socket.connect({asio::ip::make_address("127.0.0.1"), a_->mesh.port()});
    Bytes noise(rng.Below(2000) + 1);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(rng.Next());
    boost::system::error_code ignored;
    asio::write(socket, asio::buffer(noise), ignored);
    io_.run_for(milliseconds(2));
  }
  Introduce();
  EXPECT_TRUE(RunUntil([&] { return !a_->ups.empty(); })) << "still serving after the noise";
}

TEST_F(MeshTest, JoinByCodeThenRevoke) {
  a_ = std::make_unique<TestNode>(io_, ia_, Roster::Found(ia_, "a"), "a");
  b_ = std::make_unique<TestNode>(io_, ib_, Roster::Found(ib_, "b"), "b");
  const std::string code = a_->mesh.Invite({"127.0.0.1"}).value();
  std::optional<Status> joined;
  b_->mesh.Join(code, {}, [&](Status status) { joined = std::move(status); });
  ASSERT_TRUE(RunUntil([&] { return joined.has_value(); }));
  ASSERT_TRUE(joined->ok()) << joined->error().message();
  b_->mesh.AddAddress(ia_.id(), "127.0.0.1", a_->mesh.port());
  ASSERT_TRUE(RunUntil([&] { return !a_->ups.empty() && !b_->ups.empty(); }));

  const Identity third = Identity::Create();
  TestNode late(io_, third, Roster::Found(third, "late"), "late");
  std::optional<Status> again;
  late.mesh.Join(code, {}, [&](Status status) { again = std::move(status); });
  ASSERT_TRUE(RunUntil([&] { return again.has_value(); }));
  EXPECT_FALSE(again->ok()) << "a code admits one node";

  ASSERT_TRUE(a_->mesh.Revoke(ib_.id()).ok());
  ASSERT_TRUE(RunUntil([&] { return !b_->downs.empty(); }));
  RunUntil([] { return false; }, milliseconds(600));
  EXPECT_EQ(a_->ups.size(), 1u) << "a revoked node does not come back";
}

TEST_F(MeshTest, WhoJoinsKnowsWhereItsInviterIs) {
  a_ = std::make_unique<TestNode>(io_, ia_, Roster::Found(ia_, "a"), "a");
  b_ = std::make_unique<TestNode>(io_, ib_, Roster::Found(ib_, "b"), "b");
  const auto code = a_->mesh.Invite({"127.0.0.1"});
  ASSERT_TRUE(code.ok());
  b_->mesh.Join(*code, {}, [](const Status& status) { EXPECT_TRUE(status.ok()); });
  EXPECT_TRUE(RunUntil([&] { return !a_->ups.empty() && !b_->ups.empty(); }));
}

TEST_F(MeshTest, WhoWasFoundBeforeItWasAMemberIsDialledThen) {
  const Identity ic = Identity::Create();
  a_ = std::make_unique<TestNode>(io_, ia_, roster_, "a");
  b_ = std::make_unique<TestNode>(io_, ib_, roster_, "b");
  TestNode c(io_, ic, Roster::Found(ic, "c"), "c");
  b_->mesh.AddAddress(ic.id(), "127.0.0.1", c.mesh.port());
  Introduce();
  ASSERT_TRUE(RunUntil([&] { return !a_->ups.empty() && !b_->ups.empty(); }));
  const auto code = a_->mesh.Invite({"127.0.0.1"});
  ASSERT_TRUE(code.ok());
  c.mesh.Join(*code, {}, [](const Status& status) { EXPECT_TRUE(status.ok()); });
  EXPECT_TRUE(RunUntil([&] { return b_->mesh.FindPeer(ic.id()).has_value(); }));
}

TEST_F(MeshTest, JoiningOnceDialsNobodyAndReturns) {
  a_ = std::make_unique<TestNode>(io_, ia_, Roster::Found(ia_, "a"), "a");
  const std::string code = a_->mesh.Invite({"127.0.0.1"}).value();
  std::thread inviter([&] { io_.run_for(std::chrono::seconds(30)); });
  const auto roster = JoinOnce(ib_, code, {}, "b");
  io_.stop();
  inviter.join();
  ASSERT_TRUE(roster.ok()) << roster.error().message();
  EXPECT_EQ(roster->member_count(), 2u);
  EXPECT_TRUE(a_->ups.empty());
}

TEST_F(MeshTest, AWrongSecretIsRefused) {
  a_ = std::make_unique<TestNode>(io_, ia_, Roster::Found(ia_, "a"), "a");
  b_ = std::make_unique<TestNode>(io_, ib_, Roster::Found(ib_, "b"), "b");
  Invitation invitation = Invitation::Parse(a_->mesh.Invite({"127.0.0.1"}).value()).value();
  invitation.secret[3] ^= 1;
  std::optional<Status> joined;
  b_->mesh.Join(invitation.ToCode(), {}, [&](Status status) { joined = std::move(status); });
  ASSERT_TRUE(RunUntil([&] { return joined.has_value(); }));
  EXPECT_EQ(joined->error().code(), Code::kPermissionDenied);
  EXPECT_EQ(a_->mesh.roster().member_count(), 1u);
}

// Forwards bytes between a client and a server and keeps what the client said.
class Recorder {
 public:
  Recorder(asio::io_context& io, uint16_t target)
      : acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}), client_(io), server_(io) {
    acceptor_.async_accept(client_, [this, target](auto failed) {
      if (failed) return;
      server_.connect({asio::ip::make_address("127.0.0.1"), target});
      Pump(client_, server_, from_client_, true);
      Pump(server_, client_, from_server_, false);
    });
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  const Bytes& said() const { return said_; }

 private:
  void Pump(tcp::socket& from, tcp::socket& to, std::array<uint8_t, 65536>& buffer, bool keep) {
    from.async_read_some(asio::buffer(buffer), [&, keep](auto failed, size_t count) {
      if (failed) return;
      if (keep) said_.insert(said_.end(), buffer.begin(), buffer.begin() + count);
      boost::system::error_code ignored;
      asio::write(to, asio::buffer(buffer, count), ignored);
      Pump(from, to, buffer, keep);
    });
  }
  tcp::acceptor acceptor_;
  tcp::socket client_, server_;
  std::array<uint8_t, 65536> from_client_, from_server_;
  Bytes said_;
};

TEST_F(MeshTest, AReplayedHandshakeIsRefused) {
  StartBoth();
  Recorder recorder(io_, b_->mesh.port());
  a_->mesh.AddAddress(ib_.id(), "127.0.0.1", recorder.port());
  ASSERT_TRUE(RunUntil([&] { return recorder.said().size() > 500; }));
  const Bytes recorded = recorder.said();
  const size_t ups_before = b_->ups.size();

  tcp::socket replay(io_);
  replay.connect({asio::ip::make_address("127.0.0.1"), b_->mesh.port()});
  boost::system::error_code ignored;
  asio::write(replay, asio::buffer(recorded), ignored);
  RunUntil([] { return false; }, milliseconds(500));
  EXPECT_EQ(b_->ups.size(), ups_before);
  EXPECT_EQ(b_->mesh.roster(), roster_);
}

}  // namespace
}  // namespace baton::net
