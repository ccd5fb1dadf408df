#include "cluster/cluster.h"

#include <algorithm>
#include <map>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "cluster/coordinator.h"
#include "cluster/records.h"
#include "cluster/request.h"
#include "cluster/router.h"
#include "cluster/stage_host.h"
#include "os/system.h"

namespace baton::cluster {
namespace {

namespace asio = boost::asio;
using wire::FrameType;

constexpr size_t kSensorsMax = 64;  // devices of one node that are shown
constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kLinkNewsInterval{200};
constexpr size_t kWaitingMax = 256;

InstanceState ToState(InstanceRecord::State state) {
  switch (state) {
    case InstanceRecord::READY:
      return InstanceState::kReady;
    case InstanceRecord::FAILED:
      return InstanceState::kFailed;
    case InstanceRecord::STOPPED:
      return InstanceState::kStopped;
    default:
      return InstanceState::kLoading;
  }
}

bool Matches(const LocalModel& model, const std::string& wanted) {
  constexpr size_t kPrefixMin = 12;
  return model.name == wanted || model.fingerprint == wanted ||
         (wanted.size() >= kPrefixMin && model.fingerprint.compare(0, wanted.size(), wanted) == 0);
}

}  // namespace

// The files on this node and those of them that are open. Any thread.
class ModelShelf {
 public:
  using OpenModel = std::function<Result<std::shared_ptr<const Model>>(const std::string& path)>;

  ModelShelf(std::vector<LocalModel> files, OpenModel open_model)
      : open_model_(open_model ? std::move(open_model) : OpenModel(&Model::Open)),
        files_(std::move(files)) {}

  Result<std::shared_ptr<const Model>> Open(const std::string& wanted) BATON_EXCLUDES(mutex_) {
    std::string path;
    std::string names;
    {
      MutexLock lock(mutex_);
      for (const LocalModel& file : files_) {
        names += (names.empty() ? "" : ", ") + file.name;
        if (!Matches(file, wanted)) continue;
        path = file.path;
        const auto open = open_.find(file.fingerprint);
        if (open != open_.end()) return open->second;
        break;
      }
    }
    if (path.empty())
      return MakeError(Code::kNotFound, "no model '{}' on this node; it has: {}", wanted,
                       names.empty() ? "none" : names);
    BATON_ASSIGN_OR_RETURN(auto model, open_model_(path));
    MutexLock lock(mutex_);
    return open_.emplace(model->fingerprint(), model).first->second;
  }

  void Set(std::vector<LocalModel> files) BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    files_ = std::move(files);
  }
  std::vector<LocalModel> files() const BATON_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return files_;
  }

 private:
  const OpenModel open_model_;
  mutable Mutex mutex_;
  std::vector<LocalModel> files_ BATON_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const Model>> open_ BATON_GUARDED_BY(mutex_);
};

class Cluster::Impl final : public Courier, public CoordinatorHost, public RequestHost {
 public:
  Impl(asio::io_context& io, const os::Clock& clock, ClusterOptions options)
      : io_(io),
        clock_(clock),
        options_(std::move(options)),
        shelf_(options_.models, options_.open_model),
        tick_(io),
        coordinator_(*this),
        host_(io, *this, clock,
              [this](const std::string& fingerprint) { return shelf_.Open(fingerprint); },
              {.threads = options_.threads,
               .kernels = options_.kernels,
               .device = options_.device,
               .phantom = options_.phantom}) {}

  void Start(net::Mesh& mesh) {
    mesh_ = &mesh;
    self_ = mesh.id();
    PublishSelf();
    Tick();
  }

  void Stop() {
    stopped_ = true;
    tick_.cancel();
    requests_.clear();
  }

  // --- Courier ---

  const NodeId& self() const override { return self_; }

  void SendFrame(const NodeId& to, FrameType type, Bytes payload, net::OnSent on_sent) override {
    if (to != self_) return mesh_->Send(to, type, std::move(payload), std::move(on_sent));
    asio::post(io_, [this, alive = alive_, type, payload = std::move(payload),
                     on_sent = std::move(on_sent)]() mutable {
      if (!*alive) return;
      if (on_sent) on_sent(OkStatus());
      OnFrame(self_, {type, std::move(payload)});
    });
  }

