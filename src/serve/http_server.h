// HttpServer: HTTP/1.1 on the I/O loop, with every bound that a port open to strangers needs:
// header and body sizes, time to send them, connections, and what waits to be written. It knows
// nothing of what the routes mean.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "base/result.h"

namespace baton::serve {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using HttpRequest = http::request<http::string_body>;

// One request and the way to answer it. Lives as long as its handler runs.
class Exchange {
 public:
  Exchange(beast::tcp_stream& stream, HttpRequest request);

  const HttpRequest& request() const { return request_; }
  // Without the query.
  std::string_view path() const;

  // A whole answer.
  asio::awaitable<void> Respond(http::status status, std::string_view content_type,
                                std::string body);
  // Begins an answer of unknown length, to be written in pieces.
  asio::awaitable<Status> StartStream(std::string_view content_type);
  // kUnavailable once the client is gone.
  asio::awaitable<Status> Write(std::string piece);
  asio::awaitable<void> EndStream();
  // Additional header of the answer, before it begins.
  void SetHeader(std::string name, std::string value) {
    headers_[std::move(name)] = std::move(value);
  }

  // Calls `gone` once if the client closes its side before the handler has ended.
  void WatchClient(std::function<void()> gone);

  bool answered() const { return answered_; }
  bool keep_alive() const { return keep_alive_; }

 private:
  void Prepare(http::fields& fields, std::string_view content_type);

  beast::tcp_stream& stream_;
  const HttpRequest request_;
  std::map<std::string, std::string> headers_;
  bool answered_ = false;
  bool chunked_ = false;
  bool keep_alive_;
  std::shared_ptr<bool> watching_ = std::make_shared<bool>(true);

 public:
  ~Exchange() { *watching_ = false; }
};

using Handler = std::function<asio::awaitable<void>(Exchange&)>;

class HttpServer {
 public:
  static constexpr size_t kHeaderBytesMax = 16 << 10;
  static constexpr size_t kBodyBytesMax = 16 << 20;
  static constexpr int kConnectionsMax = 4096;

  // `handler` answers every request that could be read; `on_bad_request` words the answer to one
  // that could not.
  HttpServer(asio::io_context& io, Handler handler,
             std::function<std::string(http::status, const std::string&)> on_bad_request);
  ~HttpServer();

  Status Listen(const std::string& address, uint16_t port);
  uint16_t port() const;
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace baton::serve
