"""Every C++ and CUDA file is as clang-format leaves it."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = 14  # Debian 12's; others break lines elsewhere


def test_files_are_formatted():
    told = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.search(r"version (\d+)", told)[1]) != VERSION:
        pytest.skip(f"this is no clang-format {VERSION}: {told.strip()}")
    files = subprocess.run(
        ["git", "ls-files", "*.cpp", "*.h", "*.cu", "*.cuh"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(files) > 500
    found = subprocess.run(["clang-format", "--dry-run", *files], cwd=ROOT, capture_output=True, text=True, check=True)
    unformatted = sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning: code should be clang-formatted", found.stderr, re.M)))
    assert not unformatted, f"run clang-format -i {' '.join(unformatted)}"
