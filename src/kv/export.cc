#include "kv/export.h"

#include <algorithm>

#include "kv/transfer.h"
#include "os/system.h"

namespace baton::kv {

using wire::FrameType;

namespace {

// The pages of tokens [first, first + count), and of each the part that `layer` lies in: a page
// that waits here does not keep the other part from the pool.
PageTable PartsOf(const PagePool& pool, const PageTable& pages, int layer, int first, int count) {
  PageTable parts;
  const bool full = pool.KindOf(layer) == LayerKind::kFull;
  for (int i = first / kPageTokens; i < PagesFor(first + count); ++i) {
    const Page& page = pages[static_cast<size_t>(i)];
    parts.push_back(full ? Page{page.full, nullptr} : Page{nullptr, page.windowed});
  }
  return parts;
}

}  // namespace

ExportStream::ExportStream(Exporter& exporter, SequenceKey key, const PagePool& pool,
                           std::shared_ptr<const void> keep_alive, LayerRange layers,
                           std::vector<ExportTarget> targets, PrefixHashes prefixes,
                           int32_t token_count, Done done)
    : exporter_(exporter),
      clock_(exporter.clock_),
      key_(key),
      keep_alive_(std::move(keep_alive)),
      pool_(pool),
      layers_(layers),
      targets_(std::move(targets)),
      prefixes_(std::move(prefixes)),
      token_count_(token_count),
      done_(std::move(done)),
      layer_end_(static_cast<size_t>(layers.size()), 0),
      target_bytes_(targets_.size(), 0),
      target_chunks_(targets_.size(), 0) {}

void ExportStream::OnWritten(int layer, int first, int count, const PageTable& pages) {
  if (aborted_) return;
  Slab slab{layer, first, count, {}};
  if (Wanted(layer, first + count)) slab.pages = PartsOf(pool_, pages, layer, first, count);
  exporter_.Enqueue({shared_from_this(), std::move(slab)});
}

// Does a target want tokens of this layer before `end`?
bool ExportStream::Wanted(int layer, int end) const {
  const int wanted = FirstWanted(token_count_, pool_.WindowOf(layer));
  return std::any_of(targets_.begin(), targets_.end(), [&](const ExportTarget& to) {
    return to.layers.Contains(layer) && std::max(to.first_token, wanted) < end;
  });
}

void ExportStream::OnPrefillEnd() {
  sent_by_prefill_end_ = sent_bytes_.load();
  prefill_ended_ = true;
}

void ExportStream::Abort(const Error& reason) {
  aborted_ = true;
  Finish(reason);
}

void ExportStream::OnSent(const Status& sent, size_t payload_bytes, bool is_seal) {
  if (!sent.ok()) return Abort(sent.error());
  sent_bytes_ += payload_bytes;
  if (!is_seal) return;
  {
    MutexLock lock(mutex_);
    if (++seals_sent_ < targets_.size()) return;
  }
  ExportStats stats;
  stats.payload_bytes = sent_bytes_;
  // K and V of the last layer exist before its attention is computed: all may be gone by then.
  stats.sent_by_prefill_end_bytes =
      prefill_ended_ ? sent_by_prefill_end_.load() : sent_bytes_.load();
  for (const uint32_t chunks : target_chunks_) stats.chunks += chunks;
  stats.sending_s = os::SecondsBetween(began_, clock_.Now());
  Finish(stats);
}

void ExportStream::Finish(Result<ExportStats> result) {
  Done done;
  {
    MutexLock lock(mutex_);
    done = std::exchange(done_, nullptr);
  }
  if (done) done(std::move(result));
}

Exporter::Exporter(Send send, const os::Clock& clock, std::shared_ptr<Timeline> timeline)
    : send_(std::move(send)),
      clock_(clock),
      timeline_(std::move(timeline)),
      thread_([this] { Loop(); }) {}

Exporter::~Exporter() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  window_->Close();
  thread_.join();
}

void Exporter::Enqueue(Job job) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    jobs_.push_back(std::move(job));
  }
  changed_.NotifyAll();
}

void Exporter::Loop() {
  os::NameThisThread("kv-export");
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && jobs_.empty()) changed_.Wait(mutex_);
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    if (!job.stream->aborted_) Run(job);
  }
}

