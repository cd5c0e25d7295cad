# Flags that hold for every target of the project.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
# C++ for one file alone, the shim for DCMTK.
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# Assertions are kept only where a preset asks for them (dev, asan, tsan, ubsan).
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(msfl_compile INTERFACE)
target_compile_definitions(msfl_compile INTERFACE _GNU_SOURCE)
target_compile_options(msfl_compile INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wvla -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  # What C17 forbids and compilers let pass with a warning: a forgotten include stops the build, with every preset.
  $<$<COMPILE_LANGUAGE:C>:-Werror=implicit-function-declaration> $<$<COMPILE_LANGUAGE:C>:-Werror=int-conversion>
  $<$<COMPILE_LANGUAGE:C>:-Werror=incompatible-pointer-types>
  # No contraction into FMA behind our back: results must be the same for every kernel and compiler.
  -ffp-contract=off -fno-math-errno -fstack-protector-strong)
target_link_options(msfl_compile INTERFACE -Wl,-z,relro -Wl,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(msfl_compile INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(MSFL_TESTS AND NOT MSFL_SANITIZE)
  # Marks for the constant-time tests; see src/base/taint.h. The header comes with Debian's valgrind.
  find_path(VALGRIND_INCLUDE valgrind/memcheck.h)
  if(VALGRIND_INCLUDE)
    target_compile_definitions(msfl_compile INTERFACE MSFL_TAINT=1)
  endif()
endif()
if(MSFL_FUZZ)
  # Coverage of the layers too: without it the fuzzer is blind to everything but its own few lines.
  target_compile_options(msfl_compile INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(msfl_compile INTERFACE Threads::Threads m)
if(MSFL_SANITIZE)
  target_compile_options(msfl_compile INTERFACE -fsanitize=${MSFL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(msfl_compile INTERFACE -fsanitize=${MSFL_SANITIZE})
endif()
