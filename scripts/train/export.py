"""Writes the trained weights as a diffusers directory in bf16, with sora.json beside it.

The classes and the layout are those of WanImageToVideoPipeline.save_pretrained (the masked form, 2z + 4 channels in);
the few-step LoRA, where there is one, lies in loras/.
sora.json says what the pipeline's own files have no place for: the text length the model was trained with, the
default canvas and sampling, and the words the model knows.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
from diffusers import WanImageToVideoPipeline, WanTransformer3DModel
from safetensors.torch import load_file, save_file
from transformers import UMT5Config, UMT5EncoderModel

import settings
import stage_diffusion
import stage_latents
import stage_turbo
import stage_vae
import tokenizer
from world import captions
from world.spec import random_scene


def build_pipeline(vae_name, diffusion_name, folder):
    pieces = tokenizer.build(folder / "tokenizer")
    vae_state = settings.load(stage_vae.FOLDER / f"{vae_name}.pt")["model"]
    saved = settings.load(stage_diffusion.FOLDER / f"{diffusion_name}.pt") if diffusion_name else None
    if saved:
        mean, std = saved["mean"].tolist(), saved["std"].tolist()
    else:
        mean, std = [0.0] * settings.Z, [1.0] * settings.Z
    vae = AutoencoderKLWan(**settings.VAE, latents_mean=mean, latents_std=std)
    vae.load_state_dict(vae_state)
    config = UMT5Config(vocab_size=len(pieces), pad_token_id=0, eos_token_id=1, **settings.TEXT)
    text_encoder, transformer = UMT5EncoderModel(config), WanTransformer3DModel(**settings.TRANSFORMER)
    if saved:
        for prefix, module in (("transformer.", transformer), ("text_encoder.", text_encoder)):
            own = {n[len(prefix):]: v for n, v in saved["average"].items() if n.startswith(prefix)}
            missing, unexpected = module.load_state_dict(own, strict=False)
            tied = {"encoder.embed_tokens.weight"}
            if unexpected or set(missing) - tied:
                raise SystemExit(f"{prefix} weights do not fit: missing {missing}, unexpected {unexpected}")
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=settings.FLOW_SHIFT,
        num_train_timesteps=1000, solver_order=2)
    return WanImageToVideoPipeline(
        tokenizer=pieces, text_encoder=text_encoder, vae=vae, scheduler=scheduler, transformer=transformer,
        image_encoder=None, image_processor=None)


def as_bf16(folder):
    """Every tensor in bf16, whatever class wrote it: some classes keep norms in f32 when cast."""
    for path in folder.rglob("*.safetensors"):
        tensors = {n: t.to(torch.bfloat16).contiguous() for n, t in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})
        path.chmod(0o644)


def known_words(world, scenes=20000):
    """The words of the captions of a world, by language."""
    found = {"en": set(), "zh": set()}
    for seed in range(scenes):
        scene = random_scene(seed, world)
        for language, words in found.items():
            words.update(w for w in captions.words(scene, np.random.default_rng(seed), language) if w.isalpha())
    for word in captions.FUNCTION_WORDS:
        found["en" if word.isascii() else "zh"].add(word)
    return {language: sorted(words) for language, words in found.items()}


def write_json(folder, world):
    nano = dict(settings.DEFAULTS)
    nano["known_words"] = known_words(world)
    text = json.dumps(nano, ensure_ascii=False, indent=1)
    (folder / "sora.json").write_text(text + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vae", default=stage_vae.REFINED)
    parser.add_argument("--diffusion", default="diffusion", help="checkpoint's name; empty: random weights")
    parser.add_argument("--world", default="whole", help="what it was trained on, whose words it knows")
    parser.add_argument("--to", type=Path, default=settings.EXPORT)
    args = parser.parse_args()
    if args.to.is_dir() and any(args.to.iterdir()) and not (args.to / "model_index.json").exists():
        raise SystemExit(f"{args.to} holds something else than a model; name another folder")
    torch.manual_seed(0)
    partial = args.to.with_name(args.to.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    build_pipeline(args.vae, args.diffusion, partial).save_pretrained(partial)
    stage_turbo.write(partial / "loras")
    as_bf16(partial)
    write_json(partial, stage_latents.WORLDS[args.world])
    shutil.rmtree(args.to, ignore_errors=True)
    partial.rename(args.to)
    size = sum(p.stat().st_size for p in args.to.rglob("*") if p.is_file())
    print(f"{args.to}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
