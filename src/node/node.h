// Node: the composition root. Builds everything, owns lifetimes, runs the I/O loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/store.h"
#include "hub/synthetic_model.h"
#include "plan/profile.h"
#include "serve/api_server.h"

namespace baton::node {

// A node that pretends to be another device, with models that are shapes.
struct PhantomOptions {
  plan::DeviceProfile device;
  std::vector<hub::SyntheticOptions> shapes;
  std::vector<std::string> shape_names;                     // of those, as requests call them
  std::map<std::string, double> hold_us, told_bytes_per_s;  // as net::MeshOptions
  double patience = 1;                                      // likewise
};

struct NodeOptions {
  std::string name;  // empty: the host's
  std::string home;  // identity, roster, settings, profile cache
  hub::StoreOptions store;
  std::vector<std::string> model_files;  // beyond what the store finds
  serve::ApiOptions api;
  std::string listen;  // "address:port" of the mesh; empty: as settings say, or loopback
  std::vector<std::string> peers;  // "host:port"
  bool discover = true;            // where the mesh is open; on loopback only if `listen` says so
  int threads = 0;
  std::string kernels;
  std::optional<PhantomOptions> phantom;
  plan::Workload workload{.prompt_tokens = 1024, .answer_tokens = 256, .slots = 4};
};

// The name of a model that was given by its file: "a/b.gguf" is "b".
std::string ModelNameOf(const std::string& path);

// The version that nodes tell each other and `baton --version` prints.
const char* Version();

class Node {
 public:
  // Opens the listeners and starts the threads, one of which measures the device if its profile is
  // not cached.
  static Result<std::unique_ptr<Node>> Start(NodeOptions options);
  // Closes listeners and links, ends requests, joins the threads.
  ~Node();

  uint16_t api_port() const;
  uint16_t mesh_port() const;
  std::string id() const;
  const std::string& name() const;

 private:
  class Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::node
