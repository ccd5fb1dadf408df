// Identity: a node's Ed25519 key pair. The public key is the node's id; the private key never
// leaves this file. Immutable after creation, any thread.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace baton::net {

using Signature = std::array<uint8_t, 64>;

class Identity {
 public:
  // A new key from the operating system's generator.
  static Identity Create();
  // The key in `path` (PEM, PKCS #8); made and written there, readable by the owner only, if
  // absent.
  static Result<Identity> LoadOrCreate(const std::string& path);

  const NodeId& id() const { return id_; }
  Signature Sign(std::span<const uint8_t> message) const;
  EVP_PKEY* key() const { return key_.get(); }

 private:
  Identity(std::shared_ptr<EVP_PKEY> key, const NodeId& id) : key_(std::move(key)), id_(id) {}
  static Result<Identity> FromKey(std::shared_ptr<EVP_PKEY> key);

  std::shared_ptr<EVP_PKEY> key_;
  NodeId id_;
};

bool VerifySignature(const NodeId& signer, std::span<const uint8_t> message,
                     std::span<const uint8_t> signature);

// HMAC-SHA256.
std::array<uint8_t, 32> Hmac(std::span<const uint8_t> key, std::span<const uint8_t> message);
// Compares without telling by its duration where the difference is.
bool EqualInConstantTime(std::span<const uint8_t> a, std::span<const uint8_t> b);

}  // namespace baton::net
