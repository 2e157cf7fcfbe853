#!/usr/bin/env bats
# The command line as a script sees it: exit codes, what goes to stdout and stderr, what is left on the disk. Every run
# is the real program on a tiny model that diffusers wrote (tests/data/pipelines).

bats_require_minimum_version 1.5.0
load jobs

setup_file() { use_tiny_model; }

setup() { enter_work_folder; }

# generate on the tiny model, small and short.
tiny() {
  "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 5 --steps 2 --seed 1 --dtype f32 "$@"
}

# But for keep/, in which a test puts what it needs.
nothing_left() {
  [ -z "$(find . -mindepth 1 -path ./keep -prune -o -print)" ]
}

@test "help, version and no arguments answer with 0 on stdout" {
  for arguments in --help --version "" "generate --help"; do
    run --separate-stderr "$SORA" $arguments
    [ "$status" -eq 0 ]
    [ -n "$output" ]
    [ -z "$stderr" ]
  done
}

@test "help does not load libtorch" {
  run strace -f -e trace=openat "$SORA" generate --help
  [[ "$output" != *libtorch* ]]
}

@test "wrong usage is exit 2 with one line on stderr and nothing on stdout" {
  run --separate-stderr "$SORA" generate x --size 12
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == "sora: '12' is not a size"* ]]
}

@test "the last line on stdout is the path of a file that ffprobe reads as asked" {
  run --separate-stderr tiny -o clip.mp4
  [ "$status" -eq 0 ]
  [ "$output" = clip.mp4 ]
  run ffprobe -v error -count_frames -select_streams v -of csv=p=0 \
    -show_entries stream=codec_name,width,height,r_frame_rate,nb_read_frames clip.mp4
  [ "$output" = "h264,48,32,16/1,5" ]
}

@test "json is one object with path, size and manifest" {
  run --separate-stderr tiny -o clip.mp4 --json
  [ "$status" -eq 0 ]
  [ "$(jq -r '.path' <<<"$output")" = clip.mp4 ]
  [ "$(jq -r '.frames' <<<"$output")" = 5 ]
  [ "$(jq -r '.manifest.request.arguments.prompt' <<<"$output")" = "a red ball" ]
}

@test "an error with --json is an object too, with the exit code inside" {
  run --separate-stderr "$SORA" generate x -m /nowhere --json
  [ "$status" -eq 4 ]
  [ "$(jq -r '.error.code' <<<"$output")" = 4 ]
}

@test "quiet says nothing on stderr" {
  run --separate-stderr tiny -o clip.mp4 --quiet
  [ "$status" -eq 0 ]
  [ -z "$stderr" ]
}

@test "with --progress json every line on stderr is JSON" {
  tiny -o clip.mp4 --progress json 2>stderr
  jq -es 'length > 0' <stderr
}

@test "quiet says nothing of a stop" {
  "$SORA" generate x -m "$MODEL" --size 160x96 --frames 49 --steps 400 --seed 1 -o clip.mp4 --quiet 2>stderr &
  pid=$!
  sleep 0.8
  kill -TERM "$pid"
  wait "$pid" || true
  [ ! -s stderr ]
}

@test "a closed or broken stderr costs neither the clip nor the exit code" {
  tiny -o closed.mp4 2>&-
  [ -e closed.mp4 ]
  tiny -o full.mp4 2>/dev/full
  [ -e full.mp4 ]
  { tiny -o reader.mp4 2>&1 >/dev/null || echo $? >failed; } | true
  [ ! -e failed ]
  [ -e reader.mp4 ]
  status=0
  "$SORA" generate --bogus 2>&- || status=$?
  [ "$status" -eq 2 ]
}

@test "a reader of stdout that leaves early is no error" {
  tiny -o clip.mp4
  { { "$SORA" info clip.mp4 || echo $? >failed; } 2>stderr; touch ended; } | true
  while [ ! -e ended ]; do sleep 0.1; done
  [ ! -e failed ]
  [ ! -s stderr ]
}

@test "latents are saved over no file, and where is looked at before the work" {
  mkdir keep
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 keep/photo.png
  before=$(md5sum <keep/photo.png)
  I2V=$(realpath "$ROOT/tests/data/pipelines/i2v")
  for arguments in "--save-latents keep/photo.png" "--save-latents keep/photo.png --force --image keep/photo.png" \
    "--save-latents clip.mp4" "--save-latents nowhere/x.safetensors"; do
    run "$SORA" generate "a red ball" -m "$I2V" --size 48x32 --frames 5 --steps 2 -o clip.mp4 $arguments
    [ "$status" -ne 0 ]
    [[ "$output" != *denoise* ]]
    [ "$before" = "$(md5sum <keep/photo.png)" ]
  done
  nothing_left
}

