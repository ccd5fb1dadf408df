#include "net/connection.h"

#include <algorithm>
#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace baton::net {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// A payload grows with what has arrived, so that a header alone cannot claim 64 MiB.
constexpr size_t kReadStep = 4 << 20;
// Frames that are overtaken so often in a row are next.
constexpr int kOvertakenMost = 7;
constexpr std::chrono::milliseconds kDeliveryLook{1};
// Nobody waits longer for a peer that takes nothing.
constexpr std::chrono::milliseconds kDeliveryStalls{250};

}  // namespace

Connection::Connection(TlsStream stream, size_t queue_bytes_max)
    : stream_(std::move(stream)),
      queue_bytes_max_(queue_bytes_max),
      writable_(stream_.socket().get_executor(), asio::steady_timer::time_point::max()) {}

asio::awaitable<Result<wire::Frame>> Connection::ReadFrame(bool proven) {
  std::array<uint8_t, wire::kFrameHeaderBytes> bytes;
  const Status began = co_await stream_.Read(bytes);
  if (!began.ok()) co_return began.error();
  const auto header = wire::DecodeFrameHeader(bytes, proven);
  if (!header.ok()) co_return header.error();
  wire::Frame frame{header->type, {}};
  while (frame.payload.size() < header->payload_bytes) {
    const size_t have = frame.payload.size();
    const size_t step = std::min<size_t>(header->payload_bytes - have, kReadStep);
    frame.payload.resize(have + step);
    const Status read = co_await stream_.Read(std::span(frame.payload).subspan(have));
    if (!read.ok()) co_return read.error();
  }
  received_bytes_ += bytes.size() + frame.payload.size();
  co_return frame;
}

asio::awaitable<Status> Connection::WriteFrame(wire::FrameType type,
                                               std::span<const uint8_t> payload) {
  const auto header = wire::EncodeFrameHeader({type, static_cast<uint32_t>(payload.size())});
  sent_bytes_ += header.size() + payload.size();
  co_return co_await stream_.Write(header, payload);
}

void Connection::LeaveThrough(const std::shared_ptr<Port>& port) {
  port_ = port;
  port_->Add(shared_from_this());
}

void Connection::Start(OnFrame on_frame, OnClose on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  asio::co_spawn(
      stream_.socket().get_executor(), [self = shared_from_this()] { return self->ReadLoop(); },
      asio::detached);
  asio::co_spawn(
      stream_.socket().get_executor(), [self = shared_from_this()] { return self->WriteLoop(); },
      asio::detached);
}

asio::awaitable<void> Connection::ReadLoop() {
  const auto self = shared_from_this();
  while (!closed_) {
    auto frame = co_await ReadFrame(true);
    if (!frame.ok()) {
      Close(frame.error());
      co_return;
    }
    if (!closed_) on_frame_(*std::move(frame));
  }
}

std::deque<Connection::Outgoing>* Connection::NextQueue() {
  const auto may_leave = [&](const std::deque<Outgoing>& queue) {
    return !queue.empty() &&
           (hold_.count() == 0 || queue.front().due <= std::chrono::steady_clock::now());
  };
  const bool waiting = may_leave(queue_) && !HoldsBack();
  if (may_leave(urgent_) && !(waiting && overtaken_ >= kOvertakenMost)) {
    overtaken_ += waiting ? 1 : 0;
    return &urgent_;
  }
  overtaken_ = 0;
  return waiting ? &queue_ : nullptr;
}

bool Connection::HoldsBack() {
  if (port_ == nullptr || !port_->IsTaken(*this)) {
    held_from_.reset();
    return false;
  }
  if (!held_from_) held_from_ = port_->sent_bytes();
  return port_->sent_bytes() - *held_from_ < Port::kShare * queue_.front().frame.payload.size();
}

asio::steady_timer::time_point Connection::NextDue() {
  auto due = asio::steady_timer::time_point::max();
  if (!urgent_.empty()) due = urgent_.front().due;
  if (!queue_.empty() && !HoldsBack()) due = std::min(due, queue_.front().due);
  return due;
}

