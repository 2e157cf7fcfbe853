#!/usr/bin/env bats
# The tools as a script sees them: what is kept, what is refused, and that nothing is left behind. The model is a tiny
# random one that diffusers wrote; sources are made by ffmpeg.

bats_require_minimum_version 1.5.0
load jobs

setup_file() {
  use_tiny_model
  export OMP_NUM_THREADS=1
  cd "$BATS_FILE_TMPDIR" || return 1
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=16 -frames:v 16 -c:v ffv1 -pix_fmt bgr0 a.mkv
  ffmpeg -v error -f lavfi -i testsrc2=size=64x64:rate=30000/1001 -f lavfi -i sine -t 1 -c:v libx264 -c:a aac b.mp4
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=16 -frames:v 1 -c:v ffv1 one.mkv
  ffmpeg -v error -f lavfi -i color=size=16x16:rate=1 -t 100 -c:v libx264 -pix_fmt yuv420p -preset ultrafast hours.mp4
  ffmpeg -v error -f lavfi -i color=size=8192x64:rate=16 -frames:v 3 -c:v ffv1 wide.mkv
  head -c 3000 b.mp4 >broken.mp4
  python3 - <<'END'  # a table of chunks that claims 16 GiB
movie = bytearray(open("b.mp4", "rb").read())
count = movie.index(b"stco") + 8
movie[count:count + 4] = b"\x7f\xff\xff\xff"
open("tables.mp4", "wb").write(movie)
END
  echo "no video" >text.mp4
}

setup() {
  enter_work_folder
  export S="$BATS_FILE_TMPDIR"
}

# A tool on the tiny model.
tool() {
  local name=$1
  shift
  "$SORA" "$name" "$@" -m "$ROOT/tests/data/pipelines/i2v" --steps 1 --seed 1 --dtype f32
}

frames_of() {
  ffmpeg -v error -i "$1" -vf "select='between(n,$2,$3)'" -fps_mode passthrough -pix_fmt rgb24 -f framemd5 - | grep -v '^#' | cut -d, -f6
}

refused() {  # refused STATUS WORDS COMMAND...
  local status_wanted=$1 words=$2
  shift 2
  run "$@"
  [ "$status" -eq "$status_wanted" ] || { echo "status $status: $output"; return 1; }
  [[ "$output" == *"$words"* ]] || { echo "$output"; return 1; }
  [ "${#lines[@]}" -le 3 ]
  [ -z "$(find . -name 'out*')" ]
}

@test "extend keeps every frame of its source" {
  tool extend "$S/a.mkv" --by 0.25 -o out.mkv --codec ffv1 -q
  [ "$(frames_of out.mkv 0 15)" = "$(frames_of "$S/a.mkv" 0 15)" ]
  tool extend - --by 250ms -o - -q < <(ffmpeg -v error -i "$S/a.mkv" -pix_fmt yuv444p -f yuv4mpegpipe -strict -1 -) >out.y4m
  [ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 out.y4m)" -eq 20 ]
}

@test "two texts on a model that looks at pictures: the same text twice is that text, another is another clip" {
  ffmpeg -v error -i "$S/a.mkv" -frames:v 1 first.png
  for colour in red blue; do
    printf 'cards:\n  - {text: a red ball, image: first.png, at: 0}\n  - {text: a %s ball, at: 0.5}\n' $colour >$colour.yaml
    "$SORA" generate --storyboard $colour.yaml -m "$ROOT/tests/data/pipelines/i2v_clip" --size 48x32 --frames 17 --steps 2 --seed 1 \
      --dtype f32 -o $colour.mkv --codec ffv1 -q
  done
  "$SORA" generate "a red ball" --image first.png -m "$ROOT/tests/data/pipelines/i2v_clip" --size 48x32 --frames 17 --steps 2 --seed 1 \
    --dtype f32 -o one.mkv --codec ffv1 -q
  [ "$(frames_of red.mkv 0 16)" = "$(frames_of one.mkv 0 16)" ]
  [ "$(frames_of blue.mkv 0 16)" != "$(frames_of one.mkv 0 16)" ]
}

@test "transparency of a webm lies over black" {
  ffmpeg -v error -f lavfi -i "color=red@0.0:size=64x48:rate=16,format=yuva420p" -frames:v 8 -c:v libvpx-vp9 -metadata:s:v alpha_mode=1 clear.webm
  tool extend clear.webm --by 0.2 -o out.mkv --codec ffv1 -q
  [ "$(ffmpeg -v error -i out.mkv -frames:v 1 -vf scale=1:1 -pix_fmt rgb24 -f rawvideo - | od -An -tu1 | awk '{print ($1 + $2 + $3 < 30)}')" = 1 ]
}

