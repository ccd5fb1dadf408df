// PrefixCache: full pages of finished or running sequences, found again by the rolling hash of the
// tokens that led to them (docs/formats/kv-stream.md). Pages are shared, never copied; the least
// recently used go first when the pool runs dry. Engine thread only.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kv/sequence.h"

namespace baton::kv {

// [i] is the rolling hash before token i; one more for all of them. Shared by whoever streams the
// sequence; never changes.
using PrefixHashes = std::shared_ptr<const std::vector<uint64_t>>;
PrefixHashes HashPrefixes(std::string_view model_fingerprint, std::span<const TokenId> tokens);

// The hashes at the end of each full page among the first `tokens` tokens.
std::vector<uint64_t> PageHashes(const PrefixHashes& prefixes, int tokens);

class PrefixCache {
 public:
  // The pages of the longest cached prefix, at most hashes.size().
  PageTable Find(std::span<const uint64_t> hashes);
  // Remembers pages[i] under hashes[i]; what is known already stays as it is.
  void Insert(std::span<const uint64_t> hashes, const PageTable& pages);
  // Forgets the least recently used page; false if there is none.
  bool EvictOne();
  void Clear();
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    uint64_t hash;
    Page page;
  };
  using Order = std::list<Entry>;  // most recently used first

  Order order_;
  std::unordered_map<uint64_t, Order::iterator> index_;
};

// Grants pages, evicting from `cache` while the pool is dry.
Status ReserveEvicting(Sequence& sequence, int tokens, PrefixCache& cache);

}  // namespace baton::kv
