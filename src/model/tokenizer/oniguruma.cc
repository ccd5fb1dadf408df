#include "model/tokenizer/oniguruma.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace baton {
namespace {

// Insides of character classes. PCRE2's own \s has U+180E, and its \w lacks marks.
constexpr std::string_view kSpace =
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kWord =
    R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";
constexpr std::string_view kDigit = R"(\p{Nd})";
constexpr std::string_view kHexDigit = "0-9a-fA-F";
constexpr size_t kRepeatMax = 1024;
constexpr size_t kPatternBytesMax = 64 << 10;

// What Unicode has added since the version that PCRE2 10.42 knows, as far as texts have it:
// pictures and Chinese characters.
constexpr std::string_view kNewLetters = R"(\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})";
constexpr std::string_view kNewSymbols =
    R"(\x{2ffc}-\x{2fff}\x{31e4}\x{31e5}\x{31ef}\x{1cc00}-\x{1ccef}\x{1cd00}-\x{1ceb3})"
    R"(\x{1f6dc}\x{1f774}-\x{1f776}\x{1f77b}-\x{1f77f}\x{1f7d9}\x{1f8b2}-\x{1f8bb})"
    R"(\x{1f8c0}\x{1f8c1}\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89}\x{1fa8f}\x{1faad}-\x{1faaf})"
    R"(\x{1fabb}-\x{1fabf}\x{1fac6}\x{1face}\x{1facf}\x{1fada}-\x{1fadc}\x{1fadf})"
    R"(\x{1fae8}\x{1fae9}\x{1faf7}\x{1faf8}\x{1fbcb}-\x{1fbef})";

struct Named {
  std::string_view name;
  std::string_view inside;     // of a character class
  std::string_view more = {};  // of it
};
// Names that Oniguruma knows for what PCRE2 calls otherwise.
constexpr Named kProperties[] = {
    {"alnum", R"(\p{Alphabetic}\p{Nd})"},
    {"alpha", R"(\p{Alphabetic})"},
    {"digit", kDigit},
    {"lower", R"(\p{Lowercase})"},
    {"upper", R"(\p{Uppercase})"},
    {"punct", R"(\p{P})"},
    {"space", kSpace},
    {"word", kWord},
    {"xdigit", kHexDigit},
    {"l", R"(\p{L})", kNewLetters},
    {"lo", R"(\p{Lo})", kNewLetters},
    {"s", R"(\p{S})", kNewSymbols},
    {"so", R"(\p{So})", kNewSymbols},
    {"letter", R"(\p{L})", kNewLetters},
    {"mark", R"(\p{M})"},
    {"number", R"(\p{N})"},
    {"punctuation", R"(\p{P})"},
    {"symbol", R"(\p{S})", kNewSymbols},
    {"separator", R"(\p{Z})"},
};

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsHex(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// The inside of the class of escape \`letter`, or nothing.
std::string_view ClassOf(char letter) {
  switch (letter) {
    case 's':
    case 'S':
      return kSpace;
    case 'w':
    case 'W':
      return kWord;
    case 'd':
    case 'D':
      return kDigit;
    case 'h':
    case 'H':
      return kHexDigit;
    default:
      return {};
  }
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> Run() {
    if (pattern_.size() > kPatternBytesMax)
      return MakeError(Code::kInvalidArgument, "an expression of {} bytes is longer than {}",
                       pattern_.size(), kPatternBytesMax);
    while (!AtEnd()) BATON_RETURN_IF_ERROR(Item());
    return std::move(out_);
  }

 private:
  bool AtEnd() const { return at_ >= pattern_.size(); }
  bool Sees(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  Error Unsupported(std::string_view what) const {
    return MakeError(Code::kUnimplemented, "'{}' in the expression '{}' is not supported", what,
                     pattern_.substr(0, 200));
  }
  void Copy(size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  Status Item() {
    switch (pattern_[at_]) {
      case '\\':
        return Escape();
      case '[':
        return Class();
      case '(':
        return Group();
      case '{':
        return Interval();
      default:
        Copy(1);
        return OkStatus();
    }
  }

  // Behind "(": what kinds of group both engines read alike.
  Status Group() {
    constexpr std::string_view kSame[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?#"};
    constexpr std::string_view kOptions[] = {"(?i:", "(?-i:", "(?i)", "(?-i)"};
    if (!Sees("(?")) {
      if (Sees("(*")) return Unsupported("(*");
      Copy(1);
      return OkStatus();
    }
    for (const std::string_view opening : kSame) {
      if (!Sees(opening)) continue;
      if (opening == "(?#") return Comment();
      Copy(opening.size());
      return OkStatus();
    }
    for (const std::string_view opening : kOptions) {
      if (!Sees(opening)) continue;
      Copy(opening.size());
      return OkStatus();
    }
    return Unsupported(pattern_.substr(at_, 4));
  }

  Status Comment() {
    const size_t end = pattern_.find(')', at_);
    if (end == std::string_view::npos) return Unsupported("(?#");
    at_ = end + 1;
    return OkStatus();
  }

  // {n}, {n,}, {n,m} and {,m}; any other brace is itself.
  Status Interval() {
    const size_t end = pattern_.find('}', at_);
    const std::string_view inside =
        end == std::string_view::npos ? "" : pattern_.substr(at_ + 1, end - at_ - 1);
    const size_t comma = std::min(inside.find(','), inside.size());
    const std::string_view low = inside.substr(0, comma);
    const std::string_view high = comma < inside.size() ? inside.substr(comma + 1) : low;
    const auto digits = [](std::string_view text) {
      return std::all_of(text.begin(), text.end(), IsDigit);
    };
    if (!digits(low) || !digits(high) || (low.empty() && high.empty())) {
      out_ += "\\{";
      ++at_;
      return OkStatus();
    }
    for (const std::string_view number : {low, high}) {
      if (number.size() > 4 || (!number.empty() && std::stoul(std::string(number)) > kRepeatMax))
        return Unsupported(pattern_.substr(at_, end + 1 - at_));
    }
    // Ruby repeats the repetition, PCRE2 makes it possessive.
    if (end + 1 < pattern_.size() && pattern_[end + 1] == '+')
      return Unsupported(pattern_.substr(at_, end + 2 - at_));
    out_ += fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, comma < inside.size() ? "," : "",
                        comma < inside.size() ? high : "");
    at_ = end + 1;
    return OkStatus();
  }

  Status Escape() {
    if (at_ + 1 >= pattern_.size()) return Unsupported("\\");
    const char letter = pattern_[at_ + 1];
    const std::string_view inside = ClassOf(letter);
    if (!inside.empty()) {
      out_ += fmt::format("[{}{}]", letter >= 'a' ? "" : "^", inside);
      at_ += 2;
      return OkStatus();
    }
    if (letter == 'b' || letter == 'B') {
      constexpr std::string_view kEdge = "(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}])";
      constexpr std::string_view kNone = "(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}])";
      out_ +=
          fmt::format("(?:{})", fmt::format(fmt::runtime(letter == 'b' ? kEdge : kNone), kWord));
      at_ += 2;
      return OkStatus();
    }
    if (letter == 'p' || letter == 'P') return Property(false);
    if (std::string_view("AzZGRXK").find(letter) != std::string_view::npos) {
      Copy(2);
      return OkStatus();
    }
    return Character();
  }

  // An escape that stands for one character, inside or outside of a class.
  Status Character() {
    const char letter = pattern_[at_ + 1];
    if (letter == 'x') return HexCharacter();
    if (letter == 'u') return FourHexDigits();
    const bool known = std::string_view("tnrfvae").find(letter) != std::string_view::npos;
    if (IsDigit(letter) || (IsLetter(letter) && !known))
      return Unsupported(pattern_.substr(at_, 2));
    if (letter == 'v') {
      out_ += "\\x{b}";  // PCRE2's is a class
      at_ += 2;
    } else {
      Copy(static_cast<uint8_t>(letter) < 0x80 ? 2 : 1);
    }
    return OkStatus();
  }

  Status HexCharacter() {
    size_t end = at_ + 2;
    const bool braces = end < pattern_.size() && pattern_[end] == '{';
    const size_t begin = braces ? end + 1 : end;
    end = begin;
    while (end < pattern_.size() && IsHex(pattern_[end]) && end - begin < (braces ? 8u : 2u)) ++end;
    const bool closed = !braces || (end < pattern_.size() && pattern_[end] == '}');
    const std::string_view digits = pattern_.substr(begin, end - begin);
    // Without braces Oniguruma reads a byte of the text, which is a character only in ASCII.
    const bool byte = !braces && (digits.empty() || digits[0] > '7') && digits.size() == 2;
    if (digits.empty() || !closed || byte) return Unsupported(pattern_.substr(at_, 4));
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ = end + (braces ? 1 : 0);
    return OkStatus();
  }

  Status FourHexDigits() {
    const std::string_view digits =
        pattern_.substr(std::min(at_ + 2, pattern_.size())).substr(0, 4);
    if (digits.size() < 4 || !std::all_of(digits.begin(), digits.end(), IsHex))
      return Unsupported(pattern_.substr(at_, 6));
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 6;
    return OkStatus();
  }

  // \p{NAME}, \p{^NAME}, \P{NAME}.
  Status Property(bool in_class) {
    const size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos)
      return Unsupported(pattern_.substr(at_, 3));
    std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    bool negated = pattern_[at_ + 1] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    if (name.empty() || !std::all_of(name.begin(), name.end(), [](char c) {
          return IsLetter(c) || IsDigit(c) || c == '_' || c == ' ' || c == '-';
        }))
      return Unsupported(pattern_.substr(at_, end + 1 - at_));
    BATON_RETURN_IF_ERROR(NamedProperty(name, negated, in_class));
    at_ = end + 1;
    return OkStatus();
  }

  Status NamedProperty(std::string_view name, bool negated, bool in_class) {
    const std::string lower = Lower(name);
    for (const Named& property : kProperties) {
      if (property.name != lower) continue;
      if (in_class && negated && name.size() > 2)
        return Unsupported(fmt::format("\\P{{{}}} in a class", name));
      if (in_class && negated) break;
      const std::string inside = std::string(property.inside).append(property.more);
      out_ += in_class ? inside : fmt::format("[{}{}]", negated ? "^" : "", inside);
      return OkStatus();
    }
    // Two letters at most: a general category. Binary properties are named alike. What is left is a
    // script, which PCRE2 otherwise takes for script extensions.
    constexpr std::string_view kBinary[] = {"alphabetic", "lowercase",   "uppercase",  "emoji",
                                            "any",        "white_space", "ideographic"};
    const bool plain = name.size() <= 2 || std::find(std::begin(kBinary), std::end(kBinary),
                                                     lower) != std::end(kBinary);
    out_ += fmt::format("\\{}{{{}{}}}", negated ? 'P' : 'p', plain ? "" : "sc:", name);
    return OkStatus();
  }

  Status Class() {
    Copy(1);
    if (!AtEnd() && pattern_[at_] == '^') Copy(1);
    if (!AtEnd() && pattern_[at_] == ']') return Unsupported("[]");
    while (!AtEnd() && pattern_[at_] != ']') BATON_RETURN_IF_ERROR(ClassItem());
    if (AtEnd()) return Unsupported("[ without ]");
    Copy(1);
    return OkStatus();
  }

  Status ClassItem() {
    if (Sees("[:")) return PosixClass();
    if (Sees("[")) return Unsupported("[ in a class");
    if (Sees("&&")) return Unsupported("&&");
    if (pattern_[at_] != '\\') {
      Copy(1);
      return OkStatus();
    }
    if (at_ + 1 >= pattern_.size()) return Unsupported("\\");
    const char letter = pattern_[at_ + 1];
    const std::string_view inside = ClassOf(letter);
    if (!inside.empty() && letter < 'a') return NegatedInClass(letter);
    if (!inside.empty()) {
      out_ += inside;
      at_ += 2;
      return OkStatus();
    }
    if (letter == 'p' || letter == 'P') return Property(true);
    if (letter == 'b') {
      out_ += "\\x{8}";
      at_ += 2;
      return OkStatus();
    }
    return Character();
  }

  // \S or \D among others in a class: PCRE2's own but for the characters that differ.
  Status NegatedInClass(char letter) {
    if (letter == 'D') {
      out_ += "\\P{Nd}";
    } else if (letter == 'S') {
      // White_Space is Z without U+200B and so on, and some control characters.
      out_ += R"(\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff})"
              R"(\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff})"
              R"(\x{3001}-\x{10ffff})";
    } else {
      return Unsupported(fmt::format("\\{} in a class", letter));
    }
    at_ += 2;
    return OkStatus();
  }

  Status PosixClass() {
    const size_t end = pattern_.find(":]", at_);
    if (end == std::string_view::npos) return Unsupported("[: in a class");
    const std::string_view name = pattern_.substr(at_ + 2, end - at_ - 2);
    // Wider than \\p{Punct}.
    if (name == "punct") out_ += "\\p{S}";
    for (const Named& property : kProperties) {
      if (property.name != name) continue;
      out_.append(property.inside).append(property.more);
      at_ = end + 2;
      return OkStatus();
    }
    return Unsupported(pattern_.substr(at_, end + 2 - at_));
  }

  const std::string_view pattern_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> OnigurumaToPcre2(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace baton
