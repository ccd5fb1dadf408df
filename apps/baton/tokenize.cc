#include <charconv>
#include <memory>

#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "model/open_tokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace baton::app {
namespace {

struct TokenizeOptions {
  std::string model;
  bool decode = false;
  EncodeOptions encode;
};

// A file that holds a vocabulary is enough: it needs no weights.
Result<Tokenizer> TokenizerOf(const Environment& environment, const std::string& name) {
  BATON_ASSIGN_OR_RETURN(const std::string path, FindModel(environment, name));
  BATON_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(path));
  auto opened = OpenTokenizer(*checkpoint);
  if (!opened.ok()) return opened.error().Within(path);
  return std::move(opened->tokenizer);
}

// Numbers with white space or commas between them.
Result<std::vector<TokenId>> ParseTokens(std::string_view text, int32_t vocab_size) {
  std::vector<TokenId> tokens;
  constexpr std::string_view kSeparators = " ,\t\r\n";
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kSeparators), text.size()));
    if (text.empty()) return tokens;
    const std::string_view word = text.substr(0, text.find_first_of(kSeparators));
    TokenId token = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), token);
    if (error != std::errc() || end != word.data() + word.size() || token < 0 ||
        token >= vocab_size)
      return MakeError(Code::kInvalidArgument, "'{}' is not a token id below {}", word, vocab_size);
    tokens.push_back(token);
    text.remove_prefix(word.size());
  }
}

Status Run(const Environment& environment, const TokenizeOptions& options) {
  BATON_ASSIGN_OR_RETURN(const Tokenizer tokenizer, TokenizerOf(environment, options.model));
  BATON_ASSIGN_OR_RETURN(const std::string input, ReadStandardInput());
  if (options.decode) {
    BATON_ASSIGN_OR_RETURN(const auto tokens, ParseTokens(input, tokenizer.vocab_size()));
    const std::string text = tokenizer.Decode(tokens, true);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return OkStatus();
  }
  BATON_ASSIGN_OR_RETURN(const auto tokens, tokenizer.Encode(input, options.encode));
  fmt::print("{}\n", fmt::join(tokens, " "));
  return OkStatus();
}

}  // namespace

void AddTokenize(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* verb = root.add_subcommand("tokenize", "token ids of standard input, on one line");
  verb->add_option("-m,--model", options->model, "GGUF file or model name")->required();
  verb->add_flag("--decode", options->decode, "the way back: token ids in, text out");
  verb->add_flag("--add-special", options->encode.add_special, "add BOS and EOS as the model asks");
  verb->add_flag("--parse-special", options->encode.parse_special,
                 "text that spells a control token becomes that token");
  verb->callback([options, environment, &chosen] {
    chosen = [options, environment] {
      const Status status = Run(environment, *options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
