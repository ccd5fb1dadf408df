// Seat: one sequence at one stage of this node, in one role.
//
// A prefill seat computes the prompt chunk by chunk, passes activations on, streams K and V to the
// decode group the moment they exist, and at the last stage draws the first token. A decode seat
// turns each token into the next one, waiting inside the engine for layers that still arrive; it
// computes the prompt itself where no other group does. It knows nothing of retries: a fault ends
// it, and the entry node opens another with a higher epoch.
//
// Lives on the engine's thread, except where noted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/convert.h"
#include "cluster/courier.h"
#include "engine/engine.h"
#include "kv/export.h"
#include "kv/import.h"
#include "wire/activation.h"

namespace baton::cluster {

// What a SequenceOpen says, checked.
struct SeatSpec {
  kv::SequenceKey key;
  Role role = DECODE;
  NodeId entry;
  size_t stage = 0;
  Pipeline pipeline;    // of this seat's role
  Pipeline prefill_by;  // decode role: who else computes the prompt; empty: this pipeline itself
  Pipeline decode_by;   // prefill role
  std::vector<kv::ExportTarget> kv_targets;  // prefill role
  KvType kv_dtype = KvType::kF16;
  std::vector<TokenId> tokens;
  int tokens_left = 0;
  bool ignore_end = false;
  engine::SamplingParams sampling;
  os::Duration patience{};

  const PipelineStage& self() const { return pipeline[stage]; }
  bool first() const { return stage == 0; }
  bool last() const { return stage + 1 == pipeline.size(); }
  bool waits_for_kv() const { return role == DECODE && !prefill_by.empty(); }
};
Result<SeatSpec> SpecFromProto(const SequenceOpen& open, const NodeId& from, const NodeId& self,
                               const ModelSpec& model);

// What a seat works with. All outlive it.
struct SeatTools {
  engine::Engine& engine;
  kv::Exporter& exporter;
  Courier& courier;
  const os::Clock& clock;
};

class Seat : public std::enable_shared_from_this<Seat> {
 public:
  Seat(SeatTools tools, SeatSpec spec, std::shared_ptr<engine::LoadedStage> stage,
       std::shared_ptr<const Model> model);
  ~Seat();

  const SeatSpec& spec() const { return spec_; }  // any thread

  // Takes pages and says so to the entry. The import, if the prompt comes from elsewhere, is handed
  // to `publish` before the grant leaves, so that no chunk can come too early.
  void Open(const std::function<void(std::shared_ptr<kv::Import>)>& publish);
  // First stage of the group that computes the prompt: from here on. To a decode group that was
  // promised KV from elsewhere it says that none will come.
  void Start(int first_token);
  // Decode, first stage: the token at `position` is to be run.
  void OnToken(int position, TokenId token);
  // Rows from the stage before.
  void OnActivation(const wire::ActivationHeader& header, std::vector<float> rows);
  void OnCredit();
  // Ends it; what is valid goes to the prefix cache under its tokens' hashes.
  void Close(std::span<const TokenId> generated);
  // Ends it and tells the entry why.
  void Fail(const Error& error);

 private:
  class Hooks;

  int prompt_tokens() const { return static_cast<int>(spec_.tokens.size()); }
  int ChunkTokens() const;
  uint64_t PrefixAt(int token) const;
  Status BeginPrompt(int first);
  void ExportCached(int until);
  void SubmitChunks();
  void SubmitRun(int first, std::vector<TokenId> tokens, std::vector<float> rows, int count);
  engine::Readiness ImportReadiness() const;
  void OnRunDone(int first, int count, Result<engine::StageOutput> output);
  void PassOn(int first, int count, std::span<const float> rows);
  Status MakeRoom(int tokens);
  void OnPromptDone();
  void OnExportDone(const Result<kv::ExportStats>& stats);
  void Report(const kv::ExportStats& stats);
  void Draw(int position, std::span<const float> logits);
  void Announce(const SequenceToken& token);
  void RunToken(int position, TokenId token);
  void AbortKv(const Error& error);
  // For messages without which the sequence cannot go on.
  net::OnSent FailUnlessSent();

  const SeatTools tools_;
  const SeatSpec spec_;
  const std::shared_ptr<engine::LoadedStage> stage_;
  const std::shared_ptr<const Model> model_;
  const kv::PrefixHashes prefixes_;
  engine::SlotId slot_ = 0;
  bool closed_ = false;
  int cached_tokens_ = 0;
  std::shared_ptr<kv::Import> import_;
  std::shared_ptr<kv::ExportStream> export_;

  // The prompt, where this seat computes it.
  int prompt_from_ = -1;  // first token computed here, -1 before that is known
  os::TimePoint prompt_began_{};
  double prompt_s_ = 0;
  int next_chunk_ = 0;        // first stage: where the next chunk begins
  int chunks_in_flight_ = 0;  // first stage: not yet through the last one

  // The answer.
  std::vector<TokenId> history_;  // prompt and what this stage knows of the answer
  int next_decode_ = 0;           // first stage: position of the next token to run
  std::optional<std::pair<int, std::vector<float>>> early_row_;  // waits for its token
};

}  // namespace baton::cluster
