"""scripts/count-tests: the last line of a test run."""

import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "count-tests"

GOOGLETEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" disabled="1" errors="0" name="AllTests"><testsuite name="A" tests="3">
<testcase name="Passes" status="run" result="completed"/>
<testcase name="Fails" status="run" result="completed"><failure message="no">no</failure></testcase>
<testcase name="DISABLED_Waits" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""
BATS = """<testsuites><testsuite name="a.bats" tests="2" failures="0" errors="0" skipped="1">
<testcase name="passes"/><testcase name="skips"><skipped/></testcase></testsuite></testsuites>"""
PYTEST = """<testsuites><testsuite name="pytest" tests="2"><testcase name="passes"/>
<testcase name="breaks"><error message="no"/></testcase></testsuite></testsuites>"""


def run(directory, status):
    done = subprocess.run([SCRIPT, directory, str(status)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "files,status,expected",
    [
        ({"a.xml": GOOGLETEST, "b.xml": BATS, "c.xml": PYTEST}, 1, (1, "3 passed, 2 failed, 2 skipped")),
        ({"b.xml": BATS}, 0, (0, "1 passed, 0 failed, 1 skipped")),
        ({"b.xml": BATS}, 8, (1, "1 passed, 1 failed, 1 skipped")),  # a program crashed before it wrote its file
        ({"b.xml": BATS, "d.xml": "<testsuites><tes"}, 0, (1, "1 passed, 1 failed, 1 skipped")),
        ({}, 0, (1, "0 passed, 0 failed, 0 skipped")),
    ],
)
def test_counts(files, status, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert run(tmp_path, status) == expected
