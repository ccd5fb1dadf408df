#include "model/chat_template/lexer.h"

#include <algorithm>

#include <utf8proc.h>

#include "model/chat_template/text_methods.h"
#include "model/text/utf8.h"

namespace baton::jinja {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsHexDigit(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool BeginsName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
bool ContinuesName(char c) {
  return BeginsName(c) || IsDigit(c);
}
// Letters, marks, numbers and connectors: what Python allows in a name.
bool IsNameCharacter(char32_t c) {
  const int category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC;
}

// Line ends become "\n"; one at the very end is dropped.
std::string NormalizeNewlines(std::string_view source) {
  std::string normal;
  normal.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    normal += source[i] == '\r' ? '\n' : source[i];
  }
  if (normal.ends_with('\n')) normal.pop_back();
  return normal;
}

// Where white space that reaches to the end of `text` begins.
size_t TrailingSpace(std::string_view text) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    at += c.length;
    if (!IsSpace(c.code_point)) begin = at;
  }
  return begin;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(NormalizeNewlines(source)) {}

  Result<std::vector<Token>> Run() {
    while (at_ < source_.size()) BATON_RETURN_IF_ERROR(Root());
    Emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Error Fail(std::string_view what) const {
    return MakeError(Code::kInvalidArgument, "chat template, line {}: {}", line_, what);
  }
  std::string_view Rest() const { return std::string_view(source_).substr(at_); }
  bool Sees(std::string_view text) const { return Rest().starts_with(text); }

  void Advance(size_t count) {
    line_ +=
        static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                    source_.begin() + static_cast<ptrdiff_t>(at_ + count), '\n'));
    at_ += count;
  }
  void SkipSpace() {
    while (at_ < source_.size()) {
      const Utf8Character c = Utf8At(source_, at_);
      if (!IsSpace(c.code_point)) break;
      Advance(c.length);
    }
  }
  void Emit(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  // The next "{{", "{%" or "{#", or the end.
  size_t NextTag() const {
    for (size_t at = source_.find('{', at_); at != std::string::npos;
         at = source_.find('{', at + 1)) {
      const char next = at + 1 < source_.size() ? source_[at + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return at;
    }
    return source_.size();
  }

  // The character that controls white space behind a two-character opening at `tag`.
  char SignAt(size_t tag) const {
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    return sign == '-' || sign == '+' ? sign : '\0';
  }

  // Emits the text up to `tag`, without what the tag's sign or lstrip_blocks takes away.
  void EmitData(size_t tag, char sign, bool is_variable) {
    std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    if (sign == '-') {
      text = text.substr(0, TrailingSpace(text));
    } else if (sign != '+' && !is_variable) {
      const size_t newline = text.rfind('\n');
      const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line_begin > 0 || line_starting_) && TrailingSpace(text) <= line_begin)
        text = text.substr(0, line_begin);
    }
    if (!text.empty()) Emit(TokenKind::kData, std::string(text));
  }

  Status Root() {
    const size_t tag = NextTag();
    if (tag == source_.size()) {
      EmitData(tag, '+', false);
      Advance(tag - at_);
      return OkStatus();
    }
    const char kind = source_[tag + 1];
    const char sign = SignAt(tag);
    EmitData(tag, sign, kind == '{');
    Advance(tag - at_ + 2 + (sign != '\0' ? 1 : 0));
    line_starting_ = false;
    if (kind == '#') return Comment();
    if (kind == '{') return Tag(TokenKind::kVariableBegin, TokenKind::kVariableEnd);
    if (SkipWordTag("raw", false)) return Raw();
    return Tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd);
  }

  // Behind the two characters of a closing "%}" or "#}" whose sign was `sign`.
  void AfterClose(char sign, bool trims_newline) {
    line_starting_ = false;
    const size_t begin = at_;
    if (sign == '-')
      SkipSpace();
    else if (sign != '+' && trims_newline && Sees("\n"))
      Advance(1);
    line_starting_ = at_ > begin && source_[at_ - 1] == '\n';
  }

  Status Comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) return Fail("missing end of comment");
    const char before = end > at_ ? source_[end - 1] : '\0';
    Advance(end - at_ + 2);
    AfterClose(before == '-' || before == '+' ? before : '\0', true);
    return OkStatus();
  }

  // If what follows is WORD and the end of a block tag, steps over it.
  bool SkipWordTag(std::string_view word, bool trims_newline) {
    const size_t begin = at_;
    const int begin_line = line_;
    SkipSpace();
    if (Sees(word)) {
      Advance(word.size());
      SkipSpace();
      const bool signed_close = Sees("-%}") || (trims_newline && Sees("+%}"));
      if (signed_close || Sees("%}")) {
        const char sign = signed_close ? source_[at_] : '\0';
        Advance(signed_close ? 3 : 2);
        AfterClose(sign, trims_newline);
        return true;
      }
    }
    at_ = begin;
    line_ = begin_line;
    return false;
  }

  Status Raw() {
    const size_t begin = at_;
    const int begin_line = line_;
    const bool line_starting = line_starting_;
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos;
         tag = source_.find("{%", tag + 1)) {
      const char sign = SignAt(tag);
      at_ = tag + 2 + (sign != '\0' ? 1 : 0);
      if (!SkipWordTag("endraw", true)) continue;
      const size_t end = at_;
      const bool next_line_starting = line_starting_;
      at_ = begin;
      line_ = begin_line;
      line_starting_ = line_starting;
      EmitData(tag, sign, false);
      Advance(end - begin);
      line_starting_ = next_line_starting;
      return OkStatus();
    }
    return Fail("missing end of raw block");
  }

  Status Tag(TokenKind begin, TokenKind end) {
    Emit(begin, "");
    open_.clear();
    while (true) {
      SkipSpace();
      if (at_ >= source_.size()) return Fail("unexpected end of template inside a tag");
      if (open_.empty() && Close(end)) return OkStatus();
      BATON_RETURN_IF_ERROR(InsideTag());
    }
  }

  bool Close(TokenKind end) {
    const bool block = end == TokenKind::kBlockEnd;
    const std::string_view close = block ? "%}" : "}}";
    const char sign = Sees("-") || (block && Sees("+")) ? source_[at_] : '\0';
    const size_t skip = sign != '\0' ? 1 : 0;
    if (!Rest().substr(skip).starts_with(close)) return false;
    Emit(end, "");
    Advance(skip + 2);
    AfterClose(sign, block);
    return true;
  }

  Status InsideTag() {
    const char c = source_[at_];
    if (BeginsName(c)) return Name();
    if (IsDigit(c)) return Number();
    if (c == '"' || c == '\'') return String();
    return Operator();
  }

  Status Name() {
    size_t end = at_;
    while (end < source_.size() && ContinuesName(source_[end])) ++end;
    for (size_t at = at_; at < end;) {
      const Utf8Character c = Utf8At(source_, at);
      if (!IsNameCharacter(c.code_point))
        return Fail(fmt::format("unexpected character '{}'", ToUtf8(c.code_point)));
      at += c.length;
    }
    Emit(TokenKind::kName, source_.substr(at_, end - at_));
    Advance(end - at_);
    return OkStatus();
  }

  // Digits with single underscores between them.
  size_t EndOfDigits(size_t at, bool (*is_digit)(char)) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) ||
            (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1]))))
      ++at;
    return at;
  }

  Status Number() {
    const std::string_view rest = Rest();
    const char kind = rest.size() > 2 && rest[0] == '0' ? static_cast<char>(rest[1] | 0x20) : '\0';
    size_t end = 0;
    bool is_float = false;
    if ((kind == 'x' || kind == 'o' || kind == 'b') && IsHexDigit(rest[2])) {
      end = EndOfDigits(at_ + 2, IsHexDigit);
    } else {
      end = EndOfDigits(at_, IsDigit);
      const bool after_dot = !tokens_.empty() && tokens_.back().kind == TokenKind::kOperator &&
                             tokens_.back().text == "." && at_ > 0 && source_[at_ - 1] == '.';
      if (!after_dot) {
        const size_t with_fraction = EndOfFraction(end);
        const size_t with_exponent = EndOfExponent(with_fraction);
        is_float = with_exponent > end;
        end = with_exponent;
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    Emit(is_float ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    Advance(end - at_);
    return OkStatus();
  }

  size_t EndOfFraction(size_t at) const {
    const bool fraction = at + 1 < source_.size() && source_[at] == '.' && IsDigit(source_[at + 1]);
    return fraction ? EndOfDigits(at + 1, IsDigit) : at;
  }
  size_t EndOfExponent(size_t at) const {
    if (at >= source_.size() || (source_[at] != 'e' && source_[at] != 'E')) return at;
    size_t digits = at + 1;
    if (digits < source_.size() && (source_[digits] == '+' || source_[digits] == '-')) ++digits;
    return digits < source_.size() && IsDigit(source_[digits]) ? EndOfDigits(digits, IsDigit) : at;
  }

  Status String() {
    const char quote = source_[at_];
    std::string value;
    for (size_t at = at_ + 1; at < source_.size();) {
      if (source_[at] == quote) {
        Emit(TokenKind::kString, std::move(value));
        Advance(at + 1 - at_);
        return OkStatus();
      }
      if (source_[at] != '\\' || at + 1 >= source_.size()) {
        value += source_[at++];
        continue;
      }
      const size_t used = Unescape(at + 1, value);
      if (used == 0) return Fail("invalid escape in a string");
      at += 1 + used;
    }
    return Fail("unterminated string");
  }

  // Appends what the escape at `at` (behind the backslash) means; returns its length, 0 if invalid.
  size_t Unescape(size_t at, std::string& value) const {
    const char c = source_[at];
    constexpr std::string_view kNames = "nrtabfv\\'\"";
    constexpr std::string_view kMeanings = "\n\r\t\a\b\f\v\\'\"";
    const size_t simple = kNames.find(c);
    if (simple != std::string_view::npos) {
      value += kMeanings[simple];
      return 1;
    }
    if (c == '\n') return 1;
    if (c == 'N') return 0;  // by a name of Unicode's, of which we have no list
    if (c == 'x') return UnescapeHex(at, 2, value);
    if (c == 'u') return UnescapeHex(at, 4, value);
    if (c == 'U') return UnescapeHex(at, 8, value);
    if (c >= '0' && c <= '7') {
      char32_t code_point = 0;
      size_t used = 0;
      for (; used < 3 && at + used < source_.size(); ++used) {
        const char digit = source_[at + used];
        if (digit < '0' || digit > '7') break;
        code_point = code_point * 8 + static_cast<char32_t>(digit - '0');
      }
      value += ToUtf8(code_point);
      return used;
    }
    value += '\\';
    value += c;
    return 1;
  }

  size_t UnescapeHex(size_t at, size_t digits, std::string& value) const {
    if (at + digits >= source_.size()) return 0;
    char32_t code_point = 0;
    for (size_t i = 1; i <= digits; ++i) {
      const char c = source_[at + i];
      if (!IsHexDigit(c)) return 0;
      const int digit = IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
      code_point = code_point << 4 | static_cast<char32_t>(digit);
    }
    value += ToUtf8(code_point);
    return digits + 1;
  }

  Status Operator() {
    constexpr std::string_view kLong[] = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kShort = "+-/*%~[](){}<>=.:|,;";
    std::string text(1, source_[at_]);
    for (const std::string_view candidate : kLong) {
      if (Sees(candidate)) text = candidate;
    }
    if (text.size() == 1 && kShort.find(text[0]) == std::string_view::npos)
      return Fail(fmt::format("unexpected character '{}'", text));
    BATON_RETURN_IF_ERROR(Balance(text[0]));
    Advance(text.size());
    Emit(TokenKind::kOperator, std::move(text));
    return OkStatus();
  }

  // Inside brackets, "}}" and "%}" do not end a tag.
  Status Balance(char c) {
    constexpr std::string_view kOpening = "([{";
    constexpr std::string_view kClosing = ")]}";
    if (kOpening.find(c) != std::string_view::npos) open_ += c;
    const size_t closing = kClosing.find(c);
    if (closing == std::string_view::npos) return OkStatus();
    if (open_.empty() || open_.back() != kOpening[closing])
      return Fail(fmt::format("unexpected '{}'", c));
    open_.pop_back();
    return OkStatus();
  }

  const std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag ended with a newline, or nothing came before
  std::string open_;           // brackets of the current tag
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  if (source.size() > kSourceBytesMax)
    return MakeError(Code::kInvalidArgument, "a chat template of {} bytes is larger than {}",
                     source.size(), kSourceBytesMax);
  return Lexer(source).Run();
}

}  // namespace baton::jinja
