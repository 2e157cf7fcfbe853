# scripts/quickstart where set-up and build are done: seconds, and one clip.

bats_require_minimum_version 1.5.0

@test "quickstart's last line on stdout is the path of a video of at least 480 pixels of width" {
  cd "$BATS_TEST_TMPDIR"
  run --separate-stderr "$BATS_TEST_DIRNAME/../../scripts/quickstart"
  [ "$status" -eq 0 ]
  width=$(ffprobe -v error -select_streams v -show_entries stream=width -of csv=p=0 "${lines[-1]}")
  ((width >= 480))
}

@test "quickstart hands its options to generate" {
  cd "$BATS_TEST_TMPDIR"
  run --separate-stderr "$BATS_TEST_DIRNAME/../../scripts/quickstart" "a blue ball" --frames 5 --steps 1 -o ball.mp4
  [ "$status" -eq 0 ]
  [ "$output" = ball.mp4 ]
  [ -s ball.mp4 ]
}
