"""Before stage 3: the text encoder alone learns to tell a caption's facts, in both languages.

Diffusion teaches a text encoder slowly: the loss hardly depends on the words. Told directly what the words mean, it
learns them in a minute, and the transformer starts with features that already say place, colour, shape, motion, speed.
The heads that read the facts are thrown away.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import settings
import stage_diffusion
import tokenizer
from world import captions
from world.spec import CAMERAS, COLOURS, MOTIONS, PLACES, SHAPES, SPEEDS, STYLES, World, random_scene

FOLDER = settings.WORK / "text"
FACTS = {"place": PLACES, "style": STYLES, "camera": CAMERAS, "shape": SHAPES, "colour": COLOURS, "motion": MOTIONS,
         "speed": SPEEDS}
PLAIN = World(styled=0.15, moving_camera=0.15)


def labels(scene):
    thing = scene.things[0]
    found = [getattr(scene if name in ("place", "style", "camera") else thing, name) for name in FACTS]
    return [options.index(value) for value, options in zip(found, FACTS.values())]


class Heads(nn.Module):
    """One learnt query a fact attends to the tokens' features, as cross-attention will."""

    def __init__(self, width):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(FACTS), width) * width**-0.5)
        self.readers = nn.ModuleList(nn.Linear(width, len(options)) for options in FACTS.values())

    def forward(self, features, mask):
        scores = torch.einsum("btd,nd->bnt", features, self.queries).masked_fill(~mask[:, None], -1e4)
        pooled = torch.softmax(scores, -1) @ features
        return [reader(pooled[:, n]) for n, reader in enumerate(self.readers)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--batch", type=int, default=96)
    args = parser.parse_args()
    path = FOLDER / "text.pt"
    if path.exists():
        return
    device = settings.prepare(0)
    nano = stage_diffusion.Nano(device, pretrained=False)
    heads = Heads(settings.TEXT["d_model"]).to(device)
    parameters = list(nano.text_encoder.parameters()) + list(heads.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    started = time.time()
    for step in range(args.steps):
        rng = np.random.default_rng([step, 21])
        scenes = [random_scene(step * args.batch + k, PLAIN) for k in range(args.batch)]
        rows, lengths = tokenizer.ids(nano.pieces, [captions.caption(scene, rng)[0] for scene in scenes])
        longest = max(lengths)
        ids = torch.tensor([row[:longest] for row in rows], device=device)
        mask = torch.arange(longest, device=device)[None] < torch.tensor(lengths, device=device)[:, None]
        for group in optimiser.param_groups:
            group["lr"] = settings.rate(step, args.steps, args.steps // 2, 1.5e-3, 50)
        with torch.autocast(device.type, torch.bfloat16):
            features = nano.text_encoder(ids, mask.long()).last_hidden_state.float()
        answers = heads(features, mask)
        wanted = torch.tensor([labels(scene) for scene in scenes], device=device)
        loss = sum(F.cross_entropy(a, wanted[:, n]) for n, a in enumerate(answers))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            right = [float((a.argmax(-1) == wanted[:, n]).float().mean()) for n, a in enumerate(answers)]
            print(f"text step {step + 1}/{args.steps} loss {float(loss.detach()):.3f} "
                  + " ".join(f"{n} {v:.2f}" for n, v in zip(FACTS, right))
                  + f" {time.time() - started:.0f} s cpu {time.process_time():.0f} s", flush=True)
    settings.save(path, {"model": nano.text_encoder.state_dict()})


if __name__ == "__main__":
    main()
