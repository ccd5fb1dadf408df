// The roster: whose key is let in. Each entry is signed by a member; revocation is an entry too, a
// signed tombstone. Entries spread over the links; of two entries for one node the higher
// generation wins and, within a generation, the revocation.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "net/identity.h"

namespace baton::net {

constexpr size_t kRosterEntriesMax = 1024;
constexpr size_t kNodeNameMax = 64;

struct RosterEntry {
  NodeId node;
  std::string name;
  uint64_t generation = 1;
  bool revoked = false;
  NodeId signer;
  Signature signature{};

  // What the signature is over: "baton-roster-1", node, generation, revoked, name.
  Bytes SignedBytes() const;
  bool operator==(const RosterEntry&) const = default;
};

RosterEntry SignEntry(const Identity& signer, const NodeId& node, std::string_view name,
                      uint64_t generation, bool revoked);

// A value: copied, compared, passed between threads.
class Roster {
 public:
  // The roster of a cluster of one: its founder, signed by itself.
  static Roster Found(const Identity& founder, std::string_view name);
  // All of `entries` on their word: what an inviter hands to a node that it has just admitted, or
  // what this node wrote to its own disk. Signatures must verify; the chain is not examined.
  static Result<Roster> Adopt(std::span<const RosterEntry> entries);

  bool IsMember(const NodeId& node) const;
  // The entry, member or revoked; null if the node was never in.
  const RosterEntry* Find(const NodeId& node) const;
  const std::map<NodeId, RosterEntry>& entries() const { return entries_; }
  size_t member_count() const;

  // Takes what is newer and signed by a present member; true if anything changed. The rest is
  // ignored: a stale or forged entry cannot harm.
  bool Merge(std::span<const RosterEntry> incoming);

  // New entries by `signer`, who must be a member.
  RosterEntry Admit(const Identity& signer, const NodeId& node, std::string_view name);
  Result<RosterEntry> Revoke(const Identity& signer, const NodeId& node);

  bool operator==(const Roster&) const = default;

 private:
  std::map<NodeId, RosterEntry> entries_;
};

// On disk: JSON, so that an owner can read who is in. Written atomically.
Result<Roster> LoadRoster(const std::string& path);
Status SaveRoster(const std::string& path, const Roster& roster);

}  // namespace baton::net
