#include "apps/baton/lab/cluster.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <stdlib.h>

#include "apps/baton/answers.h"
#include "base/log.h"
#include "os/file.h"

namespace baton::app {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint16_t kApiPort = 7411;
constexpr uint16_t kMeshPort = 7412;
constexpr seconds kAnswerMost{30};
constexpr seconds kLinksMost{180};
constexpr milliseconds kPoll{20};
constexpr milliseconds kPollMost{300};
// Links that others disturbed are measured again soon: so long without a better one is enough.
constexpr seconds kRatesMost{30};
constexpr seconds kNoBetter{8};
constexpr double kRateEnough = 0.9;
constexpr seconds kStopPatience{3};
// Of more, nobody waits until they have measured each link: they are told what ports are shaped to.
constexpr size_t kMeasuringNodesMost = 8;
// A shaper gives out what it saved up while nobody sent: this much of its rate, and a packet.
constexpr double kBurstSeconds = 1e-3;
constexpr double kBurstBytesMin = 256 << 10;

// What a round trip between two processes of this machine takes anyway, and through a relay.
constexpr double kOwnRttUs = 150;
constexpr double kRelayRttUs = 250;

std::atomic<bool> g_interrupted{false};

// 10.77.0.1 is this process, nodes are from 10.77.1.1 on.
std::string AddressOf(size_t node) {
  return fmt::format("10.77.{}.{}", 1 + node / 250, 1 + node % 250);
}

std::string MacOf(size_t node) {
  return fmt::format("02:00:0a:4d:{:02x}:{:02x}", node / 256, node % 256);
}

Result<uint16_t> FreePort() {
  asio::io_context io;
  boost::system::error_code failed;
  asio::ip::tcp::acceptor acceptor(io);
  const asio::ip::tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
  acceptor.open(any.protocol(), failed);
  if (!failed) acceptor.bind(any, failed);
  if (failed) return MakeError(Code::kUnavailable, "no port is free: {}", failed.message());
  return acceptor.local_endpoint().port();
}

Status Tool(const std::vector<std::string>& arguments) {
  return os::RunTool(arguments).status();
}

std::string Words(double bytes_per_s) {
  return fmt::format("rate {:.0f} burst {:.0f} latency 50ms", bytes_per_s * 8,
                     std::max(kBurstBytesMin, bytes_per_s * kBurstSeconds));
}

// Asks again the later the longer it took.
template <typename Condition>
Status Await(const std::string& what, seconds most, const Condition& condition) {
  milliseconds pause = kPoll;
  const auto deadline = std::chrono::steady_clock::now() + most;
  for (;;) {
    BATON_RETURN_IF_ERROR(CheckInterrupted());
    BATON_ASSIGN_OR_RETURN(const bool done, condition());
    if (done) return OkStatus();
    if (std::chrono::steady_clock::now() > deadline)
      return MakeError(Code::kDeadlineExceeded, "{} took more than {} s", what, most.count());
    std::this_thread::sleep_for(pause);
    pause = std::min(kPollMost, pause * 5 / 4);
  }
}

}  // namespace

bool LabInterrupted() {
  return g_interrupted;
}
void InterruptLab() {
  g_interrupted = true;
}
Status CheckInterrupted() {
  if (!g_interrupted) return OkStatus();
  return MakeError(Code::kCancelled, "interrupted");
}

Result<std::unique_ptr<LabCluster>> LabCluster::Start(const plan::Scenario& scenario,
                                                      const plan::ClusterProfile& cluster,
                                                      const LabOptions& options) {
  std::unique_ptr<LabCluster> lab(new LabCluster(scenario, cluster, options));
  BATON_RETURN_IF_ERROR(lab->Run());
  return lab;
}

