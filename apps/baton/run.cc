// `baton run`: one prompt, or a conversation.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include <histedit.h>

#include "apps/baton/client.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "base/log.h"

namespace baton::app {
namespace {

namespace json = boost::json;

struct RunOptions {
  std::string model;
  std::vector<std::string> prompt;
  std::string system;
  json::object parameters;  // what goes into every request: temperature, seed, ...
  bool verbose = false;
};

volatile std::sig_atomic_t g_interrupted = 0;
void OnInterrupt(int) {
  g_interrupted = 1;
}

double Number(const json::object& object, const char* key) {
  const json::value* found = object.if_contains(key);
  boost::system::error_code failed;
  const double number = found == nullptr ? 0 : found->to_number<double>(failed);
  return failed ? 0 : number;
}

void PrintTimings(const json::object& timings, double seconds_total) {
  const auto line = [](const char* name, const std::string& value) {
    fmt::print(stderr, "{:<22}{}\n", name, value);
  };
  const auto milliseconds = [](double ms) { return fmt::format("{:.3f}ms", ms); };
  line("total duration:", milliseconds(seconds_total * 1e3));
  line("time to first token:", milliseconds(Number(timings, "ttft_ms")));
  line("prompt eval count:", fmt::format("{} token(s)", Number(timings, "prompt_n")));
  line("prompt eval duration:", milliseconds(Number(timings, "prompt_ms")));
  line("prompt eval rate:", fmt::format("{:.2f} tokens/s", Number(timings, "prompt_per_second")));
  line("eval count:", fmt::format("{} token(s)", Number(timings, "predicted_n")));
  line("eval duration:", milliseconds(Number(timings, "predicted_ms")));
  line("eval rate:", fmt::format("{:.2f} tokens/s", Number(timings, "predicted_per_second")));
  const double kv_bytes = Number(timings, "kv_bytes");
  if (kv_bytes > 0)
    line("KV handed over:",
         fmt::format("{:.2f} MB in {} chunks, {:.1f}% before the prefill ended", kv_bytes / 1e6,
                     Number(timings, "kv_chunks"),
                     100 * Number(timings, "kv_bytes_sent_before_prefill_end") / kv_bytes));
}

class Conversation {
 public:
  Conversation(const Client& client, const RunOptions& options)
      : client_(client), options_(options) {
    Clear();
  }

  void Clear() {
    messages_.clear();
    if (!options_.system.empty())
      messages_.push_back({{"role", "system"}, {"content", options_.system}});
  }

  // Prints the answer as it comes. An interrupt ends it, not the conversation.
  Status Ask(const std::string& prompt) {
    messages_.push_back({{"role", "user"}, {"content", prompt}});
    json::object body = options_.parameters;
    body["model"] = options_.model;
    body["messages"] = messages_;
    body["stream"] = true;
    std::string answer;
    json::object timings;
    std::optional<Error> failure;
    g_interrupted = 0;
    const auto begin = std::chrono::steady_clock::now();
    const Status streamed =
        client_.Stream("/v1/chat/completions", body, [&](std::string_view data) {
          Take(data, answer, timings, failure);
          return g_interrupted == 0 && !failure;
        });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (!answer.empty() && answer.back() != '\n') fmt::print("\n");
    std::fflush(stdout);
    if (failure) return *failure;
    if (!streamed.ok()) return streamed;
    messages_.push_back({{"role", "assistant"}, {"content", answer}});
    if (options_.verbose) PrintTimings(timings, seconds.count());
    return OkStatus();
  }