@test "a pause in a source does not slow what moves before it" {
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=20 -t 0.5 -final_delay 200 hold.gif
  tool extend hold.gif --by 0.2 -o out.mkv --codec ffv1 -q
  [ "$(ffprobe -v error -show_entries stream=r_frame_rate -of csv=p=0 out.mkv)" = 20/1 ]
  [ "$(frames_of out.mkv 0 9)" = "$(frames_of hold.gif 0 9)" ]
}

@test "a pipe by name is a source like stdin" {
  tool extend <(ffmpeg -v error -i "$S/a.mkv" -pix_fmt yuv444p -f yuv4mpegpipe -strict -1 -) --by 250ms -o out.mkv -q
  [ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 out.mkv)" -eq 20 ]
}

@test "stdin may hold a video of any kind, and its faults name no file of this process" {
  tool extend - --by 250ms -o out.mkv -q <"$S/b.mp4"
  [ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -select_streams v -of csv=p=0 out.mkv)" -gt 30 ]
  rm out.mkv
  refused 3 "- cannot be read" tool extend - --by 250ms -o out.mp4 <"$S/broken.mp4"
  [[ "$output" != */proc/self* ]]
  refused 3 "is empty" tool extend <(true) --by 250ms -o out.mp4
  [[ "$output" != */proc/self* ]]
}

@test "what reads a file more than once takes none from a pipe" {
  local command
  for command in "verify -" "info /dev/stdin" "show /dev/stdin -o out.png" "show - -o out.png"; do
    refused 2 "reads a file more than once; save it first" bash -c "cat '$S/b.mp4' | '$SORA' $command"
  done
}

@test "numbered pictures are no source, and verify looks at the first" {
  mkdir frames
  ffmpeg -v error -i "$S/a.mkv" frames/%05d.png
  refused 2 "numbered pictures" tool extend frames/%05d.png --by 250ms -o out.mkv
  run "$SORA" verify frames/%05d.png
  [ "$status" -eq 4 ]
  [[ "$output" == *"carries no trace"* ]]
}

@test "without --size a clip comes out as large as its source, though a scaler left its pixels not quite square" {
  local case size
  for case in 480x288,1/1 480x288,319/320 426x240,640/639 854x480,1280/1281; do
    size=${case%,*}
    ffmpeg -v error -y -f lavfi -i "testsrc2=size=$size:rate=16" -frames:v 9 -vf "setsar=${case#*,}" -c:v ffv1 -pix_fmt bgr0 near.mkv
    "$SORA" recut near.mkv --keep 0-0.5 -o out.mkv -f -q --codec ffv1
    [ "$(ffprobe -v error -show_entries stream=width,height,sample_aspect_ratio -of csv=p=0:s=x out.mkv)" = "${size}x1:1" ]
    [ "$(frames_of out.mkv 0 7)" = "$(frames_of near.mkv 0 7)" ]
  done
}

# Seconds at which a beep begins in the sound of a file, by ffmpeg.
beeps_of() {
  ffmpeg -nostdin -i "$1" -af silencedetect=noise=-30dB:d=0.03 -f null - 2>&1 | sed -n 's/.*silence_end: \([0-9.]*\).*/\1/p'
}

near() {  # near SECONDS WANTED...   each within a frame of 1/16 s
  local got="$1" wanted
  shift
  for wanted in "$@"; do
    awk -v w="$wanted" '{ if (($1 - w) ^ 2 < 0.0625 ^ 2) found = 1 } END { exit !found }' <<<"$got" || {
      echo "no beep at $wanted, but at: $got"
      return 1
    }
  done
}

@test "another size and rate: the result has the source's, and its sound" {
  tool extend "$S/b.mp4" --by 0.5 -o out.mp4 -q
  [ "$(ffprobe -v error -select_streams v -show_entries stream=width,height,r_frame_rate -of csv=p=0 out.mp4)" = "64,64,30000/1001" ]
  [ "$(ffprobe -v error -select_streams a -show_entries stream=codec_name -of csv=p=0 out.mp4)" = aac ]
  ffmpeg -v error -xerror -i out.mp4 -f null -
}