  // --- CoordinatorHost and RequestHost ---

  Courier& courier() override { return *this; }
  const os::Clock& clock() override { return clock_; }
  const RecordBook& book() const override { return book_; }

  bool IsLive(const NodeId& node) const override {
    return node == self_ || mesh_->FindPeer(node).has_value();
  }

  Result<std::shared_ptr<const Model>> OpenModel(const std::string& model) override {
    return shelf_.Open(model);
  }

  void Publish(const InstanceRecord& record) override {
    book_.Merge(record);
    ClusterMessage message;
    *message.mutable_instance() = record;
    Broadcast(message, {});
    PostAdvance();
  }

  void PostToIo(std::function<void()> task) override {
    asio::post(io_, [this, alive = alive_, task = std::move(task)] {
      if (*alive && !stopped_) task();
    });
  }

  Result<Route> FindRoute(const std::string& fingerprint, int tokens,
                          const kv::PrefixHashes& prompt) override {
    std::vector<RouteOption> options;
    bool loading = false;
    bool full = false;
    for (const auto& [id, record] : book_.instances()) {
      const plan::Workload workload = FromProto(record.plan().workload());
      if (record.fingerprint() != fingerprint || workload.context_tokens < tokens) continue;
      const auto nodes = NodesOf(FromProto(record.plan()));
      const bool live = std::all_of(nodes.begin(), nodes.end(),
                                    [this](const NodeId& node) { return IsLive(node); });
      loading = loading || record.state() == InstanceRecord::LOADING ||
                (record.state() == InstanceRecord::READY && !live);
      if (record.state() != InstanceRecord::READY || !live) continue;
      const int running = RunningOn(id);
      full = full || running >= std::max(1, workload.slots);
      if (running < std::max(1, workload.slots))
        options.push_back({id, record.epoch(), running, workload.concurrency});
    }
    if (!options.empty()) {
      const auto pages = kv::PageHashes(prompt, static_cast<int>(prompt->size()) - 1);
      const RouteOption& chosen = options[router_.Choose(options, pages)];
      router_.Note(chosen.instance, chosen.epoch, pages);
      return RouteTo(*book_.FindInstance(chosen.instance));
    }
    if (full) return Error(Code::kResourceExhausted, "every slot of the model is taken");
    if (loading) return Error(Code::kUnavailable, "the model is loading");
    return PlaceOnDemand(fingerprint, tokens);
  }

  bool PreferRemote(const Route& route, int uncached_on_decode, int uncached_on_prefill) override {
    const InstanceRecord* record = book_.FindInstance(route.instance);
    if (record == nullptr) return false;
    const auto model = shelf_.Open(record->fingerprint());
    if (!model.ok()) return false;
    const plan::ClusterProfile profile =
        ProfileOf(book_, record->fingerprint(), [this](const NodeId& id) { return IsLive(id); },
                  {route.instance});
    const plan::Workload workload = FromProto(record->plan().workload());
    return plan::Estimate(profile, CostOf(**model, record->model()), FromProto(record->plan()),
                          workload, uncached_on_decode, uncached_on_prefill)
        .remote_prefill;
  }

  void OnFinished(RequestId id) override {
    NotePages(*requests_.at(id));
    asio::post(io_, [this, alive = alive_, id] {
      if (!*alive) return;
      requests_.erase(id);
      std::erase(order_, id);
      AdvanceAll();
    });
  }

  // --- Models and instances ---

  Coordinator& coordinator() { return coordinator_; }

  Status StopModel(const std::string& wanted) {
    std::vector<InstanceId> found;
    for (const auto& [id, record] : book_.instances()) {
      const bool named =
          record.model() == wanted || record.fingerprint() == wanted || id.ToString() == wanted;
      if (named && record.state() != InstanceRecord::STOPPED) found.push_back(id);
    }
    if (found.empty()) return MakeError(Code::kNotFound, "no instance of '{}' runs", wanted);
    for (const InstanceId& id : found) {
      const auto coordinator = ToNodeId(book_.FindInstance(id)->coordinator());
      if (coordinator == self_) {
        coordinator_.Stop(id);
        EndRequestsOf(id);
        continue;
      }
      ClusterMessage message;
      message.mutable_stop_instance()->set_instance(id.value());
      if (coordinator) Send(*coordinator, message);
    }
    return OkStatus();
  }

