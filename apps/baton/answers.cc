#include "apps/baton/answers.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/baton/models.h"
#include "base/log.h"

namespace baton::app {

namespace json = boost::json;

std::string Text(const json::value& value, const char* key) {
  const json::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

double Number(const json::value& value, const char* key) {
  const json::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  boost::system::error_code failed;
  const double number = found == nullptr ? 0 : found->to_number<double>(failed);
  return failed ? 0 : number;
}

bool Flag(const json::value& value, const char* key) {
  const json::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_bool() && found->get_bool();
}

const json::array& List(const json::value& value, const char* key) {
  static const json::array kNone;
  const json::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return found != nullptr && found->is_array() ? found->get_array() : kNone;
}

int PrintJson(const json::value& value) {
  fmt::print("{}\n", json::serialize(value));
  return 0;
}

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i + 1 < row.size() ? fmt::format("{:<{}}    ", log::Escape(row[i]), widths[i])
                                 : log::Escape(row[i]);
    }
    fmt::print("{}\n", line);
  }
}

void ShowPlan(const json::value& plan) {
  fmt::print("  {}\n", Text(plan, "reason"));
  fmt::print("  TTFT {:.1f} ms, decode {:.1f} tokens/s, in all {:.1f} ms{}\n",
             Number(plan, "ttft_ms"), Number(plan, "decode_tokens_per_s"), Number(plan, "total_ms"),
             Number(plan, "exposed_ms") > 0
                 ? fmt::format(", KV exposed {:.1f} ms", Number(plan, "exposed_ms"))
                 : "");
  for (const json::value& stage : List(plan, "stages"))
    fmt::print("    {:<8} {:<16} layers {:>3}-{:<3} {}\n", Text(stage, "role"), Text(stage, "node"),
               static_cast<int>(Number(stage, "first_layer")),
               static_cast<int>(Number(stage, "last_layer")),
               HumanBytes(static_cast<uint64_t>(Number(stage, "memory_bytes"))));
}

int ShowPlans(const json::value& result) {
  fmt::print("chosen\n");
  ShowPlan(result.get_object().at("chosen"));
  const json::array& others = List(result, "alternatives");
  if (!others.empty()) fmt::print("not chosen\n");
  for (const json::value& other : others)
    fmt::print("  {}: {:.1f} ms; {}\n", Text(other, "reason"), Number(other, "total_ms"),
               Text(other, "why"));
  return 0;
}

}  // namespace baton::app
