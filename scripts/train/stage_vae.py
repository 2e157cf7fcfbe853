"""Stage 1: the VAE, on random crops of drawn clips.

Loss: L1, half of the L1 of the differences along time, y and x (edges and flicker), MSE, and a small KL. Errors weigh
more on objects and most along their outlines, which are what tells a star from a ball.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan

import fast_vae
import settings
from muon import Muon, split_parameters
from together import Together
from world.draw import draw_with_coverage
from world.spec import World, random_scene

FOLDER = settings.WORK / "vae"
REFINED = "refined"  # the checkpoint that latents and the finished model are made with
# (width, height, frames, clips in the pool)
POOL = ((448, 256, 17, 90), (224, 128, 17, 130), (160, 160, 17, 40), (128, 224, 17, 40))
WHOLE = World(styled=0.45, moving_camera=0.1, pairs=0.3)
KL_WEIGHT = 1e-4
ON_OBJECTS, ON_OUTLINES = 1.0, 4.0  # more weight of errors there
OUTLINE = 5  # pixels, odd
NEAR_OBJECTS = 0.7  # of the crops lie around a pixel of an object


def drawn(scene):
    """u8 [4, F, H, W]: colour, and how much objects cover."""
    clip, coverage = draw_with_coverage(scene)
    clip = np.concatenate([clip, (coverage[..., None] * 255).astype(np.uint8)], -1)
    return torch.from_numpy(np.ascontiguousarray(clip.transpose(3, 0, 1, 2)))


def render_pool(seed, scale=1.0):
    """(clip, whether its style is flat): clips as bytes, [4, F, H, W] each, colour and how much objects cover."""
    pool = []
    for width, height, frames, count in POOL:
        for k in range(max(1, int(count * scale))):
            scene = random_scene(seed + k, WHOLE, width, height, frames + (k % 2) * 16)
            clip = drawn(scene)
            start = (k * 7) % (clip.shape[1] - frames + 1)
            pool.append((clip[:, start : start + frames].contiguous(), scene.style == "flat"))
    return pool


def renew(pool, seed, scale, rng):
    """Puts newly drawn clips in place of some of their size."""
    for one in render_pool(seed, scale):
        same = [i for i, (clip, _) in enumerate(pool) if clip.shape == one[0].shape]
        pool[same[rng.integers(len(same))]] = one


def cached_pool():
    path = FOLDER / "pool.pt"
    pool = settings.load(path)
    if pool is None:
        pool = render_pool(1_000_000)
        settings.save(path, pool)
    return pool


def crops(pool, rng, batch, frames, size):
    """Clips [B, 3, F, size, size] in -1..1, coverage [B, 1, F, size, size] in 0..1, and which are flat [B].

    In some, unknown frames are mid-grey as in a masked clip.
    """
    out = torch.empty(batch, 3, frames, size, size)
    coverage, is_flat = torch.empty(batch, 1, frames, size, size), torch.empty(batch)
    for b in range(batch):
        clip, is_flat[b] = pool[rng.integers(len(pool))]
        _, length, height, width = clip.shape
        f = rng.integers(length - frames + 1)
        y, x = rng.integers(height - size + 1), rng.integers(width - size + 1)
        on_object = (clip[3, f + int(rng.integers(frames))] > 127).nonzero()
        if len(on_object) and rng.random() < NEAR_OBJECTS:
            at = on_object[rng.integers(len(on_object))] - size // 2
            y, x = min(max(int(at[0]), 0), height - size), min(max(int(at[1]), 0), width - size)
        part = clip[:, f : f + frames, y : y + size, x : x + size].float()
        out[b] = part[:3].div(127.5).sub_(1)
        coverage[b] = part[3:].div_(255)
        if rng.random() < 0.1:
            known = torch.from_numpy(rng.random(frames) < rng.choice([0.15, 0.5]))
            known = known.float()[None, :, None, None]
            out[b] *= known
            coverage[b] *= known
    return out, coverage, is_flat


def _differences(x):
    return x[:, :, 1:] - x[:, :, :-1], x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def _most_around(x):
    """The largest value among the OUTLINE x OUTLINE pixels around each one. (max_pool2d is 20 times as slow on one channel.)"""
    padded = F.pad(x, (OUTLINE // 2,) * 4, value=-1.0)
    return padded.unfold(-2, OUTLINE, 1).amax(-1).unfold(-1, OUTLINE, 1).amax(-1)


def importance(coverage):
    """Weights of the pixels' errors, one on average over the batch."""
    grown = _most_around(coverage)
    outline = grown + _most_around(-coverage)
    weights = 1 + ON_OBJECTS * grown + ON_OUTLINES * outline
    return weights / weights.mean()


@torch.compile
def reconstruction_loss(out, target, weights):
    error = out - target
    loss = (weights * (error.abs() + error.pow(2))).mean()
    return loss + 0.5 * sum((d.abs() * w).mean() for d, w in zip(
        _differences(error), (weights[:, :, 1:], weights[..., 1:, :], weights[..., 1:])))