 private:
  static void Take(std::string_view data, std::string& answer, json::object& timings,
                   std::optional<Error>& failure) {
    boost::system::error_code bad;
    const json::value parsed = json::parse({data.data(), data.size()}, bad);
    if (bad || !parsed.is_object()) return;
    const json::object& event = parsed.get_object();
    if (const json::value* error = event.if_contains("error"); error && error->is_object()) {
      const json::value* message = error->get_object().if_contains("message");
      failure = Error(Code::kInternal, message && message->is_string()
                                           ? std::string(message->get_string())
                                           : "the node reported an error");
      return;
    }
    if (const json::value* found = event.if_contains("timings"); found && found->is_object())
      timings = found->get_object();
    const json::value* choices = event.if_contains("choices");
    if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return;
    boost::system::error_code none;
    const json::value* content = choices->get_array().front().find_pointer("/delta/content", none);
    if (content == nullptr || !content->is_string()) return;
    const std::string text(content->get_string());
    answer += text;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  const Client& client_;
  const RunOptions& options_;
  json::array messages_;
};

// --- The prompt line ---

const char* g_prompt = ">>> ";
char* PromptOf(EditLine*) {
  return const_cast<char*>(g_prompt);
}

constexpr const char* kHelp =
    "Commands:\n"
    "  /set parameter NAME VALUE   temperature, top_p, top_k, min_p, seed, num_predict, stop\n"
    "  /set system TEXT            the system message\n"
    "  /set verbose | quiet        timings after each answer\n"
    "  /clear                      forget the conversation\n"
    "  /bye                        leave\n"
    "Begin with \"\"\" to write several lines; end with \"\"\".\n";

// Lines of a terminal, with history.
class LineReader {
 public:
  explicit LineReader(const std::string& history_path)
      : history_path_(history_path),
        edit_(el_init("baton", stdin, stdout, stderr)),
        history_(history_init()) {
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_LOAD, history_path_.c_str());
    el_set(edit_, EL_PROMPT, PromptOf);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_SIGNAL, 0);
    el_set(edit_, EL_HIST, history, history_);
  }
  ~LineReader() {
    HistEvent event;
    history(history_, &event, H_SAVE, history_path_.c_str());
    history_end(history_);
    el_end(edit_);
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Nothing at the end of input; `interrupted` tells Ctrl+C.
  std::optional<std::string> Read(const char* prompt, bool& interrupted) {
    g_prompt = prompt;
    g_interrupted = 0;
    int count = 0;
    const char* line = el_gets(edit_, &count);
    interrupted = g_interrupted != 0;
    if (interrupted) {
      el_reset(edit_);
      return std::string();
    }
    if (line == nullptr || count <= 0) return std::nullopt;
    std::string text(line, static_cast<size_t>(count));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    HistEvent event;
    if (!text.empty()) history(history_, &event, H_ENTER, line);
    return text;
  }

 private:
  const std::string history_path_;
  EditLine* const edit_;
  History* const history_;
};

// "/set ...": changes `options`; false if it is not understood.
bool Set(const std::string& words, RunOptions& options) {
  constexpr std::string_view kParameter = "parameter ";
  constexpr std::string_view kSystem = "system ";
  if (words == "verbose" || words == "quiet") {
    options.verbose = words == "verbose";
    return true;
  }
  if (words.rfind(kSystem, 0) == 0) {
    options.system = words.substr(kSystem.size());
    return true;
  }
  if (words.rfind(kParameter, 0) != 0) return false;
  const std::string rest = words.substr(kParameter.size());
  const size_t space = rest.find(' ');
  if (space == std::string::npos) return false;
  std::string name = rest.substr(0, space);
  const std::string value = rest.substr(space + 1);
  if (name == "num_predict") name = "max_tokens";
  boost::system::error_code not_json;
  const json::value parsed = json::parse(value, not_json);
  if (name == "stop")
    options.parameters[name] = value;
  else if (!not_json && parsed.is_number())
    options.parameters[name] = parsed;
  else
    return false;
  return true;
}

std::optional<std::string> ReadBlock(LineReader& reader, std::string text) {
  constexpr std::string_view kFence = "\"\"\"";
  text.erase(0, kFence.size());
  while (text.find(kFence) == std::string::npos) {
    bool interrupted = false;
    const auto line = reader.Read("... ", interrupted);
    if (!line || interrupted) return std::nullopt;
    text += "\n" + *line;
  }
  return text.substr(0, text.find(kFence));
}

int Converse(const Client& client, RunOptions& options, const std::string& history_path) {
  LineReader reader(history_path);
  Conversation conversation(client, options);
  fmt::print(stderr, "Send a message (/? for help)\n");
  for (;;) {
    bool interrupted = false;
    auto line = reader.Read(">>> ", interrupted);
    if (interrupted) {
      fmt::print(stderr, "\nUse Ctrl + d or /bye to exit.\n");
      continue;
    }
    if (!line || *line == "/bye") return 0;
    if (line->empty()) continue;
    if (line->rfind("\"\"\"", 0) == 0) {
      line = ReadBlock(reader, *line);
      if (!line) continue;
    } else if (*line == "/?" || *line == "/help") {
      fmt::print(stderr, "{}", kHelp);
      continue;
    } else if (*line == "/clear") {
      conversation.Clear();
      continue;
    } else if (line->rfind("/set ", 0) == 0) {
      if (!Set(line->substr(5), options)) fmt::print(stderr, "not understood: {}\n", *line);
      continue;
    } else if (line->front() == '/') {
      fmt::print(stderr, "unknown command '{}'; /? lists them\n", *line);
      continue;
    }
    const Status asked = conversation.Ask(*line);
    if (!asked.ok()) Fail(asked.error());
  }
}

int Run(const Environment& environment, const ApiAddress& address, RunOptions options) {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);  // without SA_RESTART: a read is interrupted
  std::string prompt;
  for (const std::string& word : options.prompt) prompt += (prompt.empty() ? "" : " ") + word;
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (!terminal) {
    const auto piped = ReadStandardInput();
    if (!piped.ok()) return Fail(piped.error());
    if (!piped->empty()) prompt += (prompt.empty() ? "" : "\n") + *piped;
    if (prompt.empty())
      return Fail(Error(Code::kInvalidArgument, "no prompt: give one, or pipe one in"));
  }
  options.model = WithPath(environment, options.model);
  const auto access = ReachNode(environment, address, TakeFile(options.model));
  if (!access.ok()) return Fail(access.error());
  if (prompt.empty()) return Converse(access->client, options, environment.home + "/history");
  Conversation conversation(access->client, options);
  const Status asked = conversation.Ask(prompt);
  if (!asked.ok()) return Fail(asked.error());
  return g_interrupted != 0 ? 130 : 0;
}

}  // namespace

void AddRun(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = root.add_subcommand("run", "talk to a model");
  const auto address = AddApiOptions(*verb, environment);
  verb->add_option("MODEL", options->model, "a model's name, see `baton ls`, or a file")
      ->required();
  verb->add_option("PROMPT", options->prompt, "without it: a conversation");
  verb->add_option("--system", options->system, "the system message");
  verb->add_flag("--verbose", options->verbose, "timings after the answer");
  const auto number = [&](const char* flag, const char* key, const char* what) {
    verb->add_option_function<double>(
        flag, [options, key](const double& value) { options->parameters[key] = value; }, what);
  };
  number("--temperature", "temperature", "0 is greedy");
  number("--top-p", "top_p", "probability mass to draw from");
  number("--top-k", "top_k", "tokens to draw from");
  number("--seed", "seed", "the same seed draws the same answer");
  number("--max-tokens", "max_tokens", "of the answer");
  verb->callback([=, &chosen] { chosen = [=] { return Run(environment, *address, *options); }; });
}

}  // namespace baton::app
