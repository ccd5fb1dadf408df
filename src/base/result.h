// Result<T>: a value or an Error. Here a failure is data: it crosses threads, the wire, HTTP and a
// retry decision, so it is a small value with a code, one sentence and nothing else.
//
//   Result<Config> Parse(std::string_view text);
//   BATON_ASSIGN_OR_RETURN(const Config config, Parse(text));
//   BATON_RETURN_IF_ERROR(Apply(config));
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/check.h"

namespace baton {

// What kind of failure. The numbers are on the wire (docs/formats/wire.md): never renumber.
enum class Code : int {
  kOk = 0,
  kInvalidArgument = 1,     // the caller's input is wrong and will stay wrong
  kNotFound = 2,            // a model, node or file that is not there
  kFailedPrecondition = 3,  // right request, wrong state: version or model mismatch
  kPermissionDenied = 4,    // not invited, revoked, or no key
  kResourceExhausted = 5,   // a bound was reached: memory, queue, pages
  kUnavailable = 6,         // a node or link that may come back
  kDeadlineExceeded = 7,    // a wait ended before its event
  kCancelled = 8,           // the caller went away
  kAborted = 9,             // fenced: an older epoch or an expired lease
  kDataLoss = 10,           // checksum or length mismatch
  kUnimplemented = 11,      // known and not supported
  kInternal = 12,           // a failure below us that we cannot name better
};

// One row of the table that every boundary uses: HTTP, the wire, and the retry decision.
struct CodeInfo {
  Code code;
  std::string_view name;  // as in logs, metrics and JSON
  int http_status;
  bool retryable;  // may the same request succeed elsewhere or later?
};
const CodeInfo& InfoOf(Code code);
// The code with this wire number, kInternal if there is none.
Code CodeFromWire(int number);

class Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {
    CHECK(code != Code::kOk);
  }

  Code code() const { return code_; }
  // One sentence that holds the offending value; no trailing full stop, no newline.
  const std::string& message() const { return message_; }
  // "invalid_argument: MESSAGE".
  std::string ToString() const;
  // The same failure seen from further out: "CONTEXT: MESSAGE".
  Error Within(std::string_view context) const;

 private:
  Code code_;
  std::string message_;
};

template <typename... Args>
Error MakeError(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// A Result without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !error_.has_value(); }
  const Error& error() const {
    CHECK(error_.has_value(), "error() of an ok Status");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

inline Status OkStatus() {
  return Status();
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  const Error& error() const {
    CHECK(!ok(), "error() of an ok Result");
    return std::get<1>(state_);
  }
  T& value() & {
    CHECK(ok(), "value() of a failed Result: {}", error().message());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok(), "value() of a failed Result: {}", error().message());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok(), "value() of a failed Result: {}", error().message());
    return std::get<0>(std::move(state_));
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  Status status() const { return ok() ? Status() : Status(error()); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace baton

#define BATON_CONCAT_INNER(a, b) a##b
#define BATON_CONCAT(a, b) BATON_CONCAT_INNER(a, b)

#define BATON_RETURN_IF_ERROR(expression)                \
  do {                                                   \
    auto baton_status = (expression);                    \
    if (!baton_status.ok()) return baton_status.error(); \
  } while (false)

#define BATON_ASSIGN_OR_RETURN(declaration, expression) \
  BATON_ASSIGN_OR_RETURN_INNER(BATON_CONCAT(baton_result_, __LINE__), declaration, expression)
#define BATON_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return result.error();                            \
  declaration = std::move(result).value()
