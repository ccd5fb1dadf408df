#include "plan/cluster_file.h"

#include <algorithm>
#include <map>

namespace baton::plan {
namespace {

constexpr double kMemoryMaxGb = 1e6;

// The n-th node of a file: its place in the order is its identity, and all that ties depend on.
NodeId IdOf(size_t n) {
  std::array<uint8_t, 32> key{};
  for (size_t i = 0; i < 4; ++i) key[i] = static_cast<uint8_t>(n >> (24 - 8 * i));
  key[31] = 1;  // no key is all zeros
  return NodeId(key);
}

class Reader {
 public:
  explicit Reader(const Catalogue& catalogue) : catalogue_(catalogue) {}

  Result<ClusterFile> Read(const toml::table& table) {
    TomlTable file(table, "the cluster");
    for (const toml::table* device : file.Tables("device"))
      BATON_RETURN_IF_ERROR(ReadDevices(*device));
    for (const toml::table* link : file.Tables("link")) BATON_RETURN_IF_ERROR(ReadLinks(*link));
    ClusterFile read;
    read.chunk_tokens = file.Integer("chunk_tokens", 1, 1 << 20, 0);
    if (result_.nodes.empty()) file.Fail("there is no [[device]]");
    BATON_RETURN_IF_ERROR(file.Done());
    read.cluster = std::move(result_);
    read.devices = std::move(devices_);
    return read;
  }

 private:
  // One table may stand for several nodes.
  Status ReadDevices(const toml::table& table) {
    TomlTable fields(table, "a device");
    const std::string kind = fields.Text("is");
    const std::string name = fields.Text("name", kind);
    fields.Rename(fmt::format("device '{}'", name));
    const int count = fields.Integer("count", 1, kClusterNodesMax, 1);
    const std::string of = fields.Text("derating", "");
    const double memory_gb = fields.Number("memory_gb", 0, kMemoryMaxGb, 0);
    if (nodes_named_.contains(name)) fields.Fail("there are two of this name");
    if (result_.nodes.size() + static_cast<size_t>(count) > kClusterNodesMax)
      fields.Fail("there are more than {} devices", kClusterNodesMax);
    BATON_RETURN_IF_ERROR(fields.Done());
    BATON_ASSIGN_OR_RETURN(const CatalogueDevice device, catalogue_.Device(kind));
    BATON_ASSIGN_OR_RETURN(const Derating derating, FindDerating(device, of));
    NodeProfile node{.device = ProfileOf(device, derating)};
    if (memory_gb > 0) node.device.memory_bytes = static_cast<uint64_t>(memory_gb * 1e9);
    for (int i = 0; i < count; ++i) {
      node.id = IdOf(result_.nodes.size());
      node.name = count == 1 ? name : fmt::format("{}-{}", name, i + 1);
      nodes_named_[name].push_back(result_.nodes.size());
      result_.nodes.push_back(node);
      devices_.push_back(fmt::format("{}:{}", device.id, derating.of));
    }
    return OkStatus();
  }

  Status ReadLinks(const toml::table& table) {
    TomlTable fields(table, "a link");
    LinkProfile link;
    if (fields.Has("is")) {
      BATON_ASSIGN_OR_RETURN(const CatalogueLink known, catalogue_.Link(fields.Text("is")));
      link.bytes_per_s = known.bytes_per_s;
      link.rtt_us = known.rtt_us;
    } else {
      link.bytes_per_s = fields.Number("gbit_per_s", 1e-3, 1e5) * 1e9 / 8;
      link.rtt_us = fields.Number("rtt_us", 0, 1e7);
    }
    link.port = fields.Text("port", "");
    const std::vector<std::string> names = fields.Texts("between");
    if (fields.Has("between") && names.size() < 2) fields.Fail("'between' names fewer than two");
    std::vector<std::vector<size_t>> ends;
    for (const std::string& name : names) {
      const auto named = nodes_named_.find(name);
      if (named == nodes_named_.end()) {
        fields.Fail("'between' names '{}', which no [[device]] is called", name);
      } else {
        ends.push_back(named->second);
      }
    }
    BATON_RETURN_IF_ERROR(fields.Done());
    Connect(ends, link);
    return OkStatus();
  }

  // All nodes of these with each other; of no list at all, all that there are. What a later table
  // says counts.
  void Connect(const std::vector<std::vector<size_t>>& ends, LinkProfile link) {
    std::vector<size_t> nodes;
    for (const auto& group : ends) nodes.insert(nodes.end(), group.begin(), group.end());
    for (size_t i = 0; ends.empty() && i < result_.nodes.size(); ++i) nodes.push_back(i);
    for (const size_t from : nodes) {
      for (const size_t to : nodes) {
        if (from == to) continue;
        link.from = result_.nodes[from].id;
        link.to = result_.nodes[to].id;
        const auto [at, fresh] = link_at_.try_emplace({from, to}, result_.links.size());
        if (fresh) {
          result_.links.push_back(link);
        } else {
          result_.links[at->second] = link;
        }
      }
    }
  }

  const Catalogue& catalogue_;
  ClusterProfile result_;
  std::vector<std::string> devices_;
  std::map<std::string, std::vector<size_t>> nodes_named_;
  std::map<std::pair<size_t, size_t>, size_t> link_at_;
};

}  // namespace

Result<ClusterFile> ParseClusterFile(std::string_view text, const Catalogue& catalogue) {
  BATON_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text));
  return ReadClusterFile(table, catalogue);
}

Result<ClusterFile> ReadClusterFile(const toml::table& table, const Catalogue& catalogue) {
  return Reader(catalogue).Read(table);
}

Result<Addition> ParseAddition(std::string_view text, const Catalogue& catalogue) {
  const size_t colon = text.find(':');
  Addition addition;
  BATON_ASSIGN_OR_RETURN(addition.device, catalogue.Device(text.substr(0, colon)));
  const std::string_view link =
      colon == std::string_view::npos ? kUsualLink : text.substr(colon + 1);
  BATON_ASSIGN_OR_RETURN(addition.link, catalogue.Link(link));
  return addition;
}

ClusterProfile With(ClusterProfile cluster, const Addition& addition) {
  // Behind all others, so that nothing that was equal before is decided otherwise now.
  NodeProfile node{.id = IdOf(UINT32_MAX), .name = addition.device.id};
  for (int n = 2; std::any_of(cluster.nodes.begin(), cluster.nodes.end(),
                              [&](const NodeProfile& other) { return other.name == node.name; });
       ++n) {
    node.name = fmt::format("{}-{}", addition.device.id, n);
  }
  node.device = ProfileOf(addition.device, addition.device.deratings.front());
  for (const NodeProfile& other : cluster.nodes) {
    cluster.links.push_back({node.id, other.id, addition.link.rtt_us, addition.link.bytes_per_s});
    cluster.links.push_back({other.id, node.id, addition.link.rtt_us, addition.link.bytes_per_s});
  }
  cluster.nodes.push_back(std::move(node));
  return cluster;
}

}  // namespace baton::plan
