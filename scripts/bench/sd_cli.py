"""stable-diffusion.cpp's program `sd-cli` as a command that makes the same clip, and the phases that it prints.

It reads no diffusers directory of Wan: the transformer is written for it once as a single file beside the model, VAE and text
encoder it takes as they are. Its words are its own, of which the random model's text encoder has too few; a text is padded to
512 tokens whatever it says, so that it is given one that any encoder knows, the mark of a text's end. Weights are loaded before
the first step, not in it, so that loading is a phase of its own as in the other programs, and attention is the fused form: it
is as fast as the other and spares the matrix of all scores. The clip becomes an AVI of JPEG pictures, as there is no mp4."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

from original_names import shards_of, write_original  # noqa: E402

END_OF_TEXT = "</s>"
SECONDS = r", taking ([\d.]+)s"
# What a line says where a phase begins or, with its seconds, ends.
BEGINS = {
    "load": r"loading diffusion model from ",
    "text": r"sampling using ",
    "denoise": r"generate_video \d+x\d+x\d+",
    "decode": r"generating latent video completed",
}
ENDS = {
    "load": r"loading tensors completed" + SECONDS,
    "text": r"get_learned_condition completed" + SECONDS,
    "denoise": r" sampling completed" + SECONDS,
    "decode": r"decode_first_stage completed" + SECONDS,
}


def phase_reader(steps):
    """A function that turns a line into what `sora --progress json` would say, None where the line is about no phase."""

    def read(line):
        for phase, pattern in BEGINS.items():
            if re.search(pattern, line):
                return {"phase": phase, "done": 0, "total": totals[phase], "elapsed_s": 0.0}
        for phase, pattern in ENDS.items():
            if found := re.search(pattern, line):
                return {"phase": phase, "done": totals[phase], "total": totals[phase], "elapsed_s": float(found[1])}
        return None

    totals = {phase: steps if phase == "denoise" else 1 for phase in BEGINS}
    return read


def transformer_file(model):
    """Written where it is not there or older than the model."""
    folder = model.with_name(f"{model.name}-original")
    path = folder / "transformer.safetensors"
    newest = max(shard.stat().st_mtime for shard in shards_of(model / "transformer"))
    if not path.is_file() or path.stat().st_mtime < newest:
        print(f"writing the transformer under its original names into {path}", file=sys.stderr)
        folder.mkdir(exist_ok=True)
        write_original(model / "transformer", path)
    return path


def sd_cli_command(program, clip, transformer, output):
    return [
        program, "--mode", "vid_gen", "--diffusion-model", transformer,
        "--vae", clip.model / "vae" / "diffusion_pytorch_model.safetensors",
        "--t5xxl", clip.model / "text_encoder" / "model.safetensors", "--prompt", END_OF_TEXT,
        "--width", clip.width, "--height", clip.height, "--video-frames", clip.frames, "--fps", 16, "--steps", clip.steps,
        "--cfg-scale", clip.guidance, "--sampling-method", "euler", "--seed", clip.seed, "--threads", clip.threads,
        "--eager-load", "--diffusion-fa", "--output", output,
    ]  # fmt: skip
