// ApiServer: the routes of a node, and who may use them. Everything a browser could be tricked into
// is refused: foreign Host names (DNS rebinding), foreign Origins, posts that are not JSON.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/mesh.h"
#include "serve/http_server.h"
#include "serve/openai.h"

namespace baton::serve {

struct ApiOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 7411;
  std::string api_key;             // empty: none is asked for
  std::vector<std::string> hosts;  // names under which clients may call, besides localhost and IPs
};

// What the API asks of the node beyond the cluster: opening the mesh. I/O thread.
struct NodeControls {
  // Listens beyond loopback if it does not yet, and prints a code.
  std::function<Result<std::string>()> invite;
  std::function<void(const std::string& code, std::vector<std::string> hosts,
                     std::function<void(Status)>)>
      join;
  std::function<Status(const NodeId&)> revoke;
  // Looks again for model files.
  std::function<void()> rescan;
};

class ApiServer {
 public:
  ApiServer(asio::io_context& io, cluster::Cluster& cluster, const os::Clock& clock,
            NodeControls controls, ApiOptions options);
  ~ApiServer();

  Status Listen();
  uint16_t port() const;
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace baton::serve
