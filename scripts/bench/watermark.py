"""Marks clips with the invisible watermark, does to them what the net does to clips, and counts how many still read.

Needs a built program (--sora) and FFmpeg; with scikit-image in the Python that runs it, its photographs are used too, and
--videos adds a folder of real videos. Clips are made at run time: photographs panned and still, ffmpeg's sources, flat
drawings. Prints a table, or JSON with --json.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

H264 = ["-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p"]
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
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def sources(videos):
    """Names and ffmpeg arguments of lossless clips, 33 frames at 16 a second."""
    clips = {}
    try:
        import skimage

        folder = pathlib.Path(skimage.__file__).parent / "data"
    except ImportError:
        folder = pathlib.Path("/nonexistent")
    for i, name in enumerate(PHOTOGRAPHS):
        for suffix in (".png", ".jpg"):
            if (path := folder / (name + suffix)).is_file():
                pan = f"scale=960:-2,scale='iw':'max(ih,400)',crop=480:288:x='40+n*{1 + i % 4}':y='20+n*{i % 3}'"
                clips[f"{name}, panned"] = ["-loop", "1", "-i", path, "-vf", pan]
                clips[f"{name}, still"] = ["-loop", "1", "-i", path, "-vf", "scale=480:-2,pad=480:'max(ih,288)',crop=480:288"]
    for path in sorted(pathlib.Path(videos).glob("*.mp4")) if videos else []:
        for start in (0, 1, 2):
            clips[f"{path.stem} from {start} s"] = ["-ss", str(start), "-i", path, "-vf", "scale=854:480,fps=16"]
    lavfi = {
        "mandelbrot": "mandelbrot=s=480x288:r=16",
        "test card": "testsrc2=s=480x288:r=16",
        "cells": "cellauto=s=480x288:r=16",
        "life": "life=s=240x144:r=16:mold=10:life_color=yellow:death_color=blue,scale=480:288",
        "grainy gradient": "gradients=s=480x288:r=16:speed=0.02,noise=alls=6:allf=t",
        "smooth gradient": "gradients=s=480x288:r=16:speed=0.001:c0=0x203040:c1=0x8090a0",
        "flat, bright": "color=c=white:s=480x288:r=16,drawbox=x='50+128*t':y=100:w=60:h=60:c=0x3050a0:t=fill",
        "flat, colours": "color=c=0x87ceeb:s=480x288:r=16,drawbox=y=180:w=480:h=108:c=green:t=fill,"
        "drawbox=x='50+128*t':y=100:w=40:h=40:c=red:t=fill",
        "flat, dark": "color=c=0x101014:s=480x288:r=16,drawbox=x='400-100*t':y=60:w=80:h=50:c=0xc0a020:t=fill",
    }
    for i, seed in enumerate(range(1, 13)):
        lavfi[f"gradients {i + 1}"] = f"gradients=s=480x288:r=16:seed={seed}:n={2 + i % 6}:speed=0.0{1 + i % 9},noise=alls={i % 9}:allf=t"
    return clips | {name: ["-f", "lavfi", "-i", source] for name, source in lavfi.items()}


def verify(sora, path):
    run = subprocess.run([sora, "verify", path, "--json", "--quiet"], capture_output=True, text=True, check=False)
    return json.loads(run.stdout.splitlines()[0])


def marked_clip(sora, arguments, work):
    """A lossless clip, and the same as `sora recut` writes it with the mark and nothing else changed."""
    plain, marked = work / "plain.mkv", work / "marked.mkv"
    ffmpeg(*arguments, "-frames:v", 33, "-r", 16, "-an", "-c:v", "ffv1", "-pix_fmt", "gbrp", plain)
    subprocess.run([sora, "recut", plain, "--keep", "0-2", "--codec", "ffv1", "--watermark", "invisible", "--quiet", "-f",
                    "-o", marked], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return plain, marked


def psnr(a, b):
    run = subprocess.run(["ffmpeg", "-nostdin", "-i", a, "-i", b, "-lavfi", "psnr", "-f", "null", "-"],
                         capture_output=True, text=True, check=True)  # fmt: skip
    return float(run.stderr.split("average:")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser.add_argument("--sora", default=root / "build/sora", type=pathlib.Path)
    parser.add_argument("--videos", help="folder of .mp4 files")
    parser.add_argument("--limit", type=int, default=0, help="clips at most; 0: all")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clips = list(sources(options.videos).items())
    if options.limit:
        clips = clips[:: max(1, len(clips) // options.limit)][: options.limit]
    read = {attack: 0 for attack in ATTACKS}
    missed, psnrs, false_marks = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for name, arguments in clips:
            plain, marked = marked_clip(options.sora, arguments, work)
            psnrs.append(psnr(plain, marked))
            identity = verify(options.sora, marked)["watermark"].get("id")
            false_marks += verify(options.sora, plain)["watermark"]["state"] == "found"
            for attack, encoder in ATTACKS.items():
                path = work / "attacked.mkv"
                ffmpeg("-i", marked, "-map_metadata", "-1", *encoder, path)
                good = identity is not None and verify(options.sora, path)["watermark"].get("id") == identity
                read[attack] += good
                missed += [] if good else [f"{name}: {attack}"]
            print(f"{len(psnrs)}/{len(clips)} {name}: {psnrs[-1]:.2f} dB", file=sys.stderr)
    result = {"clips": len(clips), "least_psnr": min(psnrs), "false_marks": false_marks, "read": read, "missed": missed}
    if options.json:
        print(json.dumps(result))
        return
    print(f"{len(clips)} clips, PSNR at least {min(psnrs):.2f} dB, {false_marks} unmarked ones read as marked\n")
    for attack, count in read.items():
        print(f"| {attack} | {count} of {len(clips)} |")
    print("\nmissed:", *missed, sep="\n  ")


if __name__ == "__main__":
    main()
