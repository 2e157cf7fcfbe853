"""Writes a diffusers directory of a published Wan model's configuration with random weights: what loading, memory and
speed are measured on where the published weights are not at hand. Weights are made and written one tensor at a time,
so memory stays at the size of the largest tensor; model_index.json comes last, so that an unfinished directory does
not pass for a model. The pictures mean nothing."""

import argparse
import json
import pathlib
import shutil
import struct
import sys
import time

import diffusers
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel, WanVACETransformer3DModel
from families import CLIP_VIT_H, FAMILIES, TINY_TEXT_ENCODER, UMT5_XXL
from fixtures import case
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = {"f32": (torch.float32, "F32"), "bf16": (torch.bfloat16, "BF16")}


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/reference/random-checkpoint",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("directory", type=pathlib.Path, help="new directory, outside the repository")
    parser.add_argument("--family", choices=sorted(FAMILIES), default="t2v-1.3b")
    parser.add_argument("--layers", type=int, help="transformer layers, where fewer than the model's own are wanted")
    parser.add_argument("--text-encoder", choices=["tiny", "umt5-xxl"], default="tiny", help="umt5-xxl is 11 GB in bf16")
    parser.add_argument("--dtype", choices=sorted(TYPES), default="bf16", help="of all but the VAE, which is f32")
    parser.add_argument("--vae-dtype", choices=sorted(TYPES), default="f32")
    parser.add_argument("--shard-size", type=float, default=2.0, help="GB a shard at most")
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--zeros", action="store_true",
                        help="all but the VAE is zeros, in files of holes: written at once, for timing alone")  # fmt: skip
    return parser.parse_args()


def on_meta(model_class, config):
    """Names and shapes of the weights, without memory for them."""
    with torch.device("meta"):
        return model_class(config) if not isinstance(config, dict) else model_class(**config)


def weights_of(model):
    """Parameters and the persistent buffers, each once."""
    tensors = dict(model.named_parameters())
    persistent = model.state_dict(keep_vars=True)
    tensors |= {name: value for name, value in model.named_buffers() if name in persistent}
    return {name: tuple(tensors[name].shape) for name in sorted(tensors)}


def shards_of(weights, bytes_each, limit):
    shards, size = [{}], 0
    for name, shape in weights.items():
        count = torch.Size(shape).numel() * bytes_each
        if shards[-1] and size + count > limit:
            shards.append({})
            size = 0
        shards[-1][name] = shape
        size += count
    return shards


