#!/usr/bin/env bats
# Where a clip came from, as a person and a script see it: keys new, --sign, --watermark, verify. Clips are made by a tiny
# model that diffusers wrote; the pictures that are marked come from ffmpeg.

bats_require_minimum_version 1.5.0
load jobs

setup_file() {
  use_tiny_model
  export OMP_NUM_THREADS=1
  export XDG_CONFIG_HOME="$BATS_FILE_TMPDIR/config"
  unset SORA_PLAN SORA_WATERMARK_KEY
  "$ROOT/scripts/get-c2pa"
  "$SORA" keys new studio --owner "Studio Ltd"
  cd "$BATS_FILE_TMPDIR" || return 1
  ffmpeg -v error -f lavfi -i "gradients=s=480x288:r=16:speed=0.02:seed=5,format=yuv444p,noise=alls=6:allf=t:all_seed=3" -frames:v 24 \
    -c:v ffv1 -pix_fmt bgr0 plain.mkv
  "$SORA" recut plain.mkv --keep 0-1.5 --watermark invisible -o marked.mp4 -q
}

setup() {
  enter_work_folder
  export S="$BATS_FILE_TMPDIR"
}

make() { "$SORA" generate "a red ball" -m "$MODEL" --size 48x32 --frames 5 --fps 4 --steps 1 --dtype f32 -q "$@"; }
say() { jq -r "$1" <<<"${lines[0]}"; }

verified() {  # verified STATUS FILE: what verify says of it, as the only JSON in $lines
  run --separate-stderr "$SORA" verify "$2" --json -q
  [ "$status" -eq "$1" ] && [ "${#lines[@]}" -eq 1 ] || { echo "status $status: $output $stderr"; return 1; }
}

@test "keys new makes a key that only its owner reads, and not twice" {
  [ "$(stat -c %a "$XDG_CONFIG_HOME/sora/keys/studio.key")" = 600 ]
  run "$SORA" keys new studio
  [ "$status" -ne 0 ]
}

@test "a signed clip says who signed it, in every container that holds a signature" {
  local kind
  for kind in mp4 mov gif webp apng; do
    make --sign --identity studio -o "clip.$kind"
    verified 0 "clip.$kind"
    [ "$(say '"\(.signature.state) \(.signature.signer) \(.signature.trusted) \(.signature.says_generated) \(.signature.manifest_agrees)"')" = \
      "valid Studio Ltd false true true" ] || { echo "$kind: $output"; return 1; }
    [ "$(say '"\(.unchanged) \(.verdict)"')" = "true confirmed" ]
  done
  run "$SORA" verify clip.mp4
  [[ "$output" == *'valid, by "Studio Ltd", a name that only its own certificate vouches for; it says that the picture was generated.'* ]]
}

@test "a manifest that is lost beside the file is read out of the signature" {
  make --sign --identity studio -o clip.gif
  rm clip.gif.json
  verified 0 clip.gif
  [ "$(say '"\(.manifest.state) \(.manifest.place) \(.signature.manifest_agrees) \(.verdict)"')" = "present the signature true confirmed" ]
}

# The file with one bit changed a little behind the first MARK in it, where its first picture is: later ones may be a few bytes.
tamper() {  # tamper FROM TO MARK
  python3 - "$@" <<'EOF'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[data.index(sys.argv[3].encode()) + 60] ^= 1
open(sys.argv[2], "wb").write(data)
EOF
}

@test "one bit changed since the signature is told, in every container" {
  local case kind
  for case in mp4,mdat mov,mdat gif,NETSCAPE webp,ANMF apng,fdAT; do
    kind=${case%,*}
    make --sign --identity studio -o "clip.$kind"
    tamper "clip.$kind" "other.$kind" "${case#*,}"
    [ ! -e "clip.$kind.json" ] || cp "clip.$kind.json" "other.$kind.json"
    verified 3 "other.$kind"
    [ "$(say '"\(.signature.state) \(.unchanged) \(.verdict)"')" = "changed false contradicted" ] || { echo "$kind: $output"; return 1; }
  done
}

@test "what is not signed is said to be so, and a stranger's file to carry nothing" {
  make -o clip.mp4
  verified 0 clip.mp4
  [ "$(say '"\(.signature.state) \(.unchanged) \(.verdict)"')" = "absent null claimed" ]
  verified 4 "$S/plain.mkv"
  [ "$(say '"\(.manifest.state) \(.signature.state) \(.watermark.state) \(.verdict)"')" = "absent absent absent nothing" ]
}

@test "--sign is refused before any work where there is no identity or no room for a signature" {
  run make --sign --identity nobody -o clip.mp4
  [ "$status" -ne 0 ]
  [[ "$output" == *"sora keys new nobody"* ]]
  run make --sign --identity studio -o clip.webm
  [ "$status" -eq 2 ]
  [ -z "$(ls)" ]
}

