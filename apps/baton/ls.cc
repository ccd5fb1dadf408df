#include <algorithm>
#include <ctime>
#include <memory>

#include <boost/json.hpp>

#include "apps/baton/models.h"
#include "apps/baton/store.h"
#include "apps/baton/verbs.h"
#include "base/log.h"

namespace baton::app {
namespace {

struct LsOptions {
  std::string prefix;
  bool json = false;
};

struct Listed {
  hub::ModelEntry entry;
  std::string fingerprint;  // empty where the file cannot be read
};

std::vector<Listed> Find(const Environment& environment, const std::string& prefix) {
  const hub::ModelStore store(StoreOptionsFrom(environment));
  std::vector<Listed> found;
  for (hub::ModelEntry& entry : store.List()) {
    if (!entry.name.starts_with(prefix)) continue;
    const auto fingerprint = store.FingerprintOf(entry);
    found.push_back({std::move(entry), fingerprint.ok() ? *fingerprint : ""});
  }
  return found;
}

void PrintJson(const std::vector<Listed>& found) {
  boost::json::array models;
  for (const Listed& model : found)
    models.push_back({{"name", model.entry.name},
                      {"path", model.entry.path},
                      {"source", hub::NameOf(model.entry.source)},
                      {"size_bytes", model.entry.stamp.size_bytes},
                      {"modified_unix_s", model.entry.stamp.modified_ns / 1'000'000'000},
                      {"fingerprint", model.fingerprint}});
  fmt::print("{}\n", boost::json::serialize(boost::json::object{{"models", models}}));
}

void PrintTable(const std::vector<Listed>& found) {
  size_t width = std::string_view("NAME").size();
  for (const Listed& model : found) width = std::max(width, model.entry.name.size());
  constexpr auto kRow = "{:<{}}    {:<12}    {:<8}    {}\n";
  fmt::print(kRow, "NAME", width, "ID", "SIZE", "MODIFIED");
  const int64_t now = std::time(nullptr);
  for (const Listed& model : found)
    fmt::print(kRow, log::Escape(model.entry.name), width,
               model.fingerprint.empty() ? "unreadable" : model.fingerprint.substr(0, 12),
               HumanBytes(model.entry.stamp.size_bytes),
               HumanAge(now - model.entry.stamp.modified_ns / 1'000'000'000));
}

}  // namespace

void AddLs(CLI::App& root, const Environment& environment, Work& chosen) {
  auto options = std::make_shared<LsOptions>();
  CLI::App* verb = root.add_subcommand("ls", "models on disk");
  verb->alias("list");
  verb->add_option("PREFIX", options->prefix, "only names that begin so");
  verb->add_flag("--json", options->json, "one JSON object");
  verb->callback([options, environment, &chosen] {
    chosen = [options, environment] {
      const std::vector<Listed> found = Find(environment, options->prefix);
      options->json ? PrintJson(found) : PrintTable(found);
      return 0;
    };
  });
}

}  // namespace baton::app
