# baton_module(NAME [DEPS module...] [LIBS target...])
#
# One folder of src/ is one static library `baton_NAME`. Every *.cc below it that is neither a test
# nor instruction-set code (cmake/Kernels.cmake) belongs to it, every *_test.cc to its test binary `NAME_test`. Which
# module may use which is decided by tools/layers.txt and judged by `make check`; DEPS is for the linker.
function(baton_module NAME)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS;TEST_LIBS" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/src/${NAME})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${dir}/*.h)
  file(GLOB_RECURSE protos CONFIGURE_DEPENDS ${dir}/*.proto)
  # Bodies of instruction-set translation units, not interfaces: they do not compile alone.
  list(FILTER headers EXCLUDE REGEX "/cpu/(body|products|block_weights|small_scales|latents|brain_[a-z]+|[a-z0-9_]+/(vec|dot|quant|sums|brain|pairs|stream))\\.h$")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/kernels/cpu/[^/]+/")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  set(target baton_${NAME})
  if(sources OR protos)
    add_library(${target} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} ${CMAKE_SOURCE_DIR}/src)
  foreach(dep ${ARG_DEPS})
    target_link_libraries(${target} ${scope} baton_${dep})
  endforeach()
  target_link_libraries(${target} ${scope} ${ARG_LIBS} fmt::fmt Threads::Threads)
  # clang 14 cannot assemble what -fsanitize=function puts before a coroutine.
  if(BATON_SANITIZE AND "Boost::headers" IN_LIST ARG_LIBS AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE -fno-sanitize=function)
  endif()

  if(protos)
    set(generated ${CMAKE_BINARY_DIR}/generated)
    file(MAKE_DIRECTORY ${generated})
    target_include_directories(${target} SYSTEM PUBLIC ${generated})
    target_link_libraries(${target} PUBLIC protobuf::libprotobuf)
    foreach(proto ${protos})
      file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR}/src ${proto})
      string(REGEX REPLACE "\\.proto$" "" stem ${relative})
      add_custom_command(
        OUTPUT ${generated}/${stem}.pb.cc ${generated}/${stem}.pb.h
        COMMAND protobuf::protoc --cpp_out=${generated} -I${CMAKE_SOURCE_DIR}/src ${proto}
        DEPENDS ${proto} VERBATIM)
      target_sources(${target} PRIVATE ${generated}/${stem}.pb.cc ${generated}/${stem}.pb.h)
    endforeach()
  endif()

  # foo.cc includes foo.h first (tools/tidy.sh looks), so compiling it proves that foo.h stands alone.
  # Headers without such a file are compiled on their own.
  foreach(header ${headers})
    string(REGEX REPLACE "\\.h$" ".cc" own ${header})
    if(EXISTS ${own})
      list(REMOVE_ITEM headers ${header})
    endif()
  endforeach()
  if(BATON_WITNESS AND headers)
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/src
                   FILES ${headers})
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()

  if(tests AND NOT BATON_FUZZ)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE ${target} ${ARG_TEST_LIBS} GTest::gmock
                          GTest::gtest_main)
    target_compile_definitions(${NAME}_test PRIVATE BATON_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    baton_discover_tests(${NAME}_test ${NAME})
  endif()
endfunction()

# An emulator takes its time.
set(BATON_TEST_TIMEOUT_S 300)
if(CMAKE_CROSSCOMPILING)
  set(BATON_TEST_TIMEOUT_S 1800)
endif()

# Registers every gtest case of TARGET with ctest under the label LABEL.
include(GoogleTest)
function(baton_discover_tests TARGET LABEL)
  gtest_discover_tests(${TARGET} TEST_PREFIX "${LABEL}/" DISCOVERY_MODE PRE_TEST
                       DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS ${LABEL} TIMEOUT ${BATON_TEST_TIMEOUT_S})
endfunction()
