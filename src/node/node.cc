#include "node/node.h"

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>

#include "base/log.h"
#include "cluster/cluster.h"
#include "net/discovery.h"
#include "net/mesh.h"
#include "node/memory_watch.h"
#include "node/profile.h"
#include "node/sensor_watch.h"
#include "os/file.h"
#include "os/system.h"
#include "os/turn.h"

namespace baton::node {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr uint16_t kMeshPort = 7412;
// For its turn to measure, a node waits no longer.
constexpr std::chrono::seconds kTurnMost(60);
constexpr std::string_view kLoopback = "127.0.0.1";

bool IsLoopback(std::string_view address) {
  boost::system::error_code failed;
  const auto parsed = asio::ip::make_address(std::string(address), failed);
  return !failed && parsed.is_loopback();
}

// What the owner has decided and a restart must remember: today, that the mesh is open.
struct Settings {
  std::string listen;
};

Settings LoadSettings(const std::string& path) {
  Settings settings;
  const auto text = os::ReadFile(path, 1 << 16);
  if (!text.ok()) return settings;
  boost::system::error_code failed;
  const json::value parsed = json::parse(*text, failed);
  const json::object* object = failed ? nullptr : parsed.if_object();
  const json::value* listen = object == nullptr ? nullptr : object->if_contains("listen");
  if (listen != nullptr && listen->is_string()) settings.listen = std::string(listen->get_string());
  return settings;
}

Status SaveSettings(const std::string& path, const Settings& settings) {
  const std::string text = json::serialize(json::object{{"listen", settings.listen}});
  return os::WriteFileAtomically(path, AsBytes(text), 0600);
}

Result<net::Roster> LoadOrFoundRoster(const std::string& path, const net::Identity& identity,
                                      const std::string& name) {
  if (os::Exists(path)) {
    BATON_ASSIGN_OR_RETURN(net::Roster roster, net::LoadRoster(path));
    if (roster.IsMember(identity.id())) return roster;
    return MakeError(Code::kPermissionDenied,
                     "'{}' does not hold this node any more (it was revoked): remove the file to "
                     "begin a cluster of one",
                     path);
  }
  net::Roster roster = net::Roster::Found(identity, name);
  BATON_RETURN_IF_ERROR(net::SaveRoster(path, roster));
  return roster;
}

}  // namespace

std::string ModelNameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind(".gguf");
  return dot == std::string::npos ? name : name.substr(0, dot);
}

const char* Version() {
  return BATON_VERSION;
}

class Node::Impl {
 public:
  explicit Impl(NodeOptions options)
      : options_(std::move(options)), store_(options_.store), work_(asio::make_work_guard(io_)) {}