void Connection::OnWritten(const wire::Frame& frame) {
  if (port_ == nullptr) return;
  if (!IsMany(frame)) {
    if (frame.type != wire::FrameType::kActivation) held_from_.reset();
    return;
  }
  --many_waiting_;
  many_end_ = stream_.written_bytes();
  port_->OnSent(frame.payload.size());
  if (std::exchange(watches_delivery_, true)) return;
  asio::co_spawn(
      stream_.socket().get_executor(),
      [self = shared_from_this()] { return self->WatchDelivery(); }, asio::detached);
}

asio::awaitable<void> Connection::WatchDelivery() {
  const auto self = shared_from_this();
  asio::steady_timer timer(stream_.socket().get_executor());
  uint64_t delivered = 0;
  auto progress_at = std::chrono::steady_clock::now();
  while (!closed_ && (many_waiting_ > 0 || stream_.delivered_bytes() < many_end_)) {
    const auto now = std::chrono::steady_clock::now();
    if (std::exchange(delivered, stream_.delivered_bytes()) != delivered) progress_at = now;
    if (now - progress_at > kDeliveryStalls) break;
    timer.expires_after(kDeliveryLook);
    co_await timer.async_wait(kAwait);
  }
  watches_delivery_ = false;
  port_->End(*this);
}

asio::awaitable<void> Connection::WriteLoop() {
  const auto self = shared_from_this();
  while (!closed_) {
    std::deque<Outgoing>* queue = NextQueue();
    if (queue == nullptr) {
      writable_.expires_at(NextDue());
      co_await writable_.async_wait(kAwait);
      continue;
    }
    Outgoing next = std::move(queue->front());
    queue->pop_front();
    const Status written = co_await WriteFrame(next.frame.type, next.frame.payload);
    queued_bytes_ -= next.frame.payload.size();
    OnWritten(next.frame);
    if (next.on_sent) next.on_sent(written);
    if (!written.ok()) Close(written.error());
  }
}

void Connection::Send(wire::Frame frame, OnSent on_sent) {
  const size_t bytes = frame.payload.size();
  Status refused;
  if (closed_)
    refused = MakeError(Code::kUnavailable, "the link is closed");
  else if (queued_bytes_ + bytes > queue_bytes_max_)
    refused = MakeError(Code::kResourceExhausted, "{} bytes wait on the link", queued_bytes_);
  if (!refused.ok()) {
    if (on_sent) on_sent(refused);
    return;
  }
  queued_bytes_ += bytes;
  if (port_ != nullptr && IsMany(frame)) {
    ++many_waiting_;
    port_->Begin(*this);
  }
  std::deque<Outgoing>& queue = frame.type == wire::FrameType::kActivation ? urgent_ : queue_;
  queue.push_back({std::move(frame), std::move(on_sent), {}});
  if (hold_.count() > 0) queue.back().due = std::chrono::steady_clock::now() + hold_;
  writable_.cancel();
}

void Connection::Close(const Error& reason) {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  stream_.socket().close(ignored);
  writable_.cancel();
  if (port_ != nullptr) port_->End(*this);
  const Status failed = reason;
  for (std::deque<Outgoing>* queue : {&urgent_, &queue_}) {
    for (Outgoing& outgoing : std::exchange(*queue, {})) {
      if (outgoing.on_sent) outgoing.on_sent(failed);
    }
  }
  if (on_close_) std::exchange(on_close_, nullptr)(reason);
}

SocketDeadline::SocketDeadline(asio::ip::tcp::socket& socket, std::chrono::milliseconds after)
    : timer_(socket.get_executor(), after) {
  timer_.async_wait([&socket, armed = armed_](const boost::system::error_code& cancelled) {
    if (cancelled || !*armed) return;
    boost::system::error_code ignored;
    socket.close(ignored);
  });
}

}  // namespace baton::net
