"""The instrument of scripts/bench against a process whose memory, time and phases are known."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts" / "bench"))

import measurement  # noqa: E402
import report  # noqa: E402

MIB = 2**20
FILE_BYTES = 64 * MIB
HEAP_BYTES = 96 * MIB

PROCESS = """
import json, mmap, sys, time

def tell(phase, done, total, elapsed_s):
    print(json.dumps({"phase": phase, "done": done, "total": total, "elapsed_s": elapsed_s}), file=sys.stderr, flush=True)

path, heap_bytes, changed = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "changed"
with open(path, "rb") as file:
    weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY if changed else mmap.ACCESS_READ)
touched = sum(weights[::4096])
if changed:
    weights[: len(weights) // 2] = bytes(len(weights) // 2)
heap = bytearray(heap_bytes)
heap[::4096] = b"x" * len(heap[::4096])
print("a message that is no progress", file=sys.stderr)
tell("load", 0, 1, 0)
tell("load", 1, 1, 0.5)
tell("text", 0, 1, 0)
tell("load", 0, 1, 0)
tell("load", 1, 1, 0.25)
tell("denoise", 0, 2, 0)
tell("denoise", 1, 2, 0.25)
while time.process_time() < 0.5:
    pass
tell("denoise", 2, 2, 1.5)
time.sleep(0.3)
"""


@pytest.fixture
def weights_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(range(256)) * (FILE_BYTES // 256))
    return path


def run(weights_file, how):
    return measurement.measure([sys.executable, "-c", PROCESS, weights_file, HEAP_BYTES, how])


def test_tells_pages_of_a_file_from_memory_of_its_own(weights_file):
    result = run(weights_file, "read")
    assert result.mappings["weights"] == FILE_BYTES
    assert result.mappings["weights, changed and so copied"] == 0
    assert result.peak.file >= FILE_BYTES
    assert HEAP_BYTES <= result.peak.anonymous < HEAP_BYTES + 48 * MIB
    assert result.peak_rss >= FILE_BYTES + HEAP_BYTES


def test_sees_a_copied_page_of_the_weights(weights_file):
    result = run(weights_file, "changed")
    assert result.mappings["weights, changed and so copied"] >= FILE_BYTES // 2


def test_reads_phases_and_their_processor_time(weights_file):
    result = run(weights_file, "read")
    phase = result.phases["denoise"]
    assert (phase.steps, phase.wall_s, phase.first_step_s) == (2, 1.5, 0.25)
    assert 0 < phase.cpu_s <= result.cpu_s
    assert result.cpu_s >= 0.5
    assert result.wall_s >= 0.8
    assert result.cores == pytest.approx(result.cpu_s / result.wall_s)


def test_adds_up_a_phase_that_begins_twice(weights_file):
    phase = run(weights_file, "read").phases["load"]
    assert (phase.steps, phase.wall_s) == (1, 0.75)


def test_a_command_that_fails_ends_the_bench_with_its_message(capsys):
    with pytest.raises(SystemExit, match="exit code 3"):
        measurement.measure([sys.executable, "-c", "import sys; print('the reason', file=sys.stderr); sys.exit(3)"])
    assert "the reason" in capsys.readouterr().err


def test_a_command_that_cannot_be_run_is_an_error():
    with pytest.raises(OSError):
        measurement.measure(["/nowhere/sora"])


def measured(wall_s, cpu_s):
    phases = {"denoise": measurement.Phase(steps=2, wall_s=wall_s / 2, cpu_s=cpu_s / 2)}
    return measurement.Measurement(wall_s, cpu_s, 2**30, measurement.Memory(2**30, 2**29, 2**29), phases, {})


def test_ratios_are_of_medians():
    results = [("sora", measured(wall, 8)) for wall in (4, 5, 90)] + [("diffusers", measured(10, 16))]
    last = report.runs_table(results).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert cells[0] == "diffusers / sora"
    assert cells[2:4] == ["2.00", "2.00"]
    assert "| rest | 2.50 | 4.00 |" in report.phases_table([("sora", measured(5, 8))])


def test_a_program_that_ran_alone_has_no_ratio():
    assert "diffusers" not in report.runs_table([("sora", measured(5, 8))])


def test_the_bench_runs_each_program_in_turn():
    programs = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import programs; "
         "print(programs.alternate({'sora': 1, 'diffusers': 2}, 2, lambda command: command))",
         str(pathlib.Path(measurement.__file__).parent)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert programs.stdout.strip() == "[('sora', 1), ('diffusers', 2), ('sora', 1), ('diffusers', 2)]"
