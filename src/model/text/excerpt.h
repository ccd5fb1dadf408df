// What people are shown of a text that may be long, such as an error that names a hostile name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

// `text`, or its beginning and its end around " [N bytes] ", at most `bytes_max` bytes in all, of
// which the mark takes up to 32. Cuts no character in two.
std::string Excerpt(std::string_view text, size_t bytes_max);

}  // namespace baton
