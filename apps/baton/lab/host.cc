#include "apps/baton/lab/host.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include "net/identity.h"
#include "net/tls.h"

namespace baton::app {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr int kTries = 5;
constexpr std::chrono::milliseconds kTry{80};
constexpr size_t kPieceBytes = 1 << 20;

// Beside sending and taking, nodes pack, check and store what they send, and the links' shaping is
// this machine's work too: of what a bare connection carries this much is left.
constexpr double kLeftForLinks = 0.5;
// What stays on a node is neither encrypted nor sent.
constexpr double kLocalAsLink = 0.5;
constexpr double kOwnShareMost = 0.02;
constexpr double kSecondsMost = 300;
constexpr double kSteps[] = {1, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01};

// One end of a connection with a thread of its own.
class End {
 public:
  explicit End(net::TlsSide side) : context_(net::Identity::Create()), side_(side) {}
  ~End() {
    Stop();
    if (thread_.joinable()) thread_.join();
  }

  asio::io_context& io() { return io_; }
  void Begin(asio::ip::tcp::socket socket) {
    stream_ = std::make_unique<net::TlsStream>(std::move(socket), context_,
                                               [](const NodeId&) { return true; });
    asio::co_spawn(io_, Run(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  void Stop() {
    asio::post(io_, [this] {
      boost::system::error_code ignored;
      if (stream_ != nullptr) stream_->socket().close(ignored);
    });
  }
  size_t bytes() const { return bytes_; }

 private:
  asio::awaitable<void> Run() {
    Status status = co_await stream_->Handshake(side_);
    std::vector<uint8_t> piece(kPieceBytes);
    while (status.ok()) {
      if (side_ == net::TlsSide::kServer) {
        status = co_await stream_->Read(piece);
      } else {
        status = co_await stream_->Write(piece);
      }
      if (status.ok()) bytes_ += piece.size();
    }
  }

  asio::io_context io_;
  const net::TlsContext context_;
  const net::TlsSide side_;
  std::unique_ptr<net::TlsStream> stream_;
  std::thread thread_;
  std::atomic<size_t> bytes_{0};
};

std::string GigabitsOf(double bytes_per_s) {
  const double gigabits = bytes_per_s * 8e-9;
  return fmt::format("{:.{}f} Gb/s", gigabits, gigabits < 10 ? 1 : 0);
}

}  // namespace

Result<double> MeasureCarried() {
  End from(net::TlsSide::kClient), to(net::TlsSide::kServer);
  boost::system::error_code failed;
  asio::ip::tcp::acceptor acceptor(to.io());
  const asio::ip::tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
  acceptor.open(any.protocol(), failed);
  if (!failed) acceptor.bind(any, failed);
  if (!failed) acceptor.listen(1, failed);
  asio::ip::tcp::socket dialled(from.io());
  if (!failed) dialled.connect(acceptor.local_endpoint(), failed);
  asio::ip::tcp::socket accepted(to.io());
  if (!failed) acceptor.accept(accepted, failed);
  if (failed)
    return MakeError(Code::kUnavailable, "no connection over the loopback device: {}",
                     failed.message());
  to.Begin(std::move(accepted));
  from.Begin(std::move(dialled));
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const size_t before = to.bytes();
    const Clock::time_point began = Clock::now();
    std::this_thread::sleep_for(kTry);
    const std::chrono::duration<double> took = Clock::now() - began;
    best = std::max(best, static_cast<double>(to.bytes() - before) / took.count());
  }
  if (best == 0) return MakeError(Code::kUnavailable, "nothing crosses the loopback device");
  return best;
}

ChosenSpeed ChooseSpeed(double carried_bytes_per_s, const LabNeed& need) {
  const auto suits = [&](double speed) {
    const double bytes_per_s =
        std::max(need.link_bytes_per_s, need.local_bytes_per_s * kLocalAsLink);
    return bytes_per_s * speed <= carried_bytes_per_s * kLeftForLinks &&
           need.own_share * speed <= kOwnShareMost;
  };
  ChosenSpeed chosen;
  for (const double step : kSteps) {
    chosen.cut_short = step < 1 && need.seconds / step > kSecondsMost;
    if (chosen.cut_short) return chosen;
    chosen.speed = step;
    if (suits(step)) return chosen;
  }
  return chosen;
}

std::string Describe(const ChosenSpeed& chosen, double carried_bytes_per_s, const LabNeed& need) {
  std::string text = fmt::format("this machine carries about {} between two nodes",
                                 GigabitsOf(carried_bytes_per_s));
  text += chosen.speed == 1
              ? "; time runs as in life"
              : fmt::format("; time runs {:.0f} times slower than life", 1 / chosen.speed);
  if (chosen.cut_short) return text + ": slower would be more exact, but take long";
  if (chosen.speed == 1) return text;
  if (need.link_bytes_per_s <= need.local_bytes_per_s * kLocalAsLink)
    return text + ", so that phantoms keep their time";
  return text + fmt::format(", so that links of {} are what they should be",
                            GigabitsOf(need.link_bytes_per_s));
}

}  // namespace baton::app
