# lab_library(<module> [COLD] SOURCES … DEPS … PRIVATE_DEPS …)
#                                                         a static library `lab_<module>` with alias `lab::<module>`; COLD:
#                                                         it runs once a command, so it is compiled quickly instead
# lab_binary(<name> SOURCES … DEPS …)                     an executable
# lab_test(<name> LABEL unit|integration|… [SOURCE_DIR] SOURCES … DEPS …)   a GoogleTest binary and its CTest entry; with
#                                                         SOURCE_DIR it finds this repository by LAB_SOURCE_DIR
# lab_proto(<name> PROTOS …)                              generated C++ messages, warnings off

set(LAB_SANITIZE "" CACHE STRING "Value of -fsanitize= for all our code; empty for none")

add_library(lab_warnings INTERFACE)
target_compile_options(lab_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)

add_library(lab_options INTERFACE)
target_include_directories(lab_options INTERFACE ${PROJECT_SOURCE_DIR})
target_link_libraries(lab_options INTERFACE lab_asio)
if(LAB_SANITIZE)
  target_compile_options(lab_options INTERFACE -fsanitize=${LAB_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  target_link_options(lab_options INTERFACE -fsanitize=${LAB_SANITIZE})
endif()

# Without this sloppiness ccache would compile everything anew that uses precompiled headers (its manual, "Precompiled
# headers"); no source of ours asks for the time.
find_program(LAB_CCACHE ccache)
if(LAB_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${LAB_CCACHE})
endif()

include(precompiled)

function(lab_library module)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(lab_${module} STATIC ${ARG_SOURCES})
  add_library(lab::${module} ALIAS lab_${module})
  target_link_libraries(lab_${module} PUBLIC lab_options ${ARG_DEPS} PRIVATE lab_warnings ${ARG_PRIVATE_DEPS})
  if(ARG_COLD)
    target_link_libraries(lab_${module} PRIVATE lab_cold_options)
    lab_take_headers(lab_${module} lab_cold_headers)
  else()
    lab_take_headers(lab_${module} lab_headers)
  endif()
endfunction()

function(lab_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lab_options lab_warnings ${ARG_DEPS})
  lab_take_headers(${name} lab_headers)
endfunction()

function(lab_test name)
  cmake_parse_arguments(ARG "SOURCE_DIR" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT TARGET GTest::gmock_main)
    return()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lab_options lab_warnings lab_test_options GTest::gmock_main ${ARG_DEPS})
  if(ARG_SOURCE_DIR)
    target_compile_definitions(${name} PRIVATE LAB_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endif()
  lab_take_headers(${name} lab_test_headers)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  # GoogleTest ends its output with the list of skipped tests when some were skipped and none failed: CTest then shows
  # the binary as skipped, never as passed. With a failure the output ends otherwise, and it counts as failed.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
                       SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\] [^\n)]*\n*$")
  if(NOT TARGET tests_${ARG_LABEL})
    add_custom_target(tests_${ARG_LABEL})
  endif()
  add_dependencies(tests_${ARG_LABEL} ${name})
endfunction()

function(lab_proto name)
  cmake_parse_arguments(ARG "" "" "PROTOS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_PROTOS})
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf lab_options ${ARG_DEPS})
  target_include_directories(${name} SYSTEM PUBLIC ${PROJECT_BINARY_DIR}/proto)
  protobuf_generate(TARGET ${name} LANGUAGE cpp IMPORT_DIRS ${PROJECT_SOURCE_DIR}/proto
                    PROTOC_OUT_DIR ${PROJECT_BINARY_DIR}/proto)
endfunction()
