// A template, a zero byte, and the request that it renders.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <boost/json/parse.hpp>

#include "model/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(all.find('\0'), all.size());
  const auto parsed = baton::ChatTemplate::Parse(all.substr(0, end));
  if (!parsed.ok()) return 0;
  baton::RenderInput input;
  boost::system::error_code error;
  const auto json = boost::json::parse(all.substr(std::min(end + 1, size)), error);
  if (!error && json.is_object()) {
    input.variables = json.as_object();
  } else {
    input.variables = {{"messages", {{{"role", "user"}, {"content", "Hi \xC3\xA9"}}}},
                       {"n", 7},
                       {"l", {3, 1, 2}},
                       {"d", {{"z", 1}}},
                       {"s", " text "}};
  }
  const baton::RenderLimits limits{
      .steps_max = 20'000, .memory_max_bytes = 1 << 20, .output_max_bytes = 1 << 20};
  (void)parsed->Render(input, limits).ok();
  return 0;
}
