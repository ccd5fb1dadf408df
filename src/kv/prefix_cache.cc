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
  std::vector<Entry*> chain;
  std::vector<int> held_from;  // [k]: where windows are whole from, up to the end of page k
  size_t usable = 0;
  for (const uint64_t hash : hashes) {
    const auto found = index_.find(hash);
    if (found == index_.end()) break;
    order_.splice(order_.begin(), order_, found->second);
    const int begin = static_cast<int>(chain.size()) * kPageTokens;
    const int lacking = found->second->lacking;
    const int before = held_from.empty() ? 0 : held_from.back();
    held_from.push_back(lacking > 0 ? begin + lacking : before);
    chain.push_back(&*found->second);
    if (window == 0 || held_from.back() <= FirstSeen(begin + kPageTokens, window))
      usable = chain.size();
  }
  if (usable == 0) return {};
  const int length = static_cast<int>(usable) * kPageTokens;
  const auto kept = static_cast<size_t>(FirstSeen(length, window) / kPageTokens);
  Prefix prefix{
      {}, window == 0 ? 0 : std::max(held_from[usable - 1], static_cast<int>(kept) * kPageTokens)};
  for (size_t i = 0; i < usable; ++i) {
    const bool seen = window > 0 && i >= kept;
    if (seen) chain[i]->passed = false;
    prefix.pages.push_back({chain[i]->page.full, seen ? chain[i]->page.windowed : nullptr});
  }
  return prefix;
}

void PrefixCache::Insert(std::span<const uint64_t> hashes, const PageTable& pages, int window_from,
                         bool passed) {
  has_passed_ = has_passed_ || passed;
  for (size_t i = 0; i < hashes.size() && i < pages.size(); ++i) {
    const int begin = static_cast<int>(i) * kPageTokens;
    const int lacking = std::clamp(window_from - begin, 0, kPageTokens);
    const auto known = index_.find(hashes[i]);
    if (known == index_.end()) {
      order_.push_front({hashes[i], pages[i], lacking, passed});
      index_[hashes[i]] = order_.begin();
      if (order_.size() > kEntriesMax) ForgetOldest();
    } else if (lacking < known->second->lacking) {
      Entry& entry = *known->second;
      entry = {entry.hash, pages[i], lacking, passed};
    } else if (!passed && lacking == known->second->lacking) {
      known->second->passed = false;
    }
  }
}

bool PrefixCache::EvictOne() {
  if (EvictPassed()) return true;
  if (order_.empty()) return false;
  ForgetOldest();
  return true;
}

// The windowed part of the oldest page that a sequence has passed by.
bool PrefixCache::EvictPassed() {
  if (!has_passed_) return false;
  const auto oldest = std::find_if(order_.rbegin(), order_.rend(), [](const Entry& entry) {
    return entry.passed && entry.page.windowed != nullptr;
  });
  has_passed_ = oldest != order_.rend();
  if (!has_passed_) return false;
  oldest->page.windowed = nullptr;
  oldest->lacking = kPageTokens;
  return true;
}

void PrefixCache::ForgetOldest() {
  index_.erase(order_.back().hash);
  order_.pop_back();
}

void PrefixCache::Clear() {
  index_.clear();
  order_.clear();
}

namespace {

template <typename Grant>
Status Evicting(PrefixCache& cache, const Grant& grant) {
  for (;;) {
    const Status granted = grant();
    if (granted.ok() || granted.error().code() != Code::kResourceExhausted) return granted;
    if (!cache.EvictOne()) return granted;
  }
}

}  // namespace

Status ReserveEvicting(Sequence& sequence, int tokens, PrefixCache& cache) {
  return Evicting(cache, [&] { return sequence.Reserve(tokens); });
}

Status SlideEvicting(Sequence& sequence, int first, int count, PrefixCache& cache) {
  return Evicting(cache, [&] { return sequence.Slide(first, count); });
}

}  // namespace baton::kv