@test "each variation has its latents" {
  tiny -o clip.mp4 --variations 2 --save-latents clip.safetensors -q
  [ -s clip-1.safetensors ]
  [ -s clip-2.safetensors ]
}

@test "latents of several windows are told of, and decode says that it does not join them" {
  run --separate-stderr "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 161 --steps 1 --dtype f32 \
    --save-latents clip.safetensors -o clip.mp4
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"windows, whose latents sora decode does not join"* ]]
  run "$SORA" decode clip.safetensors -o again.mp4
  [ "$status" -eq 3 ]
  [[ "$output" == *"clip.safetensors holds the latents of "*" windows, which decode does not join"* ]]
  [ ! -e again.mp4 ]
}

@test "a frame of a sequence that is in the way is told before the work" {
  mkdir frames
  touch frames/00003.png
  run tiny -o frames/%05d.png
  [ "$status" -eq 2 ]
  [[ "$output" == *00003.png* ]]
  [[ "$output" != *denoise* ]]
}

@test "a recipe takes what says how and where, and refuses what says something else" {
  tiny -o clip.mkv --codec ffv1 -q
  for arguments in "--dtype bf16" "--variations 2" "--loop" "-m nowhere"; do
    run "$SORA" generate --recipe clip.mkv -o again.mkv $arguments
    [ "$status" -eq 2 ]
    [[ "$output" == *"leave out ${arguments%% *}"* || "$output" == *"leave out --model"* ]]
  done
  "$SORA" generate --recipe clip.mkv -o again.mkv --codec ffv1 --device cpu --threads 1 --memory 8G -q
  [ "$(ffmpeg -v error -i clip.mkv -f md5 -)" = "$(ffmpeg -v error -i again.mkv -f md5 -)" ]
}

@test "an option that is given twice is told so, and names may hold a percent sign" {
  run tiny --steps 3 --steps 4
  [ "$status" -eq 2 ]
  [[ "$output" == *"is given"*"times; give it once"* ]]
  tiny -o "50% off.mkv" --variations 2 -q
  [ -e "50% off-1.mkv" ]
  [ -e "50% off-2.mkv" ]
}

@test "a file name that is no UTF-8 is a name like another" {
  mkdir keep
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 $'keep/im\xe9.png'
  "$SORA" generate "a red ball" -m "$(realpath "$ROOT/tests/data/pipelines/i2v")" --size 48x32 --frames 5 --steps 2 \
    --image $'keep/im\xe9.png' -o $'caf\xe9.mp4' -q
  run --separate-stderr "$SORA" info $'caf\xe9.mp4' --json
  [ "$status" -eq 0 ]
  jq -e .frames <<<"$output" || jq -e . <<<"$output"
}

@test "a name that is no UTF-8 is told in JSON, and a queued command that holds one is refused" {
  cp -r "$MODEL" $'mod\xe9l'
  mkdir clips
  echo "no clip" >$'clips/caf\xe9.mp4'
  export XDG_DATA_HOME="$PWD/data" SORA_QUEUE="$PWD/queue"
  told() {  # told STATUS WORDS COMMAND...
    run "$SORA" "${@:3}"
    [ "$status" -eq "$1" ] && [[ "$output" == *"$2"* ]] || { echo "status $status: $output"; return 1; }
  }
  told 0 $'mod\xef\xbf\xbdl' models show $'mod\xe9l' --json
  told 0 $'caf\xef\xbf\xbd.mp4' explore clips -o site --progress json
  told 2 "is not UTF-8; a queued command is kept as text" queue add generate "a cat" -m $'mod\xe9l'
}

@test "a terminal that closes leaves no half file" {
  "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 81 --steps 1000 --dtype f32 -o frames/%05d.png -q &
  pid=$!
  until_true 60 test -d frames
  kill -HUP $pid
  kill -HUP $pid 2>/dev/null || true
  wait $pid || true
  [ -z "$(find . -name '.*part*')" ]
}

