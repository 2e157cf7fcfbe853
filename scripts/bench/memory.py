"""How close runs come to the memory that `sora generate --dry-run` plans for them: the resident set of the process,
read many times a second, its largest value in each phase, beside the plan's."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from measurement import resident
from programs import SORA
MIB = 1 << 20
PHASES = {"text": "text", "denoise": "sample", "decode": "decode"}  # of the progress lines, of the plan


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench/memory", description=__doc__)
    parser.add_argument("model", help="what -m takes")
    parser.add_argument("size", nargs="+", metavar="WxHxF", help="width, height, frames")
    parser.add_argument("--sora", type=pathlib.Path, default=SORA)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--memory", help="the limit to plan for")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def watch(process, peaks, phase):
    while process.poll() is None:
        name = phase[0]
        now = resident(process.pid)
        peaks[name] = max(peaks.get(name, 0), now.total if now else 0)
        time.sleep(0.01)


def run(arguments, command):
    plan = json.loads(subprocess.run([*command, "--dry-run", "--json"], check=True, capture_output=True).stdout)
    peaks, phase = {}, ["start"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, "-o", pathlib.Path(folder) / "clip.y4m"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, env={**os.environ, "NO_COLOR": "1"})  # fmt: skip
        watcher = threading.Thread(target=watch, args=(process, peaks, phase))
        watcher.start()
        for line in process.stderr:
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            if "phase" not in event:
                continue  # a notice
            if event["phase"] in PHASES:
                is_loading = event["phase"] == "text" and event["done"] == event["total"]  # the transformer
                phase[0] = "sample" if is_loading else PHASES[event["phase"]]
        watcher.join()
        if process.wait() != 0:
            sys.exit(f"{command}: exit code {process.returncode}")
    return plan["memory"], peaks


def main():
    arguments = parse()
    print(f"{'size':>16} {'phase':>7} {'planned':>9} {'reached':>9}  reached/planned")
    for size in arguments.size:
        width, height, frames = size.split("x")
        command = [arguments.sora, "generate", "a red ball", "-m", arguments.model, "--size", f"{width}x{height}",
                   "--frames", frames, "--steps", str(arguments.steps), "--seed", "1", "--dtype", arguments.dtype,
                   "--threads", str(arguments.threads), "--native", "--progress", "json"]  # fmt: skip
        if arguments.memory:
            command += ["--memory", arguments.memory]
        plan, peaks = run(arguments, command)
        plan["peak"] = max(plan[name] for name in PHASES.values())
        peaks["peak"] = max(peaks.values())
        for name in (*PHASES.values(), "peak"):
            notes = ", streamed" * (name == "sample" and plan["layers_streamed"])
            notes += ", tiles" * (name == "decode" and plan["frames_in_tiles"])
            reached = peaks.get(name, 0)
            print(f"{size:>16} {name:>7} {plan[name] / MIB:>6.0f} MiB {reached / MIB:>5.0f} MiB  "
                  f"{reached / plan[name]:.2f}{notes}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
