"""sora beside diffusers: whole processes in turn on the same weights and settings, in bf16, and the ratios of medians beside
the marks they are held to. Cases are the true shape of Wan 2.1 T2V 1.3B with random weights (made on first use, 3.3 GB; speed and
memory do not depend on them) at several sizes, one step with guidance off, and the built-in model by its defaults. Cases
come in order until the budget is used up; what did not fit is named. Ratios of CPU seconds hold on a machine that also does
other work, ratios of wall seconds only where `cores had` is alike."""

import argparse
import dataclasses
import pathlib
import sys
import tempfile
import time

import nano
import true_size
from measurement import measure
from programs import Clip, add_options, cache_folder, check_program, diffusers_command, machine, plan, read_into_page_cache, sora_command
from report import by_program, median, number, of_phase, per_step, runs_table, table

MINUTE_S = 60.0


@dataclasses.dataclass
class Case:
    name: str
    width: int
    height: int
    frames: int
    steps: int
    marks: dict[str, float]  # ratio of diffusers to sora that is wanted


MEMORY_MARK = 1 / 0.6
CASES = [
    Case("256x256x17", 256, 256, 17, 2, {"step": 1.8, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("448x256x17", 448, 256, 17, 2, {"step": 1.8, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("832x480x5", 832, 480, 5, 2, {"step": 2.0, "decode": 1.8, "memory": MEMORY_MARK}),
    Case("832x480x17", 832, 480, 17, 2, {"step": 2.0, "memory": MEMORY_MARK}),
    Case("832x480x81", 832, 480, 81, 1, {"step": 3.3, "memory": MEMORY_MARK}),
]
NANO = "nano"
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
    add_options(parser, runs=3)
    arguments = parser.parse_args()
    arguments.prompt, arguments.native = nano.PROMPT, False  # what nano.py reads of its own options
    return arguments


def commands_of(name, arguments, folder):
    """{program: command}, the model, the marks and the FLOPs of sampling."""
    outputs = {program: f"{folder}/{program}.mp4" for program in ("sora", "diffusers")}
    more = arguments.sora_options.split()
    if name == NANO:
        sora = nano.sora_default(arguments)
        planned = plan(sora)
        clip = nano.same_clip(arguments, planned)
        sora += ["--progress", "json", "--output", outputs["sora"], "--force"]
        return {"sora": [*sora, *more], "diffusers": diffusers_command(clip, outputs["diffusers"])}, clip.model, NANO_MARKS, planned["flop"]
    case = next(case for case in CASES if case.name == name)
    true_size.ensure_model(arguments.model)
    clip = Clip(arguments.model, case.width, case.height, case.frames, case.steps, 1.0, threads=arguments.threads)
    sora = sora_command(arguments.sora, clip, outputs["sora"])
    return {"sora": [*sora, *more], "diffusers": diffusers_command(clip, outputs["diffusers"])}, clip.model, case.marks, plan(sora)["flop"]


def run_until(deadline, commands, runs):
    """[(program, Measurement)] in turn, as many rounds as fit, at least one."""
    results, longest = [], 0.0
    for index in range(runs):
        if index and time.monotonic() + longest > deadline:
            break
        begin = time.monotonic()
        for name, command in commands.items():
            result = measure(command)
            print(f"  {name}: {result.wall_s:.1f} s wall, {result.cpu_s:.1f} s CPU", file=sys.stderr, flush=True)
            results.append((name, result))
        longest = max(longest, time.monotonic() - begin)
    return results, longest


def ratio_rows(name, results, marks):
    programs = by_program(results)
    if set(programs) != {"sora", "diffusers"}:
        return []
    rows = []
    for what, mark in marks.items():
        cells = []
        for measured in MEASURES[what]:
            ours, theirs = (median(measured(run) for run in programs[program]) for program in ("sora", "diffusers"))
            cells.append(number(theirs / ours) if ours and theirs else "-")
        rows.append([name, what, *cells, number(mark)])
    return rows


def main():
    arguments = parse()
    check_program(arguments.sora)
    print(f"{machine()}\n", flush=True)
    deadline = time.monotonic() + arguments.budget * MINUTE_S
    summary, left_out, seconds_a_flop = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.cases:
            commands, model, marks, flop = commands_of(name, arguments, folder)
            # By the case before, whose start and decoding count as sampling: longer rather than shorter.
            if seconds_a_flop and time.monotonic() + seconds_a_flop * flop > deadline:
                left_out.append(name)
                continue
            if arguments.only:
                commands = {arguments.only: commands[arguments.only]}
            read_into_page_cache(model)
            print(name, file=sys.stderr, flush=True)
            results, longest = run_until(deadline, commands, arguments.runs)
            if name != NANO:
                seconds_a_flop = longest / flop
            print(f"### {name}\n\n{runs_table(results)}", flush=True)
            summary += ratio_rows(name, results, marks)
    if summary:
        print("### diffusers / sora, medians\n")
        print(table(["case", "of", "wall", "CPU", "mark"], summary), flush=True)
    if left_out:
        print(f"Not run within the budget: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
