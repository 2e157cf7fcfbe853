"""Measures what looking at a clip while it is made costs: whole runs of `sora generate` on the built-in model without a look, with
--preview-file and with --preview, in turn, each on a pseudo-terminal. Processor time, of which other work on the machine steals
less than of the clock's. Prints a table, or JSON with --json.
"""

import argparse
import fcntl
import json
import os
import pathlib
import pty
import statistics
import struct
import sys
import tempfile
import termios

from programs import SORA

PROMPT = "a red ball bounces on the meadow"
WAYS = {"without": [], "--preview-file": ["--preview-file", "look.webp"], "--preview": ["--preview"]}


def processor_seconds(command, folder):
    """Of one run on a pseudo-terminal, which takes all that is drawn there."""
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        os.chdir(folder)
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # the other end was closed
        pass
    os.close(terminal)
    _, status, usage = os.wait4(process, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command} ended with {code}")
    return usage.ru_utime + usage.ru_stime


def measure(program, runs, options):
    seconds = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-1, runs):  # the first warms the files up
            for way, more in WAYS.items():
                command = [str(program), "generate", PROMPT, "--no-turbo", "--seed", "3", "-f", "-o", "clip.mp4", *options, *more]
                took = processor_seconds(command, folder)
                if number >= 0:
                    seconds[way].append(took)
                print(f"{number + 1}/{runs} {way} {took:.2f} s", file=sys.stderr, flush=True)
    return seconds


def table(seconds):
    lines = ["| | median, s of processor time | least | median of its turns' ratios to that without |", "|---|---|---|---|"]
    for way, times in seconds.items():
        ratio = statistics.median(mine / base for mine, base in zip(times, seconds["without"]))
        lines.append(f"| {way} | {statistics.median(times):.2f} | {min(times):.2f} | {100 * (ratio - 1):+.1f} % |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench/preview", description=__doc__)
    parser.add_argument("--program", default=SORA, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("options", nargs="*", help="for sora generate, after --")
    arguments = parser.parse_args()
    seconds = measure(arguments.program, arguments.runs, arguments.options)
    print(json.dumps(seconds) if arguments.json else table(seconds))


if __name__ == "__main__":
    main()
