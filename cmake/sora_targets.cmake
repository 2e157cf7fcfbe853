# The three kinds of target of the project: a folder's static library, its tests, and the precompiled headers they
# share.
#
#   sora_library(<folder> [TORCH] [SOURCES ...] DEPENDS ...)   the target sora_<folder>
#   sora_tests(<folder> [TORCH] DIRECTORY <dir> [SHARDS n] LINKS ...)
#                                                              the program test_<folder>, one CTest test or n of them with
#                                                              a share each, of the *.cpp below tests/<dir>;
#                                                              *_bench.cpp there make the program bench_<folder>
#
# A folder without sources is an empty library, so that those who depend on it still build.

# A unit named *_avx2.cpp and so on is compiled for that processor; the code beside it asks at run time whether it
# may be called. Such a unit includes intrinsics and the C library only (tests/architecture): of an inline function
# the linker keeps one copy, and it could be the one that an older processor cannot run.
set(SORA_FLAGS_avx2 -march=x86-64-v3)
set(SORA_FLAGS_avx512 -march=x86-64-v4)
set(SORA_FLAGS_avx512bf16 -march=x86-64-v4 -mavx512bf16 -mavx512vnni)
set(SORA_FLAGS_amx -march=x86-64-v4 -mavx512bf16 -mavx512vnni -mamx-tile -mamx-bf16 -mamx-int8)

function(sora_processor_flags)
  foreach(source IN LISTS ARGN)
    if(source MATCHES "_(avx2|avx512|avx512bf16|amx)\\.cpp$")
      set_source_files_properties("${source}" PROPERTIES
        COMPILE_OPTIONS "${SORA_FLAGS_${CMAKE_MATCH_1}};-ffp-contract=fast"
        SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# The owner of the precompiled header: all who reuse it are compiled with the same flags and definitions.
if(SORA_PCH)
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/generated/torch_pch.cpp" CONTENT "// Owns the precompiled header.\n")
  add_library(sora_torch_pch STATIC "${CMAKE_BINARY_DIR}/generated/torch_pch.cpp")
  target_link_libraries(sora_torch_pch PRIVATE libtorch::libtorch fmt::fmt)
  target_compile_options(sora_torch_pch PRIVATE -fpch-preprocess)
  target_precompile_headers(sora_torch_pch PRIVATE "${CMAKE_SOURCE_DIR}/cmake/torch_pch.h")
endif()

function(sora_use_torch_headers target)
  if(SORA_PCH)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_precompile_headers(${target} REUSE_FROM sora_torch_pch)
  endif()
endfunction()

function(sora_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "TORCH" "" "SOURCES;DEPENDS")
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  set(target sora_${folder})
  set(links ${ARG_DEPENDS})
  if(ARG_TORCH)
    list(APPEND links libtorch::libtorch fmt::fmt)
  endif()
  if(NOT ARG_SOURCES)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${links})
    return()
  endif()
  sora_processor_flags(${ARG_SOURCES})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_link_libraries(${target} PUBLIC ${links})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${SORA_UNITY} UNITY_BUILD_BATCH_SIZE 7)
  if(ARG_TORCH)
    sora_use_torch_headers(${target})
  endif()
endfunction()

function(sora_test_program target torch sources links)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${links})
  target_compile_definitions(${target} PRIVATE
    SORA_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SORA_BINARY_DIR="${CMAKE_BINARY_DIR}"
    SORA_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  if(torch)
    sora_use_torch_headers(${target})
  endif()
endfunction()

# A run of a test program, of all its tests or those of FILTER, shared among SHARDS processes.
function(sora_add_test name target)
  cmake_parse_arguments(PARSE_ARGV 2 ARG "" "FILTER;SHARDS" "")
  if(NOT ARG_FILTER)
    set(ARG_FILTER "*")
  endif()
  if(NOT ARG_SHARDS)
    set(ARG_SHARDS 1)
  endif()
  foreach(shard RANGE 1 ${ARG_SHARDS})
    set(run ${name})
    if(ARG_SHARDS GREATER 1)
      string(APPEND run "_${shard}")
    endif()
    math(EXPR shard_index "${shard} - 1")
    add_test(NAME ${run}
      COMMAND ${target} --gtest_brief=1 "--gtest_filter=${ARG_FILTER}"
        "--gtest_output=xml:${CMAKE_BINARY_DIR}/tests/results/${run}.xml"
      WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
    set_tests_properties(${run} PROPERTIES TIMEOUT 900 ENVIRONMENT  # tests share the processors
      "GOMP_SPINCOUNT=1000;GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${shard_index}")
  endforeach()
endfunction()

function(sora_tests folder)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "TORCH" "DIRECTORY;SHARDS" "LINKS")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${ARG_DIRECTORY}/*.cpp")
  set(benches "${sources}")
  list(FILTER sources EXCLUDE REGEX "_bench\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  if(benches AND TARGET benchmark::benchmark_main)
    sora_test_program(bench_${folder} ${ARG_TORCH} "${benches}" "${ARG_LINKS};benchmark::benchmark_main")
  endif()
  if(NOT sources)
    return()
  endif()
  sora_processor_flags(${sources})
  set(target test_${folder})
  sora_test_program(${target} ${ARG_TORCH} "${sources}" "${ARG_LINKS};GTest::gmock;GTest::gtest_main")
  sora_add_test(${folder} ${target} SHARDS "${ARG_SHARDS}")
endfunction()
