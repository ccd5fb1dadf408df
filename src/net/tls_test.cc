// Two TLS streams with a relay between them that may spoil what passes.
#include "net/tls.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>

#include "base/random.h"

namespace baton::net {
namespace {

using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Passes on what two sockets say to each other until either side hangs up. The coroutines own it.
struct Relay {
  tcp::socket near, far;
  int64_t until_spoiled = -1;  // bytes from near to far until one of them is changed

  static asio::awaitable<void> Run(std::shared_ptr<Relay> relay, bool forth) {
    tcp::socket& from = forth ? relay->near : relay->far;
    tcp::socket& to = forth ? relay->far : relay->near;
    Bytes buffer(8 << 10);
    while (true) {
      auto [failed, count] = co_await from.async_read_some(asio::buffer(buffer), kAwait);
      if (failed) break;
      if (forth) relay->Spoil(std::span(buffer).first(count));
      auto [broken, written] =
          co_await asio::async_write(to, asio::buffer(buffer.data(), count), kAwait);
      if (broken) break;
    }
    boost::system::error_code ignored;
    from.close(ignored);
    to.close(ignored);
  }
  void Spoil(std::span<uint8_t> bytes) {
    if (until_spoiled < 0) return;
    const auto at = static_cast<size_t>(until_spoiled);
    if (at < bytes.size()) bytes[at] ^= 1;
    until_spoiled -= static_cast<int64_t>(bytes.size());
  }
};

class TlsTest : public testing::Test {
 protected:
  TlsTest() : client_(Identity::Create()), server_(Identity::Create()) {}

  // The two streams, shaken hands with; what each said of it.
  std::pair<Status, Status> Connect(Admit client_admits, Admit server_admits) {
    auto [near, near_relay] = SocketPair();
    auto [far, far_relay] = SocketPair();
    relay_ = std::make_shared<Relay>(std::move(near_relay), std::move(far_relay));
    for (const bool forth : {true, false})
      asio::co_spawn(io_, Relay::Run(relay_, forth), asio::detached);
    dialled_.emplace(std::move(near), client_context_, std::move(client_admits));
    accepted_.emplace(std::move(far), server_context_, std::move(server_admits));
    std::pair<Status, Status> agreed;
    Both(
        [&]() -> asio::awaitable<void> {
          agreed.first = co_await dialled_->Handshake(TlsSide::kClient);
          if (!agreed.first.ok()) dialled_->socket().close();
        },
        [&]() -> asio::awaitable<void> {
          agreed.second = co_await accepted_->Handshake(TlsSide::kServer);
          if (!agreed.second.ok()) accepted_->socket().close();
        });
    return agreed;
  }
  void ConnectFriends() {
    const Admit all = [](const NodeId&) { return true; };
    const auto agreed = Connect(all, all);
    ASSERT_TRUE(agreed.first.ok() && agreed.second.ok());
  }

  using Task = std::function<asio::awaitable<void>()>;
  // Until both have ended.
  void Both(const Task& one, const Task& other) {
    int running = 2;
    const auto ended = [&](const std::exception_ptr& failed) {
      CHECK(failed == nullptr);
      if (--running == 0) io_.stop();
    };
    io_.restart();
    asio::co_spawn(io_, one(), ended);
    asio::co_spawn(io_, other(), ended);
    io_.run();
  }

  // Reads what Write() of the same sizes wrote.
  static asio::awaitable<void> Write(TlsStream& stream, uint64_t seed, Status& into) {
    Rng rng(seed);
    for (const size_t size : kSizes) {
      const Bytes sent = RandomBytes(rng, size);
      const size_t head = std::min<size_t>(size, 8);
      into = co_await stream.Write(std::span(sent).first(head), std::span(sent).subspan(head));
      if (!into.ok()) co_return;
    }
  }
  // Counts the bytes that arrived, each of them as it was sent.
  static asio::awaitable<void> Read(TlsStream& stream, uint64_t seed, Status& into, size_t& bytes) {
    Rng rng(seed);
    for (const size_t size : kSizes) {
      Bytes received(size);
      into = co_await stream.Read(received);
      if (!into.ok()) co_return;
      EXPECT_EQ(received, RandomBytes(rng, size)) << size;
      bytes += size;
    }
  }
  static Bytes RandomBytes(Rng& rng, size_t size) {
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Below(256));
    return bytes;
  }
  static constexpr size_t kSizes[] = {
      1, 0, 8, 9, 16384, 16385, 100, (256 << 10) + 8, 70'001, 3 << 20, 262'143, 5};
  static constexpr size_t kSizesTogether =
      1 + 0 + 8 + 9 + 16384 + 16385 + 100 + (256 << 10) + 8 + 70'001 + (3 << 20) + 262'143 + 5;

