# Every shell script of the repository passes shellcheck; every script is executable and says how it is used.

setup_file() {
  export ROOT=$BATS_TEST_DIRNAME/../..
}

# Those that belong to the repository, whatever else lies about in the working tree.
shell_scripts() {
  git -C "$ROOT" ls-files -z scripts .ci examples | (cd "$ROOT" && xargs -0 grep -lE '^#!.*\b(bash|sh)$')
}

@test "shellcheck finds nothing" {
  cd "$ROOT"
  mapfile -t files < <(shell_scripts)
  ((${#files[@]} > 5))
  # SC1007 takes `CDPATH= cd` for a slip.
  shellcheck --exclude=SC1007 "${files[@]}"
}

@test "files that begin with #! are executable" {
  cd "$ROOT"
  while IFS= read -r -d '' file; do
    [[ $(head -c 2 "$file" | tr -d '\0') != '#!' || -x $file ]] || { echo "$file is not"; return 1; }
  done < <(git ls-files -z scripts .ci examples)
}
