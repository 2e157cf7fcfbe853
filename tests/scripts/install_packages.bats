# scripts/install-packages, on a machine that has them all.

load processor_time

setup_file() {
  export SCRIPTS=$BATS_TEST_DIRNAME/../../scripts
}

@test "install-packages takes less than a second when all are here" {
  run "$SCRIPTS/install-packages"
  [ "$status" -eq 0 ]
  [[ $output == *"packages are here"* ]]
  (($(processor_ms "$SCRIPTS/install-packages") < 1000))
}

@test "install-packages without root or sudo names what is missing" {
  # In a directory that another user may read, which those of bats need not be.
  place=$(mktemp -d)
  mkdir "$place/bin"
  for tool in bash dirname dpkg-query env grep sed; do ln -s "$(command -v $tool)" "$place/bin/"; done
  cp "$SCRIPTS/install-packages" "$place/"
  printf 'bash\nno-such-package-at-all  # wanted by nobody\n' >"$place/packages.txt"
  chmod -R go+rX "$place"
  as_user=()
  ((EUID != 0)) || as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  run "${as_user[@]}" env PATH="$place/bin" bash "$place/install-packages"
  rm -r "$place"
  [ "$status" -eq 1 ]
  [[ $output == *"missing no-such-package-at-all; run this as root, or install sudo"* ]]
}
