// A plan as a picture of characters: who computes, who generates, and the links between them.
#pragma once

#include <string>
#include <vector>

#include <boost/json.hpp>

namespace baton::app {

// Lines without newlines, of `plan` and its `explanation` as serve::ToJson() has them. `boxes`: the
// terminal shows box-drawing characters.
std::vector<std::string> PictureOf(const boost::json::value& plan,
                                   const boost::json::value& explanation, bool boxes);

}  // namespace baton::app
