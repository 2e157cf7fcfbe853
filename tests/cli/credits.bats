#!/usr/bin/env bats
# Plans and credits as a person and a script see them, with the real program on a tiny model that diffusers wrote. A
# clip of 5 frames at 4 a second is 1 s long and costs 4 credits.

bats_require_minimum_version 1.5.0
load jobs

setup_file() { use_tiny_model; }

setup() {
  enter_work_folder
  export SORA_LEDGER="$PWD/ledger.sqlite" XDG_CONFIG_HOME="$PWD/config" SORA_QUEUE="$PWD/queue"
  unset SORA_PLAN
  printf 'name = "small"\ncredits_per_month = 10\nmax_concurrent = 1\nrelaxed = true\n' >small.toml
}

options=(--size 48x32 --frames 5 --fps 4 --steps 2 --dtype f32)
make() { "$SORA" generate "a red ball" -m "$MODEL" "${options[@]}" --quiet "$@"; }
left() { "$SORA" credits --plan small.toml --json | jq .left; }
one_is_reserved() { [ "$(used)" = "4 4 1" ]; }
used() { "$SORA" credits --plan small.toml --json | jq -r '"\(.used) \(.reserved) \(.running)"'; }

@test "without a plan nothing is counted and no ledger is made" {
  make -o clip.mp4
  run "$SORA" credits
  [ "$status" -eq 0 ]
  [[ "$output" == *"plan      local"* ]]
  [[ "$(make --dry-run)" == *"credits   none are counted (plan local)"* ]]
  [ ! -e ledger.sqlite ]
}

@test "a clip costs its price, and the next that costs too much is refused with what would fit" {
  make --plan small.toml -o a.mp4 --variations 2
  [ "$(left)" -eq 2 ]
  run make --plan small.toml -o b.mp4
  [ "$status" -eq 8 ]
  [[ "$output" == *"this costs 4 credits, and 2 of the plan small's 10 for "*" are left"* ]]
  [[ "$output" == *"sora queue add --relaxed"* ]]
  [ ! -e b.mp4 ]
  run "$SORA" credits history --plan small.toml --json
  [ "$(jq -s 'map(.kind) | sort | join(" ")' -r <<<"$output")" = "reserve reserve settle settle" ]
  [ "$(jq -s 'map(.credits) | add' <<<"$output")" -eq -8 ]
}

@test "a clip that fails or is stopped costs nothing, and variations that were made are paid" {
  run make --plan small.toml -o clip.mp4 --variations 2 --device cuda:9
  [ "$status" -ne 0 ]
  [ "$(used)" = "0 0 0" ]
  touch clip-2.mp4
  run make --plan small.toml -o clip.mp4 --variations 2
  [ "$status" -eq 2 ]
  [ "$(used)" = "0 0 0" ]
  "$SORA" generate "a red ball" -m "$MODEL" --size 160x96 --frames 5 --fps 4 --steps 300 --dtype f32 --plan small.toml -o two.mp4 --variations 2 --quiet &
  pid=$!
  until_true 120 test -e two-1.mp4
  kill -INT "$pid"
  wait "$pid" || [ "$?" -eq 130 ]
  [ "$(used)" = "4 0 0" ]
  [ ! -e two-2.mp4 ]
}

@test "a killed process gives back what it held" {
  "$SORA" generate "a red ball" -m "$MODEL" --size 160x96 --frames 5 --fps 4 --steps 900 --dtype f32 --plan small.toml -o long.mp4 --quiet &
  pid=$!
  until_true 60 one_is_reserved
  run make --plan small.toml -o next.mp4
  [ "$status" -eq 8 ]
  [[ "$output" == *"1 jobs run, as many as the plan small makes at a time"* ]]
  kill -9 $pid
  wait $pid || true
  [ "$(used)" = "0 0 0" ]
}

@test "limits of size, length and lane are refused, also by a dry run" {
  run --separate-stderr "$SORA" generate "a red ball" --resolution 1080p --duration 5 --plan plus --dry-run
  [ "$status" -eq 8 ]
  [[ "$stderr" == *"makes clips of up to 1280x720, and this one is 1920x1080; --size 1280x720 would fit"* ]]
  run "$SORA" credits estimate --plan plus generate "a red ball" --duration 10
  [ "$status" -eq 8 ]
  [[ "$output" == *"up to 5 s, and this one is 10 s; 5 s would fit"* ]]
  run "$SORA" queue add --relaxed generate "a red ball" --plan plus
  [ "$status" -eq 8 ]
  [[ "$output" == *"no relaxed lane"* ]]
}

@test "an estimate is the launch table, for each variation" {
  run "$SORA" credits estimate --plan pro generate "a red ball" --resolution 720p --duration 5 --variations 2 --json
  [ "$(jq -c '[.credits, .left, .size, .seconds == 5]' <<<"$output")" = '[120,10000,"1280x720",true]' ]
  run "$SORA" credits prices
  [[ "$output" == "December 2024 launch prices, reconstructed"* ]]
  [[ "$output" == *"1080p         1920x1080      200    600   1300   2000   40, 80, 140, 140"* ]]
}

@test "the plan is that of the option, the variable or the configuration, in this order" {
  mkdir -p config/sora/plans
  cp small.toml config/sora/plans/studio.toml
  echo 'plan = "studio"' >config/sora/config.toml
  [ "$("$SORA" credits --json | jq -r .plan)" = small ]
  [ "$(SORA_PLAN=plus "$SORA" credits --json | jq -r .plan)" = plus ]
  [ "$(SORA_PLAN=plus "$SORA" credits --plan pro --json | jq -r .plan)" = pro ]
  "$SORA" credits plans | grep -q "studio"
  echo 'plans = "studio"' >config/sora/config.toml
  run "$SORA" credits
  [ "$status" -eq 3 ]
  [[ "$output" == *"config.toml: line 1"* ]]
}

