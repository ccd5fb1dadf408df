#include "net/mesh.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ifaddrs.h>

#include "base/log.h"
#include "net/handshake.h"
#include "net/link_meter.h"
#include "net/probe.h"
#include "os/system.h"

namespace baton::net {
namespace {

using asio::ip::tcp;
using wire::Frame;
using wire::FrameType;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::milliseconds kHeartbeat{350};
// The first of some pings wakes two processors; tokens find them awake, as the others do. Once in a
// while is enough to know how long they take.
constexpr int kPingsAtOnce = 4;
constexpr std::chrono::seconds kManyPingsEach{10};
constexpr int kProbeFramesAtOnce = 16;
constexpr std::chrono::seconds kProbeMost{5};  // then it holds up no other
constexpr std::chrono::milliseconds kRedialFirst{200};
constexpr std::chrono::milliseconds kRedialMost{5000};
constexpr std::chrono::milliseconds kPatience{1000};  // the higher id lets the lower one dial first
constexpr int kUnprovenMax = 64;
constexpr size_t kAddressesPerPeerMax = 8;
constexpr size_t kStrangersMax = 256;
constexpr int kNotSentLowWater = 256 << 10;

Lane LaneOf(FrameType type) {
  const bool control = type == FrameType::kLink || type == FrameType::kCluster;
  return control ? Lane::kControl : Lane::kBulk;
}

// Keeps the kernel's unsent backlog small: what waits, waits where it can still be counted.
void TuneBulk(TlsStream& stream) {
  ::setsockopt(stream.socket().native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kNotSentLowWater,
               sizeof kNotSentLowWater);
}

struct Link {
  PeerInfo peer;
  uint64_t link_id = 0;
  bool dialled_by_us = false;
  std::array<std::shared_ptr<Connection>, 2> lanes;
  os::TimePoint last_heard{};
  os::TimePoint last_ping{};
  int pings_left = 0;  // of those at once
  os::TimePoint next_many_pings{};
  LinkMeter meter;
  ProbePlan probe_plan;
  ProbeMeter probe_meter;   // of the peer's probes
  uint64_t probe_id = 0;    // of ours under way, 0: none
  uint64_t probe_left = 0;  // bytes not yet given to the lane
  os::TimePoint probe_began{};
  uint64_t probe_others = 0;  // bytes that lanes were given for others meanwhile
  std::string interface;

  bool complete() const { return lanes[0] != nullptr && lanes[1] != nullptr; }
};
using LinkPtr = std::shared_ptr<Link>;

// An address that may lead to a peer.
struct Address {
  HostPort where;
  NodeId peer;  // empty: a static peer that has not answered yet
  bool is_static = false;
  os::TimePoint next_attempt{};
  os::TimePoint known_since{};
  std::chrono::milliseconds backoff = kRedialFirst;
  bool dialling = false;
};

struct Stranger {
  NodeId node;
  HostPort where;
};

}  // namespace

class Mesh::Impl : public std::enable_shared_from_this<Mesh::Impl> {
 public:
  Impl(asio::io_context& io, Identity identity, Roster roster, MeshOptions options,
       const os::Clock& clock, MeshEvents& events)
      : io_(io),
        identity_(std::move(identity)),
        roster_(std::move(roster)),
        options_(std::move(options)),
        clock_(clock),
        events_(events),
        tls_(identity_),
        book_(clock),
        tick_(io),
        boot_id_(os::RandomU64() | 1) {}

  void Start() {
    started_ = true;
    for (const std::string& text : options_.static_peers) {
      const auto where = ParseHostPort(text, 7412);
      if (!where.ok()) {
        log::Warning("static peer: {}", where.error().message());
        continue;
      }
      addresses_.push_back({.where = *where, .is_static = true, .known_since = clock_.Now()});
    }
    asio::co_spawn(
        io_, [self = shared_from_this()] { return self->TickLoop(); }, asio::detached);
  }

  void Stop() {
    stopped_ = true;
    tick_.cancel();
    CloseListener();
    for (auto& [peer, link] : std::exchange(links_, {}))
      CloseLanes(*link, Error(Code::kCancelled, "this node stops"));
    for (auto& [id, link] : std::exchange(half_open_, {}))
      CloseLanes(*link, Error(Code::kCancelled, "this node stops"));
  }

