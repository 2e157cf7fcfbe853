"""Stage 3: text encoder and transformer together, by flow matching on cached latents.

x_sigma = (1 - sigma) x + sigma noise, the target is noise - x, sigma is logit-normal with one of several shifts. One
caption in ten is empty (for classifier-free guidance). Clips with a mask get mask channels and the masked clip's
latents; text to video those of a clip of which nothing is known, all grey: its edges tell where a token lies while all
else is noise. What is exported is the moving average.

A head on the tokens of a middle block learns where the objects are and what they are (object_maps.py); it is not
exported. Errors weigh more where an object is.
"""

import argparse
import dataclasses
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

import object_maps
import fast_transformer
import masks
import settings
import stage_latents
import stage_vae
import tokenizer
from muon import Muon, split_parameters
from together import Together
from world import captions
from world.draw import draw
from world.spec import MOTIONS, SHAPES, is_possible

FOLDER = settings.WORK / "diffusion"
EMPTY_CAPTIONS = 0.1
HEAD_BLOCK = 3
MASKED_STEPS = 0.75  # of the whole clips that have a mask; the rest of them train text to video, which parts never do


class Cache:
    """The shards of one size of canvas that exist by now; of their clips those whose objects are all of `shapes`."""

    def __init__(self, bucket, shapes=SHAPES):
        self.bucket, self.folder, self.shapes = bucket, stage_latents.FOLDER / bucket, shapes
        self.seen, self.scenes = set(), []
        self.latents, self.conditions, self.known, self.condition_of = [], [], [], {}
        self.maps = {}

    def refresh(self):
        for path in sorted(self.folder.glob("*.pt")):
            if path.name in self.seen:
                continue
            shard = settings.load(path)
            self.seen.add(path.name)
            conditions = {k: n for n, k in enumerate(shard["index"].tolist())}
            for k, seed in enumerate(shard["seeds"].tolist()):
                scene = stage_latents.scene_of(self.bucket, seed)
                if any(thing.shape not in self.shapes for thing in scene.things):
                    continue
                if k in conditions:
                    self.condition_of[len(self.scenes)] = len(self.conditions)
                    self.conditions.append(shard["conditions"][conditions[k]])
                    self.known.append(shard["known"][conditions[k]])
                self.scenes.append(scene)
                self.latents.append(shard["latents"][k])
        return len(self.scenes)

    def maps_of(self, index):
        """The coverage, and what each token shows."""
        if index not in self.maps:
            things = object_maps.of_things(self.scenes[index])
            self.maps[index] = things.amax(0), object_maps.kinds_of(self.scenes[index], things)
        return self.maps[index]

    def statistics(self):
        x = torch.stack(self.latents[:1024]).float()
        return x.mean((0, 2, 3, 4)), x.std((0, 2, 3, 4))


def _look_both_ways(text_encoder):
    """Lets two heads of the first block begin as ones that see only what came before and only what comes after.

    What a word is about depends on where it stands, and training does not find that by itself: left alone the content
    of the words comes to decide all attention, and the features of a word are the same wherever it stands.
    """
    bias = text_encoder.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    after = len(bias) // 2  # the buckets from here on
    bias[after:, 0] -= 8
    bias[1:after, 1] -= 8


class Nano:
    """The trained pair and what it needs around it."""

    def __init__(self, device, pretrained=True):
        folder = settings.WORK / "tokenizer"
        if not (folder / "spiece.model").exists():
            tokenizer.build(folder)
        self.device, self.pieces = device, tokenizer.processor(folder)
        config = UMT5Config(vocab_size=self.pieces.get_piece_size(), pad_token_id=0, eos_token_id=1, **settings.TEXT)
        self.text_encoder = UMT5EncoderModel(config).to(device)
        self.transformer = WanTransformer3DModel(**settings.TRANSFORMER).to(device)
        with torch.no_grad():
            self.text_encoder.shared.weight.normal_(0, 1)
            for block in self.text_encoder.encoder.block:
                for p in block.parameters():
                    if p.ndim == 2 and p.shape[0] > settings.TEXT["relative_attention_num_buckets"]:
                        p.normal_(0, p.shape[1] ** -0.5)
                block.layer[0].SelfAttention.q.weight.mul_(settings.TEXT["d_kv"] ** -0.5)
            _look_both_ways(self.text_encoder)
            self.transformer.proj_out.weight.zero_()
        words = settings.load(settings.WORK / "text/text.pt") if pretrained else None
        if words:
            self.text_encoder.load_state_dict(words["model"])
        self.head = object_maps.Head(self.transformer.config.num_attention_heads
                                  * self.transformer.config.attention_head_dim).to(device)
        self.modules = [self.transformer, self.text_encoder, self.head]
        self.working = fast_transformer.Working(self.modules)

    @torch.no_grad()
    def load_average(self, name):
        """Takes the moving average of this checkpoint, and gives the latents' mean and deviation that it was trained with."""
        saved = settings.load(FOLDER / f"{name}.pt")
        for name, p in self.named_parameters():
            if name in saved["average"]:
                p.copy_(saved["average"][name])
        self.working.refresh()
        return saved["mean"], saved["std"]

    def named_parameters(self):
        for prefix, module in zip(("transformer.", "text_encoder.", "head."), self.modules):
            for name, p in module.named_parameters():
                yield prefix + name, p

    def embed(self, texts):
        rows, lengths = tokenizer.ids(self.pieces, texts)
        longest = max(lengths)
        ids = torch.tensor([row[:longest] for row in rows], device=self.device)
        return fast_transformer.encode_text(
            self.text_encoder, self.working, ids, torch.tensor(lengths, device=self.device), settings.MAX_TEXT)

    def velocity(self, x, sigma, text, compiled=True):
        """The velocity, and the logits of the head: coverage and kinds."""
        velocity, tokens = fast_transformer.forward(
            self.transformer, self.working, x, sigma * 1000, text, HEAD_BLOCK, compiled)
        copies = (self.working.of[id(p)] for p in self.head.parameters())
        return velocity, self.head(tokens, *copies)


