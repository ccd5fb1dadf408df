// Connection: one TLS stream between two nodes, cut into frames. I/O thread only.
//
// Before Start() the handshake reads and writes single frames; after it, frames arrive through
// `on_frame` and leave through a bounded queue. Activations overtake what waits there: a stage
// computes nothing until they arrive, while chunks of KV have until the prompt ends. Of eight
// frames that leave, one is nevertheless of those that wait, so that streams of KV never stand
// still. Of connections with a common port the same holds among them (port.h).
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/port.h"
#include "net/tls.h"
#include "wire/frame.h"

namespace baton::net {

// Called once per frame: ok when its last byte was handed to the kernel, the failure otherwise.
using OnSent = std::function<void(const Status&)>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using OnFrame = std::function<void(wire::Frame)>;
  using OnClose = std::function<void(const Error&)>;

  Connection(TlsStream stream, size_t queue_bytes_max);

  TlsStream& stream() { return stream_; }
  uint64_t sent_bytes() const { return sent_bytes_; }
  uint64_t received_bytes() const { return received_bytes_; }
  // Waiting to be sent.
  size_t queued_bytes() const { return queued_bytes_; }

  // One frame, for the handshake. `proven` as in wire::DecodeFrameHeader.
  asio::awaitable<Result<wire::Frame>> ReadFrame(bool proven);
  asio::awaitable<Status> WriteFrame(wire::FrameType type, std::span<const uint8_t> payload);

  // Frames of Send() are held back for so long: a link that is farther than it is, for
  // laboratories.
  void Hold(std::chrono::steady_clock::duration time) { hold_ = time; }
  // What it leaves through, before Start().
  void LeaveThrough(const std::shared_ptr<Port>& port);
  // What its link carries, as far as that is known: the port weighs it.
  void Tell(double bytes_per_s) { bytes_per_s_ = bytes_per_s; }
  double bytes_per_s() const { return bytes_per_s_; }
  // From now on frames flow until Close() or a failure, which is told to `on_close` once.
  void Start(OnFrame on_frame, OnClose on_close);
  // kResourceExhausted (told through on_sent) if the queue holds more than its bytes already.
  void Send(wire::Frame frame, OnSent on_sent);
  void Close(const Error& reason);
  // Something may leave now that could not before.
  void Wake() { writable_.cancel(); }

 private:
  struct Outgoing {
    wire::Frame frame;
    OnSent on_sent;
    std::chrono::steady_clock::time_point due;
  };
  asio::awaitable<void> ReadLoop();
  asio::awaitable<void> WriteLoop();
  // Until all activations that the port counts have arrived, or none does any more.
  asio::awaitable<void> WatchDelivery();
  static bool IsMany(const wire::Frame& frame) {
    return frame.type == wire::FrameType::kActivation && frame.payload.size() >= Port::kManyBytes;
  }
  void OnWritten(const wire::Frame& frame);
  // Does the port belong to others?
  bool HoldsBack();
  // The next frame that may leave; null if there is none.
  std::deque<Outgoing>* NextQueue();
  // Until when there is none, if nothing else comes.
  std::chrono::steady_clock::time_point NextDue();

  TlsStream stream_;
  const size_t queue_bytes_max_;
  asio::steady_timer writable_;  // cancelled to wake the writer
  std::deque<Outgoing> urgent_;  // activations
  std::deque<Outgoing> queue_;
  int overtaken_ = 0;  // times in a row that frames of `queue_` were
  std::shared_ptr<Port> port_;
  double bytes_per_s_ = 0;
  int many_waiting_ = 0;   // frames with many activations in `urgent_`
  uint64_t many_end_ = 0;  // of the last of those, among the stream's bytes
  bool watches_delivery_ = false;
  std::optional<uint64_t> held_from_;  // bytes that the port had sent when frames began to wait
  size_t queued_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  OnFrame on_frame_;
  OnClose on_close_;
  std::chrono::steady_clock::duration hold_{};
  bool closed_ = false;
};

// Closes a socket when time is up, which fails whatever waits on it; disarmed by its destructor.
class SocketDeadline {
 public:
  SocketDeadline(asio::ip::tcp::socket& socket, std::chrono::milliseconds after);
  ~SocketDeadline() { *armed_ = false; }
  SocketDeadline(const SocketDeadline&) = delete;
  SocketDeadline& operator=(const SocketDeadline&) = delete;

 private:
  // Shared with the timer's handler, which may already be on its way when we are destroyed.
  std::shared_ptr<bool> armed_ = std::make_shared<bool>(true);
  asio::steady_timer timer_;
};

}  // namespace baton::net