  Status Listen(const std::string& address, uint16_t port) {
    boost::system::error_code failed;
    const auto parsed = asio::ip::make_address(address, failed);
    if (failed) return MakeError(Code::kInvalidArgument, "'{}' is not an IP address", address);
    auto acceptor = std::make_shared<tcp::acceptor>(io_);
    const tcp::endpoint endpoint(parsed, port);
    CloseListener();
    acceptor->open(endpoint.protocol(), failed);
    if (!failed) acceptor->set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed && parsed.is_v6()) acceptor->set_option(asio::ip::v6_only(false), failed);
    if (!failed) acceptor->bind(endpoint, failed);
    if (!failed) acceptor->listen(128, failed);
    if (failed)
      return MakeError(Code::kUnavailable, "cannot listen on {}:{}: {}", address, port,
                       failed.message());
    acceptor_ = acceptor;
    asio::co_spawn(
        io_, [self = shared_from_this(), acceptor] { return self->AcceptLoop(acceptor); },
        asio::detached);
    return OkStatus();
  }

  uint16_t port() const {
    if (acceptor_ == nullptr) return 0;
    boost::system::error_code failed;
    const auto endpoint = acceptor_->local_endpoint(failed);
    return failed ? uint16_t{0} : endpoint.port();
  }

  const NodeId& id() const { return identity_.id(); }
  uint64_t boot_id() const { return boot_id_; }
  const Roster& roster() const { return roster_; }

  std::vector<PeerInfo> Peers() const {
    std::vector<PeerInfo> peers;
    for (const auto& [id, link] : links_) peers.push_back(link->peer);
    return peers;
  }

  std::optional<PeerInfo> FindPeer(const NodeId& peer) const {
    const auto found = links_.find(peer);
    if (found == links_.end()) return std::nullopt;
    return found->second->peer;
  }

  LinkStats StatsOf(const NodeId& peer) const {
    const auto found = links_.find(peer);
    if (found == links_.end()) return {};
    const Link& link = *found->second;
    LinkStats stats{.rtt_min_us = link.meter.rtt_min_us(),
                    .rtt_ewma_us = link.meter.rtt_ewma_us(),
                    .send_bytes_per_s = link.meter.bytes_per_s(),
                    .interface = link.interface};
    for (const auto& lane : link.lanes) {
      stats.sent_bytes += lane->sent_bytes();
      stats.received_bytes += lane->received_bytes();
    }
    return stats;
  }

  void AddAddress(const NodeId& peer, const std::string& host, uint16_t port) {
    if (peer == id() || port == 0) return;
    if (!roster_.IsMember(peer)) return Remember(peer, {host, port});
    size_t known = 0;
    for (const Address& address : addresses_) {
      if (address.where.host == host && address.where.port == port) return;
      if (address.peer == peer) ++known;
    }
    if (known >= kAddressesPerPeerMax) return;
    addresses_.push_back({.where = {host, port}, .peer = peer, .known_since = clock_.Now()});
    DialDue();
  }

  Result<std::string> Invite(const std::vector<std::string>& hosts) {
    std::vector<InvitationAddress> addresses;
    for (const std::string& host : hosts) {
      boost::system::error_code failed;
      const auto address = asio::ip::make_address_v4(host, failed);
      if (failed) return MakeError(Code::kInvalidArgument, "'{}' is not an IPv4 address", host);
      addresses.push_back({address.to_bytes(), port()});
    }
    BATON_ASSIGN_OR_RETURN(const Invitation invitation, book_.Open(id(), std::move(addresses)));
    return invitation.ToCode();
  }

  Status Revoke(const NodeId& node) {
    BATON_ASSIGN_OR_RETURN(const RosterEntry entry, roster_.Revoke(identity_, node));
    RosterChanged();
    return OkStatus();
  }

  Status AdoptRoster(Roster roster) {
    if (!roster.IsMember(id()))
      return MakeError(Code::kPermissionDenied, "the roster of {} members does not hold this node",
                       roster.member_count());
    if (roster_.member_count() > 1)
      return MakeError(Code::kFailedPrecondition,
                       "this node is already in a cluster of {}: revoke it there first",
                       roster_.member_count());
    roster_ = std::move(roster);
    RosterChanged();
    return OkStatus();
  }

  void Join(const std::string& code, std::vector<std::string> hosts,
            std::function<void(Status)> done) {
    asio::co_spawn(
        io_,
        [self = shared_from_this(), code, hosts = std::move(hosts),
         done = std::move(done)]() mutable -> asio::awaitable<void> {
          auto roster = co_await self->JoinAny(std::move(code), std::move(hosts));
          done(roster.ok() ? self->AdoptRoster(*std::move(roster)) : roster.status());
        },
        asio::detached);
  }

