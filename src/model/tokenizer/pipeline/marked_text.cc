#include "model/tokenizer/pipeline/marked_text.h"

#include <algorithm>

namespace baton {

Result<MarkedText> MarkedText::Edited(const std::vector<TextEdit>& edits, size_t bytes_max) const {
  MarkedText edited;
  const bool marks = !trust.empty();
  size_t at = 0;
  const auto keep_until = [&](size_t end) {
    edited.bytes.append(bytes, at, end - at);
    if (marks) edited.trust.append(trust, at, end - at);
    at = end;
  };
  for (const TextEdit& edit : edits) {
    keep_until(edit.begin);
    edited.bytes += edit.by;
    if (edited.bytes.size() > bytes_max)
      return MakeError(Code::kResourceExhausted,
                       "the normalizer makes more than {} bytes of a text", bytes_max);
    if (marks) {
      const bool doubt =
          std::string_view(trust).substr(edit.begin, edit.end - edit.begin).find('\0') !=
          std::string_view::npos;
      edited.trust.append(edit.by.size(), doubt ? '\0' : '\1');
    }
    at = edit.end;
  }
  keep_until(bytes.size());
  return edited;
}

std::vector<TrustedRange> MarkedText::TrustedRanges() const {
  std::vector<TrustedRange> ranges;
  for (size_t at = 0; at < trust.size();) {
    const size_t begin = trust.find('\1', at);
    if (begin == std::string::npos) break;
    at = std::min(trust.find('\0', begin), trust.size());
    ranges.push_back({begin, at});
  }
  return ranges;
}

}  // namespace baton
