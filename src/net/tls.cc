#include "net/tls.h"

#include <optional>

#include <openssl/x509.h>

namespace baton::net {
namespace {

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

}  // namespace

asio::ssl::context MakeTlsContext(const Identity& identity) {
  asio::ssl::context context(asio::ssl::context::tls);
  SSL_CTX* raw = context.native_handle();
  const bool ready = SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1 &&
                     SSL_CTX_use_certificate(raw, SelfSign(identity).get()) == 1 &&
                     SSL_CTX_use_PrivateKey(raw, identity.key()) == 1;
  CHECK(ready, "cannot set up TLS");
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_early_data(raw, 0);
  return context;
}

void RequirePeer(TlsStream& stream, Admit admit) {
  stream.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  // The chain's own verdict is ignored on purpose (every certificate here is self-signed): what
  // counts is the key, and TLS proves that the peer holds it.
  stream.set_verify_callback([admit = std::move(admit)](bool, asio::ssl::verify_context& context) {
    X509_STORE_CTX* store = context.native_handle();
    if (X509_STORE_CTX_get_error_depth(store) != 0) return false;
    const auto key = KeyOf(X509_STORE_CTX_get_current_cert(store));
    return key.has_value() && admit(*key);
  });
}

Result<NodeId> PeerOf(TlsStream& stream) {
  const auto key = KeyOf(SSL_get0_peer_certificate(stream.native_handle()));
  if (!key) return MakeError(Code::kPermissionDenied, "peer showed no Ed25519 certificate");
  return *key;
}

Bytes ExporterOf(TlsStream& stream) {
  constexpr std::string_view kLabel = "EXPERIMENTAL baton join 1";
  Bytes material(32);
  CHECK(SSL_export_keying_material(stream.native_handle(), material.data(), material.size(),
                                   kLabel.data(), kLabel.size(), nullptr, 0, 0) == 1);
  return material;
}

}  // namespace baton::net
