# Compiler flags, sanitizers, linker and compiler cache.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# -ffp-contract=off: an FMA appears only where the source says so, so that every instruction set
# adds in the same order and rounds the same way (ARCHITECTURE.md, "Same tokens").
add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -ffp-contract=off)
# g++ 12 takes Asio's coroutine frames for a new/delete mismatch, and sees overlaps in std::string's
# own operator+.
add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>
                    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
set(CMAKE_CXX_FLAGS_WITNESS "-O0 -g1")  # what `make check` builds: quick to compile
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")

if(BATON_SANITIZE)
  add_compile_options(-fsanitize=${BATON_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BATON_SANITIZE})
endif()
if(BATON_WITNESS)
  add_compile_options(-Wthread-safety -Werror=thread-safety)
endif()
if(BATON_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(BATON_CCACHE ccache)
if(BATON_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${BATON_CCACHE})
endif()
# (A cross compiler looks for linkers of its own only.)
find_program(BATON_MOLD mold)
if(BATON_MOLD AND NOT CMAKE_CROSSCOMPILING)
  add_link_options(-fuse-ld=mold)
endif()
