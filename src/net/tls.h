// TLS 1.3 between nodes: both sides show a self-signed certificate over their node key; whether a
// key may go on is asked during the handshake, before a byte of the peer's is parsed.
//
// A stream of our own over OpenSSL: Asio's takes a system call, and often a change of threads, for
// each record of 16 KB, which is less than half of what a link of 10 Gb/s carries. This one moves
// many records at once (`link_bench`). I/O thread only.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <openssl/ssl.h>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/identity.h"

namespace baton::net {

namespace asio = boost::asio;

// May this key go on? Called on the I/O thread in the middle of a handshake.
using Admit = std::function<bool(const NodeId&)>;

// For both directions: TLS 1.3 only, our certificate, no tickets, no early data.
class TlsContext {
 public:
  explicit TlsContext(const Identity& identity);
  SSL_CTX* native() const { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

enum class TlsSide { kClient, kServer };

class TlsStream {
 public:
  // Demands a certificate and asks `admit` about its key. The context must outlive the stream.
  TlsStream(asio::ip::tcp::socket socket, const TlsContext& context, Admit admit);
  TlsStream(TlsStream&&) noexcept;
  ~TlsStream();

  asio::ip::tcp::socket& socket() { return socket_; }

  // One of these at a time before any other; then one Read and one Write. kUnavailable when the
  // socket is closed, as it may be meanwhile; kPermissionDenied, from Handshake, when TLS fails.
  asio::awaitable<Status> Handshake(TlsSide side);
  // All of `into`.
  asio::awaitable<Status> Read(std::span<uint8_t> into);
  // `head`, then `body`; ok when the last byte was handed to the kernel.
  asio::awaitable<Status> Write(std::span<const uint8_t> head, std::span<const uint8_t> body = {});

  // Handed to the kernel so far, and of those what the peer's kernel has (all, where this one does
  // not say).
  uint64_t written_bytes() const { return written_bytes_; }
  uint64_t delivered_bytes();

  // After the handshake: whose key the peer proved to hold.
  Result<NodeId> Peer() const;
  // Keying material bound to this connection alone (RFC 8446 section 7.5).
  Bytes Exporter() const;

 private:
  struct Session;

  // Waits for more of what the peer sent.
  asio::awaitable<Status> Receive();
  // Hands the kernel what OpenSSL wrote.
  asio::awaitable<Status> Flush();

  asio::ip::tcp::socket socket_;
  std::unique_ptr<Session> session_;  // OpenSSL has its address
  uint64_t written_bytes_ = 0;
};

}  // namespace baton::net