  Status Start() {
    if (options_.name.empty()) options_.name = os::HostName();
    BATON_RETURN_IF_ERROR(os::MakeDirectories(options_.home, 0700));
    BATON_ASSIGN_OR_RETURN(const net::Identity identity,
                           net::Identity::LoadOrCreate(options_.home + "/identity.pem"));
    const std::string roster_path = options_.home + "/roster.json";
    BATON_ASSIGN_OR_RETURN(net::Roster roster,
                           LoadOrFoundRoster(roster_path, identity, options_.name));
    const ProfileOptions measuring{.threads = options_.threads,
                                   .kernels = options_.kernels,
                                   .cache_path = options_.home + "/profile.json",
                                   .software_version = Version()};
    BATON_ASSIGN_OR_RETURN(const plan::DeviceProfile profile, options_.phantom
                                                                  ? Result(options_.phantom->device)
                                                                  : KnownProfile(measuring));
    BATON_ASSIGN_OR_RETURN(auto models, ScanModels());
    cluster_ =
        std::make_unique<cluster::Cluster>(io_, clock_,
                                           cluster::ClusterOptions{.name = options_.name,
                                                                   .software_version = Version(),
                                                                   .device = profile,
                                                                   .models = std::move(models),
                                                                   .threads = options_.threads,
                                                                   .kernels = options_.kernels,
                                                                   .workload = options_.workload,
                                                                   .open_model = OpenModelOf(),
                                                                   .phantom = PhantomOf()});
    const PhantomOptions pretended = options_.phantom.value_or(PhantomOptions());
    mesh_ =
        std::make_unique<net::Mesh>(io_, identity, std::move(roster),
                                    net::MeshOptions{.name = options_.name,
                                                     .software_version = Version(),
                                                     .roster_path = roster_path,
                                                     .static_peers = options_.peers,
                                                     .hold_us = pretended.hold_us,
                                                     .told_bytes_per_s = pretended.told_bytes_per_s,
                                                     .patience = pretended.patience},
                                    clock_, *cluster_);
    BATON_RETURN_IF_ERROR(OpenMesh());
    BATON_RETURN_IF_ERROR(OpenApi());
    mesh_->Start();
    cluster_->Start(*mesh_);
    thread_ = std::thread([this] {
      os::NameThisThread("io");
      io_.run();
    });
    sensors_ = std::make_unique<SensorWatch>(clock_, [this](auto readings) {
      asio::post(io_, [this, readings = std::move(readings)] { cluster_->SetSensors(readings); });
    });
    if (!options_.phantom)
      measurer_ = std::thread([this, measuring, profile] { Measure(measuring, profile); });
    return OkStatus();
  }

  ~Impl() {
    stopping_ = true;
    pause_.End();
    if (measurer_.joinable()) measurer_.join();
    discovery_.reset();
    sensors_.reset();
    if (thread_.joinable()) {
      std::promise<void> stopped;
      asio::post(io_, [&] {
        if (api_ != nullptr) api_->Stop();
        cluster_->Stop();
        mesh_->Stop();
        stopped.set_value();
      });
      stopped.get_future().wait();
      io_.stop();
      thread_.join();
    }
    cluster_.reset();  // joins its threads while the mesh can still be called
  }

  uint16_t api_port() const { return api_->port(); }
  uint16_t mesh_port() const { return mesh_port_; }
  std::string id() const { return mesh_->id().ToString(); }
  const std::string& name() const { return options_.name; }

 private:
  std::string settings_path() const { return options_.home + "/settings.json"; }

  // Thread of its own: the node is found by others meanwhile. Nodes of one machine that start
  // together measure one after the other: they have its memory, if not its processors, in common.
  void Measure(const ProfileOptions& measuring, const plan::DeviceProfile& known) {
    os::NameThisThread("measurer");
    if (known.measured()) return Watch(measuring, known, false);
    std::optional<os::Turn> turn(std::in_place, stopping_, kTurnMost);
    if (stopping_) return;
    log::Info("measuring this device, a few seconds");
    const auto profile = MeasureProfile(measuring, clock_);
    turn.reset();
    if (!profile.ok())
      return log::Error("this device takes no part: {}", profile.error().message());
    asio::post(io_, [this, device = *profile] { cluster_->SetDevice(device); });
    Watch(measuring, *profile, true);
  }

  // The same thread, from then on.
  void Watch(const ProfileOptions& measuring, const plan::DeviceProfile& profile,
             bool just_measured) {
    const auto tell = [this, &profile](double bytes_per_s) {
      log::Debug("memory is read at {:.1f} GB/s now", bytes_per_s / 1e9);
      asio::post(io_,
                 [this, device = profile.AtReading(bytes_per_s)] { cluster_->SetRates(device); });
    };
    const auto tell_shared = [this](double bytes_per_s) {
      log::Debug("beside others, memory is read at {:.1f} GB/s", bytes_per_s / 1e9);
      asio::post(io_, [this, bytes_per_s] { cluster_->SetSharedReading(bytes_per_s); });
    };
    WatchMemory({.bytes_per_s = profile.reading_bytes_per_s,
                 .just_measured = just_measured,
                 .read = [&] { return ReadingNow(measuring, clock_); },
                 .on_change = tell,
                 .shared = SharedReading{.company = [this] { return Company(); },
                                         .read =
                                             [&](os::TimePoint begin, os::TimePoint end) {
                                               return ReadingBetween(measuring, clock_, begin, end);
                                             },
                                         .on_change = tell_shared}},
                clock_, pause_);
  }

