#include "model/tokenizer/added_token.h"

#include "model/tokenizer/pipeline/json_fields.h"

namespace baton {

using boost::json::object;

bool LooksLikeControl(std::string_view text) {
  const bool marked = (text.starts_with("<|") && text.ends_with("|>") && text.size() > 4) ||
                      (text.starts_with("<\uFF5C") && text.ends_with("\uFF5C>") && text.size() > 8);
  // Gemma's.
  const bool border =
      text.ends_with('>') && (text.starts_with("<start_of_") || text.starts_with("<end_of_"));
  return marked || border;
}

Result<AddedToken> ReadAddedToken(const object& fields, int64_t id) {
  AddedToken added;
  BATON_ASSIGN_OR_RETURN(added.token.text, json_fields::String(fields, "content"));
  if (id < 0 || id >= kVocabularySizeMax)
    return MakeError(Code::kInvalidArgument, "added token '{}' has id {}", added.token.text, id);
  added.token.id = static_cast<TokenId>(id);
  BATON_ASSIGN_OR_RETURN(const bool special, json_fields::BoolOr(fields, "special", false));
  added.token.control = special || LooksLikeControl(added.token.text);
  BATON_ASSIGN_OR_RETURN(added.token.whole_words,
                         json_fields::BoolOr(fields, "single_word", false));
  BATON_ASSIGN_OR_RETURN(added.token.takes_spaces_before,
                         json_fields::BoolOr(fields, "lstrip", false));
  BATON_ASSIGN_OR_RETURN(added.token.takes_spaces_behind,
                         json_fields::BoolOr(fields, "rstrip", false));
  BATON_ASSIGN_OR_RETURN(added.normalized, json_fields::BoolOr(fields, "normalized", !special));
  return added;
}

Result<AddedToken> ReadAddedToken(const boost::json::value& json) {
  BATON_ASSIGN_OR_RETURN(const object* fields, json_fields::Object(json, "added_tokens"));
  BATON_ASSIGN_OR_RETURN(const int64_t id, json_fields::Integer(*fields, "id"));
  return ReadAddedToken(*fields, id);
}

std::optional<std::string> NamedToken(const boost::json::value* value) {
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

}  // namespace baton
