#include "apps/baton/lab/relay.h"

#include <algorithm>
#include <deque>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/bytes.h"
#include "os/system.h"

namespace baton::app {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Bytes are carried in pieces that take a port about so long.
constexpr double kPieceSeconds = 2e-4;
constexpr size_t kPieceBytesMin = 4 << 10;
constexpr size_t kPieceBytesMax = 256 << 10;
// What a relay holds beyond what is on its way anyway: a timer is late at times.
constexpr double kSlackSeconds = 4e-3;
constexpr int kSocketBytesMin = 128 << 10;

os::Duration Seconds(double seconds) {
  return std::chrono::duration_cast<os::Duration>(std::chrono::duration<double>(seconds));
}

// One direction of one connection: reads until enough is on its way, and writes what has arrived.
class Flow {
 public:
  Flow(tcp::socket& from, tcp::socket& to, Port& out, Port& in, os::Duration delay)
      : from_(from),
        to_(to),
        out_(out),
        in_(in),
        delay_(delay),
        changed_(from.get_executor(), asio::steady_timer::time_point::max()) {
    const double rate = std::min(out.bytes_per_s(), in.bytes_per_s());
    piece_bytes_ =
        std::clamp(static_cast<size_t>(rate * kPieceSeconds), kPieceBytesMin, kPieceBytesMax);
    const double on_its_way = rate * (std::chrono::duration<double>(delay).count() + kSlackSeconds);
    bytes_max_ = static_cast<size_t>(on_its_way) + 2 * piece_bytes_;
  }

  asio::awaitable<void> Read() {
    for (;;) {
      while (bytes_ >= bytes_max_ && !closed_) co_await Change();
      if (closed_) co_return;
      Bytes piece(piece_bytes_);
      const auto [failed, count] = co_await from_.async_read_some(asio::buffer(piece), kAwait);
      if (failed || closed_) co_return Close();
      piece.resize(count);
      const os::TimePoint now = std::chrono::steady_clock::now();
      bytes_ += count;
      queue_.push_back({ArrivalOf(out_, in_, delay_, now, count), std::move(piece)});
      Tell();
    }
  }

  asio::awaitable<void> Write() {
    asio::steady_timer timer(from_.get_executor());
    for (;;) {
      while (queue_.empty() && !closed_) co_await Change();
      if (queue_.empty()) co_return EndOfWriting();
      if (queue_.front().due > std::chrono::steady_clock::now()) {
        timer.expires_at(queue_.front().due);
        co_await timer.async_wait(kAwait);
      }
      const Bytes piece = std::move(queue_.front().bytes);
      queue_.pop_front();
      const auto [failed, count] = co_await asio::async_write(to_, asio::buffer(piece), kAwait);
      bytes_ -= piece.size();
      Tell();
      if (failed) co_return Close();
    }
  }

 private:
  struct Piece {
    os::TimePoint due;
    Bytes bytes;
  };

  asio::awaitable<void> Change() { co_await changed_.async_wait(kAwait); }
  void Tell() { changed_.cancel(); }
  // What is on its way still arrives.
  void Close() {
    closed_ = true;
    boost::system::error_code ignored;
    from_.shutdown(tcp::socket::shutdown_receive, ignored);
    Tell();
  }
  void EndOfWriting() {
    boost::system::error_code ignored;
    to_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  tcp::socket& from_;
  tcp::socket& to_;
  Port& out_;
  Port& in_;
  const os::Duration delay_;
  size_t piece_bytes_ = 0;
  size_t bytes_max_ = 0;
  std::deque<Piece> queue_;
  size_t bytes_ = 0;            // of the queue and of what is being written
  asio::steady_timer changed_;  // cancelled to wake whoever waits
  bool closed_ = false;
};

// What waits in the kernel is on no wire yet: it should be little.
int SocketBytes(double bytes_per_s) {
  return std::max(kSocketBytesMin, static_cast<int>(std::min(bytes_per_s * kPieceSeconds, 1e8)));
}

void BoundSends(tcp::socket& socket, double bytes_per_s) {
  boost::system::error_code ignored;
  socket.set_option(tcp::socket::send_buffer_size(SocketBytes(bytes_per_s)), ignored);
  socket.set_option(tcp::no_delay(true), ignored);
}

}  // namespace

Port::Passage Port::Pass(os::TimePoint when, size_t bytes) {
  const os::TimePoint begin = std::max(when - Seconds(kBurstSeconds), free_);
  free_ = begin + Seconds(static_cast<double>(bytes) / bytes_per_s_);
  return {std::max(begin, when), std::max(free_, when)};
}

os::TimePoint ArrivalOf(Port& out, Port& in, os::Duration delay, os::TimePoint now, size_t bytes) {
  const Port::Passage sent = out.Pass(now, bytes);
  const Port::Passage taken = in.Pass(sent.begin, bytes);
  return std::max(sent.end, taken.end) + delay;
}

// A relay and its connections, kept alive by what runs in them.
class Relays::Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(asio::io_context& io, NodePorts& from, NodePorts& to, const Link& link)
      : acceptor_(io), from_(from), to_(to), link_(link) {}

