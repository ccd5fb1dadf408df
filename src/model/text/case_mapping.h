// Letters in another case, by Unicode's full mappings: one character may become several.
#pragma once

#include <string>

namespace baton {

// Without regard to what stands around a character: a final sigma is its caller's to know.
std::u32string LowerCase(char32_t character);
std::u32string UpperCase(char32_t character);
// What a word begins with: of a ligature the first letter alone is large.
std::u32string TitleCase(char32_t character);
// The same for texts that differ in case only.
std::u32string FoldCase(char32_t character);

// Whether the end of a word is looked for beyond it: marks, apostrophes and the like (the property
// Case_Ignorable).
bool IsCaseIgnorable(char32_t character);

}  // namespace baton
