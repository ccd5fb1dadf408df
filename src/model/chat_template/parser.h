// From tokens to a syntax tree, by Jinja2's grammar.
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/chat_template/ast.h"

namespace baton::jinja {

// How deep expressions and blocks may nest, and how many links (`a.b + c | d`) one expression may
// chain: evaluation recurses over both.
inline constexpr int kParseDepthMax = 100;
inline constexpr int kChainMax = 500;

// Errors are kInvalidArgument and name the line.
Result<Template> Parse(std::string_view source);

}  // namespace baton::jinja