  asio::awaitable<Result<Roster>> JoinAny(std::string code, std::vector<std::string> hosts) {
    const auto invitation = Invitation::Parse(code);
    if (!invitation.ok()) co_return invitation.error();
    std::vector<HostPort> targets;
    for (const std::string& host : hosts) {
      auto where = ParseHostPort(host, 7412);
      if (!where.ok()) co_return where.error();
      targets.push_back(*where);
    }
    for (const InvitationAddress& address : invitation->addresses)
      targets.push_back({asio::ip::address_v4(address.ipv4).to_string(), address.port});
    Error last(Code::kUnavailable,
               "the code holds no address: add --peer HOST:PORT of the inviting node");
    for (const HostPort& target : targets) {
      auto roster =
          co_await RequestJoin(target.host, target.port, tls_, *invitation, options_.name);
      if (roster.ok()) {
        for (const auto& [node, entry] : roster->entries()) {
          if (Invitation::HashOf(node) == invitation->key_hash)
            AddAddress(node, target.host, target.port);
        }
        co_return roster;
      }
      last = roster.error();
    }
    co_return last;
  }

  void SendNow(const NodeId& peer, FrameType type, Bytes payload, OnSent on_sent) {
    const auto found = links_.find(peer);
    if (found == links_.end()) {
      if (on_sent) on_sent(MakeError(Code::kUnavailable, "no link to {}", peer.Short()));
      return;
    }
    const Lane lane = LaneOf(type);
    if (lane == Lane::kBulk) {
      for (const auto& [other, link] : links_) link->probe_others += payload.size();
    }
    found->second->lanes[static_cast<size_t>(lane)]->Send({type, std::move(payload)},
                                                          std::move(on_sent));
  }

  asio::io_context& io() { return io_; }

 private:
  // --- Listening ---

  void CloseListener() {
    if (acceptor_ == nullptr) return;
    boost::system::error_code ignored;
    acceptor_->close(ignored);
    acceptor_ = nullptr;
  }

  asio::awaitable<void> AcceptLoop(std::shared_ptr<tcp::acceptor> acceptor) {
    const auto self = shared_from_this();
    while (acceptor->is_open()) {
      auto [failed, socket] = co_await acceptor->async_accept(kAwait);
      if (failed == asio::error::operation_aborted) co_return;
      if (failed || *unproven_ >= kUnprovenMax) {
        // Out of descriptors, or a crowd of strangers: take a breath instead of spinning.
        asio::steady_timer pause(io_, kTick);
        co_await pause.async_wait(kAwait);
        continue;
      }
      asio::co_spawn(
          io_,
          [self, socket = std::move(socket)]() mutable { return self->Serve(std::move(socket)); },
          asio::detached);
    }
  }

  asio::awaitable<void> Serve(tcp::socket socket) {
    const auto self = shared_from_this();
    boost::system::error_code unknown;
    const std::string address = socket.remote_endpoint(unknown).address().to_string();
    const Doorkeeper doorkeeper{
        .is_member = [this](const NodeId& key) { return roster_.IsMember(key); },
        .invitation_open = [this] { return book_.AnyOpen(); },
        .join =
            [this](const NodeId& key, const JoinRequest& request,
                   std::span<const uint8_t> exporter) {
              return DecideJoin(key, request, exporter);
            },
        .our_hello =
            [this](const Hello& theirs) {
              return OurHello(static_cast<Lane>(theirs.lane()), theirs.link_id());
            }};
    ++*unproven_;
    auto greeted = co_await Greet(std::move(socket), tls_, doorkeeper);
    --*unproven_;
    if (stopped_) co_return;
    if (!greeted.ok()) {
      LogRefusal(address, greeted.error());
      co_return;
    }
    Attach(*std::move(greeted), /*dialled_by_us=*/false, address);
  }

  // One line a second at most: a stranger cannot fill the disk.
  void LogRefusal(const std::string& address, const Error& error) {
    if (error.code() == Code::kCancelled) return;
    if (clock_.Now() < next_refusal_line_) return;
    next_refusal_line_ = clock_.Now() + std::chrono::seconds(1);
    log::Warning("refused a connection from {}: {}", address, error.message());
  }

  JoinReply DecideJoin(const NodeId& key, const JoinRequest& request,
                       std::span<const uint8_t> exporter) {
    JoinReply reply;
    if (!book_.Redeem(exporter, AsBytes(request.proof()))) {
      reply.mutable_refused()->set_code(static_cast<uint32_t>(Code::kPermissionDenied));
      reply.mutable_refused()->set_message(
          "the code was used already or is older than 10 minutes: print a new one with "
          "`baton invite`");
      return reply;
    }
    roster_.Admit(identity_, key, request.name().substr(0, kNodeNameMax));
    log::Info("{} ({}) joined the cluster", request.name(), key.Short());
    RosterChanged();
    for (const auto& [node, entry] : roster_.entries()) *reply.add_entries() = ToProto(entry);
    return reply;
  }

  // --- Links ---

  Hello OurHello(Lane lane, uint64_t link_id) const {
    Hello hello;
    hello.set_wire_version(wire::kWireVersion);
    hello.set_software_version(options_.software_version);
    hello.set_name(options_.name);
    hello.set_boot_id(boot_id_);
    hello.set_lane(static_cast<uint32_t>(lane));
    hello.set_link_id(link_id);
    hello.set_mesh_port(port());
    return hello;
  }

