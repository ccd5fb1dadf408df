// The functions that every template may call: Jinja's range, dict, namespace, cycler, joiner,
// and Hugging Face's raise_exception and strftime_now.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/chat_template/value.h"

namespace baton::jinja {

std::vector<std::pair<std::string, Value>> Globals();

}  // namespace baton::jinja
