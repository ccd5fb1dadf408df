// Finds which of many texts another text begins with, by halving a sorted range byte by byte: no
// index beside the order, so it costs no more memory than the texts do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton {

// [low, high) is sorted by `text_of(element)`. Calls `found(iterator)` for each text that `text`
// begins with, from short to long; of equal ones for the first. Empty texts are not found.
template <typename Iterator, typename TextOf, typename Found>
void ForEachPrefixOf(std::string_view text, Iterator low, Iterator high, const TextOf& text_of,
                     const Found& found) {
  for (size_t depth = 0; depth < text.size() && low != high; ++depth) {
    const auto byte = static_cast<int>(static_cast<uint8_t>(text[depth]));
    // Those of [low, high) agree in the bytes before; which go on with this one?
    const auto byte_of = [&](const auto& element) {
      const std::string_view other = text_of(element);
      return other.size() > depth ? static_cast<int>(static_cast<uint8_t>(other[depth])) : -1;
    };
    low = std::partition_point(low, high, [&](const auto& e) { return byte_of(e) < byte; });
    high = std::partition_point(low, high, [&](const auto& e) { return byte_of(e) == byte; });
    if (low != high && text_of(*low).size() == depth + 1) found(low);
  }
}

}  // namespace baton