LabCluster::~LabCluster() {
  for (os::Process& process : processes_) process.Terminate();
  for (os::Process& process : processes_) process.Stop(kStopPatience);
  processes_.clear();
  // The kernel takes its time to remove the network of a process that is gone.
  for (size_t i = 0; options_.isolated && i < nodes_.size(); ++i)
    (void)Tool({"ip", "link", "delete", fmt::format("lab{}", i)});
  if (options_.isolated) (void)Tool({"ip", "link", "delete", "lab"});
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Status LabCluster::Run() {
  std::string pattern = (std::filesystem::temp_directory_path() / "baton-lab-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return MakeError(Code::kResourceExhausted, "no folder '{}' can be made", pattern);
  folder_ = pattern;
  BATON_RETURN_IF_ERROR(PlanAddresses());
  BATON_ASSIGN_OR_RETURN(port_bytes_per_s_, plan::PortRates(cluster_));
  for (double& rate : port_bytes_per_s_) rate *= options_.speed;
  BATON_RETURN_IF_ERROR(MakeNetwork());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    BATON_RETURN_IF_ERROR(OpenRelays(i));
    BATON_RETURN_IF_ERROR(StartNode(i));
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    BATON_RETURN_IF_ERROR(AwaitAnswer(i));
    if (i == 0) continue;
    BATON_RETURN_IF_ERROR(Join(i));
    // One after the other, or all would measure their links at the same time.
    if (!RatesAreTold()) BATON_RETURN_IF_ERROR(AwaitLinks(i, i + 1));
  }
  for (size_t i = 0; i < nodes_.size(); ++i) BATON_RETURN_IF_ERROR(AwaitLinks(i, nodes_.size()));
  return RatesAreTold() ? OkStatus() : AwaitRates();
}

bool LabCluster::RatesAreTold() const {
  return cluster_.nodes.size() > kMeasuringNodesMost;
}

Status LabCluster::MakeNetwork() {
  if (!options_.isolated) {
    BATON_RETURN_IF_ERROR(os::AllowManyFiles());
    relays_ = std::make_unique<Relays>(port_bytes_per_s_);
    return OkStatus();
  }
  BATON_RETURN_IF_ERROR(Tool({"ip", "link", "set", "lo", "up"}));
  BATON_RETURN_IF_ERROR(Tool({"ip", "link", "add", "lab", "type", "bridge"}));
  BATON_RETURN_IF_ERROR(Tool({"ip", "address", "add", "10.77.0.1/16", "dev", "lab"}));
  return Tool({"ip", "link", "set", "lab", "up"});
}

// From the node to all before it.
Status LabCluster::OpenRelays(size_t i) {
  for (size_t j = 0; relays_ != nullptr && j < i; ++j) {
    const plan::LinkProfile* link = cluster_.FindLink(cluster_.nodes[i].id, cluster_.nodes[j].id);
    const double delay_us = std::max(0.0, (link->rtt_us - kRelayRttUs) / 2 / options_.speed);
    BATON_ASSIGN_OR_RETURN(
        const uint16_t port,
        relays_->Add({.from = i,
                      .to = j,
                      .to_port = nodes_[j].mesh_port,
                      .delay = std::chrono::duration_cast<os::Duration>(
                          std::chrono::duration<double, std::micro>(delay_us))}));
    nodes_[i].peers.push_back(fmt::format("127.0.0.1:{}", port));
  }
  return OkStatus();
}

Status LabCluster::PlanAddresses() {
  for (size_t i = 0; i < cluster_.nodes.size(); ++i) {
    LabNode node{.name = cluster_.nodes[i].name,
                 .address = options_.isolated ? AddressOf(i) : "127.0.0.1",
                 .api_port = kApiPort,
                 .mesh_port = kMeshPort,
                 .client = Client({})};
    if (!options_.isolated) {
      BATON_ASSIGN_OR_RETURN(node.api_port, FreePort());
      BATON_ASSIGN_OR_RETURN(node.mesh_port, FreePort());
    }
    if (node.name == scenario_.entry) entry_ = i;
    node.client = Client({.host = node.address, .port = node.api_port, .key = {}});
    nodes_.push_back(std::move(node));
  }
  return OkStatus();
}

std::vector<std::string> LabCluster::Arguments(size_t i) const {
  const LabNode& node = nodes_[i];
  const plan::DeviceProfile& device = cluster_.nodes[i].device;
  std::vector<std::string> arguments;
  if (options_.isolated) {
    // Neighbours are told: the system keeps a thousand that it has asked for, of all networks.
    std::string neighbours;
    for (size_t other = 0; other < nodes_.size(); ++other) {
      if (other != i)
        neighbours += fmt::format("neigh add {} lladdr {} dev port nud permanent\\n",
                                  nodes_[other].address, MacOf(other));
    }
    const std::string script = fmt::format(
        "ip link set lo up && ip address add {}/16 dev port && ip link set port up && "
        "printf '{}' | ip -batch - && "
        "tc qdisc add dev port root tbf {} && exec \"$@\"",
        node.address, neighbours, Words(port_bytes_per_s_[i]));
    arguments = {"sh", "-c", script, "sh"};
  }
  const int chunk = scenario_.cluster.chunk_tokens;
  for (const std::string& each :
       std::vector<std::string>{options_.program,
                                "serve",
                                "--quiet",
                                "--name",
                                node.name,
                                "--home",
                                fmt::format("{}/{}", folder_, i),
                                "--api",
                                fmt::format("{}:{}", node.address, node.api_port),
                                "--listen",
                                fmt::format("{}:{}", node.address, node.mesh_port),
                                "--phantom",
                                scenario_.cluster.devices[i],
                                "--phantom-memory",
                                fmt::format("{}", device.memory_bytes),
                                "--model-shape",
                                scenario_.model,
                                "--speed",
                                fmt::format("{}", options_.speed),
                                "--chunk",
                                fmt::format("{}", chunk > 0 ? chunk : 2048),
                                "--threads",
                                "1"})
    arguments.push_back(each);
  if (relays_ != nullptr || RatesAreTold()) arguments.emplace_back("--no-discovery");
  for (const std::string& peer : node.peers) {
    arguments.emplace_back("--peer");
    arguments.push_back(peer);
  }
  for (std::string& each : LinkArguments(i)) arguments.push_back(std::move(each));
  return arguments;
}

// What it cannot see of its links, or need not measure.
std::vector<std::string> LabCluster::LinkArguments(size_t i) const {
  std::vector<std::string> arguments;
  for (const plan::NodeProfile& other : cluster_.nodes) {
    const plan::LinkProfile* link = cluster_.FindLink(cluster_.nodes[i].id, other.id);
    if (link == nullptr) continue;
    const double hold_us = (link->rtt_us - kOwnRttUs) / 2 / options_.speed;
    if (hold_us > 0 && relays_ == nullptr) {
      arguments.emplace_back("--phantom-hold");
      arguments.push_back(fmt::format("{}={:.0f}", other.name, hold_us));
    }
    if (RatesAreTold()) {
      arguments.emplace_back("--phantom-rate");
      arguments.push_back(fmt::format("{}={:.0f}", other.name, link->bytes_per_s * options_.speed));
    }
  }
  return arguments;
}

Status LabCluster::StartNode(size_t i) {
  const std::string home = fmt::format("{}/{}", folder_, i);
  BATON_RETURN_IF_ERROR(os::MakeDirectories(home, 0700));
  // Models of this machine are not theirs.
  const std::vector<std::string> environment = {"HOME=" + home, "BATON_MODELS=", "HF_HOME=" + home,
                                                "HF_HUB_CACHE=" + home, "OLLAMA_MODELS=" + home};
  BATON_ASSIGN_OR_RETURN(os::Process process,
                         os::Process::Start({.arguments = Arguments(i),
                                             .environment = environment,
                                             .log_path = home + "/log",
                                             .own_network = options_.isolated}));
  const int id = process.id();
  processes_.push_back(std::move(process));
  if (!options_.isolated) return OkStatus();
  BATON_RETURN_IF_ERROR(Wire(i, id));
  processes_.back().Go();
  return OkStatus();
}

// A cable from the bridge to the node, shaped at both ends: what it sends here, what it takes
// there.
Status LabCluster::Wire(size_t i, int process) {
  const std::string outer = fmt::format("lab{}", i);
  BATON_RETURN_IF_ERROR(Tool({"ip", "link", "add", outer, "type", "veth", "peer", "name", "port",
                              "address", MacOf(i), "netns", std::to_string(process)}));
  BATON_RETURN_IF_ERROR(Tool({"ip", "link", "set", outer, "master", "lab", "up"}));
  std::vector<std::string> shape = {"tc", "qdisc", "add", "dev", outer, "root", "tbf"};
  const double rate = port_bytes_per_s_[i];
  for (const std::string& word :
       {std::string("rate"), fmt::format("{:.0f}", rate * 8), std::string("burst"),
        fmt::format("{:.0f}", std::max(kBurstBytesMin, rate * kBurstSeconds)),
        std::string("latency"), std::string("50ms")})
    shape.push_back(word);
  return Tool(shape);
}

Status LabCluster::CheckAlive() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (processes_[i].running()) continue;
    const auto log = os::ReadFile(fmt::format("{}/{}/log", folder_, i), 1 << 20);
    return MakeError(Code::kInternal, "node '{}' ended: {}", nodes_[i].name,
                     log.ok() ? *log : "it says nothing");
  }
  return OkStatus();
}