  // How many other nodes of the cluster are on this machine? The measurer's thread.
  int Company() {
    std::promise<int> answer;
    asio::post(io_, [&] { answer.set_value(cluster_->OthersOnThisMachine()); });
    return answer.get_future().get();
  }

  // --- Models ---

  std::shared_ptr<const plan::DeviceProfile> PhantomOf() const {
    if (!options_.phantom) return nullptr;
    return std::make_shared<plan::DeviceProfile>(options_.phantom->device);
  }

  // Shapes have no file: their path is "shape:" and their name.
  static std::string ShapePath(const std::string& name) { return "shape:" + name; }

  std::function<Result<std::shared_ptr<const Model>>(const std::string& path)> OpenModelOf() const {
    if (!options_.phantom) return {};
    return [phantom = *options_.phantom](const std::string& path) {
      for (size_t i = 0; i < phantom.shapes.size(); ++i) {
        if (ShapePath(phantom.shape_names[i]) == path) return hub::OpenShape(phantom.shapes[i]);
      }
      return Model::Open(path);
    };
  }

  Status AddShapes(std::vector<cluster::LocalModel>& models) {
    if (!options_.phantom) return OkStatus();
    if (shapes_.empty()) {
      for (size_t i = 0; i < options_.phantom->shapes.size(); ++i) {
        BATON_ASSIGN_OR_RETURN(const auto model, hub::OpenShape(options_.phantom->shapes[i]));
        const std::string& name = options_.phantom->shape_names[i];
        uint64_t bytes = 0;
        for (const TensorInfo& tensor : model->tensors()) bytes += tensor.size_bytes;
        shapes_.push_back({name, ShapePath(name), model->fingerprint(), bytes});
      }
    }
    models.insert(models.end(), shapes_.begin(), shapes_.end());
    return OkStatus();
  }

  Result<std::vector<cluster::LocalModel>> ScanModels() {
    std::vector<cluster::LocalModel> models;
    for (const hub::ModelEntry& entry : store_.List()) {
      const auto fingerprint = store_.FingerprintOf(entry);
      if (fingerprint.ok())
        models.push_back({entry.name, entry.path, *fingerprint, entry.stamp.size_bytes});
      else
        log::Info("left out: {}", fingerprint.error().message());
    }
    for (const std::string& path : options_.model_files) {
      hub::ModelEntry entry{.name = ModelNameOf(path), .path = path};
      BATON_ASSIGN_OR_RETURN(entry.stamp, os::StampOf(path));
      BATON_ASSIGN_OR_RETURN(const std::string fingerprint, store_.FingerprintOf(entry));
      std::erase_if(models, [&](const auto& model) { return model.name == entry.name; });
      models.push_back({entry.name, path, fingerprint, entry.stamp.size_bytes});
    }
    BATON_RETURN_IF_ERROR(AddShapes(models));
    return models;
  }

  // I/O thread, at most once a second.
  void Rescan() {
    if (clock_.Now() < next_scan_) return;
    next_scan_ = clock_.Now() + std::chrono::seconds(1);
    const auto models = ScanModels();
    if (!models.ok()) return;
    const auto& known = cluster_->local_models();
    const bool same =
        models->size() == known.size() &&
        std::equal(models->begin(), models->end(), known.begin(), [](auto& a, auto& b) {
          return a.path == b.path && a.fingerprint == b.fingerprint;
        });
    if (!same) cluster_->SetLocalModels(*models);
  }

  // --- Mesh ---

