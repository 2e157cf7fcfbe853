"""stable-diffusion.cpp's program as scripts/bench/peers runs it: what is read in its lines, and its place in the tables."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "scripts" / "bench"))

import measurement  # noqa: E402
import peers  # noqa: E402
import programs  # noqa: E402
import sd_cli  # noqa: E402

# As the program prints it: a line of its log a flush, bars that return to the line's begin.
PRINTED = """\
[INFO ] stable-diffusion.cpp:720  - loading diffusion model from 'transformer.safetensors'
[INFO ] model_loader.cpp:242  - load transformer.safetensors using safetensors format
[INFO ] stable-diffusion.cpp:762  - loading t5xxl from 'model.safetensors'
\r  |########################                          | 68/136 - 975.97MB/s\x1b[K\
\r  |##################################################| 136/136 - 1.21GB/s\x1b[K
[INFO ] model_loader.cpp:1304 - loading tensors completed, taking 2.50s (read: 1.96s, memcpy: 0.00s, convert: 0.38s)
[INFO ] stable-diffusion.cpp:1864 - running in FLOW mode
[INFO ] stable-diffusion.cpp:4380 - sampling using Euler method
[INFO ] stable-diffusion.cpp:6552 - get_learned_condition completed, taking 0.25s
[INFO ] stable-diffusion.cpp:6914 - generate_video 256x256x17
\r  |=========================>                        | 1/2 - 5.50s/it\x1b[K\
\r  |==================================================| 2/2 - 1.33it/s\x1b[K
[INFO ] stable-diffusion.cpp:7012 - sampling completed, taking 6.25s
[INFO ] stable-diffusion.cpp:7155 - generating latent video completed, taking 6.26s
[INFO ] stable-diffusion.cpp:6583 - decode_first_stage completed, taking 36.75s
[INFO ] stable-diffusion.cpp:7215 - generate_video completed in 43.30s
[INFO ] main.cpp:536  - save result video to 'clip.avi'
"""
PROCESS = "import sys; sys.stdout.write(sys.argv[1]); sys.stdout.flush(); sys.exit(int(sys.argv[2]))"


def run(printed, code=0, until=None):
    return measurement.measure([sys.executable, "-c", PROCESS, printed, code], until, sd_cli.phase_reader(steps=2))


def test_each_phase_begins_once_and_ends_with_the_seconds_it_says():
    told = [told for told in map(sd_cli.phase_reader(steps=2), PRINTED.splitlines()) if told]
    assert [(one["phase"], one["done"], one["total"], one["elapsed_s"]) for one in told] == [
        ("load", 0, 1, 0), ("load", 1, 1, 2.5), ("text", 0, 1, 0), ("text", 1, 1, 0.25),
        ("denoise", 0, 2, 0), ("denoise", 2, 2, 6.25), ("decode", 0, 1, 0), ("decode", 1, 1, 36.75),
    ]  # fmt: skip


def test_phases_are_read_from_the_stdout_of_a_process():
    phases = run(PRINTED).phases
    assert {name: (phase.steps, phase.wall_s) for name, phase in phases.items()} == {
        "load": (1, 2.5), "text": (1, 0.25), "denoise": (2, 6.25), "decode": (1, 36.75),
    }  # fmt: skip
    assert all(phase.cpu_s >= 0 for phase in phases.values())


def test_a_run_can_be_left_after_its_steps():
    process = "import sys, time; sys.stdout.write(sys.argv[1]); sys.stdout.flush(); time.sleep(60)"
    printed = PRINTED[: PRINTED.index("[INFO ] stable-diffusion.cpp:6583")]  # the next phase has begun
    result = measurement.measure([sys.executable, "-c", process, printed], "denoise", sd_cli.phase_reader(steps=2))
    assert result.wall_s < 50
    assert result.phases["denoise"].steps == 2
    assert "decode" not in result.phases


def test_a_failure_shows_what_the_program_printed(capsys):
    with pytest.raises(SystemExit, match="exit code 1"):
        run("[ERROR] stable-diffusion.cpp:900  - get sd version from file failed: ''\n", code=1)
    assert "version from file failed" in capsys.readouterr().err


def test_the_transformer_is_written_once_and_again_for_a_newer_model(tmp_path):
    source = pathlib.Path(__file__).resolve().parents[2] / "data" / "transformer" / "t2v" / "model"
    model = tmp_path / "model"
    (model / "transformer").mkdir(parents=True)
    shard = model / "transformer" / "diffusion_pytorch_model.safetensors"
    shard.write_bytes((source / shard.name).read_bytes())
    path = sd_cli.transformer_file(model)
    assert path == tmp_path / "model-original" / "transformer.safetensors"
    written = path.stat().st_ino
    assert sd_cli.transformer_file(model).stat().st_ino == written
    os.utime(shard, (path.stat().st_atime, path.stat().st_mtime + 10))
    sd_cli.transformer_file(model)
    assert path.stat().st_ino != written


def test_it_is_asked_for_the_same_clip():
    clip = programs.Clip(pathlib.Path("model"), 448, 256, 17, 2, 1.0, threads=3)
    words = [str(word) for word in sd_cli.sd_cli_command("sd-cli", clip, "transformer", "clip.avi")]
    options = dict(zip(words[1:], words[2:]))
    expected = {"--width": "448", "--height": "256", "--video-frames": "17", "--steps": "2", "--cfg-scale": "1.0"}
    assert options.items() >= (expected | {"--threads": "3", "--output": "clip.avi"}).items()


def measured(step_s, decode_s, peak_rss):
    phases = {
        "denoise": measurement.Phase(steps=2, wall_s=2 * step_s, cpu_s=4 * step_s),
        "decode": measurement.Phase(steps=1, wall_s=decode_s, cpu_s=2 * decode_s),
    }
    return measurement.Measurement(9, 18, peak_rss, measurement.Memory(), phases, {})


def test_its_ratios_stand_beside_those_of_diffusers_without_a_mark():
    results = [("sora", measured(1, 2, 100)), ("diffusers", measured(3, 8, 200)), ("sd.cpp", measured(5, 10, 150))]
    assert peers.ratio_rows("case", results, {"step": 1.8, "decode": 2.0}) == [
        ["case", "step", "3.00", "3.00", "1.80"],
        ["case", "step, sd.cpp", "5.00", "5.00", "-"],
        ["case", "decode", "4.00", "4.00", "2.00"],
        ["case", "decode, sd.cpp", "5.00", "5.00", "-"],
    ]
    assert peers.ratio_rows("case", results[:1], {"step": 1.8}) == []
    assert peers.ratio_rows("case", results[1:], {"step": 1.8}) == []
