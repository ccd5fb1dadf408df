// GGUF models in several files, as gguf-split of llama.cpp cuts them: NAME-00001-of-00003.gguf and
// so on. The first has the metadata of all; each says split.no (from 0), split.count and
// split.tensors.count (of all files together).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace baton::gguf {

// More files than any model has; each is open as long as the model.
inline constexpr int kPartsMax = 512;

// What a file's name says of its place among several.
struct PartName {
  std::string stem;  // the path without "-00001-of-00003.gguf"
  int number = 1;    // from 1
  int count = 1;

  // The path of another part.
  std::string PathOf(int other) const;
};

// Nothing where `path` is not named like a part.
std::optional<PartName> ParsePartName(std::string_view path);

}  // namespace baton::gguf
