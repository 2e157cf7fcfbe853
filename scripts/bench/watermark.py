"""Marks clips with the invisible watermark, does to them what the net does to clips, and counts how many still read.

Builds tests/bench/watermark.cpp and needs FFmpeg; with scikit-image in the Python that runs it, its photographs are used too, and
--videos adds a folder of real videos. Clips are made at run time: photographs panned and still, ffmpeg's sources, flat
drawings. Prints a table, or JSON with --json.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

from programs import BUILD, ROOT

H264 = ["-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p"]
NUM_FRAMES = 32  # two seconds, the range that sora recut keeps: all of them
EVEN = "trunc(iw*{0}/2)*2:trunc(ih*{0}/2)*2"
ATTACKS = {
    "H.264 CRF 23": [*H264, "-crf", "23"],
    "H.264 CRF 28": [*H264, "-crf", "28"],
    "AV1 CRF 35": ["-c:v", "libsvtav1", "-preset", "8", "-crf", "35", "-pix_fmt", "yuv420p"],
    "half size, CRF 23": ["-vf", "scale=" + EVEN.format("0.5"), *H264, "-crf", "23"],
    "double size, CRF 23": ["-vf", "scale=" + EVEN.format("2"), *H264, "-crf", "23"],
    "10 % cut off, CRF 23": ["-vf", "crop=" + EVEN.format("0.9") + ":iw*0.037:ih*0.061", *H264, "-crf", "23"],
    "16 to 25 frames a second, CRF 23": ["-vf", "fps=25", *H264, "-crf", "23"],
}
PHOTOGRAPHS = ["astronaut", "chelsea", "coffee", "gravel", "grass", "motorcycle_left", "camera", "coins", "ihc", "brick",
               "rocket", "page", "moon", "cell", "text"]  # fmt: skip


def ffmpeg(*arguments):
    quiet = {**os.environ, "SVT_LOG": "1"}
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True, env=quiet)


def gradients(seed, num_colours, speed, grain):
    """ffmpeg's source with colours of this seed (its own ones are others each time) and grain of so many levels."""
    colours = random.Random(seed)
    chosen = "".join(f":c{i}=0x{colours.randrange(1 << 24):06x}" for i in range(num_colours))
    # Left to itself the noise filter takes the source's floats for whole numbers.
    return f"gradients=s=480x288:r=16:seed={seed}:n={num_colours}:speed={speed}{chosen},format=yuv444p,noise=alls={grain}:allf=t"


def photographs():
    """Names and paths of those that there are."""
    try:
        import skimage
    except ImportError:
        print("watermark: no photographs: they come with scikit-image (python3-skimage)", file=sys.stderr)
        return {}
    folder = pathlib.Path(skimage.__file__).parent / "data"
    return {name: path for name in PHOTOGRAPHS for path in (folder / (name + ".png"), folder / (name + ".jpg")) if path.is_file()}


def camera_moves():
    """Photographs under a camera that pans by a third of a pixel a frame, zooms by 0.25 % a frame, and shakes by about a pixel."""
    moves = {
        "slow pan": ("1.2", "300+2*on", "200+on"),
        "zoom": ("1.2+0.003*on", "(iw-iw/zoom)/2", "(ih-ih/zoom)/2"),
        "shake": ("1.2", "300+7*sin(1.3*on)+5*sin(2.9*on)", "200+6*sin(1.7*on)+4*sin(0.4*on)"),
    }
    clips = {}
    for name, path in photographs().items():
        for move, (zoom, x, y) in moves.items():
            camera = f"scale=3840:-2,pad=3840:'max(ih,2304)',crop=3840:2304,zoompan=z='{zoom}':x='{x}':y='{y}':d=1:s=480x288:fps=16,setsar=1"
            clips[f"{name}, {move}"] = ["-loop", "1", "-i", path, "-vf", camera]
    return clips


