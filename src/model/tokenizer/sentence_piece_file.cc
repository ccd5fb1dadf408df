#include "model/tokenizer/sentence_piece_file.h"

#include <algorithm>
#include <cmath>

#include "model/text/utf8.h"
#include "model/tokenizer/byte_tokens.h"
#include "model/tokenizer/protobuf_reader.h"

namespace baton {
namespace {

constexpr size_t kBytesMax = 256 << 20;
// Each piece takes some 20 bytes beside its text in memory. In honest files, which have a score for
// each, it is 13 to 16 bytes long on average.
constexpr size_t kFewPieces = 16 << 10;
constexpr size_t kPieceBytesMin = 10;

// Calls `use(field)` for each field of a message.
template <typename Use>
Status ForEachField(std::span<const uint8_t> message, const Use& use) {
  ProtobufReader reader(message);
  while (true) {
    BATON_ASSIGN_OR_RETURN(const auto field, reader.Next());
    if (!field) return OkStatus();
    BATON_RETURN_IF_ERROR(use(*field));
  }
}

class Parser {
 public:
  Result<SentencePieceFile> Parse(std::span<const uint8_t> bytes) {
    file_.bytes = AsText(bytes);
    BATON_RETURN_IF_ERROR(CountPieces(bytes));
    BATON_RETURN_IF_ERROR(ForEachField(
        bytes, [this](const ProtobufField& field) -> Status { return ReadPart(field); }));
    if (!has_trainer_ || !has_normalizer_)
      return MakeError(Code::kInvalidArgument,
                       "it ends behind {} pieces, without its {} (is the "
                       "download complete?)",
                       file_.size(), has_trainer_ ? "normalizer_spec" : "trainer_spec");
    BATON_RETURN_IF_ERROR(CheckRoles());
    BATON_RETURN_IF_ERROR(CheckBytes());
    return std::move(file_);
  }

 private:
  static constexpr uint32_t kPieces = 1;

  // So that nothing grows by doubling.
  Status CountPieces(std::span<const uint8_t> bytes) {
    size_t count = 0;
    size_t piece_bytes = 0;
    BATON_RETURN_IF_ERROR(ForEachField(bytes, [&](const ProtobufField& field) -> Status {
      if (field.number() != kPieces) return OkStatus();
      BATON_ASSIGN_OR_RETURN(const auto piece, field.Bytes());
      ++count;
      piece_bytes += piece.size();
      return OkStatus();
    }));
    if (count == 0 || count > static_cast<size_t>(kVocabularySizeMax) || bytes.size() > kBytesMax)
      return MakeError(Code::kInvalidArgument,
                       "it has {} pieces in {} bytes, not 1 to {} in at most {}", count,
                       bytes.size(), kVocabularySizeMax, kBytesMax);
    if (count > kFewPieces && piece_bytes / count < kPieceBytesMin)
      return MakeError(Code::kInvalidArgument,
                       "its {} pieces have {} bytes in all, less than {} each", count, piece_bytes,
                       kPieceBytesMin);
    file_.places.reserve(count);
    file_.lengths.reserve(count);
    file_.scores.reserve(count);
    file_.types.reserve(count);
    return OkStatus();
  }

  Status ReadPart(const ProtobufField& field) {
    if (field.number() < kPieces || field.number() > 5 || field.number() == 4) return OkStatus();
    BATON_ASSIGN_OR_RETURN(const auto message, field.Bytes());
    switch (field.number()) {
      case kPieces:
        return ReadPiece(message);
      case 2:
        has_trainer_ = true;
        return ForEachField(message, [this](const ProtobufField& f) { return ReadTrainer(f); });
      case 3:
        has_normalizer_ = true;
        return ForEachField(message, [this](const ProtobufField& f) { return ReadNormalizer(f); });
      default:
        return ForEachField(message, [](const ProtobufField& f) { return ReadDenormalizer(f); });
    }
  }

  Status ReadPiece(std::span<const uint8_t> message) {
    const TokenId id = file_.size();
    std::string_view text;
    float score = 0;
    uint64_t type = static_cast<uint64_t>(TokenType::kNormal);
    BATON_RETURN_IF_ERROR(ForEachField(message, [&](const ProtobufField& field) -> Status {
      if (field.number() == 1) {
        BATON_ASSIGN_OR_RETURN(text, field.Text());
      } else if (field.number() == 2) {
        BATON_ASSIGN_OR_RETURN(score, field.Float());
      } else if (field.number() == 3) {
        BATON_ASSIGN_OR_RETURN(type, field.Integer());
      }
      return OkStatus();
    }));
    if (text.empty() || ValidUtf8Prefix(text) != text.size())
      return MakeError(Code::kInvalidArgument, "piece {} is {}", id,
                       text.empty() ? "empty" : "not UTF-8");
    if (!std::isfinite(score))
      return MakeError(Code::kInvalidArgument, "the score of piece {} is {}", id, score);
    if (type < 1 || type > static_cast<uint64_t>(TokenType::kByte))
      return MakeError(Code::kInvalidArgument, "piece {} has type {}", id, type);
    if (text.size() > UINT16_MAX)
      return MakeError(Code::kInvalidArgument, "piece {} has {} bytes, more than {}", id,
                       text.size(), UINT16_MAX);
    file_.places.push_back(static_cast<uint32_t>(text.data() - file_.bytes.data()));
    file_.lengths.push_back(static_cast<uint16_t>(text.size()));
    file_.scores.push_back(score);
    file_.types.push_back(static_cast<TokenType>(type));  // the numbers are GGUF's
    return OkStatus();
  }

