#include "serve/openai.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "model/chat_template/chat_template.h"
#include "os/system.h"

namespace baton::serve {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kJson = "application/json";

std::string_view TypeOf(http::status status) {
  switch (status) {
    case http::status::unauthorized:
      return "authentication_error";
    case http::status::forbidden:
      return "permission_error";
    case http::status::too_many_requests:
      return "rate_limit_error";
    default:
      return static_cast<int>(status) >= 500 ? "server_error" : "invalid_request_error";
  }
}

json::object ErrorObject(http::status status, std::string_view message, std::string_view param,
                         std::string_view code) {
  const auto text_or_null = [](std::string_view text) {
    return text.empty() ? json::value(nullptr) : json::value(json::string(text));
  };
  return {{"error",
           {{"message", json::string(message)},
            {"type", json::string(TypeOf(status))},
            {"param", text_or_null(param)},
            {"code", text_or_null(code)}}}};
}

json::object UsageOf(const cluster::RequestStats& stats, int completion_tokens) {
  return {{"prompt_tokens", stats.prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", stats.prompt_tokens + completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", stats.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", 0}}}};
}

// llama-server's `timings`, and what only a mesh has.
json::object TimingsOf(const cluster::RequestStats& stats) {
  const int computed = stats.prompt_tokens - stats.cached_tokens;
  const int followed = std::max(0, stats.completion_tokens - 1);
  const auto rate = [](double count, double seconds) { return seconds > 0 ? count / seconds : 0; };
  return {{"cache_n", stats.cached_tokens},
          {"prompt_n", computed},
          {"prompt_ms", stats.prefill_s * 1e3},
          {"prompt_per_second", rate(computed, stats.prefill_s)},
          {"predicted_n", stats.completion_tokens},
          {"predicted_ms", stats.decode_s * 1e3},
          {"predicted_per_second", rate(followed, stats.decode_s)},
          {"ttft_ms", stats.ttft_s * 1e3},
          {"second_token_ms", stats.second_token_s * 1e3},
          {"remote_prefill", stats.remote_prefill},
          {"kv_bytes", stats.kv_bytes},
          {"kv_bytes_sent_before_prefill_end", stats.kv_bytes_sent_by_end},
          {"kv_chunks", stats.kv_chunks},
          {"kv_sending_ms", stats.kv_sending_s * 1e3},
          {"attempts", stats.attempts}};
}

std::string PieceOf(const Model& model, TokenId token) {
  return model.tokenizer().Piece(token, /*with_control=*/true);
}

// The token's bytes as far as they are text; the `bytes` field has them all.
json::string TextOfPiece(const std::string& piece) {
  std::string text;
  for (size_t i = 0; i < piece.size();) {
    const auto lead = static_cast<unsigned char>(piece[i]);
    const size_t length = lead < 0x80    ? 1
                          : lead >= 0xf0 ? 4
                          : lead >= 0xe0 ? 3
                          : lead >= 0xc2 ? 2
                                         : 0;
    bool whole = length > 0 && i + length <= piece.size();
    for (size_t k = 1; whole && k < length; ++k)
      whole = (static_cast<unsigned char>(piece[i + k]) & 0xc0) == 0x80;
    text += whole ? piece.substr(i, length) : "\xef\xbf\xbd";
    i += whole ? length : 1;
  }
  return json::string(text);
}

json::object LogprobEntry(const Model& model, TokenId token, float logprob) {
  const std::string piece = PieceOf(model, token);
  json::array bytes;
  for (const char c : piece) bytes.emplace_back(static_cast<unsigned char>(c));
  return {{"token", TextOfPiece(piece)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

void AppendChatLogprobs(const Model& model, const std::vector<cluster::TokenEvent>& tokens,
                        json::array& content) {
  for (const cluster::TokenEvent& token : tokens) {
    json::object entry = LogprobEntry(model, token.token, token.sampled.logprob);
    json::array top;
    for (const engine::TokenLogprob& other : token.sampled.top)
      top.push_back(LogprobEntry(model, other.token, other.logprob));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
}

// The legacy form of /v1/completions.
struct LegacyLogprobs {
  json::array tokens, token_logprobs, top_logprobs, text_offset;
  size_t offset = 0;

  void Append(const Model& model, const std::vector<cluster::TokenEvent>& events) {
    for (const cluster::TokenEvent& event : events) {
      const std::string piece = PieceOf(model, event.token);
      tokens.emplace_back(TextOfPiece(piece));
      token_logprobs.emplace_back(event.sampled.logprob);
      json::object top;
      for (const engine::TokenLogprob& other : event.sampled.top)
        top[TextOfPiece(PieceOf(model, other.token))] = other.logprob;
      top_logprobs.emplace_back(std::move(top));
      text_offset.emplace_back(offset);
      offset += piece.size();
    }
  }
  json::object Take() {
    return {{"tokens", std::exchange(tokens, {})},
            {"token_logprobs", std::exchange(token_logprobs, {})},
            {"top_logprobs", std::exchange(top_logprobs, {})},
            {"text_offset", std::exchange(text_offset, {})}};
  }
};

const char* NameOf(cluster::FinishReason reason) {
  return reason == cluster::FinishReason::kStop ? "stop" : "length";
}

std::string Event(const json::object& data) {
  return "data: " + json::serialize(data) + "\n\n";
}

std::string ErrorEvent(const Error& error) {
  return Event(
      ErrorObject(HttpStatusOf(error.code()), error.message(), {}, InfoOf(error.code()).name));
}

}  // namespace

std::string OpenAiError(http::status status, std::string_view message, std::string_view param,
                        std::string_view code) {
  return json::serialize(ErrorObject(status, message, param, code));
}

http::status HttpStatusOf(Code code) {
  return static_cast<http::status>(InfoOf(code).http_status);
}

// One answer under way.
struct OpenAi::Reply {
  CompletionRequest request;
  std::shared_ptr<const Model> model;
  std::shared_ptr<Generation> generation;
  std::string id;
  int64_t created = 0;
  LegacyLogprobs legacy;

  void Start(asio::io_context& io, cluster::Cluster& cluster, std::vector<TokenId> tokens) {
    generation = Generation::Start(io, cluster, model,
                                   {.model = model->fingerprint(),
                                    .prompt = std::move(tokens),
                                    .sampling = request.sampling,
                                    .max_tokens = request.max_tokens,
                                    .ignore_end = request.ignore_end},
                                   request.stops);
  }

  const char* object() const {
    if (!request.chat) return "text_completion";
    return request.stream ? "chat.completion.chunk" : "chat.completion";
  }
  json::object Envelope(json::array choices) const {
    return {{"id", id},
            {"object", object()},
            {"created", created},
            {"model", request.model},
            {"system_fingerprint", "baton-" + model->fingerprint().substr(0, 12)},
            {"choices", std::move(choices)}};
  }
  json::value LogprobsOf(const std::vector<cluster::TokenEvent>& tokens) {
    if (!request.sampling.logprob) return nullptr;
    if (!request.chat) {
      legacy.Append(*model, tokens);
      return legacy.Take();
    }
    json::array content;
    AppendChatLogprobs(*model, tokens, content);
    return json::object{{"content", std::move(content)}, {"refusal", nullptr}};
  }
  // One chunk of a stream.
  json::object Chunk(json::value delta, json::value logprobs, json::value finish) const {
    json::object choice = {{"index", 0}};
    choice[request.chat ? "delta" : "text"] = std::move(delta);
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish);
    json::object chunk = Envelope({std::move(choice)});
    if (request.include_usage) chunk["usage"] = nullptr;
    return chunk;
  }
  std::string FirstEvent() const {
    if (!request.chat) return {};
    return Event(Chunk(json::object{{"role", "assistant"}, {"content", ""}}, nullptr, nullptr));
  }
  std::string DeltaEvent(const Delta& delta) {
    const json::value text = json::string(delta.text);
    const json::value content = request.chat ? json::value(json::object{{"content", text}}) : text;
    return Event(Chunk(content, LogprobsOf(delta.tokens), nullptr));
  }
  // The last chunk, the usage if asked for, and the end mark.
  std::string LastEvents(const Done& done) const {
    const json::value nothing = request.chat ? json::value(json::object()) : json::value("");
    json::object last = Chunk(nothing, nullptr, NameOf(done.reason));
    last["timings"] = TimingsOf(done.stats);
    std::string events = Event(last);
    if (request.include_usage) {
      json::object usage = Envelope({});
      usage["usage"] = UsageOf(done.stats, generation->completion_tokens());
      events += Event(usage);
    }
    return events + "data: [DONE]\n\n";
  }

  // The whole answer, where it is not streamed.
  std::string text;
  json::array chat_logprobs;

  void Take(const Delta& delta) {
    text += delta.text;
    if (request.chat)
      AppendChatLogprobs(*model, delta.tokens, chat_logprobs);
    else
      legacy.Append(*model, delta.tokens);
  }
  std::string Whole(const Done& done) {
    json::object choice = {{"index", 0}};
    json::value logprobs = nullptr;
    if (request.sampling.logprob && request.chat)
      logprobs = json::object{{"content", std::move(chat_logprobs)}, {"refusal", nullptr}};
    else if (request.sampling.logprob)
      logprobs = legacy.Take();
    if (request.chat)
      choice["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
    else
      choice["text"] = text;
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = NameOf(done.reason);
    json::object body = Envelope({std::move(choice)});
    body["usage"] = UsageOf(done.stats, generation->completion_tokens());
    body["timings"] = TimingsOf(done.stats);
    return json::serialize(body);
  }
};

OpenAi::OpenAi(asio::io_context& io, cluster::Cluster& cluster, const os::Clock& clock)
    : io_(io), cluster_(cluster), clock_(clock) {}

asio::awaitable<void> OpenAi::Complete(Exchange& exchange, bool chat) {
  auto parsed = ParseCompletion(exchange.request().body(), chat, os::RandomU64() >> 2);
  if (const auto* failure = std::get_if<ParseFailure>(&parsed))
    co_return co_await exchange.Respond(
        failure->status, kJson,
        OpenAiError(failure->status, failure->error.message, failure->error.param));
  Reply reply{.request = std::get<CompletionRequest>(std::move(parsed))};
  auto model = cluster_.OpenModel(reply.request.model);
  if (!model.ok()) {
    const bool unknown = model.error().code() == Code::kNotFound;
    const http::status status = HttpStatusOf(model.error().code());
    co_return co_await exchange.Respond(
        status, kJson,
        OpenAiError(status, model.error().message(), unknown ? "model" : "",
                    unknown ? "model_not_found" : ""));
  }
  reply.model = *std::move(model);
  Settle(reply.model->spec().sampling, reply.request);
  auto tokens = co_await Encode(reply.model, reply.request);
  if (!tokens.ok()) {
    const http::status status = HttpStatusOf(tokens.error().code());
    co_return co_await exchange.Respond(
        status, kJson, OpenAiError(status, tokens.error().message(), chat ? "messages" : "prompt"));
  }
  reply.id = (chat ? "chatcmpl-" : "cmpl-") + Hex64(os::RandomU64());
  reply.created = clock_.WallSeconds();
  reply.Start(io_, cluster_, *std::move(tokens));
  exchange.WatchClient([weak = std::weak_ptr(reply.generation)] {
    if (const auto generation = weak.lock()) generation->Cancel();
  });
  if (reply.request.stream)
    co_await Stream(exchange, reply);
  else
    co_await Collect(exchange, reply);
}

asio::awaitable<Result<std::vector<TokenId>>> OpenAi::Encode(std::shared_ptr<const Model> model,
                                                             const CompletionRequest& request) {
  if (!request.tokens.empty()) co_return request.tokens;
  struct Pending {
    explicit Pending(asio::io_context& io) : done(io, asio::steady_timer::time_point::max()) {}
    asio::steady_timer done;
    std::optional<Result<std::vector<TokenId>>> result;
  };
  const auto pending = std::make_shared<Pending>(io_);
  const auto now = std::chrono::sys_seconds(std::chrono::seconds(clock_.WallSeconds()));
  const bool queued = templates_.TryPost([this, pending, model, request, now] {
    auto result = EncodeNow(*model, request, now);
    asio::post(io_, [pending, result = std::move(result)]() mutable {
      pending->result = std::move(result);
      pending->done.cancel();
    });
  });
  if (!queued) co_return Error(Code::kResourceExhausted, "too many prompts wait to be tokenized");
  while (!pending->result) co_await pending->done.async_wait(kAwait);
  co_return *std::move(pending->result);
}

Result<std::vector<TokenId>> OpenAi::EncodeNow(const Model& model, const CompletionRequest& request,
                                               std::chrono::sys_seconds now) {
  if (!request.chat)
    return model.tokenizer().Encode(request.prompt, {.parse_special = false, .add_special = true});
  const std::string& source = model.chat_templates().For(request.template_input);
  if (source.empty())
    return MakeError(Code::kInvalidArgument, "model '{}' has no chat template: use /v1/completions",
                     request.model);
  BATON_ASSIGN_OR_RETURN(const auto chat_template, ChatTemplate::Parse(source));
  const Vocabulary& vocabulary = model.tokenizer().vocabulary();
  RenderInput input{.variables = request.template_input, .now = now};
  if (vocabulary.bos() >= 0) input.bos_token = model.tokenizer().Piece(vocabulary.bos(), true);
  if (vocabulary.eos() >= 0) input.eos_token = model.tokenizer().Piece(vocabulary.eos(), true);
  BATON_ASSIGN_OR_RETURN(const auto prompt, chat_template.Render(input));
  return model.tokenizer().Encode(prompt);
}

asio::awaitable<void> OpenAi::Stream(Exchange& exchange, Reply& reply) {
  // Nothing is sent before the first event: a failure until then has its own status.
  GenerationEvent event = co_await reply.generation->Next();
  if (const Error* error = std::get_if<Error>(&event))
    co_return co_await RespondError(exchange, *error);
  exchange.SetHeader("X-Request-Id", reply.id);
  Status alive = co_await exchange.StartStream("text/event-stream");
  if (alive.ok()) alive = co_await exchange.Write(reply.FirstEvent());
  while (alive.ok()) {
    if (const Delta* delta = std::get_if<Delta>(&event)) {
      alive = co_await exchange.Write(reply.DeltaEvent(*delta));
    } else if (const Error* error = std::get_if<Error>(&event)) {
      // Never a silent end: SDKs raise this as an error.
      (void)co_await exchange.Write(ErrorEvent(*error));
      co_return co_await exchange.EndStream();
    } else {
      const Done& done = std::get<Done>(event);
      Observe(done.stats);
      (void)co_await exchange.Write(reply.LastEvents(done));
      co_return co_await exchange.EndStream();
    }
    if (alive.ok()) event = co_await reply.generation->Next();
  }
  reply.generation->Cancel();
}

asio::awaitable<void> OpenAi::Collect(Exchange& exchange, Reply& reply) {
  for (;;) {
    GenerationEvent event = co_await reply.generation->Next();
    if (const Error* error = std::get_if<Error>(&event))
      co_return co_await RespondError(exchange, *error);
    if (const Delta* delta = std::get_if<Delta>(&event)) {
      reply.Take(*delta);
      continue;
    }
    const Done& done = std::get<Done>(event);
    Observe(done.stats);
    exchange.SetHeader("X-Request-Id", reply.id);
    co_return co_await exchange.Respond(http::status::ok, kJson, reply.Whole(done));
  }
}

asio::awaitable<void> OpenAi::RespondError(Exchange& exchange, const Error& error) {
  const http::status status = HttpStatusOf(error.code());
  if (InfoOf(error.code()).retryable) exchange.SetHeader("Retry-After", "1");
  co_await exchange.Respond(status, kJson,
                            OpenAiError(status, error.message(), {}, InfoOf(error.code()).name));
}

void OpenAi::Observe(const cluster::RequestStats& stats) {
  constexpr size_t kKeptMax = 4096;  // between two scrapes
  if (observed_.ttft_s.size() >= kKeptMax) return;
  observed_.ttft_s.push_back(stats.ttft_s);
  observed_.total_s.push_back(stats.ttft_s + stats.decode_s);
  if (stats.completion_tokens > 1)
    observed_.per_token_s.push_back(stats.decode_s / (stats.completion_tokens - 1));
}

namespace {

json::object ModelObject(const cluster::LocalModel& model, int64_t created) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "baton"},
          {"fingerprint", model.fingerprint}};
}

}  // namespace

asio::awaitable<void> OpenAi::ListModels(Exchange& exchange) {
  json::array list;
  for (const cluster::LocalModel& model : cluster_.local_models())
    list.push_back(ModelObject(model, clock_.WallSeconds()));
  json::object body;
  body["object"] = "list";
  body["data"] = std::move(list);
  co_await exchange.Respond(http::status::ok, kJson, json::serialize(body));
}

asio::awaitable<void> OpenAi::ShowModel(Exchange& exchange, std::string_view name) {
  for (const cluster::LocalModel& model : cluster_.local_models()) {
    if (model.name != name) continue;
    const std::string body = json::serialize(ModelObject(model, clock_.WallSeconds()));
    co_return co_await exchange.Respond(http::status::ok, kJson, body);
  }
  const std::string body =
      OpenAiError(http::status::not_found, fmt::format("no model '{}' on this node", name), "model",
                  "model_not_found");
  co_await exchange.Respond(http::status::not_found, kJson, body);
}

}  // namespace baton::serve
