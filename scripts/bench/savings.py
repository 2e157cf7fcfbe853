"""The same clip (prompt, seed, size) by `sora generate` exactly and with each option that computes less: CPU seconds of the
denoising steps and of decoding, and the PSNR of its frames against the exact ones. Frames are compared as PNG, so no codec
adds to the error."""

import argparse
import pathlib
import sys
import tempfile

import numpy
from measurement import measure
from PIL import Image
from programs import PROMPT, SORA, check_program, machine
from report import number, of_phase, table

OPTIONS = [
    [],
    ["--dtype", "int8"],
    ["--attention", "int8"],
    ["--cache", "0.05"],
    ["--cache", "0.1"],
    ["--cache", "0.2"],
    ["--guidance-interval", "0.2:1"],
    ["--guidance-interval", "0:0.9"],
    ["--dtype", "int8", "--cache", "0.1"],
]


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/savings", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--sora", type=pathlib.Path, default=SORA, help="the program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tiny-vae", help="also decode with this tiny decoder")
    parser.add_argument("rest", nargs="*", help="further options of every clip, after --")
    return parser.parse_args()


def read_frames(folder):
    return numpy.stack([numpy.asarray(Image.open(path).convert("RGB"), numpy.float64) for path in sorted(folder.glob("*.png"))])


def psnr(frames, wanted):
    error = numpy.mean((frames - wanted) ** 2)
    return float("inf") if error == 0 else 10 * numpy.log10(255**2 / error)


def main():
    arguments = parse()
    check_program(arguments.sora)
    options = [*OPTIONS, *([["--tiny-vae", arguments.tiny_vae]] if arguments.tiny_vae else [])]
    common = [
        arguments.sora, "generate", arguments.prompt, "--model", arguments.model, "--no-turbo", "--seed", 1, "--dtype", "bf16",
        "--threads", arguments.threads, "--progress", "json", *arguments.rest,
    ]  # fmt: skip
    print(f"{machine()}\n", flush=True)
    exact, rows = None, []
    with tempfile.TemporaryDirectory() as root:
        for index, option in enumerate(options):
            folder = pathlib.Path(root) / str(index)
            folder.mkdir()
            command = [part for part in common if not ("--dtype" in option and part in ("--dtype", "bf16"))]
            run = measure([*command, *option, "--output", folder / "%05d.png"])
            frames = read_frames(folder)
            steps_s, decode_s = (of_phase(run, phase, "cpu_s") for phase in ("denoise", "decode"))
            if exact is None:
                exact = (frames, steps_s, decode_s)
            rows.append([
                " ".join(option) or "exact, bf16", number(steps_s), number(exact[1] / steps_s if steps_s else None),
                number(decode_s), number(run.cpu_s), number(psnr(frames, exact[0]), 1),
            ])  # fmt: skip
            print(f"  {rows[-1]}", file=sys.stderr, flush=True)
    print(table(["option", "steps CPU s", "times as fast", "decode CPU s", "whole CPU s", "PSNR dB"], rows))


if __name__ == "__main__":
    main()
