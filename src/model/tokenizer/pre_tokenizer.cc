#include "model/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include <fmt/format.h>

namespace baton {
namespace {

// The expressions are those of the models' own tokenizer files.
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
                               R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kBailing = R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}|)"
                                 R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kSeedCoder = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
                                   R"( ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
    R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr const char* kNewlines = R"([\r\n])";
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kUpToThreeDigits = R"(\p{N}{1,3})";
constexpr const char* kDigits = R"(\p{N}+)";
constexpr const char* kThreeAsciiDigits = "[0-9][0-9][0-9]";
constexpr const char* kPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr const char* kCjk = R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)";
constexpr const char* kNotPunctuation =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)";

// `\s+$`, with a look-behind that spares trying again at every space of a run.
constexpr const char* kTrailingSpaces = R"((?<!\s)\s++\z)";
constexpr const char* kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293})"
    R"(\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-)"
    R"(\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-)"
    R"(\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-)"
    R"(\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18})"
    R"(-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d})"
    R"(\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6})"
    R"(-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4})"
    R"(\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124})"
    R"(\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-)"
    R"(\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee})"
    R"(\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787})"
    R"(\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-)"
    R"(\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb})"
    R"(\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943})"
    R"(]+)";
constexpr const char* kDeepSeekPunctuation =
    R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)";
constexpr const char* kDeepSeek3Kana = R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)";
constexpr const char* kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kSpacedLetters = R"(\s?\p{L}+)";
constexpr const char* kSpacedPunctuation = R"(\s?\p{P}+)";

constexpr size_t kExpressionsMax = 6;
struct Row {
  std::string_view name;
  bool takes_whole_pieces;
  const char* expressions[kExpressionsMax];  // unused ones are null
};
constexpr Row kRows[] = {
    {"default", false, {kPunctuation, kGpt2, kDigits, kThreeAsciiDigits}},
    {"llama-bpe", true, {kLlama3}},
    {"llama3", true, {kLlama3}},
    {"llama-v3", true, {kLlama3}},
    {"falcon3", true, {kLlama3}},
    {"pixtral", true, {kLlama3}},
    {"lfm2", true, {kLlama3}},
    {"falcon-h1", true, {kLlama3}},
    {"midm-2.0", true, {kLlama3}},
    {"jina-v5-nano", true, {kLlama3}},
    {"dbrx", false, {kLlama3}},
    {"smaug-bpe", false, {kLlama3}},
    {"chatglm-bpe", false, {kLlama3}},
    {"glm4", false, {kLlama3}},
    {"glm5", false, {kLlama3}},
    {"gpt-2", false, {kGpt2}},
    {"phi-2", false, {kGpt2}},
    {"mpt", false, {kGpt2}},
    {"olmo", false, {kGpt2}},
    {"jais", false, {kGpt2}},
    {"trillion", false, {kGpt2}},
    {"roberta-bpe", false, {kGpt2}},
    {"jina-es", false, {kGpt2}},
    {"jina-de", false, {kGpt2}},
    {"gigachat", false, {kGpt2}},
    {"granite-docling", false, {kGpt2}},
    {"jina-v1-en", false, {kGpt2}},
    {"jina-v2-code", false, {kGpt2}},
    {"jina-v2-es", false, {kGpt2}},
    {"jina-v2-de", false, {kGpt2}},
    {"a.x-4.0", false, {kGpt2}},
    {"mellum", false, {kGpt2}},
    {"modern-bert", false, {kGpt2}},
    {"exaone4", false, {kGpt2}},
    {"qwen2", false, {kQwen2}},
    {"stablelm2", false, {kQwen2}},
    {"deepseek-r1-qwen", false, {kQwen2}},
    {"megrez", false, {kQwen2}},
    {"hunyuan", false, {kQwen2}},
    {"grok-2", false, {kQwen2}},
    {"solar-open", false, {kQwen2}},
    {"kormo", false, {kQwen2}},
    {"f2llmv2", false, {kQwen2}},
    {"bailingmoe", false, {kBailing}},
    {"bailingmoe2", false, {kBailing}},
    {"llada-moe", false, {kBailing}},
    {"seed-coder", false, {kSeedCoder}},
    {"qwen35", false, {kQwen35}},
    {"starcoder", false, {kDigit, kGpt2}},
    {"refact", false, {kDigit, kGpt2}},
    {"command-r", false, {kDigit, kGpt2}},
    {"smollm", false, {kDigit, kGpt2}},
    {"codeshell", false, {kDigit, kGpt2}},
    {"exaone", false, {kDigit, kGpt2}},
    {"minerva-7b", false, {kDigit, kGpt2}},
    {"mellum2", false, {kDigit, kGpt2}},
    {"falcon", false, {kPunctuation, kGpt2, kThreeAsciiDigits}},
    {"tekken", true, {kTekken}},
    {"gpt-4o", false, {kGpt4o}},
    {"llama4", false, {kGpt4o}},
    {"minimax-m2", false, {kGpt4o}},
    {"kanana2", false, {kGpt4o}},
    {"talkie", false, {kGpt4o}},
    {"bloom", false, {kNotPunctuation}},
    {"poro-chat", false, {kNotPunctuation}},
    {"gpt3-finnish", false, {kNotPunctuation}},
    {"viking", false, {kNotPunctuation, kDigit}},
    {"deepseek-llm",
     false,
     {kNewlines, kDeepSeekLetters, kDeepSeekPunctuation, kTrailingSpaces, kCjk, kDigits}},
    {"deepseek-coder", false, {kNewlines, kSpacedLetters, kSpacedPunctuation, kCjk, kDigit}},
    {"deepseek-v3", false, {kUpToThreeDigits, kDeepSeek3Kana, kDeepSeek3}},
    {"deepseek-r1", false, {kUpToThreeDigits, kDeepSeek3Kana, kDeepSeek3}},
    {"hunyuan-dense", false, {kUpToThreeDigits, kDeepSeek3Kana, kDeepSeek3}},
    {"joyai-llm", false, {kUpToThreeDigits, kDeepSeek3Kana, kDeepSeek3}},
};

std::string KnownNames() {
  std::string names;
  for (const Row& row : kRows) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

}  // namespace

PreTokenizer::PreTokenizer(std::vector<Regex> expressions, bool takes_whole_pieces)
    : expressions_(std::move(expressions)), takes_whole_pieces_(takes_whole_pieces) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

Result<PreTokenizer> PreTokenizer::Create(std::string_view name) {
  if (name.empty()) name = "default";
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    std::vector<Regex> expressions;
    for (const char* pattern : row.expressions) {
      if (pattern != nullptr) expressions.push_back(Regex::Known(pattern));
    }
    return PreTokenizer(std::move(expressions), row.takes_whole_pieces);
  }
  return MakeError(Code::kUnimplemented, "pre-tokenizer '{}' is not supported; supported: {}", name,
                   KnownNames());
}

Result<std::vector<std::string_view>> PreTokenizer::Split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const Regex& expression : expressions_) {
    Regex::Matcher matcher(expression, text.size());
    std::vector<std::string_view> finer;
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
    pieces = std::move(finer);
  }
  return pieces;
}

}  // namespace baton
