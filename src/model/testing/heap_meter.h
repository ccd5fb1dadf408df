// How much memory code asks for at most, for tests of what hostile files may cost. Counts what
// operator new gives in this test program, on all threads.
#pragma once

#include <cstddef>

namespace baton {

class HeapMeter {
 public:
  // Measures from here on.
  HeapMeter();
  // The most that was held at one time beyond what was held at the beginning.
  size_t peak_bytes() const;

 private:
  size_t live_at_begin_ = 0;
};

}  // namespace baton
