// Ports let bytes pass at their rate, whoever shares them; relays carry bytes whole and no sooner.
#include "apps/baton/lab/relay.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace baton::app {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using os::SecondsBetween;
using std::chrono::milliseconds;

constexpr os::TimePoint kStart{std::chrono::hours(1)};

// When all of `bytes` have passed that wait at the port from `when` on.
os::TimePoint Flood(Port& out, Port& in, os::Duration delay, os::TimePoint when, size_t bytes) {
  os::TimePoint last{};
  for (size_t at = 0; at < bytes; at += 1000) last = ArrivalOf(out, in, delay, when, 1000);
  return last;
}

TEST(Port, TheSlowerEndSetsThePace) {
  for (const auto& [out_rate, in_rate] : {std::pair{1e6, 9e6}, {9e6, 1e6}, {1e6, 1e6}}) {
    Port out(out_rate), in(in_rate);
    const os::TimePoint arrived = Flood(out, in, milliseconds(5), kStart, 1'000'000);
    EXPECT_NEAR(SecondsBetween(kStart, arrived), 1.005, 0.003) << out_rate << ", " << in_rate;
  }
}

TEST(Port, TwoLinksShareThePortThatBothLeadTo) {
  Port first(1e6), second(1e6), in(1e6);
  os::TimePoint last{};
  for (int i = 0; i < 500; ++i) {
    last = std::max(ArrivalOf(first, in, {}, kStart, 1000), last);
    last = std::max(ArrivalOf(second, in, {}, kStart, 1000), last);
  }
  EXPECT_NEAR(SecondsBetween(kStart, last), 1, 0.003);
}

TEST(Port, ASlowSenderHoldsUpNoOther) {
  Port slow(1e4), fast(1e6), in(1e6);
  ArrivalOf(slow, in, {}, kStart, 10'000);  // a second at its own port
  EXPECT_LT(SecondsBetween(kStart, Flood(fast, in, {}, kStart, 100'000)), 0.2);
}

TEST(Port, SavesUpNoMoreThanItsBurst) {
  Port out(1e6), in(1e9);
  Flood(out, in, {}, kStart, 1000);
  const os::TimePoint later = kStart + std::chrono::minutes(1);
  const double seconds = SecondsBetween(later, Flood(out, in, {}, later, 100'000));
  EXPECT_GE(seconds, 0.1 - Port::kBurstSeconds);
  EXPECT_LE(seconds, 0.1);
}

// A node that answers every connection with what it got, to its end.
class Echo {
 public:
  Echo() : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
    thread_ = std::thread([this] {
      tcp::socket socket = acceptor_.accept();
      Bytes some(64 << 10);
      boost::system::error_code failed;
      for (;;) {
        const size_t count = socket.read_some(asio::buffer(some), failed);
        if (failed) return;
        asio::write(socket, asio::buffer(some, count), failed);
      }
    });
  }
  ~Echo() { thread_.join(); }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

TEST(Relays, BytesArriveWholeAndNoSoonerThanTheyMay) {
  constexpr double kTenMegabits = 1.25e6;
  const milliseconds delay(20);
  Echo echo;
  Relays relays({kTenMegabits, kTenMegabits});
  const auto port = relays.Add({.from = 0, .to = 1, .to_port = echo.port(), .delay = delay});
  ASSERT_TRUE(port.ok()) << port.error().message();

  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), *port});
  Bytes sent(250'000), back(sent.size());
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i * 7919 >> 3);
  const auto began = std::chrono::steady_clock::now();
  std::thread writer([&] {
    asio::write(socket, asio::buffer(sent));
    socket.shutdown(tcp::socket::shutdown_send);
  });
  asio::read(socket, asio::buffer(back));
  const double seconds = SecondsBetween(began, std::chrono::steady_clock::now());
  writer.join();
  EXPECT_EQ(back, sent);
  EXPECT_GE(seconds, 0.2 + 0.04 - 2 * Port::kBurstSeconds);
  boost::system::error_code ended;
  socket.read_some(asio::buffer(back), ended);
  EXPECT_EQ(ended, asio::error::eof) << "an end arrives, too";
}

TEST(Relays, AnUnreachableNodeEndsTheConnection) {
  uint16_t nobody = 0;
  {
    asio::io_context io;
    nobody = tcp::acceptor(io, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
  }
  Relays relays({1e6, 1e6});
  const auto port = relays.Add({.from = 0, .to = 1, .to_port = nobody});
  ASSERT_TRUE(port.ok());
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), *port});
  boost::system::error_code ended;
  Bytes some(1);
  socket.read_some(asio::buffer(some), ended);
  EXPECT_TRUE(ended);
}

TEST(Relays, EndWithConnectionsOpen) {
  asio::io_context io;
  tcp::acceptor quiet(io, {asio::ip::address_v4::loopback(), 0});
  tcp::socket socket(io);
  {
    Relays relays({1e6, 1e6});
    const auto port =
        relays.Add({.from = 0, .to = 1, .to_port = quiet.local_endpoint().port(), .delay = {}});
    ASSERT_TRUE(port.ok());
    socket.connect({asio::ip::address_v4::loopback(), *port});
    asio::write(socket, asio::buffer(Bytes(100)));
    tcp::socket there = quiet.accept();
    Bytes some(1);
    asio::read(there, asio::buffer(some));
  }
  boost::system::error_code ended;
  Bytes some(1);
  socket.read_some(asio::buffer(some), ended);
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace baton::app
