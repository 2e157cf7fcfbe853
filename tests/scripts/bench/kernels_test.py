"""Every kernel's benchmark runs, beside its counterpart, at a size that takes no time."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build"))
OPS = {"self_attention", "cross_attention", "linear", "feed_forward", "linear_int8", "feed_forward_int8", "layer_norm", "gated_residual", "rms_norm_rotate", "rms_norm_silu"}
SOME_PROCESSORS = {"self_attention_int8"}  # timed where there is such a form
LEFT_TO_ATEN = {"convolution"}  # on some processors


@pytest.mark.skipif(not (BUILD / "tests" / "bench_kernels").exists(), reason="built without Google Benchmark")
def test_each_kernel_is_timed_beside_its_counterpart():
    command = [sys.executable, ROOT / "scripts" / "bench" / "kernels.py", "--no-build", "--build-dir", BUILD]
    command += ["--filter", "/small/", "--repetitions", "1", "--seconds", "0.0001"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in printed.splitlines() if "| small" in line]
    assert {row[0] for row in rows} - SOME_PROCESSORS == OPS | LEFT_TO_ATEN
    for op, _, _, ours_ms, theirs_ms, *_ in rows:
        assert float(theirs_ms) >= 0, op
        assert (op in LEFT_TO_ATEN and ours_ms == "-") or float(ours_ms) >= 0, op
