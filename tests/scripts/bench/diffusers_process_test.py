"""diffusers as scripts/bench/peers runs it: a whole process that ends with a video, where its Python environment is there."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

import programs  # noqa: E402

PYTHON = programs.cache_folder() / "python" / "bin" / "python"


def has_diffusers():
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('diffusers') is None)"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", find]).returncode == 0


@pytest.mark.skipif(not has_diffusers(), reason="needs the Python of scripts/python-env")
def test_the_built_in_model_s_clip_is_made_with_every_phase_told(tmp_path):
    clip = programs.Clip(ROOT / "models" / "nano", 96, 64, 5, 1, 2.0, text_length=64, threads=1)
    command = [PYTHON, *programs.diffusers_command(clip, tmp_path / "clip.mp4")[1:]]
    done = subprocess.run(list(map(str, command)), stderr=subprocess.PIPE, text=True, check=True)
    phases = {json.loads(line)["phase"] for line in done.stderr.splitlines() if line.startswith("{")}
    assert {"import", "load", "text", "denoise", "decode"} <= phases
    frames = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", tmp_path / "clip.mp4"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert frames.stdout.strip() == "5"
