// Runs a parsed template over variables.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/chat_template/ast.h"
#include "model/chat_template/value.h"

namespace baton::jinja {

// How deep statements, expressions and calls may nest while they run (Python's own limit is 1000).
inline constexpr int kRunDepthMax = 800;

// The output of `parsed`. `variables` are what the template sees beside Jinja's own names. The
// template must outlive the runtime's values.
Result<Text> Evaluate(const Template& parsed, Runtime& runtime,
                      std::vector<std::pair<std::string, Value>> variables);

}  // namespace baton::jinja
