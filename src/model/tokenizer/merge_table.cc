#include "model/tokenizer/merge_table.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace baton {
namespace {

using gguf::Value;
using gguf::ValueType;

constexpr uint64_t kMergesMax = 16 << 20;

// A merge that names tokens outside the vocabulary, or would make a control token out of text, can
// never apply: it is left out.
std::vector<MergeTable::Merge> MergesIn(const Value& array, const Vocabulary& vocabulary) {
  constexpr uint64_t kMergeBytesMin = sizeof(uint64_t) + 3;  // a length and "a b"
  std::vector<MergeTable::Merge> merges;
  merges.reserve(std::min(array.count, array.bytes.size() / kMergeBytesMin));
  gguf::StringCursor cursor(array);
  std::string joined;
  for (uint64_t rank = 0; rank < array.count; ++rank) {
    const std::string_view text = cursor.Next();
    const size_t space = text.find(' ', 1);
    if (space == std::string_view::npos) continue;
    const std::string_view left = text.substr(0, space);
    const std::string_view right = text.substr(space + 1);
    joined.assign(left).append(right);
    const MergeTable::Merge merge = {vocabulary.Find(left), vocabulary.Find(right),
                                     static_cast<uint32_t>(rank), vocabulary.Find(joined)};
    if (merge.left == kNoToken || merge.right == kNoToken || merge.merged == kNoToken) continue;
    if (vocabulary.TypeOf(merge.merged) == TokenType::kControl) continue;
    merges.push_back(merge);
  }
  return merges;
}

}  // namespace

Result<MergeTable> ReadMerges(const gguf::Metadata& metadata, const Vocabulary& vocabulary) {
  BATON_ASSIGN_OR_RETURN(const Value merges,
                         metadata.Array("tokenizer.ggml.merges", ValueType::kString));
  if (merges.count > kMergesMax)
    return MakeError(Code::kInvalidArgument, "tokenizer.ggml.merges has {} merges, more than {}",
                     merges.count, kMergesMax);
  return MergeTable(MergesIn(merges, vocabulary));
}

MergeTable::MergeTable(size_t merges_max) : slots_(merges_max + merges_max / 3 + 1) {}

MergeTable::MergeTable(const std::vector<Merge>& merges) : MergeTable(merges.size()) {
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
