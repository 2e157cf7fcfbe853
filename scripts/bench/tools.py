"""Measures the tools: each case draws a clip of the built-in model's world, runs sora on it, and looks at the frames.

A measure reads pixels alone. The drawing knows where the object is at every time, also past the end of the clip that sora
was given, so that a continuation can be compared with what would have come.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from programs import SORA

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

from scorer.seeing import parts_of, see  # noqa: E402
from world.captions import caption  # noqa: E402
from world.draw import draw  # noqa: E402
from world.spec import COLOURS, HIDDEN_COLOURS, SIMPLE_SHAPES, World, random_scene  # noqa: E402

WIDTH, HEIGHT, FPS = 224, 128, 16
WORLD = World(shapes=SIMPLE_SHAPES)


class Runner:
    """Runs sora and reads and writes clips without loss."""

    def __init__(self, sora, folder, threads):
        self.sora, self.folder, self.threads, self.count = sora, Path(folder), threads, 0
        self.peak_kib = 0

    def write(self, clip):
        self.count += 1
        path = self.folder / f"source-{self.count}.mkv"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{clip.shape[2]}x{clip.shape[1]}",
                        "-r", str(FPS), "-i", "-", "-c:v", "ffv1", "-pix_fmt", "bgr0", str(path)],
                       input=clip.tobytes(), check=True)
        return str(path)

    def run(self, *arguments):
        self.count += 1
        folder = self.folder / f"result-{self.count}"
        folder.mkdir()
        command = [self.sora, *map(str, arguments), "-q", "--threads", str(self.threads), "-o", str(folder / "%05d.png")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
        self.peak_kib = usage.ru_maxrss
        size = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0",
                               str(folder / "00000.png" if (folder / "00000.png").exists() else folder / "00001.png")],
                              capture_output=True, text=True, check=True).stdout.strip().split(",")
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(folder / "%05d.png"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                             capture_output=True, check=True).stdout
        for file in folder.iterdir():
            file.unlink()
        return np.frombuffer(raw, np.uint8).reshape(-1, int(size[1]), int(size[0]), 3)


def scene_of(seed, frames, motions=None):
    """A held-out scene with one object, its caption and its drawing."""
    rng = np.random.default_rng([seed, 5])
    while True:
        scene = random_scene(int(rng.integers(1 << 30)), WORLD, WIDTH, HEIGHT, frames, held_out=True)
        if motions is None or scene.things[0].motion in motions:
            text, _ = caption(scene, np.random.default_rng(seed), language="en")
            return scene, text, draw(scene)


def steps(clip):
    """Mean difference of each frame to the next."""
    return np.abs(np.diff(clip.astype(np.int16), axis=0)).mean((1, 2, 3))


def joint_ratio(clip, first_new):
    """The step into frame `first_new` over the clip's median step; a still clip has no step to compare with."""
    all_steps = steps(clip)
    return float(all_steps[first_new - 1] / max(np.median(all_steps), 0.5))


def path_of(clip, place, colour):
    """The object's middle in each frame, in widths: [F, 2], NaN where it is not seen."""
    path = np.full((len(clip), 2), np.nan)
    for frame, part in enumerate(parts_of(clip, place, colour)):
        if part.sum() >= 8:
            ys, xs = np.nonzero(part)
            path[frame] = xs.mean() / part.shape[1], ys.mean() / part.shape[1]
    return path


def correlation(a, b):
    """Of two paths, over the axis that moves more."""
    both = ~(np.isnan(a).any(1) | np.isnan(b).any(1))
    if both.sum() < 4:
        return 0.0
    axis = int(np.argmax(np.ptp(a[both], axis=0)))
    x, y = a[both, axis], b[both, axis]
    return float(np.corrcoef(x, y)[0, 1]) if np.std(x) > 1e-6 and np.std(y) > 1e-6 else 0.0


def share(values):
    return round(float(np.mean(values)), 3) if values else None


def middle(values):
    return round(float(np.median(values)), 3) if values else None


def other_colour(scene, seed):
    hidden = (*HIDDEN_COLOURS[scene.place], scene.things[0].colour)
    free = [c for c in COLOURS if c not in hidden]
    return free[seed % len(free)]


def recoloured(scene, colour):
    old = scene.things[0].colour
    scene.things[0].colour = colour
    text, clip = caption(scene, np.random.default_rng(1), language="en")[0], draw(scene)
    scene.things[0].colour = old
    return text, clip


def measure_extend(runner, cases):
    errors, ratios, exact = [], [], []
    for seed in range(cases):
        scene, text, clip = scene_of(seed, 33, ("left", "right", "up", "down"))
        made = runner.run("extend", runner.write(clip[:17]), "--by", 1, "--prompt", text, "--seed", seed)
        exact.append(np.array_equal(made[:17], clip[:17]))
        ratios.append(joint_ratio(made, 17))
        there, truth = (path_of(c, scene.place, scene.things[0].colour)[-1] for c in (made, clip))
        if not np.isnan(truth).any():
            errors.append(float(np.linalg.norm(there - truth)) if not np.isnan(there).any() else 1.0)
    return {"kept exact": share(exact), "position error, widths, median": middle(errors),
            "error 0.08 or less": share([e <= 0.08 for e in errors]), "joint ratio, median": middle(ratios),
            "joint 1.3 or less": share([r <= 1.3 for r in ratios])}


