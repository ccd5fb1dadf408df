#include <csignal>

#include "apps/baton/client.h"
#include "apps/baton/verbs.h"
#include "base/log.h"
#include "net/mesh.h"

namespace baton::app {
namespace {

struct ServeOptions {
  node::NodeOptions node;
  std::string api;
  bool quiet = false;
  bool verbose = false;
};

int Serve(ServeOptions options) {
  log::SetLevel(options.quiet     ? log::Level::kError
                : options.verbose ? log::Level::kDebug
                                  : log::Level::kInfo);
  if (!options.api.empty()) {
    const auto where = net::ParseHostPort(options.api, 7411);
    if (!where.ok()) return Fail(where.error());
    options.node.api.address = where->host;
    options.node.api.port = where->port;
  }
  // Blocked everywhere and waited for here: no handler runs in the middle of anything.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto node = node::Node::Start(options.node);
  if (!node.ok()) return Fail(node.error());
  fmt::print(stderr, "baton {}: node '{}' ({})\n", node::Version(), (*node)->name(),
             (*node)->id().substr(0, 8));
  fmt::print(stderr, "  API   http://{}:{}\n", options.node.api.address, (*node)->api_port());
  fmt::print(stderr, "  mesh  port {}\n", (*node)->mesh_port());
  int signal = 0;
  sigwait(&signals, &signal);
  fmt::print(stderr, "stopping\n");
  return 0;
}

}  // namespace

void AddServe(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<ServeOptions>();
  options->node = NodeOptionsFrom(environment);
  node::NodeOptions& node = options->node;
  CLI::App* verb = root.add_subcommand("serve", "run a node: its API and its part in the mesh");
  verb->add_option("--name", node.name, "name of this node (the host's)");
  verb->add_option("--home", node.home, "identity, roster and settings (BATON_HOME)");
  verb->add_option("--api", options->api, "ADDRESS:PORT of the API (127.0.0.1:7411)");
  verb->add_option("--api-key", node.api.api_key, "what clients must show (BATON_API_KEY)");
  verb->add_option("--listen", node.listen, "ADDRESS:PORT of the mesh (loopback until `invite`)");
  verb->add_option("--peer", node.peers, "HOST:PORT of a node to link with; may be repeated");
  verb->add_flag("!--no-discovery", node.discover, "do not look for nodes by mDNS");
  verb->add_option("-m,--model", node.model_files, "a model file, beside those of the store");
  verb->add_option("-t,--threads", node.threads,
                   "compute threads (one per core but efficiency cores)")
      ->check(CLI::Range(0, 1024));
  verb->add_option("--context", node.workload.context_tokens, "tokens of context per request")
      ->check(CLI::Range(64, 1 << 22));
  verb->add_option("--slots", node.workload.slots, "requests at once per instance")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--chunk", node.workload.chunk_tokens, "prompt tokens per step")
      ->check(CLI::Range(16, 4096));
  AddKvType(*verb, "--kv-type", node.workload.kv_type,
            "KV cache of models placed from here: f16, q8_0 (half the memory, lossy), or f32");
  verb->add_flag_callback(
      "--kv-q8", [options] { options->node.workload.kv_wire_type = KvType::kQ8_0; },
      "hand the KV of models placed from here over in Q8_0: half the bytes, lossy");
  verb->add_flag("-q,--quiet", options->quiet, "errors only");
  verb->add_flag("-v,--verbose", options->verbose, "say more");
  verb->callback([options, &chosen] { chosen = [options] { return Serve(*options); }; });
}

}  // namespace baton::app