void Exporter::Run(Job& job) {
  ExportStream& stream = *job.stream;
  ExportStream::Slab& slab = job.slab;
  if (stream.began_ == os::TimePoint{}) stream.began_ = clock_.Now();
  for (size_t target = 0; target < stream.targets_.size(); ++target) SendSlab(stream, slab, target);
  int32_t& end = stream.layer_end_[static_cast<size_t>(slab.layer - stream.layers_.first)];
  end = std::max(end, slab.first + slab.count);
  const bool all = std::all_of(stream.layer_end_.begin(), stream.layer_end_.end(),
                               [&](int32_t e) { return e >= stream.token_count_; });
  if (all && !stream.aborted_) SendSeals(stream);
}

void Exporter::SendSlab(ExportStream& stream, const ExportStream::Slab& slab, size_t target) {
  const ExportTarget& to = stream.targets_[target];
  const int wanted = FirstWanted(stream.token_count_, stream.pool_.WindowOf(slab.layer));
  const int first = std::max({slab.first, to.first_token, wanted});
  const int end = slab.first + slab.count;
  if (!to.layers.Contains(slab.layer) || first >= end || stream.aborted_) return;
  const std::vector<uint64_t>& hashes = *stream.prefixes_;
  ChunkBuilder chunk({.key = stream.key_,
                      .layer = slab.layer,
                      .first_token = first,
                      .token_count = end - first,
                      .shape = stream.pool_.shape(),
                      .dtype = to.dtype,
                      .last_of_layer = end == stream.token_count_,
                      .prefix_before = hashes[static_cast<size_t>(first)],
                      .prefix_after = hashes[static_cast<size_t>(end)]});
  const int within = first - slab.first / kPageTokens * kPageTokens;
  const Status exported = ExportKvInto(stream.pool_, slab.pages, {slab.layer, within, end - first},
                                       to.dtype, chunk.payload());
  if (!exported.ok()) return stream.Abort(exported.error());
  const size_t bytes = chunk.payload().size();
  stream.target_bytes_[target] += bytes;
  ++stream.target_chunks_[target];
  if (!window_->Take(bytes)) return;
  TimelineEvent event{.activity = Activity::kKvSend,
                      .begin = clock_.Now(),
                      .layers = {slab.layer, slab.layer + 1},
                      .first_token = first,
                      .tokens = end - first,
                      .to = to.node,
                      .bytes = bytes};
  send_(to.node, FrameType::kKvChunk, std::move(chunk).Finish(),
        [bytes, event, timeline = timeline_, window = window_,
         shared = stream.shared_from_this()](const Status& sent) mutable {
          window->Give(bytes);
          event.end = shared->clock_.Now();
          if (timeline != nullptr) timeline->Add(event);
          shared->OnSent(sent, bytes, /*is_seal=*/false);
        });
}

void Exporter::SendSeals(ExportStream& stream) {
  for (size_t target = 0; target < stream.targets_.size(); ++target) {
    const Seal seal{.key = stream.key_,
                    .layers = stream.targets_[target].layers,
                    .token_count = stream.token_count_,
                    .prefix_hash = stream.prefixes_->back(),
                    .chunk_count = stream.target_chunks_[target],
                    .payload_bytes = stream.target_bytes_[target]};
    send_(stream.targets_[target].node, FrameType::kKvSeal, EncodeSeal(seal),
          [shared = stream.shared_from_this()](const Status& sent) {
            shared->OnSent(sent, 0, /*is_seal=*/true);
          });
  }
}

bool SendWindow::Take(size_t bytes) {
  MutexLock lock(mutex_);
  while (!closed_ && in_flight_bytes_ > 0 && in_flight_bytes_ + bytes > kBytesMax)
    changed_.Wait(mutex_);
  in_flight_bytes_ += bytes;
  return !closed_;
}

void SendWindow::Give(size_t bytes) {
  {
    MutexLock lock(mutex_);
    in_flight_bytes_ -= bytes;
  }
  changed_.NotifyAll();
}

void SendWindow::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.NotifyAll();
}

}  // namespace baton::kv
