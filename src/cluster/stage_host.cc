#include "cluster/stage_host.h"

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "cluster/records.h"
#include "device/cpu/cpu_device.h"
#include "device/phantom/phantom_device.h"
#include "kernels/select.h"
#include "wire/activation.h"

namespace baton::cluster {
namespace {

constexpr size_t kIngestQueueMax = 4096;  // frames
constexpr size_t kLoaderQueueMax = 64;
// Of the steps of answers, of which there are many, one of so many is compared with its prediction.
constexpr uint64_t kAnswerStepsSkipped = 4;
constexpr double kProgressSeconds = 2;  // between two lines about a model that is loading

bool Names(const Pipeline& pipeline, const NodeId& node) {
  return std::any_of(pipeline.begin(), pipeline.end(),
                     [&](const PipelineStage& stage) { return stage.node == node; });
}

// Request and epoch of a KV or activation frame, which all of these formats keep at byte 8. Only a
// hint where to look: the frame is verified in full before it is used.
std::optional<kv::SequenceKey> PeekKey(std::span<const uint8_t> frame) {
  ByteReader reader(frame);
  reader.ReadBytes(8);
  const RequestId request(reader.Read<uint64_t>());
  const auto epoch = reader.Read<uint32_t>();
  if (!reader.ok()) return std::nullopt;
  return kv::SequenceKey{request, epoch};
}

}  // namespace

// A stage in memory, or on its way there.
struct StageHost::Held {
  uint64_t epoch = 0;
  LayerRange layers;
  std::string fingerprint;
  uint64_t bytes = 0;                          // reserved, of which...
  uint64_t kv_bytes = 0;                       // ...for KV
  std::shared_ptr<const Model> model;          // null while loading
  std::shared_ptr<engine::LoadedStage> stage;  // null while loading
  std::optional<plan::StepCosts> costs;        // once a step was compared
  DType weight_type = DType::kF16;             // likewise
};

struct StageHost::Seated {
  uint32_t epoch = 0;
  std::shared_ptr<Held> held;
  std::shared_ptr<Seat> seat;
  std::shared_ptr<kv::Import> import;  // set once pages are granted
};

StageHost::StageHost(net::asio::io_context& io, Courier& courier, const os::Clock& clock,
                     FindModel find_model, StageHostOptions options)
    : io_(io),
      courier_(courier),
      clock_(clock),
      find_model_(std::move(find_model)),
      options_(std::move(options)),
      exporter_(
          [this](const NodeId& to, wire::FrameType type, Bytes payload, net::OnSent on_sent) {
            courier_.SendFrame(to, type, std::move(payload), std::move(on_sent));
          },
          clock, timeline_),
      engine_(clock, timeline_.get(),
              [this](const auto& stage, const auto& step) { OnStep(stage, step); }),
      ingest_("kv-import", kIngestQueueMax),
      loader_("loader", kLoaderQueueMax) {}

StageHost::~StageHost() {
  *alive_ = false;
}

bool StageHost::OnMessage(const NodeId& from, const ClusterMessage& message) {
  switch (message.body_case()) {
    case ClusterMessage::kLoadStage:
      Load(from, message.load_stage());
      return true;
    case ClusterMessage::kUnloadStage:
      Unload(message.unload_stage());
      return true;
    case ClusterMessage::kIdleQuestion:
      OnIdleQuestion(from, message.idle_question());
      return true;
    case ClusterMessage::kOpen:
      Open(from, message.open());
      return true;
    case ClusterMessage::kStart:
      OnStart(from, message.start());
      return true;
    case ClusterMessage::kToken:
      if (!message.token().to_run()) return false;  // for the entry
      OnToken(from, message.token());
      return true;
    case ClusterMessage::kCredit:
      OnCredit(from, message.credit());
      return true;
    case ClusterMessage::kClose:
      OnClose(from, message.close());
      return true;
    case ClusterMessage::kKvAck:
      OnKvAck(from, message.kv_ack());
      return true;
    case ClusterMessage::kKvAbort:
      OnKvAbort(from, message.kv_abort());
      return true;
    default:
      return false;
  }
}

void StageHost::SetDevice(plan::DeviceProfile device) {
  SetRates(std::move(device));
  feedback_ = {};
}

void StageHost::SetRates(plan::DeviceProfile device) {
  options_.device = std::move(device);
  feedback_.ForgetAnswers();
  for (const auto& [id, held] : held_) held->costs.reset();
}

void StageHost::OnStep(const std::shared_ptr<engine::LoadedStage>& stage,
                       const plan::RanStep& step) {
  if (step.tokens == 1 && answer_steps_++ % kAnswerStepsSkipped != 0) return;
  PostToIo([this, stage, step] { Compare(*stage, step); });
}

void StageHost::Compare(const engine::LoadedStage& stage, const plan::RanStep& step) {
  // A phantom takes the time that it says.
  if (options_.phantom != nullptr || !options_.device.measured()) return;
  // What steps take while others of this machine read its memory says nothing of the device: the
  // planner counts that itself.
  const double now_s = os::SecondsBetween({}, clock_.Now());
  if (step.tokens == 1 && company_.IsThere(now_s, options_.device.processors.threads)) return;
  for (const auto& [id, held] : held_) {
    if (held->stage.get() != &stage) continue;
    if (!held->costs) {
      const plan::ModelCost model = CostOf(*held->model, {});
      held->weight_type = model.weight_type;
      held->costs.emplace(options_.device, model, stage.stage().options().kv_type);
    }
    return feedback_.Add(*held->costs, held->weight_type, step);
  }
}

void StageHost::OnStart(const NodeId& from, const SequenceStart& start) {
  Seated* seated = Find(start.key(), start.role());
  if (seated == nullptr || seated->seat->spec().entry != from) return;
  engine_.Post([seat = seated->seat, first = start.first_token()] { seat->Start(first); });
}

void StageHost::OnToken(const NodeId& from, const SequenceToken& token) {
  Seated* seated = Find(token.key(), DECODE);
  const bool theirs = seated != nullptr && (Names(seated->seat->spec().pipeline, from) ||
                                            Names(seated->seat->spec().prefill_by, from));
  if (!theirs || token.token() < 0 || token.token() >= seated->held->model->spec().vocab_size)
    return;
  engine_.Post([seat = seated->seat, position = token.position(), id = token.token()] {
    seat->OnToken(position, id);
  });
}

void StageHost::OnCredit(const NodeId& from, const SequenceCredit& credit) {
  Seated* seated = Find(credit.key(), credit.role());
  if (seated == nullptr || seated->seat->spec().pipeline.back().node != from) return;
  engine_.Post([seat = seated->seat] { seat->OnCredit(); });
}

void StageHost::OnClose(const NodeId& from, const SequenceClose& close) {
  for (const Role role : {DECODE, PREFILL}) {
    Seated* seated = Find(close.key(), role);
    if (seated != nullptr && seated->seat->spec().entry == from)
      CloseSeat({RequestId(close.key().request()), role},
                {close.generated().begin(), close.generated().end()});
  }
}

void StageHost::OnKvAck(const NodeId& from, const KvAck& ack) {
  Seated* seated = Find(ack.key(), PREFILL);
  if (seated != nullptr && Names(seated->seat->spec().decode_by, from))
    log::Debug("KV of request {} is complete at {}", ack.key().request(), from.Short());
}

void StageHost::OnKvAbort(const NodeId& from, const KvAbort& abort) {
  const Error reason(CodeFromWire(static_cast<int>(abort.code())), abort.message());
  Seated* decode = Find(abort.key(), DECODE);
  if (decode != nullptr && decode->import != nullptr &&
      Names(decode->seat->spec().prefill_by, from)) {
    decode->import->Fail(reason);
    FailSeat(*decode, reason);
  }
  Seated* prefill = Find(abort.key(), PREFILL);
  if (prefill != nullptr && Names(prefill->seat->spec().decode_by, from))
    FailSeat(*prefill, reason);
}

// --- Stages ---

void StageHost::Load(const NodeId& from, const LoadStage& request) {
  const InstanceId id(request.instance());
  const LayerRange layers{request.first_layer(), request.last_layer()};
  const auto present = held_.find(id);
  if (present != held_.end() && request.epoch() < present->second->epoch)
    return Report(from, request, 0,
                  MakeError(Code::kAborted, "epoch {} of the instance is over, {} runs",
                            request.epoch(), present->second->epoch),
                  0);
  if (present != held_.end()) {
    Held& held = *present->second;
    const bool covers =
        held.stage != nullptr && held.fingerprint == request.fingerprint() &&
        held.stage->stage().options().kv_type == KvTypeFromProto(request.kv_type()) &&
        held.layers.first <= layers.first && held.layers.last >= layers.last &&
        held.kv_bytes >= request.kv_bytes();
    if (covers) {
      held.epoch = request.epoch();
      return Report(from, request, 0, OkStatus(), held.stage->stage().weight_bytes());
    }
  }
  const auto held = std::make_shared<Held>();
  held->epoch = request.epoch();
  held->layers = layers;
  held->fingerprint = request.fingerprint();
  held->kv_bytes = held->bytes = request.kv_bytes();
  held_[id] = held;
  const bool queued = loader_.TryPost([this, from, request] {
    const os::TimePoint begin = clock_.Now();
    auto loaded = std::make_shared<Result<Loaded>>(LoadNow(request));
    const double seconds = os::SecondsBetween(begin, clock_.Now());
    PostToIo([this, from, request, seconds, loaded] {
      OnLoaded(from, request, seconds, std::move(*loaded));
    });
  });
  if (!queued) {
    held_.erase(id);
    Report(from, request, 0, MakeError(Code::kResourceExhausted, "too many models are loading"), 0);
  }
}

Result<std::unique_ptr<device::Device>> StageHost::MakeDevice() {
  BATON_ASSIGN_OR_RETURN(const kernels::KernelTable* kernels,
                         kernels::SelectKernels(options_.kernels));
  if (options_.phantom == nullptr)
    return device::MakeCpuDevice(*kernels, {.threads = options_.threads});
  return std::unique_ptr<device::Device>(
      std::make_unique<device::PhantomDevice>(*kernels, waiter_));
}

Result<StageHost::Loaded> StageHost::LoadNow(const LoadStage& request) {
  BATON_ASSIGN_OR_RETURN(auto model, find_model_(request.fingerprint()));
  BATON_ASSIGN_OR_RETURN(auto device, MakeDevice());
  const engine::StageOptions options{
      .kv_bytes_max = request.kv_bytes(),
      .kv_type = KvTypeFromProto(request.kv_type()),
      .chunk_tokens_max = std::clamp(request.chunk_tokens(), 1, 4096),
      .phantom = options_.phantom};
  const os::TimePoint begin = clock_.Now();
  os::TimePoint said = begin;
  const auto progress = [&](uint64_t done, uint64_t total) {
    if (os::SecondsBetween(said, clock_.Now()) < kProgressSeconds) return;
    said = clock_.Now();
    log::Info("loading '{}': {} of {} MiB", request.model(), done >> 20, total >> 20);
  };
  BATON_ASSIGN_OR_RETURN(auto stage,
                         engine::Stage::Load(*model, {request.first_layer(), request.last_layer()},
                                             *device, options, progress));
  log::Info("loaded layers {} to {} of '{}': {} MiB in {:.1f} s", request.first_layer(),
            request.last_layer() - 1, request.model(), stage->weight_bytes() >> 20,
            os::SecondsBetween(begin, clock_.Now()));
  BATON_ASSIGN_OR_RETURN(auto loaded,
                         engine::LoadedStage::Create(std::move(device), std::move(stage)));
  return Loaded{std::move(model), std::move(loaded)};
}

void StageHost::OnLoaded(const NodeId& coordinator, const LoadStage& request, double seconds,
                         Result<Loaded> loaded) {
  const InstanceId id(request.instance());
  const auto found = held_.find(id);
  if (found == held_.end() || found->second->epoch != request.epoch()) return;  // superseded
  if (!loaded.ok()) {
    held_.erase(found);
    return Report(coordinator, request, seconds, loaded.status(), 0);
  }
  Held& held = *found->second;
  held.model = loaded->model;
  held.stage = loaded->stage;
  held.bytes += held.stage->stage().weight_bytes();
  Report(coordinator, request, seconds, OkStatus(), held.stage->stage().weight_bytes());
}

void StageHost::Report(const NodeId& coordinator, const LoadStage& request, double seconds,
                       const Status& status, uint64_t weight_bytes) {
  ClusterMessage message;
  StageReport& report = *message.mutable_stage_report();
  report.set_instance(request.instance());
  report.set_epoch(request.epoch());
  report.set_loaded(status.ok());
  if (!status.ok()) {
    report.set_code(static_cast<uint32_t>(status.error().code()));
    report.set_message(status.error().message());
  }
  report.set_weight_bytes(weight_bytes);
  report.set_load_s(seconds);
  courier_.Send(coordinator, message);
}

void StageHost::Unload(const UnloadStage& request) {
  const auto found = held_.find(InstanceId(request.instance()));
  if (found == held_.end() || found->second->epoch > request.epoch()) return;
  const std::shared_ptr<Held> held = found->second;
  held_.erase(found);
  for (auto& [key, seated] : seats_) {
    if (seated.held == held)
      FailSeat(seated, MakeError(Code::kUnavailable, "the instance was stopped"));
  }
}

void StageHost::OnIdleQuestion(const NodeId& from, const IdleQuestion& question) {
  const auto held = held_.find(InstanceId(question.instance()));
  const auto seats = std::count_if(seats_.begin(), seats_.end(), [&](const auto& item) {
    return held != held_.end() && item.second.held == held->second;
  });
  ClusterMessage message;
  message.mutable_idle_answer()->set_instance(question.instance());
  message.mutable_idle_answer()->set_seats(static_cast<uint32_t>(seats));
  courier_.Send(from, message);
}

uint64_t StageHost::reserved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, held] : held_) bytes += held->bytes;
  return bytes;
}

