// The tokenizer of a folder that has SentencePiece's tokenizer.model and no tokenizer.json, as the
// class of its model makes it: beside the pieces, added_tokens.json, special_tokens_map.json and
// tokenizer_config.json say which tokens were added, have a role, and stand around a text.
#pragma once

#include <boost/json/object.hpp>

#include "base/result.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_json.h"

namespace baton {

// `config` and `generation` are tokenizer_config.json and generation_config.json. Errors name the
// file and the offending value.
Result<Tokenizer> ReadSentencePieceModel(const TokenizerFiles& files,
                                         const boost::json::object& config,
                                         const boost::json::object& generation, int32_t vocab_size);

}  // namespace baton