def sources(videos):
    """Names and ffmpeg arguments of lossless clips, NUM_FRAMES at 16 a second."""
    clips = {}
    for name, path in photographs().items():
        i = PHOTOGRAPHS.index(name)
        pan = f"scale=960:-2,scale='iw':'max(ih,400)',crop=480:288:x='40+n*{1 + i % 4}':y='20+n*{i % 3}',setsar=1"
        clips[f"{name}, panned"] = ["-loop", "1", "-i", path, "-vf", pan]
        clips[f"{name}, still"] = ["-loop", "1", "-i", path, "-vf", "scale=480:-2,pad=480:'max(ih,288)',crop=480:288,setsar=1"]
    for path in sorted(pathlib.Path(videos).glob("*.mp4")) if videos else []:
        for start in (0, 1, 2):
            clips[f"{path.stem} from {start} s"] = ["-ss", str(start), "-i", path, "-vf", "scale=854:480,setsar=1,fps=16"]
    lavfi = {
        "mandelbrot": "mandelbrot=s=480x288:r=16",
        "test card": "testsrc2=s=480x288:r=16",
        "cells": "cellauto=s=480x288:r=16:seed=1",
        "life": "life=s=240x144:r=16:seed=1:mold=10:life_color=yellow:death_color=blue,scale=480:288",
        "grainy gradient": gradients(0, 2, 0.02, 6),
        "smooth gradient": "gradients=s=480x288:r=16:seed=1:speed=0.001:c0=0x203040:c1=0x8090a0",
        "flat, bright": "color=c=white:s=480x288:r=16,drawbox=x='50+128*t':y=100:w=60:h=60:c=0x3050a0:t=fill",
        "flat, colours": "color=c=0x87ceeb:s=480x288:r=16,drawbox=y=180:w=480:h=108:c=green:t=fill,"
        "drawbox=x='50+128*t':y=100:w=40:h=40:c=red:t=fill",
        "flat, dark": "color=c=0x101014:s=480x288:r=16,drawbox=x='400-100*t':y=60:w=80:h=50:c=0xc0a020:t=fill",
    }
    for i in range(12):
        lavfi[f"gradients {i + 1}"] = gradients(i + 1, 2 + i % 6, (1 + i % 9) / 100, i % 9)
    return clips | {name: ["-f", "lavfi", "-i", source] for name, source in lavfi.items()}