Status LabCluster::AwaitAnswer(size_t i) {
  return Await(fmt::format("the start of '{}'", nodes_[i].name), kAnswerMost,
               [&]() -> Result<bool> {
                 BATON_RETURN_IF_ERROR(CheckAlive());
                 return nodes_[i].client.Alive();
               });
}

Status LabCluster::Join(size_t i) {
  const std::string first = relays_ != nullptr
                                ? nodes_[i].peers.front()
                                : fmt::format("{}:{}", nodes_[0].address, nodes_[0].mesh_port);
  BATON_ASSIGN_OR_RETURN(const json::value invitation,
                         nodes_[0].client.Post("/api/invite", json::object()));
  const json::object answer = {{"code", Text(invitation, "code")},
                               {"peers", json::array{json::string(first)}}};
  return nodes_[i].client.Post("/api/join", answer).status();
}

// The node knows the links between all of `n` nodes.
Status LabCluster::AwaitLinks(size_t node, size_t n) {
  const auto linked = [&]() -> Result<bool> {
    BATON_RETURN_IF_ERROR(CheckAlive());
    BATON_ASSIGN_OR_RETURN(const json::value view, nodes_[node].client.Get("/api/cluster"));
    return List(view, "links").size() >= n * (n - 1);
  };
  return Await(fmt::format("measuring the links of '{}'", nodes_[node].name), kLinksMost, linked);
}

