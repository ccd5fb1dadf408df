#include "model/tokenizer/merge_table.h"

namespace baton {

MergeTable::MergeTable(const std::vector<Merge>& merges)
    : slots_(merges.size() + merges.size() / 3 + 1) {
  for (const Merge& merge : merges) {
    Merge& slot = slots_[SlotOf(merge.left, merge.right)];
    if (slot.left == kNoToken) slot = merge;
  }
}

// The slot that holds the pair, or the empty one where it would go.
size_t MergeTable::SlotOf(TokenId left, TokenId right) const {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  const uint64_t hash = (key ^ key >> 29) * 0x9E3779B97F4A7C15ull;
  auto slot = static_cast<size_t>(static_cast<__uint128_t>(hash) * slots_.size() >> 64);
  while (slots_[slot].left != kNoToken &&
         (slots_[slot].left != left || slots_[slot].right != right))
    slot = slot + 1 == slots_.size() ? 0 : slot + 1;
  return slot;
}

const MergeTable::Merge* MergeTable::Find(TokenId left, TokenId right) const {
  const Merge& slot = slots_[SlotOf(left, right)];
  return slot.left == kNoToken ? nullptr : &slot;
}

}  // namespace baton