  // A greeted connection is one lane; its link is up when both are there.
  void Attach(Greeted greeted, bool dialled_by_us, const std::string& address) {
    const NodeId peer = greeted.peer;
    const auto lane = static_cast<size_t>(greeted.hello.lane());
    LinkPtr& link = half_open_[greeted.hello.link_id()];
    if (link == nullptr) {
      link = std::make_shared<Link>();
      link->peer = {.id = peer,
                    .name = greeted.hello.name(),
                    .software_version = greeted.hello.software_version(),
                    .boot_id = greeted.hello.boot_id(),
                    .address = address,
                    .mesh_port = static_cast<uint16_t>(greeted.hello.mesh_port())};
      link->link_id = greeted.hello.link_id();
      link->dialled_by_us = dialled_by_us;
      link->last_heard = clock_.Now();
    }
    if (link->peer.id != peer || link->lanes[lane] != nullptr) {
      greeted.connection->Close(
          MakeError(Code::kInvalidArgument, "lane {} of the link is taken", lane));
      return;
    }
    link->lanes[lane] = greeted.connection;
    if (!link->complete()) return;
    const LinkPtr complete = link;
    half_open_.erase(complete->link_id);
    Establish(complete);
  }

  // Of two links to one peer the one that the lower id dialled stays; of two dialled by the same
  // side, the newer, since the older must have died unseen.
  bool Prefer(const Link& incoming, const Link& present) const {
    if (incoming.dialled_by_us == present.dialled_by_us) return true;
    const bool we_are_lower = id() < incoming.peer.id;
    return incoming.dialled_by_us == we_are_lower;
  }

  void Establish(const LinkPtr& link) {
    const NodeId peer = link->peer.id;
    const auto present = links_.find(peer);
    if (present != links_.end() && !Prefer(*link, *present->second)) {
      CloseLanes(*link, Error(Code::kCancelled, "a link to this node exists already"));
      return;
    }
    if (present != links_.end()) TakeDown(peer, Error(Code::kCancelled, "replaced by a new link"));
    links_[peer] = link;
    link->last_heard = clock_.Now();
    boost::system::error_code unknown;
    link->interface =
        InterfaceOf(link->lanes[1]->stream().socket().local_endpoint(unknown).address());
    TuneBulk(link->lanes[1]->stream());
    std::shared_ptr<Port>& port = ports_[link->interface];
    if (port == nullptr) port = std::make_shared<Port>();
    link->lanes[1]->LeaveThrough(port);
    const auto hold = options_.hold_us.find(link->peer.name);
    for (const auto& connection : link->lanes) {
      if (hold != options_.hold_us.end())
        connection->Hold(std::chrono::microseconds(std::lround(hold->second)));
      // The link owns the connection, so what the connection keeps must not own the link.
      connection->Start(
          [weak = weak_from_this(), weak_link = std::weak_ptr(link)](Frame frame) {
            const auto self = weak.lock();
            const auto link = weak_link.lock();
            if (self != nullptr && link != nullptr) self->OnFrame(link, std::move(frame));
          },
          [weak = weak_from_this(), link](const Error& reason) {
            if (const auto self = weak.lock()) self->OnLaneClosed(link, reason);
          });
    }
    SendRoster(peer);
    SendPings(*link);
    events_.OnPeerUp(link->peer);
    const auto told = options_.told_bytes_per_s.find(link->peer.name);
    if (told != options_.told_bytes_per_s.end()) link->meter.Tell(told->second);
    ProbeNext();
  }

  void OnLaneClosed(const LinkPtr& link, const Error& reason) {
    const auto present = links_.find(link->peer.id);
    if (present != links_.end() && present->second == link) TakeDown(link->peer.id, reason);
  }

  void TakeDown(const NodeId& peer, const Error& reason) {
    const auto found = links_.find(peer);
    if (found == links_.end()) return;
    const LinkPtr link = found->second;
    links_.erase(found);
    CloseLanes(*link, reason);
    if (!stopped_) events_.OnPeerDown(peer, reason);
  }

  static void CloseLanes(Link& link, const Error& reason) {
    for (const auto& lane : link.lanes) {
      if (lane != nullptr) lane->Close(reason);
    }
  }

  // --- Frames ---

  void OnFrame(const LinkPtr& link, Frame frame) {
    if (stopped_) return;
    link->last_heard = clock_.Now();
    if (frame.type == FrameType::kProbe) return OnProbeBytes(*link, frame.payload.size());
    if (frame.type != FrameType::kLink) return events_.OnFrame(link->peer.id, std::move(frame));
    LinkMessage message;
    if (!message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
      TakeDown(link->peer.id, Error(Code::kInvalidArgument, "a link message that is no protobuf"));
      return;
    }
    OnLinkMessage(link, message);
  }

