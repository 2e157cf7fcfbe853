"""Stage between the transformer and the LoRA: the VAE's decoder alone, on latents as the model leaves them.

A decoder that saw nothing but the encoder's latents turns the transformer's small errors into wavering outlines and
coloured fringes. Here clips of the cache are noised, the model finishes them from there in a few steps, and the decoder
learns the drawn pixels from what comes out. Half of the crops are the encoder's own latents, so that a given clip comes
back as well as before. Encoder and latents stay as they are: nothing else has to be trained again.
"""

import argparse
import time

import numpy as np
import torch
from safetensors.torch import load_file

import fast_vae
import settings
import stage_diffusion
import stage_turbo
import stage_vae
from together import Together
from world import captions

NAME = "decoder"
CLIPS = 192  # in the pool
NOISE = (0.15, 0.75)  # levels that the full model finishes clips from
SHIFT = 3.0  # of its steps
BORDER = 8  # pixels at the sides of a crop of a larger clip that count nothing: the decoder did not see what lies beyond


class Model:
    """The trained transformer, or with `lora` its few-step form."""

    def __init__(self, device, name, lora=None):
        self.nano = stage_diffusion.Nano(device)
        self.mean, self.std = (values.view(1, -1, 1, 1, 1) for values in self.nano.load_average(name))
        if lora:
            low_rank = stage_turbo.Lora(self.nano.transformer, stage_turbo.RANK)
            low_rank.copy_(load_file(lora))
            low_rank.apply()
            self.nano.working.refresh()
        self.is_turbo = bool(lora)

    @torch.no_grad()
    def finished(self, latents, said, rng):
        """Latents, not normalised, of clips that the model finishes from these ones with noise."""
        x = (latents - self.mean) / self.std
        if self.is_turbo:
            ways = stage_turbo.levels()[2:]
        else:
            top, steps = float(rng.uniform(*NOISE)), int(rng.integers(2, 7))
            plain = np.linspace(top / (SHIFT - (SHIFT - 1) * top), 0, steps + 1)
            ways = stage_turbo.shifted(plain, SHIFT)
        x = torch.lerp(x, torch.randn_like(x), float(ways[0]))
        extra = stage_diffusion.nothing_known(x.shape, self.mean[0], self.std[0]).expand(len(x), -1, -1, -1, -1)
        guidance = 1.0 if self.is_turbo else 2.0
        texts = [self.nano.embed(said)] + [self.nano.embed([""] * len(said))] * (guidance > 1)
        for here, there in zip(ways[:-1], ways[1:]):
            x = x + float(there - here) * stage_turbo.guided(self.nano, x, extra, here, texts, guidance)
        return x * self.std + self.mean


