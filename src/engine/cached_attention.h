// CachedAttention: the only way from a family to the KV cache. Because storing, the hooks of the KV
// stream and attention are one call, no family can forget to wait for KV or to announce it.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "engine/stage.h"
#include "kv/sequence.h"

namespace baton::engine {

class CachedAttention {
 public:
  // Some rows of a pass: the tokens from `first` on of one sequence, whose pages are granted.
  struct Part {
    const kv::Sequence* sequence = nullptr;
    int first = 0;
    size_t count = 0;
  };

  CachedAttention(device::Device& device, device::AttentionPrecision precision,
                  std::span<const Part> parts, LayerHooks& hooks)
      : device_(device),
        precision_(precision),
        parts_(parts.begin(), parts.end()),
        rows_(parts.size()),
        hooks_(hooks) {}

  size_t sequences() const { return parts_.size(); }

  // Stores k and v of all rows and attends from `q`, already scaled, to all tokens up to each
  // query's own, or those of the window. `q` and `into` may be the last rows only, or none.
  Status Run(int layer, device::Rows q, device::Rows k, device::Rows v, device::Rows into,
             const device::AttentionForm& form = {}) {
    BATON_RETURN_IF_ERROR(hooks_.BeforeAttention(layer));
    for (size_t i = 0; i < parts_.size(); ++i) {
      rows_[i] = {parts_[i].sequence->Layer(layer), parts_[i].first, parts_[i].count};
    }
    device_.StoreKv(k, v, rows_);
    hooks_.AfterKvWritten(layer);
    device_.Attend(q, LastRows(k.count - q.count), precision_, form, into);
    return OkStatus();
  }

 private:
  // rows_ without the first `skipped` ones.
  std::span<const device::KvRows> LastRows(size_t skipped) {
    size_t i = 0;
    for (; i < rows_.size() && skipped >= rows_[i].count; ++i) skipped -= rows_[i].count;
    if (skipped > 0) {
      rows_[i].first += static_cast<int>(skipped);
      rows_[i].count -= skipped;
    }
    return std::span(rows_).subspan(i);
  }

  device::Device& device_;
  const device::AttentionPrecision precision_;
  const std::vector<Part> parts_;
  std::vector<device::KvRows> rows_;
  LayerHooks& hooks_;
};

}  // namespace baton::engine
