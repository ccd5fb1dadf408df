// What decides who is let in: invitation codes as people type them, node ids, the roster file. An
// input that begins with '[' is taken for a roster.
// fuzz: modules net
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/check.h"
#include "net/invitation.h"
#include "net/roster.h"
#include "os/system.h"

namespace baton::net {
namespace {

void TryCode(std::string_view text) {
  if (const auto id = NodeId::Parse(text)) CHECK(id->ToString() == text);
  const auto invitation = Invitation::Parse(text);
  if (!invitation.ok()) return;
  CHECK(invitation->addresses.size() <= Invitation::kAddressesMax);
  const auto again = Invitation::Parse(invitation->ToCode());
  CHECK(again.ok() && again->secret == invitation->secret &&
        again->key_hash == invitation->key_hash && again->addresses == invitation->addresses);
}

void TryRoster(std::string_view text) {
  static const std::string path =
      std::filesystem::temp_directory_path() / fmt::format("roster-{}.json", os::RandomU64());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  const auto roster = LoadRoster(path);
  if (!roster.ok()) return;
  for (const auto& [node, entry] : roster->entries()) CHECK(node == entry.node);
}

}  // namespace
}  // namespace baton::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with('['))
    baton::net::TryRoster(input);
  else
    baton::net::TryCode(input);
  return 0;
}
