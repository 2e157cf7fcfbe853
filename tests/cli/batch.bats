#!/usr/bin/env bats
# sora batch as a script sees it, with the real program on a tiny model that diffusers wrote.

bats_require_minimum_version 1.5.0
load jobs

setup_file() { use_tiny_model; }

setup() {
  enter_work_folder
  begin_prompts
}

@test "every line becomes a file, and the same command again makes none" {
  prompts 3
  run --separate-stderr "$SORA" batch prompts.txt -o clips
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 3 ]
  for file in "${lines[@]}"; do ffprobe -v error "$file"; done
  before=$(stat -c '%n %Y %s' clips/*)
  run --separate-stderr "$SORA" batch prompts.txt -o clips
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  [ "$before" = "$(stat -c '%n %Y %s' clips/*)" ]
}

@test "a clip of a batch has the bytes of the same command alone" {
  prompts 2
  "$SORA" batch prompts.txt -o clips --quiet
  "$SORA" generate "a red ball" --size 48x32 --frames 5 --steps 2 --dtype f32 --model "$MODEL" --codec ffv1 --seed 2 -o alone.mkv --quiet
  cmp alone.mkv clips/clip-2.mkv
}

@test "all faults are told at once with line and column, and nothing is made" {
  cat >prompts.jsonl <<END
{"defaults": {"model": "$MODEL", "frames": 5}}
{"prompt": "a", "step": 3}
{"prompt": "b", "steps": 0, "image": "none.png"}
{"prompt": "c", "output": "../outside.mp4"}
{"prompt": "d", "output": "same.mp4"}
{"prompt": "e", "output": "same.mp4"}
{"prompt": "f", "size": "20x20", "resolution": "480p"}
{"prompt": "g", "output": "clip.unknown"}
END
  run --separate-stderr "$SORA" batch prompts.jsonl -o clips
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [ ! -e clips ]
  [[ "$stderr" == *"prompts.jsonl:2:17: generate has no option 'step'; did you mean steps?"* ]]
  [[ "$stderr" == *"prompts.jsonl:3:26: --steps 0 is out of range"* ]]
  [[ "$stderr" == *"prompts.jsonl:3:38: "*"none.png does not exist"* ]]
  [[ "$stderr" == *"prompts.jsonl:4:27: the output ../outside.mp4 leads outside"* ]]
  [[ "$stderr" == *"prompts.jsonl:6:27: the output same.mp4 is that of line 5 as well"* ]]
  [[ "$stderr" == *"prompts.jsonl:7:"*"--size says the size already"* ]]
  [[ "$stderr" == *"prompts.jsonl:8:"*"unknown"* ]]
  [[ "$stderr" == *"7 faults in the batch; nothing was made"* ]]
}

@test "a flag that is false says its opposite where there is one" {
  echo '{"prompt": "a red ball", "seed": 1, "turbo": [true, false, null], "output": "{index}.mp4"}' >prompts.jsonl
  run --separate-stderr "$SORA" batch prompts.jsonl -o clips --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"1.mp4 <- generate --seed=1 --turbo -- a red ball"* ]]
  [[ "$output" == *"2.mp4 <- generate --seed=1 --no-turbo -- a red ball"* ]]
  [[ "$output" == *"3.mp4 <- generate --seed=1 -- a red ball"* ]]
}

@test "dry run prints jobs, frames, time and memory, and makes nothing" {
  prompts 2
  run --separate-stderr "$SORA" batch prompts.txt -o clips --dry-run --json
  [ "$status" -eq 0 ]
  [ "$(jq '.jobs | length' <<<"$output")" -eq 2 ]
  [ "$(jq .frames <<<"$output")" -eq 10 ]
  [ "$(jq '.memory_bytes > 0' <<<"$output")" = true ]
  [ ! -e clips ]
}

@test "a dry run sees the folder as the run does" {
  prompts 2
  echo "a blue ball -- --frames 6 --seed 3 --output six.mkv" >>prompts.txt
  dry() { run --separate-stderr "$SORA" batch prompts.txt -o "$1" --dry-run --json "${@:2}"; }
  counts() { jq -c '[(.jobs | length), .done, .frames, (.notices | length)]' <<<"$output"; }
  dry clips
  [ "$(jq -c '[.notices[].line]' <<<"$output")" = '[4]' ]
  "$SORA" batch prompts.txt -o clips --quiet
  dry clips
  [ "$(counts)" = '[3,3,0,0]' ]
  dry clips --force
  [ "$(jq .done <<<"$output")" -eq 0 ]
  rm clips/clip-1.mkv
  dry clips
  [ "$(counts)" = '[3,2,5,0]' ]
  echo mine >clips/clip-2.mkv
  dry clips
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"clip-2.mkv has changed since it was made"* ]]
  mkdir other
  touch other/clip-1.mkv
  dry other
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"clip-1.mkv exists already"* ]]
  [ "$(ls -A other)" = clip-1.mkv ]
}

@test "sweeps, yaml, csv and stdin" {
  cat >p.yaml <<END
defaults: {model: "$MODEL", size: 48x32, frames: 5, steps: 2}
jobs:
  - prompt: a red ball
    seed: 1
    guidance: 2..4/2
END
  run --separate-stderr "$SORA" batch p.yaml -o clips
  [ "$status" -eq 0 ]
  [ -e clips/a-red-ball-1-guidance2.mp4 ]
  [ -e clips/a-red-ball-1-guidance4.mp4 ]
  printf 'prompt,seed\n"a red, round ball",5\n' >p.csv
  "$SORA" batch p.csv -o csv --quiet --model "$MODEL" --size 48x32 --frames 5 --steps 2
  [ -e csv/a-red-round-ball-5.mp4 ]
  echo 'a star -- --seed 6' | "$SORA" batch - --quiet --model "$MODEL" --size 48x32 --frames 5 --steps 2
  [ -e clips/a-star-6.mp4 ]
}

@test "a failing job is exit 7; the others are made with --keep-going" {
  prompts 1
  bad_prompt
  echo "a good one -- --seed 9 --output good.mkv" >>prompts.txt
  run --separate-stderr "$SORA" batch prompts.txt -o clips --keep-going --json
  [ "$status" -eq 7 ]
  [ -e clips/clip-1.mkv ]
  [ -e clips/good.mkv ]
  [ ! -e clips/bad.mkv ]
  [ "$(jq -s '[.[] | .job // empty | select(.state == "failed")] | length' <<<"$output")" -eq 1 ]
  [ "$(jq -s '[.[] | .summary // empty][0].failed' <<<"$output")" -eq 1 ]
}

@test "with --retries what may heal is tried again, and what may not is not" {
  sed -i 's/--steps 2/--steps 400/' prompts.txt
  prompts 1
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 first.png
  cp first.png kept.png
  echo "a blue star -- --image first.png --steps 2 --seed 2 --output star.mkv --model $(realpath "$ROOT/tests/data/pipelines/i2v")" >>prompts.txt
  bad_prompt
  "$SORA" batch prompts.txt -o clips --keep-going --retries 6 --json --quiet >out.txt &
  pid=$!
  some_job_runs() { [ "$(state_count running)" -ge 1 ]; }
  until_true 60 some_job_runs
  rm first.png
  ln -s first.png first.png # cannot be opened, which is no lack of the file
  status_of() { "$SORA" batch status clips --json | jq -r ".job // empty | select(.output | endswith(\"$1\")) | .$2"; }
  star_was_tried() { [ -n "$(status_of star.mkv error.kind)" ] && [ "$(status_of star.mkv error.kind)" != null ]; }
  until_true 120 star_was_tried
  rm first.png
  mv kept.png first.png
  ends_with 7 $pid
  [ "$(status_of star.mkv state)" = 'done' ]
  [ "$(status_of star.mkv tries)" -ge 2 ]
  [ "$(status_of bad.mkv state)" = failed ]
  [ "$(status_of bad.mkv tries)" -eq 1 ]
}

@test "a clip that was deleted is made again, one that was altered is a fault" {
  prompts 2
  "$SORA" batch prompts.txt -o clips --quiet
  cp clips/clip-1.mkv before.mkv
  rm clips/clip-1.mkv
  "$SORA" batch prompts.txt -o clips --quiet
  cmp before.mkv clips/clip-1.mkv
  echo mine >clips/clip-2.mkv
  run "$SORA" batch prompts.txt -o clips
  [ "$status" -eq 2 ]
  [[ "$output" == *"clip-2.mkv has changed since it was made"* ]]
  [ "$(cat clips/clip-2.mkv)" = mine ]
}

@test "of a clip's files the one that was deleted is made again, with and without the prompt file" {
  echo "a red ball -- --seed 1 --codec gif --output clip.gif" >>prompts.txt
  "$SORA" batch prompts.txt -o clips --quiet
  rm clips/clip.gif
  run "$SORA" batch prompts.txt -o clips --quiet
  [ "$status" -eq 0 ]
  [ -e clips/clip.gif ]
  [ -e clips/clip.gif.json ]
  rm clips/clip.gif.json
  run "$SORA" batch --resume -o clips --quiet
  [ "$status" -eq 0 ]
  [ -e clips/clip.gif.json ]
  echo mine >clips/clip.gif
  run "$SORA" batch --resume -o clips
  [ "$status" -eq 2 ]
  [[ "$output" == *"clip.gif has changed since it was made"* ]]
}

@test "a folder in which no batch ran is not gone on with, and none is made" {
  run "$SORA" batch --resume -o typo-clips
  [ "$status" -eq 4 ]
  [[ "$output" == *"typo-clips has no batch in it"* ]]
  [ ! -e typo-clips ]
  run "$SORA" batch typo.txt
  [ "$status" -eq 4 ]
  [[ "$output" == *"the prompt file typo.txt is not there"* ]]
}

@test "several processes with nothing to do are none" {
  prompts 1
  "$SORA" batch prompts.txt -o clips --quiet
  run "$SORA" batch prompts.txt -o clips --quiet --jobs 2
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "a process that somebody ends is replaced, and no job is left" {
  sed -i 's/--steps 2/--steps 60/' prompts.txt
  prompts 4
  "$SORA" batch prompts.txt -o clips --quiet --jobs 2 >/dev/null &
  pid=$!
  some_job_runs() { [ "$(state_count running)" -ge 1 ]; }
  until_true 60 some_job_runs
  pkill -TERM -P $pid || true
  ends_with 0 $pid
  [ "$(state_count done)" -eq 4 ]
}

@test "a job that another batch lets go is taken by processes that had nothing to do" {
  sed -i 's/48x32 --frames 5 --steps 2/96x64 --frames 33 --steps 900/' prompts.txt
  prompts 1
  "$SORA" batch prompts.txt -o clips --quiet >/dev/null &
  first=$!
  some_job_runs() { [ "$(state_count running)" -ge 1 ]; }
  until_true 60 some_job_runs
  "$SORA" batch prompts.txt -o clips --quiet --jobs 2 >/dev/null &
  second=$!
  sleep 1
  kill -TERM $first
  ends_with 75 $first
  ends_with 0 $second
  [ "$(state_count done)" -eq 1 ]
}

@test "what a job may be tried is what the command says now" {
  sed -i 's/--model [^ ]*/--model nowhere-yet/' prompts.txt
  cp -r "$MODEL" nowhere-yet
  prompts 1
  "$SORA" batch prompts.txt -o clips --quiet
  "$SORA" batch prompts.txt -o clips --quiet --retries 5
  [ "$(python3 -c 'import sqlite3; print(sqlite3.connect("clips/.sora/journal.sqlite").execute("SELECT max_tries FROM jobs").fetchone()[0])')" -eq 6 ]
}

