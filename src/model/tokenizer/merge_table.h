// The merges of a BPE vocabulary, to be looked up by pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/gguf/metadata.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

// The merges of a vocabulary: (left token, right token) -> (rank, merged token).
class MergeTable {
 public:
  struct Merge {
    TokenId left = kNoToken;
    TokenId right = kNoToken;
    uint32_t rank = 0;
    TokenId merged = kNoToken;
  };
  // For up to `merges_max` merges.
  explicit MergeTable(size_t merges_max);
  // Where a pair appears twice, the first counts.
  explicit MergeTable(const std::vector<Merge>& merges);
  // Goes before an earlier merge of its pair.
  void Set(const Merge& merge) { slots_[SlotOf(merge.left, merge.right)] = merge; }
  // nullptr if the pair does not merge.
  const Merge* Find(TokenId left, TokenId right) const;

 private:
  size_t SlotOf(TokenId left, TokenId right) const;
  std::vector<Merge> slots_;  // open addressing, three quarters full
};

// tokenizer.ggml.merges. Merges that can never apply are left out.
Result<MergeTable> ReadMerges(const gguf::Metadata& metadata, const Vocabulary& vocabulary);

}  // namespace baton
