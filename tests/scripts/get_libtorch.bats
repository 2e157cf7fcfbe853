# scripts/get-libtorch: with wheels of its own making, through the real pip, without a network.

load processor_time

setup_file() {
  export SCRIPT=$BATS_TEST_DIRNAME/../../scripts/get-libtorch
  # Tiny wheels with the files that matter and some that do not, and a copy of the script that knows their digests.
  export WHEELS=$BATS_FILE_TMPDIR/wheels TINY=$BATS_FILE_TMPDIR/get-libtorch
  mkdir -p "$WHEELS"
  python3 - "$SCRIPT" "$TINY" "$WHEELS" <<'PYTHON'
import hashlib, pathlib, re, sys, zipfile
script, tiny, wheels = map(pathlib.Path, sys.argv[1:])
text = script.read_text()

def make(project, version, tags, files):
    name = f"{project}-{version}"
    files = {**files, f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n",
             f"{name}.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {tags}\n", f"{name}.dist-info/RECORD": "",
             f"{name}.dist-info/licenses/LICENSE": "free"}
    path = wheels / f"{name}-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in files.items():
            archive.writestr(inner, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned = re.compile(f'("{project.replace("_", "-")}=={version}": ")[0-9a-f]{{64}}')
    global text
    text, count = pinned.subn(rf"\g<1>{digest}", text)
    assert count == 1, project

make("torch", "2.15.0", "cp311-cp311-manylinux_2_28_x86_64", {
    "torch/include/ATen/ATen.h": "", "torch/lib/libtorch_cpu.so": "cpu", "torch/lib/libc10.so": "c10",
    "torch/lib/libtorch_cuda.so": "cuda", "torch/lib/libtorch_python.so": "python", "torch/__init__.py": ""})
make("nvidia_cuda_runtime", "13.2.86", "py3-none-manylinux2014_x86_64", {
    "nvidia/cu13/lib/libcudart.so.13": "cudart", "nvidia/cu13/lib/libcudart_static.a": "static"})
make("nvidia_cuda_cupti", "13.2.86", "py3-none-manylinux_2_25_x86_64", {
    "nvidia/cu13/lib/libcupti.so.13": "cupti", "nvidia/cu13/include/cupti.h": ""})
for project, version in re.findall(r'"(nvidia-[^"]+)==([^"]+)"', text[text.index("CUDA_WHEELS"):]):
    project = project.replace("-", "_")
    make(project, version, "py3-none-manylinux2014_x86_64", {
        f"nvidia/{project}/lib/lib{project}.so.1": "library", f"nvidia/{project}/include/{project}.h": ""})
tiny.write_text(text)
tiny.chmod(0o755)
PYTHON
}

setup() {
  export SORA_CACHE=$BATS_TEST_TMPDIR/cache PIP_NO_INDEX=1 PIP_FIND_LINKS=$WHEELS PIP_NO_CACHE_DIR=1
  unset SORA_LIBTORCH LIBTORCH Torch_DIR CMAKE_PREFIX_PATH PYTHONPATH
}

fetch() { "$TINY" --pinned "$@" 2>"$BATS_TEST_TMPDIR/messages"; }

# A Python torch of this version, as `python3` would import it.
python_torch() {
  local site=$BATS_TEST_TMPDIR/site
  mkdir -p "$site/torch/include/ATen" "$site/torch/lib" "$site/torch-$1.dist-info"
  touch "$site/torch/__init__.py" "$site/torch/include/ATen/ATen.h" "$site/torch/lib/libtorch_cpu.so"
  printf 'Metadata-Version: 2.1\nName: torch\nVersion: %s\n' "$1" >"$site/torch-$1.dist-info/METADATA"
  export PYTHONPATH=$site
}

@test "get-libtorch unpacks what C++ needs, side by side, and nothing else" {
  run fetch
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
  cd "$SORA_CACHE/libtorch-2.15.0"
  [ "$(find torch nvidia -type f | sort | tr '\n' ' ')" = \
    "nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libcupti.so.13 torch/include/ATen/ATen.h torch/lib/libc10.so torch/lib/libtorch_cpu.so " ]
}

@test "get-libtorch finds its own work the second time, without the wheels" {
  fetch
  PIP_FIND_LINKS=/nonexistent run fetch
  [ "$status" -eq 0 ]
  [ "$output" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
  run fetch --find
  [ "$output" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
}

@test "get-libtorch refuses a wheel whose digest is another, and leaves nothing behind" {
  cp -r "$WHEELS" "$BATS_TEST_TMPDIR/tampered"
  printf 'more' >>"$BATS_TEST_TMPDIR/tampered/"nvidia_cuda_cupti*.whl
  PIP_FIND_LINKS=$BATS_TEST_TMPDIR/tampered run fetch
  [ "$status" -eq 6 ]
  grep -q "DO NOT MATCH THE HASHES" "$BATS_TEST_TMPDIR/messages"
  [ "$(ls -A "$SORA_CACHE")" = "libtorch-2.15.0.lock" ]
}

@test "get-libtorch says what to look at when no index answers, and leaves nothing behind" {
  PIP_FIND_LINKS=/nonexistent run fetch
  [ "$status" -eq 6 ]
  grep -q "pip config list" "$BATS_TEST_TMPDIR/messages"
  [ "$(ls -A "$SORA_CACHE")" = "libtorch-2.15.0.lock" ]
}

@test "get-libtorch replaces a half-removed copy" {
  fetch
  rm "$SORA_CACHE/libtorch-2.15.0/torch/lib/libtorch_cpu.so"
  run fetch
  [ "$status" -eq 0 ]
  [ -f "$SORA_CACHE/libtorch-2.15.0/torch/lib/libtorch_cpu.so" ]
}

@test "two get-libtorch at once bring one copy" {
  fetch & first=$!
  "$TINY" --pinned 2>/dev/null
  wait "$first"
  [ "$(ls -A "$SORA_CACHE" | tr '\n' ' ')" = "libtorch-2.15.0 libtorch-2.15.0.lock " ]
}

@test "get-libtorch --find fails with exit 4 and an empty stdout where there is none" {
  run fetch --find
  [ "$status" -eq 4 ]
  [ -z "$output" ]
}

@test "SORA_LIBTORCH is used as it is, or refused by name" {
  python_torch 2.12.0
  SORA_LIBTORCH=$PYTHONPATH/torch run fetch
  [ "$status" -eq 0 ]
  [ "$output" = "$PYTHONPATH/torch" ]
  SORA_LIBTORCH=/nonexistent run "$TINY"
  [ "$status" -eq 4 ]
  [[ $output == *"SORA_LIBTORCH=/nonexistent"* ]]
}

# system_libtorch DIR MAJOR MINOR: a libtorch that somebody has unpacked there.
system_libtorch() {
  mkdir -p "$1/include/ATen" "$1/include/torch/headeronly" "$1/lib" "$1/share/cmake/Torch"
  touch "$1/include/ATen/ATen.h" "$1/lib/libtorch_cpu.so"
  printf '#define TORCH_VERSION_MAJOR %s\n#define TORCH_VERSION_MINOR %s\n' "$2" "$3" >"$1/include/torch/headeronly/version.h"
}

@test "get-libtorch steps aside for a libtorch that is installed where CMake looks, from 2.11 on" {
  local place=$BATS_TEST_TMPDIR/opt/libtorch
  system_libtorch "$place" 2 12
  [ "$(Torch_DIR=$place/share/cmake/Torch "$TINY" 2>/dev/null)" = "$place" ]
  [ "$(CMAKE_PREFIX_PATH=/nowhere:$place "$TINY" 2>/dev/null)" = "$place" ]
  [ "$(LIBTORCH=$place "$TINY" --pinned 2>/dev/null)" = "$place" ]
  [ "$(ls -A "$SORA_CACHE" 2>/dev/null)" = "" ]
  CMAKE_PREFIX_PATH=$place run "$TINY" --cuda --find
  [ "$status" -eq 4 ]
  [ "$(CMAKE_PREFIX_PATH=$place "$TINY" --pinned 2>/dev/null)" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
  system_libtorch "$place" 2 10
  [ "$(CMAKE_PREFIX_PATH=$place "$TINY" 2>/dev/null)" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
}

@test "get-libtorch uses the torch of python3 from 2.11 on" {
  python_torch 2.12.1+cpu
  [ "$("$TINY" 2>/dev/null)" = "$PYTHONPATH/torch" ]
}

@test "get-libtorch passes over an older torch of python3, and any with --pinned" {
  python_torch 2.10.0
  [ "$("$TINY" 2>/dev/null)" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
  python_torch 2.12.0
  [ "$("$TINY" --pinned 2>/dev/null)" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
}

@test "get-libtorch --cuda turns a copy of the CPU half into one of both" {
  fetch
  run fetch --cuda --find
  [ "$status" -eq 4 ]
  run fetch --cuda
  [ "$status" -eq 0 ]
  cd "$SORA_CACHE/libtorch-2.15.0"
  [ -f torch/lib/libtorch_cuda.so ]
  [ -f torch/lib/libtorch_cpu.so ]
  [ -f nvidia/nvidia_cublas/lib/libnvidia_cublas.so.1 ]
  [ -z "$(find nvidia -name '*.h')" ]
  [ "$(ls -A "$SORA_CACHE" | tr '\n' ' ')" = "libtorch-2.15.0 libtorch-2.15.0.lock " ]
  run fetch
  [ "$output" = "$SORA_CACHE/libtorch-2.15.0/torch" ]
}

@test "the libtorch of this build is found within a second" {
  unset SORA_CACHE
  (($(processor_ms "$SCRIPT" --find) < 1000))
  path=$("$SCRIPT" --find)
  [ -f "$path/include/ATen/ATen.h" ]
  [ -f "$path/lib/libtorch_cpu.so" ]
}