def is_matrix(name):
    keep_out = ("shared", "relative_attention_bias", "scale_shift_table", "patch_embedding", "proj_out",
                "time_embedder", "condition_embedder.time_proj", "head.")
    return name.endswith("weight") and not any(k in name for k in keep_out)


def sigmas(count, shifts, generator=None):
    """Noise levels, logit-normal; every level is drawn with one of the `shifts`, each as likely."""
    u = torch.sigmoid(torch.randn(count, generator=generator))
    shift = torch.tensor(shifts)[torch.randint(len(shifts), (count,), generator=generator)]
    return shift * u / (1 + (shift - 1) * u)


def nothing_known(shape, mean, std):
    """The 4 + z extra channels of latents of this shape (..., f, h, w) where no frame is known."""
    f, h, w = shape[-3:]
    latents = stage_latents.nothing_known(w * 16, h * 16, 4 * f - 3)
    return F.pad((latents.float() - mean) / std, (0, 0, 0, 0, 0, 0, 4, 0))


def conditioned(cache, index, mean, std, rng):
    """The 4 + z extra channels of one clip."""
    z, f, h, w = cache.latents[index].shape
    known_at = cache.condition_of.get(index)
    if known_at is None or (not cache.scenes[index].whole and rng.random() > MASKED_STEPS):
        return nothing_known((f, h, w), mean, std)
    condition = (cache.conditions[known_at].float() - mean) / std
    return torch.cat([masks.channels(cache.known[known_at].numpy(), h, w), condition])


def batch_of(cache, rng, size, mean, std, dropped):
    chosen = rng.integers(len(cache.scenes), size=size)
    m, s = mean.view(-1, 1, 1, 1), std.view(-1, 1, 1, 1)
    x = torch.stack([(cache.latents[i].float() - m) / s for i in chosen])
    extra = torch.stack([conditioned(cache, int(i), m, s, rng) for i in chosen])
    texts = ["" if rng.random() < EMPTY_CAPTIONS else captions.caption(cache.scenes[i], rng, dropped)[0]
             for i in chosen]
    coverage, kinds = zip(*(cache.maps_of(int(i)) for i in chosen))
    return x, extra, texts, torch.stack(coverage), torch.stack(kinds)


