# Finds libtorch without the package file that PyTorch ships: that one looks for a CUDA toolkit whenever the
# library was built with CUDA, and fails on a machine which has none.
#
# Searched in this order:
#   SORA_LIBTORCH   (CMake or environment) a directory with include/ and lib/
#   LIBTORCH        (environment) the same
#   Torch_DIR, CMAKE_PREFIX_PATH, system directories: an installed libtorch
#   `scripts/get-libtorch --find`: torch of the `python3` in PATH (2.11 or later), else the cache
#
# Defines
#   libtorch::libtorch   the CPU half: libtorch_cpu and libc10
#   libtorch::cuda       the CUDA half, loaded only where a program asks for the device (if present)
#   Libtorch_ROOT_DIR, Libtorch_VERSION, Libtorch_LIBRARY_DIR

include(FindPackageHandleStandardArgs)

set(_libtorch_roots "")
foreach(_root IN ITEMS "${SORA_LIBTORCH}" "$ENV{SORA_LIBTORCH}" "$ENV{LIBTORCH}")
  if(_root)
    list(APPEND _libtorch_roots "${_root}")
  endif()
endforeach()
foreach(_root IN ITEMS "${Torch_DIR}" "$ENV{Torch_DIR}")
  if(_root)
    list(APPEND _libtorch_roots "${_root}/../../..")  # share/cmake/Torch below the root
  endif()
endforeach()

find_path(Libtorch_INCLUDE_DIR ATen/ATen.h HINTS ${_libtorch_roots} PATH_SUFFIXES include)
if(NOT Libtorch_INCLUDE_DIR)
  execute_process(
    COMMAND "${CMAKE_CURRENT_LIST_DIR}/../scripts/get-libtorch" --find
    OUTPUT_VARIABLE _libtorch_found ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(_libtorch_found)
    find_path(Libtorch_INCLUDE_DIR ATen/ATen.h PATHS "${_libtorch_found}/include" NO_DEFAULT_PATH)
  endif()
endif()

if(Libtorch_INCLUDE_DIR)
  get_filename_component(Libtorch_ROOT_DIR "${Libtorch_INCLUDE_DIR}/.." REALPATH)
  set(_libtorch_version_h "${Libtorch_INCLUDE_DIR}/torch/headeronly/version.h")
  if(NOT EXISTS "${_libtorch_version_h}")
    set(_libtorch_version_h "${Libtorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h")
  endif()
  if(EXISTS "${_libtorch_version_h}")
    file(STRINGS "${_libtorch_version_h}" _libtorch_lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9;]" "" Libtorch_VERSION "${_libtorch_lines}")
    string(REPLACE ";" "." Libtorch_VERSION "${Libtorch_VERSION}")
  endif()
endif()

foreach(_name IN ITEMS torch_cpu c10 torch_cuda c10_cuda)
  find_library(Libtorch_${_name}_LIBRARY ${_name} PATHS "${Libtorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  mark_as_advanced(Libtorch_${_name}_LIBRARY)
endforeach()

find_package_handle_standard_args(Libtorch
  REQUIRED_VARS Libtorch_torch_cpu_LIBRARY Libtorch_c10_LIBRARY Libtorch_INCLUDE_DIR
  VERSION_VAR Libtorch_VERSION
  REASON_FAILURE_MESSAGE
    "run scripts/get-libtorch once, or name a libtorch with -DSORA_LIBTORCH=DIR (holding include/ and lib/)")

if(Libtorch_FOUND AND NOT TARGET libtorch::libtorch)
  set(Libtorch_LIBRARY_DIR "${Libtorch_ROOT_DIR}/lib")

  # Torch's include directory carries its own fmt (12), whose library half is in no file of the wheel; ours
  # links the system's. The wanted fmt stands alone in a directory searched before torch's.
  find_package(fmt REQUIRED CONFIG)
  find_path(Libtorch_FMT_DIR fmt/core.h PATHS /usr/include NO_CMAKE_ENVIRONMENT_PATH)
  mark_as_advanced(Libtorch_FMT_DIR Libtorch_INCLUDE_DIR)
  set(_libtorch_first "${CMAKE_BINARY_DIR}/include_first")
  file(MAKE_DIRECTORY "${_libtorch_first}")
  file(CREATE_LINK "${Libtorch_FMT_DIR}/fmt" "${_libtorch_first}/fmt" SYMBOLIC)

  add_library(libtorch::c10 SHARED IMPORTED)
  set_target_properties(libtorch::c10 PROPERTIES
    IMPORTED_LOCATION "${Libtorch_c10_LIBRARY}" IMPORTED_SONAME libc10.so)
  add_library(libtorch::libtorch SHARED IMPORTED)
  set_target_properties(libtorch::libtorch PROPERTIES
    IMPORTED_LOCATION "${Libtorch_torch_cpu_LIBRARY}" IMPORTED_SONAME libtorch_cpu.so)
  target_include_directories(libtorch::libtorch SYSTEM INTERFACE
    "${_libtorch_first}" "${Libtorch_INCLUDE_DIR}" "${Libtorch_INCLUDE_DIR}/torch/csrc/api/include")
  # at::parallel_for is a template over OpenMP: a unit compiled without it would run on one thread. The runtime
  # linked is torch's own, so that a process holds one thread pool.
  target_compile_options(libtorch::libtorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  target_compile_definitions(libtorch::libtorch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
  file(GLOB _libtorch_gomp "${Libtorch_LIBRARY_DIR}/libgomp*.so*")
  if(NOT _libtorch_gomp)
    set(_libtorch_gomp gomp)
  endif()
  target_link_libraries(libtorch::libtorch INTERFACE libtorch::c10 ${_libtorch_gomp})
  # libtorch_cpu finds the CUDA runtime beside itself; the linker is told not to ask for it.
  target_link_options(libtorch::libtorch INTERFACE -Wl,--allow-shlib-undefined)

  if(Libtorch_torch_cuda_LIBRARY AND Libtorch_c10_cuda_LIBRARY)
    add_library(libtorch::cuda SHARED IMPORTED)
    set_target_properties(libtorch::cuda PROPERTIES
      IMPORTED_LOCATION "${Libtorch_torch_cuda_LIBRARY}" IMPORTED_SONAME libtorch_cuda.so)
    target_link_libraries(libtorch::cuda INTERFACE libtorch::libtorch "${Libtorch_c10_cuda_LIBRARY}")
  endif()
endif()
