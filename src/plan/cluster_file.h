// Clusters that one does not own, as a TOML file describes them: devices of the catalogue, how
// many, and the links between them (lab/README.md has the keys).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "plan/catalogue.h"
#include "plan/profile.h"
#include "plan/toml_table.h"

namespace baton::plan {

inline constexpr int kClusterNodesMax = 1024;

// A device and its link to all others, as `--add` names it: "dgx-spark" or "dgx-spark:25gbe".
struct Addition {
  CatalogueDevice device;
  CatalogueLink link;
};
inline constexpr std::string_view kUsualLink = "10gbe";
Result<Addition> ParseAddition(std::string_view text, const Catalogue& catalogue);

struct ClusterFile {
  ClusterProfile cluster;            // every node has the model
  std::vector<std::string> devices;  // of each node, as ParseDeviceProfile() takes it
  int chunk_tokens = 0;              // 0: not said
};
// Errors name the table and the key.
Result<ClusterFile> ParseClusterFile(std::string_view text, const Catalogue& catalogue);

// The same of a table that is read already.
Result<ClusterFile> ReadClusterFile(const toml::table& table, const Catalogue& catalogue);

// `cluster` and one node more, named after its device.
ClusterProfile With(ClusterProfile cluster, const Addition& addition);

}  // namespace baton::plan
