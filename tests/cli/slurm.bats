#!/usr/bin/env bats
# sora batch --on slurm on a real Slurm that this test starts on this machine, with the real program on a tiny model that
# diffusers wrote.

bats_require_minimum_version 1.5.0
load jobs

setup_file() {
  use_tiny_model
  command -v slurmctld slurmd munged >/dev/null || { export NO_SLURM="Slurm is not installed"; return; }
  [ "$(id -u)" -eq 0 ] || { export NO_SLURM="starting Slurm needs root"; return; }
  SLURM_CONF=$(MAX_ARRAY_SIZE=5 "$BATS_TEST_DIRNAME/slurm_cluster" start "$BATS_FILE_TMPDIR/slurm" 2 3>&-)
  export SLURM_CONF
}

teardown_file() { "$BATS_TEST_DIRNAME/slurm_cluster" stop "$BATS_FILE_TMPDIR/slurm"; }

setup() {
  [ -z "${NO_SLURM:-}" ] || skip "$NO_SLURM"
  enter_work_folder "work folder"
  export OMP_NUM_THREADS=1
  begin_prompts
}

teardown() { [ -n "${NO_SLURM:-}" ] || scancel --user "$(id -un)" 2>/dev/null || true; }

some_job_runs() { [ "$(state_count running)" -ge 1 ] && [ "$(find clips -maxdepth 1 -name '*.mkv' | wc -l)" -ge "$1" ]; }

# The processes of array tasks, by the store that each was given.
task_processes() { pgrep -f -- "--store $PWD/clips/.sora/slurm/.*/$1.sqlite"; }

@test "24 jobs on two workers, one of which is killed in the middle: 24 files, none made twice, each paid once" {
  export SORA_LEDGER="$PWD/ledger.sqlite"
  printf 'name = "small"\ncredits_per_month = 1000\n' >small.toml
  sed -i 's/--steps 2/--steps 20 --fps 4/' prompts.txt # a second, 4 credits
  prompts 24
  sed -i '/clip-1.mkv/s/$/ --steps 1000 --size 128x96/' prompts.txt # under way for some seconds, in the first task
  "$SORA" batch prompts.txt -o clips --on slurm --jobs 2 --wait --plan small.toml --progress plain >out.txt 2>err.txt &
  pid=$!
  until_true 300 grep -q ' of 24 ended, .*clip-1.mkv [0-9]* % ' err.txt
  until_true 300 some_job_runs 2
  victim=$(task_processes 0 | head -1)
  kill -KILL "$victim"
  before=$(stat -c '%n %i %Y' clips/*.mkv)
  status=0
  wait $pid || status=$?
  cat err.txt
  [ "$status" -eq 0 ]
  [ "$("$SORA" credits --plan small.toml --json | jq -r '"\(.used) \(.reserved) \(.running)"')" = "96 0 0" ]
  [ "$(grep -c 'Slurm has array' err.txt)" -ge 2 ]
  [ "$(find clips -maxdepth 1 -type f | wc -l)" -eq 24 ]
  [ "$(sort -u out.txt | wc -l)" -eq 24 ]
  [ "$(wc -l <out.txt)" -eq 24 ]
  [ -z "$(comm -23 <(sort <<<"$before") <(stat -c '%n %i %Y' clips/*.mkv | sort))" ]
  [ "$(state_count 'done')" -eq 24 ]
  [ -z "$(find clips/.sora/work -type f)" ]
  for file in clips/*.mkv; do ffprobe -v error "$file"; done
  "$SORA" generate "a red ball" --size 48x32 --frames 5 --steps 20 --fps 4 --dtype f32 --model "$MODEL" --codec ffv1 --seed 7 -o alone.mkv --quiet
  cmp alone.mkv clips/clip-7.mkv
}

@test "without --wait the array's number is printed, the same command hands nothing in twice, and later collects" {
  prompts 7
  run --separate-stderr "$SORA" batch prompts.txt -o clips --on slurm --jobs 100 --time 10 --node-memory 100M --cpus 1 --sbatch=--nice=5
  echo "$stderr"
  [ "$status" -eq 0 ]
  array=$output
  [[ "$array" =~ ^[0-9]+$ ]]
  scontrol show job "$array" >job.txt
  grep -q 'TimeLimit=00:10:00' job.txt
  grep -q 'Nice=5' job.txt
  [ "$(find clips/.sora/slurm -name '*.sqlite' | wc -l)" -eq 5 ] # MaxArraySize of this site
  run --separate-stderr "$SORA" batch prompts.txt -o clips --on slurm --json
  [ "$status" -eq 0 ]
  [ "$(jq -r .array <<<"$output")" = null ]
  until_true 300 bash -c "[ -z \"\$(squeue --noheader --jobs $array 2>/dev/null)\" ]"
  run --separate-stderr "$SORA" batch prompts.txt -o clips
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  [ "$(state_count 'done')" -eq 7 ]
  [ -z "$(find clips/.sora/slurm -name '*.sqlite')" ]
}

@test "a job that fails is exit 7, the others are made with --keep-going" {
  prompts 3
  bad_prompt
  run --separate-stderr "$SORA" batch prompts.txt -o clips --on slurm --jobs 2 --keep-going --wait --json
  echo "$stderr"
  [ "$status" -eq 7 ]
  [ "$(jq -s '[.[] | .summary // empty][0].failed' <<<"$output")" -eq 1 ]
  [ "$(find clips -maxdepth 1 -name 'clip-*.mkv' | wc -l)" -eq 3 ]
  [ ! -e clips/bad.mkv ]
}

@test "what Slurm refuses is told in its words, and the jobs stay to be made" {
  prompts 1
  run "$SORA" batch prompts.txt -o clips --on slurm --partition nowhere
  [ "$status" -eq 6 ]
  [[ "$output" == *"invalid partition"* ]]
  [ "$(state_count pending)" -eq 1 ]
  run "$SORA" batch prompts.txt -o clips --wait
  [ "$status" -eq 2 ]
}
