#include "cluster/request.h"

#include <algorithm>

#include "base/log.h"

namespace baton::cluster {
namespace {

constexpr int kAttemptsMax = 5;
// For a first route a model may have to be loaded from a slow disk.
constexpr double kFirstRouteSeconds = 600;
// After a fault the client is not left in silence for longer than this.
constexpr double kNextRouteSeconds = 2.5;
constexpr double kGrantSeconds = 5;
// Between tokens, and beyond a multiple of the prediction for the prompt.
constexpr double kTokenSeconds = 20;
constexpr double kPatienceFactor = 5;
constexpr size_t kEarlyMax = 64;
// How long an answer's end waits for what the stages measured.
constexpr double kReportSeconds = 0.25;

double PatienceSeconds(const Route& route, size_t prompt_tokens) {
  const double predicted = route.prefill_s * static_cast<double>(prompt_tokens) /
                           std::max(1, route.workload_prompt_tokens);
  return kTokenSeconds + kPatienceFactor * predicted;
}

bool AllGranted(const std::vector<int>& cached) {
  return std::none_of(cached.begin(), cached.end(), [](int tokens) { return tokens < 0; });
}

bool Uses(const Pipeline& pipeline, const NodeId& node) {
  return std::any_of(pipeline.begin(), pipeline.end(),
                     [&](const PipelineStage& stage) { return stage.node == node; });
}

int AnswerRoom(const GenerateRequest& what, int context_length) {
  const int room = std::max(1, context_length - static_cast<int>(what.prompt.size()));
  return what.max_tokens < 0 ? room : std::min(what.max_tokens, room);
}

}  // namespace

Request::Request(RequestHost& host, RequestId id, GenerateRequest what, std::string fingerprint,
                 int context_length, RequestEvents events)
    : host_(host),
      id_(id),
      what_(std::move(what)),
      fingerprint_(std::move(fingerprint)),
      tokens_most_(AnswerRoom(what_, context_length)),
      events_(std::move(events)),
      submitted_(host.clock().Now()) {
  stats_.prompt_tokens = static_cast<int>(what_.prompt.size());
  prefixes_ = Prefixes();
  SetDeadline(kFirstRouteSeconds);
}

void Request::SetDeadline(double seconds) {
  deadline_ = host_.clock().Now() +
              std::chrono::duration_cast<os::Duration>(std::chrono::duration<double>(seconds));
}

bool Request::IsCurrent(const pb::SequenceKey& key) const {
  return state_ != State::kDone && state_ != State::kWaiting && key.request() == id_.value() &&
         key.epoch() == epoch_;
}

std::vector<TokenId> Request::Tokens() const {
  std::vector<TokenId> tokens = what_.prompt;
  tokens.insert(tokens.end(), answer_.begin(), answer_.end());
  return tokens;
}

void Request::Advance() {
  if (state_ == State::kDone) return;
  if (host_.clock().Now() >= deadline_) {
    if (state_ == State::kReporting) return Conclude();
    const Error late(Code::kDeadlineExceeded, "no progress in time");
    return state_ == State::kWaiting ? EndWith(last_fault_.value_or(late)) : Retry(late);
  }
  if (state_ != State::kWaiting) return;
  auto route = host_.FindRoute(fingerprint_, static_cast<int>(what_.prompt.size()) + tokens_most_,
                               prefixes_);
  if (!route.ok()) {
    const Code code = route.error().code();
    const bool may_come = code == Code::kUnavailable || code == Code::kResourceExhausted;
    if (!may_come) EndWith(route.error());
    if (may_come) last_fault_ = last_fault_ ? last_fault_ : route.error();
    // Instances that are there have no slot for those of a lost one: theirs is the next.
    if (code == Code::kResourceExhausted && stats_.attempts > 1 && !waits_for_slot_) {
      waits_for_slot_ = true;
      SetDeadline(kFirstRouteSeconds);
    }
    return;
  }
  route_ = *std::move(route);
  ++epoch_;
  if (stats_.attempts == 1) stats_.queued_s = os::SecondsBetween(submitted_, host_.clock().Now());
  OpenDecode();
}

// --- Opening ---

SequenceOpen Request::NewOpen(Role role, const Pipeline& pipeline, size_t stage) const {
  SequenceOpen open;
  *open.mutable_key() = ToProto(kv::SequenceKey{id_, epoch_});
  open.set_instance(route_.instance.value());
  open.set_instance_epoch(route_.instance_epoch);
  open.set_role(role);
  open.set_stage(static_cast<int>(stage));
  for (const PipelineStage& each : pipeline) *open.add_pipeline() = ToProto(each);
  for (const TokenId token : Tokens()) open.add_tokens(token);
  open.set_tokens_left(tokens_most_ - static_cast<int>(answer_.size()));
  *open.mutable_sampling() = ToProto(what_.sampling);
  open.set_ignore_end(what_.ignore_end);
  open.set_kv_type(ToProto(route_.kv_type));
  open.set_patience_ms(
      static_cast<uint32_t>(PatienceSeconds(route_, what_.prompt.size() + answer_.size()) * 1e3));
  return open;
}

void Request::OpenDecode() {
  state_ = State::kOpeningDecode;
  SetDeadline(kGrantSeconds);
  const int tokens = static_cast<int>(what_.prompt.size() + answer_.size());
  remote_ = !route_.prefill.empty() &&
            (route_.always_remote || host_.PreferRemote(route_, tokens, tokens));
  decode_cached_.assign(route_.decode.size(), -1);
  prefill_cached_.assign(route_.prefill.size(), -1);
  early_.clear();
  for (size_t stage = 0; stage < route_.decode.size(); ++stage) {
    ClusterMessage message;
    *message.mutable_open() = NewOpen(DECODE, route_.decode, stage);
    if (remote_) {
      for (const PipelineStage& each : route_.prefill)
        *message.mutable_open()->add_prefill_by() = ToProto(each);
    }
    host_.courier().Send(route_.decode[stage].node, message);
  }
}

void Request::OnGrant(const NodeId& from, const SequenceGrant& grant) {
  if (!IsCurrent(grant.key()) || grant.stage() < 0 || grant.cached_tokens() < 0) return;
  const auto stage = static_cast<size_t>(grant.stage());
  const bool of_decode = grant.role() == DECODE;
  const Pipeline& pipeline = of_decode ? route_.decode : route_.prefill;
  std::vector<int>& cached = of_decode ? decode_cached_ : prefill_cached_;
  if (stage >= pipeline.size() || pipeline[stage].node != from) return;
  cached[stage] = grant.cached_tokens();
  if (state_ == State::kOpeningDecode && of_decode && AllGranted(cached)) OnDecodeOpen();
  if (state_ == State::kOpeningPrefill && !of_decode && AllGranted(cached))
    StartPrompt(PREFILL, prefill_cached_);
}

void Request::OnDecodeOpen() {
  const int cached = *std::min_element(decode_cached_.begin(), decode_cached_.end());
  const int tokens = static_cast<int>(what_.prompt.size() + answer_.size());
  if (stats_.attempts == 1) stats_.cached_tokens = cached;
  // Known only now: what the decode group has cached may make the hand-over pointless.
  if (remote_ && !route_.always_remote)
    remote_ = host_.PreferRemote(route_, tokens - cached, tokens);
  if (remote_) return OpenPrefill();
  StartPrompt(DECODE, decode_cached_);
}

void Request::OpenPrefill() {
  state_ = State::kOpeningPrefill;
  SetDeadline(kGrantSeconds);
  for (size_t stage = 0; stage < route_.prefill.size(); ++stage) {
    ClusterMessage message;
    SequenceOpen& open = *message.mutable_open();
    open = NewOpen(PREFILL, route_.prefill, stage);
    for (size_t target = 0; target < route_.decode.size(); ++target) {
      *open.add_decode_by() = ToProto(route_.decode[target]);
      KvTarget& kv_target = *open.add_kv_targets();
      *kv_target.mutable_stage() = ToProto(route_.decode[target]);
      kv_target.set_first_token(decode_cached_[target]);
      kv_target.set_kv_type(ToProto(route_.kv_type));
    }
    host_.courier().Send(route_.prefill[stage].node, message);
  }
}

void Request::StartPrompt(Role role, const std::vector<int>& cached) {
  state_ = State::kRunning;
  SetDeadline(PatienceSeconds(route_, what_.prompt.size() + answer_.size()));
  if (stats_.attempts == 1) stats_.remote_prefill = role == PREFILL;
  ClusterMessage message;
  SequenceStart& start = *message.mutable_start();
  *start.mutable_key() = ToProto(kv::SequenceKey{id_, epoch_});
  start.set_role(role);
  start.set_first_token(*std::min_element(cached.begin(), cached.end()));
  const Pipeline& pipeline = role == PREFILL ? route_.prefill : route_.decode;
  reports_missing_ = pipeline.size();
  host_.courier().Send(pipeline.front().node, message);
}

// --- Running ---

void Request::OnToken(const NodeId& from, const SequenceToken& token) {
  if (!IsCurrent(token.key()) || state_ != State::kRunning) return;
  if (!Uses(route_.decode, from) && !Uses(route_.prefill, from)) return;
  if (early_.size() >= kEarlyMax)
    return Retry(Error(Code::kInternal, "tokens arrive out of all order"));
  early_.emplace(token.position(), token);
  while (state_ == State::kRunning && !early_.empty()) {
    const int next = static_cast<int>(what_.prompt.size() + answer_.size());
    const auto first = early_.begin();
    if (first->first > next) return;
    const SequenceToken ready = first->second;
    early_.erase(first);
    if (ready.position() == next) Deliver(ready);
  }
}

void Request::Deliver(const SequenceToken& token) {
  last_token_at_ = host_.clock().Now();
  // The second waits for the rest of the prompt's KV.
  const bool handing_over = remote_ && answer_.empty();
  SetDeadline(handing_over ? PatienceSeconds(route_, what_.prompt.size()) : kTokenSeconds);
  if (token.finish() == SequenceToken::END) return Finish(FinishReason::kStop);
  if (answer_.empty()) {
    first_token_at_ = last_token_at_;
    stats_.ttft_s = os::SecondsBetween(submitted_, first_token_at_);
  } else if (answer_.size() == 1) {
    stats_.second_token_s = os::SecondsBetween(first_token_at_, last_token_at_);
  }
  answer_.push_back(token.token());
  TokenEvent event{.token = token.token(), .position = token.position()};
  event.sampled.token = token.token();
  event.sampled.logprob = token.logprob();
  for (const TokenLogprob& other : token.top())
    event.sampled.top.push_back({other.token(), other.logprob()});
  events_.on_token(event);
  // The client's code may have cancelled us meanwhile.
  if (state_ == State::kRunning && token.finish() == SequenceToken::LENGTH)
    Finish(FinishReason::kLength);
}

void Request::OnReport(const NodeId& from, const PrefillReport& report) {
  if (!IsCurrent(report.key())) return;
  if (!Uses(route_.decode, from) && !Uses(route_.prefill, from)) return;
  stats_.prefill_s = std::max(stats_.prefill_s, report.prefill_s());
  stats_.kv_bytes += report.kv_bytes();
  stats_.kv_bytes_sent_by_end += report.kv_bytes_sent_by_end();
  stats_.kv_chunks += report.kv_chunks();
  stats_.kv_sending_s = std::max(stats_.kv_sending_s, report.kv_sending_s());
  if (reports_missing_ > 0) --reports_missing_;
  if (state_ == State::kReporting && reports_missing_ == 0) Conclude();
}

// --- Faults and ends ---

void Request::OnFailed(const NodeId& from, const SequenceFailed& failed) {
  if (!IsCurrent(failed.key()) || state_ == State::kReporting) return;
  if (!Uses(route_.decode, from) && !Uses(route_.prefill, from)) return;
  const Error error(CodeFromWire(static_cast<int>(failed.code())), failed.message());
  const bool out_of_pages = error.code() == Code::kResourceExhausted;
  if (out_of_pages && !answer_.empty()) return Finish(FinishReason::kLength);
  if (out_of_pages) {
    // Others hold the pages: wait for a turn, which is not an attempt.
    CloseAttempt();
    state_ = State::kWaiting;
    last_fault_ = error;
    SetDeadline(kFirstRouteSeconds);
    return;
  }
  if (!InfoOf(error.code()).retryable && error.code() != Code::kFailedPrecondition)
    return EndWith(error);
  Retry(error);
}

void Request::OnPeerDown(const NodeId& peer, const Error& reason) {
  if (!holds_slot() || state_ == State::kReporting) return;
  const bool prefill_matters = remote_ && answer_.empty();
  if (Uses(route_.decode, peer) || (prefill_matters && Uses(route_.prefill, peer)))
    Retry(reason.Within(fmt::format("lost node {}", peer.Short())));
}

void Request::CloseAttempt() {
  ClusterMessage message;
  SequenceClose& close = *message.mutable_close();
  *close.mutable_key() = ToProto(kv::SequenceKey{id_, epoch_});
  for (const TokenId token : answer_) close.add_generated(token);
  std::vector<NodeId> told;
  for (const Pipeline* pipeline : {&route_.decode, &route_.prefill}) {
    for (const PipelineStage& stage : *pipeline) {
      if (std::find(told.begin(), told.end(), stage.node) != told.end()) continue;
      told.push_back(stage.node);
      host_.courier().Send(stage.node, message);
    }
  }
}

void Request::Retry(const Error& reason) {
  log::Info("request {} attempt {}: {}", id_.ToString(), stats_.attempts, reason.message());
  CloseAttempt();
  last_fault_ = reason;
  if (stats_.attempts >= kAttemptsMax) return EndWith(reason);
  ++stats_.attempts;
  waits_for_slot_ = false;
  prefixes_ = Prefixes();
  state_ = State::kWaiting;
  SetDeadline(kNextRouteSeconds);
}

void Request::Finish(FinishReason reason) {
  finish_ = reason;
  if (reports_missing_ == 0) return Conclude();
  state_ = State::kReporting;
  SetDeadline(kReportSeconds);
}

void Request::Conclude() {
  CloseAttempt();
  state_ = State::kDone;
  stats_.completion_tokens = static_cast<int>(answer_.size());
  if (!answer_.empty()) stats_.decode_s = os::SecondsBetween(first_token_at_, last_token_at_);
  const auto events = std::move(events_);
  const RequestStats stats = stats_;
  host_.OnFinished(id_);
  events.on_done(finish_, stats);
}

void Request::EndWith(const Error& error) {
  if (holds_slot()) CloseAttempt();
  state_ = State::kDone;
  const auto events = std::move(events_);
  const Error told = error;  // `error` may be ours
  host_.OnFinished(id_);
  events.on_error(told);
}

void Request::EndEarly() {
  if (state_ == State::kRunning) Finish(FinishReason::kStop);
}

void Request::Cancel() {
  if (state_ == State::kDone) return;
  if (holds_slot()) CloseAttempt();
  state_ = State::kDone;
  host_.OnFinished(id_);
}

}  // namespace baton::cluster
