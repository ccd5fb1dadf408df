// Free(): gives back what a container holds, or a struct of containers.
#pragma once

#include <utility>

namespace baton {

// `value = {}` may keep the memory: for a vector it assigns an empty list of values.
template <typename T>
void Free(T& value) {
  T empty;
  std::swap(value, empty);
}

}  // namespace baton
