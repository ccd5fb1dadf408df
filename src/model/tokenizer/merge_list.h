// The core of both kinds of BPE: a row of symbols in which the best neighbouring pair is merged
// until none is left. A heap of candidates over a linked list: O(n log n) for n symbols, whatever
// the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

namespace baton {

// A symbol is `length` bytes of the text; a merged-away symbol has length 0.
struct MergeSymbol {
  uint32_t begin = 0;
  uint32_t length = 0;
  int32_t id = 0;  // the caller's: a token, or whatever it ranks pairs by
  int32_t previous = -1;
  int32_t next = -1;
};

// What merging two symbols yields. Smaller `order` merges first, the leftmost among equals.
struct MergeCandidate {
  bool possible = false;
  double order = 0;
  int32_t id = 0;
};

// `rank(left, right)` returns the MergeCandidate of two neighbours. Returns the symbols that are
// left, in order.
template <typename Rank>
std::vector<MergeSymbol> MergeAll(std::vector<MergeSymbol> symbols, const Rank& rank) {
  struct Entry {
    double order;
    int32_t left;
    int32_t right;
    uint32_t length;  // of both together: tells a stale entry
    int32_t id;
    bool operator<(const Entry& other) const {
      return order != other.order ? order > other.order : left > other.left;
    }
  };
  std::priority_queue<Entry> heap;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const MergeSymbol& a = symbols[static_cast<size_t>(left)];
    const MergeSymbol& b = symbols[static_cast<size_t>(right)];
    const MergeCandidate candidate = rank(a, b);
    if (candidate.possible)
      heap.push({candidate.order, left, right, a.length + b.length, candidate.id});
  };

  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    symbols[static_cast<size_t>(i)].previous = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1 < count ? i + 1 : -1;
    consider(i - 1, i);
  }
  while (!heap.empty()) {
    const Entry best = heap.top();
    heap.pop();
    MergeSymbol& left = symbols[static_cast<size_t>(best.left)];
    MergeSymbol& right = symbols[static_cast<size_t>(best.right)];
    const bool stale = left.length == 0 || right.length == 0 || left.next != best.right ||
                       left.length + right.length != best.length;
    if (stale) continue;
    left.length += right.length;
    left.id = best.id;
    left.next = right.next;
    right.length = 0;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
  std::erase_if(symbols, [](const MergeSymbol& symbol) { return symbol.length == 0; });
  return symbols;
}

}  // namespace baton