  void SetDevice(plan::DeviceProfile device) {
    host_.SetDevice(device);
    options_.device = std::move(device);
    PublishSelf();
    AdvanceAll();
  }

  void SetRates(plan::DeviceProfile device) {
    host_.SetRates(device);
    device.corrections = host_.corrections();
    device.processors.shared_reading_bytes_per_s =
        options_.device.processors.shared_reading_bytes_per_s;
    options_.device = std::move(device);
    PublishSelf();
  }

  void SetSharedReading(double bytes_per_s) {
    options_.device.processors.shared_reading_bytes_per_s = bytes_per_s;
    PublishSelf();
  }

  int OthersOnThisMachine() const {
    const std::string& machine = options_.device.processors.machine;
    if (machine.empty()) return 0;
    return static_cast<int>(
        std::count_if(book_.nodes().begin(), book_.nodes().end(), [&](const auto& item) {
          return item.first != self_ && IsLive(item.first) &&
                 item.second.device().processors().machine() == machine;
        }));
  }

  void SetSensors(std::vector<os::SensorReading> sensors) {
    sensors_[self_] = std::move(sensors);
    if (mesh_ != nullptr) Broadcast(OurSensors(), {});
  }

  bool Measuring() const {
    return std::any_of(unmeasured_since_.begin(), unmeasured_since_.end(), [&](const auto& item) {
      const auto& [node, since] = item;
      const auto most = node == self_ ? kMeasuringSelfMost : kMeasuringMost;
      return IsLive(node) && clock_.Now() - since < most;
    });
  }

  void SetLocalModels(std::vector<LocalModel> models) {
    shelf_.Set(models);
    options_.models = std::move(models);
    PublishSelf();
  }
  const std::vector<LocalModel>& local_models() const { return options_.models; }
  const plan::Workload& default_workload() const { return options_.workload; }

  // --- Requests ---

  RequestId Submit(GenerateRequest what, RequestEvents events) {
    const RequestId id(os::RandomU64() | 1);
    ++counters_.requests;
    const auto refuse = [&](Error error) {
      ++counters_.requests_failed;
      asio::post(
          io_, [events = std::move(events), error = std::move(error)] { events.on_error(error); });
      return id;
    };
    const auto model = shelf_.Open(what.model);
    if (!model.ok()) return refuse(model.error());
    const ModelSpec& spec = (*model)->spec();
    const int context = ContextOf((*model)->fingerprint(), spec);
    const auto prompt_tokens = static_cast<int64_t>(what.prompt.size());
    if (prompt_tokens == 0) return refuse(Error(Code::kInvalidArgument, "the prompt is empty"));
    if (prompt_tokens >= context)
      return refuse(MakeError(
          Code::kInvalidArgument, "the prompt has {} tokens, the context has room for {}{}",
          prompt_tokens, context - 1,
          context < spec.context_length ? " (`place --context` gives more)" : ""));
    const auto waiting = std::count_if(requests_.begin(), requests_.end(),
                                       [](const auto& item) { return item.second->waiting(); });
    if (static_cast<size_t>(waiting) >= kWaitingMax)
      return refuse(MakeError(Code::kResourceExhausted, "{} requests wait already", waiting));
    counters_.prompt_tokens += static_cast<uint64_t>(prompt_tokens);
    requests_[id] = std::make_unique<Request>(*this, id, std::move(what), (*model)->fingerprint(),
                                              context, Counted(std::move(events)));
    order_.push_back(id);
    PostAdvance();
    return id;
  }

