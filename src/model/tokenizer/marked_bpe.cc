#include "model/tokenizer/marked_bpe.h"

#include <boost/json/object.hpp>

#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/pipeline/bpe_model.h"
#include "model/tokenizer/pipeline/pipeline_encoder.h"

namespace baton {

Result<std::unique_ptr<const TextEncoder>> MakeMarkedBpe(const gguf::Metadata& metadata,
                                                         const Vocabulary& vocabulary) {
  std::vector<bool> ordinary;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.TypeOf(id);
    ordinary.push_back(type == TokenType::kNormal || type == TokenType::kUserDefined);
  }
  BATON_ASSIGN_OR_RETURN(MergeTable merges, ReadMerges(metadata, vocabulary));
  PipelineParts parts;
  const boost::json::object marks = {{"type", "Replace"},
                                     {"pattern", boost::json::object{{"String", " "}}},
                                     {"content", "\u2581"}};
  BATON_ASSIGN_OR_RETURN(parts.normalizer, Normalizer::FromJson(marks));
  parts.model = std::make_unique<const BpeModel>(
      vocabulary, std::move(ordinary), std::move(merges),
      BpeOptions{.unknown = vocabulary.unknown(), .fuses_unknown = true, .byte_fallback = true});
  parts.spelling = Spelling::OfSpaceMarks(false);
  return std::unique_ptr<const TextEncoder>(
      std::make_unique<const PipelineEncoder>(std::move(parts)));
}

}  // namespace baton