  void OnLinkMessage(const LinkPtr& owner, const LinkMessage& message) {
    Link& link = *owner;
    switch (message.body_case()) {
      case LinkMessage::kPing: {
        LinkMessage reply;
        reply.mutable_pong()->set_sent_ns(message.ping().sent_ns());
        SendLink(link, Lane::kControl, reply);
        return;
      }
      case LinkMessage::kPong:
        return OnPong(link, message.pong());
      case LinkMessage::kRoster:
        if (roster_.Merge(FromProto(message.roster().entries()))) RosterChanged();
        return;
      case LinkMessage::kProbeStart:
        return link.probe_meter.OnStart(message.probe_start(), ReceivedElsewhere(link));
      case LinkMessage::kProbeReport:
        return OnProbeReport(owner, message.probe_report());
      default:
        return;  // a newer peer's message: ignored by design
    }
  }

  static void SendLink(Link& link, Lane lane, const LinkMessage& message) {
    link.lanes[static_cast<size_t>(lane)]->Send({FrameType::kLink, Serialize(message)}, {});
  }

  void SendPings(Link& link) {
    link.last_ping = clock_.Now();
    link.pings_left = link.last_ping < link.next_many_pings ? 1 : kPingsAtOnce;
    if (link.pings_left > 1) link.next_many_pings = link.last_ping + kManyPingsEach;
    SendPing(link);
  }

  void SendPing(Link& link) {
    --link.pings_left;
    LinkMessage message;
    message.mutable_ping()->set_sent_ns(
        static_cast<uint64_t>(clock_.Now().time_since_epoch().count()));
    SendLink(link, Lane::kControl, message);
  }

  void OnPong(Link& link, const Pong& pong) {
    const auto now = static_cast<uint64_t>(clock_.Now().time_since_epoch().count());
    if (pong.sent_ns() > now) return;
    link.meter.OnRoundTrip(clock_.Now(), static_cast<double>(now - pong.sent_ns()) / 1e3);
    if (link.pings_left > 0) SendPing(link);
  }

  // --- Roster ---

  // Where a node is that may become a member: discovery tells it once, mostly before it joins.
  void Remember(const NodeId& stranger, HostPort where) {
    const auto same = [&](const Stranger& each) {
      return each.node == stranger && each.where.host == where.host &&
             each.where.port == where.port;
    };
    if (std::any_of(strangers_.begin(), strangers_.end(), same)) return;
    if (strangers_.size() >= kStrangersMax) strangers_.pop_front();
    strangers_.push_back({stranger, std::move(where)});
  }

  // Whoever refused may be a member now, or know that we are.
  void DialNewMembers() {
    for (Address& address : addresses_) {
      address.backoff = kRedialFirst;
      address.next_attempt = {};
    }
    for (const Stranger& each : std::exchange(strangers_, {}))
      AddAddress(each.node, each.where.host, each.where.port);
  }

  void SendRoster(const NodeId& peer) {
    LinkMessage message;
    for (const auto& [node, entry] : roster_.entries())
      *message.mutable_roster()->add_entries() = ToProto(entry);
    SendLink(*links_.at(peer), Lane::kControl, message);
  }

  void RosterChanged() {
    if (!options_.roster_path.empty()) {
      const Status saved = SaveRoster(options_.roster_path, roster_);
      if (!saved.ok()) log::Error("roster: {}", saved.error().message());
    }
    std::vector<NodeId> outcasts;
    for (const auto& [peer, link] : links_) {
      SendRoster(peer);
      if (!roster_.IsMember(peer)) outcasts.push_back(peer);
    }
    for (const NodeId& peer : outcasts)
      TakeDown(peer, MakeError(Code::kPermissionDenied, "{} was revoked", peer.Short()));
    DialNewMembers();
  }

  // --- Bandwidth ---

  void StartProbe(const LinkPtr& link) {
    link->probe_id = os::RandomU64() | 1;
    link->probe_left = link->probe_plan.bytes();
    link->probe_began = clock_.Now();
    link->probe_others = 0;
    LinkMessage message;
    message.mutable_probe_start()->set_probe_id(link->probe_id);
    message.mutable_probe_start()->set_bytes(link->probe_plan.bytes());
    SendLink(*link, Lane::kBulk, message);
    for (int i = 0; i < kProbeFramesAtOnce; ++i) SendProbeFrame(link);
  }

