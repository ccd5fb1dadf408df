// The merges of a BPE vocabulary, to be looked up by pair.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/gguf/metadata.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

inline constexpr size_t kMergesMax = 16 << 20;

// The merges of a vocabulary: (left token, right token) -> (rank, merged token).
class MergeTable {
 public:
  struct Merge {
    TokenId left = kNoToken;
    TokenId right = kNoToken;
    uint32_t rank = 0;  // below kMergesMax
    TokenId merged = kNoToken;
  };
  // For a list of so many merges, of which each that is set makes a token of `vocabulary`, and one
  // of its texts in two: a list that is longer than the ways to do that repeats itself.
  MergeTable(size_t merges_max, const Vocabulary& vocabulary);
  // Goes before an earlier merge of its pair.
  void Set(const Merge& merge) { slots_[SlotOf(merge.left, merge.right)] = Packed(merge); }
  // Leaves an earlier merge of its pair.
  void SetIfNew(const Merge& merge);
  // Nothing if the pair does not merge.
  std::optional<Merge> Find(TokenId left, TokenId right) const;

 private:
  // Tokens take 22 bits each and a rank 24: there are many of these.
  using Slot = std::array<uint32_t, 3>;
  static Slot Packed(const Merge& merge);
  static bool IsUsed(const Slot& slot) { return slot[2] != 0; }
  size_t SlotOf(TokenId left, TokenId right) const;

  std::vector<Slot> slots_;  // open addressing, three quarters full
};

// tokenizer.ggml.merges. Merges that can never apply are left out.
Result<MergeTable> ReadMerges(const gguf::Metadata& metadata, const Vocabulary& vocabulary);

}  // namespace baton
