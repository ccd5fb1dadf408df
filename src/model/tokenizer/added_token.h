// Tokens as the files of Hugging Face's hub name them: those added to a model's own vocabulary,
// and those with a role.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "model/tokenizer/special_tokens.h"

namespace baton {

// The member of tokenizer_config.json that has them by id.
inline constexpr std::string_view kAddedTokensDecoder = "added_tokens_decoder";

struct AddedToken {
  SpecialToken token;
  bool normalized = false;  // it is matched behind the normalizer
};

// An entry of tokenizer.json's `added_tokens`, which has its id inside.
Result<AddedToken> ReadAddedToken(const boost::json::value& json);
// An entry of tokenizer_config.json's `added_tokens_decoder`, whose id is its key.
Result<AddedToken> ReadAddedToken(const boost::json::object& fields, int64_t id);

// A token that a configuration names: "text" or {"content": "text"}. Nothing if it is absent.
std::optional<std::string> NamedToken(const boost::json::value* value);

// Files mark only some of the tokens that steer a model as special; these are others.
bool LooksLikeControl(std::string_view text);

}  // namespace baton
