// StageHost: the stages that this node holds, and the seats at them. It judges what other nodes ask
// for (who may, for which layers, at which epoch) and routes what passes to the engine. I/O thread
// only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/timeline.h"
#include "cluster/courier.h"
#include "cluster/seat.h"
#include "os/system.h"
#include "os/waiter.h"
#include "os/worker.h"
#include "plan/feedback.h"
#include "plan/profile.h"

namespace baton::cluster {

struct StageHostOptions {
  int threads = 0;             // of a stage's compute pool
  std::string kernels;         // instruction set by name
  plan::DeviceProfile device;  // what its steps are held against
  // Set: stages run on phantom devices as fast as this.
  std::shared_ptr<const plan::DeviceProfile> phantom;
};

class StageHost {
 public:
  // Opens the model file with that fingerprint, or says that it is not on this node.
  using FindModel =
      std::function<Result<std::shared_ptr<const Model>>(const std::string& fingerprint)>;

  StageHost(net::asio::io_context& io, Courier& courier, const os::Clock& clock,
            FindModel find_model, StageHostOptions options);
  ~StageHost();

  // The stage and sequence messages of `message`; false if it is none of them.
  bool OnMessage(const NodeId& from, const ClusterMessage& message);
  void OnKvFrame(const NodeId& from, wire::Frame frame);
  void OnActivation(const NodeId& from, wire::Frame frame);
  // Gives up what that node owned or fed: its requests here, and KV streams from it.
  void OnPeerDown(const NodeId& peer, const Error& reason);

  // Ends KV streams that stand still.
  void Tick();
  // Anew: what was learnt of it so far goes.
  void SetDevice(plan::DeviceProfile device);
  // The same one, whose memory is faster or slower now.
  void SetRates(plan::DeviceProfile device);
  // What the device's steps say of its profile; true if that is news.
  bool RefreshFeedback() { return feedback_.Refresh(); }
  const std::vector<plan::Correction>& corrections() const { return feedback_.told(); }

  // Bytes of weights and KV that are loaded or being loaded.
  uint64_t reserved_bytes() const;
  double engine_busy_seconds() const { return engine_.busy_seconds(); }
  std::vector<TimelineEvent> Events() const { return timeline_->Events(); }
  // By how much a phantom's steps took longer than they should.
  double phantom_overrun_seconds() const { return waiter_.overrun_seconds(); }

 private:
  struct Held;
  struct Seated;
  using SeatKey = std::pair<RequestId, int>;  // request and role

  struct Loaded {
    std::shared_ptr<const Model> model;
    std::shared_ptr<engine::LoadedStage> stage;
  };
  void Load(const NodeId& from, const LoadStage& request);
  Result<std::unique_ptr<device::Device>> MakeDevice();
  Result<Loaded> LoadNow(const LoadStage& request);  // loader thread
  void OnLoaded(const NodeId& coordinator, const LoadStage& request, double seconds,
                Result<Loaded> loaded);
  void Report(const NodeId& coordinator, const LoadStage& request, double seconds,
              const Status& status, uint64_t weight_bytes);
  void Unload(const UnloadStage& request);
  void OnIdleQuestion(const NodeId& from, const IdleQuestion& question);
  void Open(const NodeId& from, const SequenceOpen& open);
  void OnStart(const NodeId& from, const SequenceStart& start);
  void OnToken(const NodeId& from, const SequenceToken& token);
  void OnCredit(const NodeId& from, const SequenceCredit& credit);
  void OnClose(const NodeId& from, const SequenceClose& close);
  void OnKvAck(const NodeId& from, const KvAck& ack);
  void OnKvAbort(const NodeId& from, const KvAbort& abort);
  void Refuse(const NodeId& to, const SequenceOpen& open, const Error& error);
  void CloseSeat(const SeatKey& key, std::vector<TokenId> generated);
  // The seat, if it exists at exactly that epoch.
  Seated* Find(const pb::SequenceKey& key, Role role);
  Seated* SeatForRows(const kv::SequenceKey& key, std::span<const uint8_t> frame);
  void FailSeat(Seated& seated, const Error& error);
  // Engine's thread, then I/O.
  void OnStep(const std::shared_ptr<engine::LoadedStage>& stage, const plan::RanStep& step);
  void Compare(const engine::LoadedStage& stage, const plan::RanStep& step);
  void OnIngested(const kv::SequenceKey& key, const Status& status);
  void PostToIo(std::function<void()> task);

  net::asio::io_context& io_;
  Courier& courier_;
  const os::Clock& clock_;
  const FindModel find_model_;
  StageHostOptions options_;
  plan::Feedback feedback_;
  os::Company company_;
  uint64_t answer_steps_ = 0;  // engine's thread
  const std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
  os::SystemWaiter waiter_;  // of phantom devices
  std::map<InstanceId, std::shared_ptr<Held>> held_;
  std::map<SeatKey, Seated> seats_;
  // Shared with tasks on other threads that may outlive us.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  kv::Exporter exporter_;
  engine::Engine engine_;
  os::Worker ingest_;
  os::Worker loader_;
};

}  // namespace baton::cluster