@test "the invisible mark is the manifest's, and is found again after H.264 took the manifest and half of the size" {
  verified 0 "$S/marked.mp4"
  [ "$(say '"\(.watermark.state) \(.watermark.manifest_agrees) \(.verdict)"')" = "found true confirmed" ]
  local id
  id=$(say .manifest.id)
  ffmpeg -v error -i "$S/marked.mp4" -map_metadata -1 -c:v libx264 -crf 28 -pix_fmt yuv420p again.mp4
  verified 0 again.mp4
  [ "$(say '"\(.manifest.state) \(.watermark.id) \(.verdict)"')" = "absent $id marked" ]
  ffmpeg -v error -i "$S/marked.mp4" -map_metadata -1 -vf scale=240:144 -c:v libx264 -crf 23 -pix_fmt yuv420p half.mp4
  verified 0 half.mp4
  [ "$(say .watermark.id)" = "$id" ]
  SORA_WATERMARK_KEY=another verified 4 again.mp4
}

@test "pictures smaller than the invisible mark are told of" {
  run --separate-stderr "$SORA" recut "$S/plain.mkv" --keep 0-0.5 --size 160x96 --watermark invisible -o small.mp4
  [[ "$stderr" == *"hold less than one whole mark"*"sora verify may not find it"* ]]
  run --separate-stderr "$SORA" recut "$S/plain.mkv" --keep 0-0.5 --watermark invisible -o large.mp4
  [[ "$stderr" != *"one whole mark"* ]]
}

@test "a mark that came with a source's frames is the source's" {
  "$SORA" recut "$S/marked.mp4" --keep 0-1.4 -o again.mp4 -q
  verified 0 again.mp4
  [ "$(say '"\(.watermark.state) \(.watermark.of_source) \(.verdict)"')" = "found true claimed" ]
  "$SORA" recut again.mp4 --keep 0-1.3 -o third.mp4 -q
  verified 0 third.mp4
  [ "$(say '"\(.watermark.of_source) \(.verdict)"')" = "true claimed" ]
}

@test "a clip signed after a pipe says that it had a source" {
  ffmpeg -v error -i "$S/plain.mkv" -pix_fmt yuv444p -f yuv4mpegpipe -strict -1 - | "$SORA" recut - --keep 0-1 --sign --identity studio -o piped.mp4 -q
  verified 0 piped.mp4
  grep -qa compositeWithTrainedAlgorithmicMedia piped.mp4
}

@test "a manifest that was put beside another's marked pictures contradicts them" {
  make -o clip.gif
  ffmpeg -v error -i "$S/marked.mp4" -map_metadata -1 -c copy other.mkv
  mv clip.gif.json other.mkv.json
  verified 3 other.mkv
  [ "$(say '"\(.manifest.state) \(.watermark.manifest_agrees) \(.verdict)"')" = "present false contradicted" ]
}

@test "JSON of other programs in a file or beside it is no manifest, and one of a later form is a damaged one" {
  ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=8 -frames:v 3 -c:v libx264 -metadata comment='{"program": "another"}' foreign.mp4
  ffmpeg -v error -f lavfi -i testsrc2=s=64x48 -frames:v 1 photo.jpg
  echo '{"camera": "another"}' >photo.jpg.json
  local file
  for file in foreign.mp4 photo.jpg; do
    verified 4 "$file"
    [ "$(say '"\(.manifest.state) \(.verdict)"')" = "absent nothing" ] || { echo "$file: $output"; return 1; }
  done
  make -o clip.gif
  cp clip.gif.json foreign.mp4.json
  verified 0 foreign.mp4
  [ "$(say '"\(.manifest.state) \(.manifest.place)"')" = "present foreign.mp4.json" ]
  echo '{"sora_manifest": 99}' >photo.jpg.json
  verified 3 photo.jpg
  [ "$(say .manifest.state)" = damaged ]
}

@test "names that are no UTF-8 or hold a percent sign are signed like others" {
  ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 $'im\xe9.png'
  local name
  for name in $'caf\xe9.mp4' '50%.mp4'; do
    "$SORA" generate "a red ball" -m "$ROOT/tests/data/pipelines/i2v" --image $'im\xe9.png' --size 48x32 --frames 5 --steps 1 \
      --dtype f32 -q --sign --identity studio -o "$name"
    verified 0 "$name"
    [ "$(say .signature.state)" = valid ]
  done
}

@test "an owner is named in 1 to 57 characters" {
  local owner
  for owner in "" "$(printf 'x%.0s' {1..58})" $'\xe9'; do
    run "$SORA" keys new other --owner "$owner"
    [ "$status" -eq 2 ]
    [[ "$output" == *"a certificate takes a name of 1 to 57 characters"* ]]
  done
  "$SORA" keys new other --owner "$(printf 'é%.0s' {1..57})"
}