  Result<uint16_t> Open() {
    boost::system::error_code failed;
    const tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
    acceptor_.open(any.protocol(), failed);
    // Connections have it from their listener.
    const int bytes = SocketBytes(from_.out.bytes_per_s());
    if (!failed) acceptor_.set_option(tcp::socket::receive_buffer_size(bytes), failed);
    if (!failed) acceptor_.bind(any, failed);
    if (!failed) acceptor_.listen(16, failed);
    if (failed) return MakeError(Code::kUnavailable, "no port for a relay: {}", failed.message());
    asio::co_spawn(
        acceptor_.get_executor(), [self = shared_from_this()] { return self->Accept(); },
        asio::detached);
    return acceptor_.local_endpoint().port();
  }

 private:
  struct Pair {
    Pair(tcp::socket a, tcp::socket b, Listener& listener)
        : near(std::move(a)),
          far(std::move(b)),
          forth(near, far, listener.from_.out, listener.to_.in, listener.link_.delay),
          back(far, near, listener.to_.out, listener.from_.in, listener.link_.delay) {}
    tcp::socket near, far;
    Flow forth, back;
  };

  asio::awaitable<void> Accept() {
    const auto self = shared_from_this();
    for (;;) {
      auto [failed, near] = co_await acceptor_.async_accept(kAwait);
      if (failed) co_return;
      asio::co_spawn(
          acceptor_.get_executor(),
          [self, near = std::move(near)]() mutable { return self->Connect(std::move(near)); },
          asio::detached);
    }
  }

  asio::awaitable<void> Connect(tcp::socket near) {
    const auto self = shared_from_this();
    tcp::socket far(acceptor_.get_executor());
    boost::system::error_code ignored;
    far.open(tcp::v4(), ignored);
    far.set_option(tcp::socket::receive_buffer_size(SocketBytes(to_.out.bytes_per_s())), ignored);
    const tcp::endpoint where(asio::ip::address_v4::loopback(), link_.to_port);
    const auto [failed] = co_await far.async_connect(where, kAwait);
    if (failed) co_return;
    BoundSends(near, from_.in.bytes_per_s());
    BoundSends(far, to_.in.bytes_per_s());
    const auto pair = std::make_shared<Pair>(std::move(near), std::move(far), *this);
    for (Flow* flow : {&pair->forth, &pair->back}) {
      asio::co_spawn(
          acceptor_.get_executor(), [self, pair, flow] { return flow->Read(); }, asio::detached);
      asio::co_spawn(
          acceptor_.get_executor(), [self, pair, flow] { return flow->Write(); }, asio::detached);
    }
  }

  tcp::acceptor acceptor_;
  NodePorts& from_;
  NodePorts& to_;
  const Link link_;
};

Relays::Relays(const std::vector<double>& port_bytes_per_s)
    : work_(asio::make_work_guard(io_)), thread_([this] {
        os::NameThisThread("relays");
        io_.run();
      }) {
  for (const double rate : port_bytes_per_s)
    nodes_.push_back(std::make_unique<NodePorts>(NodePorts{Port(rate), Port(rate)}));
}

Relays::~Relays() {
  io_.stop();
  thread_.join();
}

Result<uint16_t> Relays::Add(const Link& link) {
  return std::make_shared<Listener>(io_, *nodes_[link.from], *nodes_[link.to], link)->Open();
}

}  // namespace baton::app
