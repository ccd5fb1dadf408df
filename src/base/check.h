// CHECK: for our own mistakes. A failed CHECK prints one line and stops the process; it is never
// used on input from outside (a file, a frame, a request), which must return a Result instead.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace baton {

// Prints "FILE:LINE: CHECK failed: CONDITION MESSAGE" to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view message);

}  // namespace baton

#define CHECK(condition, ...)                                                                   \
  do {                                                                                          \
    if (!(condition)) [[unlikely]]                                                              \
      ::baton::CheckFailed(__FILE__, __LINE__, #condition, ::baton::CheckMessage(__VA_ARGS__)); \
  } while (false)

namespace baton {

inline std::string CheckMessage() {
  return {};
}
template <typename... Args>
std::string CheckMessage(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}

}  // namespace baton
