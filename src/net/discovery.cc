#include "net/discovery.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/thread-watch.h>
#include <avahi-common/timeval.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <ifaddrs.h>

#include "base/log.h"

namespace baton::net {
namespace {

constexpr const char* kServiceType = "_baton._tcp";
constexpr size_t kResolversMax = 1024;
// Linux lets a socket be in so many multicast groups, of which each interface takes one; who is
// left out is chance.
constexpr const char* kMembershipsPath = "/proc/sys/net/ipv4/igmp_max_memberships";
constexpr size_t kMembershipsUsual = 20;

void WarnOfManyInterfaces() {
  ifaddrs* addresses = nullptr;
  if (::getifaddrs(&addresses) != 0) return;
  std::set<std::string> names;
  for (const ifaddrs* each = addresses; each != nullptr; each = each->ifa_next) {
    const bool is_ipv4 = each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET;
    if (is_ipv4 && (each->ifa_flags & IFF_UP) != 0) names.insert(each->ifa_name);
  }
  ::freeifaddrs(addresses);
  size_t most = kMembershipsUsual;
  std::ifstream(kMembershipsPath) >> most;
  if (names.size() <= most) return;
  log::Warning(
      "mdns: of this machine's {} network interfaces a program may listen on {}: nodes may stay "
      "unfound; name one with --peer HOST:PORT, or raise net.ipv4.igmp_max_memberships",
      names.size(), most);
}

void LogFromAvahi(AvahiLogLevel, const char* text) {
  log::Debug("mdns: {}", text);
}

// Everything below runs on avahi's thread once the poll has been started.
class MdnsDiscovery final : public Discovery {
 public:
  MdnsDiscovery(const NodeId& self, uint16_t port, std::function<void(DiscoveredPeer)> found)
      : self_(self), port_(port), found_(std::move(found)) {}

  ~MdnsDiscovery() override {
    if (poll_ != nullptr) avahi_threaded_poll_stop(poll_);
    if (watch_ != nullptr) avahi_threaded_poll_get(poll_)->timeout_free(watch_);
    if (server_ != nullptr) avahi_server_free(server_);  // frees its groups and browsers too
    if (poll_ != nullptr) avahi_threaded_poll_free(poll_);
  }

  Status Start() {
    avahi_set_log_function(LogFromAvahi);
    WarnOfManyInterfaces();
    poll_ = avahi_threaded_poll_new();
    if (poll_ == nullptr) return MakeError(Code::kResourceExhausted, "mdns: no poll object");
    BATON_RETURN_IF_ERROR(MakeServer());
    browser_ = avahi_s_service_browser_new(server_, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                           kServiceType, nullptr, AVAHI_LOOKUP_USE_MULTICAST,
                                           &MdnsDiscovery::OnBrowse, this);
    if (browser_ == nullptr) return Failed("browse", avahi_server_errno(server_));
    WatchAddresses();
    if (avahi_threaded_poll_start(poll_) != 0)
      return MakeError(Code::kInternal, "mdns: cannot start its thread");
    return OkStatus();
  }

 private:
  using ServiceKey = std::tuple<AvahiIfIndex, AvahiProtocol, std::string>;

  static Error Failed(std::string_view what, int error) {
    return MakeError(Code::kUnavailable, "mdns: cannot {}: {}", what, avahi_strerror(error));
  }

  Status MakeServer() {
    AvahiServerConfig config;
    avahi_server_config_init(&config);
    // A name of its own: several nodes may share a host.
    config.host_name = avahi_strdup(("baton-" + self_.Short()).c_str());
    config.publish_hinfo = 0;
    config.publish_workstation = 0;
    config.publish_domain = 0;
    // Addresses are announced per service group, without reverse entries: two responders on one
    // host would take each other's reverse entries for a conflict and fall silent.
    config.publish_addresses = 0;
    int error = 0;
    server_ = avahi_server_new(avahi_threaded_poll_get(poll_), &config, &MdnsDiscovery::OnServer,
                               this, &error);
    avahi_server_config_free(&config);
    if (server_ == nullptr) return Failed("start", error);
    return OkStatus();
  }

