#include "apps/baton/command.h"

#include <unistd.h>

#include <cstdlib>

#include "base/log.h"
#include "model/text/excerpt.h"
#include "os/file.h"

namespace baton::app {
namespace {

std::string Variable(const char* name, const std::string& otherwise = {}) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

template <typename Into>
void AddKvTypeOption(CLI::App& verb, const std::string& name, Into& into, const std::string& help) {
  const auto is_known = [](const std::string& value) {
    return FindKvTypeByName(value) ? "" : fmt::format("'{}' is none of f32, f16, q8_0", value);
  };
  verb.add_option_function<std::string>(
          name, [&into](const std::string& value) { into = *FindKvTypeByName(value); }, help)
      ->check(CLI::Validator(is_known, "TYPE"));
}

}  // namespace

Environment ReadEnvironment() {
  Environment environment;
  environment.user_home = Variable("HOME", "/");
  const std::string data = Variable("XDG_DATA_HOME", environment.user_home + "/.local/share");
  environment.home = Variable("BATON_HOME", data + "/baton");
  environment.models_path = Variable("BATON_MODELS");
  environment.kernels = Variable("BATON_KERNELS");
  const std::string hf = Variable("HF_HOME", environment.user_home + "/.cache/huggingface");
  environment.hf_hub = Variable("HF_HUB_CACHE", hf + "/hub");
  environment.ollama = Variable("OLLAMA_MODELS", environment.user_home + "/.ollama/models");
  environment.api = Variable("BATON_API");
  environment.api_key = Variable("BATON_API_KEY");
  environment.colour = ::isatty(STDERR_FILENO) == 1 && Variable("NO_COLOR").empty();
  const std::string locale = Variable("LC_ALL", Variable("LC_CTYPE", Variable("LANG")));
  const bool utf8 =
      locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  environment.boxes = ::isatty(STDOUT_FILENO) == 1 && utf8;
  const auto self = os::RealPath("/proc/self/exe");
  if (self.ok()) environment.executable_dir = self->substr(0, self->rfind('/'));
  return environment;
}

void AddKvType(CLI::App& verb, const std::string& name, std::optional<KvType>& type,
               const std::string& help) {
  AddKvTypeOption(verb, name, type, help);
}

void AddKvType(CLI::App& verb, const std::string& name, KvType& type, const std::string& help) {
  AddKvTypeOption(verb, name, type, help);
}

int Fail(const Error& error) {
  constexpr size_t kShownBytesMax = 1600;
  fmt::print(stderr, "baton: {}\n", log::Escape(Excerpt(error.message(), kShownBytesMax)));
  return 1;
}

}  // namespace baton::app
