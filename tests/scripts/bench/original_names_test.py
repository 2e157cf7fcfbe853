"""The single file that scripts/reference/original_names.py writes, beside one that diffusers' own converter has proved."""

import json
import pathlib
import struct
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "reference"))

import original_names  # noqa: E402

MODEL = ROOT / "tests" / "data" / "transformer" / "t2v" / "model"
PROVED = ROOT / "tests" / "data" / "weights" / "single_files" / "t2v.safetensors"
PREFIX = "model.diffusion_model."


def tensors(path):
    """{name: (dtype, shape, bytes)}"""
    with open(path, "rb") as file:
        header, data = original_names.read_header(file), file.read()
    return {
        name: (tensor["dtype"], tensor["shape"], data[slice(*tensor["data_offsets"])]) for name, tensor in header.items()
    }


def write_shard(path, named):
    header, data = {}, b""
    for name, (dtype, shape, content) in named.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_every_tensor_has_the_name_and_bytes_that_it_has_in_a_proved_file(tmp_path):
    original_names.write_original(MODEL, tmp_path / "one.safetensors")
    proved = {name.removeprefix(PREFIX): tensor for name, tensor in tensors(PROVED).items()}
    assert len(proved) == 42  # what a block has and what is outside of blocks
    assert tensors(tmp_path / "one.safetensors") == proved


def test_shards_are_joined_whole(tmp_path):
    whole = tensors(MODEL / "diffusion_pytorch_model.safetensors")
    names = list(whole)
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, some in enumerate((names[::2], names[1::2]), start=1):
        write_shard(shards / f"model-{number}-of-2.safetensors", {name: whole[name] for name in some})
    original_names.write_original(shards, tmp_path / "one.safetensors")
    assert tensors(tmp_path / "one.safetensors") == {original_names.original_name(name): whole[name] for name in names}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.safetensors", "shards"]


@pytest.mark.parametrize(
    ("theirs", "original"),
    [
        ("patch_embedding.weight", "patch_embedding.weight"),
        ("condition_embedder.time_embedder.linear_2.bias", "time_embedding.2.bias"),
        ("scale_shift_table", "head.modulation"),
        ("proj_out.weight", "head.head.weight"),
        ("blocks.29.scale_shift_table", "blocks.29.modulation"),
        ("blocks.3.attn1.to_out.0.bias", "blocks.3.self_attn.o.bias"),
        ("blocks.3.attn2.norm_k.weight", "blocks.3.cross_attn.norm_k.weight"),
        ("blocks.3.norm2.weight", "blocks.3.norm3.weight"),
        ("blocks.3.ffn.net.0.proj.weight", "blocks.3.ffn.0.weight"),
        ("blocks.0.attn2.add_k_proj.weight", "blocks.0.cross_attn.k_img.weight"),
        ("vace_blocks.1.proj_in.weight", "vace_blocks.1.before_proj.weight"),
    ],
)
def test_names(theirs, original):
    assert original_names.original_name(theirs) == original


@pytest.mark.parametrize("name", ["blocks.0.attn3.to_k.weight", "blocks.0.norm1.weight", "norm2.weight"])
def test_a_tensor_of_another_model_is_an_error(name):
    with pytest.raises(ValueError, match=name):
        original_names.original_name(name)
