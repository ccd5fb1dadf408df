#include "model/chat_template/chat_template.h"

#include "model/chat_template/evaluator.h"
#include "model/chat_template/json.h"
#include "model/chat_template/parser.h"

namespace baton {
namespace {

using jinja::Value;

// What a conversion of the request may take beside the limit of the template itself.
constexpr uint64_t kInputMemoryFactor = 16;

uint64_t SizeOf(const boost::json::value& json);

uint64_t SizeOf(const boost::json::object& object) {
  uint64_t size = 16;
  for (const auto& entry : object) size += entry.key().size() + SizeOf(entry.value());
  return size;
}

uint64_t SizeOf(const boost::json::value& json) {
  if (json.is_object()) return SizeOf(json.get_object());
  uint64_t size = 16;
  if (json.is_string()) size += json.get_string().size();
  if (json.is_array()) {
    for (const auto& item : json.get_array()) size += SizeOf(item);
  }
  return size;
}

std::vector<std::pair<std::string, Value>> Variables(jinja::Runtime& runtime,
                                                     const RenderInput& input) {
  std::vector<std::pair<std::string, Value>> variables;
  variables.emplace_back("bos_token", runtime.MakeText(input.bos_token));
  variables.emplace_back("eos_token", runtime.MakeText(input.eos_token));
  // Hugging Face passes these always.
  if (!input.variables.contains("tools")) variables.emplace_back("tools", Value(jinja::None{}));
  if (!input.variables.contains("add_generation_prompt"))
    variables.emplace_back("add_generation_prompt", Value(true));
  for (const auto& entry : input.variables) {
    if (entry.key() == "bos_token" || entry.key() == "eos_token") continue;
    const bool messages = entry.key() == "messages";
    variables.emplace_back(entry.key(), messages ? jinja::MessagesFromJson(runtime, entry.value())
                                                 : jinja::FromJson(runtime, entry.value()));
  }
  return variables;
}

std::vector<PromptSegment> ToSegments(const jinja::Text& text) {
  std::vector<PromptSegment> segments;
  size_t at = 0;
  const auto append = [&](size_t end, bool trusted) {
    if (end > at) segments.push_back({text.bytes().substr(at, end - at), trusted});
    at = end;
  };
  for (const jinja::Span& span : text.untrusted()) {
    append(span.begin, true);
    append(span.end, false);
  }
  append(text.bytes().size(), true);
  return segments;
}

}  // namespace

ChatTemplate::ChatTemplate(std::shared_ptr<const jinja::Template> parsed)
    : parsed_(std::move(parsed)) {}

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  BATON_ASSIGN_OR_RETURN(jinja::Template parsed, jinja::Parse(source));
  return ChatTemplate(std::make_shared<const jinja::Template>(std::move(parsed)));
}

Result<std::vector<PromptSegment>> ChatTemplate::Render(const RenderInput& input,
                                                        const RenderLimits& limits) const {
  const uint64_t input_bytes = SizeOf(input.variables);
  jinja::Runtime runtime(limits.memory_max_bytes + kInputMemoryFactor * input_bytes);
  runtime.steps_left = limits.steps_max + input_bytes;
  runtime.output_max_bytes = limits.output_max_bytes;
  runtime.now_seconds = input.now.time_since_epoch().count();
  auto variables = Variables(runtime, input);
  BATON_RETURN_IF_ERROR(runtime.heap.Check());
  BATON_ASSIGN_OR_RETURN(const jinja::Text text,
                         jinja::Evaluate(*parsed_, runtime, std::move(variables)));
  return ToSegments(text);
}

std::string TextOf(const std::vector<PromptSegment>& prompt) {
  std::string text;
  for (const PromptSegment& segment : prompt) text += segment.text;
  return text;
}

}  // namespace baton