// --- Seats ---

void StageHost::Open(const NodeId& from, const SequenceOpen& open) {
  const auto held = held_.find(InstanceId(open.instance()));
  if (held == held_.end() || held->second->stage == nullptr)
    return Refuse(from, open,
                  MakeError(Code::kUnavailable, "instance {} is not loaded on this node",
                            InstanceId(open.instance()).ToString()));
  const NodeId& self = courier_.self();
  auto spec = SpecFromProto(open, from, self, held->second->model->spec());
  if (!spec.ok()) return Refuse(from, open, spec.error());
  const LayerRange own = spec->self().layers;
  if (own.first < held->second->layers.first || own.last > held->second->layers.last)
    return Refuse(from, open,
                  MakeError(Code::kFailedPrecondition, "layers [{}, {}) are not loaded here",
                            own.first, own.last));
  const SeatKey key{spec->key.request, spec->role};
  const auto present = seats_.find(key);
  if (present != seats_.end()) {
    if (present->second.epoch >= spec->key.epoch || present->second.seat->spec().entry != from)
      return Refuse(from, open,
                    MakeError(Code::kAborted, "epoch {} of the request is over", spec->key.epoch));
    CloseSeat(key, {});
  }
  const kv::SequenceKey sequence = spec->key;
  const auto seat =
      std::make_shared<Seat>(SeatTools{engine_, exporter_, courier_, clock_}, *std::move(spec),
                             held->second->stage, held->second->model);
  seats_[key] = {sequence.epoch, held->second, seat, nullptr};
  engine_.Post([this, seat, key, sequence] {
    seat->Open([this, key, sequence](std::shared_ptr<kv::Import> import) {
      PostToIo([this, key, sequence, import = std::move(import)] {
        const auto found = seats_.find(key);
        if (found != seats_.end() && found->second.epoch == sequence.epoch)
          found->second.import = import;
      });
    });
  });
}

