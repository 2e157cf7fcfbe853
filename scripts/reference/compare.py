"""Runs one model directory with diffusers and with sora, same prompt, seed and settings, and prints the relative
error of the final latents and percentiles of the frame error. Exit code 0 where sora is within the limits, 1 where
it is not. Limits: in f32, latents within 1e-3 relative and frames within 1/255 at the 99.9th percentile; in bf16,
latents as near to diffusers' f32 run as diffusers' own bf16 run is."""

import argparse
import gc
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from fixtures import case
from PIL import Image
from reference_run import Settings, load, own_settings, run
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
MAX_LATENT_ERROR = 1e-3
MAX_FRAME_ERROR = 1.0


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/reference/compare", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, help="diffusers directory of a Wan model")
    parser.add_argument("--prompt", default="a red ball bounces on the grass")
    parser.add_argument("--negative", default="")
    parser.add_argument("--size", default="128x96", help="WxH")
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--guidance-2", type=float, help="for the low-noise expert of a two-expert model")
    parser.add_argument("--image", type=pathlib.Path, help="first frame, of the size of the video")
    parser.add_argument("--last-image", type=pathlib.Path)
    parser.add_argument("--text-length", type=int, help="tokens that diffusers pads the text to; sora.json's, or 512")
    parser.add_argument("--dtype", default="f32", help="f32, or f32,bf16 to compare the bf16 runs too")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sora", type=pathlib.Path, default=ROOT / "build" / "sora")
    parser.add_argument("--keep", type=pathlib.Path, help="folder to leave latents and frames of both in")
    arguments = parser.parse_args()
    arguments.dtype = arguments.dtype.split(",")
    settings = own_settings(arguments.model)
    arguments.grey = settings.get("grey_without_frames", False)
    if arguments.text_length is None:
        arguments.text_length = settings.get("max_sequence_length", 512)
    if not set(arguments.dtype) <= set(DTYPES):
        parser.error(f"--dtype takes {' and '.join(DTYPES)}, separated by a comma")
    try:
        arguments.width, arguments.height = map(int, arguments.size.split("x"))
    except ValueError:
        parser.error(f"--size {arguments.size}: expected WIDTHxHEIGHT")
    return arguments


def read_image(path, arguments):
    if path is None:
        return None
    picture = Image.open(path).convert("RGB")
    if picture.size != (arguments.width, arguments.height):
        sys.exit(f"{path} is {picture.width}x{picture.height}, the video {arguments.size}: make them equal, so that no "
                 "resizing is compared")  # fmt: skip
    return torch.from_numpy(numpy.array(picture))


def run_diffusers(arguments, dtype):
    settings = Settings(
        prompt=arguments.prompt,
        negative_prompt=arguments.negative,
        width=arguments.width,
        height=arguments.height,
        num_frames=arguments.frames,
        steps=arguments.steps,
        seed=arguments.seed,
        guidance_scale=arguments.guidance,
        guidance_scale_2=arguments.guidance_2,
        max_sequence_length=arguments.text_length,
    )
    begin = time.monotonic()
    pipeline = load(arguments.model, DTYPES[dtype])
    images = (read_image(arguments.image, arguments), read_image(arguments.last_image, arguments))
    result = run(pipeline, settings, *images, grey=arguments.grey)
    seconds = time.monotonic() - begin
    del pipeline
    gc.collect()
    return result.latents, result.frames, seconds


def run_sora(arguments, dtype, folder):
    folder.mkdir(parents=True)
    latents = folder / "latents.safetensors"
    command = [
        arguments.sora, "generate", arguments.prompt,
        "--model", arguments.model, "--size", arguments.size, "--native",
        "--frames", arguments.frames, "--steps", arguments.steps, "--seed", arguments.seed,
        "--guidance", arguments.guidance, "--negative", arguments.negative,
        "--dtype", dtype, "--device", "cpu", "--threads", arguments.threads,
        "--save-latents", latents, "--output", folder / "%05d.png", "--quiet",
    ]  # fmt: skip
    for flag, value in (
        ("--guidance-2", arguments.guidance_2),
        ("--image", arguments.image),
        ("--last-image", arguments.last_image),
    ):
        if value is not None:
            command += [flag, value]
    begin = time.monotonic()
    finished = subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - begin
    if finished.returncode:
        sys.exit(f"sora ended with exit code {finished.returncode}: {' '.join(str(part) for part in command)}")
    pictures = [numpy.array(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    return load_file(latents)["latents"].float(), torch.from_numpy(numpy.stack(pictures)), seconds


def report(name, latents, frames, seconds, reference):
    """Prints one line and gives the latent error and the frame error at the 99.9th percentile."""
    expected_latents, expected_frames = reference
    for what, got, expected in (("latents", latents, expected_latents), ("frames", frames, expected_frames)):
        if got.shape != expected.shape:
            sys.exit(f"{name}: {what} have shape {list(got.shape)}, diffusers' {list(expected.shape)}")
    error = case.relative_error(latents, expected_latents)
    percentiles = case.frame_error_percentiles(frames, expected_frames)
    listed = "  ".join(f"{key} {value:g}" for key, value in percentiles.items())
    print(f"{name:<15} latents {error:.2e}   frames (of 255): {listed}   {seconds:.1f} s", flush=True)
    return error, percentiles["99.9"]


def save(folder, name, latents, frames):
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    case.write(target, "latents", {"latents": latents}, what="final normalised latents")
    for index, frame in enumerate(frames):
        Image.fromarray(frame.numpy()).save(target / f"{index:05d}.png")


def compare(arguments, folder):
    torch.set_num_threads(arguments.threads)
    latents, frames, seconds = run_diffusers(arguments, "f32")
    reference = (latents, frames)
    print(f"distance to diffusers in f32 ({seconds:.1f} s), its latents' rms {latents.pow(2).mean().sqrt():.3f}:")
    if arguments.keep:
        save(folder, "diffusers-f32", *reference)
    within = True
    if "f32" in arguments.dtype:
        error, frame_error = report("sora f32", *run_sora(arguments, "f32", folder / "sora-f32"), reference)
        within = error <= MAX_LATENT_ERROR and frame_error <= MAX_FRAME_ERROR
    if "bf16" in arguments.dtype:
        latents, frames, seconds = run_diffusers(arguments, "bf16")
        if arguments.keep:
            save(folder, "diffusers-bf16", latents, frames)
        allowed, _ = report("diffusers bf16", latents, frames, seconds, reference)
        error, _ = report("sora bf16", *run_sora(arguments, "bf16", folder / "sora-bf16"), reference)
        within = within and error <= allowed
    print("within the limits" if within else "NOT within the limits")
    return 0 if within else 1


def main():
    arguments = parse()
    case.quiet_libraries()
    torch.set_grad_enabled(False)
    if not (arguments.model / "model_index.json").is_file():
        sys.exit(f"{arguments.model}: no model_index.json there; a diffusers directory is wanted")
    if not arguments.sora.is_file():
        sys.exit(f"{arguments.sora}: not there; build it, or name it with --sora")
    if arguments.keep:
        if arguments.keep.exists() and any(arguments.keep.iterdir()):
            sys.exit(f"{arguments.keep}: not empty")
        return compare(arguments, arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        return compare(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
