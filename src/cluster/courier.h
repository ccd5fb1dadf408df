// Courier: how the parts of a cluster reach a node, this one included. Any thread.
#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "cluster/cluster.pb.h"
#include "net/connection.h"
#include "wire/frame.h"

namespace baton::cluster {

class Courier {
 public:
  virtual ~Courier() = default;
  virtual const NodeId& self() const = 0;
  // Delivered in the order of the calls, per node and lane; what is for this node comes around
  // through the I/O loop like everything else.
  virtual void SendFrame(const NodeId& to, wire::FrameType type, Bytes payload,
                         net::OnSent on_sent) = 0;

  void Send(const NodeId& to, const ClusterMessage& message, net::OnSent on_sent = {});
};

}  // namespace baton::cluster
