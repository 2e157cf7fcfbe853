"""Times the default `sora generate` on the built-in model, from process start to closed file, in alternation with
diffusers making the same clip from the same weights, and prints times, memory and phases as Markdown. `cores had` is
CPU time over wall time."""

import argparse
import json
import tempfile

from programs import (
    PROMPT,
    ROOT,
    Clip,
    add_options,
    check_program,
    diffusers_command,
    machine,
    plan,
    read_into_page_cache,
    run_in_alternation,
)
from report import phases_table, runs_table

MODEL = ROOT / "models" / "nano"


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/nano", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--native", action="store_true", help="the model draws at the output's size")
    add_options(parser, runs=5)
    return parser.parse_args()


def sora_default(arguments):
    """The whole model, which diffusers runs too, and nothing else asked for; threads do not change what is made."""
    command = [arguments.sora, "generate", arguments.prompt, "--no-turbo", "--threads", arguments.threads]
    return [*command, "--native"] if arguments.native else command


def same_clip(arguments, planned):
    """The canvas that sora draws. What it does beyond, resizing and the manifest, is left out for diffusers."""
    defaults = json.loads((MODEL / "sora.json").read_text(encoding="utf-8"))
    width, height = map(int, planned["canvas"]["size"].split("x"))
    return Clip(
        MODEL, width, height, planned["canvas"]["num_frames"], planned["steps"], planned["guidance_scale"],
        planned["dtype"], arguments.prompt, text_length=defaults["max_sequence_length"], threads=arguments.threads,
    )  # fmt: skip


def main():
    arguments = parse()
    check_program(arguments.sora)
    sora = sora_default(arguments)
    planned = plan(sora)
    clip = same_clip(arguments, planned)
    print(
        f"{machine()}\n\nnano: {planned['output']['num_frames']} frames of {planned['output']['size']}, drawn as "
        f"{clip.frames} frames of {clip.width}x{clip.height} ({planned['canvas']['tokens']} tokens); {clip.steps} steps, "
        f"guidance {clip.guidance:g}, {clip.dtype}, {clip.threads} threads\n",
        flush=True,
    )
    read_into_page_cache(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "sora": [*sora, "--progress", "json", "--output", f"{folder}/sora.mp4", "--force"],
            "diffusers": diffusers_command(clip, f"{folder}/diffusers.mp4"),
        }
        results = run_in_alternation(commands, arguments)
    print(f"{runs_table(results)}\n{phases_table(results)}", flush=True)


if __name__ == "__main__":
    main()