// Until links carry what they should, or do not get any better.
Status LabCluster::AwaitRates() {
  double best = 0;
  const auto began = std::chrono::steady_clock::now();
  auto better_at = began;
  return Await("measuring the links again", kLinksMost, [&]() -> Result<bool> {
    const Carried carried = MeasureLinks();
    const auto now = std::chrono::steady_clock::now();
    if (carried.mean > best * 1.001) better_at = now;
    best = std::max(best, carried.mean);
    return carried.least >= kRateEnough || now - better_at > kNoBetter || now - began > kRatesMost;
  });
}

LabCluster::Carried LabCluster::MeasureLinks() const {
  Carried carried{.least = 1e9, .most = 0, .mean = 0};
  int links = 0;
  const auto view = EntryClient().Get("/api/cluster");
  if (!view.ok()) return {};
  const auto node_called = [&](const std::string& name) -> const plan::NodeProfile* {
    for (const plan::NodeProfile& node : cluster_.nodes) {
      if (node.name == name) return &node;
    }
    return nullptr;
  };
  for (const json::value& each : List(*view, "links")) {
    const plan::NodeProfile* from = node_called(Text(each, "from"));
    const plan::NodeProfile* to = node_called(Text(each, "to"));
    const plan::LinkProfile* link =
        from == nullptr || to == nullptr ? nullptr : cluster_.FindLink(from->id, to->id);
    if (link == nullptr) continue;
    const double share = Number(each, "bytes_per_s") / (link->bytes_per_s * options_.speed);
    carried.least = std::min(carried.least, share);
    carried.most = std::max(carried.most, share);
    carried.mean += share;
    ++links;
  }
  carried.mean /= std::max(1, links);
  return links == 0 ? Carried() : carried;
}

void LabCluster::Interrupt() const {
  for (const os::Process& process : processes_) process.Terminate();
}

Status LabCluster::StopModel() {
  BATON_RETURN_IF_ERROR(EntryClient().Post("/api/stop", {{"model", scenario_.model}}).status());
  for (const LabNode& node : nodes_) {
    BATON_RETURN_IF_ERROR(Await("stopping the model", kAnswerMost, [&]() -> Result<bool> {
      BATON_ASSIGN_OR_RETURN(const json::value view, node.client.Get("/api/cluster"));
      return List(view, "instances").empty();
    }));
  }
  return OkStatus();
}

}  // namespace baton::app
