#include "model/safetensors/json_scanner.h"

#include <charconv>

#include "base/log.h"

namespace baton::safetensors {

void JsonScanner::SkipBlanks() {
  constexpr std::string_view kBlanks = " \t\r\n";
  position_ = std::min(text_.find_first_not_of(kBlanks, position_), text_.size());
}

bool JsonScanner::Accept(char c) {
  SkipBlanks();
  if (position_ == text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

Error JsonScanner::Unexpected(std::string_view wanted) {
  SkipBlanks();
  if (position_ == text_.size())
    return MakeError(Code::kInvalidArgument, "the JSON ends at byte {} where {} should be",
                     position_, wanted);
  return MakeError(Code::kInvalidArgument, "the JSON has '{}' at byte {} where {} should be",
                   log::Escape(text_.substr(position_, 1)), position_, wanted);
}

Status JsonScanner::Expect(char c) {
  if (Accept(c)) return OkStatus();
  const char quoted[] = {'\'', c, '\''};
  return Unexpected({quoted, sizeof(quoted)});
}

Result<std::string_view> JsonScanner::String() {
  if (!Accept('"')) return Unexpected("a string");
  const size_t begin = position_;
  const size_t end = text_.find_first_of("\"\\", begin);
  if (end == std::string_view::npos)
    return MakeError(Code::kInvalidArgument, "the string at byte {} does not end", begin);
  if (text_[end] == '\\')
    return MakeError(Code::kInvalidArgument, "the name at byte {} has a backslash", begin);
  position_ = end + 1;
  return text_.substr(begin, end - begin);
}

Result<uint64_t> JsonScanner::Integer() {
  SkipBlanks();
  uint64_t value = 0;
  const char* const begin = text_.data() + position_;
  const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (error == std::errc::result_out_of_range)
    return MakeError(Code::kInvalidArgument, "the number at byte {} is above 2^64", position_);
  if (error != std::errc()) return Unexpected("a whole number");
  position_ += static_cast<size_t>(end - begin);
  if (position_ < text_.size() &&
      std::string_view(".eE").find(text_[position_]) != std::string::npos)
    return MakeError(Code::kInvalidArgument, "the number at byte {} is not whole", position_);
  return value;
}

Status JsonScanner::SkipString() {
  if (!Accept('"')) return Unexpected("a string");
  for (; position_ < text_.size(); ++position_) {
    if (text_[position_] == '"') {
      ++position_;
      return OkStatus();
    }
    if (text_[position_] == '\\') ++position_;
  }
  position_ = text_.size();
  return Unexpected("the end of a string");
}

Status JsonScanner::SkipWord() {
  const size_t begin = position_;
  position_ = std::min(text_.find_first_of(" \t\r\n,:[]{}\"", begin), text_.size());
  return position_ > begin ? OkStatus() : Status(Unexpected("a value"));
}

// What is passed over must nest, and is not judged otherwise.
Status JsonScanner::Skip() {
  constexpr uint64_t kDepthMax = 64;
  uint64_t closers = 1;  // bits: 0 for '}', 1 for ']', below a leading one
  uint64_t depth = 0;
  do {
    SkipBlanks();
    if (position_ == text_.size()) return Unexpected("a value");
    const char c = text_[position_];
    if (c == '{' || c == '[') {
      if (++depth == kDepthMax)
        return MakeError(Code::kInvalidArgument, "the JSON nests more than {} deep", kDepthMax - 1);
      closers = closers << 1 | (c == '[' ? 1 : 0);
      ++position_;
    } else if (c == '}' || c == ']') {
      if (depth == 0 || (closers & 1) != (c == ']' ? 1 : 0)) return Unexpected("a value");
      --depth;
      closers >>= 1;
      ++position_;
    } else if (c == '"') {
      BATON_RETURN_IF_ERROR(SkipString());
    } else if (depth > 0 && (c == ',' || c == ':')) {
      ++position_;
    } else {
      BATON_RETURN_IF_ERROR(SkipWord());
    }
  } while (depth > 0);
  return OkStatus();
}

Status JsonScanner::End() {
  SkipBlanks();
  return position_ == text_.size() ? OkStatus() : Status(Unexpected("the end"));
}

}  // namespace baton::safetensors