@test "sound goes with its frames: beeps of a source stand where recut, extend and loop put them" {
  # Beeps begin at 0.25 s and 0.75 s of one second.
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=16 -f lavfi -i "aevalsrc=sin(2000*PI*t)*between(mod(t\,0.5)\,0.25\,0.35)" \
    -t 1 -c:v ffv1 -pix_fmt bgr0 -c:a flac beeps.mkv
  tool recut beeps.mkv --keep 0.5-1 --at 0 --keep 0-0.5 --at 1 --duration 1.5 -o out.mp4 -q
  near "$(beeps_of out.mp4)" 0.25 1.25
  [ "$(beeps_of out.mp4 | awk '$1 < 1.4' | wc -l)" -eq 2 ]  # the last silence ends with the file
  tool extend beeps.mkv --by 0.5 --backward -o back.webm -q
  near "$(beeps_of back.webm)" 0.75 1.25
  [ "$(ffprobe -v error -select_streams a -show_entries stream=codec_name -of csv=p=0 back.webm)" = opus ]
  tool remix beeps.mkv "a cat" -o remix.mov --codec h264 -q
  near "$(beeps_of remix.mov)" 0.25 0.75
  tool extend beeps.mkv --by 0.5 -o on.mkv -q
  near "$(beeps_of on.mkv)" 0.25 0.75
  [ "$(ffprobe -v error -show_entries format=duration -of csv=p=0 on.mkv | cut -c1-3)" = 1.5 ]
}

# psnr OUT FILTER SOURCE: of the first frame of OUT against the source's under ffmpeg's FILTER, in whole dB.
psnr() {
  ffmpeg -nostdin -i "$1" -i "$3" -filter_complex "[0]trim=end_frame=1,format=gbrp[a];[1]trim=end_frame=1,$2,format=gbrp[b];[a][b]psnr" \
    -f null - 2>&1 | sed -n 's/.*average:\(inf\|[0-9]*\).*/\1/p'
}

@test "another aspect is cropped, padded or stretched as ffmpeg does it" {
  ffmpeg -v error -f lavfi -i testsrc2=size=96x48:rate=16,gblur=2 -frames:v 8 -c:v ffv1 -pix_fmt bgr0 wide.mkv
  local fit filter
  for fit in crop:crop=48:48 pad:scale=48:24:flags=lanczos,pad=48:48:0:12 stretch:scale=48:48:flags=lanczos; do
    filter=${fit#*:}
    fit=${fit%%:*}
    tool extend wide.mkv --by 0.25 --size 48x48 --fit "$fit" -o "$fit.mkv" --codec ffv1 -q
    [ "$(psnr "$fit.mkv" "$filter" wide.mkv | sed s/inf/99/)" -ge 30 ] || { psnr "$fit.mkv" "$filter" wide.mkv; return 1; }
  done
}

@test "what is cut off of a source is told of" {
  ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=16 -frames:v 16 -c:v ffv1 -pix_fmt bgr0 narrow.mkv
  run tool extend narrow.mkv --by 0.25 --resolution 480p -n
  [ "$status" -eq 0 ]
  [ "$(grep -c "narrow.mkv is 64x48: 25 % of its height is cut off to fill 854x480" <<<"$output")" -eq 1 ]
  run tool extend narrow.mkv --by 0.25 --resolution 480p --fit pad -n
  [[ "$output" != *"cut off"* ]]
  run tool extend narrow.mkv --by 0.25 --size 72x48 -n
  [[ "$output" == *"11 % of its height"* ]]
  run tool extend narrow.mkv --by 0.25 --size 60x48 -n
  [[ "$output" != *"cut off"* ]]
  ffmpeg -v error -i narrow.mkv -frames:v 1 narrow.png
  run "$SORA" generate x -m "$ROOT/tests/data/pipelines/i2v" --image narrow.png --size 48x48 --frames 5 -n
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c "narrow.png is 64x48: 25 % of its width is cut off to fill 48x48" <<<"$output")" -eq 1 ]
}

@test "a rotation flag, alpha and a variable rate are as ffmpeg shows them" {
  ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=16,gblur=2 -frames:v 8 -c:v libx264 -qp 1 -pix_fmt yuv444p upright.mp4
  ffmpeg -v error -display_rotation 90 -i upright.mp4 -c copy turned.mp4 2>/dev/null ||
    ffmpeg -v error -i upright.mp4 -c copy -metadata:s:v rotate=90 turned.mp4
  tool extend turned.mp4 --by 0.25 -o turned.mkv --codec ffv1 -q
  [ "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0 turned.mkv)" = 48,64 ]
  [ "$(psnr turned.mkv null turned.mp4 | sed s/inf/99/)" -ge 30 ]
  ffmpeg -v error -f lavfi -i "testsrc2=size=48x32:rate=16,gblur=2,format=rgba,colorchannelmixer=aa=0.5" -frames:v 8 -c:v png alpha.mov
  tool extend alpha.mov --by 0.25 -o alpha.mkv --codec ffv1 -q
  [ "$(psnr alpha.mkv "colorchannelmixer=rr=0.5:gg=0.5:bb=0.5" alpha.mov | sed s/inf/99/)" -ge 30 ]
  # Frames 0 to 7, then every second one for a second: 16 a second, as long as before.
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=16 -t 1.5 -vf "select='lt(n,8)+not(mod(n,2))'" -fps_mode vfr -c:v ffv1 -pix_fmt bgr0 vfr.mkv
  tool extend vfr.mkv --by 0.25 --fps 16 -o even.mkv --codec ffv1 -q
  [ "$(frames_of even.mkv 0 22)" = "$(ffmpeg -v error -i vfr.mkv -vf fps=16:round=near -frames:v 23 -pix_fmt rgb24 -f framemd5 - | grep -v '^#' | cut -d, -f6)" ]
}

