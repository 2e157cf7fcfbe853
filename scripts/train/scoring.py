"""Scores clips by their pixels and captions: sampled here from a model directory, or read from files.

A prompt's combination of object, colour, motion and place is one that training never sees (--seen: one it may have
seen). Captions ask for one object; a part that a caption leaves out is not counted.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

import stage_latents
from scorer.reading import read
from scorer.seeing import judge, see
from world import captions
from world.draw import draw
from world.spec import random_scene

# Which frames of the drawn clip the model is given, by name.
GIVEN = {
    "first": lambda frames: np.arange(frames) == 0,
    "first-last": lambda frames: (np.arange(frames) == 0) | (np.arange(frames) == frames - 1),
    "prefix": lambda frames: np.arange(frames) < 5,
}
PARTS = ("place", "colour", "motion", "shape", "number", "order", "style", "camera", "all")


def prompts(count, language, world, held_out, width, height, frames, part=None):
    """(caption, scene): the same for the same arguments."""
    found = []
    for k in range(count):
        scene = random_scene(50_000_000 + k, stage_latents.WORLDS[world], width, height, frames, held_out, part=part)
        rng = np.random.default_rng([k, 3])
        found.append((captions.caption(scene, rng, language=language)[0], scene))
    return found


def read_clip(path):
    """A video file through ffmpeg, or a folder of PNG frames: [F, H, W, 3] u8."""
    from PIL import Image
    path = Path(path)
    if path.is_dir():
        return np.stack([np.asarray(Image.open(p).convert("RGB")) for p in sorted(path.glob("*.png"))])
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of",
             "csv=p=0", str(path)]
    width, height = map(int, subprocess.run(probe, check=True, capture_output=True, text=True).stdout.split(",")[:2])
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(raw, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def _video(clip):
    """[F, H, W, 3] u8 -> [3, F, H, W] in -1..1."""
    import torch
    return torch.from_numpy(clip).permute(3, 0, 1, 2).float() / 127.5 - 1


def sampled_clips(args, chosen):
    import torch
    from sampling import Sampler
    sampler = Sampler(args.model, args.turbo)
    steps = args.steps or sampler.settings["steps"]
    guidance = args.guidance or sampler.settings["guidance_scale"]
    for first in range(0, len(chosen), args.batch):
        some = [caption for caption, _ in chosen[first : first + args.batch]]
        condition = None
        if args.given:
            videos = torch.stack([_video(draw(scene)) for _, scene in chosen[first : first + args.batch]])
            condition = sampler.condition(videos, GIVEN[args.given](args.frames))
        latents = sampler.latents(some, args.width, args.height, args.frames, steps, guidance,
                                  args.seed + first, condition)
        for k in range(len(some)):
            yield sampler.decode(latents[k : k + 1])[0]


def reconstructed_clips(args, chosen):
    import torch
    from sampling import Sampler
    sampler = Sampler(args.model)
    for _, scene in chosen:
        with torch.no_grad(), sampler.fast():
            latents = sampler.vae.encode(_video(draw(scene))[None]).latent_dist.mode().float()
        yield sampler.decode((latents - sampler.mean) / sampler.std)[0]


def given_clips(args):
    """Rows of a jsonl file: {"file": ..., "prompt": ...}, files beside it or under --clips."""
    rows = [json.loads(line) for line in Path(args.captions).read_text(encoding="utf-8").splitlines() if line.strip()]
    folder = Path(args.clips or Path(args.captions).parent)
    for row in rows:
        yield row["prompt"], read_clip(folder / row["file"])


def _psnr(a, b):
    return float(10 * np.log10(255**2 / max(((a.astype(np.float64) - b) ** 2).mean(), 1e-9)))


def with_psnr(clips, chosen, known, values):
    """The clips as they are; appends to `values` the PSNR of each one's known frames against the drawn clip's."""
    for clip, (_, scene) in zip(clips, chosen):
        values.append(_psnr(clip[known], draw(scene)[known]))
        yield clip


def by_name(title, marks_of):
    """How many shapes were right of each shape and each motion that was asked for."""
    for part, marks in marks_of.items():
        print(f"{title} shapes right by {part}: " + " ".join(f"{n} {sum(m)}/{len(m)}" for n, m in sorted(marks.items())))


def judged(title, pairs, sheet_rows):
    totals = defaultdict(list)
    shapes_by = {"shape": defaultdict(list), "motion": defaultdict(list)}
    for caption, clip in pairs:
        facts = read(caption)
        seen = see(clip, facts.style or "flat", facts.camera or "still")
        marks = judge(facts, seen)
        for part, right in marks.items():
            totals[part].append(right)
        for part, marks_of in shapes_by.items():
            asked = facts.things[0].get(part) if facts.things else None
            if asked and "shape" in marks:
                marks_of[asked].append(marks["shape"])
        wrong = [p for p, right in marks.items() if not right and p != "all"]
        sheet_rows.append((f"{caption}   {'wrong: ' + ', '.join(wrong) if wrong else 'all right'}", clip))
    count = len(totals["number"])
    values = {p: round(float(np.mean(totals[p])), 3) for p in PARTS if totals[p]}
    print(f"{title} n={count} " + " ".join(f"{p} {v:.2f}" for p, v in values.items()), flush=True)
    by_name(title, shapes_by)
    return {"n": count, **values}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="diffusers directory to sample from")
    parser.add_argument("--clips", help="folder of finished clips")
    parser.add_argument("--captions", help="jsonl of {file, prompt} for --clips")
    parser.add_argument("--write-prompts", help="write the held-out prompts as lines to this file, and stop")
    parser.add_argument("--drawn", action="store_true", help="score the drawn clips themselves: the scorer's own error")
    parser.add_argument("--reconstructed", action="store_true",
                        help="score drawn clips through the VAE: the ceiling; their PSNR is told")
    parser.add_argument("--prompts", type=int, default=40, help="a language")
    parser.add_argument("--languages", nargs="+", default=["en", "zh"])
    parser.add_argument("--world", default="single", choices=sorted(stage_latents.WORLDS))
    parser.add_argument("--given", choices=sorted(GIVEN),
                        help="give the model these frames of the drawn clip; their PSNR in the output is told")
    parser.add_argument("--before", type=int, default=0, metavar="N",
                        help="drawn clips are the end of ones that are N frames longer: with --given prefix, how the model goes on")
    parser.add_argument("--turbo", action="store_true", help="with the model's few-step LoRA, without guidance")
    parser.add_argument("--seen", action="store_true")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, help="the model's own, if not given")
    parser.add_argument("--guidance", type=float, help="likewise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sheet", help="PNG of the clips")
    parser.add_argument("--sheet-rows", type=int, default=12, help="a language")
    parser.add_argument("--json", help="write the scores here")
    args = parser.parse_args()
    part = (args.before, args.before + args.frames) if args.before else None
    if args.write_prompts:
        lines = [c for language in args.languages for c, _ in prompts(
            args.prompts, language, args.world, not args.seen, args.width, args.height, args.frames, part)]
        Path(args.write_prompts).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    results, sheet_rows = {}, []
    if args.captions:
        results["given"] = judged("given", given_clips(args), sheet_rows)
    else:
        for language in args.languages:
            chosen = prompts(args.prompts, language, args.world, not args.seen, args.width, args.height, args.frames, part)
            if args.drawn:
                clips = (draw(scene) for _, scene in chosen)
            elif args.reconstructed:
                clips = reconstructed_clips(args, chosen)
            else:
                clips = sampled_clips(args, chosen)
            rows, values = [], []
            if args.given or args.reconstructed:
                known = GIVEN[args.given](args.frames) if args.given else np.ones(args.frames, bool)
                clips = with_psnr(clips, chosen, known, values)
            results[language] = judged(language, ((c, clip) for (c, _), clip in zip(chosen, clips)), rows)
            if values:
                results[language]["psnr"] = round(float(np.mean(values)), 2)
                which = "given" if args.given else "reconstructed"
                print(f"{language} PSNR of the {which} frames {np.mean(values):.2f} dB, least {min(values):.2f}")
            sheet_rows += rows[: args.sheet_rows]
    if args.sheet:
        import sheet
        sheet.write(args.sheet, sheet_rows)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
