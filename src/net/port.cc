#include "net/port.h"

#include <algorithm>

#include "net/connection.h"

namespace baton::net {

void Port::Add(const std::shared_ptr<Connection>& connection) {
  std::erase_if(connections_, [](const auto& each) { return each.expired(); });
  connections_.push_back(connection);
}

void Port::Begin(const Connection& connection) {
  double most = 0;
  for (const auto& each : connections_) {
    if (const auto other = each.lock()) most = std::max(most, other->bytes_per_s());
  }
  if (connection.bytes_per_s() >= most / 2) under_way_.insert(&connection);
}

void Port::End(const Connection& connection) {
  if (under_way_.erase(&connection) > 0) WakeAll();
}

void Port::OnSent(uint64_t bytes) {
  sent_bytes_ += bytes;
  WakeAll();
}

void Port::WakeAll() {
  for (const auto& each : connections_) {
    if (const auto connection = each.lock()) connection->Wake();
  }
}

}  // namespace baton::net
