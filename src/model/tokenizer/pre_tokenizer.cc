#include "model/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "model/text/characters.h"
#include "model/text/utf8.h"
#include "model/tokenizer/pre_tokenizer_families.h"

namespace baton {
namespace {

struct DigitRun {
  std::vector<size_t> digits;  // where each begins
  size_t end = 0;
  bool ends_word = false;
};

// The first run of `is_digit` at or behind `from`.
DigitRun NextRun(std::string_view text, size_t from, bool (*is_digit)(char32_t)) {
  DigitRun run;
  for (size_t at = from; at < text.size();) {
    const Utf8Character character = Utf8At(text, at);
    if (is_digit(character.code_point)) {
      run.digits.push_back(at);
    } else if (!run.digits.empty()) {
      run.ends_word = !IsWordCharacter(character.code_point);
      run.end = at;
      return run;
    }
    at += character.length;
  }
  run.ends_word = true;
  run.end = text.size();
  return run;
}

// Where `threes` cuts `text`, in order.
std::vector<size_t> CutsOf(Threes threes, std::string_view text) {
  const auto is_digit = threes == Threes::kNumbers ? IsNumeric : IsDecimalDigit;
  std::vector<size_t> cuts;
  for (size_t at = 0; at < text.size();) {
    const DigitRun run = NextRun(text, at, is_digit);
    at = run.end;
    const size_t count = run.digits.size();
    if (count == 0 || (threes == Threes::kDecimalsOfWord && !run.ends_word)) continue;
    const bool at_ends = threes != Threes::kDecimals;
    if (at_ends && count % 3 != 0) cuts.push_back(run.digits.front());
    for (size_t i = count % 3; i < count; i += 3) cuts.push_back(run.digits[i]);
    if (at_ends) cuts.push_back(run.end);
  }
  return cuts;
}

void AppendCut(std::vector<std::string_view>& pieces, std::string_view piece,
               const std::vector<size_t>& cuts) {
  size_t begin = 0;
  for (const size_t cut : cuts) {
    if (cut > begin) pieces.push_back(piece.substr(begin, cut - begin));
    begin = cut;
  }
  if (begin < piece.size()) pieces.push_back(piece.substr(begin));
}

}  // namespace

struct PreTokenizer::Step {
  std::optional<Regex> expression;
  Threes threes = Threes::kNone;
};

PreTokenizer::PreTokenizer(std::vector<Step> steps, bool takes_whole_pieces)
    : steps_(std::move(steps)), takes_whole_pieces_(takes_whole_pieces) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

Result<PreTokenizer> PreTokenizer::Create(std::string_view name) {
  const auto family = FindPreTokenizerFamily(name);
  if (!family)
    return MakeError(Code::kUnimplemented, "pre-tokenizer '{}' is not supported; supported: {}",
                     name, PreTokenizerNames());
  std::vector<Step> steps;
  for (const Cut& cut : family->cuts) {
    Step step;
    if (cut.expression != nullptr) step.expression = Regex::Known(cut.expression);
    step.threes = cut.threes;
    steps.push_back(std::move(step));
  }
  return PreTokenizer(std::move(steps), family->takes_whole_pieces);
}

Result<std::vector<std::string_view>> PreTokenizer::Split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const Step& step : steps_) {
    std::vector<std::string_view> finer;
    if (step.expression) {
      BATON_ASSIGN_OR_RETURN(finer, SplitAt(*step.expression, pieces, text.size()));
    } else {
      for (const std::string_view piece : pieces)
        AppendCut(finer, piece, CutsOf(step.threes, piece));
    }
    pieces = std::move(finer);
  }
  return pieces;
}

// Matches and what lies between them are pieces.
Result<std::vector<std::string_view>> PreTokenizer::SplitAt(
    const Regex& expression, const std::vector<std::string_view>& pieces, size_t text_bytes) {
  std::vector<std::string_view> finer;
  Regex::Matcher matcher(expression, text_bytes);
  for (const std::string_view piece : pieces) {
    for (size_t at = 0; at < piece.size();) {
      BATON_ASSIGN_OR_RETURN(const Regex::Match match, matcher.Find(piece, at));
      const size_t begin = std::min(match.begin, piece.size());
      const size_t end = std::min(match.end, piece.size());
      if (begin > at) finer.push_back(piece.substr(at, begin - at));
      if (end > begin) finer.push_back(piece.substr(begin, end - begin));
      at = end;
    }
  }
  return finer;
}

}  // namespace baton
