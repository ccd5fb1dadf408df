#include "apps/baton/picture.h"

#include <algorithm>

#include <fmt/format.h>

#include "apps/baton/answers.h"
#include "apps/baton/models.h"
#include "base/log.h"

namespace baton::app {
namespace {

namespace json = boost::json;

struct Strokes {
  const char *across, *down, *top_left, *top_right, *bottom_left, *bottom_right, *arrow;
};
constexpr Strokes kBoxes = {"─", "│", "┌", "┐", "└", "┘", "↓"};
constexpr Strokes kPlain = {"-", "|", "+", "+", "+", "+", "v"};

// Columns that a text takes: bytes that begin a character.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string Repeated(const char* stroke, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += stroke;
  return text;
}

std::string Milliseconds(double ms) {
  return ms >= 1000 ? fmt::format("{:.2f} s", ms / 1000) : fmt::format("{:.1f} ms", ms);
}

std::string Rate(double bytes_per_s) {
  return fmt::format("{:.4g} Gb/s", bytes_per_s * 8 / 1e9);
}

// What the explanation says of a node in a phase, or of the link from it.
const json::value* BoundOf(const json::value& explanation, const std::string& node,
                           const std::string& phase, bool link) {
  for (const json::value& bound : List(explanation, "bounds")) {
    const bool is_link = !Text(bound, "to").empty();
    if (is_link == link && !Flag(bound, "hand_over") && Text(bound, "node") == node &&
        Text(bound, "phase") == phase)
      return &bound;
  }
  return nullptr;
}

std::string InPhase(const json::value& explanation, const std::string& node,
                    const std::string& phase, double ms) {
  std::string text = phase == "prefill" ? fmt::format("prompt {}", Milliseconds(ms))
                                        : fmt::format("token {}", Milliseconds(ms));
  if (const json::value* bound = BoundOf(explanation, node, phase, false))
    text += fmt::format(" ({:.0f} % {})", 100 * Number(*bound, "share"), Text(*bound, "part"));
  return text;
}

std::string StageLine(const json::value& stage, const json::value& explanation) {
  const std::string role = Text(stage, "role");
  const std::string node = Text(stage, "node");
  std::string line = fmt::format("{}  layers {}-{}  {}", log::Escape(node),
                                 static_cast<int>(Number(stage, "first_layer")),
                                 static_cast<int>(Number(stage, "last_layer")),
                                 HumanBytes(static_cast<uint64_t>(Number(stage, "memory_bytes"))));
  if (role != "decode")
    line += "  " + InPhase(explanation, node, "prefill", Number(stage, "prefill_ms"));
  if (role != "prefill")
    line += "  " + InPhase(explanation, node, "decode", Number(stage, "decode_ms"));
  if (const double joules = Number(stage, "energy_j"); joules > 0)
    line += fmt::format("  {:.3g} J", joules);
  return line;
}

std::vector<std::string> GroupOf(const json::value& plan, const json::value& explanation,
                                 const std::string& role, const Strokes& strokes) {
  std::vector<std::string> inside;
  const std::string phase = role == "prefill" ? "prefill" : "decode";
  std::string previous;
  for (const json::value& stage : List(plan, "stages")) {
    if (Text(stage, "role") != role) continue;
    if (!previous.empty()) {
      const json::value* link = BoundOf(explanation, previous, phase, true);
      inside.push_back(link == nullptr ? strokes.arrow
                                       : fmt::format("{} {}", strokes.arrow,
                                                     Rate(Number(*link, "bytes_per_s"))));
    }
    inside.push_back(StageLine(stage, explanation));
    previous = Text(stage, "node");
  }
  if (inside.empty()) return inside;
  const std::string title = role == "both" ? "prefill and decode" : role;
  size_t width = Width(title) + 1;
  for (const std::string& line : inside) width = std::max(width, Width(line));
  std::vector<std::string> lines = {
      fmt::format("{}{} {} {}{}", strokes.top_left, strokes.across, title,
                  Repeated(strokes.across, width - Width(title) - 1), strokes.top_right)};
  for (const std::string& line : inside)
    lines.push_back(fmt::format("{} {}{} {}", strokes.down, line,
                                std::string(width - Width(line), ' '), strokes.down));
  lines.push_back(fmt::format("{}{}{}", strokes.bottom_left, Repeated(strokes.across, width + 2),
                              strokes.bottom_right));
  return lines;
}

std::string HandOver(const json::value& plan, const json::value& explanation,
                     const Strokes& strokes) {
  std::string text = fmt::format("   {} KV in {}", strokes.arrow, Text(plan, "kv_wire_type"));
  for (const json::value& bound : List(explanation, "bounds")) {
    if (!Flag(bound, "hand_over")) continue;
    text += fmt::format(" over {}, {} in all", Rate(Number(bound, "bytes_per_s")),
                        Milliseconds(Number(bound, "ms")));
  }
  return text + (Flag(plan, "kv_hidden")
                     ? ", hidden behind prefill"
                     : fmt::format(", {} not hidden", Milliseconds(Number(plan, "exposed_ms"))));
}

std::vector<std::string> PictureOfOne(const json::value& plan, const json::value& explanation,
                                      const Strokes& strokes) {
  std::vector<std::string> lines = GroupOf(plan, explanation, "prefill", strokes);
  if (!lines.empty()) lines.push_back(HandOver(plan, explanation, strokes));
  for (const char* role : {"decode", "both"}) {
    for (std::string& line : GroupOf(plan, explanation, role, strokes))
      lines.push_back(std::move(line));
  }
  return lines;
}

// What the explanation says of the nodes of one instance.
json::value ExplanationOf(const json::value& plan, const json::value& explanation) {
  json::array bounds;
  for (const json::value& bound : List(explanation, "bounds")) {
    const auto is_there = [&](const json::value& stage) {
      return Text(stage, "node") == Text(bound, "node");
    };
    const json::array& stages = List(plan, "stages");
    if (std::any_of(stages.begin(), stages.end(), is_there)) bounds.push_back(bound);
  }
  return json::object{{"bounds", std::move(bounds)}};
}

}  // namespace

std::vector<std::string> PictureOf(const json::value& plan, const json::value& explanation,
                                   bool boxes) {
  const Strokes& strokes = boxes ? kBoxes : kPlain;
  const json::array& instances = List(plan, "instances");
  if (instances.empty()) return PictureOfOne(plan, explanation, strokes);
  std::vector<std::string> lines;
  for (size_t i = 0; i < instances.size(); ++i) {
    const json::value& each = instances[i];
    lines.push_back(fmt::format(
        "instance {} of {}: {:.0f} of {:.0f} requests, TTFT {}, {:.1f} tokens/s of each, {:.1f} of "
        "all its own",
        i + 1, instances.size(), Number(each, "concurrency"), Number(plan, "concurrency"),
        Milliseconds(Number(each, "ttft_ms")), Number(each, "decode_tokens_per_s"),
        Number(each, "throughput_tokens_per_s")));
    for (std::string& line : PictureOfOne(each, ExplanationOf(each, explanation), strokes))
      lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace baton::app