@test "a source of fields is told of once, and frames are not" {
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32:rate=25 -frames:v 25 -c:v mpeg2video -flags +ildct+ilme -field_order tt fields.mkv
  run tool recut fields.mkv --drop 0.2-0.5s -n
  [ "$status" -eq 0 ]
  [ "$(grep -c "fields.mkv is interlaced" <<<"$output")" -eq 1 ]
  [[ "$output" == *"ffmpeg -vf bwdif makes frames of its fields"* ]]
  run tool recut "$S/b.mp4" --drop 0.2-0.5 -n
  [[ "$output" != *interlaced* ]]
}

@test "a format without sound says so" {
  run --separate-stderr tool extend "$S/b.mp4" --by 0.5 -o out.gif
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"holds no sound"* ]]
}

@test "sound that cannot be decoded is left out, in however many pieces it would be heard" {
  ffmpeg -v error -i "$S/b.mp4" -c:v copy -c:a wavpack packed.mkv
  run --separate-stderr tool recut packed.mkv --keep 0-0.25 --keep 0.5-0.75 -o out.mkv -q
  [ "$status" -eq 0 ]
  run --separate-stderr tool recut packed.mkv --keep 0-0.25 --keep 0.5-0.75 -o out.mkv --force
  [ "$(grep -c "it is left out" <<<"$stderr")" -eq 1 ]
  [ -z "$(ffprobe -v error -select_streams a -show_entries stream=index -of csv=p=0 out.mkv)" ]
}

@test "dry run prints the canvas" {
  run tool recut "$S/a.mkv" --keep 0-0.25 --keep 0.5-1 --prompt "a cat" -n
  [ "$status" -eq 0 ]
  [[ "$output" == *"frames 0-4 known"*"frames 4-8 free: a cat"*"frames 8-17 known"* ]]
  run tool remix "$S/a.mkv" "a cat" --strength subtle -n
  [[ "$output" == *"guided to 0.75: a cat"* ]]
}

@test "what a tool made is made again from its recipe" {
  tool extend "$S/a.mkv" --by 0.25 -o out.mkv --codec ffv1 -q
  "$SORA" generate --recipe out.mkv -o again.mkv --codec ffv1 -q
  [ "$(frames_of out.mkv 0 99)" = "$(frames_of again.mkv 0 99)" ]
}

@test "a storyboard's recipe says its prompt once with each card, and the same clip comes out" {
  printf 'style: on film\ncards:\n - {at: 0, text: a cat}\n' >cards.yaml
  tool generate "by night" --storyboard cards.yaml --size 48x32 --frames 9 -o out.mkv --codec ffv1 -q
  "$SORA" generate --recipe out.mkv -o again.mkv --codec ffv1 -q
  [ "$(frames_of out.mkv 0 99)" = "$(frames_of again.mkv 0 99)" ]
  run tool extend out.mkv --by 0.25 -n
  [[ "$output" == *"free: a cat, by night, on film"* ]]
}

@test "a recipe is not made of other sources, and tells of other weights" {
  cp "$S/a.mkv" a.mkv
  cp -r "$ROOT/tests/data/pipelines/i2v" model
  "$SORA" extend a.mkv --by 0.25 -m model --steps 1 --dtype f32 -o clip.mkv -q
  cp model/transformer/config.json model/transformer/other.json
  run "$SORA" generate --recipe clip.mkv -o again.mkv
  [ "$status" -eq 0 ]
  [[ "$output" == *"has other weights"* ]]
  cp "$S/one.mkv" a.mkv
  refused 3 "a.mkv is not the file" "$SORA" generate --recipe clip.mkv -o out.mkv
  mkdir elsewhere && cd elsewhere
  refused 4 "was made from a.mkv, which is not below the current folder" "$SORA" generate --recipe ../clip.mkv -o out.mkv
}

