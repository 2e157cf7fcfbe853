#!/usr/bin/env bats
# sora queue, with the real program on a tiny model that diffusers wrote.

bats_require_minimum_version 1.5.0
load jobs

setup_file() { use_tiny_model; }

setup() {
  enter_work_folder
  export SORA_QUEUE="$PWD/queue"
}

add() { "$SORA" queue add "$@" generate "a red ball" -m "$MODEL" --size 48x32 --frames 5 --steps 2 --dtype f32; }
state() { "$SORA" queue show "$1" --json | jq -r .job.state; }

@test "priority jobs run before relaxed ones, and the clip plays" {
  relaxed=$(add --relaxed)
  priority=$(add)
  [ "$("$SORA" queue show "$relaxed" --json | jq -r .job.lane)" = relaxed ]
  run --separate-stderr "$SORA" queue run
  [ "$status" -eq 0 ]
  [ "$(state "$relaxed")" = done ]
  ffprobe -v error "${lines[0]}"
  first=$("$SORA" queue show "$priority" --json | jq -r .job.output)
  [ "${lines[0]}" = "$first" ]
}

@test "a wrong command is refused when it is added" {
  run "$SORA" queue add generate "a red ball" --stepps 3
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean --steps?"* ]]
  run "$SORA" queue add info
  [ "$status" -eq 2 ]
}

@test "a queued prompt is read from stdin when it is added, and nothing else is" {
  local words=(-m "$MODEL" --size 48x32 --frames 5 --steps 1 --dtype f32)
  echo "-1 red balls" | "$SORA" queue add generate - "${words[@]}"
  run "$SORA" queue run </dev/null
  [ "$status" -eq 0 ]
  [ "$("$SORA" info "$PWD"/queue/*.mp4 --json | jq -r .metadata.request.arguments.prompt)" = "-1 red balls" ]
  for wrong in "-o -" "--image -" "--dry-run" "--ranks 2"; do
    run "$SORA" queue add generate "a ball" $wrong "${words[@]}" </dev/null
    [ "$status" -eq 2 ] || { echo "$wrong: $output"; return 1; }
  done
}

@test "looking at a queue that is not there makes none" {
  run "$SORA" queue list
  [ "$status" -eq 0 ] && [ -z "$output" ]
  run "$SORA" queue list --queue typo
  [ "$status" -eq 4 ]
  run "$SORA" queue show 1
  [ "$status" -eq 4 ]
  [ ! -e typo ] && [ ! -e queue ]
}

@test "a job that cannot be made fails alone, not those that wait before it" {
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=16 -frames:v 9 -c:v ffv1 gone.mkv
  good=$(add)
  bad=$("$SORA" queue add extend gone.mkv --by 0.3s -m "$MODEL" --steps 2 --dtype f32)
  rm gone.mkv
  "$SORA" queue run --quiet || true
  [ "$(state "$good")" = done ]
  [ "$(state "$bad")" = failed ]
}

@test "paused and cancelled jobs do not run, and cancelled ones can be retried" {
  id=$(add)
  "$SORA" queue pause
  run "$SORA" queue run
  [[ "$output" == *"the queue is paused"* ]]
  [ "$(state "$id")" = pending ]
  "$SORA" queue cancel "$id"
  "$SORA" queue unpause
  "$SORA" queue run --quiet
  [ "$(state "$id")" = cancelled ]
  "$SORA" queue retry "$id"
  "$SORA" queue run --quiet
  [ "$(state "$id")" = done ]
  run "$SORA" queue cancel "$id"
  [ "$status" -eq 2 ]
  run "$SORA" queue show 99
  [ "$status" -eq 4 ]
}

@test "a running job is cancelled at its next step, and the queue goes on" {
  long=$("$SORA" queue add generate "a red ball" -m "$MODEL" --size 160x96 --frames 49 --steps 900 --dtype f32)
  next=$(add)
  "$SORA" queue run --quiet >/dev/null &
  pid=$!
  for _ in $(seq 100); do [ "$(state "$long")" = running ] && break; sleep 0.1; done
  "$SORA" queue cancel "$long"
  wait $pid
  [ "$(state "$long")" = cancelled ]
  [ "$(state "$next")" = done ]
}

@test "a job that kills its process fails after three, and the next is made" {
  killer=$("$SORA" queue add generate "a red ball" -m "$MODEL" --size 160x96 --frames 49 --steps 900 --dtype f32)
  next=$(add)
  maker_of() { sqlite3 queue/.sora/journal.sqlite "SELECT pid FROM jobs WHERE id = $1 AND state = 'running'"; }
  for _ in 1 2 3; do
    "$SORA" queue run --quiet >/dev/null &
    pid=$!
    for _ in $(seq 600); do [ "$(maker_of "$killer")" = $pid ] && break; sleep 0.1; done
    kill -KILL $pid
    wait $pid || true
  done
  run "$SORA" queue run --quiet
  [ "$(state "$killer")" = failed ]
  [ "$(state "$next")" = done ]
  [ -z "$(ls queue/.sora/work)" ]
}

@test "a job's own --force replaces the clip, and two jobs do not write one" {
  make="generate ball -m $MODEL --size 48x32 --frames 5 --steps 2 --dtype f32 -o clip.mp4"
  "$SORA" queue add $make --seed 1
  run "$SORA" queue add $make --seed 2 --force
  [ "$status" -eq 2 ]
  [[ "$output" == *"is to write clip.mp4"* ]]
  "$SORA" queue run --quiet
  before=$(sha256sum queue/clip.mp4)
  id=$("$SORA" queue add $make --seed 2 --force)
  "$SORA" queue run --quiet
  [ "$(state "$id")" = done ]
  [ "$(sha256sum queue/clip.mp4)" != "$before" ]
}

@test "relative paths of the environment stay where the run was started" {
  mkdir elsewhere
  (cd elsewhere && add)
  SORA_CACHE=cache "$SORA" queue run --quiet --preview-file seen.webp
  [ -e seen.webp ]
  [ -d cache ]
  [ ! -e elsewhere/cache ]
}

@test "list, queue and help answer without loading libtorch" {
  add
  run strace -f -e trace=openat "$SORA" queue list
  [ "$status" -eq 0 ]
  [[ "$output" != *libtorch* ]]
}
