// PrefixCache: full pages of finished or running sequences, found again by the rolling hash of the
// tokens that led to them (docs/formats/kv-stream.md). Pages are shared, never copied. A page may
// lack tokens in layers with a sliding window, or have no windowed part; a prefix is found only
// where those hold all that the token behind it sees.
//
// When the pool runs dry, windowed parts go first that a sequence has passed by and nobody has gone
// on from: they cost nobody the whole prefix. Then the least recently used pages. Engine thread
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
    PageTable pages;      // with the windowed parts that the next token sees, no others
    int window_from = 0;  // layers with a window hold the tokens from here on
  };
  // The longest cached prefix that a sequence can go on from, at most hashes.size() pages, where
  // the largest window of a layer is `window` (0: none has one).
  Prefix Find(std::span<const uint64_t> hashes, int window);
  // Remembers pages[i] under hashes[i], of which layers with a window hold the tokens of the
  // sequence from `window_from` on; what is known already stays as it is, unless it lacks more.
  // `passed`: the sequence goes on behind them.
  void Insert(std::span<const uint64_t> hashes, const PageTable& pages, int window_from,
              bool passed = false);
  // Forgets a page or its windowed part; false if there is none.
  bool EvictOne();
  void Clear();
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    uint64_t hash;
    Page page;
    int lacking;  // so many of its first tokens in layers with a window
    bool passed;  // its windowed part may go first
  };
  using Order = std::list<Entry>;  // most recently used first
  // Pages without a part of their own are links of chains and cost next to nothing.
  static constexpr size_t kEntriesMax = 1 << 16;

  bool EvictPassed();
  void ForgetOldest();

  Order order_;
  std::unordered_map<uint64_t, Order::iterator> index_;
  bool has_passed_ = false;  // perhaps some entry's windowed part may go first
};

// Sequence::Reserve and Slide, evicting from `cache` while the pool is dry.
Status ReserveEvicting(Sequence& sequence, int tokens, PrefixCache& cache);
Status SlideEvicting(Sequence& sequence, int first, int count, PrefixCache& cache);

}  // namespace baton::kv
