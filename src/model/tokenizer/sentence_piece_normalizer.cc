#include "model/tokenizer/sentence_piece_normalizer.h"

#include "model/text/utf8.h"
#include "model/tokenizer/pipeline/marked_text.h"

namespace baton {
// Marks spaces, and leaves out those that follow another where the rules say so.
class SentencePieceNormalizer::Writer {
 public:
  Writer(bool removes_extra_spaces, size_t bytes_max)
      : removes_extra_spaces_(removes_extra_spaces),
        behind_space_(removes_extra_spaces),
        bytes_max_(bytes_max) {}

  // Where extra spaces go, only once there is more than spaces.
  void PutSpaceInFront() {
    space_in_front_ = removes_extra_spaces_;
    if (!removes_extra_spaces_) text_ = kSpaceMark;
  }

  Status Add(std::string_view part) {
    while (behind_space_ && part.starts_with(' ')) part.remove_prefix(1);
    if (part.empty()) return OkStatus();
    if (text_.empty() && space_in_front_) text_ = kSpaceMark;
    for (const char c : part) {
      if (c == ' ')
        text_ += kSpaceMark;
      else
        text_ += c;
    }
    behind_space_ = removes_extra_spaces_ && part.ends_with(' ');
    if (text_.size() <= bytes_max_) return OkStatus();
    return MakeError(Code::kResourceExhausted,
                     "the character map makes more than {} bytes of a text", bytes_max_);
  }

  std::string Finish() && {
    while (removes_extra_spaces_ && text_.ends_with(kSpaceMark))
      text_.resize(text_.size() - kSpaceMark.size());
    return std::move(text_);
  }

 private:
  const bool removes_extra_spaces_;
  bool behind_space_;  // white space at the beginning counts as repeated
  const size_t bytes_max_;
  bool space_in_front_ = false;
  std::string text_;
};

Status SentencePieceNormalizer::Write(std::string_view text, Writer& writer) const {
  while (!text.empty()) {
    size_t length = Utf8At(text, 0).length;
    std::string_view by = text.substr(0, length);
    const auto match = rules_.characters ? rules_.characters->Longest(text) : std::nullopt;
    if (match) {
      length = match->length;
      by = match->by;
    }
    BATON_RETURN_IF_ERROR(writer.Add(by));
    text.remove_prefix(length);
  }
  return OkStatus();
}

Result<std::string> SentencePieceNormalizer::Apply(std::string_view text, bool adds_space) const {
  Writer writer(rules_.removes_extra_spaces, NormalizedBytesMax(text.size()));
  if (adds_space && rules_.adds_space && !text.empty()) writer.PutSpaceInFront();
  for (const TextFragment& fragment : rules_.kept.Split(text, {})) {
    if (fragment.token == kNoToken) {
      BATON_RETURN_IF_ERROR(Write(fragment.text, writer));
    } else {
      BATON_RETURN_IF_ERROR(writer.Add(fragment.text));
    }
  }
  return std::move(writer).Finish();
}

}  // namespace baton
