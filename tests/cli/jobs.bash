# What the tests of the command line share: the real program, a tiny model that diffusers wrote, a folder to work in, and
# batches of little clips.

# For setup_file.
use_tiny_model() {
  export ROOT="$BATS_TEST_DIRNAME/../.."
  export SORA="${SORA_BUILD_DIR:-$ROOT/build}/sora"
  MODEL=$(realpath "$ROOT/tests/data/pipelines/t2v_unipc")
  export MODEL
}

# For setup: enter_work_folder [NAME]
enter_work_folder() {
  mkdir "$BATS_TEST_TMPDIR/${1:-work}"
  cd "$BATS_TEST_TMPDIR/${1:-work}" || return 1
}

# prompts.txt with the options of all jobs.
begin_prompts() { echo "--size 48x32 --frames 5 --steps 2 --dtype f32 --model $MODEL --codec ffv1" >prompts.txt; }

# prompts N [FIRST]: N lines, each with its seed in its name.
prompts() {
  local first=${2:-1}
  for ((i = first; i < first + $1; i++)); do echo "a red ball -- --seed $i --output clip-$i.mkv"; done >>prompts.txt
}

# A line whose job fails once its weights are read.
bad_prompt() {
  cp -r "$MODEL" broken
  python3 - <<'END'
path = "broken/transformer/diffusion_pytorch_model.safetensors"
data = bytearray(open(path, "rb").read())
data[-4000:] = b"\xff" * 4000
open(path, "wb").write(data)
END
  echo "a bad one -- --model broken --output bad.mkv --seed 1" >>prompts.txt
}

# state_count STATE: jobs of the batch in clips/.
state_count() { "$SORA" batch status clips --json | jq -s "[.[] | .job // empty | select(.state == \"$1\")] | length"; }

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  while ! "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# ends_with STATUS PID: waits for a process of this shell.
ends_with() {
  local status=0
  wait "$2" || status=$?
  [ "$status" -eq "$1" ]
}