  Status OpenMesh() {
    const std::string wanted =
        options_.listen.empty() ? LoadSettings(settings_path()).listen : options_.listen;
    if (wanted.empty()) {
      // Loopback, and another port if a second node lives here: nobody was told this one.
      const std::string address(kLoopback);
      if (!mesh_->Listen(address, kMeshPort).ok()) {
        BATON_RETURN_IF_ERROR(mesh_->Listen(address, 0));
      }
      mesh_port_ = mesh_->port();
      return OkStatus();
    }
    BATON_ASSIGN_OR_RETURN(const net::HostPort where, net::ParseHostPort(wanted, kMeshPort));
    return ListenAt(where.host, where.port);
  }

  Status ListenAt(const std::string& address, uint16_t port) {
    BATON_RETURN_IF_ERROR(mesh_->Listen(address, port));
    mesh_port_ = mesh_->port();
    mesh_open_ = !IsLoopback(address);
    if (options_.discover) StartDiscovery();
    return OkStatus();
  }

  void StartDiscovery() {
    if (discovery_ != nullptr) return;
    auto started = net::StartMdns(mesh_->id(), mesh_port_, [this](net::DiscoveredPeer peer) {
      asio::post(io_, [this, peer] { mesh_->AddAddress(peer.node, peer.address, peer.port); });
    });
    if (started.ok())
      discovery_ = *std::move(started);
    else
      log::Warning("discovery is off: {}", started.error().message());
  }

  // Opens the mesh, for good, and prints a code.
  Result<std::string> Invite() {
    if (!mesh_open_ && options_.listen.empty()) {
      const Status dual = ListenAt("::", kMeshPort);
      if (!dual.ok()) {
        BATON_RETURN_IF_ERROR(ListenAt("0.0.0.0", kMeshPort));
      }
      const std::string address = dual.ok() ? "[::]" : "0.0.0.0";
      BATON_RETURN_IF_ERROR(
          SaveSettings(settings_path(), {.listen = fmt::format("{}:{}", address, kMeshPort)}));
    }
    std::vector<std::string> hosts =
        mesh_open_ ? net::LocalAddresses() : std::vector<std::string>();
    if (hosts.empty()) hosts.emplace_back(kLoopback);
    return mesh_->Invite(hosts);
  }

  Status OpenApi() {
    serve::NodeControls controls{
        .invite = [this] { return Invite(); },
        .join =
            [this](const std::string& code, std::vector<std::string> hosts,
                   std::function<void(Status)> done) {
              mesh_->Join(code, std::move(hosts), std::move(done));
            },
        .revoke = [this](const NodeId& node) { return mesh_->Revoke(node); },
        .rescan = [this] { Rescan(); }};
    serve::ApiOptions api = options_.api;
    api.hosts.push_back(os::HostName());
    api.hosts.push_back(os::HostName() + ".local");
    if (!IsLoopback(api.address) && api.api_key.empty())
      log::Warning("the API listens on {} without --api-key: whoever reaches it may use it",
                   api.address);
    api_ = std::make_unique<serve::ApiServer>(io_, *cluster_, clock_, std::move(controls),
                                              std::move(api));
    return api_->Listen();
  }

  NodeOptions options_;
  hub::ModelStore store_;
  std::vector<cluster::LocalModel> shapes_;  // of a phantom
  os::SystemClock clock_;
  os::TimePoint next_scan_{};
  uint16_t mesh_port_ = 0;
  bool mesh_open_ = false;
  // The loop first: everything below posts to it and is destroyed before it.
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::unique_ptr<net::Mesh> mesh_;
  std::unique_ptr<cluster::Cluster> cluster_;
  std::unique_ptr<serve::ApiServer> api_;
  std::unique_ptr<net::Discovery> discovery_;
  std::unique_ptr<SensorWatch> sensors_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  os::Pause pause_;
  std::thread measurer_;
};

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  BATON_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

uint16_t Node::api_port() const {
  return impl_->api_port();
}
uint16_t Node::mesh_port() const {
  return impl_->mesh_port();
}
std::string Node::id() const {
  return impl_->id();
}
const std::string& Node::name() const {
  return impl_->name();
}

}  // namespace baton::node