void StageHost::Refuse(const NodeId& to, const SequenceOpen& open, const Error& error) {
  ClusterMessage message;
  SequenceFailed& failed = *message.mutable_failed();
  *failed.mutable_key() = open.key();
  failed.set_role(open.role());
  failed.set_stage(open.stage());
  failed.set_code(static_cast<uint32_t>(error.code()));
  failed.set_message(error.message());
  courier_.Send(to, message);
}

void StageHost::CloseSeat(const SeatKey& key, std::vector<TokenId> generated) {
  const auto found = seats_.find(key);
  if (found == seats_.end()) return;
  if (found->second.import != nullptr)
    found->second.import->Fail(Error(Code::kCancelled, "the sequence is closed"));
  // The held stage goes along: it must outlive its seat.
  engine_.Post([seat = found->second.seat, held = found->second.held,
                generated = std::move(generated)] { seat->Close(generated); });
  seats_.erase(found);
}

StageHost::Seated* StageHost::Find(const pb::SequenceKey& key, Role role) {
  const auto found = seats_.find({RequestId(key.request()), role});
  if (found == seats_.end() || found->second.epoch != key.epoch()) return nullptr;
  return &found->second;
}

// The seat tells its entry and stays, closed, until the entry closes it: a late message must not
// find it open again.
void StageHost::FailSeat(Seated& seated, const Error& error) {
  engine_.Post([seat = seated.seat, held = seated.held, error] { seat->Fail(error); });
}