@test "an existing file is not overwritten without --force" {
  echo mine >clip.mp4
  run tiny -o clip.mp4
  [ "$status" -eq 2 ]
  [ "$(cat clip.mp4)" = mine ]
  run tiny -o clip.mp4 --force
  [ "$status" -eq 0 ]
  [ "$(stat -c %s clip.mp4)" -gt 100 ]
}

@test "the same request gives the same bytes, with one thread and with two" {
  tiny -o a.mp4 --threads 1 --quiet
  tiny -o b.mp4 --threads 2 --quiet
  tiny -o c.mp4 --quiet
  cmp a.mp4 b.mp4
  cmp a.mp4 c.mp4
}

@test "a recipe repeats the clip bit for bit" {
  tiny -o a.mp4 --quiet
  "$SORA" generate --recipe a.mp4 -o b.mp4 --quiet
  cmp a.mp4 b.mp4
  tiny --preset film-noir -o c.mp4 --quiet
  "$SORA" generate --recipe c.mp4 -o d.mp4 --quiet
  cmp c.mp4 d.mp4
}

@test "info prints what the clip was made from" {
  tiny -o a.mp4 --quiet
  run "$SORA" info a.mp4 --json
  [ "$status" -eq 0 ]
  [ "$(jq -r '.metadata.seed' <<<"$output")" = 1 ]
  [ "$(jq -r '.width' <<<"$output")" = 48 ]
}

@test "a prompt from stdin ends before its line does, and a blank one is missing" {
  local prompt
  printf 'a red\nball\r\n\n' | "$SORA" generate - -m "$MODEL" --size 48x32 --frames 5 --steps 1 -o clip.mp4 -q
  prompt=$("$SORA" info clip.mp4 --json | jq .metadata.request.arguments.prompt)
  [ "$prompt" = '"a red\nball"' ]
  run "$SORA" generate - -m "$MODEL" <<<""
  [ "$status" -eq 2 ]
  [[ "$output" == *"generate needs a prompt"* ]]
}

@test "y4m on stdout is what ffmpeg reads" {
  tiny -o - --quiet | ffprobe -v error -count_frames -of csv=p=0 -show_entries stream=width,height,nb_read_frames - >out
  [ "$(cat out)" = "48,32,5" ]
}

@test "a closed pipe ends quietly with exit 6 and leaves nothing" {
  run bash -c "set -o pipefail; '$SORA' generate x -m '$MODEL' --size 48x32 --frames 81 --steps 1 --seed 1 -o - --quiet | head -c 10 >/dev/null; exit \${PIPESTATUS[0]}"
  [ "$status" -eq 6 ]
  nothing_left
}

@test "variations are numbered files with following seeds" {
  run --separate-stderr tiny -o clip.mp4 --variations 2
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = clip-1.mp4 ]
  [ "${lines[1]}" = clip-2.mp4 ]
  [ "$("$SORA" info clip-2.mp4 --json | jq .metadata.seed)" = 2 ]
}

@test "what cannot be written is told before the model is looked at, of all variations" {
  touch clip-2.mp4
  run --separate-stderr tiny -o clip.mp4 --variations 2
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"clip-2.mp4 exists already"* ]]
  [[ "$stderr" != *"load "* ]]
  [ ! -e clip-1.mp4 ]
}

@test "sizes off the grid and rates the model does not draw are told and met exactly" {
  run --separate-stderr "$SORA" generate x -m "$MODEL" --size 50x36 --frames 7 --fps 24 --steps 1 --seed 1 -o clip.mkv --codec ffv1
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"not on this model's grid"* ]]
  [[ "$stderr" == *"by interpolation"* ]]
  run ffprobe -v error -count_frames -select_streams v -of csv=p=0 -show_entries stream=width,height,nb_read_frames clip.mkv
  [ "$output" = "50,36,7" ]
}

@test "a dry run prints the plan and writes nothing" {
  run --separate-stderr tiny -o clip.mp4 --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"canvas    48x32 at 16 a second, 5 frames"* ]]
  [[ "$output" == *"memory"* ]]
  nothing_left
}

