// Regex: a PCRE2 expression over UTF-8 with Unicode classes, with bounded work.
//
// `\s`, `\w`, `\d` and `\b` mean what Unicode says (White_Space, Alphabetic and so on), as in the
// engines for which models publish their expressions; PCRE2's own differ in a few characters.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace baton {

// Immutable; any thread. Move-only.
class Regex {
 public:
  // An expression of this source that is known to take linear time. CHECKs that it compiles.
  static Regex Known(std::string_view pattern);
  // An expression from a file, in the dialect of Oniguruma (Ruby's syntax), which the `tokenizers`
  // library uses. kUnimplemented for what means something else in PCRE2 and is not translated,
  // kInvalidArgument for what is no expression. Its work is counted.
  static Result<Regex> FromFile(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  struct Match {
    size_t begin = 0;
    size_t end = 0;
  };
  class Matcher;

 private:
  struct Program;
  explicit Regex(std::unique_ptr<const Program> program);
  std::unique_ptr<const Program> program_;
};

// Searches of one expression that share a budget. Its Regex must outlive it. One thread.
class Regex::Matcher {
 public:
  // The budget is for `text_bytes` of text in all.
  Matcher(const Regex& regex, size_t text_bytes);
  Matcher(const Matcher&) = delete;
  ~Matcher();

  // The first match in `text`, which must be valid UTF-8, that begins at or behind `from`; both
  // ends are text.size() + 1 if there is none. kResourceExhausted if the budget is spent.
  Result<Match> Find(std::string_view text, size_t from);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
