#include "serve/http_server.h"

#include <sys/socket.h>

#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "base/log.h"

namespace baton::serve {
namespace {

using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kHeaderTime{10};
constexpr std::chrono::seconds kBodyTime{60};
constexpr std::chrono::seconds kIdleTime{75};
constexpr std::chrono::seconds kWriteTime{60};

}  // namespace

Exchange::Exchange(beast::tcp_stream& stream, HttpRequest request)
    : stream_(stream), request_(std::move(request)), keep_alive_(request_.keep_alive()) {}

std::string_view Exchange::path() const {
  const std::string_view target(request_.target().data(), request_.target().size());
  return target.substr(0, target.find('?'));
}

void Exchange::Prepare(http::fields& fields, std::string_view content_type) {
  answered_ = true;
  fields.set(http::field::content_type, {content_type.data(), content_type.size()});
  fields.set("X-Content-Type-Options", "nosniff");
  fields.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : headers_) fields.set(name, value);
}

asio::awaitable<void> Exchange::Respond(http::status status, std::string_view content_type,
                                        std::string body) {
  http::response<http::string_body> response(status, request_.version());
  Prepare(response.base(), content_type);
  response.keep_alive(keep_alive_);
  const bool head = request_.method() == http::verb::head;
  const size_t size = body.size();
  if (!head) response.body() = std::move(body);
  response.content_length(size);
  stream_.expires_after(kWriteTime);
  http::response_serializer<http::string_body> serializer(response);
  if (head) {
    auto [failed, count] = co_await http::async_write_header(stream_, serializer, kAwait);
    if (failed) keep_alive_ = false;
  } else {
    auto [failed, count] = co_await http::async_write(stream_, serializer, kAwait);
    if (failed) keep_alive_ = false;
  }
}

asio::awaitable<Status> Exchange::StartStream(std::string_view content_type) {
  http::response<http::empty_body> response(http::status::ok, request_.version());
  Prepare(response.base(), content_type);
  chunked_ = request_.version() >= 11;
  if (!chunked_) keep_alive_ = false;  // the end of the connection is the end of the answer
  response.keep_alive(keep_alive_);
  response.chunked(chunked_);
  http::response_serializer<http::empty_body> serializer(response);
  stream_.expires_after(kWriteTime);
  auto [failed, count] = co_await http::async_write_header(stream_, serializer, kAwait);
  if (failed) co_return MakeError(Code::kUnavailable, "client: {}", failed.message());
  co_return OkStatus();
}

asio::awaitable<Status> Exchange::Write(std::string piece) {
  if (piece.empty()) co_return OkStatus();
  stream_.expires_after(kWriteTime);
  if (chunked_) {
    auto [failed, count] =
        co_await asio::async_write(stream_, http::make_chunk(asio::buffer(piece)), kAwait);
    if (failed) co_return MakeError(Code::kUnavailable, "client: {}", failed.message());
    co_return OkStatus();
  }
  auto [failed, count] = co_await asio::async_write(stream_, asio::buffer(piece), kAwait);
  if (failed) co_return MakeError(Code::kUnavailable, "client: {}", failed.message());
  co_return OkStatus();
}

asio::awaitable<void> Exchange::EndStream() {
  if (!chunked_) co_return;
  auto [failed, count] = co_await asio::async_write(stream_, http::make_chunk_last(), kAwait);
  if (failed) keep_alive_ = false;
}