class Bench:
    """tests/bench/watermark.cpp: the library's own marking and reading, in one process."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, sep="\t", file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def lossless(arguments, path):
    ffmpeg(*arguments, "-frames:v", NUM_FRAMES, "-r", 16, "-an", "-c:v", "ffv1", "-pix_fmt", "gbrp", path)


def attack_clip(marked, encoder, folder):
    """The attacked file, named by its frames and the attack, so that a folder that is kept spares the encoding next time."""
    frames = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", marked, "-f", "md5", "-"],
                            check=True, capture_output=True).stdout  # fmt: skip
    attacked = folder / (hashlib.sha256(frames + " ".join(encoder).encode()).hexdigest()[:32] + ".mkv")
    if not attacked.exists():
        part = attacked.with_suffix(".part.mkv")
        ffmpeg("-i", marked, "-map_metadata", "-1", *encoder, part)
        part.rename(attacked)
    return attacked


def measure_clip(bench, name, arguments, work, identity, options):
    """What marking cost, and for each attack the bound on chance as a power of two, or None where the mark was not read."""
    plain, marked = work / "plain.mkv", work / "marked.mkv"
    lossless(arguments, plain)
    result = {"name": name, **bench.ask("mark", plain, marked, identity), "read": {}}
    for attack, encoder in options.attacks.items():
        reading = bench.ask("read", attack_clip(marked, encoder, options.keep or work))
        result["read"][attack] = round(reading["log2_chance"]) if reading["id"] == identity else None
    return result


def summary(clips):
    moving = [clip for clip in clips if not clip["name"].endswith("still")]
    still = [clip for clip in clips if clip["name"].endswith("still")]
    lines = [f"{len(clips)} clips, PSNR {min(c['psnr'] for c in clips):.2f} to {max(c['psnr'] for c in clips):.2f} dB, "
             f"the worst frame {min(c['least_psnr'] for c in clips):.2f} dB; marking "
             f"{sum(c['ms'] for c in clips) / sum(c['frames'] for c in clips):.1f} ms of processor time a frame", "",
             f"| | moving pictures, of {len(moving)} | one picture stood still, of {len(still)} |", "|---|---|---|"]  # fmt: skip
    for attack in clips[0]["read"]:
        counts = [sum(clip["read"][attack] is not None for clip in group) for group in (moving, still)]
        lines.append(f"| {attack} | {counts[0]} | {counts[1]} |")
    lines += ["", "not read:"]
    for clip in clips:
        lost = [attack for attack, reading in clip["read"].items() if reading is None]
        lines += [f"  {clip['name']}: {', '.join(lost)}"] if lost else []
    return "\n".join(lines)


def count_false_marks(bench, clips, work, options):
    """Reads windows of unmarked clips, as many of each."""
    paths = []
    for i, (_, arguments) in enumerate(clips):
        paths.append(work / f"unmarked-{i}.mkv")
        lossless(arguments, paths[-1])
    quick = int(not options.thorough)
    return bench.ask("windows", options.false_positives, options.window, options.window_frames, quick, *paths)


def attacks_named(names):
    chosen = names.split(";")
    if unknown := [name for name in chosen if name not in ATTACKS]:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]}; there are {'; '.join(ATTACKS)}")
    return {name: ATTACKS[name] for name in chosen}


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench/watermark", description=__doc__)
    parser.add_argument("--build-dir", default=BUILD, type=pathlib.Path)
    parser.add_argument("--no-build", action="store_true", help="run the program that is there")
    parser.add_argument("--videos", help="folder of .mp4 files")
    parser.add_argument("--camera", action="store_true", help="instead: photographs under a camera that pans slowly, zooms, shakes")
    parser.add_argument("--limit", type=int, default=0, help="clips at most; 0: all")
    parser.add_argument("--only", default="", help="clips with this in their name")
    parser.add_argument("--attacks", default=ATTACKS, metavar="NAMES", help="only these rows of the table, parted by ;",
                        type=attacks_named)  # fmt: skip
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keeps attacked clips there, and uses those that are")
    parser.add_argument("--false-positives", type=int, default=0, metavar="WINDOWS",
                        help="instead: how many of so many windows of unmarked clips read as marked")  # fmt: skip
    parser.add_argument("--window", type=int, default=256, help="side of a window")
    parser.add_argument("--window-frames", type=int, default=4)
    parser.add_argument("--thorough", action="store_true", help="search all scales in each window, which takes a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    if not options.no_build:
        environment = dict(os.environ, SORA_BUILD_DIR=str(options.build_dir))
        subprocess.run([ROOT / "scripts/build", "bench_watermark"], env=environment, stdout=sys.stderr, check=True)
    return options


def main():
    options = parse()
    every = camera_moves() if options.camera else sources(options.videos)
    clips = [(name, arguments) for name, arguments in every.items() if options.only in name]
    random.Random(1).shuffle(clips)  # so that a few are of all kinds
    clips = clips[: options.limit or None]
    if not clips:
        sys.exit("watermark: no clips to mark")
    bench = Bench(options.build_dir / "tests/bench_watermark")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        if options.false_positives:
            print(json.dumps(count_false_marks(bench, clips, work, options)))
            return
        for i, (name, arguments) in enumerate(clips):
            identity = hashlib.sha256(name.encode()).hexdigest()[:16]
            results.append(measure_clip(bench, name, arguments, work, identity, options))
            print(f"{i + 1}/{len(clips)} {json.dumps(results[-1])}", file=sys.stderr, flush=True)
    print(json.dumps(results) if options.json else summary(results))


if __name__ == "__main__":
    main()
