// What Python's str offers, on texts with marks. Positions count characters, as in Python.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

using Method = Result<Value> (*)(Runtime& runtime, const Value& self, const Arguments& arguments);
// nullptr if str has none of that name.
Method FindTextMethod(std::string_view name);

// As Python's str.isspace() and str.isalnum() see characters.
bool IsSpace(char32_t character);
bool IsLetterOrDigit(char32_t character);
// The byte ranges of the lines that str.splitlines() cuts, with their ends or without.
std::vector<Span> LinesOf(std::string_view text, bool keep_ends = false);
enum class Side { kLeft, kRight, kBoth };
// Without the characters in `characters` (white space if absent) at its ends.
Value StripText(Runtime& runtime, const Value& text, const std::string* characters, Side side);
Result<Value> ReplaceText(Runtime& runtime, const Text& text, const Text& from, const Text& to,
                          int64_t count);
enum class Case { kLower, kUpper, kTitle, kCapitalize, kSwap, kFold };
Value ChangeCase(Runtime& runtime, const Text& text, Case to);
std::string ToLower(std::string_view text);
// Bytes [begin, end) of a text as a value.
Value Slice(Runtime& runtime, const Text& text, size_t begin, size_t end);
// `text` in the middle of `width` characters.
Result<Value> CenterText(Runtime& runtime, const Text& text, int64_t width);

}  // namespace baton::jinja
