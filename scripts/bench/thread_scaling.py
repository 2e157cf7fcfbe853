"""Runs `sora generate` with each number of threads in turn, as whole processes, on a model of the true size of Wan 2.1 T2V
1.3B (random weights, made on first use, 3.3 GB), and prints times and how many times as fast each is as one thread, in
medians; `--busy` puts other work on some cores meanwhile. `cores had` is CPU time over wall time: where it stays below the
number of threads, somebody else had the rest. The last column is the machine's own bound: what that many processes of `bench_kernels`, built before by scripts/build bench_kernels,
do together with the matrix unit fed from the first-level cache (from registers where it has none but vectors), times what one does.
Virtual processors that are halves of one core share its unit."""

import argparse
import contextlib
import json
import pathlib
import subprocess
import tempfile

from measurement import measure
from programs import SORA, Clip, alternate, cache_folder, check_program, machine, read_into_page_cache, sora_command
from report import COLUMNS, by_program, median, number, runs_table, table
from true_size import ensure_model

TIMES = ("wall s", "s/step", "decode s")
PEAK_ROUNDS = 7


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/threads", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, default=cache_folder() / "random-t2v-1.3b")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", default="256x256", help="WxH")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3, help="of each number of threads, in turn")
    parser.add_argument("--busy", type=int, default=0, help="loops that keep a core busy each while sora runs")
    parser.add_argument("--sora", type=pathlib.Path, default=SORA, help="the program")
    return parser.parse_args()


@contextlib.contextmanager
def busy_loops(count):
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def medians(runs):
    return {name: median(COLUMNS[name](run) for run in runs) for name in (*TIMES, "cores had")}


def peak_together(program, count):
    """Products a second that so many processes do at once, in GFLOP/s, each by its best unit and its own wall clock."""
    command = [program, "--benchmark_filter=^peak/", "--benchmark_min_time=0.3", "--benchmark_format=json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(count)]
    outputs = [json.loads(process.communicate()[0])["benchmarks"] for process in running]
    fed_from_cache = [[run for run in runs if run["run_name"].endswith("from cache")] or runs for runs in outputs]
    return sum(max(run["flop"] / run["real_time"] / 1e6 for run in runs) for runs in fed_from_cache)


def peak_scaling(program, counts):
    """{number of threads: how many times one process's rate}, of rounds in turn, in medians; empty without the program."""
    if not program.exists():
        return {}
    rounds = [{count: peak_together(program, count) for count in counts} for _ in range(PEAK_ROUNDS)]
    return {count: median(one[count] / one[counts[0]] for one in rounds) for count in counts}


def main():
    arguments = parse()
    check_program(arguments.sora)
    ensure_model(arguments.model)
    width, height = map(int, arguments.size.split("x"))
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        commands = {}
        for threads in arguments.threads:
            clip = Clip(arguments.model, width, height, arguments.frames, arguments.steps, 1.0, threads=threads)
            commands[f"{threads} threads"] = sora_command(arguments.sora, clip, f"{folder}/{threads}.mp4")
        read_into_page_cache(arguments.model)
        with busy_loops(arguments.busy):
            results = alternate(commands, arguments.runs, measure)
    print(runs_table(results))
    of = {name: medians(runs) for name, runs in by_program(results).items()}
    first = next(iter(of.values()))
    bounds = peak_scaling(arguments.sora.parent / "tests" / "bench_kernels", arguments.threads)
    rows = [
        [name, *(number(first[time] / values[time]) for time in TIMES), number(values["cores had"]),
         number(bounds[threads]) if bounds else "-"]
        for threads, (name, values) in zip(arguments.threads, of.items())
    ]  # fmt: skip
    header = ["", *(f"{time.removesuffix(' s')}: times as fast" for time in TIMES), "cores had", "matrix unit: times as fast"]
    print(table(header, rows), end="")


if __name__ == "__main__":
    main()