  // A few at a time, each of which is followed by another: others need not wait for all of them.
  void SendProbeFrame(const LinkPtr& link) {
    if (link->probe_left == 0) return;
    link->probe_left -= kProbeFrameBytes;
    // The link owns the connection, so what the connection keeps must not own the link.
    link->lanes[1]->Send(
        {FrameType::kProbe, Bytes(kProbeFrameBytes)},
        [weak = weak_from_this(), weak_link = std::weak_ptr(link)](const Status& sent) {
          const auto self = weak.lock();
          const auto link = weak_link.lock();
          if (self != nullptr && link != nullptr && sent.ok()) self->SendProbeFrame(link);
        });
  }

  uint64_t ReceivedElsewhere(const Link& link) const {
    uint64_t bytes = 0;
    for (const auto& [peer, other] : links_) {
      if (other.get() != &link) bytes += other->lanes[1]->received_bytes();
    }
    return bytes;
  }

  void OnProbeBytes(Link& link, uint64_t count) {
    const os::TimePoint now = clock_.Now();
    const auto report = link.probe_meter.OnBytes(count, ReceivedElsewhere(link), now);
    if (!report) return;
    LinkMessage message;
    *message.mutable_probe_report() = *report;
    SendLink(link, Lane::kControl, message);
  }

  void OnProbeReport(const LinkPtr& link, const ProbeReport& report) {
    if (report.probe_id() != link->probe_id) return;
    link->probe_id = 0;
    const os::TimePoint now = clock_.Now();
    const auto bytes = static_cast<double>(link->probe_plan.bytes());
    if (IsDisturbed(link->probe_plan.bytes(), link->probe_others) && link->meter.bytes_per_s() > 0)
      return link->meter.Postpone(now);
    const auto rate = link->probe_plan.OnReport(report);
    if (!rate) return StartProbe(link);
    const bool news = report.crowded() ? link->meter.OnCrowded(now, *rate, Jitter())
                                       : link->meter.OnProbed(now, *rate, bytes / *rate);
    if (news) events_.OnLinkMeasured(link->peer.id);
    ProbeNext();
  }

  static double Jitter() { return static_cast<double>(os::RandomU64() >> 11) * 0x1p-53; }

  // What the bulk lane carries.
  void WatchBandwidth(Link& link) {
    Connection& bulk = *link.lanes[1];
    bulk.Tell(link.meter.bytes_per_s());
    if (link.probe_id != 0) return;
    if (link.meter.OnSent(clock_.Now(), bulk.sent_bytes(), bulk.queued_bytes() > 0))
      events_.OnLinkMeasured(link.peer.id);
  }

  // Measures one link, where it is time and nobody minds: one of which nothing is known, or the one
  // that has waited longest. One at a time, and while nothing else waits to leave: all of it goes
  // through the same port.
  void ProbeNext() {
    const os::TimePoint now = clock_.Now();
    LinkPtr next;
    for (const auto& [peer, link] : links_) {
      const bool probing = link->probe_id != 0;
      if (!probing && link->lanes[1]->queued_bytes() > 0) return;
      if (probing && now - link->probe_began < kProbeMost) return;
      if (probing || !ProbeWanted(*link, now)) continue;
      if (next == nullptr || link->meter.due_since() < next->meter.due_since()) next = link;
    }
    if (next == nullptr) return;
    const double rate = next->meter.bytes_per_s();
    if (rate > 0) next->probe_plan = ProbePlan(rate);
    if (next->meter.settled())
      probe_budget_.Take(now, static_cast<double>(next->probe_plan.bytes()), rate);
    StartProbe(next);
  }

  bool ProbeWanted(const Link& link, os::TimePoint now) const {
    // The first pings come first: behind a probe's frames they would measure its queue.
    if (link.meter.bytes_per_s() == 0) return link.pings_left == 0 && link.meter.rtt_min_us() > 0;
    return link.meter.ProbeDue(now) && (!link.meter.settled() || probe_budget_.Free(now));
  }

  // --- Time ---

  asio::awaitable<void> TickLoop() {
    const auto self = shared_from_this();
    while (!stopped_) {
      WatchLinks();
      DialDue();
      tick_.expires_after(kTick);
      co_await tick_.async_wait(kAwait);
    }
  }

