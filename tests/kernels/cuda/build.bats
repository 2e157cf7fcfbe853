# The kernels for GPUs compile without a warning (each is an error, as are registers that spill) and link, for every GPU that they are made for.
# Nothing runs them here. Their mathematics is tested by emulation (emulated_block.h, emulated_hopper.h, attention_test.cpp).

@test "CUDA kernels compile for sm_80, sm_89, sm_90a and as PTX, and link" {
  export PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || skip "no nvcc on this machine"
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  cmake -S "$root/kernels/cuda" -B "$BATS_TEST_TMPDIR/build" -G Ninja
  run cmake --build "$BATS_TEST_TMPDIR/build" --verbose
  [ "$status" -eq 0 ]
  for code in sm_80 sm_89 sm_90a compute_90; do [[ $output == *"code=[$code]"* ]]; done
  library=$BATS_TEST_TMPDIR/build/libsora_kernels_cuda.so
  nm -DC "$library" | grep "cuda::launch_attention(sora::kernels::cuda::AttentionProblem const&"
  nm -DC "$library" | grep "cuda::launch_attention_int8(sora::kernels::cuda::Int8AttentionProblem const&"
  nm -DC "$library" | grep "cuda::launch_rows(sora::kernels::cuda::RowProblem const&"
  nm -DC "$library" | grep "cuda::attention_runs_here()"
  nm -DC "$library" | grep "cuda::rows_run_here()"
  # Products that the assembler would let run one after the other, for fear of a register, are an error too, and so is a fence that it has to add.
  [[ $output != *"wgmma.mma_async instructions are serialized"* && $output != *"is injected"* ]]
}

# The assembler is free to move a wait ahead of arithmetic, and what runs beside what is then lost without a word.
@test "Hopper's exponentials stand between the wait for their logits and the wait for the products of values" {
  export PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || skip "no nvcc on this machine"
  command -v nvdisasm >/dev/null || skip "no nvdisasm on this machine"
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  for kernels in attention attention_int8; do
    cubin=$BATS_TEST_TMPDIR/$kernels.cubin
    nvcc -std=c++20 -I"$root" -arch=sm_90a -cubin -o "$cubin" "$root/kernels/cuda/hopper/$kernels.cu"
    # Two waits that follow each other, the first of which leaves a group of products under way, and the exponentials of 96 keys at least between them.
    run awk '/DEPBAR.LE gsb0, 0x1/ { between = 1; found = 0 } /MUFU.EX2/ { found += between }
             /DEPBAR.LE gsb0, 0x0/ { if (between && found >= 48) ++overlapping; between = 0 } END { print overlapping + 0 }' <(nvdisasm -c "$cubin")
    [ "$output" -eq 4 ]  # heads of 64 and 128, with and without terms
  done
}

# Without a driver the runtime has no other error than that.
@test "errors of CUDA's runtime are told once, and a kernel without code for the GPU is none that runs there" {
  export PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || skip "no nvcc on this machine"
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  cat >"$BATS_TEST_TMPDIR/errors.cu" <<'END'
#include <cstdio>
#include "kernels/cuda/check.h"
__global__ void kernel() {}
int main() {
  using namespace sora::kernels::cuda;
  try {
    check(cudaSetDevice(1 << 20));
  } catch (const std::runtime_error& error) {
    std::puts(error.what());
  }
  std::puts(cudaGetErrorName(cudaPeekAtLastError()));
  std::puts(has_code_of(kernel) ? "runs" : "does not run");
  std::puts(cudaGetErrorName(cudaPeekAtLastError()));
}
END
  nvcc -std=c++20 -I"$root" -gencode arch=compute_75,code=sm_75 -o "$BATS_TEST_TMPDIR/errors" "$BATS_TEST_TMPDIR/errors.cu"
  run "$BATS_TEST_TMPDIR/errors"
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "CUDA kernels: "* ]]
  [ "${lines[2]}" = "does not run" ]
  ! nvidia-smi -L >/dev/null 2>&1 || [ "${lines[1]} ${lines[3]}" = "cudaSuccess cudaSuccess" ]
}

@test "CUDA kernels compile for one GPU that is no Hopper, without Hopper's" {
  export PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || skip "no nvcc on this machine"
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  cmake -S "$root/kernels/cuda" -B "$BATS_TEST_TMPDIR/build" -G Ninja -DSORA_CUDA_ARCHITECTURES=89-real
  run cmake --build "$BATS_TEST_TMPDIR/build" --verbose
  [ "$status" -eq 0 ]
  [[ $output == *"code=[sm_89]"* && $output != *sm_90* ]]
  nm -DC "$BATS_TEST_TMPDIR/build/libsora_kernels_cuda.so" | grep "cuda::launch_attention_int8("
}

@test "the whole program configures for CUDA, and NCCL's part of it and that of graphs are among its targets" {
  export PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || skip "no nvcc on this machine"
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  libtorch=$("$root/scripts/get-libtorch" --cuda --find 2>/dev/null) || skip "no libtorch with its CUDA half"
  cmake -S "$root" -B "$BATS_TEST_TMPDIR/build" -G Ninja -DSORA_CUDA=ON -DSORA_LIBTORCH="$libtorch"
  run ninja -C "$BATS_TEST_TMPDIR/build" -t targets all
  [[ $output == *"lib/libsora_nccl.so: "* ]]
  [[ $output == *"lib/libsora_cuda_graph.so: "* ]]
  [[ $output == *"kernels/cuda/libsora_kernels_cuda.a: "* ]]
}
