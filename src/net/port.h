// Port: the connections that leave through one network interface, and which of them goes first. I/O
// thread only.
//
// What a stage waits for goes before what waits for nothing, on its own connection (connection.h)
// and beside it: while many rows of activations are under way on one connection, the others hold
// back their chunks of KV, since all of it shares the interface's rate. For every seven bytes of
// rows they may nevertheless send one. A token's row is so small that nobody waits for it, and a
// link that takes less than half of what the port carries leaves enough for others.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

namespace baton::net {

class Connection;

class Port {
 public:
  // A frame of activations that is worth waiting for.
  static constexpr size_t kManyBytes = 64 << 10;
  // Bytes of those for one of others.
  static constexpr uint64_t kShare = 7;

  void Add(const std::shared_ptr<Connection>& connection);
  // Many activations are under way on this connection, from here on, if it takes much of the port;
  // until all have arrived.
  void Begin(const Connection& connection);
  void End(const Connection& connection);
  // So many bytes of them were handed to the kernel.
  void OnSent(uint64_t bytes);
  // Of all connections, so far.
  uint64_t sent_bytes() const { return sent_bytes_; }
  // Are they under way on another than this?
  bool IsTaken(const Connection& connection) const {
    return under_way_.size() > under_way_.count(&connection);
  }

 private:
  void WakeAll();

  std::vector<std::weak_ptr<Connection>> connections_;
  std::set<const Connection*> under_way_;
  uint64_t sent_bytes_ = 0;
};

}  // namespace baton::net
