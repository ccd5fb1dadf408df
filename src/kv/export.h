// Export: the sending end of the KV stream. The engine says which K and V have just come to be; a
// thread of its own turns them into chunks and sends them while the engine computes on. The pages
// themselves are the buffer: what the link cannot take yet waits there and not in a copy.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/timeline.h"
#include "kv/chunk.h"
#include "kv/prefix_cache.h"
#include "kv/sequence.h"
#include "net/connection.h"
#include "os/clock.h"

namespace baton::kv {

// Where some layers of a prompt go.
struct ExportTarget {
  NodeId node;
  LayerRange layers;        // those of ours that it wants
  int32_t first_token = 0;  // what it has already ends here
  KvType dtype = KvType::kF16;
};

// Bytes given away and not yet taken by the kernel. Shared with the callbacks of what is under way,
// which may outlive the exporter.
class SendWindow {
 public:
  // Waits until `bytes` more may go; at once if nothing is under way. False once closed.
  bool Take(size_t bytes) BATON_EXCLUDES(mutex_);
  void Give(size_t bytes) BATON_EXCLUDES(mutex_);
  void Close() BATON_EXCLUDES(mutex_);

 private:
  static constexpr size_t kBytesMax = 16 << 20;
  Mutex mutex_;
  CondVar changed_;
  size_t in_flight_bytes_ BATON_GUARDED_BY(mutex_) = 0;
  bool closed_ BATON_GUARDED_BY(mutex_) = false;
};

// What was sent, and how much of it while the prompt was still being computed.
struct ExportStats {
  uint64_t payload_bytes = 0;
  uint64_t sent_by_prefill_end_bytes = 0;
  uint32_t chunks = 0;
  double sending_s = 0;  // from the first chunk's start to the last one's end
};

class Exporter;

// The stream of one sequence from one prefill stage. Shared by the engine and the exporter.
class ExportStream : public std::enable_shared_from_this<ExportStream> {
 public:
  // `done` is called once, on the I/O thread or the exporter's: with the stats when the last byte
  // and the seal have gone to the kernel, or with what went wrong.
  using Done = std::function<void(Result<ExportStats>)>;

  // `pool` lives at least as long as `keep_alive` does.
  ExportStream(Exporter& exporter, SequenceKey key, const PagePool& pool,
               std::shared_ptr<const void> keep_alive, LayerRange layers,
               std::vector<ExportTarget> targets, PrefixHashes prefixes, int32_t token_count,
               Done done);

  // Engine thread: K and V of tokens [first, first + count) of `layer` are in `pages`.
  void OnWritten(int layer, int first, int count, const PageTable& pages);
  // Engine thread: the prompt is computed.
  void OnPrefillEnd();
  // Any thread: sends nothing more, `done` is told `reason` if it was not called yet.
  void Abort(const Error& reason);

 private:
  friend class Exporter;
  struct Slab {
    int layer;
    int first;
    int count;
    PageTable pages;  // from the one that holds token `first` on, and of them the layer's part
  };
  bool Wanted(int layer, int end) const;
  void OnSent(const Status& sent, size_t payload_bytes, bool is_seal);
  void Finish(Result<ExportStats> result);

  Exporter& exporter_;  // for the engine's thread and the exporter's own
  const os::Clock& clock_;
  const SequenceKey key_;
  const std::shared_ptr<const void> keep_alive_;
  const PagePool& pool_;
  const LayerRange layers_;
  const std::vector<ExportTarget> targets_;
  const PrefixHashes prefixes_;
  const int32_t token_count_;

  std::atomic<bool> aborted_{false};
  std::atomic<uint64_t> sent_bytes_{0};
  std::atomic<uint64_t> sent_by_prefill_end_{0};
  std::atomic<bool> prefill_ended_{false};
  Mutex mutex_;
  Done done_ BATON_GUARDED_BY(mutex_);
  size_t seals_sent_ BATON_GUARDED_BY(mutex_) = 0;
  // Exporter's thread only:
  std::vector<int32_t> layer_end_;  // per layer: tokens handed over so far
  std::vector<uint64_t> target_bytes_;
  std::vector<uint32_t> target_chunks_;
  os::TimePoint began_{};
};

// The thread that packs and sends, one per node. Outlives its streams' use.
class Exporter {
 public:
  using Send =
      std::function<void(const NodeId&, wire::FrameType, Bytes payload, net::OnSent on_sent)>;
  // `timeline`, if any, is told of every chunk.
  Exporter(Send send, const os::Clock& clock, std::shared_ptr<Timeline> timeline = nullptr);
  ~Exporter();

 private:
  friend class ExportStream;
  struct Job {
    std::shared_ptr<ExportStream> stream;  // outlives the pages below: declared first
    ExportStream::Slab slab;
  };
  void Enqueue(Job job) BATON_EXCLUDES(mutex_);
  void Loop();
  void Run(Job& job);
  void SendSlab(ExportStream& stream, const ExportStream::Slab& slab, size_t target);
  void SendSeals(ExportStream& stream);

  const Send send_;
  const os::Clock& clock_;
  const std::shared_ptr<Timeline> timeline_;  // shared with what is under way
  const std::shared_ptr<SendWindow> window_ = std::make_shared<SendWindow>();
  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ BATON_GUARDED_BY(mutex_);
  bool stopping_ BATON_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace baton::kv
