// Reading TOML as our files have it: every key is known, every number in its range, and whoever
// errs is told which key of which table it was.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/result.h"

namespace baton::plan {

// kInvalidArgument names the line.
Result<toml::table> ParseToml(std::string_view text);

// One table while it is read. Errors are kept, the first of them counts; Done() has it, or names a
// key that nobody asked for.
class TomlTable {
 public:
  // `where` names the table in errors: "device 'spark'". `table` must outlive it.
  TomlTable(const toml::table& table, std::string where)
      : table_(table), where_(std::move(where)) {}

  // Empty, 0 and so on where there is an error, or where the key is absent and `otherwise` is not
  // given, which is an error as well.
  std::string Text(std::string_view key, std::optional<std::string> otherwise = std::nullopt);
  double Number(std::string_view key, double min, double max,
                std::optional<double> otherwise = std::nullopt);
  int Integer(std::string_view key, int min, int max, std::optional<int> otherwise = std::nullopt);
  // Absent: none.
  std::vector<std::string> Texts(std::string_view key);
  std::vector<const toml::table*> Tables(std::string_view key);
  std::vector<int> Integers(std::string_view key, int min, int max);
  // Null where there is none, or something else.
  const toml::table* FindTable(std::string_view key);
  bool Has(std::string_view key) const { return table_.contains(key); }
  void Rename(std::string where) { where_ = std::move(where); }
  template <typename... Args>
  void Fail(fmt::format_string<Args...> format, Args&&... args) {
    FailWith(fmt::format(format, std::forward<Args>(args)...));
  }
  Status Done() const;

 private:
  const toml::node* Find(std::string_view key);
  void FailWith(std::string message);

  const toml::table& table_;
  std::string where_;
  std::set<std::string, std::less<>> asked_;
  std::optional<Error> error_;
};

}  // namespace baton::plan
