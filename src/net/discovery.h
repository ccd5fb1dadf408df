// Discovery on the local network by mDNS/DNS-SD, service type _baton._tcp, with avahi's responder
// embedded: no daemon is needed, and other DNS-SD browsers see the node. What is announced is a
// hint where to dial and never a reason to trust: that is the handshake's business.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace baton::net {

struct DiscoveredPeer {
  NodeId node;
  std::string address;  // IPv4 or IPv6 text, link-local ones with their %interface
  uint16_t port = 0;
};

// Announces and browses from construction to destruction, on a thread of its own.
class Discovery {
 public:
  virtual ~Discovery() = default;
};

// `found` is called on the discovery thread, again and again for the same peer.
Result<std::unique_ptr<Discovery>> StartMdns(const NodeId& self, uint16_t port,
                                             std::function<void(DiscoveredPeer)> found);

}  // namespace baton::net