@test "shards take each job once" {
  prompts 5
  for shard in 0 1 2; do "$SORA" batch prompts.txt -o clips --shard $shard/3 --quiet; done
  [ "$(find clips -name '*.mkv' | wc -l)" -eq 5 ]
  [ "$(state_count done)" -eq 5 ]
  run "$SORA" batch prompts.txt -o clips --shard 3/3
  [ "$status" -eq 2 ]
}

@test "several processes make each job once" {
  prompts 12
  run --separate-stderr "$SORA" batch prompts.txt -o clips --jobs 3
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -eq 12 ]
  [ "$(printf '%s\n' "${lines[@]}" | sort -u | wc -l)" -eq 12 ]
  [ "$(state_count done)" -eq 12 ]
}

@test "two batches in one folder do not disturb each other" {
  prompts 4
  sed 's/clip-/other-/; s/--seed /--seed 1/' prompts.txt >second.txt
  "$SORA" batch prompts.txt -o clips --quiet >first.out &
  first=$!
  "$SORA" batch second.txt -o clips --quiet >second.out
  wait $first
  [ "$(wc -l <first.out)" -eq 4 ]
  [ "$(wc -l <second.out)" -eq 4 ]
  [ "$(find clips -name '*.mkv' | wc -l)" -eq 8 ]
}

