// What Unicode says about characters, as far as tokenizers ask.
#pragma once

namespace baton {

// The property White_Space.
bool IsWhiteSpace(char32_t character);
// Alphabetic, marks, decimal digits and connecting punctuation.
bool IsWordCharacter(char32_t character);
// General category Nd.
bool IsDecimalDigit(char32_t character);
// General categories N, P (or ASCII punctuation), and M.
bool IsNumeric(char32_t character);
bool IsPunctuation(char32_t character);
bool IsMark(char32_t character);

}  // namespace baton
