#include "base/result.h"

#include <array>

namespace baton {
namespace {

constexpr std::array<CodeInfo, 13> kCodes = {{
    {Code::kOk, "ok", 200, false},
    {Code::kInvalidArgument, "invalid_argument", 400, false},
    {Code::kNotFound, "not_found", 404, false},
    {Code::kFailedPrecondition, "failed_precondition", 409, false},
    {Code::kPermissionDenied, "permission_denied", 403, false},
    {Code::kResourceExhausted, "resource_exhausted", 429, true},
    {Code::kUnavailable, "unavailable", 503, true},
    {Code::kDeadlineExceeded, "deadline_exceeded", 504, true},
    {Code::kCancelled, "cancelled", 499, false},
    {Code::kAborted, "aborted", 409, true},
    {Code::kDataLoss, "data_loss", 500, true},
    {Code::kUnimplemented, "unimplemented", 501, false},
    {Code::kInternal, "internal", 500, true},
}};

}  // namespace

const CodeInfo& InfoOf(Code code) {
  const auto index = static_cast<size_t>(code);
  CHECK(index < kCodes.size(), "code {}", index);
  return kCodes[index];
}

Code CodeFromWire(int number) {
  const bool known = number > 0 && number < static_cast<int>(kCodes.size());
  return known ? static_cast<Code>(number) : Code::kInternal;
}

std::string Error::ToString() const {
  return fmt::format("{}: {}", InfoOf(code_).name, message_);
}

Error Error::Within(std::string_view context) const {
  return Error(code_, fmt::format("{}: {}", context, message_));
}

}  // namespace baton