@test "batches of other texts on stdin keep their jobs, and an edited file takes none from a process at work" {
  prompts 12
  echo "a blue ball -- --seed 90 --output blue.mkv" | cat <(head -1 prompts.txt) - >blue.txt
  "$SORA" batch - -o clips --quiet <prompts.txt >/dev/null &
  pid=$!
  until_true 60 test -e clips/clip-1.mkv
  "$SORA" batch - -o clips --quiet <blue.txt >/dev/null
  wait $pid
  [ "$(state_count done)" -eq 13 ]
  prompts 48 13
  "$SORA" batch prompts.txt -o more --quiet >/dev/null &
  pid=$!
  until_true 60 test -e more/clip-1.mkv
  kill -STOP $pid
  sed -i '/seed 60 /d' prompts.txt
  run "$SORA" batch prompts.txt -o more
  kill -CONT $pid
  [ "$status" -eq 2 ]
  [[ "$output" == *"another process is at work on prompts.txt"* ]]
  wait $pid
  [ -e more/clip-60.mkv ]
}

@test "a stop is heeded while the jobs are planned, and while stdin is read" {
  for ((i = 0; i < 4000; i++)); do echo "a red ball -- --seed $i"; done >>prompts.txt
  "$SORA" batch prompts.txt -o clips -n >/dev/null 2>&1 &
  pid=$!
  sleep 3
  kill -TERM $pid
  ends_with 75 $pid
  mkfifo pipe
  sleep 60 >pipe &
  writer=$!
  for command in "generate -" "batch - -n" "batch pipe -n"; do
    "$SORA" $command <pipe 2>/dev/null &
    pid=$!
    sleep 1
    kill -TERM $pid
    ends_with 143 $pid
  done
  kill $writer
}

