"""Makes a finished model the training's starting point: checkpoints of its weights where there are none yet.

A checkpoint made here has no optimiser state, and its stage counts as complete, so that `staged` and what follows
go on from it.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5EncoderModel

import settings
import stage_diffusion
import stage_text
import stage_vae
import tokenizer


def save_if_missing(path, state):
    if not path.exists():
        settings.save(path, state)
        print(f"{path.parent.name}/{path.name}: from the model", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=settings.MODEL_DIR, help="a directory that export wrote")
    args = parser.parse_args()
    built = settings.WORK / "tokenizer"
    tokenizer.build(built)
    if (built / "spiece.model").read_bytes() != (args.model / "tokenizer/spiece.model").read_bytes():
        raise SystemExit(f"{args.model} knows other words than scripts/train/world/captions.py")
    vae = AutoencoderKLWan.from_pretrained(args.model / "vae", torch_dtype=torch.float32)
    text_encoder = UMT5EncoderModel.from_pretrained(args.model / "text_encoder", dtype=torch.float32)
    transformer = WanTransformer3DModel.from_pretrained(args.model / "transformer", torch_dtype=torch.float32)
    weights = {f"{prefix}.{n}": p.detach().clone() for prefix, module in
               (("transformer", transformer), ("text_encoder", text_encoder)) for n, p in module.named_parameters()}
    for name in ("vae", stage_vae.REFINED):
        save_if_missing(stage_vae.FOLDER / f"{name}.pt", {"model": vae.state_dict(), "step": settings.COMPLETE})
    for name in ("text", "words"):
        save_if_missing(stage_text.FOLDER / f"{name}.pt", {"model": text_encoder.state_dict()})
    for name in ("diffusion", "larger", "wide", "objects", "simple", "paired"):
        save_if_missing(stage_diffusion.FOLDER / f"{name}.pt", {
            "model": weights, "average": weights, "step": settings.COMPLETE, "samples": 0,
            "mean": torch.tensor(vae.config.latents_mean), "std": torch.tensor(vae.config.latents_std)})


if __name__ == "__main__":
    main()
