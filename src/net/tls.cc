#include "net/tls.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "os/system.h"

namespace baton::net {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// What is encrypted, and what is taken from the kernel, at once: large enough that system calls and
// changes of threads cost little, small enough for a core's cache.
constexpr size_t kAtOnce = 256 << 10;
// Until one fills it: most connections say little.
constexpr size_t kAtFirst = 32 << 10;

using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

// Valid from 1970 to 9999: trust comes from the roster, never from a clock.
CertificatePtr SelfSign(const Identity& identity) {
  CertificatePtr certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  ASN1_TIME_set_string(X509_getm_notBefore(certificate.get()), "19700101000000Z");
  ASN1_TIME_set_string(X509_getm_notAfter(certificate.get()), "99991231235959Z");
  X509_set_pubkey(certificate.get(), identity.key());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const std::string text = identity.id().ToString();
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()), -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  CHECK(X509_sign(certificate.get(), identity.key(), nullptr) > 0, "cannot sign a certificate");
  return certificate;
}

std::optional<NodeId> KeyOf(X509* certificate) {
  EVP_PKEY* key = certificate == nullptr ? nullptr : X509_get0_pubkey(certificate);
  if (key == nullptr || EVP_PKEY_base_id(key) != EVP_PKEY_ED25519) return std::nullopt;
  std::array<uint8_t, NodeId::kBytes> bytes;
  size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key, bytes.data(), &size) != 1) return std::nullopt;
  return NodeId(bytes);
}

// ---- bytes between OpenSSL and the socket ----

// In memory on both sides of OpenSSL.
struct Wire {
  Bytes arrived;  // of which [begin, end) are not yet decrypted
  size_t begin = 0;
  size_t end = 0;
  Bytes leaving;  // encrypted
};

int WriteToWire(BIO* bio, const char* data, int size) {
  Bytes& leaving = static_cast<Wire*>(BIO_get_data(bio))->leaving;
  const auto* bytes = reinterpret_cast<const uint8_t*>(data);
  leaving.insert(leaving.end(), bytes, bytes + size);
  return size;
}

int ReadFromWire(BIO* bio, char* into, int size) {
  Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t count = std::min<size_t>(static_cast<size_t>(size), wire.end - wire.begin);
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, wire.arrived.data() + wire.begin, count);
  wire.begin += count;
  return static_cast<int>(count);
}

long ControlWire(BIO*, int command, long, void*) {  // NOLINT: OpenSSL's type
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* OpenWire(Wire& wire) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "node link");
    CHECK(made != nullptr && BIO_meth_set_write(made, WriteToWire) == 1 &&
          BIO_meth_set_read(made, ReadFromWire) == 1 && BIO_meth_set_ctrl(made, ControlWire) == 1);
    return made;
  }();
  BIO* bio = BIO_new(method);
  CHECK(bio != nullptr, "no memory for TLS");
  BIO_set_data(bio, &wire);
  BIO_set_init(bio, 1);
  return bio;
}

// The chain's own verdict is ignored on purpose (every certificate here is self-signed): what
// counts is the key, and TLS proves that the peer holds it.
int AskAdmit(int, X509_STORE_CTX* store) {
  const void* stream = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  const auto& admit = *static_cast<const Admit*>(SSL_get_app_data(static_cast<const SSL*>(stream)));
  if (X509_STORE_CTX_get_error_depth(store) != 0) return 0;
  const auto key = KeyOf(X509_STORE_CTX_get_current_cert(store));
  return key.has_value() && admit(*key) ? 1 : 0;
}

Error FromNetwork(const boost::system::error_code& failed) {
  if (failed == asio::error::eof) return MakeError(Code::kUnavailable, "the peer hung up");
  return MakeError(Code::kUnavailable, "{}", failed.message());
}

// What OpenSSL says of its last call, which returned `result`; nothing if it waits for the peer.
std::optional<Error> FailureOf(const SSL* ssl, int result) {
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return std::nullopt;
    case SSL_ERROR_ZERO_RETURN:
      return MakeError(Code::kUnavailable, "the peer ended the connection");
    default:
      break;
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return MakeError(Code::kUnavailable, "{}", reason == nullptr ? "TLS failed" : reason);
}

}  // namespace

TlsContext::TlsContext(const Identity& identity)
    : context_(SSL_CTX_new(TLS_method()), SSL_CTX_free) {
  SSL_CTX* raw = context_.get();
  const bool ready = raw != nullptr && SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1 &&
                     SSL_CTX_use_certificate(raw, SelfSign(identity).get()) == 1 &&
                     SSL_CTX_use_PrivateKey(raw, identity.key()) == 1;
  CHECK(ready, "cannot set up TLS");
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_early_data(raw, 0);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, AskAdmit);
}

