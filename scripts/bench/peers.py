"""sora beside diffusers, and beside stable-diffusion.cpp where its program is named: whole processes in turn on the same weights
and settings, in bf16 (diffusers in f32 where that is its faster type), and the ratios of medians beside the marks they are held
to. Cases are the true shape of Wan 2.1 T2V 1.3B with random weights (made on first use, 3.3 GB; speed and memory do not depend on
them) at several sizes, with guidance off, and the built-in model by its defaults; the longest clip is left after its step. Cases
come in order until the budget is used up; what did not fit is named. Ratios of CPU seconds hold on a machine that also does other
work, ratios of wall seconds only where `cores had` is alike."""

import argparse
import collections.abc
import dataclasses
import pathlib
import sys
import tempfile
import time

import nano
import true_size
from measurement import measure
from programs import (
    Clip,
    add_options,
    cache_folder,
    check_program,
    diffusers_command,
    has_avx512,
    machine,
    plan,
    read_into_page_cache,
    sora_command,
)
from report import by_program, median, number, of_phase, per_step, runs_table, table
from sd_cli import phase_reader, sd_cli_command, transformer_file

MINUTE_S = 60.0


@dataclasses.dataclass
class Case:
    name: str
    width: int
    height: int
    frames: int
    steps: int
    marks: dict[str, float]  # ratio of diffusers to sora that is wanted
    until: str | None = None  # the phase after which the programs are ended


@dataclasses.dataclass
class Comparison:
    """A case as commands."""

    commands: dict[str, list]  # of each program
    weights: list[pathlib.Path]  # folders of what they read
    marks: dict[str, float]
    flop: float  # of sampling
    until: str | None = None
    readers: dict[str, collections.abc.Callable] = dataclasses.field(default_factory=dict)  # of lines that are not as sora's


