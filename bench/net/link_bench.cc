// link_bench [MEGABYTES [PAYLOAD_KILOBYTES]]: what one connection between two nodes carries over
// the loopback device, TLS and frames included, and what each side's I/O thread works for it.
// A link is bound by whichever of the two is busier, or by its network.
#include <cstdlib>
#include <future>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <time.h>

#include "fmt/format.h"
#include "net/connection.h"
#include "net/identity.h"

namespace baton::net {
namespace {

constexpr size_t kQueueMax = 64 << 20;

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// One end on a thread and an I/O loop of its own.
class End {
 public:
  End() : context_(Identity::Create()) {}
  ~End() {
    asio::post(io_, [this] { connection_->Close(MakeError(Code::kUnavailable, "done")); });
    if (thread_.joinable()) thread_.join();
  }

  asio::io_context& io() { return io_; }
  Connection& connection() { return *connection_; }

  // Secures `socket` and does `then` on the I/O thread; its processor time is counted from there.
  void Run(asio::ip::tcp::socket socket, TlsSide side, std::function<void()> then) {
    socket.set_option(asio::ip::tcp::no_delay(true));
    TlsStream stream(std::move(socket), context_, [](const NodeId&) { return true; });
    connection_ = std::make_shared<Connection>(std::move(stream), kQueueMax);
    asio::co_spawn(io_, Begin(side, std::move(then)), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  // On the I/O thread.
  double WorkedSeconds() const { return Seconds(CLOCK_THREAD_CPUTIME_ID) - begun_; }

 private:
  asio::awaitable<void> Begin(TlsSide side, std::function<void()> then) {
    const Status agreed = co_await connection_->stream().Handshake(side);
    CHECK(agreed.ok(), "{}", agreed.error().message());
    begun_ = Seconds(CLOCK_THREAD_CPUTIME_ID);
    then();
  }

  asio::io_context io_;
  const TlsContext context_;
  std::shared_ptr<Connection> connection_;
  std::thread thread_;
  double begun_ = 0;
};

int Main(int argc, char** argv) {
  const size_t total = std::strtoul(argc > 1 ? argv[1] : "2000", nullptr, 10) * 1'000'000;
  const size_t payload = std::strtoul(argc > 2 ? argv[2] : "1000", nullptr, 10) * 1000;
  if (total == 0 || payload == 0 || payload > wire::PayloadMaxOf(wire::FrameType::kKvChunk)) {
    fmt::print(stderr, "usage: link_bench [MEGABYTES [PAYLOAD_KILOBYTES]], both from 1 on\n");
    return 2;
  }
  const size_t frames = (total + payload - 1) / payload;
  End from, to;
  asio::ip::tcp::acceptor acceptor(to.io(), {asio::ip::make_address("127.0.0.1"), 0});
  asio::ip::tcp::socket dialled(from.io());
  dialled.connect(acceptor.local_endpoint());
  asio::ip::tcp::socket accepted = acceptor.accept();

  std::promise<double> arrived, sent;
  size_t received = 0;
  to.Run(std::move(accepted), TlsSide::kServer, [&] {
    const auto take = [&](const wire::Frame&) {
      if (++received == frames) arrived.set_value(to.WorkedSeconds());
    };
    to.connection().Start(take, [](const Error&) {});
  });
  double began = 0;
  size_t left = frames;
  std::function<void(const Status&)> send = [&](const Status& status) {
    CHECK(status.ok());
    if (left-- == 0) return sent.set_value(from.WorkedSeconds());
    from.connection().Send({wire::FrameType::kKvChunk, Bytes(payload)}, send);
  };
  from.Run(std::move(dialled), TlsSide::kClient, [&] {
    from.connection().Start([](const wire::Frame&) {}, [](const Error&) {});
    began = Seconds(CLOCK_MONOTONIC);
    send(OkStatus());
  });
  const double receiver = arrived.get_future().get();
  const double seconds = Seconds(CLOCK_MONOTONIC) - began;
  const double sender = sent.get_future().get();
  const double gigabits = 8e-9 * static_cast<double>(frames * payload);
  fmt::print("{:.1f} Gb/s; the sender alone could {:.1f}, the receiver {:.1f}\n",
             gigabits / seconds, gigabits / sender, gigabits / receiver);
  return 0;
}

}  // namespace
}  // namespace baton::net

int main(int argc, char** argv) {
  return baton::net::Main(argc, argv);
}
