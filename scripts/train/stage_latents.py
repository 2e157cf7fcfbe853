"""Stage 2: draws clips, encodes them with the frozen encoder, and keeps the latents in shards.

A shard holds, for one size of canvas, the seeds (a scene comes back from its seed), the latents, and for some clips
the latents of the clip with its unknown frames in mid-grey. While the drawing script stays as it is a seed names one
scene, so a stage that was stopped, or is asked for more clips, goes on with the next seed; after a change to the world
begin in an empty folder.
Latents here are the encoder's means, not yet normalised.
"""

import argparse
import dataclasses
import functools
import time

import numpy as np
import torch

import fast_vae
import masks
import settings
import stage_vae
from world.draw import draw
from world.spec import SILHOUETTES, SIMPLE_SHAPES, World, random_scene

FOLDER = settings.WORK / "latents"
WORLDS = {
    "single": World(shapes=SIMPLE_SHAPES),
    "objects": World(),
    "staged": World(shapes=SIMPLE_SHAPES, moving_camera=0.4, pairs=0.5),
    "stacked": World(shapes=SIMPLE_SHAPES, pairs=1.0, stacked=True),
    "whole": World(styled=0.3, moving_camera=0.2, pairs=0.3),
    # For scores of one part each.
    "silhouettes": World(shapes=SILHOUETTES),
    "styled": World(shapes=SIMPLE_SHAPES, styled=1.0),
    "camera": World(shapes=SIMPLE_SHAPES, moving_camera=1.0),
    "pairs": World(shapes=SIMPLE_SHAPES, pairs=1.0),
}
MASKED_SHARE = 0.35
# Most clips with a mask are parts: a clip that goes on from known frames rarely begins where a motion does. Most parts
# go past the end of what they are part of, as extended clips do; some begin there.
PART_SHARE, WHOLE_LENGTHS = 0.6, (17, 33, 49)
# What spins is the hardest to keep in shape, and what bounces falls apart where it turns: training sees them more often.
HARD_MOTIONS = ("spins", "spins", "bounces")


def bucket_name(world, width, height, frames):
    return f"{world}-{width}x{height}x{frames}"


def parse_bucket(name):
    world, size = name.split("-")
    return world, *(int(n) for n in size.split("x"))


def known_frames(seed, frames):
    """Of the clip of a seed: [F] booleans, or None where it has no mask; and (frames before it, frames of the whole clip)
    where it is a part of a longer one."""
    rng = np.random.default_rng([seed, 9])
    if rng.random() >= MASKED_SHARE:
        return None, None
    known = masks.random_known(rng, frames)
    if rng.random() >= PART_SHARE:
        return known, None
    whole = max(frames, int(rng.choice(WHOLE_LENGTHS)))
    return known, (int(rng.integers(whole + frames // 2)), whole)


def scene_of(bucket, seed, held_out=False):
    """The scene of a seed. Held-out scenes are whole clips."""
    name, width, height, frames = parse_bucket(bucket)
    world = WORLDS[name]
    if not held_out:
        world = dataclasses.replace(world, motions=world.motions + HARD_MOTIONS)
    part = None if held_out else known_frames(seed, frames)[1]
    return random_scene(seed, world, width, height, frames, held_out, part=part)


@torch.no_grad()
def encode_clips(vae, clips):
    """List of u8 [F, H, W, 3] of one size -> [N, z, f, h, w] bf16."""
    video = torch.stack([torch.from_numpy(c).permute(3, 0, 1, 2) for c in clips]).float() / 127.5 - 1
    return encode_video(vae, video)


@torch.no_grad()
def encode_video(vae, video):
    device = next(vae.parameters()).device
    with settings.mixed(device):
        return fast_vae.moments(vae, video.to(device))[0].bfloat16().cpu()


def make_shard(vae, bucket, first_seed, count):
    latents, conditions, known, index = [], [], [], []
    for k in range(count):
        seed = first_seed + k
        clip = draw(scene_of(bucket, seed))
        video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        latents.append(encode_video(vae, video))
        mask, _ = known_frames(seed, len(clip))
        if mask is not None:
            conditions.append(encode_video(vae, video * torch.from_numpy(mask).float()[None, None, :, None, None]))
            known.append(torch.from_numpy(mask))
            index.append(k)
    return {"seeds": torch.arange(first_seed, first_seed + count), "latents": torch.cat(latents),
            "conditions": torch.cat(conditions or [latents[0][:0]]),
            "known": torch.stack(known) if known else torch.zeros(0, len(clip), dtype=torch.bool),
            "index": torch.tensor(index, dtype=torch.long)}


@functools.cache
def nothing_known(width, height, frames):
    """Latents [z, f, h, w] of a clip of which no frame is known: mid-grey, as masked clips are in such frames."""
    vae = load_vae(stage_vae.REFINED, "cpu")
    return encode_video(vae, torch.zeros(1, 3, frames, height, width))[0]


def load_vae(name, device):
    vae = fast_vae.over_whole_sequences(stage_vae.new_vae())
    vae.load_state_dict(settings.load(stage_vae.FOLDER / f"{name}.pt")["model"])
    return vae.to(device).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bucket", help="WORLD-WIDTHxHEIGHTxFRAMES, WORLD being " + ", ".join(WORLDS))
    parser.add_argument("--clips", type=int, default=4096)
    parser.add_argument("--shard", type=int, default=128)
    parser.add_argument("--vae", default=stage_vae.REFINED)
    args = parser.parse_args()
    vae = load_vae(args.vae, settings.prepare(0))
    folder = FOLDER / args.bucket
    started, shards = time.time(), sorted(folder.glob("*.pt"))
    n, done = len(shards), int(settings.load(shards[-1])["seeds"][-1]) + 1 if shards else 0
    while done < args.clips:
        count = min(args.shard, args.clips - done)
        settings.save(folder / f"{n:04d}.pt", make_shard(vae, args.bucket, done, count))
        n, done = n + 1, done + count
        print(f"latents {args.bucket} {done}/{args.clips} clips, {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