@test "a dry run refuses an output that the run refuses, with the same status" {
  mkdir keep
  touch keep/there.mp4 keep/there-2.mkv keep/there.gif.json
  mkdir -m 555 keep/shut
  local as=()
  [ "$(id -u)" -ne 0 ] || as=(setpriv --bounding-set=-all --inh-caps=-all)  # root could write everywhere
  local case dry
  for case in "2 keep/there.mp4" "2 keep/there.gif" "2 keep/there.mkv --variations 2" "2 clip.xyz" "4 no/such/clip.mp4" \
    "4 no/such/%05d.png" "6 keep/shut/clip.mp4" "6 keep/shut/frames/%05d.png" "2 clip.mp4 --save-latents keep/there.mp4"; do
    for dry in "" --dry-run; do
      run "${as[@]}" "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 5 --steps 2 --dtype f32 -o ${case#* } $dry
      [ "$status" -eq "${case%% *}" ] || { echo "$case $dry: status $status: $output"; return 1; }
      nothing_left
    done
  done
  tiny -o keep/there.mp4 --force --dry-run
  [ ! -s keep/there.mp4 ]
}

@test "a missing model, folder or picture is exit 4" {
  run "$SORA" generate x -m no-such-model -o clip.mp4
  [ "$status" -eq 4 ]
  run tiny -o no/such/folder/clip.mp4
  [ "$status" -eq 4 ]
  run "$SORA" generate x -m "$ROOT/tests/data/pipelines/i2v" --image none.png --steps 1 --frames 5 --size 48x32 -o clip.mp4
  [ "$status" -eq 4 ]
  nothing_left
}

@test "a damaged model is exit 3 and the message names the file" {
  cp -r "$MODEL" keep
  truncate -s -10 keep/transformer/diffusion_pytorch_model.safetensors
  run "$SORA" generate x -m keep --size 48x32 --frames 5 --steps 1 -o clip.mp4
  [ "$status" -eq 3 ]
  [[ "$output" == *diffusion_pytorch_model.safetensors* ]]
  nothing_left
}

@test "weights that are cut short while they are used are exit 3" {
  cp -r "$MODEL" keep
  SORA_PROCESSOR=plain "$SORA" generate x -m keep --size 160x96 --frames 49 --steps 400 --seed 1 --dtype bf16 -o clip.mp4 \
    --progress json 2>keep/stderr &
  pid=$!
  until grep -q '"denoise"' keep/stderr; do sleep 0.05; done
  truncate -s 0 keep/transformer/diffusion_pytorch_model.safetensors
  ends_with 3 "$pid"
  [[ "$(tail -n 1 keep/stderr)" == "sora: a file of weights was cut short"* ]]
  nothing_left
}

@test "an unknown pipeline class is exit 3 and named" {
  cp -r "$MODEL" keep
  sed -i 's/"WanPipeline"/"MagicPipeline"/' keep/model_index.json
  run "$SORA" generate x -m keep --size 48x32 --frames 5 --steps 1 -o clip.mp4
  [ "$status" -eq 3 ]
  [[ "$output" == *MagicPipeline* ]]
  nothing_left
}

@test "pickled weights are refused with the reason" {
  cp -r "$MODEL" keep
  mv keep/transformer/diffusion_pytorch_model.safetensors keep/transformer/diffusion_pytorch_model.bin
  run "$SORA" generate x -m keep --size 48x32 --frames 5 --steps 1 -o clip.mp4
  [ "$status" -eq 3 ]
  [[ "$output" == *safetensors* ]]
  nothing_left
}

@test "a full disk is exit 6 and leaves nothing behind" {
  [ "$(id -u)" -eq 0 ] || skip "mounting a small disk needs root"
  mkdir keep
  mount -t tmpfs -o size=64k tmpfs keep || skip "tmpfs cannot be mounted here"
  local make=("$SORA" generate x -m "$MODEL" --size 160x96 --frames 49 --steps 1 --seed 1 --dtype f32)
  run "${make[@]}" -o keep/clip.mkv --codec ffv1
  left=$(find keep -mindepth 1)
  local here_status=$status here_output=$output
  cd keep
  TMPDIR="$PWD" run "${make[@]}" -o clip.mkv --codec ffv1
  left+=$(find . -mindepth 1)
  cd ..
  umount keep
  [ "$status" -eq 6 ]
  [[ "$output" == *clip.mkv*"the disk is full"*"; the latents could not be kept either: "* ]]
  [ "$here_status" -eq 6 ]
  [[ "$here_output" == *"the disk is full"*"finish the clip with sora decode $PWD/clip.mkv.latents.safetensors"* ]]
  [ -z "$left" ]
  "$SORA" decode clip.mkv.latents.safetensors -o clip.mkv -q
  "${make[@]}" -o again.mkv -q
  cmp clip.mkv again.mkv
}

