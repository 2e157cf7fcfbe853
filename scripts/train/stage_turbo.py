"""Stage after the transformer: a LoRA with which it samples in four steps without guidance.

The full model draws clips from noise with many small guided steps, and the states at the four noise levels that
`--turbo` uses are kept. The LoRA learns, at each of these levels, the straight line to the next kept state, so that
one step does what several guided ones did. It is written in the common format (diffusers' names).
"""

import argparse
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import settings
import stage_diffusion
from together import Together

FOLDER = settings.WORK / "turbo"
SHIFT = 8.0  # the row of this LoRA in lib/models/turbo.cpp says the same, and STEPS with their levels
STEPS = 4
RANK = 8
FILE = "sora-turbo.safetensors"
SMALL_STEPS = (5, 5, 4, 4)  # of the full model between two of the kept states
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2")


def shifted(sigma, shift=SHIFT):
    return shift * sigma / (1 + (shift - 1) * sigma)


def plain_levels(steps=STEPS):
    """Where the steps begin, before the shift: the last as far above zero as the steps are apart, for the clip is open there."""
    return np.linspace(1, 1 / steps, steps)


def levels():
    """The noise levels of FlowMatchEulerDiscreteScheduler(shift=SHIFT) for the sigmas `plain_levels`, and zero."""
    return [*shifted(plain_levels()), 0.0]


@torch.no_grad()
def guided(nano, x, extra, sigma, texts, guidance):
    """The velocity of a batch, all at one noise level; guided where `texts` holds the empty ones after the captions."""
    level = torch.full((len(x),), float(sigma), device=nano.device)
    inputs = torch.cat([x, extra], 1).to(nano.device)
    with_text, *without = (nano.velocity(inputs, level, text)[0].cpu() for text in texts)
    return without[0] + guidance * (with_text - without[0]) if without else with_text


@torch.no_grad()
def paths(nano, x, extra, captions, guidance):
    """[B, STEPS + 1, z, f, h, w]: the states at `levels` of the full model's way from the noise `x`."""
    texts = nano.embed(captions), nano.embed([""] * len(captions))
    states = [x]
    for count, level in zip(SMALL_STEPS, plain_levels()):
        # Evenly spread before the shift, as the sampler's own steps are.
        ways = shifted(np.linspace(level, level - 1 / STEPS, count + 1))
        for here, there in zip(ways[:-1], ways[1:]):
            x = x + float(there - here) * guided(nano, x, extra, here, texts, guidance)
        states.append(x)
    return torch.stack(states, 1)


def gather(nano, together, buckets, shards, batch, guidance, mean, std):
    """Draws the ways that the LoRA learns from, in shards, each process its share; those that are there already stay."""
    caches = [stage_diffusion.Cache(name) for name in buckets]
    for cache in caches:
        cache.refresh()
    for n in range(shards):
        path = FOLDER / f"{n:04d}.pt"
        if n // len(caches) % together.count != together.rank or path.exists():
            continue
        rng = np.random.default_rng([n, 31])
        cache = caches[n % len(caches)]
        clips, extra, captions, *_ = stage_diffusion.batch_of(cache, rng, batch, mean, std, 0.03)
        noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(n))
        states = paths(nano, noise, extra, captions, guidance)
        settings.save(path, {"states": states.bfloat16(), "extra": extra.bfloat16(), "captions": captions})
        if together.is_first:
            print(f"turbo {n + 1}/{shards} shards of ways, cpu {time.process_time():.0f} s", flush=True)
    together.wait()
    return [settings.load(FOLDER / f"{n:04d}.pt") for n in range(shards)]


