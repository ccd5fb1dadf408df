#include "net/handshake.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace baton::net {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kHandshakeTime{3000};
constexpr size_t kControlQueueMax = 64 << 20;
constexpr size_t kBulkQueueMax = 512 << 20;

using wire::Frame;
using wire::FrameType;

size_t QueueMaxOf(uint32_t lane) {
  return lane == static_cast<uint32_t>(Lane::kBulk) ? kBulkQueueMax : kControlQueueMax;
}

LinkMessage ErrorMessage(const Error& error) {
  LinkMessage message;
  message.mutable_error()->set_code(static_cast<uint32_t>(error.code()));
  message.mutable_error()->set_message(error.message());
  return message;
}

Error FromProto(const LinkError& error) {
  return Error(CodeFromWire(static_cast<int>(error.code())), error.message());
}

asio::awaitable<Status> Say(Connection& connection, const LinkMessage& message) {
  const Bytes payload = Serialize(message);
  co_return co_await connection.WriteFrame(FrameType::kLink, payload);
}

asio::awaitable<Result<LinkMessage>> Hear(Connection& connection) {
  auto frame = co_await connection.ReadFrame(false);
  if (!frame.ok()) co_return frame.error();
  LinkMessage message;
  if (!message.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size())))
    co_return MakeError(Code::kInvalidArgument, "the first frame is not a link message");
  co_return message;
}

// Why `hello` cannot be worked with, if it cannot.
Status Judge(const Hello& hello, const Hello& ours) {
  if (hello.wire_version() != ours.wire_version())
    return MakeError(Code::kFailedPrecondition,
                     "wire version {} (baton {}) meets wire version {} (baton {}): install the "
                     "same baton on both nodes",
                     hello.wire_version(), hello.software_version(), ours.wire_version(),
                     ours.software_version());
  if (hello.lane() > static_cast<uint32_t>(Lane::kBulk) || hello.link_id() == 0)
    return MakeError(Code::kInvalidArgument, "hello for lane {} of link {}", hello.lane(),
                     hello.link_id());
  if (hello.name().size() > kNodeNameMax || hello.mesh_port() > 65535)
    return MakeError(Code::kInvalidArgument, "hello with a name of {} bytes, port {}",
                     hello.name().size(), hello.mesh_port());
  return OkStatus();
}

asio::awaitable<Result<asio::ip::tcp::socket>> Connect(std::string host, uint16_t port) {
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  auto [unresolved, endpoints] =
      co_await resolver.async_resolve(host, std::to_string(port), kAwait);
  if (unresolved)
    co_return MakeError(Code::kUnavailable, "cannot resolve '{}': {}", host, unresolved.message());
  asio::ip::tcp::socket socket(executor);
  SocketDeadline deadline(socket, kHandshakeTime);
  auto [failed, endpoint] = co_await asio::async_connect(socket, endpoints, kAwait);
  if (failed)
    co_return MakeError(Code::kUnavailable, "cannot reach {}:{}: {}", host, port, failed.message());
  co_return std::move(socket);
}

asio::awaitable<Result<std::shared_ptr<Connection>>> Secure(asio::ip::tcp::socket socket,
                                                            const TlsContext& context, Admit admit,
                                                            TlsSide side, size_t queue_bytes_max) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  TlsStream stream(std::move(socket), context, std::move(admit));
  auto connection = std::make_shared<Connection>(std::move(stream), queue_bytes_max);
  SocketDeadline deadline(connection->stream().socket(), kHandshakeTime);
  const Status agreed = co_await connection->stream().Handshake(side);
  if (!agreed.ok())
    co_return MakeError(Code::kPermissionDenied, "TLS handshake failed: {}",
                        agreed.error().message());
  co_return connection;
}

}  // namespace

Bytes Serialize(const LinkMessage& message) {
  Bytes bytes(message.ByteSizeLong());
  CHECK(message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())));
  return bytes;
}

RosterEntryProto ToProto(const RosterEntry& entry) {
  RosterEntryProto proto;
  proto.set_node(entry.node.key().data(), entry.node.key().size());
  proto.set_name(entry.name);
  proto.set_generation(entry.generation);
  proto.set_revoked(entry.revoked);
  proto.set_signer(entry.signer.key().data(), entry.signer.key().size());
  proto.set_signature(entry.signature.data(), entry.signature.size());
  return proto;
}

std::vector<RosterEntry> FromProto(
    const google::protobuf::RepeatedPtrField<RosterEntryProto>& entries) {
  std::vector<RosterEntry> result;
  for (const RosterEntryProto& proto : entries) {
    ByteReader node(AsBytes(proto.node()));
    ByteReader signer(AsBytes(proto.signer()));
    ByteReader signature(AsBytes(proto.signature()));
    RosterEntry entry{.node = NodeId(node.Read<std::array<uint8_t, NodeId::kBytes>>()),
                      .name = proto.name(),
                      .generation = proto.generation(),
                      .revoked = proto.revoked(),
                      .signer = NodeId(signer.Read<std::array<uint8_t, NodeId::kBytes>>()),
                      .signature = signature.Read<Signature>()};
    const bool whole = node.ok() && signer.ok() && signature.ok() && node.remaining() == 0 &&
                       signer.remaining() == 0 && signature.remaining() == 0;
    if (whole) result.push_back(std::move(entry));
  }
  return result;
}

