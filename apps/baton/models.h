// How the verbs about models write sizes and times.
#pragma once

#include <cstdint>
#include <string>

namespace baton::app {

// "4.7 GB": decimal units, as people compare with what a hub says.
std::string HumanBytes(uint64_t bytes);
// "3 days ago".
std::string HumanAge(int64_t seconds);
// "8.0B" parameters.
std::string HumanCount(uint64_t count);

}  // namespace baton::app
