// tokenizer.model: SentencePiece's own file, a protobuf ModelProto. Format: sentencepiece's
// sentencepiece_model.proto.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/tokenizer/vocabulary.h"

namespace baton {

struct SentencePieceFile {
  std::string_view bytes;         // of the file, in which texts stay
  std::vector<uint32_t> places;   // of their texts in it, by id
  std::vector<uint16_t> lengths;  // in bytes
  std::vector<float> scores;
  std::vector<TokenType> types;
  bool unigram = true;  // else BPE
  bool byte_fallback = false;
  TokenId unknown = kNoToken;
  TokenId bos = kNoToken;  // control pieces, or none
  TokenId eos = kNoToken;
  TokenId pad = kNoToken;
  std::span<const uint8_t> character_map;  // of the file's bytes; empty: none
  bool adds_space = true;
  bool removes_extra_spaces = true;

  TokenId size() const { return static_cast<TokenId>(types.size()); }
  std::string_view TextOf(TokenId id) const {
    const auto index = static_cast<size_t>(id);
    return bytes.substr(places[index], lengths[index]);
  }
};

// Checks that the pieces hold together: texts that are there and valid, one unknown piece, all
// byte pieces where the model falls back to them. kUnimplemented names a
// model or a rule that is not understood. `bytes` must outlive the result.
Result<SentencePieceFile> ParseSentencePieceFile(std::span<const uint8_t> bytes);

}  // namespace baton