@test "a pipe is taken as stdin is" {
  prompts 1
  run "$SORA" batch <(cat prompts.txt) -n
  [ "$status" -eq 0 ]
  [[ "$output" == *"stdin:2: clip-1.mkv"* ]]
}

@test "a batch that goes on renews its preview, and replaces none that it did not make" {
  prompts 2
  "$SORA" batch prompts.txt -o clips --quiet --preview-file pv.webp
  rm clips/clip-2.mkv
  "$SORA" batch prompts.txt -o clips --quiet --preview-file pv.webp
  [ -e clips/clip-2.mkv ]
  rm clips/clip-2.mkv
  echo mine >other.webp
  run "$SORA" batch prompts.txt -o clips --quiet --preview-file other.webp
  [ "$status" -eq 2 ]
}

@test "the state of a batch is told where nothing can be written" {
  [ "$(id -u)" -eq 0 ] || skip "mounting needs root"
  prompts 1
  "$SORA" batch prompts.txt -o clips --quiet
  mkdir still
  mount --bind -o ro clips still && mount -o remount,ro,bind still || skip "nothing can be mounted here"
  run "$SORA" batch status still
  umount still
  [ "$status" -eq 0 ]
  [[ "$output" == *"1 of 1 done"* ]]
}

@test "SIGTERM is exit 75 within 25 s, and the same command goes on" {
  sed -i 's/--steps 2/--steps 300/' prompts.txt
  prompts 6
  "$SORA" batch prompts.txt -o clips --quiet --steps 300 >/dev/null &
  pid=$!
  for _ in $(seq 100); do
    [ -e clips/.sora/work ] && break
    sleep 0.1
  done
  sleep 1
  kill -TERM $pid
  start=$SECONDS
  ends_with 75 $pid
  [ $((SECONDS - start)) -le 25 ]
  [ "$(state_count running)" -eq 0 ]
  [ "$(state_count pending)" -ge 1 ]
  sed -i 's/--steps 300/--steps 2/' prompts.txt
  run "$SORA" batch --resume -o clips --quiet
  [ "$status" -eq 0 ]
  [ "$(state_count done)" -eq 6 ]
}