class Pool:
    """Clips with the latents that models made of them: (pixels and coverage u8 [4, F, H, W], latents [z, f, h, w])."""

    def __init__(self, models, buckets, batch, rng):
        self.models, self.batch, self.rng = models, batch, rng
        self.caches = [stage_diffusion.Cache(name) for name in buckets]
        for cache in self.caches:
            cache.refresh()
        self.clips = []

    def renew(self):
        """Takes a batch more, in place of others once there are CLIPS."""
        model = self.models[int(self.rng.integers(len(self.models)))]
        cache = self.caches[int(self.rng.integers(len(self.caches)))]
        chosen = self.rng.integers(len(cache.scenes), size=self.batch)
        said = [captions.caption(cache.scenes[i], self.rng, 0.03)[0] for i in chosen]
        latents = model.finished(torch.stack([cache.latents[i].float() for i in chosen]), said, self.rng)
        for i, one in zip(chosen, latents):
            item = stage_vae.drawn(cache.scenes[i]), one
            if len(self.clips) < CLIPS:
                self.clips.append(item)
            else:
                self.clips[int(self.rng.integers(CLIPS))] = item

    def crop(self, size):
        """Latents [1, z, f, size / 16, size / 16], pixels [1, 3, F, size, size] in -1..1, weights [1, 1, F, size, size]."""
        clip, latents = self.clips[int(self.rng.integers(len(self.clips)))]
        _, frames, height, width = clip.shape
        cells, (rows, columns) = size // 16, latents.shape[-2:]
        r, c = int(self.rng.integers(rows - cells + 1)), int(self.rng.integers(columns - cells + 1))
        on_object = (clip[3, int(self.rng.integers(frames))] > 127).nonzero()
        if len(on_object) and self.rng.random() < stage_vae.NEAR_OBJECTS:
            at = (on_object[int(self.rng.integers(len(on_object)))] - size // 2) // 16
            r, c = min(max(int(at[0]), 0), rows - cells), min(max(int(at[1]), 0), columns - cells)
        part = clip[None, :, :, r * 16 : r * 16 + size, c * 16 : c * 16 + size].float()
        weights = stage_vae.importance(part[:, 3:] / 255)
        for at, last, axis in ((r, rows - cells, 3), (c, columns - cells, 4)):
            if at > 0:
                weights.narrow(axis, 0, BORDER).zero_()
            if at < last:
                weights.narrow(axis, size - BORDER, BORDER).zero_()
        return latents[None, :, :, r : r + cells, c : c + cells], part[:, :3] / 127.5 - 1, weights


def decoded(vae, latents):
    with settings.mixed(latents.device):
        return fast_vae.decoded(vae, latents)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffusion", required=True, help="checkpoint of the transformer")
    parser.add_argument("--lora", help="its few-step LoRA: half of the clips are finished by it")
    parser.add_argument("--buckets", nargs="+", required=True, help="of the latents' cache")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--decay", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--crop", type=int, default=112)
    parser.add_argument("--batch", type=int, default=12, help="clips that the model finishes at once")
    parser.add_argument("--start", default=stage_vae.REFINED)
    args = parser.parse_args()
    device, together = settings.prepare(0), Together()
    path = stage_vae.FOLDER / f"{NAME}.pt"
    vae = fast_vae.over_whole_sequences(stage_vae.new_vae()).to(device)
    state = settings.load(path)
    vae.load_state_dict((state or settings.load(stage_vae.FOLDER / f"{args.start}.pt"))["model"])
    vae.requires_grad_(False)
    trained = [(n, p) for n, p in vae.named_parameters() if n.startswith(("decoder.", "post_quant_conv."))]
    for _, p in trained:
        p.requires_grad_(True)
    optimiser = stage_vae.new_optimiser(trained, together)
    done = 0
    if state:
        optimiser.load_state_dict(state["optimiser"])
        done = state["step"]
    if done >= args.steps:
        return together.end()
    if together.is_first:
        stage_vae.cached_pool()
    together.wait()
    exact = stage_vae.cached_pool()
    rng = np.random.default_rng([done, 6, together.rank])
    torch.manual_seed(done * together.count + together.rank)
    models = [Model(device, args.diffusion)] + ([Model(device, args.diffusion, args.lora)] if args.lora else [])
    pool = Pool(models, args.buckets, args.batch, rng)
    while len(pool.clips) < CLIPS:
        pool.renew()
    held_out = [c for c, _ in stage_vae.render_pool(9_000_000, 0.01)]
    if together.is_first:
        print(f"decoder step {done} {stage_vae.held_out_text(vae, held_out)}", flush=True)
    step, steps, started, running = done, args.steps, time.time(), [0.0, 0.0]
    while step < steps:
        if steps - step > args.decay and together.from_first(settings.asked_to_finish(stage_vae.FOLDER)):
            steps = step + args.decay
        optimiser.set_lr(settings.rate(step, steps, args.decay, args.lr))
        video, coverage, _ = stage_vae.crops(exact, rng, 1, 17, args.crop)
        with torch.no_grad(), settings.mixed(device):
            latents = fast_vae.moments(vae, video.to(device))[0]
        losses = []
        for inputs, target, weights in ((latents, video, stage_vae.importance(coverage)), pool.crop(args.crop)):
            loss = stage_vae.reconstruction_loss(decoded(vae, inputs.to(device)), target.to(device), weights.to(device))
            loss.backward()
            losses.append(float(loss.detach()))
        together.average_([p for _, p in trained])
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        running = [0.99 * r + 0.01 * v if step - done > 1 else v for r, v in zip(running, losses)]
        if step % 100 == 0:
            pool.renew()
        if step % 1000 == 0:
            stage_vae.renew(exact, 2_000_000 + 1000 * (step * together.count + together.rank), 0.1, rng)
        if not together.is_first:
            continue
        if step % 50 == 0:
            rate = (step - done) / (time.time() - started)
            print(f"decoder step {step}/{steps} loss exact {running[0]:.4f} finished {running[1]:.4f} {rate:.2f} steps/s "
                  f"cpu {time.process_time():.0f} s", flush=True)
        if step % 500 == 0 or step == steps:
            settings.save(path, {"model": vae.state_dict(), "optimiser": optimiser.state_dict(), "step": step})
            print(f"decoder step {step} {stage_vae.held_out_text(vae, held_out)}", flush=True)
    together.end()


if __name__ == "__main__":
    main()
