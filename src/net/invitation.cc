#include "net/invitation.h"

#include <algorithm>

#include <openssl/sha.h>

#include "base/bytes.h"
#include "net/identity.h"
#include "os/system.h"

namespace baton::net {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kGroup = 6;

std::string Grouped(std::string_view text) {
  std::string grouped;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && i % kGroup == 0) grouped += '-';
    grouped += text[i];
  }
  return grouped;
}

std::string Compact(std::string_view code) {
  std::string compact;
  for (const char c : code) {
    if (c == '-' || c == ' ') continue;
    compact += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return compact;
}

}  // namespace

std::array<uint8_t, 10> Invitation::HashOf(const NodeId& inviter) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(inviter.key().data(), inviter.key().size(), digest);
  std::array<uint8_t, 10> hash;
  std::copy_n(digest, hash.size(), hash.begin());
  return hash;
}

std::string Invitation::ToCode() const {
  CHECK(addresses.size() <= kAddressesMax);
  ByteWriter writer;
  writer.Write<uint8_t>(kVersion);
  writer.WriteBytes(key_hash);
  writer.WriteBytes(secret);
  for (const InvitationAddress& address : addresses) {
    writer.WriteBytes(address.ipv4);
    writer.Write<uint16_t>(address.port);
  }
  return Grouped(Base32(writer.bytes().data(), writer.bytes().size()));
}

Result<Invitation> Invitation::Parse(std::string_view code) {
  constexpr size_t kCodeMax = 256;
  if (code.size() > kCodeMax)
    return MakeError(Code::kInvalidArgument, "an invitation code has at most {} characters, not {}",
                     kCodeMax, code.size());
  const auto bytes = FromBase32(Compact(code));
  if (!bytes)
    return MakeError(Code::kInvalidArgument,
                     "'{}' is not an invitation code: copy it whole from `baton invite`", code);
  ByteReader reader(AsBytes(*bytes));
  const auto version = reader.Read<uint8_t>();
  Invitation invitation;
  invitation.key_hash = reader.Read<std::array<uint8_t, 10>>();
  invitation.secret = reader.Read<std::array<uint8_t, 10>>();
  if (!reader.ok() || reader.remaining() % 6 != 0 || reader.remaining() / 6 > kAddressesMax)
    return MakeError(Code::kInvalidArgument,
                     "'{}' is not a whole invitation code: copy it from `baton invite`", code);
  if (version != kVersion)
    return MakeError(Code::kFailedPrecondition,
                     "invitation code of version {}, this baton knows {}: update the older node",
                     version, kVersion);
  while (reader.remaining() > 0) {
    InvitationAddress address;
    address.ipv4 = reader.Read<std::array<uint8_t, 4>>();
    address.port = reader.Read<uint16_t>();
    invitation.addresses.push_back(address);
  }
  return invitation;
}

Result<Invitation> InvitationBook::Open(const NodeId& inviter,
                                        std::vector<InvitationAddress> addresses) {
  DropExpired();
  if (open_.size() >= kOpenMax)
    return MakeError(Code::kResourceExhausted, "{} invitations are open: use one or wait {} min",
                     open_.size(), kLifetime.count());
  Invitation invitation{.key_hash = Invitation::HashOf(inviter), .addresses = std::move(addresses)};
  if (invitation.addresses.size() > Invitation::kAddressesMax)
    invitation.addresses.resize(Invitation::kAddressesMax);
  os::FillWithEntropy(invitation.secret);
  open_.push_back({invitation.secret, clock_.Now() + kLifetime});
  failures_ = 0;
  return invitation;
}

bool InvitationBook::AnyOpen() {
  DropExpired();
  return !open_.empty();
}

bool InvitationBook::Redeem(std::span<const uint8_t> exporter, std::span<const uint8_t> proof) {
  DropExpired();
  for (auto entry = open_.begin(); entry != open_.end(); ++entry) {
    if (!EqualInConstantTime(Hmac(entry->secret, exporter), proof)) continue;
    open_.erase(entry);
    return true;
  }
  if (++failures_ >= kFailuresMax) open_.clear();
  return false;
}

void InvitationBook::DropExpired() {
  const os::TimePoint now = clock_.Now();
  std::erase_if(open_, [now](const Entry& entry) { return entry.expires <= now; });
}

}  // namespace baton::net
