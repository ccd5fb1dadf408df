// JsonScanner: walks JSON text front to back and builds nothing, so that hostile text costs no
// memory. For headers and indices of safetensors, whose shape is known; others take Boost.JSON.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace baton::safetensors {

class JsonScanner {
 public:
  // `text` must outlive the scanner and the strings it gives.
  explicit JsonScanner(std::string_view text) : text_(text) {}

  // Walks an object: calls `member(key)`, a Status, which must take the value.
  template <typename Member>
  Status Object(const Member& member) {
    BATON_RETURN_IF_ERROR(Expect('{'));
    if (Accept('}')) return OkStatus();
    do {
      BATON_ASSIGN_OR_RETURN(const std::string_view key, String());
      BATON_RETURN_IF_ERROR(Expect(':'));
      BATON_RETURN_IF_ERROR(member(key));
    } while (Accept(','));
    return Expect('}');
  }
  // Walks an array: calls `element()`, likewise.
  template <typename Element>
  Status Array(const Element& element) {
    BATON_RETURN_IF_ERROR(Expect('['));
    if (Accept(']')) return OkStatus();
    do {
      BATON_RETURN_IF_ERROR(element());
    } while (Accept(','));
    return Expect(']');
  }
  // As it stands in the text. One with a backslash is refused: names need none.
  Result<std::string_view> String();
  // A whole number without sign.
  Result<uint64_t> Integer();
  // Any value, or any string, passed over.
  Status Skip();
  Status SkipString();
  // That only blanks are left.
  Status End();

  size_t position() const { return position_; }

 private:
  void SkipBlanks();
  bool Accept(char c);
  Status Expect(char c);
  Status SkipWord();
  Error Unexpected(std::string_view wanted);

  const std::string_view text_;
  size_t position_ = 0;
};

}  // namespace baton::safetensors
