#include "kv/prefix_cache.h"

#include <algorithm>

#include "wire/hash.h"

namespace baton::kv {

PrefixHashes HashPrefixes(std::string_view model_fingerprint, std::span<const TokenId> tokens) {
  std::vector<uint64_t> hashes = {wire::PrefixHashStart(model_fingerprint)};
  hashes.reserve(tokens.size() + 1);
  for (const TokenId token : tokens) hashes.push_back(wire::PrefixHashExtend(hashes.back(), token));
  return std::make_shared<const std::vector<uint64_t>>(std::move(hashes));
}

std::vector<uint64_t> PageHashes(const PrefixHashes& prefixes, int tokens) {
  std::vector<uint64_t> hashes;
  for (int end = kPageTokens; end <= tokens; end += kPageTokens)
    hashes.push_back((*prefixes)[static_cast<size_t>(end)]);
  return hashes;
}

PrefixCache::Prefix PrefixCache::Find(std::span<const uint64_t> hashes, int window) {
  PageTable pages;
  std::vector<int> held_from;  // [k]: where windows are whole from, up to the end of page k
  size_t usable = 0;
  for (const uint64_t hash : hashes) {
    const auto found = index_.find(hash);
    if (found == index_.end()) break;
    order_.splice(order_.begin(), order_, found->second);
    const int begin = static_cast<int>(pages.size()) * kPageTokens;
    const int lacking = found->second->lacking;
    const int before = held_from.empty() ? 0 : held_from.back();
    held_from.push_back(lacking > 0 ? begin + lacking : before);
    pages.push_back(found->second->page);
    const int end = begin + kPageTokens;
    if (held_from.back() <= std::max(0, end + 1 - window)) usable = pages.size();
  }
  pages.erase(pages.begin() + static_cast<ptrdiff_t>(usable), pages.end());
  return {std::move(pages), usable == 0 ? 0 : held_from[usable - 1]};
}

void PrefixCache::Insert(std::span<const uint64_t> hashes, const PageTable& pages,
                         int window_from) {
  for (size_t i = 0; i < hashes.size() && i < pages.size(); ++i) {
    const int begin = static_cast<int>(i) * kPageTokens;
    const int lacking = std::clamp(window_from - begin, 0, kPageTokens);
    const auto known = index_.find(hashes[i]);
    if (known == index_.end()) {
      order_.push_front({hashes[i], pages[i], lacking});
      index_[hashes[i]] = order_.begin();
    } else if (lacking < known->second->lacking) {
      known->second->page = pages[i];
      known->second->lacking = lacking;
    }
  }
}

bool PrefixCache::EvictOne() {
  if (order_.empty()) return false;
  index_.erase(order_.back().hash);
  order_.pop_back();
  return true;
}

void PrefixCache::Clear() {
  index_.clear();
  order_.clear();
}

Status ReserveEvicting(Sequence& sequence, int tokens, PrefixCache& cache) {
  for (;;) {
    const Status reserved = sequence.Reserve(tokens);
    if (reserved.ok() || reserved.error().code() != Code::kResourceExhausted) return reserved;
    if (!cache.EvictOne()) return reserved;
  }
}

}  // namespace baton::kv
