// Import: the receiving end of a KV stream for one sequence on one decode stage.
//
// Made when pages are granted; chunks come in on the ingest thread, the engine waits per layer, and
// the I/O thread may end it at any time. Once it has failed or was closed nothing writes to the
// pages any more: every write happens under the same lock that says so.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "kv/chunk.h"
#include "kv/prefix_cache.h"
#include "kv/sequence.h"
#include "os/clock.h"

namespace baton::kv {

// What was granted, and to whom.
struct Grant {
  SequenceKey key;
  LayerRange layers;        // of this stage
  int32_t first_token = 0;  // what the prefix cache does not hold
  int32_t token_count = 0;  // of the whole prompt
  KvType dtype = KvType::kF16;
  PrefixHashes prefix_hashes;  // of the whole prompt
  os::Duration patience{};     // without progress for longer, the lease ends
};

class Import {
 public:
  // `pages` are those of the sequence that awaits the prompt, with room for all of it; held until
  // the import has ended. `pool` lives at least as long as `keep_alive` does.
  Import(Grant grant, const PagePool& pool, std::shared_ptr<const void> keep_alive, PageTable pages,
         const os::Clock& clock);

  // Ingest thread. A fault ends the import; the error says what was wrong.
  Status OnChunk(std::span<const uint8_t> frame) BATON_EXCLUDES(mutex_);
  Status OnSeal(std::span<const uint8_t> frame) BATON_EXCLUDES(mutex_);

  // Engine thread: returns once `layer` is sealed, or why it never will be; kDeadlineExceeded when
  // nothing has come for the grant's patience.
  Status WaitForLayer(int layer) BATON_EXCLUDES(mutex_);
  // Any thread: are all layers sealed?
  bool Complete() const BATON_EXCLUDES(mutex_);
  // Any thread: ends the import and wakes whoever waits. The first reason stays.
  void Fail(const Error& reason) BATON_EXCLUDES(mutex_);
  // Any thread: fails it if nothing has come for the grant's patience.
  void FailIfStalled() BATON_EXCLUDES(mutex_);
  bool failed() const BATON_EXCLUDES(mutex_);

  // Tokens of the prompt whose KV is valid in every layer of this stage, so that the sequence can
  // go on behind them.
  int32_t ValidTokens() const BATON_EXCLUDES(mutex_);
  // Any thread: how many tokens the layer that is furthest behind still waits for.
  int32_t MissingTokens() const BATON_EXCLUDES(mutex_);
  // The first token that layers with a window will hold; grant().first_token if none is left out.
  int32_t window_from() const;
  uint64_t received_bytes() const BATON_EXCLUDES(mutex_);
  const Grant& grant() const { return grant_; }

 private:
  Status Accept(const Chunk& chunk) BATON_REQUIRES(mutex_);
  int32_t FirstOf(int layer) const;
  int32_t& ProgressOf(int layer) BATON_REQUIRES(mutex_);
  void FailLocked(const Error& reason) BATON_REQUIRES(mutex_);
  bool CompleteLocked() const BATON_REQUIRES(mutex_);

  const Grant grant_;
  const std::shared_ptr<const void> keep_alive_;
  const PagePool& pool_;
  const os::Clock& clock_;

  mutable Mutex mutex_;
  CondVar progressed_;
  PageTable pages_ BATON_GUARDED_BY(mutex_);
  std::vector<int32_t> arrived_ BATON_GUARDED_BY(mutex_);  // per layer: where the next one begins
  std::optional<Error> failure_ BATON_GUARDED_BY(mutex_);
  os::TimePoint last_progress_ BATON_GUARDED_BY(mutex_);
  uint64_t received_bytes_ BATON_GUARDED_BY(mutex_) = 0;
  uint32_t received_chunks_ BATON_GUARDED_BY(mutex_) = 0;
};

}  // namespace baton::kv
