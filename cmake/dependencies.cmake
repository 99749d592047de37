# Everything comes from Debian's packages (deploy/packages-*.txt).
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
find_package(GTest)
find_package(benchmark)

# gRPC, Protobuf and Abseil as archives: calls into a shared library and its thread-local data cost a fifth of a gRPC
# call (64 outstanding: 28 -> 22 us of server CPU), and a process of 60 shared libraries starts slowly. Not under a
# sanitizer: the tests tell the thread sanitizer to ignore what is not instrumented (rpc/tsan_defaults.cc), and it tells
# that by shared library.
option(LAB_STATIC_GRPC "Link gRPC, Protobuf and Abseil statically" ON)
if(LAB_STATIC_GRPC AND NOT LAB_SANITIZE)
  get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(imported IN LISTS imported_targets)
    if(NOT imported MATCHES "^(gRPC|protobuf|absl)::")
      continue()
    endif()
    foreach(property IMPORTED_LOCATION IMPORTED_LOCATION_NONE IMPORTED_LOCATION_RELEASE)
      get_target_property(shared ${imported} ${property})
      string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${shared}")
      if(shared MATCHES "\\.so" AND EXISTS ${archive})
        set_target_properties(${imported} PROPERTIES ${property} ${archive})
      endif()
    endforeach()
  endforeach()
endif()

# Asio and Beast are compiled once (services/runtime/async/asio.cc, services/runtime/http/beast.cc).
add_library(lab_asio INTERFACE)
target_compile_definitions(lab_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                                              BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(lab_asio INTERFACE Boost::headers Threads::Threads)
