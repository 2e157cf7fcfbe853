# `cmake --install` into a fresh prefix, which is then moved: the program, a program built against the library, the
# model, man page and completions work from there.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT=$BATS_TEST_DIRNAME/../..
  export BUILD=${SORA_BUILD_DIR:-$ROOT/build}
  export PREFIX=$BATS_FILE_TMPDIR/moved
  cmake --install "$BUILD" --prefix "$BATS_FILE_TMPDIR/first" >/dev/null
  mv "$BATS_FILE_TMPDIR/first" "$PREFIX"
  export MODEL=$ROOT/tests/data/pipelines/t2v_unipc
  export SMALL="--size 48x32 --frames 5 --steps 2 --seed 1 --dtype f32"
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
}

# The installed program, with nothing of the build tree or the environment to lean on.
installed() {
  env --ignore-environment HOME="$HOME" PATH=/usr/bin:/bin "$PREFIX/bin/sora" "$@"
}

@test "the installed program makes a clip with the libtorch it finds by itself" {
  run --separate-stderr installed generate "a red ball" -m "$MODEL" $SMALL -o clip.mp4
  [ "$status" -eq 0 ]
  [ "$output" = clip.mp4 ]
  [ "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0 clip.mp4)" = "48,32" ]
}

@test "the installed program has the built-in model" {
  run --separate-stderr installed generate "a red ball" --dry-run --json
  [ "$status" -eq 0 ]
  diff -r "$ROOT/models" "$PREFIX/share/sora/models"
}

@test "find_package(sora) builds a program, which makes the clip that the command line makes" {
  cmake -S "$ROOT/examples/use-library" -B build -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" >/dev/null
  cmake --build build >/dev/null
  run --separate-stderr build/use_library "a red ball" library.y4m "$MODEL"
  [ "$status" -eq 0 ]
  [ "$output" = library.y4m ]
  installed generate "a red ball" -m "$MODEL" --frames 5 --steps 2 --seed 1 -o program.y4m
  cmp library.y4m program.y4m
}

@test "an error of the library reaches the program that uses it as sora::Error" {
  cmake -S "$ROOT/examples/use-library" -B build -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" >/dev/null
  cmake --build build >/dev/null
  run --separate-stderr build/use_library "a red ball" clip.mp4 /nonexistent
  [ "$status" -eq 4 ]
  [[ $stderr == *"/nonexistent"* ]]
}

@test "the public headers name neither torch nor FFmpeg nor the build tree" {
  run grep -rnE "ATen|torch/|libav|\"lib/|$BUILD" "$PREFIX/include"
  [ "$status" -eq 1 ]
}

@test "the installed files do not name the build tree" {
  run grep -rlF "$BUILD" "$PREFIX"
  [ "$status" -eq 1 ]
}

@test "man shows the page" {
  run env MANPATH="$PREFIX/share/man" MANPAGER=cat man sora
  [ "$status" -eq 0 ]
  [[ $output == *generate* ]]
}

@test "bash completes subcommands and options" {
  run bash -c 'source "$PREFIX/share/bash-completion/completions/sora"
    complete -p sora | grep -o "\-F [^ ]*" | { read -r _ function
    COMP_WORDS=(sora gen) COMP_CWORD=1 COMP_LINE="sora gen"; "$function" sora gen sora; echo "${COMPREPLY[*]}"
    COMP_WORDS=(sora generate --vari) COMP_CWORD=2; "$function" sora --vari generate; echo "${COMPREPLY[*]}"
    COMP_WORDS=(sora queue unpa) COMP_CWORD=2; "$function" sora unpa queue; echo "${COMPREPLY[*]}"
    COMP_WORDS=(sora queue add --rel) COMP_CWORD=3; "$function" sora --rel add; echo "${COMPREPLY[*]}"; }'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = generate ]
  [ "${lines[1]}" = --variations ]
  [ "${lines[2]}" = unpause ]
  [ "${lines[3]}" = --relaxed ]
}

@test "fish completes subcommands and options" {
  run fish --no-config -c 'source $PREFIX/share/fish/vendor_completions.d/sora.fish
    complete -C "sora gen"; complete -C "sora generate --vari"; complete -C "sora queue unpa"; complete -C "sora queue add --rel"'
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == generate* ]]
  [[ ${lines[1]} == --variations* ]]
  [[ ${lines[2]} == unpause* ]]
  [[ ${lines[3]} == --relaxed* ]]
}

@test "zsh loads the completion as one for sora" {
  run zsh -f -c 'fpath=($PREFIX/share/zsh/site-functions $fpath); autoload -Uz compinit
    compinit -u -D; echo $_comps[sora]; autoload +X _sora; zsh -n $PREFIX/share/zsh/site-functions/_sora'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = _sora ]
}