def measure_drift(runner, cases):
    """Three extensions of a second, each of the one before: how far the background's colours have gone."""
    drifts, places = [], []
    for seed in range(cases):
        scene, text, clip = scene_of(seed, 17)
        made = clip
        for _ in range(3):
            made = runner.run("extend", runner.write(made), "--by", 1, "--prompt", text, "--seed", seed)
        # The middle of all pixels' changes, so that the object's way does not count.
        change = made[-8:].mean(0) - made[:8].mean(0)
        drifts.append(float(np.abs(np.median(change.reshape(-1, 3), axis=0)).max()))
        places.append(see(made[-17:]).place == scene.place)
    return {"colour drift, levels of 255, median": middle(drifts), "4 levels or less": share([d <= 4 for d in drifts]),
            "place kept": share(places)}


def measure_recut(runner, cases):
    exact, ratios = [], []
    for seed in range(cases):
        _, text, clip = scene_of(seed, 17)
        made = runner.run("recut", runner.write(clip), "--drop", "0.375-0.625", "--prompt", text, "--seed", seed)
        exact.append(np.array_equal(made[:6], clip[:6]) and np.array_equal(made[10:], clip[10:]))
        ratios += [joint_ratio(made, 6), joint_ratio(made, 10)]
    return {"kept exact": share(exact), "joint ratio, median": middle(ratios), "joint 1.3 or less": share([r <= 1.3 for r in ratios])}


def measure_loop(runner, cases):
    seams, motions = [], []
    for seed in range(cases):
        _, text, clip = scene_of(seed, 17)
        made = runner.run("loop", runner.write(clip), "--prompt", text, "--seed", seed)
        all_steps = steps(made)
        seam = np.abs(made[-1].astype(np.int16) - made[0]).mean()
        seams.append(float(seam / max(np.median(all_steps), 0.5)))
        motions.append(float(all_steps[17:].mean() / max(all_steps[:16].mean(), 0.5)))
    return {"seam ratio, median": middle(seams), "seam 1.2 or less": share([s <= 1.2 for s in seams]),
            "bridge motion, median": middle(motions), "motion 0.7 to 1.5": share([0.7 <= m <= 1.5 for m in motions])}


def measure_circle(runner, cases):
    seams = []
    for seed in range(cases):
        _, text, _ = scene_of(seed, 17)
        made = runner.run("generate", text, "--loop", "--size", f"{WIDTH}x{HEIGHT}", "--seed", seed)
        seams.append(float(np.abs(made[-1].astype(np.int16) - made[0]).mean() / max(np.median(steps(made)), 0.5)))
    return {"seam ratio, median": middle(seams), "seam 1.2 or less": share([s <= 1.2 for s in seams])}


def measure_remix(runner, cases, method="sdedit"):
    result = {}
    for strength in ("subtle", "mild", "strong"):
        right, kept = [], []
        for seed in range(cases):
            scene, text, clip = scene_of(seed, 17, ("left", "right", "up", "down", "circles", "bounces"))
            colour = other_colour(scene, seed)
            new_text, _ = recoloured(scene, colour)
            arguments = ["--source-prompt", text] if method != "sdedit" else []
            made = runner.run("remix", runner.write(clip), new_text, "--strength", strength, "--method", method, "--seed", seed,
                              *arguments)
            right.append(see(made).main.colour == colour)
            old = path_of(clip, scene.place, scene.things[0].colour)
            paths = [path_of(made, scene.place, c) for c in (colour, scene.things[0].colour)]
            kept.append(correlation(old, min(paths, key=lambda p: np.isnan(p).sum())))
        result[f"{strength}: attribute right"] = share(right)
        result[f"{strength}: trajectory correlation, median"] = middle(kept)
    return result


def first_frame_of(clip, place, colour):
    seen = ~np.isnan(path_of(clip, place, colour)).any(1)
    return int(np.argmax(seen)) if seen.any() else None


def measure_transition(runner, cases):
    exact, ordered, cut = [], [], []
    for seed in range(cases):
        scene, text, a = scene_of(seed, 17)
        colour = other_colour(scene, seed)
        new_text, b = recoloured(scene, colour)
        made = runner.run("blend", runner.write(a), runner.write(b), "--prompt", text, "--seed", seed)
        exact.append(np.array_equal(made[:8], a[:8]) and np.array_equal(made[-8:], b[-8:]))
        bridge = made[10:-10]
        first = [path_of(bridge[:5], scene.place, scene.things[0].colour), path_of(bridge[-5:], scene.place, colour)]
        ordered.append(bool((~np.isnan(first[0])).any() and (~np.isnan(first[1])).any()))
        inside = steps(made)[8:-8]
        cut.append(bool(inside.max() > 0.6 * np.abs(a[-1].astype(np.int16) - b[0]).mean() and inside.max() > 4 * np.median(inside)))
    return {"ends exact": share(exact), "both colours in order": share(ordered), "hard cut": share(cut)}