class HeldOut:
    """Clips of combinations that training never sees, and what a wrong word in their captions costs.

    Loss at high noise with the right caption, and how much more with a wrong motion, colour or shape, or where the
    two objects of a pair have each other's colour; the overlap of the coverage that the head reads out of nothing but
    noise and the caption.
    """

    def __init__(self, bucket, count=48):
        vae = stage_latents.load_vae(stage_vae.REFINED, "cpu")
        self.bucket, self.scenes = bucket, [stage_latents.scene_of(bucket, 70_000_000 + k, True) for k in range(count)]
        self.latents = torch.cat([stage_latents.encode_clips(vae, [draw(s)]) for s in self.scenes])
        self.maps = torch.stack([object_maps.of_scene(s) for s in self.scenes])

    def _captions(self, part):
        rng, found = np.random.default_rng(1), []
        shapes = stage_latents.WORLDS[stage_latents.parse_bucket(self.bucket)[0]].shapes
        others = {"motion": MOTIONS, "colour": tuple(captions.EN_COLOURS), "shape": shapes}
        for k, scene in enumerate(self.scenes):
            thing = dataclasses.replace(scene.things[0])
            old = getattr(thing, part) if part in others else None
            while part in others and (getattr(thing, part) == old or not is_possible(
                    thing.shape, thing.colour, thing.motion, scene.place)):
                setattr(thing, part, others[part][int(rng.integers(len(others[part])))])
            said = dataclasses.replace(scene, things=[thing] + scene.things[1:])
            if part == "exchanged" and len(scene.things) == 2:
                one, two = scene.things
                said.things = [dataclasses.replace(one, colour=two.colour), dataclasses.replace(two, colour=one.colour)]
            found.append(captions.caption(said, np.random.default_rng(k), language="zh" if k % 3 == 0 else "en")[0])
        return found

    @torch.no_grad()
    def measure(self, nano, mean, std):
        x = (self.latents.float() - mean.view(-1, 1, 1, 1)) / std.view(-1, 1, 1, 1)
        count = len(x)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        sigma = torch.tensor([1.0, 0.95, 0.9, 0.8]).repeat(count // 4)
        noisy = torch.lerp(x, noise, sigma.view(-1, 1, 1, 1, 1))
        extra = nothing_known(x.shape, mean.view(-1, 1, 1, 1), std.view(-1, 1, 1, 1)).expand(count, -1, -1, -1, -1)
        x_in = torch.cat([noisy, extra], 1).to(nano.device)
        found = {}
        for part in ("right", "motion", "colour", "shape", "exchanged"):
            out, (coverage, _) = nano.velocity(x_in, sigma.to(nano.device), nano.embed(self._captions(part)), False)
            found[part] = float((out.cpu() - (noise - x)).pow(2).mean())
            if part == "right":
                pure = sigma == 1
                said, true = (coverage.cpu() > 0)[pure], (object_maps.targets(self.maps) > 0.5)[pure]
                found["overlap"] = float((said & true).sum() / (said | true).sum())
        return found


class Training:
    """The model with its optimiser, its moving average and how far it has come."""

    def __init__(self, args, together):
        self.args, self.together = args, together
        self.nano = Nano(settings.prepare(0))
        self.path = FOLDER / f"{args.name}.pt"
        self.masters = dict(self.nano.named_parameters())
        matrices, self.rest = split_parameters(self.masters.items(), is_matrix)
        self.optimiser = Muon(matrices, self.rest, rest_scale=0.5, together=together)
        self.average = {n: p.detach().clone() for n, p in self.masters.items()}
        self.step, self.samples, self.mean, self.std = 0, 0, None, None
        self.restore()

    @torch.no_grad()
    def restore(self):
        """Goes on from the checkpoint of this name, or begins with the average of `--start`."""
        state = settings.load(self.path)
        if not state and not self.args.start:
            return
        saved = state or settings.load(FOLDER / f"{self.args.start}.pt")
        average = dict(saved["average"])
        if self.args.words and not state:
            words = settings.load(settings.WORK / f"text/{self.args.words}.pt")["model"]
            average |= {f"text_encoder.{name}": p for name, p in words.items()}
        for name, p in self.masters.items():
            if name in average:
                p.copy_((saved["model"] if state else average)[name])
                self.average[name].copy_(average[name])
        self.mean, self.std = saved["mean"], saved["std"]
        if state:
            self.step, self.samples = state["step"], state["samples"]
            if "optimiser" in state:
                self.optimiser.load_state_dict(state["optimiser"])

    def save(self):
        settings.save(self.path, {
            "model": {n: p.detach() for n, p in self.masters.items()}, "average": self.average, "mean": self.mean,
            "std": self.std, "optimiser": self.optimiser.state_dict(), "step": self.step, "samples": self.samples})

    def advance(self, batch, rate):
        """One step: its loss, those of the head (coverage, kinds), and the norm of the gradients outside matrices."""
        x, extra, texts, maps, kinds = batch
        nano, args, device = self.nano, self.args, self.nano.device
        sigma, noise = sigmas(len(x), args.shift), torch.randn_like(x)
        noisy = torch.lerp(x, noise, sigma.view(-1, 1, 1, 1, 1))
        nano.working.refresh()
        with torch.set_grad_enabled(not args.words_stay):
            text = nano.embed(texts)
        out, (coverage, shown) = nano.velocity(torch.cat([noisy, extra], 1).to(device), sigma.to(device), text)
        errors = (out - (noise - x).to(device)).pow(2)
        where = F.binary_cross_entropy_with_logits(coverage, object_maps.targets(maps).to(device))
        what = F.binary_cross_entropy_with_logits(shown, kinds.float().to(device))
        weights = object_maps.importance(maps, args.object_weight).to(device)
        ((errors * weights).mean() + args.head * (where + what)).backward()
        nano.working.hand_over_gradients()
        self.together.average_(self.masters.values())
        norm = torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        self.optimiser.set_lr(rate)
        self.optimiser.step()
        self.optimiser.zero_grad()
        keep = min(args.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.masters.values()], 1 - keep)
        self.step, self.samples = self.step + 1, self.samples + len(x) * self.together.count
        return float(errors.detach().mean()), float(where.detach()), float(what.detach()), float(norm)


