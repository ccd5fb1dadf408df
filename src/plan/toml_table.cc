#include "plan/toml_table.h"

namespace baton::plan {

Result<toml::table> ParseToml(std::string_view text) {
  toml::parse_result parsed = toml::parse(text);
  if (!parsed)
    return MakeError(Code::kInvalidArgument, "line {}: {}", parsed.error().source().begin.line,
                     parsed.error().description());
  return std::move(parsed).table();
}

const toml::node* TomlTable::Find(std::string_view key) {
  asked_.emplace(key);
  return table_.get(key);
}

void TomlTable::FailWith(std::string message) {
  if (!error_) error_ = MakeError(Code::kInvalidArgument, "{}: {}", where_, message);
}

std::string TomlTable::Text(std::string_view key, std::optional<std::string> otherwise) {
  const toml::node* node = Find(key);
  if (node == nullptr) {
    if (!otherwise) Fail("'{}' is missing", key);
    return otherwise.value_or("");
  }
  const auto text = node->value_exact<std::string>();
  if (!text || text->empty()) Fail("'{}' is a text", key);
  return text.value_or("");
}

double TomlTable::Number(std::string_view key, double min, double max,
                         std::optional<double> otherwise) {
  const toml::node* node = Find(key);
  if (node == nullptr) {
    if (!otherwise) Fail("'{}' is missing", key);
    return otherwise.value_or(min);
  }
  const auto number = node->value<double>();
  if (number && *number >= min && *number <= max) return *number;
  if (number) {
    Fail("'{}' is {}, not from {} to {}", key, *number, min, max);
  } else {
    Fail("'{}' is a number from {} to {}", key, min, max);
  }
  return min;
}

int TomlTable::Integer(std::string_view key, int min, int max, std::optional<int> otherwise) {
  const double number =
      Number(key, min, max, otherwise ? std::optional<double>(*otherwise) : std::nullopt);
  if (number != std::floor(number)) Fail("'{}' is {}, not a whole number", key, number);
  return static_cast<int>(number);
}

std::vector<std::string> TomlTable::Texts(std::string_view key) {
  const toml::node* node = Find(key);
  std::vector<std::string> texts;
  if (node == nullptr) return texts;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    Fail("'{}' is a list of texts", key);
    return texts;
  }
  for (const toml::node& item : *array) {
    const auto text = item.value_exact<std::string>();
    if (!text) Fail("'{}' is a list of texts", key);
    texts.push_back(text.value_or(""));
  }
  return texts;
}

std::vector<const toml::table*> TomlTable::Tables(std::string_view key) {
  const toml::node* node = Find(key);
  std::vector<const toml::table*> tables;
  if (node == nullptr) return tables;
  const toml::array* array = node->as_array();
  if (array == nullptr) Fail("'{}' is a list of tables: [[{}]]", key, key);
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    if (const toml::table* table = (*array)[i].as_table()) {
      tables.push_back(table);
    } else {
      Fail("'{}' is a list of tables: [[{}]]", key, key);
    }
  }
  return tables;
}

std::vector<int> TomlTable::Integers(std::string_view key, int min, int max) {
  const toml::node* node = Find(key);
  std::vector<int> numbers;
  if (node == nullptr) return numbers;
  const toml::array* array = node->as_array();
  if (array == nullptr) Fail("'{}' is a list of numbers", key);
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const auto number = (*array)[i].value_exact<int64_t>();
    if (!number || *number < min || *number > max) {
      Fail("'{}' is a list of numbers from {} to {}", key, min, max);
    } else {
      numbers.push_back(static_cast<int>(*number));
    }
  }
  return numbers;
}

const toml::table* TomlTable::FindTable(std::string_view key) {
  const toml::node* node = table_.get(key);
  if (node == nullptr || !node->is_table()) return nullptr;
  asked_.emplace(key);
  return node->as_table();
}

Status TomlTable::Done() const {
  if (error_) return *error_;
  for (const auto& [key, node] : table_) {
    if (asked_.contains(key.str())) continue;
    std::string known;
    for (const std::string& each : asked_) known += (known.empty() ? "" : ", ") + each;
    return MakeError(Code::kInvalidArgument, "{}: '{}' is not one of {}", where_, key.str(), known);
  }
  return OkStatus();
}

}  // namespace baton::plan