  void Cancel(RequestId id) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) return;
    ++counters_.requests_cancelled;
    found->second->Cancel();
  }

  void EndEarly(RequestId id) {
    const auto found = requests_.find(id);
    if (found != requests_.end()) found->second->EndEarly();
  }

  ClusterView View() const {
    ClusterView view;
    for (const auto& [id, record] : book_.nodes()) view.nodes.push_back(ViewOf(id, record));
    for (const auto& [id, record] : book_.nodes()) {
      for (const MeasuredLink& link : record.links()) {
        const auto peer = ToNodeId(link.peer());
        if (peer && IsLive(id) && IsLive(*peer))
          view.links.push_back({id, *peer, link.rtt_us(), link.bytes_per_s(), link.interface()});
      }
    }
    for (const auto& [id, record] : book_.instances()) {
      if (record.state() == InstanceRecord::STOPPED) continue;
      view.instances.push_back(ViewOf(record));
    }
    return view;
  }

  ClusterCounters Counters() const {
    ClusterCounters counters = counters_;
    counters.requests_running = static_cast<int>(requests_.size());
    counters.engine_busy_s = host_.engine_busy_seconds();
    counters.phantom_overrun_s = host_.phantom_overrun_seconds();
    return counters;
  }

  std::vector<TimelineEvent> Events() const { return host_.Events(); }

  InstanceView ViewOf(const InstanceRecord& record) const {
    return {.id = InstanceId(record.instance()),
            .placement = record.placement(),
            .epoch = record.epoch(),
            .model = record.model(),
            .fingerprint = record.fingerprint(),
            .coordinator = ToNodeId(record.coordinator()).value_or(NodeId()),
            .state = ToState(record.state()),
            .message = record.message(),
            .plan = FromProto(record.plan()),
            .workload = FromProto(record.plan().workload()),
            .requests_running = RunningOn(InstanceId(record.instance()))};
  }

  // Of all instances that run and were placed with it.
  InstanceView ViewOfPlacement(const InstanceRecord& record) const {
    InstanceView view = ViewOf(record);
    std::vector<plan::Plan> plans;
    for (const auto& [id, other] : book_.instances()) {
      const bool together = other.placement() != 0 && other.placement() == record.placement();
      if (!together || other.state() != InstanceRecord::READY) continue;
      plans.push_back(FromProto(other.plan()));
    }
    if (plans.size() < 2) return view;
    view.plan = plan::SideBySide(std::move(plans));
    view.plan.reason = view.plan.instances.front().reason;
    view.workload.concurrency = view.plan.concurrency;
    view.workload.slots = view.plan.slots;
    return view;
  }

  // --- Mesh events ---

  void OnPeerUp(const net::PeerInfo& peer) {
    log::Info("linked with {} ({})", peer.name, peer.id.Short());
    coordinator_.OnPeerUp(peer.id);
    ClusterMessage message;
    for (const auto& [id, record] : book_.nodes()) {
      *message.mutable_node() = record;
      Send(peer.id, message);
    }
    for (const auto& [id, record] : book_.instances()) {
      *message.mutable_instance() = record;
      Send(peer.id, message);
    }
    if (sensors_.contains(self_)) Send(peer.id, OurSensors());
  }

  void OnPeerDown(const NodeId& peer, const Error& reason) {
    if (stopped_) return;
    log::Info("lost {}: {}", peer.Short(), reason.message());
    sensors_.erase(peer);
    PublishSelf();
    host_.OnPeerDown(peer, reason);
    coordinator_.OnPeerDown(peer);
    ForEachRequest([&](Request& request) { request.OnPeerDown(peer, reason); });
    AdvanceAll();
  }

  // Told with the next tick or the one after: links are often measured one after the other.
  void OnLinkMeasured() { link_news_ = true; }

  void OnFrame(const NodeId& from, wire::Frame frame) {
    if (stopped_) return;
    switch (frame.type) {
      case FrameType::kKvChunk:
      case FrameType::kKvSeal:
        return host_.OnKvFrame(from, std::move(frame));
      case FrameType::kActivation:
        return host_.OnActivation(from, std::move(frame));
      case FrameType::kCluster:
        break;
      default:
        return;
    }
    ClusterMessage message;
    const bool parsed =
        message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
    if (!parsed) {
      log::Warning("{} sent a cluster message that is no protobuf", from.Short());
      return;
    }
    OnMessage(from, message);
  }

 private:
  // Nothing is placed without this node, so there is more patience with it than with others.
  static constexpr auto kMeasuringMost = std::chrono::seconds(30);
  static constexpr auto kMeasuringSelfMost = std::chrono::seconds(120);

  void OnMessage(const NodeId& from, const ClusterMessage& message) {
    if (host_.OnMessage(from, message)) return;
    switch (message.body_case()) {
      case ClusterMessage::kNode:
        return OnNodeRecord(from, message);
      case ClusterMessage::kInstance:
        return OnInstanceRecord(from, message);
      case ClusterMessage::kSensors:
        return OnSensors(from, message.sensors());
      case ClusterMessage::kStageReport:
        return coordinator_.OnStageReport(from, message.stage_report());
      case ClusterMessage::kStopInstance: {
        const InstanceId id(message.stop_instance().instance());
        const InstanceRecord* known = book_.FindInstance(id);
        if (known == nullptr || known->coordinator() != ToBytes(self_)) return;
        coordinator_.Stop(id);
        return EndRequestsOf(id);
      }
      case ClusterMessage::kIdleAnswer:
        return coordinator_.OnIdleAnswer(from, message.idle_answer());
      case ClusterMessage::kGrant:
        return WithRequest(message.grant().key(),
                           [&](Request& request) { request.OnGrant(from, message.grant()); });
      case ClusterMessage::kToken:
        return WithRequest(message.token().key(),
                           [&](Request& request) { request.OnToken(from, message.token()); });
      case ClusterMessage::kFailed:
        return WithRequest(message.failed().key(), [&](Request& request) {
          request.OnFailed(from, message.failed());
          PostAdvance();
        });
      case ClusterMessage::kPrefillReport:
        return WithRequest(message.prefill_report().key(), [&](Request& request) {
          request.OnReport(from, message.prefill_report());
        });
      default:
        return;  // a newer node's message: ignored by design
    }
  }

  void OnNodeRecord(const NodeId& from, const ClusterMessage& message) {
    const NodeRecord& record = message.node();
    const auto owner = ToNodeId(record.node());
    if (!owner || *owner == self_ || !mesh_->roster().IsMember(*owner)) return;
    if (!book_.Merge(record, *owner == from)) return;
    NoteMeasured(*owner, record);
    coordinator_.OnNews();
    for (const std::string& address : record.addresses())
      mesh_->AddAddress(*owner, address, static_cast<uint16_t>(record.mesh_port()));
    Broadcast(message, Told(from, *owner, record));
    AdvanceAll();
  }

  // Who needs no copy of ours: its owner tells those that it is linked with.
  static std::vector<NodeId> Told(const NodeId& from, const NodeId& owner,
                                  const NodeRecord& record) {
    std::vector<NodeId> told = {from, owner};
    for (const MeasuredLink& link : record.links()) {
      if (const auto peer = ToNodeId(link.peer())) told.push_back(*peer);
    }
    return told;
  }

  // They change every few seconds and nothing is decided by them: unlike records, they are not
  // passed on, and nobody is woken.
  ClusterMessage OurSensors() const {
    ClusterMessage message;
    SensorReport& report = *message.mutable_sensors();
    for (const os::SensorReading& reading : sensors_.at(self_))
      *report.add_sensors() = ToProto(reading);
    return message;
  }

  void OnSensors(const NodeId& from, const SensorReport& report) {
    std::vector<os::SensorReading> readings;
    for (const Sensor& sensor : report.sensors()) {
      if (readings.size() == kSensorsMax) break;
      readings.push_back(FromProto(sensor));
    }
    sensors_[from] = std::move(readings);
  }

  void OnInstanceRecord(const NodeId& from, const ClusterMessage& message) {
    const InstanceRecord& record = message.instance();
    if (!book_.Merge(record)) return;
    Broadcast(message, {from});
    coordinator_.OnRecord(record);
    if (record.state() == InstanceRecord::STOPPED && !record.superseded())
      EndRequestsOf(InstanceId(record.instance()));
    AdvanceAll();
  }

  void Broadcast(const ClusterMessage& message, const std::vector<NodeId>& except) {
    for (const net::PeerInfo& peer : mesh_->Peers()) {
      if (std::find(except.begin(), except.end(), peer.id) == except.end()) Send(peer.id, message);
    }
  }

  void NoteMeasured(const NodeId& node, const NodeRecord& record) {
    if (record.device().rates().empty())
      unmeasured_since_.try_emplace(node, clock_.Now());
    else
      unmeasured_since_.erase(node);
  }

  // This node's own record, as of now.
  void PublishSelf() {
    if (mesh_ == nullptr) return;
    link_news_ = false;
    ClusterMessage message;
    NodeRecord& record = *message.mutable_node();
    record.set_node(ToBytes(self_));
    record.set_boot_id(mesh_->boot_id());
    record.set_revision(++revision_);
    record.set_name(options_.name);
    record.set_software_version(options_.software_version);
    for (const std::string& address : net::LocalAddresses()) record.add_addresses(address);
    record.set_mesh_port(mesh_->port());
    *record.mutable_device() = ToProto(options_.device);
    for (const LocalModel& model : options_.models) {
      ModelOnDisk& file = *record.add_models();
      file.set_name(model.name);
      file.set_fingerprint(model.fingerprint);
      file.set_bytes(model.bytes);
    }
    for (const net::PeerInfo& peer : mesh_->Peers()) {
      const net::LinkStats stats = mesh_->StatsOf(peer.id);
      if (stats.send_bytes_per_s == 0) continue;
      MeasuredLink& link = *record.add_links();
      link.set_peer(ToBytes(peer.id));
      link.set_rtt_us(stats.rtt_min_us);
      link.set_bytes_per_s(stats.send_bytes_per_s);
      link.set_interface(stats.interface);
    }
    book_.Merge(record, /*direct=*/true);
    NoteMeasured(self_, record);
    coordinator_.OnNews();
    Broadcast(message, {});
  }

  NodeView ViewOf(const NodeId& id, const NodeRecord& record) const {
    NodeView node{.id = id,
                  .name = record.name(),
                  .software_version = record.software_version(),
                  .self = id == self_,
                  .linked = IsLive(id),
                  .device = FromProto(record.device()),
                  .addresses = {record.addresses().begin(), record.addresses().end()},
                  .mesh_port = static_cast<uint16_t>(record.mesh_port())};
    if (const auto found = sensors_.find(id); found != sensors_.end()) node.sensors = found->second;
    if (node.self) {
      node.models = options_.models;
      return node;
    }
    for (const ModelOnDisk& model : record.models())
      node.models.push_back({model.name(), {}, model.fingerprint(), model.bytes()});
    return node;
  }

  Route RouteTo(const InstanceRecord& record) const {
    const plan::Plan plan = FromProto(record.plan());
    return {.instance = InstanceId(record.instance()),
            .instance_epoch = record.epoch(),
            .decode = PipelineOf(plan.decode),
            .prefill = PipelineOf(plan.prefill),
            .always_remote = !record.constraints().prefill_on().empty(),
            .kv_type = FromProto(record.plan().workload()).TravelType(),
            .prefill_s = plan.prefill_s,
            .workload_prompt_tokens = record.plan().workload().prompt_tokens()};
  }

  // Starts an instance because a request wants it.
  Error PlaceOnDemand(const std::string& fingerprint, int tokens) {
    const auto failed = placement_failures_.find(fingerprint);
    if (failed != placement_failures_.end()) {
      const Error error = failed->second;
      placement_failures_.erase(failed);  // the next request tries again
      return error;
    }
    if (Measuring()) return Error(Code::kUnavailable, "a node is still measuring its device");
    if (placing_.insert(fingerprint).second) {
      std::string name = fingerprint;
      for (const LocalModel& model : options_.models) {
        if (model.fingerprint == fingerprint) name = model.name;
      }
      plan::Workload workload = options_.workload;
      workload.context_tokens = std::max(workload.context_tokens, tokens);
      coordinator_.Place(name, workload, {}, [this, fingerprint](auto placed) {
        placing_.erase(fingerprint);
        if (!placed.ok()) {
          const Error& error = placed.error();
          // For this request it is final, whatever the code says of others.
          placement_failures_.emplace(fingerprint,
                                      InfoOf(error.code()).retryable
                                          ? Error(Code::kFailedPrecondition, error.message())
                                          : error);
        }
        PostAdvance();
      });
    }
    return Error(Code::kUnavailable, "the model is loading");
  }

  // What a request may take of the model's context: what its roomiest instance was placed with, or
  // would be.
  int ContextOf(const std::string& fingerprint, const ModelSpec& spec) const {
    int context = 0;
    for (const auto& [id, record] : book_.instances()) {
      if (record.fingerprint() == fingerprint && IsActive(record))
        context = std::max(context, record.plan().workload().context_tokens());
    }
    if (context == 0) context = options_.workload.context_tokens;
    return std::min(spec.context_length, context);
  }

  RequestEvents Counted(RequestEvents events) {
    RequestEvents counted;
    counted.on_token = [this, on_token = std::move(events.on_token)](const TokenEvent& event) {
      ++counters_.generated_tokens;
      on_token(event);
    };
    counted.on_done = [this, on_done = std::move(events.on_done)](FinishReason reason,
                                                                  const RequestStats& stats) {
      counters_.remote_prefills += stats.remote_prefill ? 1 : 0;
      counters_.migrations += static_cast<uint64_t>(stats.attempts - 1);
      counters_.cached_tokens += static_cast<uint64_t>(stats.cached_tokens);
      counters_.kv_sent_bytes += stats.kv_bytes;
      counters_.kv_sent_early_bytes += stats.kv_bytes_sent_by_end;
      on_done(reason, stats);
    };
    counted.on_error = [this, on_error = std::move(events.on_error)](const Error& error) {
      ++counters_.requests_failed;
      on_error(error);
    };
    return counted;
  }

  int RunningOn(const InstanceId& instance) const {
    return static_cast<int>(
        std::count_if(requests_.begin(), requests_.end(), [&](const auto& item) {
          return item.second->holds_slot() && item.second->route().instance == instance;
        }));
  }

  void EndRequestsOf(const InstanceId& instance) {
    ForEachRequest([&](Request& request) {
      if (request.holds_slot() && request.route().instance == instance)
        request.EndWith(Error(Code::kCancelled, "the model was stopped"));
    });
  }

  // What the next request of a conversation will begin with.
  void NotePages(const Request& request) {
    if (request.route().instance.empty()) return;
    const kv::PrefixHashes prefixes = request.Prefixes();
    router_.Note(request.route().instance, request.route().instance_epoch,
                 kv::PageHashes(prefixes, static_cast<int>(prefixes->size()) - 1));
  }

  // In the order of their coming, which is what makes the queue fair.
  void ForEachRequest(const std::function<void(Request&)>& visit) {
    for (const RequestId id : std::vector<RequestId>(order_)) {
      const auto found = requests_.find(id);
      if (found != requests_.end()) visit(*found->second);
    }
  }

  void WithRequest(const pb::SequenceKey& key, const std::function<void(Request&)>& visit) {
    const auto found = requests_.find(RequestId(key.request()));
    if (found != requests_.end()) visit(*found->second);
  }

  void AdvanceAll() {
    ForEachRequest([](Request& request) { request.Advance(); });
  }

  // Soon, but not inside whatever is on the stack now.
  void PostAdvance() {
    asio::post(io_, [this, alive = alive_] {
      if (*alive) AdvanceAll();
    });
  }

  void Tick() {
    if (stopped_) return;
    if (link_news_ && clock_.Now() >= next_link_news_) {
      next_link_news_ = clock_.Now() + kLinkNewsInterval;
      PublishSelf();
    }
    AdvanceAll();
    host_.Tick();
    coordinator_.Tick(clock_.Now());
    if (host_.RefreshFeedback()) {
      options_.device.corrections = host_.corrections();
      PublishSelf();
    }
    tick_.expires_after(kTick);
    tick_.async_wait([this, alive = alive_](const boost::system::error_code& cancelled) {
      if (*alive && !cancelled) Tick();
    });
  }

 public:
  ~Impl() override { *alive_ = false; }

 private:
  asio::io_context& io_;
  const os::Clock& clock_;
  ClusterOptions options_;
  std::map<NodeId, std::vector<os::SensorReading>> sensors_;  // of linked nodes and our own
  ModelShelf shelf_;
  asio::steady_timer tick_;
  net::Mesh* mesh_ = nullptr;
  NodeId self_;
  bool stopped_ = false;
  // Shared with what is posted to the loop and may run after us.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  RecordBook book_;
  uint64_t revision_ = 0;
  bool link_news_ = false;  // that nobody has been told
  os::TimePoint next_link_news_{};
  std::map<RequestId, std::unique_ptr<Request>> requests_;
  std::vector<RequestId> order_;
  std::map<NodeId, os::TimePoint> unmeasured_since_;
  std::set<std::string> placing_;
  std::map<std::string, Error> placement_failures_;
  ClusterCounters counters_;
  Router router_;
  Coordinator coordinator_;
  StageHost host_;
};

