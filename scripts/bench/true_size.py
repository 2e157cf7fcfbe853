"""Runs `sora generate` and diffusers in alternation, as whole processes, on a model of the true size of Wan 2.1 T2V
1.3B, same prompt, size, steps and type, and prints times, memory and the ratios of medians as Markdown. The weights
are random (made on first use, 3.3 GB): the pictures mean nothing, speed and memory do not depend on them. The text
encoder is a tiny one. `cores had` is CPU time over wall time: compare wall times only where it is alike, CPU times
otherwise."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from programs import (
    PROMPT,
    ROOT,
    Clip,
    add_options,
    cache_folder,
    check_program,
    diffusers_command,
    machine,
    plan,
    read_into_page_cache,
    run_in_alternation,
    sora_command,
)
from report import by_program, mappings_table, median, per_step, phases_table, runs_table

GIB = 2**30


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/true-size", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=cache_folder() / "random-t2v-1.3b")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--size", default="832x480", help="WxH")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--guidance", type=float, default=1.0, help="1 is one forward pass a step, else two")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
    add_options(parser, runs=2)
    arguments = parser.parse_args()
    try:
        arguments.width, arguments.height = map(int, arguments.size.split("x"))
    except ValueError:
        parser.error(f"--size {arguments.size}: expected WIDTHxHEIGHT")
    return arguments


def ensure_model(folder):
    if (folder / "model_index.json").is_file():
        return
    print(f"writing random weights into {folder}", file=sys.stderr)
    subprocess.run([ROOT / "scripts" / "reference" / "random-checkpoint", folder], stdout=sys.stderr, check=True)


def weight_bytes(folder, component):
    return sum(path.stat().st_size for path in (folder / component).glob("*.safetensors"))


def main():
    arguments = parse()
    check_program(arguments.sora)
    ensure_model(arguments.model)
    clip = Clip(
        arguments.model, arguments.width, arguments.height, arguments.frames, arguments.steps, arguments.guidance,
        arguments.dtype, arguments.prompt, threads=arguments.threads,
    )  # fmt: skip
    print(f"{machine()}\n", flush=True)
    flop = plan(sora_command(arguments.sora, clip, "clip.mp4"))["flop"]
    print(
        f"{arguments.size}, {clip.frames} frames, {clip.steps} steps, guidance {clip.guidance:g}, {clip.dtype}, "
        f"{clip.threads} threads; {flop / clip.steps / 1e12:.2f} TFLOP a step; weights of the transformer "
        f"{weight_bytes(clip.model, 'transformer') / GIB:.2f} GiB, of the VAE {weight_bytes(clip.model, 'vae') / GIB:.2f} GiB\n",
        flush=True,
    )
    read_into_page_cache(clip.model)
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "sora": sora_command(arguments.sora, clip, f"{folder}/sora.mp4"),
            "diffusers": diffusers_command(clip, f"{folder}/diffusers.mp4"),
        }
        results = run_in_alternation(commands, arguments)
    print(runs_table(results))
    for name, runs in by_program(results).items():
        cpu_s = median(per_step(run, "cpu_s") for run in runs)
        if cpu_s:
            print(f"{name}: {flop / clip.steps / cpu_s / 1e9:.0f} GFLOP a second of one core in the denoising steps  ")
    print(f"\n{phases_table(results)}\nBefore the last step:\n\n{mappings_table(results)}", flush=True)


if __name__ == "__main__":
    main()