@test "a job that is cut off after sampling goes on from its latents, to the bytes of an unbroken run" {
  echo "a red ball -- --seed 1 --frames 81 --steps 1 --size 64x48 --output clip.mkv" >>prompts.txt
  "$SORA" batch prompts.txt -o whole --quiet
  latents=clips/.sora/work/1.sampled/latents.safetensors
  for _ in $(seq 10); do # a clip may be done before the kill
    rm -rf clips
    "$SORA" batch prompts.txt -o clips --quiet >/dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -e $latents ]; do sleep 0.02; done
    kill -KILL $pid 2>/dev/null || true
    wait $pid || true
    [ ! -e $latents ] || break
  done
  [ -e $latents ]
  run --separate-stderr "$SORA" batch prompts.txt -o clips --progress json
  [ "$status" -eq 0 ]
  [[ "$stderr" == *'"decode"'* ]]
  [[ "$stderr" != *'"denoise"'* ]]
  cmp whole/clip.mkv clips/clip.mkv
  [ -z "$(find clips/.sora/work -type f)" ]
}

@test "latents that a job of another journal left are not taken for this one's" {
  echo "a red ball -- --seed 1 --output clip.mkv" >>prompts.txt
  "$SORA" batch prompts.txt -o whole --quiet
  mkdir -p clips/.sora/work/1.sampled
  "$SORA" generate "a blue star spins in the snow" --size 48x32 --frames 5 --steps 2 --dtype f32 --model "$MODEL" --codec ffv1 --seed 7 \
    --save-latents clips/.sora/work/1.sampled/latents.safetensors -o old.mkv --quiet
  "$SORA" batch prompts.txt -o clips --quiet
  cmp whole/clip.mkv clips/clip.mkv
  run ! cmp -s old.mkv clips/clip.mkv
}

@test "a full disk is exit 6, and with space again the same command goes on" {
  [ "$(id -u)" -eq 0 ] || skip "mounting a small disk needs root"
  mkdir small
  mount -t tmpfs -o size=700k tmpfs small || skip "tmpfs cannot be mounted here"
  sed -i 's/48x32 --frames 5/96x64 --frames 33/' prompts.txt
  prompts 6
  run "$SORA" batch prompts.txt -o small/clips
  made=$(find small/clips -maxdepth 1 -name '*.mkv' -exec ffprobe -v error {} \; -print | wc -l)
  all=$(find small/clips -maxdepth 1 -type f | wc -l)
  mount -o remount,size=32m small
  run_again=0
  "$SORA" batch prompts.txt -o small/clips --quiet || run_again=$?
  final=$(find small/clips -maxdepth 1 -name '*.mkv' | wc -l)
  umount small
  [ "$status" -eq 6 ]
  [ "$made" -eq "$all" ]
  [ "$all" -lt 6 ]
  [ "$run_again" -eq 0 ]
  [ "$final" -eq 6 ]
}

@test "a folder that cannot be written is exit 6" {
  prompts 1
  run "$SORA" batch prompts.txt -o /proc/clips
  [ "$status" -eq 6 ]
}

@test "closed stdout is exit 6 and loses nothing" {
  prompts 2
  status=0
  "$SORA" batch prompts.txt -o clips --quiet >&- || status=$?
  [ "$status" -eq 6 ]
  "$SORA" batch prompts.txt -o clips --quiet
  [ "$(state_count done)" -eq 2 ]
}

@test "a file that grows is followed" {
  prompts 1
  "$SORA" batch prompts.txt -o clips --watch --force --quiet >/dev/null &
  pid=$!
  until_true 60 test -e clips/clip-1.mkv
  before=$(stat -c %Y%i clips/clip-1.mkv)
  sleep 1.5
  echo "a blue star -- --seed 2 --output later.mkv" >>prompts.txt
  until_true 60 test -e clips/later.mkv
  kill -TERM $pid
  ends_with 75 $pid
  [ -e clips/later.mkv ]
  [ "$before" = "$(stat -c %Y%i clips/clip-1.mkv)" ] # made once, --force or not
}

@test "killed at random moments and gone on with: all files whole, none lost, none made twice, the bytes of an unbroken run" {
  prompts 8
  "$SORA" batch prompts.txt -o whole --quiet >/dev/null
  "$ROOT/tests/cli/kill_batch" 6 prompts.txt killed whole
}
