"""The memory plan and what it promises, through the program: tiny models that diffusers wrote."""

import json
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
MODEL = ROOT / "tests" / "data" / "pipelines" / "t2v_two_experts"


@pytest.fixture
def sora(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [SORA, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "SORA_CACHE": str(tmp_path / "cache")})  # fmt: skip

    return run


def clip(model, *arguments):
    return ["generate", "a red ball", "-m", model, "--size", "48x32", "--frames", 5, "--steps", 4, "--seed", 1,
            "--dtype", "f32", *arguments]  # fmt: skip


def plan_of(sora, *arguments):
    result = sora(*clip(MODEL, "--dry-run", "--json", *arguments))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["memory"]


def test_a_plan_within_the_limit_keeps_everything_whole(sora):
    plan = plan_of(sora, "--memory", "8G")
    assert plan["limit"] == 8 << 30
    assert not plan["layers_streamed"] and not plan["frames_in_tiles"]


def test_what_does_not_fit_whole_is_streamed_and_gives_the_same_frames(sora, tmp_path):
    model = MODEL.parent / "t2v_unipc"  # of two layers
    long = ["generate", "a red ball", "-m", model, "--size", "16x16", "--frames", 161, "--steps", 1, "--seed", 1,
            "--dtype", "f32"]  # fmt: skip

    def plan(limit):
        return json.loads(sora(*long, "--dry-run", "--json", "--memory", limit).stdout)["memory"]

    whole = plan("8G")
    assert whole["sample"] > max(whole["text"], whole["decode"])
    streamed = plan(whole["sample"] - 1)
    assert streamed["layers_streamed"] and streamed["sample"] < whole["sample"]
    assert sora(*long, "-o", "whole.y4m", "--memory", "8G").returncode == 0
    result = sora(*long, "-o", "streamed.y4m", "--memory", whole["sample"] - 1)
    assert result.returncode == 0 and "layers streamed" in result.stderr
    assert (tmp_path / "streamed.y4m").read_bytes() == (tmp_path / "whole.y4m").read_bytes()

    refused = sora(*long, "-o", "no.y4m", "--memory", streamed["sample"] - 1)
    assert refused.returncode == 5 and "sampling" in refused.stderr
    assert not (tmp_path / "no.y4m").exists()


def test_networks_that_do_not_fit_beside_each_other_are_read_again_and_give_the_same_clips(sora, tmp_path):
    two = clip(MODEL, "--variations", 2)
    plan = plan_of(sora, "--variations", 2)
    assert plan["networks_kept"]
    peak = max(plan["text"], plan["sample"], plan["decode"])
    assert not plan_of(sora, "--variations", 2, "--memory", peak)["networks_kept"]
    assert sora(*two, "-o", "whole.y4m", "--memory", "8G").returncode == 0
    assert sora(*two, "-o", "again.y4m", "--memory", peak).returncode == 0
    for n in (1, 2):
        assert (tmp_path / f"again-{n}.y4m").read_bytes() == (tmp_path / f"whole-{n}.y4m").read_bytes()


def test_a_machine_too_small_for_the_program_is_refused(sora, tmp_path):
    result = sora(*clip(MODEL, "--memory", "100M", "-o", "no.y4m"))
    assert result.returncode == 5
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("no*"))


@pytest.mark.parametrize("amount", ["8Q", "-1G", "G", "", "nan", "1e99G"])
def test_amounts_that_are_none_are_usage_errors(sora, amount):
    assert sora(*clip(MODEL, "--memory=" + amount)).returncode == 2


def zero_weights(path):
    """The same header, and zeros for values: a decoder that makes one colour of everything."""
    data = path.read_bytes()
    length = 8 + struct.unpack("<Q", data[:8])[0]
    path.write_bytes(data[:length] + b"\0" * (len(data) - length))


