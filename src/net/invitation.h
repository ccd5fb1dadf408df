// Invitations: the one-time codes by which devices pair.
//
// A code names the inviter's key (so that the new node knows to whom it speaks), carries a secret
// (so that the inviter knows that it was asked for), and where to find the inviter:
//
//   code = base32( version u8 | key hash 10 | secret 10 | { IPv4 4, port u16 } x 0..3 )
//
// key hash = the first 80 bits of SHA-256 over the inviter's public key. The code is printed in
// groups of six, joined by '-'.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "os/clock.h"

namespace baton::net {

struct InvitationAddress {
  std::array<uint8_t, 4> ipv4{};
  uint16_t port = 0;
  bool operator==(const InvitationAddress&) const = default;
};

struct Invitation {
  std::array<uint8_t, 10> key_hash{};
  std::array<uint8_t, 10> secret{};
  std::vector<InvitationAddress> addresses;  // at most 3

  static constexpr size_t kAddressesMax = 3;
  static std::array<uint8_t, 10> HashOf(const NodeId& inviter);

  std::string ToCode() const;
  // Tolerates spaces, dashes and capitals; kInvalidArgument says what is wrong.
  static Result<Invitation> Parse(std::string_view code);
};

// The inviter's open invitations. Each admits one node, dies after its time, and all of them die
// after kFailuresMax wrong proofs: a secret cannot be guessed. One thread.
class InvitationBook {
 public:
  static constexpr std::chrono::minutes kLifetime{10};
  static constexpr size_t kOpenMax = 16;
  static constexpr int kFailuresMax = 8;

  explicit InvitationBook(const os::Clock& clock) : clock_(clock) {}

  Result<Invitation> Open(const NodeId& inviter, std::vector<InvitationAddress> addresses);
  // Is any invitation open at all? Only then is an unknown key let as far as its proof.
  bool AnyOpen();
  // True, once, for a proof made with the secret of an open invitation over `exporter`, the TLS
  // exporter of the connection that presents it.
  bool Redeem(std::span<const uint8_t> exporter, std::span<const uint8_t> proof);

 private:
  struct Entry {
    std::array<uint8_t, 10> secret;
    os::TimePoint expires;
  };
  void DropExpired();

  const os::Clock& clock_;
  std::vector<Entry> open_;
  int failures_ = 0;
};

}  // namespace baton::net
