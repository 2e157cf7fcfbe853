"""The commands of scripts/bench/peers."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts" / "bench"))

import peers  # noqa: E402


def test_options_take_the_place_of_the_command_s_own():
    command = ["sora", "generate", "a ball", "--native", "--dtype", "bf16", "--threads", 2]
    assert peers.with_options(command, []) == command
    assert peers.with_options(command, ["--dtype", "int8", "--attention", "int8"]) == [
        "sora", "generate", "a ball", "--native", "--threads", 2, "--dtype", "int8", "--attention", "int8",
    ]  # fmt: skip
    assert peers.with_options(command, ["--native"]) == [*command[:3], *command[4:], "--native"]