@test "a batch is refused whole before its first clip, and pays for each that is made" {
  printf 'red -- --output 1.mp4\nblue -- --output 2.mp4\ngreen -- --output 3.mp4\n' >prompts.txt
  run "$SORA" batch prompts.txt -o clips --plan small.toml -m "$MODEL" "${options[@]}"
  [ "$status" -eq 8 ]
  [[ "$output" == *"the batch costs 12 credits, and 10 of the plan small's 10 for "*"its first 2 jobs would fit"* ]]
  [ ! -e clips/1.mp4 ]
  [ "$(used)" = "0 0 0" ]
  run "$SORA" credits estimate --plan small.toml batch prompts.txt -m "$MODEL" "${options[@]}" -o clips
  [ "$status" -eq 8 ]
  sed -i 3d prompts.txt
  "$SORA" batch prompts.txt -o clips --plan small.toml -m "$MODEL" "${options[@]}" --dry-run | grep -q "credits   8, of 10 left of the plan small"
  "$SORA" batch prompts.txt -o clips --plan small.toml -m "$MODEL" "${options[@]}" --jobs 2 --quiet
  [ "$(used)" = "8 0 0" ]
  "$SORA" batch prompts.txt -o clips --plan small.toml -m "$MODEL" "${options[@]}" --quiet
  [ "$(used)" = "8 0 0" ]
}

@test "jobs of a queue hold to the plan they were added under, whoever runs them" {
  "$SORA" queue add generate "a red ball" -m "$MODEL" "${options[@]}" --plan small.toml
  "$SORA" queue add generate "a blue ball" -m "$MODEL" "${options[@]}" --plan small.toml
  run "$SORA" queue add generate "a third" -m "$MODEL" "${options[@]}" --plan small.toml
  [ "$status" -eq 8 ]
  [[ "$output" == *"2 of the plan small's 10"*"are left (8 are promised to jobs that wait)"* ]]
  "$SORA" queue add --relaxed generate "a third" -m "$MODEL" "${options[@]}" --plan small.toml
  "$SORA" queue run --quiet
  [ "$(used)" = "8 0 0" ]
  [ "$("$SORA" queue list --json | jq -s 'map(select(.job.state == "done")) | length')" -eq 3 ]
}

@test "a job whose process is killed is paid once, when it is made" {
  "$SORA" queue add generate "a red ball" -m "$MODEL" --size 160x96 --frames 5 --fps 4 --steps 300 --dtype f32 --plan small.toml
  "$SORA" queue run --quiet &
  pid=$!
  until_true 60 one_is_reserved
  kill -9 $pid
  wait $pid || true
  [ "$(used)" = "0 0 0" ]
  "$SORA" queue run --quiet
  [ "$(used)" = "4 0 0" ]
}

@test "processes side by side never make more than was paid for" {
  for i in $(seq 6); do make --plan small.toml -o "clip-$i.mp4" 2>/dev/null & done
  wait
  made=$(find . -name 'clip-*.mp4' | wc -l)
  [ "$made" -ge 1 ]
  [ "$made" -le 2 ]
  [ "$(used)" = "$((4 * made)) 0 0" ]
}

@test "a clock that is set back gives nothing, the next month everything" {
  faketime '2030-11-20 12:00:00' "$SORA" generate "a red ball" -m "$MODEL" "${options[@]}" --quiet --plan small.toml -o first.mp4
  month_and_left() { faketime "$1" "$SORA" credits --plan small.toml --json | jq -r '"\(.month) \(.left)"'; }
  [ "$(month_and_left '2030-11-20 13:00:00')" = "2030-11 6" ]
  [ "$(month_and_left '2030-10-05 00:00:00')" = "2030-11 6" ]
  [ "$(month_and_left '2030-12-01 00:00:01')" = "2030-12 10" ]
}

@test "credits answer without loading libtorch" {
  run strace -f -e trace=openat "$SORA" credits --plan plus
  [ "$status" -eq 0 ]
  [[ "$output" != *libtorch* ]]
}

frames_of() { ffmpeg -v error -i "$1" -vf "crop=$2" -frames:v 6 -pix_fmt rgb24 -f framemd5 - | grep -v '^#' | cut -d, -f6; }

@test "a clip of the plan plus carries its visible mark at the bottom right, whatever it asks for; one of pro does not" {
  local extra
  ffmpeg -v error -f lavfi -i testsrc2=size=320x192:rate=16 -frames:v 8 -c:v ffv1 -pix_fmt bgr0 source.mkv
  for extra in "" "--watermark=none"; do
    "$SORA" recut source.mkv --keep 0-0.5 --plan plus $extra -o plus.mkv -f --codec ffv1 --quiet
    [ "$("$SORA" info plus.mkv --json | jq -r .metadata.watermark)" = visible ]
    [ "$(frames_of plus.mkv 160:96:0:0)" = "$(frames_of source.mkv 160:96:0:0)" ]
    [ "$(frames_of plus.mkv 160:40:160:152)" != "$(frames_of source.mkv 160:40:160:152)" ]
  done
  "$SORA" recut source.mkv --keep 0-0.5 --plan pro -o pro.mkv --codec ffv1 --quiet
  [ "$(frames_of pro.mkv 320:192:0:0)" = "$(frames_of source.mkv 320:192:0:0)" ]
}
