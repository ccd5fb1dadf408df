#include "net/identity.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "os/file.h"

namespace baton::net {
namespace {

using KeyPtr = std::shared_ptr<EVP_PKEY>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

KeyPtr Own(EVP_PKEY* key) {
  return KeyPtr(key, EVP_PKEY_free);
}

std::string ToPem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  CHECK(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

Result<Identity> Identity::FromKey(std::shared_ptr<EVP_PKEY> key) {
  std::array<uint8_t, NodeId::kBytes> bytes;
  size_t size = bytes.size();
  const bool ed25519 = EVP_PKEY_base_id(key.get()) == EVP_PKEY_ED25519;
  if (!ed25519 || EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &size) != 1)
    return MakeError(Code::kInvalidArgument, "not an Ed25519 key");
  return Identity(std::move(key), NodeId(bytes));
}

Identity Identity::Create() {
  KeyPtr key = Own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  CHECK(key != nullptr, "key generation failed");
  return FromKey(std::move(key)).value();
}

Result<Identity> Identity::LoadOrCreate(const std::string& path) {
  if (!os::Exists(path)) {
    Identity created = Create();
    BATON_RETURN_IF_ERROR(os::WriteFileAtomically(path, AsBytes(ToPem(created.key())), 0600));
    return created;
  }
  BATON_ASSIGN_OR_RETURN(const std::string pem, os::ReadFile(path, 4096));
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  KeyPtr key = Own(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr)
    return MakeError(Code::kInvalidArgument, "'{}' holds no private key in PEM form", path);
  auto identity = FromKey(std::move(key));
  if (!identity.ok()) return identity.error().Within(path);
  return identity;
}

Signature Identity::Sign(std::span<const uint8_t> message) const {
  DigestPtr context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Signature signature;
  size_t size = signature.size();
  const bool signed_ok =
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1;
  CHECK(signed_ok && size == signature.size(), "signing failed");
  return signature;
}

bool VerifySignature(const NodeId& signer, std::span<const uint8_t> message,
                     std::span<const uint8_t> signature) {
  const KeyPtr key = Own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, signer.key().data(),
                                                     signer.key().size()));
  if (key == nullptr) return false;
  DigestPtr context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

std::array<uint8_t, 32> Hmac(std::span<const uint8_t> key, std::span<const uint8_t> message) {
  std::array<uint8_t, 32> digest;
  unsigned size = digest.size();
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
             digest.data(), &size) != nullptr);
  return digest;
}

bool EqualInConstantTime(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace baton::net
