# What the build made: which libraries the program and the library load, and how fast the program answers.

bats_require_minimum_version 1.5.0

setup_file() {
  export BUILD=${SORA_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build}
}

needed() { readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

@test "the program links neither torch nor FFmpeg" {
  run needed "$BUILD/sora"
  [[ $output == *libstdc++* ]]
  [[ $output != *torch* && $output != *c10* && $output != *libav* && $output != *libsw* ]]
}

@test "the library links the CPU half of torch, and not the CUDA half" {
  run needed "$BUILD/lib/libsora.so"
  [[ $output == *libtorch_cpu.so* ]]
  [[ $output != *libtorch.so* && $output != *cuda* ]]
}

@test "everything the library needs is found" {
  run ldd "$BUILD/lib/libsora.so"
  [[ $output == *libtorch_cpu.so* ]]
  [[ $output != *"not found"* ]]
}

@test "one OpenMP runtime is loaded" {
  [ "$(ldd "$BUILD/lib/libsora.so" | grep -c 'libgomp\|libomp\|libiomp')" -eq 1 ]
}

@test "the library shows nothing of its own but the public API" {
  # Other names are weak copies of the standard library's and torch's inline code.
  run bash -c 'nm --dynamic --defined-only --demangle "$BUILD/lib/libsora.so" | grep -E " [TDBR] " |
    grep -vE " (sora::|sora_new_engine|sora_remove_unfinished_files)"'
  [ -z "$output" ]
  nm --dynamic --defined-only "$BUILD/lib/libsora.so" | grep -q ' T sora_new_engine$'
}

@test "units compiled for newer processors hold no inline code that others might be linked to" {
  mapfile -t objects < <(find "$BUILD/kernels" -name '*_avx*.o' -o -name '*_amx*.o')
  ((${#objects[@]} > 0))
  run bash -c 'nm --demangle --defined-only "$@" | grep -E " [WVu] "' -- "${objects[@]}"
  [ -z "$output" ]
}

@test "--version answers within 100 ms" {
  best=1000000
  for _ in 1 2 3 4 5; do
    start=${EPOCHREALTIME/./}
    "$BUILD/sora" --version >/dev/null
    took=$((${EPOCHREALTIME/./} - start))
    if ((took < best)); then best=$took; fi
  done
  echo "best of five: $best us"
  ((best < 100000))
}

@test "the program and the library have a read-only relocation table and no executable stack" {
  for file in "$BUILD/sora" "$BUILD/lib/libsora.so"; do
    readelf --program-headers --wide "$file" | grep -q GNU_RELRO
    readelf --dynamic --wide "$file" | grep -qE 'FLAGS.*NOW'
    ! readelf --program-headers --wide "$file" | grep -E 'GNU_STACK.*RWE'
  done
}

@test "man page and completions are made with the program, so that cmake --install needs no other target" {
  for file in man/man1/sora.1 bash-completion/completions/sora zsh/site-functions/_sora fish/vendor_completions.d/sora.fish; do
    [ -s "$BUILD/share/$file" ]
    ninja -C "$BUILD" -t query "share/$file" | grep -q CXX_EXECUTABLE_LINKER__sora
  done
}
