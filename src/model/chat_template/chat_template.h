// ChatTemplate: a model's Jinja template, parsed once, rendered per request. Renders what Hugging
// Face's environment renders (Jinja2, immutable sandbox, trim_blocks, lstrip_blocks, loop controls,
// tojson without HTML or ASCII escaping, raise_exception, strftime_now, generation blocks).
//
// Templates come with models from strangers, and their input from requests: rendering has no access
// to anything but its data, and its steps, memory, output and depth are bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "model/tokenizer/tokenizer.h"

namespace baton {

namespace jinja {
struct Template;
}

// About 100 ms and 64 MiB at most. What a request's own data takes comes on top.
struct RenderLimits {
  uint64_t steps_max = 1'000'000;        // evaluated nodes plus characters and items handled / 64
  uint64_t memory_max_bytes = 24 << 20;  // strings and collections made while rendering
  uint64_t output_max_bytes = 16 << 20;
};

struct RenderInput {
  // From the request: messages, tools (none where absent), add_generation_prompt (true where
  // absent), chat_template_kwargs. Every character of a string in here stays untrusted wherever the
  // template carries it, but for the roles of messages where the API defines them ("user", ...).
  boost::json::object variables;
  // From the model's vocabulary; override the same names in `variables`. Trusted.
  std::string bos_token;
  std::string eos_token;
  // What strftime_now() tells, as local civil time.
  std::chrono::sys_seconds now;
};

class ChatTemplate {
 public:
  // kInvalidArgument with the line, if the source is not a template.
  static Result<ChatTemplate> Parse(std::string_view source);

  // The prompt, in order; neighbours differ in trust. Fails with kInvalidArgument where the
  // template raises (its message is kept) or the input lacks what it needs, with kResourceExhausted
  // at a limit. Const and without shared state: any thread.
  Result<std::vector<PromptSegment>> Render(const RenderInput& input,
                                            const RenderLimits& limits = {}) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Template> parsed);
  std::shared_ptr<const jinja::Template> parsed_;
};

// The whole prompt as one string.
std::string TextOf(const std::vector<PromptSegment>& prompt);

}  // namespace baton
