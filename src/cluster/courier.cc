#include "cluster/courier.h"

namespace baton::cluster {

void Courier::Send(const NodeId& to, const ClusterMessage& message, net::OnSent on_sent) {
  Bytes payload(message.ByteSizeLong());
  if (payload.size() > wire::PayloadMaxOf(wire::FrameType::kCluster)) {
    if (on_sent)
      on_sent(MakeError(Code::kResourceExhausted, "a message of {} bytes", payload.size()));
    return;
  }
  CHECK(message.SerializeToArray(payload.data(), static_cast<int>(payload.size())));
  SendFrame(to, wire::FrameType::kCluster, std::move(payload), std::move(on_sent));
}

}  // namespace baton::cluster
