#include "apps/baton/models.h"

#include <fmt/format.h>

namespace baton::app {

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return value >= 10 || unit == 0 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                  : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanAge(int64_t seconds) {
  struct Row {
    int64_t seconds;
    const char* unit;
  };
  constexpr Row kRows[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"},
                           {86400, "day"},        {3600, "hour"},        {60, "minute"}};
  for (const Row& row : kRows) {
    const int64_t count = seconds / row.seconds;
    if (count > 0) return fmt::format("{} {}{} ago", count, row.unit, count == 1 ? "" : "s");
  }
  return "just now";
}

std::string HumanCount(uint64_t count) {
  if (count >= 1'000'000'000) return fmt::format("{:.1f}B", static_cast<double>(count) / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.1f}M", static_cast<double>(count) / 1e6);
  return fmt::format("{:.1f}K", static_cast<double>(count) / 1e3);
}

}  // namespace baton::app