struct TlsStream::Session {
  Session(const TlsContext& context, Admit asked)
      : admit(std::move(asked)), ssl(SSL_new(context.native()), SSL_free) {
    CHECK(ssl != nullptr, "no memory for TLS");
    wire.arrived.resize(kAtFirst);
    BIO* bio = OpenWire(wire);
    SSL_set_bio(ssl.get(), bio, bio);
    SSL_set_app_data(ssl.get(), &admit);
  }

  Admit admit;
  Wire wire;
  Bytes sending;  // what the kernel is taking
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
};

TlsStream::TlsStream(asio::ip::tcp::socket socket, const TlsContext& context, Admit admit)
    : socket_(std::move(socket)), session_(std::make_unique<Session>(context, std::move(admit))) {}

TlsStream::TlsStream(TlsStream&&) noexcept = default;
TlsStream::~TlsStream() = default;

asio::awaitable<Status> TlsStream::Receive() {
  Wire& wire = session_->wire;
  if (wire.end == wire.arrived.size()) wire.arrived.resize(kAtOnce);
  auto [failed, count] = co_await socket_.async_read_some(asio::buffer(wire.arrived), kAwait);
  if (failed) co_return FromNetwork(failed);
  wire.begin = 0;
  wire.end = count;
  co_return OkStatus();
}

asio::awaitable<Status> TlsStream::Flush() {
  Session& session = *session_;
  while (!session.wire.leaving.empty()) {
    session.sending.swap(session.wire.leaving);
    session.wire.leaving.clear();
    auto [failed, count] =
        co_await asio::async_write(socket_, asio::buffer(session.sending), kAwait);
    if (failed) co_return FromNetwork(failed);
    written_bytes_ += count;
  }
  co_return OkStatus();
}

uint64_t TlsStream::delivered_bytes() {
  return written_bytes_ - std::min(written_bytes_, os::UndeliveredBytes(socket_.native_handle()));
}

asio::awaitable<Status> TlsStream::Handshake(TlsSide side) {
  SSL* ssl = session_->ssl.get();
  side == TlsSide::kClient ? SSL_set_connect_state(ssl) : SSL_set_accept_state(ssl);
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl);
    const auto failure = result == 1 ? std::nullopt : FailureOf(ssl, result);
    const Status flushed = co_await Flush();  // a failure, too, has something to say
    if (failure) co_return Error(Code::kPermissionDenied, failure->message());
    if (!flushed.ok() || result == 1) co_return flushed;
    const Status received = co_await Receive();
    if (!received.ok()) co_return received;
  }
}

asio::awaitable<Status> TlsStream::Read(std::span<uint8_t> into) {
  SSL* ssl = session_->ssl.get();
  while (!into.empty()) {
    ERR_clear_error();
    size_t count = 0;
    const int result = SSL_read_ex(ssl, into.data(), into.size(), &count);
    into = into.subspan(count);
    if (result == 1) continue;
    if (const auto failure = FailureOf(ssl, result)) co_return *failure;
    const Status received = co_await Receive();
    if (!received.ok()) co_return received;
  }
  co_return OkStatus();
}

asio::awaitable<Status> TlsStream::Write(std::span<const uint8_t> head,
                                         std::span<const uint8_t> body) {
  SSL* ssl = session_->ssl.get();
  while (!head.empty() || !body.empty()) {
    for (std::span<const uint8_t>* part : {&head, &body}) {
      const auto now = part->first(std::min(part->size(), kAtOnce));
      *part = part->subspan(now.size());
      if (now.empty()) continue;
      ERR_clear_error();
      size_t count = 0;
      const int result = SSL_write_ex(ssl, now.data(), now.size(), &count);
      if (result != 1)
        co_return FailureOf(ssl, result).value_or(MakeError(Code::kInternal, "TLS waits to write"));
    }
    const Status flushed = co_await Flush();
    if (!flushed.ok()) co_return flushed;
  }
  co_return OkStatus();
}

Result<NodeId> TlsStream::Peer() const {
  const auto key = KeyOf(SSL_get0_peer_certificate(session_->ssl.get()));
  if (!key) return MakeError(Code::kPermissionDenied, "peer showed no Ed25519 certificate");
  return *key;
}

Bytes TlsStream::Exporter() const {
  constexpr std::string_view kLabel = "EXPERIMENTAL baton join 1";
  Bytes material(32);
  CHECK(SSL_export_keying_material(session_->ssl.get(), material.data(), material.size(),
                                   kLabel.data(), kLabel.size(), nullptr, 0, 0) == 1);
  return material;
}

}  // namespace baton::net