void Exchange::WatchClient(std::function<void()> gone) {
  auto& socket = stream_.socket();
  socket.async_wait(tcp::socket::wait_read,
                    [this, &socket, watching = watching_, gone = std::move(gone)](auto failed) {
                      if (failed || !*watching) return;
                      // Readable may also mean a pipelined request, which waits its turn.
                      char byte;
                      if (::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
                        keep_alive_ = false;
                        gone();
                      }
                    });
}

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, Handler handler,
       std::function<std::string(http::status, const std::string&)> on_bad_request)
      : io_(io),
        handler_(std::move(handler)),
        on_bad_request_(std::move(on_bad_request)),
        acceptor_(io) {}

  Status Listen(const std::string& address, uint16_t port) {
    boost::system::error_code failed;
    const auto parsed = asio::ip::make_address(address, failed);
    if (failed) return MakeError(Code::kInvalidArgument, "'{}' is not an IP address", address);
    const tcp::endpoint endpoint(parsed, port);
    acceptor_.open(endpoint.protocol(), failed);
    if (!failed) acceptor_.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor_.bind(endpoint, failed);
    if (!failed) acceptor_.listen(1024, failed);
    if (failed)
      return MakeError(Code::kUnavailable, "cannot listen on {}:{}: {}", address, port,
                       failed.message());
    asio::co_spawn(
        io_, [self = shared_from_this()] { return self->AcceptLoop(); }, asio::detached);
    return OkStatus();
  }

  uint16_t port() const {
    boost::system::error_code failed;
    const auto endpoint = acceptor_.local_endpoint(failed);
    return failed ? uint16_t{0} : endpoint.port();
  }

  void Stop() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (beast::tcp_stream* stream : std::set<beast::tcp_stream*>(streams_)) stream->close();
  }

 private:
  asio::awaitable<void> AcceptLoop() {
    const auto self = shared_from_this();
    while (acceptor_.is_open()) {
      auto [failed, socket] = co_await acceptor_.async_accept(kAwait);
      if (failed == asio::error::operation_aborted) co_return;
      if (failed || streams_.size() >= kConnectionsMax) {
        asio::steady_timer pause(io_, std::chrono::milliseconds(50));
        co_await pause.async_wait(kAwait);
        continue;
      }
      asio::co_spawn(
          io_,
          [self, socket = std::move(socket)]() mutable { return self->Serve(std::move(socket)); },
          asio::detached);
    }
  }

  asio::awaitable<void> Serve(tcp::socket socket) {
    const auto self = shared_from_this();
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    beast::tcp_stream stream(std::move(socket));
    streams_.insert(&stream);
    co_await Converse(stream);
    streams_.erase(&stream);
    stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  asio::awaitable<void> Converse(beast::tcp_stream& stream) {
    beast::flat_buffer buffer(kHeaderBytesMax + kBodyBytesMax);
    for (bool first = true;; first = false) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(kHeaderBytesMax);
      parser.body_limit(kBodyBytesMax);
      stream.expires_after(first || buffer.size() > 0 ? kHeaderTime : kIdleTime);
      auto [bad_header, header_bytes] =
          co_await http::async_read_header(stream, buffer, parser, kAwait);
      if (bad_header) co_return co_await Reject(stream, bad_header);
      if (parser.chunked() && parser.get().count(http::field::content_length) > 0)
        co_return co_await Reject(stream, http::error::bad_transfer_encoding);
      if (parser.get()[http::field::expect] == "100-continue") {
        http::response<http::empty_body> go_on(http::status::continue_, 11);
        co_await http::async_write(stream, go_on, kAwait);
      }
      stream.expires_after(kBodyTime);
      auto [bad_body, body_bytes] = co_await http::async_read(stream, buffer, parser, kAwait);
      if (bad_body) co_return co_await Reject(stream, bad_body);
      stream.expires_never();
      Exchange exchange(stream, parser.release());
      co_await handler_(exchange);
      if (!exchange.keep_alive()) co_return;
    }
  }

  // Answers what could not be read, as far as there is somebody to answer; then the connection
  // ends.
  asio::awaitable<void> Reject(beast::tcp_stream& stream, boost::system::error_code failed) {
    const bool silent = failed == http::error::end_of_stream ||
                        failed == asio::error::connection_reset ||
                        failed == asio::error::operation_aborted || failed == asio::error::eof ||
                        failed == http::error::partial_message;
    if (silent) co_return;
    http::status status = http::status::bad_request;
    if (failed == http::error::body_limit) status = http::status::payload_too_large;
    if (failed == http::error::header_limit || failed == http::error::buffer_overflow)
      status = http::status::request_header_fields_too_large;
    if (failed == beast::error::timeout) status = http::status::request_timeout;
    http::response<http::string_body> response(status, 11);
    response.set(http::field::content_type, "application/json");
    response.keep_alive(false);
    response.body() = on_bad_request_(status, failed.message());
    response.prepare_payload();
    stream.expires_after(kHeaderTime);
    co_await http::async_write(stream, response, kAwait);
  }

  asio::io_context& io_;
  const Handler handler_;
  const std::function<std::string(http::status, const std::string&)> on_bad_request_;
  tcp::acceptor acceptor_;
  std::set<beast::tcp_stream*> streams_;
};

HttpServer::HttpServer(asio::io_context& io, Handler handler,
                       std::function<std::string(http::status, const std::string&)> on_bad_request)
    : impl_(std::make_shared<Impl>(io, std::move(handler), std::move(on_bad_request))) {}
HttpServer::~HttpServer() {
  impl_->Stop();
}
Status HttpServer::Listen(const std::string& address, uint16_t port) {
  return impl_->Listen(address, port);
}
uint16_t HttpServer::port() const {
  return impl_->port();
}
void HttpServer::Stop() {
  impl_->Stop();
}

}  // namespace baton::serve
