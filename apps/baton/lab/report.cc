#include "apps/baton/lab/report.h"

#include <algorithm>
#include <map>

#include "apps/baton/answers.h"

namespace baton::app {
namespace {

namespace json = boost::json;

struct Quantity {
  const char* name;
  const char* unit;
  double plan::RequestTimes::*value;
};
constexpr Quantity kQuantities[] = {{"TTFT", "s", &plan::RequestTimes::ttft_s},
                                    {"decode", "s", &plan::RequestTimes::decode_s},
                                    {"total", "s", &plan::RequestTimes::total_s},
                                    {"decode rate", "tokens/s", &plan::RequestTimes::tokens_per_s}};

std::optional<double> IfPositive(double value) {
  return value > 0 ? std::optional(value) : std::nullopt;
}

const LabResult* Find(const std::vector<LabResult>& results, const std::string& prefix,
                      const std::string& row) {
  for (const LabResult& result : results) {
    if (result.prefix == prefix && result.row->name == row) return &result;
  }
  return nullptr;
}

std::string Digits(double value) {
  return fmt::format("{:.{}f}", value, value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

// "+1.2 %" of the first against the second.
std::string Difference(std::optional<double> value, std::optional<double> reference) {
  if (!value || !reference || *reference == 0) return "";
  return fmt::format("{:+.1f} %", (*value / *reference - 1) * 100);
}

json::value OrNull(std::optional<double> value) {
  return value ? json::value(*value) : json::value(nullptr);
}

}  // namespace

std::vector<LabLine> LinesOf(const plan::Scenario& scenario,
                             const std::vector<LabResult>& results) {
  std::vector<LabLine> lines;
  std::vector<std::string> prefixes;
  for (const LabResult& result : results) {
    if (std::find(prefixes.begin(), prefixes.end(), result.prefix) == prefixes.end())
      prefixes.push_back(result.prefix);
    for (const Quantity& quantity : kQuantities) {
      LabLine line{.name = fmt::format("{}{}, {}", result.prefix, result.row->name, quantity.name),
                   .unit = quantity.unit,
                   .predicted = result.predicted.*quantity.value,
                   .published = IfPositive(result.row->published.*quantity.value)};
      if (result.run) line.measured = result.run->times.*quantity.value;
      if (&quantity == kQuantities) line.note = result.note;
      lines.push_back(std::move(line));
    }
  }
  for (const std::string& prefix : prefixes) {
    for (const plan::ScenarioRatio& ratio : scenario.ratios) {
      const LabResult* slow = Find(results, prefix, ratio.slow);
      const LabResult* fast = Find(results, prefix, ratio.fast);
      if (slow == nullptr || fast == nullptr) continue;
      LabLine line{.name = prefix + ratio.name,
                   .unit = "times",
                   .predicted = slow->predicted.total_s / fast->predicted.total_s,
                   .published = IfPositive(ratio.published)};
      if (slow->run && fast->run)
        line.measured = slow->run->times.total_s / fast->run->times.total_s;
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

bool TokensAgree(const std::vector<LabResult>& results) {
  // Rows of one length have the same prompts, in the same order.
  std::map<std::tuple<int, int, size_t>, std::string> texts;
  for (const LabResult& result : results) {
    for (size_t i = 0; result.run && i < result.run->texts.size(); ++i) {
      const std::tuple key{result.row->prompt_tokens, result.row->answer_tokens, i};
      if (texts.try_emplace(key, result.run->texts[i]).first->second != result.run->texts[i])
        return false;
    }
  }
  return true;
}

void ShowLines(const std::vector<LabLine>& lines) {
  std::vector<std::vector<std::string>> rows = {{"ROW", "UNIT", "PREDICTED", "MEASURED",
                                                 "AGAINST PREDICTED", "PUBLISHED",
                                                 "AGAINST PUBLISHED", "NOTE"}};
  for (const LabLine& line : lines) {
    rows.push_back(
        {line.name, line.unit, Digits(line.predicted), line.measured ? Digits(*line.measured) : "-",
         Difference(line.measured, line.predicted), line.published ? Digits(*line.published) : "-",
         Difference(line.measured, line.published), line.note});
  }
  PrintTable(rows);
}

json::object ToJson(const plan::Scenario& scenario, const std::vector<LabLine>& lines,
                    const std::vector<LabResult>& results) {
  json::array rows;
  for (const LabLine& line : lines) {
    rows.push_back({{"name", line.name},
                    {"unit", line.unit},
                    {"predicted", line.predicted},
                    {"measured", OrNull(line.measured)},
                    {"published", OrNull(line.published)},
                    {"note", line.note}});
  }
  json::array runs;
  for (const LabResult& result : results) {
    if (!result.run) continue;
    runs.push_back({{"name", result.prefix + result.row->name},
                    {"speed", result.run->speed},
                    {"stages", result.run->stages},
                    {"kv_bytes", result.run->kv_bytes},
                    {"overrun_s", result.run->overrun_s}});
  }
  return {{"title", scenario.title},
          {"model", scenario.model},
          {"tokens_agree", TokensAgree(results)},
          {"rows", std::move(rows)},
          {"runs", std::move(runs)}};
}

// --- The picture ---

namespace {

constexpr double kLeft = 190;
constexpr double kWidth = 1000;
constexpr double kLane = 22;
constexpr double kBar = 16;

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Label(double x, double y, std::string_view text, const char* more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, more, Escaped(text));
}

std::string LaneOf(const LabEvent& event) {
  return event.what == "kv" ? fmt::format("{} to {}", event.node, event.to) : event.node;
}

std::string TellOf(const LabEvent& event) {
  const std::string layers =
      event.first_layer == event.last_layer
          ? fmt::format("layer {}", event.first_layer)
          : fmt::format("layers {} to {}", event.first_layer, event.last_layer);
  const std::string times = fmt::format("{:.4f} to {:.4f} s", event.begin_s, event.end_s);
  if (event.what == "kv")
    return fmt::format("KV of {}, {} tokens from {} on, {:.1f} MB, {}", layers, event.tokens,
                       event.first_token, event.bytes / 1e6, times);
  if (event.what == "prefill")
    return fmt::format("prefill of {} tokens from {} on, {}, {}", event.tokens, event.first_token,
                       layers, times);
  return fmt::format("decode at {}, {} together, {}, {}", event.first_token, event.tokens, layers,
                     times);
}

// Nodes first, then links.
std::vector<std::string> LanesOf(const std::vector<LabEvent>& events) {
  std::vector<std::string> lanes;
  for (const bool links : {false, true}) {
    for (const LabEvent& event : events) {
      if ((event.what == "kv") != links) continue;
      const std::string lane = LaneOf(event);
      if (std::find(lanes.begin(), lanes.end(), lane) == lanes.end()) lanes.push_back(lane);
    }
  }
  return lanes;
}

std::string DrawBars(const LabRun& run, const std::vector<std::string>& lanes, double top,
                     double scale) {
  std::string svg;
  for (const LabEvent& event : run.events) {
    const auto lane = std::find(lanes.begin(), lanes.end(), LaneOf(event)) - lanes.begin();
    svg += fmt::format(
        "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.0f}\">"
        "<title>{}</title></rect>\n",
        event.what, kLeft + event.begin_s * scale, top + static_cast<double>(lane) * kLane,
        std::max(0.4, (event.end_s - event.begin_s) * scale), kBar, Escaped(TellOf(event)));
  }
  return svg;
}

// One row's lanes and axis; `y` is where the next one begins.
std::string DrawRun(const LabResult& result, double& y) {
  const LabRun& run = *result.run;
  double end_s = run.times.total_s;
  for (const LabEvent& event : run.events) end_s = std::max(end_s, event.end_s);
  const double scale = kWidth / end_s;
  const std::vector<std::string> lanes = LanesOf(run.events);
  std::string svg = Label(10, y + 16, result.prefix + result.row->name, "class=\"title\"");
  const double top = y + 28;
  for (size_t i = 0; i < lanes.size(); ++i) {
    const double at = top + static_cast<double>(i) * kLane;
    svg += Label(kLeft - 8, at + 12, lanes[i], "text-anchor=\"end\"");
    svg += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>\n", kLeft,
                       at + kBar + 2, kLeft + kWidth, at + kBar + 2);
  }
  svg += DrawBars(run, lanes, top, scale);
  const double bottom = top + static_cast<double>(lanes.size()) * kLane;
  for (int i = 0; i <= 5; ++i) {
    svg += Label(kLeft + kWidth * i / 5, bottom + 14, fmt::format("{} s", Digits(end_s * i / 5)),
                 "text-anchor=\"middle\"");
  }
  const double ttft = kLeft + run.times.ttft_s * scale;
  svg += fmt::format(
      "<line class=\"ttft\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\">"
      "<title>first token after {:.3f} s</title></line>\n",
      ttft, top - 4, ttft, bottom, run.times.ttft_s);
  y = bottom + 34;
  return svg;
}

}  // namespace

std::string DrawTimelines(const plan::Scenario& scenario, const std::vector<LabResult>& results) {
  double y = 34;
  std::string body;
  for (const LabResult& result : results) {
    if (result.run) body += DrawRun(result, y);
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
             "viewBox=\"0 0 {0:.0f} {1:.0f}\">\n"
             "<style>text {{ font: 12px sans-serif }} .title {{ font-weight: bold }} "
             "line {{ stroke: #ddd }} .ttft {{ stroke: #c00; stroke-dasharray: 4 3 }} "
             ".prefill {{ fill: #3b78c3; stroke: #fff; stroke-width: 0.3 }} "
             ".decode {{ fill: #4a9d5b; stroke: #fff; stroke-width: 0.3 }} "
             ".kv {{ fill: #e08a2e; fill-opacity: 0.55 }}</style>\n"
             "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
             kLeft + kWidth + 40, y) +
         Label(10, 20,
               fmt::format("{} ({}): blue prefill, orange KV on its way, green decode, "
                           "red the first token",
                           scenario.title, scenario.model)) +
         body + "</svg>\n";
}

}  // namespace baton::app