Cluster::Cluster(asio::io_context& io, const os::Clock& clock, ClusterOptions options)
    : impl_(std::make_shared<Impl>(io, clock, std::move(options))) {}
Cluster::~Cluster() = default;

void Cluster::Start(net::Mesh& mesh) {
  impl_->Start(mesh);
}
void Cluster::Stop() {
  impl_->Stop();
}

void Cluster::Plan(const std::string& model, const plan::Workload& workload,
                   const plan::Constraints& constraints, const plan::Addition* added,
                   std::function<void(Result<plan::PlanResult>)> done) {
  impl_->coordinator().Plan(model, workload, constraints, added, std::move(done));
}

void Cluster::Place(const std::string& model, const plan::Workload& workload,
                    const plan::Constraints& constraints,
                    std::function<void(Result<InstanceView>)> done) {
  impl_->coordinator().Place(model, workload, constraints,
                             [this, done = std::move(done)](Result<InstanceRecord> record) {
                               if (record.ok())
                                 done(impl_->ViewOfPlacement(*record));
                               else
                                 done(record.error());
                             });
}

Status Cluster::StopModel(const std::string& model) {
  return impl_->StopModel(model);
}
Result<std::shared_ptr<const Model>> Cluster::OpenModel(const std::string& model) {
  return impl_->OpenModel(model);
}
void Cluster::SetDevice(plan::DeviceProfile device) {
  impl_->SetDevice(std::move(device));
}
void Cluster::SetRates(plan::DeviceProfile device) {
  impl_->SetRates(std::move(device));
}
void Cluster::SetSharedReading(double bytes_per_s) {
  impl_->SetSharedReading(bytes_per_s);
}
int Cluster::OthersOnThisMachine() const {
  return impl_->OthersOnThisMachine();
}
void Cluster::SetSensors(std::vector<os::SensorReading> sensors) {
  impl_->SetSensors(std::move(sensors));
}
bool Cluster::Measuring() const {
  return impl_->Measuring();
}
void Cluster::SetLocalModels(std::vector<LocalModel> models) {
  impl_->SetLocalModels(std::move(models));
}
const std::vector<LocalModel>& Cluster::local_models() const {
  return impl_->local_models();
}
const plan::Workload& Cluster::default_workload() const {
  return impl_->default_workload();
}
RequestId Cluster::Submit(GenerateRequest request, RequestEvents events) {
  return impl_->Submit(std::move(request), std::move(events));
}
void Cluster::Cancel(RequestId request) {
  impl_->Cancel(request);
}
void Cluster::EndEarly(RequestId request) {
  impl_->EndEarly(request);
}
ClusterView Cluster::View() const {
  return impl_->View();
}
ClusterCounters Cluster::Counters() const {
  return impl_->Counters();
}
std::vector<TimelineEvent> Cluster::Events() const {
  return impl_->Events();
}

void Cluster::OnPeerUp(const net::PeerInfo& peer) {
  impl_->OnPeerUp(peer);
}
void Cluster::OnPeerDown(const NodeId& peer, const Error& reason) {
  impl_->OnPeerDown(peer, reason);
}
void Cluster::OnFrame(const NodeId& from, wire::Frame frame) {
  impl_->OnFrame(from, std::move(frame));
}
void Cluster::OnLinkMeasured(const NodeId&) {
  impl_->OnLinkMeasured();
}

}  // namespace baton::cluster
