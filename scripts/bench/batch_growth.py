"""Runs a batch with --json in one process and looks at its memory and open files after each job: both are to stay."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

WARM_UP = 0.2  # share of the jobs that loads models and fills caches
MOST_GROWTH = 0.01


def memory_and_files(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    resident_kib = int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
    return resident_kib, len(os.listdir(f"/proc/{pid}/fd"))


process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
samples = []
for line in process.stdout:
    if "job" in json.loads(line):
        samples.append(memory_and_files(process.pid))
if process.wait() != 0:
    sys.exit(f"the batch ended with exit code {process.returncode}")

first = int(len(samples) * WARM_UP)
quarter = (len(samples) - first) // 4
before, after = samples[first : first + quarter], samples[-quarter:]
memory = [statistics.median(resident for resident, _ in part) for part in (before, after)]
files = [statistics.median(count for _, count in part) for part in (before, after)]
growth = memory[1] / memory[0] - 1
print(
    f"{len(samples)} jobs in one process: {memory[0] / 1024:.1f} MiB after {first + quarter} jobs, {memory[1] / 1024:.1f} MiB "
    f"after all ({growth:+.2%}), {files[0]:.0f} and {files[1]:.0f} open files"
)
sys.exit(1 if growth > MOST_GROWTH or files[1] > files[0] else 0)
