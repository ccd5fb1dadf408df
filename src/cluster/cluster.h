// Cluster: who is here, what runs where, and how a request gets its tokens.
//
// It owns this node's part in everything that crosses nodes: its record, the instances it
// coordinates, the stages it hosts, and the requests whose clients are connected to it. I/O thread
// only, unless a function says otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/timeline.h"
#include "engine/sampler.h"
#include "kv/export.h"
#include "model/model.h"
#include "net/mesh.h"
#include "os/sensors.h"
#include "plan/planner.h"

namespace baton::plan {
struct Addition;
}

namespace baton::cluster {

// A request as its entry node owns it.
struct GenerateRequest {
  std::string model;  // a name as `baton ls` prints it, or a fingerprint
  std::vector<TokenId> prompt;
  engine::SamplingParams sampling;
  int max_tokens = -1;      // -1: until the context is full
  bool ignore_end = false;  // go on behind end-of-generation tokens
};

struct TokenEvent {
  TokenId token = 0;
  int position = 0;  // in the whole sequence
  engine::Sampled sampled;
};

enum class FinishReason { kStop, kLength };

// What was measured while a request ran.
struct RequestStats {
  double queued_s = 0;
  double ttft_s = 0;          // from Submit to the first token
  double prefill_s = 0;       // as the prefill group measured it
  double decode_s = 0;        // from the first token to the last
  double second_token_s = 0;  // from the first token to the second
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, not computed again
  int completion_tokens = 0;
  bool remote_prefill = false;
  uint64_t kv_bytes = 0;              // handed over
  uint64_t kv_bytes_sent_by_end = 0;  // before the prefill ended
  uint32_t kv_chunks = 0;
  double kv_sending_s = 0;
  int attempts = 1;  // more than one: nodes were lost on the way
};

// Called on the I/O thread. Exactly one of on_done and on_error ends a request, and nothing is
// called after Cancel().
struct RequestEvents {
  std::function<void(const TokenEvent&)> on_token;
  std::function<void(FinishReason, const RequestStats&)> on_done;
  std::function<void(const Error&)> on_error;
};

// A model file on this node's disk.
struct LocalModel {
  std::string name;
  std::string path;
  std::string fingerprint;
  uint64_t bytes = 0;
};

struct NodeView {
  NodeId id;
  std::string name;
  std::string software_version;
  bool self = false;
  bool linked = false;             // there is a live link to it (or it is this node)
  plan::DeviceProfile device;      // may lack its rates until SetDevice()
  std::vector<LocalModel> models;  // without paths where it is another node
  std::vector<std::string> addresses;
  uint16_t mesh_port = 0;
  std::vector<os::SensorReading> sensors;  // empty where there are none
};

struct LinkView {
  NodeId from;
  NodeId to;
  double rtt_us = 0;
  double bytes_per_s = 0;
  std::string interface;  // of `from`; empty: not known
};

enum class InstanceState { kLoading, kReady, kFailed, kStopped };

struct InstanceView {
  InstanceId id;
  uint64_t placement = 0;  // what was placed together has this in common
  uint64_t epoch = 0;
  std::string model;
  std::string fingerprint;
  NodeId coordinator;
  InstanceState state = InstanceState::kLoading;
  std::string message;
  plan::Plan plan;
  plan::Workload workload;
  int requests_running = 0;  // of this entry node
};

struct ClusterView {
  std::vector<NodeView> nodes;
  std::vector<LinkView> links;
  std::vector<InstanceView> instances;
};

// Totals since the start, for /metrics.
struct ClusterCounters {
  uint64_t requests = 0;
  uint64_t requests_failed = 0;
  uint64_t requests_cancelled = 0;
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;
  uint64_t generated_tokens = 0;
  uint64_t remote_prefills = 0;
  uint64_t migrations = 0;  // attempts after the first
  uint64_t kv_sent_bytes = 0;
  uint64_t kv_sent_early_bytes = 0;
  int requests_running = 0;
  double engine_busy_s = 0;
  double phantom_overrun_s = 0;  // by how much steps took longer than they pretend to take
};

struct ClusterOptions {
  std::string name;  // of this node
  std::string software_version;
  plan::DeviceProfile device;
  std::vector<LocalModel> models;
  int threads = 0;          // of the compute pool, 0: one per core
  std::string kernels;      // instruction set by name, empty: the best
  plan::Workload workload;  // what instances are placed for unless told otherwise
  // Opens one of `models` by its path; null: Model::Open.
  std::function<Result<std::shared_ptr<const Model>>(const std::string& path)> open_model;
  // Set: stages run on phantom devices as fast as this.
  std::shared_ptr<const plan::DeviceProfile> phantom;
};

class Cluster final : public net::MeshEvents {
 public:
  // The mesh, whose events this takes, is made afterwards and told to Start(). It is stopped before
  // the cluster is destroyed, and destroyed after it. `clock` and `io` outlive both.
  Cluster(net::asio::io_context& io, const os::Clock& clock, ClusterOptions options);
  ~Cluster() override;

  void Start(net::Mesh& mesh);
  void Stop();

  // --- Models and instances ---

  // This device has been measured.
  void SetDevice(plan::DeviceProfile device);
  // The same device, whose memory is faster or slower now.
  void SetRates(plan::DeviceProfile device);
  // What it reads while all nodes of its machine do; 0: it is the only one.
  void SetSharedReading(double bytes_per_s);
  // How many that this node speaks with are on its machine, too?
  int OthersOnThisMachine() const;
  // What this node's sensors say now, for those that it is linked with to see.
  void SetSensors(std::vector<os::SensorReading> sensors);
  // Some node is here that has not been measured yet, and may be soon. Plans leave it out.
  bool Measuring() const;
  // What would be done, without doing it; if a device is `added`, with it. `done` may be called
  // before this returns.
  void Plan(const std::string& model, const plan::Workload& workload,
            const plan::Constraints& constraints, const plan::Addition* added,
            std::function<void(Result<plan::PlanResult>)> done);
  // Starts an instance with this node as its coordinator, or several where those serve the workload
  // better; `done` is told when all stages are loaded, or why none are. Of several it sees the
  // first that is ready, with the plan and the workload of all.
  void Place(const std::string& model, const plan::Workload& workload,
             const plan::Constraints& constraints, std::function<void(Result<InstanceView>)> done);
  // Ends every instance of `model` (a name, fingerprint or instance id).
  Status StopModel(const std::string& model);
  // The local model of that name or fingerprint, opened and kept open: its tokenizer and template.
  Result<std::shared_ptr<const Model>> OpenModel(const std::string& model);
  void SetLocalModels(std::vector<LocalModel> models);
  const std::vector<LocalModel>& local_models() const;
  const plan::Workload& default_workload() const;

  // --- Requests ---

  // Places the model first if no instance of it runs.
  RequestId Submit(GenerateRequest request, RequestEvents events);
  // The client went away: the work stops on every node. Unknown ids are ignored.
  void Cancel(RequestId request);
  // The client has enough (a stop string): ends the request as done, with its stats.
  void EndEarly(RequestId request);

  ClusterView View() const;
  ClusterCounters Counters() const;
  // What this node did lately.
  std::vector<TimelineEvent> Events() const;

  // --- net::MeshEvents ---
  void OnPeerUp(const net::PeerInfo& peer) override;
  void OnPeerDown(const NodeId& peer, const Error& reason) override;
  void OnFrame(const NodeId& from, wire::Frame frame) override;
  void OnLinkMeasured(const NodeId& peer) override;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace baton::cluster
