# Headers that nearly every source includes, parsed once instead of 370 times: without, more than half of the time of a
# cold build goes into parsing them. Three sets, each made by a target that the others take it from:
#   lab_headers        the standard library, absl::Status and strings, for every library and binary
#   lab_cold_headers   the same, for libraries that are compiled quickly
#   lab_test_headers   the same and GoogleTest, for the tests
# Measured and left out: Asio (nothing gained: what it costs is instantiated in each source again) and nlohmann_json (two
# in three sources would only load it).
# A source still includes what it uses: LAB_PRECOMPILED=OFF, in the environment too, compiles without (tests/debian13).
set(precompiled ON)
if(DEFINED ENV{LAB_PRECOMPILED})
  set(precompiled $ENV{LAB_PRECOMPILED})
endif()
option(LAB_PRECOMPILED "Precompile the headers that nearly every source includes" ${precompiled})

# Precompiled headers are only taken with the macros they were made with, and some libraries from outside (hiredis, gRPC)
# bring these to their users.
target_compile_options(lab_options INTERFACE -pthread)
target_compile_definitions(lab_options INTERFACE _FILE_OFFSET_BITS=64)

# What is tested is in the libraries, which are optimised; a test itself is mostly GoogleTest's macros.
add_library(lab_test_options INTERFACE)
target_compile_options(lab_test_options INTERFACE -O0)

# Words on a terminal and in a report. Not -O0: of an inline function that is not inlined the linker keeps any copy, for hot
# libraries too.
add_library(lab_cold_options INTERFACE)
target_compile_options(lab_cold_options INTERFACE -O1)

# A target that makes precompiled headers.
function(lab_make_headers name)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS" ${ARGN})
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/cmake/precompiled.cc)
  target_link_libraries(${name} PRIVATE lab_options lab_warnings ${ARG_DEPS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()

# The target is compiled with these headers.
function(lab_take_headers target from)
  if(TARGET ${from})
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

if(LAB_PRECOMPILED)
  set(headers <algorithm> <atomic> <chrono> <cmath> <cstdint> <cstdio> <cstdlib> <cstring> <functional> <map> <memory>
              <mutex> <optional> <set> <sstream> <string> <string_view> <unordered_map> <utility> <vector>
              <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>)
  set(deps absl::status absl::statusor absl::strings absl::str_format)
  lab_make_headers(lab_headers HEADERS ${headers} DEPS ${deps})
  lab_make_headers(lab_cold_headers HEADERS ${headers} DEPS ${deps} lab_cold_options)
  if(TARGET GTest::gmock_main)
    lab_make_headers(lab_test_headers HEADERS ${headers} <filesystem> <fstream> <thread> <gmock/gmock.h> <gtest/gtest.h>
                     DEPS ${deps} lab_test_options GTest::gmock_main)
  endif()
  # <char_traits> switches these off for its own code, by a #pragma that GCC forgets of precompiled headers. Compiled
  # without them, they are on.
  target_compile_options(lab_warnings INTERFACE
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>)
endif()