@test "interrupt before anything is shown is exit 130 and leaves nothing" {
  for delay in 0.05 0.1 0.2 0.3; do
    "$SORA" generate x -m "$MODEL" --size 160x96 --frames 49 --steps 400 --seed 1 -o clip.mp4 --quiet &
    pid=$!
    sleep "$delay"
    kill -INT "$pid"
    ends_with 130 "$pid"
    nothing_left
  done
}

# interrupted_in PHASE OPTION...: a run with a picture, to which Ctrl-C comes as soon as the phase is shown.
interrupted_in() {
  local phase=$1 pid status=0
  shift
  "$SORA" generate x -m "$ROOT/tests/data/pipelines/i2v" --image keep/picture.png --seed 1 --dtype f32 --threads 1 \
    -o clip.mp4 --progress json "$@" 2>keep/stderr &
  pid=$!
  until grep -q "\"$phase\"" keep/stderr; do
    kill -0 "$pid" || return 1
    sleep 0.02
  done
  kill -INT "$pid"
  wait "$pid" || status=$?
  echo "$phase: exit $status after $(tail -n 3 keep/stderr)"
  [ "$status" -eq 130 ]
  nothing_left
}

@test "interrupt in each phase is exit 130 and leaves nothing" {
  mkdir keep
  ffmpeg -v error -f lavfi -i testsrc2=size=160x96 -frames:v 1 keep/picture.png
  for phase in load text source denoise; do
    interrupted_in "$phase" --size 160x96 --frames 33 --steps 400
    ! grep -q '"decode"' keep/stderr
  done
  interrupted_in decode --size 480x288 --frames 49 --steps 1
}

@test "clips that were made before an interrupt are told of" {
  mkdir keep
  "$SORA" generate x -m "$MODEL" --size 48x32 --frames 5 --steps 2 --seed 1 --dtype f32 --variations 100 --json -q \
    -o clip.mp4 >keep/told &
  pid=$!
  until [ "$(wc -l <keep/told)" -ge 2 ]; do
    kill -0 "$pid" || return 1
    sleep 0.02
  done
  kill -INT "$pid"
  ends_with 130 "$pid"
  [ "$(find . -name 'clip*' | wc -l)" -lt 100 ]
  diff <(jq -r .path keep/told | sort) <(find . -name 'clip*' -printf '%f\n' | sort)
}

@test "a picture from a pipe is refused before the run" {
  mkdir keep
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 keep/picture.png
  run tiny --image <(cat keep/picture.png) -o clip.mp4
  [ "$status" -eq 3 ]
  [[ "$output" == *"comes through a pipe, and a picture is read more than once; save it first"* ]]
  nothing_left
}

@test "two signals end a run at once and leave nothing" {
  mkdir keep
  "$SORA" generate x -m "$MODEL" --size 160x96 --frames 49 --steps 400 --seed 1 -o clip.mp4 --progress json 2>keep/stderr &
  pid=$!
  until grep -q '"denoise"' keep/stderr; do sleep 0.02; done
  # Both are there when it goes on, so that no step comes between them; the kernel chooses which is the second.
  kill -STOP "$pid"
  kill -INT "$pid"
  kill -TERM "$pid"
  kill -CONT "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 130 ] || [ "$status" -eq 143 ]
  nothing_left
}

@test "SIGTERM ends with 143 and leaves nothing" {
  "$SORA" generate x -m "$MODEL" --size 160x96 --frames 49 --steps 400 --seed 1 -o clip.mp4 --quiet &
  pid=$!
  sleep 0.8
  kill -TERM "$pid"
  ends_with 143 "$pid"
  nothing_left
}

@test "control characters of a prompt never reach the terminal" {
  run "$SORA" generate "$(printf 'a\033]0;owned\007')" -m "$MODEL" --size 48x32 --frames 5 --steps 1 --dry-run
  [[ "$output" != *$'\033'* ]]
}

@test "completion scripts are accepted by their shells" {
  "$SORA" --generate-completion bash >sora.bash
  bash -n sora.bash
  touch "a b.mp4"
  [ "$(bash -c 'source ./sora.bash; COMP_WORDS=(sora info a) COMP_CWORD=2; _sora; printf "%s|" "${COMPREPLY[@]}"')" = "a b.mp4|" ]
  [ "$(bash -c 'source ./sora.bash; COMP_WORDS=(sora models ver) COMP_CWORD=2; _sora; echo "${COMPREPLY[@]}"')" = verify ]
  if command -v zsh >/dev/null; then "$SORA" --generate-completion zsh >_sora && zsh -n _sora; fi
  if command -v fish >/dev/null; then "$SORA" --generate-completion fish >sora.fish && fish -n sora.fish; fi
}

