"""Several ranks draw one clip: the same latents and frames as one rank alone, and as diffusers."""

import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

import numpy
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
RUNS = ROOT / "tests" / "data" / "pipelines"
TIMEOUT_S = 300


def latents(path, name="latents"):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8 : 8 + length])[name]
    begin, end = entry["data_offsets"]
    return numpy.frombuffer(data[8 + length + begin : 8 + length + end], "<f4").reshape(entry["shape"])


def frames(path):
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
    ).stdout
    return numpy.frombuffer(raw, numpy.uint8).astype(int)


def environment(**more):
    cleared = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return {**cleared, "OMP_NUM_THREADS": "1", **more}


def command(folder, *options, model=RUNS / "t2v_unipc", prompt="A small white cat", steps=4):
    return [SORA, "generate", prompt, "-m", model, "--dtype", "f32", "--seed", "42", "--steps", str(steps), "--codec", "ffv1",
            "-o", folder / "clip.mkv", "--save-latents", folder / "clip.safetensors", "--quiet", *options]  # fmt: skip


def generate(folder, *options, env=None):
    folder.mkdir()
    subprocess.run(command(folder, *options), check=True, env=env or environment(), timeout=TIMEOUT_S)
    return latents(folder / "clip.safetensors"), frames(folder / "clip.mkv")


def check_same(one, several):
    assert numpy.abs(one[0] - several[0]).max() <= 1e-4
    assert numpy.abs(one[1] - several[1]).max() <= 1  # a value next to the middle of two steps may round either way
    assert (one[1] != several[1]).mean() < 1e-3


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "48x32", "--frames", "9", "--guidance", "1"],  # tokens shared
        ["--size", "48x32", "--frames", "9", "--guidance", "5"],  # a guidance pass each
        ["--native", "--size", "16x16", "--frames", "9", "--guidance", "1"],  # three tokens: two and one
    ],
    ids=["shared-tokens", "guidance", "uneven"],
)
def test_two_ranks_draw_what_one_draws(tmp_path, options):
    check_same(generate(tmp_path / "one", *options), generate(tmp_path / "two", *options, "--ranks", "2"))


def test_four_ranks_share_tokens_within_each_guidance_pass(tmp_path):
    options = ["--size", "48x32", "--frames", "9", "--guidance", "5"]
    check_same(generate(tmp_path / "one", *options), generate(tmp_path / "four", *options, "--ranks", "4"))


def test_two_ranks_draw_what_diffusers_draws(tmp_path):
    settings = json.loads((RUNS / "t2v_unipc.guided.json").read_text())["settings"]
    expected = latents(RUNS / "t2v_unipc.guided.safetensors")
    folder = tmp_path / "two"
    folder.mkdir()
    arguments = command(
        folder, "--ranks", "2", "--guidance", str(settings["guidance_scale"]), "--negative", settings["negative_prompt"],
        "--size", f"{settings['width']}x{settings['height']}", "--frames", str(settings["num_frames"]),
        prompt=settings["prompt"], steps=settings["steps"],
    )  # fmt: skip
    subprocess.run(arguments, check=True, env=environment(), timeout=TIMEOUT_S)
    error = numpy.abs(latents(folder / "clip.safetensors") - expected).max()
    assert error <= 1e-3 * numpy.sqrt((expected**2).mean())


def test_processes_that_another_starts_find_each_other_and_only_the_first_writes(tmp_path):
    options = ["--size", "48x32", "--frames", "5", "--guidance", "5"]
    one = generate(tmp_path / "one", *options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
        env = environment(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        processes.append(subprocess.Popen(command(tmp_path / str(rank), *options), env=env, stdout=subprocess.PIPE))
    assert [process.wait(TIMEOUT_S) for process in processes] == [0, 0]
    assert processes[1].stdout.read() == b""
    check_same(one, (latents(tmp_path / "0" / "clip.safetensors"), frames(tmp_path / "0" / "clip.mkv")))
    assert list((tmp_path / "1").iterdir()) == []


@pytest.mark.parametrize(
    "options,code,words",
    [
        (["--model", "nothing"], 4, "nothing"),
        (["--dtype", "f8"], 2, "--dtype f8 is unknown"),
        (["--recipe", "nothing.mp4"], 4, "nothing.mp4"),
        (["--plan", "nothing"], 4, "nothing"),
        (["--memory", "100M"], 5, "memory"),
    ],
)
def test_what_every_rank_would_refuse_is_told_once(tmp_path, options, code, words):
    prompt = [] if "--recipe" in options else ["a red ball"]
    run = subprocess.run(
        [SORA, "generate", *prompt, "--ranks", "2", "--json", *options],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert run.returncode == code
    assert len(run.stderr.splitlines()) == 1 and words in run.stderr
    assert json.loads(run.stdout)["error"]["code"] == code
    assert list(tmp_path.iterdir()) == []


def test_a_caller_that_ignores_its_children_hears_of_a_refusal_all_the_same(tmp_path):
    run = subprocess.run(
        [SORA, "generate", "a red ball", "--ranks", "2", "--model", "nothing"], cwd=tmp_path, env=environment(), capture_output=True,
        timeout=TIMEOUT_S, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )  # fmt: skip
    assert run.returncode == 4


def test_a_rank_that_dies_ends_all_and_nothing_is_written(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, "--ranks", "2", "--size", "48x32", "--frames", "9", steps=900),
        env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + TIMEOUT_S
    while len(ranks := children.read_text().split()) < 2 or not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    os.kill(int(ranks[1]), signal.SIGKILL)
    assert process.wait(TIMEOUT_S) == 1
    message = process.stderr.read().decode()
    assert "another rank has ended" in message and "rank 1 was ended by signal 9" in message
    assert list(tmp_path.iterdir()) == []
