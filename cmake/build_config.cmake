# What the sources learn from the build: the header "sora/build_config.h", and a build tree that looks to the
# program like an installed one (the model beside it, the library below it).
if(NOT DEFINED CMAKE_INSTALL_LIBDIR)
  set(CMAKE_INSTALL_LIBDIR lib CACHE PATH "Library directory below the prefix")
endif()
include(GNUInstallDirs)

set(SORA_LIBRARY_BUILD_DIR "${CMAKE_BINARY_DIR}/lib")
set(SORA_MODELS_INSTALL_DIR "${CMAKE_INSTALL_DATADIR}/sora/models")
file(RELATIVE_PATH SORA_LIBRARY_FROM_PROGRAM
  "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}/libsora.so")
file(RELATIVE_PATH SORA_MODELS_FROM_PROGRAM
  "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_PREFIX}/${SORA_MODELS_INSTALL_DIR}")
file(RELATIVE_PATH SORA_MODELS_FROM_LIBRARY
  "${CMAKE_INSTALL_FULL_LIBDIR}" "${CMAKE_INSTALL_PREFIX}/${SORA_MODELS_INSTALL_DIR}")

configure_file("${CMAKE_SOURCE_DIR}/cmake/build_config.h.in" "${CMAKE_BINARY_DIR}/generated/sora/build_config.h")
include_directories("${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")

file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/share/sora")
file(CREATE_LINK "${CMAKE_SOURCE_DIR}/models" "${CMAKE_BINARY_DIR}/share/sora/models" SYMBOLIC)
