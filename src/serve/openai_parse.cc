#include <cmath>

#include "serve/openai.h"

namespace baton::serve {
namespace {

constexpr size_t kMessagesMax = 4096;
constexpr size_t kStopsMax = 16;
constexpr size_t kBiasesMax = 1024;
constexpr size_t kPromptTokensMax = 1 << 22;
constexpr int64_t kTokensMax = 1 << 24;

// What local servers use where the request is silent.
constexpr float kTemperature = 0.8f;
constexpr int kTopK = 40;
constexpr float kTopP = 0.95f;
constexpr float kMinP = 0.05f;

std::optional<float> FloatIn(Fields& fields, const char* name, double most) {
  const auto number = fields.Number(name, 0, most);
  return number ? std::optional(static_cast<float>(*number)) : std::nullopt;
}

void ReadSampling(Fields& fields, CompletionRequest& request) {
  const auto top_k = fields.Integer("top_k", 0, kTokensMax);
  request.choice = {.temperature = FloatIn(fields, "temperature", 2),
                    .top_k = top_k ? std::optional(static_cast<int32_t>(*top_k)) : std::nullopt,
                    .top_p = FloatIn(fields, "top_p", 1),
                    .min_p = FloatIn(fields, "min_p", 1)};
  engine::SamplingParams& sampling = request.sampling;
  sampling.presence_penalty =
      static_cast<float>(fields.Number("presence_penalty", -2, 2).value_or(0));
  sampling.frequency_penalty =
      static_cast<float>(fields.Number("frequency_penalty", -2, 2).value_or(0));
  sampling.repeat_penalty =
      static_cast<float>(fields.Number("repeat_penalty", 0.01, 10).value_or(1));
}

void ReadBias(Fields& fields, engine::SamplingParams& sampling) {
  const json::object* biases = fields.Object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kBiasesMax)
    return fields.Fail("logit_bias",
                       fmt::format("'logit_bias' has {} entries, at most {} are allowed",
                                   biases->size(), kBiasesMax));
  for (const auto& item : *biases) {
    const std::string key(item.key().data(), item.key().size());
    char* end = nullptr;
    const long token = std::strtol(key.c_str(), &end, 10);
    boost::system::error_code not_a_number;
    const double bias = item.value().to_number<double>(not_a_number);
    if (key.empty() || *end != '\0' || token < 0 || token > kTokensMax || not_a_number ||
        std::abs(bias) > 100)
      return fields.Fail(
          "logit_bias", fmt::format("'logit_bias' maps token ids to -100..100, not '{}' to {}", key,
                                    json::serialize(item.value())));
    sampling.logit_bias.emplace_back(static_cast<TokenId>(token), static_cast<float>(bias));
  }
}

void ReadStops(Fields& fields, std::vector<std::string>& stops) {
  const json::value* stop = fields.Any("stop");
  if (stop == nullptr) return;
  if (const json::string* one = stop->if_string()) {
    stops.emplace_back(*one);
  } else if (const json::array* list = fields.List("stop", kStopsMax)) {
    for (const json::value& item : *list) {
      const json::string* text = item.if_string();
      if (text == nullptr)
        return fields.Fail("stop",
                           fmt::format("'stop' holds {}, not a string", json::serialize(item)));
      stops.emplace_back(*text);
    }
  }
  std::erase(stops, std::string());
}

void ReadLengths(Fields& fields, CompletionRequest& request) {
  const auto most = fields.Integer("max_completion_tokens", 1, kTokensMax);
  const auto older = fields.Integer("max_tokens", -1, kTokensMax);
  if (older && *older == 0) fields.Fail("max_tokens", "'max_tokens' must be at least 1, not 0");
  request.max_tokens = static_cast<int>(most.value_or(older.value_or(-1)));
  request.ignore_end = fields.Flag("ignore_eos").value_or(false);
}

// What templates are written for: no member is null, and what a model thought goes by the names
// that templates ask for. So transformers' apply_chat_template() does it.
json::object ForTemplates(const json::object& message) {
  constexpr const char* kContent = "reasoning_content";
  constexpr const char* kThinking = "thinking";
  json::object prepared;
  for (const auto& member : message) {
    if (!member.value().is_null()) prepared.insert(member);
  }
  for (const char* name : {kContent, kThinking, "reasoning"}) {
    const json::value* found = prepared.if_contains(name);
    if (found == nullptr) continue;
    const json::value reasoning = *found;
    prepared.emplace(kThinking, reasoning);
    prepared.insert_or_assign(kContent, reasoning);
    break;
  }
  return prepared;
}

void ReadMessages(Fields& fields, CompletionRequest& request) {
  const json::array* messages = fields.List("messages", kMessagesMax);
  if (messages == nullptr || messages->empty())
    return fields.Fail("messages", "'messages' must be a list of at least one message");
  json::array prepared;
  for (const json::value& item : *messages) {
    const json::object* message = item.if_object();
    const json::value* role = message == nullptr ? nullptr : message->if_contains("role");
    if (role == nullptr || !role->is_string())
      return fields.Fail("messages", "each of 'messages' must be an object with a 'role'");
    prepared.push_back(ForTemplates(*message));
  }
  request.template_input["messages"] = std::move(prepared);
  request.template_input["add_generation_prompt"] = true;
  for (const char* name : {"tools", "documents"}) {
    if (const json::array* list = fields.List(name, kMessagesMax))
      request.template_input[name] = *list;
  }
  if (const json::object* more = fields.Object("chat_template_kwargs")) {
    for (const auto& item : *more) request.template_input[item.key()] = item.value();
  }
}

void ReadPrompt(Fields& fields, CompletionRequest& request) {
  const json::value* prompt = fields.Any("prompt");
  if (prompt == nullptr) return fields.Fail("prompt", "'prompt' is missing");
  if (const json::string* text = prompt->if_string()) {
    request.prompt = std::string(*text);
    return;
  }
  const json::array* list = fields.List("prompt", kPromptTokensMax);
  if (list == nullptr) return;
  if (list->size() == 1 && list->front().is_string()) {
    request.prompt = std::string(list->front().get_string());
    return;
  }
  for (const json::value& item : *list) {
    const int64_t* token = item.if_int64();
    if (token == nullptr || *token < 0 || *token > kTokensMax)
      return fields.Fail("prompt", "'prompt' must be one string or one list of token ids");
    request.tokens.push_back(static_cast<TokenId>(*token));
  }
  if (request.tokens.empty()) fields.Fail("prompt", "'prompt' is empty");
}

void ReadLogprobs(Fields& fields, CompletionRequest& request) {
  engine::SamplingParams& sampling = request.sampling;
  if (!request.chat) {
    const auto top = fields.Integer("logprobs", 0, 20);
    sampling.logprob = top.has_value();
    sampling.top_logprobs = static_cast<int>(top.value_or(0));
    return;
  }
  sampling.logprob = fields.Flag("logprobs").value_or(false);
  sampling.top_logprobs = static_cast<int>(fields.Integer("top_logprobs", 0, 20).value_or(0));
  if (sampling.top_logprobs > 0 && !sampling.logprob)
    fields.Fail("top_logprobs", "'top_logprobs' needs 'logprobs': true");
}

// What we do not do is refused, not ignored: a wrong answer would look right.
void RefuseUnsupported(Fields& fields) {
  const auto choices = fields.Integer("n", 1, 128);
  if (choices && *choices != 1) fields.Fail("n", fmt::format("'n' must be 1, not {}", *choices));
  if (const json::object* format = fields.Object("response_format")) {
    const json::value* type = format->if_contains("type");
    if (type == nullptr || *type != "text")
      fields.Fail("response_format", "'response_format' other than text is not supported");
  }
  if (fields.Flag("echo").value_or(false)) fields.Fail("echo", "'echo' is not supported");
  if (fields.Text("suffix")) fields.Fail("suffix", "'suffix' is not supported");
  const auto best_of = fields.Integer("best_of", 1, 128);
  if (best_of && *best_of != 1) fields.Fail("best_of", "'best_of' must be 1");
}

}  // namespace