  std::pair<tcp::socket, tcp::socket> SocketPair() {
    tcp::acceptor acceptor(io_, {asio::ip::make_address("127.0.0.1"), 0});
    tcp::socket dialled(io_);
    dialled.connect(acceptor.local_endpoint());
    return {std::move(dialled), acceptor.accept()};
  }

  asio::io_context io_;
  const Identity client_, server_;
  const TlsContext client_context_{client_}, server_context_{server_};
  std::shared_ptr<Relay> relay_;
  std::optional<TlsStream> dialled_, accepted_;
};

TEST_F(TlsTest, BothKnowEachOtherAndShareKeyingMaterial) {
  ConnectFriends();
  EXPECT_EQ(*dialled_->Peer(), server_.id());
  EXPECT_EQ(*accepted_->Peer(), client_.id());
  EXPECT_EQ(dialled_->Exporter(), accepted_->Exporter());
}

TEST_F(TlsTest, MegabytesOfAnySizeGoBothWaysAtOnce) {
  ConnectFriends();
  Status sent[2], received[2];
  size_t bytes[2] = {};
  const auto side = [&](int i, TlsStream& stream) -> asio::awaitable<void> {
    asio::co_spawn(io_, Write(stream, 10 + i, sent[i]), asio::detached);
    co_await Read(stream, 11 - i, received[i], bytes[i]);
  };
  Both([&] { return side(0, *dialled_); }, [&] { return side(1, *accepted_); });
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(sent[i].ok() && received[i].ok());
    EXPECT_EQ(bytes[i], kSizesTogether);
  }
}

TEST_F(TlsTest, ASpoiledByteEndsTheStreamAndIsNeverRead) {
  for (const size_t after : {0, 3, 4, 100, 20'000, 300'000}) {
    SCOPED_TRACE(after);
    ConnectFriends();
    relay_->until_spoiled = after;
    Status sent, received;
    size_t bytes = 0;
    Both([&] { return Write(*dialled_, 1, sent); },
         [&]() -> asio::awaitable<void> {
           co_await Read(*accepted_, 1, received, bytes);
           accepted_->socket().close();
         });
    EXPECT_FALSE(received.ok());
    EXPECT_LE(bytes, after);
  }
}

TEST_F(TlsTest, APeerThatHangsUpFailsWhatWaitsForIt) {
  ConnectFriends();
  Status received;
  size_t bytes = 0;
  Both([&] { return Read(*accepted_, 1, received, bytes); },
       [&]() -> asio::awaitable<void> {
         dialled_->socket().close();
         co_return;
       });
  EXPECT_EQ(received.error().code(), Code::kUnavailable);
  EXPECT_EQ(bytes, 0u);
}

TEST_F(TlsTest, AKeyThatIsNotAdmittedGetsNoFurther) {
  NodeId asked;
  const auto agreed = Connect([](const NodeId&) { return true; },
                              [&](const NodeId& key) {
                                asked = key;
                                return false;
                              });
  EXPECT_EQ(asked, client_.id());
  ASSERT_FALSE(agreed.second.ok());
  EXPECT_EQ(agreed.second.error().code(), Code::kPermissionDenied);
  const auto other =
      Connect([](const NodeId&) { return false; }, [](const NodeId&) { return true; });
  EXPECT_EQ(other.first.error().code(), Code::kPermissionDenied);
}

}  // namespace
}  // namespace baton::net
