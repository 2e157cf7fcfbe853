"""Before stage 3: the text encoder alone learns to tell a caption's facts, in both languages.

Diffusion teaches a text encoder slowly: the loss hardly depends on the words. Told directly what the words mean, it
learns them in minutes, and the transformer starts with features that already say place, colour, shape, motion, speed,
and which of them belong to which of two objects. Of that last each token is asked by itself too: asked of the whole
caption alone, the encoder goes on taking the two for each other long after it knows the words. The heads that read the
facts are thrown away.

With --like the new encoder also takes over the features that the encoder of a diffusion checkpoint gives to plain
captions, so that the transformer which was trained with that one understands it.
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
SCENE_FACTS = {"place": PLACES, "style": STYLES, "camera": CAMERAS}
THING_FACTS = {"shape": SHAPES, "colour": COLOURS, "motion": MOTIONS, "speed": SPEEDS}
FACTS = (SCENE_FACTS | {f"first {name}": options for name, options in THING_FACTS.items()}
         | {f"second {name}": options for name, options in THING_FACTS.items()})
UNSAID = -100  # the label of a fact that a scene does not have
OWNERS = 3  # of a token: the whole scene, the first thing, the second
# Turn by turn.
SPOKEN = [World(styled=0.15, moving_camera=0.2, pairs=0.4, stacked=stacked) for stacked in (False, False, True)]


def labels(scene):
    found = [options.index(getattr(scene, name)) for name, options in SCENE_FACTS.items()]
    for n in range(2):
        for name, options in THING_FACTS.items():
            found.append(options.index(getattr(scene.things[n], name)) if n < len(scene.things) else UNSAID)
    return found


def spoken(nano, scene, rng):
    """A caption, and the owner of each of its ids: 0, or 1 + the number of the thing it tells about."""
    language = captions.random_language(rng)
    words = captions.words(scene, rng, language)
    text = captions.text(words, language, rng)
    of_bytes = captions.things_of_bytes(words, language)
    owners = []
    for begin, end in tokenizer.spans(nano.pieces, text):
        things = [thing for thing in of_bytes[begin:end] if thing is not None]
        owners.append(1 + things[0] if things else 0)
    return text, owners


def is_plain(scene):
    """Whether it is one of the scenes that every world has: one object, no style, no moving camera."""
    return len(scene.things) == 1 and scene.camera == "still" and scene.style == "flat"


class Heads(nn.Module):
    """One learnt query a fact attends to the tokens' features, as cross-attention will."""

    def __init__(self, width):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(FACTS), width) * width**-0.5)
        self.readers = nn.ModuleList(nn.Linear(width, len(options)) for options in FACTS.values())
        self.owner = nn.Linear(width, OWNERS)

    def forward(self, features, mask):
        """Logits of each fact, and of each token's owner."""
        scores = torch.einsum("btd,nd->bnt", features, self.queries).masked_fill(~mask[:, None], -1e4)
        pooled = torch.softmax(scores, -1) @ features
        return [reader(pooled[:, n]) for n, reader in enumerate(self.readers)], self.owner(features)


def encoder_of(name, device):
    """The text encoder of a diffusion checkpoint's moving average."""
    nano = stage_diffusion.Nano(device, pretrained=False)
    nano.load_average(name)
    return nano.text_encoder.requires_grad_(False).eval()


def encoded(encoder, ids, mask, device):
    with settings.mixed(device):
        return encoder(ids, mask.long()).last_hidden_state.float()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--name", default="text")
    parser.add_argument("--like", metavar="NAME", help="a diffusion checkpoint whose encoder's features to take over")
    parser.add_argument("--likeness", type=float, default=10.0, help="weight of the squared distance from those features")
    args = parser.parse_args()
    path = FOLDER / f"{args.name}.pt"
    if path.exists():
        return
    device = settings.prepare(0)
    nano = stage_diffusion.Nano(device, pretrained=False)
    model = encoder_of(args.like, device) if args.like else None
    heads = Heads(settings.TEXT["d_model"]).to(device)
    parameters = list(nano.text_encoder.parameters()) + list(heads.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    started = time.time()
    for step in range(args.steps):
        rng = np.random.default_rng([step, 21])
        scenes = [random_scene(n, SPOKEN[n % len(SPOKEN)]) for n in range(step * args.batch, (step + 1) * args.batch)]
        texts, owners = zip(*(spoken(nano, scene, rng) for scene in scenes))
        rows, lengths = tokenizer.ids(nano.pieces, texts)
        longest = max(lengths)
        owned = torch.tensor([(row + [UNSAID] * longest)[:longest] for row in owners], device=device)
        ids = torch.tensor([row[:longest] for row in rows], device=device)
        mask = torch.arange(longest, device=device)[None] < torch.tensor(lengths, device=device)[:, None]
        for group in optimiser.param_groups:
            group["lr"] = settings.rate(step, args.steps, args.steps // 2, 1.5e-3, 50)
        features = encoded(nano.text_encoder, ids, mask, device)
        answers, owner = heads(features, mask)
        wanted = torch.tensor([labels(scene) for scene in scenes], device=device)
        loss = sum(F.cross_entropy(a, wanted[:, n], ignore_index=UNSAID) for n, a in enumerate(answers))
        loss = loss + F.cross_entropy(owner.flatten(0, 1), owned.flatten(), ignore_index=UNSAID)
        apart = torch.zeros(())
        if model is not None:
            plain = torch.tensor([is_plain(scene) for scene in scenes], device=device)[:, None] & mask
            with torch.no_grad():
                wished = encoded(model, ids, mask, device)[plain]
            apart = (features[plain] - wished).pow(2).mean() / wished.pow(2).mean()
            loss = loss + args.likeness * apart
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            right = [float((a.argmax(-1) == wanted[:, n])[wanted[:, n] != UNSAID].float().mean())
                     for n, a in enumerate(answers)]
            right.append(float((owner.argmax(-1) == owned)[owned > 0].float().mean()))
            print(f"text step {step + 1}/{args.steps} loss {float(loss.detach()):.3f} "
                  + " ".join(f"{n} {v:.2f}" for n, v in zip([*FACTS, "owner"], right)) + f" apart {float(apart.detach()):.4f}"
                  + f" {time.time() - started:.0f} s cpu {time.process_time():.0f} s", flush=True)
    settings.save(path, {"model": nano.text_encoder.state_dict()})


if __name__ == "__main__":
    main()