MEMORY_MARK = 1 / 0.6
CASES = [
    Case("256x256x17", 256, 256, 17, 2, {"step": 1.8, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("448x256x17", 448, 256, 17, 2, {"step": 1.8, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("832x480x5", 832, 480, 5, 2, {"step": 2.0, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("832x480x17", 832, 480, 17, 2, {"step": 2.0, "memory": MEMORY_MARK}),
    Case("832x480x81", 832, 480, 81, 1, {"step": 3.3, "memory": MEMORY_MARK}, until="denoise"),
]
NANO = "nano"
SD_CPP = "sd.cpp"
NANO_MARKS = {"whole": 5.0, "memory": MEMORY_MARK}
# What a mark is about, as wall and as CPU seconds; memory is the highest resident set.
MEASURES = {
    "step": (lambda run: per_step(run, "wall_s"), lambda run: per_step(run, "cpu_s")),
    "decode": (lambda run: of_phase(run, "decode", "wall_s"), lambda run: of_phase(run, "decode", "cpu_s")),
    "whole": (lambda run: run.wall_s, lambda run: run.cpu_s),
    "memory": (lambda run: run.peak_rss, lambda run: run.peak_rss),
}


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/peers", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    names = [NANO, *(case.name for case in CASES)]
    parser.add_argument("--cases", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--budget", type=float, default=120.0, help="minutes; no run begins that would end after it")
    parser.add_argument("--model", type=pathlib.Path, default=cache_folder() / "random-t2v-1.3b")
    parser.add_argument("--sora-options", default="", help="further options of sora alone, such as '--dtype int8'")
    parser.add_argument("--diffusers-dtype", choices=["f32", "bf16"], default="bf16" if has_avx512() else "f32",
                        help="libtorch multiplies bf16 far more slowly than f32 where there is no AVX-512")  # fmt: skip
    parser.add_argument("--sd-cli", type=pathlib.Path, metavar="PROGRAM",
                        help="stable-diffusion.cpp's sd-cli, which runs the Wan cases too (2.8 GB more on first use: the "
                        "transformer under its original names); not the built-in model, as it takes a model's sizes from "
                        "the number of layers alone. It writes AVI, as it has no mp4")  # fmt: skip
    add_options(parser, runs=3)
    arguments = parser.parse_args()
    if arguments.sd_cli and not arguments.sd_cli.is_file():
        parser.error(f"--sd-cli {arguments.sd_cli}: not there")
    arguments.prompt, arguments.native = nano.PROMPT, False  # what nano.py reads of its own options
    return arguments


def with_options(command, more):
    """`command` with these options, which take the place of its own of the same name."""
    kept, skips = [], False
    for part in command:
        is_option = str(part).startswith("--")
        skips = part in more if is_option else skips
        if not skips:
            kept.append(part)
    return [*kept, *more]


def comparison(name, arguments, folder):
    outputs = {program: f"{folder}/{program}.mp4" for program in ("sora", "diffusers")}

    def both_commands(sora, clip):
        theirs = dataclasses.replace(clip, dtype=arguments.diffusers_dtype)
        return {
            "sora": with_options(sora, arguments.sora_options.split()),
            "diffusers": diffusers_command(theirs, outputs["diffusers"]),
        }

    if name == NANO:
        sora = nano.sora_default(arguments)
        planned = plan(sora)
        clip = nano.same_clip(arguments, planned)
        sora += ["--progress", "json", "--output", outputs["sora"], "--force"]
        commands = both_commands(sora, clip)
        return Comparison(commands, [clip.model], NANO_MARKS, planned["flop"])
    case = next(case for case in CASES if case.name == name)
    true_size.ensure_model(arguments.model)
    clip = Clip(arguments.model, case.width, case.height, case.frames, case.steps, 1.0, threads=arguments.threads)
    sora = sora_command(arguments.sora, clip, outputs["sora"])
    commands = both_commands(sora, clip)
    chosen = Comparison(commands, [clip.model], case.marks, plan(sora)["flop"], case.until)
    if arguments.sd_cli and not arguments.only:
        transformer = transformer_file(clip.model)
        chosen.commands[SD_CPP] = sd_cli_command(arguments.sd_cli.resolve(), clip, transformer, f"{folder}/sd.cpp.avi")
        chosen.readers[SD_CPP] = phase_reader(clip.steps)
        chosen.weights.append(transformer.parent)
    return chosen


def run_rounds(deadline, case, runs):
    """[(program, Measurement)] in turn, as many rounds as fit before the deadline, at least one."""
    results, longest = [], 0.0
    for index in range(runs):
        if index and time.monotonic() + longest > deadline:
            break
        begin = time.monotonic()
        for name, command in case.commands.items():
            result = measure(command, case.until, case.readers.get(name))
            print(f"  {name}: {result.wall_s:.1f} s wall, {result.cpu_s:.1f} s CPU", file=sys.stderr, flush=True)
            results.append((name, result))
        longest = max(longest, time.monotonic() - begin)
    return results, longest


def ratio(measured, ours, theirs):
    ours, theirs = (median(map(measured, runs)) for runs in (ours, theirs))
    return number(theirs / ours if ours and theirs else None)


def ratio_rows(name, results, marks):
    """What the others took over what sora took; the marks are diffusers' alone."""
    programs = by_program(results)
    peers = [peer for peer in programs if peer != "sora" and "sora" in programs]
    rows = []
    for what, mark in marks.items():
        for peer in peers:
            cells = [ratio(measured, programs["sora"], programs[peer]) for measured in MEASURES[what]]
            rows.append([name, what, *cells, number(mark)] if peer == "diffusers" else [name, f"{what}, {peer}", *cells, "-"])
    return rows


def main():
    arguments = parse()
    check_program(arguments.sora)
    print(f"{machine()}\n", flush=True)
    deadline = time.monotonic() + arguments.budget * MINUTE_S
    summary, left_out, seconds_a_flop = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.cases:
            case = comparison(name, arguments, folder)
            # By the case before, whose start and decoding count as sampling: longer rather than shorter.
            if seconds_a_flop and time.monotonic() + seconds_a_flop * case.flop > deadline:
                left_out.append(name)
                continue
            if arguments.only:
                case.commands = {arguments.only: case.commands[arguments.only]}
            for weights in case.weights:
                read_into_page_cache(weights)
            print(name, file=sys.stderr, flush=True)
            results, longest = run_rounds(deadline, case, arguments.runs)
            if name != NANO:
                seconds_a_flop = longest / case.flop
            print(f"### {name}\n\n{runs_table(results)}", flush=True)
            summary += ratio_rows(name, results, case.marks)
    if summary:
        print(f"### diffusers / sora{f' and {SD_CPP} / sora' if arguments.sd_cli else ''}, medians\n")
        print(table(["case", "of", "wall", "CPU", "mark"], summary), flush=True)
    if left_out:
        print(f"Not run within the budget: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
