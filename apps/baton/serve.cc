#include <charconv>
#include <csignal>

#include "apps/baton/client.h"
#include "apps/baton/verbs.h"
#include "base/log.h"
#include "net/mesh.h"
#include "plan/catalogue.h"

namespace baton::app {
namespace {

struct ServeOptions {
  node::NodeOptions node;
  std::string api;
  std::string phantom;
  std::vector<std::string> shapes;
  double phantom_memory_bytes = 0;
  std::vector<std::string> holds;
  std::vector<std::string> rates;
  double speed = 1;
  bool quiet = false;
  bool verbose = false;
};

// "NODE=NUMBER", from `min` to `max`.
std::optional<std::pair<std::string, double>> ParseOfNode(const std::string& text, double min,
                                                          double max) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos) return std::nullopt;
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + equals + 1, last, number);
  const bool whole = error == std::errc() && end == last;
  if (!whole || !(number >= min && number <= max)) return std::nullopt;
  return std::pair(text.substr(0, equals), number);
}

// A device of the catalogue, with models of which only the shape is known.
Result<node::PhantomOptions> PhantomOf(const ServeOptions& options) {
  node::PhantomOptions phantom;
  BATON_ASSIGN_OR_RETURN(plan::DeviceProfile device,
                         plan::ParseDeviceProfile(options.phantom, plan::Catalogue::Shipped()));
  phantom.device = plan::SpedUp(std::move(device), options.speed);
  phantom.patience = std::max(1.0, 1 / options.speed);
  if (options.phantom_memory_bytes > 0)
    phantom.device.memory_bytes = static_cast<uint64_t>(options.phantom_memory_bytes);
  for (const std::string& text : options.shapes) {
    BATON_ASSIGN_OR_RETURN(hub::SyntheticOptions shape, hub::ParseShapeAndType(text));
    phantom.shapes.push_back(std::move(shape));
    phantom.shape_names.push_back(text);
  }
  for (const std::string& text : options.holds) {
    const auto hold = ParseOfNode(text, 0, 1e7);
    if (!hold)
      return MakeError(Code::kInvalidArgument,
                       "--phantom-hold '{}' is not NODE=MICROSECONDS, at most 10 s", text);
    phantom.hold_us.insert(*hold);
  }
  for (const std::string& text : options.rates) {
    const auto rate = ParseOfNode(text, 1, 1e15);
    if (!rate)
      return MakeError(Code::kInvalidArgument,
                       "--phantom-rate '{}' is not NODE=BYTES, a second, at least 1", text);
    phantom.told_bytes_per_s.insert(*rate);
  }
  return phantom;
}

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
  if (!options.phantom.empty()) {
    auto phantom = PhantomOf(options);
    if (!phantom.ok()) return Fail(phantom.error());
    options.node.phantom = *std::move(phantom);
  } else if (!options.shapes.empty()) {
    return Fail(Error(Code::kInvalidArgument, "--model-shape is for nodes with --phantom"));
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
  verb->add_option(
      "--phantom", options->phantom,
      "pretend to be DEVICE[:DERATING] of `baton plan --catalogue`: all but arithmetic");
  verb->add_option("--phantom-memory", options->phantom_memory_bytes,
                   "bytes for weights and KV, if not what the catalogue says")
      ->check(CLI::Range(1e6, 1e15));
  verb->add_option("--phantom-hold", options->holds,
                   "NODE=MICROSECONDS: frames to that node are held back; may be repeated");
  verb->add_option("--phantom-rate", options->rates,
                   "NODE=BYTES: so many a second go to that node, which is believed instead of "
                   "measured; may be repeated");
  verb->add_option("--model-shape", options->shapes,
                   "SHAPE[:TYPE] of `baton synth`, a model of a phantom; may be repeated");
  verb->add_option("--speed", options->speed, "of a phantom's clock")->check(CLI::Range(1e-3, 1e3));
  verb->add_flag("-q,--quiet", options->quiet, "errors only");
  verb->add_flag("-v,--verbose", options->verbose, "say more");
  verb->callback([options, &chosen] { chosen = [options] { return Serve(*options); }; });
}

}  // namespace baton::app
