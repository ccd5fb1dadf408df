#include <chrono>
#include <ctime>
#include <memory>

#include <boost/json.hpp>

#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "model/chat_template/chat_template.h"
#include "model/open_tokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace baton::app {
namespace {

struct RenderOptions {
  std::string model;
  std::string template_file;
  std::string now;
};

// What renders: the sources and the tokens that they call bos_token and eos_token.
struct TemplateSource {
  ChatTemplates templates;
  std::string bos_token;
  std::string eos_token;
};

Result<boost::json::object> ParseObject(const std::string& text, std::string_view what) {
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = 128;
  boost::json::value json = boost::json::parse(text, error, {}, options);
  if (error) return MakeError(Code::kInvalidArgument, "{} is not JSON: {}", what, error.message());
  if (!json.is_object()) return MakeError(Code::kInvalidArgument, "{} is not a JSON object", what);
  return std::move(json.get_object());
}

std::string TokenText(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

Result<TemplateSource> FromFile(const std::string& path) {
  BATON_ASSIGN_OR_RETURN(const std::string text, os::ReadFile(path));
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(text, error);
  if (error || !json.is_object()) return TemplateSource{{text, ""}, "", ""};
  TemplateSource source;
  BATON_ASSIGN_OR_RETURN(source.templates, ChatTemplatesOf(json.get_object()));
  if (const auto* alone = json.get_object().if_contains("template"); alone && alone->is_string())
    source.templates.standard = alone->get_string();
  if (source.templates.empty())
    return MakeError(Code::kInvalidArgument, "'{}' has no chat_template", path);
  source.bos_token = TokenText(json.get_object(), "bos_token");
  source.eos_token = TokenText(json.get_object(), "eos_token");
  return source;
}

std::string TextOrEmpty(const Vocabulary& vocabulary, TokenId token) {
  return token == kNoToken ? "" : std::string(vocabulary.TextOf(token));
}

Result<TemplateSource> FromModel(const Environment& environment, const std::string& name) {
  BATON_ASSIGN_OR_RETURN(const std::string path, FindModel(environment, name));
  BATON_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(path));
  auto opened = OpenTokenizer(*checkpoint);
  if (!opened.ok()) return opened.error().Within(path);
  if (opened->chat_templates.empty())
    return MakeError(Code::kNotFound, "'{}' has no chat template", path);
  const Vocabulary& vocabulary = opened->tokenizer.vocabulary();
  return TemplateSource{opened->chat_templates, TextOrEmpty(vocabulary, vocabulary.bos()),
                        TextOrEmpty(vocabulary, vocabulary.eos())};
}

// "2026-01-02" or "2026-01-02T03:04:05"; nothing if it is neither.
std::optional<std::chrono::sys_seconds> ParseDate(const std::string& text) {
  int year = 0, hour = 0, minute = 0, second = 0, used = 0;
  unsigned month = 0, day = 0;
  if (std::sscanf(text.c_str(), "%d-%u-%u%n", &year, &month, &day, &used) != 3) return std::nullopt;
  if (static_cast<size_t>(used) < text.size()) {
    int more = 0;
    if (std::sscanf(text.c_str() + used, "%*1[T ]%d:%d:%d%n", &hour, &minute, &second, &more) !=
            3 ||
        static_cast<size_t>(used + more) != text.size())
      return std::nullopt;
  }
  const auto date = std::chrono::year(year) / month / day;
  const bool time_ok =
      hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60;
  if (!date.ok() || !time_ok) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

// The wall clock's civil time here, as if it were UTC.
std::chrono::sys_seconds LocalNow() {
  const std::time_t now = std::time(nullptr);
  std::tm civil{};
  ::localtime_r(&now, &civil);
  return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&civil)));
}

Status Run(const Environment& environment, const RenderOptions& options) {
  BATON_ASSIGN_OR_RETURN(const TemplateSource source, options.template_file.empty()
                                                          ? FromModel(environment, options.model)
                                                          : FromFile(options.template_file));
  BATON_ASSIGN_OR_RETURN(const std::string request, ReadStandardInput());
  RenderInput input;
  BATON_ASSIGN_OR_RETURN(input.variables, ParseObject(request, "the request"));
  const std::string& chosen = source.templates.For(input.variables);
  if (chosen.empty())
    return MakeError(Code::kNotFound, "there is a template for requests with tools only");
  BATON_ASSIGN_OR_RETURN(const ChatTemplate chat_template, ChatTemplate::Parse(chosen));
  // The owner of this machine may name the tokens, too.
  input.bos_token = input.variables.contains("bos_token") ? TokenText(input.variables, "bos_token")
                                                          : source.bos_token;
  input.eos_token = input.variables.contains("eos_token") ? TokenText(input.variables, "eos_token")
                                                          : source.eos_token;
  input.now = ParseDate(options.now).value_or(LocalNow());
  BATON_ASSIGN_OR_RETURN(const auto prompt, chat_template.Render(input));
  const std::string text = TextOf(prompt);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return OkStatus();
}

}  // namespace

void AddRender(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<RenderOptions>();
  CLI::App* verb = root.add_subcommand(
      "render", "the prompt that a chat template makes of a JSON request on standard input");
  CLI::Option* model = verb->add_option("-m,--model", options->model, "GGUF file or model name");
  CLI::Option* file = verb->add_option("--template", options->template_file,
                                       "Jinja source, or a JSON file with chat_template");
  model->excludes(file);
  verb->add_option("--now", options->now, "the date that strftime_now tells, YYYY-MM-DD")
      ->check([](const std::string& text) {
        return ParseDate(text) ? "" : "'" + text + "' is not a date YYYY-MM-DD[THH:MM:SS]";
      });
  verb->callback([options, environment, &chosen] {
    if (options->model.empty() && options->template_file.empty())
      throw CLI::RequiredError("-m or --template");
    chosen = [options, environment] {
      const Status status = Run(environment, *options);
      return status.ok() ? 0 : Fail(status.error());
    };
  });
}

}  // namespace baton::app
