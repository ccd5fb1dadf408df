#include "kv/prefix_cache.h"

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

PageTable PrefixCache::Find(std::span<const uint64_t> hashes) {
  PageTable pages;
  for (const uint64_t hash : hashes) {
    const auto found = index_.find(hash);
    if (found == index_.end()) break;
    order_.splice(order_.begin(), order_, found->second);
    pages.push_back(found->second->page);
  }
  return pages;
}

void PrefixCache::Insert(std::span<const uint64_t> hashes, const PageTable& pages) {
  for (size_t i = 0; i < hashes.size() && i < pages.size(); ++i) {
    if (index_.count(hashes[i]) > 0) continue;
    order_.push_front({hashes[i], pages[i]});
    index_[hashes[i]] = order_.begin();
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
