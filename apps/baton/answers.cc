#include "apps/baton/answers.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/baton/models.h"
#include "apps/baton/picture.h"
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

namespace {

void ShowNumbers(const json::value& plan) {
  fmt::print("  {}\n", Text(plan, "reason"));
  const double throughput = Number(plan, "throughput_tokens_per_s");
  const bool several = !List(plan, "instances").empty();
  fmt::print("  {}TTFT {:.1f} ms, decode {:.1f} tokens/s, in all {:.1f} ms{}{}\n",
             several ? "at worst " : "", Number(plan, "ttft_ms"),
             Number(plan, "decode_tokens_per_s"), Number(plan, "total_ms"),
             Number(plan, "exposed_ms") > 0
                 ? fmt::format(", KV exposed {:.1f} ms", Number(plan, "exposed_ms"))
                 : "",
             throughput > 0 ? fmt::format("; {:.1f} tokens/s of all requests", throughput) : "");
}

// Of each instance.
std::string WhatBinds(const json::value& explanation, const char* phase) {
  std::string binds;
  for (const json::value& bound : List(explanation, "bounds")) {
    if (!Flag(bound, "slowest") || Text(bound, "phase") != phase) continue;
    const std::string to = Text(bound, "to");
    binds += binds.empty() ? "" : ", ";
    binds += to.empty() ? fmt::format("{} of {}", Text(bound, "part"), Text(bound, "node"))
                        : fmt::format("link from {} to {}", Text(bound, "node"), to);
  }
  return binds;
}

void ShowWords(const char* title, const json::array& list) {
  if (list.empty()) return;
  fmt::print("{}\n", title);
  for (const json::value& item : list) fmt::print("  {}\n", log::Escape(Text(item, "words")));
}

void ShowExplanation(const json::value& plan, const json::value& explanation) {
  const std::string prefill = WhatBinds(explanation, "prefill");
  const std::string decode = WhatBinds(explanation, "decode");
  if (!prefill.empty()) fmt::print("  prefill is bound by the {}\n", log::Escape(prefill));
  if (!decode.empty()) fmt::print("  decode is bound by the {}\n", log::Escape(decode));
  for (const json::value& bound : List(explanation, "bounds")) {
    if (Flag(bound, "hand_over") && !Flag(plan, "kv_hidden"))
      fmt::print("  the hand-over is bound by the link from {} to {}\n",
                 log::Escape(Text(bound, "node")), log::Escape(Text(bound, "to")));
  }
  ShowWords("what a better part would buy", List(explanation, "upgrades"));
  const json::array& sharded = List(explanation, "sharded");
  if (sharded.empty()) return;
  fmt::print("layers split\n");
  for (const json::value& group : sharded)
    fmt::print("  {:.1f} ms in all, decode {:.1f} tokens/s: {}\n", Number(group, "total_ms"),
               Number(group, "decode_tokens_per_s"), log::Escape(Text(group, "words")));
}

}  // namespace

void ShowPlan(const json::value& plan) {
  ShowNumbers(plan);
  const bool several = !List(plan, "instances").empty();
  for (const json::value& stage : List(plan, "stages"))
    fmt::print("    {}{:<8} {:<16} layers {:>3}-{:<3} {}\n",
               several ? fmt::format("{}: ", 1 + Number(stage, "instance")) : "",
               Text(stage, "role"), Text(stage, "node"),
               static_cast<int>(Number(stage, "first_layer")),
               static_cast<int>(Number(stage, "last_layer")),
               HumanBytes(static_cast<uint64_t>(Number(stage, "memory_bytes"))));
}

int ShowPlans(const json::value& result, bool boxes) {
  const json::value& chosen = result.get_object().at("chosen");
  const json::value* said = result.get_object().if_contains("explanation");
  const json::value explanation = said != nullptr ? *said : json::value(json::object());
  fmt::print("chosen\n");
  ShowNumbers(chosen);
  for (const std::string& line : PictureOf(chosen, explanation, boxes)) fmt::print("  {}\n", line);
  ShowExplanation(chosen, explanation);
  const json::array& others = List(result, "alternatives");
  const bool crowded = Number(chosen, "concurrency") > 1;
  if (!others.empty()) fmt::print("not chosen\n");
  for (const json::value& other : others)
    fmt::print("  {}: TTFT {:.1f} ms, {:.1f} tokens/s, in all {:.1f} ms{}; {}\n",
               Text(other, "reason"), Number(other, "ttft_ms"),
               Number(other, "decode_tokens_per_s"), Number(other, "total_ms"),
               crowded ? fmt::format(", {:.1f} tokens/s of all requests",
                                     Number(other, "throughput_tokens_per_s"))
                       : "",
               Text(other, "why"));
  return 0;
}

}  // namespace baton::app
