// Real models' templates against what Python's jinja2 renders with Hugging Face's settings (shared
// data, see its README).
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "model/chat_template/chat_template.h"
#include "model/testing/shared_data.h"

namespace baton {
namespace {

std::string StringOr(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::chrono::sys_seconds ParseDate(const std::string& date) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  std::sscanf(date.c_str(), "%d-%u-%u", &year, &month, &day);
  return std::chrono::sys_days(std::chrono::year(year) / month / day);
}

Result<std::vector<PromptSegment>> RenderCase(const ChatTemplate& chat_template,
                                              const boost::json::object& test) {
  RenderInput input;
  input.variables = test.at("input").as_object();
  input.bos_token = StringOr(input.variables, "bos_token");
  input.eos_token = StringOr(input.variables, "eos_token");
  input.now = ParseDate(StringOr(test, "now"));
  return chat_template.Render(input);
}

TEST(ChatTemplateFamilies, RenderAsPythonDoes) {
  const std::string folder = SharedDataFolder();
  if (folder.empty()) GTEST_SKIP() << "no shared test data on this machine";
  const std::vector<os::DirectoryEntry> entries = os::ListDirectory(folder + "/templates").value();
  for (const os::DirectoryEntry& entry : entries) {
    const auto file = os::ReadFile(folder + "/templates/" + entry.name);
    ASSERT_TRUE(file.ok());
    const boost::json::value json = boost::json::parse(*file);
    const auto chat_template = ChatTemplate::Parse(json.at("template").as_string());
    ASSERT_TRUE(chat_template.ok()) << entry.name << ": " << chat_template.error().message();
    for (const auto& test : json.at("cases").as_array()) {
      const auto& object = test.as_object();
      const std::string name = entry.name + " / " + StringOr(object, "name");
      const auto rendered = RenderCase(*chat_template, object);
      if (const auto* expected = object.if_contains("expected")) {
        ASSERT_TRUE(rendered.ok()) << name << ": " << rendered.error().message();
        EXPECT_EQ(TextOf(*rendered), std::string(expected->as_string())) << name;
      } else {
        EXPECT_FALSE(rendered.ok()) << name << " should fail";
      }
    }
  }
}

}  // namespace
}  // namespace baton
