# `cmake --install`: the program, the library with its headers and find_package(sora), the built-in model, the man
# page and completions for bash, zsh and fish.
include(CMakePackageConfigHelpers)
option(SORA_BUNDLE_LIBTORCH "Install a copy of libtorch below lib/sora instead of pointing at the one in use" OFF)

if(TARGET sora)
  install(TARGETS sora RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  get_target_property(described sora SORA_DESCRIBED)
  foreach(file IN LISTS described)
    file(RELATIVE_PATH place "${CMAKE_BINARY_DIR}/share" "${file}")
    get_filename_component(place "${CMAKE_INSTALL_DATADIR}/${place}" DIRECTORY)
    install(FILES "${file}" DESTINATION "${place}")
  endforeach()
endif()

if(EXISTS "${CMAKE_SOURCE_DIR}/models")
  install(DIRECTORY "${CMAKE_SOURCE_DIR}/models/" DESTINATION "${SORA_MODELS_INSTALL_DIR}")
endif()

install(DIRECTORY "${CMAKE_SOURCE_DIR}/presets/" DESTINATION "${SORA_MODELS_INSTALL_DIR}/../presets")

if(NOT TARGET libsora)
  return()
endif()

# libtorch_cpu looks for the CUDA runtime two levels above itself, so a copy keeps the wheels' folders.
if(SORA_BUNDLE_LIBTORCH)
  set_target_properties(libsora PROPERTIES INSTALL_RPATH "$ORIGIN/sora/torch/lib")
  file(GLOB bundled "${Libtorch_LIBRARY_DIR}/libc10.so" "${Libtorch_LIBRARY_DIR}/libtorch_cpu.so"
    "${Libtorch_LIBRARY_DIR}/libgomp*.so*" "${Libtorch_LIBRARY_DIR}/libgfortran*.so*")
  install(FILES ${bundled} DESTINATION "${CMAKE_INSTALL_LIBDIR}/sora/torch/lib")
  file(GLOB bundled "${Libtorch_ROOT_DIR}/../nvidia/*/lib/libcudart.so.*" "${Libtorch_ROOT_DIR}/../nvidia/*/lib/libcupti.so.*")
  install(FILES ${bundled} DESTINATION "${CMAKE_INSTALL_LIBDIR}/sora/nvidia/cu13/lib")
else()
  set_target_properties(libsora PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/sora")
set_target_properties(libsora PROPERTIES EXPORT_NAME sora)
install(TARGETS libsora EXPORT soraTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET sora_nccl)
  get_target_property(rpath libsora INSTALL_RPATH)
  if(rpath)
    set_target_properties(sora_nccl PROPERTIES INSTALL_RPATH "${rpath}")
  else()
    set_target_properties(sora_nccl PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  endif()
  install(TARGETS sora_nccl LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(EXPORT soraTargets NAMESPACE sora:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/soraConfig.cmake.in "${CMAKE_BINARY_DIR}/soraConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/soraConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/soraConfig.cmake" "${CMAKE_BINARY_DIR}/soraConfigVersion.cmake"
  DESTINATION "${package_dir}")

# The public headers are lib/sora.h and all it includes. Installed, `lib/` is called `sora/`.
set(headers "lib/sora.h")
set(unread "lib/sora.h")
while(unread)
  list(POP_FRONT unread header)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${header}")
  file(STRINGS "${CMAKE_SOURCE_DIR}/${header}" includes REGEX "^#include \"lib/")
  foreach(line IN LISTS includes)
    string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" included "${line}")
    if(NOT included IN_LIST headers)
      list(APPEND headers "${included}")
      list(APPEND unread "${included}")
    endif()
  endforeach()
endwhile()
foreach(header IN LISTS headers)
  string(REGEX REPLACE "^lib/" "" place "${header}")
  file(READ "${CMAKE_SOURCE_DIR}/${header}" text)
  string(REPLACE "#include \"lib/" "#include \"sora/" text "${text}")
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/include/sora/${place}" CONTENT "${text}" @ONLY)
endforeach()
install(DIRECTORY "${CMAKE_BINARY_DIR}/include/sora" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
