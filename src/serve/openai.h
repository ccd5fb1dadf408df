// The OpenAI dialect: /v1/chat/completions, /v1/completions, /v1/models. Wire facts from OpenAI's
// published API document; what it leaves open, as llama-server does it (top_k, min_p, timings).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "cluster/cluster.h"
#include "os/clock.h"
#include "os/worker.h"
#include "serve/generation.h"
#include "serve/http_server.h"
#include "serve/json_fields.h"

namespace baton::serve {

// {"error": {"message", "type", "param", "code"}}, all four always there.
std::string OpenAiError(http::status status, std::string_view message, std::string_view param = {},
                        std::string_view code = {});
http::status HttpStatusOf(Code code);

// One completion request, parsed and checked.
struct CompletionRequest {
  std::string model;
  bool chat = false;
  json::object template_input;      // chat: messages, tools, ...
  std::string prompt;               // completions, where it is text
  std::vector<TokenId> tokens;      // completions, where it is token ids
  SamplingChoice choice;            // the rest of `sampling` waits for the model's advice
  engine::SamplingParams sampling;  // see Settle()
  std::vector<std::string> stops;
  int max_tokens = -1;
  bool ignore_end = false;
  bool stream = false;
  bool include_usage = false;
};

// Completes `sampling`: by the request's word, else the model's advice, else what local servers
// use.
void Settle(const SamplingChoice& advice, CompletionRequest& request);

struct ParseFailure {
  http::status status = http::status::bad_request;
  FieldError error;
};
// `random_seed` is used where the request names none.
std::variant<CompletionRequest, ParseFailure> ParseCompletion(std::string_view body, bool chat,
                                                              uint64_t random_seed);

class OpenAi {
 public:
  // All outlive it.
  OpenAi(asio::io_context& io, cluster::Cluster& cluster, const os::Clock& clock);

  asio::awaitable<void> Complete(Exchange& exchange, bool chat);
  asio::awaitable<void> ListModels(Exchange& exchange);
  asio::awaitable<void> ShowModel(Exchange& exchange, std::string_view name);

  // Seconds, for /metrics.
  struct Observations {
    std::vector<double> ttft_s;
    std::vector<double> total_s;
    std::vector<double> per_token_s;
  };
  // Those since the last call.
  Observations TakeObservations() { return std::exchange(observed_, {}); }

 private:
  struct Reply;
  asio::awaitable<Result<std::vector<TokenId>>> Encode(std::shared_ptr<const Model> model,
                                                       const CompletionRequest& request);
  // Any thread.
  static Result<std::vector<TokenId>> EncodeNow(const Model& model,
                                                const CompletionRequest& request,
                                                std::chrono::sys_seconds now);
  static asio::awaitable<void> RespondError(Exchange& exchange, const Error& error);
  asio::awaitable<void> Stream(Exchange& exchange, Reply& reply);
  asio::awaitable<void> EndStream(Exchange& exchange, Reply& reply, const Done& done);
  asio::awaitable<void> Collect(Exchange& exchange, Reply& reply);
  void Observe(const cluster::RequestStats& stats);

  asio::io_context& io_;
  cluster::Cluster& cluster_;
  const os::Clock& clock_;
  os::Worker templates_{"templates", 256};  // rendering and tokenizing, off the I/O loop
  Observations observed_;
};

}  // namespace baton::serve
