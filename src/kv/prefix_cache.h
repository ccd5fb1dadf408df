// PrefixCache: full pages of finished or running sequences, found again by the rolling hash of the
// tokens that led to them (docs/formats/kv-stream.md). Pages are shared, never copied; the least
// recently used go first when the pool runs dry. A page may lack tokens in layers with a sliding
// window; a prefix is found only where those hold all that the token behind it sees. Engine thread
// only.
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
  struct Prefix {
    PageTable pages;
    int window_from = 0;  // layers with a window hold the tokens from here on
  };
  // The longest cached prefix that a sequence can go on from, at most hashes.size() pages, where
  // the largest window of a layer is `window` (0: none has one).
  Prefix Find(std::span<const uint64_t> hashes, int window);
  // Remembers pages[i] under hashes[i], of which layers with a window hold the tokens of the
  // sequence from `window_from` on; what is known already stays as it is, unless it lacks more.
  void Insert(std::span<const uint64_t> hashes, const PageTable& pages, int window_from);
  // Forgets the least recently used page; false if there is none.
  bool EvictOne();
  void Clear();
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    uint64_t hash;
    Page page;
    int lacking;  // so many of its first tokens in layers with a window
  };
  using Order = std::list<Entry>;  // most recently used first

  Order order_;
  std::unordered_map<uint64_t, Order::iterator> index_;
};

// Grants pages, evicting from `cache` while the pool is dry.
Status ReserveEvicting(Sequence& sequence, int tokens, PrefixCache& cache);

}  // namespace baton::kv
