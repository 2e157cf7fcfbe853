"""The progress of jobs that several processes make: on a terminal a bar each and one for the whole, and JSON or plain lines."""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pseudo_terminal import COLUMNS, ROWS, SORA, on_terminal, pyte, screen_after  # noqa: E402

MODEL = pathlib.Path(__file__).resolve().parents[1] / "data" / "pipelines" / "t2v_unipc"
LONG = "so-that-its-row-is-wider-than-the-screen-" * 3


def batch(folder, *more, jobs=4, steps=200):
    lines = [f"--size 96x64 --frames 9 --steps {steps} --dtype f32 --model {MODEL} --codec ffv1"]
    lines += [f"a red ball -- --seed {n} --output clip-{n}-{LONG}.mkv" for n in range(jobs)]
    (folder / "prompts.txt").write_text("\n".join(lines) + "\n")
    return ["batch", "prompts.txt", "-o", "clips", "--jobs", "2", *more]


def run(folder, *more):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([SORA, *batch(folder, *more)], cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_a_bar_for_each_job_and_one_for_all(tmp_path):
    code, output, _ = on_terminal(batch(tmp_path, steps=1000), tmp_path, OMP_NUM_THREADS="1")
    assert code == 0
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    shares, most_bars = [], 0
    for drawn in re.split(rb"(?<=\x1b\[\?7h)", output):  # a redrawing ends where the terminal wraps again
        stream.feed(drawn)
        bars = [line for line in screen.display if "█" in line or "░" in line]
        if not bars:
            continue
        most_bars = max(most_bars, len(bars))
        assert len(bars) <= 3 and re.match(r"all .*\d+%  \d of 4 ended", bars[-1]), bars
        assert all(re.match(r"(start|load|encode|text|denoise|decode|write)\S* .* +\d+%  clip-\d-so-that", bar) for bar in bars[:-1]), bars
        shares.append(int(re.search(r"(\d+)%", bars[-1]).group(1)))
    assert most_bars == 3
    assert shares == sorted(shares) and shares[0] < shares[-1], shares  # how often it is redrawn is the machine's matter
    lines = screen_after(output)
    assert not any("█" in line or "░" in line for line in lines), lines
    assert "4 of 4 done" in "".join(lines)


def test_json_lines_of_each_job(tmp_path):
    done = run(tmp_path, "--progress", "json")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    by_job = {}
    for line in lines:
        by_job.setdefault(line["job"], []).append(line["progress"])
        assert line["output"].startswith("clip-")
    assert sorted(by_job) == [1, 2, 3, 4]
    assert all(told == sorted(told) for told in by_job.values())


def test_without_a_terminal_only_ends_are_told(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0
    assert "%" not in done.stderr and "4 of 4 done" in done.stderr
    assert len(done.stdout.splitlines()) == 4
