#include "model/tokenizer/pipeline/pipeline_encoder.h"

#include <algorithm>

#include "model/text/utf8.h"
#include "model/tokenizer/byte_characters.h"

namespace baton {
namespace {

void Append(std::vector<TokenId>& tokens, const std::vector<TokenId>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

}  // namespace

PipelineEncoder::PipelineEncoder(PipelineParts parts)
    : parts_(std::move(parts)), needs_trust_(parts_.special.has_control()) {}

std::string PipelineEncoder::Spell(std::string_view stored_text) const {
  return parts_.spelling.Spell(stored_text);
}

Result<std::vector<TokenId>> PipelineEncoder::Encode(const PlainText& plain) const {
  std::vector<TokenId> tokens;
  for (size_t at = 0; at < plain.text.size();) {
    const std::string_view rest = plain.text.substr(at);
    const std::string_view valid = rest.substr(0, ValidUtf8Prefix(rest));
    if (!valid.empty()) {
      BATON_ASSIGN_OR_RETURN(const auto more, EncodeValid(valid, plain, at));
      Append(tokens, more);
      at += valid.size();
      continue;
    }
    const size_t length = Utf8At(rest, 0).length;
    BATON_ASSIGN_OR_RETURN(const auto more, EncodeInvalid(rest.substr(0, length)));
    Append(tokens, more);
    at += length;
  }
  return tokens;
}

MarkedText PipelineEncoder::Marked(std::string_view valid, const PlainText& plain,
                                   size_t offset) const {
  MarkedText marked{std::string(valid), {}};
  if (!needs_trust_) return marked;
  const size_t begin = plain.offset + offset;
  marked.trust.assign(valid.size(), '\0');
  for (const TrustedRange& range : plain.trusted) {
    const size_t from = std::max(range.begin, begin);
    const size_t to = std::min(range.end, begin + valid.size());
    if (from < to)
      std::fill_n(marked.trust.begin() + static_cast<ptrdiff_t>(from - begin), to - from, '\1');
  }
  return marked;
}

Result<std::vector<TokenId>> PipelineEncoder::EncodeValid(std::string_view valid,
                                                          const PlainText& plain,
                                                          size_t offset) const {
  BATON_ASSIGN_OR_RETURN(const MarkedText text,
                         parts_.normalizer.Apply(Marked(valid, plain, offset), offset == 0));
  const std::string_view all = text.bytes;
  std::vector<TokenId> tokens;
  for (const TextFragment& fragment : parts_.special.Split(all, text.TrustedRanges())) {
    if (fragment.token != kNoToken) {
      tokens.push_back(fragment.token);
      continue;
    }
    const bool first = plain.first && offset == 0 && fragment.text.data() == all.data();
    BATON_ASSIGN_OR_RETURN(const auto pieces, parts_.splitter.Split(fragment.text, first));
    for (const std::string& piece : pieces) {
      BATON_ASSIGN_OR_RETURN(const auto more, parts_.model->Encode(piece));
      Append(tokens, more);
    }
  }
  return tokens;
}

Result<std::vector<TokenId>> PipelineEncoder::EncodeInvalid(std::string_view bytes) const {
  if (parts_.splitter.writes_bytes()) return parts_.model->Encode(BytesAsCharacters(bytes));
  return parts_.model->Encode(bytes);
}

}  // namespace baton
