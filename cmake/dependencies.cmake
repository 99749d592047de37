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
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
find_package(GTest)
find_package(benchmark)

# Asio and Beast are compiled once (services/runtime/async/asio.cc, services/runtime/http/beast.cc).
add_library(lab_asio INTERFACE)
target_compile_definitions(lab_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                                              BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(lab_asio INTERFACE Boost::headers Threads::Threads)