@test "a source that came through a pipe is in the manifest, and its recipe is refused" {
  ffmpeg -v error -i "$S/a.mkv" -pix_fmt yuv444p -f yuv4mpegpipe -strict -1 a.y4m
  tool extend - --by 250ms -o piped.mkv -q <a.y4m
  [ "$("$SORA" info piped.mkv --json | jq -r '.. | .sources? // empty | .[0].sha256')" = "$(sha256sum a.y4m | cut -d' ' -f1)" ]
  refused 3 "came through a pipe" "$SORA" generate --recipe piped.mkv -o out.mkv <a.y4m
}

@test "a mix says each clip's text wherever the curve is nearer to it" {
  local text
  for text in cat dog; do
    "$SORA" generate "a $text" -m "$MODEL" --size 48x32 --frames 17 --steps 1 --dtype f32 -o $text.mkv -q
  done
  run tool blend cat.mkv dog.mkv --mode mix --curve 0:0,0.5:1,1:0 --dry-run
  [[ "$output" == *"frames 8-9 guided to 0.00: a dog"* ]]
  [[ "$output" == *"frames 16-17 guided to 0.00: a cat"* ]]
}

@test "an animated WebP is no source, and that is why" {
  "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 5 --steps 1 --quiet -o moving.webp
  run "$SORA" extend moving.webp --by 0.5s -m "$MODEL"
  [ "$status" -eq 3 ]
  [[ "$output" == *"moving.webp is an animated WebP, which this FFmpeg does not decode"* ]]
}

@test "sources that are no clip are exit 3 or 4 and leave nothing" {
  refused 3 text.mp4 tool extend "$S/text.mp4" --by 1 -o out.mp4
  refused 3 broken.mp4 tool extend "$S/broken.mp4" --by 1 -o out.mp4
  refused 3 "claims more than memory holds" tool extend "$S/tables.mp4" --by 1 -o out.mp4
  refused 3 "has one frame" tool extend "$S/one.mkv" --by 1 -o out.mp4
  refused 3 "lasts 100 s" tool loop "$S/hours.mp4" -o out.mp4
  refused 3 "8192x64" tool remix "$S/wide.mkv" "a cat" -o out.mp4
  refused 4 none.mp4 tool extend "$S/none.mp4" --by 1 -o out.mp4
}

@test "ranges and curves that cannot be are exit 2" {
  refused 2 "goes past the end" tool recut "$S/a.mkv" --keep 0.5-2 -o out.mp4
  refused 2 "cross at" tool recut "$S/a.mkv" --keep 0-0.5 --at 0 --keep 0.5-1 --at 0.25 -o out.mp4
  refused 2 "holds nothing" tool recut "$S/a.mkv" --drop 0.5-0.5 -o out.mp4
  refused 2 "does not come after" tool blend "$S/a.mkv" "$S/b.mp4" --curve 0:0,0.6:1,0.5:0 -o out.mp4
  refused 2 "is none of" tool remix "$S/a.mkv" "a cat" --strength much -o out.mp4
  refused 2 "is not a length" tool extend "$S/a.mkv" --by 2h -o out.mp4
  refused 4 "--curve nofile.txt: there is no such file; a curve is written 0:0,0.5:1,1:0" tool blend "$S/a.mkv" "$S/b.mp4" --curve nofile.txt -o out.mp4
  refused 2 "60 s can be made" tool extend "$S/a.mkv" --by 80 -o out.mp4
}

@test "storyboards that cannot be are exit 3 or 4 and name the card" {
  printf 'cards:\n - {at: 0, text: a}\n - {at: 1, txt: b}\n' >keys.yaml
  refused 3 "card 2 has an unknown key 'txt'" tool generate --storyboard keys.yaml -o out.mp4
  printf 'cards:\n - {at: 0, image: none.png}\n' >image.yaml
  refused 4 none.png tool generate --storyboard image.yaml -o out.mp4
  refused 4 nothing tool generate "a cat" --preset nothing -o out.mp4
}

@test "a storyboard shows its video where its card says" {
  cp "$S/a.mkv" v.mkv
  printf 'duration: 1\ncards:\n - {at: 0, text: a cat}\n - {at: 0.5, video: v.mkv, to: 0.5}\n' >cards.yaml
  tool generate --storyboard cards.yaml --size 48x32 -o out.mkv --codec ffv1 -q
  [ "$(frames_of out.mkv 8 15)" = "$(frames_of "$S/a.mkv" 0 7)" ]
}

@test "presets are listed, one a line" {
  run --separate-stderr "$SORA" presets
  [ "$status" -eq 0 ]
  [ "${#lines[@]}" -ge 5 ]
  [[ "$output" == *film-noir* ]]
}
