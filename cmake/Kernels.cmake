# Instruction-set code: one translation unit per set, with that set's flags and no others, and the
# file that knows which sets this processor family has.

# (g++ 12 takes _mm512_undefined_ps() in its own intrinsics for a mistake: hence the warning off.)

set(dir ${CMAKE_SOURCE_DIR}/src/kernels/cpu)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(BATON_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(BATON_ISA_FLAGS_avx512
      -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c -mprefer-vector-width=512)
  set(BATON_ISA_FLAGS_avx512bf16 ${BATON_ISA_FLAGS_avx512} -mavx512bf16)
  foreach(isa avx2 avx512 avx512bf16)
    add_library(baton_kernels_${isa} OBJECT ${dir}/${isa}/table.cc)
    target_include_directories(baton_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(baton_kernels_${isa} PRIVATE fmt::fmt)
    # Optimising it under instrumentation takes many minutes, and fuzzing runs none of it.
    set(optimise -O3)
    if(BATON_FUZZ)
      set(optimise -O0 -fno-sanitize=all)
    elseif(BATON_SANITIZE)
      set(optimise -O1)
    endif()
    target_compile_options(baton_kernels_${isa} PRIVATE ${BATON_ISA_FLAGS_${isa}} ${optimise}
                           $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
    target_sources(baton_kernels PRIVATE $<TARGET_OBJECTS:baton_kernels_${isa}>)
  endforeach()
  target_sources(baton_kernels PRIVATE ${dir}/x86/isa_tables.cc)
else()
  target_sources(baton_kernels PRIVATE ${dir}/portable/isa_tables.cc)
endif()
