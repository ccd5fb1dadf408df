// Request: one request at the node that its client is connected to. The entry owns the prompt, the
// tokens so far and the sampler's state; stages own nothing that cannot be computed again. So every
// fault has one cure: close the attempt, find a route among what is left, and open the next attempt
// with the tokens so far as its prompt. Prefix caches keep what was valid.
//
//   waiting --route--> opening decode --grants--> (opening prefill --grants-->) running
//           --last token--> reporting (for what the stages measured, briefly) --> done
//
// I/O thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cluster/cluster.h"
#include "cluster/convert.h"
#include "cluster/courier.h"
#include "kv/prefix_cache.h"

namespace baton::cluster {

// Where the next attempt goes.
struct Route {
  InstanceId instance;
  uint64_t instance_epoch = 0;
  Pipeline decode;
  Pipeline prefill;               // empty: the decode group computes prompts itself
  bool always_remote = false;     // the owner placed prefill by hand
  KvType kv_type = KvType::kF16;  // on the wire
  double prefill_s = 1;           // predicted for the workload's prompt
  int workload_prompt_tokens = 1;
};

// What a request needs of its surroundings.
class RequestHost {
 public:
  virtual ~RequestHost() = default;
  virtual Courier& courier() = 0;
  virtual const os::Clock& clock() = 0;
  // A route now, to an instance whose requests may have `tokens`, for a prompt with these hashes;
  // kUnavailable while none is ready but one may come, kResourceExhausted while all are full.
  virtual Result<Route> FindRoute(const std::string& fingerprint, int tokens,
                                  const kv::PrefixHashes& prompt) = 0;
  // Is handing over worth it, with so many tokens of the prompt missing on either group?
  virtual bool PreferRemote(const Route& route, int uncached_on_decode,
                            int uncached_on_prefill) = 0;
  // The request has ended. It is deleted later, from the loop: its own code may be on the stack.
  virtual void OnFinished(RequestId id) = 0;
};

class Request {
 public:
  Request(RequestHost& host, RequestId id, GenerateRequest what, std::string fingerprint,
          int context_length, RequestEvents events);

  // Tries to find a route if it waits for one; notices deadlines. Called at once and at every tick.
  void Advance();
  void OnGrant(const NodeId& from, const SequenceGrant& grant);
  void OnToken(const NodeId& from, const SequenceToken& token);
  void OnFailed(const NodeId& from, const SequenceFailed& failed);
  void OnReport(const NodeId& from, const PrefillReport& report);
  void OnPeerDown(const NodeId& peer, const Error& reason);
  // Nothing can be done for it any more.
  void EndWith(const Error& error);
  // The client has enough.
  void EndEarly();
  // The client went away: nothing more is told to it.
  void Cancel();

  bool waiting() const { return state_ == State::kWaiting; }
  // Holds pages somewhere: counts against its instance's slots.
  bool holds_slot() const { return state_ != State::kWaiting && state_ != State::kDone; }
  const Route& route() const { return route_; }
  // The hashes of all tokens so far.
  kv::PrefixHashes Prefixes() const { return kv::HashPrefixes(fingerprint_, Tokens()); }

 private:
  enum class State { kWaiting, kOpeningDecode, kOpeningPrefill, kRunning, kReporting, kDone };

  bool IsCurrent(const pb::SequenceKey& key) const;
  std::vector<TokenId> Tokens() const;
  void OpenDecode();
  void OnDecodeOpen();
  void OpenPrefill();
  void StartPrompt(Role role, const std::vector<int>& cached);
  SequenceOpen NewOpen(Role role, const Pipeline& pipeline, size_t stage) const;
  void Deliver(const SequenceToken& token);
  void CloseAttempt();
  void Retry(const Error& reason);
  void Finish(FinishReason reason);
  void Conclude();
  void SetDeadline(double seconds);

  RequestHost& host_;
  const RequestId id_;
  const GenerateRequest what_;
  const std::string fingerprint_;
  const int tokens_most_;  // of the answer
  RequestEvents events_;
  kv::PrefixHashes prefixes_;    // of what the next attempt has for its prompt
  bool waits_for_slot_ = false;  // after a fault

  State state_ = State::kWaiting;
  Route route_;
  uint32_t epoch_ = 0;
  bool remote_ = false;
  os::TimePoint submitted_;
  os::TimePoint deadline_;
  std::vector<int> decode_cached_;  // per stage, -1 until granted
  std::vector<int> prefill_cached_;
  std::vector<TokenId> answer_;
  size_t reports_missing_ = 0;
  FinishReason finish_ = FinishReason::kStop;
  std::map<int, SequenceToken> early_;  // drawn on another node, overtook their predecessors
  std::optional<Error> last_fault_;
  os::TimePoint first_token_at_{};
  os::TimePoint last_token_at_{};
  RequestStats stats_;
};

}  // namespace baton::cluster
