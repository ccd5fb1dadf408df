// Python's operators on values.
#pragma once

#include "base/result.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};
Result<Value> Apply(Runtime& runtime, Operator op, const Value& left, const Value& right);
Result<Value> Negate(const Value& value);
Result<Value> Plus(const Value& value);
// `needle in haystack`.
Result<bool> Contains(Runtime& runtime, const Value& haystack, const Value& needle);
// What becomes of an integer of more than 64 bits.
Error TooLarge();
// HTML-escaped, and marked as such.
Value Escape(Runtime& runtime, const Value& value);

}  // namespace baton::jinja
