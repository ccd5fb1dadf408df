#include "model/tokenizer/merge_table.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace baton {
namespace {

using gguf::Value;
using gguf::ValueType;

// A merge that names tokens outside the vocabulary, or would make a control token out of text, can
// never apply: it is left out.
MergeTable MergesIn(const Value& array, const Vocabulary& vocabulary) {
  constexpr uint64_t kMergeBytesMin = sizeof(uint64_t) + 3;  // a length and "a b"
  MergeTable merges(std::min(array.count, array.bytes.size() / kMergeBytesMin), vocabulary);
  gguf::StringCursor cursor(array);
  std::string joined;
  TokenId expected = kNoToken;  // most vocabularies are in the order of their merges
  for (uint64_t rank = 0; rank < array.count; ++rank) {
    const std::string_view text = cursor.Next();
    const size_t space = text.find(' ', 1);
    if (space == std::string_view::npos) continue;
    const std::string_view left = text.substr(0, space);
    const std::string_view right = text.substr(space + 1);
    joined.assign(left).append(right);
    const MergeTable::Merge merge = {vocabulary.Find(left), vocabulary.Find(right),
                                     static_cast<uint32_t>(rank),
                                     vocabulary.Find(joined, expected)};
    if (merge.merged != kNoToken) expected = merge.merged + 1;
    if (merge.left == kNoToken || merge.right == kNoToken || merge.merged == kNoToken) continue;
    if (vocabulary.TypeOf(merge.merged) == TokenType::kControl) continue;
    merges.SetIfNew(merge);
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
  return MergesIn(merges, vocabulary);
}

MergeTable::MergeTable(size_t merges_max, const Vocabulary& vocabulary) {
  const size_t ways_in_two = vocabulary.text_bytes() + static_cast<size_t>(vocabulary.size());
  const size_t count = std::min(merges_max, ways_in_two);
  slots_.resize(count + count / 3 + 1);
}

void MergeTable::SetIfNew(const Merge& merge) {
  Slot& slot = slots_[SlotOf(merge.left, merge.right)];
  if (!IsUsed(slot)) slot = Packed(merge);
}

MergeTable::Slot MergeTable::Packed(const Merge& merge) {
  static_assert(kVocabularySizeMax <= 1 << 22 && kMergesMax <= 1 << 24);
  const auto left = static_cast<uint32_t>(merge.left);
  const auto right = static_cast<uint32_t>(merge.right);
  const auto merged = static_cast<uint32_t>(merge.merged);
  return {left | right << 22, right >> 10 | merged << 12,
          1u << 31 | merged >> 20 | merge.rank << 2};
}

// The slot that holds the pair, or the empty one where it would go.
size_t MergeTable::SlotOf(TokenId left, TokenId right) const {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  const uint64_t hash = (key ^ key >> 29) * 0x9E3779B97F4A7C15ull;
  const Slot wanted = Packed({left, right, 0, 0});
  const auto is_wanted = [&wanted](const Slot& slot) {
    return slot[0] == wanted[0] && (slot[1] & 0xFFF) == wanted[1];
  };
  auto slot = static_cast<size_t>(static_cast<__uint128_t>(hash) * slots_.size() >> 64);
  while (IsUsed(slots_[slot]) && !is_wanted(slots_[slot]))
    slot = slot + 1 == slots_.size() ? 0 : slot + 1;
  return slot;
}

std::optional<MergeTable::Merge> MergeTable::Find(TokenId left, TokenId right) const {
  const Slot& slot = slots_[SlotOf(left, right)];
  if (!IsUsed(slot)) return std::nullopt;
  const uint32_t merged = slot[1] >> 12 | (slot[2] & 3) << 20;
  return Merge{left, right, slot[2] << 1 >> 3, static_cast<TokenId>(merged)};
}

}  // namespace baton
