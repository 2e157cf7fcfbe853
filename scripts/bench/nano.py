"""Times the default `sora generate` on the built-in model, from process start to closed file, in alternation with
diffusers making the same clip from the same weights, and prints times, memory and phases as Markdown. `cores had` is
CPU time over wall time."""

import argparse
import json
import sys
import tempfile

from measurement import measure
from programs import (
    PROMPT,
    ROOT,
    Clip,
    add_options,
    alternate,
    check_program,
    diffusers_command,
    machine,
    read_into_page_cache,
)
from report import phases_table, runs_table

MODEL = ROOT / "models" / "nano"


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/nano", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--prompt", default=PROMPT)
    add_options(parser, runs=5)
    return parser.parse_args()


def default_clip(arguments):
    """What `sora generate` makes when asked for nothing but a prompt."""
    defaults = json.loads((MODEL / "sora.json").read_text(encoding="utf-8"))
    return Clip(
        MODEL, defaults["width"], defaults["height"], defaults["num_frames"], defaults["steps"],
        defaults["guidance_scale"], prompt=arguments.prompt, text_length=defaults["max_sequence_length"],
        threads=arguments.threads,
    )  # fmt: skip


def main():
    arguments = parse()
    check_program(arguments.sora)
    clip = default_clip(arguments)
    print(
        f"{machine()}\n\nnano: {clip.width}x{clip.height}, {clip.frames} frames, {clip.steps} steps, "
        f"guidance {clip.guidance:g}, {clip.threads} threads\n",
        flush=True,
    )
    read_into_page_cache(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "sora": [
                arguments.sora, "generate", clip.prompt, "--threads", clip.threads, "--progress", "json", "--force",
                "--output", f"{folder}/sora.mp4",
            ],
            "diffusers": diffusers_command(clip, f"{folder}/diffusers.mp4"),
        }  # fmt: skip
        if arguments.only:
            commands = {arguments.only: commands[arguments.only]}

        def run(command):
            result = measure(command)
            print(f"  {result.wall_s:.1f} s wall, {result.cpu_s:.1f} s CPU", file=sys.stderr, flush=True)
            return result

        results = alternate(commands, arguments.runs, run)
    print(f"{runs_table(results)}\n{phases_table(results)}", flush=True)


if __name__ == "__main__":
    main()
