"""Builds the benchmarks of tests/kernels (Google Benchmark), runs them on one core and prints, for each shape, the median
(--fastest: the least) CPU time of the kernel, that of the same mathematics in libtorch's operators, and the rate: GFLOP/s and the
shares of what the core's fastest unit did in the same run, fed from registers and, with AMX, from the first-level cache, which is
nearer to what a kernel can reach; or GB/s where no products are counted.
What is computed in 8 bits is measured against the bf16 peak and timed beside ATen's bf16, and its PSNR against that is printed.
SORA_PROCESSOR=avx512bf16 (avx512, avx2, plain) times the forms for older processors, against the peak of theirs; the libraries
behind ATen are held to the same instructions (plain: to AVX2), and ATen computes in f32 where it has no fast bf16: without AVX-512.
Operators left to ATen have its time and rate alone."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from programs import BUILD, ROOT
from report import number, table

# The instructions that oneDNN and MKL may use for each SORA_PROCESSOR.
LIMITS = {
    "avx512bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}
LIMITS["plain"] = LIMITS["avx2"]

# The unit whose peak counts for each.
UNITS = {
    "avx512bf16": "AVX512-BF16",
    "avx512": "AVX-512 multiply-adds",
    "avx2": "AVX2 multiply-adds",
    "plain": "AVX2 multiply-adds",
}


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench/kernels", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--build-dir", type=pathlib.Path, default=BUILD)
    parser.add_argument("--no-build", action="store_true", help="run the program that is there")
    parser.add_argument("--filter", default="/(nano|1.3B|VAE)/", help="regular expression for op/whose/model/shape")
    parser.add_argument("--repetitions", type=int, default=5, help="all shapes take turns")
    parser.add_argument(
        "--fastest", action="store_true",
        help="the fastest repetition of each counts instead of the median: for a virtual core whose other half "
        "somebody else keeps busy from time to time; take many short ones"
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=0.2, help="a repetition at least")
    return parser.parse_args()


def build_and_run(arguments):
    if not arguments.no_build:
        environment = dict(os.environ, SORA_BUILD_DIR=str(arguments.build_dir))
        subprocess.run([ROOT / "scripts" / "build", "bench_kernels"], env=environment, stdout=sys.stderr, check=True)
    command = [
        arguments.build_dir / "tests" / "bench_kernels",
        f"--benchmark_filter={arguments.filter}|^peak/",
        f"--benchmark_repetitions={arguments.repetitions}",
        f"--benchmark_min_time={arguments.seconds}",
        "--benchmark_enable_random_interleaving=true",
        "--benchmark_format=json",
    ]
    environment = LIMITS.get(os.environ.get("SORA_PROCESSOR"), {}) | os.environ
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout)


def chosen_runs(output, fastest):
    """{name: its repetition of median or least CPU time, with `spread`, the slowest over the fastest}"""
    runs = {}
    for run in output["benchmarks"]:
        if run["run_type"] == "iteration":
            runs.setdefault(run["run_name"], []).append(run)
    chosen = {}
    for name, repetitions in runs.items():
        repetitions.sort(key=lambda run: run["cpu_time"])
        spread = repetitions[-1]["cpu_time"] / repetitions[0]["cpu_time"]
        chosen[name] = dict(repetitions[0 if fastest else len(repetitions) // 2], spread=spread)
    return chosen


def gflops(run):
    return run["flop"] / run["cpu_time"] / 1e6  # times are in milliseconds


def unit_of(peaks):
    """The unit whose peak counts: what SORA_PROCESSOR names, or the fastest there is."""
    named = UNITS.get(os.environ.get("SORA_PROCESSOR"))
    return named or max(peaks, key=peaks.get, default="").removesuffix(" from registers")


def partner(name, names):
    """ours for ATen's and the other way round, on the same shape or one as long; None where there is none."""
    op, program, model, shape = name.split("/")[:4]
    wanted = [op, "ATen" if program == "ours" else "ours", model]
    return next((n for n in names if n.split("/")[:3] == wanted and n.split("/")[3].split("x")[0] == shape.split("x")[0]), None)


def main():
    arguments = parse()
    output = build_and_run(arguments)
    chosen = chosen_runs(output, arguments.fastest)
    peaks = {name.removeprefix("peak/"): gflops(run) for name, run in chosen.items() if name.startswith("peak/")}
    for name, rate in peaks.items():
        print(f"{name}: {rate:.0f} GFLOP/s a core  ")
    unit = unit_of(peaks)
    from_registers, from_cache = peaks.get(f"{unit} from registers"), peaks.get(f"{unit} from cache")
    rows = []
    for name, run in chosen.items():
        if name.startswith("peak/"):
            continue
        op, program, model, shape = name.split("/")[:4]
        pair = partner(name, chosen)
        if program != "ours" and (program != "ATen" or pair):  # ATen's is in the row of its partner, or alone
            continue
        ours, theirs = (run, chosen[pair]) if program == "ours" else (None, run)
        products = run["flop"] > 0
        rows.append([
            op, model, shape, number(ours["cpu_time"], 3) if ours else "-", number(theirs["cpu_time"], 3),
            number(theirs["cpu_time"] / ours["cpu_time"]) if ours else "-",
            f"{gflops(run):.0f} GFLOP/s" if products else f"{run['bytes'] / run['cpu_time'] / 1e6:.1f} GB/s",
            *(f"{gflops(run) / peak:.0%}" if products and peak else "-" for peak in (from_registers, from_cache)),
            number(run["spread"]), f"{run['psnr']:.1f}" if run["psnr"] else "-",
        ])  # fmt: skip
    header = ["op", "model", "shape", "ours ms", "ATen ms", "ATen / ours", "rate", "of the peak from registers", "from cache", "slowest / fastest", "PSNR dB"]
    print(f"\n{table(header, rows)}", end="")


if __name__ == "__main__":
    main()