  std::chrono::milliseconds SilenceMax() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(kSilenceMax * options_.patience);
  }

  void WatchLinks() {
    const os::TimePoint now = clock_.Now();
    std::vector<NodeId> silent;
    for (auto& [peer, link] : links_) {
      if (now - link->last_heard > SilenceMax()) silent.push_back(peer);
      if (now - link->last_ping >= kHeartbeat * options_.patience) SendPings(*link);
      WatchBandwidth(*link);
    }
    ProbeNext();
    for (const NodeId& peer : silent)
      TakeDown(peer, MakeError(Code::kUnavailable, "{} has been silent for {} ms", peer.Short(),
                               SilenceMax().count()));
    std::erase_if(half_open_, [&](auto& item) {
      const bool stale = now - item.second->last_heard > 2 * kSilenceMax;
      if (stale) CloseLanes(*item.second, Error(Code::kDeadlineExceeded, "half a link"));
      return stale;
    });
  }

  void DialDue() {
    if (!started_ || stopped_) return;
    const os::TimePoint now = clock_.Now();
    std::erase_if(addresses_, [this](const Address& address) {
      return !address.is_static && !address.dialling && !roster_.IsMember(address.peer);
    });
    for (Address& address : addresses_) {
      const bool linked = !address.peer.empty() && links_.count(address.peer) > 0;
      const bool theirs_to_dial =
          !address.is_static && address.peer < id() && now - address.known_since < kPatience;
      if (linked || address.dialling || address.peer == id() || theirs_to_dial) continue;
      if (now < address.next_attempt) continue;
      address.dialling = true;
      asio::co_spawn(
          io_, [self = shared_from_this(), where = address.where] { return self->DialOne(where); },
          asio::detached);
    }
  }

  asio::awaitable<void> DialOne(HostPort where) {
    const auto self = shared_from_this();
    const Status dialled = co_await DialBothLanes(where);
    if (stopped_) co_return;
    for (Address& address : addresses_) {
      if (address.where.host != where.host || address.where.port != where.port) continue;
      address.dialling = false;
      address.next_attempt = clock_.Now() + address.backoff;
      address.backoff = dialled.ok() ? kRedialFirst : std::min(kRedialMost, address.backoff * 2);
    }
    if (!dialled.ok()) {
      const bool worth_a_line = dialled.error().code() == Code::kFailedPrecondition ||
                                dialled.error().code() == Code::kPermissionDenied;
      if (worth_a_line) LogDialFailure(where, dialled.error());
    }
  }

  void LogDialFailure(const HostPort& where, const Error& error) {
    const std::string line = fmt::format("{}:{}: {}", where.host, where.port, error.message());
    if (!dial_failures_told_.insert(line).second) return;  // once each, not at every attempt
    if (dial_failures_told_.size() > 256) dial_failures_told_.clear();
    log::Warning("cannot link to {}", line);
  }

  asio::awaitable<Status> DialBothLanes(HostPort where) {
    const uint64_t link_id = os::RandomU64() | 1;
    const Admit member = [this](const NodeId& key) { return roster_.IsMember(key); };
    for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
      auto greeted = co_await Dial(where.host, where.port, tls_, member, OurHello(lane, link_id));
      if (!greeted.ok()) co_return greeted.error();
      if (stopped_) co_return OkStatus();
      NotePeerOf(where, greeted->peer);
      if (greeted->peer == id()) co_return OkStatus();  // our own address
      greeted->hello.set_lane(static_cast<uint32_t>(lane));
      greeted->hello.set_link_id(link_id);
      Attach(*std::move(greeted), /*dialled_by_us=*/true, where.host);
    }
    co_return OkStatus();
  }

  void NotePeerOf(const HostPort& where, const NodeId& peer) {
    for (Address& address : addresses_) {
      if (address.where.host == where.host && address.where.port == where.port) address.peer = peer;
    }
  }

  asio::io_context& io_;
  const Identity identity_;
  Roster roster_;
  const MeshOptions options_;
  const os::Clock& clock_;
  MeshEvents& events_;
  const TlsContext tls_;
  InvitationBook book_;
  asio::steady_timer tick_;
  ProbeBudget probe_budget_;
  std::map<std::string, std::shared_ptr<Port>> ports_;  // by interface
  const uint64_t boot_id_;
  std::shared_ptr<tcp::acceptor> acceptor_;
  std::map<NodeId, LinkPtr> links_;
  std::map<uint64_t, LinkPtr> half_open_;
  std::vector<Address> addresses_;
  std::deque<Stranger> strangers_;  // the oldest first
  std::shared_ptr<int> unproven_ = std::make_shared<int>(0);
  os::TimePoint next_refusal_line_{};
  std::set<std::string> dial_failures_told_;
  bool started_ = false;  // else only Join() reaches out
  bool stopped_ = false;
};

Mesh::Mesh(asio::io_context& io, Identity identity, Roster roster, MeshOptions options,
           const os::Clock& clock, MeshEvents& events)
    : impl_(std::make_shared<Impl>(io, std::move(identity), std::move(roster), std::move(options),
                                   clock, events)) {}

Mesh::~Mesh() {
  impl_->Stop();
}

