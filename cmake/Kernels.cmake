# Instruction-set code: one translation unit per set, with that set's flags and no others, and the
# file that knows which sets this processor family has.

# (g++ 12 takes _mm512_undefined_ps() in its own intrinsics for a mistake: hence the warning off.)

set(dir ${CMAKE_SOURCE_DIR}/src/kernels/cpu)
set(isas)
# What g++ inlines of a whole file's worth of small functions is a matter of its budgets: without more
# of them, one more line made products with Q2_K a third slower.
set(gnu --param=max-inline-insns-single=5000 --param=inline-unit-growth=500
    --param=large-function-growth=5000 --param=large-stack-frame-growth=5000)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(isas avx2 avx512 avx512bf16 zen4 zen5)
  set(BATON_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(BATON_ISA_FLAGS_avx512
      -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c -mprefer-vector-width=512)
  set(BATON_ISA_FLAGS_avx512bf16 ${BATON_ISA_FLAGS_avx512} -mavx512bf16)
  set(BATON_ISA_FLAGS_zen4 ${BATON_ISA_FLAGS_avx512bf16})
  set(BATON_ISA_FLAGS_zen5 ${BATON_ISA_FLAGS_avx512bf16})
  target_sources(baton_kernels PRIVATE ${dir}/x86/isa_tables.cc)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(isas neon neon_dotprod neon_i8mm)
  # Its first scheduling tears apart what was written to fit the registers.
  list(APPEND gnu -fno-schedule-insns)
  set(BATON_ISA_FLAGS_neon -march=armv8-a)
  set(BATON_ISA_FLAGS_neon_dotprod -march=armv8.2-a+dotprod)
  set(BATON_ISA_FLAGS_neon_i8mm -march=armv8.2-a+dotprod+i8mm)
  target_sources(baton_kernels PRIVATE ${dir}/arm/isa_tables.cc)
else()
  target_sources(baton_kernels PRIVATE ${dir}/portable/isa_tables.cc)
endif()
# Optimising it under instrumentation takes many minutes, and fuzzing runs none of it.
set(optimise -O3)
if(BATON_FUZZ)
  set(optimise -O0 -fno-sanitize=all)
elseif(BATON_SANITIZE)
  # Checks as calls: a hundred thousand of them in place take g++ minutes.
  set(optimise -O1 -fno-sanitize=undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND optimise --param=asan-instrumentation-with-call-threshold=0)
  endif()
endif()
foreach(isa ${isas})
  add_library(baton_kernels_${isa} OBJECT ${dir}/${isa}/table.cc)
  target_include_directories(baton_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(baton_kernels_${isa} PRIVATE fmt::fmt)
  target_compile_options(baton_kernels_${isa} PRIVATE ${BATON_ISA_FLAGS_${isa}} ${optimise}
                         $<$<CXX_COMPILER_ID:GNU>:${gnu}>
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
  target_sources(baton_kernels PRIVATE $<TARGET_OBJECTS:baton_kernels_${isa}>)
endforeach()
