// TLS 1.3 between nodes: both sides show a self-signed certificate over their node key; whether a
// key may go on is asked during the handshake, before a byte of the peer's is parsed.
#pragma once

#include <functional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/identity.h"

namespace baton::net {

namespace asio = boost::asio;
using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

// May this key go on? Called on the I/O thread in the middle of a handshake.
using Admit = std::function<bool(const NodeId&)>;

// A context for both directions: TLS 1.3 only, our certificate, no tickets, no early data.
asio::ssl::context MakeTlsContext(const Identity& identity);

// Makes `stream` demand a certificate and ask `admit` about its key.
void RequirePeer(TlsStream& stream, Admit admit);

// After the handshake: whose key the peer proved to hold.
Result<NodeId> PeerOf(TlsStream& stream);

// Keying material bound to this connection alone (RFC 8446 section 7.5).
Bytes ExporterOf(TlsStream& stream);

}  // namespace baton::net
