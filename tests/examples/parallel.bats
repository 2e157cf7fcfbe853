# examples/parallel/run, with a stub in sora's place.

@test "a shard gets each argument as it was given" {
  cd "$BATS_TEST_TMPDIR"
  printf '#!/bin/sh\nprintf "<%%s>" "$@" >>"$TOLD"\necho >>"$TOLD"\n' >stub
  chmod +x stub
  export TOLD="$BATS_TEST_TMPDIR/told"
  SORA="$PWD/stub" "$BATS_TEST_DIRNAME/../../examples/parallel/run" "my prompts.txt" "a folder" 2 --model "a; touch \$b"
  expected() { echo "<batch><my prompts.txt><-o><a folder><--shard><$1/2><--keep-going><--quiet><--model><a; touch \$b>"; }
  diff <(sort told) <(expected 0; expected 1)
  [ ! -e '$b' ] && [ -f "a folder/joblog" ]
}
