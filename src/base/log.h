// Logging: one line per event on standard error, control characters escaped (a name or a header
// from outside cannot forge a line). Any thread. Prompts and keys are never logged.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace baton::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

// Process-wide; kWarning until an application says otherwise.
void SetLevel(Level level);
bool Enabled(Level level);
void Write(Level level, std::string_view line);

// `text` with control characters and invalid bytes as \xNN.
std::string Escape(std::string_view text);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug))
    Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kWarning))
    Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kError))
    Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace baton::log