class Lora:
    """Low-rank changes of the transformer's matrices, trained through the full ones' gradients."""

    def __init__(self, transformer, rank):
        torch.manual_seed(5)
        self.of = {}
        for name, module in transformer.named_modules():
            if name.startswith("blocks.") and name.endswith(TARGETS):
                out, width = module.weight.shape
                down = torch.nn.Parameter(torch.randn(rank, width, device=module.weight.device) * width**-0.5)
                up = torch.nn.Parameter(torch.zeros(out, rank, device=module.weight.device))
                self.of[name] = (module.weight, module.weight.detach().clone(), down, up)

    def parameters(self):
        return [p for _, _, down, up in self.of.values() for p in (down, up)]

    @torch.no_grad()
    def apply(self):
        for weight, base, down, up in self.of.values():
            weight.copy_(base).addmm_(up, down)

    @torch.no_grad()
    def take_gradients(self):
        for weight, _, down, up in self.of.values():
            down.grad, up.grad = up.T @ weight.grad, weight.grad @ down.T

    @torch.no_grad()
    def copy_(self, tensors):
        """Takes over the tensors of a LoRA of the same rank, as `tensors` names them."""
        for name, (_, _, down, up) in self.of.items():
            down.copy_(tensors[f"transformer.{name}.lora_A.weight"])
            up.copy_(tensors[f"transformer.{name}.lora_B.weight"])

    def tensors(self):
        found = {}
        for name, (_, _, down, up) in self.of.items():
            found[f"transformer.{name}.lora_A.weight"] = down.detach()
            found[f"transformer.{name}.lora_B.weight"] = up.detach()
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", default="larger", help="checkpoint of the full model")
    parser.add_argument("--buckets", nargs="+", required=True)
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--rank", type=int, default=RANK)
    parser.add_argument("--lora", help="begin with this one, of the same rank, instead of none")
    args = parser.parse_args()
    together = Together()
    nano = stage_diffusion.Nano(settings.prepare(0))
    mean, std = nano.load_average(args.start)
    shards = gather(nano, together, args.buckets, args.shards, args.batch, args.guidance, mean, std)
    lora, path, done = Lora(nano.transformer, args.rank), FOLDER / "turbo.pt", 0
    optimiser = torch.optim.AdamW(lora.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    state = settings.load(path)
    if state:
        lora.copy_(state["tensors"])
        optimiser.load_state_dict(state["optimiser"])
        done = state["step"]
    elif args.lora:
        lora.copy_(load_file(args.lora))
    kinds = min(len(args.buckets), len(shards))
    marks, running = torch.tensor(levels(), dtype=torch.float32), [0.0] * STEPS
    for step in range(done, args.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate(step, args.steps, args.steps // 2, args.lr, 30)
        # Of one bucket in all processes: who has longer clips than the others keeps them waiting.
        which, rng = int(np.random.default_rng([step, 42]).integers(kinds)), np.random.default_rng([step, 41, together.rank])
        of_bucket = shards[which::kinds]
        shard = of_bucket[int(rng.integers(len(of_bucket)))]
        count = len(shard["captions"])
        at = torch.from_numpy(rng.integers(STEPS, size=count))
        x, then = (shard["states"][torch.arange(count), n].float() for n in (at, at + 1))
        target = (x - then) / (marks[at] - marks[at + 1]).view(-1, 1, 1, 1, 1)
        lora.apply()
        nano.working.refresh()
        inputs = torch.cat([x, shard["extra"].float()], 1).to(nano.device)
        with torch.no_grad():
            text = nano.embed(shard["captions"])
        out, _ = nano.velocity(inputs, marks[at].to(nano.device), text)
        errors = (out - target.to(nano.device)).pow(2).flatten(1).mean(1)
        errors.mean().backward()
        nano.working.hand_over_gradients()
        lora.take_gradients()
        together.average_(lora.parameters())
        torch.nn.utils.clip_grad_norm_(lora.parameters(), 1.0)
        optimiser.step()
        for n in range(STEPS):
            if (at == n).any():
                value = float(errors.detach().cpu()[at == n].mean())
                running[n] = 0.95 * running[n] + 0.05 * value if running[n] else value
        if together.is_first and ((step + 1) % 50 == 0 or step + 1 == args.steps):
            print(f"turbo step {step + 1}/{args.steps} loss {' '.join(f'{v:.4f}' for v in running)} "
                  f"cpu {time.process_time():.0f} s", flush=True)
            settings.save(path, {"tensors": lora.tensors(), "optimiser": optimiser.state_dict(), "step": step + 1})
    together.end()


def write(folder, path=FOLDER / "turbo.pt"):
    """Puts the LoRA among the model's, where there is one."""
    state = settings.load(path)
    if state:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: t.contiguous() for n, t in state["tensors"].items()}, folder / FILE, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