  static void OnServer(AvahiServer* server, AvahiServerState state, void* userdata) {
    auto* self = static_cast<MdnsDiscovery*>(userdata);
    if (state == AVAHI_SERVER_RUNNING) self->Announce(server);
    if (state == AVAHI_SERVER_FAILURE)
      log::Warning("mdns stopped: {}", avahi_strerror(avahi_server_errno(server)));
  }

  void Announce(AvahiServer* server) {
    if (group_ == nullptr)
      group_ = avahi_s_entry_group_new(server, &MdnsDiscovery::OnGroup, nullptr);
    if (group_ == nullptr) return;
    avahi_s_entry_group_reset(group_);
    announced_ = LocalInterfaceAddresses();
    const std::string name = "baton-" + self_.Short();
    const std::string host = name + ".local";
    for (const InterfaceAddress& each : announced_) {
      avahi_server_add_address(
          server, group_, each.interface, AVAHI_PROTO_UNSPEC,
          static_cast<AvahiPublishFlags>(AVAHI_PUBLISH_NO_REVERSE | AVAHI_PUBLISH_NO_PROBE),
          host.c_str(), const_cast<AvahiAddress*>(&each.address));
    }
    const std::string id = "id=" + self_.ToString();
    const int error = avahi_server_add_service(
        server, group_, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, static_cast<AvahiPublishFlags>(0),
        name.c_str(), kServiceType, nullptr, host.c_str(), port_, id.c_str(), "v=1", nullptr);
    if (error < 0) {
      log::Warning("mdns: cannot announce: {}", avahi_strerror(error));
      return;
    }
    avahi_s_entry_group_commit(group_);
  }

  struct InterfaceAddress {
    AvahiIfIndex interface = 0;
    AvahiAddress address{};
    bool operator==(const InterfaceAddress& other) const {
      return interface == other.interface && avahi_address_cmp(&address, &other.address) == 0;
    }
  };

  static std::vector<InterfaceAddress> LocalInterfaceAddresses() {
    std::vector<InterfaceAddress> addresses;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return addresses;
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
      char text[INET6_ADDRSTRLEN];
      const int family = at->ifa_addr->sa_family;
      const void* raw = nullptr;
      if (family == AF_INET)
        raw = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
      else if (family == AF_INET6)
        raw = &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
      InterfaceAddress each{static_cast<AvahiIfIndex>(::if_nametoindex(at->ifa_name)), {}};
      const bool usable = raw != nullptr && each.interface > 0 &&
                          ::inet_ntop(family, raw, text, sizeof text) != nullptr &&
                          avahi_address_parse(text, AVAHI_PROTO_UNSPEC, &each.address) != nullptr;
      if (usable) addresses.push_back(each);
    }
    ::freeifaddrs(list);
    return addresses;
  }

  // A laptop changes networks: what is announced follows.
  void WatchAddresses() {
    constexpr int kEverySeconds = 3;
    const AvahiPoll* poll = avahi_threaded_poll_get(poll_);
    timeval when;
    avahi_elapse_time(&when, kEverySeconds * 1000, 0);
    if (watch_ == nullptr)
      watch_ = poll->timeout_new(poll, &when, &MdnsDiscovery::OnWatch, this);
    else
      poll->timeout_update(watch_, &when);
  }

  static void OnWatch(AvahiTimeout*, void* userdata) {
    auto* self = static_cast<MdnsDiscovery*>(userdata);
    if (self->announced_ != LocalInterfaceAddresses()) self->Announce(self->server_);
    self->WatchAddresses();
  }

  static void OnGroup(AvahiServer*, AvahiSEntryGroup*, AvahiEntryGroupState, void*) {}

