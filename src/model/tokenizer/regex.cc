#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer/regex.h"

#include <algorithm>
#include <string>

#include <pcre2.h>

#include "base/check.h"
#include "model/tokenizer/oniguruma.h"

namespace baton {
namespace {

// What a whole search of a text may take: steps between items of the expression and characters.
constexpr uint64_t kWorkMin = 1'000'000;
constexpr uint64_t kWorkPerByte = 64;
constexpr uint32_t kMatchLimit = 100'000'000;
constexpr size_t kStackBytesMin = 32 << 10;
constexpr size_t kStackBytesMax = 8 << 20;

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using CodePtr = std::unique_ptr<pcre2_code, FreeCode>;

std::string MessageOf(int error) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(error, text, sizeof(text)) < 0) return fmt::format("error {}", error);
  return reinterpret_cast<const char*>(text);
}

Result<CodePtr> Compile(std::string_view pattern, uint32_t options) {
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP | options, &error, &offset, context.get()));
  if (code == nullptr)
    return MakeError(Code::kInvalidArgument, "the expression '{}' is not valid: {} at {}", pattern,
                     MessageOf(error), offset);
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without JIT it is only slower
  return code;
}

// What is left to spend, and where the matcher last was.
struct Budget {
  uint64_t work_left = 0;
  size_t position = 0;
};

// PCRE2 calls this between the items of a counted expression: what it passed since the last call is
// what it read.
int CountWork(pcre2_callout_block* block, void* data) {
  Budget& budget = *static_cast<Budget*>(data);
  const size_t position = block->current_position;
  const uint64_t work = 1 + (position > budget.position ? position - budget.position : 0);
  budget.position = position;
  if (work > budget.work_left) return PCRE2_ERROR_MATCHLIMIT;
  budget.work_left -= work;
  return 0;
}

}  // namespace

struct Regex::Program {
  CodePtr code;
};

struct Regex::Matcher::State {
  const pcre2_code* code = nullptr;
  std::unique_ptr<pcre2_match_data, FreeMatchData> data;
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context;
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack;
  Budget budget;
};

Regex::Regex(std::unique_ptr<const Program> program) : program_(std::move(program)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Regex Regex::Known(std::string_view pattern) {
  CodePtr code = Compile(OnigurumaToPcre2(pattern).value(), PCRE2_MULTILINE).value();
  return Regex(std::make_unique<const Program>(Program{std::move(code)}));
}

Result<Regex> Regex::FromFile(std::string_view pattern) {
  BATON_ASSIGN_OR_RETURN(const std::string translated, OnigurumaToPcre2(pattern));
  BATON_ASSIGN_OR_RETURN(CodePtr code, Compile(translated, PCRE2_AUTO_CALLOUT | PCRE2_MULTILINE));
  return Regex(std::make_unique<const Program>(Program{std::move(code)}));
}

Regex::Matcher::Matcher(const Regex& regex, size_t text_bytes) : state_(std::make_unique<State>()) {
  state_->code = regex.program_->code.get();
  state_->data.reset(pcre2_match_data_create_from_pattern(state_->code, nullptr));
  state_->context.reset(pcre2_match_context_create(nullptr));
  state_->stack.reset(pcre2_jit_stack_create(kStackBytesMin, kStackBytesMax, nullptr));
  state_->budget.work_left = kWorkMin + kWorkPerByte * text_bytes;
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
  pcre2_set_callout(state_->context.get(), CountWork, &state_->budget);
  pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
}
Regex::Matcher::~Matcher() = default;

Result<Regex::Match> Regex::Matcher::Find(std::string_view text, size_t from) {
  state_->budget.position = from;
  const int found =
      pcre2_match(state_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                  PCRE2_NO_UTF_CHECK, state_->data.get(), state_->context.get());
  if (found == PCRE2_ERROR_NOMATCH) return Match{text.size() + 1, text.size() + 1};
  if (found < 0)
    return MakeError(Code::kResourceExhausted,
                     "an expression of the tokenizer gave up on a text of {} bytes: {}",
                     text.size(), MessageOf(found));
  const PCRE2_SIZE* at = pcre2_get_ovector_pointer(state_->data.get());
  // With \K in a look-ahead a match can end before it begins.
  return Match{std::min(at[0], at[1]), at[1]};
}

}  // namespace baton