def ranks(values):
    order = np.empty(len(values))
    order[np.argsort(values)] = np.arange(len(values))
    return order


def measure_mix(runner, cases):
    found = []
    for seed in range(cases):
        _, _, a = scene_of(seed, 17)
        _, _, b = scene_of(seed + 1000, 17)
        made = runner.run("blend", runner.write(a), runner.write(b), "--mode", "mix", "--curve", "0:0,1:1", "--seed", seed).astype(float)
        near_a, near_b = (np.abs(made - c).mean((1, 2, 3)) for c in (a, b))
        found.append(float(np.corrcoef(ranks(near_a / (near_a + near_b + 1e-6)), np.arange(len(made)))[0, 1]))
    return {"rank correlation, median": middle(found), "0.9 or more": share([f >= 0.9 for f in found])}


def measure_image(runner, cases):
    decibels, motions = [], []
    for seed in range(cases):
        scene, text, clip = scene_of(seed, 17)
        picture = runner.folder / f"picture-{seed}.png"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-i", "-",
                        "-frames:v", "1", str(picture)], input=clip[0].tobytes(), check=True)
        made = runner.run("generate", text, "--image", picture, "--size", f"{WIDTH}x{HEIGHT}", "--seed", seed)
        error = np.mean((made[0].astype(float) - clip[0]) ** 2)
        decibels.append(99.0 if error == 0 else float(10 * np.log10(255 ** 2 / error)))
        motions.append(see(made).main.motion == scene.things[0].motion)
    return {"first frame, dB, least": round(min(decibels), 1), "motion right": share(motions)}


def measure_storyboard(runner, cases):
    hits = []
    for seed in range(cases):
        scene, text, _ = scene_of(seed, 33)
        colour = other_colour(scene, seed)
        new_text, _ = recoloured(scene, colour)
        board = runner.folder / f"board-{seed}.json"
        board.write_text(json.dumps({"duration": 2, "cards": [{"at": 0, "text": text}, {"at": 1, "text": new_text}]}))
        made = runner.run("generate", "--storyboard", board, "--size", f"{WIDTH}x{HEIGHT}", "--seed", seed)
        old, new = (parts_of(made, scene.place, c).sum((1, 2)) for c in (scene.things[0].colour, colour))
        # +1 where the object has the old colour, -1 the new one: by the larger part, as edges and moons have colours too.
        has = np.sign(np.where(np.maximum(old, new) >= 8, old - new, 0))
        # The frame that best parts the old colour from the new one.
        scores = [has[:f].sum() - has[f:].sum() for f in range(len(made) + 1)]
        change = int(np.argmax(scores))
        hits.append(bool((has[:change] > 0).any() and (has[change:] < 0).any() and abs(change / FPS - 1) <= 0.4))
    return {"change within 0.4 s": share(hits)}


def measure_long(runner, cases):
    same, peaks = [], {}
    for seed in range(cases):
        scene, text, _ = scene_of(seed, 17, ("still", "spins", "circles", "bounces"))
        for duration in (5, 20) if seed == 0 else (20,):
            made = runner.run("generate", text, "-d", duration, "--size", f"{WIDTH}x{HEIGHT}", "--seed", seed)
            peaks[duration] = runner.peak_kib
        ends = [see(made[:17]), see(made[-17:])]
        same.append(ends[0].place == ends[1].place and ends[0].main.colour == ends[1].main.colour)
    return {"place and colour kept": share(same), "memory of 20 s over 5 s": round(peaks[20] / peaks[5], 3)}


MEASURES = {"extend": measure_extend, "extend-thrice": measure_drift, "recut": measure_recut, "loop": measure_loop, "generate-loop": measure_circle,
            "remix": measure_remix, "remix-flowedit": lambda r, n: measure_remix(r, n, "flowedit"),
            "remix-flowalign": lambda r, n: measure_remix(r, n, "flowalign"), "transition": measure_transition,
            "mix": measure_mix, "image": measure_image, "storyboard": measure_storyboard, "long": measure_long}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"of {', '.join(MEASURES)}; all, if not given")
    parser.add_argument("--sora", default=str(SORA))
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", help="write the figures here too")
    args = parser.parse_args()
    unknown = set(args.tools) - set(MEASURES)
    if unknown:
        parser.error(f"there is no measure {', '.join(sorted(unknown))}")
    results = {}
    for name in args.tools or MEASURES:
        with tempfile.TemporaryDirectory(prefix="sora-tools-") as folder:
            results[name] = MEASURES[name](Runner(args.sora, folder, args.threads), args.cases)
        print(f"{name} n={args.cases} " + ", ".join(f"{key} {value}" for key, value in results[name].items()), flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
