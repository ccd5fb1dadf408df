#include "cluster/seat.h"

#include <algorithm>

namespace baton::cluster {
namespace {

// Rows that a first stage may have under way in its pipeline, beyond one per stage.
constexpr int kChunksAhead = 2;
// Pages beyond the prompt that a decode seat takes to begin with.
constexpr int kRoomAhead = 64;

Status CheckTokens(const google::protobuf::RepeatedField<int32_t>& tokens, const ModelSpec& model) {
  if (tokens.empty() || tokens.size() >= model.context_length)
    return MakeError(Code::kInvalidArgument, "{} tokens for a context of {}", tokens.size(),
                     model.context_length);
  for (const int32_t token : tokens) {
    if (token < 0 || token >= model.vocab_size)
      return MakeError(Code::kInvalidArgument, "token {} of a vocabulary of {}", token,
                       model.vocab_size);
  }
  return OkStatus();
}

// The prompt's prefixes, or those of what came of it. Where keys of long texts are other ones, so
// are their hashes.
kv::PrefixHashes HashesOf(const Model& model, int prompt_tokens, std::span<const TokenId> tokens) {
  const bool turns_long = model.spec().TurnsLong(prompt_tokens);
  return kv::HashPrefixes(model.fingerprint() + (turns_long ? "/long" : ""), tokens);
}

}  // namespace

Result<SeatSpec> SpecFromProto(const SequenceOpen& open, const NodeId& from, const NodeId& self,
                               const ModelSpec& model) {
  SeatSpec spec;
  spec.key = FromProto(open.key());
  spec.role = open.role();
  spec.entry = from;
  BATON_ASSIGN_OR_RETURN(spec.pipeline, FromProto(open.pipeline(), model.n_layers));
  if (open.stage() < 0 || open.stage() >= open.pipeline_size() ||
      spec.pipeline[static_cast<size_t>(open.stage())].node != self)
    return MakeError(Code::kInvalidArgument, "stage {} is not this node's", open.stage());
  spec.stage = static_cast<size_t>(open.stage());
  if (!open.prefill_by().empty()) {
    BATON_ASSIGN_OR_RETURN(spec.prefill_by, FromProto(open.prefill_by(), model.n_layers));
  }
  if (!open.decode_by().empty()) {
    BATON_ASSIGN_OR_RETURN(spec.decode_by, FromProto(open.decode_by(), model.n_layers));
  }
  if (spec.role == PREFILL && spec.decode_by.empty())
    return MakeError(Code::kInvalidArgument, "a prefill seat without a decode group");
  BATON_RETURN_IF_ERROR(CheckTokens(open.tokens(), model));
  spec.tokens.assign(open.tokens().begin(), open.tokens().end());
  for (const KvTarget& target : open.kv_targets()) {
    const auto node = ToNodeId(target.stage().node());
    if (!node || target.first_token() < 0 || target.first_token() >= open.tokens_size())
      return MakeError(Code::kInvalidArgument, "a KV target from token {}", target.first_token());
    const LayerRange own = spec.self().layers;
    const LayerRange layers{std::max(own.first, target.stage().first_layer()),
                            std::min(own.last, target.stage().last_layer())};
    if (layers.size() <= 0) continue;
    spec.kv_targets.push_back(
        {*node, layers, target.first_token(), KvTypeFromProto(target.kv_type())});
  }
  spec.kv_dtype = KvTypeFromProto(open.kv_type());
  spec.tokens_left = std::clamp(open.tokens_left(), 1, model.context_length - open.tokens_size());
  spec.ignore_end = open.ignore_end();
  spec.sampling = FromProto(open.sampling());
  BATON_RETURN_IF_ERROR(engine::Validate(spec.sampling));
  spec.patience = std::chrono::milliseconds(std::clamp<uint32_t>(open.patience_ms(), 100, 600'000));
  return spec;
}

// What happens inside a run of this seat's layers.
class Seat::Hooks final : public engine::LayerHooks {
 public:
  // `pages` are those of the sequence during the run.
  using Pages = std::function<const kv::PageTable&()>;
  Hooks(std::shared_ptr<kv::Import> import, std::shared_ptr<kv::ExportStream> stream, int first,
        int count, Pages pages)
      : import_(std::move(import)),
        stream_(std::move(stream)),
        first_(first),
        count_(count),
        pages_(std::move(pages)) {}

  Status BeforeAttention(int layer) override {
    return import_ == nullptr ? OkStatus() : import_->WaitForLayer(layer);
  }
  void AfterKvWritten(int layer) override {
    if (stream_ != nullptr) stream_->OnWritten(layer, first_, count_, pages_());
  }

 private:
  const std::shared_ptr<kv::Import> import_;
  const std::shared_ptr<kv::ExportStream> stream_;
  const int first_;
  const int count_;
  const Pages pages_;
};

Seat::Seat(SeatTools tools, SeatSpec spec, std::shared_ptr<engine::LoadedStage> stage,
           std::shared_ptr<const Model> model)
    : tools_(tools),
      spec_(std::move(spec)),
      stage_(std::move(stage)),
      model_(std::move(model)),
      prefixes_(HashesOf(*model_, prompt_tokens(), spec_.tokens)),
      history_(spec_.tokens),
      next_decode_(prompt_tokens()) {}

Seat::~Seat() = default;

void Seat::Open(const std::function<void(std::shared_ptr<kv::Import>)>& publish) {
  const int room =
      prompt_tokens() + (spec_.role == DECODE ? std::min(spec_.tokens_left, kRoomAhead) : 0);
  const auto opened = tools_.engine.Open(stage_, prefixes_, prompt_tokens(), room);
  if (!opened.ok()) return Fail(opened.error());
  slot_ = opened->slot;
  cached_tokens_ = opened->cached_tokens;
  kv::Sequence& sequence = *tools_.engine.Find(slot_);
  if (spec_.waits_for_kv()) {
    const Status awaits = tools_.engine.Await(slot_, prompt_tokens());
    if (!awaits.ok()) return Fail(awaits.error());
    import_ = std::make_shared<kv::Import>(kv::Grant{.key = spec_.key,
                                                     .layers = spec_.self().layers,
                                                     .first_token = cached_tokens_,
                                                     .token_count = prompt_tokens(),
                                                     .dtype = spec_.kv_dtype,
                                                     .prefix_hashes = prefixes_,
                                                     .patience = spec_.patience},
                                           sequence.pool(), stage_, sequence.pages(), tools_.clock);
  }
  if (!spec_.kv_targets.empty()) {
    export_ = std::make_shared<kv::ExportStream>(
        tools_.exporter, spec_.key, sequence.pool(), stage_, spec_.self().layers, spec_.kv_targets,
        prefixes_, prompt_tokens(), [weak = weak_from_this()](Result<kv::ExportStats> stats) {
          const auto self = weak.lock();
          if (self == nullptr) return;
          self->tools_.engine.Post([self, stats = std::move(stats)] { self->OnExportDone(stats); });
        });
  }
  publish(import_);
  ClusterMessage message;
  *message.mutable_grant()->mutable_key() = ToProto(spec_.key);
  message.mutable_grant()->set_role(spec_.role);
  message.mutable_grant()->set_stage(static_cast<int>(spec_.stage));
  message.mutable_grant()->set_cached_tokens(cached_tokens_);
  tools_.courier.Send(spec_.entry, message);
}

int Seat::ChunkTokens() const {
  const int most = stage_->stage().options().chunk_tokens_max;
  if (spec_.pipeline.size() == 1) return most;
  return plan::PipelineChunk(prompt_tokens() - cached_tokens_, most);
}

void Seat::Start(int first_token) {
  if (closed_ || !spec_.first() || prompt_from_ >= 0) return;
  if (first_token < 0 || first_token > cached_tokens_)
    return Fail(MakeError(Code::kInvalidArgument, "start at token {}, {} are cached", first_token,
                          cached_tokens_));
  const Status ready = BeginPrompt(first_token);
  if (!ready.ok()) return Fail(ready.error());
  next_chunk_ = first_token;
  SubmitChunks();
}

// The prompt is computed from `first` on: gives up cached tokens behind it, and hands over those
// before it that the decode group lacks.
Status Seat::BeginPrompt(int first) {
  if (import_ != nullptr) {
    import_->Fail(Error(Code::kCancelled, "the prompt is computed here after all"));
    import_ = nullptr;
  }
  kv::Sequence& sequence = *tools_.engine.Find(slot_);
  const int room = sequence.capacity();
  if (sequence.length() > first && sequence.Truncate(first) != first) {
    stage_->cache().Clear();  // or the next attempt would fail as this one does
    return MakeError(Code::kInvalidArgument,
                     "token {} is inside a cached page, or the cache lacks a window before it",
                     first);
  }
  if (sequence.length() != first)
    return MakeError(Code::kInvalidArgument, "start at token {}, {} are here", first,
                     sequence.length());
  BATON_RETURN_IF_ERROR(tools_.engine.Reserve(slot_, room));
  prompt_from_ = first;
  prompt_began_ = tools_.clock.Now();
  if (export_ != nullptr) ExportCached(first);
  return OkStatus();
}

void Seat::ExportCached(int until) {
  int from = until;
  for (const kv::ExportTarget& target : spec_.kv_targets) from = std::min(from, target.first_token);
  const kv::PageTable& pages = tools_.engine.Find(slot_)->pages();
  const int step = stage_->stage().options().chunk_tokens_max;
  const LayerRange layers = spec_.self().layers;
  for (int first = from; first < until; first += step) {
    for (int layer = layers.first; layer < layers.last; ++layer)
      export_->OnWritten(layer, first, std::min(step, until - first), pages);
  }
}

void Seat::SubmitChunks() {
  const int window =
      spec_.pipeline.size() == 1 ? 1 : static_cast<int>(spec_.pipeline.size()) + kChunksAhead;
  while (next_chunk_ < prompt_tokens() && chunks_in_flight_ < window) {
    const int count = std::min(ChunkTokens(), prompt_tokens() - next_chunk_);
    const auto begin = spec_.tokens.begin() + next_chunk_;
    SubmitRun(next_chunk_, {begin, begin + count}, {}, count);
    next_chunk_ += count;
    ++chunks_in_flight_;
  }
}

void Seat::SubmitRun(int first, std::vector<TokenId> tokens, std::vector<float> rows, int count) {
  const bool of_prompt = first < prompt_tokens();
  engine::Step step;
  step.layers = spec_.self().layers;
  step.first_position = first;
  step.tokens = std::move(tokens);
  step.activations = std::move(rows);
  step.want_logits = spec_.last() && first + count >= prompt_tokens();
  const bool importing = import_ != nullptr && !import_->Complete();
  if (importing || (export_ != nullptr && of_prompt)) {
    const auto pages = [&engine = tools_.engine, slot = slot_]() -> const kv::PageTable& {
      return engine.Find(slot)->pages();
    };
    step.hooks =
        std::make_shared<Hooks>(importing ? import_ : nullptr, export_, first, count, pages);
  }
  if (importing) step.readiness = [self = shared_from_this()] { return self->ImportReadiness(); };
  step.done = [self = shared_from_this(), first, count](Result<engine::StageOutput> output) {
    self->OnRunDone(first, count, std::move(output));
  };
  tools_.engine.Submit(slot_, std::move(step));
}

// Waiting inside the engine costs other sequences time, so it is done only for the last chunk.
engine::Readiness Seat::ImportReadiness() const {
  if (import_->Complete() || import_->failed()) return engine::Readiness::kNow;
  return import_->MissingTokens() <= stage_->stage().options().chunk_tokens_max
             ? engine::Readiness::kIfIdle
             : engine::Readiness::kLater;
}

void Seat::OnRunDone(int first, int count, Result<engine::StageOutput> output) {
  if (closed_) return;
  if (!output.ok()) return Fail(output.error());
  const int end = first + count;
  const bool of_prompt = first < prompt_tokens();
  if (of_prompt && end == prompt_tokens()) OnPromptDone();
  if (!spec_.last()) {
    PassOn(first, count, output->activations);
  } else if (end >= prompt_tokens()) {
    Draw(end, output->logits);
  }
  if (closed_ || !of_prompt) return;
  if (spec_.pipeline.size() == 1) {
    OnCredit();
  } else if (spec_.last()) {
    ClusterMessage message;
    *message.mutable_credit()->mutable_key() = ToProto(spec_.key);
    message.mutable_credit()->set_role(spec_.role);
    tools_.courier.Send(spec_.pipeline.front().node, message);
  }
}

void Seat::OnCredit() {
  if (closed_ || !spec_.first() || chunks_in_flight_ == 0) return;
  --chunks_in_flight_;
  SubmitChunks();
}

uint64_t Seat::PrefixAt(int token) const {
  return (*prefixes_)[static_cast<size_t>(std::min(token, prompt_tokens()))];
}

void Seat::PassOn(int first, int count, std::span<const float> rows) {
  const PipelineStage& next = spec_.pipeline[spec_.stage + 1];
  Bytes frame = wire::EncodeActivation({.request = spec_.key.request,
                                        .epoch = spec_.key.epoch,
                                        .layer = next.layers.first,
                                        .first_token = first,
                                        .token_count = count,
                                        .width = model_->spec().hidden_width,
                                        .last_of_prompt = first + count == prompt_tokens(),
                                        .prefix_before = PrefixAt(first),
                                        .prefix_after = PrefixAt(first + count)},
                                       rows);
  tools_.courier.SendFrame(next.node, wire::FrameType::kActivation, std::move(frame),
                           FailUnlessSent());
}

void Seat::OnActivation(const wire::ActivationHeader& header, std::vector<float> rows) {
  if (closed_ || spec_.first()) return;
  const bool fits = header.layer == spec_.self().layers.first &&
                    header.width == model_->spec().hidden_width &&
                    header.prefix_before == PrefixAt(header.first_token) &&
                    header.prefix_after == PrefixAt(header.first_token + header.token_count);
  if (!fits)
    return Fail(MakeError(Code::kDataLoss, "activations of layer {}, tokens {} + {}, do not belong",
                          header.layer, header.first_token, header.token_count));
  const bool of_prompt = header.first_token < prompt_tokens();
  if (of_prompt && prompt_from_ < 0) {
    const Status ready = BeginPrompt(header.first_token);
    if (!ready.ok()) return Fail(ready.error());
  }
  const Status room = MakeRoom(header.first_token + header.token_count);
  if (!room.ok()) return Fail(room.error());
  // A drawing stage must know the token first, for its penalties; it comes over another link.
  const bool token_unknown =
      !of_prompt && spec_.last() && static_cast<int>(history_.size()) <= header.first_token;
  if (token_unknown) {
    early_row_ = {header.first_token, std::move(rows)};
    return;
  }
  SubmitRun(header.first_token, {}, std::move(rows), header.token_count);
}

Status Seat::MakeRoom(int tokens) {
  const int capacity = tools_.engine.Find(slot_)->capacity();
  if (tokens <= capacity) return OkStatus();
  const int most = prompt_tokens() + spec_.tokens_left;
  return tools_.engine.Reserve(slot_, std::max(tokens, std::min(most, tokens + kRoomAhead)));
}

void Seat::OnPromptDone() {
  prompt_s_ = os::SecondsBetween(prompt_began_, tools_.clock.Now());
  if (export_ != nullptr) return export_->OnPrefillEnd();  // its report comes when all is sent
  Report({});
}

void Seat::OnExportDone(const Result<kv::ExportStats>& stats) {
  if (closed_) return;
  if (!stats.ok()) return Fail(stats.error());
  Report(*stats);
}

void Seat::Report(const kv::ExportStats& stats) {
  ClusterMessage message;
  PrefillReport& report = *message.mutable_prefill_report();
  *report.mutable_key() = ToProto(spec_.key);
  report.set_stage(static_cast<int>(spec_.stage));
  report.set_prefill_s(prompt_s_);
  report.set_computed_tokens(prompt_tokens() - prompt_from_);
  report.set_kv_bytes(stats.payload_bytes);
  report.set_kv_bytes_sent_by_end(stats.sent_by_prefill_end_bytes);
  report.set_kv_chunks(stats.chunks);
  report.set_kv_sending_s(stats.sending_s);
  tools_.courier.Send(spec_.entry, message);
}

void Seat::Draw(int position, std::span<const float> logits) {
  const auto sampled =
      engine::Sample(logits, spec_.sampling, history_, static_cast<uint64_t>(position));
  if (!sampled.ok()) return Fail(sampled.error());
  SequenceToken token;
  *token.mutable_key() = ToProto(spec_.key);
  token.set_position(position);
  token.set_token(sampled->token);
  token.set_logprob(sampled->logprob);
  for (const engine::TokenLogprob& other : sampled->top) {
    token.add_top()->set_token(other.token);
    token.mutable_top()->rbegin()->set_logprob(other.logprob);
  }
  const bool ends = model_->tokenizer().IsEndOfGeneration(sampled->token) && !spec_.ignore_end;
  const bool out_of_tokens = position + 1 - prompt_tokens() >= spec_.tokens_left;
  token.set_finish(ends            ? SequenceToken::END
                   : out_of_tokens ? SequenceToken::LENGTH
                                   : SequenceToken::NONE);
  Announce(token);
}

// To the entry always; to those who need it for the next step, unless there is none.
void Seat::Announce(const SequenceToken& token) {
  ClusterMessage message;
  *message.mutable_token() = token;
  tools_.courier.Send(spec_.entry, message, FailUnlessSent());
  if (token.finish() != SequenceToken::NONE) return;
  const Pipeline& decode = spec_.role == DECODE ? spec_.pipeline : spec_.decode_by;
  if (spec_.role == DECODE && decode.size() == 1) return OnToken(token.position(), token.token());
  if (spec_.role == DECODE) history_.push_back(token.token());
  // The entry reads every token message as a drawn one, so the copies are marked as what they are.
  message.mutable_token()->set_to_run(true);
  tools_.courier.Send(decode.front().node, message, FailUnlessSent());
  if (spec_.role == PREFILL && decode.size() > 1)
    tools_.courier.Send(decode.back().node, message, FailUnlessSent());
}

void Seat::OnToken(int position, TokenId token) {
  if (closed_ || spec_.role != DECODE) return;
  if (static_cast<int>(history_.size()) == position) history_.push_back(token);
  if (spec_.first()) return RunToken(position, token);
  if (early_row_ && early_row_->first == position) {
    SubmitRun(position, {}, std::move(early_row_->second), 1);
    early_row_.reset();
  }
}

void Seat::RunToken(int position, TokenId token) {
  if (position != next_decode_) return;  // a repetition, or out of order: the entry will notice
  const Status room = MakeRoom(position + 1);
  if (!room.ok()) return Fail(room.error());
  ++next_decode_;
  SubmitRun(position, {token}, {}, 1);
}

net::OnSent Seat::FailUnlessSent() {
  return [weak = weak_from_this()](const Status& sent) {
    if (sent.ok()) return;
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->tools_.engine.Post([self, error = sent.error()] { self->Fail(error); });
  };
}

void Seat::Fail(const Error& error) {
  if (closed_) return;
  ClusterMessage message;
  SequenceFailed& failed = *message.mutable_failed();
  *failed.mutable_key() = ToProto(spec_.key);
  failed.set_role(spec_.role);
  failed.set_stage(static_cast<int>(spec_.stage));
  failed.set_code(static_cast<uint32_t>(error.code()));
  failed.set_message(error.message());
  tools_.courier.Send(spec_.entry, message);
  AbortKv(error);
  Close({});
}

// Tells the other side of the KV stream, explicitly.
void Seat::AbortKv(const Error& error) {
  ClusterMessage message;
  KvAbort& abort = *message.mutable_kv_abort();
  *abort.mutable_key() = ToProto(spec_.key);
  abort.set_code(static_cast<uint32_t>(error.code()));
  abort.set_message(error.message());
  if (import_ != nullptr && !import_->Complete()) {
    for (const PipelineStage& stage : spec_.prefill_by) tools_.courier.Send(stage.node, message);
  }
  for (const kv::ExportTarget& target : spec_.kv_targets) tools_.courier.Send(target.node, message);
}

void Seat::Close(std::span<const TokenId> generated) {
  if (closed_) return;
  closed_ = true;
  if (export_ != nullptr) export_->Abort(Error(Code::kCancelled, "the sequence is closed"));
  if (import_ != nullptr) import_->Fail(Error(Code::kCancelled, "the sequence is closed"));
  const kv::Sequence* sequence = tools_.engine.Find(slot_);
  if (sequence == nullptr) return;
  const bool partial = import_ != nullptr && !import_->Complete();
  const int valid = partial ? import_->ValidTokens() : sequence->length();
  std::vector<TokenId> tokens = spec_.tokens;
  tokens.insert(tokens.end(), generated.begin(), generated.end());
  tools_.engine.Close(slot_, HashesOf(*model_, prompt_tokens(), tokens), valid);
}

}  // namespace baton::cluster