asio::awaitable<Result<Greeted>> Greet(asio::ip::tcp::socket socket, const TlsContext& context,
                                       const Doorkeeper& doorkeeper) {
  const Admit admit = [&doorkeeper](const NodeId& key) {
    return doorkeeper.is_member(key) || doorkeeper.invitation_open();
  };
  auto secured =
      co_await Secure(std::move(socket), context, admit, TlsSide::kServer, kBulkQueueMax);
  if (!secured.ok()) co_return secured.error();
  const auto connection = *std::move(secured);
  SocketDeadline deadline(connection->stream().socket(), kHandshakeTime);
  auto peer = connection->stream().Peer();
  if (!peer.ok()) co_return peer.error();

  auto message = co_await Hear(*connection);
  if (!message.ok()) co_return message.error().Within(peer->Short());
  if (message->has_join_request()) {
    LinkMessage reply;
    *reply.mutable_join_reply() =
        doorkeeper.join(*peer, message->join_request(), connection->stream().Exporter());
    (void)co_await Say(*connection, reply);
    co_return MakeError(Code::kCancelled, "{} came to join", peer->Short());
  }
  if (!doorkeeper.is_member(*peer))
    co_return MakeError(Code::kPermissionDenied, "key {} is not in the roster", peer->Short());
  if (!message->has_hello())
    co_return MakeError(Code::kInvalidArgument, "{} did not begin with a hello", peer->Short());

  LinkMessage reply;
  *reply.mutable_hello() = doorkeeper.our_hello(message->hello());
  const Status judged = Judge(message->hello(), reply.hello());
  if (!judged.ok()) {
    (void)co_await Say(*connection, ErrorMessage(judged.error()));
    co_return judged.error().Within(peer->Short());
  }
  const Status said = co_await Say(*connection, reply);
  if (!said.ok()) co_return said.error();
  co_return Greeted{connection, *peer, message->hello()};
}

asio::awaitable<Result<Greeted>> Dial(std::string host, uint16_t port, const TlsContext& context,
                                      Admit admit, Hello hello) {
  auto socket = co_await Connect(host, port);
  if (!socket.ok()) co_return socket.error();
  auto secured = co_await Secure(*std::move(socket), context, std::move(admit), TlsSide::kClient,
                                 QueueMaxOf(hello.lane()));
  if (!secured.ok()) co_return secured.error();
  const auto connection = *std::move(secured);
  SocketDeadline deadline(connection->stream().socket(), kHandshakeTime);
  auto peer = connection->stream().Peer();
  if (!peer.ok()) co_return peer.error();

  LinkMessage message;
  *message.mutable_hello() = hello;
  const Status said = co_await Say(*connection, message);
  if (!said.ok()) co_return said.error();
  auto reply = co_await Hear(*connection);
  if (!reply.ok())
    co_return MakeError(Code::kPermissionDenied,
                        "{}:{} closed the connection ({}): pair the nodes with `baton invite` and "
                        "`baton join`",
                        host, port, reply.error().message());
  if (reply->has_error()) co_return FromProto(reply->error());
  if (!reply->has_hello())
    co_return MakeError(Code::kInvalidArgument, "{} did not answer with a hello", peer->Short());
  const Status judged = Judge(reply->hello(), hello);
  if (!judged.ok()) co_return judged.error();
  co_return Greeted{connection, *peer, reply->hello()};
}

asio::awaitable<Result<Roster>> RequestJoin(std::string host, uint16_t port,
                                            const TlsContext& context, Invitation invitation,
                                            std::string name) {
  auto socket = co_await Connect(host, port);
  if (!socket.ok()) co_return socket.error();
  const Admit admit = [hash = invitation.key_hash](const NodeId& key) {
    return Invitation::HashOf(key) == hash;
  };
  auto secured =
      co_await Secure(*std::move(socket), context, admit, TlsSide::kClient, kControlQueueMax);
  if (!secured.ok())
    co_return MakeError(Code::kPermissionDenied, "{}:{} is not the node that wrote the code ({})",
                        host, port, secured.error().message());
  const auto connection = *std::move(secured);
  SocketDeadline deadline(connection->stream().socket(), kHandshakeTime);

  LinkMessage request;
  const auto proof = Hmac(invitation.secret, connection->stream().Exporter());
  request.mutable_join_request()->set_proof(proof.data(), proof.size());
  request.mutable_join_request()->set_name(name.substr(0, kNodeNameMax));
  const Status said = co_await Say(*connection, request);
  if (!said.ok()) co_return said.error();
  auto frame = co_await connection->ReadFrame(true);  // a roster may exceed an unproven frame
  LinkMessage reply;
  if (!frame.ok() ||
      !reply.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size())) ||
      !reply.has_join_reply())
    co_return MakeError(Code::kPermissionDenied,
                        "{}:{} did not take the code: it was used, or is older than 10 minutes; "
                        "print a new one with `baton invite`",
                        host, port);
  if (reply.join_reply().has_refused()) co_return FromProto(reply.join_reply().refused());
  co_return Roster::Adopt(FromProto(reply.join_reply().entries()));
}

}  // namespace baton::net
