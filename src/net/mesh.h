// Mesh: this node's links to the other members of its cluster.
//
// It listens, dials, authenticates, keeps exactly one link per peer, notices silence, spreads the
// roster, measures the links, and carries frames. It knows nothing of what the frames mean. I/O
// thread only, except Send().
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/connection.h"
#include "net/identity.h"
#include "net/invitation.h"
#include "net/roster.h"
#include "wire/frame.h"

namespace baton::net {

struct PeerInfo {
  NodeId id;
  std::string name;
  std::string software_version;
  uint64_t boot_id = 0;
  std::string address;     // where the peer's end of the link is
  uint16_t mesh_port = 0;  // where it listens, 0 if it does not
};

// Measured, never looked up. Zero means not measured yet.
struct LinkStats {
  double rtt_min_us = 0;
  double rtt_ewma_us = 0;
  double send_bytes_per_s = 0;  // large frames, this direction
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  std::string interface;  // of this machine, that it leaves by; empty: not known
};

struct MeshOptions {
  std::string name;
  std::string software_version;
  std::string roster_path;                // empty: kept in memory only
  std::vector<std::string> static_peers;  // "host:port"
  // For laboratories: frames to these peers, by name, are held back for so many microseconds.
  std::map<std::string, double> hold_us;
  // Likewise, what links to these carry: they are not measured.
  std::map<std::string, double> told_bytes_per_s;
  // Likewise, times kSilenceMax and what heartbeats are apart: where the clock is slow, so may be
  // who has to answer.
  double patience = 1;
};

class MeshEvents {
 public:
  virtual ~MeshEvents() = default;
  virtual void OnPeerUp(const PeerInfo& peer) = 0;
  virtual void OnPeerDown(const NodeId& peer, const Error& reason) = 0;
  virtual void OnFrame(const NodeId& from, wire::Frame frame) = 0;
  // The bandwidth towards `peer` has been measured anew.
  virtual void OnLinkMeasured(const NodeId& peer) = 0;
};

class Mesh {
 public:
  // A peer that has been silent for longer is down; its heartbeats are 4 times as frequent.
  static constexpr std::chrono::milliseconds kSilenceMax{1400};

  // `events` and `clock` outlive the mesh, the io_context outlives both.
  Mesh(asio::io_context& io, Identity identity, Roster roster, MeshOptions options,
       const os::Clock& clock, MeshEvents& events);
  ~Mesh();

  // Begins dialling static peers and watching links.
  void Start();
  // Closes every link and listener; no event is told after it returns.
  void Stop();

  // Listens on `address`:`port` (0: any free port) instead of wherever it listened before.
  Status Listen(const std::string& address, uint16_t port);
  uint16_t port() const;

  const NodeId& id() const;
  uint64_t boot_id() const;
  const Roster& roster() const;
  std::vector<PeerInfo> Peers() const;
  std::optional<PeerInfo> FindPeer(const NodeId& peer) const;
  LinkStats StatsOf(const NodeId& peer) const;

  // A hint that `peer` may be reached there (from discovery or gossip). Only members are dialled;
  // hints about others are kept, some hundreds, until they are.
  void AddAddress(const NodeId& peer, const std::string& host, uint16_t port);

  // A one-time code; `hosts` are this node's own IPv4 addresses for it.
  Result<std::string> Invite(const std::vector<std::string>& hosts);
  // Puts a member out, here and, by gossip, everywhere; its links close.
  Status Revoke(const NodeId& node);
  // Takes over the cluster of `roster` (the reply to a join), giving up a cluster of one.
  Status AdoptRoster(Roster roster);
  // Joins with `code`, trying the code's addresses and `hosts` ("host:port").
  void Join(const std::string& code, std::vector<std::string> hosts,
            std::function<void(Status)> done);

  // Any thread. The frame goes out on the lane of its type; `on_sent` is called on the I/O thread:
  // ok once the kernel has it all, kUnavailable if the link is down, kResourceExhausted if too
  // much waits on it already.
  void Send(const NodeId& peer, wire::FrameType type, Bytes payload, OnSent on_sent = {});

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Joins a cluster without a running node: what `baton join` does on a machine where none runs.
// Blocks for a few seconds at most. Addresses as for Mesh::Join.
Result<Roster> JoinOnce(const Identity& identity, const std::string& code,
                        const std::vector<std::string>& hosts, const std::string& name);

// "host:port" or "[v6]:port".
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
Result<HostPort> ParseHostPort(std::string_view text, uint16_t default_port);

// IPv4 addresses of this host that others may reach, loopback excluded.
std::vector<std::string> LocalAddresses();
// The network interface that has this address; empty if none has.
std::string InterfaceOf(const asio::ip::address& address);

}  // namespace baton::net
