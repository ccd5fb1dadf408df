#include "kv/import.h"

#include <algorithm>

#include "kv/transfer.h"

namespace baton::kv {

Import::Import(Grant grant, const PagePool& pool, std::shared_ptr<const void> keep_alive,
               PageTable pages, const os::Clock& clock)
    : grant_(std::move(grant)),
      keep_alive_(std::move(keep_alive)),
      pool_(pool),
      clock_(clock),
      pages_(std::move(pages)),
      last_progress_(clock.Now()) {
  CHECK(grant_.prefix_hashes->size() == static_cast<size_t>(grant_.token_count) + 1);
  for (int layer = grant_.layers.first; layer < grant_.layers.last; ++layer)
    arrived_.push_back(FirstOf(layer));
}

// What comes before it is here already, or nobody will see it.
int32_t Import::FirstOf(int layer) const {
  return std::max(grant_.first_token, FirstWanted(grant_.token_count, pool_.WindowOf(layer)));
}

int32_t Import::window_from() const {
  const int window = pool_.window_max();
  if (window == 0) return grant_.first_token;
  return std::max(grant_.first_token, FirstWanted(grant_.token_count, window));
}

int32_t& Import::ProgressOf(int layer) {
  return arrived_[static_cast<size_t>(layer - grant_.layers.first)];
}

Status Import::OnChunk(std::span<const uint8_t> frame) {
  const auto chunk = DecodeChunk(frame);
  MutexLock lock(mutex_);
  if (failure_) return *failure_;
  const Status accepted = chunk.ok() ? Accept(*chunk) : chunk.status();
  if (!accepted.ok()) FailLocked(accepted.error());
  progressed_.NotifyAll();
  return accepted;
}

Status Import::Accept(const Chunk& chunk) {
  const ChunkHeader& header = chunk.header;
  if (header.key != grant_.key)
    return MakeError(Code::kAborted, "chunk of request {} epoch {} under the grant of epoch {}",
                     header.key.request.ToString(), header.key.epoch, grant_.key.epoch);
  if (!grant_.layers.Contains(header.layer))
    return MakeError(Code::kInvalidArgument, "chunk of layer {}, granted were [{}, {})",
                     header.layer, grant_.layers.first, grant_.layers.last);
  if (header.shape != pool_.shape() || header.dtype != grant_.dtype)
    return MakeError(Code::kInvalidArgument, "chunk of {} heads of {}, type {}",
                     header.shape.kv_heads, header.shape.head_dim, static_cast<int>(header.dtype));
  const int32_t end = header.first_token + header.token_count;
  int32_t& valid = ProgressOf(header.layer);
  if (end <= valid) return OkStatus();  // a repetition
  if (header.first_token != valid || end > grant_.token_count)
    return MakeError(Code::kDataLoss, "layer {} has {} tokens of {}, the next chunk holds [{}, {})",
                     header.layer, valid, grant_.token_count, header.first_token, end);
  const std::vector<uint64_t>& hashes = *grant_.prefix_hashes;
  if (header.prefix_before != hashes[static_cast<size_t>(header.first_token)] ||
      header.prefix_after != hashes[static_cast<size_t>(end)])
    return MakeError(Code::kDataLoss, "layer {}, tokens [{}, {}): the KV of another prompt",
                     header.layer, header.first_token, end);
  if (header.last_of_layer != (end == grant_.token_count))
    return MakeError(Code::kDataLoss, "layer {} is called complete at token {} of {}", header.layer,
                     end, grant_.token_count);
  BATON_RETURN_IF_ERROR(ImportKv(pool_, pages_,
                                 {header.layer, header.first_token, header.token_count},
                                 header.dtype, chunk.payload));
  valid = end;
  last_progress_ = clock_.Now();
  received_bytes_ += chunk.payload.size();
  ++received_chunks_;
  if (CompleteLocked()) pages_.clear();  // or they would outlive their use by the sequence
  return OkStatus();
}

Status Import::OnSeal(std::span<const uint8_t> frame) {
  const auto seal = DecodeSeal(frame);
  MutexLock lock(mutex_);
  if (failure_) return *failure_;
  Status agreed = seal.status();
  if (seal.ok()) {
    int32_t least = grant_.token_count;
    const int first = std::max(seal->layers.first, grant_.layers.first);
    const int last = std::min(seal->layers.last, grant_.layers.last);
    for (int layer = first; layer < last; ++layer) least = std::min(least, ProgressOf(layer));
    const bool same = seal->key == grant_.key && seal->token_count == grant_.token_count &&
                      seal->prefix_hash == grant_.prefix_hashes->back() &&
                      least == grant_.token_count;
    if (!same)
      agreed = MakeError(Code::kDataLoss, "the seal says {} tokens of layers [{}, {}), {} arrived",
                         seal->token_count, seal->layers.first, seal->layers.last, least);
  }
  if (!agreed.ok()) FailLocked(agreed.error());
  return agreed;
}

Status Import::WaitForLayer(int layer) {
  MutexLock lock(mutex_);
  while (!failure_ && ProgressOf(layer) < grant_.token_count) {
    const os::TimePoint deadline = last_progress_ + grant_.patience;
    if (clock_.Now() >= deadline)
      FailLocked(MakeError(Code::kDeadlineExceeded, "layer {} stood still at token {} of {}", layer,
                           ProgressOf(layer), grant_.token_count));
    else
      progressed_.WaitUntil(mutex_, deadline);
  }
  if (failure_ && ProgressOf(layer) < grant_.token_count) return *failure_;
  return OkStatus();
}

bool Import::CompleteLocked() const {
  return std::all_of(arrived_.begin(), arrived_.end(),
                     [this](int32_t tokens) { return tokens == grant_.token_count; });
}

bool Import::Complete() const {
  MutexLock lock(mutex_);
  return CompleteLocked();
}

void Import::FailLocked(const Error& reason) {
  if (failure_) return;
  failure_ = reason;
  pages_.clear();
  progressed_.NotifyAll();
}

void Import::Fail(const Error& reason) {
  MutexLock lock(mutex_);
  FailLocked(reason);
}

void Import::FailIfStalled() {
  MutexLock lock(mutex_);
  if (CompleteLocked() || clock_.Now() < last_progress_ + grant_.patience) return;
  FailLocked(MakeError(Code::kDeadlineExceeded, "no KV for {:.1f} s",
                       os::SecondsBetween(last_progress_, clock_.Now())));
}

bool Import::failed() const {
  MutexLock lock(mutex_);
  return failure_.has_value();
}

int32_t Import::ValidTokens() const {
  MutexLock lock(mutex_);
  int32_t valid = grant_.token_count;
  for (int layer = grant_.layers.first; layer < grant_.layers.last; ++layer) {
    const int32_t arrived = arrived_[static_cast<size_t>(layer - grant_.layers.first)];
    if (arrived == grant_.token_count) continue;
    // A window without its end is of no use to any shorter prefix, unless nothing was left out.
    const bool left_out = FirstOf(layer) > grant_.first_token;
    valid = std::min(valid, left_out ? grant_.first_token : arrived);
  }
  return valid;
}

int32_t Import::MissingTokens() const {
  MutexLock lock(mutex_);
  return grant_.token_count - *std::min_element(arrived_.begin(), arrived_.end());
}

uint64_t Import::received_bytes() const {
  MutexLock lock(mutex_);
  return received_bytes_;
}

}  // namespace baton::kv
