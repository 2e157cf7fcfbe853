# The libraries the project stands on, each as one target. All but libtorch are Debian packages
# (scripts/packages.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Libtorch 2.11 REQUIRED)
find_package(fmt REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
pkg_check_modules(FFmpeg REQUIRED IMPORTED_TARGET
  libavformat libavcodec libavutil libswscale libavfilter libswresample)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(zimg REQUIRED IMPORTED_TARGET zimg)
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(re2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
mark_as_advanced(STB_INCLUDE_DIR)

add_library(sora_stb INTERFACE)
target_include_directories(sora_stb SYSTEM INTERFACE "${STB_INCLUDE_DIR}")

if(SORA_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark CONFIG)
endif()
