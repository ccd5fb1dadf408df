// The first words on a connection: TLS, then one hello each way, or, for a node that is not in yet,
// a join request. Coroutines on the I/O thread; each bounds its own time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "net/connection.h"
#include "net/invitation.h"
#include "net/link.pb.h"
#include "net/roster.h"

namespace baton::net {

enum class Lane : uint32_t { kControl = 0, kBulk = 1 };

// A connection whose peer has proved its key and said a hello that we accept.
struct Greeted {
  std::shared_ptr<Connection> connection;
  NodeId peer;
  Hello hello;  // the peer's
};

// What the serving side needs to know. The functions are called on the I/O thread.
struct Doorkeeper {
  std::function<bool(const NodeId&)> is_member;
  std::function<bool()> invitation_open;
  // Judges a proof; the reply is sent and the connection closed either way.
  std::function<JoinReply(const NodeId&, const JoinRequest&, std::span<const uint8_t> exporter)>
      join;
  std::function<Hello(const Hello&)> our_hello;  // for the lane and link of the peer's
};

// Serves an accepted socket. kPermissionDenied: the key is not in the roster; kCancelled: the
// connection was for joining and is done.
asio::awaitable<Result<Greeted>> Greet(asio::ip::tcp::socket socket, const TlsContext& context,
                                       const Doorkeeper& doorkeeper);

// Dials `host`:`port` and says `hello`. `admit` judges the server's key.
asio::awaitable<Result<Greeted>> Dial(std::string host, uint16_t port, const TlsContext& context,
                                      Admit admit, Hello hello);

// Presents an invitation to `host`:`port`, whose key must match it; gives back the roster.
asio::awaitable<Result<Roster>> RequestJoin(std::string host, uint16_t port,
                                            const TlsContext& context, Invitation invitation,
                                            std::string name);

// Between the protobuf form and ours. Entries with a field of the wrong size are left out.
std::vector<RosterEntry> FromProto(
    const google::protobuf::RepeatedPtrField<RosterEntryProto>& entries);
RosterEntryProto ToProto(const RosterEntry& entry);

// `message` as a frame payload.
Bytes Serialize(const LinkMessage& message);

}  // namespace baton::net
