// Links of a laboratory where nodes may have no networks of their own: whoever connects to a relay
// reaches another node, as late and as slowly as the link between the two would have it.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "os/clock.h"

namespace baton::app {

// One direction of a device's port: bytes pass one after the other, at its rate. Pure.
class Port {
 public:
  // After a pause so much of its rate passes at once, as a scheduler wakes late.
  static constexpr double kBurstSeconds = 1e-3;

  explicit Port(double bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  double bytes_per_s() const { return bytes_per_s_; }
  struct Passage {
    os::TimePoint begin, end;  // of the first byte and of the last
  };
  // What may begin at `when`, behind all that was let pass before.
  Passage Pass(os::TimePoint when, size_t bytes);

 private:
  const double bytes_per_s_;
  os::TimePoint free_{};
};

// When bytes that come now are at the other end of a wire between two ports.
os::TimePoint ArrivalOf(Port& out, Port& in, os::Duration delay, os::TimePoint now, size_t bytes);

// One thread, and another that carries bytes.
class Relays {
 public:
  // Ports of that many bytes per second, one for each node.
  explicit Relays(const std::vector<double>& port_bytes_per_s);
  // Closes all connections.
  ~Relays();

  struct Link {
    size_t from = 0;  // the node that connects to the relay
    size_t to = 0;    // the node that it reaches
    uint16_t to_port = 0;
    os::Duration delay{};  // one way
  };
  // The port on loopback where the relay listens. kUnavailable if there is none.
  Result<uint16_t> Add(const Link& link);

 private:
  class Listener;

  struct NodePorts {
    Port out, in;
  };
  std::vector<std::unique_ptr<NodePorts>> nodes_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace baton::app