// --- Frames ---

void StageHost::OnKvFrame(const NodeId& from, wire::Frame frame) {
  const auto key = PeekKey(frame.payload);
  if (!key) return;
  pb::SequenceKey proto = ToProto(*key);
  Seated* seated = Find(proto, DECODE);
  if (seated == nullptr || seated->import == nullptr ||
      !Names(seated->seat->spec().prefill_by, from))
    return;  // fenced, finished, or never granted: nothing of it is read
  const bool is_seal = frame.type == wire::FrameType::kKvSeal;
  const bool queued = ingest_.TryPost(
      [this, import = seated->import, key = *key, is_seal, payload = std::move(frame.payload)] {
        const Status status = is_seal ? import->OnSeal(payload) : import->OnChunk(payload);
        engine_.Wake();
        if (!status.ok() || is_seal) PostToIo([this, key, status] { OnIngested(key, status); });
      });
  if (!queued) {
    const Error full(Code::kResourceExhausted, "too many KV chunks wait to be read");
    seated->import->Fail(full);
    FailSeat(*seated, full);
  }
}

// A seal was read, or a chunk was wrong.
void StageHost::OnIngested(const kv::SequenceKey& key, const Status& status) {
  Seated* seated = Find(ToProto(key), DECODE);
  if (seated == nullptr) return;
  if (!status.ok()) return FailSeat(*seated, status.error());
  if (!seated->import->Complete()) return;
  ClusterMessage message;
  *message.mutable_kv_ack()->mutable_key() = ToProto(key);
  for (const PipelineStage& stage : seated->seat->spec().prefill_by)
    courier_.Send(stage.node, message);
}

