"""`sora models list`, `show` and `convert` through the program, on the small models that diffusers wrote."""

import json
import os
import pathlib
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SORA = pathlib.Path(os.environ.get("SORA_BUILD_DIR", ROOT / "build")) / "sora"
PIPELINES = ROOT / "tests" / "data" / "pipelines"
MODEL = PIPELINES / "t2v_unipc"
COMPANIONS = ["--vae", MODEL / "vae", "--text-encoder", MODEL / "text_encoder", "--tokenizer", MODEL / "tokenizer"]


@pytest.fixture
def sora(tmp_path):
    def run(*arguments, status=0):
        result = subprocess.run(
            [SORA, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
            env={**os.environ, "SORA_CACHE": str(tmp_path / "cache"), "HF_HUB_CACHE": str(tmp_path / "hub")})  # fmt: skip
        assert result.returncode == status, result.stderr
        return result

    return run


def show(sora, model, *arguments):
    return json.loads(sora("models", "show", model, "--json", *arguments).stdout)


def clip(sora, tmp_path, model, *arguments):
    """The bytes of a small clip."""
    out = tmp_path / "clip.y4m"
    sora("generate", "a red ball", "-m", model, *arguments, "--size", "48x32", "--frames", 5, "--steps", 2, "--seed", 1,
         "--dtype", "f32", "-o", out, "--force")  # fmt: skip
    return out.read_bytes()


def test_list_has_the_built_in_model_and_those_of_a_folder(sora):
    listed = json.loads(sora("models", "list", "--models-dir", PIPELINES, "--json").stdout)["models"]
    kinds = {entry["name"]: entry["kind"] for entry in listed}
    assert kinds["nano"] == "built in"
    assert kinds["vace"] == "directory" and kinds["t2v_unipc"] == "directory"


@pytest.mark.parametrize(
    "model, operation",
    [
        ("t2v_unipc", "held to known frames"),
        ("i2v", "known frames by mask"),
        ("ti2v", "whole latent frames"),
        ("vace", "as it was trained"),
    ],
)
def test_show_says_how_the_tools_work_on_a_model(sora, model, operation):
    assert any(operation in each for each in show(sora, PIPELINES / model)["operations"])


def test_show_of_vace_names_references_and_control(sora):
    operations = show(sora, PIPELINES / "vace")["operations"]
    assert {"reference pictures", "control video", "first and last image to video"} <= set(operations)


def test_show_tells_the_memory_of_a_size_as_a_dry_run_plans_it(sora):
    size = ["--size", "96x64", "--frames", 17]
    told = show(sora, MODEL, *size)["memory"]
    planned = json.loads(sora("generate", "a clip", "-m", MODEL, *size, "--dry-run", "--json", "--memory", "64G").stdout)
    assert told["size"] == "96x64" and told["frames"] == 17
    for phase in ("text", "sample", "decode"):
        assert told[phase] == planned["memory"][phase]


@pytest.mark.parametrize("output", ["one.safetensors", "directory"])
def test_converted_without_loss_a_model_makes_the_same_clip(sora, tmp_path, output):
    sora("models", "convert", MODEL, output)
    assert clip(sora, tmp_path, output, *COMPANIONS) == clip(sora, tmp_path, MODEL)


def test_a_single_file_becomes_a_directory_again(sora, tmp_path):
    sora("models", "convert", MODEL, "one.safetensors")
    sora("models", "convert", "one.safetensors", "again")
    original = MODEL / "transformer" / "diffusion_pytorch_model.safetensors"
    assert tensors(tmp_path / "again" / "diffusion_pytorch_model.safetensors") == tensors(original)


def tensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()
    }


@pytest.mark.parametrize("kind", ["q8_0", "q4_k"])
def test_quantised_a_model_is_smaller_and_runs(sora, tmp_path, kind):
    sora("models", "convert", MODEL, "small.gguf", "--type", kind)
    assert (tmp_path / "small.gguf").read_bytes()[:4] == b"GGUF"
    assert len(clip(sora, tmp_path, "small.gguf", *COMPANIONS)) == len(clip(sora, tmp_path, MODEL))


def test_convert_overwrites_nothing_unasked(sora, tmp_path):
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    sora("models", "convert", MODEL, "there.safetensors", status=2)
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"
    sora("models", "convert", MODEL, "there.safetensors", "--force")


def test_vace_keeps_its_control_branch_through_a_conversion(sora, tmp_path):
    model = PIPELINES / "vace"
    sora("models", "convert", model, "vace.safetensors")
    companions = ["--vae", model / "vae", "--text-encoder", model / "text_encoder", "--tokenizer", model / "tokenizer"]
    one = clip(sora, tmp_path, "vace.safetensors", *companions, "--shift", 16)
    assert one == clip(sora, tmp_path, model)


def test_a_reference_on_another_model_is_a_usage_error(sora, tmp_path):
    result = sora("generate", "a cat", "--reference", "cat.png", "-o", "cat.mp4", status=2)
    assert "control branch" in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "cat.mp4").exists()