void Settle(const SamplingChoice& advice, CompletionRequest& request) {
  const SamplingChoice& asked = request.choice;
  engine::SamplingParams& sampling = request.sampling;
  const auto first = [](auto said, auto advised, auto usual) {
    return said.value_or(advised.value_or(usual));
  };
  sampling.temperature = first(asked.temperature, advice.temperature, kTemperature);
  sampling.top_k = first(asked.top_k, advice.top_k, kTopK);
  sampling.top_p = first(asked.top_p, advice.top_p, kTopP);
  sampling.min_p = first(asked.min_p, advice.min_p, kMinP);
  if (sampling.top_p > 0) return;
  sampling.top_p = 1;  // the most likely token alone
  sampling.top_k = 1;
}

std::variant<CompletionRequest, ParseFailure> ParseCompletion(std::string_view body, bool chat,
                                                              uint64_t random_seed) {
  const auto parsed = ParseJson(body);
  if (!parsed.ok()) return ParseFailure{http::status::bad_request, {"", parsed.error().message()}};
  const json::object* object = parsed->if_object();
  if (object == nullptr)
    return ParseFailure{http::status::bad_request, {"", "the body must be a JSON object"}};
  Fields fields(*object);
  CompletionRequest request;
  request.chat = chat;
  request.model = fields.Text("model").value_or("");
  if (request.model.empty()) fields.Fail("model", "'model' is missing");
  if (chat)
    ReadMessages(fields, request);
  else
    ReadPrompt(fields, request);
  ReadSampling(fields, request);
  ReadBias(fields, request.sampling);
  ReadLogprobs(fields, request);
  ReadStops(fields, request.stops);
  ReadLengths(fields, request);
  RefuseUnsupported(fields);
  constexpr int64_t kSeedMax = int64_t{1} << 62;
  const auto seed = fields.Integer("seed", -kSeedMax, kSeedMax);
  request.sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed;
  request.stream = fields.Flag("stream").value_or(false);
  if (const json::object* options = fields.Object("stream_options")) {
    const json::value* usage = options->if_contains("include_usage");
    request.include_usage = usage != nullptr && usage->is_bool() && usage->get_bool();
  }
  if (fields.error()) return ParseFailure{http::status::bad_request, *fields.error()};
  return request;
}

}  // namespace baton::serve