def write_shard(path, weights, dtype, seed):
    """A seed of None writes zeros, as a hole."""
    torch_dtype, name_of_dtype = dtype
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in weights.items():
        end = offset + torch.Size(shape).numel() * torch_dtype.itemsize
        header[name] = {"dtype": name_of_dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        if seed is None:
            file.truncate(file.tell() + offset)
            return offset
        for name, shape in weights.items():
            values = case.random_weight(name, shape, seed).to(torch_dtype)
            file.write(values.reshape(-1).view(torch.uint8).numpy())
    return offset


def write_model(folder, model, stem, dtype, arguments):
    """Weights as save_pretrained lays them out: one file, or shards with an index. Returns their bytes."""
    begin = time.monotonic()
    seed = None if arguments.zeros and folder.name != "vae" else f"{arguments.seed} {folder.name}"
    shards = shards_of(weights_of(model), dtype[0].itemsize, arguments.shard_size * 1e9)
    total, places = 0, {}
    for index, weights in enumerate(shards, start=1):
        suffix = f"-{index:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
        file_name = f"{stem}{suffix}.safetensors"
        total += write_shard(folder / file_name, weights, dtype, seed)
        places |= dict.fromkeys(weights, file_name)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        case.write_json(folder / f"{stem}.safetensors.index.json", index)
    parameters = sum(torch.Size(shape).numel() for weights in shards for shape in weights.values())
    print(f"{folder.name}: {parameters / 1e6:.1f} M parameters, {total / 1e9:.2f} GB in {len(shards)} "
          f"file{'s' if len(shards) > 1 else ''}, {time.monotonic() - begin:.0f} s", flush=True)  # fmt: skip
    return total


def add_diffusers_model(directory, name, model, dtype, arguments):
    folder = directory / name
    folder.mkdir()
    model.save_config(folder)
    write_model(folder, model, "diffusion_pytorch_model", dtype, arguments)
    return ["diffusers", type(model).__name__]


def add_transformers_model(directory, name, model, dtype, arguments):
    folder = directory / name
    folder.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.dtype = dtype[0]
    model.config.save_pretrained(folder)
    write_model(folder, model, "model", dtype, arguments)
    return ["transformers", type(model).__name__]


def make(arguments):
    family = FAMILIES[arguments.family]
    directory = arguments.directory
    dtype, vae_dtype = TYPES[arguments.dtype], TYPES[arguments.vae_dtype]
    changes = {"num_layers": arguments.layers} if arguments.layers else {}

    index = {"_class_name": family["pipeline"], "_diffusers_version": diffusers.__version__}
    index["boundary_ratio"] = family["boundary_ratio"]
    if family["pipeline"] != "WanVACEPipeline":
        index["expand_timesteps"] = family["expand_timesteps"]
    for name in ("transformer", "transformer_2"):
        index[name] = [None, None]
        if name == "transformer" or family["boundary_ratio"] is not None:
            is_vace = "vace_layers" in family["transformer"]
            model_class = WanVACETransformer3DModel if is_vace else WanTransformer3DModel
            config = {**family["transformer"], **changes}
            if is_vace:
                config["vace_layers"] = [layer for layer in config["vace_layers"] if layer < config["num_layers"]]
            model = on_meta(model_class, config)
            index[name] = add_diffusers_model(directory, name, model, dtype, arguments)
    index["vae"] = add_diffusers_model(
        directory, "vae", on_meta(AutoencoderKLWan, family["vae"]), vae_dtype, arguments
    )
    text_config = UMT5_XXL if arguments.text_encoder == "umt5-xxl" else TINY_TEXT_ENCODER
    index["text_encoder"] = add_transformers_model(
        directory, "text_encoder", on_meta(UMT5EncoderModel, UMT5Config(**text_config)), dtype, arguments
    )
    if family["pipeline"] == "WanImageToVideoPipeline":
        index |= {"image_encoder": [None, None], "image_processor": [None, None]}
    if family["transformer"]["image_dim"] is not None:
        model = on_meta(CLIPVisionModel, CLIPVisionConfig(**CLIP_VIT_H))
        index["image_encoder"] = add_transformers_model(directory, "image_encoder", model, dtype, arguments)
        CLIPImageProcessor(size={"shortest_edge": 224}, crop_size=224).save_pretrained(directory / "image_processor")
        index["image_processor"] = ["transformers", "CLIPImageProcessor"]

    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=family["flow_shift"]
    )
    scheduler.save_pretrained(directory / "scheduler")
    index["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    shutil.copytree(case.ROOT / "tokenizer" / "umt5_like", directory / "tokenizer")
    index["tokenizer"] = ["transformers", "T5TokenizerFast"]
    case.write_json(directory / "model_index.json", dict(sorted(index.items())))


def main():
    arguments = parse()
    directory = arguments.directory.resolve()
    if directory == ROOT or ROOT in directory.parents:
        sys.exit(f"{directory}: inside the repository; name a place outside")
    if directory.exists() and any(directory.iterdir()):
        sys.exit(f"{directory}: not empty")
    if arguments.layers is not None and arguments.layers < 1:
        sys.exit("--layers: at least 1")
    case.quiet_libraries()
    torch.set_grad_enabled(False)
    directory.mkdir(parents=True, exist_ok=True)
    make(arguments)
    print(directory)


if __name__ == "__main__":
    main()