  Status ReadTrainer(const ProtobufField& field) {
    switch (field.number()) {
      case 3:
        return ReadModelType(field);
      case 24:
        return Refuse(field, true, "treat_whitespace_as_suffix");
      case 35: {
        BATON_ASSIGN_OR_RETURN(file_.byte_fallback, field.Bool());
        return OkStatus();
      }
      case 46: {
        BATON_ASSIGN_OR_RETURN(bos_text_, field.Text());
        return OkStatus();
      }
      case 47: {
        BATON_ASSIGN_OR_RETURN(eos_text_, field.Text());
        return OkStatus();
      }
      case 48: {
        BATON_ASSIGN_OR_RETURN(pad_text_, field.Text());
        return OkStatus();
      }
      default:
        return OkStatus();
    }
  }

  Status ReadModelType(const ProtobufField& field) {
    constexpr uint64_t kUnigram = 1;
    constexpr uint64_t kBpe = 2;
    BATON_ASSIGN_OR_RETURN(const uint64_t type, field.Integer());
    if (type != kUnigram && type != kBpe)
      return MakeError(Code::kUnimplemented,
                       "model type {} is not supported; supported: 1 (Unigram), 2 (BPE)", type);
    file_.unigram = type == kUnigram;
    return OkStatus();
  }

  Status ReadNormalizer(const ProtobufField& field) {
    switch (field.number()) {
      case 2: {
        BATON_ASSIGN_OR_RETURN(file_.character_map, field.Bytes());
        return OkStatus();
      }
      case 3: {
        BATON_ASSIGN_OR_RETURN(file_.adds_space, field.Bool());
        return OkStatus();
      }
      case 4: {
        BATON_ASSIGN_OR_RETURN(file_.removes_extra_spaces, field.Bool());
        return OkStatus();
      }
      case 5:
        return Refuse(field, false, "escape_whitespaces");
      default:
        return OkStatus();
    }
  }

  static Status ReadDenormalizer(const ProtobufField& field) {
    if (field.number() != 2) return OkStatus();
    BATON_ASSIGN_OR_RETURN(const auto map, field.Bytes());
    if (map.empty()) return OkStatus();
    return MakeError(Code::kUnimplemented, "a denormalizer with a character map is not supported");
  }

  static Status Refuse(const ProtobufField& field, bool refused, std::string_view name) {
    BATON_ASSIGN_OR_RETURN(const bool value, field.Bool());
    if (value != refused) return OkStatus();
    return MakeError(Code::kUnimplemented, "'{}' is {}, which is not supported", name, value);
  }

  Status CheckRoles() {
    const auto is_unknown = [](TokenType type) { return type == TokenType::kUnknown; };
    const auto first = std::find_if(file_.types.begin(), file_.types.end(), is_unknown);
    const auto count = std::count_if(file_.types.begin(), file_.types.end(), is_unknown);
    if (count != 1)
      return MakeError(Code::kInvalidArgument, "{} pieces stand for what is unknown, not 1", count);
    file_.unknown = static_cast<TokenId>(first - file_.types.begin());
    for (TokenId id = 0; id < file_.size(); ++id) {
      if (file_.types[static_cast<size_t>(id)] != TokenType::kControl) continue;
      const std::string_view text = file_.TextOf(id);
      if (text == bos_text_) file_.bos = id;
      if (text == eos_text_) file_.eos = id;
      if (text == pad_text_) file_.pad = id;
    }
    return OkStatus();
  }

  Status CheckBytes() const {
    std::vector<bool> there(256);
    for (TokenId id = 0; id < file_.size(); ++id) {
      if (file_.types[static_cast<size_t>(id)] != TokenType::kByte) continue;
      const int byte = ByteOfToken(file_.TextOf(id));
      if (byte < 0)
        return MakeError(Code::kInvalidArgument, "piece {} stands for a byte, but is '{}'", id,
                         file_.TextOf(id));
      there[static_cast<size_t>(byte)] = true;
    }
    if (file_.byte_fallback && std::count(there.begin(), there.end(), true) != 256)
      return MakeError(Code::kInvalidArgument, "it falls back to bytes, but has {} pieces for them",
                       std::count(there.begin(), there.end(), true));
    return OkStatus();
  }

  SentencePieceFile file_;
  // The trainer writes both behind the pieces; without them a file would be read as another one.
  bool has_trainer_ = false;
  bool has_normalizer_ = false;
  std::string_view bos_text_ = "<s>";
  std::string_view eos_text_ = "</s>";
  std::string_view pad_text_ = "<pad>";
};

}  // namespace

Result<SentencePieceFile> ParseSentencePieceFile(std::span<const uint8_t> bytes) {
  return Parser().Parse(bytes);
}

}  // namespace baton
