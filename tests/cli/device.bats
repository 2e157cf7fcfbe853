# --device on the command line.
bats_require_minimum_version 1.5.0

setup() {
  SORA=${SORA_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build}/sora
  export HOME=$BATS_TEST_TMPDIR
  cd "$BATS_TEST_TMPDIR" || return 1
}

has_gpu() { "$SORA" info --json | jq -e '.devices | index("cuda")' >/dev/null; }

@test "info, the plan and the manifest name the device" {
  run --separate-stderr "$SORA" info --json
  [ "$status" -eq 0 ]
  [ "$(jq -r '.devices[0]' <<<"$output")" = cpu ]
  run --separate-stderr "$SORA" generate "a red ball" --device cpu --dry-run --json
  [ "$(jq -r .device <<<"$output")" = cpu ]
  run --separate-stderr "$SORA" generate "a red ball" --device cpu --dry-run
  [[ "$output" == *" on cpu"* ]]
  run --separate-stderr "$SORA" generate "a red ball" --size 64x64 --frames 5 --steps 1 -o clip.mp4 --json
  [ "$status" -eq 0 ]
  [ "$(jq -r .manifest.request.device <<<"$output")" = "$(has_gpu && echo cuda || echo cpu)" ]
}

@test "--device cuda without a GPU is one sentence and exit 2, before any work" {
  has_gpu && skip "there is a GPU"
  run --separate-stderr "$SORA" generate "a red ball" --device cuda -o clip.mp4
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == "sora: --device cuda cannot be used: "* ]]
  [ ! -e clip.mp4 ]
}

@test "another device is refused" {
  run --separate-stderr "$SORA" generate "a red ball" --device tpu
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"--device tpu is unknown; it is auto, cpu or cuda"* ]]
}

@test "ranks on GPUs that are not there are refused before any work" {
  has_gpu && skip "there is a GPU"
  run --separate-stderr "$SORA" generate "a red ball" --device cuda --ranks 2 -o clip.mp4
  [ "$status" -eq 2 ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == "sora: --device cuda cannot be used: "* ]]
  [ ! -e clip.mp4 ]
}

@test "--attention takes whose kernel is run" {
  for kernel in auto torch sora; do
    "$SORA" generate "a red ball" --device cpu --size 64x64 --frames 5 --steps 1 --seed 3 --attention "$kernel" -o "$kernel.mp4" --quiet
    [ -s "$kernel.mp4" ]
  done
  run --separate-stderr "$SORA" generate "a red ball" --attention fast
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"it is auto, torch, sora or int8"* ]]
}

@test "--cuda-graph without a GPU is one sentence and exit 2" {
  has_gpu && skip "there is a GPU"
  run --separate-stderr "$SORA" generate "a red ball" --cuda-graph -o clip.mp4
  [ "$status" -eq 2 ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == *"--cuda-graph is of GPUs; leave it out, or take --device cuda"* ]]
}
