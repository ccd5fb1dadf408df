// How Python writes values: str(), repr(), the % operator and str.format(). Formats follow the
// Python 3 library reference ("Format Specification Mini-Language", "printf-style String
// Formatting").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

// The shortest digits that read back as the same number: "1.0", "1e+16", "nan".
std::string FormatFloat(double number);
std::string Repr(const Value& value);
// str(): what {{ }} prints. Undefined is empty.
std::string Str(const Value& value);
// str() as a value that keeps the marks of a text.
Value ToText(Runtime& runtime, const Value& value);
// Appends str(value) with its marks.
void AppendStr(TextBuilder& builder, const Value& value);

// `format % arguments`.
Result<Value> PercentFormat(Runtime& runtime, const Text& format, const Value& arguments);
// format.format(*positional, **named).
Result<Value> BraceFormat(Runtime& runtime, const Text& format, const Arguments& arguments);

}  // namespace baton::jinja