@test "what the policy refuses is exit 8, names the rule, and makes nothing" {
  printf '[[rule]]\nid = "no-balls"\nany = ["ball"]\n' >"$BATS_TEST_TMPDIR/policy.toml"
  export SORA_POLICY="$BATS_TEST_TMPDIR/policy.toml" XDG_STATE_HOME="$BATS_TEST_TMPDIR/state"
  for arguments in "-o clip.mp4" "--dry-run"; do
    run --separate-stderr tiny $arguments
    [ "$status" -eq 8 ]
    [[ "$stderr" == *"rule 'no-balls'"* ]]
    nothing_left
  done
  [ "$(jq -r .rule "$XDG_STATE_HOME/sora/audit.jsonl" | sort | uniq -c | tr -s ' ')" = " 2 no-balls" ]
}

@test "a policy's list of pictures looks at a storyboard's pictures, not at its text" {
  mkdir keep
  ffmpeg -v error -f lavfi -i testsrc2=size=96x64 -frames:v 1 keep/card.png
  printf 'cards:\n - {at: 0, text: a ball, image: card.png}\n' >keep/cards.yaml
  printf '%064d\n' 0 >keep/hashes.txt
  export SORA_POLICY="$PWD/keep/policy.toml" XDG_STATE_HOME="$BATS_TEST_TMPDIR"
  local make=("$SORA" generate --storyboard keep/cards.yaml -m "$ROOT/tests/data/pipelines/i2v" --size 48x32 --frames 5 --steps 1 -q)
  printf '[images]\nhash_lists = ["hashes.txt"]\nmax_distance = 0\n' >keep/policy.toml
  "${make[@]}" -o keep/clip.mp4
  printf '[images]\nhash_lists = ["hashes.txt"]\nmax_distance = 256\nmin_quality = 0\n' >keep/policy.toml
  run "${make[@]}" -o clip.mp4
  [ "$status" -eq 8 ]
  [[ "$output" == *"card.png at 0.0 s looks like a picture of a hash list"* ]]
  nothing_left
}

@test "a warning of the policy is a note, and the clip is made" {
  printf '[[rule]]\nid = "balls"\naction = "warn"\nany = ["ball"]\n' >"$BATS_TEST_TMPDIR/policy.toml"
  SORA_POLICY="$BATS_TEST_TMPDIR/policy.toml" XDG_STATE_HOME="$BATS_TEST_TMPDIR" run --separate-stderr tiny -o clip.mp4
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"note: the policy's rule 'balls' warns"* ]]
}

@test "options that would have no effect are refused, or told of" {
  refused() {  # refused STATUS WORDS OPTION...
    run --separate-stderr tiny -o clip.mp4 "${@:3}"
    [ "$status" -eq "$1" ] && [[ "$stderr" == *"$2"* ]] || { echo "status $status: $stderr"; return 1; }
    nothing_left
  }
  refused 2 "--guidance-2 needs a model of two experts" --guidance-2 3
  refused 2 "--low-noise goes with a transformer in a single file" --low-noise low.safetensors
  refused 2 "--identity needs --sign" --identity studio
  run "$SORA" generate "a red ball" --models-dir nowhere -o clip.mp4
  [ "$status" -eq 4 ]
  [[ "$output" == *"--models-dir nowhere: there is no such directory"* ]]
  run --separate-stderr tiny -o clip.mp4 --guidance 1 --negative blur --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"the negative prompt is not looked at where the guidance is 1"* ]]
  run tiny -o clip.mp4 --guidance 2 --negative blur --dry-run
  [[ "$output" != *"is not looked at"* ]]
}

@test "what the finished clip could not be is said before any work" {
  run --separate-stderr tiny --preview-file x.webp -o x.webp
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"--preview-file x.webp is the clip's own name"* ]]
  run --separate-stderr tiny --scheduler nix --dry-run
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"'nix' is unknown; choose one of unipc, euler, dpm++"* ]]
  run --separate-stderr tiny --quality 99 --dry-run -o x.mp4
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"from 0 to 51"* ]]
  run --separate-stderr "$SORA" serve --max-body foo
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"'foo' is no amount of bytes"* ]]
  nothing_left
}
