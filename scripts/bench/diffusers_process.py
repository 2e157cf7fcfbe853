"""One clip by diffusers on the CPU, from the interpreter's start to the closed file, telling its phases on stderr as
`sora --progress json` does. The settings are the fastest found there: all in one type, the VAE too; the VAE's convolution
weights with channels last (a fifth to a third off the decoding); attention by diffusers' default, torch's fused one. The
file is written by the ffmpeg program with the settings that sora uses."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))


class Phase:
    def __init__(self, name, total=1):
        self.name, self.total, self.begin = name, total, time.monotonic()
        self.tell(0)

    def tell(self, done):
        line = {"phase": self.name, "done": done, "total": self.total, "elapsed_s": time.monotonic() - self.begin}
        print(json.dumps(line), file=sys.stderr, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is None:
            self.tell(self.total)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--frames", dest="num_frames", type=int, required=True)
    parser.add_argument("--fps", type=int, default=16)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--guidance", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text-length", type=int, default=512)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    return parser.parse_args()


def with_channels_last(vae, torch):
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in vae.parameters():
        if parameter.dim() in formats:
            parameter.data = parameter.data.to(memory_format=formats[parameter.dim()])


def write_video(frames, fps, path):
    height, width = frames.shape[1:3]
    command = (
        f"ffmpeg -y -loglevel error -f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i - "
        "-c:v libx264 -preset medium -threads 4 -crf 17 -pix_fmt yuv420p -movflags +faststart"
    )
    subprocess.run([*command.split(), str(path)], input=frames.numpy().tobytes(), check=True)


def main():
    arguments = parse()
    with Phase("import"):
        import reference_run
        import torch
        from diffusers import WanPipeline
        from fixtures import case

        case.quiet_libraries()
    torch.set_grad_enabled(False)
    torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype]

    with Phase("load"):
        pipeline = reference_run.as_pipeline(reference_run.load(arguments.model, dtype, vae_dtype=dtype), WanPipeline)
        with_channels_last(pipeline.vae, torch)
        noise = reference_run.starting_noise(pipeline, arguments)
    guided = arguments.guidance > 1
    with Phase("text"):
        embeds, negative_embeds = pipeline.encode_prompt(
            arguments.prompt, "", guided, max_sequence_length=arguments.text_length
        )
    grey = reference_run.own_settings(arguments.model).get("grey_without_frames", False)
    with Phase("denoise", arguments.steps) as phase, reference_run.with_empty_masks(pipeline, arguments, grey):

        def after_step(_, step, timestep, tensors):
            if step + 1 < arguments.steps:
                phase.tell(step + 1)
            return {}

        latents = pipeline(
            prompt_embeds=embeds,
            negative_prompt_embeds=negative_embeds,
            height=arguments.height,
            width=arguments.width,
            num_frames=arguments.num_frames,
            num_inference_steps=arguments.steps,
            guidance_scale=arguments.guidance,
            latents=noise,
            output_type="latent",
            callback_on_step_end=after_step,
        ).frames
    with Phase("decode"):
        frames = reference_run.decode(pipeline, latents)
    with Phase("write"):
        write_video(frames, arguments.fps, arguments.output)


if __name__ == "__main__":
    main()