def test_latents_outlive_a_decoder_that_fails(sora, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    good = weights.read_bytes()
    expected = sora(*clip(model, "-o", "expected.y4m"))
    assert expected.returncode == 0, expected.stderr

    zero_weights(weights)
    failed = sora(*clip(model, "-o", "clip.y4m"))
    assert failed.returncode == 9
    assert "sora decode" in failed.stderr
    latents = tmp_path / "clip.y4m.latents.safetensors"
    assert latents.exists() and not (tmp_path / "clip.y4m").exists()

    weights.write_bytes(good)
    finished = sora("decode", latents, "-o", "clip.y4m")
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "clip.y4m").read_bytes() == (tmp_path / "expected.y4m").read_bytes()


def test_latents_need_no_more_memory_than_their_decoding(sora, tmp_path):
    nano = ROOT / "models" / "nano"
    plan = json.loads(sora(*clip(nano, "--dry-run", "--json")).stdout)["memory"]
    assert plan["decode"] < max(plan["text"], plan["sample"])
    assert sora(*clip(nano, "--save-latents", "l.safetensors", "-o", "whole.y4m")).returncode == 0
    result = sora("decode", "l.safetensors", "-o", "again.y4m", "--memory", plan["decode"])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.y4m").read_bytes() == (tmp_path / "whole.y4m").read_bytes()


def test_a_recipe_takes_the_tiles_of_its_clip_where_memory_allows(sora, tmp_path):
    wide = ["generate", "a red ball", "-m", MODEL.parent / "t2v_unipc", "--size", "512x64", "--native", "--frames", 5,
            "--steps", 1, "--seed", 1, "--dtype", "f32"]  # fmt: skip
    plan = json.loads(sora(*wide, "--dry-run", "--json", "--memory", "8G").stdout)["memory"]
    little = plan["decode"] - 1

    def made(name, *arguments):
        result = sora(*arguments, "-o", name)
        assert result.returncode == 0, result.stderr
        return (tmp_path / name).read_bytes(), result.stderr

    tiled, _ = made("tiled.y4m", *wide, "--memory", little)
    whole, _ = made("whole.y4m", *wide, "--memory", "8G")
    assert tiled != whole
    assert json.loads((tmp_path / "tiled.y4m.json").read_text())["tiled"] == ["frames"]
    again, told = made("again.y4m", "generate", "--recipe", "tiled.y4m.json", "--memory", "8G")
    assert again == tiled and "differ a little" not in told
    again, told = made("other.y4m", "generate", "--recipe", "whole.y4m.json", "--memory", little)
    assert again == tiled and "the first clip was decoded whole and this one is in tiles" in told


def test_decode_of_something_else_is_one_sentence(sora):
    result = sora("decode", MODEL / "vae" / "diffusion_pytorch_model.safetensors", "-o", "x.y4m")
    assert result.returncode == 3
    assert "holds no manifest" in result.stderr


def test_sources_are_planned_for_as_they_are_encoded(sora, tmp_path):
    assert sora(*clip(MODEL, "-o", "source.y4m")).returncode == 0
    remix = ["remix", "source.y4m", "a cat", "--strength", 0, "-m", MODEL.parent / "i2v", "--size", "512x512", "--native",
             "--steps", 1, "--dtype", "f32"]  # fmt: skip

    def plan(limit):
        return json.loads(sora(*remix, "--dry-run", "--json", "--memory", limit).stdout)["memory"]

    assert plan_of(sora)["encode"] == 0
    whole = plan("8G")
    assert whole["encode"] > 0 and not whole["frames_in_tiles"]
    tiled = plan(max(whole["encode"], whole["decode"]) - 1)
    assert tiled["frames_in_tiles"] and tiled["encode"] < whole["encode"]
    assert sora(*remix, "-o", "tiles.y4m", "--memory", max(tiled["encode"], tiled["decode"])).returncode == 0
    refused = sora(*remix, "-o", "no.y4m", "--memory", tiled["encode"] - 1)
    assert refused.returncode == 5
    assert not (tmp_path / "no.y4m").exists()