void StageHost::OnActivation(const NodeId& from, wire::Frame frame) {
  const auto key = PeekKey(frame.payload);
  Seated* seated = key ? SeatForRows(*key, frame.payload) : nullptr;
  if (seated == nullptr || seated->seat->spec().first()) return;
  const SeatSpec& spec = seated->seat->spec();
  if (spec.pipeline[spec.stage - 1].node != from) return;
  const bool queued = ingest_.TryPost([this, seat = seated->seat, held = seated->held,
                                       payload = std::move(frame.payload)] {
    const auto activation = wire::DecodeActivation(payload);
    if (!activation.ok()) {
      engine_.Post([seat, held, error = activation.error()] { seat->Fail(error); });
      return;
    }
    engine_.Post(
        [seat, held, header = activation->header,
         rows = std::vector<float>(activation->rows.begin(), activation->rows.end())]() mutable {
          seat->OnActivation(header, std::move(rows));
        });
  });
  if (!queued)
    FailSeat(*seated, Error(Code::kResourceExhausted, "too many activations wait to be read"));
}

// Where a node has both roles in a request, rows of the prompt are for the prefill seat.
StageHost::Seated* StageHost::SeatForRows(const kv::SequenceKey& key,
                                          std::span<const uint8_t> frame) {
  constexpr size_t kFirstTokenAt = 24;  // docs/formats/wire.md
  ByteReader reader(frame);
  reader.ReadBytes(kFirstTokenAt);
  const auto first_token = reader.Read<uint32_t>();
  const pb::SequenceKey proto = ToProto(key);
  Seated* prefill = Find(proto, PREFILL);
  const bool of_prompt = prefill != nullptr && first_token < prefill->seat->spec().tokens.size();
  return of_prompt ? prefill : Find(proto, DECODE);
}

void StageHost::OnPeerDown(const NodeId& peer, const Error& reason) {
  std::vector<SeatKey> orphans;
  for (auto& [key, seated] : seats_) {
    const SeatSpec& spec = seated.seat->spec();
    if (spec.entry == peer) {
      orphans.push_back(key);
    } else if (seated.import != nullptr && !seated.import->Complete() &&
               Names(spec.prefill_by, peer)) {
      seated.import->Fail(reason);
      FailSeat(seated, reason.Within("the prefill node is gone"));
    }
  }
  for (const SeatKey& key : orphans) CloseSeat(key, {});
}

void StageHost::Tick() {
  for (auto& [key, seated] : seats_) {
    if (seated.import == nullptr || seated.import->failed()) continue;
    seated.import->FailIfStalled();
    if (seated.import->failed())
      FailSeat(seated, Error(Code::kDeadlineExceeded, "the KV stream stands still"));
  }
}

void StageHost::PostToIo(std::function<void()> task) {
  boost::asio::post(io_, [alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

}  // namespace baton::cluster