def drift(anchor, video, mean, is_held):
    """Mean square of the latents' way from those of another encoder, each channel in its standard deviations.

    Only of the clips of `is_held` [B]: an encoder that saw few styles drew them all alike, and must move.
    """
    with torch.no_grad(), settings.mixed(video.device):
        wanted = fast_vae.moments(anchor, video)[0]
    ways = ((mean - wanted) / wanted.std((0, 2, 3, 4), keepdim=True)).pow(2).mean((1, 2, 3, 4))
    return (ways * is_held).mean()


@torch.no_grad()
def psnr(vae, clips):
    values = []
    for clip in clips:
        video = clip[None, :3].float() / 127.5 - 1
        with settings.mixed(video.device):
            out = fast_vae.decoded(vae, fast_vae.moments(vae, video)[0])
        error = (out.clamp(-1, 1) - video).pow(2).mean() / 4
        values.append(float(-10 * torch.log10(error)))
    return values


def held_out_text(vae, clips):
    values = psnr(vae, clips)
    return f"held-out PSNR {np.mean(values):.2f} dB [{' '.join(f'{v:.1f}' for v in values)}]"


def new_optimiser(named_parameters, together):
    edges = ("conv_in", "conv_out", "quant_conv")
    matrices, rest = split_parameters(
        named_parameters, lambda n: n.endswith("weight") and not any(e in n for e in edges))
    return Muon(matrices, rest, rest_scale=0.5, weight_decay=0.0, together=together)


def new_vae():
    vae = AutoencoderKLWan(**settings.VAE, latents_mean=[0.0] * settings.Z, latents_std=[1.0] * settings.Z)
    with torch.no_grad():
        for name, p in vae.named_parameters():
            if name.endswith("conv2.weight"):
                p.mul_(0.05)
    return vae


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--decay", type=int, default=600)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--anchor", type=float, default=0.0, metavar="W",
                        help="weight of what keeps flat clips' latents near those of --start, so that its transformer goes on")
    parser.add_argument("--name", default="vae", help="name of the checkpoint")
    parser.add_argument("--start", help="checkpoint whose weights to start from when there is none of this name")
    args = parser.parse_args()
    if args.anchor and not args.start:
        parser.error("--anchor holds latents near those of --start, which is missing")
    device, together = settings.prepare(0), Together()
    path = FOLDER / f"{args.name}.pt"
    vae = fast_vae.over_whole_sequences(new_vae()).to(device)
    optimiser = new_optimiser(vae.named_parameters(), together)
    done, state = 0, settings.load(path)
    if state:
        vae.load_state_dict(state["model"])
        if "optimiser" in state:
            optimiser.load_state_dict(state["optimiser"])
        done = state["step"]
    elif args.start:
        vae.load_state_dict(settings.load(FOLDER / f"{args.start}.pt")["model"])
    if done >= args.steps:
        return together.end()
    anchor = None
    if args.anchor:
        anchor = fast_vae.over_whole_sequences(new_vae()).to(device).requires_grad_(False)
        anchor.load_state_dict(settings.load(FOLDER / f"{args.start}.pt")["model"])
    if together.is_first:
        print(f"vae: {sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters, from step {done}", flush=True)
        cached_pool()
    together.wait()
    pool = cached_pool()
    held_out = [c.to(device) for c, _ in render_pool(9_000_000, 0.01)]
    rng = np.random.default_rng([done, 5, together.rank])
    torch.manual_seed(done * together.count + together.rank)
    steps, started, cpu, running = args.steps, time.time(), time.process_time(), 0.0
    step = done
    while step < steps:
        if steps - step > args.decay and together.from_first(settings.asked_to_finish(FOLDER)):
            steps = step + args.decay
        optimiser.set_lr(settings.rate(step, steps, args.decay, args.lr))
        video, coverage, is_flat = (t.to(device) for t in crops(pool, rng, args.batch, args.frames, args.crop))
        with settings.mixed(device):
            mean, log_variance = fast_vae.moments(vae, video)
            noise = torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            out = fast_vae.decoded(vae, mean + noise)
        kl = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).mean()
        loss = reconstruction_loss(out, video, importance(coverage)) + KL_WEIGHT * kl
        if anchor:
            loss = loss + args.anchor * drift(anchor, video, mean, is_flat)
        loss.backward()
        together.average_(vae.parameters())
        optimiser.step()
        optimiser.zero_grad()
        step, value = step + 1, float(loss.detach())
        running = value if running == 0 else 0.98 * running + 0.02 * value
        if step % 300 == 0 or step == steps:
            renew(pool, 1_000_000 + 1000 * (step * together.count + together.rank), 0.03, rng)
        if not together.is_first:
            continue
        if step % 50 == 0:
            rate = (step - done) / (time.time() - started)
            print(f"vae step {step}/{steps} loss {running:.4f} kl {float(kl.detach()):.2f} {rate:.2f} steps/s "
                  f"cpu {time.process_time() - cpu:.0f} s", flush=True)
        if step % 100 == 0 or step == steps:
            settings.save(path, {"model": vae.state_dict(), "optimiser": optimiser.state_dict(), "step": step})
        if step % 300 == 0 or step == steps:
            print(f"vae step {step} {held_out_text(vae, held_out)}", flush=True)
    together.end()


if __name__ == "__main__":
    main()
