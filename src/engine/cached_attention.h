// CachedAttention: the only way from a family to the KV cache. Because storing, the hooks of the KV
// stream and attention are one call, no family can forget to wait for KV or to announce it.
#pragma once

#include "base/result.h"
#include "device/device.h"
#include "engine/stage.h"
#include "kv/sequence.h"

namespace baton::engine {

class CachedAttention {
 public:
  // For one run of tokens at `first` and on, whose pages are granted.
  CachedAttention(device::Device& device, const kv::Sequence& sequence, int first,
                  LayerHooks& hooks)
      : device_(device), sequence_(sequence), first_(first), hooks_(hooks) {}

  // Stores k and v of this run's tokens and attends from `q`, already scaled, to all tokens up to
  // each query's own. `q` and `into` may be the last rows only, or none.
  Status Run(int layer, device::Rows q, device::Rows k, device::Rows v, device::Rows into) {
    BATON_RETURN_IF_ERROR(hooks_.BeforeAttention(layer));
    const device::KvLayer cache = sequence_.Layer(layer);
    device_.StoreKv(k, v, cache, first_);
    hooks_.AfterKvWritten(layer);
    device_.Attend(q, cache, first_ + static_cast<int>(k.count - q.count), into);
    return OkStatus();
  }

 private:
  device::Device& device_;
  const kv::Sequence& sequence_;
  const int first_;
  LayerHooks& hooks_;
};

}  // namespace baton::engine