void Mesh::Start() {
  impl_->Start();
}
void Mesh::Stop() {
  impl_->Stop();
}
Status Mesh::Listen(const std::string& address, uint16_t port) {
  return impl_->Listen(address, port);
}
uint16_t Mesh::port() const {
  return impl_->port();
}
const NodeId& Mesh::id() const {
  return impl_->id();
}
uint64_t Mesh::boot_id() const {
  return impl_->boot_id();
}
const Roster& Mesh::roster() const {
  return impl_->roster();
}
std::vector<PeerInfo> Mesh::Peers() const {
  return impl_->Peers();
}
std::optional<PeerInfo> Mesh::FindPeer(const NodeId& peer) const {
  return impl_->FindPeer(peer);
}
LinkStats Mesh::StatsOf(const NodeId& peer) const {
  return impl_->StatsOf(peer);
}
void Mesh::AddAddress(const NodeId& peer, const std::string& host, uint16_t port) {
  impl_->AddAddress(peer, host, port);
}
Result<std::string> Mesh::Invite(const std::vector<std::string>& hosts) {
  return impl_->Invite(hosts);
}
Status Mesh::Revoke(const NodeId& node) {
  return impl_->Revoke(node);
}
Status Mesh::AdoptRoster(Roster roster) {
  return impl_->AdoptRoster(std::move(roster));
}
void Mesh::Join(const std::string& code, std::vector<std::string> hosts,
                std::function<void(Status)> done) {
  impl_->Join(code, std::move(hosts), std::move(done));
}

void Mesh::Send(const NodeId& peer, wire::FrameType type, Bytes payload, OnSent on_sent) {
  asio::dispatch(impl_->io(), [impl = impl_, peer, type, payload = std::move(payload),
                               on_sent = std::move(on_sent)]() mutable {
    impl->SendNow(peer, type, std::move(payload), std::move(on_sent));
  });
}

Result<Roster> JoinOnce(const Identity& identity, const std::string& code,
                        const std::vector<std::string>& hosts, const std::string& name) {
  class Deaf final : public MeshEvents {
    void OnPeerUp(const PeerInfo&) override {}
    void OnPeerDown(const NodeId&, const Error&) override {}
    void OnFrame(const NodeId&, Frame) override {}
    void OnLinkMeasured(const NodeId&) override {}
  };
  asio::io_context io;
  Deaf deaf;
  os::SystemClock clock;
  Mesh mesh(io, identity, Roster::Found(identity, name), {.name = name}, clock, deaf);
  Status joined = Error(Code::kInternal, "the join did not run");
  mesh.Join(code, hosts, [&joined](Status status) { joined = std::move(status); });
  io.run();
  BATON_RETURN_IF_ERROR(joined);
  return mesh.roster();
}

Result<HostPort> ParseHostPort(std::string_view text, uint16_t default_port) {
  const Error malformed =
      MakeError(Code::kInvalidArgument, "'{}' is not HOST:PORT (or [IPV6]:PORT)", text);
  std::string_view host = text;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return malformed;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return malformed;
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return malformed;
  } else if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    const bool bare_ipv6 = text.find(':') != colon;
    if (!bare_ipv6) {
      host = text.substr(0, colon);
      port = text.substr(colon + 1);
      if (port.empty()) return malformed;
    }
  }
  if (host.empty()) return malformed;
  HostPort result{std::string(host), default_port};
  if (port.empty()) return result;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size() || result.port == 0)
    return malformed;
  return result;
}

namespace {

struct InterfaceAddress {
  std::string interface;
  asio::ip::address address;
  bool is_reachable = false;  // from other machines
};

std::vector<InterfaceAddress> InterfaceAddresses() {
  std::vector<InterfaceAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    const bool reachable = (at->ifa_flags & IFF_UP) != 0 && (at->ifa_flags & IFF_LOOPBACK) == 0;
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      addresses.push_back(
          {at->ifa_name, asio::ip::address_v4(ntohl(v4->sin_addr.s_addr)), reachable});
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::copy_n(v6->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      addresses.push_back({at->ifa_name, asio::ip::address_v6(bytes), reachable});
    }
  }
  ::freeifaddrs(list);
  return addresses;
}

// Without the scope of a link-local one; and as what it is where a socket of both kinds says so.
asio::ip::address Plain(const asio::ip::address& address) {
  if (!address.is_v6()) return address;
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
  return asio::ip::address_v6(v6.to_bytes());
}

}  // namespace

std::vector<std::string> LocalAddresses() {
  std::vector<std::string> texts;
  for (const InterfaceAddress& each : InterfaceAddresses()) {
    if (each.is_reachable && each.address.is_v4()) texts.push_back(each.address.to_string());
  }
  return texts;
}

std::string InterfaceOf(const asio::ip::address& address) {
  const asio::ip::address wanted = Plain(address);
  for (const InterfaceAddress& each : InterfaceAddresses()) {
    if (each.address == wanted) return each.interface;
  }
  return {};
}

}  // namespace baton::net