  static void OnBrowse(AvahiSServiceBrowser*, AvahiIfIndex interface, AvahiProtocol protocol,
                       AvahiBrowserEvent event, const char* name, const char* type,
                       const char* domain, AvahiLookupResultFlags, void* userdata) {
    auto* self = static_cast<MdnsDiscovery*>(userdata);
    if (event == AVAHI_BROWSER_NEW) self->Resolve({interface, protocol, name}, type, domain);
    if (event == AVAHI_BROWSER_REMOVE) self->Forget({interface, protocol, name});
  }

  void Resolve(const ServiceKey& key, const char* type, const char* domain) {
    if (resolvers_.size() >= kResolversMax || resolvers_.count(key) > 0) return;
    const auto& [interface, protocol, name] = key;
    AvahiSServiceResolver* resolver = avahi_s_service_resolver_new(
        server_, interface, protocol, name.c_str(), type, domain, AVAHI_PROTO_UNSPEC,
        AVAHI_LOOKUP_USE_MULTICAST, &MdnsDiscovery::OnResolve, this);
    if (resolver != nullptr) resolvers_[key] = resolver;
  }

  void Forget(const ServiceKey& key) {
    const auto found = resolvers_.find(key);
    if (found == resolvers_.end()) return;
    avahi_s_service_resolver_free(found->second);
    resolvers_.erase(found);
  }

  static void OnResolve(AvahiSServiceResolver*, AvahiIfIndex interface, AvahiProtocol,
                        AvahiResolverEvent event, const char*, const char*, const char*,
                        const char*, const AvahiAddress* address, uint16_t port,
                        AvahiStringList* texts, AvahiLookupResultFlags, void* userdata) {
    auto* self = static_cast<MdnsDiscovery*>(userdata);
    if (event != AVAHI_RESOLVER_FOUND || address == nullptr || port == 0) return;
    const auto node = NodeIn(texts);
    if (!node || *node == self->self_) return;
    self->found_({*node, TextOf(*address, interface), port});
  }

  static std::optional<NodeId> NodeIn(AvahiStringList* texts) {
    for (AvahiStringList* at = texts; at != nullptr; at = avahi_string_list_get_next(at)) {
      const std::string_view text(reinterpret_cast<const char*>(avahi_string_list_get_text(at)),
                                  avahi_string_list_get_size(at));
      if (text.substr(0, 3) == "id=") return NodeId::Parse(text.substr(3));
    }
    return std::nullopt;
  }

  static std::string TextOf(const AvahiAddress& address, AvahiIfIndex interface) {
    char text[AVAHI_ADDRESS_STR_MAX];
    avahi_address_snprint(text, sizeof text, &address);
    std::string result = text;
    const bool link_local = address.proto == AVAHI_PROTO_INET6 && result.compare(0, 4, "fe80") == 0;
    char name[IF_NAMESIZE];
    if (link_local && ::if_indextoname(static_cast<unsigned>(interface), name) != nullptr)
      result += std::string("%") + name;
    return result;
  }

  const NodeId self_;
  const uint16_t port_;
  const std::function<void(DiscoveredPeer)> found_;
  AvahiThreadedPoll* poll_ = nullptr;
  AvahiServer* server_ = nullptr;
  AvahiSEntryGroup* group_ = nullptr;
  AvahiTimeout* watch_ = nullptr;
  std::vector<InterfaceAddress> announced_;
  AvahiSServiceBrowser* browser_ = nullptr;
  std::map<ServiceKey, AvahiSServiceResolver*> resolvers_;
};

}  // namespace

Result<std::unique_ptr<Discovery>> StartMdns(const NodeId& self, uint16_t port,
                                             std::function<void(DiscoveredPeer)> found) {
  auto discovery = std::make_unique<MdnsDiscovery>(self, port, std::move(found));
  BATON_RETURN_IF_ERROR(discovery->Start());
  return std::unique_ptr<Discovery>(std::move(discovery));
}

}  // namespace baton::net
