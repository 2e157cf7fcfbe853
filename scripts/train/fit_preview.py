"""Fits the linear map from latents to colours that `--preview` draws with, and writes models/nano/preview.json.

Drawn clips go through the VAE's encoder; ridge regression gives the matrix from the latents of a pixel [Z] to a patch of
4x4 pixels of the frame that the latent frame ends with, and says how much of the held-out clips it explains.

usage: scripts/train/fit_preview.py [--clips N] [--model DIR] [--output FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from world.draw import draw
from world.spec import World, random_scene

NANO = Path(__file__).resolve().parents[2] / "models/nano"
PATCH = 4
FRAMES = 17
SIZE = (160, 96)
RIDGE = 1e-3
WORLD = World(styled=0.06, moving_camera=0.06, pairs=0.15)


def samples(vae, seed):
    """Latents [n, Z] and colours [n, PATCH*PATCH*3] in -1..1: of a clip's first latent frame, and of the rest."""
    clip = draw(random_scene(seed, WORLD, *SIZE, FRAMES))[:FRAMES]
    video = torch.from_numpy(np.ascontiguousarray(clip.transpose(3, 0, 1, 2)))[None].float() / 127.5 - 1
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    latents = (vae.encode(video).latent_dist.mode() - mean) / std
    shown = video[0, :, :: vae.config.scale_factor_temporal]  # the frame each latent frame ends with
    small = torch.nn.functional.adaptive_avg_pool2d(shown.transpose(0, 1), (latents.shape[3] * PATCH, latents.shape[4] * PATCH))
    frames, colours, height, width = small.shape
    patches = small.view(frames, colours, height // PATCH, PATCH, width // PATCH, PATCH).permute(0, 2, 4, 3, 5, 1)
    latents = latents[0].permute(1, 2, 3, 0)
    return [(latents[part].reshape(-1, latents.shape[-1]), patches[part].reshape(-1, PATCH * PATCH * 3))
            for part in (slice(0, 1), slice(1, None))]


def fit(latents, colours):
    design = torch.cat([latents, torch.ones(len(latents), 1)], 1).double()
    energy = design.T @ design
    energy.diagonal()[:-1] += RIDGE * len(latents)
    return torch.linalg.solve(energy, design.T @ colours.double())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--model", type=Path, default=NANO)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    vae = AutoencoderKLWan.from_pretrained(arguments.model / "vae").eval()
    with torch.inference_mode():
        drawn = [samples(vae, 7_000_000 + k) for k in range(arguments.clips)]
    held_out = max(1, arguments.clips // 6)
    maps = []
    for part, name in enumerate(("first latent frame", "others")):
        solution = fit(*(torch.cat(values) for values in zip(*(clip[part] for clip in drawn[held_out:]))))
        latents, colours = (torch.cat(values) for values in zip(*(clip[part] for clip in drawn[:held_out])))
        error = (latents.double() @ solution[:-1] + solution[-1]).clamp(-1, 1) - colours
        explained = 1 - error.pow(2).mean() / colours.double().sub(colours.double().mean(0)).pow(2).mean()
        print(f"{name}, {held_out} held-out clips: {float(explained):.1%} of the variance, "
              f"{float(-10 * torch.log10(error.pow(2).mean() / 4)):.1f} dB")
        rounded = [[round(float(value), 4) for value in row] for row in solution]
        maps.append({"bias": rounded[-1], "weight": rounded[:-1]})
    text = json.dumps({"patch": PATCH, **maps[1], "first": maps[0]}, separators=(",", ":"))
    (arguments.output or arguments.model / "preview.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
