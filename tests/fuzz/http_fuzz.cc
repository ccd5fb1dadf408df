// Requests from strangers: HTTP as the server reads it, then the JSON of its body. An input that
// begins with '{' or '[' is taken for a body, so that the fuzzer need not learn HTTP first.
// fuzz: modules serve
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/check.h"
#include "serve/http_server.h"
#include "serve/openai.h"

namespace baton::serve {
namespace {

void TryBody(std::string_view body) {
  const auto value = ParseJson(body);
  if (value.ok()) CHECK(ParseJson(json::serialize(*value)).ok());
  for (const bool chat : {true, false}) {
    const auto parsed = ParseCompletion(body, chat, 1);
    const auto* request = std::get_if<CompletionRequest>(&parsed);
    if (request == nullptr) {
      const FieldError& error = std::get<ParseFailure>(parsed).error;
      CHECK(ParseJson(OpenAiError(http::status::bad_request, error.message, error.param)).ok());
      continue;
    }
    CHECK(!request->model.empty());
    CHECK(engine::Validate(request->sampling).ok());
    CHECK(request->max_tokens == -1 || request->max_tokens > 0);
  }
}

void TryRequest(std::string_view bytes) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(HttpServer::kHeaderBytesMax);
  parser.body_limit(HttpServer::kBodyBytesMax);
  parser.eager(true);
  boost::system::error_code failed;
  while (!bytes.empty() && !parser.is_done()) {
    const size_t used = parser.put(asio::buffer(bytes.data(), bytes.size()), failed);
    bytes.remove_prefix(used);
    if (failed || used == 0) break;
  }
  if (failed && failed != http::error::need_more) return;
  if (parser.is_header_done()) TryBody(parser.get().body());
}

}  // namespace
}  // namespace baton::serve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with('{') || input.starts_with('['))
    baton::serve::TryBody(input);
  else
    baton::serve::TryRequest(input);
  return 0;
}
