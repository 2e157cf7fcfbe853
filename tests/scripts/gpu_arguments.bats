# Which CUDA kernels scripts/build adds: with programs that stand in for nvidia-smi and nvcc, and for cmake where it is called.

bats_require_minimum_version 1.5.0

setup() {
  unset SORA_BUILD_DIR CMAKE_ARGS
  bin=$BATS_TEST_TMPDIR/bin
  mkdir "$bin"
  export PATH=$bin:/usr/bin:/bin
  scripts=$BATS_TEST_DIRNAME/../../scripts
}

# stand_in NAME LINE ...: a program on PATH that prints these.
stand_in() {
  printf '#!/bin/sh\ncat <<END\n%s\nEND\n' "$(printf '%s\n' "${@:2}")" >"$bin/$1"
  chmod +x "$bin/$1"
}
gpus() { stand_in nvidia-smi "$@"; }
nvcc_knows() { stand_in nvcc "$@"; }

@test "a Hopper GPU gets the kernels for sm_90a, others those of their number, twins once" {
  nvcc_knows sm_80 sm_89 sm_90 sm_120
  gpus 9.0
  run --separate-stderr "$scripts/gpu-arguments"
  [ "$status" -eq 0 ]
  [ "${lines[*]}" = "-DSORA_CUDA=ON -DSORA_CUDA_ARCHITECTURES=90a-real -DCMAKE_CUDA_COMPILER=$bin/nvcc" ]
  gpus 12.0 8.9 8.9
  run --separate-stderr "$scripts/gpu-arguments"
  [ "${lines[1]}" = "-DSORA_CUDA_ARCHITECTURES=89-real;120-real" ]
}

@test "no GPU, one that is too old, or one that nvcc does not know gets none" {
  nvcc_knows sm_80
  run --separate-stderr "$scripts/gpu-arguments"
  [ "$status" -eq 0 ] && [ -z "$output" ]
  for capability in 7.5 9.0 "[N/A]" "NVIDIA-SMI has failed"; do
    gpus "$capability"
    run --separate-stderr "$scripts/gpu-arguments"
    [ "$status" -eq 0 ] && [ -z "$output" ]
  done
}

# A copy of scripts/build beside programs that stand in for what it calls; cmake makes the build file of a configuration.
stand_in_build() {
  mkdir "$BATS_TEST_TMPDIR/scripts"
  cp "$scripts/build" "$scripts/gpu-arguments" "$BATS_TEST_TMPDIR/scripts"
  printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/scripts/install-packages"
  printf '#!/bin/sh\necho "/libtorch$*"\n' >"$BATS_TEST_TMPDIR/scripts/get-libtorch"
  printf '#!/bin/sh\necho "cmake $*"\n[ "$1" != -S ] || { mkdir -p "$4"; touch "$4/build.ninja"; }\n' >"$bin/cmake"
  chmod +x "$BATS_TEST_TMPDIR"/scripts/* "$bin/cmake"
}
build() { run "$BATS_TEST_TMPDIR/scripts/build" sora; }

@test "build hands them to cmake with a libtorch that has its CUDA half, unless it is told about CUDA" {
  stand_in_build
  nvcc_knows sm_89
  gpus 8.9
  build
  [ "$status" -eq 0 ]
  [[ $output == *"cmake -S "*"-DSORA_CUDA_ARCHITECTURES=89-real "*"-DSORA_LIBTORCH=/libtorch--cuda"* ]]
  rm -r "$BATS_TEST_TMPDIR/build"
  CMAKE_ARGS=-DSORA_CUDA=OFF build
  [[ $output == *"-DSORA_CUDA=OFF"* && $output != *ARCHITECTURES* ]]
  build
  [[ $output != *"cmake -S"* ]]
  rm -r "$BATS_TEST_TMPDIR/build" "$bin/nvidia-smi"
  build
  [[ $output == *"cmake -S"* && $output != *CUDA* ]]
}

@test "a build tree is configured anew when a GPU comes or is another one, and for nothing else" {
  stand_in_build
  nvcc_knows sm_89 sm_120
  build
  [[ $output == *"cmake -S"* && $output != *CUDA* ]]
  build
  [[ $output != *"cmake -S"* ]]
  gpus 8.9
  build
  [[ $output == *"-DSORA_CUDA_ARCHITECTURES=89-real"*"--cuda"* ]]
  build
  [ "$status" -eq 0 ]
  [[ $output != *"cmake -S"* ]]
  gpus 12.0
  build
  [[ $output == *"-DSORA_CUDA_ARCHITECTURES=120-real"* ]]
  rm "$bin/nvidia-smi" # its kernels stay
  build
  [[ $output != *"cmake -S"* ]]
}

@test "a build tree that was configured by hand is left as it is" {
  stand_in_build
  mkdir "$BATS_TEST_TMPDIR/build"
  touch "$BATS_TEST_TMPDIR/build/build.ninja"
  nvcc_knows sm_89
  gpus 8.9
  build
  [ "$status" -eq 0 ]
  [[ $output != *"cmake -S"* && $output == *"cmake --build"* ]]
}