class Progress:
    """Running means of the losses, and the line that tells them."""

    def __init__(self, samples):
        self.first, self.started, self.losses = samples, time.time(), {}

    def note(self, name, value):
        self.losses[name] = 0.97 * self.losses[name] + 0.03 * value if name in self.losses else value

    def line(self, training, steps, norm):
        speed = (training.samples - self.first) / (time.time() - self.started)
        losses = " ".join(f"{name} {value:.3f}" for name, value in sorted(self.losses.items()))
        return (f"diffusion step {training.step}/{steps} samples {training.samples} loss {losses} {speed:.1f} samples/s "
                f"cpu {time.process_time():.0f} s norm {norm:.2f}")


def filled_caches(buckets, shapes, least_clips):
    """(cache, batch, weight) of each NAME=BATCH=WEIGHT, once all have so many clips."""
    caches = []
    for item in buckets:
        name, size, weight = item.split("=")
        caches.append((Cache(name, shapes), int(size), float(weight)))
    while any(cache.refresh() < least_clips for cache, _, _ in caches):
        time.sleep(5)
    return caches


def held_out_line(training, held_out, caches):
    training.nano.working.refresh()
    gap = held_out.measure(training.nano, training.mean, training.std)
    right, overlap = gap.pop("right"), gap.pop("overlap")
    return (f"diffusion step {training.step} held out: right {right:.4f} overlap {overlap:.3f} "
            + " ".join(f"{k} +{v - right:.4f}" for k, v in gap.items())
            + f" clips {' '.join(str(len(c.scenes)) for c, _, _ in caches)}")


def train(training, caches, held_out):
    """Steps until `--steps`, or `--decay` steps from when the stage is asked to finish."""
    args, together, step = training.args, training.together, training.step
    torch.manual_seed(step * together.count + together.rank)
    rng, common = np.random.default_rng([step, 11, together.rank]), np.random.default_rng([step, 12])
    shares = np.array([w for _, _, w in caches])
    progress, steps = Progress(training.samples), args.steps
    while training.step < steps:
        if steps - training.step > args.decay and together.from_first(settings.asked_to_finish(FOLDER)):
            steps = training.step + args.decay
        cache, size, _ = caches[common.choice(len(caches), p=shares / shares.sum())]
        batch = batch_of(cache, rng, size, training.mean, training.std, args.dropped)
        loss, where, what, norm = training.advance(
            batch, settings.rate(training.step, steps, args.decay, args.lr, args.warmup))
        for name, value in ((cache.bucket, loss), ("where", where), ("what", what)):
            progress.note(name, value)
        if training.step % 100 == 0:
            for other, _, _ in caches:
                other.refresh()
        if not together.is_first:
            continue
        if training.step % 50 == 0:
            print(progress.line(training, steps, norm), flush=True)
        if training.step % 100 == 0 or training.step == steps:
            training.save()
        if training.step % 300 == 0 or training.step == steps:
            print(held_out_line(training, held_out, caches), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--buckets", nargs="+", required=True, help="NAME=BATCH=WEIGHT, several sizes mixed")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--decay", type=int, default=600)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--dropped", type=float, default=0.03, help="chance that a caption leaves out colour or place")
    parser.add_argument("--least-clips", type=int, default=512, help="wait until so many are encoded")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES, help="pass over clips with other objects")
    parser.add_argument("--average", type=float, default=0.998)
    parser.add_argument("--shift", type=float, nargs="+", default=[4.0],
                        help="of the trained noise levels: motion is decided at the high ones, outlines at the low")
    parser.add_argument("--head", type=float, default=0.2, help="weight of the head's losses")
    parser.add_argument("--object-weight", type=float, default=3.0, help="more weight of errors where an object is")
    parser.add_argument("--name", default="diffusion")
    parser.add_argument("--start", help="checkpoint to start from when there is none of this name")
    parser.add_argument("--words", help="with the text encoder of this checkpoint of stage_text.py")
    parser.add_argument("--words-stay", action="store_true", help="the transformer alone is trained")
    args = parser.parse_args()
    together = Together()
    training = Training(args, together)
    if training.step < args.steps:
        caches = filled_caches(args.buckets, args.shapes, args.least_clips)
        if training.mean is None:
            first = caches[0][0]
            training.mean, training.std = together.from_first(first.statistics() if together.is_first else None)
        train(training, caches, HeldOut(caches[0][0].bucket) if together.is_first else None)
    together.end()


if __name__ == "__main__":
    main()
