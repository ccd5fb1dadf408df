#include "net/roster.h"

#include <algorithm>

#include <boost/json.hpp>

#include "os/file.h"

namespace baton::net {
namespace {

bool Supersedes(const RosterEntry& incoming, const RosterEntry& present) {
  if (incoming.generation != present.generation) return incoming.generation > present.generation;
  return incoming.revoked && !present.revoked;
}

bool WellFormed(const RosterEntry& entry) {
  return !entry.node.empty() && entry.generation > 0 && entry.name.size() <= kNodeNameMax &&
         VerifySignature(entry.signer, entry.SignedBytes(), entry.signature);
}

}  // namespace

Bytes RosterEntry::SignedBytes() const {
  ByteWriter writer;
  writer.WriteBytes(AsBytes("baton-roster-1"));
  writer.WriteBytes(node.key());
  writer.Write<uint64_t>(generation);
  writer.Write<uint8_t>(revoked ? 1 : 0);
  writer.WriteBytes(AsBytes(name));
  return std::move(writer).bytes();
}

RosterEntry SignEntry(const Identity& signer, const NodeId& node, std::string_view name,
                      uint64_t generation, bool revoked) {
  RosterEntry entry{.node = node,
                    .name = std::string(name.substr(0, kNodeNameMax)),
                    .generation = generation,
                    .revoked = revoked,
                    .signer = signer.id()};
  entry.signature = signer.Sign(entry.SignedBytes());
  return entry;
}

Roster Roster::Found(const Identity& founder, std::string_view name) {
  Roster roster;
  roster.entries_[founder.id()] = SignEntry(founder, founder.id(), name, 1, false);
  return roster;
}

Result<Roster> Roster::Adopt(std::span<const RosterEntry> entries) {
  if (entries.size() > kRosterEntriesMax)
    return MakeError(Code::kInvalidArgument, "roster of {} entries, more than {}", entries.size(),
                     kRosterEntriesMax);
  Roster roster;
  for (const RosterEntry& entry : entries) {
    if (!WellFormed(entry))
      return MakeError(Code::kInvalidArgument, "roster entry of {} is not validly signed",
                       entry.node.Short());
    roster.entries_[entry.node] = entry;
  }
  return roster;
}

bool Roster::IsMember(const NodeId& node) const {
  const RosterEntry* entry = Find(node);
  return entry != nullptr && !entry->revoked;
}

const RosterEntry* Roster::Find(const NodeId& node) const {
  const auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : &found->second;
}

size_t Roster::member_count() const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                           [](const auto& item) { return !item.second.revoked; }));
}

bool Roster::Merge(std::span<const RosterEntry> incoming) {
  bool changed_ever = false;
  // An entry may be signed by a node that the same batch admits, so repeat until nothing is new.
  for (bool changed = true; changed;) {
    changed = false;
    for (const RosterEntry& entry : incoming) {
      const RosterEntry* present = Find(entry.node);
      if (present != nullptr && !Supersedes(entry, *present)) continue;
      if (present == nullptr && entries_.size() >= kRosterEntriesMax) continue;
      if (!IsMember(entry.signer) || !WellFormed(entry)) continue;
      entries_[entry.node] = entry;
      changed = changed_ever = true;
    }
  }
  return changed_ever;
}

RosterEntry Roster::Admit(const Identity& signer, const NodeId& node, std::string_view name) {
  CHECK(IsMember(signer.id()));
  const RosterEntry* present = Find(node);
  if (present != nullptr && !present->revoked) return *present;
  const uint64_t generation = present == nullptr ? 1 : present->generation + 1;
  return entries_[node] = SignEntry(signer, node, name, generation, false);
}

Result<RosterEntry> Roster::Revoke(const Identity& signer, const NodeId& node) {
  CHECK(IsMember(signer.id()));
  const RosterEntry* present = Find(node);
  if (present == nullptr)
    return MakeError(Code::kNotFound, "node '{}' is not in the roster", node.Short());
  if (node == signer.id())
    return MakeError(Code::kInvalidArgument, "a node cannot revoke itself ('{}')", node.Short());
  if (present->revoked) return *present;
  return entries_[node] = SignEntry(signer, node, present->name, present->generation, true);
}

namespace {

namespace json = boost::json;

json::object ToJson(const RosterEntry& entry) {
  return {{"node", entry.node.ToString()},
          {"name", entry.name},
          {"generation", entry.generation},
          {"revoked", entry.revoked},
          {"signer", entry.signer.ToString()},
          {"signature", Base32(entry.signature.data(), entry.signature.size())}};
}

const json::string* FindString(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_string();
}

std::optional<RosterEntry> FromJson(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return std::nullopt;
  const json::string* node = FindString(*object, "node");
  const json::string* name = FindString(*object, "name");
  const json::string* signer = FindString(*object, "signer");
  const json::string* signature = FindString(*object, "signature");
  const json::value* generation = object->if_contains("generation");
  const json::value* revoked = object->if_contains("revoked");
  if (!node || !name || !signer || !signature || !generation || !revoked) return std::nullopt;
  const auto node_id = NodeId::Parse(*node);
  const auto signer_id = NodeId::Parse(*signer);
  const auto signature_bytes = FromBase32(*signature);
  const int64_t* number = generation->if_int64();
  const bool* flag = revoked->if_bool();
  if (!node_id || !signer_id || !signature_bytes || !number || !flag || *number <= 0)
    return std::nullopt;
  RosterEntry entry{.node = *node_id,
                    .name = std::string(*name),
                    .generation = static_cast<uint64_t>(*number),
                    .revoked = *flag,
                    .signer = *signer_id};
  if (signature_bytes->size() != entry.signature.size()) return std::nullopt;
  std::copy(signature_bytes->begin(), signature_bytes->end(), entry.signature.begin());
  return entry;
}

}  // namespace

Result<Roster> LoadRoster(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, os::ReadFile(path, 4 << 20));
  boost::system::error_code failed;
  const json::value document = json::parse(text, failed);
  const json::array* list = failed ? nullptr : document.if_array();
  if (list == nullptr) return MakeError(Code::kDataLoss, "'{}' is not a roster", path);
  std::vector<RosterEntry> entries;
  for (const json::value& item : *list) {
    auto entry = FromJson(item);
    if (!entry)
      return MakeError(Code::kDataLoss, "'{}': entry {} is damaged", path, entries.size());
    entries.push_back(*std::move(entry));
  }
  auto roster = Roster::Adopt(entries);
  if (!roster.ok()) return roster.error().Within(path);
  return roster;
}

Status SaveRoster(const std::string& path, const Roster& roster) {
  json::array list;
  for (const auto& [node, entry] : roster.entries()) list.push_back(ToJson(entry));
  return os::WriteFileAtomically(path, AsBytes(json::serialize(list)), 0600);
}

}  // namespace baton::net
