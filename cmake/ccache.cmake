# Compiles through ccache where it is installed. Precompiled headers hit the cache only when ccache may disregard
# the macros and the times behind them; paths below the base directory are hashed as relative ones, so that a
# second build tree finds the first one's results.
find_program(CCACHE_PROGRAM ccache)
mark_as_advanced(CCACHE_PROGRAM)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  cmake_path(IS_PREFIX CMAKE_SOURCE_DIR "${CMAKE_BINARY_DIR}" NORMALIZE _build_inside_source)
  if(_build_inside_source)
    set(_ccache_base "${CMAKE_SOURCE_DIR}")
  else()
    set(_ccache_base "${CMAKE_BINARY_DIR}")
  endif()
  set(_ccache "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime,locale"
      "CCACHE_BASEDIR=${_ccache_base}" CCACHE_NOHASHDIR=1 "${CCACHE_PROGRAM}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${_ccache}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${_ccache}")
endif()
